package report

import (
	"fmt"
	"math"
	"slices"
	"strings"

	"vanilla/internal/words"
	"vanilla/viz"
)

// pageParallel are parallel coordinates: an axis for each dimension and one for the accuracy, and a line through them for
// each point.
type pageParallel struct {
	About, After string
	Axes         []pageAxis
	Lines        []pageCourse
}

type pageAxis struct {
	Name  string
	At    float64 // from the left
	Ticks []pageTick
}

type pageCourse struct {
	Class, Points, Tip string
	Point              int
}

// mostCourses is how many lines there are: of the best all, of the others an even choice.
const mostCourses = 300

// parallel draws what points reached after the first rung, which all of them did, the best last, over the others.
func (p *page) parallel(r *Report) {
	axes := r.axes(r.Points)
	var shown []axis
	for _, d := range r.Dimensions {
		i := slices.IndexFunc(axes, func(a axis) bool { return a.name == d.Name })
		shown = append(shown, axes[i])
	}
	if len(shown) < 2 {
		return
	}
	var points []*Point
	var accuracies []float64
	for i := range r.Points {
		if q := &r.Points[i]; q.rungs[0] != nil {
			points = append(points, q)
			accuracies = append(accuracies, q.rungs[0].Mean)
		}
	}
	if len(points) < 2 {
		return
	}
	slices.SortStableFunc(points, func(a, b *Point) int {
		switch x, y := a.rungs[0].Mean, b.rungs[0].Mean; {
		case x > y:
			return -1
		case x < y:
			return 1
		}
		return 0
	})
	best := max(1, len(points)/10)
	drawn := append(slices.Clone(points[:min(best, mostCourses/2)]), thin(points[min(best, mostCourses/2):], mostCourses-min(best, mostCourses/2))...)
	v := &pageParallel{After: r.FirstEpochs()}
	positions := make([]func(*Point) float64, 0, len(shown)+1)
	across := func(i int) float64 { return 100 * float64(i) / float64(len(shown)) }
	for i, a := range shown {
		position, ticks := r.scale(a, points)
		positions = append(positions, position)
		v.Axes = append(v.Axes, pageAxis{a.name, across(i), ticks})
	}
	y := viz.NewAccuracyAxis(accuracies)
	positions = append(positions, func(q *Point) float64 { return above(y, q.rungs[0].Mean) })
	v.Axes = append(v.Axes, pageAxis{"accuracy, %", 100, accuracyTicks(y)})
	rank := map[*Point]int{}
	for i, q := range points {
		rank[q] = i
	}
	for i := len(drawn) - 1; i >= 0; i-- {
		q := drawn[i]
		var course []string
		for k, position := range positions {
			course = append(course, fmt.Sprintf("%.2f,%.2f", across(k), position(q)))
		}
		class := fmt.Sprintf("group%d", shades-1-min(shades-1, rank[q]*shades/len(points)))
		if rank[q] < best {
			class = "best"
		}
		v.Lines = append(v.Lines, pageCourse{class, strings.Join(course, " "), q.tip(q.rungs[0], q.epochs[0]), q.Index})
	}
	var top []string
	for _, q := range points[:min(3, len(points))] {
		top = append(top, fmt.Sprintf("%s at %s %%", q.Name(), q.rungs[0]))
	}
	v.About = fmt.Sprintf("%s as lines through their values of %s and their accuracy after %s. The best: %s", words.Plural(len(drawn), "point"), words.And(names(shown)), v.After, strings.Join(top, "; "))
	p.Parallel = v
}

func names(axes []axis) []string {
	var found []string
	for _, a := range axes {
		found = append(found, a.name)
	}
	return found
}

// scale places the values of a dimension from above, in per cent, and marks them: numbers by their logarithm if they are
// positive and span more than a factor of ten or are drawn so, values of which there are few at even distances. What a point
// does not have is below all others.
func (r *Report) scale(a axis, points []*Point) (position func(*Point) float64, ticks []pageTick) {
	values := make([]levelValue, len(points))
	for i, q := range points {
		values[i] = a.of(q)
	}
	levels, _ := cut(values, a.numeric, math.MaxInt, ranges)
	if !a.numeric || len(levels) <= mostLevels {
		at := map[levelValue]float64{}
		for i, l := range levels {
			from := 100 - 100*(float64(i)+0.5)/float64(len(levels))
			ticks = append(ticks, pageTick{from, l.Value})
			at[l.first] = from
		}
		return func(q *Point) float64 { return at[a.of(q)] }, ticks
	}
	low, high := math.Inf(1), math.Inf(-1)
	without := false
	for _, v := range values {
		if v == absent {
			without = true
			continue
		}
		low, high = math.Min(low, v.number), math.Max(high, v.number)
	}
	bottom := 100.
	if without {
		bottom = 88
		ticks = append(ticks, pageTick{100, absent.name})
	}
	scaled := func(x float64) float64 { return (x - low) / (high - low) }
	marks := []float64{low, (low + high) / 2, high}
	if low > 0 && high > 4*low {
		scaled = func(x float64) float64 { return math.Log(x/low) / math.Log(high/low) }
		marks = []float64{low, math.Sqrt(low * high), high}
	}
	for i, m := range marks {
		if i == 1 { // rounded, where it then is
			m = rounded(m)
		}
		ticks = append(ticks, pageTick{bottom * (1 - scaled(m)), number(m)})
	}
	return func(q *Point) float64 {
		v := a.of(q)
		if v == absent {
			return 100
		}
		return bottom * (1 - scaled(v.number))
	}, ticks
}

// rounded is a number to one digit, if it is positive.
func rounded(x float64) float64 {
	if x <= 0 {
		return x
	}
	power := math.Pow(10, math.Floor(math.Log10(x)))
	return math.Round(x/power) * power
}
