package viz

import (
	"context"
	"math"
	"math/rand/v2"
	"slices"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"

	"vanilla/dataset"
	"vanilla/model"
)

// chain is a network of sigmoid units in the most obvious arithmetic.
type chain struct {
	name    string
	layers  []model.Layer
	softmax bool
	classes []string

	// signal, if not nil, is called when before images have been run; after counts those that are asked for then.
	signal        context.CancelFunc
	before, after atomic.Int64
}

func (n *chain) Name() string          { return n.name }
func (n *chain) ClassNames() []string  { return n.classes }
func (n *chain) Layers() []model.Layer { return n.layers }
func (n *chain) Inputs() int           { return n.layers[0].In }
func (n *chain) Classes() int          { return n.layers[len(n.layers)-1].Out }

func (n *chain) Arch() string {
	text := strconv.Itoa(n.Inputs())
	for _, l := range n.layers {
		text += "-" + strconv.Itoa(l.Out)
	}
	return text
}

func (n *chain) Sources() []int {
	sources := []int{model.ReadsInputs}
	for k := range n.layers[1:] {
		sources = append(sources, k)
	}
	return sources
}
func (n *chain) Softmax() bool { return n.softmax }

// begin counts the images that are run once the context is done, which it becomes after some.
func (n *chain) begin(ctx context.Context) error {
	if n.signal == nil {
		return nil
	}
	if ctx.Err() != nil {
		n.after.Add(1)
		return ctx.Err()
	}
	if n.before.Add(-1) == 0 {
		n.signal()
	}
	return nil
}

func (n *chain) Activate(ctx context.Context, x []float32) (z, a [][]float32, err error) {
	if err := n.begin(ctx); err != nil {
		return nil, nil, err
	}
	in := x
	for k, l := range n.layers {
		sums, out := make([]float32, l.Out), make([]float32, l.Out)
		for j := range sums {
			sum := float64(l.Bias[j])
			for i, v := range in {
				sum += float64(l.Weight[j*l.In+i]) * float64(v)
			}
			sums[j], out[j] = float32(sum), float32(1/(1+math.Exp(-sum)))
		}
		if k == len(n.layers)-1 && n.softmax {
			total := 0.
			for _, v := range sums {
				total += math.Exp(float64(v))
			}
			for j, v := range sums {
				out[j] = float32(math.Exp(float64(v)) / total)
			}
		}
		z, a, in = append(z, sums), append(a, out), out
	}
	return z, a, nil
}

func (n *chain) Probabilities(ctx context.Context, pixels []byte) ([]float32, error) {
	var all []float32
	for size := n.layers[0].In; len(pixels) > 0; pixels = pixels[size:] {
		_, a, err := n.Activate(ctx, unitInterval(pixels[:size]))
		if err != nil {
			return nil, err
		}
		all = append(all, a[len(a)-1]...)
	}
	return all, nil
}

func (n *chain) Classify(ctx context.Context, pixels []byte) ([]byte, error) {
	p, err := n.Probabilities(ctx, pixels)
	var classes []byte
	for k := n.Classes(); len(p) > 0; p = p[k:] {
		class, _ := top(p[:k])
		classes = append(classes, byte(class))
	}
	return classes, err
}

func (n *chain) InputGradient(ctx context.Context, x, dz []float32) ([]float32, error) {
	_, a, err := n.Activate(ctx, x)
	if err != nil {
		return nil, err
	}
	d := slices.Clone(dz)
	for k := len(n.layers) - 1; k >= 0; k-- {
		l := n.layers[k]
		below := make([]float32, l.In)
		for j, v := range d {
			for i := range below {
				below[i] += v * l.Weight[j*l.In+i]
			}
		}
		if k > 0 {
			for i, v := range a[k-1] {
				below[i] *= v * (1 - v)
			}
		}
		d = below
	}
	return d, nil
}

const (
	side    = 8 // of the test's images
	classes = 4
)

