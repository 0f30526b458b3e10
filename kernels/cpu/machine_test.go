package cpu

import (
	"context"
	"math"
	"runtime"
	"slices"
	"testing"

	"vanilla/graph/ir"
	"vanilla/kernels"
)

func TestStepAllocatesNothing(t *testing.T) {
	for _, density := range []float64{sparseData, mixedData, denseData} {
		for _, p := range []*ir.Program{chain(t, ir.Sigmoid, ir.Xent, 20, 16, 10), skip(t, ir.Tanh, 20, 10), penalised(t, 20, 9, 10)} {
			m := prepare(t, variant(p, 16, 0.01), data(20, 10, 40, density), available()[0])
			rows := numbers(16)
			allocs := testing.AllocsPerRun(20, func() {
				if _, err := m.Step(rows, rows[:9], 0.1, 0); err != nil {
					t.Fatal(err)
				}
			})
			if allocs != 0 {
				t.Errorf("%v allocations in a step", allocs)
			}
			own := m.data.splits[kernels.Test].Examples
			own.Pixels, own.Labels = own.Pixels[:16*20], own.Labels[:16]
			allocs = testing.AllocsPerRun(20, func() {
				if _, err := m.StepOn(own, nil, 0.1, 0); err != nil {
					t.Fatal(err)
				}
			})
			if allocs != 0 {
				t.Errorf("%v allocations in a step on other examples", allocs)
			}
		}
	}
}

// TestCoresDoNotMatter: a population's bits are the same on one core and two,
// and the same as each variant's alone.
func TestCoresDoNotMatter(t *testing.T) {
	d := data(30, 10, 100, sparseData)
	variants := []kernels.Variant{
		variant(chain(t, ir.Sigmoid, ir.Xent, 30, 16, 16, 10), 32, 0.01),
		variant(chain(t, ir.ReLU, ir.Quad, 30, 7, 10), 10, 0),
		variant(skip(t, ir.Tanh, 30, 10), 7, 0),
		variant(penalised(t, 30, 9, 10), 100, 0.1),
		variant(chain(t, ir.Sigmoid, ir.Xent, 30, 10), 1, 0),
	}
	train := func(variants []kernels.Variant) []kernels.State {
		population, err := New().Prepare(d, variants)
		if err != nil {
			t.Fatal(err)
		}
		defer population.Close()
		until := make([]int, len(variants))
		for i := range until {
			until[i] = 25
		}
		if err := population.Advance(context.Background(), until, nil); err != nil {
			t.Fatal(err)
		}
		var states []kernels.State
		for i := range variants {
			s, err := population.State(i)
			if err != nil {
				t.Fatal(err)
			}
			states = append(states, s)
		}
		return states
	}
	defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(1))
	one := train(variants)
	runtime.GOMAXPROCS(2)
	two := train(variants)
	for i, v := range variants {
		alone := train([]kernels.Variant{v})[0]
		if !equal(one[i], two[i]) || !equal(one[i], alone) {
			t.Errorf("variant %d differs between one core, two, and by itself", i)
		}
	}
}

func equal(a, b kernels.State) bool {
	return a.LossSum == b.LossSum && a.Step == b.Step &&
		slices.EqualFunc(a.Params, b.Params, slices.Equal[[]float32])
}

