package main

import (
	"bytes"
	"context"
	"encoding/binary"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"path/filepath"
	"regexp"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"unicode/utf8"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"vanilla/dataset"
	"vanilla/infer/quality"
	"vanilla/internal/cuda/driver"
	"vanilla/kernels"
	"vanilla/model"
	"vanilla/train"
)

var update = flag.Bool("update", false, "write the golden files anew")

// TestMain lets a test run this binary as the command itself.
func TestMain(m *testing.M) {
	if os.Getenv("VANILLA_TEST_MAIN") != "" {
		main()
	}
	open := openExecutor
	openExecutor = func(device, executor, precision string) (kernels.Executor, error) {
		e, err := open(device, executor, precision)
		if err != nil {
			return nil, err
		}
		opened.Add(1)
		return &counted{Executor: e}, nil
	}
	code := m.Run()
	if o, c := opened.Load(), closed.Load(); o != c {
		fmt.Printf("the tests opened %d executors and closed %d\n", o, c)
		code = 1
	}
	os.Exit(code)
}

// Executors that commands opened, and those of them that were closed.
var opened, closed atomic.Int64

// counted is an executor that counts how often it is closed.
type counted struct {
	kernels.Executor
	once sync.Once
}

func (e *counted) Close() error {
	e.once.Do(func() { closed.Add(1) })
	return e.Executor.Close()
}

// Whatever a command does with an executor, it opens one and closes it.
func TestExecutorsAreClosed(t *testing.T) {
	inData(t)
	before := opened.Load()
	for _, line := range [][]string{
		tiny(), tiny("--explain"), tiny("--explain", "--executor", "tape"), tiny("--history", "run", "--snapshots", "log"),
		{"eval", "model.safetensors", "--data", "tiny"}, {"predict", "model.safetensors", "--data", "tiny"},
		{"viz", "weights", "model.safetensors", "--data", "tiny", "--json"}, {"viz", "all", "model.safetensors", "--data", "tiny", "-o", "figures"},
		{"eval", "nothing.safetensors"},
	} {
		vanilla(t, line...)
		if o, c := opened.Load(), closed.Load(); o != before+1 || c != o {
			t.Errorf("vanilla %s: %d executors were opened, %d of all %d are closed", strings.Join(line, " "), o-before, c, o)
		}
		before = opened.Load()
	}
}

// vanilla runs a command line in this process.
func vanilla(t *testing.T, args ...string) (stdout, stderr string, code int) {
	t.Helper()
	var out, err bytes.Buffer
	code = run(t.Context(), args, strings.NewReader(""), &out, &err)
	return out.String(), err.String(), code
}

// must runs a command line that must succeed.
func must(t *testing.T, args ...string) string {
	t.Helper()
	stdout, stderr, code := vanilla(t, args...)
	if code != done {
		t.Fatalf("vanilla %s: exit code %d: %s", strings.Join(args, " "), code, stderr)
	}
	return stdout
}

// writeData writes a data set of size x size images in three classes that is
// learned in no time: class c has a bright row c.
func writeData(t *testing.T, dir string, size int) {
	t.Helper()
	random := rand.New(rand.NewPCG(1, 2))
	for name, n := range map[string]int{"train": 100, "t10k": 30} {
		set := dataset.Images{Rows: size, Cols: size}
		for i := range n {
			for p := range size * size {
				pixel := byte(random.IntN(60))
				if p/size == i%3 {
					pixel += 150
				}
				set.Pixels = append(set.Pixels, pixel)
			}
			set.Labels = append(set.Labels, byte(i%3))
		}
		writeImages(t, dir, name, &set)
	}
}

// writeFew writes MNIST's first n training and test images as a data set.
func writeFew(t *testing.T, dir string, n int) {
	t.Helper()
	data, err := embedded()
	if err != nil {
		t.Fatal(err)
	}
	for name, set := range map[string]*dataset.Images{"train": data.Train, "t10k": data.Test} {
		few := *set
		few.Pixels, few.Labels = set.Pixels[:n*set.Features()], set.Labels[:n]
		writeImages(t, dir, name, &few)
	}
}

