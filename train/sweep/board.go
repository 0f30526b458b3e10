package sweep

import (
	"cmp"
	"context"
	"fmt"
	"slices"

	"vanilla/internal/sample"
)

// board is what is known of a plan's variants, and so what is left to do.
type board struct {
	plan    *Plan
	shard   Shard
	records map[key][]Record // by rung
	// selections are the points that were selected for a bracket's rung, where
	// that is decided.
	selections map[[2]int][]int
}

// key is what names a variant of the plan.
type key struct {
	stage Stage
	point int
	seed  uint64
}

func (r *Record) key() key { return key{r.Stage, r.Index, r.Seed} }

// newBoard sorts records, which must be the plan's, each once, and none of a
// rung without those before it. Of a plan whose sampler learns, it draws the points
// that there are records of.
func newBoard(ctx context.Context, p *Plan, shard Shard, records []Record) (*board, error) {
	if err := p.grow(ctx, records); err != nil {
		return nil, err
	}
	b, sorted := emptyBoard(p, shard, records)
	own := map[int]bool{}
	for _, bracket := range shard.brackets(p) {
		own[bracket] = true
	}
	for _, r := range sorted {
		if !p.has(&r) {
			return nil, fmt.Errorf("found a record of variant %s, which is not in the plan", r.ID)
		}
		if !own[r.Bracket] {
			return nil, fmt.Errorf("found a record of variant %s, which is not in shard %s", r.ID, shard)
		}
		if err := b.add(r); err != nil {
			return nil, err
		}
	}
	return b, nil
}

// emptyBoard has none of the records, which it sorts by their rungs.
func emptyBoard(p *Plan, shard Shard, records []Record) (b *board, sorted []Record) {
	sorted = slices.Clone(records)
	slices.SortStableFunc(sorted, func(a, b Record) int { return cmp.Compare(a.Rung, b.Rung) })
	return &board{plan: p, shard: shard, records: make(map[key][]Record, len(records)), selections: map[[2]int][]int{}}, sorted
}

// has says whether a record is of a variant of the plan.
func (p *Plan) has(r *Record) bool {
	return r.Index >= 0 && r.Index < len(p.Points) && (r.Stage == Search || r.Stage == Final) && p.Identity(r.Index, r.Stage, r.Seed) == r.Identity
}

func (b *board) add(r Record) error {
	at := r.key()
	if n := len(b.records[at]); r.Rung != n {
		return fmt.Errorf("found a record of variant %s at rung %d, want one at rung %d: each rung once", r.ID, r.Rung, n)
	}
	rungs := len(b.plan.Rungs(r.Index))
	switch {
	case r.Rung >= rungs:
		return fmt.Errorf("found a record of variant %s at rung %d, want 0 to %d", r.ID, r.Rung, rungs-1)
	case r.Rung > 0 && b.records[at][r.Rung-1].Diverged:
		return fmt.Errorf("found a record of variant %s at rung %d, but it diverged before", r.ID, r.Rung)
	case (r.TestAccuracy != nil) != (r.Stage == Final && r.Rung == rungs-1 && !r.Diverged):
		return fmt.Errorf("found a record of variant %s, %s, at rung %d with the test accuracy %s: want one after the last rung of the finals, and nowhere else",
			r.ID, r.Stage, r.Rung, number(r.TestAccuracy))
	}
	b.records[at] = append(b.records[at], r)
	return nil
}

// number is what x points to, or null.
func number(x *float64) string {
	if x == nil {
		return "null"
	}
	return fmt.Sprint(*x)
}

// score is what points are compared by.
type score struct {
	point          int
	accuracy, loss float64 // means over the seeds
}

// better orders scores, the best first: by accuracy, then by loss, then by the
// index in the plan.
func better(a, b score) int {
	return cmp.Or(cmp.Compare(b.accuracy, a.accuracy), cmp.Compare(a.loss, b.loss), cmp.Compare(a.point, b.point))
}

