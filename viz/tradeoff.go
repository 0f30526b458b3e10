package viz

import (
	"fmt"
	"image/color"
	"math"

	"gonum.org/v1/plot"
	"gonum.org/v1/plot/plotter"
	"gonum.org/v1/plot/vg"
	"gonum.org/v1/plot/vg/draw"

	"vanilla/internal/words"
)

// Tradeoff is what accuracy costs in parameters.
type Tradeoff struct {
	// About says what the points are, and how many.
	About string `json:"about"`
	// Accuracy is which accuracy it is: "validation accuracy", and Sampling what else is uncertain in it than the seeds.
	Accuracy string `json:"accuracy"`
	Sampling string `json:"sampling"`
	// Groups are kinds of points, in an order that colours show: each has a Pareto front of its own.
	Groups []string `json:"groups"`
	Points []Tried  `json:"points"`
}

// Tried is what one kind of network reached.
type Tried struct {
	Name       string  `json:"name"`
	Parameters int     `json:"parameters"`
	Accuracy   float64 `json:"accuracy"` // mean over N seeds
	// SD is the standard deviation over seeds (n-1), nil for one seed.
	SD    *float64 `json:"sd"`
	N     int      `json:"n"`
	Group int      `json:"group"` // index in Groups
	// Front says that nothing of its group with as few parameters or fewer is as accurate.
	Front bool `json:"front"`
}

const tradeoffHeight = 300.

func (t *Tradeoff) page() page {
	return page{
		title: "Accuracy against parameters", subtitle: t.About,
		caption: t.caption(),
		width:   bodyWidth, height: tradeoffHeight, body: t.draw,
	}
}

func (t *Tradeoff) caption() string {
	dots, lines := "Each dot is one point of the space, at the mean over its seeds. ", "The line is the Pareto front"
	if len(t.Groups) > 1 {
		dots = "Each dot is one point of the space after as many epochs as its colour says, at the mean over its seeds. "
		lines = "Lines are Pareto fronts, one for each number of epochs"
	}
	text := dots + fmt.Sprintf("%s: nothing as small or smaller that was trained as long has a better %s", lines, t.Accuracy)
	for _, p := range t.Points {
		if p.Front && p.SD != nil {
			text += "; bars with caps are ± one standard deviation over seeds"
			break
		}
	}
	return text + ". Both axes are logarithmic, the vertical one in the error." + sentence(t.Sampling)
}

// sentence is a text as the sentence after another.
func sentence(text string) string {
	if text == "" {
		return ""
	}
	return " " + capital(text) + "."
}

// ramp is colour i of n in an order: the later, the stronger.
func (c *colors) ramp(i, n int) color.RGBA {
	if n <= 1 {
		return c.series[0]
	}
	return c.neutral.to(c.positive, 0.25+0.75*float64(i)/float64(n-1)).rgba()
}

func (t *Tradeoff) draw(c *canvas, _ int) {
	p := c.newPlot("", "parameters", t.Accuracy+", %")
	p.Add(c.rules())
	groups := make([]plotter.XYs, len(t.Groups))
	fronts := make([]plotter.XYs, len(t.Groups))
	var names plotter.XYLabels
	var accuracies []float64
	few, many := math.Inf(1), 0.
	for _, v := range t.Points {
		at := plotter.XY{X: float64(v.Parameters), Y: v.Accuracy}
		groups[v.Group] = append(groups[v.Group], at)
		accuracies = append(accuracies, v.Accuracy)
		few, many = math.Min(few, at.X), math.Max(many, at.X)
		if v.Front {
			fronts[v.Group] = append(fronts[v.Group], at)
			if v.Group == len(t.Groups)-1 {
				names.XYs, names.Labels = append(names.XYs, at), append(names.Labels, v.Name)
			}
		}
	}
	p.X.Scale, p.X.Tick.Marker = plot.LogScale{}, countTicks{}
	p.Y.Scale, p.Y.Tick.Marker = accuracyScale{}, accuracyTicks{}
	p.Y.Min, p.Y.Max = accuracyRange(accuracies)
	if many == 0 {
		few, many = 1, 10
	}
	room := math.Max(1.05, math.Pow(many/few, 0.05))
	p.X.Min, p.X.Max = few/room, many*room
	radius := vg.Length(math.Max(1.3, math.Min(2.6, 60/math.Sqrt(float64(len(t.Points)+1)))))
	for g, points := range groups {
		s, _ := plotter.NewScatter(points)
		s.GlyphStyle = draw.GlyphStyle{Color: c.ramp(g, len(groups)), Radius: radius, Shape: draw.CircleGlyph{}}
		p.Add(s)
	}
	drawn := false
	for g, front := range fronts {
		if len(front) == 0 {
			continue
		}
		drawn = true
		line, _ := plotter.NewLine(front)
		line.StepStyle = plotter.PostStep
		line.Color, line.Width = c.series[5], 0.6
		if g == len(fronts)-1 {
			line.Width = 1.4
		}
		marks, _ := plotter.NewScatter(front)
		marks.GlyphStyle = draw.GlyphStyle{Color: c.series[5], Radius: radius + 1, Shape: draw.RingGlyph{}}
		p.Add(line, marks)
	}
	if drawn {
		p.Add(errorBars{t.Points, c.ink})
		p.Add(c.spacedLabels(names))
	}
	var keys []key
	for g, name := range t.Groups {
		if len(groups[g]) > 0 {
			keys = append(keys, key{name: name, color: c.ramp(g, len(groups)), dot: true})
		}
	}
	if drawn {
		name := "Pareto front"
		if len(t.Groups) > 1 {
			name = "Pareto fronts"
		}
		keys = append(keys, key{name: name, color: c.series[5]})
	}
	c.keys(bodyWidth, 0, keys)
	c.plot(p, 0, 12, bodyWidth, tradeoffHeight-12)
}

