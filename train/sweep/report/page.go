package report

import (
	"cmp"
	_ "embed"
	"fmt"
	"html/template"
	"image/color"
	"io"
	"math"
	"path/filepath"
	"slices"
	"strings"

	"vanilla/internal/words"
	"vanilla/viz"
)

//go:embed page.html
var pageText string

// mostRows is how many points the page's leaderboard has.
const mostRows = 500

// page is what page.html shows. All positions are per cent of a plot's width, from the left, or height, from above, so that
// plots are as wide as the window and their text is not.
type page struct {
	Title        string
	Facts        [][2]string
	Best         *Point
	Finalists    bool
	Rows         []pageRow
	Points       int
	Tradeoff     *pagePlot
	Groups       []pageKey
	Rungs        *pagePlot
	Losses       *pagePlot
	Curves       string // what the lines of the curves are
	Learners     []pageKey
	Effects      []pageEffect
	EffectMeans  string
	Marginals    []pageDimension
	Ticks        []pageTick // of the marginals
	Selects      bool
	After        string
	Heat         *pageHeat
	Parallel     *pageParallel
	Again        []Again
	AgainHeading string
	Sampling     []string // what ± is not about
	Running      bool     // the sweep has not ended: the page reloads itself
	Finished     string   // how far it is
}

// pageEffect is a row of the table of effects: where its share and its interval are, in per cent.
type pageEffect struct {
	Name, Text, P       string
	Share, Lower, Width float64
	Known, Found        bool
}

type pageRow struct {
	Rank int
	*Point
	V *Estimate
}

type pageKey struct{ Class, Name string }

type pageTick struct {
	At    float64
	Label string
}

type pagePlot struct {
	About          string // what is to be seen, for those who do not
	X, Y           string // what the axes are
	XTicks, YTicks []pageTick
	Bands          []pageLine // shades
	Lines          []pageLine
	Dots           []pageDot
}

type pageLine struct{ Class, Points string }

type pageDot struct {
	Class string
	X, Y  float64
	Tip   string
	Point int // index in the plan, -1 for none
	// Focus says that the keyboard reaches it.
	Focus bool
}

type pageDimension struct {
	Name, Effect string
	Found        bool
	Levels       []pageLevel
}

type pageLevel struct {
	Level
	Lower, Width, Middle, Upper, BestAt, Reach float64
	Tip                                        string
}

type pageHeat struct {
	*viz.Heat
	Lines []pageHeatRow
}

type pageHeatRow struct {
	Name  string
	Cells []pageCell
}

type pageCell struct {
	Cell             *viz.Cell
	Background, Text string
	Marked           bool
	Tip              string
}

// WriteHTML writes the report as one page that needs nothing else. rows and columns are the dimensions of its heat map, see
// Heat; it has none if they are empty.
func (r *Report) WriteHTML(w io.Writer, rows, columns string) error {
	t, err := template.New("page").Funcs(template.FuncMap{
		"thousands": words.Thousands,
		"percent":   func(f float64) string { return fmt.Sprintf("%.2f", 100*f) },
		"at":        func(f float64) string { return fmt.Sprintf("%.2f", f) },
	}).Parse(pageText)
	if err != nil {
		return err
	}
	p := &page{Title: filepath.Base(r.Path), Facts: r.Facts(), Points: len(r.Points), Selects: len(r.Spec.Halving) > 1, After: r.FirstEpochs(),
		EffectMeans: effectMeans + r.effectsOf(), Running: !r.Ended()}
	p.Finished = fmt.Sprintf("%s of %s", words.Thousands(r.Done+r.Diverged), words.Plural(r.Planned, "network"))
	for _, s := range []string{r.testSampling(), r.heldOutSampling()} {
		if s != "" {
			p.Sampling = append(p.Sampling, capital(s)+".")
		}
	}
	finalists := r.Finalists()
	p.Finalists = len(finalists) > 0
	if len(r.Points) > 0 && r.Points[0].Validation() != nil {
		p.Best = &r.Points[0]
	}
	for i := range r.Points[:min(mostRows, len(r.Points))] {
		point := &r.Points[i]
		p.Rows = append(p.Rows, pageRow{i + 1, point, point.Validation()})
	}
	p.Again, p.AgainHeading = r.Again(), r.againHeading()
	p.tradeoff(r)
	p.rungs(r)
	p.marginals(r)
	p.effects(r)
	p.parallel(r)
	if rows != "" && columns != "" {
		h, err := r.Heat(rows, columns)
		if err != nil {
			return err
		}
		p.heat(h)
	}
	return t.Execute(w, p)
}

// capital is a text as a sentence begins.
func capital(text string) string { return strings.ToUpper(text[:1]) + text[1:] }

