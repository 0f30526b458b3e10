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
			want := slices.Clone(got.data)
			r.ceiling(got.data, 0.75, 0.5, turns)
			for i := range want {
				for range turns {
					want[i] = want[i]*0.75 + 0.5
				}
			}
			// A rounding or two a turn, of which a quarter fades each turn; sums up to 2.
			same(t, "sums", got.data, want, 4*4*ulp, 0)
			if !got.intact() {
				t.Fatal("guards are overwritten")
			}
		}
	})
}

// TestCeilingUnderLoad: the rate is that of the fastest slice, were all others
// interrupted, from the first one on.
func TestCeilingUnderLoad(t *testing.T) {
	const nanoseconds = 3 // a turn
	for _, undisturbed := range []int{1, 7, ceilingSlices - 1} {
		var now time.Duration
		r, calls := portable, 0
		r.ceiling = func(_ []float32, _, _ float32, turns int) {
			now += time.Duration(turns * nanoseconds)
			if calls != undisturbed {
				now += 40 * time.Millisecond
			}
			calls++
		}
		got := r.coreCeiling(time.Millisecond, func() time.Duration { return now })
		if want := float64(2*r.ceilingSums) / nanoseconds; got != want {
			t.Errorf("%v GFLOP/s with slice %d undisturbed, want %v", got, undisturbed, want)
		}
		if calls != ceilingSlices {
			t.Errorf("%d slices, want %d", calls, ceilingSlices)
		}
	}
}

// TestCeilingSlices: alone, slices grow until they take a millisecond, and
// measuring takes the time that was asked for.
func TestCeilingSlices(t *testing.T) {
	var now time.Duration
	r, longest := portable, 0
	r.ceiling = func(_ []float32, _, _ float32, turns int) {
		longest = max(longest, turns)
		now += time.Duration(turns)
	}
	if got := r.coreCeiling(time.Second, func() time.Duration { return now }); got != float64(2*r.ceilingSums) {
		t.Errorf("%v GFLOP/s, want %d", got, 2*r.ceilingSums)
	}
	if slice := time.Duration(longest); slice < time.Millisecond/2 || slice > time.Millisecond {
		t.Errorf("slices of %v", slice)
	}
	if now < time.Second || now > time.Second+2*time.Millisecond {
		t.Errorf("measured for %v, want a second", now)
	}
}

// TestCeiling: cores add up to a rate.
func TestCeiling(t *testing.T) {
	eachSet(t, func(t *testing.T, r *routines) {
		if c := r.measureCeiling(2, time.Millisecond); !(c > 0) {
			t.Errorf("ceiling of two cores %v GFLOP/s", c)
		}
	})
}
