//go:build unix

package model

import (
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
)

func TestWriteMode(t *testing.T) {
	for umask, want := range map[int]os.FileMode{0o022: 0o644, 0o077: 0o600, 0o027: 0o640, 0: 0o644} {
		path := filepath.Join(t.TempDir(), "m")
		// What was there before does not matter.
		if err := os.WriteFile(path, nil, 0o400); err != nil {
			t.Fatal(err)
		}
		old := syscall.Umask(umask)
		err := chain(t, "2-1").Write(path)
		syscall.Umask(old)
		if err != nil {
			t.Fatal(err)
		}
		info, err := os.Stat(path)
		if err != nil {
			t.Fatal(err)
		}
		if info.Mode() != want {
			t.Errorf("umask %03o: mode %v, want %v", umask, info.Mode(), want)
		}
	}
}

// A device or pipe is neither replaced nor waited for, by its own name or a link's.
func TestPipe(t *testing.T) {
	dir := t.TempDir()
	pipe, link := filepath.Join(dir, "pipe"), filepath.Join(dir, "link")
	if err := syscall.Mkfifo(pipe, 0o644); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink(pipe, link); err != nil {
		t.Fatal(err)
	}
	for _, path := range []string{pipe, link} {
		if err := chain(t, "2-1").Write(path); err == nil || !strings.HasPrefix(err.Error(), path+": expected the name of a file to write, found a device or pipe") {
			t.Errorf("Write: got %v", err)
		}
		if _, err := Read(path); err == nil || !strings.HasPrefix(err.Error(), path+": expected a safetensors file, found a device or pipe") {
			t.Errorf("Read: got %v", err)
		}
	}
	onlyFiles(t, dir, "link", "pipe")
	if info, err := os.Stat(pipe); err != nil || info.Mode()&os.ModeNamedPipe == 0 {
		t.Errorf("the pipe became %v, %v", info, err)
	}
}
