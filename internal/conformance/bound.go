package conformance

import (
	"math"
	"math/rand/v2"

	"vanilla/graph/ir"
	"vanilla/kernels/ref"
)

// What an executor in float32 may differ by from the definition in float64 is derived
// from the program and the numbers it runs on. An operation rounds each result, and
// each term of a sum on the way: a sum of n terms is off by at most n·u·Σ|terms|, u
// being 2⁻²⁴, in whatever order it is summed (Higham, Accuracy and Stability of
// Numerical Algorithms, section 4.2); another function by a few units in the last
// place. What that does to the results further on depends on how well conditioned the
// rest of the program is there: a norm divides by what may be small. So the reference
// runs some times more with errors of that size, drawn at random, in place of each
// rounding. The largest deviation that they cause, times a factor for having drawn only
// some, is the bound. Real roundings are smaller: they grow with √n.
const (
	unit = 0x1p-24
	// arithmeticRoundings and functionRoundings are how often u a result may be off: a
	// division may be a multiplication by an inverse, and functions are off by up to 12.
	arithmeticRoundings = 2
	functionRoundings   = 12
	boundTrials         = 5
	boundFactor         = 4
)

// bounds are how far off results may be.
type bounds struct {
	grads        []float64 // the elements of each parameter's gradient
	loss, output float64
}

// derive runs the reference as it is, which it returns, and with errors. run gives an
// interpreter what it needs and runs it; it multiplies the inputs by what scale
// returns.
func derive(p *ir.Program, run func(in *ref.Interpreter[float64], scale func() float64)) (*ref.Interpreter[float64], bounds) {
	exact := ref.NewInterpreter[float64](p)
	run(exact, func() float64 { return 1 })
	b := bounds{grads: make([]float64, len(p.Params))}
	random := rand.New(rand.NewPCG(1, 2))
	for range boundTrials {
		in := ref.NewInterpreter[float64](p)
		in.Rounding = func(op *ir.Op, out, magnitudes []float64, terms int) {
			n := float64(roundings(op, terms))
			for i := range out {
				out[i] += n * unit * magnitudes[i] * (2*random.Float64() - 1)
			}
		}
		run(in, func() float64 { return 1 + unit*(2*random.Float64()-1) })
		off := func(id ir.ID) float64 {
			most := 0.0
			for i, v := range in.Values[id] {
				most = math.Max(most, math.Abs(v-exact.Values[id][i]))
			}
			return boundFactor * most
		}
		for i, q := range p.Params {
			if in.Values[q.Grad] != nil {
				b.grads[i] = math.Max(b.grads[i], off(q.Grad))
			}
		}
		b.loss, b.output = math.Max(b.loss, off(p.Loss)), math.Max(b.output, off(p.Output))
	}
	return exact, b
}

// roundings is how many of them an operation's result has.
func roundings(op *ir.Op, terms int) int {
	switch {
	case moves(op.Code) || op.Code == ir.Reduce && op.Fn == ir.FnMax:
		return 0
	case terms > 1:
		return terms
	case op.Code == ir.Map:
		switch op.Fn {
		case ir.FnNeg, ir.FnAbs, ir.FnSign, ir.FnCeil, ir.FnFloor, ir.FnMax, ir.FnMin, ir.FnGt, ir.FnGe, ir.FnLt, ir.FnLe, ir.FnEq, ir.FnNe:
			return 0
		case ir.FnMul, ir.FnDiv, ir.FnSquare, ir.FnCube, ir.FnInv, ir.FnSqrt:
			return arithmeticRoundings
		}
		return functionRoundings
	case op.Code == ir.Const:
		return 1
	}
	return functionRoundings
}

// moves reports whether an operation's results are elements of its operands.
func moves(c ir.Code) bool {
	switch c {
	case ir.Reshape, ir.Transpose, ir.Repeat, ir.Slice, ir.Unslice, ir.Concat, ir.Im2Col, ir.MaxPool, ir.Random:
		return true
	}
	return false
}
