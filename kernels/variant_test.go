package kernels

import (
	"fmt"
	"math"
	"reflect"
	"slices"
	"strings"
	"testing"

	"vanilla/graph"
	"vanilla/graph/ir"
)

// network3x2 takes 3 features to 2 classes, network4x2 takes 4.
func network3x2(t testing.TB, hidden ...int) *ir.Program {
	t.Helper()
	return chain(t, slices.Concat([]int{3}, hidden, []int{2}))
}

func network4x2(t testing.TB) *ir.Program {
	t.Helper()
	return chain(t, []int{4, 2})
}

func chain(t testing.TB, widths []int) *ir.Program {
	t.Helper()
	n, err := graph.New(graph.Arch{
		Widths:     widths,
		Activation: ir.Sigmoid, Loss: graph.CrossEntropy,
	})
	if err != nil {
		t.Fatal(err)
	}
	return n.Program
}

// examples makes n of 3 features and 2 classes.
func examples(n int) Examples {
	e := Examples{Features: 3}
	for i := range n {
		e.Pixels = append(e.Pixels, byte(i), byte(2*i), byte(3*i))
		e.Labels = append(e.Labels, byte(i%2))
	}
	return e
}

func variant(t testing.TB) Variant {
	return Variant{
		Source: network3x2(t), Optimizer: Optimizer{Name: "sgd"}, Schedule: Schedule{LR: 0.5, Name: "constant"},
		Batch: 4, Epochs: 3, Init: Scaled, Seed: 1, OrderSeed: 2,
	}
}

func expectError(t *testing.T, err error, want string) {
	t.Helper()
	if err == nil || !strings.Contains(err.Error(), want) {
		t.Errorf("error %v, want one with %q", err, want)
	}
}

func TestVariantCheck(t *testing.T) {
	data := Data{Train: examples(10), Classes: 2}
	if err := variant(t).Check(&data); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		want   string
		change func(v *Variant, d *Data)
	}{
		{"no program", func(v *Variant, d *Data) { v.Source = nil }},
		{"forward operations of", func(v *Variant, d *Data) { p := *v.Program(); p.Forward = -1; v.Source = &p }},
		{"takes 3 inputs, the data has 4 features", func(v *Variant, d *Data) { d.Train.Features = 4 }},
		{"has 2 outputs, the data has 3 classes", func(v *Variant, d *Data) { d.Classes = 3 }},
		{"optimizer SGD: want sgd, momentum, nesterov, adam or adamw", func(v *Variant, d *Data) { v.Optimizer.Name = "SGD" }},
		{"weight_decay -1:", func(v *Variant, d *Data) { v.Optimizer.WeightDecay = -1 }},
		{"weight_decay NaN:", func(v *Variant, d *Data) { v.Optimizer.WeightDecay = math.NaN() }},
		{"weight_decay 1e+39:", func(v *Variant, d *Data) { v.Optimizer.WeightDecay = 1e39 }},
		{"lr 0:", func(v *Variant, d *Data) { v.Schedule.LR = 0 }},
		{"lr -1:", func(v *Variant, d *Data) { v.Schedule.LR = -1 }},
		{"lr NaN:", func(v *Variant, d *Data) { v.Schedule.LR = math.NaN() }},
		{"lr 1e+39:", func(v *Variant, d *Data) { v.Schedule.LR = 1e39 }},
		{"lr 1e-60:", func(v *Variant, d *Data) { v.Schedule.LR = 1e-60 }},
		{`schedule "": want constant, cosine or step`, func(v *Variant, d *Data) { v.Schedule.Name = "" }},
		{"batch 0:", func(v *Variant, d *Data) { v.Batch = 0 }},
		{"epochs 0:", func(v *Variant, d *Data) { v.Epochs = 0 }},
		{"init zero: want lesson, scaled, xavier or he", func(v *Variant, d *Data) { v.Init = "zero" }},
		{"momentum 0.9: only the optimizers momentum and nesterov have one", func(v *Variant, d *Data) { v.Optimizer.Momentum = 0.9 }},
		{"momentum 0:", func(v *Variant, d *Data) { v.Optimizer.Name = "momentum" }},
		{"momentum 1:", func(v *Variant, d *Data) { v.Optimizer = Optimizer{Name: "nesterov", Momentum: 1} }},
		{"beta1 1:", func(v *Variant, d *Data) { v.Optimizer = Optimizer{Name: "adam", Beta1: 1, Epsilon: 1} }},
		{"beta2 -1:", func(v *Variant, d *Data) { v.Optimizer = Optimizer{Name: "adamw", Beta2: -1, Epsilon: 1} }},
		{"epsilon 0:", func(v *Variant, d *Data) { v.Optimizer = Optimizer{Name: "adam", Beta1: 0.9, Beta2: 0.9} }},
		{"step_epochs 0:", func(v *Variant, d *Data) { v.Schedule.Name = "step" }},
		{"gamma 0:", func(v *Variant, d *Data) { v.Schedule.Name, v.Schedule.StepEpochs = "step", 1 }},
		{"gamma 1.5:", func(v *Variant, d *Data) { v.Schedule.Name, v.Schedule.StepEpochs, v.Schedule.Gamma = "step", 1, 1.5 }},
		{"step_epochs 2: only the schedule step has it", func(v *Variant, d *Data) { v.Schedule.StepEpochs = 2 }},
		{"gamma 0.5: only the schedule step has it", func(v *Variant, d *Data) { v.Schedule.Gamma = 0.5 }},
		{"epochs 1000001: want 1 to 1000000", func(v *Variant, d *Data) { v.Epochs = MaxEpochs + 1 }},
		{"warmup 3:", func(v *Variant, d *Data) { v.Schedule.Warmup = 3 }},
		{"warmup NaN:", func(v *Variant, d *Data) { v.Schedule.Warmup = math.NaN() }},
		{"shift 1: the images have 0x0 pixels", func(v *Variant, d *Data) { v.Shift = 1 }},
		{"shift -1:", func(v *Variant, d *Data) { v.Shift = -1 }},
		{"shift 1:", func(v *Variant, d *Data) { v.Shift, d.Rows, d.Cols = 1, 1, 3 }},
	} {
		v, d := variant(t), data
		c.change(&v, &d)
		expectError(t, v.Check(&d), c.want)
	}
}

