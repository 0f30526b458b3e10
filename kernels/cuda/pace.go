package cuda

import (
	"time"

	"vanilla/kernels"
)

// sliceSeconds is how long a launch should take: between two of them progress is
// reported, states are kept and cancelling is noticed.
const sliceSeconds = 0.5

// firstWork is what a job may cost in the first launch, before anything is known
// of the device: about 10 ms of a block.
const firstWork = 5e8

// opWork is what an operation costs besides its products, in the same unit: the
// time that a block waits at its barriers.
const opWork = 2e4

// pace says how many steps a job may take in a launch.
type pace struct{ work float64 } // 0: nothing is known yet

// stepWork is what a step costs, in floating-point operations.
func stepWork(v *kernels.Variant, batch int) float64 {
	p := v.Program
	return float64(batch)*float64(p.FLOPs()) + opWork*float64(len(p.Ops)+len(p.Params))
}

// steps is how many units of work a job may take, at least one, where so many
// jobs share a grid of blocks.
func (c *pace) steps(work float64, jobs, grid int) int {
	if c.work == 0 {
		c.work = firstWork
	}
	return max(1, int(c.work*min(1, float64(grid)/float64(jobs))/work))
}

// observe learns from a launch. bound is whether its length was of this pace's
// making: where networks ended by themselves, it says nothing about longer ones.
func (c *pace) observe(elapsed time.Duration, bound bool) {
	factor := min(2, max(1./8, sliceSeconds/max(elapsed.Seconds(), 1e-6)))
	if factor > 1 && !bound {
		return
	}
	c.work *= factor
}
