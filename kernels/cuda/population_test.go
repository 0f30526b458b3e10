//go:build gpu && !cpu && linux && amd64 && cgo

package cuda

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"math"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"sync"
	"testing"
	"time"

	"vanilla/graph"
	"vanilla/graph/ir"
	"vanilla/internal/conformance"
	"vanilla/internal/cuda/driver"
	"vanilla/internal/cuda/standin"
	"vanilla/kernels"
	"vanilla/kernels/ref"
)

// onlyStandIn skips a test that sets what the stand-in stands in for.
func onlyStandIn(t *testing.T) {
	t.Helper()
	if standin.RequireGPU() {
		t.Skip("a GPU is required: this test needs the stand-in")
	}
}

func chain(t *testing.T, act ir.Activation, loss graph.Loss, widths ...int) *ir.Program {
	t.Helper()
	n, err := graph.New(graph.Arch{Widths: widths, Activation: act, Loss: loss})
	if err != nil {
		t.Fatal(err)
	}
	return n.Program
}

// mix makes n variants of 20 inputs and 4 classes that differ in everything.
func mix(t *testing.T, n int) []kernels.Variant {
	t.Helper()
	var programs []*ir.Program
	for i, widths := range [][]int{{20, 4}, {20, 7, 4}, {20, 17, 9, 4}, {20, 40, 4}, {20, 5, 5, 5, 4}} {
		programs = append(programs, chain(t, graph.Activations()[i], graph.CrossEntropy, widths...))
	}
	var variants []kernels.Variant
	for i := range n {
		v := conformance.Variant(programs[i%len(programs)], []int{10, 32, 1, 7}[i%4])
		var err error
		if v.Optimizer, err = kernels.NewOptimizer(kernels.OptimizerNames()[i%5]); err != nil {
			t.Fatal(err)
		}
		v.Seed, v.OrderSeed = uint64(i), uint64(1000+i)
		v.Schedule.LR = 0.01 * float64(1+i%3)
		variants = append(variants, v)
	}
	return variants
}

func prepare(t *testing.T, e kernels.Executor, data kernels.Data, v ...kernels.Variant) kernels.Population {
	t.Helper()
	p, err := e.Prepare(data, v)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := p.Close(); err != nil && !t.Failed() && !errors.Is(err, driver.ErrDeviceLost) {
			t.Error(err)
		}
	})
	return p
}

func states(t *testing.T, p kernels.Population, n int) []kernels.State {
	t.Helper()
	all := make([]kernels.State, n)
	for i := range all {
		var err error
		if all[i], err = p.State(i); err != nil {
			t.Fatal(err)
		}
	}
	return all
}

// targets are different steps for each of n variants.
func targets(n int) []int {
	until := make([]int, n)
	for i := range until {
		until[i] = 3 + i%11
	}
	return until
}

// train trains fresh networks to their targets.
func train(t *testing.T, e kernels.Executor, data kernels.Data, v []kernels.Variant, until []int) []kernels.State {
	t.Helper()
	p := prepare(t, e, data, v...)
	if err := p.Advance(t.Context(), until, nil); err != nil {
		t.Fatal(err)
	}
	return states(t, p, len(v))
}

func sameStates(t *testing.T, what string, got, want []kernels.State) {
	t.Helper()
	for i := range want {
		if !reflect.DeepEqual(got[i], want[i]) {
			t.Errorf("%s: variant %d ends at step %d in other bits than at step %d", what, i, got[i].Step, want[i].Step)
		}
	}
}

