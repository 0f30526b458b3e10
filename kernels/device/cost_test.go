package device

import (
	"strings"
	"testing"

	"vanilla/internal/conformance"
	"vanilla/kernels"
)

// h100 is an executor whose steps take what the model says of class fp32 for sgd.
type h100 struct{ kernels.Executor }

func (h100) Cycles(kernels.Variant) (alone, shared float64, err error) { return 7200, 7200, nil }

// One small network trains on the CPU, a population of them on the GPU, and what
// decides is the same each time.
func TestCost(t *testing.T) {
	v := conformance.Variant(network(t, 784, 16, 16, 10), 32)
	for _, c := range []struct {
		networks, epochs, cores int
		flops                   float64
		cpu                     bool
	}{
		{1, 1, 16, 144e9, true}, {1, 20, 16, 144e9, true}, {1, 20, 1, 122e9, true}, {1, 2000, 16, 144e9, false},
		{4096, 20, 16, 144e9, false}, {512, 20, 2, 122e9, false}, {64, 20, 1, 144e9, false}, {8, 1, 8, 144e9, true},
		{1, 20, 16, 12e9, false},
	} {
		variants := make([]kernels.Variant, c.networks)
		for i := range variants {
			variants[i] = v
			variants[i].Epochs = c.epochs
		}
		got, err := costOf(variants, h100{}, c.flops, c.cores, 132)
		if err != nil || got.cheaper() != c.cpu {
			t.Errorf("%+v: %s, %v", c, got, err)
		}
		if again, err := costOf(variants, h100{}, c.flops, c.cores, 132); err != nil || again != got {
			t.Errorf("%+v: %s, then %s, %v", c, got, again, err)
		}
	}
}

// Where there is no choice nothing is estimated.
func TestNoEstimate(t *testing.T) {
	deep := conformance.Variant(network(t, 12, 5, 4), 10)
	for _, exec := range []kernels.Executor{refusing(new([]string)), refusing(new([]string)).cpu} {
		if text, err := Estimate(exec, []kernels.Variant{deep}); text != "" || err != nil {
			t.Errorf("%q, %v", text, err)
		}
	}
	if got := (cost{1, 2}).String(); !strings.Contains(got, "expected, not measured: 1 s on the CPU, 2 s on GPUs") {
		t.Error(got)
	}
}