// errorBars draws ± one standard deviation of what is on the front.
type errorBars struct {
	points []Tried
	color  color.Color
}

// Plot implements plot.Plotter.
func (e errorBars) Plot(c draw.Canvas, p *plot.Plot) {
	x, y := p.Transforms(&c)
	for _, v := range e.points {
		if !v.Front || v.SD == nil {
			continue
		}
		at := x(float64(v.Parameters))
		low, high := y(math.Max(p.Y.Min, v.Accuracy-*v.SD)), y(math.Min(p.Y.Max, v.Accuracy+*v.SD))
		bar := draw.LineStyle{Color: e.color, Width: 0.8}
		c.StrokeLine2(bar, at, low, at, high)
		for _, end := range []vg.Length{low, high} { // caps, which the front's steps do not have
			c.StrokeLine2(bar, at-2.5, end, at+2.5, end)
		}
	}
}

// key names a colour.
type key struct {
	name  string
	color color.Color
	dot   bool
}

// keys writes names beside their colours on one line, its right end at x and its baseline at y; names that do not fit
// are left out from the left.
func (c *canvas) keys(x, y float64, keys []key) {
	s := style{size: 8}
	for i := len(keys) - 1; i >= 0; i-- {
		k := keys[i]
		x -= s.width(k.name)
		if x < 20 {
			return
		}
		c.text(x, y, k.name, s)
		if k.dot {
			x -= 7
			c.disc(x, y-2.8, 2.4, k.color, k.color, 0.1)
		} else {
			x -= 16
			c.lines(k.color, 1.6, x, y-2.8, x+12, y-2.8)
		}
		x -= 12
	}
}

// rules are thin lines across a plot at the ticks of its vertical axis.
func (c *canvas) rules() *plotter.Grid {
	g := plotter.NewGrid()
	g.Vertical.Color = nil
	g.Horizontal = draw.LineStyle{Color: c.colors.grid, Width: 0.4}
	return g
}

// countTicks marks a logarithmic axis of counts at 1, 2 and 5 times powers of ten.
type countTicks struct{}

// Ticks implements plot.Ticker.
func (countTicks) Ticks(low, high float64) []plot.Tick {
	ticks := LogTicks(low, high)
	for i := range ticks {
		ticks[i].Label = words.Thousands(int(math.Round(ticks[i].Value)))
	}
	return ticks
}

// spacedLabels writes names beside points: those that overlap no other, from the last on.
func (c *canvas) spacedLabels(names plotter.XYLabels) plot.Plotter {
	return labels{names, style{size: 7}.text(c.ink), c.background}
}

// markerRoom is how far a marker reaches from its point.
const markerRoom = 3

type labels struct {
	plotter.XYLabels
	style draw.TextStyle
	paper color.Color
}

// Plot implements plot.Plotter. A name stands to the lower right of its point, where an ascending line is not, or to the
// lower left at the edge.
func (l labels) Plot(c draw.Canvas, p *plot.Plot) {
	x, y := p.Transforms(&c)
	var taken []vg.Rectangle
	for i := len(l.XYs) - 1; i >= 0; i-- {
		at := vg.Point{X: x(l.XYs[i].X) + 5, Y: y(l.XYs[i].Y) - 10}
		w, h := l.style.Width(l.Labels[i]), l.style.Font.Size
		moved := at.X+w > c.Max.X
		if moved {
			at.X = c.Max.X - w
		}
		if at.Y < c.Min.Y+1 {
			continue
		}
		box := vg.Rectangle{Min: vg.Point{X: at.X - 2, Y: at.Y - 1}, Max: vg.Point{X: at.X + w + 2, Y: at.Y + h}}
		free := true
		for k, p := range l.XYs { // no name covers a marker; its own is above it, unless the edge moved the name
			if k == i && !moved {
				continue
			}
			m := vg.Point{X: x(p.X), Y: y(p.Y)}
			free = free && (m.X+markerRoom < box.Min.X || box.Max.X+markerRoom < m.X || m.Y+markerRoom < box.Min.Y || box.Max.Y+markerRoom < m.Y)
		}
		for _, t := range taken {
			free = free && (box.Max.X < t.Min.X || t.Max.X < box.Min.X || box.Max.Y < t.Min.Y || t.Max.Y < box.Min.Y)
		}
		if !free {
			continue
		}
		taken = append(taken, box)
		c.FillPolygon(l.paper, []vg.Point{{X: at.X - 1, Y: at.Y}, {X: at.X + w + 1, Y: at.Y}, {X: at.X + w + 1, Y: at.Y + h - 1}, {X: at.X - 1, Y: at.Y + h - 1}})
		c.FillText(l.style, at, l.Labels[i])
	}
}
