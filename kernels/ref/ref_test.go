package ref

import (
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"testing"

	"vanilla/graph"
	"vanilla/graph/ir"
	"vanilla/kernels"
)

func rows(n int) ir.Shape      { return ir.Shape{Rows: ir.Batch, Cols: n} }
func matrix(n, m int) ir.Shape { return ir.Shape{Rows: n, Cols: m} }

// TestOps computes every operation on numbers small enough to do by hand. The
// sums are exact in both precisions.
func TestOps(t *testing.T) {
	t.Run("float32", testOps[float32])
	t.Run("float64", testOps[float64])
}

func testOps[T float32 | float64](t *testing.T) {
	type value struct {
		shape ir.Shape
		data  []T
	}
	var (
		a  = value{rows(3), []T{1, 2, 3, -1, 0, 4}} // [2,3]
		w  = value{matrix(2, 3), []T{1, 0, -1, 2, 0.5, 3}}
		b  = value{matrix(1, 2), []T{10, -20}}
		dz = value{rows(2), []T{1, 2, 3, -4}} // [2,2]
		z  = value{rows(2), []T{-1, 2, 0, 3}}
		y  = value{rows(2), nil} // labels 1, 0
		l  = value{matrix(1, 1), []T{7}}
	)
	third := math.Log(3)
	logits := value{rows(2), []T{0, T(third), 5, 5}} // probabilities ¼ ¾, ½ ½
	for _, c := range []struct {
		op   ir.Op
		args []value
		out  ir.Shape
		want []T
	}{
		{ir.Op{Code: ir.Dense}, []value{a, w}, rows(2), []T{-2, 12, -5, 10}},
		{ir.Op{Code: ir.Dense}, []value{a, w, b}, rows(2), []T{8, -8, 5, -10}},
		{ir.Op{Code: ir.Act, Act: ir.ReLU}, []value{z}, rows(2), []T{0, 2, 0, 3}},
		{ir.Op{Code: ir.Act, Act: ir.Softsign}, []value{z}, rows(2), []T{-0.5, T(2. / 3), 0, 0.75}},
		{ir.Op{Code: ir.Add, Scale: 1}, []value{dz, z}, rows(2), []T{0, 4, 3, -1}},
		{ir.Op{Code: ir.Add, Scale: -0.5}, []value{dz, z}, rows(2), []T{1.5, 1, 3, -5.5}},
		{ir.Op{Code: ir.Xent, Scale: 3}, []value{logits, y}, matrix(1, 1), []T{T(1.5 * (math.Log(4./3) + math.Ln2))}},
		{ir.Op{Code: ir.DXent, Scale: 3}, []value{logits, y}, rows(2), []T{0.375, -0.375, -0.75, 0.75}},
		{ir.Op{Code: ir.Quad, Scale: 3}, []value{z, y}, matrix(1, 1), []T{1.5 * (1 + 1 + 1 + 9)}},
		{ir.Op{Code: ir.DQuad, Scale: 3}, []value{z, y}, rows(2), []T{-3, 3, -3, 9}},
		{ir.Op{Code: ir.L2, Scale: 0.5}, []value{l, w}, matrix(1, 1), []T{7 + 0.25*15.25}},
		{ir.Op{Code: ir.DInput}, []value{dz, w}, rows(3), []T{5, 1, 5, -5, -2, -15}},
		{ir.Op{Code: ir.DWeight}, []value{dz, a}, matrix(2, 3), []T{-2, 2, 15, 6, 4, -10}},
		{ir.Op{Code: ir.DBias}, []value{dz}, matrix(1, 2), []T{4, -2}},
		{ir.Op{Code: ir.DAct, Act: ir.ReLU}, []value{dz, z}, rows(2), []T{0, 2, 0, -4}},
		{ir.Op{Code: ir.DAct, Act: ir.Softsign}, []value{dz, z}, rows(2), []T{0.25, T(2. / 9), 3, -0.25}},
	} {
		p := &ir.Program{}
		in := &Interpreter[T]{p: p, labels: []byte{1, 0}}
		for i, v := range c.args {
			p.Values = append(p.Values, ir.Value{Shape: v.shape})
			in.Values = append(in.Values, slices.Clone(v.data))
			c.op.Args = append(c.op.Args, ir.ID(i))
		}
		p.Values = append(p.Values, ir.Value{Shape: c.out})
		c.op.Out = ir.ID(len(c.args))
		got := in.op(&c.op)
		if len(got) != len(c.want) {
			t.Errorf("%s: %v, want %v", c.op.Code, got, c.want)
			continue
		}
		for i := range got {
			// A transcendental argument, the function, and the rounding to T:
			// the numbers above are below 4.
			if tolerance := 4 * epsilon[T](); !(math.Abs(float64(got[i]-c.want[i])) <= tolerance) {
				t.Errorf("%s: %v, want %v", c.op.Code, got, c.want)
				break
			}
		}
		for i, v := range c.args {
			if !slices.Equal(in.Values[i], v.data) {
				t.Errorf("%s changes operand %d to %v", c.op.Code, i, in.Values[i])
			}
		}
	}
}

