package fuse

import (
	"math"
	"slices"

	"vanilla/graph/ir"
)

// Parts is for programs that are no network of layers as a whole: it returns p
// with those operations as layer operations that are one by themselves, whatever
// is around them. Products with parameters, their gradients and activations are so
// by structure; the loss, its gradient in the output, and other activations by
// their normal forms at two batch sizes.
// p must verify; it is not changed.
func Parts(p *ir.Program) *ir.Program {
	q := *p
	q.Values, q.Params, q.Ops = slices.Clone(p.Values), slices.Clone(p.Params), slices.Clone(p.Ops)
	n, m := newNormal(p, batches[0]), newNormal(p, batches[1])
	for _, n := range []*normal{n, m} {
		n.limit = partLimit
		n.normalize(len(p.Ops))
	}
	loss, gradient := n.parts(m)
	var acts []ir.Op
	for i := range q.Ops {
		op := &q.Ops[i]
		part, ok := n.part(op, i >= p.Forward)
		if !ok && op.Code == ir.Map {
			if part, ok = n.activationPart(op, i >= p.Forward, acts); ok {
				again, still := m.activationPart(op, i >= p.Forward, acts)
				ok = still && part.Code == again.Code && part.Act == again.Act && slices.Equal(part.Args, again.Args)
			}
		}
		if ok && part.Code == ir.Act {
			part.Out = op.Out
			acts = append(acts, part)
		}
		switch {
		case op.Out == p.Loss && loss != nil:
			part, ok = *loss, true
		case gradient != nil && gradient.Out == op.Out:
			part, ok = *gradient, true
		}
		if ok {
			part.Out, part.Nodes = op.Out, op.Nodes
			*op = part
		}
	}
	q.Prune()
	if q.Verify() != nil { // it was p that was asked about
		return p
	}
	return &q
}

// partLimit is how many terms a value may have to be more than an atom here: none of
// what is looked for is longer, but a few slopes of sums of sums.
const partLimit = 100

// part is the layer operation that a tensor operation is.
func (n *normal) part(op *ir.Op, backward bool) (ir.Op, bool) {
	shape := func(id ir.ID) ir.Shape { return n.p.Values[id].Shape }
	perExample := func(id ir.ID) bool { s := shape(id); return s.Matrix() && s.Rows == ir.Batch && id != n.p.Target }
	if l, ok := n.layer(op.Out); ok && perExample(l.in) {
		args := []ir.ID{l.in, l.weight}
		if l.bias != none {
			args = append(args, l.bias)
		}
		return ir.Op{Code: ir.Dense, Args: args}, true
	}
	switch {
	case op.Code == ir.Map && len(op.Args) == 1 && perExample(op.Out) && perExample(op.Args[0]):
		for f, act := range map[ir.Fn]ir.Activation{ir.FnTanh: ir.Tanh, ir.FnSigmoid: ir.Sigmoid, ir.FnSoftplus: ir.Softplus} {
			if op.Fn == f {
				return ir.Op{Code: ir.Act, Act: act, Args: op.Args}, true
			}
		}
	case !backward:
	case op.Code == ir.MatMul && !op.TransB && perExample(op.Args[0]):
		switch {
		case op.TransA && perExample(op.Args[1]):
			return ir.Op{Code: ir.DWeight, Args: op.Args}, true
		case !op.TransA && n.param(op.Args[1]) && shape(op.Args[1]).Matrix():
			return ir.Op{Code: ir.DInput, Args: op.Args}, true
		}
	case op.Code == ir.Reduce && op.Fn == ir.FnSum && slices.Equal(op.Axes, []int{0}) && perExample(op.Args[0]):
		return ir.Op{Code: ir.DBias, Args: op.Args}, true
	}
	return ir.Op{}, false
}

