package train

import (
	"math"
	"math/rand/v2"
	"slices"
	"strconv"
	"strings"
	"testing"

	"vanilla/dataset"
	"vanilla/graph"
	"vanilla/infer/quality"
	"vanilla/internal/stripes"
	"vanilla/kernels"
	"vanilla/kernels/cpu"
	"vanilla/kernels/ref"
)

// bright is data with much noise.
func bright() *dataset.Dataset { return stripes.New("bright", 600, 300, 150, 100) }

// Recipes that really get stuck, in each way, and such that do not.
func TestStuck(t *testing.T) {
	for _, c := range []struct {
		name   string
		change func(*Recipe)
		want   []Stuck
		text   string
	}{
		{"learns", func(r *Recipe) {}, nil, ""},
		{"learns by the quadratic cost", func(r *Recipe) { r.Loss = "quadratic" }, nil, ""},
		{"dead", func(r *Recipe) { r.Activation, r.Init, r.LR = "relu", "lesson", 10 }, []Stuck{StuckLoss, StuckAccuracy, StuckDead}, "units of layer 2 are dead"},
		{"exploded", func(r *Recipe) { r.LR, r.Schedule = 300, "constant" }, []Stuck{StuckExploded, StuckAccuracy, StuckDead}, "far above that of guessing"},
		{"hardly moved", func(r *Recipe) { r.LR = 1e-9 }, []Stuck{StuckAccuracy}, "its accuracy is chance's, 33.33 %"},
	} {
		r := Default()
		r.Arch, r.Batch, r.Epochs = "16-6-3", 8, 6
		c.change(&r)
		for _, exec := range []kernels.Executor{cpu.New(), ref.New()} {
			results, err := Run(t.Context(), exec, bright(), []Spec{{Recipe: r, Seed: 1, OrderSeed: 1}}, Options{})
			if err != nil {
				t.Fatal(err)
			}
			got := results[0]
			if !slices.Equal(got.Stuck, c.want) || !strings.Contains(got.StuckText(), c.text) || (got.StuckText() == "") != (c.want == nil) {
				t.Errorf("%s on %s: found %q (%s), a test loss of %v, %.2f %% right, %+v; want %q",
					c.name, exec.Name(), got.Stuck, got.StuckText(), got.Test.Loss, 100*got.Test.Accuracy(), got.Hidden, c.want)
			}
			if o := OutcomeOf(got, exec, bright(), Fingerprint{}, ""); !slices.Equal(o.Stuck, c.want) {
				t.Errorf("%s: the record says %q, want %q", c.name, o.Stuck, c.want)
			}
		}
	}
}

// What guessing reaches, by hand.
func TestChance(t *testing.T) {
	labels := append(make([]byte, 150), slices.Repeat([]byte{1}, 50)...) // three quarters are 0
	near := func(a, b float64) bool { return math.Abs(a-b) < 1e-12 }
	entropy := func(p ...float64) (h float64) {
		for _, p := range p {
			h -= p * math.Log(p)
		}
		return h
	}
	for _, c := range []struct {
		recipe Recipe
		own    bool
		want   float64
	}{
		{Recipe{Loss: "cross-entropy"}, false, entropy(0.75, 0.25)},
		{Recipe{Loss: "cross-entropy", LabelSmoothing: 0.2}, false, entropy(0.7, 0.3)},
		{Recipe{Loss: "quadratic"}, false, 2 * 0.75 * 0.25},
		{Recipe{Loss: "quadratic"}, true, math.NaN()},
	} {
		got := ChanceOf(labels, 2, c.recipe, c.own)
		if !near(got.loss, c.want) && !(math.IsNaN(got.loss) && math.IsNaN(c.want)) || !near(got.frequent, 0.75) {
			t.Errorf("%+v, own %v: found %+v, want a loss of %v", c.recipe, c.own, got, c.want)
		}
	}
	chance := ChanceOf(labels, 2, Recipe{Loss: "cross-entropy"}, false)
	for _, c := range []struct {
		correct int
		loss    float64
		want    []Stuck
	}{
		{150, chance.loss, []Stuck{StuckLoss, StuckAccuracy}},
		{150, 0.9 * chance.loss, []Stuck{StuckAccuracy}},
		{165, chance.loss, []Stuck{StuckLoss}}, // better than guessing, which its loss is not
		{190, chance.loss, nil},                // too sure of itself, and right
		{190, 100 * chance.loss, nil},          // the same, and more so
		{160, 100 * chance.loss, []Stuck{StuckExploded}},
		{160, 0.5, nil},
	} {
		if got := chance.Of(kernels.Score{N: 200, Correct: c.correct, Loss: c.loss}); !slices.Equal(got, c.want) {
			t.Errorf("%d right with a loss of %v: found %q, want %q", c.correct, c.loss, got, c.want)
		}
	}
	// Of a few images nobody knows.
	if got := ChanceOf(labels[140:160], 2, Recipe{Loss: "cross-entropy"}, false).Of(kernels.Score{N: 20, Correct: 10, Loss: 0.5}); got != nil {
		t.Errorf("of 20 images: found %q", got)
	}
	layers := []quality.Layer{{Units: 4, Dead: []int{1}}, {Units: 4, Dead: []int{0, 3}}}
	if got := StuckUnits(layers); !slices.Equal(got, []Stuck{StuckDead}) || StuckUnits(layers[:1]) != nil {
		t.Errorf("half the units are dead: found %q", got)
	}
}

