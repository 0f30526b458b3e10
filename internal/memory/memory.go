// Package memory knows how much memory the process may still use, so that work which cannot fit is refused before it
// begins: Go's runtime ends a process that runs out of memory, and so does the system.
package memory

import "fmt"

// Error is work that does not fit.
type Error struct {
	What            string // needs the memory
	Need, Available uint64 // bytes
}

func (e *Error) Error() string {
	return fmt.Sprintf("%s needs about %s of memory, %s are available", e.What, size(e.Need), size(e.Available))
}

// Check fails with an *Error if what needs more bytes than are available. Where the system does not say how many are,
// everything fits.
func Check(what string, bytes uint64) error {
	if bytes < unchecked {
		return nil
	}
	if there, ok := Available(); ok && bytes > there {
		return &Error{what, bytes, there}
	}
	return nil
}

// unchecked is so little that asking the system is not worth its time.
const unchecked = 64 << 20

// size prints bytes as people say them.
func size(bytes uint64) string {
	if bytes < 1e9 {
		return fmt.Sprintf("%.0f MB", float64(bytes)/1e6)
	}
	return fmt.Sprintf("%.1f GB", float64(bytes)/1e9)
}
