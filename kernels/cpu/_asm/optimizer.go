package main

import (
	. "github.com/mmcloughlin/avo/build"
	. "github.com/mmcloughlin/avo/operand"
	"github.com/mmcloughlin/avo/reg"
)

// optimizer writes an update: a function of a parameter, its gradient and the
// arrays that the optimizer keeps for it, whole vectors of one length, and of
// factors. update changes all vectors but the gradient's and may use factors by
// their number.
func (s set) optimizer(name string, arrays, factors []string, scratch int, update func(v, scratch []vector, factor func(int) vector)) {
	signature := ""
	for _, a := range arrays {
		signature += ", " + a
	}
	signature += " []float32"
	for _, f := range factors {
		signature += ", " + f
	}
	r := s.begin(name, "("+signature[2:]+" float32)")
	v, rest := s.vectors(len(arrays) + scratch)
	// Factors stay in registers while there are any; the last one is for those
	// that do not.
	held := min(len(factors), len(rest))
	if held < len(factors) {
		held--
	}
	for i := range held {
		VBROADCASTSS(scalar(factors[i]), rest[i])
	}
	factor := func(i int) vector {
		if i < held {
			return s.splat(rest[i])
		}
		VBROADCASTSS(scalar(factors[i]), rest[held])
		return s.splat(rest[held])
	}
	var base []reg.Register
	for _, a := range arrays {
		base = append(base, slice(a))
	}
	left, offset := length("g"), GP64()
	XORQ(offset, offset)
	SHLQ(Imm(2), left)
	loop, end := r.label("loop"), r.label("end")
	Label(loop)
	CMPQ(offset, left)
	JGE(LabelRef(end))
	for i := range arrays {
		v[i].load(indexed(base[i], offset, 1, 0))
	}
	update(v[:len(arrays)], v[len(arrays):], factor)
	for i, a := range arrays {
		if a != "g" {
			v[i].store(indexed(base[i], offset, 1, 0))
		}
	}
	ADDQ(Imm(vectorBytes), offset)
	JMP(LabelRef(loop))
	Label(end)
	r.end()
}

// descend: plain gradient descent.
//
//	for i := range g {
//		w[i] -= lr * (g[i] + decay*w[i])
//	}
func (s set) descend() {
	s.optimizer("descend", []string{"w", "g"}, []string{"decay", "lr"}, 0,
		func(v, _ []vector, factor func(int) vector) {
			w, d := v[0], v[1]
			d.fma(factor(0), w)
			w.fmaNegated(factor(1), d)
		})
}

// momentum: descent along a running sum of gradients, and Nesterov's variant.
//
//	for i := range g {
//		d := g[i] + decay*w[i]
//		velocity[i] = keep*velocity[i] + d
//		w[i] -= lr * velocity[i] // momentum
//		w[i] -= lr * (d + keep*velocity[i]) // nesterov
//	}
func (s set) momentum() {
	for _, name := range []string{"momentum", "nesterov"} {
		s.optimizer(name, []string{"w", "g", "velocity"}, []string{"decay", "keep", "lr"}, 0,
			func(v, _ []vector, factor func(int) vector) {
				w, d, velocity := v[0], v[1], v[2]
				d.fma(factor(0), w)
				velocity.mul(velocity, factor(1))
				velocity.add(velocity, d)
				if name == "nesterov" {
					d.fma(factor(1), velocity)
				} else {
					d = velocity
				}
				w.fmaNegated(factor(2), d)
			})
	}
}

// adam: running means of the gradient and of its square.
//
//	for i := range g {
//		d := g[i] + decay*w[i]
//		w[i] *= shrink
//		mean[i] = beta1*mean[i] + rest1*d
//		square[i] = beta2*square[i] + rest2*(d*d)
//		w[i] -= corrected * mean[i] / (sqrt(square[i])*root + epsilon)
//	}
func (s set) adam() {
	s.optimizer("adam", []string{"w", "g", "mean", "square"},
		[]string{"beta1", "rest1", "beta2", "rest2", "root", "epsilon", "corrected", "shrink", "decay"}, 1,
		func(v, scratch []vector, factor func(int) vector) {
			w, d, mean, square, t := v[0], v[1], v[2], v[3], scratch[0]
			d.fma(factor(8), w)
			w.mul(w, factor(7))
			mean.mul(mean, factor(0))
			mean.fma(factor(1), d)
			d.mul(d, d)
			square.mul(square, factor(2))
			square.fma(factor(3), d)
			t.sqrt(square)
			d.copy(factor(5))
			d.fma(t, factor(4))
			t.mul(mean, factor(6))
			t.div(t, d)
			w.sub(w, t)
		})
}
