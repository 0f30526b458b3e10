package cpu

import (
	"fmt"
	"slices"

	"vanilla/graph/ir"
	"vanilla/kernels"
)

// evaluationChunk is the least number of examples for which a machine has
// buffers: enough to make an evaluation's overhead per chunk small.
const evaluationChunk = 64

// machine trains one network.
type machine struct {
	plan  *plan
	data  *dataset
	pixel *[256]float32

	// values are the buffers by ir.ID: parameters, and what kernels write, with
	// room for capacity examples. Those that no kernel uses are nil.
	values   [][]float32
	capacity int
	// scalars are the losses by ir.ID, in more digits than values holds.
	scalars []float64
	slots   [][]float32
	// paramSlots are the same arrays by parameter.
	paramSlots [][][]float32

	// The batch or chunk that runs: n examples of total that the loss is a mean
	// over. rows numbers them in input. Where x was given as numbers, rows and
	// records are nil.
	n, total int
	input    *input
	rows     []int32
	labels   []byte   // room for capacity
	records  []record // what the batch uses of recordRoom
	stepSize float32
	// stepNumber counts the steps before this one.
	stepNumber int

	recordRoom []record
	rowRoom    []int32
}

func newMachine(v kernels.Variant, d *dataset) (*machine, error) {
	p := v.Program
	c, err := compile(p, v.Optimizer, d.sparse())
	if err != nil {
		return nil, err
	}
	m := &machine{
		plan:     c,
		data:     d,
		pixel:    &d.pixel,
		values:   make([][]float32, len(p.Values)),
		capacity: max(min(v.Batch, d.splits[kernels.Train].Len()), evaluationChunk),
		scalars:  make([]float64, len(p.Values)),
	}
	m.labels = make([]byte, m.capacity)
	m.rowRoom = make([]int32, m.capacity)
	if slices.Contains(c.transposed, true) {
		m.recordRoom = make([]record, m.capacity)
	}
	for _, q := range p.Params {
		m.values[q.Value] = make([]float32, p.Value(q.Value).Shape.Len(0))
	}
	for range v.Optimizer.Slots() {
		for _, q := range p.Params {
			m.slots = append(m.slots, make([]float32, p.Value(q.Value).Shape.Len(0)))
		}
	}
	for i := range p.Params {
		m.paramSlots = append(m.paramSlots, kernels.ParamSlots(m.slots, i, len(p.Params)))
	}
	for _, list := range [][]kernel{c.step, c.before, c.chunk, c.after} {
		m.allocate(list, m.capacity)
	}
	return m, nil
}

// allocate makes the buffers that a list of kernels writes and has not yet.
func (m *machine) allocate(list []kernel, batch int) {
	for _, k := range list {
		for _, id := range k.writes() {
			if m.values[id] == nil {
				m.values[id] = make([]float32, m.plan.program.Value(id).Shape.Len(batch))
			}
		}
	}
}

// cols is the width of a value's rows.
func (m *machine) cols(id ir.ID) int { return m.plan.program.Values[id].Shape.Cols }

// batch is the part of a value's buffer that the running batch uses.
func (m *machine) batch(id ir.ID) []float32 {
	return m.values[id][:m.plan.program.Values[id].Shape.Len(m.n)]
}

func (m *machine) setScalar(id ir.ID, v float64) {
	m.scalars[id] = v
	m.values[id][0] = float32(v)
}

func (m *machine) run(list []kernel) {
	for _, k := range list {
		k.run(m)
	}
}

// load makes rows of in the batch that runs next.
func (m *machine) load(in *input, rows []int32) error {
	if len(rows) == 0 || len(rows) > m.capacity {
		return fmt.Errorf("batch of %d examples, want 1 to %d", len(rows), m.capacity)
	}
	m.n, m.input, m.rows = len(rows), in, rows
	for i, r := range rows {
		if uint(r) >= uint(len(in.Labels)) {
			return fmt.Errorf("example %d of %d", r, len(in.Labels))
		}
		m.labels[i] = in.Labels[r]
	}
	m.records = nil
	if m.recordRoom != nil {
		in.records()
		m.records = m.recordRoom[:len(rows)]
		for i, r := range rows {
			m.records[i] = in.record(int(r))
		}
	}
	return nil
}