// epsilon is the distance of 1 to the next T.
func epsilon[T float32 | float64]() float64 {
	if T(1)+0x1p-52 == 1 {
		return 0x1p-23
	}
	return 0x1p-52
}

func TestUnknownOp(t *testing.T) {
	defer func() {
		if recover() == nil {
			t.Error("an unknown operation is computed")
		}
	}()
	p := &ir.Program{Values: []ir.Value{{Shape: matrix(1, 1)}}}
	(&Interpreter[float64]{p: p, Values: make([][]float64, 1)}).op(&ir.Op{Code: ir.DAct + 1})
}

// skipProgram is 3-4-4-3 with a connection around the second layer, which has
// no bias, a scaled loss, and penalties on W1 and b1.
func skipProgram(act ir.Activation) *ir.Program {
	p := &ir.Program{Name: "3-4-4-3 with a skip connection"}
	value := func(name string, s ir.Shape) ir.ID {
		p.Values = append(p.Values, ir.Value{Name: name, Shape: s})
		return ir.ID(len(p.Values) - 1)
	}
	emit := func(name string, s ir.Shape, op ir.Op, args ...ir.ID) ir.ID {
		op.Out, op.Args = value(name, s), args
		p.Ops = append(p.Ops, op)
		return op.Out
	}
	scalar := matrix(1, 1)
	x, y := value("x", rows(3)), value("y", rows(3))
	w1, b1 := value("W1", matrix(4, 3)), value("b1", matrix(1, 4))
	w2 := value("W2", matrix(4, 4))
	w3, b3 := value("W3", matrix(3, 4)), value("b3", matrix(1, 3))

	z1 := emit("z1", rows(4), ir.Op{Code: ir.Dense}, x, w1, b1)
	h1 := emit("h1", rows(4), ir.Op{Code: ir.Act, Act: act}, z1)
	z2 := emit("z2", rows(4), ir.Op{Code: ir.Dense}, h1, w2)
	sum := emit("sum", rows(4), ir.Op{Code: ir.Add, Scale: 1}, h1, z2)
	z3 := emit("z3", rows(3), ir.Op{Code: ir.Dense}, sum, w3, b3)
	loss := emit("data", scalar, ir.Op{Code: ir.Xent, Scale: 1.5}, z3, y)
	loss = emit("data.W1", scalar, ir.Op{Code: ir.L2, Scale: 0.3}, loss, w1)
	loss = emit("loss", scalar, ir.Op{Code: ir.L2, Scale: 0.2}, loss, b1)
	p.Forward = len(p.Ops)

	dz3 := emit("dz3", rows(3), ir.Op{Code: ir.DXent, Scale: 1.5}, z3, y)
	db3 := emit("db3", matrix(1, 3), ir.Op{Code: ir.DBias}, dz3)
	dw3 := emit("dW3", matrix(3, 4), ir.Op{Code: ir.DWeight}, dz3, sum)
	dsum := emit("dsum", rows(4), ir.Op{Code: ir.DInput}, dz3, w3)
	dw2 := emit("dW2", matrix(4, 4), ir.Op{Code: ir.DWeight}, dsum, h1)
	dh1 := emit("dh1", rows(4), ir.Op{Code: ir.Add, Scale: 1}, dsum, emit("dskip", rows(4), ir.Op{Code: ir.DInput}, dsum, w2))
	dz1 := emit("dz1", rows(4), ir.Op{Code: ir.DAct, Act: act}, dh1, z1)
	db1 := emit("db1", matrix(1, 4), ir.Op{Code: ir.Add, Scale: 0.2}, emit("db1.data", matrix(1, 4), ir.Op{Code: ir.DBias}, dz1), b1)
	dw1 := emit("dW1", matrix(4, 3), ir.Op{Code: ir.Add, Scale: 0.3}, emit("dW1.data", matrix(4, 3), ir.Op{Code: ir.DWeight}, dz1, x), w1)

	p.Input, p.Target, p.Output, p.Loss = x, y, z3, loss
	p.Params = []ir.Param{
		{Value: w1, Grad: dw1}, {Value: b1, Grad: db1, Bias: true}, {Value: w2, Grad: dw2},
		{Value: w3, Grad: dw3}, {Value: b3, Grad: db3, Bias: true},
	}
	return p
}

