package viz

import (
	"context"
	"fmt"
	"math"

	"gonum.org/v1/plot"
	"gonum.org/v1/plot/plotter"
	"gonum.org/v1/plot/vg"
	"gonum.org/v1/plot/vg/draw"

	"vanilla/dataset"
	"vanilla/internal/words"
)

// Training is how networks learned.
type Training struct {
	Rows int   `json:"rows"`
	Cols int   `json:"cols"`
	Runs []Run `json:"runs"`
}

// Run is the course of one training run.
type Run struct {
	Name      string     `json:"name"`
	Arch      string     `json:"arch"`
	Epochs    []Epoch    `json:"epochs"`
	Snapshots []Snapshot `json:"snapshots"`
}

// Epoch is what is known after an epoch. Numbers that are not are nil.
type Epoch struct {
	Epoch              int      `json:"epoch"`
	Step               int      `json:"step"`
	TrainLoss          *float64 `json:"train_loss"`
	ValidationAccuracy *float64 `json:"validation_accuracy,omitempty"`
}

// Snapshot is the network after some steps.
type Snapshot struct {
	Step     int     `json:"step"`
	Accuracy float64 `json:"test_accuracy"`
	weights  []float32
	units    int
}

// Course is what a run has left: its epochs, and networks after some steps, ascending.
type Course struct {
	Name     string
	Epochs   []Epoch
	Steps    []int
	Networks []Network // one for each of Steps
}

// NewTraining evaluates the networks of courses on a set of images.
func NewTraining(ctx context.Context, courses []Course, set *dataset.Images) (*Training, error) {
	t := &Training{Rows: set.Rows, Cols: set.Cols}
	for _, c := range courses {
		r := Run{Name: c.Name, Epochs: c.Epochs, Snapshots: []Snapshot{}}
		for i, n := range c.Networks {
			if err := checkSize(n, set.Rows, set.Cols); err != nil {
				return nil, err
			}
			p, err := n.Probabilities(ctx, set.Pixels)
			if err != nil {
				return nil, err
			}
			k, err := first(n)
			if err != nil {
				return nil, err
			}
			seeing := n.Layers()[k]
			r.Arch = n.Arch()
			r.Snapshots = append(r.Snapshots, Snapshot{c.Steps[i], accuracy(p, set.Labels), seeing.Weight, seeing.Out})
		}
		t.Runs = append(t.Runs, r)
	}
	return t, nil
}

// accuracy is the share of labels that have the largest of their probabilities [n, classes].
func accuracy(p []float32, labels []byte) float64 {
	right, classes := 0, len(p)/len(labels)
	for i, label := range labels {
		if guess, _ := top(p[i*classes : (i+1)*classes]); guess == int(label) {
			right++
		}
	}
	return float64(right) / float64(len(labels))
}

const (
	trainingUnits   = 4 // of the figure that does not move
	trainingColumns = 8
	trainingPlots   = 185.
	trainingPitch   = 69.
)

// moving is the run whose weights are shown: the first one with snapshots.
func (t *Training) moving() *Run {
	for i := range t.Runs {
		if len(t.Runs[i].Snapshots) > 0 {
			return &t.Runs[i]
		}
	}
	return nil
}

func (t *Training) page() page {
	p := page{
		title:   "How it learns",
		caption: "Left: the loss of the batches as they were trained. Right: accuracy on the test images by the number of steps, on a logarithmic axis.",
		width:   bodyWidth, height: trainingPlots, body: t.draw,
	}
	for i, r := range t.Runs {
		if i > 0 {
			p.subtitle += " · "
		}
		p.subtitle += r.Name
		if r.Arch != "" {
			p.subtitle += " (" + r.Arch + ")"
		}
	}
	if run := t.moving(); run != nil {
		p.frames = len(run.Snapshots)
		rows := (min(run.Snapshots[0].units, trainingColumns*trainingUnits) + trainingColumns - 1) / trainingColumns
		p.movingHeight = p.height + 30 + float64(rows)*trainingPitch
		p.height += 30 + float64(min(run.Snapshots[0].units, trainingUnits))*trainingPitch
		p.caption += fmt.Sprintf(" Below, the first units of %s on the way, all on one scale: what they learn grows out of the noise that they start from.", run.Name)
	}
	return p
}

