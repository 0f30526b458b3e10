package viz

import (
	"context"
	"fmt"
	"math"
	"math/cmplx"
	"slices"

	"gonum.org/v1/plot"
	"gonum.org/v1/plot/plotter"
	"gonum.org/v1/plot/vg"
	"gonum.org/v1/plot/vg/draw"

	"vanilla/internal/memory"
	"vanilla/internal/words"
	"vanilla/model"
)

// Blobs asks what the weight images look like: noise, blobs or edges, and how much of that is where they started.
type Blobs struct {
	Rows int `json:"rows"`
	Cols int `json:"cols"`
	// DeadPixels are zero in all training images: their weights never receive a gradient.
	DeadPixels int       `json:"dead_pixels"`
	Models     []Texture `json:"models"`
	dead       []bool
}

// Texture is what a network's weight images look like.
type Texture struct {
	Model   string  `json:"model"`
	Trained Summary `json:"trained"`
	// Start is the same of the untrained network; nil if nothing is known of it.
	Start *Summary `json:"start"`
}

// Summary is what one set of weight images looks like: the medians over units, and each unit's.
type Summary struct {
	Look
	Units []Look `json:"units"`
	// Spectrum is the mean power at 0, 1, 2, … periods across the image, in units of what white noise with the same
	// power in all has there. The mean is taken out, so that there is nothing at 0.
	Spectrum []float64 `json:"spectrum"`
	images   [][]float32
}

// Look is what a weight image looks like. White noise has a neighbour correlation of 0, a low-frequency share of as
// much as these frequencies are of all, and a centre share of a quarter.
type Look struct {
	// Neighbours is the correlation of pixels next to each other, horizontally and vertically: 0 for noise, 1 for what
	// is smooth.
	Neighbours float64 `json:"neighbours"`
	// Low is the share of power at waves of a quarter of the image and longer, on small images at longer ones.
	Low float64 `json:"low_frequency"`
	// Centre is the share of the squared weights in the middle half of the rows and columns.
	Centre float64 `json:"centre"`
	// Edge and Blob are how much of the image's variance the best single edge and the best single blob explain, over
	// places, sizes and, for edges, directions.
	Edge float64 `json:"edge"`
	Blob float64 `json:"blob"`
	// Dead is the share of the squared weights on dead pixels.
	Dead float64 `json:"dead"`
	// FromStart is the correlation with the start on dead pixels, and RMSDead the weights' root mean square there.
	// Without decay the first is 1: nothing has changed.
	FromStart float64 `json:"from_start"`
	RMSDead   float64 `json:"rms_dead"`
	RMSLive   float64 `json:"rms_live"`
}

// Start is the untrained network that a network began as, nil if nothing is known of it.
type Start []model.Layer

// NewBlobs looks at the first layers of networks and of their starts, one for each. Dead pixels are those for which
// training is 0 in all images [n, rows*cols].
func NewBlobs(ctx context.Context, networks []Network, starts []Start, training []byte, rows, cols int) (*Blobs, error) {
	b := &Blobs{Rows: rows, Cols: cols, dead: make([]bool, rows*cols)}
	for i := range b.dead {
		b.dead[i] = true
	}
	for i, v := range training {
		if v != 0 {
			b.dead[i%len(b.dead)] = false
		}
	}
	for _, d := range b.dead {
		if d {
			b.DeadPixels++
		}
	}
	if err := memory.Check("the templates of edges and blobs", 4*bankSize*uint64(rows*cols)); err != nil {
		return nil, err
	}
	bank := newBank(rows, cols)
	for i, n := range networks {
		if err := checkSize(n, rows, cols); err != nil {
			return nil, err
		}
		t := Texture{Model: n.Name()}
		k, err := first(n)
		if err != nil {
			return nil, err
		}
		seeing := n.Layers()[k]
		start := seeing
		if starts[i] != nil {
			start = starts[i][k]
			s, err := b.summary(ctx, bank, start, start)
			if err != nil {
				return nil, err
			}
			t.Start = &s
		}
		if t.Trained, err = b.summary(ctx, bank, seeing, start); err != nil {
			return nil, err
		}
		b.Models = append(b.Models, t)
	}
	return b, nil
}

// measuredUnits is how many of a layer's units are looked at, the first ones.
const measuredUnits = 64