func TestExecutorNames(t *testing.T) {
	e := newExecutor(t)
	if e.Name() != "cuda" || !strings.Contains(e.Device(), "compute capability") {
		t.Errorf("the executor is called %q on %q", e.Name(), e.Device())
	}
	if standIn(e) && !strings.Contains(e.Device(), "not a GPU") {
		t.Errorf("the stand-in calls itself %q", e.Device())
	}
	lines, err := e.Explain(chain(t, ir.Tanh, graph.CrossEntropy, 784, 16, 10), kernels.Optimizer{Name: "sgd"})
	if text := strings.Join(lines, "\n"); err != nil || !strings.Contains(text, "dense x W1") || !strings.Contains(text, "shared memory") {
		t.Errorf("Explain says %q, %v", text, err)
	}
	if _, err := New(FP32, 99); err == nil {
		t.Error("device 99 was opened")
	}
	mixed := &executor{gpus: []*gpu{{device: driver.Device{Major: 9}}, {device: driver.Device{Index: 1, Major: 8, Minor: 6}}}}
	if err := mixed.oneKind(); err == nil || !strings.Contains(err.Error(), "device 1 has compute capability 8.6, device 0 has 9.0") {
		t.Errorf("devices of two kinds: %v", err)
	}
}

// A network's bits do not depend on its neighbours, on the number of blocks or on
// who is first: more networks than blocks, of any mix, end as each does alone.
func TestQueue(t *testing.T) {
	const n = 60
	variants, until := mix(t, n), targets(n)
	data := conformance.Data(variants[0].Program(), 41)
	e := newExecutor(t)
	together := train(t, e, data, variants, until)
	for i := 0; i < n; i += 7 {
		alone := train(t, e, data, variants[i:i+1], until[i:i+1])
		sameStates(t, fmt.Sprintf("variant %d alone", i), together[i:i+1], alone)
	}
}

// Devices with 64 and 100 KB of shared memory have room for what a step of a small
// network touches often, and two blocks on a multiprocessor where both have.
func TestPlanBytes(t *testing.T) {
	const static = 30 << 10
	for _, c := range []struct {
		device driver.Device
		want   int
	}{
		{driver.Device{SharedPerBlock: 65536, SharedPerSM: 65536}, 65536 - static},
		{driver.Device{SharedPerBlock: 166912, SharedPerSM: 167936, SharedReserved: 1024}, 167936/2 - 1024 - static},
		{driver.Device{SharedPerBlock: 101376, SharedPerSM: 102400, SharedReserved: 1024}, 102400/2 - 1024 - static},
		{driver.Device{SharedPerBlock: static - 1, SharedPerSM: static - 1}, 0},
	} {
		if got := planBytes(c.device, static); got != c.want {
			t.Errorf("%+v: %d bytes, want %d", c.device, got, c.want)
		}
	}
}

// A plan counts what CUDA keeps of each block's shared memory: two blocks run where
// one byte more would leave one. Every device runs the code that was compiled for it.
func TestDevicesPlans(t *testing.T) {
	onlyStandIn(t)
	for _, c := range []struct {
		capability           string
		architecture, blocks int
	}{{"7.5", 75, 1}, {"8.0", 80, 2}, {"8.6", 86, 2}, {"8.9", 89, 2}, {"9.0", 90, 2}, {"10.0", 100, 2}, {"12.0", 120, 2}} {
		t.Setenv("VANILLA_STANDIN_CAPABILITY", c.capability)
		t.Setenv("VANILLA_STANDIN_DRIVER", map[bool]string{true: "12080", false: "12000"}[c.architecture >= 100])
		g, err := open(0)
		if err != nil {
			t.Fatalf("%s: %v", c.capability, err)
		}
		defer g.context.Close()
		functions := []*driver.Function{g.kernel, g.scalars, g.epochs}
		if g.device.Major >= 8 {
			f, err := g.function(class{units: narrowUnits, precision: BF16})
			if err != nil {
				t.Fatal(err)
			}
			functions = append(functions, g.rows, f)
			// Two of its blocks run where they fit; where they do not, nothing makes it spill.
			if alone := g.device.SharedPerSM == 100<<10; alone && f.LocalBytes != 0 || !alone && f.Registers > 128 {
				t.Errorf("%s: %d registers and %d bytes of local memory", c.capability, f.Registers, f.LocalBytes)
			}
		}
		for _, f := range functions {
			if f.Architecture != c.architecture {
				t.Errorf("%s: %s runs code for %d", c.capability, f.Name, f.Architecture)
			}
		}
		bytes := 4 * g.sharedFloats
		if n, err := g.kernel.BlocksPerSM(blockThreads, bytes); err != nil || n != c.blocks {
			t.Errorf("%s: %d blocks with %d bytes, want %d, err %v", c.capability, n, bytes, c.blocks, err)
		}
		if n, err := g.kernel.BlocksPerSM(blockThreads, bytes+4); err != nil || n != c.blocks-1 {
			t.Errorf("%s: %d blocks with more than the plan takes, want %d, err %v", c.capability, n, c.blocks-1, err)
		}
	}
}

