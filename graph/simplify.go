package graph

import (
	"fmt"
	"slices"

	"vanilla/graph/ir"
)

// simplify removes what computes nothing: numbers known beforehand, multiplications
// by one, views of views, what is computed twice, and what nothing reads. No
// result changes by a bit but where constants are combined.
func simplify(p *ir.Program, batches []int) {
	s := &simplifier{p: p, batches: batches, alias: map[ir.ID]ir.ID{}, by: map[ir.ID]int{}, seen: map[string]ir.ID{}}
	readers := map[ir.ID]int{}
	for _, op := range p.Ops {
		for _, a := range op.Args {
			readers[a]++
		}
	}
	s.readers = readers
	ops := p.Ops
	p.Ops = nil
	for i := range ops {
		s.op(ops[i])
	}
	p.Output, p.Loss = s.find(p.Output), s.find(p.Loss)
	for i := range p.Params {
		p.Params[i].Grad = s.find(p.Params[i].Grad)
	}
	p.Prune()
}

type simplifier struct {
	p       *ir.Program
	batches []int
	alias   map[ir.ID]ir.ID
	by      map[ir.ID]int // the operation that computes a value
	readers map[ir.ID]int
	seen    map[string]ir.ID
}

func (s *simplifier) find(id ir.ID) ir.ID {
	for {
		to, ok := s.alias[id]
		if !ok {
			return id
		}
		id = to
	}
}

func (s *simplifier) shape(id ir.ID) ir.Shape { return s.p.Values[id].Shape }

// producer is the operation that computes a value, nil for what is given.
func (s *simplifier) producer(id ir.ID) *ir.Op {
	if i, ok := s.by[id]; ok {
		return &s.p.Ops[i]
	}
	return nil
}

func (s *simplifier) is(id ir.ID, c ir.Code) *ir.Op {
	if op := s.producer(id); op != nil && op.Code == c {
		return op
	}
	return nil
}

// number is the constant that every element of a value is.
func (s *simplifier) number(id ir.ID) (ir.Number, bool) {
	for {
		op := s.producer(id)
		switch {
		case op == nil:
			return ir.Number{}, false
		case op.Code == ir.Const && op.Data == nil:
			return op.Value, true
		case op.Code == ir.Reshape || op.Code == ir.Repeat:
			id = op.Args[0]
		default:
			return ir.Number{}, false
		}
	}
}

// scalar is a number as a value of one element, a itself if it is one.
func (s *simplifier) scalar(a ir.ID, n ir.Number) ir.ID {
	op := s.producer(a)
	if op.Code == ir.Const && s.single(a) {
		return a
	}
	shape := ir.Tensor()
	key := keyOf(ir.Op{Code: ir.Const, Value: n}, shape)
	if first, ok := s.seen[key]; ok {
		return first
	}
	s.p.Values = append(s.p.Values, ir.Value{Name: fmt.Sprintf("number%d", len(s.p.Values)), Shape: shape})
	id := ir.ID(len(s.p.Values) - 1)
	s.emit(ir.Op{Code: ir.Const, Value: n, Out: id, Nodes: slices.Clone(op.Nodes)}, key)
	return id
}

// keyOf tells operations apart by what they compute.
func keyOf(op ir.Op, shape ir.Shape) string {
	return fmt.Sprint(op.Code, op.Fn, op.Args, op.Axes, op.Ints, op.TransA, op.TransB, op.Value, op.Data, shape)
}

func (s *simplifier) emit(op ir.Op, key string) {
	if key != "" {
		s.seen[key] = op.Out
	}
	s.by[op.Out] = len(s.p.Ops)
	s.p.Ops = append(s.p.Ops, op)
}

// single reports whether a value has one element whatever the batch.
func (s *simplifier) single(id ir.ID) bool {
	for _, e := range s.shape(id).Extents() {
		if e != ir.Fixed(1) {
			return false
		}
	}
	return true
}

// same makes an operation's result another value.
func (s *simplifier) same(op ir.Op, as ir.ID) {
	s.alias[op.Out] = as
	if to := s.producer(as); to != nil {
		to.Nodes = merged(to.Nodes, op.Nodes)
	}
}

// merged are two ascending lists as one.
func merged(a, b []int64) []int64 {
	all := append(slices.Clone(a), b...)
	slices.Sort(all)
	return slices.Compact(all)
}

