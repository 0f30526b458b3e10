package viz

import (
	"bytes"
	"encoding/xml"
	"errors"
	"flag"
	"fmt"
	"image"
	"image/color"
	"image/gif"
	"image/png"
	"io"
	"math"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"vanilla/dataset"
	"vanilla/infer/quality"
)

var update = flag.Bool("update", false, "write the golden pictures anew")

// all are figures of all kinds.
func all(t *testing.T) map[string]Figure {
	t.Helper()
	n, set := bars(true), images(40)
	first := 0.6
	figures := map[string]Figure{
		"weights":     made[*Weights](t)(NewWeights(t.Context(), n, side, side, SharedScale)),
		"weights-own": made[*Weights](t)(NewWeights(t.Context(), shallow(), side, side, UnitScale)),
		"unit":        made[*UnitWeights](t)(NewUnitWeights(t.Context(), n, side, side, 1)),
		"blobs": made[*Blobs](t)(NewBlobs(t.Context(), []Network{n, shallow()}, []Start{{layer(side*side, classes, 1, 0.05)}, nil},
			set.Pixels, side, side)),
		"mistakes":    made[*Mistakes](t)(NewMistakes(t.Context(), []Network{shallow()}, set)),
		"noise":       made[*Noise](t)(NewNoise(t.Context(), n, set, 1)),
		"robustness":  made[*Robustness](t)(NewRobustness(t.Context(), n, set, picture(t, 1))),
		"activations": made[*Activations](t)(NewActivations(t.Context(), n, picture(t, 1), side, side, MostActive)),
		"morph":       made[*Morph](t)(NewMorph(t.Context(), n, picture(t, 0), picture(t, 3), side, side)),
		"dream":       made[*Dream](t)(NewDream(t.Context(), n, set, 1)),
		"training": made[*Training](t)(NewTraining(t.Context(), []Course{{Name: "a run", Epochs: []Epoch{{Epoch: 1, Step: 10, TrainLoss: &first}},
			Steps: []int{0, 10}, Networks: []Network{shallow(), shallow()}}}, set)),
		"quality":     &Quality{Classes: Classes{"top", "upper", "a lower bar", "bottom"}, Networks: []Measured{measured(t, n, set), measured(t, shallow(), set)}},
		"quality-own": &Quality{Networks: []Measured{{Model: "unbounded", Quality: quality.Of([]float32{2, 0, -1, 0.5}, []byte{0, 0}, 2, false)}}},
		"tradeoff":    tradeoff(),
		"heat":        heat(true),
		"heat-single": heat(false),
		"marginals":   marginals(),
		"rungs":       rungs(),
	}
	return figures
}

// measured is a network's quality, with hidden units that are dead.
func measured(t *testing.T, n Network, set *dataset.Images) Measured {
	t.Helper()
	_, a, err := n.Activate(t.Context(), unitInterval(set.Image(0)))
	if err != nil {
		t.Fatal(err)
	}
	outputs := made[[]float32](t)(n.Probabilities(t.Context(), set.Pixels))
	m := Measured{n.Name(), quality.Of(outputs, set.Labels, classes, false)}
	for k, units := range a[:len(a)-1] {
		m.Hidden = append(m.Hidden, quality.Layer{Name: fmt.Sprintf("h%d", k+1), Units: len(units), Dead: []int{1}},
			quality.Layer{Name: "wide", Units: 1000, Dead: make([]int, 250)})
	}
	return m
}

// Pictures may differ from golden ones where processors round otherwise: edges of lines and letters by a few of 255
// levels, and a point at the edge between two pixels by any. Both are far below what a changed number moves.
const (
	meanLevels   = 0.1    // mean difference over all pixels and channels
	strongLevels = 40     // that counts as another colour
	strongShare  = 0.0005 // of all pixels
)

