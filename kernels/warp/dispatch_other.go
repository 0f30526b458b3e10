//go:build !amd64 || purego

package warp

// available lists the sets that this build has.
func available() []*routines { return []*routines{&portable} }
