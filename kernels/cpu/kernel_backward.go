package cpu

import (
	"fmt"

	"vanilla/graph/ir"
)

// inputGradient is DInput, and DAct where it has been fused.
type inputGradient struct {
	out, dz, w ir.ID
	act        ir.Activation // zero without
	at         ir.ID         // where act's slope is taken, none without
	fromOutput bool          // at is act's output, not its input
}

func (k inputGradient) bind(m *machine) func() {
	out, dz, w := m.all(k.out), m.values[k.dz], m.values[k.w]
	inputs, units, wPanel := m.cols(k.out), m.cols(k.dz), m.weightPanel(k.w)
	product := func() { m.denseInput(out(), dz, w, inputs, units, wPanel) }
	if k.act == 0 {
		return product
	}
	at := m.all(k.at)
	return func() {
		product()
		m.backward(k.act, k.fromOutput, out(), out(), at())
	}
}

func (k inputGradient) reads() []ir.ID {
	if k.act != 0 {
		return []ir.ID{k.dz, k.w, k.at}
	}
	return []ir.ID{k.dz, k.w}
}

func (k inputGradient) writes() []ir.ID { return []ir.ID{k.out} }

func (k inputGradient) line(p *ir.Program) string {
	s := fmt.Sprintf("dinput %s %s", p.Value(k.dz).Name, p.Value(k.w).Name)
	if k.act != 0 {
		s += " + " + slope(p, k.act, k.at)
	}
	return s + to(p, k)
}

// activationGradient is DAct.
type activationGradient struct {
	out, dh, at ir.ID
	act         ir.Activation
	fromOutput  bool // at is act's output, not its input
}

func (k activationGradient) bind(m *machine) func() {
	out, dh, at := m.all(k.out), m.all(k.dh), m.all(k.at)
	return func() { m.backward(k.act, k.fromOutput, out(), dh(), at()) }
}

func (k activationGradient) reads() []ir.ID { return []ir.ID{k.dh, k.at} }

func (k activationGradient) writes() []ir.ID { return []ir.ID{k.out} }

func (k activationGradient) line(p *ir.Program) string {
	return slope(p, k.act, k.at) + " " + p.Value(k.dh).Name + to(p, k)
}

// weightGradient is DWeight.
type weightGradient struct {
	out, dz, in ir.ID
	sparse      bool // in is x, read as records
}

func (k weightGradient) bind(m *machine) func() {
	out, all, wPanel := m.values[k.out], panels(m.cols(k.dz)), m.weightPanel(k.out)
	add := k.add(m, wPanel)
	return func() {
		clear(out) // of which nothing is kept, not even what is not finite
		add(out, 0, all, 1, 1)
	}
}

// add is w = keep · w + alpha · DWeight(dz, in), for panels p up to end, of which w
// holds the first; they are wPanel apart.
func (k weightGradient) add(m *machine, wPanel int) func(w []float32, p, end int, keep, alpha float32) {
	dz, units := m.values[k.dz], m.cols(k.dz)
	if !k.sparse {
		in, inputs := m.values[k.in], m.cols(k.in)
		return func(w []float32, p, end int, keep, alpha float32) {
			m.denseWeight(w, in, dz[p*m.n*lanes:], inputs, min(units, end*lanes)-p*lanes, wPanel, keep, alpha)
		}
	}
	return func(w []float32, p, end int, keep, alpha float32) {
		d := dz[p*m.n*lanes:]
		m.denseWeight(w, m.x, d, m.hot, min(units, end*lanes)-p*lanes, wPanel, keep, alpha)
		for q := 0; q < end-p; q += m.recordPanels {
			n := min(m.recordPanels, end-p-q)
			if keep != 1 {
				for r := q; r < q+n; r++ {
					m.scale(w[r*wPanel+m.hot*lanes:(r+1)*wPanel], keep)
				}
			}
			m.forColumns(units-(p+q)*lanes).scatter(w[q*wPanel+m.hot*lanes:], d[q*m.n*lanes:], m.cold, m.records, m.examples, m.hot, n, wPanel, alpha)
		}
	}
}

func (k weightGradient) reads() []ir.ID {
	if k.sparse {
		return []ir.ID{k.dz}
	}
	return []ir.ID{k.dz, k.in}
}

func (k weightGradient) writes() []ir.ID { return []ir.ID{k.out} }

func (k weightGradient) line(p *ir.Program) string {
	return fmt.Sprintf("dweight %s %s", p.Value(k.dz).Name, source(p, k.in, k.sparse)) + to(p, k)
}

// biasGradient is DBias.
type biasGradient struct {
	out, dz ir.ID
	matrix  bool // out is laid out as weights, as its parameter is
}

func (k biasGradient) bind(m *machine) func() {
	out, row, add := m.values[k.out], m.values[k.out], k.add(m)
	if !k.matrix {
		return func() {
			clear(out)
			add(row, 1, 1)
		}
	}
	row = m.row
	return func() {
		clear(out)
		clear(row)
		add(row, 1, 1)
		for j := range m.cols(k.out) {
			out[m.index(k.out, 0, j)] = row[j]
		}
	}
}

// add is b = keep · b + alpha · DBias(dz).
func (k biasGradient) add(m *machine) func(b []float32, keep, alpha float32) {
	dz, units := m.values[k.dz], m.cols(k.dz)
	return func(b []float32, keep, alpha float32) {
		for p := range panels(units) {
			m.forColumns(units-p*lanes).columnSums(b[p*lanes:], dz[p*m.n*lanes:], m.n, keep, alpha)
		}
	}
}

func (k biasGradient) reads() []ir.ID { return []ir.ID{k.dz} }

func (k biasGradient) writes() []ir.ID { return []ir.ID{k.out} }

func (k biasGradient) line(p *ir.Program) string {
	s := "dbias " + p.Value(k.dz).Name
	if k.matrix {
		s += " copied from a row"
	}
	return s + to(p, k)
}
