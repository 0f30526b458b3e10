//go:build gpu && !cpu && linux && amd64 && cgo

package cuda

import (
	"context"
	"errors"
	"fmt"
	"time"

	"vanilla/internal/cuda/driver"
	"vanilla/internal/cuda/image"
)

// Of ceilings.cu, and the words of 16 bytes that it reads: of L2 as many as fit that
// of any device, of shared memory so many that several blocks run on a multiprocessor.
const (
	ceilingThreads  = 256
	ceilingAhead    = 8
	ceilingProducts = 1024
	l2Words         = 2 << 20 / 16
	sharedWords     = 32 << 10 / 16
)

// Ceilings measures every GPU, each ceiling so many times. A rate counts only if every
// thread's result is the one that the work has.
func Ceilings(ctx context.Context, samples int) ([]Ceiling, error) {
	devices, err := driver.Devices()
	if err != nil {
		return nil, err
	}
	var all []Ceiling
	for _, d := range devices {
		found, err := ceilingsOf(ctx, d.Index, samples)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", d.Name, err)
		}
		all = append(all, found...)
	}
	return all, nil
}

func ceilingsOf(ctx context.Context, index, samples int) (all []Ceiling, err error) {
	c, err := driver.Open(index)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, c.Close()) }()
	for _, name := range []string{"l2", "shared", "tensor"} {
		w, err := newCeilingWork(c, name)
		if err != nil {
			return nil, err
		}
		if w == nil {
			continue
		}
		start := time.Now()
		times, err := sampled(samples, func(times int) error { return w.do(ctx, times) }, w.check, func() time.Duration { return time.Since(start) })
		if err != nil {
			return nil, fmt.Errorf("%s: %w", w.what, err)
		}
		for i := range times {
			times[i] *= w.once / 1e9
		}
		all = append(all, Ceiling{c.Device().String(), w.what, w.unit, times})
	}
	return all, nil
}

// ceilingWork is a kernel of ceilings.cu with all that it needs on a device that it fills.
type ceilingWork struct {
	what, unit string
	once       float64 // bytes or operations of one pass
	context    *driver.Context
	kernel     *driver.Function
	grid       int
	shared     int // bytes
	words      []uint32
	from, sums driver.Pointer
	expected   func(passes int) []uint32 // of each thread of a block
}

// newCeilingWork is nil for what a device has not.
func newCeilingWork(c *driver.Context, name string) (*ceilingWork, error) {
	d := c.Device()
	w := &ceilingWork{context: c}
	perBlock, words := 0.0, 0
	switch name {
	case "l2":
		w.what, w.unit, words = "L2, read", "GB/s", l2Words
	case "shared":
		w.what, w.unit, words = "shared memory, read", "GB/s", sharedWords
		w.shared = 16 * words
	case "tensor":
		if d.Major < 8 { // they have no bf16
			return nil, nil
		}
		w.what, w.unit = "tensor cores, bf16 products with float32 sums", "GFLOP/s"
		perBlock = 2 * 16 * 8 * 16 * ceilingAhead * ceilingProducts * ceilingThreads / 32
		w.expected = expectedHashes
	}
	code, err := image.Load("ceilings")
	if err != nil {
		return nil, err
	}
	module, err := c.Load(code)
	if err != nil {
		return nil, err
	}
	if w.kernel, err = module.Function("kernel_ceiling_" + name); err != nil {
		return nil, err
	}
	blocks, err := w.kernel.BlocksPerSM(ceilingThreads, w.shared)
	if err != nil {
		return nil, err
	}
	w.grid = d.SMs * max(1, blocks)
	if words > 0 {
		perBlock = float64(16 * words)
		w.words = make([]uint32, 4*words)
		for i := range w.words {
			w.words[i] = uint32(i+1) * 2654435761
		}
		w.expected = w.expectedSums
		if w.from, err = c.Alloc(4 * len(w.words)); err != nil {
			return nil, err
		}
		if err := c.CopyIn(w.from, driver.Bytes(w.words)); err != nil {
			return nil, err
		}
	}
	w.once = perBlock * float64(w.grid)
	w.sums, err = c.Alloc(4 * w.grid * ceilingThreads)
	return w, err
}

// expectedSums: a thread reads each word of its number, modulo the threads, once in a
// pass; in shared memory words are one further.
func (w *ceilingWork) expectedSums(passes int) []uint32 {
	sums := make([]uint32, ceilingThreads)
	n := len(w.words) / 4
	for i := range n {
		at := i
		if w.shared > 0 {
			at = (i + 1) % n
		}
		for _, v := range w.words[4*i : 4*i+4] {
			sums[at%ceilingThreads] += uint32(passes) * v
		}
	}
	return sums
}

// expectedHashes are those of what warps multiply.
func expectedHashes(passes int) []uint32 {
	hashes := make([]uint32, ceilingThreads)
	for thread := range hashes {
		row, col := thread%32/4, thread%4*2
		for range passes {
			for n := range ceilingAhead {
				for i := range 4 {
					element := 16 * ceilingProducts * (row + i/2*8 + 1) * (col + i%2 + 1 + 8*n)
					hashes[thread] = hashes[thread]*31 + uint32(element)
				}
			}
		}
	}
	return hashes
}

// launchPasses is how many passes one launch makes at most: a device that draws the
// screen too ends launches of seconds.
const launchPasses = 1 << 12

// do makes so many passes.
func (w *ceilingWork) do(ctx context.Context, passes int) error {
	for left := passes; left > 0; left -= launchPasses {
		args := []uint64{uint64(min(left, launchPasses)), uint64(w.sums)}
		if w.words != nil {
			args = append([]uint64{uint64(w.from), uint64(len(w.words) / 4)}, args...)
		}
		if err := w.context.Launch(w.kernel, w.grid, ceilingThreads, w.shared, args...); err != nil {
			return err
		}
	}
	if err := w.context.Synchronize(); err != nil { // Wait looks once a millisecond
		return err
	}
	return context.Cause(ctx)
}

// check fails if after so many passes a thread's result is another one than it must be.
func (w *ceilingWork) check(passes int) error {
	got, want := make([]uint32, w.grid*ceilingThreads), w.expected((passes-1)%launchPasses+1)
	if err := w.context.CopyOut(driver.Bytes(got), w.sums); err != nil {
		return err
	}
	for i, v := range got {
		if v != want[i%ceilingThreads] {
			return fmt.Errorf("thread %d of block %d comes to %d, want %d: the rate does not count", i%ceilingThreads, i/ceilingThreads, v, want[i%ceilingThreads])
		}
	}
	return nil
}
