package viz

import (
	"image"
	"image/color"
	"math"
	"strings"
	"unicode"

	xfont "golang.org/x/image/font"
	"gonum.org/v1/plot"
	"gonum.org/v1/plot/font"
	"gonum.org/v1/plot/text"
	"gonum.org/v1/plot/vg"
	"gonum.org/v1/plot/vg/draw"
)

// canvas is what figures are drawn on: points from the upper left corner, x to the right and y down. What is drawn on it
// comes out in any format that gonum's vg has a canvas for.
type canvas struct {
	draw.Canvas
	colors
	height float64
}

// pixelsPerPoint is the resolution of pixel formats: figures are laid out in points, of which a screen shows one in a
// pixel, and drawn with twice as many.
const pixelsPerPoint = 2

func (c *canvas) at(x, y float64) vg.Point {
	return vg.Point{X: vg.Length(x), Y: vg.Length(c.height - y)}
}

// fill fills a rectangle.
func (c *canvas) fill(x, y, w, h float64, col color.Color) {
	if w <= 0 || h <= 0 {
		return
	}
	c.FillPolygon(col, []vg.Point{c.at(x, y), c.at(x+w, y), c.at(x+w, y+h), c.at(x, y+h)})
}

// frame draws a rectangle's outline, around it.
func (c *canvas) frame(x, y, w, h float64, col color.Color, width float64) {
	o := width / 2
	x, y, w, h = x-o, y-o, w+width, h+width
	c.lines(col, width, x, y, x+w, y, x+w, y+h, x, y+h, x, y-o)
}

// lines connects points x, y.
func (c *canvas) lines(col color.Color, width float64, xy ...float64) {
	var points []vg.Point
	for i := 0; i < len(xy); i += 2 {
		points = append(points, c.at(xy[i], xy[i+1]))
	}
	c.StrokeLines(draw.LineStyle{Color: col, Width: vg.Length(width)}, points)
}

// disc draws a filled circle with an outline.
func (c *canvas) disc(x, y, r float64, fill, line color.Color, width float64) {
	p := c.at(x, y)
	var path vg.Path
	path.Move(vg.Point{X: p.X + vg.Length(r), Y: p.Y})
	path.Arc(p, vg.Length(r), 0, 2*math.Pi)
	path.Close()
	c.SetColor(fill)
	c.Fill(path)
	c.SetLineStyle(draw.LineStyle{Color: line, Width: vg.Length(width)})
	c.Stroke(path)
}

// style is how text looks.
type style struct {
	size float64 // points
	bold bool
	// align says where x is: at the text's left end (the default), centre or right end.
	align draw.XAlignment
	color color.Color // nil for ink
}

// The places of x in a text.
const (
	centred = draw.XCenter
	right   = draw.XRight
)

func (s style) text(ink color.Color) text.Style {
	f := font.Font{Typeface: plot.DefaultFont.Typeface, Variant: "Sans", Size: vg.Length(s.size)}
	if s.bold {
		f.Weight = xfont.WeightBold
	}
	if s.color != nil {
		ink = s.color
	}
	return text.Style{Color: ink, Font: f, XAlign: s.align, YAlign: draw.YBottom, Handler: plot.DefaultTextHandler}
}

func (s style) width(t string) float64 { return float64(s.text(color.Black).Width(t)) }

// text writes one line whose baseline is at y.
func (c *canvas) text(x, y float64, t string, s style) {
	if t != "" {
		c.FillText(s.text(c.ink), c.at(x, y), printable(t))
	}
}

// printable is the text without what XML does not allow in an SVG, and fonts do not show: names of files may hold anything.
func printable(t string) string {
	return strings.Map(func(r rune) rune {
		if unicode.IsControl(r) || r == 0xfffe || r == 0xffff {
			return unicode.ReplacementChar
		}
		return r
	}, t)
}

