package export

import (
	"slices"

	"vanilla/graph/ir"
)

// unaryOperators are the operators that are a Map's function by themselves.
var unaryOperators = map[ir.Fn]string{
	ir.FnAbs: "Abs", ir.FnSign: "Sign", ir.FnCeil: "Ceil", ir.FnFloor: "Floor", ir.FnSin: "Sin", ir.FnCos: "Cos", ir.FnExp: "Exp", ir.FnLn: "Log",
	ir.FnNeg: "Neg", ir.FnSqrt: "Sqrt", ir.FnInv: "Reciprocal", ir.FnTanh: "Tanh", ir.FnSigmoid: "Sigmoid", ir.FnSoftplus: "Softplus",
}

var binaryOperators = map[ir.Fn]string{
	ir.FnAdd: "Add", ir.FnSub: "Sub", ir.FnMul: "Mul", ir.FnDiv: "Div", ir.FnPow: "Pow", ir.FnMax: "Max", ir.FnMin: "Min",
}

// comparisons give booleans.
var comparisons = map[ir.Fn]string{
	ir.FnGt: "Greater", ir.FnGe: "GreaterOrEqual", ir.FnLt: "Less", ir.FnLe: "LessOrEqual", ir.FnEq: "Equal", ir.FnNe: "Equal",
}

// mapped adds a Map. Its result is repeated along the axes along which all operands are.
func (w *onnxWriter) mapped(op *ir.Op, name string) operand {
	rank := len(w.p.Value(op.Out).Shape.Extents())
	var in []string
	var extents []ir.Extent
	for _, a := range op.Args {
		o := w.values[a]
		if n := len(o.extents); n != 0 && n != rank { // one element, with other axes
			o = operand{w.node("Reshape", w.unique(o.name+".number"), []string{o.name, w.integers(w.unique(o.name + ".none"))}), nil}
		}
		in = append(in, o.name)
		switch {
		case len(o.extents) == 0:
		case extents == nil:
			extents = slices.Clone(o.extents)
		default:
			for k, e := range o.extents {
				if e != unit {
					extents[k] = e
				}
			}
		}
	}
	w.function(op.Fn, name, in)
	return operand{name, extents}
}

// function adds the nodes that compute a Map's function.
func (w *onnxWriter) function(f ir.Fn, name string, in []string) {
	part := func(operator, what string, in ...string) string { return w.node(operator, w.unique(name+"."+what), in) }
	number := func(what string, v float32) string { return w.scalar(w.unique(name+"."+what), v) }
	switch {
	case unaryOperators[f] != "":
		w.node(unaryOperators[f], name, in)
	case binaryOperators[f] != "":
		w.node(binaryOperators[f], name, in)
	case comparisons[f] != "":
		holds := part(comparisons[f], "holds", in...)
		if f == ir.FnNe {
			holds = part("Not", "not", holds)
		}
		w.node("Cast", name, []string{holds}, attribute{"to", 1}) // FLOAT
	case f == ir.FnSquare:
		w.node("Mul", name, []string{in[0], in[0]})
	case f == ir.FnCube:
		w.node("Mul", name, []string{part("Mul", "square", in[0], in[0]), in[0]})
	case f == ir.FnLog1p:
		// 2 atanh(x / (2+x)) where 1+x would lose x's digits
		x := in[0]
		ratio := part("Div", "ratio", x, part("Add", "two", x, number("2", 2)))
		near := part("Mul", "near", number("twice", 2), part("Atanh", "atanh", ratio))
		far := part("Log", "far", part("Add", "more", x, number("1", 1)))
		w.node("Where", name, []string{part("Less", "small", part("Abs", "abs", x), number("half", 0.5)), near, far})
	case f == ir.FnExpm1:
		// 2t / (1-t) with t = tanh(x/2) where eˣ would lose x's digits
		x := in[0]
		t := part("Tanh", "tanh", part("Mul", "middle", x, number("half", 0.5)))
		near := part("Div", "near", part("Add", "twice", t, t), part("Sub", "rest", number("1", 1), t))
		far := part("Sub", "far", part("Exp", "exp", x), number("one", 1))
		w.node("Where", name, []string{part("Less", "small", part("Abs", "abs", x), number("bound", 0.5)), near, far})
	default:
		panic("export: no operators for " + string(f)) // a test goes through all functions
	}
}
