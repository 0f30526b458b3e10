package cpu

import (
	"fmt"

	"vanilla/graph/ir"
	"vanilla/kernels"
)

// update applies the optimizer to a gradient.
type update struct {
	optimizer kernels.Optimizer
	w, grad   ir.ID
	param     int // of the program's, which w is
	bias      bool
	// decay is what is added to the gradient, in multiples of w, by the program
	// or the optimizer.
	decay float64
}

func (k update) bind(m *machine) func() {
	w, grad := m.values[k.w], m.values[k.grad]
	return func() { m.apply(k, w, grad, 0) }
}

// keep is the share of w that plain descent keeps.
func (k update) keep(m *machine) float32 { return float32(1 - float64(m.lr)*k.decay) }

func (k update) reads() []ir.ID { return []ir.ID{k.grad} }

func (k update) writes() []ir.ID { return nil }
func (k update) updates() ir.ID  { return k.w }

func (k update) line(p *ir.Program) string {
	s := "update"
	if k.grad != none {
		s += " " + p.Value(k.grad).Name
	}
	s += " by " + k.optimizer.Name
	if k.decay != 0 {
		s += fmt.Sprintf(" decay %g", k.decay)
	}
	if _, shrunk := k.optimizer.Decay(k.bias); shrunk != 0 {
		s += fmt.Sprintf(" shrink %g", shrunk)
	}
	return s + " -> " + p.Value(k.w).Name
}

// updateWeight is DWeight and the update in one. Plain descent adds the gradient
// to the weights as it is summed, w −= lr · (DWeight(dz, in) + decay · w);
// other optimizers are applied to a few panels of it at a time.
type updateWeight struct {
	update
	weightGradient
}

func (k updateWeight) bind(m *machine) func() {
	w, all, wPanel := m.values[k.w], panels(m.cols(k.dz)), m.weightPanel(k.w)
	add := k.add(m, wPanel)
	if descends(k.optimizer) {
		return func() { add(w, 0, all, k.keep(m), -m.lr) }
	}
	return func() {
		for p := 0; p < all; p += m.accumulatePanels {
			end := min(p+m.accumulatePanels, all)
			g := m.gradient[:(end-p)*wPanel]
			clear(g)
			add(g, p, end, 1, 1)
			m.apply(k.update, w[p*wPanel:end*wPanel], g, p*wPanel)
		}
	}
}

func (k updateWeight) reads() []ir.ID { return k.weightGradient.reads() }

func (k updateWeight) writes() []ir.ID { return nil }

func (k updateWeight) line(p *ir.Program) string {
	return fmt.Sprintf("dweight %s %s + %s", p.Value(k.dz).Name, source(p, k.in, k.sparse), k.update.line(p))
}

// updateBias is DBias and the update in one.
type updateBias struct {
	update
	biasGradient
}

func (k updateBias) bind(m *machine) func() {
	b, add := m.values[k.w], k.add(m)
	if descends(k.optimizer) {
		return func() { add(b, k.keep(m), -m.lr) }
	}
	g := m.gradient[:len(b)]
	return func() {
		clear(g)
		add(g, 1, 1)
		m.apply(k.update, b, g, 0)
	}
}

func (k updateBias) reads() []ir.ID { return k.biasGradient.reads() }

func (k updateBias) writes() []ir.ID { return nil }

func (k updateBias) line(p *ir.Program) string {
	return fmt.Sprintf("dbias %s + %s", p.Value(k.dz).Name, k.update.line(p))
}
