// Package mnist holds the MNIST handwritten digits, and makes any picture of a digit look like them.
//
// The digits are the work of Yann LeCun, Corinna Cortes and Christopher J.C. Burges, used under CC BY-SA 3.0; see
// data/README.md.
package mnist

import (
	"context"
	"embed"
	"io/fs"

	"vanilla/dataset"
)

//go:embed data/*.gz
var embedded embed.FS

// Embedded returns MNIST: 60,000 training and 10,000 test images of 28x28 pixels in 10 classes. Every call decompresses
// the files anew, 55 MB in about 0.2 s, so that the caller owns what it gets. It fails only if the
// executable is damaged: the CRC-32 of each gzip file is verified.
func Embedded() (*dataset.Dataset, error) {
	return Read(context.Background(), dataset.Options{})
}

// Read is Embedded of images that are prepared. It fails as [dataset.Open] does.
func Read(ctx context.Context, o dataset.Options) (*dataset.Dataset, error) {
	files, err := fs.Sub(embedded, "data")
	if err != nil {
		return nil, err
	}
	return dataset.ReadIDX(ctx, files, "mnist", "mnist", o)
}
