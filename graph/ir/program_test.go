package ir_test

import (
	"flag"
	"os"
	"path/filepath"
	"testing"

	"vanilla/graph"
	"vanilla/graph/ir"
)

var update = flag.Bool("update", false, "write the listings in testdata instead of comparing")

// The values of skipProgram.
const (
	x ir.ID = iota
	y
	w1
	b1
	w2
	w3
	b3
	z1
	h1
	z2
	sum
	z3
	data
	loss
	dz3
	db3
	dw3
	dsum
	dw2
	dskip
	dh1
	dz1
	db1
	dw1data
	dw1
)

// The operations of skipProgram that tests change.
const (
	opDense = 0
	opAct   = 1
	opAdd   = 3
	opXent  = 5
	opL2    = 6
	forward = 7
)

// skipProgram is 2-3-3-2 with tanh, a linear second layer around which a
// connection skips, no bias there, and a penalty on W1. It uses every operation
// but those of the quadratic cost, which quadratic puts in.
func skipProgram() *ir.Program {
	rows := func(n int) ir.Shape { return ir.Shape{Rows: ir.Batch, Cols: n} }
	scalar := ir.Shape{Rows: 1, Cols: 1}
	return &ir.Program{
		Name: "2-3-3-2 with a skip connection",
		Values: []ir.Value{
			x: {Name: "x", Shape: rows(2)}, y: {Name: "y", Shape: rows(2)},
			w1: {Name: "W1", Shape: ir.Shape{Rows: 3, Cols: 2}}, b1: {Name: "b1", Shape: ir.Shape{Rows: 1, Cols: 3}},
			w2: {Name: "W2", Shape: ir.Shape{Rows: 3, Cols: 3}},
			w3: {Name: "W3", Shape: ir.Shape{Rows: 2, Cols: 3}}, b3: {Name: "b3", Shape: ir.Shape{Rows: 1, Cols: 2}},
			z1: {Name: "z1", Shape: rows(3)}, h1: {Name: "h1", Shape: rows(3)},
			z2: {Name: "z2", Shape: rows(3)}, sum: {Name: "sum", Shape: rows(3)},
			z3: {Name: "z3", Shape: rows(2)}, data: {Name: "data", Shape: scalar}, loss: {Name: "loss", Shape: scalar},
			dz3: {Name: "dz3", Shape: rows(2)}, db3: {Name: "db3", Shape: ir.Shape{Rows: 1, Cols: 2}},
			dw3: {Name: "dW3", Shape: ir.Shape{Rows: 2, Cols: 3}}, dsum: {Name: "dsum", Shape: rows(3)},
			dw2: {Name: "dW2", Shape: ir.Shape{Rows: 3, Cols: 3}}, dskip: {Name: "dskip", Shape: rows(3)},
			dh1: {Name: "dh1", Shape: rows(3)}, dz1: {Name: "dz1", Shape: rows(3)},
			db1: {Name: "db1", Shape: ir.Shape{Rows: 1, Cols: 3}}, dw1data: {Name: "dW1.data", Shape: ir.Shape{Rows: 3, Cols: 2}},
			dw1: {Name: "dW1", Shape: ir.Shape{Rows: 3, Cols: 2}},
		},
		Ops: []ir.Op{
			opDense: {Code: ir.Dense, Out: z1, Args: []ir.ID{x, w1, b1}, Nodes: []int64{4, 5, 6, 9}},
			opAct:   {Code: ir.Act, Out: h1, Args: []ir.ID{z1}, Act: ir.Tanh, Nodes: []int64{10}},
			2:       {Code: ir.Dense, Out: z2, Args: []ir.ID{h1, w2}},
			opAdd:   {Code: ir.Add, Out: sum, Args: []ir.ID{h1, z2}, Scale: 1},
			4:       {Code: ir.Dense, Out: z3, Args: []ir.ID{sum, w3, b3}},
			opXent:  {Code: ir.Xent, Out: data, Args: []ir.ID{z3, y}, Scale: 1.5},
			opL2:    {Code: ir.L2, Out: loss, Args: []ir.ID{data, w1}, Scale: 0.01},

			forward: {Code: ir.DXent, Out: dz3, Args: []ir.ID{z3, y}, Scale: 1.5},
			8:       {Code: ir.DBias, Out: db3, Args: []ir.ID{dz3}},
			9:       {Code: ir.DWeight, Out: dw3, Args: []ir.ID{dz3, sum}},
			10:      {Code: ir.DInput, Out: dsum, Args: []ir.ID{dz3, w3}},
			11:      {Code: ir.DWeight, Out: dw2, Args: []ir.ID{dsum, h1}},
			12:      {Code: ir.DInput, Out: dskip, Args: []ir.ID{dsum, w2}},
			13:      {Code: ir.Add, Out: dh1, Args: []ir.ID{dsum, dskip}, Scale: 1},
			14:      {Code: ir.DAct, Out: dz1, Args: []ir.ID{dh1, z1}, Act: ir.Tanh},
			15:      {Code: ir.DBias, Out: db1, Args: []ir.ID{dz1}},
			16:      {Code: ir.DWeight, Out: dw1data, Args: []ir.ID{dz1, x}},
			17:      {Code: ir.Add, Out: dw1, Args: []ir.ID{dw1data, w1}, Scale: 0.01},
		},
		Forward: forward,
		Input:   x, Target: y, Output: z3, Loss: loss,
		Params: []ir.Param{
			{Value: w1, Grad: dw1}, {Value: b1, Grad: db1, Bias: true}, {Value: w2, Grad: dw2},
			{Value: w3, Grad: dw3}, {Value: b3, Grad: db3, Bias: true},
		},
	}
}