// Where a block has 99 KB of shared memory, resident kernels train shallow chains; of
// deep ones a line says how much they need, and a streaming kernel trains them.
func TestResidentOn100KB(t *testing.T) {
	onlyStandIn(t)
	t.Setenv("VANILLA_STANDIN_CAPABILITY", "8.9")
	for _, c := range []struct {
		precision string
		widths    []int
		class     string
		why       string // what keeps it from being a resident one
	}{
		{FP32, []int{20, 10}, "class resident_fp32_0", ""},
		{BF16, []int{20, 16, 16, 10}, "class resident_bf16_0", ""},
		{FP32, []int{20, 16, 16, 16, 16, 16, 16, 10}, "class stream_fp32_0", "no resident one, because it needs 155136 bytes of shared memory, a block has 101376"},
	} {
		e := newPrecise(t, c.precision)
		v := conformance.Variant(chain(t, ir.Sigmoid, graph.CrossEntropy, c.widths...), 32)
		lines, err := e.Explain(v.Source, v.Optimizer)
		text := strings.Join(lines, "\n")
		if err != nil || !strings.Contains(lines[0], c.class+",") || !strings.Contains(text, c.why) || strings.Contains(text, "no resident one") != (c.why != "") {
			t.Errorf("%s %v: %q, err %v", c.precision, c.widths, lines, err)
		}
		if c.precision == FP32 {
			sameEpochs(t, e, conformance.Data(v.Program(), 70), v, 1, conformance.TrajectoryTolerance)
		}
	}
}

// The bits do not depend on where values live, which differs by capability, nor on
// the order in which the threads of a block run.
func TestPlacesChangeNothing(t *testing.T) {
	onlyStandIn(t)
	variants, until := mix(t, 20), targets(20)
	wide := conformance.Variant(chain(t, ir.ReLU, graph.CrossEntropy, 20, 300, 300, 4), 32) // in no shared memory
	variants, until = append(variants, wide), append(until, 3)
	data := conformance.Data(variants[0].Program(), 42)
	var want []kernels.State
	for _, c := range []struct{ capability, order, threads string }{
		{"9.0", "forward", "2"}, {"8.0", "reverse", "1"}, {"7.5", "shuffled", "3"}, {"8.6", "forward", "2"}, {"12.0", "reverse", "2"},
	} {
		t.Setenv("VANILLA_STANDIN_CAPABILITY", c.capability)
		t.Setenv("VANILLA_STANDIN_ORDER", c.order)
		t.Setenv("VANILLA_STANDIN_THREADS", c.threads)
		got := train(t, newExecutor(t), data, variants, until)
		if want == nil {
			want = got
		}
		sameStates(t, fmt.Sprint(c), got, want)
	}
}

