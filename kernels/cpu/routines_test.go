package cpu

import (
	"math"
	"math/rand/v2"
	"strings"
	"testing"
	"unsafe"
)

const guard = float32(-12345)

// ulp bounds the rounding of one float32 operation on numbers of about one.
const ulp = 0x1p-23

// guarded is n numbers from f with guards before and after them, offset by
// some elements from a cache line.
type guarded struct {
	all, data []float32
	at        int
}

func newGuarded(n, offset int, f func(i int) float32) guarded {
	all := make([]float32, n+3*lanes)
	misaligned := int(uintptr(unsafe.Pointer(&all[0]))%64) / 4
	at := (lanes-misaligned)%lanes + 1 + offset
	for i := range all {
		all[i] = guard
	}
	g := guarded{all, all[at : at+n : at+n], at}
	for i := range g.data {
		g.data[i] = f(i)
	}
	return g
}

func (g guarded) intact() bool {
	for i, v := range g.all {
		if (i < g.at || i >= g.at+len(g.data)) && v != guard {
			return false
		}
	}
	return true
}

func random(int) float32 { return 2*rand.Float32() - 1 }

// same compares arrays element by element within an absolute and a relative
// tolerance; NaN equals NaN.
func same(t *testing.T, what string, got, want []float32, absolute, relative float64) {
	t.Helper()
	for i := range want {
		g, w := float64(got[i]), float64(want[i])
		if g == w || math.IsNaN(g) && math.IsNaN(w) {
			continue
		}
		if !(math.Abs(g-w) <= absolute+relative*math.Abs(w)) {
			t.Errorf("%s: element %d is %v, want %v", what, i, g, w)
			return
		}
	}
}

// offsets from a cache line, in elements.
var offsets = []int{0, 1, 8, 15}

// each calls test for every set but the portable one, and for that too if a
// build has no other.
func each(t *testing.T, test func(t *testing.T, r *routines)) {
	sets := available()
	if len(sets) > 1 {
		sets = sets[:len(sets)-1]
	}
	for _, r := range sets {
		t.Run(r.name, func(t *testing.T) { test(t, r) })
	}
}

// eachProducts calls test for the products of each set, for whole panels and for
// half ones.
func eachProducts(t *testing.T, test func(t *testing.T, r *routines, p *products, used int)) {
	each(t, func(t *testing.T, r *routines) {
		t.Run("whole", func(t *testing.T) { test(t, r, r.forColumns(half+1), lanes) })
		t.Run("half", func(t *testing.T) { test(t, r, r.forColumns(half), half) })
	})
}

// leave is what panels should hold, where those columns that are not in use may
// also be what they were.
func leave(want, got, before []float32, used int) []float32 {
	for i := range want {
		if i%lanes >= used && got[i] == before[i] {
			want[i] = before[i]
		}
	}
	return want
}

// shapes calls test for every first number of 0 to 129 with some second ones, and
// the other way round.
func shapes(test func(first, second int)) {
	for n := range 130 {
		for _, other := range []int{0, 1, 2, 5, 16, 17, 32, 129} {
			test(n, other)
			test(other, n)
		}
	}
}

// notFinite are numbers that products must not lose.
var notFinite = []float32{float32(math.NaN()), float32(math.Inf(1)), float32(math.Inf(-1))}

// withDensity is a set that takes columns for hot from some density on.
func withDensity(r *routines, hotDensity float64) *routines {
	c := *r
	c.hotDensity = hotDensity
	return &c
}

// agree is near, for any tolerance; what is not finite agrees with itself.
func agree(got, want, tolerance float64) bool {
	return got == want || math.IsNaN(got) && math.IsNaN(want) || math.Abs(got-want) <= tolerance
}

// TestSets: New has the widest set of the processor, and the tests have run them
// all.
func TestSets(t *testing.T) {
	sets := available()
	if e := New().(executor); e.widest != sets[0] {
		t.Errorf("New takes %s, the widest of %d sets is %s", e.widest.name, len(sets), sets[0].name)
	}
	if last := sets[len(sets)-1]; last != &portable {
		t.Errorf("the last resort is %s", last.name)
	}
	for _, r := range sets {
		if d := only(r).Device(); !strings.Contains(d, ", "+r.name+", ") {
			t.Errorf("the executor with %s calls itself %q", r.name, d)
		}
	}
}
