package conformance

import (
	"context"
	"math"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"vanilla/bench/handrolled"
	"vanilla/graph"
	"vanilla/graph/ir"
	"vanilla/kernels"
	"vanilla/kernels/cpu"
	"vanilla/kernels/ref"
	"vanilla/kernels/tape"
)

func networks(t *testing.T) []*graph.Network {
	t.Helper()
	nets, err := Networks()
	if err != nil {
		t.Fatal(err)
	}
	return nets
}

// The reference in float32 agrees with itself in float64.
func TestReference(t *testing.T) {
	Run(t, ref.New())
}

// The reference and the CPU's executor train as PyTorch does.
func TestPyTorch(t *testing.T) {
	for _, exec := range []kernels.Executor{ref.New(), cpu.New()} {
		t.Run(exec.Name(), func(t *testing.T) { PyTorch(t, exec, 0) })
	}
}

// Central differences in float64: truncation is of order h² = 1e-10 and
// rounding of order 2⁻⁵³/h = 1e-11, both relative to the loss and its third
// derivatives, which are of order 1 here.
const (
	differenceStep      = 1e-5
	differenceTolerance = 1e-8
)

// The reference's gradients are the derivatives of its loss.
func TestFiniteDifferences(t *testing.T) {
	for _, n := range networks(t) {
		p := n.Program
		for _, batch := range []int{3, 10} {
			v := Variant(p, batch)
			data := Data(p, 31)
			rows := make([]int32, batch)
			order := kernels.NewOrder(1, 0, examples)
			order.Fill(rows, 0)
			in := interpret(p, Randomize(v).Params, data.Train, rows)
			x, labels := in.Values[p.Input], make([]byte, batch)
			for i, r := range rows {
				labels[i] = data.Train.Labels[r]
			}
			random := rand.New(rand.NewPCG(7, 8))
			for _, q := range p.Params {
				in.Run(x, labels)
				grad := slices.Clone(in.Values[q.Grad])
				w := in.Values[q.Value]
				for range min(len(w), 25) {
					j := random.IntN(len(w))
					at := w[j]
					loss := func(w1 float64) float64 {
						w[j] = w1
						in.Forward(x, labels)
						return in.Values[p.Loss][0]
					}
					slope := (loss(at+differenceStep) - loss(at-differenceStep)) / (2 * differenceStep)
					w[j] = at
					if math.Abs(slope-grad[j]) > differenceTolerance*max(1, largest(grad)) {
						t.Errorf("%s, batch %d: gradient of %s[%d] is %.12g, the loss's slope %.12g",
							p.Name, batch, p.Value(q.Value).Name, j, grad[j], slope)
					}
				}
			}
		}
	}
}

// Mistakes planted in a program are found by comparing it with the graph on
// Gorgonia's machine, and the parameter whose gradient is wrong is named.
func TestPlantedMistakes(t *testing.T) {
	nets := networks(t)
	exec := tape.New()
	find := func(name string) *graph.Network {
		for _, n := range nets {
			if strings.Contains(n.Program.Name, name) {
				return n
			}
		}
		t.Fatalf("no network called %s", name)
		return nil
	}
	for _, plant := range []struct {
		name, network string
		change        func(ops []ir.Op) bool
		names         string // what the error must name
	}{
		{"sign of the loss's gradient", "784-16-16-10 sigmoid cross", func(ops []ir.Op) bool {
			i := slices.IndexFunc(ops, func(op ir.Op) bool { return op.Code == ir.DXent })
			ops[i].Scale = -ops[i].Scale
			return true
		}, "W1"},
		{"transposed weights' gradient", "784-16-16-10 sigmoid cross", func(ops []ir.Op) bool {
			for i := range ops { // W2 is square, so the transposed product has its shape
				if op := &ops[i]; op.Code == ir.DWeight && strings.Contains(find("784-16-16-10 sigmoid cross").Program.Value(op.Out).Name, "dW2") {
					op.Args[0], op.Args[1] = op.Args[1], op.Args[0]
					return true
				}
			}
			return false
		}, "W2"},
		{"dropped branch of a skip connection", "skip connection", func(ops []ir.Op) bool {
			dropped := false
			for i := range ops {
				if op := &ops[i]; op.Code == ir.Add && strings.HasPrefix(find("skip connection").Program.Value(op.Out).Name, "d") && !dropped {
					op.Scale, dropped = 0, true
				}
			}
			return dropped
		}, "W1"},
		{"dropped penalty", "penalties", func(ops []ir.Op) bool {
			dropped := false
			for i := range ops {
				if op := &ops[i]; op.Code == ir.Add && op.Scale != 1 && !dropped {
					op.Scale, dropped = 0, true
				}
			}
			return dropped
		}, "W2"},
		{"wrong activation's slope", "784-17-10 relu", func(ops []ir.Op) bool {
			i := slices.IndexFunc(ops, func(op ir.Op) bool { return op.Code == ir.DAct })
			ops[i].Act = ir.LeakyReLU
			return true
		}, "W1"},
		{"sum for a mean", "64-5-3 relu quadratic", func(ops []ir.Op) bool {
			i := slices.IndexFunc(ops, func(op ir.Op) bool { return op.Code == ir.DQuad })
			ops[i].Scale *= 10
			return true
		}, "W1"},
	} {
		t.Run(plant.name, func(t *testing.T) {
			n := find(plant.network)
			p, v := n.Program, Variant(n, 10)
			if err := Gradients(exec, v, p); err != nil {
				t.Fatalf("before anything is planted: %v", err)
			}
			wrong := *p
			wrong.Ops = slices.Clone(p.Ops)
			for i := range wrong.Ops {
				wrong.Ops[i].Args = slices.Clone(wrong.Ops[i].Args)
			}
			if !plant.change(wrong.Ops) {
				t.Fatal("there is nothing to change")
			}
			err := Gradients(exec, v, &wrong)
			if err == nil || !strings.Contains(err.Error(), plant.names) {
				t.Errorf("found: %v, want a wrong gradient of %s", err, plant.names)
			}
		})
	}
}

