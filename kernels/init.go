package kernels

import (
	"math"
	"slices"

	"vanilla/graph/ir"
)

// Init is the distribution of initial weights: the name of an [InitKind].
type Init string

const (
	Lesson Init = "lesson"
	Scaled Init = "scaled"
	Xavier Init = "xavier"
	He     Init = "he"
)

// InitKind is a normal distribution of initial weights around zero.
type InitKind struct {
	Name Init
	Help string // its deviation, as a formula
	// deviation is that of weights by how many inputs and outputs a layer has.
	// Biases have it too, or are zero.
	deviation func(in, out float64) float64
	biases    bool
}

var inits = [...]InitKind{
	{Lesson, "1, biases too", func(_, _ float64) float64 { return 1 }, true}, // as the lesson's network does
	{Scaled, "1/√inputs", func(in, _ float64) float64 { return 1 / math.Sqrt(in) }, false},
	// Glorot and Bengio, 2010.
	{Xavier, "√(2/(inputs+outputs))", func(in, out float64) float64 { return math.Sqrt(2 / (in + out)) }, false},
	// He et al., arXiv:1502.01852.
	{He, "√(2/inputs)", func(in, _ float64) float64 { return math.Sqrt(2 / in) }, false},
}

// Inits lists the initialisations.
func Inits() []InitKind { return slices.Clone(inits[:]) }

// InitNames lists the initialisations' names.
func InitNames() []string {
	var names []string
	for _, k := range inits {
		names = append(names, string(k.Name))
	}
	return names
}

// Check reports a name that there is no initialisation of, as a *SettingError.
func (n Init) Check() error { return CheckName("init", string(n), InitNames()) }

// InitialState draws the variant's parameters. Element j of parameter i is a
// function of (Seed, i, j) alone, with weights numbered [out, in] row-major.
func (v Variant) InitialState() State {
	var s State
	for i, q := range v.Program().Params {
		shape := v.Program().Value(q.Value).Shape
		w := make([]float32, shape.Len(0))
		if sd := v.Init.deviation(shape, q.Bias); sd != 0 {
			for j := range w {
				w[j] = float32(float64(sd * normal(v.Seed, streamParam+uint32(i), uint64(j))))
			}
		} else if q.Start != 0 {
			for j := range w {
				w[j] = float32(q.Start)
			}
		}
		s.Params = append(s.Params, w)
	}
	for range v.Optimizer.Slots() {
		for i := range v.Program().Params {
			s.Slots = append(s.Slots, make([]float32, len(s.Params[i])))
		}
	}
	return s
}

// fans are how many numbers each sum with the parameter has, and how many sums
// each number goes into: of weights [out, in], and of filters [out, in, h, w].
func fans(shape ir.Shape) (in, out float64) {
	extents := shape.At(0)
	if len(extents) <= 2 {
		return float64(shape.Cols), float64(shape.Rows)
	}
	window := 1
	for _, d := range extents[2:] {
		window *= d
	}
	return float64(extents[1] * window), float64(extents[0] * window)
}

// deviation is the standard deviation of a parameter's initial elements.
func (n Init) deviation(shape ir.Shape, bias bool) float64 {
	fanIn, fanOut := fans(shape)
	for _, k := range inits {
		if k.Name == n && (k.biases || !bias) {
			return k.deviation(fanIn, fanOut)
		}
	}
	return 0
}
