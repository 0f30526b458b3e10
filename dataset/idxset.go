package dataset

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"path"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"

	"vanilla/internal/memory"
)

// The four files, in the order in which readIDX looks at them.
const (
	trainImages = iota
	trainLabels
	testImages
	testLabels
)

var fileNames = [...]string{
	trainImages: "train-images-idx3-ubyte",
	trainLabels: "train-labels-idx1-ubyte",
	testImages:  "t10k-images-idx3-ubyte",
	testLabels:  "t10k-labels-idx1-ubyte",
}

const standardFiles = "train-images-idx3-ubyte, train-labels-idx1-ubyte, t10k-images-idx3-ubyte, t10k-labels-idx1-ubyte"

var fileRoles = [...]role{trainImages: imageRole, trainLabels: labelRole, testImages: imageRole, testLabels: labelRole}

// idxName is what IDX files are called: what stands in front, which part of the set they are, and of what.
var idxName = regexp.MustCompile(`^(|.*[-_.])(?i:(train|test|t10k)[-_.](images|labels)[-_.]idx([1-4]?)(?:[-_.]([a-z0-9]+))?(\.gz)?)$`)

// idxFiles are the files of one set; "" is a missing one.
type idxFiles struct {
	names [len(fileNames)]string
	other [len(fileNames)]string // of another kind, so that nobody knows which is meant
}

// idxSets groups the names of files by what stands in front of them. Where a file is there in several forms the plain one
// is taken, and the dash is preferred to the dot. Forms differ in nothing else: train-labels-idx2-float is another file than
// train-labels-idx1-ubyte, and test-labels than t10k-labels.
func idxSets(names []string) map[string]idxFiles {
	sets := map[string]idxFiles{}
	for _, name := range names {
		m := idxName.FindStringSubmatch(name)
		if m == nil {
			continue
		}
		i := trainImages
		if strings.ToLower(m[2]) != "train" {
			i = testImages
		}
		if strings.EqualFold(m[3], "labels") {
			i++
		}
		set := sets[m[1]]
		switch {
		case set.names[i] == "":
			set.names[i] = name
		case idxKind(name) != idxKind(set.names[i]):
			set.other[i] = name
		case preferred(name) < preferred(set.names[i]):
			set.names[i] = name
		}
		sets[m[1]] = set
	}
	return sets
}

// idxKind is what the forms of a file have in common.
func idxKind(name string) string {
	m := idxName.FindStringSubmatch(name)
	return strings.ToLower(strings.Join(m[2:6], "-"))
}

// preferred orders the forms of a file.
func preferred(name string) (rank int) {
	if strings.HasSuffix(strings.ToLower(name), ".gz") {
		rank++
	}
	if strings.Contains(strings.ToLower(name), ".idx") {
		rank += 2
	}
	return rank
}

// oneSet is what stands in front of the only set's files.
func oneSet(dir string, sets map[string]idxFiles) (string, error) {
	prefixes := slices.Sorted(maps.Keys(sets))
	if len(prefixes) == 1 {
		return prefixes[0], nil
	}
	var names []string
	for _, p := range prefixes {
		names = append(names, strings.TrimRight(p, "-_."))
	}
	return "", fmt.Errorf("%s: expected one data set, found %s: want one of them, as in %s", dir, mentioned(names), filepath.Join(dir, names[0]))
}

// ReadIDX reads a data set of the four files that [Open] describes, from a file system. Errors show files as
// dir/file; the set gets a name.
func ReadIDX(ctx context.Context, files fs.FS, dir, name string, o Options) (*Dataset, error) {
	if err := o.check(); err != nil {
		return nil, err
	}
	entries, err := fs.ReadDir(files, ".")
	if err != nil {
		return nil, fmt.Errorf("%s: %w", dir, err)
	}
	var names []string
	for _, e := range entries {
		names = append(names, e.Name())
	}
	f, err := readIDX(ctx, files, dir, name, "", idxSets(names))
	if err != nil {
		return nil, err
	}
	return f.dataset(ctx, o)
}

