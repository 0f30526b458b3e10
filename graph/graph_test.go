package graph_test

import (
	"bytes"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"gorgonia.org/gorgonia"
	"gorgonia.org/tensor"

	"vanilla/graph"
	"vanilla/graph/ir"
)

var update = flag.Bool("update", false, "rewrite the golden files")

func TestExplain(t *testing.T) {
	for file, a := range map[string]graph.Arch{
		"lesson.golden": {Widths: []int{784, 16, 16, 10}, Activation: ir.Sigmoid, Loss: graph.Quadratic},
		"chain.golden":  {Widths: []int{784, 16, 16, 10}, Activation: ir.Sigmoid, Loss: graph.CrossEntropy},
	} {
		n, err := graph.New(a)
		if err != nil {
			t.Fatal(err)
		}
		path := filepath.Join("testdata", file)
		if *update {
			if err := os.WriteFile(path, []byte(n.Explain()), 0o644); err != nil {
				t.Fatal(err)
			}
		}
		want, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		if got := n.Explain(); got != string(want) {
			t.Errorf("%s differs (go test ./graph -update rewrites it):\n%s", path, got)
		}
	}
}

// Every activation and loss lowers, for shallow and deep chains and widths of
// one, to as many operations as the layers need.
func TestNew(t *testing.T) {
	for _, widths := range [][]int{{784, 10}, {784, 16, 16, 10}, {784, 32, 32, 32, 32, 10}, {64, 5, 3}, {5, 1, 1, 3}, {1, 2}, {3, 3, 3, 3}, {6, 7, 8, 9}} {
		for _, act := range graph.Activations() {
			for _, loss := range []graph.Loss{graph.CrossEntropy, graph.Quadratic} {
				a := graph.Arch{Widths: widths, Activation: act, Loss: loss}
				n, err := graph.New(a)
				if err != nil {
					t.Error(err)
					continue
				}
				number := map[ir.Code]int{}
				for _, op := range n.Program.Ops {
					number[op.Code]++
					if (op.Code == ir.Act || op.Code == ir.DAct) && op.Act != act && op.Act != ir.Sigmoid {
						t.Errorf("%v: %s of %v", a, op.Code, op.Act)
					}
				}
				layers := len(widths) - 1
				acts := layers - 1
				if act == ir.Identity {
					acts = 0
				}
				if loss == graph.Quadratic {
					acts++ // the sigmoid outputs
				}
				want := map[ir.Code]int{ir.Dense: layers, ir.Act: acts, ir.DAct: acts, ir.DWeight: layers, ir.DBias: layers, ir.DInput: layers - 1}
				for code, k := range want {
					if number[code] != k {
						t.Errorf("%v: %d %s, want %d", a, number[code], code, k)
					}
				}
			}
		}
	}
}

func TestArchCheck(t *testing.T) {
	good := graph.Arch{Widths: []int{4, 3, 2}, Activation: ir.Tanh, Loss: graph.CrossEntropy}
	for want, change := range map[string]func(*graph.Arch){
		"1 widths":       func(a *graph.Arch) { a.Widths = []int{4} },
		"width 0":        func(a *graph.Arch) { a.Widths = []int{4, 0, 2} },
		"width 70000":    func(a *graph.Arch) { a.Widths = []int{4, 70000, 2} },
		"1 output":       func(a *graph.Arch) { a.Widths = []int{4, 3, 1} },
		"not available":  func(a *graph.Arch) { a.Activation = ir.Rectify },
		"no loss":        func(a *graph.Arch) { a.Loss = "hinge" },
		"300 widths":     func(a *graph.Arch) { a.Widths = make([]int, 300) },
		"want 1 to 6553": func(a *graph.Arch) { a.Widths = []int{-1, 2} },
	} {
		a := good
		change(&a)
		if _, err := graph.New(a); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%v: %v, want %q", a, err, want)
		}
	}
}

// sketch writes one-hidden-layer networks with something unusual in them.
type sketch struct {
	g      *graph.Graph
	z1, z2 *gorgonia.Node
	h      *gorgonia.Node
}

var must = gorgonia.Must

