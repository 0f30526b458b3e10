package cuda

import (
	"math"
	"slices"
	"strings"
	"testing"
	"time"

	"gorgonia.org/tensor"

	"vanilla/graph"
	"vanilla/graph/ir"
	"vanilla/graph/samples"
	"vanilla/internal/conformance"
	"vanilla/kernels"
)

func networks(t *testing.T) []*ir.Program {
	t.Helper()
	nets, err := conformance.Networks()
	if err != nil {
		t.Fatal(err)
	}
	var programs []*ir.Program
	for _, n := range nets {
		programs = append(programs, n.Program)
	}
	return programs
}

// tensorPrograms are the samples' programs of tensor operations.
func tensorPrograms(t *testing.T) []*ir.Program {
	t.Helper()
	var programs []*ir.Program
	for _, n := range samples.Lowered(t, tensor.Float32) {
		if n.Unfused() != nil {
			programs = append(programs, n.Program)
		}
	}
	return programs
}

// Every value has memory of its own within the plan's spaces while it lives, however little shared memory there is, and what
// reads it stays within.
func TestPlaces(t *testing.T) {
	for _, p := range append(networks(t), tensorPrograms(t)...) {
		for _, k := range []planKey{
			{p, trainJob, 32, 0, 0, 3}, {p, trainJob, 32, 1, 500, 0}, {p, trainJob, 10, 2, 20000, 3}, {p, trainJob, 3, 2, 1 << 20, 0},
			{p, evaluateJob, 10, 0, 20000, 3}, {p, forwardJob, 10, 0, 0, 0},
		} {
			l, err := makePlan(k)
			if err != nil {
				t.Fatal(err)
			}
			if l.sharedFloats > int64(k.sharedFloats) {
				t.Errorf("%s: %d floats of shared memory, there are %d", p.Name, l.sharedFloats, k.sharedFloats)
			}
			size := map[space]int64{sharedSpace: l.sharedFloats, workSpace: l.workFloats}
			inState := 0
			for i, r := range l.rooms {
				from, where := r.operand.Offset, r.operand.Space
				if where == stateSpace {
					inState++
				}
				if where == stateSpace || where == noSpace { // where it is between launches
					continue
				}
				if from%alignment != 0 || from < 0 || from+r.floats > size[where] || r.floats == 0 {
					t.Errorf("%s: %s is in %s from %d, %d floats of %d", p.Name, r.what, where, from, r.floats, size[where])
				}
				for _, q := range l.rooms[:i] {
					if q.operand.Space == where && q.meets(r) && from < q.operand.Offset+q.floats && q.operand.Offset < from+r.floats {
						t.Errorf("%s: %s and %s are both in %s from %d and %d", p.Name, r.what, q.what, where, from, q.operand.Offset)
					}
				}
			}
			for _, v := range l.views {
				last := v.Offset
				for i := range v.Axes {
					last += int64(v.Extent[i]-1) * int64(v.Stride[i])
				}
				if most, ok := size[v.Space]; ok && (v.Offset < 0 || last >= most) {
					t.Errorf("%s: elements %d to %d of %s, which has %d", p.Name, v.Offset, last, v.Space, most)
				}
			}
			for _, a := range l.arrays {
				if a.Space == stateSpace && a.Offset != a.State {
					t.Errorf("%s: an array of the state is at %d, not %d", p.Name, a.Offset, a.State)
				}
			}
			if k.sharedFloats == 1<<20 && (l.workFloats != 0 || inState != 0) {
				t.Errorf("%s: with memory for all, %d floats are in global memory and %d arrays in the state", p.Name, l.workFloats, inState)
			}
			if want := int64(p.Parameters() * (1 + k.slots)); l.stateFloats != want {
				t.Errorf("%s: a state of %d floats, want %d", p.Name, l.stateFloats, want)
			}
			for _, v := range l.kept {
				if p.Value(v.id).Shape.Rows != ir.Batch {
					t.Errorf("%s: Forward keeps %s", p.Name, p.Value(v.id).Name)
				}
			}
		}
	}
}

