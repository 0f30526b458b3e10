package infer

import (
	"context"
	"fmt"

	"vanilla/graph/ir"
	"vanilla/kernels/ref"
	"vanilla/model"
)

// View is a network as figures see it: it is a viz.Network. Many images at once
// run on the executor; single ones, and slopes along their pixels, in float64 on
// the reference.
//
// Layers are the dense layers of a graph, in its order. What leaves a layer's
// units is its activation, or its sum where that is not what is activated.
type View struct {
	network *Network
	name    string
	layers  []model.Layer
	z, a    []ir.ID // what enters and what leaves each layer's units
}

// View is the network under a name. It fails if there are no layers to show, and if
// examples depend on each other (ir.Program.Coupled).
func (n *Network) View(name string) (*View, error) {
	p := n.program
	if p.Coupled() {
		return nil, fmt.Errorf("%s: what the network makes of an image depends on the rest of its batch: no figure shows it", name)
	}
	v := &View{network: n, name: name}
	param := map[ir.ID][]float32{}
	for i, q := range p.Params {
		param[q.Value] = n.params[i]
	}
	for _, op := range p.Ops[:p.Forward] {
		if op.Code != ir.Dense {
			continue
		}
		shape := p.Value(op.Args[1]).Shape
		l := model.Layer{In: shape.Cols, Out: shape.Rows, Weight: param[op.Args[1]], Bias: make([]float32, shape.Rows)}
		if len(op.Args) == 3 {
			l.Bias = param[op.Args[2]]
		}
		v.layers, v.z, v.a = append(v.layers, l), append(v.z, op.Out), append(v.a, n.activated(op.Out))
	}
	if len(v.layers) == 0 {
		return nil, fmt.Errorf("%s: the network has no layers to show", name)
	}
	v.z[len(v.z)-1] = n.logits()
	return v, nil
}

// activated is the activation of a value, or the value if it has none.
func (n *Network) activated(z ir.ID) ir.ID {
	for _, op := range n.program.Ops[:n.program.Forward] {
		if op.Code == ir.Act && op.Args[0] == z {
			return op.Out
		}
	}
	return z
}

// logits is what the probabilities are the softmax or the sigmoids of.
func (n *Network) logits() ir.ID {
	p := n.program
	for _, op := range p.Ops[:p.Forward] {
		if op.Code == ir.Act && op.Out == p.Output {
			return op.Args[0]
		}
	}
	return p.Output
}

// Name is what figures call the network.
func (v *View) Name() string { return v.name }

// ClassNames are what its outputs are called, nil if by their numbers.
func (v *View) ClassNames() []string { return v.network.names }

// Layers are the network's dense layers. Weights and biases are not copies.
func (v *View) Layers() []model.Layer { return v.layers }

// Softmax is [Network.Softmax].
func (v *View) Softmax() bool { return v.network.Softmax() }

// Probabilities is [Network.Probabilities].
func (v *View) Probabilities(ctx context.Context, pixels []byte) ([]float32, error) {
	p, err := v.network.Probabilities(ctx, pixels)
	return p, v.named(err)
}

// Classify is [Network.Classify].
func (v *View) Classify(ctx context.Context, pixels []byte) ([]byte, error) {
	c, err := v.network.Classify(ctx, pixels)
	return c, v.named(err)
}

func (v *View) named(err error) error {
	if err == nil {
		return nil
	}
	return fmt.Errorf("%s: %w", v.name, err)
}

// forward runs one image through a program.
func (v *View) forward(ctx context.Context, p *ir.Program, x []float32) (*ref.Interpreter[float64], error) {
	if ctx.Err() != nil {
		return nil, context.Cause(ctx)
	}
	if len(x) != p.Features() {
		return nil, fmt.Errorf("%s: an image of %d pixels, the network sees %d", v.name, len(x), p.Features())
	}
	in := ref.NewInterpreter[float64](p)
	for i, q := range p.Params {
		copy(in.Values[q.Value], wide(v.network.params[i]))
	}
	in.Forward(wide(x), []byte{0}) // any label: no value but the loss depends on it
	return in, nil
}

// Activate runs one image x [inputs], from 0 to 1, and returns what enters each
// layer's units and what leaves them. The last are the probabilities.
func (v *View) Activate(ctx context.Context, x []float32) (z, a [][]float32, err error) {
	in, err := v.forward(ctx, v.network.program, x)
	if err != nil {
		return nil, nil, err
	}
	for k := range v.layers {
		z, a = append(z, narrow(in.Values[v.z[k]])), append(a, narrow(in.Values[v.a[k]]))
	}
	last := in.Values[v.network.program.Output]
	if v.Softmax() {
		softmax(last)
	}
	a[len(a)-1] = narrow(last)
	return z, a, nil
}

// InputGradient is the gradient in x of Σ dz ⊙ z, where z is what enters the last
// layer's units: dz [classes] in, [inputs] out.
func (v *View) InputGradient(ctx context.Context, x, dz []float32) ([]float32, error) {
	p := *v.network.program
	p.Output = v.z[len(v.z)-1]
	in, err := v.forward(ctx, &p, x)
	if err != nil {
		return nil, err
	}
	slopes, err := in.InputGradient(wide(dz))
	if err != nil {
		return nil, v.named(err)
	}
	return narrow(slopes), nil
}

func wide(values []float32) []float64 {
	out := make([]float64, len(values))
	for i, v := range values {
		out[i] = float64(v)
	}
	return out
}

func narrow(values []float64) []float32 {
	out := make([]float32, len(values))
	for i, v := range values {
		out[i] = float32(v)
	}
	return out
}
