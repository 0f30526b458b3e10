package dataset

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"image"
	"image/color"
	"io"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"

	"vanilla/internal/memory"
	"vanilla/internal/store"
	"vanilla/internal/words"
)

// splitNames are what people call the folders of training and of test images.
var splitNames = [2][]string{training: {"train", "training"}, test: {"test", "testing", "val", "valid", "validation"}}

// file is a picture to read: its path within the set's directory, and its label.
type file struct {
	path  string
	label int32
}

// readFolders reads pictures, in a folder for each class. Links that lead out of the directory are refused, and so is all
// that is no regular file.
func readFolders(ctx context.Context, dir, name string, o Options) (*found, error) {
	root, err := os.OpenRoot(dir)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", dir, store.Cause(err))
	}
	defer root.Close()
	r := &folders{root: root, dir: dir, labels: newLabels()}
	r.labels.only = true
	top, err := r.list(".")
	if err != nil {
		return nil, err
	}
	var splits [2]string
	for i, names := range splitNames {
		for _, e := range top {
			if slices.Contains(names, strings.ToLower(e)) && r.isDir(e) {
				if splits[i] != "" {
					return nil, fmt.Errorf("%s: expected one folder of %s images, found %s and %s", dir, [...]string{"training", "test"}[i], splits[i], e)
				}
				splits[i] = e
			}
		}
	}
	if splits[training] == "" {
		splits = [2]string{"."}
	}
	var files [2][]file
	for i, split := range splits {
		if split == "" {
			continue
		}
		if files[i], err = r.classes(ctx, split); err != nil {
			return nil, err
		}
	}
	if len(r.labels.texts) == 0 || len(files[training]) == 0 {
		return nil, fmt.Errorf("%s: expected %s, found none: %w", dir, expectedForms, fs.ErrNotExist)
	}
	f := &found{name: name, path: dir, form: pictureForm, labels: r.labels, pictures: true}
	preparation := Preparation{Invert: o.Invert, Transpose: o.Transpose, Size: o.Size}
	if o.Before != nil && o.Before.OfPictures() {
		preparation.Before = o.Before
		f.before = o.Before
	}
	for i := range files {
		if len(files[i]) == 0 {
			continue
		}
		if f.sets[i], err = r.read(ctx, files[i], preparation); err != nil {
			return nil, err
		}
	}
	f.grey = r.coloured
	if r.skipped > 0 {
		f.notes = append(f.notes, fmt.Sprintf("left out %s: not called .png, .jpg, .jpeg, .gif, .webp or .bmp, as %s", words.Plural(r.skipped, "file"), r.firstSkipped))
	}
	return f, nil
}

// folders reads a tree of pictures.
type folders struct {
	root         *os.Root
	dir          string
	labels       *labels
	skipped      int
	firstSkipped string

	mu       sync.Mutex
	coloured bool
}

// shown is a path as errors show it.
func (r *folders) shown(p string) string {
	return printed(filepath.Join(r.dir, filepath.FromSlash(p)))
}

// printed is a path that is quoted if it could not be printed.
func printed(p string) string {
	if strings.ContainsFunc(p, func(c rune) bool { return !strconv.IsPrint(c) }) {
		return strconv.Quote(p)
	}
	return p
}

func (r *folders) fail(p string, err error) error {
	err = store.Cause(err)
	if strings.Contains(err.Error(), "escapes") {
		err = errors.New("expected what lies within the directory, found a link that leads out of it")
	}
	return fmt.Errorf("%s: %w", r.shown(p), err)
}

// list are the names in a folder, in order.
func (r *folders) list(dir string) ([]string, error) {
	f, err := r.root.Open(dir)
	if err != nil {
		return nil, r.fail(dir, err)
	}
	defer f.Close()
	entries, err := entriesOf(f, r.shown(dir))
	var names []string
	for _, e := range entries {
		names = append(names, e.Name())
	}
	return names, err
}

func (r *folders) isDir(p string) bool {
	info, err := r.root.Stat(p)
	return err == nil && info.IsDir()
}

// pictureNames are how the names of pictures end.
var pictureNames = []string{".png", ".jpg", ".jpeg", ".gif", ".webp", ".bmp"}

