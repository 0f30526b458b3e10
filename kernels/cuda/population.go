//go:build gpu && !cpu && linux && amd64 && cgo

package cuda

import (
	"context"
	"errors"
	"fmt"
	"math"
	"runtime"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"vanilla/internal/cuda/driver"
	"vanilla/kernels"
)

// population keeps the states of its networks on the host. They are on a device
// only while Advance or Evaluate needs them there.
type population struct {
	data    kernels.Data
	nets    []network
	workers []*worker
	free    chan *worker // those that evaluate nothing
}

// network is a variant and where it stands.
type network struct {
	variant         kernels.Variant
	batch, perEpoch int
	class           class
	chain           *packedChain   // of a resident class
	state           *kernels.State // nil until needed
}

func (n *network) at() *kernels.State {
	if n.state == nil {
		s := n.variant.InitialState()
		n.state = &s
	}
	return n.state
}

// left is how many steps the network has to go, none if it has diverged.
func (n *network) left(until int) int {
	switch {
	case n.state == nil:
		return until
	case n.state.Diverged:
		return 0
	}
	return until - n.state.Step
}

// start draws the initial states of networks that have none yet, on all cores:
// there may be thousands.
func (p *population) start(wave []int) {
	var next atomic.Int64
	var drawing sync.WaitGroup
	for range min(runtime.GOMAXPROCS(0), len(wave)) {
		drawing.Go(func() {
			for k := int(next.Add(1)) - 1; k < len(wave); k = int(next.Add(1)) - 1 {
				p.nets[wave[k]].at()
			}
		})
	}
	drawing.Wait()
}

// stateFloats is the size of the network's state.
func (n *network) stateFloats() int {
	return n.variant.Program().Parameters() * (1 + n.variant.Optimizer.Slots())
}

func (p *population) network(i int) (*network, error) {
	if i < 0 || i >= len(p.nets) {
		return nil, fmt.Errorf("variant %d of %d", i, len(p.nets))
	}
	return &p.nets[i], nil
}

func (p *population) State(i int) (kernels.State, error) {
	n, err := p.network(i)
	if err != nil {
		return kernels.State{}, err
	}
	return n.at().Clone(), nil
}

func (p *population) Restore(i int, s kernels.State) error {
	n, err := p.network(i)
	if err != nil {
		return err
	}
	if err := s.Check(n.variant); err != nil {
		return fmt.Errorf("variant %d: %w", i, err)
	}
	s = s.Clone()
	n.state = &s
	return nil
}

func (p *population) Close() error {
	var errs []error
	for _, w := range p.workers {
		errs = append(errs, w.close())
	}
	p.nets, p.workers = nil, nil
	return errors.Join(errs...)
}

// Advance trains in waves, several devices at a time. Where a device has no
// memory for a wave, its waves become smaller. If a device fails, all stop.
func (p *population) Advance(ctx context.Context, until []int, report func(kernels.Report)) error {
	if len(until) != len(p.nets) {
		return fmt.Errorf("%d targets for %d variants", len(until), len(p.nets))
	}
	q := &queue{devices: len(p.workers)}
	q.class = func(i int) class { return p.nets[i].class }
	q.bytes = func(i int) int { return 4 * p.nets[i].stateFloats() }
	q.cost = func(i int) float64 { return float64(p.nets[i].left(until[i])) * p.nets[i].stepWork() }
	for i := range p.nets {
		if p.nets[i].left(until[i]) > 0 {
			q.todo = append(q.todo, i)
		}
	}
	q.sort()

	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	var reporting sync.Mutex
	t := training{population: p, until: until, report: func(reports []kernels.Report) {
		if report == nil {
			return
		}
		reporting.Lock()
		defer reporting.Unlock()
		for _, r := range reports {
			report(r)
		}
	}}
	var working sync.WaitGroup
	for _, w := range p.workers {
		working.Go(func() {
			if err := t.waves(ctx, w, q); err != nil {
				cancel(w.fail(err))
			}
		})
	}
	working.Wait()
	return context.Cause(ctx)
}

