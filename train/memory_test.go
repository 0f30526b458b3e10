package train

import (
	"errors"
	"strings"
	"testing"

	"vanilla/internal/memory"
	"vanilla/kernels/ref"
)

// A network that cannot fit is refused before its graph is built, with what it needs and what there is.
func TestMemory(t *testing.T) {
	if _, known := memory.Available(); !known {
		t.Skip("this system does not say how much memory there is")
	}
	r := Default()
	r.Arch = "784-" + strings.Repeat("65536-", 200) + "10" // 3.4 TB of weights
	_, err := Run(t.Context(), ref.New(), striped(3, 3), []Spec{{Recipe: r, Seed: 1}}, Options{})
	var short *memory.Error
	if !errors.As(err, &short) || !strings.HasPrefix(err.Error(), "training 784-65536") || !strings.Contains(err.Error(), "GB of memory, ") {
		t.Errorf("error %v", err)
	}
	wide := Default()
	wide.Arch = "784-1000-1000-10"
	gated := wide
	gated.Block, gated.Norm = "gated", "layer"
	if more := gated.Bytes() - wide.Bytes(); more < 4*6*(785*1000+1001*1000+4000) {
		t.Errorf("gates and norms take %d bytes", more)
	}
	if need := Default().Bytes(); need < 4*13002 || need > 1<<20 {
		t.Errorf("the default network takes %d bytes", need)
	}
}
