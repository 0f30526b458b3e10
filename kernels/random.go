package kernels

import (
	"math"
	"math/bits"
)

// Random numbers are functions of (seed, stream, position), not of how many
// were drawn before, so that any part of any array can be computed anywhere.
// They use integer arithmetic and IEEE operations that round exactly, each
// product rounded by itself (the float64 conversions forbid fused ones), so Go
// on every processor and a GPU kernel get the same bits.

// philox is Philox4x32-10: Salmon, Moraes, Dror and Shaw, "Parallel random
// numbers: as easy as 1, 2, 3", SC 2011.
func philox(ctr [4]uint32, key [2]uint32) [4]uint32 {
	// In variables of their own they stay in registers.
	c0, c1, c2, c3, k0, k1 := ctr[0], ctr[1], ctr[2], ctr[3], key[0], key[1]
	for range 10 {
		hi0, lo0 := bits.Mul32(0xD2511F53, c0)
		hi1, lo1 := bits.Mul32(0xCD9E8D57, c2)
		c0, c1, c2, c3 = hi1^c1^k0, lo1, hi0^c3^k1, lo0
		k0 += 0x9E3779B9
		k1 += 0xBB67AE85
	}
	return [4]uint32{c0, c1, c2, c3}
}

// stream numbers the uses of one seed. Parameter i of a program draws from
// streamParam + i, its Random operation k from streamRandom + k.
const (
	streamOrder  = 0
	streamShift  = 1
	streamWarp   = 2
	streamField  = 3
	streamNoise  = 4
	streamParam  = 1 << 16
	streamRandom = 1 << 24
)

func draw(seed uint64, stream uint32, position uint64) [4]uint32 {
	return philox([4]uint32{uint32(position), uint32(position >> 32), stream, 0},
		[2]uint32{uint32(seed), uint32(seed >> 32)})
}

// uniform is one of the 2⁵² odd multiples of 2⁻⁵³ in (0, 1).
func uniform(seed uint64, stream uint32, position uint64) float64 {
	r := draw(seed, stream, position)
	u := uint64(r[0])<<32 | uint64(r[1])
	return (float64(u>>12) + 0.5) * 0x1p-52
}

// normal is a standard normal number: the inverse of the normal distribution
// function at a uniform one.
func normal(seed uint64, stream uint32, position uint64) float64 {
	return quantile(uniform(seed, stream, position))
}

// quantile is algorithm AS 241, PPND16: Wichura, Applied Statistics 37 (1988),
// relative accuracy about 1e-16.
func quantile(p float64) float64 {
	q := p - 0.5
	if math.Abs(q) <= 0.425 {
		r := 0.180625 - float64(q*q)
		return q * (poly(r,
			3.3871328727963666080, 1.3314166789178437745e2, 1.9715909503065514427e3, 1.3731693765509461125e4,
			4.5921953931549871457e4, 6.7265770927008700853e4, 3.3430575583588128105e4, 2.5090809287301226727e3) /
			poly(r, 1, 4.2313330701600911252e1, 6.8718700749205790830e2, 5.3941960214247511077e3,
				2.1213794301586595867e4, 3.9307895800092710610e4, 2.8729085735721942674e4, 5.2264952788528545610e3))
	}
	tail := math.Min(p, 1-p)
	r := math.Sqrt(-logarithm(tail))
	var x float64
	if r <= 5 {
		r -= 1.6
		x = poly(r, 1.42343711074968357734, 4.63033784615654529590, 5.76949722146069140550, 3.64784832476320460504,
			1.27045825245236838258, 2.41780725177450611770e-1, 2.27238449892691845833e-2, 7.74545014278341407640e-4) /
			poly(r, 1, 2.05319162663775882187, 1.67638483018380384940, 6.89767334985100004550e-1,
				1.48103976427480074590e-1, 1.51986665636164571966e-2, 5.47593808499534494600e-4, 1.05075007164441684324e-9)
	} else {
		r -= 5
		x = poly(r, 6.65790464350110377720, 5.46378491116411436990, 1.78482653991729133580, 2.96560571828504891230e-1,
			2.65321895265761230930e-2, 1.24266094738807843860e-3, 2.71155556874348757815e-5, 2.01033439929228813265e-7) /
			poly(r, 1, 5.99832206555887937690e-1, 1.36929880922735805310e-1, 1.48753612908506148525e-2,
				7.86869131145613259100e-4, 1.84631831751005468180e-5, 1.42151175831644588870e-7, 2.04426310338993978564e-15)
	}
	if q < 0 {
		return -x
	}
	return x
}

// poly is c[0] + c[1]x + c[2]x² + … by Horner's rule.
func poly(x float64, c ...float64) float64 {
	sum := 0.0
	for i := len(c) - 1; i >= 0; i-- {
		sum = float64(sum*x) + c[i]
	}
	return sum
}

// logarithm is the natural logarithm for positive normal x: x = m·2ᵉ with m in
// [√½, √2), and log m = 2 atanh t with t = (m−1)/(m+1), |t| < 0.172, as a
// series to t²⁷. (math.Log is assembly on some processors.)
func logarithm(x float64) float64 {
	m, e := math.Frexp(x)
	if m < math.Sqrt2/2 {
		m, e = m*2, e-1
	}
	t := (m - 1) / (m + 1)
	s := float64(t * t)
	series := poly(s, 1, 1./3, 1./5, 1./7, 1./9, 1./11, 1./13, 1./15, 1./17, 1./19, 1./21, 1./23, 1./25, 1./27)
	return float64(float64(e)*math.Ln2) + float64(float64(2*t)*series)
}
