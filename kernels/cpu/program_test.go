package cpu

import (
	"fmt"
	"testing"

	"vanilla/graph/ir"
)

// builder writes programs by hand: forward operations one by one, gradients by
// reverse accumulation in gradients.
type builder struct {
	p         *ir.Program
	penalties map[ir.ID]float64 // by parameter
}

// newBuilder starts a program with x [B, features] and y [B, classes].
func newBuilder(features, classes int) *builder {
	b := &builder{p: &ir.Program{Name: "test"}, penalties: map[ir.ID]float64{}}
	b.p.Input = b.value("x", ir.Batch, features)
	b.p.Target = b.value("y", ir.Batch, classes)
	return b
}

func (b *builder) value(name string, rows, cols int) ir.ID {
	id := ir.ID(len(b.p.Values))
	b.p.Values = append(b.p.Values, ir.Value{Name: fmt.Sprintf("%s%d", name, id), Shape: ir.Shape{Rows: rows, Cols: cols}})
	return id
}

func (b *builder) op(code ir.Code, name string, shape ir.Shape, f ir.Activation, scale float64, args ...ir.ID) ir.ID {
	out := b.value(name, shape.Rows, shape.Cols)
	b.p.Ops = append(b.p.Ops, ir.Op{Code: code, Out: out, Args: args, Act: f, Scale: scale})
	return out
}

func (b *builder) shape(id ir.ID) ir.Shape { return b.p.Value(id).Shape }

func (b *builder) weight(units, inputs int) ir.ID {
	w := b.value("W", units, inputs)
	b.p.Params = append(b.p.Params, ir.Param{Value: w})
	return w
}

func (b *builder) bias(units int) ir.ID {
	id := b.value("b", 1, units)
	b.p.Params = append(b.p.Params, ir.Param{Value: id, Bias: true})
	return id
}

// layer is a dense layer with new parameters.
func (b *builder) layer(a ir.ID, units int) ir.ID {
	return b.dense(a, b.weight(units, b.shape(a).Cols), b.bias(units))
}

func (b *builder) dense(args ...ir.ID) ir.ID {
	return b.op(ir.Dense, "z", ir.Shape{Rows: ir.Batch, Cols: b.shape(args[1]).Rows}, 0, 0, args...)
}

func (b *builder) act(f ir.Activation, z ir.ID) ir.ID { return b.op(ir.Act, "h", b.shape(z), f, 0, z) }

func (b *builder) add(a, c ir.ID, s float64) ir.ID { return b.op(ir.Add, "s", b.shape(a), 0, s, a, c) }

// loss ends the forward part: code is Xent or Quad of the output. Penalties
// are added to it in the order of the parameters.
func (b *builder) loss(code ir.Code, output ir.ID, scale float64) {
	b.p.Output = output
	b.p.Loss = b.op(code, "l", ir.Shape{Rows: 1, Cols: 1}, 0, scale, output, b.p.Target)
	for _, q := range b.p.Params {
		if s := b.penalties[q.Value]; s != 0 {
			b.p.Loss = b.op(ir.L2, "l", ir.Shape{Rows: 1, Cols: 1}, 0, s, b.p.Loss, q.Value)
		}
	}
	b.p.Forward = len(b.p.Ops)
}

// program appends the gradients and verifies.
func (b *builder) program(t testing.TB) *ir.Program {
	t.Helper()
	trained := map[ir.ID]bool{} // what depends on a parameter
	for _, q := range b.p.Params {
		trained[q.Value] = true
	}
	for _, op := range b.p.Ops {
		for _, a := range op.Args {
			trained[op.Out] = trained[op.Out] || trained[a]
		}
	}
	grad := map[ir.ID]ir.ID{}
	accumulate := func(id, g ir.ID) {
		if old, ok := grad[id]; ok {
			g = b.add(old, g, 1)
		}
		grad[id] = g
	}
	for i := b.p.Forward - 1; i >= 0; i-- {
		op := b.p.Ops[i]
		g := grad[op.Out]
		arg := func(k int) ir.ID { return op.Args[k] }
		switch op.Code {
		case ir.Xent:
			accumulate(arg(0), b.op(ir.DXent, "dz", b.shape(arg(0)), 0, op.Scale, op.Args...))
		case ir.Quad:
			accumulate(arg(0), b.op(ir.DQuad, "da", b.shape(arg(0)), 0, op.Scale, op.Args...))
		case ir.Dense:
			accumulate(arg(1), b.op(ir.DWeight, "dW", b.shape(arg(1)), 0, 0, g, arg(0)))
			if len(op.Args) == 3 {
				accumulate(arg(2), b.op(ir.DBias, "db", b.shape(arg(2)), 0, 0, g))
			}
			if trained[arg(0)] {
				accumulate(arg(0), b.op(ir.DInput, "dh", b.shape(arg(0)), 0, 0, g, arg(1)))
			}
		case ir.Act:
			if trained[arg(0)] {
				accumulate(arg(0), b.op(ir.DAct, "dz", b.shape(arg(0)), op.Act, 0, g, arg(0)))
			}
		case ir.Add:
			if trained[arg(0)] {
				accumulate(arg(0), g)
			}
			if trained[arg(1)] {
				if op.Scale != 1 { // g + (s−1)·g
					g = b.add(g, g, op.Scale-1)
				}
				accumulate(arg(1), g)
			}
		}
	}
	for i := range b.p.Params {
		q := &b.p.Params[i]
		q.Grad = grad[q.Value]
		if s := b.penalties[q.Value]; s != 0 {
			q.Grad = b.add(q.Grad, q.Value, s)
		}
	}
	if err := b.p.Verify(); err != nil {
		t.Fatalf("%v\n%v", err, b.p)
	}
	return b.p
}

