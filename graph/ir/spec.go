package ir

import (
	"fmt"
	"slices"
)

// spec is an operation's specification beside its meaning: verifier, listing,
// parser and FLOPs are derived from it.
type spec struct {
	name     string
	synopsis string // "%0".. operands, "%f" activation, "%s" scale, "%d" its double, "%n" function, "%a" axes, "%i" ints, "%v" value
	args     [2]int // fewest and most operands; -1 is any number
	forward  bool   // may belong to the forward pass
	target   int    // the operand that must be y, or 0: it is never the first
	// Which fields of Op the meaning has.
	act, scale, fn, axes, ints, value, trans, draw bool

	// want are the shapes of the operands and then of the result, for layer
	// operations: out is the result's, at(k) operand k's.
	want func(out Shape, at func(k int) Shape) []Shape
	// result is the shape of a tensor operation's result at a batch size, from its
	// operands'. What only the result's own shape says is in out.
	result func(op *Op, in [][]int, out []int, batch int) ([]int, error)
	// products counts multiplications with an addition each, at a batch size.
	products func(op *Op, in [][]int, out []int) int
}

func rowsOf(cols int) Shape { return Shape{Rows: Batch, Cols: cols} }

var one = Shape{Rows: 1, Cols: 1}

func sameRows(n int) func(Shape, func(int) Shape) []Shape {
	return func(out Shape, _ func(int) Shape) []Shape { return slices.Repeat([]Shape{rowsOf(out.Cols)}, n+1) }
}

func lossShapes(_ Shape, at func(int) Shape) []Shape {
	return []Shape{rowsOf(at(1).Cols), rowsOf(at(1).Cols), one}
}

