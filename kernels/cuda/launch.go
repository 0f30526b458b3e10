//go:build gpu && !cpu && linux && amd64 && cgo

package cuda

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"time"
	"unsafe"

	"vanilla/internal/cuda/driver"
	"vanilla/kernels"
)

// launch is some steps of a wave's members, under way. Two are, so that the device
// never waits for the host:
//
//	compute   launch 1, snapshot 1 | launch 2, snapshot 2 | launch 3, ...
//	copies                         | out 1                | out 2
//	host                           | finish 1, begin 3    | finish 2, begin 4
//
// A launch is what course.cu computes of its steps, the kernel that trains, and what
// course.cu makes of the losses. Then the states are copied aside on the device, and
// from there to page-locked memory of the host while the next launch runs.
type launch struct {
	side     int
	jobs     []packedJob
	courses  []packedCourse
	variants []int   // of the jobs
	sums     int     // of epochs' losses
	steps    int     // of all jobs
	busiest  float64 // work of a block
	began    time.Time
}

// packedControl is what a launch begins with on the device.
type packedControl struct {
	launch packedLaunch
	queue  uint64 // of jobs taken
}

// stepBytes is what a step of a launch takes on the device: its scalars and its loss.
const stepBytes = int(unsafe.Sizeof(packedScalars{}) + unsafe.Sizeof(float32(0)))

// stepMemory is the part of a device's memory that the steps of a launch may take.
const stepMemory = 1.0 / 16

// run trains a wave to the end, or until ctx is done. Then no launch is under way.
func (t *training) run(ctx context.Context, v *wave) error {
	var last *launch
	for {
		var next *launch
		var err error
		if ctx.Err() == nil {
			next, err = v.begin(&t.data)
		}
		if last != nil {
			reports, finished := v.finish(last, t.data.Train.Len())
			t.report(reports)
			err = errors.Join(err, finished)
		}
		if err != nil || next == nil {
			return err
		}
		if err := v.copyOut(next); err != nil {
			return err
		}
		last = next
	}
}

// begin starts the variants' next launch, costliest first. There is none if all will
// have arrived. Where the device has no memory for its steps, it has fewer.
func (v *wave) begin(data *kernels.Data) (*launch, error) {
	if v.budget == 0 {
		v.budget = int(stepMemory * float64(v.device.MemoryBytes) / float64(stepBytes))
	}
	for {
		l := v.compose(data)
		if len(l.jobs) == 0 {
			return nil, nil
		}
		err := v.start(l)
		if errors.Is(err, driver.ErrOutOfMemory) && v.budget > len(l.jobs) {
			v.budget /= 2
			continue
		}
		if err != nil {
			return nil, err
		}
		for k, i := range l.variants {
			v.variants[i].planned += int(l.jobs[k].Steps)
		}
		v.side = 1 - v.side
		return l, nil
	}
}

// compose decides on the steps of the next launch.
func (v *wave) compose(data *kernels.Data) *launch {
	l := &launch{side: v.side}
	all := make([]going, len(v.variants))
	left := 0
	for _, s := range v.schedules {
		s.begin()
	}
	for k := range v.variants {
		if m := &v.variants[k]; !m.diverged && m.planned < m.until {
			all[k] = going{steps: m.until - m.planned, work: m.work}
			m.schedule.keep(m.planned)
			left++
		}
	}
	pace := v.pace(v.class)
	for k := range all {
		all[k].most = max(1, v.budget/max(1, left))
		if *pace == 0 {
			all[k].most = min(all[k].most, v.variants[k].perEpoch)
		}
	}
	steps := deal(all, v.grid, pace.most(), 4*float64(v.floats)*copyWork)
	for k, n := range steps {
		if n > 0 {
			l.variants = append(l.variants, k)
		}
	}
	work := func(k int) float64 { return float64(steps[k]) * v.variants[k].work }
	slices.SortStableFunc(l.variants, func(a, b int) int { return -cmp.Compare(work(a), work(b)) })
	works := make([]float64, len(l.variants))
	for k, i := range l.variants {
		works[k] = work(i)
	}
	l.busiest = span(works, v.grid)
	l.jobs, l.courses = make([]packedJob, len(l.variants)), make([]packedCourse, len(l.variants))
	for k, i := range l.variants {
		m, n := &v.variants[i], steps[i]
		l.jobs[k] = v.job(m, data, n)
		l.jobs[k].Scalars, l.jobs[k].Losses = int64(l.steps), int64(l.steps)
		l.steps += n
		l.courses[k] = courseOf(&m.variant, m.schedule, data.Train.Len())
		l.courses[k].Sums, l.courses[k].Carried = int64(l.sums), int64(i)
		l.sums += m.ends(n) + 1
		m.schedule.need(m.planned, n)
	}
	return l
}

// ends is how many epochs end within so many steps from where the variant will stand.
func (m *variant) ends(steps int) int { return (m.planned+steps)/m.perEpoch - m.planned/m.perEpoch }

