package cpu

import (
	"math"

	"vanilla/graph/ir"
)

// product is MatMul on plain arrays.
type product struct {
	op     ir.Op
	shapes []ir.Shape // of the operands
}

func (k product) reads() []ir.ID  { return k.op.Args }
func (k product) writes() []ir.ID { return []ir.ID{k.op.Out} }
func (k product) line(p *ir.Program) string {
	return "matmul " + names(p, k.op.Args) + to(p, k)
}

func (k product) bind(m *machine) func() {
	c, a, b := m.values[k.op.Out], m.values[k.op.Args[0]], m.values[k.op.Args[1]]
	turned := m.scratch()
	return func() {
		result, left := m.plan.program.Value(k.op.Out).Shape.At(m.n), k.shapes[0].At(m.n)
		r := len(result) - 2
		rows, cols, inner := result[r], result[r+1], left[r+1]
		if k.op.TransA {
			inner = left[r]
		}
		count := 1
		for _, d := range result[:r] {
			count *= d
		}
		bt := turned(inner * cols)
		for s := range count {
			a, b, c := a[s*rows*inner:], b[s*inner*cols:(s+1)*inner*cols], c[s*rows*cols:(s+1)*rows*cols]
			if k.op.TransB {
				for j := range cols {
					for i, v := range b[j*inner : (j+1)*inner] {
						bt[i*cols+j] = v
					}
				}
				b = bt
			}
			clear(c)
			for i := range rows {
				sum := c[i*cols : (i+1)*cols]
				for z := range inner {
					factor := a[i*inner+z]
					if k.op.TransA {
						factor = a[z*rows+i]
					}
					row := b[z*cols : (z+1)*cols][:len(sum)]
					for j, v := range row {
						sum[j] += factor * v
					}
				}
			}
		}
	}
}

// indexed is an operation on plain arrays in which every element of the result is
// found by a table: of where it comes from, or goes to.
type indexed struct {
	op     ir.Op
	shapes []ir.Shape // of the operands
}

func (k indexed) reads() []ir.ID  { return k.op.Args }
func (k indexed) writes() []ir.ID { return []ir.ID{k.op.Out} }
func (k indexed) line(p *ir.Program) string {
	return k.op.Code.String() + " " + names(p, k.op.Args) + to(p, k)
}

func (k indexed) bind(m *machine) func() {
	out := m.values[k.op.Out]
	var in [][]float32
	for _, a := range k.op.Args {
		in = append(in, m.values[a])
	}
	size := func() int { return m.plan.program.Value(k.op.Out).Shape.Len(m.n) }
	tables := map[int]*table{} // by batch size
	return func() {
		t := tables[m.n]
		if t == nil {
			t = newTable(&k.op, m.plan.program.Value(k.op.Out).Shape, k.shapes, m.n)
			tables[m.n] = t
		}
		n := size()
		switch k.op.Code {
		case ir.Reduce:
			start := float32(0)
			if k.op.Fn == ir.FnMax {
				start = float32(math.Inf(-1))
			}
			for i := range out[:n] {
				out[i] = start
			}
			if k.op.Fn == ir.FnMax {
				for i, to := range t.index {
					out[to] = max(out[to], in[0][i])
				}
				return
			}
			fallthrough
		case ir.Unslice, ir.Col2Im:
			if k.op.Code != ir.Reduce {
				clear(out[:n])
			}
			for i, to := range t.index {
				if to >= 0 {
					out[to] += in[0][i]
				}
			}
		case ir.MaxPool:
			for w := range n {
				out[w] = in[0][t.largest(in[0], w)]
			}
		case ir.MaxPoolGrad:
			clear(out[:n])
			for w, d := range in[1][:len(t.index)/t.window] {
				out[t.largest(in[0], w)] += d
			}
		case ir.Concat:
			for i, from := range t.index {
				out[i] = in[t.operand[i]][from]
			}
		default: // Transpose, Repeat, Slice, Im2Col
			for i, from := range t.index {
				if from < 0 {
					out[i] = 0
				} else {
					out[i] = in[0][from]
				}
			}
		}
	}
}

