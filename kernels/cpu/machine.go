package cpu

import (
	"fmt"
	"runtime"
	"slices"

	"vanilla/graph/ir"
	"vanilla/kernels"
)

// evaluationChunk is the least number of examples for which a machine has
// buffers: enough to make an evaluation's overhead per chunk small.
const evaluationChunk = 64

// padding follows a value that exists per example: blocks of 16
// examples are written whole.
const padding = lanes * lanes

// machine trains one network at a time.
type machine struct {
	*routines
	plan *plan
	kind kind // of what it trains
	data *encodedData
	// The plan's lists, bound.
	step, before, chunk, after []func()

	// values are the buffers by ir.ID: parameters, and what kernels write, with
	// space for capacity examples. Those that no kernel uses are nil.
	values   [][]float32
	capacity int
	// chunkSize is how many examples an evaluation runs at a time.
	chunkSize int
	// scalars are the losses by ir.ID, in more digits than values holds.
	scalars []float64
	slots   [][]float32

	// The batch or chunk that runs: n examples of total that the loss is a mean
	// over.
	n, total int
	now      *batch
	ahead    *batch // the next one, as far as it is known
	factors  factors
	lr       float32
	// What Random operations draw from: the variant's seed, the step, and whether
	// it trains.
	seed       uint64
	stepNumber int
	training   bool

	// What layers that read records read: x is the hot columns of the batch and
	// cold the values of the others. Where x was given as numbers, all columns
	// are hot and examples is empty.
	x, cold  []float32
	hot      int
	records  []byte
	examples []example // of now
	fetch    []example // of ahead: what to fetch from records

	// Buffers that kernels use.
	zeros, wt, transposed, losses []float32
	gradient                      []float32 // of a few panels, or a bias
	row                           []float32 // of a bias that is also weights
	rowBuffer                     []int32
	own                           input // of StepOn
}

// newMachine makes a machine that trains networks of a plan, and evaluates them in
// chunks that are batches where that matters.
func newMachine(c *plan, batch int, d *encodedData, r *routines) *machine {
	p := c.program
	capacity, chunk := max(min(batch, d.splits[kernels.Train].Len()), evaluationChunk), 0
	if c.tensor != nil {
		capacity, chunk = max(capacity, batch), batch
	}
	m := newRunner(c, d, r, capacity)
	if chunk > 0 {
		m.chunkSize = chunk
	}
	for range c.optimizer.Slots() {
		for _, q := range p.Params {
			m.slots = append(m.slots, hugePages[float32](m.size(q.Value, 0)))
		}
	}
	if !descends(c.optimizer) {
		most := 0
		for _, q := range p.Params {
			most = max(most, min(m.size(q.Value, 0), r.accumulatePanels*m.weightPanel(q.Value)), padded(m.cols(q.Value)))
		}
		m.gradient = make([]float32, most)
	}
	m.finish()
	return m
}

// newRunner makes a machine for batches of a capacity, which runs when
// it is finished.
func newRunner(c *plan, d *encodedData, r *routines, capacity int) *machine {
	p := c.program
	m := &machine{
		routines:  r,
		plan:      c,
		data:      d,
		values:    make([][]float32, len(p.Values)),
		capacity:  capacity,
		chunkSize: capacity,
		scalars:   make([]float64, len(p.Values)),
	}
	m.rowBuffer = make([]int32, m.capacity)
	reads := slices.Contains(c.layout, matrixByDensity)
	m.now, m.ahead = newBatch(m.capacity, reads), newBatch(m.capacity, reads)
	m.now.ordered, m.ahead.ordered = c.ordered(), c.ordered()
	if reads {
		m.x = make([]float32, m.capacity*d.hot)
	}
	for _, q := range p.Params {
		m.values[q.Value] = hugePages[float32](m.size(q.Value, 0))
	}
	return m
}

// finish makes the buffers and binds the kernels of all lists.
func (m *machine) finish() {
	c := m.plan
	for _, list := range [][]kernel{c.step, c.before, c.chunk, c.after} {
		m.allocate(list, m.capacity)
	}
	m.makeBuffers(m.capacity)
	m.step, m.before, m.chunk, m.after = m.bind(c.step), m.bind(c.before), m.bind(c.chunk), m.bind(c.after)
}

