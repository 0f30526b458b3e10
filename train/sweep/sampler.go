package sweep

import (
	"context"
	"fmt"
	"slices"

	"vanilla/train"
)

// The samplers.
const (
	// RandomSampler draws points of the space independently of each other.
	RandomSampler = "random"
	// TPESampler draws a bracket's points where the good ones of the brackets before
	// it lie, see tpe.
	TPESampler = "tpe"
)

// Samplers lists the names of the samplers.
func Samplers() []string { return []string{RandomSampler, TPESampler} }

func (s *Spec) sampler() string {
	if s.Sampler == "" {
		return RandomSampler
	}
	return s.Sampler
}

// learns says whether what is drawn depends on the results of earlier brackets.
func (s *Spec) learns() bool { return s.Sampler == TPESampler }

// learningPoints is how many points a bracket has if nothing else is said and the
// sampler learns: fewer than others, because it learns between brackets alone.
const learningPoints = 16

// reserve makes the brackets of points that are not drawn yet, one after the other.
func (p *Plan) reserve() error {
	n, brackets := p.Spec.Points, p.Spec.Brackets
	if brackets == 0 {
		brackets = max(1, (n+learningPoints/2)/learningPoints)
	}
	if brackets > n {
		return tooManyBrackets(brackets, n)
	}
	p.Brackets = make([][]int, brackets)
	for b := range brackets {
		for i := b * n / brackets; i < (b+1)*n/brackets; i++ {
			p.Brackets[b] = append(p.Brackets[b], i)
		}
	}
	return nil
}

func tooManyBrackets(brackets, points int) error {
	return &train.SettingError{Field: "brackets", Value: brackets, Problem: fmt.Sprintf("there are %d points: want at most as many brackets", points)}
}

// bracketOf is the bracket that has a point, where brackets follow each other.
func (p *Plan) bracketOf(point int) int {
	for b, points := range p.Brackets {
		if point <= points[len(points)-1] {
			return b
		}
	}
	return len(p.Brackets) - 1
}

// drawn says whether a bracket's points are known.
func (p *Plan) drawn(bracket int) bool {
	points := p.Brackets[bracket]
	return points[len(points)-1] < len(p.Points)
}

// like is a point or, if that is not drawn yet, one that stands for it.
func (p *Plan) like(point int) *Point { return &p.Points[point%len(p.Points)] }

// Size is how many points there are, those among them that are not drawn yet.
func (p *Plan) Size() int {
	n := 0
	for _, points := range p.Brackets {
		n += len(points)
	}
	return n
}

// extend draws the points of the next bracket if those of all before it have come to
// their ends, and says whether it did.
func (p *Plan) extend(ctx context.Context, b *board) (bool, error) {
	next := 0
	for ; next < len(p.Brackets) && p.drawn(next); next++ {
		if !b.over(next) {
			return false, nil
		}
	}
	if next == len(p.Brackets) || !p.Spec.learns() {
		return false, nil
	}
	// Numbers of draws are a bracket's own.
	t := p.newTPE(b, uint64(next)<<32)
	before, leftOut := len(p.Points), p.LeftOut
	err := p.draw(ctx, len(p.Brackets[next]), t.next)
	if err == nil {
		err = p.fitsTraining(p.Points[before:])
	}
	if err != nil {
		for _, point := range p.Points[before:] {
			delete(p.seen, point.ID)
		}
		p.Points, p.LeftOut = p.Points[:before], leftOut
	}
	return err == nil, err
}

// grow draws the points that there are records of. Records that are not the plan's are
// left alone.
func (p *Plan) grow(ctx context.Context, records []Record) error {
	if !p.Spec.learns() {
		return nil
	}
	b, rest := emptyBoard(p, Shard{}, records)
	for {
		rest = slices.DeleteFunc(rest, func(r Record) bool { return r.Index < len(p.Points) && p.has(&r) && b.add(r) == nil })
		if len(rest) == 0 {
			return nil
		}
		if extended, err := p.extend(ctx, b); err != nil || !extended {
			return err
		}
	}
}

// over says whether all points of a bracket have come to their ends.
func (b *board) over(bracket int) bool {
	last := len(b.plan.Spec.Rungs()) - 1
	points, known := b.selected(bracket, last)
	if known {
		_, known = b.scores(points, last)
	}
	return known
}
