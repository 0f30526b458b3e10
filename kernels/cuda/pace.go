package cuda

import (
	"time"

	"vanilla/graph/ir"
	"vanilla/kernels"
)

// sliceSeconds is how long a launch should take: between two of them progress is
// reported, states are kept and cancelling is noticed.
const sliceSeconds = 0.5

// firstWork is what a block may be given in the first launch, before anything is
// known of the device: about 10 ms.
const firstWork = 5e8

// opWork is what an operation costs besides its products, in the same unit: the
// time that a block waits at its barriers.
const opWork = 2e4

// stepWork is what a step costs, in floating-point operations.
func stepWork(v *kernels.Variant, batch int) float64 { return workOf(v.Program(), batch) }

func workOf(p *ir.Program, batch int) float64 {
	return float64(batch)*float64(p.FLOPs()) + opWork*float64(len(p.Ops)+len(p.Params))
}

// pace is how much work a block may be given in a launch: 0 before the first one.
type pace float64

// steps is how many units of work a job may take, at least one, where so many
// jobs share a grid of blocks. Before anything is known it is at most first.
func (c pace) steps(work float64, jobs, grid, first int) int {
	share := min(1, float64(grid)/float64(jobs))
	if c == 0 {
		return max(1, min(first, int(firstWork*share/work)))
	}
	return max(1, int(float64(c)*share/work))
}

// observe learns from a launch in which the busiest block had so much work. Work
// may double from launch to launch, so a device is never given much more than
// was measured.
func (c *pace) observe(work float64, elapsed time.Duration) {
	factor := min(2, sliceSeconds/max(elapsed.Seconds(), 1e-6))
	if may := pace(work * factor); factor < 1 || may > *c {
		*c = may
	}
}
