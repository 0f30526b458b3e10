package cpu

import (
	"fmt"
	"math"
	"slices"
	"testing"
)

// The routines of each instruction set against those in portable Go, which
// are their definition, and the portable ones against float64: with guards
// around every array that is written, at several alignments.

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
