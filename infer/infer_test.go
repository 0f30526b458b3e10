package infer

import (
	"context"
	"encoding/json"
	"errors"
	"math"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"vanilla/graph"
	"vanilla/graph/ir"
	"vanilla/kernels"
	"vanilla/kernels/cpu"
	"vanilla/kernels/ref"
	"vanilla/kernels/tape"
	"vanilla/model"
)

// predictionTolerance is what float32 sums of up to 6 products of values below 16 can be off by, 6·6·16·2⁻²⁴, in a
// logit; a probability moves by at most a quarter of that for each of two layers.
const predictionTolerance = 2e-5

func randomModel(activation, loss string) *model.Model {
	m := &model.Model{Arch: "6-4-3", Activation: activation, Loss: loss, Recipe: json.RawMessage("{}")}
	random := rand.New(rand.NewPCG(1, 2))
	for _, shape := range [][]int{{4, 6}, {4}, {3, 4}, {3}} {
		n := 1
		for _, d := range shape {
			n *= d
		}
		p := model.Tensor{Shape: shape}
		for range n {
			p.Data = append(p.Data, float32(random.NormFloat64()))
		}
		m.Params = append(m.Params, p)
	}
	return m
}

// probabilities is the definition, in float64.
func probabilities(t *testing.T, m *model.Model, pixels []byte) []float64 {
	t.Helper()
	a, err := ir.ParseActivation(m.Activation)
	if err != nil {
		t.Fatal(err)
	}
	layers, err := m.Layers()
	if err != nil {
		t.Fatal(err)
	}
	var x []float64
	for _, p := range pixels {
		x = append(x, float64(p)/255)
	}
	for k, l := range layers {
		z := make([]float64, l.Out)
		for i := range z {
			z[i] = float64(l.Bias[i])
			for j, v := range x {
				z[i] += float64(l.Weight[i*l.In+j]) * v
			}
			switch {
			case k < len(layers)-1:
				z[i] = a.Value(z[i])
			case m.Loss == "quadratic":
				z[i] = ir.Sigmoid.Value(z[i])
			}
		}
		x = z
	}
	if m.Loss == "cross-entropy" {
		sum := 0.
		for i, z := range x {
			x[i] = math.Exp(z)
			sum += x[i]
		}
		for i := range x {
			x[i] /= sum
		}
	}
	return x
}

// ask opens a model, and asks it once.
func ask(exec kernels.Executor, m *model.Model, pixels []byte) ([]float32, error) {
	network, err := Open(exec, m, nil)
	if err != nil {
		return nil, err
	}
	p, err := network.Probabilities(context.Background(), pixels)
	return p, errors.Join(err, network.Close())
}

func TestProbabilities(t *testing.T) {
	const n = 2007 // three parts, on all cores
	random := rand.New(rand.NewPCG(3, 4))
	pixels := make([]byte, n*6)
	for i := range pixels {
		pixels[i] = byte(random.IntN(256))
	}
	for _, exec := range []kernels.Executor{cpu.New(), tape.New(), ref.New()} {
		for _, a := range graph.Activations() {
			for _, loss := range []graph.Loss{graph.CrossEntropy, graph.Quadratic} {
				m := randomModel(a.String(), string(loss))
				got, err := ask(exec, m, pixels)
				if err != nil {
					t.Fatalf("%s %s %s: %v", exec.Name(), a, loss, err)
				}
				if len(got) != n*3 {
					t.Fatalf("%s %s %s: %d probabilities, want %d", exec.Name(), a, loss, len(got), n*3)
				}
				for i := range n {
					for j, want := range probabilities(t, m, pixels[i*6:(i+1)*6]) {
						if p := got[i*3+j]; !(math.Abs(float64(p)-want) <= predictionTolerance) {
							t.Fatalf("%s %s %s: image %d is class %d with %v, want %v", exec.Name(), a, loss, i, j, p, want)
						}
					}
				}
			}
		}
	}
}

// Probabilities sum to 1 after training with cross-entropy whatever the form of the layers, and with smoothed labels too,
// whose loss is no operation of its own.
func TestProbabilitiesOfGraphs(t *testing.T) {
	for name, a := range map[string]graph.Arch{
		"gated":                {Loss: graph.CrossEntropy, Block: graph.Gated},
		"smoothed, gated":      {Loss: graph.CrossEntropy, Block: graph.Gated, LabelSmoothing: 0.1},
		"smoothed, layer norm": {Loss: graph.CrossEntropy, LayerNorm: true, LabelSmoothing: 0.1},
		"quadratic and gated":  {Loss: graph.Quadratic, Block: graph.Gated},
	} {
		a.Widths, a.Activation = []int{6, 4, 3}, ir.Sigmoid
		network, err := graph.New(a)
		if err != nil {
			t.Fatal(err)
		}
		m := &model.Model{Activation: a.Activation.String(), Loss: string(a.Loss), Program: network.Program.String()}
		random := rand.New(rand.NewPCG(7, 8))
		for _, q := range network.Program.Params {
			v := network.Program.Value(q.Value)
			p := model.Tensor{Name: v.Name, Shape: v.Shape.At(0), Data: make([]float32, v.Shape.Len(0))}
			if q.Bias {
				p.Shape = p.Shape[1:]
			}
			for i := range p.Data {
				p.Data[i] = float32(3 * random.NormFloat64())
			}
			m.Params = append(m.Params, p)
		}
		p, err := ask(cpu.New(), m, []byte{0, 50, 100, 150, 200, 250, 250, 200, 150, 100, 50, 0})
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		for i := 0; i < len(p); i += 3 {
			if sum := float64(p[i] + p[i+1] + p[i+2]); (math.Abs(sum-1) <= 1e-6) != (a.Loss == graph.CrossEntropy) || slices.Min(p[i:i+3]) < 0 || slices.Max(p[i:i+3]) > 1 {
				t.Errorf("%s: found the probabilities %v", name, p[i:i+3])
			}
		}
	}
}

// Logits far beyond what exp takes are probabilities all the same.
func TestProbabilitiesOfLargeLogits(t *testing.T) {
	m := randomModel("relu", "cross-entropy")
	copy(m.Params[3].Data, []float32{-3e38, 3e38, 2e38})
	got, err := ask(ref.New(), m, make([]byte, 6))
	if err != nil || got[0] != 0 || got[1] != 1 || got[2] != 0 {
		t.Errorf("found %v, %v", got, err)
	}
}

func TestProbabilitiesErrors(t *testing.T) {
	good := randomModel("relu", "quadratic")
	diverged := randomModel("relu", "cross-entropy")
	diverged.Params[3].Data[1] = float32(math.NaN())
	for _, c := range []struct {
		m      *model.Model
		pixels int
		want   string
	}{
		{good, 0, "0 pixels: want one or more images of 6"},
		{good, 13, "13 pixels: want one or more images of 6"},
		{diverged, 6, "not finite: found NaN"},
		{randomModel("sine", "quadratic"), 6, "sine"},
		{&model.Model{}, 6, "not a chain of layers"},
	} {
		got, err := ask(ref.New(), c.m, make([]byte, c.pixels))
		if err == nil || got != nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("found %v, %v, want %s", got, err, c.want)
		}
	}
}
