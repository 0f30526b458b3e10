package kernels

import "vanilla/graph/ir"

// Noise is what a program's k-th Random operation gives at a step of a variant
// with that seed: element e, in row-major order, is a function of (seed, step, k,
// e) alone, and the same on every executor. A draw of Philox at (step, e/8) or
// (step, e/4) makes eight elements of keep from 16 bits each, or four of the others
// from 32.
type Noise struct {
	op     *ir.Op
	seed   uint64
	stream uint32
	step   uint64
	// threshold is what the bits of keep are compared with, kept its value where
	// they are below.
	threshold uint32
	kept      float32
}

// NewNoise describes the k-th Random operation of a program.
func NewNoise(op *ir.Op, k int, seed uint64) Noise {
	n := Noise{op: op, seed: seed, stream: streamRandom + uint32(k)}
	if op.Fn == ir.FnKeep {
		n.threshold = uint32(op.Draw[0]*(1<<16) + 0.5)
		n.kept = float32(1 / op.Draw[0])
	}
	return n
}

// At is the noise of a step.
func (n Noise) At(step int) Noise {
	n.step = uint64(step) << 32
	return n
}

// Fill writes elements from, from+1, … to out.
func (n *Noise) Fill(out []float32, from int) {
	if n.op.Fn == ir.FnKeep {
		n.keep(out, from)
		return
	}
	var words [4]uint32
	block := -1
	for i := range out {
		e := from + i
		if e/4 != block {
			block = e / 4
			words = draw(n.seed, n.stream, n.step|uint64(block))
		}
		u := (float64(words[e%4]) + 0.5) * 0x1p-32
		if n.op.Fn == ir.FnGauss {
			out[i] = float32(n.op.Draw[0] + float64(n.op.Draw[1]*quantile(u)))
		} else {
			out[i] = float32(n.op.Draw[0] + float64((n.op.Draw[1]-n.op.Draw[0])*u))
		}
	}
}

func (n *Noise) keep(out []float32, from int) {
	for i := 0; i < len(out); {
		e := from + i
		words := draw(n.seed, n.stream, n.step|uint64(e/8))
		for k := e % 8; k < 8 && i < len(out); k, i = k+1, i+1 {
			out[i] = 0
			if words[k/2]>>(k%2*16)&0xffff < n.threshold {
				out[i] = n.kept
			}
		}
	}
}

// Mean is what a Random operation gives in evaluation.
func Mean(op *ir.Op) float32 {
	switch op.Fn {
	case ir.FnKeep:
		return 1
	case ir.FnUniform:
		return float32((op.Draw[0] + op.Draw[1]) / 2)
	}
	return float32(op.Draw[0])
}