func TestDataCheck(t *testing.T) {
	good := func() Data {
		return Data{Train: examples(10), Validation: examples(3), Test: examples(4), Classes: 2}
	}
	d := good()
	if err := d.Check(); err != nil {
		t.Fatal(err)
	}
	if n := []int{d.Split(Train).Len(), d.Split(Validation).Len(), d.Split(Test).Len()}; !slices.Equal(n, []int{10, 3, 4}) {
		t.Errorf("the splits have %v examples", n)
	}
	if row := d.Train.Row(2); !slices.Equal(row, []byte{2, 4, 6}) {
		t.Errorf("row 2 is %v", row)
	}
	d.Validation, d.Test = Examples{}, Examples{}
	if err := d.Check(); err != nil {
		t.Errorf("without validation and test: %v", err)
	}
	for _, c := range []struct {
		want   string
		change func(d *Data)
	}{
		{"training set is empty", func(d *Data) { d.Train = Examples{} }},
		{"0 classes, want 1 to 256", func(d *Data) { d.Classes = 0 }},
		{"257 classes, want 1 to 256", func(d *Data) { d.Classes = 257 }},
		{"train: 29 pixels for 10 examples of 3", func(d *Data) { d.Train.Pixels = d.Train.Pixels[:29] }},
		{"test: 13 pixels for 4 examples of 3", func(d *Data) { d.Test.Pixels = append(d.Test.Pixels, 1) }},
		{"validation: 1 features, the training set has 3", func(d *Data) { d.Validation = Examples{Pixels: []byte{1}, Labels: []byte{1}, Features: 1} }},
		{"test: label 2 of example 1, want below 2", func(d *Data) { d.Test.Labels[1] = 2 }},
		{"images of 2 x 2 pixels, but 3 features", func(d *Data) { d.Rows, d.Cols = 2, 2 }},
	} {
		d := good()
		c.change(&d)
		expectError(t, d.Check(), c.want)
	}
}

// TestScheduleAllocatesNothing: it is asked for every step, some of which take a
// microsecond.
func TestScheduleAllocatesNothing(t *testing.T) {
	for _, name := range ScheduleNames() {
		s := Schedule{Name: name, LR: 0.1, StepEpochs: 2, Gamma: 0.5}
		step := 0
		if n := testing.AllocsPerRun(100, func() { s.At(step, 10, 20); step++ }); n != 0 {
			t.Errorf("%s: %v allocations a step", name, n)
		}
	}
}

