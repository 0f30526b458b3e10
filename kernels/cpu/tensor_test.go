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
	for _, s := range samples.All() {
		if s.Refused != "" {
			continue
		}
		n, err := graph.Lower(s.Name, s.Build(tensor.Float32))
		if err != nil {
			t.Fatal(err)
		}
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
