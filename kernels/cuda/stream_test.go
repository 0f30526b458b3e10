//go:build gpu && !cpu && linux && amd64 && cgo

package cuda

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"vanilla/graph"
	"vanilla/graph/ir"
	"vanilla/internal/conformance"
	"vanilla/kernels"
)

// newStreaming opens a device for streaming kernels, whatever the network, with so
// much shared memory for a block at most.
func newStreaming(t *testing.T, precision string, shared int) kernels.Executor {
	t.Helper()
	e := newPrecise(t, precision, 0)
	e.(*executor).streaming = true
	d := &e.(*executor).gpus[0].device
	d.SharedPerBlock = min(d.SharedPerBlock, shared)
	return e
}

// A block's shared memory: all there is, and what devices of compute capability 8.6
// have. There parts of batches have fewer rows, pixels one place, and matrices lie in
// global memory.
const much, little = 1 << 20, 99 << 10

// streamShapes are chains that streaming kernels take: every activation and loss,
// widths of one tile and of more than warps, ragged ones, one layer and ten, inputs of
// 1 to 784, more classes than a tile has.
func streamShapes(t *testing.T) []*ir.Program {
	t.Helper()
	var all []*ir.Program
	shapes := [][]int{
		{784, 40, 10}, {100, 33, 17, 3}, {20, 7, 4}, {777, 24, 10}, {50, 150, 12, 20}, {1, 3, 2}, {49, 64, 64, 10},
		{20, 5, 5, 5, 5, 5, 5, 5, 5, 5, 3}, {64, 10}, {80, 48, 40, 33},
	}
	for i, widths := range shapes {
		activations := graph.Activations()
		all = append(all, chain(t, activations[i%len(activations)], []graph.Loss{graph.CrossEntropy, graph.Quadratic}[i%2], widths...))
	}
	return all
}

// planOf is the plan of a network that must be a streamed one.
func planOf(t *testing.T, e kernels.Executor, v kernels.Variant, examples int) (class, *streamPlan) {
	t.Helper()
	c, f, why, err := e.(*executor).classOf(wanted{program: v.Program(), optimizer: v.Optimizer, batch: v.Batch, examples: examples})
	if why != nil || err != nil || !c.stream {
		t.Fatalf("%s, batch %d: its class is %s, because %v, %v", v.Program().Name, v.Batch, c, why, err)
	}
	return c, f.stream
}

// Every class, with every shape, activation, loss and batch, in every order of a
// block's threads, and where shared memory is short: gradients as in float64, training
// as the reference's.
func TestStreamShapes(t *testing.T) {
	var parts, fused, single, far, streamed, kept int // plans of each kind
	for k, order := range []string{"forward", "reverse", "shuffled"} {
		t.Run(order, func(t *testing.T) {
			t.Setenv("VANILLA_STANDIN_ORDER", order)
			seen := map[class]bool{}
			for _, shared := range []int{much, little} {
				e := newStreaming(t, FP32, shared)
				for i, p := range streamShapes(t) {
					if (i+k)%3 != 0 {
						continue
					}
					data := conformance.Data(p, 70)
					for n, batch := range []int{1, 10, 32, 67} {
						v := conformance.Variant(p, batch)
						if err := conformance.Gradients(e, v, p); err != nil {
							t.Errorf("%s, %s, batch %d: %v", order, p.Name, batch, err)
						}
						v.Optimizer = someOptimizer(t, n+i+k, &v)
						c, plan := planOf(t, e, v, data.Train.Len())
						seen[c] = true
						count(&parts, batch > int(plan.head.Groups)*partRows)
						count(&fused, plan.head.Fused == 1)
						count(&single, plan.head.Buffers == 1)
						count(&far, slices.ContainsFunc(plan.layers, func(l packedStreamLayer) bool { return l.Deltas.Space == workSpace }))
						count(&streamed, passing(plan) > 0)
						count(&kept, passing(plan) < allTiles(plan))
						if batch > 1 {
							sameEpochs(t, e, data, v, 1, conformance.TrajectoryTolerance)
						}
					}
				}
			}
			if len(seen) != 3 {
				t.Errorf("%s: %d classes were tried, want 3: %v", order, len(seen), seen)
			}
		})
	}
	if parts == 0 || fused == 0 || single == 0 || far == 0 || streamed == 0 || kept == 0 {
		t.Errorf("%d plans with parts, %d fused, %d with one place for pixels, %d with deltas in global memory, %d with tiles that pass, %d with tiles that stay: want some of each",
			parts, fused, single, far, streamed, kept)
	}
}

