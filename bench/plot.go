package bench

import (
	"fmt"
	"image/color"
	"math"
	"slices"

	"gonum.org/v1/plot"
	"gonum.org/v1/plot/plotter"
	"gonum.org/v1/plot/vg"
	"gonum.org/v1/plot/vg/draw"
)

// Okabe and Ito's colours, which colour-blind readers tell apart.
var palette = []color.Color{
	color.RGBA{0, 114, 178, 255}, color.RGBA{230, 159, 0, 255}, color.RGBA{0, 158, 115, 255},
	color.RGBA{204, 121, 167, 255}, color.RGBA{86, 180, 233, 255}, color.RGBA{213, 94, 0, 255}, color.RGBA{90, 90, 90, 255},
}

// Plot draws results to a file whose extension is .png, .svg or .pdf: network
// epochs per second against the size of the population where the results have
// one, else a group of bars for each case.
func Plot(results []Result, file string) error {
	if len(results) == 0 {
		return fmt.Errorf("no results to plot")
	}
	p := plot.New()
	for _, style := range []*draw.TextStyle{&p.Title.TextStyle, &p.Legend.TextStyle, &p.X.Label.TextStyle, &p.Y.Label.TextStyle, &p.X.Tick.Label, &p.Y.Tick.Label} {
		style.Font.Variant = "Sans"
	}
	p.Title.TextStyle.Font.Size = vg.Points(13)
	p.Title.Padding = vg.Points(8)
	p.Legend.TextStyle.Font.Size = vg.Points(10)
	p.Legend.Padding = vg.Points(2)
	m := results[0].Machine
	width := vg.Points(520)
	var err error
	if results[0].Suite == "population" {
		p.Title.Text = fmt.Sprintf("Training populations of networks\n%s, %d cores", m.CPU, m.Cores)
		err = throughput(p, results)
	} else {
		p.Title.Text = fmt.Sprintf("Time per epoch of 60,000 images\n%s", m.CPU)
		err = bars(p, results)
		if cases := caseNames(results); len(cases) > 1 {
			width = vg.Points(math.Max(520, float64(150*len(cases))))
		}
	}
	if err != nil {
		return err
	}
	return p.Save(width, vg.Points(320), file)
}

// caseNames are the cases in order.
func caseNames(results []Result) []string {
	var names []string
	for _, r := range results {
		if !slices.Contains(names, r.Case) {
			names = append(names, r.Case)
		}
	}
	return names
}

// executorNames are the executors in order.
func executorNames(results []Result) []string {
	var names []string
	for _, r := range results {
		if !slices.Contains(names, r.Executor) {
			names = append(names, r.Executor)
		}
	}
	return names
}

// bars draws milliseconds on a logarithmic axis, labelled with the number.
func bars(p *plot.Plot, results []Result) error {
	p.Y.Label.Text = "milliseconds (logarithmic)"
	p.Y.Scale = plot.LogScale{}
	p.Y.Tick.Marker = plot.LogTicks{Prec: -1}
	cases, executors := caseNames(results), executorNames(results)
	low, high := math.Inf(1), 0.0
	for _, r := range results {
		low, high = math.Min(low, 1e3*r.Median), math.Max(high, 1e3*r.Median)
	}
	// A logarithmic axis has no zero: bars stand on a round number below all.
	floor := math.Pow(10, math.Floor(math.Log10(low)))
	p.Y.Min, p.Y.Max = floor, high*2

	const gap = 1.0 // of a group, in bars
	step := 1 / (float64(len(executors)) + gap)
	for e, name := range executors {
		var boxes []plotter.XYs
		labels := plotter.XYLabels{}
		for c, title := range cases {
			for _, r := range results {
				if r.Executor != name || r.Case != title {
					continue
				}
				left := float64(c) - 0.5 + (float64(e)+gap/2)*step
				y := 1e3 * r.Median
				boxes = append(boxes, plotter.XYs{{X: left, Y: floor}, {X: left, Y: y}, {X: left + step*0.92, Y: y}, {X: left + step*0.92, Y: floor}})
				labels.XYs = append(labels.XYs, plotter.XY{X: left + step*0.46, Y: y * 1.06})
				labels.Labels = append(labels.Labels, threeDigits(y))
			}
		}
		for _, b := range boxes {
			polygon, err := plotter.NewPolygon(b)
			if err != nil {
				return err
			}
			polygon.Color, polygon.LineStyle.Width = palette[e%len(palette)], 0
			p.Add(polygon)
		}
		text, err := plotter.NewLabels(labels)
		if err != nil {
			return err
		}
		for i := range text.TextStyle {
			text.TextStyle[i].XAlign, text.TextStyle[i].Font.Variant = draw.XCenter, "Sans"
			text.TextStyle[i].Font.Size = vg.Points(8)
		}
		p.Add(text)
		p.Legend.Add(name, swatch{palette[e%len(palette)]})
	}
	p.Legend.Top = true
	p.Y.Max = high * 2 * math.Pow(1.35, float64(len(executors))) // room for the legend
	p.NominalX(cases...)
	p.X.Min, p.X.Max = -0.5, float64(len(cases))-0.5
	return nil
}

