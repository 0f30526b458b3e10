package conformance

import (
	"context"
	"errors"
	"fmt"
	"math"
	"reflect"
	"runtime"
	"testing"

	"vanilla/graph"
	"vanilla/kernels"
)

// slices: the bits do not depend on where training is interrupted, nor on
// whether it goes on in another population from a saved state.
func (s suite) slices(t *testing.T) {
	for _, optimizer := range kernels.OptimizerNames() {
		for _, shift := range []int{0, 2} {
			t.Run(fmt.Sprintf("%s, shift %d", optimizer, shift), func(t *testing.T) { s.slicesOf(t, optimizer, shift) })
		}
	}
}

func (s suite) slicesOf(t *testing.T, optimizer string, shift int) {
	p, v := s.nets[1].Program, Variant(s.nets[1], 10)
	var err error
	if v.Optimizer, err = kernels.NewOptimizer(optimizer); err != nil {
		t.Fatal(err)
	}
	v.Shift = shift
	data := Data(p, 24)
	whole := s.prepare(t, data, v)
	wantReports := s.advance(t, whole, 17)
	want := s.state(t, whole, 0)

	first := s.prepare(t, data, v)
	var reports []kernels.Report
	for _, until := range []int{1, 1, 4, 7, 9} {
		reports = append(reports, s.advance(t, first, until)...)
	}
	second := s.prepare(t, data, v)
	if err := second.Restore(0, s.state(t, first, 0)); err != nil {
		t.Fatal(err)
	}
	s.advance(t, first, 20) // the saved state is a copy
	reports = append(reports, s.advance(t, second, 17)...)
	if got := s.state(t, second, 0); !reflect.DeepEqual(got, want) {
		t.Errorf("the sliced run ends in other bits")
	}
	if !reflect.DeepEqual(reports, wantReports) {
		t.Errorf("reports %v, want %v", reports, wantReports)
	}
}

// population: variants that differ in everything train as they would alone,
// whatever the number of cores.
func (s suite) population(t *testing.T) {
	var variants []kernels.Variant
	base := s.nets[0].Program
	for i, n := range s.nets {
		if n.Program.Features() != base.Features() || n.Program.Classes() != base.Classes() {
			continue
		}
		v := Variant(n, []int{32, 10, 1, 67, 7}[len(variants)%5])
		v.Seed, v.OrderSeed = uint64(100+i), uint64(200+i)
		v.Schedule.LR /= float64(1 + i)
		variants = append(variants, v)
	}
	data := Data(base, 25)
	var until []int
	for i := range variants {
		until = append(until, 3+2*i)
	}
	var want []kernels.State
	for i, v := range variants {
		pop := s.prepare(t, data, v)
		s.advance(t, pop, until[i])
		want = append(want, s.state(t, pop, 0))
	}
	for _, cores := range []int{1, 2, 5} {
		before := runtime.GOMAXPROCS(cores)
		pop := s.prepare(t, data, variants...)
		s.advance(t, pop, until...)
		runtime.GOMAXPROCS(before)
		for i := range variants {
			if got := s.state(t, pop, i); !reflect.DeepEqual(got, want[i]) {
				t.Errorf("%d cores: variant %d ends in other bits than alone", cores, i)
			}
		}
	}
}

// epochLoss: what an epoch reports is the mean over its examples, whatever the
// batches. At a learning rate of 1e-12 nothing moves, so batches of all examples, of
// all but one, and others come to the same loss, also where a state was taken and
// restored in mid-epoch.
func (s suite) epochLoss(t *testing.T) {
	for _, n := range []*graph.Network{s.nets[1], s.nets[len(s.nets)-1]} {
		data := Data(n.Program, 30)
		var want float64
		for _, b := range []int{examples, examples - 1, examples / 2, 10, 1} {
			v := Variant(n, b)
			v.Schedule = kernels.Schedule{LR: 1e-12, Name: "constant"}
			v.Optimizer.WeightDecay = 0
			pop := s.prepare(t, data, v)
			if err := pop.Restore(0, Randomize(v)); err != nil {
				t.Fatal(err)
			}
			perEpoch := v.StepsPerEpoch(examples)
			s.advance(t, pop, perEpoch-1)
			if err := pop.Restore(0, s.state(t, pop, 0)); err != nil {
				t.Fatal(err)
			}
			reports := s.advance(t, pop, perEpoch)
			if len(reports) != 1 {
				t.Fatalf("%s, batch %d: %d reports of one epoch", n.Program.Name, b, len(reports))
			}
			if want == 0 {
				want = reports[0].Loss
			}
			if d := math.Abs(reports[0].Loss - want); !(d <= Tolerance*want) {
				t.Errorf("%s: the loss of an epoch is %.9g with batch %d, %.9g with batch %d", n.Program.Name, reports[0].Loss, b, want, examples)
			}
		}
	}
}

// divergence: a variant that diverges is reported once and stopped; its
// neighbours are not touched.
func (s suite) divergence(t *testing.T) {
	var relu *graph.Network
	for _, n := range s.nets {
		if n.Program.Features() == 784 && n.Program.Classes() == 10 {
			relu = n // the last one: 784-17-10 relu
		}
	}
	healthy, wild := Variant(relu, 32), Variant(relu, 32)
	wild.Schedule = kernels.Schedule{LR: 1e30, Name: "constant"}
	data := Data(relu.Program, 26)
	alone := s.prepare(t, data, healthy)
	s.advance(t, alone, 30)

	pop := s.prepare(t, data, wild, healthy)
	reports := s.advance(t, pop, 30, 30)
	reports = append(reports, s.advance(t, pop, 33, 30)...)
	diverged := 0
	for _, r := range reports {
		if r.Diverged {
			diverged++
			if r.Variant != 0 || !(math.IsNaN(r.Loss) || math.IsInf(r.Loss, 0)) {
				t.Errorf("report %+v", r)
			}
		}
	}
	if diverged != 1 {
		t.Errorf("%d reports of divergence, want 1", diverged)
	}
	if state := s.state(t, pop, 0); !state.Diverged || state.Step >= 30 {
		t.Errorf("the diverged variant stands at step %d, diverged %t", state.Step, state.Diverged)
	}
	if !reflect.DeepEqual(s.state(t, pop, 1), s.state(t, alone, 0)) {
		t.Errorf("a neighbour of the diverged variant trained differently")
	}
}

// cancel: Advance ends between two steps, and training can go on.
func (s suite) cancel(t *testing.T) {
	p, v := s.nets[1].Program, Variant(s.nets[1], 10)
	data := Data(p, 27)
	const far = 1 << 24 // more than an executor does before it looks

	pop := s.prepare(t, data, v)
	ctx, cancel := context.WithCancel(context.Background())
	err := pop.Advance(ctx, []int{far}, func(r kernels.Report) {
		if r.Epoch == 2 {
			cancel()
		}
	})
	if !errors.Is(err, context.Canceled) {
		t.Fatalf("Advance returned %v, want %v", err, context.Canceled)
	}
	step := s.state(t, pop, 0).Step
	if step < 14 || step >= far {
		t.Fatalf("cancelled after epoch 2, that is step 14, and stands at step %d", step)
	}
	whole := s.prepare(t, data, v)
	s.advance(t, whole, step+10)
	s.advance(t, pop, step+10)
	if !reflect.DeepEqual(s.state(t, pop, 0), s.state(t, whole, 0)) {
		t.Errorf("the cancelled run ends in other bits")
	}
}
