package kernels

import (
	"context"
	"errors"
	"fmt"
	"math"
	"reflect"
	"runtime"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

// call is one Step of a machine.
type call struct {
	variant int
	rows    []int32
	next    []int32
	lr      float32
	step    int
}

// stable makes machines that learn nothing but remember what they were asked,
// and do at chosen steps what a test wants.
type stable struct {
	mu    sync.Mutex
	calls []call
	made  []int // variants in the order that their machines were made
	shut  []int
	awake map[int]int // steps of each variant since it rested

	loss    func(variant, step int) float64 // nil: the step number
	failAt  map[int]int                     // variant: step
	makeErr map[int]error
	setErr  error
	after   func(variant, step int) // each step
}

// fake is a machine of the variant that its OrderSeed numbers.
type fake struct {
	*stable
	variant int
	params  [][]float32
}

var errFake = errors.New("the machine is tired")

func (s *stable) newMachine(v Variant, _ *Data) (Machine, error) {
	i := int(v.OrderSeed)
	s.mu.Lock()
	defer s.mu.Unlock()
	s.made = append(s.made, i)
	if err := s.makeErr[i]; err != nil {
		return nil, err
	}
	return &fake{stable: s, variant: i}, nil
}

// Step moves the first weight by what the step was given, so that a state that
// was not kept shows.
func (f *fake) Step(rows, next []int32, lr float32, step int) (float64, error) {
	f.mu.Lock()
	if f.awake == nil {
		f.awake = map[int]int{}
	}
	f.awake[f.variant]++
	f.mu.Unlock()
	if at, ok := f.failAt[f.variant]; ok && at == step {
		return 0, errFake
	}
	f.mu.Lock()
	f.calls = append(f.calls, call{f.variant, slices.Clone(rows), slices.Clone(next), lr, step})
	f.mu.Unlock()
	for _, r := range rows {
		f.params[0][0] = f.params[0][0]/2 + float32(r)*lr
	}
	if f.after != nil {
		f.after(f.variant, step)
	}
	if f.loss != nil {
		return f.loss(f.variant, step), nil
	}
	return float64(step), nil
}

// StepOn tells of the examples by their labels and first pixels.
func (f *fake) StepOn(e Examples, next []int32, lr float32, step int) (float64, error) {
	var rows []int32
	for i := range e.Len() {
		rows = append(rows, int32(e.Labels[i])<<8|int32(e.Row(i)[0]))
	}
	return f.Step(rows, next, lr, step)
}

// Outputs say that example i is of class 0 if it is below the variant's number.
func (f *fake) Outputs(e Examples) (outputs []float32, loss float64, err error) {
	for i := range e.Len() {
		outputs = append(outputs, float32(f.variant), float32(i)+0.5)
	}
	return outputs, 7, nil
}
func (f *fake) Forward(x []float32) ([][]float32, error) { return [][]float32{x}, nil }
func (f *fake) Params() (params, slots [][]float32)      { return clone(f.params), nil }
func (f *fake) SetParams(params, _ [][]float32) error {
	if f.setErr != nil {
		return f.setErr
	}
	f.params = clone(params)
	return nil
}
func (f *fake) Rest() {
	f.mu.Lock()
	defer f.mu.Unlock()
	delete(f.awake, f.variant)
}
func (f *fake) Close() error {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.shut = append(f.shut, f.variant)
	return fmt.Errorf("closing %d", f.variant)
}

// of returns the calls of one variant.
func (s *stable) of(variant int) []call {
	return slices.DeleteFunc(slices.Clone(s.calls), func(c call) bool { return c.variant != variant })
}

const (
	trained  = 10 // training examples
	perEpoch = 3  // steps with batches of 4, 4 and 2
)

// population prepares n variants that differ in nothing but their seeds,
// unless change says otherwise.
func population(t *testing.T, s *stable, n int, change func(i int, v *Variant)) Population {
	t.Helper()
	var variants []Variant
	for i := range n {
		v := variant(t)
		v.Seed, v.OrderSeed = uint64(100+i), uint64(i)
		if change != nil {
			change(i, &v)
		}
		variants = append(variants, v)
	}
	p, err := NewHost(Data{Train: examples(trained), Test: examples(5), Classes: 2}, variants, s.newMachine)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

// advance trains and returns the reports in order of variant and step.
func advance(t *testing.T, p Population, until ...int) []Report {
	t.Helper()
	var reports []Report
	if err := p.Advance(t.Context(), until, func(r Report) { reports = append(reports, r) }); err != nil {
		t.Fatal(err)
	}
	return inOrder(reports)
}

func inOrder(reports []Report) []Report {
	slices.SortStableFunc(reports, func(a, b Report) int { return 1000000*(a.Variant-b.Variant) + a.Step - b.Step })
	return reports
}

func state(t *testing.T, p Population, i int) State {
	t.Helper()
	s, err := p.State(i)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// cores sets the number of workers for one test.
func cores(t *testing.T, n int) {
	before := runtime.GOMAXPROCS(n)
	t.Cleanup(func() { runtime.GOMAXPROCS(before) })
}

func TestNewHostChecks(t *testing.T) {
	s := &stable{}
	good, data := variant(t), Data{Train: examples(trained), Classes: 2}
	bad := good
	bad.Batch = 0
	_, err := NewHost(data, []Variant{good, bad}, s.newMachine)
	expectError(t, err, "variant 1: batch 0")
	_, err = NewHost(Data{}, []Variant{good}, s.newMachine)
	expectError(t, err, "the training set is empty")
	if p, err := NewHost(data, nil, s.newMachine); err != nil {
		t.Error(err)
	} else if err := errors.Join(p.Advance(t.Context(), nil, nil), p.Close()); err != nil {
		t.Errorf("a population of none: %v", err)
	}
}

// TestAdvanceCostliestFirst: with one worker, the order is that of the costs,
// and equal costs keep their order.
func TestAdvanceCostliestFirst(t *testing.T) {
	cores(t, 1)
	s := &stable{}
	p := population(t, s, 6, func(i int, v *Variant) {
		switch i {
		case 2:
			v.Batch = 8
		case 4:
			v.Source = network3x2(t, 100)
		}
	})
	// Steps · batch: 24, 48, 72, 48 of 3·2 weights; few steps of many weights; nothing.
	advance(t, p, 6, 12, 9, 12, 2, 0)
	if want := []int{4, 2, 1, 3, 0}; !slices.Equal(s.made, want) {
		t.Errorf("machines were made in the order %v, want %v", s.made, want)
	}
	var order []int
	for _, c := range s.calls {
		if len(order) == 0 || order[len(order)-1] != c.variant {
			order = append(order, c.variant)
		}
	}
	if want := []int{4, 2, 1, 3, 0}; !slices.Equal(order, want) {
		t.Errorf("variants were trained in the order %v, want %v", order, want)
	}
}

func TestAdvanceReachesEachTarget(t *testing.T) {
	s := &stable{}
	p := population(t, s, 4, nil)
	until := []int{7, 0, 3, 100}
	advance(t, p, until...)
	for i, want := range until {
		if got := state(t, p, i).Step; got != want || len(s.of(i)) != want {
			t.Errorf("variant %d is at step %d after %d calls, want %d", i, got, len(s.of(i)), want)
		}
	}
	advance(t, p, 3, -5, 5, 100) // behind, impossible, ahead, there
	for i, want := range []int{7, 0, 5, 100} {
		if got := state(t, p, i).Step; got != want || len(s.of(i)) != want {
			t.Errorf("second call: variant %d is at step %d after %d calls, want %d", i, got, len(s.of(i)), want)
		}
	}
	expectError(t, p.Advance(t.Context(), []int{1, 2}, nil), "2 targets for 4 variants")
}

// TestAdvanceBatches: an epoch is the order's permutation, cut into batches of
// which the last one is short; learning rates are the schedule's.
func TestAdvanceBatches(t *testing.T) {
	s := &stable{}
	p := population(t, s, 3, func(i int, v *Variant) {
		v.Schedule.Name = "cosine"
		v.Batch = []int{4, 1, math.MaxInt}[i]
	})
	const epochs = 3
	steps := []int{perEpoch, trained, 1}
	advance(t, p, epochs*steps[0], epochs*steps[1], epochs*steps[2])
	for i, perEpoch := range steps {
		calls := s.of(i)
		if len(calls) != epochs*perEpoch {
			t.Fatalf("variant %d: %d steps, want %d", i, len(calls), epochs*perEpoch)
		}
		for epoch := range epochs {
			var rows []int32
			for k, c := range calls[epoch*perEpoch : (epoch+1)*perEpoch] {
				if i == 0 && len(c.rows) != []int{4, 4, 2}[k] {
					t.Errorf("epoch %d, batch %d has %d rows", epoch, k, len(c.rows))
				}
				step := epoch*perEpoch + k
				if want := (Schedule{LR: 0.5, Name: "cosine"}).At(step, perEpoch, epochs); c.step != step || c.lr != want {
					t.Errorf("variant %d: step %d has size %g, want step %d of size %g", i, c.step, c.lr, step, want)
				}
				if k > 0 && !slices.Equal(calls[step-1].next, c.rows) || k == perEpoch-1 && c.next != nil {
					t.Errorf("variant %d: step %d is not what the one before was told, or was told of another epoch's", i, step)
				}
				rows = append(rows, c.rows...)
			}
			if want := permutation(uint64(i), epoch, trained); !slices.Equal(rows, want) {
				t.Errorf("variant %d, epoch %d: rows %v, want %v", i, epoch, rows, want)
			}
			if sorted := slices.Sorted(slices.Values(rows)); sorted[0] != 0 || sorted[trained-1] != trained-1 || len(slices.Compact(sorted)) != trained {
				t.Errorf("variant %d, epoch %d: rows %v, want each example once", i, epoch, rows)
			}
		}
	}
}

func TestAdvanceReports(t *testing.T) {
	cores(t, 4)
	const variants, epochs = 8, 5
	p := population(t, &stable{}, variants, nil)
	var inside atomic.Int32
	var reports []Report
	var until []int
	for i := range variants {
		until = append(until, epochs*perEpoch+i%perEpoch) // the epoch that is begun is not reported
	}
	err := p.Advance(t.Context(), until, func(r Report) {
		if inside.Add(1) != 1 {
			t.Error("two reports overlap")
		}
		runtime.Gosched()
		reports = append(reports, r)
		inside.Add(-1)
	})
	if err != nil {
		t.Fatal(err)
	}
	var want []Report
	for i := range variants {
		for e := 1; e <= epochs; e++ {
			// Losses are step numbers. The last of three batches has half the others' examples.
			first := float64((e - 1) * perEpoch)
			mean := (first + (first + 1) + (first+2)/2) / 2.5
			want = append(want, Report{Variant: i, Step: e * perEpoch, Epoch: e, Loss: mean})
		}
	}
	if got := inOrder(reports); !slices.Equal(got, want) {
		t.Errorf("reports %v\nwant %v", got, want)
	}
	if got := state(t, p, 2); got.LossSum != epochs*perEpoch+epochs*perEpoch+1 {
		t.Errorf("two steps into an epoch the losses add up to %g", got.LossSum)
	}
	if err := p.Advance(t.Context(), []int{30, 30, 30, 30, 30, 30, 30, 30}, nil); err != nil {
		t.Errorf("without reports: %v", err)
	}
}

// TestAdvanceInSlices cuts one training run at steps that are no epochs.
func TestAdvanceInSlices(t *testing.T) {
	one, many := &stable{}, &stable{}
	whole, sliced := population(t, one, 2, nil), population(t, many, 2, nil)
	want := advance(t, whole, 17, 11)
	var got []Report
	for _, until := range [][]int{{1, 0}, {1, 2}, {2, 5}, {7, 6}, {8, 6}, {9, 10}, {16, 11}, {17, 11}} {
		got = append(got, advance(t, sliced, until...)...)
	}
	if got = inOrder(got); !slices.Equal(got, want) {
		t.Errorf("reports of slices %v, of one run %v", got, want)
	}
	same(t, one, many, whole, sliced, 2)
}

// asked is the calls without what they were told of the next ones, which depends
// on how far Advance goes.
func asked(calls []call) []call {
	for i := range calls {
		calls[i].next = nil
	}
	return calls
}

// same compares what the machines of two populations were asked and where they
// stand.
func same(t *testing.T, a, b *stable, p, q Population, variants int) {
	t.Helper()
	for i := range variants {
		if x, y := fmt.Sprint(asked(a.of(i))), fmt.Sprint(asked(b.of(i))); x != y {
			t.Errorf("variant %d: calls\n%s\nand\n%s", i, x, y)
		}
		if x, y := fmt.Sprint(state(t, p, i)), fmt.Sprint(state(t, q, i)); x != y {
			t.Errorf("variant %d: states\n%s\nand\n%s", i, x, y)
		}
	}
}

func TestAdvanceOnAnyNumberOfCores(t *testing.T) {
	var populations []Population
	var stables []*stable
	for _, n := range []int{1, 2, 7} {
		cores(t, n)
		s := &stable{}
		p := population(t, s, 5, func(i int, v *Variant) { v.Batch = 1 + i })
		advance(t, p, 20, 20, 20, 20, 20)
		populations, stables = append(populations, p), append(stables, s)
	}
	same(t, stables[0], stables[1], populations[0], populations[1], 5)
	same(t, stables[0], stables[2], populations[0], populations[2], 5)
}

func TestAdvanceStopsWhatDiverges(t *testing.T) {
	for _, bad := range []float64{math.NaN(), math.Inf(1), math.Inf(-1)} {
		for _, at := range []int{0, 4, 5} { // the first step, within an epoch, its last
			s := &stable{loss: func(variant, step int) float64 {
				if variant == 1 && step == at {
					return bad
				}
				return 1
			}}
			p := population(t, s, 3, nil)
			reports := advance(t, p, 9, 9, 9)
			var of [3][]Report
			for _, r := range reports {
				of[r.Variant] = append(of[r.Variant], r)
			}
			if len(of[0]) != 3 || len(of[2]) != 3 || of[0][2].Diverged || of[2][2].Diverged {
				t.Errorf("the neighbours of a variant that diverged report %v and %v", of[0], of[2])
			}
			last := of[1][len(of[1])-1]
			if finite := !math.IsNaN(last.Loss) && !math.IsInf(last.Loss, 0); len(of[1]) != at/perEpoch+1 ||
				!last.Diverged || finite || last.Step != at+1 || last.Epoch != (at+1)/perEpoch {
				t.Errorf("loss %g at step %d is reported as %v", bad, at, of[1])
			}
			if got := state(t, p, 1); !got.Diverged || got.Step != at+1 || len(s.of(1)) != at+1 {
				t.Errorf("loss %g at step %d: stopped at %d after %d calls, diverged %v", bad, at, got.Step, len(s.of(1)), got.Diverged)
			}
			if more := advance(t, p, 12, 12, 12); len(more) != 2 || len(s.of(1)) != at+1 {
				t.Errorf("a variant that diverged goes on: %v", more)
			}
			// A state from before makes it train again.
			back := state(t, p, 0)
			if err := p.Restore(1, back); err != nil {
				t.Fatal(err)
			}
			if more := advance(t, p, 12, 15, 12); len(more) != 1 || more[0] != (Report{Variant: 1, Step: 15, Epoch: 5, Loss: 1}) {
				t.Errorf("restored, it reports %v", more)
			}
		}
	}
}

// TestAdvanceCancelled interrupts within an epoch, looks, and goes on.
func TestAdvanceCancelled(t *testing.T) {
	cores(t, 2)
	want := &stable{}
	whole := population(t, want, 3, nil)
	wantReports := advance(t, whole, 20, 20, 20)

	ctx, cancel := context.WithCancel(t.Context())
	got := &stable{after: func(variant, step int) {
		if variant == 1 && step == 7 {
			cancel()
		}
	}}
	p := population(t, got, 3, nil)
	var reports []Report
	if err := p.Advance(ctx, []int{20, 20, 20}, func(r Report) { reports = append(reports, r) }); !errors.Is(err, context.Canceled) {
		t.Fatalf("interrupted: %v", err)
	}
	if step := state(t, p, 1).Step; step != 8 {
		t.Errorf("interrupted in step 7, variant 1 is at step %d, want 8", step)
	}
	for i := range 3 {
		if step := state(t, p, i).Step; step != len(got.of(i)) {
			t.Errorf("interrupted, variant %d is at step %d after %d calls", i, step, len(got.of(i)))
		}
	}
	calls := len(got.calls)
	if err := p.Advance(ctx, []int{20, 20, 20}, nil); !errors.Is(err, context.Canceled) || len(got.calls) != calls {
		t.Errorf("with a context that is done: %v and %d more calls", err, len(got.calls)-calls)
	}
	if _, err := p.Evaluate(ctx, 0, Test); !errors.Is(err, context.Canceled) {
		t.Errorf("evaluation with a context that is done: %v", err)
	}
	reports = append(reports, advance(t, p, 20, 20, 20)...)
	if reports = inOrder(reports); !slices.Equal(reports, wantReports) {
		t.Errorf("reports %v, of an uninterrupted run %v", reports, wantReports)
	}
	same(t, want, got, whole, p, 3)

	cause := errors.New("the power fails")
	stopped, stop := context.WithCancelCause(t.Context())
	stop(cause)
	if err := p.Advance(stopped, []int{30, 30, 30}, nil); !errors.Is(err, cause) {
		t.Errorf("cancelled with a cause: %v, want %v", err, cause)
	}
}

func TestAdvanceFails(t *testing.T) {
	cores(t, 1)
	s := &stable{failAt: map[int]int{1: 5}}
	p := population(t, s, 3, nil)
	err := p.Advance(t.Context(), []int{9, 10, 8}, nil)
	if !errors.Is(err, errFake) {
		t.Errorf("error %v, want %v", err, errFake)
	}
	expectError(t, err, "variant 1, step 5: ")
	if got := state(t, p, 1).Step; got != 5 {
		t.Errorf("the variant that failed is at step %d, want 5", got)
	}
	if len(s.of(0)) != 0 || len(s.of(2)) != 0 { // the costliest, variant 1, was first
		t.Errorf("after the failure there were %d steps of others", len(s.of(0))+len(s.of(2)))
	}
}

// TestAdvanceFailsBesideOthers: a failure stops variants that are under way.
func TestAdvanceFailsBesideOthers(t *testing.T) {
	cores(t, 2)
	s := &stable{failAt: map[int]int{1: 0}, after: func(int, int) { time.Sleep(time.Millisecond) }} // so that few calls are noted until then
	p := population(t, s, 2, nil)
	const far = math.MaxInt / 1000 // unless stopped, variant 0 never ends
	expectError(t, p.Advance(t.Context(), []int{far, far}, nil), "variant 1, step 0: ")
	if step := state(t, p, 0).Step; step != len(s.of(0)) {
		t.Errorf("variant 0 is at step %d after %d calls", step, len(s.of(0)))
	}
}

// TestMachinesRest: when Advance has returned, whyever, no machine is left awake.
func TestMachinesRest(t *testing.T) {
	cores(t, 2)
	ctx, cancel := context.WithCancel(t.Context())
	for name, s := range map[string]*stable{
		"done":      {},
		"failed":    {failAt: map[int]int{1: 5}},
		"diverged":  {loss: func(variant, step int) float64 { return math.Inf(step - 3) }},
		"cancelled": {after: func(variant, step int) { cancel() }},
	} {
		population(t, s, 3, nil).Advance(ctx, []int{9, 10, 8}, nil)
		if len(s.calls) == 0 && name != "failed" && ctx.Err() == nil || len(s.awake) > 0 {
			t.Errorf("%s: after %d steps, steps since a rest: %v", name, len(s.calls), s.awake)
		}
		ctx, cancel = context.WithCancel(t.Context())
	}
	cancel()
}

func TestMachinesAreMadeOnce(t *testing.T) {
	s := &stable{makeErr: map[int]error{2: errFake}}
	p := population(t, s, 4, nil)
	if len(s.made) != 0 {
		t.Errorf("machines %v are made at once", s.made)
	}
	advance(t, p, 2, 0, 0, 0)
	if !slices.Equal(s.made, []int{0}) {
		t.Errorf("machines %v are made to train variant 0", s.made)
	}
	advance(t, p, 4, 4, 0, 0)
	state(t, p, 0)
	state(t, p, 3)
	if !slices.Equal(s.made, []int{0, 1}) {
		t.Errorf("machines %v are made to train variants 0 and 1; where 3 begins is known without", s.made)
	}
	for what, err := range map[string]error{
		"Advance":  p.Advance(t.Context(), []int{0, 0, 1, 0}, nil),
		"Evaluate": second(p.Evaluate(t.Context(), 2, Test)),
		"Restore":  p.Restore(2, state(t, p, 2)),
	} {
		if !errors.Is(err, errFake) {
			t.Errorf("%s: %v, want %v", what, err, errFake)
		}
		expectError(t, err, "variant 2: ")
	}
}

func second[T any](_ T, err error) error { return err }

// TestMachinesBeginWithInitialState: before the first step and without one.
func TestMachinesBeginWithInitialState(t *testing.T) {
	p := population(t, &stable{}, 2, nil)
	for i := range 2 {
		v := variant(t)
		v.Seed = uint64(100 + i)
		want := v.InitialState()
		if got := state(t, p, i); !sameArrays(got.Params, want.Params) || got.Step != 0 {
			t.Errorf("variant %d begins with %v, want %v", i, got, want)
		}
	}
}

func TestEvaluate(t *testing.T) {
	p := population(t, &stable{}, 4, nil)
	for split, want := range map[Split]Score{ // labels are 0 1 0 1 …
		Train: {N: trained, Correct: 2 + 4, Loss: 7, Classes: []byte{0, 0, 0, 1, 1, 1, 1, 1, 1, 1}},
		Test:  {N: 5, Correct: 2 + 1, Loss: 7, Classes: []byte{0, 0, 0, 1, 1}},
	} {
		if got, err := p.Evaluate(t.Context(), 3, split); err != nil || !reflect.DeepEqual(got, want) {
			t.Errorf("%s: %v, %v, want %v", split, got, err, want)
		}
	}
	expectError(t, second(p.Evaluate(t.Context(), 1, Validation)), "the data has no validation examples")
}

func TestVariantOutOfRange(t *testing.T) {
	p := population(t, &stable{}, 2, nil)
	for _, i := range []int{-1, 2} {
		want := fmt.Sprintf("variant %d of 2", i)
		expectError(t, second(p.Evaluate(t.Context(), i, Train)), want)
		expectError(t, second(p.State(i)), want)
		expectError(t, p.Restore(i, State{}), want)
	}
}

func TestRestore(t *testing.T) {
	s := &stable{}
	p := population(t, s, 2, nil)
	advance(t, p, 4, 0)
	saved := state(t, p, 0)
	kept := saved.Clone()
	want := advance(t, p, 11, 0)
	end := state(t, p, 0)
	if fmt.Sprint(saved) != fmt.Sprint(kept) {
		t.Error("training changes a state that was copied out")
	}
	s.calls = nil
	if err := p.Restore(0, saved); err != nil {
		t.Fatal(err)
	}
	saved.Params[0][0] = 1000 // Restore copies
	if got := advance(t, p, 11, 0); !slices.Equal(got, want) {
		t.Errorf("restored: reports %v, want %v", got, want)
	}
	if got := state(t, p, 0); fmt.Sprint(got) != fmt.Sprint(end) || len(s.of(0)) != 7 {
		t.Errorf("restored: %v after %d calls, want %v after 7", got, len(s.of(0)), end)
	}

	good := variant(t).InitialState
	for _, c := range []struct {
		want   string
		change func(s *State)
	}{
		{"variant 1: state holds 1 parameters, the program has 2", func(s *State) { s.Params = s.Params[:1] }},
		{"state holds 1 optimizer arrays, sgd needs 0", func(s *State) { s.Slots = [][]float32{{1}} }},
		{"state of W1[2,3] holds 5 numbers", func(s *State) { s.Params[0] = s.Params[0][:5] }},
		{"state of b1[2] holds 0 numbers", func(s *State) { s.Params[1] = nil }},
		{"state is at step -1", func(s *State) { s.Step = -1 }},
	} {
		bad := good()
		c.change(&bad)
		before := fmt.Sprint(state(t, p, 1))
		expectError(t, p.Restore(1, bad), c.want)
		if after := fmt.Sprint(state(t, p, 1)); after != before {
			t.Errorf("a state that is refused changes %s to %s", before, after)
		}
	}
}

func TestMachineRefusesState(t *testing.T) {
	s := &stable{}
	p := population(t, s, 2, nil)
	advance(t, p, 2, 0)
	s.setErr = errFake
	for i := range 2 { // one that is running, one that begins
		err := p.Restore(i, variant(t).InitialState())
		if !errors.Is(err, errFake) {
			t.Errorf("error %v, want %v", err, errFake)
		}
		expectError(t, err, fmt.Sprintf("variant %d: ", i))
	}
	if step := state(t, p, 0).Step; step != 2 {
		t.Errorf("a state that is refused moves the variant to step %d", step)
	}
}

func TestClose(t *testing.T) {
	s := &stable{}
	p := population(t, s, 4, nil)
	advance(t, p, 1, 0, 1, 1)
	expectError(t, p.Close(), "closing 0") // the first of the machines' errors
	if slices.Sort(s.shut); !slices.Equal(s.shut, []int{0, 2, 3}) {
		t.Errorf("machines %v are closed, want those that were made: 0 2 3", s.shut)
	}
	expectError(t, second(p.State(0)), "variant 0 of 0")
}

// TestVariantsAtOnce uses all variants from different goroutines, for the race
// detector.
func TestVariantsAtOnce(t *testing.T) {
	p := population(t, &stable{}, 8, nil)
	var all sync.WaitGroup
	for i := range 8 {
		all.Go(func() {
			s, err := p.State(i)
			_, evaluated := p.Evaluate(t.Context(), i, Train)
			if err := errors.Join(err, evaluated, p.Restore(i, s)); err != nil {
				t.Error(err)
			}
		})
	}
	all.Wait()
}
