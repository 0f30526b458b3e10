package fuse

import (
	"math"
	"slices"
	"strings"
)

// has reports whether a form has an atom of a kind.
func (a *algebra) has(p form, kind string) bool {
	for _, m := range p {
		if slices.ContainsFunc(m.factors, func(f factor) bool { return a.atoms[f.atom].kind == kind }) {
			return true
		}
	}
	return false
}

// sample is a form's value somewhere, and the sum of its terms' magnitudes there.
type sample struct{ value, size float64 }

// somewhere is a form where each atom has a number of its own. It is not a number for
// exponentials, whose products with sigmoids are simplified.
func (a *algebra) somewhere(p form) (s sample) {
	for _, m := range p {
		t := m.coef
		for _, f := range m.factors {
			kind := a.atoms[f.atom].kind
			if kind == "exp" {
				return sample{math.NaN(), math.NaN()}
			}
			h := uint32(f.atom+1) * 2654435761
			for _, x := range f.axes {
				h = (h ^ uint32(x+1)) * 16777619
			}
			if h ^= h >> 15; strings.HasPrefix(kind, "step") {
				t *= float64(h & 1)
				continue
			}
			t *= math.Pow(0.5+float64(h)/(1<<32), f.pow)
		}
		s.value, s.size = s.value+t, s.size+math.Abs(t)
	}
	return s
}