// What leaves the units of networks that are no chains, too, is what the definition says.
func TestHiddenOf(t *testing.T) {
	for _, c := range []struct {
		change func(*Recipe)
		layers string
	}{
		{func(r *Recipe) { r.Block = "gated" }, "layer 2, layer 3, layer 4, layer 5"},
		{func(r *Recipe) { r.Dropout = 0.1 }, "layer 2, layer 3"},
		{func(r *Recipe) { r.Norm = "layer" }, "layer 2, layer 3"},
		{func(r *Recipe) { r.Block = "residual" }, "layer 2, layer 3"},
	} {
		r := Default()
		r.Arch, r.Batch, r.Epochs = "16-6-6-3", 8, 1
		c.change(&r)
		for _, exec := range []kernels.Executor{cpu.New(), ref.New()} {
			results, err := Run(t.Context(), exec, bright(), []Spec{{Recipe: r, Seed: 1, OrderSeed: 1}}, Options{})
			if err != nil {
				t.Fatal(err)
			}
			var layers []string
			for _, l := range results[0].Hidden {
				layers = append(layers, l.Title())
				if len(l.Dead) > 0 {
					t.Errorf("%s on %s: units %v of %s are dead, want none", c.layers, exec.Name(), l.Dead, l.Name)
				}
			}
			if got := strings.Join(layers, ", "); got != c.layers {
				t.Errorf("%s on %s: %s, want %s", c.layers, exec.Name(), got, c.layers)
			}
		}
	}
}

// BenchmarkHiddenOf is what a network costs after its training, one whose units all vary and one with a dead unit, on
// images of MNIST's size.
func BenchmarkHiddenOf(b *testing.B) {
	for _, dead := range []bool{false, true} {
		b.Run("dead="+strconv.FormatBool(dead), func(b *testing.B) {
			network, err := Default().Build(new(graph.Cache))
			if err != nil {
				b.Fatal(err)
			}
			v := Spec{Recipe: Default(), Seed: 1, OrderSeed: 1}.Variant(network)
			params := v.InitialState().Params
			if dead {
				clear(params[0][:784]) // of a unit
			}
			pixels := make([]byte, 10_000*784)
			random := rand.New(rand.NewPCG(1, 2))
			for i := range pixels {
				if random.IntN(5) == 0 {
					pixels[i] = byte(random.IntN(256))
				}
			}
			exec := cpu.New()
			for b.Loop() {
				layers, err := HiddenOf(b.Context(), exec, v, params, pixels)
				if err != nil || len(layers) != 2 || (len(layers[0].Dead) == 1) != dead {
					b.Fatalf("hidden layers %+v: %v", layers, err)
				}
			}
		})
	}
}
