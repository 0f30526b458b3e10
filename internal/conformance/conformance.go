// Package conformance holds executors to the reference. [Run] is the whole
// suite, the same for every executor; the comparisons return errors that name
// the first value that differs, so that tests can also show that planted
// mistakes are found.
package conformance

import (
	"context"
	"errors"
	"fmt"
	"math"
	"math/rand/v2"
	"reflect"
	"runtime"
	"testing"

	"vanilla/graph"
	"vanilla/graph/ir"
	"vanilla/kernels"
	"vanilla/kernels/ref"
)

// Tolerance is the largest difference allowed between two executors in any
// gradient or value, relative to the largest magnitude in the same array. The
// longest sums in the suite have 784 terms; summing them in float32 in another
// order moves them by at most 784·2⁻²⁴ = 4.7e-5 of the sum of magnitudes, and a
// gradient has passed through two such sums.
const Tolerance = 2 * 784 * 0x1p-24

// TrajectoryTolerance is the largest relative difference allowed between the
// losses of two executors over Steps steps of training: Tolerance once a step.
const TrajectoryTolerance = Steps * Tolerance

// Steps is the length of the trajectories that are compared.
const Steps = 10

// examples is the size of the synthetic training set: batches of 32 leave 3
// over, batches of 10 leave 7.
const examples = 67

// Data makes a data set for a program: pixels of which four in five are zero,
// as in MNIST, and labels that depend on them.
func Data(p *ir.Program, seed uint64) kernels.Data {
	random := rand.New(rand.NewPCG(seed, 1))
	set := func(n int) kernels.Examples {
		e := kernels.Examples{Features: p.Features(), Pixels: make([]byte, n*p.Features()), Labels: make([]byte, n)}
		for i := range e.Pixels {
			if random.IntN(5) == 0 {
				e.Pixels[i] = byte(random.IntN(256))
			}
		}
		for i := range e.Labels {
			total := i
			for _, pixel := range e.Row(i) {
				total += int(pixel)
			}
			e.Labels[i] = byte(total % p.Classes())
		}
		return e
	}
	d := kernels.Data{Train: set(examples), Validation: set(7), Test: set(41), Classes: p.Classes()}
	if side := int(math.Sqrt(float64(p.Features()))); side*side == p.Features() {
		d.Rows, d.Cols = side, side
	}
	return d
}

// Variant is plain SGD on a network with the given batch size.
func Variant(source kernels.Source, batch int) kernels.Variant {
	return kernels.Variant{
		Source:    source,
		Optimizer: kernels.Optimizer{Name: "sgd", WeightDecay: 0.001},
		Schedule:  kernels.Schedule{LR: 0.05, Name: "cosine"},
		Batch:     batch, Epochs: 10, Init: kernels.Scaled, Seed: 11, OrderSeed: 12,
	}
}

// Randomize draws a state in which nothing is zero: biases too.
func Randomize(v kernels.Variant) kernels.State {
	random := rand.New(rand.NewPCG(v.Seed, 2))
	s := v.InitialState()
	for i, q := range v.Program().Params {
		sd := 0.3
		if !q.Bias {
			sd = 1 / math.Sqrt(float64(v.Program().Value(q.Value).Shape.Cols))
		}
		for j := range s.Params[i] {
			s.Params[i][j] = float32(sd * random.NormFloat64())
		}
	}
	return s
}