func (t *Training) draw(c *canvas, frame int) {
	var names []string
	if len(t.Runs) > 1 {
		for _, r := range t.Runs {
			names = append(names, r.Name)
		}
	}
	c.plotWithKey(t.losses(c), 0, 0, 285, trainingPlots, names)
	c.plotWithKey(t.accuracies(c, frame), 295, 0, 285, trainingPlots, names)
	run := t.moving()
	if run == nil {
		return
	}
	limit := 0.
	for _, s := range run.Snapshots {
		limit = math.Max(limit, largest(s.weights))
	}
	size := t.Rows * t.Cols
	y := trainingPlots + 26
	cell := fit(t.Rows, t.Cols, trainingPitch-5)
	c.legend(bodyWidth-110, trainingPlots+6, 110, "weight", limit)
	if frame != still {
		s := run.Snapshots[frame]
		c.text(0, y-10, fmt.Sprintf("after %s: %s", words.Plural(s.Step, "step"), percent(s.Accuracy)), style{size: 10, bold: true})
		for u := range min(s.units, trainingColumns*trainingUnits) {
			c.weights(float64(u%trainingColumns)*(bodyWidth+8)/trainingColumns, y+8+float64(u/trainingColumns)*trainingPitch, cell, t.Rows, t.Cols, s.weights[u*size:(u+1)*size], limit)
		}
		return
	}
	c.text(0, y-10, "Units 0 to "+fmt.Sprint(min(trainingUnits, run.Snapshots[0].units)-1)+" of layer 2", style{size: 9.5, bold: true})
	shown := spread(len(run.Snapshots), trainingColumns)
	for i, k := range shown {
		s := run.Snapshots[k]
		x := float64(i) * (bodyWidth + 8) / trainingColumns
		c.text(x, y+5, fmt.Sprintf("step %s: %s", words.Thousands(s.Step), percent(s.Accuracy)), style{size: 7, color: c.muted})
		for u := range min(trainingUnits, s.units) {
			c.weights(x, y+10+float64(u)*trainingPitch, cell, t.Rows, t.Cols, s.weights[u*size:(u+1)*size], limit)
		}
	}
}

// spread picks up to k of n indices, evenly, with both ends.
func spread(n, k int) []int {
	if n <= k {
		k = n
	}
	var picked []int
	for i := range k {
		picked = append(picked, i*(n-1)/max(1, k-1))
	}
	return picked
}

func (t *Training) losses(c *canvas) *plot.Plot {
	p := c.newPlot("Training loss", "epoch", "")
	high := 0.
	for i, r := range t.Runs {
		var points plotter.XYs
		for _, e := range r.Epochs {
			if e.TrainLoss != nil {
				points = append(points, plotter.XY{X: float64(e.Epoch), Y: *e.TrainLoss})
				high = math.Max(high, *e.TrainLoss)
			}
		}
		c.curve(p, points, i)
	}
	p.Y.Min, p.Y.Max = 0, math.Max(high, 1e-9)*1.05
	p.X.Tick.Marker = wholeTicks{}
	return p
}

// curve adds a line, or a dot where there is only one point.
func (c *canvas) curve(p *plot.Plot, points plotter.XYs, i int) {
	if len(points) == 0 {
		return
	}
	line, dots, _ := plotter.NewLinePoints(points)
	line.Color, line.Width = c.series[i%len(c.series)], 1.5
	dots.GlyphStyle = draw.GlyphStyle{Color: line.Color, Radius: 1.5, Shape: draw.CircleGlyph{}}
	p.Add(line, dots)
}

func (t *Training) accuracies(c *canvas, frame int) *plot.Plot {
	p := c.newPlot("Test accuracy, %", "step", "")
	last := 1.
	for i, r := range t.Runs {
		var points plotter.XYs
		for _, s := range r.Snapshots {
			points = append(points, plotter.XY{X: float64(max(s.Step, 1)) - half(s.Step), Y: 100 * s.Accuracy})
			last = math.Max(last, float64(s.Step))
		}
		c.curve(p, points, i)
	}
	if run := t.moving(); run != nil && frame != still {
		s := run.Snapshots[frame]
		x := float64(max(s.Step, 1)) - half(s.Step)
		line, _ := plotter.NewLine(plotter.XYs{{X: x, Y: 0}, {X: x, Y: 100}})
		line.Color, line.Width, line.Dashes = c.muted, 1, []vg.Length{3, 2}
		p.Add(line)
	}
	p.X.Scale = plot.LogScale{}
	var ticks plot.ConstantTicks
	ticks = append(ticks, plot.Tick{Value: 0.5, Label: "0"})
	for v := 1; float64(v) <= last; v *= 10 {
		ticks = append(ticks, plot.Tick{Value: float64(v), Label: words.Thousands(v)})
	}
	p.X.Tick.Marker = ticks
	p.X.Min, p.X.Max = 0.5, math.Max(last, 2)
	p.Y.Min, p.Y.Max = 0, 100
	return p
}

// half is what step 0 is drawn at, where the axis is logarithmic: 1/2.
func half(step int) float64 {
	if step == 0 {
		return 0.5
	}
	return 0
}

// wholeTicks marks an axis of counts at 1, 2 or 5 times a power of ten and their multiples: 5, 10, 15 and not 2, 8, 14.
type wholeTicks struct{}

// Ticks implements plot.Ticker.
func (wholeTicks) Ticks(low, high float64) (ticks []plot.Tick) {
	const most = 7
	step := 1.
	for decade := 1.; ; decade *= 10 {
		for _, digit := range []float64{1, 2, 5} {
			if step = digit * decade; (high-low)/step <= most {
				for v := math.Ceil(low/step) * step; v <= high; v += step {
					ticks = append(ticks, plot.Tick{Value: v, Label: words.Thousands(int(v))})
				}
				return ticks
			}
		}
	}
}
