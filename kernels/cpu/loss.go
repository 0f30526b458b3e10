package cpu

import "math"

// crossEntropy returns Σ_i −log softmax(z_i)[label_i] for z [len(labels),
// classes], and unless dz is nil sets dz = scale · (softmax(z) − onehot).
func crossEntropy(z []float32, labels []byte, classes int, dz []float32, scale float32) float64 {
	loss := 0.0
	for i, label := range labels {
		row := z[i*classes : (i+1)*classes]
		top := float32(math.Inf(-1))
		for _, v := range row {
			top = max(top, v)
		}
		sum := float32(0)
		if dz == nil {
			for _, v := range row {
				sum += exp32(v - top)
			}
		} else {
			d := dz[i*classes:][:len(row)]
			for j, v := range row {
				e := exp32(v - top)
				d[j] = e
				sum += e
			}
			factor := 1 / sum
			for j := range d {
				d[j] *= factor
			}
			d[label]--
			for j := range d {
				d[j] = flush(d[j] * scale)
			}
		}
		loss += float64(top) + math.Log(float64(sum)) - float64(row[label])
	}
	return loss
}

// quadratic returns Σ_i Σ_j (a_ij − onehot_ij)² for a [len(labels), classes],
// and unless da is nil sets da = 2 · scale · (a − onehot).
func quadratic(a []float32, labels []byte, classes int, da []float32, scale float32) float64 {
	loss := 0.0
	for i, label := range labels {
		row := a[i*classes : (i+1)*classes]
		for j, v := range row {
			if j == int(label) {
				v--
			}
			loss += float64(v) * float64(v)
			if da != nil {
				da[i*classes+j] = flush(2 * scale * v)
			}
		}
	}
	return loss
}
