package cpu

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"unsafe"

	"vanilla/graph/ir"
	"vanilla/kernels"
)

// The routines of each instruction set against those in portable Go, which
// are their definition, and the portable ones against float64: with guards
// around every array that is written, at several alignments.

const guard = float32(-12345)

// ulp bounds the rounding of one float32 operation on numbers of about one.
const ulp = 0x1p-23

// guarded is n numbers from f with guards before and after them, offset by
// some elements from a cache line.
type guarded struct {
	all, data []float32
	at        int
}

func newGuarded(n, offset int, f func(i int) float32) guarded {
	all := make([]float32, n+3*lanes)
	misaligned := int(uintptr(unsafe.Pointer(&all[0]))%64) / 4
	at := (lanes-misaligned)%lanes + 1 + offset
	for i := range all {
		all[i] = guard
	}
	g := guarded{all, all[at : at+n : at+n], at}
	for i := range g.data {
		g.data[i] = f(i)
	}
	return g
}

func (g guarded) intact() bool {
	for i, v := range g.all {
		if (i < g.at || i >= g.at+len(g.data)) && v != guard {
			return false
		}
	}
	return true
}

func random(int) float32 { return 2*rand.Float32() - 1 }

// same compares arrays element by element within an absolute and a relative
// tolerance; NaN equals NaN.
func same(t *testing.T, what string, got, want []float32, absolute, relative float64) {
	t.Helper()
	for i := range want {
		g, w := float64(got[i]), float64(want[i])
		if g == w || math.IsNaN(g) && math.IsNaN(w) {
			continue
		}
		if !(math.Abs(g-w) <= absolute+relative*math.Abs(w)) {
			t.Errorf("%s: element %d is %v, want %v", what, i, g, w)
			return
		}
	}
}

// offsets from a cache line, in elements.
var offsets = []int{0, 1, 8, 15}

// each calls test for every set but the portable one, and for that too if a
// build has no other.
func each(t *testing.T, test func(t *testing.T, r *routines)) {
	sets := available()
	if len(sets) > 1 {
		sets = sets[:len(sets)-1]
	}
	for _, r := range sets {
		t.Run(r.name, func(t *testing.T) { test(t, r) })
	}
}

// eachProducts calls test for the products of each set, for whole panels and for
// half ones.
func eachProducts(t *testing.T, test func(t *testing.T, r *routines, p *products, used int)) {
	each(t, func(t *testing.T, r *routines) {
		t.Run("whole", func(t *testing.T) { test(t, r, r.forColumns(half+1), lanes) })
		t.Run("half", func(t *testing.T) { test(t, r, r.forColumns(half), half) })
	})
}

// leave is what panels should hold, where those columns that are not in use may
// also be what they were.
func leave(want, got, before []float32, used int) []float32 {
	for i := range want {
		if i%lanes >= used && got[i] == before[i] {
			want[i] = before[i]
		}
	}
	return want
}

// shapes calls test for every first number of 0 to 129 with some second ones, and
// the other way round.
func shapes(test func(first, second int)) {
	for n := range 130 {
		for _, other := range []int{0, 1, 2, 5, 16, 17, 32, 129} {
			test(n, other)
			test(other, n)
		}
	}
}

// notFinite are numbers that products must not lose.
var notFinite = []float32{float32(math.NaN()), float32(math.Inf(1)), float32(math.Inf(-1))}

