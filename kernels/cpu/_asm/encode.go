package main

import (
	. "github.com/mmcloughlin/avo/build"
	. "github.com/mmcloughlin/avo/operand"
	"github.com/mmcloughlin/avo/reg"
)

const (
	// group is how many columns are compacted at once, a bit of a mask each.
	group = 8
	// blockGroups is how many groups' masks are made at once: a bit of a word
	// for each that has something in it.
	blockGroups = 64
	// step is how many columns' masks are made in a turn, vectorPixels how many
	// at once.
	step, vectorPixels = 64, 32
)

// compactions is, for every mask of 8 bits, a VPSHUFB's control that moves the
// bytes whose bits are set to the front and makes the others zero. Constants
// made after it belong to whatever comes next, so it precedes constants.
func compactions() Mem {
	table := GLOBL("compactions", RODATA|NOPTR)
	for mask := range 1 << group {
		control, n := ^uint64(0), 0 // a control's high bit means zero
		for k := range group {
			if mask>>k&1 != 0 {
				control = control&^(0xff<<(8*n)) | uint64(k)<<(8*n)
				n++
			}
		}
		DATA(mask*group, U64(control))
	}
	return table
}

// encode: an example's record, and how many cold pixels it holds.
//
//	for _, run := range runs {
//		copy(record, row[run[0]:][:run[1]])
//		record = record[run[1]:]
//	}
//	clear(record to hot)
//	for c, mask := range cold {
//		if v := row[c] & mask; v != 0 {
//			record[hot+n], scratch[n] = v, index[c]
//			n++
//		}
//	}
//	for ; n%4 != 0; n++ {
//		record[hot+n], scratch[n] = 0, index[len(cold)]
//	}
//	copy(record[hot+n:], scratch[:n])
//
// Columns are looked at in groups of 8. Those in which something is left are
// compacted by table, all pixels of a group at once: a branch for each pixel would
// be mistaken as often as not. PEXT would do without the table, but is microcode on
// Zen 1 and 2.
//
// It writes whole vectors: hot columns before the cold ones that follow them, and
// indices when it is known where they begin.
func encode(compactions Mem) {
	r := avx2.begin("encode", "(record, row []byte, runs [][2]uint32, cold []byte, index, scratch []uint16, hot int) int")
	zero, odd := reg.Y15, reg.X14
	VPXOR(zero, zero, zero)
	VMOVDQU(constantBits(0x01000100), odd) // 1 in every second byte
	row, values := slice("row"), slice("record")

	run, end, to := slice("runs"), length("runs"), copyOf(values)
	LEAQ(indexed(run, end, 8, 0), end)
	copying, copied := r.label("run"), r.label("copied")
	Label(copying)
	CMPQ(run, end)
	JGE(LabelRef(copied))
	from, size := GP64(), GP64()
	MOVL(at(run, 0), from.As32())
	MOVL(at(run, 4), size.As32())
	VMOVDQU(indexed(row, from, 1, 0), reg.X0)
	VMOVDQU(reg.X0, at(to, 0))
	ADDQ(size, to)
	ADDQ(Imm(8), run)
	JMP(LabelRef(copying))
	Label(copied)
	VMOVDQU(zero.AsX(), at(to, 0))

	ADDQ(number("hot"), values)
	cold, left, index, scratch, n := slice("cold"), length("cold"), slice("index"), slice("scratch"), GP64()
	table, masks := GP64(), GP64()
	LEAQ(compactions, table)
	LEAQ(AllocLocal(blockGroups), masks)
	XORQ(n, n)
	block, done := r.label("block"), r.label("done")
	Label(block)
	CMPQ(left, Imm(0))
	JLE(LabelRef(done))
	// The masks of up to 64 groups, the last ones first, so that their bits are
	// shifted up.
	groups, c := GP64(), GP64()
	MOVQ(I32(blockGroups*group), c)
	CMPQ(left, c)
	CMOVQLT(left, c)
	MOVQ(I32(-1), groups)
	masking := r.label("mask")
	Label(masking)
	SUBQ(I32(step), c)
	mask, eighth := GP64(), GP64()
	MOVQ(c, eighth)
	SHRQ(Imm(3), eighth)
	for offset := step - vectorPixels; offset >= 0; offset -= vectorPixels {
		VMOVDQU(indexed(row, c, 1, offset), reg.Y0)
		VPAND(indexed(cold, c, 1, offset), reg.Y0, reg.Y0)
		VPCMPEQQ(zero, reg.Y0, reg.Y1)
		VMOVMSKPD(reg.Y1, mask.As32())
		SHLQ(Imm(vectorPixels/group), groups)
		ORQ(mask, groups)
		VPCMPEQB(zero, reg.Y0, reg.Y0)
		VPMOVMSKB(reg.Y0, mask.As32())
		NOTL(mask.As32())
		MOVL(mask.As32(), indexed(masks, eighth, 1, offset/group))
	}
	TESTQ(c, c)
	JNE(LabelRef(masking))

	next, compact := r.label("next"), r.label("compact")
	XORQ(I32(-1), groups)
	JZ(LabelRef(next))
	Label(compact)
	TZCNTQ(groups, c)
	BLSRQ(groups, groups)
	MOVBQZX(indexed(masks, c, 1, 0), mask)
	order := reg.X2
	VMOVQ(indexed(table, mask, 8, 0), order)
	POPCNTL(mask.As32(), mask.As32())
	VMOVQ(indexed(row, c, 8, 0), reg.X0)
	VPSHUFB(order, reg.X0, reg.X0)
	VMOVQ(reg.X0, indexed(values, n, 1, 0))
	VPUNPCKLBW(order, order, order) // of bytes k to one of words: 2k, 2k+1
	VPADDB(order, order, order)
	VPADDB(odd, order, order)
	ADDQ(c, c)
	VMOVDQU(indexed(index, c, 8, 0), reg.X0)
	VPSHUFB(order, reg.X0, reg.X0)
	VMOVDQU(reg.X0, indexed(scratch, n, 2, 0))
	ADDQ(mask, n)
	TESTQ(groups, groups)
	JNZ(LabelRef(compact))
	Label(next)
	ADDQ(I32(blockGroups*group), row)
	ADDQ(I32(blockGroups*group), cold)
	ADDQ(I32(2*blockGroups*group), index)
	SUBQ(I32(blockGroups*group), left)
	JMP(LabelRef(block))

	Label(done)
	// left <= 0 columns are left, so index + 2·left is past the last of them.
	VMOVDQU(indexed(index, left, 2, 0), reg.X0)
	VMOVDQU(reg.X0, indexed(scratch, n, 2, 0))
	VMOVQ(zero.AsX(), indexed(values, n, 1, 0))
	ADDQ(Imm(turn-1), n)
	ANDQ(I32(-turn), n)
	Store(n, ReturnIndex(0))
	ADDQ(n, values)
	storing, stored := r.label("index"), r.label("stored")
	Label(storing)
	SUBQ(Imm(16), n)
	JLE(LabelRef(stored))
	VMOVDQU(at(scratch, 0), reg.Y0)
	VMOVDQU(reg.Y0, at(values, 0))
	ADDQ(Imm(32), scratch)
	ADDQ(Imm(32), values)
	JMP(LabelRef(storing))
	Label(stored) // but for the last vector
	VMOVDQU(at(scratch, 0), reg.Y0)
	VMOVDQU(reg.Y0, at(values, 0))
	r.end()
}
