//go:build gpu && !cpu && linux && amd64 && cgo

package cuda

import (
	"fmt"
	"math"
	"slices"
	"testing"

	"vanilla/dataset"
	"vanilla/graph"
	"vanilla/graph/ir"
	"vanilla/internal/conformance"
	"vanilla/kernels"
	"vanilla/kernels/ref"
	"vanilla/mnist"
)

// epochs trains an executor's network for so many epochs and returns their losses,
// the score on the test set, and the state.
func epochs(t *testing.T, e kernels.Executor, data kernels.Data, v kernels.Variant, n int) ([]float64, kernels.Score, kernels.State) {
	t.Helper()
	p := prepare(t, e, data, v)
	var losses []float64
	if err := p.Advance(t.Context(), []int{n * v.StepsPerEpoch(data.Train.Len())}, func(r kernels.Report) { losses = append(losses, r.Loss) }); err != nil {
		t.Fatal(err)
	}
	score, err := p.Evaluate(t.Context(), 0, kernels.Test)
	if err != nil {
		t.Fatal(err)
	}
	state := states(t, p, 1)[0]
	if err := p.Close(); err != nil {
		t.Fatal(err)
	}
	return losses, score, state
}

// sameEpochs compares training with the reference's. In one epoch the tolerance
// of a step is passed through at most conformance.Steps times.
func sameEpochs(t *testing.T, e kernels.Executor, data kernels.Data, v kernels.Variant, n int, tolerance float64) (kernels.Score, kernels.Score) {
	t.Helper()
	losses, score, state := epochs(t, e, data, v, n)
	wantLosses, wantScore, wantState := epochs(t, ref.New(), data, v, n)
	close := func(what string, got, want float64) {
		if d := math.Abs(got - want); !(d <= tolerance*math.Abs(want)) {
			t.Errorf("%s, %s, batch %d: %s is %.9g, want %.9g", v.Program().Name, v.Optimizer.Name, v.Batch, what, got, want)
		}
	}
	if len(losses) != n || len(wantLosses) != n {
		t.Fatalf("%d and %d epochs, want %d", len(losses), len(wantLosses), n)
	}
	for i := range losses {
		close(fmt.Sprintf("loss of epoch %d", i+1), losses[i], wantLosses[i])
	}
	close("test loss", score.Loss, wantScore.Loss)
	if state.Step != wantState.Step || state.LossSum != 0 {
		t.Errorf("%s: step %d, loss sum %g, want step %d, 0", v.Program().Name, state.Step, state.LossSum, wantState.Step)
	}
	return score, wantScore
}

// Every width, depth and batch, with a short last batch: gradients as in float64,
// training as the reference's.
func TestShapes(t *testing.T) {
	e := newExecutor(t)
	activations, optimizers := graph.Activations(), kernels.OptimizerNames()
	count := 0
	for _, width := range []int{1, 7, 17, 100} {
		for depth := 1; depth <= 6; depth++ {
			widths := []int{20}
			for range depth - 1 {
				widths = append(widths, width)
			}
			loss := []graph.Loss{graph.CrossEntropy, graph.Quadratic}[depth%2]
			p := chain(t, activations[count%len(activations)], loss, append(widths, 4)...)
			data := conformance.Data(p, 60)
			data.Train.Pixels = append(data.Train.Pixels, data.Train.Pixels...) // 134 examples: 100 and 34
			data.Train.Labels = append(data.Train.Labels, data.Train.Labels...)
			for _, batch := range []int{1, 10, 32, 100} {
				v := conformance.Variant(p, batch)
				if err := conformance.Gradients(e, v, p); err != nil {
					t.Errorf("%s, batch %d: %v", p.Name, batch, err)
				}
				if batch == 1 { // an epoch has 134 steps
					continue
				}
				var err error
				if v.Optimizer, err = kernels.NewOptimizer(optimizers[count%len(optimizers)]); err != nil {
					t.Fatal(err)
				}
				if v.Optimizer.Slots() == 2 {
					v.Schedule.LR, v.Optimizer.Epsilon = 0.002, 1e-3 // as in the conformance suite
				}
				sameEpochs(t, e, data, v, 1, conformance.TrajectoryTolerance)
				count++
			}
		}
	}
}

// Sums of 128 terms and more are divided among the warps: over units of a layer and
// over examples of a batch, up to the last warp's part.
func TestLongSums(t *testing.T) {
	e := newExecutor(t)
	for _, width := range []int{127, 128, 129, 250} {
		p := chain(t, ir.Tanh, graph.CrossEntropy, 20, width, 4)
		data := conformance.Data(p, 61)
		for range 2 {
			data.Train.Pixels = append(data.Train.Pixels, data.Train.Pixels...)
			data.Train.Labels = append(data.Train.Labels, data.Train.Labels...)
		}
		for _, batch := range []int{32, 127, 128, 129, 250} { // of 268
			v := conformance.Variant(p, batch)
			if err := conformance.Gradients(e, v, p); err != nil {
				t.Errorf("%s, batch %d: %v", p.Name, batch, err)
			}
			v.Schedule.LR = 1
			sameEpochs(t, e, data, v, 2, conformance.TrajectoryTolerance)
		}
	}
}

