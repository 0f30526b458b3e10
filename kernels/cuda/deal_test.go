package cuda

import (
	"cmp"
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"testing"
	"time"
)

// simulated is what a training took of a device that is nothing but blocks.
type simulated struct {
	work     float64 // of a block, all launches one after the other
	longest  float64 // launch, of what the pace allowed
	launches int
}

// simulate trains networks to the end in launches of what deals says, by blocks that take
// the costliest first. Two launches are under way, so the pace is what the one before the
// last has taught. A launch costs launchWork beside its steps, and takes as long as the
// states of 784-16-16-10 are copied.
func simulate(t *testing.T, nets []going, grid int, c pace, deals func(all []going, grid int, most, least float64) []int) simulated {
	t.Helper()
	nets = slices.Clone(nets)
	least := float64(len(nets)) * 4 * 13002 * copyWork
	var s simulated
	var before func()
	for {
		most := c.most()
		steps := deals(nets, grid, most, least)
		var work []float64
		for i, n := range steps {
			g := &nets[i]
			if n < 0 || n > g.steps || n > g.most {
				t.Fatalf("network %d takes %d steps of %d, at most %d", i, n, g.steps, g.most)
			}
			if n > 0 {
				work = append(work, float64(n)*g.work)
			}
			g.steps -= n
		}
		if before != nil {
			before()
		}
		if len(work) == 0 {
			break
		}
		slices.SortFunc(work, func(a, b float64) int { return cmp.Compare(b, a) })
		took := span(work, grid)
		before = func() { c.observe(took, time.Duration((took+launchWork)/blockWork*1e9)) }
		s.work, s.longest, s.launches = s.work+max(took+launchWork, least), max(s.longest, took/most), s.launches+1
		if s.launches > 100_000 {
			t.Fatal("the training does not end")
		}
	}
	for i := range nets {
		if nets[i].steps != 0 {
			t.Errorf("network %d has %d steps left", i, nets[i].steps)
		}
	}
	return s
}

// bound is the least that a training can take.
func bound(nets []going, grid int) float64 {
	var total, longest float64
	for i := range nets {
		total, longest = total+nets[i].left(), max(longest, nets[i].left())
	}
	return max(longest, total/float64(grid))
}

// together deals as if all networks took part in each launch, with the same work by what
// a step of each is reckoned with.
func together(reckoned []float64) func([]going, int, float64, float64) []int {
	return func(nets []going, grid int, most, _ float64) []int {
		n := 0
		for i := range nets {
			n += min(1, nets[i].steps)
		}
		steps := make([]int, len(nets))
		for i, g := range nets {
			if g.steps > 0 {
				steps[i] = min(g.steps, g.most, max(1, int(most*min(1, float64(grid)/float64(n))/reckoned[i])))
			}
		}
		return steps
	}
}

// nets are like 784-16-16-10 for 32 epochs: steps of some 2.6 µs of a block. Mixed ones are
// like that, 784-8-10, 784-10 and 784-16-16-16-16-10; some may be for 1 to 64 epochs.
// products is the work of their steps by the products of their layers, which was what
// launches were dealt by before.
func nets(n int, kind string) (all []going, products []float64) {
	r := rand.New(rand.NewPCG(1, uint64(n)))
	for i := range n {
		g, product := going{steps: 32 * 1875, work: 81e3, most: math.MaxInt}, 1.0
		if kind == "mixed" {
			g.work *= []float64{1, 0.8, 0.6, 1.2}[i%4]
			product = []float64{1, 0.52, 0.53, 1.19}[i%4]
		}
		if kind == "lengths" {
			g.steps = 1875 * (1 + r.IntN(64))
		}
		all, products = append(all, g), append(products, 81e3*product)
	}
	return all, products
}

// Whole trainings take hardly longer than they must, whatever the number of networks is
// to that of blocks. This is arithmetic: a simulation, and no device's time.
func TestDeal(t *testing.T) {
	for _, c := range []struct {
		n, grid int
		most    float64 // times the least time
	}{
		{1, 264, 1.02}, {100, 264, 1.02}, {320, 264, 1.04}, {512, 264, 1.04}, {528, 264, 1.04}, {600, 264, 1.04}, {4096, 264, 1.04}, {192, 132, 1.04},
		{265, 264, 1.1}, {133, 132, 1.1}, // launches as short as pays, and one of them too many
	} {
		for _, kind := range []string{"equal", "mixed", "lengths"} {
			all, products := nets(c.n, kind)
			least := bound(all, c.grid)
			for _, start := range []pace{0, sliceSeconds * blockWork} {
				got, before := simulate(t, all, c.grid, start, deal), simulate(t, all, c.grid, start, together(products))
				what := fmt.Sprintf("%d networks, %s, %d blocks, %.0f ms at first", c.n, kind, c.grid, 1e3*start.most()/blockWork)
				t.Logf("%s: %.3f of the least time in %d launches, all together %.3f in %d", what, got.work/least, got.launches, before.work/least, before.launches)
				if got.work > c.most*least {
					t.Errorf("%s: %.3f of the least time, want %g at most", what, got.work/least, c.most)
				}
				if got.work > 1.03*before.work {
					t.Errorf("%s: %.3f of the least time, %.3f if all took part in each launch", what, got.work/least, before.work/least)
				}
				if got.longest > 4./3 { // a half of the second that none may take is left
					t.Errorf("%s: a block has %.3f of what a launch may have", what, got.longest)
				}
			}
		}
	}
}

// Steps that are long, many networks for few blocks, and caps: whatever it is, all end,
// and a launch has steps as long as there are any.
func TestDealAny(t *testing.T) {
	r := rand.New(rand.NewPCG(3, 4))
	for range 300 {
		all := make([]going, 1+r.IntN(40))
		for i := range all {
			all[i] = going{steps: r.IntN(300), work: math.Exp(20 * r.Float64()), most: 1 + r.IntN(500)}
		}
		grid := 1 + r.IntN(20)
		got := simulate(t, all, grid, pace(math.Exp(25*r.Float64())), deal)
		if least := bound(all, grid); got.work-float64(got.launches)*launchWork < 0.999*least {
			t.Fatalf("%d networks on %d blocks take %g, and that is less than the least time, %g", len(all), grid, got.work, least)
		}
	}
}
