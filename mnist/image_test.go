package mnist

import (
	"bytes"
	"image"
	"image/color"
	"math"
	"math/rand/v2"
	"strings"
	"testing"

	"vanilla/dataset"
)

// restored is how far, in the root of the mean square, a digit may be from itself after it was made a picture and read
// back. Enlarging by squares and reducing again blurs edges, and digits are little but edges: 8 to 11 grey levels. Where
// a side or the centre lies between two whole pixels, it may come back on the other side: up to 25. TestFromImage holds
// that digits of other classes are at least twice as far.
const restored = 30

// drawDigit draws a 28x28 digit into a picture, factor times as large, with its first pixel at (left, top): ink on paper.
func drawDigit(picture *image.NRGBA, digit []byte, left, top, factor int, ink color.NRGBA) {
	mix := func(a, b byte, v byte) byte { return byte((int(a)*int(v) + int(b)*(255-int(v))) / 255) }
	for y := range 28 * factor {
		for x := range 28 * factor {
			v := digit[y/factor*28+x/factor]
			paper := picture.NRGBAAt(left+x, top+y)
			if paper.A == 0 { // glass has no colour to mix with
				paper = color.NRGBA{ink.R, ink.G, ink.B, 0}
			}
			picture.SetNRGBA(left+x, top+y, color.NRGBA{mix(ink.R, paper.R, v), mix(ink.G, paper.G, v), mix(ink.B, paper.B, v), mix(ink.A, paper.A, v)})
		}
	}
}

func paper(w, h int, c color.NRGBA) *image.NRGBA {
	p := image.NewNRGBA(image.Rect(0, 0, w, h))
	for y := range h {
		for x := range w {
			p.SetNRGBA(x, y, c)
		}
	}
	return p
}

// distance is the root of the mean square difference between two 28x28 images, one shifted by up to a pixel so that it
// is smallest.
func distance(a, b []byte) float64 {
	least := math.Inf(1)
	for _, shift := range []int{0, -1, 1, -28, 28, -29, -27, 27, 29} {
		sum := 0.
		for i := range a {
			d := float64(a[i])
			if j := i + shift; j >= 0 && j < len(b) {
				d -= float64(b[j])
			}
			sum += d * d
		}
		least = min(least, math.Sqrt(sum/float64(len(a))))
	}
	return least
}

// digits are the first ten test images.
func digits(t *testing.T) *dataset.Images {
	t.Helper()
	d, err := Embedded()
	if err != nil {
		t.Fatal(err)
	}
	return &dataset.Images{Pixels: d.Test.Pixels[:10*784], Labels: d.Test.Labels[:10], Rows: 28, Cols: 28, Classes: 10}
}

func TestFromImage(t *testing.T) {
	var (
		white       = color.NRGBA{255, 255, 255, 255}
		black       = color.NRGBA{0, 0, 0, 255}
		cream       = color.NRGBA{245, 235, 200, 255}
		navy        = color.NRGBA{20, 30, 90, 255}
		grey        = color.NRGBA{128, 128, 128, 255}
		yellow      = color.NRGBA{250, 240, 60, 255}
		transparent = color.NRGBA{}
	)
	ten := digits(t)
	for i := range ten.Len() {
		digit := ten.Image(i)
		for j := range ten.Len() {
			if d := distance(digit, ten.Image(j)); ten.Labels[i] != ten.Labels[j] && d < 2*restored {
				t.Errorf("digits %d and %d differ by only %.1f", i, j, d)
			}
		}
		for name, c := range map[string]struct {
			paper, ink   color.NRGBA
			left, top    int
			factor, size int
			grain        float64
		}{
			"as it is":            {black, white, 0, 0, 1, 28, 0},
			"inverted":            {white, black, 0, 0, 1, 28, 0},
			"shifted":             {black, white, 40, 3, 1, 80, 0},
			"10x, on cream":       {cream, navy, 130, 50, 10, 500, 0},
			"10x, yellow on navy": {navy, yellow, 0, 110, 10, 420, 0},
			"10x, light on grey":  {grey, yellow, 60, 70, 10, 400, 0},
			"10x, dark on grey":   {grey, navy, 60, 70, 10, 400, 0},
			"7x, black on glass":  {transparent, black, 10, 100, 7, 300, 0},
			"7x, white on glass":  {transparent, white, 10, 100, 7, 300, 0},
			"10x, on rough paper": {cream, navy, 130, 50, 10, 500, 3},
			"10x, rougher still":  {cream, navy, 130, 50, 10, 500, 12},
			"10x, hardly rough":   {cream, navy, 130, 50, 10, 500, 0.5},
		} {
			picture := paper(c.size, c.size, c.paper)
			drawDigit(picture, digit, c.left, c.top, c.factor, c.ink)
			grain := rand.New(rand.NewPCG(1, 2))
			for p := range picture.Pix {
				if c.grain > 0 && p%4 < 3 {
					picture.Pix[p] = byte(min(255, max(0, math.Round(float64(picture.Pix[p])+c.grain*grain.NormFloat64()))))
				}
			}
			got, err := FromImage(picture, 28, 28)
			if err != nil {
				t.Errorf("digit %d, %s: %v", i, name, err)
				continue
			}
			if d := distance(got, digit); d > restored {
				t.Errorf("digit %d, %s: differs by %.1f grey levels, want at most %v", i, name, d, restored)
			}
			// A part of a larger picture has its own origin.
			larger := image.NewNRGBA(picture.Rect.Inset(-5))
			for y := range c.size {
				copy(larger.Pix[larger.PixOffset(0, y):], picture.Pix[y*picture.Stride:][:picture.Stride])
			}
			if part, err := FromImage(larger.SubImage(picture.Rect), 28, 28); err != nil || !bytes.Equal(part, got) {
				t.Errorf("digit %d, %s: another result from a part of a picture: %v", i, name, err)
			}
		}
	}
}

