package model

import (
	"errors"
	"fmt"
	"math"
)

// Layer is one dense layer of a chain: z = weight·x + bias.
type Layer struct {
	In, Out    int
	Weight     []float32 // [Out, In] row-major
	Bias       []float32 // [Out]
	Activation string    // of a hidden layer; "" of the last
}

// What a layer of a network that need not be a chain reads: the number of the layer, from 0, whose activations it is
// given, or one of these.
const (
	ReadsInputs = -1 // the pixels
	ReadsOther  = -2 // a sum, a part, or anything else that is no one layer's
)

// ErrNoChain is what [Model.Layers] fails with for a network that is not a chain of dense layers.
var ErrNoChain = errors.New("the network is not a chain of layers")

// Layers returns the layers of a chain, first to last. Weights and biases are the model's own, not copies. It fails if
// the network is not a chain of dense layers, or if the parameters do not fit the architecture.
func (m *Model) Layers() ([]Layer, error) {
	if m.Arch == "" {
		return nil, ErrNoChain
	}
	if err := m.check(); err != nil {
		return nil, err
	}
	widths, own, err := ParseArch(m.Arch)
	if err != nil {
		return nil, err
	}
	layers := make([]Layer, len(widths)-1)
	for k := range layers {
		layers[k] = Layer{In: widths[k], Out: widths[k+1], Weight: m.Params[2*k].Data, Bias: m.Params[2*k+1].Data}
		if k == len(layers)-1 {
			break
		}
		if layers[k].Activation = m.Activation; own != nil && own[k+1] != "" {
			layers[k].Activation = own[k+1]
		}
	}
	return layers, nil
}

// Names are what files call the parameters, in their order: 0.weight, 0.bias, 2.weight, … for a chain, whatever they are
// called in m, and their own names otherwise.
func (m *Model) Names() []string {
	names := make([]string, len(m.Params))
	for i, p := range m.Params {
		if names[i] = p.Name; m.Arch != "" {
			names[i] = chainName(i)
		}
	}
	return names
}

// ImageSize is the size of the images that a chain of layers sees. Where the model does not say, they are taken to be
// square; it fails if they cannot be.
func (m *Model) ImageSize() (rows, cols int, err error) {
	if m.ImageRows != 0 {
		return m.ImageRows, m.ImageCols, nil
	}
	inputs, _, err := m.Extent()
	if err != nil {
		return 0, 0, err
	}
	side := int(math.Sqrt(float64(inputs)))
	if side*side != inputs {
		return 0, 0, fmt.Errorf("its inputs are not images: %d pixels do not make a square", inputs)
	}
	return side, side, nil
}
