package main

import (
	. "github.com/mmcloughlin/avo/build"
	. "github.com/mmcloughlin/avo/operand"
	"github.com/mmcloughlin/avo/reg"
)

// An example is [4]uint32; these are its size and the offsets of its elements.
const (
	exampleBytes  = 16
	exampleRecord = 0 // offset in records, in cache lines
	exampleFirst  = 4 // index in cold
	exampleCount  = 8 // a multiple of turn
)

// entries of an example's record that a turn of a loop handles
const turn = 4

// field loads an example's field.
func field(example reg.Register, offset int) reg.GPVirtual {
	v := GP32()
	MOVL(at(example, offset), v)
	return v.As64().(reg.GPVirtual)
}

// each calls body for every example.
func (r *routine) each(body func(example reg.Register)) {
	example, left := slice("examples"), length("examples")
	loop, end := r.label("example"), r.label("end")
	Label(loop)
	DECQ(left)
	JL(LabelRef(end))
	body(example)
	ADDQ(Imm(exampleBytes), example)
	JMP(LabelRef(loop))
	Label(end)
}

// convert: bytes of records to float32 / 255.
//
//	for i, s := range examples {
//		r := records[64*s.record:]
//		for c := range hot {
//			x[(c/16*len(examples)+i)*16+c%16] = r[c] / 255
//		}
//		for e := range s.count {
//			cold[s.first+e] = r[hot+e] / 255
//		}
//	}
//
// It writes cold in whole vectors. Records come from memory in random order,
// so those of examples to come are fetched ahead.
func (s set) convert() {
	r := s.begin("convert", "(x, cold []float32, records []byte, examples [][4]uint32, hot int)")
	v, rest := s.vectors(1)
	VBROADCASTSS(constant(1./255), rest[0])
	pixel := s.splat(rest[0])
	x, panelBytes := slice("x"), length("examples")
	SHLQ(Imm(6), panelBytes)
	last := length("examples")
	SHLQ(Imm(4), last)
	ADDQ(slice("examples"), last)
	SUBQ(Imm(exampleBytes), last)
	r.each(func(example reg.Register) {
		ahead := GP64()
		LEAQ(at(example, fetchAhead*exampleBytes), ahead)
		CMPQ(ahead, last)
		CMOVQGT(last, ahead)
		r.fetch(ahead)
		from, to, left := field(example, exampleRecord), copyOf(x), number("hot")
		SHLQ(Imm(6), from)
		ADDQ(slice("records"), from)
		hot, cold := r.label("hot"), r.label("cold")
		Label(hot)
		SUBQ(Imm(16), left)
		JL(LabelRef(cold))
		v[0].convertBytes(at(from, 0))
		v[0].mul(v[0], pixel)
		v[0].store(at(to, 0))
		ADDQ(Imm(16), from)
		ADDQ(panelBytes, to)
		JMP(LabelRef(hot))
		Label(cold)
		first, count := field(example, exampleFirst), field(example, exampleCount)
		SHLQ(Imm(2), first)
		ADDQ(slice("cold"), first)
		loop, end := r.label("values"), r.label("next")
		Label(loop)
		CMPQ(count, Imm(0))
		JLE(LabelRef(end))
		v[0].convertBytes(at(from, 0))
		v[0].mul(v[0], pixel)
		v[0].store(at(first, 0))
		ADDQ(Imm(16), from)
		ADDQ(Imm(vectorBytes), first)
		SUBQ(Imm(16), count)
		JMP(LabelRef(loop))
		Label(end)
		ADDQ(Imm(vectorBytes), x)
	})
	r.end()
}

// fetchAhead is how many examples ahead records are fetched, and fetchCold how
// many lines beside those of the hot columns.
const (
	fetchAhead = 12
	fetchCold  = 3
)

// fetch fetches an example's record.
func (r *routine) fetch(example reg.Register) {
	line, left := field(example, exampleRecord), number("hot")
	SHLQ(Imm(6), line)
	ADDQ(slice("records"), line)
	for i := range fetchCold {
		PREFETCHT1(at(line, i*vectorBytes))
	}
	loop := r.label("fetch")
	Label(loop)
	PREFETCHT1(at(line, fetchCold*vectorBytes))
	ADDQ(Imm(vectorBytes), line)
	SUBQ(Imm(vectorBytes), left)
	JG(LabelRef(loop))
}

