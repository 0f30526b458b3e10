package kernels

import (
	"fmt"
	"math"
	"slices"
	"strings"
)

// Optimizer turns gradients into updates. Names, formulas and defaults are
// PyTorch's (torch.optim); decay acts on weights, not on biases.
type Optimizer struct {
	Name string
	// WeightDecay is added to the gradient as WeightDecay·W.
	WeightDecay float64
}

// OptimizerNames lists the optimizers.
func OptimizerNames() []string { return []string{"sgd"} }

// Check reports the first setting that cannot be.
func (o Optimizer) Check() error {
	if !slices.Contains(OptimizerNames(), o.Name) {
		return fmt.Errorf("no optimizer is called %q: there are %s", o.Name, strings.Join(OptimizerNames(), ", "))
	}
	if !(o.WeightDecay >= 0) || math.IsInf(float64(float32(o.WeightDecay)), 0) {
		return fmt.Errorf("weight decay %g: want zero or a positive float32", o.WeightDecay)
	}
	return nil
}

// Slots is the number of arrays the optimizer keeps per parameter. In
// State.Slots array k of parameter i stands at k·(number of parameters) + i.
func (o Optimizer) Slots() int { return 0 }

// Update applies one step to a parameter w with gradient g, both of one
// length. This is the definition that the executors' own updates are tested
// against; every operation rounds to T.
func Update[T float32 | float64](o Optimizer, stepSize T, bias bool, w, g []T) {
	decay := T(o.WeightDecay)
	if bias {
		decay = 0
	}
	for i := range w {
		w[i] -= T(stepSize * (g[i] + T(decay*w[i])))
	}
}