// cut is the text, or as much of it as fits in a width and an ellipsis.
func (s style) cut(t string, width float64) string {
	if s.width(t) <= width {
		return t
	}
	runes := []rune(t)
	for len(runes) > 0 && s.width(string(runes)+"…") > width {
		runes = runes[:len(runes)-1]
	}
	return string(runes) + "…"
}

// named is a title that ends in a file's name, as in "Mistakes: models/m.safetensors", cut to a width: of a long path its end
// says most.
func (s style) named(title string, width float64) string {
	head, name, two := strings.Cut(title, ": ")
	if s.width(title) <= width || !two {
		return s.cut(title, width)
	}
	runes := []rune(name)
	for len(runes) > 0 && s.width(head+": …"+string(runes)) > width {
		runes = runes[1:]
	}
	return s.cut(head+": …"+string(runes), width)
}

// rotated writes one line upwards, centred at y, with its baseline at x.
func (c *canvas) rotated(x, y float64, t string, s style) {
	if t == "" {
		return
	}
	up := s.text(c.ink)
	up.Rotation = math.Pi / 2
	c.FillText(up, c.at(x, y), printable(t))
}

// wrap breaks text into lines of a width.
func (s style) wrap(t string, width float64) []string {
	var lines []string
	for paragraph := range strings.SplitSeq(t, "\n") {
		line := ""
		for word := range strings.FieldsSeq(paragraph) {
			if next := strings.TrimPrefix(line+" "+word, " "); line == "" || s.width(next) <= width {
				line = next
				continue
			}
			lines = append(lines, line)
			line = word
		}
		lines = append(lines, line)
	}
	return lines
}

// fit is the largest cell, in points, whose edges fall on pixels and with which rows x cols cells are not larger than
// side; one pixel at least.
func fit(rows, cols int, side float64) float64 {
	return math.Max(1, math.Floor(side*pixelsPerPoint/float64(max(rows, cols)))) / pixelsPerPoint
}

// snap moves a coordinate to the edge of a pixel.
func snap(x float64) float64 { return math.Round(x*pixelsPerPoint) / pixelsPerPoint }

// grid draws rows x cols cells, each of one colour, with a thin line around them. Cells are sharp: their edges fall on
// pixels. It returns the size.
func (c *canvas) grid(x, y, cell float64, rows, cols int, of func(i int) color.RGBA) (w, h float64) {
	n := int(math.Round(cell * pixelsPerPoint))
	picture := image.NewRGBA(image.Rect(0, 0, cols*n, rows*n))
	for i := range rows * cols {
		v := of(i)
		for dy := range n {
			for dx := range n {
				picture.SetRGBA(i%cols*n+dx, i/cols*n+dy, v)
			}
		}
	}
	x, y = snap(x), snap(y)
	w, h = float64(cols)*cell, float64(rows)*cell
	c.DrawImage(vg.Rectangle{Min: c.at(x, y+h), Max: c.at(x+w, y)}, picture)
	c.frame(x, y, w, h, c.colors.grid, 0.5)
	return w, h
}

// weights draws values as a diverging image, with its scale's ends at ±scale.
func (c *canvas) weights(x, y, cell float64, rows, cols int, values []float32, scale float64) (w, h float64) {
	return c.grid(x, y, cell, rows, cols, func(i int) color.RGBA { return c.diverging(ratio(float64(values[i]), scale)) })
}

// ratio is v / scale, 0 where the scale is.
func ratio(v, scale float64) float64 {
	if scale == 0 {
		return 0
	}
	return v / scale
}

// picture draws an image of bytes.
func (c *canvas) picture(x, y, cell float64, rows, cols int, pixels []byte) (w, h float64) {
	return c.grid(x, y, cell, rows, cols, func(i int) color.RGBA { return c.digit(float64(pixels[i]) / 255) })
}