func (s *simplifier) op(op ir.Op) {
	op.Args = slices.Clone(op.Args)
	for i := range op.Args {
		op.Args[i] = s.find(op.Args[i])
	}
	var in *ir.Op
	if len(op.Args) > 0 {
		in = s.producer(op.Args[0])
	}
	switch op.Code {
	case ir.Reshape:
		if in != nil && in.Code == ir.Reshape {
			op.Args[0] = in.Args[0]
			op.Nodes = merged(op.Nodes, in.Nodes)
		}
	case ir.Slice, ir.Unslice: // of all there is
		if axis := op.Axes[0]; s.shape(op.Out) == s.shape(op.Args[0]) && op.Ints[0] == ir.Fixed(0) && op.Ints[1] == s.shape(op.Out).Extents()[axis] {
			s.same(op, op.Args[0])
			return
		}
	case ir.Transpose:
		if in != nil && in.Code == ir.Transpose {
			axes := make([]int, len(op.Axes))
			for k, x := range op.Axes {
				axes[k] = in.Axes[x]
			}
			op.Axes, op.Args[0] = axes, in.Args[0]
			op.Nodes = merged(op.Nodes, in.Nodes)
		}
		if slices.IsSorted(op.Axes) {
			s.same(op, op.Args[0])
			return
		}
		// (a·b)ᵀ = bᵀ·aᵀ
		if in := s.is(op.Args[0], ir.MatMul); in != nil && slices.Equal(op.Axes, []int{1, 0}) && s.readers[in.Out] <= 1 {
			op = ir.Op{Code: ir.MatMul, Out: op.Out, Args: []ir.ID{in.Args[1], in.Args[0]}, TransA: !in.TransB, TransB: !in.TransA,
				Nodes: merged(op.Nodes, in.Nodes)}
		}
	case ir.MatMul:
		flip := func(k int, trans *bool) {
			if t := s.is(op.Args[k], ir.Transpose); t != nil && swapsLast(t.Axes) {
				op.Args[k], *trans = t.Args[0], !*trans
				op.Nodes = merged(op.Nodes, t.Nodes)
			}
		}
		flip(0, &op.TransA)
		flip(1, &op.TransB)
	case ir.Reduce:
		extents := s.shape(op.Args[0]).Extents()
		if !slices.ContainsFunc(op.Axes, func(x int) bool { return extents[x] != ir.Fixed(1) }) {
			s.same(op, op.Args[0])
			return
		}
	case ir.Map:
		if s.fold(&op) {
			break
		}
		for i, a := range op.Args {
			if n, ok := s.number(a); ok {
				op.Args[i] = s.scalar(a, n)
				continue
			}
			for v := s.producer(a); v != nil && (v.Code == ir.Reshape || v.Code == ir.Repeat) && s.single(v.Args[0]); v = s.producer(a) {
				a = v.Args[0]
			}
			op.Args[i] = a
		}
		if a, ok := s.neutral(op); ok {
			s.same(op, a)
			return
		}
	}
	if op.Code == ir.Reshape && s.shape(op.Out) == s.shape(op.Args[0]) {
		s.same(op, op.Args[0])
		return
	}
	key := ""
	if op.Code != ir.Random {
		key = keyOf(op, s.shape(op.Out))
		if first, ok := s.seen[key]; ok {
			s.same(op, first)
			return
		}
	}
	s.emit(op, key)
}

// swapsLast reports whether axes exchange the last two and nothing else.
func swapsLast(axes []int) bool {
	n := len(axes)
	if n < 2 || axes[n-1] != n-2 || axes[n-2] != n-1 {
		return false
	}
	return slices.IsSorted(axes[:n-2]) && (n == 2 || axes[n-3] == n-3)
}

// fold computes a Map of numbers.
func (s *simplifier) fold(op *ir.Op) bool {
	var in []ir.Number
	for _, a := range op.Args {
		n, ok := s.number(a)
		if !ok {
			return false
		}
		in = append(in, n)
	}
	values := make([]float64, len(s.batches))
	for k, b := range s.batches {
		if len(in) == 1 {
			values[k] = op.Fn.Unary()(in[0].At(b))
		} else {
			values[k] = op.Fn.Binary()(in[0].At(b), in[1].At(b))
		}
	}
	n, ok := fit(s.batches, values)
	if !ok {
		return false
	}
	*op = ir.Op{Code: ir.Const, Out: op.Out, Value: n, Nodes: op.Nodes}
	return true
}

// neutral finds the operand that a Map leaves as it is.
func (s *simplifier) neutral(op ir.Op) (ir.ID, bool) {
	if len(op.Args) != 2 {
		return 0, false
	}
	is := func(k int, want float64) bool {
		n, ok := s.number(op.Args[k])
		return ok && n == ir.Number{Fixed: want} && s.shape(op.Args[1-k]) == s.shape(op.Out)
	}
	switch {
	case op.Fn == ir.FnMul && is(0, 1), op.Fn == ir.FnAdd && is(0, 0):
		return op.Args[1], true
	case (op.Fn == ir.FnMul || op.Fn == ir.FnDiv) && is(1, 1), (op.Fn == ir.FnAdd || op.Fn == ir.FnSub) && is(1, 0):
		return op.Args[0], true
	}
	return 0, false
}
