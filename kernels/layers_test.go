package kernels

import (
	"strings"
	"testing"

	"vanilla/graph/ir"
)

// Who is refused on a GPU is told of a device that runs the program, and that fast.
func TestCheckLayers(t *testing.T) {
	p := &ir.Program{Name: "gated", Ops: []ir.Op{{Code: ir.Map}}}
	if err := CheckLayers("cuda", p); err == nil || !strings.HasSuffix(err.Error(), "the executor cuda runs layer operations alone so far: the device cpu runs it") {
		t.Errorf("error %v", err)
	}
	if err := CheckLayers("cuda", &ir.Program{Ops: []ir.Op{{Code: ir.Dense}}}); err != nil {
		t.Error(err)
	}
}
