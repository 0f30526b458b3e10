// Package claim gives a process a directory of its own.
package claim

import (
	"errors"
	"fmt"
	"io/fs"

	"vanilla/internal/store"
	"vanilla/kernels"
)

// Directory makes the directory that a setting names and locks it against other processes until it is closed, see
// [store.Claim]. It fails with a *kernels.SettingError if dir cannot be a directory, or holds another kind of thing.
func Directory(field, dir string, kind *store.Kind) (*store.Dir, error) {
	check := func() error {
		if found := store.Holds(dir); found != nil && found != kind {
			return &kernels.SettingError{Field: field, Value: dir, Problem: fmt.Sprintf("holds %s: want another directory", found)}
		}
		return nil
	}
	if err := check(); err != nil {
		return nil, err
	}
	d, err := store.Claim(dir)
	var path *fs.PathError
	if errors.As(err, &path) {
		return nil, &kernels.SettingError{Field: field, Value: dir, Problem: fmt.Sprintf("want a directory: %v", store.Cause(err))}
	} else if err != nil {
		return nil, &kernels.SettingError{Field: field, Value: dir, Err: err}
	}
	// It may have become one while we waited.
	if err := check(); err != nil {
		return nil, errors.Join(err, d.Close())
	}
	return d, nil
}
