package viz

import (
	"context"
	"fmt"
	"image/color"
	"math"
	"math/rand/v2"

	"vanilla/dataset"
)

// Dream is the image that makes each output most certain, found by gradient ascent on the pixels.
type Dream struct {
	Model string `json:"model"`
	// Classes are what the classes are called, if not by their numbers.
	Classes Classes       `json:"classes,omitempty"`
	Rows    int           `json:"rows"`
	Cols    int           `json:"cols"`
	Seed    uint64        `json:"seed"`
	Softmax bool          `json:"softmax"` // outputs are probabilities
	Outputs []DreamOutput `json:"outputs"`
}

// DreamOutput is the dream of one output.
type DreamOutput struct {
	Class int `json:"class"`
	// Logits are log(p / (1-p)) of the output's probability p after each step, beginning with the start. They never
	// fall.
	Logits []float64 `json:"logits"`
	// Start and End are p before and after.
	Start float64 `json:"start"`
	End   float64 `json:"end"`
	// Mean is p for the mean of the class's training images, and Likeness the correlation of the dream with it; 0 if
	// there are none.
	Mean     float64 `json:"mean"`
	Likeness float64 `json:"likeness"`
	// MeanImage is that mean, from 0 to 1, and Image the dream.
	Image     []float32 `json:"image"`
	MeanImage []float32 `json:"mean_image"`
	frames    []dreamFrame
}

// dreamFrame is the dream on its way.
type dreamFrame struct {
	image              []float32
	logit, probability float64
}

const (
	dreamSteps = 120
	// dreamFrames is how many of the images on the way are kept: denser in the beginning, where most happens.
	dreamFrames = 31
	firstStride = 0.5  // length of the first step, where the image's sides are as long as √pixels
	lastStride  = 1e-6 // at which ascent has ended
)

// dreamStarts are the ranges of the noise that ascent starts from: from nearly black to all greys. It ends on the
// nearest top, so the highest of several counts; where weights are large, tops are many and some of them low.
func dreamStarts() []float64 { return []float64{0.05, 0.1, 0.2, 0.4, 0.6, 1} }

// NewDream climbs from noise, by a seed, to the image that each output likes best. Pixels stay from 0 to 1. The means
// are of a set's images.
func NewDream(ctx context.Context, n Network, training *dataset.Images, seed uint64) (*Dream, error) {
	if err := checkSize(n, training.Rows, training.Cols); err != nil {
		return nil, err
	}
	d := &Dream{Model: n.Name(), Rows: training.Rows, Cols: training.Cols, Seed: seed, Softmax: n.Softmax(), Classes: n.ClassNames()}
	random := rand.New(rand.NewPCG(seed, 0x647265616d)) // "dream"
	var starts [][]float32
	for _, limit := range dreamStarts() {
		start := make([]float32, n.Inputs())
		for i := range start {
			start[i] = float32(limit * random.Float64())
		}
		starts = append(starts, start)
	}
	means := classMeans(training, n.Classes())
	for class := range n.Classes() {
		var o *DreamOutput
		for _, start := range starts {
			tried, err := climb(ctx, n, start, class)
			if err != nil {
				return nil, err
			}
			if o == nil || tried.Logits[len(tried.Logits)-1] > o.Logits[len(o.Logits)-1] {
				o = tried
			}
		}
		if o.MeanImage = means[class]; o.MeanImage != nil {
			_, a, err := n.Activate(ctx, o.MeanImage)
			if err != nil {
				return nil, err
			}
			o.Mean, o.Likeness = float64(a[len(a)-1][class]), correlation(o.Image, o.MeanImage)
		}
		d.Outputs = append(d.Outputs, *o)
	}
	return d, nil
}

// classMeans are the mean images of the classes, nil for those without images.
func classMeans(set *dataset.Images, classes int) [][]float32 {
	sums := make([][]float64, classes)
	counts := make([]int, classes)
	for i, label := range set.Labels {
		if sums[label] == nil {
			sums[label] = make([]float64, set.Features())
		}
		counts[label]++
		for p, v := range set.Image(i) {
			sums[label][p] += float64(v) / 255
		}
	}
	means := make([][]float32, classes)
	for c, sum := range sums {
		for _, v := range sum {
			means[c] = append(means[c], float32(v/float64(counts[c])))
		}
	}
	return means
}

