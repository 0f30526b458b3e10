//go:build !linux

package cpu

// hugePages is n zeros.
func hugePages[T byte | float32](n int) []T { return make([]T, n) }
