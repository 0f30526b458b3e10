package graph

import (
	"fmt"

	"gorgonia.org/gorgonia"
	"gorgonia.org/tensor"

	"vanilla/graph/ir"
)

// Build writes the architecture in Gorgonia: weights [in, out], one row per
// example. It is a Builder.
func (a Arch) Build(batch int) (*Graph, error) {
	if err := a.Check(); err != nil {
		return nil, err
	}
	layers := len(a.Widths) - 1
	e := gorgonia.NewGraph()
	w := &writer{}
	g := &Graph{
		Expr: e,
		X:    gorgonia.NewMatrix(e, tensor.Float32, gorgonia.WithShape(batch, a.Widths[0]), gorgonia.WithName("x")),
		Y:    gorgonia.NewMatrix(e, tensor.Float32, gorgonia.WithShape(batch, a.Widths[layers]), gorgonia.WithName("y")),
	}
	h := g.X
	for l := 1; l <= layers; l++ {
		in, out := a.Widths[l-1], a.Widths[l]
		weight := gorgonia.NewMatrix(e, tensor.Float32, gorgonia.WithShape(in, out), gorgonia.WithName(fmt.Sprintf("W%d", l)))
		bias := gorgonia.NewVector(e, tensor.Float32, gorgonia.WithShape(out), gorgonia.WithName(fmt.Sprintf("b%d", l)))
		g.Params = append(g.Params, weight, bias)
		h = w.do(gorgonia.BroadcastAdd(w.do(gorgonia.Mul(h, weight)), bias, nil, []byte{0}))
		if l < layers {
			h = activations[a.Activation](w, h)
		}
	}
	switch a.Loss {
	case CrossEntropy:
		g.Output = h
		logProb := w.do(gorgonia.LogSoftMax(h))
		g.Loss = w.do(gorgonia.Neg(w.do(gorgonia.Mean(w.do(gorgonia.Sum(w.do(gorgonia.HadamardProd(g.Y, logProb)), 1))))))
	case Quadratic:
		g.Output = w.do(gorgonia.Sigmoid(h))
		diff := w.do(gorgonia.Sub(g.Output, g.Y))
		g.Loss = w.do(gorgonia.Mean(w.do(gorgonia.Sum(w.do(gorgonia.Square(diff)), 1))))
	}
	return g, w.err
}

// writer keeps the first error, so that expressions read as expressions. After
// an error the nodes are nil and Gorgonia is not called with them again.
type writer struct{ err error }

func (w *writer) do(n *gorgonia.Node, err error) *gorgonia.Node {
	if err != nil && w.err == nil {
		w.err = err
	}
	if w.err != nil {
		panic(w.err) // recovered in Differentiate
	}
	return n
}

// activations are the hidden layers' activations as Gorgonia differentiates
// them correctly, composed where its own has another slope at 0.
var activations = map[ir.Activation]func(w *writer, z *gorgonia.Node) *gorgonia.Node{
	ir.Identity: func(_ *writer, z *gorgonia.Node) *gorgonia.Node { return z },
	ir.Sigmoid:  func(w *writer, z *gorgonia.Node) *gorgonia.Node { return w.do(gorgonia.Sigmoid(z)) },
	ir.Tanh:     func(w *writer, z *gorgonia.Node) *gorgonia.Node { return w.do(gorgonia.Tanh(z)) },
	ir.ReLU:     relu,
	ir.LeakyReLU: func(w *writer, z *gorgonia.Node) *gorgonia.Node { // 0.01 z + 0.99 relu(z)
		return w.do(gorgonia.Add(w.times(0.01, z), w.times(0.99, relu(w, z))))
	},
	ir.Softplus: func(w *writer, z *gorgonia.Node) *gorgonia.Node { return w.do(gorgonia.Softplus(z)) },
	ir.SiLU: func(w *writer, z *gorgonia.Node) *gorgonia.Node {
		return w.do(gorgonia.HadamardProd(z, w.do(gorgonia.Sigmoid(z))))
	},
	ir.GELUTanh: func(w *writer, z *gorgonia.Node) *gorgonia.Node {
		cubic := w.do(gorgonia.Add(z, w.times(0.044715, w.do(gorgonia.Cube(z)))))
		tanh := w.do(gorgonia.Tanh(w.times(0.7978845608028654, cubic)))
		return w.do(gorgonia.HadamardProd(w.times(0.5, z), w.do(gorgonia.Add(constant(1), tanh))))
	},
	ir.Softsign: func(w *writer, z *gorgonia.Node) *gorgonia.Node {
		return w.do(gorgonia.HadamardDiv(z, w.do(gorgonia.Add(constant(1), w.do(gorgonia.Abs(z))))))
	},
}

// relu is z where z > 0. Gorgonia's Rectify has slope 1 at 0, this has 0.
func relu(w *writer, z *gorgonia.Node) *gorgonia.Node {
	return w.do(gorgonia.HadamardProd(z, w.do(gorgonia.Gt(z, constant(0), true))))
}

func (w *writer) times(c float32, z *gorgonia.Node) *gorgonia.Node {
	return w.do(gorgonia.Mul(constant(c), z))
}

func constant(c float32) *gorgonia.Node { return gorgonia.NewConstant(c) }

// Activations lists what hidden layers can have.
func Activations() []ir.Activation {
	var all []ir.Activation
	for _, a := range ir.Activations() {
		if _, ok := activations[a]; ok {
			all = append(all, a)
		}
	}
	return all
}
