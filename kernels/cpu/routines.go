package cpu

import "vanilla/graph/ir"

// lanes is the width of a panel. The matrices of this package consist of
// panels of 16 columns each, as many as needed, in which a row is 16 contiguous
// float32: a cache line, and a register of AVX-512. Columns beyond a matrix's
// width are zero in parameters and gradients, so that no loop has a tail; in
// activations they hold anything.
//
//   - Values that exist per example are [panels][examples][16].
//   - Weights are [panels of units][inputs, and zero rows][16].
//   - A bias is a row: [panels][16].
const lanes = 16

// panels is how many panels hold n columns.
func panels(n int) int { return (n + lanes - 1) / lanes }

// padded is n rounded up to whole panels.
func padded(n int) int { return panels(n) * lanes }

// example is one example in records: where its record begins in lines of 64
// bytes, where its values stand among the batch's converted ones, and how many
// there are.
type example = [4]uint32

const (
	exampleRecord = iota
	exampleFirst
	exampleCount
)

// flushDenormals, as the control and status register of SSE: results that would
// be denormal are zero, operands that are denormal count as zero, and nothing
// traps.
const flushDenormals = 0x9fc0

// run is neighbouring columns that are hot: the first one and their number, at
// most longestRun.
type run = [2]uint32

const longestRun = 16

// routines are the inner loops in one instruction set. dense_generic.go
// defines what they compute.
type routines struct {
	name string
	// multiplyPanels, accumulatePanels and recordPanels are how many panels these
	// take at once, gather and scatter being the last.
	multiplyPanels, accumulatePanels, recordPanels int
	// hotDensity is the fraction of examples from which on a column that is not
	// zero there is cheaper dense than in records: BenchmarkDensity. Sums run over
	// the hot columns first, so it is one for all sets of one arithmetic.
	hotDensity float64

	// setControl sets how this thread treats denormal numbers, to flushDenormals
	// or what it returned before.
	setControl func(control uint32) (before uint32)

	// fetch brings memory near that will be read soon, and does not wait for it.
	fetch func(p []byte)

	// products are for whole panels, half for those of which at most the first
	// half is in use: they need not compute the others.
	products
	half products

	transpose func(dst, src []float32, blocks, dstBlock, srcBlock int)
	scale     func(w []float32, factor float32)

	encode  func(record, row []byte, runs []run, cold []byte, index, scratch []uint16, hot int) (count int)
	convert func(x, cold []float32, records []byte, examples []example, hot int)

	// Of the functions backward, the first two and rectifyBackward read the
	// activation's output, the others its input.
	sigmoid, tanh, relu, softplus, silu, geluTanh, softsign            func(h, z []float32)
	leakyReLU                                                          func(h, z []float32, leak float32)
	sigmoidBackward, tanhBackward                                      func(dz, dh, h []float32)
	softplusBackward, siluBackward, geluTanhBackward, softsignBackward func(dz, dh, z []float32)
	rectifyBackward, rectifyAtZeroBackward                             func(dz, dh, h []float32, leak float32)
	softmax                                                            func(t, losses []float32, labels []byte, block, classes int, scale float32)

	descend            func(w, g []float32, decay, lr float32)
	momentum, nesterov func(w, g, velocity []float32, decay, keep, lr float32)
	adam               func(w, g, mean, square []float32, beta1, rest1, beta2, rest2, root, epsilon, corrected, shrink, decay float32)

	maps    mapRoutines
	rowSums func(out, a []float32, used []uint32, rows, panels int)

	moveRows func(to, from []float32, moves []move, used []uint32)
	addRows  func(to, from []float32, moves []move, period int)
	pixels   func(x []float32, bytes []byte)

	maxPool2     func(out, in []float32, rows, width int)
	maxPoolGrad2 func(out, in, d []float32, rows, width int, least float32)

	// ceiling is what Ceiling measures, on ceilingSums numbers.
	ceiling     func(sums []float32, factor, addend float32, turns int)
	ceilingSums int
}

// products are the routines that sum products into panels.
type products struct {
	multiply   func(dst, start, a, b []float32, rows, aRows, depth, panels, startRow, startPanel, bPanel int)
	accumulate func(dst, a, d []float32, rows, aRows, columns, panels, dstPanel int, keep, alpha float32)
	columnSums func(dst, d []float32, rows int, keep, alpha float32)
	gather     func(z, w, cold []float32, records []byte, examples, ahead []example, hot, panels, wPanel int)
	scatter    func(w, d, cold []float32, records []byte, examples []example, hot, panels, wPanel int, alpha float32)
}

