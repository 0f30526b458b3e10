package viz

import (
	"cmp"
	"context"
	"fmt"
	"image/color"
	"math"
	"slices"

	"vanilla/internal/words"
	"vanilla/model"
)

// Scale says what the strongest colour of a weight image stands for.
type Scale string

// The scales.
const (
	SharedScale Scale = "shared" // the largest weight of all units of a layer
	UnitScale   Scale = "unit"   // that of the unit itself
)

// Weights are a network's weights, seen as images.
type Weights struct {
	Model string `json:"model"`
	// Classes are what the classes are called, if not by their numbers.
	Classes Classes `json:"classes,omitempty"`
	Arch    string  `json:"arch"`
	Rows    int     `json:"rows"` // of an image
	Cols    int     `json:"cols"`
	Scale   Scale   `json:"scale"`
	// First is the layer that sees the pixels, whose units' weights are images.
	First Layer `json:"first"`
	// Deeper are the layers after it.
	Deeper []Layer `json:"deeper"`
}

// Layer is a layer's weights.
type Layer struct {
	// Number is the lesson's: the pixels are layer 1.
	Number int `json:"number"`
	// Largest is the largest absolute weight.
	Largest float64 `json:"largest"`
	Units   []Unit  `json:"units"`
	// LargestOnPixels is that of the units' OnPixels.
	LargestOnPixels float64 `json:"largest_on_pixels"`
	reads           int     // see Network.Sources
}

// Unit is a unit's weights.
type Unit struct {
	Unit    int       `json:"unit"`
	Bias    float32   `json:"bias"`
	Largest float64   `json:"largest"` // absolute weight
	Weights []float32 `json:"weights"`
	// OnPixels are the weights projected back onto the pixels through all layers before, as if these were linear; nil
	// where the weights are on the pixels, and where the layer reads anything but one layer's activations.
	OnPixels []float32 `json:"on_pixels,omitempty"`
}

// NewWeights reads a network's weights. Its inputs must be rows x cols images.
func NewWeights(ctx context.Context, n Network, rows, cols int, scale Scale) (*Weights, error) {
	if err := checkSize(n, rows, cols); err != nil {
		return nil, err
	}
	seeing, err := first(n)
	if err != nil {
		return nil, err
	}
	w := &Weights{Model: n.Name(), Arch: n.Arch(), Rows: rows, Cols: cols, Scale: scale, Classes: n.ClassNames()}
	layers, sources := n.Layers(), n.Sources()
	onPixels := make([][][]float32, len(layers)) // of each layer's units
	for k, l := range layers {
		layer := Layer{Number: k + 2, Largest: largest(l.Weight), reads: sources[k]}
		var projected [][]float32
		for j := range l.Out {
			if ctx.Err() != nil {
				return nil, context.Cause(ctx)
			}
			row := l.Weight[j*l.In : (j+1)*l.In]
			u := Unit{Unit: j, Bias: l.Bias[j], Largest: largest(row), Weights: row}
			switch source := sources[k]; {
			case source == model.ReadsInputs:
				projected = append(projected, row)
			case source >= 0 && onPixels[source] != nil:
				u.OnPixels = project(row, onPixels[source])
				layer.LargestOnPixels = math.Max(layer.LargestOnPixels, largest(u.OnPixels))
				projected = append(projected, u.OnPixels)
			}
			layer.Units = append(layer.Units, u)
		}
		onPixels[k] = projected
		if k == seeing {
			w.First = layer
		} else {
			w.Deeper = append(w.Deeper, layer)
		}
	}
	return w, nil
}

// checkSize fails if a network does not see rows x cols images.
func checkSize(n Network, rows, cols int) error {
	if want := n.Inputs(); rows < 1 || cols < 1 || rows*cols != want {
		return fmt.Errorf("%s: expected inputs that are images, found %d inputs and images of %dx%d pixels", n.Name(), want, rows, cols)
	}
	return nil
}

// project is the sum of images by their weights.
func project(weights []float32, images [][]float32) []float32 {
	sum := make([]float32, len(images[0]))
	for i, w := range weights {
		for p, v := range images[i] {
			sum[p] += w * v
		}
	}
	return sum
}

// bodyWidth is the width of most figures, in points.
const bodyWidth = 580

// weightsWidth fits eight images of 28 x 28 weights with gaps between them.
const weightsWidth = 606

// shownUnits is how many of a layer's units are drawn, those with the largest weights.
const shownUnits = 64

// shown are the units to draw.
func (l *Layer) shown() []Unit {
	if len(l.Units) <= shownUnits {
		return l.Units
	}
	all := slices.Clone(l.Units)
	slices.SortStableFunc(all, func(a, b Unit) int { return cmp.Compare(b.Largest, a.Largest) })
	return all[:shownUnits]
}

// columns is how many of n tiles stand side by side.
func columns(n int) int {
	for _, c := range []int{8, 7, 6, 5} {
		if n%c == 0 {
			return c
		}
	}
	return min(n, 8)
}

