package cuda

import (
	"fmt"
	"math"
	"slices"

	"vanilla/graph/ir"
)

// operation is one operation of the kernel: a layer operation, or a tensor
// operation on memory.
type operation struct {
	code ir.Code
	op   *ir.Op // a layer operation
	out  strided
	args []strided // of a layer operation
	// param is a parameter that a gradient updates at once, -1 if there is none.
	param int

	tensor       packedTensor
	views        []strided
	instructions []packedInstruction

	text string // for people
}

// lowering turns a program into what the kernel runs at one batch size. Constants
// become numbers in instructions, and views become strides; of what is left, maps
// are gathered into passes. What is not needed for the results is left out.
type lowering struct {
	p        *ir.Program
	batch    int
	training bool // else random numbers are their mean
	results  map[ir.ID]bool
	updates  map[ir.ID]int // gradients that update parameters at once

	seen    []*strided // by value: where it is, once it is computed
	number  []*float32 // by value: what all of its elements are
	stream  map[*ir.Op]int32
	users   map[ir.ID][]*ir.Op
	pending []*ir.Op
	ops     []operation
	numbers []float32 // that stand in the program
}

// streamRandom is the first stream of a program's random numbers, as in
// kernels.NewNoise.
const streamRandom = 1 << 24

// updatesOf are the gradients that are parameters' and nothing else, and that an
// operation computes which can update the parameter instead of storing them: with
// the parameters' numbers.
func updatesOf(p *ir.Program) map[ir.ID]int {
	read := map[ir.ID]int{}
	by := map[ir.ID]ir.Code{}
	for _, op := range p.Ops {
		by[op.Out] = op.Code
		for _, a := range op.Args {
			read[a]++
		}
	}
	for _, q := range p.Params {
		read[q.Grad]++
	}
	updates := map[ir.ID]int{}
	for i, q := range p.Params {
		if c := by[q.Grad]; (c == ir.DWeight || c == ir.DBias) && read[q.Grad] == 1 {
			updates[q.Grad] = i
		}
	}
	return updates
}

// lower computes the results with the first ops operations of a program. Those that
// update parameters come last: then nobody reads the parameters any more. Numbers are
// what stands in the program already.
func lower(p *ir.Program, ops, batch int, training bool, results []ir.ID, updates map[ir.ID]int, numbers []float32) *lowering {
	w := &lowering{p: p, batch: batch, training: training, results: map[ir.ID]bool{}, updates: updates, seen: make([]*strided, len(p.Values)),
		number: make([]*float32, len(p.Values)), stream: map[*ir.Op]int32{}, users: map[ir.ID][]*ir.Op{}, numbers: numbers}
	given := func(id ir.ID, s space) {
		v := wholeOf(base{space: s, id: id}, p.Value(id).Shape.At(batch))
		w.seen[id] = &v
	}
	given(p.Input, inputSpace)
	given(p.Target, targetSpace)
	for _, q := range p.Params {
		given(q.Value, stateSpace)
	}
	needed := map[ir.ID]bool{}
	for _, id := range results {
		needed[id], w.results[id] = true, true
	}
	for id := range updates {
		needed[id] = true
	}
	for i := range p.Ops {
		if op := &p.Ops[i]; op.Code == ir.Random {
			w.stream[op] = int32(streamRandom + len(w.stream))
		}
	}
	for i := ops - 1; i >= 0; i-- {
		op := &p.Ops[i]
		if !needed[op.Out] {
			continue
		}
		w.pending = append(w.pending, op)
		for _, a := range op.Args {
			needed[a] = true
			w.users[a] = append(w.users[a], op)
		}
	}
	slices.Reverse(w.pending)
	slices.SortStableFunc(w.pending, func(a, b *ir.Op) int { return w.last(a) - w.last(b) })
	for len(w.pending) > 0 {
		op := w.pending[0]
		w.pending = w.pending[1:]
		switch {
		case w.view(op):
		case op.Code == ir.Map:
			w.group(op)
		case op.Code.Layer():
			w.layer(op)
		default:
			w.tensor(op)
		}
	}
	for _, id := range results {
		s := w.rowMajor(id)
		if s.of.space != workSpace { // it must not change while others are updated
			w.copy(id)
		}
	}
	return w
}

// last is 1 for what updates a parameter.
func (w *lowering) last(op *ir.Op) int {
	if _, ok := w.updates[op.Out]; ok {
		return 1
	}
	return 0
}

func (w *lowering) extents(id ir.ID) []int { return w.p.Value(id).Shape.At(w.batch) }

func (w *lowering) name(id ir.ID) string { return w.p.Value(id).Name }

// known reports whether a value is computed, or needs not be.
func (w *lowering) known(id ir.ID) bool { return w.seen[id] != nil || w.number[id] != nil }