func TestMultiply(t *testing.T) {
	eachProducts(t, func(t *testing.T, r *routines, routine *products, used int) {
		shapes(func(rows, depth int) {
			if rows == 0 {
				return
			}
			for n := 1; n <= r.multiplyPanels; n++ {
				offset := offsets[(rows+depth)%len(offsets)]
				aRows, bPanel := rows+rows%3, (depth+2)*lanes
				a := newGuarded(panels(depth+1)*aRows*lanes, offset, random)
				b, bias := newGuarded(n*bPanel, offset, random), newGuarded(n*lanes, offset, random)
				got := newGuarded((n*aRows)*lanes, offset, random)
				want := append([]float32(nil), got.data...)
				what := fmt.Sprintf("rows %d depth %d panels %d", rows, depth, n)
				check := func(start, from []float32, startRow, startP int) {
					t.Helper()
					before := slices.Clone(got.data)
					routine.multiply(got.data, start, a.data, b.data, rows, aRows, depth, n, startRow, startP, bPanel)
					multiply(want, from, a.data, b.data, rows, aRows, depth, n, startRow, startP, bPanel)
					// depth+2 roundings on each side, of sums up to 2·depth+2
					same(t, what, got.data, leave(want, got.data, before, used), float64(depth+2)*float64(2*depth+2)*ulp, 0)
				}
				check(bias.data, bias.data, 0, lanes)
				check(got.data, want, lanes, aRows*lanes)
				if k := depth - 1; k >= 0 {
					a.data[(k/lanes*aRows+rows-1)*lanes+k%lanes] = notFinite[(rows+depth)%len(notFinite)]
					check(bias.data, bias.data, 0, lanes)
				}
				if !got.intact() {
					t.Fatalf("%s: guards are overwritten", what)
				}
			}
		})
	})
}

func TestAccumulate(t *testing.T) {
	eachProducts(t, func(t *testing.T, r *routines, routine *products, used int) {
		shapes(func(columns, rows int) {
			if columns == 0 || rows == 0 {
				return
			}
			for n := 1; n <= r.accumulatePanels; n++ {
				offset := offsets[(rows+columns)%len(offsets)]
				aRows, dstPanel := rows+columns%2, (columns+1)*lanes
				a := newGuarded(panels(columns)*aRows*lanes, offset, random)
				d := newGuarded(n*aRows*lanes, offset, random)
				got := newGuarded(n*dstPanel, offset, random)
				want := slices.Clone(got.data)
				what := fmt.Sprintf("rows %d columns %d panels %d", rows, columns, n)
				for _, special := range []bool{false, true} {
					if special {
						d.data[(rows-1)*lanes+columns%used] = notFinite[(rows+columns)%len(notFinite)]
					}
					before := slices.Clone(got.data)
					routine.accumulate(got.data, a.data, d.data, rows, aRows, columns, n, dstPanel, 0.5, -2)
					accumulate(want, a.data, d.data, rows, aRows, columns, n, dstPanel, 0.5, -2)
					same(t, what, got.data, leave(want, got.data, before, used), float64(rows+3)*float64(2*rows+1)*ulp, 0)
				}
				if !got.intact() {
					t.Fatalf("%s: guards are overwritten", what)
				}
			}
		})
	})
}

// TestProducts: the portable products against their definitions in float64.
func TestProducts(t *testing.T) {
	const rows, aRows, depth, n, bPanel = 5, 6, 21, 2, 24 * lanes
	a, b := newGuarded(panels(depth)*aRows*lanes, 0, random).data, newGuarded(n*bPanel, 0, random).data
	element := func(i, k int) float64 { return float64(a[(k/lanes*aRows+i)*lanes+k%lanes]) }
	bias, z := newGuarded(n*lanes, 0, random).data, make([]float32, n*aRows*lanes)
	multiply(z, bias, a, b, rows, aRows, depth, n, 0, lanes, bPanel)
	dz := newGuarded(n*aRows*lanes, 0, random).data
	w := append([]float32(nil), b...)
	accumulate(w, a, dz, rows, aRows, depth, n, bPanel, 0.5, -2)
	for p := range n {
		for l := range lanes {
			for i := range rows {
				want := float64(bias[p*lanes+l])
				for k := range depth {
					want += element(i, k) * float64(b[p*bPanel+k*lanes+l])
				}
				if got := float64(z[(p*aRows+i)*lanes+l]); math.Abs(got-want) > depth*depth*ulp {
					t.Fatalf("multiply: row %d, panel %d, lane %d is %v, want %v", i, p, l, got, want)
				}
			}
			for k := range depth {
				sum := 0.0
				for i := range rows {
					sum += element(i, k) * float64(dz[(p*aRows+i)*lanes+l])
				}
				want := 0.5*float64(b[p*bPanel+k*lanes+l]) - 2*sum
				if got := float64(w[p*bPanel+k*lanes+l]); math.Abs(got-want) > 2*rows*rows*ulp {
					t.Fatalf("accumulate: column %d, panel %d, lane %d is %v, want %v", k, p, l, got, want)
				}
			}
		}
	}
}

