package main

import (
	"bytes"
	"cmp"
	"errors"
	"fmt"
	"image"
	"image/color"
	"image/draw"
	"image/png"
	"math"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"vanilla/infer/quality"
	"vanilla/model/zoo"
	"vanilla/viz"
)

// gallerySource is the page that shows the figures, in this package's directory.
var gallerySource = filepath.Join("..", "..", "viz", "GALLERY.md")

// sections are the page's, by name.
func sections(page string) map[string]string {
	all := map[string]string{}
	for _, s := range strings.Split(page, "\n## ")[1:] {
		name, text, _ := strings.Cut(s, "\n")
		all[name] = text
	}
	return all
}

// The gallery has a section for each figure, which begins with the commands that
// draw its pictures. They draw what it shows; go test -update, as in make
// gallery, draws it anew. Figures of networks that the page trains are drawn
// only then, since training takes a while.
func TestGallery(t *testing.T) {
	if testing.Short() {
		t.Skip("draws many figures")
	}
	page := string(read(t, gallerySource))
	pictures, err := filepath.Abs(filepath.Dir(gallerySource))
	if err != nil {
		t.Fatal(err)
	}
	t.Chdir(t.TempDir())
	text := sections(page)
	for _, f := range figures() {
		section := text[f.name]
		_, code, _ := strings.Cut(section, "```\n")
		code, _, found := strings.Cut(code, "```\n")
		shown := regexp.MustCompile(`!\[[^]]+\]\((gallery/([a-z-]+\.png))\)`).FindAllStringSubmatch(section, -1)
		if !found || len(shown) == 0 {
			t.Errorf("the gallery has no commands or no pictures of %s", f.name)
			continue
		}
		trains := strings.HasPrefix(code, "vanilla train ")
		if !trains || *update {
			for line := range strings.Lines(code) {
				if words := strings.Fields(line); filepath.Ext(words[len(words)-1]) != ".gif" {
					must(t, words[1:]...)
				}
			}
		}
		for _, match := range shown {
			path := filepath.Join(pictures, match[1])
			switch {
			case *update:
				writePNG(t, path, paletted(halved(readPNG(t, match[2])), galleryColors))
			case trains:
				readPNG(t, path)
			default:
				if d := distance(readPNG(t, path), halved(readPNG(t, match[2]))); d > galleryLevels {
					t.Errorf("%s: found %.2f levels from what its command draws, want at most %v; make gallery draws it anew", match[1], d, galleryLevels)
				}
			}
		}
	}
}

