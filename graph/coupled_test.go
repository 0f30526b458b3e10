package graph_test

import (
	"testing"

	"gorgonia.org/tensor"

	"vanilla/graph/samples"
)

// Whose outputs depend on the rest of the batch is found: normalisation over it,
// attention between examples, and nothing else.
func TestCoupled(t *testing.T) {
	coupled := map[string]bool{
		"batch norm": true, "batch norm with scale and shift": true, "centred over the batch": true,
		"examples attend to each other": true, "softmax along the examples": true, "a mean over the batch as a bias": true,
	}
	for s, n := range samples.Lowered(t, tensor.Float32) {
		if got := n.Program.Coupled(); got != coupled[s.Name] {
			t.Errorf("%s: coupled %t, want %t", s.Name, got, coupled[s.Name])
		}
		if got := n.Tensor.Coupled(); got != coupled[s.Name] {
			t.Errorf("%s: the tensor operations are coupled %t, want %t", s.Name, got, coupled[s.Name])
		}
	}
}
