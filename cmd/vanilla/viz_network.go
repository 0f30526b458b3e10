package main

import (
	"context"
	"encoding/json"
	"fmt"
	"math"
	"slices"

	"vanilla/graph"
	"vanilla/graph/ir"
	"vanilla/kernels"
	"vanilla/kernels/ref"
	"vanilla/mnist"
	"vanilla/model"
	"vanilla/train"
	"vanilla/viz"
)

// seen is a network as figures see it: many images at once run on an executor,
// single ones, and slopes along their pixels, on the reference.
type seen struct {
	name     string
	model    *model.Model
	layers   []model.Layer
	exec     kernels.Executor
	networks *train.Networks
	// logits is the network without what its loss makes of its outputs.
	logits *ir.Program
}

// see makes a network seen. The executor must have been opened with networks.Of.
func see(exec kernels.Executor, networks *train.Networks, name string, m *model.Model) (*seen, error) {
	layers, err := m.Layers()
	if err != nil {
		return nil, fmt.Errorf("%s: %w", name, err)
	}
	if err := allFinite(name, m); err != nil {
		return nil, err
	}
	// Of the softmax cross-entropy the program holds the logits; of the quadratic
	// cost it would hold their sigmoids only.
	network, err := networks.Build(m.Arch, m.Activation, string(graph.CrossEntropy))
	if err != nil {
		return nil, fmt.Errorf("%s: %w", name, err)
	}
	return &seen{name: name, model: m, layers: layers, exec: exec, networks: networks, logits: network.Program}, nil
}

func (s *seen) Name() string          { return s.name }
func (s *seen) Layers() []model.Layer { return s.layers }
func (s *seen) Softmax() bool         { return graph.Loss(s.model.Loss) == graph.CrossEntropy }

func (s *seen) Probabilities(pixels []byte) ([]float32, error) {
	p, err := train.Probabilities(s.exec, s.networks, s.model, pixels)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", s.name, err)
	}
	return p, nil
}

func (s *seen) Classify(pixels []byte) ([]byte, error) {
	rows, cols, n := 1, s.layers[0].In, len(pixels)/s.layers[0].In
	set := func(n int) *mnist.Images {
		return &mnist.Images{Pixels: pixels[:n*cols], Labels: make([]byte, n), Rows: rows, Cols: cols, Classes: 1}
	}
	// The one image to train on is never looked at.
	score, err := train.Evaluate(context.Background(), s.exec, s.networks, &mnist.Dataset{Train: set(1), Test: set(n)}, s.model)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", s.name, err)
	}
	return score.Classes, nil
}

// forward runs one image through the program.
func (s *seen) forward(x []float32) *ref.Interpreter[float64] {
	in := ref.NewInterpreter[float64](s.logits)
	for i, p := range s.logits.Params {
		for j, v := range s.model.Params[i].Data {
			in.Values[p.Value][j] = float64(v)
		}
	}
	pixels := make([]float64, len(x))
	for i, v := range x {
		pixels[i] = float64(v)
	}
	in.Forward(pixels, []byte{0})
	return in
}

func (s *seen) Activate(x []float32) (z, a [][]float32, err error) {
	in := s.forward(x)
	for _, op := range s.logits.Ops[:s.logits.Forward] {
		switch op.Code {
		case ir.Dense:
			z = append(z, narrow(in.Values[op.Out]))
		case ir.Act:
			a = append(a, narrow(in.Values[op.Out]))
		}
	}
	last := in.Values[s.logits.Output]
	p := make([]float64, len(last))
	if s.Softmax() {
		most, sum := slices.Max(last), 0.
		for j, v := range last {
			p[j] = math.Exp(v - most)
			sum += p[j]
		}
		for j := range p {
			p[j] /= sum
		}
	} else {
		for j, v := range last {
			p[j] = ir.Sigmoid.Value(v)
		}
	}
	return z, append(a, narrow(p)), nil
}

func (s *seen) InputGradient(x, dz []float32) ([]float32, error) {
	in := s.forward(x)
	d := make([]float64, len(dz))
	for i, v := range dz {
		d[i] = float64(v)
	}
	return narrow(in.InputGradient(d)), nil
}

func narrow(values []float64) []float32 {
	out := make([]float32, len(values))
	for i, v := range values {
		out[i] = float32(v)
	}
	return out
}

// start is the network before its first step, as its recipe and seed tell; nil
// if they do not.
func (s *seen) start() viz.Start {
	var r train.Recipe
	if json.Unmarshal(s.model.Recipe, &r) != nil || r.Check() != nil || r.Arch != s.model.Arch {
		return nil
	}
	network, err := s.networks.Build(r.Arch, r.Activation, r.Loss)
	if err != nil {
		return nil
	}
	initial := *s.model
	initial.Params = slices.Clone(initial.Params)
	for i, values := range (train.Spec{Recipe: r, Seed: s.model.Seed}).Variant(network.Program).InitialState().Params {
		initial.Params[i].Data = values
	}
	layers, err := initial.Layers()
	if err != nil {
		return nil
	}
	return layers
}
