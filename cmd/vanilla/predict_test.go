package main

import (
	"bytes"
	"context"
	"encoding/binary"
	"encoding/json"
	"hash/crc32"
	"image"
	"image/color"
	"image/gif"
	"image/jpeg"
	"image/png"
	"io"
	"math"
	"os"
	"slices"
	"strings"
	"testing"

	"vanilla/model"
)

// digit is MNIST's first test image, a 7.
func digit(t *testing.T) *image.Gray {
	t.Helper()
	data, err := embedded()
	if err != nil {
		t.Fatal(err)
	}
	return &image.Gray{Pix: data.Test.Image(0), Stride: 28, Rect: image.Rect(0, 0, 28, 28)}
}

// scanned shows a digit in dark ink on a coloured page, ten times as large.
func scanned(digit *image.Gray) image.Image {
	p := image.NewRGBA(image.Rect(0, 0, 500, 400))
	for y := range 400 {
		for x := range 500 {
			v := digit.GrayAt((x-150)/10, (y-30)/10).Y
			p.SetRGBA(x, y, color.RGBA{250 - v*4/5, 240 - v*4/5, 200 - v/2, 255})
		}
	}
	return p
}

func writePicture(t *testing.T, path string, picture image.Image) {
	t.Helper()
	var b bytes.Buffer
	var err error
	switch {
	case strings.HasSuffix(path, ".jpg"):
		err = jpeg.Encode(&b, picture, nil)
	case strings.HasSuffix(path, ".gif"):
		err = gif.Encode(&b, picture, nil)
	default:
		err = png.Encode(&b, picture)
	}
	if err != nil {
		t.Fatal(err)
	}
	writeFile(t, path, b.Bytes())
}

func writeFile(t *testing.T, path string, data []byte) {
	t.Helper()
	if err := os.WriteFile(path, data, 0o644); err != nil {
		t.Fatal(err)
	}
}

// exampleFiles writes the files that examples name, but for model.safetensors.
func exampleFiles(t *testing.T) {
	t.Helper()
	picture := scanned(digit(t))
	writePicture(t, "digit.png", picture)
	writePicture(t, "digit.jpg", picture)
	writeStateDict(t, "state_dict.safetensors", 784, 16, 10)
	if err := os.WriteFile("recipe.yaml", []byte("shift: 1\n"), 0o644); err != nil {
		t.Fatal(err)
	}
}

// predictions parses what predict --json prints.
func predictions(t *testing.T, stdout string) (all []prediction) {
	t.Helper()
	for line := range strings.Lines(stdout) {
		var p prediction
		if err := json.Unmarshal([]byte(line), &p); err != nil {
			t.Fatalf("%v in %q", err, line)
		}
		all = append(all, p)
	}
	return all
}

func TestPredict(t *testing.T) {
	t.Chdir(t.TempDir())
	seven := digit(t)
	files := []string{"seven.png", "page.png", "page.jpg", "page.gif"}
	writePicture(t, files[0], seven)
	for _, file := range files[1:] {
		writePicture(t, file, scanned(seven))
	}
	for _, name := range []string{"default", "lesson"} {
		stdout := must(t, append([]string{"predict", name, "--json"}, files...)...)
		all := predictions(t, stdout)
		if len(all) != len(files) {
			t.Fatalf("%s: %d lines for %d files", name, len(all), len(files))
		}
		for i, p := range all {
			sum := float32(0)
			for _, v := range p.Probabilities {
				sum += v
			}
			if *p.File != files[i] || p.Class != 7 || len(p.Probabilities) != 10 || slices.Max(p.Probabilities) != p.Probabilities[7] {
				t.Errorf("%s, %s: found %+v", name, files[i], p)
			}
			// Ten roundings to float32.
			if name == "default" && math.Abs(float64(sum)-1) > 10*0x1p-24 {
				t.Errorf("%s, %s: the probabilities sum to %v", name, files[i], sum)
			}
		}
		line, _, _ := strings.Cut(stdout, "\n")
		if got, want := keys(t, line), []string{"file", "class", "probabilities"}; !slices.Equal(got, want) {
			t.Errorf("fields %q, want %q", got, want)
		}
	}
	raw := predictions(t, must(t, "predict", "default", "--raw", "--json", "seven.png"))
	data := predictions(t, must(t, "predict", "default", "--data", "mnist", "--json"))
	if len(raw) != 1 || len(data) != 10000 || !slices.Equal(raw[0].Probabilities, data[0].Probabilities) {
		t.Errorf("the test image as a file is %+v, as a test image %+v", raw, data[0])
	}
	text := must(t, "predict", "default", "seven.png", "page.png")
	if strings.Count(text, "\n") != 7 || !strings.HasPrefix(text, "seven.png: 7 (") || !strings.Contains(text, "\n\npage.png: 7 (") {
		t.Errorf("printed %q", text)
	}
}

