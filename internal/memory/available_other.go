//go:build !linux

package memory

// Available is how many bytes the process may still take; ok is false: this system is not asked.
func Available() (bytes uint64, ok bool) { return 0, false }
