package fuse

import (
	"fmt"
	"slices"
	"strings"

	"vanilla/graph/ir"
)

// Report says of each part of a program p which layer operation of q it is, q being
// what Parts makes of p, or why it is none: a line for each layer operation of the
// forward pass, one for what stands between two of them, and two for the gradients.
func Report(p, q *ir.Program) []string {
	computed := map[string]*ir.Op{} // in q, by the names of values, which it shares with p
	for i := range q.Ops[:q.Forward] {
		computed[q.Value(q.Ops[i].Out).Name] = &q.Ops[i]
	}
	n := &normal{p: p, by: map[ir.ID]int{}}
	for i := range p.Ops {
		n.by[p.Ops[i].Out] = i
	}
	var lines []string
	var rest []*ir.Op // tensor operations since the last layer operation
	flush := func() {
		if why := n.between(rest); why != "" {
			lines = append(lines, "not fused  "+why)
		}
		rest = nil
	}
	for i := range p.Ops[:p.Forward] {
		op, ok := computed[p.Value(p.Ops[i].Out).Name]
		switch {
		case !ok: // a part of another one, or of the gradients
		case op.Code.Layer():
			flush()
			var names []string
			for _, a := range op.Args {
				names = append(names, q.Value(a).Name)
			}
			what := op.Code.String()
			if op.Code == ir.Act {
				what = op.Act.String()
			}
			lines = append(lines, fmt.Sprintf("fused      %s is %s of %s", q.Value(op.Out).Name, what, strings.Join(names, ", ")))
		default:
			rest = append(rest, &p.Ops[i])
		}
	}
	flush()
	var fused, not []*ir.Op
	for i := range q.Ops[q.Forward:] {
		if op := &q.Ops[q.Forward+i]; op.Code.Layer() {
			fused = append(fused, op)
		} else if !view(op.Code) {
			not = append(not, op)
		}
	}
	if len(fused) > 0 {
		lines = append(lines, "fused      of the gradients "+ir.Kinds(fused))
	}
	if len(not) > 0 {
		lines = append(lines, "not fused  of the gradients "+ir.Kinds(not)+": those of what is not fused, and the sums where they meet")
	}
	return lines
}

// view reports whether an operation computes nothing.
func view(c ir.Code) bool { return c == ir.Reshape || c == ir.Repeat || c == ir.Const }

// between says what tensor operations are, and why the first one that computes
// something is no layer operation; nothing if they are all views.
func (n *normal) between(ops []*ir.Op) string {
	some := slices.DeleteFunc(slices.Clone(ops), func(op *ir.Op) bool { return view(op.Code) })
	if len(some) == 0 {
		return ""
	}
	first, last := some[0], some[len(some)-1]
	text := n.p.Value(first.Out).Name
	if last != first {
		text += " to " + n.p.Value(last.Out).Name
	}
	return fmt.Sprintf("%s (%s): %s %s", text, ir.Kinds(some), n.p.Value(first.Out).Name, n.why(first))
}

// why says what keeps an operation from being one of a layer.
func (n *normal) why(op *ir.Op) string {
	value := func(k int) ir.Value { return n.p.Value(op.Args[k]) }
	switch op.Code {
	case ir.MatMul:
		s := value(1).Shape
		switch {
		case !n.p.Value(op.Out).Shape.Matrix():
			return "is a product of more than two axes, or of what is no row for each example: dense layers are x·W of a row for each example"
		case !n.param(op.Args[1]):
			return fmt.Sprintf("multiplies by %s, which is computed: a dense layer's weights are a parameter itself", value(1).Name)
		case s.Rows == ir.Batch:
			return "multiplies examples with each other"
		}
		return "is a product that is no dense layer: these are x·W of a row for each example, with a bias or none"
	case ir.Reduce:
		return fmt.Sprintf("is the %s of %s along %s: no layer operation has one but the loss", op.Fn, value(0).Name, axesInWords(op.Axes))
	case ir.Random:
		return fmt.Sprintf("are random numbers (%s): no layer operation has any", op.Fn)
	case ir.Im2Col, ir.Col2Im, ir.MaxPool, ir.MaxPoolGrad:
		return "belongs to a convolution or a pool, which are tensor operations"
	case ir.Slice, ir.Unslice, ir.Concat, ir.Transpose:
		return "moves numbers: layer operations take values as they are"
	}
	if len(op.Args) == 2 {
		return fmt.Sprintf("combines %s and %s by %s: layer operations have activations of one value and sums alone", value(0).Name, value(1).Name, op.Fn)
	}
	return fmt.Sprintf("is %s of %s, by itself or with what follows no activation of a layer", op.Fn, value(0).Name)
}

func axesInWords(axes []int) string {
	switch {
	case slices.Equal(axes, []int{0}):
		return "the examples"
	case slices.Equal(axes, []int{1}):
		return "the columns"
	}
	return fmt.Sprintf("axes %v", axes)
}
