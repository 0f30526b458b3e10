package cuda

import (
	"slices"

	"vanilla/graph/ir"
)

// base is memory that holds a value: x, y, a parameter, numbers of the program, or
// what a plan has room for, by the value that is stored there.
type base struct {
	space  space // workSpace for what a plan has room for, wherever that will be
	id     ir.ID
	copied bool // a copy in row-major order of a value that is seen otherwise
}

// strided is how a value is seen: elements of memory, by the strides of its axes.
type strided struct {
	of               base
	offset           int
	extents, strides []int
}

func lengthOf(extents []int) int {
	n := 1
	for _, d := range extents {
		n *= d
	}
	return n
}

// rowMajor are the strides of an array.
func rowMajor(extents []int) []int {
	strides, n := make([]int, len(extents)), 1
	for k := len(extents) - 1; k >= 0; k-- {
		strides[k] = n
		n *= extents[k]
	}
	return strides
}

func wholeOf(of base, extents []int) strided {
	return strided{of: of, extents: extents, strides: rowMajor(extents)}
}

// collapsed has the same elements in the same order, with as few axes as can be.
func (s strided) collapsed() strided {
	c := strided{of: s.of, offset: s.offset}
	for k := len(s.extents) - 1; k >= 0; k-- {
		d, stride := s.extents[k], s.strides[k]
		if d == 1 {
			continue
		}
		if n := len(c.extents); n > 0 && stride == c.strides[n-1]*c.extents[n-1] {
			c.extents[n-1] *= d
			continue
		}
		c.extents, c.strides = append(c.extents, d), append(c.strides, stride)
	}
	slices.Reverse(c.extents)
	slices.Reverse(c.strides)
	return c
}

// contiguous reports whether the elements lie one after the other.
func (s strided) contiguous() bool {
	c := s.collapsed()
	return len(c.extents) == 0 || len(c.extents) == 1 && c.strides[0] == 1
}

// reshaped has the same elements in the same order with other axes, if strides can
// say so.
func (s strided) reshaped(extents []int) (strided, bool) {
	c := s.collapsed()
	r := strided{of: s.of, offset: s.offset, extents: extents, strides: make([]int, len(extents))}
	k := len(c.extents) - 1
	n := 1 // elements of axis k that later axes of the result have
	for j := len(extents) - 1; j >= 0; j-- {
		if extents[j] == 1 {
			continue
		}
		if k < 0 || c.extents[k]%(n*extents[j]) != 0 {
			return strided{}, false
		}
		r.strides[j] = n * c.strides[k]
		if n *= extents[j]; n == c.extents[k] {
			k, n = k-1, 1
		}
	}
	return r, n == 1
}

func (s strided) transposed(axes []int) strided {
	t := strided{of: s.of, offset: s.offset, extents: make([]int, len(axes)), strides: make([]int, len(axes))}
	for k, from := range axes {
		t.extents[k], t.strides[k] = s.extents[from], s.strides[from]
	}
	return t
}

// repeated has an axis of one element so often.
func (s strided) repeated(axis, times int) strided {
	r := strided{s.of, s.offset, slices.Clone(s.extents), slices.Clone(s.strides)}
	r.extents[axis], r.strides[axis] = times, 0
	return r
}

// sliced has elements from, from+step, … of an axis, so many.
func (s strided) sliced(axis, from, step, count int) strided {
	r := strided{s.of, s.offset + from*s.strides[axis], slices.Clone(s.extents), slices.Clone(s.strides)}
	r.extents[axis], r.strides[axis] = count, step*s.strides[axis]
	return r
}

// of are some of the axes, beginning at the first element of the others.
func (s strided) some(axes []int) strided {
	r := strided{of: s.of, offset: s.offset}
	for _, k := range axes {
		r.extents, r.strides = append(r.extents, s.extents[k]), append(r.strides, s.strides[k])
	}
	return r
}
