package main

import (
	"math"

	. "github.com/mmcloughlin/avo/build"
	. "github.com/mmcloughlin/avo/operand"
	"github.com/mmcloughlin/avo/reg"
)

// maps are the functions of tensor operations that run at vector speed. Those of
// one operand are over slices of one length, the others over panels.
func (s set) maps() {
	two, three := []string{"a", "b"}, []string{"a", "b", "c"}
	for _, m := range []struct {
		name string
		f    func(out, a, b vector)
	}{
		{"mapAdd", vector.add}, {"mapSub", vector.sub}, {"mapMul", vector.mul}, {"mapDiv", vector.div},
	} {
		s.panelwise(m.name, two, func([]reg.VecPhysical) {}, func(in []vector) vector {
			m.f(in[0], in[0], in[1])
			return in[0]
		})
	}
	// c + a·b and c − a·b, rounded once.
	s.panelwise("mapMulAdd", three, func([]reg.VecPhysical) {}, func(in []vector) vector {
		in[2].fma(in[0], in[1])
		return in[2]
	})
	s.panelwise("mapMulSub", three, func([]reg.VecPhysical) {}, func(in []vector) vector {
		in[2].fmaNegated(in[0], in[1])
		return in[2]
	})
	// One where a comparison holds, else zero.
	for _, c := range []struct {
		name      string
		predicate uint64
	}{{"mapGt", greaterThan}, {"mapGe", atLeast}, {"mapLt", lessThan}, {"mapLe", atMost}} {
		var one vector
		s.panelwise(c.name, two, func(single []reg.VecPhysical) {
			one = s.splat(single[0])
			one.set(1)
		}, func(in []vector) vector {
			s.compare(c.predicate, in[0], in[1], in[0])
			in[1].zero()
			s.choose(in[1], one, in[0])
			return in[1]
		})
	}

	var sign vector
	flip := func(bits uint32) func(single []reg.VecPhysical) {
		return func(single []reg.VecPhysical) {
			sign = s.splat(single[0])
			sign.broadcast(constantBits(bits))
		}
	}
	s.elementwise("mapNeg", []string{"out", "a"}, "", flip(1<<31), 2, func(out vector, in, _ []vector) {
		for j, r := range out {
			VXORPS(in[0][j], sign[j], r)
		}
	})
	s.elementwise("mapAbs", []string{"out", "a"}, "", flip(1<<31-1), 2, func(out vector, in, _ []vector) {
		for j, r := range out {
			VANDPS(in[0][j], sign[j], r)
		}
	})
	s.elementwise("mapSqrt", []string{"out", "a"}, "", func([]reg.VecPhysical) {}, 2, func(out vector, in, _ []vector) { out.sqrt(in[0]) })
	var one vector
	s.elementwise("mapInv", []string{"out", "a"}, "", func(single []reg.VecPhysical) {
		one = s.splat(single[0])
		one.set(1)
	}, 2, func(out vector, in, _ []vector) { out.div(one, in[0]) })
	s.mapExp()
}

// mapExp: eˣ, zero where that is no normal number, infinite where it is none.
func (s set) mapExp() {
	const (
		lowest  = -125 * math.Ln2
		highest = 88.722
	)
	var low, high, infinite vector
	s.elementwise("mapExp", []string{"out", "a"}, "", func(single []reg.VecPhysical) {
		low, high, infinite = s.splat(single[0]), s.splat(single[1]), s.splat(single[2])
		low.set(lowest)
		high.set(highest)
		infinite.broadcast(constantBits(0x7f800000))
	}, 5, func(out vector, in, scratch []vector) {
		x, k := scratch[0], scratch[1]
		x.max(low, in[0])
		x.min(high, x)
		s.exp(out, x, k)
		x.zero()
		s.compare(greaterThan, low, in[0], k)
		s.choose(out, x, k)
		s.compare(greaterThan, in[0], high, k)
		s.choose(out, infinite, k)
	})
}

