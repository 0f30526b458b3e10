package cpu

import (
	"strings"
	"testing"
	"time"

	"vanilla/graph/ir"
)

// TestChoose: the fastest products are taken for whole panels and for halves, each
// by themselves, and the words say which and why.
func TestChoose(t *testing.T) {
	wide, narrow := portable, portable
	wide.name, narrow.name = "wide", "narrow"
	for _, c := range []struct {
		whole, half           [2]time.Duration // of wide and narrow
		wantWhole, wantHalf   string
		wholeWords, halfWords string
	}{
		{[2]time.Duration{2, 3}, [2]time.Duration{2, 1}, "wide", "narrow", "wide, 1.50 times as fast here as narrow", "narrow, 2.00 times as fast here as wide"},
		{[2]time.Duration{4, 3}, [2]time.Duration{1, 3}, "narrow", "wide", "narrow, 1.33 times as fast here as wide", "wide, 3.00 times as fast here as narrow"},
		{[2]time.Duration{1, 1}, [2]time.Duration{1, 1}, "wide", "wide", "wide, 1.00 times as fast here as narrow", "wide, 1.00 times as fast here as narrow"},
	} {
		sets := []*routines{&wide, &narrow}
		ran := map[*products]string{}
		got := choose(sets, func(p *products) time.Duration {
			for i, r := range sets {
				switch p {
				case &r.products:
					ran[p] = r.name
					return c.whole[i]
				case &r.half:
					ran[p] = r.name
					return c.half[i]
				}
			}
			t.Fatal("other products are measured")
			return 0
		})
		if got.name != c.wantWhole || !strings.HasPrefix(got.half, c.wantHalf+",") || got.whole != c.wholeWords || got.half != c.halfWords || len(ran) != 4 {
			t.Errorf("%v: %s, %q, halves %q", c, got.name, got.whole, got.half)
		}
	}
	only := choose([]*routines{&narrow}, func(*products) time.Duration { t.Fatal("measured without need"); return 0 })
	if only.routines != &narrow || only.whole != "narrow, the only set here" {
		t.Errorf("of one set, %s: %q", only.name, only.whole)
	}
}

// TestChoiceTakesHalves: the products that were the fastest for half panels are
// those that run, and the chosen sets are as they were.
func TestChoiceTakesHalves(t *testing.T) {
	called := ""
	mark := func(name string) products {
		p := portableProducts
		p.columnSums = func(dst, d []float32, rows int, keep, alpha float32) {
			called += name
			portableProducts.columnSums(dst, d, rows, keep, alpha)
		}
		return p
	}
	wide, narrow := portable, portable
	wide.products, wide.half, narrow.products, narrow.half = mark("W"), mark("w"), mark("N"), mark("n")
	c := choose([]*routines{&wide, &narrow}, func(p *products) time.Duration {
		if p == &wide.products || p == &narrow.half {
			return 1
		}
		return 2
	})
	m := prepare(t, variant(chain(t, ir.Sigmoid, ir.Xent, 20, 4, 12), 8, 0), data(20, 12, 20, mixedData), c.routines)
	if _, err := m.Step(numbers(8), nil, 0.1, 0); err != nil {
		t.Fatal(err)
	}
	if called != "nW" {
		t.Errorf("products called: %s, want nW", called)
	}
	wide.half.columnSums(make([]float32, lanes), nil, 0, 1, 1)
	if called != "nWw" {
		t.Errorf("a set has changed: %s", called)
	}
}

// TestTrial: what is measured is the work that it says, and can be run by every
// set.
func TestTrial(t *testing.T) {
	for _, r := range available() {
		for _, p := range []*products{&r.products, &r.half} {
			rows := 0
			counted := *p
			counted.gather = func(z, w, cold []float32, records []byte, examples, ahead []example, hot, panels, wPanel int) {
				for _, s := range examples {
					values, index := entries(cold, records, s, hot)
					for range values {
						if row := coldRow(index) / lanes; row >= trialCold {
							t.Fatalf("row %d of %d", row, trialCold)
						}
						index = index[2:]
						rows++
					}
				}
				p.gather(z, w, cold, records, examples, ahead, hot, panels, wPanel)
			}
			trial()(&counted)
			if want := trialTimes * trialRows * trialEntries; rows != want {
				t.Errorf("%s: %d entries, want %d", r.name, rows, want)
			}
		}
	}
}
