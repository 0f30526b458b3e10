package mnist

import (
	"math"
	"runtime"
	"slices"
	"sync"

	"vanilla/dataset"
)

// Likeness compares images with those of a set, at half their resolution, so that a pixel's shift matters little.
type Likeness struct {
	rows, cols int
	images     []byte // [n, half*half]
	lengths    []float64
	// filled and rough are above those of all but a thousandth of the set.
	filled, rough float64
}

// measuredMost is how many images of a set filled and rough are taken from at most.
const measuredMost = 10_000

// Unlike is the likeness below which a shape is none of the set's: 4 of 1,000 of MNIST's test images are less like each of
// its training images, and so are most of the letters that are not like a digit.
const Unlike = 0.79

// NewLikeness prepares a set. It takes a quarter of the set's memory.
func NewLikeness(set *dataset.Images) *Likeness {
	l := &Likeness{rows: set.Rows, cols: set.Cols, images: make([]byte, set.Len()*halved(set.Rows)*halved(set.Cols)), lengths: make([]float64, set.Len())}
	l.onAllCores(set.Len(), func(from, to int) {
		size := halved(l.rows) * halved(l.cols)
		for i := from; i < to; i++ {
			half := l.images[i*size : (i+1)*size]
			l.halve(half, set.Image(i))
			l.lengths[i] = math.Sqrt(float64(dot(half, half)))
		}
	})
	step := (set.Len()-1)/measuredMost + 1
	var filled, rough []float64
	for i := 0; i < set.Len(); i += step {
		filled, rough = append(filled, l.filledShare(set.Image(i))), append(rough, l.roughness(set.Image(i)))
	}
	l.filled, l.rough = usual(filled), usual(rough)
	return l
}

// usual is a bound that all but a thousandth of numbers keep.
func usual(v []float64) float64 {
	if len(v) == 0 {
		return math.Inf(1)
	}
	slices.Sort(v)
	return v[len(v)*999/1000]
}

// Doubt says why an image is hardly one of the set, and is empty if it may be one.
func (l *Likeness) Doubt(pixels []byte) string {
	switch {
	case l.filledShare(pixels) > l.filled:
		return "it is a filled area, which strokes are not: is it a digit?"
	case l.roughness(pixels) > l.rough:
		return "neighbouring pixels differ as in noise: is it a digit?"
	case l.Of(pixels) < Unlike:
		return "the shape is unlike any of MNIST's training images: is it a digit?"
	}
	return ""
}

// filledShare is how much of the ink is in the middle of squares of 5 x 5 pixels of ink: next to nothing in strokes of a
// pen.
func (l *Likeness) filledShare(pixels []byte) float64 {
	const dark, around = 128, 2
	inside, ink := 0, 0
	run := make([]int, len(pixels)) // how many pixels of ink end here, in a row of the image
	column := make([]int, l.cols)   // how many runs of five end here, in a column
	for y := range l.rows {
		for x := range l.cols {
			i := y*l.cols + x
			if pixels[i] >= dark {
				ink++
				if run[i] = 1; x > 0 {
					run[i] += run[i-1]
				}
			}
			if run[i] > 2*around {
				column[x]++
			} else {
				column[x] = 0
			}
			if column[x] > 2*around {
				inside++
			}
		}
	}
	return float64(inside) / float64(max(ink, 1))
}

// roughness is by how much neighbouring pixels differ, in all, for each unit of ink.
func (l *Likeness) roughness(pixels []byte) float64 {
	differences, ink := 0, 0
	difference := func(a, b byte) int { return max(int(a)-int(b), int(b)-int(a)) }
	for i, v := range pixels {
		ink += int(v)
		if (i+1)%l.cols > 0 {
			differences += difference(v, pixels[i+1])
		}
		if i+l.cols < len(pixels) {
			differences += difference(v, pixels[i+l.cols])
		}
	}
	return float64(differences) / float64(max(ink, 1))
}

func halved(n int) int { return (n + 1) / 2 }

// halve averages squares of four pixels.
func (l *Likeness) halve(to, pixels []byte) {
	for y := range halved(l.rows) {
		for x := range halved(l.cols) {
			sum := 0
			for _, at := range [4][2]int{{2 * y, 2 * x}, {2 * y, 2*x + 1}, {2*y + 1, 2 * x}, {2*y + 1, 2*x + 1}} {
				if at[0] < l.rows && at[1] < l.cols {
					sum += int(pixels[at[0]*l.cols+at[1]])
				}
			}
			to[y*halved(l.cols)+x] = byte(sum / 4)
		}
	}
}

// Of is the cosine of the angle to the nearest image of the set: 1 for one of them, 0 for an image without ink.
func (l *Likeness) Of(pixels []byte) float64 {
	half := make([]byte, halved(l.rows)*halved(l.cols))
	l.halve(half, pixels)
	length := math.Sqrt(float64(dot(half, half)))
	var mu sync.Mutex
	most := 0.
	l.onAllCores(len(l.lengths), func(from, to int) {
		best := 0.
		for i := from; i < to; i++ {
			if both := length * l.lengths[i]; both > 0 {
				best = max(best, float64(dot(half, l.images[i*len(half):(i+1)*len(half)]))/both)
			}
		}
		mu.Lock()
		defer mu.Unlock()
		most = max(most, best)
	})
	return most
}

func dot(a, b []byte) (sum int) {
	b = b[:len(a)]
	for i, v := range a {
		sum += int(v) * int(b[i])
	}
	return sum
}

func (l *Likeness) onAllCores(n int, do func(from, to int)) {
	var workers sync.WaitGroup
	cores := runtime.GOMAXPROCS(0)
	for c := range cores {
		workers.Go(func() { do(c*n/cores, (c+1)*n/cores) })
	}
	workers.Wait()
}
