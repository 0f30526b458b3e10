//go:build gpu && !cpu && linux && amd64 && cgo

package cuda

import (
	"errors"
	"fmt"
	"math"
	"reflect"
	"slices"
	"testing"
	"unsafe"

	"vanilla/graph"
	"vanilla/graph/ir"
	"vanilla/internal/conformance"
	"vanilla/internal/cuda/driver"
	"vanilla/kernels"
)

// Every number of every step's update is kernels.Schedule.At's and kernels.Update's,
// to the bit: warm-ups, all schedules, steps beyond the end, betas of all kinds.
func TestScalarsOnDevice(t *testing.T) {
	e := newExecutor(t).(*executor)
	w := &worker{gpu: e.gpus[0]}
	defer func() {
		if err := w.close(); err != nil {
			t.Error(err)
		}
	}()
	const perEpoch, epochs, steps = 13, 70, 1000 // 910 of them are the schedule's
	var (
		jobs      []packedJob
		courses   []packedCourse
		table     []float64
		optimizer []kernels.Optimizer
		schedule  []kernels.Schedule
	)
	add := func(o kernels.Optimizer, s kernels.Schedule, from int) {
		v := kernels.Variant{Optimizer: o, Schedule: s, Batch: 1, Epochs: epochs}
		f := newFactors(factorsKeyOf(&v, perEpoch))
		f.begin()
		f.need(from, steps)
		f.fill()
		c := courseOf(&v, f, perEpoch)
		c.Factors = int64(len(table) - f.first)
		table = append(table, f.needed()...)
		j := packedJob{Kind: trainJob, Step: int32(from), Steps: steps, Scalars: int64(len(jobs) * steps)}
		j.setOptimizer(o)
		jobs, courses = append(jobs, j), append(courses, c)
		optimizer, schedule = append(optimizer, o), append(schedule, s)
	}
	for _, name := range kernels.OptimizerNames() {
		o, err := kernels.NewOptimizer(name)
		if err != nil {
			t.Fatal(err)
		}
		o.WeightDecay = 0.013
		for _, s := range []kernels.Schedule{
			{Name: "constant", LR: 0.37}, {Name: "cosine", LR: 0.1}, {Name: "cosine", LR: 1e-3, Warmup: 2.3},
			{Name: "step", LR: 0.7, StepEpochs: 3, Gamma: 0.77, Warmup: 1}, {Name: "constant", LR: 1. / 3, Warmup: 69},
		} {
			add(o, s, 0)
			add(o, s, 777)
		}
	}
	for _, betas := range [][2]float64{{0, 0}, {0.5, 0.25}, {0.9, 0.999}, {0.95, 0.98}, {0.123456789, 0.987654321}, {1e-9, 0.99999999}, {0x1p-1022, 1 - 0x1p-53}} {
		o := kernels.Optimizer{Name: "adam", Beta1: betas[0], Beta2: betas[1]}
		for _, from := range []int{0, 1 << 16, 1<<31 - 1 - steps} {
			add(o, kernels.Schedule{Name: "constant", LR: 0.01}, from)
		}
	}
	control := []packedLaunch{{JobsCount: int32(len(jobs))}}
	var input, courseAt, factors, jobsAt, scalars buffer
	for _, part := range []struct {
		to    *buffer
		bytes []byte
	}{{&jobsAt, driver.Bytes(jobs)}, {&courseAt, driver.Bytes(courses)}, {&factors, driver.Bytes(table)}} {
		if err := w.put(part.to, part.bytes); err != nil {
			t.Fatal(err)
		}
	}
	got := make([]packedScalars, len(jobs)*steps)
	if err := w.fit(&scalars, len(got)*int(unsafe.Sizeof(got[0]))); err != nil {
		t.Fatal(err)
	}
	control[0].Jobs, control[0].Scalars = uint64(jobsAt.at), uint64(scalars.at)
	if err := w.put(&input, driver.Bytes(control)); err != nil {
		t.Fatal(err)
	}
	if err := w.context.Launch(w.scalars, 7, blockThreads, 0, uint64(input.at), uint64(courseAt.at), uint64(factors.at)); err != nil {
		t.Fatal(err)
	}
	if err := w.context.CopyOut(driver.Bytes(got), scalars.at); err != nil {
		t.Fatal(err)
	}
	for k, j := range jobs {
		for i := range steps {
			step := int(j.Step) + i
			want := scalarsOf(optimizer[k], schedule[k].At(step, perEpoch, epochs), step)
			if now := got[k*steps+i]; now != want {
				t.Fatalf("%+v, %+v, step %d: %+v, want %+v", optimizer[k], schedule[k], step, now, want)
			}
		}
	}
}

