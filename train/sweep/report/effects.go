package report

import (
	"cmp"
	"math"
	"slices"

	"gonum.org/v1/gonum/stat"

	"vanilla/internal/sample"
)

// Effects are a functional analysis of variance: how much of the variance of results each dimension makes by itself, and how
// much pairs of them make together beyond that. A result is the logarithm of a network's error, so that halving the errors
// counts the same everywhere; networks that diverged have the worst result of all, and results far beyond the others (three
// times the interquartile range above the upper quartile) are drawn in to there, so that a few that never learned do not
// decide.
//
// On a grid whose points were trained with several seeds, results are of networks, and seeds alone are what is uncertain.
// Otherwise the points are a sample of their space: results are means over a point's seeds, and all that the dimensions by
// themselves do not explain is uncertain.

// Effect is a share of the variance.
type Effect struct {
	// Share is the estimate, less what chance gives, Lower to Upper its 95 % interval. All are from 0 to 1.
	Share float64 `json:"share"`
	Lower float64 `json:"lower95"`
	Upper float64 `json:"upper95"`
	// P is the probability of as much, or more, if there were no effect: Lower is above 0 exactly if it is below 5 %.
	P float64 `json:"p"`
}

// Found is whether there is an effect at 5 %.
func (e *Effect) Found() bool { return e != nil && e.P < 1-confidence }

// Interaction is what two dimensions do together beyond what each does.
type Interaction struct {
	A, B string
	Effect
}

// observations are what the analysis is of: a result for each point, its weight, and the variance between the seeds of
// points.
type observations struct {
	results, weights []float64
	seedSquares      float64
	seedFreedom      int
	pure             bool // seeds alone are uncertain
}

// What an analysis needs and holds.
const (
	leastFreedom     = 4    // of the error: fewer points or seeds say nothing
	mostAnalysed     = 4000 // points
	mostPaired       = 12   // dimensions whose pairs are looked at
	mostInteractions = 5
	farOut           = 3 // times the interquartile range
)

// observe takes results of the first rung. ok is false if there is nothing to analyse.
func (r *Report) observe(points []*Point) (o observations, ok bool) {
	least := 0.5 / math.Max(1, math.Round(r.Spec.Recipe.Validation*float64(r.Data.Train))) // no network is always right
	digits := func(accuracy float64) float64 { return math.Log(math.Max(least, 1-accuracy)) }
	var all []float64
	for _, p := range points {
		for _, accuracy := range p.first {
			all = append(all, digits(accuracy))
		}
	}
	if len(all) < 2 {
		return o, false
	}
	lower, _, upper := sample.Quartiles(all)
	fence := math.Min(slices.Max(all), upper+farOut*(upper-lower))
	if upper == lower {
		fence = slices.Max(all)
	}
	o.pure = r.Spec.Points == 0
	networks := 0.
	for _, p := range points {
		var results []float64
		for _, accuracy := range p.first {
			results = append(results, math.Min(fence, digits(accuracy)))
		}
		for range p.firstDiverged {
			results = append(results, fence)
		}
		mean, sd := sample.MeanSD(results)
		o.results, o.weights = append(o.results, mean), append(o.weights, float64(len(results)))
		o.seedFreedom += len(results) - 1
		o.seedSquares += float64(len(results)-1) * sd * sd
		networks += float64(len(results))
	}
	if o.pure = o.pure && o.seedFreedom >= leastFreedom; !o.pure {
		for i := range o.weights {
			o.weights[i] = 1
		}
	}
	mean := stat.Mean(o.results, o.weights)
	for i := range o.results {
		o.results[i] -= mean
	}
	return o, true
}

func (o *observations) squares() (total float64) {
	for i, y := range o.results {
		total += o.weights[i] * y * y
	}
	return total
}

// analysis is a model of all dimensions, and what their effects are measured against.
type analysis struct {
	observations
	factors   []factor
	picked    [][]int // columns of each factor
	columns   [][]float64
	model     *regression
	squares   []float64 // of each factor beyond all others
	freedom   []int
	explained float64 // by all factors
	rank      int
	total     float64
	count     float64 // of observations
	// error is the mean square of what is uncertain.
	errorSquares float64
	errorFreedom int
}

