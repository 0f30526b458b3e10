package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"image"
	"image/color"
	"image/png"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"vanilla/dataset"
	"vanilla/model"
	"vanilla/train"
)

// pictures writes a folder of pictures for each class, of several sizes and in colour: a bar that stands, lies or is not
// there, dark on light.
func pictures(t *testing.T, dir string, classes []string, each int) {
	t.Helper()
	for c, class := range classes {
		if err := os.MkdirAll(filepath.Join(dir, class), 0o755); err != nil {
			t.Fatal(err)
		}
		for i := range each {
			if err := os.WriteFile(filepath.Join(dir, class, fmt.Sprintf("%03d.png", i)), bar(t, c, i), 0o644); err != nil {
				t.Fatal(err)
			}
		}
	}
}

// bar is a picture of a class, as a PNG file.
func bar(t *testing.T, class, i int) []byte {
	t.Helper()
	side := 12 + 4*(i%3)
	p := image.NewNRGBA(image.Rect(0, 0, side, side))
	for y := range side {
		for x := range side {
			p.Set(x, y, color.NRGBA{240, 235, byte(200 + i%40), 255})
			at := [...]int{x, y, x + y - side/2, 2 * side}[class]
			if middle := side/4 + i%5*side/10; at >= middle && at < middle+side/4 {
				p.Set(x, y, color.NRGBA{byte(40 + i%30), 20, 60, 255})
			}
		}
	}
	var b bytes.Buffer
	if err := png.Encode(&b, p); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

// A model as --recipe says how its data were read, too: training it again comes to the same bytes. Flags differ from that,
// and digits are read as they are.
func TestRecipeOfPictures(t *testing.T) {
	t.Chdir(t.TempDir())
	pictures(t, "bars", []string{"lying", "slanted", "standing"}, 20)
	must(t, "train", "--data", "bars", "--size", "8", "--invert", "--test", "0.2", "--epochs", "3", "--batch", "8", "-o", "bars.safetensors")
	again := []string{"train", "--recipe", "bars.safetensors", "--data", "bars", "-o", "again.safetensors"}
	_, stderr, code := vanilla(t, again...)
	if want := "data: read as the images of bars.safetensors were: colours became grey, inverted, scaled to 8x8, 0.2 of each class held back for testing\n"; code != done || !strings.Contains(stderr, want) {
		t.Fatalf("exit code %d, %s; want %s", code, stderr, want)
	}
	if !bytes.Equal(read(t, "bars.safetensors"), read(t, "again.safetensors")) {
		t.Error("training again comes to other bytes")
	}
	must(t, append(again, "--size", "6", "--arch", "36-4-3")...)
	must(t, append(again, "--data", "mnist", "--arch", "784-4-10", "--epochs", "1", "--batch", "1000")...)
}

// A folder of pictures becomes a network that knows what its classes are called and what was done to the pictures: eval,
// predict and figures need no flags again.
func TestOwnPictures(t *testing.T) {
	t.Chdir(t.TempDir())
	classes := []string{"a bar that stands, with a rather long name", "lying", "slanted"}
	pictures(t, "bars", classes, 30)
	summary := must(t, "data", "bars", "--size", "8", "--sheet", "sheet.png")
	for _, want := range []string{"bars: pictures, 90 training images of 8x8 pixels in 3 classes", "1 lying", "colours became grey, scaled to 8x8",
		"images are dark on light: --invert makes them light on dark", "wants --test 0.1"} {
		if !strings.Contains(summary, want) {
			t.Errorf("data says nothing of %q:\n%s", want, summary)
		}
	}
	if _, err := os.Stat("sheet.png"); err != nil {
		t.Error(err)
	}
	_, stderr, code := vanilla(t, "train", "--data", "bars", "--size", "8", "--invert", "--test", "0.2", "--epochs", "60", "--lr", "0.5", "--batch", "8", "--activation", "relu", "--init", "he", "-o", "bars.safetensors")
	if code != done || strings.Contains(stderr, "dark on light") {
		t.Fatalf("exit code %d: %s", code, stderr)
	}
	m, err := model.Read("bars.safetensors")
	if err != nil {
		t.Fatal(err)
	}
	if !slices.Equal(m.Classes, classes) || m.ImageRows != 8 {
		t.Errorf("the model knows %q, %dx%d", m.Classes, m.ImageRows, m.ImageCols)
	}
	was, err := dataset.ParsePreparation(m.Data)
	if want := (dataset.Preparation{Grey: true, Invert: true, Size: dataset.Size{Rows: 8, Cols: 8}, Pictures: true, Whole: was.Whole, Test: 0.2, Box: was.Box}); err != nil || was != want {
		t.Errorf("the model remembers %+v, %v, want %+v", was, err, want)
	}
	// eval reads the data in the same way, and evaluates on what was held back.
	var report evalReport
	if err := json.Unmarshal([]byte(must(t, "eval", "bars.safetensors", "--data", "bars", "--json")), &report); err != nil {
		t.Fatal(err)
	}
	if !slices.Equal(report.Classes, classes) || sum(report.Confusion[0]) != 6 || report.TestAccuracy != m.TestAccuracy {
		t.Errorf("%+v, the model was %v accurate", report, m.TestAccuracy)
	}
	if text := must(t, "eval", "bars.safetensors", "--data", "bars"); !strings.Contains(text, "as slanted") || !strings.Contains(text, "a bar that …") {
		t.Errorf("eval prints\n%s", text)
	}
	// predict says of a picture what predict --data says of it as a test image.
	data, err := dataset.Open(t.Context(), "bars", was.Options())
	if err != nil {
		t.Fatal(err)
	}
	all := predictions(t, must(t, "predict", "bars.safetensors", "--data", "bars", "--json"))
	lines := predictions(t, must(t, "predict", "bars.safetensors", "bars/lying/004.png", "bars/slanted/007.png", "--json"))
	for _, p := range lines {
		picture, err := dataset.ReadPicture(t.Context(), *p.File)
		if err != nil {
			t.Fatal(err)
		}
		pixels := was.Picture(picture, 8, 8)
		for i := range data.Test.Len() {
			if bytes.Equal(data.Test.Image(i), pixels) && !slices.Equal(all[i].Probabilities, p.Probabilities) {
				t.Errorf("%s: %v as a picture, %v as a test image", *p.File, p.Probabilities, all[i].Probabilities)
			}
		}
	}
	if lines[0].Name != "lying" || !strings.HasPrefix(must(t, "predict", "bars.safetensors", "bars/lying/004.png"), "bars/lying/004.png: lying (") {
		t.Errorf("%+v", lines)
	}
	for _, figure := range []string{"mistakes", "noise", "activations", "dream"} {
		must(t, "viz", figure, "bars.safetensors", "--data", "bars", "-o", figure+".svg")
		if text := string(read(t, figure+".svg")); !strings.Contains(text, "lying") {
			t.Errorf("%s says nothing of the classes' names", figure)
		}
	}
	must(t, "export", "bars.safetensors", "--data", "bars", "-o", "bars.html")
	if text := string(read(t, "bars.html")); !strings.Contains(text, `"a bar that stands, with a rather long name"`) {
		t.Error("the page knows no names")
	}
	// MNIST is none of its data.
	if _, stderr, code := vanilla(t, "eval", "bars.safetensors"); code != misuse || !strings.Contains(stderr, "its class 0 is a bar that stands") {
		t.Errorf("exit code %d, %s", code, stderr)
	}
	// Other folders may have other classes and fewer: they are matched by name.
	pictures(t, "some", []string{"x", "lying"}, 10)
	if err := os.RemoveAll("some/x"); err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal([]byte(must(t, "eval", "bars.safetensors", "--data", "some", "--test", "0.5", "--json")), &report); err != nil || sum(report.Confusion[1]) != 5 {
		t.Errorf("%+v, %v", report, err)
	}
	pictures(t, "more", append(classes, "none"), 10)
	if _, stderr, code := vanilla(t, "eval", "bars.safetensors", "--data", "more"); code != misuse || !strings.Contains(stderr, "knows 3 classes, and none called \"none\"") {
		t.Errorf("exit code %d, %s", code, stderr)
	}

	// What is learned goes on with one more class, whose output is added after the others.
	must(t, "train", "--from", "bars.safetensors", "--data", "more", "--test", "0.2", "--epochs", "1", "-o", "more.safetensors")
	wider, err := model.Read("more.safetensors")
	if err != nil {
		t.Fatal(err)
	}
	if want := append(classes, "none"); !slices.Equal(wider.Classes, want) {
		t.Errorf("classes %q, want %q", wider.Classes, want)
	}
	// Weights fit functions that they were not trained for, which is said.
	for _, c := range []struct {
		args []string
		want string
	}{
		{nil, ""},
		{[]string{"--init", "he"}, "from: --init does nothing: all weights are those of more.safetensors\n"},
		{[]string{"--activation", "tanh", "--loss", "quadratic"}, "from: not as more.safetensors was trained: activation tanh in place of relu, loss quadratic in place of cross-entropy\n"},
		{[]string{"--recipe", "lesson"}, "from: not as more.safetensors was trained: activation sigmoid in place of relu, loss quadratic in place of cross-entropy\n"},
	} {
		line := append([]string{"train", "--from", "more.safetensors", "--data", "more", "--test", "0.2", "--arch", wider.Arch, "--epochs", "1", "-o", "other.safetensors"}, c.args...)
		_, stderr, code := vanilla(t, line...)
		if code == misuse || !strings.Contains(stderr, c.want) || strings.Contains(stderr, "from:") != (c.want != "") {
			t.Errorf("train %q: exit code %d, %s; want %s", c.args, code, stderr, c.want)
		}
	}
	var account struct{ From *train.Start }
	if err := json.Unmarshal(wider.Recipe, &account); err != nil || account.From == nil || account.From.Added != 1 || len(account.From.SHA256) != 64 {
		t.Errorf("the model says that it started from %+v, %v", account.From, err)
	}
	for _, c := range []struct {
		args []string
		want string
	}{
		{[]string{"--from", "bars.safetensors", "--data", "more", "--test", "0.2", "-o", "bars.safetensors"}, "the command reads this file"},
		{[]string{"--from", "bars.safetensors", "--data", "more", "--test", "0.2", "--arch", "64-16-9-4"}, "--from bars.safetensors: 2.weight of"},
		{[]string{"--from", "nowhere.safetensors"}, "--from nowhere.safetensors"},
		{[]string{"--from", ""}, `--from "": want a model`},
		{[]string{"--from", "bars.safetensors"}, "its class 0 is a bar that stands"},
	} {
		if _, stderr, code := vanilla(t, append([]string{"train", "--epochs", "1"}, c.args...)...); code == done || !strings.Contains(stderr, c.want) {
			t.Errorf("train %q: exit code %d, %s; want %s", c.args, code, stderr, c.want)
		}
	}
	if _, stderr, code := vanilla(t, "sweep", "--from", "bars.safetensors", "--out", "x"); code != misuse || !strings.Contains(stderr, "start from random weights") {
		t.Errorf("sweep --from: exit code %d, %s", code, stderr)
	}
	// As IDX, the set is the same but for what was done to pictures.
	must(t, "data", "bars", "--size", "8", "--invert", "--test", "0.2", "-o", "idx")
	again, err := dataset.Open(t.Context(), "idx", dataset.Options{})
	if err != nil || !bytes.Equal(again.Train.Pixels, data.Train.Pixels) || !slices.Equal(again.Train.Names, classes) {
		t.Errorf("what data -o wrote is another set: %v", err)
	}
}

// What data -o wrote knows what was done to pictures before: a network that is trained on it does the same to a picture that
// it is shown, and to folders of pictures.
func TestWrittenPictures(t *testing.T) {
	t.Chdir(t.TempDir())
	pictures(t, "bars", []string{"standing", "lying", "slanted"}, 20)
	must(t, "data", "bars", "--size", "8", "--invert", "--test", "0.2", "-o", "idx")
	if text := must(t, "data", "idx"); !strings.Contains(text, "before    colours became grey, inverted, scaled to 8x8, then written as IDX\n") || strings.Contains(text, "prepared") {
		t.Errorf("data says of what was written\n%s", text)
	}
	how := []string{"--epochs", "30", "--lr", "0.5", "--batch", "8", "--activation", "relu", "--init", "he"}
	must(t, append([]string{"train", "--data", "bars", "--size", "8", "--invert", "--test", "0.2", "-o", "direct.safetensors"}, how...)...)
	must(t, append([]string{"train", "--data", "idx", "-o", "written.safetensors"}, how...)...)
	// Written once more, transposed.
	must(t, "data", "idx", "--transpose", "-o", "idx2")
	must(t, append([]string{"train", "--data", "idx2", "-o", "twice.safetensors"}, how...)...)
	files := []string{"bars/lying/004.png", "bars/slanted/007.png", "bars/standing/011.png"}
	want := must(t, append([]string{"predict", "direct.safetensors", "--json"}, files...)...)
	if got := must(t, append([]string{"predict", "written.safetensors", "--json"}, files...)...); got != want {
		t.Errorf("of pictures, the network that was trained on what was written says\n%swant\n%s", got, want)
	}
	direct, twice := seenPixels(t, "direct.safetensors", files[1]), seenPixels(t, "twice.safetensors", files[1])
	for i, v := range direct {
		if twice[i%8*8+i/8] != v {
			t.Fatalf("transposed, a picture becomes %v, want the transposed %v", twice, direct)
		}
	}
	// A picture as it is in the files that were written needs nothing.
	set, err := dataset.Open(t.Context(), "idx", dataset.Options{})
	if err != nil {
		t.Fatal(err)
	}
	m, err := model.Read("written.safetensors")
	if err != nil {
		t.Fatal(err)
	}
	raw, _, err := asTrained(m, &image.Gray{Pix: set.Test.Image(0), Stride: 8, Rect: image.Rect(0, 0, 8, 8)}, 8, 8, true)
	if err != nil || !bytes.Equal(raw, set.Test.Image(0)) {
		t.Errorf("raw: %v, %v, want %v", raw, err, set.Test.Image(0))
	}
	// Folders of pictures are read as those were, and what flags say is all.
	accuracy := func(args ...string) string { return must(t, append([]string{"eval", "--json"}, args...)...) }
	if direct, written := accuracy("direct.safetensors", "--data", "bars"), accuracy("written.safetensors", "--data", "bars", "--test", "0.2"); direct != written {
		t.Errorf("eval on the pictures: %s\nwant %s", written, direct)
	}
	// What was done before the files were written is not done again for a network that was trained on the pictures.
	if direct, idx := accuracy("direct.safetensors", "--data", "bars"), accuracy("direct.safetensors", "--data", "idx"); direct != idx {
		t.Errorf("eval on what was written: %s\nwant %s", idx, direct)
	}
	must(t, "train", "--from", "direct.safetensors", "--data", "idx", "--epochs", "1", "-o", "on.safetensors")
	if on := seenPixels(t, "on.safetensors", files[1]); !bytes.Equal(on, direct) {
		t.Errorf("trained on with what was written, a picture becomes %v, want %v", on, direct)
	}
	if asked, idx := must(t, "predict", "direct.safetensors", "--data", "idx", "--json", "--invert"), must(t, "predict", "direct.safetensors", "--data", "idx", "--json"); asked == idx {
		t.Error("--invert, asked for, was left out")
	}
	if flags, written := accuracy("written.safetensors", "--data", "bars", "--size", "8", "--invert", "--test", "0.2"), accuracy("written.safetensors", "--data", "idx"); flags != written {
		t.Errorf("eval with all flags: %s\nwant %s", flags, written)
	}
	must(t, "train", "--from", "written.safetensors", "--data", "bars", "--test", "0.2", "--epochs", "1", "-o", "more.safetensors")
	if more := seenPixels(t, "more.safetensors", files[1]); !bytes.Equal(more, direct) {
		t.Errorf("trained on with pictures, a picture becomes %v, want %v", more, direct)
	}
	for name, text := range map[string]string{"no JSON": "x", "no size": `{"pictures":true}`, "a share": `{"box_share":2}`, "nothing": "{}", "a number": `{"invert":1}`} {
		if err := os.WriteFile("idx/vanilla-prepared.json", []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
		if _, stderr, code := vanilla(t, "data", "idx"); code != failed || !strings.Contains(stderr, "vanilla-prepared.json: what was done to the data: expected ") || strings.Contains(stderr, "--") {
			t.Errorf("%s: exit code %d, %s", name, code, stderr)
		}
	}
}

// seenPixels is what a network sees of a picture.
func seenPixels(t *testing.T, name, file string) []byte {
	t.Helper()
	m, err := model.Read(name)
	if err != nil {
		t.Fatal(err)
	}
	picture, err := dataset.ReadPicture(t.Context(), file)
	if err != nil {
		t.Fatal(err)
	}
	pixels, _, err := asTrained(m, picture, 8, 8, false)
	if err != nil {
		t.Fatal(err)
	}
	return pixels
}

// Soft targets come from CSV, are said, written as IDX, and trained on in the same way from there.
func TestSoftTargets(t *testing.T) {
	t.Chdir(t.TempDir())
	var lines strings.Builder
	lines.WriteString("label:yes,label:no,a,b,c,d\n")
	for i := range 40 {
		p := float64(i%5) / 4
		fmt.Fprintf(&lines, "%g,%g,%d,%d,%d,200\n", p, 1-p, 50*(i%5), 255-50*(i%5), i)
	}
	if err := os.WriteFile("soft.csv", []byte(lines.String()), 0o644); err != nil {
		t.Fatal(err)
	}
	if text := must(t, "data", "soft.csv", "--test", "0.2", "-o", "idx"); !strings.Contains(text, "targets   probabilities, of which the largest of an image is 0.") {
		t.Errorf("data says nothing of targets:\n%s", text)
	}
	type result struct {
		TrainLoss    float64 `json:"train_loss"`
		TestAccuracy float64 `json:"test_accuracy"`
	}
	train := func(args ...string) (r result) {
		if err := json.Unmarshal([]byte(must(t, append([]string{"train", "--epochs", "3", "--batch", "4", "--json"}, args...)...)), &r); err != nil {
			t.Fatal(err)
		}
		return r
	}
	direct := train("--data", "soft.csv", "--test", "0.2", "-o", "direct.safetensors")
	written := train("--data", "idx", "-o", "written.safetensors")
	if direct.TrainLoss != written.TrainLoss || direct.TestAccuracy != written.TestAccuracy {
		t.Errorf("loss %v and accuracy %v from IDX, want %v and %v as from CSV", written.TrainLoss, written.TestAccuracy, direct.TrainLoss, direct.TestAccuracy)
	}
	hard := strings.NewReplacer("0.25,0.75,", "0,1,", "0.75,0.25,", "1,0,", "0.5,0.5,", "0,1,").Replace(lines.String())
	if err := os.WriteFile("hard.csv", []byte(hard), 0o644); err != nil {
		t.Fatal(err)
	}
	if other := train("--data", "hard.csv", "--test", "0.2", "-o", "hard.safetensors"); other.TrainLoss == direct.TrainLoss {
		t.Error("soft targets were trained on as hard ones")
	}
}

// Arrays that lie on their side, as EMNIST's, are turned upright in training; a picture is upright already, unless it is
// one of those arrays.
func TestPictureOfTransposedArrays(t *testing.T) {
	t.Chdir(t.TempDir())
	// A bar with a foot on the left or on the right, at several places.
	glyph := func(class, i int) []byte {
		pixels := make([]byte, 28*28)
		for k := range 20 {
			pixels[(4+k)*28+10+i%5] = 255
			if k < 8 {
				pixels[23*28+10+i%5+k*(2*class-1)] = 255
			}
		}
		return pixels
	}
	onSide := func(pixels []byte) []byte {
		turned := make([]byte, len(pixels))
		for i, v := range pixels {
			turned[i%28*28+i/28] = v
		}
		return turned
	}
	upright := &dataset.Images{Rows: 28, Cols: 28, Classes: 2}
	lying := &dataset.Images{Rows: 28, Cols: 28, Classes: 2}
	for i := range 20 {
		g := glyph(i%2, i/2)
		upright.Pixels, lying.Pixels = append(upright.Pixels, g...), append(lying.Pixels, onSide(g)...)
		upright.Labels = append(upright.Labels, byte(i%2))
	}
	lying.Labels = upright.Labels
	if err := (&dataset.Dataset{Train: lying, Test: lying}).Write("lying"); err != nil {
		t.Fatal(err)
	}
	must(t, "train", "--data", "lying", "--transpose", "--shift", "3", "--epochs", "60", "--batch", "4", "--activation", "relu", "--init", "he", "--lr", "0.05", "-o", "m.safetensors")
	m, err := model.Read("m.safetensors")
	if err != nil {
		t.Fatal(err)
	}
	gray := func(pixels []byte) *image.Gray {
		return &image.Gray{Pix: pixels, Stride: 28, Rect: image.Rect(0, 0, 28, 28)}
	}
	for i := range 4 {
		pixels, _, err := asTrained(m, gray(upright.Image(i)), 28, 28, false)
		if err != nil {
			t.Fatal(err)
		}
		alike, other := 0, 0
		for k, v := range pixels { // the shape is placed by its centre of mass, so not pixel by pixel
			alike += int(v) * int(blurred(upright.Image(i), k))
			other += int(v) * int(blurred(lying.Image(i), k))
		}
		if alike <= other {
			t.Errorf("image %d: an upright picture was turned", i)
		}
		if raw, _, err := asTrained(m, gray(lying.Image(i)), 28, 28, true); err != nil || !bytes.Equal(raw, upright.Image(i)) {
			t.Errorf("image %d: a picture as it is in the arrays was not turned: %v", i, err)
		}
		var b bytes.Buffer
		if err := png.Encode(&b, gray(upright.Image(i))); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(fmt.Sprintf("%d.png", i), b.Bytes(), 0o644); err != nil {
			t.Fatal(err)
		}
		if p := predictions(t, must(t, "predict", "m.safetensors", fmt.Sprintf("%d.png", i), "--json")); p[0].Class != i%2 {
			t.Errorf("image %d is taken for %d", i, p[0].Class)
		}
	}
}

// blurred is the mean of the pixels that are at most 3 from one of 28x28.
func blurred(pixels []byte, at int) byte {
	sum := 0
	for y := max(0, at/28-3); y <= min(27, at/28+3); y++ {
		for x := max(0, at%28-3); x <= min(27, at%28+3); x++ {
			sum += int(pixels[y*28+x])
		}
	}
	return byte(sum / 49)
}

// A run and a sweep know how their data were read, and go on only with the same.
func TestDataSettingsAreKept(t *testing.T) {
	t.Chdir(t.TempDir())
	pictures(t, "bars", []string{"standing", "lying"}, 20)
	how := []string{"--data", "bars", "--size", "6", "--test", "0.2"}
	must(t, append([]string{"train", "--epochs", "1", "--batch", "4", "--history", "run"}, how...)...)
	must(t, "train", "--history", "run", "--resume")
	if _, stderr, code := vanilla(t, "train", "--history", "run", "--resume", "--invert"); code != misuse || !strings.Contains(stderr, `was prepared otherwise`) {
		t.Errorf("exit code %d, %s", code, stderr)
	}
	must(t, append([]string{"sweep", "--hidden", "3,4", "--layers", "1", "--grid", "--epochs", "1", "--batch", "4", "--finalists", "1", "--final-seeds", "1", "--out", "sweep"}, how...)...)
	must(t, "sweep", "--out", "sweep", "--resume")
	if text := must(t, "results", "sweep"); !strings.Contains(text, "--size=6 --test=0.2") {
		t.Errorf("results say how to train again without how the data are read:\n%s", text)
	}
	if _, stderr, code := vanilla(t, "sweep", "--out", "sweep", "--resume", "--invert"); code != misuse || !strings.HasSuffix(stderr, "holds another sweep: --data has other images, labels or names, or was prepared otherwise\n") {
		t.Errorf("exit code %d, %s", code, stderr)
	}
}

// A sweep and a figure that take a model's recipe read the data as its own were. The sweep keeps how, so that neither
// resuming it nor training its finalists again needs the model.
func TestRecipeOfAModelReadsItsData(t *testing.T) {
	t.Chdir(t.TempDir())
	pictures(t, "bars", []string{"standing", "lying"}, 20)
	how := []string{"--size", "6", "--test", "0.2", "--invert", "--transpose"}
	must(t, append([]string{"train", "--data", "bars", "--epochs", "1", "--batch", "4", "-o", "m.safetensors"}, how...)...)
	sweepOf := func(out string, more ...string) string {
		args := []string{"sweep", "--data", "bars", "--recipe", "m.safetensors", "--layers", "1", "--hidden", "3,4", "--grid", "--finalists", "1", "--final-seeds", "1", "--out", out}
		stdout, stderr, code := vanilla(t, append(args, more...)...)
		if said := strings.Count(stderr, "read as the images of m.safetensors were: "); code != done || said != 1 && more == nil {
			t.Fatalf("%q: exit code %d, said %d times how the data are read: %s", more, code, said, stderr)
		}
		return stdout
	}
	sweepOf("like")
	sweepOf("said", how...)
	if like, said := openSweep(t, "like"), openSweep(t, "said"); like.Data != said.Data {
		t.Errorf("the data are %+v, want %+v", like.Data, said.Data)
	}
	sweepOf("like", "--resume")
	sweepOf("plan", "--dry-run")
	if err := os.Rename("m.safetensors", "moved.safetensors"); err != nil {
		t.Fatal(err)
	}
	must(t, "sweep", "--out", "like", "--resume")
	results := must(t, "results", "like")
	_, command, found := strings.Cut(results, "vanilla train ")
	if command, _, _ = strings.Cut(command, "\n"); !found || !strings.Contains(command, "--invert=true --size=6x6 --test=0.2 --transpose=true") {
		t.Fatalf("the results do not say how the data are read:\n%s", results)
	}
	must(t, append([]string{"train"}, strings.Fields(command)...)...)
	models, err := filepath.Glob(filepath.Join("like", "models", "*"))
	if err != nil || len(models) != 1 || !bytes.Equal(read(t, "finalist-1.safetensors"), read(t, models[0])) {
		t.Errorf("the command that trains the finalist again does not come to the bytes of %q, %v", models, err)
	}

	drawn := func(more ...string) []byte {
		must(t, append([]string{"viz", "augment", "recipe", "--data", "bars", "--shift", "1", "-o", "figure.svg"}, more...)...)
		return read(t, "figure.svg")
	}
	put(t, "recipe", string(read(t, "moved.safetensors")))
	like := drawn()
	put(t, "recipe", "base: default\n")
	if !bytes.Equal(like, drawn(how...)) || bytes.Equal(like, drawn(how[:4]...)) {
		t.Error("a model's recipe is not drawn on images as the model's were")
	}
}

// The model remembers arrays that were transposed and whose white was 16; a picture as it is in the data goes the same way.
func TestRawPictureOfArrays(t *testing.T) {
	t.Chdir(t.TempDir())
	var lines strings.Builder
	for i := range 60 {
		fmt.Fprintf(&lines, "%d", i%3)
		for k := range 16 {
			v := 0
			if k%4 == i%3 || k == 5*(i%3) {
				v = 16 - i%4
			}
			fmt.Fprintf(&lines, ",%d", v)
		}
		lines.WriteByte('\n')
	}
	if err := os.WriteFile("bits.csv", []byte(lines.String()), 0o644); err != nil {
		t.Fatal(err)
	}
	_, stderr, code := vanilla(t, "train", "--data", "bits.csv", "--label-column", "first", "--test", "0.2", "--transpose", "--epochs", "2", "--batch", "4", "-o", "m.safetensors")
	if code != done || !strings.Contains(stderr, "16 is taken for white, which --range changes") {
		t.Fatalf("exit code %d, %s", code, stderr)
	}
	picture := image.NewGray(image.Rect(0, 0, 4, 4))
	for k := range picture.Pix { // the first line, in the file's order
		if k%4 == 0 {
			picture.Pix[k] = 255
		}
	}
	var b bytes.Buffer
	if err := png.Encode(&b, picture); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile("first.png", b.Bytes(), 0o644); err != nil {
		t.Fatal(err)
	}
	data, err := dataset.Open(t.Context(), "bits.csv", dataset.Options{Label: "first", Transpose: true, Untested: true})
	if err != nil {
		t.Fatal(err)
	}
	m, err := model.Read("m.safetensors")
	if err != nil {
		t.Fatal(err)
	}
	pixels, _, err := asTrained(m, picture, 4, 4, true)
	if err != nil || !bytes.Equal(pixels, data.Train.Image(0)) {
		t.Errorf("%v, %v, want %v", pixels, err, data.Train.Image(0))
	}
	must(t, "predict", "m.safetensors", "first.png", "--raw")
}
