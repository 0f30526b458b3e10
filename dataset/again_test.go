package dataset

import (
	"bytes"
	"path/filepath"
	"slices"
	"strings"
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
	// Of arrays that say nothing, that is said where something is done to them.
	noted := func(o Options) bool {
		o.Size = Size{}
		return slices.ContainsFunc(open(t, raw, o).Notes, func(n string) bool { return strings.HasPrefix(n, LastStep) })
	}
	asked, upright := pictures.Options(), pictures
	asked.Asked.Invert, upright.Invert = true, false
	if !noted(pictures.Options()) || noted(asked) || noted(upright.Options()) || noted(i.Train.Prepared.Options()) {
		t.Error("what is done to arrays of which nothing is known is not said, or too often")
	}
	o := i.Train.Prepared.Options()
	o.Asked.Invert = true
	if d := open(t, inverted, o); bytes.Equal(d.Train.Pixels, i.Train.Pixels) {
		t.Error("asked for, inverting was left out")
	}
}

// What says what was done to images is what Write writes, or refused.
func TestDamagedAccount(t *testing.T) {
	files := set3([]byte{0, 1, 2}, bright)
	nested := strings.Repeat(`{"invert":true,"before":`, mostSteps) + `{"invert":true}` + strings.Repeat("}", mostSteps)
	for text, want := range map[string]string{
		"":                            "expected at least one thing that was done, found none",
		" ":                           `expected one JSON object, found ""`,
		"{}":                          "expected at least one thing that was done, found none",
		`{"before":{"invert":true}}`:  "expected at least one thing that was done, found none",
		`{"invert":true,"before":{}}`: "expected at least one thing that was done, found none",
		"null":                        `expected one JSON object, found "null"`,
		"[]":                          `expected one JSON object, found "[]"`,
		`{"invert":true`:              "expected one JSON object, found",
		`{"invert":true} {}`:          `expected one JSON object, found "{}" after it`,
		`{"invert":1}`:                `expected another value of the key invert, found a JSON number`,
		`{"before":[]}`:               `expected another value of the key before, found a JSON array`,
		`{"mirror":true}`:             `expected what this version of vanilla can do, found "mirror"`,
		`{"size":"14x14"}`:            "expected the size of the images, 3x3, found that they were scaled to 14x14",
		`{"transpose":true,"before":{"size":"3x4"}}`: "expected the size of the images, 3x3, found that they were scaled to 4x3",
		`{"pictures":true}`:                          "expected the size that pictures were scaled to, found none",
		nested:                                       "expected at most 32 steps, one before the other, found 33",
	} {
		files[beforeFile] = []byte(text)
		_, err := Open(t.Context(), write(t, "set", files), Options{})
		if err == nil || !strings.Contains(err.Error(), beforeFile+": what was done to the data: "+want) || strings.Contains(err.Error(), " json: ") {
			t.Errorf("%.60s: %v, want %q", text, err, want)
		}
	}
	most := strings.TrimSuffix(strings.TrimPrefix(nested, `{"invert":true,"before":`), "}")
	files[beforeFile] = []byte(most)
	d := open(t, write(t, "set", files), Options{Invert: true})
	if err := d.Write(filepath.Join(t.TempDir(), "set")); err == nil || !strings.Contains(err.Error(), "expected at most 32 steps") {
		t.Errorf("written once too often: %v", err)
	}
	if _, err := ParsePreparation(nil); err != nil {
		t.Error(err)
	}
}

// Where what was done to images is not read, that is said.
func TestAccountLeftOut(t *testing.T) {
	for name, file := range map[string]string{"CSV": "a.csv", "IDX with something in front": ""} {
		files := map[string][]byte{file: []byte("0,10,200,30,40\n0,10,200,30,40\n1,10,200,30,40\n1,10,200,30,40\n")}
		if file == "" {
			files = map[string][]byte{}
			for name, data := range set3([]byte{0, 1, 2}, bright) {
				files["own-"+name] = data
			}
		}
		files[beforeFile] = []byte(`{"invert":true}`)
		d := open(t, write(t, "set", files), Options{Test: 0.5, TestIfNone: true})
		if !slices.Contains(d.Notes, accountLeftOut) {
			t.Errorf("%s: notes %q", name, d.Notes)
		}
	}
}

// Two files that are no forms of one are refused, and both named.
func TestTwoFilesOfLabels(t *testing.T) {
	for other, like := range map[string]string{"train-labels-idx2-float": fileNames[trainLabels], "train-images-idx4-ubyte": fileNames[trainImages],
		"test-images-idx3-ubyte": fileNames[testImages], "t10k-labels-idx2-float.gz": fileNames[testLabels]} {
		files := set3([]byte{0, 1, 2}, bright)
		files[other] = files[like]
		refused(t, write(t, "set", files), Options{}, "expected one file of t", other, like)
	}
	files := set3([]byte{0, 1, 2}, bright)
	files["train-labels.idx1-ubyte"], files["train-labels-idx1-ubyte.gz"] = []byte("other"), []byte("forms")
	open(t, write(t, "set", files), Options{})
}
