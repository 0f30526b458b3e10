package report

import (
	"cmp"
	"fmt"
	"math"
	"slices"
	"strings"

	"vanilla/internal/sample"
	"vanilla/internal/words"
	"vanilla/model"
	"vanilla/train"
	"vanilla/train/sweep"
)

// Dimension is one in which points differ.
type Dimension struct {
	// Name is the field of the space, or h1, h2, … for the units of a hidden layer, layers for their number, parameters.
	Name string
	// Effect is what it does by itself after the first rung, which all points reach: nil if there are too few points.
	Effect *Effect
	// Follows says that it follows from other dimensions, as the number of parameters does, and has no effect of its own.
	Follows bool
	Levels  []Level
}

// Level is one value of a dimension, or a range of them.
type Level struct {
	Value string
	// N counts the points that have it and an accuracy, Diverged those of which all variants diverged, and Last those
	// that reached the last rung.
	N, Diverged, Last                          int
	LowerQuartile, Median, UpperQuartile, Best float64

	low, high float64
	first     levelValue // the only one, if it is no range
}

// levelValue is a point's value in a dimension: a number, a name, or neither, if a network has no such layer.
type levelValue struct {
	number float64
	name   string
}

var absent = levelValue{number: math.Inf(-1), name: "none"}

// nothing is no block or no norm in a network that could have one: a choice like any other, and the first.
var nothing = levelValue{number: -1, name: "none"}

// mostLevels is how many values of a number are levels of their own, and ranges how many ranges there are otherwise.
const (
	mostLevels = 8
	ranges     = 5
)

// axis reads a dimension off points.
type axis struct {
	name    string
	numeric bool
	of      func(p *Point) levelValue
}

// axes are all dimensions that points may differ in.
func (r *Report) axes(points []Point) []axis {
	layers := 0
	for i := range points {
		layers = max(layers, len(points[i].widths)-2)
	}
	axes := []axis{{parameters, true, func(p *Point) levelValue { return levelValue{number: float64(p.Parameters)} }},
		{"layers", true, func(p *Point) levelValue { return levelValue{number: float64(len(p.widths) - 2)} }}}
	for layer := 1; layer <= min(layers, mostLayers); layer++ {
		axes = append(axes, axis{fmt.Sprintf("h%d", layer), true, func(p *Point) levelValue {
			if layer > len(p.widths)-2 {
				return absent
			}
			return levelValue{number: float64(p.widths[layer])}
		}})
	}
	if slices.ContainsFunc(points, func(p Point) bool { _, own, _ := model.ParseArch(p.Recipe.Arch); return own != nil }) {
		axes = append(axes, axis{"activations", false, activations})
	}
	for _, field := range r.choices() {
		axes = append(axes, axis{words.Dashed(field), isNumber(field), func(p *Point) levelValue {
			v := valueOf(&p.Recipe, field)
			if also := r.Spec.Follows(&p.Recipe, field); also != "" {
				v.name += " (" + also + ")"
			}
			return v
		}})
	}
	return axes
}

// activations are those of the hidden layers, where some architectures say their own: "relu-tanh", or "relu" if all are the
// same.
func activations(p *Point) levelValue {
	widths, own, _ := model.ParseArch(p.Recipe.Arch) // checked with the plan
	names := slices.Repeat([]string{p.Recipe.Activation}, len(widths)-2)
	for i := range names {
		if own != nil {
			names[i] = cmp.Or(own[i+1], names[i])
		}
	}
	switch distinct := slices.Compact(slices.Clone(names)); len(distinct) {
	case 0:
		return absent
	case 1:
		names = distinct
	}
	return levelValue{name: strings.Join(names, "-")}
}

// mostLayers is how many hidden layers are dimensions of their own.
const mostLayers = 6

func isNumber(field string) bool {
	_, text := new(train.Recipe).Get(field).(string)
	return !text
}

// valueOf is a setting, which is absent where nothing of the recipe is set by it.
func valueOf(r *train.Recipe, field string) levelValue {
	if !r.Has(field) {
		return absent
	}
	switch v := r.Get(field).(type) {
	case string:
		if v == "" {
			return nothing
		}
		return levelValue{name: v}
	case int:
		return levelValue{number: float64(v)}
	case float64:
		return levelValue{number: v}
	}
	return absent
}

// number prints 13002 as 13,002 and 0.30000001 as 0.3.
func number(v float64) string {
	if v == math.Trunc(v) && math.Abs(v) < 1<<53 {
		return words.Thousands(int(v))
	}
	return words.Decimal(v, 4)
}