func TestTranspose(t *testing.T) {
	each(t, func(t *testing.T, r *routines) {
		for blocks := range 4 {
			for _, offset := range offsets {
				src := newGuarded(blocks*300+1, offset, random)
				got := newGuarded(blocks*260+1, offset, random)
				want := append([]float32(nil), got.data...)
				r.transpose(got.data, src.data, blocks, 260, 300)
				for b := range blocks {
					for i := range lanes {
						for j := range lanes {
							want[b*260+j*lanes+i] = src.data[b*300+i*lanes+j]
						}
					}
				}
				same(t, "transpose", got.data, want, 0, 0)
				if !got.intact() {
					t.Error("guards are overwritten")
				}
			}
		}
	})
}

func TestColumnSumsAndScale(t *testing.T) {
	eachProducts(t, func(t *testing.T, r *routines, routine *products, used int) {
		for rows := 0; rows <= 129; rows++ {
			offset := offsets[rows%len(offsets)]
			d, got := newGuarded(rows*lanes, offset, random), newGuarded(lanes, offset, random)
			want, before := slices.Clone(got.data), slices.Clone(got.data)
			routine.columnSums(got.data, d.data, rows, 0.5, -2)
			columnSums(want, d.data, rows, 0.5, -2)
			same(t, "column sums", got.data, leave(want, got.data, before, used), float64(rows+3)*float64(2*rows+1)*ulp, 0)
			want = append([]float32(nil), d.data...)
			r.scale(d.data, 0.75)
			scale(want, 0.75)
			same(t, "scale", d.data, want, 0, 0)
			if !got.intact() || !d.intact() {
				t.Errorf("%d rows: guards are overwritten", rows)
			}
		}
	})
}

// special are numbers that are treated in a special way somewhere.
var special = []float32{0, float32(math.Copysign(0, -1)), 1, -1, 0.375, -0.375, 0.374, 1e-40, -1e-40, 1e-30, 86, -86, 100, -100,
	3e38, -3e38, float32(math.Inf(1)), float32(math.Inf(-1)), float32(math.NaN())}

