package graph

import (
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"strings"

	"vanilla/graph/ir"
)

// heads are the losses by the row functions that define them.
var heads = []struct {
	loss, gradient ir.Code
	row            func(a []float64, label int, d []float64) float64
}{
	{ir.Xent, ir.DXent, ir.CrossEntropyRow},
	{ir.Quad, ir.DQuad, ir.QuadraticRow},
}

// trial binds one random draw of outputs and targets at one reading. All
// parameters are zero.
type trial struct {
	*evaluation
	outputs []float64 // [B, classes]
	labels  []int
}

func (l *lowering) trial(reading int, random *rand.Rand) trial {
	r := l.at[reading]
	g := r.graph
	out, y := r.byID[g.Output.ID()], r.byID[g.Y.ID()]
	t := trial{evaluation: newEvaluation()}
	targets := make([]float64, y.size())
	for i := 0; i < len(targets); i += y.shape[1] {
		label := random.IntN(y.shape[1])
		targets[i+label] = 1
		t.labels = append(t.labels, label)
	}
	for range out.size() {
		t.outputs = append(t.outputs, 2*random.NormFloat64())
	}
	t.bind(y, targets)
	t.bind(out, t.outputs)
	for _, p := range g.Params {
		n := r.byID[p.ID()]
		t.bind(n, make([]float64, n.size()))
	}
	return t
}

// head computes a loss and its gradient in the outputs, averaged over the batch.
func (t trial) head(row func([]float64, int, []float64) float64) (loss float64, d []float64) {
	d = slices.Clone(t.outputs)
	cols, rows := len(d)/len(t.labels), float64(len(t.labels))
	for i, label := range t.labels {
		loss += row(d[i*cols:(i+1)*cols], label, d[i*cols:(i+1)*cols]) / rows
	}
	for i := range d {
		d[i] /= rows
	}
	return loss, d
}

// lossPass finds which loss the graph computes from the output, its scale and
// penalties, and the nodes that are its gradient in the output.
func (l *lowering) lossPass() (string, error) {
	g, p := l.at[0].graph, l.net.Program
	loss := l.node(g.Loss.ID())
	random := rand.New(rand.NewPCG(3, 4))
	if loss.size() != 1 {
		return "", fmt.Errorf("node %v has shape %v, want one number", loss, loss.shape)
	}

	var trials []trial
	var on []int // the reading of each trial
	for k := range 4 {
		trials, on = append(trials, l.trial(k%2, random)), append(on, k%2)
	}
	which := -1
	for h, head := range heads {
		scale, same := math.NaN(), true
		for k, t := range trials {
			got, err := t.eval(l.twin(loss, on[k]))
			if err != nil {
				return "", fmt.Errorf("the loss reads more than output, target and parameters: %w", err)
			}
			want, _ := t.head(head.row)
			if k == 0 {
				scale = got[0] / want
			}
			same = same && near(got[0], scale*want)
		}
		if same && scale != 0 {
			which, l.scale = h, scale
			break
		}
	}
	if which < 0 {
		return "", fmt.Errorf("node %v is no softmax cross-entropy of %s and no quadratic cost, averaged over the batch (plus c/2·Σp² penalties)",
			loss, l.name(p.Output))
	}
	if err := l.penalties(trials[:2], random); err != nil {
		return "", err
	}

	head := heads[which]
	scalar := ir.Shape{Rows: 1, Cols: 1}
	args := []ir.ID{p.Output, p.Target}
	p.Loss = l.emit(nil, "loss", scalar, ir.Op{Code: head.loss, Args: args, Scale: l.scale})
	first := len(p.Ops) - 1
	report := fmt.Sprintf("%s × %.6g", head.loss, l.scale)
	for i, q := range p.Params {
		if c := l.penalty[i]; c != 0 {
			p.Loss = l.emit(nil, "loss", scalar, ir.Op{Code: ir.L2, Args: []ir.ID{p.Loss, q.Value}, Scale: c}, l.onlyOn(trials[0].used(), i)...)
			report += fmt.Sprintf(" + %.6g/2 Σ%s²", c, l.name(q.Value))
		}
	}
	l.claim(first, trials[0].used()...)
	p.Forward = len(p.Ops)

	return report, l.lossGradient(head.gradient, head.row, trials, on)
}

