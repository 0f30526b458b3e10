package main

import "github.com/mmcloughlin/avo/reg"

// maps are the four operations of arithmetic: out = a ∘ b.
func (s set) maps() {
	for _, m := range []struct {
		name string
		f    func(out, a, b vector)
	}{
		{"mapAdd", vector.add}, {"mapSub", vector.sub}, {"mapMul", vector.mul}, {"mapDiv", vector.div},
	} {
		s.elementwise(m.name, []string{"out", "a", "b"}, "", func([]reg.VecPhysical) {}, 3, func(out vector, in, _ []vector) {
			m.f(out, in[0], in[1])
		})
	}
}