// job is a variant's next steps.
func (v *wave) job(m *variant, data *kernels.Data, steps int) packedJob {
	n := &m.variant
	j := packedJob{
		Kind: trainJob, State: uint64(v.training.state.at) + 4*uint64(m.offset), Pixels: uint64(m.images),
		Labels: uint64(v.splits[kernels.Train].labels.at), OrderSeed: n.OrderSeed, Seed: n.Seed,
		Plan: m.plan, Examples: int32(data.Train.Len()), Batch: int32(m.batch), Step: int32(m.planned), Steps: int32(steps),
		Shift: int32(n.Shift), ImageCols: int32(data.Cols), ImageRows: int32(data.Rows),
	}
	j.setOptimizer(n.Optimizer)
	m.changed.set(&j)
	return j
}

// input is what a launch copies to the device, and where its parts begin: the control,
// the jobs, their courses, the factors of their schedules.
type input struct {
	control []packedControl
	parts   [4][]byte
	at      [4]int
	bytes   int
}

// fill computes the factors that the launch's schedules need and lays out its input.
func (v *wave) fill(l *launch) *input {
	in := &input{control: make([]packedControl, 1)}
	var table []float64
	first := make(map[*factors]int64, len(v.schedules)) // index of the factor of a schedule's first step
	for _, s := range v.schedules {
		v.counts.factors += s.fill()
		first[s] = int64(len(table) - s.first)
		table = append(table, s.needed()...)
	}
	for k, i := range l.variants {
		l.courses[k].Factors = first[v.variants[i].schedule]
	}
	in.parts = [4][]byte{driver.Bytes(in.control), driver.Bytes(l.jobs), driver.Bytes(l.courses), driver.Bytes(table)}
	for i, part := range in.parts { // their sizes are multiples of 8 bytes: all are aligned
		in.at[i] = in.bytes
		in.bytes += len(part)
	}
	return in
}

// write writes the input to memory.
func (in *input) write(memory []byte) {
	for i, part := range in.parts {
		copy(memory[in.at[i]:], part)
	}
}

// start puts a launch into the stream.
func (v *wave) start(l *launch) error {
	r, in := &v.training, v.fill(l)
	for _, need := range []struct {
		buffer *buffer
		bytes  int
	}{
		{&r.input, in.bytes}, {&r.scalars, l.steps * int(unsafe.Sizeof(packedScalars{}))}, {&r.losses, 4 * l.steps}, {&r.outcome[l.side], l.outcomeBytes()},
	} {
		if err := v.fit(need.buffer, need.bytes); err != nil {
			return err
		}
	}
	if err := r.inputs[l.side].fit(v.context, in.bytes); err != nil {
		return err
	}
	if err := r.outcomes[l.side].fit(v.context, l.outcomeBytes()); err != nil {
		return err
	}

	control, outcome := uint64(r.input.at), uint64(r.outcome[l.side].at)
	courses, factors, sums := control+uint64(in.at[2]), control+uint64(in.at[3]), outcome+uint64(l.resultBytes())
	p := v.program
	p.Jobs, p.Scalars, p.Losses, p.Results = control+uint64(in.at[1]), uint64(r.scalars.at), uint64(r.losses.at), outcome
	p.Queue = control + uint64(unsafe.Offsetof(in.control[0].queue))
	p.Work, p.WorkStride = uint64(r.work.at), v.workFloats
	p.JobsCount = int32(len(l.jobs))
	in.control[0].launch = p
	memory := r.inputs[l.side].memory[:in.bytes]
	in.write(memory)

	l.began = time.Now()
	v.counts.launches++
	v.counts.bytesIn += in.bytes
	s := r.compute
	if err := s.CopyIn(r.input.at, memory); err != nil {
		return err
	}
	if err := s.Clear(r.outcome[l.side].at, l.outcomeBytes()); err != nil { // a job that does not run shows
		return err
	}
	if err := s.Launch(v.scalars, min(len(l.jobs), scalarBlocks*v.device.SMs), blockThreads, 0, control, courses, factors); err != nil {
		return err
	}
	if err := v.train(l, control); err != nil {
		return err
	}
	return s.Launch(v.epochs, (len(l.jobs)+epochThreads-1)/epochThreads, epochThreads, 0, control, courses, uint64(r.carried.at), sums)
}

// train puts the class's kernel into the stream: one launch for all networks, or, if
// they are spread, one for each phase of their steps.
func (v *wave) train(l *launch, control uint64) error {
	if !v.class.spread {
		return v.training.compute.Launch(v.kernel, min(v.grid, len(l.jobs)), v.class.threads(), int(4*v.sharedFloats), control)
	}
	return v.training.compute.Sequence(v.kernel, v.class.threads(), func(yield func(driver.Start) bool) {
		for k, i := range l.variants {
			m, j := &v.variants[i], &l.jobs[k]
			for p, at := range m.sequence.all(int(j.Step), int(j.Steps), m.perEpoch) {
				if !yield(driver.Start{Grid: p.blocks, SharedBytes: p.sharedBytes, Args: []uint64{control, uint64(k), uint64(p.code), uint64(p.number), uint64(at)}}) {
					return
				}
			}
		}
	})
}

