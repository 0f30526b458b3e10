package cuda

import (
	"slices"

	"vanilla/graph/ir"
)

// What the kernel reads: format.cuh, field by field. 64-bit fields come first, so
// that Go and CUDA put every field at the same place.

type space int32

const (
	noSpace      space = iota // no operand
	inputSpace                // x: the plan's input, or the floats given to a forward job
	targetSpace               // y: the plan's labels
	stateSpace                // the network's parameters and optimizer state, in global memory
	workSpace                 // the block's room in global memory, or the job's own
	sharedSpace               // the block's shared memory
	numbersSpace              // numbers that stand in programs
)

func (s space) String() string {
	return [...]string{"nowhere", "the data", "the labels", "the network's state", "global memory", "shared memory", "the program"}[s]
}

type packedOperand struct {
	Offset           int64 // in floats
	Space            space
	Rows, Cols, None int32 // Rows is ir.Batch for one per example
}

type packedOp struct {
	Out              packedOperand
	Args             [3]packedOperand
	Code, Activation int32
	Scale            float32
	Tensor           int32
	Param, None      int32
}

// maxAxes is MAX_AXES.
const maxAxes = ir.MaxRank

type packedView struct {
	Offset         int64
	Space          space
	Axes           int32
	Extent, Stride [maxAxes]int32
}

type packedTensor struct {
	Number                    [2]float64
	Length, Inner             int32
	View                      int32
	Instruction, Instructions int32
	Function, Stream, None    int32
	Extent                    [6]int32
	Geometry                  [8]int32
}

type sourceKind int32

const (
	numberSource sourceKind = iota
	slotSource
	viewSource
	labelSource
)

type packedSource struct {
	Kind   sourceKind
	Index  int32
	Number float32
}

type packedInstruction struct {
	Function, Slot, Store int32
	A, B                  packedSource
}

// The functions of maps are numbered as ir.MapFunctions lists them, from 1; copying
// is 0, and sums, of reductions alone, come last.
const copyFunction = 0

func functionNumber(f ir.Fn) int32 {
	if f == ir.FnSum {
		return int32(len(ir.MapFunctions()) + 1)
	}
	return int32(slices.Index(ir.MapFunctions(), f) + 1)
}

// distributions are those of Random, in the order of format.cuh.
var distributions = []ir.Fn{ir.FnUniform, ir.FnGauss, ir.FnKeep}

type packedArray struct {
	State, Offset int64 // in floats
	Space         space
	Length        int32
}

type packedLocation struct {
	Offset int64
	Space  space
	None   int32
}

type packedParam struct {
	Gradient, Weights, Slot0, Slot1 packedLocation
	Length, Bias                    int32
}

type packedPlan struct {
	Input, Labels, Output, Loss packedOperand
	Op, Ops                     int32
	Array, Arrays               int32
	Param, Params               int32
	Features, Batch             int32
	Rest, Rests                 int32
	Updates, Code               int32
	CodeOffset                  int64
}

type jobKind int32

const (
	trainJob jobKind = iota
	evaluateJob
	forwardJob
)

type packedJob struct {
	State, Pixels, Labels, Work uint64 // addresses
	OrderSeed, Seed             uint64
	Targets, Field, Gaussian    uint64 // addresses, 0 if there are none
	NoiseThreshold              uint64
	Scalars, Losses, Classes    int64 // indices
	Kind                        jobKind
	Plan                        int32
	Examples, Batch             int32
	Step, Steps                 int32
	From, Shift                 int32
	ImageCols, ImageRows        int32
	Optimizer                   int32
	Decay, Keep                 float32
	Beta1, Beta2, Rest1, Rest2  float32
	Epsilon                     float32
	Warps                       int32
	Angle, Scale, Shear, Stroke int32
	Gain, FieldStride, None     int32
}

type packedScalars struct{ LR, Rate, Root, Shrink float32 }

type packedResult struct{ Steps, Diverged int32 }

