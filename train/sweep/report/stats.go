package report

import (
	"cmp"
	"math"
	"slices"

	"gonum.org/v1/gonum/stat"
	"gonum.org/v1/gonum/stat/distuv"
)

// Estimate is what several seeds say of an accuracy.
type Estimate struct {
	Mean float64 `json:"mean"`
	// SD is the standard deviation over seeds, with n-1, and Interval half the width of the 95 % confidence interval of
	// the mean by Student's t. Both are nil for one seed.
	SD       *float64 `json:"sd"`
	Interval *float64 `json:"interval95"`
	N        int      `json:"n"` // seeds
}

// confidence is that of intervals.
const confidence = 0.95

// estimate is nil if there are no values.
func estimate(values []float64) *Estimate {
	n := len(values)
	if n == 0 {
		return nil
	}
	if n == 1 {
		return &Estimate{Mean: values[0], N: 1}
	}
	mean, sd := stat.MeanStdDev(values, nil)
	t := distuv.StudentsT{Sigma: 1, Nu: float64(n - 1)}.Quantile((1 + confidence) / 2)
	half := t * sd / math.Sqrt(float64(n))
	return &Estimate{mean, &sd, &half, n}
}

// effect is how much of the variance of ranks lies between groups, from 0 to 1: Kruskal and Wallis's H as η², less what
// chance gives (Tomczak and Tomczak, 2014: (H-k+1)/(n-k)). It needs no normal distribution, and a few outliers do not
// make it. Values that are equal share their rank.
func effect(groups [][]float64) float64 {
	type member struct {
		value float64
		group int
	}
	var all []member
	k := 0
	for g, values := range groups {
		if len(values) > 0 {
			k++
		}
		for _, v := range values {
			all = append(all, member{v, g})
		}
	}
	n := float64(len(all))
	if k < 2 || len(all) <= k {
		return 0
	}
	slices.SortFunc(all, func(a, b member) int { return cmp.Compare(a.value, b.value) })
	sums := make([]float64, len(groups))
	ties := 0.
	for i := 0; i < len(all); {
		end := i + 1
		for end < len(all) && all[end].value == all[i].value {
			end++
		}
		t := float64(end - i)
		ties += t*t*t - t
		for ; i < end; i++ {
			sums[all[i].group] += float64(end) - (t-1)/2 // ranks from 1
		}
	}
	correction := 1 - ties/(n*n*n-n)
	if correction <= 0 { // all alike
		return 0
	}
	h := 0.
	for g, values := range groups {
		if len(values) > 0 {
			h += sums[g] * sums[g] / float64(len(values))
		}
	}
	h = (12/(n*(n+1))*h - 3*(n+1)) / correction
	return math.Max(0, math.Min(1, (h-float64(k)+1)/(n-float64(k))))
}