// Programs are packed once, whoever uses them, with their parts one after the other.
func TestProgram(t *testing.T) {
	all, programs := plans{}, networks(t)[:3]
	var packed program
	for range 2 {
		for i, p := range programs {
			l, err := all.of(planKey{p, trainJob, 10, 1, 100, 0})
			if err != nil {
				t.Fatal(err)
			}
			if number := packed.add(l); int(number) != i {
				t.Errorf("plan %d is packed as number %d", i, number)
			}
		}
	}
	var ops, arrays, params int32
	for i, head := range packed.plans {
		if head.Op != ops || head.Array != arrays || head.Param != params || int(head.Ops) != len(programs[i].Ops) ||
			int(head.Arrays) != 2*len(programs[i].Params) || int(head.Params) != len(programs[i].Params) {
			t.Errorf("plan %d is %+v", i, head)
		}
		ops, arrays, params = ops+head.Ops, arrays+head.Arrays, params+head.Params
	}
	if len(packed.plans) != 3 || len(packed.ops) != int(ops) || len(packed.arrays) != int(arrays) || len(packed.params) != int(params) {
		t.Errorf("%d plans of %d operations, %d arrays and %d parameters", len(packed.plans), len(packed.ops), len(packed.arrays), len(packed.params))
	}
}

// A parameter that no array can hold is refused.
func TestLargeParameter(t *testing.T) {
	p := &ir.Program{
		Values: []ir.Value{{Name: "x", Shape: ir.Shape{Rows: ir.Batch, Cols: 1 << 16}}, {Name: "W", Shape: ir.Shape{Rows: 1 << 16, Cols: 1 << 16}}},
		Params: []ir.Param{{Value: 1}},
	}
	if _, err := makePlan(planKey{p, trainJob, 1, 0, 0, 0}); err == nil || !strings.Contains(err.Error(), "W has 4294967296 numbers") {
		t.Errorf("a parameter of 2³² numbers: %v", err)
	}
	if _, err := (plans{}).of(planKey{p, trainJob, 1, 0, 0, 0}); err == nil {
		t.Error("of hides the error")
	}
}

func TestExplain(t *testing.T) {
	n, err := graph.New(graph.Arch{Widths: []int{784, 16, 10}, Activation: ir.Sigmoid, Loss: graph.CrossEntropy})
	if err != nil {
		t.Fatal(err)
	}
	for floats, want := range map[int]string{0: "W1 lives in the network's state", 1 << 20: "W1 lives in shared memory"} {
		lines, err := explain(n.Program, kernels.Optimizer{Name: "momentum", Momentum: 0.9}, floats)
		text := strings.Join(lines, "\n")
		if err != nil || !strings.Contains(text, want) || !strings.Contains(text, "momentum updates 4 parameters") {
			t.Errorf("with %d floats of shared memory: %s, %v", floats, text, err)
		}
		if want := 2 + len(n.Program.Ops) + len(n.Program.Params); len(lines) != want {
			t.Errorf("%d lines, want %d", len(lines), want)
		}
	}
	if _, err := explain(&ir.Program{}, kernels.Optimizer{}, 0); err == nil {
		t.Error("an empty program is explained")
	}
}

// The scalars of a step, used as optimizer.cuh uses them, give kernels.Update's
// very bits.
func TestScalars(t *testing.T) {
	for _, name := range kernels.OptimizerNames() {
		o, err := kernels.NewOptimizer(name)
		if err != nil {
			t.Fatal(err)
		}
		o.WeightDecay = 0.013
		for _, step := range []int{0, 1, 7, 1000, 123456} {
			for _, bias := range []bool{false, true} {
				const rate = float32(0.37)
				w, slots := []float32{0.7}, [][]float32{{0.11}, {0.05}}[:o.Slots()]
				g := []float32{-0.3}
				var j packedJob
				j.setOptimizer(o)
				got := update(j, scalarsOf(o, rate, step), bias, w[0], g[0], slots)
				kernels.Update(o, rate, step, bias, w, g, slots)
				if got != w[0] {
					t.Errorf("%s, step %d, bias %t: %g, want %g", name, step, bias, got, w[0])
				}
			}
		}
	}
}

// update is optimizer.cuh's thread_update for one number.
func update(j packedJob, now packedScalars, bias bool, w, g float32, slots [][]float32) float32 {
	decay, shrink := j.Decay, now.Shrink
	if bias {
		decay, shrink = 0, 1
	}
	switch j.Optimizer {
	case 0:
		return w - float32(now.LR*(g+float32(decay*w)))
	case 1, 2:
		d := g + float32(decay*w)
		velocity := float32(j.Keep*slots[0][0]) + d
		if j.Optimizer == 2 {
			d += float32(j.Keep * velocity)
		} else {
			d = velocity
		}
		return w - float32(now.LR*d)
	}
	w *= shrink
	d := g + float32(decay*w)
	mean := float32(j.Beta1*slots[0][0]) + float32(j.Rest1*d)
	square := float32(j.Beta2*slots[1][0]) + float32(j.Rest2*float32(d*d))
	below := float32(float32(math.Sqrt(float64(square)))/now.Root) + j.Epsilon
	return w - float32(now.Rate*mean)/below
}

