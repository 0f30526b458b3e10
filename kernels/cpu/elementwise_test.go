package cpu

import (
	"fmt"
	"math"
	"math/rand/v2"
	"strings"
	"testing"
)

// special are numbers that are treated in a special way somewhere.
var special = []float32{0, float32(math.Copysign(0, -1)), 1, -1, 0.375, -0.375, 0.374, 1e-40, -1e-40, 1e-30, 86, -86, 100, -100,
	3e38, -3e38, float32(math.Inf(1)), float32(math.Inf(-1)), float32(math.NaN())}

// TestElementwise: every function on special numbers in every lane, at lengths
// of 0 to 129 vectors. Sigmoids that fade out are cut to zero in portable Go,
// and to the smallest normal numbers in assembly: tiny.
func TestElementwise(t *testing.T) {
	each(t, func(t *testing.T, r *routines) {
		one := func(f func(h, z []float32)) func(r, a, b []float32) {
			return func(to, a, _ []float32) { f(to, a) }
		}
		for _, c := range []struct {
			name      string
			got, want func(to, a, b []float32)
			reads     operands
		}{
			{"sigmoid", one(r.sigmoid), one(portable.sigmoid), inputs},
			{"tanh", one(r.tanh), one(portable.tanh), inputs},
			{"relu", one(r.relu), one(portable.relu), inputs},
			{"softplus", one(r.softplus), one(portable.softplus), inputs},
			{"silu", one(r.silu), one(portable.silu), inputs},
			{"gelu", one(r.geluTanh), one(portable.geluTanh), inputs},
			{"softsign", one(r.softsign), one(portable.softsign), inputs},
			{"leaky relu", one(func(h, z []float32) { r.leakyReLU(h, z, leak) }), one(func(h, z []float32) { leakyReLU(h, z, leak) }), inputs},
			{"sigmoid backward", r.sigmoidBackward, portable.sigmoidBackward, outputs},
			{"tanh backward", r.tanhBackward, portable.tanhBackward, outputs},
			{"softplus backward", r.softplusBackward, portable.softplusBackward, slopes},
			{"silu backward", r.siluBackward, portable.siluBackward, slopes},
			{"gelu backward", r.geluTanhBackward, portable.geluTanhBackward, slopes},
			{"softsign backward", r.softsignBackward, portable.softsignBackward, slopes},
			{"relu backward", func(to, a, b []float32) { r.rectifyBackward(to, a, b, 0) }, func(to, a, b []float32) { rectifyBackward(to, a, b, 0) }, slopes},
			{"rectify backward", func(to, a, b []float32) { r.rectifyAtZeroBackward(to, a, b, 0) }, func(to, a, b []float32) { rectifyAtZeroBackward(to, a, b, 0) }, slopes},
			{"leaky relu backward", func(to, a, b []float32) { r.rectifyBackward(to, a, b, leak) }, func(to, a, b []float32) { rectifyBackward(to, a, b, leak) }, slopes},
		} {
			relative, absolute := ulps*ulp, tiny
			if strings.HasPrefix(c.name, "gelu") || strings.HasPrefix(c.name, "silu") {
				// An exponential magnifies the rounding of its argument, at most 70
				// where results exceed tiny; and they are tiny times z, below 100.
				relative, absolute = (ulps+2*70)*ulp, 100*tiny
			}
			if c.name == "silu backward" || c.name == "gelu backward" {
				absolute = ulps * ulp // a slope is a difference of terms of about 1
			}
			for vectors := range 130 {
				n := vectors * lanes
				offset := offsets[vectors%len(offsets)]
				draw := func(scale float32, finite bool) func(i int) float32 {
					return func(i int) float32 {
						if k := i*7 + vectors; k%3 == 0 && (!finite || special[k%len(special)] < 2 && special[k%len(special)] > -2) {
							return special[k%len(special)]
						}
						return scale * random(i)
					}
				}
				a, b := newGuarded(n, offset, draw(20, c.reads != inputs)), newGuarded(n, offset, draw(1, true))
				if c.reads == slopes {
					b = newGuarded(n, offset, draw(20, false))
				}
				got := newGuarded(n, offset, random)
				want := make([]float32, n)
				c.got(got.data, a.data, b.data)
				c.want(want, a.data, b.data)
				// Up to ulps of half a unit on both sides.
				same(t, c.name, got.data, want, absolute, relative)
				c.got(a.data, a.data, b.data) // the result may take an operand's place
				same(t, c.name+" in place", a.data, got.data, 0, 0)
				if !got.intact() || !a.intact() {
					t.Fatalf("%s, %d vectors: guards are overwritten", c.name, vectors)
				}
			}
		}
	})
}

// operands says what an element-wise function reads.
type operands int

const (
	inputs  operands = iota // any number
	outputs                 // a gradient, and an activation's output: finite
	slopes                  // a gradient, which is finite, and any number
)

func TestSoftmax(t *testing.T) {
	each(t, func(t *testing.T, r *routines) {
		for classes := 1; classes <= 129; classes++ {
			for blocks := range 3 {
				offset, block := offsets[classes%len(offsets)], padded(classes)*lanes
				labels := make([]byte, blocks*lanes)
				for i := range labels {
					labels[i] = byte(rand.IntN(classes))
				}
				got := newGuarded(blocks*block, offset, func(i int) float32 { return float32(20 * rand.NormFloat64()) })
				losses := newGuarded(blocks*lanes, offset, random)
				if blocks == 2 { // an example that is not finite, and one that is far off
					got.data[3], got.data[5], got.data[6] = float32(math.NaN()), 1e30, float32(math.Inf(1))
				}
				want, wantLosses := append([]float32(nil), got.data...), make([]float32, blocks*lanes)
				r.softmax(got.data, losses.data, labels, block, classes, 0.25)
				softmax(want, wantLosses, labels, block, classes, 0.25)
				what := fmt.Sprintf("%d classes", classes)
				// The exponential of a difference of about 100 is off by as many units.
				same(t, what, got.data, want, 2*ulp, 0)
				same(t, what+", losses", losses.data, wantLosses, float64(classes+4)*ulp, 4*ulp)
				if !got.intact() || !losses.intact() {
					t.Fatalf("%s: guards are overwritten", what)
				}
			}
		}
	})
}