// several prepares a population whose launches are short, so that there are many.
func several(t *testing.T, variants []kernels.Variant, data kernels.Data, steps int) *population {
	t.Helper()
	p := prepare(t, newExecutor(t), data, variants...).(*population)
	for _, w := range p.workers {
		w.budget = steps
	}
	return p
}

// The host reads a launch's results while the next one runs, and writes the input of
// the one after: with copies that come late, the results are the same.
func TestLate(t *testing.T) {
	onlyStandIn(t)
	const n = 8
	variants := mix(t, n)
	until := make([]int, n)
	for i := range until {
		until[i] = 60 + 7*i
	}
	data := conformance.Data(variants[0].Program(), 43)
	train := func(budget int) (*population, map[int][]kernels.Report) {
		p := several(t, variants, data, budget)
		reports := map[int][]kernels.Report{}
		if err := p.Advance(t.Context(), until, func(r kernels.Report) { reports[r.Variant] = append(reports[r.Variant], r) }); err != nil {
			t.Fatal(err)
		}
		return p, reports
	}
	once, want := train(1 << 20)
	for _, late := range []string{"in:3,clear:3", "out:8"} {
		t.Setenv("VANILLA_STANDIN_LATE", late)
		p, got := train(40)
		if launches := p.workers[0].counts.launches; launches < 10 {
			t.Errorf("%d launches are too few to show anything", launches)
		}
		sameStates(t, late, states(t, p, n), states(t, once, n))
		if !reflect.DeepEqual(got, want) {
			t.Errorf("reports differ where copies are late: %s", late)
		}
	}
	for _, kernel := range []int{11, 14, 26} { // the second of three in a launch trains
		t.Setenv("VANILLA_STANDIN_FAIL", fmt.Sprintf("launch:%d:719", kernel))
		p := several(t, variants, data, 40)
		if err := p.Advance(t.Context(), until, nil); !errors.Is(err, driver.ErrDeviceLost) {
			t.Fatalf("kernel %d fails: %v", kernel, err)
		}
		left := states(t, p, n)
		steps, lost := 0, p.workers[0].counts.launches
		for _, s := range left {
			steps += s.Step
		}
		// Launches are of 40 steps until some networks have arrived: what is lost is the
		// one that failed, the one behind it and at most the one before.
		if steps < 35*(lost-3) {
			t.Errorf("kernel %d fails in launch %d: %d steps are left", kernel, lost, steps)
		}
		prefixes(t, left, variants, data)
	}
}

// Networks that no block is free for wait for the next launch, and end in the bits that
// they have alone. Every epoch is reported once.
func TestLeftOut(t *testing.T) {
	variants := mix(t, 3)
	variants[1], variants[2] = variants[0], variants[0]
	variants[1].Seed, variants[2].Seed = 5, 6
	data := conformance.Data(variants[0].Program(), 48)
	perEpoch := variants[0].StepsPerEpoch(data.Train.Len())
	until := []int{6 * perEpoch, 6 * perEpoch, 6 * perEpoch}
	p := prepare(t, newExecutor(t), data, variants...).(*population)
	p.workers[0].device.SMs = 1
	var reported []string
	epochs := map[int]int{}
	if err := p.Advance(t.Context(), until, func(r kernels.Report) {
		reported = append(reported, fmt.Sprintf("%d:%d", r.Variant, r.Epoch))
		if epochs[r.Variant]++; r.Epoch != epochs[r.Variant] {
			t.Errorf("variant %d reports epoch %d, want %d", r.Variant, r.Epoch, epochs[r.Variant])
		}
	}); err != nil {
		t.Fatal(err)
	}
	if grid := p.workers[0].wave.grid; grid != 2 {
		t.Fatalf("%d blocks run at a time, want 2", grid)
	}
	// The first launch is an epoch of two. Then the third has most to go.
	if want := []string{"0:1", "1:1", "0:2", "2:1"}; len(reported) != 18 || !reflect.DeepEqual(reported[:4], want) {
		t.Errorf("reports by variant and epoch: %v, want 18 that begin with %v", reported, want)
	}
	for i, s := range states(t, p, 3) {
		alone := train(t, newExecutor(t), data, variants[i:i+1], until[i:i+1])
		sameStates(t, fmt.Sprintf("variant %d", i), []kernels.State{s}, alone)
	}
}

