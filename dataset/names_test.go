package dataset

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// write puts files into a new directory called name.
func write(t *testing.T, name string, files map[string][]byte) string {
	t.Helper()
	dir := filepath.Join(t.TempDir(), name)
	for file, data := range files {
		path := filepath.Join(dir, file)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, data, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

// open reads a data set that there is no fault with.
func open(t *testing.T, path string, o Options) *Dataset {
	t.Helper()
	d, err := Open(t.Context(), path, o)
	if err != nil {
		t.Fatal(err)
	}
	for _, s := range []*Images{d.Train, d.Test} {
		if s.Classes != d.Train.Classes || len(s.Pixels) != s.Len()*s.Features() || s.Len() == 0 && !o.Untested {
			t.Fatalf("%d classes, %d pixels for %d images of %d", s.Classes, len(s.Pixels), s.Len(), s.Features())
		}
	}
	return d
}

// refused demands an error with these words.
func refused(t *testing.T, path string, o Options, words ...string) {
	t.Helper()
	d, err := Open(t.Context(), path, o)
	if err == nil {
		t.Errorf("%s: no error, found %d images", path, d.Train.Len())
		return
	}
	for _, w := range words {
		if !strings.Contains(err.Error(), w) {
			t.Errorf("error %q does not say %q", err, w)
		}
	}
	if strings.ContainsAny(err.Error(), "\x1b\x00\n") {
		t.Errorf("error %q has control characters", err)
	}
}

// noted demands notes with these words, one each.
func noted(t *testing.T, d *Dataset, words ...string) {
	t.Helper()
	if len(d.Notes) != len(words) {
		t.Fatalf("notes %q, want %d of them", d.Notes, len(words))
	}
	for i, w := range words {
		if !strings.Contains(d.Notes[i], w) {
			t.Errorf("note %q does not say %q", d.Notes[i], w)
		}
	}
}

// idx4 writes 32-bit numbers.
func idx4(data []int32, shape ...uint32) []byte {
	var b bytes.Buffer
	binary.Write(&b, binary.BigEndian, data)
	file := idx(b.Bytes(), shape...)
	file[2] = 0x0c
	return file
}

// set3 are the four files of n images of 3x3 pixels, and their labels.
func set3(labels []byte, pixel func(image, i int) byte) map[string][]byte {
	var pixels []byte
	for image := range labels {
		for i := range 9 {
			pixels = append(pixels, pixel(image, i))
		}
	}
	n := uint32(len(labels))
	return map[string][]byte{
		fileNames[trainImages]: idx(pixels, n, 3, 3),
		fileNames[trainLabels]: idx(labels, n),
		fileNames[testImages]:  idx(pixels, n, 3, 3),
		fileNames[testLabels]:  idx(labels, n),
	}
}

func bright(image, i int) byte { return byte(40 * (1 + (image+i)%2*5) * (i % 4)) }

func TestClasses(t *testing.T) {
	cross := func(_, i int) byte { return byte(200 * (i % 2)) }
	common := slices.Repeat([]byte{0, 1}, 200)
	for name, c := range map[string]struct {
		labels []byte
		names  string // classes.txt
		want   []string
		notes  []string
	}{
		"numbers":       {labels: []byte{0, 1, 2}},
		"from 1":        {labels: []byte{1, 2, 3}, want: []string{"1", "2", "3"}, notes: []string{"labels go from 1 to 3"}},
		"an empty one":  {labels: []byte{0, 2}, notes: []string{"the class 1: no training images"}},
		"empty ones":    {labels: []byte{0, 9}, notes: []string{"the classes 1, 2, 3, 4, 5 and 3 more: no training images"}},
		"a stray label": {labels: append([]byte{3}, common...), notes: []string{"the class 2: no training images", "the class 3 has 1 training image, half of the classes have 200 or more: is it a stray label?"}},
		"named":         {labels: []byte{0, 1}, names: "ankle boot\nbag\n", want: []string{"ankle boot", "bag"}},
		"named numbers": {labels: []byte{0, 1}, names: "0\r\n1\r\n"},
		"more names":    {labels: []byte{0, 1}, names: "a\nb\nc", want: []string{"a", "b", "c"}, notes: []string{"the class c: no training images"}},
	} {
		t.Run(name, func(t *testing.T) {
			files := set3(c.labels, cross)
			if c.names != "" {
				files["classes.txt"] = []byte(c.names)
			}
			d := open(t, write(t, "set", files), Options{})
			if !slices.Equal(d.Train.Names, c.want) || !slices.Equal(d.Test.Names, c.want) {
				t.Errorf("names %q, want %q", d.Train.Names, c.want)
			}
			noted(t, d, c.notes...)
		})
	}
	var many strings.Builder
	for i := range 300 {
		fmt.Fprintf(&many, "c%d\n", i)
	}
	for names, words := range map[string][]string{
		"a\n":                            {"found none for the label 1: there is one name, of the label 0"},
		"a\na\n":                         {`found "a" twice`},
		"a\n\x1b[31mb\n":                 {"line 2", "can be printed"},
		"\xff\n":                         {"line 1", "can be printed"},
		"\n\n":                           {"found none"},
		"a\n" + strings.Repeat("b", 101): {"line 2", "at most 100 bytes"},
		many.String():                    {"line 257", "at most 256 classes"},
	} {
		files := set3([]byte{0, 1}, cross)
		files["classes.txt"] = []byte(names)
		refused(t, write(t, "set", files), Options{}, words...)
	}
}

// Labels get the numbers that a network knows them by.
func TestKnownClasses(t *testing.T) {
	files := set3([]byte{0, 1, 2}, bright)
	files["classes.txt"] = []byte("bird\ncat\ndog\n")
	named := write(t, "named", files)
	numbered := write(t, "numbered", set3([]byte{0, 1, 2}, bright))
	for name, c := range map[string]struct {
		path   string
		o      Options
		want   []string
		labels []byte
	}{
		"same names":         {named, Options{Known: 3, KnownNames: []string{"dog", "cat", "bird"}}, []string{"dog", "cat", "bird"}, []byte{2, 1, 0}},
		"an unknown one":     {named, Options{Known: 2, KnownNames: []string{"dog", "cat"}}, []string{"dog", "cat", "bird"}, []byte{2, 1, 0}},
		"fewer":              {named, Options{Known: 4, KnownNames: []string{"ape", "bird", "cat", "dog"}}, []string{"ape", "bird", "cat", "dog"}, []byte{1, 2, 3}},
		"numbers by order":   {numbered, Options{Known: 3, KnownNames: []string{"a", "b", "c"}}, []string{"a", "b", "c"}, []byte{0, 1, 2}},
		"numbers of more":    {numbered, Options{Known: 10}, nil, []byte{0, 1, 2}},
		"other numbers":      {numbered, Options{Known: 3, KnownNames: []string{"1", "2", "3"}}, []string{"1", "2", "3", "0"}, []byte{3, 0, 1}},
		"names by order":     {named, Options{Known: 3}, []string{"bird", "cat", "dog"}, []byte{0, 1, 2}},
		"names that are new": {named, Options{Known: 3, Grow: true}, []string{"0", "1", "2", "bird", "cat", "dog"}, []byte{3, 4, 5}},
	} {
		d := open(t, c.path, c.o)
		if !slices.Equal(d.Train.Names, c.want) || !bytes.Equal(d.Train.Labels, c.labels) {
			t.Errorf("%s: names %q and labels %v, want %q and %v", name, d.Train.Names, d.Train.Labels, c.want, c.labels)
		}
		if said := slices.ContainsFunc(d.Notes, func(n string) bool { return strings.HasPrefix(n, ByOrder) }); said != strings.Contains(name, "by order") {
			t.Errorf("%s: notes %q", name, d.Notes)
		}
	}
}

func TestRange(t *testing.T) {
	dir := write(t, "bits", set3([]byte{0, 1}, func(_, i int) byte { return byte(i % 2) }))
	d := open(t, dir, Options{})
	if want := []byte{0, 255, 0, 255, 0, 255, 0, 255, 0}; !bytes.Equal(d.Train.Image(0), want) || d.Train.Prepared.Range != (Range{0, 1}) {
		t.Errorf("image %v of %v", d.Train.Image(0), d.Train.Prepared.Range)
	}
	noted(t, d, "pixels are 0 and 1: 1 is taken for white")

	dir = write(t, "four", set3([]byte{0, 1}, func(_, i int) byte { return byte(2 * i) }))
	d = open(t, dir, Options{})
	if want := []byte{0, 32, 64, 96, 128, 159, 191, 223, 255}; !bytes.Equal(d.Train.Image(0), want) {
		t.Errorf("image %v, want %v", d.Train.Image(0), want)
	}
	noted(t, d, "pixels are from 0 to 16: 16 is taken for white")
	d = open(t, dir, Options{Range: Range{0, 255}})
	if !bytes.Equal(d.Train.Image(0), []byte{0, 2, 4, 6, 8, 10, 12, 14, 16}) {
		t.Errorf("image %v", d.Train.Image(0))
	}
	refused(t, dir, Options{Range: Range{0, 15}}, "range 0,15", "values from 0 to 16")

	light := write(t, "light", set3([]byte{0, 1}, func(_, i int) byte { return []byte{255, 0}[i/4%2*(1-i%2)] }))
	d = open(t, light, Options{})
	noted(t, d, "dark on light")
	// Noise is neither, and what was inverted is as it was wanted.
	noise := write(t, "noise", set3([]byte{0, 1, 0, 1}, func(image, i int) byte { return byte(97*i*i + 31*image + 140) }))
	if d = open(t, noise, Options{}); d.Notes != nil {
		t.Errorf("noise: %q", d.Notes)
	}
	dark := write(t, "dark", set3([]byte{0, 1}, func(_, i int) byte { return []byte{0, 255}[i/4%2*(1-i%2)] }))
	if d = open(t, dark, Options{Invert: true}); d.Notes != nil {
		t.Errorf("inverted: %q", d.Notes)
	}
	if d = open(t, light, Options{Invert: true}); d.Train.Image(0)[0] != 0 || d.Train.Image(0)[4] != 255 || d.Notes != nil || d.Train.Prepared.Light {
		t.Errorf("inverted: %v, notes %q", d.Train.Image(0), d.Notes)
	}
}

// The same images of each class are taken whatever else there is.
func TestSplit(t *testing.T) {
	labels := slices.Concat(slices.Repeat([]byte{0}, 30), slices.Repeat([]byte{1}, 50), []byte{2, 2, 3})
	files := set3(labels, func(image, i int) byte { return byte(image + 90*(i%2)) })
	delete(files, fileNames[testImages])
	delete(files, fileNames[testLabels])
	dir := write(t, "set", files)
	refused(t, dir, Options{}, "no test images", `"test" 0.1`)
	d := open(t, dir, Options{Test: 0.1})
	if want := []int{3, 5, 1, 0}; !slices.Equal(d.Test.Counts(), want) {
		t.Errorf("test images of the classes: %v, want %v", d.Test.Counts(), want)
	}
	if want := []int{27, 45, 1, 1}; !slices.Equal(d.Train.Counts(), want) {
		t.Errorf("training images of the classes: %v, want %v", d.Train.Counts(), want)
	}
	first := func(s *Images) (numbers []byte) {
		for i := range s.Len() {
			numbers = append(numbers, s.Image(i)[0])
		}
		return numbers
	}
	all := append(first(d.Train), first(d.Test)...)
	slices.Sort(all)
	for i, v := range all {
		if int(v) != i {
			t.Fatalf("image %d is not in one of the parts once: %v", i, all)
		}
	}
	if got, want := first(d.Test), []byte{}; !slices.IsSorted(got) || bytes.Equal(got, want) {
		t.Errorf("test images %v, want them in their order", got)
	}
	again := open(t, dir, Options{Test: 0.1})
	if !bytes.Equal(first(again.Test), first(d.Test)) {
		t.Error("another split of the same images")
	}
	if larger := open(t, dir, Options{Test: 0.3}); !subset(first(d.Test), first(larger.Test)) {
		t.Error("a smaller share is no part of a larger one")
	}
	refused(t, write(t, "set", set3([]byte{0, 1}, bright)), Options{Test: 0.1}, "test 0.1", "test images of its own")
	for _, share := range []float64{-0.1, 1, 2} {
		refused(t, dir, Options{Test: share}, "want a share above 0, below 1")
	}
}

func subset(a, b []byte) bool {
	return !slices.ContainsFunc(a, func(v byte) bool { return !slices.Contains(b, v) })
}
