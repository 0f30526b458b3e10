package dataset

import (
	"bufio"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"math"
	"os"
	"path/filepath"
	"slices"

	"vanilla/internal/store"
)

// FirstFile is one of those that Write writes.
const FirstFile = "train-images-idx3-ubyte"

// softLabels are the files of labels where a set has targets: rows of floats.
var softLabels = map[string]string{
	fileNames[trainLabels]: "train-labels-idx2-float",
	fileNames[testLabels]:  "t10k-labels-idx2-float",
}

// beforeFile has what was done to images before they were written, as JSON.
const beforeFile = "vanilla-prepared.json"

// Write writes a data set as the four files of IDX into a directory, which is made if need be: labels as bytes, or where the
// set has targets as a row of floats for each image, in train-labels-idx2-float and t10k-labels-idx2-float. The classes'
// names, if they have any, are in classes.txt, and what was done to the images, if anything was, in
// vanilla-prepared.json. It fails if one of the files is there, or other data.
func (d *Dataset) Write(dir string) error {
	type file struct {
		name  string
		write func(io.Writer) error
	}
	files := []file{}
	for i, set := range []*Images{d.Train, d.Test} {
		labels := file{fileNames[2*i+1], idxOf(unsignedByte, set.Labels, set.Len())}
		if set.Targets != nil {
			labels = file{softLabels[labels.name], idxOf(float32s, bigEndian(set.Targets), set.Len(), set.Classes)}
		}
		files = append(files, file{fileNames[2*i], idxOf(unsignedByte, set.Pixels, set.Len(), set.Rows, set.Cols)}, labels)
	}
	if d.Train.Names != nil {
		files = append(files, file{namesFile, func(w io.Writer) error {
			for _, name := range d.Train.Names {
				if _, err := fmt.Fprintln(w, name); err != nil {
					return err
				}
			}
			return nil
		}})
	}
	if before := d.Train.Prepared.written(Size{d.Train.Rows, d.Train.Cols}); before != nil {
		if err := before.checkWritten(Size{d.Train.Rows, d.Train.Cols}); err != nil {
			return fmt.Errorf("%s: %w", dir, err)
		}
		files = append(files, file{beforeFile, func(w io.Writer) error { return json.NewEncoder(w).Encode(before) }})
	}
	for _, name := range slices.Concat(fileNames[:], slices.Sorted(maps.Values(softLabels)), []string{namesFile, beforeFile}) {
		if _, err := os.Lstat(filepath.Join(dir, name)); err == nil {
			return fmt.Errorf("%s: there is one already: want another directory", filepath.Join(dir, name))
		} else if !errors.Is(err, fs.ErrNotExist) {
			return fmt.Errorf("%s: %w", dir, store.Cause(err))
		}
	}
	if names, err := fileNamesOf(dir); err == nil {
		if forms := formsIn(dir, names); forms != nil {
			return fmt.Errorf("%s: it holds %s already, which these files would hide: want another directory", dir, forms[0])
		}
	}
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return fmt.Errorf("%s: %w", dir, store.Cause(err))
	}
	for _, f := range files {
		if err := store.Replace(filepath.Join(dir, f.name), f.write); err != nil {
			return err
		}
	}
	return nil
}

// idxOf writes an IDX file of elements of a kind.
func idxOf(kind byte, data []byte, shape ...int) func(io.Writer) error {
	return func(w io.Writer) error {
		header := []byte{0, 0, kind, byte(len(shape))}
		for _, n := range shape {
			header = binary.BigEndian.AppendUint32(header, uint32(n))
		}
		b := bufio.NewWriter(w)
		b.Write(header)
		b.Write(data)
		return b.Flush()
	}
}

// bigEndian are numbers as IDX files have them.
func bigEndian(numbers []float32) []byte {
	b := make([]byte, 0, 4*len(numbers))
	for _, v := range numbers {
		b = binary.BigEndian.AppendUint32(b, math.Float32bits(v))
	}
	return b
}

// mostBefore is how long such a file may be.
const mostBefore = 64 << 10

// readBefore reads vanilla-prepared.json beside IDX files that have something in front, of images of a
// size; nil if there is none.
func readBefore(files fs.FS, dir, prefix string, size Size) (*Preparation, error) {
	shown := filepath.Join(dir, prefix+beforeFile)
	f, _, err := openRegular(files, prefix+beforeFile, shown)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	} else if err != nil {
		return nil, err
	}
	defer f.Close()
	text, err := io.ReadAll(io.LimitReader(f, mostBefore))
	if err != nil {
		return nil, fmt.Errorf("%s: %w", shown, err)
	}
	before := new(Preparation)
	*before, err = ParsePreparation(text)
	if err == nil {
		err = before.checkWritten(size)
	}
	if err != nil {
		return nil, fmt.Errorf("%s: %w", shown, err)
	}
	return before, nil
}
