package kernels

import "math"

const (
	// fieldSide is the extent of a field, whose left edge continues its right one and
	// whose top its bottom: eight bits tell all places apart.
	fieldSide = 256
	// fieldSpare is how many numbers after a row's may be read.
	fieldSpare = 8
)

// Field is random numbers that vary smoothly over a square: the displacements of
// elastic bending, of which images use those from two random places on, along x and
// along y. It is the same for all seeds; which places an image uses is not.
type Field struct {
	// Values are fractions of peak in 32768ths, rows of Stride, with those repeated
	// that follow the last of an image in the last place.
	Values []int16
	Stride int
	// peak is the largest magnitude where noise is between -1 and 1.
	peak float64
}

// NewField makes the field of a standard deviation for images of an extent. It
// takes milliseconds.
func NewField(sigma float64, rows, cols int) *Field {
	weights := gaussian(sigma)
	noise := make([]int64, fieldSide*fieldSide)
	for i := 0; i < len(noise); i += 8 {
		for k, word := range draw(0, streamField, uint64(i)) {
			noise[i+2*k], noise[i+2*k+1] = int64(int16(word)), int64(int16(word>>16))
		}
	}
	smooth := blur(blur(noise, weights, 1, 8), weights, fieldSide, 0)
	peak := int64(0)
	for _, v := range smooth {
		peak = max(peak, v, -v)
	}
	f := &Field{Stride: fieldSide + cols + fieldSpare, peak: float64(peak) / (1 << (15 + weightBits + weightBits - 8))}
	f.Values = make([]int16, (fieldSide+rows)*f.Stride)
	for y := range fieldSide + rows {
		row := f.Values[y*f.Stride:][:f.Stride]
		for x := range row {
			row[x] = int16(smooth[y%fieldSide*fieldSide+x%fieldSide] * math.MaxInt16 / peak)
		}
	}
	return f
}

// at are the values from a place on.
func (f *Field) at(x, y uint8) []int16 { return f.Values[int(y)*f.Stride+int(x):] }

// weightBits is the number of bits of a blur's weights, whose sum is 1.
const weightBits = 16

// gaussian is the weights of a Gaussian at 0, 1, … to three standard deviations.
func gaussian(sigma float64) []int64 {
	// e^(-k²/2σ²) from one to the next, in operations that round alike everywhere.
	ratio, step := exponential(-1/float64(2*float64(sigma*sigma))), exponential(-1/float64(sigma*sigma))
	values := []float64{1}
	sum := 1.0
	for k := 1; k <= int(math.Ceil(3*sigma)); k++ {
		v := values[k-1] * ratio
		values = append(values, v)
		sum += float64(2 * v)
		ratio *= step
	}
	weights := make([]int64, len(values))
	for k, v := range values {
		weights[k] = int64(math.Round(float64(v/sum) * (1 << weightBits)))
	}
	return weights
}

// exponential is e^x for -4 <= x <= 0, as a series, in exactly rounded operations.
func exponential(x float64) float64 {
	sum := 1.0
	for n := 40.0; n >= 1; n-- {
		sum = 1 + float64(float64(x*sum)/n)
	}
	return sum
}

// blur averages along rows (by 1) or columns (by fieldSide) with weights, and
// shifts sums to the right.
func blur(from []int64, weights []int64, by int, shift uint) []int64 {
	to := make([]int64, len(from))
	for y := range fieldSide {
		for x := range fieldSide {
			at, along := y*fieldSide+x, x
			if by != 1 {
				along = y
			}
			first := at - along*by
			sum := weights[0] * from[at]
			for k := 1; k < len(weights); k++ {
				sum += weights[k] * (from[first+(along+k)%fieldSide*by] + from[first+(along-k+fieldSide*2)%fieldSide*by])
			}
			to[at] = sum >> shift
		}
	}
	return to
}
