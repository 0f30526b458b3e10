package kernels

import (
	"fmt"
	"math"
	"slices"
	"strings"
)

// Optimizer turns gradients into updates. Names, formulas and defaults are
// PyTorch's (torch.optim), except that decay acts on weights and not on biases.
type Optimizer struct {
	// Name is "sgd", "momentum", "nesterov", "adam" or "adamw".
	Name string
	// WeightDecay is added to the gradient as WeightDecay·W. Adamw instead
	// shrinks weights by stepSize·WeightDecay (Loshchilov and Hutter,
	// arXiv:1711.05101).
	WeightDecay float64
	// Momentum is the share of its velocity that momentum and nesterov keep.
	Momentum float64
	// Beta1 and Beta2 are the shares of the running means of the gradient and
	// of its square that adam and adamw keep; Epsilon keeps the division by the
	// latter's root finite (Kingma and Ba, arXiv:1412.6980).
	Beta1, Beta2, Epsilon float64
}

// OptimizerNames lists the optimizers.
func OptimizerNames() []string { return []string{"sgd", "momentum", "nesterov", "adam", "adamw"} }

// NewOptimizer returns an optimizer with PyTorch's defaults, and with momentum
// 0.9 for momentum and nesterov, where PyTorch has none.
func NewOptimizer(name string) (Optimizer, error) {
	o := Optimizer{Name: name}
	switch name {
	case "momentum", "nesterov":
		o.Momentum = 0.9
	case "adam", "adamw":
		o.Beta1, o.Beta2, o.Epsilon = 0.9, 0.999, 1e-8
		if name == "adamw" {
			o.WeightDecay = 0.01
		}
	}
	return o, o.Check()
}

// Check reports the first setting that cannot be.
func (o Optimizer) Check() error {
	if !slices.Contains(OptimizerNames(), o.Name) {
		return fmt.Errorf("no optimizer is called %q: there are %s", o.Name, strings.Join(OptimizerNames(), ", "))
	}
	if !(o.WeightDecay >= 0) || math.IsInf(float64(float32(o.WeightDecay)), 0) {
		return fmt.Errorf("weight decay %g: want zero or a positive float32", o.WeightDecay)
	}
	switch o.Name {
	case "momentum", "nesterov":
		if !(o.Momentum > 0 && float32(o.Momentum) < 1) {
			return fmt.Errorf("momentum %g: want a number between 0 and 1", o.Momentum)
		}
	case "adam", "adamw":
		for i, beta := range []float64{o.Beta1, o.Beta2} {
			if !(beta >= 0 && float32(beta) < 1) {
				return fmt.Errorf("beta%d %g: want 0 or a number between 0 and 1", i+1, beta)
			}
		}
		if !(float32(o.Epsilon) > 0) || math.IsInf(float64(float32(o.Epsilon)), 0) {
			return fmt.Errorf("epsilon %g: want a positive float32", o.Epsilon)
		}
	}
	return nil
}

// Slots is the number of arrays the optimizer keeps per parameter, all zero at
// the start: the velocity, or the two running means. In State.Slots array k of
// parameter i stands at k·(number of parameters) + i.
func (o Optimizer) Slots() int {
	switch o.Name {
	case "momentum", "nesterov":
		return 1
	case "adam", "adamw":
		return 2
	}
	return 0
}

// Update applies step t, counted from 0, to a parameter w with gradient g and
// the optimizer's arrays for it, all of one length. This is the definition that
// the executors' own updates are tested against; every operation rounds to T.
func Update[T float32 | float64](o Optimizer, stepSize T, t int, bias bool, w, g []T, slots [][]T) {
	decay := T(o.WeightDecay)
	if bias {
		decay = 0
	}
	switch o.Name {
	case "sgd":
		for i := range w {
			w[i] -= T(stepSize * (g[i] + T(decay*w[i])))
		}

	case "momentum", "nesterov":
		velocity, keep := slots[0], T(o.Momentum)
		for i := range w {
			d := g[i] + T(decay*w[i])
			velocity[i] = T(keep*velocity[i]) + d
			if o.Name == "nesterov" {
				d += T(keep * velocity[i])
			} else {
				d = velocity[i]
			}
			w[i] -= T(stepSize * d)
		}

	case "adam", "adamw":
		shrink := T(1)
		if o.Name == "adamw" {
			shrink, decay = 1-T(stepSize*decay), 0
		}
		// The running means start at zero; they are divided by the share of
		// real gradients in them.
		share1 := 1 - math.Pow(o.Beta1, float64(t+1))
		share2 := 1 - math.Pow(o.Beta2, float64(t+1))
		rate, root := T(float64(stepSize)/share1), T(math.Sqrt(share2))
		beta1, beta2, epsilon := T(o.Beta1), T(o.Beta2), T(o.Epsilon)
		rest1, rest2 := T(1-o.Beta1), T(1-o.Beta2)
		mean, square := slots[0], slots[1]
		for i := range w {
			w[i] *= shrink
			d := g[i] + T(decay*w[i])
			mean[i] = T(beta1*mean[i]) + T(rest1*d)
			square[i] = T(beta2*square[i]) + T(rest2*T(d*d))
			w[i] -= T(rate*mean[i]) / (T(T(math.Sqrt(float64(square[i])))/root) + epsilon)
		}
	}
}

// ParamSlots are the arrays of parameter i in State.Slots or an executor's
// equal arrangement.
func ParamSlots[T any](slots [][]T, i, params int) [][]T {
	var own [][]T
	for k := i; k < len(slots); k += params {
		own = append(own, slots[k])
	}
	return own
}
