package dataset

import (
	"archive/zip"
	"bytes"
	"encoding/binary"
	"fmt"
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
	}{{[]float32{0.5, 0.25, 0}, "add up to 1, found 0.75 for image 2"}, {[]float32{1.5, -0.5, 0}, "probabilities from 0 to 1, found 1.5 for image 2"}} {
		write([][]float32{{1, 0, 0}, {0, 1, 0}, c.row})
		if _, err := Open(t.Context(), path, Options{}); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%v: %v, want %q", c.row, err, c.want)
		}
	}
}
