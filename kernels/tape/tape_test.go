package tape_test

import (
	"strings"
	"testing"

	"vanilla/graph"
	"vanilla/graph/ir"
	"vanilla/internal/conformance"
	"vanilla/kernels/tape"
)

// The graph on Gorgonia's machine and the program on the reference are two
// independent ways from one graph to numbers. That they agree, gradient by
// gradient, proves the lowering.
func TestConformance(t *testing.T) { conformance.Run(t, tape.New()) }

// A program without its graph, as files hold it, is refused in words.
func TestInferWantsGraph(t *testing.T) {
	n, err := graph.New(graph.Arch{Widths: []int{4, 3, 2}, Activation: ir.Sigmoid, Loss: graph.CrossEntropy})
	if err != nil {
		t.Fatal(err)
	}
	params := conformance.Randomize(conformance.Variant(n, 2)).Params
	_, err = tape.New().Infer(n.Program, params, 0)
	if err == nil || strings.Contains(err.Error(), "*ir.") || !strings.Contains(err.Error(), "the executors fast and ref run it") {
		t.Errorf("found %v", err)
	}
}
