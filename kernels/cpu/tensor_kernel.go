package cpu

import (
	"slices"
	"strings"

	"vanilla/graph/ir"
	"vanilla/kernels"
)

// expandY writes the batch's targets: its labels as one-hot rows, if it has no
// others.
type expandY struct{ y ir.ID }

func (k expandY) bind(m *machine) func() {
	y, classes := m.values[k.y], m.cols(k.y)
	return func() {
		clear(y[:m.n*padded(classes)])
		for i, l := range m.now.labels[:m.n] {
			c := int(l)
			if t := m.now.target(i, classes); t == nil {
				y[(c/lanes*m.n+i)*lanes+c%lanes] = 1
			} else {
				for c, v := range t {
					y[(c/lanes*m.n+i)*lanes+c%lanes] = v
				}
			}
		}
	}
}

// elementwise is Map, or Repeat, on panels or on plain arrays.
type elementwise struct {
	out  ir.ID
	fn   ir.Fn // empty for Repeat
	args []ir.ID
	kind shapeKind // of the result
}

func (k elementwise) bind(m *machine) func() { return mapGroup{[]elementwise{k}}.bind(m) }

// A group of maps runs on so many numbers of each value at a time, so that what
// one map writes is in the first-level cache when the next one reads it.
const groupChunk = 2048

// chunk is a part of a value on which maps run: rows of some panels, all if there
// are several.
type chunk struct{ panel, panels, row, rows int }

// mapped is an operand of a map that is ready to run: whether it moves from row
// to row and from panel to panel.
type mapped struct {
	v            []float32
	rows, panels bool
}

// in returns where the operand begins in a chunk of n rows a panel, and its
// steps.
func (o *mapped) in(c chunk, n int) (at []float32, row, next int) {
	switch {
	case o.rows && o.panels:
		return o.v[(c.panel*n+c.row)*lanes:], rowBytes, 0 // a chunk of several panels has all rows
	case o.rows:
		return o.v[c.row*lanes:], rowBytes, -c.rows * rowBytes
	case o.panels:
		return o.v[c.panel*lanes:], 0, rowBytes
	}
	return o.v, 0, 0
}

// operand is a value for a map whose result is of that kind.
func (m *machine) operand(id ir.ID, out shapeKind) mapped {
	of := kindOf(m.plan.program.Value(id).Shape)
	o := mapped{v: m.values[id], rows: true, panels: true}
	switch {
	case of == inNumber && out != inNumber:
		o.rows, o.panels = false, false
	case of == inColumn && out == inPanels:
		o.panels = false
	case of == inRow && out == inPanels:
		o.rows = false
	}
	return o
}

// ready is the map as a function of the chunk and the rows of a panel.
func (k elementwise) ready(m *machine) func(c chunk, n int) {
	out := m.values[k.out]
	var in []mapped
	for _, a := range k.args {
		in = append(in, m.operand(a, k.kind))
	}
	result := func(c chunk, n int) []float32 { return out[(c.panel*n+c.row)*lanes:][:c.panels*c.rows*lanes] }
	switch len(in) {
	case 1:
		f, a := m.unary(k.fn), in[0]
		if k.kind == inColumn && k.fn.Unary() != nil && !vectorised[k.fn] {
			f = oncePerExample(f)
		}
		if a.rows && a.panels {
			return func(c chunk, n int) {
				to := result(c, n)
				at, _, _ := a.in(c, n)
				f(to, at[:len(to)])
			}
		}
		one := slices.Repeat([]float32{1}, lanes)
		return func(c chunk, n int) {
			to := result(c, n)
			at, row, next := a.in(c, n)
			m.maps.mul(to, at, one, c.rows, c.panels, row, next, 0, 0)
			if k.fn != "" {
				f(to, to)
			}
		}
	case 2:
		if k.fn == fnWhere {
			return func(c chunk, n int) {
				to := result(c, n)
				a, _, _ := in[0].in(c, n)
				b, _, _ := in[1].in(c, n)
				m.rectifyBackward(to, a[:len(to)], b[:len(to)], 0)
			}
		}
		f, a, b := m.binary(k.fn), in[0], in[1]
		return func(c chunk, n int) {
			a, aRow, aNext := a.in(c, n)
			b, bRow, bNext := b.in(c, n)
			f(result(c, n), a, b, c.rows, c.panels, aRow, aNext, bRow, bNext)
		}
	}
	f, a, b, d := m.maps.mulAdd, in[0], in[1], in[2]
	if k.fn == fnMulSub {
		f = m.maps.mulSub
	}
	return func(c chunk, n int) {
		a, aRow, aNext := a.in(c, n)
		b, bRow, bNext := b.in(c, n)
		d, dRow, dNext := d.in(c, n)
		f(result(c, n), a, b, d, c.rows, c.panels, aRow, aNext, bRow, bNext, dRow, dNext)
	}
}

