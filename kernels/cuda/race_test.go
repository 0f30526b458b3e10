//go:build gpu && !cpu && linux && amd64 && cgo

package cuda

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"slices"
	"strings"
	"testing"

	"vanilla/graph"
	"vanilla/graph/ir"
	"vanilla/internal/conformance"
	"vanilla/internal/cuda/driver"
	"vanilla/internal/cuda/image"
	"vanilla/internal/cuda/standin"
	"vanilla/kernels"
)

// TestRaceResident and TestRaceSubjects are what the race checker watches, in a build
// of its own: every kernel that trains, across the end of an epoch with a short batch,
// several blocks in turn, images that move; and evaluation.
func TestRaceResident(t *testing.T) {
	for _, units := range []int{16, 20} { // one head, two
		for _, precision := range []string{BF16, FP32} {
			raceTraining(t, precision, chain(t, ir.Sigmoid, graph.CrossEntropy, 49, units, 5, 10))
		}
	}
}

// raceTraining trains with every number of the optimizer's arrays, in batches of one
// part and of two.
func raceTraining(t *testing.T, precision string, p *ir.Program) {
	t.Helper()
	var variants []kernels.Variant
	for i, name := range []string{"sgd", "nesterov", "adam"} {
		for _, batch := range []int{32, 45} {
			v := conformance.Variant(p, batch)
			var err error
			if v.Optimizer, err = kernels.NewOptimizer(name); err != nil {
				t.Fatal(err)
			}
			v.Shift = i % 2
			variants = append(variants, v)
		}
	}
	until := make([]int, len(variants))
	for i := range until {
		until[i] = 4
	}
	q := prepare(t, newPrecise(t, precision), conformance.Data(p, 80), variants...)
	if err := q.Advance(t.Context(), until, nil); err != nil {
		t.Fatal(err)
	}
	for i, s := range states(t, q, len(variants)) {
		if s.Step != until[i] || s.Diverged {
			t.Errorf("variant %d stands at step %d, diverged: %t", i, s.Step, s.Diverged)
		}
	}
	if _, err := q.Evaluate(t.Context(), 0, kernels.Test); err != nil {
		t.Fatal(err)
	}
}

func TestRaceSubjects(t *testing.T) {
	raceTraining(t, FP32, chain(t, ir.Tanh, graph.Quadratic, 49, 130, 10)) // long sums, in parts
	raceSelftest(t)
	work := ceilingOf(t, "shared")
	work.grid = 2
	if err := errors.Join(work.do(t.Context(), 2), work.check(2)); err != nil {
		t.Error(err)
	}
	raceImages(t, chain(t, ir.Sigmoid, graph.CrossEntropy, 49, 16, 5, 10))
	raceTensors(t)
}

// TestRaceSpread trains networks whose steps are spread over blocks: what blocks do in one
// launch is in no order. One has gradients that are stored before they are used.
func TestRaceSpread(t *testing.T) {
	e := newSpread(t)
	all := []*ir.Program{chain(t, ir.Tanh, graph.Quadratic, 49, 130, 10)}
	stores := func(p *ir.Program) bool { // a gradient that several blocks update a parameter with
		now := updatesOf(p)
		return slices.ContainsFunc(p.Params, func(q ir.Param) bool {
			_, ok := now[q.Grad]
			return !ok && p.Value(q.Value).Shape.Len(0) > blockThreads
		})
	}
	layers := networks(t)
	if i := slices.IndexFunc(layers, stores); i >= 0 {
		all = append(all, layers[i])
	} else {
		t.Error("no program stores a gradient")
	}
	for _, p := range all {
		v := conformance.Variant(p, 32)
		v.Optimizer = someOptimizer(t, 3, &v)
		for _, s := range train(t, e, conformance.Data(p, 40), []kernels.Variant{v, v}, []int{3, 3}) {
			if s.Step != 3 {
				t.Errorf("%s stands at step %d", p.Name, s.Step)
			}
		}
	}
}

