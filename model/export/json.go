package export

import (
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"slices"

	"vanilla/model"
)

// network is a model as JSON.
type network struct {
	Arch       string `json:"arch"`
	Activation string `json:"activation"`
	// Activations are those of each hidden layer, where they are not all the same.
	Activations []string `json:"activations,omitempty"`
	Loss        string   `json:"loss"`
	Classes     []string `json:"classes,omitempty"` // what the outputs are called, if not by their numbers
	Layers      []layer  `json:"layers"`
}

type layer struct {
	Weight [][]float32 `json:"weight"` // [out][in]
	Bias   []float32   `json:"bias"`
}

// JSON writes a chain of layers as one JSON object with arch, activation, loss, the classes' names if they have any, and
// layers, each of which has weight [out][in] and bias [out]; activations lists those of the hidden layers where these have
// their own. Numbers have as few digits as give back the same float32. It fails if the network is not a
// chain, and for values that are not finite, which JSON has no numbers for.
func JSON(m *model.Model) ([]byte, error) {
	layers, err := m.Layers()
	if errors.Is(err, model.ErrNoChain) {
		return nil, fmt.Errorf("%w, which JSON lists: ONNX holds any network, npz its parameters", err)
	}
	if err != nil {
		return nil, err
	}
	for i, p := range m.Params {
		for _, v := range p.Data {
			if x := float64(v); math.IsNaN(x) || math.IsInf(x, 0) {
				return nil, fmt.Errorf("parameter %s: expected finite values, which are all that JSON can hold, found %v", m.Names()[i], v)
			}
		}
	}
	n := network{Arch: m.Arch, Activation: m.Activation, Loss: m.Loss, Classes: m.Classes}
	hidden := layers[:len(layers)-1]
	if slices.ContainsFunc(hidden, func(l model.Layer) bool { return l.Activation != m.Activation }) {
		for _, l := range hidden {
			n.Activations = append(n.Activations, l.Activation)
		}
	}
	for _, l := range layers {
		rows := make([][]float32, l.Out)
		for i := range rows {
			rows[i] = l.Weight[i*l.In : (i+1)*l.In]
		}
		n.Layers = append(n.Layers, layer{rows, l.Bias})
	}
	data, err := json.Marshal(n)
	if err != nil {
		return nil, err
	}
	return append(data, '\n'), nil
}