func (n *network) stepWork() float64 { return stepWork(&n.variant, n.batch) }

// training is one call of Advance.
type training struct {
	*population
	until  []int
	report func([]kernels.Report)
}

// waves trains waves on a device until none is left.
func (t *training) waves(ctx context.Context, w *worker, q *queue) error {
	limit := math.MaxInt
	for ctx.Err() == nil {
		wave := q.take(limit)
		if len(wave) == 0 {
			return nil
		}
		err := t.wave(ctx, w, wave)
		if errors.Is(err, driver.ErrOutOfMemory) && len(wave) > 1 {
			limit = len(wave) / 2
			q.put(slices.DeleteFunc(wave, t.done))
			continue
		}
		if err != nil {
			if len(wave) == 1 {
				return fmt.Errorf("variant %d: %w", wave[0], err)
			}
			return fmt.Errorf("%d variants, variant %d and others: %w", len(wave), wave[0], err)
		}
	}
	return nil
}

func (t *training) done(i int) bool { return t.nets[i].left(t.until[i]) <= 0 }

// wave trains networks whose states are on the device together, launch by launch.
func (t *training) wave(ctx context.Context, w *worker, wave []int) error {
	var (
		l       launch
		program program
		plan    = map[int]int32{} // by variant
		offset  = map[int]int{}   // of states
		states  []float32
		class   = t.nets[wave[0]].class
		err     error
	)
	t.start(wave)
	if l.kernel, err = w.function(class); err != nil {
		return err
	}
	for _, i := range wave {
		if plan[i], err = t.plan(w, &l, &program, i); err != nil {
			return fmt.Errorf("variant %d: %w", i, err)
		}
		offset[i] = len(states)
		states = t.nets[i].appendState(states)
	}
	if err := w.put(&w.state, driver.Bytes(states)); err != nil {
		return err
	}
	if err := w.upload(&program, &l); err != nil {
		return err
	}
	grid, err := w.grid(&l)
	if err != nil {
		return err
	}

	wave = slices.Clone(wave)
	for ctx.Err() == nil {
		wave = slices.DeleteFunc(wave, t.done)
		if len(wave) == 0 {
			return nil
		}
		var scalars scalarTables
		l.jobs = l.jobs[:0]
		steps, total, largest := 0, 0.0, 0.0
		for _, i := range wave {
			n := &t.nets[i]
			j, err := t.job(w, n, w.pace(class).steps(n.stepWork(), len(wave), grid, n.perEpoch), t.until[i])
			if err != nil {
				return err
			}
			cost := float64(j.Steps) * n.stepWork()
			total, largest = total+cost, max(largest, cost)
			j.State = uint64(w.state.at) + 4*uint64(offset[i])
			j.Plan = plan[i]
			j.Scalars = scalars.add(scalarsKey{n.variant.Schedule, n.variant.Optimizer, n.perEpoch, n.variant.Epochs, n.state.Step, int(j.Steps)})
			j.Losses = int64(steps)
			steps += int(j.Steps)
			l.jobs = append(l.jobs, j)
		}
		order := t.costliestFirst(l.jobs, wave)
		l.scalars = scalars.all
		l.results, l.losses = make([]packedResult, len(l.jobs)), make([]float32, steps)

		start := time.Now()
		if err := w.run(&l); err != nil {
			return err
		}
		if err := w.context.CopyOut(driver.Bytes(states), w.state.at); err != nil {
			return err
		}
		w.pace(class).observe(max(largest, total/float64(grid)), time.Since(start))
		reports, err := t.keep(&l, order, offset, states)
		t.report(reports)
		if err != nil {
			return err
		}
	}
	return nil
}

