package bench

import (
	"bufio"
	"encoding/json"
	"fmt"
	"io"
	"math/rand/v2"
	"sort"
	"text/tabwriter"
)

// ReadResults reads results as JSON, one a line.
func ReadResults(r io.Reader, name string) ([]Result, error) {
	var results []Result
	lines := bufio.NewScanner(r)
	lines.Buffer(nil, 1<<24)
	for n := 1; lines.Scan(); n++ {
		if len(lines.Bytes()) == 0 {
			continue
		}
		var result Result
		if err := json.Unmarshal(lines.Bytes(), &result); err != nil {
			return nil, fmt.Errorf("%s, line %d: %w", name, n, err)
		}
		if len(result.Samples) == 0 {
			return nil, fmt.Errorf("%s, line %d: want a result of vanilla bench --json with samples, found none", name, n)
		}
		results = append(results, result)
	}
	if err := lines.Err(); err != nil {
		return nil, fmt.Errorf("%s: %w", name, err)
	}
	if len(results) == 0 {
		return nil, fmt.Errorf("%s: no results", name)
	}
	return results, nil
}

// Change is how one executor's time for a case differs between two runs.
type Change struct {
	Before, After Result
	// Ratio is the time after over the time before, of medians; with 95 %
	// confidence it lies in Low..High.
	Ratio, Low, High float64
}

// Changed reports whether the interval excludes that nothing changed.
func (c Change) Changed() bool { return c.Low > 1 || c.High < 1 }

// Compare matches results of two runs by suite, case and executor. The interval
// is that of a bootstrap: both samples are drawn anew with replacement
// bootstrapDraws times (Efron, 1979).
func Compare(before, after []Result) []Change {
	random := rand.New(rand.NewPCG(1, 2))
	draw := func(sample []float64) float64 {
		s := make([]float64, len(sample))
		for i := range s {
			s[i] = sample[random.IntN(len(sample))]
		}
		_, median, _ := Quartiles(s)
		return median
	}
	var changes []Change
	for _, b := range before {
		for _, a := range after {
			if a.Suite != b.Suite || a.Case != b.Case || a.Executor != b.Executor {
				continue
			}
			ratios := make([]float64, bootstrapDraws)
			for i := range ratios {
				ratios[i] = draw(a.Samples) / draw(b.Samples)
			}
			sort.Float64s(ratios)
			changes = append(changes, Change{Before: b, After: a, Ratio: a.Median / b.Median,
				Low: ratios[bootstrapDraws*25/1000], High: ratios[bootstrapDraws*975/1000]})
		}
	}
	return changes
}

const bootstrapDraws = 2000

// WriteChanges prints a comparison, a row each.
func WriteChanges(w io.Writer, changes []Change) error {
	if len(changes) == 0 {
		_, err := fmt.Fprintln(w, "the two files have no case in common")
		return err
	}
	a, b := changes[0].Before, changes[0].After
	fmt.Fprintf(w, "before: %s, revision %s, %s\nafter:  %s, revision %s, %s\n\n",
		a.Machine.CPU, a.Revision, a.Date, b.Machine.CPU, b.Revision, b.Date)
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	fmt.Fprintln(t, "case\texecutor\tbefore\tafter\ttime\t95 % interval\t")
	for _, c := range changes {
		verdict := "no change found"
		switch {
		case c.Low > 1:
			verdict = "slower"
		case c.High < 1:
			verdict = "faster"
		}
		fmt.Fprintf(t, "%s\t%s\t%.4g s\t%.4g s\t%+.1f %%\t%+.1f to %+.1f %%\t%s\n", c.Before.Case, c.Before.Executor,
			c.Before.Median, c.After.Median, 100*(c.Ratio-1), 100*(c.Low-1), 100*(c.High-1), verdict)
	}
	return t.Flush()
}
