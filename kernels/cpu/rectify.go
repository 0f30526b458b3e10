package cpu

import "vanilla/graph/ir"

// fuseRectifiers makes one function of z ⊙ (z > 0), and of d ⊙ (z > 0) a function of
// the result, on row-major arrays. (On panels layer operations have been found.)
var fuseRectifiers = pass{"fuse rectifiers", func(s *schedule) {
	positive := map[ir.ID]ir.ID{} // comparisons with zero, of which
	for _, k := range s.kernels {
		if gt, ok := k.(elementwise); ok && gt.fn == ir.FnGt && gt.kind == inPlain {
			if zero := s.producer(gt.args[1]); zero >= 0 {
				if c, ok := s.kernels[zero].(constant); ok && c.data == nil && c.value == (ir.Number{}) {
					positive[gt.out] = gt.args[0]
				}
			}
		}
	}
	rectified := map[ir.ID]ir.ID{} // results by z
	for i, k := range s.kernels {
		mul, ok := k.(elementwise)
		if !ok || mul.fn != ir.FnMul || mul.kind != inPlain {
			continue
		}
		for side := range 2 {
			z, ok := positive[mul.args[side]]
			if !ok {
				continue
			}
			if d := mul.args[1-side]; d == z {
				rectified[z] = mul.out
				s.kernels[i] = elementwise{out: mul.out, fn: fnReLU, args: []ir.ID{z}, kind: inPlain}
			} else if h, ok := rectified[z]; ok && s.program.Value(d).Shape.Len(3) == s.program.Value(h).Shape.Len(3) {
				s.kernels[i] = elementwise{out: mul.out, fn: fnWhere, args: []ir.ID{d, h}, kind: inPlain}
			}
			break
		}
	}
}}

// rectifyInPlace lets convolutions, and gradients of pools, whose result nothing else
// reads rectify it.
var rectifyInPlace = pass{"rectify in place", func(s *schedule) {
	for i, k := range s.kernels {
		if p, ok := k.(pooling); ok && p.op.Code == ir.MaxPoolGrad {
			if j := s.onlyReader(p.op.Out); j >= 0 {
				if where, ok := s.kernels[j].(elementwise); ok && where.fn == fnWhere && where.args[0] == p.op.Out && where.args[1] == p.op.Args[0] {
					p.op.Out, p.rectified = where.out, true
					s.kernels[i], s.kernels[j] = p, nil
				}
			}
		}
		if c, ok := k.(convolution); ok && c.kind == convolve {
			if j := s.onlyReader(c.out); j >= 0 {
				if relu, ok := s.kernels[j].(elementwise); ok && relu.fn == fnReLU {
					c.out, c.rectified = relu.out, true
					s.kernels[i], s.kernels[j] = c, nil
				}
			}
		}
	}
	s.compact()
}}
