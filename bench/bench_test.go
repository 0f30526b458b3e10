package bench

import (
	"context"
	"encoding/json"
	"fmt"
	"image/png"
	"math"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"vanilla/graph"
	"vanilla/graph/ir"
	"vanilla/kernels"
	"vanilla/kernels/conformance"
	"vanilla/kernels/cpu"
	"vanilla/kernels/ref"
	"vanilla/mnist"
	"vanilla/train"
)

func testCase(t *testing.T, networks int) Case {
	t.Helper()
	n, err := graph.New(graph.Arch{Widths: []int{64, 5, 3}, Activation: ir.Sigmoid, Loss: graph.CrossEntropy})
	if err != nil {
		t.Fatal(err)
	}
	c := Case{Suite: "step", Name: "small", Data: conformance.Data(n.Program, 1), Steps: 7, Cores: 1, Widths: []int{64, 5, 3}}
	for i := range networks {
		v := conformance.Variant(n.Program, 10)
		v.Epochs = 4
		v.Seed += uint64(i)
		c.Variants = append(c.Variants, v)
	}
	return c
}

func quiet(string, int) {}

func TestRun(t *testing.T) {
	var sequence []string
	results, err := Run(context.Background(), testCase(t, 1), []kernels.Executor{ref.New(), cpu.New()}, 3,
		func(executor string, round int) { sequence = append(sequence, executor) })
	if err != nil {
		t.Fatal(err)
	}
	if got, want := strings.Join(sequence, " "), "handrolled ref cpu ref cpu handrolled cpu handrolled ref"; got != want {
		t.Errorf("ran %s, want %s", got, want)
	}
	for i, name := range []string{Handrolled, "ref", "cpu"} {
		r := results[i]
		if r.Executor != name || r.N != 3 || len(r.Samples) != 3 || r.Batch != 10 || !(r.Median > 0) || r.LowerQuartile > r.Median || r.UpperQuartile < r.Median {
			t.Errorf("%+v", r)
		}
		if want := results[0].Median / r.Median; r.Ratio != want {
			t.Errorf("%s: ratio %g, want %g", name, r.Ratio, want)
		}
		if math.Abs(r.Loss-results[0].Loss) > LossTolerance*results[0].Loss {
			t.Errorf("%s: loss %g, that of %s %g", name, r.Loss, results[0].Executor, results[0].Loss)
		}
	}
	var table strings.Builder
	if err := WriteTable(&table, results); err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"handrolled", "1.00", "3 interleaved rounds", results[0].Machine.CPU} {
		if !strings.Contains(table.String(), want) {
			t.Errorf("no %q in\n%s", want, table.String())
		}
	}
}

// Steps that cross an epoch's end, a population, and an evaluation.
func TestRunOtherWork(t *testing.T) {
	c := testCase(t, 3)
	c.Steps, c.Cores = 10, 2
	results, err := Run(context.Background(), c, []kernels.Executor{ref.New(), cpu.New()}, 2, quiet)
	if err != nil {
		t.Fatal(err)
	}
	if r := results[1]; r.Networks != 3 || r.Cores != 2 {
		t.Errorf("%+v", r)
	}
	e := testCase(t, 1)
	e.Evaluate = true
	results, err = Run(context.Background(), e, []kernels.Executor{cpu.New()}, 2, quiet)
	if err != nil {
		t.Fatal(err)
	}
	if results[0].Loss != results[1].Loss || !(results[0].Loss > 0) {
		t.Errorf("handrolled errs on %g, cpu on %g", results[0].Loss, results[1].Loss)
	}
}

// wrong is an executor that trains something else: its step size is off, from
// the start or only once the clock runs.
type wrong struct {
	kernels.Executor
	prepared *int
	from     int
}

func (wrong) Name() string { return "wrong" }

func (w wrong) Prepare(d kernels.Data, variants []kernels.Variant) (kernels.Population, error) {
	*w.prepared++
	v := variants[0]
	if *w.prepared >= w.from {
		v.Rate.StepSize *= 3
	}
	return w.Executor.Prepare(d, []kernels.Variant{v})
}

