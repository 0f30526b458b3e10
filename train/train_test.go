package train

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"runtime"
	"strings"
	"testing"

	"vanilla/dataset"
	"vanilla/infer"
	"vanilla/internal/stripes"
	"vanilla/kernels"
	"vanilla/kernels/cpu"
	"vanilla/kernels/ref"
	"vanilla/model"
)

// striped is data that is learned at once.
func striped(train, test int) *dataset.Dataset { return stripes.New("stripes", train, test, 60, 150) }

func small() Recipe {
	r := Default()
	r.Arch, r.Batch, r.Epochs = "16-5-3", 8, 6
	return r
}

// seeded is the recipe with one seed for all.
func seeded(r Recipe, seed uint64) Spec { return Spec{Recipe: r, Seed: seed, OrderSeed: seed} }

func run(t *testing.T, exec kernels.Executor, data *dataset.Dataset, specs ...Spec) []Result {
	t.Helper()
	results, err := Run(t.Context(), exec, data, specs, Options{})
	if err != nil {
		t.Fatal(err)
	}
	return results
}

func encode(t *testing.T, r Result) []byte {
	t.Helper()
	data, err := r.Model.Encode()
	if err != nil {
		t.Fatal(err)
	}
	return data
}

func TestCheck(t *testing.T) {
	if err := Default().Check(); err != nil {
		t.Fatalf("the default recipe: %v", err)
	}
	for _, c := range []struct {
		change func(*Recipe)
		want   string
	}{
		{func(r *Recipe) { r.Arch = "784-x" }, "arch 784-x: want whole numbers from 1 to 65536 joined by dashes"},
		{func(r *Recipe) { r.Arch = "" }, `arch "": want whole numbers`},
		{func(r *Recipe) { r.Arch = "784-16\n-10" }, `arch "784-16\n-10": want whole numbers`},
		{func(r *Recipe) { r.Arch = "784-16-1" }, "arch 784-16-1: "},
		{func(r *Recipe) { r.Arch = "784" + strings.Repeat("-1", 1000) + "-10" }, "arch 784-1-1-1"},
		{func(r *Recipe) { r.Activation = "sine" }, "activation sine: want identity, sigmoid, tanh, relu"},
		{func(r *Recipe) { r.Loss = "hinge" }, "loss hinge: want cross-entropy or quadratic"},
		{func(r *Recipe) { r.Optimizer = "magic" }, "optimizer magic: want sgd"},
		{func(r *Recipe) { r.Schedule = "linear" }, "schedule linear: want constant, cosine or step"},
		{func(r *Recipe) { r.Init = "ones" }, "init ones: want lesson, scaled, xavier or he"},
		{func(r *Recipe) { r.LR = -1 }, "lr -1: want a positive number"},
		{func(r *Recipe) { r.LR = 0 }, "lr 0: want a positive number"},
		{func(r *Recipe) { r.LR = math.NaN() }, "lr NaN: want a positive number"},
		{func(r *Recipe) { r.LR = 1e300 }, "lr 1e+300: want a positive number"},
		{func(r *Recipe) { r.WeightDecay = -1 }, "weight_decay -1: want zero or a positive number"},
		{func(r *Recipe) { r.WeightDecay = math.Inf(1) }, "weight_decay +Inf: want zero or a positive number"},
		{func(r *Recipe) { r.Batch = 0 }, "batch 0: want 1 or more examples"},
		{func(r *Recipe) { r.Epochs = 0 }, "epochs 0: want 1 to 1000000"},
		{func(r *Recipe) { r.Epochs = math.MaxInt }, fmt.Sprintf("epochs %d: want 1 to 1000000", math.MaxInt)},
	} {
		r := Default()
		c.change(&r)
		err := r.Check()
		var setting *SettingError
		if !errors.As(err, &setting) {
			t.Errorf("%q: found %v, want a SettingError", c.want, err)
		} else if !strings.HasPrefix(err.Error(), c.want) {
			t.Errorf("found %q, want %q", err, c.want)
		}
	}
}