// A state is copied to the device once: it stays there from launch to launch, from
// Advance to Advance and during evaluations. What is restored is copied anew, and so
// is what another wave has taken the place of.
func TestStatesStay(t *testing.T) {
	const n = 6
	variants := mix(t, n)
	data := conformance.Data(variants[0].Program(), 44)
	e := newExecutor(t)
	p, q := prepare(t, e, data, variants...).(*population), prepare(t, e, data, variants...)
	w := p.workers[0]
	until := make([]int, n)
	advance := func(steps int, numbers ...int) {
		t.Helper()
		for _, i := range numbers {
			until[i] += steps
		}
		if err := p.Advance(t.Context(), until, nil); err != nil {
			t.Fatal(err)
		}
		for k, i := range numbers {
			got, err := p.State(i)
			if err == nil && k == 0 {
				_, err = p.Evaluate(t.Context(), i, kernels.Test)
			}
			if err != nil || got.Step != until[i] {
				t.Fatalf("variant %d stands at step %d, want %d; %v", i, got.Step, until[i], err)
			}
		}
	}
	before := 0
	copied := func(what string, want bool) {
		t.Helper()
		in := w.counts.bytesIn
		launch := len(variants)*int(unsafe.Sizeof(packedJob{})+unsafe.Sizeof(packedCourse{})) + 8*100 + int(unsafe.Sizeof(packedControl{}))
		if got := in-before > launch; got != want {
			t.Errorf("%s: %d bytes were copied to the device, of which a launch takes %d at most", what, in-before, launch)
		}
		before = in
	}
	advance(5, 0, 1, 2, 3, 4, 5)
	copied("at first", true)
	advance(5, 0, 1, 2, 3, 4, 5)
	copied("the same again", false)
	advance(3, 1, 4)
	copied("some of them", false)
	advance(3, 0, 1, 2, 3, 4, 5)
	copied("all again", false)
	s, err := p.State(2)
	if err == nil {
		err = p.Restore(2, s)
	}
	if err != nil {
		t.Fatal(err)
	}
	advance(4, 0, 1, 3)
	copied("without one that was restored", false)
	advance(4, 0, 1, 2)
	copied("with one that was restored", true)
	advance(4, 3, 4, 5)
	copied("others", true)
	if err := q.Advance(t.Context(), until, nil); err != nil {
		t.Fatal(err)
	}
	for i := range n {
		got, err := p.State(i)
		want, wrong := q.State(i)
		if err != nil || wrong != nil || !reflect.DeepEqual(got, want) {
			t.Errorf("variant %d ends in other bits", i)
		}
	}
}

// What the host does for a network-epoch, counted: jobs, courses and factors go to
// the device once a launch, results and one number an epoch come back. Nothing is
// computed or copied for a step but a schedule's factor, which networks share.
func TestHostCounts(t *testing.T) {
	const n, epochs = 40, 6
	p := chain(t, ir.Sigmoid, graph.CrossEntropy, 20, 5, 4)
	data := conformance.Data(p, 45)
	var variants []kernels.Variant
	for i := range n {
		v := conformance.Variant(p, 10)
		v.Seed, v.Epochs = uint64(i), epochs
		v.Schedule = kernels.Schedule{Name: []string{"cosine", "step", "constant"}[i%3], LR: 0.01 * float64(1+i)}
		if i%3 == 1 {
			v.Schedule.StepEpochs, v.Schedule.Gamma = 2, 0.5
		}
		if i%2 == 1 {
			v.Optimizer.Name, v.Optimizer.Beta1, v.Optimizer.Beta2, v.Optimizer.Epsilon = "adam", 0.9-float64(i)/100, 0.999, 1e-8
		}
		variants = append(variants, v)
	}
	pop := prepare(t, newExecutor(t), data, variants...).(*population)
	perEpoch := variants[0].StepsPerEpoch(data.Train.Len())
	until := make([]int, n)
	for i := range until {
		until[i] = epochs * perEpoch
	}
	reports := 0
	if err := pop.Advance(t.Context(), until, func(kernels.Report) { reports++ }); err != nil {
		t.Fatal(err)
	}
	c := pop.workers[0].counts
	if reports != n*epochs {
		t.Errorf("%d reports, want %d", reports, n*epochs)
	}
	// A wave is of one class, with tables of its own. Cosine: a number a step; step: one
	// a drop, and one more for a launch that begins within it; constant: one.
	if most := 2 * (epochs*perEpoch + epochs/2 + 2); c.factors > most {
		t.Errorf("%d factors were computed, want %d at most", c.factors, most)
	}
	job := int(unsafe.Sizeof(packedJob{}) + unsafe.Sizeof(packedCourse{}))
	state := 4 * pop.nets[0].stateFloats()
	if most := n*3*state + c.launches*(n*job+int(unsafe.Sizeof(packedControl{}))+8*(epochs*perEpoch+epochs+2)); c.bytesIn > most {
		t.Errorf("%d bytes were copied to the device, want %d at most", c.bytesIn, most)
	}
	if most := 8*n*epochs + c.launches*n*(8+8); c.bytesOut > most {
		t.Errorf("%d bytes of results were copied from the device, want %d at most", c.bytesOut, most)
	}
}

