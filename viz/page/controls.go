package page

import (
	"fmt"
	"strings"

	"vanilla/graph"
	"vanilla/kernels"
	"vanilla/mnist"
	"vanilla/train"
)

// controls are what the page's panel of training is made of: a control for each word of recipes, in their order.
type controls struct {
	Fields  []control               `json:"fields"`
	Recipes map[string]train.Recipe `json:"recipes"` // to begin with, by name
	// What networks are trained on.
	Data    string `json:"data"`
	Images  int    `json:"images"`
	Rows    int    `json:"rows"`
	Cols    int    `json:"cols"`
	Classes int    `json:"classes"`
}

// control is how a word of recipes is set.
type control struct {
	Word    string   `json:"word"`
	Choices []string `json:"choices,omitempty"` // of a name; otherwise it is a number or a text
	Number  bool     `json:"number"`
}

// newControls are the controls for a data set.
func newControls(data *mnist.Dataset) *controls {
	set := data.Train
	choices := map[string][]string{
		"activation": graph.ActivationNames(),
		"loss":       graph.LossNames(),
		"optimizer":  kernels.OptimizerNames(),
		"schedule":   kernels.ScheduleNames(),
		"init":       kernels.InitNames(),
	}
	c := &controls{Recipes: map[string]train.Recipe{}, Data: data.Name, Images: set.Len(), Rows: set.Rows, Cols: set.Cols, Classes: set.Classes}
	base := train.Default()
	for _, word := range train.Fields() {
		field := control{Word: word, Choices: choices[word]}
		if _, text := base.Get(word).(string); !text {
			field.Number = true
		}
		c.Fields = append(c.Fields, field)
	}
	for _, name := range train.Recipes() {
		recipe, err := train.NamedRecipe(name)
		if err != nil {
			panic("page: " + err.Error()) // the names are its own
		}
		recipe.Arch = archFor(recipe.Arch, set)
		c.Recipes[name] = recipe
	}
	return c
}

// archFor is an architecture with as many inputs and outputs as a data set has.
func archFor(arch string, set *mnist.Images) string {
	widths := strings.Split(arch, "-")
	widths[0], widths[len(widths)-1] = fmt.Sprint(set.Features()), fmt.Sprint(set.Classes)
	return strings.Join(widths, "-")
}
