package graph

import (
	"fmt"
	"math"
	"slices"
	"strconv"

	"vanilla/graph/ir"
)

// generalize makes one program for every batch size of readings at several: what
// moves between the first two moves along a line in B, or with 1/B, and the others
// must agree.
func generalize(name string, all []*reading) (*ir.Program, []bool, error) {
	g := &generalizer{all: all, p: &ir.Program{Name: name}, taken: map[string]bool{}}
	a := all[0]
	for _, r := range all[1:] {
		if len(r.steps) != len(a.steps) {
			return nil, nil, a.differs(r)
		}
	}
	g.orient()
	g.id = make([]ir.ID, len(a.steps))
	for k := range a.steps {
		if err := g.step(k); err != nil {
			n := a.byID[a.steps[k].node]
			return nil, nil, fmt.Errorf("%s: %w", a.describe(n), err)
		}
	}
	if err := g.results(); err != nil {
		return nil, nil, err
	}
	return g.p, g.transposed, nil
}

// differs says where another reading of the graph begins to be another graph.
func (r *reading) differs(other *reading) error {
	k := 0
	for k < len(r.steps)-1 && k < len(other.steps)-1 && r.steps[k].op.Code == other.steps[k].op.Code && r.steps[k].op.Fn == other.steps[k].op.Fn &&
		r.steps[k].node == other.steps[k].node && slices.Equal(r.steps[k].args, other.steps[k].args) {
		k++
	}
	return fmt.Errorf("the builder writes another graph at batch %d than at batch %d, where it has %s in place of %s: only the batch size may differ",
		other.batch, r.batch, r.describe(r.byID[r.steps[k].node]), other.describe(other.byID[other.steps[k].node]))
}

type generalizer struct {
	all   []*reading
	p     *ir.Program
	id    []ir.ID // of steps
	taken map[string]bool
	// transposed are the parameters that the graph holds as [in, out].
	transposed []bool
}

// define adds a value under a name that is not taken.
func (g *generalizer) define(name string, shape ir.Shape) ir.ID {
	for k, base := 2, name; name == "" || g.taken[name]; k++ {
		name = fmt.Sprintf("%s.%d", base, k)
	}
	g.taken[name] = true
	g.p.Values = append(g.p.Values, ir.Value{Name: name, Shape: shape})
	return ir.ID(len(g.p.Values) - 1)
}

func (g *generalizer) emit(name string, shape ir.Shape, op ir.Op) ir.ID {
	op.Out = g.define(name, shape)
	g.p.Ops = append(g.p.Ops, op)
	return op.Out
}

// orient finds the matrices that the graph holds as [in, out]: whose first product
// is a·W with a value per example. The program holds them as [out, in].
func (g *generalizer) orient() {
	a, b := g.all[0], g.all[1]
	g.transposed = make([]bool, len(a.params))
	for i, w := range a.params {
		if len(a.steps[w].shape) != 2 {
			continue
		}
		for k := range a.steps {
			s := &a.steps[k]
			if s.op.Code != ir.MatMul || s.args[1] != w {
				continue
			}
			left := s.args[0]
			if moves := len(s.shape) == 2 && a.steps[left].shape[0] != b.steps[left].shape[0]; moves && !s.op.TransA {
				g.transposed[i] = !s.op.TransB
				break
			}
		}
	}
}

// extent is the line through an extent at the first two sizes.
func (g *generalizer) extent(at func(r *reading) int) (ir.Extent, error) {
	a, b := g.all[0], g.all[1]
	u, v := at(a), at(b)
	slope := (v - u) / (b.batch - a.batch)
	e := ir.Extent{PerBatch: int32(slope), Fixed: int32(u - slope*a.batch)}
	for _, r := range g.all {
		if e.At(r.batch) != at(r) {
			return e, fmt.Errorf("the extent is %d at batch %d, %d at batch %d: want a multiple of the batch size plus a number", u, a.batch, at(r), r.batch)
		}
	}
	return e, nil
}

func (g *generalizer) shape(k int) (ir.Shape, error) {
	rank := len(g.all[0].steps[k].shape)
	if rank > ir.MaxRank {
		return ir.Shape{}, fmt.Errorf("%d axes, want at most %d", rank, ir.MaxRank)
	}
	extents := make([]ir.Extent, rank)
	for axis := range extents {
		for _, r := range g.all {
			if len(r.steps[k].shape) != rank {
				return ir.Shape{}, fmt.Errorf("%d axes at batch %d, %d at batch %d", rank, g.all[0].batch, len(r.steps[k].shape), r.batch)
			}
		}
		var err error
		if extents[axis], err = g.extent(func(r *reading) int { return r.steps[k].shape[axis] }); err != nil {
			return ir.Shape{}, err
		}
	}
	return ir.Tensor(extents...), nil
}

// constantTolerance allows for constants that graphs hold in float32.
const constantTolerance = 1e-6

