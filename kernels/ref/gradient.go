package ref

import (
	"fmt"
	"math"
	"slices"

	"vanilla/graph/ir"
)

// InputGradient returns the gradient in the inputs of Σ dOutput ⊙ output, for
// the rows of the last Forward or Run: dOutput [B, classes] in, [B, features]
// out. With a one-hot row it is the slope of one output along every pixel.
//
// Programs hold gradients of parameters only; this walks the forward operations
// back, by the same rules. At corners it takes one of the slopes: 0 of abs, that
// of the first of equal operands. It fails if the output depends on the loss.
func (in *Interpreter[T]) InputGradient(dOutput []T) ([]T, error) {
	p, batch := in.p, len(in.labels)
	d := make([][]T, len(p.Values)) // gradients so far, nil for zero
	add := func(id ir.ID, i int, v T) {
		if d[id] == nil {
			d[id] = make([]T, p.Value(id).Shape.Len(batch))
		}
		d[id][i] += v
	}
	d[p.Output] = slices.Clone(dOutput)
	for k := p.Forward - 1; k >= 0; k-- {
		op := &p.Ops[k]
		dOut := d[op.Out]
		if dOut == nil {
			continue // the output does not depend on it
		}
		arg := func(k int) []T { return in.Values[op.Args[k]] }
		switch op.Code {
		case ir.Dense:
			w, n, m := arg(1), p.Value(op.Out).Shape.Cols, p.Value(op.Args[0]).Shape.Cols
			for i := range batch {
				for j := range n {
					for c := range m {
						add(op.Args[0], i*m+c, dOut[i*n+j]*w[j*m+c])
					}
				}
			}
		case ir.Act:
			for i, z := range arg(0) {
				add(op.Args[0], i, dOut[i]*T(op.Act.Slope(float64(z))))
			}
		case ir.Add:
			for i, v := range dOut {
				add(op.Args[0], i, v)
				add(op.Args[1], i, T(op.Scale)*v)
			}
		case ir.Const, ir.Random:
		case ir.Map:
			for i, v := range dOut {
				a, y := arg(0), float64(in.Values[op.Out][i])
				if len(op.Args) == 1 {
					add(op.Args[0], i%len(a), v*T(slope(op.Fn, float64(a[i%len(a)]), y)))
					continue
				}
				b := arg(1)
				da, db := slopes(op.Fn, float64(a[i%len(a)]), float64(b[i%len(b)]), y)
				add(op.Args[0], i%len(a), v*T(da))
				add(op.Args[1], i%len(b), v*T(db))
			}
		case ir.MatMul:
			a, b := arg(0), arg(1)
			products(p.Value(op.Out).Shape.At(batch), p.Value(op.Args[0]).Shape.At(batch), op.TransA, op.TransB, func(c, ia, ib int) {
				add(op.Args[0], ia, dOut[c]*b[ib])
				add(op.Args[1], ib, dOut[c]*a[ia])
			})
		case ir.Xent, ir.Quad, ir.L2:
			return nil, fmt.Errorf("program %q: the output depends on the loss %q", p.Name, p.Value(op.Out).Name)
		default:
			in.moves(op, func(to, operand, from int) { add(op.Args[operand], from, dOut[to]) })
		}
	}
	if d[p.Input] == nil {
		return make([]T, batch*p.Features()), nil
	}
	return d[p.Input], nil
}

// slope is the derivative of a function of one operand at x, where it is y.
func slope(f ir.Fn, x, y float64) float64 {
	switch f {
	case ir.FnAbs:
		return ir.FnSign.Unary()(x)
	case ir.FnSin:
		return math.Cos(x)
	case ir.FnCos:
		return -math.Sin(x)
	case ir.FnExp:
		return y
	case ir.FnLn:
		return 1 / x
	case ir.FnLog1p:
		return 1 / (1 + x)
	case ir.FnExpm1:
		return y + 1
	case ir.FnNeg:
		return -1
	case ir.FnSquare:
		return 2 * x
	case ir.FnCube:
		return 3 * x * x
	case ir.FnSqrt:
		return 1 / (2 * y)
	case ir.FnInv:
		return -y * y
	case ir.FnTanh:
		return ir.Tanh.Slope(x)
	case ir.FnSigmoid:
		return ir.Sigmoid.Slope(x)
	case ir.FnSoftplus:
		return ir.Softplus.Slope(x)
	}
	return 0 // of what has steps: sign, ceil, floor
}

// slopes are the derivatives of a function of two operands, where it is y.
func slopes(f ir.Fn, a, b, y float64) (da, db float64) {
	switch f {
	case ir.FnAdd:
		return 1, 1
	case ir.FnSub:
		return 1, -1
	case ir.FnMul:
		return b, a
	case ir.FnDiv:
		return 1 / b, -y / b
	case ir.FnPow:
		return b * math.Pow(a, b-1), y * math.Log(a)
	case ir.FnMax, ir.FnMin:
		if y == a {
			return 1, 0
		}
		return 0, 1
	}
	return 0, 0 // of comparisons
}
