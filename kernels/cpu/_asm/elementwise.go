package main

import (
	"math"

	. "github.com/mmcloughlin/avo/build"
	. "github.com/mmcloughlin/avo/operand"
	"github.com/mmcloughlin/avo/reg"
)

// elementwise writes a function of slices of one length, whole vectors each:
// the result, then the operands. prepare fills single registers with what does
// not change; body computes out from in, which it may change, with scratch
// vectors.
func (s set) elementwise(name string, operands []string, extra string, prepare func(single []reg.VecPhysical), vectors int, body func(out vector, in, scratch []vector)) {
	list := ""
	for _, o := range operands {
		list += ", " + o
	}
	r := s.begin(name, "("+list[2:]+" []float32"+extra+")")
	v, rest := s.vectors(vectors)
	prepare(rest)
	var base []reg.Register
	for _, o := range operands {
		base = append(base, slice(o))
	}
	left, offset := length(operands[0]), GP64()
	XORQ(offset, offset)
	SHLQ(Imm(2), left)
	loop, end := r.label("loop"), r.label("end")
	Label(loop)
	CMPQ(offset, left)
	JGE(LabelRef(end))
	in := v[:len(operands)-1]
	for i, x := range in {
		x.load(indexed(base[i+1], offset, 1, 0))
	}
	out := v[len(in)]
	body(out, in, v[len(in)+1:])
	out.store(indexed(base[0], offset, 1, 0))
	ADDQ(Imm(vectorBytes), offset)
	JMP(LabelRef(loop))
	Label(end)
	r.end()
}

// exponent is the range of arguments in which eˣ and its reciprocal are normal.
const exponent = 87

// exp is p = eˣ for x in ±exponent: x = k·ln 2 + r, and a polynomial in r,
// |r| <= ln 2 / 2, whose first neglected term is r⁸/8! < 6e-9. NaN stays. x and
// k are lost.
func (s set) exp(p, x, k vector) {
	// ln2High has 14 bits, so that its products with k are exact.
	const ln2High = 0x162e8p-17
	for j := range x {
		if s.wide() {
			VMULPS_BCST(constant(math.Log2E), x[j], k[j])
			VRNDSCALEPS(Imm(8), k[j], k[j])
			VFNMADD231PS_BCST(constant(ln2High), k[j], x[j])
			VFNMADD231PS_BCST(constant(math.Ln2-ln2High), k[j], x[j])
		} else {
			VMULPS(constant(math.Log2E), x[j], k[j])
			VROUNDPS(Imm(8), k[j], k[j])
			VFNMADD231PS(constant(ln2High), k[j], x[j])
			VFNMADD231PS(constant(math.Ln2-ln2High), k[j], x[j])
		}
	}
	p.set(1. / 5040)
	for _, c := range []float64{1. / 720, 1. / 120, 1. / 24, 1. / 6, 1. / 2, 1, 1} {
		p.horner(x, c)
	}
	for j := range p {
		VCVTPS2DQ(k[j], k[j])
		VPSLLD(Imm(23), k[j], k[j])
		VPADDD(k[j], p[j], p[j])
	}
}

// logistic is what functions with a sigmoid in them keep in single registers.
type logistic struct {
	set
	one, low, high, zero vector
}

// prepare fills the registers, for arguments that are cut to ±limit.
func (l *logistic) prepare(s set, limit float64) func(single []reg.VecPhysical) {
	return func(single []reg.VecPhysical) {
		*l = logistic{s, s.splat(single[0]), s.splat(single[1]), s.splat(single[2]), s.splat(single[3])}
		l.one.set(1)
		l.low.set(-limit)
		l.high.set(limit)
		l.zero.zero()
	}
}

// cut is v = v in ±limit. NaN stays.
func (l *logistic) cut(v vector) {
	v.max(l.low, v)
	v.min(l.high, v)
}

// sigmoid is h = 1 / (1 + e) with e = eˣ, x being the argument's negative. x and
// k are lost; h may be x.
func (l *logistic) sigmoid(h, e, x, k vector) {
	l.exp(e, x, k)
	k.add(e, l.one)
	h.div(l.one, k) // an approximate reciprocal would be each set's own
}

// sigmoid: h = 1 / (1 + e⁻ᶻ).
func (s set) sigmoid() {
	var l logistic
	s.elementwise("sigmoid", []string{"h", "z"}, "", l.prepare(s, exponent), 4, func(h vector, in, scratch []vector) {
		x := in[0]
		x.sub(l.zero, x)
		l.cut(x)
		l.sigmoid(h, scratch[0], x, scratch[1])
	})
}

