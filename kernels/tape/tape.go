// Package tape trains networks on Gorgonia's own TapeMachine, on the graph as
// Gorgonia differentiated it. Nothing of the lowering is involved, which makes
// this executor the check that a lowered program means what its graph means.
package tape

import (
	"errors"
	"fmt"
	"runtime"
	"slices"

	"gorgonia.org/gorgonia"
	"gorgonia.org/tensor"

	"vanilla/graph"
	"vanilla/graph/ir"
	"vanilla/kernels"
)

// New returns the executor. It runs variants whose source is a *graph.Network:
// a program by itself has no graph.
func New() kernels.Executor { return executor{} }

type executor struct{}

func (executor) Name() string { return "tape" }
func (executor) Device() string {
	return "CPU, Gorgonia's TapeMachine on " + runtime.GOARCH
}

// arithmetic is the version of what the machine is given to compute. It goes up
// when results change, as with another version of Gorgonia.
const arithmetic = 1

func (executor) Arithmetic() string {
	return fmt.Sprintf("tape %d, %s", arithmetic, kernels.GoArithmetic())
}

// Width is one network for each core.
func (executor) Width() int { return runtime.GOMAXPROCS(0) }

func (executor) Prepare(data kernels.Data, variants []kernels.Variant) (kernels.Population, error) {
	for i, v := range variants {
		if _, err := network(v.Source); v.Source != nil && err != nil {
			return nil, fmt.Errorf("variant %d: %w", i, err)
		}
		if p := v.Program(); p != nil && slices.ContainsFunc(p.Ops, func(op ir.Op) bool { return op.Code == ir.Random }) {
			return nil, fmt.Errorf("variant %d: program %q draws random numbers, and Gorgonia draws its own, from the clock: no two runs would be alike (ref runs it)", i, p.Name)
		}
	}
	return kernels.NewHost(data, variants, func(v kernels.Variant, d *kernels.Data) (kernels.Machine, error) {
		m, err := newMachine(v)
		if err != nil {
			return nil, err
		}
		m.data = d
		for range v.Optimizer.Slots() {
			for _, w := range m.params {
				m.slots = append(m.slots, make([]float32, len(w)))
			}
		}
		return m, nil
	})
}

func (executor) Infer(source kernels.Source, params [][]float32, batch int) (kernels.Inference, error) {
	return kernels.NewInference(source, params, batch, func(s kernels.Source) (kernels.Runner, error) {
		return newMachine(kernels.Variant{Source: s, Batch: batch})
	})
}

func (executor) Explain(source kernels.Source, o kernels.Optimizer) ([]string, error) {
	if _, err := network(source); err != nil {
		return nil, err
	}
	return []string{"Gorgonia's TapeMachine runs the graph itself, node by node; the program is not used"}, nil
}

func (executor) Close() error { return nil }

// network is the graph that a source's program was lowered from.
func network(s kernels.Source) (*graph.Network, error) {
	n, ok := s.(*graph.Network)
	if !ok || n == nil {
		return nil, errors.New("the tape executor runs the graph that a network is written as, and of this one there is only the program, as in the file of a network that is no chain of layers: the executors fast and ref run it")
	}
	return n, nil
}

// machine trains one variant. Its arrays have the graph's layout, and the
// graphs of all batch sizes are bound to the same ones.
type machine struct {
	variant       kernels.Variant
	network       *graph.Network
	data          *kernels.Data
	params, slots [][]float32
	runs          map[int]*run // by batch size
	forward       *run         // the last one that gave outputs
}

func newMachine(v kernels.Variant) (*machine, error) {
	n, err := network(v.Source)
	if err != nil {
		return nil, err
	}
	m := &machine{variant: v, network: n, runs: map[int]*run{}}
	for _, q := range n.Program.Params {
		m.params = append(m.params, make([]float32, n.Program.Value(q.Value).Shape.Len(0)))
	}
	return m, nil
}