// makeBuffers makes the buffers that kernels use.
func (m *machine) makeBuffers(batch int) {
	p := m.plan.program
	widest := 0
	for _, v := range p.Values {
		widest = max(widest, padded(v.Shape.Cols), padded(v.Shape.Rows))
	}
	m.zeros, m.row = make([]float32, widest), make([]float32, widest)
	m.wt = make([]float32, m.multiplyPanels*min(widest, deepBlock)*lanes)
	m.transposed = make([]float32, padded(batch)*padded(p.Classes()))
	m.losses = make([]float32, padded(batch))
}

// allocate makes the buffers that a list of kernels writes and has not yet.
func (m *machine) allocate(list []kernel, batch int) {
	for _, k := range list {
		for _, id := range k.writes() {
			if m.values[id] == nil {
				m.values[id] = hugePages[float32](m.size(id, batch))
			}
		}
	}
}

// size is the length of a value's buffer.
func (m *machine) size(id ir.ID, batch int) int {
	s := m.plan.program.Value(id).Shape
	switch {
	case m.plan.layout[id] == plain:
		return padded(s.Len(batch)) + padding
	case m.plan.layout[id] == matrix || m.plan.layout[id] == matrixByDensity:
		return panels(s.Rows) * m.weightPanel(id)
	case s.Rows == ir.Batch:
		return batch*padded(s.Cols) + padding
	}
	return padded(s.Cols)
}

// weightPanel is the length of a panel of weights: a row per input, and where
// records are read one of zeros for their padding.
func (m *machine) weightPanel(id ir.ID) int {
	inputs := m.cols(id)
	if m.plan.layout[id] == matrixByDensity {
		inputs++
	}
	return padded(inputs) * lanes
}

// cols is the width of a value's rows.
func (m *machine) cols(id ir.ID) int { return m.plan.program.Values[id].Shape.Cols }

// all returns the part of a value's buffer that the running batch uses: all of
// it if it is no value per example.
func (m *machine) all(id ir.ID) func() []float32 {
	value, s := m.values[id], m.plan.program.Values[id].Shape
	if s.Rows != ir.Batch {
		return func() []float32 { return value }
	}
	width := padded(s.Cols)
	return func() []float32 { return value[:m.n*width] }
}

func (m *machine) setScalar(id ir.ID, v float64) {
	m.scalars[id] = v
	m.values[id][0] = float32(v)
}

// bind makes a list of kernels ready to run on this machine.
func (m *machine) bind(list []kernel) []func() {
	bound := make([]func(), len(list))
	for i, k := range list {
		bound[i] = k.bind(m)
	}
	return bound
}

// run runs bound kernels while denormal numbers count as zero: where units
// saturate, gradients shrink without end, and arithmetic on denormals costs a
// hundred times as much. That is a mode of the thread, which is no other
// goroutine's meanwhile.
func (m *machine) run(list []func()) {
	runtime.LockOSThread()
	before := m.setControl(flushDenormals)
	for _, k := range list {
		k()
	}
	m.setControl(before)
	runtime.UnlockOSThread()
}

// load makes rows of in the batch that runs.
func (m *machine) load(in *input, rows []int32) error {
	if len(rows) == 0 || len(rows) > m.capacity {
		return fmt.Errorf("batch of %d examples, want 1 to %d", len(rows), m.capacity)
	}
	if m.reads() {
		m.data.encode(in)
	}
	if m.ahead.input == in && slices.Equal(m.ahead.asked, rows) {
		m.now, m.ahead = m.ahead, m.now
	} else if err := m.now.take(in, rows); err != nil {
		return err
	}
	m.ahead.forget()
	m.n = len(rows)
	if m.reads() {
		m.convertRecords()
	}
	return nil
}

// reads reports whether layers read records.
func (m *machine) reads() bool { return m.now.examples != nil }

// convertRecords makes numbers of the batch's records.
func (m *machine) convertRecords() {
	b := m.now
	if b.cold > len(m.cold) {
		m.cold = make([]float32, 2*b.cold)
	}
	m.records, m.examples, m.fetch, m.hot = b.input.records, b.examples, nil, m.data.hot
	m.convert(m.x, m.cold, m.records, m.examples, m.hot)
}