// programs are those whose gradients are checked: all activations and both
// losses, several depths, layers one unit wide, a skip connection with
// penalties.
func programs(t *testing.T) []*ir.Program {
	t.Helper()
	var all []*ir.Program
	lower := func(a graph.Arch) {
		n, err := graph.New(a)
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, n.Program)
	}
	for _, loss := range []graph.Loss{graph.CrossEntropy, graph.Quadratic} {
		for _, act := range graph.Activations() {
			lower(graph.Arch{Widths: []int{4, 5, 3, 3}, Activation: act, Loss: loss})
		}
		for _, widths := range [][]int{{3, 2}, {1, 2}, {1, 1, 2}, {4, 1, 3}, {3, 1, 1, 4, 2}} {
			lower(graph.Arch{Widths: widths, Activation: ir.Tanh, Loss: loss})
		}
	}
	for _, act := range []ir.Activation{ir.Sigmoid, ir.Rectify} {
		all = append(all, skipProgram(act))
	}
	return all
}

// TestGradients compares every element of every gradient with central
// differences of the loss, in float64 and at several batch sizes in one
// interpreter, as the last, short batch of an epoch comes after full ones.
func TestGradients(t *testing.T) {
	// The error of a difference over ±h is a multiple of h². The difference over
	// ±2h is off by four times as much, so the two differ by three times the
	// error. The rest is rounding, of losses that are good to 64 ulp: sums of at
	// most 5 terms, up to five layers deep.
	const (
		h        = 0x1p-14
		rounding = 64 * 0x1p-52 / h
	)
	for _, p := range programs(t) {
		t.Run(p.Name, func(t *testing.T) {
			if err := p.Verify(); err != nil {
				t.Fatal(err)
			}
			random := rand.New(rand.NewPCG(5, 6))
			in := NewInterpreter[float64](p)
			for _, q := range p.Params {
				for j := range in.Values[q.Value] {
					in.Values[q.Value][j] = random.NormFloat64()
				}
			}
			for _, batch := range []int{7, 3, 1} {
				x, labels := make([]float64, batch*p.Features()), make([]byte, batch)
				for i := range x {
					x[i] = random.Float64()
				}
				for i := range labels {
					labels[i] = byte(random.IntN(p.Classes()))
				}
				in.Run(x, labels)
				var gradients [][]float64
				for _, q := range p.Params {
					gradients = append(gradients, slices.Clone(in.Values[q.Grad]))
				}
				for i, q := range p.Params {
					w := in.Values[q.Value]
					for j := range w {
						kept := w[j]
						at := func(d float64) float64 {
							w[j] = kept + d
							in.Forward(x, labels)
							w[j] = kept
							return in.Values[p.Loss][0]
						}
						near, far := (at(h)-at(-h))/(2*h), (at(2*h)-at(-2*h))/(4*h)
						tolerance := math.Abs(far-near) + rounding*math.Max(1, at(0))
						if got := gradients[i][j]; !(math.Abs(got-near) <= tolerance) {
							t.Errorf("batch %d: %s[%d] is %.12g, differences say %.12g ± %.1g",
								batch, p.Value(q.Grad).Name, j, got, near, tolerance)
						}
					}
				}
			}
		})
	}
}

