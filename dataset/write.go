package dataset

import (
	"bufio"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"

	"vanilla/internal/store"
)

// FirstFile is one of those that Write writes.
const FirstFile = "train-images-idx3-ubyte"

// Write writes a data set as the four files of IDX, and its classes' names, if they have any, as classes.txt, into a
// directory, which is made if need be. It fails if one of the files is there, or other data.
func (d *Dataset) Write(dir string) error {
	type file struct {
		name  string
		write func(io.Writer) error
	}
	files := []file{}
	for i, set := range []*Images{d.Train, d.Test} {
		files = append(files,
			file{fileNames[2*i], idxOf(set.Pixels, set.Len(), set.Rows, set.Cols)},
			file{fileNames[2*i+1], idxOf(set.Labels, set.Len())})
	}
	if d.Train.Names != nil {
		files = append(files, file{namesFile, func(w io.Writer) error {
			for _, name := range d.Train.Names {
				if _, err := fmt.Fprintln(w, name); err != nil {
					return err
				}
			}
			return nil
		}})
	}
	for _, name := range append(fileNames[:], namesFile) {
		if _, err := os.Lstat(filepath.Join(dir, name)); err == nil {
			return fmt.Errorf("%s: there is one already: want another directory", filepath.Join(dir, name))
		} else if !errors.Is(err, fs.ErrNotExist) {
			return fmt.Errorf("%s: %w", dir, store.Cause(err))
		}
	}
	if names, err := fileNamesOf(dir); err == nil {
		if forms := formsIn(dir, names); forms != nil {
			return fmt.Errorf("%s: it holds %s already, which these files would hide: want another directory", dir, forms[0])
		}
	}
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return fmt.Errorf("%s: %w", dir, store.Cause(err))
	}
	for _, f := range files {
		if err := store.Replace(filepath.Join(dir, f.name), f.write); err != nil {
			return err
		}
	}
	return nil
}

// idxOf writes an IDX file of bytes.
func idxOf(data []byte, shape ...int) func(io.Writer) error {
	return func(w io.Writer) error {
		header := []byte{0, 0, unsignedByte, byte(len(shape))}
		for _, n := range shape {
			header = binary.BigEndian.AppendUint32(header, uint32(n))
		}
		b := bufio.NewWriter(w)
		b.Write(header)
		b.Write(data)
		return b.Flush()
	}
}