// raceSelftest runs the kernel selftest, several parts a block.
func raceSelftest(t *testing.T) {
	code, err := image.Load("selftest")
	if err != nil {
		t.Fatal(err)
	}
	c := openDevice(t)
	module, err := c.Load(code)
	if err != nil {
		t.Fatal(err)
	}
	f, err := module.Function("selftest")
	if err != nil {
		t.Fatal(err)
	}
	x := []uint32{499: 1}
	for i := range x {
		x[i] = uint32(i + 1)
	}
	all, err := c.Alloc(4*len(x) + 16) // and the queue, the sum and the maximum
	if err != nil {
		t.Fatal(err)
	}
	rest, got := all+driver.Pointer(4*len(x)), make([]uint32, 4)
	if err := errors.Join(c.Clear(rest, 16), c.CopyIn(all, driver.Bytes(x)),
		c.Launch(f, 2, 64, 4*64, uint64(all), uint64(len(x)), uint64(rest), uint64(rest+8), uint64(rest+4)),
		c.Synchronize(), c.CopyOut(driver.Bytes(got), rest)); err != nil {
		t.Fatal(err)
	}
	if got[1] != 500 || got[2] != 500*501/2 {
		t.Errorf("the maximum is %d and the sum %d", got[1], got[2])
	}
}

// raceImages changes images in all ways, has noise of all kinds among them, and
// targets that are no labels.
func raceImages(t *testing.T, p *ir.Program) {
	v := conformance.Variant(p, 45)
	v.Augment = kernels.Augment{Shift: 1, Rotate: 20, Scale: 0.2, Shear: 0.2, Stroke: 0.6, Elastic: 30, ElasticSigma: 2}
	v.NoiseShare = 0.4
	q := prepare(t, newExecutor(t), conformance.Soft(conformance.Data(p, 80)), v)
	if err := q.Advance(t.Context(), []int{3}, nil); err != nil {
		t.Fatal(err)
	}
	if _, err := q.Evaluate(t.Context(), 0, kernels.Test); err != nil {
		t.Fatal(err)
	}
}

// raceTensors runs tensor operations of every kind, one after the other and in
// networks.
func raceTensors(t *testing.T) {
	e := newExecutor(t)
	broad := chain(t, ir.Tanh, graph.Quadratic, 4, 900, 3) // more columns than a stage has
	q := prepare(t, e, conformance.Data(broad, 4), conformance.Variant(broad, 4))
	if err := q.Advance(t.Context(), []int{2}, nil); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		a, b, g []int
		lines   []string
	}{
		{[]int{1, 2000}, []int{1, 2000}, []int{1, 2000}, []string{"m[2000] = map add A B", "n[2000] = map tanh m", "g = map mul n m"}},
		{[]int{40, 13}, []int{13, 40}, []int{40, 40}, []string{"g = matmul A B"}},
		{[]int{2, 5, 150}, []int{2, 150, 7}, []int{2, 5, 7}, []string{"g = matmul A B"}},
		{[]int{3, 1500}, []int{2}, []int{3, 1}, []string{"g = reduce sum A axes=1"}},
		{[]int{20, 50}, []int{2}, []int{20, 1}, []string{"g = reduce max A axes=1"}},
		{[]int{2, 3, 8, 9}, []int{2}, []int{2, 3, 8, 9}, []string{"c(2,4,4,18) = im2col A ints=3,2,1,0,2,2,1,1", "g = col2im c ints=3,2,1,0,2,2,1,1"}},
		{[]int{2, 3, 8, 9}, []int{2}, []int{2, 3, 8, 9}, []string{"c(2,3,4,5) = maxpool A ints=3,3,1,1,2,2", "g = maxpoolgrad A c ints=3,3,1,1,2,2"}},
		{[]int{4, 30}, []int{4, 9}, []int{9, 39}, []string{"c[4,39] = concat A B axes=1", "g = unslice c axes=0 ints=1,9,2"}},
		{[]int{2}, []int{2}, []int{1, 500}, []string{"k[500] = random keep draw=0.7,0", "n[500] = random gauss draw=0,1", "g = map mul k n"}},
	} {
		conformance.Computed(t, e, conformance.Shown(t, c.a, c.b, c.g, c.lines...), 2, conformance.Numbers(lengthOf(c.a), 1), conformance.Numbers(lengthOf(c.b), 2))
	}
	programs := tensorPrograms(t)
	for i := 0; i < len(programs); i += 12 {
		v := conformance.Variant(programs[i], 10)
		q := prepare(t, e, conformance.Data(programs[i], 8), v)
		if err := q.Advance(t.Context(), []int{3}, nil); err != nil {
			t.Fatal(err)
		}
		if _, err := q.Evaluate(t.Context(), 0, kernels.Test); err != nil {
			t.Fatal(err)
		}
	}
}