// dataset makes random examples of 3 features and 3 classes.
func dataset(train, test int) kernels.Data {
	random := rand.New(rand.NewPCG(7, 8))
	set := func(n int) kernels.Examples {
		e := kernels.Examples{Features: 3}
		for range n {
			e.Pixels = append(e.Pixels, byte(random.IntN(256)), byte(random.IntN(256)), byte(random.IntN(256)))
			e.Labels = append(e.Labels, byte(random.IntN(3)))
		}
		return e
	}
	return kernels.Data{Train: set(train), Test: set(test), Classes: 3}
}

func prepare(t *testing.T, data kernels.Data, p *ir.Program) (kernels.Population, kernels.Variant) {
	t.Helper()
	v := kernels.Variant{
		Source: p, Optimizer: kernels.Optimizer{Name: "sgd", WeightDecay: 0.01},
		Schedule: kernels.Schedule{LR: 0.5, Name: "cosine"}, Batch: 8, Epochs: 2, Init: kernels.Lesson, Seed: 3, OrderSeed: 4,
	}
	population, err := New().Prepare(data, []kernels.Variant{v})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := population.Close(); err != nil {
			t.Error(err)
		}
	})
	return population, v
}

// infer runs the population's network as it stands.
func infer(t *testing.T, population kernels.Population, v kernels.Variant) kernels.Inference {
	t.Helper()
	n, err := New().Infer(v.Source, params(t, population), 0)
	if err != nil {
		t.Fatal(err)
	}
	return n
}

func params(t *testing.T, p kernels.Population) [][]float32 {
	t.Helper()
	s, err := p.State(0)
	if err != nil {
		t.Fatal(err)
	}
	return s.Params
}

// TestTraining retraces two epochs of 20 examples, with their short last
// batches, by hand.
func TestTraining(t *testing.T) {
	data := dataset(20, 0)
	population, v := prepare(t, data, skipProgram(ir.Tanh))
	const steps, total = 5, 6
	var reports []kernels.Report
	if err := population.Advance(t.Context(), []int{steps}, func(r kernels.Report) { reports = append(reports, r) }); err != nil {
		t.Fatal(err)
	}

	in := NewInterpreter[float32](v.Program())
	for i, q := range v.Program().Params {
		copy(in.Values[q.Value], v.InitialState().Params[i])
	}
	firstEpoch := 0.0
	for step := range steps {
		order := kernels.NewOrder(v.OrderSeed, step/3, 20)
		var x []float32
		var labels []byte
		for position := step % 3 * 8; position < min(20, step%3*8+8); position++ {
			e := order.At(position)
			for _, pixel := range data.Train.Row(e) {
				x = append(x, float32(pixel)/255)
			}
			labels = append(labels, data.Train.Labels[e])
		}
		in.Run(x, labels)
		if step < 3 {
			firstEpoch += float64(in.Values[v.Program().Loss][0]) * float64(len(labels)) / 20
		}
		for _, q := range v.Program().Params {
			kernels.Update(v.Optimizer, v.Schedule.At(step, 3, v.Epochs), step, q.Bias, in.Values[q.Value], in.Values[q.Grad], nil)
		}
	}
	got := params(t, population)
	for i, q := range v.Program().Params {
		if want := in.Values[q.Value]; !slices.Equal(got[i], want) {
			t.Errorf("%s is %v, want %v", v.Program().Value(q.Value).Name, got[i], want)
		}
	}
	// The sum is divided once there and each term here.
	if len(reports) != 1 || !(math.Abs(reports[0].Loss-firstEpoch) <= 4*0x1p-52*firstEpoch) {
		t.Errorf("reports %v, want one of loss %g", reports, firstEpoch)
	}
	got[0][0]++
	if again := params(t, population); again[0][0] == got[0][0] {
		t.Error("State hands out the parameters themselves")
	}
}