// prefetch gets the next batch ready, so that this one's kernels may fetch its
// records. It does nothing if there is none that would fit.
func (m *machine) prefetch(in *input, rows []int32) {
	if m.reads() && len(rows) > 0 && len(rows) <= m.capacity && m.ahead.take(in, rows) == nil {
		m.fetch = m.ahead.examples
	}
}

func (m *machine) Step(rows, next []int32, lr float32, step int) (float64, error) {
	in := &m.data.splits[kernels.Train]
	if err := m.load(in, rows); err != nil {
		return 0, err
	}
	m.prefetch(in, next)
	return m.train(lr, step)
}

func (m *machine) StepOn(e kernels.Examples, next []int32, lr float32, step int) (float64, error) {
	rows := m.rowBuffer[:min(e.Len(), m.capacity)]
	for i := range rows {
		rows[i] = int32(i)
	}
	if m.own.Examples = e; m.reads() {
		m.own.encode.Do(func() {}) // each time:
		m.data.write(&m.own, next)
	}
	if err := m.load(&m.own, rows); err != nil {
		return 0, err
	}
	return m.train(lr, step)
}

// train trains on the batch that is loaded.
func (m *machine) train(lr float32, step int) (float64, error) {
	m.total, m.lr, m.factors = m.n, lr, newFactors(m.plan.optimizer, lr, step)
	clear(m.scalars)
	m.training, m.stepNumber = true, step
	m.run(m.step)
	m.training = false
	return m.loss(), nil
}

func (m *machine) Outputs(e kernels.Examples) (outputs []float32, loss float64, err error) {
	p := m.plan.program
	if err := kernels.CheckExamples(p, e); err != nil {
		return nil, 0, err
	}
	in := m.data.find(e)
	outputs = make([]float32, e.Len()*p.Classes())
	chunk := make([]float32, p.Classes()*min(m.capacity, e.Len()))
	m.total = e.Len()
	clear(m.scalars)
	m.run(m.before)
	for from := 0; from < e.Len(); from += m.chunkSize {
		rows := m.rowBuffer[:min(m.chunkSize, e.Len()-from)]
		for i := range rows {
			rows[i] = int32(from + i)
		}
		if err := m.load(in, rows); err != nil {
			return nil, 0, err
		}
		if m.plan.tensor != nil { // a batch of its own
			m.total = m.n
			clear(m.scalars)
		}
		m.run(m.chunk)
		loss += m.loss() * float64(m.n) / float64(e.Len())
		m.fromPanels(chunk, m.values[p.Output], p.Classes())
		for i, r := range m.now.rows {
			copy(outputs[int(r)*p.Classes():], chunk[i*p.Classes():(i+1)*p.Classes()])
		}
	}
	if m.plan.tensor != nil {
		return outputs, loss, nil
	}
	m.run(m.after)
	return outputs, m.scalars[p.Loss], nil
}

// loss is the loss of the batch that ran.
func (m *machine) loss() float64 {
	if l := m.scalars[m.plan.program.Loss]; l != 0 {
		return l
	}
	return float64(m.values[m.plan.program.Loss][0])
}

func (m *machine) Forward(x []float32) ([][]float32, error) {
	p := m.plan.program
	if len(x) == 0 || len(x)%p.Features() != 0 {
		return nil, fmt.Errorf("input of %d numbers, want rows of %d", len(x), p.Features())
	}
	// A machine of its own: the same parameters, buffers of the size of x.
	f := &machine{routines: m.routines, plan: m.plan, data: m.data, n: len(x) / p.Features(), values: make([][]float32, len(p.Values))}
	f.makeBuffers(f.n)
	for _, q := range p.Params {
		f.values[q.Value] = m.values[q.Value]
	}
	f.takeInput(x)
	f.allocate(m.plan.forward, f.n)
	f.run(f.bind(m.plan.forward))
	values := make([][]float32, m.plan.values)
	for _, v := range m.plan.forwarded {
		values[v.value] = f.numbers(v.holds)
	}
	return values, nil
}

