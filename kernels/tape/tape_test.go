package tape_test

import (
	"testing"

	"vanilla/internal/conformance"
	"vanilla/kernels/tape"
)

// The graph on Gorgonia's machine and the program on the reference are two
// independent ways from one graph to numbers. That they agree, gradient by
// gradient, proves the lowering.
func TestConformance(t *testing.T) { conformance.Run(t, tape.New()) }
