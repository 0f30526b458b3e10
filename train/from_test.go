package train

import (
	"bytes"
	"context"
	"math"
	"slices"
	"strings"
	"testing"

	"vanilla/dataset"
	"vanilla/kernels"
	"vanilla/kernels/cpu"
	"vanilla/kernels/ref"
	"vanilla/kernels/tape"
	"vanilla/model"
)

// squares are images of 3x3 pixels of so many classes: each lights its own pixel.
func squares(classes, each int) *dataset.Dataset {
	set := func(n int) *dataset.Images {
		s := &dataset.Images{Rows: 3, Cols: 3, Classes: classes}
		for i := range n * classes {
			image := make([]byte, 9)
			image[i%classes] = byte(200 + i/classes%50)
			image[(i%classes+3)%9] = byte(i % 97)
			s.Pixels, s.Labels = append(s.Pixels, image...), append(s.Labels, byte(i%classes))
		}
		return s
	}
	return &dataset.Dataset{Name: "squares", Train: set(each), Test: set(2)}
}

func trained(t *testing.T, exec kernels.Executor, data *dataset.Dataset, spec Spec, o Options) Result {
	t.Helper()
	results, err := Run(t.Context(), exec, data, []Spec{spec}, o)
	if err != nil {
		t.Fatal(err)
	}
	return results[0]
}

