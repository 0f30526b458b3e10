package cpu

import (
	"math"

	"vanilla/graph/ir"
)

// pooling is MaxPool or MaxPoolGrad of windows of 2 x 2 that lie side by side and cover
// the image, which most pools are. Others run by tables.
type pooling struct {
	op    ir.Op
	shape ir.Shape // of the image
	// rectified gradients are zero where the largest is not positive.
	rectified bool
}

// newPool is false if the operation is another pool.
func newPool(op ir.Op, image ir.Shape) (pooling, bool) {
	two, none := ir.Fixed(2), ir.Fixed(0)
	i := op.Ints
	ok := i[0] == two && i[1] == two && i[2] == none && i[3] == none && i[4] == two && i[5] == two
	s := image.At(1)
	return pooling{op: op, shape: image}, ok && s[2]%2 == 0 && s[3]%2 == 0
}

func (k pooling) bind(m *machine) func() {
	s := k.shape.At(1)
	rows, width := s[1]*s[2]/2, s[3] // an image's rows of windows, whose channels stand one after the other
	out, in := m.values[k.op.Out], m.values[k.op.Args[0]]
	if k.op.Code == ir.MaxPool {
		return func() { m.maxPool2(out, in, m.n*rows, width) }
	}
	d, least := m.values[k.op.Args[1]], float32(math.NaN()) // which nothing is at most
	if k.rectified {
		least = 0
	}
	return func() { m.maxPoolGrad2(out, in, d, m.n*rows, width, least) }
}

func (k pooling) reads() []ir.ID  { return k.op.Args }
func (k pooling) writes() []ir.ID { return []ir.ID{k.op.Out} }
func (k pooling) line(p *ir.Program) string {
	s := k.op.Code.String() + " 2 x 2 " + names(p, k.op.Args)
	if k.rectified {
		s += " where positive"
	}
	return s + to(p, k)
}

// maxPool2 is the largest of each window of 2 x 2: rows of windows, on pairs of rows
// of an even width. Routines may write up to 8 numbers behind a row, and what they
// write there is written again by the next one.
func maxPool2(out, in []float32, rows, width int) {
	for r := range rows {
		above, below := in[2*r*width:][:width], in[(2*r+1)*width:][:width]
		for c := range width / 2 {
			out[r*width/2+c] = max(above[2*c], above[2*c+1], below[2*c], below[2*c+1])
		}
	}
}

// maxPoolGrad2 is the windows' gradients d where they are largest, in the first place
// if there are several and it exceeds least, and zero elsewhere. A window in which
// something is not a number has its gradient in some place.
func maxPoolGrad2(out, in, d []float32, rows, width int, least float32) {
	for r := range rows {
		for c := range width / 2 {
			from, best := 2*r*width+2*c, 0
			corners := [4]int{from, from + 1, from + width, from + width + 1}
			for i, at := range corners {
				out[at] = 0
				if in[at] > in[corners[best]] {
					best = i
				}
			}
			if !(in[corners[best]] <= least) {
				out[corners[best]] = d[r*width/2+c]
			}
		}
	}
}