var specs = [codes]spec{
	Dense: {name: "dense", synopsis: "%0·%1ᵀ + %2", args: [2]int{2, 3}, forward: true,
		want: func(_ Shape, at func(int) Shape) []Shape {
			w := at(1)
			return []Shape{rowsOf(w.Cols), {Rows: w.Rows, Cols: w.Cols}, {Rows: 1, Cols: w.Rows}, rowsOf(w.Rows)}
		},
		products: func(_ *Op, in [][]int, out []int) int { return Elements(out) * in[1][1] }},
	Act: {name: "act", synopsis: "%f(%0)", args: [2]int{1, 1}, forward: true, act: true, want: sameRows(1)},
	Add: {name: "add", synopsis: "%0 + %s·%1", args: [2]int{2, 2}, forward: true, scale: true,
		want: func(out Shape, _ func(int) Shape) []Shape { return []Shape{out, out, out} }},
	Xent:  {name: "xent", synopsis: "%s/B Σ −log softmax(%0)[%1]", args: [2]int{2, 2}, forward: true, target: 1, scale: true, want: lossShapes},
	DXent: {name: "dxent", synopsis: "%s/B (softmax(%0) − %1)", args: [2]int{2, 2}, target: 1, scale: true, want: sameRows(2)},
	Quad:  {name: "quad", synopsis: "%s/B Σ (%0 − %1)²", args: [2]int{2, 2}, forward: true, target: 1, scale: true, want: lossShapes},
	DQuad: {name: "dquad", synopsis: "%d/B (%0 − %1)", args: [2]int{2, 2}, target: 1, scale: true, want: sameRows(2)},
	L2: {name: "l2", synopsis: "%0 + %s/2 Σ %1²", args: [2]int{2, 2}, forward: true, scale: true,
		want: func(_ Shape, at func(int) Shape) []Shape { return []Shape{one, at(1), one} }},
	DInput: {name: "dinput", synopsis: "%0·%1", args: [2]int{2, 2},
		want: func(_ Shape, at func(int) Shape) []Shape {
			w := at(1)
			return []Shape{rowsOf(w.Rows), {Rows: w.Rows, Cols: w.Cols}, rowsOf(w.Cols)}
		},
		products: func(_ *Op, in [][]int, out []int) int { return Elements(out) * in[1][0] }},
	DWeight: {name: "dweight", synopsis: "%0ᵀ·%1", args: [2]int{2, 2},
		want: func(_ Shape, at func(int) Shape) []Shape {
			return []Shape{rowsOf(at(0).Cols), rowsOf(at(1).Cols), {Rows: at(0).Cols, Cols: at(1).Cols}}
		},
		products: func(_ *Op, in [][]int, out []int) int { return Elements(out) * in[0][0] }},
	DBias: {name: "dbias", synopsis: "Σᵢ %0", args: [2]int{1, 1},
		want: func(_ Shape, at func(int) Shape) []Shape {
			return []Shape{rowsOf(at(0).Cols), {Rows: 1, Cols: at(0).Cols}}
		}},
	DAct: {name: "dact", synopsis: "%0 ⊙ %f′(%1)", args: [2]int{2, 2}, act: true, want: sameRows(2)},

	Const: {name: "const", synopsis: "%v", args: [2]int{0, 0}, forward: true, value: true,
		result: func(op *Op, _ [][]int, out []int, _ int) ([]int, error) {
			if op.Data != nil && len(op.Data) != Elements(out) {
				return nil, fmt.Errorf("%d numbers", len(op.Data))
			}
			return out, nil
		}},
	Map: {name: "map", synopsis: "%n(%*)", args: [2]int{1, 2}, forward: true, fn: true, result: mapResult},
	MatMul: {name: "matmul", synopsis: "%0·%1", args: [2]int{2, 2}, forward: true, trans: true, result: matMulResult,
		products: func(op *Op, in [][]int, out []int) int {
			inner := in[0][len(in[0])-1]
			if op.TransA {
				inner = in[0][len(in[0])-2]
			}
			return Elements(out) * inner
		}},
	Reduce: {name: "reduce", synopsis: "%n %0 over axes %a", args: [2]int{1, 1}, forward: true, fn: true, axes: true, result: reduceResult},
	Reshape: {name: "reshape", synopsis: "%0", args: [2]int{1, 1}, forward: true,
		result: func(_ *Op, in [][]int, out []int, _ int) ([]int, error) {
			if Elements(in[0]) != Elements(out) {
				return nil, fmt.Errorf("%v has %d elements, the result %d", in[0], Elements(in[0]), Elements(out))
			}
			return out, nil
		}},
	Transpose: {name: "transpose", synopsis: "%0 by axes %a", args: [2]int{1, 1}, forward: true, axes: true, result: transposeResult},
	Repeat: {name: "repeat", synopsis: "%0 along axis %a", args: [2]int{1, 1}, forward: true, axes: true,
		result: func(op *Op, in [][]int, out []int, _ int) ([]int, error) {
			k, err := op.axis(in[0])
			if err != nil {
				return nil, err
			}
			if in[0][k] != 1 || len(out) != len(in[0]) {
				return nil, fmt.Errorf("%v is no single row along axis %d of %v", in[0], k, out)
			}
			r := slices.Clone(in[0])
			r[k] = out[k]
			return r, nil
		}},
	Slice:   {name: "slice", synopsis: "%0 along axis %a at %i", args: [2]int{1, 1}, forward: true, axes: true, ints: true, result: sliceResult},
	Unslice: {name: "unslice", synopsis: "zeros with %0 along axis %a at %i", args: [2]int{1, 1}, forward: true, axes: true, ints: true, result: unsliceResult},
	Concat:  {name: "concat", synopsis: "%* along axis %a", args: [2]int{1, -1}, forward: true, axes: true, result: concatResult},
	Random: {name: "random", synopsis: "%n %r", args: [2]int{0, 0}, forward: true, fn: true, draw: true,
		result: func(_ *Op, _ [][]int, out []int, _ int) ([]int, error) { return out, nil }},
	Im2Col: {name: "im2col", synopsis: "windows of %0, %i", args: [2]int{1, 1}, forward: true, ints: true,
		result: func(op *Op, in [][]int, _ []int, batch int) ([]int, error) { return op.windows(in[0], 8, batch, true) }},
	Col2Im: {name: "col2im", synopsis: "windows %0 added up, %i", args: [2]int{1, 1}, forward: true, ints: true,
		result: func(op *Op, in [][]int, out []int, batch int) ([]int, error) {
			w, err := op.windows(out, 8, batch, true)
			if err == nil && !slices.Equal(w, in[0]) {
				err = fmt.Errorf("%v are no windows of %v, which are %v", in[0], out, w)
			}
			return out, err
		}},
	MaxPool: {name: "maxpool", synopsis: "largest of windows of %0, %i", args: [2]int{1, 1}, forward: true, ints: true,
		result: func(op *Op, in [][]int, _ []int, batch int) ([]int, error) { return op.windows(in[0], 6, batch, false) }},
	MaxPoolGrad: {name: "maxpoolgrad", synopsis: "%1 where windows of %0 are largest, %i", args: [2]int{2, 2}, forward: true, ints: true,
		result: func(op *Op, in [][]int, _ []int, batch int) ([]int, error) {
			w, err := op.windows(in[0], 6, batch, false)
			if err == nil && !slices.Equal(w, in[1]) {
				err = fmt.Errorf("gradient %v of windows %v", in[1], w)
			}
			return in[0], err
		}},
}