// forColumns is the products for panels with so many columns in use from the
// first of them on.
func (r *routines) forColumns(n int) *products {
	if n <= half {
		return &r.half
	}
	return &r.products
}

var portableProducts = products{multiply: multiply, accumulate: accumulate, columnSums: columnSums, gather: gather, scatter: scatter}

// portable is every processor's set.
var portable = routines{
	name: "portable", multiplyPanels: 1, accumulatePanels: 1, recordPanels: 1, hotDensity: 0.85,
	setControl: func(uint32) uint32 { return 0 }, fetch: func([]byte) {},
	products: portableProducts, half: portableProducts,
	transpose: transpose, scale: scale, encode: encode, convert: convert,
	sigmoid: forwardOf(ir.Sigmoid), tanh: forwardOf(ir.Tanh), relu: forwardOf(ir.ReLU), softplus: forwardOf(ir.Softplus),
	silu: forwardOf(ir.SiLU), geluTanh: forwardOf(ir.GELUTanh), softsign: forwardOf(ir.Softsign),
	leakyReLU:       leakyReLU,
	sigmoidBackward: backwardOf(ir.Sigmoid), tanhBackward: backwardOf(ir.Tanh),
	softplusBackward: backwardOf(ir.Softplus), siluBackward: backwardOf(ir.SiLU),
	geluTanhBackward: backwardOf(ir.GELUTanh), softsignBackward: backwardOf(ir.Softsign),
	rectifyBackward: rectifyBackward, rectifyAtZeroBackward: rectifyAtZeroBackward,
	softmax: softmax,
	descend: descend, momentum: momentum, nesterov: nesterov, adam: adam,
	ceiling: ceiling, ceilingSums: 12,
	maps: portableMaps, rowSums: rowSums, moveRows: moveRows, addRows: addRows, pixels: pixels,
	maxPool2: maxPool2, maxPoolGrad2: maxPoolGrad2,
}

func forwardOf(f ir.Activation) func(h, z []float32) {
	return func(h, z []float32) { activate(f, h, z) }
}

func backwardOf(f ir.Activation) func(dz, dh, v []float32) {
	return func(dz, dh, v []float32) { backward(f, slopeFromOutput(f), dz, dh, v) }
}

// activate computes h = f(z). h may be z.
func (r *routines) activate(f ir.Activation, h, z []float32) {
	switch f {
	case ir.Sigmoid:
		r.sigmoid(h, z)
	case ir.Tanh:
		r.tanh(h, z)
	case ir.ReLU, ir.Rectify:
		r.relu(h, z)
	case ir.LeakyReLU:
		r.leakyReLU(h, z, leak)
	case ir.Softplus:
		r.softplus(h, z)
	case ir.SiLU:
		r.silu(h, z)
	case ir.GELUTanh:
		r.geluTanh(h, z)
	case ir.Softsign:
		r.softsign(h, z)
	default:
		activate(f, h, z)
	}
}

// backward computes dz = dh ⊙ f′ from f's output or input, as the function of
// that name does. dz may be dh.
func (r *routines) backward(f ir.Activation, fromOutput bool, dz, dh, v []float32) {
	switch {
	case fromOutput && f == ir.Sigmoid:
		r.sigmoidBackward(dz, dh, v)
	case fromOutput && f == ir.Tanh:
		r.tanhBackward(dz, dh, v)
	case f == ir.ReLU: // h > 0 where z > 0
		r.rectifyBackward(dz, dh, v, 0)
	case f == ir.LeakyReLU:
		r.rectifyBackward(dz, dh, v, leak)
	case f == ir.Rectify:
		r.rectifyAtZeroBackward(dz, dh, v, 0)
	case f == ir.Softplus:
		r.softplusBackward(dz, dh, v)
	case f == ir.SiLU:
		r.siluBackward(dz, dh, v)
	case f == ir.GELUTanh:
		r.geluTanhBackward(dz, dh, v)
	case f == ir.Softsign:
		r.softsignBackward(dz, dh, v)
	default:
		backward(f, fromOutput, dz, dh, v)
	}
}