// run is a graph at one batch size with its TapeMachine.
type run struct {
	graph *graph.Graph
	vm    gorgonia.VM
	x, y  []float32        // bound to the graph's inputs
	read  []gorgonia.Value // values asked for, by ir.ID
}

// open builds a graph at the given batch size and binds the parameters.
// TapeMachine reuses memory, so a value that is to be read after a run must be
// named here: wanted.
func (m *machine) open(batch int, wanted ...ir.ID) (*run, error) {
	p := m.variant.Program()
	g, err := m.network.Build.Differentiate(batch)
	if err != nil {
		return nil, err
	}
	r := &run{
		graph: g,
		x:     make([]float32, batch*p.Features()),
		y:     make([]float32, batch*p.Classes()),
		read:  make([]gorgonia.Value, len(p.Values)),
	}
	bind := func(n *gorgonia.Node, backing []float32) {
		if err == nil {
			err = gorgonia.Let(n, tensor.New(tensor.WithShape(n.Shape()...), tensor.WithBacking(backing)))
		}
	}
	bind(g.X, r.x)
	bind(g.Y, r.y)
	for i, n := range g.Params {
		bind(n, m.params[i])
	}
	if err != nil {
		return nil, fmt.Errorf("binding the graph's inputs: %w", err)
	}
	for _, id := range wanted {
		n := m.network.Node(g, id)
		if n == nil {
			return nil, fmt.Errorf("the graph has no node for %s", p.Value(id).Name)
		}
		gorgonia.Read(n, &r.read[id])
	}
	r.vm = gorgonia.NewTapeMachine(g.Expr)
	return r, nil
}

// run sets the inputs and runs the graph. Gorgonia's panics become errors.
func (r *run) run(fill func(x, y []float32)) (err error) {
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("the TapeMachine panicked: %v", p)
		}
	}()
	fill(r.x, r.y)
	r.vm.Reset() // without it, running again does nothing
	return r.vm.RunAll()
}

// fill writes examples as the graph's inputs: pixel / 255 and rows of targets.
func (m *machine) fill(e kernels.Examples, row func(i int) int) func(x, y []float32) {
	classes := m.variant.Program().Classes()
	return func(x, y []float32) {
		for i := range len(y) / classes {
			r := row(i)
			for j, pixel := range e.Row(r) {
				x[i*e.Features+j] = float32(pixel) / 255
			}
			for c := range classes {
				y[i*classes+c] = e.Target(r, c, classes)
			}
		}
	}
}

func (m *machine) Step(rows, _ []int32, lr float32, step int) (float64, error) {
	return m.step(len(rows), m.fill(m.data.Train, func(i int) int { return int(rows[i]) }), lr, step)
}

func (m *machine) StepOn(e kernels.Examples, _ []int32, lr float32, step int) (float64, error) {
	return m.step(e.Len(), m.fill(e, func(i int) int { return i }), lr, step)
}

// step trains on a batch that fill writes.
func (m *machine) step(batch int, fill func(x, y []float32), lr float32, step int) (float64, error) {
	r := m.runs[batch]
	if r == nil {
		var err error
		if r, err = m.open(batch); err != nil {
			return 0, err
		}
		m.runs[batch] = r
	}
	if err := r.run(fill); err != nil {
		return 0, err
	}
	for i, n := range r.graph.Grads {
		g, err := floats(n.Value())
		if err != nil {
			return 0, fmt.Errorf("gradient of %s: %w", r.graph.Params[i].Name(), err)
		}
		kernels.Update(m.variant.Optimizer, lr, step, m.variant.Program().Params[i].Bias, m.params[i], g,
			kernels.ParamSlots(m.slots, i, len(m.params)))
	}
	loss, err := floats(r.graph.Loss.Value())
	if err != nil {
		return 0, err
	}
	return float64(loss[0]), nil
}

// floats is a value's elements, row-major.
func floats(v gorgonia.Value) ([]float32, error) {
	if t, ok := v.(*tensor.Dense); ok && t.RequiresIterator() {
		v = t.Materialize().(*tensor.Dense)
	}
	switch d := v.Data().(type) {
	case []float32:
		return d, nil
	case float32:
		return []float32{d}, nil
	}
	return nil, fmt.Errorf("value of type %T, want float32", v.Data())
}

