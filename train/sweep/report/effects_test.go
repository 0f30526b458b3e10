package report

import (
	"math"
	"math/rand/v2"
	"strings"
	"testing"

	"gonum.org/v1/gonum/stat/distuv"

	"vanilla/model"
	"vanilla/train"
	"vanilla/train/sweep"
)

// SciPy's scipy.stats.ncf.cdf gives the numbers.
func TestNoncentralF(t *testing.T) {
	for _, c := range []struct{ f, k, v, lambda, want float64 }{
		{2.5, 3, 20, 5, 0.516354999}, {4, 1, 8, 10, 0.136254488}, {1, 5, 100, 2, 0.373986114}, {60, 5, 144, 300, 0.458015519}, {0.01, 2, 9, 3, 0.00223806221},
	} {
		if found := noncentralF(c.f, c.k, c.v, c.lambda); !near(found, c.want, 1e-8) {
			t.Errorf("%+v: found %v", c, found)
		}
	}
	for _, f := range []float64{0.1, 1, 3, 30} {
		want := distuv.F{D1: 4, D2: 30}.CDF(f)
		if got := noncentralF(f, 4, 30, 0); !near(got, want, 1e-12) {
			t.Errorf("central, %v: found %v, want %v", f, got, want)
		}
	}
	// The approximation takes over where it is as good.
	for _, f := range []float64{2300, 2500, 2700} {
		exact, approximate := noncentralF(f, 4, 50, largeLambda), noncentralF(f, 4, 50, largeLambda*(1+1e-9))
		if !near(exact, approximate, 0.002) {
			t.Errorf("at %v: %v and %v", f, exact, approximate)
		}
	}
}

// planted are sweeps whose truth is known: results are the logarithms of errors, to which each dimension adds what of says,
// and each network a normal number of the deviation noise.
type planted struct {
	spec  sweep.Spec
	noise float64
	of    func(r *train.Recipe) float64
	// shares are those of dimensions, and of pairs as "a × b".
	shares map[string]float64
}

func (p planted) open(t testing.TB, run uint64) *Report {
	random := rand.New(rand.NewPCG(run, 99))
	spec := p.spec
	spec.Seed = run
	return open(t, simulate(t, spec, func(v sweep.Identity, _ int) (float64, bool) {
		return 1 - math.Exp(-3+p.of(&v.Recipe)+p.noise*random.NormFloat64()), false
	}, nil))
}

func (r *Report) effectOf(name string) *Effect {
	for i := range r.Dimensions {
		if r.Dimensions[i].Name == name {
			return r.Dimensions[i].Effect
		}
	}
	for i := range r.Interactions {
		if x := &r.Interactions[i]; x.A+" × "+x.B == name || x.B+" × "+x.A == name {
			return &x.Effect
		}
	}
	return nil
}

func plantedGrid() planted {
	p := planted{spec: study(), noise: 0.2}
	p.spec.Space = map[string]string{"activation": "relu,tanh", "init": "he,scaled,xavier", "batch": "16,32"}
	p.spec.Seeds = 4
	p.of = func(r *train.Recipe) float64 {
		a, b := -1., -1.
		if r.Activation == "relu" {
			a = 1
		}
		if r.Batch == 16 {
			b = 1
		}
		return 0.25*a + 0.1*b + 0.12*a*b
	}
	all := 0.25*0.25 + 0.1*0.1 + 0.12*0.12 + p.noise*p.noise
	p.shares = map[string]float64{"activation": 0.25 * 0.25 / all, "batch": 0.1 * 0.1 / all, "activation × batch": 0.12 * 0.12 / all, "init": 0}
	return p
}

func plantedDraws() planted {
	p := planted{spec: study(), noise: 0.2}
	p.spec.Space = map[string]string{"activation": "relu,tanh", "lr": "0.01..1", "weight_decay": "1e-6..1e-3", "init": "he,scaled"}
	p.spec.Points, p.spec.Seeds = 100, 1
	p.of = func(r *train.Recipe) float64 {
		a := -1.
		if r.Activation == "relu" {
			a = 1
		}
		u := math.Sqrt(3) * (1 + math.Log10(r.LR)) // of deviation 1
		return 0.15*u + 0.1*a + 0.08*a*u
	}
	all := 0.15*0.15 + 0.1*0.1 + 0.08*0.08 + p.noise*p.noise
	p.shares = map[string]float64{"lr": 0.15 * 0.15 / all, "activation": 0.1 * 0.1 / all, "weight-decay": 0, "init": 0}
	return p
}