const (
	tilePitch  = 76.5 // between weight images
	tileRow    = 88.  // and between their rows, with what is written below
	smallPitch = 49.  // between projections
	matrixSide = 160. // of a deeper layer's matrix, at most
)

func (w *Weights) page() page {
	units := w.First.shown()
	subtitle := fmt.Sprintf("%s · layer %d has %s with %s weights each", w.Arch, w.First.Number, words.Plural(len(w.First.Units), "unit"), words.Thousands(len(w.First.Units[0].Weights)))
	if len(units) < len(w.First.Units) {
		subtitle += fmt.Sprintf(" · the %d with the largest weights are shown", len(units))
	}
	rows := (len(units) + columns(len(units)) - 1) / columns(len(units))
	height := 34 + float64(rows)*tileRow
	for i := range w.Deeper {
		height += w.Deeper[i].height()
	}
	bias := ", b is its bias"
	if w.Scale == UnitScale {
		bias = ""
	}
	caption := "Each image is one unit: blue pixels raise its activation, red ones lower it" + bias + ". Does any look for an edge or a loop, as one would expect? The figure blobs measures it."
	if len(w.Deeper) > 0 {
		caption += " Deeper layers are matrices"
		if slices.ContainsFunc(w.Deeper, func(l Layer) bool { return l.LargestOnPixels > 0 }) {
			caption += "; beside them, what each of their units adds up to on the pixels if the layers before were linear"
		}
		caption += "."
	}
	return page{
		title:    "What the units look for: " + w.Model,
		subtitle: subtitle, caption: caption,
		width: weightsWidth, height: height, body: w.draw,
	}
}

func (l *Layer) height() float64 {
	rows := (len(l.shown()) + projectionsPerRow - 1) / projectionsPerRow
	if l.reads == model.ReadsInputs {
		return 42 + float64(rows)*(smallPitch+9) + 22
	}
	m, n := l.drawn()
	return 42 + math.Max(fit(n, m, matrixSide)*float64(n)+36, float64(rows)*(smallPitch+9)+22)
}

func (w *Weights) draw(c *canvas, _ int) {
	y := 8.
	scale := fmt.Sprintf("blue +, red −, 0 is %s", c.neutralName())
	c.heading(y, fmt.Sprintf("Layer %d", w.First.Number), scale)
	if w.Scale == SharedScale {
		c.legend(weightsWidth-150, y-7, 150, "weight", w.First.Largest)
	} else {
		c.text(weightsWidth, y, "each unit has its own scale, ± the number under it", style{size: 8, color: c.muted, align: right})
	}
	y += 26
	units := w.First.shown()
	perRow := columns(len(units))
	cell := fit(w.Rows, w.Cols, 70)
	for i, u := range units {
		x, y := float64(i%perRow)*tilePitch, y+float64(i/perRow)*tileRow
		limit := w.First.Largest
		note := signed("b %+.2f", float64(u.Bias))
		if w.Scale == UnitScale {
			limit = u.Largest
			note = fmt.Sprintf("±%.2f", u.Largest)
		}
		tw, th := c.weights(x, y, cell, w.Rows, w.Cols, u.Weights, limit)
		c.text(x, y+th+9, fmt.Sprint(u.Unit), style{size: 7.5, bold: true})
		c.text(x+tw, y+th+9, note, style{size: 7.5, color: c.muted, align: right})
	}
	y += float64((len(units)+perRow-1)/perRow) * tileRow
	for i := range w.Deeper {
		l := &w.Deeper[i]
		last := i == len(w.Deeper)-1
		var names Classes
		if last {
			names = w.Classes
		}
		l.draw(c, y, w.Rows, w.Cols, last, names)
		y += l.height()
	}
}

// neutralName is what zero looks like.
func (c *colors) neutralName() string {
	if c.neutral.L < 0.5 {
		return "black"
	}
	return "white"
}

// matrixMost is how many rows and columns of a matrix are drawn.
const matrixMost = 300

// projectionsPerRow is how many projections stand beside a matrix in a row.
const projectionsPerRow = 8

// drawn is how many columns and rows of the matrix are.
func (l *Layer) drawn() (cols, rows int) {
	return min(len(l.Units[0].Weights), matrixMost), min(len(l.Units), matrixMost)
}

// longestRow is the room that the name of a matrix's row has.
const longestRow = 60.

