package viz

import (
	"fmt"
	"math"

	"vanilla/internal/words"
)

// Marginals is what each dimension of a space does by itself, over all that the others do.
type Marginals struct {
	About      string      `json:"about"`
	Accuracy   string      `json:"accuracy"`  // which one, and when: "validation accuracy after 1 epoch"
	Explained  string      `json:"explained"` // what effects are
	Dimensions []Dimension `json:"dimensions"`
}

// Dimension is one dimension, with its values in order.
type Dimension struct {
	Name string `json:"name"`
	// Effect says how much it does, "58 % (52 to 64)", and Found whether that is more than chance.
	Effect string  `json:"effect"`
	Found  bool    `json:"found"`
	Levels []Level `json:"levels"`
}

// Level is what the points with one value, or range of values, of a dimension reached.
type Level struct {
	Value         string  `json:"value"`
	N             int     `json:"n"` // points, but for those that diverged
	Diverged      int     `json:"diverged"`
	Last          int     `json:"last"` // of N, those that were trained to the end
	LowerQuartile float64 `json:"lower_quartile"`
	Median        float64 `json:"median"`
	UpperQuartile float64 `json:"upper_quartile"`
	Best          float64 `json:"best"`
}

const (
	marginalRow     = 14.
	marginalHead    = 16.
	marginalGap     = 12.
	marginalFoot    = 30.
	marginalLongest = 140. // for a value's name, at most
)

var (
	marginalName  = style{size: 8, align: right}
	marginalCount = style{size: 7, align: right}
)

// sides are how wide the names of values, on the left, and the counts, on the right, are in the columns, gaps included.
func (m *Marginals) sides() (names, counts float64) {
	for _, d := range m.Dimensions {
		for _, l := range d.Levels {
			names = math.Max(names, marginalName.width(l.Value))
			counts = math.Max(counts, marginalCount.width(m.count(l)))
		}
	}
	return snap(math.Min(names, marginalLongest) + 12), snap(counts + 14)
}

// count says how many points a level has: good, after the plus diverged, after the arrow trained to the end.
func (m *Marginals) count(l Level) string {
	count := words.Thousands(l.N)
	if l.Diverged > 0 {
		count += "+" + words.Thousands(l.Diverged)
	}
	if m.selects() {
		count += " → " + words.Thousands(l.Last)
	}
	return count
}

// columns assigns dimensions to two columns, each to the shorter one, and returns where each starts.
func (m *Marginals) columns() (x, y []float64, height float64) {
	var heights [2]float64
	for _, d := range m.Dimensions {
		column := 0
		if heights[1] < heights[0] {
			column = 1
		}
		x, y = append(x, float64(column)*(bodyWidth/2+8)), append(y, heights[column])
		heights[column] += marginalHead + float64(len(d.Levels))*marginalRow + marginalGap
	}
	return x, y, math.Max(heights[0], heights[1])
}

// selects says whether some points were stopped early.
func (m *Marginals) selects() bool {
	for _, d := range m.Dimensions {
		for _, l := range d.Levels {
			if l.Last < l.N {
				return true
			}
		}
	}
	return false
}

func (m *Marginals) page() page {
	_, _, height := m.columns()
	counts := "On the right, numbers of points, and after the plus of those that diverged."
	if m.selects() {
		counts = "On the right, numbers of points, after the plus of those that diverged, and after the arrow of those that were good enough to be trained to the end."
	}
	return page{
		title: "What each dimension does", subtitle: m.About,
		caption: fmt.Sprintf("Dots are medians over points of %s, bars go from quartile to quartile, ticks are the best.%s ", m.Accuracy, sentence(m.Explained)) + counts,
		width:   bodyWidth, height: height + marginalFoot, body: m.draw,
	}
}

func (m *Marginals) draw(c *canvas, _ int) {
	var all []float64
	for _, d := range m.Dimensions {
		for _, l := range d.Levels {
			if l.N > 0 {
				all = append(all, l.LowerQuartile, l.UpperQuartile, l.Best)
			}
		}
	}
	axis := NewAccuracyAxis(all)
	xs, ys, height := m.columns()
	const width = bodyWidth/2 - 8
	names, counts := m.sides()
	position := func(x, accuracy float64) float64 {
		return x + names + (width-names-counts)*axis.Position(accuracy)
	}
	ticks := axis.Ticks()
	for i, d := range m.Dimensions {
		x, y := xs[i], ys[i]
		effect := style{size: 8.5, bold: d.Found, align: right, color: c.good}
		if !d.Found {
			effect.color = c.muted
		}
		c.text(x, y+8, d.Name, style{size: 9.5, bold: true})
		c.text(x+width, y+8, d.Effect, effect)
		y += marginalHead
		bottom := y + float64(len(d.Levels))*marginalRow
		for _, t := range ticks {
			c.lines(c.colors.grid, 0.4, position(x, t.Value), y-2, position(x, t.Value), bottom)
		}
		for k, l := range d.Levels {
			mid := y + (float64(k)+0.5)*marginalRow - 1
			c.text(x+names-8, mid+3, marginalName.cut(l.Value, names-10), marginalName)
			count := marginalCount
			count.color = c.muted
			c.text(x+width, mid+3, m.count(l), count)
			if l.N == 0 {
				continue
			}
			from, to, median, best := position(x, l.LowerQuartile), position(x, l.UpperQuartile), position(x, l.Median), position(x, l.Best)
			c.lines(blend(c.good, c.background, 0.35), 5, from, mid, math.Max(to, from+1), mid)
			c.lines(c.muted, 0.5, to, mid, best, mid)
			c.lines(c.muted, 1, best, mid-3, best, mid+3)
			c.disc(median, mid, 2.8, c.good, c.background, 0.7)
		}
	}
	// The common axis stands under both columns.
	for column := range min(2, len(m.Dimensions)) {
		x := float64(column) * (bodyWidth/2 + 8)
		label, free := style{size: 7.5, color: c.muted, align: centred}, math.Inf(-1)
		for _, t := range ticks {
			half := label.width(t.Label) / 2
			if at := position(x, t.Value); at-half >= free { // a label that would touch the one before it is left out
				c.text(at, height+4, t.Label, label)
				free = at + half + 3
			}
		}
		c.text(x+names+(width-names-counts)/2, height+18, m.Accuracy+", %", style{size: 8, color: c.muted, align: centred})
	}
}
