package train

import (
	"fmt"
	"slices"

	"vanilla/kernels"
	"vanilla/model"
)

// Start is a trained network whose weights training starts from, in place of random ones: all of them, but that the
// network to train may have more outputs, whose rows are random as usual. Optimizers and schedules begin anew. Models keep
// what it says.
type Start struct {
	SHA256  string `json:"sha256"`  // of the network's file
	Network string `json:"network"` // 784-16-16-10 sigmoid
	// Outputs are those that it has: the first ones of the network to train. Added is how many more that has.
	Outputs int `json:"outputs"`
	Added   int `json:"added_outputs,omitempty"`

	name  string // for errors
	model *model.Model
}

// NewStart starts from a model that is called name, whose file has this SHA-256 in hexadecimal digits.
func NewStart(m *model.Model, name, sha256 string) (*Start, error) {
	_, outputs, err := m.Extent()
	if err != nil {
		return nil, err
	}
	return &Start{SHA256: sha256, Network: m.Title(), Outputs: outputs, name: name, model: m}, nil
}

// String is what a run says that it starts from.
func (s *Start) String() string {
	if s == nil {
		return "none"
	}
	return fmt.Sprintf("%s of SHA-256 %.12s…", s.Network, s.SHA256)
}

// Same is whether both start from the same weights, or both from random ones.
func (s *Start) Same(other *Start) bool {
	if s == nil || other == nil {
		return s == other
	}
	return s.SHA256 == other.SHA256 && s.Outputs == other.Outputs && s.Added == other.Added
}

// of is the start of a network with so many outputs: what is added is known only then.
func (s *Start) of(outputs int) *Start {
	if s == nil {
		return nil
	}
	own := *s
	own.Added = outputs - s.Outputs
	return &own
}

// state is where training starts: the variant's initial state with the network's weights. It fails with a *SettingError if
// they do not fit.
func (s *Start) state(v kernels.Variant) (kernels.State, error) {
	state := v.InitialState()
	p := v.Program()
	refused := func(format string, args ...any) (kernels.State, error) {
		return state, wrong("from", s.name, fmt.Sprintf(format, args...)+": want the same layers; only outputs may be more")
	}
	if s.model == nil {
		return state, wrong("from", s.Network, "its weights are not at hand")
	}
	if len(p.Params) != len(s.model.Params) {
		return refused("%s has %d arrays of weights, the network to train has %d", s.Network, len(s.model.Params), len(p.Params))
	}
	for i, q := range p.Params {
		value, old := p.Value(q.Value), s.model.Params[i]
		shape := value.Shape.At(0)
		if q.Bias {
			shape = shape[1:]
		}
		same := slices.Equal(shape, old.Shape)
		wider := len(shape) == len(old.Shape) && len(shape) > 0 && shape[0] == p.Classes() && old.Shape[0] == s.Outputs &&
			shape[0] > old.Shape[0] && slices.Equal(shape[1:], old.Shape[1:])
		if !same && !wider || s.model.Arch == "" && old.Name != value.Name {
			return refused("%s of %s is %v, that of the network to train is %s %v", s.model.Names()[i], s.Network, old.Shape, value.Name, shape)
		}
		copy(state.Params[i], old.Data) // rows of outputs come one after the other
	}
	return state, nil
}
