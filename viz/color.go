package viz

import (
	"image/color"
	"math"
)

// Theme is what a figure is drawn on.
type Theme int

// The themes.
const (
	Light Theme = iota // on white, for paper
	Dark               // on near-black, for slides
)

// colors are a theme's colours. positive and negative are equally light and equally colourful, so that neither looks
// like more than the other, and differ in what all kinds of colour blindness leave: blue and red.
type colors struct {
	background, ink, muted, grid, good, bad color.RGBA
	neutral, positive, negative             oklab
	// series tell lines apart: Okabe and Ito's colours, but for those that do not stand out from the background.
	series []color.RGBA
}

func (t Theme) colors() colors {
	if t == Dark {
		return colors{
			background: color.RGBA{0x11, 0x13, 0x16, 255},
			ink:        color.RGBA{0xec, 0xee, 0xf1, 255},
			muted:      color.RGBA{0xa3, 0xa9, 0xb2, 255},
			grid:       color.RGBA{0x3a, 0x3f, 0x46, 255},
			good:       color.RGBA{86, 180, 233, 255},
			bad:        color.RGBA{240, 120, 100, 255},
			neutral:    oklab{L: 0.17},
			positive:   lch(0.74, 0.125, 250),
			negative:   lch(0.74, 0.125, 27),
			series: []color.RGBA{{86, 180, 233, 255}, {230, 159, 0, 255}, {0, 178, 135, 255}, {224, 141, 187, 255},
				{240, 228, 66, 255}, {235, 110, 40, 255}, {190, 190, 190, 255}},
		}
	}
	return colors{
		background: color.RGBA{255, 255, 255, 255},
		ink:        color.RGBA{0x1b, 0x1d, 0x21, 255},
		muted:      color.RGBA{0x5c, 0x62, 0x6b, 255},
		grid:       color.RGBA{0xd5, 0xd9, 0xde, 255},
		good:       color.RGBA{0, 114, 178, 255},
		bad:        color.RGBA{200, 50, 40, 255},
		neutral:    oklab{L: 1},
		positive:   lch(0.45, 0.15, 255),
		negative:   lch(0.45, 0.15, 27),
		series: []color.RGBA{{0, 114, 178, 255}, {230, 159, 0, 255}, {0, 158, 115, 255}, {204, 121, 167, 255},
			{86, 180, 233, 255}, {213, 94, 0, 255}, {90, 90, 90, 255}},
	}
}

// diverging is the colour of v from -1 (red) over 0 (neutral) to 1 (blue), on a straight line in OKLab: equal
// differences of v look equally large. Values beyond get the end's colour; NaN gets the middle's.
func (c *colors) diverging(v float64) color.RGBA {
	end := c.positive
	if v < 0 {
		end = c.negative
	}
	return c.neutral.to(end, math.Min(math.Abs(v), 1)).rgba()
}

// amount is the colour of v from 0 (neutral) to 1: the blue half.
func (c *colors) amount(v float64) color.RGBA { return c.diverging(math.Max(v, 0)) }

// digit is the colour of an image's pixel from 0 to 1: ink on paper, or light on black.
func (c *colors) digit(v float64) color.RGBA {
	paper, ink := oklab{L: 1}, oklab{L: 0.15}
	if c.neutral.L < 0.5 {
		paper, ink = c.neutral, oklab{L: 0.97}
	}
	return paper.to(ink, math.Max(0, math.Min(v, 1))).rgba()
}

// contrast is black or white, whichever can be read on a colour.
func contrast(on color.RGBA) color.RGBA {
	if oklabOf(on).L > 0.57 { // half-way between the two
		return color.RGBA{0x1b, 0x1d, 0x21, 255}
	}
	return color.RGBA{0xe0, 0xe2, 0xe6, 255}
}

// blend is a over b, opaque.
func blend(a, b color.RGBA, share float64) color.RGBA {
	mix := func(p, q uint8) uint8 { return uint8(math.Round(share*float64(p) + (1-share)*float64(q))) }
	return color.RGBA{mix(a.R, b.R), mix(a.G, b.G), mix(a.B, b.B), 255}
}

// oklab is a colour in Björn Ottosson's OKLab (https://bottosson.github.io/posts/oklab): lightness L from 0 to 1, and
// two axes of colour. Distances are as large as they look.
type oklab struct{ L, A, B float64 }

// lch is a colour by lightness, chroma and hue in degrees.
func lch(l, chroma, hue float64) oklab {
	sin, cos := math.Sincos(hue * math.Pi / 180)
	return oklab{l, chroma * cos, chroma * sin}
}

func (o oklab) to(end oklab, share float64) oklab {
	if math.IsNaN(share) {
		share = 0
	}
	return oklab{o.L + share*(end.L-o.L), o.A + share*(end.A-o.A), o.B + share*(end.B-o.B)}
}

func (o oklab) rgba() color.RGBA {
	cube := func(v float64) float64 { return v * v * v }
	l := cube(o.L + 0.3963377774*o.A + 0.2158037573*o.B)
	m := cube(o.L - 0.1055613458*o.A - 0.0638541728*o.B)
	s := cube(o.L - 0.0894841775*o.A - 1.2914855480*o.B)
	return color.RGBA{
		gamma(4.0767416621*l - 3.3077115913*m + 0.2309699292*s),
		gamma(-1.2684380046*l + 2.6097574011*m - 0.3413193965*s),
		gamma(-0.0041960863*l - 0.7034186147*m + 1.7076147010*s),
		255,
	}
}

// gamma encodes linear light as sRGB does (IEC 61966-2-1).
func gamma(v float64) uint8 {
	v = math.Max(0, math.Min(v, 1))
	if v <= 0.0031308 {
		v *= 12.92
	} else {
		v = 1.055*math.Pow(v, 1/2.4) - 0.055
	}
	return uint8(math.Round(255 * v))
}

// oklabOf is the inverse of rgba.
func oklabOf(c color.RGBA) oklab {
	linear := func(b uint8) float64 {
		v := float64(b) / 255
		if v <= 0.04045 {
			return v / 12.92
		}
		return math.Pow((v+0.055)/1.055, 2.4)
	}
	r, g, b := linear(c.R), linear(c.G), linear(c.B)
	l := math.Cbrt(0.4122214708*r + 0.5363325363*g + 0.0514459929*b)
	m := math.Cbrt(0.2119034982*r + 0.6806995451*g + 0.1073969566*b)
	s := math.Cbrt(0.0883024619*r + 0.2817188376*g + 0.6299787005*b)
	return oklab{
		0.2104542553*l + 0.7936177850*m - 0.0040720468*s,
		1.9779984951*l - 2.4285922050*m + 0.4505937099*s,
		0.0259040371*l + 0.7827717662*m - 0.8086757660*s,
	}
}
