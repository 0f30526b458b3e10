package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"image/png"
	"io"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"

	"vanilla/model"
	"vanilla/model/zoo"
	"vanilla/viz"
)

// numbers are a figure's, from --json.
func numbers[F any](t *testing.T, args ...string) (f F) {
	t.Helper()
	stdout := must(t, append(append([]string{"viz"}, args...), "--json")...)
	if strings.Count(stdout, "\n") != 1 {
		t.Errorf("vanilla viz %q printed %d lines", args, strings.Count(stdout, "\n"))
	}
	if err := json.Unmarshal([]byte(stdout), &f); err != nil {
		t.Fatal(err)
	}
	return f
}

func evaluated(t *testing.T, args ...string) (r evalReport) {
	t.Helper()
	if err := json.Unmarshal([]byte(must(t, append([]string{"eval", "--json"}, args...)...)), &r); err != nil {
		t.Fatal(err)
	}
	return r
}

// Figures say the same as eval and predict do.
func TestFiguresAgree(t *testing.T) {
	if testing.Short() {
		t.Skip("evaluates on MNIST")
	}
	for _, name := range zoo.Names() {
		want := evaluated(t, name)
		m := numbers[viz.Mistakes](t, "mistakes", name)
		if m.Errors[0] != want.Errors || len(m.Wrong) != want.Errors || fmt.Sprint(m.Confusion) != fmt.Sprint(want.Confusion) {
			t.Errorf("%s: %d mistakes, eval finds %d errors", name, m.Errors[0], want.Errors)
		}
		predicted := strings.Split(must(t, "predict", name, "--data", "mnist", "--json"), "\n")
		for _, index := range []int{0, 8, 9999} {
			var p prediction
			if err := json.Unmarshal([]byte(predicted[index]), &p); err != nil {
				t.Fatal(err)
			}
			a := numbers[viz.Activations](t, "activations", name, "--index", strconv.Itoa(index))
			for class, v := range a.Probabilities {
				// One is computed in float64, the other in float32 through three layers, whose sums of up to 784 terms, most of
				// them zeros, leave five digits of what enters them.
				if math.Abs(float64(v-p.Probabilities[class])) > 1e-4 {
					t.Errorf("%s, image %d: class %d has probability %v, predict finds %v", name, index, class, v, p.Probabilities[class])
				}
			}
			sum, size := a.Reveal.Bias, math.Abs(a.Reveal.Bias)
			for _, v := range a.Reveal.Products {
				sum, size = sum+v, size+math.Abs(v)
			}
			// The unit's input is rounded to float32 once, as each pixel is.
			if math.Abs(sum-a.Reveal.Input) > 0x1p-22*size || a.Guess != p.Class || a.Picture.Label != int(*p.Label) {
				t.Errorf("%s, image %d: unit %d's parts sum to %v, %v enters it", name, index, a.Reveal.Unit, sum, a.Reveal.Input)
			}
		}
	}
}

