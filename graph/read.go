package graph

import (
	"fmt"
	"math"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"gorgonia.org/gorgonia"
)

// kind is what a node computes, out of the closed set that lowering reads.
type kind string

const (
	input       kind = "input"
	constnt     kind = "const"
	sizeof      kind = "sizeof"
	matmul      kind = "matmul"
	transpose   kind = "transpose"
	reshape     kind = "reshape"
	repeat      kind = "repeat"
	sum         kind = "sum"
	softmax     kind = "softmax"
	softmaxDiff kind = "softmaxdiff"
	add         kind = "add"
	unary       kind = "unary"
	binary      kind = "binary"
)

// node is one node of an expression graph, read from outside.
type node struct {
	id     int64
	kind   kind
	op     string // as Gorgonia prints it
	name   string
	args   []*node
	shape  []int
	axis   int  // sum and repeat; -1 if several
	ta, tb bool // matmul: left, right operand transposed
	log    bool // softmax, softmaxdiff: of the logarithm
	value  float64
	fn1    func(float64) float64
	fn2    func(a, b float64) float64
}

func (n *node) String() string {
	if n.op == "" {
		return fmt.Sprintf("%d (%s)", n.id, n.name)
	}
	return fmt.Sprintf("%d (%s)", n.id, n.op)
}

func (n *node) size() int {
	size := 1
	for _, d := range n.shape {
		size *= d
	}
	return size
}

func (n *node) elementwise() bool { return n.kind == unary || n.kind == binary || n.kind == add }

// reading is the live part of a graph at one batch size.
type reading struct {
	batch int
	graph *Graph
	order []*node // operands first
	byID  map[int64]*node
	dead  int // nodes that the loss and the gradients do not need
}

// Gorgonia's element-wise operations by the names it prints.
var unaries = map[string]func(float64) float64{
	"abs": math.Abs, "sin": math.Sin, "cos": math.Cos, "exp": math.Exp, "ln": math.Log, "log2": math.Log2,
	"sqrt": math.Sqrt, "tanh": math.Tanh, "log1p": math.Log1p, "expm1": math.Expm1,
	"neg":      func(x float64) float64 { return -x },
	"sign":     func(x float64) float64 { return math.Copysign(1, x) },
	"square":   func(x float64) float64 { return x * x },
	"cube":     func(x float64) float64 { return x * x * x },
	"inv":      func(x float64) float64 { return 1 / x },
	"invSqrt":  func(x float64) float64 { return 1 / math.Sqrt(x) },
	"sigmoid":  func(x float64) float64 { return 1 / (1 + math.Exp(-x)) },
	"softplus": func(x float64) float64 { return math.Max(x, 0) + math.Log1p(math.Exp(-math.Abs(x))) },
}

var binaries = map[string]func(a, b float64) float64{
	"+ false": func(a, b float64) float64 { return a + b },
	"- false": func(a, b float64) float64 { return a - b },
	"⊙ false": func(a, b float64) float64 { return a * b },
	"÷ false": func(a, b float64) float64 { return a / b },
	">= true": func(a, b float64) float64 { return truth(a >= b) },
	"> true":  func(a, b float64) float64 { return truth(a > b) },
	"< true":  func(a, b float64) float64 { return truth(a < b) },
	"<= true": func(a, b float64) float64 { return truth(a <= b) },
	"= true":  func(a, b float64) float64 { return truth(a == b) },
}

func truth(t bool) float64 {
	if t {
		return 1
	}
	return 0
}

var (
	reReduce    = regexp.MustCompile(`^Σ\[([\d ]+)\]$`)
	reRepeat    = regexp.MustCompile(`^Repeat(\d+)$`)
	reTranspose = regexp.MustCompile(`^Aᵀ\{1, 0\}$`)
	reSoftmax   = regexp.MustCompile(`^(Softmax|SoftmaxDiff)\{-1, (true|false)\}\(\)$`)
	reSizeOf    = regexp.MustCompile(`^SizeOf=(\d+)$`)
)

// parse fills in what the operation's printed form says.
func (n *node) parse() error {
	switch op := n.op; {
	case unaries[op] != nil:
		n.kind, n.fn1 = unary, unaries[op]
	case op == "+ false":
		n.kind, n.fn2 = add, binaries[op]
	case binaries[op] != nil:
		n.kind, n.fn2 = binary, binaries[op]
	case op == "A × B", op == "A × Bᵀ", op == "Aᵀ × B", op == "Aᵀ × Bᵀ":
		n.kind, n.ta, n.tb = matmul, strings.HasPrefix(op, "Aᵀ"), strings.HasSuffix(op, "Bᵀ")
	case strings.HasPrefix(op, "Reshape("):
		n.kind = reshape
	case strings.HasPrefix(op, "const "):
		n.kind = constnt
	case reTranspose.MatchString(op):
		n.kind = transpose
	default:
		if m := reReduce.FindStringSubmatch(op); m != nil {
			n.kind, n.axis = sum, -1
			if a, err := strconv.Atoi(m[1]); err == nil {
				n.axis = a
			}
		} else if m := reRepeat.FindStringSubmatch(op); m != nil {
			n.kind = repeat
			n.axis, _ = strconv.Atoi(m[1])
		} else if m := reSizeOf.FindStringSubmatch(op); m != nil {
			size, err := strconv.Atoi(m[1])
			if err != nil {
				return fmt.Errorf("node %v: %w", n, err)
			}
			n.kind, n.value = sizeof, float64(size)
			if !slices.Contains(n.args[0].shape, size) {
				return fmt.Errorf("node %v is no extent of its operand's shape %v", n, n.args[0].shape)
			}
		} else if m := reSoftmax.FindStringSubmatch(op); m != nil {
			n.kind, n.log = softmax, m[2] == "true"
			if m[1] == "SoftmaxDiff" {
				n.kind = softmaxDiff
			}
		} else {
			return fmt.Errorf("node %v: lowering does not know this operation", n)
		}
	}
	return nil
}

