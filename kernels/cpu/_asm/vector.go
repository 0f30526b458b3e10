package main

import (
	"fmt"
	"math"

	. "github.com/mmcloughlin/avo/build"
	. "github.com/mmcloughlin/avo/operand"
	"github.com/mmcloughlin/avo/reg"
)

// set is an instruction set.
type set struct {
	suffix    string
	registers []reg.VecPhysical
	// perVector is the number of registers that hold a vector.
	perVector int
	// lanes is how many float32 a register holds.
	lanes int
	// title is the set's name for people.
	title string
	// multiplyPanels, accumulatePanels and recordPanels are how many panels
	// multiply, accumulate, and gather and scatter take at once.
	multiplyPanels, accumulatePanels, recordPanels int
}

// halfSuffix ends the names of routines that see the first half of every vector.
const halfSuffix = "Half"

var (
	avx2 = set{"AVX2", []reg.VecPhysical{
		reg.Y0, reg.Y1, reg.Y2, reg.Y3, reg.Y4, reg.Y5, reg.Y6, reg.Y7,
		reg.Y8, reg.Y9, reg.Y10, reg.Y11, reg.Y12, reg.Y13, reg.Y14, reg.Y15,
	}, 2, 8, "AVX2", 1, 1, 1}
	// avx2Half sees the first half of every vector only.
	avx2Half = set{avx2.suffix + halfSuffix, avx2.registers, 1, 8, avx2.title, 1, 1, 1}
	avx512   = set{"AVX512", []reg.VecPhysical{
		reg.Z0, reg.Z1, reg.Z2, reg.Z3, reg.Z4, reg.Z5, reg.Z6, reg.Z7,
		reg.Z8, reg.Z9, reg.Z10, reg.Z11, reg.Z12, reg.Z13, reg.Z14, reg.Z15,
		reg.Z16, reg.Z17, reg.Z18, reg.Z19, reg.Z20, reg.Z21, reg.Z22, reg.Z23,
		reg.Z24, reg.Z25, reg.Z26, reg.Z27, reg.Z28, reg.Z29, reg.Z30, reg.Z31,
	}, 1, 16, "AVX-512", 2, 3, 4}
)

func (s set) wide() bool { return s.lanes == 16 }

// vectorBytes is the size of 16 float32, also of a cache line.
const vectorBytes = 64

// vector is 16 float32, or 16 int32, in one register or two.
type vector []reg.VecPhysical

// vectors numbers the registers as n vectors from the first one on; what is
// left is for single registers.
func (s set) vectors(n int) (v []vector, rest []reg.VecPhysical) {
	for i := range n {
		v = append(v, vector(s.registers[i*s.perVector:(i+1)*s.perVector]))
	}
	return v, s.registers[n*s.perVector:]
}

// splat is a vector whose halves are the same register: an operand only.
func (s set) splat(r reg.VecPhysical) vector {
	v := make(vector, s.perVector)
	for i := range v {
		v[i] = r
	}
	return v
}

// part is the memory of register j of a vector that stands at m.
func (v vector) part(m Mem, j int) Mem { return m.Offset(j * vectorBytes / len(v)) }

func (v vector) load(m Mem) {
	for j, r := range v {
		VMOVUPS(v.part(m, j), r)
	}
}

func (v vector) store(m Mem) {
	for j, r := range v {
		VMOVUPS(r, v.part(m, j))
	}
}

func (v vector) copy(from vector) {
	for j, r := range v {
		VMOVAPS(from[j], r)
	}
}

func (v vector) zero() {
	for _, r := range v {
		VXORPS(r, r, r)
	}
}

// broadcast fills a vector with the float32 at m.
func (v vector) broadcast(m Mem) {
	for _, r := range v {
		VBROADCASTSS(m, r)
	}
}

// Of these, v is where the result goes. Operands in memory are vectors.

func (v vector) add(a, b vector) {
	for j, r := range v {
		VADDPS(b[j], a[j], r)
	}
}

func (v vector) sub(a, b vector) {
	for j, r := range v {
		VSUBPS(b[j], a[j], r)
	}
}

func (v vector) mul(a, b vector) {
	for j, r := range v {
		VMULPS(b[j], a[j], r)
	}
}

func (v vector) div(a, b vector) {
	for j, r := range v {
		VDIVPS(b[j], a[j], r)
	}
}

func (v vector) sqrt(a vector) {
	for j, r := range v {
		VSQRTPS(a[j], r)
	}
}

// max is a > b ? a : b, so b where either is NaN.
func (v vector) max(a, b vector) {
	for j, r := range v {
		VMAXPS(b[j], a[j], r)
	}
}

