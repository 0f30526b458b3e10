package quality

import "math"

// bins is in how many intervals of equal width confidences fall, as in Guo et al.,
// On Calibration of Modern Neural Networks, ICML 2017.
const bins = 15

// SureAt is the confidence from which on a network is called sure.
const SureAt = 0.9

// Calibration says how sure a network is of its guesses, and whether it may be: of
// the examples of which it is 90 % sure, nine in ten should be right.
type Calibration struct {
	// Confidence is the mean confidence. Where it is above the accuracy, the network
	// is too sure.
	Confidence float64 `json:"confidence"`
	// Error is the expected calibration error: the mean over examples of how far the
	// accuracy of their bin lies from its mean confidence. ByChance is what it would be on average
	// if in every bin the chance to be right were its mean confidence: few examples do
	// not lie where they should.
	Error    float64 `json:"expected_calibration_error"`
	ByChance float64 `json:"expected_calibration_error_by_chance"`
	// Sure is the fraction of the examples of which the network is at least 90 % sure,
	// SureWrong how many of these are wrong, and SureMistakes the fraction of all
	// mistakes that they are, nil if there is none.
	Sure         float64  `json:"sure"`
	SureWrong    int      `json:"sure_wrong"`
	SureMistakes *float64 `json:"sure_mistakes"`
	// Bins are the reliability curve: the intervals of equal width, each without its
	// lower and with its upper bound, from 0 to 1.
	Bins []Bin `json:"bins"`
}

// Bin is the examples whose confidences are in an interval. Confidence and Accuracy
// are means over its N examples, 0 if there are none.
type Bin struct {
	From       float64 `json:"from"`
	To         float64 `json:"to"`
	N          int     `json:"n"`
	Confidence float64 `json:"confidence"`
	Accuracy   float64 `json:"accuracy"`
}

// Interval is where the bin's accuracy would be with many more examples, with a
// confidence of 95 % (Wilson, Probable Inference, the Law of Succession, and
// Statistical Inference, JASA 1927).
func (b Bin) Interval() (low, high float64) {
	const z = 1.959964
	n := float64(b.N)
	centre := (b.Accuracy + z*z/(2*n)) / (1 + z*z/n)
	half := z / (1 + z*z/n) * math.Sqrt(b.Accuracy*(1-b.Accuracy)/n+z*z/(4*n*n))
	return max(0, centre-half), min(1, centre+half)
}

// calibrate compares the confidences of guesses with which of them are right.
func calibrate(confidence []float64, right []bool) *Calibration {
	c := &Calibration{Bins: make([]Bin, bins)}
	for k := range c.Bins {
		c.Bins[k].From, c.Bins[k].To = float64(k)/bins, float64(k+1)/bins
	}
	wrong, sure := 0, 0
	for i, p := range confidence {
		k := 0
		for k < bins-1 && p > c.Bins[k].To {
			k++
		}
		b := &c.Bins[k]
		b.N++
		b.Confidence += p
		c.Confidence += p
		if right[i] {
			b.Accuracy++
		} else {
			wrong++
		}
		if p >= SureAt {
			sure++
			if !right[i] {
				c.SureWrong++
			}
		}
	}
	n := float64(max(1, len(confidence)))
	c.Confidence /= n
	c.Sure, c.SureMistakes = share(sure, len(confidence)), fraction(c.SureWrong, wrong)
	for k := range c.Bins {
		b := &c.Bins[k]
		if b.N == 0 {
			continue
		}
		size := float64(b.N)
		b.Confidence, b.Accuracy = min(1, b.Confidence/size), b.Accuracy/size
		c.Error += size / n * math.Abs(b.Accuracy-b.Confidence)
		c.ByChance += size / n * deviation(b.N, b.Confidence)
	}
	return c
}

// deviation is E|X/n − p| of X successes in n trials of chance p, by de Moivre's
// formula for the mean deviation of the binomial distribution: with v = ⌊np⌋ + 1 it
// is 2v/n · C(n,v) · p^v · (1−p)^(n−v+1).
func deviation(n int, p float64) float64 {
	if p <= 0 || p >= 1 {
		return 0
	}
	size := float64(n)
	v := math.Floor(size*p) + 1
	lgamma := func(x float64) float64 { g, _ := math.Lgamma(x); return g }
	choose := lgamma(size+1) - lgamma(v+1) - lgamma(size-v+1)
	return 2 * v / size * math.Exp(choose+v*math.Log(p)+(size-v+1)*math.Log1p(-p))
}
