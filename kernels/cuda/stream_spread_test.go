//go:build gpu && !cpu && linux && amd64 && cgo

package cuda

import (
	"fmt"
	"os"
	"slices"
	"strings"
	"testing"

	"vanilla/graph"
	"vanilla/graph/ir"
	"vanilla/internal/conformance"
	"vanilla/kernels"
)

// newSpreadStream opens a device for streaming kernels with networks that are spread,
// however small, with so much shared memory for a block at most.
func newSpreadStream(t *testing.T, precision string, shared int) kernels.Executor {
	t.Helper()
	e := newStreaming(t, precision, shared)
	e.(*executor).limits = limits{}
	return e
}

// spreadAs makes the sums of networks that a block trains each those of networks that are
// spread: shared by as many warps.
func spreadAs(t *testing.T, alone, spread kernels.Population) {
	t.Helper()
	a, s := alone.(*population), spread.(*population)
	for k := range a.nets {
		from, to := s.nets[k].stream, a.nets[k].stream
		if !s.nets[k].class.spread || a.nets[k].class.spread || from.head.Groups != to.head.Groups {
			t.Fatalf("classes are %s and %s, parts of %d and %d rows", a.nets[k].class, s.nets[k].class, to.head.Groups, from.head.Groups)
		}
		for l := range to.layers {
			to.layers[l].Splits, to.layers[l].BackSplits = from.layers[l].Splits, from.layers[l].BackSplits
		}
	}
}

// However many blocks share a network, in whatever order they run, it has the bits of a
// block that trains it alone: every class, shape and batch, with what an epoch leaves over,
// with changed images, and in slices.
func TestSpreadStream(t *testing.T) {
	var shared, parts, fused int
	for k, order := range []string{"forward", "reverse", "shuffled"} {
		t.Run(order, func(t *testing.T) {
			t.Setenv("VANILLA_STANDIN_ORDER", order)
			for n, precision := range []string{FP32, BF16} {
				alone, spread := newStreaming(t, precision, much), newSpreadStream(t, precision, much)
				several := chain(t, ir.Sigmoid, graph.CrossEntropy, 20, 33, 150, 10) // tiles of more units than a block has warps
				for i, p := range append(streamShapes(t), several) {
					if (i+k+n)%3 != 0 && p != several {
						continue
					}
					data := conformance.Data(p, uint64(75+i))
					var variants []kernels.Variant
					for j, batch := range []int{10, 32, 67} {
						v := conformance.Variant(p, batch)
						v.Optimizer = someOptimizer(t, i+j+k, &v)
						if p.Features() == 784 {
							v.Shift, v.NoiseShare = j%2, 0.3*float64(j/2)
						}
						variants = append(variants, v)
					}
					const steps = 4
					until := []int{steps, steps, steps}
					q, r := prepare(t, alone, data, variants...), prepare(t, spread, data, variants...)
					spreadAs(t, q, r)
					if err := q.Advance(t.Context(), until, nil); err != nil {
						t.Fatal(err)
					}
					for blocks, some := range [][]int{{1, 2, 2}, {2, 3, 3}, until} { // as many as there is work for, 1, 2
						for _, m := range waveOf(r) {
							m.sequence.limit(blocks)
						}
						if err := r.Advance(t.Context(), some, nil); err != nil {
							t.Fatal(err)
						}
					}
					sameStates(t, fmt.Sprintf("%s, %s, %s", p.Name, precision, order), states(t, r, 3), states(t, q, 3))
					for j, v := range variants {
						c, plan := planOf(t, spread, v, data.Train.Len())
						count(&shared, plan.sequence(c, v.Batch, data.Train.Len(), 0).most() > 2)
						count(&parts, variants[j].Batch > int(plan.head.Groups)*partRows)
						count(&fused, plan.head.Fused == 1)
					}
				}
			}
		})
	}
	if shared == 0 || fused == 0 {
		t.Errorf("%d networks are shared by more than two blocks, %d are fused, %d in parts: want some", shared, fused, parts)
	}
}

