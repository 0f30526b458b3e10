// Package mnist holds the MNIST handwritten digits, and makes any picture of a digit look like them.
//
// The digits are the work of Yann LeCun, Corinna Cortes and Christopher J.C. Burges, used under CC BY-SA 3.0; see
// data/README.md.
package mnist

import (
	"context"
	"embed"
	"image"
	"io/fs"

	"vanilla/dataset"
)

// Images and Dataset are package dataset's, under the names that they had here.
type (
	Images      = dataset.Images
	Dataset     = dataset.Dataset
	FormatError = dataset.FormatError
)

//go:embed data/*.gz
var embedded embed.FS

// Embedded returns MNIST: 60,000 training and 10,000 test images of 28x28 pixels in 10 classes. Every call decompresses
// the files anew, 55 MB in about 0.2 s, so that the caller owns what it gets. It fails only if the
// executable is damaged: the CRC-32 of each gzip file is verified.
func Embedded() (*Dataset, error) {
	return Read(context.Background(), dataset.Options{})
}

// Read is Embedded of images that are prepared. It fails as [dataset.Open] does.
func Read(ctx context.Context, o dataset.Options) (*Dataset, error) {
	files, err := fs.Sub(embedded, "data")
	if err != nil {
		return nil, err
	}
	return dataset.ReadIDX(ctx, files, "mnist", "mnist", o)
}

// Open is [dataset.Open] of a set that is taken as it is.
func Open(dir string) (*Dataset, error) {
	return dataset.Open(context.Background(), dir, dataset.Options{})
}

// Formats is [dataset.Formats].
func Formats() string { return dataset.Formats() }

// ReadPicture is [dataset.ReadPicture].
func ReadPicture(ctx context.Context, path string) (image.Image, error) {
	return dataset.ReadPicture(ctx, path)
}

// DecodePicture is [dataset.DecodePicture].
func DecodePicture(data []byte) (image.Image, error) { return dataset.DecodePicture(data) }
