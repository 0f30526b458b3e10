package sweep

import (
	"errors"
	"reflect"
	"slices"
	"strings"
	"testing"

	"vanilla/kernels"
	"vanilla/train"
)

// digits are the sizes of MNIST.
var digits = train.Fingerprint{Train: 60000, Test: 10000, Rows: 28, Columns: 28, Classes: 10}

// small is a spec that changes make another.
func small(change func(*Spec)) Spec {
	s := Spec{Recipe: train.Default(), Space: map[string]string{}, Seed: 1, Seeds: 1}
	s.Recipe.Validation = 0.1
	if change != nil {
		change(&s)
	}
	return s
}

func plan(t testing.TB, change func(*Spec)) *Plan {
	t.Helper()
	p, err := NewPlan(t.Context(), small(change), digits)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

func archs(p *Plan) []string {
	var found []string
	for _, point := range p.Points {
		found = append(found, point.Recipe.Arch)
	}
	return found
}

func TestGrid(t *testing.T) {
	for _, c := range []struct {
		space map[string]string
		want  string
	}{
		{nil, "784-16-16-10"},
		{map[string]string{"layers": "0..2", "hidden": "4,8"}, "784-10 784-4-10 784-8-10 784-4-4-10 784-4-8-10 784-8-4-10 784-8-8-10"},
		{map[string]string{"layers": "1,3"}, "784-16-10 784-16-16-16-10"},
		{map[string]string{"hidden": "4..128:log:6"}, ""},
		{map[string]string{"arch": "784-10,784-9-10", "lr": "0.1,0.2"}, "784-10 784-10 784-9-10 784-9-10"},
	} {
		p := plan(t, func(s *Spec) { s.Space = c.space })
		if got := strings.Join(archs(p), " "); c.want != "" && got != c.want {
			t.Errorf("%v: found %s, want %s", c.space, got, c.want)
		}
	}
	p := plan(t, func(s *Spec) { s.Space = map[string]string{"layers": "1", "hidden": "4..128:log:6"} })
	if got, want := strings.Join(archs(p), " "), "784-4-10 784-8-10 784-16-10 784-32-10 784-64-10 784-128-10"; got != want {
		t.Errorf("found %s, want %s", got, want)
	}
}

// What follows from other settings follows them in each point, and what does not
// belong to an optimizer makes no point of its own.
func TestPointsFollow(t *testing.T) {
	p := plan(t, func(s *Spec) {
		s.Space = map[string]string{"optimizer": "sgd,momentum,adam", "momentum": "0.8,0.9", "schedule": "cosine,step"}
	})
	var found []string
	for _, point := range p.Points {
		r := point.Recipe
		found = append(found, strings.Join([]string{r.Optimizer, r.Schedule}, " "))
		if r.LR != (kernels.Optimizer{Name: r.Optimizer}).Kind().LR || (r.Momentum > 0) != (r.Optimizer == "momentum") || (r.Gamma > 0) != (r.Schedule == "step") {
			t.Errorf("found %+v", r)
		}
	}
	if want := []string{"sgd cosine", "sgd step", "momentum cosine", "momentum cosine", "momentum step", "momentum step", "adam cosine", "adam step"}; len(found) != len(want) {
		t.Errorf("found %q, want %q", found, want)
	}
}

func TestDraw(t *testing.T) {
	space := map[string]string{"layers": "1..3", "hidden": "8..128", "lr": "0.01..1", "activation": "relu,silu", "weight_decay": "0,1e-5..1e-3"}
	draw := func(seed uint64, points int) *Plan {
		return plan(t, func(s *Spec) { s.Space, s.Points, s.Seed = space, points, seed })
	}
	p := draw(1, 600)
	if !reflect.DeepEqual(p, draw(1, 600)) {
		t.Error("the same seed draws other points")
	}
	for i, point := range draw(1, 100).Points {
		if point.ID != p.Points[i].ID {
			t.Fatal("fewer points are not the first of many")
		}
	}
	if draw(2, 600).Points[0].ID == p.Points[0].ID {
		t.Error("another seed draws the same points")
	}
	seen := map[string]int{}
	below := 0
	for _, point := range p.Points {
		r := point.Recipe
		layers := strings.Count(r.Arch, "-") - 1
		seen[r.Activation]++
		seen[[]string{"", "one", "two", "three"}[layers]]++
		if r.LR < 0.1 {
			below++
		}
		if r.LR < 0.01 || r.LR > 1 {
			t.Errorf("learning rate %g", r.LR)
		}
		if r.WeightDecay == 0 {
			seen["no decay"]++
		}
		seen[point.ID]++
	}
	for name, share := range map[string]float64{"relu": 0.5, "one": 1. / 3, "two": 1. / 3, "three": 1. / 3, "no decay": 0.5} {
		// Five standard deviations of a count of 600.
		if n := float64(seen[name]); n < 600*share-62 || n > 600*share+62 {
			t.Errorf("%v of 600 points have %s", n, name)
		}
	}
	if below < 238 || below > 362 {
		t.Errorf("%d of 600 learning rates are in the lower decade", below)
	}
	for _, point := range p.Points {
		if seen[point.ID] != 1 {
			t.Errorf("%s is there %d times", point.Recipe.Arch, seen[point.ID])
		}
	}
}

func TestMaxParameters(t *testing.T) {
	p := plan(t, func(s *Spec) {
		s.Space, s.Points, s.MaxParameters = map[string]string{"layers": "1..3", "hidden": "8..128"}, 50, 20000
	})
	for _, point := range p.Points {
		if point.Parameters > 20000 {
			t.Errorf("%s has %d", point.Recipe.Arch, point.Parameters)
		}
	}
	if n := train.Default().Parameters(); n != 13002 {
		t.Errorf("%d parameters, want 13002", n)
	}
}

// Brackets hold each point once, and quotas keep the work of rungs about equal.
func TestBrackets(t *testing.T) {
	p := plan(t, func(s *Spec) {
		s.Space, s.Points, s.Halving, s.Finalists, s.FinalSeeds = map[string]string{"hidden": "8..128", "lr": "0.1..1"}, 1000, []int{1, 3, 9, 27}, 5, 4
	})
	if len(p.Brackets) != 16 {
		t.Errorf("%d brackets", len(p.Brackets))
	}
	var all []int
	for b, points := range p.Brackets {
		if n := len(points); n < 62 || n > 63 {
			t.Errorf("bracket %d has %d points", b, n)
		}
		all = append(all, points...)
		if q := []int{p.Quota(b, 1), p.Quota(b, 2), p.Quota(b, 3)}; !slices.Equal(q, []int{21, 7, 2}) {
			t.Errorf("bracket %d keeps %v", b, q)
		}
	}
	slices.Sort(all)
	for i, point := range all {
		if point != i {
			t.Fatalf("brackets hold %v", all)
		}
	}
	if search, finals := p.Planned(Shard{}); search != 1000 || finals != 20 {
		t.Errorf("planned %d and %d", search, finals)
	}
	sum := 0
	for i := range 3 {
		search, finals := p.Planned(Shard{i + 1, 3})
		sum += search
		if finals != 0 {
			t.Error("a shard has finals")
		}
	}
	if sum != 1000 {
		t.Errorf("shards have %d points", sum)
	}
	if p.Points[0].Recipe.Epochs != 27 {
		t.Errorf("the horizon is %d epochs", p.Points[0].Recipe.Epochs)
	}
}

func TestWrongSpecs(t *testing.T) {
	space := func(field, text string) func(*Spec) {
		return func(s *Spec) { s.Space[field] = text }
	}
	for _, c := range []struct {
		change func(*Spec)
		want   string
	}{
		{space("hiden", "8"), `hiden 8: unknown space key "hiden": did you mean hidden?`},
		{space("validation", "0.1"), "unknown space key"},
		{space("lr", "0.1..x"), "lr 0.1..x: want a number on both sides"},
		{space("lr", "1..0.1"), "want the smaller number first"},
		{space("lr", "0..1"), "want positive numbers, or :linear"},
		{space("lr", "0.1..1:cubic"), `found "cubic" after the range: want log or linear`},
		{space("lr", "0.1..1:log:1"), `found "1" after the range`},
		{space("lr", "0.1..1"), "a grid needs a number of values after the range, as in 0.1..1:5"},
		{space("lr", ""), `lr "": want a value`},
		{space("lr", "-1"), "lr -1: want a positive number"},
		{space("hidden", "8.5"), "want a whole number"},
		{space("hidden", "0"), "hidden 0: want 1 to "},
		{space("hidden", "-3"), "hidden -3: want 1 to "},
		{func(s *Spec) { s.Space["layers"], s.Space["hidden"], s.Points = "1", "0..4", 3 }, "hidden 0..4: want 1 to "},
		{func(s *Spec) { s.Space["dropout"], s.Points = "0..1", 1 }, "dropout 1: want a probability"},
		{func(s *Spec) { s.Space["batch"], s.Points = "8..60000", 1 }, "batch 60000: the data has"},
		{space("layers", "65"), "layers 65: want 0 to 64 hidden layers"},
		{space("layers", "1..9999999"), "layers 1..9999999: want 0 to 64 hidden layers"},
		{space("batch", "1..9999999"), "at most 54000 fit in a batch"},
		{func(s *Spec) { s.Space["hidden"], s.Space["block"] = "4,8", "residual"; s.Space["layers"] = "1" }, "block residual: 784-4-10 has no two"},
		{func(s *Spec) { s.Space["layers"], s.Space["block"], s.Points = "1", "residual", 3 }, "block residual: 784-16-10 has no two"},
		{space("layers", "1..99"), "hidden layers"},
		{space("activation", "rulu"), "activation rulu: want identity"},
		{space("activation", "a..b"), "activation a..b: want names joined by commas"},
		{space("arch", "784-x"), "arch 784-x: want whole numbers"},
		{space("arch", "783-10"), "so the first width must be 784"},
		{space("batch", "60001"), "at most 54000 fit in a batch"},
		{space("epochs", "0"), "epochs 0: want 1 to 1000000"},
		{func(s *Spec) { s.Space["arch"], s.Space["hidden"] = "784-10", "8" }, "want one or the other"},
		{func(s *Spec) { s.Halving, s.Space["epochs"] = []int{1, 3}, "8" }, `epochs 8: "halving" 1,3 says how long`},
		{func(s *Spec) { s.Halving = []int{3, 1} }, "halving 3,1: want epochs that rise"},
		{func(s *Spec) { s.Halving = []int{0, 1} }, "want epochs that rise"},
		{func(s *Spec) { s.Points = -1 }, "points -1: want 1 to"},
		{func(s *Spec) { s.Seeds = 0 }, "seeds 0: want 1 to"},
		{func(s *Spec) { s.Points = 2 }, "points 2: the space seems to have only 1 different point: want"},
		{func(s *Spec) { s.MaxParameters = 9 }, "max_parameters 9: all networks of the space are larger"},
		{func(s *Spec) { s.MaxParameters, s.Points = 9, 3 }, "max_parameters 9: all networks of the space are larger"},
		{func(s *Spec) { s.Brackets = 2 }, "brackets 2: there are 1 points"},
		{func(s *Spec) { s.Finalists = 1 }, "final_seeds 0: want 1 to"},
		{func(s *Spec) { s.Recipe.Validation = 0 }, "validation 0: variants are compared on held-out images"},
		{func(s *Spec) { s.Recipe.Patience = 2 }, "patience 2: a sweep trains to the end of each rung"},
		{func(s *Spec) { s.Space["layers"], s.Space["hidden"] = "1..9", "1..9" }, "the grid has"},
	} {
		_, err := NewPlan(t.Context(), small(c.change), digits)
		var setting *train.SettingError
		if !errors.As(err, &setting) || !strings.Contains(err.Error(), c.want) {
			t.Errorf("found %v, want %s", err, c.want)
		}
	}
	for _, text := range []string{"", "1", "0/2", "3/2", "a/2", "1/b", "-1/2", "1/2/3"} {
		if s, err := ParseShard(text); err == nil {
			t.Errorf("%q is shard %v", text, s)
		}
	}
	if s, err := ParseShard("2/8"); err != nil || s != (Shard{2, 8}) {
		t.Errorf("found %v, %v", s, err)
	}
}

func TestDifferences(t *testing.T) {
	a, b := small(nil), small(func(s *Spec) {
		s.Space["lr"], s.Points, s.Halving, s.Recipe.Batch = "0.1..1", 3, []int{1, 2}, 10
	})
	if d := a.Differences(&a); d != "" {
		t.Error(d)
	}
	if d, want := b.Differences(&a), `"lr" was not given, is 0.1..1; "batch" was 32, is 10; "points" was 0, is 3; "halving" was , is 1,2`; d != want {
		t.Errorf("found %s, want %s", d, want)
	}
}

// Points whose block or norm has nothing to do are left out of grids and draws, the same ones every time.
func TestNothingToDo(t *testing.T) {
	grid := func(s *Spec) {
		s.Space = map[string]string{"layers": "2", "hidden": "1,4", "block": "none,residual", "norm": "none,layer"}
	}
	p := plan(t, grid)
	// Of 16 combinations, residual blocks have nothing to add in 4, and of the others norms are of one unit in 4.
	if len(p.Points) != 8 || p.LeftOut != 8 {
		t.Errorf("the grid has %d points without %d", len(p.Points), p.LeftOut)
	}
	for _, sampler := range Samplers() {
		draw := func(s *Spec) {
			s.Space = map[string]string{"layers": "1..2", "hidden": "4..16", "block": "none,residual"}
			s.Points, s.Sampler = 12, sampler
		}
		p, again := plan(t, draw), plan(t, draw)
		if len(p.Points) != 12 || p.LeftOut == 0 || !reflect.DeepEqual(p.Points, again.Points) || p.LeftOut != again.LeftOut {
			t.Errorf("%s drew %d points without %d, and %d without %d", sampler, len(p.Points), p.LeftOut, len(again.Points), again.LeftOut)
		}
		for i, point := range p.Points {
			if point.Index != i || point.Recipe.Check() != nil {
				t.Errorf("point %d is %+v", i, point)
			}
		}
	}
	// Bending and its smoothness are swept together.
	if p := plan(t, func(s *Spec) { s.Space = map[string]string{"elastic": "0,8", "elastic_sigma": "4,6"} }); len(p.Points) != 3 {
		t.Errorf("found %d points, want one without bending and two with", len(p.Points))
	}
}
