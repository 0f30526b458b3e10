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

// sample is one example in records: where its record begins in lines of 64
// bytes, where its values stand among the batch's converted ones, and how many
// there are.
type sample = [4]uint32

const (
	sampleRecord = iota
	sampleFirst
	sampleCount
)

// routines are the inner loops in one instruction set. dense_generic.go
// defines what they compute.
type routines struct {
	name string
	// multiplyPanels and accumulatePanels are how many panels these take at once.
	multiplyPanels, accumulatePanels int
	// hotDensity is the fraction of examples from which on a column that is not
	// zero there is cheaper dense than in records: BenchmarkDensity.
	hotDensity float64

	multiply   func(dst, start, a, b []float32, rows, aRows, depth, panels, startRow, startPanel, bPanel int)
	accumulate func(dst, a, d []float32, rows, aRows, columns, panels, dstPanel int, keep, alpha float32)
	transpose  func(dst, src []float32, blocks, dstBlock, srcBlock int)
	columnSums func(dst, d []float32, rows int, keep, alpha float32)
	scale      func(w []float32, factor float32)

	convert func(x, cold []float32, records []byte, samples []sample, hot int)
	gather  func(z, w, cold []float32, records []byte, samples []sample, hot int)
	scatter func(w, d, cold []float32, records []byte, samples []sample, hot int, alpha float32)

	sigmoid, tanh, relu           func(h, z []float32)
	leakyReLU                     func(h, z []float32, leak float32)
	sigmoidBackward, tanhBackward func(dz, dh, h []float32)
	rectifyBackward               func(dz, dh, h []float32, leak float32)
	softmax                       func(t, losses []float32, labels []byte, block, classes int, scale float32)

	// ceiling is what Ceiling measures, on ceilingSums numbers.
	ceiling     func(sums []float32, factor, addend float32, turns int)
	ceilingSums int
}

// portable is every processor's set.
var portable = routines{
	name: "portable", multiplyPanels: 1, accumulatePanels: 1, hotDensity: 0.85,
	multiply: multiply, accumulate: accumulate, transpose: transpose, columnSums: columnSums, scale: scale,
	convert: convert, gather: gather, scatter: scatter,
	sigmoid:         func(h, z []float32) { activate(ir.Sigmoid, h, z) },
	tanh:            func(h, z []float32) { activate(ir.Tanh, h, z) },
	relu:            func(h, z []float32) { activate(ir.ReLU, h, z) },
	leakyReLU:       leakyReLU,
	sigmoidBackward: func(dz, dh, h []float32) { backward(ir.Sigmoid, true, dz, dh, h) },
	tanhBackward:    func(dz, dh, h []float32) { backward(ir.Tanh, true, dz, dh, h) },
	rectifyBackward: rectifyBackward,
	softmax:         softmax,
	ceiling:         ceiling, ceilingSums: 12,
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
	default:
		backward(f, fromOutput, dz, dh, v)
	}
}
