//go:build gpu && !cpu && linux && amd64 && cgo

package cuda

import (
	"errors"
	"fmt"
	"strings"
	"testing"

	"vanilla/graph"
	"vanilla/graph/ir"
	"vanilla/internal/conformance"
	"vanilla/internal/cuda/driver"
	"vanilla/kernels"
)

// newSpread opens a device for the generic kernel with steps that are spread, however
// small.
func newSpread(t *testing.T, devices ...int) kernels.Executor {
	t.Helper()
	e := newExecutor(t, devices...)
	e.(*executor).limits = limits{}
	return e
}

// spreadShapes are networks of which every operation that can be shared is: chains with
// several tiles, long sums and short ones, and tensor operations of all kinds.
func spreadShapes(t *testing.T) []*ir.Program {
	t.Helper()
	all := []*ir.Program{
		chain(t, ir.Sigmoid, graph.CrossEntropy, 784, 70, 40, 10),
		chain(t, ir.GELUTanh, graph.Quadratic, 20, 150, 3),
		chain(t, ir.ReLU, graph.CrossEntropy, 5, 1000, 7),
	}
	for i, p := range tensorPrograms(t) {
		if i%6 == 0 {
			all = append(all, p)
		}
	}
	return all
}

// However many blocks share a step, in whatever order they run, it has the bits of the
// kernel in which a block has it alone: parameters, the optimizer's arrays, losses; with
// what an epoch leaves over, and in slices.
func TestSpread(t *testing.T) {
	shared := 0
	for k, order := range []string{"forward", "reverse", "shuffled"} {
		t.Run(order, func(t *testing.T) {
			t.Setenv("VANILLA_STANDIN_ORDER", order)
			alone, spread := newExecutor(t), newSpread(t)
			for i, p := range spreadShapes(t) {
				if (i+k)%3 != 0 {
					continue
				}
				v := conformance.Variant(p, 24)
				v.Optimizer = someOptimizer(t, i, &v)
				if p.Features() == 784 {
					v.Shift = 1
				}
				data := conformance.Data(p, uint64(90+i))
				others := []kernels.Variant{v, v}
				others[1].Batch, others[1].Seed = 67, 9
				const steps = 5
				until := []int{steps, steps}
				want := train(t, alone, data, others, until)
				q := prepare(t, spread, data, others...)
				if c := q.(*population).nets[0].class; !c.spread {
					t.Fatalf("the class is %s", c)
				}
				for _, n := range []int{1, steps} {
					if err := q.Advance(t.Context(), []int{n, n}, nil); err != nil {
						t.Fatal(err)
					}
				}
				sameStates(t, p.Name+", "+order, states(t, q, 2), want)
				made, err := makePlan(spreadPlanKey(p, v.Optimizer, v.Batch, data.Train.Len()))
				if err != nil {
					t.Fatal(err)
				}
				if sequenceOf(made).most() > 4 {
					shared++
				}
			}
		})
	}
	if shared < 3 {
		t.Errorf("%d networks have an operation that more than 4 blocks share, want some", shared)
	}
}

// A network whose loss is not finite has taken that step and no other.
func TestSpreadDivergence(t *testing.T) {
	p := chain(t, ir.ReLU, graph.Quadratic, 49, 40, 10)
	v := conformance.Variant(p, 32)
	v.Schedule.LR = 1e6
	data := conformance.Data(p, 73)
	want := train(t, newExecutor(t), data, []kernels.Variant{v}, []int{50})
	got := train(t, newSpread(t), data, []kernels.Variant{v}, []int{50})
	if fmt.Sprint(got) != fmt.Sprint(want) || !want[0].Diverged || want[0].Step == 50 {
		t.Errorf("it stands at step %d, diverged: %t, want %d, %t, or has other parameters", got[0].Step, got[0].Diverged, want[0].Step, want[0].Diverged)
	}
}

// A device that is lost in the middle of a step takes the launches that were under way:
// networks stand at a step that was finished, from where another device goes on to the
// same bits.
func TestSpreadLost(t *testing.T) {
	onlyStandIn(t)
	p := chain(t, ir.Sigmoid, graph.CrossEntropy, 20, 33, 4)
	v := conformance.Variant(p, 32)
	data := conformance.Data(p, 74)
	const steps = 40
	want := train(t, newExecutor(t), data, []kernels.Variant{v}, []int{steps})
	t.Setenv("VANILLA_STANDIN_FAIL", "launch:301:719")
	q := prepare(t, newSpread(t), data, v)
	err := q.Advance(t.Context(), []int{steps}, nil)
	if !errors.Is(err, driver.ErrDeviceLost) {
		t.Fatalf("Advance returned %v, want a lost device", err)
	}
	left := states(t, q, 1)[0]
	if left.Step < 0 || left.Step >= steps {
		t.Errorf("it stands at step %d", left.Step)
	}
	t.Setenv("VANILLA_STANDIN_FAIL", "")
	q = prepare(t, newSpread(t), data, v)
	if err := q.Restore(0, left); err != nil {
		t.Fatal(err)
	}
	if err := q.Advance(t.Context(), []int{steps}, nil); err != nil {
		t.Fatal(err)
	}
	sameStates(t, "after a lost device", states(t, q, 1), want)
}

