package cuda

import (
	"fmt"
	"math"
	"slices"
	"sort"

	"vanilla/graph/ir"
	"vanilla/kernels"
)

// evaluationChunk is the number of examples in a job that evaluates: it decides
// how a split is divided, so that results do not depend on the device.
const evaluationChunk = 64

// planKey is what a plan depends on.
type planKey struct {
	program *ir.Program
	kind    jobKind
	batch   int // the most examples that run at a time
	slots   int // arrays that the optimizer keeps per parameter
	// sharedFloats is how much shared memory the plan may use.
	sharedFloats int
}

// plan is a program with a place for each of its values.
type plan struct {
	key    planKey
	head   packedPlan // without the indices of what follows
	source []ir.Op    // what ops stand for
	ops    []packedOp
	arrays []packedArray // of the state: parameters, then the optimizer's arrays
	params []packedParam // of training
	// stateFloats is the size of a network's state, workFloats of the room that a
	// block needs in global memory and sharedFloats in shared memory.
	stateFloats, workFloats, sharedFloats int64
}

// alignment of places, in floats: a sector of global memory.
const alignment = 8

func aligned(floats int64) int64 { return (floats + alignment - 1) / alignment * alignment }

// makePlan finds places. Shared memory goes to the smallest first: values of a
// batch, which many operations touch, before weights, and weights before their
// gradients. Where a value lives changes no result.
func makePlan(k planKey) (*plan, error) {
	p := k.program
	l := &plan{key: k}
	ops := slices.Clone(p.Ops)
	switch k.kind {
	case evaluateJob:
		ops = ops[:p.Forward]
	case forwardJob: // what exists once per example; losses do not
		ops = slices.DeleteFunc(ops[:p.Forward], func(op ir.Op) bool { return p.Value(op.Out).Shape.Rows != ir.Batch })
	}

	// Everything that needs a place, as operands by index: values by their ID,
	// then the batch's bytes and labels, then the state's arrays.
	operands := make([]packedOperand, len(p.Values))
	for id, v := range p.Values {
		operands[id] = packedOperand{Rows: int32(v.Shape.Rows), Cols: int32(v.Shape.Cols)}
	}
	operands[p.Input].Space, operands[p.Target].Space = inputSpace, targetSpace
	var places []place
	for _, op := range ops {
		places = append(places, place{&operands[op.Out], int64(p.Value(op.Out).Shape.Len(k.batch)), workSpace})
	}
	if k.kind != forwardJob {
		bytes := int64(k.batch) * int64(p.Features())
		places = append(places, place{&l.head.Input, (bytes + 3) / 4, workSpace}, place{&l.head.Labels, int64(k.batch), workSpace})
	}
	arrays := make([]packedOperand, (1+k.slots)*len(p.Params))
	for i := range arrays {
		q := p.Params[i%len(p.Params)]
		length := p.Value(q.Value).Shape.Len(0)
		if length > math.MaxInt32 {
			return nil, fmt.Errorf("parameter %s has %d numbers, want at most %d", p.Value(q.Value).Name, length, math.MaxInt32)
		}
		arrays[i] = packedOperand{Offset: l.stateFloats}
		places = append(places, place{&arrays[i], int64(length), stateSpace})
		l.arrays = append(l.arrays, packedArray{State: l.stateFloats, Length: int32(length)})
		l.stateFloats += int64(length)
	}
	l.place(places, int64(k.sharedFloats))

	for i, o := range arrays {
		l.arrays[i].Space, l.arrays[i].Offset = o.Space, o.Offset
	}
	for i, q := range p.Params {
		operands[q.Value].Space, operands[q.Value].Offset = arrays[i].Space, arrays[i].Offset
	}
	l.source = ops
	for _, op := range ops {
		packed := packedOp{Out: operands[op.Out], Code: int32(op.Code), Activation: int32(op.Act), Scale: float32(op.Scale)}
		for i, a := range op.Args {
			packed.Args[i] = operands[a]
		}
		l.ops = append(l.ops, packed)
	}
	if k.kind == trainJob {
		for _, q := range p.Params {
			param := packedParam{Gradient: operands[q.Grad]}
			if q.Bias {
				param.Bias = 1
			}
			l.params = append(l.params, param)
		}
	}
	l.head.Output, l.head.Loss = operands[p.Output], operands[p.Loss]
	l.head.Features = int32(p.Features())
	return l, nil
}

// place is something of so many floats that lives in shared memory if there is
// room, and in its other space if not.
type place struct {
	operand *packedOperand
	floats  int64
	other   space
}

func (l *plan) place(places []place, shared int64) {
	sort.SliceStable(places, func(i, j int) bool { return places[i].floats < places[j].floats })
	for _, at := range places {
		switch end := l.sharedFloats + aligned(at.floats); {
		case end <= shared:
			at.operand.Space, at.operand.Offset = sharedSpace, l.sharedFloats
			l.sharedFloats = end
		case at.other == workSpace:
			at.operand.Space, at.operand.Offset = workSpace, l.workFloats
			l.workFloats += aligned(at.floats)
		default:
			at.operand.Space = at.other // where it is between launches
		}
	}
}

// plans makes each plan once.
type plans map[planKey]*plan

func (all plans) of(k planKey) (*plan, error) {
	if l, ok := all[k]; ok {
		return l, nil
	}
	l, err := makePlan(k)
	if err == nil {
		all[k] = l
	}
	return l, err
}

// lines describes the plan, one operation in each.
func (l *plan) lines() []string {
	p := l.key.program
	lines := []string{fmt.Sprintf("a block of %d threads interprets the program in float32, %d bytes of shared memory at batch %d",
		blockThreads, 4*l.sharedFloats, l.key.batch)}
	where := func(o packedOperand) string {
		if o.Space == sharedSpace {
			return " (shared)"
		}
		return ""
	}
	for i, op := range l.ops {
		text := fmt.Sprintf("%s%s = %s", p.Value(l.source[i].Out).Name, where(op.Out), l.source[i].Code)
		for k, a := range l.source[i].Args {
			text += " " + p.Value(a).Name + where(op.Args[k])
		}
		lines = append(lines, text)
	}
	return lines
}

// Refuses says why the executor cannot train a program in batches of that size, nil
// if it can.
func Refuses(p *ir.Program, batch int) error { return kernels.CheckLayers("cuda", p) }

// explainedBatch is the batch for which Explain shows the places of values.
const explainedBatch = 32

func explain(p *ir.Program, o kernels.Optimizer, sharedFloats int) ([]string, error) {
	if err := p.Verify(); err != nil {
		return nil, err
	}
	if err := kernels.CheckLayers("cuda", p); err != nil {
		return nil, err
	}
	l, err := makePlan(planKey{p, trainJob, explainedBatch, o.Slots(), sharedFloats})
	if err != nil {
		return nil, err
	}
	lines := append(l.lines(), fmt.Sprintf("%s updates %d parameters element by element", o.Name, len(p.Params)))
	for i, a := range l.arrays[:len(p.Params)] {
		lines = append(lines, fmt.Sprintf("%s lives in %s", p.Value(p.Params[i].Value).Name, a.Space))
	}
	return lines, nil
}
