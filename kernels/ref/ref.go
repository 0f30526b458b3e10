// Package ref is the living definition of every operation: it interprets a
// program one operation at a time, in float32 or float64, in the most obvious
// way, and is never optimised. The other executors are compared with it.
package ref

import (
	"fmt"
	"runtime"
	"slices"

	"vanilla/graph/ir"
	"vanilla/kernels"
)

// New returns the reference executor, in float32.
func New() kernels.Executor { return executor{} }

type executor struct{}

func (executor) Name() string   { return "ref" }
func (executor) Device() string { return "CPU, one operation at a time in plain Go" }

// arithmetic is the version of the definition. It goes up when results change.
const arithmetic = 1

func (executor) Arithmetic() string {
	return fmt.Sprintf("reference %d, %s", arithmetic, kernels.GoArithmetic())
}

// Width is one network for each core.
func (executor) Width() int { return runtime.GOMAXPROCS(0) }

func (executor) Prepare(data kernels.Data, variants []kernels.Variant) (kernels.Population, error) {
	return kernels.NewHost(data, variants, func(v kernels.Variant, d *kernels.Data) (kernels.Machine, error) {
		return &machine{
			variant: v,
			data:    d,
			interp:  NewInterpreter[float32](v.Program()),
			noises:  noises(v),
		}, nil
	})
}

func (executor) Infer(source kernels.Source, params [][]float32, batch int) (kernels.Inference, error) {
	return kernels.NewInference(source, params, batch, func(s kernels.Source) (kernels.Runner, error) {
		return &machine{variant: kernels.Variant{Source: s, Batch: batch}, interp: NewInterpreter[float32](s.Lowered())}, nil
	})
}

func (executor) Explain(source kernels.Source, o kernels.Optimizer) ([]string, error) {
	return []string{"every operation as it is listed, one after the other"}, nil
}

func (executor) Close() error { return nil }

// machine trains one variant with an interpreter.
type machine struct {
	variant kernels.Variant
	data    *kernels.Data
	interp  *Interpreter[float32]
	slots   [][]float32
	noises  []kernels.Noise // of the program's Random operations
}

func noises(v kernels.Variant) []kernels.Noise {
	var all []kernels.Noise
	p := v.Program()
	for i := range p.Ops {
		if op := &p.Ops[i]; op.Code == ir.Random {
			all = append(all, kernels.NewNoise(op, len(all), v.Seed))
		}
	}
	return all
}

func (m *machine) Step(rows, _ []int32, lr float32, step int) (float64, error) {
	return m.step(m.data.Train, rows, lr, step)
}

func (m *machine) StepOn(e kernels.Examples, _ []int32, lr float32, step int) (float64, error) {
	return m.step(e, all(e), lr, step)
}

func (m *machine) step(e kernels.Examples, rows []int32, lr float32, step int) (float64, error) {
	p := m.variant.Program()
	x, labels := m.gather(e, rows)
	m.interp.Draw = func(k int, out []float32) {
		n := m.noises[k].At(step)
		n.Fill(out, 0)
	}
	m.interp.Run(x, labels)
	m.interp.Draw = nil
	for i, q := range p.Params {
		kernels.Update(m.variant.Optimizer, lr, step, q.Bias, m.interp.Values[q.Value], m.interp.Values[q.Grad],
			kernels.ParamSlots(m.slots, i, len(p.Params)))
	}
	return float64(m.interp.Values[p.Loss][0]), nil
}

// all numbers the examples of a set.
func all(e kernels.Examples) []int32 {
	rows := make([]int32, e.Len())
	for i := range rows {
		rows[i] = int32(i)
	}
	return rows
}

// evaluationChunk bounds the memory of an evaluation.
const evaluationChunk = 1000

func (m *machine) Outputs(e kernels.Examples) (outputs []float32, loss float64, err error) {
	p := m.variant.Program()
	chunk := m.variant.EvaluationBatch(evaluationChunk)
	for from := 0; from < e.Len(); from += chunk {
		rows := make([]int32, min(chunk, e.Len()-from))
		for i := range rows {
			rows[i] = int32(from + i)
		}
		x, labels := m.gather(e, rows)
		m.interp.Forward(x, labels)
		// A chunk's loss is a mean; chunks weigh by their size. Penalties on
		// parameters are the same in each and keep their weight of one.
		loss += float64(m.interp.Values[p.Loss][0]) * float64(len(rows)) / float64(e.Len())
		outputs = append(outputs, m.interp.Values[p.Output]...)
	}
	return outputs, loss, nil
}