func (m *machine) Step(rows []int32, stepSize float32, step int) (float64, error) {
	return m.step(&m.data.splits[kernels.Train], rows, stepSize, step)
}

func (m *machine) StepOn(e kernels.Examples, stepSize float32, step int) (float64, error) {
	rows := m.rowRoom[:min(e.Len(), m.capacity)]
	for i := range rows {
		rows[i] = int32(i)
	}
	return m.step(&input{Examples: e}, rows, stepSize, step)
}

func (m *machine) step(in *input, rows []int32, stepSize float32, step int) (float64, error) {
	if err := m.load(in, rows); err != nil {
		return 0, err
	}
	m.total, m.stepSize, m.stepNumber = len(rows), stepSize, step
	clear(m.scalars)
	m.run(m.plan.step)
	return m.scalars[m.plan.program.Loss], nil
}

func (m *machine) Evaluate(e kernels.Examples) (kernels.Score, error) {
	p := m.plan.program
	if e.Features != p.Features() || len(e.Pixels) != e.Len()*e.Features {
		return kernels.Score{}, fmt.Errorf("%d examples of %d features in %d pixels, the network takes %d inputs",
			e.Len(), e.Features, len(e.Pixels), p.Features())
	}
	for i, l := range e.Labels {
		if int(l) >= p.Classes() {
			return kernels.Score{}, fmt.Errorf("label %d of example %d, want below %d", l, i, p.Classes())
		}
	}
	in := m.data.find(e)
	score := kernels.Score{N: e.Len(), Classes: make([]byte, e.Len())}
	m.total = e.Len()
	clear(m.scalars)
	m.run(m.plan.before)
	for from := 0; from < e.Len(); from += m.capacity {
		rows := m.rowRoom[:min(m.capacity, e.Len()-from)]
		for i := range rows {
			rows[i] = int32(from + i)
		}
		if err := m.load(in, rows); err != nil {
			return kernels.Score{}, err
		}
		m.run(m.plan.chunk)
		output, classes := m.batch(p.Output), p.Classes()
		for i := range rows {
			class := kernels.Argmax(output[i*classes : (i+1)*classes])
			score.Classes[from+i] = byte(class)
			if class == int(m.labels[i]) {
				score.Correct++
			}
		}
	}
	m.run(m.plan.after)
	score.Loss = m.scalars[p.Loss]
	return score, nil
}

func (m *machine) Forward(x []float32) ([][]float32, error) {
	p := m.plan.program
	if len(x) == 0 || len(x)%p.Features() != 0 {
		return nil, fmt.Errorf("input of %d numbers, want rows of %d", len(x), p.Features())
	}
	// A machine of its own: the same parameters, buffers of the size of x.
	f := &machine{plan: m.plan, pixel: m.pixel, n: len(x) / p.Features(), values: make([][]float32, len(p.Values))}
	for _, q := range p.Params {
		f.values[q.Value] = m.values[q.Value]
	}
	f.values[p.Input] = x
	f.allocate(m.plan.forward, f.n)
	f.run(m.plan.forward)
	values := make([][]float32, len(p.Values))
	for _, op := range p.Ops[:p.Forward] {
		if p.Value(op.Out).Shape.Rows == ir.Batch {
			values[op.Out] = f.values[op.Out]
		}
	}
	return values, nil
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

// copyOut makes a row-major copy of an array laid out as the value id.
func (m *machine) copyOut(id ir.ID, from []float32) []float32 {
	out := make([]float32, len(from))
	if s := m.plan.program.Value(id).Shape; m.plan.transposed[id] {
		transpose(out, from, s.Cols, s.Rows)
	} else {
		copy(out, from)
	}
	return out
}

// copyIn copies a row-major array to one laid out as the value id.
func (m *machine) copyIn(id ir.ID, to, from []float32) error {
	v := m.plan.program.Value(id)
	if len(from) != len(to) {
		return fmt.Errorf("%d numbers for %s%v", len(from), v.Name, v.Shape)
	}
	if m.plan.transposed[id] {
		transpose(to, from, v.Shape.Rows, v.Shape.Cols)
	} else {
		copy(to, from)
	}
	return nil
}

// transpose is to[j, i] = from[i, j] for from [rows, cols].
func transpose(to, from []float32, rows, cols int) {
	for i := range rows {
		for j := range cols {
			to[j*rows+i] = from[i*cols+j]
		}
	}
}