// passing is how many tiles of weights pass through shared memory.
func passing(s *streamPlan) int {
	n := allTiles(s)
	for _, l := range s.layers {
		n -= int(l.Kept)
	}
	return n
}

func allTiles(s *streamPlan) int {
	n := 0
	for _, l := range s.layers {
		n += tiles(l.In) * tiles(l.Out)
	}
	return n
}

func count(n *int, of bool) {
	if of {
		*n++
	}
}

func TestStreamBF16(t *testing.T) {
	for k, shared := range []int{much, little} {
		e := newStreaming(t, BF16, shared)
		for i, p := range streamShapes(t) {
			if (i+k)%2 == 0 {
				continue
			}
			data := conformance.Data(p, 71)
			for n, batch := range []int{10, 32, 67} {
				v := conformance.Variant(p, batch)
				v.Optimizer = someOptimizer(t, n+i+k, &v)
				c, _ := planOf(t, e, v, data.Train.Len())
				sameAsRounded(t, e, data, v, c, 3, fmt.Sprintf("%s, %s, batch %d", p.Name, v.Optimizer.Name, batch))
			}
		}
	}
}

// Cutting training into slices anywhere, and what else the launch holds, changes no
// bit: of fused batches, of short last ones, of batches in parts, of images that are
// moved or turned or show nothing, of soft targets.
func TestStreamSlices(t *testing.T) {
	const steps = 9
	for i, precision := range []string{FP32, BF16} {
		e := newStreaming(t, precision, []int{little, much}[i])
		p := chain(t, ir.Sigmoid, graph.CrossEntropy, 49, 40, 10)
		data := conformance.Data(p, 72)
		if i == 1 {
			data = conformance.Soft(data)
		}
		var variants []kernels.Variant
		for n, batch := range []int{10, 32, 45, 67} {
			v := conformance.Variant(p, batch)
			v.Optimizer = someOptimizer(t, n+i, &v)
			v.Shift = n % 2
			if n == 2 {
				v.Rotate, v.NoiseShare = 10, 0.3
			}
			planOf(t, e, v, data.Train.Len())
			variants = append(variants, v)
		}
		until := make([]int, len(variants))
		set := func(f func(k int) int) []int {
			for k := range until {
				until[k] = min(steps, f(k))
			}
			return until
		}
		want := train(t, e, data, variants, set(func(int) int { return steps }))
		q := prepare(t, e, data, variants...)
		for step := range steps {
			if err := q.Advance(t.Context(), set(func(k int) int { return step + 1 + k%3 }), nil); err != nil {
				t.Fatal(err)
			}
		}
		sameStates(t, precision+" in slices", states(t, q, len(variants)), want)
		for k, v := range variants {
			sameStates(t, precision+" alone", train(t, e, data, []kernels.Variant{v}, []int{steps}), want[k:k+1])
		}
	}
}

// A network whose loss is not finite has taken that step and no other, wherever the
// slices end.
func TestStreamDivergence(t *testing.T) {
	for _, batch := range []int{10, 45} {
		e := newStreaming(t, BF16, much)
		p := chain(t, ir.ReLU, graph.Quadratic, 49, 40, 10)
		v := conformance.Variant(p, batch)
		v.Schedule.LR = 1e6
		data := conformance.Data(p, 73)
		whole := train(t, e, data, []kernels.Variant{v}, []int{50})
		if !whole[0].Diverged || whole[0].Step >= 50 {
			t.Fatalf("it stands at step %d, diverged: %t", whole[0].Step, whole[0].Diverged)
		}
		q := prepare(t, e, data, v)
		for step := 1; step <= 50; step++ {
			if err := q.Advance(t.Context(), []int{step}, nil); err != nil {
				t.Fatal(err)
			}
		}
		got := states(t, q, 1)[0]
		if got.Step != whole[0].Step || !got.Diverged || fmt.Sprint(got.Params) != fmt.Sprint(whole[0].Params) {
			t.Errorf("batch %d: step by step it ends at step %d, diverged: %t, in one go at %d, or with other parameters",
				batch, got.Step, got.Diverged, whole[0].Step)
		}
	}
}

