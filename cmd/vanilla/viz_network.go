package main

import (
	"encoding/json"
	"fmt"
	"slices"

	"vanilla/graph"
	"vanilla/infer"
	"vanilla/model"
	"vanilla/train"
	"vanilla/viz"
)

// seen is a network as figures see it, with the model that it is from.
type seen struct {
	*infer.View
	model *model.Model
}

// see opens a network for figures, until v is closed.
func (v *vizFlags) see(name string, m *model.Model) (*seen, error) {
	network, err := infer.Open(v.exec, m, nil)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", name, err)
	}
	v.opened = append(v.opened, network)
	view, err := network.View(name)
	return &seen{view, m}, err
}

// start is the network before its first step, as its recipe and seed tell; nil
// if they do not.
func (s *seen) start() viz.Start {
	var r train.Recipe
	if json.Unmarshal(s.model.Recipe, &r) != nil || r.Check() != nil || r.Arch != s.model.Arch {
		return nil
	}
	network, err := r.Build(new(graph.Cache))
	if err != nil {
		return nil
	}
	initial := *s.model
	initial.Params = slices.Clone(initial.Params)
	for i, values := range (train.Spec{Recipe: r, Seed: s.model.Seed}).Variant(network).InitialState().Params {
		initial.Params[i].Data = values
	}
	layers, err := initial.Layers()
	if err != nil {
		return nil
	}
	return layers
}