// dimensions finds in what points differ, and what that does, once one has an accuracy.
func (r *Report) dimensions(points []Point) {
	if !slices.ContainsFunc(points, func(p Point) bool { return p.rungs[0] != nil }) {
		return
	}
	var analysed []*Point
	for i := range points {
		if p := &points[i]; len(p.first)+p.firstDiverged > 0 {
			analysed = append(analysed, p)
		}
	}
	var own []axis
	for _, a := range r.axes(points) {
		values := make([]levelValue, len(points))
		differ := false
		for i := range points {
			values[i] = a.of(&points[i])
			differ = differ || values[i] != values[0]
		}
		if !differ {
			continue
		}
		levels, index := cut(values, a.numeric, mostLevels, ranges)
		d := r.marginal(a.name, points, levels, index)
		if d.Follows = a.name == parameters; !d.Follows {
			own = append(own, a)
		}
		r.Dimensions = append(r.Dimensions, d)
	}
	effects, interactions := r.analyse(analysed, own)
	for i, a := range own {
		for k := range r.Dimensions {
			if r.Dimensions[k].Name == a.name {
				r.Dimensions[k].Effect = effects[i]
			}
		}
	}
	r.Interactions = interactions
	slices.SortStableFunc(r.Dimensions, func(a, b Dimension) int {
		return cmp.Or(cmp.Compare(btoi(a.Follows), btoi(b.Follows)), cmp.Compare(share(b.Effect), share(a.Effect)))
	})
}

// parameters is the dimension that follows from others.
const parameters = "parameters"

// cut makes levels of values, and says which one each value is of. Names, and numbers of which there are few, are levels
// of their own, others fall into ranges that hold about as many each.
func cut(values []levelValue, numeric bool, most, ranges int) (levels []Level, index []int) {
	index = make([]int, len(values))
	distinct := slices.Clone(values)
	slices.SortFunc(distinct, func(a, b levelValue) int {
		return cmp.Or(cmp.Compare(a.number, b.number), cmp.Compare(a.name, b.name))
	})
	sorted := slices.Clone(distinct)
	distinct = slices.Compact(distinct)
	at := map[levelValue]int{}
	add := func(values ...levelValue) {
		for _, v := range values {
			at[v] = len(levels)
		}
		first, last := values[0], values[len(values)-1]
		l := Level{Value: first.name, low: first.number, high: last.number, first: first}
		switch {
		case first == absent && slices.Contains(distinct, nothing):
			l.Value = "no hidden layer"
		case first.name != "":
		case first == last:
			l.Value = number(first.number)
		default:
			l.Value = number(first.number) + "–" + number(last.number)
		}
		levels = append(levels, l)
	}
	if !numeric || len(distinct) <= most {
		for _, v := range distinct {
			add(v)
		}
	} else {
		if distinct[0] == absent {
			add(absent)
			distinct = distinct[1:]
			sorted = sorted[slices.IndexFunc(sorted, func(v levelValue) bool { return v != absent }):]
		}
		for begin, k := 0, 1; begin < len(distinct); k++ {
			// The range ends with the value at its quantile.
			bound := sorted[min(len(sorted)-1, max(0, k*len(sorted)/ranges-1))]
			end := begin + 1
			for end < len(distinct) && distinct[end].number <= bound.number {
				end++
			}
			if distinct[begin].number <= bound.number || k >= ranges {
				add(distinct[begin:end]...)
				begin = end
			}
		}
	}
	for i, v := range values {
		index[i] = at[v]
	}
	return levels, index
}

// marginal says what the levels of a dimension do after the first rung.
func (r *Report) marginal(name string, points []Point, levels []Level, index []int) Dimension {
	groups := make([][]float64, len(levels)) // what diverged is -1
	for i := range points {
		p, l := &points[i], &levels[index[i]]
		switch first := p.rungs[0]; {
		case first != nil:
			groups[index[i]] = append(groups[index[i]], first.Mean)
			l.N++
		case p.Diverged > 0:
			groups[index[i]] = append(groups[index[i]], -1)
			l.Diverged++
		}
		l.Last += btoi(p.Rung == len(p.rungs)-1)
	}
	d := Dimension{Name: name, Levels: levels}
	for i := range levels {
		l := &levels[i]
		slices.Sort(groups[i])
		if healthy := groups[i][l.Diverged:]; len(healthy) > 0 {
			l.LowerQuartile, l.Median, l.UpperQuartile = sample.Quartiles(healthy)
			l.Best = healthy[len(healthy)-1]
		}
	}
	return d
}

// FirstEpochs says after how many epochs dimensions are compared: "1 epoch", or "all epochs" if points differ in them.
func (r *Report) FirstEpochs() string {
	first := r.Plan.Rungs(0)[0]
	for i := range r.Plan.Points {
		if r.Plan.Rungs(i)[0] != first {
			return "all epochs"
		}
	}
	return words.Plural(first, "epoch")
}

// choices are the fields of the space that are no architectures.
func (r *Report) choices() []string {
	return slices.DeleteFunc(sweep.SpaceFields(), func(field string) bool {
		_, given := r.Spec.Space[field]
		return !given || field == "layers" || field == "hidden" || field == "arch"
	})
}