// vectorised are functions of one operand that take little more than a copy, so
// that they may as well run on 16 columns that hold one number.
var vectorised = map[ir.Fn]bool{ir.FnNeg: true, ir.FnAbs: true, ir.FnSqrt: true, ir.FnInv: true, ir.FnSquare: true, ir.FnCube: true}

// oncePerExample computes a function once for the 16 columns that hold one number.
func oncePerExample(f map1) map1 {
	var all []float32
	return func(out, a []float32) {
		n := len(out) / lanes
		if len(all) < padded(n) {
			all = make([]float32, padded(n))
		}
		for i := range n {
			all[i] = a[i*lanes]
		}
		f(all[:padded(n)], all[:padded(n)])
		for i, v := range all[:n] {
			*(*[lanes]float32)(out[i*lanes:]) = [lanes]float32{v, v, v, v, v, v, v, v, v, v, v, v, v, v, v, v}
		}
	}
}

// mapGroup is maps of one kind and extent, one after the other.
type mapGroup struct{ maps []elementwise }

func (g mapGroup) bind(m *machine) func() {
	first := g.maps[0]
	cols, kind := m.cols(first.out), first.kind
	var run []func(c chunk, n int)
	var clear []ir.ID // values whose columns beyond the width may hold anything
	risk := kind == inRow
	for _, k := range g.maps {
		run = append(run, k.ready(m))
		risk = risk || kind == inPanels && risky[k.fn]
		if risk && cols%lanes != 0 {
			clear = append(clear, k.out)
		}
	}
	shape := m.plan.program.Value(first.out).Shape
	single := len(run) == 1
	return func() {
		n, count := m.n, 1 // rows of a panel, and panels
		switch kind {
		case inPanels:
			count = panels(cols)
		case inRow:
			n = panels(cols)
		case inNumber:
			n = 1
		case inPlain:
			n = panels(shape.Len(m.n))
		}
		for c := (chunk{panels: count, rows: n}); c.panel < count; {
			if !single {
				c.panels = min(max(1, groupChunk/(n*lanes)), count-c.panel)
				c.rows = n
				if n*lanes > groupChunk {
					c.rows = min(groupChunk/lanes, n-c.row)
				}
			}
			for _, f := range run {
				f(c, n)
			}
			if c.row += c.rows; c.row == n {
				c.row, c.panel = 0, c.panel+c.panels
			}
		}
		for _, id := range clear {
			m.clearBeyond(m.values[id], cols, kind)
		}
	}
}

func (g mapGroup) reads() []ir.ID {
	var ids []ir.ID
	made := map[ir.ID]bool{} // by an earlier map of the group
	for _, k := range g.maps {
		for _, id := range k.args {
			if !made[id] {
				ids = append(ids, id)
			}
		}
		made[k.out] = true
	}
	return ids
}

func (g mapGroup) writes() []ir.ID {
	var ids []ir.ID
	for _, k := range g.maps {
		ids = append(ids, k.out)
	}
	return ids
}

func (g mapGroup) line(p *ir.Program) string {
	var lines []string
	for _, k := range g.maps {
		lines = append(lines, k.line(p))
	}
	return strings.Join(lines, "; ")
}

// dropUnread removes what writes nothing that is read: repetitions that maps look
// through.
var dropUnread = pass{"drop what is not read", func(s *schedule) {
	read := map[ir.ID]bool{}
	for _, id := range s.kept {
		read[id] = true
	}
	for _, q := range s.program.Params {
		read[q.Grad] = true
	}
	for i, k := range slices.Backward(s.kernels) {
		if _, updates := k.(update); !updates && !slices.ContainsFunc(k.writes(), func(id ir.ID) bool { return read[id] }) {
			s.kernels[i] = nil
			continue
		}
		for _, id := range k.reads() {
			read[id] = true
		}
	}
	s.compact()
}}

// fuseMulAdd joins a product with the sum or difference that alone reads it.
var fuseMulAdd = pass{"fuse multiply-adds", func(s *schedule) {
	for i, k := range s.kernels {
		product, ok := k.(elementwise)
		if !ok || product.fn != ir.FnMul || product.kind != inPanels {
			continue
		}
		j := s.onlyReader(product.out)
		if j < 0 {
			continue
		}
		sum, ok := s.kernels[j].(elementwise)
		if !ok || sum.kind != inPanels {
			continue
		}
		fused := elementwise{out: sum.out, kind: inPanels, fn: fnMulAdd}
		switch {
		case sum.fn == ir.FnAdd && sum.args[0] == product.out:
			fused.args = append(slices.Clone(product.args), sum.args[1])
		case sum.fn == ir.FnAdd:
			fused.args = append(slices.Clone(product.args), sum.args[0])
		case sum.fn == ir.FnSub && sum.args[1] == product.out:
			fused.fn, fused.args = fnMulSub, append(slices.Clone(product.args), sum.args[0])
		default:
			continue
		}
		s.kernels[i], s.kernels[j] = nil, fused
	}
	s.compact()
}}