// Eval and the figures agree on what is wrong, and of which class; a network need be
// no chain for that.
func TestQualityOfAnyNetwork(t *testing.T) {
	inData(t)
	must(t, tiny("--arch", "16-5-5-3", "--block", "residual", "--epochs", "1", "--lr", "0.01", "-o", "own.safetensors")...)
	must(t, tiny("--loss", "quadratic", "--epochs", "1", "--lr", "0.01", "-o", "quadratic.safetensors")...)
	for _, name := range []string{"own.safetensors", "quadratic.safetensors"} {
		want := evaluated(t, name, "--data", "tiny")
		if want.Errors == 0 || want.Calibration == nil || want.Softmax != (name == "own.safetensors") || len(want.Hidden) == 0 {
			t.Fatalf("%s: found %+v", name, want)
		}
		n := numbers[viz.Quality](t, "quality", name, "--data", "tiny").Networks[0]
		if n.Model != name || n.Accuracy != want.TestAccuracy || n.Calibration.Error != want.Calibration.Error || len(n.Calibration.Bins) != len(want.Calibration.Bins) {
			t.Errorf("%s: the figure says %+v, eval %+v", name, n.Quality, want)
		}
		must(t, "viz", "quality", name, "--data", "tiny", "-o", "q.svg")
		listed := 0
		for label, row := range want.Confusion {
			for guess, count := range row {
				if guess == label {
					continue
				}
				args := []string{name, "--data", "tiny", "--label", strconv.Itoa(label), "--guess", strconv.Itoa(guess)}
				found := *evaluated(t, args...).Mistakes
				if len(found) != count {
					t.Errorf("%s: %d images of %d are listed as taken for %d, want %d", name, len(found), label, guess, count)
				}
				for _, m := range found {
					if m.Label != label || m.Guess != guess {
						t.Errorf("%s: asked for %d as %d, found %+v", name, label, guess, m)
					}
				}
				listed += len(found)
				text := must(t, append([]string{"eval"}, args...)...)
				if want := fmt.Sprintf("\n%d images of %d that are taken for %d\n", count, label, guess); !strings.Contains(text, want) {
					t.Errorf("%s: want %q in %s", name, want, text)
				}
				if name != "quadratic.safetensors" {
					continue
				}
				drawn := numbers[viz.Mistakes](t, append([]string{"mistakes"}, args...)...)
				if len(drawn.Wrong) != count || drawn.Errors[0] != want.Errors || *drawn.Label != label || *drawn.Guess != guess {
					t.Errorf("%s: %d images of %d are drawn as taken for %d, want %d", name, len(drawn.Wrong), label, guess, count)
				}
			}
		}
		if listed != want.Errors {
			t.Errorf("%s: %d mistakes are listed, want %d", name, listed, want.Errors)
		}
	}
	for _, c := range []struct {
		args []string
		want string
	}{
		{[]string{"--label", "3"}, "--label 3: want 0 to 2"},
		{[]string{"--guess", "-2"}, "--guess -2: want 0 to 2"},
		{[]string{"--label", "1", "--guess", "1"}, "--guess 1: --label is the same, which is no mistake: want another class"},
	} {
		stdout, stderr, code := vanilla(t, append([]string{"eval", "own.safetensors", "--data", "tiny"}, c.args...)...)
		if code != misuse || stdout != "" || !strings.Contains(stderr, c.want) {
			t.Errorf("eval %q: exit code %d, %q and %q", c.args, code, stdout, stderr)
		}
	}
}

func TestRobustnessIsEvalWhereNothingMoves(t *testing.T) {
	inData(t)
	for _, arch := range []string{"16-5-3", "16-3", "16-40-6-3"} {
		must(t, tiny("--arch", arch, "--epochs", "1")...)
		want := evaluated(t, "model.safetensors", "--data", "tiny").TestAccuracy
		r := numbers[viz.Robustness](t, "robustness", "model.safetensors", "--data", "tiny")
		if found := r.Shifts[r.Shift][r.Shift]; found != want || r.N != 30 || r.Shift != 2 {
			t.Errorf("%s: unmoved, accuracy is %v, eval finds %v", arch, found, want)
		}
	}
}

// What the lesson says, on the networks that are built in.
func TestLessonsClaims(t *testing.T) {
	if testing.Short() {
		t.Skip("computes figures on MNIST")
	}
	t.Parallel()
	b := numbers[viz.Blobs](t, "blobs", "lesson", "default")
	lesson, ours := b.Models[0], b.Models[1]
	// Pixels that are always zero keep their start, unless it decays.
	if b.DeadPixels != 67 || lesson.Trained.FromStart != 1 || lesson.Trained.RMSDead != lesson.Start.RMSDead {
		t.Errorf("%d pixels are dead; the lesson's weights there are %+v, their start %+v", b.DeadPixels, lesson.Trained.Look, lesson.Start.Look)
	}
	if ours.Trained.RMSDead > 0.1*ours.Start.RMSDead || ours.Trained.FromStart < 0.999 {
		t.Errorf("with decay, the weights on dead pixels are %+v, their start %+v", ours.Trained.Look, ours.Start.Look)
	}
	// It looks nearly random because the start does.
	if lesson.Trained.Neighbours > 0.3 || ours.Trained.Neighbours < 0.4 || math.Abs(lesson.Start.Neighbours) > 0.05 {
		t.Errorf("neighbours correlate by %v and %v", lesson.Trained.Neighbours, ours.Trained.Neighbours)
	}
	for _, name := range zoo.Names() {
		n := numbers[viz.Noise](t, "noise", name)
		most := 0.
		for _, k := range n.Kinds[1:] {
			most = max(most, k.Confidence)
		}
		if most < 0.95 {
			t.Errorf("%s is never surer of noise than %v", name, most)
		}
		d := numbers[viz.Dream](t, "dream", name)
		for _, o := range d.Outputs {
			if !slices.IsSorted(o.Logits) || o.End < 0.9 || o.End <= o.Start {
				t.Errorf("%s dreams of %d from %v to %v", name, o.Class, o.Start, o.End)
			}
			if o.Likeness > 0.7 {
				t.Errorf("%s can draw a %d: the correlation with its mean is %v", name, o.Class, o.Likeness)
			}
		}
		m := numbers[viz.Morph](t, "morph", name)
		if len(m.Flips) == 0 || m.Guesses[0] != 3 || m.Guesses[len(m.Guesses)-1] != 8 {
			t.Errorf("%s: the guesses are %v, flips %+v", name, m.Guesses, m.Flips)
		}
	}
}

