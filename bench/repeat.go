package bench

import (
	"context"
	"fmt"
	"time"

	"vanilla/kernels"
)

// The suite repeat holds the harness against its own intervals: the same work
// several times over, and once more by an executor that is slowed by a tenth.
// Equal runs should differ by less than their intervals, and the slow one by
// more. Besides, the build takes turns with itself, as two builds do.
const (
	repeats = 4
	// selves is how often a build is compared with itself.
	selves = 6
	// Slowdown is what is planted in the run Slowed.
	Slowdown = 0.10
	Slowed   = "slowed"
)

// Repeat runs the cases as the suite repeat does; self is the build that runs.
// progress is told of each run.
func (b *Bench) Repeat(ctx context.Context, c Case, e kernels.Executor, self Build, progress func(run string)) ([]Result, error) {
	var all []Result
	for n := range repeats + 1 {
		run, exec := fmt.Sprint(n+1), e
		if n == repeats {
			run, exec = Slowed, slowed{e}
		}
		progress(run)
		results, err := b.Run(ctx, c, []kernels.Executor{exec})
		if err != nil {
			return nil, err
		}
		for _, r := range results {
			r.Run = run
			all = append(all, r)
		}
	}
	other := self
	self.Name, other.Name = "a build", "the same build"
	for n := range selves {
		run := fmt.Sprintf("against itself, %d", n+1)
		progress(run)
		p, err := b.Against(ctx, c, other, self)
		if err != nil {
			return nil, err
		}
		p.Against.Run, p.This.Run = run, run
		all = append(all, p.Against, p.This)
	}
	return all, nil
}

// Repeatability is what a run of the suite repeat says of the harness.
type Repeatability struct {
	// Same compares each pair of equal runs, Planted each with the slow one.
	Same, Planted []Change
	// Spread is what the runs say of this machine.
	Spread Spread
}

// NewRepeatability compares the runs of the suite repeat.
func NewRepeatability(results []Result, executor string) Repeatability {
	runs := map[string][]Result{}
	var names []string
	for _, r := range results {
		if r.Build != "" {
			continue
		}
		if runs[r.Run] == nil {
			names = append(names, r.Run)
		}
		runs[r.Run] = append(runs[r.Run], r)
	}
	out := Repeatability{Spread: NewSpread(results)}
	for i, a := range names {
		for _, b := range names[i+1:] {
			for _, c := range compare(runs[a], runs[b], out.Spread, alike) {
				switch {
				case c.Before.Executor != executor:
				case b == Slowed:
					out.Planted = append(out.Planted, c)
				default:
					out.Same = append(out.Same, c)
				}
			}
		}
	}
	return out
}

// String says how many intervals tell the truth.
func (r Repeatability) String() string {
	same, found := 0, 0
	for _, c := range r.Same {
		if !c.Changed() {
			same++
		}
	}
	for _, c := range r.Planted {
		if c.Low > 1 {
			found++
		}
	}
	text := fmt.Sprintf("Of %d pairs of equal runs %d differ by less than their 95 %% intervals; a planted slowdown of %.0f %% is found in %d of %d comparisons.",
		len(r.Same), same, 100*Slowdown, found, len(r.Planted))
	if len(r.Spread.Pairs) > 0 {
		text += " " + r.Spread.Itself()
	}
	return text
}

// slowed is an executor that takes a tenth longer for the same work.
type slowed struct{ kernels.Executor }

func (s slowed) Prepare(d kernels.Data, v []kernels.Variant) (kernels.Population, error) {
	p, err := s.Executor.Prepare(d, v)
	return slowedPopulation{p, time.Now}, err
}

type slowedPopulation struct {
	kernels.Population
	now func() time.Time
}

func (p slowedPopulation) Advance(ctx context.Context, until []int, report func(kernels.Report)) error {
	start := p.now()
	err := p.Population.Advance(ctx, until, report)
	for end := start.Add(time.Duration((1 + Slowdown) * float64(p.now().Sub(start)))); p.now().Before(end); {
	}
	return err
}
