package kernels

import (
	"fmt"
	"math"
	"math/rand/v2"
	"sort"
	"testing"
)

// ulp is the distance of 1 to the next float64.
const ulp = 0x1p-52

// sigmas is how far a statistic may lie from its expectation: about one sound
// generator in two million would fail one of the tests at that distance. Seeds
// are fixed, so that a test that passed passes.
const sigmas = 5

// TestPhilox holds the known answers that Random123 publishes for
// Philox4x32-10 (kat_vectors).
func TestPhilox(t *testing.T) {
	const all = 0xffffffff
	for _, c := range []struct {
		counter [4]uint32
		key     [2]uint32
		want    [4]uint32
	}{
		{[4]uint32{}, [2]uint32{}, [4]uint32{0x6627e8d5, 0xe169c58d, 0xbc57ac4c, 0x9b00dbd8}},
		{[4]uint32{all, all, all, all}, [2]uint32{all, all}, [4]uint32{0x408f276d, 0x41c83b0e, 0xa20bc7c6, 0x6d5451fd}},
		{[4]uint32{0x243f6a88, 0x85a308d3, 0x13198a2e, 0x03707344}, [2]uint32{0xa4093822, 0x299f31d0},
			[4]uint32{0xd16cfe09, 0x94fdcceb, 0x5001e420, 0x24126ea1}},
	} {
		if got := philox(c.counter, c.key); got != c.want {
			t.Errorf("counter %x, key %x: %08x, want %08x", c.counter, c.key, got, c.want)
		}
	}
}

func TestDrawUsesAllOfSeedStreamAndPosition(t *testing.T) {
	want := philox([4]uint32{0x55667788, 0x11223344, 0x99aabbcc, 0}, [2]uint32{0x9abcdef0, 0x12345678})
	if got := draw(0x123456789abcdef0, 0x99aabbcc, 0x1122334455667788); got != want {
		t.Errorf("%x, want %x", got, want)
	}
}

func TestLogarithm(t *testing.T) {
	// Rounding of t, its square, the last terms of the series, the product and
	// the sum; math.Log has one ulp itself.
	const tolerance = 4 * ulp
	random := rand.New(rand.NewPCG(1, 2))
	check := func(x float64) {
		if got, want := logarithm(x), math.Log(x); !(math.Abs(got-want) <= tolerance*math.Abs(want)) {
			t.Errorf("log %g is %.17g, want %.17g", x, got, want)
		}
	}
	for e := -1022; e < 1024; e++ {
		check(math.Ldexp(1, e))
		check(math.Ldexp(1+random.Float64(), e))
	}
	for range 10000 {
		check(random.Float64() + 0x1p-53)
		check(1 + random.NormFloat64()*1e-8)
	}
	for _, edge := range []float64{math.Sqrt2 / 2, math.Sqrt2, 1, 2} { // where exponents are split
		check(math.Nextafter(edge, 0))
		check(edge)
		check(math.Nextafter(edge, 3))
	}
}

// probabilities lists numbers in (0, ½], dense where quantile changes its
// formula, and down to the smallest that it is made for.
func probabilities() []float64 {
	var list []float64
	for k := 1; k <= 4000; k++ {
		list = append(list, float64(k)/8000)
	}
	for e := -5.; e > -690; e -= 0.25 { // eᵉ; the last formula begins at e⁻²⁵
		list = append(list, math.Exp(e))
	}
	for _, edge := range []float64{0.075, math.Exp(-25)} {
		list = append(list, math.Nextafter(edge, 0), edge, math.Nextafter(edge, 1))
	}
	return list
}

// TestQuantileInverts compares with the distribution function, which shares
// nothing with quantile.
func TestQuantileInverts(t *testing.T) {
	// Where a result x has a relative error of δ, the distribution function
	// there is off by φ(x)·x·δ: relative to Φ(x) at most (1 + x²)·δ in a tail
	// (Mills' ratio), relative to Φ(x) − ½ at most δ in the middle. δ holds the
	// method's 1 ulp, the rounding of two polynomials, a quotient, a root and a
	// product, that of x/√2 here, and Erf's own.
	const delta = 6 * ulp
	for _, p := range probabilities() {
		x := quantile(p)
		if q := p - 0.5; math.Abs(q) <= 0.425 {
			if got := math.Erf(x/math.Sqrt2) / 2; !(math.Abs(got-q) <= delta*math.Abs(q)) {
				t.Errorf("quantile(%g) is %.17g: Φ − ½ there is %.17g, want %.17g", p, x, got, q)
			}
		}
		if got := math.Erfc(-x/math.Sqrt2) / 2; !(math.Abs(got-p) <= delta*(1+x*x)*p) {
			t.Errorf("quantile(%g) is %.17g: Φ there is %.17g", p, x, got)
		}
	}
}

