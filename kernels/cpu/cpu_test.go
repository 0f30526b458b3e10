package cpu

import (
	"context"
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
		Program: p, Optimizer: kernels.Optimizer{Name: "sgd", WeightDecay: decay},
		Rate: kernels.Rate{StepSize: 0.5, Schedule: "constant"}, Batch: batch, Epochs: 2,
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
	r := &reference{v: v, data: d, net: ref.NewInterpreter[float64](v.Program)}
	s := v.InitialState()
	for _, slot := range s.Slots {
		r.slots = append(r.slots, make([]float64, len(slot)))
	}
	r.set(s.Params, s.Slots)
	return r
}

func (r *reference) set(params, slots [][]float32) {
	for i, w := range params {
		widen(r.net.Values[r.v.Program.Params[i].Value], w)
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

func (r *reference) step(rows []int32, stepSize float64) float64 {
	r.net.Run(r.batch(r.data.Train, rows))
	for i, q := range r.v.Program.Params {
		kernels.Update(r.v.Optimizer, stepSize, r.steps, q.Bias, r.net.Values[q.Value], r.net.Values[q.Grad],
			kernels.ParamSlots(r.slots, i, len(r.v.Program.Params)))
	}
	r.steps++
	return r.net.Values[r.v.Program.Loss][0]
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
	m, err := newMachine(v, newDataset(d, r), r)
	if err != nil {
		t.Fatal(err)
	}
	s := v.InitialState()
	if err := m.SetParams(s.Params, s.Slots); err != nil {
		t.Fatal(err)
	}
	return m
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
	p := v.Program
	m, want := prepare(t, v, d, r), newReference(v, d)
	for _, n := range []int{v.Batch, (v.Batch + 1) / 2} {
		rows := numbers(n)
		slices.Reverse(rows)
		got, err := m.Step(rows, nil, float32(v.Rate.StepSize), want.steps)
		if err != nil {
			t.Fatal(err)
		}
		if want := want.step(rows, v.Rate.StepSize); !near(got, want) {
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
	score, err := m.Evaluate(d.Test)
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
					v.Optimizer, v.Rate.StepSize = o, 0.125 // weights stay below one
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

// TestPlan: which fusions a program gets, and that it computes the same either
// way.
func TestPlan(t *testing.T) {
	b := newBuilder(8, 3)
	z := b.layer(b.p.Input, 3)
	h := b.act(ir.Softplus, z) // its slope is not read off h, so z stays
	b.loss(ir.Xent, b.layer(h, 3), 1)
	keepsSums := b.program(t)

	b = newBuilder(8, 3)
	h = b.act(ir.Sigmoid, b.layer(b.p.Input, 3))
	z = b.layer(h, 3)
	b.loss(ir.Xent, b.add(z, h, 1), 1) // the gradient of h has two parts
	sumsGradients := b.program(t)

	sgd := kernels.Optimizer{Name: "sgd", WeightDecay: 0.25}
	for _, test := range []struct {
		name      string
		p         *ir.Program
		optimizer kernels.Optimizer
		want      []string
	}{
		{"all fusions", chain(t, ir.Sigmoid, ir.Xent, 8, 4, 3), sgd, []string{
			"dense sparse x0 W2 b3 + act sigmoid -> h5",
			"dense h5 W6 b7 -> z8",
			"xent z8 + dxent -> l9 dz10",
			"dinput dz10 W6 + dact sigmoid at h5 -> dz14",
			"dweight dz14 sparse x0 + update by sgd decay 0.25 -> W2",
			"dbias dz14 + update by sgd -> b3",
			"dweight dz10 h5 + update by sgd decay 0.25 -> W6",
			"dbias dz10 + update by sgd -> b7",
		}},
		{"quadratic cost", chain(t, ir.Sigmoid, ir.Quad, 8, 3), sgd, []string{
			"dense sparse x0 W2 b3 + act sigmoid -> h5",
			"quad h5 + dquad -> l6 da7",
			"dact sigmoid at h5 da7 -> dz8",
			"dweight dz8 sparse x0 + update by sgd decay 0.25 -> W2",
			"dbias dz8 + update by sgd -> b3",
		}},
		{"another optimizer", chain(t, ir.Sigmoid, ir.Xent, 8, 3), kernels.Optimizer{Name: "other", WeightDecay: 0.25}, []string{
			"dense sparse x0 W2 b3 -> z4",
			"xent z4 + dxent -> l5 dz6",
			"dweight dz6 sparse x0 + update by other decay 0.25 -> W2",
			"dbias dz6 + update by other -> b3",
		}},
		{"sums that are needed", keepsSums, sgd, []string{
			"dense sparse x0 W2 b3 -> z4",
			"act softplus z4 -> h5",
			"dense h5 W6 b7 -> z8",
			"xent z8 + dxent -> l9 dz10",
			"dinput dz10 W6 + dact softplus at z4 -> dz14",
			"dweight dz14 sparse x0 + update by sgd decay 0.25 -> W2",
			"dbias dz14 + update by sgd -> b3",
			"dweight dz10 h5 + update by sgd decay 0.25 -> W6",
			"dbias dz10 + update by sgd -> b7",
		}},
		{"a gradient in two parts", sumsGradients, sgd, []string{
			"dense sparse x0 W2 b3 + act sigmoid -> h5",
			"dense h5 W6 b7 -> z8",
			"add z8 + 1·h5 -> s9",
			"xent s9 + dxent -> l10 dz11",
			"dinput dz11 W6 -> dh14",
			"add dz11 + 1·dh14 -> s15",
			"dact sigmoid at h5 s15 -> dz16",
			"dweight dz16 sparse x0 + update by sgd decay 0.25 -> W2",
			"dbias dz16 + update by sgd -> b3",
			"dweight dz11 h5 + update by sgd decay 0.25 -> W6",
			"dbias dz11 + update by sgd -> b7",
		}},
		{"decay in the loss", penalised(t, 8, 4, 3), sgd, []string{
			"dense sparse x0 W2 + act tanh -> h5",
			"dense h5 W3 b6 -> z7",
			"xent z7 + dxent -> l8 dz11",
			"l2 l8 + 0.01/2·ΣW2² -> l9",
			"l2 l9 + 0.02/2·ΣW3² -> l10",
			"dinput dz11 W3 + dact tanh at h5 -> dz15",
			"dweight dz15 sparse x0 + update by sgd decay 0.26 -> W2",
			"dweight dz11 h5 + update by sgd decay 0.27 -> W3",
			"dbias dz11 + update by sgd -> b6",
		}},
		{"weights and bias at once", both(t, 4, true), sgd, []string{
			"x0 as float32",
			"dense sparse x0 W2 W3 copied to a row + act tanh -> h5",
			"dense x0 W3 -> z6",
			"dense z6 W7 b8 -> z9",
			"add h5 + 1·z9 -> s10",
			"xent s10 + dxent -> l11 dz12",
			"dinput dz12 W7 -> dh15",
			"dweight dh15 x0 -> dW16",
			"dact tanh at h5 dz12 -> dz17",
			"dbias dz17 copied from a row -> db19",
			"add dW16 + 1·db19 -> s20",
			"dweight dz17 sparse x0 + update by sgd decay 0.25 -> W2",
			"update s20 by sgd decay 0.25 -> W3",
			"dweight dz12 z6 + update by sgd decay 0.25 -> W7",
			"dbias dz12 + update by sgd -> b8",
		}},
		{"shared weights", shared(t, 4, 3), kernels.Optimizer{Name: "sgd"}, []string{
			"x0 as float32",
			"dense x0 W2 b3 + act sigmoid -> h5",
			"dense h5 W2 b3 + act sigmoid -> h7",
			"dense h7 W8 b9 -> z10",
			"xent z10 + dxent -> l11 dz12",
			"dinput dz12 W8 + dact sigmoid at h7 -> dz16",
			"dweight dz16 h5 -> dW17",
			"dbias dz16 -> db18",
			"dinput dz16 W2 + dact sigmoid at h5 -> dz20",
			"dweight dz20 x0 -> dW21",
			"add dW17 + 1·dW21 -> s22",
			"dbias dz20 -> db23",
			"add db18 + 1·db23 -> s24",
			"update s22 by sgd -> W2",
			"update s24 by sgd -> b3",
			"dweight dz12 h7 + update by sgd -> W8",
			"dbias dz12 + update by sgd -> b9",
		}},
	} {
		t.Run(test.name, func(t *testing.T) {
			c, err := compile(test.p, test.optimizer)
			if err != nil {
				t.Fatal(err)
			}
			if got := c.lines(); !slices.Equal(got, test.want) {
				t.Errorf("got\n\t%s\nwant\n\t%s", strings.Join(got, "\n\t"), strings.Join(test.want, "\n\t"))
			}
			wellFormed(t, c.program, c.step)
			wellFormed(t, c.program, slices.Concat(c.before, c.chunk, c.after))
			if test.optimizer.Name == "sgd" {
				compare(t, variant(test.p, 10, test.optimizer.WeightDecay), data(test.p.Features(), test.p.Classes(), 20, mixedData))
			}
		})
	}
}

// wellFormed checks that kernels read what is there: parameters, and what
// kernels before them wrote.
func wellFormed(t *testing.T, p *ir.Program, kernels []kernel) {
	t.Helper()
	written := map[ir.ID]bool{}
	for _, q := range p.Params {
		written[q.Value] = true
	}
	for _, k := range kernels {
		for _, id := range k.reads() {
			if !written[id] {
				t.Errorf("%s: %s is read before it is written", k.line(p), p.Value(id).Name)
			}
		}
		for _, id := range k.writes() {
			written[id] = true
		}
	}
}

// TestUnfused trains by one kernel per operation and kernels.Update.
func TestUnfused(t *testing.T) {
	for name, p := range map[string]*ir.Program{
		"chain":     chain(t, ir.Sigmoid, ir.Xent, 20, 9, 8, 4),
		"quadratic": chain(t, ir.Tanh, ir.Quad, 20, 9, 4),
		"skip":      skip(t, ir.Softplus, 12, 4),
		"penalised": penalised(t, 20, 9, 4),
		"two heads": twoHeads(t, 12, 9, 4),
	} {
		for _, density := range []float64{sparseData, mixedData, denseData} {
			t.Run(fmt.Sprintf("%s/density=%v", name, density), func(t *testing.T) {
				v, d := variant(p, 10, 0.01), data(p.Features(), p.Classes(), 20, density)
				m, want := prepare(t, v, d, available()[0]), newReference(v, d)
				s := &schedule{program: p, optimizer: v.Optimizer, layout: m.plan.layout, ops: p.Ops}
				for _, pass := range []pass{selectKernels, appendUpdates, expandInput} {
					pass(s)
				}
				m.plan.step = s.kernels
				if n := len(p.Ops) + len(p.Params); len(m.plan.lines()) < n {
					t.Errorf("%d kernels for %d operations and updates", len(s.kernels), n)
				}
				m.allocate(m.plan.step, m.capacity)
				m.step = m.bind(m.plan.step)
				got, err := m.Step(numbers(10), nil, 0.5, 0)
				if err != nil {
					t.Fatal(err)
				}
				if want := want.step(numbers(10), 0.5); !near(got, want) {
					t.Errorf("loss %v, want %v", got, want)
				}
				params, _ := m.Params()
				for i, q := range p.Params {
					differ(t, p.Value(q.Value).Name, params[i], want.net.Values[q.Value])
				}
			})
		}
	}
}

func TestExplain(t *testing.T) {
	p := chain(t, ir.Sigmoid, ir.Xent, 8, 3)
	lines, err := Explain(p, kernels.Optimizer{Name: "sgd"})
	if err != nil || len(lines) != 4 {
		t.Errorf("%d lines, error %v", len(lines), err)
	}
	p.Forward = 0
	if _, err := Explain(p, kernels.Optimizer{Name: "sgd"}); err == nil {
		t.Error("a program that does not verify is explained")
	}
}

// TestLossDependence: a network that reads its own loss is refused.
func TestLossDependence(t *testing.T) {
	b := newBuilder(1, 1)
	w := b.weight(1, 1)
	b.loss(ir.Xent, b.dense(b.p.Input, w), 1)
	loss := b.p.Loss
	z := b.dense(b.p.Input, b.add(w, loss, 1))
	b.p.Output, b.p.Forward = z, len(b.p.Ops)
	b.p.Params[0].Grad = b.op(ir.DWeight, "dW", b.shape(w), 0, 0, z, b.p.Input)
	if err := b.p.Verify(); err != nil {
		t.Fatal(err)
	}
	if _, err := compile(b.p, kernels.Optimizer{Name: "sgd"}); err == nil || !strings.Contains(err.Error(), "depends on the loss") {
		t.Errorf("error %v", err)
	}
}

func TestStepAllocatesNothing(t *testing.T) {
	for _, density := range []float64{sparseData, mixedData, denseData} {
		for _, p := range []*ir.Program{chain(t, ir.Sigmoid, ir.Xent, 20, 16, 10), skip(t, ir.Tanh, 20, 10), penalised(t, 20, 9, 10)} {
			m := prepare(t, variant(p, 16, 0.01), data(20, 10, 40, density), available()[0])
			rows := numbers(16)
			allocs := testing.AllocsPerRun(20, func() {
				if _, err := m.Step(rows, rows[:9], 0.1, 0); err != nil {
					t.Fatal(err)
				}
			})
			if allocs != 0 {
				t.Errorf("%v allocations in a step", allocs)
			}
			own := m.data.splits[kernels.Test].Examples
			own.Pixels, own.Labels = own.Pixels[:16*20], own.Labels[:16]
			allocs = testing.AllocsPerRun(20, func() {
				if _, err := m.StepOn(own, 0.1, 0); err != nil {
					t.Fatal(err)
				}
			})
			if allocs != 0 {
				t.Errorf("%v allocations in a step on other examples", allocs)
			}
		}
	}
}

// TestCoresDoNotMatter: a population's bits are the same on one core and two,
// and the same as each variant's alone.
func TestCoresDoNotMatter(t *testing.T) {
	d := data(30, 10, 100, sparseData)
	variants := []kernels.Variant{
		variant(chain(t, ir.Sigmoid, ir.Xent, 30, 16, 16, 10), 32, 0.01),
		variant(chain(t, ir.ReLU, ir.Quad, 30, 7, 10), 10, 0),
		variant(skip(t, ir.Tanh, 30, 10), 7, 0),
		variant(penalised(t, 30, 9, 10), 100, 0.1),
		variant(chain(t, ir.Sigmoid, ir.Xent, 30, 10), 1, 0),
	}
	train := func(variants []kernels.Variant) []kernels.State {
		population, err := New().Prepare(d, variants)
		if err != nil {
			t.Fatal(err)
		}
		defer population.Close()
		until := make([]int, len(variants))
		for i := range until {
			until[i] = 25
		}
		if err := population.Advance(context.Background(), until, nil); err != nil {
			t.Fatal(err)
		}
		var states []kernels.State
		for i := range variants {
			s, err := population.State(i)
			if err != nil {
				t.Fatal(err)
			}
			states = append(states, s)
		}
		return states
	}
	defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(1))
	one := train(variants)
	runtime.GOMAXPROCS(2)
	two := train(variants)
	for i, v := range variants {
		alone := train([]kernels.Variant{v})[0]
		if !equal(one[i], two[i]) || !equal(one[i], alone) {
			t.Errorf("variant %d differs between one core, two, and by itself", i)
		}
	}
}

func equal(a, b kernels.State) bool {
	return a.LossSum == b.LossSum && a.Step == b.Step &&
		slices.EqualFunc(a.Params, b.Params, slices.Equal[[]float32])
}

// TestHalfPanels: panels of which at most half is in use are computed by the
// products for those, and no others are.
func TestHalfPanels(t *testing.T) {
	for _, c := range []struct {
		widths []int
		half   bool // any of the layers ends in half a panel
	}{{[]int{40, 16, 9}, false}, {[]int{40, 8, 10}, true}, {[]int{40, 24, 16, 12}, true}, {[]int{40, 1, 16}, true}} {
		eachSet(t, func(t *testing.T, set *routines) {
			r, whole, calls := *set, set.products, map[string]int{}
			count := func(name string) { calls[name]++ }
			r.half = products{
				multiply: func(dst, start, a, b []float32, rows, aRows, depth, panels, startRow, startPanel, bPanel int) {
					count("multiply")
					whole.multiply(dst, start, a, b, rows, aRows, depth, panels, startRow, startPanel, bPanel)
				},
				accumulate: func(dst, a, d []float32, rows, aRows, columns, panels, dstPanel int, keep, alpha float32) {
					count("accumulate")
					whole.accumulate(dst, a, d, rows, aRows, columns, panels, dstPanel, keep, alpha)
				},
				columnSums: func(dst, d []float32, rows int, keep, alpha float32) {
					count("columnSums")
					whole.columnSums(dst, d, rows, keep, alpha)
				},
				gather: func(z, w, cold []float32, records []byte, samples, ahead []sample, hot int) {
					count("gather")
					whole.gather(z, w, cold, records, samples, ahead, hot)
				},
				scatter: func(w, d, cold []float32, records []byte, samples []sample, hot int, alpha float32) {
					count("scatter")
					whole.scatter(w, d, cold, records, samples, hot, alpha)
				},
			}
			m := prepare(t, variant(chain(t, ir.Sigmoid, ir.Xent, c.widths...), 8, 0.01), data(40, c.widths[len(c.widths)-1], 20, mixedData), &r)
			if _, err := m.Step(numbers(8), nil, 0.5, 0); err != nil {
				t.Fatal(err)
			}
			want := 0
			if c.half {
				want = 5
				if m.hot == 0 { // nothing to accumulate
					want = 4
				}
			}
			if len(calls) != want {
				t.Errorf("%v: products for half panels: %v", c.widths, calls)
			}
		})
	}
}

// TestNext: what a step is told of the next one, right or wrong, shows in nothing
// but time.
func TestNext(t *testing.T) {
	eachSet(t, func(t *testing.T, r *routines) {
		for _, density := range []float64{sparseData, denseData} {
			d := data(30, 10, 40, density)
			v := variant(chain(t, ir.Sigmoid, ir.Xent, 30, 9, 10), 8, 0.01)
			m, n := prepare(t, v, d, r), prepare(t, v, d, r)
			rows := func(step int) []int32 { return numbers(8*step%32 + 8)[8*step%32:] }
			for step, next := range [][]int32{
				rows(1), rows(2), nil, rows(9), append([]int32{3}, rows(5)[1:]...), rows(6)[:3],
				{40}, {-1}, {}, make([]int32, 65), rows(10), append(rows(11), 1, 2, 3), rows(12),
			} {
				want, err := m.Step(rows(step), nil, 0.5, step)
				if err != nil {
					t.Fatal(err)
				}
				if step == 10 { // something else comes between
					if _, err := n.Evaluate(d.Test); err != nil {
						t.Fatal(err)
					}
				}
				if got, err := n.Step(rows(step), next, 0.5, step); err != nil || got != want {
					t.Errorf("step %d: loss %v, error %v, want %v", step, got, err, want)
				}
				ready := n.ahead.input != nil && slices.Equal(n.ahead.asked, next)
				fits := len(next) > 0 && len(next) <= n.capacity && slices.Min(next) >= 0 && slices.Max(next) < 40
				if ready != (fits && n.reads()) {
					t.Errorf("step %d: the next batch is ready: %v", step, ready)
				}
			}
			a, _ := m.Params()
			b, _ := n.Params()
			if !slices.EqualFunc(a, b, slices.Equal[[]float32]) {
				t.Error("parameters differ")
			}
		}
	})
}

// TestRestore: parameters come out as they went in, and training goes on from
// them with the same bits.
func TestRestore(t *testing.T) {
	d := data(30, 10, 40, mixedData)
	v := variant(chain(t, ir.Sigmoid, ir.Xent, 30, 9, 10), 8, 0.01)
	m := prepare(t, v, d, available()[0])
	params, _ := m.Params()
	if !slices.EqualFunc(params, v.InitialState().Params, slices.Equal[[]float32]) {
		t.Error("Params are not what SetParams was given")
	}
	m.Step(numbers(8), nil, 0.5, 0)
	params, slots := m.Params()
	if len(slots) != 0 {
		t.Errorf("%d optimizer arrays of plain descent", len(slots))
	}
	n := prepare(t, v, d, available()[0])
	if err := n.SetParams(params, slots); err != nil {
		t.Fatal(err)
	}
	a, _ := m.Step(numbers(8), nil, 0.5, 1)
	b, _ := n.Step(numbers(8), nil, 0.5, 1)
	if a != b {
		t.Errorf("loss %v after restoring, %v without", b, a)
	}
	// Optimizer arrays are laid out as their parameters and come out alike.
	m.slots = nil
	for _, q := range v.Program.Params {
		m.slots = append(m.slots, make([]float32, len(m.values[q.Value])))
	}
	if err := m.SetParams(params, params); err != nil {
		t.Fatal(err)
	}
	if _, slots := m.Params(); !slices.EqualFunc(slots, params, slices.Equal[[]float32]) ||
		!slices.Equal(m.slots[0], m.values[v.Program.Params[0].Value]) {
		t.Error("optimizer arrays are not what SetParams was given")
	}
	if err := m.SetParams(params, append(params[:3:3], nil)); err == nil {
		t.Error("a missing optimizer array is accepted")
	}
	m.slots = nil
	if err := m.SetParams(params[:1], nil); err == nil {
		t.Error("one parameter of four is accepted")
	}
	params[0] = params[0][1:]
	if err := m.SetParams(params, nil); err == nil {
		t.Error("a short weight matrix is accepted")
	}
}

func TestEvaluateOtherExamples(t *testing.T) {
	d := data(30, 10, 40, sparseData)
	m := prepare(t, variant(chain(t, ir.Sigmoid, ir.Xent, 30, 9, 10), 8, 0), d, available()[0])
	want, err := m.Evaluate(d.Test)
	if err != nil {
		t.Fatal(err)
	}
	foreign := kernels.Examples{Pixels: slices.Clone(d.Test.Pixels), Labels: slices.Clone(d.Test.Labels), Features: 30}
	got, err := m.Evaluate(foreign)
	if err != nil {
		t.Fatal(err)
	}
	if got.Loss != want.Loss || !slices.Equal(got.Classes, want.Classes) {
		t.Errorf("a copy of the test set scores %v, the test set %v", got.Loss, want.Loss)
	}
	foreign.Labels[0] = 10
	if _, err := m.Evaluate(foreign); err == nil {
		t.Error("label 10 of 10 classes is accepted")
	}
	foreign.Features = 29
	if _, err := m.Evaluate(foreign); err == nil {
		t.Error("29 features of 30 are accepted")
	}
}

func TestStepRefuses(t *testing.T) {
	d := data(30, 10, 40, sparseData)
	m := prepare(t, variant(chain(t, ir.Sigmoid, ir.Xent, 30, 9, 10), 8, 0), d, available()[0])
	for name, rows := range map[string][]int32{"no rows": nil, "too many": make([]int32, 65), "row 40 of 40": {40}, "row -1": {-1}} {
		if _, err := m.Step(rows, nil, 1, 0); err == nil {
			t.Errorf("%s: no error", name)
		}
	}
	if _, err := m.Forward(make([]float32, 31)); err == nil {
		t.Error("31 numbers for 30 features are accepted")
	}
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

// TestDivergence: what is not finite stays visible in the loss.
func TestDivergence(t *testing.T) {
	for _, code := range []ir.Code{ir.Xent, ir.Quad} {
		eachSet(t, func(t *testing.T, r *routines) {
			m := prepare(t, variant(chain(t, ir.Identity, code, 30, 9, 10), 8, 0), data(30, 10, 40, sparseData), r)
			loss := 0.0
			for range 50 {
				loss, _ = m.Step(numbers(8), nil, 1e4, 0)
			}
			if !math.IsNaN(loss) && !math.IsInf(loss, 0) {
				t.Errorf("%s: loss %v after steps of 1e4", code, loss)
			}
		})
	}
}

// TestStepOn: a step on a copy of examples is the step on them, and one on
// others in between does not show.
func TestStepOn(t *testing.T) {
	eachSet(t, func(t *testing.T, r *routines) {
		d := data(50, 10, 40, mixedData)
		v := variant(chain(t, ir.Sigmoid, ir.Xent, 50, 9, 10), 8, 0.01)
		m, n := prepare(t, v, d, r), prepare(t, v, d, r)
		for from := range 3 {
			part := d.Train
			part.Pixels, part.Labels = part.Pixels[from*8*50:(from+1)*8*50], part.Labels[from*8:(from+1)*8]
			want, _ := m.Step(numbers((from + 1) * 8)[from*8:], nil, 0.5, from)
			if got, err := n.StepOn(part, 0.5, from); err != nil || got != want {
				t.Errorf("loss %v, error %v, want %v", got, err, want)
			}
		}
	})
}
