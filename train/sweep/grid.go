package sweep

import (
	"cmp"
	"context"
	"fmt"
	"iter"
	"math"
	"strings"

	"vanilla/train"
)

// grid is every combination of a space's values. Each field is a digit that counts
// through its values; hidden is one digit for each layer, so depths are counted
// one after the other.
type grid struct {
	values map[string][]string // of each field
	depths []string            // values of layers, one "" where they are not of the space
	others []string            // the fields besides layers and hidden, in their order
}

func newGrid(space map[string]*Values) (*grid, error) {
	g := &grid{values: map[string][]string{}, depths: []string{""}}
	for field, v := range space {
		list, err := v.grid()
		if err != nil {
			return nil, err
		}
		g.values[field] = list
	}
	if listed := g.values["layers"]; listed != nil {
		g.depths = listed
	}
	for _, field := range SpaceFields() {
		if space[field] != nil && field != "layers" && field != "hidden" {
			g.others = append(g.others, field)
		}
	}
	return g, nil
}

// layers is how many digits a depth has for hidden: none where its values are not
// of the space.
func (g *grid) layers(p *Plan, depth string) (int, error) {
	hidden := g.values["hidden"] != nil
	if depth == "" && !hidden {
		return 0, nil
	}
	layers, err := p.layers(depth)
	if !hidden {
		layers = 0
	}
	return layers, err
}

// size is how many combinations there are.
func (g *grid) size(p *Plan) (float64, error) {
	shapes := 0.0
	for _, depth := range g.depths {
		layers, err := g.layers(p, depth)
		if err != nil {
			return 0, err
		}
		shapes += math.Pow(float64(len(g.values["hidden"])), float64(layers))
	}
	for _, field := range g.others {
		shapes *= float64(len(g.values[field]))
	}
	return shapes, nil
}

// of lists the combinations of a depth, each a value for every field.
func (g *grid) of(depth string, layers int) iter.Seq[map[string]string] {
	var digits [][]string
	for range layers {
		digits = append(digits, g.values["hidden"])
	}
	for _, field := range g.others {
		digits = append(digits, g.values[field])
	}
	return func(yield func(map[string]string) bool) {
		for at := range counted(digits) {
			chosen := map[string]string{}
			if depth != "" {
				chosen["layers"] = depth
			}
			if g.values["hidden"] != nil {
				chosen["hidden"] = strings.Join(at[:layers], "-")
			}
			for i, field := range g.others {
				chosen[field] = at[layers+i]
			}
			if !yield(chosen) {
				return
			}
		}
	}
}

// counted counts through the values of digits, the last one fastest. What it
// yields is its own.
func counted(digits [][]string) iter.Seq[[]string] {
	return func(yield func([]string) bool) {
		at, values := make([]int, len(digits)), make([]string, len(digits))
		for {
			for k, d := range digits {
				values[k] = d[at[k]]
			}
			if !yield(values) {
				return
			}
			k := len(at) - 1
			for ; k >= 0; k-- {
				if at[k]++; at[k] < len(digits[k]) {
					break
				}
				at[k] = 0
			}
			if k < 0 {
				return
			}
		}
	}
}

// grid makes the points of all combinations.
func (p *Plan) grid(ctx context.Context, space map[string]*Values) error {
	g, err := newGrid(space)
	if err != nil {
		return err
	}
	total, err := g.size(p)
	if err != nil {
		return err
	}
	if total*float64(p.Spec.Seeds) > maxVariants {
		return &train.SettingError{Field: "grid", Value: true, Problem: fmt.Sprintf("the grid has %.3g points of %d seeds: want at most %d variants, fewer values, or \"points\"", total, p.Spec.Seeds, maxVariants)}
	}
	if err := fitsMemory(total); err != nil {
		return err
	}
	seen := make(map[string]bool, int(total))
	var unfit error
	large := false
	for _, depth := range g.depths {
		layers, err := g.layers(p, depth)
		if err != nil {
			return err
		}
		for chosen := range g.of(depth, layers) {
			if ctx.Err() != nil {
				return context.Cause(ctx)
			}
			point, err := p.point(chosen)
			switch {
			case nothingToDo(err):
				p.LeftOut++
				unfit = cmp.Or(unfit, err)
			case err != nil:
				return err
			case p.Spec.MaxParameters > 0 && point.Parameters > p.Spec.MaxParameters:
				large = true
			case !seen[point.ID]:
				seen[point.ID] = true
				point.Index = len(p.Points)
				p.Points = append(p.Points, point)
			}
		}
	}
	if len(p.Points) == 0 {
		return p.nothingLeft(unfit, large)
	}
	return nil
}