// The slope along pixels is that of what enters the last layer, for both losses.
func TestInputGradientOfSeen(t *testing.T) {
	for _, name := range zoo.Names() {
		var v vizFlags
		if err := v.prepare(t.Context()); err != nil {
			t.Fatal(err)
		}
		defer v.Close()
		n, err := v.open(name)
		if err != nil {
			t.Fatal(err)
		}
		x := make([]float32, 784)
		for i := range x {
			x[i] = float32(i%7) / 7
		}
		dz := make([]float32, 10)
		dz[4], dz[5] = 1, -0.5
		slope, err := n.InputGradient(t.Context(), x, dz)
		if err != nil {
			t.Fatal(err)
		}
		value := func(x []float32) float64 {
			z, _, err := n.Activate(t.Context(), x)
			if err != nil {
				t.Fatal(err)
			}
			return float64(z[len(z)-1][4]) - 0.5*float64(z[len(z)-1][5])
		}
		largest := 0.
		for _, s := range slope {
			largest = math.Max(largest, math.Abs(float64(s)))
		}
		for _, i := range []int{100, 300, 406, 407, 500} {
			// Outputs of about 10 are rounded to float32, 1e-6 apart, over 2h; the weights' third powers times h² are smaller.
			const h = 1.0 / 256
			up, down := slices.Clone(x), slices.Clone(x)
			up[i] += h
			down[i] -= h
			if found := (value(up) - value(down)) / (2 * h); math.Abs(found-float64(slope[i])) > 1e-3*largest+2e-6/h {
				t.Errorf("%s: pixel %d has slope %v, differences give %v", name, i, slope[i], found)
			}
		}
	}
}

// Every figure of a tiny model, in all formats; the same command gives the same
// bytes.
func TestFigureFiles(t *testing.T) {
	if testing.Short() {
		t.Skip("draws many figures")
	}
	inData(t)
	must(t, tiny("--history", "run", "--snapshots", "log,epochs")...)
	for _, f := range figures() {
		name := "model.safetensors"
		switch f.name {
		case "training":
			name = "run"
		case "augment":
			name = "default"
		}
		args := []string{"viz", f.name, name, "-o", "a.png"}
		if f.name != "weights" {
			args = append(args, "--data", "tiny")
		}
		if f.name == "morph" {
			args = append(args, "--from", "0", "--to", "2")
		}
		if f.name == "augment" {
			args = append(args, "--rotate", "20", "--elastic", "5")
		}
		if stdout := must(t, args...); !strings.HasSuffix(stdout, "saved in a.png\n") {
			t.Errorf("%s printed %q", f.name, stdout)
		}
		first := read(t, "a.png")
		must(t, args...)
		if !bytes.Equal(first, read(t, "a.png")) {
			t.Errorf("%s: the same command gave another file", f.name)
		}
		if _, err := png.Decode(bytes.NewReader(first)); err != nil {
			t.Errorf("%s: %v", f.name, err)
		}
		must(t, append(args, "--dark")...)
		if bytes.Equal(first, read(t, "a.png")) {
			t.Errorf("%s: --dark changes nothing", f.name)
		}
		args[4] = "a.svg"
		must(t, args...)
		if svg := read(t, "a.svg"); !bytes.Contains(svg, []byte("<svg")) {
			t.Errorf("%s: the SVG is %.60q", f.name, svg)
		}
		args[4] = "a.gif"
		_, stderr, code := vanilla(t, args...)
		if moves := slices.Contains([]string{"morph", "dream", "training"}, f.name); moves != (code == done) ||
			!moves && !strings.Contains(stderr, "--out a.gif: this figure does not move") {
			t.Errorf("%s as a GIF: exit code %d, %s", f.name, code, stderr)
		}
	}
	// A file and numbers at once.
	if stdout := must(t, "viz", "weights", "model.safetensors", "-o", "b.png", "--json"); !json.Valid([]byte(stdout)) || len(read(t, "b.png")) == 0 {
		t.Errorf("printed %.60q", stdout)
	}
	u := numbers[viz.UnitWeights](t, "weights", "model.safetensors", "--unit", "4")
	if u.Unit.Unit != 4 || u.Rows != 4 || u.Cols != 4 {
		t.Errorf("found %+v", u)
	}
	// The course is that of the history: the last network is the model.
	r := numbers[viz.Training](t, "training", "run", "--data", "tiny").Runs[0]
	m, err := model.Read("model.safetensors")
	if err != nil {
		t.Fatal(err)
	}
	if last := r.Snapshots[len(r.Snapshots)-1]; len(r.Epochs) != 6 || last.Step != r.Epochs[5].Step || last.Accuracy != m.TestAccuracy || r.Snapshots[0].Step != 0 {
		t.Errorf("found %+v; the model has accuracy %v", r, m.TestAccuracy)
	}
}

