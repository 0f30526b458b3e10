package graph_test

import (
	"strings"
	"testing"

	"gorgonia.org/gorgonia"
	"gorgonia.org/tensor"

	"vanilla/graph"
)

// A refusal says which node it is about by the user's own names, what the node
// computes, and what would be right.
func TestRefusals(t *testing.T) {
	plain := func(batch int) *sketch { return newSketch(batch, tanh) }
	acts := func(f func(batch int, z *gorgonia.Node) *gorgonia.Node) func(int) *graph.Graph {
		return func(batch int) *graph.Graph {
			return newSketch(batch, func(z *gorgonia.Node) *gorgonia.Node { return f(batch, z) }).g
		}
	}
	changed := func(f func(s *sketch)) func(int) *graph.Graph {
		return func(batch int) *graph.Graph {
			s := plain(batch)
			f(s)
			return s.g
		}
	}
	for want, build := range map[string]func(batch int) *graph.Graph{
		"(batch norm [B 5 1 1] of x, W1, b1): its running statistics are state": acts(func(b int, z *gorgonia.Node) *gorgonia.Node {
			given := func(name string, init gorgonia.InitWFn) *gorgonia.Node {
				return gorgonia.NewTensor(z.Graph(), tensor.Float32, 4, gorgonia.WithShape(b, 5, 1, 1), gorgonia.WithName(name), gorgonia.WithInit(init))
			}
			image := must(gorgonia.Reshape(z, tensor.Shape{b, 5, 1, 1}))
			out, _, _, _, err := gorgonia.BatchNorm(image, given("scale", gorgonia.Ones()), given("bias", gorgonia.Zeroes()), 0.9, 1e-5)
			return must(gorgonia.Reshape(must(out, err), tensor.Shape{b, 5}))
		}),
		"(average pool [B 1 1 5] of x, W1, b1): Gorgonia divides by the image's width": acts(func(b int, z *gorgonia.Node) *gorgonia.Node {
			image := must(gorgonia.Reshape(z, tensor.Shape{b, 1, 1, 5}))
			return must(gorgonia.Reshape(must(gorgonia.AveragePool2D(image, tensor.Shape{1, 1}, []int{0, 0}, []int{1, 1})), tensor.Shape{b, 5}))
		}),
		"(random numbers [B 5]): numbers of a binomial distribution are not there: Dropout draws masks": acts(func(b int, z *gorgonia.Node) *gorgonia.Node {
			return must(gorgonia.HadamardProd(z, gorgonia.BinomialRandomNode(z.Graph(), tensor.Float32, 3, 0.5, b, 5)))
		}),
		"as in Gt(a, b, true)": acts(func(_ int, z *gorgonia.Node) *gorgonia.Node {
			return must(gorgonia.HadamardProd(z, must(gorgonia.Gt(z, number(0), false))))
		}),
		"the number 81 in node 11 (⊙ [B 5] of x, W1, b1): the constant is [81 121 1.018081e+06] at batches [9 11 1009]": acts(func(b int, z *gorgonia.Node) *gorgonia.Node {
			return must(gorgonia.Mul(z, number(float32(b*b))))
		}),
		"another graph at batch 11 than at batch 9, where it has node 10 (tanh [B 5] of x, W1, b1) in place of node 10 (sigmoid [B 5] of x, W1, b1)": acts(func(b int, z *gorgonia.Node) *gorgonia.Node {
			if b == 9 {
				return tanh(z)
			}
			return must(gorgonia.Sigmoid(z))
		}),
		"(rows by their indexes [B 5] of idx, x, W1, b1): integer inputs are not there: multiply by one-hot rows": acts(func(b int, z *gorgonia.Node) *gorgonia.Node {
			rows := gorgonia.NewVector(z.Graph(), tensor.Int, gorgonia.WithShape(b), gorgonia.WithName("idx"), gorgonia.WithInit(gorgonia.Zeroes()))
			return must(gorgonia.ByIndices(z, rows, 0))
		}),
		"(sum [B] of W2, x, W1, b1) is no number: take the Mean over the examples": changed(func(s *sketch) { s.g.Loss = must(gorgonia.Sum(s.z2, 1)) }),
		"the output node 19 (+ [B 3] of y, W2, x, W1, b1) is computed from the targets y, which a network is asked without": changed(func(s *sketch) {
			s.g.Output = must(gorgonia.Add(s.z2, s.g.Y))
		}),
		"(slice [B 2] of x, W1, b1): a slice 0:5 by 2: Gorgonia infers 2 numbers, and its machine takes 3: end it at 4": acts(func(_ int, z *gorgonia.Node) *gorgonia.Node {
			return must(gorgonia.Concat(1, must(gorgonia.Slice(z, nil, gorgonia.S(0, 5, 2))), must(gorgonia.Slice(z, nil, gorgonia.S(0, 3)))))
		}),
		"(group norm [B 5 1 1] of x, W1, b1): write the norm with Reshape, Mean, Square and Sqrt": acts(func(b int, z *gorgonia.Node) *gorgonia.Node {
			given := func(name string) *gorgonia.Node {
				return gorgonia.NewTensor(z.Graph(), tensor.Float32, 4, gorgonia.WithShape(1, 5, 1, 1), gorgonia.WithName(name), gorgonia.WithInit(gorgonia.Ones()))
			}
			image := must(gorgonia.Reshape(z, tensor.Shape{b, 5, 1, 1}))
			return must(gorgonia.Reshape(must(gorgonia.GroupNorm(image, given("scale"), given("bias"), 1, 5, 1e-5)), tensor.Shape{b, 5}))
		}),
		"(global average pool [B 5 1 1] of x, W1, b1): Gorgonia cannot differentiate it: write Reshape and Mean": acts(func(b int, z *gorgonia.Node) *gorgonia.Node {
			pooled := must(gorgonia.GlobalAveragePool2D(must(gorgonia.Reshape(z, tensor.Shape{b, 5, 1, 1}))))
			return must(gorgonia.Reshape(pooled, tensor.Shape{b, 5}))
		}),
		"two parameters are called W1, of shapes (4, 5) and (5, 5): give each a name of its own": changed(func(s *sketch) {
			again := gorgonia.NewMatrix(s.g.Expr, tensor.Float32, gorgonia.WithShape(5, 5), gorgonia.WithName("W1"))
			s.g.Params = append(s.g.Params, again)
			s.g.Loss = must(gorgonia.Add(s.g.Loss, must(gorgonia.Sum(must(gorgonia.Mul(s.h, again))))))
		}),
		"refusals_test.go:": changed(func(s *sketch) { s.g.Params[9] = nil }),
		"the output node 10 (tanh [B 5] of x, W1, b1) has shape [B,5], the targets y [B,3]":        changed(func(s *sketch) { s.g.Output = s.h }),
		"input X: x is computed, as node 10 (tanh [B 5] of x, W1, b1): want an input of the graph": changed(func(s *sketch) { s.g.X = s.h }),
		"parameter 0 of Params is computed (tanh): want an input":                                  changed(func(s *sketch) { s.g.Params[0] = s.h }),
		"(P): shape [B,3]: want a parameter of one shape, whatever the batch size": func(b int) *graph.Graph {
			s := plain(b)
			w := gorgonia.NewMatrix(s.g.Expr, tensor.Float32, gorgonia.WithShape(b, 3), gorgonia.WithName("P"))
			s.g.Params = append(s.g.Params, w)
			s.g.Loss = must(gorgonia.Add(s.g.Loss, must(gorgonia.Sum(must(gorgonia.Square(must(gorgonia.Add(w, s.z2))))))))
			return s.g
		},
	} {
		_, err := graph.Lower("sketch", func(batch int) (*graph.Graph, error) { return build(batch), nil })
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("refused with %v, want %s", err, want)
		}
	}
}