// score is the point's at a rung: ok if no seed diverged, which one is enough to
// know; known is false if a seed is not there yet.
func (b *board) score(stage Stage, point, rung int) (s score, ok, known bool) {
	s.point = point
	known = true
	seeds := b.plan.Seeds(stage)
	for _, seed := range seeds {
		records := b.records[key{stage, point, seed}]
		if n := len(records); n > 0 && records[n-1].Diverged && n <= rung+1 {
			return s, false, true
		}
		if len(records) <= rung {
			known = false
			continue
		}
		s.accuracy += *records[rung].ValidationAccuracy / float64(len(seeds))
		s.loss += float64(*records[rung].ValidationLoss) / float64(len(seeds))
	}
	return s, known, known
}

// selected lists the points of a bracket that are trained up to a rung, best
// first; before the first rung, all of them. known is false while that is not
// decided.
func (b *board) selected(bracket, rung int) (points []int, known bool) {
	if rung == 0 {
		return b.plan.Brackets[bracket], b.plan.drawn(bracket)
	}
	at := [2]int{bracket, rung}
	if points, known := b.selections[at]; known {
		return points, true
	}
	before, known := b.selected(bracket, rung-1)
	if !known {
		return nil, false
	}
	scores, known := b.scores(before, rung-1)
	if !known {
		return nil, false
	}
	points = make([]int, min(len(scores), b.plan.Quota(bracket, rung)))
	for i := range points {
		points[i] = scores[i].point
	}
	b.selections[at] = points
	return points, true
}

// scores are those of points at a rung, best first, without the diverged ones.
func (b *board) scores(points []int, rung int) (scores []score, known bool) {
	for _, point := range points {
		s, ok, known := b.score(Search, point, rung)
		if !known {
			return nil, false
		}
		if ok {
			scores = append(scores, s)
		}
	}
	slices.SortFunc(scores, better)
	return scores, true
}

// finalists lists the points that are trained again, best first. known is false
// while the search goes on.
func (b *board) finalists() (points []int, known bool) {
	var all []score
	for bracket := range b.plan.Brackets {
		last := len(b.plan.Spec.Rungs()) - 1
		points, known := b.selected(bracket, last)
		if !known {
			return nil, false
		}
		scores, known := b.scores(points, last)
		if !known {
			return nil, false
		}
		all = append(all, scores...)
	}
	slices.SortFunc(all, better)
	for _, s := range all[:min(len(all), b.plan.Spec.Finalists)] {
		points = append(points, s.point)
	}
	return points, true
}

// Status is where a variant stands.
type Status string

const (
	Unfinished Status = "unfinished" // or not begun
	Stopped    Status = "stopped"    // others of its bracket were better
	Done       Status = "done"       // trained to the end
	Diverged   Status = "diverged"   // its loss was no longer finite
)

// status is a variant's.
func (b *board) status(at key) Status {
	records := b.records[at]
	n := len(records)
	rungs := len(b.plan.Rungs(at.point))
	switch {
	case n > 0 && records[n-1].Diverged:
		return Diverged
	case n == rungs:
		return Done
	case at.stage == Final || n == 0:
		return Unfinished
	}
	points, known := b.selected(b.plan.Points[at.point].Bracket, n)
	if known && !slices.Contains(points, at.point) {
		return Stopped
	}
	return Unfinished
}

// finals are the finalists with what is known of them.
func (b *board) finals() []Finalist {
	points, _ := b.finalists()
	finalists := make([]Finalist, 0, len(points))
	for _, point := range points {
		f := Finalist{Point: b.plan.Points[point]}
		var validation, test []float64
		for _, seed := range b.plan.Seeds(Final) {
			records := b.records[key{Final, point, seed}]
			if len(records) == 0 {
				continue
			}
			switch last := &records[len(records)-1]; {
			case last.Diverged:
				f.Diverged++
			case last.TestAccuracy != nil:
				validation = append(validation, *last.ValidationAccuracy)
				test = append(test, *last.TestAccuracy)
			}
		}
		f.N = len(test)
		f.ValidationMean, f.ValidationSD = sample.MeanSD(validation)
		f.TestMean, f.TestSD = sample.MeanSD(test)
		finalists = append(finalists, f)
	}
	slices.SortStableFunc(finalists, func(a, b Finalist) int {
		return cmp.Or(cmp.Compare(a.Diverged, b.Diverged), cmp.Compare(b.ValidationMean, a.ValidationMean))
	})
	return finalists
}