func newSketch(batch int, hidden func(*gorgonia.Node) *gorgonia.Node) *sketch {
	e := gorgonia.NewGraph()
	node := func(name string, rows, cols int) *gorgonia.Node {
		return gorgonia.NewMatrix(e, tensor.Float32, gorgonia.WithShape(rows, cols), gorgonia.WithName(name))
	}
	s := &sketch{g: &graph.Graph{Expr: e, X: node("x", batch, 4), Y: node("y", batch, 3)}}
	w1, w2 := node("W1", 4, 5), node("W2", 5, 3)
	b1 := gorgonia.NewVector(e, tensor.Float32, gorgonia.WithShape(5), gorgonia.WithName("b1"))
	s.g.Params = gorgonia.Nodes{w1, b1, w2}
	s.z1 = must(gorgonia.BroadcastAdd(must(gorgonia.Mul(s.g.X, w1)), b1, nil, []byte{0}))
	s.h = hidden(s.z1)
	s.z2 = must(gorgonia.Mul(s.h, w2))
	s.g.Output = s.z2
	s.g.Loss = crossEntropy(s.g.Y, s.z2)
	return s
}

func crossEntropy(y, z *gorgonia.Node) *gorgonia.Node {
	return must(gorgonia.Neg(must(gorgonia.Mean(must(gorgonia.Sum(must(gorgonia.HadamardProd(y, must(gorgonia.LogSoftMax(z)))), 1))))))
}

func tanh(z *gorgonia.Node) *gorgonia.Node { return must(gorgonia.Tanh(z)) }

func number(c float32) *gorgonia.Node { return gorgonia.NewConstant(c) }

