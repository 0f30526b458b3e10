package cpu

import (
	"time"

	"golang.org/x/sys/unix"
)

// processorTime is what the process has used so far: on a machine that is
// shared, it says more than the time that has passed.
func processorTime() time.Duration {
	var u unix.Rusage
	if err := unix.Getrusage(unix.RUSAGE_SELF, &u); err != nil {
		return 0
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}