// Launches grow until they take half a second, and no faster than by growth.
func TestPace(t *testing.T) {
	var c pace
	if c.most() != firstWork {
		t.Errorf("the first launch has %g of work, want %g", c.most(), float64(firstWork))
	}
	const perSecond = blockWork / 10 // of a device ten times slower than the model's
	launch := func() float64 {
		work := c.most()
		seconds := work / perSecond
		c.observe(work, time.Duration(seconds*1e9))
		return seconds
	}
	var took []float64
	for range 4 {
		took = append(took, launch())
	}
	for k, s := range took {
		if s > sliceSeconds*1.0001 || k > 0 && s > growth*took[k-1]*1.0001 {
			t.Errorf("launches take %v s, want %d times as long each, and %g s at most", took, growth, sliceSeconds)
		}
	}
	within := func(what string, want float64) {
		t.Helper()
		if got := c.most(); math.Abs(got-want) > 1e-3*want {
			t.Errorf("%s: %g of work, want %g", what, got, want)
		}
	}
	within("after four launches", sliceSeconds*perSecond)
	for range 100 { // short launches say nothing about long ones
		c.observe(1e3, time.Microsecond)
	}
	within("after short launches", sliceSeconds*perSecond)
	c.observe(5e8, 5*time.Second) // the device has become slow
	within("after a launch of ten times as long", 5e7)
}

func TestTake(t *testing.T) {
	fresh := func(n, devices int) *queue {
		q := &queue{devices: devices, class: func(int) class { return class{} }, bytes: func(int) int { return waveBytes / 8 }, cost: func(v int) float64 { return float64(v % 10) }}
		for v := range n {
			q.todo = append(q.todo, v)
		}
		q.sort()
		return q
	}
	q := fresh(20, 1)
	if want := []int{9, 19, 8, 18, 7, 17, 6}; !slices.Equal(q.take(100), want) { // a wave's bytes hold eight: a third
		t.Error("the first wave is not of the costliest")
	}
	if want := []int{16, 5, 15}; !slices.Equal(q.take(3), want) {
		t.Error("the limit is not kept")
	}
	q.put([]int{19, 0})
	if want := []int{19, 4, 14}; !slices.Equal(q.take(3), want) {
		t.Error("what is put back is not in its place")
	}
	for n, want := range map[int][]int{8: {8}, 9: {5, 4}, 17: {6, 6, 5}, 33: {7, 7, 7, 6, 6}} {
		var got []int
		for q = fresh(n, 1); len(q.todo) > 0; {
			got = append(got, len(q.take(100)))
		}
		if !slices.Equal(got, want) {
			t.Errorf("waves of %d networks have %v, want %v", n, got, want)
		}
	}
	q = fresh(6, 2)
	if a, b := q.take(100), q.take(100); !slices.Equal(a, []int{5, 3, 1}) || !slices.Equal(b, []int{4, 0}) {
		t.Errorf("two devices take %v and %v", a, b)
	}
	if a, b := q.take(100), q.take(100); !slices.Equal(a, []int{2}) || b != nil {
		t.Errorf("then they take %v and %v", a, b)
	}
	big := fresh(2, 1)
	big.bytes = func(int) int { return 2 * waveBytes }
	if a := big.take(100); len(a) != 1 {
		t.Errorf("a wave of networks larger than a wave is %v", a)
	}
	two := fresh(7, 2)
	two.class = func(v int) class { return class{slots: v % 2} }
	for _, want := range [][]int{{6, 2}, {5, 1}, {4}, {3}, {0}} {
		if a := two.take(100); !slices.Equal(a, want) {
			t.Errorf("a wave of one class for one of two devices is %v, want %v", a, want)
		}
	}
}

// A step of twice the batch is not quite twice the work: barriers are the same.
func TestStepWork(t *testing.T) {
	n, err := graph.New(graph.Arch{Widths: []int{784, 16, 10}, Activation: ir.Sigmoid, Loss: graph.CrossEntropy})
	if err != nil {
		t.Fatal(err)
	}
	v := kernels.Variant{Source: n.Program}
	one, two := stepWork(&v, 32), stepWork(&v, 64)
	if products := 32 * float64(n.Program.FLOPs()); two-one != products || one <= products {
		t.Errorf("steps of 32 and 64 examples are %g and %g, the products of 32 are %g", one, two, products)
	}
}
