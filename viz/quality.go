package viz

import (
	"fmt"
	"image/color"
	"math"
	"slices"
	"strings"

	"vanilla/infer/quality"
	"vanilla/internal/words"
)

// Quality is how sure networks are, what they get right of each class, and which of their hidden units do nothing.
type Quality struct {
	// Classes are what the classes are called, if not by their numbers.
	Classes  Classes    `json:"classes,omitempty"`
	Networks []Measured `json:"networks"`
}

// Measured is a network's quality.
type Measured struct {
	Model string `json:"model"`
	*quality.Quality
}

// The places of the parts.
const (
	qualityPlot   = 236. // the reliability curve's side
	qualityLeft   = 34.  // of it
	qualityTop    = 30.
	qualityShares = 64. // the height of the histogram
	qualityGap    = 16.
	qualityRight  = 330. // where the classes begin
	unitRow       = 17.
	mostSquares   = 120 // hidden units that are drawn one by one
)

func (q *Quality) page() page {
	p := page{width: bodyWidth, body: q.draw, title: "How sure, and how right"}
	p.height = qualityTop + qualityPlot + qualityGap + qualityShares + 62 + float64(max(1, q.layers()))*unitRow
	if len(q.Networks) == 1 {
		p.title += ": " + q.Networks[0].Model
	}
	var each, single, unknown []string
	for _, n := range q.Networks {
		text := percent(n.Accuracy) + " of the images right"
		if len(q.Networks) > 1 {
			text = n.Model + " " + text
		}
		if c := n.Calibration; c != nil {
			text += fmt.Sprintf(", %s sure in the mean, expected calibration error %s (%s by chance)", percent(c.Confidence), percent(c.Error), percent(c.ByChance))
			if !n.Softmax {
				single = append(single, n.Model)
			}
		} else {
			unknown = append(unknown, n.Model)
		}
		each = append(each, text)
	}
	p.subtitle = strings.Join(each, "\n")
	p.caption = "Left: of the images of which a network is so sure, how many it gets right, with 95 % intervals (dashed: as many as it says), and below how many images these are. " +
		"Right: recall is the part of a class's images that is taken for it, precision the part of what is taken for it that is of it. Bottom: a unit is dead if what leaves it is the same for every image."
	if single != nil {
		p.caption += fmt.Sprintf(" How sure %s is, is the largest output: each is an estimate by itself, and they do not sum to 1.", strings.Join(single, " or "))
	}
	if unknown != nil {
		p.caption += fmt.Sprintf(" The outputs of %s are not from 0 to 1 and do not say how sure it is.", strings.Join(unknown, " and "))
	}
	return p
}

// layers counts the rows of hidden units.
func (q *Quality) layers() (n int) {
	for _, m := range q.Networks {
		n += len(m.Hidden)
	}
	return n
}

func (q *Quality) hue(c *canvas, network int) color.RGBA { return c.series[network%len(c.series)] }

func (q *Quality) draw(c *canvas, _ int) {
	c.text(0, 8, "How often it is right", style{size: 9.5, bold: true})
	c.text(qualityRight, 8, "Each class", style{size: 9.5, bold: true})
	if len(q.Networks) > 1 {
		q.key(c, style{size: 9.5, bold: true}.width("How often it is right")+10)
	}
	q.reliability(c, qualityLeft, qualityTop)
	q.classes(c, qualityRight, qualityTop, qualityPlot+qualityGap+qualityShares)
	q.units(c, qualityTop+qualityPlot+qualityGap+qualityShares+62)
}

// key names the networks, each in its colour.
func (q *Quality) key(c *canvas, x float64) {
	s := style{size: 8}
	left := qualityRight - 12 - x
	for i, n := range q.Networks {
		name := s.cut(n.Model, left/float64(len(q.Networks))-20)
		c.lines(q.hue(c, i), 2, x, 5.5, x+10, 5.5)
		c.text(x+13, 8, name, s)
		x += 13 + s.width(name) + 8
	}
}

