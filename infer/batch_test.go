package infer_test

import (
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"gorgonia.org/tensor"

	"vanilla/dataset"
	"vanilla/graph"
	"vanilla/graph/samples"
	"vanilla/infer"
	"vanilla/kernels"
	"vanilla/kernels/cpu"
	"vanilla/kernels/ref"
	"vanilla/kernels/tape"
	"vanilla/model"
	"vanilla/train"
)

// set is images of 3x4 pixels in four classes, the brighter where the class is.
func set(n int) *dataset.Images {
	random := rand.New(rand.NewPCG(7, uint64(n)))
	s := &dataset.Images{Rows: 3, Cols: 4, Classes: 4}
	for range n {
		label := random.IntN(4)
		s.Labels = append(s.Labels, byte(label))
		for j := range 12 {
			v := random.IntN(200)
			if j%4 == label {
				v += 55
			}
			s.Pixels = append(s.Pixels, byte(v))
		}
	}
	return s
}

func sample(t *testing.T, name string) *graph.Network {
	t.Helper()
	for _, s := range samples.All() {
		if s.Name == name {
			n, err := graph.Lower(s.Name, s.Build(tensor.Float32))
			if err != nil {
				t.Fatal(err)
			}
			return n
		}
	}
	t.Fatalf("no sample is called %q", name)
	return nil
}

func trained(t *testing.T, exec kernels.Executor, data *dataset.Dataset, s train.Spec) train.Result {
	t.Helper()
	results, err := train.Run(t.Context(), exec, data, []train.Spec{s}, train.Options{})
	if err != nil {
		t.Fatal(err)
	}
	return results[0]
}

// A network whose examples depend on each other is evaluated in the batches of its
// training, whatever their size: its model is as good as training says, with
// and without its graph. Without a batch size it does not open, and it shows no image alone.
func TestCoupledNetwork(t *testing.T) {
	own := sample(t, "batch norm")
	data := &dataset.Dataset{Name: "set", Train: set(1301), Test: set(1303)}
	for _, batch := range []int{3, 100, 1200} {
		recipe := train.Default()
		recipe.Batch, recipe.Epochs = batch, 1
		for _, exec := range []kernels.Executor{cpu.New(), ref.New(), tape.New()} {
			name := fmt.Sprintf("%s, batches of %d", exec.Name(), batch)
			want := trained(t, exec, data, train.Spec{Recipe: recipe, Seed: 1, OrderSeed: 1, Network: own})
			for _, graph := range []*graph.Network{own, nil} {
				if graph == nil && exec.Name() == "tape" {
					continue
				}
				network, err := infer.Open(exec, want.Model, graph)
				if err != nil {
					t.Fatal(err)
				}
				got, err := network.Evaluate(t.Context(), data.Test)
				if err != nil {
					t.Fatal(err)
				}
				if !slices.Equal(got.Classes, want.Test.Classes) || !(math.Abs(got.Loss-want.Test.Loss) <= 1e-6) {
					t.Errorf("%s: %d of %d right with a loss of %g, in training %d and %g", name, got.Correct, got.N, got.Loss, want.Test.Correct, want.Test.Loss)
				}
				classes, err := network.Classify(t.Context(), data.Test.Pixels)
				if err != nil || !slices.Equal(classes, want.Test.Classes) {
					t.Errorf("%s: images are of other classes than in training (%v)", name, err)
				}
				q, err := network.Quality(t.Context(), data.Test)
				if err != nil || q.Accuracy != want.Test.Accuracy() {
					t.Errorf("%s: quality found %+v (%v), %v right in training", name, q, err, want.Test.Accuracy())
				}
				if network.Batch() != batch {
					t.Errorf("%s: a batch of %d", name, network.Batch())
				}
				if _, err := network.View("mine"); err == nil || !strings.Contains(err.Error(), "mine: what the network makes of an image depends on the rest of its batch") {
					t.Errorf("%s: a view: %v", name, err)
				}
				if err := network.Close(); err != nil {
					t.Error(err)
				}
			}
			want.Model.Recipe = []byte("{}")
			if _, err := infer.Open(exec, want.Model, own); err == nil || !strings.Contains(err.Error(), "the batch size that it was trained in is not known") {
				t.Errorf("%s: opened without a batch size: %v", name, err)
			}
		}
	}
}

