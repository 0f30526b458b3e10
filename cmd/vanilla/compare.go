package main

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"os"
	"strings"
	"text/tabwriter"

	"vanilla/internal/store"
	"vanilla/internal/words"
	"vanilla/train"
	"vanilla/train/sweep"
	"vanilla/train/sweep/report"
)

// compareSides is results --compare.
func (r *resultsFlags) compareSides(ctx context.Context, args []string, stdout io.Writer) error {
	a, err := readSide(ctx, args[0])
	if err != nil {
		return err
	}
	b, err := readSide(ctx, args[1])
	if err != nil {
		return err
	}
	c, err := report.Compare(a, b)
	if err != nil {
		return err
	}
	if r.json {
		return writeJSON(stdout, c)
	}
	return printComparison(stdout, c)
}

// readSide reads what an argument of --compare names: a file of records, a sweep, whose best point is meant, or DIR#POINT.
func readSide(ctx context.Context, name string) (report.Side, error) {
	path, which, _ := strings.Cut(name, "#")
	if _, err := os.Stat(name); err == nil { // a name may have a # in it
		path, which = name, ""
	}
	info, err := os.Stat(path)
	if err != nil {
		return report.Side{}, fmt.Errorf("%s: want a file of records, as vanilla train --seeds writes it, or the directory of a sweep: %w", path, store.Cause(err))
	}
	if !info.IsDir() {
		outcomes, err := await(ctx, func() ([]train.Outcome, error) {
			f, err := os.Open(path)
			if err != nil {
				return nil, err
			}
			defer f.Close()
			return train.ReadOutcomes(f)
		})
		var s report.Side
		if err == nil {
			s, err = report.Outcomes(name, outcomes)
		}
		if err != nil {
			return s, fmt.Errorf("%s: %w", path, err)
		}
		return s, nil
	}
	d, err := sweep.Open(ctx, path)
	if err != nil {
		return report.Side{}, err
	}
	if which == "" {
		which = "1"
	}
	s, err := report.New(d).Side(name, which)
	if err != nil {
		return s, fmt.Errorf("%s: %w", path, err)
	}
	return s, nil
}

// printComparison is the comparison for people.
func printComparison(w io.Writer, c *report.Comparison) error {
	var b bytes.Buffer
	rows := tabwriter.NewWriter(&b, 0, 0, 2, ' ', 0)
	for _, s := range []struct {
		letter string
		report.ComparedSide
	}{{"A", c.A}, {"B", c.B}} {
		text := "no seed that did not diverge"
		if e := s.Accuracy; e != nil {
			text = fmt.Sprintf("%s %%\tn = %d", e, e.N)
		}
		fmt.Fprintf(rows, "%s\t%s\t%s\n", s.letter, words.OneLine(s.Name), text)
	}
	rows.Flush()
	shown := func(v any) any {
		if v == nil { // the recipe has no such setting
			return "none"
		}
		return v
	}
	changes := make([]string, len(c.Changes))
	for i, change := range c.Changes {
		changes[i] = fmt.Sprintf("%s %v → %v", strings.ReplaceAll(change.Setting, "_", "-"), shown(change.A), shown(change.B))
	}
	if len(changes) > 0 {
		fmt.Fprintf(&b, "\nfrom A to B  %s\n", strings.Join(changes, ", "))
	} else {
		fmt.Fprintf(&b, "\nfrom A to B  no setting of the recipe changes\n")
	}
	if t := c.Result; t == nil {
		fmt.Fprintf(&b, "B - A        too few seeds: want two or more of each\n")
	} else {
		kind := "Welch's t-test: the seeds are not the same"
		if c.Paired {
			kind = fmt.Sprintf("t-test of %d pairs of equal seeds and orders", c.Pairs)
		}
		fmt.Fprintf(&b, "B - A        %+.2f points of the %s, 95 %% interval %+.2f to %+.2f, p %s (%s)\n",
			100*t.Difference, c.Measure, 100*t.Lower, 100*t.Upper, words.Probability(t.P), kind)
		switch {
		case t.Settled():
			better := "B is better"
			if t.Difference < 0 {
				better = "A is better"
			}
			fmt.Fprintf(&b, "             %s, by the interval\n", better)
		case t.Needed == 0:
			fmt.Fprintf(&b, "             no difference: no number of seeds would show one of this size\n")
		default:
			fmt.Fprintf(&b, "             not settled: a difference of this size, if it is there, would show in four of five comparisons with about %s seeds each\n", words.Thousands(t.Needed))
		}
	}
	if s := c.Sampling; s != nil {
		fmt.Fprintf(&b, "images       ± and the interval are over seeds; the %s %s are a sample too: others would move both accuracies by about ± %.2f,\n"+
			"             and the difference by ± %.2f at most, and by less the more both err on the same images\n", words.Thousands(s.Images), c.Measure, 100*max(s.A, s.B), 100*s.Most)
	}
	for _, note := range c.Notes {
		fmt.Fprintf(&b, "note         %s\n", words.OneLine(note))
	}
	_, err := w.Write(b.Bytes())
	return err
}
