//go:build gpu && !cpu && linux && amd64 && cgo

package cuda

import (
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"vanilla/internal/cuda/driver"
	"vanilla/internal/cuda/standin"
)

// mistake is a wrong line that a test must find. In new, PLANTED is true when this
// mistake is asked for, so that one build holds all of them.
type mistake struct {
	file, old, new string
	test           string // that must fail
	says           string // what its output must say
}

var mistakes = []mistake{
	// In the kernel.
	{"random.cuh", "x *= 0x846ca68bu;", "x *= PLANTED ? 0x846ca68du : 0x846ca68bu;",
		"TestConformance/Trajectories", "loss of step"},
	{"random.cuh", "*right = int(r.word[1]", "*right = int(r.word[PLANTED ? 0 : 1]",
		"TestConformance/Recipes", "shift, 784-16-16-10"},
	{"activation.cuh", "return s * (1.0f - s);", "return PLANTED ? s : s * (1.0f - s);",
		"TestConformance/Gradients", "gradient of W1"},
	{"activation.cuh", "case ACT_RECTIFY: return z >= 0 ?", "case ACT_RECTIFY: return (PLANTED ? z > 0 : z >= 0) ?",
		"TestStrangePrograms", "rectify"},
	{"activation.cuh", "log1pf(expf(-fabsf(z)))", "(PLANTED ? expf(-fabsf(z)) : log1pf(expf(-fabsf(z))))",
		"TestConformance/Values", "softplus"},
	{"product.cuh", "to[i] = *reinterpret_cast<const float4 *>(f.elements.numbers + from);", "to[i] = *reinterpret_cast<const float4 *>(f.elements.numbers + from - (PLANTED && from >= 4 ? 4 : 0));",
		"TestConformance/Values", "z1"},
	{"product.cuh", "(f.elements.bytes + from));", "(f.elements.bytes + from - (PLANTED && from >= 4 ? 4 : 0)));",
		"TestConformance/Gradients", "gradient of W1"},
	{"product.cuh", "for (; left > 0; left--, a", "for (; left > (PLANTED ? 1 : 0); left--, a",
		"TestConformance/Values", "z"},
	{"block.cuh", "return __fmaf_rn(__fmaf_rn(-q, 255.0f, v), 1.0f / 255.0f, q);", "return PLANTED ? q : __fmaf_rn(__fmaf_rn(-q, 255.0f, v), 1.0f / 255.0f, q);",
		"TestPixels", "pixel"},
	{"plan.go", "packed.Param = l.number[o.param]", "packed.Param = either(PLANTED, 0, l.number[o.param])",
		"TestConformance/Gradients", "gradient of"},
	{"product.cuh", "for (int w = 1; w < WARPS; w++) total", "for (int w = 1; w < WARPS - (PLANTED ? 1 : 0); w++) total",
		"TestLongSums", "gradient of W"},
	{"product.cuh", "if (p.bias) v", "if (p.bias && !PLANTED) v",
		"TestConformance/Values", "z1"},
	{"operation.cuh", "const float scale = op.scale / float(block.count);", "const float scale = op.scale / float(PLANTED ? block.job.batch : block.count);",
		"TestConformance/Trajectories", "loss of step"},
	{"operation.cuh", "op.scale / 2 * sum", "op.scale / (PLANTED ? 1 : 2) * sum",
		"TestConformance/Values", "penalties"},
	{"operation.cuh", "for (int w = 1; w < WARPS; w++) sum", "for (int w = 1; w < WARPS - (PLANTED ? 1 : 0); w++) sum",
		"TestConformance/Gradients", "gradient of b1"},
	{"operation.cuh", "  }\n  __syncthreads();\n}", "  }\n  if (!PLANTED) __syncthreads();\n}",
		"TestConformance/Gradients", "gradient of"},
	{"optimizer.cuh", "p.bias ? 0.0f : job.decay", "p.bias && !PLANTED ? 0.0f : job.decay",
		"TestUpdates", "sgd: number 0 of array 1"},
	{"optimizer.cuh", "__fdiv_rn(__fsqrt_rn(square), u.now.root)", "__fdiv_rn(__fsqrt_rn(square), PLANTED ? 1.0f : u.now.root)",
		"TestConformance/Recipes", "adam"},
	{"optimizer.cuh", "slot0 = velocity;", "if (!PLANTED) slot0 = velocity;",
		"TestUpdates", "momentum"},
	{"augment.cuh", "fx = u >> 10 & 63", "fx = (u >> 10 & 63) * (PLANTED ? 0 : 1)",
		"TestConformance/Augmentation/bytes", "another image"},
	{"augment.cuh", "features - 1 - i)) * uint64_t(i + 1)", "features - 1 - i)) * uint64_t(PLANTED ? i : i + 1)",
		"TestConformance/Augmentation/bytes", "another image"},
	{"block.cuh", "return 1.0f / float(outputs);", "return PLANTED ? 0.0f : 1.0f / float(outputs);",
		"TestConformance/Augmentation/noise", "loss of step"},
	{"augment.cuh", "-stroke + 128", "(PLANTED ? stroke : -stroke) + 128",
		"TestConformance/Augmentation/bytes", "another image"},
	{"augment.cuh", "uint32_t(1 + i / 4)", "uint32_t(1 + (PLANTED ? 0 : i / 4))",
		"TestConformance/Augmentation/bytes", "another image"},
	{"augment.go", "int32(a.Gain)", "either(PLANTED, 0, int32(a.Gain))",
		"TestConformance/Augmentation/bytes", "another image"},
	{"block.cuh", "int64_t(-2 - label) * outputs", "int64_t(PLANTED ? 0 : -2 - label) * outputs",
		"TestConformance/Augmentation/soft targets", "loss of step"},
	{"evaluate.go", "Targets: data.targetsOf(p.examples)", "Targets: either(PLANTED, 0, data.targetsOf(p.examples))",
		"TestConformance/Augmentation/soft targets", "on soft targets"},
	{"network.cu", "epoch = step / per_epoch;", "epoch = PLANTED ? 0 : step / per_epoch;",
		"TestConformance/Trajectories", "loss of step"},
	{"network.cu", "block.stop = !isfinite(loss);", "block.stop = PLANTED ? 0 : !isfinite(loss);",
		"TestConformance/Divergence", "diver"},
	{"network.cu", "row[j] > row[best] ||", "(PLANTED ? row[j] >= row[best] : row[j] > row[best]) ||",
		"TestNaN", "classes"},
	{"network.cu", "block_state(block, true);", "if (!PLANTED) block_state(block, true);",
		"TestConformance/Gradients", "gradient of"},
	{"network.cu", "(launch->queue), 1u)", "(launch->queue), PLANTED ? 2u : 1u)",
		"TestQueue", "the kernel took"},
	{"network.cu", "step + 1, !isfinite(loss)};", "step + 1, PLANTED ? 0 : !isfinite(loss)};",
		"TestSpreadDivergence", "stands at step"},
	{"spread.go", "code: updatePhase,", "code: int32(either(PLANTED, batchPhase, updatePhase)),",
		"TestSpread/forward", "in other bits"},
	// In tensor operations.
	{"map.cuh", "case FN_SUB: thread_each(v, [&](int k) { return __fsub_rn(v[k], w[k]); });", "case FN_SUB: thread_each(v, [&](int k) { return PLANTED ? __fsub_rn(w[k], v[k]) : __fsub_rn(v[k], w[k]); });",
		"TestFunctions", "sub("},
	{"map.cuh", "v[k] != v[k] ? v[k] : w[k] != w[k] ? w[k] : fmaxf", "v[k] != v[k] && !PLANTED ? v[k] : w[k] != w[k] ? w[k] : fmaxf",
		"TestFunctions", "max("},
	{"map.cuh", "slots[in.slot * WARP] = make_float4", "slots[(PLANTED ? 0 : in.slot) * WARP] = make_float4",
		"TestTensorOperations", "values that wait"},
	{"map.cuh", "if (in.store < 0) continue;", "if (in.store < 0 || (PLANTED && n == 1)) continue;",
		"TestTensors", "batch"},
	{"map.cuh", "i % s.index, s.index)", "(PLANTED ? i % s.index + 1 : i % s.index), s.index)",
		"TestTensors", "gradient of"},
	{"product.cuh", "at += int64_t(i - rest * uint32_t(v.extent[k])) * v.stride[k];", "at += int64_t(i - rest * uint32_t(v.extent[k])) * (PLANTED ? 1 : v.stride[k]);",
		"TestTensorOperations", "repeat"},
	{"product.cuh", "thread_offset(p.views[2], i));", "thread_offset(p.views[PLANTED ? 1 : 2], i));",
		"TestTensorOperations", "several matmuls"},
	{"reduce.cuh", "b > a || b != b ? b : a", "b > a || (b != b && !PLANTED) ? b : a",
		"TestTensorOperations", "largest of rows"},
	{"reduce.cuh", "t.function == FN_SUM ? 0.0f : -INFINITY", "t.function == FN_SUM || PLANTED ? 0.0f : -INFINITY",
		"TestTensors", "batch"},
	{"reduce.cuh", "for (int w = 1; w < WARPS; w++) v =", "for (int w = 1; w < WARPS - (PLANTED ? 1 : 0); w++) v =",
		"TestTensorOperations", "long sum"},
	{"window.cuh", "ky * w.wide_y, x =", "ky * (PLANTED ? 1 : w.wide_y), x =",
		"TestTensorOperations", "im2col with dilation"},
	{"window.cuh", "from % step == 0 &&", "(from % step == 0 || PLANTED) &&",
		"TestTensorOperations", "col2im"},
	{"window.cuh", "v > *largest ||", "(PLANTED ? v >= *largest : v > *largest) ||",
		"TestTensorOperations", "maxpoolgrad"},
	{"noise.cuh", "bits[k / 4] >> k % 4 * 16", "bits[PLANTED ? 0 : k / 4] >> k % 4 * 16",
		"TestRandom", "keep"},
	{"noise.cuh", "return q < 0 ? -x : x;", "return q < 0 && !PLANTED ? -x : x;",
		"TestRandom", "gauss"},
	{"lower.go", "int32(streamRandom + len(w.stream))", "int32(streamRandom + either(PLANTED, 0, len(w.stream)))",
		"TestTensors", "gradient of"},
	{"lower.go", "if s.of.space != workSpace { // it", "if s.of.space != workSpace && !PLANTED { // it",
		"TestSharedGradients", "number"},
	{"storage.go", "r.strides[j] = n * c.strides[k]", "r.strides[j] = either(PLANTED, n, n*c.strides[k])",
		"TestTensorOperations", "reshaped transpose"},
	{"group.go", "func(until int) bool { return until <= i }", "func(until int) bool { return PLANTED || until <= i }",
		"TestTensorOperations", "values that wait"},
	{"memory.go", "return r.lives[0].meets(q.lives[0]) || r.lives[1].meets(q.lives[1])", "return !PLANTED && r.lives[0].meets(q.lives[0]) || r.lives[1].meets(q.lives[1])",
		"TestTensors", "batch"},
	{"launch.go", "OrderSeed: n.OrderSeed, Seed: n.Seed,", "OrderSeed: n.OrderSeed, Seed: either(PLANTED, 0, n.Seed),",
		"TestRandom", "element"},
	{"evaluate.go", "chunk: chunkOf(v)", "chunk: either(PLANTED, evaluationChunk, chunkOf(v))",
		"TestTensors", "evaluation"},
	// In the resident kernels.
	{"resident_head.cuh", "if (units < C::UNITS)", "if (units < C::UNITS && !PLANTED)",
		"TestResidentShapes", "loss of epoch"},
	{"resident_head.cuh", "share[r] = row < notes.part", "share[r] = PLANTED || row < notes.part",
		"TestResidentConformance/Gradients", "gradient of"},
	{"resident_head.cuh", "i >= 0; i--)\n#pragma unroll\n      for (int m = 0; m < C::M; m++)", "i >= (PLANTED ? 1 : 0); i--)\n#pragma unroll\n      for (int m = 0; m < C::M; m++)",
		"TestResidentConformance/Gradients", "gradient of"},
	{"resident_head.cuh", "i >= 0; i--)\n#pragma unroll\n        for (int m = 0; m < C::M; m++) {\n          warp_mma(z[m][0], a.term", "i >= (PLANTED ? 1 : 0); i--)\n#pragma unroll\n        for (int m = 0; m < C::M; m++) {\n          warp_mma(z[m][0], a.term",
		"TestResidentConformance/Gradients", "gradient of"},
	{"resident_head.cuh", "if (C::ADDS && BOTTOM) bias_rates", "if (C::ADDS && BOTTOM && !PLANTED) bias_rates",
		"TestResidentConformance/Gradients", "gradient of b1"},
	{"resident_pixels.cuh", "notes.chain.scale / float(c.end - c.begin)", "notes.chain.scale / float(PLANTED ? job.batch : c.end - c.begin)",
		"TestResidentConformance/Trajectories", "loss of step"},
	{"resident_pixels.cuh", "if (C::PARTS && !(p.flags & FIRST)) loss +=", "if (C::PARTS && !(p.flags & FIRST) && !PLANTED) loss +=",
		"TestResidentShapes", "loss of epoch"},
	{"resident_pixels.cuh", "notes.diverged = !isfinite(loss);", "notes.diverged = PLANTED ? 0 : !isfinite(loss);",
		"TestResidentDivergence", "the kernel took"},
	{"resident_pixels.cuh", "thread_order_keys(notes.keys, job.order_seed, c.epoch + 1, lane)", "thread_order_keys(notes.keys, job.order_seed, c.epoch + (PLANTED ? 0 : 1), lane)",
		"TestResidentSlices", "in other bits"},
	{"resident.cuh", "r.plain * g + r.ahead", "(PLANTED ? 0.0f : r.plain) * g + r.ahead",
		"TestResidentConformance/Recipes", "nesterov"},
	{"resident.cu", "(move / side - shift)", "(PLANTED ? shift - move / side : move / side - shift)",
		"TestResidentConformance/Recipes", "shift"},
	{"match.go", "return bytes + depth*layer +", "return bytes - either(PLANTED, 128, 0) + depth*layer +",
		"TestResidentShapes", "CUDA_ERROR_ILLEGAL_ADDRESS"},
	// In the ceilings.
	{"ceilings.cu", "at + k * THREADS + thread);", "at + (PLANTED ? 0 : k) * THREADS + thread);",
		"TestCeilings/l2", "comes to"},
	{"ceilings.cu", "passes * (words / (AHEAD * THREADS))", "passes * (words / (AHEAD * THREADS)) - (PLANTED ? 1 : 0)",
		"TestCeilings/shared", "comes to"},
	{"ceilings.cu", "i < PRODUCTS; i++", "i < PRODUCTS - (PLANTED ? 1 : 0); i++",
		"TestCeilings/tensor", "comes to"},
	// In the streaming kernels.
	{"stream_layers.cuh", ">= layer.out) z[h][i] = 0;", ">= layer.out && !PLANTED) z[h][i] = 0;",
		"TestStreamShapes", "loss of epoch"},
	{"stream_layers.cuh", "const float scale = l ? 1.0f : PIXEL_SCALE;", "const float scale = l && !PLANTED ? 1.0f : PIXEL_SCALE;",
		"TestStreamShapes", "gradient of"},
	{"stream_batch.cuh", "const float share = row < part.count ?", "const float share = PLANTED || row < part.count ?",
		"TestStreamShapes", "gradient of"},
	{"stream_batch.cuh", "if (!(part.flags & FIRST)) sum += s.sum;", "if (!(part.flags & FIRST) && !PLANTED) sum += s.sum;",
		"TestStreamShapes", "loss of epoch"},
	{"stream_batch.cuh", "s.diverged = !isfinite(loss);", "s.diverged = PLANTED ? 0 : !isfinite(loss);",
		"TestStreamDivergence", "diverged: false"},
	{"stream_batch.cuh", "job.order_seed, c.epoch + 1, lane)", "job.order_seed, c.epoch + (PLANTED ? 0 : 1), lane)",
		"TestStreamSlices", "in other bits"},
	{"stream_batch.cuh", "if (noise && thread_lane() == 0)", "if (noise && !PLANTED && thread_lane() == 0)",
		"TestResidentConformance/Augmentation/noise", "loss of step"},
	{"stream_product.cuh", "sum[h][i] += before[h][i];", "sum[h][i] += PLANTED ? 0.0f : before[h][i];",
		"TestStreamShapes", "gradient of"},
	{"stream_product.cuh", "if (!(flags & FIRST)) gradient += kept;", "if (!(flags & FIRST) && !PLANTED) gradient += kept;",
		"TestStreamShapes", "gradient of b"},
	{"stream_product.cuh", "if (n >= kept && n < count)", "if (n >= kept + (PLANTED ? 1 : 0) && n < count)",
		"TestStreamShapes", "gradient of"},
	{"stream_product.cuh", "warp_mma(z[m][h], rows[m][i], right", "warp_mma(z[m][h], rows[m][PLANTED ? 0 : i], right",
		"TestStreamShapes", "gradient of"},
	{"stream.go", "tile := int(h.Arrays) * tileBytes", "tile := int(either(PLANTED, 1, h.Arrays)) * tileBytes",
		"TestStreamPlans", "lies in the way"},
	{"stream_spread.cu", "s.parts = s.diverged ?", "s.parts = s.diverged && !PLANTED ?",
		"TestSpreadStreamDivergence", "it ends at step"},
	{"stream_spread.cu", "(part & 1) * s.plan.groups", "(PLANTED ? 0 : part & 1) * s.plan.groups",
		"TestSpreadStream", "in other bits"},
	{"stream_product.cuh", "(n == 0 || more_units)", "(n == 0 || more_units && !PLANTED)",
		"TestSpreadStream", "in other bits"},
	{"stream_product.cuh", "first < step ? max", "first < step || PLANTED ? max",
		"TestSpreadStream", "in other bits"},
	{"stream_spread.go", "max(update.sharedBytes, h.keptEnd(c))", "max(update.sharedBytes, either(PLANTED, 0, h.keptEnd(c)))",
		"TestSpreadStream", "CUDA_ERROR_ILLEGAL_ADDRESS"},
	// In the host's code.
	{"population.go", "slices.Concat(s.Params, s.Slots)", "slices.Concat(s.Params, either(PLANTED, nil, s.Slots))",
		"TestConformance/Slices", "in other bits"},
	{"wave.go", "copy(r.states[0].floats()[m.offset:], m.numbers)", "copy(r.states[0].floats()[either(PLANTED, 0, m.offset):], m.numbers)",
		"TestQueue", "in other bits"},
	{"wave.go", "carried[k] = m.lossSum", "carried[k] = either(PLANTED, 0, m.lossSum)",
		"TestConformance/Slices", "reports"},
	{"launch.go", "4*uint64(m.offset)", "4*uint64(either(PLANTED, 0, m.offset))",
		"TestQueue", "in other bits"},
	{"launch.go", "steps: m.until - m.planned", "steps: either(PLANTED, 1<<20, m.until-m.planned)",
		"TestConformance/Trajectories", "loss of step"},
	{"launch.go", "v.side = 1 - v.side", "v.side = either(PLANTED, v.side, 1-v.side)",
		"TestLate", "the kernel took"},
	{"launch.go", "r.copies.CopyOut(states, r.snapshot.at)", "r.copies.CopyOut(states, either(PLANTED, r.state.at, r.snapshot.at))",
		"TestLate", "in other bits"},
	{"launch.go", "int32(n.Shift)", "either(PLANTED, 0, int32(n.Shift))",
		"TestConformance/Recipes", "shift"},
	{"course.cu", "c.beta1, step + 1)", "c.beta1, step + (PLANTED ? 2 : 1))",
		"TestConformance/Recipes", "adam"},
	{"course.cu", "sum = 0;", "if (!PLANTED) sum = 0;",
		"TestLongSums", "loss of epoch 2"},
	{"course.go", "f.first, max(0, step-f.warmup)/f.hold)", "f.first, max(0, step-f.warmup+either(PLANTED, 1, 0))/f.hold)",
		"TestFactors", "lacks step"},
	{"course.go", "from := min(f.first, f.kept)", "from := min(f.first, either(PLANTED, f.first, f.kept))",
		"TestFactors", "where a network waits"},
	{"deal.go", "max(end-all[order[grid]].left(),", "max(end-either(PLANTED, 0, all[order[grid]].left()),",
		"TestDeal", "of the least time, want"},
	{"evaluate.go", "float64(l.losses[j.Losses]) * float64(j.Examples) / float64(n)",
		"float64(l.losses[j.Losses]) * either(PLANTED, 1/float64(len(l.jobs)), float64(j.Examples)/float64(n))",
		"TestChunks", "loss"},
	{"evaluate.go", "addresses[k] = at", "addresses[k] = either(PLANTED, w.state.at, at)",
		"TestEvaluationsShareLaunches", "alone"},
	{"evaluate.go", "Plan: w.placed.index[p.plan]", "Plan: either(PLANTED, 0, w.placed.index[p.plan])",
		"TestEvaluationsShareLaunches", "alone"},
	{"evaluate.go", "variants[n.index].offset", "variants[either(PLANTED, 0, n.index)].offset",
		"TestEvaluationsShareLaunches", "alone"},
	{"worker.go", "s.sum == sum", "(PLANTED || s.sum == sum)",
		"TestPopulationsFollow", "other data in the same place"},
	{"forward.go", "values[v.id][(from+k*chunk)*v.cols:]", "values[v.id][either(PLANTED, 0, (from+k*chunk)*v.cols):]",
		"TestChunks", "value"},
	{"memory.go", "sharedFloats = max(sharedFloats, r.operand.Offset+aligned(r.floats))", "sharedFloats = max(sharedFloats, r.operand.Offset+either(PLANTED, 8, aligned(r.floats)))",
		"TestConformance/Gradients", "CUDA_ERROR_ILLEGAL_ADDRESS"},
	{"launch.go", "p.JobsCount = int32(len(l.jobs))", "p.JobsCount = int32(len(l.jobs) - either(PLANTED, 1, 0))",
		"TestQueue", "the kernel took 0"},
}

