package cpu

import (
	"slices"

	"vanilla/graph/ir"
)

// Programs may hold tensor operations among the layer operations. Layer operations
// run by the kernels of plan.go. Of the others, what is element by element, or a sum
// or maximum along an axis, of values in panels runs on panels; everything else runs
// on plain, row-major arrays. What is written in one layout and read in another is
// copied between.

// place of a value's elements among the layouts that maps run on.
type shapeKind uint8

const (
	inPlain  shapeKind = iota // row-major, whatever the shape
	inPanels                  // a row per example
	inColumn                  // one number per example
	inRow                     // one row for all examples
	inNumber                  // one number
)

// kindOf is how maps see a shape.
func kindOf(s ir.Shape) shapeKind {
	extents := s.Extents()
	batch, wide := 0, 0
	for k, e := range extents {
		switch {
		case e == ir.Fixed(1):
		case k == 0 && e == ir.PerBatch(1):
			batch++
		case k == len(extents)-1 && e.PerBatch == 0:
			wide++
		default:
			return inPlain
		}
	}
	switch {
	case len(extents) > 2 && batch+wide > 0:
		return inPlain
	case batch == 1 && wide == 1:
		return inPanels
	case batch == 1:
		return inColumn
	case wide == 1:
		return inRow
	}
	return inNumber
}

// home is the layout in which a tensor operation of that kind leaves its result.
func (k shapeKind) home() layout {
	switch k {
	case inPanels, inRow:
		return rows
	case inColumn, inNumber:
		return spread
	}
	return plain
}

// tensorPlan lays a program out: it is the program with a copy for each value that
// is wanted in another layout than it is written in.
type tensorPlan struct {
	p      *ir.Program // the copy; operations that copy are Reshapes
	layout []layout
	// copies are the copies of values so far, by layout.
	copies map[ir.ID]map[layout]ir.ID
	// views are values that are another one with other axes.
	views map[ir.ID]ir.ID
	// inverses are the values' inverses so far.
	inverses map[ir.ID]ir.ID
	by       map[ir.ID]ir.Op
	// read are the shapes that operations see their operands in: a view's, not
	// those of what it shows.
	read map[ir.ID][]ir.Shape
}

func layOut(program *ir.Program) *tensorPlan {
	p := *program
	p.Values, p.Params = slices.Clone(p.Values), slices.Clone(p.Params)
	t := &tensorPlan{p: &p, layout: layouts(program), copies: map[ir.ID]map[layout]ir.ID{}, views: map[ir.ID]ir.ID{}, inverses: map[ir.ID]ir.ID{},
		by: map[ir.ID]ir.Op{}, read: map[ir.ID][]ir.Shape{}}
	touched := make([]bool, len(p.Values)) // by layer operations
	for _, op := range p.Ops {
		if op.Code.Layer() {
			touched[op.Out] = true
			for _, a := range op.Args {
				touched[a] = true
			}
		}
	}
	if !touched[p.Input] && !slices.ContainsFunc(p.Ops, func(op ir.Op) bool {
		return slices.Contains(op.Args, p.Input) && (op.Code != ir.Reshape || kindOf(p.Value(op.Out).Shape) != inPlain)
	}) {
		t.layout[p.Input] = plain
	}
	for _, q := range p.Params {
		if !touched[q.Value] && !touched[q.Grad] {
			t.layout[q.Value] = kindOf(p.Value(q.Value).Shape).home()
		}
	}
	for _, op := range p.Ops {
		if !op.Code.Layer() {
			t.layout[op.Out] = kindOf(p.Value(op.Out).Shape).home()
		}
	}
	ops, forward := p.Ops, p.Forward
	p.Ops = nil
	for i, op := range ops {
		if i == forward {
			p.Forward = len(p.Ops)
		}
		t.add(op)
	}
	if forward == len(ops) {
		p.Forward = len(p.Ops)
	}
	for i, q := range p.Params {
		p.Params[i].Grad = t.in(q.Grad, t.layout[q.Value])
	}
	p.Output = t.in(p.Output, rows)
	p.Loss = t.source(p.Loss)
	return t
}

// source is the value that a view shows.
func (t *tensorPlan) source(id ir.ID) ir.ID {
	for {
		of, ok := t.views[id]
		if !ok {
			return id
		}
		id = of
	}
}

func (t *tensorPlan) shape(id ir.ID) ir.Shape { return t.p.Value(id).Shape }