// Gradients takes one step at the given batch size and compares every
// parameter's gradient, by name, with that of the program want in float64. (A
// test that plants a mistake gives another program than the variant's.)
func Gradients(exec kernels.Executor, v kernels.Variant, want *ir.Program) error {
	// The gradient is read off the update. The learning rate is a power of two so
	// large that what rounding W loses is small against it.
	const lr = 1 << 12
	data := Data(v.Program(), 21)
	v.Optimizer.WeightDecay = 0
	v.Schedule = kernels.Schedule{LR: lr, Name: "constant"}
	before := Randomize(v)
	pop, err := exec.Prepare(data, []kernels.Variant{v})
	if err != nil {
		return err
	}
	defer pop.Close()
	if err := pop.Restore(0, before); err != nil {
		return err
	}
	if err := pop.Advance(context.Background(), []int{1}, nil); err != nil {
		return err
	}
	after, err := pop.State(0)
	if err != nil {
		return err
	}

	rows := make([]int32, min(v.Batch, examples))
	order := kernels.NewOrder(v.OrderSeed, 0, examples)
	order.Fill(rows, 0)
	in := interpret(want, before.Params, data.Train, rows)
	for i, q := range want.Params {
		got := make([]float64, len(before.Params[i]))
		for j := range got {
			got[j] = (float64(before.Params[i][j]) - float64(after.Params[i][j])) / lr
		}
		if err := closeArrays(got, in.Values[q.Grad], 0x1p-23*largest(before.Params[i])/lr); err != nil {
			return fmt.Errorf("gradient of %s: %w", want.Value(q.Value).Name, err)
		}
	}
	return nil
}

// interpret runs a program in float64.
func interpret(p *ir.Program, params [][]float32, e kernels.Examples, rows []int32) *ref.Interpreter[float64] {
	in := ref.NewInterpreter[float64](p)
	for i, q := range p.Params {
		for j, w := range params[i] {
			in.Values[q.Value][j] = float64(w)
		}
	}
	var x []float64
	var labels []byte
	for _, r := range rows {
		for _, pixel := range e.Row(int(r)) {
			x = append(x, float64(pixel)/255)
		}
		labels = append(labels, e.Labels[r])
	}
	in.Run(x, labels)
	return in
}

// closeArrays compares within Tolerance of the largest element, plus floor.
func closeArrays(got, want []float64, floor float64) error {
	if len(got) != len(want) {
		return fmt.Errorf("%d numbers, want %d", len(got), len(want))
	}
	allowed := Tolerance*largest(want) + floor
	for j := range want {
		if d := math.Abs(got[j] - want[j]); !(d <= allowed) {
			return fmt.Errorf("element %d is %g, want %g (difference %.2g, allowed %.2g)", j, got[j], want[j], d, allowed)
		}
	}
	return nil
}

func largest[T float32 | float64](a []T) float64 {
	m := 0.0
	for _, v := range a {
		m = math.Max(m, math.Abs(float64(v)))
	}
	return m
}

// Trajectory trains for Steps steps from a random state and returns the loss
// of each batch before its update.
func Trajectory(exec kernels.Executor, v kernels.Variant) ([]float64, error) {
	return trajectory(exec, v, Data(v.Program(), 22))
}

func trajectory(exec kernels.Executor, v kernels.Variant, data kernels.Data) ([]float64, error) {
	pop, err := exec.Prepare(data, []kernels.Variant{v})
	if err != nil {
		return nil, err
	}
	defer pop.Close()
	if err := pop.Restore(0, Randomize(v)); err != nil {
		return nil, err
	}
	var losses []float64
	perEpoch := v.StepsPerEpoch(examples)
	for step := 1; step <= Steps; step++ {
		// The sum over an epoch is what a population tells.
		before, err := pop.State(0)
		if err != nil {
			return nil, err
		}
		mean := math.NaN()
		if err := pop.Advance(context.Background(), []int{step}, func(r kernels.Report) { mean = r.Loss }); err != nil {
			return nil, err
		}
		after, err := pop.State(0)
		if err != nil {
			return nil, err
		}
		sum := after.LossSum
		if step%perEpoch == 0 {
			sum = mean * float64(examples) / float64(min(v.Batch, examples))
		}
		losses = append(losses, (sum-before.LossSum)/v.Share(step-1, examples))
	}
	return losses, nil
}

// SameTrajectory compares two trajectories.
func SameTrajectory(got, want []float64) error {
	for t := range want {
		if d := math.Abs(got[t] - want[t]); !(d <= TrajectoryTolerance*math.Abs(want[t])) {
			return fmt.Errorf("loss of step %d is %g, want %g", t, got[t], want[t])
		}
	}
	return nil
}

