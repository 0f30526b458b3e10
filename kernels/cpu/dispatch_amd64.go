//go:build amd64 && !purego

package cpu

import x86 "golang.org/x/sys/cpu"

//go:generate rm -f dense_amd64.s dense_amd64.go tables_amd64.go
//go:generate go run -C _asm . -out ../dense_amd64.s -stubs ../dense_amd64.go -pkg cpu

// available lists the sets that this processor runs, the fastest first.
func available() []*routines {
	sets := []*routines{&portable}
	if x := &x86.X86; x.HasAVX2 && x.HasFMA && x.HasBMI1 && x.HasPOPCNT {
		sets = append([]*routines{&avx2}, sets...)
		if x.HasAVX512F && x.HasAVX512DQ && x.HasAVX512BW && x.HasAVX512VL {
			sets = append([]*routines{&avx512}, sets...)
		}
	}
	return sets
}

// hotDensity is of both sets, whose arithmetic is one.
const hotDensity = 0.46
