package cpu_test

import (
	"testing"

	"vanilla/internal/conformance"
	"vanilla/kernels/cpu"
)

func TestConformance(t *testing.T) {
	for name, executor := range cpu.Executors() {
		t.Run(name, func(t *testing.T) {
			conformance.Run(t, executor)
		})
	}
}
