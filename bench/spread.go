package bench

import (
	"fmt"
	"math"
	"path/filepath"
	"slices"

	"gonum.org/v1/gonum/stat"
)

// Spread is what equal work differs by on one machine, beyond what the rounds of
// a run show: what lasts as long as a run, such as the neighbours of a virtual
// machine. The suite repeat measures it.
type Spread struct {
	// File is where it is from, empty if the machine has none.
	File string
	// Run is that of a run by itself, Pair that of a build against itself, as
	// standard deviations of logarithms.
	Run, Pair Deviation
	// Pairs are the comparisons of a build with itself.
	Pairs []Pair
}

// Deviation is a standard deviation, estimated from few.
type Deviation struct{ Sigma, Freedom float64 }

// half is half the width of a 95 % interval.
func (d Deviation) half() float64 {
	if d.Sigma == 0 {
		return 0
	}
	return studentsT(d.Freedom) * d.Sigma
}

// assumedDeviation is a run's where its machine has no file: 0.036 in four runs
// and 0 in six on an AMD EPYC with two virtual cores.
const assumedDeviation = 0.02

// ReadSpread reads the newest file of the suite repeat of a machine in a folder.
// Without one a run's deviation is assumed, and that of a pair unknown.
func ReadSpread(dir string, m Machine) (Spread, error) {
	files, err := filepath.Glob(filepath.Join(dir, "repeat-"+m.Slug()+"-*.jsonl"))
	if err != nil {
		return Spread{}, err
	}
	if len(files) == 0 {
		return Spread{Run: Deviation{assumedDeviation, math.Inf(1)}}, nil
	}
	newest := slices.Max(files) // they end in a date
	found, err := readFile(newest)
	if err != nil {
		return Spread{}, err
	}
	var results []Result
	for _, f := range found {
		results = append(results, f.Results...)
	}
	s := NewSpread(results)
	s.File = newest
	return s, nil
}

// NewSpread estimates from the runs of the suite repeat. What rounds show is
// taken off: the deviation is of what lasts as long as a run.
func NewSpread(results []Result) Spread {
	var s Spread
	var means, squares []float64 // of runs by themselves; of their means' errors
	for _, r := range results {
		if r.Executor == Handrolled || r.Run == Slowed || r.Build != "" {
			continue
		}
		of := slices.DeleteFunc(slices.Clone(results), func(b Result) bool { return b.Run != r.Run })
		logs := logarithms(r.Samples, baselineOf(r, of))
		mean, deviation := stat.MeanStdDev(logs, nil)
		means = append(means, mean)
		squares = append(squares, deviation*deviation/float64(len(logs)))
	}
	s.Run = excess(stat.Variance(means, nil), squares, len(means)-1)
	s.Pairs = pairsOf(results)
	var total float64
	squares = nil
	for _, p := range s.Pairs {
		median, low, high := middle(p.logarithms())
		total += median * median // of zero, which it should be
		deviation := (high - low) / 2 / studentsT(math.Inf(1))
		squares = append(squares, deviation*deviation)
	}
	s.Pair = excess(total/float64(len(s.Pairs)), squares, len(s.Pairs))
	return s
}

// excess is what a variance is above the mean of those that explain it.
func excess(variance float64, explained []float64, freedom int) Deviation {
	if freedom < 1 {
		return Deviation{}
	}
	return Deviation{math.Sqrt(max(0, variance-stat.Mean(explained, nil))), float64(freedom)}
}

// pairsOf are the pairs among results.
func pairsOf(results []Result) []Pair {
	var pairs []Pair
	for _, a := range results {
		for _, b := range results {
			if a.Build == Against && b.Build == This && a.Run == b.Run && a.Case == b.Case && a.Executor == b.Executor && len(a.Samples) == len(b.Samples) {
				pairs = append(pairs, Pair{a, b})
			}
		}
	}
	return pairs
}

// Itself says what the comparison of a build with itself comes to.
func (s Spread) Itself() string {
	if len(s.Pairs) == 0 {
		return "What a build against itself comes to on this machine is not known: vanilla bench --suite repeat --results DIR measures it."
	}
	worst, widest, kept, least, most := 0.0, 0.0, 0, math.MaxInt, 0
	for _, p := range s.Pairs {
		c := p.Change(s)
		least, most = min(least, len(p.This.Samples)), max(most, len(p.This.Samples))
		worst, widest = max(worst, math.Abs(c.Ratio-1)), max(widest, c.High-1)
		if !c.Changed() {
			kept++
		}
	}
	from := ""
	if s.File != "" {
		from = " (" + filepath.Base(s.File) + ")"
	}
	rounds := fmt.Sprint(least)
	if most > least {
		rounds += fmt.Sprint(" to ", most)
	}
	return fmt.Sprintf("A build against itself on this machine%s: intervals of up to ±%.2f %% over %s rounds, differences of up to %.2f %%, %d of %d within their interval.",
		from, 100*widest, rounds, 100*worst, kept, len(s.Pairs))
}
