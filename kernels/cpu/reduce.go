package cpu

import (
	"fmt"
	"math"

	"vanilla/graph/ir"
)

// reduce is Reduce on panels.
type reduce struct {
	out, in ir.ID
	fn      ir.Fn
	how     reduction
}

func (k reduce) bind(m *machine) func() {
	out, in, cols := m.values[k.out], m.values[k.in], m.cols(k.in)
	maximum := k.fn == ir.FnMax
	number := func(v float32) {
		for i := range out[:lanes] {
			out[i] = v
		}
	}
	start := float32(0)
	if maximum {
		start = float32(math.Inf(-1))
	}
	join := func(a, b float32) float32 { return a + b }
	if maximum {
		join = func(a, b float32) float32 { return max(a, b) }
	}
	ofPanels := func(row func(i int, v float32)) {
		for i := range m.n {
			var sums [lanes]float32
			total := start
			for p := range panels(cols) {
				v := in[(p*m.n+i)*lanes:][:lanes]
				if width := cols - p*lanes; width < lanes {
					for _, x := range v[:width] {
						total = join(total, x)
					}
				} else if maximum {
					for _, x := range v {
						total = max(total, x)
					}
				} else {
					for j, x := range v {
						sums[j] += x
					}
				}
			}
			if !maximum && cols >= lanes {
				for w := lanes / 2; w > 0; w /= 2 {
					for j := range w {
						sums[j] += sums[j+w]
					}
				}
				total += sums[0]
			}
			row(i, total)
		}
	}
	switch k.how {
	case ofColumns:
		if !maximum {
			used := usedLanes(cols)
			return func() { m.rowSums(out, in, used, m.n, panels(cols)) }
		}
		return func() {
			ofPanels(func(i int, v float32) {
				for j := range out[i*lanes : (i+1)*lanes] {
					out[i*lanes+j] = v
				}
			})
		}
	case ofAll:
		return func() {
			total := start
			ofPanels(func(_ int, v float32) { total = join(total, v) })
			number(total)
		}
	case ofRows:
		if !maximum {
			return func() {
				clear(out)
				for p := range panels(cols) {
					m.forColumns(cols-p*lanes).columnSums(out[p*lanes:], in[p*m.n*lanes:], m.n, 1, 1)
				}
				m.clearBeyond(out, cols, inRow)
			}
		}
		return func() {
			for p := range panels(cols) {
				row := out[p*lanes : (p+1)*lanes]
				copy(row, in[p*m.n*lanes:])
				for i := 1; i < m.n; i++ {
					for j, x := range in[(p*m.n+i)*lanes:][:lanes] {
						row[j] = max(row[j], x)
					}
				}
			}
			m.clearBeyond(out, cols, inRow)
		}
	case ofExamples:
		return func() {
			total := start
			for i := range m.n {
				total = join(total, in[i*lanes])
			}
			number(total)
		}
	}
	return func() { // ofRow
		total := start
		for _, x := range in[:cols] {
			total = join(total, x)
		}
		number(total)
	}
}

func (k reduce) reads() []ir.ID  { return []ir.ID{k.in} }
func (k reduce) writes() []ir.ID { return []ir.ID{k.out} }

func (k reduce) line(p *ir.Program) string {
	return fmt.Sprintf("reduce %s %s", k.fn, p.Value(k.in).Name) + to(p, k)
}