// plan adds what a network's kernel reads of its program, and what it needs.
func (t *training) plan(w *worker, l *launch, program *program, i int) (int32, error) {
	n := &t.nets[i]
	if n.class.resident() {
		l.sharedFloats = max(l.sharedFloats, int64(n.class.sharedBytes(int(n.chain.Depth))/4))
		return program.addChain(*n.chain), nil
	}
	made, err := w.plans.of(planKey{n.variant.Program(), trainJob, n.batch, n.variant.Optimizer.Slots(), w.sharedFloats, t.data.Train.Len() % n.batch})
	if err != nil {
		return 0, err
	}
	l.needs(made)
	return program.add(made), nil
}

// job is a network's next steps: at most so many, and none beyond until.
func (t *training) job(w *worker, n *network, most, until int) (packedJob, error) {
	v := &n.variant
	images, err := w.images(n.class, &t.data, v.Shift)
	if err != nil {
		return packedJob{}, err
	}
	j := packedJob{
		Kind: trainJob, Pixels: uint64(images), Labels: uint64(w.splits[kernels.Train].labels.at), OrderSeed: v.OrderSeed, Seed: v.Seed,
		Examples: int32(t.data.Train.Len()), Batch: int32(n.batch),
		Step: int32(n.state.Step), Steps: int32(min(most, until-n.state.Step)),
		Shift: int32(v.Shift), ImageCols: int32(t.data.Cols), ImageRows: int32(t.data.Rows),
	}
	j.setOptimizer(v.Optimizer)
	return j, nil
}

// costliestFirst sorts jobs, and returns their variants in the same order.
func (t *training) costliestFirst(jobs []packedJob, wave []int) []int {
	type pair struct {
		job     packedJob
		variant int
		cost    float64
	}
	pairs := make([]pair, len(jobs))
	for k, j := range jobs {
		pairs[k] = pair{j, wave[k], float64(j.Steps) * t.nets[wave[k]].stepWork()}
	}
	slices.SortStableFunc(pairs, func(a, b pair) int {
		switch {
		case a.cost > b.cost:
			return -1
		case a.cost < b.cost:
			return 1
		}
		return 0
	})
	order := make([]int, len(jobs))
	for k, at := range pairs {
		jobs[k], order[k] = at.job, at.variant
	}
	return order
}

// keep takes over what a launch computed: all networks' states first, then what is
// to be reported of them, by variant.
func (t *training) keep(l *launch, order []int, offset map[int]int, states []float32) ([]kernels.Report, error) {
	var reports []kernels.Report
	examples := t.data.Train.Len()
	for k, i := range order {
		n, j, r := &t.nets[i], &l.jobs[k], l.results[k]
		if r.Steps < 1 || r.Steps > j.Steps || r.Diverged == 0 && r.Steps != j.Steps {
			return reports, fmt.Errorf("variant %d: the kernel took %d of %d steps", i, r.Steps, j.Steps)
		}
		n.takeState(states[offset[i]:])
		for _, loss := range l.losses[j.Losses : j.Losses+int64(r.Steps)] {
			n.state.LossSum += float64(loss) * n.variant.Share(n.state.Step, examples)
			n.state.Step++
			n.state.Diverged = math.IsNaN(float64(loss)) || math.IsInf(float64(loss), 0)
			if n.state.Step%n.perEpoch == 0 || n.state.Diverged {
				reports = append(reports, kernels.Report{
					Variant: i, Step: n.state.Step, Epoch: n.state.Step / n.perEpoch,
					Loss: n.variant.EpochLoss(n.state.LossSum, examples), Diverged: n.state.Diverged,
				})
				n.state.LossSum = 0
			}
		}
	}
	slices.SortStableFunc(reports, func(a, b kernels.Report) int { return a.Variant - b.Variant })
	return reports, nil
}

// appendState appends the network's parameters and the optimizer's arrays.
func (n *network) appendState(to []float32) []float32 {
	s := n.at()
	for _, a := range slices.Concat(s.Params, s.Slots) {
		to = append(to, a...)
	}
	return to
}

// takeState is the reverse.
func (n *network) takeState(from []float32) {
	for _, a := range slices.Concat(n.state.Params, n.state.Slots) {
		from = from[copy(a, from):]
	}
}
