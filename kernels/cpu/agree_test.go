//go:build amd64 && !purego

package cpu

import (
	"fmt"
	"math"
	"os"
	"slices"
	"testing"

	"vanilla/graph/ir"
	"vanilla/kernels"
)

// The sets of vectors have one arithmetic: every operation rounds once, in an
// order that the set does not decide, so a network ends in the same bits with
// each of them.

// vectorSets are the processor's sets but the portable one. It skips the test
// where there is nothing to compare.
func vectorSets(t *testing.T) []*routines {
	sets := slices.DeleteFunc(available(), func(r *routines) bool { return r == &portable })
	if len(sets) < 2 {
		t.Skipf("%d sets of vectors, nothing to compare", len(sets))
	}
	mixed := *sets[0] // as an executor may choose
	mixed.name, mixed.half = sets[0].name+" with halves of "+sets[1].name, sets[1].half
	return append(sets, &mixed)
}

// sameBits compares arrays bit by bit; every NaN is equal to every other.
func sameBits(got, want []float32) error {
	n, first := 0, 0
	for i := range want {
		if math.Float32bits(got[i]) != math.Float32bits(want[i]) && (got[i] == got[i] || want[i] == want[i]) {
			if n++; n == 1 {
				first = i
			}
		}
	}
	if n > 0 {
		return fmt.Errorf("%d of %d numbers differ, the first one is number %d: %v, want %v", n, len(want), first, got[first], want[first])
	}
	return nil
}

// TestSetsAgree trains networks of many shapes in every way there is: states,
// losses and evaluations are equal to the bit. All of them, and for longer, with
// VANILLA_SOAK=1.
func TestSetsAgree(t *testing.T) {
	sets := vectorSets(t)
	steps, every := 10, 29
	switch {
	case os.Getenv("VANILLA_SOAK") != "":
		steps, every = 1000, 1
	case testing.Short():
		every = 97
	}
	d := digits(t)
	d.Train.Pixels, d.Train.Labels = d.Train.Pixels[:8000*784], d.Train.Labels[:8000]
	d.Test.Pixels, d.Test.Labels = d.Test.Pixels[:1000*784], d.Test.Labels[:1000]
	n := 0
	for _, widths := range [][]int{{784, 16, 16, 10}, {784, 8, 8, 10}, {784, 64, 16, 10}, {784, 128, 64, 10}, {784, 24, 24, 10}, {784, 40, 56, 10}, {784, 7, 10}, {784, 10}} {
		for _, f := range ir.Activations() {
			for _, code := range []ir.Code{ir.Xent, ir.Quad} {
				p := chain(t, f, code, widths...)
				for _, name := range kernels.OptimizerNames() {
					for _, batch := range []int{1, 10, 32, 100} {
						if n++; n%every != 0 {
							continue
						}
						o, err := kernels.NewOptimizer(name)
						if err != nil {
							t.Fatal(err)
						}
						o.WeightDecay = 1e-3
						v := variant(p, batch, 0)
						v.Optimizer = o
						t.Run(fmt.Sprintf("%s/%s/%v/%s/%d", arch(widths), f, code, name, batch), func(t *testing.T) {
							t.Parallel()
							trainWithAll(t, sets, v, d, steps)
						})
					}
				}
			}
		}
	}
}

// TestSetsAgreeOnPrograms: graphs that are no chains of layers.
func TestSetsAgreeOnPrograms(t *testing.T) {
	sets := vectorSets(t)
	for name, p := range map[string]*ir.Program{
		"skip":       skip(t, ir.SiLU, 17, 5),
		"penalised":  penalised(t, 20, 9, 5),
		"shared":     shared(t, 12, 5),
		"two heads":  twoHeads(t, 12, 9, 5),
		"both of x":  both(t, 17, true),
		"deep":       chain(t, ir.Tanh, ir.Xent, 1100, 1040, 5),
		"many units": chain(t, ir.ReLU, ir.Xent, 60, 90, 10),
	} {
		for _, density := range []float64{sparseData, mixedData, denseData} {
			for _, batch := range []int{7, 300} {
				t.Run(fmt.Sprintf("%s/density=%v/batch=%d", name, density, batch), func(t *testing.T) {
					trainWithAll(t, sets, variant(p, batch, 0.01), data(p.Features(), p.Classes(), 400, density), 4)
				})
			}
		}
	}
}

