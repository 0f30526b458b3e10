// Command asm writes warp_amd64.s and its Go stubs: the inner loops of package
// warp for AVX2. What they compute is defined in generic.go.
package main

import (
	. "github.com/mmcloughlin/avo/build"
	. "github.com/mmcloughlin/avo/operand"
	"github.com/mmcloughlin/avo/reg"
)

// vectorBytes is a register, lanes how many int32 it holds.
const (
	vectorBytes = 32
	lanes       = 8
)

func main() {
	ConstraintExpr("amd64,!purego")
	pad()
	thicken()
	quads()
	resample("resampleAVX2", false)
	resample("bendAVX2", true)
	Generate()
}

// begin starts a routine.
func begin(name, parameters string) {
	TEXT(name, NOSPLIT, "func("+parameters+")")
	Pragma("noescape")
}

func slice(name string) reg.GPVirtual { return Load(Param(name).Base(), GP64()).(reg.GPVirtual) }

func number(name string) reg.GPVirtual { return Load(Param(name), GP64()).(reg.GPVirtual) }

func at(base reg.Register, offset int) Mem { return Mem{Base: base, Disp: offset} }

func indexed(base, index reg.Register, scale uint8, offset int) Mem {
	return Mem{Base: base, Index: index, Scale: scale, Disp: offset}
}

func copyOf(r reg.GPVirtual) reg.GPVirtual {
	c := GP64()
	MOVQ(r, c)
	return c
}

// vectorOf is a register full of one number.
func vectorOf(n uint32, width uint32) reg.VecVirtual {
	v, r := YMM(), GP32()
	MOVL(U32(n), r)
	VMOVD(r, v.AsX())
	if width == 16 {
		VPBROADCASTW(v.AsX(), v)
	} else {
		VPBROADCASTD(v.AsX(), v)
	}
	return v
}

// broadcast is a register full of a parameter's low word.
func broadcast(name string) reg.VecVirtual {
	v := YMM()
	VMOVD(number(name).As32(), v.AsX())
	VPBROADCASTW(v.AsX(), v)
	return v
}

// pad: a row at a time in whole vectors. What is stored past a row's columns is
// zero, and at most a byte of it stands in the next row.
func pad() {
	begin("padAVX2", "padded, from, mask []byte, rows, cols, stride int")
	padded, from, mask := slice("padded"), slice("from"), slice("mask")
	rows, cols, stride := number("rows"), number("cols"), number("stride")
	ADDQ(stride, padded)
	INCQ(padded)
	Label("row")
	x := GP64()
	XORQ(x, x)
	Label("columns")
	v := YMM()
	VMOVDQU(indexed(from, x, 1, 0), v)
	VPAND(indexed(mask, x, 1, 0), v, v)
	VMOVDQU(v, indexed(padded, x, 1, 0))
	ADDQ(Imm(vectorBytes), x)
	CMPQ(x, cols)
	JLT(LabelRef("columns"))
	ADDQ(cols, from)
	ADDQ(stride, padded)
	DECQ(rows)
	JNZ(LabelRef("row"))
	VZEROUPPER()
	RET()
}