// TestHalfPanels: panels of which at most half is in use are computed by the
// products for those, and no others are. A set whose products take several panels
// at once may take half a one together with the whole one before it.
func TestHalfPanels(t *testing.T) {
	for _, widths := range [][]int{{40, 16, 9}, {40, 8, 10}, {40, 24, 16, 12}, {40, 1, 16}} {
		eachSet(t, func(t *testing.T, set *routines) {
			r, whole, calls := *set, set.products, map[string]int{}
			count := func(name string) { calls[name]++ }
			r.half = products{
				multiply: func(dst, start, a, b []float32, rows, aRows, depth, panels, startRow, startPanel, bPanel int) {
					count("multiply")
					whole.multiply(dst, start, a, b, rows, aRows, depth, panels, startRow, startPanel, bPanel)
				},
				accumulate: func(dst, a, d []float32, rows, aRows, columns, panels, dstPanel int, keep, alpha float32) {
					count("accumulate")
					whole.accumulate(dst, a, d, rows, aRows, columns, panels, dstPanel, keep, alpha)
				},
				columnSums: func(dst, d []float32, rows int, keep, alpha float32) {
					count("columnSums")
					whole.columnSums(dst, d, rows, keep, alpha)
				},
				gather: func(z, w, cold []float32, records []byte, examples, ahead []example, hot, panels, wPanel int) {
					count("gather")
					whole.gather(z, w, cold, records, examples, ahead, hot, panels, wPanel)
				},
				scatter: func(w, d, cold []float32, records []byte, examples []example, hot, panels, wPanel int, alpha float32) {
					count("scatter")
					whole.scatter(w, d, cold, records, examples, hot, panels, wPanel, alpha)
				},
			}
			m := prepare(t, variant(chain(t, ir.Sigmoid, ir.Xent, widths...), 8, 0.01), data(40, widths[len(widths)-1], 20, mixedData), &r)
			if _, err := m.Step(numbers(8), nil, 0.5, 0); err != nil {
				t.Fatal(err)
			}
			want := map[string]bool{}
			for i, units := range widths[1:] {
				if units%lanes == 0 || units%lanes > half {
					continue
				}
				want["columnSums"] = true
				together := func(panels int) bool { return panels > 1 && units > lanes }
				if i == 0 { // it reads records
					want["gather"], want["scatter"] = !together(r.recordPanels), !together(r.recordPanels)
				}
				want["multiply"] = want["multiply"] || !together(r.multiplyPanels)
				want["accumulate"] = want["accumulate"] || !together(r.accumulatePanels) && (i > 0 || m.hot > 0)
			}
			for name, want := range want {
				if calls[name] > 0 != want {
					t.Errorf("%v: products for half panels: %v, want %s: %t", widths, calls, name, want)
				}
				delete(calls, name)
			}
			if len(calls) > 0 {
				t.Errorf("%v: products for half panels: %v too", widths, calls)
			}
		})
	}
}

// TestNext: what a step is told of the next one, right or wrong, shows in nothing
// but time.
func TestNext(t *testing.T) {
	eachSet(t, func(t *testing.T, r *routines) {
		for _, density := range []float64{sparseData, denseData} {
			d := data(30, 10, 40, density)
			v := variant(chain(t, ir.Sigmoid, ir.Xent, 30, 9, 10), 8, 0.01)
			m, n := prepare(t, v, d, r), prepare(t, v, d, r)
			rows := func(step int) []int32 { return numbers(8*step%32 + 8)[8*step%32:] }
			for step, next := range [][]int32{
				rows(1), rows(2), nil, rows(9), append([]int32{3}, rows(5)[1:]...), rows(6)[:3],
				{40}, {-1}, {}, make([]int32, 65), rows(10), append(rows(11), 1, 2, 3), rows(12),
			} {
				want, err := m.Step(rows(step), nil, 0.5, step)
				if err != nil {
					t.Fatal(err)
				}
				if step == 10 { // something else comes between
					if _, err := evaluate(n, d.Test); err != nil {
						t.Fatal(err)
					}
				}
				if got, err := n.Step(rows(step), next, 0.5, step); err != nil || got != want {
					t.Errorf("step %d: loss %v, error %v, want %v", step, got, err, want)
				}
				ready := n.ahead.input != nil && slices.Equal(n.ahead.asked, next)
				fits := len(next) > 0 && len(next) <= n.capacity && slices.Min(next) >= 0 && slices.Max(next) < 40
				if ready != (fits && n.reads()) {
					t.Errorf("step %d: the next batch is ready: %v", step, ready)
				}
			}
			a, _ := m.Params()
			b, _ := n.Params()
			if !slices.EqualFunc(a, b, slices.Equal[[]float32]) {
				t.Error("parameters differ")
			}
		}
	})
}

