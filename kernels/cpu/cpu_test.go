package cpu

import (
	"fmt"
	"math"
	"math/rand/v2"
	"runtime"
	"slices"
	"strings"
	"testing"

	"vanilla/graph/ir"
	"vanilla/kernels"
	"vanilla/kernels/ref"
)

// tolerance bounds how far float32 results may be from float64 ones, relative
// to max(1, |want|). A sum of n products is off by at most (n+1) units of
// roundoff of the sum of their magnitudes; n is below 128 here, magnitudes add
// up to about one (weights are scaled by fan-in, gradients by 1/B), and an
// activation adds a few units. Four such sums follow each other: forward and
// back through two layers.
const tolerance = 4 * 136 * 0x1p-24

func near[T float32 | float64](got T, want float64) bool {
	return math.Abs(float64(got)-want) <= tolerance*max(1, math.Abs(want))
}

// data draws examples of which a fraction of the pixels is not zero. In
// mixedData this differs from column to column.
func data(features, classes, n int, density float64) kernels.Data {
	random := rand.New(rand.NewPCG(1, 2))
	draw := func(n int) kernels.Examples {
		e := kernels.Examples{Features: features}
		for range n {
			for c := range features {
				v := byte(0)
				if density == mixedData && random.IntN(features) <= c || random.Float64() < density {
					v = byte(1 + random.IntN(255))
				}
				e.Pixels = append(e.Pixels, v)
			}
			e.Labels = append(e.Labels, byte(random.IntN(classes)))
		}
		return e
	}
	return kernels.Data{Train: draw(n), Validation: draw(n / 2), Test: draw(3*evaluationChunk + 5), Classes: classes}
}

func variant(p *ir.Program, batch int, decay float64) kernels.Variant {
	return kernels.Variant{
		Source: p, Optimizer: kernels.Optimizer{Name: "sgd", WeightDecay: decay},
		Schedule: kernels.Schedule{LR: 0.5, Name: "constant"}, Batch: batch, Epochs: 2,
		Init: kernels.Scaled, Seed: 3, OrderSeed: 4,
	}
}

// reference trains in float64, by the definitions.
type reference struct {
	v    kernels.Variant
	data kernels.Data
	net  *ref.Interpreter[float64]
	// slots are the optimizer's arrays, steps counts those done.
	slots [][]float64
	steps int
}

func newReference(v kernels.Variant, d kernels.Data) *reference {
	r := &reference{v: v, data: d, net: ref.NewInterpreter[float64](v.Program())}
	s := v.InitialState()
	for _, slot := range s.Slots {
		r.slots = append(r.slots, make([]float64, len(slot)))
	}
	r.set(s.Params, s.Slots)
	return r
}

func (r *reference) set(params, slots [][]float32) {
	for i, w := range params {
		widen(r.net.Values[r.v.Program().Params[i].Value], w)
	}
	for i, s := range slots {
		widen(r.slots[i], s)
	}
}

func widen(to []float64, from []float32) {
	for i, x := range from {
		to[i] = float64(x)
	}
}

func (r *reference) batch(e kernels.Examples, rows []int32) (x []float64, labels []byte) {
	for _, row := range rows {
		for _, pixel := range e.Row(int(row)) {
			x = append(x, float64(pixel)/255)
		}
		labels = append(labels, e.Labels[row])
	}
	return x, labels
}

func (r *reference) step(rows []int32, lr float64) float64 {
	r.net.Run(r.batch(r.data.Train, rows))
	for i, q := range r.v.Program().Params {
		kernels.Update(r.v.Optimizer, lr, r.steps, q.Bias, r.net.Values[q.Value], r.net.Values[q.Grad],
			kernels.ParamSlots(r.slots, i, len(r.v.Program().Params)))
	}
	r.steps++
	return r.net.Values[r.v.Program().Loss][0]
}

func numbers(n int) []int32 {
	rows := make([]int32, n)
	for i := range rows {
		rows[i] = int32(i)
	}
	return rows
}

