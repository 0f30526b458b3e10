package cpu_test

import (
	"context"
	"math"
	"testing"

	"gorgonia.org/tensor"

	"vanilla/graph"
	"vanilla/graph/ir"
	"vanilla/graph/samples"
	"vanilla/internal/conformance"
	"vanilla/kernels"
	"vanilla/kernels/cpu"
)

// Programs with tensor operations run on every instruction set.
func TestTensors(t *testing.T) {
	for name, executor := range cpu.Executors() {
		t.Run(name, func(t *testing.T) {
			conformance.RunTensors(t, executor, func(*ir.Program) bool { return false })
		})
	}
}

// Gradients are PyTorch's, on every instruction set.
func TestSamples(t *testing.T) {
	for name, executor := range cpu.Executors() {
		t.Run(name, func(t *testing.T) {
			conformance.Samples(t, executor, func(*ir.Program) bool { return false })
		})
	}
}

// Each tensor operation by itself, on every instruction set.
func TestTensorOperations(t *testing.T) {
	for name, executor := range cpu.Executors() {
		t.Run(name, func(t *testing.T) { conformance.Operations(t, executor) })
	}
}

// Sets of vectors train programs with tensor operations to the same bits.
func TestSetsAgreeOnTensors(t *testing.T) {
	sets := cpu.Executors()
	delete(sets, "portable")
	if len(sets) < 2 {
		t.Skipf("%d sets of vectors, nothing to compare", len(sets))
	}
	ran := 0
	for s, n := range samples.Lowered(t, tensor.Float32) {
		if n.Unfused() == nil {
			continue
		}
		ran++
		v := conformance.Variant(n, 10)
		var first *kernels.State
		for name, executor := range sets {
			got := trained(t, executor, v)
			if first == nil {
				first = got
				continue
			}
			for i, a := range first.Params {
				for j, x := range a {
					if y := got.Params[i][j]; math.Float32bits(x) != math.Float32bits(y) && (x == x || y == y) {
						t.Errorf("%s, %s: %s[%d] is %v and %v", s.Name, name, n.Program.Value(n.Program.Params[i].Value).Name, j, x, y)
						break
					}
				}
			}
			if first.LossSum != got.LossSum {
				t.Errorf("%s, %s: the losses' sums are %v and %v", s.Name, name, first.LossSum, got.LossSum)
			}
		}
	}
	if ran < 100 {
		t.Errorf("%d programs ran, want 100 or more", ran)
	}
}

// trained is a network after some steps.
func trained(t *testing.T, executor kernels.Executor, v kernels.Variant) *kernels.State {
	t.Helper()
	pop, err := executor.Prepare(conformance.Data(v.Program(), 1), []kernels.Variant{v})
	if err != nil {
		t.Fatal(err)
	}
	defer pop.Close()
	if err := pop.Advance(context.Background(), []int{conformance.Steps}, nil); err != nil {
		t.Fatal(err)
	}
	s, err := pop.State(0)
	if err != nil {
		t.Fatal(err)
	}
	return &s
}

// Forward leaves out what a convolution fuses, and nothing that a unit computes.
func TestForwardOfTensors(t *testing.T) {
	for name, build := range map[string]graph.Builder{
		"LeNet": samples.LeNet(12),
		"gated": graph.Arch{Widths: []int{6, 5, 4, 3}, Activation: ir.Sigmoid, Loss: graph.CrossEntropy, Block: graph.Gated}.Build,
	} {
		n, err := graph.Lower(name, build)
		if err != nil {
			t.Fatal(err)
		}
		p, v := n.Program, conformance.Variant(n, 10)
		params := conformance.Randomize(v).Params
		values, err := conformance.Infer(t, cpu.New(), v, params).Forward(t.Context(), make([]float32, 25*p.Features()))
		if err != nil {
			t.Fatal(err)
		}
		acts := 0
		for _, op := range p.Ops[:p.Forward] {
			switch {
			case op.Code == ir.Im2Col:
				if values[op.Out] != nil {
					t.Errorf("%s: the windows %s are there", name, p.Value(op.Out).Name)
				}
			case op.Code == ir.Act || op.Code == ir.Dense || op.Code == ir.Reduce && p.Value(op.Out).Shape.Rows == ir.Batch && op.Fn != ir.FnSum:
				if len(values[op.Out]) != p.Value(op.Out).Shape.Len(25) {
					t.Errorf("%s: %d numbers of %s", name, len(values[op.Out]), p.Value(op.Out).Name)
				}
				acts++
			}
		}
		if acts < 4 {
			t.Errorf("%s: %d values of units", name, acts)
		}
	}
}

// Forward makes buffers, and nothing for each number of an image.
func TestForwardAllocatesLittle(t *testing.T) {
	n, err := graph.New(graph.Arch{Widths: []int{784, 8, 10}, Activation: ir.Sigmoid, Loss: graph.CrossEntropy})
	if err != nil {
		t.Fatal(err)
	}
	v, x := conformance.Variant(n, 10), make([]float32, 10*784)
	network := conformance.Infer(t, cpu.New(), v, conformance.Randomize(v).Params)
	allocations := testing.AllocsPerRun(3, func() {
		if _, err := network.Forward(t.Context(), x); err != nil {
			t.Fatal(err)
		}
	})
	if allocations > 784 {
		t.Errorf("%v allocations for 10 images", allocations)
	}
}
