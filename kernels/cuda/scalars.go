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

// scalarsKey is what a stretch of steps' scalars depends on: networks that share
// it share a table.
type scalarsKey struct {
	rate             kernels.Schedule
	optimizer        kernels.Optimizer
	perEpoch, epochs int
	step, steps      int
}

// scalarTables holds the tables of a launch.
type scalarTables struct {
	all   []packedScalars
	index map[scalarsKey]int64
}

// add returns the index of the first step's scalars.
func (s *scalarTables) add(k scalarsKey) int64 {
	if i, ok := s.index[k]; ok {
		return i
	}
	if s.index == nil {
		s.index = map[scalarsKey]int64{}
	}
	i := int64(len(s.all))
	s.index[k] = i
	for t := k.step; t < k.step+k.steps; t++ {
		s.all = append(s.all, scalarsOf(k.optimizer, k.rate.At(t, k.perEpoch, k.epochs), t))
	}
	return i
}

// scalarsOf computes what kernels.Update derives from a step alone, as it does.
func scalarsOf(o kernels.Optimizer, stepSize float32, t int) packedScalars {
	_, shrunk := o.Decay(false)
	s := packedScalars{StepSize: stepSize, Shrink: 1 - float32(stepSize*float32(shrunk))}
	if o.Rule() == kernels.Adam {
		share1 := 1 - math.Pow(o.Beta1, float64(t+1))
		share2 := 1 - math.Pow(o.Beta2, float64(t+1))
		s.Rate, s.Root = float32(float64(stepSize)/share1), float32(math.Sqrt(share2))
	}
	return s
}