// layer is a layer with normal weights, by a seed.
func layer(in, out int, seed uint64, deviation float64) model.Layer {
	random := rand.New(rand.NewPCG(seed, 0))
	l := model.Layer{In: in, Out: out}
	for range in * out {
		l.Weight = append(l.Weight, float32(deviation*random.NormFloat64()))
	}
	for range out {
		l.Bias = append(l.Bias, float32(0.3*random.NormFloat64()))
	}
	return l
}

// ink is a bar across an image: class c has it in rows 2c and 2c+1. The border's columns are always 0.
func ink(class, pixel int) float64 {
	if x := pixel % side; x == 0 || x == side-1 || pixel/side/2 != class {
		return 0
	}
	return 1
}

// bars recognises bars.
func bars(softmax bool) *chain {
	first := layer(side*side, classes, 1, 0.05)
	for i := range first.Weight {
		first.Weight[i] += float32(1.2*ink(i/(side*side), i%(side*side)) - 0.3)
	}
	second := layer(classes, classes, 2, 0.1)
	for c := range classes {
		second.Weight[c*classes+c] += 6
		second.Bias[c] -= 3
	}
	return &chain{name: "bars", layers: []model.Layer{first, second}, softmax: softmax}
}

// shallow has no hidden layer.
func shallow() *chain {
	return &chain{name: "shallow", layers: []model.Layer{layer(side*side, classes, 3, 0.5)}, softmax: true}
}

// images are noisy bars.
func images(n int) *dataset.Images {
	random := rand.New(rand.NewPCG(7, 0))
	s := &dataset.Images{Rows: side, Cols: side, Classes: classes}
	for i := range n {
		s.Labels = append(s.Labels, byte(i%classes))
		for p := range side * side {
			v := 0.
			if x := p % side; x > 0 && x < side-1 {
				v = 60*random.Float64() + 170*ink(i%classes, p)
			}
			s.Pixels = append(s.Pixels, byte(v))
		}
	}
	return s
}