// A picture of the user's is seen as predict sees it.
func TestFigureOfPicture(t *testing.T) {
	t.Chdir(t.TempDir())
	exampleFiles(t)
	var p prediction
	if err := json.Unmarshal([]byte(must(t, "predict", "default", "digit.png", "--json")), &p); err != nil {
		t.Fatal(err)
	}
	a := numbers[viz.Activations](t, "activations", "default", "--image", "digit.png")
	if a.Guess != p.Class || math.Abs(float64(a.Probabilities[a.Guess]-p.Probabilities[p.Class])) > 1e-4 || a.Picture.Label != -1 || a.Picture.Name != "digit.png" {
		t.Errorf("found %d with %v, predict finds %d with %v", a.Guess, a.Probabilities[a.Guess], p.Class, p.Probabilities[p.Class])
	}
}

func TestVizAll(t *testing.T) {
	if testing.Short() {
		t.Skip("draws many figures")
	}
	inData(t)
	for _, arch := range []string{"16-5-3", "16-3"} {
		must(t, tiny("--arch", arch)...)
		var g gallery
		if err := json.Unmarshal([]byte(must(t, "viz", "all", "model.safetensors", "--data", "tiny", "-o", "figures", "--json")), &g); err != nil {
			t.Fatal(err)
		}
		// Three classes have no 8 to become.
		if len(g.Drawn) != 8 || len(g.Left) != 3 || g.Left[0].Figure != "morph" || g.Left[1].Figure != "training" || g.Left[2].Figure != "augment" {
			t.Fatalf("%s: drew %+v, left out %+v", arch, g.Drawn, g.Left)
		}
		index := string(read(t, filepath.Join("figures", "index.html")))
		for _, d := range g.Drawn {
			for _, file := range d.Files {
				if len(read(t, filepath.Join("figures", file))) == 0 || !strings.Contains(index, `href="`+file+`"`) {
					t.Errorf("%s: the page does not show %s", arch, file)
				}
			}
			if !json.Valid(read(t, filepath.Join("figures", d.Figure+".json"))) {
				t.Errorf("%s: %s.json is no JSON", arch, d.Figure)
			}
		}
		for _, l := range g.Left {
			if !strings.Contains(index, "<b>"+l.Figure+"</b>") || l.Why == "" {
				t.Errorf("%s: the page does not say why there is no %s", arch, l.Figure)
			}
		}
		if stdout := must(t, "viz", "all", "model.safetensors", "--data", "tiny", "-o", "figures", "--dark"); !strings.Contains(stdout, "left out: from 3: model.safetensors gets no test image of that label right") ||
			!strings.Contains(stdout, "see them all: "+filepath.Join("figures", "index.html")) {
			t.Errorf("printed %s", stdout)
		}
	}
}

