package report

import (
	"fmt"
	"math"
	"slices"

	"gonum.org/v1/gonum/stat"

	"vanilla/internal/words"
	"vanilla/train"
	"vanilla/viz"
)

const validation = "validation accuracy"

// mostDots is how many points a figure shows: the best ones, the front, and of the others an even choice.
const mostDots = 4000

// Tradeoff is accuracy against parameters.
func (r *Report) Tradeoff() *viz.Tradeoff {
	t := &viz.Tradeoff{Accuracy: validation}
	rungs := r.Spec.Rungs()
	byEpochs := len(r.Spec.Halving) > 1
	if byEpochs {
		for _, epochs := range rungs {
			t.Groups = append(t.Groups, words.Plural(epochs, "epoch"))
		}
	} else {
		t.Groups = []string{"points"}
	}
	shown, all := r.dots()
	for _, p := range shown {
		v := p.Validation()
		tried := viz.Tried{Name: p.Recipe.Arch, Parameters: p.Parameters, Accuracy: v.Mean, SD: v.SD, N: v.N, Front: p.Front}
		if byEpochs {
			tried.Group = p.Rung
		}
		t.Points = append(t.Points, tried)
	}
	// The front ascends, and what was trained longer is drawn over what was not.
	slices.SortStableFunc(t.Points, func(a, b viz.Tried) int { return a.Parameters - b.Parameters })
	t.About = words.Plural(all, "point")
	if len(t.Points) < all {
		t.About = fmt.Sprintf("%s of %s", words.Thousands(len(t.Points)), t.About)
	}
	t.About += ", " + r.seedsInWords()
	if byEpochs {
		t.About += fmt.Sprintf("; each as far as it was trained: up to %s epochs", words.Thousands(rungs[len(rungs)-1]))
	}
	return t
}

func (r *Report) seedsInWords() string {
	text := words.Plural(r.Spec.Seeds, "seed") + " each"
	if n := len(r.Finalists()); n > 0 {
		text += fmt.Sprintf("; %s trained again with %d", words.Plural(n, "finalist"), r.Spec.FinalSeeds)
	}
	return text
}

// dots are the points to draw, best first, and how many there are.
func (r *Report) dots() (shown []*Point, all int) {
	var others []*Point
	for i := range r.Points {
		p := &r.Points[i]
		if p.Validation() == nil {
			continue
		}
		all++
		if p.Front || p.Final != nil {
			shown = append(shown, p)
		} else {
			others = append(others, p)
		}
	}
	return append(shown, thin(others, max(2, mostDots-len(shown)))...), all
}

// Marginals is what each dimension does.
func (r *Report) Marginals() *viz.Marginals {
	m := &viz.Marginals{Accuracy: validation + " after " + r.FirstEpochs(),
		About: fmt.Sprintf("%s, %s, most important dimension first", words.Plural(len(r.Points), "point"), words.Plural(r.Spec.Seeds, "seed")+" each")}
	for _, d := range r.Dimensions {
		v := viz.Dimension{Name: d.Name, Effect: d.Effect}
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

// HeatDefault is the pair that a heat map has if no other is asked for: the units of the first two hidden layers if points
// differ in both, otherwise the two most important dimensions. ok is false if there are none.
func (r *Report) HeatDefault() (rows, columns string, ok bool) {
	if contains(r.Dimensions, "h1") && contains(r.Dimensions, "h2") {
		return "h1", "h2", true
	}
	if len(r.Dimensions) < 2 {
		return "", "", false
	}
	var names []string
	for _, d := range r.Dimensions {
		if d.Name != "parameters" || len(r.Dimensions) == 2 { // which follow from the others
			names = append(names, d.Name)
		}
	}
	return names[0], names[1], true
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
	f := &viz.Rungs{Accuracy: validation}
	finalists := r.Finalists()
	f.About = fmt.Sprintf("%s with %s each", words.Plural(len(finalists), "finalist"), words.Plural(r.Spec.FinalSeeds, "new seed"))
	if len(finalists) == 0 { // of a sweep that has none, or not yet
		for i := range r.Points {
			if r.Points[i].Validation() != nil && len(finalists) < shownFinalists {
				finalists = append(finalists, &r.Points[i])
			}
		}
		f.About = fmt.Sprintf("the best %d", len(finalists))
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

// learner is a point's course: the search's up to the last rung and there, if there are any, its new seeds'.
func (r *Report) learner(p *Point, losses bool) viz.Learner {
	l := viz.Learner{Name: p.Name()}
	rungs := r.Plan.Rungs(p.Index)
	for i, e := range p.rungs {
		if i == len(p.rungs)-1 && p.Final != nil {
			e = p.Final
		}
		if e != nil {
			l.Steps = append(l.Steps, viz.Milestone{Epochs: rungs[i], Accuracy: e.Mean, SD: e.SD, N: e.N})
		}
	}
	if losses {
		l.Losses = geometricMeans(p.losses)
	}
	return l
}

// geometricMeans are those of the values at each place, as far as all series go. Losses span orders of magnitude.
func geometricMeans(series [][]float64) []float64 {
	if len(series) == 0 {
		return nil
	}
	n := math.MaxInt
	for _, s := range series {
		n = min(n, len(s))
	}
	means := make([]float64, n)
	at := make([]float64, len(series))
	for i := range means {
		for k, s := range series {
			at[k] = s[i]
		}
		means[i] = stat.GeometricMean(at, nil)
	}
	return means
}
