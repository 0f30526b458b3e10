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

// Activations is one image on its way through a network.
type Activations struct {
	Model string `json:"model"`
	// Classes are what the classes are called, if not by their numbers.
	Classes Classes `json:"classes,omitempty"`
	Arch    string  `json:"arch"`
	Rows    int     `json:"rows"`
	Cols    int     `json:"cols"`
	Picture Picture `json:"picture"`
	// Layers are what leaves the units of each layer after the pixels; of the last one, the probabilities.
	Layers        [][]float32 `json:"layers"`
	Guess         int         `json:"guess"`
	Probabilities []float32   `json:"probabilities"`
	// Softmax says that they sum to 1; otherwise each is an output by itself.
	Softmax bool `json:"softmax"`
	// Shown are the units of each layer that are drawn: all, or of many those with the largest activations.
	Shown [][]int `json:"shown"`
	// Edges are the strongest connections between them, into each layer, strongest first; those of the first layer
	// start at pixels.
	Edges [][]Edge `json:"edges"`
	// Reveal is one unit of the first layer, taken apart.
	Reveal Reveal `json:"reveal"`
	pixels []float32
}

// Edge is what one unit sends another.
type Edge struct {
	From int `json:"from"`
	To   int `json:"to"`
	// Product is weight times activation.
	Product float64 `json:"product"`
}

// Reveal is what enters one unit: Σ weight·pixel + bias.
type Reveal struct {
	Unit     int       `json:"unit"`
	Weights  []float32 `json:"weights"`
	Products []float64 `json:"products"`
	Positive float64   `json:"positive"` // sum of the positive products
	Negative float64   `json:"negative"`
	Bias     float64   `json:"bias"`
	// Input is what enters the unit, by the network's own account, and Output what leaves it.
	Input  float64 `json:"input"`
	Output float64 `json:"output"`
	layer  int     // whose unit it is; the pixels are layer 1
}

const (
	shownEdges = 48 // of a layer
	// MostActive asks for the unit whose output is the largest.
	MostActive = -1
)

// NewActivations runs a network on an image. Unit is the one of the first layer to take apart, or MostActive.
func NewActivations(ctx context.Context, n Network, picture Picture, rows, cols, unit int) (*Activations, error) {
	if err := checkSize(n, rows, cols); err != nil {
		return nil, err
	}
	x := unitInterval(picture.Pixels)
	z, a, err := n.Activate(ctx, x)
	if err != nil {
		return nil, err
	}
	seeing, err := first(n)
	if err != nil {
		return nil, err
	}
	layers, sources := n.Layers(), n.Sources()
	if unit == MostActive {
		unit, _ = top(a[seeing])
	}
	if most := layers[seeing].Out - 1; unit < 0 || unit > most {
		return nil, fmt.Errorf("%s: expected a unit from 0 to %d, found %d", n.Name(), most, unit)
	}
	r := &Activations{Model: n.Name(), Arch: n.Arch(), Rows: rows, Cols: cols, Picture: picture, Layers: a,
		Probabilities: a[len(a)-1], Softmax: n.Softmax(), Classes: n.ClassNames(), pixels: x}
	r.Guess, _ = top(r.Probabilities)
	for k := range a {
		shown := mostActive(a[k])
		edges := []Edge{}
		// No lines come from what is not the column before.
		if k < len(layers) && (k == 0 && sources[k] == model.ReadsInputs || k > 0 && sources[k] == k-1) {
			from, l := x, layers[k]
			if k > 0 {
				from = a[k-1]
			}
			for _, to := range shown {
				for i := range l.In {
					if p := float64(l.Weight[to*l.In+i]) * float64(from[i]); p != 0 && (k == 0 || slices.Contains(r.Shown[k-1], i)) {
						edges = append(edges, Edge{i, to, p})
					}
				}
			}
		}
		r.Shown = append(r.Shown, shown)
		slices.SortStableFunc(edges, func(a, b Edge) int { return cmp.Compare(math.Abs(b.Product), math.Abs(a.Product)) })
		r.Edges = append(r.Edges, edges[:min(len(edges), shownEdges)])
	}
	l := layers[seeing]
	r.Reveal = Reveal{Unit: unit, Weights: l.Weight[unit*l.In : (unit+1)*l.In], Bias: float64(l.Bias[unit]),
		Input: float64(z[seeing][unit]), Output: float64(a[seeing][unit]), layer: seeing + 2}
	for i, w := range r.Reveal.Weights {
		p := float64(w) * float64(x[i])
		r.Reveal.Products = append(r.Reveal.Products, p)
		r.Reveal.Positive += math.Max(p, 0)
		r.Reveal.Negative += math.Min(p, 0)
	}
	return r, nil
}