// analyse measures effects of dimensions, of which values are the points'. It returns nil for those of which there are too
// few points.
func (r *Report) analyse(points []*Point, axes []axis) ([]*Effect, []Interaction) {
	none := make([]*Effect, len(axes))
	if len(points) > mostAnalysed {
		points = thin(points, mostAnalysed)
	}
	o, ok := r.observe(points)
	if !ok {
		return none, nil
	}
	var a *analysis
	for _, degree := range degrees {
		if a = newAnalysis(o, points, axes, degree); a.errorFreedom >= max(leastFreedom, a.rank) {
			break
		}
	}
	if a.errorFreedom < leastFreedom {
		return none, nil
	}
	effects := make([]*Effect, len(axes))
	for i := range axes {
		others, freedom := a.explained-a.squares[i], a.rank-a.freedom[i]
		if a.pure {
			others, freedom = a.total-a.squares[i], len(points)-1-a.freedom[i]
		}
		effects[i] = a.effect(part{a.squares[i], a.freedom[i]}, part{others, freedom}, part{a.errorSquares, a.errorFreedom}, a.spread(a.picked[i]))
	}
	return effects, a.interactions(effects, len(points))
}

// newAnalysis fits a model in which numbers enter up to a degree.
func newAnalysis(o observations, points []*Point, axes []axis, degree int) *analysis {
	a := &analysis{observations: o, total: o.squares()}
	for _, w := range o.weights {
		a.count += w
	}
	for _, axis := range axes {
		values := make([]levelValue, len(points))
		distinct := map[levelValue]bool{}
		for i, p := range points {
			values[i] = axis.of(p)
			distinct[values[i]] = true
		}
		delete(distinct, absent)
		f := factor{name: axis.name}
		if axis.numeric && len(distinct) > mostLevels {
			f.main = polynomials(values, o.weights, degree)
			f.pair = f.main[:min(pairDegree, degree)]
		} else {
			levels, index := cut(values, axis.numeric, math.MaxInt, ranges)
			f.main = contrasts(values, index, len(levels), o.weights)
			f.pair = f.main
		}
		var picked []int
		for _, c := range f.main {
			picked = append(picked, len(a.columns))
			a.columns = append(a.columns, c)
		}
		a.factors, a.picked = append(a.factors, f), append(a.picked, picked)
	}
	a.model = newRegression(a.columns, o.results, o.weights)
	every := slices.Concat(a.picked...)
	a.explained, a.rank = a.model.explained(every)
	for i := range a.factors {
		without := slices.Concat(slices.Concat(a.picked[:i]...), slices.Concat(a.picked[i+1:]...))
		squares, rank := a.model.explained(without)
		a.squares, a.freedom = append(a.squares, math.Max(0, a.explained-squares)), append(a.freedom, a.rank-rank)
	}
	a.errorSquares, a.errorFreedom = math.Max(0, a.total-a.explained), len(points)-1-a.rank
	if a.pure {
		a.errorSquares, a.errorFreedom = o.seedSquares, o.seedFreedom
	}
	return a
}

// part is a sum of squares with its degrees of freedom.
type part struct {
	squares float64
	freedom int
}

// rounding is how much of all squares says nothing.
const rounding = 1e-12

// effect is the share of one part of all, with its interval: those of its ratio to the error and of the others' ratio to the
// error, joined on a logarithmic scale (Donner and Zou, 2012). spread is [analysis.spread] of the part and the others.
func (a *analysis) effect(own, others, error part, spread [2]float64) *Effect {
	if own.freedom == 0 || error.freedom < leastFreedom {
		return nil
	}
	all := own.squares + others.squares + error.squares
	if all <= 0 {
		return &Effect{P: 1}
	}
	unit := error.squares / float64(error.freedom)
	if error.squares <= rounding*all { // nothing is uncertain
		share := own.squares / all
		if share <= rounding {
			return &Effect{P: 1}
		}
		return &Effect{Share: share, Lower: share, Upper: share}
	}
	of := func(p part, freedom float64) (estimate, lower, upper float64) {
		if p.freedom <= 0 {
			return 0, 0, 0
		}
		k := float64(p.freedom)
		f := math.Max(0, p.squares) / k / unit
		lower, upper = noncentrality(f, k, freedom)
		estimate = math.Min(math.Max(k*(f-1), lower), upper)
		return math.Max(0, estimate) / a.count, lower / a.count, upper / a.count
	}
	// That the error itself is uncertain moves both ratios alike, and their ratio only by the part of the error in all others.
	rest, restLow, restHigh := of(others, manyFreedom)
	rest, restLow, restHigh = rest+1, restLow+1, restHigh+1
	size, low, high := of(own, math.Min(manyFreedom, float64(error.freedom)*rest*rest))
	apart := func(from, to float64, kurtosis float64) float64 { // on a logarithmic scale
		if from <= 0 || to <= 0 {
			return 0
		}
		d := math.Log(to / from)
		return math.Sqrt(d*d + normal95*normal95*math.Max(0, kurtosis-1)/a.count)
	}
	share := func(ratio float64) float64 { return ratio / (1 + ratio) }
	e := &Effect{Share: share(size / rest), P: survivalF(own.squares/float64(own.freedom)/unit, float64(own.freedom), float64(error.freedom))}
	if low > 0 && e.P < 1-confidence {
		e.Lower = share(size / rest * math.Exp(-math.Hypot(apart(low, size, spread[0]), apart(rest, restHigh, spread[1]))))
	}
	if size > 0 {
		e.Upper = share(size / rest * math.Exp(math.Hypot(apart(size, high, spread[0]), apart(restLow, rest, spread[1]))))
	} else {
		e.Upper = share(high / rest)
	}
	return e
}