// Cancelling ends training that is spread as it ends other: networks stand at a step that was
// finished, and go on from there to the same bits.
func TestSpreadCancel(t *testing.T) {
	onlyStandIn(t)
	p := chain(t, ir.Sigmoid, graph.CrossEntropy, 20, 33, 4)
	v := conformance.Variant(p, 32)
	data := conformance.Data(p, 74)
	for _, open := range []func() kernels.Executor{
		func() kernels.Executor { return newSpread(t) },
		func() kernels.Executor { return newSpreadStream(t, FP32, much) },
	} {
		ctx, stop, _ := cancelledWithin(t)
		e := open()
		q := prepare(t, e, data, v, v)
		const far = 1e6
		if err := q.Advance(ctx, []int{far, far}, nil); !errors.Is(err, stop) {
			t.Errorf("Advance returned %v, want the cause", err)
		}
		class := q.(*population).nets[0].class
		if n := q.(*population).workers[0].counts.launches; n > 2 {
			t.Errorf("%s: %d launches have begun, want the one that was running and at most the next", class, n)
		}
		t.Setenv("VANILLA_STANDIN_HOLD", "")
		left := states(t, q, 2)[0].Step
		if left == 0 || left == far {
			t.Fatalf("%s: it stands at step %d", class, left)
		}
		until := []int{left + 5, left + 5}
		if err := q.Advance(t.Context(), until, nil); err != nil {
			t.Fatal(err)
		}
		sameStates(t, class.String(), states(t, q, 2), train(t, e, data, []kernels.Variant{v, v}, until))
	}
}

// Steps are spread by what they cost, which the network and the batch say alone, and no
// launch of any is expected to take more than a quarter of a second.
func TestSpreadChoice(t *testing.T) {
	e := newExecutor(t).(*executor)
	sgd := kernels.Optimizer{Name: "sgd"}
	for _, c := range []struct {
		widths []int
		batch  int
		spread bool
	}{
		{[]int{784, 16, 16, 10}, 32, false},
		{[]int{784, 800, 800, 10}, 128, false},
		{[]int{784, 2500, 2000, 1500, 1000, 500, 10}, 10, false},
		{[]int{784, 2500, 2000, 1500, 1000, 500, 10}, 32, true},
		{[]int{784, 2500, 2000, 1500, 1000, 500, 10}, 1000, true},
		{[]int{784, 16, 16, 10}, 60000, true},
		{[]int{784, 4000, 4000, 10}, 128, true},
	} {
		p := chain(t, ir.Sigmoid, graph.CrossEntropy, c.widths...)
		v := kernels.Variant{Source: p, Optimizer: sgd, Batch: c.batch}
		got := e.genericOf(wanted{program: p, optimizer: sgd, batch: c.batch, examples: 60000})
		if got.spread != c.spread {
			t.Errorf("%v, batch %d: its class is %s", c.widths, c.batch, got)
		}
		longest := genericAlone * stepWork(&v, c.batch)
		if got.spread {
			made, err := makePlan(spreadPlanKey(p, sgd, c.batch, 60000))
			if err != nil {
				t.Fatal(err)
			}
			longest = 0
			for _, f := range sequenceOf(made).step {
				longest = max(longest, launchCycles+f.cycles)
			}
		}
		if seconds := longest / ModelledClock; seconds > 0.25 {
			t.Errorf("%v, batch %d: a launch is expected to take %g s", c.widths, c.batch, seconds)
		}
	}
	p := chain(t, ir.Sigmoid, graph.CrossEntropy, 784, 2500, 2000, 1500, 1000, 500, 10)
	lines, err := e.Explain(p, sgd)
	if text := strings.Join(lines, "\n"); err != nil || !strings.Contains(text, "spread over up to 256 blocks") {
		t.Errorf("%.500s, %v", text, err)
	}
	v := conformance.Variant(p, 32)
	v.Optimizer = sgd
	alone, shared, err := e.Cycles(v)
	if err != nil || alone > genericAlone*stepWork(&v, 32)/20 || shared != alone*float64(e.gpus[0].device.SMs) {
		t.Errorf("a step takes %g cycles, all multiprocessors %g, %v", alone, shared, err)
	}
}

// No job of an evaluation is expected to keep a block for half a second either.
func TestChunkOfLarge(t *testing.T) {
	for _, c := range []struct {
		widths []int
		want   int
	}{{[]int{784, 2500, 2000, 1500, 1000, 500, 10}, 64}, {[]int{784, 16000, 16000, 10}, 8}} {
		p := chain(t, ir.Sigmoid, graph.CrossEntropy, c.widths...)
		if got := chunkOf(&kernels.Variant{Source: p, Batch: 32}); got != c.want || genericAlone*float64(got)*float64(p.ForwardFLOPs()) > ModelledClock/2 {
			t.Errorf("%v: %d examples, want %d", c.widths, got, c.want)
		}
	}
}

// What the host reckons with is what the kernels' sources say.
func TestPhases(t *testing.T) {
	want := fmt.Sprintf("PHASE_BATCH = %d, PHASE_OPERATION, PHASE_UPDATE, PHASE_END }", batchPhase)
	if !strings.Contains(source(t, "format.cuh"), want) || operationPhase != 1 || updatePhase != 2 || endPhase != 3 {
		t.Errorf("format.cuh does not say %q", want)
	}
	for _, want := range []string{fmt.Sprintf("TILE_ROWS = %d, TILE_COLS = %d, TILE_INNER = 16", tileRows, tileCols)} {
		if !strings.Contains(source(t, "block.cuh"), want) {
			t.Errorf("block.cuh does not say %q", want)
		}
	}
}
