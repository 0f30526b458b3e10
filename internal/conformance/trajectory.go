package conformance

import (
	"context"
	"fmt"
	"math"
	"reflect"
	"testing"

	"vanilla/graph"
	"vanilla/kernels"
	"vanilla/kernels/ref"
)

// TrajectoryTolerance is the largest relative difference allowed between the
// losses of two executors over Steps steps of training: Tolerance once a step.
const TrajectoryTolerance = Steps * Tolerance

// Steps is the length of the trajectories that are compared.
const Steps = 10

// Trajectory trains for Steps steps from a random state and returns the loss
// of each batch before its update.
func Trajectory(exec kernels.Executor, v kernels.Variant) ([]float64, error) {
	return trajectory(exec, v, Data(v.Program(), 22))
}

func trajectory(exec kernels.Executor, v kernels.Variant, data kernels.Data) ([]float64, error) {
	pop, err := exec.Prepare(data, []kernels.Variant{v})
	if err != nil {
		return nil, err
	}
	defer pop.Close()
	if err := pop.Restore(0, Randomize(v)); err != nil {
		return nil, err
	}
	var losses []float64
	perEpoch := v.StepsPerEpoch(examples)
	for step := 1; step <= Steps; step++ {
		// The sum over an epoch is what a population tells.
		before, err := pop.State(0)
		if err != nil {
			return nil, err
		}
		mean := math.NaN()
		if err := pop.Advance(context.Background(), []int{step}, func(r kernels.Report) { mean = r.Loss }); err != nil {
			return nil, err
		}
		after, err := pop.State(0)
		if err != nil {
			return nil, err
		}
		sum := after.LossSum
		if step%perEpoch == 0 {
			sum = mean * float64(examples) / float64(min(v.Batch, examples))
		}
		losses = append(losses, (sum-before.LossSum)/v.Share(step-1, examples))
	}
	return losses, nil
}

// SameTrajectory compares two trajectories.
func SameTrajectory(got, want []float64) error {
	for t := range want {
		if d := math.Abs(got[t] - want[t]); !(d <= TrajectoryTolerance*math.Abs(want[t])) {
			return fmt.Errorf("loss of step %d is %g, want %g", t, got[t], want[t])
		}
	}
	return nil
}

func (s suite) trajectories(t *testing.T) {
	s.each(t, func(t *testing.T, n *graph.Network) {
		for _, b := range batches {
			got, err := Trajectory(s.exec, Variant(n, b))
			if err != nil {
				t.Fatalf("batch %d: %v", b, err)
			}
			want, err := Trajectory(ref.New(), Variant(n, b))
			if err != nil {
				t.Fatal(err)
			}
			if err := SameTrajectory(got, want); err != nil {
				t.Errorf("batch %d: %v", b, err)
			}
		}
	})
}

// recipes: every optimizer, schedule, initialisation and augmentation.
func (s suite) recipes(t *testing.T) {
	var variants []kernels.Variant
	var names []string
	add := func(name string, change func(v *kernels.Variant)) {
		for _, n := range s.nets {
			if p := n.Program; p.Features() == 784 && len(p.Params) > 2 || n == s.nets[len(s.nets)-1] {
				v := Variant(n, 10)
				change(&v)
				if v.Shift > 0 && p.Features() != 784 {
					continue // no image
				}
				variants, names = append(variants, v), append(names, name+", "+p.Name)
			}
		}
	}
	for _, name := range kernels.OptimizerNames() {
		add(name, func(v *kernels.Variant) {
			o, err := kernels.NewOptimizer(name)
			if err != nil {
				t.Fatal(err)
			}
			o.WeightDecay = 0.01
			v.Optimizer = o
			if o.Slots() == 2 {
				v.Schedule.LR = 0.002
				// A gradient near zero is divided by its own size, so that its
				// rounding would decide the update's sign.
				v.Optimizer.Epsilon = 1e-3
			}
		})
	}
	add("step", func(v *kernels.Variant) {
		v.Schedule = kernels.Schedule{LR: 0.05, Name: "step", StepEpochs: 1, Gamma: 0.5}
	})
	add("warm-up", func(v *kernels.Variant) {
		v.Schedule = kernels.Schedule{LR: 0.05, Name: "cosine", Warmup: 0.7}
	})
	add("shift", func(v *kernels.Variant) { v.Shift = 3 })
	for i, v := range variants {
		got, err := Trajectory(s.exec, v)
		if err != nil {
			t.Fatalf("%s: %v", names[i], err)
		}
		want, err := Trajectory(ref.New(), v)
		if err != nil {
			t.Fatal(err)
		}
		if err := SameTrajectory(got, want); err != nil {
			t.Errorf("%s: %v", names[i], err)
		}
	}
	for _, init := range kernels.InitNames() {
		v := Variant(s.nets[1], 10)
		v.Init = kernels.Init(init)
		pop := s.prepare(t, Data(v.Program(), 29), v)
		if got, want := s.state(t, pop, 0), v.InitialState(); !reflect.DeepEqual(got.Params, want.Params) {
			t.Errorf("%s: the population starts from other weights", init)
		}
	}
}
