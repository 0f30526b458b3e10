package report

import (
	"math"

	"gonum.org/v1/gonum/mathext"
)

// Intervals of effects come from the noncentral F distribution: a sum of squares over the error's mean square has it, and its
// noncentrality is the effect, in multiples of the error, times the number of observations.

// noncentralF is the probability that F with the degrees of freedom k and v and the noncentrality lambda is at most f. It is
// the mixture of beta distributions, with Poisson weights, summed over all weights that matter (Johnson, Kotz and
// Balakrishnan, Continuous Univariate Distributions 2, 30.10); where the noncentrality is large, the central distribution of
// the same mean and variance of the numerator (Patnaik, 1949), which then errs by less than 0.002.
func noncentralF(f, k, v, lambda float64) float64 {
	if f <= 0 {
		return 0
	}
	if lambda > largeLambda {
		scaled := (k + lambda) * (k + lambda) / (k + 2*lambda)
		return centralF(f*k/(k+lambda), scaled, v)
	}
	if lambda == 0 {
		return centralF(f, k, v)
	}
	mean, b := lambda/2, v/2
	reach := 8*math.Sqrt(mean) + 30
	low, high := math.Max(0, math.Floor(mean-reach)), math.Ceil(mean+reach)
	logX, logRest := -math.Log1p(v/(k*f)), -math.Log1p(k*f/v) // of x and 1-x, of which either may round to 1
	logGamma := func(x float64) float64 { l, _ := math.Lgamma(x); return l }
	a := k/2 + high
	beta := mathext.RegIncBeta(a, b, math.Exp(logX))
	step := a*logX + b*logRest + logGamma(a+b) - logGamma(a+1) - logGamma(b) // log of I(a) - I(a+1)
	weight := high*math.Log(mean) - mean - logGamma(high+1)
	sum := 0.
	for j := high; j >= low; j-- {
		sum += math.Exp(weight) * beta
		a = k/2 + j
		step += math.Log(a) - logX - math.Log(a+b-1)
		beta += math.Exp(step)
		weight += math.Log(j) - math.Log(mean)
	}
	return math.Min(1, sum)
}

const largeLambda = 1e4

// centralF is the same without an effect. Both tails keep their digits.
func centralF(f, k, v float64) float64 {
	if x := k * f / (k*f + v); x < 0.5 {
		return mathext.RegIncBeta(k/2, v/2, x)
	}
	return 1 - mathext.RegIncBeta(v/2, k/2, v/(k*f+v))
}

// survivalF is the probability of more than f without an effect: a p-value.
func survivalF(f, k, v float64) float64 { return mathext.RegIncBeta(v/2, k/2, v/(k*f+v)) }

// noncentrality is the 95 % interval of the noncentrality of an F that was observed. Its lower end is above 0 exactly if the
// F-test finds an effect at 5 %: what is left out on both sides of the interval goes from 5 and 0 % without an effect to 2.5
// % each of a large one, and is 5 % together for every effect.
func noncentrality(f, k, v float64) (lower, upper float64) {
	above := func(lambda float64) float64 { return (1 - confidence) / 2 * lambda / (lambda + 2*k + 4) }
	solve := func(beyond func(lambda float64) bool) float64 { // the first lambda that is beyond, in about three digits
		if beyond(0) {
			return 0
		}
		low, high := 0., math.Max(4, 2*f*k)
		for !beyond(high) && high < 1e12 {
			low, high = high, 4*high
		}
		for range 40 {
			middle := low + (high-low)/2
			if low > 0 && high < 1.0005*low {
				break
			}
			if beyond(middle) {
				high = middle
			} else {
				low = middle
			}
		}
		return low + (high-low)/2
	}
	lower = solve(func(l float64) bool {
		if l == 0 {
			return survivalF(f, k, v) >= 1-confidence
		}
		return 1-noncentralF(f, k, v, l) >= 1-confidence-above(l)
	})
	upper = solve(func(l float64) bool { return noncentralF(f, k, v, l) < above(l) })
	return lower, upper
}
