package dataset

import (
	"archive/zip"
	"bytes"
	"encoding/binary"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// writeNPZ writes arrays as NumPy does.
func writeNPZ(t *testing.T, path string, arrays map[string]any) {
	t.Helper()
	var file bytes.Buffer
	z := zip.NewWriter(&file)
	for name, array := range arrays {
		var kind string
		var shape []int
		switch a := array.(type) {
		case [][]float32:
			kind, shape = "<f4", []int{len(a), len(a[0])}
			array = slices.Concat(a...)
		case [][]byte:
			kind, shape = "|u1", []int{len(a), len(a[0])}
			array = slices.Concat(a...)
		case []byte:
			kind, shape = "|u1", []int{len(a)}
		}
		header := fmt.Sprintf("{'descr': '%s', 'fortran_order': False, 'shape': %s, }\n", kind,
			strings.NewReplacer("[", "(", "]", ",)", " ", ", ").Replace(fmt.Sprint(shape)))
		w, err := z.Create(name + ".npy")
		if err != nil {
			t.Fatal(err)
		}
		fmt.Fprintf(w, "\x93NUMPY\x01\x00%c%c%s", len(header)%256, len(header)/256, header)
		if err := binary.Write(w, binary.LittleEndian, array); err != nil {
			t.Fatal(err)
		}
	}
	if err := z.Close(); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, file.Bytes(), 0o600); err != nil {
		t.Fatal(err)
	}
}

// Labels may be rows of probabilities: they are targets then, and the largest is
// the label.
func TestTargets(t *testing.T) {
	path := filepath.Join(t.TempDir(), "soft.npz")
	images := [][]byte{{0, 255, 0, 9}, {1, 2, 3, 4}, {5, 6, 7, 8}}
	write := func(rows [][]float32) {
		writeNPZ(t, path, map[string]any{"x_train": images, "y_train": rows, "x_test": images, "y_test": []byte{0, 1, 2}})
	}
	write([][]float32{{0.25, 0.75, 0}, {0.5, 0.25, 0.25}, {0, 0, 1}})
	d, err := Open(t.Context(), path, Options{})
	if err != nil {
		t.Fatal(err)
	}
	if want := []float32{0.25, 0.75, 0, 0.5, 0.25, 0.25, 0, 0, 1}; !slices.Equal(d.Train.Targets, want) || d.Train.Classes != 3 {
		t.Errorf("targets %v of %d classes, want %v of 3", d.Train.Targets, d.Train.Classes, want)
	}
	if want := []byte{1, 0, 2}; !slices.Equal(d.Train.Labels, want) || d.Test.Targets != nil {
		t.Errorf("labels %v and test targets %v, want %v and none", d.Train.Labels, d.Test.Targets, want)
	}
	// What no image has for its label is learned all the same.
	write([][]float32{{0.34, 0.33, 0.33}, {0.34, 0.33, 0.33}, {0.34, 0.33, 0.33}})
	if d, err := Open(t.Context(), path, Options{}); err != nil || d.Notes != nil {
		t.Errorf("uniform targets: notes %q, %v", d.Notes, err)
	}
	for _, c := range []struct {
		row  []float32
		want string
	}{{[]float32{0.5, 0.25, 0}, "add up to 1 ± 0.0001, found 0.75 for image 3, counted from 1"}, {[]float32{1.5, -0.5, 0}, "probabilities from 0 to 1, found 1.5 for image 3, counted from 1"}} {
		write([][]float32{{1, 0, 0}, {0, 1, 0}, c.row})
		if _, err := Open(t.Context(), path, Options{}); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%v: %v, want %q", c.row, err, c.want)
		}
	}
}

// floatsIDX is an IDX file of 32-bit floats.
func floatsIDX(data []float32, shape ...uint32) []byte {
	file := idx(bigEndian(data), shape...)
	file[2] = float32s
	return file
}

