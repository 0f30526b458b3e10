// Package dataset reads sets of labelled images, in the forms in which people have them, and makes them what networks are
// trained on: grey images of one size, and classes from 0. [Open] tells the forms apart:
//
//	IDX       MNIST's own: images and labels, of training and of test images, in a file each
//	pictures  a folder for each class
//	CSV       an image on each line, its label first or last
//	npz       NumPy's arrays: x_train, y_train, x_test, y_test, or under other usual names
//
// What is done to the images on the way is a [Preparation], which models keep: what a network is shown later has to come
// the same way.
package dataset

import (
	"context"
	"strconv"
)

// Images is a set of labelled images. Pixels of IDX files stay the bytes they are in the file.
type Images struct {
	Pixels []byte // [N, Rows*Cols] row-major, 0..255
	Labels []byte // [N]
	// Targets are what outputs are to be, [N, Classes] row-major, each row probabilities whose sum is one, where a set has
	// them; nil if they are the labels with certainty. Labels are then the largest.
	Targets    []float32
	Rows, Cols int
	Classes    int // of the whole data set, training and test (10 for MNIST); every label is below
	// Names are what the classes are called, one for each; nil if that is their numbers.
	Names []string
	// Prepared is what was done to them.
	Prepared Preparation
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

// ClassName is what a class is called.
func (s *Images) ClassName(class int) string { return ClassName(s.Names, class) }

// ClassName is what a class is called, by names that may be nil: its number then.
func ClassName(names []string, class int) string {
	if class >= 0 && class < len(names) {
		return names[class]
	}
	return strconv.Itoa(class)
}

// Dataset is the images to train on and the images to report on. Both sets have images of one size, at least one image
// each, the same Classes, and the same
// Names.
type Dataset struct {
	Name        string
	Form        string // IDX, pictures, CSV or npz
	Train, Test *Images
	// Notes say in words what may not be as it should: see [Open]. Settings that would change it are quoted.
	Notes []string
}

// Options are how a data set is read. The zero value takes it as it is.
type Options struct {
	// Size is what images are scaled to: rows x columns. Without one, they must be of one size.
	Size Size
	// Transpose swaps rows and columns, as EMNIST's images need; Invert turns dark ink on light into light on dark.
	Transpose, Invert bool
	// Range are the values that mean black and white. Without one they are 0 and 255, or 0 and the largest value of all
	// images where that is below 32: 1 for images of zeros and ones, 16 for 4 bits.
	Range Range
	// Test is the share of the training images that become the test images of a set without any, of each class the same.
	// TestIfNone says that sets with test images of their own need none.
	Test       float64
	TestIfNone bool
	// Untested takes sets without test images as they are: Test then has no images.
	Untested bool
	// Before is what had been done to pictures before they became the files of a network's data: folders of pictures get it
	// first. Files that Write wrote say this themselves.
	Before *Preparation
	// Network is what was done to the images of the network that the data are for, which the other options repeat; nil if
	// there is none. What was done to the images that Write wrote is not done to them again, but for what is Asked for.
	Network *Preparation
	Asked   Asked
	// Label is the column of the labels in CSV files: first, last, or "" for whichever it seems to be.
	Label string
	// Known is how many classes a network has that the data are for, and KnownNames their names, if any: labels get its
	// numbers, and classes that it does not know follow. Grow says that it is going to learn them.
	Known      int
	KnownNames []string
	Grow       bool
}

// Open reads a data set of up to 256 classes from a directory, or from one .csv or .npz file.
//
// A directory holds either the four files of IDX, as in
//
//	train-images-idx3-ubyte  train-labels-idx1-ubyte  t10k-images-idx3-ubyte  t10k-labels-idx1-ubyte
//
// plain or compressed with gzip (and then perhaps with .gz at the end of their names), named with a dot, as in
// train-images.idx3-ubyte, with test in place of t10k, or with something in front, as in emnist-letters-train-images-idx3-ubyte
// (where there are several such sets, dir/emnist-letters is one of them); or .csv files or .npz files, one or two, of which
// the second is called test; or a folder of pictures for each class, perhaps within folders called train and test. The
// set gets the directory's name.
//
// A file classes.txt has the classes' names, one on a line, and EMNIST's *-mapping.txt the letters. Otherwise the classes
// are the labels: numbers, or the folders' names in their order. Labels that begin at 1 become classes from 0, which keep
// them as names.
//
// Headers are compared with each other and with the memory that is available before images are read, and memory follows
// the bytes that the files really hold, whatever their headers promise. Open fails with a *FormatError if an IDX file is not
// what it should be, with an error that wraps fs.ErrNotExist if files are missing, with a *kernels.SettingError if an
// option does not fit, and with ctx's cause when ctx is done.
func Open(ctx context.Context, path string, o Options) (*Dataset, error) {
	if err := o.check(); err != nil {
		return nil, err
	}
	found, err := find(ctx, path, o)
	if err != nil {
		return nil, err
	}
	return found.dataset(ctx, o)
}