// thicken: bytes are widened to words for their products, in the halves of each
// lane, which are packed in the same order.
func thicken() {
	begin("thickenAVX2", "to, padded, mask []byte, rows, stride, more, less int")
	to, padded, mask := slice("to"), slice("padded"), slice("mask")
	rows, stride := number("rows"), number("stride")
	more, less := broadcast("more"), broadcast("less")
	half, zero := vectorOf(128, 16), YMM()
	VPXOR(zero, zero, zero)
	above, below := copyOf(padded), copyOf(padded)
	ADDQ(stride, padded)
	ADDQ(stride, below)
	ADDQ(stride, below)
	ADDQ(stride, to)
	Label("row")
	x := GP64()
	XORQ(x, x)
	Label("columns")
	p, largest, smallest := YMM(), YMM(), YMM()
	VMOVDQU(indexed(padded, x, 1, 0), p)
	VPMAXUB(indexed(padded, x, 1, -1), p, largest)
	VPMINUB(indexed(padded, x, 1, -1), p, smallest)
	for _, m := range []Mem{indexed(padded, x, 1, 1), indexed(above, x, 1, 0), indexed(below, x, 1, 0)} {
		VPMAXUB(m, largest, largest)
		VPMINUB(m, smallest, smallest)
	}
	VPSUBB(p, largest, largest)
	VPSUBB(smallest, p, smallest)
	// part is a difference's share, in 256ths.
	part := func(difference, share reg.VecVirtual) {
		low, high := YMM(), YMM()
		VPUNPCKLBW(zero, difference, low)
		VPUNPCKHBW(zero, difference, high)
		for _, v := range []reg.VecVirtual{low, high} {
			VPMULLW(share, v, v)
			VPADDW(half, v, v)
			VPSRLW(Imm(8), v, v)
		}
		VPACKUSWB(high, low, difference)
	}
	part(largest, more)
	part(smallest, less)
	VPADDB(largest, p, p)
	VPSUBB(smallest, p, p)
	VPAND(indexed(mask, x, 1, 0), p, p)
	VMOVDQU(p, indexed(to, x, 1, 0))
	ADDQ(Imm(vectorBytes), x)
	CMPQ(x, stride)
	JLT(LabelRef("columns"))
	for _, r := range []reg.GPVirtual{to, padded, above, below} {
		ADDQ(stride, r)
	}
	DECQ(rows)
	JNZ(LabelRef("row"))
	VZEROUPPER()
	RET()
}

// quads: sixteen at a time.
func quads() {
	begin("quadsAVX2", "quads []uint32, padded []byte, n, stride int")
	to, padded, n, below := slice("quads"), slice("padded"), number("n"), number("stride")
	ADDQ(padded, below)
	i := GP64()
	XORQ(i, i)
	Label("next")
	here, right, low, high := XMM(), XMM(), XMM(), XMM()
	VMOVDQU(indexed(padded, i, 1, 0), here)
	VMOVDQU(indexed(padded, i, 1, 1), right)
	VPUNPCKLBW(right, here, low)
	VPUNPCKHBW(right, here, high)
	lowBelow, highBelow := XMM(), XMM()
	VMOVDQU(indexed(below, i, 1, 0), here)
	VMOVDQU(indexed(below, i, 1, 1), right)
	VPUNPCKLBW(right, here, lowBelow)
	VPUNPCKHBW(right, here, highBelow)
	for k, pair := range [][2]reg.VecVirtual{{low, lowBelow}, {high, highBelow}} {
		q := XMM()
		VPUNPCKLWD(pair[1], pair[0], q)
		VMOVDQU(q, indexed(to, i, 4, 32*k))
		VPUNPCKHWD(pair[1], pair[0], q)
		VMOVDQU(q, indexed(to, i, 4, 32*k+16))
	}
	ADDQ(Imm(16), i)
	CMPQ(i, n)
	JLT(LabelRef("next"))
	RET()
}

// The rows of a job.
const (
	jobU = iota * vectorBytes
	jobV
	jobStepU
	jobStepV
	jobRowU
	jobRowV
	jobLeast
	jobMaxU
	jobMaxV
	jobGain
)

