package kernels

import (
	"math"
	"math/bits"

	"vanilla/graph/ir"
)

// Noise is what a program's k-th Random operation gives at a step of a variant
// with that seed: element e, in row-major order, is a function of (seed, step, k,
// e) alone, and the same on every executor. A draw at (step, e/8) makes eight
// elements of keep from 16 bits each, one at (step, e/4) four of the others from 32.
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
	kept := math.Float32bits(n.kept)
	for i := 0; i < len(out); {
		e := from + i
		low, high := philox64(n.step|uint64(e/8), uint64(n.stream), n.seed)
		if first := e % 8; first != 0 || len(out)-i < 8 {
			for k := first; k < 8 && i < len(out); k, i = k+1, i+1 {
				word := low
				if k >= 4 {
					word = high
				}
				out[i] = math.Float32frombits(kept & below(word>>(k%4*16), n.threshold))
			}
			continue
		}
		eight := (*[8]float32)(out[i:])
		for k := range 4 {
			eight[k] = math.Float32frombits(kept & below(low>>(k*16), n.threshold))
			eight[k+4] = math.Float32frombits(kept & below(high>>(k*16), n.threshold))
		}
		i += 8
	}
}

// below is all ones where the low 16 bits of word are below the threshold, else
// zero.
func below(word uint64, threshold uint32) uint32 {
	return uint32(int32(uint32(word&0xffff)-threshold) >> 31)
}

// philox64 is Philox2x64 with six rounds, the fewest that passed all tests of the
// paper: masks are most of what a network draws.
func philox64(c0, c1, key uint64) (uint64, uint64) {
	for range 6 {
		hi, lo := bits.Mul64(0xD2B74407B1CE6E93, c0)
		c0, c1 = hi^key^c1, lo
		key += 0x9E3779B97F4A7C15
	}
	return c0, c1
}