// TestElementwise: every function on special numbers in every lane, at lengths
// of 0 to 129 vectors. Sigmoids that fade out are cut to zero in portable Go,
// and to the smallest normal numbers in assembly: tiny.
func TestElementwise(t *testing.T) {
	each(t, func(t *testing.T, r *routines) {
		one := func(f func(h, z []float32)) func(r, a, b []float32) {
			return func(to, a, _ []float32) { f(to, a) }
		}
		for _, c := range []struct {
			name      string
			got, want func(to, a, b []float32)
			reads     operands
		}{
			{"sigmoid", one(r.sigmoid), one(portable.sigmoid), inputs},
			{"tanh", one(r.tanh), one(portable.tanh), inputs},
			{"relu", one(r.relu), one(portable.relu), inputs},
			{"softplus", one(r.softplus), one(portable.softplus), inputs},
			{"silu", one(r.silu), one(portable.silu), inputs},
			{"gelu", one(r.geluTanh), one(portable.geluTanh), inputs},
			{"softsign", one(r.softsign), one(portable.softsign), inputs},
			{"leaky relu", one(func(h, z []float32) { r.leakyReLU(h, z, leak) }), one(func(h, z []float32) { leakyReLU(h, z, leak) }), inputs},
			{"sigmoid backward", r.sigmoidBackward, portable.sigmoidBackward, outputs},
			{"tanh backward", r.tanhBackward, portable.tanhBackward, outputs},
			{"softplus backward", r.softplusBackward, portable.softplusBackward, slopes},
			{"silu backward", r.siluBackward, portable.siluBackward, slopes},
			{"gelu backward", r.geluTanhBackward, portable.geluTanhBackward, slopes},
			{"softsign backward", r.softsignBackward, portable.softsignBackward, slopes},
			{"relu backward", func(to, a, b []float32) { r.rectifyBackward(to, a, b, 0) }, func(to, a, b []float32) { rectifyBackward(to, a, b, 0) }, slopes},
			{"rectify backward", func(to, a, b []float32) { r.rectifyAtZeroBackward(to, a, b, 0) }, func(to, a, b []float32) { rectifyAtZeroBackward(to, a, b, 0) }, slopes},
			{"leaky relu backward", func(to, a, b []float32) { r.rectifyBackward(to, a, b, leak) }, func(to, a, b []float32) { rectifyBackward(to, a, b, leak) }, slopes},
		} {
			relative, absolute := ulps*ulp, tiny
			if strings.HasPrefix(c.name, "gelu") || strings.HasPrefix(c.name, "silu") {
				// An exponential magnifies the rounding of its argument, at most 70
				// where results exceed tiny; and they are tiny times z, below 100.
				relative, absolute = (ulps+2*70)*ulp, 100*tiny
			}
			if c.name == "silu backward" || c.name == "gelu backward" {
				absolute = ulps * ulp // a slope is a difference of terms of about 1
			}
			for vectors := range 130 {
				n := vectors * lanes
				offset := offsets[vectors%len(offsets)]
				draw := func(scale float32, finite bool) func(i int) float32 {
					return func(i int) float32 {
						if k := i*7 + vectors; k%3 == 0 && (!finite || special[k%len(special)] < 2 && special[k%len(special)] > -2) {
							return special[k%len(special)]
						}
						return scale * random(i)
					}
				}
				a, b := newGuarded(n, offset, draw(20, c.reads != inputs)), newGuarded(n, offset, draw(1, true))
				if c.reads == slopes {
					b = newGuarded(n, offset, draw(20, false))
				}
				got := newGuarded(n, offset, random)
				want := make([]float32, n)
				c.got(got.data, a.data, b.data)
				c.want(want, a.data, b.data)
				// Up to ulps of half a unit on both sides.
				same(t, c.name, got.data, want, absolute, relative)
				c.got(a.data, a.data, b.data) // the result may take an operand's place
				same(t, c.name+" in place", a.data, got.data, 0, 0)
				if !got.intact() || !a.intact() {
					t.Fatalf("%s, %d vectors: guards are overwritten", c.name, vectors)
				}
			}
		}
	})
}

// operands says what an element-wise function reads.
type operands int

const (
	inputs  operands = iota // any number
	outputs                 // a gradient, and an activation's output: finite
	slopes                  // a gradient, which is finite, and any number
)

