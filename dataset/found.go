package dataset

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"vanilla/internal/store"
	"vanilla/internal/words"
)

// found is what a reader found, before anything is done to it.
type found struct {
	name, path string
	form       string // what errors call it
	sets       [2]set // training and test images; the second one may be empty
	labels     *labels
	pictures   bool         // the images were pictures, and are prepared but for their range
	grey       bool         // and had colours
	before     *Preparation // see Preparation.Before
	columns    bool         // images are stored column by column
	notes      []string
}

// The sets of found.
const (
	training = iota
	test
)

// set is one part of a data set.
type set struct {
	rows, cols int
	pixels     *values // nil if there is none
	labels     []int32 // see labels
	// targets are probabilities [N, len(columns)] of the labels that columns are, nil if there are none.
	targets []float32
	columns []int32
}

func (s *set) len() int { return len(s.labels) }

// values are numbers, bytes as long as all are whole ones from 0 to 255.
type values struct {
	bytes  []byte
	floats []float32 // in place of bytes, if not nil
}

// add appends a number.
func (v *values) add(x float32) {
	if v.floats == nil {
		if b := byte(max(0, min(255, x))); float32(b) == x {
			v.bytes = append(v.bytes, b)
			return
		}
		v.floats = make([]float32, len(v.bytes), 2*len(v.bytes)+1)
		for i, b := range v.bytes {
			v.floats[i] = float32(b)
		}
		v.bytes = nil
	}
	v.floats = append(v.floats, x)
}

// manyLevels says that bytes have a value that is no small one. It looks no further than it must.
func (v *values) manyLevels() bool {
	return v.floats == nil && slices.ContainsFunc(v.bytes, func(b byte) bool { return b >= fewLevels })
}

// extent is the least and the largest value. NaN is reported by its index, which is otherwise -1, and so are infinities.
func (v *values) extent() (least, largest float32, strange int) {
	if v.floats == nil {
		return float32(slices.Min(v.bytes)), float32(slices.Max(v.bytes)), -1
	}
	least, largest = v.floats[0], v.floats[0]
	for i, x := range v.floats {
		if x-x != 0 {
			return 0, 0, i
		}
		least, largest = min(least, x), max(largest, x)
	}
	return least, largest, -1
}

// expectedForms is what a directory of a data set may hold.
const expectedForms = "four IDX files (" + standardFiles + ", plain or .gz), .csv or .npz files, or a folder of pictures for each class"

// find tells the forms apart and reads what is there.
func find(ctx context.Context, path string, o Options) (*found, error) {
	absolute, err := filepath.Abs(path)
	if err != nil {
		return nil, err
	}
	name := filepath.Base(absolute)
	info, err := os.Stat(path)
	if errors.Is(err, fs.ErrNotExist) {
		// One of several sets in a directory.
		dir, prefix := filepath.Split(absolute)
		if names, dirErr := fileNamesOf(dir); dirErr == nil {
			if _, ok := idxSets(names)[prefix+"-"]; ok {
				return readIDX(ctx, os.DirFS(dir), filepath.Dir(path), name, prefix+"-", idxSets(names))
			}
		}
	}
	switch {
	case err != nil:
		return nil, fmt.Errorf("%s: %w", path, store.Cause(err))
	case info.Mode().IsRegular() && isCSV(name):
		return readCSV(ctx, path, []string{path}, o)
	case info.Mode().IsRegular() && isNPZ(name):
		return readNPZ(ctx, path, []string{path})
	case info.Mode().IsRegular():
		return nil, fmt.Errorf("%s: expected a directory, or a file whose name ends in .csv, .csv.gz or .npz", path)
	case !info.IsDir(): // opening a pipe would wait for its writer
		return nil, fmt.Errorf("%s: expected a directory or a regular file, found mode %s", path, info.Mode())
	}
	names, err := fileNamesOf(path)
	if err != nil {
		return nil, err
	}
	f, err := findIn(ctx, path, name, names, o)
	if err != nil {
		return nil, err
	}
	if forms := formsIn(path, names); len(forms) > 1 {
		var others []string
		for _, form := range forms[1:] {
			others = append(others, form.String())
		}
		f.notes = append(f.notes, fmt.Sprintf("left out %s beside %s: a directory of its own would make it data", words.And(others), forms[0]))
	}
	if !f.pictures && f.form != idxForm && slices.Contains(names, beforeFile) { // among pictures it is a file like others
		f.notes = append(f.notes, accountLeftOut)
	}
	return f, nil
}