// Probabilities are the softmax of the outputs wherever the loss is of it, and is
// no layer operation too.
func TestProbabilitiesOfSmoothedLabels(t *testing.T) {
	data := &dataset.Dataset{Name: "set", Train: set(200), Test: set(50)}
	for loss, softmax := range map[string]bool{"cross-entropy": true, "quadratic": false} {
		for _, norm := range []string{"", "layer"} {
			recipe := train.Default()
			recipe.Arch, recipe.Loss, recipe.Epochs, recipe.Norm = "12-8-4", loss, 1, norm
			if softmax {
				recipe.LabelSmoothing = 0.1
			} else {
				recipe.Block = "gated"
			}
			m := trained(t, cpu.New(), data, train.Spec{Recipe: recipe, Seed: 1, OrderSeed: 1}).Model
			network, err := infer.Open(cpu.New(), m, nil)
			if err != nil {
				t.Fatal(err)
			}
			p, err := network.Probabilities(t.Context(), data.Test.Pixels)
			if err != nil {
				t.Fatal(err)
			}
			if network.Softmax() != softmax {
				t.Errorf("%s %s: softmax %t, want %t", loss, norm, network.Softmax(), softmax)
			}
			for i := 0; i < len(p); i += 4 {
				sum := 0.
				for _, v := range p[i : i+4] {
					if sum += float64(v); !(v >= 0 && v <= 1) {
						t.Fatalf("%s %s: a probability of %v", loss, norm, v)
					}
				}
				if softmax && !(math.Abs(sum-1) < 1e-5) {
					t.Fatalf("%s %s: probabilities %v", loss, norm, p[i:i+4])
				}
			}
		}
	}
}

// Slopes go through tensor operations, a norm's for example, and dropout is not
// there.
func TestSlopesOfTensorOperations(t *testing.T) {
	data := &dataset.Dataset{Name: "set", Train: set(200), Test: set(50)}
	recipe := train.Default()
	recipe.Arch, recipe.Epochs, recipe.Norm, recipe.InputDropout = "12-8-4", 1, "layer", 0.5
	m := trained(t, cpu.New(), data, train.Spec{Recipe: recipe, Seed: 1, OrderSeed: 1}).Model
	network, err := infer.Open(cpu.New(), m, nil)
	if err != nil {
		t.Fatal(err)
	}
	defer network.Close()
	view, err := network.View("mine")
	if err != nil {
		t.Fatal(err)
	}
	if got := view.Sources(); !slices.Equal(got, []int{model.ReadsInputs, 0}) {
		t.Errorf("layers read %v", got)
	}
	x, dz := make([]float32, 12), []float32{1, -2, 0, 0.5}
	for i := range x {
		x[i] = float32(i) / 12
	}
	slope, err := view.InputGradient(t.Context(), x, dz)
	if err != nil {
		t.Fatal(err)
	}
	sum := func() (s float64) {
		z, _, err := view.Activate(t.Context(), x)
		if err != nil {
			t.Fatal(err)
		}
		for j, d := range dz {
			s += float64(d) * float64(z[len(z)-1][j])
		}
		return s
	}
	for i := range x {
		const step = 1.0 / 64
		at := x[i]
		x[i] = at + step
		more := sum()
		x[i] = at - step
		// The third derivative's step², and float32's rounding of sums over a step.
		if want := (more - sum()) / (2 * step); math.Abs(want-float64(slope[i])) > 1e-3*(1+math.Abs(want)) {
			t.Errorf("pixel %d has slope %v, differences give %v", i, slope[i], want)
		}
		x[i] = at
	}
}