func (m *machine) Forward(x []float32) ([][]float32, error) {
	p := m.variant.Program()
	m.interp.Targets = nil
	m.interp.Forward(x, make([]byte, len(x)/p.Features()))
	out := make([][]float32, len(p.Values))
	for _, op := range p.Ops[:p.Forward] {
		if p.Value(op.Out).Shape.Rows == ir.Batch {
			out[op.Out] = m.interp.Values[op.Out] // new memory in every run
		}
	}
	return out, nil
}

func (m *machine) Params() (params, slots [][]float32) {
	for _, q := range m.variant.Program().Params {
		params = append(params, append([]float32(nil), m.interp.Values[q.Value]...))
	}
	for _, s := range m.slots {
		slots = append(slots, append([]float32(nil), s...))
	}
	return params, slots
}

func (m *machine) SetParams(params, slots [][]float32) error {
	for i, q := range m.variant.Program().Params {
		copy(m.interp.Values[q.Value], params[i])
	}
	m.slots = make([][]float32, len(slots))
	for i := range slots {
		m.slots[i] = slices.Clone(slots[i])
	}
	return nil
}

// Rest gives back nothing: all that is there is the network.
func (m *machine) Rest() {}

func (m *machine) Close() error { return nil }

// gather copies examples out of a set: x [len(rows), features], pixel / 255, and
// their labels. It sets the interpreter's targets.
func (m *machine) gather(e kernels.Examples, rows []int32) (x []float32, labels []byte) {
	m.interp.Targets = nil
	for _, r := range rows {
		for _, pixel := range e.Row(int(r)) {
			x = append(x, float32(pixel)/255)
		}
		labels = append(labels, e.Labels[r])
		if e.Targets != nil {
			m.interp.Targets = e.AppendTarget(m.interp.Targets, int(r), m.variant.Program().Classes())
		}
	}
	return x, labels
}

// Interpreter runs a program in precision T.
type Interpreter[T float32 | float64] struct {
	p *ir.Program
	// Values holds every value of the program as of the last run, row-major.
	// Parameters are set by writing to them.
	Values [][]T
	labels []byte
	// Targets are what outputs are to be [B, classes]; nil if they are the labels with
	// certainty.
	Targets []T
	// Draw fills the result of the program's k-th Random operation. Where it is
	// nil, as in evaluation, every element is the mean.
	Draw func(k int, out []T)
	// Rounding, if not nil, is told of every result.
	Rounding Rounding[T]
}

// NewInterpreter returns an interpreter whose parameters are zero. The program
// must verify.
func NewInterpreter[T float32 | float64](p *ir.Program) *Interpreter[T] {
	in := &Interpreter[T]{p: p, Values: make([][]T, len(p.Values))}
	for _, q := range p.Params {
		in.Values[q.Value] = make([]T, p.Value(q.Value).Shape.Len(0))
	}
	return in
}

// Run computes all operations for x [B, features] and one label per row.
func (in *Interpreter[T]) Run(x []T, labels []byte) { in.run(in.p.Ops, x, labels) }

// Forward computes the forward operations only.
func (in *Interpreter[T]) Forward(x []T, labels []byte) { in.run(in.p.Ops[:in.p.Forward], x, labels) }

func (in *Interpreter[T]) run(ops []ir.Op, x []T, labels []byte) {
	in.Values[in.p.Input] = x
	in.labels = labels
	if !in.p.Layers() {
		in.Values[in.p.Target] = in.Targets
		if in.Targets == nil {
			in.Values[in.p.Target] = oneHot[T](labels, in.p.Classes())
		}
	}
	random := 0
	for i := range ops {
		switch op := &ops[i]; {
		case op.Code.Layer():
			in.Values[op.Out] = in.op(op)
		case op.Code == ir.Random:
			in.Values[op.Out] = in.random(op, random)
			random++
		default:
			in.Values[op.Out] = in.tensor(op)
		}
		in.rounded(&ops[i])
	}
}