// Every optimizer's updates, its arrays and a decay that shows: after three steps
// they are the reference's but for the rounding of gradients.
func TestUpdates(t *testing.T) {
	e := newExecutor(t)
	p := chain(t, ir.Sigmoid, graph.CrossEntropy, 20, 17, 4)
	data := conformance.Data(p, 62)
	for _, name := range kernels.OptimizerNames() {
		v := conformance.Variant(p, 32)
		var err error
		if v.Optimizer, err = kernels.NewOptimizer(name); err != nil {
			t.Fatal(err)
		}
		v.Optimizer.WeightDecay = 0.5
		v.Schedule = kernels.Schedule{LR: 0.1, Name: "constant"}
		if v.Optimizer.Slots() == 2 {
			v.Schedule.LR, v.Optimizer.Epsilon = 0.01, 1e-3
		}
		var ends [2]kernels.State
		for k, executor := range []kernels.Executor{e, ref.New()} {
			population := prepare(t, executor, data, v)
			if err := population.Restore(0, conformance.Randomize(v)); err != nil {
				t.Fatal(err)
			}
			if err := population.Advance(t.Context(), []int{3}, nil); err != nil {
				t.Fatal(err)
			}
			ends[k] = states(t, population, 1)[0]
		}
		got, want := slices.Concat(ends[0].Params, ends[0].Slots), slices.Concat(ends[1].Params, ends[1].Slots)
		for a := range want {
			largest := 0.0
			for _, w := range want[a] {
				largest = max(largest, math.Abs(float64(w)))
			}
			for i := range want[a] {
				if d := math.Abs(float64(got[a][i] - want[a][i])); !(d <= 3*conformance.Tolerance*largest) {
					t.Errorf("%s: number %d of array %d is %g, want %g", name, i, a, got[a][i], want[a][i])
					break
				}
			}
		}
	}
}

// strange writes programs that no chain of layers gives: x as operand of every
// operation that takes values per example, a parameter that is weights here and a
// bias there, weights used twice, a row of weights. Every activation is applied to x,
// of which most is exactly zero. They are no network's gradients;
// the reference computes the same.
func strange(act ir.Activation, xent, onInput bool) *ir.Program {
	p := &ir.Program{Name: fmt.Sprintf("strange %s, cross-entropy %t, of x %t", act, xent, onInput)}
	value := func(name string, s ir.Shape) ir.ID {
		p.Values = append(p.Values, ir.Value{Name: name, Shape: s})
		return ir.ID(len(p.Values) - 1)
	}
	emit := func(name string, s ir.Shape, op ir.Op, args ...ir.ID) ir.ID {
		op.Out, op.Args = value(name, s), args
		p.Ops = append(p.Ops, op)
		return op.Out
	}
	batch, matrix, row, scalar := ir.Shape{Rows: ir.Batch, Cols: 3}, ir.Shape{Rows: 3, Cols: 3}, ir.Shape{Rows: 1, Cols: 3}, ir.Shape{Rows: 1, Cols: 1}
	loss, dloss := ir.Quad, ir.DQuad
	if xent {
		loss, dloss = ir.Xent, ir.DXent
	}
	x, y, w, v := value("x", batch), value("y", batch), value("w", matrix), value("v", row)

	z1 := emit("z1", batch, ir.Op{Code: ir.Dense}, x, w, v)
	h1 := emit("h1", batch, ir.Op{Code: ir.Act, Act: ir.Tanh}, z1)
	ax := emit("ax", batch, ir.Op{Code: ir.Act, Act: act}, x)
	s := emit("s", batch, ir.Op{Code: ir.Add, Scale: 0.5}, h1, x)
	s2 := emit("s2", batch, ir.Op{Code: ir.Add, Scale: -0.25}, s, ax)
	u := emit("u", ir.Shape{Rows: ir.Batch, Cols: 1}, ir.Op{Code: ir.Dense}, s2, v)
	z2 := emit("z2", batch, ir.Op{Code: ir.Dense}, s2, w)
	logits := z2
	if onInput {
		logits = x
	}
	l := emit("data", scalar, ir.Op{Code: loss, Scale: 1.5}, logits, y)
	l = emit("data.w", scalar, ir.Op{Code: ir.L2, Scale: 0.3}, l, w)
	l = emit("loss", scalar, ir.Op{Code: ir.L2, Scale: 0.2}, l, v)
	p.Forward = len(p.Ops)

	dz := emit("dz", batch, ir.Op{Code: dloss, Scale: 1.5}, logits, y)
	ds := emit("ds", batch, ir.Op{Code: ir.DInput}, dz, w)
	du := emit("du", ir.Shape{Rows: ir.Batch, Cols: 1}, ir.Op{Code: ir.DAct, Act: ir.Sigmoid}, u, u)
	dv := emit("dv.weights", row, ir.Op{Code: ir.DWeight}, du, s2)
	dv = emit("dv.bias", row, ir.Op{Code: ir.Add, Scale: 1}, dv, emit("dv.rows", row, ir.Op{Code: ir.DBias}, ds))
	dv = emit("dv.x", row, ir.Op{Code: ir.Add, Scale: 0.1}, dv, emit("x.rows", row, ir.Op{Code: ir.DBias}, x))
	dv = emit("dv", row, ir.Op{Code: ir.Add, Scale: 0.2}, dv, v)
	dz1 := emit("dz1", batch, ir.Op{Code: ir.DAct, Act: act}, ds, x)
	dx := emit("dx", batch, ir.Op{Code: ir.DAct, Act: ir.Softplus}, x, z2)
	dw := emit("dw.first", matrix, ir.Op{Code: ir.DWeight}, dz1, x)
	dw = emit("dw.second", matrix, ir.Op{Code: ir.Add, Scale: 1}, dw, emit("dw.z", matrix, ir.Op{Code: ir.DWeight}, dz, s2))
	dw = emit("dw.x", matrix, ir.Op{Code: ir.Add, Scale: 0.5}, dw, emit("xx", matrix, ir.Op{Code: ir.DWeight}, x, dx))
	dw = emit("dw.in", matrix, ir.Op{Code: ir.Add, Scale: 0.5}, dw, emit("xw", matrix, ir.Op{Code: ir.DWeight},
		emit("x.w", batch, ir.Op{Code: ir.DInput}, x, w), z1))
	dw = emit("dw", matrix, ir.Op{Code: ir.Add, Scale: 0.3}, dw, w)

	p.Input, p.Target, p.Output, p.Loss = x, y, z2, l
	p.Params = []ir.Param{{Value: w, Grad: dw}, {Value: v, Grad: dv, Bias: true}}
	return p
}

