package cpu

// crossEntropy returns Σ_i −log softmax(z_i)[label_i], and unless dz is nil sets
// dz = scale · (softmax(z) − onehot).
func (m *machine) crossEntropy(z, dz []float32, classes int, scale float32) float64 {
	blocks, rows := panels(m.n), padded(classes)
	t := m.transposed[:blocks*rows*lanes]
	// The last block of a panel reads and writes beyond its rows: into the next
	// panel, which comes later, or the padding after the last.
	for p := range panels(classes) {
		m.transpose(t[p*lanes*lanes:], z[p*m.n*lanes:], blocks, rows*lanes, lanes*lanes)
	}
	losses := m.losses[:blocks*lanes]
	m.softmax(t, losses, m.now.labels, rows*lanes, classes, scale)
	if dz != nil {
		for b := range blocks {
			clear(t[(b*rows+classes)*lanes : (b+1)*rows*lanes])
		}
		for p := range panels(classes) {
			m.transpose(dz[p*m.n*lanes:], t[p*lanes*lanes:], blocks, lanes*lanes, rows*lanes)
		}
	}
	sum := 0.0
	for _, l := range losses[:m.n] {
		sum += float64(l)
	}
	return sum
}

// quadratic returns Σ_i Σ_j (a_ij − onehot_ij)², and unless da is nil sets
// da = 2 · scale · (a − onehot).
func (m *machine) quadratic(a, da []float32, classes int, scale float32) float64 {
	loss := 0.0
	for p := range panels(classes) {
		width := min(lanes, classes-p*lanes)
		for i, label := range m.now.labels[:m.n] {
			at := (p*m.n + i) * lanes
			row := a[at:][:width]
			for j, v := range row {
				if p*lanes+j == int(label) {
					v--
				}
				loss += float64(v) * float64(v)
				if da != nil {
					da[at+j] = flush(2 * scale * v)
				}
			}
			if da != nil {
				clear(da[at+width : at+lanes])
			}
		}
	}
	return loss
}
