package cuda

import (
	"fmt"
	"math"
	"slices"
	"unsafe"

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
	// rest is how many examples are left over by whole batches: programs of tensor
	// operations have a second list of operations for them.
	rest int
}

// plan is a program with a place for each of its values.
type plan struct {
	key          planKey
	head         packedPlan // without the indices of what follows
	ops          []packedOp // of a batch, then the rests of what is left over
	rests        int
	texts        []string // what ops do
	tensors      []packedTensor
	views        []packedView
	instructions []packedInstruction
	numbers      []float32
	arrays       []packedArray // of the state: parameters, then the optimizer's arrays
	params       []packedParam // of training: those that are updated when the operations have run come first
	updates      map[ir.ID]int // the gradients of the others
	number       []int32       // of each parameter among params
	kept         []kept        // of a forward job
	rooms        []*room
	// stateFloats is the size of a network's state, workFloats of the room that a
	// block needs in global memory and sharedFloats in shared memory.
	stateFloats, workFloats, sharedFloats int64
}

// kept is a value that a forward job leaves in its work space, a row per example.
type kept struct {
	id     ir.ID
	offset int64
	cols   int
}

// alignment of places, in floats: a sector of global memory.
const alignment = 8

func aligned(floats int64) int64 { return (floats + alignment - 1) / alignment * alignment }

// makePlan finds places. Shared memory goes to the smallest first: values of a
// batch, which many operations touch, before weights, and weights before their
// gradients. Where a value lives changes no result.
func makePlan(k planKey) (*plan, error) {
	p := k.program
	for _, batch := range []int{k.batch, k.rest} {
		if err := checkLengths(p, batch); err != nil {
			return nil, err
		}
	}
	l := &plan{key: k}
	l.head.Features, l.head.Batch = int32(p.Features()), int32(k.batch)
	l.order()
	lists := l.lower()
	s := &spaces{by: map[base]*room{}}
	var code packedOperand
	always := [2]life{{0, math.MaxInt}, {0, math.MaxInt}}
	if k.kind != forwardJob {
		size := len(lists[0].ops)*int(unsafe.Sizeof(packedOp{})) + len(l.number)*int(unsafe.Sizeof(packedParam{}))
		s.add(&room{what: "the program", floats: int64(size / 4), lives: always, other: noSpace, operand: &code})
		bytes := int64(k.batch) * int64(p.Features())
		s.add(&room{what: "the batch's bytes", floats: (bytes + 3) / 4, lives: always, other: workSpace, operand: &l.head.Input})
		s.add(&room{what: "the batch's labels", floats: int64(k.batch), lives: always, other: workSpace, operand: &l.head.Labels})
	}
	arrays := make([]packedOperand, (1+k.slots)*len(p.Params))
	for i := range arrays {
		q := p.Params[i%len(p.Params)]
		length := int64(p.Value(q.Value).Shape.Len(0))
		arrays[i] = packedOperand{Offset: l.stateFloats}
		r := &room{what: fmt.Sprintf("array %d", i), floats: length, lives: always, other: stateSpace, operand: &arrays[i]}
		s.add(r)
		if i < len(p.Params) {
			s.by[base{space: stateSpace, id: q.Value}] = r
		}
		l.arrays = append(l.arrays, packedArray{State: l.stateFloats, Length: int32(length)})
		l.stateFloats += length
	}
	for i, list := range lists {
		s.live(list, i)
	}
	l.sharedFloats, l.workFloats = s.assign(int64(k.sharedFloats))
	l.rooms = s.rooms
	if code.Space == sharedSpace {
		l.head.Code, l.head.CodeOffset = 1, code.Offset
	}

	for i, o := range arrays {
		l.arrays[i].Space, l.arrays[i].Offset = o.Space, o.Offset
	}
	for i, list := range lists {
		l.numbers = list.numbers // the second list's begin with the first one's
		for j := range list.ops {
			l.pack(s, &list.ops[j])
		}
		if i == 1 {
			l.rests = len(list.ops)
		}
	}
	first := lists[0]
	switch k.kind {
	case trainJob:
		l.params = make([]packedParam, len(p.Params))
		l.head.Updates = int32(len(p.Params) - len(l.updates))
		for i, q := range p.Params {
			location := func(array int) packedLocation {
				return packedLocation{Offset: arrays[array].Offset, Space: arrays[array].Space}
			}
			param := packedParam{Weights: location(i), Length: l.arrays[i].Length}
			for slot, to := range []*packedLocation{&param.Slot0, &param.Slot1}[:k.slots] {
				*to = location((slot+1)*len(p.Params) + i)
			}
			if _, ok := l.updates[q.Grad]; !ok {
				at := s.operand(*first.seen[q.Grad])
				param.Gradient = packedLocation{Offset: at.Offset, Space: at.Space}
			}
			if q.Bias {
				param.Bias = 1
			}
			l.params[l.number[i]] = param
		}
	case evaluateJob:
		l.head.Output = s.operand(*first.seen[p.Output])
		l.head.Output.Cols = int32(p.Classes())
	case forwardJob:
		for _, id := range l.results() {
			o := s.operand(*first.seen[id])
			l.kept = append(l.kept, kept{id, o.Offset, p.Value(id).Shape.Cols})
		}
		return l, nil
	}
	l.head.Loss = s.operand(*first.seen[p.Loss])
	return l, nil
}