// reliability draws accuracy against confidence, and how many images there are of each confidence.
func (q *Quality) reliability(c *canvas, x, y float64) {
	if !slices.ContainsFunc(q.Networks, func(n Measured) bool { return n.Calibration != nil }) {
		c.text(0, y+6, "Not known: the outputs are not from 0 to 1,", style{size: 8, color: c.muted})
		c.text(0, y+17, "and do not say how sure the network is.", style{size: 8, color: c.muted})
		return
	}
	end := style{size: 7.5, color: c.muted, align: right}
	at := func(confidence, accuracy float64) (float64, float64) {
		return x + confidence*qualityPlot, y + (1-accuracy)*qualityPlot
	}
	for k := range 5 {
		v := float64(k) / 4
		px, py := at(v, v)
		c.lines(c.colors.grid, 0.5, px, y, px, y+qualityPlot)
		c.lines(c.colors.grid, 0.5, x, py, x+qualityPlot, py)
		c.text(x-5, py+2.7, fmt.Sprintf("%.0f %%", 100*v), end)
	}
	const dashes = 40
	for k := range dashes {
		x0, y0 := at(float64(k)/dashes, float64(k)/dashes)
		x1, y1 := at((float64(k)+0.5)/dashes, (float64(k)+0.5)/dashes)
		c.lines(c.muted, 0.7, x0, y0, x1, y1)
	}
	for i, n := range q.Networks {
		if n.Calibration == nil {
			continue
		}
		hue := q.hue(c, i)
		var line []float64
		for _, b := range n.Calibration.Bins {
			if b.N == 0 {
				continue
			}
			px, py := at(b.Confidence, b.Accuracy)
			line = append(line, px, py)
			low, high := b.Interval()
			_, from := at(0, low)
			_, to := at(0, high)
			c.lines(blend(hue, c.background, 0.45), 1, px, from, px, to)
		}
		c.lines(hue, 1.5, line...)
		for k := 0; k < len(line); k += 2 {
			c.disc(line[k], line[k+1], 2, hue, hue, 0.5)
		}
	}
	q.shares(c, x, y+qualityPlot+qualityGap)
}

// shares draws how many images there are of each confidence.
func (q *Quality) shares(c *canvas, x, y float64) {
	small := style{size: 7.5, color: c.muted, align: centred}
	most := 0.
	var drawn []int
	for i, n := range q.Networks {
		if n.Calibration == nil {
			continue
		}
		drawn = append(drawn, i)
		for _, b := range n.Calibration.Bins {
			most = math.Max(most, float64(b.N)/float64(n.N))
		}
	}
	for k, i := range drawn {
		n := q.Networks[i]
		for _, b := range n.Calibration.Bins {
			each := (b.To - b.From) * qualityPlot / float64(len(drawn))
			h := ratio(float64(b.N)/float64(n.N), most) * qualityShares
			c.fill(x+b.From*qualityPlot+float64(k)*each+0.5, y+qualityShares-h, each-1, h, q.hue(c, i))
		}
	}
	bottom := y + qualityShares
	c.lines(c.muted, 0.5, x, bottom, x+qualityPlot, bottom)
	c.text(x-5, y+6, percent(most), style{size: 7.5, color: c.muted, align: right})
	for k := range 5 {
		v := float64(k) / 4
		c.text(x+v*qualityPlot, bottom+10, fmt.Sprintf("%.0f %%", 100*v), small)
	}
	c.text(x+qualityPlot/2, bottom+20, "how sure it is, and how many images that are", small)
}

