package cpu

import (
	"math"

	"vanilla/graph/ir"
)

// tiny is where gradients, and activations that fade out, are cut to zero.
// Saturated units bring both down without end, and once a product with one of
// them is a denormal number it costs a hundred times as much: batch 10 at learning
// rate 1 trains half as fast after 30 epochs without the cut, and at constant
// speed with it. What is cut is far below what could change a float32 weight.
const tiny = 1e-30

// flush cuts v to zero if it is tiny. NaN stays.
func flush(v float32) float32 {
	if v < tiny && v > -tiny {
		return 0
	}
	return v
}

// exp32 is eˣ to about one unit in the last place: x = k·ln 2 + r, and a
// polynomial in r, |r| <= ln 2 / 2, whose first neglected term is r⁸/8! < 6e-9.
// Results below 2⁻¹²⁵ are zero.
func exp32(x float32) float32 {
	const (
		least    = -125 * math.Ln2
		greatest = 128 * math.Ln2
		// round added to |v| < 2²² and taken off again rounds v to an integer,
		// which stands in the low bits of the sum.
		round = 3 << 22
		// ln2High has 14 bits, so that its products with k are exact.
		ln2High = 0x162e8p-17
		ln2Low  = math.Ln2 - ln2High
	)
	if x < least {
		return 0
	}
	if x > greatest {
		return float32(math.Inf(1))
	}
	t := float32(x*math.Log2E) + round
	k := t - round
	r := x - k*ln2High - k*ln2Low
	p := 1 + r*(1+r*(1./2+r*(1./6+r*(1./24+r*(1./120+r*(1./720+r*(1./5040)))))))
	// 2ᵏ itself is not a float32 for k = 128, half of it is.
	half := math.Float32frombits(math.Float32bits(t)<<23 + 126<<23)
	return (p + p) * half
}

// sigmoid32 is flushed like all that fades out.
func sigmoid32(z float32) float32 { return flush(1 / (1 + exp32(-z))) }

// tanh32 is (1−e)/(1+e) with e = e⁻²ᶻ, and near zero, where that loses digits,
// the Taylor series; its first neglected term is 0.0036 z¹² < 4e-8.
func tanh32(z float32) float32 {
	m := z
	if m < 0 {
		m = -m
	}
	if m < 0.375 {
		s := z * z
		return z * (1 + s*(-1./3+s*(2./15+s*(-17./315+s*(62./2835+s*(-1382./155925))))))
	}
	e := exp32(-2 * m)
	t := (1 - e) / (1 + e)
	if z < 0 {
		return -t
	}
	return t
}

// leak is LeakyReLU's slope below zero.
const leak = 0.01

// leakyReLU is h = z > 0 ? z : leak · z.
func leakyReLU(h, z []float32, leak float32) {
	for i, v := range z {
		if v <= 0 {
			v *= leak
		}
		h[i] = v
	}
}

// rectifyBackward is dz = dh where h > 0, else leak · dh, flushed.
func rectifyBackward(dz, dh, h []float32, leak float32) {
	for i, v := range h {
		dz[i] = flush(dh[i] * step(v > 0, leak))
	}
}

// rectifyAtZeroBackward is dz = dh where h >= 0, else leak · dh, flushed.
func rectifyAtZeroBackward(dz, dh, h []float32, leak float32) {
	for i, v := range h {
		dz[i] = flush(dh[i] * step(v >= 0, leak))
	}
}

// geluLimit is where the slope of GELUTanh is 0 or 1, and its argument still a
// moderate number.
const geluLimit = 9.9

// geluArgument returns u and du/dz, where GELUTanh is z·sigmoid(u). (Half of
// 1 + tanh v is sigmoid 2v.)
func geluArgument(z float32) (u, du float32) {
	const (
		g0 = 2 * 0.7978845608028654 // 2√(2/π)
		g1 = 0.044715
	)
	return g0 * (z + g1*z*z*z), g0 * (1 + 3*g1*z*z)
}