// scalarBlocks is how many blocks of kernel_scalars run on a multiprocessor, at most.
const scalarBlocks = 8

// resultBytes is the size of the results, which the sums come behind.
func (l *launch) resultBytes() int { return len(l.jobs) * int(unsafe.Sizeof(packedResult{})) }

// outcomeBytes is the size of the results and the sums, one behind the other.
func (l *launch) outcomeBytes() int { return l.resultBytes() + 8*l.sums }

// copyOut makes a copy of all states behind a launch, and copies that and what came
// of its jobs to the host. The copies of the launch before have arrived.
func (v *wave) copyOut(l *launch) error {
	r := &v.training
	states := r.states[l.side].memory[:4*v.floats]
	outcome := r.outcomes[l.side].memory[:l.outcomeBytes()]
	v.counts.bytesOut += len(outcome)
	v.counts.bytesSnapshot += len(states)
	if err := r.compute.Copy(r.snapshot.at, r.state.at, len(states)); err != nil {
		return err
	}
	if err := r.compute.Record(r.ran); err != nil {
		return err
	}
	if err := r.copies.After(r.ran); err != nil {
		return err
	}
	if err := r.copies.CopyOut(outcome, r.outcome[l.side].at); err != nil {
		return err
	}
	if err := r.copies.CopyOut(states, r.snapshot.at); err != nil {
		return err
	}
	return r.copies.Record(r.arrived)
}

// finish waits for a launch and takes over what it computed.
func (v *wave) finish(l *launch, examples int) ([]kernels.Report, error) {
	if err := v.training.arrived.Wait(); err != nil {
		return nil, err
	}
	now, began := time.Now(), l.began
	if v.finished.After(began) {
		began = v.finished
	}
	v.pace(v.class).observe(l.busiest, now.Sub(began))
	v.finished = now
	return v.take(l, v.training.outcomes[l.side].memory, examples)
}

// take takes over what a launch computed: all networks' states first, then what is to
// be reported of them, by variant. A network that diverged is in the next launch
// already, which changes its state on the device alone.
func (v *wave) take(l *launch, outcome []byte, examples int) ([]kernels.Report, error) {
	results, sums := driver.Of[packedResult](outcome)[:len(l.jobs)], driver.Of[float64](outcome[l.resultBytes():])
	for k, i := range l.variants {
		m, j, r := &v.variants[i], &l.jobs[k], results[k]
		if m.wave == v && (r.Steps < 1 || r.Steps > j.Steps || r.Diverged == 0 && r.Steps != j.Steps) {
			return nil, fmt.Errorf("variant %d: the kernel took %d of %d steps", m.number, r.Steps, j.Steps)
		}
	}
	v.keep(l.side)
	reports := make([]kernels.Report, 0, l.sums-len(l.jobs))
	for k, i := range l.variants {
		m, r := &v.variants[i], results[k]
		if m.wave != v {
			continue
		}
		reports = m.advance(reports, int(r.Steps), r.Diverged != 0, sums[l.courses[k].Sums:], examples)
		if m.diverged {
			m.leave()
		}
	}
	slices.SortStableFunc(reports, func(a, b kernels.Report) int { return cmp.Compare(a.Variant, b.Variant) })
	return reports, nil
}

// advance counts the steps that a variant has taken, and appends a report for every
// epoch. sums are those of the epochs' losses, then of the running one's.
func (m *variant) advance(reports []kernels.Report, steps int, diverged bool, sums []float64, examples int) []kernels.Report {
	from := m.step
	m.step, m.diverged = m.step+steps, diverged
	report := func(step int, sum float64, diverged bool) {
		reports = append(reports, kernels.Report{
			Variant: m.number, Step: step, Epoch: step / m.perEpoch, Loss: m.variant.EpochLoss(sum, examples), Diverged: diverged,
		})
	}
	ends := m.step/m.perEpoch - from/m.perEpoch
	for e := range ends {
		step := (from/m.perEpoch + e + 1) * m.perEpoch
		report(step, sums[e], diverged && step == m.step)
	}
	m.lossSum = sums[ends]
	if diverged && m.step%m.perEpoch != 0 {
		report(m.step, m.lossSum, true)
		m.lossSum = 0
	}
	return reports
}

// courseOf is a variant's course, but for what depends on the launch.
func courseOf(v *kernels.Variant, s *factors, examples int) packedCourse {
	perEpoch := v.StepsPerEpoch(examples)
	_, shrunk := v.Optimizer.Decay(false)
	return packedCourse{
		Peak: v.Schedule.LR, Beta1: v.Optimizer.Beta1, Beta2: v.Optimizer.Beta2,
		Share:  v.Share(perEpoch-1, examples),
		Warmup: int32(s.warmup), Hold: int32(s.hold), PerEpoch: int32(perEpoch),
		Shrinking: float32(shrunk),
	}
}
