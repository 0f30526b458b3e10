package store

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"github.com/gofrs/flock"
)

// lockFile is locked by the process that works in a directory, and says which one that is from its second byte on:
// nobody else may read the first one on Windows, where that is what is locked.
const lockFile = "lock"

// Dir is a directory that this process has claimed. Names are relative to it, with slashes.
type Dir struct {
	path string
	lock *flock.Flock
}

// ClaimedError is what [Claim] fails with if another process has the directory.
type ClaimedError struct {
	By string // as far as that is known: "process 12 on host", or "another process"
}

func (e *ClaimedError) Error() string {
	return fmt.Sprintf("%s works on it: want another directory, or to wait", e.By)
}

// Claim makes a directory, if need be, and locks it against other processes until it is closed. The lock ends with the
// process, however that ends; its file stays. Errors do not name the directory. One that says that there can be no such
// directory is a *fs.PathError.
func Claim(path string) (*Dir, error) {
	if err := makeDir(path); err != nil {
		return nil, err
	}
	file := filepath.Join(path, lockFile)
	lock := flock.New(file)
	locked, err := lock.TryLock()
	if err != nil {
		return nil, fmt.Errorf("cannot write to it: %w", Cause(err))
	}
	if !locked {
		return nil, &ClaimedError{claimant(file)}
	}
	if err := sign(file); err != nil {
		lock.Close()
		return nil, fmt.Errorf("cannot write to it: %w", Cause(err))
	}
	return &Dir{path, lock}, nil
}

// Close lets others have the directory.
func (d *Dir) Close() error { return d.lock.Close() }

// Path is a file's path.
func (d *Dir) Path(name string) string { return filepath.Join(d.path, filepath.FromSlash(name)) }

// Make makes a directory in it, if need be.
func (d *Dir) Make(name string) error { return makeDir(d.Path(name)) }

// Replace writes a file as the function of that name does. What a killed process left of the same file is gone then.
func (d *Dir) Replace(name string, write func(io.Writer) error) error {
	return d.replace(name, func(f *os.File) error { return write(f) })
}

// ReplaceTensors is Replace with what [EncodeTensors] returns, which is never all in memory.
func (d *Dir) ReplaceTensors(name string, tensors map[string]Tensor, metadata map[string]string) error {
	return d.replace(name, func(f *os.File) error {
		at, sum, err := writeTensors(f, tensors, metadata)
		if err == nil {
			_, err = f.WriteAt([]byte(sum), at)
		}
		return err
	})
}

func (d *Dir) replace(name string, write func(*os.File) error) error {
	if err := d.RemoveUnfinished(name); err != nil {
		return err
	}
	path := d.Path(name)
	return replace(path, filepath.Base(path), write)
}

// OpenLines opens a file to append lines to, made if need be. Where they begin is for the caller to say, who has read
// what is there.
func (d *Dir) OpenLines(name string) (*os.File, error) {
	path := d.Path(name)
	f, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE, 0o644)
	if err != nil {
		return nil, err
	}
	if err := syncDir(filepath.Dir(path)); err != nil {
		return nil, errors.Join(err, f.Close())
	}
	return f, nil
}

// RemoveUnfinished removes what a killed process left of the files that it was writing.
func (d *Dir) RemoveUnfinished(names ...string) error {
	for _, name := range names {
		path := d.Path(name)
		err := os.Remove(filepath.Join(filepath.Dir(path), temporary(filepath.Base(path))))
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			return err
		}
	}
	return nil
}

// makeDir makes a directory and those above it, and brings their names to the disk.
func makeDir(path string) error {
	if info, err := os.Stat(path); err == nil && info.IsDir() {
		return nil
	}
	above := filepath.Dir(path)
	if above != path {
		if err := makeDir(above); err != nil {
			return err
		}
	}
	if err := os.Mkdir(path, 0o755); err != nil {
		if info, e := os.Stat(path); e == nil && info.IsDir() { // another process was faster
			return nil
		}
		return err
	}
	return syncDir(above)
}

// sign writes which process this is. A longer line that was there stays after the end of this one: on Windows a file
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
