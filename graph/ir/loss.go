package ir

import "math"

// CrossEntropyRow is Xent and DXent for one example, unscaled: it returns
// −log softmax(z)[label] and writes softmax(z) − onehot(label) to dz, which has
// the length of z and may be z itself.
func CrossEntropyRow(z []float64, label int, dz []float64) float64 {
	top := math.Inf(-1)
	for _, v := range z {
		top = math.Max(top, v)
	}
	sum := 0.0
	for _, v := range z {
		sum += math.Exp(v - top)
	}
	loss := math.Log(sum) - (z[label] - top) // in this order large logits do not swallow a small loss
	for j, v := range z {
		dz[j] = math.Exp(v-top) / sum
	}
	dz[label]--
	return loss
}

// CrossEntropyTargets is CrossEntropyRow for a target t whose sum is one, in place
// of a label: −Σ_j t_j log softmax(z)_j, and softmax(z) − t.
func CrossEntropyTargets(z, t, dz []float64) float64 {
	top := math.Inf(-1)
	for _, v := range z {
		top = math.Max(top, v)
	}
	sum, inner := 0.0, 0.0
	for j, v := range z {
		sum += math.Exp(v - top)
		if t[j] != 0 { // infinite logits are no part of it then
			inner += t[j] * (v - top)
		}
	}
	loss := math.Log(sum) - inner
	for j, v := range z {
		dz[j] = math.Exp(v-top)/sum - t[j]
	}
	return loss
}

// QuadraticTargets is QuadraticRow for a target in place of a label.
func QuadraticTargets(a, t, da []float64) float64 {
	loss := 0.0
	for j, v := range a {
		v -= t[j]
		loss += v * v
		da[j] = 2 * v
	}
	return loss
}

// QuadraticRow is Quad and DQuad for one example, unscaled: it returns
// Σ_j (a_j − onehot(label)_j)² and writes twice the difference to da, which has
// the length of a and may be a itself.
func QuadraticRow(a []float64, label int, da []float64) float64 {
	loss := 0.0
	for j, v := range a {
		if j == label {
			v--
		}
		loss += v * v
		da[j] = 2 * v
	}
	return loss
}
