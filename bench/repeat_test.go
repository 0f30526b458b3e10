package bench

import (
	"context"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"vanilla/dataset"
	"vanilla/kernels"
	"vanilla/kernels/cpu"
	"vanilla/mnist"
	"vanilla/train"
)

func TestRepeat(t *testing.T) {
	b := Bench{Rounds: 2, Progress: func(string, int) {}}
	var runs []string
	results, err := b.Repeat(context.Background(), testCase(t, 1), cpu.New(), testBuild(t, ""), func(run string) { runs = append(runs, run) })
	if err != nil {
		t.Fatal(err)
	}
	if got := strings.Join(runs[:6], " "); got != "1 2 3 4 slowed against itself, 1" || len(runs) != 11 || len(results) != 10+2*selves {
		t.Errorf("runs %s, %d results", got, len(results))
	}
	r := NewRepeatability(results, "cpu")
	if len(r.Same) != 6 || len(r.Planted) != 4 || !r.Same[0].Relative || len(r.Spread.Pairs) != selves {
		t.Errorf("%d pairs, %d of them with the slow run, %d of the build with itself", len(r.Same), len(r.Planted), len(r.Spread.Pairs))
	}
}

// The slow executor takes a tenth longer.
func TestSlowed(t *testing.T) {
	begin := time.Unix(1, 0)
	now := begin
	worker := &worker{work: func() { now = now.Add(100 * time.Millisecond) }}
	p := slowedPopulation{worker, func() time.Time {
		defer func() { now = now.Add(time.Microsecond) }() // a look at the clock takes time
		return now
	}}
	if err := p.Advance(context.Background(), nil, nil); err != nil {
		t.Fatal(err)
	}
	if took := now.Sub(begin); took < 110*time.Millisecond || took > 110*time.Millisecond+10*time.Microsecond {
		t.Errorf("100 ms and a tenth took %v", took)
	}
}

// worker is a population whose steps are work.
type worker struct {
	kernels.Population
	work func()
}

func (w *worker) Advance(context.Context, []int, func(kernels.Report)) error {
	w.work()
	return nil
}

// What is said of runs is what their intervals say.
func TestRepeatability(t *testing.T) {
	random := rand.New(rand.NewPCG(1, 3))
	var results []Result
	for _, run := range []string{"1", "2", Slowed} {
		seconds := 1.0
		if run == Slowed {
			seconds = 1.1
		}
		for _, r := range []Result{timed(Handrolled, 1, 0.01, 7, nil, random), timed("cpu", seconds, 0.01, 7, nil, random)} {
			r.Run = run
			results = append(results, r)
		}
	}
	want := "Of 1 pairs of equal runs 1 differ by less than their 95 % intervals; a planted slowdown of 10 % is found in 2 of 2 comparisons."
	if got := NewRepeatability(results, "cpu").String(); got != want {
		t.Error(got)
	}
}

// few are the first images of MNIST.
func few(t *testing.T) *dataset.Dataset {
	t.Helper()
	d, err := mnist.Embedded()
	if err != nil {
		t.Fatal(err)
	}
	cut := func(m *dataset.Images, n int) *dataset.Images {
		c := *m
		c.Pixels, c.Labels = m.Pixels[:n*m.Rows*m.Cols], m.Labels[:n]
		return &c
	}
	return &dataset.Dataset{Train: cut(d.Train, 2000), Test: cut(d.Test, 300)}
}

func TestReach(t *testing.T) {
	g, err := Reach(context.Background(), cpu.New(), few(t), 0.6, 2)
	if err != nil {
		t.Fatal(err)
	}
	if len(g.Samples) != 2 || !(g.PerSecond > 0) || g.Epochs < 1 || g.Networks != goalNetworks || g.Executor != "cpu" {
		t.Errorf("%+v", g)
	}
	if _, err := Reach(context.Background(), lazy{cpu.New()}, few(t), 0.6, 1); err == nil || !strings.Contains(err.Error(), "the reference finds") {
		t.Errorf("an executor that flatters: %v", err)
	}
	if _, err := Reach(context.Background(), cpu.New(), few(t), 0.999, 1); err == nil || !strings.Contains(err.Error(), "does not reach") {
		t.Errorf("what cannot be reached: %v", err)
	}
}

func TestAccuracies(t *testing.T) {
	recipe := train.Default()
	recipe.Epochs = 2
	all, err := Accuracies(context.Background(), cpu.New(), few(t), recipe, 3)
	if err != nil || len(all) != 3 {
		t.Fatalf("%d accuracies, %v", len(all), err)
	}
	for i, a := range all {
		if a.Seed != uint64(i+1) || !(a.TestAccuracy > 0.2 && a.TestAccuracy < 1) || a.Recipe.Epochs != 2 || a.Device == "" {
			t.Errorf("%+v", a)
		}
	}
	recipes, err := NamedRecipes("../recipes")
	if err != nil || len(recipes) < 4 || recipes[0].Name != "default" || recipes[2].File != "recipes/softplus-shift.yaml" {
		t.Errorf("%+v, %v", recipes, err)
	}
}

func TestFileName(t *testing.T) {
	for _, c := range []struct {
		machine     Machine
		slug, short string
	}{
		{Machine{CPU: "AMD EPYC", Features: []string{"AVX", "AVX2", "FMA"}}, "amd-epyc-avx2", "AMD EPYC, AVX2"},
		{Machine{CPU: "Intel(R) Xeon(R) Processor", Features: []string{"avx2", "fma", "avx512f"}}, "intel-xeon-avx512", "Intel Xeon, AVX-512"},
		{Machine{CPU: "Intel(R) Xeon(R) Platinum 8481C CPU @ 2.70GHz", Features: []string{"AVX-512", "AVX2"}}, "intel-xeon-platinum-8481c-avx512", "Intel Xeon Platinum 8481C CPU @ 2.70GHz, AVX-512"},
		{Machine{CPU: "arm64", Features: []string{"NEON"}}, "arm64-neon", "arm64, NEON"},
	} {
		if slug, short := c.machine.Slug(), c.machine.String(); slug != c.slug || short != c.short {
			t.Errorf("%+v: %q and %q, want %q and %q", c.machine, slug, short, c.slug, c.short)
		}
	}
	if name := FileName("step"); !strings.HasPrefix(name, "step-"+ThisMachine().Slug()+"-2") || !strings.HasSuffix(name, ".jsonl") {
		t.Error(name)
	}
	file := filepath.Join(t.TempDir(), "x.jsonl")
	if HasRevision(file, "abc") {
		t.Error("a file that is not there has results")
	}
	if err := os.WriteFile(file, []byte(`{"revision":"abc"}`), 0o644); err != nil {
		t.Fatal(err)
	}
	if !HasRevision(file, "abc") || HasRevision(file, "ab") {
		t.Error("the revision of a file's results is not found")
	}
}
