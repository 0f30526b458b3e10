package graph

import (
	"fmt"
	"slices"
	"strconv"
	"strings"

	"vanilla/graph/ir"
)

// Arch is a chain of dense layers, and what may be around them. The fields from
// Activations on are optional.
type Arch struct {
	// Widths are the number of inputs, of units in each hidden layer, and of
	// outputs: 784, 16, 16, 10.
	Widths []int
	// Activation is that of the hidden layers.
	Activation ir.Activation
	Loss       Loss

	// Activations, if there are any, are those of each hidden layer; zero is
	// Activation.
	Activations []ir.Activation
	// Block is what a hidden layer is made of.
	Block Block
	// LayerNorm normalises each hidden layer's sums over its units before the
	// activation, and scales and shifts them by learned numbers (Ba et al.,
	// arXiv:1607.06450).
	LayerNorm bool
	// Dropout is the probability with which a hidden unit is dropped in a training
	// step, InputDropout that of an input (Srivastava et al., JMLR 15, 2014).
	Dropout, InputDropout float64
	// LabelSmoothing moves so much of each target's probability to all classes
	// alike (Szegedy et al., arXiv:1512.00567). The cross-entropy alone has it.
	LabelSmoothing float64
}

// Block is the form of a hidden layer with weights W, b and activation f.
type Block string

const (
	// Plain is h = f(x·W + b).
	Plain Block = ""
	// Residual adds the layer's input where it is as wide: h = x + f(x·W + b).
	Residual Block = "residual"
	// Gated multiplies by a gate with weights of its own: h = f(x·W + b) ⊙ σ(x·V + c).
	Gated Block = "gated"
)

// ParseBlock finds a block by its name; none is Plain. The error lists the names.
func ParseBlock(name string) (Block, error) {
	switch b := Block(name); b {
	case Plain, Residual, Gated:
		return b, nil
	case "none":
		return Plain, nil
	}
	return "", fmt.Errorf("no block is called %q: there are none, %s, %s", name, Residual, Gated)
}

// maxLayers: more are a mistake rather than a network.
const maxLayers = 1 << 8

// Check reports the first thing that cannot be.
func (a Arch) Check() error {
	layers := len(a.Widths) - 1
	if layers < 1 || layers > maxLayers {
		return fmt.Errorf("%d widths: want those of the inputs, of up to %d hidden layers, and of the outputs", layers+1, maxLayers-1)
	}
	for _, w := range a.Widths {
		if w < 1 || w > ir.MaxWidth {
			return fmt.Errorf("width %d: want 1 to %d", w, ir.MaxWidth)
		}
	}
	if k := a.Widths[layers]; k < 2 {
		return fmt.Errorf("%d output: want one for each class, 2 or more", k)
	}
	if len(a.Activations) != 0 && len(a.Activations) != layers-1 {
		return fmt.Errorf("%d activations for %d hidden layers", len(a.Activations), layers-1)
	}
	for l := 1; l <= layers; l++ {
		if _, ok := activations[a.activation(l)]; !ok {
			return fmt.Errorf("activation %s is not available for hidden layers", a.activation(l))
		}
	}
	if _, err := ParseLoss(string(a.Loss)); err != nil {
		return err
	}
	if _, err := ParseBlock(string(a.Block)); err != nil {
		return err
	}
	hidden := a.Widths[1:layers]
	for _, p := range []struct {
		name  string
		value float64
		fits  bool
		needs string
	}{
		{"dropout", a.Dropout, layers > 1, "hidden layers"},
		{"input dropout", a.InputDropout, true, ""},
		{"label smoothing", a.LabelSmoothing, a.Loss == CrossEntropy, "the loss cross-entropy"},
	} {
		if !(p.value >= 0 && p.value < 1) {
			return fmt.Errorf("%s %g: want a number from 0 to below 1", p.name, p.value)
		}
		if p.value > 0 && !p.fits {
			return fmt.Errorf("%s %g: it needs %s", p.name, p.value, p.needs)
		}
	}
	switch {
	case a.Block != Plain && len(hidden) == 0:
		return fmt.Errorf("%s blocks: they need hidden layers", a.Block)
	case a.Block == Residual && !Residues(a.Widths):
		return fmt.Errorf("residual blocks: want two neighbouring hidden layers of one width, found widths %v", hidden)
	case a.LayerNorm && len(hidden) == 0:
		return fmt.Errorf("layer norm: it needs hidden layers")
	case a.LayerNorm && slices.Contains(hidden, 1):
		return fmt.Errorf("layer norm: a layer of one unit would be zero")
	}
	return nil
}

// Residues reports whether residual blocks add anything to a network of these
// widths: whether two neighbouring hidden layers are of one width.
func Residues(widths []int) bool {
	for i := 2; i < len(widths)-1; i++ {
		if widths[i] == widths[i-1] {
			return true
		}
	}
	return false
}

// activation is that of hidden layer l, from 1.
func (a Arch) activation(l int) ir.Activation {
	if l <= len(a.Activations) && a.Activations[l-1] != 0 {
		return a.Activations[l-1]
	}
	return a.Activation
}

// Chain reports whether the trained network is a chain of dense layers with
// activations: dropout and smoothed labels are of training alone.
func (a Arch) Chain() bool { return a.Block == Plain && !a.LayerNorm }

// NamedArch is the architecture with these widths whose activations and loss have
// these names: activation is that of the hidden layers whose name in own, one for
// each width, is empty. own may be nil.
func NamedArch(widths []int, own []string, activation, loss string) (a Arch, err error) {
	a.Widths = widths
	if a.Activation, err = ir.ParseActivation(activation); err != nil {
		return a, err
	}
	if own != nil {
		a.Activations = make([]ir.Activation, max(0, len(widths)-2))
	}
	for l := range a.Activations {
		if own[l+1] == "" {
			continue
		}
		if a.Activations[l], err = ir.ParseActivation(own[l+1]); err != nil {
			return a, err
		}
	}
	a.Loss, err = ParseLoss(loss)
	return a, err
}

// OwnActivations are the names of the activations that hidden layers have and
// Activation is not, one for each width, "" elsewhere; nil if there are none.
func (a Arch) OwnActivations() []string {
	var own []string
	for l := 1; l < len(a.Widths)-1; l++ {
		if a.activation(l) != a.Activation {
			if own == nil {
				own = make([]string, len(a.Widths))
			}
			own[l] = a.activation(l).String()
		}
	}
	return own
}

// String tells all that the network depends on: equal texts, equal networks.
func (a Arch) String() string {
	own := a.OwnActivations()
	var parts []string
	for i, w := range a.Widths {
		part := strconv.Itoa(w)
		if own != nil {
			part += own[i]
		}
		parts = append(parts, part)
	}
	text := strings.Join(parts, "-")
	if own == nil || slices.Contains(own[1:len(own)-1], "") {
		text += " " + a.Activation.String()
	}
	text += " " + string(a.Loss)
	if a.Block != Plain {
		text += " " + string(a.Block)
	}
	if a.LayerNorm {
		text += " layer-norm"
	}
	for _, p := range []struct {
		name  string
		value float64
	}{{"dropout", a.Dropout}, {"input-dropout", a.InputDropout}, {"label-smoothing", a.LabelSmoothing}} {
		if p.value != 0 {
			text += fmt.Sprintf(" %s %g", p.name, p.value)
		}
	}
	return text
}