// entries are what gather and scatter read of an example.
type entries struct {
	values     reg.GPVirtual // the next entry's
	index, end reg.GPVirtual
}

func loadEntries(example reg.Register) entries {
	e := entries{values: field(example, exampleFirst), index: field(example, exampleRecord), end: GP64()}
	SHLQ(Imm(2), e.values)
	ADDQ(slice("cold"), e.values)
	SHLQ(Imm(6), e.index)
	ADDQ(slice("records"), e.index)
	ADDQ(number("hot"), e.index)
	count := field(example, exampleCount)
	ADDQ(count, e.index)
	LEAQ(indexed(e.index, count, 2, 0), e.end)
	return e
}

// turns calls body for every four entries.
func (r *routine) turns(e entries, body func()) {
	loop, end := r.label("turn"), r.label("turned")
	CMPQ(e.index, e.end)
	JGE(LabelRef(end))
	Label(loop)
	body()
	ADDQ(Imm(2*turn), e.index)
	ADDQ(Imm(4*turn), e.values)
	CMPQ(e.index, e.end)
	JL(LabelRef(loop))
	Label(end)
}

// four readies the next four values, and pick fills a register with one of them. With AVX2
// that takes a load less per value than broadcasting each, and loads are what
// these loops wait for.
func (r *routine) four(values reg.Register, v reg.VecPhysical) {
	if !r.wide() {
		VBROADCASTF128(at(values, 0), v)
	}
}

func (r *routine) pick(value reg.VecPhysical, values reg.Register, four reg.VecPhysical, k int) {
	if r.wide() {
		VBROADCASTSS(at(values, 4*k), value)
	} else {
		VPERMILPS(Imm(uint64(k*0b01010101)), four, value)
	}
}

// rowsOf loads the address of a row in the first of several panels; at is where
// it is in panel p. With one panel the address is not needed.
type rowsOf struct {
	w, stride, thrice reg.Register
	panels            int
}

func (s set) rowsOf(panels int) rowsOf {
	o := rowsOf{w: slice("w"), panels: panels}
	if panels > 1 {
		o.stride = scaled("wPanel", 2)
	}
	if panels > 3 {
		o.thrice = GP64()
		LEAQ(indexed(o.stride, o.stride, 2, 0), o.thrice)
	}
	return o
}

// address makes the address of the row with an index, in the index's register.
func (o rowsOf) address(index reg.Register) {
	if o.panels > 1 {
		LEAQ(indexed(o.w, index, 8, 0), index)
	}
}

func (o rowsOf) at(index reg.Register, p int) Mem {
	if o.panels == 1 {
		return indexed(o.w, index, 8, 0)
	}
	switch p {
	case 0:
		return at(index, 0)
	case 3:
		return indexed(index, o.thrice, 1, 0)
	}
	return indexed(index, o.stride, uint8(p), 0)
}

// perPanels calls body for the number of panels that a routine was called with,
// most at most.
func (r *routine) perPanels(most int, body func(panels int)) {
	for panels := most; panels > 1; panels-- {
		fewer := r.label("fewer")
		CMPQ(number("panels"), Imm(uint64(panels)))
		JNE(LabelRef(fewer))
		body(panels)
		VZEROUPPER()
		RET()
		Label(fewer)
	}
	body(1)
}

// gather: rows of panels of w, weighted, added to z.
//
//	for p := range panels {
//		for i, s := range examples {
//			index := indices(records[64*s.record+hot+s.count:])
//			for e := range s.count {
//				for l := range 16 {
//					z[(p*len(examples)+i)*16+l] += cold[s.first+e] * w[p*wPanel+index[e]/8*16+l]
//				}
//			}
//		}
//	}
//
// For each example it fetches one of ahead, if there is one left: meanwhile these
// arrive from memory. panels is 1 or, with AVX-512, up to 4, which share each
// entry's value and index.
func (s set) gather() {
	r := s.begin("gather", "(z, w, cold []float32, records []byte, examples, ahead [][4]uint32, hot, panels, wPanel int)")
	most := 1
	if s.wide() {
		most = 4
	}
	r.perPanels(most, func(panels int) { r.gatherPanels(panels) })
	r.end()
}