// What is no network of layer operations stays one of tensor operations and says
// why; what has no meaning is refused, with the pass and the nodes.
func TestLowerSays(t *testing.T) {
	plain := func(batch int) *sketch { return newSketch(batch, tanh) }
	for name, c := range map[string]struct {
		build func(batch int) *graph.Graph
		want  string
	}{
		"an activation that ir does not have": {func(b int) *graph.Graph {
			return newSketch(b, func(z *gorgonia.Node) *gorgonia.Node { return must(gorgonia.Sin(z)) }).g
		}, "sin10[B,5] (sin of x, W1, b1) is no dense layer"},
		"activations multiplied": {func(b int) *graph.Graph {
			return newSketch(b, func(z *gorgonia.Node) *gorgonia.Node {
				return must(gorgonia.HadamardProd(tanh(z), must(gorgonia.Sigmoid(z))))
			}).g
		}, "mul12[B,5] (mul of x, W1, b1) is no dense layer"},
		"a mean over the batch": {func(b int) *graph.Graph {
			return newSketch(b, func(z *gorgonia.Node) *gorgonia.Node {
				h := tanh(z)
				return must(gorgonia.BroadcastSub(h, must(gorgonia.Mean(h, 0)), nil, []byte{0}))
			}).g
		}, "is no dense layer, activation or sum"},
		"temperature in the loss": {func(b int) *graph.Graph {
			s := plain(b)
			s.g.Loss = crossEntropy(s.g.Y, must(gorgonia.Mul(s.z2, number(0.5))))
			return s.g
		}, "the loss is no softmax cross-entropy of matmul11"},
		"a sum over the batch": {func(b int) *graph.Graph {
			s := plain(b)
			s.g.Loss = must(gorgonia.Mul(s.g.Loss, number(float32(b))))
			return s.g
		}, "loss is xent with factor 9 at batch 9, xent with factor 100003 at batch 100003"},
		"a constant in the loss": {func(b int) *graph.Graph {
			s := plain(b)
			s.g.Loss = must(gorgonia.Add(s.g.Loss, number(1.5)))
			return s.g
		}, "is no softmax cross-entropy"},
		"absolute values of weights": {func(b int) *graph.Graph {
			s := plain(b)
			s.g.Loss = must(gorgonia.Add(s.g.Loss, must(gorgonia.Mul(number(0.1), must(gorgonia.Sum(must(gorgonia.Abs(s.g.Params[0]))))))))
			return s.g
		}, "the loss is no softmax cross-entropy of matmul11"},
		"a penalty on activations": {func(b int) *graph.Graph {
			s := plain(b)
			s.g.Loss = must(gorgonia.Add(s.g.Loss, must(gorgonia.Mul(number(0.1), must(gorgonia.Mean(must(gorgonia.Square(s.h))))))))
			return s.g
		}, "the loss is no softmax cross-entropy of matmul11"},
		"the wrong output": {func(b int) *graph.Graph {
			s := plain(b)
			s.g.Output = must(gorgonia.SoftMax(s.z2))
			return s.g
		}, "is no dense layer"},
		"a parameter the output does not need": {func(b int) *graph.Graph {
			s := plain(b)
			v := gorgonia.NewVector(s.g.Expr, tensor.Float32, gorgonia.WithShape(3), gorgonia.WithName("v"))
			s.g.Params = append(s.g.Params, v)
			s.g.Loss = must(gorgonia.Add(s.g.Loss, must(gorgonia.Mul(number(0.1), must(gorgonia.Sum(must(gorgonia.Square(v))))))))
			return s.g
		}, "parameter v is no weight or bias"},
		"a parameter the loss does not need": {func(b int) *graph.Graph {
			s := plain(b)
			s.g.Params = append(s.g.Params, gorgonia.NewVector(s.g.Expr, tensor.Float32, gorgonia.WithShape(3), gorgonia.WithName("v")))
			return s.g
		}, "the loss does not depend on parameter v"},
		"weights used both ways": {func(b int) *graph.Graph {
			e := gorgonia.NewGraph()
			node := func(name string, rows, cols int) *gorgonia.Node {
				return gorgonia.NewMatrix(e, tensor.Float32, gorgonia.WithShape(rows, cols), gorgonia.WithName(name))
			}
			x, y, w := node("x", b, 3), node("y", b, 3), node("W", 3, 3)
			z := must(gorgonia.Mul(tanh(must(gorgonia.Mul(x, w))), must(gorgonia.Transpose(w))))
			return &graph.Graph{Expr: e, X: x, Y: y, Output: z, Loss: crossEntropy(y, z), Params: gorgonia.Nodes{w}}
		}, "(matmul of W, x) is no dense layer"},
		"a size that follows the batch": {func(b int) *graph.Graph {
			return newSketch(b, func(z *gorgonia.Node) *gorgonia.Node {
				return must(gorgonia.Mul(tanh(z), number(float32(b))))
			}).g
		}, "(mul of x, W1, b1) is no dense layer"},
		"dropout, which Gorgonia draws anew": {func(b int) *graph.Graph {
			return newSketch(b, func(z *gorgonia.Node) *gorgonia.Node { return must(gorgonia.Dropout(tanh(z), 0.5)) }).g
		}, "(mul of x, W1, b1) is no dense layer"},
		"a panic while building": {func(b int) *graph.Graph { panic("no such file") }, "building the graph at batch 9: no such file"},
		"no output": {func(b int) *graph.Graph {
			s := plain(b)
			s.g.Output = nil
			return s.g
		}, "the builder set no Output"},
		"a gradient with the wrong sign": {func(b int) *graph.Graph {
			s := plain(b)
			s.g.Grads = must2(gorgonia.Grad(s.g.Loss, s.g.Params...))
			s.g.Grads[2] = must(gorgonia.Neg(s.g.Grads[2]))
			return s.g
		}, "the graph's gradient of W2 is another"},
		"two gradients exchanged": {func(b int) *graph.Graph {
			s := plain(b)
			s.g.Grads = must2(gorgonia.Grad(s.g.Loss, s.g.Params...))
			s.g.Grads[0], s.g.Grads[2] = s.g.Grads[2], s.g.Grads[0]
			return s.g
		}, "the gradient of W1 has shape [5,3], the parameter [4 5]"},
		"a gradient left out": {func(b int) *graph.Graph {
			s := plain(b)
			s.g.Grads = must2(gorgonia.Grad(s.g.Loss, s.g.Params...))[:2]
			return s.g
		}, "2 gradients for 3 parameters"},
	} {
		t.Run(name, func(t *testing.T) {
			n, err := graph.Lower("sketch", func(batch int) (*graph.Graph, error) { return c.build(batch), nil })
			if err == nil {
				err = n.Unfused()
			}
			if err == nil {
				t.Fatalf("became layer operations:\n%s", n.Explain())
			}
			if !strings.Contains(err.Error(), c.want) {
				t.Errorf("error %q, want %q in it", err, c.want)
			}
		})
	}
}

