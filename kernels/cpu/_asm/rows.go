package main

import (
	. "github.com/mmcloughlin/avo/build"
	. "github.com/mmcloughlin/avo/operand"
)

// moveRows: rows of 16 numbers, of which lanes that are not in use become zero.
//
//	for _, m := range moves {
//		to[m[1]+l] = used[l] ? from[m[0]+l] : 0
//	}
func (s set) moveRows() {
	r := s.begin("moveRows", "(to, from []float32, moves [][2]int32, used []uint32)")
	v, _ := s.vectors(5)
	mask := v[0]
	mask.load(at(slice("used"), 0))
	to, from, move, left := slice("to"), slice("from"), slice("moves"), length("moves")
	source, target := GP64(), GP64()
	one := func(k int) {
		MOVL(at(move, 8*k), source.As32())
		MOVL(at(move, 8*k+4), target.As32())
		x := v[1+k%4]
		x.load(indexed(from, source, 4, 0))
		for j := range x {
			VANDPS(x[j], mask[j], x[j])
		}
		x.store(indexed(to, target, 4, 0))
	}
	four, rest, next, end := r.label("four"), r.label("rest"), r.label("next"), r.label("end")
	Label(four)
	SUBQ(Imm(4), left)
	JL(LabelRef(rest))
	for k := range 4 {
		one(k)
	}
	ADDQ(Imm(4*8), move)
	JMP(LabelRef(four))
	Label(rest)
	ADDQ(Imm(4), left)
	Label(next)
	DECQ(left)
	JL(LabelRef(end))
	one(0)
	ADDQ(Imm(8), move)
	JMP(LabelRef(next))
	Label(end)
	r.end()
}

// addRows: rows of 16 numbers added up, every period-th move from the first on,
// then from the second one on, and so on. There is a multiple of period moves.
//
//	for k := range period {
//		for i := k; i < len(moves); i += period {
//			to[moves[i][0]+l] += from[moves[i][1]+l]
//		}
//	}
func (s set) addRows() {
	r := s.begin("addRows", "(to, from []float32, moves [][2]int32, period int)")
	v, _ := s.vectors(1)
	x := v[0]
	to, from, first, end := slice("to"), slice("from"), slice("moves"), length("moves")
	SHLQ(Imm(3), end)
	ADDQ(first, end)
	stride, left := scaled("period", 3), number("period")
	source, target, move := GP64(), GP64(), GP64()
	turn, next, done := r.label("turn"), r.label("next"), r.label("done")
	Label(turn)
	DECQ(left)
	JL(LabelRef(done))
	MOVQ(first, move)
	CMPQ(move, end)
	JGE(LabelRef(done))
	Label(next)
	MOVL(at(move, 0), target.As32())
	MOVL(at(move, 4), source.As32())
	x.load(indexed(to, target, 4, 0))
	for j, part := range x {
		VADDPS(x.part(indexed(from, source, 4, 0), j), part, part)
	}
	x.store(indexed(to, target, 4, 0))
	ADDQ(stride, move)
	CMPQ(move, end)
	JL(LabelRef(next))
	ADDQ(Imm(8), first)
	JMP(LabelRef(turn))
	Label(done)
	r.end()
}

// pixels: x[i] = float32(bytes[i]) / 255, for whole vectors.
func (s set) pixels() {
	r := s.begin("pixels", "(x []float32, bytes []byte)")
	v, rest := s.vectors(1)
	scale := s.splat(rest[0])
	scale.set(1. / 255)
	x, bytes, left := slice("x"), slice("bytes"), length("x")
	next, end := r.label("next"), r.label("end")
	Label(next)
	SUBQ(Imm(16), left)
	JL(LabelRef(end))
	v[0].convertBytes(at(bytes, 0))
	v[0].mul(v[0], scale)
	v[0].store(at(x, 0))
	ADDQ(Imm(vectorBytes), x)
	ADDQ(Imm(16), bytes)
	JMP(LabelRef(next))
	Label(end)
	r.end()
}
