package conformance

import (
	"context"
	"errors"
	"fmt"
	"math"
	"testing"

	"gorgonia.org/tensor"

	"vanilla/graph"
	"vanilla/graph/ir"
	"vanilla/graph/samples"
	"vanilla/kernels"
	"vanilla/kernels/ref"
)

// TensorTolerance is how much a step of training may add to the difference of losses,
// relative to them: gradients have bounds of their own, and steps are small.
const TensorTolerance = 20 * Tolerance

// tensorBatches are batches of one, of a few, and those that leave some over.
var tensorBatches = []int{3, 10, 32}

// RunTensors holds an executor to the reference on the samples' programs of
// tensor operations: gradients, losses over some steps, and outputs. It leaves out
// the programs of which without is true.
func RunTensors(t *testing.T, exec kernels.Executor, without func(p *ir.Program) bool) {
	ran := 0
	type named struct {
		name  string
		build graph.Builder
	}
	all := []named{{"LeNet on images of 12 x 12", samples.LeNet(12)}}
	for _, s := range samples.All() {
		if s.Refused == "" {
			all = append(all, named{s.Name, s.Build(tensor.Float32)})
		}
	}
	for _, s := range all {
		n, err := graph.Lower(s.name, s.build)
		if err != nil {
			t.Fatal(err)
		}
		if n.Unfused() == nil || without(n.Program) {
			continue
		}
		ran++
		t.Run(s.name, func(t *testing.T) {
			for _, b := range tensorBatches {
				v := Variant(n, b)
				if err := tensorGradients(exec, v, n.Program); err != nil {
					t.Errorf("batch %d: %v", b, err)
				}
				if err := tensorOutputs(exec, v, n.Program); err != nil {
					t.Errorf("batch %d: %v", b, err)
				}
				if err := tensorValues(exec, v, n.Program); err != nil {
					t.Errorf("batch %d: %v", b, err)
				}
			}
			v := Variant(n, 10)
			got, err := Trajectory(exec, v)
			if err != nil {
				t.Fatal(err)
			}
			want, err := Trajectory(ref.New(), v)
			if err != nil {
				t.Fatal(err)
			}
			for k := range want {
				if d := math.Abs(got[k] - want[k]); !(d <= Steps*TensorTolerance*(math.Abs(want[k])+1e-3)) {
					t.Errorf("loss of step %d is %g, want %g", k, got[k], want[k])
					break
				}
			}
		})
	}
	if ran < 30 {
		t.Errorf("%d programs ran, want 30 or more", ran)
	}
}

// tensorGradients is Gradients with the program's random numbers.
func tensorGradients(exec kernels.Executor, v kernels.Variant, p *ir.Program) error {
	data, before := Data(p, 21), Randomize(v)
	got, err := revealed(exec, data, v, before)
	if err != nil {
		return err
	}
	in, allowed := derive(p, func(in *ref.Interpreter[float64], scale func() float64) {
		in.Draw = draw(p, v.Seed)
		forward(in, p, before.Params, data.Train, firstBatch(v), true, scale)
	})
	for i, q := range p.Params {
		want := in.Values[q.Grad]
		if err := within(got[i], want, allowed.grads[i]+reading(before.Params[i])+2*unit*largest(want)); err != nil {
			return fmt.Errorf("gradient of %s: %w", p.Value(q.Value).Name, err)
		}
	}
	return nil
}

// draw gives the numbers of a variant's first step.
func draw(p *ir.Program, seed uint64) func(k int, out []float64) {
	var all []*ir.Op
	for i := range p.Ops {
		if p.Ops[i].Code == ir.Random {
			all = append(all, &p.Ops[i])
		}
	}
	return func(k int, out []float64) {
		single := make([]float32, len(out))
		noise := kernels.NewNoise(all[k], k, seed).At(0)
		noise.Fill(single, 0)
		for i, v := range single {
			out[i] = float64(v)
		}
	}
}

