package infer

import (
	"context"
	"fmt"
	"slices"

	"vanilla/graph/ir"
	"vanilla/kernels/ref"
	"vanilla/model"
)

// View is a network as figures see it: it is a viz.Network. Many images at once
// run on the executor; single ones, and slopes along their pixels, in float64 on
// the reference.
//
// Layers are the dense layers of a graph, in its order, as an evaluation has them:
// without dropout. What leaves a layer's units is its activation, or what of their
// size the next layer reads, as after a norm, or their sums.
type View struct {
	network *Network
	name    string
	program *ir.Program // of an evaluation
	layers  []model.Layer
	sources []int
	z, a    []ir.ID // what enters and what leaves each layer's units, and last the outputs
}

// View is the network under a name. It fails if examples depend on each other
// (ir.Program.Coupled).
func (n *Network) View(name string) (*View, error) {
	if n.program.Coupled() {
		return nil, fmt.Errorf("%s: what the network makes of an image depends on the rest of its batch, so it makes nothing certain of one: it can be evaluated, in batches of %d", name, n.batch)
	}
	p := n.program.Evaluation()
	v := &View{network: n, name: name, program: p}
	param := map[ir.ID][]float32{}
	for i, q := range p.Params {
		param[q.Value] = n.params[i]
	}
	for _, op := range p.DenseLayers() {
		shape := p.Value(op.Args[1]).Shape
		l := model.Layer{In: shape.Cols, Out: shape.Rows, Weight: param[op.Args[1]], Bias: make([]float32, shape.Rows)}
		if len(op.Args) == 3 {
			l.Bias = param[op.Args[2]]
		}
		source := model.ReadsOther
		if op.Args[0] == p.Input {
			source = model.ReadsInputs
		} else if k := slices.Index(v.a, op.Args[0]); k >= 0 {
			source = k
		}
		v.layers, v.sources = append(v.layers, l), append(v.sources, source)
		v.z, v.a = append(v.z, op.Out), append(v.a, leaving(p, op.Out))
	}
	logits := logits(p)
	if last := len(v.z) - 1; last < 0 || v.z[last] != logits {
		v.z, v.a = append(v.z, logits), append(v.a, p.Output)
	}
	return v, nil
}

// leaving is what leaves the units whose sums are z: their activation, or the first
// value of their size that follows from them and that a layer reads, or z.
func leaving(p *ir.Program, z ir.ID) ir.ID {
	shape := p.Value(z).Shape
	follows := map[ir.ID]bool{z: true}
	read := map[ir.ID]bool{}
	for _, op := range p.Ops {
		switch op.Code {
		case ir.Act:
			if op.Args[0] == z {
				return op.Out
			}
		case ir.Dense:
			read[op.Args[0]] = true
			continue
		}
		if slices.ContainsFunc(op.Args, func(a ir.ID) bool { return follows[a] }) {
			follows[op.Out] = true
		}
	}
	for _, op := range p.Ops {
		if follows[op.Out] && read[op.Out] && p.Value(op.Out).Shape == shape {
			return op.Out
		}
	}
	return z
}

// logits is what the probabilities are the softmax or the sigmoids of.
func logits(p *ir.Program) ir.ID {
	for _, op := range p.Ops {
		if op.Out == p.Output && (op.Code == ir.Act || op.Code == ir.Map && op.Fn == ir.FnSigmoid) {
			return op.Args[0]
		}
	}
	return p.Output
}

// Name is what figures call the network.
func (v *View) Name() string { return v.name }

// ClassNames are what its outputs are called, nil if by their numbers.
func (v *View) ClassNames() []string { return v.network.names }

// Arch says what the network is: its widths, or the program's name.
func (v *View) Arch() string { return v.network.arch }

// Inputs is the number of pixels that the network sees, Classes that of its
// outputs.
func (v *View) Inputs() int  { return v.network.Inputs() }
func (v *View) Classes() int { return v.network.Classes() }

// Layers are the network's dense layers, which may be none. Weights and biases are
// not copies. Sources are what each reads, see model.ReadsInputs.
func (v *View) Layers() []model.Layer { return v.layers }
func (v *View) Sources() []int        { return v.sources }

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
	in.Forward(wide(x), []byte{0}) // any label: outputs do not depend on it
	return in, nil
}

// Activate runs one image x [inputs], from 0 to 1, and returns what enters each
// layer's units and what leaves them. The last are the outputs' and the
// probabilities, of a layer of their own if the last dense layer does not give them.
func (v *View) Activate(ctx context.Context, x []float32) (z, a [][]float32, err error) {
	in, err := v.forward(ctx, v.program, x)
	if err != nil {
		return nil, nil, err
	}
	for k := range v.z {
		z, a = append(z, narrow(in.Values[v.z[k]])), append(a, narrow(in.Values[v.a[k]]))
	}
	last := in.Values[v.program.Output]
	if v.Softmax() {
		softmax(last)
	}
	a[len(a)-1] = narrow(last)
	return z, a, nil
}

// InputGradient is the gradient in x of Σ dz ⊙ z, where z is what the probabilities
// are the softmax or the sigmoids of: dz [classes] in, [inputs] out.
func (v *View) InputGradient(ctx context.Context, x, dz []float32) ([]float32, error) {
	p := *v.program
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