// Plans keep what they place apart and within what there is, and what does not fit is
// refused in words.
func TestStreamPlans(t *testing.T) {
	for _, shared := range []int{227 << 10, 163 << 10, 99 << 10} {
		for _, widths := range [][]int{{784, 128, 64, 10}, {784, 800, 800, 10}, {784, 10}, {3072, 256, 10}, {1, 1, 2}, {784, 2500, 2000, 1500, 1000, 500, 10}} {
			d, err := matchDense(chain(t, ir.Sigmoid, graph.CrossEntropy, widths...))
			if err != nil {
				t.Fatal(err)
			}
			for slots := range 3 {
				for _, batch := range []int{1, 32, 33, 128, 129, 1000} {
					for _, precision := range []string{FP32, BF16} {
						for _, spread := range []bool{false, true} {
							s, err := planStream(d, class{precision: precision, slots: slots, stream: true, spread: spread}, batch, shared)
							if err != nil {
								if widths[0] < 1000 || shared > 100<<10 && slots == 0 {
									t.Errorf("%v, batch %d, %s, %d arrays, %d bytes: %v", widths, batch, precision, slots, shared, err)
								}
								continue
							}
							checkStreamPlan(t, s, slots, batch, shared, spread)
						}
					}
				}
			}
		}
	}
	d, err := matchDense(chain(t, ir.Sigmoid, graph.CrossEntropy, 9000, 10))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := planStream(d, class{precision: BF16, stream: true}, 32, 227<<10); err == nil || !strings.Contains(err.Error(), "the pixels of 32 examples and what goes with them take") {
		t.Errorf("9000 inputs: %v", err)
	}
}

// checkStreamPlan fails if places overlap or lie outside, or if what the kernel reckons
// with does not hold.
func checkStreamPlan(t *testing.T, s *streamPlan, slots, batch, shared int, spread bool) {
	t.Helper()
	h := &s.head
	type span struct{ from, to int64 }
	in := map[space][]span{}
	rows := int64(h.Groups) * partRows
	inShared := func(from int32, bytes int64) {
		in[sharedSpace] = append(in[sharedSpace], span{int64(from), int64(from) + bytes})
	}
	inShared(0, streamNotes)
	inShared(h.Layers, int64(len(s.layers)*streamLayerBytes))
	inShared(h.Stage, int64(h.Buffers)*rows*int64(h.RowBytes))
	inShared(h.Ring, streamWarps*int64(h.Slots)*int64(h.Arrays)*tileBytes)
	inShared(h.Sums, streamWarps*2*tileBytes)
	place := func(p packedLocation, bytes int64) {
		if bytes == 0 { // all of a layer's tiles are elsewhere
			return
		}
		in[p.Space] = append(in[p.Space], span{4 * p.Offset, 4*p.Offset + bytes})
	}
	place(h.Logits, rows*int64(h.LogitsRow)*4)
	if spread {
		in[workSpace] = append(in[workSpace], span{0, streamNotes})
		place(h.Pixels, 2*rows*int64(h.RowBytes))
	}
	for i, l := range s.layers {
		out := int64(tiles(l.Out))
		place(packedLocation{Offset: l.Tiles, Space: workSpace}, (int64(tiles(l.In))*out-int64(l.Kept))*int64(h.Arrays)*tileBytes)
		place(packedLocation{Offset: l.KeptTiles, Space: sharedSpace}, int64(l.Kept)*int64(h.Arrays)*tileBytes)
		place(l.Biases, int64(h.Arrays)*out*16*4)
		place(l.Deltas, rows/16*out*tileBytes)
		if i < len(s.layers)-1 {
			place(l.Outputs, rows/16*out*512)
		}
	}
	for where, spans := range in {
		slices.SortFunc(spans, func(a, b span) int { return int(a.from - b.from) })
		most := int64(s.sharedBytes)
		if where == workSpace {
			most = 4 * s.workFloats
		}
		for i, p := range spans {
			if p.from%16 != 0 || i > 0 && p.from < spans[i-1].to || p.to > most {
				t.Errorf("%+v: in %s, %v lies in the way of %v or beyond %d", *h, where, p, spans[max(0, i-1)], most)
			}
		}
	}
	parts := (batch + int(rows) - 1) / int(rows)
	if s.sharedBytes > shared || int(h.Arrays) != 1+slots+min(1, parts-1) || (h.Fused == 1) != (batch <= partRows && h.Buffers == 2) ||
		h.RowBytes/16%2 == 0 || h.Groups > streamGroups || h.Slots < 1 || h.Slots > 4 {
		t.Errorf("batch %d: %+v, %d bytes of %d", batch, *h, s.sharedBytes, shared)
	}
}

