package cpu

import (
	"fmt"
	"strings"

	"vanilla/graph/ir"
	"vanilla/kernels"
)

// kernel is one entry of a plan.
type kernel interface {
	// bind is the kernel for one machine, whose buffers are there and stay where
	// they are: the function runs over the machine's batch. It looks up what does
	// not change from step to step beforehand, for small layers take no longer
	// than that.
	bind(m *machine) func()
	// reads and writes are the values whose buffers the kernel uses. A kernel
	// that reads x's records does not read x, and parameters that an update
	// changes are not among what it writes: updates come last.
	reads() []ir.ID
	writes() []ir.ID
	// line describes the kernel with the program's names.
	line(p *ir.Program) string
}

// none stands where a kernel has no such operand.
const none ir.ID = -1

// expandX converts the batch's pixels to rows of float32, for kernels that
// read x as any other value.
type expandX struct{ x ir.ID }

func (k expandX) bind(m *machine) func() {
	x := m.values[k.x]
	return func() {
		for i, r := range m.now.rows {
			for c, v := range m.now.input.Row(int(r)) {
				x[(c/lanes*m.n+i)*lanes+c%lanes] = pixel(v)
			}
		}
	}
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
				m.forColumns(units-p*lanes).gather(out[p*m.n*lanes:], w[p*wPanel+m.hot*lanes:], m.cold, m.records, m.samples, m.fetch, m.hot, n, wPanel)
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
				bias[j] = matrix[m.place(k.bias, 0, j)]
			}
		}
		product()
		if k.act != 0 {
			h := out[:m.n*padded(units)]
			m.activate(k.act, h, h)
		}
	}
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
			m.forColumns(units-(p+q)*lanes).scatter(w[q*wPanel+m.hot*lanes:], d[q*m.n*lanes:], m.cold, m.records, m.samples, m.hot, n, wPanel, alpha)
		}
	}
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
			out[m.place(k.out, 0, j)] = row[j]
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
func (k update) keep(m *machine) float32 { return float32(1 - float64(m.stepSize)*k.decay) }

// updateWeight is DWeight and the update in one. Plain descent adds the gradient
// to the weights as it is summed, w −= stepSize · (DWeight(dz, in) + decay · w);
// other optimizers are applied to a few panels of it at a time.
type updateWeight struct {
	update
	weightGradient
}