// quadratic exchanges the loss.
func quadratic(p *ir.Program) *ir.Program {
	p.Ops[opXent].Code, p.Ops[forward].Code = ir.Quad, ir.DQuad
	return p
}

func lowered(t *testing.T, loss graph.Loss) *ir.Program {
	t.Helper()
	n, err := graph.New(graph.Arch{Widths: []int{784, 16, 16, 10}, Activation: ir.Sigmoid, Loss: loss})
	if err != nil {
		t.Fatal(err)
	}
	return n.Program
}

func TestCounts(t *testing.T) {
	p := lowered(t, graph.CrossEntropy)
	// 784·16 + 16 + 16·16 + 16 + 16·10 + 10 parameters. Each weight is used in
	// one product forward and one for its gradient, and outside the first layer
	// in one more for the gradient of the layer's input.
	const parameters, flops = 13002, 2 * (2*(784*16+16*16+16*10) + (16*16 + 16*10))
	if got := p.Parameters(); got != parameters {
		t.Errorf("%d parameters, want %d", got, parameters)
	}
	if got := p.FLOPs(); got != flops || flops != 52672 {
		t.Errorf("%d FLOP, want %d", got, flops)
	}
	if p.Features() != 784 || p.Classes() != 10 {
		t.Errorf("%d features and %d classes, want 784 and 10", p.Features(), p.Classes())
	}
}

func TestShape(t *testing.T) {
	for _, c := range []struct {
		shape ir.Shape
		text  string
		len   int // at batch 7
	}{
		{ir.Shape{Rows: ir.Batch, Cols: 3}, "[B,3]", 21},
		{ir.Shape{Rows: 4, Cols: 3}, "[4,3]", 12},
		{ir.Shape{Rows: 1, Cols: 3}, "[3]", 3},
		{ir.Shape{Rows: 3, Cols: 1}, "[3,1]", 3},
		{ir.Shape{Rows: 1, Cols: 1}, "", 1},
	} {
		if got := c.shape.String(); got != c.text {
			t.Errorf("%#v is printed %q, want %q", c.shape, got, c.text)
		}
		if got := c.shape.Len(7); got != c.len {
			t.Errorf("%#v has %d elements, want %d", c.shape, got, c.len)
		}
	}
}

func TestListing(t *testing.T) {
	for _, c := range []struct {
		file string
		p    *ir.Program
	}{
		{"cross-entropy", lowered(t, graph.CrossEntropy)},
		{"quadratic", lowered(t, graph.Quadratic)},
		{"skip", skipProgram()},
		{"skip-quadratic", quadratic(skipProgram())},
	} {
		t.Run(c.file, func(t *testing.T) {
			if err := c.p.Verify(); err != nil {
				t.Fatal(err)
			}
			file := filepath.Join("testdata", c.file+".golden")
			got := c.p.String()
			if *update {
				if err := os.WriteFile(file, []byte(got), 0o644); err != nil {
					t.Fatal(err)
				}
			}
			want, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			back, err := ir.Parse(got)
			if err != nil {
				t.Fatal(err)
			}
			for i := range back.Ops { // which no listing is read for
				back.Ops[i].Nodes = c.p.Ops[i].Nodes
			}
			if again := back.String(); again != got {
				t.Errorf("read back and listed again:\n%s", again)
			}
			if got != string(want) {
				t.Errorf("listing\n%s\nwant (accept with -update)\n%s", got, want)
			}
		})
	}
}

// A listing is read back whatever a user's names hold: a model file is one.
func TestNamesInListings(t *testing.T) {
	for _, name := range []string{"W; 1", "a\nb", `"`, "W[3,4] = dense", "é", "%0"} {
		p := lowered(t, graph.CrossEntropy)
		p.Values[p.Params[0].Value].Name = name
		back, err := ir.Parse(p.String())
		if err != nil {
			t.Errorf("%q: %v", name, err)
			continue
		}
		if got := back.Value(back.Params[0].Value).Name; got != name {
			t.Errorf("%q is read back as %q", name, got)
		}
	}
}

func TestUnknownCode(t *testing.T) {
	for _, c := range []ir.Code{0, ir.MaxPoolGrad + 1} {
		if got := c.String(); got != "unknown" {
			t.Errorf("code %d is called %q", c, got)
		}
	}
}
