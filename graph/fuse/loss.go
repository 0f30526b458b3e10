package fuse

import (
	"fmt"
	"math"

	"vanilla/graph/ir"
)

// head is a loss and its gradient in the output, by definition.
type head struct {
	loss, gradient ir.Code
	value, d       form
}

// heads are the losses of package ir for the program's output.
func (n *normal) heads() []head {
	shape := n.shape(n.p.Output)
	rows, cols := shape[0], shape[1]
	out, y := n.form[n.p.Output], n.form[n.p.Target]
	mean := func(p form) form { return scale(n.total(n.total(p, 1, cols), 0, rows), 1/float64(rows)) }
	likelihood := sum(out, n.ln(n.total(n.exp(out), 1, cols)), -1)
	diff := sum(out, y, -1)
	return []head{
		{ir.Xent, ir.DXent, mean(scale(n.mul(y, likelihood), -1)), scale(sum(n.exp(likelihood), y, -1), 1/float64(rows))},
		{ir.Quad, ir.DQuad, mean(n.mul(diff, diff)), scale(diff, 2/float64(rows))},
	}
}

// factor is s if s·head is part of the program's loss, and what else there is.
func (n *normal) factor(h head) (s float64, rest form) {
	loss := n.form[n.p.Loss]
	key := ""
	for _, k := range h.value.keys() {
		if k != "" {
			key = k
		}
	}
	if loss[key].coef == 0 {
		return 0, loss
	}
	s = loss[key].coef / h.value[key].coef
	rest = sum(loss, h.value, -s)
	for k, m := range rest { // the rounding of s
		if math.Abs(m.coef) <= 1e-6*math.Abs(h.value[k].coef*s) {
			delete(rest, k)
		}
	}
	return s, rest
}

// loss finds s·head + Σ c/2·Σp² that is the program's loss.
func (f *fuser) loss() error {
	for _, h := range f.heads() {
		s, rest := f.factor(h)
		if s == 0 {
			continue
		}
		penalty := make([]float64, len(f.p.Params))
		for i := range f.p.Params {
			squares := f.squares(f.p.Params[i].Value)
			m, ok := only(squares)
			if !ok {
				continue
			}
			k := keyOf(m.factors)
			penalty[i] = 2 * rest[k].coef / m.coef
			delete(rest, k)
		}
		if len(rest) == 0 {
			return f.emitLoss(h, s, penalty)
		}
	}
	return fmt.Errorf("the loss is no softmax cross-entropy of %s and no quadratic cost, averaged over the batch (plus c/2·Σp² of parameters)", f.p.Value(f.p.Output).Name)
}

// squares is Σp² of a parameter.
func (f *fuser) squares(id ir.ID) form {
	p := f.mul(f.form[id], f.form[id])
	shape := f.shape(id)
	for axis := len(shape) - 1; axis >= 0; axis-- {
		if shape[axis] > 1 {
			p = f.total(p, axis, shape[axis])
		}
	}
	return p
}

func (f *fuser) emitLoss(h head, s float64, penalty []float64) error {
	one := ir.Shape{Rows: 1, Cols: 1}
	q := f.q
	s = exact(s)
	q.Loss = f.emit("loss", one, nil, ir.Op{Code: h.loss, Args: []ir.ID{q.Output, q.Target}, Scale: s})
	for i, c := range penalty {
		if c != 0 {
			q.Loss = f.emit("loss", one, nil, ir.Op{Code: ir.L2, Args: []ir.ID{q.Loss, q.Params[i].Value}, Scale: exact(c)})
		}
	}
	f.value[f.p.Loss], f.from[q.Loss] = q.Loss, f.p.Loss
	// The gradient of the output begins the backward pass.
	f.head = &ir.Op{Code: h.gradient, Args: []ir.ID{q.Output, q.Target}, Scale: s}
	f.headForm = scale(h.d, s)
	f.penalty = penalty
	return nil
}

// exact rounds a factor to six digits where that changes it by no more than
// float32 does.
func exact(x float64) float64 {
	const digits = 1e6
	if x == 0 {
		return 0
	}
	unit := math.Pow(10, math.Ceil(math.Log10(math.Abs(x))))
	r := math.Round(x/unit*digits) / digits * unit
	if math.Abs(r-x) <= 2*0x1p-24*math.Abs(x) {
		return r
	}
	return x
}
