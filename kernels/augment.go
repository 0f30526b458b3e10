package kernels

import (
	"fmt"
	"math"

	"vanilla/kernels/warp"
)

// Augment is what happens to every image each time it is trained on. Each is a
// range, from minus to plus the number, of which all values are equally likely;
// zero leaves images as they are. What happens to an image is a function of
// (OrderSeed, epoch, example), in integer arithmetic, so all executors train on the
// same bytes. What enters an image from outside is zero.
type Augment struct {
	// Shift moves by whole pixels, along both axes.
	Shift int
	// Rotate turns about the middle, in degrees.
	Rotate float64
	// Scale stretches by 1 - Scale to 1 + Scale, along each axis by itself.
	Scale float64
	// Shear slants: the pixels of a row move sideways by so many times the row's
	// distance from the middle one.
	Shear float64
	// Stroke makes strokes thicker or thinner, by so many pixels on each side.
	Stroke float64
	// Elastic bends, as Simard, Steinkraus and Platt do (ICDAR 2003): pixels move
	// by random numbers, uniform between -Elastic and Elastic pixels, that are
	// averaged over their neighbourhood with a Gaussian of standard deviation
	// ElasticSigma pixels.
	Elastic, ElasticSigma float64
}

// The limits of ranges.
const (
	maxRotate  = 180
	maxScale   = 0.75
	maxShear   = 1
	maxStroke  = 1
	leastSigma = 0.5
	maxSigma   = 32
	// maxElastic is the largest Elastic by ElasticSigma: displacements stay within
	// 127 pixels.
	maxElastic = 100
)

// Check reports the first range that cannot be, as a *SettingError.
func (a Augment) Check() error {
	within := func(field string, v, most float64, unit string) error {
		return checkThat(v >= 0 && v <= most, field, v, fmt.Sprintf("want 0 to %g%s", most, unit))
	}
	err := firstError(
		checkThat(a.Shift >= 0, "shift", a.Shift, "want zero or more pixels"),
		within("rotate", a.Rotate, maxRotate, " degrees"),
		within("scale", a.Scale, maxScale, ""),
		within("shear", a.Shear, maxShear, ""),
		within("stroke", a.Stroke, maxStroke, " pixels"))
	if err != nil || a.Elastic == 0 && a.ElasticSigma == 0 {
		return err
	}
	return firstError(
		checkThat(a.Elastic >= 0, "elastic", a.Elastic, "want zero or more pixels"),
		checkThat(a.Elastic > 0, "elastic_sigma", a.ElasticSigma, "want \"elastic\" too"),
		checkThat(a.ElasticSigma >= leastSigma && a.ElasticSigma <= maxSigma, "elastic_sigma", a.ElasticSigma,
			fmt.Sprintf("want %g to %d pixels", leastSigma, maxSigma)),
		checkThat(a.Elastic <= maxElastic*a.ElasticSigma, "elastic", a.Elastic,
			fmt.Sprintf("want at most %d times \"elastic_sigma\", which is %g", maxElastic, a.ElasticSigma)))
}

// Fits reports a range that makes no sense for images of this extent, as a
// *SettingError.
func (a Augment) Fits(rows, cols int) error {
	if a.Shift != 0 && (a.Shift >= rows || a.Shift >= cols) {
		return &SettingError{Field: "shift", Value: a.Shift,
			Problem: fmt.Sprintf("the images have %dx%d pixels, so want less than that", rows, cols)}
	}
	for _, r := range []struct {
		field string
		value float64
	}{{"rotate", a.Rotate}, {"scale", a.Scale}, {"shear", a.Shear}, {"stroke", a.Stroke}, {"elastic", a.Elastic}} {
		if r.value == 0 {
			continue
		}
		if rows == 0 || cols == 0 {
			return &SettingError{Field: r.field, Value: r.value, Problem: "the inputs are no images"}
		}
		if rows > warp.MaxSide || cols > warp.MaxSide {
			return &SettingError{Field: r.field, Value: r.value,
				Problem: fmt.Sprintf("the images have %dx%d pixels, and those of at most %d are warped", rows, cols, warp.MaxSide)}
		}
	}
	return nil
}

// Warps is whether images are warped, and not only moved.
func (a Augment) Warps() bool {
	a.Shift = 0
	return a != Augment{}
}

// Amounts is an Augment in the integers that images are made by.
type Amounts struct {
	Shift                int
	Angle                int64 // radians, in 2²⁴ths
	Scale, Shear, Stroke int64 // in 65536ths, and strokes in 256ths of a pixel
	Gain                 int16 // of the field, see warp.Field
}