// An executor that does other work gets no time.
func TestWrongExecutorCannotWin(t *testing.T) {
	for from, want := range map[int]string{1: "wrong: after 3 steps of", 2: "wrong: the first round's loss is"} {
		_, err := Run(context.Background(), testCase(t, 1), []kernels.Executor{wrong{ref.New(), new(int), from}}, 1, quiet)
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%v, want %q", err, want)
		}
	}
}

func TestQuartiles(t *testing.T) {
	for _, c := range []struct {
		sample            []float64
		low, median, high float64
	}{
		{[]float64{4}, 4, 4, 4},
		{[]float64{3, 1}, 1.5, 2, 2.5},
		{[]float64{5, 1, 4, 2, 3}, 2, 3, 4},
	} {
		if l, m, h := Quartiles(c.sample); l != c.low || m != c.median || h != c.high {
			t.Errorf("Quartiles(%v) = %g, %g, %g", c.sample, l, m, h)
		}
	}
}

// sample makes a result with noise of 3 % around a time.
func sample(executor string, seconds float64, seed uint64) Result {
	random := rand.New(rand.NewPCG(seed, 1))
	r := Result{Suite: "step", Case: "small", Executor: executor, N: 15}
	for range r.N {
		r.Samples = append(r.Samples, seconds*(1+0.03*random.NormFloat64()))
	}
	r.LowerQuartile, r.Median, r.UpperQuartile = Quartiles(r.Samples)
	return r
}

// A slowdown of 10 % is found in noise of 3 %; equal times are called so.
func TestCompare(t *testing.T) {
	before := []Result{sample("a", 1, 1), sample("b", 1, 2), sample("c", 1, 3)}
	after := []Result{sample("a", 1.1, 4), sample("b", 1, 5), sample("d", 1, 6)}
	changes := Compare(before, after)
	if len(changes) != 2 {
		t.Fatalf("%d changes, want those of a and b", len(changes))
	}
	if c := changes[0]; !c.Changed() || c.Low <= 1 || c.High < 1.1 {
		t.Errorf("a is 10 %% slower: found %.3f in %.3f..%.3f", c.Ratio, c.Low, c.High)
	}
	if c := changes[1]; c.Changed() {
		t.Errorf("b is the same: found %.3f in %.3f..%.3f", c.Ratio, c.Low, c.High)
	}
	// Of many comparisons of equal times, about one in twenty is called a change.
	false95 := 0
	for i := range uint64(100) {
		if Compare([]Result{sample("a", 1, 100+i)}, []Result{sample("a", 1, 300+i)})[0].Changed() {
			false95++
		}
	}
	if false95 > 15 { // binomial(100, 0.05): mean 5, deviation 2.2; the bootstrap of 15 is a little bold
		t.Errorf("%d of 100 comparisons of equal times were called a change", false95)
	}
	var text strings.Builder
	if err := WriteChanges(&text, changes); err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(text.String(), "slower") || !strings.Contains(text.String(), "no change found") {
		t.Error(text.String())
	}
}

func TestReadResults(t *testing.T) {
	line, err := json.Marshal(sample("a", 1, 1))
	if err != nil {
		t.Fatal(err)
	}
	got, err := ReadResults(strings.NewReader(string(line)+"\n\n"+string(line)), "x.json")
	if err != nil || len(got) != 2 || got[1].Median != got[0].Median {
		t.Errorf("%v, %v", got, err)
	}
	for text, want := range map[string]string{
		"":                       "x.json: no results",
		"{}":                     "x.json, line 1: want a result of vanilla bench --json with samples",
		string(line) + "\nhello": "x.json, line 2: invalid",
	} {
		if _, err := ReadResults(strings.NewReader(text), "x.json"); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: %v, want %q", text, err, want)
		}
	}
}