// prepare is a machine at the variant's initial state.
func prepare(t testing.TB, v kernels.Variant, d kernels.Data, r *routines) *machine {
	t.Helper()
	c, err := compile(v.Program(), v.Optimizer)
	if err != nil {
		t.Fatal(err)
	}
	m := newMachine(c, v.Batch, encodeData(d, r), r)
	s := v.InitialState()
	if err := m.SetParams(s.Params, s.Slots); err != nil {
		t.Fatal(err)
	}
	return m
}

// only is the executor with one set.
func only(r *routines) executor {
	return executor{r, func() choice { return choose([]*routines{r}, nil) }}
}

// eachSet runs a test with every instruction set that the processor has.
func eachSet(t *testing.T, test func(t *testing.T, r *routines)) {
	for _, r := range available() {
		t.Run(r.name, func(t *testing.T) { test(t, r) })
	}
}

// compare trains two steps, the second with a shorter batch, and compares
// losses, parameters, all forward values, and an evaluation with float64.
func compare(t *testing.T, v kernels.Variant, d kernels.Data) {
	eachSet(t, func(t *testing.T, r *routines) { compareSet(t, v, d, r) })
}

func compareSet(t *testing.T, v kernels.Variant, d kernels.Data, r *routines) {
	p := v.Program()
	m, want := prepare(t, v, d, r), newReference(v, d)
	for _, n := range []int{v.Batch, (v.Batch + 1) / 2} {
		rows := numbers(n)
		slices.Reverse(rows)
		got, err := m.Step(rows, nil, float32(v.Schedule.LR), want.steps)
		if err != nil {
			t.Fatal(err)
		}
		if want := want.step(rows, v.Schedule.LR); !near(got, want) {
			t.Errorf("loss of a step %v, want %v", got, want)
		}
		params, slots := m.Params()
		for i, q := range p.Params {
			differ(t, p.Value(q.Value).Name, params[i], want.net.Values[q.Value])
		}
		for i := range slots {
			differ(t, fmt.Sprint("optimizer array ", i), slots[i], want.slots[i])
		}
		want.set(params, slots) // errors of one step do not count in the next
	}
	score, err := evaluate(m, d.Test)
	if err != nil {
		t.Fatal(err)
	}
	x, labels := want.batch(d.Test, numbers(d.Test.Len()))
	want.net.Forward(x, labels)
	if l := want.net.Values[p.Loss][0]; !near(score.Loss, l) {
		t.Errorf("loss of the test set %v, want %v", score.Loss, l)
	}
	correct := 0
	for i, class := range score.Classes {
		row := want.net.Values[p.Output][i*p.Classes() : (i+1)*p.Classes()]
		if !near(row[class], slices.Max(row)) {
			t.Errorf("example %d is class %d, outputs %v", i, class, row)
		}
		if class == labels[i] {
			correct++
		}
	}
	if score.N != len(labels) || score.Correct != correct {
		t.Errorf("%d of %d correct, want %d of %d", score.Correct, score.N, correct, len(labels))
	}
	x32 := make([]float32, len(x))
	for i := range x {
		x32[i] = float32(x[i])
	}
	values, err := m.Forward(x32)
	if err != nil {
		t.Fatal(err)
	}
	for _, op := range p.Ops[:p.Forward] {
		if val := p.Value(op.Out); val.Shape.Rows == ir.Batch {
			differ(t, val.Name, values[op.Out], want.net.Values[op.Out])
		} else if values[op.Out] != nil {
			t.Errorf("Forward returns %s, which no example has", val.Name)
		}
	}
}

// evaluate scores what a machine makes of examples.
func evaluate(m *machine, e kernels.Examples) (kernels.Score, error) {
	outputs, loss, err := m.Outputs(e)
	if err != nil {
		return kernels.Score{}, err
	}
	s := kernels.Score{N: e.Len(), Loss: loss}
	for i, label := range e.Labels {
		s.Classes = append(s.Classes, byte(kernels.Argmax(outputs[i*len(outputs)/e.Len():(i+1)*len(outputs)/e.Len()])))
		if s.Classes[i] == label {
			s.Correct++
		}
	}
	return s, nil
}

func differ(t *testing.T, name string, got []float32, want []float64) {
	t.Helper()
	if len(got) != len(want) {
		t.Errorf("%s holds %d numbers, want %d", name, len(got), len(want))
		return
	}
	for i := range got {
		if !near(got[i], want[i]) {
			t.Errorf("%s[%d] = %v, want %v", name, i, got[i], want[i])
			return
		}
	}
}