func TestPrintPrediction(t *testing.T) {
	first, second := "seven.png", "other digits/two.png"
	var b bytes.Buffer
	for i, p := range []prediction{
		{File: &first, Class: 2, Probabilities: []float32{0.00001, 0.09999, 0.9}},
		{File: &second, Class: 0, Probabilities: []float32{1, 0, 0}},
	} {
		if err := printPrediction(&b, p, nil, true, i > 0); err != nil {
			t.Fatal(err)
		}
	}
	golden(t, "predictions", b.String())
	b.Reset()
	if err := printPrediction(&b, prediction{File: &first, Class: 1, Probabilities: []float32{0.25, 0.9}}, nil, false, false); err != nil {
		t.Fatal(err)
	}
	if text := b.String(); !strings.HasPrefix(text, "seven.png: 1 (output 0.9000)\n") || strings.Contains(text, "%") {
		t.Errorf("sigmoid outputs are printed as %q", text)
	}
}

// The test images of a data set are predicted as eval counts them.
func TestPredictData(t *testing.T) {
	inData(t)
	must(t, tiny("--epochs", "3")...)
	for _, executor := range []string{"fast", "tape", "ref"} {
		var evaluated evalReport
		if err := json.Unmarshal([]byte(must(t, "eval", "model.safetensors", "--data", "tiny", "--json", "--executor", executor)), &evaluated); err != nil {
			t.Fatal(err)
		}
		args := []string{"predict", "model.safetensors", "--data", "tiny", "--executor", executor}
		stdout := must(t, append(args, "--json")...)
		confusion := [][]int{{0, 0, 0}, {0, 0, 0}, {0, 0, 0}}
		for i, p := range predictions(t, stdout) {
			if *p.Image != i || int(*p.Label) != i%3 {
				t.Errorf("image %d: found image %d, label %d", i, *p.Image, *p.Label)
			}
			confusion[*p.Label][p.Class]++
		}
		for label, row := range confusion {
			if !slices.Equal(row, evaluated.Confusion[label]) {
				t.Errorf("%s: label %d: predicted %v, eval counts %v", executor, label, row, evaluated.Confusion[label])
			}
		}
		line, _, _ := strings.Cut(stdout, "\n")
		if got, want := keys(t, line), []string{"image", "label", "class", "probabilities"}; !slices.Equal(got, want) {
			t.Errorf("fields %q, want %q", got, want)
		}
		if text := must(t, args...); strings.Count(text, "\n") != 30 || !strings.HasPrefix(text, "image 0     label 0  predicted ") {
			t.Errorf("found %.200q", text)
		}
	}
}

// Images are taken in the size of the network's, which a state_dict does not
// say.
func TestPredictImageSize(t *testing.T) {
	inData(t)
	must(t, tiny()...)
	picture := image.NewGray(image.Rect(0, 0, 4, 4))
	for x := range 4 {
		picture.SetGray(x, 2, color.Gray{200}) // a bright row 2 is class 2
	}
	writePicture(t, "row.png", picture)
	if p := predictions(t, must(t, "predict", "model.safetensors", "--raw", "--json", "row.png")); p[0].Class != 2 || len(p[0].Probabilities) != 3 {
		t.Errorf("found %+v", p)
	}
	writeStateDict(t, "square.safetensors", 16, 5, 3)
	writeStateDict(t, "flat.safetensors", 15, 5, 3)
	plain := []string{"--activation", "relu", "--loss", "cross-entropy"}
	must(t, append([]string{"predict", "square.safetensors", "row.png", "--raw"}, plain...)...)
	_, stderr, code := vanilla(t, append([]string{"predict", "flat.safetensors", "row.png"}, plain...)...)
	if code != failed || !strings.Contains(stderr, "flat.safetensors: its inputs are not images: 15 pixels do not make a square") {
		t.Errorf("exit code %d, %s", code, stderr)
	}
}

// hugePNG is a header that promises an image of the given size.
func hugePNG(w, h uint32) []byte {
	header := binary.BigEndian.AppendUint32([]byte("IHDR"), w)
	header = binary.BigEndian.AppendUint32(header, h)
	header = append(header, 8, 0, 0, 0, 0) // 8 bits of grey
	file := binary.BigEndian.AppendUint32([]byte("\x89PNG\r\n\x1a\n"), uint32(len(header)-4))
	file = append(file, header...)
	return binary.BigEndian.AppendUint32(file, crc32.ChecksumIEEE(header))
}