// difference compares pictures of one size.
func difference(a, b image.Image) error {
	if a.Bounds() != b.Bounds() {
		return fmt.Errorf("found %v, want %v", a.Bounds(), b.Bounds())
	}
	sum, strong := 0., 0.
	r := a.Bounds()
	for y := r.Min.Y; y < r.Max.Y; y++ {
		for x := r.Min.X; x < r.Max.X; x++ {
			p := color.RGBAModel.Convert(a.At(x, y)).(color.RGBA)
			q := color.RGBAModel.Convert(b.At(x, y)).(color.RGBA)
			most := 0.
			for _, d := range []float64{float64(p.R) - float64(q.R), float64(p.G) - float64(q.G), float64(p.B) - float64(q.B)} {
				sum += math.Abs(d) / 3
				most = math.Max(most, math.Abs(d))
			}
			if most >= strongLevels {
				strong++
			}
		}
	}
	n := float64(r.Dx() * r.Dy())
	if sum/n > meanLevels || strong/n > strongShare {
		return fmt.Errorf("pixels differ by %.3f levels in the mean, and %.4f of them strongly; want at most %v and %v", sum/n, strong/n, meanLevels, strongShare)
	}
	return nil
}

func TestGolden(t *testing.T) {
	for name, f := range all(t) {
		for theme, suffix := range map[Theme]string{Light: "", Dark: "-dark"} {
			if theme == Dark && name != "weights" && name != "activations" && name != "quality" {
				continue
			}
			p := f.page()
			drawn := p.image(theme, still, 1)
			path := filepath.Join("testdata", name+suffix+".png")
			if *update {
				var b bytes.Buffer
				e := png.Encoder{CompressionLevel: png.BestCompression}
				if err := errors.Join(e.Encode(&b, drawn), os.WriteFile(path, b.Bytes(), 0o644)); err != nil {
					t.Fatal(err)
				}
			}
			data, err := os.ReadFile(path)
			if err != nil {
				t.Fatal(err)
			}
			want, err := png.Decode(bytes.NewReader(data))
			if err != nil {
				t.Fatal(err)
			}
			if err := difference(drawn, want); err != nil {
				t.Errorf("%s: %v; go test -update draws it anew", path, err)
			}
		}
	}
}

// The comparison sees what matters: one unit's bar, another theme, a moved title.
func TestDifference(t *testing.T) {
	n := bars(true)
	before := made[*Weights](t)(NewWeights(t.Context(), n, side, side, SharedScale)).page()
	w := n.layers[0].Weight[:side*side]
	for i := range w {
		w[i] = -w[i]
	}
	after := made[*Weights](t)(NewWeights(t.Context(), n, side, side, SharedScale)).page()
	renamed := before
	renamed.title = "What the units do not look for"
	want := before.image(Light, still, 1)
	for name, picture := range map[string]image.Image{
		"a unit's sign":   after.image(Light, still, 1),
		"the title":       renamed.image(Light, still, 1),
		"the theme":       before.image(Dark, still, 1),
		"the resolution":  before.image(Light, still, 2),
		"nothing at all!": want,
	} {
		if err := difference(picture, want); (err == nil) != (name == "nothing at all!") {
			t.Errorf("%s: found %v", name, err)
		}
	}
}