// read reads the part of the graph that the loss and the gradients need.
func read(g *Graph, batch int) (*reading, error) {
	// A fresh view: the graph's own index goes stale when Gorgonia's
	// simplifications remove nodes, and then answers for other nodes.
	view := g.Expr.ExactSubgraphRoots(append(gorgonia.Nodes{g.Loss, g.Output}, g.Grads...)...)
	r := &reading{batch: batch, graph: g, byID: map[int64]*node{}}
	all := view.AllNodes()
	r.dead = len(g.Expr.AllNodes()) - len(all)

	source := map[int64]*gorgonia.Node{}
	for _, n := range all {
		if source[n.ID()] != nil {
			return nil, fmt.Errorf("two nodes have the id %d", n.ID())
		}
		source[n.ID()] = n
	}
	var visit func(n *gorgonia.Node) (*node, error)
	visit = func(gn *gorgonia.Node) (*node, error) {
		if n, ok := r.byID[gn.ID()]; ok {
			return n, nil
		}
		n := &node{id: gn.ID(), kind: input, name: gn.Name(), shape: slices.Clone([]int(gn.Shape()))}
		operands, err := operands(view, gn)
		if err != nil {
			return nil, err
		}
		for _, o := range operands {
			if source[o.ID()] != o {
				return nil, fmt.Errorf("operand %d of node %d lies outside the graph", o.ID(), n.id)
			}
			a, err := visit(o)
			if err != nil {
				return nil, err
			}
			n.args = append(n.args, a)
		}
		if op := gn.Op(); op != nil {
			n.op = op.String()
			if err := n.parse(); err != nil {
				return nil, err
			}
		}
		if n.kind == constnt {
			if n.value, err = scalar(gn); err != nil {
				return nil, err
			}
		}
		r.byID[n.id] = n
		r.order = append(r.order, n)
		return n, nil
	}
	slices.SortFunc(all, func(a, b *gorgonia.Node) int { return int(a.ID() - b.ID()) })
	for _, n := range all {
		if _, err := visit(n); err != nil {
			return nil, err
		}
	}
	for what, n := range map[string]*gorgonia.Node{"x": g.X, "y": g.Y} {
		if r.byID[n.ID()] == nil {
			return nil, fmt.Errorf("the loss does not depend on %s (%s)", what, n.Name())
		}
	}
	return r, nil
}

// operands are n's operands in order, repeats included. Two witnesses must
// agree: the view's edges, and the name that Gorgonia gives to nodes that the
// user did not name, "op(%a, %b)" with hexadecimal ids.
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

// scalar is the value of a constant node.
func scalar(n *gorgonia.Node) (float64, error) {
	switch v := n.Value().Data().(type) {
	case float32:
		return float64(v), nil
	case float64:
		return v, nil
	}
	return 0, fmt.Errorf("node %d: constant of type %T, want one float32 or float64", n.ID(), n.Value().Data())
}

// sameGraph checks that two readings at different batch sizes hold the same
// nodes and differ in nothing but the batch.
func sameGraph(a, b *reading) error {
	if len(a.order) != len(b.order) {
		return fmt.Errorf("%d nodes at batch %d, %d at batch %d", len(a.order), a.batch, len(b.order), b.batch)
	}
	moved := func(p, q int) bool { return p == q || p == a.batch && q == b.batch }
	for i, n := range a.order {
		m := b.order[i]
		same := n.id == m.id && n.kind == m.kind && n.axis == m.axis && n.ta == m.ta && n.tb == m.tb && n.log == m.log &&
			slices.EqualFunc(n.args, m.args, func(x, y *node) bool { return x.id == y.id }) &&
			slices.EqualFunc(n.shape, m.shape, moved)
		switch n.kind {
		case sizeof:
			same = same && moved(int(n.value), int(m.value))
		case constnt:
			same = same && n.value == m.value
		case unary, binary:
			same = same && n.op == m.op
		}
		if !same {
			return fmt.Errorf("node %v %v at batch %d is node %v %v at batch %d: only the batch may differ",
				n, n.shape, a.batch, m, m.shape, b.batch)
		}
	}
	return nil
}

// perExample reports whether the node has a row for each example and one more
// dimension.
func (r *reading) perExample(n *node) bool { return len(n.shape) == 2 && n.shape[0] == r.batch }