// legend draws the diverging scale from -scale to scale, x its left end and y its upper edge.
func (c *canvas) legend(x, y, width float64, what string, scale float64) {
	n := int(width * pixelsPerPoint / 2)
	c.grid(x, y, 1, 7, n, func(i int) color.RGBA { return c.diverging(2*float64(i%n)/float64(n-1) - 1) })
	small := style{size: 7.5, color: c.muted}
	end := style{size: 7.5, color: c.muted, align: right}
	mid := style{size: 7.5, color: c.muted, align: centred}
	number := "%+.3g"
	c.text(x, y+16, signed(number, -scale), small)
	c.text(x+width/2, y+16, "0", mid)
	c.text(x+width, y+16, signed(number, scale), end)
	c.text(x-6, y+6.5, what, end)
}

// heading writes a section's title and, under it, what it shows.
func (c *canvas) heading(y float64, title, about string) {
	bold := style{size: 9.5, bold: true}
	c.text(0, y, title, bold)
	c.text(bold.width(title)+8, y, about, style{size: 8.5, color: c.muted})
}

// plot draws a plot of gonum's in a rectangle.
func (c *canvas) plot(p *plot.Plot, x, y, w, h float64) {
	p.Draw(draw.Canvas{Canvas: c.Canvas.Canvas, Rectangle: vg.Rectangle{Min: c.at(x, y+h), Max: c.at(x+w, y)}})
}

// plotWithKey draws a plot whose title goes above a row of names, each beside a line in its series' colour.
func (c *canvas) plotWithKey(p *plot.Plot, x, y, w, h float64, names []string) {
	if len(names) == 0 {
		c.plot(p, x, y, w, h)
		return
	}
	c.text(x+w/2, y+9, p.Title.Text, style{size: 9, bold: true, align: centred})
	p.Title.Text = ""
	const swatch = 12.
	s := style{size: 8}
	total, gap := 0., 9.
	for _, name := range names {
		total += swatch + 3 + s.width(name)
	}
	if n := float64(len(names) - 1); n > 0 {
		gap = math.Max(3, math.Min(gap, (w-total)/n))
		total += n * gap
	}
	left := x + math.Max(0, (w-total)/2)
	for i, name := range names {
		c.lines(c.series[i%len(c.series)], 2, left, y+19.5, left+swatch, y+19.5)
		c.text(left+swatch+3, y+22, name, s)
		left += swatch + 3 + s.width(name) + gap
	}
	c.plot(p, x, y+28, w, h-28)
}

// newPlot is an empty plot in the theme's colours.
func (c *canvas) newPlot(title, x, y string) *plot.Plot {
	p := plot.New()
	p.BackgroundColor = color.Transparent
	p.Title.Text, p.X.Label.Text, p.Y.Label.Text = title, x, y
	p.Title.TextStyle = style{size: 9, bold: true, align: centred}.text(c.ink)
	p.Title.TextStyle.YAlign = draw.YTop
	p.Title.Padding = 4
	for _, a := range []*plot.Axis{&p.X, &p.Y} {
		label, ticks := a.Label.TextStyle, a.Tick.Label
		a.Label.TextStyle = style{size: 8}.text(c.ink)
		a.Tick.Label = style{size: 7.5}.text(c.muted)
		a.Label.TextStyle.XAlign, a.Label.TextStyle.YAlign, a.Label.TextStyle.Rotation = label.XAlign, label.YAlign, label.Rotation
		a.Tick.Label.XAlign, a.Tick.Label.YAlign, a.Tick.Label.Rotation = ticks.XAlign, ticks.YAlign, ticks.Rotation
		a.Color, a.Width = c.muted, 0.5
		a.Tick.Color, a.Tick.Width, a.Tick.Length = c.muted, 0.5, 3
		a.Padding = 2
		a.Tick.Marker = minusTicks{a.Tick.Marker}
	}
	return p
}

// minusTicks labels negative numbers with a minus sign in place of a hyphen.
type minusTicks struct{ plot.Ticker }

// Ticks implements plot.Ticker.
func (m minusTicks) Ticks(low, high float64) []plot.Tick {
	ticks := m.Ticker.Ticks(low, high)
	for i, t := range ticks {
		ticks[i].Label = strings.Replace(t.Label, "-", "−", 1)
	}
	return ticks
}
