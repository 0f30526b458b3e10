package viz

import (
	"bufio"
	"bytes"
	"context"
	"fmt"
	"image"
	"image/color"
	"image/gif"
	"image/png"
	"io"
	"math"

	"gonum.org/v1/plot/vg"
	"gonum.org/v1/plot/vg/draw"
	"gonum.org/v1/plot/vg/vgimg"
	"gonum.org/v1/plot/vg/vgsvg"
)

// Figure is the numbers of a figure, which can be drawn.
type Figure interface{ page() page }

// page is how a figure is laid out.
type page struct {
	title, subtitle string
	// caption says what to notice.
	caption       string
	width, height float64 // of the body, in points
	// frames is how many images the figure moves through, 0 if it does not move, and movingHeight the body's height
	// then, if it is another one.
	frames       int
	movingHeight float64
	// body draws the figure with the upper left corner at x = 0, y = 0. What does not move ignores the frame, and
	// still means one that is to stand for all.
	body func(c *canvas, frame int)
}

// still is the frame that shows the whole course of what moves.
const still = -1

// Format is a file format.
type Format string

// The formats.
const (
	PNG Format = "png" // two pixels a point
	SVG Format = "svg"
	GIF Format = "gif" // of figures that move
)

// Moves says whether a figure can be written as a GIF.
func Moves(f Figure) bool { return f.page().frames > 0 }

// Write draws a figure. It fails if the format is GIF and the figure does not move, if w fails, and if ctx is done before
// the last frame is drawn; nothing is written then.
func Write(ctx context.Context, w io.Writer, f Figure, format Format, theme Theme) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	p := f.page()
	switch format {
	case PNG:
		return png.Encode(w, p.image(theme, still, pixelsPerPoint))
	case SVG:
		width, height := p.size(still)
		c := vgsvg.New(vg.Length(width), vg.Length(height))
		p.draw(c, theme, still)
		_, err := c.WriteTo(w)
		return err
	case GIF:
		if p.frames == 0 {
			return fmt.Errorf("expected a figure that moves for a %s, found one that does not", format)
		}
		return p.animate(ctx, w, theme)
	}
	return fmt.Errorf("expected the format png, svg or gif, found %q", format)
}

const (
	margin      = 20 // around a figure
	titleSize   = 14
	textSize    = 9
	aboveBody   = 14
	belowBody   = 20
	captionLead = 12.5 // distance of a caption's baselines
)

func (p *page) header() (subtitle []string, height float64) {
	subtitle = style{size: textSize}.wrap(p.subtitle, p.width)
	return subtitle, margin + titleSize + 4 + float64(len(subtitle))*captionLead + aboveBody
}

func (p *page) footer() (caption []string, height float64) {
	caption = style{size: textSize}.wrap(p.caption, p.width)
	return caption, belowBody + float64(len(caption)-1)*captionLead + margin
}

// bodyHeight is the body's height in a frame.
func (p *page) bodyHeight(frame int) float64 {
	if frame != still && p.movingHeight > 0 {
		return p.movingHeight
	}
	return p.height
}

// size is that of the whole figure, in points.
func (p *page) size(frame int) (w, h float64) {
	_, above := p.header()
	_, below := p.footer()
	return math.Ceil(p.width + 2*margin), math.Ceil(above + p.bodyHeight(frame) + below)
}

func (p *page) draw(target vg.CanvasSizer, theme Theme, frame int) {
	width, height := p.size(frame)
	c := &canvas{Canvas: draw.New(target), colors: theme.colors(), height: height}
	c.fill(0, 0, width, height, c.background)
	subtitle, above := p.header()
	title := style{size: titleSize, bold: true}
	c.text(margin, margin+titleSize-3, title.named(printable(p.title), p.width), title)
	for i, line := range subtitle {
		c.text(margin, margin+titleSize+12+float64(i)*captionLead, line, style{size: textSize, color: c.muted})
	}
	c.Push()
	c.Translate(vg.Point{X: margin, Y: -vg.Length(snap(above))})
	p.body(c, frame)
	c.Pop()
	caption, _ := p.footer()
	for i, line := range caption {
		c.text(margin, above+p.bodyHeight(frame)+belowBody+float64(i)*captionLead, line, style{size: textSize})
	}
}

