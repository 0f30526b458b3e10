// Package warp moves, turns, stretches, bends and thickens images of bytes, in
// fixed-point arithmetic: every processor computes the same bytes.
//
// An image is warped backwards: each pixel of the result is read from a place
// between four pixels of the image, given in 65536ths of a pixel, rounded to 64ths,
// and mixed of them (bilinear interpolation). Outside the image everything is zero.
package warp

import "math/bits"

// Limits of what a Warper takes, so that places fit in 32 bits.
const (
	// MaxSide is the largest extent of an image.
	MaxSide = 512
	// Unit is a pixel, and the number one in a Map.
	Unit = 1 << 16
	// MaxScale is the largest sum of the magnitudes of the two factors in a row of a
	// Map, and MaxOffset the largest magnitude of U and V.
	MaxScale, MaxOffset = 16 * Unit, 20 * MaxSide * Unit
	// FullStroke moves the edges of a stroke by a pixel.
	FullStroke = 256
)

// Map says where the pixels of a result are read: pixel (x, y) at
// (U + x·UX + y·UY, V + x·VX + y·VY), in 65536ths of a pixel.
type Map struct{ U, UX, UY, V, VX, VY int32 }

// Field moves each place further, by (DX, DY)·Gain/32768 in 256ths of a pixel,
// rounded to whole ones. Gain is not negative. DX and DY have rows of Stride numbers, of which the first
// columns are the image's; there must be seven more after the last.
type Field struct {
	DX, DY []int16
	Stride int
	Gain   int16
}

// job is what resample reads besides images: vectors of eight, most of them of
// equal numbers. Its rows are numbered by the constants that follow.
type job = [10][8]int32

const (
	jobU     = iota // places of the first eight pixels
	jobV            //
	jobStepU        // from eight pixels to the next eight
	jobStepV        //
	jobRowU         // from a row to the next
	jobRowV         //
	jobLeast        // the place before the first pixel
	jobMaxU         // the places behind the last ones
	jobMaxV         //
	jobGain         // twice in each number
)

// routines are the inner loops in one instruction set. generic.go defines what
// they compute.
type routines struct {
	name     string
	pad      func(padded, from, mask []byte, rows, cols, stride int)
	thicken  func(to, padded, mask []byte, rows, stride, more, less int)
	quads    func(quads []uint32, padded []byte, n, stride int)
	resample func(to []byte, quads []uint32, j *job, rows, cols, stride int)
	bend     func(to []byte, quads []uint32, dx, dy []int16, j *job, rows, cols, stride, fieldStride int)
}

// Warper warps images of one extent, one after the other, in memory that it keeps.
type Warper struct {
	*routines
	rows, cols, stride int
	inside, within     []byte   // what is a pixel, in a row of an image and in one of padded
	padded, thick      []byte   // the image among zeros, before and after thickening
	around             []uint32 // by place: the four pixels around it
	room               []byte   // for an image that ends where memory may
	last               []byte   // for a result that does
	j                  job
}

const (
	vectorBytes = 32 // what routines may read and write past what they are given
	lanes       = 8
)

// New makes a Warper for images of 1 to MaxSide rows and columns.
func New(rows, cols int) *Warper { return newWarper(rows, cols, available()[0]) }

func newWarper(rows, cols int, r *routines) *Warper {
	if rows < 1 || cols < 1 || rows > MaxSide || cols > MaxSide {
		panic("warp: images of an extent that cannot be")
	}
	stride := max(vectorBytes, 1<<bits.Len(uint(cols+1)))
	w := &Warper{
		routines: r, rows: rows, cols: cols, stride: stride,
		inside: make([]byte, stride+vectorBytes),
		within: make([]byte, stride),
		padded: make([]byte, (rows+3)*stride+2*vectorBytes),
		thick:  make([]byte, (rows+3)*stride+2*vectorBytes),
		around: make([]uint32, (rows+2)*stride),
		room:   make([]byte, rows*cols+vectorBytes),
		last:   make([]byte, rows*cols+vectorBytes),
	}
	for x := range cols {
		w.inside[x], w.within[x+1] = 255, 255
	}
	return w
}

// Warp writes the warped image to to; both are [rows·cols]. Strokes are made
// thicker first by so many 256ths of a pixel on each side, or thinner, at most
// FullStroke. f may be nil. Memory behind to, as far as its capacity reaches, is
// written to as well, up to 32 bytes.
func (w *Warper) Warp(to, from []byte, stroke int, m Map, f *Field) {
	size := w.rows * w.cols
	if len(to) != size || len(from) != size {
		panic("warp: image of another size")
	}
	if cap(from) < size+vectorBytes {
		copy(w.room, from)
		from = w.room
	}
	w.pad(w.padded, from[:size+vectorBytes], w.inside, w.rows, w.cols, w.stride)
	image := w.padded
	if stroke != 0 {
		w.thicken(w.thick, w.padded, w.within, w.rows, w.stride, max(0, stroke), max(0, -stroke))
		image = w.thick
	}
	w.quads(w.around, image, (w.rows+2)*w.stride, w.stride)

	out := w.last
	if cap(to) >= size+vectorBytes {
		out = to[:size+vectorBytes]
	}
	j := &w.j
	for l := range lanes {
		x := int32(l)
		j[jobU][l], j[jobV][l] = m.U+x*m.UX, m.V+x*m.VX
		j[jobStepU][l], j[jobStepV][l] = lanes*m.UX, lanes*m.VX
		j[jobRowU][l], j[jobRowV][l] = m.UY, m.VY
		j[jobLeast][l], j[jobMaxU][l], j[jobMaxV][l] = -Unit, int32(w.cols)*Unit, int32(w.rows)*Unit
	}
	if f == nil {
		w.resample(out, w.around, j, w.rows, w.cols, w.stride)
	} else {
		for l := range lanes {
			j[jobGain][l] = int32(f.Gain)<<16 | int32(uint16(f.Gain))
		}
		w.bend(out, w.around, f.DX, f.DY, j, w.rows, w.cols, w.stride, f.Stride)
	}
	if cap(to) < size+vectorBytes {
		copy(to, w.last)
	}
}
