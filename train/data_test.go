package train

import (
	"bytes"
	"encoding/json"
	"slices"
	"testing"

	"vanilla/dataset"
	"vanilla/kernels"
)

// numbered is n images of two pixels that tell each image from the others.
func numbered(n int) *dataset.Dataset {
	s := &dataset.Images{Rows: 1, Cols: 2, Classes: 2}
	for i := range n {
		s.Pixels = append(s.Pixels, byte(i), byte(i>>8))
		s.Labels = append(s.Labels, byte(i%2))
	}
	return &dataset.Dataset{Name: "numbered", Train: s, Test: s}
}

// numbers are the images of a part, by their numbers.
func numbers(t *testing.T, e kernels.Examples) []int {
	t.Helper()
	var found []int
	for i := range e.Len() {
		row := e.Row(i)
		n := int(row[0]) | int(row[1])<<8
		if int(e.Labels[i]) != n%2 {
			t.Fatalf("image %d has the label %d", n, e.Labels[i])
		}
		found = append(found, n)
	}
	return found
}

func TestHoldOut(t *testing.T) {
	data := numbered(1000)
	pixels := bytes.Clone(data.Train.Pixels)
	var smaller []int
	for _, c := range []struct {
		fraction float64
		want     int
	}{{0, 0}, {0.0004, 0}, {0.001, 1}, {0.1, 100}, {0.25, 250}, {0.9996, 1000}} {
		d := HoldOut(data, c.fraction)
		if err := d.Check(); err != nil && c.want < 1000 {
			t.Fatal(err)
		}
		held, kept := numbers(t, d.Validation), numbers(t, d.Train)
		if len(held) != c.want || len(held)+len(kept) != 1000 {
			t.Errorf("%v: holds out %d, keeps %d", c.fraction, len(held), len(kept))
		}
		if !slices.IsSorted(held) || !slices.IsSorted(kept) {
			t.Errorf("%v: the order is not the images'", c.fraction)
		}
		all := slices.Concat(held, kept)
		slices.Sort(all)
		for i, n := range all {
			if n != i {
				t.Fatalf("%v: image %d is missing", c.fraction, i)
			}
		}
		for _, n := range smaller {
			if !slices.Contains(held, n) {
				t.Errorf("%v: does not hold out image %d, which a smaller fraction does", c.fraction, n)
			}
		}
		smaller = held
		if d.Test.Len() != 1000 {
			t.Errorf("%v: %d test images", c.fraction, d.Test.Len())
		}
	}
	if !bytes.Equal(pixels, data.Train.Pixels) {
		t.Error("the data set was changed")
	}
	// The first one is what all runs will always hold out first.
	if found := numbers(t, HoldOut(data, 0.003).Validation); !slices.Equal(found, heldOutFirst) {
		t.Errorf("of 1000 images, %v are held out first, want %v", found, heldOutFirst)
	}
}

// heldOutFirst are three of 1000 images. Other ones would mean that validation
// accuracies of the past cannot be compared with those of today.
var heldOutFirst = []int{67, 458, 690}

func TestFingerprint(t *testing.T) {
	whole := FingerprintOf(numbered(100))
	if again := FingerprintOf(numbered(100)); again != whole {
		t.Error("equal data have two fingerprints")
	}
	for name, change := range map[string]func(*dataset.Dataset){
		"pixel":   func(d *dataset.Dataset) { d.Train.Pixels[199]++ },
		"label":   func(d *dataset.Dataset) { d.Train.Labels[99]++ },
		"size":    func(d *dataset.Dataset) { d.Train.Rows, d.Train.Cols = 2, 1 },
		"classes": func(d *dataset.Dataset) { d.Train.Classes++ },
		"number":  func(d *dataset.Dataset) { d.Train = numbered(99).Train },
		"test":    func(d *dataset.Dataset) { d.Test = numbered(99).Train },
	} {
		d := numbered(100)
		change(d)
		if FingerprintOf(d) == whole {
			t.Errorf("another %s has the same Fingerprint", name)
		}
	}
}

// Fingerprints are read by the keys of today and by those of earlier versions,
// and by no others.
func TestFingerprintKeys(t *testing.T) {
	want := Fingerprint{60000, 10000, 28, 28, 10, 1, 2, 3, 4, 0}
	text, err := json.Marshal(want)
	if err != nil || string(text) != `{"train":60000,"test":10000,"rows":28,"columns":28,"classes":10,"train_pixels_crc32c":1,"train_labels_crc32c":2,"test_pixels_crc32c":3,"test_labels_crc32c":4}` {
		t.Errorf("found %s, %v", text, err)
	}
	for _, text := range []string{string(text), `{"Train":60000,"Test":10000,"Rows":28,"Columns":28,"Classes":10,"TrainPixels":1,"TrainLabels":2,"TestPixels":3,"TestLabels":4}`} {
		var found Fingerprint
		if err := json.Unmarshal([]byte(text), &found); err != nil || found != want {
			t.Errorf("%s is read as %+v, %v", text, found, err)
		}
	}
	var found Fingerprint
	if err := json.Unmarshal([]byte(`{"Train":1,"train_pixels_crc":2}`), &found); err == nil {
		t.Errorf("a key that is none is read as %+v", found)
	}
}
