package viz

import (
	"context"
	"fmt"
	"image/color"
	"math"
	"math/rand/v2"
	"slices"

	"vanilla/dataset"
	"vanilla/internal/words"
)

// Noise is what networks make of images that show nothing, beside test images.
type Noise struct {
	Model string `json:"model"`
	// Classes are what the classes are called, if not by their numbers.
	Classes Classes `json:"classes,omitempty"`
	Rows    int     `json:"rows"`
	Cols    int     `json:"cols"`
	Seed    uint64  `json:"seed"`
	Kinds   []Kind  `json:"kinds"`
	// Softmax says that the outputs are probabilities; otherwise each is an output by itself.
	Softmax bool `json:"softmax"`
}

// Kind is one kind of images.
type Kind struct {
	Name string `json:"name"`
	N    int    `json:"n"`
	// Histogram counts images by the probability of their guess, in equal bins from 0 to 1. Guesses counts them by
	// guess.
	Histogram []int `json:"histogram"`
	Guesses   []int `json:"guesses"`
	// Mean is the mean probability of the guess, Sure the share of images for which it is 0.9 or more.
	Mean float64 `json:"mean"`
	Sure float64 `json:"sure"`
	// The most confident one.
	Guess      int     `json:"guess"`
	Confidence float64 `json:"confidence"`
	best       []byte
}

const (
	noiseBins  = 20
	noiseCount = 2000 // of each kind, at most
	sureAt     = 0.9
)

// NewNoise makes images by a seed and classifies them. Test images, and the pixels that are shuffled, are those of a
// set; Gaussian noise has the set's mean and deviation.
func NewNoise(ctx context.Context, n Network, set *dataset.Images, seed uint64) (*Noise, error) {
	if err := checkSize(n, set.Rows, set.Cols); err != nil {
		return nil, err
	}
	r := &Noise{Model: n.Name(), Rows: set.Rows, Cols: set.Cols, Seed: seed, Softmax: n.Softmax(), Classes: n.ClassNames()}
	count, size := min(noiseCount, set.Len()), set.Features()
	random := rand.New(rand.NewPCG(seed, 0x6e6f697365)) // "noise"
	digits := set.Pixels[:count*size]
	mean, deviation := moments(set.Pixels)
	each := func(of func() byte) []byte {
		pixels := make([]byte, count*size)
		for i := range pixels {
			pixels[i] = of()
		}
		return pixels
	}
	uniform := each(func() byte { return byte(random.IntN(256)) })
	shuffled := slices.Clone(digits)
	for i := range count {
		image := shuffled[i*size : (i+1)*size]
		random.Shuffle(size, func(a, b int) { image[a], image[b] = image[b], image[a] })
	}
	gaussian := each(func() byte {
		return byte(math.Max(0, math.Min(255, math.Round(mean+deviation*random.NormFloat64()))))
	})
	var blank []byte // each grey once
	for grey := range 256 {
		for range size {
			blank = append(blank, byte(grey))
		}
	}
	for _, k := range []struct {
		name   string
		pixels []byte
	}{{"test images", digits}, {"uniform noise", uniform}, {"shuffled pixels", shuffled}, {"Gaussian noise", gaussian}, {"blank greys", blank}} {
		kind, err := newKind(ctx, n, k.name, k.pixels)
		if err != nil {
			return nil, err
		}
		r.Kinds = append(r.Kinds, kind)
	}
	return r, nil
}

// moments are the mean and the standard deviation of pixels.
func moments(pixels []byte) (mean, deviation float64) {
	var sum, squares float64
	for _, p := range pixels {
		sum += float64(p)
		squares += float64(p) * float64(p)
	}
	n := float64(len(pixels))
	return sum / n, math.Sqrt(math.Max(0, squares/n-sum/n*sum/n))
}

func newKind(ctx context.Context, n Network, name string, pixels []byte) (Kind, error) {
	size, classes := n.Inputs(), n.Classes()
	k := Kind{Name: name, N: len(pixels) / size, Histogram: make([]int, noiseBins), Guesses: make([]int, classes)}
	p, err := n.Probabilities(ctx, pixels)
	if err != nil {
		return k, err
	}
	for i := range k.N {
		guess, confidence := top(p[i*classes : (i+1)*classes])
		v := float64(confidence)
		k.Histogram[min(int(v*noiseBins), noiseBins-1)]++
		k.Guesses[guess]++
		k.Mean += v / float64(k.N)
		if v >= sureAt {
			k.Sure += 1 / float64(k.N)
		}
		if v > k.Confidence || k.best == nil {
			k.Guess, k.Confidence, k.best = guess, v, pixels[i*size:(i+1)*size]
		}
	}
	return k, nil
}

