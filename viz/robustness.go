package viz

import (
	"context"
	"fmt"
	"image/color"
	"math"
	"runtime"
	"sync"

	"gonum.org/v1/plot"
	"gonum.org/v1/plot/plotter"
	"gonum.org/v1/plot/vg"
	"gonum.org/v1/plot/vg/draw"

	"vanilla/dataset"
	"vanilla/internal/words"
)

// Robustness is a network's accuracy on images that were moved, scaled, turned, and drawn with another pen.
type Robustness struct {
	Model string `json:"model"`
	// Classes are what the classes are called, if not by their numbers.
	Classes Classes `json:"classes,omitempty"`
	Rows    int     `json:"rows"`
	Cols    int     `json:"cols"`
	N       int     `json:"n"` // images
	// Shift is the largest shift, and Shifts the accuracies [down][right] by -Shift to Shift pixels.
	Shift  int         `json:"shift"`
	Shifts [][]float64 `json:"shifts"`
	// Sweeps are the other changes, one each.
	Sweeps []Sweep `json:"sweeps"`
	// Example is one image on its way through shifts to the right and the sweeps.
	Example Picture `json:"example"`
	Trials  []Trial `json:"trials"`
}

// Sweep is the accuracy over the steps of one change.
type Sweep struct {
	Name     string    `json:"name"`
	Unit     string    `json:"unit"`
	Amounts  []float64 `json:"amounts"`
	Accuracy []float64 `json:"accuracy"`
}

// Trial is what the example is taken for while it is changed more and more.
type Trial struct {
	Name       string    `json:"name"`
	Unit       string    `json:"unit"`
	Amounts    []float64 `json:"amounts"`
	Guesses    []int     `json:"guesses"`
	Confidence []float64 `json:"confidence"`
	// Fails is the first step whose guess is not the example's label, -1 if there is none.
	Fails  int `json:"fails"`
	images [][]byte
}

// The steps of the changes. Those in pixels are for images of 28 pixels and more; smaller ones are moved and thickened by
// as much of their side, at least by two pixels.
const (
	largestShift = 5
	usualSide    = 28
)

// shiftOf is the largest shift of images.
func shiftOf(rows, cols int) int {
	side := min(rows, cols)
	return min(largestShift, side-1, max(2, (largestShift*side+usualSide/2)/usualSide))
}

func scales() []float64    { return []float64{0.5, 0.6, 0.7, 0.8, 0.9, 1, 1.1, 1.2, 1.3, 1.4, 1.5} }
func rotations() []float64 { return []float64{-60, -50, -40, -30, -20, -10, 0, 10, 20, 30, 40, 50, 60} }
func strokes() []float64   { return []float64{-1.5, -1, -0.5, 0, 0.5, 1, 1.5, 2} }

// NewRobustness classifies a set of images, changed in every way. The example is one of its images, or another one of
// that size; if its label is not known, it fails where its guess is no longer the first one.
func NewRobustness(ctx context.Context, n Network, set *dataset.Images, example Picture) (*Robustness, error) {
	if err := checkSize(n, set.Rows, set.Cols); err != nil {
		return nil, err
	}
	shift := shiftOf(set.Rows, set.Cols)
	r := &Robustness{Model: n.Name(), Rows: set.Rows, Cols: set.Cols, N: set.Len(), Shift: shift, Example: example, Classes: n.ClassNames()}
	var jobs []job
	for dy := -shift; dy <= shift; dy++ {
		r.Shifts = append(r.Shifts, make([]float64, 2*shift+1))
		for dx := -shift; dx <= shift; dx++ {
			jobs = append(jobs, job{moved(dx, dy), &r.Shifts[dy+shift][dx+shift]})
		}
	}
	for _, s := range sweeps(set.Rows, set.Cols) {
		accuracy := make([]float64, len(s.amounts))
		for i, amount := range s.amounts {
			jobs = append(jobs, job{s.change(amount), &accuracy[i]})
		}
		r.Sweeps = append(r.Sweeps, Sweep{s.name, s.unit, s.amounts, accuracy})
	}
	if err := run(ctx, n, set, jobs); err != nil {
		return nil, err
	}
	return r, r.try(ctx, n)
}

// redraw makes one image from another.
type redraw func(to, from []byte)

// change is how images of rows x cols pixels are redrawn.
type change func(rows, cols int) redraw

// sweep is a change by amounts; those of the example's trial begin where nothing is changed.
type sweep struct {
	name, unit     string
	amounts, trial []float64
	change         func(amount float64) change
}

