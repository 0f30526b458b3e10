package ref

import (
	"fmt"

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
		a, b := arg(0), arg(1)
		products(result, shape(0), op.TransA, op.TransB, func(c, i, j int) { out[c] += a[i] * b[j] })

	case ir.Reduce, ir.Col2Im, ir.MaxPoolGrad:
		in.moves(op, func(to, k, from int) { out[to] += arg(k)[from] })
	default:
		in.moves(op, func(to, k, from int) { out[to] = arg(k)[from] })
	}
	return out
}

// moves is the definition of the operations whose results are elements of their
// operands, or sums of such: it visits each element of the result, the operand, and
// the operand's element that enters it.
func (in *Interpreter[T]) moves(op *ir.Op, visit func(to, operand, from int)) {
	batch := len(in.labels)
	arg := func(k int) []T { return in.Values[op.Args[k]] }
	shape := func(k int) []int { return in.p.Value(op.Args[k]).Shape.At(batch) }
	operand, result := shape(0), in.p.Value(op.Out).Shape.At(batch)
	first := func(to, from int) { visit(to, 0, from) }
	switch op.Code {
	case ir.Reduce:
		reduced := func(axis, x int) int {
			if result[axis] == 1 {
				return 0
			}
			return x
		}
		if op.Fn == ir.FnSum {
			each(operand, func(k int, at []int) { visit(index(result, at, reduced), 0, k) })
			break
		}
		best := make([]int, in.p.Value(op.Out).Shape.Len(batch))
		for i := range best {
			best[i] = -1
		}
		each(operand, func(k int, at []int) {
			to := index(result, at, reduced)
			if v := arg(0)[k]; best[to] < 0 || v > arg(0)[best[to]] || v != v {
				best[to] = k
			}
		})
		for to, from := range best {
			visit(to, 0, from)
		}
	case ir.Reshape:
		for k := range arg(0) {
			visit(k, 0, k)
		}
	case ir.Transpose:
		each(result, func(k int, at []int) {
			from := make([]int, len(at))
			for axis, of := range op.Axes {
				from[of] = at[axis]
			}
			visit(k, 0, index(operand, from, nil))
		})
	case ir.Repeat:
		each(result, func(k int, at []int) {
			visit(k, 0, index(operand, at, func(axis, x int) int {
				if axis == op.Axes[0] {
					return 0
				}
				return x
			}))
		})
	case ir.Slice, ir.Unslice:
		from, step := op.Ints[0].At(batch), op.Ints[2].At(batch)
		whole, part := operand, result
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
				visit(k, 0, w)
			} else {
				visit(w, 0, k)
			}
		})
	case ir.Concat:
		offset := 0
		for a := range op.Args {
			each(shape(a), func(k int, at []int) {
				visit(index(result, at, func(axis, x int) int {
					if axis == op.Axes[0] {
						return offset + x
					}
					return x
				}), a, k)
			})
			offset += shape(a)[op.Axes[0]]
		}
	case ir.Im2Col:
		windows(ints(op, batch), operand, result, first)
	case ir.Col2Im:
		windows(ints(op, batch), result, operand, func(column, pixel int) { visit(pixel, 0, column) })
	case ir.MaxPool:
		pool(arg(0), ints(op, batch), operand, result, first)
	case ir.MaxPoolGrad:
		pool(arg(0), ints(op, batch), operand, shape(1), func(window, pixel int) { visit(pixel, 1, window) })
	default:
		panic(fmt.Sprintf("ref: no definition of operation %d", op.Code))
	}
}

// products visits the factors of every product in c[.., m,n] = a[.., m,k]·b[.., k,n],
// with operands transposed or not: those of one element of c in succession.
func products(result, left []int, ta, tb bool, visit func(c, a, b int)) {
	r := len(result) - 2
	m, n, inner := result[r], result[r+1], left[r+1]
	if ta {
		inner = left[r]
	}
	sets := 1
	for _, extent := range result[:r] {
		sets *= extent
	}
	for s := range sets {
		for i := range m {
			for j := range n {
				for k := range inner {
					a, b := i*inner+k, k*n+j
					if ta {
						a = k*m + i
					}
					if tb {
						b = j*inner + k
					}
					visit((s*m+i)*n+j, s*m*inner+a, s*inner*n+b)
				}
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