func startOf(t *testing.T, m *model.Model) *Start {
	t.Helper()
	s, err := NewStart(m, "old.safetensors", strings.Repeat("ab", 32))
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// On every executor: with a learning rate of nearly nothing, the network stays the one
// that it started from, but for outputs that it has in addition.
func TestFrom(t *testing.T) {
	recipe := Default()
	recipe.Arch, recipe.Batch, recipe.Epochs, recipe.WeightDecay = "9-5-3", 4, 3, 0
	first := trained(t, cpu.New(), squares(3, 20), Spec{Recipe: recipe, Seed: 1, OrderSeed: 1}, Options{})
	still := recipe
	still.LR, still.Schedule = 1e-30, "constant"
	for _, exec := range []kernels.Executor{cpu.New(), ref.New(), tape.New()} {
		r := trained(t, exec, squares(3, 20), Spec{Recipe: still, Seed: 7, OrderSeed: 7, From: startOf(t, first.Model)}, Options{})
		for i, p := range r.Model.Params {
			if !slices.Equal(p.Data, first.Model.Params[i].Data) {
				t.Errorf("%s: parameter %d is not that of the network it started from", exec.Name(), i)
			}
		}
		if r.Spec.From.Outputs != 3 || r.Spec.From.Added != 0 || !bytes.Contains(r.Model.Recipe, []byte(`"from":{"sha256":"abab`)) {
			t.Errorf("%s: the model says %s", exec.Name(), r.Model.Recipe)
		}
		if spec, err := SpecOf(r.Model); err != nil || spec.From == nil || spec.From.SHA256 != r.Spec.From.SHA256 {
			t.Errorf("the spec of the model is %+v, %v", spec, err)
		}

		wider := still
		wider.Arch = "9-5-5"
		r = trained(t, exec, squares(5, 20), Spec{Recipe: wider, Seed: 7, OrderSeed: 7, From: startOf(t, first.Model)}, Options{})
		fresh := trained(t, exec, squares(5, 20), Spec{Recipe: wider, Seed: 7, OrderSeed: 7}, Options{})
		for i, p := range r.Model.Params {
			old := first.Model.Params[i].Data
			same := slices.Equal(p.Data[:len(old)], old)
			for k, v := range p.Data[len(old):] { // biases start from 0, which any step changes
				same = same && math.Abs(float64(v-fresh.Model.Params[i].Data[len(old)+k])) < 1e-20
			}
			if !same {
				t.Errorf("%s: parameter %d: want the old rows, and then those of a new network", exec.Name(), i)
			}
		}
		if r.Spec.From.Added != 2 {
			t.Errorf("%d outputs added, want 2", r.Spec.From.Added)
		}
	}
}

// A run that starts from a network ends with the same bytes in one piece or in
// several, and does not go on from another one.
func TestFromResumed(t *testing.T) {
	recipe := Default()
	recipe.Arch, recipe.Batch, recipe.Epochs, recipe.Optimizer, recipe.Momentum, recipe.LR = "9-5-3", 4, 4, "momentum", 0.9, 0.1
	data := squares(3, 20)
	first := trained(t, cpu.New(), data, Spec{Recipe: recipe, Seed: 1, OrderSeed: 1}, Options{})
	spec := Spec{Recipe: recipe, Seed: 2, OrderSeed: 2, From: startOf(t, first.Model)}
	whole := trained(t, cpu.New(), data, spec, Options{})

	dir := t.TempDir()
	ctx, stop := context.WithCancel(t.Context())
	defer stop()
	parts, err := Run(ctx, cpu.New(), data, []Spec{spec}, Options{History: dir, Snapshots: Snapshots{Steps: []int{0}}, Observe: func(r Record) {
		if r.Epoch == 2 {
			stop()
		}
	}})
	if err != nil || !parts[0].Interrupted {
		t.Fatalf("interrupted %v, %v", parts, err)
	}
	start, err := model.Read(dir + "/snapshots/step-000000000.safetensors")
	if err != nil {
		t.Fatal(err)
	}
	if !slices.Equal(start.Params[0].Data, first.Model.Params[0].Data) {
		t.Error("the snapshot before the first step is not the network that training started from")
	}
	other := *spec.From
	other.SHA256 = strings.Repeat("cd", 32)
	for _, from := range []*Start{nil, &other} {
		_, err := Run(t.Context(), cpu.New(), data, []Spec{{Recipe: recipe, Seed: 2, OrderSeed: 2, From: from}}, Options{History: dir, Snapshots: Snapshots{Steps: []int{0}}, Resume: true})
		if err == nil || !strings.Contains(err.Error(), `"from" was 9-5-3 sigmoid of SHA-256 abababababab…, is `) {
			t.Errorf("going on from %v: %v", from, err)
		}
	}
	rest := trained(t, cpu.New(), data, spec, Options{History: dir, Snapshots: Snapshots{Steps: []int{0}}, Resume: true})
	a, err := whole.Model.Encode()
	if err != nil {
		t.Fatal(err)
	}
	b, err := rest.Model.Encode()
	if err != nil || !bytes.Equal(a, b) {
		t.Errorf("in two pieces the run ends with other bytes, %v", err)
	}
}

func TestFromRefused(t *testing.T) {
	recipe := Default()
	recipe.Arch, recipe.Batch, recipe.Epochs = "9-5-3", 4, 1
	data := squares(3, 20)
	first := trained(t, cpu.New(), data, Spec{Recipe: recipe, Seed: 1, OrderSeed: 1}, Options{})
	for _, c := range []struct {
		arch, block, want string
		data              *dataset.Dataset
	}{
		{"9-4-3", "", "0.weight of 9-5-3 sigmoid is [5 9], that of the network to train is W1 [4 9]: want the same layers", data},
		{"9-5-5-3", "", "has 4 arrays of weights, the network to train has 6", data},
		{"9-5-2", "", "is [3 5], that of the network to train is W2 [2 5]", squares(2, 20)},
		{"9-5-3", "gated", "arrays of weights", data},
	} {
		r := recipe
		r.Arch, r.Block = c.arch, c.block
		_, err := Run(t.Context(), cpu.New(), c.data, []Spec{{Recipe: r, Seed: 1, From: startOf(t, first.Model)}}, Options{})
		if err == nil || !strings.Contains(err.Error(), c.want) || !strings.Contains(err.Error(), "from old.safetensors") {
			t.Errorf("%s: error %v, want %q", c.arch, err, c.want)
		}
	}
	spec, err := SpecOf(trained(t, cpu.New(), data, Spec{Recipe: recipe, Seed: 1, From: startOf(t, first.Model)}, Options{}).Model)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := Run(t.Context(), cpu.New(), data, []Spec{spec}, Options{}); err == nil || !strings.Contains(err.Error(), "not at hand") {
		t.Errorf("from a network that is not there: %v", err)
	}
}

// What classes are called and what was done to images is part of a run.
func TestReadingIsPartOfTheRun(t *testing.T) {
	plain, named, inverted := squares(3, 5), squares(3, 5), squares(3, 5)
	named.Train.Names = []string{"a", "b", "c"}
	inverted.Train.Prepared = dataset.Preparation{Invert: true}
	a, b, c := FingerprintOf(plain), FingerprintOf(named), FingerprintOf(inverted)
	if a == b || a == c || b == c || a.Reading != 0 {
		t.Errorf("%+v, %+v, %+v", a, b, c)
	}
}