// fit finds the number that takes given values at given batch sizes: the first of its
// kinds that does.
func fit(batches []int, values []float64) (ir.Number, bool) {
	last := len(batches) - 1
	b, far, u, v := float64(batches[0]), float64(batches[last]), values[0], values[last]
	slope, over := (v-u)/(far-b), (v-u)/(1/far-1/b)
	for _, n := range []ir.Number{
		{Fixed: u},
		{OverBatch: digits(u * b)},
		{Fixed: u - slope*b, PerBatch: slope},
		{Fixed: v - over/far, OverBatch: over},
	} {
		fits := n != ir.Number{Fixed: u} || u == values[1] // what moves by a little is not fixed
		for k, at := range batches {
			fits = fits && math.Abs(n.At(at)-values[k]) <= constantTolerance*math.Max(math.Abs(n.At(at)), math.Abs(values[k]))
		}
		if fits {
			return n, true
		}
	}
	return ir.Number{}, false
}

// digits rounds to what float32 tells apart: a graph's 1/B is not exact.
func digits(x float64) float64 {
	r, err := strconv.ParseFloat(strconv.FormatFloat(x, 'g', 6, 64), 64)
	if err != nil || math.Abs(r-x) > 2*0x1p-24*math.Abs(x) {
		return x
	}
	return r
}

func (g *generalizer) batches() []int {
	var all []int
	for _, r := range g.all {
		all = append(all, r.batch)
	}
	return all
}

func (g *generalizer) step(k int) error {
	a := g.all[0]
	s := &a.steps[k]
	for _, r := range g.all[1:] {
		t := &r.steps[k]
		if s.op.Code != t.op.Code || s.op.Fn != t.op.Fn || s.input != t.input || s.op.TransA != t.op.TransA || s.op.TransB != t.op.TransB ||
			s.op.Draw != t.op.Draw || !slices.Equal(s.args, t.args) || !slices.Equal(s.op.Axes, t.op.Axes) || len(s.op.Ints) != len(t.op.Ints) ||
			s.node != t.node {
			return fmt.Errorf("another operation at batch %d than at batch %d, where it is %s: only the batch size may differ", r.batch, a.batch, r.describe(r.byID[t.node]))
		}
	}
	shape, err := g.shape(k)
	if err != nil {
		return err
	}
	if s.input {
		return g.input(k, shape)
	}
	op := s.op
	op.Nodes = []int64{s.node}
	for _, x := range s.args {
		op.Args = append(op.Args, g.id[x])
	}
	op.Ints = make([]ir.Extent, len(s.op.Ints))
	for i := range op.Ints {
		if op.Ints[i], err = g.extent(func(r *reading) int { return int(r.steps[k].op.Ints[i].Fixed) }); err != nil {
			return err
		}
	}
	if len(op.Ints) == 0 {
		op.Ints = nil
	}
	if op.Code == ir.Const {
		return g.constant(k, shape, op)
	}
	g.id[k] = g.emit(g.name(s), shape, op)
	return nil
}

// name is the user's own name, or one that tells the operation and the node.
func (g *generalizer) name(s *step) string {
	if s.name != "" && s.op.Code != ir.Const { // Gorgonia names constants after their value
		return s.name
	}
	what := s.op.Code.String()
	if s.op.Fn != "" {
		what = string(s.op.Fn)
	}
	return fmt.Sprintf("%s%d", what, s.node)
}

func (g *generalizer) constant(k int, shape ir.Shape, op ir.Op) error {
	s := &g.all[0].steps[k]
	if s.op.Data == nil {
		var values []float64
		for _, r := range g.all {
			values = append(values, r.steps[k].op.Value.Fixed)
		}
		n, ok := fit(g.batches(), values)
		if !ok {
			return fmt.Errorf("the constant is %v at batches %v: want one that does not depend on the batch size, or a multiple of it, or of one over it", values, g.batches())
		}
		op.Value = n
		g.id[k] = g.emit(g.name(s), shape, op)
		return nil
	}
	rows := ir.Shape{}
	same := true
	for _, r := range g.all[1:] {
		same = same && slices.Equal(s.op.Data, r.steps[k].op.Data)
	}
	if same {
		g.id[k] = g.emit(g.name(s), shape, op)
		return nil
	}
	// The same row for every example, or nothing that can be continued.
	extents := shape.Extents()
	fits := len(extents) > 0 && extents[0] == ir.PerBatch(1)
	width := len(s.op.Data) / s.shape[0]
	for _, r := range g.all {
		d := r.steps[k].op.Data
		fits = fits && len(d) == width*r.batch
		for i := 0; fits && i < len(d); i++ {
			fits = d[i] == s.op.Data[i%width]
		}
	}
	if !fits {
		return fmt.Errorf("the tensor is another at every build: give it a value of its own (WithValue) that is the same each time, or train it")
	}
	extents[0] = ir.Fixed(1)
	rows = ir.Tensor(extents...)
	op.Data = op.Data[:width]
	one := g.emit(g.name(s), rows, op)
	g.id[k] = g.emit(g.name(s), shape, ir.Op{Code: ir.Repeat, Args: []ir.ID{one}, Axes: []int{0}, Nodes: op.Nodes})
	return nil
}