// TestEvaluate: chunks make no difference, to penalties neither, and classes
// are those of Forward's outputs.
func TestEvaluate(t *testing.T) {
	const n = 2*evaluationChunk + 300
	data := dataset(20, n)
	population, v := prepare(t, data, skipProgram(ir.Tanh))
	score, err := population.Evaluate(t.Context(), 0, kernels.Test)
	if err != nil {
		t.Fatal(err)
	}
	p := v.Program()
	in := NewInterpreter[float32](p)
	for i, w := range params(t, population) {
		copy(in.Values[p.Params[i].Value], w)
	}
	var x []float32
	for _, pixel := range data.Test.Pixels {
		x = append(x, float32(pixel)/255)
	}
	in.Forward(x, data.Test.Labels)
	// A float32 holds the loss with its penalties: at most three roundings on
	// the way there, in each chunk and in the whole.
	const tolerance = 6 * 0x1p-24
	if want := float64(in.Values[p.Loss][0]); !(math.Abs(score.Loss-want) <= tolerance*want) {
		t.Errorf("loss %.9g, of one batch %.9g", score.Loss, want)
	}
	if penalty := in.Values[p.Loss][0] - in.Values[p.Ops[5].Out][0]; penalty < 0.1 {
		t.Fatalf("the penalties of %g are too small to show", penalty)
	}

	values, err := infer(t, population, v).Forward(t.Context(), x)
	if err != nil {
		t.Fatal(err)
	}
	correct := 0
	for i, label := range data.Test.Labels {
		class := kernels.Argmax(values[p.Output][3*i : 3*i+3])
		if int(score.Classes[i]) != class {
			t.Fatalf("example %d is of class %d, outputs say %d", i, score.Classes[i], class)
		}
		if class == int(label) {
			correct++
		}
	}
	if score.N != n || len(score.Classes) != n || score.Correct != correct {
		t.Errorf("%d of %d correct, %d classes, want %d of %d", score.Correct, score.N, len(score.Classes), correct, n)
	}
	if correct == 0 || correct == n {
		t.Fatalf("%d of %d correct show nothing", correct, n)
	}
}

func TestForward(t *testing.T) {
	population, v := prepare(t, dataset(20, 0), skipProgram(ir.Tanh))
	p, w := v.Program(), params(t, population)
	x := []float32{0, 0.5, 1, 0.25, 1, 0}
	values, err := infer(t, population, v).Forward(t.Context(), x)
	if err != nil {
		t.Fatal(err)
	}
	if len(values) != len(p.Values) {
		t.Fatalf("%d values, want %d", len(values), len(p.Values))
	}
	perExample := map[string]int{"z1": 4, "h1": 4, "z2": 4, "sum": 4, "z3": 3}
	named := map[string][]float32{}
	for id, got := range values {
		name := p.Values[id].Name
		if width := perExample[name]; len(got) != 2*width || (got == nil) != (width == 0) {
			t.Errorf("%s: %v, want 2 rows of %d", name, got, width)
		}
		named[name] = got
	}
	for i := range 2 {
		for j := range 4 {
			z := x[3*i]*w[0][3*j] + x[3*i+1]*w[0][3*j+1] + x[3*i+2]*w[0][3*j+2] + w[1][j]
			k := 4*i + j
			// Four products and sums of numbers up to 8; fused or not.
			if !(math.Abs(float64(named["z1"][k]-z)) <= 8*8*0x1p-24) {
				t.Errorf("z1[%d] is %g, want %g", k, named["z1"][k], z)
			}
			if want := float32(math.Tanh(float64(named["z1"][k]))); named["h1"][k] != want {
				t.Errorf("h1[%d] is %g, want %g", k, named["h1"][k], want)
			}
			if want := named["h1"][k] + named["z2"][k]; named["sum"][k] != want {
				t.Errorf("sum[%d] is %g, want %g", k, named["sum"][k], want)
			}
		}
	}
	// The values are the caller's: the next run does not change them.
	kept := fmt.Sprint(values)
	if _, err := infer(t, population, v).Forward(t.Context(), []float32{1, 1, 1}); err != nil {
		t.Fatal(err)
	}
	if fmt.Sprint(values) != kept {
		t.Error("a second run changes the values of the first")
	}
}

func TestExecutor(t *testing.T) {
	e := New()
	if e.Name() != "ref" || e.Device() == "" {
		t.Errorf("the executor is called %q on %q", e.Name(), e.Device())
	}
	if _, err := e.Prepare(dataset(20, 0), []kernels.Variant{{}}); err == nil {
		t.Error("a variant without a program is accepted")
	}
}
