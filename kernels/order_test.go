package kernels

import (
	"math"
	"slices"
	"testing"
)

func TestOrderIsPermutation(t *testing.T) {
	for _, n := range []int{1, 2, 3, 4, 5, 7, 8, 9, 10, 100, 1000, 60000, 65535, 65536, 65537} {
		for epoch := range 3 {
			rows := permutation(7, epoch, n)
			sorted := slices.Sorted(slices.Values(rows))
			for i, r := range sorted {
				if int(r) != i {
					t.Fatalf("n %d, epoch %d: example %d stands at %d of the sorted order", n, epoch, r, i)
				}
			}
		}
	}
}

func TestOrderOfManyExamples(t *testing.T) {
	const n = math.MaxInt32
	o := NewOrder(1, 0, n)
	seen := map[int]bool{}
	for _, position := range []int{0, 1, 2, 1 << 30, n - 2, n - 1} {
		r := o.At(position)
		if r < 0 || r >= n || seen[r] {
			t.Errorf("position %d holds example %d of %d, or a second time", position, r, n)
		}
		seen[r] = true
	}
}

// TestOrderFill reads an epoch in pieces.
func TestOrderFill(t *testing.T) {
	const n = 1000
	whole, o := permutation(3, 4, n), NewOrder(3, 4, n)
	for from := 0; from < n; from += 7 {
		piece := make([]int32, min(7, n-from))
		o.Fill(piece, from)
		if !slices.Equal(piece, whole[from:from+len(piece)]) {
			t.Fatalf("positions from %d: %v, want %v", from, piece, whole[from:from+len(piece)])
		}
	}
}

func TestOrderGolden(t *testing.T) {
	for _, c := range []struct {
		seed     uint64
		epoch, n int
		want     []int32 // the first ones
	}{
		{0x1, 0, 10, []int32{5, 0, 8, 1, 3, 9, 7, 4, 2, 6}},
		{0x1, 1, 10, []int32{2, 6, 7, 8, 0, 5, 3, 1, 4, 9}},
		{0x1, 0, 60000, []int32{59038, 41224, 50940, 59871, 56576, 51905, 48196, 55624}},
		{0x1, 39, 60000, []int32{7199, 24714, 21249, 26529, 47058, 23700, 39251, 42165}},
		{0x123456789abcdef0, 3, 1000, []int32{863, 822, 107, 529, 758, 616, 549, 784}},
		{0x2, 0, 3, []int32{2, 0, 1}},
		{0x5, 7, 65537, []int32{55323, 63005, 64836, 46543, 41127, 53067, 29899, 45061}},
	} {
		if got := permutation(c.seed, c.epoch, c.n)[:len(c.want)]; !slices.Equal(got, c.want) {
			t.Errorf("seed %#x, epoch %d, n %d: %v, want %v", c.seed, c.epoch, c.n, got, c.want)
		}
	}
}

// TestOrdersDiffer compares seeds and epochs: two independent permutations
// agree in one place on average, the number is Poisson's, and above 15 with a
// chance of 2e-14.
func TestOrdersDiffer(t *testing.T) {
	const n, most = 1000, 15
	base := permutation(1, 0, n)
	for _, c := range []struct {
		seed  uint64
		epoch int
	}{{1, 1}, {1, 2}, {1, 255}, {1, 256}, {1, 1 << 20}, {2, 0}, {0, 0}, {1 << 32, 0}, {1<<63 | 1, 0}} {
		same := 0
		for i, r := range permutation(c.seed, c.epoch, n) {
			if r == base[i] {
				same++
			}
		}
		if same > most {
			t.Errorf("seed %d, epoch %d: %d of %d examples stand where seed 1, epoch 0 has them", c.seed, c.epoch, same, n)
		}
	}
}