// input defines x, y or a parameter.
func (g *generalizer) input(k int, shape ir.Shape) error {
	a := g.all[0]
	name := a.steps[k].name
	switch k {
	case a.x, a.y:
		if !shape.Matrix() || shape.Rows != ir.Batch {
			return fmt.Errorf("shape %v, want a matrix with one row per example", shape)
		}
		g.id[k] = g.define(name, shape)
		if k == a.x {
			g.p.Input = g.id[k]
		} else {
			g.p.Target = g.id[k]
		}
		return nil
	}
	i := slices.Index(a.params, k)
	q := ir.Param{Grad: -1}
	extents := shape.Extents()
	for _, e := range extents {
		if e.PerBatch != 0 {
			return fmt.Errorf("shape %v: want a parameter of one shape, whatever the batch size", shape)
		}
	}
	switch len(extents) {
	case 0, 1: // a number or a vector is one row
		row := append([]ir.Extent{ir.Fixed(1), ir.Fixed(1)}[:2-len(extents)], extents...)
		q.Value = g.define(name, ir.Tensor(row...))
		g.id[k] = g.emit(name+".v", shape, ir.Op{Code: ir.Reshape, Args: []ir.ID{q.Value}})
	case 2:
		if !g.transposed[i] {
			q.Value = g.define(name, shape)
			g.id[k] = q.Value
			break
		}
		q.Value = g.define(name, ir.Tensor(extents[1], extents[0]))
		g.id[k] = g.emit(name+".t", shape, ir.Op{Code: ir.Transpose, Axes: []int{1, 0}, Args: []ir.ID{q.Value}})
	default:
		q.Value = g.define(name, shape)
		g.id[k] = q.Value
	}
	g.p.Params = append(g.p.Params, q)
	return nil
}

// results names what the program is asked for.
func (g *generalizer) results() error {
	a, p := g.all[0], g.p
	if len(a.graph.Grads) != len(a.params) {
		return fmt.Errorf("%d gradients for %d parameters: want Grads in the order of Params, or none, which Gorgonia then makes", len(a.graph.Grads), len(a.params))
	}
	shape := func(id ir.ID) ir.Shape { return p.Value(id).Shape }
	p.Output = g.id[a.at[a.graph.Output.ID()]]
	if out, want := shape(p.Output), shape(p.Target); out != want {
		return fmt.Errorf("the output %s has shape %v, the targets %s %v: want them equal", a.describe(a.byID[a.graph.Output.ID()]), out, p.Value(p.Target).Name, want)
	}
	if p.Output == p.Input {
		return fmt.Errorf("the output is the input")
	}
	if output := a.byID[a.graph.Output.ID()]; a.needs(output, a.byID[a.graph.Y.ID()]) {
		return fmt.Errorf("the output %s is computed from the targets %s, which a network is asked without", a.describe(output), p.Value(p.Target).Name)
	}
	loss := g.id[a.at[a.graph.Loss.ID()]]
	p.Loss = g.emit("loss", ir.Shape{Rows: 1, Cols: 1}, ir.Op{Code: ir.Reshape, Args: []ir.ID{loss}})
	for i := range p.Params {
		q := &p.Params[i]
		w, name := shape(q.Value), "d"+p.Value(q.Value).Name
		grad := g.id[a.at[a.graph.Grads[i].ID()]]
		got, want := shape(grad).Extents(), a.steps[a.params[i]].shape
		if !slices.EqualFunc(got, want, func(e ir.Extent, d int) bool { return e == ir.Fixed(d) }) {
			return fmt.Errorf("the gradient of %s has shape %v, the parameter %v: want Grads in the order of Params", p.Value(q.Value).Name, shape(grad), want)
		}
		op := ir.Op{Code: ir.Reshape, Args: []ir.ID{grad}}
		if g.transposed[i] {
			op = ir.Op{Code: ir.Transpose, Axes: []int{1, 0}, Args: []ir.ID{grad}}
		}
		q.Grad = g.emit(name, w, op)
	}
	g.kinds()
	return nil
}

// kinds finds the parameters that act as biases or gains: of one row, or of a number
// for each channel of images, and added, or multiplied by, along the other axes of a
// value. Decay leaves both alone, and they start at zero or at one.
func (g *generalizer) kinds() {
	p := g.p
	for i := range p.Params {
		q := &p.Params[i]
		shape := g.all[0].steps[g.all[0].params[i]].shape
		row := p.Value(q.Value).Shape.Rows == 1 && len(shape) <= 1
		channels := len(shape) == 4 && shape[0] == 1 && shape[2] == 1 && shape[3] == 1
		if !row && !channels {
			continue
		}
		views := map[ir.ID]bool{q.Value: true}
		for _, op := range p.Ops {
			if len(op.Args) == 0 || !slices.ContainsFunc(op.Args, func(a ir.ID) bool { return views[a] }) {
				continue
			}
			switch op.Code {
			case ir.Reshape, ir.Repeat:
				views[op.Out] = true
				continue
			case ir.Map:
				switch {
				case op.Fn == ir.FnMul || op.Fn == ir.FnDiv && views[op.Args[1]]:
					q.Bias, q.Start = true, 1
				default:
					q.Bias = true
				}
			}
			break
		}
	}
}
