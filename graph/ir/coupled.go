package ir

import "slices"

// Coupled reports whether an example's output may depend on the other examples of
// its batch, as batch norm's does. Then an evaluation depends on how the examples
// are divided. It follows the axis along which the examples lie; in doubt it says
// true.
func (p *Program) Coupled() bool {
	axis := make([]int, len(p.Values))
	for i := range axis {
		axis[i] = noAxis
	}
	axis[p.Input], axis[p.Target] = 0, 0
	for i := range p.Ops[:p.Forward] {
		op := &p.Ops[i]
		axis[op.Out] = exampleAxis(p, op, func(k int) int { return axis[op.Args[k]] })
	}
	return axis[p.Output] != 0
}

const (
	noAxis = -1 // no example has to do with the value
	mixed  = -2 // examples depend on each other
)

// exampleAxis is the axis of an operation's result along which examples lie.
func exampleAxis(p *Program, op *Op, in func(k int) int) int {
	shape := func(id ID) []Extent { return p.Value(id).Shape.Extents() }
	for k := range op.Args {
		if in(k) == mixed {
			return mixed
		}
	}
	switch op.Code {
	case Const, Random:
		// A random value or a table with a row per example belongs to the example's
		// place in the batch: in evaluation, random values are their mean.
		return noAxis
	case Map, Concat, Act, Add:
		at := noAxis
		for k := range op.Args {
			switch x := in(k); {
			case x == noAxis:
			case at == noAxis || at == x:
				at = x
			default:
				return mixed
			}
		}
		if op.Code == Concat && at == op.Axes[0] {
			return mixed
		}
		return at
	case Dense:
		if in(1) != noAxis || len(op.Args) == 3 && in(2) != noAxis {
			return mixed
		}
		return in(0)
	case MatMul:
		r := len(shape(op.Out)) - 2
		turned := func(x int, t bool) int {
			if t && x >= r {
				return 2*r + 1 - x
			}
			return x
		}
		a, b := turned(in(0), op.TransA), turned(in(1), op.TransB)
		switch {
		case a == noAxis && b == noAxis:
			return noAxis
		case a == b && a < r, b == noAxis && a <= r:
			return a
		case a == noAxis && (b < r || b == r+1):
			return b
		}
		return mixed
	case Reshape:
		x := in(0)
		if x == noAxis {
			return x
		}
		from, to := shape(op.Args[0]), shape(op.Out)
		// Examples stay whole where they lie along the first axis, before and after.
		if x != 0 || len(to) == 0 || to[0].Fixed != 0 || from[0].Fixed != 0 || to[0].PerBatch == 0 {
			return mixed
		}
		return 0
	case Transpose:
		return slices.Index(op.Axes, in(0))
	case Reduce, Slice, Unslice, Repeat:
		if x := in(0); x != noAxis && slices.Contains(op.Axes, x) {
			return mixed
		}
		return in(0)
	case Im2Col, Col2Im, MaxPool:
		if in(0) > 0 {
			return mixed
		}
		return in(0)
	case MaxPoolGrad:
		if in(0) == in(1) && in(0) <= 0 {
			return in(0)
		}
	}
	return mixed
}