// TestOptimizerRoutines: updates at lengths of 0 to 129 vectors, against portable
// Go with special gradients, and those against kernels.Update in float64.
func TestOptimizerRoutines(t *testing.T) {
	each(t, func(t *testing.T, r *routines) {
		for vectors := range 130 {
			n, offset := vectors*lanes, offsets[vectors%len(offsets)]
			for _, name := range kernels.OptimizerNames() {
				o, err := kernels.NewOptimizer(name)
				if err != nil {
					t.Fatal(err)
				}
				o.WeightDecay, o.Beta2 = 0.25, 0.9
				bias := vectors%5 == 0
				p := &ir.Program{Params: []ir.Param{{}}}
				arrays := []guarded{newGuarded(n, offset, random), newGuarded(n, offset, random),
					newGuarded(n, offset, random), newGuarded(n, offset, func(int) float32 { return 0.1 + rand.Float32() })}
				machineOf := func(r *routines, copied bool) (*machine, [][]float32) {
					var scratches [][]float32
					for _, a := range arrays {
						if copied {
							a.data = slices.Clone(a.data)
						}
						scratches = append(scratches, a.data)
					}
					return &machine{routines: r, plan: &plan{program: p}, slots: scratches[2:], factors: newFactors(o, 0.5, 3)}, scratches
				}
				decay, _ := o.Decay(bias)
				k := update{optimizer: o, bias: bias, decay: decay}

				m, scratches := machineOf(&portable, true)
				var want [][]float64
				for _, scratch := range scratches {
					wide := make([]float64, n)
					for i, v := range scratch {
						wide[i] = float64(v)
					}
					want = append(want, wide)
				}
				m.apply(k, scratches[0], scratches[1], 0)
				kernels.Update(o, 0.5, 3, bias, want[0], want[1], want[2:])
				for a, scratch := range scratches {
					for i, v := range scratch {
						// The update is a quotient of at most 1 and at least 0.3.
						if math.Abs(float64(v)-want[a][i]) > 32*ulp {
							t.Fatalf("%s, array %d: element %d is %v, want %v", name, a, i, v, want[a][i])
						}
					}
				}

				for i := range arrays[1].data {
					if k := i*7 + vectors; k%3 == 0 {
						arrays[1].data[i] = special[k%len(special)]
					}
				}
				m, wanted := machineOf(&portable, true)
				m.apply(k, wanted[0], wanted[1], 0)
				m, got := machineOf(r, false)
				m.apply(k, got[0], got[1], 0)
				for a := range got {
					same(t, fmt.Sprintf("%s, array %d", name, a), got[a], wanted[a], 32*ulp, 32*ulp)
					if !arrays[a].intact() {
						t.Fatalf("%s, %d vectors: guards are overwritten", name, vectors)
					}
				}
			}
		}
	})
}

func TestSoftmax(t *testing.T) {
	each(t, func(t *testing.T, r *routines) {
		for classes := 1; classes <= 129; classes++ {
			for blocks := range 3 {
				offset, block := offsets[classes%len(offsets)], padded(classes)*lanes
				labels := make([]byte, blocks*lanes)
				for i := range labels {
					labels[i] = byte(rand.IntN(classes))
				}
				got := newGuarded(blocks*block, offset, func(i int) float32 { return float32(20 * rand.NormFloat64()) })
				losses := newGuarded(blocks*lanes, offset, random)
				if blocks == 2 { // an example that is not finite, and one that is far off
					got.data[3], got.data[5], got.data[6] = float32(math.NaN()), 1e30, float32(math.Inf(1))
				}
				want, wantLosses := append([]float32(nil), got.data...), make([]float32, blocks*lanes)
				r.softmax(got.data, losses.data, labels, block, classes, 0.25)
				softmax(want, wantLosses, labels, block, classes, 0.25)
				what := fmt.Sprintf("%d classes", classes)
				// The exponential of a difference of about 100 is off by as many units.
				same(t, what, got.data, want, 2*ulp, 0)
				same(t, what+", losses", losses.data, wantLosses, float64(classes+4)*ulp, 4*ulp)
				if !got.intact() || !losses.intact() {
					t.Fatalf("%s: guards are overwritten", what)
				}
			}
		}
	})
}

// withDensity is a set that takes columns for hot from some density on.
func withDensity(r *routines, hotDensity float64) *routines {
	c := *r
	c.hotDensity = hotDensity
	return &c
}

// agree is near, for any tolerance; what is not finite agrees with itself.
func agree(got, want, tolerance float64) bool {
	return got == want || math.IsNaN(got) && math.IsNaN(want) || math.Abs(got-want) <= tolerance
}