// Run holds an executor to the reference.
func Run(t *testing.T, exec kernels.Executor) {
	nets, err := Networks()
	if err != nil {
		t.Fatal(err)
	}
	suite := suite{exec: exec, nets: nets}
	for _, test := range []struct {
		name string
		run  func(*testing.T)
	}{
		{"Gradients", suite.gradients},
		{"Trajectories", suite.trajectories},
		{"Recipes", suite.recipes},
		{"Augmentation", suite.augmentation},
		{"Values", suite.values},
		{"Slices", suite.slices},
		{"Population", suite.population},
		{"EpochLoss", suite.epochLoss},
		{"Divergence", suite.divergence},
		{"Cancel", suite.cancel},
		{"Errors", suite.errors},
	} {
		t.Run(test.name, test.run)
	}
}

type suite struct {
	exec kernels.Executor
	nets []*graph.Network
}

// each runs f for every network.
func (s suite) each(t *testing.T, f func(t *testing.T, n *graph.Network)) {
	for _, n := range s.nets {
		t.Run(n.Program.Name, func(t *testing.T) { f(t, n) })
	}
}

var batches = []int{1, 3, 10, 32, examples, 100}

func (s suite) gradients(t *testing.T) {
	s.each(t, func(t *testing.T, n *graph.Network) {
		for _, b := range batches {
			if err := Gradients(s.exec, Variant(n, b), n.Program); err != nil {
				t.Errorf("batch %d: %v", b, err)
			}
		}
	})
}

func (s suite) trajectories(t *testing.T) {
	s.each(t, func(t *testing.T, n *graph.Network) {
		for _, b := range batches {
			got, err := Trajectory(s.exec, Variant(n, b))
			if err != nil {
				t.Fatalf("batch %d: %v", b, err)
			}
			want, err := Trajectory(ref.New(), Variant(n, b))
			if err != nil {
				t.Fatal(err)
			}
			if err := SameTrajectory(got, want); err != nil {
				t.Errorf("batch %d: %v", b, err)
			}
		}
	})
}

// recipes: every optimizer, schedule, initialisation and augmentation.
func (s suite) recipes(t *testing.T) {
	var variants []kernels.Variant
	var names []string
	add := func(name string, change func(v *kernels.Variant)) {
		for _, n := range s.nets {
			if p := n.Program; p.Features() == 784 && len(p.Params) > 2 || n == s.nets[len(s.nets)-1] {
				v := Variant(n, 10)
				change(&v)
				if v.Shift > 0 && p.Features() != 784 {
					continue // no image
				}
				variants, names = append(variants, v), append(names, name+", "+p.Name)
			}
		}
	}
	for _, name := range kernels.OptimizerNames() {
		add(name, func(v *kernels.Variant) {
			o, err := kernels.NewOptimizer(name)
			if err != nil {
				t.Fatal(err)
			}
			o.WeightDecay = 0.01
			v.Optimizer = o
			if o.Slots() == 2 {
				v.Schedule.LR = 0.002
				// A gradient near zero is divided by its own size, so that its
				// rounding would decide the update's sign.
				v.Optimizer.Epsilon = 1e-3
			}
		})
	}
	add("step", func(v *kernels.Variant) {
		v.Schedule = kernels.Schedule{LR: 0.05, Name: "step", StepEpochs: 1, Gamma: 0.5}
	})
	add("warm-up", func(v *kernels.Variant) {
		v.Schedule = kernels.Schedule{LR: 0.05, Name: "cosine", Warmup: 0.7}
	})
	add("shift", func(v *kernels.Variant) { v.Shift = 3 })
	for i, v := range variants {
		got, err := Trajectory(s.exec, v)
		if err != nil {
			t.Fatalf("%s: %v", names[i], err)
		}
		want, err := Trajectory(ref.New(), v)
		if err != nil {
			t.Fatal(err)
		}
		if err := SameTrajectory(got, want); err != nil {
			t.Errorf("%s: %v", names[i], err)
		}
	}
	for _, init := range kernels.InitNames() {
		v := Variant(s.nets[1], 10)
		v.Init = kernels.Init(init)
		pop := s.prepare(t, Data(v.Program(), 29), v)
		if got, want := s.state(t, pop, 0), v.InitialState(); !reflect.DeepEqual(got.Params, want.Params) {
			t.Errorf("%s: the population starts from other weights", init)
		}
	}
}