// store gives a value memory.
func (w *lowering) store(id ir.ID) strided {
	s := wholeOf(base{space: workSpace, id: id}, w.extents(id))
	w.seen[id] = &s
	return s
}

// view does what takes no operation: constants, and the views of what is known. It
// reports whether it did.
func (w *lowering) view(op *ir.Op) bool {
	set := func(s strided) bool {
		w.seen[op.Out] = &s
		return true
	}
	constant := func(v float64) bool {
		number := float32(v)
		w.number[op.Out] = &number
		return true
	}
	switch op.Code {
	case ir.Const:
		if op.Data == nil {
			return constant(op.Value.At(w.batch))
		}
		at := len(w.numbers)
		for _, v := range op.Data {
			w.numbers = append(w.numbers, float32(v))
		}
		s := wholeOf(base{space: numbersSpace}, w.extents(op.Out))
		s.offset = at
		return set(s)
	case ir.Random:
		return !w.training && constant(op.Mean())
	case ir.Reshape, ir.Transpose, ir.Repeat, ir.Slice:
	default:
		return false
	}
	from := op.Args[0]
	if !w.known(from) { // of a map's inner value, which nobody else needs
		return true
	}
	if v := w.number[from]; v != nil {
		return constant(float64(*v))
	}
	s, to := *w.seen[from], w.extents(op.Out)
	switch op.Code {
	case ir.Reshape:
		r, ok := s.reshaped(to)
		if !ok {
			r, _ = w.rowMajor(from).reshaped(to)
		}
		return set(r)
	case ir.Transpose:
		return set(s.transposed(op.Axes))
	case ir.Repeat:
		return set(s.repeated(op.Axes[0], to[op.Axes[0]]))
	}
	axis := op.Axes[0]
	return set(s.sliced(axis, op.Ints[0].At(w.batch), op.Ints[2].At(w.batch), to[axis]))
}

// rowMajor is a value whose elements lie one after the other: itself, or a copy.
func (w *lowering) rowMajor(id ir.ID) strided {
	if s := w.seen[id]; s != nil && s.of.space != targetSpace && s.contiguous() {
		return *s
	}
	return w.copy(id)
}

// numeric is a value as elements of memory.
func (w *lowering) numeric(id ir.ID) strided {
	if s := w.seen[id]; s != nil && s.of.space != targetSpace {
		return *s
	}
	return w.copy(id)
}

// copy copies a value in row-major order. Who reads it later reads the copy.
func (w *lowering) copy(id ir.ID) strided {
	to := wholeOf(base{workSpace, id, true}, w.extents(id))
	w.move(w.source(id), w.name(id), to)
	w.seen[id], w.number[id] = &to, nil
	return to
}

// source is a value that no map of the same pass computes, as a map's operand. The
// view it may need stands in views.
func (w *lowering) source(id ir.ID) mapSource {
	if v := w.number[id]; v != nil {
		return mapSource{packedSource{Kind: numberSource, Number: *v}, strided{}}
	}
	s := *w.seen[id]
	if s.of.space == targetSpace {
		if s.offset == 0 && s.contiguous() {
			return mapSource{packedSource{Kind: labelSource, Index: int32(w.p.Classes())}, strided{}}
		}
		s.of = w.numeric(w.p.Target).of // a view of y's rows as numbers
	}
	return mapSource{packedSource{Kind: viewSource}, s}
}

// mapSource is an operand and what it is a view of.
type mapSource struct {
	packed packedSource
	view   strided
}

// move copies elements.
func (w *lowering) move(from mapSource, name string, to strided) {
	o := operation{code: ir.Map, views: []strided{to}, tensor: packedTensor{Length: int32(lengthOf(to.extents)), Instructions: 1}}
	in := packedInstruction{Function: copyFunction, A: from.packed}
	if from.packed.Kind == viewSource {
		in.A.Index = 1
		o.views = append(o.views, from.view)
	}
	o.instructions = []packedInstruction{in}
	o.text = fmt.Sprintf("%d elements of %s copied", o.tensor.Length, name)
	w.ops = append(w.ops, o)
}

func (w *lowering) layer(op *ir.Op) {
	o := operation{code: op.Code, op: op, param: -1}
	for _, a := range op.Args {
		if a == w.p.Target {
			o.args = append(o.args, *w.seen[a])
		} else {
			o.args = append(o.args, w.rowMajor(a))
		}
	}
	if param, ok := w.updates[op.Out]; ok {
		o.param = param
		o.out = strided{of: base{space: noSpace}}
	} else {
		o.out = w.store(op.Out)
	}
	w.ops = append(w.ops, o)
}

