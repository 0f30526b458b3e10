package cpu

import (
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"testing"

	"vanilla/graph/ir"
	"vanilla/kernels"
)

// TestOptimizerRoutines: updates at lengths of 0 to 129 vectors, against portable
// Go with special gradients, and those against kernels.Update in float64.
func TestOptimizerRoutines(t *testing.T) {
	each(t, func(t *testing.T, r *routines) {
		for vectors := range 130 {
			n, offset := vectors*lanes, offsets[vectors%len(offsets)]
			for _, name := range kernels.OptimizerNames() {
				o, err := kernels.NewOptimizer(name)
				if err != nil {
					t.Fatal(err)
				}
				o.WeightDecay, o.Beta2 = 0.25, 0.9
				bias := vectors%5 == 0
				p := &ir.Program{Params: []ir.Param{{}}}
				arrays := []guarded{newGuarded(n, offset, random), newGuarded(n, offset, random),
					newGuarded(n, offset, random), newGuarded(n, offset, func(int) float32 { return 0.1 + rand.Float32() })}
				machineOf := func(r *routines, copied bool) (*machine, [][]float32) {
					var scratches [][]float32
					for _, a := range arrays {
						if copied {
							a.data = slices.Clone(a.data)
						}
						scratches = append(scratches, a.data)
					}
					return &machine{routines: r, plan: &plan{program: p}, slots: scratches[2:], factors: newFactors(o, 0.5, 3)}, scratches
				}
				decay, _ := o.Decay(bias)
				k := update{optimizer: o, bias: bias, decay: decay}

				m, scratches := machineOf(&portable, true)
				var want [][]float64
				for _, scratch := range scratches {
					wide := make([]float64, n)
					for i, v := range scratch {
						wide[i] = float64(v)
					}
					want = append(want, wide)
				}
				m.apply(k, scratches[0], scratches[1], 0)
				kernels.Update(o, 0.5, 3, bias, want[0], want[1], want[2:])
				for a, scratch := range scratches {
					for i, v := range scratch {
						// The update is a quotient of at most 1 and at least 0.3.
						if math.Abs(float64(v)-want[a][i]) > 32*ulp {
							t.Fatalf("%s, array %d: element %d is %v, want %v", name, a, i, v, want[a][i])
						}
					}
				}

				for i := range arrays[1].data {
					if k := i*7 + vectors; k%3 == 0 {
						arrays[1].data[i] = special[k%len(special)]
					}
				}
				m, wanted := machineOf(&portable, true)
				m.apply(k, wanted[0], wanted[1], 0)
				m, got := machineOf(r, false)
				m.apply(k, got[0], got[1], 0)
				for a := range got {
					same(t, fmt.Sprintf("%s, array %d", name, a), got[a], wanted[a], 32*ulp, 32*ulp)
					if !arrays[a].intact() {
						t.Fatalf("%s, %d vectors: guards are overwritten", name, vectors)
					}
				}
			}
		}
	})
}
