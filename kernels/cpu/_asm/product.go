package main

import (
	"fmt"

	. "github.com/mmcloughlin/avo/build"
	. "github.com/mmcloughlin/avo/operand"
	"github.com/mmcloughlin/avo/reg"
)

// multiply: rows of a times panels of b.
//
//	for p := range panels {
//		for i := range rows {
//			for l := range 16 {
//				sum := start[p*startPanel+i*startRow+l]
//				for k := range depth {
//					sum += a[(k/16*aRows+i)*16+k%16] * b[p*bPanel+k*16+l]
//				}
//				dst[(p*aRows+i)*16+l] = sum
//			}
//		}
//	}
//
// panels is 1 or, with AVX-512, 2. The sums of a tile of rows stay in
// registers; an element of a is broadcast to all units of a panel.
func (s set) multiply() {
	r := s.begin("multiply", "(dst, start, a, b []float32, rows, aRows, depth, panels, startRow, startPanel, bPanel int)")
	m := multiplication{
		routine: r,
		dst:     slice("dst"), start: slice("start"), a: slice("a"),
		rows: number("rows"), panelBytes: scaled("aRows", 6), bPanel: scaled("bPanel", 2),
	}
	done := r.label("done")
	tallest := map[int]int{1: 12 / s.perVector} // rows of a tile by panels: 12 sums, 1 or 2 of b, 1 of a
	if s.wide() {
		tallest = map[int]int{1: 16, 2: 12} // latency 4 times 2 a cycle need 8 sums or more
		CMPQ(number("panels"), Imm(2))
		one := r.label("one")
		JNE(LabelRef(one))
		m.tiles(2, tallest[2], done)
		Label(one)
	}
	m.tiles(1, tallest[1], done)
	Label(done)
	r.end()
}

type multiplication struct {
	*routine
	dst, start, a reg.Register // the next tile's rows
	rows          reg.Register // left
	panelBytes    reg.Register // from one panel of a or dst to the next
	bPanel        reg.Register // likewise of b
}

// tiles goes over all rows in tiles as high as possible, and one lower tile at
// the end.
func (m multiplication) tiles(panels, tallest int, done string) {
	loop, rest := m.label("tiles"), m.label("rest")
	Label(loop)
	CMPQ(m.rows, Imm(uint64(tallest)))
	JL(LabelRef(rest))
	m.tile(panels, tallest)
	SUBQ(Imm(uint64(tallest)), m.rows)
	JMP(LabelRef(loop))
	Label(rest)
	CMPQ(m.rows, Imm(0))
	JLE(LabelRef(done))
	for rows := tallest - 1; rows > 0; rows-- {
		lower := m.label("lower")
		if rows > 1 {
			CMPQ(m.rows, Imm(uint64(rows)))
			JNE(LabelRef(lower))
		}
		m.tile(panels, rows)
		JMP(LabelRef(done))
		Label(lower)
	}
}

func (m multiplication) tile(panels, rows int) {
	Comment(fmt.Sprintf("%d rows of %d panels", rows, panels))
	v, rest := m.vectors(rows*panels + panels)
	sum := func(i, p int) vector { return v[i*panels+p] }
	b := v[rows*panels:]
	element := m.splat(rest[0])

	startRow, startPanel := scaled("startRow", 2), scaled("startPanel", 2)
	for i := range rows {
		for p := range panels {
			sum(i, p).load(panelAt(m.start, startPanel, p, 0))
		}
		ADDQ(startRow, m.start)
	}

	panel, weights, left := copyOf(m.a), slice("b"), number("depth")
	block, full, column, end := m.label("block"), m.label("full"), m.label("column"), m.label("end")
	x, columns := GP64(), GP64()
	Label(block)
	CMPQ(left, Imm(0))
	JLE(LabelRef(end))
	MOVQ(panel, x)
	MOVQ(left, columns)
	CMPQ(left, Imm(16))
	JLE(LabelRef(full))
	MOVQ(U32(16), columns)
	Label(full)
	Label(column)
	for p := range panels {
		b[p].load(panelAt(weights, m.bPanel, p, 0))
	}
	for i := range rows {
		e := at(x, vectorBytes*i)
		if panels == 1 && m.wide() {
			VFMADD231PS_BCST(e, b[0][0], sum(i, 0)[0])
			continue
		}
		VBROADCASTSS(e, rest[0])
		for p := range panels {
			sum(i, p).fma(element, b[p])
		}
	}
	ADDQ(Imm(4), x)
	ADDQ(Imm(vectorBytes), weights)
	DECQ(columns)
	JNE(LabelRef(column))
	ADDQ(m.panelBytes, panel)
	SUBQ(Imm(16), left)
	JMP(LabelRef(block))
	Label(end)

	for i := range rows {
		for p := range panels {
			sum(i, p).store(panelAt(m.dst, m.panelBytes, p, vectorBytes*i))
		}
	}
	ADDQ(U32(uint32(vectorBytes*rows)), m.dst)
	ADDQ(U32(uint32(vectorBytes*rows)), m.a)
}

