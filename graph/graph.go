// Package graph writes networks as Gorgonia expression graphs, lets Gorgonia
// differentiate them, and lowers the result to a program that every executor
// runs.
//
//	Arch ─ Build ─▶ Graph ─ gorgonia.Grad ─▶ Graph with gradients ─ Lower ─▶ ir.Program
//
// [New] does all of it for a chain of dense layers. [Lower] takes any graph
// that a [Builder] writes. It lowers every live node to tensor operations, or
// refuses and names the node. What is provably a network of dense layers becomes a
// program of layer operations; the rest runs as it is, slower.
package graph

import (
	"fmt"
	"path/filepath"
	"runtime"
	"strings"
	"sync"

	// Gorgonia panics on today's Go unless this version of its guard is linked.
	_ "go4.org/unsafe/assume-no-moving-gc"
	"gorgonia.org/gorgonia"

	"vanilla/graph/ir"
)

// Graph is a loss at one batch size, written in Gorgonia.
type Graph struct {
	Expr *gorgonia.ExprGraph
	X    *gorgonia.Node // [B, features]
	Y    *gorgonia.Node // [B, classes], one-hot rows
	// Output is [B, classes]: the logits before a cross-entropy, the
	// activations before a quadratic cost. The largest one is the prediction.
	Output *gorgonia.Node
	Loss   *gorgonia.Node // scalar, a mean over the batch
	// Params are trained: weight matrices, used as x·W or x·Wᵀ, and biases,
	// added with BroadcastAdd. Their names must be unique.
	Params gorgonia.Nodes
	// Grads are the parameters' gradients, in the same order. They are nil
	// until Differentiate.
	Grads gorgonia.Nodes
}

// Builder writes a network's graph at the given batch size. It must write the
// same nodes in the same order every time.
type Builder func(batch int) (*Graph, error)

// building serialises all writing of graphs: Gorgonia's global constants are
// changed when nodes that use them are added.
var building sync.Mutex

// Differentiate builds the graph and adds the gradients. It may be called from
// any number of goroutines. Gorgonia's panics become errors.
func (b Builder) Differentiate(batch int) (g *Graph, err error) {
	building.Lock()
	defer building.Unlock()
	defer func() {
		if r := recover(); r != nil {
			g, err = nil, fmt.Errorf("building the graph at batch %d: %s%v", batch, panicked(r), r)
		}
		if err != nil && strings.Contains(err.Error(), "bool ~ float") {
			err = fmt.Errorf("%w: comparisons give booleans unless they are asked for numbers, as in Gt(a, b, true)", err)
		}
	}()
	g, err = b(batch)
	if err != nil {
		return nil, fmt.Errorf("building the graph at batch %d: %w", batch, err)
	}
	if err := g.check(); err != nil {
		return nil, fmt.Errorf("building the graph at batch %d: %w", batch, err)
	}
	for _, n := range g.Expr.ExactSubgraphRoots(g.Loss, g.Output).AllNodes() {
		if n.Op() != nil && unsupported[kindOf(n.Op())] != "" { // before Gorgonia fails to differentiate it
			return nil, fmt.Errorf("%s: %s", g.describe(n, batch), unsupported[kindOf(n.Op())])
		}
	}
	if g.Loss.Shape().TotalSize() > 1 {
		return nil, fmt.Errorf("the loss %s is no number: take the Mean over the examples", g.describe(g.Loss, batch))
	}
	if g.Grads == nil {
		if g.Grads, err = gorgonia.Grad(g.Loss, g.Params...); err != nil {
			return nil, fmt.Errorf("differentiating the graph: %w", err)
		}
	}
	return g, nil
}

// panicked says where code went wrong that panics with an error of Go's runtime, which
// names nothing: the function of Gorgonia, if it is one, and the builder's line.
func panicked(with any) string {
	if _, ok := with.(runtime.Error); !ok {
		return "" // the panic's own text says it, as that of gorgonia.Must
	}
	where, inside := "", false
	stack := make([]uintptr, 64)
	for frames := runtime.CallersFrames(stack[:runtime.Callers(2, stack)]); ; {
		f, more := frames.Next()
		name := f.Function[strings.LastIndex(f.Function, "/")+1:]
		switch {
		case name == "runtime.gopanic":
			inside = true
		case !inside || strings.HasPrefix(name, "runtime."):
		case strings.HasPrefix(f.Function, "gorgonia.org/"):
			if where == "" {
				where = name + ": "
			}
		case name == "graph.Builder.Differentiate": // in Grad: no line of the builder's
			return where
		default:
			return fmt.Sprintf("%s:%d: %s", filepath.Base(f.File), f.Line, where)
		}
		if !more {
			return where
		}
	}
}

