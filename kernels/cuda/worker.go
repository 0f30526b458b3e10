//go:build gpu && !cpu && linux && amd64 && cgo

package cuda

import (
	"errors"
	"fmt"
	"hash/maphash"
	"slices"
	"unsafe"

	"vanilla/internal/cuda/driver"
	"vanilla/kernels"
)

// worker is a population's part on one device.
type worker struct {
	*gpu
	splits [3]examples // by kernels.Split
	plans  plans
	paces  map[class]*pace // of training
	rows   map[int]*buffer // by shift: the training images as resident kernels read them
	changes

	training launchMemory
	wave     *wave // nil if no network's state is on the device
	budget   int   // steps of a launch, 0 before the first one
	counts   counts

	// What evaluations take.
	state, program, jobs, losses, classes, work, control buffer
	placed                                               program      // the plans that are in the buffer
	addresses                                            packedLaunch // of them
	together                                             int          // requests that a launch may be of, 0 for any number

	failed bool // it is of no use to another population
}

// examples are a split on the device.
type examples struct{ pixels, labels, targets stored }

// stored is a copy of bytes that stays.
type stored struct {
	buffer
	length int
	sum    uint64 // of what was copied
}

// sums make sums of bytes.
var sums = maphash.MakeSeed()

// store copies bytes to the device unless they are there.
func (w *worker) store(s *stored, b []byte) error {
	sum := maphash.Bytes(sums, b)
	if s.at != 0 && s.length == len(b) && s.sum == sum {
		return nil
	}
	s.length = -1
	if err := w.put(&s.buffer, b); err != nil {
		return err
	}
	s.length, s.sum = len(b), sum
	w.counts.bytesData += len(b)
	return nil
}

// targetsOf is where the targets of e are, which were put here, 0 if they are labels.
func (s *examples) targetsOf(e kernels.Examples) uint64 {
	if e.Targets == nil {
		return 0
	}
	return uint64(s.targets.at)
}

// counts are what a population made a worker do.
type counts struct {
	launches, factors                int
	bytesIn, bytesOut, bytesSnapshot int
	evaluations                      int // launches that evaluate
	bytesData                        int // of examples
}

// launchMemory is what that waves use, one after the other, and the streams of their
// launches. There are two of what the host reads or writes while the device writes
// or reads the other.
type launchMemory struct {
	state, snapshot, carried, program, work, input, scalars, losses buffer
	outcome                                                         [2]buffer
	states, inputs, outcomes                                        [2]hostBuffer
	compute, copies                                                 *driver.Stream
	ran, arrived                                                    *driver.Event
}

// open makes the streams and events that there are not.
func (r *launchMemory) open(c *driver.Context) (err error) {
	for _, s := range []**driver.Stream{&r.compute, &r.copies} {
		if *s == nil {
			if *s, err = c.Stream(); err != nil {
				return err
			}
		}
	}
	for _, e := range []**driver.Event{&r.ran, &r.arrived} {
		if *e == nil {
			if *e, err = c.Event(); err != nil {
				return err
			}
		}
	}
	return nil
}

// close closes them.
func (r *launchMemory) close() error {
	var errs []error
	for _, s := range []*driver.Stream{r.compute, r.copies} {
		if s != nil {
			errs = append(errs, s.Close())
		}
	}
	for _, e := range []*driver.Event{r.ran, r.arrived} {
		if e != nil {
			errs = append(errs, e.Close())
		}
	}
	return errors.Join(errs...)
}

func (r *launchMemory) buffers() []*buffer {
	return []*buffer{&r.state, &r.snapshot, &r.carried, &r.program, &r.work, &r.input, &r.scalars, &r.losses, &r.outcome[0], &r.outcome[1]}
}

// hostBuffer is page-locked memory of the host that grows when more is needed.
// What was in it is then lost.
type hostBuffer struct{ memory []byte }

// fit makes the buffer hold so many bytes.
func (h *hostBuffer) fit(c *driver.Context, bytes int) error {
	if bytes <= len(h.memory) {
		return nil
	}
	if err := h.empty(c); err != nil {
		return err
	}
	memory, err := c.AllocHost(bytes)
	if err == nil {
		h.memory = memory
	}
	return err
}

func (h *hostBuffer) empty(c *driver.Context) error {
	if h.memory == nil {
		return nil
	}
	err := c.FreeHost(h.memory)
	h.memory = nil
	return err
}

func (h *hostBuffer) floats() []float32 { return driver.Of[float32](h.memory) }

// buffer is device memory that grows when more is needed. What was in it is then
// lost.
type buffer struct {
	at    driver.Pointer
	bytes int
}