// watch runs tests of this binary in the stand-in with the race checker, a build of
// it or, for "", of the kernels as they are, and returns what they say.
func watch(library, order, tests string, environment ...string) (string, error) {
	c := exec.Command(os.Args[0], "-test.run", "^("+tests+")$", "-test.failfast") // no timeout: go test has one
	for _, v := range os.Environ() {
		if !strings.HasPrefix(v, driver.LibraryVariable+"=") {
			c.Env = append(c.Env, v)
		}
	}
	c.Env = append(c.Env, append(environment, "VANILLA_STANDIN_RACE=1", "VANILLA_STANDIN_ORDER="+order)...)
	if library != "" {
		c.Env = append(c.Env, driver.LibraryVariable+"="+library)
	}
	out, err := c.CombinedOutput()
	return string(out), err
}

// No kernel has a data race, in any order of a block's threads.
func TestRaces(t *testing.T) {
	onlyStandIn(t)
	if standin.Races() {
		t.Skip("it is this test that runs the checker")
	}
	for _, order := range []string{"forward", "reverse", "shuffled"} {
		t.Run(order, func(t *testing.T) {
			if out, err := watch("", order, "TestRaceResident|TestRaceStream|TestRaceSubjects|TestRaceSpread|TestRaceSpreadStream|TestUpdates"); err != nil {
				t.Errorf("%v\n%.4000s", err, out)
			}
		})
	}
}

