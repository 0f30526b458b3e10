package viz

import (
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
)

// The figures of a made-up space: accuracy rises with parameters, and with epochs.
func tradeoff() *Tradeoff {
	random := rand.New(rand.NewPCG(3, 4))
	t := &Tradeoff{About: "300 points, made up", Accuracy: "validation accuracy", Groups: []string{"1 epoch", "3 epochs", "9 epochs", "27 epochs"}}
	for i := range 300 {
		parameters := int(6000 * math.Exp(3*random.Float64()))
		group := min(3, int(-math.Log(random.Float64())))
		a := 1 - 0.14*math.Pow(float64(parameters)/6000, -0.35)*math.Exp(0.25*random.NormFloat64()-0.3*float64(group))
		p := Tried{Name: fmt.Sprintf("784-%d-10", parameters/795), Parameters: parameters, Accuracy: a, N: 1, Group: group}
		if i%3 == 0 {
			p.N, p.SD = 5, new((1-a)/20)
		}
		t.Points = append(t.Points, p)
	}
	slices.SortFunc(t.Points, func(a, b Tried) int { return a.Parameters - b.Parameters })
	var best [4]float64
	for i := range t.Points {
		if p := &t.Points[i]; p.Accuracy > best[p.Group] {
			p.Front, best[p.Group] = true, p.Accuracy
		}
	}
	return t
}

func heat(several bool) *Heat {
	h := &Heat{About: "784-h1-h2-10, made up", Accuracy: "validation accuracy", Columns: "units of hidden layer 2", Rows: "units of hidden layer 1", Marked: -1}
	for w := 4; w <= 128; w *= 2 {
		h.ColumnOf, h.RowOf = append(h.ColumnOf, fmt.Sprint(w)), append(h.RowOf, fmt.Sprint(w))
	}
	for i := range 36 {
		r, c := float64(i/6), float64(i%6)
		v := &Cell{Mean: 1 - 0.2*math.Exp(-0.45*r-0.1*c), N: 1}
		if several {
			v.N, v.SD = 5, new((1-v.Mean)/25)
		}
		h.Cells = append(h.Cells, v)
	}
	if several {
		h.Marked, h.Mark = 14, "784-16-16-10"
	} else {
		h.Cells[7] = nil
	}
	return h
}

func marginals() *Marginals {
	m := &Marginals{About: "1,000 points, made up", Accuracy: "validation accuracy after 1 epoch"}
	for i, d := range []struct{ name, values string }{
		{"lr", "0.01–0.03 0.03–0.1 0.1–0.3 0.3–1"}, {"activation", "sigmoid tanh relu leaky_relu softplus gelu"}, {"layers", "1 2 3"},
		{"h1", "8–16 17–32 33–64 65–128"}, {"optimizer", "sgd momentum adam"}, {"batch", "16 32 64 128"}, {"init", "scaled xavier he"}, {"weight_decay", "0 1e-05 1e-04"},
	} {
		dimension := Dimension{Name: d.name, Effect: fmt.Sprintf("%d %% (%d to %d)", 40-4*i, 35-4*i, 44-4*i), Found: i < 6}
		for k, value := range strings.Fields(d.values) {
			a := 1 - 0.1*math.Exp(-0.5*float64(k)/float64(i+1))
			l := Level{Value: value, N: 250, Last: 8 * (k + 1) / (i + 1), LowerQuartile: a - 0.03, Median: a, UpperQuartile: (1 + 2*a) / 3, Best: (1 + a) / 2}
			if k == 3 {
				l.N, l.Diverged = 211, 39
			}
			dimension.Levels = append(dimension.Levels, l)
		}
		m.Dimensions = append(m.Dimensions, dimension)
	}
	return m
}

func rungs() *Rungs {
	r := &Rungs{About: "6 finalists of 200 points, made up", Accuracy: "validation accuracy", Lines: "Lines are means over each finalist's new seeds, the same at every rung", Sampling: "images are a sample too"}
	random := rand.New(rand.NewPCG(5, 6))
	for i := range 200 {
		l := Learner{Name: fmt.Sprintf("784-%d-%d-10 relu adam", 128-i/4, 96-i/4)}
		start := 0.15 * math.Exp(0.3*random.NormFloat64()+float64(i)/400)
		for k, epochs := range []int{1, 3, 9, 27} {
			if i >= 200>>(2*k) && i >= 6 {
				break
			}
			e := start * math.Exp(-0.45*float64(k))
			l.Steps = append(l.Steps, Milestone{Epochs: epochs, Accuracy: 1 - e, SD: new(e / 15), N: 5})
		}
		if i < 6 {
			for e := range 27 {
				l.Losses, l.LossSD = append(l.Losses, 4*start*math.Pow(float64(e+1), -0.5)), append(l.LossSD, 1.1)
			}
			r.Finalists = append(r.Finalists, l)
		} else {
			r.Others = append(r.Others, l)
		}
	}
	return r
}

