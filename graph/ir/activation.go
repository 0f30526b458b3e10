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
	Identity Activation = iota + 1
	Sigmoid
	Tanh
	ReLU // slope 0 at 0, as in PyTorch
	LeakyReLU
	Softplus
	SiLU
	GELUTanh // PyTorch's approximate='tanh' (Hendrycks and Gimpel, 2016, arXiv:1606.08415)
	Softsign
	// Rectify is ReLU with slope 1 at 0: what Gorgonia's own Rectify
	// differentiates to. Graphs written by hand may hold it.
	Rectify
	activations
)

const (
	leak       = 0.01
	gelu0      = 0.7978845608028654 // √(2/π)
	gelu1      = 0.044715
	unknownAct = "unknown activation"
)

// kinds are what there is to know of the activations, in their order.
var kinds = [activations]struct {
	name, formula string
	value, slope  func(z float64) float64
}{
	Identity: {"identity", "z",
		func(z float64) float64 { return z },
		func(float64) float64 { return 1 }},
	Sigmoid: {"sigmoid", "1/(1+e⁻ᶻ)", sigmoid,
		func(z float64) float64 {
			s := sigmoid(z)
			return s * (1 - s)
		}},
	Tanh: {"tanh", "tanh z", math.Tanh,
		func(z float64) float64 {
			t := math.Tanh(z)
			return 1 - t*t
		}},
	ReLU: {"relu", "max(z, 0)", relu,
		func(z float64) float64 { return step(z > 0, 0) }},
	LeakyReLU: {"leaky-relu", "z if z > 0, else z/100",
		func(z float64) float64 {
			if z > 0 {
				return z
			}
			return leak * z
		},
		func(z float64) float64 { return step(z > 0, leak) }},
	Softplus: {"softplus", "log(1+eᶻ)",
		func(z float64) float64 { return math.Max(z, 0) + math.Log1p(math.Exp(-math.Abs(z))) }, sigmoid},
	SiLU: {"silu", "z·sigmoid(z)",
		func(z float64) float64 { return z * sigmoid(z) },
		func(z float64) float64 {
			s := sigmoid(z)
			return s * (1 + z*(1-s))
		}},
	GELUTanh: {"gelu-tanh", "z/2·(1+tanh(√(2/π)(z+0.044715 z³)))",
		func(z float64) float64 { return 0.5 * z * (1 + math.Tanh(gelu0*(z+gelu1*z*z*z))) },
		func(z float64) float64 {
			t := math.Tanh(gelu0 * (z + gelu1*z*z*z))
			return 0.5*(1+t) + 0.5*z*(1-t*t)*gelu0*(1+3*gelu1*z*z)
		}},
	Softsign: {"softsign", "z/(1+|z|)",
		func(z float64) float64 { return z / (1 + math.Abs(z)) },
		func(z float64) float64 {
			d := 1 + math.Abs(z)
			return 1 / (d * d)
		}},
	Rectify: {"rectify", "max(z, 0)", relu,
		func(z float64) float64 { return step(z >= 0, 0) }},
}

// kind panics for what is no activation.
func (a Activation) kind() int {
	if !a.Known() {
		panic(unknownAct)
	}
	return int(a)
}

// Value is f(z).
func (a Activation) Value(z float64) float64 { return kinds[a.kind()].value(z) }

// Slope is f′(z).
func (a Activation) Slope(z float64) float64 { return kinds[a.kind()].slope(z) }

// Formula is f(z) as people write it.
func (a Activation) Formula() string { return kinds[a.kind()].formula }

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
		return kinds[a].name
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
	var names []string
	for _, a := range Activations() {
		names = append(names, a.String())
	}
	return 0, fmt.Errorf("no activation is called %q: there are %s", name, strings.Join(names, ", "))
}

func sigmoid(z float64) float64 { return 1 / (1 + math.Exp(-z)) }

func relu(z float64) float64 {
	if z > 0 || z != z {
		return z
	}
	return 0
}

func step(on bool, otherwise float64) float64 {
	if on {
		return 1
	}
	return otherwise
}