func TestVizWrongUsage(t *testing.T) {
	inData(t)
	must(t, tiny()...)
	writeStateDict(t, "odd.safetensors", 15, 4, 3)
	writeFile(t, "text.png", []byte("no picture"))
	writeFile(t, "file", []byte("no model"))
	wild, err := zoo.Open(zoo.Default)
	if err != nil {
		t.Fatal(err)
	}
	wild.Params[2].Data[0] = float32(math.NaN())
	if err := wild.Write("wild.safetensors"); err != nil {
		t.Fatal(err)
	}
	if err := os.MkdirAll("damaged", 0o755); err != nil {
		t.Fatal(err)
	}
	writeFile(t, filepath.Join("damaged", "history.jsonl"), []byte("no record\n"))
	on := func(args ...string) []string { return append(args, "--data", "tiny", "-o", "x.png") }
	before := listing(t)
	for _, c := range []struct {
		args []string
		code int
		want string
	}{
		{nil, misuse, "vanilla viz: want a figure: weights, blobs, mistakes, quality, noise, robustness, activations, morph, dream, training, augment or all"},
		{[]string{"paint", "default"}, misuse, `found the figure "paint": want weights, blobs`},
		{[]string{"weights"}, misuse, "vanilla viz weights: want a model file"},
		{[]string{"weights", "default", "lesson"}, misuse, `unexpected argument "lesson": want one model file`},
		{[]string{"blobs"}, misuse, "vanilla viz blobs: want MODEL…"},
		{[]string{"weights", "default"}, misuse, `--out "": want the name of a file that ends in .png or .svg, or --json`},
		{[]string{"painting", "default", "-o", "x.png"}, misuse, `found the figure "painting": want weights, blobs`},
		{[]string{"weights", "default", "-o", "x.pdf"}, misuse, "--out x.pdf: want the name of a file that ends in .png or .svg, or --json"},
		{[]string{"dream", "default", "-o", "x.pdf"}, misuse, "--out x.pdf: want the name of a file that ends in .png, .svg or .gif, or --json"},
		{[]string{"weights", "default", "-o", "x.gif"}, misuse, "--out x.gif: this figure does not move"},
		{[]string{"weights", "default", "-o", filepath.Join("nowhere", "x.png")}, failed, "cannot write to the directory nowhere"},
		{[]string{"weights", "nowhere", "-o", "x.png"}, failed, "nowhere: cannot be read"},
		{[]string{"weights", "file", "-o", "x.png"}, failed, "file: not a safetensors file"},
		{[]string{"weights", "wild.safetensors", "-o", "x.png"}, failed, "wild.safetensors: parameter 2.weight: expected finite values, found NaN"},
		{[]string{"weights", "odd.safetensors", "-o", "x.png"}, failed, "say what it does not hold with --activation and --loss"},
		{[]string{"weights", "odd.safetensors", "--activation", "relu", "--loss", "quadratic", "-o", "x.png"}, failed, "its inputs are not images: 15 pixels do not make a square"},
		{[]string{"weights", "default", "--unit", "16", "-o", "x.png"}, misuse, "--unit 16: default (784-16-16-10) has 16 units in layer 2: want 0 to 15"},
		{[]string{"weights", "default", "--unit", "-2", "-o", "x.png"}, misuse, "--unit -2: default"},
		{[]string{"weights", "default", "--scale", "log", "-o", "x.png"}, misuse, "--scale log: want shared or unit"},
		{[]string{"weights", "default", "--seed", "2", "-o", "x.png"}, misuse, "unknown flag: --seed"},
		{on("noise", "default"), misuse, "--data tiny: found images of 16 pixels: default (784-16-16-10 sigmoid) takes 784"},
		{on("mistakes", "model.safetensors", "default"), misuse, "--data tiny: found images of 16 pixels"},
		{[]string{"noise", "default", "--data", "nowhere", "-o", "x.png"}, failed, "--data nowhere: want mnist, a directory, or a .csv or .npz file"},
		{on("activations", "model.safetensors", "--index", "30"), misuse, "--index 30: want 0 to 29"},
		{on("activations", "model.safetensors", "--index", "-1"), misuse, "--index -1: want 0 to 29"},
		{on("activations", "model.safetensors", "--unit", "5"), misuse, "--unit 5: model.safetensors (16-5-3) has 5 units in layer 2: want 0 to 4"},
		{on("activations", "model.safetensors", "--image", "text.png"), failed, "text.png: want a PNG, JPEG, GIF, WebP or BMP image, found something else"},
		{on("activations", "model.safetensors", "--image", "text.png", "--index", "3"), misuse, "--index 3: found --image text.png too: want one or the other"},
		{on("robustness", "model.safetensors", "--image", "nowhere.png"), failed, "nowhere.png: cannot be read"},
		{on("robustness", "model.safetensors", "--index", "99"), misuse, "--index 99: want 0 to 29"},
		{on("morph", "model.safetensors"), misuse, "--from 3: model.safetensors gets no test image of that label right: want another one, of 0 to 2"},
		{on("morph", "model.safetensors", "--from", "1", "--to", "1"), misuse, "--to 1: --from is the same digit: want another one"},
		{on("morph", "model.safetensors", "--from", "1"), misuse, "--to 8: model.safetensors gets no"},
		{on("mistakes", "model.safetensors", "--label", "3"), misuse, "--label 3: want 0 to 2"},
		{on("mistakes", "model.safetensors", "--label", "1", "--guess", "1"), misuse, "--guess 1: --label is the same, which is no mistake: want another class"},
		{on("quality", "model.safetensors", "default"), misuse, "--data tiny: found images of 16 pixels"},
		{on("quality", "wild.safetensors"), failed, "wild.safetensors: parameter 2.weight: expected finite values, found NaN"},
		{on("training", "tiny"), failed, "tiny: want a directory that vanilla train --history has written: found no history.jsonl"},
		{on("training", "damaged"), failed, "line 1: expected a record of an epoch"},
		{on("training"), misuse, "vanilla viz training: want DIR…"},
		{[]string{"all", "default"}, misuse, `--out "": want the name of a directory`},
		{[]string{"all", "model.safetensors", "-o", "figures"}, misuse, "--data mnist: found images of 784 pixels"},
		{[]string{"all", "model.safetensors", "--data", "tiny", "-o", "file"}, failed, "--out file: want a directory"},
		{[]string{"all"}, misuse, "vanilla viz all: want a model file"},
	} {
		args := append([]string{"viz"}, c.args...)
		stdout, stderr, code := vanilla(t, args...)
		if code != c.code || !strings.Contains(stderr, c.want) || strings.Count(stderr, "\n") != 1 || stdout != "" {
			t.Errorf("vanilla %q: exit code %d, %q and %q; want %d, one line with %q", args, code, stdout, stderr, c.code, c.want)
		}
		if after := listing(t); !slices.Equal(before, after) {
			t.Fatalf("vanilla %q: files were %q, now %q", args, before, after)
		}
	}
	if code := run(t.Context(), []string{"viz", "weights", "default", "--json"}, nil, brokenPipe{}, io.Discard); code != failed {
		t.Errorf("into a broken pipe: exit code %d", code)
	}
}