// All ink stays in the box, which is in proportion to the image, and the strongest is 255.
func TestFromImageBox(t *testing.T) {
	digit := digits(t).Image(0)
	picture := paper(280, 280, color.NRGBA{0, 0, 0, 255})
	drawDigit(picture, digit, 0, 0, 10, color.NRGBA{255, 255, 255, 255})
	dot := paper(9, 9, color.NRGBA{0, 0, 0, 255})
	dot.SetNRGBA(0, 0, color.NRGBA{255, 255, 255, 255})
	line := paper(300, 9, color.NRGBA{255, 255, 255, 255})
	for x := range 200 {
		line.SetNRGBA(x, 4, color.NRGBA{0, 0, 0, 255})
	}
	thin := paper(1000, 1000, color.NRGBA{255, 255, 255, 255})
	for i := range 600 {
		thin.SetNRGBA(200+i, 100+i, color.NRGBA{0, 0, 0, 255})
	}
	for name, picture := range map[string]image.Image{"digit": picture, "dot": dot, "line": line, "thin": thin} {
		for _, size := range [][2]int{{28, 28}, {56, 56}, {20, 40}, {8, 8}, {1, 1}, {1, 9}, {5, 2}} {
			rows, cols := size[0], size[1]
			pixels, err := FromImage(picture, rows, cols)
			if err != nil || len(pixels) != rows*cols {
				t.Fatalf("%s as %dx%d: %d pixels, %v", name, rows, cols, len(pixels), err)
			}
			strongest := byte(0)
			top, bottom, left, right := rows, -1, cols, -1
			for i, v := range pixels {
				strongest = max(strongest, v)
				if v > 0 {
					top, bottom, left, right = min(top, i/cols), max(bottom, i/cols), min(left, i%cols), max(right, i%cols)
				}
			}
			height, width := bottom-top+1, right-left+1
			if strongest != 255 || float64(height) > max(1, math.Round(boxShare*float64(rows))) || float64(width) > max(1, math.Round(boxShare*float64(cols))) {
				t.Errorf("%s as %dx%d: ink of %dx%d, strongest %d", name, rows, cols, height, width, strongest)
			}
		}
	}
}

func TestFromImageErrors(t *testing.T) {
	grey := color.NRGBA{100, 100, 100, 255}
	faint := paper(20, 20, grey)
	faint.SetNRGBA(10, 10, color.NRGBA{100 + minContrast - 1, 100 + minContrast - 1, 100 + minContrast - 1, 255})
	specks := image.NewGray(image.Rect(0, 0, 6000, 6000)) // 300 pixels become one
	for _, p := range []image.Point{{0, 0}, {5999, 0}, {0, 5999}, {5999, 5999}} {
		specks.SetGray(p.X, p.Y, color.Gray{255})
	}
	for _, c := range []struct {
		picture    image.Image
		rows, cols int
		want       string
	}{
		{paper(20, 20, grey), 28, 28, "expected a digit, found a blank picture"},
		{paper(1, 1, grey), 28, 28, "found a blank picture"},
		{paper(20, 20, color.NRGBA{}), 28, 28, "found a blank picture"},
		{faint, 28, 28, "found a blank picture"},
		{specks, 28, 28, "found specks that vanish"},
		{image.NewGray(image.Rect(5, 5, 5, 9)), 28, 28, "found one without pixels"},
		{faint, 0, 28, "at least 1x1 pixels, found 0x28"},
		{faint, 28, -1, "at least 1x1 pixels, found 28x-1"},
	} {
		pixels, err := FromImage(c.picture, c.rows, c.cols)
		if err == nil || pixels != nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("found %v, want %s", err, c.want)
		}
	}
}

func TestPixels(t *testing.T) {
	picture := paper(3, 2, color.NRGBA{})
	picture.SetNRGBA(1, 0, color.NRGBA{200, 200, 200, 255})
	picture.SetNRGBA(2, 1, color.NRGBA{255, 0, 0, 255})
	// ITU-R BT.601 gives red 0.299 of the light.
	if pixels, err := Pixels(picture, 2, 3); err != nil || !bytes.Equal(pixels, []byte{0, 200, 0, 0, 0, 76}) {
		t.Errorf("found %v, %v", pixels, err)
	}
	if pixels, err := Pixels(picture, 3, 2); err == nil || pixels != nil || err.Error() != "expected 3x2 pixels (rows x columns), found 2x3" {
		t.Errorf("found %v, %v", pixels, err)
	}
}

// Whatever the picture, there is an image or an error.
func FuzzFromImage(f *testing.F) {
	f.Add([]byte{0, 0, 0, 0, 255, 0, 0, 0, 0}, byte(3), byte(28), byte(28))
	f.Fuzz(func(t *testing.T, pix []byte, width, rows, cols byte) {
		w := max(1, int(width))
		h := len(pix) / w
		picture := &image.Gray{Pix: pix, Stride: w, Rect: image.Rect(0, 0, w, h)}
		before := bytes.Clone(pix)
		pixels, err := FromImage(picture, int(rows), int(cols))
		if err == nil && len(pixels) != int(rows)*int(cols) || err != nil && pixels != nil {
			t.Fatalf("%d pixels, %v", len(pixels), err)
		}
		if !bytes.Equal(before, pix) {
			t.Fatal("the picture was changed")
		}
	})
}
