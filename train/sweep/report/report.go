// Package report is a sweep's answer: which points are best and how sure that is, what accuracy costs in parameters, and
// what each dimension of the space does. It takes a plan and records, and gives text, JSON, Parquet, figures and a page.
//
// Everything is ranked by accuracies on held-out training images. Those on the test images are only reported, and only of
// finalists, which are trained anew with seeds that the search has not seen: so they are not the best of many draws.
package report

import (
	"cmp"
	"errors"
	"fmt"
	"maps"
	"math"
	"slices"
	"strings"

	"vanilla/model"
	"vanilla/train"
	"vanilla/train/sweep"
)

// Report is what is known of a sweep, which need not have ended.
type Report struct {
	*sweep.Directory
	sweep.Counts
	// Points are those that have records, best first.
	Points []Point
	// Dimensions are those in which points differ, most important first.
	Dimensions []Dimension
	// Variants are in the order of the plan, the finals last.
	Variants []sweep.Variant
	// Command, if not nil, writes how a user trains networks again: what is shown then says so of finalists.
	Command func(Rerun) string
}

// Point is what is known of one recipe.
type Point struct {
	ID         string
	Index      int
	Recipe     train.Recipe
	Parameters int
	// Settings are what of the recipe differs between points, but for the architecture: "relu lr 0.1".
	Settings string
	// Rung is the last one that a variant of the search has finished, of which Epochs are known, and Search what it had
	// reached there, nil if all its variants diverged.
	Rung, Epochs int
	Search       *Estimate
	// Final are the accuracies of a finalist's new seeds on held-out images, Test those on the test images; nil if it is
	// none.
	Final, Test *Estimate
	// Variants counts those that have records, Diverged those of them that diverged, FinalDiverged those of these that
	// were of the finals.
	Variants, Diverged, FinalDiverged int
	// Front says that no point with as few parameters or fewer is as accurate.
	Front bool

	widths []int
	first  []float64   // what each variant of the search had reached after the first rung
	rungs  []*Estimate // of the search, nil where nothing is known
	losses [][]float64 // of the variants, epoch by epoch: those of the finals if there are any
}

// Validation is what a point is ranked by: what its new seeds reached if it was a finalist, otherwise what those of the
// search did. It is nil if nothing is known.
func (p *Point) Validation() *Estimate {
	if p.Final != nil {
		return p.Final
	}
	return p.Search
}

// Name tells the point from others.
func (p *Point) Name() string { return strings.TrimSpace(p.Recipe.Arch + " " + p.Settings) }

// New makes the report of a sweep's directory.
func New(d *sweep.Directory) *Report {
	r := &Report{Directory: d, Counts: d.Counts(), Variants: d.Variants()}
	points := r.group()
	r.dimensions(points)
	// What is the same everywhere tells nothing apart.
	choices := slices.DeleteFunc(r.choices(), func(word string) bool {
		return !slices.ContainsFunc(points, func(p Point) bool { return valueOf(&p.Recipe, word) != valueOf(&points[0].Recipe, word) })
	})
	for i := range points {
		points[i].Settings = settings(&points[i], choices)
	}
	slices.SortFunc(points, better)
	front(points)
	r.Points = points
	return r
}

// group makes points of variants, in the plan's order.
func (r *Report) group() []Point {
	variants := map[int][]*sweep.Variant{} // those of the search first, as they are
	for i := range r.Variants {
		v := &r.Variants[i]
		variants[v.Index] = append(variants[v.Index], v)
	}
	points := make([]Point, 0, len(variants))
	for _, index := range slices.Sorted(maps.Keys(variants)) {
		points = append(points, r.point(index, variants[index]))
	}
	return points
}

