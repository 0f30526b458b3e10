package sweep

import (
	"cmp"
	"math"
	"slices"
	"strings"
)

// tpe is a multivariate tree-structured Parzen estimator (Bergstra et al., Algorithms
// for Hyper-Parameter Optimization, NIPS 2011; over all dimensions at once, as in
// Falkner et al., BOHB, ICML 2018). Points that were trained fall into good and bad
// ones; each set has a density, a mean of kernels around its points; and the next
// point is, of some that are drawn from the good ones' density, the one where it is
// largest beside the bad ones'.
//
// Points are compared by how far they came and, at equal rungs, by what they reached
// there: successive halving has put the better ones ahead. Layers that a network does
// not have are no dimensions of it, and other networks' say nothing about it.
type tpe struct {
	plan       *Plan
	dimensions []dimension
	good, bad  mixture
	draws      uint64 // numbers of draws: those of a bracket are its own
}

// dimension is one choice of a point: the value of a field or, of hidden, that of a layer.
type dimension struct {
	field  string
	layer  int
	values *Values
}

// vector is where a point stands on each axis.
type vector []spot

// spot is a place on an axis: one of its items, and the part of it that has the value,
// with its middle u; item is -1 where a network has no such layer.
type spot struct {
	item        int
	u, from, to float64
}

const (
	// tpeStartup is how many points are drawn at random before any are learned from.
	tpeStartup = 8
	// goodShare of the points are good ones.
	goodShare = 0.2
	// Of the points that a bracket is given, one in explored is drawn at random, so that
	// no part of the space is given up.
	explored = 8
	// candidates is of how many that are drawn the best is taken.
	candidates = 32
	// bandwidth is the kernels' standard deviation, in parts of an axis, of a single
	// point; n points in d dimensions have n^(-1/(d+4)) times that, by Scott's rule.
	bandwidth = 0.2
)

// newTPE learns from what is on the board. Its draws are numbered from first on.
func (p *Plan) newTPE(b *board, first uint64) *tpe {
	t := &tpe{plan: p, draws: first}
	for _, field := range SpaceFields() {
		v := p.values[field]
		switch {
		case v == nil:
		case field == "hidden":
			most := 0
			for i := range p.Points {
				most = max(most, layersOf(p.Points[i].chosen[field]))
			}
			for layer := range most {
				t.dimensions = append(t.dimensions, dimension{field, layer, v})
			}
		default:
			t.dimensions = append(t.dimensions, dimension{field, 0, v})
		}
	}
	var ranked []result
	for i := range p.Points {
		ranked = append(ranked, b.result(i))
	}
	slices.SortFunc(ranked, byResult)
	n := int(math.Ceil(goodShare * float64(len(ranked))))
	for n > 0 && ranked[n-1].rung < 0 {
		n--
	}
	if len(ranked) < tpeStartup {
		n = 0
	}
	t.good, t.bad = t.mixture(n), t.mixture(len(ranked)-n)
	for k, r := range ranked {
		to := &t.bad
		if k < n {
			to = &t.good
		}
		to.add(t.locate(p.Points[r.point].chosen))
	}
	return t
}

// result is how far a point came, -1 if it diverged, and what it reached there.
type result struct {
	rung int
	score
}

// byResult orders results, the best first.
func byResult(a, b result) int {
	return cmp.Or(cmp.Compare(b.rung, a.rung), better(a.score, b.score))
}

// result is that of a point whose bracket is over.
func (b *board) result(point int) result {
	for rung := len(b.plan.Spec.Rungs()) - 1; rung >= 0; rung-- {
		s, ok, known := b.score(Search, point, rung)
		switch {
		case known && !ok:
			return result{-1, s}
		case known:
			return result{rung, s}
		}
	}
	return result{-1, score{point: point}}
}

func layersOf(hidden string) int {
	if hidden == "" {
		return 0
	}
	return 1 + strings.Count(hidden, "-")
}

// locate is where a choice stands.
func (t *tpe) locate(chosen map[string]string) vector {
	v := make(vector, len(t.dimensions))
	widths := strings.Split(chosen["hidden"], "-")
	for d, a := range t.dimensions {
		text := chosen[a.field]
		if a.field == "hidden" {
			if a.layer >= layersOf(text) {
				v[d].item = -1
				continue
			}
			text = widths[a.layer]
		}
		v[d] = a.spot(text)
	}
	return v
}

// spot is where a value stands: in the first item that has it.
func (a *dimension) spot(text string) spot {
	for i := range a.values.items {
		if from, to, ok := a.values.items[i].locate(text, a.values.whole()); ok {
			return spot{i, (from + to) / 2, from, to}
		}
	}
	return spot{0, 0.5, 0, 1}
}