func sweeps(rows, cols int) []sweep {
	pens := func(amounts []float64) []float64 {
		for i, v := range amounts {
			amounts[i] = math.Round(100*v*min(1, float64(min(rows, cols))/usualSide)) / 100
		}
		return amounts
	}
	return []sweep{
		{"scale", "×", scales(), []float64{1, 0.9, 0.8, 0.7, 0.6, 0.5, 0.4, 0.3}, scaled},
		{"rotation", "°", rotations(), []float64{0, 10, 20, 30, 40, 50, 60, 70}, turned},
		{"stroke", "px", pens(strokes()), pens([]float64{0, 0.25, 0.5, 0.75, 1, 1.5, 2, 2.5}), thickened},
	}
}

// job is a change whose accuracy is wanted.
type job struct {
	change   change
	accuracy *float64
}

// run does jobs on all cores.
func run(ctx context.Context, n Network, set *dataset.Images, jobs []job) error {
	next := make(chan job, len(jobs))
	for _, j := range jobs {
		next <- j
	}
	close(next)
	workers := runtime.GOMAXPROCS(0)
	errs := make([]error, workers)
	var group sync.WaitGroup
	for w := range workers {
		group.Go(func() {
			pixels := make([]byte, len(set.Pixels))
			for j := range next {
				if errs[w] == nil {
					*j.accuracy, errs[w] = j.run(ctx, n, set, pixels)
				}
			}
		})
	}
	group.Wait()
	for _, err := range errs {
		if err != nil {
			return err
		}
	}
	return nil
}

func (j job) run(ctx context.Context, n Network, set *dataset.Images, pixels []byte) (float64, error) {
	size := set.Features()
	redraw := j.change(set.Rows, set.Cols)
	for i := range set.Len() {
		if ctx.Err() != nil {
			return 0, context.Cause(ctx)
		}
		redraw(pixels[i*size:(i+1)*size], set.Image(i))
	}
	guesses, err := n.Classify(ctx, pixels)
	if err != nil {
		return 0, err
	}
	right := 0
	for i, label := range set.Labels {
		if guesses[i] == label {
			right++
		}
	}
	return float64(right) / float64(set.Len()), nil
}

// moved shifts an image by whole pixels, right and down; what enters is black.
func moved(dx, dy int) change {
	return func(rows, cols int) redraw {
		return func(to, from []byte) {
			clear(to)
			for y := max(0, dy); y < min(rows, rows+dy); y++ {
				line := from[(y-dy)*cols : (y-dy+1)*cols]
				copy(to[y*cols+max(0, dx):(y+1)*cols], line[max(0, -dx):])
			}
		}
	}
}

// scaled makes an image larger around its middle.
func scaled(factor float64) change { return affine(1/factor, 0) }

// turned turns an image by degrees, clockwise.
func turned(degrees float64) change {
	sin, cos := math.Sincos(degrees * math.Pi / 180)
	return affine(cos, sin)
}

// source is a pixel that counts for another one, with a weight of 256ths.
type source struct{ pixel, weight int }

// affine takes each pixel from a place around the middle: (a·x + b·y, a·y - b·x), between pixels bilinearly. With 1, 0
// nothing changes.
func affine(a, b float64) change {
	return func(rows, cols int) redraw {
		my, mx := float64(rows-1)/2, float64(cols-1)/2
		sources := make([][]source, rows*cols)
		for i := range sources {
			y, x := float64(i/cols)-my, float64(i%cols)-mx
			sy, sx := a*y-b*x+my, a*x+b*y+mx
			for _, py := range []float64{math.Floor(sy), math.Floor(sy) + 1} {
				for _, px := range []float64{math.Floor(sx), math.Floor(sx) + 1} {
					weight := int(math.Round(256 * (1 - math.Abs(sy-py)) * (1 - math.Abs(sx-px))))
					if weight > 0 && py >= 0 && px >= 0 && py < float64(rows) && px < float64(cols) {
						sources[i] = append(sources[i], source{int(py)*cols + int(px), weight})
					}
				}
			}
		}
		return func(to, from []byte) {
			for i, all := range sources {
				sum := 128
				for _, s := range all {
					sum += s.weight * int(from[s.pixel])
				}
				to[i] = byte(min(sum>>8, 255))
			}
		}
	}
}

// neighbour is a pixel beside another one, with what its value counts.
type neighbour struct {
	dy, dx int
	weight float64
}

