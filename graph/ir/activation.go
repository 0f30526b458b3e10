package ir

import (
	"fmt"
	"math"
	"strings"
)

// Activation is a function applied to every element of a layer. Value and
// Slope are its one definition: the lowering recognises activations by them,
// the reference executor computes them, and the others are tested against it.
type Activation uint8

const (
	Identity  Activation = iota + 1
	Sigmoid              // 1 / (1 + e⁻ᶻ)
	Tanh                 // tanh z
	ReLU                 // max(z, 0), slope 0 at 0, as in PyTorch
	LeakyReLU            // z for z > 0, else z/100, slope 1/100 at 0
	Softplus             // log(1 + eᶻ)
	SiLU                 // z · sigmoid(z)
	GELUTanh             // z/2 · (1 + tanh(√(2/π)(z + 0.044715 z³))), PyTorch's approximate='tanh'
	Softsign             // z / (1 + |z|)
	// Rectify is ReLU with slope 1 at 0: what Gorgonia's own Rectify
	// differentiates to. Graphs written by hand may hold it.
	Rectify
	activations
)

const (
	leak       = 0.01
	gelu0      = 0.7978845608028654 // √(2/π)
	gelu1      = 0.044715           // Hendrycks and Gimpel, 2016, arXiv:1606.08415
	unknownAct = "unknown activation"
)

var activationNames = [activations]string{
	Identity: "identity", Sigmoid: "sigmoid", Tanh: "tanh", ReLU: "relu",
	LeakyReLU: "leaky-relu", Softplus: "softplus", SiLU: "silu",
	GELUTanh: "gelu-tanh", Softsign: "softsign", Rectify: "rectify",
}

// Activations lists all activations.
func Activations() []Activation {
	var all []Activation
	for a := Identity; a < activations; a++ {
		all = append(all, a)
	}
	return all
}

// Known reports whether a is one of the activations.
func (a Activation) Known() bool { return a >= Identity && a < activations }

func (a Activation) String() string {
	if a.Known() {
		return activationNames[a]
	}
	return unknownAct
}

// ParseActivation finds an activation by its name. The error lists the names.
func ParseActivation(name string) (Activation, error) {
	for _, a := range Activations() {
		if a.String() == name {
			return a, nil
		}
	}
	return 0, fmt.Errorf("no activation is called %q: there are %s", name,
		strings.Join(activationNames[Identity:], ", "))
}

// Value is f(z).
func (a Activation) Value(z float64) float64 {
	switch a {
	case Identity:
		return z
	case Sigmoid:
		return sigmoid(z)
	case Tanh:
		return math.Tanh(z)
	case ReLU, Rectify:
		if z > 0 || z != z {
			return z
		}
		return 0
	case LeakyReLU:
		if z > 0 {
			return z
		}
		return leak * z
	case Softplus:
		return math.Max(z, 0) + math.Log1p(math.Exp(-math.Abs(z)))
	case SiLU:
		return z * sigmoid(z)
	case GELUTanh:
		return 0.5 * z * (1 + math.Tanh(gelu0*(z+gelu1*z*z*z)))
	case Softsign:
		return z / (1 + math.Abs(z))
	}
	panic(unknownAct)
}

// Slope is f′(z).
func (a Activation) Slope(z float64) float64 {
	switch a {
	case Identity:
		return 1
	case Sigmoid:
		s := sigmoid(z)
		return s * (1 - s)
	case Tanh:
		t := math.Tanh(z)
		return 1 - t*t
	case ReLU:
		return step(z > 0, 0)
	case Rectify:
		return step(z >= 0, 0)
	case LeakyReLU:
		return step(z > 0, leak)
	case Softplus:
		return sigmoid(z)
	case SiLU:
		s := sigmoid(z)
		return s * (1 + z*(1-s))
	case GELUTanh:
		t := math.Tanh(gelu0 * (z + gelu1*z*z*z))
		return 0.5*(1+t) + 0.5*z*(1-t*t)*gelu0*(1+3*gelu1*z*z)
	case Softsign:
		d := 1 + math.Abs(z)
		return 1 / (d * d)
	}
	panic(unknownAct)
}

func sigmoid(z float64) float64 { return 1 / (1 + math.Exp(-z)) }

func step(on bool, otherwise float64) float64 {
	if on {
		return 1
	}
	return otherwise
}