// fit makes the buffer hold so many bytes.
func (w *worker) fit(r *buffer, bytes int) error {
	if bytes <= r.bytes {
		return nil
	}
	if err := w.empty(r); err != nil {
		return err
	}
	at, err := w.context.Alloc(bytes)
	if errors.Is(err, driver.ErrOutOfMemory) {
		if released, wrong := w.gpu.release(); released && wrong == nil {
			at, err = w.context.Alloc(bytes)
		}
	}
	if err == nil {
		*r = buffer{at, bytes}
	}
	return err
}

func (w *worker) empty(r *buffer) error {
	if r.bytes == 0 {
		return nil
	}
	err := w.context.Free(r.at)
	*r = buffer{}
	return err
}

// put copies to a buffer.
func (w *worker) put(r *buffer, b []byte) error {
	if err := w.fit(r, len(b)); err != nil {
		return err
	}
	return w.context.CopyIn(r.at, b)
}

// pace is that of a class.
func (w *worker) pace(c class) *pace {
	p := w.paces[c]
	if p == nil {
		p = new(pace)
		w.paces[c] = p
	}
	return p
}

// images is where a class's kernel finds the training images of networks that
// move them by up to shift pixels.
func (w *worker) images(c class, data *kernels.Data, shift int) (driver.Pointer, error) {
	plain := w.splits[kernels.Train].pixels.at
	e := data.Train
	if !c.resident() || shift == 0 && e.Features == rowBytes(e.Features) {
		return plain, nil
	}
	if r := w.rows[shift]; r != nil {
		return r.at, nil
	}
	var r buffer
	if err := w.fit(&r, copies(shift)*e.Len()*rowBytes(e.Features)); err != nil {
		return 0, fmt.Errorf("images moved by up to %d pixels: %w", shift, err)
	}
	w.rows[shift] = &r
	return r.at, w.context.Launch(w.gpu.rows, 8*w.device.SMs, blockThreads, 0,
		uint64(plain), uint64(r.at), uint64(e.Len()), uint64(e.Features), uint64(data.Cols), uint64(shift))
}

// load copies the data to the device.
func (w *worker) load(data *kernels.Data) error {
	for s := range w.splits {
		if err := w.loadSplit(kernels.Split(s), data.Split(kernels.Split(s))); err != nil {
			return err
		}
	}
	return nil
}

func (w *worker) loadSplit(s kernels.Split, e kernels.Examples) error {
	if err := w.store(&w.splits[s].pixels, e.Pixels); err != nil {
		return fmt.Errorf("%s pixels: %w", s, err)
	}
	if err := w.store(&w.splits[s].labels, e.Labels); err != nil {
		return fmt.Errorf("%s labels: %w", s, err)
	}
	if err := w.store(&w.splits[s].targets, driver.Bytes(e.Targets)); err != nil {
		return fmt.Errorf("%s targets: %w", s, err)
	}
	return nil
}

// lasting are the buffers that a worker takes to another population.
func (w *worker) lasting() []*buffer {
	buffers := append(w.training.buffers(), &w.state, &w.program, &w.jobs, &w.losses, &w.classes, &w.work, &w.control)
	for s := range w.splits {
		buffers = append(buffers, &w.splits[s].pixels.buffer, &w.splits[s].labels.buffer, &w.splits[s].targets.buffer)
	}
	return buffers
}

// emptyMade gives back what was made of the data for training.
func (w *worker) emptyMade() (err error) {
	for _, r := range w.changes.buffers() {
		err = errors.Join(err, w.empty(r))
	}
	for _, r := range w.rows {
		err = errors.Join(err, w.empty(r))
	}
	w.changes, w.rows = changes{}, map[int]*buffer{}
	return err
}

func (w *worker) close() error {
	var errs []error
	keep := func(err error) { errs = append(errs, unlessLost(err)) }
	keep(w.emptyMade())
	for _, r := range w.lasting() {
		keep(w.empty(r))
	}
	for side := range 2 {
		for _, h := range []*hostBuffer{&w.training.states[side], &w.training.inputs[side], &w.training.outcomes[side]} {
			keep(h.empty(w.context))
		}
	}
	keep(w.training.close())
	return errors.Join(errs...)
}

// unlessLost is an error of giving something back, nothing where it is lost with the
// device.
func unlessLost(err error) error {
	if errors.Is(err, driver.ErrDeviceLost) {
		return nil
	}
	return err
}

// fail says which device an error is of, and what it means for the networks.
func (w *worker) fail(err error) error {
	w.failed = true
	err = fmt.Errorf("device %d, %s: %w", w.device.Index, w.device.Name, err)
	if errors.Is(err, driver.ErrDeviceLost) {
		err = fmt.Errorf("%w; networks stand where the last launch left them whose results had been copied, and this process can use the device no more", err)
	}
	return err
}