func TestFits(t *testing.T) {
	data := striped(30, 9)
	for _, c := range []struct {
		arch  string
		batch int
		want  string
	}{
		{"16-5-3", 30, ""},
		{"16-5-4", 30, "arch 16-5-4: the data has 3 classes, so the last width must be 3 (16-5-3)"},
		{"15-5-3", 30, "arch 15-5-3: the images have 4x4 = 16 pixels, so the first width must be 16 (16-5-3)"},
		{"784-16-16-10", 30, "arch 784-16-16-10: the images have 4x4 = 16 pixels, so the first width must be 16, " +
			"and the data has 3 classes, so the last width must be 3 (16-16-16-3)"},
		{"16-5-3", 31, "batch 31: the data has 30 training images, so at most 30 fit in a batch"},
	} {
		r := small()
		r.Arch, r.Batch = c.arch, c.batch
		var found string
		if err := r.Fits(data); err != nil {
			found = err.Error()
		}
		if found != c.want {
			t.Errorf("%s, batch %d: found %q, want %q", c.arch, c.batch, found, c.want)
		}
	}
	for arch, want := range map[string]string{"784-16-16-10": "16-16-16-3", "784-10": "16-3", "16-5-3": "16-5-3", "none": "none"} {
		r := small()
		r.Arch = arch
		if got := r.For(data); got.Arch != want {
			t.Errorf("%s becomes %s, want %s", arch, got.Arch, want)
		}
	}
	alone := striped(30, 9)
	alone.Train.Classes, alone.Test.Classes = 1, 1
	if err := small().Fits(alone); err == nil || err.Error() != "every label of the data is 0: want images of two classes or more" {
		t.Errorf("data of one class: error %v", err)
	}
}

// Variants of a population come out as if each had been trained alone, on any
// number of cores.
func TestRun(t *testing.T) {
	data := striped(100, 50) // the last batch is a short one
	relu := small()
	relu.Arch, relu.Activation, relu.LR, relu.Epochs, relu.Batch = "16-7-4-3", "relu", 0.2, 20, 7
	quadratic := small()
	quadratic.Loss, quadratic.Schedule, quadratic.Init = "quadratic", "constant", "lesson"
	specs := []Spec{seeded(small(), 1), seeded(relu, 2), seeded(quadratic, 3), {Recipe: small(), Seed: 1, OrderSeed: 4}}
	for _, exec := range []kernels.Executor{cpu.New(), ref.New()} {
		t.Run(exec.Name(), func(t *testing.T) {
			var alone [][]byte
			for _, s := range specs {
				alone = append(alone, encode(t, run(t, exec, data, s)[0]))
			}
			for _, cores := range []int{1, 2} {
				defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(cores))
				for i, r := range run(t, exec, data, specs...) {
					if !bytes.Equal(encode(t, r), alone[i]) {
						t.Errorf("%d cores: network %d is not what it is alone", cores, i)
					}
					if r.Test.Accuracy() < 0.9 || r.TrainLoss <= 0 || r.Seconds <= 0 {
						t.Errorf("network %d: accuracy %v, loss %v, %v s", i, r.Test.Accuracy(), r.TrainLoss, r.Seconds)
					}
					if r.Epochs != r.Spec.Recipe.Epochs || r.EpochsTrained != float64(r.Epochs) || r.Diverged || r.Interrupted {
						t.Errorf("network %d: %+v", i, r)
					}
				}
			}
			if bytes.Equal(alone[0], alone[3]) {
				t.Error("the order of examples makes no difference")
			}
		})
	}
}

func TestModel(t *testing.T) {
	data := striped(60, 30)
	exec := cpu.New()
	r := run(t, exec, data, Spec{Recipe: small(), Seed: 7, OrderSeed: 8})[0]
	m, err := model.Decode(encode(t, r), "encoded")
	if err != nil {
		t.Fatal(err)
	}
	if m.Arch != "16-5-3" || m.ImageRows != 4 || m.ImageCols != 4 || m.Seed != 7 || m.TestAccuracy != r.Test.Accuracy() {
		t.Errorf("the model is %+v", m)
	}
	var a account
	if err := json.Unmarshal(m.Recipe, &a); err != nil {
		t.Fatal(err)
	}
	if a.Recipe != small() || a.OrderSeed == nil || *a.OrderSeed != 8 || a.StoppedAt != nil {
		t.Errorf("its recipe is %s", m.Recipe)
	}
	for _, e := range []kernels.Executor{exec, ref.New()} {
		score := evaluate(t, e, data, m)
		if score.Correct != r.Test.Correct || score.N != 30 {
			t.Errorf("%s: %d of %d right, training found %d", e.Name(), score.Correct, score.N, r.Test.Correct)
		}
	}
}