func TestWrite(t *testing.T) {
	again := all(t)
	for name, f := range all(t) {
		for _, format := range []Format{PNG, SVG, GIF} {
			var b, same bytes.Buffer
			err := Write(t.Context(), &b, f, format, Light)
			if format == GIF && !Moves(f) {
				if err == nil || !strings.Contains(err.Error(), "expected a figure that moves") {
					t.Errorf("%s as a GIF: %v", name, err)
				}
				continue
			}
			if err != nil {
				t.Fatal(err)
			}
			if err := Write(t.Context(), &same, again[name], format, Light); err != nil || !bytes.Equal(b.Bytes(), same.Bytes()) {
				t.Errorf("%s: the same numbers gave another %s: %v", name, format, err)
			}
			p := f.page()
			w, h := p.size(still)
			switch format {
			case PNG:
				c, err := png.DecodeConfig(&b)
				if err != nil || c.Width != int(pixelsPerPoint*w) || c.Height != int(pixelsPerPoint*h) {
					t.Errorf("%s has %d x %d pixels, want twice %v x %v: %v", name, c.Width, c.Height, w, h, err)
				}
			case SVG:
				text := b.String()
				for d := xml.NewDecoder(&b); ; {
					if _, err := d.Token(); err == io.EOF {
						break
					} else if err != nil {
						t.Fatalf("%s: %v", name, err)
					}
				}
				if first, _, _ := strings.Cut(p.title, ":"); !strings.Contains(text, first) {
					t.Errorf("%s: the SVG has no text %q", name, first)
				}
			case GIF:
				g, err := gif.DecodeAll(&b)
				if err != nil || len(g.Image) != p.frames || p.frames < 2 {
					t.Errorf("%s: a GIF of %d frames, want %d: %v", name, len(g.Image), p.frames, err)
				}
			}
		}
	}
	if err := Write(t.Context(), io.Discard, again["weights"], "bmp", Light); err == nil || !strings.Contains(err.Error(), `found "bmp"`) {
		t.Errorf("found %v", err)
	}
	for _, format := range []Format{PNG, SVG, GIF} {
		if err := Write(t.Context(), full{}, again["morph"], format, Light); err == nil {
			t.Errorf("%s onto a full disk: no error", format)
		}
	}
}

type full struct{}

func (full) Write([]byte) (int, error) { return 0, errors.New("no space left") }

// An animation's frames, put together, are what was drawn, but for the colours that a GIF has.
func TestAnimation(t *testing.T) {
	f := made[*Dream](t)(NewDream(t.Context(), bars(true), images(20), 1))
	var b bytes.Buffer
	if err := Write(t.Context(), &b, f, GIF, Light); err != nil {
		t.Fatal(err)
	}
	g, err := gif.DecodeAll(&b)
	if err != nil {
		t.Fatal(err)
	}
	shown := image.NewRGBA(image.Rect(0, 0, g.Config.Width, g.Config.Height))
	for _, part := range g.Image {
		for y := part.Rect.Min.Y; y < part.Rect.Max.Y; y++ {
			for x := part.Rect.Min.X; x < part.Rect.Max.X; x++ {
				shown.Set(x, y, part.At(x, y))
			}
		}
	}
	p := f.page()
	want := p.image(Light, p.frames-1, pixelsPerPoint)
	// The nearest of 64 greys is 2 levels away at most, colours a few more.
	worst := 0.
	for i, v := range shown.Pix {
		worst = math.Max(worst, math.Abs(float64(v)-float64(want.(*image.RGBA).Pix[i])))
	}
	if worst > 12 {
		t.Errorf("a colour is %v levels away", worst)
	}
}

func TestDiverging(t *testing.T) {
	for _, theme := range []Theme{Light, Dark} {
		c := theme.colors()
		if c.diverging(0) != c.neutral.rgba() || c.diverging(math.NaN()) != c.diverging(0) || c.diverging(7) != c.diverging(1) || c.diverging(-7) != c.diverging(-1) {
			t.Errorf("theme %v: the middle is %v, ends %v and %v", theme, c.diverging(0), c.diverging(-1), c.diverging(1))
		}
		// A byte is at most 0.01 of lightness.
		const level = 0.01
		zero, before := oklabOf(c.diverging(0)), 0.
		for i := 1; i <= 20; i++ {
			v := float64(i) / 20
			plus, minus := oklabOf(c.diverging(v)), oklabOf(c.diverging(-v))
			away := math.Abs(plus.L - zero.L)
			if math.Abs(plus.L-minus.L) > level || away < before {
				t.Errorf("theme %v: ±%v are %v and %v light, %v from the middle after %v", theme, v, plus.L, minus.L, away, before)
			}
			before = away
		}
		plus, minus := c.diverging(1), c.diverging(-1)
		if plus.B <= plus.R || minus.R <= minus.B {
			t.Errorf("theme %v: positive is %v, negative %v", theme, plus, minus)
		}
		// Blue and red differ for readers without red or green cones too: along OKLab's axis from blue to yellow.
		if d := oklabOf(minus).B - oklabOf(plus).B; d < 0.15 {
			t.Errorf("theme %v: the ends are %v apart from blue to yellow", theme, d)
		}
	}
	paper, slides := Light.colors(), Dark.colors()
	if bright := paper.diverging(0); bright != (color.RGBA{255, 255, 255, 255}) {
		t.Errorf("zero on paper is %v", bright)
	}
	if dark := oklabOf(slides.diverging(0)); dark.L > 0.2 {
		t.Errorf("zero on slides is %v", dark)
	}
	for _, v := range []color.RGBA{{12, 200, 99, 255}, {255, 0, 0, 255}, {0, 0, 0, 255}, {255, 255, 255, 255}} {
		if back := oklabOf(v).rgba(); back != v {
			t.Errorf("%v comes back as %v", v, back)
		}
	}
}

