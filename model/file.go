package model

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"math/rand/v2"
	"os"
	"path/filepath"

	"vanilla/internal/memory"
)

// Read reads a model from a file, as [Decode] does.
func Read(path string) (*Model, error) {
	data, err := readFile(path)
	if err != nil {
		return nil, err
	}
	return Decode(data, path)
}

// readFile reads all of a regular file that is not too large.
func readFile(path string) ([]byte, error) {
	info, err := os.Stat(path)
	switch {
	case err != nil:
		return nil, fmt.Errorf("%s: cannot be read: %w", path, cause(err))
	case info.IsDir():
		return nil, fmt.Errorf("%s: expected a safetensors file, found a directory", path)
	case !info.Mode().IsRegular():
		return nil, fmt.Errorf("%s: expected a safetensors file, found a device or pipe (%v)", path, info.Mode())
	case info.Size() > maxFileBytes:
		return nil, fmt.Errorf("%s: expected a safetensors file of at most %d bytes, found %d", path, maxFileBytes, info.Size())
	}
	f, err := os.Open(path)
	if err != nil {
		return nil, fmt.Errorf("%s: cannot be read: %w", path, cause(err))
	}
	defer f.Close()
	start := make([]byte, min(info.Size(), startBytes))
	if _, err := io.ReadFull(f, start); err != nil {
		return nil, fmt.Errorf("%s: cannot be read: %w", path, cause(err))
	}
	if err := checkStart(start, uint64(info.Size())); err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	// The bytes, and the values that come of them.
	if err := memory.Check(path, 2*uint64(info.Size())); err != nil {
		return nil, err
	}
	data := make([]byte, info.Size())
	n, err := io.ReadFull(f, data[copy(data, start):])
	if err != nil && !errors.Is(err, io.EOF) && !errors.Is(err, io.ErrUnexpectedEOF) { // what is missing is missed by Decode
		return nil, fmt.Errorf("%s: cannot be read: %w", path, cause(err))
	}
	return data[:len(start)+n], nil
}

// Write writes the model to a file that readers see whole or not at all: after a failure or a crash path holds what it
// held before, or the new model. A file that exists is replaced, and so is a symbolic link to one; the mode is 0644 less
// the umask. It fails as [Model.Encode] does, if the directory cannot be written to, and if path is no regular file.
func (m *Model) Write(path string) error {
	data, err := m.encode()
	if err != nil {
		return fmt.Errorf("%s: %w", path, err)
	}
	return Replace(path, func(w io.Writer) error {
		_, err := w.Write(data)
		return err
	})
}

// Replace writes a file beside path and renames it to path once it is complete and on the disk, so that readers see what
// path held before or all of what write wrote. Whatever goes wrong, it leaves no such file behind. It is the same on
// every system: os.Rename replaces files on Windows too.
func Replace(path string, write func(io.Writer) error) error {
	if path == "" {
		return errors.New(`expected the name of a file to write, found ""`)
	}
	// A rename would put the file in the place of a device, /dev/null for example.
	if info, err := os.Stat(path); err == nil && info.IsDir() {
		return fmt.Errorf("%s: expected the name of a file to write, found a directory", path)
	} else if err == nil && !info.Mode().IsRegular() {
		return fmt.Errorf("%s: expected the name of a file to write, found a device or pipe (%v)", path, info.Mode())
	}
	dir := filepath.Dir(path)
	// os.CreateTemp would make the mode 0600, and a chmod after it would pass the umask by.
	temp := filepath.Join(dir, fmt.Sprintf(".vanilla-%016x.tmp", rand.Uint64()))
	f, err := os.OpenFile(temp, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o644)
	if err != nil {
		return fmt.Errorf("%s: cannot write to the directory %s: %w", path, dir, cause(err))
	}
	err = write(f)
	if err == nil {
		// Without this, the rename can reach the disk before the values do.
		err = f.Sync()
	}
	err = errors.Join(err, f.Close())
	if err == nil {
		err = os.Rename(temp, path)
	}
	if err != nil {
		return errors.Join(fmt.Errorf("%s: not written: %w", path, cause(err)), os.Remove(temp))
	}
	return nil
}

// cause drops the operation and path that the os package puts before an error: the message around it names the file
// that the user knows.
func cause(err error) error {
	var pathError *fs.PathError
	if errors.As(err, &pathError) {
		return pathError.Err
	}
	var linkError *os.LinkError
	if errors.As(err, &linkError) {
		return linkError.Err
	}
	return err
}
