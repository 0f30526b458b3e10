package sweep

import (
	"cmp"
	"math"
	"slices"
	"time"
)

// refresh counts what is done and what is left, between waves.
func (s *sweeper) refresh() {
	s.counts = s.board.counts()
	s.left = s.board.left() * float64(s.data.Train.Len())
	s.best = s.board.best(leaders)
	s.refreshed = s.flops
}

// show tells how far the sweep is, if it is time to or it must be.
func (s *sweeper) show(must bool) {
	if s.options.Progress == nil || !must && time.Since(s.shownAt) < progressEvery {
		return
	}
	s.shownAt = time.Now()
	p := Progress{Counts: s.counts, NetworkEpochs: s.epochs, Seconds: time.Since(s.began).Seconds(), Left: math.NaN(), Best: s.best}
	if s.flops > 0 {
		p.Left = max(0, s.left-(s.flops-s.refreshed)) * p.Seconds / s.flops
	}
	s.options.Progress(p)
}

// left estimates the work to the end, in products per training example: exactly
// where it is known which points go on, and elsewhere as if they were points
// like the others of their bracket.
func (b *board) left() float64 {
	total := 0.0
	// work is that of some points from one rung to the next.
	work := func(stage Stage, points []int, rung int) (left, all float64) {
		for _, point := range points {
			rungs := b.plan.Rungs(point)
			epochs := rungs[rung]
			if rung > 0 {
				epochs -= rungs[rung-1]
			}
			each := flops(b.plan.like(point).Recipe.Arch) * float64(epochs)
			for _, seed := range b.plan.Seeds(stage) {
				all += each
				records := b.records[key{stage, point, seed}]
				if n := len(records); n <= rung && !(n > 0 && records[n-1].Diverged) {
					left += each
				}
			}
		}
		return left, all
	}
	rungs := len(b.plan.Spec.Rungs())
	// mean is the work of a point to the end, of those that come furthest.
	mean, n := 0.0, 0
	for _, bracket := range b.shard.brackets(b.plan) {
		points := b.plan.Brackets[bracket]
		for rung := range rungs {
			if selected, known := b.selected(bracket, rung); known {
				points = selected
			}
			left, all := work(Search, points, rung)
			share := min(1, float64(b.plan.Quota(bracket, rung))/float64(max(1, len(points))))
			total += left * share
			if rung == rungs-1 {
				mean += all * share
				n += max(1, int(share*float64(len(points))))
			}
		}
	}
	if !b.shard.whole() || b.plan.Spec.Finalists == 0 {
		return total
	}
	if points, known := b.finalists(); known {
		for rung := range rungs {
			left, _ := work(Final, points, rung)
			total += left
		}
		return total
	}
	// The last rung is a part of the way.
	part := 1.0
	if h := b.plan.Spec.Halving; len(h) > 1 {
		part = float64(h[len(h)-1]-h[len(h)-2]) / float64(h[len(h)-1])
	}
	each := mean / float64(max(1, n)) / float64(b.plan.Spec.Seeds) / part
	return total + each*float64(b.plan.Finalists()*b.plan.Spec.FinalSeeds)
}

// best lists the n best records: of variants that are not diverged, the last
// one; later rungs before earlier ones, finals before the search, and then by the
// accuracy on the held-out images.
func (b *board) best(n int) []Record {
	var best []Record
	for _, records := range b.records {
		r := records[len(records)-1]
		if r.Diverged {
			continue
		}
		i, _ := slices.BinarySearchFunc(best, r, ahead)
		if i < n {
			best = slices.Insert(best, i, r)
			best = best[:min(n, len(best))]
		}
	}
	return best
}

func ahead(a, b Record) int {
	return cmp.Or(cmp.Compare(b.Rung, a.Rung), cmp.Compare(a.Stage, b.Stage), // final before search
		cmp.Compare(*b.ValidationAccuracy, *a.ValidationAccuracy),
		cmp.Compare(*a.ValidationLoss, *b.ValidationLoss), cmp.Compare(a.Index, b.Index), cmp.Compare(a.Seed, b.Seed))
}