const noiseColumn = 119.

// worst is the kind of noise with the most confident nonsense.
func (r *Noise) worst() Kind {
	best := r.Kinds[1]
	for _, k := range r.Kinds[2:] {
		if k.Confidence > best.Confidence {
			best = k
		}
	}
	return best
}

func (r *Noise) page() page {
	w := r.worst()
	return page{
		title:    "What it makes of nothing: " + r.Model,
		subtitle: fmt.Sprintf("The highest %s for an image that shows nothing is %s: one of %s, taken for %s", r.axis(), share(w.Confidence, r.Softmax), w.Name, r.Classes.article(w.Guess)),
		caption: "Top: the image that the network is most sure about. Middle: how sure it is, over all images of the kind (dashed: 0.9). Bottom: what it takes them for. " +
			"It has an output for each class and none for an image that belongs to no class.",
		width: 5*noiseColumn - 15, height: 366, body: r.draw,
	}
}

func (r *Noise) draw(c *canvas, _ int) {
	cell := fit(r.Rows, r.Cols, 86)
	for i, k := range r.Kinds {
		x, w := float64(i)*noiseColumn, noiseColumn-19
		c.text(x, 8, k.Name, style{size: 9.5, bold: true})
		c.text(x, 19, words.Plural(k.N, "image"), style{size: 7.5, color: c.muted})
		_, th := c.picture(x, 27, cell, r.Rows, r.Cols, k.best)
		c.text(x, 27+th+11, r.sure(k, w+8), style{size: 8.5})
		y := 27 + th + 28
		hue := c.series[1]
		if i == 0 {
			hue = c.series[0]
		}
		r.bars(c, x, y, w, 95, k, hue)
		r.guesses(c, x, y+148, w, 62, k, hue)
	}
}

// sure and taken name a class in a width: the name is cut, and not what is said of it.
func (r *Noise) sure(k Kind, width float64) string {
	s, end := style{size: 8.5}, "”: "+share(k.Confidence, r.Softmax)
	return "“" + s.cut(printable(r.Classes.article(k.Guess)), width-s.width("“"+end)) + end
}

func (r *Noise) taken(class int, share string, width float64) string {
	s, start, end := style{size: 7.5}, "taken for ", ": "+share
	return start + s.cut(printable(r.Classes.article(class)), width-s.width(start+end)) + end
}

// axis is what the outputs are called.
func (r *Noise) axis() string {
	if r.Softmax {
		return "probability"
	}
	return "output"
}

// bars draws the distribution of the guess's probability.
func (r *Noise) bars(c *canvas, x, y, w, h float64, k Kind, hue color.RGBA) {
	c.text(x, y, fmt.Sprintf("≥ 0.9: %s of them", percent(k.Sure)), style{size: 7.5, color: c.muted})
	y += 8
	_, most := top(k.Histogram)
	step := w / float64(len(k.Histogram))
	for i, n := range k.Histogram {
		bar := h * ratio(float64(n), float64(most))
		c.fill(x+float64(i)*step+0.3, y+h-bar, step-0.6, bar, hue)
	}
	c.lines(c.muted, 0.5, x, y+h, x+w, y+h)
	for d := 0.; d < h; d += 6 {
		c.lines(c.muted, 0.5, x+sureAt*w, y+d, x+sureAt*w, y+math.Min(d+3, h))
	}
	small := style{size: 7, color: c.muted, align: centred}
	c.text(x, y+h+9, "0", style{size: 7, color: c.muted})
	c.text(x+w/2, y+h+9, "0.5", small)
	c.text(x+w, y+h+9, "1", style{size: 7, color: c.muted, align: right})
	c.text(x+w/2, y+h+18, r.axis(), small)
}

// guesses draws how many images are taken for each class.
func (r *Noise) guesses(c *canvas, x, y, w, h float64, k Kind, hue color.RGBA) {
	g, most := top(k.Guesses)
	c.text(x, y, r.taken(g, percent(float64(most)/float64(max(1, k.N))), w+12), style{size: 7.5, color: c.muted})
	y += 6
	step := w / float64(len(k.Guesses))
	for i, n := range k.Guesses {
		bar := h * ratio(float64(n), float64(most))
		c.fill(x+float64(i)*step+0.6, y+h-bar, math.Max(0.5, step-1.2), bar, hue)
		if step >= 6 && r.Classes == nil {
			c.text(x+(float64(i)+0.5)*step, y+h+9, fmt.Sprint(i), style{size: 7, color: c.muted, align: centred})
		}
	}
	c.lines(c.muted, 0.5, x, y+h, x+w, y+h)
}