// testRecords draws examples of mixed density, encodes them and makes a batch
// of them.
func testRecords(r *routines, columns, n int, density, hotDensity float64) (d *encodedData, in *input, examples []example, cold int) {
	d = encodeData(data(columns, 2, n, density), withDensity(r, hotDensity))
	in = &d.splits[0]
	d.encode(in)
	for _, s := range in.examples {
		examples = append(examples, example{exampleRecord: uint32(s >> 32), exampleFirst: uint32(cold), exampleCount: uint32(s) >> 8})
		cold += padded(int(uint32(s) >> 8))
	}
	return d, in, examples, cold
}

// TestRecordRoutines: converting, gathering and scattering against products
// with the pixels themselves, in float64.
func TestRecordRoutines(t *testing.T) {
	eachSet(t, func(t *testing.T, r *routines) {
		for panels := 1; panels <= r.recordPanels; panels++ {
			testRecordRoutines(t, r, r.forColumns(lanes), lanes, panels)
		}
		testRecordRoutines(t, r, r.forColumns(half), half, 1)
	})
}

func testRecordRoutines(t *testing.T, r *routines, routine *products, used, panels int) {
	for columns := 1; columns <= 300; columns++ {
		if columns == 130 {
			columns = 300
		}
		for _, density := range []float64{0, 0.05, sparseData, mixedData, denseData} {
			for _, n := range []int{1 + columns%3, 33} {
				if n == 33 && columns%16 > 1 {
					continue
				}
				what := fmt.Sprintf("%d columns, density %v, %d examples, %d panels", columns, density, n, panels)
				d, in, examples, scratch := testRecords(r, columns, n, density, 0.4)
				offset := offsets[n%len(offsets)]
				x, cold := newGuarded(d.hot*n, offset, random), newGuarded(scratch, offset, random)
				r.convert(x.data, cold.data, in.records, examples, d.hot)
				pixelAt := func(i, k int) float64 { // of column k in the data set's order
					if k >= columns {
						return 0
					}
					return float64(in.Row(i)[d.order[k]]) / 255
				}
				for i := range n {
					for k := range d.hot {
						if got := float64(x.data[(k/lanes*n+i)*lanes+k%lanes]); math.Abs(got-pixelAt(i, k)) > ulp {
							t.Fatalf("%s: example %d, column %d is %v, want %v", what, i, k, got, pixelAt(i, k))
						}
					}
				}
				rows := columns + 1 - min(d.hot, columns)
				wPanel := rows*lanes + 5*lanes
				w, z := newGuarded(panels*wPanel, offset, random), newGuarded(panels*n*lanes, offset, random)
				for p := range panels {
					clear(w.data[p*wPanel+(rows-1)*lanes:][:lanes])
					// What is not finite meets a pixel that is not zero, or is not met.
					if cold := columns - d.hot; cold > 0 && n != 33 {
						w.data[p*wPanel+columns%cold*lanes] = notFinite[(columns+p)%len(notFinite)]
						z.data[p*n*lanes+used-1] = notFinite[(n+p)%len(notFinite)]
					}
				}
				before := append([]float32(nil), z.data...)
				routine.gather(z.data, w.data, cold.data, in.records, examples, examples[:n/2], d.hot, panels, wPanel)
				g := newGuarded(panels*n*lanes, offset, random)
				updated := newGuarded(panels*wPanel, offset, func(i int) float32 { return w.data[i] })
				routine.scatter(updated.data, g.data, cold.data, in.records, examples, d.hot, panels, wPanel, -2)
				for p := range panels {
					for l := range used {
						for i := range n {
							want := float64(before[(p*n+i)*lanes+l])
							for k := d.hot; k < columns; k++ {
								if v := pixelAt(i, k); v != 0 {
									want += v * float64(w.data[p*wPanel+(k-d.hot)*lanes+l])
								}
							}
							if got := float64(z.data[(p*n+i)*lanes+l]); !agree(got, want, float64((columns+1)*(columns+1))*ulp) {
								t.Fatalf("%s: gather: panel %d, example %d, lane %d is %v, want %v", what, p, i, l, got, want)
							}
						}
						for k := range wPanel / lanes {
							want := float64(w.data[p*wPanel+k*lanes+l])
							for i := range n {
								if v := pixelAt(i, d.hot+k); k < rows && v != 0 {
									want -= 2 * v * float64(g.data[(p*n+i)*lanes+l])
								}
							}
							if got := float64(updated.data[p*wPanel+k*lanes+l]); !agree(got, want, float64(2*(n+1)*(n+1))*ulp) {
								t.Fatalf("%s: scatter: panel %d, row %d, lane %d is %v, want %v", what, p, k, l, got, want)
							}
						}
					}
				}
				for _, array := range []guarded{x, cold, z, updated} {
					if !array.intact() {
						t.Fatalf("%s: guards are overwritten", what)
					}
				}
			}
		}
	}
}