// TestRestore: parameters come out as they went in, and training goes on from
// them with the same bits.
func TestRestore(t *testing.T) {
	d := data(30, 10, 40, mixedData)
	v := variant(chain(t, ir.Sigmoid, ir.Xent, 30, 9, 10), 8, 0.01)
	m := prepare(t, v, d, available()[0])
	params, _ := m.Params()
	if !slices.EqualFunc(params, v.InitialState().Params, slices.Equal[[]float32]) {
		t.Error("Params are not what SetParams was given")
	}
	m.Step(numbers(8), nil, 0.5, 0)
	params, slots := m.Params()
	if len(slots) != 0 {
		t.Errorf("%d optimizer arrays of plain descent", len(slots))
	}
	n := prepare(t, v, d, available()[0])
	if err := n.SetParams(params, slots); err != nil {
		t.Fatal(err)
	}
	a, _ := m.Step(numbers(8), nil, 0.5, 1)
	b, _ := n.Step(numbers(8), nil, 0.5, 1)
	if a != b {
		t.Errorf("loss %v after restoring, %v without", b, a)
	}
	// Optimizer arrays are laid out as their parameters and come out alike.
	m.slots = nil
	for _, q := range v.Program().Params {
		m.slots = append(m.slots, make([]float32, len(m.values[q.Value])))
	}
	if err := m.SetParams(params, params); err != nil {
		t.Fatal(err)
	}
	if _, slots := m.Params(); !slices.EqualFunc(slots, params, slices.Equal[[]float32]) ||
		!slices.Equal(m.slots[0], m.values[v.Program().Params[0].Value]) {
		t.Error("optimizer arrays are not what SetParams was given")
	}
	if err := m.SetParams(params, append(params[:3:3], nil)); err == nil {
		t.Error("a missing optimizer array is accepted")
	}
	m.slots = nil
	if err := m.SetParams(params[:1], nil); err == nil {
		t.Error("one parameter of four is accepted")
	}
	params[0] = params[0][1:]
	if err := m.SetParams(params, nil); err == nil {
		t.Error("a short weight matrix is accepted")
	}
}

func TestEvaluateOtherExamples(t *testing.T) {
	d := data(30, 10, 40, sparseData)
	m := prepare(t, variant(chain(t, ir.Sigmoid, ir.Xent, 30, 9, 10), 8, 0), d, available()[0])
	want, err := evaluate(m, d.Test)
	if err != nil {
		t.Fatal(err)
	}
	foreign := kernels.Examples{Pixels: slices.Clone(d.Test.Pixels), Labels: slices.Clone(d.Test.Labels), Features: 30}
	got, err := evaluate(m, foreign)
	if err != nil {
		t.Fatal(err)
	}
	if got.Loss != want.Loss || !slices.Equal(got.Classes, want.Classes) {
		t.Errorf("a copy of the test set scores %v, the test set %v", got.Loss, want.Loss)
	}
	foreign.Labels[0] = 10
	if _, err := evaluate(m, foreign); err == nil {
		t.Error("label 10 of 10 classes is accepted")
	}
	foreign.Features = 29
	if _, err := evaluate(m, foreign); err == nil {
		t.Error("29 features of 30 are accepted")
	}
}

func TestStepRefuses(t *testing.T) {
	d := data(30, 10, 40, sparseData)
	m := prepare(t, variant(chain(t, ir.Sigmoid, ir.Xent, 30, 9, 10), 8, 0), d, available()[0])
	for name, rows := range map[string][]int32{"no rows": nil, "too many": make([]int32, 65), "row 40 of 40": {40}, "row -1": {-1}} {
		if _, err := m.Step(rows, nil, 1, 0); err == nil {
			t.Errorf("%s: no error", name)
		}
	}
	if _, err := m.Forward(make([]float32, 31)); err == nil {
		t.Error("31 numbers for 30 features are accepted")
	}
}

// TestDivergence: what is not finite stays visible in the loss.
func TestDivergence(t *testing.T) {
	for _, code := range []ir.Code{ir.Xent, ir.Quad} {
		eachSet(t, func(t *testing.T, r *routines) {
			m := prepare(t, variant(chain(t, ir.Identity, code, 30, 9, 10), 8, 0), data(30, 10, 40, sparseData), r)
			loss := 0.0
			for range 50 {
				loss, _ = m.Step(numbers(8), nil, 1e4, 0)
			}
			if !math.IsNaN(loss) && !math.IsInf(loss, 0) {
				t.Errorf("%s: loss %v after steps of 1e4", code, loss)
			}
		})
	}
}

// TestStepOn: a step on a copy of examples is the step on them, and one on
// others in between does not show.
func TestStepOn(t *testing.T) {
	eachSet(t, func(t *testing.T, r *routines) {
		d := data(50, 10, 40, mixedData)
		v := variant(chain(t, ir.Sigmoid, ir.Xent, 50, 9, 10), 8, 0.01)
		m, n := prepare(t, v, d, r), prepare(t, v, d, r)
		for from := range 3 {
			part := d.Train
			part.Pixels, part.Labels = part.Pixels[from*8*50:(from+1)*8*50], part.Labels[from*8:(from+1)*8]
			want, _ := m.Step(numbers((from + 1) * 8)[from*8:], nil, 0.5, from)
			if got, err := n.StepOn(part, numbers(from%7), 0.5, from); err != nil || got != want {
				t.Errorf("loss %v, error %v, want %v", got, err, want)
			}
		}
	})
}