// trainWithAll trains a variant with every set at once, and compares.
func trainWithAll(t *testing.T, sets []*routines, v kernels.Variant, d kernels.Data, steps int) {
	lr, n := float32(0.1), d.Train.Len()
	if o := v.Optimizer.Name; o == "adam" || o == "adamw" {
		lr = 0.003
	}
	machines := make([]*machine, len(sets))
	for i, r := range sets {
		machines[i] = prepare(t, v, d, r)
	}
	first := machines[0]
	rows := make([]int32, v.Batch)
	for s := range steps {
		for i := range rows {
			rows[i] = int32((s*v.Batch + i) * 7 % n)
		}
		if s == 1 {
			rows = rows[:(len(rows)+1)/2] // as at an epoch's end
		}
		losses := make([]float64, len(sets))
		for i, m := range machines {
			loss, err := m.Step(rows, nil, lr, s)
			if err != nil {
				t.Fatal(err)
			}
			if losses[i] = loss; loss != losses[0] && (loss == loss || losses[0] == losses[0]) {
				t.Fatalf("step %d: loss %v with %s, %v with %s", s, loss, m.name, losses[0], first.name)
			}
		}
		rows = rows[:v.Batch]
		if s != 0 && s != 9 && s != steps-1 {
			continue
		}
		params, slots := first.Params()
		for _, m := range machines[1:] {
			p, q := m.Params()
			for i, want := range slices.Concat(params, slots) {
				if err := sameBits(slices.Concat(p, q)[i], want); err != nil {
					t.Fatalf("step %d, array %d of %d, %s beside %s: %v", s, i, len(params)+len(slots), m.name, first.name, err)
				}
			}
		}
	}
	want, err := evaluate(first, d.Test)
	if err != nil {
		t.Fatal(err)
	}
	for _, m := range machines[1:] {
		got, err := evaluate(m, d.Test)
		if err != nil {
			t.Fatal(err)
		}
		if math.Float64bits(got.Loss) != math.Float64bits(want.Loss) && (got.Loss == got.Loss || want.Loss == want.Loss) || !slices.Equal(got.Classes, want.Classes) {
			t.Errorf("evaluation: loss %v with %s, %v with %s", got.Loss, m.name, want.Loss, first.name)
		}
	}
}

// TestRoutinesAgree: what is computed element by element is equal to the bit, for
// numbers of all magnitudes, infinite ones and such as are none.
func TestRoutinesAgree(t *testing.T) {
	sets := vectorSets(t)
	n := 1 << 16
	if os.Getenv("VANILLA_SOAK") != "" {
		n = 1 << 22
	}
	v, u := make([]float32, n), make([]float32, n)
	for i := range v {
		v[i], u[i] = 20*random(i), random(i)
		if i%4 == 0 { // any bits but denormals
			v[i] = math.Float32frombits(uint32(i) * 2654435761)
			if abs32(v[i]) < smallestNormal {
				v[i] = 0
			}
		}
	}
	check := func(name string, run func(r *routines, to []float32)) {
		t.Helper()
		var want []float32
		for _, r := range sets {
			got := make([]float32, n)
			m := &machine{routines: r}
			m.run([]func(){func() { run(r, got) }})
			if want == nil {
				want = got
			}
			if err := sameBits(got, want); err != nil {
				t.Errorf("%s, %s beside %s: %v", name, r.name, sets[0].name, err)
			}
		}
	}
	for _, f := range ir.Activations() {
		check(f.String(), func(r *routines, to []float32) { r.activate(f, to, v) })
		check(f.String()+" backward from its input", func(r *routines, to []float32) { r.backward(f, false, to, u, v) })
		if slopeFromOutput(f) {
			check(f.String()+" backward from its output", func(r *routines, to []float32) { r.backward(f, true, to, v, u) })
		}
	}
	check("descend", func(r *routines, to []float32) { copy(to, u); r.descend(to, v, 0.01, 0.3) })
	for k := range 2 {
		slot := func(to, w, velocity []float32) { copy(to, [][]float32{w, velocity}[k]) }
		check(fmt.Sprint("momentum, result ", k), func(r *routines, to []float32) {
			w, velocity := slices.Clone(u), slices.Clone(v)
			r.momentum(w, u, velocity, 0.01, 0.9, 0.3)
			slot(to, w, velocity)
		})
		check(fmt.Sprint("nesterov, result ", k), func(r *routines, to []float32) {
			w, velocity := slices.Clone(u), slices.Clone(v)
			r.nesterov(w, u, velocity, 0.01, 0.9, 0.3)
			slot(to, w, velocity)
		})
	}
	for k := range 3 {
		check(fmt.Sprint("adam, result ", k), func(r *routines, to []float32) {
			x := [3][]float32{slices.Clone(u), slices.Clone(v), make([]float32, n)}
			for i := range n {
				x[2][i] = v[i] * v[i]
			}
			r.adam(x[0], v, x[1], x[2], 0.9, 0.1, 0.999, 0.001, 2, 1e-8, 0.01, 0.99, 0.01)
			copy(to, x[k])
		})
	}
	const classes, block = 10, 160
	blocks := n / block
	labels := make([]byte, blocks*lanes)
	for i := range labels {
		labels[i] = byte(i * 7 % classes)
	}
	for _, losses := range []bool{false, true} {
		check(fmt.Sprint("softmax, losses ", losses), func(r *routines, to []float32) {
			z, l := slices.Clone(v), make([]float32, blocks*lanes)
			for i := range z {
				if i%4 == 0 {
					z[i] = u[i] * 100
				}
			}
			r.softmax(z, l, labels, block, classes, 0.1)
			if losses {
				copy(to, l)
			} else {
				copy(to, z)
			}
		})
	}
}
