package cpu

import (
	"fmt"
	"math"
	"math/rand/v2"
	"testing"

	"vanilla/kernels"
)

// The inner loops against their definitions in float64, for all widths about
// the block sizes, with guards behind every array they write.

const (
	guard = float32(-12345)
	// sums have at most 20 products of numbers below 1, scaled by 2.
	sumTolerance = 2 * 20 * 21 * 0x1p-24
)

// guarded is n random numbers in [-1, 1) with a guard behind them.
func guarded(n int) []float32 {
	a := make([]float32, n+1)
	for i := range n {
		a[i] = 2*rand.Float32() - 1
	}
	a[n] = guard
	return a[:n]
}

func check(t *testing.T, what string, got []float32, want func(row, col int) float64, cols int) {
	t.Helper()
	if got[:len(got)+1][len(got)] != guard {
		t.Errorf("%s: the guard is overwritten", what)
	}
	for i, v := range got {
		if w := want(i/cols, i%cols); !(math.Abs(float64(v)-w) <= sumTolerance) {
			t.Errorf("%s: [%d, %d] is %v, want %v", what, i/cols, i%cols, v, w)
			return
		}
	}
}

// sum is Σ_t f(t) for t < n.
func sum(n int, f func(t int) float64) float64 {
	s := 0.0
	for t := range n {
		s += f(t)
	}
	return s
}

func TestInnerLoops(t *testing.T) {
	for units := 1; units <= 35; units++ {
		for rows := 1; rows <= 9; rows++ {
			t.Run(fmt.Sprintf("units=%d/rows=%d", units, rows), func(t *testing.T) {
				testDense(t, rows, units, 13)
				testProduct(t, rows, units, 13)
				testColumnSums(t, rows, units)
				testSparse(t, rows, units, 20)
			})
		}
	}
}

func testDense(t *testing.T, rows, units, depth int) {
	a, w, bias := guarded(rows*depth), guarded(units*depth), guarded(units)
	product := func(i, j int) float64 {
		return sum(depth, func(k int) float64 { return float64(a[i*depth+k]) * float64(w[j*depth+k]) })
	}
	z := guarded(rows * units)
	dense(z, a, w, nil, rows, units, depth)
	check(t, "dense without bias", z, product, units)
	dense(z, a, w, bias, rows, units, depth)
	check(t, "dense", z, func(i, j int) float64 { return float64(bias[j]) + product(i, j) }, units)
}

func testProduct(t *testing.T, rows, cols, depth int) {
	a, b := guarded(rows*depth), guarded(depth*cols)
	dst := guarded(rows * cols)
	for i := range dst {
		dst[i] = float32(math.NaN()) // beta = 0 must not read it
	}
	plain := func(r, c int) float64 {
		return sum(depth, func(t int) float64 { return float64(a[r*depth+t]) * float64(b[t*cols+c]) })
	}
	product(dst, 0, rows, cols, 1, a, depth, 1, depth, b)
	check(t, "product", dst, plain, cols)
	transposed := func(r, c int) float64 {
		return sum(depth, func(t int) float64 { return float64(a[t*rows+r]) * float64(b[t*cols+c]) })
	}
	before := append([]float32(nil), dst...)
	product(dst, 0.5, rows, cols, -2, a, 1, rows, depth, b)
	check(t, "transposed product", dst, func(r, c int) float64 {
		return 0.5*float64(before[r*cols+c]) - 2*transposed(r, c)
	}, cols)
}

func testColumnSums(t *testing.T, rows, cols int) {
	dst, dz := guarded(cols), guarded(rows*cols)
	before := append([]float32(nil), dst...)
	columnSums(dst, 0.5, -2, dz, rows)
	check(t, "column sums", dst, func(_, j int) float64 {
		return 0.5*float64(before[j]) - 2*sum(rows, func(i int) float64 { return float64(dz[i*cols+j]) })
	}, cols)
}

func testSparse(t *testing.T, rows, units, columns int) {
	d := newDataset(data(columns, 2, rows, sparseData))
	in := &d.splits[0]
	in.records()
	var records []record
	for i := range rows {
		records = append(records, in.record(i))
	}
	x := func(i, c int) float64 { return float64(in.Row(i)[c]) / 255 }

	w, bias := guarded(columns*units), guarded(units)
	product := func(i, j int) float64 {
		return sum(columns, func(c int) float64 { return x(i, c) * float64(w[c*units+j]) })
	}
	z := guarded(rows * units)
	sparseDense(z, w, nil, units, records, &d.pixel)
	check(t, "sparse dense without bias", z, product, units)
	sparseDense(z, w, bias, units, records, &d.pixel)
	check(t, "sparse dense", z, func(i, j int) float64 { return float64(bias[j]) + product(i, j) }, units)

	before, dz := append([]float32(nil), w...), guarded(rows*units)
	sparseDWeight(w, dz, units, -2, records, &d.pixel)
	check(t, "sparse dweight", w, func(c, j int) float64 {
		return float64(before[c*units+j]) - 2*sum(rows, func(i int) float64 { return x(i, c) * float64(dz[i*units+j]) })
	}, units)
}

// TestRecords: a record holds every pixel that is not zero, and the densities
// on both sides of the threshold choose records or rows.
func TestRecords(t *testing.T) {
	d := newDataset(data(300, 2, 7, 0.4))
	in := &d.splits[0]
	in.records()
	for i := range in.Len() {
		row := make([]byte, 300)
		for _, e := range in.record(i) {
			row[e>>8] = byte(e)
		}
		if string(row) != string(in.Row(i)) {
			t.Errorf("record %d is not its row", i)
		}
	}
	for density, want := range map[float64]bool{0: true, 0.4: true, 0.8: true, 0.9: false, 1: false} {
		if got := newDataset(data(300, 2, 20, density)).sparse(); got != want {
			t.Errorf("density %v: sparse is %v", density, got)
		}
	}
	wide := kernels.Examples{Pixels: make([]byte, maxColumns+1), Labels: []byte{0}, Features: maxColumns + 1}
	if newDataset(kernels.Data{Train: wide, Classes: 1}).sparse() {
		t.Errorf("%d columns fit a record", wide.Features)
	}
}
