package main

import (
	"fmt"
	"io"

	"vanilla/internal/store"
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
