package conformance

import (
	"context"
	_ "embed"
	"encoding/json"
	"fmt"
	"math"
	"math/rand/v2"
	"sync"
	"testing"

	"vanilla/dataset"
	"vanilla/graph"
	"vanilla/graph/ir"
	"vanilla/kernels"
	"vanilla/kernels/ref"
	"vanilla/mnist"
)

// PyTorch trains in float64, executors in float32. A step's loss differs by up
// to Tolerance. Over hundreds of steps the differences grow, but in means over
// an epoch's batches they mostly cancel: all runs stay within 4e-6.
const (
	pytorchFirst  = Tolerance
	pytorchEpochs = Tolerance
	pytorchRight  = 1 // test image of 2,000 that may be as close to one class as to another
)

//go:embed testdata/pytorch.json
var pytorchRuns []byte

// PyTorch trains on MNIST as PyTorch did, and compares: testdata/pytorch.py says
// what and how. rounding is by how much of a sum an executor's products may be off
// besides float32's own rounding. It matters where units have a kink: an example
// that comes to the other side of it moves the whole run, by no small amount. Where
// a run leaves the tolerance, what counts is how far the reference's runs move whose
// initial weights are off by as much.
func PyTorch(t *testing.T, exec kernels.Executor, rounding float64) {
	var stored struct {
		Examples, Epochs, Test int
		Seed                   uint64
		OrderSeed              uint64 `json:"order_seed"`
		Runs                   []struct {
			Recipe struct {
				Activation, Loss, Optimizer, Schedule, Init string
				LR, Gamma, Warmup                           float64
				WeightDecay                                 float64 `json:"weight_decay"`
				StepEpochs                                  int     `json:"step_epochs"`
				Batch                                       int
			}
			FirstLosses []float64 `json:"first_losses"`
			EpochLosses []float64 `json:"epoch_losses"`
			TestLoss    float64   `json:"test_loss"`
			TestCorrect int       `json:"test_correct"`
		}
	}
	if err := json.Unmarshal(pytorchRuns, &stored); err != nil {
		t.Fatal(err)
	}
	set, err := mnist.Embedded()
	if err != nil {
		t.Fatal(err)
	}
	first := func(s *dataset.Images, n int) kernels.Examples {
		return kernels.Examples{Pixels: s.Pixels[:n*s.Features()], Labels: s.Labels[:n], Features: s.Features()}
	}
	data := kernels.Data{Train: first(set.Train, stored.Examples), Test: first(set.Test, stored.Test), Classes: 10}

	for _, run := range stored.Runs {
		r := run.Recipe
		name := fmt.Sprintf("%s %s, %s, %s, %s, warm-up %g", r.Activation, r.Loss, r.Init, r.Optimizer, r.Schedule, r.Warmup)
		act, err := ir.ParseActivation(r.Activation)
		if err != nil {
			t.Fatal(err)
		}
		n, err := graph.New(graph.Arch{Widths: []int{784, 16, 16, 10}, Activation: act, Loss: graph.Loss(r.Loss)})
		if err != nil {
			t.Fatal(err)
		}
		o, err := kernels.NewOptimizer(r.Optimizer)
		if err != nil {
			t.Fatal(err)
		}
		o.WeightDecay = r.WeightDecay
		v := kernels.Variant{
			Source: n, Optimizer: o,
			Schedule: kernels.Schedule{LR: r.LR, Name: r.Schedule, StepEpochs: r.StepEpochs, Gamma: r.Gamma, Warmup: r.Warmup},
			Batch:    r.Batch, Epochs: stored.Epochs, Init: kernels.Init(r.Init), Seed: stored.Seed, OrderSeed: stored.OrderSeed,
		}
		t.Run(name, func(t *testing.T) {
			pop, err := exec.Prepare(data, []kernels.Variant{v})
			if err != nil {
				t.Fatal(err)
			}
			defer pop.Close()
			moved := sync.OnceValue(func() course { return movedBy(t, data, v, rounding) })
			expect := func(what string, got, want, tolerance float64, of func(course) float64) {
				t.Helper()
				d := math.Abs(got-want) / want
				if d > tolerance && rounding > 0 && of != nil {
					tolerance = max(tolerance, 2*of(moved()))
				}
				if !(d <= tolerance) {
					t.Errorf("%s is %.9g, PyTorch's %.9g (relative difference %.2g, allowed %.2g)", what, got, want, d, tolerance)
				}
			}
			sum := 0.0
			for step, want := range run.FirstLosses {
				if err := pop.Advance(context.Background(), []int{step + 1}, nil); err != nil {
					t.Fatal(err)
				}
				s, err := pop.State(0)
				if err != nil {
					t.Fatal(err)
				}
				expect(fmt.Sprintf("loss of step %d", step), s.LossSum-sum, want, pytorchFirst, nil)
				sum = s.LossSum
			}
			err = pop.Advance(context.Background(), []int{stored.Epochs * v.StepsPerEpoch(stored.Examples)}, func(r kernels.Report) {
				expect(fmt.Sprintf("mean loss of epoch %d", r.Epoch), r.Loss, run.EpochLosses[r.Epoch-1], pytorchEpochs, func(c course) float64 { return c.epochs[r.Epoch-1] })
			})
			if err != nil {
				t.Fatal(err)
			}
			score, err := pop.Evaluate(context.Background(), 0, kernels.Test)
			if err != nil {
				t.Fatal(err)
			}
			expect("test loss", score.Loss, run.TestLoss, pytorchEpochs, func(c course) float64 { return c.loss })
			allowed := pytorchRight
			d := score.Correct - run.TestCorrect
			if (d < -allowed || d > allowed) && rounding > 0 {
				allowed += 2 * moved().correct
			}
			if d < -allowed || d > allowed {
				t.Errorf("%d test images right, PyTorch's %d", score.Correct, run.TestCorrect)
			}
		})
	}
}

