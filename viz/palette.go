package viz

import (
	"fmt"
	"image/color"
)

// Palette is a theme's colours for what draws elsewhere, in CSS's notation (#rrggbb).
type Palette struct {
	Background, Ink, Muted, Grid, Good, Bad string
	// Positive and Negative are the ends of the diverging scale.
	Positive, Negative string
	// Series tell lines apart.
	Series []string
	// Diverging are the colours of -1 to 1, Digit those of a pixel from 0 to 255, three bytes (red, green, blue) for each
	// of 511 and 256 equal steps.
	Diverging, Digit []byte
}

// Palette returns the colours that the theme's figures are drawn in.
func (t Theme) Palette() Palette {
	c := t.colors()
	p := Palette{
		Background: hex(c.background), Ink: hex(c.ink), Muted: hex(c.muted), Grid: hex(c.grid), Good: hex(c.good), Bad: hex(c.bad),
		Positive: hex(c.diverging(1)), Negative: hex(c.diverging(-1)),
	}
	for _, s := range c.series {
		p.Series = append(p.Series, hex(s))
	}
	for v := -255; v <= 255; v++ {
		d := c.diverging(float64(v) / 255)
		p.Diverging = append(p.Diverging, d.R, d.G, d.B)
	}
	for v := range 256 {
		d := c.digit(float64(v) / 255)
		p.Digit = append(p.Digit, d.R, d.G, d.B)
	}
	return p
}

func hex(c color.RGBA) string { return fmt.Sprintf("#%02x%02x%02x", c.R, c.G, c.B) }
