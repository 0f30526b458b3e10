package bench

import (
	"bufio"
	"encoding/json"
	"fmt"
	"io"
	"math"
	"slices"
	"text/tabwriter"

	"gonum.org/v1/gonum/stat"

	"vanilla/internal/words"
)

// ReadResults reads results as JSON, one a line, of suites of cases: other suites' are no times of cases.
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
		if result.Suite != "" && !slices.Contains(SuiteNames(), result.Suite) {
			return nil, fmt.Errorf("%s, line %d: the suite %s is not compared: want results of %s", name, n, result.Suite, words.Or(SuiteNames()))
		}
		if result.Case == "" || len(result.Samples) == 0 && result.Failed == "" {
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
	// Ratio is the time after over the time before; with 95 % confidence it lies
	// in Low..High.
	Ratio, Low, High float64
	// Relative is whether times were taken relative to the baseline's of the
	// same round, so that a slower hour of the machine is no change.
	Relative bool
}

// Changed reports whether the interval excludes that nothing changed.
func (c Change) Changed() bool { return c.Low > 1 || c.High < 1 }

// Compare matches results of two runs by suite, case, executor, run and build. What is
// compared is the mean logarithm of the rounds' times, each divided by the
// baseline's time in the same round if both runs have it. The interval is
// Welch's, widened by what runs of the machine differ by as wholes.
func Compare(before, after []Result, s Spread) []Change {
	return compare(before, after, s, func(b, a Result) bool { return alike(b, a) && a.Run == b.Run && a.Build == b.Build })
}

// alike is whether results are of the same work.
func alike(b, a Result) bool {
	return a.Suite == b.Suite && a.Case == b.Case && a.Executor == b.Executor && a.Networks == b.Networks
}

// compare is Compare of the results that match.
func compare(before, after []Result, s Spread, match func(before, after Result) bool) []Change {
	var changes []Change
	for _, b := range before {
		for _, a := range after {
			if a.Failed != "" || b.Failed != "" {
				continue
			}
			if !match(b, a) {
				continue
			}
			c := Change{Before: b, After: a}
			was, now := logarithms(b.Samples, nil), logarithms(a.Samples, nil)
			if p, q := baselineOf(b, before), baselineOf(a, after); p != nil && q != nil && b.Executor != Handrolled {
				was, now, c.Relative = logarithms(b.Samples, p), logarithms(a.Samples, q), true
			}
			difference, half := welch(was, now)
			half = math.Hypot(half, math.Sqrt2*s.Run.half())
			c.Ratio, c.Low, c.High = math.Exp(difference), math.Exp(difference-half), math.Exp(difference+half)
			changes = append(changes, c)
		}
	}
	return changes
}

// baselineOf are the baseline's times in the rounds of r, or nil.
func baselineOf(r Result, all []Result) []float64 {
	for _, b := range all {
		if b.Executor == Handrolled && b.Suite == r.Suite && b.Case == r.Case && b.Run == r.Run && len(b.Samples) == len(r.Samples) {
			return b.Samples
		}
	}
	return nil
}

// logarithms are those of times, or of their ratios to the baseline's.
func logarithms(seconds, baseline []float64) []float64 {
	logs := make([]float64, len(seconds))
	for i, s := range seconds {
		if baseline != nil {
			s /= baseline[i]
		}
		logs[i] = math.Log(s)
	}
	return logs
}

// welch is the difference of two samples' means and half the width of its 95 %
// interval: Student's t with the degrees of freedom of Welch, "The generalization
// of 'Student's' problem" (Biometrika 34, 1947). Of a single value the interval
// is infinite.
func welch(a, b []float64) (difference, half float64) {
	meanA, varA := stat.MeanVariance(a, nil)
	meanB, varB := stat.MeanVariance(b, nil)
	if len(a) < 2 || len(b) < 2 {
		return meanB - meanA, math.Inf(1)
	}
	na, nb := float64(len(a)), float64(len(b))
	squared := varA/na + varB/nb
	if squared == 0 {
		return meanB - meanA, 0
	}
	freedom := squared * squared / (varA*varA/na/na/(na-1) + varB*varB/nb/nb/(nb-1))
	return meanB - meanA, studentsT(freedom) * math.Sqrt(squared)
}

// interval is where the change lies.
func (c Change) interval() string {
	if math.IsInf(c.High, 1) {
		return "unknown: too few rounds"
	}
	return fmt.Sprintf("%+.1f to %+.1f %%", 100*(c.Low-1), 100*(c.High-1))
}

// verdict is what the interval says.
func (c Change) verdict() string {
	switch {
	case c.Low > 1:
		return "slower"
	case c.High < 1:
		return "faster"
	}
	return "no change found"
}

// WriteChanges prints a comparison, a row each, and where its intervals are from.
func WriteChanges(w io.Writer, changes []Change, s Spread) error {
	if len(changes) == 0 {
		_, err := fmt.Fprintln(w, "the two files have no case in common")
		return err
	}
	a, b := changes[0].Before, changes[0].After
	fmt.Fprintf(w, "before: %s, revision %s, %s\nafter:  %s, revision %s, %s\n\n",
		a.Machine.CPU, a.Revision, a.Date, b.Machine.CPU, b.Revision, b.Date)
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	fmt.Fprintln(t, "case\texecutor\tbefore\tafter\tchange of\t\t95 % interval\t")
	for _, c := range changes {
		of := "time"
		if c.Relative {
			of = "time / " + Handrolled
		}
		name := c.Before.Case
		if c.Before.Run != "" {
			name += ", run " + c.Before.Run
		}
		if c.Before.Build != "" {
			name += ", build " + c.Before.Build
		}
		fmt.Fprintf(t, "%s\t%s\t%.4g s\t%.4g s\t%s\t%+.1f %%\t%s\t%s\n", name, c.Before.Executor,
			c.Before.Median, c.After.Median, of, 100*(c.Ratio-1), c.interval(), c.verdict())
	}
	if err := t.Flush(); err != nil {
		return err
	}
	from := "is assumed: this machine has no file of the suite repeat"
	if s.File != "" {
		from = "is from " + s.File
	}
	_, err := fmt.Fprintf(w, "\nWhat equal runs differ by as wholes, ±%.1f %%, %s.\n", 100*(math.Exp(math.Sqrt2*s.Run.half())-1), from)
	return err
}