// TestOrderPositions counts where each example of a small set stands over many
// epochs, and where some of a large one do.
func TestOrderPositions(t *testing.T) {
	for _, n := range []int{2, 3, 10, 100} {
		const epochs = 10000
		count := make([][]int, n)
		for e := range count {
			count[e] = make([]int, n)
		}
		for epoch := range epochs {
			for i, e := range permutation(11, epoch, n) {
				count[e][i]++
			}
		}
		for e := range count {
			if z := chiSquare(count[e]); !(math.Abs(z) <= sigmas) {
				t.Errorf("n %d: the positions of example %d are %.1f sigmas from uniform", n, e, z)
			}
		}
	}
	const n, bins, epochs = 60000, 50, 20000
	for _, position := range []int{0, 1, 31, 30000, n - 1} {
		count := make([]int, bins)
		for epoch := range epochs {
			o := NewOrder(12, epoch, n)
			count[o.At(position)*bins/n]++
		}
		if z := chiSquare(count); !(math.Abs(z) <= sigmas) {
			t.Errorf("n %d: the examples at position %d are %.1f sigmas from uniform", n, position, z)
		}
	}
}

// TestOrderPermutations counts whole permutations of a few examples.
func TestOrderPermutations(t *testing.T) {
	const perPermutation = 50
	for n, permutations := range map[int]int{2: 2, 3: 6, 4: 24, 5: 120, 6: 720} {
		count := make([]int, permutations)
		for epoch := range perPermutation * permutations {
			rank, rows := 0, permutation(13, epoch, n)
			for i, r := range rows { // Lehmer code
				smaller := 0
				for _, later := range rows[i+1:] {
					if later < r {
						smaller++
					}
				}
				rank = rank*(n-i) + smaller
			}
			count[rank]++
		}
		if z := chiSquare(count); !(math.Abs(z) <= sigmas) {
			t.Errorf("n %d: the permutations are %.1f sigmas from uniform", n, z)
		}
	}
}

// TestOrderNeighbours looks at pairs: examples that follow one another, the
// places of examples that are neighbours in the set, and the same place in two
// epochs.
func TestOrderNeighbours(t *testing.T) {
	const bins = 50
	for _, n := range []int{1000, 60000, 65536} {
		spread := 1 / math.Sqrt(float64(n))
		for epoch := range 5 {
			rows, after := permutation(14, epoch, n), permutation(14, epoch+1, n)
			places := inverse(rows)
			for what, pair := range map[string][2][]int32{
				"examples in sequence": {rows[:n-1], rows[1:]},
				"examples two apart":   {rows[:n-2], rows[2:]},
				"neighbours' places":   {places[:n-1], places[1:]},
				"two epochs":           {rows, after},
				"example and place":    {rows, inverse(after)},
			} {
				x, y := make([]float64, len(pair[0])), make([]float64, len(pair[0]))
				count := make([]int, bins)
				for i := range x {
					x[i], y[i] = float64(pair[0][i]), float64(pair[1][i])
					count[(int(pair[1][i])-int(pair[0][i])+n)%n*bins/n]++
				}
				if c := correlation(x, y); !(math.Abs(c) <= sigmas*spread) {
					t.Errorf("n %d, epoch %d, %s: correlation %g, want 0 ± %.2g", n, epoch, what, c, sigmas*spread)
				}
				if z := chiSquare(count); !(math.Abs(z) <= sigmas) {
					t.Errorf("n %d, epoch %d, %s: distances are %.1f sigmas from uniform", n, epoch, what, z)
				}
			}
		}
	}
}

func BenchmarkOrderFill(b *testing.B) {
	const n = 60000
	rows := make([]int32, n)
	for epoch := 0; b.Loop(); epoch++ {
		o := NewOrder(1, epoch, n)
		o.Fill(rows, 0)
	}
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/n, "ns/example")
}

// Tables change nothing but the speed.
func TestOrderTables(t *testing.T) {
	for _, n := range []int{orderTables, orderTables + 1, 4095, 60000, 1 << 16} {
		o := NewOrder(3, 4, n)
		if o.rounds == nil {
			t.Fatalf("no tables for %d examples", n)
		}
		plain := o
		plain.rounds = nil
		for position := range n {
			if a, b := o.At(position), plain.At(position); a != b {
				t.Fatalf("%d examples, position %d: %d with tables, %d without", n, position, a, b)
			}
		}
	}
	for _, n := range []int{orderTables - 1, 1<<16 + 1} {
		if o := NewOrder(3, 4, n); o.rounds != nil {
			t.Errorf("tables for %d examples", n)
		}
	}
}
