package kernels

import (
	"context"
	"fmt"
	"math"
	"runtime"
	"sort"
	"sync"
	"sync/atomic"
)

// Machine trains one network on the host. It is what an executor that runs in
// this process implements; [NewHost] makes a population of machines.
type Machine interface {
	Runner
	// Step trains on the given rows of the training set and returns the mean
	// loss of the batch before the update. step counts from 0. next are the rows
	// of the step after, if that is known: they may be fetched meanwhile.
	Step(rows, next []int32, lr float32, step int) (float64, error)
	// StepOn is Step on examples that are not in the training set, all of them
	// one batch. The examples of the step after will be made of the training set's
	// rows next.
	StepOn(e Examples, next []int32, lr float32, step int) (float64, error)
	// Params copies out what State holds.
	Params() (params, slots [][]float32)
	// Rest says that others will train now: the machine may give back what it
	// takes to run. It goes on as if nothing had been.
	Rest()
}

// NewHost checks the variants and makes a population of them whose machines
// come from newMachine. Machines run on all cores, one variant on one core at a
// time, so results do not depend on the number of cores or on neighbours. A
// machine is made when its variant first needs it, several at once if need be,
// and set to the variant's initial state.
func NewHost(data Data, variants []Variant, newMachine func(Variant, *Data) (Machine, error)) (Population, error) {
	if err := Check(&data, variants); err != nil {
		return nil, err
	}
	h := &host{data: data, newMachine: newMachine, nets: make([]network, len(variants))}
	for i, v := range variants {
		h.nets[i].variant = v
	}
	return h, nil
}

// Check reports the first thing that cannot be in the data or in a variant, which
// it names. Prepare of every executor begins with it.
func Check(data *Data, variants []Variant) error {
	if err := data.Check(); err != nil {
		return err
	}
	for i, v := range variants {
		if err := v.Check(data); err != nil {
			return fmt.Errorf("variant %d: %w", i, err)
		}
	}
	return nil
}

// host drives machines: the one training loop of all executors in this process.
type host struct {
	data       Data
	newMachine func(Variant, *Data) (Machine, error)
	nets       []network
	shared     shared
}

// network is a variant and where it stands.
type network struct {
	variant  Variant
	machine  Machine // nil until needed
	step     int
	lossSum  float64
	diverged bool
}

func (h *host) network(i int) (*network, error) {
	if i < 0 || i >= len(h.nets) {
		return nil, fmt.Errorf("variant %d of %d", i, len(h.nets))
	}
	return &h.nets[i], nil
}

// machine is network i with its machine, made in the initial state if need be.
func (h *host) machine(i int) (*network, error) {
	n, err := h.network(i)
	if err != nil || n.machine != nil {
		return n, err
	}
	return n, h.set(i, n.variant.InitialState())
}

// set puts the parameters and optimizer arrays of a state into network i's
// machine, which is made if need be.
func (h *host) set(i int, s State) (err error) {
	n := &h.nets[i]
	m := n.machine
	if m == nil {
		m, err = h.newMachine(n.variant, &h.data)
	}
	if err == nil {
		err = m.SetParams(s.Params, s.Slots)
	}
	if err != nil {
		return fmt.Errorf("variant %d: %w", i, err)
	}
	n.machine = m
	return nil
}

func (h *host) Advance(ctx context.Context, until []int, report func(Report)) error {
	if len(until) != len(h.nets) {
		return fmt.Errorf("%d targets for %d variants", len(until), len(h.nets))
	}
	var todo []int
	cost := make([]float64, len(h.nets))
	for i := range h.nets {
		n := &h.nets[i]
		if steps := until[i] - n.step; steps > 0 && !n.diverged {
			cost[i] = float64(steps) * float64(n.variant.Batch) * float64(n.variant.Program().FLOPs())
			todo = append(todo, i)
		}
	}
	sort.SliceStable(todo, func(a, b int) bool { return cost[todo[a]] > cost[todo[b]] }) // costliest first

	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	var (
		reporting sync.Mutex
		next      atomic.Int64
		workers   sync.WaitGroup
	)
	for range min(runtime.GOMAXPROCS(0), len(todo)) {
		workers.Go(func() {
			for ctx.Err() == nil {
				k := int(next.Add(1)) - 1
				if k >= len(todo) {
					return
				}
				if err := h.train(ctx, todo[k], until[todo[k]], &reporting, report); err != nil {
					cancel(err)
					return
				}
			}
		})
	}
	workers.Wait()
	return context.Cause(ctx)
}