func TestSchedule(t *testing.T) {
	constant, cosine := Schedule{LR: 0.3, Name: "constant"}, Schedule{LR: 0.3, Name: "cosine"}
	steps := Schedule{LR: 0.3, Name: "step", StepEpochs: 2, Gamma: 0.5}
	warm := Schedule{LR: 0.3, Name: "cosine", Warmup: 1.5}
	warmSteps := Schedule{LR: 0.3, Name: "step", StepEpochs: 2, Gamma: 0.5, Warmup: 0.25}
	const perEpoch, epochs = 100, 10
	const total = perEpoch * epochs
	for _, c := range []struct {
		r    Schedule
		t    int
		want float64
	}{
		{constant, 0, 0.3}, {constant, total - 1, 0.3}, {constant, 5 * total, 0.3},
		{cosine, 0, 0.3}, {cosine, total / 3, 0.3 * 0.5 * (1 + math.Cos(math.Pi*333/1000))},
		{cosine, total / 2, 0.15}, {cosine, total - 1, 0.3 * math.Pow(math.Sin(math.Pi/2000), 2)},
		{cosine, total, 0}, {cosine, total + 1, 0}, {cosine, 2 * total, 0},
		{steps, 0, 0.3}, {steps, 199, 0.3}, {steps, 200, 0.15}, {steps, 399, 0.15}, {steps, 999, 0.3 / 16},
		{warm, 0, 0.3 / 150}, {warm, 74, 0.15}, {warm, 149, 0.3}, {warm, 150, 0.3}, {warm, 150 + 425, 0.15}, {warm, total, 0},
		{warmSteps, 24, 0.3}, {warmSteps, 25 + 199, 0.3}, {warmSteps, 25 + 200, 0.15},
	} {
		// The learning rate is rounded to float32 once; 1 + cos has float64's ulp.
		tolerance := 0x1p-24*c.want + ulp
		if got := float64(c.r.At(c.t, perEpoch, epochs)); !(math.Abs(got-c.want) <= tolerance) {
			t.Errorf("%+v: %g at step %d, want %g", c.r, got, c.t, c.want)
		}
	}
	for step := 1; step < total; step++ {
		if now, before := cosine.At(step, perEpoch, epochs), cosine.At(step-1, perEpoch, epochs); !(now < before) {
			t.Errorf("cosine: learning rate %g at step %d after %g", now, step, before)
		}
	}
}

func TestStepsPerEpoch(t *testing.T) {
	for _, c := range []struct{ n, batch, want int }{
		{10, 1, 10}, {10, 3, 4}, {10, 5, 2}, {10, 9, 2}, {10, 10, 1}, {10, 11, 1}, {1, 1, 1},
		{60000, 32, 1875}, {10, math.MaxInt, 1},
	} {
		if got := (Variant{Batch: c.batch}).StepsPerEpoch(c.n); got != c.want {
			t.Errorf("%d examples in batches of %d: %d steps, want %d", c.n, c.batch, got, c.want)
		}
	}
}

func TestUpdate(t *testing.T) {
	t.Run("float32", testUpdate[float32])
	t.Run("float64", testUpdate[float64])
}

func testUpdate[T float32 | float64](t *testing.T) {
	o := Optimizer{Name: "sgd", WeightDecay: 0.25}
	// Powers of two: exact in both precisions.
	for _, c := range []struct {
		o    Optimizer
		bias bool
		want []T // w − step·(g + decay·w)
	}{
		{o, false, []T{1 - 0.5*(2+0.25), -4 - 0.5*(0.5-1), 0.5 * 8}},
		{o, true, []T{1 - 0.5*2, -4 - 0.5*0.5, 0.5 * 8}},
		{Optimizer{Name: "sgd"}, false, []T{1 - 0.5*2, -4 - 0.5*0.5, 0.5 * 8}},
	} {
		w, g := []T{1, -4, 0}, []T{2, 0.5, -8}
		Update(c.o, 0.5, 0, c.bias, w, g, nil)
		if !slices.Equal(w, c.want) {
			t.Errorf("decay %g, bias %v: %v, want %v", c.o.WeightDecay, c.bias, w, c.want)
		}
		if !slices.Equal(g, []T{2, 0.5, -8}) {
			t.Errorf("the gradient is changed to %v", g)
		}
	}
	// Decimals show the precision: every operation rounds to T.
	w := []T{0.1}
	Update(Optimizer{Name: "sgd", WeightDecay: 1e-4}, T(0.3), 0, false, w, []T{0.7}, nil)
	decay, start, gradient, step := T(1e-4), T(0.1), T(0.7), T(0.3)
	product := T(decay * start)
	sum := T(gradient + product)
	product = T(step * sum)
	if want := T(start - product); w[0] != want {
		t.Errorf("%.17g, want %.17g", w[0], want)
	}
}

