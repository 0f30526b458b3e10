package bench

import (
	"runtime"

	"golang.org/x/sys/unix"
)

// onOneCore starts a process on one core, where the system lets it: always the same one, the last that this process may run
// on. Processes that take turns there find the same caches and the same neighbours.
func onOneCore(start func() error) error {
	runtime.LockOSThread() // a process inherits what its parent's thread may run on
	defer runtime.UnlockOSThread()
	var all, one unix.CPUSet
	if unix.SchedGetaffinity(0, &all) != nil {
		return start()
	}
	for core, left := 0, all.Count(); left > 0; core++ {
		if all.IsSet(core) {
			one.Zero()
			one.Set(core)
			left--
		}
	}
	if unix.SchedSetaffinity(0, &one) != nil {
		return start()
	}
	defer unix.SchedSetaffinity(0, &all)
	return start()
}