func must2(n gorgonia.Nodes, err error) gorgonia.Nodes {
	if err != nil {
		panic(err)
	}
	return n
}

// Different ways to write a loss lower to the same operations.
func TestLowerSeesThroughSpelling(t *testing.T) {
	for name, loss := range map[string]func(y, z *gorgonia.Node) *gorgonia.Node{
		"log of softmax": func(y, z *gorgonia.Node) *gorgonia.Node {
			return must(gorgonia.Neg(must(gorgonia.Mean(must(gorgonia.Sum(must(gorgonia.HadamardProd(y, must(gorgonia.Log(must(gorgonia.SoftMax(z)))))), 1))))))
		},
		"log of the sum of exponentials": func(y, z *gorgonia.Node) *gorgonia.Node {
			lse := must(gorgonia.Log(must(gorgonia.Sum(must(gorgonia.Exp(z)), 1))))
			return must(gorgonia.Mean(must(gorgonia.Sub(lse, must(gorgonia.Sum(must(gorgonia.HadamardProd(y, z)), 1))))))
		},
		"three times": func(y, z *gorgonia.Node) *gorgonia.Node {
			return must(gorgonia.Mul(number(3), crossEntropy(y, z)))
		},
	} {
		n, err := graph.Lower(name, func(batch int) (*graph.Graph, error) {
			s := newSketch(batch, func(z *gorgonia.Node) *gorgonia.Node { // tanh, the long way
				e := must(gorgonia.Exp(must(gorgonia.Mul(number(-2), z))))
				return must(gorgonia.Sub(must(gorgonia.HadamardDiv(number2(2, z), must(gorgonia.Add(number(1), e)))), number2(1, z)))
			})
			s.g.Loss = loss(s.g.Y, s.z2)
			return s.g, nil
		})
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		scale := 1.0
		if name == "three times" {
			scale = 3
		}
		for _, op := range n.Program.Ops {
			if (op.Code == ir.Xent || op.Code == ir.DXent) && op.Scale < 0.999*scale || op.Code == ir.Act && op.Act != ir.Tanh {
				t.Errorf("%s: lowered to\n%s", name, n.Program)
			}
		}
	}
}

// number2 is a constant as large as z.
func number2(c float32, z *gorgonia.Node) *gorgonia.Node {
	return must(gorgonia.Add(must(gorgonia.Mul(number(0), z)), number(c)))
}

// Graphs may be built, differentiated and lowered from many goroutines.
func TestConcurrent(t *testing.T) {
	var wg sync.WaitGroup
	listings := make([]string, 8)
	for i := range listings {
		wg.Go(func() {
			n, err := graph.New(graph.Arch{Widths: []int{20, 7, 7, 4}, Activation: ir.GELUTanh, Loss: graph.Quadratic})
			if err != nil {
				t.Error(err)
				return
			}
			listings[i] = n.Explain()
		})
	}
	wg.Wait()
	for _, l := range listings {
		if l != listings[0] {
			t.Errorf("lowered differently:\n%s\n%s", listings[0], l)
		}
	}
}

// Every live node is drawn once, every operand is an edge.
func TestWriteDOT(t *testing.T) {
	n, err := graph.New(graph.Arch{Widths: []int{784, 16, 16, 10}, Activation: ir.Sigmoid, Loss: graph.CrossEntropy})
	if err != nil {
		t.Fatal(err)
	}
	var b bytes.Buffer
	if err := n.WriteDOT(&b); err != nil {
		t.Fatal(err)
	}
	dot := b.String()
	if got := strings.Count(dot, " [label="); got != 61 {
		t.Errorf("%d nodes, want 61", got)
	}
	if got := strings.Count(dot, "subgraph"); got != len(n.Program.Ops) {
		t.Errorf("%d boxes for %d operations", got, len(n.Program.Ops))
	}
	for _, want := range []string{"[B,784]", "[784,16]", "batch size", fmt.Sprintf("label=%q", "16 dW1 = dweight")} {
		if !strings.Contains(dot, want) {
			t.Errorf("no %q in\n%s", want, dot)
		}
	}
}
