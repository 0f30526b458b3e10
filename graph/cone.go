package graph

import (
	"fmt"
	"math"
	"math/rand/v2"
	"slices"

	"vanilla/graph/ir"
)

// cone is what lies between a node and the leaves it is computed from, where
// everything between is element-wise.
type cone struct {
	root   *node
	leaves []*node
	nodes  []*node // between, the root included
}

// cone descends from n until stop holds or a node is not element-wise.
// Constants are no leaves.
func (l *lowering) cone(n *node, stop func(*node) bool) cone {
	c := cone{root: n}
	var visit func(m *node)
	visit = func(m *node) {
		if slices.Contains(c.nodes, m) || slices.Contains(c.leaves, m) {
			return
		}
		if m != n && stop(m) || !m.elementwise() && !uniform(m) {
			c.leaves = append(c.leaves, m)
			return
		}
		c.nodes = append(c.nodes, m)
		for _, a := range m.args {
			if m.kind != sizeof { // a size reads no values
				visit(a)
			}
		}
	}
	visit(n)
	return c
}

// uniform reports whether every element of n is the same constant.
func uniform(n *node) bool {
	switch n.kind {
	case constnt, sizeof:
		return true
	case reshape, repeat, unary, binary, add:
		for _, a := range n.args {
			if !uniform(a) {
				return false
			}
		}
		return true
	}
	return false
}

// at computes the root for many values of the leaves at once.
func (c cone) at(leaves map[*node][]float64) ([]float64, error) {
	var count int
	done := map[*node][]float64{}
	for n, v := range leaves {
		done[n], count = v, len(v)
	}
	var eval func(n *node) ([]float64, error)
	eval = func(n *node) ([]float64, error) {
		if v, ok := done[n]; ok {
			return v, nil
		}
		var in [][]float64
		if n.kind != constnt && n.kind != sizeof {
			for _, a := range n.args {
				v, err := eval(a)
				if err != nil {
					return nil, err
				}
				in = append(in, v)
			}
		}
		out := make([]float64, count)
		for i := range out {
			switch n.kind {
			case constnt, sizeof:
				out[i] = n.value
			case unary:
				out[i] = n.fn1(in[0][i])
			case binary, add:
				out[i] = n.fn2(in[0][i], in[1][i])
			case reshape, repeat: // of a uniform value
				out[i] = in[0][i]
			default:
				return nil, fmt.Errorf("node %v is not element-wise", n)
			}
		}
		done[n] = out
		return out, nil
	}
	return eval(c.root)
}

// probes are the arguments at which functions are compared: dense around zero,
// far into both tails, and zero itself, where slopes differ.
var probes = func() []float64 {
	r := rand.New(rand.NewPCG(1, 2))
	p := []float64{0, 1e-3, -1e-3, 9, -9, 20, -20}
	for range 57 {
		p = append(p, 3*r.NormFloat64())
	}
	return p
}()

// recogniseTolerance allows for constants that the graph holds in float32
// (relative error 6e-8, a few of them in one expression).
const recogniseTolerance = 1e-6

func near(a, b float64) bool {
	return math.Abs(a-b) <= recogniseTolerance*(1+math.Abs(a)+math.Abs(b))
}

// recognise finds the activation whose Value or Slope takes the values f at
// the probes. ReLU and Rectify have one Value; the first listed is found.
func recognise(f []float64, of func(ir.Activation, float64) float64) (ir.Activation, bool) {
	for _, a := range ir.Activations() {
		same := true
		for i, z := range probes {
			same = same && near(f[i], of(a, z))
		}
		if same {
			return a, true
		}
	}
	return 0, false
}