// Amounts are those of a, with a field of elastic displacements, nil if there is
// none.
func (a Augment) Amounts(f *Field) Amounts {
	r := Amounts{
		Shift:  a.Shift,
		Angle:  int64(math.Round(a.Rotate * (math.Pi / 180) * one)),
		Scale:  int64(math.Round(a.Scale * warp.Unit)),
		Shear:  int64(math.Round(a.Shear * warp.Unit)),
		Stroke: int64(math.Round(a.Stroke * warp.FullStroke)),
	}
	if f != nil {
		r.Gain = int16(min(math.Round(a.Elastic*f.peak*256), math.MaxInt16))
	}
	return r
}

// change is what happens to one image: its stroke, its map, and where in the field
// of elastic displacements those along x and those along y begin.
type change struct {
	stroke               int
	affine               warp.Map
	acrossX, acrossY     uint8
	downwardX, downwardY uint8
}

// ShiftOf is how far an example is moved in an epoch: down and to the right,
// each uniform in -limit..limit.
func ShiftOf(orderSeed uint64, epoch, example, limit int) (down, right int) {
	return shiftOf(draw(orderSeed, streamShift, uint64(epoch)<<32|uint64(uint32(example))), limit)
}

func shiftOf(r [4]uint32, limit int) (down, right int) {
	positions := uint64(2*limit + 1)
	return int(uint64(r[0])*positions>>32) - limit, int(uint64(r[1])*positions>>32) - limit
}

// changeOf is what happens to an example in an epoch.
func (r *Amounts) changeOf(orderSeed uint64, epoch, example, rows, cols int) change {
	position := uint64(epoch)<<32 | uint64(uint32(example))
	a, b := draw(orderSeed, streamShift, position), draw(orderSeed, streamWarp, position)
	down, right := shiftOf(a, r.Shift)
	// within is uniform between -limit and limit.
	within := func(word uint32, limit int64) int64 { return int64(int32(word)) * limit >> 31 }
	sin, cos := sine(within(b[0], r.Angle))
	shear := within(b[1], r.Shear)
	// The way back: stretched and sheared and turned, in reverse.
	wide, high := (1<<32)/(warp.Unit+within(a[2], r.Scale)), (1<<32)/(warp.Unit+within(a[3], r.Scale))
	ux, uy := (cos+shear*sin>>16)*wide>>oneBits, (sin-shear*cos>>16)*wide>>oneBits
	vx, vy := -sin*high>>oneBits, cos*high>>oneBits
	midX, midY := int64(cols-1)<<15, int64(rows-1)<<15
	fromX, fromY := midX+int64(right)<<16, midY+int64(down)<<16
	const rounding = 1 << 9 // half of a 64th
	return change{
		stroke: int(within(b[2], r.Stroke)),
		affine: warp.Map{
			U: int32(midX - (ux*fromX+uy*fromY)>>16 + rounding), UX: int32(ux), UY: int32(uy),
			V: int32(midY - (vx*fromX+vy*fromY)>>16 + rounding), VX: int32(vx), VY: int32(vy),
		},
		acrossX: uint8(b[3]), acrossY: uint8(b[3] >> 8), downwardX: uint8(b[3] >> 16), downwardY: uint8(b[3] >> 24),
	}
}

// one is the number one of angles, sines and cosines.
const (
	oneBits = 24
	one     = 1 << oneBits
)

// sineTerms is how many terms of the series are enough for half a turn.
const sineTerms = 10

// The steps from term to term of the series of sine and cosine, 1/(2k·(2k+1)) and
// 1/(2k·(2k-1)), in 2³²nds.
var sineSteps, cosineSteps = func() (s, c [sineTerms]int64) {
	for k := range int64(sineTerms) {
		n := 2 * (k + 1)
		s[k], c[k] = (1<<32)/(n*(n+1)), (1<<32)/(n*(n-1))
	}
	return s, c
}()

// sine is sine and cosine of an angle of up to half a turn either way, in integers.
func sine(x int64) (sin, cos int64) {
	square := x * x >> oneBits
	sin, cos = one, one
	for k := sineTerms - 1; k >= 0; k-- {
		sin = one - (square*sin>>oneBits)*sineSteps[k]>>32
		cos = one - (square*cos>>oneBits)*cosineSteps[k]>>32
	}
	return x * sin >> oneBits, cos
}
