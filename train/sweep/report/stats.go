package report

import (
	"math"

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
