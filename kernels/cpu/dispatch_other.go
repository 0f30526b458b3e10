//go:build !amd64 || purego

package cpu

// available lists the sets that this build has.
func available() []*routines { return []*routines{&portable} }