type packedLaunch struct {
	Plans, Ops, Arrays, Params, Jobs, Scalars uint64 // addresses
	Results, Losses, Classes                  uint64
	Queue                                     uint64
	Tensors, Views, Instructions, Numbers     uint64
	Work                                      uint64
	WorkStride                                int64
	JobsCount, None                           int32
}

type packedLayer struct {
	Weight, Bias int64 // in floats from the beginning of the state
	In, Out      int32
	Activation   int32
	_            int32
}

const maxLayers = 8

type packedChain struct {
	Layers      [maxLayers]packedLayer
	Parameters  int64
	Depth, Loss int32
	Scale       float32
	_           int32
}

type packedStreamLayer struct {
	Weight, Bias            int64 // in floats from the beginning of the state
	Tiles                   int64 // in floats from the beginning of the block's work
	KeptTiles               int64 // in floats from the beginning of its shared memory
	Biases, Outputs, Deltas packedLocation
	In, Out                 int32
	Activation              int32
	Splits, BackSplits      int32
	Kept                    int32 // tiles in shared memory, the first ones
}

type packedStreamPlan struct {
	Parameters                int64
	Logits, Pixels            packedLocation
	Layer, Depth              int32
	Loss                      int32
	Scale                     float32
	Groups, Buffers           int32
	RowBytes                  int32
	Arrays                    int32
	Fused                     int32
	Layers, Stage, Ring, Sums int32 // in bytes from the beginning of the block's shared memory
	LogitsRow, Slots, None    int32
}

// program is the plans of a launch's jobs as the kernel reads them, or the chains
// if it is a resident one, or the plans of chains and their layers if it is a streaming
// one.
type program struct {
	chains       []packedChain
	streams      []packedStreamPlan
	streamLayers []packedStreamLayer
	plans        []packedPlan
	ops          []packedOp
	arrays       []packedArray
	params       []packedParam

	tensors      []packedTensor
	views        []packedView
	instructions []packedInstruction
	numbers      []float32
	index        map[*plan]int32
}

// addChain appends a resident network and returns its number.
func (p *program) addChain(c packedChain) int32 {
	p.chains = append(p.chains, c)
	return int32(len(p.chains) - 1)
}

// addStream appends a streamed network with its layers and returns its number.
func (p *program) addStream(head packedStreamPlan, layers []packedStreamLayer) int32 {
	head.Layer = int32(len(p.streamLayers))
	p.streamLayers = append(p.streamLayers, layers...)
	p.streams = append(p.streams, head)
	return int32(len(p.streams) - 1)
}

// add packs a plan, once, and returns its number.
func (p *program) add(of *plan) int32 {
	if i, ok := p.index[of]; ok {
		return i
	}
	if p.index == nil {
		p.index = map[*plan]int32{}
	}
	head := of.head
	first := of.relocated(packedTensor{View: int32(len(p.views)), Instruction: int32(len(p.instructions))}, int32(len(p.tensors)), int64(len(p.numbers)))
	p.tensors, p.views = append(p.tensors, first.tensors...), append(p.views, first.views...)
	p.instructions, p.numbers = append(p.instructions, of.instructions...), append(p.numbers, of.numbers...)
	head.Op, head.Ops = int32(len(p.ops)), int32(len(of.ops)-of.rests)
	head.Rest, head.Rests = head.Op, head.Ops
	if of.rests > 0 {
		head.Rest, head.Rests = head.Op+head.Ops, int32(of.rests)
	}
	head.Array, head.Arrays = int32(len(p.arrays)), int32(len(of.arrays))
	head.Param, head.Params = int32(len(p.params)), int32(len(of.params))
	p.ops = append(p.ops, first.ops...)
	p.arrays = append(p.arrays, of.arrays...)
	p.params = append(p.params, of.params...)
	i := int32(len(p.plans))
	p.plans = append(p.plans, head)
	p.index[of] = i
	return i
}