// Several devices share a population, and it makes no difference.
func TestDevices(t *testing.T) {
	onlyStandIn(t)
	t.Setenv("VANILLA_STANDIN_DEVICES", "3")
	const n = 30
	variants, until := mix(t, n), targets(n)
	data := conformance.Data(variants[0].Program(), 43)
	want := train(t, newExecutor(t, 0), data, variants, until)
	all := newExecutor(t)
	if !strings.Contains(all.Device(), "3 devices") {
		t.Errorf("the executor of three devices is on %q", all.Device())
	}
	sameStates(t, "three devices", train(t, all, data, variants, until), want)

	// Each of them works: if one fails, all stop, and what is finished stays.
	for device := range 3 {
		t.Setenv("VANILLA_STANDIN_FAIL", fmt.Sprintf("launch:1:719:%d", device))
		p := prepare(t, newExecutor(t), data, variants...)
		err := p.Advance(t.Context(), until, nil)
		if !errors.Is(err, driver.ErrDeviceLost) || !strings.Contains(err.Error(), fmt.Sprintf("device %d", device)) {
			t.Fatalf("device %d fails: %v", device, err)
		}
		prefixes(t, states(t, p, n), variants, data)
	}
}

// prefixes checks that each state is one that its variant passes through.
func prefixes(t *testing.T, got []kernels.State, variants []kernels.Variant, data kernels.Data) {
	t.Helper()
	t.Setenv("VANILLA_STANDIN_FAIL", "")
	until := make([]int, len(got))
	for i, s := range got {
		until[i] = s.Step
	}
	sameStates(t, "what a failure left", got, train(t, newExecutor(t), data, variants, until))
}

// Where memory is short, waves are smaller, and the result is the same.
func TestOutOfMemory(t *testing.T) {
	onlyStandIn(t)
	p := chain(t, ir.Sigmoid, graph.CrossEntropy, 784, 16, 16, 10)
	data := conformance.Data(p, 44)
	var variants []kernels.Variant
	for i := range 12 {
		v := conformance.Variant(p, 10)
		v.Seed = uint64(i)
		variants = append(variants, v)
	}
	until := targets(12)
	want := train(t, newExecutor(t), data, variants, until)

	pixels := 784 * (data.Train.Len() + data.Validation.Len() + data.Test.Len())
	state := 4 * p.Parameters()
	for _, c := range []struct {
		networks int // whose states fit
		work     int // bytes for values of blocks
	}{{5, 200 << 10}, {1, 100 << 10}, {12, 150 << 10}} {
		memory := pixels + 2*c.networks*state + state + c.work // each state with its copy
		if c.networks < 12 && memory >= pixels+2*12*state {    // or it shows nothing
			t.Fatalf("%d bytes hold all networks", memory)
		}
		t.Setenv("VANILLA_STANDIN_MEMORY", fmt.Sprint(memory))
		got := train(t, newExecutor(t), data, variants, until)
		sameStates(t, fmt.Sprintf("%d bytes", memory), got, want)
	}

	// A network that fits by no means is named.
	t.Setenv("VANILLA_STANDIN_MEMORY", fmt.Sprint(pixels+state/2))
	small := prepare(t, newExecutor(t), data, variants...)
	err := small.Advance(t.Context(), until, nil)
	if !errors.Is(err, driver.ErrOutOfMemory) || !strings.Contains(err.Error(), "variant") {
		t.Errorf("a network larger than the memory: %v", err)
	}
	for i, s := range states(t, small, 12) {
		if s.Step != 0 {
			t.Errorf("variant %d is at step %d", i, s.Step)
		}
	}
	// So is data.
	t.Setenv("VANILLA_STANDIN_MEMORY", fmt.Sprint(784*data.Train.Len()-1))
	if _, err := newExecutor(t).Prepare(data, variants); !errors.Is(err, driver.ErrOutOfMemory) || !strings.Contains(err.Error(), "train pixels") {
		t.Errorf("data larger than the memory: %v", err)
	}
}

