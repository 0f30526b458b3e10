package export

import (
	"fmt"
	"slices"

	"vanilla/graph/ir"
	"vanilla/model"
)

// program adds what an evaluation of a program computes, operation by operation. Values are called what the program
// calls them.
//
// ONNX broadcasts where the program repeats, so repeated values stay as they are until an operation needs all of one.
func (g *onnxGraph) program(p *ir.Program, params []model.Tensor) error {
	w := &onnxWriter{onnxGraph: g, p: p.Evaluation(), values: map[ir.ID]operand{}}
	used := map[ir.ID]bool{}
	for _, op := range w.p.Ops {
		for _, a := range op.Args {
			if a == p.Target {
				return fmt.Errorf("operation %s, which computes %q, reads the labels: expected outputs that depend on the pixels alone", op.Code, p.Value(op.Out).Name)
			}
			used[a] = true
		}
	}
	w.values[p.Input] = operand{onnxInput, p.Value(p.Input).Shape.Extents()}
	for i, q := range p.Params {
		if used[q.Value] {
			v := p.Value(q.Value)
			w.values[q.Value] = operand{g.initializer(g.unique(v.Name), v.Shape.At(1), params[i].Data), v.Shape.Extents()}
		}
	}
	for i := range w.p.Ops {
		op := &w.p.Ops[i]
		out, err := w.operation(op)
		if err != nil {
			return fmt.Errorf("operation %s, which computes %q: %w", op.Code, p.Value(op.Out).Name, err)
		}
		w.values[op.Out] = out
	}
	if p.Softmax() {
		g.node("Softmax", onnxOutput, []string{w.full(p.Output)}, attribute{"axis", 1})
	} else {
		g.node("Identity", onnxOutput, []string{w.full(p.Output)})
	}
	return nil
}

// unique is a name that nothing has yet: this one, or one that begins with it.
func (g *onnxGraph) unique(name string) string {
	for base, k := name, 2; g.taken[name]; k++ {
		name = fmt.Sprintf("%s.%d", base, k)
	}
	g.taken[name] = true
	return name
}

// onnxWriter adds a program's operations to a graph.
type onnxWriter struct {
	*onnxGraph
	p      *ir.Program
	values map[ir.ID]operand
	// sizes are the batch size as the file computes it: whole, of one axis, and as a number.
	size, number string
}

// operand is a value in the file. Its extents are those of the program's value, but for axes along which the value is
// repeated, where they may be 1; a single number may have no axes.
type operand struct {
	name    string
	extents []ir.Extent
}

var unit = ir.Fixed(1)

// full is the name of a value with all of its elements.
func (w *onnxWriter) full(id ir.ID) string {
	o, want := w.values[id], w.p.Value(id).Shape.Extents()
	if slices.Equal(o.extents, want) {
		return o.name
	}
	// Along axes that are there, a 1 lets Expand take the operand's own.
	shape := slices.Clone(want)
	for k := range shape {
		if len(o.extents) == len(want) && o.extents[k] == want[k] {
			shape[k] = unit
		}
	}
	name := w.unique(w.p.Value(id).Name + ".full")
	w.values[id] = operand{w.node("Expand", name, []string{o.name, w.shape(name, shape)}), want}
	return name
}

// shape is a list of extents as a file's constant, or as computed from the batch size.
func (w *onnxWriter) shape(of string, extents []ir.Extent) string {
	if !slices.ContainsFunc(extents, func(e ir.Extent) bool { return e.PerBatch != 0 }) {
		var fixed []int
		for _, e := range extents {
			fixed = append(fixed, int(e.Fixed))
		}
		return w.integers(w.unique(of+".shape"), fixed...)
	}
	var parts []string
	for _, e := range extents {
		parts = append(parts, w.extent(of, e))
	}
	if len(parts) == 1 {
		return parts[0]
	}
	return w.node("Concat", w.unique(of+".shape"), parts, attribute{"axis", 0})
}