// evaluationChunk bounds the memory of an evaluation.
const evaluationChunk = 1000

func (m *machine) Outputs(e kernels.Examples) (outputs []float32, loss float64, err error) {
	p := m.variant.Program()
	chunk := m.variant.EvaluationBatch(evaluationChunk)
	for from := 0; from < e.Len(); from += chunk {
		n := min(chunk, e.Len()-from)
		if m.forward == nil || n != len(m.forward.y)/p.Classes() {
			if err := m.closeForward(); err != nil {
				return nil, 0, err
			}
			if m.forward, err = m.open(n, p.Output); err != nil {
				return nil, 0, err
			}
		}
		r := m.forward
		if err := r.run(m.fill(e, func(i int) int { return from + i })); err != nil {
			return nil, 0, err
		}
		mean, err := floats(r.graph.Loss.Value())
		if err != nil {
			return nil, 0, err
		}
		out, err := floats(r.read[p.Output])
		if err != nil {
			return nil, 0, err
		}
		loss += float64(mean[0]) * float64(n) / float64(e.Len())
		outputs = append(outputs, out...)
	}
	return outputs, loss, nil
}

func (m *machine) closeForward() error {
	if m.forward == nil {
		return nil
	}
	err := m.forward.vm.Close()
	m.forward = nil
	return err
}

func (m *machine) Forward(x []float32) ([][]float32, error) {
	p := m.variant.Program()
	var wanted []ir.ID
	for _, op := range p.Ops[:p.Forward] {
		if p.Value(op.Out).Shape.Rows == ir.Batch && (p.Layers() || op.Out == p.Output) {
			wanted = append(wanted, op.Out)
		}
	}
	r, err := m.open(len(x)/p.Features(), wanted...)
	if err != nil {
		return nil, err
	}
	defer r.vm.Close()
	err = r.run(func(in, y []float32) {
		copy(in, x)
		for i := 0; i < len(y); i += p.Classes() {
			y[i] = 1 // any target: what is returned does not depend on it
		}
	})
	if err != nil {
		return nil, err
	}
	out := make([][]float32, len(p.Values))
	for _, id := range wanted {
		v, err := floats(r.read[id])
		if err != nil {
			return nil, err
		}
		out[id] = append([]float32(nil), v...)
	}
	return out, nil
}

func (m *machine) Params() (params, slots [][]float32) {
	for i, w := range m.params {
		params = append(params, m.layout(i, w, false))
	}
	for k, s := range m.slots {
		slots = append(slots, m.layout(k%len(m.params), s, false))
	}
	return params, slots
}

func (m *machine) SetParams(params, slots [][]float32) error {
	for i, w := range params {
		copy(m.params[i], m.layout(i, w, true))
	}
	for k, s := range slots {
		copy(m.slots[k], m.layout(k%len(m.params), s, true))
	}
	return nil
}

// layout copies an array of parameter i from the graph's layout to [out, in]
// row-major, or back.
func (m *machine) layout(i int, a []float32, toGraph bool) []float32 {
	out := append([]float32(nil), a...)
	if !m.network.Transposed[i] {
		return out
	}
	shape := m.variant.Program().Value(m.variant.Program().Params[i].Value).Shape
	rows, cols := shape.Cols, shape.Rows // of the source: the graph's [in, out]
	if toGraph {
		rows, cols = shape.Rows, shape.Cols
	}
	for r := range rows {
		for c := range cols {
			out[c*rows+r] = a[r*cols+c]
		}
	}
	return out
}

// Rest gives back nothing: Gorgonia's machines are bound to the parameters.
func (m *machine) Rest() {}

func (m *machine) Close() error {
	first := m.closeForward()
	for _, r := range m.runs {
		if err := r.vm.Close(); err != nil && first == nil {
			first = err
		}
	}
	return first
}
