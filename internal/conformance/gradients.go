package conformance

import (
	"context"
	"fmt"
	"math"
	"testing"

	"vanilla/graph"
	"vanilla/graph/ir"
	"vanilla/kernels"
	"vanilla/kernels/ref"
)

// Gradients takes one step at the given batch size and compares every
// parameter's gradient, by name, with that of the program want in float64. (A
// test that plants a mistake gives another program than the variant's.)
func Gradients(exec kernels.Executor, v kernels.Variant, want *ir.Program) error {
	data, before := Data(v.Program(), 21), Randomize(v)
	got, err := revealed(exec, data, v, before)
	if err != nil {
		return err
	}
	in := interpret(want, before.Params, data.Train, firstBatch(v))
	for i, q := range want.Params {
		if err := closeArrays(got[i], in.Values[q.Grad], reading(before.Params[i])); err != nil {
			return fmt.Errorf("gradient of %s: %w", want.Value(q.Value).Name, err)
		}
	}
	return nil
}

// revealingLR is a power of two so large that what rounding the weights loses is
// small against a step.
const revealingLR = 1 << 12

// revealed are the parameters' gradients in the first step from a state, read off the
// update.
func revealed(exec kernels.Executor, data kernels.Data, v kernels.Variant, before kernels.State) ([][]float64, error) {
	v.Optimizer.WeightDecay = 0
	v.Schedule = kernels.Schedule{LR: revealingLR, Name: "constant"}
	after, err := stepped(exec, data, v, before, 1)
	if err != nil {
		return nil, err
	}
	grads := make([][]float64, len(before.Params))
	for i, was := range before.Params {
		for j, w := range was {
			grads[i] = append(grads[i], (float64(w)-float64(after.Params[i][j]))/revealingLR)
		}
	}
	return grads, nil
}

// reading is how far off a gradient may be that is read off the update of w.
func reading(w []float32) float64 { return 0x1p-23 * largest(w) / revealingLR }

// stepped is a variant's state so many steps after another one.
func stepped(exec kernels.Executor, data kernels.Data, v kernels.Variant, before kernels.State, steps int) (kernels.State, error) {
	pop, err := exec.Prepare(data, []kernels.Variant{v})
	if err != nil {
		return kernels.State{}, err
	}
	defer pop.Close()
	if err := pop.Restore(0, before); err != nil {
		return kernels.State{}, err
	}
	if err := pop.Advance(context.Background(), []int{steps}, nil); err != nil {
		return kernels.State{}, err
	}
	return pop.State(0)
}

// firstBatch are the examples of a variant's first step.
func firstBatch(v kernels.Variant) []int32 {
	rows := make([]int32, min(v.Batch, examples))
	order := kernels.NewOrder(v.OrderSeed, 0, examples)
	order.Fill(rows, 0)
	return rows
}

// interpret runs a program in float64.
func interpret(p *ir.Program, params [][]float32, e kernels.Examples, rows []int32) *ref.Interpreter[float64] {
	in := ref.NewInterpreter[float64](p)
	forward(in, p, params, e, rows, true, func() float64 { return 1 })
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

func doubles(a []float32) []float64 {
	out := make([]float64, len(a))
	for i, v := range a {
		out[i] = float64(v)
	}
	return out
}

func (s suite) gradients(t *testing.T) {
	s.each(t, func(t *testing.T, n *graph.Network) {
		for _, b := range batches {
			if err := Gradients(s.exec, Variant(n, b), n.Program); err != nil {
				t.Errorf("batch %d: %v", b, err)
			}
		}
	})
}
