//go:build unix

package bench

import (
	"time"

	"golang.org/x/sys/unix"
)

// processorTime is how long processors have worked for this process: its own instructions and the system's on its behalf, on
// all threads. It is false where the system does not tell.
func processorTime() (time.Duration, bool) {
	var u unix.Rusage
	if unix.Getrusage(unix.RUSAGE_SELF, &u) != nil {
		return 0, false
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano()), true
}