// min is a < b ? a : b, so b where either is NaN.
func (v vector) min(a, b vector) {
	for j, r := range v {
		VMINPS(b[j], a[j], r)
	}
}

// fma is v += a·b.
func (v vector) fma(a, b vector) {
	for j, r := range v {
		VFMADD231PS(b[j], a[j], r)
	}
}

// fmaNegated is v -= a·b.
func (v vector) fmaNegated(a, b vector) {
	for j, r := range v {
		VFNMADD231PS(b[j], a[j], r)
	}
}

// horner is v = v·x + c.
func (v vector) horner(x vector, c float64) {
	for j, r := range v {
		if len(v) == 1 {
			VFMADD213PS_BCST(constant(c), x[j], r)
		} else {
			VFMADD213PS(constant(c), x[j], r)
		}
	}
}

// set fills a vector with a constant.
func (v vector) set(c float64) { v.broadcast(constant(c)) }

// Predicates of compare: false where either operand is NaN.
const (
	greaterThan = 30
	atLeast     = 29
	lessThan    = 17
	atMost      = 18
)

// compare fills mask with ones in the lanes where a is to b as the predicate
// says. AVX-512 uses K1.
func (s set) compare(predicate uint64, a, b, mask vector) {
	for j := range a {
		if s.wide() {
			VCMPPS(Imm(predicate), b[j], a[j], reg.K1)
		} else {
			VCMPPS(Imm(predicate), b[j], a[j], mask[j])
		}
	}
}

// choose is v = mask ? a : v, with the mask of compare.
func (s set) choose(v, a, mask vector) {
	for j := range v {
		if s.wide() {
			VMOVAPS(a[j], reg.K1, v[j])
		} else {
			VBLENDVPS(mask[j], a[j], v[j], v[j])
		}
	}
}

// convertBytes makes 16 float32 of the 16 bytes at m.
func (v vector) convertBytes(m Mem) {
	for j, r := range v {
		VPMOVZXBD(m.Offset(j*16/len(v)), r)
		VCVTDQ2PS(r, r)
	}
}

// Constants stand in memory 8 times, to be operands of both sets.

const constantBytes = 32

var (
	constantData   Mem
	constantOffset = map[uint32]int{}
)

func constants() { constantData = GLOBL("constants", RODATA|NOPTR) }

func constant(c float64) Mem { return constantBits(math.Float32bits(float32(c))) }

func constantBits(bits uint32) Mem {
	at, known := constantOffset[bits]
	if !known {
		at = len(constantOffset) * constantBytes
		constantOffset[bits] = at
		for i := 0; i < constantBytes; i += 4 {
			DATA(at+i, U32(bits))
		}
	}
	return constantData.Offset(at)
}

// routine is a function in the making.
type routine struct {
	set
	labels int
}

func (s set) begin(name, signature string) *routine {
	TEXT(name+s.suffix, NOSPLIT, "func"+signature)
	begun[s.suffix] = append(begun[s.suffix], name)
	Pragma("noescape")
	return &routine{set: s}
}

func (r *routine) end() {
	VZEROUPPER()
	RET()
}

// label is a label that no other place of the function has.
func (r *routine) label(name string) string {
	r.labels++
	return fmt.Sprintf("%s%d", name, r.labels)
}

// slice loads the address of a slice's first element.
func slice(name string) reg.Register { return Load(Param(name).Base(), GP64()) }

// length loads the length of a slice.
func length(name string) reg.Register { return Load(Param(name).Len(), GP64()) }

// number loads an int.
func number(name string) reg.Register { return Load(Param(name), GP64()) }

// scaled loads an int times a power of two.
func scaled(name string, shift int) reg.Register {
	n := number(name)
	SHLQ(Imm(uint64(shift)), n)
	return n
}

// scalar is a float32 parameter in memory.
func scalar(name string) Mem {
	p, err := Param(name).Resolve()
	if err != nil {
		panic(err)
	}
	return p.Addr
}

func at(base reg.Register, displacement int) Mem { return Mem{Base: base, Disp: displacement} }

func indexed(base, index reg.Register, scale uint8, displacement int) Mem {
	return Mem{Base: base, Index: index, Scale: scale, Disp: displacement}
}

func copyOf(r reg.Register) reg.Register {
	c := GP64()
	MOVQ(r, c)
	return c
}

// panelAt is memory in panel 0 or 1 of those that stand stride bytes apart.
func panelAt(base, stride reg.Register, panel, displacement int) Mem {
	if panel == 0 {
		return at(base, displacement)
	}
	return indexed(base, stride, 1, displacement)
}