// threeDigits prints 1397 as 1397, 12.34 as 12.3.
func threeDigits(x float64) string {
	if x >= 100 {
		return fmt.Sprintf("%.0f", x)
	}
	return fmt.Sprintf("%.3g", x)
}

// swatch is a filled square in the legend.
type swatch struct{ color color.Color }

func (s swatch) Thumbnail(c *draw.Canvas) {
	c.FillPolygon(s.color, []vg.Point{c.Min, {X: c.Min.X, Y: c.Max.Y}, c.Max, {X: c.Max.X, Y: c.Min.Y}})
}

// throughput draws network-epochs per second against the number of networks,
// a line for each executor and kind of population.
func throughput(p *plot.Plot, results []Result) error {
	p.X.Label.Text = "networks"
	p.Y.Label.Text = "network-epochs per second"
	p.X.Scale, p.Y.Scale = plot.LogScale{}, plot.LogScale{}
	p.X.Tick.Marker = powersOfTwo{}
	p.Y.Tick.Marker = plot.LogTicks{Prec: -1}
	lines := map[string]plotter.XYs{}
	var names []string
	low, high := math.Inf(1), 0.0
	for _, r := range results {
		name := r.Executor
		if r.Executor != Handrolled {
			name += ", " + kindOf(r)
		}
		if !slices.Contains(names, name) {
			names = append(names, name)
		}
		y := 1 / r.Median
		low, high = math.Min(low, y), math.Max(high, y)
		lines[name] = append(lines[name], plotter.XY{X: float64(r.Networks), Y: y})
	}
	for i, name := range names {
		points := lines[name]
		if name == Handrolled { // one network, whatever the population: a level
			points = plotter.XYs{{X: 1, Y: points[0].Y}, {X: largestPopulation(results), Y: points[0].Y}}
		}
		line, marks, err := plotter.NewLinePoints(points)
		if err != nil {
			return err
		}
		line.Color, marks.Color = palette[i%len(palette)], palette[i%len(palette)]
		line.Width = vg.Points(1.5)
		marks.Shape, marks.Radius = draw.CircleGlyph{}, vg.Points(2.5)
		p.Add(line, marks)
		p.Legend.Add(name, line, marks)
	}
	p.Add(plotter.NewGrid())
	p.Y.Min, p.Y.Max = low/2, high*4
	p.Legend.Top, p.Legend.Left = true, true
	return nil
}

func kindOf(r Result) string {
	if r.Networks > 1 && len(r.Case) >= 5 && r.Case[:5] == "mixed" {
		return "mixed shapes"
	}
	return "equal shapes"
}

func largestPopulation(results []Result) float64 {
	n := 1
	for _, r := range results {
		n = max(n, r.Networks)
	}
	return float64(n)
}

// powersOfTwo marks 1, 4, 16, …
type powersOfTwo struct{}

func (powersOfTwo) Ticks(low, high float64) []plot.Tick {
	var ticks []plot.Tick
	for v := 1.0; v <= high*1.01; v *= 4 {
		if v >= low*0.99 {
			ticks = append(ticks, plot.Tick{Value: v, Label: fmt.Sprint(v)})
		}
	}
	return ticks
}