// groupMaps joins neighbouring maps on panels of one width.
var groupMaps = pass{"group maps", func(s *schedule) {
	extent := func(k elementwise) ir.Shape { return s.program.Value(k.out).Shape }
	for i := 0; i < len(s.kernels); i++ {
		first, ok := s.kernels[i].(elementwise)
		if !ok || first.kind != inPanels {
			continue
		}
		g := mapGroup{[]elementwise{first}}
		for j := i + 1; j < len(s.kernels); j++ {
			next, ok := s.kernels[j].(elementwise)
			if !ok || next.kind != inPanels || extent(next) != extent(first) {
				break
			}
			g.maps = append(g.maps, next)
			s.kernels[j] = nil
		}
		if len(g.maps) > 1 {
			s.kernels[i] = g
			s.compact()
		}
	}
}}

// risky are functions that may make what is not finite of the numbers beyond a
// matrix's width, which weights of zero would not stop.
var risky = map[ir.Fn]bool{ir.FnDiv: true, ir.FnInv: true, ir.FnLn: true, ir.FnLog1p: true, ir.FnPow: true, ir.FnSqrt: true,
	ir.FnExp: true, ir.FnExpm1: true, ir.FnCube: true, ir.FnSquare: true, ir.FnMul: true, fnMulAdd: true, fnMulSub: true}

// clearBeyond zeroes the columns beyond a value's width.
func (m *machine) clearBeyond(v []float32, cols int, k shapeKind) {
	first := cols % lanes
	if first == 0 {
		return
	}
	if k == inRow {
		clear(v[cols:padded(cols)])
		return
	}
	last := (panels(cols) - 1) * m.n * lanes
	for i := range m.n {
		clear(v[last+i*lanes+first : last+(i+1)*lanes])
	}
}

// scratch is memory of an operand's own, as long as it is asked for.
func (m *machine) scratch() func(n int) []float32 {
	var buffer []float32
	return func(n int) []float32 {
		if n > len(buffer) {
			buffer = make([]float32, n)
		}
		return buffer[:n]
	}
}

// constant is Const: it is written when it is bound, and again where it depends on
// the batch size.
type constant struct {
	out   ir.ID
	value ir.Number
	data  []float64
}

func (k constant) bind(m *machine) func() {
	out := m.values[k.out]
	written := -1
	return func() {
		if written == m.n {
			return
		}
		written = m.n
		if k.data == nil {
			v := float32(k.value.At(m.n))
			for i := range out {
				out[i] = v
			}
			return
		}
		put := m.writer(k.out)
		for i, v := range k.data {
			put(i, float32(v))
		}
	}
}

// noise is Random.
type noise struct {
	out   ir.ID
	op    *ir.Op
	index int // among the program's Random operations
}

func (k noise) bind(m *machine) func() {
	out, cols := m.values[k.out], m.cols(k.out)
	inRows := m.plan.layout[k.out] == rows
	var row []float32
	if inRows {
		row = make([]float32, cols)
	}
	return func() {
		if !m.training {
			mean := float32(k.op.Mean())
			for i := range out {
				out[i] = mean
			}
			return
		}
		now := kernels.NewNoise(k.op, k.index, m.seed).At(m.stepNumber)
		if !inRows {
			now.Fill(out[:m.plan.program.Value(k.out).Shape.Len(m.n)], 0)
			return
		}
		if cols%lanes == 0 {
			for i := range m.n {
				for p := range panels(cols) {
					now.Fill(out[(p*m.n+i)*lanes:][:lanes], i*cols+p*lanes)
				}
			}
			return
		}
		for i := range m.n {
			now.Fill(row, i*cols)
			for p := range panels(cols) {
				copy(out[(p*m.n+i)*lanes:][:lanes], row[p*lanes:])
			}
		}
	}
}

// relayout copies a value to another layout.
type relayout struct{ out, in ir.ID }

func (k relayout) bind(m *machine) func() {
	shape := m.plan.program.Value(k.out).Shape
	from, to := m.plan.layout[k.in], m.plan.layout[k.out]
	out, in, cols := m.values[k.out], m.values[k.in], m.cols(k.out)
	switch {
	case from == plain && to == plain:
		return func() { copy(out[:shape.Len(m.n)], in) }
	case shape.Rows == ir.Batch && from == rows && to == plain:
		return func() { m.fromPanels(out, in, cols) }
	case shape.Rows == ir.Batch && from == plain && to == rows:
		return func() {
			for i := range m.n {
				for p := range panels(cols) {
					n := copy(out[(p*m.n+i)*lanes:][:lanes], in[i*cols+p*lanes:(i+1)*cols])
					clear(out[(p*m.n+i)*lanes+n : (p*m.n+i)*lanes+lanes])
				}
			}
		}
	}
	return func() {
		get, put := m.reader(k.in), m.writer(k.out)
		for i := range shape.Len(m.n) {
			put(i, get(i))
		}
	}
}

