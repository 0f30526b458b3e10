package graph

import (
	"fmt"
	"reflect"
	"slices"
	"strconv"
	"strings"

	"gorgonia.org/gorgonia"
	"gorgonia.org/tensor"

	"vanilla/graph/ir"
)

// step is one tensor operation at one batch size: every number is as the graph
// has it there. Its operands are earlier steps.
type step struct {
	op    ir.Op // Out and Args are not used
	args  []int
	shape []int
	name  string // of an input, or the user's own name for a node
	input bool
	node  int64 // the graph's node that it stands for
}

func (s *step) size() int { return ir.Elements(s.shape) }

// number is the value of a step that is one constant.
func (s *step) number() (float64, bool) {
	return s.op.Value.Fixed, s.op.Code == ir.Const && s.op.Data == nil
}

// node is one live node of an expression graph.
type node struct {
	id      int64
	op      string // as Gorgonia prints it; empty for inputs
	kind    string // its type, see kindOf
	name    string
	args    []*node
	shape   []int
	value   float64 // of a constant number
	number  bool
	forward bool    // the output or the loss needs it
	readers []*node // nodes of the forward pass that read it, once for each operand
}

// reading is the live part of a graph at one batch size, lowered to steps.
type reading struct {
	batch  int
	graph  *Graph
	view   *gorgonia.ExprGraph
	nodes  []*node // operands first
	byID   map[int64]*node
	dead   int // nodes that neither the loss nor a gradient needs
	steps  []step
	at     map[int64]int // the step that holds a node's value
	masks  map[int64]int // the random step of a dropout node
	x, y   int
	params []int
	notes  []string
}

// read lowers the part of the graph that output, loss and gradients need, node by
// node. It reads from outside: operands through a fresh view of the live nodes,
// checked against the names that Gorgonia gives to nodes, and what operations
// leave out of their printed form from their fields.
func read(g *Graph, batch int) (*reading, error) {
	// A fresh view: the graph's own index goes stale when Gorgonia's
	// simplifications remove nodes, and then answers for other nodes.
	r := &reading{batch: batch, graph: g, byID: map[int64]*node{}, at: map[int64]int{}, masks: map[int64]int{}}
	r.view = g.Expr.ExactSubgraphRoots(append(gorgonia.Nodes{g.Loss, g.Output}, g.Grads...)...)
	live := r.view.AllNodes()
	r.dead = len(g.Expr.AllNodes()) - len(live)
	slices.SortFunc(live, func(a, b *gorgonia.Node) int { return int(a.ID() - b.ID()) })
	order, err := r.order(live)
	if err != nil {
		return nil, err
	}
	r.markForward()

	given := func(n *gorgonia.Node, name string) (int, error) {
		if _, twice := r.at[n.ID()]; twice {
			return 0, fmt.Errorf("%s is there twice (Gorgonia makes inputs of one name and shape one node: give each a name of its own)", n.Name())
		}
		if n.Op() != nil {
			return 0, fmt.Errorf("%s is computed, as %s: want an input of the graph", name, r.describe(r.byID[n.ID()]))
		}
		k := r.emit(step{name: name, input: true, shape: slices.Clone([]int(n.Shape())), node: n.ID()})
		r.at[n.ID()] = k
		return k, nil
	}
	if r.x, err = given(g.X, "x"); err != nil {
		return nil, fmt.Errorf("input X: %w", err)
	}
	if r.y, err = given(g.Y, "y"); err != nil {
		return nil, fmt.Errorf("targets Y: %w", err)
	}
	for _, n := range g.Params {
		k, err := given(n, n.Name())
		if err != nil {
			return nil, fmt.Errorf("parameter %w", err)
		}
		r.params = append(r.params, k)
	}
	for _, n := range order {
		if err := r.lower(n); err != nil {
			return nil, err
		}
	}
	return r, nil
}

