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
	if name != "sigmoid" && name != "relu" { // whose results are normal
		r.flushDenormals()
	}
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

// reciprocal is v = 1/d for d from 1 to e^exponent. t is lost.
func (s set) reciprocal(v, d, t, one vector) {
	if !s.wide() {
		v.div(one, d)
		return
	}
	VRCP14PS(d[0], v[0])
	t.copy(one)
	t.fmaNegated(d, v) // one step of Newton's
	v.fma(v, t)
}

// sigmoid: h = 1 / (1 + e⁻ᶻ).
func (s set) sigmoid() {
	var one, low, high, zero vector
	s.elementwise("sigmoid", []string{"h", "z"}, "", func(single []reg.VecPhysical) {
		one, low, high, zero = s.splat(single[0]), s.splat(single[1]), s.splat(single[2]), s.splat(single[3])
		one.set(1)
		low.set(-exponent)
		high.set(exponent)
		zero.zero()
	}, 4, func(h vector, in, scratch []vector) {
		x, k, p := in[0], scratch[0], scratch[1]
		x.sub(zero, x)
		x.max(low, x)
		x.min(high, x)
		s.exp(p, x, k)
		p.add(p, one)
		s.reciprocal(h, p, k, one)
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
		s.greater(p, x, k)
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

// rectifyBackward: dz = h > 0 ? dh : leak·dh.
func (s set) rectifyBackward() {
	var zero, leak vector
	s.elementwise("rectifyBackward", []string{"dz", "dh", "h"}, ", leak float32", func(single []reg.VecPhysical) {
		zero, leak = s.splat(single[0]), s.splat(single[1])
		zero.zero()
		VBROADCASTSS(scalar("leak"), single[1])
	}, 4, func(dz vector, in, scratch []vector) {
		dz.mul(in[0], leak)
		s.greater(in[1], zero, scratch[0])
		s.choose(dz, in[0], scratch[0])
	})
}