// at is where element k, row-major, of a value stands in its buffer.
func (m *machine) at(id ir.ID) func(k int) int {
	s := m.plan.program.Value(id).Shape
	switch l := m.plan.layout[id]; {
	case l == plain:
		return func(k int) int { return k }
	case l == spread:
		return func(k int) int { return k * lanes }
	case l == rows && s.Rows == ir.Batch:
		return func(k int) int {
			i, c := k/s.Cols, k%s.Cols
			return (c/lanes*m.n+i)*lanes + c%lanes
		}
	default:
		return func(k int) int { return m.index(id, k/s.Cols, k%s.Cols) }
	}
}

func (m *machine) reader(id ir.ID) func(k int) float32 {
	at, v := m.at(id), m.values[id]
	return func(k int) float32 { return v[at(k)] }
}

func (m *machine) writer(id ir.ID) func(k int, x float32) {
	at, v := m.at(id), m.values[id]
	if m.plan.layout[id] != spread {
		return func(k int, x float32) { v[at(k)] = x }
	}
	return func(k int, x float32) {
		for i := range v[at(k) : at(k)+lanes] {
			v[at(k)+i] = x
		}
	}
}

func (k expandY) reads() []ir.ID      { return nil }
func (k expandY) writes() []ir.ID     { return []ir.ID{k.y} }
func (k elementwise) reads() []ir.ID  { return k.args }
func (k elementwise) writes() []ir.ID { return []ir.ID{k.out} }
func (k constant) reads() []ir.ID     { return nil }
func (k constant) writes() []ir.ID    { return []ir.ID{k.out} }
func (k noise) reads() []ir.ID        { return nil }
func (k noise) writes() []ir.ID       { return []ir.ID{k.out} }
func (k relayout) reads() []ir.ID     { return []ir.ID{k.in} }
func (k relayout) writes() []ir.ID    { return []ir.ID{k.out} }

func (k expandY) line(p *ir.Program) string {
	return "targets, or labels as rows of zeros and ones -> " + p.Value(k.y).Name
}

func (k elementwise) line(p *ir.Program) string {
	what := "map " + string(k.fn)
	if k.fn == "" {
		what = "repeat"
	}
	return what + " " + names(p, k.args) + to(p, k)
}

func (k constant) line(p *ir.Program) string { return "constant" + to(p, k) }

func (k noise) line(p *ir.Program) string { return "random " + string(k.op.Fn) + to(p, k) }

func (k relayout) line(p *ir.Program) string {
	return "copy " + p.Value(k.in).Name + to(p, k)
}

func names(p *ir.Program, ids []ir.ID) string {
	var all []string
	for _, id := range ids {
		all = append(all, p.Value(id).Name)
	}
	return strings.Join(all, " ")
}

// expandTarget writes y in front of a list in which any kernel reads it.
var expandTarget = pass{"expand the targets", func(s *schedule) {
	y := s.program.Target
	if slices.ContainsFunc(s.kernels, func(k kernel) bool { return slices.Contains(k.reads(), y) }) {
		s.kernels = slices.Insert(s.kernels, 0, kernel(expandY{y}))
	}
}}

// chooseTensor makes the kernel of a tensor operation.
func (s *schedule) chooseTensor(op ir.Op) kernel {
	shape := func(id ir.ID) ir.Shape { return s.program.Value(id).Shape }
	out := kindOf(shape(op.Out))
	t := s.tensor
	switch op.Code {
	case ir.Const:
		return constant{out: op.Out, value: op.Value, data: op.Data}
	case ir.Map:
		return elementwise{out: op.Out, fn: op.Fn, args: op.Args, kind: out}
	case ir.Repeat:
		if t.onPanels(op) {
			return elementwise{out: op.Out, args: op.Args, kind: out}
		}
	case ir.Reduce:
		if how := t.reduces(op); how != byIndex {
			return reduce{out: op.Out, in: op.Args[0], fn: op.Fn, how: how}
		}
	case ir.Random:
		return noise{out: op.Out, op: &op, index: s.randoms[op.Out]}
	case ir.Reshape:
		return relayout{out: op.Out, in: op.Args[0]}
	case ir.MatMul:
		return product{op: op, shapes: t.read[op.Out]}
	case ir.MaxPool, ir.MaxPoolGrad:
		if k, ok := newPool(op, t.read[op.Out][0]); ok {
			return k
		}
	}
	return indexed{op: op, shapes: t.read[op.Out]}
}
