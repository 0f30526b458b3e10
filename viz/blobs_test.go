package viz

import (
	"math"
	"math/rand/v2"
	"testing"

	"vanilla/model"
)

// Images of which is known what they look like.
func TestLook(t *testing.T) {
	const rows, cols = 28, 28
	bank := newBank(rows, cols)
	b := &Blobs{Rows: rows, Cols: cols, dead: make([]bool, rows*cols)}
	draw := func(of func(y, x float64) float64) []float32 {
		w := make([]float32, rows*cols)
		for i := range w {
			w[i] = float32(of(float64(i/cols), float64(i%cols)))
		}
		return w
	}
	random := rand.New(rand.NewPCG(1, 1))
	noise := draw(func(_, _ float64) float64 { return random.NormFloat64() })
	blob := draw(func(y, x float64) float64 { return math.Exp(-(math.Pow(y-12, 2) + math.Pow(x-15, 2)) / 18) })
	edge := draw(func(y, x float64) float64 { return (y - 14) * math.Exp(-(math.Pow(y-14, 2)+math.Pow(x-14, 2))/18) })
	stripes := draw(func(_, x float64) float64 { return math.Cos(2 * math.Pi * 7 * x / cols) })

	n, spectrum := b.look(bank, noise, noise)
	// Of 1,512 pairs of independent pixels the correlation deviates by 1/√1512 = 0.026: four of these.
	if math.Abs(n.Neighbours) > 0.11 || math.Abs(n.Centre-0.25) > 0.07 || n.Edge > 0.1 || n.Blob > 0.1 {
		t.Errorf("noise looks like %+v", n)
	}
	for f := 4; f < len(spectrum); f++ { // 20 and more waves each, whose power deviates by 1/√20 at most
		if math.Abs(spectrum[f]-1) > 4/math.Sqrt(20) {
			t.Errorf("noise has %v times the power of noise at %d periods", spectrum[f], f)
		}
	}
	if l, _ := b.look(bank, blob, blob); l.Blob < 0.9 || l.Edge > 0.6 || l.Neighbours < 0.9 || l.Low < 0.9 {
		t.Errorf("a blob looks like %+v", l)
	}
	if l, _ := b.look(bank, edge, edge); l.Edge < 0.9 || l.Blob > 0.6 || l.Centre < 0.9 {
		t.Errorf("an edge looks like %+v", l)
	}
	if l, s := b.look(bank, stripes, stripes); l.Low > 1e-6 || math.Abs(s[7]-maxOf(s)) > 0 || math.Abs(l.Edge) > 0.3 {
		t.Errorf("stripes look like %+v, with a spectrum of %v", l, s)
	}
	if l, _ := b.look(bank, make([]float32, rows*cols), noise); l != (Look{}) {
		t.Errorf("nothing looks like %+v", l)
	}
}

func maxOf(values []float64) float64 {
	_, v := top(values)
	return v
}

// A transform keeps all power.
func TestRadialPower(t *testing.T) {
	const rows, cols = 5, 7
	w := layer(rows*cols, 1, 9, 1).Weight
	power, waves := radialPower(w, rows, cols)
	// With the folded frequencies up to (2, 3), only those beyond 2.5 in all are missing.
	mean, want := 0., 0.
	for _, v := range w {
		mean += float64(v) / (rows * cols)
	}
	for _, v := range w {
		want += (float64(v) - mean) * (float64(v) - mean)
	}
	found, count := 0., 0
	for f := range power {
		found, count = found+power[f], count+waves[f]
	}
	if found/(rows*cols) > want*(1+1e-9) || power[0] > 1e-9 {
		t.Errorf("the power is %v, that of the pixels %v; %v at 0", found/(rows*cols), want, power[0])
	}
	// One wave across has all of it at 1, and the two signs of its frequency.
	for i := range w {
		w[i] = float32(math.Sin(2 * math.Pi * float64(i/cols) / rows))
	}
	if power, waves = radialPower(w, rows, cols); math.Abs(power[1]/(rows*cols)-float64(rows*cols)/2) > 1e-4 || waves[1] != 8 {
		t.Errorf("one wave has power %v in %v waves", power, waves)
	}
}

func TestBlobs(t *testing.T) {
	set := images(20)
	trained := bars(true)
	start := layer(side*side, classes, 1, 0.05)
	b := made[*Blobs](t)(NewBlobs(t.Context(), []Network{trained, trained}, []Start{{start}, nil}, set.Pixels, side, side))
	if b.DeadPixels != 2*side { // the two columns at the border
		t.Errorf("%d pixels are dead, want %d", b.DeadPixels, 2*side)
	}
	set.Pixels[3*side*side] = 1 // once, and hardly, is enough
	if b := made[*Blobs](t)(NewBlobs(t.Context(), []Network{trained}, []Start{nil}, set.Pixels, side, side)); b.DeadPixels != 2*side-1 {
		t.Errorf("%d pixels are dead, want %d", b.DeadPixels, 2*side-1)
	}
	m := b.Models[0]
	if b.Models[1].Start != nil || m.Start == nil {
		t.Fatal("the second start is not known, the first is")
	}
	// What is added to dead pixels is one constant.
	if math.Abs(m.Trained.FromStart-1) > 1e-6 || m.Start.FromStart != 1 || math.Abs(m.Start.RMSDead-0.05) > 0.02 {
		t.Errorf("found %+v, start %+v", m.Trained.Look, m.Start.Look)
	}
	for _, u := range m.Trained.Units {
		if u.Dead < 0 || u.Dead > 1 || u.Centre < 0 || u.Centre > 1 {
			t.Errorf("found %+v", u)
		}
	}
	// The shares of live and dead pixels are those of the squares.
	l := trained.layers[0]
	w := model.Layer{In: l.In, Out: 1, Weight: l.Weight[:l.In], Bias: l.Bias[:1]}
	dead, all := 0., 0.
	for i, v := range w.Weight {
		square := float64(v) * float64(v)
		all += square
		if x := i % side; x == 0 || x == side-1 {
			dead += square
		}
	}
	if found := m.Trained.Units[0].Dead; math.Abs(found-dead/all) > 1e-12 {
		t.Errorf("dead pixels have %v of the squares, want %v", found, dead/all)
	}
}
