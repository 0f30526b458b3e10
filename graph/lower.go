package graph

import (
	"fmt"
	"slices"
	"sort"
	"strings"

	"vanilla/graph/ir"
)

// Lower turns a graph into a program. It reads the graph from outside, at two
// batch sizes, and recognises what nodes compute by evaluating them, not by
// how they are written. Every live node ends up in exactly one operation, or
// lowering fails and names the nodes: what Lower accepts means what the graph
// means.
//
// It knows dense layers (x·W or x·Wᵀ with a parameter W, and a bias added with
// BroadcastAdd), the activations of package ir, sums of values (skip
// connections), softmax cross-entropy and the quadratic cost averaged over the
// batch, and penalties c/2·Σp² on parameters.
func Lower(name string, build Builder) (*Network, error) {
	l := newLowering(name, build)
	for _, pass := range l.passes() {
		report, err := pass.run()
		if err != nil {
			return nil, fmt.Errorf("lowering %q: %s: %w", name, pass.name, err)
		}
		l.net.passes = append(l.net.passes, fmt.Sprintf("%-10s %s", pass.name, report))
	}
	return l.net, nil
}

func newLowering(name string, build Builder) *lowering {
	return &lowering{
		net:     &Network{Build: build, Program: &ir.Program{Name: name}},
		value:   map[*node]ir.ID{},
		act:     map[*node]bool{},
		owner:   map[*node]int{},
		param:   map[*node]int{},
		penalty: map[int]float64{},
	}
}

// pass is a part of the lowering. It reports what it did.
type pass struct {
	name string
	run  func() (string, error)
}

// passes are all, in order.
func (l *lowering) passes() []pass {
	return []pass{
		{"read", l.read},           // the live nodes, at two batch sizes
		{"batch", l.batch},         // what differs between them is the batch
		{"inputs", l.inputs},       // x, y and the parameters become values
		{"forward", l.forwardPass}, // dense layers, activations and sums up to the output
		{"loss", l.lossPass},       // which loss, its scale, penalties, its gradient
		{"gradients", l.gradients}, // of every parameter, through DAct and DInput
		{"account", l.account},     // every live node belongs to one operation
		{"verify", l.verify},       // the rules of package ir
	}
}

// lowering is the state that the passes share. Unless they say otherwise,
// nodes are those of the first reading.
type lowering struct {
	net     *Network
	at      [2]*reading
	value   map[*node]ir.ID // nodes that are values of the program
	act     map[*node]bool  // those of them that an Act computes
	owner   map[*node]int   // the operation that a node belongs to
	param   map[*node]int   // index of a parameter's node
	used    []bool          // parameters that a dense layer uses
	target  map[*node]bool  // nodes that depend on y
	penalty map[int]float64 // factor c of c/2·Σp², by parameter
	scale   float64         // of the loss
}

// Explain tells what each pass of the lowering did and lists the program.
func (n *Network) Explain() string {
	return strings.Join(n.passes, "\n") + "\n\n" + n.Program.String()
}

func (l *lowering) node(id int64) *node { return l.at[0].byID[id] }

// twin is a node's counterpart in the second reading.
func (l *lowering) twin(n *node, reading int) *node { return l.at[reading].byID[n.id] }

func (l *lowering) read() (string, error) {
	// Two batch sizes that are no extent of anything else.
	trial, err := l.net.Build.Differentiate(2)
	if err != nil {
		return "", err
	}
	taken := map[int]bool{}
	for _, n := range trial.Expr.AllNodes() {
		for _, d := range n.Shape() {
			taken[d] = true
		}
	}
	batch := 5
	for i := range l.at {
		for batch++; taken[batch]; batch++ {
		}
		g, err := l.net.Build.Differentiate(batch)
		if err != nil {
			return "", err
		}
		if l.at[i], err = read(g, batch); err != nil {
			return "", err
		}
	}
	r := l.at[0]
	l.net.nodes, l.net.batch, l.net.node = r.order, r.batch, map[ir.ID]int64{}
	return fmt.Sprintf("%d live nodes; %d that neither the loss nor a gradient needs are dropped", len(r.order), r.dead), nil
}

func (l *lowering) batch() (string, error) {
	if err := sameGraph(l.at[0], l.at[1]); err != nil {
		return "", err
	}
	return fmt.Sprintf("the same nodes at batch %d and %d: what moved is the batch", l.at[0].batch, l.at[1].batch), nil
}

