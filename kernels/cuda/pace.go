package cuda

import (
	"time"

	"vanilla/graph/ir"
	"vanilla/kernels"
)

// sliceSeconds is how long a launch should take: between two of them progress is
// reported, states are kept and cancelling is noticed.
const sliceSeconds = 0.5

// What the generic kernel takes for a unit of stepWork, by the model: 122,000 cycles
// for a step of 784-16-16-10 at batch 32 in a block alone, and 68,000 of a
// multiprocessor that runs two, which is the table's row.
const genericAlone, genericShared = 0.057, 0.032

// blockWork is the work of a block in a second, by the model of an H100. Work is what the
// generic kernel does in the time: its floating-point operations, and what waits cost.
const blockWork = ModelledClock / genericAlone

// firstWork is what a block may be given in the first launch, before anything is known of
// the device: 16 ms by the model. A device ten times slower is soon done with it.
const firstWork = 0.016 * blockWork

// growth is how many times as much work as was measured a launch may have. There are two
// of a size, since two are under way.
const growth = 4

// opWork is what an operation costs besides its products, in the same unit: the
// time that a block waits at its barriers.
const opWork = 2e4

// stepWork is the work of a step of the generic kernel.
func stepWork(v *kernels.Variant, batch int) float64 { return workOf(v.Program(), batch) }

func workOf(p *ir.Program, batch int) float64 {
	return float64(batch)*float64(p.FLOPs()) + opWork*float64(len(p.Ops)+len(p.Params))
}

// pace is how much work a block may be given in a launch: 0 before the first one.
type pace float64

// most is how much work a block may be given in the next launch.
func (c pace) most() float64 {
	if c == 0 {
		return firstWork
	}
	return float64(c)
}

// observe learns from a launch in which the busiest block had so much work: a device is
// never given much more than was measured.
func (c *pace) observe(work float64, elapsed time.Duration) {
	factor := min(growth, sliceSeconds/max(elapsed.Seconds(), 1e-6))
	if may := pace(work * factor); factor < 1 || may > *c {
		*c = may
	}
}
