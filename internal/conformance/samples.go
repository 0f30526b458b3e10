package conformance

import (
	"slices"
	"testing"

	"gorgonia.org/tensor"

	"vanilla/graph/ir"
	"vanilla/graph/samples"
	"vanilla/kernels"
	"vanilla/kernels/ref"
)

// Samples holds an executor to the gradients that PyTorch finds of the samples in
// float64, within what rounding to float32 may do to them. Random numbers are each
// program's own there, and it leaves out programs of which without is true.
func Samples(t *testing.T, exec kernels.Executor, without func(p *ir.Program) bool) {
	expected, _, err := samples.PyTorch()
	if err != nil {
		t.Fatal(err)
	}
	pixels, labels := samples.Pixels(samples.Batch)
	data := kernels.Data{Train: kernels.Examples{Features: samples.Features, Pixels: pixels, Labels: labels}, Classes: samples.Classes}
	rows := make([]int32, samples.Batch)
	for i := range rows {
		rows[i] = int32(i)
	}
	ran := 0
	for s, n := range samples.Lowered(t, tensor.Float32) {
		p := n.Program
		if without(p) || hasRandom(p) {
			continue
		}
		ran++
		v := Variant(n, samples.Batch)
		before := v.InitialState()
		for i, q := range p.Params {
			shape := p.Value(q.Value).Shape
			for j, w := range turned(samples.Parameter(i, shape.Len(0)), shape, n.Transposed[i]) {
				before.Params[i][j] = float32(w)
			}
		}
		got, err := revealed(exec, data, v, before)
		if err != nil {
			t.Errorf("%s: %v", s.Name, err)
			continue
		}
		_, allowed := derive(p, func(in *ref.Interpreter[float64], scale func() float64) {
			forward(in, p, before.Params, data.Train, rows, true, scale)
		})
		for i, q := range p.Params {
			shape := p.Value(q.Value).Shape
			want := make([]float64, shape.Len(0)) // zero where PyTorch has no gradient
			copy(want, turned(expected[s.Name].Grads[i], shape, n.Transposed[i]))
			if err := within(got[i], want, allowed.grads[i]+reading(before.Params[i])+2*unit*largest(want)); err != nil {
				t.Errorf("%s: gradient of %s: %v", s.Name, p.Value(q.Value).Name, err)
			}
		}
	}
	if ran < 30 {
		t.Errorf("%d samples ran, want 30 or more", ran)
	}
}

func hasRandom(p *ir.Program) bool {
	return slices.ContainsFunc(p.Ops, func(op ir.Op) bool { return op.Code == ir.Random })
}

// turned is a parameter of the program's shape from the graph's layout.
func turned(v []float64, shape ir.Shape, transposed bool) []float64 {
	if !transposed || len(v) == 0 {
		return v
	}
	out := make([]float64, len(v))
	for r := range shape.Rows {
		for c := range shape.Cols {
			out[r*shape.Cols+c] = v[c*shape.Rows+r]
		}
	}
	return out
}
