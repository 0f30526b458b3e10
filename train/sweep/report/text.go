package report

import (
	"bytes"
	"fmt"
	"io"
	"math"
	"slices"
	"strconv"
	"strings"
	"text/tabwriter"

	"vanilla/internal/words"
	"vanilla/kernels"
	"vanilla/train/sweep"
)

// WriteText writes the answer for people: how far the sweep is, the best points, the Pareto front, and what each
// dimension does. The first two lists hold at most top points each.
func (r *Report) WriteText(w io.Writer, top int) error {
	var b bytes.Buffer
	for _, fact := range r.Facts() {
		fmt.Fprintf(&b, "%-10s %s\n", fact[0], fact[1])
	}
	if len(r.Points) > 0 {
		r.leaderboard(&b, top)
		r.frontTables(&b, top)
	}
	if len(r.Dimensions) > 0 {
		r.effectTable(&b)
		r.dimensionTables(&b)
	}
	_, err := w.Write(b.Bytes())
	return err
}

// Facts are what the sweep is and how far it has come, each a name and a text.
func (r *Report) Facts() [][2]string {
	s := &r.Spec
	facts := [][2]string{{"sweep", words.OneLine(r.Path)}, {"points", fmt.Sprintf("%s of %s, %s each", words.Thousands(r.Plan.Size()), r.space(), words.Plural(s.Seeds, "seed"))}}
	if text := r.Plan.LeftOutText(); text != "" {
		facts = append(facts, [2]string{"left out", text})
	}
	if s.Sampler != "" {
		facts = append(facts, [2]string{"sampler", s.Sampler})
	}
	schedule := "all trained for " + r.FirstEpochs()
	if len(s.Halving) > 1 {
		schedule = fmt.Sprintf("halving after %s epochs in %s", and(s.Halving), words.Plural(len(r.Plan.Brackets), "bracket"))
	}
	if n := r.Plan.Finalists(); n > 0 {
		schedule += fmt.Sprintf("; %s with %s each", words.Plural(n, "finalist"), words.Plural(s.FinalSeeds, "new seed"))
	}
	facts = append(facts, [2]string{"schedule", schedule})
	if s.Space["arch"] == "" && s.Space["layers"] == "" && s.Space["hidden"] == "" {
		facts = append(facts, [2]string{"network", s.Recipe.Arch})
	}
	if r.Shard.Of > 1 {
		facts = append(facts, [2]string{"shard", fmt.Sprintf("%s: counts and ranks are of this part only", r.Shard)})
	}
	held := int(math.Round(s.Recipe.Validation * float64(r.Data.Train)))
	facts = append(facts, [2]string{"data", fmt.Sprintf("%s: %s training images, %s more select, %s test the finalists",
		words.OneLine(r.DataName), words.Thousands(r.Data.Train-held), words.Thousands(held), words.Thousands(r.Data.Test))})
	facts = append(facts, [2]string{"planned", words.Plural(r.Planned, "network")})
	done := words.Thousands(r.Done)
	if left := r.Planned - r.Done - r.Diverged; left > 0 {
		done += fmt.Sprintf(", %s to go", words.Thousands(left))
	}
	facts = append(facts, [2]string{"done", done}, [2]string{"diverged", words.Thousands(r.Diverged)})
	if len(r.Records) > 0 {
		seconds := 0.
		for i := range r.Records {
			seconds = math.Max(seconds, r.Records[i].Seconds)
		}
		trained := duration(seconds)
		if devices := r.Devices(); len(devices) > 0 {
			trained += fmt.Sprintf(" on %s by vanilla %s", strings.Join(devices, "; "), r.Version)
		}
		facts = append(facts, [2]string{"trained", trained})
	}
	if p := r.Precision(); p != kernels.DefaultPrecision {
		facts = append(facts, [2]string{"precision", p})
	}
	if all := r.Arithmetics(); len(all) > 1 {
		for i, a := range all {
			if a == "" {
				all[i] = "one that was not written down"
			}
		}
		facts = append(facts, [2]string{"arithmetic", "mixed: " + strings.Join(all, ", then ") + ": no other sweep comes to these results"})
	}
	return facts
}

// space is the space in words: "layers 1..3, hidden 8..128".
func (r *Report) space() string {
	var parts []string
	for _, field := range sweep.SpaceFields() {
		if values, given := r.Spec.Space[field]; given {
			parts = append(parts, words.Dashed(field)+" "+values)
		}
	}
	if len(parts) == 0 {
		return "one recipe"
	}
	return strings.Join(parts, ", ")
}