// image draws a frame.
func (p *page) image(theme Theme, frame, resolution int) image.Image {
	const pointsPerInch = 72
	width, height := p.size(frame)
	c := vgimg.NewWith(vgimg.UseWH(vg.Length(width), vg.Length(height)), vgimg.UseDPI(pointsPerInch*resolution))
	p.draw(c, theme, frame)
	return c.Image()
}

const (
	frameTime = 8   // hundredths of a second
	holdTime  = 120 // of the first and the last frame
)

// animate writes the frames as a GIF that repeats. A GIF has 256 colours: those of the theme's scales and text.
func (p *page) animate(ctx context.Context, w io.Writer, theme Theme) error {
	colors := theme.colors()
	palette := colors.palette()
	nearest := map[color.RGBA]uint8{}
	var g gif.GIF
	var before *image.Paletted
	for frame := range p.frames {
		if err := ctx.Err(); err != nil {
			return err
		}
		drawn := p.image(theme, frame, pixelsPerPoint).(*image.RGBA)
		reduced := image.NewPaletted(drawn.Rect, palette)
		var last color.RGBA // of the pixel before, which most have too
		var index uint8
		for i := range reduced.Pix {
			if v := (color.RGBA{drawn.Pix[4*i], drawn.Pix[4*i+1], drawn.Pix[4*i+2], 255}); v != last {
				var known bool
				if index, known = nearest[v]; !known {
					index = uint8(palette.Index(v))
					nearest[v] = index
				}
				last = v
			}
			reduced.Pix[i] = index
		}
		delay := frameTime
		if frame == 0 || frame == p.frames-1 {
			delay = holdTime
		}
		g.Image = append(g.Image, changes(before, reduced))
		before = reduced
		g.Delay = append(g.Delay, delay)
		g.Disposal = append(g.Disposal, gif.DisposalNone)
	}
	g.Config = image.Config{ColorModel: palette, Width: g.Image[0].Rect.Dx(), Height: g.Image[0].Rect.Dy()}
	b := bufio.NewWriter(w)
	if err := gif.EncodeAll(b, &g); err != nil {
		return err
	}
	return b.Flush()
}

// changes is the part of a frame that differs from the one before it: all of the first one.
func changes(before, frame *image.Paletted) *image.Paletted {
	if before == nil {
		return frame
	}
	var changed image.Rectangle
	width := frame.Rect.Dx()
	for y := range frame.Rect.Dy() {
		old, row := before.Pix[y*width:][:width], frame.Pix[y*width:][:width]
		if bytes.Equal(old, row) {
			continue
		}
		left, right := 0, width
		for old[left] == row[left] {
			left++
		}
		for old[right-1] == row[right-1] {
			right--
		}
		changed = changed.Union(image.Rect(left, y, right, y+1))
	}
	if changed.Empty() { // a GIF has no empty frames
		changed = image.Rect(0, 0, 1, 1)
	}
	return frame.SubImage(changed).(*image.Paletted)
}

// palette is 256 colours: the diverging scale, the greys of digits and text, and the series with their shades.
func (c *colors) palette() color.Palette {
	var p color.Palette
	const shades = 96
	for i := range shades {
		p = append(p, c.diverging(2*float64(i)/(shades-1)-1))
	}
	const greys = 64
	for i := range greys {
		p = append(p, c.digit(float64(i)/(greys-1)))
	}
	for _, v := range []color.RGBA{c.background, c.ink, c.muted, c.grid} {
		p = append(p, v)
	}
	for _, v := range append([]color.RGBA{c.muted, c.good, c.bad}, c.series...) {
		for i := range 9 {
			p = append(p, blend(v, c.background, float64(i+1)/9))
		}
	}
	return p[:min(len(p), 256)]
}