func (b *Blobs) summary(ctx context.Context, bank *bank, l, start model.Layer) (s Summary, err error) {
	for j := range min(l.Out, measuredUnits) {
		if ctx.Err() != nil {
			return s, context.Cause(ctx)
		}
		w := l.Weight[j*l.In : (j+1)*l.In]
		s.images = append(s.images, w)
		look, power := b.look(bank, w, start.Weight[j*l.In:(j+1)*l.In])
		s.Units = append(s.Units, look)
		if s.Spectrum == nil {
			s.Spectrum = make([]float64, len(power))
		}
		for f, v := range power {
			s.Spectrum[f] += v
		}
	}
	for f := range s.Spectrum {
		s.Spectrum[f] /= float64(len(s.Units))
	}
	median := func(of func(Look) float64) float64 {
		var values []float64
		for _, u := range s.Units {
			values = append(values, of(u))
		}
		slices.Sort(values)
		n := len(values)
		return (values[(n-1)/2] + values[n/2]) / 2
	}
	s.Look = Look{
		Neighbours: median(func(l Look) float64 { return l.Neighbours }),
		Low:        median(func(l Look) float64 { return l.Low }),
		Centre:     median(func(l Look) float64 { return l.Centre }),
		Edge:       median(func(l Look) float64 { return l.Edge }),
		Blob:       median(func(l Look) float64 { return l.Blob }),
		Dead:       median(func(l Look) float64 { return l.Dead }),
		FromStart:  median(func(l Look) float64 { return l.FromStart }),
		RMSDead:    median(func(l Look) float64 { return l.RMSDead }),
		RMSLive:    median(func(l Look) float64 { return l.RMSLive }),
	}
	return s, nil
}

// lowest is how many periods across an image still count as low frequencies: four, or one for every seven pixels, since
// four periods are all that 8x8 pixels can show.
func (b *Blobs) lowest() int { return max(1, min(4, min(b.Rows, b.Cols)/7)) }

// look measures one weight image.
func (b *Blobs) look(bank *bank, w, start []float32) (l Look, spectrum []float64) {
	var total, centre, dead, live float64
	var w0, start0 []float32 // on dead pixels
	for i, v := range w {
		square := float64(v) * float64(v)
		total += square
		if r, c := i/b.Cols, i%b.Cols; 4*r >= b.Rows && 4*r < 3*b.Rows && 4*c >= b.Cols && 4*c < 3*b.Cols {
			centre += square
		}
		if b.dead[i] {
			dead += square
			w0, start0 = append(w0, v), append(start0, start[i])
		} else {
			live += square
		}
	}
	if total == 0 {
		return l, make([]float64, min(b.Rows, b.Cols)/2+1)
	}
	l.Centre, l.Dead = centre/total, dead/total
	if len(w0) > 0 {
		l.FromStart, l.RMSDead = correlation(w0, start0), math.Sqrt(dead/float64(len(w0)))
	}
	l.RMSLive = math.Sqrt(live / float64(max(1, len(w)-len(w0))))
	var left, next []float32 // pairs of neighbours
	for i, v := range w {
		if (i+1)%b.Cols != 0 {
			left, next = append(left, v), append(next, w[i+1])
		}
		if i+b.Cols < len(w) {
			left, next = append(left, v), append(next, w[i+b.Cols])
		}
	}
	if len(left) > 0 {
		l.Neighbours = correlation(left, next)
	}
	spectrum, counts := radialPower(w, b.Rows, b.Cols)
	sum, low, waves := 0., 0., 0
	for f, v := range spectrum {
		sum += v
		waves += counts[f]
		if f <= b.lowest() {
			low += v
		}
	}
	if sum > 0 {
		l.Low = low / sum
		for f := range spectrum {
			spectrum[f] /= sum * float64(counts[f]) / float64(waves)
		}
	}
	l.Edge, l.Blob = bank.best(bank.edges, w), bank.best(bank.blobs, w)
	return l, spectrum
}

// radialPower is an image's power by the number of periods across it, rounded, up to the highest that pixels can show
// in every direction, and how many waves have that number. The mean is taken out first.
func radialPower(w []float32, rows, cols int) (power []float64, waves []int) {
	mean := 0.
	for _, v := range w {
		mean += float64(v) / float64(len(w))
	}
	// One dimension after the other.
	lines := make([]complex128, rows*cols)
	across, down := roots(cols), roots(rows)
	for r := range rows {
		for k := range cols {
			for c := range cols {
				lines[r*cols+k] += complex(float64(w[r*cols+c])-mean, 0) * across[k*c%cols]
			}
		}
	}
	power, waves = make([]float64, min(rows, cols)/2+1), make([]int, min(rows, cols)/2+1)
	for k := range cols {
		for m := range rows {
			var v complex128
			for r := range rows {
				v += lines[r*cols+k] * down[m*r%rows]
			}
			fold := func(f, n int) float64 { return float64(min(f, n-f)) }
			if f := int(math.Round(math.Hypot(fold(m, rows), fold(k, cols)))); f < len(power) {
				power[f] += real(v)*real(v) + imag(v)*imag(v)
				waves[f]++
			}
		}
	}
	return power, waves
}