// Figures of nothing, of one point and of what is all alike can be drawn too.
func TestSparseSpaces(t *testing.T) {
	one := Milestone{Epochs: 4, Accuracy: 1, N: 1}
	for name, f := range map[string]Figure{
		"no points":    &Tradeoff{About: "none"},
		"one point":    &Tradeoff{About: "one", Groups: []string{"1 epoch"}, Points: []Tried{{Name: "a", Parameters: 1, Accuracy: 1, N: 1, Front: true}}},
		"all alike":    &Tradeoff{About: "two", Groups: []string{"1 epoch"}, Points: []Tried{{Name: "a", Parameters: 9, Accuracy: 0, N: 1, Front: true}, {Name: "b", Parameters: 9, N: 1}}},
		"no cells":     &Heat{About: "none", Marked: -1},
		"empty cells":  &Heat{About: "none", Marked: -1, ColumnOf: []string{"1"}, RowOf: []string{"1"}, Cells: []*Cell{nil}},
		"one cell":     &Heat{About: "one", Marked: 0, ColumnOf: []string{"1"}, RowOf: []string{"1"}, Cells: []*Cell{{Mean: 1, N: 1}}},
		"no dimension": &Marginals{About: "none"},
		"all diverged": &Marginals{About: "one", Dimensions: []Dimension{{Name: "lr", Levels: []Level{{Value: "9", Diverged: 3}}}}},
		"no finalists": &Rungs{About: "none"},
		"one epoch":    &Rungs{About: "one", Finalists: []Learner{{Name: "a", Steps: []Milestone{one}}}, Others: []Learner{{}}},
	} {
		p := f.page()
		w, h := p.size(still)
		if picture := p.image(Light, still, 1); picture.Bounds().Dx() != int(w) || picture.Bounds().Dy() != int(h) {
			t.Errorf("%s: %v, want %v x %v", name, picture.Bounds(), w, h)
		}
	}
}

// Equal ratios of errors are equally far apart, and ticks say what is there without touching each other.
func TestAccuracyAxis(t *testing.T) {
	var s accuracyScale
	if a, b := s.Normalize(0.8, 0.99, 0.9)-s.Normalize(0.8, 0.99, 0.8), s.Normalize(0.8, 0.99, 0.95)-s.Normalize(0.8, 0.99, 0.9); math.Abs(a-b) > 1e-12 {
		t.Errorf("from 80 to 90 %% is %v, from 90 to 95 %% %v", a, b)
	}
	if s.Normalize(0.8, 0.99, 0.8) != 0 || s.Normalize(0.8, 0.99, 0.99) != 1 || s.Normalize(0.8, 0.99, 1) < 1 || math.IsInf(s.Normalize(0.8, 0.99, 1), 0) {
		t.Error("the ends are not 0 and 1, or all right is nowhere")
	}
	for _, r := range [][2]float64{{0, 0.9999}, {0.1, 0.95}, {0.9, 0.985}, {0.961, 0.968}, {0.97, 0.9703}} {
		ticks := accuracyTicks{}.Ticks(r[0], r[1])
		if len(ticks) < 3 || len(ticks) > 12 {
			t.Errorf("%v has %d ticks: %v", r, len(ticks), ticks)
		}
		for i, tick := range ticks {
			if tick.Value < r[0] || tick.Value > r[1] || i > 0 && tick.Label == ticks[i-1].Label {
				t.Errorf("%v: tick %d is %v after %v", r, i, tick, ticks[max(0, i-1)])
			}
		}
	}
	for _, values := range [][]float64{nil, {0}, {1}, {0, 1}, {0.5, 0.5}, {0.9, 0.98}} {
		low, high := accuracyRange(values)
		if !(low < high) || low < 0 || high > mostAccurate {
			t.Errorf("%v: the axis goes from %v to %v", values, low, high)
		}
	}
}

// Better cells are lighter, so that the order is seen without hue.
func TestHeatColours(t *testing.T) {
	before := -1.
	for i := range 21 {
		l := oklabOf(heatColor(float64(i) / 20)).L
		if l <= before {
			t.Errorf("%v is not lighter than what is worse", float64(i)/20)
		}
		before = l
	}
}