// forward runs an interpreter on rows of a set.
func forward(in *ref.Interpreter[float64], p *ir.Program, params [][]float32, e kernels.Examples, rows []int32, backward bool, scale func() float64) {
	for i, q := range p.Params {
		for j, w := range params[i] {
			in.Values[q.Value][j] = float64(w)
		}
	}
	var x []float64
	var labels []byte
	for _, r := range rows {
		for _, pixel := range e.Row(int(r)) {
			x = append(x, float64(pixel)/255*scale())
		}
		labels = append(labels, e.Labels[r])
	}
	if backward {
		in.Run(x, labels)
	} else {
		in.Forward(x, labels)
	}
}

// tensorOutputs compares an evaluation, in batches as in training.
func tensorOutputs(exec kernels.Executor, v kernels.Variant, p *ir.Program) error {
	data, state := Data(p, 23), Randomize(v)
	pop, err := exec.Prepare(data, []kernels.Variant{v})
	if err != nil {
		return err
	}
	defer pop.Close()
	if err := pop.Restore(0, state); err != nil {
		return err
	}
	score, err := pop.Evaluate(context.Background(), 0, kernels.Test)
	if err != nil {
		return err
	}
	want, allowed := 0.0, 0.0
	n := data.Test.Len()
	for from := 0; from < n; from += v.Batch {
		var rows []int32
		for i := from; i < min(from+v.Batch, n); i++ {
			rows = append(rows, int32(i))
		}
		in, off := derive(p, func(in *ref.Interpreter[float64], scale func() float64) {
			forward(in, p, state.Params, data.Test, rows, false, scale)
		})
		share := float64(len(rows)) / float64(n)
		want, allowed = want+in.Values[p.Loss][0]*share, allowed+off.loss*share
		out := in.Values[p.Output]
		for i := range rows {
			row := out[i*p.Classes() : (i+1)*p.Classes()]
			class := score.Classes[from+i]
			if best := kernels.Argmax(row); row[best]-row[class] > 2*off.output {
				return fmt.Errorf("example %d: class %d, want %d", from+i, class, best)
			}
		}
	}
	// The sum over batches is rounded too.
	if d := math.Abs(score.Loss - want); !(d <= allowed+2*unit*math.Abs(want)) {
		return fmt.Errorf("evaluation: loss %g, want %g (difference %.2g, allowed %.2g)", score.Loss, want, d, allowed)
	}
	return nil
}

// tensorValues compares what Forward gives, in batches as in training: the output, and of
// the other values those that are there, which are none that ref does not give.
func tensorValues(exec kernels.Executor, v kernels.Variant, p *ir.Program) error {
	params, test := Randomize(v).Params, Data(p, 23).Test
	var x []float32
	for _, pixel := range test.Pixels[:min(2*v.Batch+1, test.Len())*p.Features()] {
		x = append(x, float32(pixel)/255)
	}
	forward := func(exec kernels.Executor) ([][]float32, error) {
		inference, err := exec.Infer(v.Source, params, v.Batch)
		if err != nil {
			return nil, err
		}
		values, err := inference.Forward(context.Background(), x)
		return values, errors.Join(err, inference.Close())
	}
	want, err := forward(ref.New())
	if err != nil {
		return err
	}
	got, err := forward(exec)
	if err != nil {
		return err
	}
	for id, value := range p.Values {
		if got[id] == nil && ir.ID(id) != p.Output {
			continue
		}
		if err := closeArrays(doubles(got[id]), doubles(want[id]), 0); err != nil {
			return fmt.Errorf("forward values: %s: %w", value.Name, err)
		}
	}
	return nil
}

// within compares arrays element by element.
func within(got, want []float64, allowed float64) error {
	if len(got) != len(want) {
		return fmt.Errorf("%d numbers, want %d", len(got), len(want))
	}
	for j := range want {
		if d := math.Abs(got[j] - want[j]); !(d <= allowed) {
			return fmt.Errorf("element %d is %g, want %g (difference %.2g, allowed %.2g)", j, got[j], want[j], d, allowed)
		}
	}
	return nil
}