// accumulate: columns of a times panels of d, the gradient of weights added to
// weights.
//
//	for p := range panels {
//		for k := range columns {
//			for l := range 16 {
//				sum := float32(0)
//				for i := range rows {
//					sum += a[(k/16*aRows+i)*16+k%16] * d[(p*aRows+i)*16+l]
//				}
//				w := &dst[p*dstPanel+k*16+l]
//				*w = keep**w + alpha*sum
//			}
//		}
//	}
//
// panels is 1 or, with AVX-512, up to 3.
func (s set) accumulate() {
	r := s.begin("accumulate", "(dst, a, d []float32, rows, aRows, columns, panels, dstPanel int, keep, alpha float32)")
	m := accumulation{
		routine: r,
		dst:     slice("dst"), dstPanel: scaled("dstPanel", 2), a: slice("a"),
		columns: number("columns"), panelBytes: scaled("aRows", 6),
	}
	done := r.label("done")
	if s.wide() {
		panels := number("panels")
		for _, p := range []int{3, 2} {
			fewer := r.label("fewer")
			CMPQ(panels, Imm(uint64(p)))
			JNE(LabelRef(fewer))
			m.blocks(p, 8, done)
			Label(fewer)
		}
		m.blocks(1, 16, done)
	} else {
		m.blocks(1, 8/s.perVector, done)
	}
	Label(done)
	r.end()
}

type accumulation struct {
	*routine
	dst, a     reg.Register // the next columns
	dstPanel   reg.Register
	columns    reg.Register // left
	panelBytes reg.Register // from one panel of a or d to the next
}

// blocks goes over the 16 columns of each panel of a, tall at a time.
func (m accumulation) blocks(panels, tall int, done string) {
	loop := m.label("blocks")
	Label(loop)
	for from := 0; from < 16; from += tall {
		m.block(panels, from, tall, done)
	}
	ADDQ(m.panelBytes, m.a)
	JMP(LabelRef(loop))
}