// plantedLayers has second and third layers that networks with fewer layers do not have, and that do nothing.
func plantedLayers() planted {
	p := planted{spec: study(), noise: 0.2}
	p.spec.Space = map[string]string{"layers": "1..3", "hidden": "8..64", "activation": "relu,tanh"}
	p.spec.Points, p.spec.Seeds = 80, 2
	p.of = func(r *train.Recipe) float64 { return -0.3 * math.Log(widthsOf(r.Arch)[1]/16) }
	p.shares = map[string]float64{"layers": 0, "h2": 0, "h3": 0, "activation": 0}
	return p
}

// Of simulated sweeps whose truth is known, intervals hold it in about 95 of 100, and a dimension that does nothing is called
// an effect in about 5.
func TestEffectsSimulated(t *testing.T) {
	for name, p := range map[string]planted{"grid with seeds": plantedGrid(), "points at random": plantedDraws(), "layers": plantedLayers()} {
		const simulated = 200
		held, called := map[string]int{}, map[string]int{}
		for run := range simulated {
			r := p.open(t, uint64(run))
			for of, truth := range p.shares {
				e := r.effectOf(of)
				if e == nil {
					t.Fatalf("%s: no effect of %s in %+v", name, of, r.Dimensions)
				}
				held[of] += btoi(e.Lower <= truth && truth <= e.Upper)
				called[of] += btoi(e.Found())
			}
		}
		for of, truth := range p.shares {
			covered, found := float64(held[of])/simulated, float64(called[of])/simulated
			t.Logf("%s, %s of %.3f: covered %.3f, found %.3f", name, of, truth, covered, found)
			if covered < 0.91 || covered > 0.98 {
				t.Errorf("%s: intervals of %s hold the truth in %.3f of simulated sweeps", name, of, covered)
			}
			if truth == 0 && (found < 0.02 || found > 0.09) {
				t.Errorf("%s: %s, which does nothing, is called an effect in %.3f", name, of, found)
			}
		}
	}
}

