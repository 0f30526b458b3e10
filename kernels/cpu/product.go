package cpu

// Blocks of a product that is too large for the caches. depthBlock rows of two
// panels of weights are 32 KB, which stay in the first level while all rows of
// activations pass. rowBlock rows and deepBlock columns of activations are 1 MB,
// which stay in the second while all panels of weights pass. In the gradient of
// weights, gradientBlock rows of three panels are 24 KB.
const (
	depthBlock    = 256
	deepBlock     = 4 * depthBlock
	rowBlock      = 256
	gradientBlock = 128
)

// dense is the product that Dense computes, for n rows:
//
//	z = bias + a · w
//
// a has depth columns, z units; panels of w are wPanel apart.
func (m *machine) dense(z, a, w, bias []float32, depth, units, wPanel int) {
	for k := 0; k == 0 || k < depth; k += deepBlock {
		for i := 0; i < m.n; i += rowBlock {
			for p := 0; p < panels(units); p += m.multiplyPanels {
				n := min(m.multiplyPanels, panels(units)-p)
				m.addProduct(m.forColumns(units-p*lanes), z, a, bias, w[p*wPanel+k*lanes:], i, k, min(deepBlock, depth-k), p, n, wPanel)
			}
		}
	}
}

// denseInput is the product that DInput computes: da = dz · wᵀ. Blocks of w are
// transposed before use.
func (m *machine) denseInput(da, dz, w []float32, inputs, units, wPanel int) {
	for k := 0; k < units; k += deepBlock {
		depth := min(deepBlock, units-k)
		tPanel := padded(depth) * lanes
		for p := 0; p < panels(inputs); p += m.multiplyPanels {
			n := min(m.multiplyPanels, panels(inputs)-p)
			for q := range n {
				m.transpose(m.wt[q*tPanel:], w[k/lanes*wPanel+(p+q)*lanes*lanes:], panels(depth), lanes*lanes, wPanel)
			}
			for i := 0; i < m.n; i += rowBlock {
				m.addProduct(m.forColumns(inputs-p*lanes), da, dz, m.zeros, m.wt, i, k, depth, p, n, tPanel)
			}
		}
	}
}

// addProduct multiplies a block of rows, from i on, and depth columns, from k
// on, of a with panels of b into panels of dst from p on. The first columns
// start from a bias, the others go on.
func (m *machine) addProduct(r *products, dst, a, bias, b []float32, i, k, depth, p, panels, bPanel int) {
	rows, to := min(rowBlock, m.n-i), dst[(p*m.n+i)*lanes:]
	start, startRow, startPanel := bias[p*lanes:], 0, lanes
	for from := 0; from == 0 || from < depth; from += depthBlock {
		if k+from > 0 {
			start, startRow, startPanel = to, lanes, m.n*lanes
		}
		block := min(depthBlock, depth-from)
		columns := a[min((k+from)*m.n+i*lanes, len(a)):] // a may have none
		r.multiply(to, start, columns, b[from*lanes:], rows, m.n, block, panels, startRow, startPanel, bPanel)
	}
}

// denseWeight is the product that DWeight computes, added to w:
//
//	w = keep · w + alpha · dzᵀ · a
//
// for so many columns of dz.
func (m *machine) denseWeight(w, a, dz []float32, inputs, columns, wPanel int, keep, alpha float32) {
	for i := 0; i < m.n; i += gradientBlock {
		for p := 0; p < panels(columns) && inputs > 0; p += m.accumulatePanels {
			r := m.forColumns(columns - p*lanes)
			r.accumulate(w[p*wPanel:], a[i*lanes:], dz[(p*m.n+i)*lanes:], min(gradientBlock, m.n-i), m.n,
				inputs, min(m.accumulatePanels, panels(columns)-p), wPanel, keep, alpha)
		}
		keep = 1
	}
}
