package bench

import (
	"fmt"
	"io"
	"strings"
	"text/tabwriter"
)

// WriteTable prints results as text, a row each, in groups of one case.
func WriteTable(w io.Writer, results []Result) error {
	if len(results) == 0 {
		return nil
	}
	m := results[0].Machine
	fmt.Fprintf(w, "%s, %d cores, %s, %s/%s\n", m.CPU, m.Cores, m.Go, m.OS, m.Arch)
	fmt.Fprintf(w, "one epoch of %d examples, one network, one core; median [quartiles] of %d interleaved rounds\n\n", results[0].Examples, results[0].N)
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', tabwriter.AlignRight)
	fmt.Fprintln(t, "batch\texecutor\tseconds\t[quartiles]\tdense GFLOP/s\ttimes handrolled\t")
	last := 0
	for _, r := range results {
		batch := ""
		if r.Batch != last {
			batch, last = fmt.Sprint(r.Batch), r.Batch
		}
		ratio := "-"
		if r.Ratio != 0 {
			ratio = fmt.Sprintf("%.2f", r.Ratio)
		}
		fmt.Fprintf(t, "%s\t%s\t%.4f\t[%.4f %.4f]\t%.1f\t%s\t\n", batch, r.Executor, r.Median, r.LowerQuartile, r.UpperQuartile, r.GFLOPS, ratio)
	}
	if err := t.Flush(); err != nil {
		return err
	}
	programs := map[string]bool{}
	for _, r := range results {
		programs[r.Program] = true
	}
	var names []string
	for p := range programs {
		names = append(names, p)
	}
	_, err := fmt.Fprintf(w, "\n%s\n", strings.Join(names, ", "))
	return err
}