// Whatever call fails, whenever: an error, states that training passes through,
// and reports of no more than these. If the device is not lost, training goes on.
func TestFailures(t *testing.T) {
	onlyStandIn(t)
	const n = 6
	variants := mix(t, n)
	until := make([]int, n)
	for i := range until {
		until[i] = 40
	}
	data := conformance.Data(variants[0].Program(), 45)
	want := train(t, newExecutor(t), data, variants, until)
	const refused, failed, outOfMemory = 1, 719, 2 // CUresults: invalid value, launch failed, out of memory
	for _, call := range []struct {
		what        string
		first       int // after Prepare's
		count       int
		code        int
		recoverable bool
	}{
		{"launch", 1, 8, failed, false}, // a launch is three kernels
		{"in", 7, 5, refused, true},
		{"out", 1, 4, refused, true}, // two behind a launch
		{"out", 2, 3, failed, false},
		{"copy", 1, 2, refused, true},
		{"copy", 2, 1, failed, false},
		{"clear", 1, 2, refused, true},
		{"alloc", 7, 9, refused, true},
		{"alloc", 7, 9, outOfMemory, true},
		{"host", 1, 6, refused, true},
		{"host", 1, 6, outOfMemory, true},
	} {
		for nth := call.first; nth < call.first+call.count; nth++ {
			name := fmt.Sprintf("%s %d fails with %d", call.what, nth, call.code)
			t.Setenv("VANILLA_STANDIN_FAIL", fmt.Sprintf("%s:%d:%d", call.what, nth, call.code))
			e := newExecutor(t)
			p := prepare(t, e, data, variants...)
			reported := map[int]int{}
			err := p.Advance(t.Context(), until, func(r kernels.Report) { reported[r.Variant] = r.Step })
			after := states(t, p, n)
			if call.code == outOfMemory {
				if err != nil {
					t.Errorf("%s: %v", name, err)
				}
				sameStates(t, name, after, want)
				continue
			}
			if err == nil || !strings.Contains(err.Error(), "device 0") || errors.Is(err, driver.ErrDeviceLost) == call.recoverable {
				t.Errorf("%s: %v", name, err)
			}
			for i, s := range after {
				if reported[i] > s.Step {
					t.Errorf("%s: variant %d stands at step %d, step %d was reported", name, i, s.Step, reported[i])
				}
			}
			if call.recoverable {
				if err := p.Advance(t.Context(), until, nil); err != nil {
					t.Errorf("%s: afterwards: %v", name, err)
				}
				sameStates(t, name, states(t, p, n), want)
				continue
			}
			if _, err := p.Evaluate(t.Context(), 0, kernels.Test); !errors.Is(err, driver.ErrDeviceLost) {
				t.Errorf("%s: Evaluate afterwards: %v", name, err)
			}
			inference, err := e.Infer(variants[0].Source, after[0].Params, 0)
			if err != nil {
				t.Fatal(err)
			}
			if _, err := inference.Forward(t.Context(), make([]float32, 20)); !errors.Is(err, driver.ErrDeviceLost) {
				t.Errorf("%s: Forward afterwards: %v", name, err)
			}
			prefixes(t, after, variants, data)
		}
	}
}

// cancelledWithin is a context that is cancelled, with a cause, when the first kernel runs:
// none ends before. begun says how many have begun.
func cancelledWithin(t *testing.T) (ctx context.Context, begun func() int, cause error) {
	t.Helper()
	hold := filepath.Join(t.TempDir(), "hold")
	if err := os.WriteFile(hold, nil, 0o644); err != nil {
		t.Fatal(err)
	}
	t.Setenv("VANILLA_STANDIN_HOLD", hold)
	begun = func() int {
		text, err := os.ReadFile(hold + ".begun")
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			t.Error(err)
		}
		return len(text)
	}
	ctx, cancel := context.WithCancelCause(t.Context())
	cause = errors.New("that is enough")
	go func() {
		for begun() == 0 && t.Context().Err() == nil {
			time.Sleep(time.Millisecond)
		}
		cancel(cause)
		if err := os.Remove(hold); err != nil {
			t.Error(err)
		}
	}()
	return ctx, begun, cause
}

