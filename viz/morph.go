package viz

import (
	"cmp"
	"context"
	"fmt"
	"image/color"
	"math"
	"slices"
	"unicode"
	"unicode/utf8"

	"gonum.org/v1/plot"
	"gonum.org/v1/plot/plotter"
	"gonum.org/v1/plot/vg"
)

// Morph is one image becoming another: x = (1-t)·from + t·to, for t from 0 to 1.
type Morph struct {
	Model string `json:"model"`
	// Classes are what the classes are called, if not by their numbers.
	Classes Classes `json:"classes,omitempty"`
	Rows    int     `json:"rows"`
	Cols    int     `json:"cols"`
	From    Picture `json:"from"`
	To      Picture `json:"to"`
	// T are the steps, Probabilities the outputs [step][class], Guesses the largest ones.
	T             []float64   `json:"t"`
	Probabilities [][]float32 `json:"probabilities"`
	Guesses       []int       `json:"guesses"`
	// Softmax says that they sum to 1; otherwise each is an output by itself.
	Softmax bool `json:"softmax"`
	// Flips are where the guess changes.
	Flips []Flip `json:"flips"`
	// Changed are the hidden units that change most, along the way and not only from one end to the other.
	Changed []Change `json:"changed"`
}

// Flip is a change of the guess between two steps.
type Flip struct {
	Step int `json:"step"` // the first one with the new guess
	From int `json:"from"`
	To   int `json:"to"`
	// T is where between the steps the guess changes, to a millionth; of several changes there, one.
	T float64 `json:"t"`
}

// Change is a hidden unit on the way.
type Change struct {
	Layer int `json:"layer"` // the pixels are layer 1
	Unit  int `json:"unit"`
	// Path is the sum of its activation's absolute changes from step to step.
	Path        float64   `json:"path"`
	Activations []float32 `json:"activations"`
}

const (
	morphSteps   = 41
	shownChanges = 6
)

// NewMorph runs a network on images between two.
func NewMorph(ctx context.Context, n Network, from, to Picture, rows, cols int) (*Morph, error) {
	if err := checkSize(n, rows, cols); err != nil {
		return nil, err
	}
	m := &Morph{Model: n.Name(), Rows: rows, Cols: cols, From: from, To: to, Softmax: n.Softmax(), Classes: n.ClassNames(), Flips: []Flip{}, Changed: []Change{}}
	for step := range morphSteps {
		t := float64(step) / (morphSteps - 1)
		_, a, err := n.Activate(ctx, m.at(t))
		if err != nil {
			return nil, err
		}
		if step == 0 {
			for k := range a[:len(a)-1] {
				for u := range a[k] {
					m.Changed = append(m.Changed, Change{Layer: k + 2, Unit: u})
				}
			}
		}
		p := a[len(a)-1]
		guess, _ := top(p)
		m.T, m.Probabilities, m.Guesses = append(m.T, t), append(m.Probabilities, p), append(m.Guesses, guess)
		for i := range m.Changed {
			c := &m.Changed[i]
			v := a[c.Layer-2][c.Unit]
			if step > 0 {
				c.Path += math.Abs(float64(v) - float64(c.Activations[step-1]))
			}
			c.Activations = append(c.Activations, v)
		}
		if step > 0 && guess != m.Guesses[step-1] {
			at, err := m.flip(ctx, n, m.T[step-1], t, m.Guesses[step-1])
			if err != nil {
				return nil, err
			}
			m.Flips = append(m.Flips, Flip{Step: step, From: m.Guesses[step-1], To: guess, T: at})
		}
	}
	slices.SortStableFunc(m.Changed, func(a, b Change) int { return cmp.Compare(b.Path, a.Path) })
	m.Changed = m.Changed[:min(len(m.Changed), shownChanges)]
	return m, nil
}

// at is the image at t.
func (m *Morph) at(t float64) []float32 {
	x := make([]float32, len(m.From.Pixels))
	for i := range x {
		x[i] = float32(((1-t)*float64(m.From.Pixels[i]) + t*float64(m.To.Pixels[i])) / 255)
	}
	return x
}

// flip halves the interval in which the guess stops being what it was.
func (m *Morph) flip(ctx context.Context, n Network, low, high float64, was int) (float64, error) {
	for high-low > 1e-6 {
		middle := (low + high) / 2
		_, a, err := n.Activate(ctx, m.at(middle))
		if err != nil {
			return 0, err
		}
		if guess, _ := top(a[len(a)-1]); guess == was {
			low = middle
		} else {
			high = middle
		}
	}
	return high, nil
}

func (m *Morph) page() page {
	subtitle := "The guess does not change."
	if len(m.Flips) > 0 {
		subtitle = "It changes its mind"
		for i, f := range m.Flips {
			if i > 0 {
				subtitle += ","
			}
			subtitle += fmt.Sprintf(" at t = %.2f from %s to %s", f.T, m.Classes.name(f.From), m.Classes.name(f.To))
		}
	}
	caption := "Every image on the way is a mixture of the two, with a share t of the second one. The image changes evenly. Dashed: where the guess flips."
	if len(m.Changed) > 0 {
		caption += " On the right, the hidden units that travel farthest."
	}
	return page{
		title:    fmt.Sprintf("%s becomes %s: %s", upper(m.shows(m.From)), m.shows(m.To), m.Model),
		subtitle: subtitle, caption: caption,
		width: bodyWidth, height: 86 + 230, frames: morphSteps, body: m.draw,
	}
}

