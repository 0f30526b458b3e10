package report

import (
	"fmt"
	"math"
	"slices"

	"vanilla/internal/sample"
	"vanilla/internal/words"
	"vanilla/train"
	"vanilla/viz"
)

const validation = "validation accuracy"

// mostDots is how many points a figure shows: the best ones, the front, and of the others an even choice.
const mostDots = 4000

// Tradeoff is accuracy against parameters: a dot for each point and number of epochs after which it was compared, of the
// search's seeds.
func (r *Report) Tradeoff() *viz.Tradeoff {
	t := &viz.Tradeoff{Accuracy: validation, Sampling: r.heldOutSampling()}
	group := map[int]int{}
	for i := len(r.Fronts) - 1; i >= 0; i-- {
		group[r.Fronts[i].Epochs] = len(t.Groups)
		t.Groups = append(t.Groups, words.Plural(r.Fronts[i].Epochs, "epoch"))
	}
	shown, all := r.dots()
	for _, d := range shown {
		t.Points = append(t.Points, viz.Tried{Name: d.Recipe.Arch, Parameters: d.Parameters, Accuracy: d.Accuracy.Mean, SD: d.Accuracy.SD, N: d.Accuracy.N,
			Front: d.front, Group: group[d.epochs]})
	}
	// Fronts ascend, and what was trained longer is drawn over what was not.
	slices.SortStableFunc(t.Points, func(a, b viz.Tried) int { return a.Parameters - b.Parameters })
	t.About = words.Plural(len(r.Points), "point") + ", " + words.Plural(r.Spec.Seeds, "seed") + " each"
	if len(t.Groups) > 1 {
		t.About += ", compared after " + and(r.Spec.Rungs()) + " epochs"
	}
	if len(shown) < all {
		t.About += fmt.Sprintf("; %s of %s dots", words.Thousands(len(shown)), words.Thousands(all))
	}
	return t
}

// dot is a point after some epochs.
type dot struct {
	Reached
	epochs int
	front  bool
}

// dots are those to draw: all of the fronts, and of the others an even choice if there are many. all is how many there are.
func (r *Report) dots() (shown []dot, all int) {
	type at struct {
		index, epochs int
	}
	on := map[at]bool{}
	for _, f := range r.Fronts {
		for _, p := range f.Points {
			on[at{p.Index, f.Epochs}] = true
		}
	}
	var others []dot
	for i := range r.Points {
		p := &r.Points[i]
		for rung, e := range p.rungs {
			if e == nil {
				continue
			}
			all++
			d := dot{Reached{p, e}, p.epochs[rung], on[at{p.Index, p.epochs[rung]}]}
			if d.front {
				shown = append(shown, d)
			} else {
				others = append(others, d)
			}
		}
	}
	return append(shown, thin(others, max(2, mostDots-len(shown)))...), all
}

// Marginals is what each dimension does.
func (r *Report) Marginals() *viz.Marginals {
	m := &viz.Marginals{Accuracy: validation + " after " + r.FirstEpochs(), Explained: effectMeans + r.effectsOf(),
		About: fmt.Sprintf("%s, %s, most important dimension first", words.Plural(len(r.Points), "point"), words.Plural(r.Spec.Seeds, "seed")+" each")}
	for _, d := range r.Dimensions {
		v := viz.Dimension{Name: d.Name, Effect: d.effectText(), Found: d.Effect.Found()}
		for _, l := range d.Levels {
			v.Levels = append(v.Levels, viz.Level{Value: l.Value, N: l.N, Diverged: l.Diverged, Last: l.Last,
				LowerQuartile: l.LowerQuartile, Median: l.Median, UpperQuartile: l.UpperQuartile, Best: l.Best})
		}
		m.Dimensions = append(m.Dimensions, v)
	}
	return m
}

// mostCells and heatRanges bound the cells of a heat map in each direction.
const (
	mostCells  = 12
	heatRanges = 8
)

// HeatNames lists the dimensions that a heat map can have.
func (r *Report) HeatNames() []string {
	var names []string
	for _, d := range r.Dimensions {
		names = append(names, d.Name)
	}
	slices.Sort(names)
	return names
}

// HeatDefault is the pair that a heat map has if no other is asked for: the two dimensions of the largest effects, or while
// none is known, the units of the first two hidden layers. ok is false if points do not differ in two.
func (r *Report) HeatDefault() (rows, columns string, ok bool) {
	var own []Dimension
	known := false
	for _, d := range r.Dimensions {
		if !d.Follows {
			own = append(own, d)
			known = known || d.Effect != nil
		}
	}
	switch {
	case len(own) < 2:
		return "", "", false
	case !known && contains(own, "h1") && contains(own, "h2"):
		return "h1", "h2", true
	}
	rows, columns = own[0].Name, own[1].Name
	if rows == "h2" && columns == "h1" { // as they stand in the network
		rows, columns = columns, rows
	}
	return rows, columns, true
}