// activationPart finds an activation in the forward pass, and in the backward pass
// the slope of one that was found, by normal forms.
func (n *normal) activationPart(op *ir.Op, backward bool, acts []ir.Op) (ir.Op, bool) {
	shape := n.p.Values[op.Out].Shape
	if !shape.Matrix() || shape.Rows != ir.Batch {
		return ir.Op{}, false
	}
	want := n.form[op.Out]
	for _, z := range n.cone(op.Out) {
		if len(n.form[z]) > shortArgument || z == n.p.Target {
			continue
		}
		if !backward {
			for i := range activations {
				if k := &activations[i]; k.act != ir.Identity && n.has(want, k.atom) && equal(n.activated(k.act, z), want) {
					return ir.Op{Code: ir.Act, Act: k.act, Args: []ir.ID{z}}, true
				}
			}
			continue
		}
		for _, a := range acts {
			at := a.Args[0]
			if n.p.Values[at].Shape != shape || z == at || z == a.Out {
				continue
			}
			if n.mayBe(z, curve{a.Act, at}, op.Out) && equal(n.mul(n.form[z], n.slope(a.Act, at)), want) {
				return ir.Op{Code: ir.DAct, Act: a.Act, Args: []ir.ID{z, at}}, true
			}
		}
	}
	return ir.Op{}, false
}

// curve is an activation at a value.
type curve struct {
	act ir.Activation
	at  ir.ID
}

func (c curve) kind() *activation {
	return &activations[slices.IndexFunc(activations, func(k activation) bool { return k.act == c.act })]
}

// activated is the form of an activation of a value, slope that of its slope there.
func (n *normal) activated(act ir.Activation, at ir.ID) form {
	c := curve{act, at}
	if f, ok := n.values[c]; ok {
		return f
	}
	f := c.kind().value(&n.algebra, n.form[at])
	n.values[c] = f
	return f
}

func (n *normal) slope(act ir.Activation, at ir.ID) form {
	c := curve{act, at}
	if f, ok := n.slopes[c]; ok {
		return f
	}
	f := c.kind().slope(&n.algebra, n.form[at])
	n.slopes[c] = f
	return f
}

// mayBe is false if the product of z and a slope is surely not want: where atoms are
// some numbers or other, steps zeros and ones, it has another value. It takes far less
// time than the product, and decides nothing by itself.
func (n *normal) mayBe(z ir.ID, slope curve, want ir.ID) bool {
	value := func(id ir.ID) sample {
		if _, known := n.samples[id]; !known {
			n.samples[id] = n.somewhere(n.form[id])
		}
		return n.samples[id]
	}
	if _, known := n.slopeSamples[slope]; !known {
		n.slopeSamples[slope] = n.somewhere(n.slope(slope.act, slope.at))
	}
	x, y, w := value(z), n.slopeSamples[slope], value(want)
	return !(math.Abs(x.value*y.value-w.value) > 1e-4*(x.size*y.size+w.size)) // nor where there is no number
}

// coneSize bounds how far a search for an activation's argument goes.
const coneSize = 16

// cone lists what a value's element-wise operations are computed from, values of
// its own shape, nearest first.
func (n *normal) cone(id ir.ID) []ir.ID {
	shape := n.p.Values[id].Shape
	var all []ir.ID
	for queue := []ir.ID{id}; len(queue) > 0 && len(all) < coneSize; queue = queue[1:] {
		op := n.producer(queue[0])
		if op == nil || op.Code != ir.Map {
			continue
		}
		if _, isLayer := n.layer(queue[0]); isLayer && queue[0] != id {
			continue
		}
		for _, a := range op.Args {
			if !slices.Contains(all, a) && n.p.Values[a].Shape == shape {
				all, queue = append(all, a), append(queue, a)
			}
		}
	}
	return all
}

// parts finds the loss, if it is one of package ir's, and the operation that
// computes its gradient in the output, if there is one. What holds must hold at
// both batch sizes.
func (n *normal) parts(m *normal) (loss, gradient *ir.Op) {
	first, second := n.heads(), m.heads()
	for k, h := range first {
		s, rest := n.factor(h)
		t, other := m.factor(second[k])
		if s == 0 || !near(s, t) || n.overflow || m.overflow {
			continue
		}
		args := []ir.ID{n.p.Output, n.p.Target}
		if len(rest) == 0 && len(other) == 0 {
			loss = &ir.Op{Code: h.loss, Args: args, Scale: exact(s)}
		}
		want, again := scale(h.d, s), scale(second[k].d, s)
		for i := n.p.Forward; i < len(n.p.Ops); i++ {
			id := n.p.Ops[i].Out
			if n.p.Values[id].Shape == n.p.Values[n.p.Output].Shape && equal(n.form[id], want) && equal(m.form[id], again) {
				return loss, &ir.Op{Code: h.gradient, Args: args, Scale: exact(s), Out: id}
			}
		}
		return loss, nil
	}
	return nil, nil
}
