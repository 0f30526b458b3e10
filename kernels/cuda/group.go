package cuda

import (
	"fmt"
	"slices"
	"strings"

	"vanilla/graph/ir"
)

// A pass of a map runs at most so many instructions, with so many values that wait
// in slots: MAP_SLOTS.
const (
	mapInstructions = 16
	mapSlots        = 7
)

// group gathers maps over as many elements, from the first one on, whose operands
// are known or computed by the group itself, and makes a pass of them.
func (w *lowering) group(first *ir.Op) {
	length := lengthOf(w.extents(first.Out))
	g := &group{lowering: w, by: map[ir.ID]int{}}
	g.add(first)
	rest := w.pending[:0:0]
	for i, op := range w.pending {
		if len(g.ops) == mapInstructions {
			rest = append(rest, w.pending[i:]...)
			break
		}
		switch {
		case w.ready(op) && op.Code != ir.Map && w.view(op):
		case op.Code == ir.Map && lengthOf(w.extents(op.Out)) == length && g.takes(op):
			g.add(op)
		default:
			rest = append(rest, op)
		}
	}
	slots := g.slots()
	for ; slots == nil; slots = g.slots() { // the last one waits for the next pass
		n := len(g.ops) - 1
		rest = append([]*ir.Op{g.ops[n]}, rest...)
		delete(g.by, g.ops[n].Out)
		g.ops = g.ops[:n]
	}
	w.pending = rest
	g.emit(slots, length)
}

// ready reports whether an operation's operands are known.
func (w *lowering) ready(op *ir.Op) bool {
	return !slices.ContainsFunc(op.Args, func(a ir.ID) bool { return !w.known(a) })
}

// group is a pass in the making.
type group struct {
	*lowering
	ops []*ir.Op
	by  map[ir.ID]int // the instruction that computes a value
}

func (g *group) add(op *ir.Op) {
	g.by[op.Out] = len(g.ops)
	g.ops = append(g.ops, op)
}

// inner is the instruction of the group that computes a value, or what the value
// shows in the same order.
func (g *group) inner(id ir.ID) (int, bool) {
	for {
		if n, ok := g.by[id]; ok {
			return n, true
		}
		op := g.producer(id)
		if op == nil || op.Code != ir.Reshape || g.known(id) {
			return 0, false
		}
		id = op.Args[0]
	}
}

func (w *lowering) producer(id ir.ID) *ir.Op {
	i := slices.IndexFunc(w.p.Ops, func(op ir.Op) bool { return op.Out == id })
	if i < 0 {
		return nil
	}
	return &w.p.Ops[i]
}

// takes reports whether all operands of a map are there for the group.
func (g *group) takes(op *ir.Op) bool {
	for _, a := range op.Args {
		if _, ok := g.inner(a); !ok && !g.known(a) {
			return false
		}
	}
	return true
}

// slots gives the instructions' values slots. It is nil if there are too few.
func (g *group) slots() []int {
	last := make([]int, len(g.ops)) // the instruction that reads a value last
	for i, op := range g.ops {
		for _, a := range op.Args {
			if k, ok := g.inner(a); ok {
				last[k] = i
			}
		}
	}
	found := make([]int, len(g.ops))
	var taken [mapSlots]int // by a value, until that instruction has read it
	for i := range g.ops {
		k := slices.IndexFunc(taken[:], func(until int) bool { return until <= i })
		if k < 0 {
			return nil
		}
		found[i], taken[k] = k, max(last[i], i)
	}
	return found
}

// wanted reports whether a value of the group must be stored: it is a result, or
// somebody outside of the group reads it.
func (g *group) wanted(id ir.ID) bool {
	return g.results[id] || slices.ContainsFunc(g.users[id], func(op *ir.Op) bool {
		if _, ok := g.by[op.Out]; ok && op.Code == ir.Map {
			return false
		}
		return op.Code != ir.Reshape || g.wanted(op.Out)
	})
}

func (g *group) emit(slots []int, length int) {
	o := operation{code: ir.Map, tensor: packedTensor{Length: int32(length), Instructions: int32(len(g.ops))}}
	var names, functions []string
	for i, op := range g.ops {
		in := packedInstruction{Function: functionNumber(op.Fn), Slot: int32(slots[i]), Store: -1}
		for k, a := range op.Args {
			s := packedSource{Kind: slotSource}
			if n, ok := g.inner(a); ok {
				s.Index = int32(slots[n])
			} else {
				s = g.operand(&o, a)
			}
			if k == 0 {
				in.A = s
			} else {
				in.B = s
			}
		}
		functions = append(functions, string(op.Fn))
		o.instructions = append(o.instructions, in)
	}
	for i, op := range g.ops {
		if g.wanted(op.Out) {
			o.instructions[i].Store = int32(len(o.views))
			o.views = append(o.views, g.store(op.Out))
			names = append(names, g.name(op.Out))
		}
	}
	o.text = fmt.Sprintf("%s = one pass over %d elements: %s", strings.Join(names, ", "), length, strings.Join(functions, ", "))
	g.lowering.ops = append(g.lowering.ops, o)
}

// operand is a value from outside of the group.
func (g *group) operand(o *operation, id ir.ID) packedSource {
	s := g.source(id)
	if s.packed.Kind != viewSource {
		return s.packed
	}
	s.view = s.view.collapsed() // one element becomes that of all indices
	for k, v := range o.views {
		if v.of == s.view.of && v.offset == s.view.offset && slices.Equal(v.extents, s.view.extents) && slices.Equal(v.strides, s.view.strides) {
			s.packed.Index = int32(k)
			return s.packed
		}
	}
	s.packed.Index = int32(len(o.views))
	o.views = append(o.views, s.view)
	return s.packed
}