// A network that diverges while its next launch is on its way stands where it
// diverged, and its neighbours are not disturbed.
func TestDivergenceAhead(t *testing.T) {
	const n = 5
	variants := mix(t, n)
	data := conformance.Data(variants[0].Program(), 46)
	for i := range variants {
		variants[i].Optimizer, variants[i].Schedule.LR = kernels.Optimizer{Name: "sgd"}, 0.01
	}
	variants[2].Schedule.LR = 1e38
	until := []int{80, 80, 80, 80, 80}
	want := train(t, newExecutor(t), data, variants, until)
	p := several(t, variants, data, n) // a step in each launch
	diverged := 0
	if err := p.Advance(t.Context(), until, func(r kernels.Report) {
		if r.Diverged {
			diverged++
			if r.Variant != 2 || r.Step != want[2].Step {
				t.Errorf("variant %d diverged in step %d, want variant 2 in step %d", r.Variant, r.Step, want[2].Step)
			}
		}
	}); err != nil {
		t.Fatal(err)
	}
	got := states(t, p, n)
	if diverged != 1 || !got[2].Diverged || !want[2].Diverged || got[2].Step >= 80 {
		t.Errorf("%d networks diverged; variant 2 stands at step %d", diverged, got[2].Step)
	}
	for i := range got {
		if i != 2 && !reflect.DeepEqual(got[i], want[i]) || fmt.Sprint(got[i]) != fmt.Sprint(want[i]) { // NaNs are equal in print
			t.Errorf("variant %d ends at step %d in other bits than at step %d", i, got[i].Step, want[i].Step)
		}
	}
}

// BenchmarkHost is the host's whole part in a launch of half a second at 50,000
// network-epochs a second, 784-16-16-10 at batch 32: all that it computes, lays out
// and takes over, without the driver's calls, which BenchmarkCalls times. Learning
// rates and betas are all different, as in a sweep. The metric is its share of that
// half second.
func BenchmarkHost(b *testing.B) {
	const perSecond, networks, examples, perEpoch = 50_000.0, 4096, 60_000, 1875
	n, err := graph.New(graph.Arch{Widths: []int{784, 16, 16, 10}, Activation: ir.Sigmoid, Loss: graph.CrossEntropy})
	if err != nil {
		b.Fatal(err)
	}
	for _, optimizer := range []string{"sgd", "adam"} {
		b.Run("optimizer="+optimizer, func(b *testing.B) {
			o, err := kernels.NewOptimizer(optimizer)
			if err != nil {
				b.Fatal(err)
			}
			w := &worker{gpu: &gpu{device: driver.Device{SMs: 132}}, paces: map[class]*pace{}, budget: math.MaxInt}
			v := &wave{worker: w, grid: 264}
			data := &kernels.Data{Train: kernels.Examples{Labels: make([]byte, examples)}}
			nets := make([]network, networks)
			schedules := map[factorsKey]*factors{}
			for i := range nets {
				nets[i] = network{batch: 32, perEpoch: perEpoch, variant: kernels.Variant{
					Source: n, Batch: 32, Epochs: []int{10, 20, 30}[i%3], Optimizer: o, Seed: uint64(i),
					Schedule: kernels.Schedule{Name: "cosine", LR: 0.1 + float64(i)/networks, Warmup: float64(i % 2)},
				}}
				nets[i].variant.Optimizer.Beta1 -= float64(i) * 1e-5
				nets[i].wave = v
				nets[i].work = stepWork(&nets[i].variant, nets[i].batch)
				key := factorsKeyOf(&nets[i].variant, perEpoch)
				if schedules[key] == nil {
					schedules[key] = newFactors(key)
					v.schedules = append(v.schedules, schedules[key])
				}
				v.variants = append(v.variants, variant{network: &nets[i], number: i, length: nets[i].stateFloats(), schedule: schedules[key], until: math.MaxInt32})
			}
			epochs := perSecond * sliceSeconds / networks
			*w.pace(class{}) = pace(epochs * perEpoch * v.variants[0].work * networks / float64(v.grid))
			memory := make([]byte, 8<<20)
			outcome := make([]byte, 4<<20)
			w.training.states[0].memory, w.training.states[1].memory = make([]byte, 4*nets[0].stateFloats()), make([]byte, 4*nets[0].stateFloats())
			steps, reports := 0, 0
			b.ResetTimer()
			for range b.N {
				l := v.compose(data)
				in := v.fill(l)
				in.write(memory[:in.bytes])
				for k, i := range l.variants {
					v.variants[i].planned += int(l.jobs[k].Steps)
				}
				v.side = 1 - v.side
				b.StopTimer()
				for k, r := range driver.Of[packedResult](outcome)[:len(l.jobs)] {
					r.Steps = l.jobs[k].Steps
					driver.Of[packedResult](outcome)[k] = r
				}
				steps += l.steps
				b.StartTimer()
				made, err := v.take(l, outcome, examples)
				if err != nil {
					b.Fatal(err)
				}
				reports += len(made)
			}
			perLaunch := b.Elapsed().Seconds() / float64(b.N)
			networkEpochs := float64(steps) / perEpoch / float64(b.N)
			b.ReportMetric(100*perLaunch/(networkEpochs/perSecond), "%host")
			b.ReportMetric(networkEpochs, "network-epochs/launch")
			b.ReportMetric(float64(w.counts.factors)/float64(b.N)/networkEpochs, "factors/network-epoch")
		})
	}
}