// classes lists the pictures of all classes in a folder.
func (r *folders) classes(ctx context.Context, dir string) (files []file, err error) {
	names, err := r.list(dir)
	if err != nil {
		return nil, err
	}
	for _, class := range names {
		at := path.Join(dir, class)
		if info, err := r.root.Stat(at); err != nil {
			return nil, r.fail(at, err)
		} else if !info.IsDir() {
			if isPicture(class) {
				return nil, fmt.Errorf("%s: expected a folder of pictures for each class, found a picture beside them", r.shown(at))
			}
			r.skip(at)
			continue
		}
		label, err := r.labels.text(class)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", r.shown(at), err)
		}
		pictures, err := r.list(at)
		if err != nil {
			return nil, err
		}
		for _, picture := range pictures {
			if ctx.Err() != nil {
				return nil, context.Cause(ctx)
			}
			p := path.Join(at, picture)
			info, err := r.root.Stat(p)
			switch {
			case err != nil:
				return nil, r.fail(p, err)
			case info.IsDir():
				return nil, fmt.Errorf("%s: expected %s, found %s, a folder in that of a class", r.dir, expectedForms, r.shown(p))
			case !isPicture(picture):
				r.skip(p)
			case !info.Mode().IsRegular(): // opening a pipe would wait for its writer
				return nil, fmt.Errorf("%s: expected a regular file, found mode %s", r.shown(p), info.Mode())
			default:
				files = append(files, file{p, label})
			}
		}
		if len(files) > mostFiles {
			return nil, fmt.Errorf("%s: expected at most %s pictures, found more", r.shown(dir), words.Thousands(mostFiles))
		}
	}
	return files, nil
}

func (r *folders) skip(p string) {
	if r.skipped++; r.firstSkipped == "" {
		r.firstSkipped = r.shown(p)
	}
}

// read decodes and prepares pictures, on all cores.
func (r *folders) read(ctx context.Context, files []file, p Preparation) (set, error) {
	first, err := r.picture(files[0].path)
	if err != nil {
		return set{}, err
	}
	size := p.result()
	scaled := size != Size{}
	if !scaled {
		if size = (Size{first.Rect.Dy(), first.Rect.Dx()}); p.Transpose {
			size = Size{size.Cols, size.Rows}
		}
	}
	if max(size.Rows, size.Cols) > mostSide {
		return set{}, fmt.Errorf(`%s: expected a picture of at most %d pixels on a side, found %dx%d: "size" scales it`, r.shown(files[0].path), mostSide, size.Rows, size.Cols)
	}
	bytes := uint64(size.Rows*size.Cols) * uint64(len(files))
	if err := memory.Check(fmt.Sprintf("%s: %s of %v pixels", r.dir, words.Plural(len(files), "picture"), size), bytes); err != nil {
		return set{}, err
	}
	s := set{rows: size.Rows, cols: size.Cols, pixels: &values{bytes: make([]byte, bytes)}, labels: make([]int32, len(files))}
	preparer := newPreparer(p, size)
	err = inParts(len(files), func(from, to int) error {
		for i := from; i < to; i++ {
			if ctx.Err() != nil {
				return context.Cause(ctx)
			}
			picture, err := r.picture(files[i].path)
			if err != nil {
				return err
			}
			if !scaled && picture.Rect != first.Rect {
				return fmt.Errorf(`%s: expected a picture of %dx%d pixels (rows x columns), as %s, found %dx%d: "size" makes them equal`, r.shown(files[i].path),
					first.Rect.Dy(), first.Rect.Dx(), r.shown(files[0].path), picture.Rect.Dy(), picture.Rect.Dx())
			}
			preparer.image(s.pixels.bytes[i*size.Rows*size.Cols:][:size.Rows*size.Cols], picture.Pix, picture.Rect.Dy(), picture.Rect.Dx())
			s.labels[i] = files[i].label
		}
		return nil
	})
	return s, err
}

// picture decodes a file, in grey.
func (r *folders) picture(p string) (*image.Gray, error) {
	f, err := r.root.Open(p)
	if err != nil {
		return nil, r.fail(p, err)
	}
	defer f.Close()
	var data bytes.Buffer
	if _, err := io.Copy(&data, io.LimitReader(f, maxPictureBytes+1)); err != nil {
		return nil, r.fail(p, err)
	}
	picture, err := DecodePicture(data.Bytes())
	if err != nil {
		return nil, fmt.Errorf("%s: %w", r.shown(p), err)
	}
	if b := picture.Bounds(); b.Empty() {
		return nil, fmt.Errorf("%s: expected a picture, found one without pixels", r.shown(p))
	}
	if m := picture.ColorModel(); m != color.GrayModel && m != color.Gray16Model {
		r.mu.Lock()
		r.coloured = true
		r.mu.Unlock()
	}
	return greyOf(picture), nil
}