// results are the values that are read when the operations have run.
func (l *plan) results() []ir.ID {
	p := l.key.program
	switch l.key.kind {
	case evaluateJob:
		return []ir.ID{p.Output, p.Loss}
	case forwardJob:
		// What exists once per example and has nothing to do with its label.
		labelled := map[ir.ID]bool{p.Target: true}
		var all []ir.ID
		for _, op := range p.Ops[:p.Forward] {
			if slices.ContainsFunc(op.Args, func(a ir.ID) bool { return labelled[a] }) {
				labelled[op.Out] = true
			} else if p.Value(op.Out).Shape.Rows == ir.Batch {
				all = append(all, op.Out)
			}
		}
		return all
	}
	all := []ir.ID{p.Loss}
	for _, q := range p.Params {
		if _, ok := l.updates[q.Grad]; !ok {
			all = append(all, q.Grad)
		}
	}
	return all
}

// order numbers the parameters of a training job: those that are updated when the
// operations have run come first.
func (l *plan) order() {
	if l.key.kind != trainJob {
		return
	}
	p := l.key.program
	l.updates = updatesOf(p)
	l.number = make([]int32, len(p.Params))
	next := int32(0)
	for _, last := range []bool{false, true} {
		for i, q := range p.Params {
			if _, ok := l.updates[q.Grad]; ok == last {
				l.number[i] = next
				next++
			}
		}
	}
}

// lower makes the list of operations for a batch and, if it is another one, that for
// what is left over.
func (l *plan) lower() []*lowering {
	k, count := &l.key, l.key.program.Forward
	if k.kind == trainJob {
		count = len(k.program.Ops)
	}
	first := lower(k.program, count, k.batch, k.kind == trainJob, l.results(), l.updates, nil)
	if k.rest == 0 || k.program.Layers() {
		return []*lowering{first}
	}
	return []*lowering{first, lower(k.program, count, k.rest, k.kind == trainJob, l.results(), l.updates, first.numbers)}
}

// pack packs an operation whose operands have places.
func (l *plan) pack(s *spaces, o *operation) {
	packed := packedOp{Code: int32(o.code), Param: -1}
	text := o.text
	if o.op != nil {
		matrix := func(v strided, id ir.ID) packedOperand {
			m := s.operand(v)
			m.Rows, m.Cols = int32(l.key.program.Value(id).Shape.Rows), int32(l.key.program.Value(id).Shape.Cols)
			return m
		}
		packed.Activation, packed.Scale = int32(o.op.Act), float32(o.op.Scale)
		packed.Out = matrix(o.out, o.op.Out)
		name := func(id ir.ID, at packedOperand) string {
			if at.Space == sharedSpace {
				return l.key.program.Value(id).Name + " (shared)"
			}
			return l.key.program.Value(id).Name
		}
		if o.param >= 0 {
			packed.Param = l.number[o.param]
			text = l.key.program.Value(l.key.program.Params[o.param].Value).Name + " updated: " + o.op.Code.String()
		} else {
			text = name(o.op.Out, packed.Out) + " = " + o.op.Code.String()
		}
		for i, a := range o.op.Args {
			packed.Args[i] = matrix(o.args[i], a)
			text += " " + name(a, packed.Args[i])
		}
	} else {
		packed.Tensor = int32(len(l.tensors))
		t := o.tensor
		t.View, t.Instruction = int32(len(l.views)), int32(len(l.instructions))
		l.tensors = append(l.tensors, t)
		l.instructions = append(l.instructions, o.instructions...)
		for _, v := range o.views {
			c := v.collapsed()
			at := s.operand(c)
			view := packedView{Offset: at.Offset, Space: at.Space, Axes: int32(len(c.extents))}
			for i, d := range c.extents {
				view.Extent[i], view.Stride[i] = int32(d), int32(c.strides[i])
			}
			l.views = append(l.views, view)
		}
	}
	l.ops, l.texts = append(l.ops, packed), append(l.texts, text)
}

// relocated are the parts whose indices depend on what is packed before them.
func (l *plan) relocated(first packedTensor, tensors int32, numbers int64) *plan {
	r := &plan{ops: slices.Clone(l.ops), tensors: slices.Clone(l.tensors), views: slices.Clone(l.views)}
	move := func(space space, offset *int64) {
		if space == numbersSpace {
			*offset += numbers
		}
	}
	for i := range r.ops {
		op := &r.ops[i]
		op.Tensor += tensors
		for k := range op.Args {
			move(op.Args[k].Space, &op.Args[k].Offset)
		}
	}
	for i := range r.tensors {
		r.tensors[i].View += first.View
		r.tensors[i].Instruction += first.Instruction
	}
	for i := range r.views {
		move(r.views[i].Space, &r.views[i].Offset)
	}
	return r
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
	lines := []string{fmt.Sprintf("a block of %d threads interprets the program in float32, %d bytes of shared memory at batch %d",
		blockThreads, 4*l.sharedFloats, l.key.batch)}
	lines = append(lines, l.texts[:len(l.texts)-l.rests]...)
	return lines
}

// Refuses says why the executor cannot train a program in batches of that size, nil
// if it can.
func Refuses(p *ir.Program, batch int) error { return checkLengths(p, max(batch, evaluationChunk)) }

// explainedBatch is the batch for which Explain shows the places of values.
const explainedBatch = 32

func explain(p *ir.Program, o kernels.Optimizer, sharedFloats int) ([]string, error) {
	if err := p.Verify(); err != nil {
		return nil, err
	}
	l, err := makePlan(planKey{p, trainJob, explainedBatch, o.Slots(), sharedFloats, 0})
	if err != nil {
		return nil, err
	}
	return l.explained(o), nil
}

// explained is lines, and what becomes of the parameters.
func (l *plan) explained(o kernels.Optimizer) []string {
	p := l.key.program
	lines := append(l.lines(), fmt.Sprintf("%s updates %d parameters element by element", o.Name, len(p.Params)))
	for i, a := range l.arrays[:len(p.Params)] {
		lines = append(lines, fmt.Sprintf("%s lives in %s", p.Value(p.Params[i].Value).Name, a.Space))
	}
	return lines
}
