package ir

import (
	"fmt"
	"strings"
)

// MaxWidth is the most units that a layer can have: beyond it is a mistake rather
// than a network.
const MaxWidth = 1 << 16

// Batch in [Shape.Rows] stands for the number of examples in a step, which is
// not known to the program: the last batch of an epoch is often shorter.
const Batch = -1

// Extent is the length of one axis: PerBatch·B + Fixed.
type Extent struct{ PerBatch, Fixed int32 }

// Fixed is an extent that does not depend on the batch size.
func Fixed(n int) Extent { return Extent{Fixed: int32(n)} }

// PerBatch is n·B.
func PerBatch(n int) Extent { return Extent{PerBatch: int32(n)} }

// At is the extent at a batch size.
func (e Extent) At(batch int) int { return int(e.PerBatch)*batch + int(e.Fixed) }

func (e Extent) String() string {
	switch {
	case e.PerBatch == 0:
		return fmt.Sprint(e.Fixed)
	case e.PerBatch == 1 && e.Fixed == 0:
		return "B"
	case e.Fixed == 0:
		return fmt.Sprintf("%dB", e.PerBatch)
	}
	return fmt.Sprintf("%dB%+d", e.PerBatch, e.Fixed)
}

// MaxRank is the largest number of axes.
const MaxRank = 6

// Shape is the extent of a value, row-major. Most values are matrices, and have
// Rows and Cols alone: [B, n] for what exists once per example, [out, in] for a
// weight matrix, [1, n] for a bias and [1, 1] for the loss. [Tensor] makes shapes
// of other ranks. Their Rows and Cols are those of the matrix that has the same
// elements in the same order, zero if there is none.
//
// Shapes are compared with ==: a vector of n is not a matrix of one row.
type Shape struct {
	Rows, Cols int
	tensor     axes // of what is no matrix
}

// axes are the extents of a tensor. The zero value is none.
type axes struct {
	some    bool
	rank    int8
	extents [MaxRank]Extent
}

// Tensor is the shape of those extents, at most MaxRank. It panics if there are
// more.
func Tensor(extents ...Extent) Shape {
	if len(extents) > MaxRank {
		panic("ir: more than 6 axes")
	}
	var s Shape
	s.Rows, s.Cols = matrixOf(extents)
	if len(extents) == 2 && s.Rows != 0 && extents[0].PerBatch <= 1 {
		return s
	}
	s.tensor = axes{some: true, rank: int8(len(extents))}
	copy(s.tensor.extents[:], extents)
	return s
}

// matrixOf folds extents to rows and columns.
func matrixOf(extents []Extent) (rows, cols int) {
	size := 1
	for k, e := range extents {
		if e.PerBatch != 0 && (k > 0 || e.Fixed != 0) {
			return 0, 0
		}
		size *= int(e.PerBatch + e.Fixed)
	}
	switch n := len(extents); {
	case n == 0:
		return 1, 1
	case extents[0].PerBatch != 0:
		return Batch, size
	default:
		cols = int(extents[n-1].Fixed)
		return size / max(cols, 1), cols
	}
}

// Extents are the axes, a matrix's too.
func (s Shape) Extents() []Extent {
	if s.tensor.some {
		return append([]Extent(nil), s.tensor.extents[:s.tensor.rank]...)
	}
	if s.Rows == Batch {
		return []Extent{PerBatch(1), Fixed(s.Cols)}
	}
	return []Extent{Fixed(s.Rows), Fixed(s.Cols)}
}

// Matrix reports whether the value has two axes, of which only the first may
// depend on the batch size, and be nothing but it.
func (s Shape) Matrix() bool { return !s.tensor.some }

// At lists the lengths of the axes at a batch size.
func (s Shape) At(batch int) []int {
	extents := s.Extents()
	at := make([]int, len(extents))
	for k, e := range extents {
		at[k] = e.At(batch)
	}
	return at
}

// Len is the number of elements at the given batch size.
func (s Shape) Len(batch int) int {
	n := 1
	if s.tensor.some {
		for _, e := range s.tensor.extents[:s.tensor.rank] {
			n *= e.At(batch)
		}
		return n
	}
	if s.Rows == Batch {
		return batch * s.Cols
	}
	return s.Rows * s.Cols
}

// String is "" for one number, [n] for one row, [B,n] and [n,m] for other
// matrices; other ranks stand in parentheses: (), (B), (B,3,4).
func (s Shape) String() string {
	open, end := "[", "]"
	extents := s.Extents()
	switch {
	case s.tensor.some:
		open, end = "(", ")"
	case s.Rows == 1 && s.Cols == 1:
		return ""
	case s.Rows == 1:
		extents = extents[1:]
	}
	var parts []string
	for _, e := range extents {
		parts = append(parts, e.String())
	}
	return open + strings.Join(parts, ",") + end
}
