package cpu

import (
	"math"

	"vanilla/kernels"
)

// factors are an optimizer's factors in one step, rounded once: in kernels.Update
// they are computed for every parameter, which costs as much as a small one's
// update.
type factors struct {
	rule            kernels.Rule
	lr, momentum    float32
	shrink          float32 // of weights, by adamw's decay
	beta1, rest1    float32
	beta2, rest2    float32
	corrected, root float32 // root is the reciprocal of kernels.Update's
	epsilon         float32
}

func newFactors(o kernels.Optimizer, lr float32, step int) factors {
	r := factors{rule: o.Rule(), lr: lr, momentum: float32(o.Momentum)}
	switch r.rule {
	case kernels.Descent: // needs no more, and small networks take little longer than this
		return r
	case kernels.Adam:
		share1 := 1 - math.Pow(o.Beta1, float64(step+1))
		share2 := 1 - math.Pow(o.Beta2, float64(step+1))
		r.corrected, r.root = float32(float64(lr)/share1), float32(1/math.Sqrt(share2))
		r.beta1, r.rest1 = float32(o.Beta1), float32(1-o.Beta1)
		r.beta2, r.rest2 = float32(o.Beta2), float32(1-o.Beta2)
		r.epsilon = float32(o.Epsilon)
	}
	_, shrunk := o.Decay(false)
	r.shrink = 1 - lr*float32(shrunk)
	return r
}

// apply is kernels.Update of the part of a parameter that w is, which begins at
// from, with gradient g.
func (m *machine) apply(k update, w, g []float32, from int) {
	slot := func(i int) []float32 { return m.slots[i*len(m.plan.program.Params)+k.param][from:][:len(w)] }
	r, decay := &m.factors, float32(k.decay)
	switch r.rule {
	case kernels.Momentum:
		m.momentum(w, g, slot(0), decay, r.momentum, r.lr)
	case kernels.Nesterov:
		m.nesterov(w, g, slot(0), decay, r.momentum, r.lr)
	case kernels.Adam:
		shrink := r.shrink
		if k.bias {
			shrink = 1
		}
		m.adam(w, g, slot(0), slot(1), r.beta1, r.rest1, r.beta2, r.rest2, r.root, r.epsilon, r.corrected, shrink, decay)
	default:
		m.descend(w, g, decay, r.lr)
	}
}

// descend is w −= lr · (g + decay · w).
func descend(w, g []float32, decay, lr float32) {
	for i, d := range g {
		w[i] -= lr * (d + decay*w[i])
	}
}

// momentum is velocity = keep · velocity + g + decay · w, w −= lr · velocity.
func momentum(w, g, velocity []float32, decay, keep, lr float32) {
	for i, d := range g {
		d += decay * w[i]
		v := flush(keep*velocity[i] + d)
		velocity[i] = v
		w[i] -= lr * v
	}
}

// nesterov is momentum, but w −= lr · (g + decay · w + keep · velocity).
func nesterov(w, g, velocity []float32, decay, keep, lr float32) {
	for i, d := range g {
		d += decay * w[i]
		v := flush(keep*velocity[i] + d)
		velocity[i] = v
		w[i] -= lr * (d + keep*v)
	}
}

const smallestNormal = 0x1p-126

// adam is, with d = g + decay · w,
//
//	mean = beta1 · mean + rest1 · d
//	square = beta2 · square + rest2 · d²
//	w = shrink · w − corrected · mean / (√square · root + epsilon)
func adam(w, g, mean, square []float32, beta1, rest1, beta2, rest2, root, epsilon, corrected, shrink, decay float32) {
	for i, d := range g {
		d += decay * w[i]
		m := flush(beta1*mean[i] + rest1*d)
		s := beta2*square[i] + rest2*(d*d)
		if s < smallestNormal {
			s = 0 // tiny would be too early: the root is larger
		}
		mean[i], square[i] = m, s
		w[i] = shrink*w[i] - corrected*m/(float32(math.Sqrt(float64(s)))*root+epsilon)
	}
}
