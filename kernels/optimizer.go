package kernels

import (
	"math"
	"slices"

	"vanilla/internal/words"
)

// Optimizer turns gradients into updates. Names, formulas and defaults are
// PyTorch's (torch.optim), except that decay acts on weights and not on biases.
type Optimizer struct {
	// Name is that of an [OptimizerKind].
	Name string
	// WeightDecay is added to the gradient as WeightDecay·W. Where decay is
	// decoupled, weights shrink by lr·WeightDecay instead.
	WeightDecay float64
	// Momentum is the share of its velocity that momentum and nesterov keep.
	Momentum float64
	// Beta1 and Beta2 are the shares of the running means of the gradient and
	// of its square that adam and adamw keep; Epsilon keeps the division by the
	// latter's root finite (Kingma and Ba, arXiv:1412.6980).
	Beta1, Beta2, Epsilon float64
}

// Rule is how parameters change with their gradients d, to which the decay has
// been added. The numbers are part of what GPU kernels read.
type Rule uint8

const (
	Descent  Rule = iota // w −= lr·d
	Momentum             // v = keep·v + d, w −= lr·v
	Nesterov             // v = keep·v + d, w −= lr·(d + keep·v)
	Adam                 // running means of d and d², w −= lr·mean/√square
)

// Slots is the number of arrays that a rule keeps per parameter, all zero at the
// start: the velocity, or the two running means. In State.Slots array k of
// parameter i stands at k·(number of parameters) + i.
func (r Rule) Slots() int { return [...]int{Descent: 0, Momentum: 1, Nesterov: 1, Adam: 2}[r] }

// HasVelocity is whether the rule keeps a velocity, of which Momentum is a share.
func (r Rule) HasVelocity() bool { return r == Momentum || r == Nesterov }

// OptimizerKind is what there is to know of all optimizers of a name.
type OptimizerKind struct {
	Name string
	Help string // what it does, in a few words
	Rule Rule
	// Decoupled decay shrinks the weights themselves (Loshchilov and Hutter,
	// arXiv:1711.05101).
	Decoupled bool
	// LR is one to begin with: PyTorch's where it has one, and otherwise
	// one with which the lesson's network trains well.
	LR float64
	// Defaults are PyTorch's, and momentum 0.9, where PyTorch has none.
	Defaults Optimizer
}

// optimizers are all there are. A momentum of 0.9 multiplies the learning rate by ten.
var optimizers = [...]OptimizerKind{
	{"sgd", "plain descent", Descent, false, 1, Optimizer{}},
	{"momentum", "gradients accumulate in a velocity", Momentum, false, 0.1, Optimizer{Momentum: 0.9}},
	{"nesterov", "momentum with a look ahead", Nesterov, false, 0.1, Optimizer{Momentum: 0.9}},
	{"adam", "the mean gradient divided by its root mean square", Adam, false, 0.001, Optimizer{Beta1: 0.9, Beta2: 0.999, Epsilon: 1e-8}},
	{"adamw", "adam with decoupled weight decay", Adam, true, 0.001, Optimizer{WeightDecay: 0.01, Beta1: 0.9, Beta2: 0.999, Epsilon: 1e-8}},
}

// Optimizers lists the optimizers.
func Optimizers() []OptimizerKind { return slices.Clone(optimizers[:]) }

// OptimizerNames lists the optimizers' names.
func OptimizerNames() []string {
	var names []string
	for i := range optimizers {
		names = append(names, optimizers[i].Name)
	}
	return names
}

// Kind is what there is to know of the optimizer, the zero value if there is none
// of its name.
func (o Optimizer) Kind() OptimizerKind { return *kindOf(o.Name) }

func kindOf(name string) *OptimizerKind {
	for i := range optimizers {
		if optimizers[i].Name == name {
			return &optimizers[i]
		}
	}
	return &OptimizerKind{}
}

// Rule is how the optimizer changes parameters.
func (o Optimizer) Rule() Rule { return kindOf(o.Name).Rule }