// The start of a network is what its recipe and seed say, and nothing where
// there is none: of chains, and of what is no chain.
func TestStart(t *testing.T) {
	for _, block := range []string{"none", "gated"} {
		t.Run(block, func(t *testing.T) { startsAsTrained(t, block) })
	}
}

func startsAsTrained(t *testing.T, block string) {
	inData(t)
	must(t, tiny("--history", "run", "--snapshots", "log", "--block", block)...)
	var v vizFlags
	if err := v.prepare(t.Context()); err != nil {
		t.Fatal(err)
	}
	defer v.Close()
	trained, err := v.open("model.safetensors")
	if err != nil {
		t.Fatal(err)
	}
	first, err := v.open(filepath.Join("run", "snapshots", "step-000000000.safetensors"))
	if err != nil {
		t.Fatal(err)
	}
	start, err := trained.start(&v)
	if err != nil {
		t.Fatal(err)
	}
	for k, l := range first.Layers() {
		if !slices.Equal(l.Weight, start[k].Weight) || !slices.Equal(l.Bias, start[k].Bias) {
			t.Errorf("layer %d does not start as training did", k)
		}
	}
	trained.model.Recipe = json.RawMessage("{}")
	if start, err := trained.start(&v); start != nil || err != nil {
		t.Errorf("a network without a recipe has a start, %v", err)
	}
}
