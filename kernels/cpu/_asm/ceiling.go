package main

import (
	. "github.com/mmcloughlin/avo/build"
	. "github.com/mmcloughlin/avo/operand"
)

// ceilingRegisters is how many registers of sums ceiling adds to.
const ceilingRegisters = 12

// ceiling: multiply-adds on registers alone, for twelve registers of sums: two a
// cycle, four cycles until a result is there.
//
//	for range turns {
//		for i := range sums {
//			sums[i] = sums[i]*factor + addend
//		}
//	}
func (s set) ceiling() {
	r := s.begin("ceiling", "(sums []float32, factor, addend float32, turns int)")
	v, rest := s.vectors(ceilingRegisters / s.perVector)
	VBROADCASTSS(scalar("factor"), rest[0])
	VBROADCASTSS(scalar("addend"), rest[1])
	factor, addend := s.splat(rest[0]), s.splat(rest[1])
	sums, left := slice("sums"), number("turns")
	for i, sum := range v {
		sum.load(at(sums, i*vectorBytes))
	}
	loop, end := r.label("loop"), r.label("end")
	Label(loop)
	DECQ(left)
	JL(LabelRef(end))
	for _, sum := range v {
		for j, register := range sum {
			VFMADD213PS(addend[j], factor[j], register)
		}
	}
	JMP(LabelRef(loop))
	Label(end)
	for i, sum := range v {
		sum.store(at(sums, i*vectorBytes))
	}
	r.end()
}