// tip is what a point's dot says: what it had reached after some epochs.
func (p *Point) tip(e *Estimate, epochs int) string {
	text := p.Name() + "\n" + e.long() + " validation after " + words.Plural(epochs, "epoch") + ", " + words.Thousands(p.Parameters) + " parameters"
	if p.Test != nil && epochs == p.Epochs {
		text += "\nas a finalist " + p.Final.long() + " validation, " + p.Test.long() + " test"
	}
	return text
}

// long is an estimate with all that belongs to it.
func (e *Estimate) long() string {
	if e == nil {
		return "-"
	}
	return fmt.Sprintf("%s %% (%s)", e, words.Plural(e.N, "seed"))
}

func (p *page) tradeoff(r *Report) {
	f := r.Tradeoff()
	if len(f.Points) == 0 {
		return
	}
	var accuracies []float64
	few, many := math.Inf(1), 1.
	for _, v := range f.Points {
		accuracies = append(accuracies, v.Accuracy)
		few, many = math.Min(few, float64(v.Parameters)), math.Max(many, float64(v.Parameters))
	}
	room := math.Max(1.05, math.Pow(many/few, 0.03))
	x := logAxis(few/room, many*room)
	y := viz.NewAccuracyAxis(accuracies)
	plot := &pagePlot{X: "parameters", Y: f.Accuracy + ", %", YTicks: accuracyTicks(y)}
	for _, t := range viz.LogTicks(few/room, many*room) {
		plot.XTicks = append(plot.XTicks, pageTick{x(t.Value), words.Thousands(int(math.Round(t.Value)))})
	}
	group := map[int]int{}
	for i, front := range r.Fronts {
		group[front.Epochs] = len(r.Fronts) - 1 - i
	}
	shown, _ := r.dots()
	slices.SortStableFunc(shown, func(a, b dot) int { return cmp.Compare(a.epochs, b.epochs) })
	for _, v := range shown {
		class := "group" + fmt.Sprint(shade(group[v.epochs], len(f.Groups)))
		if v.front {
			class += " front"
		}
		plot.Dots = append(plot.Dots, pageDot{class, x(float64(v.Parameters)), above(y, v.Accuracy.Mean), v.tip(v.Accuracy, v.epochs), v.Index, v.front && v.epochs == r.Fronts[0].Epochs})
	}
	for i := len(r.Fronts) - 1; i >= 0; i-- {
		var steps []string
		last := 0.
		for k, v := range r.Fronts[i].Points {
			at := above(y, v.Accuracy.Mean)
			if k > 0 {
				steps = append(steps, fmt.Sprintf("%.2f,%.2f", x(float64(v.Parameters)), last))
			}
			steps = append(steps, fmt.Sprintf("%.2f,%.2f", x(float64(v.Parameters)), at))
			last = at
		}
		class := "frontline"
		if i > 0 {
			class += " earlier"
		}
		plot.Lines = append(plot.Lines, pageLine{class, strings.Join(steps, " ")})
	}
	front := r.Fronts[0].Points
	plot.About = fmt.Sprintf("%s of %s against their parameters. After %s, the Pareto front goes from %s %% with %s parameters to %s %% with %s", capital(f.Accuracy), words.Plural(len(r.Points), "point"),
		words.Plural(r.Fronts[0].Epochs, "epoch"), front[0].Accuracy, words.Thousands(front[0].Parameters), front[len(front)-1].Accuracy, words.Thousands(front[len(front)-1].Parameters))
	p.Tradeoff = plot
	for g, name := range f.Groups {
		p.Groups = append(p.Groups, pageKey{"group" + fmt.Sprint(shade(g, len(f.Groups))), name})
	}
}

// shades is how many colours of an order the page has.
const shades = 5

// shade is group i of n as one of the page's shades, of which the last is the strongest.
func shade(i, n int) int {
	if n <= 1 {
		return shades - 1
	}
	return max(0, i) * (shades - 1) / (n - 1)
}

// logAxis places values from left to right, in per cent.
func logAxis(low, high float64) func(float64) float64 {
	if low == high {
		low, high = low*0.8, high*1.25
	}
	return func(v float64) float64 { return 100 * math.Log(v/low) / math.Log(high/low) }
}

// above is where an accuracy is from above, in per cent.
func above(y viz.AccuracyAxis, accuracy float64) float64 { return 100 * (1 - y.Position(accuracy)) }

func accuracyTicks(y viz.AccuracyAxis) []pageTick {
	var ticks []pageTick
	for _, t := range y.Ticks() {
		ticks = append(ticks, pageTick{above(y, t.Value), t.Label})
	}
	return ticks
}

