package viz

import (
	"fmt"
	"image/color"
	"math"
	"strings"
)

// Heat is accuracy over two dimensions of a space: a cell for each pair of their values.
type Heat struct {
	About    string   `json:"about"`
	Accuracy string   `json:"accuracy"` // which one: "validation accuracy"
	Columns  string   `json:"columns"`  // the dimension from left to right
	Rows     string   `json:"rows"`     // the dimension from bottom to top
	ColumnOf []string `json:"column_values"`
	RowOf    []string `json:"row_values"`
	// Cells are row by row, the first row at the bottom; nil where nothing was tried or all diverged.
	Cells []*Cell `json:"cells"`
	// Marked is the index of the cell to mark, -1 for none, and Mark what it is.
	Marked int    `json:"marked"`
	Mark   string `json:"mark"`
	// Interaction says what the two do together beyond what each does, Sampling what else is uncertain than the seeds.
	Interaction string `json:"interaction"`
	Sampling    string `json:"sampling"`
}

// Cell is what networks with one pair of values reached.
type Cell struct {
	Mean float64  `json:"mean"`
	SD   *float64 `json:"sd"` // over networks (n-1), nil for one
	N    int      `json:"n"`
}

const (
	heatSide    = 430. // of the cells, at most
	heatAxis    = 18.  // for the name of the rows' dimension
	heatLongest = 150. // for the rows' values, at most
	heatScale   = 64.  // for the scale of colours
)

// heatTick is how the values of both dimensions are written.
var heatTick = style{size: 8}

// left is where the cells begin: after the widest of the rows' values, of which twoLines makes what is too wide.
func (h *Heat) left() float64 {
	widest := 0.
	for _, name := range h.RowOf {
		widest = math.Max(widest, heatTick.width(name))
	}
	return snap(heatAxis + math.Min(widest, heatLongest) + 7)
}

func (h *Heat) cell() (w, height float64) {
	w = math.Min(72, (bodyWidth-h.left()-heatScale)/float64(max(1, len(h.ColumnOf))))
	height = math.Min(math.Min(w, 46), heatSide/float64(max(1, len(h.RowOf))))
	return snap(w), snap(height)
}

func (h *Heat) page() page {
	_, ch := h.cell()
	caption := fmt.Sprintf("Each cell is the mean %s, in per cent, of the networks with these values", h.Accuracy)
	for _, c := range h.Cells {
		if c != nil && c.SD != nil {
			caption += ", ± one standard deviation (n−1) where it fits"
			break
		}
	}
	caption += ". Colours go by the error's logarithm."
	if h.Marked >= 0 {
		caption += " The frame marks " + h.Mark + "."
	}
	caption += sentence(h.Interaction) + sentence(h.Sampling)
	return page{
		title: fmt.Sprintf("%s by %s and %s", capital(h.Accuracy), h.Rows, h.Columns), subtitle: h.About, caption: caption,
		width: bodyWidth, height: float64(len(h.RowOf))*ch + 43, body: h.draw,
	}
}