// Heat is accuracy over two dimensions after the first rung, which all points reach. It fails if points do not differ in
// one of them.
func (r *Report) Heat(rows, columns string) (*viz.Heat, error) {
	var found [2]*axis
	axes := r.axes(r.Points)
	for k, name := range []string{rows, columns} {
		if !contains(r.Dimensions, name) {
			return nil, fmt.Errorf("%s", unknownDimension(name, r.HeatNames()))
		}
		for i := range axes {
			if axes[i].name == name {
				found[k] = &axes[i]
			}
		}
	}
	if rows == columns {
		return nil, fmt.Errorf("found %s twice: want two dimensions", rows)
	}
	// Networks without such a layer have no cell.
	var points []*Point
	var values [2][]levelValue
	for i := range r.Points {
		p := &r.Points[i]
		if p.rungs[0] == nil || found[0].of(p) == absent || found[1].of(p) == absent {
			continue
		}
		points = append(points, p)
		for k := range values {
			values[k] = append(values[k], found[k].of(p))
		}
	}
	h := &viz.Heat{Accuracy: validation, Rows: inWords(rows), Columns: inWords(columns), Marked: -1,
		About: fmt.Sprintf("%s, %s each, after %s", words.Plural(len(points), "point"), words.Plural(r.Spec.Seeds, "seed"), r.FirstEpochs())}
	h.Sampling, h.Interaction = r.heldOutSampling(), r.interactionText(rows, columns)
	if len(points) == 0 {
		return h, nil
	}
	var index [2][]int
	var levels [2][]Level
	for k := range values {
		levels[k], index[k] = cut(values[k], found[k].numeric, mostCells, heatRanges)
	}
	for _, l := range levels[0] {
		h.RowOf = append(h.RowOf, l.Value)
	}
	for _, l := range levels[1] {
		h.ColumnOf = append(h.ColumnOf, l.Value)
	}
	reached := make([][]float64, len(h.RowOf)*len(h.ColumnOf))
	marked := -1
	for i, p := range points {
		cell := index[0][i]*len(h.ColumnOf) + index[1][i]
		reached[cell] = append(reached[cell], p.first...)
		if p.Recipe.Arch == train.Default().Arch {
			marked = cell
		}
	}
	for _, accuracies := range reached {
		var c *viz.Cell
		if e := estimate(accuracies); e != nil {
			c = &viz.Cell{Mean: e.Mean, SD: e.SD, N: e.N}
		}
		h.Cells = append(h.Cells, c)
	}
	if (rows == "h1" && columns == "h2" || rows == "h2" && columns == "h1") && marked >= 0 {
		h.Marked, h.Mark = marked, train.Default().Arch+", the lesson's network"
	}
	return h, nil
}

// inWords is a dimension's name as figures write it.
func inWords(name string) string {
	var layer int
	if n, _ := fmt.Sscanf(name, "h%d", &layer); n == 1 {
		return fmt.Sprintf("units of hidden layer %d", layer)
	}
	return name
}

func unknownDimension(name string, names []string) string {
	if len(names) == 0 {
		return fmt.Sprintf("points do not differ in %s, nor in anything else", name)
	}
	return words.Unknown("dimension", name, names)
}

// shownFinalists and shownOthers are how many courses a figure of rungs has.
const (
	shownFinalists = 6
	shownOthers    = 400
)

// Rungs is how the finalists learned, and where the others were stopped.
func (r *Report) Rungs() *viz.Rungs {
	f := &viz.Rungs{Accuracy: validation, Sampling: r.heldOutSampling()}
	finalists := r.Finalists()
	f.Lines = "Lines are means over each finalist's new seeds, the same at every rung"
	f.About = fmt.Sprintf("%s with %s each", words.Plural(len(finalists), "finalist"), words.Plural(r.Spec.FinalSeeds, "new seed"))
	if len(finalists) == 0 { // of a sweep that has none, or not yet
		for i := range r.Points {
			if r.Points[i].Validation() != nil && len(finalists) < shownFinalists {
				finalists = append(finalists, &r.Points[i])
			}
		}
		f.About = fmt.Sprintf("the best %d", len(finalists))
		f.Lines = "Lines are means over the search's seeds"
	}
	finalists = finalists[:min(len(finalists), shownFinalists)]
	best := map[*Point]bool{}
	for _, p := range finalists {
		best[p] = true
		f.Finalists = append(f.Finalists, r.learner(p, true))
	}
	var others []*Point
	for i := range r.Points {
		if p := &r.Points[i]; !best[p] && p.Search != nil {
			others = append(others, p)
		}
	}
	f.About += fmt.Sprintf(", of %s with %s each", words.Plural(len(r.Points), "point"), words.Plural(r.Spec.Seeds, "seed"))
	for _, p := range thin(others, shownOthers) {
		f.Others = append(f.Others, r.learner(p, false))
	}
	return f
}

// learner is a point's course: of its new seeds if it was a finalist, otherwise of those of the search.
func (r *Report) learner(p *Point, losses bool) viz.Learner {
	l := viz.Learner{Name: p.Name()}
	course := p.rungs
	if p.finals != nil {
		course = p.finals
	}
	for i, e := range course {
		if e != nil {
			l.Steps = append(l.Steps, viz.Milestone{Epochs: p.epochs[i], Accuracy: e.Mean, SD: e.SD, N: e.N})
		}
	}
	if losses {
		l.Losses, l.LossSD = geometricMeans(p.losses)
	}
	return l
}

// geometricMeans are those of the values at each place, as far as all series go, and the factors by which one standard
// deviation of the logarithms moves them, if there are several series. Losses span orders of magnitude.
func geometricMeans(series [][]float64) (means, factors []float64) {
	if len(series) == 0 {
		return nil, nil
	}
	n := math.MaxInt
	for _, s := range series {
		n = min(n, len(s))
	}
	means = make([]float64, n)
	at := make([]float64, len(series))
	for i := range means {
		for k, s := range series {
			at[k] = math.Log(s[i])
		}
		mean, sd := sample.MeanSD(at)
		means[i] = math.Exp(mean)
		if len(series) > 1 {
			factors = append(factors, math.Exp(sd))
		}
	}
	return means, factors
}