func (m accumulation) block(panels, from, tall int, done string) {
	Comment(fmt.Sprintf("columns %d to %d of %d panels", from, from+tall-1, panels))
	n := tall*panels + panels
	v, rest := m.vectors(n)
	sum := func(k, p int) vector { return v[k*panels+p] }
	d := v[tall*panels:]
	element := m.splat(rest[0])

	for _, s := range v[:tall*panels] {
		s.zero()
	}
	x, gradient, left := copyOf(m.a), slice("d"), number("rows")
	second := GP64()
	LEAQ(indexed(gradient, m.panelBytes, 2, 0), second)
	row := m.label("row")
	Label(row)
	for p := range panels {
		d[p].load([]Mem{at(gradient, 0), indexed(gradient, m.panelBytes, 1, 0), at(second, 0)}[p])
	}
	for k := range tall {
		e := at(x, 4*(from+k))
		if panels == 1 && m.wide() {
			VFMADD231PS_BCST(e, d[0][0], sum(k, 0)[0])
			continue
		}
		VBROADCASTSS(e, rest[0])
		for p := range panels {
			sum(k, p).fma(element, d[p])
		}
	}
	ADDQ(Imm(vectorBytes), x)
	ADDQ(Imm(vectorBytes), gradient)
	if panels == 3 {
		ADDQ(Imm(vectorBytes), second)
	}
	DECQ(left)
	JNE(LabelRef(row))

	VBROADCASTSS(scalar("keep"), rest[0])
	VBROADCASTSS(scalar("alpha"), rest[1])
	keep, alpha, old := m.splat(rest[0]), m.splat(rest[1]), d[0]
	LEAQ(indexed(m.dst, m.dstPanel, 2, 0), second)
	for k := range tall {
		for p := range panels {
			w := []Mem{at(m.dst, 0), indexed(m.dst, m.dstPanel, 1, 0), at(second, 0)}[p]
			s := sum(k, p)
			s.mul(s, alpha)
			old.load(w)
			s.fma(old, keep)
			s.store(w)
		}
		ADDQ(Imm(vectorBytes), m.dst)
		if panels == 3 {
			ADDQ(Imm(vectorBytes), second)
		}
		DECQ(m.columns)
		JE(LabelRef(done))
	}
}

// columnSums: the gradient of a bias added to the bias.
//
//	for l := range 16 {
//		sum := float32(0)
//		for i := range rows {
//			sum += d[i*16+l]
//		}
//		dst[l] = keep*dst[l] + alpha*sum
//	}
func (s set) columnSums() {
	r := s.begin("columnSums", "(dst, d []float32, rows int, keep, alpha float32)")
	dst, d, left := slice("dst"), slice("d"), number("rows")
	v, rest := s.vectors(4)
	for _, sum := range v {
		sum.zero()
	}
	four, rests, end := r.label("four"), r.label("rest"), r.label("end")
	Label(four)
	SUBQ(Imm(4), left)
	JL(LabelRef(rests))
	for i, sum := range v {
		addMemory(sum, at(d, i*vectorBytes))
	}
	ADDQ(U32(4*vectorBytes), d)
	JMP(LabelRef(four))
	Label(rests)
	ADDQ(Imm(4), left)
	one := r.label("one")
	Label(one)
	DECQ(left)
	JL(LabelRef(end))
	addMemory(v[0], at(d, 0))
	ADDQ(Imm(vectorBytes), d)
	JMP(LabelRef(one))
	Label(end)
	v[0].add(v[0], v[1])
	v[2].add(v[2], v[3])
	v[0].add(v[0], v[2])
	VBROADCASTSS(scalar("keep"), rest[0])
	VBROADCASTSS(scalar("alpha"), rest[1])
	v[0].mul(v[0], s.splat(rest[1]))
	v[1].load(at(dst, 0))
	v[0].fma(v[1], s.splat(rest[0]))
	v[0].store(at(dst, 0))
	r.end()
}

func addMemory(v vector, m Mem) {
	for j, r := range v {
		VADDPS(v.part(m, j), r, r)
	}
}

// scale: w[i] *= factor, for whole vectors.
func (s set) scale() {
	r := s.begin("scale", "(w []float32, factor float32)")
	w, left := slice("w"), length("w")
	v, rest := s.vectors(4)
	VBROADCASTSS(scalar("factor"), rest[0])
	factor := s.splat(rest[0])
	pass := func(n int) {
		loop, out := r.label("loop"), r.label("out")
		Label(loop)
		SUBQ(Imm(uint64(16*n)), left)
		JL(LabelRef(out))
		for i := range n {
			v[i].load(at(w, i*vectorBytes))
			v[i].mul(v[i], factor)
			v[i].store(at(w, i*vectorBytes))
		}
		ADDQ(U32(uint32(n*vectorBytes)), w)
		JMP(LabelRef(loop))
		Label(out)
		ADDQ(Imm(uint64(16*n)), left)
	}
	pass(4)
	pass(1)
	r.end()
}

