package cuda

import (
	"math"
	"slices"
	"sort"
)

// life is from the first to the last operation that touches a value.
type life struct{ first, last int }

func (a life) meets(b life) bool { return a.first <= b.last && b.first <= a.last }

// room is something of so many floats that lives in shared memory if there is room,
// and in its other space if not. It has its memory for itself while it lives.
type room struct {
	what    string
	floats  int64
	lives   [2]life // in the list of operations for a batch, and for what is left over
	other   space
	operand *packedOperand
}

// meets reports whether two live at the same time.
func (r *room) meets(q *room) bool {
	return r.lives[0].meets(q.lives[0]) || r.lives[1].meets(q.lives[1])
}

// spaces gives rooms their memory.
type spaces struct {
	rooms []*room
	by    map[base]*room
}

func (s *spaces) add(r *room) { s.rooms = append(s.rooms, r) }

// live makes room for what a list of operations stores.
func (s *spaces) live(list *lowering, number int) {
	touch := func(of base, at int) {
		if of.space != workSpace {
			return
		}
		r := s.by[of]
		if r == nil {
			none := life{math.MaxInt, -1}
			r = &room{what: list.name(of.id), lives: [2]life{none, none}, other: workSpace, operand: new(packedOperand)}
			s.by[of] = r
			s.add(r)
		}
		r.floats = max(r.floats, int64(lengthOf(list.extents(of.id))))
		r.lives[number] = life{min(r.lives[number].first, at), max(r.lives[number].last, at)}
	}
	for i := range list.ops {
		o := &list.ops[i]
		for _, v := range append(slices.Clone(o.views), o.args...) {
			touch(v.of, i)
		}
		if o.op != nil {
			touch(o.out.of, i)
		}
	}
	for id := range list.results {
		touch(list.seen[id].of, len(list.ops))
	}
}

// assign gives each room its memory, the smallest first, and returns how much shared
// memory and how much of the block's room in global memory they take.
func (s *spaces) assign(shared int64) (sharedFloats, workFloats int64) {
	order := slices.Clone(s.rooms)
	sort.SliceStable(order, func(i, j int) bool { return order[i].floats < order[j].floats })
	placed := map[space][]*room{}
	put := func(r *room, where space, most int64) bool {
		end, ok := free(placed[where], r, most)
		if !ok {
			return false
		}
		r.operand.Space, r.operand.Offset = where, end
		placed[where] = append(placed[where], r)
		return true
	}
	for _, r := range order {
		switch {
		case put(r, sharedSpace, shared):
			sharedFloats = max(sharedFloats, r.operand.Offset+aligned(r.floats))
		case r.other == workSpace:
			put(r, workSpace, math.MaxInt64)
			workFloats = max(workFloats, r.operand.Offset+aligned(r.floats))
		default:
			r.operand.Space = r.other // where it is between launches
		}
	}
	return sharedFloats, workFloats
}

// free is the first offset at which a room overlaps with nothing that lives at the same
// time.
func free(placed []*room, r *room, most int64) (int64, bool) {
	var taken []*room
	for _, q := range placed {
		if q.meets(r) {
			taken = append(taken, q)
		}
	}
	slices.SortFunc(taken, func(a, b *room) int { return int(a.operand.Offset - b.operand.Offset) })
	at := int64(0)
	for _, q := range taken {
		if at+aligned(r.floats) <= q.operand.Offset {
			break
		}
		at = max(at, q.operand.Offset+aligned(q.floats))
	}
	return at, at+aligned(r.floats) <= most
}

// operand is where the elements of a value begin.
func (s *spaces) operand(v strided) packedOperand {
	o := packedOperand{Space: v.of.space, Offset: int64(v.offset)}
	if r := s.by[v.of]; r != nil {
		o.Space = r.operand.Space
		o.Offset += r.operand.Offset
	}
	return o
}