// In IDX, labels that are a matrix of floats are targets, and QMNIST's matrix of whole numbers is not.
func TestTargetsInIDX(t *testing.T) {
	files := set3([]byte{0, 1, 2}, bright)
	delete(files, fileNames[trainLabels])
	soft := []float32{0.25, 0.75, 0, 0, 0.25, 0.25, 0.5, 0, 0, 0, 0.5, 0.5}
	for _, name := range []string{"train-labels-idx2-float", "train-labels.idx2-float", "train-labels-idx2-float.gz"} {
		file := floatsIDX(soft, 3, 4)
		if strings.HasSuffix(name, ".gz") {
			file = gzipped(t, file)
		}
		files[name] = file
		d := open(t, write(t, "soft", files), Options{})
		delete(files, name)
		if !slices.Equal(d.Train.Targets, soft) || d.Train.Classes != 4 || !bytes.Equal(d.Train.Labels, []byte{1, 2, 2}) || d.Test.Targets != nil {
			t.Errorf("%s: targets %v of %d classes, labels %v", name, d.Train.Targets, d.Train.Classes, d.Train.Labels)
		}
	}
	nan := float32(math.NaN())
	for _, c := range []struct {
		row  []float32
		want string
	}{
		{[]float32{0.5, 0.25, 0}, "train-labels-idx2-float: expected probabilities that add up to 1 ± 0.0001, found 0.75 for image 2, counted from 1"},
		{[]float32{1.5, -0.5, 0}, "expected probabilities from 0 to 1, found 1.5 for image 2, counted from 1"},
		{[]float32{-0.5, 1.5, 0}, "expected probabilities from 0 to 1, found -0.5 for image 2, counted from 1"},
		{[]float32{nan, 1, 0}, "expected probabilities from 0 to 1, found NaN for image 2, counted from 1"},
	} {
		files["train-labels-idx2-float"] = floatsIDX(slices.Concat([]float32{0, 0, 1}, c.row, []float32{0, 0, 1}), 3, 3)
		refused(t, write(t, "soft", files), Options{}, c.want)
	}
	files["train-labels-idx2-float"] = floatsIDX(make([]float32, 3*300), 3, 300)
	refused(t, write(t, "soft", files), Options{}, "expected at most 256 classes")
}

// In CSV, the first line says which columns are probabilities, wherever they are.
func TestTargetsInCSV(t *testing.T) {
	rows := func(lines ...string) []byte { return []byte(strings.Join(lines, "\n") + "\n") }
	for name, text := range map[string][]byte{
		"first":    rows("label:dog,label:cat,label:eel,1,2,3,4", "0.25,0.75,0,0,200,0,9", "0.25,0.25,0.5,1,2,3,4", ".5,5e-1,0,5,6,7,8"),
		"last":     rows("1,2,3,4,label:dog,label:cat,label:eel", "0,200,0,9,0.25,0.75,0", "1,2,3,4,0.25,0.25,0.5", "5,6,7,8,.5,5e-1,0"),
		"anywhere": rows("a,Target: eel ,b,c,class:dog,Label:cat,d", "0,0,200,0,0.25,0.75,9", "1,0.5,2,3,0.25,0.25,4", "5,0,6,7,0.5,0.5,8"),
		"a mark":   append([]byte("\xef\xbb\xbf"), rows("label:dog,label:cat,label:eel,1,2,3,4", "0.25,0.75,0,0,200,0,9", "0.25,0.25,0.5,1,2,3,4", ".5,5e-1,0,5,6,7,8")...),
	} {
		d := open(t, write(t, "set", map[string][]byte{"train.csv": text, "test.csv": rows("dog,9,10,200,3", "eel,8,20,210,2")}), Options{})
		if want := []string{"cat", "dog", "eel"}; !slices.Equal(d.Train.Names, want) {
			t.Errorf("%s: names %q, want %q", name, d.Train.Names, want)
		}
		if want := []float32{0.75, 0.25, 0, 0.25, 0.25, 0.5, 0.5, 0.5, 0}; !slices.Equal(d.Train.Targets, want) {
			t.Errorf("%s: targets %v, want %v", name, d.Train.Targets, want)
		}
		// Of two that are as probable, the first class in the classes' order is the label.
		if !bytes.Equal(d.Train.Labels, []byte{0, 2, 0}) || !bytes.Equal(d.Test.Labels, []byte{1, 2}) || !bytes.Equal(d.Train.Image(0), []byte{0, 200, 0, 9}) {
			t.Errorf("%s: labels %v and %v, first image %v", name, d.Train.Labels, d.Test.Labels, d.Train.Image(0))
		}
	}
	header := "label:0,label:1,a,b,c,d"
	for name, c := range map[string]struct {
		text  []byte
		o     Options
		words []string
	}{
		"a sum":       {rows(header, "1,0,1,2,3,4", "0.5,0.4,1,2,3,4"), Options{}, []string{"line 3: expected probabilities that add up to 1 ± 0.0001, found 0.9"}},
		"negative":    {rows(header, "-0.5,1.5,1,2,3,4"), Options{}, []string{"line 2: expected probabilities from 0 to 1, found -0.5"}},
		"NaN":         {rows(header, "NaN,1,1,2,3,4"), Options{}, []string{"line 2: expected probabilities from 0 to 1, found NaN"}},
		"infinite":    {rows(header, "inf,0,1,2,3,4"), Options{}, []string{"line 2: expected probabilities from 0 to 1, found +Inf"}},
		"a word":      {rows(header, "1,no,1,2,3,4"), Options{}, []string{`line 2, column 2: expected a finite number, found "no"`}},
		"a pixel":     {rows(header, "1,0,1,2,no,4"), Options{}, []string{`line 2, column 5: expected a finite number, found "no"`}},
		"alone":       {rows("label:0,a,b,c,d", "1,1,2,3,4"), Options{}, []string{"line 1: expected a column of probabilities for each class", `"label:0" alone`}},
		"twice":       {rows("label:0,label:0,a,b,c,d", "1,0,1,2,3,4"), Options{}, []string{"line 1", "found two for 0"}},
		"both":        {rows("label:0,label:1,a,b,c,label", "1,0,1,2,3,4"), Options{}, []string{"line 1: expected either labels or probabilities", `"label" and "label:0"`}},
		"no pixels":   {rows("label:0,label:1", "1,0"), Options{}, []string{"line 1: expected columns of pixels"}},
		"no name":     {rows("label:,label:1,a,b,c,d", "1,0,1,2,3,4"), Options{}, []string{"line 1, column 1: expected the name of a class"}},
		"no square":   {rows("label:0,label:1,a,b,c", "1,0,1,2,3"), Options{}, []string{"found 3 pixels"}},
		"said":        {rows(header, "1,0,1,2,3,4"), Options{Label: "first"}, []string{"label_column", "columns of probabilities in place of labels"}},
		"other files": {rows(header, "1,0,1,2,3,4", "1,0,1,2,3"), Options{}, []string{"line 3: expected 6 fields"}},
	} {
		t.Run(name, func(t *testing.T) {
			c.o.Test = 0.5
			refused(t, write(t, "set", map[string][]byte{"all.csv": c.text}), c.o, c.words...)
		})
	}
}