// What anybody sees in the rows is an effect, and its size is the planted one.
func TestEffectsPlain(t *testing.T) {
	deviations := []float64{0, -1.265, -0.632, 0.632, 1.265} // of five seeds: standard deviation 1
	five := func(mean, sd float64, seed uint64) float64 { return mean + sd*deviations[seed%5] }

	spec := study()
	spec.Space = map[string]string{"optimizer": "sgd,adam"}
	r := open(t, simulate(t, spec, func(v sweep.Identity, _ int) (float64, bool) {
		if v.Optimizer == "adam" {
			return five(0.9174, 0.0074, v.Seed), false
		}
		return five(0.9456, 0.0017, v.Seed), false
	}, nil))
	if e := r.effectOf("optimizer"); !e.Found() || e.Share < 0.85 || e.P > 1e-4 {
		t.Errorf("94.56 ± 0.17 against 91.74 ± 0.74, five seeds each: found %+v", e)
	}
	if name := r.Dimensions[0].Levels[0].Value; name != "adam (lr 0.001, weight-decay 0)" {
		t.Errorf("the learning rate that adam brings is not said: %s", name)
	}

	// A second dimension that adds a little to every row of a first that does nearly everything.
	spec = study()
	spec.Space = map[string]string{"layers": "2", "hidden": "4,8,16,32,64,128"}
	r = open(t, simulate(t, spec, func(v sweep.Identity, _ int) (float64, bool) {
		w := widthsOf(v.Arch)
		return 1 - 0.3*math.Pow(w[1], -0.5)*math.Pow(w[2], -0.06)*math.Exp(0.02*deviations[v.Seed%5]), false
	}, nil))
	if e := r.effectOf("h2"); !e.Found() || e.Share > 0.05 {
		t.Errorf("h2: found %+v", e)
	}
	if e := r.effectOf("h1"); !e.Found() || e.Share < 0.95 {
		t.Errorf("h1: found %+v", e)
	}

	// What two do only together.
	spec = study()
	spec.Space = map[string]string{"activation": "relu,tanh", "init": "he,xavier"}
	r = open(t, simulate(t, spec, func(v sweep.Identity, _ int) (float64, bool) {
		if (v.Activation == "relu") == (v.Init == "he") {
			return five(0.95, 0.002, v.Seed), false
		}
		return five(0.94, 0.002, v.Seed+uint64(v.Index)), false
	}, nil))
	if e := r.effectOf("activation × init"); !e.Found() || e.Share < 0.7 {
		t.Errorf("the interaction: found %+v", e)
	}
	for _, name := range []string{"activation", "init"} {
		if e := r.effectOf(name); e.Found() {
			t.Errorf("%s by itself: found %+v", name, e)
		}
	}

	// Networks that diverged and one that never learned do not hide an effect.
	spec = study()
	spec.Space = map[string]string{"lr": "0.1,0.2,0.4,0.8", "init": "he,xavier"}
	r = open(t, simulate(t, spec, func(v sweep.Identity, _ int) (float64, bool) {
		if v.LR == 0.8 {
			return 0, v.Seed < 3
		}
		if v.Seed == 3 && v.LR == 0.1 && v.Init == "he" {
			return 0.1, false
		}
		return five(0.9+0.1*v.LR, 0.002, v.Seed), false
	}, nil))
	if e := r.effectOf("lr"); !e.Found() {
		t.Errorf("lr: found %+v", e)
	}

	// Too few.
	spec = study()
	spec.Seeds, spec.Space = 1, map[string]string{"init": "he,xavier", "batch": "16,32"}
	r = open(t, simulate(t, spec, outcome, nil))
	for i := range r.Dimensions {
		if d := &r.Dimensions[i]; d.effectText() != "too few points" {
			t.Errorf("four points: %s is said to be %s", d.Name, d.effectText())
		}
	}
}

func widthsOf(arch string) (widths []float64) {
	all, _ := model.Widths(arch)
	for _, w := range all {
		widths = append(widths, float64(w))
	}
	return widths
}

// No block and no norm are choices with effects, where there are layers that could have one; and so are the activations that
// architectures say.
func TestEffectsOfNothing(t *testing.T) {
	for _, c := range []struct {
		space        map[string]string
		name, levels string
		better       func(r *train.Recipe) bool
	}{
		{map[string]string{"layers": "1", "hidden": "8", "norm": "none,layer", "dropout": "0,0.1", "label_smoothing": "0,0.1"},
			"norm", "none, layer", func(r *train.Recipe) bool { return r.Norm == "" }},
		{map[string]string{"layers": "2", "hidden": "8", "block": "none,residual", "lr": "0.1,0.2"},
			"block", "none, residual", func(r *train.Recipe) bool { return r.Block == "" }},
		{map[string]string{"layers": "0,2", "hidden": "8", "block": "gated,none,residual", "lr": "0.1,0.2"},
			"block", "no hidden layer, none, gated, residual", func(r *train.Recipe) bool { return r.Block == "" && r.Has("block") }},
		{map[string]string{"arch": "784-8relu-8tanh-10,784-8-8-10,784-8relu-8relu-10"},
			"activations", "relu, relu-tanh, sigmoid", func(r *train.Recipe) bool { return r.Arch == "784-8-8-10" }},
	} {
		spec := study()
		spec.Space = c.space
		r := open(t, simulate(t, spec, func(v sweep.Identity, _ int) (float64, bool) {
			return 0.8 + 0.1*float64(btoi(c.better(&v.Recipe))) + 0.001*float64(v.Seed), false
		}, nil))
		var levels []string
		for _, d := range r.Dimensions {
			for _, l := range d.Levels {
				if d.Name == c.name {
					levels = append(levels, l.Value)
				}
			}
		}
		if e := r.effectOf(c.name); !e.Found() || e.Share < 0.5 || strings.Join(levels, ", ") != c.levels {
			t.Errorf("%v: the effect of %s is %+v, of %v", c.space, c.name, e, levels)
		}
	}
}