// values compares what comes of a network with given parameters: every value of
// the forward pass, outputs and scores, in inference and in a population.
func (s suite) values(t *testing.T) {
	s.each(t, func(t *testing.T, n *graph.Network) {
		p, v := n.Program, Variant(n, 10)
		data := Data(p, 23)
		state := Randomize(v)
		var rows []int32
		var x []float32
		for i := range data.Test.Len() {
			rows = append(rows, int32(i))
			for _, pixel := range data.Test.Row(i) {
				x = append(x, float32(pixel)/255)
			}
		}
		want := interpret(p, state.Params, data.Test, rows)

		pop := s.prepare(t, data, v)
		if err := pop.Restore(0, state); err != nil {
			t.Fatal(err)
		}
		inference := Infer(t, s.exec, v, state.Params)
		got, err := inference.Forward(t.Context(), x)
		if err != nil {
			t.Fatal(err)
		}
		outputs, err := inference.Outputs(t.Context(), data.Test.Pixels)
		if err != nil {
			t.Fatal(err)
		}
		if err := closeArrays(doubles(outputs), want.Values[p.Output], 0); err != nil {
			t.Errorf("outputs: %v", err)
		}
		computed := map[ir.ID]bool{}
		for _, op := range p.Ops[:p.Forward] {
			computed[op.Out] = p.Value(op.Out).Shape.Rows == ir.Batch
		}
		for id := range p.Values {
			if !computed[ir.ID(id)] {
				if got[id] != nil {
					t.Errorf("Forward returned %s", p.Values[id].Name)
				}
				continue
			}
			if err := closeArrays(doubles(got[id]), want.Values[id], 0); err != nil {
				t.Errorf("%s: %v", p.Values[id].Name, err)
			}
		}

		for of, evaluate := range map[string]func() (kernels.Score, error){
			"population": func() (kernels.Score, error) { return pop.Evaluate(t.Context(), 0, kernels.Test) },
			"inference":  func() (kernels.Score, error) { return inference.Evaluate(t.Context(), data.Test) },
		} {
			score, err := evaluate()
			if err == nil {
				err = sameScore(score, p, want, data.Test.Labels)
			}
			if err != nil {
				t.Errorf("%s: %v", of, err)
			}
		}
	})
}

// sameScore compares a score with what the reference computed for the examples.
func sameScore(score kernels.Score, p *ir.Program, want *ref.Interpreter[float64], labels []byte) error {
	if score.N != len(labels) || len(score.Classes) != score.N {
		return fmt.Errorf("%d classes, N %d, want %d", len(score.Classes), score.N, len(labels))
	}
	if want := want.Values[p.Loss][0]; !(math.Abs(score.Loss-want) <= Tolerance*math.Abs(want)) {
		return fmt.Errorf("loss %g, want %g", score.Loss, want)
	}
	out, correct := want.Values[p.Output], 0
	allowed := 2 * Tolerance * largest(out)
	for i, class := range score.Classes {
		row := out[i*p.Classes() : (i+1)*p.Classes()]
		if best := kernels.Argmax(row); row[best]-row[class] > allowed { // equal but for rounding
			return fmt.Errorf("example %d: class %d, want %d", i, class, best)
		}
		if class == labels[i] {
			correct++
		}
	}
	if score.Correct != correct {
		return fmt.Errorf("%d correct, but %d of the classes are the labels", score.Correct, correct)
	}
	return nil
}

// Infer is the inference of a variant with parameters, closed when the test ends.
func Infer(t *testing.T, exec kernels.Executor, v kernels.Variant, params [][]float32) kernels.Inference {
	t.Helper()
	inference, err := exec.Infer(v.Source, params, v.Batch)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := inference.Close(); err != nil && !t.Failed() {
			t.Error(err)
		}
	})
	return inference
}