// waveOf is the networks that are on the device.
func waveOf(p kernels.Population) []variant {
	if v := p.(*population).workers[0].wave; v != nil {
		return v.variants
	}
	return nil
}

// limit makes phases share so many blocks at most.
func (s *sequence) limit(blocks int) {
	for _, phases := range [][]phase{s.begin, s.step, s.rest, s.end} {
		for i := range phases {
			phases[i].blocks = min(phases[i].blocks, blocks)
		}
	}
}

// soaked skips what takes the stand-in half a minute, and no GPU.
func soaked(t *testing.T, e kernels.Executor) kernels.Executor {
	t.Helper()
	if standIn(e) && os.Getenv("VANILLA_SOAK") == "" {
		t.Skip("make soak-gpu runs it: TestSpreadStream has the bits of kernels that are held to the reference")
	}
	return e
}

// They are held to what the generic kernel is, and to PyTorch.
func TestSpreadStreamConformance(t *testing.T) {
	e := soaked(t, newSpreadStream(t, FP32, much))
	planOf(t, e, conformance.Variant(chain(t, ir.Sigmoid, graph.CrossEntropy, 784, 16, 16, 10), 32), 100)
	conformance.Run(t, e)
}

func TestSpreadStreamPyTorch(t *testing.T) {
	conformance.PyTorch(t, soaked(t, newSpreadStream(t, FP32, much)), sumRounding)
}

// Where shared memory is short parts are smaller and pixels have one place.
func TestSpreadStreamLittle(t *testing.T) {
	e := newSpreadStream(t, FP32, 72<<10)
	p := chain(t, ir.Sigmoid, graph.CrossEntropy, 784, 40, 33, 10)
	for i, batch := range []int{1, 32, 67} {
		v := conformance.Variant(p, batch)
		if err := conformance.Gradients(e, v, p); err != nil {
			t.Errorf("batch %d: %v", batch, err)
		}
		v.Optimizer = someOptimizer(t, i, &v)
		if _, plan := planOf(t, e, v, 100); plan.head.Buffers != 1 {
			t.Errorf("batch %d: pixels have %d places, want 1", batch, plan.head.Buffers)
		}
		if batch > 1 {
			sameEpochs(t, e, conformance.Data(p, 76), v, 1, conformance.TrajectoryTolerance)
		}
	}
}

// A network whose loss is not finite has taken that step and no other.
func TestSpreadStreamDivergence(t *testing.T) {
	p := chain(t, ir.ReLU, graph.Quadratic, 49, 40, 10)
	data := conformance.Data(p, 73)
	for _, batch := range []int{10, 45} {
		v := conformance.Variant(p, batch)
		v.Schedule.LR = 1e6
		q, r := prepare(t, newStreaming(t, BF16, much), data, v), prepare(t, newSpreadStream(t, BF16, much), data, v)
		spreadAs(t, q, r)
		for _, some := range []kernels.Population{q, r} {
			if err := some.Advance(t.Context(), []int{50}, nil); err != nil {
				t.Fatal(err)
			}
		}
		got, want := states(t, r, 1)[0], states(t, q, 1)[0]
		if got.Step != want.Step || !got.Diverged || !want.Diverged || got.Step >= 50 || fmt.Sprint(got.Params) != fmt.Sprint(want.Params) {
			t.Errorf("batch %d: it ends at step %d, diverged: %t, want %d, %t", batch, got.Step, got.Diverged, want.Step, want.Diverged)
		}
	}
}

