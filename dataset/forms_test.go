package dataset

import (
	"archive/zip"
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"image"
	"image/color"
	"image/png"
	"io/fs"
	"math"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"testing"
)

// pngOf is a picture of w x h pixels.
func pngOf(t *testing.T, w, h int, at func(x, y int) color.Color) []byte {
	t.Helper()
	p := image.NewNRGBA(image.Rect(0, 0, w, h))
	for y := range h {
		for x := range w {
			p.Set(x, y, at(x, y))
		}
	}
	var b bytes.Buffer
	if err := png.Encode(&b, p); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

func grey(v int) func(x, y int) color.Color {
	return func(x, y int) color.Color { return color.Gray{byte(v * (1 - (x+y)%2))} }
}

func TestFolders(t *testing.T) {
	red := func(x, y int) color.Color { return color.NRGBA{255, 0, 0, 255} }
	dir := write(t, "pets", map[string][]byte{
		"train/cat/1.png":  pngOf(t, 4, 4, grey(100)),
		"train/cat/2.PNG":  pngOf(t, 4, 4, grey(120)),
		"train/dog/1.png":  pngOf(t, 4, 4, red),
		"train/dog/.hide":  []byte("x"),
		"train/README.txt": []byte("x"),
		"train/ape/a.txt":  []byte("x"),
		"test/dog/1.png":   pngOf(t, 4, 4, grey(200)),
	})
	d := open(t, dir, Options{})
	if want := []string{"ape", "cat", "dog"}; !slices.Equal(d.Train.Names, want) || !bytes.Equal(d.Train.Labels, []byte{1, 1, 2}) || !bytes.Equal(d.Test.Labels, []byte{2}) {
		t.Errorf("names %q, labels %v and %v", d.Train.Names, d.Train.Labels, d.Test.Labels)
	}
	if p := d.Train.Prepared; !p.Pictures || !p.Grey || d.Train.Image(2)[0] != 76 || d.Train.Image(0)[0] != 100 || d.Form != "pictures" {
		t.Errorf("prepared as %+v, pixels %v", p, d.Train.Pixels)
	}
	noted(t, d, "left out 2 files", "the class ape: no training images")

	// Folders that are numbers stand in their order, and no others are between them.
	files := map[string][]byte{}
	for _, n := range []int{3, 10, 1} {
		for i := range 4 {
			files[fmt.Sprintf("%d/%d.png", n, i)] = pngOf(t, 3, 2, grey(10*n+i))
		}
	}
	dir = write(t, "numbers", files)
	d = open(t, dir, Options{Test: 0.25})
	if want := []string{"1", "3", "10"}; !slices.Equal(d.Train.Names, want) || d.Train.Rows != 2 || d.Train.Cols != 3 || d.Test.Len() != 3 {
		t.Errorf("names %q, images of %dx%d, %d for testing", d.Train.Names, d.Train.Rows, d.Train.Cols, d.Test.Len())
	}
	d = open(t, dir, Options{Test: 0.25, Transpose: true, Invert: true})
	if d.Train.Rows != 3 || d.Train.Cols != 2 || d.Train.Image(0)[1] != 255 {
		t.Errorf("transposed and inverted: %dx%d, %v", d.Train.Rows, d.Train.Cols, d.Train.Image(0))
	}

	// Mixed sizes.
	files["1/wide.png"] = pngOf(t, 6, 2, func(x, _ int) color.Color { return color.Gray{byte(200 * (x / 3))} })
	dir = write(t, "mixed", files)
	refused(t, dir, Options{Test: 0.25}, "wide.png: expected a picture of 2x3 pixels", "found 2x6", `"size"`)
	d = open(t, dir, Options{Test: 0.25, Size: Size{6, 6}})
	if d.Train.Rows != 6 || d.Train.Cols != 6 || d.Train.Prepared.Size != (Size{6, 6}) {
		t.Errorf("%dx%d", d.Train.Rows, d.Train.Cols)
	}
	// What the preparation does to a picture is what was done to those of the set.
	wide, err := DecodePicture(files["1/wide.png"])
	if err != nil {
		t.Fatal(err)
	}
	again := d.Train.Prepared.Picture(wide, 6, 6)
	found := false
	for _, s := range []*Images{d.Train, d.Test} {
		for i := range s.Len() {
			found = found || bytes.Equal(s.Image(i), again)
		}
	}
	if !found {
		t.Errorf("no image is %v", again)
	}
	if middle, above := again[2*6:3*6], again[:6]; middle[0] > 20 || middle[5] < 180 || slices.Max(above) != slices.Min(above) {
		t.Errorf("a wide picture became %v: want it in the middle, and one level above", again)
	}
}

func TestHostileFolders(t *testing.T) {
	good := pngOf(t, 4, 4, grey(100))
	bomb := bytes.Clone(good)
	binary.BigEndian.PutUint32(bomb[16:], 1<<15) // which the header's checksum does not fit, and DecodeConfig reads
	for name, c := range map[string]struct {
		files map[string][]byte
		o     Options
		words []string
	}{
		"no pictures":      {map[string][]byte{"a/x.txt": good}, Options{}, []string{"expected four IDX files", "found none"}},
		"beside classes":   {map[string][]byte{"a/1.png": good, "1.png": good}, Options{}, []string{"1.png: expected a folder of pictures for each class"}},
		"a folder too far": {map[string][]byte{"a/b/1.png": good}, Options{}, []string{"expected four IDX files", filepath.Join("a", "b") + ", a folder in that of a class"}},
		"damaged":          {map[string][]byte{"a/1.png": good, "a/2.png": good[:40]}, Options{Test: 0.5}, []string{"2.png", "damaged"}},
		"no picture":       {map[string][]byte{"a/1.png": good, "a/2.png": []byte("hello")}, Options{Test: 0.5}, []string{"2.png", "found something else"}},
		"a bomb":           {map[string][]byte{"a/1.png": bomb, "b/2.png": good}, Options{Test: 0.5}, []string{"1.png"}},
		"no test images":   {map[string][]byte{"a/1.png": good, "b/2.png": good}, Options{}, []string{`"test" 0.1`}},
		"one of each":      {map[string][]byte{"a/1.png": good, "b/2.png": good}, Options{Test: 0.5}, []string{"no class has two images"}},
		"a control":        {map[string][]byte{"\x1b[31ma/1.png": good, "b/2.png": good}, Options{Test: 0.5}, []string{`found "\x1b[31ma"`, "can be printed"}},
		"a control in it":  {map[string][]byte{"a/\x1b]0;x\x07.png": good[:30], "a/2.png": good}, Options{Test: 0.5}, []string{`\x1b]0;x\a.png`}},
	} {
		t.Run(name, func(t *testing.T) {
			if runtime.GOOS == "windows" && strings.Contains(name, "control") {
				t.Skip("no such names here")
			}
			refused(t, write(t, "set", c.files), c.o, c.words...)
		})
	}
	many := map[string][]byte{}
	for i := range 257 {
		many[fmt.Sprintf("c%03d/1.png", i)] = good
	}
	refused(t, write(t, "many", many), Options{}, "at most 256 classes", `"c256"`)

	// Links within the folder are followed, those out of it are not.
	outside := write(t, "outside", map[string][]byte{"secret.png": good, "class/1.png": good})
	for name, to := range map[string]string{"a/link.png": filepath.Join(outside, "secret.png"), "b": filepath.Join(outside, "class"), "a/up.png": "../../outside.png"} {
		dir := write(t, "set", map[string][]byte{"a/1.png": good, "a/2.png": good})
		if err := os.Symlink(to, filepath.Join(dir, name)); err != nil {
			t.Skip(err)
		}
		refused(t, dir, Options{Test: 0.5}, filepath.FromSlash(name), "a link that leads out of it")
	}
	dir := write(t, "set", map[string][]byte{"a/1.png": good, "a/2.png": good})
	if err := os.Symlink("1.png", filepath.Join(dir, "a/3.png")); err != nil {
		t.Skip(err)
	}
	if d := open(t, dir, Options{Test: 0.4}); d.Train.Len()+d.Test.Len() != 3 {
		t.Errorf("%d images", d.Train.Len()+d.Test.Len())
	}
}

// A pipe in the place of a picture is not opened.
func TestPipeInFolder(t *testing.T) {
	dir := write(t, "set", map[string][]byte{"a/1.png": pngOf(t, 2, 2, grey(9))})
	if err := os.Rename(pipe(t), filepath.Join(dir, "a/2.png")); err != nil {
		t.Skip(err)
	}
	refused(t, dir, Options{Test: 0.5}, "2.png: expected a regular file")
}

func TestCSV(t *testing.T) {
	rows := func(lines ...string) []byte { return []byte(strings.Join(lines, "\n") + "\n") }
	for name, c := range map[string]struct {
		text  []byte
		o     Options
		names []string
		first []byte
		notes int
	}{
		"first":          {text: rows("1,0,10,200,0", "0,0,20,210,0", "1,0,30,220,0", "0,0,40,230,0"), first: []byte{0, 10, 200, 0}},
		"last":           {text: rows("0,10,200,0,1", "0,20,210,0,0", "0,30,220,0,1", "0,40,230,0,0"), first: []byte{0, 10, 200, 0}},
		"a header":       {text: rows("label,1x1,1x2,2x1,2x2", "1,9,10,200,3", "0,8,20,210,2", "1,7,30,220,1", "0,6,40,230,0"), first: []byte{9, 10, 200, 3}},
		"header at last": {text: rows("0,1,2,3,target", "9,10,200,3,1", "8,20,210,2,0", "7,30,220,1,1", "6,40,230,5,0"), first: []byte{9, 10, 200, 3}},
		"words":          {text: rows("cat,9,10,200,3", "dog,8,20,210,2", "cat,7,30,220,1", "dog,6,40,230,0"), names: []string{"cat", "dog"}, first: []byte{9, 10, 200, 3}},
		"said":           {text: rows("9,10,200,3,1", "8,20,210,2,0", "7,30,220,1,1", "6,40,230,4,0"), o: Options{Label: "last"}, first: []byte{9, 10, 200, 3}},
		"floats":         {text: rows("1.0,0,0.5,1,0", "0.0,0,0.25,1.0,0", "1.0,0,0.5,1e-1,0", "0.0,0,.5,1,0"), first: []byte{0, 128, 255, 0}, notes: 1},
		"a mark":         {text: append([]byte("\xef\xbb\xbf"), rows("1,0,10,200,0", "0,0,20,210,0", "1,0,30,220,0", "0,0,40,230,0")...), first: []byte{0, 10, 200, 0}},
	} {
		t.Run(name, func(t *testing.T) {
			dir := write(t, "set", map[string][]byte{"all.csv": c.text})
			c.o.Test = 0.5
			d := open(t, dir, c.o)
			if !slices.Equal(d.Train.Names, c.names) || d.Train.Classes != 2 || d.Train.Rows != 2 || d.Train.Cols != 2 || len(d.Notes) != c.notes {
				t.Errorf("names %q of %d classes, %dx%d, notes %q", d.Train.Names, d.Train.Classes, d.Train.Rows, d.Train.Cols, d.Notes)
			}
			all := open(t, filepath.Join(dir, "all.csv"), Options{Untested: true, Label: c.o.Label})
			if !bytes.Equal(all.Train.Image(0), c.first) || all.Train.Len() != 4 {
				t.Errorf("first image %v, want %v", all.Train.Image(0), c.first)
			}
		})
	}
	two := write(t, "two", map[string][]byte{
		"mnist_train.csv":   rows("5,0,10,200,0", "0,0,20,210,0"),
		"mnist_test.csv.gz": gzipped(t, rows("5,0,10,200,0")),
	})
	if d := open(t, two, Options{}); d.Train.Len() != 2 || d.Test.Len() != 1 || d.Train.Classes != 6 || d.Name != "two" {
		t.Errorf("%d and %d images in %d classes", d.Train.Len(), d.Test.Len(), d.Train.Classes)
	}
	wide := write(t, "wide", map[string][]byte{"all.csv": rows("a,1,2,3,4,5,60", "b,1,2,3,4,5,60", "a,1,2,3,4,5,60")})
	refused(t, wide, Options{Test: 0.5}, "6 pixels", `"size"`)
	if d := open(t, wide, Options{Test: 0.5, Size: Size{2, 3}}); d.Train.Rows != 2 || d.Train.Cols != 3 {
		t.Errorf("%dx%d", d.Train.Rows, d.Train.Cols)
	}
	for name, c := range map[string]struct {
		text  []byte
		words []string
	}{
		"no line":      {nil, []string{"found no line"}},
		"NaN":          {rows("a,1,NaN,3,4", "b,1,2,3,4"), []string{"line 1, column 3", "expected a finite number", `"NaN"`}},
		"empty":        {rows("a,1,,3,4", "b,1,2,3,4"), []string{"line 1, column 3", "expected a finite number", `""`}},
		"infinite":     {rows("a,1,2,3,4", "b,1,2,1e99,4"), []string{"line 2, column 4"}},
		"text":         {rows("a,1,2,3,4", "b,1,x,3,4"), []string{"line 2, column 3", `"x"`}},
		"blank lines":  {rows("", "a,1,2,3,4", "", "b,1,x,3,4"), []string{"line 4, column 3: expected a finite number", `"x"`}},
		"huge":         {rows("a,1,2,3,4", "b,1,1e308,3,4"), []string{"line 2, column 3: expected a finite number", `"1e308"`}},
		"ragged":       {rows("a,1,2,3,4", "b,1,2,3"), []string{"line 2: expected 5 fields", "found 4"}},
		"one column":   {rows("1", "2"), []string{"line 1", "1 field"}},
		"ambiguous":    {rows("1,2,3,4,5", "2,3,4,5,6"), []string{"label", "first or last"}},
		"a quote":      {rows("\"a,1,2,3,4"), []string{"set"}},
		"too large":    {rows("a,1,2,3,400", "b,1,2,3,4"), []string{"from 1 to 400", `"range"`}},
		"negative":     {rows("a,1,2,3,-4", "b,1,2,3,4"), []string{"from -4 to 4", `"range"`}},
		"a control":    {rows("a\x1b[31m,1,2,3,4", "b,1,2,3,4"), []string{"line 1", "can be printed"}},
		"half a label": {rows("0.5,0,2,3,0", "1,0,2,3,0"), []string{"line 1: expected a label, found 0.5"}},
	} {
		t.Run(name, func(t *testing.T) {
			refused(t, write(t, "set", map[string][]byte{"all.csv": c.text}), Options{Test: 0.5}, c.words...)
		})
	}
	var before, after runtime.MemStats
	long := write(t, "long", map[string][]byte{"all.csv.gz": gzipped(t, bytes.Repeat([]byte("1"), 64<<20))})
	runtime.ReadMemStats(&before)
	refused(t, long, Options{}, "lines of at most 16777216 bytes")
	runtime.ReadMemStats(&after)
	if allocated := after.TotalAlloc - before.TotalAlloc; allocated > 256<<20 {
		t.Errorf("a long line took %d bytes", allocated)
	}
}

// npy is an array in NumPy's format.
func npy(t testing.TB, descr string, data any, shape ...int) []byte {
	t.Helper()
	var dims strings.Builder
	for _, d := range shape {
		fmt.Fprintf(&dims, "%d, ", d)
	}
	header := fmt.Sprintf("{'descr': '%s', 'fortran_order': False, 'shape': (%s), }", descr, strings.TrimSuffix(dims.String(), " "))
	header += strings.Repeat(" ", 63-(10+len(header))%64) + "\n"
	var b bytes.Buffer
	b.WriteString("\x93NUMPY\x01\x00")
	binary.Write(&b, binary.LittleEndian, uint16(len(header)))
	b.WriteString(header)
	var order binary.ByteOrder = binary.LittleEndian
	if descr[0] == '>' {
		order = binary.BigEndian
	}
	if err := binary.Write(&b, order, data); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

// npzOf is a file of arrays.
func npzOf(t testing.TB, method uint16, arrays map[string][]byte) []byte {
	t.Helper()
	var b bytes.Buffer
	z := zip.NewWriter(&b)
	for name, data := range arrays {
		w, err := z.CreateHeader(&zip.FileHeader{Name: name + ".npy", Method: method})
		if err == nil {
			_, err = w.Write(data)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	if err := z.Close(); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

func TestNPZ(t *testing.T) {
	pixels := []byte{0, 50, 100, 150, 200, 250, 0, 10}
	floats := make([]float32, 8)
	for i, v := range pixels {
		floats[i] = float32(v) / 255
	}
	colours := make([]byte, 0, 24)
	for _, v := range pixels {
		colours = append(colours, v, v, v)
	}
	labels := []int64{1, 0}
	for name, arrays := range map[string]map[string][]byte{
		"Keras": {"x_train": npy(t, "|u1", pixels, 2, 2, 2), "y_train": npy(t, "|u1", []byte{1, 0}, 2), "x_test": npy(t, "|u1", pixels, 2, 2, 2), "y_test": npy(t, "|u1", []byte{1, 0}, 2)},
		"MedMNIST": {"train_images": npy(t, "|u1", colours, 2, 2, 2, 3), "train_labels": npy(t, "<i8", labels, 2, 1), "test_images": npy(t, "|u1", colours, 2, 2, 2, 3), "test_labels": npy(t, ">i8", labels, 2, 1),
			"val_images": npy(t, "|u1", colours, 2, 2, 2, 3), "val_labels": npy(t, "|u1", []byte{1, 0}, 2, 1)},
		"floats": {"x_train": npy(t, "<f4", floats, 2, 4), "y_train": npy(t, "<f8", []float64{1, 0}, 2), "x_test": npy(t, ">f4", floats, 2, 4), "y_test": npy(t, "<i4", []int32{1, 0}, 2)},
	} {
		for _, method := range []uint16{zip.Store, zip.Deflate} {
			dir := write(t, "set", map[string][]byte{"all.npz": npzOf(t, method, arrays)})
			for _, path := range []string{dir, filepath.Join(dir, "all.npz")} {
				d := open(t, path, Options{})
				if !bytes.Equal(d.Train.Pixels, pixels) || !bytes.Equal(d.Test.Pixels, pixels) || !bytes.Equal(d.Train.Labels, []byte{1, 0}) || d.Train.Classes != 2 || d.Train.Prepared.Grey != (name == "MedMNIST") {
					t.Errorf("%s: %+v", name, d.Train)
				}
			}
		}
	}
	dir := write(t, "kmnist", map[string][]byte{
		"kmnist-train-imgs.npz":   npzOf(t, zip.Deflate, map[string][]byte{"arr_0": npy(t, "|u1", pixels, 2, 2, 2)}),
		"kmnist-train-labels.npz": npzOf(t, zip.Deflate, map[string][]byte{"arr_0": npy(t, "|u1", []byte{1, 0}, 2)}),
		"kmnist-test-imgs.npz":    npzOf(t, zip.Deflate, map[string][]byte{"arr_0": npy(t, "|u1", pixels[:4], 1, 2, 2)}),
		"kmnist-test-labels.npz":  npzOf(t, zip.Deflate, map[string][]byte{"arr_0": npy(t, "|u1", []byte{1}, 1)}),
	})
	if d := open(t, dir, Options{}); d.Train.Len() != 2 || d.Test.Len() != 1 {
		t.Errorf("%d and %d images", d.Train.Len(), d.Test.Len())
	}
}

func TestHostileNPZ(t *testing.T) {
	good := npy(t, "|u1", []byte{0, 50, 100, 150, 200, 250, 0, 10}, 2, 2, 2)
	labels := npy(t, "|u1", []byte{1, 0}, 2)
	with := func(x, y []byte) []byte {
		return npzOf(t, zip.Deflate, map[string][]byte{"x_train": x, "y_train": y})
	}
	long := bytes.Clone(good)
	long[6] = 2
	binary.LittleEndian.PutUint32(long[8:], 1<<31)
	fortran := bytes.Replace(good, []byte("False"), []byte("True "), 1)
	crc := with(good, labels)
	flipped := bytes.Clone(npzOf(t, zip.Store, map[string][]byte{"x_train": good, "y_train": labels}))
	if at := bytes.Index(flipped, good[len(good)-8:]); at >= 0 {
		flipped[at+1]++
	}
	// A directory that lies as the header does: 1 GiB in a few bytes.
	promise := npy(t, "|u1", []byte{}, 1, 1<<15, 1<<15)
	lying := with(append(bytes.Clone(promise), bytes.Repeat([]byte("held"), 4<<10)...), labels)
	for at := 0; ; {
		next := bytes.Index(lying[at:], []byte("PK\x01\x02"))
		if next < 0 {
			break
		}
		at += next
		if entry := lying[at:]; bytes.HasPrefix(entry[46:], []byte("x_train")) {
			binary.LittleEndian.PutUint32(entry[24:], uint32(len(promise)+1<<30))
		}
		at += 4
	}
	directory := bytes.Clone(crc)
	binary.LittleEndian.PutUint32(directory[len(directory)-10:], 1<<30)
	for name, c := range map[string]struct {
		file  []byte
		words []string
	}{
		"empty":              {nil, []string{"no directory of a zip file"}},
		"cut":                {crc[:60], []string{"no directory of a zip file"}},
		"a long directory":   {directory, []string{"at most 1048576 bytes", "1073741824"}},
		"no labels":          {npzOf(t, zip.Store, map[string][]byte{"x_train": good}), []string{"expected arrays of images and of labels", "found x_train"}},
		"other arrays":       {npzOf(t, zip.Store, map[string][]byte{"a": good, "b": labels}), []string{"found a and b"}},
		"no array":           {with([]byte("hello, this is text"), labels), []string{"x_train", "expected an array of NumPy"}},
		"a long header":      {with(long, labels), []string{"header of at most 65536 bytes"}},
		"objects":            {with(npy(t, "|O8", []byte{1}, 1), labels), []string{"expected an array of numbers"}},
		"texts":              {with(npy(t, "<U1", []byte{1, 0, 0, 0}, 1), labels), []string{"x_train", "expected an array of numbers, found texts: numpy.unique"}},
		"a ratio":            {lying, []string{"x_train", "compressed ones", "promises 1073741824"}},
		"columns first":      {with(fortran, labels), []string{"numpy.ascontiguousarray"}},
		"fewer than it says": {with(npy(t, "|u1", []byte{1, 2}, 2, 28, 28), labels), []string{"1568 bytes of data", "the end of the file"}},
		"a promise":          {with(npy(t, "|u1", []byte{1, 2}, 1<<20, 1<<10, 1<<10), labels), []string{"expected dimensions of at least 1"}},
		"more than it says":  {with(append(bytes.Clone(good), 1), labels), []string{"more bytes"}},
		"no images":          {with(npy(t, "|u1", []byte{}, 0, 2, 2), labels), []string{"expected dimensions of at least 1"}},
		"other labels":       {with(good, npy(t, "|u1", []byte{1}, 1)), []string{"expected 2 labels", "found [1]"}},
		"half a label":       {with(good, npy(t, "<f4", []float32{0.5, 1}, 2)), []string{"whole numbers", "0.5"}},
		"NaN":                {with(npy(t, "<f4", []float32{0, 1, float32(math.NaN()), 0, 0, 0, 0, 0}, 2, 2, 2), labels), []string{"finite", "image 1 of the training images, pixel 3, counted from 1"}},
		"a flipped bit":      {flipped, []string{"x_train", "checksum"}},
		"a name":             {npzOf(t, zip.Store, map[string][]byte{"\x1b[31m": good}), []string{"expected the name of an array"}},
	} {
		t.Run(name, func(t *testing.T) {
			refused(t, write(t, "set", map[string][]byte{"all.npz": c.file}), Options{Test: 0.5}, c.words...)
		})
	}
	// What a megabyte of zeros promises is not believed, and what it holds is not kept.
	bomb := with(append(npy(t, "|u1", []byte{}, 16, 2, 2), make([]byte, 256<<20)...), npy(t, "|u1", make([]byte, 16), 16))
	dir := write(t, "bomb", map[string][]byte{"all.npz": bomb})
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	refused(t, dir, Options{Test: 0.5}, "more bytes")
	runtime.ReadMemStats(&after)
	if allocated := after.TotalAlloc - before.TotalAlloc; allocated > 16<<20 {
		t.Errorf("a file of %d bytes took %d", len(bomb), allocated)
	}
	short := with(append(npy(t, "|u1", []byte{}, 65, 2048, 2048), make([]byte, 256<<20)...), npy(t, "|u1", make([]byte, 65), 65))
	dir = write(t, "short", map[string][]byte{"all.npz": short})
	runtime.ReadMemStats(&before)
	refused(t, dir, Options{Test: 0.5}, "272629760 bytes of data", "the end of the file")
	runtime.ReadMemStats(&after)
	if allocated := after.TotalAlloc - before.TotalAlloc; allocated > 16<<20 {
		t.Errorf("a file of %d bytes took %d", len(short), allocated)
	}
}

// What a directory holds beside the data that are read from it is said, and no data are written to where others are.
func TestForms(t *testing.T) {
	files := set3([]byte{0, 1, 1, 0}, bright)
	files["b.csv"] = []byte("0,1\n")
	files["cat/0.png"] = pngOf(t, 3, 3, grey(200))
	both := open(t, write(t, "both", files), Options{})
	noted(t, both, "left out CSV (b.csv) and pictures ("+filepath.Join("cat", "0.png")+") beside IDX (t10k-images-idx3-ubyte)")
	for name, file := range map[string]string{"pictures": "cat/0.png", "split": "test/cat/0.png", "a class": "0.png", "npz": "a.npz", "CSV": "a.csv"} {
		dir := write(t, name, map[string][]byte{file: pngOf(t, 3, 3, grey(200))})
		if err := both.Write(dir); err == nil || !strings.Contains(err.Error(), "already, which these files would hide") {
			t.Errorf("%s: %v", name, err)
		}
	}
	pictures := write(t, "pics", map[string][]byte{"cat/0.png": pngOf(t, 3, 3, grey(200))})
	split := write(t, "split pics", map[string][]byte{"train/cat/0.png": pngOf(t, 3, 3, grey(200)), "figures/0.png": pngOf(t, 3, 3, grey(200))})
	idx := write(t, "idx", set3([]byte{0, 1}, bright))
	for _, c := range []struct {
		dir, name string
		want      bool
	}{
		{pictures, "cat/0.png", true}, {pictures, "cat/new.json", true}, {pictures, "new/a.svg", true}, {pictures, "a.png", true}, {pictures, "a.npz", true},
		{pictures, "model.safetensors", false}, {split, "train/dog/1.png", true}, {split, "figures/1.png", false},
		{idx, "figures/1.png", false}, {idx, "classes.txt", true}, {idx, "model.safetensors", false}, {t.TempDir(), "a.png", false},
	} {
		if found := Takes(c.dir, c.name); found != c.want {
			t.Errorf("%s in %s: %t", c.name, c.dir, found)
		}
	}
}

// Reading ends when its context is done, between two pictures, lines or parts of a file.
func TestOpenEndsWithItsContext(t *testing.T) {
	ctx, cancel := context.WithCancelCause(t.Context())
	stopped := errors.New("stopped")
	cancel(stopped)
	good := pngOf(t, 4, 4, grey(100))
	idx := map[string][]byte{}
	for i, data := range small() {
		idx[fileNames[i]] = data
	}
	for name, files := range map[string]map[string][]byte{
		"IDX":      idx,
		"pictures": {"a/1.png": good, "a/2.png": good},
		"CSV":      {"all.csv": []byte("a,1,2,3,4\nb,1,2,3,4\n")},
		"npz":      {"all.npz": npzOf(t, zip.Store, map[string][]byte{"x_train": npy(t, "|u1", []byte{1, 2, 3, 4}, 1, 2, 2), "y_train": npy(t, "|u1", []byte{0}, 1)})},
	} {
		if _, err := Open(ctx, write(t, "set", files), Options{Test: 0.5}); !errors.Is(err, stopped) && (err == nil || !strings.Contains(err.Error(), "stopped")) {
			t.Errorf("%s: error %v", name, err)
		}
	}
}

func TestWriteAndSummarize(t *testing.T) {
	files := set3([]byte{0, 1, 1, 0}, func(image, i int) byte { return byte(60 * (i % 4) * (image % 3) / 2) })
	files["classes.txt"] = []byte("cat\ndog\n")
	d := open(t, write(t, "set", files), Options{})
	s, err := d.Summarize(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	// Images 0 and 3 are equal, and blank; image 3 has the label of image 0. All test images are training images.
	if s.Train != 4 || s.Test != 4 || s.Blank != 4 || s.Repeated != 1 || s.Shared != 4 || s.Contrary != 0 || s.Background != 0 || s.Largest != 180 || s.Classes[1] != (ClassSummary{"dog", 2, 2}) {
		t.Errorf("%+v", s)
	}
	d.Test.Labels[1] = 0
	if s, err = d.Summarize(t.Context()); err != nil || s.Contrary != 1 {
		t.Errorf("%+v, %v", s, err)
	}
	d.Test.Labels[1] = 1
	out := filepath.Join(t.TempDir(), "new", "set")
	if err := d.Write(out); err != nil {
		t.Fatal(err)
	}
	again := open(t, out, Options{})
	if !bytes.Equal(again.Train.Pixels, d.Train.Pixels) || !bytes.Equal(again.Test.Labels, d.Test.Labels) || !slices.Equal(again.Train.Names, d.Train.Names) {
		t.Error("what was written is read as something else")
	}
	if err := d.Write(out); err == nil || !strings.Contains(err.Error(), "there is one already") {
		t.Errorf("error %v for a directory that has a set", err)
	}
	if _, err := os.Stat(filepath.Join(out, "classes.txt")); errors.Is(err, fs.ErrNotExist) {
		t.Error("no names were written")
	}
}