// NewOptimizer returns the optimizer of that name with its defaults.
func NewOptimizer(name string) (Optimizer, error) {
	o := Optimizer{Name: name}.Kind().Defaults
	o.Name = name
	return o, o.Check()
}

// Check reports the first setting that cannot be, as a *SettingError.
func (o Optimizer) Check() error {
	if err := CheckName("optimizer", o.Name, OptimizerNames()); err != nil {
		return err
	}
	k := o.Kind()
	err := checkThat(o.WeightDecay >= 0 && isFinite(o.WeightDecay), "weight_decay", o.WeightDecay, "want zero or a positive number")
	if k.Rule.HasVelocity() {
		err = firstError(err, checkThat(o.Momentum > 0 && float32(o.Momentum) < 1, "momentum", o.Momentum, "want a number between 0 and 1"))
	} else {
		err = firstError(err, checkThat(o.Momentum == 0, "momentum", o.Momentum, "only the optimizers "+withVelocity()+" have one"))
	}
	if k.Rule == Adam {
		share := func(field string, v float64) error {
			return checkThat(v >= 0 && float32(v) < 1, field, v, "want 0 or a number between 0 and 1")
		}
		err = firstError(err, share("beta1", o.Beta1), share("beta2", o.Beta2),
			checkThat(float32(o.Epsilon) > 0 && isFinite(o.Epsilon), "epsilon", o.Epsilon, "want a positive number"))
	}
	return err
}

// withVelocity names the optimizers that keep one.
func withVelocity() string {
	var names []string
	for _, k := range optimizers {
		if k.Rule.HasVelocity() {
			names = append(names, k.Name)
		}
	}
	return words.And(names)
}

// Slots is the number of arrays that the optimizer keeps per parameter, see
// [Rule.Slots].
func (o Optimizer) Slots() int { return o.Rule().Slots() }

// Decay is what of the decay is added to a parameter's gradient, in multiples of
// the parameter, and what it shrinks by itself, in multiples of the learning rate.
func (o Optimizer) Decay(bias bool) (added, shrunk float64) {
	switch {
	case bias:
		return 0, 0
	case kindOf(o.Name).Decoupled:
		return 0, o.WeightDecay
	}
	return o.WeightDecay, 0
}

// Update applies step t, counted from 0, to a parameter w with gradient g and
// the optimizer's arrays for it, all of one length. This is the definition that
// the executors' own updates are tested against; every operation rounds to T.
func Update[T float32 | float64](o Optimizer, lr T, t int, bias bool, w, g []T, slots [][]T) {
	added, shrunk := o.Decay(bias)
	decay := T(added)
	switch rule := o.Rule(); rule {
	case Descent:
		for i := range w {
			w[i] -= T(lr * (g[i] + T(decay*w[i])))
		}

	case Momentum, Nesterov:
		velocity, keep := slots[0], T(o.Momentum)
		for i := range w {
			d := g[i] + T(decay*w[i])
			velocity[i] = T(keep*velocity[i]) + d
			if rule == Nesterov {
				d += T(keep * velocity[i])
			} else {
				d = velocity[i]
			}
			w[i] -= T(lr * d)
		}

	case Adam:
		shrink := 1 - T(lr*T(shrunk))
		// The running means start at zero; they are divided by the share of
		// real gradients in them.
		share1 := 1 - math.Pow(o.Beta1, float64(t+1))
		share2 := 1 - math.Pow(o.Beta2, float64(t+1))
		corrected, root := T(float64(lr)/share1), T(math.Sqrt(share2))
		beta1, beta2, epsilon := T(o.Beta1), T(o.Beta2), T(o.Epsilon)
		rest1, rest2 := T(1-o.Beta1), T(1-o.Beta2)
		mean, square := slots[0], slots[1]
		for i := range w {
			w[i] *= shrink
			d := g[i] + T(decay*w[i])
			mean[i] = T(beta1*mean[i]) + T(rest1*d)
			square[i] = T(beta2*square[i]) + T(rest2*T(d*d))
			w[i] -= T(corrected*mean[i]) / (T(T(math.Sqrt(float64(square[i])))/root) + epsilon)
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
