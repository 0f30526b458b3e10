package report

import (
	"cmp"
	"math"
	"slices"

	"gonum.org/v1/gonum/mat"
)

// factor is what a dimension contributes to a linear model: columns over the points, which sum to zero by weight. Points
// that do not have the dimension (a second layer's width, of networks with one) have zeros: that they have none is what
// another dimension says.
type factor struct {
	name string
	main [][]float64
	pair [][]float64 // what products with other factors are made of
}

// Numbers of which there are many enter as polynomials of their rank among all: of the highest degree that the number of
// points allows. Products of two have degree 2 in each.
var (
	degrees    = []int{4, 2, 1}
	pairDegree = 2
)

// polynomials are Legendre's of values' ranks, which lie from 0 to 1, at -1 to 1.
func polynomials(values []levelValue, weights []float64, degree int) [][]float64 {
	ranks := ranksOf(values)
	columns := make([][]float64, degree)
	for d := range columns {
		columns[d] = make([]float64, len(values))
	}
	for i, rank := range ranks {
		if values[i] == absent {
			continue
		}
		t := 2*rank - 1
		before, p := 1., t
		for d := range columns {
			columns[d][i] = p
			n := float64(d + 1)
			before, p = p, ((2*n+1)*t*p-n*before)/(n+1)
		}
	}
	for _, c := range columns {
		centre(c, values, weights)
	}
	return columns
}

// ranksOf are the values' ranks among all that are there, from 0 to 1; equal values share one.
func ranksOf(values []levelValue) []float64 {
	order := make([]int, 0, len(values))
	for i, v := range values {
		if v != absent {
			order = append(order, i)
		}
	}
	slices.SortFunc(order, func(i, j int) int { return cmp.Compare(values[i].number, values[j].number) })
	ranks := make([]float64, len(values))
	for i := 0; i < len(order); {
		end := i + 1
		for end < len(order) && values[order[end]].number == values[order[i]].number {
			end++
		}
		for k := i; k < end; k++ {
			ranks[order[k]] = float64(i+end) / 2 / float64(len(order))
		}
		i = end
	}
	return ranks
}

// contrasts are columns for levels: each level but the last of those that are there.
func contrasts(values []levelValue, index []int, levels int, weights []float64) [][]float64 {
	there := make([]bool, levels)
	for i, v := range values {
		there[index[i]] = there[index[i]] || v != absent
	}
	var columns [][]float64
	last := -1
	for l := range levels {
		if !there[l] {
			continue
		}
		if last >= 0 {
			c := make([]float64, len(values))
			for i := range values {
				if index[i] == last {
					c[i] = 1
				}
			}
			centre(c, values, weights)
			columns = append(columns, c)
		}
		last = l
	}
	return columns
}

// centre subtracts the weighted mean of those that have the dimension.
func centre(column []float64, values []levelValue, weights []float64) {
	sum, total := 0., 0.
	for i, v := range values {
		if v != absent {
			sum, total = sum+weights[i]*column[i], total+weights[i]
		}
	}
	for i, v := range values {
		if v != absent {
			column[i] -= sum / total
		}
	}
}

// regression is a linear model of results: products of its columns with each other and with the results, by weight, from which
// the sums of squares of any of them follow.
type regression struct {
	columns  [][]float64 // of length 1, so that one tolerance tells those that follow from others
	products *mat.SymDense
	results  []float64
}

// newRegression takes columns that are centred, and results that are.
func newRegression(columns [][]float64, results, weights []float64) *regression {
	n := len(columns)
	scaled := make([][]float64, n)
	for i, c := range columns {
		length := 0.
		for k, v := range c {
			length += weights[k] * v * v
		}
		scaled[i] = make([]float64, len(c))
		if length > 0 {
			length = math.Sqrt(length)
			for k, v := range c {
				scaled[i][k] = v / length
			}
		}
	}
	m := &regression{scaled, mat.NewSymDense(max(1, n), nil), make([]float64, n)}
	weighted := make([]float64, len(results))
	for i := range scaled {
		for k, v := range scaled[i] {
			weighted[k] = weights[k] * v
			m.results[i] += weighted[k] * results[k]
		}
		for j := i; j < n; j++ {
			sum := 0.
			for k, v := range scaled[j] {
				sum += weighted[k] * v
			}
			m.products.SetSym(i, j, sum)
		}
	}
	return m
}

// sameColumn is how small a part of a column, squared, may be its own: less is rounding.
const sameColumn = 1e-9

// fit solves the model of the picked columns alone: squares is the sum of squares that they explain together, rank how many
// of them are no combination of others.
func (m *regression) fit(picked []int) (coefficients []float64, squares float64, rank int) {
	n := len(picked)
	coefficients = make([]float64, n)
	if n == 0 {
		return nil, 0, 0
	}
	products := mat.NewSymDense(n, nil)
	for i, a := range picked {
		for j := i; j < n; j++ {
			products.SetSym(i, j, m.products.At(a, picked[j]))
		}
	}
	var e mat.EigenSym
	if !e.Factorize(products, true) {
		return coefficients, 0, 0
	}
	var vectors mat.Dense
	e.VectorsTo(&vectors)
	for k, value := range e.Values(nil) {
		if value < sameColumn {
			continue
		}
		rank++
		along := 0.
		for i, a := range picked {
			along += vectors.At(i, k) * m.results[a]
		}
		squares += along * along / value
		for i := range coefficients {
			coefficients[i] += vectors.At(i, k) * along / value
		}
	}
	return coefficients, squares, rank
}

// explained is what the picked columns explain together.
func (m *regression) explained(picked []int) (squares float64, rank int) {
	_, squares, rank = m.fit(picked)
	return squares, rank
}

// kurtosis is that of what the picked columns say of the points: 3 for a normal distribution.
func (m *regression) kurtosis(picked []int) float64 {
	coefficients, squares, rank := m.fit(picked)
	if rank == 0 || squares == 0 {
		return 0
	}
	n := len(m.columns[0])
	second, fourth := 0., 0.
	for k := range n {
		v := 0.
		for i, c := range picked {
			v += coefficients[i] * m.columns[c][k]
		}
		second, fourth = second+v*v, fourth+v*v*v*v
	}
	return fourth * float64(n) / (second * second)
}
