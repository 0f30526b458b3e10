package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math"
	"os"
	"runtime"
	"slices"
	"strings"
	"testing"

	"vanilla/model"
	"vanilla/train"
)

// resolved is the recipe that a command line asks for.
func resolved(t *testing.T, args ...string) train.Recipe {
	t.Helper()
	r, err := train.ParseRecipe([]byte(must(t, append([]string{"train", "--print-recipe"}, args...)...)), "printed")
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func TestRecipeFlags(t *testing.T) {
	t.Chdir(t.TempDir())
	if err := os.WriteFile("mine.yaml", []byte("base: lesson\nepochs: 7\nschedule: step\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	with := func(r train.Recipe, change func(*train.Recipe)) train.Recipe {
		change(&r)
		return r
	}
	mine := with(train.Lesson(), func(r *train.Recipe) { r.Epochs, r.Schedule, r.StepEpochs, r.Gamma = 7, "step", 2, 0.1 })
	all := strings.Fields("--arch 784-9-10 --activation relu --loss cross-entropy --optimizer nesterov --lr 0.3 --weight-decay 0.01 " +
		"--schedule step --batch 9 --epochs 11 --init he --momentum 0.7 --step-epochs 3 --gamma 0.2 --warmup 1.5 --shift 2 " +
		"--validation 0.3 --patience 4 --block gated --norm layer --dropout 0.1 --input-dropout 0.2 --label-smoothing 0.05 " +
		"--rotate 15 --scale 0.1 --shear 0.2 --stroke 0.3 --elastic 34 --elastic-sigma 5 --noise-share 0.06")
	for _, c := range []struct {
		args []string
		want train.Recipe
	}{
		{nil, train.Default()},
		{[]string{"--recipe", "lesson"}, train.Lesson()},
		{[]string{"--epochs", "3", "--recipe", "lesson"}, with(train.Lesson(), func(r *train.Recipe) { r.Epochs = 3 })},
		{[]string{"--recipe", "mine.yaml"}, mine},
		{[]string{"--recipe", "mine.yaml", "--epochs", "30"}, with(mine, func(r *train.Recipe) { r.Epochs = 30 })},
		{[]string{"--recipe", "mine.yaml", "--schedule", "constant"},
			with(mine, func(r *train.Recipe) { r.Schedule, r.StepEpochs, r.Gamma = "constant", 0, 0 })},
		{[]string{"--optimizer", "sgd"}, train.Default()},
		{[]string{"--optimizer", "adam"}, with(train.Default(), func(r *train.Recipe) { r.Optimizer, r.LR, r.WeightDecay = "adam", 0.001, 0 })},
		{[]string{"--optimizer", "adamw", "--lr", "1"}, with(train.Default(), func(r *train.Recipe) { r.Optimizer, r.WeightDecay = "adamw", 0.01 })},
		{[]string{"--optimizer", "momentum", "--weight-decay", "0.5"},
			with(train.Default(), func(r *train.Recipe) { r.Optimizer, r.LR, r.Momentum, r.WeightDecay = "momentum", 0.1, 0.9, 0.5 })},
		{[]string{"--schedule", "step", "--epochs", "9"},
			with(train.Default(), func(r *train.Recipe) { r.Schedule, r.Epochs, r.StepEpochs, r.Gamma = "step", 9, 3, 0.1 })},
		{all, train.Recipe{Arch: "784-9-10", Activation: "relu", Loss: "cross-entropy", Optimizer: "nesterov", LR: 0.3, WeightDecay: 0.01,
			Schedule: "step", Batch: 9, Epochs: 11, Init: "he", Momentum: 0.7, StepEpochs: 3, Gamma: 0.2, Warmup: 1.5, Shift: 2,
			Validation: 0.3, Patience: 4, Block: "gated", Norm: "layer", Dropout: 0.1, InputDropout: 0.2, LabelSmoothing: 0.05,
			Rotate: 15, Scale: 0.1, Shear: 0.2, Stroke: 0.3, Elastic: 34, ElasticSigma: 5, NoiseShare: 0.06}},
		{[]string{"--elastic", "30"}, with(train.Default(), func(r *train.Recipe) { r.Elastic, r.ElasticSigma = 30, 4 })},
	} {
		if r := resolved(t, c.args...); r != c.want {
			t.Errorf("%q: found %+v, want %+v", c.args, r, c.want)
		}
	}
	// A new field of recipes gets a flag, and a place in the list above.
	given := 0
	for _, word := range all {
		if strings.HasPrefix(word, "--") {
			given++
		}
	}
	flags := 0
	for _, group := range recipeFlags(new(train.Recipe)) {
		flags += len(strings.Split(strings.TrimSpace(group.FlagUsages()), "\n"))
	}
	if fields := strings.Count(must(t, append([]string{"train", "--print-recipe"}, all...)...), "\n"); fields != given || flags != given {
		t.Errorf("recipes have %d fields and %d flags, the test gives %d", fields, flags, given)
	}
}

// A printed recipe trains the same network.
func TestPrintedRecipe(t *testing.T) {
	inData(t)
	flags := tiny("--optimizer", "adam", "--lr", "0.01", "--schedule", "step", "--validation", "0.2", "--patience", "3", "--shift", "1", "--rotate", "10", "--elastic", "20", "--noise-share", "0.1")
	must(t, append(flags, "-o", "flags.safetensors")...)
	recipe := must(t, append(flags, "--print-recipe", "-o", "none")...)
	if err := os.WriteFile("recipe.yaml", []byte(recipe), 0o600); err != nil {
		t.Fatal(err)
	}
	must(t, "train", "--data", "tiny", "--recipe", "recipe.yaml", "-o", "file.safetensors")
	if !bytes.Equal(read(t, "flags.safetensors"), read(t, "file.safetensors")) {
		t.Error("the printed recipe trained another network")
	}
	if both := must(t, "train", "--print-recipe", "--explain"); !strings.HasPrefix(both, "arch: 784-16-16-10\n") || !strings.Contains(both, "dweight") {
		t.Errorf("--print-recipe --explain printed %s", both)
	}
}

// Images that are held out show in all that train prints, after what is always
// there.
func TestValidation(t *testing.T) {
	inData(t)
	line := tiny("--validation", "0.2", "--patience", "5", "--epochs", "60")
	stdout, stderr, code := vanilla(t, append(line, "--json")...)
	if code != done || !strings.Contains(stderr, "  validation ") {
		t.Fatalf("exit code %d, %s", code, stderr)
	}
	var trained trainReport
	if err := json.Unmarshal([]byte(stdout), &trained); err != nil {
		t.Fatal(err)
	}
	if names := keys(t, stdout); !slices.Equal(names[len(names)-3:], []string{"model", "validation_accuracy", "best_epoch"}) {
		t.Errorf("fields %q", names)
	}
	if a := trained.ValidationAccuracy; a == nil || *a < 0.9 || trained.BestEpoch != trained.Epochs-5 || trained.Recipe.Patience != 5 {
		t.Errorf("found %s", stdout)
	}
	text := must(t, line...)
	for _, part := range []string{"80 + 20 held-out training images", "of 60 in ", "kept ", "validation "} {
		if !strings.Contains(text, part) {
			t.Errorf("no %q in %s", part, text)
		}
	}
}

func TestResumeCommand(t *testing.T) {
	inData(t)
	line := tiny("--history", "run", "--resume", "--json")
	first := must(t, line...) // there is nothing to resume yet
	before := read(t, "model.safetensors")
	if err := os.Remove("model.safetensors"); err != nil {
		t.Fatal(err)
	}
	if again := must(t, line...); again != first {
		t.Errorf("a complete run that is resumed says %s, it said %s", again, first)
	}
	if !bytes.Equal(before, read(t, "model.safetensors")) {
		t.Error("a complete run that is resumed saves another network")
	}
	records, err := train.ReadRecords(bytes.NewReader(read(t, "run/history.jsonl")))
	if err != nil || len(records) != 6 {
		t.Errorf("%d records, err %v", len(records), err)
	}
}

// What an interruption leaves: the best network so far, and a checkpoint.
func TestInterruptedHistory(t *testing.T) {
	inData(t)
	line := tiny("--epochs", "400", "--lr", "0.01", "--validation", "0.2", "--patience", "400", "--history", "run")
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	stderr := &cancelling{text: "epoch ", cancel: cancel}
	code := run(ctx, append(line, "-o", "half"), nil, io.Discard, stderr)
	if want := "half holds the network of the best epoch so far; --resume continues from there\n"; code != failed || !strings.HasSuffix(stderr.String(), want) {
		t.Fatalf("exit code %d, %s; want %s", code, stderr, want)
	}
	_, resumed, code := vanilla(t, append(line, "--resume", "-o", "resumed")...)
	if code != done || !strings.HasPrefix(resumed, "training 16-5-3 from epoch ") {
		t.Errorf("exit code %d, %s", code, resumed)
	}
	line[len(line)-1] = "whole"
	must(t, append(line, "-o", "whole.safetensors")...)
	sameBytes(t, "resumed", "whole.safetensors")
	sameTree(t, "run", "whole")
}

// The train loss is a mean over images: a short last batch counts by what it has. At
// this learning rate no batch changes what the next one finds.
func TestTrainLossOfShortBatch(t *testing.T) {
	t.Chdir(t.TempDir())
	writeFew(t, "few", 2000)
	for _, executor := range []string{"fast", "tape", "ref"} {
		var losses []float64
		for _, batch := range []string{"2000", "1999"} {
			var trained trainReport
			stdout := must(t, "train", "--data", "few", "--lr", "1e-12", "--batch", batch, "--epochs", "1", "--executor", executor, "--json")
			if err := json.Unmarshal([]byte(stdout), &trained); err != nil {
				t.Fatal(err)
			}
			losses = append(losses, *trained.TrainLoss)
		}
		// Both sum 2,000 losses in float32, in another order: 2000·2⁻²⁴ at most.
		if d := math.Abs(losses[1] - losses[0]); !(d <= 2000*0x1p-24*losses[0]) {
			t.Errorf("--executor %s: a batch of 2000 has the loss %v, batches of 1999 and 1 have %v", executor, losses[0], losses[1])
		}
	}
}

// Where no flag says what the network has, its inputs and outputs follow the data.
func TestTrainFollowsData(t *testing.T) {
	inData(t)
	stdout := must(t, "train", "--data", "tiny", "--batch", "8", "--epochs", "1")
	if !strings.Contains(stdout, "16-16-16-3 sigmoid") {
		t.Errorf("printed %s", stdout)
	}
	if recipe := must(t, "train", "--data", "tiny", "--print-recipe"); !strings.Contains(recipe, "arch: 16-16-16-3\n") {
		t.Errorf("printed %s", recipe)
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
