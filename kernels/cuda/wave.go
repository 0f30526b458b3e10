//go:build gpu && !cpu && linux && amd64 && cgo

package cuda

import (
	"fmt"
	"slices"
	"time"

	"vanilla/internal/cuda/driver"
)

// wave is networks of one class whose states are on a device together. They stay
// there from launch to launch, and from one Advance to the next if it wants the same
// ones.
type wave struct {
	*worker
	class     class
	kernel    *driver.Function
	program   packedLaunch // with the addresses of the plans, or of what the class has in their place
	variants  []variant
	schedules []*factors
	floats    int // of all states
	// sharedFloats and workFloats are the most that a plan of a variant needs in a
	// block, grid is how many blocks run at a time.
	sharedFloats, workFloats int64
	grid                     int
	// side is where the next launch leaves what it computes: there are two of what the
	// host reads of one launch while another writes.
	side     int
	finished time.Time // the launch before
}

// variant is a network of a wave, with what its launches need to know.
type variant struct {
	*network
	number   int // of the variant
	offset   int // of its state, in floats
	length   int // of its state
	plan     int32
	sequence *sequence // of a spread class
	images   driver.Pointer
	changed  changed // what happens to them
	schedule *factors
	// planned is where the network stands after the launches under way, until where it
	// goes.
	planned, until int
}

// assemble makes a wave of networks, whose states it copies to the device unless they
// are there.
func (t *training) assemble(w *worker, numbers []int) (*wave, error) {
	if v := w.wave; v != nil && !slices.ContainsFunc(numbers, func(i int) bool { return t.nets[i].wave != v }) {
		for k := range v.variants {
			m := &v.variants[k]
			m.planned, m.until = m.step, t.until[m.number]
		}
		return v, nil
	}
	w.forget()
	v := &wave{worker: w, class: t.nets[numbers[0]].class}
	var err error
	if v.kernel, err = w.function(v.class); err != nil {
		return nil, err
	}
	var program program
	schedules := map[factorsKey]*factors{}
	for _, i := range numbers {
		n := &t.nets[i]
		m := variant{network: n, number: i, offset: v.floats, length: n.stateFloats(), planned: n.step, until: t.until[i]}
		if err = v.plan(&m, &program, t.data.Train.Len()); err != nil {
			return nil, fmt.Errorf("variant %d: %w", i, err)
		}
		if m.images, err = w.images(n.class, &t.data, n.variant.Shift); err != nil {
			return nil, err
		}
		if m.changed, err = w.change(&n.variant, &t.data); err != nil {
			return nil, err
		}
		key := factorsKeyOf(&n.variant, n.perEpoch)
		if schedules[key] == nil {
			schedules[key] = newFactors(key)
			v.schedules = append(v.schedules, schedules[key])
		}
		m.schedule = schedules[key]
		v.variants = append(v.variants, m)
		v.floats += m.length
	}
	if err := v.copyIn(); err != nil {
		return nil, err
	}
	if err := w.upload(&w.training.program, &program, &v.program); err != nil {
		return nil, err
	}
	blocks := 1 // a spread class has one network after the other
	if !v.class.spread {
		if blocks, err = w.grid(v.kernel, v.class, v.sharedFloats); err != nil {
			return nil, err
		}
	}
	if v.grid, err = w.fitWork(&w.training.work, min(blocks, len(v.variants)), v.workFloats); err != nil {
		return nil, err
	}
	w.wave = v
	for k := range v.variants {
		v.variants[k].network.wave, v.variants[k].network.index = v, k
	}
	return v, nil
}

// plan adds what a network's kernel reads of its program, and what it needs.
func (v *wave) plan(m *variant, program *program, examples int) error {
	n := m.network
	if n.class.resident() {
		v.sharedFloats = max(v.sharedFloats, int64(n.class.sharedBytes(int(n.chain.Depth))/4))
		v.workFloats = n.class.workFloats()
		m.plan = program.addChain(*n.chain)
		return nil
	}
	if n.class.stream {
		v.sharedFloats, v.workFloats = max(v.sharedFloats, int64(n.stream.sharedBytes/4)), max(v.workFloats, n.stream.workFloats)
		m.plan = program.addStream(n.stream.head, n.stream.layers)
		if n.class.spread {
			m.sequence = n.stream.sequence(n.class, n.batch, examples, 0)
		}
		return nil
	}
	key := planKey{n.variant.Program(), trainJob, n.batch, n.variant.Optimizer.Slots(), v.worker.sharedFloats, examples % n.batch}
	if n.class.spread {
		key = spreadPlanKey(n.variant.Program(), n.variant.Optimizer, n.batch, examples)
	}
	made, err := v.plans.of(key)
	if err != nil {
		return err
	}
	v.sharedFloats, v.workFloats = max(v.sharedFloats, made.sharedFloats), max(v.workFloats, made.workFloats)
	m.plan = program.add(made)
	if n.class.spread {
		m.sequence = sequenceOf(made)
	}
	return nil
}

// copyIn copies the variants' states to the device.
func (v *wave) copyIn() error {
	r := &v.training
	if err := r.open(v.context); err != nil {
		return err
	}
	bytes := 4 * v.floats
	for _, b := range []*buffer{&r.state, &r.snapshot} {
		if err := v.fit(b, bytes); err != nil {
			return err
		}
	}
	for side := range r.states {
		if err := r.states[side].fit(v.context, bytes); err != nil {
			return err
		}
	}
	carried := make([]float64, len(v.variants))
	for k := range v.variants {
		m := &v.variants[k]
		copy(r.states[0].floats()[m.offset:], m.numbers)
		carried[k] = m.lossSum
	}
	v.counts.bytesIn += bytes
	if err := v.put(&r.carried, driver.Bytes(carried)); err != nil {
		return err
	}
	return v.context.CopyIn(r.state.at, r.states[0].memory[:bytes])
}

// forget ends a wave: its variants' states are the host's alone. Launches under way
// come to their end, and nothing is known of them.
func (w *worker) forget() {
	v := w.wave
	if v == nil {
		return
	}
	for k := range v.variants {
		if m := &v.variants[k]; m.wave == v {
			m.own()
			m.network.wave = nil
		}
	}
	w.wave = nil
	_ = w.context.Synchronize() // what failed was reported, or is by the next call
}

// keep makes the variants' states those in one side's memory.
func (v *wave) keep(side int) {
	all := v.training.states[side].floats()
	for k := range v.variants {
		if m := &v.variants[k]; m.wave == v {
			m.numbers = all[m.offset : m.offset+m.length]
		}
	}
}

// leave takes a network out, whose state on the device is not the one to go on from.
func (m *variant) leave() {
	m.own()
	m.network.wave = nil
}
