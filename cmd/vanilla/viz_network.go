package main

import (
	"fmt"

	"vanilla/dataset"
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
func (s *seen) start(v *vizFlags) (viz.Start, error) {
	spec, err := train.SpecOf(s.model)
	r := spec.Recipe
	if err != nil || spec.From != nil || r.Check() != nil {
		return nil, nil
	}
	network, err := r.Build(new(graph.Cache))
	if err != nil {
		return nil, err
	}
	spec = train.Spec{Recipe: r, Seed: s.model.Seed}
	images := &dataset.Images{Rows: s.model.ImageRows, Cols: s.model.ImageCols}
	initial, err := spec.Model(network.Program, spec.Variant(network).InitialState().Params, "", 0, images, "")
	if err != nil {
		return nil, err
	}
	if initial.Arch != s.model.Arch || initial.Program != s.model.Program {
		return nil, nil // a graph of somebody's own, or a file of another program
	}
	seen, err := v.see(s.Name(), initial)
	if err != nil {
		return nil, err
	}
	return seen.Layers(), nil
}