// Elements is how many a tensor of these extents has.
func Elements(extents []int) int {
	n := 1
	for _, d := range extents {
		n *= d
	}
	return n
}

func mapResult(op *Op, in [][]int, out []int, _ int) ([]int, error) {
	if len(in) == 1 && op.Fn.Unary() == nil || len(in) == 2 && op.Fn.Binary() == nil {
		return nil, fmt.Errorf("no function %q of %d operands", op.Fn, len(in))
	}
	for _, s := range in {
		if Elements(s) != 1 && !slices.Equal(s, out) {
			return nil, fmt.Errorf("operand %v for a result %v", s, out)
		}
	}
	return out, nil
}

func matMulResult(op *Op, in [][]int, _ []int, _ int) ([]int, error) {
	a, b := slices.Clone(in[0]), slices.Clone(in[1])
	r := len(a) - 2
	if r < 0 || len(a) != len(b) || !slices.Equal(a[:r], b[:r]) {
		return nil, fmt.Errorf("product of %v and %v", in[0], in[1])
	}
	if op.TransA {
		a[r], a[r+1] = a[r+1], a[r]
	}
	if op.TransB {
		b[r], b[r+1] = b[r+1], b[r]
	}
	if a[r+1] != b[r] {
		return nil, fmt.Errorf("product of %v and %v", in[0], in[1])
	}
	a[r+1] = b[r+1]
	return a, nil
}

func reduceResult(op *Op, in [][]int, _ []int, _ int) ([]int, error) {
	if op.Fn != FnSum && op.Fn != FnMax {
		return nil, fmt.Errorf("no reduction %q", op.Fn)
	}
	r := slices.Clone(in[0])
	for k, x := range op.Axes {
		if x < 0 || x >= len(r) || slices.Contains(op.Axes[:k], x) {
			return nil, fmt.Errorf("axes %v of %v", op.Axes, in[0])
		}
		r[x] = 1
	}
	return r, nil
}

func transposeResult(op *Op, in [][]int, _ []int, _ int) ([]int, error) {
	r := make([]int, len(in[0]))
	seen := make([]bool, len(r))
	if len(op.Axes) != len(r) {
		return nil, fmt.Errorf("axes %v of %v", op.Axes, in[0])
	}
	for k, x := range op.Axes {
		if x < 0 || x >= len(r) || seen[x] {
			return nil, fmt.Errorf("axes %v of %v", op.Axes, in[0])
		}
		seen[x], r[k] = true, in[0][x]
	}
	return r, nil
}