// extent is an extent as a list of one number.
func (w *onnxWriter) extent(of string, e ir.Extent) string {
	if e.PerBatch == 0 {
		return w.integers(w.unique(of+".extent"), int(e.Fixed))
	}
	if w.size == "" {
		all := w.node("Shape", w.unique("pixels.shape"), []string{onnxInput})
		w.size = w.node("Gather", w.unique("batch"), []string{all, w.integers(w.unique("batch.axis"), 0)})
	}
	n := w.size
	if e.PerBatch != 1 {
		n = w.node("Mul", w.unique(of+".examples"), []string{n, w.integers(w.unique(of+".times"), int(e.PerBatch))})
	}
	if e.Fixed != 0 {
		n = w.node("Add", w.unique(of+".extent"), []string{n, w.integers(w.unique(of+".more"), int(e.Fixed))})
	}
	return n
}

// constant is a number that may depend on the batch size.
func (w *onnxWriter) constant(name string, n ir.Number) string {
	if n.PerBatch == 0 && n.OverBatch == 0 {
		return w.scalar(name, float32(n.Fixed))
	}
	if w.number == "" {
		one := w.node("Cast", w.unique("batch.number"), []string{w.extent("", ir.PerBatch(1))}, attribute{"to", 1}) // FLOAT
		w.number = w.node("Squeeze", w.unique("batch.scalar"), []string{one})
	}
	var terms []string
	if n.Fixed != 0 {
		terms = append(terms, w.scalar(w.unique(name+".fixed"), float32(n.Fixed)))
	}
	if n.PerBatch != 0 {
		terms = append(terms, w.node("Mul", w.unique(name+".each"), []string{w.scalar(w.unique(name+".slope"), float32(n.PerBatch)), w.number}))
	}
	if n.OverBatch != 0 {
		terms = append(terms, w.node("Div", w.unique(name+".share"), []string{w.scalar(w.unique(name+".whole"), float32(n.OverBatch)), w.number}))
	}
	for len(terms) > 2 {
		terms = append(terms[2:], w.node("Add", w.unique(name+".sum"), terms[:2]))
	}
	if len(terms) == 1 {
		return w.node("Identity", name, terms)
	}
	return w.node("Add", name, terms)
}

// operation adds an operation, and returns its result.
func (w *onnxWriter) operation(op *ir.Op) (operand, error) {
	v := w.p.Value(op.Out)
	name := w.unique(v.Name)
	out := operand{name, v.Shape.Extents()}
	arg := func(k int) string { return w.full(op.Args[k]) }
	switch op.Code {
	case ir.Dense:
		var inputs []string
		for k := range op.Args {
			inputs = append(inputs, arg(k))
		}
		w.node("Gemm", name, inputs, attribute{"transB", 1})
	case ir.Act:
		out.name = w.activation(op.Act, name, arg(0))
	case ir.Add:
		b := arg(1)
		if op.Scale != 1 {
			b = w.node("Mul", w.unique(name+".scaled"), []string{b, w.scalar(w.unique(name+".scale"), float32(op.Scale))})
		}
		w.node("Add", name, []string{arg(0), b})
	case ir.Const:
		if op.Data == nil {
			return operand{w.constant(name, op.Value), nil}, nil
		}
		w.initializer(name, v.Shape.At(1), floats32(op.Data))
	case ir.Map:
		return w.mapped(op, name), nil
	case ir.MatMul:
		w.product(op, name, arg(0), arg(1))
	case ir.Reduce:
		switch {
		case len(op.Axes) == 0:
			return w.values[op.Args[0]], nil
		case op.Fn == ir.FnSum:
			w.node("ReduceSum", name, []string{arg(0), w.integers(w.unique(name+".axes"), op.Axes...)})
		default:
			w.node("ReduceMax", name, []string{arg(0)}, attribute{"axes", op.Axes})
		}
	case ir.Reshape:
		w.node("Reshape", name, []string{arg(0), w.reshaped(name, out.extents)})
	case ir.Transpose:
		w.node("Transpose", name, []string{arg(0)}, attribute{"perm", op.Axes})
	case ir.Repeat:
		return w.values[op.Args[0]], nil // until somebody needs all of it
	case ir.Slice:
		inputs := []string{arg(0), w.extent(name, op.Ints[0]), w.extent(name, op.Ints[1])}
		inputs = append(inputs, w.integers(w.unique(name+".axis"), op.Axes...), w.extent(name, op.Ints[2]))
		w.node("Slice", name, inputs)
	case ir.Concat:
		var parts []string
		for k := range op.Args {
			parts = append(parts, arg(k))
		}
		w.node("Concat", name, parts, attribute{"axis", op.Axes[0]})
	case ir.Im2Col:
		return out, w.windows(op, name, arg(0))
	case ir.MaxPool:
		n, err := fixedInts(op)
		if err != nil {
			return out, err
		}
		w.node("MaxPool", name, []string{arg(0)}, attribute{"kernel_shape", n[0:2]}, attribute{"pads", []int{n[2], n[3], n[2], n[3]}}, attribute{"strides", n[4:6]})
	case ir.Unslice, ir.Col2Im, ir.MaxPoolGrad:
		return out, fmt.Errorf("it is a gradient, which the outputs depend on here: expected operations of a forward pass")
	default:
		return out, fmt.Errorf("it has no operator here: expected operations that outputs are computed by")
	}
	return out, nil
}