// writeImages writes a set's two IDX files.
func writeImages(t *testing.T, dir, name string, set *dataset.Images) {
	t.Helper()
	if err := os.MkdirAll(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	images, labels := binary.BigEndian.AppendUint32(nil, 0x803), binary.BigEndian.AppendUint32(nil, 0x801)
	for _, extent := range []int{set.Len(), set.Rows, set.Cols} {
		images = binary.BigEndian.AppendUint32(images, uint32(extent))
	}
	labels = binary.BigEndian.AppendUint32(labels, uint32(set.Len()))
	writeFile(t, filepath.Join(dir, name+"-images-idx3-ubyte"), append(images, set.Pixels...))
	writeFile(t, filepath.Join(dir, name+"-labels-idx1-ubyte"), append(labels, set.Labels...))
}

// inData changes to a new directory with the data set tiny, which tiny's flags
// fit.
func inData(t *testing.T) {
	t.Helper()
	t.Chdir(t.TempDir())
	writeData(t, "tiny", 4)
}

func tiny(more ...string) []string {
	return append([]string{"train", "--data", "tiny", "--arch", "16-5-3", "--batch", "8", "--epochs", "6"}, more...)
}

func read(t *testing.T, path string) []byte {
	t.Helper()
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return data
}

// keys are an object's keys in their order.
func keys(t *testing.T, object string) []string {
	t.Helper()
	d := json.NewDecoder(strings.NewReader(object))
	var found []string
	for depth := 0; ; {
		token, err := d.Token()
		if err == io.EOF {
			return found
		} else if err != nil {
			t.Fatalf("%v in %s", err, object)
		}
		switch token {
		case json.Delim('{'), json.Delim('['):
			depth++
		case json.Delim('}'), json.Delim(']'):
			depth--
		default:
			if key, ok := token.(string); ok && depth == 1 {
				found = append(found, key)
				var value json.RawMessage
				if err := d.Decode(&value); err != nil {
					t.Fatal(err)
				}
			}
		}
	}
}

func TestTrainThenEval(t *testing.T) {
	inData(t)
	for _, executor := range []string{"fast", "tape", "ref"} {
		t.Run(executor, func(t *testing.T) {
			stdout := must(t, tiny("--executor", executor, "--json", "-o", "a.safetensors")...)
			if strings.Count(stdout, "\n") != 1 || !strings.HasSuffix(stdout, "}\n") {
				t.Errorf("want one line of JSON, found %q", stdout)
			}
			want := []string{"arch", "parameters", "device", "executor", "precision", "arithmetic", "recipe", "seed", "epochs", "train_seconds",
				"seconds_per_epoch", "train_loss", "test_accuracy", "diverged", "model"}
			if got := keys(t, stdout); !slices.Equal(got, want) {
				t.Errorf("fields %q, want %q", got, want)
			}
			var trained trainReport
			if err := json.Unmarshal([]byte(stdout), &trained); err != nil {
				t.Fatal(err)
			}
			if trained.Parameters != 16*5+5+5*3+3 || trained.Epochs != 6 || trained.Precision != "fp32" || trained.Diverged ||
				trained.Seed != 1 || *trained.Model != "a.safetensors" || *trained.TestAccuracy < 0.9 || *trained.TrainLoss <= 0 ||
				trained.TrainSeconds <= 0 || *trained.SecondsPerEpoch <= 0 || trained.Recipe.Batch != 8 {
				t.Errorf("found %s", stdout)
			}

			stdout = must(t, "eval", "a.safetensors", "--data", "tiny", "--executor", executor, "--json")
			if got, want := keys(t, stdout), []string{"test_accuracy", "errors", "confusion", "per_class",
				"top2_accuracy", "precision", "recall", "softmax", "calibration", "hidden"}; !slices.Equal(got, want) {
				t.Errorf("fields %q, want %q", got, want)
			}
			var evaluated evalReport
			if err := json.Unmarshal([]byte(stdout), &evaluated); err != nil {
				t.Fatal(err)
			}
			if evaluated.TestAccuracy != *trained.TestAccuracy {
				t.Errorf("eval found accuracy %v, train %v", evaluated.TestAccuracy, *trained.TestAccuracy)
			}
			right := 0
			for label, row := range evaluated.Confusion {
				right += row[label]
				if sum(row) != 10 {
					t.Errorf("%d images have label %d, want 10", sum(row), label)
				}
			}
			if right != 30-evaluated.Errors {
				t.Errorf("the diagonal has %d, %d are wrong of 30", right, evaluated.Errors)
			}
			m, err := model.Read("a.safetensors")
			if err != nil {
				t.Fatal(err)
			}
			if m.Version != version || m.TestAccuracy != evaluated.TestAccuracy {
				t.Errorf("the file says version %q, accuracy %v", m.Version, m.TestAccuracy)
			}
		})
	}
}

// The built-in data, for one epoch.
func TestTrainOnMNIST(t *testing.T) {
	t.Chdir(t.TempDir())
	must(t, "train", "--epochs", "1")
	var evaluated evalReport
	if err := json.Unmarshal([]byte(must(t, "eval", "model.safetensors", "--json")), &evaluated); err != nil {
		t.Fatal(err)
	}
	// One epoch takes every seed above 90 %, and chance would be 10.
	if evaluated.TestAccuracy < 0.85 || len(evaluated.PerClass) != 10 {
		t.Errorf("found %+v", evaluated)
	}
}

func TestSameSeedSameFile(t *testing.T) {
	inData(t)
	must(t, tiny("-o", "1")...)
	for _, cores := range []int{1, 2} {
		defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(cores))
		must(t, tiny("--out", "2")...)
		if !bytes.Equal(read(t, "1"), read(t, "2")) {
			t.Errorf("%d cores: the same seed gave another file", cores)
		}
	}
	must(t, tiny("-o", "3", "--seed", "2")...)
	must(t, tiny("-o", "4", "--order-seed", "2")...)
	must(t, tiny("-o", "5", "--order-seed", "1")...)
	if bytes.Equal(read(t, "1"), read(t, "3")) || bytes.Equal(read(t, "1"), read(t, "4")) {
		t.Error("another seed gave the same file")
	}
	if !bytes.Equal(read(t, "1"), read(t, "5")) {
		t.Error("the order seed is not the seed by default")
	}
}

