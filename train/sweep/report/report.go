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
	// Interactions are the largest ones of pairs of dimensions.
	Interactions []Interaction
	// Fronts are Pareto fronts, one for each number of epochs after which points were compared, the largest first.
	Fronts []Front
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
	// Front says that of all points trained for as many epochs as this one, Epochs, none with as few parameters or fewer is
	// as accurate.
	Front bool

	widths []int
	// first is what each variant of the search had reached after the first rung, firstDiverged how many had diverged by then.
	first         []float64
	firstDiverged int
	epochs        []int       // of the rungs
	rungs         []*Estimate // of the search, nil where nothing is known
	// finals are what the new seeds had reached after each rung, those alone that were trained to the end: the same seeds at
	// every rung. There are none if it was no finalist.
	finals []*Estimate
	losses [][]float64 // epoch by epoch, of the variants that finals or else rungs are of
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
	choices := r.Spec.Choices()
	for i := range points {
		points[i].Settings = sweep.Settings(&points[i].Recipe, choices)
	}
	slices.SortFunc(points, better)
	r.Points = points
	r.fronts()
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
	searched, finals := make([][]float64, len(rungs)), make([][]float64, len(rungs))
	var test []float64
	finalist := slices.ContainsFunc(variants, func(v *sweep.Variant) bool { return v.Stage == sweep.Final && v.Status == sweep.Done })
	for _, v := range variants {
		last := v.Last()
		p.Variants++
		p.Diverged += btoi(last.Diverged)
		p.FinalDiverged += btoi(last.Diverged && v.Stage == sweep.Final)
		p.firstDiverged += btoi(last.Diverged && v.Stage == sweep.Search && len(v.Records) == 1)
		var losses []float64
		for i := range v.Records {
			record := &v.Records[i]
			for _, l := range record.Losses {
				losses = append(losses, float64(l))
			}
			switch {
			case v.Stage == sweep.Search && !record.Diverged:
				searched[i] = append(searched[i], *record.ValidationAccuracy)
			case v.Stage == sweep.Final && v.Status == sweep.Done:
				finals[i] = append(finals[i], *record.ValidationAccuracy)
			}
		}
		ended := v.Status == sweep.Done && v.Stage == sweep.Final
		if ended {
			test = append(test, *last.TestAccuracy)
		}
		if finalist && ended || !finalist && !last.Diverged {
			p.losses = append(p.losses, losses)
		}
	}
	p.first, p.epochs, p.rungs = searched[0], rungs, make([]*Estimate, len(rungs))
	for i, values := range searched {
		if e := estimate(values); e != nil {
			p.rungs[i], p.Rung, p.Epochs, p.Search = e, i, rungs[i], e
		}
	}
	p.Test = estimate(test)
	if finalist {
		for _, values := range finals {
			p.finals = append(p.finals, estimate(values))
		}
		p.Final = p.finals[len(rungs)-1]
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

// Front is a Pareto front: of the points that were trained for so many epochs, those of which none that is as small or
// smaller is as accurate. What the seeds of the search had reached then is compared, of all points that had come there, also
// of those that went on.
type Front struct {
	Epochs int
	Of     int // points that were compared
	Points []Reached
}

// Reached is what the search's seeds of a point had reached when a front was drawn.
type Reached struct {
	*Point
	Accuracy *Estimate
}

// fronts finds the fronts, the longest trained first, and marks the points that are on the one of the epochs that they
// reached last.
func (r *Report) fronts() {
	reached := map[int][]Reached{}
	for i := range r.Points {
		p := &r.Points[i]
		for rung, e := range p.rungs {
			if e != nil {
				reached[p.epochs[rung]] = append(reached[p.epochs[rung]], Reached{p, e})
			}
		}
	}
	for _, epochs := range slices.Sorted(maps.Keys(reached)) {
		all := reached[epochs]
		slices.SortStableFunc(all, func(a, b Reached) int {
			return cmp.Or(cmp.Compare(a.Parameters, b.Parameters), cmp.Compare(b.Accuracy.Mean, a.Accuracy.Mean))
		})
		f := Front{Epochs: epochs, Of: len(all)}
		best := math.Inf(-1)
		for _, p := range all {
			if p.Accuracy.Mean > best {
				best = p.Accuracy.Mean
				f.Points = append(f.Points, p)
				p.Front = p.Front || p.Epochs == epochs
			}
		}
		r.Fronts = append([]Front{f}, r.Fronts...)
	}
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