// activate computes h = f(z). h may be z.
func activate(f ir.Activation, h, z []float32) {
	h = h[:len(z)]
	switch f {
	case ir.Identity:
		copy(h, z)
	case ir.Sigmoid:
		for i, v := range z {
			h[i] = sigmoid32(v)
		}
	case ir.Tanh:
		for i, v := range z {
			h[i] = tanh32(v)
		}
	case ir.ReLU, ir.Rectify:
		for i, v := range z {
			if v <= 0 {
				v = 0
			}
			h[i] = v
		}
	case ir.LeakyReLU:
		leakyReLU(h, z, leak)
	case ir.Softplus:
		for i, v := range z {
			h[i] = flush(max(v, 0) + float32(math.Log1p(float64(exp32(-abs32(v))))))
		}
	case ir.SiLU:
		for i, v := range z {
			h[i] = v * sigmoid32(v)
		}
	case ir.GELUTanh:
		for i, v := range z {
			u, _ := geluArgument(v)
			h[i] = v * sigmoid32(u)
		}
	case ir.Softsign:
		for i, v := range z {
			h[i] = v / (1 + abs32(v))
		}
	default:
		panic("cpu: unknown activation")
	}
}

// slopeFromOutput reports whether f′(z) is a function of f(z), as cheap and
// not less accurate in float32.
func slopeFromOutput(f ir.Activation) bool {
	switch f {
	case ir.Identity, ir.Sigmoid, ir.Tanh, ir.ReLU, ir.LeakyReLU:
		return true
	}
	return false
}

// backward computes dz = dh ⊙ f′, flushed. Where slopeFromOutput holds, v is
// either f's output or its input as fromOutput says; else it is the input.
// dz may be dh.
func backward(f ir.Activation, fromOutput bool, dz, dh, v []float32) {
	dz, dh = dz[:len(v)], dh[:len(v)]
	switch f {
	case ir.Identity:
		for i, d := range dh {
			dz[i] = flush(d)
		}
	case ir.Sigmoid:
		for i, s := range v {
			if !fromOutput {
				s = sigmoid32(s)
			}
			dz[i] = flush(dh[i] * (s * (1 - s)))
		}
	case ir.Tanh:
		for i, t := range v {
			if !fromOutput {
				t = tanh32(t)
			}
			dz[i] = flush(dh[i] * ((1 - t) * (1 + t)))
		}
	case ir.ReLU: // h > 0 where z > 0
		rectifyBackward(dz, dh, v, 0)
	case ir.Rectify:
		rectifyAtZeroBackward(dz, dh, v, 0)
	case ir.LeakyReLU: // h > 0 where z > 0
		rectifyBackward(dz, dh, v, leak)
	case ir.Softplus:
		for i, z := range v {
			dz[i] = flush(dh[i] * sigmoid32(z))
		}
	case ir.SiLU:
		for i, z := range v {
			s, rest := sigmoid32(z), sigmoid32(-z) // 1−s has no digits left for large z
			dz[i] = flush(dh[i] * (s * (1 + z*rest)))
		}
	case ir.GELUTanh:
		for i, z := range v {
			infinite := 0 * z // not a number if z is infinite, as in the definition
			z = min(max(z, -geluLimit), geluLimit)
			u, du := geluArgument(z)
			s, rest := sigmoid32(u), sigmoid32(-u)
			dz[i] = flush(dh[i] * (infinite + s + z*du*(s*rest)))
		}
	case ir.Softsign:
		for i, z := range v {
			d := 1 + abs32(z)
			dz[i] = flush(dh[i] / (d * d))
		}
	default:
		panic("cpu: unknown activation")
	}
}

func abs32(v float32) float32 { return math.Float32frombits(math.Float32bits(v) &^ (1 << 31)) }

func step(on bool, otherwise float32) float32 {
	if on {
		return 1
	}
	return otherwise
}
