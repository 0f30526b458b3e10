package graph

import (
	"fmt"
	"math"
)

// evaluation computes nodes in float64 at a reading's shapes, from bound
// nodes. It remembers what it computed, and which nodes it visited.
type evaluation struct {
	values map[*node][]float64
	bound  map[*node]bool
}

func newEvaluation() *evaluation {
	return &evaluation{values: map[*node][]float64{}, bound: map[*node]bool{}}
}

func (e *evaluation) bind(n *node, v []float64) {
	e.values[n], e.bound[n] = v, true
}

// used lists the nodes that were computed, not bound.
func (e *evaluation) used() []*node {
	var nodes []*node
	for n := range e.values {
		if !e.bound[n] {
			nodes = append(nodes, n)
		}
	}
	return nodes
}

// eval computes n [its shape, row-major]. It fails on inputs that are not
// bound and on operations that have no definition here.
func (e *evaluation) eval(n *node) ([]float64, error) {
	if v, ok := e.values[n]; ok {
		return v, nil
	}
	var in [][]float64
	if n.kind != sizeof { // a size reads no values
		for _, a := range n.args {
			v, err := e.eval(a)
			if err != nil {
				return nil, err
			}
			in = append(in, v)
		}
	}
	out := make([]float64, n.size())
	if !compute(n, in, out) {
		return nil, fmt.Errorf("node %v %v does not belong here", n, n.shape)
	}
	e.values[n] = out
	return out, nil
}

// compute evaluates one node, or reports that it cannot.
func compute(n *node, in [][]float64, out []float64) bool {
	cols := 1
	if len(n.shape) > 0 {
		cols = n.shape[len(n.shape)-1]
	}
	var shape []int // of the first operand
	if len(n.args) > 0 {
		shape = n.args[0].shape
	}
	switch n.kind {
	case constnt, sizeof:
		for i := range out {
			out[i] = n.value
		}
	case unary:
		for i := range out {
			out[i] = n.fn1(in[0][i])
		}
	case binary, add:
		at := func(v []float64, i int) float64 {
			if len(v) == 1 {
				return v[0]
			}
			return v[i]
		}
		for _, v := range in {
			if len(v) != 1 && len(v) != len(out) {
				return false
			}
		}
		for i := range out {
			out[i] = n.fn2(at(in[0], i), at(in[1], i))
		}
	case reshape:
		copy(out, in[0])
	case transpose:
		rows, cols := shape[0], shape[1]
		for i := range rows {
			for j := range cols {
				out[j*rows+i] = in[0][i*cols+j]
			}
		}
	case repeat:
		switch {
		case len(in[0]) == 1:
			for i := range out {
				out[i] = in[0][0]
			}
		case len(n.shape) == 2 && len(shape) == 2 && shape[n.axis] == 1:
			for i := range out {
				if n.axis == 0 {
					out[i] = in[0][i%cols]
				} else {
					out[i] = in[0][i/cols]
				}
			}
		default:
			return false
		}
	case sum:
		switch {
		case len(out) == 1:
			for _, v := range in[0] {
				out[0] += v
			}
		case len(shape) == 2 && n.axis == 0:
			for i, v := range in[0] {
				out[i%shape[1]] += v
			}
		case len(shape) == 2 && n.axis == 1:
			for i, v := range in[0] {
				out[i/shape[1]] += v
			}
		default:
			return false
		}
	case softmax:
		for i := 0; i < len(out); i += cols {
			row, largest, total := in[0][i:i+cols], math.Inf(-1), 0.0
			for _, v := range row {
				largest = math.Max(largest, v)
			}
			for _, v := range row {
				total += math.Exp(v - largest)
			}
			for j, v := range row {
				out[i+j] = v - largest - math.Log(total)
				if !n.log {
					out[i+j] = math.Exp(out[i+j])
				}
			}
		}
	case softmaxDiff: // operands: the input, softmax's result, the gradient of that result
		if len(in) != 3 {
			return false
		}
		for i := 0; i < len(out); i += cols {
			result, grad, total := in[1][i:i+cols], in[2][i:i+cols], 0.0
			for j := range grad {
				if n.log {
					total += grad[j]
				} else {
					total += grad[j] * result[j]
				}
			}
			for j := range grad {
				if n.log {
					out[i+j] = grad[j] - math.Exp(result[j])*total
				} else {
					out[i+j] = result[j] * (grad[j] - total)
				}
			}
		}
	default:
		return false
	}
	return true
}
