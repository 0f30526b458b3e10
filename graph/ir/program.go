// Package ir is the program that a network's expression graph is lowered to,
// and what every executor runs: a short list of operations over named values,
// each computed once, first the forward pass up to the loss, then the gradient
// of every parameter. The optimizer is not part of it.
//
// The package depends on the standard library alone. [Program.Verify] states
// the rules that executors may rely on; [Program.String] lists a program;
// package kernels/ref is the living definition of what it computes.
package ir

import "slices"

// ID names a value of a program: an index into [Program.Values].
type ID int

// Value is something a program reads or computes. A value is written once.
type Value struct {
	Name  string
	Shape Shape
}

// Param is a trained value and where its gradient is found after a step.
type Param struct {
	Value ID
	Grad  ID
	// Bias is true for what a layer adds to rows or multiplies them by. Weight
	// decay leaves biases alone, and most initialisations start them at Start:
	// zero, or one for what multiplies.
	Bias  bool
	Start float64
}

// Op is one operation. Its meaning is written at its [Code].
type Op struct {
	Code Code
	Out  ID
	Args []ID
	Act  Activation // Act and DAct
	// Fn is the function of Map, Reduce and Random.
	Fn Fn
	// Axes and Ints say where and how far, as the operation's meaning has it.
	Axes []int
	Ints []Extent
	// TransA and TransB belong to MatMul.
	TransA, TransB bool
	// Value and Data belong to Const.
	Value Number
	Data  []float64
	// Draw are Random's numbers.
	Draw [2]float64
	// Scale is the constant s in the operation's meaning. Operations whose
	// meaning has none leave it zero.
	Scale float64
	// Nodes are the ids of the expression graph's nodes that this operation
	// stands for. Every live node belongs to exactly one operation.
	Nodes []int64
}

// Program is one training step of a network for any batch size.
type Program struct {
	// Name says which network this is, for people: "784-16-16-10 sigmoid cross-entropy".
	Name   string
	Values []Value
	Ops    []Op
	// Forward counts the leading operations that compute Output and Loss.
	// Those after it compute gradients.
	Forward int
	Input   ID // x [B, features]: pixel / 255
	Target  ID // y [B, classes]: one-hot rows
	Output  ID // [B, classes]: the largest one is the predicted class
	Loss    ID // [1, 1]: mean over the batch
	Params  []Param
}

// Lowered is p: executors take programs by themselves too.
func (p *Program) Lowered() *Program { return p }

// Value returns the value that id names.
func (p *Program) Value(id ID) Value { return p.Values[id] }

// Features is the length of one input row.
func (p *Program) Features() int { return p.Values[p.Input].Shape.Cols }

// Classes is the length of one target row.
func (p *Program) Classes() int { return p.Values[p.Target].Shape.Cols }

// Parameters counts the trained numbers: 13,002 for 784-16-16-10.
func (p *Program) Parameters() int {
	n := 0
	for _, q := range p.Params {
		n += p.Values[q.Value].Shape.Len(0)
	}
	return n
}

// Layers reports whether all operations are layer operations: then the program
// is what fast executors are made for.
func (p *Program) Layers() bool {
	for i := range p.Ops {
		if !p.Ops[i].Code.Layer() {
			return false
		}
	}
	return true
}

// DenseLayers are the operations of the network's dense layers, in order: those whose
// weights and biases are parameters. What is computed is no layer's that could be shown.
func (p *Program) DenseLayers() []Op {
	params := map[ID]bool{}
	for _, q := range p.Params {
		params[q.Value] = true
	}
	var layers []Op
	for _, op := range p.Ops {
		if op.Code == Dense && !slices.ContainsFunc(op.Args[1:], func(id ID) bool { return !params[id] }) {
			layers = append(layers, op)
		}
	}
	return layers
}

// FLOPs counts the floating-point operations of one training step per example,
// products only (a multiplication and an addition each): 52.7 thousand for
// 784-16-16-10, where no gradient of the input is computed. The program must
// verify.
func (p *Program) FLOPs() int { return p.flops(p.Ops) }

// ForwardFLOPs counts those of the forward operations alone.
func (p *Program) ForwardFLOPs() int { return p.flops(p.Ops[:p.Forward]) }

func (p *Program) flops(ops []Op) int {
	n := 0
	for i := range ops {
		count := specs[ops[i].Code].products
		if count == nil {
			continue
		}
		at := func(batch int) int {
			var in [][]int
			for _, a := range ops[i].Args {
				in = append(in, p.Values[a].Shape.At(batch))
			}
			return count(&ops[i], in, p.Values[ops[i].Out].Shape.At(batch))
		}
		n += 2 * (at(2) - at(1)) // what one more example costs
	}
	return n
}
