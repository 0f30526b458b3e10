package bench

import (
	"fmt"
	"io"
	"text/tabwriter"
)

// WriteTable prints results as text, a row each, in groups of one case.
func WriteTable(w io.Writer, results []Result) error {
	if len(results) == 0 {
		return nil
	}
	m := results[0].Machine
	rounds := 0 // those of what has not failed
	for _, r := range results {
		rounds = max(rounds, r.N)
	}
	fmt.Fprintf(w, "%s, %s, %s, %s/%s\n", m.CPU, plural(m.Cores, "core"), m.Go, m.OS, m.Arch)
	fmt.Fprintf(w, "seconds per network and epoch; median [quartiles] of %d interleaved rounds\n", rounds)
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', tabwriter.AlignRight)
	last := ""
	for _, r := range results {
		if title := fmt.Sprintf("%s: %s", r.Suite, r.Case); title != last {
			if err := t.Flush(); err != nil {
				return err
			}
			fmt.Fprintf(w, "\n%s\n", title)
			fmt.Fprintln(t, "executor\tcores\tseconds\t[quartiles]\tnetwork-epochs/s\tdense GFLOP/s\tMB\ttimes handrolled\t")
			last = title
		}
		if r.Failed != "" {
			fmt.Fprintf(t, "%s\t%d\t%s\t\t\t\t\t\t\n", r.Executor, r.Cores, "failed")
			continue
		}
		fmt.Fprintf(t, "%s\t%d\t%.4g\t[%.4g %.4g]\t%.3g\t%.1f\t%.0f\t%s\t\n", r.Executor, r.Cores, r.Median, r.LowerQuartile, r.UpperQuartile,
			float64(1)/r.Median, r.GFLOPS, r.MemoryMB, orDash(r.Ratio))
	}
	if err := t.Flush(); err != nil {
		return err
	}
	for _, r := range results {
		if r.Failed != "" {
			fmt.Fprintf(w, "\n%s, %s failed: %s\n", r.Case, r.Executor, r.Failed)
		}
	}
	return nil
}

// orDash prints what was not measured as a dash.
func orDash(x float64) string {
	if x == 0 {
		return "-"
	}
	return fmt.Sprintf("%.2f", x)
}
