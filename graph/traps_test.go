package graph_test

import (
	"fmt"
	"math"
	"os"
	"slices"
	"strings"
	"testing"

	"gorgonia.org/gorgonia"
	"gorgonia.org/tensor"

	"vanilla/graph"
	"vanilla/graph/ir"
	"vanilla/graph/samples"
	"vanilla/kernels/ref"
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
	image := must(gorgonia.Reshape(gorgonia.NewMatrix(g, tensor.Float32, gorgonia.WithShape(1, 49), gorgonia.WithName("image")), tensor.Shape{1, 1, 7, 7}))
	im2col := func(dilation int) *gorgonia.Node {
		return must(gorgonia.Im2Col(image, tensor.Shape{2, 2}, tensor.Shape{0, 0}, tensor.Shape{2, 2}, tensor.Shape{dilation, dilation}))
	}
	for what, merged := range map[string]bool{
		"dropouts of one value":        must(gorgonia.Dropout(x, 0.5)) == must(gorgonia.Dropout(x, 0.2)),
		"noise of one shape":           first == second,
		"slices equal modulo 256":      slice(w, 0, 256) == slice(w, 256, 512),
		"short ones too":               slice(w, 0, 3) == slice(w, 256, 259),
		"what is computed of them":     must(gorgonia.Tanh(slice(w, 0, 3))) == must(gorgonia.Tanh(slice(w, 256, 259))),
		"im2col of other dilations":    im2col(1) == im2col(2),
		"tensors that print alike":     must(gorgonia.Add(w, middle(600, 300))) == must(gorgonia.Add(w, middle(600, 301))),
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

// middle is a constant [2, n] of zeros and a one.
func middle(n, at int) *gorgonia.Node {
	v := make([]float32, 2*n)
	v[at] = 1
	return gorgonia.NewConstant(tensor.New(tensor.WithShape(2, n), tensor.WithBacking(v)))
}

// Gorgonia's Reshape shares memory with its operand, which its machine then overwrites
// though a gradient needs it: the executor tape is wrong there, and the program is not.
func TestReshapeIsOverwritten(t *testing.T) {
	x := []float64{0.25, 0.5, 2, 3}
	_, slope := derivative(t, x, func(x *gorgonia.Node) (*gorgonia.Node, error) {
		return gorgonia.Square(must(gorgonia.Reshape(must(gorgonia.Tanh(x)), tensor.Shape{2, 2})))
	})
	wrong := false
	for i, v := range x {
		h := math.Tanh(v)
		wrong = wrong || math.Abs(slope[i]-2*h*(1-h*h)) > 1e-3
	}
	if !wrong {
		t.Errorf("Gorgonia's machine is right now: %v", slope)
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
	n, err := graph.Lower("softmax", func(batch int) (*graph.Graph, error) {
		return classifier(batch, func(z *gorgonia.Node) *gorgonia.Node { return z }), nil
	})
	if err != nil {
		t.Fatal(err)
	}
	for what, p := range map[string]*ir.Program{"layers": n.Program, "tensor operations": n.Tensor} {
		in := ref.NewInterpreter[float32](p)
		for _, q := range p.Params { // logits of 0 for the first example, and of 100, 0, 0 for the other
			in.Values[q.Value][0] = 10
		}
		in.Run([]float32{0, 0, 0, 0, 0, 0, 1, 0, 0, 0, 0, 0}, []byte{0, 0})
		if got, want := float64(in.Values[p.Loss][0]), math.Log(3)/2; !(math.Abs(got-want) < 1e-6) {
			t.Errorf("%s: the loss is %v, want %v", what, got, want)
		}
		for _, q := range p.Params {
			for _, v := range in.Values[q.Grad] {
				if math.IsNaN(float64(v)) || math.IsInf(float64(v), 0) {
					t.Fatalf("%s: a gradient is %v", what, v)
				}
			}
		}
	}
}

// derivative is what Gorgonia's machine computes of f and of its derivative in the
// elements of x, whose sum of f it differentiates.
func derivative(t *testing.T, x []float64, f func(x *gorgonia.Node) (*gorgonia.Node, error)) (value, slope []float64) {
	t.Helper()
	g := gorgonia.NewGraph()
	n := gorgonia.NewVector(g, tensor.Float64, gorgonia.WithShape(len(x)), gorgonia.WithName("x"),
		gorgonia.WithValue(tensor.New(tensor.WithShape(len(x)), tensor.WithBacking(append([]float64(nil), x...)))))
	y := must(f(n))
	var v gorgonia.Value
	gorgonia.Read(y, &v)
	grads, err := gorgonia.Grad(must(gorgonia.Sum(y)), n)
	if err != nil {
		t.Fatal(err)
	}
	var d gorgonia.Value
	gorgonia.Read(grads[0], &d)
	vm := gorgonia.NewTapeMachine(g)
	defer vm.Close()
	if err := vm.RunAll(); err != nil {
		t.Fatal(err)
	}
	return v.Data().([]float64), d.Data().([]float64)
}

// Gorgonia's derivatives of Log2, InverseSqrt and Dropout are wrong: the first two are
// refused, and the third is lowered to the right one.
func TestWrongGradients(t *testing.T) {
	x := []float64{0.25, 0.5, 2, 3}
	for name, c := range map[string]struct {
		f     func(*gorgonia.Node) (*gorgonia.Node, error)
		right func(x float64) float64
	}{
		"log2":    {gorgonia.Log2, func(x float64) float64 { return 1 / (x * math.Ln2) }},
		"invSqrt": {gorgonia.InverseSqrt, func(x float64) float64 { return -0.5 * math.Pow(x, -1.5) }},
	} {
		_, slope := derivative(t, x, c.f)
		wrong := false
		for i := range x {
			wrong = wrong || math.Abs(slope[i]-c.right(x[i])) > 1e-3
		}
		if !wrong {
			t.Errorf("Gorgonia's derivative of %s is right now: it need not be refused", name)
		}
		_, err := graph.Lower(name, func(batch int) (*graph.Graph, error) {
			return classifier(batch, func(z *gorgonia.Node) *gorgonia.Node { return must(c.f(must(gorgonia.Sigmoid(z)))) }), nil
		})
		if err == nil || !strings.Contains(err.Error(), name) {
			t.Errorf("%s is lowered: %v", name, err)
		}
	}
	many := make([]float64, 200)
	for i := range many {
		many[i] = 1
	}
	for p, right := range map[float64]bool{0.5: true, 0.2: false} {
		value, slope := derivative(t, many, func(x *gorgonia.Node) (*gorgonia.Node, error) { return gorgonia.Dropout(x, p) })
		agree := true
		for i := range value { // of 1, so the value is the slope
			agree = agree && math.Abs(value[i]-slope[i]) < 1e-9
		}
		if agree != right {
			t.Errorf("dropout of %g: the machine's slopes agree with its values: %t (%v, %v)", p, agree, slices.Max(value), slices.Max(slope))
		}
	}
	n, err := graph.Lower("dropout", func(batch int) (*graph.Graph, error) {
		return classifier(batch, func(z *gorgonia.Node) *gorgonia.Node { return must(gorgonia.Dropout(z, 0.2)) }), nil
	})
	if err != nil {
		t.Fatal(err)
	}
	masks := 0 // one, which both directions multiply by
	for _, op := range n.Program.Ops {
		if op.Code == ir.Random {
			if masks++; op.Fn != ir.FnKeep || op.Draw[0] != 0.8 {
				t.Errorf("dropout of 0.2 is %s %v", op.Fn, op.Draw)
			}
		}
	}
	if masks != 1 {
		t.Errorf("%d masks, want one", masks)
	}
}

// classifier is a dense layer, a function of it, and another dense layer.
func classifier(batch int, f func(z *gorgonia.Node) *gorgonia.Node) *graph.Graph {
	e := gorgonia.NewGraph()
	g := &graph.Graph{Expr: e,
		X: gorgonia.NewMatrix(e, tensor.Float32, gorgonia.WithShape(batch, 6), gorgonia.WithName("x")),
		Y: gorgonia.NewMatrix(e, tensor.Float32, gorgonia.WithShape(batch, 3), gorgonia.WithName("y"))}
	dense := func(h *gorgonia.Node, name string, out int) *gorgonia.Node {
		w := gorgonia.NewMatrix(e, tensor.Float32, gorgonia.WithShape(h.Shape()[1], out), gorgonia.WithName(name))
		g.Params = append(g.Params, w)
		return must(gorgonia.Mul(h, w))
	}
	g.Output = dense(f(dense(g.X, "W1", 5)), "W2", 3)
	g.Loss = must(gorgonia.Neg(must(gorgonia.Mean(must(gorgonia.Sum(must(gorgonia.HadamardProd(g.Y, must(gorgonia.LogSoftMax(g.Output)))), 1))))))
	return g
}

// Of nodes that may be several of the user's a note says so, also where what is computed
// of them has become one node too, and slices that Gorgonia confuses are refused.
func TestMergedNodesAreTold(t *testing.T) {
	lower := func(f func(z *gorgonia.Node) *gorgonia.Node) (*graph.Network, error) {
		return graph.Lower("merged", func(batch int) (*graph.Graph, error) { return classifier(batch, f), nil })
	}
	tanh := func(n *gorgonia.Node, err error) *gorgonia.Node { return must(gorgonia.Tanh(must(n, err))) }
	wide := func(z *gorgonia.Node) *gorgonia.Node { // [B, 300]
		return must(gorgonia.Mul(z, given(z.Graph(), "frozen", 5, 300)))
	}
	slice := func(n *gorgonia.Node, from int) *gorgonia.Node {
		return tanh(gorgonia.Slice(n, nil, gorgonia.S(from, from+5)))
	}
	for what, f := range map[string]func(z *gorgonia.Node) *gorgonia.Node{
		"Dropouts": func(z *gorgonia.Node) *gorgonia.Node {
			return must(gorgonia.Add(must(gorgonia.Dropout(z, 0.5)), tanh(gorgonia.Dropout(z, 0.2))))
		},
		"Dropouts of one value": func(z *gorgonia.Node) *gorgonia.Node {
			return must(gorgonia.HadamardProd(tanh(gorgonia.Dropout(z, 0.5)), must(gorgonia.Square(tanh(gorgonia.Dropout(z, 0.2))))))
		},
		"SoftMax": func(z *gorgonia.Node) *gorgonia.Node {
			return must(gorgonia.Add(must(gorgonia.LogSoftMax(z)), tanh(gorgonia.SoftMax(z))))
		},
		"the number 2 in": func(z *gorgonia.Node) *gorgonia.Node {
			k := func(v float32) *gorgonia.Node { return gorgonia.NewConstant(v, gorgonia.WithName("k")) }
			return must(gorgonia.Add(must(gorgonia.HadamardProd(z, k(2))), tanh(gorgonia.HadamardProd(z, k(3)))))
		},
		"(frozen)": func(z *gorgonia.Node) *gorgonia.Node {
			use := func() (*gorgonia.Node, error) { return gorgonia.Mul(z, given(z.Graph(), "frozen", 5, 5)) }
			return must(gorgonia.Add(must(use()), tanh(use())))
		},
		"the constant [5 20] in": func(z *gorgonia.Node) *gorgonia.Node {
			use := func(at int) (*gorgonia.Node, error) {
				v := make([]float32, 100)
				v[at] = 1
				return gorgonia.Mul(z, gorgonia.NewConstant(tensor.New(tensor.WithShape(5, 20), tensor.WithBacking(v))))
			}
			return must(gorgonia.Mul(must(gorgonia.Add(must(use(50)), tanh(use(51)))), given(z.Graph(), "back", 20, 5)))
		},
		"whatever the dilation": func(z *gorgonia.Node) *gorgonia.Node {
			batch := z.Shape()[0]
			image := must(gorgonia.Reshape(must(gorgonia.Mul(z, given(z.Graph(), "image", 5, 49))), tensor.Shape{batch, 1, 7, 7}))
			convolved := func(dilation int) *gorgonia.Node {
				filter := given(z.Graph(), fmt.Sprintf("filter%d", dilation), 1, 1, 2, 2)
				out := must(gorgonia.Conv2d(image, filter, tensor.Shape{2, 2}, []int{0, 0}, []int{2, 2}, []int{dilation, dilation}))
				return must(gorgonia.Reshape(out, tensor.Shape{batch, 9}))
			}
			return must(gorgonia.Mul(must(gorgonia.Add(convolved(1), tanh(convolved(2), nil))), given(z.Graph(), "back", 9, 5)))
		},
	} {
		n, err := lower(f)
		if err != nil {
			t.Errorf("%s: %v", what, err)
		} else if len(n.Notes) == 0 || !strings.Contains(strings.Join(n.Notes, " "), what) || !strings.Contains(n.Explain(), n.Notes[0]) {
			t.Errorf("%s: the notes are %q", what, n.Notes)
		}
	}
	if _, err := lower(func(z *gorgonia.Node) *gorgonia.Node {
		return must(gorgonia.HadamardProd(slice(wide(z), 0), must(gorgonia.Square(slice(wide(z), 256)))))
	}); err == nil || !strings.Contains(err.Error(), "a slice 0:5 of 300, of which more than one thing is computed") {
		t.Errorf("slices that are one: %v", err)
	}
	// These are one thing, whatever their bounds are taken modulo.
	if _, err := lower(func(z *gorgonia.Node) *gorgonia.Node {
		return must(gorgonia.HadamardProd(slice(wide(z), 200), must(gorgonia.Square(slice(wide(z), 200)))))
	}); err != nil {
		t.Errorf("a slice that is read twice: %v", err)
	}
}

// given is a tensor that is not trained.
func given(g *gorgonia.ExprGraph, name string, shape ...int) *gorgonia.Node {
	v := make([]float32, tensor.Shape(shape).TotalSize())
	for i := range v {
		v[i] = float32(i%7) / 8
	}
	return gorgonia.NewTensor(g, tensor.Float32, len(shape), gorgonia.WithShape(shape...), gorgonia.WithName(name),
		gorgonia.WithValue(tensor.New(tensor.WithShape(shape...), tensor.WithBacking(v))))
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
	t.Logf("of %d graphs %d run, %d of them as networks of layers, and %d are refused", len(all), len(all)-refused, fast, refused)
	readme, err := os.ReadFile("../README.md")
	if err != nil {
		t.Fatal(err)
	}
	if len(all) != 205 || refused != 5 || fast != 57 {
		t.Errorf("%d samples, %d refused, %d fast", len(all), refused, fast)
	}
	for _, words := range []string{"Of the 205 graphs", "200 run", "57 are proved", "Five are refused"} {
		if !strings.Contains(string(readme), words) {
			t.Errorf("the README does not say %q", words)
		}
	}
}
