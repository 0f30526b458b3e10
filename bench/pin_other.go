//go:build !linux

package bench

// onOneCore starts a process on whatever core the system chooses.
func onOneCore(start func() error) error { return start() }
