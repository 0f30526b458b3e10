package viz

import (
	"fmt"
	"math"
	"slices"
	"strings"

	"gonum.org/v1/plot"
)

// accuracyScale is the scale of an axis of accuracies on which equal ratios of errors are equally far apart: from 90 to
// 95 % is as far as from 95 to 97.5 %. On a linear axis all that is worth comparing is in the last millimetre.
type accuracyScale struct{}

// mostAccurate is where the scale ends: of 10,000 images all but one.
const mostAccurate = 0.9999

// errorDigits is an accuracy's position on the scale.
func errorDigits(accuracy float64) float64 { return -math.Log10(1 - math.Min(accuracy, mostAccurate)) }

// Normalize implements plot.Normalizer.
func (accuracyScale) Normalize(low, high, x float64) float64 {
	return (errorDigits(x) - errorDigits(low)) / (errorDigits(high) - errorDigits(low))
}

// accuracyTicks marks an axis of accuracies, in per cent.
type accuracyTicks struct{}

// tickGap is how far ticks are apart, at least, as a share of the axis.
const tickGap = 0.09

// Ticks implements plot.Ticker: accuracies with round errors, the roundest first as long as they are far enough apart.
func (accuracyTicks) Ticks(low, high float64) []plot.Tick {
	var chosen []float64
	add := func(accuracy float64) {
		if accuracy < low || accuracy > high {
			return
		}
		at := accuracyScale{}.Normalize(low, high, accuracy)
		for _, other := range chosen {
			if math.Abs(accuracyScale{}.Normalize(low, high, other)-at) < tickGap {
				return
			}
		}
		chosen = append(chosen, accuracy)
	}
	for _, digits := range [][]float64{{10}, {5}, {2}, {3}, {4, 1.5, 7}, {2.5, 3.5, 6, 8}, {1.2, 1.8}} {
		for decade := 0.1; decade > 0.9e-5; decade /= 10 {
			for _, d := range digits {
				add(1 - d*decade)
			}
		}
	}
	if len(chosen) < 3 && low < high { // a range too small for round errors: equal steps of accuracy
		step := math.Pow(10, math.Floor(math.Log10((high-low)/2)))
		for a := math.Ceil(low/step) * step; a <= high; a += step {
			add(a)
		}
	}
	slices.Sort(chosen)
	var ticks []plot.Tick
	for _, a := range chosen {
		ticks = append(ticks, plot.Tick{Value: a, Label: shortPercent(a)})
	}
	return ticks
}

// shortPercent prints 0.95 as 95 and 0.9725 as 97.25.
func shortPercent(fraction float64) string {
	s := fmt.Sprintf("%.3f", 100*fraction)
	return strings.TrimSuffix(strings.TrimRight(s, "0"), ".")
}

// accuracyRange is the range of an axis for accuracies: all of them, with some margin.
func accuracyRange(values []float64) (low, high float64) {
	if len(values) == 0 {
		return 0, mostAccurate
	}
	low, high = slices.Min(values), math.Min(slices.Max(values), mostAccurate)
	low = math.Min(low, high)
	room := math.Max(0.02, 0.06*(errorDigits(high)-errorDigits(low)))
	at := func(digits float64) float64 { return 1 - math.Pow(10, -digits) }
	return math.Max(0, at(errorDigits(low)-room)), math.Min(at(errorDigits(high)+room), mostAccurate)
}

// AccuracyAxis is where figures place accuracies: an axis that is logarithmic in the error.
type AccuracyAxis struct{ low, high float64 }

// NewAccuracyAxis is an axis on which all of the values fit.
func NewAccuracyAxis(values []float64) AccuracyAxis {
	low, high := accuracyRange(values)
	return AccuracyAxis{low, high}
}

// Position is where an accuracy is, from 0 to 1; what is beyond the axis is at its end.
func (a AccuracyAxis) Position(accuracy float64) float64 {
	return math.Max(0, math.Min(accuracyScale{}.Normalize(a.low, a.high, accuracy), 1))
}

// Ticks are the accuracies to mark.
func (a AccuracyAxis) Ticks() []plot.Tick { return accuracyTicks{}.Ticks(a.low, a.high) }