// What the page says of the networks that are built in is what the figures'
// numbers say, but for networks that the page trains.
func TestGalleryNumbers(t *testing.T) {
	if testing.Short() {
		t.Skip("computes figures on MNIST")
	}
	t.Parallel()
	page := string(read(t, gallerySource))
	text := sections(page)
	says := func(figure, format string, values ...any) {
		t.Helper()
		if want := fmt.Sprintf(format, values...); !strings.Contains(text[figure], want) {
			t.Errorf("%s: the numbers say %q, the gallery does not", figure, want)
		}
	}
	for _, name := range zoo.Names() {
		m, err := zoo.Open(name)
		if err != nil {
			t.Fatal(err)
		}
		if accuracy := fmt.Sprintf("%.2f %%", 100*m.TestAccuracy); !strings.Contains(page, accuracy) {
			t.Errorf("the gallery does not say that %s has %s", name, accuracy)
		}
	}

	b := numbers[viz.Blobs](t, "blobs", "lesson", "default")
	lesson, ours := b.Models[0].Trained, b.Models[1].Trained
	says("blobs", "%d pixels are zero", b.DeadPixels)
	says("blobs", "(correlation %.0f, RMS %.3f)", lesson.FromStart, lesson.RMSDead)
	says("blobs", "Its neighbouring weights correlate by %.2f.", lesson.Neighbours)
	says("blobs", "with decay by %.2f, which takes the dead pixels from %.3f to %.3f;", ours.Neighbours, b.Models[1].Start.RMSDead, ours.RMSDead)
	says("blobs", "explains %.0f %% of a unit's variance (%.0f %% in `lesson`), the best blob %.0f %% (%.0f %%)",
		100*ours.Edge, 100*lesson.Edge, 100*ours.Blob, 100*lesson.Blob)

	both, mine := numbers[viz.Mistakes](t, "mistakes", "default", "lesson"), numbers[viz.Mistakes](t, "mistakes", "default")
	sure := 0
	for _, w := range mine.Wrong {
		if w.Confidence >= 0.9 {
			sure++
		}
	}
	says("mistakes", "`default` misses %d and `lesson` %d of the 10,000 test images, %d of them in common; of the %d, %d are wrong with a probability of 90 %% or more",
		both.Errors[0], both.Errors[1], both.AllWrong, both.Errors[0], sure)

	measured := numbers[viz.Quality](t, "quality", "default", "lesson").Networks
	of := func(i int) *quality.Calibration { return measured[i].Calibration }
	says("quality", "`lesson` gives %.1f %% of the test images 0.9 or more, and %d of these are wrong, %.0f %% of its mistakes.",
		100*of(1).Sure, of(1).SureWrong, 100**of(1).SureMistakes)
	says("quality", "gives %.1f %% of them 90 %% or more, and %d of these are wrong, %.0f %% of its mistakes:", 100*of(0).Sure, of(0).SureWrong, 100**of(0).SureMistakes)
	says("quality", "is %.1f %% (%.1f %% would be by chance), that of `lesson` %.1f %%.", 100*of(0).Error, 100*of(0).ByChance, 100*of(1).Error)
	for _, m := range measured {
		if dead, units := quality.Dead(m.Hidden); dead != 0 || units != 32 {
			t.Errorf("%s: %d of %d hidden units are dead, the gallery says none", m.Model, dead, units)
		}
	}

	const real, uniform, shuffled = 0, 1, 2
	calm, wild := numbers[viz.Noise](t, "noise", "default").Kinds, numbers[viz.Noise](t, "noise", "lesson").Kinds
	says("noise", "`lesson` gives %.0f %% of images of uniform noise 90 %% or more (%.0f %% of real digits get that), and one digit with shuffled pixels %.2f %% for a %d;",
		100*wild[uniform].Sure, 100*wild[real].Sure, 100*wild[shuffled].Confidence, wild[shuffled].Guess)
	says("noise", "with %.0f %% of uniform noise, but is %.1f %% sure of a %d too", 100*calm[uniform].Sure, 100*calm[shuffled].Confidence, calm[shuffled].Guess)
	favourite := func(k viz.Kind) int { return slices.Index(k.Guesses, slices.Max(k.Guesses)) }
	says("noise", "half of the uniform noise is a %d to `default`, three quarters a %d to `lesson`", favourite(calm[uniform]), favourite(wild[uniform]))

	r, s := numbers[viz.Robustness](t, "robustness", "default"), numbers[viz.Robustness](t, "robustness", "lesson")
	right := func(r viz.Robustness, by int) float64 { return 100 * r.Shifts[r.Shift][r.Shift+by] }
	says("robustness", "reads %.1f %% of the test images, by two %.1f %%, by three %.1f %% (`lesson`: %.1f, %.1f and %.1f %%)",
		right(r, 1), right(r, 2), right(r, 3), right(s, 1), right(s, 2), right(s, 3))
	after := func(sweep int, amount float64) float64 {
		return 100 * r.Sweeps[sweep].Accuracy[slices.Index(r.Sweeps[sweep].Amounts, amount)]
	}
	says("robustness", "turned by 30 degrees %.0f %%, at half the size %.0f %%.", after(1, 30), after(0, 0.5))
	says("robustness", "half a pixel narrower or wider costs %.1f or %.1f percentage points", after(2, 0)-after(2, -0.5), after(2, 0)-after(2, 0.5))

	a, other := numbers[viz.Activations](t, "activations", "default"), numbers[viz.Activations](t, "activations", "lesson")
	u := a.Reveal
	says("activations", "unit %d of `default` gets +%.2f from blue pixels, −%.2f from red ones and −%.2f of bias, together %.2f, and is on (%.3f); the network is %.1f %% sure of a %d.",
		u.Unit, u.Positive, -u.Negative, -u.Bias, u.Input, u.Output, 100*a.Probabilities[a.Guess], a.Guess)
	says("activations", "In `lesson` unit %d gets %.2f", other.Reveal.Unit, other.Reveal.Input)

	m, n := numbers[viz.Morph](t, "morph", "default"), numbers[viz.Morph](t, "morph", "lesson")
	says("morph", "`default` flips at %.0f %% of the 8 and `lesson` at %.0f %%.", 100*m.Flips[0].T, 100*n.Flips[0].T)
	ends := func(c viz.Change) (from, to float32) { return c.Activations[0], c.Activations[len(c.Activations)-1] }
	from, to := ends(m.Changed[0])
	says("morph", "that moves most goes from %.2f to %.2f", from, to)

	var least, likeness [2]float64
	for i, name := range []string{"default", "lesson"} {
		outputs := numbers[viz.Dream](t, "dream", name).Outputs
		least[i] = 1
		for _, o := range outputs {
			least[i] = min(least[i], o.End)
			likeness[i] += o.Likeness / float64(len(outputs))
		}
		least[i] = math.Floor(1000*least[i]) / 10
	}
	says("dream", "`default` of every digit (%.1f %% or more) and `lesson` too (%.1f %% or more)", least[0], least[1])
	says("dream", "class means by %.2f and %.2f on average", likeness[0], likeness[1])
}

// galleryLevels of 255 is how far pictures may be from what their commands draw,
// in the mean over pixels and channels: the palette takes up to 0.94, and what
// processors round otherwise 0.1 (see meanLevels in viz).
const galleryLevels = 1.05

