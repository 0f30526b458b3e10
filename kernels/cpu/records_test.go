package cpu

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"testing"

	"vanilla/kernels"
)

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
