package cpu

import (
	"math"

	"vanilla/graph/ir"
)

// mapRoutine is the routine of a Map's function, for slices of whole vectors. An
// empty name copies.
func (m *machine) mapRoutine(f ir.Fn, operands int) func(out []float32, in [][]float32) {
	if operands == 1 {
		one := m.unary(f)
		return func(out []float32, in [][]float32) { one(out, in[0]) }
	}
	two := m.binary(f)
	return func(out []float32, in [][]float32) { two(out, in[0], in[1]) }
}

// unary is the routine of a function of one operand.
func (r *routines) unary(f ir.Fn) func(out, a []float32) {
	switch f {
	case "":
		return func(out, a []float32) { copy(out, a) }
	case ir.FnNeg:
		return func(out, a []float32) {
			for i, v := range a[:len(out)] {
				out[i] = -v
			}
		}
	case ir.FnSquare:
		return func(out, a []float32) { r.binary(ir.FnMul)(out, a, a) }
	case ir.FnSqrt:
		return func(out, a []float32) {
			for i, v := range a[:len(out)] {
				out[i] = float32(math.Sqrt(float64(v)))
			}
		}
	case ir.FnInv:
		return func(out, a []float32) {
			for i, v := range a[:len(out)] {
				out[i] = 1 / v
			}
		}
	case ir.FnAbs:
		return func(out, a []float32) {
			for i, v := range a[:len(out)] {
				out[i] = math.Float32frombits(math.Float32bits(v) &^ (1 << 31))
			}
		}
	case ir.FnCube:
		return func(out, a []float32) {
			for i, v := range a[:len(out)] {
				out[i] = v * v * v
			}
		}
	case ir.FnExp:
		return func(out, a []float32) {
			for i, v := range a[:len(out)] {
				out[i] = exp32(v)
			}
		}
	case ir.FnTanh:
		return r.tanh
	case ir.FnSigmoid:
		return r.sigmoid
	case ir.FnSoftplus:
		return r.softplus
	}
	g := f.Unary()
	return func(out, a []float32) {
		for i, v := range a[:len(out)] {
			out[i] = float32(g(float64(v)))
		}
	}
}

// binary is the routine of a function of two operands.
func (r *routines) binary(f ir.Fn) func(out, a, b []float32) {
	switch f {
	case ir.FnAdd:
		return r.mapAdd
	case ir.FnSub:
		return r.mapSub
	case ir.FnMul:
		return r.mapMul
	case ir.FnDiv:
		return r.mapDiv
	case ir.FnGt:
		return comparison(func(a, b float32) bool { return a > b })
	case ir.FnGe:
		return comparison(func(a, b float32) bool { return a >= b })
	case ir.FnLt:
		return comparison(func(a, b float32) bool { return a < b })
	case ir.FnLe:
		return comparison(func(a, b float32) bool { return a <= b })
	}
	g := f.Binary()
	return func(out, a, b []float32) {
		for i := range out {
			out[i] = float32(g(float64(a[i]), float64(b[i])))
		}
	}
}

// mapAdd is out = a + b.
func mapAdd(out, a, b []float32) {
	a, b = a[:len(out)], b[:len(out)]
	for i := range out {
		out[i] = a[i] + b[i]
	}
}

// mapSub is out = a − b.
func mapSub(out, a, b []float32) {
	a, b = a[:len(out)], b[:len(out)]
	for i := range out {
		out[i] = a[i] - b[i]
	}
}

// mapMul is out = a ⊙ b.
func mapMul(out, a, b []float32) {
	a, b = a[:len(out)], b[:len(out)]
	for i := range out {
		out[i] = a[i] * b[i]
	}
}

// mapDiv is out = a ÷ b.
func mapDiv(out, a, b []float32) {
	a, b = a[:len(out)], b[:len(out)]
	for i := range out {
		out[i] = a[i] / b[i]
	}
}

func comparison(holds func(a, b float32) bool) func(out, a, b []float32) {
	return func(out, a, b []float32) {
		a, b = a[:len(out)], b[:len(out)]
		for i := range out {
			out[i] = 0
			if holds(a[i], b[i]) {
				out[i] = 1
			}
		}
	}
}
