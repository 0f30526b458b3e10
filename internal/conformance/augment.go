package conformance

import (
	"bytes"
	"context"
	"math"
	"testing"

	"vanilla/graph/ir"
	"vanilla/kernels"
	"vanilla/kernels/ref"
)

// Soft gives all examples of a data set targets: the label with 0.7 and the classes
// after it with what is left, but for every third, which stays certain.
func Soft(d kernels.Data) kernels.Data {
	soften := func(e kernels.Examples) kernels.Examples {
		e.Targets = make([]float32, e.Len()*d.Classes)
		for i, label := range e.Labels {
			row := e.Targets[i*d.Classes:][:d.Classes]
			if row[label] = 1; i%3 == 0 {
				continue
			}
			row[label] = 0.7
			row[(int(label)+1)%d.Classes] += 0.2
			row[(int(label)+2)%d.Classes] += 0.1
		}
		return e
	}
	d.Train, d.Validation, d.Test = soften(d.Train), soften(d.Validation), soften(d.Test)
	return d
}

// augmentation: images changed in all ways, noise among them, and targets that are no
// labels mean the same as on the reference.
func (s suite) augmentation(t *testing.T) {
	t.Run("bytes", s.bytes)
	hard := func(p *ir.Program) kernels.Data { return Data(p, 22) }
	soft := func(p *ir.Program) kernels.Data { return Soft(Data(p, 22)) }
	for _, c := range []struct {
		name string
		data func(p *ir.Program) kernels.Data
		of   func(v *kernels.Variant)
	}{
		{"moved, turned, stretched, slanted", hard, func(v *kernels.Variant) {
			v.Augment = kernels.Augment{Shift: 2, Rotate: 20, Scale: 0.2, Shear: 0.2}
		}},
		{"strokes, bent", hard, func(v *kernels.Variant) {
			v.Augment = kernels.Augment{Stroke: 0.6, Elastic: 34, ElasticSigma: 4}
		}},
		{"noise", hard, func(v *kernels.Variant) { v.NoiseShare = 0.3 }},
		{"soft targets", soft, func(v *kernels.Variant) {}},
		{"all", soft, func(v *kernels.Variant) {
			v.Augment = kernels.Augment{Shift: 1, Rotate: 10, Scale: 0.1, Shear: 0.1, Stroke: 0.3, Elastic: 60, ElasticSigma: 6}
			v.NoiseShare = 0.2
		}},
	} {
		t.Run(c.name, func(t *testing.T) {
			for _, n := range s.nets {
				v := Variant(n, 10)
				if c.of(&v); v.Augment != (kernels.Augment{}) && n.Program.Features() != 784 {
					continue // no images
				}
				data := c.data(n.Program)
				got, err := trajectory(s.exec, v, data)
				if err != nil {
					t.Fatalf("%s: %v", n.Program.Name, err)
				}
				want, err := trajectory(ref.New(), v, data)
				if err != nil {
					t.Fatal(err)
				}
				if err := SameTrajectory(got, want); err != nil {
					t.Errorf("%s: %v", n.Program.Name, err)
				}
				if data.Test.Targets != nil {
					s.softScores(t, v, data)
				}
			}
		})
	}
}

// softScores: evaluated on targets that are no labels, a network has the loss that it
// has on the reference.
func (s suite) softScores(t *testing.T, v kernels.Variant, data kernels.Data) {
	t.Helper()
	want, err := suite{exec: ref.New()}.prepare(t, data, v).Evaluate(t.Context(), 0, kernels.Test)
	if err != nil {
		t.Fatal(err)
	}
	for of, evaluate := range map[string]func() (kernels.Score, error){
		"population": func() (kernels.Score, error) {
			return s.prepare(t, data, v).Evaluate(t.Context(), 0, kernels.Test)
		},
		"inference": func() (kernels.Score, error) {
			return Infer(t, s.exec, v, v.InitialState().Params).Evaluate(t.Context(), data.Test)
		},
	} {
		got, err := evaluate()
		if err != nil {
			t.Fatal(err)
		}
		if !(math.Abs(got.Loss-want.Loss) <= Tolerance*math.Abs(want.Loss)) {
			t.Errorf("%s: %s: loss %g on soft targets, want %g", v.Program().Name, of, got.Loss, want.Loss)
		}
	}
}

// bytes: the images that the executor trains on are byte for byte those that
// kernels.Augmented makes. They are read off the weights of a network without hidden
// layers, which a step on one image x changes from zero by (target - output)·x.
func (s suite) bytes(t *testing.T) {
	var v kernels.Variant
	for _, n := range s.nets {
		if p := n.Program; p.Features() == 784 && len(p.Params) == 2 && p.Layers() {
			v = Variant(n, 1)
		}
	}
	if v.Source == nil {
		t.Fatal("no network without hidden layers")
	}
	p := v.Program()
	v.Optimizer.WeightDecay, v.Schedule = 0, kernels.Schedule{LR: 1, Name: "constant"}
	v.Augment = kernels.Augment{Shift: 2, Rotate: 25, Scale: 0.3, Shear: 0.3, Stroke: 0.8, Elastic: 50, ElasticSigma: 5}
	v.NoiseShare, v.OrderSeed = 0.4, 77
	const images, epochs = 15, 2
	data := Data(p, 31)
	data.Train = kernels.Examples{Pixels: data.Train.Pixels[:images*784], Labels: data.Train.Labels[:images], Features: 784}
	pop := s.prepare(t, data, v)
	state := v.InitialState()
	for i := range state.Params {
		clear(state.Params[i])
	}
	weights, biases := 0, 1
	if p.Params[0].Bias {
		weights, biases = 1, 0
	}
	state.Params[biases][0] = 1
	output := math.E / (math.E + float64(p.Classes()) - 1)
	for step := range images * epochs {
		state.Step, state.LossSum = step, 0
		if err := pop.Restore(0, state); err != nil {
			t.Fatal(err)
		}
		if err := pop.Advance(context.Background(), []int{step + 1}, nil); err != nil {
			t.Fatal(err)
		}
		epoch, position := step/images, step%images
		order := kernels.NewOrder(v.OrderSeed, epoch, images)
		want, err := kernels.Augmented(data, v, epoch, position, []int32{int32(order.At(position))})
		if err != nil {
			t.Fatal(err)
		}
		got := make([]byte, 784)
		difference := float64(want.Target(0, 0, p.Classes())) - output
		for i, w := range s.state(t, pop, 0).Params[weights][:784] { // the first output's
			got[i] = byte(math.Round(float64(w) / difference * 255))
		}
		if !bytes.Equal(got, want.Pixels) {
			t.Fatalf("step %d: trained on another image, with the target %v", step, want.Targets)
		}
	}
}
