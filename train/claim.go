package train

import (
	"errors"
	"fmt"
	"io/fs"

	"vanilla/internal/store"
)

// Claim makes the directory that a flag names and locks it against other processes until it is closed, see
// [store.Claim]. It fails with a *SettingError if dir cannot be a directory, or holds another kind of thing.
func Claim(flag, dir string, kind *store.Kind) (*store.Dir, error) {
	check := func() error {
		if found := store.Holds(dir); found != nil && found != kind {
			return &SettingError{flag, dir, fmt.Sprintf("holds %s: want another directory", found)}
		}
		return nil
	}
	if err := check(); err != nil {
		return nil, err
	}
	d, err := store.Claim(dir)
	var path *fs.PathError
	if errors.As(err, &path) {
		return nil, &SettingError{flag, dir, fmt.Sprintf("want a directory: %v", store.Cause(err))}
	} else if err != nil {
		return nil, fmt.Errorf("%s %s: %w", flag, dir, err)
	}
	// It may have become one while we waited.
	if err := check(); err != nil {
		return nil, errors.Join(err, d.Close())
	}
	return d, nil
}
