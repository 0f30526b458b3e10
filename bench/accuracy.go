package bench

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strconv"
	"sync"
	"time"

	"vanilla/dataset"
	"vanilla/graph"
	"vanilla/internal/sample"
	"vanilla/kernels"
	"vanilla/kernels/ref"
	"vanilla/train"
)

// The suites that time or judge whole trainings.
const (
	AccuracySuite    = "accuracy"
	CompletionsSuite = "to-accuracy"
)

// Accuracy is what a recipe comes to from one seed.
type Accuracy struct {
	Executor string `json:"executor"`
	Device   string `json:"device"`
	// Arithmetic is the executor's: where it is the same, so are the numbers.
	Arithmetic   string       `json:"arithmetic"`
	Recipe       train.Recipe `json:"recipe"`
	Seed         uint64       `json:"seed"` // of the weights and the order
	TestAccuracy float64      `json:"test_accuracy"`
	TrainLoss    train.Loss   `json:"train_loss"` // of the last epoch
	// Rise is the largest factor from one epoch's loss to the next one's.
	Rise     float64 `json:"rise"`
	Diverged bool    `json:"diverged"`
	Version  string  `json:"version"`
	Revision string  `json:"revision"`
	Date     string  `json:"date"`
	Machine  Machine `json:"machine"`
}

// NamedRecipe is a recipe and what it is called.
type NamedRecipe struct {
	Name   string
	File   string // from the repository's root; empty if it is built in
	Recipe train.Recipe
}

// NamedRecipes are those that are built in and those of a folder.
func NamedRecipes(dir string) ([]NamedRecipe, error) {
	var all []NamedRecipe
	for _, name := range train.Recipes() {
		r, err := train.NamedRecipe(name)
		if err != nil {
			return nil, err
		}
		all = append(all, NamedRecipe{name, "", r})
	}
	files, err := filepath.Glob(filepath.Join(dir, "*.yaml"))
	if err != nil {
		return nil, err
	}
	for _, f := range files {
		r, err := train.ReadRecipe(f)
		if err != nil {
			return nil, err
		}
		name := "recipes/" + filepath.Base(f)
		all = append(all, NamedRecipe{name, name, r})
	}
	return all, nil
}

// Accuracies trains a recipe from the seeds 1 to seeds, all at once.
func Accuracies(ctx context.Context, e kernels.Executor, data *dataset.Dataset, recipe train.Recipe, seeds int) ([]Accuracy, error) {
	var specs []train.Spec
	for seed := uint64(1); seed <= uint64(seeds); seed++ {
		specs = append(specs, train.Spec{Recipe: recipe, Seed: seed, OrderSeed: seed})
	}
	rises, losses := make([]float64, seeds), make([]float64, seeds)
	results, err := train.Run(ctx, e, data, specs, train.Options{Observe: func(r train.Record) {
		if loss := float64(r.TrainLoss); !r.Diverged {
			if losses[r.Variant] > 0 {
				rises[r.Variant] = max(rises[r.Variant], loss/losses[r.Variant])
			}
			losses[r.Variant] = loss
		}
	}})
	if err != nil {
		return nil, err
	}
	var all []Accuracy
	for i, r := range results {
		if r.Interrupted {
			return nil, context.Cause(ctx)
		}
		all = append(all, Accuracy{Executor: e.Name(), Device: e.Device(), Arithmetic: e.Arithmetic(), Recipe: recipe, Seed: r.Spec.Seed,
			TestAccuracy: r.Test.Accuracy(), TrainLoss: train.Loss(r.TrainLoss), Rise: rises[i], Diverged: r.Diverged,
			Revision: Revision(), Date: time.Now().UTC().Format(time.DateOnly), Machine: ThisMachine()})
	}
	return all, nil
}

// Reproduce trains again what the newest accuracies of the executor's arithmetic in a
// folder of results say of the recipes, from the seeds 1 to seeds. progress gets each
// record that is the same again, missing each recipe that has records in other
// arithmetics only. It fails if there are none of that arithmetic, if a recipe has
// none at all, and if a number is another one; it names all that are.
func Reproduce(ctx context.Context, e kernels.Executor, data *dataset.Dataset, dir string, recipes []NamedRecipe, seeds int, progress func(NamedRecipe, Accuracy), missing func(NamedRecipe)) error {
	files, err := ReadFiles(dir)
	if err != nil {
		return err
	}
	k := slices.IndexFunc(files, func(f File) bool {
		return f.Suite == AccuracySuite && f.Accuracies[0].Executor == e.Name() && f.Accuracies[0].Arithmetic == e.Arithmetic()
	})
	if k < 0 {
		return fmt.Errorf("%s holds no accuracies of %s in the arithmetic %q", dir, e.Name(), e.Arithmetic())
	}
	var different []error
	for _, r := range recipes {
		var recorded []Accuracy
		for _, a := range files[k].Accuracies {
			if a.Recipe == r.Recipe && a.Seed <= uint64(seeds) {
				recorded = append(recorded, a)
			}
		}
		if len(recorded) == 0 && slices.ContainsFunc(files, func(f File) bool { return f.Suite == AccuracySuite && len(accuraciesOf(f, r.Recipe)) > 0 }) {
			missing(r)
			continue
		}
		if len(recorded) != seeds {
			different = append(different, fmt.Errorf("%s has %d accuracies of %s from the seeds 1 to %d: want one of each", files[k].Name, len(recorded), r.Name, seeds))
			continue
		}
		again, err := Accuracies(ctx, e, data, r.Recipe, seeds)
		if err != nil {
			return err
		}
		for i, a := range again {
			was := recorded[i]
			if a.Seed != was.Seed || a.TestAccuracy != was.TestAccuracy || a.TrainLoss != was.TrainLoss || a.Rise != was.Rise || a.Diverged != was.Diverged {
				different = append(different, fmt.Errorf("%s: %s from seed %d has test accuracy %v, train loss %v, rise %v, diverged %v; in %s it has %v, %v, %v, %v from seed %d",
					e.Device(), r.Name, a.Seed, a.TestAccuracy, a.TrainLoss, a.Rise, a.Diverged, files[k].Name, was.TestAccuracy, was.TrainLoss, was.Rise, was.Diverged, was.Seed))
				continue
			}
			progress(r, a)
		}
	}
	return errors.Join(different...)
}