// describe says which node that is, as errors do.
func (g *Graph) describe(n *gorgonia.Node, batch int) string {
	r := &reading{batch: batch, graph: g, byID: map[int64]*node{}, view: g.Expr.ExactSubgraphRoots(n)}
	if _, err := r.order(r.view.AllNodes()); err != nil {
		return n.Name()
	}
	return r.describe(r.byID[n.ID()])
}

// check reports the first thing that a Builder has not set.
func (g *Graph) check() error {
	if g == nil {
		return fmt.Errorf("the builder returned no graph")
	}
	if g.Expr == nil {
		return fmt.Errorf("the builder set no Expr")
	}
	nodes := []*gorgonia.Node{g.X, g.Y, g.Output, g.Loss}
	for i, name := range []string{"X", "Y", "Output", "Loss"} {
		if nodes[i] == nil {
			return fmt.Errorf("the builder set no %s", name)
		}
	}
	if len(g.Params) == 0 {
		return fmt.Errorf("the builder set no Params: there is nothing to train")
	}
	seen := map[string]*gorgonia.Node{}
	for i, p := range g.Params {
		switch {
		case p == nil:
			return fmt.Errorf("the builder set no node for parameter %d of Params", i)
		case p.Op() != nil:
			return fmt.Errorf("parameter %d of Params is computed (%v): want an input, as NewMatrix and NewVector make", i, p.Op())
		case seen[p.Name()] == p:
			return fmt.Errorf("parameter %s is in Params twice (Gorgonia makes inputs of one name and shape one node: give each a name of its own)", p.Name())
		case seen[p.Name()] != nil:
			return fmt.Errorf("two parameters are called %s, of shapes %v and %v: give each a name of its own", p.Name(), seen[p.Name()].Shape(), p.Shape())
		}
		seen[p.Name()] = p
	}
	if g.Grads != nil {
		return nil
	}
	reached := map[*gorgonia.Node]bool{}
	for _, n := range g.Expr.SubgraphRoots(g.Loss).AllNodes() {
		reached[n] = true
	}
	for _, p := range g.Params {
		if !reached[p] {
			return fmt.Errorf("the loss does not depend on parameter %s: use it there, or leave it out of Params", p.Name())
		}
	}
	return nil
}

// Network is a graph that has been lowered.
type Network struct {
	Program *ir.Program
	// Build writes the graph that the program was lowered from.
	Build Builder
	// Transposed[i] is true if the graph holds parameter i as [in, out]. The
	// program's weights are [out, in].
	Transposed []bool

	// Tensor is the program of tensor operations, as the graph was lowered. It is
	// Program if that is not one of layer operations.
	Tensor *ir.Program
	// Notes are about nodes that Gorgonia may have made of several of the
	// user's.
	Notes []string

	passes  []string
	nodes   []*node // live, operands first, at size batch
	batch   int
	unfused error // why the program is not one of layer operations
}

// Lowered is the program: executors take networks as what it came from.
func (n *Network) Lowered() *ir.Program { return n.Program }

// Unfused says why the program is not one of layer operations, nil if it is.
func (n *Network) Unfused() error { return n.unfused }

// Node finds the node of g, a graph that n.Build wrote, that holds a value of
// the forward pass, or nil.
func (n *Network) Node(g *Graph, id ir.ID) *gorgonia.Node {
	if id == n.Program.Output {
		return g.Output
	}
	want, ok := n.nodeOf(id)
	if !ok {
		return nil
	}
	for _, node := range g.Expr.AllNodes() { // the graph's own index can be stale
		if node.ID() == want {
			return node
		}
	}
	return nil
}

// New builds the graph of an architecture and lowers it.
func New(a Arch) (*Network, error) {
	if err := a.Check(); err != nil {
		return nil, err
	}
	return Lower(a.String(), a.Build)
}
