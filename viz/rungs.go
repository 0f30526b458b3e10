package viz

import (
	"fmt"
	"image/color"
	"math"
	"slices"

	"gonum.org/v1/plot"
	"gonum.org/v1/plot/plotter"
	"gonum.org/v1/plot/vg"
	"gonum.org/v1/plot/vg/draw"

	"vanilla/internal/words"
)

// Rungs is how the points of a space learned, and which of them were stopped on the way.
type Rungs struct {
	About    string `json:"about"`
	Accuracy string `json:"accuracy"` // which one: "validation accuracy"
	Lines    string `json:"lines"`    // what they are means over
	Sampling string `json:"sampling"` // what else is uncertain than the seeds
	// Finalists are the best of those that were trained to the end, best first.
	Finalists []Learner `json:"finalists"`
	// Others are drawn behind them.
	Others []Learner `json:"others"`
}

// Learner is the course of one point.
type Learner struct {
	Name  string      `json:"name"`
	Steps []Milestone `json:"steps"`
	// Losses are the mean losses of the batches of each epoch, as they were trained, from the first epoch on: geometric
	// means over seeds. LossSD are the factors by which one standard deviation over seeds moves them, none for one seed.
	Losses []float64 `json:"losses"`
	LossSD []float64 `json:"loss_sd"`
}

// Milestone is what a point had reached after some epochs: means over its seeds.
type Milestone struct {
	Epochs   int      `json:"epochs"`
	Accuracy float64  `json:"accuracy"`
	SD       *float64 `json:"sd"` // over seeds (n-1), nil for one seed
	N        int      `json:"n"`
}

const rungsHeight = 270.

// Selects says whether points were compared on the way: otherwise their losses alone are a course.
func (r *Rungs) Selects() bool {
	for _, l := range append(slices.Clone(r.Finalists), r.Others...) {
		if len(l.Steps) > 1 {
			return true
		}
	}
	return false
}

func (r *Rungs) page() page {
	p := page{title: "Learning curves", subtitle: r.About, width: bodyWidth, height: rungsHeight, body: r.draw}
	lines := r.Lines + ", of losses geometric ones"
	for _, l := range r.Finalists {
		if len(l.LossSD) > 0 {
			lines = fmt.Sprintf("%s (n = %d), of losses geometric ones; shades are ± one standard deviation over the seeds (n−1)", r.Lines, l.Steps[len(l.Steps)-1].N)
			break
		}
	}
	p.caption = fmt.Sprintf("Left: %s, on an axis that is logarithmic in the error; grey, what the search's seeds of the other points reached before these were stopped or scored lower. "+
		"Right: the loss of the batches as they were trained. %s.%s", r.Accuracy, lines, sentence(r.Sampling))
	if !r.Selects() {
		p.caption = "The loss of the batches as they were trained. " + lines + "."
	}
	return p
}

// Range are accuracies that an axis must hold: those of the finalists, with their deviations, and of the others all but the
// lowest tenth, which would take the room of what is to be seen.
func (r *Rungs) Range() []float64 {
	var shown, others []float64
	for _, l := range r.Finalists {
		for _, s := range l.Steps {
			shown = append(shown, s.Accuracy)
			if s.SD != nil {
				shown = append(shown, math.Max(0, s.Accuracy-*s.SD), math.Min(mostAccurate, s.Accuracy+*s.SD))
			}
		}
	}
	for _, l := range r.Others {
		for _, s := range l.Steps {
			others = append(others, s.Accuracy)
		}
	}
	slices.Sort(others)
	return append(shown, others[len(others)/10:]...)
}

func (r *Rungs) draw(c *canvas, _ int) {
	var epochs []int
	for _, l := range append(slices.Clone(r.Finalists), r.Others...) {
		for _, s := range l.Steps {
			epochs = append(epochs, s.Epochs)
		}
	}
	shown := min(len(r.Finalists), len(c.series))
	small := style{size: 8}
	perRow := 3
	for _, l := range r.Finalists[:shown] {
		if small.width(l.Name) > bodyWidth/3-24 {
			perRow = 2
		}
	}
	column := bodyWidth / float64(perRow)
	for i, l := range r.Finalists[:shown] {
		x, y := float64(i%perRow)*column, float64(i/perRow)*12
		c.lines(c.series[i], 2, x, y-2.8, x+12, y-2.8)
		c.text(x+16, y, small.cut(l.Name, column-24), small)
	}
	top := float64((shown+perRow-1)/perRow) * 12
	if !r.Selects() {
		c.plot(r.losses(c, shown, epochs), 0, top, bodyWidth, rungsHeight-top)
		return
	}
	c.plot(r.accuracies(c, shown, epochs), 0, top, 340, rungsHeight-top)
	c.plot(r.losses(c, shown, epochs), 350, top, bodyWidth-350, rungsHeight-top)
}

func (r *Rungs) accuracies(c *canvas, shown int, epochs []int) *plot.Plot {
	p := c.newPlot("", "epochs", r.Accuracy+", %")
	p.Add(c.rules())
	p.Y.Scale, p.Y.Tick.Marker = accuracyScale{}, accuracyTicks{}
	faint := blend(c.muted, c.background, math.Max(0.12, math.Min(0.5, 20/float64(len(r.Others)+1))))
	for _, l := range r.Others {
		c.course(p, l, faint, 0.5)
	}
	for i, l := range r.Finalists[:shown] {
		col := c.series[i]
		var upper, lower plotter.XYs
		for _, s := range l.Steps {
			if s.SD != nil {
				upper = append(upper, plotter.XY{X: float64(s.Epochs), Y: math.Min(mostAccurate, s.Accuracy+*s.SD)})
				lower = append(lower, plotter.XY{X: float64(s.Epochs), Y: s.Accuracy - *s.SD})
			}
		}
		band(p, upper, lower, col)
	}
	for i := shown - 1; i >= 0; i-- {
		c.course(p, r.Finalists[i], c.series[i], 1.6)
	}
	epochAxis(p, epochs)
	p.Y.Min, p.Y.Max = accuracyRange(r.Range())
	return p
}