// roots are e^(-2πij/n) for j from 0 to n-1.
func roots(n int) []complex128 {
	all := make([]complex128, n)
	for j := range all {
		all[j] = cmplx.Rect(1, -2*math.Pi*float64(j)/float64(n))
	}
	return all
}

// bank holds templates of edges and blobs, each with mean 0 and length 1.
type bank struct{ edges, blobs [][]float32 }

const (
	deviations, positions, directions = 5, 13, 8

	bankSize = deviations * positions * positions * (1 + directions) // templates
)

// newBank makes templates for images of a size: a blob is a Gaussian, an edge its slope in one of eight directions;
// deviations are from a twentieth to a fifth of the image, centres lie a fourteenth apart.
func newBank(rows, cols int) *bank {
	b := &bank{}
	side := float64(max(rows, cols))
	for _, deviation := range [deviations]float64{side / 20, side / 14, side / 10, side / 7, side / 5} {
		for py := 1; py <= positions; py++ {
			for px := 1; px <= positions; px++ {
				cy, cx := float64(py*rows)/(positions+1)-0.5, float64(px*cols)/(positions+1)-0.5
				gaussian := func(i int) (g, dy, dx float64) {
					dy, dx = (float64(i/cols)-cy)/deviation, (float64(i%cols)-cx)/deviation
					return math.Exp(-(dy*dy + dx*dx) / 2), dy, dx
				}
				b.blobs = append(b.blobs, template(rows*cols, func(i int) float64 { g, _, _ := gaussian(i); return g }))
				for d := range directions {
					sin, cos := math.Sincos(math.Pi * float64(d) / directions)
					b.edges = append(b.edges, template(rows*cols, func(i int) float64 { g, dy, dx := gaussian(i); return g * (cos*dx + sin*dy) }))
				}
			}
		}
	}
	return b
}

func template(n int, of func(i int) float64) []float32 {
	values := make([]float64, n)
	mean := 0.
	for i := range values {
		values[i] = of(i)
		mean += values[i] / float64(n)
	}
	length := 0.
	for i := range values {
		values[i] -= mean
		length += values[i] * values[i]
	}
	t := make([]float32, n)
	if length > 0 {
		for i, v := range values {
			t[i] = float32(v / math.Sqrt(length))
		}
	}
	return t
}

// best is the share of an image's variance that the best of the templates explains.
func (b *bank) best(templates [][]float32, w []float32) float64 {
	mean, total := 0., 0.
	for _, v := range w {
		mean += float64(v) / float64(len(w))
	}
	for _, v := range w {
		total += (float64(v) - mean) * (float64(v) - mean)
	}
	if total == 0 {
		return 0
	}
	most := 0.
	for _, t := range templates {
		dot := float32(0)
		for i, v := range w {
			dot += v * t[i] // the template's mean is 0
		}
		most = math.Max(most, float64(dot)*float64(dot)/total)
	}
	return most
}

const (
	blobTile  = 60. // between tiles
	blobBlock = 162.
)

func (b *Blobs) page() page {
	long := "of a quarter of the image and longer"
	if n := b.lowest(); n < 4 {
		long = "with at most " + words.Plural(n, "period") + " across the image"
	}
	caption := "Neighbours: correlation of adjacent weights, 0 in noise. Low frequencies: share of power at waves " + long + ". Centre: share of the squared weights in the middle quarter. " +
		"Best edge, blob: variance that the best single edge or blob explains. " + fmt.Sprintf("Dead pixels: share of the squared weights on the %d pixels that are 0 in all training images; ", b.DeadPixels) +
		"they never get a gradient, and hold the start or what decay left of it."
	return page{
		title:    "Are they edges?",
		subtitle: "The first units of layer 2, untrained and trained, each on its own scale, and medians over all units",
		caption:  caption, width: bodyWidth, height: float64(len(b.Models))*blobBlock + 194, body: b.draw,
	}
}

// shownTiles is how many units each row of tiles shows.
const shownTiles = 5

