package ref

import (
	"math"

	"vanilla/graph/ir"
)

// Rounding is told of each operation's result, element by element, which it may
// change: what the operation's terms come to in magnitude, and how many of them there
// are. It is for bounds of what executors may differ by, which round at other points
// and sum in another order.
type Rounding[T float32 | float64] func(op *ir.Op, out, magnitudes []T, terms int)

// rounded tells in.Rounding of an operation that has run.
func (in *Interpreter[T]) rounded(op *ir.Op) {
	if in.Rounding == nil {
		return
	}
	out := in.Values[op.Out]
	magnitudes, terms := in.magnitudes(op)
	in.Rounding(op, out, magnitudes, terms)
}

// magnitudes is an operation on the magnitudes of its operands where it sums, else
// the magnitude of its result; and how many terms a sum has.
func (in *Interpreter[T]) magnitudes(op *ir.Op) (magnitudes []T, terms int) {
	batch := len(in.labels)
	length := func(id ir.ID) int { return in.p.Value(id).Shape.Len(batch) }
	out := in.Values[op.Out]
	sum := *op
	sum.Scale = math.Abs(op.Scale)
	terms = 1
	switch op.Code {
	case ir.Dense:
		terms = in.p.Value(op.Args[1]).Shape.Cols + 1
	case ir.DInput:
		terms = in.p.Value(op.Args[1]).Shape.Rows
	case ir.DWeight, ir.DBias:
		terms = batch
	case ir.Add:
		terms = 2
	case ir.MatMul:
		shape := in.p.Value(op.Args[0]).Shape.At(batch)
		if terms = shape[len(shape)-1]; op.TransA {
			terms = shape[len(shape)-2]
		}
	case ir.Reduce:
		if op.Fn == ir.FnSum {
			terms = length(op.Args[0]) / max(1, len(out))
		}
	case ir.Col2Im, ir.MaxPoolGrad:
		terms = max(2, length(op.Args[len(op.Args)-1])/max(1, len(out)))
	case ir.Map:
		if op.Fn == ir.FnAdd || op.Fn == ir.FnSub {
			sum.Fn, terms = ir.FnAdd, 2
		}
	}
	if terms == 1 || op.Code == ir.MaxPoolGrad {
		magnitudes = make([]T, len(out))
		for i, v := range out {
			magnitudes[i] = T(math.Abs(float64(v)))
			switch op.Code {
			case ir.DXent, ir.DQuad: // a difference of what is about one
				magnitudes[i] += T(sum.Scale / float64(batch))
			case ir.DAct: // by a slope that may be a difference of what is about one: 1 − h²
				magnitudes[i] += T(math.Abs(float64(in.Values[op.Args[0]][i])))
			}
		}
		return magnitudes, terms
	}
	before := map[ir.ID][]T{}
	for _, a := range op.Args {
		if _, done := before[a]; done {
			continue
		}
		before[a] = in.Values[a]
		positive := make([]T, len(in.Values[a]))
		for i, v := range in.Values[a] {
			positive[i] = T(math.Abs(float64(v)))
		}
		in.Values[a] = positive
	}
	if op.Code.Layer() {
		magnitudes = in.op(&sum)
	} else {
		magnitudes = in.tensor(&sum)
	}
	for a, v := range before {
		in.Values[a] = v
	}
	return magnitudes, terms
}
