package mnist

import (
	"math"
	"runtime"
	"sync"
)

// Likeness compares images with those of a set, at half their resolution, so that a pixel's shift matters little.
type Likeness struct {
	rows, cols int
	images     []byte // [n, half*half]
	lengths    []float64
}

// Unlike is the likeness below which a shape is none of the set's: 4 of 1,000 of MNIST's test images are less like each of
// its training images, and so are most of the letters that are not like a digit.
const Unlike = 0.79

// NewLikeness prepares a set. It takes a quarter of the set's memory.
func NewLikeness(set *Images) *Likeness {
	l := &Likeness{rows: set.Rows, cols: set.Cols, images: make([]byte, set.Len()*halved(set.Rows)*halved(set.Cols)), lengths: make([]float64, set.Len())}
	l.onAllCores(set.Len(), func(from, to int) {
		size := halved(l.rows) * halved(l.cols)
		for i := from; i < to; i++ {
			half := l.images[i*size : (i+1)*size]
			l.halve(half, set.Image(i))
			l.lengths[i] = math.Sqrt(float64(dot(half, half)))
		}
	})
	return l
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