// classes draws the recall and the precision of each class.
func (q *Quality) classes(c *canvas, x, y, h float64) {
	n := 0
	least := 1.
	for _, m := range q.Networks {
		n = max(n, len(m.Recall))
		for _, list := range [][]*float64{m.Recall, m.Precision} {
			for _, v := range list {
				if v != nil {
					least = math.Min(least, *v)
				}
			}
		}
	}
	least = math.Min(0.95, math.Floor(20*least)/20)
	name := style{size: 8}
	label := 8 + q.Classes.widest(n, name, longestBeside)
	w := bodyWidth - x - label - 12
	at := func(v float64) float64 { return x + label + (v-least)/(1-least)*w }
	small := style{size: 7.5, color: c.muted, align: centred}
	for k := range 5 {
		v := least + (1-least)*float64(k)/4
		c.lines(c.colors.grid, 0.5, at(v), y, at(v), y+h)
		c.text(at(v), y+h+10, strings.TrimSuffix(fmt.Sprintf("%.1f", 100*v), ".0")+" %", small)
	}
	ink := style{size: 8, color: c.muted}
	c.disc(x+label+4, y-9, 2.4, c.muted, c.muted, 0.8)
	c.text(x+label+10, y-6, "recall", ink)
	c.disc(x+label+50, y-9, 2.4, c.background, c.muted, 0.8)
	c.text(x+label+56, y-6, "precision", ink)
	step := math.Min(60, h/float64(n))
	size := math.Max(0.8, math.Min(2.6, step/float64(len(q.Networks))/2.6))
	for class := range n {
		if step >= 8 {
			c.text(x, y+(float64(class)+0.5)*step+2.7, q.Classes.shown(class, name, longestBeside), name)
		}
		for i, m := range q.Networks {
			if class >= len(m.Recall) {
				continue
			}
			hue := q.hue(c, i)
			cy := y + (float64(class)+(float64(i)+1)/float64(len(q.Networks)+1))*step
			recall, precision := m.Recall[class], m.Precision[class]
			if recall != nil && precision != nil {
				c.lines(blend(hue, c.background, 0.45), 1, at(*recall), cy, at(*precision), cy)
			}
			if precision != nil {
				c.disc(at(*precision), cy, size, c.background, hue, 0.9)
			}
			if recall != nil {
				c.disc(at(*recall), cy, size, hue, hue, 0.9)
			}
		}
	}
}

// units draws the hidden units; the dead ones are filled.
func (q *Quality) units(c *canvas, y float64) {
	c.text(0, y-12, "Hidden units", style{size: 9.5, bold: true})
	if q.layers() == 0 {
		c.text(0, y+5, "None with an activation function.", style{size: 8, color: c.muted})
	}
	about := style{size: 8}
	left := 110.
	if len(q.Networks) > 1 {
		left = 210
	}
	for i, n := range q.Networks {
		for _, l := range n.Hidden {
			name := l.Title()
			if len(q.Networks) > 1 {
				name = about.cut(n.Model, 100) + " " + name
			}
			c.text(0, y+7, fmt.Sprintf("%s: %s of %s dead", name, words.Thousands(len(l.Dead)), words.Thousands(l.Units)), about)
			q.layer(c, left, y, l, q.hue(c, i))
			y += unitRow
		}
	}
}

// layer draws a square for each unit or, of many, a bar with the dead ones' share.
func (q *Quality) layer(c *canvas, x, y float64, l quality.Layer, hue color.RGBA) {
	width := bodyWidth - x
	alive := blend(hue, c.background, 0.45)
	if l.Units > mostSquares {
		c.fill(x, y, width, 9, alive)
		c.fill(x, y, width*float64(len(l.Dead))/float64(l.Units), 9, c.bad)
		return
	}
	dead := map[int]bool{}
	for _, u := range l.Dead {
		dead[u] = true
	}
	cell := math.Min(10, width/float64(l.Units))
	gap := math.Min(1.5, cell/4)
	for u := range l.Units {
		fill := alive
		if dead[u] {
			fill = c.bad
		}
		c.fill(x+float64(u)*cell, y, cell-gap, 9, fill)
	}
}