// penalties finds each parameter's factor c in loss + c/2·Σp².
func (l *lowering) penalties(trials []trial, random *rand.Rand) error {
	g := l.at[0].graph
	for i, gp := range g.Params {
		var factors []float64
		for r := range trials {
			n := l.at[r].byID[gp.ID()]
			loss := l.at[r].byID[g.Loss.ID()]
			t := newEvaluation()
			for m, v := range trials[r].values {
				if trials[r].bound[m] {
					t.bind(m, v)
				}
			}
			squares, w := 0.0, make([]float64, n.size())
			for k := range w {
				w[k] = 1 + random.NormFloat64()
				squares += w[k] * w[k]
			}
			t.bind(n, w)
			got, err := t.eval(loss)
			if err != nil {
				return err
			}
			factors = append(factors, 2*(got[0]-trials[r].values[loss][0])/squares)
		}
		if !near(factors[0], factors[1]) {
			return fmt.Errorf("the loss depends on parameter %s in another way than c/2·Σ%[1]s²", gp.Name())
		}
		if math.Abs(factors[0]) > 1e-12 { // below: the rounding of the loss
			l.penalty[i] = factors[0]
		}
	}
	return nil
}

// onlyOn keeps the nodes that depend on parameter i and on nothing else.
func (l *lowering) onlyOn(nodes []*node, i int) []*node {
	var only func(n *node) (some bool, all bool)
	only = func(n *node) (some, all bool) {
		if n.kind == input {
			k, ok := l.param[n]
			mine := ok && k == i
			return mine, mine
		}
		all = true
		for _, a := range n.args {
			s, ok := only(a)
			some, all = some || s, all && ok
		}
		return some, all
	}
	return slices.DeleteFunc(slices.Clone(nodes), func(n *node) bool {
		some, all := only(n)
		return !some || !all
	})
}

// lossGradient finds all nodes that are the gradient of the loss in the output.
func (l *lowering) lossGradient(code ir.Code, row func([]float64, int, []float64) float64, trials []trial, on []int) error {
	p := l.net.Program
	out := l.node(l.at[0].graph.Output.ID())
	var found []*node
	for _, n := range l.at[0].order {
		if !l.target[n] || !slices.Equal(n.shape, out.shape) {
			continue
		}
		same := true
		for k, t := range trials {
			got, err := t.eval(l.twin(n, on[k]))
			if err != nil {
				same = false
				break
			}
			_, want := t.head(row)
			for i := range want {
				same = same && near(got[i]*float64(len(t.labels)), l.scale*want[i]*float64(len(t.labels)))
			}
		}
		if same {
			found = append(found, n)
		}
	}
	if len(found) == 0 {
		return fmt.Errorf("no node is the gradient of the loss in %s", l.name(p.Output))
	}
	id := l.emit(found[0], "d"+l.name(p.Output), l.shape(p.Output), ir.Op{Code: code, Args: []ir.ID{p.Output, p.Target}, Scale: l.scale})
	for _, n := range found {
		l.value[n] = id
		l.claim(len(p.Ops)-1, l.between(n, trials[0])...)
	}
	return nil
}

// between lists what a trial computed on the way to n.
func (l *lowering) between(n *node, t trial) []*node {
	var nodes []*node
	var visit func(n *node)
	visit = func(n *node) {
		if t.bound[n] || slices.Contains(nodes, n) {
			return
		}
		nodes = append(nodes, n)
		if n.kind != sizeof {
			for _, a := range n.args {
				visit(a)
			}
		}
	}
	visit(n)
	return nodes
}

func (l *lowering) gradients() (string, error) {
	g, p := l.at[0].graph, l.net.Program
	for i := len(p.Params) - 1; i >= 0; i-- { // from the output back
		grad, err := l.paramGradient(i, l.node(g.Grads[i].ID()))
		if err != nil {
			return "", fmt.Errorf("gradient of %s: %w", g.Params[i].Name(), err)
		}
		p.Params[i].Grad = grad
	}
	return count(p.Ops[p.Forward:]), nil
}

// paramGradient lowers a parameter's gradient: a sum of products or column
// sums over the batch, plus c times the parameter where the loss has a penalty.
func (l *lowering) paramGradient(i int, root *node) (ir.ID, error) {
	p := l.net.Program
	q := p.Params[i]
	c := l.cone(root, func(n *node) bool { return false })
	factors, err := c.linear()
	if err != nil {
		return 0, err
	}
	grad, decay := ir.ID(-1), 0.0
	for k, leaf := range c.leaves {
		if j, ok := l.param[leaf]; ok && j == i {
			decay = factors[k]
			continue
		}
		if !near(factors[k], 1) {
			return 0, fmt.Errorf("node %v enters with factor %g, want 1", leaf, factors[k])
		}
		term, err := l.paramTerm(i, leaf)
		if err != nil {
			return 0, err
		}
		if grad < 0 {
			grad = term
		} else {
			grad = l.emit(nil, "d"+l.name(q.Value), l.shape(q.Value), ir.Op{Code: ir.Add, Args: []ir.ID{grad, term}, Scale: 1})
		}
	}
	if grad < 0 {
		return 0, fmt.Errorf("node %v holds no product over the batch", root)
	}
	if !near(decay, l.penalty[i]) {
		return 0, fmt.Errorf("node %v adds %g·%s, but the loss holds %g/2·Σ%[3]s²", root, decay, l.name(q.Value), l.penalty[i])
	}
	if decay != 0 {
		grad = l.emit(nil, "d"+l.name(q.Value), l.shape(q.Value), ir.Op{Code: ir.Add, Args: []ir.ID{grad, q.Value}, Scale: decay})
	}
	l.claim(l.producer(grad), c.nodes...)
	return grad, nil
}

