package bench

import (
	"cmp"
	"fmt"
	"maps"
	"math"
	"reflect"
	"slices"
	"strings"

	"vanilla/internal/sample"
	"vanilla/train"
)

// table is a table in Markdown whose first column is text and the others numbers.
func table(header []string, rows [][]string) string {
	var b strings.Builder
	line := func(cells []string) { fmt.Fprintf(&b, "| %s |\n", strings.Join(cells, " | ")) }
	line(header)
	marks := []string{"---"}
	for range header[1:] {
		marks = append(marks, "--:")
	}
	line(marks)
	for _, r := range rows {
		line(r)
	}
	return b.String()
}

// milliseconds prints a time.
func milliseconds(seconds float64) string { return threeDigits(1e3 * seconds) }

// sideBySide are the medians of several machines, or nothing for one.
func sideBySide(all []File) string {
	files := slices.DeleteFunc(slices.Clone(all), func(f File) bool { return f.GPU != "" })
	if len(files) < 2 || len(files[0].Results) == 0 || files[0].Suite == "repeat" {
		return ""
	}
	header := []string{"ms", ""}
	for _, f := range files {
		header = append(header, f.Machine)
	}
	var rows [][]string
	for _, r := range files[0].Results {
		row := []string{r.Case, name(r)}
		for _, f := range files {
			row = append(row, median(f.Results, r))
		}
		rows = append(rows, row)
	}
	return table(header, rows)
}

// median is that of the result in another file, in milliseconds. Names of cases
// said "1 networks" once.
func median(results []Result, like Result) string {
	for _, r := range results {
		if r.Failed == "" && r.Executor == like.Executor && strings.Replace(r.Case, " 1 networks", " 1 network", 1) == like.Case {
			return milliseconds(r.Median)
		}
	}
	return "–"
}

// name is an executor's, bold if it is what the project is about.
func name(r Result) string {
	if r.Executor == "cpu" || OnGPUs(r.Executor) {
		return "**" + r.Executor + "**"
	}
	return r.Executor
}

func resultsTable(f File) string {
	var rows [][]string
	for i, r := range f.Results {
		title := r.Case
		if i > 0 && f.Results[i-1].Case == r.Case {
			title = ""
		}
		if r.Failed != "" {
			rows = append(rows, append([]string{title, name(r), fmt.Sprint(r.Cores), "failed"}, slices.Repeat([]string{"–"}, 6)...))
			continue
		}
		row := []string{title, name(r), fmt.Sprint(r.Cores), "**" + milliseconds(r.Median) + "**",
			milliseconds(r.LowerQuartile) + "–" + milliseconds(r.UpperQuartile), threeDigits(1 / r.Median),
			times(r.Ratio), threeDigits(r.GFLOPS), percent(r.OfCeiling), "–"}
		if r.MemoryOf != "" {
			row[len(row)-1] = threeDigits(r.MemoryMB)
		}
		rows = append(rows, row)
	}
	out := table([]string{"", "executor", "cores", "ms", "quartiles", "network-epochs/s", "× handrolled", "dense GFLOP/s", "of the ceiling", "MB"}, rows)
	for _, r := range f.Results {
		if r.Failed != "" {
			out += fmt.Sprintf("\n%s, %s failed: %s\n", r.Case, r.Executor, strings.Join(strings.Fields(r.Failed), " "))
		}
	}
	var versions []string
	for _, r := range f.Results {
		var parts []string
		for _, k := range slices.Sorted(maps.Keys(r.Versions)) {
			if k != "python" {
				parts = append(parts, k+" "+r.Versions[k])
			}
		}
		if text := strings.Join(parts, ", "); text != "" && !slices.Contains(versions, text) {
			versions = append(versions, text)
		}
	}
	if len(versions) > 0 {
		out += "\nVersions, and the kernels that ran: " + strings.Join(versions, "; ") + ".\n"
	}
	return out
}

func times(ratio float64) string {
	if ratio == 0 {
		return "–"
	}
	return threeDigits(ratio)
}

func percent(fraction float64) string {
	if fraction == 0 {
		return "–"
	}
	return threeDigits(100*fraction) + " %"
}

func completionsText(f File) string {
	var b strings.Builder
	for _, c := range f.Completions {
		if len(c.Runs) > 0 {
			fmt.Fprintf(&b, "The default recipe on %s: median **%.2f s** to %.2f %% (processor time %.2f s).\n", plural(c.Cores, "core"), c.Seconds, 100*c.TestAccuracy, c.CPUSeconds)
		}
		if g := c.Goal; g != nil {
			fmt.Fprintf(&b, "\nTo %.0f %% on `%s`, %s: **%.2f networks a second** on %s, %.1f epochs each (median of %s).\n",
				100*g.TestAccuracy, g.Executor, g.Device, g.PerSecond, plural(g.Cores, "core"), g.Epochs, plural(len(g.Samples), "round"))
		}
	}
	return b.String()
}