func doubles(a []float32) []float64 {
	out := make([]float64, len(a))
	for i, v := range a {
		out[i] = float64(v)
	}
	return out
}

func (s suite) prepare(t *testing.T, data kernels.Data, v ...kernels.Variant) kernels.Population {
	t.Helper()
	pop, err := s.exec.Prepare(data, v)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := pop.Close(); err != nil {
			t.Error(err)
		}
	})
	return pop
}

func (s suite) advance(t *testing.T, pop kernels.Population, until ...int) []kernels.Report {
	t.Helper()
	var reports []kernels.Report
	if err := pop.Advance(context.Background(), until, func(r kernels.Report) { reports = append(reports, r) }); err != nil {
		t.Fatal(err)
	}
	return reports
}

func (s suite) state(t *testing.T, pop kernels.Population, i int) kernels.State {
	t.Helper()
	state, err := pop.State(i)
	if err != nil {
		t.Fatal(err)
	}
	return state
}

// slices: the bits do not depend on where training is interrupted, nor on
// whether it goes on in another population from a saved state.
func (s suite) slices(t *testing.T) {
	for _, optimizer := range kernels.OptimizerNames() {
		for _, shift := range []int{0, 2} {
			t.Run(fmt.Sprintf("%s, shift %d", optimizer, shift), func(t *testing.T) { s.slicesOf(t, optimizer, shift) })
		}
	}
}

func (s suite) slicesOf(t *testing.T, optimizer string, shift int) {
	p, v := s.nets[1].Program, Variant(s.nets[1], 10)
	var err error
	if v.Optimizer, err = kernels.NewOptimizer(optimizer); err != nil {
		t.Fatal(err)
	}
	v.Shift = shift
	data := Data(p, 24)
	whole := s.prepare(t, data, v)
	wantReports := s.advance(t, whole, 17)
	want := s.state(t, whole, 0)

	first := s.prepare(t, data, v)
	var reports []kernels.Report
	for _, until := range []int{1, 1, 4, 7, 9} {
		reports = append(reports, s.advance(t, first, until)...)
	}
	second := s.prepare(t, data, v)
	if err := second.Restore(0, s.state(t, first, 0)); err != nil {
		t.Fatal(err)
	}
	s.advance(t, first, 20) // the saved state is a copy
	reports = append(reports, s.advance(t, second, 17)...)
	if got := s.state(t, second, 0); !reflect.DeepEqual(got, want) {
		t.Errorf("the sliced run ends in other bits")
	}
	if !reflect.DeepEqual(reports, wantReports) {
		t.Errorf("reports %v, want %v", reports, wantReports)
	}
}

// population: variants that differ in everything train as they would alone,
// whatever the number of cores.
func (s suite) population(t *testing.T) {
	var variants []kernels.Variant
	base := s.nets[0].Program
	for i, n := range s.nets {
		if n.Program.Features() != base.Features() || n.Program.Classes() != base.Classes() {
			continue
		}
		v := Variant(n, []int{32, 10, 1, 67, 7}[len(variants)%5])
		v.Seed, v.OrderSeed = uint64(100+i), uint64(200+i)
		v.Schedule.LR /= float64(1 + i)
		variants = append(variants, v)
	}
	data := Data(base, 25)
	var until []int
	for i := range variants {
		until = append(until, 3+2*i)
	}
	var want []kernels.State
	for i, v := range variants {
		pop := s.prepare(t, data, v)
		s.advance(t, pop, until[i])
		want = append(want, s.state(t, pop, 0))
	}
	for _, cores := range []int{1, 2, 5} {
		before := runtime.GOMAXPROCS(cores)
		pop := s.prepare(t, data, variants...)
		s.advance(t, pop, until...)
		runtime.GOMAXPROCS(before)
		for i := range variants {
			if got := s.state(t, pop, i); !reflect.DeepEqual(got, want[i]) {
				t.Errorf("%d cores: variant %d ends in other bits than alone", cores, i)
			}
		}
	}
}

