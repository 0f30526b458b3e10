package ref_test

import (
	"math"
	"slices"
	"testing"

	"gorgonia.org/tensor"

	"vanilla/graph"
	"vanilla/graph/ir"
	"vanilla/graph/samples"
	"vanilla/kernels/ref"
)

// pytorchTolerance is relative to the largest number of an array: sums of at most
// some hundred terms in another order, in float64.
const pytorchTolerance = 1e-12

// interpret runs a program in float64 on a sample's committed inputs.
func interpret(n *graph.Network, p *ir.Program, dtype tensor.Dtype) *ref.Interpreter[float64] {
	in := ref.NewInterpreter[float64](p)
	for i, q := range p.Params {
		v := samples.Parameter(i, len(in.Values[q.Value]))
		copy(in.Values[q.Value], layout(v, p.Value(q.Value).Shape, n.Transposed[i], true))
	}
	random := ops(p, ir.Random)
	in.Draw = func(k int, out []float64) { samples.Draw(random[k], k, out) }
	pixels, labels := samples.Pixels(samples.Batch)
	x := make([]float64, len(pixels))
	for i, v := range pixels {
		x[i] = float64(v) / 255
	}
	in.Run(x, labels)
	return in
}

func ops(p *ir.Program, code ir.Code) []*ir.Op {
	var all []*ir.Op
	for i := range p.Ops {
		if p.Ops[i].Code == code {
			all = append(all, &p.Ops[i])
		}
	}
	return all
}

// layout copies a parameter from the graph's layout to the program's, or back.
func layout(v []float64, shape ir.Shape, transposed, toProgram bool) []float64 {
	out := slices.Clone(v)
	if !transposed {
		return out
	}
	rows, cols := shape.Rows, shape.Cols // the program's
	for r := range rows {
		for c := range cols {
			if toProgram {
				out[r*cols+c] = v[c*rows+r]
			} else {
				out[c*rows+r] = v[r*cols+c]
			}
		}
	}
	return out
}

// The samples' losses, outputs and gradients are PyTorch's.
func TestSamplesArePyTorchs(t *testing.T) {
	expected, version, err := samples.PyTorch()
	if err != nil {
		t.Fatal(err)
	}
	checked := 0
	for _, s := range samples.All() {
		if s.Refused != "" {
			continue
		}
		n, err := graph.Lower(s.Name, s.Build(tensor.Float64))
		if err != nil {
			t.Error(err)
			continue
		}
		want, ok := expected[s.Name]
		if !ok {
			t.Errorf("%s: no results of PyTorch: make samples", s.Name)
			continue
		}
		for what, p := range map[string]*ir.Program{"program": n.Program, "tensor operations": n.Tensor} {
			in := interpret(n, p, tensor.Float64)
			compare := func(name string, got, want []float64) {
				if d := deviation(got, want); !(d <= pytorchTolerance) {
					t.Errorf("%s, %s: %s deviates by %.2g", s.Name, what, name, d)
				}
			}
			compare("loss", in.Values[p.Loss], []float64{want.Loss})
			compare("output", in.Values[p.Output], want.Output)
			for i, q := range p.Params {
				grad := layout(in.Values[q.Grad], p.Value(q.Value).Shape, n.Transposed[i], false)
				if len(want.Grads[i]) == 0 { // what PyTorch has no gradient for
					want.Grads[i] = make([]float64, len(grad))
				}
				compare("gradient of "+p.Value(q.Value).Name, grad, want.Grads[i])
			}
		}
		checked++
	}
	t.Logf("%d samples, PyTorch %s", checked, version)
}

// deviation is the largest difference relative to the largest number wanted, and
// absolute where that is below 1e-3: gradients that vanish are differences of
// numbers of that size.
func deviation(got, want []float64) float64 {
	if len(got) != len(want) {
		return math.Inf(1)
	}
	d, m := 0.0, 1e-3
	for i := range want {
		if math.IsNaN(got[i]) {
			return math.NaN()
		}
		d, m = math.Max(d, math.Abs(got[i]-want[i])), math.Max(m, math.Abs(want[i]))
	}
	return d / m
}

// differenceTolerance is relative to the largest slope: central differences with
// this step are off by its square times a third derivative, which functions of
// inputs around 1 keep below some hundred times their slopes.
const (
	differenceStep      = 1e-5
	differenceTolerance = 1e-6
)

// The slopes along the inputs are those of differences, through every operation. At
// corners, where a step leads to another slope, they are one of both sides'.
func TestInputGradientOfSamples(t *testing.T) {
	for s, n := range samples.Lowered(t, tensor.Float64) {
		p := n.Tensor
		in := interpret(n, p, tensor.Float64)
		x := slices.Clone(in.Values[p.Input])
		_, labels := samples.Pixels(samples.Batch)
		d := make([]float64, samples.Batch*samples.Classes)
		for i := range d {
			d[i] = float64(i%5) - 1.5
		}
		got, err := in.InputGradient(d)
		if err != nil {
			t.Errorf("%s: %v", s.Name, err)
			continue
		}
		output := func(i int, step float64) (sum float64) {
			moved := slices.Clone(x)
			moved[i] += step
			in.Forward(moved, labels)
			for k, v := range in.Values[p.Output] {
				sum += d[k] * v
			}
			return sum
		}
		largest := 1e-3
		for _, v := range got {
			largest = math.Max(largest, math.Abs(v))
		}
		for i := 0; i < len(x); i += 13 {
			here, up, down := output(i, 0), output(i, differenceStep), output(i, -differenceStep)
			if near := func(want float64) bool { return math.Abs(got[i]-want) <= differenceTolerance*largest }; near((up - down) / (2 * differenceStep)) {
				continue
			}
			const oneSided = 1e-3 // their error is of the step itself
			if right, left := (up-here)/differenceStep, (here-down)/differenceStep; math.Abs(got[i]-right) > oneSided*largest && math.Abs(got[i]-left) > oneSided*largest {
				t.Errorf("%s: input %d has slope %v, differences give %v and %v", s.Name, i, got[i], left, right)
			}
		}
	}
}
