package bench

import (
	"context"
	"runtime"
	"time"

	"vanilla/bench/handrolled"
	"vanilla/kernels"
)

// runner is what is timed: an executor, the baseline or a peer.
type runner interface {
	name() string
	// device is the hardware in words, and the versions of what runs there.
	device() (string, map[string]string)
	// onProcessor is whether the work is done by this machine's processor.
	onProcessor() bool
	networks() int
	// advance trains every network so many steps further, or does the case's
	// evaluation once. It returns how long that took.
	advance(ctx context.Context, steps int) (time.Duration, error)
	// weights are network i's parameters, in its program's order. It fails in an
	// evaluation.
	weights(i int) ([][]float32, error)
	// wrong is the fraction of images that the last evaluation got wrong.
	wrong() float64
	// alike is whether each network comes to the reference's loss: on the same batches,
	// with products as good as float32's. Otherwise their mean does, about.
	alike() bool
	// memory is the peak of what it needs, 10⁶ bytes, and of what.
	memory() (mb float64, of string)
	close() error
}

// trained runs an executor.
type trained struct {
	c        Case
	executor kernels.Executor
	pop      kernels.Population
	step     int
	mistaken float64
	used     memory
}

func newTrained(ctx context.Context, c Case, e kernels.Executor) (*trained, error) {
	t := &trained{c: c, executor: e}
	err := t.used.during(func() (err error) {
		if t.pop, err = e.Prepare(c.Data, c.Variants); err != nil {
			return err
		}
		// One step before the clock starts: machines are built and the data is
		// arranged when they are first needed. Then back to the start.
		if err := t.pop.Advance(ctx, t.until(1), nil); err != nil {
			return err
		}
		for i, v := range c.Variants {
			if err := t.pop.Restore(i, v.InitialState()); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil && t.pop != nil {
		t.pop.Close()
	}
	return t, err
}

// nameOf is what results call an executor: cuda, cuda-bf16.
func nameOf(e kernels.Executor) string {
	if p := kernels.Precision(e.Arithmetic()); p != kernels.DefaultPrecision {
		return e.Name() + "-" + p
	}
	return e.Name()
}

// exact is whether an executor's products are of the default precision.
func exact(e kernels.Executor) bool {
	return kernels.Precision(e.Arithmetic()) == kernels.DefaultPrecision
}

func (t *trained) until(step int) []int {
	until := make([]int, len(t.c.Variants))
	for i := range until {
		until[i] = step
	}
	return until
}

func (t *trained) name() string                        { return nameOf(t.executor) }
func (t *trained) device() (string, map[string]string) { return t.executor.Device(), nil }
func (t *trained) onProcessor() bool                   { return !OnGPUs(t.executor.Name()) }
func (t *trained) networks() int                       { return len(t.c.Variants) }
func (t *trained) alike() bool                         { return exact(t.executor) }
func (t *trained) memory() (float64, string)           { return t.used.peakMB() }
func (t *trained) wrong() float64                      { return t.mistaken }
func (t *trained) close() error                        { return t.pop.Close() }

func (t *trained) advance(ctx context.Context, steps int) (time.Duration, error) {
	start := time.Now()
	if t.c.Evaluate {
		t.mistaken = 0
		for i := range t.c.Variants {
			score, err := t.pop.Evaluate(ctx, i, kernels.Train)
			if err != nil {
				return 0, err
			}
			t.mistaken += (1 - score.Accuracy()) / float64(len(t.c.Variants))
		}
		return time.Since(start), nil
	}
	t.step += steps
	err := t.pop.Advance(ctx, t.until(t.step), nil)
	return time.Since(start), err
}

func (t *trained) weights(i int) ([][]float32, error) {
	s, err := t.pop.State(i)
	return s.Params, err
}

// baseline runs the network written by hand on the first variant's weights and
// order.
type baseline struct {
	c        Case
	net      *handrolled.Network
	step     int
	mistaken float64
	used     memory
}

func newBaseline(c Case) *baseline {
	b := &baseline{c: c}
	b.used.during(func() error {
		b.net = handrolled.New(c.Widths)
		start := c.Variants[0].InitialState()
		for l := range b.net.Weights {
			copy(b.net.Weights[l], start.Params[2*l])
			copy(b.net.Biases[l], start.Params[2*l+1])
		}
		return nil
	})
	return b
}

func (b *baseline) name() string                        { return Handrolled }
func (b *baseline) device() (string, map[string]string) { return "CPU, plain Go loops", nil }
func (b *baseline) onProcessor() bool                   { return true }
func (b *baseline) networks() int                       { return 1 }
func (b *baseline) alike() bool                         { return true }
func (b *baseline) memory() (float64, string)           { return b.used.peakMB() }
func (b *baseline) wrong() float64                      { return b.mistaken }
func (b *baseline) close() error                        { return nil }

func (b *baseline) weights(int) ([][]float32, error) {
	var params [][]float32
	for l := range b.net.Weights {
		params = append(params, b.net.Weights[l], b.net.Biases[l])
	}
	return params, nil
}

func (b *baseline) advance(ctx context.Context, steps int) (time.Duration, error) {
	if err := ctx.Err(); err != nil {
		return 0, err
	}
	start := time.Now()
	v, e := b.c.Variants[0], b.c.Data.Train
	if b.c.Evaluate {
		b.mistaken = 1 - b.net.Accuracy(e.Pixels, e.Labels)
		return time.Since(start), nil
	}
	perEpoch := v.StepsPerEpoch(e.Len())
	var shuffled kernels.Order
	batch := make([]int, 0, v.Batch)
	for first := b.step; b.step < first+steps; b.step++ {
		epoch, k := b.step/perEpoch, b.step%perEpoch
		if b.step == first || k == 0 {
			shuffled = kernels.NewOrder(v.OrderSeed, epoch, e.Len())
		}
		batch = batch[:0]
		for i := k * v.Batch; i < min((k+1)*v.Batch, e.Len()); i++ {
			batch = append(batch, shuffled.At(i))
		}
		b.net.Step(e.Pixels, e.Labels, batch, v.Schedule.At(b.step, perEpoch, v.Epochs), float32(v.Optimizer.WeightDecay))
	}
	return time.Since(start), nil
}

// liveHeap is the size of the live heap in bytes.
func liveHeap() float64 {
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return float64(m.HeapAlloc)
}
