package cpu

import (
	"runtime"
	"sync"
	"time"
)

// ceilingSlices is how many times at least a core's rate is measured, whatever
// time that takes: where others compute too, most of them are interrupted.
const ceilingSlices = 20

// Ceiling measures how many float32 operations a second this machine does at
// most on so many cores at once, in GFLOP/s: multiply-adds on registers alone,
// in the instruction set that New takes. It takes about d, and more on a machine
// under load. A core's rate is that of its fastest slice of a millisecond, so that
// what else runs meanwhile counts little; cores beyond runtime.GOMAXPROCS take
// turns, and count as if they did not.
func Ceiling(cores int, d time.Duration) float64 { return available()[0].measureCeiling(cores, d) }

func (r *routines) measureCeiling(cores int, d time.Duration) float64 {
	var (
		all     float64
		adding  sync.Mutex
		workers sync.WaitGroup
	)
	for range cores {
		workers.Go(func() {
			runtime.LockOSThread()
			defer runtime.UnlockOSThread()
			start := time.Now()
			rate := r.coreCeiling(d, func() time.Duration { return time.Since(start) })
			adding.Lock()
			all += rate
			adding.Unlock()
		})
	}
	workers.Wait()
	return all
}

// coreCeiling is the rate of the core that it runs on. since is a clock.
func (r *routines) coreCeiling(d time.Duration, since func() time.Duration) float64 {
	sums, turns, most := make([]float32, r.ceilingSums), 1000, 0.0
	start := since()
	for slices := 0; slices < ceilingSlices || since()-start < d; slices++ {
		from := since()
		r.ceiling(sums, 0.5, 1, turns)
		took := since() - from
		if took > 0 {
			most = max(most, float64(2*r.ceilingSums*turns)/float64(took))
		}
		if took < time.Millisecond/2 {
			turns *= 2
		}
	}
	return most
}
