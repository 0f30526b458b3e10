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
	h := g.X
	for l := 1; l <= layers; l++ {
		in, out := a.Widths[l-1], a.Widths[l]
		weight := gorgonia.NewMatrix(e, tensor.Float32, gorgonia.WithShape(in, out), gorgonia.WithName(fmt.Sprintf("W%d", l)))
		bias := gorgonia.NewVector(e, tensor.Float32, gorgonia.WithShape(out), gorgonia.WithName(fmt.Sprintf("b%d", l)))
		g.Params = append(g.Params, weight, bias)
		h = must(gorgonia.BroadcastAdd(must(gorgonia.Mul(h, weight)), bias, nil, []byte{0}))
		if l < layers {
			h = activations[a.Activation](h)
		}
	}
	losses[slices.IndexFunc(losses[:], func(k LossKind) bool { return k.Name == a.Loss })].write(g, h) // there is one, see Check
	return g, nil
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