// recordOf is an example's record and the number of its cold pixels, from the
// format's description.
func recordOf(d *encodedData, row []byte) (record []byte, count int) {
	record = make([]byte, d.hot)
	var index []byte
	for k, c := range d.order {
		switch {
		case k < d.hot:
			record[k] = row[c]
		case row[c] != 0:
			record, count = append(record, row[c]), count+1
			index = binary.LittleEndian.AppendUint16(index, uint16(8*(k-d.hot)))
		}
	}
	for ; count%coldStep != 0; count++ {
		record, index = append(record, 0), binary.LittleEndian.AppendUint16(index, uint16(8*(len(d.order)-d.hot)))
	}
	return append(record, index...), count
}

// patterns are densities by column: hot and cold columns in runs of many
// lengths, or only one kind of them.
var patterns = map[string]func(c int) float64{
	"cold":      func(int) float64 { return 0.1 },
	"hot":       func(int) float64 { return 1 },
	"alternate": func(c int) float64 { return float64(c % 2) },
	"rows":      func(c int) float64 { return float64(c % 28 / 15) },
	"long runs": func(c int) float64 { return float64(c / 70 % 2) },
	"random":    func(int) float64 { return rand.Float64() },
}

// drawn is n examples with a density for each column.
func drawn(columns, n int, density func(c int) float64) kernels.Examples {
	e := kernels.Examples{Features: columns, Pixels: make([]byte, n*columns), Labels: make([]byte, n)}
	for c := range columns {
		for i, least := 0, density(c); i < n; i++ {
			if rand.Float64() < least {
				e.Pixels[i*columns+c] = byte(1 + rand.IntN(255))
			}
		}
	}
	return e
}

// TestEncode: the record of one example, byte by byte, with guards where a
// routine must not write. What may be read behind the example is not zero.
func TestEncode(t *testing.T) {
	const guard = 0xa5
	eachSet(t, func(t *testing.T, r *routines) {
		widths := append(numbers(130), 255, 256, 257, 511, 512, 513, 784, 1100)
		for _, columns := range widths {
			for name, pattern := range patterns {
				columns := int(columns)
				d := encodeData(kernels.Data{Train: drawn(columns, 20, pattern)}, withDensity(r, 0.5))
				for i, density := range []float64{0, 0.02, 0.3, 0.9, 1} {
					what := fmt.Sprintf("%d columns, %d hot ones, %s, density %v", columns, d.hot, name, density)
					row := drawn(columns, 1, func(int) float64 { return density }).Pixels
					want, count := recordOf(d, row)
					offset := 1 + (columns+13*i)%64
					pixels := append(bytes.Repeat([]byte{255}, offset), row...)
					pixels = append(pixels, bytes.Repeat([]byte{255}, encodePadding)...)
					got := bytes.Repeat([]byte{guard}, offset+len(want)+2*encodePadding)
					scratch := slices.Repeat([]uint16{guard}, columns+2*encodePadding)
					n := r.encode(got[offset:][:len(want)+encodePadding], pixels[offset:], d.runs, d.cold, d.index, scratch[:columns+encodePadding], d.hot)
					if n != count {
						t.Fatalf("%s: %d cold pixels, want %d", what, n, count)
					}
					for k, v := range want {
						if got[offset+k] != v {
							t.Fatalf("%s: byte %d is %d, want %d", what, k, got[offset+k], v)
						}
					}
					for k, v := range got {
						if (k < offset || k >= offset+len(want)+encodePadding) && v != guard {
							t.Fatalf("%s: byte %d of %d is written", what, k-offset, len(want))
						}
					}
					for k, v := range scratch[columns+encodePadding:] {
						if v != guard {
							t.Fatalf("%s: number %d past the scratch is written", what, k)
						}
					}
				}
			}
		}
	})
}