// oneHot are the targets [B, classes] of labels.
func oneHot[T float32 | float64](labels []byte, classes int) []T {
	y := make([]T, len(labels)*classes)
	for i, label := range labels {
		y[i*classes+int(label)] = 1
	}
	return y
}

func (in *Interpreter[T]) random(op *ir.Op, k int) []T {
	out := make([]T, in.p.Value(op.Out).Shape.Len(len(in.labels)))
	if in.Draw != nil {
		in.Draw(k, out)
		return out
	}
	for i := range out {
		out[i] = T(op.Mean())
	}
	return out
}

// op computes one operation into new memory. Products and sums are T's;
// activations and losses are computed in float64 and rounded once, by the
// definitions in package ir.
func (in *Interpreter[T]) op(op *ir.Op) []T {
	arg := func(k int) []T { return in.Values[op.Args[k]] }
	width := func(k int) int { return in.p.Value(op.Args[k]).Shape.Cols }
	batch := len(in.labels)
	out := make([]T, in.p.Value(op.Out).Shape.Len(batch))
	s := T(op.Scale)

	switch op.Code {
	case ir.Dense: // z = a·wᵀ + b
		a, w, m, n := arg(0), arg(1), width(0), len(out)/batch
		for i := range batch {
			for j := range n {
				var sum T
				for k := range m {
					sum += a[i*m+k] * w[j*m+k]
				}
				if len(op.Args) == 3 {
					sum += arg(2)[j]
				}
				out[i*n+j] = sum
			}
		}

	case ir.Act: // h = f(z)
		for i, z := range arg(0) {
			out[i] = T(op.Act.Value(float64(z)))
		}

	case ir.Add: // c = a + s·b
		a, b := arg(0), arg(1)
		for i := range out {
			out[i] = a[i] + s*b[i]
		}

	case ir.Xent, ir.Quad:
		loss, _ := in.head(op, arg(0), width(0))
		out[0] = T(loss)

	case ir.DXent, ir.DQuad:
		_, d := in.head(op, arg(0), width(0))
		for i, v := range d {
			out[i] = T(v)
		}

	case ir.L2: // l = l₀ + s/2·Σ w²
		var sum T
		for _, w := range arg(1) {
			sum += w * w
		}
		out[0] = arg(0)[0] + s/2*sum

	case ir.DInput: // da = dz·w
		dz, w, n, m := arg(0), arg(1), width(0), width(1)
		for i := range batch {
			for k := range m {
				var sum T
				for j := range n {
					sum += dz[i*n+j] * w[j*m+k]
				}
				out[i*m+k] = sum
			}
		}

	case ir.DWeight: // dw = dzᵀ·a
		dz, a, n, m := arg(0), arg(1), width(0), width(1)
		for j := range n {
			for k := range m {
				var sum T
				for i := range batch {
					sum += dz[i*n+j] * a[i*m+k]
				}
				out[j*m+k] = sum
			}
		}

	case ir.DBias: // db = Σ_i dz_i
		n := width(0)
		for i, d := range arg(0) {
			out[i%n] += d
		}

	case ir.DAct: // dz = dh ⊙ f′(z)
		dh, z := arg(0), arg(1)
		for i := range out {
			out[i] = dh[i] * T(op.Act.Slope(float64(z[i])))
		}

	default:
		panic(fmt.Sprintf("ref: no definition of operation %d", op.Code))
	}
	return out
}

// head computes a loss over the batch and its gradient, both scaled by s/B.
func (in *Interpreter[T]) head(op *ir.Op, a []T, classes int) (loss float64, d []float64) {
	row, soft := ir.QuadraticRow, ir.QuadraticTargets
	if op.Code == ir.Xent || op.Code == ir.DXent {
		row, soft = ir.CrossEntropyRow, ir.CrossEntropyTargets
	}
	target := make([]float64, classes)
	scale := op.Scale / float64(len(in.labels))
	d = make([]float64, len(a))
	for i, v := range a {
		d[i] = float64(v)
	}
	for i, label := range in.labels {
		r := d[i*classes : (i+1)*classes]
		if in.Targets == nil {
			loss += scale * row(r, int(label), r)
		} else {
			for j := range target {
				target[j] = float64(in.Targets[i*classes+j])
			}
			loss += scale * soft(r, target, r)
		}
		for j := range r {
			r[j] *= scale
		}
	}
	return loss, d
}
