package cpu

import (
	"fmt"

	"vanilla/graph/ir"
)

// expandX converts the batch's pixels to rows of float32, for kernels that
// read x as any other value.
type expandX struct{ x ir.ID }

func (k expandX) bind(m *machine) func() {
	x := m.values[k.x]
	if m.plan.layout[k.x] == plain {
		return func() {
			for i, r := range m.now.rows {
				bytes := m.now.input.Row(int(r))
				row := x[i*len(bytes):][:len(bytes)]
				m.pixels(row, bytes)
				for c := len(bytes) / lanes * lanes; c < len(bytes); c++ {
					row[c] = pixel(bytes[c])
				}
			}
		}
	}
	return func() {
		for i, r := range m.now.rows {
			for c, v := range m.now.input.Row(int(r)) {
				x[(c/lanes*m.n+i)*lanes+c%lanes] = pixel(v)
			}
		}
	}
}

func (k expandX) reads() []ir.ID { return nil }

func (k expandX) writes() []ir.ID { return []ir.ID{k.x} }

func (k expandX) line(p *ir.Program) string {
	return p.Value(k.x).Name + " as float32"
}

// denseLayer is Dense, and Act where it has been fused.
type denseLayer struct {
	out, in, w, bias ir.ID
	act              ir.Activation // zero without
	sparse           bool          // in is x, read as records
	biasMatrix       bool          // bias is also weights: a matrix of one row
}

func (k denseLayer) bind(m *machine) func() {
	units, wPanel := m.cols(k.out), m.weightPanel(k.w)
	out, w, bias := m.values[k.out], m.values[k.w], m.zeros
	if k.bias != none {
		bias = m.values[k.bias]
	}
	var product func()
	if k.sparse {
		product = func() {
			m.dense(out, m.x, w, bias, m.hot, units, wPanel)
			for p := 0; p < panels(units); p += m.recordPanels {
				n := min(m.recordPanels, panels(units)-p)
				m.forColumns(units-p*lanes).gather(out[p*m.n*lanes:], w[p*wPanel+m.hot*lanes:], m.cold, m.records, m.examples, m.fetch, m.hot, n, wPanel)
				m.fetch = nil
			}
		}
	} else {
		in, inputs := m.values[k.in], m.cols(k.in)
		product = func() { m.dense(out, in, w, bias, inputs, units, wPanel) }
	}
	matrix := bias
	if k.biasMatrix {
		bias = m.row
	}
	return func() {
		if k.biasMatrix {
			for j := range units {
				bias[j] = matrix[m.index(k.bias, 0, j)]
			}
		}
		product()
		if k.act != 0 {
			h := out[:m.n*padded(units)]
			m.activate(k.act, h, h)
		}
	}
}

func (k denseLayer) reads() []ir.ID {
	ids := []ir.ID{k.w}
	if k.bias != none {
		ids = append(ids, k.bias)
	}
	if !k.sparse {
		ids = append(ids, k.in)
	}
	return ids
}

func (k denseLayer) writes() []ir.ID { return []ir.ID{k.out} }

func (k denseLayer) line(p *ir.Program) string {
	s := "dense " + source(p, k.in, k.sparse) + " " + p.Value(k.w).Name
	if k.bias != none {
		s += " " + p.Value(k.bias).Name
	}
	if k.biasMatrix {
		s += " copied to a row"
	}
	if k.act != 0 {
		s += " + act " + k.act.String()
	}
	return s + to(p, k)
}

// activation is Act.
type activation struct {
	out, in ir.ID
	act     ir.Activation
}

func (k activation) bind(m *machine) func() {
	out, in := m.all(k.out), m.all(k.in)
	return func() { m.activate(k.act, out(), in()) }
}

func (k activation) reads() []ir.ID { return []ir.ID{k.in} }

func (k activation) writes() []ir.ID { return []ir.ID{k.out} }

func (k activation) line(p *ir.Program) string {
	return fmt.Sprintf("act %s %s", k.act, p.Value(k.in).Name) + to(p, k)
}

// addition is Add.
type addition struct {
	out, a, b ir.ID
	scale     float64
}

func (k addition) bind(m *machine) func() {
	sum, first, second, s := m.all(k.out), m.all(k.a), m.all(k.b), float32(k.scale)
	return func() {
		out := sum()
		a, b := first()[:len(out)], second()[:len(out)]
		for i := range out {
			out[i] = a[i] + s*b[i]
		}
	}
}

func (k addition) reads() []ir.ID { return []ir.ID{k.a, k.b} }

func (k addition) writes() []ir.ID { return []ir.ID{k.out} }

func (k addition) line(p *ir.Program) string {
	return fmt.Sprintf("add %s + %g·%s", p.Value(k.a).Name, k.scale, p.Value(k.b).Name) + to(p, k)
}