// order lists the live nodes with operands first.
func (r *reading) order(live gorgonia.Nodes) (gorgonia.Nodes, error) {
	source := map[int64]*gorgonia.Node{}
	for _, n := range live {
		if source[n.ID()] != nil {
			return nil, fmt.Errorf("two nodes have the id %d", n.ID())
		}
		source[n.ID()] = n
	}
	var order gorgonia.Nodes
	var visit func(gn *gorgonia.Node) (*node, error)
	visit = func(gn *gorgonia.Node) (*node, error) {
		if n, ok := r.byID[gn.ID()]; ok {
			return n, nil
		}
		n := &node{id: gn.ID(), name: gn.Name(), shape: slices.Clone([]int(gn.Shape()))}
		if op := gn.Op(); op != nil {
			n.op, n.kind = op.String(), kindOf(op)
		}
		operands, err := operands(r.view, gn)
		if err != nil {
			return nil, err
		}
		for k, o := range operands {
			if source[o.ID()] != o {
				return nil, fmt.Errorf("operand %d of node %d lies outside the graph", k, n.id)
			}
			a, err := visit(o)
			if err != nil {
				return nil, err
			}
			n.args = append(n.args, a)
		}
		r.byID[n.id] = n
		r.nodes, order = append(r.nodes, n), append(order, gn)
		return n, nil
	}
	for _, n := range live {
		if _, err := visit(n); err != nil {
			return nil, err
		}
	}
	return order, nil
}

// operands are n's operands in order, repeats included. Two sources must agree:
// the view's edges, and the name that Gorgonia gives to nodes that the user did
// not name, "op(%a, %b)" with hexadecimal ids.
func operands(view *gorgonia.ExprGraph, n *gorgonia.Node) ([]*gorgonia.Node, error) {
	if got, ok := view.Node(n.ID()).(*gorgonia.Node); !ok || got != n {
		return nil, fmt.Errorf("the graph's index gives another node for id %d (%s)", n.ID(), n.Name())
	}
	var args []*gorgonia.Node
	for it := view.From(n.ID()); it.Next(); {
		args = append(args, it.Node().(*gorgonia.Node))
	}
	if name := n.Name(); n.Op() != nil && strings.Contains(name, "%") {
		var ids []string
		for _, a := range args {
			ids = append(ids, fmt.Sprintf("%%%x", a.ID()))
		}
		if want := n.Op().String() + "(" + strings.Join(ids, ", ") + ")"; name != want {
			return nil, fmt.Errorf("node %d: the graph's edges say %s, its name says %s", n.ID(), want, name)
		}
	}
	return args, nil
}

// markForward finds what output and loss are computed from.
func (r *reading) markForward() {
	var visit func(n *node)
	visit = func(n *node) {
		if n == nil || n.forward {
			return
		}
		n.forward = true
		for _, a := range n.args {
			a.readers = append(a.readers, n)
			visit(a)
		}
	}
	visit(r.byID[r.graph.Loss.ID()])
	visit(r.byID[r.graph.Output.ID()])
}

// needs reports whether a node is computed from another, or is it.
func (r *reading) needs(n, from *node) bool {
	seen := map[*node]bool{}
	var visit func(n *node) bool
	visit = func(n *node) bool {
		if seen[n] {
			return false
		}
		seen[n] = true
		return n == from || slices.ContainsFunc(n.args, visit)
	}
	return visit(n)
}

// several reports whether a node may be more than one of the user's, if such nodes are
// one to Gorgonia: whether it, or what is computed from it, is read more than once. What
// is computed alike from nodes that are one is one, too: without others, of it alone.
func (n *node) several(others bool) bool {
	for ; len(n.readers) == 1; n = n.readers[0] {
		for _, a := range n.readers[0].args {
			if a != n && !others && !strings.HasPrefix(a.kind, "constant") && a.kind != "sizeOp" {
				return false
			}
		}
	}
	return len(n.readers) > 1
}

func (r *reading) emit(s step) int {
	r.steps = append(r.steps, s)
	return len(r.steps) - 1
}

