// Command asm writes dense_amd64.s and its Go stubs: the inner loops of package
// cpu for AVX2 with FMA, and for AVX-512; and tables_amd64.go, which says which is
// which.
//
// Every routine is written once, over vectors of 16 float32: a register of
// AVX-512, two of AVX2; those that take most of the time once more, over the
// first 8 of every 16. Its comment is the Go loop that it equals; the loops
// themselves are in dense_generic.go.
package main

import (
	"flag"
	"log"
	"path/filepath"

	. "github.com/mmcloughlin/avo/build"
	. "github.com/mmcloughlin/avo/operand"
)

func main() {
	ConstraintExpr("amd64,!purego")
	compact := compactions()
	constants()
	setControl()
	fetch()
	for _, s := range []set{avx2, avx512} {
		s.multiply()
		s.accumulate()
		s.transpose()
		s.columnSums()
		s.scale()
		s.convert()
		s.gather()
		s.scatter()
		s.sigmoid()
		s.softplus()
		s.silu()
		s.geluTanh()
		s.softsign()
		s.tanh()
		s.rectify()
		s.sigmoidBackward()
		s.tanhBackward()
		s.rectifyBackward()
		s.softmax()
		s.descend()
		s.momentum()
		s.adam()
		s.ceiling()
		s.maps()
		s.rowSums()
		s.moveRows()
		s.addRows()
		s.pixels()
	}
	avx2Half.multiply()
	avx2Half.accumulate()
	avx2Half.columnSums()
	avx2Half.gather()
	avx2Half.scatter()
	maxPool2()
	maxPoolGrad2()
	encode(compact)
	Generate()
	if err := tables(filepath.Join(filepath.Dir(flag.Lookup("out").Value.String()), "tables_amd64.go")); err != nil {
		log.Fatal(err)
	}
}

// setControl sets MXCSR and returns what it was.
func setControl() {
	TEXT("setControl", NOSPLIT, "func(control uint32) (before uint32)")
	scratch, before := AllocLocal(8), GP32()
	STMXCSR(scratch)
	MOVL(scratch, before)
	LDMXCSR(scalar("control"))
	Store(before, Return("before"))
	RET()
}

// fetch fetches the lines of p.
func fetch() {
	TEXT("fetch", NOSPLIT, "func(p []byte)")
	Pragma("noescape")
	p, left := slice("p"), length("p")
	Label("line")
	SUBQ(Imm(vectorBytes), left)
	PREFETCHT1(at(p, 0))
	LEAQ(at(p, vectorBytes), p)
	JG(LabelRef("line"))
	RET()
}
