package ref

import (
	"fmt"
	"slices"

	"vanilla/graph/ir"
)

// InputGradient returns the gradient in the inputs of Σ dOutput ⊙ output, for
// the rows of the last Forward or Run: dOutput [B, classes] in, [B, features]
// out. With a one-hot row it is the slope of one output along every pixel.
//
// Programs hold gradients of parameters only; this walks the forward operations
// back, by the same rules. It fails if the output depends on the inputs by tensor
// operations.
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
		switch op.Code {
		case ir.Dense:
			w, n, m := in.Values[op.Args[1]], p.Value(op.Out).Shape.Cols, p.Value(op.Args[0]).Shape.Cols
			for i := range batch {
				for j := range n {
					for c := range m {
						add(op.Args[0], i*m+c, dOut[i*n+j]*w[j*m+c])
					}
				}
			}
		case ir.Act:
			for i, z := range in.Values[op.Args[0]] {
				add(op.Args[0], i, dOut[i]*T(op.Act.Slope(float64(z))))
			}
		case ir.Add:
			for i, v := range dOut {
				add(op.Args[0], i, v)
				add(op.Args[1], i, T(op.Scale)*v)
			}
		default:
			return nil, fmt.Errorf("program %q: no gradient in the inputs is known of the tensor operation that computes %q", p.Name, p.Value(op.Out).Name)
		}
	}
	if d[p.Input] == nil {
		return make([]T, batch*p.Features()), nil
	}
	return d[p.Input], nil
}