func (h *Heat) draw(c *canvas, _ int) {
	cw, ch := h.cell()
	columns, rows := len(h.ColumnOf), len(h.RowOf)
	low, high := h.limits()
	shade := func(mean float64) color.RGBA { return heatColor(ratio(errorDigits(mean)-low, high-low)) }
	left := h.left()
	edge, bottom := left+float64(columns)*cw, float64(rows)*ch
	number := style{size: math.Min(9.5, math.Min(cw*0.27, ch*0.42)), align: centred}
	small := style{size: number.size * 0.72, align: centred}
	for i, v := range h.Cells {
		x, y := left+float64(i%columns)*cw, bottom-float64(i/columns+1)*ch
		if v == nil {
			c.lines(c.colors.grid, 0.5, x+cw*0.3, y+ch*0.5, x+cw*0.7, y+ch*0.5)
			continue
		}
		col := shade(v.Mean)
		c.fill(x+0.5, y+0.5, cw-1, ch-1, col)
		number.color, small.color = contrast(col), contrast(col)
		if number.size < 5 {
			continue
		}
		text := fmt.Sprintf("%.1f", 100*v.Mean)
		if v.SD != nil && ch >= 22 {
			c.text(x+cw/2, y+ch/2+0.5, text, number)
			c.text(x+cw/2, y+ch/2+0.5+number.size, fmt.Sprintf("±%.1f", 100**v.SD), small)
		} else {
			c.text(x+cw/2, y+ch/2+number.size*0.36, text, number)
		}
	}
	if h.Marked >= 0 {
		c.frame(left+float64(h.Marked%columns)*cw+1, bottom-float64(h.Marked/columns+1)*ch+1, cw-2, ch-2, c.series[5], 2)
	}
	tick := heatTick
	tick.color, tick.align = c.muted, centred
	for i, name := range h.ColumnOf {
		for k, line := range twoLines(name, tick, cw-2) {
			c.text(left+(float64(i)+0.5)*cw, bottom+12+9*float64(k), line, tick)
		}
	}
	c.text((left+edge)/2, bottom+36, h.Columns, style{size: 9, align: centred})
	tick.align = right
	for i, name := range h.RowOf {
		lines := twoLines(name, tick, left-heatAxis-5)
		for k, line := range lines {
			c.text(left-5, bottom-(float64(i)+0.5)*ch+3+9*(float64(k)-float64(len(lines)-1)/2), line, tick)
		}
	}
	c.rotated(9, bottom/2, h.Rows, style{size: 9, align: centred})
	if math.IsInf(low, 0) {
		return
	}
	// The scale, from the worst to the best.
	const steps = 64
	x, tall := edge+14, math.Min(bottom, 160)
	y := (bottom - tall) / 2
	for i := range steps {
		v := float64(i) / (steps - 1)
		c.fill(x, y+tall*(1-float64(i+1)/steps), 9, tall/steps+0.3, heatColor(v))
	}
	end := style{size: 7.5, color: c.muted}
	at := func(digits float64) string { return fmt.Sprintf("%.1f", 100*(1-math.Pow(10, -digits))) }
	c.text(x+13, y+6, at(high), end)
	c.text(x+13, y+tall/2+3, at((low+high)/2), end)
	c.text(x+13, y+tall, at(low), end)
}

// limits are the ends of the scale of colours, as errorDigits; infinite if there is no cell.
func (h *Heat) limits() (low, high float64) {
	low, high = math.Inf(1), math.Inf(-1)
	for _, v := range h.Cells {
		if v != nil {
			low, high = math.Min(low, errorDigits(v.Mean)), math.Max(high, errorDigits(v.Mean))
		}
	}
	return low, high
}

// Color is the colour of a cell, and one that can be read on it, of all themes.
func (h *Heat) Color(c *Cell) (background, text color.RGBA) {
	low, high := h.limits()
	background = heatColor(ratio(errorDigits(c.Mean)-low, high-low))
	return background, contrast(background)
}

// heatColor is the colour of v from 0 (worst) to 1 (best), steadily lighter in OKLab from dark blue to yellow, so that the
// order is seen without hue too.
func heatColor(v float64) color.RGBA {
	stops := []oklab{lch(0.30, 0.10, 285), lch(0.47, 0.10, 245), lch(0.64, 0.10, 195), lch(0.80, 0.13, 140), lch(0.94, 0.15, 105)}
	v = math.Max(0, math.Min(v, 1)) * float64(len(stops)-1)
	i := min(int(v), len(stops)-2)
	return stops[i].to(stops[i+1], v-float64(i)).rgba()
}

// twoLines is a name on one line or, where it is a range that is wider than the space for it, its ends on two.
func twoLines(name string, s style, width float64) []string {
	if low, high, ranged := strings.Cut(name, "–"); ranged && s.width(name) > width {
		return []string{s.cut(low+"–", width), s.cut(high, width)}
	}
	return []string{s.cut(name, width)}
}