// axis is the one axis of an operation on an operand of that shape.
func (op *Op) axis(of []int) (int, error) {
	if len(op.Axes) != 1 || op.Axes[0] < 0 || op.Axes[0] >= len(of) {
		return 0, fmt.Errorf("axes %v, want one of %v", op.Axes, of)
	}
	return op.Axes[0], nil
}

// slice is from, to and step along an axis of that length.
func (op *Op) slice(length, batch int) (from, to, step int, err error) {
	if len(op.Ints) != 3 {
		return 0, 0, 0, fmt.Errorf("%d numbers, want from, to and step", len(op.Ints))
	}
	from, to, step = op.Ints[0].At(batch), op.Ints[1].At(batch), op.Ints[2].At(batch)
	if from < 0 || to <= from || to > length || step < 1 {
		return 0, 0, 0, fmt.Errorf("from %d to %d by %d of %d", from, to, step, length)
	}
	return from, to, step, nil
}

func sliceResult(op *Op, in [][]int, _ []int, batch int) ([]int, error) {
	k, err := op.axis(in[0])
	if err != nil {
		return nil, err
	}
	from, to, step, err := op.slice(in[0][k], batch)
	if err != nil {
		return nil, err
	}
	r := slices.Clone(in[0])
	r[k] = (to - from + step - 1) / step
	return r, nil
}

func unsliceResult(op *Op, in [][]int, out []int, batch int) ([]int, error) {
	r, err := sliceResult(op, [][]int{out}, nil, batch)
	if err == nil && !slices.Equal(r, in[0]) {
		err = fmt.Errorf("%v is no slice of %v, which is %v", in[0], out, r)
	}
	return out, err
}

func concatResult(op *Op, in [][]int, _ []int, _ int) ([]int, error) {
	k, err := op.axis(in[0])
	if err != nil {
		return nil, err
	}
	r := slices.Clone(in[0])
	r[k] = 0
	for _, s := range in {
		if len(s) != len(r) {
			return nil, fmt.Errorf("%v beside %v", s, in[0])
		}
		for d := range s {
			if d != k && s[d] != r[d] {
				return nil, fmt.Errorf("%v beside %v along axis %d", s, in[0], k)
			}
		}
		r[k] += s[k]
	}
	return r, nil
}

// windows is the shape of the windows over an image: [b, oh, ow, ch·kh·kw] as
// columns, [b, ch, oh, ow] pooled.
func (op *Op) windows(image []int, ints, batch int, columns bool) ([]int, error) {
	if len(image) != 4 || len(op.Ints) != ints {
		return nil, fmt.Errorf("image %v with %d numbers, want four axes and %d", image, len(op.Ints), ints)
	}
	v := make([]int, 8)
	v[6], v[7] = 1, 1 // dilation
	for i, e := range op.Ints {
		v[i] = e.At(batch)
	}
	for i, least := range []int{1, 1, 0, 0, 1, 1, 1, 1} {
		if v[i] < least {
			return nil, fmt.Errorf("windows %v", v[:ints])
		}
	}
	if ints == 6 && (v[2] >= v[0] || v[3] >= v[1]) {
		return nil, fmt.Errorf("windows of %dx%d with padding %d and %d: some lie outside the image", v[0], v[1], v[2], v[3])
	}
	oh := (image[2]+2*v[2]-(v[0]-1)*v[6]-1)/v[4] + 1
	ow := (image[3]+2*v[3]-(v[1]-1)*v[7]-1)/v[5] + 1
	if oh < 1 || ow < 1 || image[2]+2*v[2] < (v[0]-1)*v[6]+1 || image[3]+2*v[3] < (v[1]-1)*v[7]+1 {
		return nil, fmt.Errorf("windows %v are larger than the image %v", v[:ints], image)
	}
	if columns {
		return []int{image[0], oh, ow, image[1] * v[0] * v[1]}, nil
	}
	return []int{image[0], image[1], oh, ow}, nil
}