// linear finds the factors of a cone that is a linear combination of its leaves.
func (c cone) linear() ([]float64, error) {
	if len(c.nodes) == 0 {
		return []float64{1}, nil
	}
	n := len(c.leaves)
	random := rand.New(rand.NewPCG(5, 6))
	// Point 0 is the origin, points 1 to n the unit vectors, the rest random.
	leaves := map[*node][]float64{}
	for k, leaf := range c.leaves {
		v := make([]float64, n+9)
		v[k+1] = 1
		for i := n + 1; i < len(v); i++ {
			v[i] = random.NormFloat64()
		}
		leaves[leaf] = v
	}
	if n == 0 {
		return nil, fmt.Errorf("node %v depends on nothing", c.root)
	}
	f, err := c.at(leaves)
	if err != nil {
		return nil, err
	}
	factors := f[1 : n+1]
	for i := range f {
		want := 0.0
		for k, leaf := range c.leaves {
			want += factors[k] * leaves[leaf][i]
		}
		if !near(f[i], want) {
			return nil, fmt.Errorf("node %v is not linear in %v", c.root, c.leaves)
		}
	}
	return factors, nil
}

// paramTerm lowers one product aᵀ·dz (or its transpose), or one column sum of dz.
func (l *lowering) paramTerm(i int, leaf *node) (ir.ID, error) {
	p := l.net.Program
	q := p.Params[i]
	var nodes []*node
	n, transposed := leaf, false
	for n.kind == transpose || n.kind == reshape {
		nodes, transposed = append(nodes, n), transposed != (n.kind == transpose)
		n = n.args[0]
	}
	nodes = append(nodes, n)
	name, shape := "d"+l.name(q.Value), l.shape(q.Value)
	switch {
	case n.kind == sum && n.axis == 0 && q.Bias:
		dz, err := l.grad(n.args[0])
		if err != nil {
			return 0, err
		}
		return l.emit(leaf, name, shape, ir.Op{Code: ir.DBias, Args: []ir.ID{dz}}, nodes...), nil
	case n.kind == matmul && !q.Bias:
		left, flipped, more := stripTranspose(n.args[0])
		right := n.args[1]
		if flipped == n.ta || n.tb {
			break
		}
		// leftᵀ·right is [left's width, right's width]; the program wants dzᵀ·a.
		a, dz := left, right
		if l.target[left] {
			a, dz = right, left
		}
		if (a == left) != (l.net.Transposed[i] != transposed) {
			break
		}
		in, ok := l.value[a]
		if !ok {
			break
		}
		d, err := l.grad(dz)
		if err != nil {
			return 0, err
		}
		return l.emit(leaf, name, shape, ir.Op{Code: ir.DWeight, Args: []ir.ID{d, in}}, append(nodes, more...)...), nil
	}
	return 0, fmt.Errorf("node %v %v is no product or sum over the batch that belongs to %s", n, n.shape, l.name(q.Value))
}

// grad lowers the gradient of something that exists once per example.
func (l *lowering) grad(n *node) (ir.ID, error) {
	if id, ok := l.value[n]; ok {
		return id, nil
	}
	if n.kind == matmul {
		return l.dinput(n)
	}
	back := l.backwardCone(n)
	for _, e := range back.waists {
		if id, ok, err := l.dact(n, e); ok || err != nil {
			return id, err
		}
	}
	if n.kind == add && l.target[n.args[0]] && l.target[n.args[1]] {
		return l.sum(n, "dsum", l.grad)
	}
	return 0, fmt.Errorf("node %v %v is no gradient of a dense layer, an activation or a sum (it is computed from %s)", n, n.shape, list(back.leaves))
}

func list(nodes []*node) string {
	var parts []string
	for _, n := range nodes {
		parts = append(parts, n.String())
	}
	return "nodes " + strings.Join(parts, ", ")
}