// TestWrite: the records of few examples and of so many that their pixels are
// counted, one set after the other in the same memory.
func TestWrite(t *testing.T) {
	const columns = 300
	eachSet(t, func(t *testing.T, r *routines) {
		d := encodeData(kernels.Data{Train: drawn(columns, 50, patterns["random"])}, withDensity(r, 0.5))
		in := new(input)
		for _, n := range []int{1, 40, uncounted/(columns-d.hot) + 1, 33, 1} {
			for _, density := range []float64{1, 0.2} {
				in.Examples = drawn(columns, n, func(int) float64 { return density })
				for i := range in.Labels {
					in.Labels[i] = byte(i)
				}
				d.write(in, nil)
				if len(in.examples) != n {
					t.Fatalf("%d examples, want %d", len(in.examples), n)
				}
				end := 0
				for i, s := range in.examples {
					want, count := recordOf(d, in.Row(i))
					from := int(s>>32) * recordLine
					if from < end || int(uint32(s)>>8) != count || byte(s) != byte(i) {
						t.Fatalf("%d examples: number %d begins at %d, behind %d, holds %d cold pixels, want %d, label %d", n, i, from, end, uint32(s)>>8, count, byte(s))
					}
					if !bytes.Equal(in.records[from:][:len(want)], want) {
						t.Fatalf("%d examples: record %d is not what it should be", n, i)
					}
					end = from + len(want)
				}
				if len(in.records) < end+encodePadding {
					t.Fatalf("%d examples: %d bytes behind the records", n, len(in.records)-end)
				}
			}
		}
	})
}

// TestColumns: which columns are hot.
func TestColumns(t *testing.T) {
	for _, c := range []struct {
		columns int
		density float64
		hot     int
	}{
		{300, 0, 0}, {300, 0.1, 0}, {300, denseData, 304},
		{300, mixedData, 176},                  // three fifths of the columns are denser than 0.4
		{10, denseData, 16}, {7, denseData, 0}, // hot panels are at least half full
		{coldColumns + 20, 0, 32}, // more cold columns than records can tell apart
	} {
		if got := encodeData(data(c.columns, 2, 50, c.density), withDensity(&portable, 0.4)).hot; got != c.hot {
			t.Errorf("%d columns, density %v: %d are hot, want %d", c.columns, c.density, got, c.hot)
		}
	}
}

// TestSets: New has the widest set of the processor, and the tests have run them
// all.
func TestSets(t *testing.T) {
	sets := available()
	if e := New().(executor); e.widest != sets[0] {
		t.Errorf("New takes %s, the widest of %d sets is %s", e.widest.name, len(sets), sets[0].name)
	}
	if last := sets[len(sets)-1]; last != &portable {
		t.Errorf("the last resort is %s", last.name)
	}
	for _, r := range sets {
		if d := only(r).Device(); !strings.Contains(d, ", "+r.name+", ") {
			t.Errorf("the executor with %s calls itself %q", r.name, d)
		}
	}
}