// climb is gradient ascent with steps that shorten when they would lead down and lengthen when they do not.
func climb(ctx context.Context, n Network, start []float32, class int) (*DreamOutput, error) {
	x := append([]float32{}, start...)
	here, err := look(ctx, n, x, class)
	if err != nil {
		return nil, err
	}
	o := &DreamOutput{Class: class, Logits: []float64{here.logit}, Start: here.probability}
	path := []dreamFrame{{x, here.logit, here.probability}}
	for stride := firstStride * math.Sqrt(float64(len(x))); len(o.Logits) <= dreamSteps; {
		slope, err := n.InputGradient(ctx, x, here.dz)
		if err != nil {
			return nil, err
		}
		length := 0.
		for i, v := range slope {
			// A pixel at its end cannot go on.
			if v > 0 && x[i] >= 1 || v < 0 && x[i] <= 0 {
				slope[i] = 0
				continue
			}
			length += float64(v) * float64(v)
		}
		if length = math.Sqrt(length); length == 0 || math.IsInf(length, 0) || math.IsNaN(length) {
			break
		}
		risen := false
		for ; !risen && stride > lastStride; stride /= 2 {
			next := make([]float32, len(x))
			for i, v := range x {
				next[i] = float32(math.Max(0, math.Min(1, float64(v)+stride*float64(slope[i])/length)))
			}
			there, err := look(ctx, n, next, class)
			if err != nil {
				return nil, err
			}
			if risen = there.logit > here.logit; risen {
				x, here = next, there
				stride *= 4 // halved at once
			}
		}
		if !risen {
			break
		}
		o.Logits = append(o.Logits, here.logit)
		path = append(path, dreamFrame{x, here.logit, here.probability})
	}
	o.Image, o.End = x, here.probability
	for f := range dreamFrames {
		share := float64(f) / (dreamFrames - 1)
		step := int(math.Round(share * share * float64(len(path)-1)))
		o.frames = append(o.frames, path[step])
	}
	return o, nil
}

// view is what a network makes of an image, for one class.
type view struct {
	probability, logit float64
	dz                 []float32 // slope of the logit along what enters the last layer
}

// look runs an image. The logit is taken from what enters the last layer: where probabilities are a softmax, zₖ - log
// Σ exp zⱼ over the others; where each is a sigmoid by itself, zₖ.
func look(ctx context.Context, n Network, x []float32, class int) (v view, err error) {
	z, a, err := n.Activate(ctx, x)
	if err != nil {
		return v, err
	}
	in, p := z[len(z)-1], a[len(a)-1]
	v.probability = float64(p[class])
	v.dz = make([]float32, len(in))
	v.dz[class] = 1
	if !n.Softmax() || len(in) == 1 {
		v.logit = float64(in[class])
		return v, nil
	}
	most := math.Inf(-1)
	for j, zj := range in {
		if j != class {
			most = math.Max(most, float64(zj))
		}
	}
	sum := 0.
	for j, zj := range in {
		if j != class {
			sum += math.Exp(float64(zj) - most)
		}
	}
	v.logit = float64(in[class]) - most - math.Log(sum)
	for j, zj := range in {
		if j != class {
			v.dz[j] = float32(-math.Exp(float64(zj)-most) / sum)
		}
	}
	return v, nil
}

const (
	dreamPitch = 116.
	dreamRow   = 138.
)

func (d *Dream) page() page {
	rows := (len(d.Outputs) + 4) / 5
	likeness := 0.
	for _, o := range d.Outputs {
		likeness += o.Likeness / float64(len(d.Outputs))
	}
	least := d.Outputs[0]
	for _, o := range d.Outputs {
		if o.End < least.End {
			least = o
		}
	}
	return page{
		title: "What makes each output most certain: " + d.Model,
		subtitle: fmt.Sprintf("Outputs of %.3f or more, for images that correlate with the mean of their class by %.2f on average",
			least.End, likeness),
		caption: "Large: gradient ascent on the pixels, from noise, through the same network. Small: the mean of the class's training images, with the network's output for it.",
		width:   5*dreamPitch - 16, height: float64(rows)*dreamRow - 24, frames: dreamFrames, body: d.draw,
	}
}

func (d *Dream) draw(c *canvas, frame int) {
	cell, small := fit(d.Rows, d.Cols, 70), fit(d.Rows, d.Cols, 28)
	for i, o := range d.Outputs {
		x, y := float64(i%5)*dreamPitch, float64(i/5)*dreamRow
		image, end, logit := o.Image, o.End, o.Logits[len(o.Logits)-1]
		if frame != still {
			image, logit, end = o.frames[frame].image, o.frames[frame].logit, o.frames[frame].probability
		}
		of := func(image []float32) func(int) color.RGBA {
			return func(i int) color.RGBA { return c.digit(float64(image[i])) }
		}
		c.text(x, y+12, d.Classes.shown(o.Class, style{size: 13, bold: true}, dreamPitch-8), style{size: 13, bold: true})
		y += 20
		w, h := c.grid(x, y, cell, d.Rows, d.Cols, of(image))
		if o.MeanImage != nil {
			_, mh := c.grid(x+w+4, y, small, d.Rows, d.Cols, of(o.MeanImage))
			c.text(x+w+4, y+mh+9, d.rough(o.Mean), style{size: 7.5, color: c.muted})
		}
		c.text(x, y+h+11, d.certainty(end), style{size: 8.5})
		c.text(x, y+h+22, signed("logit %.1f", o.Logits[0])+signed(" → %.1f", logit), style{size: 7.5, color: c.muted})
	}
}

// rough prints an output in little space, rounded down.
func (d *Dream) rough(p float64) string {
	if d.Softmax {
		return fmt.Sprintf("%.0f %%", math.Floor(100*p))
	}
	return fmt.Sprintf("%.2f", math.Floor(100*p)/100)
}

// certainty prints an output that may come close to 1.
func (d *Dream) certainty(p float64) string {
	if !d.Softmax {
		return fmt.Sprintf("output %.4f", math.Floor(1e4*p)/1e4)
	}
	if p >= 0.9999 {
		return "> 99.99 %"
	}
	return fmt.Sprintf("%.2f %%", 100*p)
}
