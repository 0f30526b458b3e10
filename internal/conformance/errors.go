package conformance

import (
	"context"
	"errors"
	"testing"

	"vanilla/graph/ir"
	"vanilla/kernels"
)

// errors: what cannot be is refused before anything runs.
func (s suite) errors(t *testing.T) {
	p := s.nets[1].Program
	good := Variant(s.nets[1], 10)
	for name, change := range map[string]func(*kernels.Variant, *kernels.Data){
		"batch 0":          func(v *kernels.Variant, _ *kernels.Data) { v.Batch = 0 },
		"no program":       func(v *kernels.Variant, _ *kernels.Data) { v.Source = nil },
		"negative rate":    func(v *kernels.Variant, _ *kernels.Data) { v.Schedule.LR = -1 },
		"unknown schedule": func(v *kernels.Variant, _ *kernels.Data) { v.Schedule.Name = "lunar" },
		"other features":   func(v *kernels.Variant, _ *kernels.Data) { v.Source = s.nets[5] },
		"more classes":     func(_ *kernels.Variant, d *kernels.Data) { d.Classes = 11 },
		"a pixel less":     func(_ *kernels.Variant, d *kernels.Data) { d.Train.Pixels = d.Train.Pixels[1:] },
		"few pixels":       func(_ *kernels.Variant, d *kernels.Data) { d.Train.Pixels = d.Train.Pixels[:7] },
		"few test pixels":  func(_ *kernels.Variant, d *kernels.Data) { d.Test.Pixels = d.Test.Pixels[:7] },
		"other extent":     func(_ *kernels.Variant, d *kernels.Data) { d.Rows++ },
		"no examples":      func(_ *kernels.Variant, d *kernels.Data) { d.Train = kernels.Examples{Features: 784} },
	} {
		v, data := good, Data(p, 28)
		change(&v, &data)
		if pop, err := s.exec.Prepare(data, []kernels.Variant{good, v}); err == nil {
			pop.Close()
			t.Errorf("%s: Prepare accepted it", name)
		}
	}
	pop := s.prepare(t, Data(p, 28), good)
	if err := pop.Advance(context.Background(), []int{1, 2}, nil); err == nil {
		t.Error("two targets for one variant were accepted")
	}
	if _, err := pop.State(1); err == nil {
		t.Error("State(1) of one variant was accepted")
	}
	inference := Infer(t, s.exec, good, good.InitialState().Params)
	if _, err := inference.Forward(t.Context(), make([]float32, 783)); err == nil {
		t.Error("an input of 783 numbers was accepted")
	}
	if _, err := inference.Outputs(t.Context(), nil); err == nil {
		t.Error("no pixels were accepted")
	}
	if _, err := inference.Evaluate(t.Context(), wrongLabel(p)); err == nil {
		t.Error("a label that no output stands for was accepted")
	}
	done, cancel := context.WithCancelCause(context.Background())
	enough := errors.New("enough")
	cancel(enough)
	if _, err := inference.Evaluate(done, Data(p, 28).Test); !errors.Is(err, enough) {
		t.Errorf("Evaluate returned %v when its context was done", err)
	}
	if _, err := inference.Outputs(done, Data(p, 28).Test.Pixels); !errors.Is(err, enough) {
		t.Errorf("Outputs returned %v when its context was done", err)
	}
	short := good.InitialState()
	short.Params[2] = short.Params[2][:5]
	if inference, err := s.exec.Infer(good.Source, short.Params, 0); err == nil {
		inference.Close()
		t.Error("a short parameter was accepted")
	}
	if err := pop.Restore(0, short); err == nil {
		t.Error("a state with a short parameter was accepted")
	}
}

// wrongLabel is an example of a class that a program has no output for.
func wrongLabel(p *ir.Program) kernels.Examples {
	return kernels.Examples{Pixels: make([]byte, p.Features()), Labels: []byte{byte(p.Classes())}, Features: p.Features()}
}