// readIDX reads the headers of the files and then the rest, side by side: the training images alone take most of the time.
// Errors show files as dir/file.
func readIDX(ctx context.Context, files fs.FS, dir, name, prefix string, sets map[string]idxFiles) (*found, error) {
	paths := sets[prefix].names
	for i, other := range sets[prefix].other {
		if other != "" {
			return nil, fmt.Errorf("%s: expected one file of %s, found %s and %s", dir, [...]string{
				trainImages: "training images", trainLabels: "training labels", testImages: "test images", testLabels: "test labels"}[i], paths[i], other)
		}
	}
	var missing []string
	for i, p := range paths {
		if p == "" && !(i >= testImages && paths[testImages] == "" && paths[testLabels] == "") {
			missing = append(missing, prefix+fileNames[i])
		}
	}
	if len(missing) > 0 {
		return nil, fmt.Errorf("%s: expected the four files %s, plain or .gz, found no %s: %w",
			dir, strings.Join(fileNames[:], ", "), strings.Join(missing, ", "), fs.ErrNotExist)
	}
	// The headers come first: what does not fit together, or into memory, is refused before it is read.
	var opened [len(fileNames)]*reader
	var bytes uint64
	for i, p := range paths {
		if p == "" {
			continue
		}
		shown := filepath.Join(dir, p)
		f, size, err := openRegular(files, p, shown)
		if err != nil {
			return nil, err
		}
		defer f.Close()
		if opened[i], err = openArray(&cancelled{ctx, f}, size, shown, fileRoles[i]); err != nil {
			return nil, err
		}
		bytes += uint64(opened[i].count)
		if opened[i].kind != unsignedByte {
			bytes += 4 * uint64(opened[i].count/elements[opened[i].kind].bytes)
		}
	}
	if err := agree(opened); err != nil {
		return nil, err
	}
	if err := memory.Check(fmt.Sprintf("the data set %s", dir), bytes); err != nil {
		return nil, err
	}
	var arrays [len(fileNames)]*array
	var failures [len(fileNames)]error
	var reading sync.WaitGroup
	for i, in := range opened {
		if in != nil {
			reading.Go(func() { arrays[i], failures[i] = in.array() })
		}
	}
	reading.Wait()
	if ctx.Err() != nil {
		return nil, context.Cause(ctx)
	}
	for _, err := range failures {
		if err != nil {
			return nil, err
		}
	}
	f := &found{name: name, path: dir, form: idxForm, labels: newLabels(), columns: strings.HasPrefix(strings.ToLower(prefix), "emnist")}
	for part := range f.sets {
		images, labels := arrays[2*part], arrays[2*part+1]
		if images == nil {
			continue
		}
		s := set{rows: images.shape[1], cols: images.shape[2], pixels: images.values()}
		if len(images.shape) == 4 {
			f.grey = true
			s.pixels.toGrey()
		}
		var err error
		if labels.soft() {
			err = s.probabilities(labels, f.labels)
		} else {
			s.labels, err = f.labels.of(labels)
		}
		if err != nil {
			return nil, err
		}
		f.sets[part] = s
	}
	var err error
	if f.labels.names, err = classNames(files, dir, prefix); err != nil {
		return nil, err
	}
	if _, err := fs.Stat(files, beforeFile); err == nil && prefix != "" {
		f.notes = append(f.notes, accountLeftOut)
	}
	images := &f.sets[training]
	f.before, err = readBefore(files, dir, prefix, Size{images.rows, images.cols})
	return f, err
}

// cancelled is a stream that fails when ctx is done.
type cancelled struct {
	ctx context.Context
	io.Reader
}

func (c *cancelled) Read(p []byte) (int, error) {
	if c.ctx.Err() != nil {
		return 0, context.Cause(c.ctx)
	}
	return c.Reader.Read(p)
}

// openRegular opens a regular file.
func openRegular(files fs.FS, name, shown string) (f fs.File, size int64, err error) {
	info, err := fs.Stat(files, name)
	if err == nil && !info.Mode().IsRegular() { // opening a pipe would wait for its writer
		err = fmt.Errorf("expected a regular file, found mode %s", info.Mode())
	}
	if err == nil {
		f, err = files.Open(name)
	}
	if err != nil {
		return nil, 0, fmt.Errorf("%s: %w", shown, err)
	}
	return f, info.Size(), nil
}

// agree compares what the headers say.
func agree(files [len(fileNames)]*reader) error {
	for i := 0; i < len(files); i += 2 {
		images, labels := files[i], files[i+1]
		if images == nil {
			continue
		}
		if images.shape[0] != labels.shape[0] {
			return &FormatError{
				File:     labels.file,
				Offset:   dimensionOffset(0),
				Expected: fmt.Sprintf("%d labels, one for each image of %s", images.shape[0], images.file),
				Found:    fmt.Sprint(labels.shape[0]),
			}
		}
		if len(images.shape) == 4 && images.shape[3] != 3 {
			return &FormatError{
				File:     images.file,
				Offset:   dimensionOffset(3),
				Expected: "3 colours",
				Found:    fmt.Sprint(images.shape[3]),
			}
		}
	}
	train, test := files[trainImages], files[testImages]
	if test != nil && !slices.Equal(train.shape[1:], test.shape[1:]) {
		return &FormatError{
			File:     test.file,
			Offset:   dimensionOffset(1),
			Expected: fmt.Sprintf("images of %dx%d pixels, as in %s", train.shape[1], train.shape[2], train.file),
			Found:    fmt.Sprintf("%dx%d", test.shape[1], test.shape[2]),
		}
	}
	return nil
}

