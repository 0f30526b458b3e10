package main

import (
	"bytes"
	"encoding/json"
	"io"
	"os"
	"path/filepath"
	"regexp"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"vanilla/model"
)

// Wrong input: the exit code, one line on standard error that says what is
// wrong, nothing on standard output, and no file is written.
func TestWrongInput(t *testing.T) {
	inData(t)
	writeData(t, "other", 5)
	must(t, tiny()...)
	if err := os.WriteFile("file", []byte("no model"), 0o644); err != nil {
		t.Fatal(err)
	}
	for name, text := range map[string]string{"typo.yaml": "lr: 1\nepoch: 3\n", "flag.yaml": "lr: 1\nprecision: bf16\n", "warm.yaml": "epochs: 3\nwarmup: 1\n", "impossible.yaml": "lr: -1\n"} {
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
		{tiny("--warmup", "6"), misuse, "--warmup 6: want zero or more epochs, fewer than --epochs 6; --warmup 0 is none"},
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
		{tiny("--recipe", "flag.yaml"), misuse, `--recipe flag.yaml:2: unknown recipe field "precision": want one of base, arch`},
		{tiny("--recipe", "warm.yaml", "--epochs", "1"), misuse, "warm.yaml: --warmup 1: want zero or more epochs, fewer than --epochs 1; --warmup 0 is none"},
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

// A value that a flag cannot take is answered by what it can, of every kind of flag there is.
func TestEveryFlagSaysWhatItWants(t *testing.T) {
	var of func(c *cobra.Command)
	of = func(c *cobra.Command) {
		c.Flags().VisitAll(func(f *pflag.Flag) {
			if f.Value.Type() == "string" || f.Value.Type() == "stringSlice" { // they take anything
				return
			}
			err := flagError(c, c.ParseFlags([]string{"--" + f.Name + "=x"}))
			if want := "want "; err == nil || strings.HasSuffix(err.Error(), want) || !strings.Contains(err.Error(), want) {
				t.Errorf("%s --%s x: %v", c.CommandPath(), f.Name, err)
			}
		})
		for _, below := range c.Commands() {
			of(below)
		}
	}
	of(rootCommand())
}