// Completion is one run of the whole command from a cold process: starting,
// loading the data, training all epochs, evaluating, saving.
type Completion struct {
	Seed         uint64  `json:"seed"`
	TestAccuracy float64 `json:"test_accuracy"`
	Seconds      float64 `json:"seconds"`     // on the clock
	CPUSeconds   float64 `json:"cpu_seconds"` // of all cores, system time included
}

// Completions is the result of the suite to-accuracy.
type Completions struct {
	Suite string `json:"suite"`
	Cores int    `json:"cores"`
	N     int    `json:"n"`
	// Medians over the seeds.
	TestAccuracy float64      `json:"test_accuracy"`
	Seconds      float64      `json:"seconds"`
	CPUSeconds   float64      `json:"cpu_seconds"`
	Runs         []Completion `json:"runs"`
	// Goal is the training of a population to an accuracy.
	Goal     *Goal   `json:"goal,omitempty"`
	Version  string  `json:"version"`
	Revision string  `json:"revision"`
	Date     string  `json:"date"`
	Machine  Machine `json:"machine"`
}

// Goal is how fast networks reach an accuracy: each of a population trains by
// the default recipe, is evaluated on the test images after every epoch, and
// stops when it is there. All of this is in the time.
type Goal struct {
	TestAccuracy float64 `json:"test_accuracy"`
	Executor     string  `json:"executor"`
	Device       string  `json:"device"`
	Networks     int     `json:"networks"`
	Cores        int     `json:"cores"`
	// Epochs is the mean over the networks.
	Epochs float64 `json:"epochs"`
	// Samples are seconds for the whole population, one of each round.
	Samples   []float64 `json:"samples"`
	PerSecond float64   `json:"networks_per_second"` // of the median
}

// goalNetworks train at once.
const goalNetworks = 32

// Reach trains populations to a test accuracy, one a round. The reference
// evaluates the weights that they end with: an executor that flatters its
// networks fails.
func Reach(ctx context.Context, e kernels.Executor, data *dataset.Dataset, accuracy float64, rounds int) (Goal, error) {
	recipe := train.Default()
	network, err := recipe.Build(new(graph.Cache))
	if err != nil {
		return Goal{}, err
	}
	var variants []kernels.Variant
	for i := range uint64(goalNetworks) {
		variants = append(variants, train.Spec{Recipe: recipe, Seed: i + 1, OrderSeed: i + 1}.Variant(network))
	}
	g := Goal{TestAccuracy: accuracy, Executor: e.Name(), Device: e.Device(), Networks: goalNetworks, Cores: runtime.GOMAXPROCS(0)}
	for range rounds {
		if err := g.reach(ctx, e, train.Data(data), variants); err != nil {
			return g, err
		}
	}
	_, median, _ := sample.Quartiles(g.Samples)
	g.PerSecond = goalNetworks / median
	return g, nil
}

// reach is a round of Reach.
func (g *Goal) reach(ctx context.Context, e kernels.Executor, data kernels.Data, variants []kernels.Variant) error {
	start := time.Now()
	pop, err := e.Prepare(data, variants)
	if err != nil {
		return err
	}
	defer pop.Close()
	perEpoch := variants[0].StepsPerEpoch(data.Train.Len())
	until, there := make([]int, len(variants)), make([]bool, len(variants))
	epochs := 0
	for epoch := 1; slices.Contains(there, false); epoch++ {
		if epoch > variants[0].Epochs {
			return fmt.Errorf("%s: a network does not reach %.2f in %d epochs", e.Name(), g.TestAccuracy, variants[0].Epochs)
		}
		for i := range variants {
			if !there[i] {
				until[i] = epoch * perEpoch
			}
		}
		if err := pop.Advance(ctx, until, nil); err != nil {
			return err
		}
		evaluated, err := g.evaluate(ctx, pop, there)
		if err != nil {
			return err
		}
		epochs += evaluated
	}
	g.Samples = append(g.Samples, time.Since(start).Seconds())
	g.Epochs = float64(epochs) / float64(len(variants))

	judge, err := ref.New().Prepare(data, variants[:1])
	if err != nil {
		return err
	}
	defer judge.Close()
	for i := range variants {
		s, err := pop.State(i)
		if err != nil {
			return err
		}
		if err := judge.Restore(0, s); err != nil {
			return err
		}
		score, err := judge.Evaluate(ctx, 0, kernels.Test)
		if err != nil {
			return err
		}
		if score.Accuracy() < g.TestAccuracy-evaluationTolerance*10 {
			return fmt.Errorf("%s: network %d should have reached %.4f, the reference finds %.4f: its time does not count", e.Name(), i, g.TestAccuracy, score.Accuracy())
		}
	}
	return nil
}

