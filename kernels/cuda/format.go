package cuda

// What the kernel reads: format.cuh, field by field. 64-bit fields come first, so
// that Go and CUDA put every field at the same place.

type space int32

const (
	noSpace     space = iota // no operand
	inputSpace               // x: the plan's input, or the floats given to a forward job
	targetSpace              // y: the plan's labels
	stateSpace               // the network's parameters and optimizer state, in global memory
	workSpace                // the block's room in global memory, or the job's own
	sharedSpace              // the block's shared memory
)

func (s space) String() string {
	return [...]string{"nowhere", "the data", "the labels", "the network's state", "global memory", "shared memory"}[s]
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
	None             int32
}

type packedArray struct {
	State, Offset int64 // in floats
	Space         space
	Length        int32
}

type packedParam struct {
	Gradient   packedOperand
	Bias, None int32
}

type packedPlan struct {
	Input, Labels, Output, Loss packedOperand
	Op, Ops                     int32
	Array, Arrays               int32
	Param, Params               int32
	Features, _                 int32
}

type jobKind int32

const (
	trainJob jobKind = iota
	evaluateJob
	forwardJob
)

type packedJob struct {
	State, Pixels, Labels, Work uint64 // addresses
	OrderSeed                   uint64
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
}

type packedScalars struct{ StepSize, Rate, Root, Shrink float32 }

type packedResult struct{ Steps, Diverged int32 }

type packedLaunch struct {
	Plans, Ops, Arrays, Params, Jobs, Scalars uint64 // addresses
	Results, Losses, Classes                  uint64
	Queue                                     uint64
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

// program is the plans of a launch's jobs as the kernel reads them, or the chains
// if it is a resident one.
type program struct {
	chains []packedChain
	plans  []packedPlan
	ops    []packedOp
	arrays []packedArray
	params []packedParam
	index  map[*plan]int32
}

// addChain appends a resident network and returns its number.
func (p *program) addChain(c packedChain) int32 {
	p.chains = append(p.chains, c)
	return int32(len(p.chains) - 1)
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
	head.Op, head.Ops = int32(len(p.ops)), int32(len(of.ops))
	head.Array, head.Arrays = int32(len(p.arrays)), int32(len(of.arrays))
	head.Param, head.Params = int32(len(p.params)), int32(len(of.params))
	p.ops = append(p.ops, of.ops...)
	p.arrays = append(p.arrays, of.arrays...)
	p.params = append(p.params, of.params...)
	i := int32(len(p.plans))
	p.plans = append(p.plans, head)
	p.index[of] = i
	return i
}