// next is a choice of values.
func (t *tpe) next() (map[string]string, error) {
	r := newRandom(t.plan.Spec.Seed, t.draws)
	t.draws++
	if len(t.good.points) == 0 || int(t.draws)%explored == 0 {
		return t.plan.choose(func(field string, _ int) string { return t.plan.values[field].draw(r) })
	}
	var best map[string]string
	var at vector
	most := math.Inf(-1)
	for range candidates {
		centre := t.centre(r)
		chosen, err := t.plan.choose(func(field string, layer int) string { return t.value(r, centre, field, layer) })
		if err != nil {
			return nil, err
		}
		v := t.locate(chosen)
		if gain := t.good.density(t, v) / t.bad.density(t, v); gain > most {
			best, at, most = chosen, v, gain
		}
	}
	// The next ones go elsewhere: until it is trained, the point counts as a bad one.
	t.bad.add(at)
	return best, nil
}

// centre is one of the good points, or nil for all of the space, as likely as each.
func (t *tpe) centre(r *random) vector {
	if k := r.below(len(t.good.points) + 1); k < len(t.good.points) {
		return t.good.points[k]
	}
	return nil
}

// value draws from the kernel around a centre.
func (t *tpe) value(r *random, centre vector, field string, layer int) string {
	d := slices.IndexFunc(t.dimensions, func(a dimension) bool { return a.field == field && a.layer == layer })
	v := t.plan.values[field]
	if centre == nil || d < 0 || centre[d].item < 0 || r.float() < t.good.smoothing {
		return v.draw(r)
	}
	it := &v.items[centre[d].item]
	if !it.ranged {
		return it.text
	}
	for {
		// Box and Muller's normal numbers, until one lies in the range.
		u := centre[d].u + t.good.width*math.Sqrt(-2*math.Log(1-r.float()))*math.Cos(2*math.Pi*r.float())
		if u >= 0 && u < 1 {
			return it.part(u, v.whole())
		}
	}
}

// mixture is a density over the space: the mean of kernels around points and of that of
// all of the space.
type mixture struct {
	points []vector
	// width is the kernels' bandwidth, and smoothing how much of each is spread over all
	// of an axis.
	width, smoothing float64
	// mass is how much of each kernel lies on each axis.
	mass [][]float64
}

// mixture is one of n points, which are still to be added.
func (t *tpe) mixture(n int) mixture {
	return mixture{smoothing: 1 / float64(n+2), width: bandwidth * math.Pow(float64(max(1, n)), -1/float64(len(t.dimensions)+4))}
}

func (m *mixture) add(v vector) {
	mass := make([]float64, len(v))
	for d, s := range v {
		mass[d] = m.below(s.u, 1) - m.below(s.u, 0)
	}
	m.points, m.mass = append(m.points, v), append(m.mass, mass)
}

// below is how much of a normal distribution around centre lies below x.
func (m *mixture) below(centre, x float64) float64 {
	return 0.5 * math.Erfc((centre-x)/(m.width*math.Sqrt2))
}

// normal is the density of a normal distribution around centre in a spot: the mean over
// it if it is wide, as those of a few whole numbers are.
func (m *mixture) normal(centre float64, s spot) float64 {
	if s.to-s.from > m.width/8 {
		return (m.below(centre, s.to) - m.below(centre, s.from)) / (s.to - s.from)
	}
	z := (s.u - centre) / m.width
	return math.Exp(-z*z/2) / (m.width * math.Sqrt(2*math.Pi))
}

// density is that at v.
func (m *mixture) density(t *tpe, v vector) float64 {
	even := 1. // over all of the space: each item equally, and each part of it
	for d, s := range v {
		if s.item >= 0 {
			even /= float64(len(t.dimensions[d].values.items))
		}
	}
	sum := even
	for k, centre := range m.points {
		product := 1.
		for d, s := range v {
			if s.item < 0 {
				continue
			}
			items := t.dimensions[d].values.items
			spread := 1 / float64(len(items))
			c := centre[d]
			if c.item < 0 {
				product *= spread
				continue
			}
			density := m.smoothing * spread
			switch {
			case c.item != s.item:
			case items[c.item].ranged:
				density += (1 - m.smoothing) * m.normal(c.u, s) / m.mass[k][d]
			default:
				density += 1 - m.smoothing
			}
			product *= density
		}
		sum += product
	}
	return sum / float64(len(m.points)+1)
}