// tensor computes what is neither a map nor a view.
func (w *lowering) tensor(op *ir.Op) {
	o := operation{code: op.Code}
	t := &o.tensor
	to := w.extents(op.Out)
	t.Length = int32(lengthOf(to))
	axis := func() int { return op.Axes[0] }
	switch op.Code {
	case ir.MatMul:
		w.matMul(op, &o)

	case ir.Reduce:
		from := w.numeric(op.Args[0])
		var kept, over []int
		for k := range from.extents {
			if slices.Contains(op.Axes, k) {
				over = append(over, k)
			} else {
				kept = append(kept, k)
			}
		}
		inner := from.some(over)
		inner.of, inner.offset = base{}, 0 // it counts from the kept elements
		t.Inner, t.Function = int32(lengthOf(inner.extents)), functionNumber(op.Fn)
		o.views = []strided{w.store(op.Out), from.some(kept), inner}

	case ir.Unslice:
		from := w.source(op.Args[0])
		out := w.store(op.Out)
		w.move(mapSource{}, "zeros", out)
		w.move(from, w.name(op.Args[0]), out.sliced(axis(), op.Ints[0].At(w.batch), op.Ints[2].At(w.batch), w.extents(op.Args[0])[axis()]))
		return

	case ir.Concat:
		out, at := w.store(op.Out), 0
		for _, a := range op.Args {
			n := w.extents(a)[axis()]
			w.move(w.source(a), w.name(a), out.sliced(axis(), at, 1, n))
			at += n
		}
		return

	case ir.Random:
		t.Function, t.Stream = int32(slices.Index(distributions, op.Fn)), w.stream[op]
		t.Number = op.Draw
		if op.Fn == ir.FnUniform {
			t.Number[1] -= t.Number[0]
		}
		o.views = []strided{w.store(op.Out)}

	case ir.Im2Col, ir.Col2Im, ir.MaxPool, ir.MaxPoolGrad:
		var args []strided
		for _, a := range op.Args {
			args = append(args, w.rowMajor(a))
		}
		image, windows := w.extents(op.Args[0]), to
		switch op.Code {
		case ir.Col2Im:
			image, windows = windows, image
		case ir.MaxPoolGrad:
			windows = w.extents(op.Args[1])
		}
		v := []int32{0, 0, 0, 0, 0, 0, 1, 1}
		for k, n := range op.Ints {
			v[k] = int32(n.At(w.batch))
		}
		oh, ow := windows[1], windows[2]
		if op.Code == ir.MaxPool || op.Code == ir.MaxPoolGrad {
			oh, ow = windows[2], windows[3]
		}
		t.Extent = [6]int32{int32(image[0]), int32(oh), int32(ow), int32(image[1]), v[0], v[1]}
		t.Geometry = [8]int32{int32(image[2]), int32(image[3]), v[2], v[3], v[4], v[5], v[6], v[7]}
		o.views = append([]strided{w.store(op.Out)}, args...)

	default:
		panic("cuda: no kernel for " + op.Code.String())
	}
	o.text = fmt.Sprintf("%s = %s", w.name(op.Out), op.Code)
	for _, a := range op.Args {
		o.text += " " + w.name(a)
	}
	w.ops = append(w.ops, o)
}

// matMul multiplies matrices of which the axes before the last two number several.
func (w *lowering) matMul(op *ir.Op, o *operation) {
	a, b := w.numeric(op.Args[0]), w.numeric(op.Args[1])
	r := len(a.extents) - 2
	rowA, innerA := r, r+1
	if op.TransA {
		rowA, innerA = innerA, rowA
	}
	innerB, colB := r, r+1
	if op.TransB {
		innerB, colB = colB, innerB
	}
	out := w.store(op.Out)
	leading := make([]int, r)
	for k := range leading {
		leading[k] = k
	}
	rows, cols := a.extents[rowA], b.extents[colB]
	geometry := [8]int{rows, cols, cols, 1, a.strides[rowA], a.strides[innerA], b.strides[colB], b.strides[innerB]}
	o.views = []strided{out.some(leading), a.some(leading), b.some(leading)}
	if cols > rows { // a tile has more rows
		geometry = [8]int{cols, rows, 1, cols, geometry[6], geometry[7], geometry[4], geometry[5]}
		o.views[1], o.views[2] = o.views[2], o.views[1]
	}
	for k, v := range geometry {
		o.tensor.Geometry[k] = int32(v)
	}
	o.tensor.Length, o.tensor.Inner = int32(lengthOf(a.extents[:r])), int32(a.extents[innerA])
}

// checkLengths fails if a value has more elements than the kernel can number.
func checkLengths(p *ir.Program, batch int) error {
	for _, v := range p.Values {
		if n := v.Shape.Len(batch); n > math.MaxInt32 {
			return fmt.Errorf("%s has %d numbers at batch size %d, want at most %d", v.Name, n, batch, math.MaxInt32)
		}
	}
	return nil
}