// What is written with targets is read with them, as a network is trained on it.
func TestWriteTargets(t *testing.T) {
	path := filepath.Join(t.TempDir(), "soft.npz")
	images := [][]byte{{0, 255, 0, 9}, {1, 2, 3, 4}, {5, 6, 7, 8}, {9, 10, 11, 12}}
	third := float32(1) / 3
	writeNPZ(t, path, map[string]any{"x_train": images, "y_train": [][]float32{{0.1, 0.9, 0}, {0.5, 0, 0.5}, {third, third, third}, {0, 0, 1}}, "x_test": images, "y_test": []byte{0, 1, 2, 0}})
	d := open(t, path, Options{})
	out := filepath.Join(t.TempDir(), "out")
	if err := d.Write(out); err != nil {
		t.Fatal(err)
	}
	names, err := fileNamesOf(out)
	if want := []string{"t10k-images-idx3-ubyte", "t10k-labels-idx1-ubyte", "train-images-idx3-ubyte", "train-labels-idx2-float"}; err != nil || !slices.Equal(names, want) {
		t.Errorf("written %q, %v, want %q", names, err, want)
	}
	again := open(t, out, Options{})
	if !slices.Equal(again.Train.Targets, d.Train.Targets) || !bytes.Equal(again.Train.Labels, d.Train.Labels) || again.Test.Targets != nil || !bytes.Equal(again.Test.Labels, d.Test.Labels) {
		t.Errorf("read %v, %v, written %v, %v", again.Train.Targets, again.Train.Labels, d.Train.Targets, d.Train.Labels)
	}
	if err := d.Write(out); err == nil || !strings.Contains(err.Error(), "there is one already") {
		t.Errorf("written once more: %v", err)
	}
	if s, err := d.Summarize(t.Context()); err != nil || math.Abs(s.Sure-(0.9+0.5+1./3+1)/4) > 1e-6 {
		t.Errorf("mean of the largest targets %v, %v", s.Sure, err)
	}
	// Hard targets of a set that has held back its own test images.
	part := open(t, out, Options{})
	part.Test.Targets = slices.Repeat([]float32{0, 1, 0}, 4)
	both := filepath.Join(t.TempDir(), "both")
	if err := part.Write(both); err != nil {
		t.Fatal(err)
	}
	if again = open(t, both, Options{}); !slices.Equal(again.Test.Targets, part.Test.Targets) {
		t.Errorf("test targets %v", again.Test.Targets)
	}
}
