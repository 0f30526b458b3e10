package train

import (
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"

	"github.com/gofrs/flock"
)

// claimFile is locked by the process that works in a directory, and says which one that is from its second byte on:
// nobody else may read the first one on Windows, where that is what is locked.
const claimFile = "lock"

// Claim makes the directory that a flag names and locks it against other processes until it is closed. The lock ends
// with the process, however that ends; the file stays. It fails with a *SettingError if dir cannot be a directory.
func Claim(flag, dir string) (io.Closer, error) {
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return nil, &SettingError{flag, dir, fmt.Sprintf("want a directory: %v", cause(err))}
	}
	path := filepath.Join(dir, claimFile)
	lock := flock.New(path)
	locked, err := lock.TryLock()
	if err != nil {
		return nil, fmt.Errorf("%s %s: cannot write to it: %w", flag, dir, cause(err))
	}
	if !locked {
		return nil, fmt.Errorf("%s %s: %s works on it: want another directory, or to wait", flag, dir, claimant(path))
	}
	if err := sign(path); err != nil {
		lock.Close()
		return nil, fmt.Errorf("%s %s: cannot write to it: %w", flag, dir, cause(err))
	}
	return lock, nil
}

// sign writes which process this is. A longer line that was there stays behind the end of this one: on Windows a file
// with a lock in it cannot be cut.
func sign(path string) error {
	f, err := os.OpenFile(path, os.O_WRONLY, 0)
	if err != nil {
		return err
	}
	defer f.Close()
	name := fmt.Sprintf("process %d", os.Getpid())
	if host, err := os.Hostname(); err == nil {
		name += " on " + host
	}
	_, err = f.WriteAt([]byte(name+"\n"), 1)
	return err
}

// claimant is the process that has locked the file, as far as that is known.
func claimant(path string) string {
	f, err := os.Open(path)
	if err == nil {
		defer f.Close()
		var line [256]byte
		n, _ := f.ReadAt(line[:], 1)
		if name, _, whole := strings.Cut(string(line[:n]), "\n"); whole && name != "" {
			return name
		}
	}
	return "another process"
}
