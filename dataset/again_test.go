package dataset

import (
	"bytes"
	"path/filepath"
	"testing"
)

// What was done to images before they were written is not done again for a network whose images had the same done to them;
// what is left to do is done, and what is asked for by name is done whatever the files say.
func TestNotDoneAgain(t *testing.T) {
	raw := write(t, "raw", set3([]byte{0, 1, 2}, bright))
	prepared := func(from string, o Options) (string, *Dataset) {
		d := open(t, from, o)
		dir := filepath.Join(t.TempDir(), "set")
		if err := d.Write(dir); err != nil {
			t.Fatal(err)
		}
		return dir, d
	}
	inverted, i := prepared(raw, Options{Invert: true, Range: Range{0, 251}})
	turned, it := prepared(inverted, Options{Transpose: true})
	back, iti := prepared(turned, Options{Invert: true})
	small, _ := prepared(raw, Options{Size: Size{1, 1}, Invert: true})
	plain := open(t, raw, Options{})
	for name, c := range map[string]struct {
		network *Dataset // whose network
		data    string
		want    *Dataset
	}{
		"as it was, of the original":       {i, raw, i},
		"as it was, of what was written":   {i, inverted, i},
		"more was done":                    {i, turned, it},
		"one step is left":                 {it, inverted, it},
		"nothing is left":                  {it, turned, it},
		"all steps":                        {it, raw, it},
		"the same step twice":              {iti, inverted, iti},
		"the same step twice, both done":   {iti, back, iti},
		"nothing was done for the network": {plain, inverted, i},
	} {
		o := c.network.Train.Prepared.Options()
		if d := open(t, c.data, o); !bytes.Equal(d.Train.Pixels, c.want.Train.Pixels) || !bytes.Equal(d.Test.Pixels, c.want.Test.Pixels) {
			t.Errorf("%s: %v, want %v", name, d.Train.Pixels, c.want.Train.Pixels)
		}
	}
	// Pictures were inverted, and then written: their network's images are those.
	pictures := Preparation{Grey: true, Invert: true, Size: Size{1, 1}, Pictures: true}
	if d, want := open(t, small, pictures.Options()), open(t, small, Options{}); !bytes.Equal(d.Train.Pixels, want.Train.Pixels) {
		t.Errorf("of pictures: %v, want %v", d.Train.Pixels, want.Train.Pixels)
	}
	o := i.Train.Prepared.Options()
	o.Asked.Invert = true
	if d := open(t, inverted, o); bytes.Equal(d.Train.Pixels, i.Train.Pixels) {
		t.Error("asked for, inverting was left out")
	}
}