// takeInput lays out x [n, features] as the forward kernels read it: in the input's
// layout, in the data set's order of columns, or both.
func (m *machine) takeInput(x []float32) {
	p := m.plan.program
	if slices.ContainsFunc(m.plan.forward, func(k kernel) bool { return slices.Contains(k.reads(), p.Input) }) {
		m.values[p.Input] = make([]float32, m.size(p.Input, m.n))
		at := m.at(p.Input)
		for k, v := range x {
			m.values[p.Input][at(k)] = v
		}
	}
	if !slices.Contains(m.plan.layout, matrixByDensity) {
		return
	}
	m.hot = padded(p.Features())
	m.x = make([]float32, m.n*m.hot)
	to := make([]int, p.Features()) // where the first row's numbers lie
	for c := range to {
		k := m.data.stored[c]
		to[c] = k/lanes*m.n*lanes + k%lanes
	}
	for i := range m.n {
		for c, v := range x[i*p.Features() : (i+1)*p.Features()] {
			m.x[to[c]+i*lanes] = v
		}
	}
}

// numbers is a value per example, row-major.
func (m *machine) numbers(id ir.ID) []float32 {
	s, l := m.plan.program.Value(id).Shape, m.plan.layout[id]
	out := make([]float32, s.Len(m.n))
	if l == rows {
		m.fromPanels(out, m.values[id], s.Cols)
		return out
	}
	at := m.at(id)
	for k := range out {
		out[k] = m.values[id][at(k)]
	}
	return out
}

// fromPanels copies a value per example to rows.
func (m *machine) fromPanels(rows, from []float32, cols int) {
	for i := range m.n {
		for p := range panels(cols) {
			copy(rows[i*cols+p*lanes:(i+1)*cols], from[(p*m.n+i)*lanes:][:lanes])
		}
	}
}

func (m *machine) Params() (params, slots [][]float32) {
	for _, q := range m.plan.program.Params {
		params = append(params, m.copyOut(q.Value, m.values[q.Value]))
	}
	for i, s := range m.slots {
		params := m.plan.program.Params
		slots = append(slots, m.copyOut(params[i%len(params)].Value, s))
	}
	return params, slots
}

func (m *machine) SetParams(params, slots [][]float32) error {
	of := m.plan.program.Params
	if len(params) != len(of) || len(slots) != len(m.slots) {
		return fmt.Errorf("%d parameters and %d optimizer arrays, want %d and %d",
			len(params), len(slots), len(of), len(m.slots))
	}
	for i, q := range of {
		if err := m.copyIn(q.Value, m.values[q.Value], params[i]); err != nil {
			return err
		}
	}
	for i, s := range m.slots {
		if err := m.copyIn(of[i%len(of)].Value, s, slots[i]); err != nil {
			return err
		}
	}
	return nil
}

func (m *machine) Close() error { return nil }

// index is that of element (i, j) of a parameter in its array.
func (m *machine) index(id ir.ID, i, j int) int {
	switch m.plan.layout[id] {
	case plain:
		return i*m.cols(id) + j
	case spread:
		return (i*m.cols(id) + j) * lanes
	case matrixByDensity:
		j = m.data.stored[j]
		fallthrough
	case matrix:
		return i/lanes*m.weightPanel(id) + j*lanes + i%lanes
	}
	return j
}

// copyOut makes a row-major copy of an array laid out as the value id.
func (m *machine) copyOut(id ir.ID, from []float32) []float32 {
	s := m.plan.program.Value(id).Shape
	out := make([]float32, s.Len(0))
	for k := range out {
		out[k] = from[m.index(id, k/s.Cols, k%s.Cols)]
	}
	return out
}

// copyIn copies a row-major array to one laid out as the value id.
func (m *machine) copyIn(id ir.ID, to, from []float32) error {
	v := m.plan.program.Value(id)
	if len(from) != v.Shape.Len(0) {
		return fmt.Errorf("%d numbers for %s%v", len(from), v.Name, v.Shape)
	}
	clear(to)
	for k, x := range from {
		at := m.index(id, k/v.Shape.Cols, k%v.Shape.Cols)
		to[at] = x
		if m.plan.layout[id] == spread {
			for j := 1; j < lanes; j++ {
				to[at+j] = x
			}
		}
	}
	return nil
}