// train runs one variant up to step until.
func (h *host) train(ctx context.Context, i, until int, reporting *sync.Mutex, report func(Report)) error {
	n, err := h.machine(i)
	if err != nil {
		return err
	}
	defer n.machine.Rest()
	v := &n.variant
	examples := h.data.Train.Len()
	perEpoch := v.StepsPerEpoch(examples)
	var rows [2][]int32 // of even steps and of odd ones
	for i := range rows {
		rows[i] = make([]int32, min(v.Batch, examples))
	}
	var augmented *augmenter
	if v.augments() {
		augmented = newAugmenter(&h.data, v, &h.shared)
	}
	done := ctx.Done()
	for n.step < until {
		epoch := n.step / perEpoch
		order := NewOrder(v.OrderSeed, epoch, examples)
		batchOf := func(step int) []int32 {
			from := (step - epoch*perEpoch) * v.Batch
			batch := rows[step%2][:min(v.Batch, examples-from)]
			order.Fill(batch, from)
			return batch
		}
		batch := batchOf(n.step)
		for end := min(until, (epoch+1)*perEpoch); n.step < end; {
			select {
			case <-done:
				return context.Cause(ctx)
			default:
			}
			var next []int32
			if n.step+1 < end {
				next = batchOf(n.step + 1)
			}
			lr := v.Schedule.At(n.step, perEpoch, v.Epochs)
			var loss float64
			if augmented == nil {
				loss, err = n.machine.Step(batch, next, lr, n.step)
			} else {
				loss, err = n.machine.StepOn(augmented.batch(epoch, (n.step-epoch*perEpoch)*v.Batch, batch), next, lr, n.step)
			}
			if err != nil {
				return fmt.Errorf("variant %d, step %d: %w", i, n.step, err)
			}
			n.lossSum += loss * v.Share(n.step, examples)
			n.step++
			batch = next
			if n.diverged = math.IsNaN(loss) || math.IsInf(loss, 0); n.diverged {
				break
			}
		}
		if n.step%perEpoch == 0 || n.diverged {
			r := Report{Variant: i, Step: n.step, Epoch: n.step / perEpoch, Diverged: n.diverged,
				Loss: v.EpochLoss(n.lossSum, examples)}
			n.lossSum = 0
			if report != nil {
				reporting.Lock()
				report(r)
				reporting.Unlock()
			}
		}
		if n.diverged {
			return nil
		}
	}
	return nil
}

func (h *host) Evaluate(ctx context.Context, i int, split Split) (Score, error) {
	if err := ctx.Err(); err != nil {
		return Score{}, err
	}
	n, err := h.machine(i)
	if err != nil {
		return Score{}, err
	}
	e := h.data.Split(split)
	if e.Len() == 0 {
		return Score{}, fmt.Errorf("the data has no %s examples", split)
	}
	outputs, loss, err := n.machine.Outputs(e)
	if err != nil {
		return Score{}, err
	}
	return scoreOf(outputs, loss, e.Labels, h.data.Classes), nil
}

func (h *host) State(i int) (State, error) {
	n, err := h.network(i)
	if err != nil {
		return State{}, err
	}
	if n.machine == nil { // nothing was trained: no need for one now
		return n.variant.InitialState(), nil
	}
	s := State{Step: n.step, LossSum: n.lossSum, Diverged: n.diverged}
	s.Params, s.Slots = n.machine.Params()
	return s, nil
}

func (h *host) Restore(i int, s State) error {
	n, err := h.network(i)
	if err != nil {
		return err
	}
	if err := s.Check(n.variant); err != nil {
		return fmt.Errorf("variant %d: %w", i, err)
	}
	if err := h.set(i, s); err != nil {
		return err
	}
	n.step, n.lossSum, n.diverged = s.Step, s.LossSum, s.Diverged
	return nil
}

func (h *host) Close() error {
	var first error
	for i := range h.nets {
		if m := h.nets[i].machine; m != nil {
			if err := m.Close(); err != nil && first == nil {
				first = err
			}
		}
	}
	h.nets = nil
	return first
}
