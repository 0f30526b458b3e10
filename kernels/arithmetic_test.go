package kernels

import (
	"math/big"
	"runtime"
	"strings"
	"testing"
)

// TestGoArithmetic: the name says what compiled products and sums do.
func TestGoArithmetic(t *testing.T) {
	name := GoArithmetic()
	if !strings.HasPrefix(name, "Go on "+runtime.GOARCH) {
		t.Fatalf("%q on %s", name, runtime.GOARCH)
	}
	const x = 1 + 0x1p-12
	square := new(big.Float).Mul(big.NewFloat(x), big.NewFloat(x))
	once, _ := square.Sub(square, big.NewFloat(1+0x1p-11)).Float32()
	if fused := multiplyAdd(x, x, -(1+0x1p-11)) == once; runtime.GOARCH == "amd64" && fused != strings.HasSuffix(name, "with FMA") {
		t.Errorf("%q, and x*y + z is rounded once: %t", name, fused)
	}
}