// epochLoss: what an epoch reports is the mean over its examples, whatever the
// batches. At a learning rate of 1e-12 nothing moves, so batches of all examples, of
// all but one, and others come to the same loss, also where a state was taken and
// restored in mid-epoch.
func (s suite) epochLoss(t *testing.T) {
	for _, n := range []*graph.Network{s.nets[1], s.nets[len(s.nets)-1]} {
		data := Data(n.Program, 30)
		var want float64
		for _, b := range []int{examples, examples - 1, examples / 2, 10, 1} {
			v := Variant(n, b)
			v.Schedule = kernels.Schedule{LR: 1e-12, Name: "constant"}
			v.Optimizer.WeightDecay = 0
			pop := s.prepare(t, data, v)
			if err := pop.Restore(0, Randomize(v)); err != nil {
				t.Fatal(err)
			}
			perEpoch := v.StepsPerEpoch(examples)
			s.advance(t, pop, perEpoch-1)
			if err := pop.Restore(0, s.state(t, pop, 0)); err != nil {
				t.Fatal(err)
			}
			reports := s.advance(t, pop, perEpoch)
			if len(reports) != 1 {
				t.Fatalf("%s, batch %d: %d reports of one epoch", n.Program.Name, b, len(reports))
			}
			if want == 0 {
				want = reports[0].Loss
			}
			if d := math.Abs(reports[0].Loss - want); !(d <= Tolerance*want) {
				t.Errorf("%s: the loss of an epoch is %.9g with batch %d, %.9g with batch %d", n.Program.Name, reports[0].Loss, b, want, examples)
			}
		}
	}
}

// divergence: a variant that diverges is reported once and stopped; its
// neighbours are not touched.
func (s suite) divergence(t *testing.T) {
	var relu *graph.Network
	for _, n := range s.nets {
		if n.Program.Features() == 784 && n.Program.Classes() == 10 {
			relu = n // the last one: 784-17-10 relu
		}
	}
	healthy, wild := Variant(relu, 32), Variant(relu, 32)
	wild.Schedule = kernels.Schedule{LR: 1e30, Name: "constant"}
	data := Data(relu.Program, 26)
	alone := s.prepare(t, data, healthy)
	s.advance(t, alone, 30)

	pop := s.prepare(t, data, wild, healthy)
	reports := s.advance(t, pop, 30, 30)
	reports = append(reports, s.advance(t, pop, 33, 30)...)
	diverged := 0
	for _, r := range reports {
		if r.Diverged {
			diverged++
			if r.Variant != 0 || !(math.IsNaN(r.Loss) || math.IsInf(r.Loss, 0)) {
				t.Errorf("report %+v", r)
			}
		}
	}
	if diverged != 1 {
		t.Errorf("%d reports of divergence, want 1", diverged)
	}
	if state := s.state(t, pop, 0); !state.Diverged || state.Step >= 30 {
		t.Errorf("the diverged variant stands at step %d, diverged %t", state.Step, state.Diverged)
	}
	if !reflect.DeepEqual(s.state(t, pop, 1), s.state(t, alone, 0)) {
		t.Errorf("a neighbour of the diverged variant trained differently")
	}
}

// cancel: Advance ends between two steps, and training can go on.
func (s suite) cancel(t *testing.T) {
	p, v := s.nets[1].Program, Variant(s.nets[1], 10)
	data := Data(p, 27)
	whole := s.prepare(t, data, v)
	s.advance(t, whole, 40)

	pop := s.prepare(t, data, v)
	ctx, cancel := context.WithCancel(context.Background())
	err := pop.Advance(ctx, []int{40}, func(r kernels.Report) {
		if r.Epoch == 2 {
			cancel()
		}
	})
	if !errors.Is(err, context.Canceled) {
		t.Fatalf("Advance returned %v, want %v", err, context.Canceled)
	}
	if step := s.state(t, pop, 0).Step; step < 14 || step >= 40 {
		t.Errorf("cancelled after epoch 2, that is step 14, and stands at step %d", step)
	}
	s.advance(t, pop, 40)
	if !reflect.DeepEqual(s.state(t, pop, 0), s.state(t, whole, 0)) {
		t.Errorf("the cancelled run ends in other bits")
	}
}