// TestQuantileErfinv compares with the standard library's inverse on the upper
// half, where 2p−1 is exact.
func TestQuantileErfinv(t *testing.T) {
	// Wichura's 1 ulp on both sides, and the rounding of Erfinv's scaling by √2.
	const tolerance = 4 * ulp
	for _, tail := range probabilities() {
		p := 1 - tail // rounded to a multiple of 2⁻⁵³, from here on exact
		if p == 1 {
			continue
		}
		x, want := quantile(p), math.Sqrt2*math.Erfinv(2*p-1)
		if !(math.Abs(x-want) <= tolerance*want) {
			t.Errorf("quantile(1 − %g) is %.17g, Erfinv says %.17g", 1-p, x, want)
		}
		if lower := quantile(1 - p); lower != -x {
			t.Errorf("quantile(%g) is %.17g and quantile(1 − %[1]g) %.17g", 1-p, lower, x)
		}
	}
	const smallest = 0x1p-53 // that uniform draws
	if x, want := quantile(1-smallest), math.Sqrt2*math.Erfinv(1-2*smallest); !(math.Abs(x-want) <= tolerance*want) {
		t.Errorf("quantile(1 − 2⁻⁵³) is %.17g, Erfinv says %.17g", x, want)
	}
	if x := quantile(0.5); x != 0 {
		t.Errorf("quantile(½) is %g", x)
	}
}

func TestUniformIsOpenInterval(t *testing.T) {
	for position := range uint64(1000) {
		u := uniform(1, 2, position)
		if k := u * 0x1p53; k != math.Trunc(k) || math.Mod(k, 2) != 1 || u <= 0 || u >= 1 {
			t.Errorf("%g is no odd multiple of 2⁻⁵³ in (0, 1)", u)
		}
	}
}

// TestNormalBits holds the bits that every implementation must draw: the
// middle, both tails, high words of seed and position. They agree to an ulp
// with Philox and a quantile of 40 digits, written apart.
func TestNormalBits(t *testing.T) {
	for _, c := range []struct {
		seed     uint64
		stream   uint32
		position uint64
		bits     uint64
	}{
		{0x0, 0x0, 0x0, 0xbfd05f49f2746419},                                      // -0.255816
		{0x1, 0x10000, 0x0, 0xbfe2815b108364df},                                  // -0.57829
		{0x1, 0x10000, 0x1, 0x3fea6e080b865592},                                  // 0.825932
		{0x1, 0x10000, 0x30ff, 0x3fe65bdc9d272054},                               // 0.698714
		{0x1, 0x10001, 0x0, 0xbfd7c26787b084ac},                                  // -0.371241
		{0x1, 0x10005, 0x9, 0x3fd212519cd10760},                                  // 0.282368
		{0x2, 0x10000, 0x0, 0xbfd48b7428237fe5},                                  // -0.321012
		{0xffffffffffffffff, 0xffffffff, 0xffffffffffffffff, 0x3ff7edf635505193}, // 1.4956
		{0x123456789abcdef0, 0x10002, 0x100000005, 0xbfe0d1421ede7776},           // -0.525544
		{0x1, 0x10000, 0x14b9fa, 0xc0138116fe14b081},                             // -4.87606
		{0x1, 0x10000, 0x4d7cd, 0x4013eb0bb2f533cb},                              // 4.97954
	} {
		x := normal(c.seed, c.stream, c.position)
		if got := math.Float64bits(x); got != c.bits {
			t.Errorf("normal(%#x, %#x, %#x) = %.17g has bits %#x, want %#x", c.seed, c.stream, c.position, x, got, c.bits)
		}
	}
}

// TestQuantileBits holds the bits of tails that few seeds reach.
func TestQuantileBits(t *testing.T) {
	for _, c := range []struct {
		p    float64
		bits uint64
	}{
		{0x1p-53, 0xc0206b48528cea51},
		{0x1p-40, 0xc01c30d8560989ab},
		{0x1p-30, 0xc0180993fb2838dd},
		{0.25, 0xbfe5956b87528a49},
		{1 - 0x1p-53, 0x40206b48528cea51},
	} {
		if got := math.Float64bits(quantile(c.p)); got != c.bits {
			t.Errorf("quantile(%g) has bits %#x, want %#x", c.p, got, c.bits)
		}
	}
}