// thickened widens strokes by some pixels on either side, or thins them: each pixel is the largest one around it, of
// which those that are further away than the amount fade within a pixel. Thinning widens the background.
func thickened(amount float64) change {
	var around []neighbour
	reach := int(math.Ceil(math.Abs(amount))) + 1
	for dy := -reach; dy <= reach; dy++ {
		for dx := -reach; dx <= reach; dx++ {
			weight := math.Abs(amount) + 1 - math.Hypot(float64(dx), float64(dy))
			if weight = math.Min(weight, 1); weight > 0 {
				around = append(around, neighbour{dy, dx, weight})
			}
		}
	}
	if amount < 0 {
		return thinned(around)
	}
	return func(rows, cols int) redraw {
		return func(to, from []byte) {
			clear(to)
			for i, v := range from {
				if v == 0 {
					continue
				}
				for _, n := range around {
					y, x := i/cols+n.dy, i%cols+n.dx
					if y >= 0 && x >= 0 && y < rows && x < cols {
						to[y*cols+x] = max(to[y*cols+x], byte(n.weight*float64(v)+0.5))
					}
				}
			}
		}
	}
}

// thinned is thickened for the background, which goes on outside the image.
func thinned(around []neighbour) change {
	return func(rows, cols int) redraw {
		return func(to, from []byte) {
			for i, v := range from {
				to[i] = v
				if v == 0 {
					continue
				}
				for _, n := range around {
					background := 255.
					if y, x := i/cols+n.dy, i%cols+n.dx; y >= 0 && x >= 0 && y < rows && x < cols {
						background = float64(255 - from[y*cols+x])
					}
					to[i] = min(to[i], byte(255.5-n.weight*background))
				}
			}
		}
	}
}

// try changes the example until it is not recognised.
func (r *Robustness) try(ctx context.Context, n Network) error {
	shifts := sweep{name: "shift right", unit: "px", change: func(amount float64) change { return moved(int(amount), 0) }}
	for px := range min(8, max(2, r.Cols/2)+1) { // half an image still shows something
		shifts.trial = append(shifts.trial, float64(min(px, r.Cols)))
	}
	for _, s := range append([]sweep{shifts}, sweeps(r.Rows, r.Cols)...) {
		t := Trial{Name: s.name, Unit: s.unit, Amounts: s.trial, Fails: -1}
		var pixels []byte
		for _, amount := range s.trial {
			image := make([]byte, r.Rows*r.Cols)
			s.change(amount)(r.Rows, r.Cols)(image, r.Example.Pixels)
			t.images = append(t.images, image)
			pixels = append(pixels, image...)
		}
		p, err := n.Probabilities(ctx, pixels)
		if err != nil {
			return err
		}
		classes := n.Classes()
		for i := range s.trial {
			guess, confidence := top(p[i*classes : (i+1)*classes])
			t.Guesses, t.Confidence = append(t.Guesses, guess), append(t.Confidence, float64(confidence))
			want := r.Example.Label
			if want < 0 {
				want = t.Guesses[0]
			}
			if t.Fails < 0 && guess != want {
				t.Fails = i
			}
		}
		r.Trials = append(r.Trials, t)
	}
	return nil
}

const trialPitch = 52.

func (r *Robustness) page() page {
	return page{
		title:    "How little it takes: " + r.Model,
		subtitle: fmt.Sprintf("Accuracy on %s test images, changed; unchanged it is %.2f %%", words.Thousands(r.N), 100*r.Shifts[r.Shift][r.Shift]),
		caption: "A dense layer has weights of its own for each pixel: an image that is moved by a few of them meets weights that learned something else. " +
			"Below, one image on its way, framed where it is first taken for something else.",
		width: bodyWidth, height: 292 + 4*r.trialRow() + 6, body: r.draw,
	}
}