// leaderboard writes the best points.
func (r *Report) leaderboard(b *bytes.Buffer, top int) {
	finalists := r.Finalists()
	first := ""
	if len(finalists) > 0 {
		first = ", finalists with their new seeds first"
	}
	fmt.Fprintf(b, "\nLeaderboard by validation accuracy%s; ± is the standard deviation over n seeds (n-1)%s\n", first, r.samplingLines())
	shown := r.Points[:min(top, len(r.Points))]
	t := tabwriter.NewWriter(b, 0, 0, 2, ' ', 0)
	head := "  rank\tarchitecture\tparameters\tepochs\tvalidation, %\tn\t"
	if len(finalists) > 0 {
		head += "test, %\tn\t"
	}
	fmt.Fprintln(t, head+"settings")
	for i := range shown {
		p := &shown[i]
		v := p.Validation()
		rank := strconv.Itoa(i + 1)
		if v == nil {
			rank = "-"
		}
		row := fmt.Sprintf("%6s\t%s\t%10s\t%6d\t%s\t%d\t", rank, p.Recipe.Arch, words.Thousands(p.Parameters), p.Epochs, v, v.n())
		if len(finalists) > 0 {
			row += fmt.Sprintf("%s\t%d\t", p.Test, p.Test.n())
		}
		row += p.Settings
		if p.Diverged > 0 {
			row += fmt.Sprintf(" (%d of %d diverged)", p.Diverged, p.Variants)
		}
		fmt.Fprintln(t, strings.TrimRight(row, " \t"))
	}
	t.Flush()
	if len(shown) < len(r.Points) {
		fmt.Fprintf(b, "  and %s more\n", words.Thousands(len(r.Points)-len(shown)))
	}
	if len(finalists) > 0 {
		p := finalists[0]
		if p.Test != nil && p.Test.Interval != nil {
			fmt.Fprintf(b, "\nThe best, %s, gets %.2f %% of the test images right: 95 %% interval of the mean %.2f to %.2f %%\n(Student's t over %d seeds that the search has not seen)\n",
				p.Name(), 100*p.Test.Mean, 100*(p.Test.Mean-*p.Test.Interval), 100*math.Min(1, p.Test.Mean+*p.Test.Interval), p.Test.N)
		}
		if commands := r.Again(); len(commands) > 0 {
			fmt.Fprintf(b, "\n%s:\n", r.againHeading())
			for _, c := range commands {
				fmt.Fprintf(b, "%6d  %s\n", c.Rank, c.Command)
			}
		}
	}
}

// samplingLines say what ± is not about, each on a line of its own.
func (r *Report) samplingLines() string {
	text := ""
	for _, s := range []string{r.testSampling(), r.heldOutSampling()} {
		if s != "" {
			text += "\n" + s
		}
	}
	return text
}

// frontTables write the Pareto fronts, one for each number of epochs.
func (r *Report) frontTables(b *bytes.Buffer, top int) {
	for i, f := range r.Fronts {
		which := ""
		if len(r.Fronts) > 1 {
			which = fmt.Sprintf(" after %s, of %s", words.Plural(f.Epochs, "epoch"), words.Plural(f.Of, "point"))
		}
		fmt.Fprintf(b, "\nPareto front%s: the most accurate for its parameters\n", which)
		if i == 0 {
			fmt.Fprintln(b, "(what the seeds of the search had reached: points that were trained equally long are compared)")
		}
		shown := thin(f.Points, top)
		t := tabwriter.NewWriter(b, 0, 0, 2, ' ', 0)
		fmt.Fprintln(t, "  parameters\tarchitecture\tvalidation, %\tn\tsettings")
		for _, p := range shown {
			fmt.Fprintln(t, strings.TrimRight(fmt.Sprintf("%12s\t%s\t%s\t%d\t%s", words.Thousands(p.Parameters), p.Recipe.Arch, p.Accuracy, p.Accuracy.N, p.Settings), " \t"))
		}
		t.Flush()
		if len(shown) < len(f.Points) {
			fmt.Fprintf(b, "  %d of %d points of the front\n", len(shown), len(f.Points))
		}
	}
}

