package cpu

// crossEntropy returns Σ_i −Σ_j t_ij log softmax(z_i)_j, and unless dz is nil sets
// dz = scale · (softmax(z) − t). The targets t are mostly labels, for which the
// routine is written.
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
	sum := m.soften(t, z, classes, scale)
	if dz != nil {
		for b := range blocks {
			clear(t[(b*rows+classes)*lanes : (b+1)*rows*lanes])
		}
		for p := range panels(classes) {
			m.transpose(dz[p*m.n*lanes:], t[p*lanes*lanes:], blocks, lanes*lanes, rows*lanes)
		}
	}
	for _, l := range losses[:m.n] {
		sum += float64(l)
	}
	return sum
}

// soften makes gradients for labels, with examples in the last place, those for
// targets, and returns what the losses differ by: log softmax(z)[label] − Σ_j t_j log
// softmax(z)_j is z[label] − Σ_j t_j z_j, as the sum of targets is one.
func (m *machine) soften(t, z []float32, classes int, scale float32) float64 {
	if m.now.input.Targets == nil {
		return 0
	}
	rows, difference := padded(classes), 0.0
	for i, label := range m.now.labels[:m.n] {
		target := m.now.target(i, classes)
		if target == nil {
			continue
		}
		output := func(c int) float64 { return float64(z[(c/lanes*m.n+i)*lanes+c%lanes]) }
		own := output(int(label))
		gradient := t[i/lanes*rows*lanes+i%lanes:]
		gradient[int(label)*lanes] += scale
		for c, v := range target {
			gradient[c*lanes] -= scale * v
			if v != 0 { // infinite logits are no part of it then
				difference += float64(v) * (own - output(c))
			}
		}
	}
	return difference
}

// quadratic returns Σ_i Σ_j (a_ij − t_ij)², and unless da is nil sets
// da = 2 · scale · (a − t).
func (m *machine) quadratic(a, da []float32, classes int, scale float32) float64 {
	loss := 0.0
	for p := range panels(classes) {
		width := min(lanes, classes-p*lanes)
		for i, label := range m.now.labels[:m.n] {
			at := (p*m.n + i) * lanes
			row := a[at:][:width]
			target := m.now.target(i, classes)
			for j, v := range row {
				if target != nil {
					v -= target[p*lanes+j]
				} else if p*lanes+j == int(label) {
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