// soft says that an array of labels is one of probabilities: a matrix of floats.
func (a *array) soft() bool {
	return len(a.shape) == 2 && a.shape[1] > 1 && (a.kind == float32s || a.kind == float64s)
}

// probabilities are the rows of an IDX file, a column for each class.
func (s *set) probabilities(a *array, l *labels) error {
	e := elements[a.kind]
	return s.matrix(a.file, a.shape[0], a.shape[1], l, func(k int) float64 { return e.value(a.data[k*e.bytes:]) })
}

// of are the labels of an IDX file: its elements, or the first one of each row.
func (l *labels) of(a *array) ([]int32, error) {
	n := a.shape[0]
	each := len(a.data) / n
	found := make([]int32, n)
	for i := range found {
		v := elements[a.kind].value(a.data[i*each:])
		if v != float64(int32(v)) {
			return nil, fmt.Errorf("%s: expected labels that are whole numbers, found %v for image %d, counted from 1", a.file, v, i+1)
		}
		var err error
		if found[i], err = l.number(int(v)); err != nil {
			return nil, fmt.Errorf("%s: %w", a.file, err)
		}
	}
	return found, nil
}

const (
	// namesFile has the classes' names, one on a line.
	namesFile = "classes.txt"
	// mostNamesBytes is how long such a file may be.
	mostNamesBytes = 64 << 10
)

// classNames reads the names of classes beside a set whose files have something in front: those of classes.txt, or the
// characters of EMNIST's mapping. It returns nil if there is neither.
func classNames(files fs.FS, dir, prefix string) (map[int]string, error) {
	for _, file := range []struct {
		name string
		read func(line string, n int) (int, string, error)
	}{
		{prefix + namesFile, func(line string, n int) (int, string, error) { return n, line, nil }},
		{namesFile, func(line string, n int) (int, string, error) { return n, line, nil }},
		{prefix + "mapping.txt", mapped},
	} {
		f, _, err := openRegular(files, file.name, filepath.Join(dir, file.name))
		if errors.Is(err, fs.ErrNotExist) {
			continue
		} else if err != nil {
			return nil, err
		}
		names, err := readNames(f, file.read)
		f.Close()
		if err != nil {
			return nil, fmt.Errorf("%s: %w", filepath.Join(dir, path.Clean(file.name)), err)
		}
		return names, nil
	}
	return nil, nil
}

func readNames(f io.Reader, read func(line string, n int) (int, string, error)) (map[int]string, error) {
	names := map[int]string{}
	lines := bufio.NewScanner(io.LimitReader(f, mostNamesBytes))
	for n := 0; lines.Scan(); n++ {
		line := strings.TrimSpace(lines.Text())
		if line == "" {
			n--
			continue
		}
		label, name, err := read(line, n)
		if err == nil {
			err = checkName(name)
		}
		if err == nil && len(names) == mostClasses {
			err = fmt.Errorf("expected the names of at most %d classes", mostClasses)
		}
		if err != nil {
			return nil, fmt.Errorf("line %d: %w", n+1, err)
		}
		names[label] = name
	}
	if len(names) == 0 {
		return nil, errors.New("expected the names of classes, one on a line, found none")
	}
	return names, lines.Err()
}

// mapped reads a line of EMNIST's mappings: a label, and the codes of the characters that it stands for.
func mapped(line string, _ int) (int, string, error) {
	fields := strings.Fields(line)
	var numbers []int
	for _, field := range fields {
		n, err := strconv.Atoi(field)
		if err != nil || n < 0 || n > 0x10ffff {
			return 0, "", fmt.Errorf("expected a label and the codes of its characters, found %.60q", line)
		}
		numbers = append(numbers, n)
	}
	if len(numbers) < 2 {
		return 0, "", fmt.Errorf("expected a label and the codes of its characters, found %.60q", line)
	}
	var characters []string
	for _, code := range numbers[1:] {
		characters = append(characters, string(rune(code)))
	}
	return numbers[0], strings.Join(characters, "/"), nil
}

// toGrey makes one value of each three, the luminance of colours (ITU-R BT.601, as package image/color rounds it).
func (v *values) toGrey() {
	if v.floats != nil {
		for i := range len(v.floats) / 3 {
			c := v.floats[3*i : 3*i+3]
			v.floats[i] = float32(0.299*c[0]) + float32(0.587*c[1]) + float32(0.114*c[2]) // unfused, so that all processors agree
		}
		v.floats = v.floats[:len(v.floats)/3]
		return
	}
	for i := range len(v.bytes) / 3 {
		c := v.bytes[3*i : 3*i+3]
		v.bytes[i] = byte((19595*uint32(c[0])*0x101 + 38470*uint32(c[1])*0x101 + 7471*uint32(c[2])*0x101 + 1<<15) >> 24)
	}
	v.bytes = v.bytes[:len(v.bytes)/3]
}
