package main

import (
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"

	"vanilla/dataset"
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

// keepApart fails if an output is a file that the command reads or that another of its flags names too, or would become a
// part of the data that it reads. Inputs may be directories of data sets, and names of what is built in, which are no files.
func keepApart(inputs []string, outputs ...output) error {
	var read, data []string
	for _, input := range inputs {
		if input == "" || input == "mnist" || slices.Contains(zoo.Names(), input) || slices.Contains(train.Recipes(), input) {
			continue
		}
		read = append(read, input)
		if info, err := os.Stat(input); err == nil && info.IsDir() {
			data = append(data, input)
		}
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
		for _, dir := range data {
			within, err := filepath.Rel(located(dir), located(o.path))
			if err == nil && filepath.IsLocal(within) && dataset.Takes(dir, within) {
				return &train.SettingError{Field: o.flag, Value: o.path, Problem: fmt.Sprintf("the command reads its data from %s, of which this would be a part: want another directory", dir)}
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

// located is a path from the root, without links to directories. It need not be there, nor the directories that it is in.
func located(path string) string {
	path, err := filepath.Abs(path)
	if err != nil {
		return path
	}
	rest := filepath.Base(path)
	for dir := filepath.Dir(path); ; dir = filepath.Dir(dir) {
		if there, err := filepath.EvalSymlinks(dir); err == nil {
			return filepath.Join(there, rest)
		}
		if dir == filepath.Dir(dir) {
			return path
		}
		rest = filepath.Join(filepath.Base(dir), rest)
	}
}