// softplus: h = log(1 + eᶻ) = max(z, 0) + log(1 + e⁻|ᶻ|), and its slope, the
// sigmoid: dz = dh · 1 / (1 + e⁻ᶻ).
func (s set) softplus() {
	var l logistic
	var absolute vector
	s.elementwise("softplus", []string{"h", "z"}, "", func(single []reg.VecPhysical) {
		l.prepare(s, exponent)(single)
		absolute = l.high
		absolute.broadcast(constantBits(1<<31 - 1))
	}, 4, func(h vector, in, scratch []vector) {
		z, x, k := in[0], scratch[0], scratch[1]
		for j := range z {
			VANDPS(z[j], absolute[j], x[j])
		}
		x.sub(l.zero, x)
		x.max(l.low, x)
		s.exp(h, x, k)
		s.log1p(x, h, k)
		z.max(l.zero, z)
		h.add(z, x)
	})
	s.elementwise("softplusBackward", []string{"dz", "dh", "z"}, "", l.prepare(s, exponent), 5, func(dz vector, in, scratch []vector) {
		x := in[1]
		x.sub(l.zero, x)
		l.cut(x)
		l.sigmoid(dz, scratch[0], x, scratch[1])
		dz.mul(dz, in[0])
	})
}

// log1p is y = log(1 + x) for x in 0..1: 2·artanh q with q = x / (2+x) <= 1/3,
// whose series' first neglected term is 2·q¹⁷/17 < 1e-9. NaN stays. x and q are
// lost.
func (s set) log1p(y, x, q vector) {
	y.set(2)
	y.add(y, x)
	q.div(x, y)
	x.mul(q, q)
	y.set(2. / 15)
	for n := 13; n >= 1; n -= 2 {
		y.horner(x, 2/float64(n))
	}
	y.mul(y, q)
}

// silu: h = z · sigmoid(z), and its slope with s and r the sigmoids of z and −z:
// dz = dh · s·(1 + z·r).
func (s set) silu() {
	var l logistic
	s.elementwise("silu", []string{"h", "z"}, "", l.prepare(s, exponent), 5, func(h vector, in, scratch []vector) {
		scratch[0].copy(in[0])
		l.timesSigmoid(h, in[0], scratch[0], scratch[1:])
	})
	s.elementwise("siluBackward", []string{"dz", "dh", "z"}, "", l.prepare(s, exponent), 5, func(dz vector, in, scratch []vector) {
		dh, z, rest, k := in[0], in[1], scratch[0], scratch[1]
		dh.fma(l.zero, z) // not a number if z is infinite: s·(1 + z·0) and 0·(1 + z)
		z.sub(l.zero, z)
		l.cut(z)
		dz.copy(z)
		l.sigmoid(dz, rest, dz, k)
		rest.mul(rest, dz)
		k.copy(l.one)
		k.fmaNegated(z, rest)
		dz.mul(dz, k)
		dz.mul(dz, dh)
	})
}

// timesSigmoid is h = z · sigmoid(u). scratch is lost.
func (l *logistic) timesSigmoid(h, z, u vector, scratch []vector) {
	x, e, k := h, scratch[0], scratch[1]
	x.sub(l.zero, u)
	l.cut(x)
	l.sigmoid(h, e, x, k)
	// Below the range the sigmoid is zero: z may be so large that it matters.
	l.compare(greaterThan, l.low, u, k)
	l.choose(h, l.zero, k)
	h.mul(h, z)
}

// Factors of GELU's argument, of z and of z³, and where it is beyond exponent
// but in float32 the function is z or zero.
const (
	gelu1     = 2 * 0.7978845608028654 // 2·√(2/π)
	gelu3     = gelu1 * 0.044715
	geluLimit = 9.9
)

// geluTanh: h = z · sigmoid(u) with u = gelu1·z + gelu3·z³, which is z/2 · (1 +
// tanh u/2); and its slope with s and r the sigmoids of u and −u: dz = dh · (s +
// z·u′·s·r).
func (s set) geluTanh() {
	var l logistic
	// polynomial is y = a + b·z². t is lost.
	polynomial := func(y, z, t vector, a, b float64) {
		t.mul(z, z)
		y.set(b)
		y.horner(t, a)
	}
	s.elementwise("geluTanh", []string{"h", "z"}, "", l.prepare(s, exponent), 5, func(h vector, in, scratch []vector) {
		z, u := in[0], scratch[0]
		polynomial(u, z, scratch[1], gelu1, gelu3)
		u.mul(u, z)
		l.timesSigmoid(h, z, u, scratch[1:])
	})
	s.elementwise("geluTanhBackward", []string{"dz", "dh", "z"}, "", l.prepare(s, geluLimit), 6, func(dz vector, in, scratch []vector) {
		dh, z, rest, k, t := in[0], in[1], scratch[0], scratch[1], scratch[2]
		dh.fma(l.zero, z) // as for silu
		l.cut(z)
		polynomial(dz, z, t, gelu1, gelu3)
		dz.mul(dz, z)
		dz.sub(l.zero, dz)
		l.sigmoid(dz, rest, dz, k)
		rest.mul(rest, dz)
		rest.mul(rest, dz)
		polynomial(k, z, t, gelu1, 3*gelu3)
		k.mul(k, z)
		dz.fma(k, rest)
		dz.mul(dz, dh)
	})
}