// barriers is every barrier of the kernels. Its removal must be noticed:
// as a race, or because threads wait for ever or read what nobody has written.
var barriers = []mistake{
	{file: "network.cu", old: "epoch, part);\n    }\n  }\n  __syncthreads();", new: "epoch, part);\n    }\n  }\n  if (!PLANTED) __syncthreads();"},
	{file: "network.cu", old: "= label;\n  }\n  __syncthreads();", new: "= label;\n  }\n  if (!PLANTED) __syncthreads();"},
	{file: "network.cu", old: "!isfinite(loss);\n    }\n    __syncthreads();", new: "!isfinite(loss);\n    }\n    if (!PLANTED) __syncthreads();"},
	{file: "network.cu", old: "0, 1, int(blockIdx.x));\n  __syncthreads();", new: "0, 1, int(blockIdx.x));\n  if (!PLANTED) __syncthreads();"},
	{file: "network.cu", old: "step).count);\n  }\n  __syncthreads();", new: "step).count);\n  }\n  if (!PLANTED) __syncthreads();", test: "TestRaceSpread"},
	// And what is between the launches of a step that is spread.
	{file: "network.cu", old: "case PHASE_BATCH: block_batch(block, step); break;", new: "case PHASE_BATCH: block_batch(block, step); if (!PLANTED) break; number = 0; [[fallthrough]];", test: "TestRaceSpread"},
	{file: "network.cu", old: "block.ops[number]); break;", new: "block.ops[number]); if (PLANTED && number + 1 < block.ops_count) block_operation(block, block.ops[number + 1]); break;", test: "TestRaceSpread"},
	{file: "network.cu", old: "case PHASE_UPDATE: block_update(block); break;", new: "case PHASE_UPDATE: block_update(block); if (!PLANTED) break; [[fallthrough]];", test: "TestRaceSpread"},
	{file: "network.cu", old: "(launch->queue), 1u));\n    __syncthreads();", new: "(launch->queue), 1u));\n    if (!PLANTED) __syncthreads();"},
	{file: "ceilings.cu", old: "another one's\n  __syncthreads();", new: "another one's\n  if (!PLANTED) __syncthreads();"},
	{file: "selftest.cu", old: "atomicAdd(next, 1u);\n    __syncthreads();", new: "atomicAdd(next, 1u);\n    if (!PLANTED) __syncthreads();"},
	{file: "selftest.cu", old: "= value;\n    __syncthreads();", new: "= value;\n    if (!PLANTED) __syncthreads();"},
	{file: "selftest.cu", old: ": 0;\n      __syncthreads();", new: ": 0;\n      if (!PLANTED) __syncthreads();"},
	{file: "selftest.cu", old: "+= before;\n      __syncthreads();", new: "+= before;\n      if (!PLANTED) __syncthreads();"},
	{file: "augment.cuh", old: "__syncwarp(); // before pixels", new: "if (!PLANTED) __syncwarp(); // before pixels"},
	{file: "block.cuh", old: "= v;\n  __syncthreads();", new: "= v;\n  if (!PLANTED) __syncthreads();"},
	{file: "operation.cuh", old: "  }\n  __syncthreads();\n}", new: "  }\n  if (!PLANTED) __syncthreads();\n}"},
	{file: "operation.cuh", old: "if (from > block.number * STAGE) __syncthreads();", new: "if (from > block.number * STAGE && !PLANTED) __syncthreads();"},
	{file: "operation.cuh", old: "= sum;\n    }\n    __syncthreads();", new: "= sum;\n    }\n    if (!PLANTED) __syncthreads();"},
	{file: "product.cuh", old: "next_b, how_b.along_inner);\n    __syncwarp();", new: "next_b, how_b.along_inner);\n    if (!PLANTED) __syncwarp();"},
	{file: "product.cuh", old: "__syncwarp(); // before the stage is", new: "if (!PLANTED) __syncwarp(); // before the stage is"},
	{file: "product.cuh", old: "__syncwarp(); // before the stage holds", new: "if (!PLANTED) __syncwarp(); // before the stage holds"},
	{file: "product.cuh", old: "sum[i][3]);\n    __syncthreads();", new: "sum[i][3]);\n    if (!PLANTED) __syncthreads();"},
	{file: "product.cuh", old: "__syncthreads(); // before", new: "if (!PLANTED) __syncthreads(); // before"},
	{file: "reduce.cuh", old: "= v;\n      __syncthreads();", new: "= v;\n      if (!PLANTED) __syncthreads();"},
	{file: "reduce.cuh", old: "__syncthreads(); // before parts", new: "if (!PLANTED) __syncthreads(); // before parts"},
	{file: "resident_block.cuh", old: "= 0; // pixels beyond the input\n  __syncthreads();", new: "= 0;\n  if (!PLANTED) __syncthreads();"},
	{file: "resident_block.cuh", old: "(launch->queue), 1u));\n    __syncthreads();", new: "(launch->queue), 1u));\n    if (!PLANTED) __syncthreads();"},
	{file: "resident_block.cuh", old: "warp_pixels<C>(notes, shared);\n    __syncthreads();", new: "warp_pixels<C>(notes, shared);\n    if (!PLANTED) __syncthreads();"},
	{file: "resident_pixels.cuh", old: "__syncwarp(); // before keys", new: "if (!PLANTED) __syncwarp(); // before keys"},
	{file: "resident_pixels.cuh", old: "__syncwarp(); // before the cursor", new: "if (!PLANTED) __syncwarp(); // before the cursor"},
	{file: "resident_pixels.cuh", old: "block_meet<C>(); // the first two", new: "if (!PLANTED) block_meet<C>(); // the first two"},
	{file: "resident_pixels.cuh", old: "block_meet<C>(); // all have", new: "if (!PLANTED) block_meet<C>(); // all have"},
	{file: "resident_pixels.cuh", old: "warp_barrier_arrive(BARRIER_SUMS", new: "if (!PLANTED) warp_barrier_arrive(BARRIER_SUMS"},
	{file: "resident_pixels.cuh", old: "warp_barrier_sync(BARRIER_SUMS", new: "if (!PLANTED) warp_barrier_sync(BARRIER_SUMS"},
	{file: "resident_pixels.cuh", old: "thread_copy_wait();\n    warp", new: "if (!PLANTED) thread_copy_wait();\n    warp"},
	{file: "resident_pixels.cuh", old: "warp_barrier_sync(BARRIER_DELTAS", new: "if (!PLANTED) warp_barrier_sync(BARRIER_DELTAS"},
	{file: "resident_head.cuh", old: "warp_barrier_sync(BARRIER_SUMS", new: "if (!PLANTED) warp_barrier_sync(BARRIER_SUMS"},
	{file: "resident_head.cuh", old: "warp_barrier_sync(BARRIER_DELTAS", new: "if (!PLANTED) warp_barrier_sync(BARRIER_DELTAS"},
	{file: "resident_head.cuh", old: "block_meet<C>(); // the first two", new: "if (!PLANTED) block_meet<C>(); // the first two"},
	{file: "resident_head.cuh", old: "block_meet<C>();\n", new: "if (!PLANTED) block_meet<C>();\n"},
}