func TestNormalDistribution(t *testing.T) {
	const n = 100000
	// 2·exp(−2c²) is the chance that √n·D exceeds c (Kolmogorov): 6e-7 as for
	// five sigmas.
	const kolmogorov = 2.74
	root := math.Sqrt(n)
	for _, c := range []struct {
		seed   uint64
		stream uint32
	}{{1, streamParam}, {2, streamParam}, {1, streamParam + 1}, {1 << 40, streamParam + 5}} {
		x := make([]float64, n)
		var m [5]float64 // moments about zero
		for i := range x {
			x[i] = normal(c.seed, c.stream, uint64(i))
			for k, power := 1, x[i]; k <= 4; k, power = k+1, power*x[i] {
				m[k] += power / n
			}
		}
		next := correlation(x[:n-1], x[1:])
		sort.Float64s(x)
		distance := 0.0
		for i, v := range x {
			cdf := math.Erfc(-v/math.Sqrt2) / 2
			distance = max(distance, cdf-float64(i)/n, float64(i+1)/n-cdf)
		}
		for _, s := range []struct {
			what              string
			got, want, spread float64
		}{
			{"mean", m[1], 0, 1 / root},
			{"second moment", m[2], 1, math.Sqrt(2) / root},  // E x⁴ − 1
			{"third moment", m[3], 0, math.Sqrt(15) / root},  // E x⁶
			{"fourth moment", m[4], 3, math.Sqrt(96) / root}, // E x⁸ − 3²
			{"correlation of neighbours", next, 0, 1 / root},
		} {
			if !(math.Abs(s.got-s.want) <= sigmas*s.spread) {
				t.Errorf("seed %d, stream %d: %s %g, want %g ± %.2g", c.seed, c.stream, s.what, s.got, s.want, sigmas*s.spread)
			}
		}
		if !(root*distance <= kolmogorov) {
			t.Errorf("seed %d, stream %d: distance %g from the normal distribution, want at most %g", c.seed, c.stream, distance, kolmogorov/root)
		}
	}
}

// TestNormalsAreIndependent correlates what seeds, streams and positions that
// differ in one bit draw.
func TestNormalsAreIndependent(t *testing.T) {
	const n = 10000
	sample := func(seed uint64, stream uint32, offset uint64) []float64 {
		x := make([]float64, n)
		for i := range x {
			x[i] = normal(seed, stream, offset+uint64(i))
		}
		return x
	}
	base := sample(8, streamParam, 0)
	others := map[string][]float64{"a position bit": sample(8, streamParam, 1<<32)}
	for bit := range 64 {
		others[fmt.Sprintf("seed bit %d", bit)] = sample(8^1<<bit, streamParam, 0)
	}
	for bit := range 32 {
		others[fmt.Sprintf("stream bit %d", bit)] = sample(8, streamParam^1<<bit, 0)
	}
	for what, other := range others {
		if c := correlation(base, other); !(math.Abs(c) <= sigmas/math.Sqrt(n)) {
			t.Errorf("%s: correlation %g", what, c)
		}
	}
}

func correlation(x, y []float64) float64 {
	var mx, my, xx, xy, yy float64
	for i := range x {
		mx += x[i] / float64(len(x))
		my += y[i] / float64(len(x))
	}
	for i := range x {
		xx += (x[i] - mx) * (x[i] - mx)
		xy += (x[i] - mx) * (y[i] - my)
		yy += (y[i] - my) * (y[i] - my)
	}
	return xy / math.Sqrt(xx*yy)
}

// chiSquare compares counts that should be equal with their mean. It returns
// the statistic as a standard normal number (Wilson and Hilferty, 1931).
func chiSquare(count []int) float64 {
	total := 0
	for _, c := range count {
		total += c
	}
	mean, sum := float64(total)/float64(len(count)), 0.0
	for _, c := range count {
		sum += (float64(c) - mean) * (float64(c) - mean) / mean
	}
	k := 2 / (9 * float64(len(count)-1))
	return (math.Cbrt(sum/float64(len(count)-1)) - (1 - k)) / math.Sqrt(k)
}

func permutation(seed uint64, epoch, n int) []int32 {
	rows := make([]int32, n)
	o := NewOrder(seed, epoch, n)
	o.Fill(rows, 0)
	return rows
}

func inverse(rows []int32) []int32 {
	at := make([]int32, len(rows))
	for i, r := range rows {
		at[r] = int32(i)
	}
	return at
}

func BenchmarkNormal(b *testing.B) {
	sum := 0.0
	for i := uint64(0); b.Loop(); i++ {
		sum += normal(1, streamParam, i)
	}
	if math.IsNaN(sum) {
		b.Fatal("a normal number is NaN")
	}
}
