package graph

import (
	"fmt"
	"slices"

	"gorgonia.org/gorgonia"
	"gorgonia.org/tensor"

	"vanilla/graph/ir"
)

// Build writes the architecture in Gorgonia: weights [in, out], one row per
// example. It is a Builder, whose Differentiate turns Gorgonia's panics into errors.
func (a Arch) Build(batch int) (*Graph, error) {
	if err := a.Check(); err != nil {
		return nil, err
	}
	layers := len(a.Widths) - 1
	e := gorgonia.NewGraph()
	g := &Graph{
		Expr: e,
		X:    gorgonia.NewMatrix(e, tensor.Float32, gorgonia.WithShape(batch, a.Widths[0]), gorgonia.WithName("x")),
		Y:    gorgonia.NewMatrix(e, tensor.Float32, gorgonia.WithShape(batch, a.Widths[layers]), gorgonia.WithName("y")),
	}
	h := dropout(g.X, a.InputDropout)
	for l := 1; l < layers; l++ {
		h = dropout(a.hidden(g, h, l), a.Dropout)
	}
	z := g.dense(h, "W", "b", layers, a.Widths[layers])
	targets := g.Y
	if e := a.LabelSmoothing; e > 0 {
		even := float32(e / float64(a.Widths[layers]))
		targets = must(gorgonia.Add(times(float32(1-e), g.Y), constant(even)))
	}
	losses[slices.IndexFunc(losses[:], func(k LossKind) bool { return k.Name == a.Loss })].write(g, z, targets) // there is one, see Check
	return g, nil
}

// hidden is hidden layer l on h.
func (a Arch) hidden(g *Graph, h *gorgonia.Node, l int) *gorgonia.Node {
	width := a.Widths[l]
	z := g.dense(h, "W", "b", l, width)
	if a.LayerNorm {
		z = g.layerNorm(z, l, width)
	}
	out := activations[a.activation(l)](z)
	switch {
	case a.Block == Residual && l > 1 && width == a.Widths[l-1]:
		return must(gorgonia.Add(out, h))
	case a.Block == Gated:
		return must(gorgonia.HadamardProd(out, must(gorgonia.Sigmoid(g.dense(h, "V", "c", l, width)))))
	}
	return out
}

// dense is h·W + b with parameters of its own, which carry the layer's number.
func (g *Graph) dense(h *gorgonia.Node, weight, bias string, l, out int) *gorgonia.Node {
	w := gorgonia.NewMatrix(g.Expr, tensor.Float32, gorgonia.WithShape(h.Shape()[1], out), gorgonia.WithName(fmt.Sprintf("%s%d", weight, l)))
	b := gorgonia.NewVector(g.Expr, tensor.Float32, gorgonia.WithShape(out), gorgonia.WithName(fmt.Sprintf("%s%d", bias, l)))
	g.Params = append(g.Params, w, b)
	return must(gorgonia.BroadcastAdd(must(gorgonia.Mul(h, w)), b, nil, []byte{0}))
}

// normEpsilon keeps a norm finite where all units are equal, as in PyTorch.
const normEpsilon = 1e-5

// layerNorm is (z − mean) / √(variance + ε) of each row, times 1 + g, plus s.
func (g *Graph) layerNorm(z *gorgonia.Node, l, width int) *gorgonia.Node {
	centred := must(gorgonia.BroadcastSub(z, must(gorgonia.Mean(z, 1)), nil, []byte{1}))
	variance := must(gorgonia.Mean(must(gorgonia.Square(centred)), 1))
	deviation := must(gorgonia.Sqrt(must(gorgonia.Add(variance, constant(normEpsilon)))))
	norm := must(gorgonia.BroadcastHadamardDiv(centred, deviation, nil, []byte{1}))
	gain := gorgonia.NewVector(g.Expr, tensor.Float32, gorgonia.WithShape(width), gorgonia.WithName(fmt.Sprintf("g%d", l)))
	shift := gorgonia.NewVector(g.Expr, tensor.Float32, gorgonia.WithShape(width), gorgonia.WithName(fmt.Sprintf("s%d", l)))
	g.Params = append(g.Params, gain, shift)
	scaled := must(gorgonia.BroadcastHadamardProd(norm, must(gorgonia.Add(gain, constant(1))), nil, []byte{0}))
	return must(gorgonia.BroadcastAdd(scaled, shift, nil, []byte{0}))
}

// dropout drops with probability p. Gorgonia's gradient of it divides by the wrong
// probability; the lowering's is right.
func dropout(h *gorgonia.Node, p float64) *gorgonia.Node {
	if p == 0 {
		return h
	}
	return must(gorgonia.Dropout(h, p))
}

// must panics with Gorgonia's errors, so that expressions read as expressions.
// Differentiate recovers them.
func must(n *gorgonia.Node, err error) *gorgonia.Node {
	if err != nil {
		panic(err)
	}
	return n
}

// activations are the hidden layers' activations as Gorgonia differentiates
// them correctly, composed where its own has another slope at 0.
var activations = map[ir.Activation]func(z *gorgonia.Node) *gorgonia.Node{
	ir.Identity: func(z *gorgonia.Node) *gorgonia.Node { return z },
	ir.Sigmoid:  func(z *gorgonia.Node) *gorgonia.Node { return must(gorgonia.Sigmoid(z)) },
	ir.Tanh:     func(z *gorgonia.Node) *gorgonia.Node { return must(gorgonia.Tanh(z)) },
	ir.ReLU:     relu,
	ir.LeakyReLU: func(z *gorgonia.Node) *gorgonia.Node { // 0.01 z + 0.99 relu(z)
		return must(gorgonia.Add(times(0.01, z), times(0.99, relu(z))))
	},
	ir.Softplus: func(z *gorgonia.Node) *gorgonia.Node { return must(gorgonia.Softplus(z)) },
	ir.SiLU: func(z *gorgonia.Node) *gorgonia.Node {
		return must(gorgonia.HadamardProd(z, must(gorgonia.Sigmoid(z))))
	},
	ir.GELUTanh: func(z *gorgonia.Node) *gorgonia.Node {
		cubic := must(gorgonia.Add(z, times(0.044715, must(gorgonia.Cube(z)))))
		tanh := must(gorgonia.Tanh(times(0.7978845608028654, cubic)))
		return must(gorgonia.HadamardProd(times(0.5, z), must(gorgonia.Add(constant(1), tanh))))
	},
	ir.Softsign: func(z *gorgonia.Node) *gorgonia.Node {
		return must(gorgonia.HadamardDiv(z, must(gorgonia.Add(constant(1), must(gorgonia.Abs(z))))))
	},
}

// relu is z where z > 0. Gorgonia's Rectify has slope 1 at 0, this has 0.
func relu(z *gorgonia.Node) *gorgonia.Node {
	return must(gorgonia.HadamardProd(z, must(gorgonia.Gt(z, constant(0), true))))
}

func times(c float32, z *gorgonia.Node) *gorgonia.Node {
	return must(gorgonia.Mul(constant(c), z))
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

// ActivationNames lists their names.
func ActivationNames() []string {
	var names []string
	for _, a := range Activations() {
		names = append(names, a.String())
	}
	return names
}
