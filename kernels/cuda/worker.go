//go:build gpu && !cpu && linux && amd64 && cgo

package cuda

import (
	"errors"
	"fmt"
	"unsafe"

	"vanilla/internal/cuda/driver"
	"vanilla/kernels"
)

// worker is a population's part on one device.
type worker struct {
	*gpu
	splits [3]struct{ pixels, labels buffer } // by kernels.Split
	plans  plans
	paces  map[class]*pace // of training
	rows   map[int]*buffer // by shift: the training images as resident kernels read them

	state, program, jobs, scalars, results, losses, classes, work, control buffer
}

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
	if err := w.put(&w.splits[s].pixels, e.Pixels); err != nil {
		return fmt.Errorf("%s pixels: %w", s, err)
	}
	if err := w.put(&w.splits[s].labels, e.Labels); err != nil {
		return fmt.Errorf("%s labels: %w", s, err)
	}
	return nil
}

func (w *worker) close() error {
	buffers := []*buffer{&w.state, &w.program, &w.jobs, &w.scalars, &w.results, &w.losses, &w.classes, &w.work, &w.control}
	for s := range w.splits {
		buffers = append(buffers, &w.splits[s].pixels, &w.splits[s].labels)
	}
	for _, r := range w.rows {
		buffers = append(buffers, r)
	}
	var errs []error
	for _, r := range buffers {
		if err := w.empty(r); !errors.Is(err, driver.ErrDeviceLost) { // the buffers are lost with it
			errs = append(errs, err)
		}
	}
	return errors.Join(errs...)
}

// fail says which device an error is of, and what it means for the networks.
func (w *worker) fail(err error) error {
	err = fmt.Errorf("device %d, %s: %w", w.device.Index, w.device.Name, err)
	if errors.Is(err, driver.ErrDeviceLost) {
		err = fmt.Errorf("%w; networks keep the state of their last finished launch, and this process can use the device no more", err)
	}
	return err
}

// launch is jobs with what they refer to, and buffers for what they compute.
type launch struct {
	kernel  *driver.Function
	program packedLaunch // with the addresses of the plans
	jobs    []packedJob
	scalars []packedScalars
	// sharedFloats and workFloats are the most that a plan of a job needs in a
	// block.
	sharedFloats, workFloats int64

	results []packedResult // of training jobs
	losses  []float32
	classes []byte
}

// needs makes a launch's blocks hold a plan.
func (l *launch) needs(p *plan) {
	l.sharedFloats = max(l.sharedFloats, p.sharedFloats)
	l.workFloats = max(l.workFloats, p.workFloats)
}

// upload copies plans, or chains in their place, to the device, and puts their
// addresses in l.
func (w *worker) upload(p *program, l *launch) error {
	parts := [][]byte{driver.Bytes(p.plans), driver.Bytes(p.chains), driver.Bytes(p.ops), driver.Bytes(p.arrays), driver.Bytes(p.params),
		driver.Bytes(p.tensors), driver.Bytes(p.views), driver.Bytes(p.instructions), driver.Bytes(p.numbers)}
	var chains uint64
	addresses := []*uint64{&l.program.Plans, &chains, &l.program.Ops, &l.program.Arrays, &l.program.Params,
		&l.program.Tensors, &l.program.Views, &l.program.Instructions, &l.program.Numbers}
	var all []byte
	for i, part := range parts { // but for the last two, which need less, their sizes are multiples of 8 bytes: all are aligned
		*addresses[i] = uint64(len(all))
		all = append(all, part...)
	}
	if err := w.put(&w.program, all); err != nil {
		return err
	}
	for _, a := range addresses {
		*a += uint64(w.program.at)
	}
	return nil
}

// grid is how many blocks of a launch run at a time on the device.
func (w *worker) grid(l *launch) (int, error) {
	blocks, err := l.kernel.BlocksPerSM(blockThreads, int(4*l.sharedFloats))
	return max(1, blocks) * w.device.SMs, err
}

// run runs a launch to its end. Where the device has no memory for a grid of
// blocks, fewer run.
func (w *worker) run(l *launch) error {
	grid, err := w.grid(l)
	if err != nil {
		return err
	}
	grid = min(grid, len(l.jobs))
	for {
		err := w.fit(&w.work, 4*grid*int(l.workFloats))
		if err == nil {
			break
		}
		if !errors.Is(err, driver.ErrOutOfMemory) || grid == 1 {
			return fmt.Errorf("buffers for values of %d blocks: %w", grid, err)
		}
		grid /= 2
	}
	type part struct {
		buffer *buffer
		bytes  []byte
	}
	results := part{&w.results, driver.Bytes(l.results)} // they go in as zeros: a job that does not run shows
	for _, in := range []part{{&w.jobs, driver.Bytes(l.jobs)}, {&w.scalars, driver.Bytes(l.scalars)}, results} {
		if err := w.put(in.buffer, in.bytes); err != nil {
			return err
		}
	}
	outs := []part{results, {&w.losses, driver.Bytes(l.losses)}, {&w.classes, l.classes}}
	for _, out := range outs {
		if err := w.fit(out.buffer, len(out.bytes)); err != nil {
			return err
		}
	}
	control := make([]struct {
		launch packedLaunch
		queue  uint64 // of jobs taken
	}, 1)
	if err := w.fit(&w.control, int(unsafe.Sizeof(control[0]))); err != nil {
		return err
	}
	c := l.program
	c.Jobs, c.Scalars = uint64(w.jobs.at), uint64(w.scalars.at)
	c.Results, c.Losses, c.Classes = uint64(w.results.at), uint64(w.losses.at), uint64(w.classes.at)
	c.Queue = uint64(w.control.at) + uint64(unsafe.Offsetof(control[0].queue))
	c.Work, c.WorkStride = uint64(w.work.at), l.workFloats
	c.JobsCount = int32(len(l.jobs))
	control[0].launch = c
	if err := w.context.CopyIn(w.control.at, driver.Bytes(control)); err != nil {
		return err
	}
	if err := w.context.Launch(l.kernel, grid, blockThreads, int(4*l.sharedFloats), uint64(w.control.at)); err != nil {
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