func (k updateWeight) bind(m *machine) func() {
	w, all, wPanel := m.values[k.w], panels(m.cols(k.dz)), m.weightPanel(k.w)
	add := k.add(m, wPanel)
	if descends(k.optimizer) {
		return func() { add(w, 0, all, k.keep(m), -m.stepSize) }
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

// updateBias is DBias and the update in one.
type updateBias struct {
	update
	biasGradient
}

func (k updateBias) bind(m *machine) func() {
	b, add := m.values[k.w], k.add(m)
	if descends(k.optimizer) {
		return func() { add(b, k.keep(m), -m.stepSize) }
	}
	g := m.gradient[:len(b)]
	return func() {
		clear(g)
		add(g, 1, 1)
		m.apply(k.update, b, g, 0)
	}
}

func (k expandX) reads() []ir.ID  { return nil }
func (k expandX) writes() []ir.ID { return []ir.ID{k.x} }

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

func (k activation) reads() []ir.ID  { return []ir.ID{k.in} }
func (k activation) writes() []ir.ID { return []ir.ID{k.out} }

func (k addition) reads() []ir.ID  { return []ir.ID{k.a, k.b} }
func (k addition) writes() []ir.ID { return []ir.ID{k.out} }

func (k loss) reads() []ir.ID { return []ir.ID{k.in} }
func (k loss) writes() []ir.ID {
	if k.grad != none {
		return []ir.ID{k.out, k.grad}
	}
	return []ir.ID{k.out}
}

func (k lossGradient) reads() []ir.ID  { return []ir.ID{k.in} }
func (k lossGradient) writes() []ir.ID { return []ir.ID{k.out} }

func (k penalty) reads() []ir.ID  { return []ir.ID{k.base, k.w} }
func (k penalty) writes() []ir.ID { return []ir.ID{k.out} }

func (k inputGradient) reads() []ir.ID {
	if k.act != 0 {
		return []ir.ID{k.dz, k.w, k.at}
	}
	return []ir.ID{k.dz, k.w}
}
func (k inputGradient) writes() []ir.ID { return []ir.ID{k.out} }

func (k activationGradient) reads() []ir.ID  { return []ir.ID{k.dh, k.at} }
func (k activationGradient) writes() []ir.ID { return []ir.ID{k.out} }

func (k weightGradient) reads() []ir.ID {
	if k.sparse {
		return []ir.ID{k.dz}
	}
	return []ir.ID{k.dz, k.in}
}
func (k weightGradient) writes() []ir.ID { return []ir.ID{k.out} }

func (k biasGradient) reads() []ir.ID  { return []ir.ID{k.dz} }
func (k biasGradient) writes() []ir.ID { return []ir.ID{k.out} }

func (k updateWeight) reads() []ir.ID  { return k.weightGradient.reads() }
func (k updateWeight) writes() []ir.ID { return nil }

func (k updateBias) reads() []ir.ID  { return k.biasGradient.reads() }
func (k updateBias) writes() []ir.ID { return nil }

func (k update) reads() []ir.ID  { return []ir.ID{k.grad} }
func (k update) writes() []ir.ID { return nil }

func (k expandX) line(p *ir.Program) string {
	return p.Value(k.x).Name + " as float32"
}

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

func (k activation) line(p *ir.Program) string {
	return fmt.Sprintf("act %s %s", k.act, p.Value(k.in).Name) + to(p, k)
}

func (k addition) line(p *ir.Program) string {
	return fmt.Sprintf("add %s + %g·%s", p.Value(k.a).Name, k.scale, p.Value(k.b).Name) + to(p, k)
}

func (k loss) line(p *ir.Program) string {
	s := fmt.Sprintf("%s %s", k.code, p.Value(k.in).Name)
	if k.grad != none {
		s += fmt.Sprintf(" + d%s", k.code)
	}
	return s + to(p, k)
}

func (k lossGradient) line(p *ir.Program) string {
	return fmt.Sprintf("d%s %s", k.code, p.Value(k.in).Name) + to(p, k)
}

func (k penalty) line(p *ir.Program) string {
	return fmt.Sprintf("l2 %s + %g/2·Σ%s²", p.Value(k.base).Name, k.scale, p.Value(k.w).Name) + to(p, k)
}

func (k inputGradient) line(p *ir.Program) string {
	s := fmt.Sprintf("dinput %s %s", p.Value(k.dz).Name, p.Value(k.w).Name)
	if k.act != 0 {
		s += " + " + slope(p, k.act, k.at)
	}
	return s + to(p, k)
}

func (k activationGradient) line(p *ir.Program) string {
	return slope(p, k.act, k.at) + " " + p.Value(k.dh).Name + to(p, k)
}

func (k weightGradient) line(p *ir.Program) string {
	return fmt.Sprintf("dweight %s %s", p.Value(k.dz).Name, source(p, k.in, k.sparse)) + to(p, k)
}

func (k biasGradient) line(p *ir.Program) string {
	s := "dbias " + p.Value(k.dz).Name
	if k.matrix {
		s += " copied from a row"
	}
	return s + to(p, k)
}

func (k updateWeight) line(p *ir.Program) string {
	return fmt.Sprintf("dweight %s %s + %s", p.Value(k.dz).Name, source(p, k.in, k.sparse), k.update.line(p))
}

func (k updateBias) line(p *ir.Program) string {
	return fmt.Sprintf("dbias %s + %s", p.Value(k.dz).Name, k.update.line(p))
}

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

func to(p *ir.Program, k kernel) string {
	var names []string
	for _, id := range k.writes() {
		names = append(names, p.Value(id).Name)
	}
	return " -> " + strings.Join(names, " ")
}

func source(p *ir.Program, id ir.ID, sparse bool) string {
	if sparse {
		return "sparse " + p.Value(id).Name
	}
	return p.Value(id).Name
}

func slope(p *ir.Program, f ir.Activation, at ir.ID) string {
	return fmt.Sprintf("dact %s at %s", f, p.Value(at).Name)
}
