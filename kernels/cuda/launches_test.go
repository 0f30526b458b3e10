//go:build gpu && !cpu && linux && amd64 && cgo

package cuda

import (
	"encoding/json"
	"flag"
	"os"
	"testing"
	"unsafe"

	"vanilla/graph"
	"vanilla/graph/ir"
	"vanilla/internal/conformance"
	"vanilla/internal/cuda/driver"
	"vanilla/kernels"
)

var launches = flag.String("launches", "", "the `file` that TestLaunches writes, which the model of streaming kernels reads")

// hopper is the device that the model is of, an H100.
var hopper = driver.Device{Major: 9, SMs: 132, SharedPerBlock: 227 << 10, SharedPerSM: 228 << 10, SharedReserved: 1 << 10}

// segment is memory of the device as the host leaves it. Zero is how many bytes of
// zeros are behind the content.
type segment struct {
	At      uint64
	Content []byte
	Zero    int
}

// modelLaunch is a launch of one network as a streaming kernel finds it.
type modelLaunch struct {
	Kernel, Optimizer string
	Arch              []int
	Batch             int
	PartsPerStep      int
	WorkBytes         int64 // of a block
	Control           uint64
	Segments          []segment
	Products          int // of 16 x 8 by 16 numbers: what a step is on tensor cores
	Phases            []modelPhase
}

// streamTogether is how many blocks of a spread streaming kernel run on a multiprocessor at
// most: its launch bounds. Phases without pixels leave shared memory for them.
const streamTogether = 2

// modelPhase is a launch of a spread kernel. Together is how many of its blocks run on a
// multiprocessor at a time, Counts whether it is of the step, and not before it.
type modelPhase struct {
	Code, Number int32
	Part, Blocks int
	Together     int
	Counts       bool
}

// launchOf lays out some steps of a network as wave.start does.
func launchOf(t *testing.T, arch []int, optimizer kernels.Optimizer, batch int, precision string, steps int) modelLaunch {
	t.Helper()
	const (
		examples = 60000
		room     = 1 << 28 // for each part
		base     = 1 << 36
	)
	v := conformance.Variant(chain(t, ir.Sigmoid, graph.CrossEntropy, arch...), batch)
	v.Optimizer = optimizer
	c, plan, err := streamOf(wantedBy(&v, kernels.Examples{Features: arch[0], Labels: make([]byte, examples)}), precision, spreadLimits, hopper)
	if err != nil {
		t.Fatal(err)
	}
	var p program
	job := packedJob{
		Kind: trainJob, State: base + 1*room, Pixels: base + 2*room, Labels: base + 3*room, OrderSeed: v.OrderSeed, Seed: v.Seed,
		Plan: p.addStream(plan.head, plan.layers), Examples: examples, Batch: int32(batch), Step: 3, Steps: int32(steps),
	}
	job.setOptimizer(v.Optimizer)
	control := []packedControl{{}}
	l := &control[0].launch
	l.Plans, l.Ops, l.Jobs, l.Scalars = base+4*room, base+5*room, base+6*room, base+7*room
	l.Losses, l.Results, l.Work, l.WorkStride, l.JobsCount = base+8*room, base+9*room, base+10*room, plan.workFloats, 1
	l.Queue = base + uint64(unsafe.Offsetof(control[0].queue))
	rows := int(plan.head.Groups) * partRows
	return modelLaunch{
		Kernel: c.kernel(), Optimizer: optimizer.Name, Arch: arch, Batch: batch, PartsPerStep: (batch + rows - 1) / rows,
		WorkBytes: 4 * plan.workFloats, Control: base, Products: streamProducts(plan, c, batch), Phases: phasesOf(plan, c, batch),
		Segments: []segment{
			{At: base, Content: driver.Bytes(control)},
			{At: l.Plans, Content: driver.Bytes(p.streams)},
			{At: l.Ops, Content: driver.Bytes(p.streamLayers)},
			{At: l.Jobs, Content: driver.Bytes([]packedJob{job})},
			{At: l.Scalars, Zero: steps * int(unsafe.Sizeof(packedScalars{}))},
			{At: job.Labels, Zero: examples},
		},
	}
}

// phasesOf is the launches of a step of a spread network, and those before it.
func phasesOf(s *streamPlan, c class, batch int) []modelPhase {
	if !c.spread {
		return nil
	}
	var all []modelPhase
	q := s.sequence(c, batch, 60000, 0)
	add := func(phases []phase, part int, counts bool) {
		for _, p := range phases {
			together := min(streamTogether, hopper.SharedPerSM/(p.sharedBytes+hopper.SharedReserved))
			all = append(all, modelPhase{Code: p.code, Number: p.number, Part: part, Blocks: p.blocks, Together: together, Counts: counts})
		}
	}
	add(q.begin, 0, false)
	for part := range q.parts {
		add(q.step, part, true)
	}
	return all
}

// streamProducts is how many products of 16 x 8 by 16 numbers a step takes: for each 32
// examples and each tile four of forward and four of its gradient, and four of the
// deltas below it; and two for each 16 biases. Each is as many as numbers have terms
// where one factor is a pixel or one, six where both have three.
func streamProducts(s *streamPlan, c class, batch int) int {
	groups, pairs, n := (batch+partRows-1)/partRows, 1, 0
	if c.terms() == 3 {
		pairs = 6
	}
	for i, l := range s.layers {
		each := 12 * pairs
		if i == 0 {
			each = 8 * c.terms()
		}
		n += groups * (tiles(l.In)*tiles(l.Out)*each + 2*tiles(l.Out)*c.terms())
	}
	return n
}

// What the model of streaming kernels is of: a launch for each network, optimizer,
// batch and precision, laid out by what lays out the host's.
func TestLaunches(t *testing.T) {
	var all []modelLaunch
	for _, precision := range []string{BF16, FP32} {
		for _, arch := range [][]int{{784, 16, 16, 10}, {784, 32, 16, 10}, {784, 128, 64, 10}, {784, 512, 512, 10}, {784, 2500, 2000, 1500, 1000, 500, 10}} {
			for _, o := range []kernels.Optimizer{{Name: "sgd", WeightDecay: 1e-4}, {Name: "adam", Beta1: 0.9, Beta2: 0.999, Epsilon: 1e-8}} {
				for _, batch := range []int{10, 32, 128} {
					if arch[1] == 512 && batch != 32 || arch[1] == 2500 && batch == 10 {
						continue // steps of a million instructions, or what a batch of 32 takes
					}
					all = append(all, launchOf(t, arch, o, batch, precision, 2))
				}
			}
		}
	}
	if *launches == "" {
		return
	}
	f, err := os.Create(*launches)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	for _, l := range all {
		if err := json.NewEncoder(f).Encode(l); err != nil {
			t.Fatal(err)
		}
	}
}