func (r *Robustness) draw(c *canvas, _ int) {
	n := 2*r.Shift + 1
	cell := fit(n, n, 216)
	x, y := 46., 40.
	c.text(x+float64(n)*cell/2, 8, "Shifted by pixels", style{size: 9.5, bold: true, align: centred})
	c.grid(x, y, cell, n, n, func(i int) color.RGBA { return c.amount(r.Shifts[i/n][i%n]) })
	small := style{size: 7.5, color: c.muted, align: centred}
	for i := range n {
		label := signed("%+.0f", float64(i-r.Shift))
		if i == r.Shift {
			label = "0"
		}
		c.text(x+(float64(i)+0.5)*cell, y-4, label, small)
		c.text(x-10, y+(float64(i)+0.5)*cell+2.6, label, small)
	}
	c.text(x+float64(n)*cell/2, y-15, "right", small)
	c.text(x-22, y+float64(n)*cell/2+2, "down", style{size: 7.5, color: c.muted, align: right})
	for i := range n * n {
		v := r.Shifts[i/n][i%n]
		s := style{size: 7, align: centred, color: contrast(c.amount(v))}
		if i == r.Shift*n+r.Shift {
			s.bold = true
		}
		if cell >= 14 {
			c.text(x+(float64(i%n)+0.5)*cell, y+(float64(i/n)+0.5)*cell+2.5, fmt.Sprintf("%.0f", 100*v), s)
		}
	}
	c.text(x+float64(n)*cell/2, y+float64(n)*cell+12, "accuracy in %", small)
	names := []string{"Scaled", "Turned clockwise", "Strokes wider on each side"}
	axes := []string{"factor", "degrees", "pixels"}
	for i, s := range r.Sweeps {
		c.plot(r.curve(c, names[i], axes[i], s), 300, float64(i)*91, 280, 91)
	}
	y = 292
	known := r.Example.Name
	if r.Example.Label >= 0 {
		known += ", " + r.Classes.article(r.Example.Label)
	}
	c.heading(y, "One image", known)
	y += 12
	tile := fit(r.Rows, r.Cols, trialPitch-8)
	for k, t := range r.Trials {
		y := y + float64(k)*r.trialRow()
		c.text(0, y+trialPitch/2-4, t.Name, style{size: 9})
		verdict := "never fails here"
		if t.Fails >= 0 {
			verdict = "fails at " + amountOf(t.Amounts[t.Fails], t.Unit)
		}
		c.text(0, y+trialPitch/2+8, verdict, style{size: 8, color: c.muted})
		for i, image := range t.images {
			x := 96 + float64(i)*(trialPitch+9)
			w, h := c.picture(x, y, tile, r.Rows, r.Cols, image)
			s := style{size: 7.5, align: right}
			if i == t.Fails {
				c.frame(snap(x), snap(y), w, h, c.bad, 2)
				s.bold, s.color = true, c.bad
			} else if t.Fails >= 0 && i > t.Fails {
				s.color = c.muted
			}
			c.text(x, y+h+10, amountOf(t.Amounts[i], t.Unit), style{size: 7, color: c.muted})
			if r.Classes == nil {
				c.text(x+w, y+h+10, fmt.Sprintf("“%d”", t.Guesses[i]), s)
				continue
			}
			s.align = 0 // names take a line of their own
			c.text(x, y+h+19, "“"+r.Classes.shown(t.Guesses[i], s, trialPitch-2)+"”", s)
		}
	}
}

// trialRow is the height of a trial, in which names take a line more than numbers.
func (r *Robustness) trialRow() float64 {
	if r.Classes != nil {
		return trialPitch + 22
	}
	return trialPitch + 13
}

// amountOf prints an amount with its unit.
func amountOf(v float64, unit string) string {
	switch unit {
	case "×":
		return fmt.Sprintf("×%.3g", v)
	case "°":
		return fmt.Sprintf("%.3g°", v)
	}
	return fmt.Sprintf("%.3g %s", v, unit)
}

// curve draws a sweep's accuracy.
func (r *Robustness) curve(c *canvas, title, axis string, s Sweep) *plot.Plot {
	p := c.newPlot("", title+" ("+axis+")", "accuracy, %")
	var points plotter.XYs
	for i, v := range s.Amounts {
		points = append(points, plotter.XY{X: v, Y: 100 * s.Accuracy[i]})
	}
	line, dots, _ := plotter.NewLinePoints(points)
	line.Color, line.Width = c.series[0], 1.5
	dots.GlyphStyle = draw.GlyphStyle{Color: c.series[0], Radius: 2, Shape: draw.CircleGlyph{}}
	grid := plotter.NewGrid()
	grid.Horizontal.Color, grid.Vertical.Color = c.colors.grid, color.Transparent
	grid.Horizontal.Width = vg.Points(0.5)
	p.Add(grid, line, dots)
	p.Y.Min, p.Y.Max = 0, 100
	p.Y.Tick.Marker = plot.ConstantTicks{{Value: 0, Label: "0"}, {Value: 50, Label: "50"}, {Value: 100, Label: "100"}}
	return p
}