func TestNewOptimizer(t *testing.T) {
	for _, name := range OptimizerNames() {
		o, err := NewOptimizer(name)
		if err != nil || o.Name != name {
			t.Errorf("%s: %+v, %v", name, o, err)
		}
	}
	_, err := NewOptimizer("lion")
	expectError(t, err, "optimizer lion: want sgd")
}

// Every kind is described, and starts from defaults that can be.
func TestKinds(t *testing.T) {
	seen := map[string]bool{}
	described := func(table, name, help string) {
		if name == "" || help == "" || seen[table+name] {
			t.Errorf("%s %q is described by %q", table, name, help)
		}
		seen[table+name] = true
	}
	for _, k := range Optimizers() {
		described("optimizer", k.Name, k.Help)
		o := Optimizer{Name: k.Name}
		if !reflect.DeepEqual(o.Kind(), k) || o.Rule() != k.Rule || o.Slots() != k.Rule.Slots() || !(k.LR > 0) {
			t.Errorf("%s: %+v", k.Name, o.Kind())
		}
		o.WeightDecay = 0.5
		if added, shrunk := o.Decay(false); added+shrunk != 0.5 || (shrunk == 0.5) != k.Decoupled {
			t.Errorf("%s: a decay of 0.5 adds %g and shrinks %g", k.Name, added, shrunk)
		}
		if added, shrunk := o.Decay(true); added != 0 || shrunk != 0 {
			t.Errorf("%s: biases decay by %g and %g", k.Name, added, shrunk)
		}
	}
	for _, k := range Schedules() {
		described("schedule", k.Name, k.Help)
		if s := (Schedule{Name: k.Name}).Kind(); s.Name != k.Name || s.Stepped != k.Stepped {
			t.Errorf("%s: %+v", k.Name, s)
		}
	}
	for _, k := range Inits() {
		described("init", string(k.Name), k.Help)
		if err := k.Name.Check(); err != nil {
			t.Error(err)
		}
	}
	if k := (Optimizer{Name: "lion"}).Kind(); k.Name != "" {
		t.Errorf("lion is %+v", k)
	}
}

// The slots of a parameter are taken from among those of all.
func TestParamSlots(t *testing.T) {
	all := [][]int{{10}, {11}, {12}, {20}, {21}, {22}}
	if got := ParamSlots(all, 1, 3); len(got) != 2 || got[0][0] != 11 || got[1][0] != 21 {
		t.Errorf("%v, want [[11] [21]]", got)
	}
	if got := ParamSlots([][]int(nil), 1, 3); len(got) != 0 {
		t.Errorf("%v of none", got)
	}
}

// moments are mean and mean square.
func moments(w []float32) (mean, square float64) {
	for _, v := range w {
		mean += float64(v) / float64(len(w))
		square += float64(v) * float64(v) / float64(len(w))
	}
	return mean, square
}

func TestInitialState(t *testing.T) {
	net, err := graph.New(graph.Arch{Widths: []int{784, 100, 50, 400}, Activation: ir.ReLU, Loss: graph.CrossEntropy})
	if err != nil {
		t.Fatal(err)
	}
	for _, init := range InitNames() {
		v := Variant{Source: net.Program, Optimizer: Optimizer{Name: "sgd"}, Init: Init(init), Seed: 5}
		s := v.InitialState()
		if s.Step != 0 || s.LossSum != 0 || s.Diverged || len(s.Slots) != 0 {
			t.Errorf("%s: begins at step %d, loss sum %g, diverged %v, %d slots", init, s.Step, s.LossSum, s.Diverged, len(s.Slots))
		}
		if err := s.Check(v); err != nil {
			t.Error(err)
		}
		for i, q := range net.Program.Params {
			value := net.Program.Value(q.Value)
			in, out := float64(value.Shape.Cols), float64(value.Shape.Rows)
			variance := map[string]float64{"lesson": 1, "scaled": 1 / in, "xavier": 2 / (in + out), "he": 2 / in}[init]
			if q.Bias && init != "lesson" {
				variance = 0
			}
			mean, square := moments(s.Params[i])
			n := float64(len(s.Params[i]))
			if d := sigmas * math.Sqrt(variance/n); !(math.Abs(mean) <= d) {
				t.Errorf("%s: %s%v has mean %g, want 0 ± %.2g", init, value.Name, value.Shape, mean, d)
			}
			if d := sigmas * variance * math.Sqrt(2/n); !(math.Abs(square-variance) <= d) {
				t.Errorf("%s: %s%v has variance %g, want %g ± %.2g", init, value.Name, value.Shape, square, variance, d)
			}
		}
	}
}

