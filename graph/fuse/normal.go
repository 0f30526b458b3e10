package fuse

import (
	"fmt"
	"slices"

	"vanilla/graph/ir"
)

// normal holds the normal form of every value of a program at one batch size.
type normal struct {
	algebra
	p     *ir.Program
	batch int
	form  []form
	by    map[ir.ID]int // the operation that computes a value
	// limit is how many terms a form may have before its value becomes an atom, zero
	// for any number.
	limit      int
	fromTarget []bool
	// done is how many operations have their forms.
	done int
	// values and slopes are what has been computed of activations.
	values, slopes map[curve]form
	samples        map[ir.ID]sample
	slopeSamples   map[curve]sample
}

// newNormal has the forms of what is given.
func newNormal(p *ir.Program, batch int) *normal {
	n := &normal{algebra: algebra{byKey: map[string]int{}}, p: p, batch: batch, form: make([]form, len(p.Values)), by: map[ir.ID]int{},
		values: map[curve]form{}, slopes: map[curve]form{}, samples: map[ir.ID]sample{}, slopeSamples: map[curve]sample{}}
	given := func(id ir.ID) { n.form[id] = n.algebra.input(fmt.Sprintf("in%d", id), n.shape(id)) }
	given(p.Input)
	given(p.Target)
	for _, q := range p.Params {
		given(q.Value)
	}
	if m, _ := only(n.form[p.Target]); len(m.factors[0].axes) == 2 {
		n.atoms[m.factors[0].atom].oneHot = true
	}
	n.fromTarget = make([]bool, len(p.Values))
	n.fromTarget[p.Target] = true
	return n
}

// normalize computes the normal forms of the first operations, as far as they are
// not known. A layer's weighted sums are atoms of their own, so that forms stay short
// however deep the network is; gradients are not, which is why they can be compared
// with derived ones.
func (n *normal) normalize(ops int) {
	for ; n.done < ops; n.done++ {
		op := &n.p.Ops[n.done]
		n.by[op.Out] = n.done
		n.fromTarget[op.Out] = slices.ContainsFunc(op.Args, func(a ir.ID) bool { return n.fromTarget[a] })
		if _, isLayer := n.layer(op.Out); isLayer && !n.fromTarget[op.Out] {
			n.form[op.Out] = n.input(fmt.Sprintf("z%d", op.Out), n.shape(op.Out))
			continue
		}
		f := n.operation(op)
		if f == nil || n.limit > 0 && len(f) > n.limit {
			f = n.input(fmt.Sprintf("op%d", op.Out), n.shape(op.Out))
		}
		n.form[op.Out] = f
	}
}

func (n *normal) shape(id ir.ID) []int { return n.p.Values[id].Shape.At(n.batch) }

// operation is the form of an operation's result, nil if it has none.
func (n *normal) operation(op *ir.Op) form {
	in := func(k int) form { return n.form[op.Args[k]] }
	switch op.Code {
	case ir.Const:
		if op.Data == nil {
			return number(op.Value.At(n.batch))
		}
		if slices.Min(op.Data) == slices.Max(op.Data) {
			return number(op.Data[0])
		}
	case ir.Map:
		if len(op.Args) == 1 {
			return n.apply(op.Fn, in(0))
		}
		return n.combine(op.Fn, in(0), in(1))
	case ir.Reshape:
		return n.reshape(op)
	case ir.Repeat:
		return in(0)
	case ir.Transpose:
		return rename(in(0), func(x int) int { return slices.Index(op.Axes, x) })
	case ir.Reduce:
		f := in(0)
		for _, axis := range slices.Backward(slices.Sorted(slices.Values(op.Axes))) { // columns first
			if op.Fn == ir.FnSum {
				f = n.total(f, axis, n.shape(op.Args[0])[axis])
			} else {
				f = n.largest(f, axis)
			}
		}
		return f
	case ir.MatMul:
		if len(n.shape(op.Out)) != 2 {
			return nil
		}
		swap := func(x int) int { return 1 - x }
		x, y, inner := in(0), in(1), n.shape(op.Args[0])[1]
		if op.TransA {
			x, inner = rename(x, swap), n.shape(op.Args[0])[0]
		}
		if !op.TransB {
			y = rename(y, swap)
		}
		return n.product(x, y, inner)
	}
	return nil
}

// reshape keeps a form where axes of extent one come or go, and nothing else. One
// whose extents depend on the batch size is not of extent one.
func (n *normal) reshape(op *ir.Op) form {
	lasting := func(id ir.ID) (axes []int, extents []ir.Extent) {
		for k, e := range n.p.Values[id].Shape.Extents() {
			if e != ir.Fixed(1) {
				axes, extents = append(axes, k), append(extents, e)
			}
		}
		return axes, extents
	}
	from, before := lasting(op.Args[0])
	to, after := lasting(op.Out)
	if !slices.Equal(before, after) {
		return nil
	}
	return rename(n.form[op.Args[0]], func(x int) int {
		if k := slices.Index(from, x); k >= 0 {
			return to[k]
		}
		return x
	})
}

// layer is a dense layer in a program of tensor operations.
type layer struct {
	in, weight ir.ID
	bias       ir.ID // none without
}

const none ir.ID = -1

func (n *normal) param(id ir.ID) bool {
	return slices.ContainsFunc(n.p.Params, func(q ir.Param) bool { return q.Value == id })
}

func (n *normal) producer(id ir.ID) *ir.Op {
	if i, ok := n.by[id]; ok {
		return &n.p.Ops[i]
	}
	return nil
}

// layer recognises a·wᵀ with a parameter w [out, in], and that with a parameter
// repeated over the examples added.
func (n *normal) layer(id ir.ID) (layer, bool) {
	op := n.producer(id)
	if op == nil {
		return layer{}, false
	}
	perExample := func(id ir.ID) bool { s := n.p.Values[id].Shape; return s.Matrix() && s.Rows == ir.Batch }
	switch {
	case op.Code == ir.MatMul && !op.TransA && op.TransB && perExample(op.Out) && perExample(op.Args[0]) && n.param(op.Args[1]):
		return layer{op.Args[0], op.Args[1], none}, true
	case op.Code == ir.Map && op.Fn == ir.FnAdd:
		for k, a := range op.Args {
			l, ok := n.layer(a)
			if !ok || l.bias != none || n.p.Values[a].Shape != n.p.Values[op.Out].Shape {
				continue
			}
			b := op.Args[1-k]
			if r := n.producer(b); r != nil && r.Code == ir.Repeat && r.Axes[0] == 0 {
				b = r.Args[0]
			}
			if bias := (ir.Shape{Rows: 1, Cols: n.p.Values[op.Out].Shape.Cols}); n.param(b) && n.p.Values[b].Shape == bias {
				l.bias = b
				return l, true
			}
		}
	}
	return layer{}, false
}