// table says for each element of an operation's result which element of the
// operand it is, -1 for zero; or, for sums, for each element of the operand where it
// is added. Of pools it lists each window's elements.
type table struct {
	index   []int32
	operand []uint8 // of Concat: which operand
	window  int     // of pools: how many elements
}

// largest is the first largest element of a window.
func (t *table) largest(v []float32, window int) int32 {
	best := int32(-1)
	for _, i := range t.index[window*t.window : (window+1)*t.window] {
		if i >= 0 && (best < 0 || v[i] > v[best] || v[i] != v[i] && v[best] == v[best]) {
			best = i
		}
	}
	return best
}

func newTable(op *ir.Op, result ir.Shape, operands []ir.Shape, batch int) *table {
	shape := func(k int) []int { return operands[k].At(batch) }
	out, in := result.At(batch), shape(0)
	axis := 0
	if len(op.Axes) > 0 {
		axis = op.Axes[0]
	}
	ints := make([]int, len(op.Ints))
	for i, e := range op.Ints {
		ints[i] = e.At(batch)
	}
	t := &table{}
	// list visits the indices of a shape and notes where each stands in another.
	list := func(of, into []int, moved func(at []int) bool) {
		at, to := make([]int, len(of)), make([]int, max(len(of), len(into)))
		for range ir.Elements(of) {
			to = append(to[:0], at...)
			k := int32(0)
			if !moved(to) {
				k = -1
			} else {
				for d, n := range into {
					k = k*int32(n) + int32(to[d])
				}
			}
			t.index = append(t.index, k)
			for d := len(of) - 1; d >= 0; d-- {
				if at[d]++; at[d] < of[d] {
					break
				}
				at[d] = 0
			}
		}
	}
	switch op.Code {
	case ir.Reduce:
		list(in, out, func(at []int) bool {
			for _, x := range op.Axes {
				at[x] = 0
			}
			return true
		})
	case ir.Repeat:
		list(out, in, func(at []int) bool { at[axis] = 0; return true })
	case ir.Transpose:
		source := make([]int, len(out))
		list(out, in, func(at []int) bool {
			for d, of := range op.Axes {
				source[of] = at[d]
			}
			copy(at, source)
			return true
		})
	case ir.Slice, ir.Unslice:
		part, whole := out, in
		if op.Code == ir.Unslice {
			part, whole = in, out
		}
		list(part, whole, func(at []int) bool { at[axis] = ints[0] + at[axis]*ints[2]; return true })
	case ir.Concat:
		var starts []int
		total := 0
		for k := range op.Args {
			starts = append(starts, total)
			total += shape(k)[axis]
		}
		at := make([]int, len(out))
		for range ir.Elements(out) {
			k := len(starts) - 1
			for starts[k] > at[axis] {
				k--
			}
			of, from := shape(k), int32(0)
			for d, x := range at {
				if d == axis {
					x -= starts[k]
				}
				from = from*int32(of[d]) + int32(x)
			}
			t.index, t.operand = append(t.index, from), append(t.operand, uint8(k))
			for d := len(out) - 1; d >= 0; d-- {
				if at[d]++; at[d] < out[d] {
					break
				}
				at[d] = 0
			}
		}
	case ir.Im2Col, ir.Col2Im:
		image, columns := in, out
		if op.Code == ir.Col2Im {
			image, columns = out, in
		}
		list([]int{columns[0], columns[1], columns[2], image[1], ints[0], ints[1]}, image, func(at []int) bool {
			y, x := at[1]*ints[4]-ints[2]+at[4]*ints[6], at[2]*ints[5]-ints[3]+at[5]*ints[7]
			at[1], at[2], at[3] = at[3], y, x
			return y >= 0 && x >= 0 && y < image[2] && x < image[3]
		})
	case ir.MaxPool, ir.MaxPoolGrad:
		pooled := out
		if op.Code == ir.MaxPoolGrad {
			pooled = shape(1)
		}
		t.window = ints[0] * ints[1]
		list([]int{pooled[0], pooled[1], pooled[2], pooled[3], ints[0], ints[1]}, in, func(at []int) bool {
			y, x := at[2]*ints[4]-ints[2]+at[4], at[3]*ints[5]-ints[3]+at[5]
			at[2], at[3] = y, x
			return y >= 0 && x >= 0 && y < in[2] && x < in[3]
		})
	}
	return t
}
