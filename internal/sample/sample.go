// Package sample describes samples of numbers.
package sample

import (
	"math"
	"slices"
)

// Quartiles of values, of which there is at least one: linear between order
// statistics, as numpy's.
func Quartiles(values []float64) (lower, median, upper float64) {
	s := slices.Sorted(slices.Values(values))
	at := func(q float64) float64 {
		x := q * float64(len(s)-1)
		i := int(x)
		return s[i] + (x-float64(i))*(s[min(i+1, len(s)-1)]-s[i])
	}
	return at(0.25), at(0.5), at(0.75)
}

// MeanSD is the mean and the standard deviation, zero where there is none.
func MeanSD(values []float64) (mean, sd float64) {
	if len(values) == 0 {
		return 0, 0
	}
	for _, v := range values {
		mean += v / float64(len(values))
	}
	for _, v := range values {
		sd += (v - mean) * (v - mean)
	}
	if len(values) > 1 {
		sd = math.Sqrt(sd / float64(len(values)-1))
	}
	return mean, sd
}

// ShareSE is the standard error of a share that was measured on n examples drawn
// at random: what other examples would move it by.
func ShareSE(share float64, n int) float64 {
	return math.Sqrt(math.Max(0, share*(1-share)) / float64(max(1, n)))
}
