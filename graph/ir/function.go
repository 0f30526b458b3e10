package ir

import "math"

// Fn is what a Map, Reduce or Random computes, by its name in listings.
type Fn string

// The functions of Map.
const (
	FnAbs      Fn = "abs"
	FnSign     Fn = "sign" // -1, 0 or 1
	FnCeil     Fn = "ceil"
	FnFloor    Fn = "floor"
	FnSin      Fn = "sin"
	FnCos      Fn = "cos"
	FnExp      Fn = "exp"
	FnLn       Fn = "ln"
	FnLog1p    Fn = "log1p"
	FnExpm1    Fn = "expm1"
	FnNeg      Fn = "neg"
	FnSquare   Fn = "square"
	FnCube     Fn = "cube"
	FnSqrt     Fn = "sqrt"
	FnInv      Fn = "inv"
	FnTanh     Fn = "tanh"
	FnSigmoid  Fn = "sigmoid"
	FnSoftplus Fn = "softplus"

	FnAdd Fn = "add"
	FnSub Fn = "sub"
	FnMul Fn = "mul"
	FnDiv Fn = "div"
	FnPow Fn = "pow"
	FnMax Fn = "max" // of Reduce too
	FnMin Fn = "min"
	// Comparisons are 1 where they hold, else 0.
	FnGt Fn = "gt"
	FnGe Fn = "ge"
	FnLt Fn = "lt"
	FnLe Fn = "le"
	FnEq Fn = "eq"
	FnNe Fn = "ne"

	// FnSum is a function of Reduce.
	FnSum Fn = "sum"
)

// The distributions of Random, with their two numbers Draw.
const (
	FnUniform Fn = "uniform" // from Draw[0] to Draw[1]
	FnGauss   Fn = "gauss"   // mean Draw[0], standard deviation Draw[1]
	// FnKeep is 1/Draw[0] with probability Draw[0], else 0: what dropout
	// multiplies by.
	FnKeep Fn = "keep"
)

// function is one function of Map: of one operand or of two.
type function struct {
	name   Fn
	unary  func(x float64) float64
	binary func(a, b float64) float64
}

// functions are the definition of Map.
var functions = []function{
	{name: FnAbs, unary: math.Abs},
	{name: FnSign, unary: func(x float64) float64 { return truth(x > 0) - truth(x < 0) }},
	{name: FnCeil, unary: math.Ceil},
	{name: FnFloor, unary: math.Floor},
	{name: FnSin, unary: math.Sin},
	{name: FnCos, unary: math.Cos},
	{name: FnExp, unary: math.Exp},
	{name: FnLn, unary: math.Log},
	{name: FnLog1p, unary: math.Log1p},
	{name: FnExpm1, unary: math.Expm1},
	{name: FnNeg, unary: func(x float64) float64 { return -x }},
	{name: FnSquare, unary: func(x float64) float64 { return x * x }},
	{name: FnCube, unary: func(x float64) float64 { return x * x * x }},
	{name: FnSqrt, unary: math.Sqrt},
	{name: FnInv, unary: func(x float64) float64 { return 1 / x }},
	{name: FnTanh, unary: math.Tanh},
	{name: FnSigmoid, unary: sigmoid},
	{name: FnSoftplus, unary: Softplus.Value},
	{name: FnAdd, binary: func(a, b float64) float64 { return a + b }},
	{name: FnSub, binary: func(a, b float64) float64 { return a - b }},
	{name: FnMul, binary: func(a, b float64) float64 { return a * b }},
	{name: FnDiv, binary: func(a, b float64) float64 { return a / b }},
	{name: FnPow, binary: math.Pow},
	{name: FnMax, binary: math.Max},
	{name: FnMin, binary: math.Min},
	{name: FnGt, binary: func(a, b float64) float64 { return truth(a > b) }},
	{name: FnGe, binary: func(a, b float64) float64 { return truth(a >= b) }},
	{name: FnLt, binary: func(a, b float64) float64 { return truth(a < b) }},
	{name: FnLe, binary: func(a, b float64) float64 { return truth(a <= b) }},
	{name: FnEq, binary: func(a, b float64) float64 { return truth(a == b) }},
	{name: FnNe, binary: func(a, b float64) float64 { return truth(a != b) }},
}

func truth(t bool) float64 {
	if t {
		return 1
	}
	return 0
}

// MapFunctions lists the functions of Map.
func MapFunctions() []Fn {
	var all []Fn
	for _, f := range functions {
		all = append(all, f.name)
	}
	return all
}

// Unary is a Map's function of one operand, nil if f is none.
func (f Fn) Unary() func(x float64) float64 {
	for i := range functions {
		if functions[i].name == f {
			return functions[i].unary
		}
	}
	return nil
}

// Binary is a Map's function of two operands, nil if f is none.
func (f Fn) Binary() func(a, b float64) float64 {
	for i := range functions {
		if functions[i].name == f {
			return functions[i].binary
		}
	}
	return nil
}