// evaluate finds out which networks that were not there are there now, on all
// cores, and returns how many it looked at.
func (g *Goal) evaluate(ctx context.Context, pop kernels.Population, there []bool) (int, error) {
	todo := make(chan int, len(there))
	for i, done := range there {
		if !done {
			todo <- i
		}
	}
	close(todo)
	looked := len(todo)
	errs := make([]error, g.Cores)
	var workers sync.WaitGroup
	for k := range errs {
		workers.Go(func() {
			for i := range todo {
				score, err := pop.Evaluate(ctx, i, kernels.Test)
				if err != nil {
					errs[k] = err
					return
				}
				there[i] = score.Accuracy() >= g.TestAccuracy
			}
		})
	}
	workers.Wait()
	return looked, errors.Join(errs...)
}

// Complete runs `binary train` with the default recipe once for each seed from
// 1 to seeds, each in a process of its own that may use one core.
func Complete(ctx context.Context, binary string, seeds int, progress func(Completion)) (Completions, error) {
	all := Completions{Suite: CompletionsSuite, Cores: 1, N: seeds, Revision: Revision(), Date: time.Now().UTC().Format(time.DateOnly), Machine: ThisMachine()}
	dir, err := os.MkdirTemp("", "vanilla")
	if err != nil {
		return all, err
	}
	defer os.RemoveAll(dir)
	var accuracies, seconds, cpu []float64
	for seed := uint64(1); seed <= uint64(seeds); seed++ {
		c := exec.CommandContext(ctx, binary, "train", "--json", "--seed", strconv.FormatUint(seed, 10), "-o", filepath.Join(dir, "model.safetensors"))
		c.Env = append(os.Environ(), "GOMAXPROCS=1")
		var out, errs bytes.Buffer
		c.Stdout, c.Stderr = &out, &errs
		start := time.Now()
		if err := c.Run(); err != nil {
			return all, fmt.Errorf("seed %d: %w: %s", seed, err, bytes.TrimSpace(errs.Bytes()))
		}
		run := Completion{Seed: seed, Seconds: time.Since(start).Seconds(),
			CPUSeconds: (c.ProcessState.UserTime() + c.ProcessState.SystemTime()).Seconds()}
		if err := json.Unmarshal(out.Bytes(), &run); err != nil {
			return all, fmt.Errorf("seed %d: %w", seed, err)
		}
		all.Runs = append(all.Runs, run)
		accuracies, seconds, cpu = append(accuracies, run.TestAccuracy), append(seconds, run.Seconds), append(cpu, run.CPUSeconds)
		progress(run)
	}
	_, all.TestAccuracy, _ = sample.Quartiles(accuracies)
	_, all.Seconds, _ = sample.Quartiles(seconds)
	_, all.CPUSeconds, _ = sample.Quartiles(cpu)
	return all, nil
}

// String is a table of the runs, a row each, and the medians.
func (c Completions) String() string {
	var b bytes.Buffer
	fmt.Fprintf(&b, "%s, %d of %d cores, %s\n", c.Machine.CPU, c.Cores, runtime.NumCPU(), c.Machine.Go)
	fmt.Fprintf(&b, "the default recipe from a cold process: start, train, evaluate, save\n\n")
	fmt.Fprintf(&b, "  seed  test accuracy  seconds  CPU seconds\n")
	for _, r := range c.Runs {
		fmt.Fprintf(&b, "%6d  %11.2f %%  %7.3f  %11.3f\n", r.Seed, 100*r.TestAccuracy, r.Seconds, r.CPUSeconds)
	}
	fmt.Fprintf(&b, "median  %11.2f %%  %7.3f  %11.3f\n", 100*c.TestAccuracy, c.Seconds, c.CPUSeconds)
	if g := c.Goal; g != nil {
		fmt.Fprintf(&b, "\n%d networks to %.0f %% on %s: %.2f networks a second, %.1f epochs each\n", g.Networks, 100*g.TestAccuracy, g.Device, g.PerSecond, g.Epochs)
	}
	return b.String()
}

// accuraciesOf are those of a recipe in a file.
func accuraciesOf(f File, recipe train.Recipe) (all []float64) {
	for _, a := range f.Accuracies {
		if a.Recipe == recipe {
			all = append(all, a.TestAccuracy)
		}
	}
	return all
}