func repeatText(f File) string {
	r := NewRepeatability(f.Results, repeated(f.Results))
	var rows [][]string
	for _, c := range append(slices.Clone(r.Same), r.Planted...) {
		verdict := "no change found"
		if c.Changed() {
			verdict = "a change"
		}
		rows = append(rows, []string{c.Before.Run + ", " + c.After.Run, milliseconds(c.Before.Median), milliseconds(c.After.Median),
			fmt.Sprintf("%+.1f %%", 100*(c.Ratio-1)), fmt.Sprintf("%+.1f to %+.1f %%", 100*(c.Low-1), 100*(c.High-1)), verdict})
	}
	return r.String() + " Differences are of times relative to `handrolled` in the same round.\n\n" +
		table([]string{"runs", "ms", "ms", "difference", "95 % interval", "found"}, rows)
}

// repeated is the executor that a run of the suite repeat is about.
func repeated(results []Result) string {
	for _, r := range results {
		if r.Executor != Handrolled {
			return r.Executor
		}
	}
	return Handrolled
}

// accuracyTable has a row for each recipe; root is where links to recipes start.
func accuracyTable(f File, named []NamedRecipe, root string) string {
	type group struct {
		recipe     train.Recipe
		accuracies []float64
	}
	var groups []*group
	for _, a := range f.Accuracies {
		k := slices.IndexFunc(groups, func(g *group) bool { return reflect.DeepEqual(g.recipe, a.Recipe) })
		if k < 0 {
			k = len(groups)
			groups = append(groups, &group{recipe: a.Recipe})
		}
		groups[k].accuracies = append(groups[k].accuracies, a.TestAccuracy)
	}
	var rows [][]string
	for _, g := range groups {
		title := ""
		for _, n := range named {
			if reflect.DeepEqual(n.Recipe, g.recipe) {
				title = "`" + n.Name + "`"
				if n.File != "" {
					title = fmt.Sprintf("[%s](%s%s)", title, root, n.File)
				}
				title += ": "
			}
		}
		mean, sd := sample.MeanSD(g.accuracies)
		_, median, _ := sample.Quartiles(g.accuracies)
		rows = append(rows, []string{title + inWords(g.recipe), fmt.Sprintf("%.2f ± %.2f %%", 100*mean, 100*sd), fmt.Sprintf("%.2f %%", 100*median), fmt.Sprint(len(g.accuracies))})
	}
	slices.SortStableFunc(rows, func(a, b []string) int { return strings.Compare(a[2], b[2]) })
	return table([]string{"recipe", "mean ± sd", "median", "seeds"}, rows)
}

// inWords is what a recipe does, shortly.
func inWords(r train.Recipe) string {
	words := []string{r.Activation, r.Loss, strings.ToUpper(r.Optimizer), fmt.Sprintf("batch %d", r.Batch)}
	rate := fmt.Sprintf("learning rate %g", r.LR)
	if r.Schedule != "constant" {
		rate = fmt.Sprintf("%s from %g", r.Schedule, r.LR)
	}
	words = append(words, rate)
	if r.WeightDecay > 0 {
		words = append(words, fmt.Sprintf("decay %g", r.WeightDecay))
	}
	if r.Init == "lesson" {
		words = append(words, "N(0, 1) start")
	}
	if r.Shift > 0 {
		words = append(words, fmt.Sprintf("images moved by up to %s", plural(r.Shift, "pixel")))
	}
	return strings.Join(append(words, fmt.Sprintf("%d epochs", r.Epochs)), ", ")
}

// executorsInWords introduce the rows of the README's table.
var executorsInWords = map[string]string{
	Handrolled:  "`handrolled`: [what a student writes](bench/handrolled/network.go), plain Go loops",
	"tape":      "`tape`: Gorgonia's own machine on the same graph",
	"cpu":       "**`cpu`**",
	"cuda":      "**`cuda`**",
	"cuda-bf16": "**`cuda-bf16`**",
}

