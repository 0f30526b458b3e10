package cpu

import (
	"math"

	"vanilla/graph/ir"
)

// Maps of two and three operands run over panels of rows of 16 numbers. The result
// is contiguous. An operand moves by its Row bytes after each row, and by its Next
// bytes after each panel: so a row for all examples, a number for each, and one
// number stand in memory once.
type (
	map1 = func(out, a []float32)
	map2 = func(out, a, b []float32, rows, panels, aRow, aNext, bRow, bNext int)
	map3 = func(out, a, b, c []float32, rows, panels, aRow, aNext, bRow, bNext, cRow, cNext int)
)

// mapRoutines are the functions of maps that run at vector speed. Results may be
// operands.
type mapRoutines struct {
	neg, abs, sqrt, inv, exp           map1
	add, sub, mul, div, gt, ge, lt, le map2
	mulAdd, mulSub                     map3 // c + a·b, c − a·b
}

// Functions that the plan makes of two maps: products and sums of three operands,
// max(a, 0), and a where b > 0.
const (
	fnMulAdd ir.Fn = "mul-add"
	fnMulSub ir.Fn = "mul-sub"
	fnReLU   ir.Fn = "relu"
	fnWhere  ir.Fn = "where-positive"
)

// unary is the routine of a function of one operand. An empty name copies.
func (r *routines) unary(f ir.Fn) map1 {
	switch f {
	case "":
		return func(out, a []float32) { copy(out, a) }
	case ir.FnNeg:
		return r.maps.neg
	case ir.FnAbs:
		return r.maps.abs
	case ir.FnSqrt:
		return r.maps.sqrt
	case ir.FnInv:
		return r.maps.inv
	case ir.FnExp:
		return r.maps.exp
	case ir.FnSquare:
		return func(out, a []float32) { r.maps.mul(out, a, a, len(out)/lanes, 1, rowBytes, 0, rowBytes, 0) }
	case ir.FnCube:
		return func(out, a []float32) {
			for i, v := range a[:len(out)] {
				out[i] = v * v * v
			}
		}
	case fnReLU:
		return r.relu
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
func (r *routines) binary(f ir.Fn) map2 {
	switch f {
	case ir.FnAdd:
		return r.maps.add
	case ir.FnSub:
		return r.maps.sub
	case ir.FnMul:
		return r.maps.mul
	case ir.FnDiv:
		return r.maps.div
	case ir.FnGt:
		return r.maps.gt
	case ir.FnGe:
		return r.maps.ge
	case ir.FnLt:
		return r.maps.lt
	case ir.FnLe:
		return r.maps.le
	}
	g := f.Binary()
	return onRows2(func(out, a, b *[lanes]float32) {
		for i := range out {
			out[i] = float32(g(float64(a[i]), float64(b[i])))
		}
	})
}

// portableMaps define the routines in assembly.
var portableMaps = mapRoutines{
	neg: func(out, a []float32) {
		for i, v := range a[:len(out)] {
			out[i] = -v
		}
	},
	abs: func(out, a []float32) {
		for i, v := range a[:len(out)] {
			out[i] = math.Float32frombits(math.Float32bits(v) &^ (1 << 31))
		}
	},
	sqrt: func(out, a []float32) {
		for i, v := range a[:len(out)] {
			out[i] = float32(math.Sqrt(float64(v)))
		}
	},
	inv: func(out, a []float32) {
		for i, v := range a[:len(out)] {
			out[i] = 1 / v
		}
	},
	exp: func(out, a []float32) {
		for i, v := range a[:len(out)] {
			out[i] = exp32(v)
		}
	},
	add: onRows2(func(out, a, b *[lanes]float32) {
		for i := range out {
			out[i] = a[i] + b[i]
		}
	}),
	sub: onRows2(func(out, a, b *[lanes]float32) {
		for i := range out {
			out[i] = a[i] - b[i]
		}
	}),
	mul: onRows2(func(out, a, b *[lanes]float32) {
		for i := range out {
			out[i] = a[i] * b[i]
		}
	}),
	div: onRows2(func(out, a, b *[lanes]float32) {
		for i := range out {
			out[i] = a[i] / b[i]
		}
	}),
	gt: comparison(func(a, b float32) bool { return a > b }),
	ge: comparison(func(a, b float32) bool { return a >= b }),
	lt: comparison(func(a, b float32) bool { return a < b }),
	le: comparison(func(a, b float32) bool { return a <= b }),
	mulAdd: func(out, a, b, c []float32, rows, panels, aRow, aNext, bRow, bNext, cRow, cNext int) {
		onRows(out, rows, panels, []steps{{a, aRow, aNext}, {b, bRow, bNext}, {c, cRow, cNext}}, func(out *[lanes]float32, in []*[lanes]float32) {
			for i := range out {
				out[i] = in[2][i] + in[0][i]*in[1][i]
			}
		})
	},
	mulSub: func(out, a, b, c []float32, rows, panels, aRow, aNext, bRow, bNext, cRow, cNext int) {
		onRows(out, rows, panels, []steps{{a, aRow, aNext}, {b, bRow, bNext}, {c, cRow, cNext}}, func(out *[lanes]float32, in []*[lanes]float32) {
			for i := range out {
				out[i] = in[2][i] - in[0][i]*in[1][i]
			}
		})
	},
}

// rowBytes is how far apart rows stand in a panel, in bytes, floatBytes one
// number.
const (
	floatBytes = 4
	rowBytes   = floatBytes * lanes
)

// steps is an operand on its way through panels.
type steps struct {
	at        []float32
	row, next int
}

// onRows applies a function to rows of 16 numbers as panelwise routines do.
func onRows(out []float32, rows, panels int, operands []steps, f func(out *[lanes]float32, in []*[lanes]float32)) {
	in := make([]*[lanes]float32, len(operands))
	offset := make([]int, len(operands))
	for p := range panels {
		for i := range rows {
			for k, o := range operands {
				in[k] = (*[lanes]float32)(o.at[offset[k]:])
				offset[k] += o.row / floatBytes
			}
			f((*[lanes]float32)(out[(p*rows+i)*lanes:]), in)
		}
		for k, o := range operands {
			offset[k] += o.next / floatBytes
		}
	}
}

func onRows2(f func(out, a, b *[lanes]float32)) map2 {
	return func(out, a, b []float32, rows, panels, aRow, aNext, bRow, bNext int) {
		onRows(out, rows, panels, []steps{{a, aRow, aNext}, {b, bRow, bNext}}, func(out *[lanes]float32, in []*[lanes]float32) { f(out, in[0], in[1]) })
	}
}

func comparison(holds func(a, b float32) bool) map2 {
	return onRows2(func(out, a, b *[lanes]float32) {
		for i := range out {
			v := float32(0)
			if holds(a[i], b[i]) {
				v = 1
			}
			out[i] = v
		}
	})
}

// rowSums is the sum over each row's columns, in all 16 lanes: first over panels,
// then halves of what is left. used has all bits set in the lanes of the last panel
// that are in use, and none in the others.
func rowSums(out, a []float32, used []uint32, rows, panels int) {
	for i := range rows {
		var sum [lanes]float32
		for p := range panels {
			for l, v := range (*[lanes]float32)(a[(p*rows+i)*lanes:]) {
				if p == panels-1 {
					v = math.Float32frombits(math.Float32bits(v) & used[l])
				}
				sum[l] += v
			}
		}
		for w := half; w > 0; w /= 2 {
			for l := range w {
				sum[l] += sum[l+w]
			}
		}
		for l := range (*[lanes]float32)(out[i*lanes:]) {
			out[i*lanes+l] = sum[0]
		}
	}
}

// pixels is x = bytes / 255, for whole vectors.
func pixels(x []float32, bytes []byte) {
	for i := range len(x) / lanes * lanes {
		x[i] = pixel(bytes[i])
	}
}

// usedLanes is rowSums' mask for a value of so many columns.
func usedLanes(cols int) []uint32 {
	used := make([]uint32, lanes)
	for l := range used[:(cols-1)%lanes+1] {
		used[l] = math.MaxUint32
	}
	return used
}