// accountLeftOut says that the file of what was done to images is not theirs.
const accountLeftOut = "left out " + beforeFile + ": it is read with the IDX files alone that were written with it"

// findIn is find in a directory that holds files of these names.
func findIn(ctx context.Context, path, name string, names []string, o Options) (*found, error) {
	if sets := idxSets(names); len(sets) > 0 {
		prefix := ""
		if _, standard := sets[""]; !standard {
			var err error
			if prefix, err = oneSet(path, sets); err != nil {
				return nil, err
			}
		}
		return readIDX(ctx, os.DirFS(path), path, name, prefix, sets)
	}
	for _, form := range []struct {
		is   func(string) bool
		read func([]string) (*found, error)
	}{
		{isNPZ, func(files []string) (*found, error) { return readNPZ(ctx, path, files) }},
		{isCSV, func(files []string) (*found, error) { return readCSV(ctx, path, files, o) }},
	} {
		var files []string
		for _, n := range names {
			if form.is(n) {
				files = append(files, filepath.Join(path, n))
			}
		}
		if files != nil {
			return form.read(files)
		}
	}
	return readFolders(ctx, path, name, o)
}

// mostFiles is how many files a directory may hold.
const mostFiles = 4 << 20

// fileNamesOf lists a directory, in order, without what is hidden.
func fileNamesOf(dir string) ([]string, error) {
	d, err := os.Open(dir)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", dir, store.Cause(err))
	}
	defer d.Close()
	entries, err := entriesOf(d, dir)
	var names []string
	for _, e := range entries {
		names = append(names, e.Name())
	}
	return names, err
}

// entriesOf lists an open directory, in order, without what is hidden.
func entriesOf(d fs.ReadDirFile, dir string) ([]fs.DirEntry, error) {
	var all []fs.DirEntry
	for {
		some, err := d.ReadDir(4096)
		for _, e := range some {
			if !hidden(e.Name()) {
				all = append(all, e)
			}
		}
		if len(all) > mostFiles {
			return nil, fmt.Errorf("%s: expected at most %s files, found more", dir, words.Thousands(mostFiles))
		}
		if len(some) == 0 {
			slices.SortFunc(all, func(a, b fs.DirEntry) int { return strings.Compare(a.Name(), b.Name()) })
			if err != nil && !errors.Is(err, io.EOF) {
				return nil, fmt.Errorf("%s: %w", dir, store.Cause(err))
			}
			return all, nil
		}
	}
}

// hidden are files that systems put beside those of people.
func hidden(name string) bool {
	return strings.HasPrefix(name, ".") || name == "Thumbs.db" || name == "desktop.ini" || name == "__MACOSX"
}

// bySplit says which of one or two files, by their names, has the training and which the test images.
func bySplit(dir string, files []string) (sorted [2]string, err error) {
	for _, f := range files {
		i := training
		if base := strings.ToLower(filepath.Base(f)); strings.Contains(base, "test") || strings.Contains(base, "t10k") {
			i = test
		}
		if sorted[i] != "" {
			return sorted, fmt.Errorf("%s: expected one file, or one with test in its name and one without, found %s and %s",
				dir, filepath.Base(sorted[i]), filepath.Base(f))
		}
		sorted[i] = f
	}
	if sorted[training] == "" {
		sorted = [2]string{sorted[test]}
	}
	return sorted, nil
}
