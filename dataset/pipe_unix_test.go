//go:build unix

package dataset

import (
	"path/filepath"
	"syscall"
	"testing"
)

// pipe is a named pipe that nobody writes to.
func pipe(t *testing.T) string {
	path := filepath.Join(t.TempDir(), "pipe")
	if err := syscall.Mkfifo(path, 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}