func (b *Blobs) draw(c *canvas, _ int) {
	cell := fit(b.Rows, b.Cols, blobTile-3)
	for i, t := range b.Models {
		y := float64(i) * blobBlock
		c.text(0, y+8, t.Model, style{size: 10, bold: true})
		y += 16
		for k, s := range []*Summary{t.Start, &t.Trained} {
			row := y + float64(k)*(blobTile+6)
			c.text(0, row+blobTile/2, []string{"start", "trained"}[k], style{size: 8, color: c.muted})
			if s == nil {
				c.text(44, row+blobTile/2, "not known", style{size: 8, color: c.muted})
				continue
			}
			for u := range min(shownTiles, len(s.images)) {
				c.weights(44+float64(u)*blobTile, row, cell, b.Rows, b.Cols, s.images[u], largest(s.images[u]))
			}
		}
		b.table(c, 364, y, t)
	}
	y := float64(len(b.Models))*blobBlock + 4
	var names []string
	for _, t := range b.Models {
		names = append(names, t.Model)
	}
	c.plotWithKey(b.spectra(c), 0, y, 350, 190, names)
	c.plotWithKey(b.looks(c), 370, y, 210, 190, names)
}

// table writes a network's numbers.
func (b *Blobs) table(c *canvas, x, y float64, t Texture) {
	head := style{size: 8, color: c.muted, align: right}
	c.text(x+150, y+4, "start", head)
	c.text(x+215, y+4, "trained", head)
	for i, row := range []struct {
		name string
		of   func(Look) float64
		form string
	}{
		{"neighbours", func(l Look) float64 { return l.Neighbours }, "%.2f"},
		{"low frequencies", func(l Look) float64 { return 100 * l.Low }, "%.0f %%"},
		{"centre", func(l Look) float64 { return 100 * l.Centre }, "%.0f %%"},
		{"best edge", func(l Look) float64 { return 100 * l.Edge }, "%.0f %%"},
		{"best blob", func(l Look) float64 { return 100 * l.Blob }, "%.0f %%"},
		{"on dead pixels", func(l Look) float64 { return 100 * l.Dead }, "%.1f %%"},
		{"RMS on dead pixels", func(l Look) float64 { return l.RMSDead }, "%.3f"},
		{"RMS on live pixels", func(l Look) float64 { return l.RMSLive }, "%.3f"},
	} {
		ly := y + 18 + float64(i)*13.5
		c.lines(c.colors.grid, 0.5, x, ly-9.5, x+215, ly-9.5)
		c.text(x, ly, row.name, style{size: 8.5})
		if t.Start != nil {
			c.text(x+150, ly, signed(row.form, row.of(t.Start.Look)), style{size: 8.5, color: c.muted, align: right})
		}
		c.text(x+215, ly, signed(row.form, row.of(t.Trained.Look)), style{size: 8.5, bold: true, align: right})
	}
}

// spectra draws each network's power by frequency.
func (b *Blobs) spectra(c *canvas) *plot.Plot {
	p := c.newPlot("Power by frequency (dashed: noise)", "periods across the image", "power, relative to noise")
	p.X.Tick.Marker = wholeTicks{}
	highest := 1.
	for i, t := range b.Models {
		line, _ := plotter.NewLine(series(t.Trained.Spectrum))
		line.Color, line.Width = c.series[i%len(c.series)], 1.8
		p.Add(line)
		highest = max(highest, slices.Max(t.Trained.Spectrum))
	}
	level, _ := plotter.NewLine(plotter.XYs{{X: 1, Y: 1}, {X: float64(min(b.Rows, b.Cols) / 2), Y: 1}})
	level.Color, level.Width, level.Dashes = c.muted, 1, []vg.Length{3, 2}
	p.Add(level)
	p.X.Min, p.Y.Min, p.Y.Max = 1, 0, 1.05*highest
	return p
}

func series(values []float64) plotter.XYs {
	var points plotter.XYs
	for x, y := range values {
		if x > 0 { // the mean is taken out
			points = append(points, plotter.XY{X: float64(x), Y: y})
		}
	}
	return points
}

// looks draws each unit as a point: edge against blob.
func (b *Blobs) looks(c *canvas) *plot.Plot {
	p := c.newPlot("Edge or blob, unit by unit", "best blob explains", "best edge explains")
	limit := 0.1
	for i, t := range b.Models {
		var points plotter.XYs
		for _, u := range t.Trained.Units {
			points = append(points, plotter.XY{X: u.Blob, Y: u.Edge})
			limit = math.Max(limit, math.Max(u.Blob, u.Edge))
		}
		s, _ := plotter.NewScatter(points)
		s.GlyphStyle = draw.GlyphStyle{Color: c.series[i%len(c.series)], Radius: 2.2, Shape: draw.CircleGlyph{}}
		p.Add(s)
	}
	diagonal, _ := plotter.NewLine(plotter.XYs{{X: 0, Y: 0}, {X: limit, Y: limit}})
	diagonal.Color, diagonal.Dashes = c.muted, []vg.Length{2, 2}
	p.Add(diagonal)
	p.X.Min, p.Y.Min, p.X.Max, p.Y.Max = 0, 0, limit*1.05, limit*1.05
	return p
}