// band shades what is between two lines, if they have two points or more.
func band(p *plot.Plot, upper, lower plotter.XYs, col color.RGBA) {
	if len(upper) < 2 {
		return
	}
	around := slices.Clone(upper)
	for k := len(lower) - 1; k >= 0; k-- {
		around = append(around, lower[k])
	}
	shade, _ := plotter.NewPolygon(around)
	shade.Color, shade.LineStyle.Width = color.NRGBA{col.R, col.G, col.B, 40}, 0
	p.Add(shade)
}

// course adds a point's accuracies.
func (c *canvas) course(p *plot.Plot, l Learner, col color.Color, width float64) {
	var points plotter.XYs
	for _, s := range l.Steps {
		points = append(points, plotter.XY{X: float64(s.Epochs), Y: s.Accuracy})
	}
	c.trace(p, points, col, width)
}

// trace adds a line with a dot at each point, where there are few.
func (c *canvas) trace(p *plot.Plot, points plotter.XYs, col color.Color, width float64) {
	if len(points) == 0 {
		return
	}
	line, dots, _ := plotter.NewLinePoints(points)
	line.Color, line.Width = col, vg.Length(width)
	p.Add(line)
	if len(points) <= 12 {
		dots.GlyphStyle = draw.GlyphStyle{Color: col, Radius: vg.Length(0.6 + width*0.9), Shape: draw.CircleGlyph{}}
		p.Add(dots)
	}
}

func (r *Rungs) losses(c *canvas, shown int, epochs []int) *plot.Plot {
	p := c.newPlot("", "epochs", "training loss")
	p.Add(c.rules())
	low, high := math.Inf(1), 0.
	for i := shown - 1; i >= 0; i-- {
		var points, upper, lower plotter.XYs
		l := r.Finalists[i]
		for e, loss := range l.Losses {
			if loss <= 0 { // a logarithmic axis
				continue
			}
			at := plotter.XY{X: float64(e + 1), Y: loss}
			points = append(points, at)
			low, high = math.Min(low, loss), math.Max(high, loss)
			if e < len(l.LossSD) {
				factor := l.LossSD[e]
				upper, lower = append(upper, plotter.XY{X: at.X, Y: loss * factor}), append(lower, plotter.XY{X: at.X, Y: loss / factor})
				low, high = math.Min(low, loss/factor), math.Max(high, loss*factor)
			}
		}
		band(p, upper, lower, c.series[i])
		c.trace(p, points, c.series[i], 1.6)
	}
	epochAxis(p, append([]int{1}, epochs...))
	if high == 0 {
		low, high = 0.1, 1
	}
	p.Y.Scale, p.Y.Tick.Marker = plot.LogScale{}, lossTicks{}
	p.Y.Min, p.Y.Max = low/1.15, high*1.15
	return p
}

// epochAxis is logarithmic, with the epochs that there are as its ticks.
func epochAxis(p *plot.Plot, epochs []int) {
	first, last := math.Inf(1), 1.
	for _, e := range epochs {
		first, last = math.Min(first, math.Max(1, float64(e))), math.Max(last, float64(e))
	}
	first = math.Min(first, last)
	p.X.Min, p.X.Max = first, last
	if first == last {
		p.X.Min, p.X.Max = first*0.8, last*1.25
	}
	p.X.Scale = plot.LogScale{}
	var ticks plot.ConstantTicks
	near := func(e int) bool {
		for _, t := range ticks {
			if math.Abs(math.Log(float64(e)/t.Value)) < 0.08*math.Log(p.X.Max/p.X.Min) {
				return true
			}
		}
		return false
	}
	for _, e := range append([]int{int(last), int(first)}, epochs...) {
		if e > 0 && !near(e) {
			ticks = append(ticks, plot.Tick{Value: float64(e), Label: words.Thousands(e)})
		}
	}
	p.X.Tick.Marker = ticks
}

// lossTicks marks a logarithmic axis of losses.
type lossTicks struct{}

// Ticks implements plot.Ticker.
func (lossTicks) Ticks(low, high float64) []plot.Tick { return LogTicks(low, high) }

// LogTicks marks a logarithmic axis at 1, 2 and 5 times powers of ten, and at more digits where that is too few.
func LogTicks(low, high float64) []plot.Tick {
	var ticks []plot.Tick
	for _, digits := range [][]float64{{1, 2, 5}, {1, 2, 3, 4, 5, 6, 8}, {1, 1.2, 1.4, 1.6, 1.8, 2, 2.5, 3, 3.5, 4, 4.5, 5, 5.5, 6, 7, 8, 9}} {
		ticks = nil
		for decade := -8; decade <= 8; decade++ {
			for _, d := range digits {
				if v := d * math.Pow(10, float64(decade)); v >= low && v <= high {
					ticks = append(ticks, plot.Tick{Value: v, Label: fmt.Sprintf("%.3g", v)})
				}
			}
		}
		if len(ticks) > 2 {
			break
		}
	}
	return ticks
}
