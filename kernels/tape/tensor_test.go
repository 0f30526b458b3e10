package tape_test

import (
	"slices"
	"strings"
	"testing"

	"gorgonia.org/tensor"

	"vanilla/graph"
	"vanilla/graph/ir"
	"vanilla/graph/samples"
	"vanilla/internal/conformance"
	"vanilla/kernels"
	"vanilla/kernels/tape"
)

func random(p *ir.Program) bool {
	return slices.ContainsFunc(p.Ops, func(op ir.Op) bool { return op.Code == ir.Random })
}

// The samples on Gorgonia's machine and their programs on the reference come to
// the same gradients, losses and outputs.
func TestTensors(t *testing.T) {
	conformance.RunTensors(t, tape.New(), func(p *ir.Program) bool {
		// At batch 1, which is left over of 41, a column of one is a number to
		// Gorgonia, and its broadcast of it fails.
		return random(p) || p.Name == "one unit scales the others"
	})
}

// Gorgonia draws its random numbers from the clock.
func TestRandomIsRefused(t *testing.T) {
	for _, s := range samples.All() {
		if s.Name != "dropout 0.5" {
			continue
		}
		n, err := graph.Lower(s.Name, s.Build(tensor.Float32))
		if err != nil {
			t.Fatal(err)
		}
		_, err = tape.New().Prepare(conformance.Data(n.Program, 1), []kernels.Variant{conformance.Variant(n, 4)})
		if err == nil || !strings.Contains(err.Error(), "from the clock") {
			t.Errorf("error %v", err)
		}
	}
}