// course is how far runs are apart: in the mean losses of their epochs and in the
// loss on the test images, relative, and in how many of those they get right.
type course struct {
	epochs  []float64
	loss    float64
	correct int
}

// movedBy is how far the reference's runs move from its run, at most, when all initial
// weights are off by up to a share of themselves.
func movedBy(t *testing.T, data kernels.Data, v kernels.Variant, share float64) course {
	t.Helper()
	train := func(share float64, random *rand.Rand) (c course) {
		pop, err := ref.New().Prepare(data, []kernels.Variant{v})
		if err != nil {
			t.Fatal(err)
		}
		defer pop.Close()
		s := v.InitialState()
		for _, p := range s.Params {
			for i := range p {
				p[i] *= float32(1 + share*(2*random.Float64()-1))
			}
		}
		if err := pop.Restore(0, s); err != nil {
			t.Fatal(err)
		}
		err = pop.Advance(t.Context(), []int{v.Epochs * v.StepsPerEpoch(data.Train.Len())}, func(r kernels.Report) { c.epochs = append(c.epochs, r.Loss) })
		if err != nil {
			t.Fatal(err)
		}
		score, err := pop.Evaluate(t.Context(), 0, kernels.Test)
		if err != nil {
			t.Fatal(err)
		}
		c.loss, c.correct = score.Loss, score.Correct
		return c
	}
	random := rand.New(rand.NewPCG(1, 2))
	exact, most := train(0, random), course{epochs: make([]float64, v.Epochs)}
	for range movedRuns {
		c := train(share, random)
		for e, loss := range c.epochs {
			most.epochs[e] = max(most.epochs[e], math.Abs(loss/exact.epochs[e]-1))
		}
		most.loss = max(most.loss, math.Abs(c.loss/exact.loss-1))
		most.correct = max(most.correct, c.correct-exact.correct, exact.correct-c.correct)
	}
	return most
}

// movedRuns is how many runs tell how far they move.
const movedRuns = 8