// dinput lowers dz·W or dz·Wᵀ.
func (l *lowering) dinput(n *node) (ir.ID, error) {
	w, transposed, nodes := stripTranspose(n.args[1])
	i, ok := l.param[w]
	if !ok || n.ta || (transposed != n.tb) != l.net.Transposed[i] || l.net.Program.Params[i].Bias {
		return 0, fmt.Errorf("node %v %v is no product of a gradient with a layer's weights", n, n.shape)
	}
	dz, err := l.grad(n.args[0])
	if err != nil {
		return 0, err
	}
	p := l.net.Program
	value := p.Params[i].Value
	name := "dsum"
	for _, op := range p.Ops[:p.Forward] { // the layer's input gives the name
		if op.Code == ir.Dense && op.Args[1] == value {
			name = "d" + l.name(op.Args[0])
			break
		}
	}
	return l.emit(n, name, ir.Shape{Rows: ir.Batch, Cols: l.shape(value).Cols},
		ir.Op{Code: ir.DInput, Args: []ir.ID{dz, value}}, append(nodes, n)...), nil
}

// backward is the part of a gradient that is element-wise.
type backward struct {
	leaves []*node // gradients it starts from
	waists []*node // nodes that all of it passes through, nearest to the leaves first
}

// backwardCone descends from n through element-wise gradients. A waist is
// where a gradient that is one value enters: what lies between it and n may be
// an activation's slope, however it is written.
func (l *lowering) backwardCone(n *node) backward {
	var b backward
	var inner []*node
	next := func(m *node) []*node {
		if _, ok := l.value[m]; ok && m != n || !m.elementwise() {
			return nil
		}
		return slices.DeleteFunc(slices.Clone(m.args), func(a *node) bool { return !l.target[a] })
	}
	var visit func(m *node)
	visit = func(m *node) {
		if slices.Contains(inner, m) || slices.Contains(b.leaves, m) {
			return
		}
		if args := next(m); len(args) > 0 {
			inner = append(inner, m)
			for _, a := range args {
				visit(a)
			}
		} else {
			b.leaves = append(b.leaves, m)
		}
	}
	visit(n)
	// reaches reports whether a leaf can be reached without passing e.
	var reaches func(m, e *node, seen map[*node]bool) bool
	reaches = func(m, e *node, seen map[*node]bool) bool {
		if m == e || seen[m] {
			return false
		}
		seen[m] = true
		if slices.Contains(b.leaves, m) {
			return true
		}
		return slices.ContainsFunc(next(m), func(a *node) bool { return reaches(a, e, seen) })
	}
	for _, e := range l.at[0].order { // operands first
		if e != n && (slices.Contains(inner, e) || slices.Contains(b.leaves, e)) && !reaches(n, e, map[*node]bool{}) {
			b.waists = append(b.waists, e)
		}
	}
	return b
}

// dact recognises n as dh ⊙ f′(z), with dh the waist. A factor of one is no
// operation: n is then dh itself.
func (l *lowering) dact(n, dh *node) (ir.ID, bool, error) {
	for _, base := range []func(*node) bool{l.isBase, l.isValue} {
		c := l.cone(n, func(m *node) bool { return m == dh || !l.target[m] && base(m) })
		z := slices.DeleteFunc(slices.Clone(c.leaves), func(m *node) bool { return m == dh })
		if len(z) > 1 || len(z) == len(c.leaves) || len(z) == 1 && l.target[z[0]] {
			continue
		}
		slope := func(factor float64) ([]float64, error) {
			leaves := map[*node][]float64{dh: slices.Repeat([]float64{factor}, len(probes))}
			if len(z) == 1 {
				leaves[z[0]] = probes
			}
			return c.at(leaves)
		}
		one, err := slope(1)
		if err != nil {
			continue
		}
		other, err := slope(-3)
		if err != nil {
			continue
		}
		linear := true
		for i := range one {
			linear = linear && near(other[i], -3*one[i])
		}
		act, ok := recognise(one, ir.Activation.Slope)
		if !linear || !ok {
			continue
		}
		d, err := l.grad(dh)
		if err != nil {
			return 0, false, err
		}
		if act == ir.Identity {
			l.value[n] = d
			l.claim(l.producer(d), c.nodes...)
			return d, true, nil
		}
		in, ok := l.value[z[0]]
		if !ok {
			continue
		}
		id := l.emit(n, "d"+l.name(in), l.shape(in), ir.Op{Code: ir.DAct, Act: act, Args: []ir.ID{d, in}}, c.nodes...)
		return id, true, nil
	}
	return 0, false, nil
}
