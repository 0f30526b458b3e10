package graph

import (
	"fmt"
	"slices"
	"strings"

	"vanilla/graph/fuse"
	"vanilla/graph/ir"
)

// Lower turns a graph into a program. It reads the graph from outside, at three
// batch sizes, and lowers every live node to the tensor operations of package ir.
// If what comes out is provably a network of dense layers, activations and sums
// with a known loss, the program is that of layer operations, which every executor
// runs fast; otherwise it stays one of tensor operations (see [Network.Explain]).
//
// It fails for what no program can mean: a parameter listed twice, operations
// without a meaning here, gradients that Gorgonia gets wrong, state. The error names
// the node, what it is computed from, and what would be right.
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

// batches are the sizes at which graphs are read: numbers move with the batch along
// lines or with one over it, and must at all of these. One lies far away, where what
// moves slowly has moved.
var batches = []int{9, 11, 1009}

func newLowering(name string, build Builder) *lowering {
	return &lowering{net: &Network{Build: build}, name: name}
}

// pass is a part of the lowering. It reports what it did.
type pass struct {
	name string
	run  func() (string, error)
}

// passes are all, in order.
func (l *lowering) passes() []pass {
	return []pass{
		{"read", l.read},         // the live nodes, each as tensor operations, at three batch sizes
		{"batch", l.batch},       // one program for every batch size
		{"simplify", l.simplify}, // what computes nothing goes
		{"verify", l.verify},     // the rules of package ir
		{"layers", l.layers},     // proved to be layer operations, or not
	}
}

// lowering is the state that the passes share.
type lowering struct {
	name string
	net  *Network
	at   []*reading
}

// Explain tells what each pass of the lowering did and lists the program.
func (n *Network) Explain() string {
	return strings.Join(n.passes, "\n") + "\n\n" + n.Program.String()
}

func (l *lowering) read() (string, error) {
	for _, batch := range batches {
		g, err := l.net.Build.Differentiate(batch)
		if err != nil {
			return "", err
		}
		r, err := read(g, batch)
		if err != nil {
			return "", err
		}
		l.at = append(l.at, r)
	}
	r := l.at[0]
	l.net.nodes, l.net.batch = r.nodes, r.batch
	l.net.Notes = r.notes
	report := fmt.Sprintf("%d live nodes, %d operations; %d nodes that neither the loss nor a gradient needs are dropped", len(r.nodes), len(r.steps)-2-len(r.params), r.dead)
	for _, note := range r.notes {
		report += "; " + note
	}
	return report, nil
}

func (l *lowering) batch() (string, error) {
	p, transposed, err := generalize(l.name, l.at)
	if err != nil {
		return "", err
	}
	l.net.Tensor, l.net.Transposed = p, transposed
	return fmt.Sprintf("the same operations at batch %d, %d and %d: what moves is the batch", batches[0], batches[1], batches[2]), nil
}

func (l *lowering) simplify() (string, error) {
	before := len(l.net.Tensor.Ops)
	simplify(l.net.Tensor, batches)
	return fmt.Sprintf("%d of %d operations left: %s", len(l.net.Tensor.Ops), before, ir.Kinds(l.net.Tensor.Ops)), nil
}

func (l *lowering) verify() (string, error) {
	if err := l.net.Tensor.Verify(); err != nil {
		return "", err
	}
	p := l.net.Tensor
	return fmt.Sprintf("every rule holds: %s%v, %s%v, %d parameters", p.Value(p.Input).Name, p.Value(p.Input).Shape, p.Value(p.Target).Name, p.Value(p.Target).Shape, len(p.Params)), nil
}

func (l *lowering) layers() (string, error) {
	p, err := fuse.Layers(l.net.Tensor)
	if err == nil {
		l.net.Program = p
		return "proved equal to layer operations: " + ir.Kinds(p.Ops), nil
	}
	l.net.Program, l.net.unfused = fuse.Parts(l.net.Tensor), err
	report := fmt.Sprintf("no network of layers as a whole: %v; its parts:", err)
	for _, line := range fuse.Report(l.net.Tensor, l.net.Program) {
		report += fmt.Sprintf("\n%-12s %s", "", line)
	}
	return report, nil
}

// nodeOf is the graph's node that a value of the forward pass is. Of tensor
// operations several may stand for one node, so there it is not known.
func (n *Network) nodeOf(id ir.ID) (int64, bool) {
	if n.unfused != nil {
		return 0, false
	}
	for _, op := range n.Program.Ops[:n.Program.Forward] {
		if op.Out == id && len(op.Nodes) > 0 {
			return slices.Max(op.Nodes), true
		}
	}
	return 0, false
}