// shows is what an image shows, if that is known.
func (m *Morph) shows(p Picture) string {
	if p.Label < 0 {
		return p.Name
	}
	return m.Classes.article(p.Label)
}

// upper writes the first letter of a sentence.
func upper(s string) string {
	first, size := utf8.DecodeRuneInString(s)
	return string(unicode.ToUpper(first)) + s[size:]
}

const morphTiles = 9

func (m *Morph) draw(c *canvas, frame int) {
	cell := fit(m.Rows, m.Cols, 56)
	pitch := (bodyWidth - float64(m.Cols)*cell) / (morphTiles - 1)
	for i := range morphTiles {
		step := i * (morphSteps - 1) / (morphTiles - 1)
		image := m.at(m.T[step])
		x := float64(i) * pitch
		w, h := c.grid(x, 0, cell, m.Rows, m.Cols, func(i int) color.RGBA { return c.digit(float64(image[i])) })
		guess := m.Guesses[step]
		c.text(x, h+10, fmt.Sprintf("t = %.2f", m.T[step]), style{size: 7, color: c.muted})
		s := style{size: 8, bold: true, align: right, color: c.ink}
		if m.Classes != nil { // which takes a line of its own
			s.align = 0
			c.text(x, h+19, "“"+m.Classes.shown(guess, s, pitch-11)+"”", s)
			continue
		}
		c.text(x+w, h+10, fmt.Sprintf("“%d”", guess), s)
	}
	width := 0.
	if frame != still {
		big := fit(m.Rows, m.Cols, 140)
		image := m.at(m.T[frame])
		_, h := c.grid(0, 100, big, m.Rows, m.Cols, func(i int) color.RGBA { return c.digit(float64(image[i])) })
		guess := m.Guesses[frame]
		c.text(0, 100+h+18, fmt.Sprintf("“%s”: %s", m.Classes.shown(guess, style{size: 12, bold: true}, 90), share(float64(m.Probabilities[frame][guess]), m.Softmax)), style{size: 12, bold: true})
		c.text(0, 100+h+32, fmt.Sprintf("t = %.3f", m.T[frame]), style{size: 9, color: c.muted})
		width = 155
	}
	each := (bodyWidth - width) / 2
	if len(m.Changed) == 0 {
		each *= 2
	}
	chances, classes := m.chances(c, frame)
	c.plotWithKey(chances, width, 86, each-6, 230, classes)
	if len(m.Changed) > 0 {
		travels, units := m.travels(c, frame)
		c.plotWithKey(travels, width+each+6, 86, each-6, 230, units)
	}
}

// chances draws the probabilities of the classes that ever have a share worth a line.
func (m *Morph) chances(c *canvas, frame int) (p *plot.Plot, key []string) {
	title := "Probabilities"
	if !m.Softmax {
		title = "Outputs"
	}
	p = c.newPlot(title, "t", "")
	most := 1.
	drawn := 0
	for class := range m.Probabilities[0] {
		var points plotter.XYs
		peak := 0.
		for i, row := range m.Probabilities {
			points = append(points, plotter.XY{X: m.T[i], Y: float64(row[class])})
			peak = math.Max(peak, float64(row[class]))
		}
		if peak < 0.05 || drawn == len(c.series) {
			continue
		}
		line, _ := plotter.NewLine(points)
		line.Color, line.Width = c.series[drawn], 2
		drawn++
		most = math.Max(most, peak)
		p.Add(line)
		key = append(key, m.Classes.shown(class, style{size: 8}, 60))
	}
	for _, f := range m.Flips {
		c.mark(p, f.T, most, c.muted)
	}
	c.now(p, m, frame, most)
	p.X.Min, p.X.Max, p.Y.Min, p.Y.Max = 0, 1, 0, most
	return p, key
}

// mark draws a dashed line upwards.
func (c *canvas) mark(p *plot.Plot, x, height float64, col color.Color) {
	line, _ := plotter.NewLine(plotter.XYs{{X: x, Y: 0}, {X: x, Y: height}})
	line.Color, line.Width, line.Dashes = col, 1, []vg.Length{3, 2}
	p.Add(line)
}

// now marks where the animation is.
func (c *canvas) now(p *plot.Plot, m *Morph, frame int, height float64) {
	if frame == still {
		return
	}
	line, _ := plotter.NewLine(plotter.XYs{{X: m.T[frame], Y: 0}, {X: m.T[frame], Y: height}})
	line.Color, line.Width = c.ink, 1.2
	p.Add(line)
}

// travels draws the activations of the units that change most.
func (m *Morph) travels(c *canvas, frame int) (p *plot.Plot, key []string) {
	p = c.newPlot("Hidden units (layer.unit)", "t", "activation")
	low, high := 0., 0.
	for i, u := range m.Changed {
		var points plotter.XYs
		for k, v := range u.Activations {
			points = append(points, plotter.XY{X: m.T[k], Y: float64(v)})
			low, high = math.Min(low, float64(v)), math.Max(high, float64(v))
		}
		line, _ := plotter.NewLine(points)
		line.Color, line.Width = c.series[i%len(c.series)], 1.6
		p.Add(line)
		key = append(key, fmt.Sprintf("%d.%d", u.Layer, u.Unit))
	}
	high = math.Max(high, low+1e-3)
	for _, f := range m.Flips {
		c.mark(p, f.T, high, c.muted)
	}
	c.now(p, m, frame, high)
	p.X.Min, p.X.Max, p.Y.Min, p.Y.Max = 0, 1, low, high
	return p, key
}