func (r *Activations) page() page {
	what := r.Picture.Name
	if r.Picture.Label >= 0 {
		what += ", labelled " + r.Classes.name(r.Picture.Label)
	}
	return page{
		title:    "An image on its way: " + r.Model,
		subtitle: fmt.Sprintf("%s · %s · taken for %s (%s)", r.Arch, what, r.Classes.article(r.Guess), share(float64(r.Probabilities[r.Guess]), r.Softmax)),
		caption: "Units are drawn in ink, as the " + r.Classes.thing() + " is: the more active, the stronger. Lines are weight times activation, the strongest ones of each layer: blue pushes the next unit up, red down. " +
			"Below, one unit taken apart: its weights, what of them meets ink, and the sum that makes it what it is.",
		width: bodyWidth, height: 300 + 152, body: r.draw,
	}
}

// drawnUnits is how many units of a layer are drawn.
const drawnUnits = 20

// mostActive are the units of a layer to draw, in their order.
func mostActive(activations []float32) []int {
	units := make([]int, len(activations))
	for i := range units {
		units[i] = i
	}
	if len(units) > drawnUnits {
		size := func(u int) float64 { return math.Abs(float64(activations[u])) }
		slices.SortStableFunc(units, func(a, b int) int { return cmp.Compare(size(b), size(a)) })
		units = units[:drawnUnits]
		slices.Sort(units)
	}
	return units
}

// column is where the units of a layer are drawn.
type column struct {
	x     float64
	units []int
	y     map[int]float64
}

const (
	columnTop    = 22.
	columnHeight = 266.
)

func newColumn(x float64, units []int) column {
	c := column{x: x, units: units, y: map[int]float64{}}
	step := math.Min(24, columnHeight/float64(len(units)))
	for i, u := range units {
		c.y[u] = columnTop + columnHeight/2 + (float64(i)-float64(len(units)-1)/2)*step
	}
	return c
}

// longestOutput is the room that the name of an output has.
const longestOutput = 90.

