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