// Cancelling ends Advance when the launches under way end, two at most: no other one
// begins.
func TestCancelWithinLaunch(t *testing.T) {
	onlyStandIn(t)
	ctx, begun, stop := cancelledWithin(t)
	variants := mix(t, 4)
	data := conformance.Data(variants[0].Program(), 46)
	p := prepare(t, newExecutor(t), data, variants...)
	err := p.Advance(ctx, []int{1e6, 1e6, 1e6, 1e6}, nil)
	if !errors.Is(err, stop) {
		t.Errorf("Advance returned %v, want the cause", err)
	}
	if n := begun() / 3; n > 2 { // a launch is three kernels
		t.Errorf("%d launches have begun, want the one that was running and at most the next", n)
	}
	got := states(t, p, 4)
	for i, s := range got {
		if s.Step == 0 || s.Step == 1e6 {
			t.Errorf("variant %d is at step %d", i, s.Step)
		}
	}
	t.Setenv("VANILLA_STANDIN_HOLD", "")
	prefixes(t, got, variants, data)
	if err := p.Advance(ctx, []int{1, 1, 1, 1}, nil); !errors.Is(err, stop) {
		t.Errorf("Advance with a cancelled context returned %v", err)
	}
}

// A long target is no long launch: there are reports, and cancelling is noticed, on
// the way to it. How launches grow is TestPace's.
func TestSlices(t *testing.T) {
	variants := mix(t, 3)
	data := conformance.Data(variants[0].Program(), 47)
	p := prepare(t, newExecutor(t), data, variants...)
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	reports := 0
	err := p.Advance(ctx, []int{1e8, 1e8, 1e8}, func(kernels.Report) {
		if reports++; reports == 10 {
			cancel()
		}
	})
	if !errors.Is(err, context.Canceled) {
		t.Fatal(err)
	}
	for i, s := range states(t, p, 3) {
		if s.Step == 0 || s.Step == 1e8 {
			t.Errorf("variant %d is at step %d after %d reports", i, s.Step, reports)
		}
	}
}

// Evaluate, Forward, State and Restore of different variants at a time.
func TestConcurrent(t *testing.T) {
	onlyStandIn(t)
	t.Setenv("VANILLA_STANDIN_DEVICES", "2")
	const n = 12
	variants := mix(t, n)
	data := conformance.Data(variants[0].Program(), 48)
	e := newExecutor(t)
	p := prepare(t, e, data, variants...)
	x := make([]float32, 3*20)
	for i := range x {
		x[i] = float32(i) / 60
	}
	type result struct {
		score  kernels.Score
		values [][]float32
		state  kernels.State
	}
	do := func(i int) (r result) {
		var errs [4]error
		state := conformance.Randomize(variants[i])
		errs[0] = p.Restore(i, state)
		r.score, errs[1] = p.Evaluate(t.Context(), i, kernels.Test)
		r.values, errs[2] = conformance.Infer(t, e, variants[i], state.Params).Forward(t.Context(), x)
		r.state, errs[3] = p.State(i)
		if err := errors.Join(errs[:]...); err != nil {
			t.Error(err)
		}
		return r
	}
	var want, got [n]result
	for i := range n {
		want[i] = do(i)
	}
	var wait sync.WaitGroup
	for i := range n {
		wait.Go(func() { got[i] = do(i) })
	}
	wait.Wait()
	if !reflect.DeepEqual(got, want) {
		t.Error("results differ from those one after the other")
	}
}