// TestInitialStateIsFunction holds what implementations elsewhere must draw:
// element j of parameter i from stream streamParam + i at position j.
func TestInitialStateIsFunction(t *testing.T) {
	v := variant(t)
	v.Source = network3x2(t, 5)
	first := v.InitialState()
	for i, q := range v.Program().Params {
		for j, got := range first.Params[i] {
			want := float32(0)
			if shape := v.Program().Value(q.Value).Shape; !q.Bias {
				want = float32(normal(v.Seed, streamParam+uint32(i), uint64(j)) / math.Sqrt(float64(shape.Cols)))
			}
			// The quotient is a product with a reciprocal there: 1 ulp of
			// float64 away, and so at most one of float32.
			if math.Abs(float64(got-want)) > 0x1p-23*math.Abs(float64(want)) {
				t.Errorf("parameter %d, element %d: %g, want %g", i, j, got, want)
			}
		}
	}
	other := v
	other.Seed, other.OrderSeed, other.Batch = 2, 9, 1
	second := other.InitialState()
	if again := v.InitialState(); !sameArrays(again.Params, first.Params) {
		t.Error("drawing another variant's weights in between changes them")
	}
	for i := range first.Params {
		if q := v.Program().Params[i]; !q.Bias && slices.Equal(first.Params[i], second.Params[i]) {
			t.Errorf("seeds 1 and 2 draw the same parameter %d", i)
		}
	}
	other.Seed = v.Seed
	if !sameArrays(other.InitialState().Params, first.Params) {
		t.Error("the weights depend on more than the seed")
	}
	if slices.Equal(first.Params[0][:4], first.Params[2][:4]) {
		t.Error("two parameters begin with the same weights")
	}
}

func sameArrays(a, b [][]float32) bool { return slices.EqualFunc(a, b, slices.Equal[[]float32]) }

func TestStateClone(t *testing.T) {
	s := State{Step: 3, Params: [][]float32{{1, 2}, {3}}, Slots: [][]float32{{4}}, LossSum: 5, Diverged: true}
	c := s.Clone()
	if fmt.Sprint(c) != fmt.Sprint(s) {
		t.Errorf("the clone of %v is %v", s, c)
	}
	c.Params[0][0], c.Slots[0][0] = 9, 9
	if s.Params[0][0] != 1 || s.Slots[0][0] != 4 {
		t.Errorf("writing to the clone changes the state to %v", s)
	}
}

func TestArgmax(t *testing.T) {
	nan, inf := math.NaN(), math.Inf(1)
	for _, c := range []struct {
		row  []float64
		want int
	}{
		{[]float64{1}, 0}, {[]float64{1, 3, 2}, 1}, {[]float64{1, 3, 3}, 1}, {[]float64{-3, -1, -2}, 1},
		{[]float64{nan, 1, 2}, 2}, {[]float64{1, nan, 0}, 0}, {[]float64{nan, -inf}, 1}, {[]float64{nan, nan}, 0}, {[]float64{2, inf}, 1},
	} {
		if got := Argmax(c.row); got != c.want {
			t.Errorf("the largest of %v is %d, want %d", c.row, got, c.want)
		}
	}
}

func TestAccuracy(t *testing.T) {
	if got := (Score{N: 8, Correct: 6}).Accuracy(); got != 0.75 {
		t.Errorf("6 of 8 correct: %g", got)
	}
	if got := (Score{}).Accuracy(); got != 0 {
		t.Errorf("0 of 0 correct: %g", got)
	}
}
