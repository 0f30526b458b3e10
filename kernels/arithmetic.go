package kernels

import "runtime"

// GoArithmetic names the arithmetic of portable Go code in this binary. The
// language lets a compiler round x*y + z once or twice, and which it does
// depends on the architecture; on amd64, from GOAMD64=v3 on, it rounds once.
func GoArithmetic() string {
	const x = 1 + 0x1p-12
	if runtime.GOARCH == "amd64" && multiplyAdd(x, x, -(1+0x1p-11)) != 0 {
		return "Go on amd64 with FMA"
	}
	return "Go on " + runtime.GOARCH
}

// multiplyAdd is compiled as products and sums of portable Go code are.
//
//go:noinline
func multiplyAdd(x, y, z float32) float32 { return x*y + z }