func (p *page) rungs(r *Report) {
	f := r.Rungs()
	first, last := math.Inf(1), 1.
	for _, l := range append(slices.Clone(f.Finalists), f.Others...) {
		for _, s := range l.Steps {
			first, last = math.Min(first, float64(s.Epochs)), math.Max(last, float64(s.Epochs))
		}
	}
	accuracies := f.Range()
	if len(accuracies) == 0 {
		return
	}
	ticks := r.Spec.Rungs()
	y := viz.NewAccuracyAxis(accuracies)
	x := logAxis(first, last)
	plot := &pagePlot{X: "epochs", Y: f.Accuracy + ", %", YTicks: accuracyTicks(y)}
	for _, e := range ticks {
		if at := x(float64(e)); at > -1 && at < 101 {
			plot.XTicks = append(plot.XTicks, pageTick{at, words.Thousands(e)})
		}
	}
	course := func(l viz.Learner) string {
		var points []string
		for _, s := range l.Steps {
			points = append(points, fmt.Sprintf("%.2f,%.2f", x(float64(s.Epochs)), above(y, s.Accuracy)))
		}
		return strings.Join(points, " ")
	}
	for _, l := range f.Others {
		plot.Lines = append(plot.Lines, pageLine{"other", course(l)})
	}
	lossLow, lossHigh := math.Inf(1), math.Inf(-1)
	longest := 1
	var ends []string
	for i := len(f.Finalists) - 1; i >= 0; i-- {
		l := f.Finalists[i]
		class := fmt.Sprintf("series%d", i)
		var upper, lower []string
		for _, s := range l.Steps {
			if s.SD != nil {
				at := x(float64(s.Epochs))
				upper = append(upper, fmt.Sprintf("%.2f,%.2f", at, above(y, math.Min(1, s.Accuracy+*s.SD))))
				lower = append(lower, fmt.Sprintf("%.2f,%.2f", at, above(y, math.Max(0, s.Accuracy-*s.SD))))
			}
		}
		plot.Bands = appendBand(plot.Bands, class, upper, lower)
		end := l.Steps[len(l.Steps)-1]
		ends = append(ends, fmt.Sprintf("%s ends at %s %%", l.Name, &Estimate{Mean: end.Accuracy, SD: end.SD, N: end.N}))
		plot.Lines = append(plot.Lines, pageLine{class, course(l)})
		for _, s := range l.Steps {
			e := Estimate{Mean: s.Accuracy, SD: s.SD, N: s.N}
			plot.Dots = append(plot.Dots, pageDot{class, x(float64(s.Epochs)), above(y, s.Accuracy),
				fmt.Sprintf("%s\n%s after %s", l.Name, e.long(), words.Plural(s.Epochs, "epoch")), -1, false})
		}
		for e, loss := range l.Losses {
			if loss > 0 {
				factor := 1.
				if e < len(l.LossSD) {
					factor = l.LossSD[e]
				}
				lossLow, lossHigh = math.Min(lossLow, loss/factor), math.Max(lossHigh, loss*factor)
				longest = max(longest, e+1)
			}
		}
	}
	slices.Reverse(ends)
	plot.About = capital(f.Accuracy) + " by epochs: " + strings.Join(ends, "; ")
	if f.Selects() {
		p.Rungs = plot
	}
	p.Curves = f.Lines
	for i, l := range f.Finalists {
		p.Learners = append(p.Learners, pageKey{fmt.Sprintf("series%d", i), l.Name})
	}
	if math.IsInf(lossLow, 0) {
		return
	}
	p.Losses = &pagePlot{X: "epochs", Y: "training loss"}
	ends = nil
	for _, l := range f.Finalists {
		if n := len(l.Losses); n > 0 {
			ends = append(ends, fmt.Sprintf("%s from %.3g to %.3g", l.Name, l.Losses[0], l.Losses[n-1]))
		}
	}
	p.Losses.About = "Training loss by epochs: " + strings.Join(ends, "; ")
	x = logAxis(1, float64(longest))
	up := logAxis(lossLow/1.1, lossHigh*1.1)
	for _, e := range append([]int{1}, ticks...) {
		if at := x(float64(e)); at > -1 && at < 101 && (e != 1 || len(p.Losses.XTicks) == 0) {
			p.Losses.XTicks = append(p.Losses.XTicks, pageTick{at, words.Thousands(e)})
		}
	}
	for _, t := range viz.LogTicks(lossLow/1.1, lossHigh*1.1) {
		p.Losses.YTicks = append(p.Losses.YTicks, pageTick{100 - up(t.Value), t.Label})
	}
	for i := len(f.Finalists) - 1; i >= 0; i-- {
		var points, upper, lower []string
		l := f.Finalists[i]
		for e, loss := range l.Losses {
			if loss <= 0 {
				continue
			}
			at := x(float64(e + 1))
			points = append(points, fmt.Sprintf("%.2f,%.2f", at, 100-up(loss)))
			if e < len(l.LossSD) {
				upper = append(upper, fmt.Sprintf("%.2f,%.2f", at, 100-up(loss*l.LossSD[e])))
				lower = append(lower, fmt.Sprintf("%.2f,%.2f", at, 100-up(loss/l.LossSD[e])))
			}
		}
		p.Losses.Bands = appendBand(p.Losses.Bands, fmt.Sprintf("series%d", i), upper, lower)
		p.Losses.Lines = append(p.Losses.Lines, pageLine{fmt.Sprintf("series%d", i), strings.Join(points, " ")})
	}
}