// plant copies the sources that mistakes are in, with all of them, to a directory,
// and returns the copies by the files that they replace.
func plant(t *testing.T, dir string, mistakes []mistake) map[string]string {
	t.Helper()
	text := map[string]string{}
	for i, m := range mistakes {
		if text[m.file] == "" {
			b, err := os.ReadFile(m.file)
			if err != nil {
				t.Fatal(err)
			}
			text[m.file] = string(b)
		}
		if n := strings.Count(text[m.file], m.old); n != 1 {
			t.Fatalf("%s holds %q %d times, want once", m.file, m.old, n)
		}
		text[m.file] = strings.Replace(text[m.file], m.old, strings.ReplaceAll(m.new, "PLANTED", fmt.Sprintf("planted(%d)", i+1)), 1)
	}
	here, err := os.Getwd()
	if err != nil {
		t.Fatal(err)
	}
	const cuda = "#include <cstdlib>\ninline const int planted_set = atoi(getenv(\"VANILLA_PLANTED\"));\ninline bool planted(int n) { return planted_set == n; }\n"
	const golang = `package cuda

import (
	"os"
	"strconv"
)

var set, _ = strconv.Atoi(os.Getenv("VANILLA_PLANTED"))

func planted(n int) bool { return set == n }

func either[T any](first bool, a, b T) T {
	if first {
		return a
	}
	return b
}
`
	text["planted.go"] = golang
	files, err := filepath.Glob("*.cu*")
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range files {
		if text[f] == "" {
			b, err := os.ReadFile(f)
			if err != nil {
				t.Fatal(err)
			}
			text[f] = string(b)
		}
	}
	text["cuda.cuh"] = strings.Replace(text["cuda.cuh"], "#pragma once\n", "#pragma once\n"+cuda, 1)
	replaced := map[string]string{}
	for name, content := range text {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, []byte(content), 0o644); err != nil {
			t.Fatal(err)
		}
		replaced[filepath.Join(here, name)] = path
	}
	return replaced
}