// softsign: h = z / (1 + |z|), and its slope: dz = dh / (1 + |z|)².
func (s set) softsign() {
	var one, absolute vector
	prepare := func(single []reg.VecPhysical) {
		one, absolute = s.splat(single[0]), s.splat(single[1])
		one.set(1)
		absolute.broadcast(constantBits(1<<31 - 1))
	}
	divisor := func(d, z vector) {
		for j := range z {
			VANDPS(z[j], absolute[j], d[j])
		}
		d.add(d, one)
	}
	s.elementwise("softsign", []string{"h", "z"}, "", prepare, 3, func(h vector, in, scratch []vector) {
		divisor(scratch[0], in[0])
		h.div(in[0], scratch[0])
	})
	s.elementwise("softsignBackward", []string{"dz", "dh", "z"}, "", prepare, 4, func(dz vector, in, scratch []vector) {
		divisor(scratch[0], in[1])
		scratch[0].mul(scratch[0], scratch[0])
		dz.div(in[0], scratch[0])
	})
}

// tanh: h = (1−e)/(1+e) with e = e⁻²|ᶻ| and the sign of z, and near zero, where
// that loses digits, the Taylor series; its first neglected term is
// 0.0036 z¹² < 4e-8.
func (s set) tanh() {
	const near = 0.375
	var one, low, absolute vector
	s.elementwise("tanh", []string{"h", "z"}, "", func(single []reg.VecPhysical) {
		one, low, absolute = s.splat(single[0]), s.splat(single[1]), s.splat(single[2])
		one.set(1)
		low.set(-exponent)
		absolute.broadcast(constantBits(1<<31 - 1))
	}, 5, func(h vector, in, scratch []vector) {
		z, x, k, p := in[0], scratch[0], scratch[1], scratch[2]
		for j := range z {
			VANDPS(z[j], absolute[j], x[j])
		}
		x.add(x, x)
		h.zero()
		x.sub(h, x)
		x.max(low, x)
		s.exp(p, x, k)
		x.sub(one, p)
		p.add(p, one)
		h.div(x, p)
		for j := range z { // |z|, and h with its sign
			VANDPS(z[j], absolute[j], x[j])
			VXORPS(x[j], z[j], k[j])
			VXORPS(k[j], h[j], h[j])
		}
		p.set(near)
		s.compare(greaterThan, p, x, k)
		x.mul(z, z)
		p.set(-1382. / 155925)
		for _, c := range []float64{62. / 2835, -17. / 315, 2. / 15, -1. / 3, 1} {
			p.horner(x, c)
		}
		p.mul(p, z)
		s.choose(h, p, k)
	})
}

// rectify: h = z > 0 ? z : leak·z, for a leak of zero and another.
func (s set) rectify() {
	var zero, leak vector
	s.elementwise("relu", []string{"h", "z"}, "", func(single []reg.VecPhysical) {
		zero = s.splat(single[0])
		zero.zero()
	}, 2, func(h vector, in, _ []vector) { h.max(zero, in[0]) })
	s.elementwise("leakyReLU", []string{"h", "z"}, ", leak float32", func(single []reg.VecPhysical) {
		leak = s.splat(single[0])
		VBROADCASTSS(scalar("leak"), single[0])
	}, 2, func(h vector, in, _ []vector) {
		h.mul(in[0], leak)
		h.max(h, in[0])
	})
}

// sigmoidBackward: dz = dh · h·(1−h).
func (s set) sigmoidBackward() {
	var one vector
	s.elementwise("sigmoidBackward", []string{"dz", "dh", "h"}, "", func(single []reg.VecPhysical) {
		one = s.splat(single[0])
		one.set(1)
	}, 3, func(dz vector, in, _ []vector) {
		dz.sub(one, in[1])
		dz.mul(dz, in[1])
		dz.mul(dz, in[0])
	})
}

// tanhBackward: dz = dh · (1−h)(1+h).
func (s set) tanhBackward() {
	var one vector
	s.elementwise("tanhBackward", []string{"dz", "dh", "h"}, "", func(single []reg.VecPhysical) {
		one = s.splat(single[0])
		one.set(1)
	}, 3, func(dz vector, in, _ []vector) {
		dz.sub(one, in[1])
		in[1].add(one, in[1])
		dz.mul(dz, in[1])
		dz.mul(dz, in[0])
	})
}

// rectifyBackward: dz = h > 0 ? dh : leak·dh. rectifyAtZeroBackward has its step
// just below zero: dz = h >= 0 ? dh : leak·dh.
func (s set) rectifyBackward() {
	var zero, leak vector
	for _, c := range []struct {
		name      string
		predicate uint64
	}{{"rectifyBackward", greaterThan}, {"rectifyAtZeroBackward", atLeast}} {
		s.elementwise(c.name, []string{"dz", "dh", "h"}, ", leak float32", func(single []reg.VecPhysical) {
			zero, leak = s.splat(single[0]), s.splat(single[1])
			zero.zero()
			VBROADCASTSS(scalar("leak"), single[1])
		}, 4, func(dz vector, in, scratch []vector) {
			dz.mul(in[0], leak)
			s.compare(c.predicate, in[1], zero, scratch[0])
			s.choose(dz, in[0], scratch[0])
		})
	}
}