// in is a value in a layout: itself, or a copy.
func (t *tensorPlan) in(view ir.ID, want layout) ir.ID {
	id := t.source(view)
	have := t.layout[id]
	if have == want || have == spread && want == rows { // whose first lane is the value
		return id
	}
	if c, ok := t.copies[id][want]; ok {
		return c
	}
	v := t.p.Value(view)
	c := ir.ID(len(t.p.Values))
	t.p.Values = append(t.p.Values, ir.Value{Name: v.Name + " " + want.String(), Shape: v.Shape})
	t.layout = append(t.layout, want)
	if t.copies[id] == nil {
		t.copies[id] = map[layout]ir.ID{}
	}
	t.copies[id][want] = c
	t.read[c] = []ir.Shape{v.Shape}
	t.emit(ir.Op{Code: ir.Reshape, Out: c, Args: []ir.ID{id}})
	return c
}

func (t *tensorPlan) emit(op ir.Op) {
	t.by[op.Out] = op
	t.p.Ops = append(t.p.Ops, op)
}

// add lays out one operation: its operands are brought to the layouts that its
// kernel reads.
func (t *tensorPlan) add(op ir.Op) {
	op.Args = slices.Clone(op.Args)
	for _, a := range op.Args {
		t.read[op.Out] = append(t.read[op.Out], t.shape(a))
	}
	if op.Code.Layer() {
		for k, a := range op.Args {
			if s := t.shape(a); s.Rows == ir.Batch {
				op.Args[k] = t.in(a, rows)
			}
		}
		t.emit(op)
		return
	}
	out := kindOf(t.shape(op.Out))
	switch {
	case op.Code == ir.Reshape && t.sameKind(op):
		t.views[op.Out] = op.Args[0]
		return
	case op.Code == ir.Reshape && (out == inPlain || t.layout[t.source(op.Args[0])] == plain):
		t.views[op.Out] = t.in(op.Args[0], plain)
		return
	case op.Code == ir.Map:
		for k, a := range op.Args {
			op.Args[k] = t.operand(a, out)
		}
		if op.Fn == ir.FnDiv && out == inPanels && kindOf(t.shape(op.Args[1])) != inPanels {
			op.Fn, op.Args[1] = ir.FnMul, t.inverse(op.Args[1])
		}
	case op.Code == ir.Repeat && out != inPlain && kindOf(t.shape(op.Args[0])) != inPlain:
		op.Args[0] = t.operand(op.Args[0], out)
	case op.Code == ir.Reduce && t.reduces(op) != byIndex:
		from := kindOf(t.shape(op.Args[0]))
		op.Args[0] = t.in(op.Args[0], from.home())
	case op.Code == ir.Random && out == inPanels, op.Code == ir.Const:
	default:
		for k, a := range op.Args {
			op.Args[k] = t.in(a, plain)
		}
	}
	if !t.onPanels(op) { // written plain, and copied for who wants panels
		t.layout[op.Out] = plain
	}
	t.emit(op)
}

// inverse is 1/v of a value that divides whole panels: a multiplication by it takes
// a tenth of a division's time, and rounds once more.
func (t *tensorPlan) inverse(id ir.ID) ir.ID {
	if inv, ok := t.inverses[id]; ok {
		return inv
	}
	v := t.p.Value(id)
	inv := ir.ID(len(t.p.Values))
	t.p.Values = append(t.p.Values, ir.Value{Name: "1/" + v.Name, Shape: v.Shape})
	t.layout = append(t.layout, t.layout[id])
	t.inverses[id] = inv
	t.read[inv] = []ir.Shape{v.Shape}
	t.emit(ir.Op{Code: ir.Map, Fn: ir.FnInv, Out: inv, Args: []ir.ID{id}})
	return inv
}

// sameKind reports whether a Reshape changes nothing of a value's layout.
func (t *tensorPlan) sameKind(op ir.Op) bool {
	from, to := kindOf(t.shape(op.Args[0])), kindOf(t.shape(op.Out))
	return from == to && t.layout[t.source(op.Args[0])] == from.home()
}

// onPanels reports whether an operation's kernel writes its kind's own layout.
func (t *tensorPlan) onPanels(op ir.Op) bool {
	switch op.Code {
	case ir.Map, ir.Const:
		return true
	case ir.Reduce:
		return t.reduces(op) != byIndex
	case ir.Repeat:
		return kindOf(t.shape(op.Out)) != inPlain && kindOf(t.read[op.Out][0]) != inPlain
	case ir.Random:
		return kindOf(t.shape(op.Out)) == inPanels
	}
	return false
}

