package model

import (
	"errors"
	"fmt"
	"io"
	"os"

	"vanilla/internal/memory"
	"vanilla/internal/store"
)

// Read reads a model from a file, as [Decode] does.
func Read(path string) (*Model, error) {
	data, err := readFile(path)
	if err != nil {
		return nil, err
	}
	return Decode(data, path)
}

// Is says whether a file begins as safetensors files do: with a header's length and a JSON object.
func Is(path string) bool {
	f, err := os.Open(path)
	if err != nil {
		return false
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil || !info.Mode().IsRegular() {
		return false
	}
	start := make([]byte, startBytes)
	n, _ := io.ReadFull(f, start)
	return checkStart(start[:n], uint64(info.Size())) == nil
}

// readFile reads all of a regular file that is not too large.
func readFile(path string) ([]byte, error) {
	info, err := os.Stat(path)
	switch {
	case err != nil:
		return nil, fmt.Errorf("%s: cannot be read: %w", path, store.Cause(err))
	case info.IsDir():
		return nil, fmt.Errorf("%s: expected a safetensors file, found a directory", path)
	case !info.Mode().IsRegular():
		return nil, fmt.Errorf("%s: expected a safetensors file, found a device or pipe (%v)", path, info.Mode())
	case info.Size() > maxFileBytes:
		return nil, fmt.Errorf("%s: expected a safetensors file of at most %d bytes, found %d", path, maxFileBytes, info.Size())
	}
	f, err := os.Open(path)
	if err != nil {
		return nil, fmt.Errorf("%s: cannot be read: %w", path, store.Cause(err))
	}
	defer f.Close()
	start := make([]byte, min(info.Size(), startBytes))
	if _, err := io.ReadFull(f, start); err != nil {
		return nil, fmt.Errorf("%s: cannot be read: %w", path, store.Cause(err))
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
		return nil, fmt.Errorf("%s: cannot be read: %w", path, store.Cause(err))
	}
	return data[:len(start)+n], nil
}

// Write writes the model to a file that readers see whole or not at all: after a failure or a crash path holds what it
// held before, or the new model. A file that exists is replaced, and so is a symbolic link to one; the mode is 0644 less
// the umask. It fails as [Model.Encode] does, if the directory cannot be written to, if path is no
// regular file, and if it belongs to a run or a sweep.
func (m *Model) Write(path string) error {
	data, err := m.encode()
	if err != nil {
		return fmt.Errorf("%s: %w", path, err)
	}
	return store.Replace(path, func(w io.Writer) error {
		_, err := w.Write(data)
		return err
	})
}