// effectTable writes the effects, the largest first, and what pairs do together.
func (r *Report) effectTable(b *bytes.Buffer) {
	fmt.Fprintf(b, "\nEffects on validation accuracy after %s\n%s,\nfrom all seeds of all points; what diverged counts as the worst result.\n", r.FirstEpochs(), effectMeans+r.effectsOf())
	t := tabwriter.NewWriter(b, 0, 0, 2, ' ', 0)
	fmt.Fprintln(t, "  dimension\teffect\t95 % interval\tp")
	row := func(name string, e *Effect) {
		switch {
		case e == nil:
			fmt.Fprintf(t, "  %s\ttoo few points\n", name)
		case !e.Found():
			fmt.Fprintf(t, "  %s\tnot seen\t0 to %s %%\t%s\n", name, whole(e.Upper), strings.TrimPrefix(words.Probability(e.P), "= "))
		default:
			fmt.Fprintf(t, "  %s\t%s %%\t%s to %s %%\t%s\n", name, whole(e.Share), whole(e.Lower), whole(e.Upper), strings.TrimPrefix(words.Probability(e.P), "= "))
		}
	}
	for i := range r.Dimensions {
		if d := &r.Dimensions[i]; !d.Follows {
			row(d.Name, d.Effect)
		}
	}
	for i := range r.Interactions {
		x := &r.Interactions[i]
		row(x.A+" × "+x.B, &x.Effect)
	}
	t.Flush()
	if len(r.Interactions) > 0 {
		fmt.Fprintln(b, "  A × B is what two do together beyond what each does; its p counts the pairs that were looked at (Bonferroni)")
	}
}

// dimensionTables writes what each dimension does.
func (r *Report) dimensionTables(b *bytes.Buffer) {
	fmt.Fprintf(b, "\nWhat each dimension does: validation accuracy of points after %s, in per cent.\n", r.FirstEpochs())
	selects := len(r.Spec.Halving) > 1
	for _, d := range r.Dimensions {
		fmt.Fprintf(b, "\n%s\n", d.Name)
		t := tabwriter.NewWriter(b, 0, 0, 2, ' ', tabwriter.AlignRight)
		head := "\tmedian\tquartiles\tbest\tpoints\tdiverged\t"
		if selects {
			head += "to the end\t"
		}
		fmt.Fprintln(t, head)
		for _, l := range d.Levels {
			row := fmt.Sprintf("  %s\t-\t-\t-\t", l.Value)
			if l.N > 0 {
				row = fmt.Sprintf("  %s\t%.2f\t%.2f to %.2f\t%.2f\t", l.Value, 100*l.Median, 100*l.LowerQuartile, 100*l.UpperQuartile, 100*l.Best)
			}
			row += fmt.Sprintf("%s\t%s\t", words.Thousands(l.N), words.Thousands(l.Diverged))
			if selects {
				row += words.Thousands(l.Last) + "\t"
			}
			fmt.Fprintln(t, row)
		}
		t.Flush()
	}
}

// String is the mean ± the standard deviation in per cent, or a dash.
func (e *Estimate) String() string {
	switch {
	case e == nil:
		return "-"
	case e.SD == nil:
		return fmt.Sprintf("%.2f", 100*e.Mean)
	}
	return fmt.Sprintf("%.2f ± %.2f", 100*e.Mean, 100**e.SD)
}

// n is the number of seeds, 0 of no estimate.
func (e *Estimate) n() int {
	if e == nil {
		return 0
	}
	return e.N
}

// thin picks up to n of a list, evenly, with both ends.
func thin[T any](all []T, n int) []T {
	if len(all) <= n {
		return all
	}
	if n == 1 {
		return all[len(all)-1:]
	}
	picked := make([]T, n)
	for i := range picked {
		picked[i] = all[i*(len(all)-1)/(n-1)]
	}
	return picked
}

// and prints "1, 3 and 9".
func and(values []int) string {
	var parts []string
	for _, v := range values {
		parts = append(parts, words.Thousands(v))
	}
	return words.And(parts)
}

// duration prints seconds as people say them.
func duration(seconds float64) string {
	switch {
	case seconds < 100:
		return fmt.Sprintf("%.1f s", seconds)
	case seconds < 2*3600:
		return fmt.Sprintf("%.0f min %.0f s", math.Floor(seconds/60), math.Mod(seconds, 60))
	}
	return fmt.Sprintf("%.1f h", seconds/3600)
}

// contains says whether a dimension has the name.
func contains(dimensions []Dimension, name string) bool {
	return slices.ContainsFunc(dimensions, func(d Dimension) bool { return d.Name == name })
}