// Text is neither clipped nor does it run over: every line of titles and captions fits the body.
func TestTextFits(t *testing.T) {
	for name, f := range all(t) {
		p := f.page()
		subtitle, _ := p.header()
		caption, _ := p.footer()
		if w := (style{size: titleSize, bold: true}).width(p.title); w > p.width {
			t.Errorf("%s: the title is %.0f points wide, the body %.0f", name, w, p.width)
		}
		for _, line := range append(subtitle, caption...) {
			if w := (style{size: textSize}).width(line); w > p.width {
				t.Errorf("%s: %q is %.0f points wide, the body %.0f", name, line, w, p.width)
			}
		}
		if p.caption == "" || p.title == "" || p.subtitle == "" {
			t.Errorf("%s has no title, subtitle or caption", name)
		}
	}
}

// A title that is too long for the figure loses the beginning of the path that it ends in.
func TestLongTitle(t *testing.T) {
	s := style{size: titleSize, bold: true}
	short := "What it gets wrong: m.safetensors"
	if found := s.named(short, bodyWidth); found != short {
		t.Errorf("%q became %q", short, found)
	}
	long := s.named("What it gets wrong: "+strings.Repeat("directory/", 40)+"m.safetensors", bodyWidth)
	if !strings.HasPrefix(long, "What it gets wrong: …") || !strings.HasSuffix(long, "/m.safetensors") || s.width(long) > bodyWidth {
		t.Errorf("the long title became %q", long)
	}
	if other := s.named(strings.Repeat("wide ", 100), bodyWidth); !strings.HasSuffix(other, "…") || s.width(other) > bodyWidth {
		t.Errorf("the title without a name became %q", other)
	}
	for format, want := range map[string]string{"b %+.2f": "b +0.00", "%.1f": "0.0"} {
		if found := signed(format, -0.001); found != want {
			t.Errorf("-0.001 is written %q, want %q", found, want)
		}
	}
}

// Whatever a file is called, a figure of it is well-formed XML.
func TestControlCharacters(t *testing.T) {
	n := bars(true)
	n.name = "a\x00\x1b[2J\u009b\uffff\xff<&>"
	p := picture(t, 1)
	p.Name = n.name
	for name, f := range map[string]Figure{
		"weights":     made[*Weights](t)(NewWeights(t.Context(), n, side, side, SharedScale)),
		"robustness":  made[*Robustness](t)(NewRobustness(t.Context(), n, images(20), p)),
		"activations": made[*Activations](t)(NewActivations(t.Context(), n, p, side, side, MostActive)),
		"blobs":       made[*Blobs](t)(NewBlobs(t.Context(), []Network{n, n}, []Start{nil, nil}, images(20).Pixels, side, side)),
	} {
		var b bytes.Buffer
		if err := Write(t.Context(), &b, f, SVG, Light); err != nil {
			t.Fatal(err)
		}
		for d := xml.NewDecoder(&b); ; {
			if _, err := d.Token(); err == io.EOF {
				break
			} else if err != nil {
				t.Errorf("%s: %v", name, err)
				break
			}
		}
	}
}
