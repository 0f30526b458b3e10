package main

import (
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"

	"vanilla/internal/store"
	"vanilla/model/zoo"
	"vanilla/train"
)

// writable fails if a file could not be written at path, or must not be. It leaves nothing behind.
func writable(flag, path string) error {
	if path == "" {
		return usagef(`%s "": want the name of a file`, flag)
	}
	if err := store.Writable(path); err != nil {
		return fmt.Errorf("%s %w", flag, err)
	}
	return nil
}

// saveFile writes the file that a flag names.
func saveFile(flag, path string, data []byte) error {
	err := store.Replace(path, func(w io.Writer) error {
		_, err := w.Write(data)
		return err
	})
	if err != nil {
		return fmt.Errorf("%s %w", flag, err)
	}
	return nil
}

// output is a file that a flag names for writing, or "".
type output struct{ flag, path string }

// keepApart fails if an output is a file that the command reads, or that another of its flags names too. Inputs may be
// directories of data sets, and names of what is built in, which are no files.
func keepApart(inputs []string, outputs ...output) error {
	var read []string
	for _, input := range inputs {
		if input == "" || input == "mnist" || slices.Contains(zoo.Names(), input) || slices.Contains(train.Recipes(), input) {
			continue
		}
		read = append(read, input)
		// Of a directory, what a data set consists of.
		for _, pattern := range []string{"*-ubyte*", "*.idx*", "*.csv*", "*.npz", "*.txt"} {
			files, err := filepath.Glob(filepath.Join(input, pattern))
			if err != nil {
				break // a directory whose name is a pattern
			}
			read = append(read, files...)
		}
	}
	for i, o := range outputs {
		if o.path == "" {
			continue
		}
		for _, input := range read {
			if sameFile(o.path, input) {
				return &train.SettingError{Field: o.flag, Value: o.path, Problem: "the command reads this file: want another name"}
			}
		}
		for _, other := range outputs[:i] {
			if other.path != "" && sameFile(o.path, other.path) {
				return &train.SettingError{Field: o.flag, Value: o.path, Problem: "it is also " + other.flag + ": want two names"}
			}
		}
	}
	return nil
}

// sameFile says whether two paths are of one file, which need not be there yet.
func sameFile(a, b string) bool {
	x, err := os.Stat(a)
	y, err2 := os.Stat(b)
	if err == nil && err2 == nil {
		return os.SameFile(x, y)
	}
	return err != nil && err2 != nil && located(a) == located(b)
}

// located is a path from the root, without links to directories.
func located(path string) string {
	dir, base := filepath.Split(path)
	if dir == "" {
		dir = "."
	}
	dir, err := filepath.EvalSymlinks(dir)
	if err == nil {
		dir, err = filepath.Abs(dir)
	}
	if err != nil {
		return path
	}
	return filepath.Join(dir, base)
}