func TestStrangePrograms(t *testing.T) {
	e := newExecutor(t)
	for k, act := range ir.Activations() {
		p := strange(act, k%2 == 0, k%4 < 2)
		if err := p.Verify(); err != nil {
			t.Fatal(err)
		}
		for _, batch := range []int{1, 10, 67} {
			v := conformance.Variant(p, batch)
			if err := conformance.Gradients(e, v, p); err != nil {
				t.Errorf("%s, batch %d: %v", p.Name, batch, err)
			}
			got, err := conformance.Trajectory(e, v)
			if err != nil {
				t.Fatal(err)
			}
			want, err := conformance.Trajectory(ref.New(), v)
			if err != nil {
				t.Fatal(err)
			}
			if err := conformance.SameTrajectory(got, want); err != nil {
				t.Errorf("%s, batch %d: %v", p.Name, batch, err)
			}
		}
	}
}

// A network with more in a block than fits its shared memory, on MNIST, trains as
// the reference does. As in conformance.PyTorch, an epoch's mean loss differs by
// less than a step's may, and an image may be as close to one class as to another.
func TestMNIST(t *testing.T) {
	set, err := mnist.Embedded()
	if err != nil {
		t.Fatal(err)
	}
	first := func(s *dataset.Images, n int) kernels.Examples {
		return kernels.Examples{Pixels: s.Pixels[:n*s.Features()], Labels: s.Labels[:n], Features: s.Features()}
	}
	data := kernels.Data{Train: first(set.Train, 2010), Test: first(set.Test, 1000), Classes: 10, Rows: 28, Cols: 28}
	v := kernels.Variant{
		Source:    chain(t, ir.Sigmoid, graph.CrossEntropy, 784, 16, 16, 10),
		Optimizer: kernels.Optimizer{Name: "sgd", WeightDecay: 1e-4},
		Schedule:  kernels.Schedule{LR: 1, Name: "cosine"},
		Batch:     32, Epochs: 8, Init: kernels.Scaled, Seed: 1, OrderSeed: 1,
	}
	got, want := sameEpochs(t, newExecutor(t), data, v, v.Epochs, conformance.Tolerance)
	if d := got.Correct - want.Correct; d < -1 || d > 1 {
		t.Errorf("%d images right, the reference's %d", got.Correct, want.Correct)
	}
	if got.Accuracy() < 0.8 {
		t.Errorf("accuracy %g: it has not learned", got.Accuracy())
	}
	v.Shift, v.Epochs = 2, 1
	sameEpochs(t, newExecutor(t), data, v, v.Epochs, conformance.Tolerance)
}
