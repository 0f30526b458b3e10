//go:build !linux

package cpu

import "time"

var started = time.Now()

// processorTime is the time that has passed, where there is no other.
func processorTime() time.Duration { return time.Since(started) }
