package bench

import (
	"bytes"
	"fmt"
	"image/color"
	"io"
	"math"
	"path/filepath"
	"slices"
	"strings"

	"gonum.org/v1/plot"
	"gonum.org/v1/plot/plotter"
	"gonum.org/v1/plot/vg"
	"gonum.org/v1/plot/vg/draw"

	"vanilla/internal/store"
)

// Theme is a picture's colours.
type Theme struct {
	Name       string
	background color.Color
	ink, faint color.Color // text and axes; grid
	series     []color.Color
}

// The series are Okabe and Ito's colours, which colour-blind readers tell apart;
// on a dark page the dark ones are lighter.
var (
	Paper = Theme{"paper", color.White, color.RGBA{0, 0, 0, 255}, color.RGBA{220, 220, 220, 255}, []color.Color{
		color.RGBA{0, 114, 178, 255}, color.RGBA{230, 159, 0, 255}, color.RGBA{0, 158, 115, 255},
		color.RGBA{204, 121, 167, 255}, color.RGBA{86, 180, 233, 255}, color.RGBA{213, 94, 0, 255}, color.RGBA{90, 90, 90, 255},
	}}
	Light = Theme{"light", color.Transparent, color.RGBA{31, 35, 40, 255}, color.RGBA{216, 222, 228, 255}, Paper.series}
	Dark  = Theme{"dark", color.Transparent, color.RGBA{230, 237, 243, 255}, color.RGBA{48, 54, 61, 255}, []color.Color{
		color.RGBA{86, 180, 233, 255}, color.RGBA{230, 159, 0, 255}, color.RGBA{45, 196, 150, 255},
		color.RGBA{204, 121, 167, 255}, color.RGBA{150, 190, 255, 255}, color.RGBA{240, 120, 40, 255}, color.RGBA{170, 170, 170, 255},
	}}
)

// of is a series' colour: the executors' own, and for others the i-th.
func (t Theme) of(name string, i int) color.Color {
	own := []string{Handrolled, "tape", "cpu", "cpu, mixed shapes", "cuda, mixed shapes", "cuda", "ref"}
	if k := slices.Index(own, strings.TrimSuffix(name, ", equal shapes")); k >= 0 {
		i = k
	}
	return t.series[i%len(t.series)]
}

// gpuOf is the GPU that results are of, for a title before the machine; empty if there
// is none.
func gpuOf(results []Result) string {
	for _, r := range results {
		if OnGPUs(r.Executor) {
			return gpuName(r.Device) + " and "
		}
	}
	return ""
}

// Plot draws results to a file whose extension is .png, .svg or .pdf: network
// epochs per second against the size of the population where the results have
// one, else a group of bars for each case.
func Plot(results []Result, file string) error {
	format := strings.TrimPrefix(filepath.Ext(file), ".")
	picture, err := Picture(results, Paper, format)
	if err != nil {
		return err
	}
	return store.Replace(file, func(w io.Writer) error {
		_, err := w.Write(picture)
		return err
	})
}

// Picture is what Plot draws, in a theme and a format: png, svg or pdf.
func Picture(results []Result, theme Theme, format string) ([]byte, error) {
	results = slices.DeleteFunc(slices.Clone(results), func(r Result) bool { return r.Failed != "" })
	if len(results) == 0 {
		return nil, fmt.Errorf("no results to plot")
	}
	p := plot.New()
	p.BackgroundColor = theme.background
	for _, style := range []*draw.TextStyle{&p.Title.TextStyle, &p.Legend.TextStyle, &p.X.Label.TextStyle, &p.Y.Label.TextStyle, &p.X.Tick.Label, &p.Y.Tick.Label} {
		style.Font.Variant, style.Color = "Sans", theme.ink
		style.Font.Size = vg.Points(11)
	}
	for _, line := range []*draw.LineStyle{&p.X.LineStyle, &p.Y.LineStyle, &p.X.Tick.LineStyle, &p.Y.Tick.LineStyle} {
		line.Color = theme.ink
	}
	p.Title.TextStyle.Font.Size = vg.Points(13)
	p.Title.Padding = vg.Points(8)
	p.Legend.Padding = vg.Points(2)
	m := results[0].Machine
	width := vg.Points(520)
	var err error
	switch cases := caseNames(results); {
	case results[0].Suite == "population":
		p.Title.Text = fmt.Sprintf("Training populations, %s%s, %s", gpuOf(results), m, plural(m.Cores, "core"))
		err = throughput(p, theme, results)
	default:
		p.Title.Text = fmt.Sprintf("Time per epoch of MNIST, %s%s%s", commonStart(cases), gpuOf(results), m)
		err = bars(p, theme, results)
		width = vg.Points(math.Max(520, math.Min(900, float64(130*len(cases)))))
	}
	if err != nil {
		return nil, err
	}
	w, err := p.WriterTo(width, vg.Points(320), format)
	if err != nil {
		return nil, err
	}
	var b bytes.Buffer
	_, err = w.WriteTo(&b)
	return b.Bytes(), err
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

// commonStart is what all names begin with, up to a comma: "784-16-16-10, ". It
// is empty for one name.
func commonStart(names []string) string {
	before, _, found := strings.Cut(names[0], ", ")
	before += ", "
	for _, name := range names {
		if !found || len(names) < 2 || !strings.HasPrefix(name, before) {
			return ""
		}
	}
	return before
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
func bars(p *plot.Plot, theme Theme, results []Result) error {
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
			polygon.Color, polygon.LineStyle.Width = theme.of(name, e), 0
			p.Add(polygon)
		}
		text, err := plotter.NewLabels(labels)
		if err != nil {
			return err
		}
		for i := range text.TextStyle {
			text.TextStyle[i].XAlign, text.TextStyle[i].Font.Variant = draw.XCenter, "Sans"
			text.TextStyle[i].Font.Size, text.TextStyle[i].Color = vg.Points(9.5), theme.ink
		}
		p.Add(text)
		p.Legend.Add(name, swatch{theme.of(name, e)})
	}
	p.Legend.Top = true
	p.Y.Max = high * 1.5 * math.Pow(1.35, float64(len(executors))) // room for the legend
	labels := make([]string, len(cases))
	for i, c := range cases {
		labels[i] = strings.TrimPrefix(c, commonStart(cases))
	}
	p.NominalX(labels...)
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
func throughput(p *plot.Plot, theme Theme, results []Result) error {
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
	grid := plotter.NewGrid()
	grid.Horizontal.Color, grid.Vertical.Color = theme.faint, theme.faint
	p.Add(grid)
	for i, name := range names {
		points := lines[name]
		if name == Handrolled { // one network, whatever the population: a level
			points = plotter.XYs{{X: 1, Y: points[0].Y}, {X: largestPopulation(results), Y: points[0].Y}}
		}
		line, marks, err := plotter.NewLinePoints(points)
		if err != nil {
			return err
		}
		line.Color, marks.Color = theme.of(name, i), theme.of(name, i)
		line.Width = vg.Points(1.5)
		marks.Shape, marks.Radius = draw.CircleGlyph{}, vg.Points(2.5)
		p.Add(line, marks)
		p.Legend.Add(name, line, marks)
	}
	p.X.Min, p.X.Max = 1, math.Max(2, largestPopulation(results))
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