func (r *Activations) draw(c *canvas, _ int) {
	cell := fit(r.Rows, r.Cols, 112)
	iw, ih := float64(r.Cols)*cell, float64(r.Rows)*cell
	top := columnTop + columnHeight/2 - ih/2
	last := len(r.Layers) - 1
	names := r.Classes.widest(len(r.Probabilities), style{size: 10, bold: true}, longestOutput)
	left, outX := iw+100, bodyWidth-108-math.Max(10, names)
	var columns []column
	for k := range r.Layers {
		x := outX
		if last > 0 {
			x = left + (outX-left)*float64(k)/float64(last)
		}
		columns = append(columns, newColumn(x, r.Shown[k]))
	}
	for k, edges := range r.Edges {
		if len(edges) == 0 {
			continue
		}
		strongest := math.Abs(edges[0].Product)
		for i := len(edges) - 1; i >= 0; i-- { // the strongest on top
			e := edges[i]
			x0, y0 := (float64(e.From%r.Cols)+0.5)*cell, top+(float64(e.From/r.Cols)+0.5)*cell
			if k > 0 {
				x0, y0 = columns[k-1].x, columns[k-1].y[e.From]
			}
			strength := math.Abs(e.Product) / strongest
			end := c.diverging(math.Copysign(0.25+0.75*strength, e.Product))
			c.lines(end, 0.4+1.2*strength, x0, y0, columns[k].x, columns[k].y[e.To])
		}
	}
	c.picture(0, top, cell, r.Rows, r.Cols, r.Picture.Pixels)
	c.text(iw/2, top+ih+12, fmt.Sprintf("layer 1: %s", words.Plural(r.Rows*r.Cols, "pixel")), style{size: 8, color: c.muted, align: centred})
	for k, a := range r.Layers {
		col := columns[k]
		name := fmt.Sprintf("layer %d", k+2)
		if len(col.units) < len(a) {
			name += fmt.Sprintf(": %d of %d", len(col.units), len(a))
		}
		c.text(col.x, 8, name, style{size: 8, color: c.muted, align: centred})
		most := math.Max(1, largest(a)) // sigmoids end at 1
		for _, u := range col.units {
			radius := math.Min(8.5, 0.45*columnHeight/float64(len(col.units)))
			v := float64(a[u]) / most
			c.disc(col.x, col.y[u], radius, c.lamp(v), c.muted, 0.7)
			if radius >= 6 && k < last {
				s := style{size: 6.5, align: centred, color: contrast(c.lamp(v))}
				c.text(col.x, col.y[u]+2.4, fmt.Sprint(u), s)
			}
		}
	}
	out := columns[last]
	for _, u := range out.units {
		p := float64(r.Probabilities[u])
		y := out.y[u]
		s := style{size: 10, bold: u == r.Guess}
		if u != r.Guess {
			s.color = c.muted
		}
		c.text(out.x+15, y+3.5, r.Classes.shown(u, s, longestOutput), s)
		bar := out.x + 20 + math.Max(10, names)
		c.fill(bar, y-4, 50, 8, blend(c.colors.grid, c.background, 0.6))
		c.fill(bar, y-4, 50*math.Min(1, p), 8, c.good)
		c.text(bar+54, y+2.8, share(p, r.Softmax), style{size: 7.5, color: c.muted})
	}
	r.reveal(c, 306)
}

// lamp is the colour of a unit from 0 (off) to 1 (on): that of a digit's ink. Units that can be negative are red then.
func (c *colors) lamp(v float64) color.RGBA {
	if v < 0 {
		return c.diverging(v)
	}
	return c.digit(math.Min(1, v))
}

// reveal draws one unit taken apart.
func (r *Activations) reveal(c *canvas, y float64) {
	v := &r.Reveal
	c.heading(y, fmt.Sprintf("Unit %d of layer %d", v.Unit, v.layer), "weights × pixels, added up")
	y += 12
	cell := fit(r.Rows, r.Cols, 112)
	w, h := float64(r.Cols)*cell, float64(r.Rows)*cell
	limit := largest(v.Weights)
	const gap = 26.
	c.weights(0, y, cell, r.Rows, r.Cols, v.Weights, limit)
	c.picture(w+gap, y, cell, r.Rows, r.Cols, r.Picture.Pixels)
	c.grid(2*(w+gap), y, cell, r.Rows, r.Cols, func(i int) color.RGBA { return c.diverging(ratio(v.Products[i], limit)) })
	sign := style{size: 16, align: centred, color: c.muted}
	c.text(w+gap/2, y+h/2+5, "×", sign)
	c.text(2*w+1.5*gap, y+h/2+5, "=", sign)
	c.legend(w/2-45, y+h+8, 90, "", limit)
	x := 3*w + 2*gap + 22
	for i, line := range []struct {
		name  string
		value float64
		bold  bool
	}{{"blue pixels", v.Positive, false}, {"red pixels", v.Negative, false}, {"bias", v.Bias, false}, {"enters the unit", v.Input, true}, {"leaves it", v.Output, true}} {
		ly := y + 26 + float64(i)*18
		if i == 3 {
			c.lines(c.muted, 0.7, x, ly-13, x+140, ly-13)
		}
		c.text(x, ly, line.name, style{size: 9, bold: line.bold})
		c.text(x+140, ly, signed("%+.2f", line.value), style{size: 9, bold: line.bold, align: right})
	}
}
