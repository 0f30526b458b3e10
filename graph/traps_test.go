package graph_test

import (
	"math"
	"os"
	"strings"
	"testing"

	"gorgonia.org/gorgonia"
	"gorgonia.org/tensor"

	"vanilla/graph"
	"vanilla/graph/samples"
)

// What Gorgonia makes one node, whatever the user wrote: the reason for what
// lowering refuses or notes.
func TestMergedNodes(t *testing.T) {
	g := gorgonia.NewGraph()
	x := gorgonia.NewMatrix(g, tensor.Float32, gorgonia.WithShape(2, 3), gorgonia.WithName("x"))
	w := gorgonia.NewMatrix(g, tensor.Float32, gorgonia.WithShape(2, 600), gorgonia.WithName("w"))
	slice := func(n *gorgonia.Node, from, to int) *gorgonia.Node {
		return must(gorgonia.Slice(n, nil, gorgonia.S(from, to)))
	}
	noise := func() *gorgonia.Node {
		return gorgonia.GaussianRandomNode(g, tensor.Float32, 0, 1, 2, 3)
	}
	named := func(v float32) *gorgonia.Node {
		n := gorgonia.NewConstant(v)
		gorgonia.WithName("k")(n)
		return n
	}
	first, second := noise(), noise()
	for what, merged := range map[string]bool{
		"dropouts of one value":        must(gorgonia.Dropout(x, 0.5)) == must(gorgonia.Dropout(x, 0.2)),
		"noise of one shape":           first == second,
		"slices equal modulo 256":      slice(w, 0, 256) == slice(w, 256, 512),
		"softmax and log softmax":      must(gorgonia.LogSoftMax(x)) == must(gorgonia.SoftMax(x)),
		"constants of one name":        must(gorgonia.Add(x, named(1))) == must(gorgonia.Add(x, named(2))),
		"inputs of one name and shape": x == gorgonia.NewMatrix(g, tensor.Float32, gorgonia.WithShape(2, 3), gorgonia.WithName("x")),
	} {
		if !merged {
			t.Errorf("%s are no longer one node: the lowering need not care", what)
		}
	}
	if slice(x, 0, 2) == slice(x, 1, 3) {
		t.Error("slices below 256 are one node")
	}
}

// Gorgonia's softmax takes a row's maximum from the wrong elements: its machine
// overflows where the program does not.
func TestSoftmaxOverflows(t *testing.T) {
	g := gorgonia.NewGraph()
	x := gorgonia.NewMatrix(g, tensor.Float32, gorgonia.WithShape(2, 2), gorgonia.WithName("x"),
		gorgonia.WithValue(tensor.New(tensor.WithShape(2, 2), tensor.WithBacking([]float32{0, 0, 100, 0}))))
	var v gorgonia.Value
	gorgonia.Read(must(gorgonia.LogSoftMax(x)), &v)
	vm := gorgonia.NewTapeMachine(g)
	defer vm.Close()
	if err := vm.RunAll(); err != nil {
		t.Fatal(err)
	}
	finite := true
	for _, f := range v.Data().([]float32) {
		finite = finite && !math.IsNaN(float64(f)) && !math.IsInf(float64(f), 0)
	}
	if finite {
		t.Errorf("Gorgonia's softmax is right now: %v", v.Data())
	}
}

// The README says how many of the samples run and how many are fast.
func TestReadmeCounts(t *testing.T) {
	all, refused, fast := samples.All(), 0, 0
	for _, s := range all {
		if s.Refused != "" {
			refused++
			continue
		}
		n, err := graph.Lower(s.Name, s.Build(tensor.Float32))
		if err != nil {
			t.Fatal(err)
		}
		if n.Unfused() == nil {
			fast++
		}
	}
	readme, err := os.ReadFile("../README.md")
	if err != nil {
		t.Fatal(err)
	}
	if len(all) != 203 || refused != 5 || fast != 57 {
		t.Errorf("%d samples, %d refused, %d fast", len(all), refused, fast)
	}
	for _, words := range []string{"Of the 203 graphs", "198 run", "57 are proved", "Five are refused"} {
		if !strings.Contains(string(readme), words) {
			t.Errorf("the README does not say %q", words)
		}
	}
}