const (
	sparseData = 0.3
	denseData  = 1.0
	mixedData  = -1
)

func TestWidths(t *testing.T) {
	for _, width := range []int{1, 3, 7, 8, 9, 16, 17, 100} {
		for _, batch := range []int{1, 10, 32, 33} {
			for _, density := range []float64{sparseData, mixedData, denseData} {
				t.Run(fmt.Sprintf("width=%d/batch=%d/density=%v", width, batch, density), func(t *testing.T) {
					compare(t, variant(chain(t, ir.Sigmoid, ir.Xent, 40, width, width, 10), batch, 0.01), data(40, 10, 40, density))
					compare(t, variant(chain(t, ir.Tanh, ir.Quad, width, 5, width), batch, 0), data(width, width, 40, density))
				})
			}
		}
	}
}

func TestActivationsTrain(t *testing.T) {
	for _, f := range ir.Activations() {
		for _, code := range []ir.Code{ir.Xent, ir.Quad} {
			t.Run(fmt.Sprint(f, " ", code), func(t *testing.T) {
				compare(t, variant(chain(t, f, code, 20, 9, 8, 4), 10, 1e-3), data(20, 4, 20, sparseData))
			})
		}
	}
}

func TestPrograms(t *testing.T) {
	for name, p := range map[string]*ir.Program{
		"skip":          skip(t, ir.Sigmoid, 17, 5),
		"skip softplus": skip(t, ir.Softplus, 8, 5),
		"penalised":     penalised(t, 20, 9, 5),
		"shared":        shared(t, 12, 5),
		"two heads":     twoHeads(t, 12, 9, 5),
		"one layer":     chain(t, ir.Sigmoid, ir.Xent, 20, 5),
		"both of x":     both(t, 17, true),
		"both":          both(t, 17, false),
	} {
		for _, density := range []float64{sparseData, mixedData, denseData} {
			for _, decay := range []float64{0, 0.01} {
				t.Run(fmt.Sprintf("%s/density=%v/decay=%v", name, density, decay), func(t *testing.T) {
					compare(t, variant(p, 33, decay), data(p.Features(), p.Classes(), 40, density))
				})
			}
		}
	}
}

// TestOptimizersTrain: every optimizer, fused and, where a gradient has several
// parts, not.
func TestOptimizersTrain(t *testing.T) {
	for _, name := range kernels.OptimizerNames() {
		o, err := kernels.NewOptimizer(name)
		if err != nil {
			t.Fatal(err)
		}
		o.WeightDecay = 0.25
		if o.Epsilon != 0 {
			o.Epsilon = 0.1 // small gradients' rounding stays small
		}
		for name, p := range map[string]*ir.Program{
			"chain":     chain(t, ir.Softplus, ir.Xent, 40, 50, 33, 10),
			"skip":      skip(t, ir.SiLU, 17, 5),
			"penalised": penalised(t, 20, 9, 5),
			"shared":    shared(t, 12, 5),
			"two heads": twoHeads(t, 12, 9, 5),
			"both":      both(t, 17, true),
		} {
			for _, batch := range []int{7, 200} {
				t.Run(fmt.Sprint(o.Name, " ", name, " ", batch), func(t *testing.T) {
					v := variant(p, batch, 0)
					v.Optimizer, v.Schedule.LR = o, 0.125 // weights stay below one
					compare(t, v, data(p.Features(), p.Classes(), 200, mixedData))
				})
			}
		}
	}
}

func TestLargeBatch(t *testing.T) {
	d := data(30, 10, 4100, sparseData)
	compare(t, variant(chain(t, ir.ReLU, ir.Xent, 30, 16, 10), 4096, 0), d)
}

func TestDevice(t *testing.T) {
	e := New()
	if e.Name() != "cpu" {
		t.Errorf("name %q", e.Name())
	}
	if d := e.Device(); !strings.Contains(d, " core") || strings.HasPrefix(d, ",") {
		t.Errorf("device %q", d)
	}
	if got := processor("testdata/none"); got != runtime.GOARCH {
		t.Errorf("without /proc the processor is %q", got)
	}
}