// stepTable has the executors of the newest run as rows and those that are ours
// of other machines, batch sizes as columns.
func stepTable(files []File) string {
	var batches []int
	for _, r := range files[0].Results {
		if !slices.Contains(batches, r.Batch) {
			batches = append(batches, r.Batch)
		}
	}
	header := []string{""}
	for _, batch := range batches {
		header = append(header, fmt.Sprintf("batch %d", batch))
	}
	var rows [][]string
	for n, f := range files {
		for _, executor := range executorNames(f.Results) {
			words, known := executorsInWords[executor]
			if !known {
				words = "`" + executor + "`"
			}
			ours := executor == "cpu" || OnGPUs(executor)
			if n > 0 {
				if !ours {
					continue
				}
				words += " on " + f.Machine
			}
			row := []string{words}
			for _, batch := range batches {
				cell := "–"
				for _, r := range f.Results {
					if r.Executor == executor && r.Batch == batch {
						cell = milliseconds(r.Median)
						if ours {
							cell = "**" + cell + "**"
							if r.Ratio > 0 {
								cell += fmt.Sprintf(" (×%.0f)", r.Ratio)
							}
						}
					}
				}
				row = append(row, cell)
			}
			rows = append(rows, row)
		}
	}
	return table(header, rows)
}

// peerNames are how the README calls peers. Others keep the name they have.
var peerNames = map[string]string{
	"pytorch": "PyTorch", "jax": "JAX", "numpy": "numpy", "eager": "eager", "compile": "`compile`", "hand": "by hand", "bmm": "batched products",
	"wide": "one wide product", "vmap": "`vmap`", "scan": "`scan`", "own": "own batches", "shared": "shared batches",
}

func peerName(name string) string {
	if name == "cpu" || OnGPUs(name) {
		return "**vanilla**, `" + name + "`"
	}
	switch name {
	case "scikit-learn":
		return name
	case Handrolled:
		return "plain Go by hand"
	case "tape":
		return "Gorgonia's own machine"
	}
	words := strings.Split(name, "-")
	for i, w := range words {
		if better, ok := peerNames[w]; ok {
			words[i] = better
		}
	}
	if n := len(words); n > 2 {
		return strings.Join(words[:n-1], " ") + ", " + words[n-1]
	}
	return strings.Join(words, " ")
}

// peersTable has what trains as rows, fastest first, cores as columns: one
// network, then the population. In brackets is the ratio to the first
// executor's time.
func peersTable(results []Result) string {
	type row struct {
		networks int
		executor string
	}
	ours := func(r Result) bool { return r.Executor == "cpu" || OnGPUs(r.Executor) }
	var rows []row
	var cores []int
	single := map[string]int{} // the case's population, by its name
	for _, r := range results {
		single[r.Case] = max(single[r.Case], r.Networks)
	}
	caseCores := func(r Result) int { // handrolled uses one of them
		most := 1
		for _, q := range results {
			if q.Case == r.Case {
				most = max(most, q.Cores)
			}
		}
		return most
	}
	medians := map[row]map[int]float64{}
	base := map[int]map[int]float64{} // by networks and cores
	for _, r := range results {
		k := row{single[r.Case], r.Executor}
		c := caseCores(r)
		if medians[k] == nil {
			medians[k] = map[int]float64{}
			rows = append(rows, k)
		}
		if base[k.networks] == nil {
			base[k.networks] = map[int]float64{}
		}
		if !slices.Contains(cores, c) {
			cores = append(cores, c)
		}
		medians[k][c] = r.Median
		if ours(r) && base[k.networks][c] == 0 {
			base[k.networks][c] = r.Median
		}
	}
	slices.Sort(cores)
	slices.SortStableFunc(rows, func(a, b row) int {
		if a.networks != b.networks {
			return a.networks - b.networks
		}
		time := func(r row) float64 { // what has none comes last
			if m := medians[r][cores[0]]; m > 0 {
				return m
			}
			return math.Inf(1)
		}
		return cmp.Compare(time(a), time(b))
	})
	header := []string{""}
	for _, c := range cores {
		header = append(header, plural(c, "core"))
	}
	var out [][]string
	last := 0
	for _, k := range rows {
		if k.networks != last {
			last = k.networks
			title := make([]string, len(header))
			title[0] = "*" + plural(k.networks, "network") + "*"
			out = append(out, title)
		}
		cells := []string{peerName(k.executor)}
		for _, c := range cores {
			cell := "–"
			if m := medians[k][c]; m > 0 {
				cell = milliseconds(m)
				if b := base[k.networks][c]; b > 0 && b != m {
					cell += fmt.Sprintf(" (×%s)", threeDigits(m/b))
				} else {
					cell = "**" + cell + "**"
				}
			}
			cells = append(cells, cell)
		}
		out = append(out, cells)
	}
	return table(header, out)
}

// ceilingsTable is the page's.
func ceilingsTable(f File) string {
	var rows [][]string
	for _, c := range f.Ceilings {
		rows = append(rows, []string{c.Device, c.What, "**" + threeDigits(c.Median) + "**", threeDigits(c.LowerQuartile) + "–" + threeDigits(c.UpperQuartile), c.Unit})
	}
	return table([]string{"", "", "median", "quartiles", ""}, rows)
}