// transpose: blocks of 16 x 16.
//
//	for b := range blocks {
//		for i := range 16 {
//			for j := range 16 {
//				dst[b*dstBlock+j*16+i] = src[b*srcBlock+i*16+j]
//			}
//		}
//	}
func (s set) transpose() {
	r := s.begin("transpose", "(dst, src []float32, blocks, dstBlock, srcBlock int)")
	dst, src, blocks := slice("dst"), slice("src"), number("blocks")
	dstBlock, srcBlock := scaled("dstBlock", 2), scaled("srcBlock", 2)
	loop, end := r.label("loop"), r.label("end")
	Label(loop)
	DECQ(blocks)
	JL(LabelRef(end))
	if s.wide() {
		for i := range 16 {
			VMOVUPS(at(src, i*vectorBytes), s.registers[i])
		}
		for j, v := range transpose16(s.registers[:17]) {
			VMOVUPS(v, at(dst, j*vectorBytes))
		}
	} else {
		for i := 0; i < 16; i += 8 {
			for j := 0; j < 16; j += 8 {
				for k := range 8 {
					VMOVUPS(at(src, (i+k)*vectorBytes+4*j), s.registers[k])
				}
				for k, v := range transpose8(s.registers[:9]) {
					VMOVUPS(v, at(dst, (j+k)*vectorBytes+4*i))
				}
			}
		}
	}
	ADDQ(dstBlock, dst)
	ADDQ(srcBlock, src)
	JMP(LabelRef(loop))
	Label(end)
	r.end()
}

// shuffling holds rows in registers, of which one is free.
type shuffling struct {
	rows []reg.VecPhysical
	free reg.VecPhysical
}

// pair replaces rows i and j by what lo and hi make of them.
func (t *shuffling) pair(i, j int, lo, hi func(b, a, to reg.VecPhysical)) {
	lo(t.rows[j], t.rows[i], t.free)
	hi(t.rows[j], t.rows[i], t.rows[j])
	t.rows[i], t.free = t.free, t.rows[i]
}

// quads transposes the 4 x 4 blocks of each group of four rows.
func (t *shuffling) quads() {
	r := t.rows
	for i := 0; i < len(r); i += 2 {
		t.pair(i, i+1,
			func(b, a, to reg.VecPhysical) { VUNPCKLPS(b, a, to) },
			func(b, a, to reg.VecPhysical) { VUNPCKHPS(b, a, to) })
	}
	for i := 0; i < len(r); i += 4 {
		for _, j := range []int{i, i + 1} {
			t.pair(j, j+2,
				func(b, a, to reg.VecPhysical) { VUNPCKLPD(b, a, to) },
				func(b, a, to reg.VecPhysical) { VUNPCKHPD(b, a, to) })
		}
		r[i+1], r[i+2] = r[i+2], r[i+1]
	}
}

// transpose16 transposes 16 rows of 16 in 17 registers, and returns the columns.
func transpose16(registers []reg.VecPhysical) []reg.VecPhysical {
	t := &shuffling{append([]reg.VecPhysical{}, registers[:16]...), registers[16]}
	t.quads()
	quarters := func(i, j int) {
		t.pair(i, j,
			func(b, a, to reg.VecPhysical) { VSHUFF32X4(Imm(0x88), b, a, to) },
			func(b, a, to reg.VecPhysical) { VSHUFF32X4(Imm(0xdd), b, a, to) })
	}
	for i := range 4 {
		quarters(i, i+4)
		quarters(i+8, i+12)
	}
	for i := range 4 {
		quarters(i, i+8)
		quarters(i+4, i+12)
	}
	return t.rows
}

// transpose8 transposes 8 rows of 8 in 9 registers, and returns the columns.
func transpose8(registers []reg.VecPhysical) []reg.VecPhysical {
	t := &shuffling{append([]reg.VecPhysical{}, registers[:8]...), registers[8]}
	t.quads()
	for i := range 4 {
		t.pair(i, i+4,
			func(b, a, to reg.VecPhysical) { VPERM2F128(Imm(0x20), b, a, to) },
			func(b, a, to reg.VecPhysical) { VPERM2F128(Imm(0x31), b, a, to) })
	}
	return t.rows
}
