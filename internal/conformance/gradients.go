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
