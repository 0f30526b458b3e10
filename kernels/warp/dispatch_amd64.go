//go:build amd64 && !purego

package warp

import x86 "golang.org/x/sys/cpu"

//go:generate rm -f warp_amd64.s warp_amd64.go
//go:generate go run -C _asm . -out ../warp_amd64.s -stubs ../warp_amd64.go -pkg warp

var avx2 = routines{name: "AVX2", pad: padAVX2, thicken: thickenAVX2, quads: quadsAVX2, resample: resampleAVX2, bend: bendAVX2}

// available lists the sets that this processor runs, the fastest first. Registers
// of AVX-512 would load no faster what this spends its time on.
func available() []*routines {
	if x86.X86.HasAVX2 {
		return []*routines{&avx2, &portable}
	}
	return []*routines{&portable}
}
