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

	"vanilla/internal/cuda/driver"
	"vanilla/kernels"
)

// population keeps the states of its networks on the host, as they were after each
// one's last finished launch. Those of a wave are also on a device, where they go on
// from.
type population struct {
	data     kernels.Data
	nets     []network
	workers  []*worker
	free     chan *worker // those that evaluate nothing
	requests requests
}

// network is a variant and where it stands.
type network struct {
	variant         kernels.Variant
	batch, perEpoch int
	work            float64 // of a step
	class           class
	form

	step     int
	lossSum  float64
	diverged bool
	// numbers are the parameters, then the optimizer's arrays; nil until needed. While
	// the network belongs to a wave they may be in that worker's page-locked memory.
	numbers []float32
	wave    *wave // on whose device they are, too
	index   int   // of it in the wave
	drawing sync.Mutex
}

// draw makes the initial state if there is none yet.
func (n *network) draw() {
	n.drawing.Lock()
	defer n.drawing.Unlock()
	if n.numbers == nil {
		n.set(n.variant.InitialState())
	}
}

// set makes the network go on from a state, of which it keeps nothing.
func (n *network) set(s kernels.State) {
	n.step, n.lossSum, n.diverged = s.Step, s.LossSum, s.Diverged
	n.numbers, n.wave = make([]float32, 0, n.stateFloats()), nil
	for _, a := range slices.Concat(s.Params, s.Slots) {
		n.numbers = append(n.numbers, a...)
	}
}

// state is a copy of where the network stands.
func (n *network) state() kernels.State {
	n.draw()
	s := kernels.State{Step: n.step, LossSum: n.lossSum, Diverged: n.diverged}
	p, from := n.variant.Program(), n.numbers
	for i := range (1 + n.variant.Optimizer.Slots()) * len(p.Params) {
		length := p.Value(p.Params[i%len(p.Params)].Value).Shape.Len(0)
		a := slices.Clone(from[:length])
		from = from[length:]
		if i < len(p.Params) {
			s.Params = append(s.Params, a)
		} else {
			s.Slots = append(s.Slots, a)
		}
	}
	return s
}

// own makes the host's copy of the state one in memory of Go's.
func (n *network) own() { n.numbers = slices.Clone(n.numbers) }

// left is how many steps the network has to go, none if it has diverged.
func (n *network) left(until int) int {
	if n.diverged {
		return 0
	}
	return until - n.step
}

// start draws the initial states of networks that have none yet, on all cores:
// there may be thousands.
func (p *population) start(wave []int) {
	var next atomic.Int64
	var drawing sync.WaitGroup
	for range min(runtime.GOMAXPROCS(0), len(wave)) {
		drawing.Go(func() {
			for k := int(next.Add(1)) - 1; k < len(wave); k = int(next.Add(1)) - 1 {
				p.nets[wave[k]].draw()
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
	return n.state(), nil
}

func (p *population) Restore(i int, s kernels.State) error {
	n, err := p.network(i)
	if err != nil {
		return err
	}
	if err := s.Check(n.variant); err != nil {
		return fmt.Errorf("variant %d: %w", i, err)
	}
	n.set(s)
	return nil
}

func (p *population) Close() error {
	p.nets = nil // their numbers go with the workers' memory
	var errs []error
	for _, w := range p.workers {
		errs = append(errs, w.gpu.keep(w))
	}
	p.workers = nil
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
	q.cost = func(i int) float64 { return float64(p.nets[i].left(until[i])) * p.nets[i].work }
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
	// The first waves are dealt before any device starts: one whose goroutine runs late
	// has its part all the same.
	first := make([][]int, len(p.workers))
	for i := range first {
		first[i] = q.take(math.MaxInt)
	}
	p.part(first, func(i int) bool { return p.nets[i].left(until[i]) > 0 })
	var working sync.WaitGroup
	for i, w := range p.workers {
		working.Go(func() {
			if err := t.waves(ctx, w, q, first[i]); err != nil {
				cancel(w.fail(err))
			}
		})
	}
	working.Wait()
	return context.Cause(ctx)
}

// part ends waves of several devices whose networks are not all dealt to the same device
// again, before any device starts: another one takes what is the host's then.
func (p *population) part(first [][]int, going func(i int) bool) {
	if len(p.workers) == 1 {
		return // it does so itself
	}
	for d, w := range p.workers {
		if w.wave == nil {
			continue
		}
		dealt := map[int]bool{}
		for _, i := range first[d] {
			dealt[i] = true
		}
		for i := range p.nets {
			if here := p.nets[i].wave == w.wave; going(i) && here != dealt[i] {
				w.forget()
				break
			}
		}
	}
}

// training is one call of Advance.
type training struct {
	*population
	until  []int
	report func([]kernels.Report)
}

// waves trains a wave on a device, and others until none is left.
func (t *training) waves(ctx context.Context, w *worker, q *queue, wave []int) error {
	for limit := math.MaxInt; len(wave) > 0 && ctx.Err() == nil; wave = q.take(limit) {
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

// wave trains networks together. If that fails they stand where their last finished
// launch left them.
func (t *training) wave(ctx context.Context, w *worker, numbers []int) error {
	t.start(numbers)
	v, err := t.assemble(w, numbers)
	if err == nil {
		err = t.run(ctx, v)
	}
	if err != nil {
		w.forget()
	}
	return err
}