// resample: eight pixels at a time, of which a single gather fetches all that is
// around them. The products are VPMADDUBSW's of the pixels above and below, and then
// VPMADDWD's of the two.
func resample(name string, bent bool) {
	if bent {
		begin(name, "to []byte, quads []uint32, dx, dy []int16, j *[10][8]int32, rows, cols, stride, fieldStride int")
	} else {
		begin(name, "to []byte, quads []uint32, j *[10][8]int32, rows, cols, stride int")
	}
	to, quads, j := slice("to"), slice("quads"), number("j")
	rows, cols, stride := number("rows"), number("cols"), number("stride")
	var dx, dy, fieldStride reg.GPVirtual
	if bent {
		dx, dy, fieldStride = slice("dx"), slice("dy"), number("fieldStride")
		ADDQ(fieldStride, fieldStride) // in bytes
	}
	LEAQ(indexed(quads, stride, 4, 4), quads) // the place of the image's first pixel
	shift, bits := XMM(), GP64()
	BSFQ(stride, bits)
	VMOVQ(bits, shift)
	fraction, whole, round := vectorOf(63, 32), vectorOf(64, 32), vectorOf(1<<11, 32)
	rowU, rowV := YMM(), YMM()
	VMOVDQU(at(j, jobU), rowU)
	VMOVDQU(at(j, jobV), rowV)

	Label("row")
	u, v, x0 := YMM(), YMM(), GP64()
	VMOVDQA(rowU, u)
	VMOVDQA(rowV, v)
	XORQ(x0, x0)
	Label("group")
	x, y := YMM(), YMM()
	if bent {
		for _, axis := range []struct {
			field     reg.GPVirtual
			from, sum reg.VecVirtual
		}{{dx, u, x}, {dy, v, y}} {
			d := YMM()
			VMOVDQU(indexed(axis.field, x0, 2, 0), d.AsX())
			VPMULHRSW(at(j, jobGain), d.AsX(), d.AsX())
			VPMOVSXWD(d.AsX(), d)
			VPSLLD(Imm(8), d, d)
			VPADDD(d, axis.from, axis.sum)
		}
		VPMAXSD(at(j, jobLeast), x, x)
		VPMAXSD(at(j, jobLeast), y, y)
	} else {
		VPMAXSD(at(j, jobLeast), u, x)
		VPMAXSD(at(j, jobLeast), v, y)
	}
	VPMINSD(at(j, jobMaxU), x, x)
	VPMINSD(at(j, jobMaxV), y, y)

	across, down, t := YMM(), YMM(), YMM()
	VPSRLD(Imm(10), x, across)
	VPAND(fraction, across, across)
	VPSLLD(Imm(8), across, t)
	VPSUBD(across, t, across)
	VPADDD(whole, across, across) // 64 - f in the low byte, f in the high one
	VPSLLD(Imm(16), across, t)
	VPOR(t, across, across)
	VPSRLD(Imm(10), y, down)
	VPAND(fraction, down, down)
	VPSLLD(Imm(16), down, t)
	VPSUBD(down, t, down)
	VPADDD(whole, down, down)

	VPSRAD(Imm(16), x, x)
	VPSRAD(Imm(16), y, y)
	VPSLLD(shift, y, y)
	VPADDD(y, x, x)
	around, all := YMM(), YMM()
	VPCMPEQD(all, all, all)
	VPGATHERDD(all, indexed(quads, x, 4, 0), around)
	VPMADDUBSW(across, around, around)
	VPMADDWD(down, around, around)
	VPADDD(round, around, around)
	VPSRLD(Imm(12), around, around)
	VPACKUSDW(around, around, around)
	VPACKUSWB(around, around, around)
	second := XMM()
	VEXTRACTI128(Imm(1), around, second)
	VPUNPCKLDQ(second, around.AsX(), around.AsX())
	VMOVQ(around.AsX(), indexed(to, x0, 1, 0))

	VPADDD(at(j, jobStepU), u, u)
	VPADDD(at(j, jobStepV), v, v)
	ADDQ(Imm(lanes), x0)
	CMPQ(x0, cols)
	JLT(LabelRef("group"))
	VPADDD(at(j, jobRowU), rowU, rowU)
	VPADDD(at(j, jobRowV), rowV, rowV)
	ADDQ(cols, to)
	if bent {
		ADDQ(fieldStride, dx)
		ADDQ(fieldStride, dy)
	}
	DECQ(rows)
	JNZ(LabelRef("row"))
	VZEROUPPER()
	RET()
}