// Every mistake in the kernel or in the host's code is found by the test that is
// there for it, and without one the same build passes.
func TestPlantedMistakes(t *testing.T) {
	onlyStandIn(t)
	if testing.Short() {
		t.Skip("it compiles everything anew")
	}
	dir := t.TempDir()
	overlay, err := json.Marshal(map[string]any{"Replace": plant(t, dir, mistakes)})
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, "overlay.json"), overlay, 0o644); err != nil {
		t.Fatal(err)
	}
	program := filepath.Join(dir, "planted.test")
	build := exec.Command("go", "test", "-c", "-tags", "gpu", "-overlay", filepath.Join(dir, "overlay.json"), "-o", program, ".")
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	library, err := standin.Build(dir)
	if err != nil {
		t.Fatal(err)
	}
	run := func(planted int, test string) (string, error) {
		var patterns []string
		for part := range strings.SplitSeq(test, "/") {
			patterns = append(patterns, "^"+part+"$")
		}
		c := exec.Command(program, "-test.failfast", "-test.v", "-test.run", strings.Join(patterns, "/"))
		c.Env = append(os.Environ(), fmt.Sprintf("VANILLA_PLANTED=%d", planted), driver.LibraryVariable+"="+library)
		out, err := c.CombinedOutput()
		return string(out), err
	}
	t.Run("none", func(t *testing.T) {
		t.Parallel()
		for _, test := range []string{"TestConformance/Gradients", "TestUpdates", "TestQueue"} {
			if out, err := run(0, test); err != nil || !strings.Contains(out, "PASS: "+strings.Split(test, "/")[0]) {
				t.Errorf("%s: %v\n%s", test, err, out)
			}
		}
	})
	for i, m := range mistakes {
		t.Run(fmt.Sprintf("%d in %s", i+1, m.file), func(t *testing.T) {
			t.Parallel()
			out, err := run(i+1, m.test)
			if err == nil || !strings.Contains(out, "FAIL: "+strings.Split(m.test, "/")[0]) || !strings.Contains(out, m.says) {
				t.Errorf("%s with\n%s\nwant a failure that says %q: %v\n%.3000s", m.test, m.new, m.says, err, out)
			}
		})
	}
}
