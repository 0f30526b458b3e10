package main

import (
	. "github.com/mmcloughlin/avo/build"
	. "github.com/mmcloughlin/avo/operand"
	"github.com/mmcloughlin/avo/reg"
)

// Pools of windows of 2 x 2 that lie side by side, on pairs of rows of an even
// width. 8 windows at a time stand in registers by their corners: a b above, c d
// below. A last vector is written whole, beyond its row.

// corners loads 16 columns of two rows: the even and odd ones of each, in the order
// that shuffles leave them in.
func corners(above, below Mem) (a, b, c, d reg.VecPhysical) {
	load := func(m Mem, even, odd reg.VecPhysical) {
		VMOVUPS(m, even)
		VMOVUPS(m.Offset(32), reg.Y15)
		VSHUFPS(Imm(0xdd), reg.Y15, even, odd)
		VSHUFPS(Imm(0x88), reg.Y15, even, even)
	}
	a, b, c, d = reg.Y0, reg.Y1, reg.Y2, reg.Y3
	load(above, a, b)
	load(below, c, d)
	return a, b, c, d
}

// largest is the largest of x and y, not a number if either is none.
func largest(out, x, y, scratch reg.VecPhysical) {
	VCMPPS(Imm(3), y, x, scratch)
	VMAXPS(y, x, out)
	VORPS(scratch, out, out)
}

const (
	inOrder = 0xd8 // of the 64-bit parts of what shuffles left
	equal   = 0
)

// pairs visits pairs of rows: offset is where its block of 16 columns begins. Blocks
// go from the last to the first, for a block is written beyond its row into the row
// below.
func (r *routine) pairs(in, rows, width reg.Register, visit func(offset reg.Register), next func()) {
	last, offset := copyOf(width), GP64()
	DECQ(last)
	ANDQ(I8(-16), last)
	SHLQ(Imm(2), last)
	pair, block := r.label("pair"), r.label("block")
	Label(pair)
	MOVQ(last, offset)
	Label(block)
	visit(offset)
	SUBQ(Imm(vectorBytes), offset)
	JGE(LabelRef(block))
	next()
	DECQ(rows)
	JNZ(LabelRef(pair))
}

// maxPool2: the largest of each window. rows is how many rows of windows there are,
// width that of in.
func maxPool2() {
	r := avx2.begin("maxPool2", "(out, in []float32, rows, width int)")
	out, in, rows, width := slice("out"), slice("in"), number("rows"), number("width")
	bytes := copyOf(width)
	SHLQ(Imm(2), bytes)
	half := GP64()
	r.pairs(in, rows, width, func(offset reg.Register) {
		below := copyOf(in)
		ADDQ(bytes, below)
		a, b, c, d := corners(indexed(in, offset, 1, 0), indexed(below, offset, 1, 0))
		largest(a, a, b, reg.Y4)
		largest(c, c, d, reg.Y4)
		largest(a, a, c, reg.Y4)
		VPERMPD(Imm(inOrder), a, a)
		MOVQ(offset, half)
		SHRQ(Imm(1), half)
		VMOVUPS(a, indexed(out, half, 1, 0))
	}, func() {
		LEAQ(indexed(in, bytes, 2, 0), in)
		MOVQ(bytes, half)
		SHRQ(Imm(1), half)
		ADDQ(half, out)
	})
	r.end()
}

// maxPoolGrad2: the windows' gradients where they are largest, in the first place
// if there are several and it exceeds least, and zero elsewhere. A window in which
// something is not a number has its gradient in some place.
func maxPoolGrad2() {
	r := avx2.begin("maxPoolGrad2", "(out, in, d []float32, rows, width int, least float32)")
	out, in, d, rows, width := slice("out"), slice("in"), slice("d"), number("rows"), number("width")
	bytes := copyOf(width)
	SHLQ(Imm(2), bytes)
	half, below, floor := GP64(), GP64(), reg.Y8
	VBROADCASTSS(scalar("least"), floor)
	r.pairs(in, rows, width, func(offset reg.Register) {
		MOVQ(in, below)
		ADDQ(bytes, below)
		corner := make([]reg.VecPhysical, 4)
		corner[0], corner[1], corner[2], corner[3] = corners(indexed(in, offset, 1, 0), indexed(below, offset, 1, 0))
		top, scratch, left, is := reg.Y4, reg.Y5, reg.Y6, reg.Y7
		VMAXPS(corner[1], corner[0], top)
		VMAXPS(corner[2], top, top)
		VMAXPS(corner[3], top, top)
		MOVQ(offset, half)
		SHRQ(Imm(1), half)
		VMOVUPS(indexed(d, half, 1, 0), left)
		VPERMPD(Imm(inOrder), left, left)
		VCMPPS(Imm(atMost), floor, top, is)
		VANDNPS(left, is, left)
		for i, c := range corner {
			if i == 3 { // what is left
				VMOVAPS(left, c)
				break
			}
			VCMPPS(Imm(equal), top, c, is)
			VANDPS(left, is, c)
			VANDNPS(left, is, left)
		}
		store := func(base reg.Register, even, odd reg.VecPhysical) {
			VUNPCKLPS(odd, even, scratch)
			VUNPCKHPS(odd, even, is)
			VMOVUPS(scratch, indexed(base, offset, 1, 0))
			VMOVUPS(is, indexed(base, offset, 1, 32))
		}
		MOVQ(out, below)
		ADDQ(bytes, below)
		store(out, corner[0], corner[1])
		store(below, corner[2], corner[3])
	}, func() {
		LEAQ(indexed(in, bytes, 2, 0), in)
		LEAQ(indexed(out, bytes, 2, 0), out)
		MOVQ(bytes, half)
		SHRQ(Imm(1), half)
		ADDQ(half, d)
	})
	r.end()
}