// The baseline that a student writes by hand and the executors train alike.
func TestHandrolled(t *testing.T) {
	n, err := graph.New(graph.Arch{Widths: []int{784, 16, 16, 10}, Activation: ir.Sigmoid, Loss: graph.CrossEntropy})
	if err != nil {
		t.Fatal(err)
	}
	p := n.Program
	for _, batch := range []int{10, 32} { // 67 examples: 10 steps pass a short last batch
		v := Variant(n, batch)
		data := Data(p, 22)
		start := Randomize(v)
		net := handrolled.New([]int{784, 16, 16, 10})
		for l := range net.Weights {
			copy(net.Weights[l], start.Params[2*l])
			copy(net.Biases[l], start.Params[2*l+1])
		}
		var losses []float64
		for step := range Steps {
			perEpoch := v.StepsPerEpoch(examples)
			from := step % perEpoch * batch
			rows := make([]int32, min(batch, examples-from))
			order := kernels.NewOrder(v.OrderSeed, step/perEpoch, examples)
			order.Fill(rows, from)
			var index []int
			for _, r := range rows {
				index = append(index, int(r))
			}
			loss := net.Step(data.Train.Pixels, data.Train.Labels, index,
				v.Schedule.At(step, perEpoch, v.Epochs), float32(v.Optimizer.WeightDecay))
			losses = append(losses, float64(loss))
		}
		for _, exec := range []kernels.Executor{ref.New(), tape.New(), cpu.New()} {
			got, err := Trajectory(exec, v)
			if err != nil {
				t.Fatal(err)
			}
			if err := SameTrajectory(losses, got); err != nil {
				t.Errorf("batch %d: by hand against %s: %v", batch, exec.Name(), err)
			}
		}
	}
}

// Trajectory's losses are those of Advance: their mean over an epoch is what
// is reported.
func TestTrajectoryIsTheLoss(t *testing.T) {
	n := networks(t)[1]
	v := Variant(n.Program, 10)
	losses, err := Trajectory(ref.New(), v)
	if err != nil {
		t.Fatal(err)
	}
	pop, err := ref.New().Prepare(Data(n.Program, 22), []kernels.Variant{v})
	if err != nil {
		t.Fatal(err)
	}
	defer pop.Close()
	if err := pop.Restore(0, Randomize(v)); err != nil {
		t.Fatal(err)
	}
	mean, perEpoch := 0.0, v.StepsPerEpoch(examples)
	for step, l := range losses[:perEpoch] {
		mean += l * float64(min(v.Batch, examples-step*v.Batch)) / examples
	}
	err = pop.Advance(context.Background(), []int{perEpoch}, func(r kernels.Report) {
		if math.Abs(r.Loss-mean) > 1e-12*mean { // float64 sums in another order
			t.Errorf("the epoch's loss is %g, its examples' mean %g", r.Loss, mean)
		}
	})
	if err != nil {
		t.Fatal(err)
	}
}

// The reference's gradient in the input is the slope of each output.
func TestInputGradient(t *testing.T) {
	for _, n := range networks(t) {
		p := n.Program
		const batch = 2
		data := Data(p, 32)
		in := interpret(p, Randomize(Variant(p, batch)).Params, data.Train, []int32{3, 4})
		x, labels := slices.Clone(in.Values[p.Input]), make([]byte, batch)
		random := rand.New(rand.NewPCG(9, 10))
		for range 20 {
			row, output, pixel := random.IntN(batch), random.IntN(p.Classes()), random.IntN(p.Features())
			in.Forward(x, labels)
			dOutput := make([]float64, batch*p.Classes())
			dOutput[row*p.Classes()+output] = 1
			slopes, err := in.InputGradient(dOutput)
			if err != nil {
				t.Fatal(err)
			}
			grad := slopes[row*p.Features()+pixel]
			value := func(v float64) float64 {
				shifted := slices.Clone(x)
				shifted[row*p.Features()+pixel] = v
				in.Forward(shifted, labels)
				return in.Values[p.Output][row*p.Classes()+output]
			}
			at := x[row*p.Features()+pixel]
			slope := (value(at+differenceStep) - value(at-differenceStep)) / (2 * differenceStep)
			if !(math.Abs(slope-grad) <= differenceTolerance*max(1, math.Abs(slope))) {
				t.Errorf("%s: d output %d / d pixel %d is %.12g, the slope %.12g", p.Name, output, pixel, grad, slope)
			}
		}
	}
}

// Programs with tensor operations: the reference in float32 agrees with itself in
// float64.
func TestTensors(t *testing.T) {
	RunTensors(t, ref.New(), func(*ir.Program) bool { return false })
}