func readPNG(t *testing.T, path string) *image.RGBA {
	t.Helper()
	p, err := png.Decode(bytes.NewReader(read(t, path)))
	if err != nil {
		t.Fatalf("%s: %v", path, err)
	}
	decoded := image.NewRGBA(p.Bounds())
	draw.Draw(decoded, decoded.Rect, p, p.Bounds().Min, draw.Src)
	return decoded
}

func writePNG(t *testing.T, path string, p image.Image) {
	t.Helper()
	var b bytes.Buffer
	e := png.Encoder{CompressionLevel: png.BestCompression}
	if err := errors.Join(e.Encode(&b, p), os.WriteFile(path, b.Bytes(), 0o644)); err != nil {
		t.Fatal(err)
	}
}

// halved has the mean of 2 x 2 pixels where p has four.
func halved(p *image.RGBA) *image.RGBA {
	half := image.NewRGBA(image.Rect(0, 0, p.Bounds().Dx()/2, p.Bounds().Dy()/2))
	for y := range half.Rect.Dy() {
		for x := range half.Rect.Dx() {
			r, g, b := 0, 0, 0
			for i := range 4 {
				v := p.RGBAAt(2*x+i%2, 2*y+i/2)
				r, g, b = r+int(v.R), g+int(v.G), b+int(v.B)
			}
			half.SetRGBA(x, y, color.RGBA{uint8((r + 2) / 4), uint8((g + 2) / 4), uint8((b + 2) / 4), 255})
		}
	}
	return half
}

// distance is the mean over pixels and channels, in levels of 255; +Inf if sizes
// differ.
func distance(a, b *image.RGBA) float64 {
	if a.Rect != b.Rect {
		return math.Inf(1)
	}
	sum := 0.
	for i, v := range a.Pix {
		sum += math.Abs(float64(v) - float64(b.Pix[i]))
	}
	return sum / float64(3*len(a.Pix)/4) // nothing is transparent
}

// tint is a colour, and how many pixels have it.
type tint struct {
	rgb [3]uint8
	n   int
}

// galleryColors is what a palette holds. With 64, files are a third smaller, and
// single cells of a heat map get another's colour.
const galleryColors = 256

// paletted reduces a picture to a palette of so many colours, at most 256, by median cut: the box
// of colours with the most pixels times the square of its longest side is cut in
// two between its pixels (Heckbert, Color Image Quantization for Frame Buffer
// Display, SIGGRAPH 1982, with sides that count, so that rare colours stay).
func paletted(p *image.RGBA, colors int) *image.Paletted {
	counts := map[[3]uint8]int{}
	for i := 0; i < len(p.Pix); i += 4 {
		counts[[3]uint8(p.Pix[i:])]++
	}
	var all []tint
	for rgb, n := range counts {
		all = append(all, tint{rgb, n})
	}
	boxes := [][]tint{all}
	for len(boxes) < colors {
		widest, most, channel := 0, 0, 0
		for i, box := range boxes {
			if c, weight := side(box); weight > most {
				widest, most, channel = i, weight, c
			}
		}
		if most == 0 { // every box is one colour
			break
		}
		low, high := cut(boxes[widest], channel)
		boxes[widest] = low
		boxes = append(boxes, high)
	}
	reduced := &image.Paletted{Pix: make([]uint8, len(p.Pix)/4), Stride: p.Rect.Dx(), Rect: p.Rect}
	index := map[[3]uint8]uint8{}
	for i, box := range boxes {
		var sum [3]int
		n := 0
		for _, t := range box {
			index[t.rgb] = uint8(i)
			n += t.n
			for c, v := range t.rgb {
				sum[c] += t.n * int(v)
			}
		}
		reduced.Palette = append(reduced.Palette, color.RGBA{uint8((sum[0] + n/2) / n), uint8((sum[1] + n/2) / n), uint8((sum[2] + n/2) / n), 255})
	}
	for i := range reduced.Pix {
		reduced.Pix[i] = index[[3]uint8(p.Pix[4*i:])]
	}
	return reduced
}

// side is the channel along which a box is longest, and the square of that length
// times the box's pixels.
func side(box []tint) (channel, weight int) {
	n, longest := 0, 0
	for _, t := range box {
		n += t.n
	}
	for c := range 3 {
		byChannel := func(a, b tint) int { return cmp.Compare(a.rgb[c], b.rgb[c]) }
		if length := int(slices.MaxFunc(box, byChannel).rgb[c]) - int(slices.MinFunc(box, byChannel).rgb[c]); length > longest {
			channel, longest = c, length
		}
	}
	return channel, n * longest * longest
}

// cut parts a box between its pixels, sorted by a channel; each part has a colour
// at least.
func cut(box []tint, channel int) (low, high []tint) {
	slices.SortFunc(box, func(a, b tint) int {
		return cmp.Or(cmp.Compare(a.rgb[channel], b.rgb[channel]), slices.Compare(a.rgb[:], b.rgb[:]))
	})
	left := 0
	for _, t := range box {
		left += t.n
	}
	left /= 2
	at := 0
	for at < len(box)-2 && left >= box[at].n {
		left -= box[at].n
		at++
	}
	return box[:at+1], box[at+1:]
}
