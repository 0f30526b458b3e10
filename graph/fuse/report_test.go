package fuse_test

import (
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	"gorgonia.org/tensor"

	"vanilla/graph"
	"vanilla/graph/fuse"
	"vanilla/graph/ir"
	"vanilla/graph/samples"
)

// A report says of every operation of the forward pass whether it is fused, and why
// not.
func TestReport(t *testing.T) {
	counts := regexp.MustCompile(`^not fused  .*?(?:\(|of the gradients )((?:\d+ [a-z]\w*(?:, )?)+)\)?: .`)
	reports := 0
	for s, n := range samples.Lowered(t, tensor.Float32) {
		if n.Unfused() == nil {
			continue
		}
		reports++
		fused, rest := 0, 0
		for i, op := range n.Program.Ops {
			switch {
			case op.Code.Layer() && i < n.Program.Forward:
				fused++
			case !op.Code.Layer() && op.Code != ir.Reshape && op.Code != ir.Repeat && op.Code != ir.Const:
				rest++
			}
		}
		for _, line := range fuse.Report(n.Tensor, n.Program) {
			if strings.HasPrefix(line, "fused      ") {
				if !strings.HasPrefix(line, "fused      of the gradients") {
					fused--
				}
				continue
			}
			m := counts.FindStringSubmatch(line)
			if m == nil {
				t.Errorf("%s: no counts and reason in %q", s.Name, line)
				continue
			}
			for part := range strings.SplitSeq(m[1], ", ") {
				k, _ := strconv.Atoi(strings.Fields(part)[0])
				rest -= k
			}
		}
		if fused != 0 || rest != 0 {
			t.Errorf("%s: %d fused operations and %d others are not told of:\n%s", s.Name, fused, rest, strings.Join(fuse.Report(n.Tensor, n.Program), "\n"))
		}
	}
	if reports < 100 {
		t.Errorf("%d reports, want 100 or more", reports)
	}
}

// What a report says of a gated layer.
func TestReportOfAGate(t *testing.T) {
	n, err := graph.New(graph.Arch{Widths: []int{12, 5, 4}, Activation: ir.Tanh, Loss: graph.CrossEntropy, Block: graph.Gated})
	if err != nil {
		t.Fatal(err)
	}
	got := fuse.Report(n.Tensor, n.Program)
	for _, want := range []string{
		"fused      add8 is dense of x, W1, b1",
		"fused      tanh9 is tanh of add8",
		"not fused  mul18 (1 map): mul18 combines tanh9 and sigmoid17 by mul: layer operations have activations of one value and sums alone",
		"not fused  of the gradients 2 map: those of what is not fused, and the sums where they meet",
	} {
		if !slices.Contains(got, want) {
			t.Errorf("no line %q in\n%s", want, strings.Join(got, "\n"))
		}
	}
}