// appendBand adds what is between two lines, if they have two points or more.
func appendBand(bands []pageLine, class string, upper, lower []string) []pageLine {
	if len(upper) < 2 {
		return bands
	}
	slices.Reverse(lower)
	return append(bands, pageLine{class, strings.Join(append(upper, lower...), " ")})
}

// effects are the table of effects, with bars.
func (p *page) effects(r *Report) {
	add := func(name string, e *Effect) {
		v := pageEffect{Name: name, Known: e != nil, Found: e.Found()}
		switch {
		case e == nil:
			v.Text = "too few points"
		default:
			v.Text, v.P = e.String(), strings.TrimPrefix(words.Probability(e.P), "= ")
			v.Share, v.Lower, v.Width = 100*e.Share, 100*e.Lower, 100*(e.Upper-e.Lower)
		}
		p.Effects = append(p.Effects, v)
	}
	for i := range r.Dimensions {
		if d := &r.Dimensions[i]; !d.Follows {
			add(d.Name, d.Effect)
		}
	}
	for i := range r.Interactions {
		add(r.Interactions[i].A+" × "+r.Interactions[i].B, &r.Interactions[i].Effect)
	}
}

func (p *page) marginals(r *Report) {
	var all []float64
	for _, d := range r.Dimensions {
		for _, l := range d.Levels {
			if l.N > 0 {
				all = append(all, l.LowerQuartile, l.Best)
			}
		}
	}
	axis := viz.NewAccuracyAxis(all)
	position := func(a float64) float64 { return 100 * axis.Position(a) }
	free := math.Inf(-1)
	for _, t := range axis.Ticks() {
		at, label := position(t.Value), t.Label
		if at < free { // on a phone it would touch the one before
			label = ""
		} else {
			free = at + 11
		}
		p.Ticks = append(p.Ticks, pageTick{at, label})
	}
	for _, d := range r.Dimensions {
		v := pageDimension{Name: d.Name, Effect: d.effectText(), Found: d.Effect.Found()}
		for _, l := range d.Levels {
			level := pageLevel{Level: l, Lower: position(l.LowerQuartile), Middle: position(l.Median), Upper: position(l.UpperQuartile), BestAt: position(l.Best)}
			level.Width, level.Reach = level.Upper-level.Lower, level.BestAt-level.Upper
			level.Tip = fmt.Sprintf("%s %s\nmedian %.2f %%, quartiles %.2f and %.2f %%, best %.2f %%", d.Name, l.Value, 100*l.Median, 100*l.LowerQuartile, 100*l.UpperQuartile, 100*l.Best)
			v.Levels = append(v.Levels, level)
		}
		p.Marginals = append(p.Marginals, v)
	}
}

func (p *page) heat(h *viz.Heat) {
	if len(h.Cells) == 0 {
		return
	}
	hex := func(c color.RGBA) string { return fmt.Sprintf("#%02x%02x%02x", c.R, c.G, c.B) }
	p.Heat = &pageHeat{Heat: h}
	columns := len(h.ColumnOf)
	for row := len(h.RowOf) - 1; row >= 0; row-- { // the first row is at the bottom
		line := pageHeatRow{Name: h.RowOf[row]}
		for i, c := range h.Cells[row*columns : (row+1)*columns] {
			cell := pageCell{Cell: c, Marked: row*columns+i == h.Marked}
			if c != nil {
				background, text := h.Color(c)
				cell.Background, cell.Text = hex(background), hex(text)
				e := Estimate{Mean: c.Mean, SD: c.SD, N: c.N}
				cell.Tip = fmt.Sprintf("%s %s, %s %s\n%s %% (%s)", h.Rows, h.RowOf[row], h.Columns, h.ColumnOf[i], &e, words.Plural(c.N, "network"))
			}
			line.Cells = append(line.Cells, cell)
		}
		p.Heat.Lines = append(p.Heat.Lines, line)
	}
}