// cancelling cancels a run when it writes a line that contains text.
type cancelling struct {
	bytes.Buffer
	text   string
	cancel context.CancelFunc
}

func (c *cancelling) Write(line []byte) (int, error) {
	if bytes.Contains(line, []byte(c.text)) {
		c.cancel()
	}
	return c.Buffer.Write(line)
}

func TestInterrupt(t *testing.T) {
	inData(t)
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	stderr := &cancelling{text: "epoch ", cancel: cancel}
	var stdout bytes.Buffer
	code := run(ctx, tiny("--epochs", "1000000", "--json"), nil, &stdout, stderr)
	var trained trainReport
	if err := json.Unmarshal(stdout.Bytes(), &trained); err != nil {
		t.Fatal(err)
	}
	if code != failed || !strings.Contains(stderr.String(), "vanilla train: interrupted after ") || trained.Epochs < 1 ||
		trained.Epochs >= 1000000 || trained.Model == nil {
		t.Fatalf("exit code %d, %s%s", code, stdout.String(), stderr.String())
	}
	// The line that cancelled told of an epoch's end: no step was begun after it.
	var told int
	line := stderr.String()[strings.Index(stderr.String(), "epoch "):]
	if _, err := fmt.Sscanf(line, "epoch %d", &told); err != nil || trained.Epochs != told {
		t.Errorf("cancelled at the end of epoch %d (%v), trained %d", told, err, trained.Epochs)
	}
	var evaluated evalReport
	if err := json.Unmarshal([]byte(must(t, "eval", "model.safetensors", "--data", "tiny", "--json")), &evaluated); err != nil {
		t.Fatal(err)
	}
	if evaluated.TestAccuracy != *trained.TestAccuracy {
		t.Errorf("eval found accuracy %v, train %v", evaluated.TestAccuracy, *trained.TestAccuracy)
	}

	before := read(t, "model.safetensors")
	stdout.Reset()
	stderr.Reset()
	code = run(ctx, tiny(), nil, &stdout, stderr) // interrupted already
	if code != failed || !strings.HasSuffix(stderr.String(), "interrupted before the first step: nothing was saved\n") {
		t.Errorf("exit code %d, %s", code, stderr)
	}
	if !bytes.Equal(before, read(t, "model.safetensors")) {
		t.Error("an untrained network took the place of a trained one")
	}
}

func TestDivergence(t *testing.T) {
	inData(t)
	wild := tiny("--activation", "relu", "--lr", "1e30", "--weight-decay", "1e8")
	stdout, stderr, code := vanilla(t, append(wild, "--json")...)
	if code != failed || !strings.Contains(stderr, "vanilla train: diverged in epoch 1 of 6") {
		t.Errorf("exit code %d, stderr %s", code, stderr)
	}
	for _, field := range []string{`"diverged":true`, `"model":null`, `"seconds_per_epoch":null`, `"train_loss":null`, `"test_accuracy":null`} {
		if !strings.Contains(stdout, field) {
			t.Errorf("no %s in %s", field, stdout)
		}
	}
	if stdout, _, _ = vanilla(t, wild...); strings.Contains(stdout, "accuracy") || strings.Contains(stdout, "saved") || strings.Contains(stdout, "each") {
		t.Errorf("found %s", stdout)
	}
	if _, err := os.Stat("model.safetensors"); !errors.Is(err, os.ErrNotExist) {
		t.Error("a diverged network was saved")
	}
}

func TestExplain(t *testing.T) {
	inData(t)
	for executor, opened := range map[string]string{"fast": "cpu", "tape": "tape", "ref": "ref"} {
		stdout := must(t, "train", "--explain", "--dot", "graph.dot", "--executor", executor)
		for _, part := range []string{"program \"784-16-16-10 sigmoid cross-entropy\"", "13,002 parameters", "dense", "dweight", "\nexecutor " + opened + ": "} {
			if !strings.Contains(stdout, part) {
				t.Errorf("--executor %s: no %q in %s", executor, part, stdout)
			}
		}
	}
	if dot := string(read(t, "graph.dot")); !strings.HasPrefix(dot, "digraph") {
		t.Errorf("the graph is %.100q", dot)
	}
	if stdout := must(t, "train", "--dot", "graph.dot"); stdout != "" {
		t.Errorf("--dot printed %q", stdout)
	}
	if _, err := os.Stat("model.safetensors"); !errors.Is(err, os.ErrNotExist) {
		t.Error("--explain trained a network")
	}
}

