package cuda

import (
	"math"

	"vanilla/kernels"
)

// setOptimizer fills in what kernels.Update rounds to float32. What decay shrinks
// by itself is in Scalars' Shrink.
func (j *packedJob) setOptimizer(o kernels.Optimizer) {
	j.Optimizer = int32(o.Rule()) // format.cuh has the same numbers
	added, _ := o.Decay(false)
	j.Decay = float32(added)
	j.Keep = float32(o.Momentum)
	j.Beta1, j.Beta2 = float32(o.Beta1), float32(o.Beta2)
	j.Rest1, j.Rest2 = float32(1-o.Beta1), float32(1-o.Beta2)
	j.Epsilon = float32(o.Epsilon)
}

// packedCourse is course.cu's Course, field by field.
type packedCourse struct {
	Peak, Beta1, Beta2, Share float64
	Factors, Sums, Carried    int64
	Warmup, Hold, PerEpoch    int32
	Shrinking                 float32
}

// epochThreads is the number of threads in a block of kernel_epochs.
const epochThreads = 32

// factorsKey is what a schedule's factors depend on: networks that differ in their
// peak learning rate alone share a table.
type factorsKey struct {
	schedule         kernels.Schedule // of learning rate zero
	perEpoch, epochs int
}

func factorsKeyOf(v *kernels.Variant, perEpoch int) factorsKey {
	k := factorsKey{v.Schedule, perEpoch, v.Epochs}
	k.schedule.LR = 0
	return k
}

// factors is a schedule's table: kernels.Schedule.Factor, once for each stretch of
// steps in which it stays the same.
type factors struct {
	key          factorsKey
	warmup, hold int
	from         int       // the stretch of the first number
	table        []float64 // what launches have needed, without what lies behind all networks
	// What the next launch needs, in stretches, and from where on there will be needs.
	first, end, kept int
}

func newFactors(k factorsKey) *factors {
	return &factors{key: k, warmup: k.schedule.WarmupSteps(k.perEpoch), hold: k.schedule.Hold(k.perEpoch)}
}

// begin begins the needs of a launch.
func (f *factors) begin() { f.first, f.end, f.kept = math.MaxInt, 0, math.MaxInt }

// keep keeps what a network needs that stands at a step, now or in launches to come.
func (f *factors) keep(step int) { f.kept = min(f.kept, max(0, step-f.warmup)/f.hold) }

// need adds steps to the needs of a launch.
func (f *factors) need(step, steps int) {
	if last := step + steps - 1 - f.warmup; last >= 0 {
		f.first = min(f.first, max(0, step-f.warmup)/f.hold)
		f.end = max(f.end, last/f.hold+1)
	}
}

// fill computes what is missing of the launch's needs, and returns how many numbers
// that is.
func (f *factors) fill() int {
	if f.end == 0 {
		return 0
	}
	from := min(f.first, f.kept)
	if known := from - f.from; known >= 0 && known <= len(f.table) {
		f.table = f.table[known:]
	} else {
		f.table = f.table[:0]
	}
	f.from = from
	computed := 0
	for k := f.from + len(f.table); k < f.end; k++ {
		f.table = append(f.table, f.key.schedule.Factor(k*f.hold, f.key.perEpoch, f.key.epochs))
		computed++
	}
	return computed
}

// needed is the part of the table that the launch needs, after fill.
func (f *factors) needed() []float64 {
	if f.end == 0 {
		return nil
	}
	return f.table[f.first-f.from : f.end-f.from]
}