// As few steps as can be of the busiest of eight warps.
func TestStreamSplits(t *testing.T) {
	for _, c := range []struct{ count, terms, want int }{{8, 49, 1}, {1, 49, 8}, {4, 8, 2}, {9, 49, 4}, {1, 1, 1}, {50, 49, 1}} {
		if got := streamSplits(c.count, c.terms, streamWarps); int(got) != c.want {
			t.Errorf("sums of %d tiles of %d terms are shared by %d warps, want %d", c.count, c.terms, got, c.want)
		}
	}
}

// TestRaceStream is what the race checker watches of streaming kernels: every class, with
// fused batches, short last ones and batches in parts, one place for pixels and two,
// sums that warps share and that they do not, matrices in shared and in global memory,
// images that are moved and that show nothing.
func TestRaceStream(t *testing.T) {
	wide, narrow := chain(t, ir.Tanh, graph.Quadratic, 49, 150, 10), chain(t, ir.Sigmoid, graph.CrossEntropy, 400, 40, 5, 10)
	var parts, single int  // plans whose batches are in parts, and of these with one place for pixels
	var streamed, kept int // with tiles that pass through shared memory, four at a time, and that stay there
	for n, precision := range []string{BF16, FP32} {
		e := newStreaming(t, precision, []int{72 << 10, much}[n])
		for k, p := range []*ir.Program{wide, narrow} {
			var variants []kernels.Variant
			for i, optimizer := range []int{0, 2, 3} {
				for _, batch := range []int{32, 67} {
					v := conformance.Variant(p, batch)
					v.Optimizer = someOptimizer(t, optimizer, &v)
					if k == 0 { // whose pixels are not copied alone
						v.Shift, v.NoiseShare = i%2, 0.3*float64(i/2)
					}
					_, plan := planOf(t, e, v, 67)
					inParts := batch > int(plan.head.Groups)*partRows
					count(&parts, inParts)
					count(&single, inParts && plan.head.Buffers == 1)
					count(&streamed, passing(plan) > 0 && plan.head.Slots == 4)
					count(&kept, passing(plan) < allTiles(plan))
					variants = append(variants, v)
				}
			}
			for i, s := range train(t, e, conformance.Data(p, 80), variants, []int{3, 3, 3, 3, 3, 3}) {
				if s.Step != 3 || s.Diverged {
					t.Errorf("%s, variant %d stands at step %d, diverged: %t", p.Name, i, s.Step, s.Diverged)
				}
			}
		}
	}
	if single == 0 || parts == single {
		t.Errorf("batches of %d plans are in parts, of %d with one place for pixels: want some of each", parts, single)
	}
	if streamed == 0 || kept == 0 {
		t.Errorf("tiles of %d plans pass through shared memory, of %d stay there: want some of each", streamed, kept)
	}
}
