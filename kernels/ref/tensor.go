package ref

import (
	"fmt"
	"math"

	"vanilla/graph/ir"
)

// tensor computes one tensor operation into new memory. Functions are computed in
// float64 and rounded once; sums and products are T's.
func (in *Interpreter[T]) tensor(op *ir.Op) []T {
	batch := len(in.labels)
	arg := func(k int) []T { return in.Values[op.Args[k]] }
	shape := func(k int) []int { return in.p.Value(op.Args[k]).Shape.At(batch) }
	result := in.p.Value(op.Out).Shape.At(batch)
	out := make([]T, in.p.Value(op.Out).Shape.Len(batch))

	switch op.Code {
	case ir.Const:
		for i := range out {
			out[i] = T(op.Value.At(batch))
		}
		for i, v := range op.Data {
			out[i] = T(v)
		}

	case ir.Map:
		if len(op.Args) == 1 {
			f, a := op.Fn.Unary(), arg(0)
			for i := range out {
				out[i] = T(f(float64(a[i%len(a)])))
			}
			break
		}
		f, a, b := op.Fn.Binary(), arg(0), arg(1)
		for i := range out {
			out[i] = T(f(float64(a[i%len(a)]), float64(b[i%len(b)])))
		}

	case ir.MatMul:
		matMul(out, arg(0), arg(1), result, shape(0), op.TransA, op.TransB)

	case ir.Reduce:
		from := shape(0)
		if op.Fn == ir.FnMax {
			for i := range out {
				out[i] = T(math.Inf(-1))
			}
		}
		each(from, func(k int, at []int) {
			to := index(result, at, func(axis, x int) int {
				if result[axis] == 1 {
					return 0
				}
				return x
			})
			switch v := arg(0)[k]; {
			case op.Fn == ir.FnSum:
				out[to] += v
			case v > out[to] || v != v:
				out[to] = v
			}
		})

	case ir.Reshape:
		copy(out, arg(0))

	case ir.Transpose:
		each(result, func(k int, at []int) {
			from := make([]int, len(at))
			for axis, of := range op.Axes {
				from[of] = at[axis]
			}
			out[k] = arg(0)[index(shape(0), from, nil)]
		})

	case ir.Repeat:
		each(result, func(k int, at []int) {
			out[k] = arg(0)[index(shape(0), at, func(axis, x int) int {
				if axis == op.Axes[0] {
					return 0
				}
				return x
			})]
		})

	case ir.Slice, ir.Unslice:
		from, step := op.Ints[0].At(batch), op.Ints[2].At(batch)
		whole, part := shape(0), result
		if op.Code == ir.Unslice {
			whole, part = part, whole
		}
		each(part, func(k int, at []int) {
			w := index(whole, at, func(axis, x int) int {
				if axis == op.Axes[0] {
					return from + x*step
				}
				return x
			})
			if op.Code == ir.Slice {
				out[k] = arg(0)[w]
			} else {
				out[w] = arg(0)[k]
			}
		})

	case ir.Concat:
		offset := 0
		for a := range op.Args {
			each(shape(a), func(k int, at []int) {
				out[index(result, at, func(axis, x int) int {
					if axis == op.Axes[0] {
						return offset + x
					}
					return x
				})] = arg(a)[k]
			})
			offset += shape(a)[op.Axes[0]]
		}

	case ir.Im2Col:
		windows(ints(op, batch), shape(0), result, func(column, pixel int) { out[column] = arg(0)[pixel] })

	case ir.Col2Im:
		windows(ints(op, batch), result, shape(0), func(column, pixel int) { out[pixel] += arg(0)[column] })

	case ir.MaxPool:
		pool(arg(0), ints(op, batch), shape(0), result, func(window, pixel int) { out[window] = arg(0)[pixel] })

	case ir.MaxPoolGrad:
		pool(arg(0), ints(op, batch), shape(0), shape(1), func(window, pixel int) { out[pixel] += arg(1)[window] })

	default:
		panic(fmt.Sprintf("ref: no definition of operation %d", op.Code))
	}
	return out
}

// matMul is c[.., m,n] = a[.., m,k]·b[.., k,n] with operands transposed or not.
func matMul[T float32 | float64](c, a, b []T, result, left []int, ta, tb bool) {
	r := len(result) - 2
	m, n, inner := result[r], result[r+1], left[r+1]
	if ta {
		inner = left[r]
	}
	for s := range len(c) / (m * n) {
		a, b, c := a[s*m*inner:], b[s*inner*n:], c[s*m*n:]
		for i := range m {
			for j := range n {
				var sum T
				for k := range inner {
					ia, ib := i*inner+k, k*n+j
					if ta {
						ia = k*m + i
					}
					if tb {
						ib = j*inner + k
					}
					sum += a[ia] * b[ib]
				}
				c[i*n+j] = sum
			}
		}
	}
}

// each visits every index of a shape in row-major order.
func each(shape []int, f func(k int, at []int)) {
	at := make([]int, len(shape))
	n := 1
	for _, d := range shape {
		n *= d
	}
	for k := range n {
		f(k, at)
		for axis := len(shape) - 1; axis >= 0; axis-- {
			if at[axis]++; at[axis] < shape[axis] {
				break
			}
			at[axis] = 0
		}
	}
}

// index is where an index stands in an array, after moved has changed it.
func index(shape, at []int, moved func(axis, x int) int) int {
	k := 0
	for axis, x := range at {
		if moved != nil {
			x = moved(axis, x)
		}
		k = k*shape[axis] + x
	}
	return k
}

func ints(op *ir.Op, batch int) []int {
	v := make([]int, len(op.Ints))
	for i, e := range op.Ints {
		v[i] = e.At(batch)
	}
	return v
}

// windows visits every element of the columns [b, oh, ow, ch·kh·kw] that lies in
// the image [b, ch, h, w].
func windows(v, image, columns []int, visit func(column, pixel int)) {
	kh, kw, padH, padW, strideH, strideW, dilationH, dilationW := v[0], v[1], v[2], v[3], v[4], v[5], v[6], v[7]
	channels, height, width := image[1], image[2], image[3]
	each([]int{columns[0], columns[1], columns[2], channels, kh, kw}, func(k int, at []int) {
		y, x := at[1]*strideH-padH+at[4]*dilationH, at[2]*strideW-padW+at[5]*dilationW
		if y >= 0 && x >= 0 && y < height && x < width {
			visit(k, ((at[0]*channels+at[3])*height+y)*width+x)
		}
	})
}

// pool visits the first largest pixel of every window.
func pool[T float32 | float64](a []T, v, image, pooled []int, visit func(window, pixel int)) {
	kh, kw, padH, padW, strideH, strideW := v[0], v[1], v[2], v[3], v[4], v[5]
	channels, height, width := image[1], image[2], image[3]
	each(pooled, func(k int, at []int) {
		best := -1
		for dy := range kh {
			for dx := range kw {
				y, x := at[2]*strideH-padH+dy, at[3]*strideW-padW+dx
				if y < 0 || x < 0 || y >= height || x >= width {
					continue
				}
				pixel := ((at[0]*channels+at[1])*height+y)*width + x
				if best < 0 || a[pixel] > a[best] || a[pixel] != a[pixel] && a[best] == a[best] {
					best = pixel
				}
			}
		}
		if best >= 0 {
			visit(k, best)
		}
	})
}