// operand is what a map of that kind reads in the place of a value: for a
// repetition, what is repeated.
func (t *tensorPlan) operand(id ir.ID, out shapeKind) ir.ID {
	if out != inPlain {
		for {
			op, ok := t.by[t.source(id)]
			if !ok || op.Code != ir.Repeat || kindOf(t.shape(op.Args[0])) == inPlain {
				break
			}
			id = op.Args[0]
		}
	}
	k := kindOf(t.shape(id))
	if k == inNumber {
		return t.in(id, spread)
	}
	if out == inPlain {
		return t.in(id, plain)
	}
	return t.in(id, k.home())
}

// reduction is how a Reduce runs.
type reduction uint8

const (
	byIndex    reduction = iota
	ofColumns            // along the rows: a number per example
	ofRows               // along the examples: a row
	ofAll                // both: one number
	ofExamples           // of a number per example: one number
	ofRow                // of one row: one number
)

func (t *tensorPlan) reduces(op ir.Op) reduction {
	s := t.read[op.Out][0]
	extents := s.Extents()
	has := func(axis int) bool { return slices.Contains(op.Axes, axis) }
	last := len(extents) - 1
	switch kindOf(s) {
	case inPanels:
		switch {
		case has(0) && has(last):
			return ofAll
		case has(last):
			return ofColumns
		case has(0):
			return ofRows
		}
	case inColumn:
		if has(0) {
			return ofExamples
		}
	case inRow:
		if has(last) {
			return ofRow
		}
	}
	return byIndex
}

// ordered reports whether it matters in which order a batch's examples run: random
// numbers, and whatever examples have to do with each other, belong to places in the
// batch.
func (c *plan) ordered() bool {
	if c.tensor == nil {
		return false
	}
	return c.program.Coupled() || slices.ContainsFunc(c.program.Ops, func(op ir.Op) bool { return op.Code == ir.Random })
}

// compileTensor makes the plan of a program with tensor operations. It is
// evaluated in batches as large as those it is trained in, each with a loss of its
// own.
func compileTensor(program *ir.Program) (*plan, error) {
	t := layOut(program)
	p := t.p
	c := &plan{program: p, layout: t.layout, tensor: t, values: len(program.Values)}
	evaluated := p.Ops[:p.Forward]
	if i := slices.IndexFunc(p.Ops[p.Forward:], func(op ir.Op) bool { return op.Out == p.Output }); i >= 0 {
		evaluated = append(slices.Clone(evaluated), p.Ops[p.Forward+i]) // a copy of the output
	}
	kept := []ir.ID{p.Output, p.Loss}
	var err error
	if c.chunk, err = c.schedule(evaluated, kept, selectKernels, dropUnread, fuseConvolutions, fuseRectifiers, dropUnread, rectifyInPlace, fuseDenseActivation, fuseMulAdd, groupMaps, expandInput, expandTarget); err != nil {
		return nil, err
	}
	return c, c.planForward(program, evaluated)
}

// planForward plans the values of a program, laid out, that evaluated operations
// compute per example without its label.
func (c *plan) planForward(program *ir.Program, evaluated []ir.Op) error {
	labelled := map[ir.ID]bool{program.Target: true}
	var ops []ir.Op
	for _, op := range evaluated {
		if slices.ContainsFunc(op.Args, func(a ir.ID) bool { return labelled[a] }) {
			labelled[op.Out] = true
		} else {
			ops = append(ops, op)
		}
	}
	windows := map[ir.ID]bool{} // and their products: by far the largest values, which nobody looks at
	var kept []ir.ID
	for _, op := range program.Ops[:program.Forward] {
		id := op.Out
		holds := c.tensor.source(id)
		if program.Output == id {
			holds = c.program.Output
		}
		if labelled[holds] || program.Value(id).Shape.Rows != ir.Batch {
			continue
		}
		c.forwarded = append(c.forwarded, forwarded{id, holds})
		if op.Code == ir.Im2Col || op.Code == ir.MatMul && windows[c.tensor.source(op.Args[0])] {
			windows[holds] = true
		}
		if !windows[holds] { // nor what shows them with other axes
			kept = append(kept, holds)
		}
	}
	var err error
	if c.forward, err = c.schedule(ops, kept, selectKernels, dropUnread, fuseConvolutions, dropUnread); err != nil {
		return err
	}
	written := map[ir.ID]bool{}
	for _, k := range c.forward {
		for _, id := range k.writes() {
			written[id] = true
		}
	}
	c.forwarded = slices.DeleteFunc(c.forwarded, func(f forwarded) bool { return !written[f.holds] })
	return nil
}