func (l *Layer) draw(c *canvas, y float64, rows, cols int, last bool, names Classes) {
	y += 20
	from, to := len(l.Units[0].Weights), len(l.Units)
	m, n := l.drawn()
	if l.reads == model.ReadsInputs {
		c.heading(y, fmt.Sprintf("Layer %d", l.Number), fmt.Sprintf("it sees the pixels too: %d × %d weights", to, from))
		l.tiles(c, 0, y+22, rows, cols, names, func(u Unit) []float32 { return u.Weights }, l.Largest)
		return
	}
	about := fmt.Sprintf("%d × %d weights", to, from)
	if l.LargestOnPixels > 0 {
		about += ", and their sums on the pixels"
	}
	if m < from || n < to {
		about += fmt.Sprintf(" (the first %d × %d)", n, m)
	}
	c.heading(y, fmt.Sprintf("Layer %d", l.Number), about)
	y += 22
	tick := style{size: 7, color: c.muted, align: right}
	left := 26.
	if names != nil {
		left = math.Max(left, 6+names.widest(n, tick, longestRow))
	}
	// What names take, the matrix leaves.
	side := matrixSide - (left - 26)
	cell := fit(n, m, side)
	w, h := c.grid(left, y, cell, n, m, func(i int) color.RGBA { return c.diverging(ratio(float64(l.Units[i/m].Weights[i%m]), l.Largest)) })
	if cell >= 7 {
		for j := range n {
			c.text(left-4, y+(float64(j)+0.5)*cell+2.5, names.shown(j, tick, longestRow), tick)
		}
		for j := range m {
			if cell < 9 && j%2 == 1 { // two digits would touch
				continue
			}
			c.text(left+(float64(j)+0.5)*cell, y-3, fmt.Sprint(j), style{size: 7, color: c.muted, align: centred})
		}
	}
	what := "unit"
	if last {
		what = "output"
	}
	read := fmt.Sprintf("unit of layer %d", l.reads+2)
	if l.reads == model.ReadsOther {
		read = "what it reads"
	}
	c.text(left, y+h+11, fmt.Sprintf("row: %s, column: %s", what, read), style{size: 7.5, color: c.muted})
	c.legend(left, y+h+17, math.Max(90, math.Min(w, 150)), "", l.Largest)

	if l.LargestOnPixels > 0 {
		l.tiles(c, left+math.Max(w, side-10)+24, y, rows, cols, names, func(u Unit) []float32 { return u.OnPixels }, l.LargestOnPixels)
	}
}

// tiles draws an image of each unit, and the scale.
func (l *Layer) tiles(c *canvas, x0, y float64, rows, cols int, names Classes, of func(Unit) []float32, limit float64) {
	tile := fit(rows, cols, smallPitch-4)
	for i, u := range l.shown() {
		x, y := x0+float64(i%projectionsPerRow)*smallPitch, y+float64(i/projectionsPerRow)*(smallPitch+9)
		tw, th := c.weights(x, y, tile, rows, cols, of(u), limit)
		s := style{size: 7.5, bold: true, align: centred}
		c.text(x+tw/2, y+th+8, names.shown(u.Unit, s, smallPitch-3), s)
	}
	end := y + float64((len(l.shown())+projectionsPerRow-1)/projectionsPerRow)*(smallPitch+9)
	c.legend(x0, end+4, 150, "", limit)
}

// UnitWeights is one unit's weights, large.
type UnitWeights struct {
	Model string `json:"model"`
	Rows  int    `json:"rows"`
	Cols  int    `json:"cols"`
	Layer int    `json:"layer"`
	Unit
	Positive float64 `json:"positive"` // sum of the positive weights
	Negative float64 `json:"negative"` // and of the negative ones
}

// NewUnitWeights reads the weights of one unit of the layer that sees the pixels.
func NewUnitWeights(ctx context.Context, n Network, rows, cols, unit int) (*UnitWeights, error) {
	w, err := NewWeights(ctx, n, rows, cols, SharedScale)
	if err != nil {
		return nil, err
	}
	if unit < 0 || unit >= len(w.First.Units) {
		return nil, fmt.Errorf("%s: expected a unit from 0 to %d, found %d", n.Name(), len(w.First.Units)-1, unit)
	}
	u := &UnitWeights{Model: n.Name(), Rows: rows, Cols: cols, Layer: w.First.Number, Unit: w.First.Units[unit]}
	for _, v := range u.Weights {
		u.Positive += math.Max(float64(v), 0)
		u.Negative += math.Min(float64(v), 0)
	}
	return u, nil
}

func (u *UnitWeights) page() page {
	const side = 340
	return page{
		title:    fmt.Sprintf("Unit %d of layer %d: %s", u.Unit.Unit, u.Layer, u.Model),
		subtitle: signed("bias %+.3f", float64(u.Bias)) + signed(" · positive weights sum to %+.1f", u.Positive) + signed(", negative ones to %+.1f", u.Negative),
		caption:  "Blue pixels raise the unit's activation, red ones lower it. What lies outside of all digits was never trained: it is where the unit started, faded by weight decay if there was any.",
		width:    side + 20, height: side + 40,
		body: func(c *canvas, _ int) {
			_, h := c.weights(10, 0, fit(u.Rows, u.Cols, side), u.Rows, u.Cols, u.Weights, u.Largest)
			c.legend(10+side/2-75, h+12, 150, "weight", u.Largest)
		},
	}
}