// streamBarriers are those of the streaming kernels.
var streamBarriers = []mistake{
	{file: "stream_layers.cuh", old: "if (splits > 1 && from > first) __syncthreads();", new: "if (splits > 1 && from > first && !PLANTED) __syncthreads();"},
	{file: "stream_layers.cuh", old: "if (splits > 1) __syncthreads();", new: "if (splits > 1 && !PLANTED) __syncthreads();"},
	{file: "stream.cu", old: "__syncthreads(); // the next part is", new: "if (!PLANTED) __syncthreads(); // the next part is"},
	{file: "stream.cu", old: "__syncthreads(); // its outputs are", new: "if (!PLANTED) __syncthreads(); // its outputs are"},
	{file: "stream.cu", old: "__syncthreads(); // the loss's", new: "if (!PLANTED) __syncthreads(); // the loss's"},
	{file: "stream.cu", old: "__syncthreads(); // the last layer's", new: "if (!PLANTED) __syncthreads(); // the last layer's"},
	{file: "stream.cu", old: "__syncthreads(); // the deltas below", new: "if (!PLANTED) __syncthreads(); // the deltas below"},
	{file: "stream.cu", old: "if (two) thread_copy_wait();", new: "if (two && !PLANTED) thread_copy_wait();"},
	{file: "stream.cu", old: "__syncthreads(); // the next part's", new: "if (!PLANTED) __syncthreads(); // the next part's"},
	{file: "stream.cu", old: "__syncthreads(); // all that", new: "if (!PLANTED) __syncthreads(); // all that"},
	{file: "stream.cu", old: "block_fetch(s, part + 1);\n    thread_copy_wait();", new: "block_fetch(s, part + 1);\n    if (!PLANTED) thread_copy_wait();"},
	{file: "stream.cu", old: "__syncthreads(); // its pixels", new: "if (!PLANTED) __syncthreads(); // its pixels"},
	{file: "stream.cu", old: "int(blockIdx.x));\n  __syncthreads();", new: "int(blockIdx.x));\n  if (!PLANTED) __syncthreads();"},
	{file: "stream.cu", old: "__syncthreads(); // layers and", new: "if (!PLANTED) __syncthreads(); // layers and"},
	{file: "stream.cu", old: "__syncthreads(); // pixels and", new: "if (!PLANTED) __syncthreads(); // pixels and"},
	{file: "stream.cu", old: "(launch->queue), 1u));\n    __syncthreads();", new: "(launch->queue), 1u));\n    if (!PLANTED) __syncthreads();"},
	{file: "stream_spread.cu", old: "__syncthreads(); // the part is", new: "if (!PLANTED) __syncthreads(); // the part is"},
	{file: "stream_spread.cu", old: "thread_copy_wait();", new: "if (!PLANTED) thread_copy_wait();"},
	{file: "stream_spread.cu", old: "__syncthreads(); // they are", new: "if (!PLANTED) __syncthreads(); // they are"},
	{file: "stream_spread.cu", old: "__syncthreads(); // the job", new: "if (!PLANTED) __syncthreads(); // the job"},
	{file: "stream_spread.cu", old: "__syncthreads(); // pixels", new: "if (!PLANTED) __syncthreads(); // pixels"},
	{file: "stream_spread.cu", old: "__syncthreads(); // what the loss", new: "if (!PLANTED) __syncthreads(); // what the loss"},
	{file: "stream_spread.cu", old: "__syncthreads(); // whether", new: "if (!PLANTED) __syncthreads(); // whether"},
	{file: "stream_spread.cu", old: "__syncthreads(); // both", new: "if (!PLANTED) __syncthreads(); // both"},
	{file: "stream_spread.cu", old: "__syncthreads(); // what is known", new: "if (!PLANTED) __syncthreads(); // what is known"},
	{file: "stream_spread.cu", old: "__syncthreads(); // layers", new: "if (!PLANTED) __syncthreads(); // layers"},
	// And what is between the launches of a network that is spread.
	{file: "stream_spread.cu", old: "case STREAM_IN: block_state<C, false>(s); break;", new: "case STREAM_IN: block_state<C, false>(s); if (!PLANTED) break; [[fallthrough]];"},
	{file: "stream_spread.cu", old: "rates, flags);\n    break;\n  case STREAM_FORWARD", new: "rates, flags);\n    if (!PLANTED) break;\n    number = 1;\n    [[fallthrough]];\n  case STREAM_FORWARD"},
	{file: "stream_spread.cu", old: "block_forward<C>(s, number, groups); break;", new: "block_forward<C>(s, number, groups); if (PLANTED && number < top) block_forward<C>(s, number + 1, groups); break;"},
	{file: "stream_spread.cu", old: "block_back<C>(s, number, groups); break;", new: "block_back<C>(s, number, groups); if (!PLANTED) break; [[fallthrough]];"},
	{file: "stream_spread.cu", old: "    break;\n  case STREAM_UPDATE_FIRST:", new: "    if (!PLANTED) break;\n    [[fallthrough]];\n  case STREAM_UPDATE_FIRST:"},
	{file: "stream_batch.cuh", old: "__syncwarp(); // before keys", new: "if (!PLANTED) __syncwarp(); // before keys"},
	{file: "stream_product.cuh", old: "case 4: thread_copy_wait_but<3>();", new: "case 4: if (!PLANTED) thread_copy_wait_but<3>();"},
}