// BenchmarkCalls is the driver's calls of a launch, to the stand-in, without what
// they do.
func BenchmarkCalls(b *testing.B) {
	c, err := driver.Open(0)
	if err != nil {
		b.Fatal(err)
	}
	defer c.Close()
	s, err := c.Stream()
	if err != nil {
		b.Fatal(err)
	}
	e, err := c.Event()
	if err != nil {
		b.Fatal(err)
	}
	const calls = 12
	for b.Loop() {
		for range calls {
			if err := s.Record(e); err != nil {
				b.Fatal(err)
			}
		}
		if err := e.Wait(); err != nil {
			b.Fatal(err)
		}
	}
}

// A network may come to another device from one Advance to the next: the wave that it
// was in is over before any device starts, and it goes on from where it stands.
func TestNetworksChangeDevices(t *testing.T) {
	onlyStandIn(t)
	t.Setenv("VANILLA_STANDIN_DEVICES", "2")
	v := mix(t, 1)
	variants, until := slices.Repeat(v, 6), make([]int, 6)
	for i := range variants {
		variants[i].Seed, until[i] = uint64(i+1), 4
	}
	data := conformance.Data(variants[0].Program(), 43)
	start := slices.Clone(until)
	start[0] = 2 // it is at its end, and the others are dealt to the other devices
	p := prepare(t, newExecutor(t), data, variants...).(*population)
	for i := range until {
		until[i] = 8
	}
	until[0] = 2
	for _, u := range [][]int{start, until} {
		if err := p.Advance(t.Context(), u, nil); err != nil {
			t.Fatal(err)
		}
	}
	one := prepare(t, newExecutor(t, 0), data, variants...)
	if err := one.Advance(t.Context(), until, nil); err != nil {
		t.Fatal(err)
	}
	for i := range until {
		got, err := p.State(i)
		if err != nil {
			t.Fatal(err)
		}
		want, err := one.State(i)
		if err != nil {
			t.Fatal(err)
		}
		if !reflect.DeepEqual(got, want) {
			t.Errorf("network %d, which changed its device, is at step %d, want %d, or has other weights", i, got.Step, want.Step)
		}
	}

	var dealt [][]int
	for _, w := range p.workers {
		if w.wave == nil {
			t.Fatal("a device has no wave to end")
		}
		var mine []int
		for i := range p.nets {
			if p.nets[i].wave == w.wave {
				mine = append(mine, i)
			}
		}
		dealt = append(dealt, mine)
	}
	going := func(i int) bool { return i != 0 }
	p.part(dealt, going)
	for d, w := range p.workers {
		if w.wave == nil {
			t.Errorf("device %d has the same networks again, and its wave is over", d)
		}
	}
	slices.Reverse(dealt)
	p.part(dealt, going)
	for d, w := range p.workers {
		if w.wave != nil {
			t.Errorf("device %d has other networks, and its wave goes on", d)
		}
	}
	for i := range p.nets {
		if p.nets[i].wave != nil {
			t.Errorf("network %d is in a wave that is over", i)
		}
	}
}
