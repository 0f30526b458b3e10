package fuse

import (
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
	n, m := normalize(p, batches[0]), normalize(p, batches[1])
	loss, gradient := n.parts(m)
	var acts []ir.Op
	for i := range q.Ops {
		op := &q.Ops[i]
		part, ok := n.part(op, i >= p.Forward)
		if !ok && op.Code == ir.Map {
			part, ok = n.activationPart(op, i >= p.Forward, acts)
			again, still := m.activationPart(op, i >= p.Forward, acts)
			ok = ok && still && part.Code == again.Code && part.Act == again.Act && slices.Equal(part.Args, again.Args)
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
				act := &activations[i]
				if act.act != ir.Identity && equal(act.value(&n.algebra, n.form[z]), want) {
					return ir.Op{Code: ir.Act, Act: act.act, Args: []ir.ID{z}}, true
				}
			}
			continue
		}
		for _, a := range acts {
			at := a.Args[0]
			if n.p.Values[at].Shape != shape || z == at || z == a.Out {
				continue
			}
			i := slices.IndexFunc(activations, func(k activation) bool { return k.act == a.Act })
			if equal(n.mul(n.form[z], activations[i].slope(&n.algebra, n.form[at])), want) {
				return ir.Op{Code: ir.DAct, Act: a.Act, Args: []ir.ID{z, at}}, true
			}
		}
	}
	return ir.Op{}, false
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