// errors: what cannot be is refused before anything runs.
func (s suite) errors(t *testing.T) {
	p := s.nets[1].Program
	good := Variant(s.nets[1], 10)
	for name, change := range map[string]func(*kernels.Variant, *kernels.Data){
		"batch 0":          func(v *kernels.Variant, _ *kernels.Data) { v.Batch = 0 },
		"no program":       func(v *kernels.Variant, _ *kernels.Data) { v.Source = nil },
		"negative rate":    func(v *kernels.Variant, _ *kernels.Data) { v.Schedule.LR = -1 },
		"unknown schedule": func(v *kernels.Variant, _ *kernels.Data) { v.Schedule.Name = "lunar" },
		"other features":   func(v *kernels.Variant, _ *kernels.Data) { v.Source = s.nets[5] },
		"more classes":     func(_ *kernels.Variant, d *kernels.Data) { d.Classes = 11 },
		"a pixel less":     func(_ *kernels.Variant, d *kernels.Data) { d.Train.Pixels = d.Train.Pixels[1:] },
		"few pixels":       func(_ *kernels.Variant, d *kernels.Data) { d.Train.Pixels = d.Train.Pixels[:7] },
		"few test pixels":  func(_ *kernels.Variant, d *kernels.Data) { d.Test.Pixels = d.Test.Pixels[:7] },
		"other extent":     func(_ *kernels.Variant, d *kernels.Data) { d.Rows++ },
		"no examples":      func(_ *kernels.Variant, d *kernels.Data) { d.Train = kernels.Examples{Features: 784} },
	} {
		v, data := good, Data(p, 28)
		change(&v, &data)
		if pop, err := s.exec.Prepare(data, []kernels.Variant{good, v}); err == nil {
			pop.Close()
			t.Errorf("%s: Prepare accepted it", name)
		}
	}
	pop := s.prepare(t, Data(p, 28), good)
	if err := pop.Advance(context.Background(), []int{1, 2}, nil); err == nil {
		t.Error("two targets for one variant were accepted")
	}
	if _, err := pop.State(1); err == nil {
		t.Error("State(1) of one variant was accepted")
	}
	inference := Infer(t, s.exec, good, good.InitialState().Params)
	if _, err := inference.Forward(t.Context(), make([]float32, 783)); err == nil {
		t.Error("an input of 783 numbers was accepted")
	}
	if _, err := inference.Outputs(t.Context(), nil); err == nil {
		t.Error("no pixels were accepted")
	}
	if _, err := inference.Evaluate(t.Context(), wrongLabel(p)); err == nil {
		t.Error("a label that no output stands for was accepted")
	}
	done, cancel := context.WithCancelCause(context.Background())
	enough := errors.New("enough")
	cancel(enough)
	if _, err := inference.Evaluate(done, Data(p, 28).Test); !errors.Is(err, enough) {
		t.Errorf("Evaluate returned %v when its context was done", err)
	}
	if _, err := inference.Outputs(done, Data(p, 28).Test.Pixels); !errors.Is(err, enough) {
		t.Errorf("Outputs returned %v when its context was done", err)
	}
	short := good.InitialState()
	short.Params[2] = short.Params[2][:5]
	if inference, err := s.exec.Infer(good.Source, short.Params, 0); err == nil {
		inference.Close()
		t.Error("a short parameter was accepted")
	}
	if err := pop.Restore(0, short); err == nil {
		t.Error("a state with a short parameter was accepted")
	}
}

// wrongLabel is an example of a class that a program has no output for.
func wrongLabel(p *ir.Program) kernels.Examples {
	return kernels.Examples{Pixels: make([]byte, p.Features()), Labels: []byte{byte(p.Classes())}, Features: p.Features()}
}