// evaluation is jobs that evaluate, with what they refer to, and memory for what they
// compute.
type evaluation struct {
	jobs []packedJob
	// sharedFloats and workFloats are what a block needs.
	sharedFloats, workFloats int64

	losses  []float32
	classes []byte
}

// upload copies plans, or what a class has in their place, to the device, and puts their
// addresses in l.
func (w *worker) upload(to *buffer, p *program, l *packedLaunch) error {
	parts := [][]byte{driver.Bytes(p.plans), driver.Bytes(p.chains), driver.Bytes(p.streams), driver.Bytes(p.ops), driver.Bytes(p.streamLayers),
		driver.Bytes(p.arrays), driver.Bytes(p.params), driver.Bytes(p.tensors), driver.Bytes(p.views), driver.Bytes(p.instructions), driver.Bytes(p.numbers)}
	var same uint64 // of what else the plans are, and the operations: one of each is there
	addresses := []*uint64{&l.Plans, &same, &same, &l.Ops, &same, &l.Arrays, &l.Params, &l.Tensors, &l.Views, &l.Instructions, &l.Numbers}
	var all []byte
	for i, part := range parts { // but for the last two, which need less, their sizes are multiples of 8 bytes: all are aligned
		*addresses[i] = uint64(len(all))
		all = append(all, part...)
	}
	if err := w.put(to, all); err != nil {
		return err
	}
	for _, a := range addresses {
		*a += uint64(to.at)
	}
	return nil
}

// place copies plans to the device unless all are there.
func (w *worker) place(plans ...*plan) error {
	if !slices.ContainsFunc(plans, func(l *plan) bool { _, ok := w.placed.index[l]; return !ok }) {
		return nil
	}
	w.placed = program{}
	for _, l := range plans {
		w.placed.add(l)
	}
	err := w.upload(&w.program, &w.placed, &w.addresses)
	if err != nil {
		w.placed = program{}
	}
	return err
}

// grid is how many blocks of a class's kernel run at a time on the device.
func (w *worker) grid(f *driver.Function, c class, sharedFloats int64) (int, error) {
	blocks, err := f.BlocksPerSM(c.threads(), int(4*sharedFloats))
	return max(1, blocks) * w.device.SMs, err
}

// fitWork makes room for the values of blocks, so many floats in each, and returns
// how many: fewer than grid where the device has no memory for all.
func (w *worker) fitWork(work *buffer, grid int, floats int64) (int, error) {
	for {
		err := w.fit(work, 4*grid*int(floats))
		if err == nil {
			return grid, nil
		}
		if !errors.Is(err, driver.ErrOutOfMemory) || grid == 1 {
			return 0, fmt.Errorf("buffers for values of %d blocks: %w", grid, err)
		}
		grid /= 2
	}
}

// run runs an evaluation to its end.
func (w *worker) run(l *evaluation) error {
	grid, err := w.grid(w.kernel, class{}, l.sharedFloats)
	if err != nil {
		return err
	}
	if grid, err = w.fitWork(&w.work, min(grid, len(l.jobs)), l.workFloats); err != nil {
		return err
	}
	if err := w.put(&w.jobs, driver.Bytes(l.jobs)); err != nil {
		return err
	}
	type part struct {
		buffer *buffer
		bytes  []byte
	}
	outs := []part{{&w.losses, driver.Bytes(l.losses)}, {&w.classes, l.classes}}
	for _, out := range outs {
		if err := w.fit(out.buffer, len(out.bytes)); err != nil {
			return err
		}
	}
	c := make([]packedControl, 1)
	if err := w.fit(&w.control, int(unsafe.Sizeof(c[0]))); err != nil {
		return err
	}
	p := w.addresses
	p.Jobs, p.Losses, p.Classes = uint64(w.jobs.at), uint64(w.losses.at), uint64(w.classes.at)
	p.Queue = uint64(w.control.at) + uint64(unsafe.Offsetof(c[0].queue))
	p.Work, p.WorkStride = uint64(w.work.at), l.workFloats
	p.JobsCount = int32(len(l.jobs))
	c[0].launch = p
	if err := w.context.CopyIn(w.control.at, driver.Bytes(c)); err != nil {
		return err
	}
	if err := w.context.Launch(w.kernel, grid, blockThreads, int(4*l.sharedFloats), uint64(w.control.at)); err != nil {
		return err
	}
	if err := w.context.Synchronize(); err != nil {
		return err
	}
	for _, out := range outs {
		if err := w.context.CopyOut(out.bytes, out.buffer.at); err != nil {
			return err
		}
	}
	return nil
}
