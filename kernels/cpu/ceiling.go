package cpu

import (
	"runtime"
	"sync"
	"time"
)

// Ceiling measures how many float32 operations a second this machine does at
// most on so many cores at once, in GFLOP/s: multiply-adds on registers alone,
// in the instruction set that New takes. It takes about d. A core's rate is that
// of its fastest millisecond, so that what else runs meanwhile counts little;
// cores beyond runtime.GOMAXPROCS take turns, and count as if they did not.
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
			sums := make([]float32, r.ceilingSums)
			turns, most := 1000, 0.0
			for start := time.Now(); ; {
				from := time.Now()
				r.ceiling(sums, 0.5, 1, turns)
				took := time.Since(from)
				if took < time.Millisecond/2 { // a warm-up
					turns *= 2
				} else {
					most = max(most, float64(2*r.ceilingSums*turns)/float64(took))
				}
				if most > 0 && time.Since(start) >= d {
					break
				}
			}
			adding.Lock()
			all += most
			adding.Unlock()
		})
	}
	workers.Wait()
	return all
}
