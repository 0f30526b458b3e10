// Package conformance holds executors to the reference. [Run] is the whole
// suite, the same for every executor; the comparisons return errors that name
// the first value that differs, so that tests can also show that planted
// mistakes are found.
package conformance

import (
	"context"
	"fmt"
	"math"
	"math/rand/v2"
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