func (l *lowering) inputs() (string, error) {
	g, p := l.at[0].graph, l.net.Program
	x, y := l.node(g.X.ID()), l.node(g.Y.ID())
	for _, n := range []*node{x, y} {
		if !l.at[0].perExample(n) || n.kind != input {
			return "", fmt.Errorf("node %v has shape %v, want an input with one row per example", n, n.shape)
		}
	}
	p.Input = l.define(x, x.name, ir.Shape{Rows: ir.Batch, Cols: x.shape[1]})
	p.Target = l.define(y, y.name, ir.Shape{Rows: ir.Batch, Cols: y.shape[1]})
	if len(g.Grads) != len(g.Params) {
		return "", fmt.Errorf("%d gradients for %d parameters", len(g.Grads), len(g.Params))
	}
	for i, gp := range g.Params {
		n := l.node(gp.ID())
		if n == nil {
			return "", fmt.Errorf("the loss does not depend on parameter %s", gp.Name())
		}
		if n.kind != input || len(n.shape) > 2 || len(n.shape) == 0 {
			return "", fmt.Errorf("parameter %v has shape %v, want an input that is a matrix or a vector", n, n.shape)
		}
		shape := ir.Shape{Rows: 1, Cols: n.shape[len(n.shape)-1]}
		if len(n.shape) == 2 {
			shape.Rows = n.shape[0]
		}
		l.param[n] = i
		p.Params = append(p.Params, ir.Param{Value: l.define(n, n.name, shape)})
	}
	for _, n := range l.at[0].order {
		if _, known := l.value[n]; n.kind == input && !known {
			return "", fmt.Errorf("the loss depends on the input %s%v, which is neither X nor Y: is it missing in Params?", n.name, n.shape)
		}
	}
	l.used = make([]bool, len(p.Params))
	l.net.Transposed = make([]bool, len(p.Params))
	l.target = map[*node]bool{y: true}
	for _, n := range l.at[0].order {
		for _, a := range n.args {
			if l.target[a] {
				l.target[n] = true
			}
		}
	}
	return fmt.Sprintf("%s%v, %s%v, %d parameters", x.name, p.Value(p.Input).Shape, y.name, p.Value(p.Target).Shape, len(p.Params)), nil
}

// define adds a value to the program, under a name that is not taken, and says
// that node n is it.
func (l *lowering) define(n *node, name string, shape ir.Shape) ir.ID {
	p := l.net.Program
	taken := func(s string) bool {
		return slices.ContainsFunc(p.Values, func(v ir.Value) bool { return v.Name == s })
	}
	for k, base := 2, name; taken(name); k++ {
		name = fmt.Sprintf("%s.%d", base, k)
	}
	id := ir.ID(len(p.Values))
	p.Values = append(p.Values, ir.Value{Name: name, Shape: shape})
	if n != nil {
		l.value[n], l.net.node[id] = id, n.id
	}
	return id
}

// emit adds an operation that stands for the given nodes and computes n.
func (l *lowering) emit(n *node, name string, shape ir.Shape, op ir.Op, nodes ...*node) ir.ID {
	op.Out = l.define(n, name, shape)
	p := l.net.Program
	p.Ops = append(p.Ops, op)
	l.claim(len(p.Ops)-1, nodes...)
	return op.Out
}

// claim gives nodes that no operation stands for yet to one. Inputs and
// constants are operands, not work, and belong to none.
func (l *lowering) claim(op int, nodes ...*node) {
	for _, n := range nodes {
		if _, taken := l.owner[n]; !taken && n.kind != input && n.kind != constnt {
			l.owner[n] = op
		}
	}
}

func (l *lowering) name(id ir.ID) string    { return l.net.Program.Value(id).Name }
func (l *lowering) shape(id ir.ID) ir.Shape { return l.net.Program.Value(id).Shape }
func (l *lowering) producer(id ir.ID) int { // -1 for what is given
	return slices.IndexFunc(l.net.Program.Ops, func(op ir.Op) bool { return op.Out == id })
}

// count summarises operations by code: "3 dense, 2 act".
func count(ops []ir.Op) string {
	number := map[ir.Code]int{}
	var codes []ir.Code
	for _, op := range ops {
		if number[op.Code]++; number[op.Code] == 1 {
			codes = append(codes, op.Code)
		}
	}
	var parts []string
	for _, c := range codes {
		parts = append(parts, fmt.Sprintf("%d %s", number[c], c))
	}
	return strings.Join(parts, ", ")
}

func (l *lowering) account() (string, error) {
	p := l.net.Program
	var left []string
	leaves := 0
	for _, n := range l.at[0].order {
		op, ok := l.owner[n]
		switch {
		case n.kind == input:
			if _, known := l.value[n]; !known {
				left = append(left, n.String())
			}
			leaves++
		case n.kind == constnt:
			leaves++
		case !ok:
			left = append(left, n.String())
		default:
			p.Ops[op].Nodes = append(p.Ops[op].Nodes, n.id)
		}
	}
	if len(left) > 0 {
		return "", fmt.Errorf("nothing stands for node %s", strings.Join(left, ", "))
	}
	for i := range p.Ops {
		sort.Slice(p.Ops[i].Nodes, func(a, b int) bool { return p.Ops[i].Nodes[a] < p.Ops[i].Nodes[b] })
	}
	return fmt.Sprintf("%d live nodes = %d inputs and constants + %d in %d operations", len(l.at[0].order), leaves, len(l.at[0].order)-leaves, len(p.Ops)), nil
}

func (l *lowering) verify() (string, error) {
	if err := l.net.Program.Verify(); err != nil {
		return "", err
	}
	return "every rule holds", nil
}
