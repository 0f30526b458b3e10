// Package viz draws what a network has learned: its weights as images, its mistakes, what it makes of noise, of moved
// digits and of digits between two others, and the images it would like best.
//
// Every figure has two parts. Its numbers are a struct with JSON tags, which a function computes from a [Network] and
// images and nothing else; the same arguments give the same numbers. Its drawing shows these numbers and no others:
//
//	w, err := viz.NewWeights(ctx, network, 28, 28, viz.SharedScale)
//	err = viz.Write(ctx, file, w, viz.PNG, viz.Light)
//
// What runs a network is not this package's to know: whoever calls it says what the network makes of images, and along
// which pixels its outputs rise.
package viz

import (
	"context"
	"fmt"
	"math"
	"slices"
	"strings"

	"vanilla/dataset"
	"vanilla/model"
)

// Network is a trained network that sees images.
type Network interface {
	// Name is what figures call it, and Arch what it is, as in 784-16-16-10.
	Name() string
	// ClassNames are what its outputs are called, nil if by their numbers.
	ClassNames() []string
	Arch() string
	// Inputs is how many pixels it sees, Classes how many outputs it has.
	Inputs() int
	Classes() int
	// Layers are its dense layers, first to last; there may be none. Sources are what each of them reads: the number
	// of the layer, from 0, whose units' activations it is given, or model.ReadsInputs or model.ReadsOther.
	Layers() []model.Layer
	Sources() []int
	// Probabilities runs images [n, inputs], bytes of which the network sees byte/255, and returns the probability, by
	// its own account, of each class [n, classes]. Of a network trained with the quadratic loss these are its outputs,
	// which need not sum to 1. It may be called concurrently.
	Probabilities(ctx context.Context, pixels []byte) ([]float32, error)
	// Classify returns the class with the largest probability for each of images like these. It may be called
	// concurrently.
	Classify(ctx context.Context, pixels []byte) ([]byte, error)
	// Softmax says whether the probabilities are the softmax of what enters the last layer, and not each the sigmoid of
	// its own.
	Softmax() bool
	// Activate runs one image x [inputs], from 0 to 1, and returns what enters each layer's units, z = weight·a + bias
	// with the a that it reads, and what leaves them, a. The last are the outputs and the probabilities, which are one
	// more than there are layers where the last layer does not give them.
	Activate(ctx context.Context, x []float32) (z, a [][]float32, err error)
	// InputGradient returns the gradient in x of Σ dz ⊙ z with the last z of Activate: dz [classes] in, [inputs] out.
	InputGradient(ctx context.Context, x, dz []float32) ([]float32, error)
}

// Picture is one image with what is known of it.
type Picture struct {
	// Name says which one it is, "test image 7" for example.
	Name string `json:"name"`
	// Label is what it shows, -1 if that is not known.
	Label  int    `json:"label"`
	Pixels []byte `json:"-"` // row-major
}

// TestPicture is image i of a set. It fails if there is none.
func TestPicture(set *dataset.Images, i int) (Picture, error) {
	if i < 0 || i >= set.Len() {
		return Picture{}, fmt.Errorf("expected an index from 0 to %d, found %d", set.Len()-1, i)
	}
	return Picture{Name: fmt.Sprintf("test image %d", i), Label: int(set.Labels[i]), Pixels: set.Image(i)}, nil
}

// first is the first layer whose units see the pixels, by its number. It fails if there is none.
func first(n Network) (int, error) {
	k := slices.Index(n.Sources(), model.ReadsInputs)
	if k < 0 {
		return 0, fmt.Errorf("%s: no dense layer of %s sees the pixels, so no unit's weights are an image: the figures mistakes, noise, robustness, morph and dream draw such networks too", n.Name(), n.Arch())
	}
	return k, nil
}

// top is the index of the largest value, the first of several, and the value.
func top[T float32 | float64 | int](values []T) (int, T) {
	best := 0
	for i, v := range values {
		if v > values[best] {
			best = i
		}
	}
	return best, values[best]
}

// largest is the largest absolute value.
func largest(values []float32) float64 {
	m := 0.
	for _, v := range values {
		m = math.Max(m, math.Abs(float64(v)))
	}
	return m
}

// unitInterval is an image as the network sees it.
func unitInterval(pixels []byte) []float32 {
	x := make([]float32, len(pixels))
	for i, p := range pixels {
		x[i] = float32(p) / 255
	}
	return x
}

// correlation is Pearson's, 0 where one side does not vary.
func correlation[T, U float32 | float64 | byte](a []T, b []U) float64 {
	var ma, mb float64
	for i := range a {
		ma += float64(a[i])
		mb += float64(b[i])
	}
	n := float64(len(a))
	ma, mb = ma/n, mb/n
	var ab, aa, bb float64
	for i := range a {
		da, db := float64(a[i])-ma, float64(b[i])-mb
		ab, aa, bb = ab+da*db, aa+da*da, bb+db*db
	}
	if aa == 0 || bb == 0 {
		return 0
	}
	return ab / math.Sqrt(aa*bb)
}

// percent prints 0.9627 as "96.3 %", and what is nearly all as "> 99.9 %".
func percent(f float64) string {
	if f < 1 && f >= 0.9995 {
		return "> 99.9 %"
	}
	return fmt.Sprintf("%.1f %%", 100*f)
}

// share prints what a network says of a class: a probability, or an output that is none.
func share(v float64, softmax bool) string {
	if softmax {
		return percent(v)
	}
	return fmt.Sprintf("%.3f", v)
}

// signed prints numbers with a real minus sign, which is as wide as a plus, and without one where all digits are 0.
func signed(format string, v float64) string {
	s := fmt.Sprintf(format, v)
	if !strings.ContainsAny(s, "123456789") {
		s = fmt.Sprintf(format, 0.) // no number is −0
	}
	return strings.ReplaceAll(s, "-", "−")
}

// capital is a text with its first letter, of ASCII's, in upper case.
func capital(s string) string {
	if s == "" {
		return s
	}
	return strings.ToUpper(s[:1]) + s[1:]
}
