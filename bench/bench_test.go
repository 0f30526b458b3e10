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
	"vanilla/internal/conformance"
	"vanilla/internal/sample"
	"vanilla/kernels"
	"vanilla/kernels/cpu"
	"vanilla/kernels/ref"
	"vanilla/mnist"
)

func testCase(t *testing.T, networks int) Case {
	t.Helper()
	n, err := graph.New(graph.Arch{Widths: []int{64, 5, 3}, Activation: ir.Sigmoid, Loss: graph.CrossEntropy})
	if err != nil {
		t.Fatal(err)
	}
	c := Case{Suite: "step", Name: "small", Data: conformance.Data(n.Program, 1), Steps: 7, Cores: 1, Widths: []int{64, 5, 3}}
	for i := range networks {
		v := conformance.Variant(n, 10)
		v.Epochs = 4
		v.Seed += uint64(i)
		c.Variants = append(c.Variants, v)
	}
	return c
}

// run is a Bench whose progress nobody sees.
func run(c Case, rounds int, executors ...kernels.Executor) ([]Result, error) {
	b := Bench{Rounds: rounds, Progress: func(string, int) {}}
	return b.Run(context.Background(), c, executors)
}

func TestRun(t *testing.T) {
	var sequence []string
	b := Bench{Rounds: 3, Progress: func(executor string, round int) { sequence = append(sequence, fmt.Sprint(executor, round)) }}
	results, err := b.Run(context.Background(), testCase(t, 1), []kernels.Executor{ref.New(), cpu.New()})
	if err != nil {
		t.Fatal(err)
	}
	if got, want := strings.Join(sequence, " "), "handrolled0 ref0 cpu0 ref1 cpu1 handrolled1 cpu2 handrolled2 ref2 ref-1"; got != want {
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
		if r.Verified != 1 || !(r.ReferenceLoss > 0) || math.Abs(r.Loss-r.ReferenceLoss) > lossTolerance*r.ReferenceLoss {
			t.Errorf("%s: loss %g, that of the reference %g, %d networks", name, r.Loss, r.ReferenceLoss, r.Verified)
		}
		if !(r.Ceiling > 0) || r.OfCeiling != r.GFLOPS/r.Ceiling {
			t.Errorf("%s: %g of %g GFLOP/s are %g", name, r.GFLOPS, r.Ceiling, r.OfCeiling)
		}
		if r.Device == "" || r.MemoryOf == "" || r.MemoryMB < 0 {
			t.Errorf("%s: on %q, %g MB of %q", name, r.Device, r.MemoryMB, r.MemoryOf)
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

// Steps that cross an epoch's end in slices, a population, and an evaluation.
func TestRunOtherWork(t *testing.T) {
	c := testCase(t, 3)
	c.Steps, c.Cores, c.Slices = 10, 2, 3
	results, err := run(c, 2, ref.New(), cpu.New())
	if err != nil {
		t.Fatal(err)
	}
	if r := results[1]; r.Networks != 3 || r.Cores != 2 || r.Verified != 3 {
		t.Errorf("%+v", r)
	}
	e := testCase(t, 1)
	e.Evaluate = true
	results, err = run(e, 2, cpu.New())
	if err != nil {
		t.Fatal(err)
	}
	if results[0].Loss != results[1].Loss || !(results[0].Loss > 0) || results[1].Verified != 1 {
		t.Errorf("handrolled errs on %g, cpu on %g", results[0].Loss, results[1].Loss)
	}
}

// Memory that some work takes is found.
func TestMemory(t *testing.T) {
	var m memory
	var kept []byte
	err := m.during(func() error {
		kept = make([]byte, 64<<20)
		for i := 0; i < len(kept); i += 512 {
			kept[i] = 1
		}
		return nil
	})
	if mb, of := m.peakMB(); err != nil || mb < 60 || mb > 120 || of == "" || kept[512] != 1 {
		t.Errorf("64 MiB are %g MB, %s, %v", mb, of, err)
	}
}

// wrong is an executor that trains something else: its learning rate is off from
// the given one of its populations on, in the given network.
type wrong struct {
	kernels.Executor
	prepared *int
	from     int
	network  int
}

func (wrong) Name() string { return "wrong" }

func (w wrong) Prepare(d kernels.Data, variants []kernels.Variant) (kernels.Population, error) {
	*w.prepared++
	variants = append([]kernels.Variant(nil), variants...)
	if *w.prepared >= w.from && w.network < len(variants) {
		variants[w.network].Schedule.LR *= 2
	}
	return w.Executor.Prepare(d, variants)
}

// lazy trains less than it is told after its first few calls, and says nothing.
type lazy struct{ kernels.Executor }

func (lazy) Name() string { return "lazy" }

func (l lazy) Prepare(d kernels.Data, variants []kernels.Variant) (kernels.Population, error) {
	p, err := l.Executor.Prepare(d, variants)
	return &lazyPopulation{Population: p}, err
}

type lazyPopulation struct {
	kernels.Population
	calls int
}

func (p *lazyPopulation) Advance(ctx context.Context, until []int, report func(kernels.Report)) error {
	if p.calls++; p.calls > 2 {
		return nil
	}
	return p.Population.Advance(ctx, until, report)
}

func (p *lazyPopulation) Evaluate(ctx context.Context, i int, s kernels.Split) (kernels.Score, error) {
	return kernels.Score{N: 10, Correct: 10}, nil
}

// An executor that does other work gets no time, whether it errs from the start
// or later, in all networks or in one, in short training or in training that
// the reference can follow only at the end.
func TestWrongExecutorCannotWin(t *testing.T) {
	evaluation := testCase(t, 1)
	evaluation.Evaluate = true
	for _, c := range []struct {
		name     string
		executor kernels.Executor
		work     Case
		want     string
	}{
		{"from the start", wrong{ref.New(), new(int), 1, 0}, testCase(t, 1), "wrong: after 3 steps of"},
		{"once the clock runs", wrong{ref.New(), new(int), 2, 0}, testCase(t, 1), "small, wrong: after the 14 timed steps the loss of network 0"},
		{"in the last network", wrong{ref.New(), new(int), 2, 2}, testCase(t, 3), "small, wrong: after the 14 timed steps the loss of network 2"},
		{"work left out", lazy{ref.New()}, testCase(t, 1), "small, lazy: after the 14 timed steps the loss of network 0"},
		{"an evaluation", lazy{ref.New()}, evaluation, "small, lazy: it takes 0.00000 of the images for something else"},
	} {
		if _, err := run(c.work, 2, c.executor); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v, want %q", c.name, err, c.want)
		}
	}
}

// Work that is too much for the reference is compared in its last steps.
func TestTail(t *testing.T) {
	n, err := graph.New(graph.Arch{Widths: []int{64, 400, 3}, Activation: ir.Sigmoid, Loss: graph.CrossEntropy})
	if err != nil {
		t.Fatal(err)
	}
	v := conformance.Variant(n, 10)
	v.Epochs = kernels.MaxEpochs
	c := Case{Suite: "wide", Name: "wide", Data: conformance.Data(n.Program, 1), Steps: 20, Slices: 2, Cores: 1, Variants: []kernels.Variant{v}}
	var r reference
	rounds := int(2*sampleFLOPs/float64(n.Program.FLOPs())/10/20) + 1
	if k := r.plan(c, rounds); k.tail != 10 || k.steps != 20*rounds || len(k.samples) != 1 {
		t.Fatalf("tail %d, steps %d, samples %v", k.tail, k.steps, k.samples)
	}
	for _, exec := range []kernels.Executor{cpu.New(), wrong{ref.New(), new(int), 1, 0}} {
		k := r.plan(c, 2)
		k.tail = 7
		one, err := newTrained(context.Background(), c, exec)
		if err != nil {
			t.Fatal(err)
		}
		defer one.close()
		if _, err := one.advance(context.Background(), k.steps-k.tail); err != nil {
			t.Fatal(err)
		}
		if err := k.mark(one); err != nil {
			t.Fatal(err)
		}
		if _, err := one.advance(context.Background(), k.tail); err != nil {
			t.Fatal(err)
		}
		_, err = k.verify(context.Background(), one)
		if right := exec.Name() == "cpu"; (err == nil) != right {
			t.Errorf("%s: %v", exec.Name(), err)
		}
	}
}

// timed makes a result of n rounds with noise around a time. drift are factors
// of the machine in those rounds, if not nil.
func timed(executor string, seconds, noise float64, n int, drift []float64, random *rand.Rand) Result {
	r := Result{Suite: "step", Case: "small", Executor: executor, N: n}
	for i := range n {
		s := seconds * math.Exp(noise*random.NormFloat64())
		if drift != nil {
			s *= drift[i]
		}
		r.Samples = append(r.Samples, s)
	}
	r.LowerQuartile, r.Median, r.UpperQuartile = sample.Quartiles(r.Samples)
	return r
}

// aRun is a run of the baseline and an executor on a machine that is by turns
// half as fast, for rounds at a time, and that suits the executor more or less
// for as long as the run.
func aRun(seconds float64, random *rand.Rand) []Result {
	const rounds = 15
	seconds *= math.Exp(assumedDeviation * random.NormFloat64())
	drift := make([]float64, rounds)
	slow := random.IntN(2) == 0
	for i := range drift {
		if random.IntN(4) == 0 {
			slow = !slow
		}
		drift[i] = 1
		if slow {
			drift[i] = 1.5
		}
	}
	return []Result{timed(Handrolled, 1, 0.03, rounds, drift, random), timed("cpu", seconds, 0.03, rounds, drift, random)}
}

// Of comparisons of equal runs about one in twenty is called a change; a
// slowdown of 10 % is found; although the machine's speed changes by half within
// and between the runs.
func TestCompare(t *testing.T) {
	random := rand.New(rand.NewPCG(1, 2))
	spread, err := ReadSpread(t.TempDir(), ThisMachine()) // what is assumed
	if err != nil || spread.Run.Sigma != assumedDeviation || spread.File != "" {
		t.Fatalf("%+v, %v", spread, err)
	}
	const runs = 2000
	same, slower := 0, 0
	for range runs {
		before := aRun(0.03, random)
		c := Compare(before, aRun(0.03, random), spread)[1]
		if !c.Relative || c.Before.Executor != "cpu" {
			t.Fatalf("%+v", c)
		}
		if c.Changed() {
			same++
		}
		if c := Compare(before, aRun(0.033, random), spread)[1]; c.Low > 1 {
			slower++
		}
	}
	// Binomial, 2,000 at 0.05: mean 100, deviation 9.7. Two intervals added as if
	// both were normal err by little.
	if same < 50 || same > 140 {
		t.Errorf("%d of %d comparisons of equal runs were called a change, want about 100", same, runs)
	}
	if slower < runs*75/100 {
		t.Errorf("a slowdown of 10 %% was found in %d of %d comparisons", slower, runs)
	}

	// Without the baseline, on a steady machine, times themselves are compared.
	before := []Result{timed("a", 1, 0.02, 7, nil, random), timed("c", 1, 0.02, 7, nil, random)}
	after := []Result{timed("a", 1.1, 0.02, 7, nil, random), timed("d", 1, 0.02, 7, nil, random)}
	changes := Compare(before, after, spread)
	if len(changes) != 1 || changes[0].Relative || changes[0].Low <= 1 || changes[0].High < 1.1 {
		t.Errorf("%+v", changes)
	}
	// A single round says nothing.
	one := []Result{timed("a", 1, 0, 1, nil, random)}
	if c := Compare(one, []Result{timed("a", 2, 0, 1, nil, random)}, spread)[0]; c.Changed() || c.Ratio != 2 {
		t.Errorf("%+v", c)
	}
	var text strings.Builder
	if err := WriteChanges(&text, append(changes, Compare(one, one, spread)...), spread); err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(text.String(), "slower") || !strings.Contains(text.String(), "no change found") || !strings.Contains(text.String(), "±5.7 %, is assumed") {
		t.Error(text.String())
	}
}

// Results are compared with those of the same run of the suite repeat, and of the same build.
func TestCompareRuns(t *testing.T) {
	var all []Result
	for _, run := range []string{"1", "2", Slowed} {
		for _, build := range []string{"", Against, This} {
			all = append(all, Result{Suite: "repeat", Case: "a", Executor: "cpu", Networks: 1, Samples: []float64{1, 2}, Run: run, Build: build})
		}
	}
	changes := Compare(all, all, Spread{})
	for _, c := range changes {
		if c.Before.Run != c.After.Run || c.Before.Build != c.After.Build {
			t.Errorf("run %q, build %q, compared with run %q, build %q", c.Before.Run, c.Before.Build, c.After.Run, c.After.Build)
		}
	}
	if len(changes) != len(all) {
		t.Errorf("%d comparisons of %d results", len(changes), len(all))
	}
}

func TestReadResults(t *testing.T) {
	line, err := json.Marshal(timed("a", 1, 0.03, 5, nil, rand.New(rand.NewPCG(1, 1))))
	if err != nil {
		t.Fatal(err)
	}
	got, err := ReadResults(strings.NewReader(string(line)+"\n\n"+string(line)), "x.json")
	if err != nil || len(got) != 2 || got[1].Median != got[0].Median {
		t.Errorf("%v, %v", got, err)
	}
	for text, want := range map[string]string{
		"": "x.json: no results",
		`{"suite": "ceilings", "executor": "cpu", "samples": [1, 2]}`: "x.json, line 1: the suite ceilings is not compared: want results of step, population,",
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
	for suite, want := range map[string][]string{
		"step":       {"784-16-16-10, batch 10", "784-16-16-10, batch 32", "784-16-16-10, batch 128", "784-16-16-10, batch 1024"},
		"population": {"equal shapes, 1 network", "equal shapes, 128 networks", "mixed shapes, 128 networks"},
		"eval":       {"784-16-16-10, forward"},
		"wide":       {"784-100-10, batch 256", "784-300-100-10, batch 256", "784-800-800-10, batch 256", "784-2500-2000-1500-1000-500-10, batch 256"},
	} {
		cases, err := Cases(suite, data, Options{Networks: []int{1, 128}, Rounds: 5})
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
	for device, want := range map[string]string{"cpu": "1:one 64:many", "cuda": "1:one 512:many 4096:many"} {
		got := map[string]bool{}
		peers := []Peer{{Name: "one", Population: 1, Device: device}, {Name: "many", Population: 64, Device: device}}
		cases, err := Cases("peers", data, Options{Peers: peers})
		if err != nil {
			t.Fatal(err)
		}
		for _, c := range cases {
			got[fmt.Sprintf("%d:%s", len(c.Variants), c.Peers[0].Name)] = len(c.Peers) == 1
		}
		for w := range strings.FieldsSeq(want) {
			if !got[w] || len(got) != len(strings.Fields(want)) {
				t.Errorf("on %s: %v, want %s", device, got, want)
			}
		}
	}
	if cases, err := Cases("peers", data, Options{Networks: []int{3}}); err != nil || len(cases[0].Variants) != 3 {
		t.Errorf("%v", err)
	}
	if _, err := Cases("peers", data, Options{Networks: []int{0}}); err == nil || !strings.Contains(err.Error(), "want 1 or more") {
		t.Errorf("a population of none: %v", err)
	}
	if _, err := Cases("speed", data, Options{}); err == nil || !strings.Contains(err.Error(), "suite speed: want step, population, wide, eval, peers") {
		t.Error(err)
	}
}

// Plots can be drawn of each kind, and are not empty.
func TestPlot(t *testing.T) {
	random := rand.New(rand.NewPCG(1, 1))
	var steps, populations []Result
	for i, e := range []string{Handrolled, "tape", "cpu"} {
		for _, batch := range []int{10, 32, 128} {
			r := timed(e, []float64{1, 1.4, 0.01}[i], 0.03, 5, nil, random)
			r.Case = fmt.Sprintf("batch %d", batch)
			steps = append(steps, r)
		}
	}
	for _, n := range []int{1, 4, 16, 64} {
		for _, kind := range []string{"equal", "mixed"} {
			r := timed("cpu", 0.01, 0.03, 5, nil, random)
			r.Suite, r.Networks, r.Case = "population", n, fmt.Sprintf("%s shapes, %d networks", kind, n)
			populations = append(populations, r)
		}
		r := timed(Handrolled, 1, 0.03, 5, nil, random)
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
		series := [][3]uint32{{0, 114, 178}, {230, 159, 0}, {0, 158, 115}} // handrolled, tape, cpu
		if name == "throughput.png" {
			series[1] = [3]uint32{204, 121, 167} // cpu, mixed shapes
		}
		for i, want := range series {
			if colours[want] < 50 {
				t.Errorf("%s: %d pixels of series %d", name, colours[want], i)
			}
		}
	}
	if err := Plot(nil, "x.png"); err == nil {
		t.Error("nothing was drawn")
	}
}

// Where all runs on GPUs, a round takes a population through whole epochs, 16,384 of all
// networks together; peers do as many.
func TestRoundsOnGPUs(t *testing.T) {
	for executor, want := range map[string]bool{"cuda": true, "cuda-bf16": true, "cpu": false, "tape": false} {
		if OnGPUs(executor) != want {
			t.Errorf("%s is on GPUs: %t", executor, !want)
		}
	}
	d, err := mnist.Embedded()
	if err != nil {
		t.Fatal(err)
	}
	for n, epochs := range map[int]int{1: 1, 16: 16, 512: 32, 4096: 4} {
		for _, suite := range []string{"population", "peers"} {
			cases, err := Cases(suite, d, Options{Networks: []int{n}, Rounds: 3, OnGPUs: true, Peers: []Peer{{Device: "cuda"}}})
			if err != nil {
				t.Fatal(err)
			}
			for _, c := range cases {
				if c.Steps != epochs*1875 || c.Variants[0].Epochs < 3*epochs {
					t.Errorf("%s, %s: rounds of %d steps, trained for %d epochs", suite, c.Name, c.Steps, c.Variants[0].Epochs)
				}
			}
		}
	}
}