// What an image may be besides one digit is said beside the answer, and what the network saw is drawn.
func TestPredictDoubts(t *testing.T) {
	t.Chdir(t.TempDir())
	seven := digit(t)
	two := image.NewGray(image.Rect(0, 0, 56, 28))
	square := image.NewGray(image.Rect(0, 0, 56, 56))
	for y := range 56 {
		for x := range 56 {
			if y < 28 {
				two.SetGray(x, y, seven.GrayAt(x%28, y))
			}
			if d := max(x-28, 27-x, y-28, 27-y); d > 15 && d < 20 {
				square.SetGray(x, y, color.Gray{255})
			}
		}
	}
	writePicture(t, "seven.png", seven)
	writePicture(t, "two.png", two)
	writePicture(t, "square.png", square)
	stdout, stderr, code := vanilla(t, "predict", "default", "seven.png", "two.png", "square.png", "--json", "--show", "seen.svg")
	const want = "two.png: there are 2 separate shapes: are they 2 digits? A network sees one\n" +
		"square.png: the shape is unlike any of MNIST's training images: is it a digit?\n"
	if code != done || stderr != want {
		t.Errorf("exit code %d, %s", code, stderr)
	}
	for i, p := range predictions(t, stdout) {
		if (len(p.Doubts) > 0) != (i > 0) {
			t.Errorf("%s: doubts %q", *p.File, p.Doubts)
		}
	}
	if drawing := string(read(t, "seen.svg")); !strings.HasPrefix(drawing, "<?xml") || !strings.Contains(drawing, "square.png") {
		t.Errorf("drew %.300s", drawing)
	}
	for _, c := range []struct{ args, want string }{
		{"seven.png --show seen.gif", "--show seen.gif: want the name of a file that ends in .png or .svg"},
		{"seven.png --show seven.png", "seven.png"},
		{"--data mnist --show seen.png", "--show: images of --data are not drawn"},
	} {
		if _, stderr, code := vanilla(t, append([]string{"predict", "default"}, strings.Fields(c.args)...)...); code == done || !strings.Contains(stderr, c.want) {
			t.Errorf("%s: exit code %d, %s", c.args, code, stderr)
		}
	}
	if before := digit(t); !bytes.Equal(before.Pix, seven.Pix) {
		t.Error("an image was overwritten")
	}
}

// badImages are files that cannot be predicted, and what is said about them.
func badImages(t *testing.T) map[string]string {
	t.Helper()
	writePicture(t, "blank.png", image.NewGray(image.Rect(0, 0, 50, 50)))
	writeFile(t, "text.png", []byte("This is no image."))
	writeFile(t, "empty.png", nil)
	var b bytes.Buffer
	if err := png.Encode(&b, digit(t)); err != nil {
		t.Fatal(err)
	}
	writeFile(t, "cut.png", b.Bytes()[:b.Len()/2])
	writeFile(t, "header.png", b.Bytes()[:20])
	writeFile(t, "huge.png", hugePNG(10000, 10000))
	writeFile(t, "long.png", hugePNG(1, 16385))
	if err := os.Mkdir("folder", 0o755); err != nil {
		t.Fatal(err)
	}
	return map[string]string{
		"blank.png":  "blank.png: expected a digit, found a blank picture",
		"text.png":   "text.png: want a PNG, JPEG, GIF, WebP or BMP image, found something else",
		"empty.png":  "empty.png: want a PNG, JPEG, GIF, WebP or BMP image, found an empty file",
		"cut.png":    "cut.png: the PNG image is damaged: ",
		"header.png": "header.png: the PNG image is damaged: ",
		"huge.png":   "huge.png: want an image of at most 33554432 pixels, and 16384 on a side; found 10000 x 10000",
		"long.png":   "long.png: want an image of at most 33554432 pixels, and 16384 on a side; found 1 x 16385",
		"folder":     "folder: want an image, found a directory",
		"absent.png": "absent.png: cannot be read: ",
	}
}

