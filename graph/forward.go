package graph

import (
	"fmt"

	"vanilla/graph/ir"
)

func (l *lowering) forwardPass() (string, error) {
	g, p := l.at[0].graph, l.net.Program
	out, err := l.forward(l.node(g.Output.ID()))
	if err != nil {
		return "", err
	}
	p.Output = out
	for i, q := range p.Params {
		if !l.used[i] {
			return "", fmt.Errorf("parameter %s is no weight or bias of a dense layer", l.name(q.Value))
		}
	}
	return count(p.Ops), nil
}

// forward lowers a node of the forward pass, operands first.
func (l *lowering) forward(n *node) (ir.ID, error) {
	if id, ok := l.value[n]; ok {
		return id, nil
	}
	if d, ok := l.denseAt(n); ok {
		return l.dense(n, d)
	}
	if z, act, nodes, ok := l.activation(n); ok {
		in, err := l.forward(z)
		if err != nil {
			return 0, err
		}
		name := "h"
		if s := l.name(in); s[0] == 'z' {
			name += s[1:]
		}
		id := l.emit(n, name, l.shape(in), ir.Op{Code: ir.Act, Act: act, Args: []ir.ID{in}}, nodes...)
		l.act[n] = true
		return id, nil
	}
	if n.kind == add && l.at[0].perExample(n.args[0]) && l.at[0].perExample(n.args[1]) {
		return l.sum(n, "s", l.forward)
	}
	return 0, fmt.Errorf("node %v %v is no dense layer, activation or sum of such", n, n.shape)
}

// sum lowers an addition whose operands lower lowers.
func (l *lowering) sum(n *node, name string, lower func(*node) (ir.ID, error)) (ir.ID, error) {
	a, err := lower(n.args[0])
	if err != nil {
		return 0, err
	}
	b, err := lower(n.args[1])
	if err != nil {
		return 0, err
	}
	return l.emit(n, name, l.shape(a), ir.Op{Code: ir.Add, Args: []ir.ID{a, b}, Scale: 1}, n), nil
}

// layer is a dense layer in the graph.
type layer struct {
	input      *node
	weight     int  // parameter
	transposed bool // held as [in, out]
	bias       int  // parameter, -1 without
	nodes      []*node
}

// denseAt recognises a·W, a·Wᵀ, and either with a bias repeated over the batch.
func (l *lowering) denseAt(n *node) (layer, bool) {
	if n.kind == matmul {
		w, transposed, nodes := stripTranspose(n.args[1])
		i, ok := l.param[w]
		if !ok || n.ta || l.target[n] {
			return layer{}, false
		}
		return layer{n.args[0], i, transposed == n.tb, -1, append(nodes, n)}, true
	}
	if n.kind != add || l.target[n] {
		return layer{}, false
	}
	for k, product := range n.args {
		d, ok := l.denseAt(product)
		if !ok || d.bias >= 0 {
			continue
		}
		rep := n.args[1-k]
		if rep.kind != repeat || rep.axis != 0 || len(rep.args) != 2 ||
			rep.args[1].kind != sizeof || int(rep.args[1].value) != l.at[0].batch {
			continue
		}
		d.nodes = append(d.nodes, n, rep, rep.args[1])
		b := rep.args[0]
		for b.kind == reshape {
			d.nodes = append(d.nodes, b)
			b = b.args[0]
		}
		if d.bias, ok = l.param[b]; ok {
			return d, true
		}
	}
	return layer{}, false
}

// stripTranspose looks through a transposition.
func stripTranspose(n *node) (*node, bool, []*node) {
	if n.kind == transpose {
		return n.args[0], true, []*node{n}
	}
	return n, false, nil
}

func (l *lowering) dense(n *node, d layer) (ir.ID, error) {
	in, err := l.forward(d.input)
	if err != nil {
		return 0, err
	}
	p := l.net.Program
	w := p.Params[d.weight].Value
	stored := l.node(l.at[0].graph.Params[d.weight].ID()).shape
	if len(stored) != 2 {
		return 0, fmt.Errorf("node %v multiplies with %s, which is no matrix", n, l.name(w))
	}
	if l.used[d.weight] && l.net.Transposed[d.weight] != d.transposed {
		return 0, fmt.Errorf("node %v: %s is used both as it is and transposed", n, l.name(w))
	}
	l.used[d.weight], l.net.Transposed[d.weight] = true, d.transposed
	if d.transposed {
		p.Values[w].Shape = ir.Shape{Rows: stored[1], Cols: stored[0]}
	}
	args := []ir.ID{in, w}
	if d.bias >= 0 {
		if q := &p.Params[d.bias]; l.used[d.bias] && !q.Bias {
			return 0, fmt.Errorf("node %v: %s is used both as a weight and as a bias", n, l.name(q.Value))
		}
		l.used[d.bias], p.Params[d.bias].Bias = true, true
		args = append(args, p.Params[d.bias].Value)
	}
	layers := 1
	for _, op := range p.Ops {
		if op.Code == ir.Dense {
			layers++
		}
	}
	return l.emit(n, fmt.Sprintf("z%d", layers), ir.Shape{Rows: ir.Batch, Cols: p.Values[w].Shape.Rows},
		ir.Op{Code: ir.Dense, Args: args}, d.nodes...), nil
}

// activation recognises n as a function of one other value, element by element.
func (l *lowering) activation(n *node) (z *node, act ir.Activation, nodes []*node, ok bool) {
	for _, stop := range []func(*node) bool{l.isBase, l.isValue, func(m *node) bool { return m != n }} {
		c := l.cone(n, stop)
		if len(c.leaves) != 1 || c.leaves[0] == n {
			continue
		}
		z = c.leaves[0]
		f, err := c.at(map[*node][]float64{z: probes})
		if err != nil {
			continue
		}
		if act, ok = recognise(f, ir.Activation.Value); ok {
			return z, act, c.nodes, true
		}
	}
	return nil, 0, nil, false
}

// isValue reports whether a node is, or will become, a value of its own.
func (l *lowering) isValue(n *node) bool {
	if _, ok := l.value[n]; ok {
		return true
	}
	_, ok := l.denseAt(n)
	return ok
}

// isBase is isValue for what is not itself an activation.
func (l *lowering) isBase(n *node) bool { return l.isValue(n) && !l.act[n] }