// panelwise writes a function of operands that move through panels of rows each
// in its own way:
//
//	for p := range panels {
//		for i := range rows {
//			out[p·rows+i] = f(a, b, ..)
//			a, b, .. move by their Row bytes
//		}
//		a, b, .. move by their Next bytes
//	}
//
// rows and panels are at least one. body leaves the result in one of in, all of
// which it may change.
func (s set) panelwise(name string, operands []string, prepare func(single []reg.VecPhysical), body func(in []vector) vector) {
	signature := "(out"
	for _, o := range operands {
		signature += ", " + o
	}
	signature += " []float32, rows, panels"
	for _, o := range operands {
		signature += ", " + o + "Row, " + o + "Next"
	}
	r := s.begin(name, signature+" int)")
	v, rest := s.vectors(2 * len(operands))
	prepare(rest)
	out := slice("out")
	var base, row []reg.Register
	for _, o := range operands {
		base, row = append(base, slice(o)), append(row, number(o+"Row"))
	}
	left, panels := GP64(), number("panels")
	panel, pair, last, next := r.label("panel"), r.label("pair"), r.label("last"), r.label("next")
	Label(panel)
	Load(Param("rows"), left)
	Label(pair)
	SUBQ(Imm(2), left)
	JL(LabelRef(last))
	first, second := v[:len(operands)], v[len(operands):]
	for k, b := range base {
		first[k].load(at(b, 0))
		for j, part := range second[k] {
			VMOVUPS(indexed(b, row[k], 1, j*vectorBytes/len(second[k])), part)
		}
		LEAQ(indexed(b, row[k], 2, 0), b)
	}
	body(first).store(at(out, 0))
	body(second).store(at(out, vectorBytes))
	ADDQ(U32(2*vectorBytes), out)
	JMP(LabelRef(pair))
	Label(last)
	ADDQ(Imm(2), left)
	JZ(LabelRef(next))
	for k, b := range base {
		first[k].load(at(b, 0))
		ADDQ(row[k], b)
	}
	body(first).store(at(out, 0))
	ADDQ(Imm(vectorBytes), out)
	Label(next)
	for k, b := range base {
		ADDQ(scalar(operands[k]+"Next"), b)
	}
	DECQ(panels)
	JNZ(LabelRef(panel))
	r.end()
}

// rowSums: the sum over each row's columns, in 16 lanes.
//
//	for i := range rows {
//		var sum [16]float32
//		for p := range panels - 1 {
//			sum[l] += a[(p·rows+i)·16+l]
//		}
//		sum[l] += a[..+l] of the last panel, where used[l]
//		out[i·16:][l] = the sum of sum, halves first
//	}
//
// used has all bits set in the lanes that are, and none in the others.
func (s set) rowSums() {
	r := s.begin("rowSums", "(out, a []float32, used []uint32, rows, panels int)")
	v, _ := s.vectors(4)
	sum, x, mask := v[0], v[1], v[2]
	out, a, rows, panels := slice("out"), slice("a"), number("rows"), number("panels")
	mask.load(at(slice("used"), 0))
	stride := copyOf(rows)
	SHLQ(Imm(6), stride)
	row, panel, last := r.label("row"), r.label("panel"), r.label("last")
	Label(row)
	at0, left := copyOf(a), copyOf(panels)
	sum.zero()
	Label(panel)
	DECQ(left)
	JZ(LabelRef(last))
	addMemory(sum, at(at0, 0))
	ADDQ(stride, at0)
	JMP(LabelRef(panel))
	Label(last)
	x.load(at(at0, 0))
	for j := range x {
		VANDPS(x[j], mask[j], x[j])
	}
	sum.add(sum, x)
	half, other := sum[0].AsY(), x[0].AsY()
	if s.wide() {
		VEXTRACTF64X4(Imm(1), sum[0], other)
	} else {
		other = sum[1].AsY()
	}
	VADDPS(other, half, half)
	VPERM2F128(Imm(1), half, half, other)
	VADDPS(other, half, half)
	VPERMILPS(Imm(0x4e), half, other)
	VADDPS(other, half, half)
	VPERMILPS(Imm(0xb1), half, other)
	VADDPS(other, half, half)
	VMOVUPS(half, at(out, 0))
	VMOVUPS(half, at(out, vectorBytes/2))
	ADDQ(Imm(vectorBytes), out)
	ADDQ(Imm(vectorBytes), a)
	DECQ(rows)
	JNZ(LabelRef(row))
	r.end()
}