// A bad image is an error, and does not lose the others.
func TestPredictBadImages(t *testing.T) {
	t.Chdir(t.TempDir())
	writePicture(t, "good.png", digit(t))
	for file, want := range badImages(t) {
		stdout, stderr, code := vanilla(t, "predict", "default", file)
		if code != failed || stdout != "" || !strings.HasPrefix(stderr, "vanilla predict: "+want) || strings.Count(stderr, "\n") != 1 {
			t.Errorf("%s: exit code %d, printed %q and %q, want %s", file, code, stdout, stderr, want)
		}
		stdout, stderr, code = vanilla(t, "predict", "default", "good.png", file, "good.png", "--json")
		if code != failed || len(predictions(t, stdout)) != 2 || !strings.HasPrefix(stderr, want) ||
			!strings.HasSuffix(stderr, "vanilla predict: 1 of 3 images could not be used\n") {
			t.Errorf("%s among others: exit code %d, printed %q and %q, want %s", file, code, stdout, stderr, want)
		}
	}
	writePicture(t, "small.png", image.NewGray(image.Rect(0, 0, 27, 28)))
	if _, stderr, code := vanilla(t, "predict", "default", "--raw", "small.png"); code != failed ||
		!strings.Contains(stderr, "small.png: expected 28x28 pixels (rows x columns), found 28x27") {
		t.Errorf("exit code %d, %s", code, stderr)
	}
}

func TestPredictWrongUsage(t *testing.T) {
	inData(t)
	must(t, tiny()...)
	writePicture(t, "good.png", digit(t))
	writeStateDict(t, "plain.safetensors", 784, 16, 10)
	diverged, err := model.Read("model.safetensors")
	if err != nil {
		t.Fatal(err)
	}
	diverged.Params[0].Data[0] = float32(math.NaN())
	if err := diverged.Write("nan.safetensors"); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		args []string
		code int
		want string
	}{
		{[]string{"predict"}, misuse, "want a model and images, as in vanilla predict default digit.png"},
		{[]string{"predict", "default"}, misuse, "want images after the model, as in vanilla predict default digit.png, or --data"},
		{[]string{"predict", "default", "good.png", "--data", "mnist"}, misuse, "--data mnist: found the image \"good.png\" too: want one or the other"},
		{[]string{"predict", "default", "--raw", "--data", "mnist"}, misuse, "--raw: images of --data are always taken as they are"},
		{[]string{"predict", "default", "--data", "tiny"}, misuse, "--data tiny: found images of 16 pixels: default (784-16-16-10 sigmoid) takes 784"},
		{[]string{"predict", "default", "--data", "nowhere"}, failed, "--data nowhere: want mnist, a directory, or a .csv or .npz file"},
		{[]string{"predict", "nowhere", "good.png"}, failed, "nowhere: cannot be read"},
		{[]string{"predict", "default", "good.png", "--executor", "slow"}, misuse, "--executor slow: want fast, tape or ref"},
		{[]string{"predict", "default", "good.png", "--loss", "hinge"}, misuse, "--loss hinge: want cross-entropy or quadratic"},
		{[]string{"predict", "default", "good.png", "--activation", "relu"}, misuse, "--activation relu: default says that it is sigmoid: want no flag"},
		{[]string{"predict", "plain.safetensors", "good.png"}, failed, "if it is a PyTorch state_dict, say what it does not hold with --activation and --loss"},
		{[]string{"predict", "plain.safetensors", "good.png", "--loss", "quadratic"}, failed, "with --activation and --loss"},
		{[]string{"predict", "plain.safetensors", "good.png", "--loss", "quadratic", "--activation", "sine"}, misuse, "--activation sine: want identity, sigmoid"},
		{[]string{"eval", "nan.safetensors", "--data", "tiny"}, failed, "nan.safetensors: parameter 0.weight: expected finite values, found NaN"},
		{[]string{"predict", "nan.safetensors", "good.png"}, failed, "nan.safetensors: parameter 0.weight: expected finite values, found NaN"},
	} {
		stdout, stderr, code := vanilla(t, c.args...)
		if code != c.code || !strings.Contains(stderr, c.want) || strings.Count(stderr, "\n") != 1 || stdout != "" {
			t.Errorf("vanilla %q: exit code %d, %q and %q; want %d, one line with %q", c.args, code, stdout, stderr, c.code, c.want)
		}
	}
	if code := run(t.Context(), []string{"predict", "default", "good.png"}, nil, brokenPipe{}, io.Discard); code != failed {
		t.Errorf("into a broken pipe: exit code %d", code)
	}
}

func TestPredictInterrupted(t *testing.T) {
	t.Chdir(t.TempDir())
	writePicture(t, "seven.png", digit(t))
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	var stdout, stderr bytes.Buffer
	if code := run(ctx, []string{"predict", "default", "seven.png"}, nil, &stdout, &stderr); code != failed || stdout.Len() > 0 ||
		stderr.String() != "vanilla predict: interrupted after 0 of 1 images\n" {
		t.Errorf("exit code %d, printed %q and %q", code, &stdout, &stderr)
	}
}
