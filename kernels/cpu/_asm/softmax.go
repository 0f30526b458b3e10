package main

import (
	"math"

	. "github.com/mmcloughlin/avo/build"
	. "github.com/mmcloughlin/avo/operand"
	"github.com/mmcloughlin/avo/reg"
)

// softmax: cross-entropy and its gradient with examples in the lanes. t holds
// blocks of 16 examples, in each the logits by class, and becomes the gradient.
//
//	for b := range len(losses) / 16 {
//		t := t[b*block:]
//		for l := range 16 {
//			sum, z := float32(0), t[labels[b*16+l]*16+l]
//			top := max(t[l], t[16+l], …)
//			for c := range classes {
//				t[c*16+l] = exp(t[c*16+l] - top)
//				sum += t[c*16+l]
//			}
//			losses[b*16+l] = log(sum) - (z - top)
//			for c := range classes {
//				t[c*16+l] *= scale / sum
//			}
//			t[labels[b*16+l]*16+l] -= scale
//		}
//	}
//
// Exponentials are cut at e^-faint, so that their products with scale / sum are
// normal numbers.
func (s set) softmax() {
	const faint = 60
	r := s.begin("softmax", "(t, losses []float32, labels []byte, block, classes int, scale float32)")
	v, rest := s.vectors(6)
	x, k, p, sum, picked, top := v[0], v[1], v[2], v[3], v[4], v[5]
	class, low := rest[0], s.splat(rest[1])
	low.set(-faint)

	t, losses, left := slice("t"), slice("losses"), length("losses")
	labels, blockBytes := slice("labels"), scaled("block", 2)
	// eachClass calls body with the memory of one class after the other.
	eachClass := func(body func(m Mem)) {
		row, count := copyOf(t), number("classes")
		VPXOR(class.AsX(), class.AsX(), class.AsX())
		loop := r.label("class")
		Label(loop)
		body(at(row, 0))
		if s.wide() {
			VPADDD_BCST(constantBits(1), class, class)
		} else {
			VPADDD(constantBits(1), class, class)
		}
		ADDQ(Imm(vectorBytes), row)
		DECQ(count)
		JNE(LabelRef(loop))
	}
	// isLabel is 1 in the lanes whose label is the class, else 0.
	isLabel := func(v vector) {
		for j, one := range v {
			VPMOVZXBD(at(labels, j*16/len(v)), one)
			if s.wide() {
				VPCMPEQD(class, one, reg.K1)
				VBROADCASTSS_Z(constant(1), reg.K1, one)
			} else {
				VPCMPEQD(class, one, one)
				VANDPS(constant(1), one, one)
			}
		}
	}

	loop, end := r.label("block"), r.label("end")
	Label(loop)
	SUBQ(Imm(16), left)
	JL(LabelRef(end))

	top.load(at(t, 0))
	eachClass(func(m Mem) {
		x.load(m)
		top.max(x, top)
	})
	sum.zero()
	picked.zero()
	eachClass(func(m Mem) {
		x.load(m)
		x.sub(x, top)
		isLabel(k)
		picked.fma(k, x)
		x.max(low, x)
		s.exp(p, x, k)
		p.store(m)
		sum.add(sum, p)
	})
	x.copy(sum)
	s.log(top, x, k, p)
	top.sub(top, picked)
	top.store(at(losses, 0))

	VBROADCASTSS(scalar("scale"), rest[1])
	sum.div(s.splat(rest[1]), sum)
	eachClass(func(m Mem) {
		x.load(m)
		x.mul(x, sum)
		isLabel(k)
		x.fmaNegated(k, s.splat(rest[1]))
		x.store(m)
	})
	low.set(-faint)

	ADDQ(blockBytes, t)
	ADDQ(Imm(vectorBytes), losses)
	ADDQ(Imm(16), labels)
	JMP(LabelRef(loop))
	Label(end)
	r.end()
}

// log is y = log x for normal x: x = m·2ᵉ with m in [√½, √2), r = m−1, and
// Cephes' polynomial (Moshier, logf): r − r²/2 + r³·p. NaN stays. The others
// are lost.
func (s set) log(y, x, e, p vector) {
	const half = 0x3f3504f3 // √½
	for j := range x {
		if s.wide() {
			VPSUBD_BCST(constantBits(half), x[j], e[j])
		} else {
			VPSUBD(constantBits(half), x[j], e[j])
		}
		VPSRAD(Imm(23), e[j], e[j])
		VPSLLD(Imm(23), e[j], p[j])
		VPSUBD(p[j], x[j], p[j])
		VCVTDQ2PS(e[j], e[j])
	}
	y.zero()
	y.fma(y, x) // 0·x is NaN if x is
	x.set(math.Ln2)
	e.mul(e, x)
	e.add(e, y)
	x.set(1)
	p.sub(p, x)
	y.set(7.0376836292e-2)
	for _, c := range []float64{-1.1514610310e-1, 1.1676998740e-1, -1.2420140846e-1, 1.4249322787e-1,
		-1.6668057665e-1, 2.0000714765e-1, -2.4999993993e-1, 3.3333331174e-1, -0.5} {
		y.horner(p, c)
	}
	y.mul(y, p)
	y.mul(y, p)
	y.add(y, p)
	y.add(y, e)
}