// Every suite's cases build; what they are is in their names.
func TestCases(t *testing.T) {
	data, err := mnist.Embedded()
	if err != nil {
		t.Fatal(err)
	}
	var networks train.Networks
	for suite, want := range map[string][]string{
		"step":       {"784-16-16-10, batch 10", "784-16-16-10, batch 32", "784-16-16-10, batch 128", "784-16-16-10, batch 1024"},
		"population": {"equal shapes, 1 networks", "equal shapes, 128 networks", "mixed shapes, 128 networks"},
		"eval":       {"784-16-16-10, forward"},
		"wide":       {"784-100-10, batch 256", "784-300-100-10, batch 256", "784-800-800-10, batch 256", "784-2500-2000-1500-1000-500-10, batch 256"},
	} {
		cases, err := Cases(suite, &networks, data, Options{Networks: []int{1, 128}, Rounds: 5})
		if err != nil {
			t.Fatal(err)
		}
		var names []string
		for _, c := range cases {
			names = append(names, c.Name)
			if c.Steps < 1 || len(c.Variants) == 0 || c.Cores < 1 {
				t.Errorf("%s: %d steps, %d variants, %d cores", c.Name, c.Steps, len(c.Variants), c.Cores)
			}
			for i, v := range c.Variants {
				if err := v.Check(&c.Data); err != nil {
					t.Errorf("%s, variant %d: %v", c.Name, i, err)
				}
			}
		}
		if got := strings.Join(names, "; "); got != strings.Join(want, "; ") {
			t.Errorf("%s: %s", suite, got)
		}
	}
	if _, err := Cases("speed", &networks, data, Options{}); err == nil || !strings.Contains(err.Error(), "--suite speed: want step, population, wide, eval, peers") {
		t.Error(err)
	}
}

// Plots can be drawn of each kind, and are not empty.
func TestPlot(t *testing.T) {
	var steps, populations []Result
	for i, e := range []string{Handrolled, "tape", "cpu"} {
		for _, batch := range []int{10, 32, 128} {
			r := sample(e, []float64{1, 1.4, 0.01}[i], uint64(batch))
			r.Case = fmt.Sprintf("batch %d", batch)
			steps = append(steps, r)
		}
	}
	for _, n := range []int{1, 4, 16, 64} {
		for _, kind := range []string{"equal", "mixed"} {
			r := sample("cpu", 0.01, uint64(n))
			r.Suite, r.Networks, r.Case = "population", n, fmt.Sprintf("%s shapes, %d networks", kind, n)
			populations = append(populations, r)
		}
		r := sample(Handrolled, 1, uint64(n))
		r.Suite, r.Networks = "population", 1
		populations = append(populations, r)
	}
	for name, results := range map[string][]Result{"bars.png": steps, "throughput.png": populations, "bars.svg": steps} {
		file := filepath.Join(t.TempDir(), name)
		if err := Plot(results, file); err != nil {
			t.Fatal(err)
		}
		f, err := os.Open(file)
		if err != nil {
			t.Fatal(err)
		}
		defer f.Close()
		if !strings.HasSuffix(name, ".png") {
			continue
		}
		picture, err := png.Decode(f)
		if err != nil {
			t.Fatal(err)
		}
		colours := map[[3]uint32]int{}
		for y := picture.Bounds().Min.Y; y < picture.Bounds().Max.Y; y++ {
			for x := picture.Bounds().Min.X; x < picture.Bounds().Max.X; x++ {
				r, g, b, _ := picture.At(x, y).RGBA()
				colours[[3]uint32{r >> 8, g >> 8, b >> 8}]++
			}
		}
		for i, want := range [][3]uint32{{0, 114, 178}, {230, 159, 0}, {0, 158, 115}} {
			if colours[want] < 50 {
				t.Errorf("%s: %d pixels of series %d", name, colours[want], i)
			}
		}
	}
	if err := Plot(nil, "x.png"); err == nil {
		t.Error("nothing was drawn")
	}
}