// chain is layers of the given widths, activations between them, and for Quad
// after the last.
func chain(t testing.TB, f ir.Activation, code ir.Code, widths ...int) *ir.Program {
	b := newBuilder(widths[0], widths[len(widths)-1])
	a := b.p.Input
	for i, n := range widths[1:] {
		a = b.layer(a, n)
		if i < len(widths)-2 || code == ir.Quad {
			a = b.act(f, a)
		}
	}
	b.loss(code, a, 1)
	return b.program(t)
}

// skip adds a layer's output to the next one's, whose widths are equal, and x
// to both.
func skip(t testing.TB, f ir.Activation, features, classes int) *ir.Program {
	b := newBuilder(features, classes)
	x := b.p.Input
	h1 := b.add(b.act(f, b.layer(x, features)), x, 0.5)
	h2 := b.add(b.act(f, b.layer(h1, features)), h1, 0.25)
	h3 := b.add(x, b.act(f, b.layer(h2, features)), 1)
	b.loss(ir.Xent, b.layer(h3, classes), 1)
	return b.program(t)
}

// penalised has decay in its loss, and a layer without bias.
func penalised(t testing.TB, features, units, classes int) *ir.Program {
	b := newBuilder(features, classes)
	w1, w2 := b.weight(units, features), b.weight(classes, units)
	b.penalties[w1], b.penalties[w2] = 0.01, 0.02
	b.loss(ir.Xent, b.dense(b.act(ir.Tanh, b.dense(b.p.Input, w1)), w2, b.bias(classes)), 0.5)
	return b.program(t)
}

// shared uses one square weight matrix on x and on the layer that follows.
func shared(t testing.TB, features, classes int) *ir.Program {
	b := newBuilder(features, classes)
	w, c := b.weight(features, features), b.bias(features)
	h := b.act(ir.Sigmoid, b.dense(b.p.Input, w, c))
	h = b.act(ir.Sigmoid, b.dense(h, w, c))
	b.loss(ir.Xent, b.layer(h, classes), 1)
	return b.program(t)
}

// both uses one parameter of one row as a bias and as weights: of x if first,
// else of the layer that it is the bias of.
func both(t testing.TB, features int, first bool) *ir.Program {
	b := newBuilder(features, features)
	x, w, v := b.p.Input, b.weight(features, features), b.weight(1, features)
	h := b.act(ir.Tanh, b.dense(x, w, v))
	in := h
	if first {
		in = x
	}
	b.loss(ir.Xent, b.add(h, b.layer(b.dense(in, v), features), 1), 1)
	return b.program(t)
}

// twoHeads reads x by two layers, one sum by two activations, and multiplies
// with a sum of parameters.
func twoHeads(t testing.TB, features, units, classes int) *ir.Program {
	b := newBuilder(features, classes)
	z := b.layer(b.p.Input, units)
	h := b.add(b.act(ir.Sigmoid, z), b.act(ir.Tanh, z), -1)
	h = b.add(h, b.layer(b.act(ir.Softplus, b.p.Input), units), 1)
	w, v := b.weight(units, features), b.weight(units, features)
	h = b.add(h, b.dense(b.p.Input, b.add(w, v, 0.5), b.bias(units)), 1)
	b.loss(ir.Quad, b.layer(h, classes), 1)
	return b.program(t)
}
