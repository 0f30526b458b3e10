package viz

import (
	"image/color"
	"testing"
)

// What is drawn elsewhere has the colours of figures: at both ends, in the middle, and on the way.
func TestPalette(t *testing.T) {
	for _, theme := range []Theme{Light, Dark} {
		c, p := theme.colors(), theme.Palette()
		if len(p.Diverging) != 3*511 || len(p.Digit) != 3*256 || len(p.Series) != len(c.series) {
			t.Fatalf("%d diverging, %d digit, %d series", len(p.Diverging), len(p.Digit), len(p.Series))
		}
		at := func(table []byte, i int) color.RGBA { return color.RGBA{table[3*i], table[3*i+1], table[3*i+2], 255} }
		for i, v := range map[int]float64{0: -1, 255: 0, 300: 45. / 255, 510: 1} {
			if got, want := at(p.Diverging, i), c.diverging(v); got != want {
				t.Errorf("theme %d: %v is %v, want %v", theme, v, got, want)
			}
		}
		if got, want := at(p.Digit, 255), c.digit(1); got != want {
			t.Errorf("theme %d: ink is %v, want %v", theme, got, want)
		}
		if p.Positive != hex(at(p.Diverging, 510)) || p.Negative != hex(at(p.Diverging, 0)) || p.Ink != hex(c.ink) || p.Series[1] != "#e69f00" {
			t.Errorf("theme %d: %+v", theme, p)
		}
	}
}
