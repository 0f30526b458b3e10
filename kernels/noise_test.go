package kernels_test

import (
	"math"
	"slices"
	"testing"

	"vanilla/graph/ir"
	"vanilla/kernels"
)

// Masks and noise have the moments that they should, do not depend on how they are
// asked for, and differ by seed, step and operation.
func TestNoise(t *testing.T) {
	const n = 1 << 16
	for _, c := range []struct {
		op             ir.Op
		mean, variance float64
	}{
		{ir.Op{Code: ir.Random, Fn: ir.FnKeep, Draw: [2]float64{0.8}}, 1, 0.2 / 0.8},
		{ir.Op{Code: ir.Random, Fn: ir.FnKeep, Draw: [2]float64{0.5}}, 1, 1},
		{ir.Op{Code: ir.Random, Fn: ir.FnUniform, Draw: [2]float64{-1, 3}}, 1, 16. / 12},
		{ir.Op{Code: ir.Random, Fn: ir.FnGauss, Draw: [2]float64{2, 0.5}}, 2, 0.25},
	} {
		fill := func(seed uint64, k, step int) []float32 {
			out := make([]float32, n)
			noise := kernels.NewNoise(&c.op, k, seed).At(step)
			noise.Fill(out, 0)
			return out
		}
		all := fill(1, 0, 3)
		sum, squares, products := 0.0, 0.0, 0.0
		for i, v := range all {
			d := float64(v) - c.mean
			sum, squares = sum+d, squares+d*d
			if i > 0 {
				products += d * (float64(all[i-1]) - c.mean)
			}
		}
		// Five standard deviations; the fourth moment of none of these is above 5.
		sd := math.Sqrt(c.variance / n)
		if math.Abs(sum/n) > 5*sd || math.Abs(squares/n-c.variance) > 5*math.Sqrt(5./n) || math.Abs(products/n) > 5*c.variance/math.Sqrt(n) {
			t.Errorf("%s %v: mean %g, variance %g, correlation of neighbours %g", c.op.Fn, c.op.Draw, sum/n+c.mean, squares/n, products/n)
		}
		noise := kernels.NewNoise(&c.op, 0, 1).At(3)
		for _, from := range []int{0, 1, 5, 8, 13, 1000} {
			for _, length := range []int{1, 3, 8, 16, 29} {
				part := make([]float32, length)
				noise.Fill(part, from)
				if !slices.Equal(part, all[from:from+length]) {
					t.Errorf("%s: elements %d to %d depend on how they are asked for", c.op.Fn, from, from+length)
				}
			}
		}
		for what, other := range map[string][]float32{"seed": fill(2, 0, 3), "operation": fill(1, 1, 3), "step": fill(1, 0, 4)} {
			same := 0
			for i := range all {
				if all[i] == other[i] {
					same++
				}
			}
			if same > n*3/4 {
				t.Errorf("%s: %d of %d elements are those of another %s", c.op.Fn, same, n, what)
			}
		}
		if c.op.Mean() != c.mean {
			t.Errorf("%s: mean %g in evaluation, want %g", c.op.Fn, c.op.Mean(), c.mean)
		}
	}
}