// manyFreedom is so much that the error is as good as known.
const manyFreedom = 1e6

// normal95 is the quantile of a normal distribution that 95 % lie within.
const normal95 = 1.959963984540054

// spread holds how variable the variances of what the model says are, from one sample of points to another: the kurtosis of
// what the picked columns say alone, and of what all others say. On a grid they are not.
func (a *analysis) spread(picked []int) (kurtosis [2]float64) {
	if a.pure {
		return kurtosis
	}
	var others []int
	for c := range a.columns {
		if !slices.Contains(picked, c) {
			others = append(others, c)
		}
	}
	return [2]float64{a.model.kurtosis(picked), a.model.kurtosis(others)}
}

// candidate is a pair of dimensions.
type candidate struct {
	Interaction
	own, others, error part
}

// more is the sum of squares beyond what chance gives.
func (c *candidate) more() float64 {
	return c.own.squares - float64(c.own.freedom)*c.error.squares/float64(c.error.freedom)
}

// interactions are the largest, of those dimensions that do most. P is multiplied by the number of pairs that were looked
// at (Bonferroni), and the interval is that of one.
func (a *analysis) interactions(effects []*Effect, points int) []Interaction {
	order := make([]int, len(a.factors))
	for i := range order {
		order[i] = i
	}
	slices.SortStableFunc(order, func(i, j int) int { return cmp.Compare(share(effects[j]), share(effects[i])) })
	order = order[:min(mostPaired, len(order))]
	var found []candidate
	pairs := 0
	for x, i := range order {
		for _, j := range order[x+1:] {
			own, ok := a.beyond(i, j)
			if !ok {
				continue
			}
			c := candidate{Interaction: Interaction{A: a.factors[i].name, B: a.factors[j].name}, own: own}
			c.others, c.error = part{a.explained, a.rank}, part{a.errorSquares - own.squares, a.errorFreedom - own.freedom}
			if a.pure {
				c.others, c.error = part{a.total - own.squares, points - 1 - own.freedom}, part{a.errorSquares, a.errorFreedom}
			}
			if c.error.freedom < leastFreedom {
				continue
			}
			pairs++
			f := own.squares / float64(own.freedom) / (c.error.squares / float64(c.error.freedom))
			c.P = survivalF(f, float64(own.freedom), float64(c.error.freedom))
			found = append(found, c)
		}
	}
	slices.SortStableFunc(found, func(a, b candidate) int {
		return cmp.Compare(b.more(), a.more())
	})
	var interactions []Interaction
	for k, c := range found {
		strongest := c.A == a.factors[order[0]].name && c.B == a.factors[order[1]].name // whose interaction is drawn
		if k >= mostInteractions && !strongest {
			continue
		}
		if e := a.effect(c.own, c.others, c.error, a.spread(nil)); e != nil {
			e.P = math.Min(1, e.P*float64(pairs))
			interactions = append(interactions, Interaction{c.A, c.B, *e})
		}
	}
	return interactions
}

func share(e *Effect) float64 {
	if e == nil {
		return -1
	}
	return e.Share
}

// beyond is what products of two factors' columns explain beyond all factors by themselves.
func (a *analysis) beyond(i, j int) (part, bool) {
	columns := slices.Clone(a.columns)
	picked := slices.Concat(a.picked...)
	for _, x := range a.factors[i].pair {
		for _, y := range a.factors[j].pair {
			product := make([]float64, len(x))
			mean := 0.
			for k := range x {
				product[k] = x[k] * y[k]
				mean += a.weights[k] * product[k]
			}
			for k := range product {
				product[k] -= mean / a.count
			}
			picked = append(picked, len(columns))
			columns = append(columns, product)
		}
	}
	squares, rank := newRegression(columns, a.results, a.weights).explained(picked)
	own := part{math.Max(0, squares-a.explained), rank - a.rank}
	return own, own.freedom > 0
}