// Numbers that are none: the class is kernels.Argmax's, and the loss is not finite.
func TestNaN(t *testing.T) {
	nan, inf := float32(math.NaN()), float32(math.Inf(1))
	v := conformance.Variant(chain(t, ir.Identity, graph.CrossEntropy, 20, 4), 10)
	data := conformance.Data(v.Program(), 49)
	p, q := prepare(t, newExecutor(t), data, v), prepare(t, ref.New(), data, v)
	for _, biases := range [][]float32{
		{nan, nan, nan, nan}, {nan, 1, nan, 1}, {1, nan, 2, 2}, {inf, 0, inf, 0}, {-inf, -inf, -inf, -inf}, {0, -inf, nan, 9},
	} {
		s := conformance.Randomize(v)
		for j := range s.Params[0] {
			s.Params[0][j] /= 1000
		}
		copy(s.Params[1], biases)
		var scores [2]kernels.Score
		for k, population := range []kernels.Population{p, q} {
			if err := population.Restore(0, s); err != nil {
				t.Fatal(err)
			}
			var err error
			if scores[k], err = population.Evaluate(t.Context(), 0, kernels.Test); err != nil {
				t.Fatal(err)
			}
		}
		if !reflect.DeepEqual(scores[0].Classes, scores[1].Classes) || scores[0].Correct != scores[1].Correct {
			t.Errorf("biases %v: classes %v, want %v", biases, scores[0].Classes, scores[1].Classes)
		}
		if a, b := scores[0].Loss, scores[1].Loss; math.IsNaN(a) != math.IsNaN(b) || math.IsInf(a, 0) != math.IsInf(b, 0) {
			t.Errorf("biases %v: loss %g, want %g", biases, a, b)
		}
	}
}

// Evaluation and Forward in many chunks and launches.
func TestChunks(t *testing.T) {
	v := conformance.Variant(chain(t, ir.Tanh, graph.Quadratic, 20, 30, 4), 10)
	data := conformance.Data(v.Program(), 50)
	for len(data.Test.Labels) < 1500 { // no multiple of a chunk
		data.Test.Pixels = append(data.Test.Pixels, data.Train.Pixels...)
		data.Test.Labels = append(data.Test.Labels, data.Train.Labels...)
	}
	var x []float32
	for _, pixel := range data.Test.Pixels {
		x = append(x, float32(pixel)/255)
	}
	e := newExecutor(t)
	p, q := prepare(t, e, data, v), prepare(t, ref.New(), data, v)
	score, err := p.Evaluate(t.Context(), 0, kernels.Test)
	if err != nil {
		t.Fatal(err)
	}
	want, err := q.Evaluate(t.Context(), 0, kernels.Test)
	if err != nil {
		t.Fatal(err)
	}
	if d := math.Abs(score.Loss - want.Loss); !(d <= conformance.Tolerance*want.Loss) || !reflect.DeepEqual(score.Classes, want.Classes) || score.Correct != want.Correct {
		t.Errorf("loss %g, %d correct; want %g, %d", score.Loss, score.Correct, want.Loss, want.Correct)
	}
	params := v.InitialState().Params
	inference := conformance.Infer(t, e, v, params)
	if again, err := inference.Evaluate(t.Context(), data.Test); err != nil || !reflect.DeepEqual(again, score) {
		t.Errorf("inference scores %v, error %v; the population %v", again.Loss, err, score.Loss)
	}
	got, err := inference.Forward(t.Context(), x)
	if err != nil {
		t.Fatal(err)
	}
	values, err := conformance.Infer(t, ref.New(), v, params).Forward(t.Context(), x)
	if err != nil {
		t.Fatal(err)
	}
	for id := range values {
		if len(got[id]) != len(values[id]) {
			t.Fatalf("value %d has %d numbers, want %d", id, len(got[id]), len(values[id]))
		}
		for i := range values[id] {
			if d := math.Abs(float64(got[id][i] - values[id][i])); !(d <= conformance.Tolerance*10) { // values are below 10
				t.Fatalf("value %d, number %d is %g, want %g", id, i, got[id][i], values[id][i])
			}
		}
	}
}

func TestMain(m *testing.M) { standin.Main(m) }