// reshaped is the shape for a Reshape, in which one extent is whatever is left.
func (w *onnxWriter) reshaped(name string, extents []ir.Extent) string {
	shape, moving := slices.Clone(extents), 0
	for k, e := range shape {
		if e.PerBatch != 0 {
			shape[k] = ir.Fixed(-1)
			moving++
		}
	}
	if moving > 1 {
		return w.shape(name, extents)
	}
	return w.shape(name, shape)
}

// product adds a MatMul.
func (w *onnxWriter) product(op *ir.Op, name, a, b string) {
	rank := len(w.p.Value(op.Out).Shape.Extents())
	if rank == 2 {
		var how []attribute
		if op.TransA {
			how = append(how, attribute{"transA", 1})
		}
		if op.TransB {
			how = append(how, attribute{"transB", 1})
		}
		w.node("Gemm", name, []string{a, b}, how...)
		return
	}
	swapped := make([]int, rank)
	for k := range swapped {
		swapped[k] = k
	}
	swapped[rank-1], swapped[rank-2] = rank-2, rank-1
	if op.TransA {
		a = w.node("Transpose", w.unique(name+".a"), []string{a}, attribute{"perm", swapped})
	}
	if op.TransB {
		b = w.node("Transpose", w.unique(name+".b"), []string{b}, attribute{"perm", swapped})
	}
	w.node("MatMul", name, []string{a, b})
}

// windows adds an Im2Col, for which there is no operator: a convolution whose filters are each one pixel of the window,
// of each channel by itself, with the windows' elements put last.
func (w *onnxWriter) windows(op *ir.Op, name, image string) error {
	n, err := fixedInts(op)
	if err != nil {
		return err
	}
	channels := int(w.p.Value(op.Args[0]).Shape.Extents()[1].Fixed)
	size := n[0] * n[1]
	filters := make([]float32, channels*size*size)
	for i := range channels * size {
		filters[i*size+i%size] = 1
	}
	pixels := w.initializer(w.unique(name+".filters"), []int{channels * size, 1, n[0], n[1]}, filters)
	columns := w.node("Conv", w.unique(name+".columns"), []string{image, pixels}, attribute{"kernel_shape", n[0:2]},
		attribute{"pads", []int{n[2], n[3], n[2], n[3]}}, attribute{"strides", n[4:6]}, attribute{"dilations", n[6:8]}, attribute{"group", channels})
	w.node("Transpose", name, []string{columns}, attribute{"perm", []int{0, 2, 3, 1}})
	return nil
}

// fixedInts are an operation's numbers, which must not depend on the batch size.
func fixedInts(op *ir.Op) (all []int, err error) {
	for _, e := range op.Ints {
		if e.PerBatch != 0 {
			return nil, fmt.Errorf("windows of %v: expected a size that does not depend on the batch size, which attributes cannot hold", op.Ints)
		}
		all = append(all, int(e.Fixed))
	}
	return all, nil
}

func floats32(values []float64) []float32 {
	all := make([]float32, len(values))
	for i, v := range values {
		all[i] = float32(v)
	}
	return all
}
