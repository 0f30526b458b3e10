package mnist

import (
	"bytes"
	"image"
	"image/color"
	"math/rand/v2"
	"strings"
	"testing"
)

// What shows neither frame nor sheet goes FromImage's way, to the byte: MNIST's own test images, and drawings of them in
// ink on paper. One image in 10,000 is taken for a sheet.
func TestFromPhotoOfDrawings(t *testing.T) {
	data, err := Embedded()
	if err != nil {
		t.Fatal(err)
	}
	const few = 2000
	different := 0
	for i := range few {
		digit := &image.Gray{Pix: data.Test.Image(i), Stride: 28, Rect: image.Rect(0, 0, 28, 28)}
		pictures := []image.Image{digit}
		if i%100 == 0 {
			drawn := paper(400, 300, color.NRGBA{250, 245, 230, 255})
			drawDigit(drawn, digit.Pix, 60, 10, 9, color.NRGBA{20, 30, 90, 255})
			pictures = append(pictures, drawn)
		}
		for _, p := range pictures {
			got, _, err := FromPhoto(p, 28, 28)
			if err != nil {
				t.Fatal(err)
			}
			want, err := FromImage(p, 28, 28)
			if err != nil {
				t.Fatal(err)
			}
			if !bytes.Equal(got, want) {
				different++
			}
		}
	}
	if different > 1 {
		t.Errorf("%d of %d test images are not as FromImage makes them", different, few)
	}
}

// Of MNIST's own test images, at most 1 % raise a doubt of any kind. Every fifth is measured for what costs most.
func TestDoubtsOfTestImages(t *testing.T) {
	data, err := Embedded()
	if err != nil {
		t.Fatal(err)
	}
	known := NewLikeness(data.Train)
	const every = 20
	doubted, unlike := 0, 0
	for i := range data.Test.Len() {
		pixels, doubts, err := FromPhoto(&image.Gray{Pix: data.Test.Image(i), Stride: 28, Rect: image.Rect(0, 0, 28, 28)}, 28, 28)
		if err != nil {
			t.Fatal(err)
		}
		switch {
		case len(doubts) > 0, known.filledShare(pixels) > known.filled, known.roughness(pixels) > known.rough:
			doubted++
		case i%every == 0 && known.Of(pixels) < Unlike:
			unlike++
		}
	}
	share := float64(doubted)/float64(data.Test.Len()) + float64(unlike*every)/float64(data.Test.Len())
	t.Logf("%d of %d by their ink, its area or its edges, %d of every %dth by their shape: %.2f %%", doubted, data.Test.Len(), unlike, every, 100*share)
	if share > 0.01 {
		t.Errorf("%.2f %% of the test images raise a doubt, want at most 1 %%", 100*share)
	}
}

func TestDoubts(t *testing.T) {
	data, err := Embedded()
	if err != nil {
		t.Fatal(err)
	}
	known := NewLikeness(data.Train)
	beside := func(a, b []byte, down bool) image.Image {
		w, h := 58, 28
		if down {
			w, h = h, w
		}
		g := image.NewGray(image.Rect(0, 0, w, h))
		for i, v := range a {
			g.Pix[i/28*g.Stride+i%28] = v
			at := i/28*g.Stride + i%28 + 30
			if down {
				at = (i/28+30)*g.Stride + i%28
			}
			g.Pix[at] = b[i]
		}
		return g
	}
	random := rand.New(rand.NewPCG(1, 2))
	two, n := 0, 200
	for range n {
		a, b := data.Test.Image(random.IntN(data.Test.Len())), data.Test.Image(random.IntN(data.Test.Len()))
		for _, down := range []bool{false, true} {
			_, doubts, err := FromPhoto(beside(a, b, down), 28, 28)
			if err != nil {
				t.Fatal(err)
			}
			if len(doubts) > 0 {
				two++
			}
		}
	}
	if float64(two) < 0.8*float64(2*n) {
		t.Errorf("of %d pictures of two digits %d raise a doubt", 2*n, two)
	}
	sheet := image.NewGray(image.Rect(0, 0, 240, 180))
	for i := range 48 {
		for k, v := range data.Test.Image(i) {
			sheet.Pix[(i/8*30+k/28)*sheet.Stride+i%8*30+k%28] = v
		}
	}
	if _, doubts, err := FromPhoto(sheet, 28, 28); err != nil || len(doubts) != 1 || !strings.Contains(doubts[0], "are they many digits") {
		t.Errorf("a sheet of 48 digits: %q, %v", doubts, err)
	}
	shape := func(of func(x, y int) bool) *image.Gray {
		g := image.NewGray(image.Rect(0, 0, 200, 200))
		for i := range g.Pix {
			if of(i%200-100, i/200-100) {
				g.Pix[i] = 255
			}
		}
		return g
	}
	far := func(x, y int) int { return max(x, -x, y, -y) }
	_, doubts, err := FromPhoto(shape(func(x, y int) bool {
		return far(x, y) > 60 && far(x, y) < 70 || far(x, y) < 30 && (y < -20 || x > y-5 && x < y+5)
	}), 28, 28)
	if err != nil || len(doubts) != 1 || doubts[0] != "the ink runs all round: is there a frame around the digit?" {
		t.Errorf("a boxed digit: %q, %v", doubts, err)
	}
	for name, of := range map[string]func(x, y int) bool{
		"a square":          func(x, y int) bool { return far(x, y) > 60 && far(x, y) < 75 },
		"an X":              func(x, y int) bool { return far(x, y) < 70 && (max(x-y, y-x) < 14 || max(x+y, -x-y) < 14) },
		"a horizontal line": func(x, y int) bool { return max(y, -y) < 8 && max(x, -x) < 80 },
	} {
		pixels, _, err := FromPhoto(shape(of), 28, 28)
		if err != nil {
			t.Fatal(err)
		}
		if l := known.Of(pixels); l >= Unlike {
			t.Errorf("%s is like a digit by %.2f", name, l)
		}
	}
	for name, of := range map[string]func(x, y int) bool{
		"a filled square":   func(x, y int) bool { return far(x, y) < 60 },
		"a disc":            func(x, y int) bool { return x*x+y*y < 60*60 },
		"a filled triangle": func(x, y int) bool { return max(y, -y) < 60 && 2*max(x, -x) < y+60 },
	} {
		pixels, _, err := FromPhoto(shape(of), 28, 28)
		if err != nil {
			t.Fatal(err)
		}
		if d := known.Doubt(pixels); !strings.Contains(d, "filled") {
			t.Errorf("%s: found the doubt %q", name, d)
		}
	}
	for name, level := range map[string]func() byte{
		"noise of all levels":   func() byte { return byte(random.IntN(256)) },
		"dots":                  func() byte { return byte(255 * (random.IntN(5) / 4)) },
		"noise around one grey": func() byte { return byte(min(max(128+60*random.NormFloat64(), 0), 255)) },
	} {
		g := image.NewGray(image.Rect(0, 0, 28, 28))
		for i := range g.Pix {
			g.Pix[i] = level()
		}
		pixels, _, err := FromPhoto(g, 28, 28)
		if err != nil {
			t.Fatal(err)
		}
		if d := known.Doubt(pixels); !strings.Contains(d, "noise") {
			t.Errorf("%s: found the doubt %q", name, d)
		}
	}
	if l := known.Of(data.Train.Image(7)); l < 1-1e-9 {
		t.Errorf("a training image is like itself by %v", l)
	}
	if l := known.Of(make([]byte, 784)); l != 0 {
		t.Errorf("nothing is like a digit by %v", l)
	}
}
