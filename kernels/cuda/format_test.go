package cuda

import (
	"fmt"
	"os"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"unsafe"

	"vanilla/graph/ir"
	"vanilla/kernels"
)

func source(t *testing.T, name string) string {
	t.Helper()
	text, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// The sizes that format.cuh asserts are those of the structs here.
func TestSizes(t *testing.T) {
	sizes := map[string]uintptr{
		"Operand": unsafe.Sizeof(packedOperand{}), "Op": unsafe.Sizeof(packedOp{}), "Array": unsafe.Sizeof(packedArray{}),
		"Param": unsafe.Sizeof(packedParam{}), "Location": unsafe.Sizeof(packedLocation{}), "Plan": unsafe.Sizeof(packedPlan{}), "Job": unsafe.Sizeof(packedJob{}),
		"Scalars": unsafe.Sizeof(packedScalars{}), "Result": unsafe.Sizeof(packedResult{}), "Launch": unsafe.Sizeof(packedLaunch{}),
		"Layer": unsafe.Sizeof(packedLayer{}), "Chain": unsafe.Sizeof(packedChain{}), "StreamLayer": unsafe.Sizeof(packedStreamLayer{}), "StreamPlan": unsafe.Sizeof(packedStreamPlan{}), "View": unsafe.Sizeof(packedView{}),
		"Tensor": unsafe.Sizeof(packedTensor{}), "Source": unsafe.Sizeof(packedSource{}), "Instruction": unsafe.Sizeof(packedInstruction{}),
	}
	found := regexp.MustCompile(`sizeof\((\w+)\) == (\d+)`).FindAllStringSubmatch(source(t, "format.cuh"), -1)
	if len(found) != len(sizes) {
		t.Errorf("format.cuh asserts %d sizes, want %d", len(found), len(sizes))
	}
	for _, m := range found {
		if want, err := strconv.Atoi(m[2]); err != nil || int(sizes[m[1]]) != want {
			t.Errorf("%s has %d bytes here, %s in format.cuh", m[1], sizes[m[1]], m[2])
		}
	}
}

// enumerators are the names of an enumeration in format.cuh, without comments.
func enumerators(t *testing.T, name string) []string {
	t.Helper()
	m := regexp.MustCompile(`(?s)enum ` + name + ` : int32_t \{(.*?)\}`).FindStringSubmatch(source(t, "format.cuh"))
	if m == nil {
		t.Fatalf("format.cuh has no enumeration %s", name)
	}
	text := regexp.MustCompile(`//[^\n]*`).ReplaceAllString(m[1], "")
	var names []string
	for _, n := range strings.Split(text, ",") {
		if n = strings.TrimSpace(n); n != "" {
			names = append(names, strings.TrimSpace(strings.Split(n, "=")[0]))
		}
	}
	return names
}

// The numbers in format.cuh are those of package ir, and all of its operations and functions.
func TestNumbers(t *testing.T) {
	codes := enumerators(t, "Code")
	for i, name := range codes {
		if want := "CODE_" + strings.ToUpper(ir.Code(i+1).String()); name != want {
			t.Errorf("operation %d is %s, want %s", i+1, name, want)
		}
	}
	if next := ir.Code(len(codes) + 1); next.String() != "unknown" {
		t.Errorf("format.cuh has no operation %s", next)
	}
	functions := enumerators(t, "Function")
	if len(functions) != len(ir.MapFunctions())+2 {
		t.Errorf("format.cuh has %d functions, want %d, a copy and the sum", len(functions), len(ir.MapFunctions()))
	}
	for i, f := range append(ir.MapFunctions(), ir.FnSum) {
		if want := "FN_" + strings.ToUpper(string(f)); functionNumber(f) != int32(i+1) || functions[i+1] != want {
			t.Errorf("function %d is %s, want %s", functionNumber(f), functions[i+1], want)
		}
	}
	for i, name := range enumerators(t, "Distribution") {
		if want := "RANDOM_" + strings.ToUpper(string(distributions[i])); name != want {
			t.Errorf("distribution %d is %s, want %s", i, name, want)
		}
	}
	acts := enumerators(t, "Activation")
	for i, a := range ir.Activations() {
		if want := "ACT_" + strings.ToUpper(strings.ReplaceAll(a.String(), "-", "_")); i >= len(acts) || acts[i] != want {
			t.Errorf("activation %d of %q is not %s", i+1, acts, want)
		}
	}
	for i, name := range enumerators(t, "OptimizerKind") {
		o := kernels.Optimizer{Name: strings.ToLower(strings.TrimPrefix(name, "OPTIMIZER_"))}
		if o.Kind().Name == "" || int(o.Rule()) != i {
			t.Errorf("%s is number %d here, %d in format.cuh", name, o.Rule(), i)
		}
	}
	for _, want := range []string{fmt.Sprintf("MAP_SLOTS == %d", mapSlots), fmt.Sprintf("MAX_AXES = %d;", maxAxes)} {
		if !strings.Contains(source(t, "map.cuh")+source(t, "format.cuh"), want) {
			t.Errorf("nothing says %s", want)
		}
	}
	if m := regexp.MustCompile(`WARP = (\d+), WARPS = (\d+)`).FindStringSubmatch(source(t, "block.cuh")); m == nil {
		t.Error("block.cuh does not say how many threads a block has")
	} else if warp, _ := strconv.Atoi(m[1]); true {
		if warps, _ := strconv.Atoi(m[2]); warp*warps != blockThreads {
			t.Errorf("a block has %d threads here, %d x %d in block.cuh", blockThreads, warp, warps)
		}
	}
}

// TestChains: resident networks are numbered in the order in which they come.
func TestChains(t *testing.T) {
	var p program
	for i := range 3 {
		if number := p.addChain(packedChain{Depth: int32(i + 1)}); int(number) != i {
			t.Errorf("chain %d has number %d", i, number)
		}
	}
	for i, c := range p.chains {
		if int(c.Depth) != i+1 {
			t.Errorf("chain %d has depth %d, want %d", i, c.Depth, i+1)
		}
	}
}

// TestStreams: streamed networks are numbered in the order in which they come, and say where their layers begin.
func TestStreams(t *testing.T) {
	var p program
	for i := range 3 {
		layers := make([]packedStreamLayer, i+1)
		if number := p.addStream(packedStreamPlan{Depth: int32(len(layers))}, layers); int(number) != i {
			t.Errorf("network %d has number %d", i, number)
		}
	}
	for i, want := range []int32{0, 1, 3} {
		if s := p.streams[i]; s.Layer != want || s.Depth != int32(i+1) {
			t.Errorf("network %d has %d layers from %d on, want %d from %d", i, s.Depth, s.Layer, i+1, want)
		}
	}
	if len(p.streamLayers) != 6 {
		t.Errorf("there are %d layers, want 6", len(p.streamLayers))
	}
}
