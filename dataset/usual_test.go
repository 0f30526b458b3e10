package dataset

import (
	"bytes"
	"fmt"
	"image"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// glyph is a picture of 28x28 pixels that no rotation or reflection leaves as it is, another one for each class.
func glyph(class int) []byte {
	pixels := make([]byte, 28*28)
	for y := 4; y < 24; y++ {
		pixels[y*28+4] = 255 // a bar on the left
	}
	for x := 4; x < 12; x++ {
		pixels[23*28+x] = 200 // with a foot
		pixels[(5+class%16)*28+x+class/16] = 100
	}
	return pixels
}

// transposed is a picture of 28x28 pixels column by column.
func transposed(pixels []byte) []byte {
	other := make([]byte, len(pixels))
	for i, v := range pixels {
		other[i%28*28+i/28] = v
	}
	return other
}

// EMNIST as NIST distributes it: six sets of .gz files in one directory, images column by column, labels of letters from 1,
// and a file that says which characters a label stands for.
func TestEMNIST(t *testing.T) {
	files := map[string][]byte{}
	for set, labels := range map[string][2]int{"balanced": {0, 47}, "byclass": {0, 62}, "bymerge": {0, 47}, "digits": {0, 10}, "letters": {1, 27}, "mnist": {0, 10}} {
		var pixels, numbers []byte
		var mapping strings.Builder
		for n := labels[0]; n < labels[1]; n++ {
			pixels, numbers = append(pixels, transposed(glyph(n))...), append(numbers, byte(n))
			switch {
			case set == "letters":
				fmt.Fprintf(&mapping, "%d %d %d\r\n", n, 'A'+n-1, 'a'+n-1)
			default:
				fmt.Fprintf(&mapping, "%d %d\n", n, "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"[n])
			}
		}
		n := uint32(len(numbers))
		for _, part := range []string{"train", "test"} {
			files["emnist-"+set+"-"+part+"-images-idx3-ubyte.gz"] = gzipped(t, idx(pixels, n, 28, 28))
			files["emnist-"+set+"-"+part+"-labels-idx1-ubyte.gz"] = gzipped(t, idx(numbers, n))
		}
		files["emnist-"+set+"-mapping.txt"] = []byte(mapping.String())
	}
	dir := write(t, "gzip", files)
	refused(t, dir, Options{}, "expected one data set, found emnist-balanced, emnist-byclass, emnist-bymerge, emnist-digits, emnist-letters", filepath.Join(dir, "emnist-balanced"))
	for set, want := range map[string]struct {
		classes     int
		first, last string
	}{"letters": {26, "A/a", "Z/z"}, "balanced": {47, "0", "k"}, "byclass": {62, "0", "z"}, "digits": {10, "", ""}, "mnist": {10, "", ""}} {
		d := open(t, filepath.Join(dir, "emnist-"+set), Options{Transpose: true})
		if d.Name != "emnist-"+set || d.Train.Classes != want.classes || d.Notes != nil || !d.Train.Prepared.Transpose {
			t.Errorf("%s: %q of %d classes, prepared as %+v, notes %q", set, d.Name, d.Train.Classes, d.Train.Prepared, d.Notes)
		}
		if names := d.Train.Names; want.first == "" && names != nil || want.first != "" && (names[0] != want.first || names[len(names)-1] != want.last) {
			t.Errorf("%s: names %q", set, names)
		}
		for i, label := range d.Test.Labels {
			class := i
			if set == "letters" {
				class++
			}
			if int(label) != i || !bytes.Equal(d.Test.Image(i), glyph(class)) {
				t.Fatalf("%s: image %d has the label %d, or is not upright", set, i, label)
			}
		}
	}
	noted(t, open(t, filepath.Join(dir, "emnist-letters"), Options{}), `EMNIST stores images column by column: "transpose" turns them upright`)

	// Rows and columns may differ in number.
	s := small()
	wide := write(t, "wide", map[string][]byte{fileNames[0]: s[0], fileNames[1]: s[1], fileNames[2]: s[2], fileNames[3]: s[3]})
	if d := open(t, wide, Options{Transpose: true}); d.Train.Rows != 4 || d.Train.Cols != 2 || !bytes.Equal(d.Train.Image(0), []byte{0, 40, 10, 50, 20, 60, 30, 70}) {
		t.Errorf("%dx%d, first image %v", d.Train.Rows, d.Train.Cols, d.Train.Image(0))
	}

	// One set by itself, unpacked, as torchvision leaves it, without its mapping.
	for name := range files {
		if !strings.HasPrefix(name, "emnist-letters") || strings.HasSuffix(name, "mapping.txt") {
			delete(files, name)
		}
	}
	d := open(t, write(t, "raw", files), Options{Transpose: true})
	noted(t, d, "labels go from 1 to 26: they are the classes 0 to 25, called by their labels")
	if d.Train.Names[25] != "26" {
		t.Errorf("names %q", d.Train.Names)
	}
}

// QMNIST as it is distributed: labels are rows of 8 numbers of 32 bits (the class, NIST's series, the writer, the digit's
// number of that writer, NIST's code of the class, the digit's number of all, whether it is there twice, and 0).
func TestQMNIST(t *testing.T) {
	var pixels []byte
	var rows []int32
	for n := range int32(10) {
		pixels = append(pixels, glyph(int(n))...)
		rows = append(rows, n, 4*(n%2), 2000+n, 229+n, '0'+n, 380000+n, 0, 0)
	}
	for _, ending := range []string{"", ".gz"} {
		files := map[string][]byte{}
		for _, part := range []string{"train", "test"} {
			images, labels := idx(pixels, 10, 28, 28), idx4(rows, 10, 8)
			if ending != "" {
				images, labels = gzipped(t, images), gzipped(t, labels)
			}
			files["qmnist-"+part+"-images-idx3-ubyte"+ending] = images
			files["qmnist-"+part+"-labels-idx2-int"+ending] = labels
		}
		files["qmnist-test-labels.tsv.gz"] = []byte("what is beside them is no matter")
		files["xnist-images-idx3-ubyte.xz"] = []byte("nor is this")
		d := open(t, write(t, "qmnist", files), Options{})
		if want := []byte{0, 1, 2, 3, 4, 5, 6, 7, 8, 9}; !bytes.Equal(d.Train.Labels, want) || !bytes.Equal(d.Test.Labels, want) || d.Train.Classes != 10 || d.Train.Targets != nil || d.Notes != nil || d.Train.Names != nil {
			t.Errorf("labels %v and %v in %d classes %q, notes %q", d.Train.Labels, d.Test.Labels, d.Train.Classes, d.Train.Names, d.Notes)
		}
		if !slices.Equal(d.Train.Pixels, pixels) || d.Train.Rows != 28 {
			t.Error("images are others")
		}
	}
	// A file that is cut short, as a download may be.
	files := map[string][]byte{}
	for _, part := range []string{"train", "test"} {
		files["qmnist-"+part+"-images-idx3-ubyte.gz"] = gzipped(t, idx(pixels, 10, 28, 28))
		files["qmnist-"+part+"-labels-idx2-int.gz"] = gzipped(t, idx4(rows[:72], 10, 8))
	}
	refused(t, write(t, "qmnist", files), Options{}, "labels-idx2-int.gz", "expected 320 bytes of data after the header, found the end of the file")
}

// What was done to pictures before they were written is done first, however often they were written.
func TestPictureAfterWriting(t *testing.T) {
	first := Preparation{Pictures: true, Size: Size{1, 2}, Invert: true}
	for _, c := range []struct {
		what Preparation
		want []byte
	}{
		{first, []byte{64, 255}},
		{Preparation{Before: &first}, []byte{64, 255}},
		{Preparation{Invert: true, Before: &first}, []byte{191, 0}},
		{Preparation{Range: Range{0, 128}, Before: &first}, []byte{128, 255}},
		{Preparation{Invert: true, Before: &Preparation{Transpose: true, Before: &Preparation{Invert: true, Before: &first}}}, []byte{64, 255}},
	} {
		rows, cols := 1, 2
		if s := c.what.result(); s.Rows == 2 {
			rows, cols = 2, 1
		}
		picture := &image.Gray{Pix: []byte{191, 0}, Stride: 2, Rect: image.Rect(0, 0, 2, 1)}
		if found := c.what.Picture(picture, rows, cols); !bytes.Equal(found, c.want) {
			t.Errorf("%+v: %v, want %v", c.what, found, c.want)
		}
	}
}
