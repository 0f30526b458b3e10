// Package mnist holds the MNIST handwritten digits and reads any data set that is stored the same way: four IDX files of
// unsigned bytes, two with images and two with their labels. It also makes any picture of a digit look like MNIST's.
//
// The digits are the work of Yann LeCun, Corinna Cortes and Christopher J.C. Burges, used under CC BY-SA 3.0; see
// data/README.md.
package mnist

import (
	"embed"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"

	"vanilla/internal/memory"
)

// Images is a set of labelled images. Pixels stay the bytes they are in the file.
type Images struct {
	Pixels     []byte // [N, Rows*Cols] row-major, 0..255
	Labels     []byte // [N]
	Rows, Cols int
	Classes    int // 1 + the largest label of the whole data set, training and test (10 for MNIST)
}

// Len is N, the number of images.
func (s *Images) Len() int { return len(s.Labels) }

// Features is the number of pixels of one image, Rows*Cols.
func (s *Images) Features() int { return s.Rows * s.Cols }

// Image returns the pixels [Rows, Cols] of image i, row-major. They are a part of s.Pixels, not a copy.
func (s *Images) Image(i int) []byte {
	size := s.Features()
	return s.Pixels[i*size : (i+1)*size : (i+1)*size]
}

// Dataset is the images to train on and the images to report on. Both sets have images of one size, at least one image
// each, and the same Classes.
type Dataset struct {
	Name        string
	Train, Test *Images
}

//go:embed data/*.gz
var embedded embed.FS

// Embedded returns MNIST: 60,000 training and 10,000 test images of 28x28 pixels in 10 classes. Every call decompresses
// the files anew, 55 MB in about 0.2 s, so that the caller owns what it gets. It fails only if the
// executable is damaged: the CRC-32 of each gzip file is verified.
func Embedded() (*Dataset, error) {
	files, err := fs.Sub(embedded, "data")
	if err != nil {
		return nil, err
	}
	return read(files, "embedded", "mnist")
}

// Open reads a data set of any image size and up to 256 classes from a directory with the four files
//
//	train-images-idx3-ubyte  train-labels-idx1-ubyte  t10k-images-idx3-ubyte  t10k-labels-idx1-ubyte
//
// each of them plain or compressed with gzip (and then perhaps with .gz at the end of its name), or named with a dot, as in
// train-images.idx3-ubyte. Where a file is there in several forms the plain one is read, and the dash is preferred to the
// dot. The set gets the directory's name.
//
// The headers are compared, with each other and with the memory that is available, before images are read; and memory
// follows the bytes that the files really hold, whatever their headers promise. A file that is not what it should
// be fails with a *FormatError, a missing one with an error that wraps fs.ErrNotExist and names the four.
func Open(dir string) (*Dataset, error) {
	absolute, err := filepath.Abs(dir)
	if err != nil {
		return nil, err
	}
	return read(os.DirFS(absolute), dir, filepath.Base(absolute))
}

// The four files, in the order in which read looks at them.
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

var fileRanks = [...]int{trainImages: 3, trainLabels: 1, testImages: 3, testLabels: 1}

// read reads the headers of the four files and then the rest, side by side: the training images alone take most of the
// time. Errors show files as dir/file.
func read(files fs.FS, dir, name string) (*Dataset, error) {
	paths, err := locate(files, dir)
	if err != nil {
		return nil, err
	}
	// The headers come first: what does not fit together, or into memory, is refused before it is read.
	var opened [len(fileNames)]*reader
	for i, path := range paths {
		f, err := files.Open(path)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", filepath.Join(dir, path), err)
		}
		defer f.Close()
		info, err := f.Stat()
		if err != nil {
			return nil, fmt.Errorf("%s: %w", filepath.Join(dir, path), err)
		}
		if opened[i], err = openArray(f, info.Size(), filepath.Join(dir, path), fileRanks[i]); err != nil {
			return nil, err
		}
	}
	if err := agree(opened); err != nil {
		return nil, err
	}
	var bytes uint64
	for _, in := range opened {
		bytes += uint64(in.count)
	}
	if err := memory.Check(fmt.Sprintf("the data set %s", dir), bytes); err != nil {
		return nil, err
	}

	var arrays [len(fileNames)]*array
	var failures [len(fileNames)]error
	var reading sync.WaitGroup
	for i, in := range opened {
		reading.Go(func() { arrays[i], failures[i] = in.array() })
	}
	reading.Wait()
	for _, err := range failures {
		if err != nil {
			return nil, err
		}
	}
	train, test := join(arrays[trainImages], arrays[trainLabels]), join(arrays[testImages], arrays[testLabels])
	train.Classes = 1 + int(max(largest(train.Labels), largest(test.Labels)))
	test.Classes = train.Classes
	return &Dataset{Name: name, Train: train, Test: test}, nil
}

// locate finds the form in which each of the four files is there.
func locate(files fs.FS, dir string) (paths [len(fileNames)]string, err error) {
	var missing []string
	for i, name := range fileNames {
		dotted := strings.Replace(name, "-idx", ".idx", 1)
		paths[i], err = firstExisting(files, name, name+".gz", dotted, dotted+".gz")
		if errors.Is(err, fs.ErrNotExist) {
			missing = append(missing, name)
		} else if err != nil {
			return paths, fmt.Errorf("%s: %w", dir, err)
		}
	}
	if len(missing) > 0 {
		return paths, fmt.Errorf("%s: expected the four files %s, plain or .gz, found no %s: %w",
			dir, strings.Join(fileNames[:], ", "), strings.Join(missing, ", "), fs.ErrNotExist)
	}
	return paths, nil
}

func firstExisting(files fs.FS, paths ...string) (string, error) {
	for _, path := range paths {
		info, err := fs.Stat(files, path)
		switch {
		case errors.Is(err, fs.ErrNotExist):
			continue
		case err != nil:
			return "", err
		case !info.Mode().IsRegular(): // opening a pipe would wait for its writer
			return "", fmt.Errorf("%s: expected a regular file, found mode %s", path, info.Mode())
		}
		return path, nil
	}
	return "", fs.ErrNotExist
}

// agree compares what the headers say.
func agree(files [len(fileNames)]*reader) error {
	for _, set := range [][2]*reader{{files[trainImages], files[trainLabels]}, {files[testImages], files[testLabels]}} {
		if images, labels := set[0], set[1]; images.shape[0] != labels.shape[0] {
			return &FormatError{
				File:     labels.file,
				Offset:   dimensionOffset(0),
				Expected: fmt.Sprintf("%d labels, one for each image of %s", images.shape[0], images.file),
				Found:    fmt.Sprint(labels.shape[0]),
			}
		}
	}
	train, test := files[trainImages], files[testImages]
	if !slices.Equal(train.shape[1:], test.shape[1:]) {
		return &FormatError{
			File:     test.file,
			Offset:   dimensionOffset(1),
			Expected: fmt.Sprintf("images of %dx%d pixels, as in %s", train.shape[1], train.shape[2], train.file),
			Found:    fmt.Sprintf("%dx%d", test.shape[1], test.shape[2]),
		}
	}
	return nil
}

// join puts images [N, Rows, Cols] and labels [N] together; Classes is known only once both sets are.
func join(images, labels *array) *Images {
	return &Images{Pixels: images.data, Labels: labels.data, Rows: images.shape[1], Cols: images.shape[2]}
}

func largest(labels []byte) (most byte) {
	for _, label := range labels {
		most = max(most, label)
	}
	return most
}
