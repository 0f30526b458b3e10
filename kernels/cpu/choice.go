package cpu

import (
	"fmt"
	"time"

	"vanilla/graph/ir"
)

// choice is the routines that an executor runs, and why these. Sets of vectors
// give equal bits, so which of them computes what is a matter of time alone, and
// the widest registers are not always the fastest: a processor may execute them in
// halves, run at a lower clock meanwhile, or find half a panel in narrower ones.
type choice struct {
	*routines
	whole, half string // in words
}

// choose takes the fastest of sets of one arithmetic for layers of whole panels
// and for those of half a one, as a stopwatch says of their products.
func choose(sets []*routines, stopwatch func(p *products) time.Duration) choice {
	c := choice{sets[0], sets[0].name + ", the only set here", sets[0].name}
	if len(sets) == 1 {
		return c
	}
	fastest := func(of func(r *routines) *products) (int, string) {
		best, words := 0, ""
		took := make([]time.Duration, len(sets))
		for i, r := range sets {
			if took[i] = stopwatch(of(r)); took[i] < took[best] {
				best = i
			}
		}
		for i, r := range sets {
			if i != best {
				words += fmt.Sprintf(", %.2f times as fast here as %s", float64(took[i])/float64(took[best]), r.name)
			}
		}
		return best, sets[best].name + words
	}
	whole, words := fastest(func(r *routines) *products { return &r.products })
	chosen := *sets[whole]
	c.routines, c.whole = &chosen, words
	narrow, words := fastest(func(r *routines) *products { return &r.half })
	chosen.half, c.half = sets[narrow].half, words
	return c
}

// lines say what is chosen for a program.
func (c choice) lines(p *ir.Program) []string {
	lines := []string{"routines: " + c.whole}
	for id, v := range p.Values {
		last := v.Shape.Cols % lanes // columns in use of the last panel, which wide products may join to the one before
		halved := last > 0 && last <= half && (v.Shape.Cols < lanes || c.multiplyPanels == 1)
		if v.Shape.Rows == ir.Batch && halved && ir.ID(id) != p.Input && ir.ID(id) != p.Target {
			return append(lines, "of panels that are at most half in use: "+c.half)
		}
	}
	return lines
}

// A trial is the products of a small first layer, of one panel, on a batch: about
// what a step of training takes of them.
const (
	trialRows    = 32
	trialHot     = 160
	trialEntries = 48
	trialCold    = 500 // rows of weights
	trialTimes   = 20
)

// trial returns a stopwatch for products: the least time of several trials.
func trial() func(p *products) time.Duration {
	const recordBytes = (trialHot + 3*trialEntries + recordLine - 1) / recordLine * recordLine
	records := make([]byte, trialRows*recordBytes)
	examples := make([]example, trialRows)
	for i := range examples {
		examples[i] = example{exampleRecord: uint32(i * recordBytes / recordLine), exampleFirst: uint32(i * trialEntries), exampleCount: trialEntries}
		for e := range trialEntries {
			row := 8 * ((e*trialCold/trialEntries + i*e) % trialCold)
			at := i*recordBytes + trialHot + trialEntries + 2*e
			records[at], records[at+1] = byte(row), byte(row>>8)
		}
	}
	x, cold := make([]float32, trialRows*trialHot), make([]float32, trialRows*trialEntries)
	w, z, bias := make([]float32, (trialHot+trialCold)*lanes), make([]float32, trialRows*lanes), make([]float32, lanes)
	return func(p *products) time.Duration {
		least := time.Duration(1 << 62)
		for range trialTimes {
			start := time.Now()
			p.multiply(z, bias, x, w, trialRows, trialRows, trialHot, 1, 0, lanes, len(w))
			p.gather(z, w[trialHot*lanes:], cold, records, examples, nil, trialHot, 1, len(w))
			p.accumulate(w, x, z, trialRows, trialRows, trialHot, 1, len(w), 1, 0)
			p.scatter(w[trialHot*lanes:], z, cold, records, examples, trialHot, 1, len(w), 0)
			p.columnSums(bias, z, trialRows, 1, 0)
			least = min(least, time.Since(start))
		}
		return least
	}
}