func (r *routine) gatherPanels(panels int) {
	v, rest := r.vectors(turn * panels)
	sum := func(k, p int) vector { return v[p*turn+k] }
	z, rows, ahead, leftAhead := slice("z"), r.rowsOf(panels), slice("ahead"), length("ahead")
	r.each(func(example reg.Register) {
		fetched := r.label("fetched")
		DECQ(leftAhead)
		JL(LabelRef(fetched))
		r.fetch(ahead)
		ADDQ(Imm(exampleBytes), ahead)
		Label(fetched)
		e := loadEntries(example)
		panelBytes, pointer := length("examples"), copyOf(z)
		SHLQ(Imm(6), panelBytes)
		for p := range panels {
			sum(0, p).load(at(pointer, 0))
			for k := 1; k < turn; k++ {
				sum(k, p).zero()
			}
			if p < panels-1 {
				ADDQ(panelBytes, pointer)
			}
		}
		indices, row := GP64(), GP64()
		r.turns(e, func() {
			MOVQ(at(e.index, 0), indices)
			r.four(e.values, rest[0])
			for k, value := range rest[1 : 1+turn] {
				to := indices
				if k < turn-1 {
					to = row
					MOVWQZX(indices.As16(), row)
					SHRQ(Imm(16), indices)
				}
				rows.address(to)
				r.pick(value, e.values, rest[0], k)
				for p := range panels {
					for j, part := range sum(k, p) {
						VFMADD231PS(sum(k, p).part(rows.at(to, p), j), value, part)
					}
				}
			}
		})
		panelBytes, pointer = length("examples"), copyOf(z)
		SHLQ(Imm(6), panelBytes)
		for p := range panels {
			sum(0, p).add(sum(0, p), sum(1, p))
			sum(2, p).add(sum(2, p), sum(3, p))
			sum(0, p).add(sum(0, p), sum(2, p))
			sum(0, p).store(at(pointer, 0))
			if p < panels-1 {
				ADDQ(panelBytes, pointer)
			}
		}
		ADDQ(Imm(vectorBytes), z)
	})
}

// scatter: multiples of rows of d added to rows of panels of w.
//
//	for p := range panels {
//		for i, s := range examples {
//			index := indices(records[64*s.record+hot+s.count:])
//			for e := range s.count {
//				for l := range 16 {
//					w[p*wPanel+index[e]/8*16+l] += cold[s.first+e] * (alpha * d[(p*len(examples)+i)*16+l])
//				}
//			}
//		}
//	}
//
// A row occurs once in an example, but for those whose values are zero. panels is 1
// or, with AVX-512, up to 4.
func (s set) scatter() {
	r := s.begin("scatter", "(w, d, cold []float32, records []byte, examples [][4]uint32, hot, panels, wPanel int, alpha float32)")
	most := 1
	if s.wide() {
		most = 4
	}
	r.perPanels(most, func(panels int) { r.scatterPanels(panels) })
	r.end()
}

func (r *routine) scatterPanels(panels int) {
	v, rest := r.vectors((1 + turn) * panels)
	rows, d := r.rowsOf(panels), slice("d")
	gradient := v[turn*panels:]
	old := func(k, p int) vector { return v[k*panels+p] }
	VBROADCASTSS(scalar("alpha"), rest[0])
	r.each(func(example reg.Register) {
		e := loadEntries(example)
		panelBytes, pointer := length("examples"), copyOf(d)
		SHLQ(Imm(6), panelBytes)
		for p, g := range gradient {
			g.load(at(pointer, 0))
			g.mul(g, r.splat(rest[0]))
			if p < panels-1 {
				ADDQ(panelBytes, pointer)
			}
		}
		var row [turn]reg.GPVirtual
		for k := range row {
			row[k] = GP64()
		}
		r.turns(e, func() {
			r.four(e.values, rest[1])
			for k := range turn {
				MOVWQZX(at(e.index, 2*k), row[k])
				rows.address(row[k])
				value := rest[2+k%3]
				r.pick(value, e.values, rest[1], k)
				for p, g := range gradient {
					old(k, p).load(rows.at(row[k], p))
					old(k, p).fma(g, r.splat(value))
				}
			}
			for k := range turn {
				for p := range panels {
					old(k, p).store(rows.at(row[k], p))
				}
			}
		})
		ADDQ(Imm(vectorBytes), d)
	})
}