func (r *Report) point(index int, variants []*sweep.Variant) Point {
	planned := &r.Plan.Points[index]
	p := Point{ID: planned.ID, Index: index, Recipe: planned.Recipe, Parameters: planned.Parameters, Rung: -1}
	p.widths, _ = model.Widths(p.Recipe.Arch) // checked with the plan
	rungs := r.Plan.Rungs(index)
	searched := make([][]float64, len(rungs))
	var final, test []float64
	finalist := variants[len(variants)-1].Stage == sweep.Final
	for _, v := range variants {
		last := v.Last()
		p.Variants++
		p.Diverged += btoi(last.Diverged)
		p.FinalDiverged += btoi(last.Diverged && v.Stage == sweep.Final)
		var losses []float64
		for i := range v.Records {
			record := &v.Records[i]
			for _, l := range record.Losses {
				losses = append(losses, float64(l))
			}
			if v.Stage == sweep.Search && !record.Diverged {
				searched[i] = append(searched[i], *record.ValidationAccuracy)
			}
		}
		if v.Status == sweep.Done && v.Stage == sweep.Final {
			final, test = append(final, *last.ValidationAccuracy), append(test, *last.TestAccuracy)
		}
		if !last.Diverged && (v.Stage == sweep.Final) == finalist {
			p.losses = append(p.losses, losses)
		}
	}
	p.first, p.rungs = searched[0], make([]*Estimate, len(rungs))
	for i, values := range searched {
		if e := estimate(values); e != nil {
			p.rungs[i], p.Rung, p.Epochs, p.Search = e, i, rungs[i], e
		}
	}
	p.Final, p.Test = estimate(final), estimate(test)
	if p.Final != nil {
		p.Rung, p.Epochs = len(rungs)-1, rungs[len(rungs)-1]
	}
	return p
}

// better orders points: finalists first, without divergence before with, then those that got further, each by accuracy on
// held-out images. Equal ones are ordered by parameters, then as
// in the plan.
func better(a, b Point) int {
	final := func(p *Point) int { return btoi(p.Final != nil) }
	accuracy := func(p *Point) float64 {
		if v := p.Validation(); v != nil {
			return v.Mean
		}
		return -1
	}
	return cmp.Or(cmp.Compare(final(&b), final(&a)), cmp.Compare(a.FinalDiverged, b.FinalDiverged), cmp.Compare(b.Rung, a.Rung), cmp.Compare(accuracy(&b), accuracy(&a)),
		cmp.Compare(a.Parameters, b.Parameters), cmp.Compare(a.Index, b.Index))
}

func btoi(b bool) int {
	if b {
		return 1
	}
	return 0
}

// front marks the points of which none that is as small or smaller is as accurate.
func front(points []Point) {
	var order []*Point
	for i := range points {
		if points[i].Validation() != nil {
			order = append(order, &points[i])
		}
	}
	slices.SortStableFunc(order, func(a, b *Point) int {
		return cmp.Or(cmp.Compare(a.Parameters, b.Parameters), cmp.Compare(b.Validation().Mean, a.Validation().Mean))
	})
	best := math.Inf(-1)
	for _, p := range order {
		if a := p.Validation().Mean; a > best {
			p.Front, best = true, a
		}
	}
}

// Front lists the points of the Pareto front, smallest first.
func (r *Report) Front() []*Point {
	var found []*Point
	for i := range r.Points {
		if r.Points[i].Front {
			found = append(found, &r.Points[i])
		}
	}
	slices.SortFunc(found, func(a, b *Point) int { return cmp.Compare(a.Parameters, b.Parameters) })
	return found
}

// Finalists lists the points that were trained again, best first.
func (r *Report) Finalists() []*Point {
	var found []*Point
	for i := range r.Points {
		if r.Points[i].Final != nil {
			found = append(found, &r.Points[i])
		}
	}
	return found
}

// BestModels picks a network of each of the best n finalists: of its seeds, the one that is the most accurate on the
// held-out images. It fails if there are not as many finalists with a trained network.
func (r *Report) BestModels(n int) ([]*sweep.Variant, error) {
	best := map[int]*sweep.Variant{}
	for i := range r.Variants {
		v := &r.Variants[i]
		if v.Stage != sweep.Final || v.Status != sweep.Done {
			continue
		}
		if b := best[v.Index]; b == nil || *v.Last().ValidationAccuracy > *b.Last().ValidationAccuracy {
			best[v.Index] = v
		}
	}
	var found []*sweep.Variant
	for _, p := range r.Finalists() {
		if v := best[p.Index]; v != nil && len(found) < n {
			found = append(found, v)
		}
	}
	switch {
	case len(found) == 0 && r.Spec.Finalists == 0:
		return nil, errors.New("the sweep has no finalists, whose networks alone are kept: want one with finalists")
	case len(found) == 0:
		return nil, errors.New("no finalist is trained yet: want a sweep that has ended (resume goes on)")
	case len(found) < n:
		return nil, fmt.Errorf("there are %d finalists: want at most as many", len(found))
	}
	return found, nil
}