// Every barrier is needed: what is not was taken out. But for two of a warp's lanes in
// resident_pixels.cuh: that within the turn keeps the assembler from loading late, and
// makes the one between two turns needless where there are both.
func TestBarriers(t *testing.T) {
	onlyStandIn(t)
	if testing.Short() || standin.Races() {
		t.Skip("it compiles everything anew")
	}
	dir := t.TempDir()
	all := slices.Concat(barriers, streamBarriers)
	plant(t, dir, all)
	library, err := standin.BuildRaces(dir)
	if err != nil {
		t.Fatal(err)
	}
	run := func(planted int, tests string) (string, error) {
		return watch(library, "forward", tests, fmt.Sprintf("VANILLA_PLANTED=%d", planted))
	}
	t.Run("none", func(t *testing.T) {
		t.Parallel()
		if out, err := run(0, "TestRaceResident|TestRaceSubjects"); err != nil {
			t.Errorf("%v\n%.4000s", err, out)
		}
	})
	for i, b := range all {
		t.Run(fmt.Sprintf("%d in %s", i+1, b.file), func(t *testing.T) {
			t.Parallel()
			tests := "TestRaceSubjects"
			if strings.HasPrefix(b.file, "resident") {
				tests = "TestRaceResident"
			}
			if strings.HasPrefix(b.file, "stream") {
				tests = "TestRaceStream"
			}
			if b.file == "stream_spread.cu" {
				tests = "TestRaceSpreadStream"
			}
			if b.test != "" {
				tests = b.test
			}
			if out, err := run(i+1, tests); err == nil || !strings.Contains(out, "race at ") && !strings.Contains(out, "stand-in for CUDA: ") {
				t.Errorf("%s\nis not noticed: %v\n%.3000s", b.new, err, out)
			}
		})
	}
}
