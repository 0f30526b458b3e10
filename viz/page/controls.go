package page

import (
	"fmt"
	"strings"

	"vanilla/dataset"
	"vanilla/graph"
	"vanilla/kernels"
	"vanilla/train"
)

// controls are what the page's panel of training is made of: a control for each field of recipes, in their order.
type controls struct {
	Fields  []control           `json:"fields"`
	Recipes map[string]settings `json:"recipes"` // to begin with, by name
	// What networks are trained on.
	Data    string `json:"data"`
	Images  int    `json:"images"`
	Rows    int    `json:"rows"`
	Cols    int    `json:"cols"`
	Classes int    `json:"classes"`
	// Names are what the classes are called, if not by their numbers.
	Names []string `json:"names,omitempty"`
}

// control is how a field of recipes is set.
type control struct {
	Field   string   `json:"field"`
	Choices []choice `json:"choices,omitempty"` // of a name; otherwise it is a number or a text
	Number  bool     `json:"number"`
}

// choice is a name that a field can have, and what it means.
type choice struct {
	Name string `json:"name"`
	Help string `json:"help"`
}

// choices are those of the fields that have names, from the tables that hold all there are.
func choices() map[string][]choice {
	found := map[string][]choice{}
	add := func(field, name, help string) { found[field] = append(found[field], choice{name, help}) }
	for _, a := range graph.Activations() {
		add("activation", a.String(), a.Formula())
	}
	for _, k := range graph.Losses() {
		add("loss", string(k.Name), k.Help)
	}
	for _, k := range kernels.Optimizers() {
		add("optimizer", k.Name, k.Help)
	}
	for _, k := range kernels.Schedules() {
		add("schedule", k.Name, k.Help)
	}
	for _, k := range kernels.Inits() {
		add("init", string(k.Name), k.Help)
	}
	for field, helps := range map[string]map[string]string{
		"block": {"none": "f(z)", string(graph.Residual): "the layer's input added, where it is as wide", string(graph.Gated): "times a gate with weights of its own"},
		"norm":  {"none": "sums as they are", "layer": "sums with mean 0 and deviation 1 over the layer's units"},
	} {
		for _, name := range train.Names(field) {
			add(field, name, helps[name])
		}
	}
	return found
}

// settings are a recipe, and the fields that set nothing in it.
type settings struct {
	Recipe train.Recipe `json:"recipe"`
	Absent []string     `json:"absent"`
}

func settingsOf(r train.Recipe) settings {
	s := settings{Recipe: r, Absent: []string{}}
	for _, field := range train.Fields() {
		if !r.Has(field) {
			s.Absent = append(s.Absent, field)
		}
	}
	return s
}

// newControls are the controls for a data set.
func newControls(data *dataset.Dataset) *controls {
	set := data.Train
	c := &controls{Recipes: map[string]settings{}, Data: data.Name, Images: set.Len(), Rows: set.Rows, Cols: set.Cols, Classes: set.Classes, Names: set.Names}
	names, base := choices(), train.Default()
	for _, field := range train.Fields() {
		_, text := base.Get(field).(string)
		c.Fields = append(c.Fields, control{Field: field, Choices: names[field], Number: !text})
	}
	for _, name := range train.Recipes() {
		recipe, err := train.NamedRecipe(name)
		if err != nil {
			panic("page: " + err.Error()) // the names are its own
		}
		recipe.Arch = archFor(recipe.Arch, set)
		c.Recipes[name] = settingsOf(recipe)
	}
	return c
}

// archFor is an architecture with as many inputs and outputs as a data set has.
func archFor(arch string, set *dataset.Images) string {
	widths := strings.Split(arch, "-")
	widths[0], widths[len(widths)-1] = fmt.Sprint(set.Features()), fmt.Sprint(set.Classes)
	return strings.Join(widths, "-")
}