func picture(t *testing.T, i int) Picture {
	t.Helper()
	p, err := TestPicture(images(20), i)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

// made is a figure's numbers, which must not fail.
func made[F any](t *testing.T) func(F, error) F {
	return func(f F, err error) F {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		return f
	}
}

// rounding is what sums of float32 may differ by, relative to the sum of the absolute terms: 64 additions of one
// rounding each.
const rounding = 64 * 0x1p-24

func near(a, b, scale float64) bool { return math.Abs(a-b) <= rounding*scale }

func TestWeights(t *testing.T) {
	n := bars(true)
	w := made[*Weights](t)(NewWeights(t.Context(), n, side, side, SharedScale))
	if w.Arch != "64-4-4" || len(w.First.Units) != classes || len(w.Deeper) != 1 || w.First.Number != 2 || w.Deeper[0].Number != 3 {
		t.Fatalf("found %s, %d units, %d deeper layers", w.Arch, len(w.First.Units), len(w.Deeper))
	}
	for _, u := range w.Deeper[0].Units {
		for p, v := range u.OnPixels {
			want, scale := 0., 0.
			for j, x := range u.Weights {
				term := float64(x) * float64(w.First.Units[j].Weights[p])
				want, scale = want+term, scale+math.Abs(term)
			}
			if !near(float64(v), want, scale) {
				t.Fatalf("unit %d on pixel %d: found %v, want %v", u.Unit, p, v, want)
			}
		}
	}
	u := made[*UnitWeights](t)(NewUnitWeights(t.Context(), n, side, side, 2))
	sum := 0.
	for _, v := range u.Weights {
		sum += float64(v)
	}
	if !near(u.Positive+u.Negative, sum, u.Positive-u.Negative) || u.Unit.Unit != 2 {
		t.Errorf("found %+.3f %+.3f, want a sum of %.3f", u.Positive, u.Negative, sum)
	}
	if w := made[*Weights](t)(NewWeights(t.Context(), shallow(), side, side, UnitScale)); len(w.Deeper) != 0 {
		t.Errorf("a network without hidden layers has %d deeper ones", len(w.Deeper))
	}
}

// What is no image, or out of range, is said to be.
func TestErrors(t *testing.T) {
	n := bars(true)
	set := images(20)
	wide := *set
	wide.Cols = 2 * side
	for name, err := range map[string]error{
		"expected inputs that are images, found 64 inputs and images of 8x9 pixels": second(NewWeights(t.Context(), n, side, side+1, SharedScale)),
		"expected inputs that are images, found 64 inputs and images of 0x0 pixels": second(NewUnitWeights(t.Context(), n, 0, 0, 0)),
		"expected a unit from 0 to 3, found 4":                                      second(NewUnitWeights(t.Context(), n, side, side, classes)),
		"expected a unit from 0 to 3, found -2":                                     second(NewActivations(t.Context(), n, picture(t, 0), side, side, -2)),
		"expected an index from 0 to 19, found 20":                                  second(TestPicture(set, 20)),
		"expected an index from 0 to 19, found -1":                                  second(TestPicture(set, -1)),
		"found 64 inputs and images of 8x16 pixels":                                 second(NewNoise(t.Context(), n, &wide, 1)),
		"found 64 inputs and images of 8x16":                                        second(NewDream(t.Context(), n, &wide, 1)),
		"64 inputs and images of 8x16":                                              second(NewRobustness(t.Context(), n, &wide, picture(t, 0))),
		"inputs and images of 1x1 pixels":                                           second(NewMorph(t.Context(), n, picture(t, 0), picture(t, 1), 1, 1)),
		"inputs and images of 2x2 pixels":                                           second(NewBlobs(t.Context(), []Network{n}, []Start{nil}, set.Pixels, 2, 2)),
	} {
		if err == nil || !strings.Contains(err.Error(), name) {
			t.Errorf("found %v, want %q", err, name)
		}
	}
}

func second[A any](_ A, err error) error { return err }

func TestMistakes(t *testing.T) {
	set := images(40)
	a, b := bars(true), shallow()
	m := made[*Mistakes](t)(NewMistakes(t.Context(), []Network{a, b}, set))
	total, diagonal := 0, 0
	for r, row := range m.Confusion {
		for c, v := range row {
			total += v
			if r == c {
				diagonal += v
			}
		}
	}
	if total != 2*set.Len() || diagonal != 2*set.Len()-m.Errors[0]-m.Errors[1] {
		t.Errorf("the matrix counts %d, %d of them right; %v are wrong of %d", total, diagonal, m.Errors, set.Len())
	}
	first, _ := a.Classify(t.Context(), set.Pixels)
	other, _ := b.Classify(t.Context(), set.Pixels)
	want := 0
	for i, label := range set.Labels {
		if first[i] != label && other[i] != label {
			want++
		}
	}
	if m.AllWrong != want || len(m.Wrong) != want {
		t.Errorf("%d images are wrong in both, want %d", m.AllWrong, want)
	}
	// Whoever is asked first.
	if m := made[*Mistakes](t)(NewMistakes(t.Context(), []Network{b, a}, set)); m.AllWrong != want || m.Errors[0] <= want {
		t.Errorf("%d images are wrong in both, %d in the first one; want %d in both", m.AllWrong, m.Errors[0], want)
	}
	alone := made[*Mistakes](t)(NewMistakes(t.Context(), []Network{b}, set))
	if len(alone.Wrong) != alone.Errors[0] || alone.Errors[0] == 0 {
		t.Errorf("found %d mistakes, %d errors", len(alone.Wrong), alone.Errors[0])
	}
	for _, w := range alone.Wrong {
		if w.Guess == w.Label || int(other[w.Index]) != w.Guess || int(set.Labels[w.Index]) != w.Label {
			t.Errorf("found %+v", w)
		}
	}
}

func TestNoise(t *testing.T) {
	n, set := bars(true), images(38) // not as many of each class
	r := made[*Noise](t)(NewNoise(t.Context(), n, set, 1))
	for _, k := range r.Kinds {
		sum := func(counts []int) (total int) {
			for _, c := range counts {
				total += c
			}
			return total
		}
		if sum(k.Histogram) != k.N || sum(k.Guesses) != k.N || k.N == 0 {
			t.Errorf("%s: %d images, the histograms sum to %d and %d", k.Name, k.N, sum(k.Histogram), sum(k.Guesses))
		}
		_, a, _ := n.Activate(t.Context(), unitInterval(k.best))
		if guess, p := top(a[len(a)-1]); guess != k.Guess || float64(p) != k.Confidence || k.Mean > k.Confidence {
			t.Errorf("%s: the most confident one is a %d at %v, want %d at %v", k.Name, guess, p, k.Guess, k.Confidence)
		}
	}
	counts := make([]int, classes)
	guesses, _ := n.Classify(t.Context(), set.Pixels)
	for _, g := range guesses {
		counts[g]++
	}
	if !slices.Equal(r.Kinds[0].Guesses, counts) {
		t.Errorf("real digits are taken for %v, want %v", r.Kinds[0].Guesses, counts)
	}
	same, other := made[*Noise](t)(NewNoise(t.Context(), n, set, 1)), made[*Noise](t)(NewNoise(t.Context(), n, set, 2))
	if same.Kinds[1].Mean != r.Kinds[1].Mean || other.Kinds[1].Mean == r.Kinds[1].Mean {
		t.Errorf("seeds 1, 1 and 2 give means %v, %v and %v", r.Kinds[1].Mean, same.Kinds[1].Mean, other.Kinds[1].Mean)
	}
	// Shuffled images have the pixels of real ones.
	bright := func(k Kind) byte { return slices.Max(k.best) }
	if bright(r.Kinds[2]) > slices.Max(set.Pixels) || bright(r.Kinds[2]) < 170 {
		t.Errorf("the brightest shuffled pixel is %d", bright(r.Kinds[2]))
	}
}

func TestActivations(t *testing.T) {
	for _, n := range []*chain{bars(true), bars(false), shallow()} {
		p := picture(t, 5)
		for unit := range classes {
			r := made[*Activations](t)(NewActivations(t.Context(), n, p, side, side, unit))
			v, sum, scale := r.Reveal, r.Reveal.Bias, math.Abs(r.Reveal.Bias)
			for _, product := range v.Products {
				sum, scale = sum+product, scale+math.Abs(product)
			}
			if !near(sum, v.Input, scale) || !near(v.Positive+v.Negative+v.Bias, v.Input, scale) {
				t.Errorf("%s: what is revealed sums to %v, %v enters the unit", n.name, sum, v.Input)
			}
		}
		r := made[*Activations](t)(NewActivations(t.Context(), n, p, side, side, MostActive))
		if best, _ := top(r.Layers[0]); r.Reveal.Unit != best {
			t.Errorf("%s: unit %d is revealed, %d is the most active", n.name, r.Reveal.Unit, best)
		}
		for k, edges := range r.Edges {
			for i, e := range edges {
				from := float64(p.Pixels[e.From%len(p.Pixels)]) / 255
				if k > 0 {
					from = float64(r.Layers[k-1][e.From])
				}
				l := n.layers[k]
				want := float64(l.Weight[e.To*l.In+e.From]) * from
				if !near(e.Product, want, math.Abs(want)) || i > 0 && math.Abs(e.Product) > math.Abs(edges[i-1].Product) {
					t.Fatalf("%s: edge %d into layer %d is %+v, want a product of %v", n.name, i, k+2, e, want)
				}
			}
		}
	}
	// Of many units, those that are the most active.
	broad := &chain{name: "broad", layers: []model.Layer{layer(side*side, 50, 1, 0.3), layer(50, classes, 2, 0.3)}, softmax: true}
	r := made[*Activations](t)(NewActivations(t.Context(), broad, picture(t, 0), side, side, MostActive))
	least, hidden := float32(math.Inf(1)), float32(math.Inf(-1))
	for u, v := range r.Layers[0] {
		if slices.Contains(r.Shown[0], u) {
			least = min(least, v)
		} else {
			hidden = max(hidden, v)
		}
	}
	if len(r.Shown[0]) != drawnUnits || least < hidden {
		t.Errorf("%d units are shown from %v, others have up to %v", len(r.Shown[0]), least, hidden)
	}
}

func TestMorph(t *testing.T) {
	for _, n := range []*chain{bars(true), bars(false), shallow()} {
		m := made[*Morph](t)(NewMorph(t.Context(), n, picture(t, 0), picture(t, 3), side, side))
		guess := func(t float64) int {
			_, a, _ := n.Activate(context.Background(), m.at(t))
			g, _ := top(a[len(a)-1])
			return g
		}
		flips := m.Flips
		for i := 1; i < len(m.T); i++ {
			if m.Guesses[i] != guess(m.T[i]) {
				t.Errorf("%s: at %v the guess is %d, want %d", n.name, m.T[i], m.Guesses[i], guess(m.T[i]))
			}
			if m.Guesses[i] == m.Guesses[i-1] {
				continue
			}
			if len(flips) == 0 || flips[0].Step != i || flips[0].From != m.Guesses[i-1] || flips[0].To != m.Guesses[i] {
				t.Fatalf("%s: the guess changes at step %d, the flips are %+v", n.name, i, m.Flips)
			}
			f := flips[0]
			if f.T <= m.T[i-1] || f.T > m.T[i] || guess(f.T) == f.From || guess(f.T-2e-6) != f.From {
				t.Errorf("%s: it does not flip at %v", n.name, f.T)
			}
			flips = flips[1:]
		}
		if len(flips) != 0 || len(m.Flips) == 0 {
			t.Errorf("%s: flips %+v", n.name, m.Flips)
		}
		for i, c := range m.Changed {
			path := 0.
			for k := 1; k < len(c.Activations); k++ {
				path += math.Abs(float64(c.Activations[k]) - float64(c.Activations[k-1]))
			}
			if path != c.Path || i > 0 && c.Path > m.Changed[i-1].Path {
				t.Errorf("%s: change %d is %v long, want %v", n.name, i, c.Path, path)
			}
		}
	}
}

func TestDream(t *testing.T) {
	set := images(40)
	for _, n := range []*chain{bars(true), bars(false), shallow()} {
		d := made[*Dream](t)(NewDream(t.Context(), n, set, 1))
		for _, o := range d.Outputs {
			for i := 1; i < len(o.Logits); i++ {
				if o.Logits[i] <= o.Logits[i-1] {
					t.Fatalf("%s: the logit of %d falls from %v to %v", n.name, o.Class, o.Logits[i-1], o.Logits[i])
				}
			}
			if len(o.Logits) < 2 || o.End <= o.Start || o.End < o.Mean {
				t.Errorf("%s: %d goes from %v to %v in %d steps, its mean has %v", n.name, o.Class, o.Start, o.End, len(o.Logits)-1, o.Mean)
			}
			// The last image is the one that is shown, and its logit that of its probability.
			_, a, _ := n.Activate(t.Context(), o.Image)
			p := float64(a[len(a)-1][o.Class])
			if logit := math.Log(p / (1 - p)); p != o.End || math.Abs(logit-o.Logits[len(o.Logits)-1]) > 1e-6/(p*(1-p)) {
				t.Errorf("%s: the dream of %d has p = %v and logit %v, want %v and %v", n.name, o.Class, p, logit, o.End, o.Logits[len(o.Logits)-1])
			}
			if slices.Min(o.Image) < 0 || slices.Max(o.Image) > 1 {
				t.Errorf("%s: pixels from %v to %v", n.name, slices.Min(o.Image), slices.Max(o.Image))
			}
			for p, v := range o.MeanImage {
				sum, count := 0., 0.
				for i, label := range set.Labels {
					if int(label) == o.Class {
						sum, count = sum+float64(set.Image(i)[p])/255, count+1
					}
				}
				if !near(float64(v), sum/count, 1) {
					t.Fatalf("%s: pixel %d of the mean of %d is %v, want %v", n.name, p, o.Class, v, sum/count)
				}
			}
		}
		again, other := made[*Dream](t)(NewDream(t.Context(), n, set, 1)), made[*Dream](t)(NewDream(t.Context(), n, set, 2))
		if !slices.Equal(again.Outputs[0].Image, d.Outputs[0].Image) || slices.Equal(other.Outputs[0].Image, d.Outputs[0].Image) {
			t.Errorf("%s: the seed does not determine the dream", n.name)
		}
	}
}

// The slope that ascent follows is that of the logit.
func TestLogitSlope(t *testing.T) {
	for _, n := range []*chain{bars(true), bars(false), shallow()} {
		x := unitInterval(picture(t, 2).Pixels)
		v := made[view](t)(look(t.Context(), n, x, 1))
		slope, _ := n.InputGradient(t.Context(), x, v.dz)
		for i := range x {
			// Central differences: the third derivative's h² and float32's rounding over h are both far below 1e-2 of the
			// largest slope.
			const h = 1.0 / 64
			up, down := slices.Clone(x), slices.Clone(x)
			up[i] += h
			down[i] -= h
			high, low := made[view](t)(look(t.Context(), n, up, 1)), made[view](t)(look(t.Context(), n, down, 1))
			if found := (high.logit - low.logit) / (2 * h); math.Abs(found-float64(slope[i])) > 1e-2*largest(slope) {
				t.Errorf("%s: pixel %d has slope %v, differences give %v", n.name, i, slope[i], found)
			}
		}
	}
}

func TestTraining(t *testing.T) {
	loss := 0.5
	n, set := bars(true), images(40)
	r := made[*Training](t)(NewTraining(t.Context(), []Course{
		{Name: "a", Epochs: []Epoch{{Epoch: 1, Step: 10, TrainLoss: &loss}}, Steps: []int{0, 10}, Networks: []Network{shallow(), n}},
		{Name: "b"},
	}, set))
	guesses, _ := n.Classify(t.Context(), set.Pixels)
	right := 0.
	for i, g := range guesses {
		if g == set.Labels[i] {
			right++
		}
	}
	if s := r.Runs[0].Snapshots; len(s) != 2 || s[1].Step != 10 || s[1].Accuracy != right/40 || len(r.Runs[1].Snapshots) != 0 {
		t.Errorf("found %+v", r.Runs)
	}
}

// skipping is a chain whose last layer reads the one before together with the first.
type skipping struct{ *chain }

func (s skipping) Sources() []int {
	sources := s.chain.Sources()
	sources[len(sources)-1] = model.ReadsOther
	return sources
}

// blind is a network none of whose layers sees the pixels, as after a convolution.
type blind struct{ *chain }

func (s blind) Sources() []int { return []int{model.ReadsOther, 0, 1}[:len(s.layers)] }

// Figures of layers say that there is none which sees the pixels; the others are drawn.
func TestBlind(t *testing.T) {
	n, set := blind{bars(true)}, images(40)
	ctx := t.Context()
	for name, draw := range map[string]func() (Figure, error){
		"weights":     func() (Figure, error) { return NewWeights(ctx, n, side, side, SharedScale) },
		"blobs":       func() (Figure, error) { return NewBlobs(ctx, []Network{n}, []Start{nil}, set.Pixels, side, side) },
		"activations": func() (Figure, error) { return NewActivations(ctx, n, picture(t, 5), side, side, MostActive) },
	} {
		if _, err := draw(); err == nil || !strings.Contains(err.Error(), "no dense layer of") || !strings.Contains(err.Error(), "sees the pixels") {
			t.Errorf("%s: %v", name, err)
		}
	}
	for name, draw := range map[string]func() (Figure, error){
		"mistakes": func() (Figure, error) { return NewMistakes(ctx, []Network{n}, set) },
		"noise":    func() (Figure, error) { return NewNoise(ctx, n, set, 1) },
		"morph":    func() (Figure, error) { return NewMorph(ctx, n, picture(t, 0), picture(t, 1), side, side) },
		"dream":    func() (Figure, error) { return NewDream(ctx, n, set, 1) },
	} {
		if _, err := draw(); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// Lines are drawn between layers that read each other, and to no others.
func TestActivationsOfNoChain(t *testing.T) {
	for _, n := range []Network{bars(true), skipping{bars(true)}} {
		r := made[*Activations](t)(NewActivations(t.Context(), n, picture(t, 5), side, side, MostActive))
		last := len(r.Edges) - 1
		if _, skips := n.(skipping); (len(r.Edges[last]) == 0) != skips || len(r.Edges[0]) == 0 {
			t.Errorf("%T: %d lines into the first layer, %d into the last", n, len(r.Edges[0]), len(r.Edges[last]))
		}
	}
}