// Networks are spread by their tiles and the batch alone, and no launch of any is expected
// to take more than a quarter of a second, nor to have more blocks than there is work for.
func TestSpreadStreamChoice(t *testing.T) {
	large := []int{784, 2500, 2000, 1500, 1000, 500, 10}
	for _, precision := range []string{FP32, BF16} {
		e := newPrecise(t, precision).(*executor)
		for _, c := range []struct {
			widths []int
			batch  int
			want   string
		}{
			{[]int{784, 16, 16, 10}, 60000, "resident_%s_0_parts"},
			{[]int{784, 512, 512, 10}, 32, "stream_%s_0"},
			{[]int{784, 800, 800, 10}, 32, "stream_%s_0"},
			{[]int{784, 800, 800, 10}, 60000, "stream_%s_0_spread"},
			{large, 1, "stream_%s_0_spread"},
			{large, 128, "stream_%s_0_spread"},
			{[]int{784, 20000, 20000, 10}, 1000, "stream_%s_0_spread"},
		} {
			p := chain(t, ir.Sigmoid, graph.CrossEntropy, c.widths...)
			sgd := kernels.Optimizer{Name: "sgd"}
			got, f, _, err := e.classOf(wanted{program: p, optimizer: sgd, batch: c.batch, examples: 60000})
			if want := fmt.Sprintf(c.want, precision); err != nil || got.String() != want {
				t.Errorf("%v, batch %d: its class is %s, %v, want %s", c.widths, c.batch, got, err, want)
			}
			v := kernels.Variant{Source: p, Optimizer: sgd, Batch: c.batch}
			alone, shared, err := e.Cycles(v)
			if err != nil {
				t.Fatal(err)
			}
			if !got.spread {
				if !got.resident() && alone > ModelledClock/10 {
					t.Errorf("%v, batch %d: a step keeps a block %g s", c.widths, c.batch, alone/ModelledClock)
				}
				continue
			}
			if shared != alone*float64(e.gpus[0].device.SMs) {
				t.Errorf("%v, batch %d: a step takes %g cycles, all multiprocessors %g", c.widths, c.batch, alone, shared)
			}
			q, err := modelledSpread(got, f.stream, c.batch)
			if err != nil {
				t.Fatal(err)
			}
			for _, s := range slices.Concat(q.begin, q.step, q.end) {
				if seconds := (launchCycles + s.cycles) / ModelledClock; seconds > 0.25 || s.blocks < 1 || s.blocks > spreadBlocks {
					t.Errorf("%v, batch %d: a launch of %d blocks is expected to take %g s", c.widths, c.batch, s.blocks, seconds)
				}
			}
		}
		lines, err := e.Explain(chain(t, ir.Sigmoid, graph.CrossEntropy, large...), kernels.Optimizer{Name: "sgd"})
		if text := strings.Join(lines, "\n"); err != nil || !strings.Contains(text, "its steps are spread over up to 256 blocks, with the bits of one: a step is a sequence of 13 launches") {
			t.Errorf("%.500s, %v", text, err)
		}
	}
}

// TestRaceSpreadStream is what the race checker watches of spread streaming kernels: what
// blocks do in one launch is in no order. Batches are fused or in parts, sums are shared by
// warps, of one tile and of several, images are copied and moved.
func TestRaceSpreadStream(t *testing.T) {
	for n, precision := range []string{BF16, FP32} {
		e := newSpreadStream(t, precision, []int{72 << 10, much}[n])
		for k, p := range []*ir.Program{chain(t, ir.Sigmoid, graph.CrossEntropy, 400, 40, 5, 10), chain(t, ir.Tanh, graph.Quadratic, 49, 150, 40, 10)} {
			var variants []kernels.Variant
			for i, batch := range []int{32, 67} {
				v := conformance.Variant(p, batch)
				v.Optimizer = someOptimizer(t, 3*i+k, &v)
				v.Shift = k
				variants = append(variants, v)
			}
			for i, s := range train(t, e, conformance.Data(p, 80), variants, []int{3, 3}) {
				if s.Step != 3 || s.Diverged {
					t.Errorf("%s, variant %d stands at step %d, diverged: %t", p.Name, i, s.Step, s.Diverged)
				}
			}
		}
	}
}
