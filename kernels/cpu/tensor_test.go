package cpu_test

import (
	"testing"

	"vanilla/graph/ir"
	"vanilla/internal/conformance"
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