// An interruption stops all, and keeps and evaluates what there is.
func TestInterrupt(t *testing.T) {
	data := striped(60, 30)
	long := small()
	long.Epochs = kernels.MaxEpochs
	exec := cpu.New()
	ctx, cancel := context.WithCancelCause(t.Context())
	defer cancel(nil)
	results, err := Run(ctx, exec, data, []Spec{seeded(long, 1), seeded(small(), 2)}, Options{Observe: func(r Record) {
		if r.Variant == 0 && r.Epoch == 50 {
			cancel(errors.New("enough"))
		}
	}})
	if err != nil {
		t.Fatal(err)
	}
	r := results[0]
	if !r.Interrupted || r.Epochs < 50 || r.EpochsTrained < 50 || r.Model == nil || math.IsNaN(r.TrainLoss) {
		t.Fatalf("the interrupted network: %+v", r)
	}
	if score := evaluate(t, exec, data, r.Model); score.Correct != r.Test.Correct || r.Test.Accuracy() < 0.9 {
		t.Errorf("%d right, training found %d", score.Correct, r.Test.Correct)
	}
	if !strings.Contains(string(r.Model.Recipe), `"stopped_at":`) {
		t.Errorf("the recipe does not say that the run was interrupted: %s", r.Model.Recipe)
	}

	results, err = Run(ctx, exec, data, []Spec{seeded(long, 1)}, Options{}) // done already
	if err != nil {
		t.Fatal(err)
	}
	if r := results[0]; !r.Interrupted || r.Epochs != 0 || r.Model != nil || !math.IsNaN(r.TrainLoss) {
		t.Errorf("interrupted before the first step: %+v", r)
	}
}

// A diverged network is marked, and its neighbour goes on.
func TestDivergence(t *testing.T) {
	wild := small()
	wild.Activation, wild.LR, wild.WeightDecay = "relu", 1e30, 1e8
	results := run(t, cpu.New(), striped(60, 30), seeded(wild, 1), seeded(small(), 1))
	if r := results[0]; !r.Diverged || r.Interrupted || r.Model != nil || finite(r.TrainLoss) {
		t.Errorf("the diverging network: %+v", r)
	}
	if r := results[1]; r.Diverged || r.Model == nil {
		t.Errorf("its neighbour: %+v", r)
	}
}

// The last step can be the one too far, of which no training loss tells.
func TestDivergenceInTheLastStep(t *testing.T) {
	wild := small()
	wild.Activation, wild.LR, wild.WeightDecay = "relu", 1e30, 1e8
	data := striped(8, 3)
	wild.Epochs = 1 // one step
	if r := run(t, cpu.New(), data, seeded(wild, 1))[0]; !r.Diverged || r.Model != nil || r.Test.N != 0 {
		t.Errorf("the diverged network: %+v", r)
	}
}

// broken is an executor that fails.
type broken struct {
	kernels.Executor
	prepare, advance, evaluate error
}

func (b broken) Prepare(data kernels.Data, variants []kernels.Variant) (kernels.Population, error) {
	p, err := b.Executor.Prepare(data, variants)
	if b.prepare != nil {
		err = b.prepare
	}
	return brokenPopulation{p, b}, err
}

type brokenPopulation struct {
	kernels.Population
	broken
}

func (b brokenPopulation) Advance(ctx context.Context, until []int, report func(kernels.Report)) error {
	return errors.Join(b.Population.Advance(ctx, until, report), b.advance)
}

func (b brokenPopulation) Evaluate(ctx context.Context, i int, s kernels.Split) (kernels.Score, error) {
	score, err := b.Population.Evaluate(ctx, i, s)
	return score, errors.Join(err, b.evaluate)
}

func TestExecutorFails(t *testing.T) {
	failure := errors.New("out of order")
	for _, exec := range []broken{{prepare: failure}, {advance: failure}, {evaluate: failure}} {
		exec.Executor = ref.New()
		_, err := Run(t.Context(), exec, striped(20, 3), []Spec{{Recipe: small()}}, Options{})
		if !errors.Is(err, failure) {
			t.Errorf("%+v: found the error %v", exec, err)
		}
	}
}

// evaluate scores a model on the test images.
func evaluate(t *testing.T, exec kernels.Executor, data *dataset.Dataset, m *model.Model) kernels.Score {
	t.Helper()
	network, err := infer.Open(exec, m, nil)
	if err != nil {
		t.Fatal(err)
	}
	defer network.Close()
	score, err := network.Evaluate(t.Context(), data.Test)
	if err != nil {
		t.Fatal(err)
	}
	return score
}