// Wrong input: the exit code, one line on standard error that says what is
// wrong, nothing on standard output, and no file is written.
func TestWrongInput(t *testing.T) {
	inData(t)
	writeData(t, "other", 5)
	must(t, tiny()...)
	if err := os.WriteFile("file", []byte("no model"), 0o644); err != nil {
		t.Fatal(err)
	}
	for name, text := range map[string]string{"typo.yaml": "lr: 1\nepoch: 3\n", "impossible.yaml": "lr: -1\n"} {
		if err := os.WriteFile(name, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	must(t, tiny("--history", "run")...)
	before := listing(t)
	for _, c := range []struct {
		args []string
		code int
		want string
	}{
		{tiny("--arch", "784-x"), misuse, "vanilla train: --arch 784-x: want whole numbers"},
		{tiny("--arch", "16-5-7"), misuse, "vanilla train: --arch 16-5-7: the data has 3 classes, so the last width must be 3"},
		{[]string{"train", "--data", "tiny", "--arch", "784-16-16-10"}, misuse, "so the first width must be 16, and the data has 3 classes"},
		{tiny("--activation", "sine"), misuse, "--activation sine: want identity, sigmoid"},
		{tiny("--loss", "hinge"), misuse, "--loss hinge: want cross-entropy or quadratic"},
		{tiny("--optimizer", "magic"), misuse, "--optimizer magic: want sgd"},
		{tiny("--schedule", "linear"), misuse, "--schedule linear: want constant, cosine or step"},
		{tiny("--init", "ones"), misuse, "--init ones: want lesson, scaled, xavier or he"},
		{tiny("--lr", "-1"), misuse, "--lr -1: want a positive number"},
		{tiny("--lr", "NaN"), misuse, "--lr NaN: want a positive number"},
		{tiny("--lr", "fast"), misuse, "--lr fast: want a number"},
		{tiny("--weight-decay", "-1e-4"), misuse, "--weight-decay -0.0001: want zero or a positive number"},
		{tiny("--momentum", "0.5"), misuse, "--momentum 0.5: only the optimizers momentum and nesterov have one"},
		{tiny("--optimizer", "nesterov", "--momentum", "1"), misuse, "--momentum 1: want a number between 0 and 1"},
		{tiny("--step-epochs", "2"), misuse, "--step-epochs 2: only the schedule step has it"},
		{tiny("--schedule", "step", "--step-epochs", "0"), misuse, "--step-epochs 0: want 1 or more"},
		{tiny("--gamma", "0.5"), misuse, "--gamma 0.5: only the schedule step has it"},
		{tiny("--schedule", "step", "--gamma", "2"), misuse, "--gamma 2: want a number above 0, at most 1"},
		{tiny("--warmup", "6"), misuse, "--warmup 6: want zero or more epochs, fewer than --epochs"},
		{tiny("--shift", "-1"), misuse, "--shift -1: want zero or more pixels"},
		{tiny("--shift", "4"), misuse, "--shift 4: the images have 4x4 pixels, so want less than that"},
		{tiny("--validation", "1"), misuse, "--validation 1: want a fraction from 0 to below 1"},
		{tiny("--validation", "0.001"), misuse, "--validation 0.001: that holds out 0 of the 100 training images: want 1 to 99"},
		{tiny("--validation", "0.95"), misuse, "--batch 8: the data has 5 training images"},
		{tiny("--patience", "-1"), misuse, "--patience -1: want 0"},
		{tiny("--patience", "2"), misuse, "--patience 2: early stopping needs held-out images: want --validation too"},
		{tiny("--recipe", "other"), failed, "--recipe other: want default, lesson, a YAML file or a model"},
		{tiny("--recipe", ""), misuse, `--recipe "": want default, lesson, a YAML file or a model`},
		{tiny("--recipe", "tiny"), failed, "--recipe tiny: want default, lesson, a YAML file or a model"},
		{tiny("--recipe", "file"), misuse, "--recipe file:1: want lines like"},
		{tiny("--recipe", "typo.yaml"), misuse, `--recipe typo.yaml:2: unknown recipe field "epoch": did you mean epochs?`},
		{tiny("--recipe", "impossible.yaml"), misuse, "impossible.yaml: --lr -1: want a positive number"},
		{tiny("--history", "file"), misuse, "--history file: want a directory"},
		{tiny("--history", "run"), misuse, "--history run: holds a run: want --resume to go on with it, or another directory"},
		{tiny("--history", "run", "--resume", "--seed", "2"), misuse, "--resume run: holds another run: --seed was 1, is 2; --order-seed was 1, is 2"},
		{tiny("--resume"), misuse, "--resume: want --history with the run's directory too"},
		{tiny("--snapshots", "log"), misuse, "--snapshots log: want --history with the run's directory too"},
		{tiny("--history", "run", "--snapshots", "some"), misuse, `--snapshots some: found "some": want none, or log, epochs and numbers`},
		{tiny("--history", "new", "--snapshots", "1000"), misuse, "--snapshots 1000: training has steps 0 to 78"},
		{tiny("--history", "run", "--checkpoint-every", "-1"), misuse, "--checkpoint-every -1: want zero or more seconds"},
		{tiny("--checkpoint-every", "2"), misuse, "--checkpoint-every 2: want --history with the run's directory too"},
		{tiny("--print-recipe", "--json"), misuse, "--json: there is no result to print"},
		{tiny("--epochs", "0"), misuse, "--epochs 0: want 1 to 1000000"},
		{tiny("--epochs", "1.5"), misuse, "--epochs 1.5: want a whole number"},
		{tiny("--batch", "0"), misuse, "--batch 0: want 1 or more examples"},
		{tiny("--batch", "1000000000"), misuse, "the data has 100 training images, so at most 100 fit in a batch"},
		{tiny("--seed", "-1"), misuse, "--seed -1: want a whole number from 0"},
		{tiny("--json=perhaps"), misuse, "--json perhaps: want true or false"},
		{tiny("--device", "tpu"), misuse, "--device tpu: want auto, cpu, cuda or cuda:N"},
		{tiny("--device", "cuda:99"), misuse, "--device cuda:99: " + noGPU()},
		{tiny("--executor", "slow"), misuse, "--executor slow: want fast, tape or ref"},
		{tiny("--data", "nowhere"), failed, "--data nowhere: want mnist, a directory, or a .csv or .npz file"},
		{tiny("--data", "file"), failed, "--data file: expected a directory"},
		{tiny("--data", "."), failed, "expected four IDX files (train-images-idx3-ubyte"},
		{tiny("--data", ""), misuse, `--data "": want mnist, a directory, or a .csv or .npz file`},
		{tiny("-o", "tiny"), failed, "--out tiny: expected the name of a file to write, found a directory"},
		{tiny("--out", filepath.Join("nowhere", "m")), failed, "cannot write to the directory nowhere"},
		{tiny("--out", ""), misuse, `--out "": want the name of a file`},
		{tiny("--out"), misuse, "flag needs an argument: --out"},
		{tiny("--epoch", "3"), misuse, "unknown flag: --epoch: did you mean --epochs?"},
		{tiny("--rainbow"), misuse, "unknown flag: --rainbow: vanilla train --help lists them"},
		{tiny("--resume", "--snapshots", "log"), misuse, "--snapshots log: want --history with the run's directory too; --resume: want --history"},
		{tiny("-x"), misuse, "unknown shorthand flag: 'x' in -x"},
		{tiny("surplus"), misuse, `unexpected argument "surplus"`},
		{[]string{"train", "--explain", "--json"}, misuse, "--json: there is no result to print"},
		{[]string{"train", "--explain", "--device", "tpu"}, misuse, "--device tpu: want auto"},
		{[]string{"train", "--explain", "--lr", "0"}, misuse, "--lr 0: want a positive number"},
		{[]string{"train", "--dot", filepath.Join("nowhere", "g")}, failed, "--dot " + filepath.Join("nowhere", "g")},
		{[]string{"trian", "--epochs", "3"}, misuse, `vanilla: unknown command "trian" for "vanilla": did you mean train?`},
		{[]string{"paint"}, misuse, `vanilla: unknown command "paint" for "vanilla"`},
		{[]string{"--rainbow"}, misuse, "vanilla: unknown flag: --rainbow"},
		{[]string{"eval"}, misuse, "vanilla eval: want a model file"},
		{[]string{"eval", "a", "b"}, misuse, `unexpected argument "b": want one model file`},
		{[]string{"eval", "nowhere"}, failed, "nowhere"},
		{[]string{"eval", "file"}, failed, "file: not a safetensors file"},
		{[]string{"eval", "model.safetensors"}, misuse, "--data mnist: found images of 784 pixels:"},
		{[]string{"eval", "model.safetensors", "--data", "other"}, misuse, "--data other: found images of 25 pixels"},
		{[]string{"eval", "model.safetensors", "--executor", "slow"}, misuse, "--executor slow: want fast, tape or ref"},
		{[]string{"devices", "all"}, misuse, `unexpected argument "all"`},
		{[]string{"version", "--long"}, misuse, "unknown flag: --long"},
		{[]string{"completion"}, misuse, "want one shell: bash, zsh, fish or powershell"},
		{[]string{"completion", "csh"}, misuse, `"csh": want bash, zsh, fish or powershell`},
		{[]string{"help", "trian"}, misuse, `unknown command "trian"`},
		{[]string{"help", "train", "eval"}, misuse, `unexpected argument "eval"`},
	} {
		stdout, stderr, code := vanilla(t, c.args...)
		if code != c.code || !strings.Contains(stderr, c.want) || strings.Count(stderr, "\n") != 1 || !strings.HasSuffix(stderr, "\n") {
			t.Errorf("vanilla %q: exit code %d, %q; want %d, one line with %q", c.args, code, stderr, c.code, c.want)
		}
		if stdout != "" {
			t.Errorf("vanilla %q printed %q", c.args, stdout)
		}
		if after := listing(t); !slices.Equal(before, after) {
			t.Fatalf("vanilla %q: files were %q, now %q", c.args, before, after)
		}
	}
}

// listing is all files below the working directory, with times, but for locks, which every process takes.
func listing(t *testing.T) []string {
	t.Helper()
	var files []string
	err := filepath.Walk(".", func(path string, info os.FileInfo, err error) error {
		if err == nil && !info.IsDir() && info.Name() != "lock" {
			files = append(files, path+" "+info.ModTime().String())
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return files
}

func TestModelWithoutArch(t *testing.T) {
	t.Chdir(t.TempDir())
	m := model.Model{Recipe: json.RawMessage("{}"), Params: []model.Tensor{{Name: "w", Shape: []int{1}, Data: []float32{1}}}}
	if err := m.Write("graph.safetensors"); err != nil {
		t.Fatal(err)
	}
	if _, stderr, code := vanilla(t, "eval", "graph.safetensors"); code != failed || !strings.Contains(stderr, "not a chain of layers") {
		t.Errorf("exit code %d, %s", code, stderr)
	}
}

type brokenPipe struct{}

func (brokenPipe) Write([]byte) (int, error) { return 0, io.ErrClosedPipe }

// A result that cannot be printed is a failure; the network is saved all the
// same.
func TestOutputFails(t *testing.T) {
	inData(t)
	for _, args := range [][]string{tiny(), tiny("--json"), {"eval", "model.safetensors", "--data", "tiny"}, {"version"}, {"devices"}, {"help", "train"}, {"train", "--help"}, {},
		{"train", "--explain"}, {"predict", "model.safetensors", "--data", "tiny"}} {
		var stderr bytes.Buffer
		if code := run(t.Context(), args, nil, brokenPipe{}, &stderr); code != failed || strings.Count(stderr.String(), io.ErrClosedPipe.Error()) != 1 {
			t.Errorf("%q: exit code %d, %s", args, code, &stderr)
		}
	}
	if _, err := model.Read("model.safetensors"); err != nil {
		t.Error(err)
	}
}

// commands lists c and all commands below.
func commands(c *cobra.Command) []*cobra.Command {
	if !c.HasParent() { // the others' would be theirs alone
		c.InitDefaultHelpCmd()
	}
	all := []*cobra.Command{c}
	for _, c := range c.Commands() {
		all = append(all, commands(c)...)
	}
	return all
}

// The examples that help texts show work, each once and on few images. Training stops
// after an epoch, and sweeps before they begin.
func TestExamples(t *testing.T) {
	studies, err := filepath.Abs("../../studies")
	if err != nil {
		t.Fatal(err)
	}
	t.Chdir(t.TempDir())
	if err := os.CopyFS("studies", os.DirFS(studies)); err != nil {
		t.Fatal(err)
	}
	writeFew(t, "few", 1000)
	must(t, "train", "--epochs", "1", "--data", "few") // model.safetensors, which examples name
	exampleFiles(t)
	for _, name := range []string{"sgd", "adam"} { // records of seeds
		must(t, "train", "--epochs", "1", "--data", "few", "--optimizer", name, "--seeds", "2", "-o", name+".safetensors")
	}
	exampleSweeps(t)
	exampleBuild(t)
	shown := map[string]bool{}
	for _, c := range commands(rootCommand()) {
		examples := strings.Split(strings.TrimSpace(c.Example), "\n")
		for _, line := range examples {
			line, file, redirected := strings.Cut(line, " > ")
			words := strings.Fields(line)
			if len(words) == 0 || words[0] != "vanilla" || redirected && file == "" {
				t.Fatalf("%s: the example %q is no command line", c.CommandPath(), line)
			}
			if line = strings.Join(words, " "); shown[line] {
				continue
			}
			shown[line] = true
			t.Run(strings.TrimPrefix(line, "vanilla "), func(t *testing.T) { example(t, words[1:]) })
		}
	}
}

// exampleBuild makes this binary the build that bench --against is shown with.
func exampleBuild(t *testing.T) {
	t.Helper()
	t.Setenv("VANILLA_TEST_MAIN", "1")
	if err := os.Mkdir("../before", 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink(os.Args[0], "../before/vanilla"); err != nil {
		t.Skipf("no symbolic links here: %v", err)
	}
}

// example runs an example's command line.
func example(t *testing.T, args []string) {
	if !slices.Contains(args, "--help") {
		switch args[0] {
		case "train":
			args = append(args, "--epochs", "1", "--data", "few")
		case "bench":
			args = append(args, "--rounds", "1", "--examples", "160")
		case "eval", "viz":
			args = append(args, "--data", "few")
		case "sweep":
			args = append(args, "--dry-run")
		case "serve":
			serveOnce(t, slices.DeleteFunc(args, func(a string) bool { return a == "--open" })...)
			return
		}
	}
	if stdout := must(t, args...); stdout == "" {
		t.Error("it printed nothing")
	}
}

func golden(t *testing.T, name, got string) {
	t.Helper()
	path := filepath.Join("testdata", name+".golden")
	if *update {
		if err := os.WriteFile(path, []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	if want := string(read(t, path)); got != want {
		t.Errorf("%s: go test -update writes it anew\nfound\n%s\nwant\n%s", path, got, want)
	}
}

func TestHelp(t *testing.T) {
	for _, c := range commands(rootCommand()) {
		args := append(strings.Fields(c.CommandPath())[1:], "--help")
		help := must(t, args...)
		golden(t, strings.ReplaceAll(c.CommandPath(), " ", "-"), help)
		for line := range strings.Lines(help) {
			if n := utf8.RuneCountInString(strings.TrimSpace(line)); n > 100 {
				t.Errorf("%s: a line of %d characters: %s", c.CommandPath(), n, line)
			}
		}
	}
	if help := must(t); help != must(t, "--help") || help != must(t, "help") {
		t.Error("vanilla alone does not print its help")
	}
}

var (
	measured = regexp.MustCompile(`[0-9.]+ s\b|loss +[0-9.]+`)
	hardware = regexp.MustCompile(`(executor +cpu: ).*|(with cpu: ).*`)
	itself   = regexp.MustCompile(`(errs: ).* eval`)
)

// What people see, but for what depends on the machine.
func TestSummary(t *testing.T) {
	dir, err := os.Getwd()
	if err != nil {
		t.Fatal(err)
	}
	inData(t)
	stdout, stderr, code := vanilla(t, tiny("--epochs", "50")...)
	if code != done {
		t.Fatal(stderr)
	}
	t.Chdir(dir)
	text := measured.ReplaceAllStringFunc(stderr+stdout, func(s string) string { return regexp.MustCompile("[0-9]").ReplaceAllString(s, "0") })
	text = hardware.ReplaceAllString(text, "$1$2(hardware)")
	golden(t, "summary", itself.ReplaceAllString(text, "$1(this program) eval"))
}

func TestPrintScore(t *testing.T) {
	outputs := []float32{
		4, 0, 0, 3, 0, 0, 2, 0, 0, 9, 0, 0, // 0, right
		0, 2, 1, 1, 3, 0, // 1, right
		5, 4, 0, 0, 1, 2, // 1, taken for 0 and 2
	}
	q := quality.Of(outputs, []byte{0, 0, 0, 0, 1, 1, 1, 1}, 3, true)
	q.Hidden = []quality.Layer{{Name: "h1", Units: 5, Dead: []int{0, 3}}}
	var b bytes.Buffer
	m := &model.Model{Arch: "16-5-3", Activation: "relu"}
	if err := printScore(&b, q, nil, "m.safetensors", m, "tiny"); err != nil {
		t.Fatal(err)
	}
	if err := printMistakes(&b, q.Chosen(1, -1), []string{"zero", "one", "two"}, mistakesText(1, -1, []string{"zero", "one", "two"})); err != nil {
		t.Fatal(err)
	}
	// The quadratic cost's outputs, and such as say nothing of confidence.
	small := slices.Clone(outputs)
	for i := range small {
		small[i] /= 10
	}
	for _, outputs := range [][]float32{small, outputs} {
		b.WriteByte('\n')
		if err := printScore(&b, quality.Of(outputs, []byte{0, 0, 0, 0, 1, 1, 1, 1}, 3, false), []string{"zero", "one", "a long word for two"}, "m.safetensors", m, "tiny"); err != nil {
			t.Fatal(err)
		}
	}
	golden(t, "score", b.String())
}

// noGPU is why this machine has no hundred GPUs.
func noGPU() string {
	if err := driver.Available(); err != nil {
		return err.Error() + ": want cpu"
	}
	return "the last GPU of this machine is cuda:"
}

func TestVersionAndDevices(t *testing.T) {
	if stdout := must(t, "version"); !strings.Contains(stdout, version) || !strings.Contains(stdout, runtime.Version()) {
		t.Errorf("version printed %s", stdout)
	}
	stdout := must(t, "devices")
	if !regexp.MustCompile(`(?m)^cpu .*\d core.*\ncuda`).MatchString(stdout) {
		t.Errorf("devices printed %s", stdout)
	}
}

// The version is that of the build, where it is known, and the changelog has it.
func TestBuildVersion(t *testing.T) {
	for main, want := range map[string]string{"": version, "(devel)": version, "v0.0.0-20260101000000-abcdef123456": version, "v0.2.0": "0.2.0",
		"v1.2.3-0.20260101000000-abcdef123456+dirty": "1.2.3-0.20260101000000-abcdef123456+dirty"} {
		if got := buildVersion(main); got != want {
			t.Errorf("built from %q it is %s, want %s", main, got, want)
		}
	}
	changes := string(read(t, filepath.Join("..", "..", "CHANGELOG.md")))
	if !regexp.MustCompile(`(?m)^## ` + regexp.QuoteMeta(version) + `, \d{4}-\d\d-\d\d$`).MatchString(changes) {
		t.Errorf("the changelog has no section of %s with a date", version)
	}
	for line := range strings.Lines(changes) {
		if strings.HasPrefix(line, "## ") && line != "## Unreleased\n" && !regexp.MustCompile(`, \d{4}-\d\d-\d\d\n$`).MatchString(line) {
			t.Errorf("the changelog's section %q has no date", line)
		}
	}
}

// A flag's help does not begin with the word that stands for its value, which is printed just before it.
func TestFlagHelpDoesNotStutter(t *testing.T) {
	for _, c := range commands(rootCommand()) {
		c.Flags().VisitAll(func(f *pflag.Flag) {
			if value, help := pflag.UnquoteUsage(f); value != "" && strings.HasPrefix(help, value+" ") {
				t.Errorf("%s: --%s %s  %s", c.CommandPath(), f.Name, value, help)
			}
		})
	}
}

func TestCompletion(t *testing.T) {
	for _, shell := range []string{"bash", "zsh", "fish", "powershell"} {
		if script := must(t, "completion", shell); !strings.Contains(script, "vanilla") {
			t.Errorf("%s: %.100q", shell, script)
		}
	}
	if words := must(t, "__complete", "tr"); !strings.Contains(words, "train") {
		t.Errorf("tr completes to %q", words)
	}
}

func TestCommandLine(t *testing.T) {
	defer func(arg0 string) { os.Args[0] = arg0 }(os.Args[0])
	for arg0, want := range map[string]string{
		"vanilla":      `vanilla eval 'my model' 'it'\''s'`,
		"/tmp/vanilla": `/tmp/vanilla eval 'my model' 'it'\''s'`,
		filepath.Join("home", ".cache", "go-build", "0f", "0fa7-d", "vanilla"): `go run ./cmd/vanilla eval 'my model' 'it'\''s'`,
		"bin/vanilla": `bin/vanilla eval 'my model' 'it'\''s'`,
		filepath.Join(os.TempDir(), "go-build1", "b001", "exe", "vanilla"): `go run ./cmd/vanilla eval 'my model' 'it'\''s'`,
	} {
		os.Args[0] = arg0
		if got := commandLine("eval", "my model", "it's"); got != want {
			t.Errorf("%s: found %s, want %s", arg0, got, want)
		}
	}
}

func TestProgressLines(t *testing.T) {
	inData(t)
	for epochs, most := range map[string]int{"1": 1, "6": 6, "20": 20, "21": 13, "500": 23} {
		_, stderr, code := vanilla(t, tiny("--epochs", epochs)...)
		if n := strings.Count(stderr, "epoch "); code != done || n < 1 || n > most || !strings.Contains(stderr, epochs+"/"+epochs) {
			t.Errorf("%s epochs: exit code %d, %d lines, want at most %d: %s", epochs, code, n, most, stderr)
		}
	}
}

// On a terminal the bar moves, and is gone in the end.
func TestProgressBar(t *testing.T) {
	var b bytes.Buffer
	p := newProgress(&b, 4)
	p.bar = newBar(&b, 4)
	for epoch := 1; epoch <= 3; epoch++ { // an interruption takes the last one
		p.report(train.Record{Epoch: epoch, TrainLoss: 0.125})
	}
	p.finish()
	if drawn := b.String(); !strings.Contains(drawn, "loss 0.1250") || !strings.Contains(drawn, "(3/4)") || strings.Contains(drawn, "\n") {
		t.Errorf("drew %q", drawn)
	}
	last := strings.Split(strings.TrimRight(b.String(), "\r"), "\r")
	if line := last[len(last)-1]; strings.TrimSpace(line) != "" {
		t.Errorf("left %q behind", line)
	}
}

// Flags refuse whole numbers that an int cannot hold, which has 32 bits on some systems.
func TestFlagsFit(t *testing.T) {
	var refused, flags int
	for _, c := range commands(rootCommand()) {
		c.Flags().VisitAll(func(f *pflag.Flag) {
			if f.Value.Type() != "int" {
				return
			}
			flags++
			for _, text := range []string{"4294967328", "-4294967264", "99999999999999999999"} {
				err := c.Flags().Set(f.Name, text)
				n, fits := strconv.Atoi(text)
				if fits == nil && (err != nil || f.Value.String() != strconv.Itoa(n)) || fits != nil && err == nil {
					t.Errorf("%s --%s %s: found %s, err %v", c.CommandPath(), f.Name, text, f.Value, err)
				}
				if err != nil {
					refused++
				}
			}
		})
	}
	if flags < 10 || refused < flags {
		t.Errorf("%d flags of whole numbers refused %d values", flags, refused)
	}
	if _, stderr, code := vanilla(t, "train", "--batch", "99999999999999999999"); code != misuse || !strings.Contains(stderr, "--batch 99999999999999999999: want a whole number of at most ") {
		t.Errorf("exit code %d, %s", code, stderr)
	}
}

// Mistakes are asked for by the names of classes, or by numbers where none is called so,
// and named as the tables name them.
func TestMistakesText(t *testing.T) {
	for _, c := range []struct {
		asked chosen
		names []string
		want  string
	}{
		{chosen{label: "1"}, []string{"cat", "dog", "owl"}, "images of dog that are taken for something else"},
		{chosen{label: "dog", guess: "0"}, []string{"cat", "dog", "owl"}, "images of dog that are taken for cat"},
		{chosen{guess: "1"}, []string{"1", "2", "3"}, "images that are taken for 1"},
		{chosen{label: "1", guess: "2"}, nil, "images of 1 that are taken for 2"},
	} {
		label, guess, err := c.asked.classes(3, c.names)
		if err != nil {
			t.Fatal(err)
		}
		if got := mistakesText(label, guess, c.names); got != c.want {
			t.Errorf("found %q, want %q", got, c.want)
		}
	}
	if label, _, _ := (&chosen{label: "1"}).classes(3, []string{"1", "2", "3"}); label != 0 {
		t.Errorf("the class called 1 is found at %d, want 0", label)
	}
}
