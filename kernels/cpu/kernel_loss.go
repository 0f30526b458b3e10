package cpu

import (
	"fmt"

	"vanilla/graph/ir"
)

// loss is Xent or Quad, and DXent or DQuad where it has been fused.
type loss struct {
	code      ir.Code // Xent or Quad
	out, in   ir.ID
	scale     float64
	grad      ir.ID // none without
	gradScale float64
}

func (k loss) bind(m *machine) func() {
	sum := lossSum(m, k.code, k.in, k.grad, k.gradScale)
	return func() { m.setScalar(k.out, m.scalars[k.out]+k.scale*sum()/float64(m.total)) }
}

func (k loss) reads() []ir.ID { return []ir.ID{k.in} }

func (k loss) writes() []ir.ID {
	if k.grad != none {
		return []ir.ID{k.out, k.grad}
	}
	return []ir.ID{k.out}
}

func (k loss) line(p *ir.Program) string {
	s := fmt.Sprintf("%s %s", k.code, p.Value(k.in).Name)
	if k.grad != none {
		s += fmt.Sprintf(" + d%s", k.code)
	}
	return s + to(p, k)
}

// lossGradient is DXent or DQuad.
type lossGradient struct {
	code    ir.Code // Xent or Quad
	out, in ir.ID
	scale   float64
}

func (k lossGradient) bind(m *machine) func() {
	sum := lossSum(m, k.code, k.in, k.out, k.scale)
	return func() { sum() }
}

func (k lossGradient) reads() []ir.ID { return []ir.ID{k.in} }

func (k lossGradient) writes() []ir.ID { return []ir.ID{k.out} }

func (k lossGradient) line(p *ir.Program) string {
	return fmt.Sprintf("d%s %s", k.code, p.Value(k.in).Name) + to(p, k)
}

func lossSum(m *machine, code ir.Code, in, grad ir.ID, gradScale float64) func() float64 {
	sum := m.quadratic
	if code == ir.Xent {
		sum = m.crossEntropy
	}
	values, classes := m.values[in], m.cols(in)
	var gradient []float32 // nil if none is wanted
	if grad != none {
		gradient = m.values[grad]
	}
	return func() float64 { return sum(values, gradient, classes, float32(gradScale/float64(m.total))) }
}

// penalty is L2.
type penalty struct {
	out, base, w ir.ID
	scale        float64
}

func (k penalty) bind(m *machine) func() {
	w := m.values[k.w]
	return func() {
		sum := 0.0
		for _, v := range w {
			sum += float64(v) * float64(v)
		}
		m.setScalar(k.out, m.scalars[k.base]+k.scale/2*sum)
	}
}

func (k penalty) reads() []ir.ID { return []ir.ID{k.base, k.w} }

func (k penalty) writes() []ir.ID { return []ir.ID{k.out} }

func (k penalty) line(p *ir.Program) string {
	return fmt.Sprintf("l2 %s + %g/2·Σ%s²", p.Value(k.base).Name, k.scale, p.Value(k.w).Name) + to(p, k)
}
