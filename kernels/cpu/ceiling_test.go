package cpu

import (
	"slices"
	"testing"
	"time"
)

func TestCeilingRoutine(t *testing.T) {
	eachSet(t, func(t *testing.T, r *routines) {
		for turns := range 130 {
			got := newGuarded(r.ceilingSums, offsets[turns%len(offsets)], random)
			want := slices.Clone(got.room)
			r.ceiling(got.room, 0.75, 0.5, turns)
			for i := range want {
				for range turns {
					want[i] = want[i]*0.75 + 0.5
				}
			}
			// A rounding or two a turn, of which a quarter fades each turn; sums up to 2.
			same(t, "sums", got.room, want, 4*4*ulp, 0)
			if !got.intact() {
				t.Fatal("guards are overwritten")
			}
		}
	})
}

// TestCeiling: a set's ceiling is beside what its product reaches in cache, which
// multiplies and adds as fast as it can but also loads; half of it, were the minutes
// bad in between.
func TestCeiling(t *testing.T) {
	eachSet(t, func(t *testing.T, r *routines) {
		const n, depth, times = 96, 256, 20
		a, w := make([]float32, n*depth), make([]float32, depth*lanes)
		z, zeros := make([]float32, n*lanes), make([]float32, lanes)
		fastest := time.Duration(1 << 62)
		for range 50 {
			start := time.Now()
			for range times {
				r.multiply(z, zeros, a, w, n, n, depth, 1, 0, lanes, depth*lanes)
			}
			fastest = min(fastest, time.Since(start))
		}
		product := times * 2 * n * depth * lanes / float64(fastest)
		if one := r.measureCeiling(1, 20*time.Millisecond); !(one > product/2 && one < 100*product) {
			t.Errorf("ceiling %.1f GFLOP/s, a product %.1f", one, product)
		}
	})
	if c := Ceiling(2, time.Millisecond); !(c > 0) {
		t.Errorf("ceiling of two cores %v GFLOP/s", c)
	}
}
