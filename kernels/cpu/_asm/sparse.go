package main

import (
	. "github.com/mmcloughlin/avo/build"
	. "github.com/mmcloughlin/avo/operand"
	"github.com/mmcloughlin/avo/reg"
)

// A sample is [4]uint32; these are its size and the offsets of its elements.
const (
	sampleBytes  = 16
	sampleRecord = 0 // offset in records, in cache lines
	sampleFirst  = 4 // index in cold
	sampleCount  = 8 // a multiple of turn
)

// entries of a sample's record that a turn of a loop handles
const turn = 4

// field loads a sample's field.
func field(sample reg.Register, offset int) reg.GPVirtual {
	v := GP32()
	MOVL(at(sample, offset), v)
	return v.As64().(reg.GPVirtual)
}

// each calls body for every sample.
func (r *routine) each(body func(sample reg.Register)) {
	sample, left := slice("samples"), length("samples")
	loop, end := r.label("sample"), r.label("end")
	Label(loop)
	DECQ(left)
	JL(LabelRef(end))
	body(sample)
	ADDQ(Imm(sampleBytes), sample)
	JMP(LabelRef(loop))
	Label(end)
}

// convert: bytes of records to float32 / 255.
//
//	for i, s := range samples {
//		r := records[64*s.record:]
//		for c := range hot {
//			x[(c/16*len(samples)+i)*16+c%16] = r[c] / 255
//		}
//		for e := range s.count {
//			cold[s.first+e] = r[hot+e] / 255
//		}
//	}
//
// It writes cold in whole vectors. Records come from memory in random order,
// so those of samples to come are fetched ahead.
func (s set) convert() {
	r := s.begin("convert", "(x, cold []float32, records []byte, samples [][4]uint32, hot int)")
	v, rest := s.vectors(1)
	VBROADCASTSS(constant(1./255), rest[0])
	pixel := s.splat(rest[0])
	x, panelBytes := slice("x"), length("samples")
	SHLQ(Imm(6), panelBytes)
	last := length("samples")
	SHLQ(Imm(4), last)
	ADDQ(slice("samples"), last)
	SUBQ(Imm(sampleBytes), last)
	r.each(func(sample reg.Register) {
		ahead := GP64()
		LEAQ(at(sample, fetchAhead*sampleBytes), ahead)
		CMPQ(ahead, last)
		CMOVQGT(last, ahead)
		r.fetch(ahead)
		from, to, left := field(sample, sampleRecord), copyOf(x), number("hot")
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
		first, count := field(sample, sampleFirst), field(sample, sampleCount)
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

// fetchAhead is how many samples ahead records are fetched, and fetchCold how
// many lines beside those of the hot columns.
const (
	fetchAhead = 12
	fetchCold  = 3
)

// fetch fetches a sample's record.
func (r *routine) fetch(sample reg.Register) {
	line, left := field(sample, sampleRecord), number("hot")
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

// entries are what gather and scatter read of a sample.
type entries struct {
	values     reg.GPVirtual // the next entry's
	index, end reg.GPVirtual
}

func loadEntries(sample reg.Register) entries {
	e := entries{values: field(sample, sampleFirst), index: field(sample, sampleRecord), end: GP64()}
	SHLQ(Imm(2), e.values)
	ADDQ(slice("cold"), e.values)
	SHLQ(Imm(6), e.index)
	ADDQ(slice("records"), e.index)
	ADDQ(number("hot"), e.index)
	count := field(sample, sampleCount)
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

// four readies the next four values, and pick fills a register with one of them.
// With AVX2 that takes a load less per value than broadcasting each, and loads
// are what these loops wait for.
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

// gather: rows of one panel of w, weighted, added to z.
//
//	for i, s := range samples {
//		index := indices(records[64*s.record+hot+s.count:])
//		for e := range s.count {
//			for l := range 16 {
//				z[i*16+l] += cold[s.first+e] * w[index[e]/8*16+l]
//			}
//		}
//	}
//
// For each sample it fetches one of ahead, if there is one left: meanwhile these
// arrive from memory.
func (s set) gather() {
	r := s.begin("gather", "(z, w, cold []float32, records []byte, samples, ahead [][4]uint32, hot int)")
	v, rest := s.vectors(turn)
	z, w, ahead, leftAhead := slice("z"), slice("w"), slice("ahead"), length("ahead")
	r.each(func(sample reg.Register) {
		fetched := r.label("fetched")
		DECQ(leftAhead)
		JL(LabelRef(fetched))
		r.fetch(ahead)
		ADDQ(Imm(sampleBytes), ahead)
		Label(fetched)
		e := loadEntries(sample)
		v[0].load(at(z, 0))
		for _, sum := range v[1:] {
			sum.zero()
		}
		indices, row := GP64(), GP64()
		r.turns(e, func() {
			MOVQ(at(e.index, 0), indices)
			r.four(e.values, rest[0])
			for k, value := range rest[1:5] {
				to := indices
				if k < turn-1 {
					to = row
					MOVWQZX(indices.As16(), row)
					SHRQ(Imm(16), indices)
				}
				r.pick(value, e.values, rest[0], k)
				for j, sum := range v[k] {
					VFMADD231PS(v[k].part(indexed(w, to, 8, 0), j), value, sum)
				}
			}
		})
		v[0].add(v[0], v[1])
		v[2].add(v[2], v[3])
		v[0].add(v[0], v[2])
		v[0].store(at(z, 0))
		ADDQ(Imm(vectorBytes), z)
	})
	r.end()
}

// scatter: multiples of rows of d added to rows of one panel of w.
//
//	for i, s := range samples {
//		index := indices(records[64*s.record+hot+s.count:])
//		for e := range s.count {
//			for l := range 16 {
//				w[index[e]/8*16+l] += cold[s.first+e] * (alpha * d[i*16+l])
//			}
//		}
//	}
//
// A row occurs once in a sample, but for those whose values are zero.
func (s set) scatter() {
	r := s.begin("scatter", "(w, d, cold []float32, records []byte, samples [][4]uint32, hot int, alpha float32)")
	v, rest := s.vectors(1 + turn)
	w, d := slice("w"), slice("d")
	VBROADCASTSS(scalar("alpha"), rest[0])
	gradient := v[turn]
	r.each(func(sample reg.Register) {
		e := loadEntries(sample)
		gradient.load(at(d, 0))
		gradient.mul(gradient, s.splat(rest[0]))
		var row [turn]reg.GPVirtual
		for k := range row {
			row[k] = GP64()
		}
		r.turns(e, func() {
			r.four(e.values, rest[1])
			for k := range turn {
				MOVWQZX(at(e.index, 2*k), row[k])
				value := rest[2+k%3]
				r.pick(value, e.values, rest[1], k)
				v[k].load(indexed(w, row[k], 8, 0))
				v[k].fma(gradient, s.splat(value))
			}
			for k := range turn {
				v[k].store(indexed(w, row[k], 8, 0))
			}
		})
		ADDQ(Imm(vectorBytes), d)
	})
	r.end()
}