// lower lowers a node whose operands are lowered.
func (r *reading) lower(gn *gorgonia.Node) error {
	n := r.byID[gn.ID()]
	if _, done := r.at[n.id]; done {
		return nil
	}
	l := lowerer{reading: r, gn: gn, n: n, op: gn.Op(), first: len(r.steps)}
	for _, a := range n.args {
		l.args = append(l.args, r.at[a.id])
	}
	k, err := l.lower()
	if err != nil {
		return fmt.Errorf("%s: %w", r.describe(n), err)
	}
	if got := r.steps[k].size(); got != ir.Elements(n.shape) {
		return fmt.Errorf("%s: lowered to shape %v, the graph says %v", r.describe(n), r.steps[k].shape, n.shape)
	}
	if !slices.Equal(r.steps[k].shape, n.shape) { // e.g. [n] for [n,1]
		k = l.reshape(k, n.shape)
	}
	for i := l.first; i < len(r.steps); i++ {
		r.steps[i].node = n.id
	}
	if n.op != "" && !strings.Contains(n.name, "%") && k >= l.first {
		r.steps[k].name = n.name
	}
	r.at[n.id] = k
	return nil
}

// describe says which node that is by the user's own names: what it computes and
// which inputs it is computed from.
func (r *reading) describe(n *node) string {
	if n.op == "" {
		return fmt.Sprintf("node %d (%s)", n.id, n.name)
	}
	if strings.HasPrefix(n.kind, "constant") { // which nobody names
		what := "the number " + strings.TrimPrefix(n.op, "const ")
		if n.kind == "constantTensor" {
			what = fmt.Sprintf("the constant %v", n.shape)
		}
		for _, reader := range r.nodes {
			if slices.Contains(reader.args, n) {
				return what + " in " + r.describe(reader)
			}
		}
	}
	var named []string
	seen := map[*node]bool{}
	for level := n.args; len(level) > 0; {
		var next []*node
		for _, a := range level {
			if seen[a] {
				continue
			}
			seen[a] = true
			if !strings.Contains(a.name, "%") && !a.number && (a.op == "" || !strings.HasPrefix(a.op, "const ")) {
				named = append(named, a.name)
				continue
			}
			next = append(next, a.args...)
		}
		level = next
	}
	const shown = 6
	what := strings.TrimSuffix(strings.TrimSuffix(n.op, " false"), " true")
	if i := strings.Index(what, "("); i > 0 { // reshape prints extents, constants values
		what = what[:i]
	}
	if name, ok := kindNames[n.kind]; ok {
		what = name
	}
	// The batch size is not the user's, so it is B.
	shape := strings.Trim(fmt.Sprint(n.shape), "[]")
	if batch := strconv.Itoa(r.batch); shape == batch || strings.HasPrefix(shape, batch+" ") {
		shape = "B" + strings.TrimPrefix(shape, batch)
	}
	text := fmt.Sprintf("node %d (%s [%s]", n.id, strings.TrimSpace(what), shape)
	if len(named) > shown {
		named = append(named[:shown], fmt.Sprintf("%d more", len(named)-shown))
	}
	if len(named) > 0 {
		text += " of " + strings.Join(named, ", ")
	}
	return text + ")"
}

// field reads an unexported field of an operation: printed forms leave some out.
func field(op gorgonia.Op, names ...string) reflect.Value {
	v := reflect.ValueOf(op)
	for _, name := range names {
		for v.Kind() == reflect.Pointer || v.Kind() == reflect.Interface {
			v = v.Elem()
		}
		v = v.FieldByName(name)
	}
	return v
}

// floats are a value's elements, row-major.
func floats(v gorgonia.Value) ([]float64, error) {
	if t, ok := v.(*tensor.Dense); ok && t.RequiresIterator() {
		v = t.Materialize().(*tensor.Dense)
	}
	switch d := v.Data().(type) {
	case []float32:
		out := make([]float64, len(d))
		for i, x := range d {
			out[i] = float64(x)
		}
		return out, nil
	case []float64:
		return slices.Clone(d), nil
	case float32:
		return []float64{float64(d)}, nil
	case float64:
		return []float64{d}, nil
	}
	return nil, fmt.Errorf("a value of type %T, want float32 or float64", v.Data())
}
