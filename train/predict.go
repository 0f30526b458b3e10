package train

import (
	"fmt"
	"math"
	"slices"

	"vanilla/graph"
	"vanilla/kernels"
	"vanilla/model"
)

// forwardRows is how many examples go through a network at once. It bounds the memory that all its values take.
const forwardRows = 1000

// Probabilities runs a trained network on images and returns what it makes of
// each: [n, classes] row-major. After training with cross-entropy that is the
// softmax of the outputs; after training with the quadratic cost it is the
// sigmoid outputs as they are, each from 0 to 1, which need not sum to 1.
//
// Pixels are [n, features] row-major; networks see byte / 255. The executor must
// have been opened with networks.Of. It fails if m is not a chain of layers that
// package graph can build, if the pixels do not make up whole images, and if an
// output is not finite.
func Probabilities(exec kernels.Executor, networks *Networks, m *model.Model, pixels []byte) ([]float32, error) {
	network, err := networks.Build(m.Arch, m.Activation, m.Loss)
	if err != nil {
		return nil, err
	}
	p := network.Program
	features, classes := p.Features(), p.Classes()
	if len(pixels) == 0 || len(pixels)%features != 0 {
		return nil, fmt.Errorf("%d pixels: want one or more images of %d", len(pixels), features)
	}
	// Executors prepare for training. One example, never trained on, will do.
	variant := Spec{Recipe: Default()}.Variant(p)
	variant.Batch = 1
	example := kernels.Examples{Pixels: pixels[:features], Labels: []byte{0}, Features: features}
	population, err := exec.Prepare(kernels.Data{Train: example, Classes: classes}, []kernels.Variant{variant})
	if err != nil {
		return nil, err
	}
	defer population.Close()
	state := variant.InitialState()
	state.Params = state.Params[:0]
	for _, q := range m.Params {
		state.Params = append(state.Params, q.Data)
	}
	if err := population.Restore(0, state); err != nil {
		return nil, err
	}

	probabilities := make([]float32, 0, len(pixels)/features*classes)
	x := make([]float32, 0, min(len(pixels), forwardRows*features))
	for len(pixels) > 0 {
		x = x[:0]
		for _, pixel := range pixels[:min(len(pixels), forwardRows*features)] {
			x = append(x, float32(pixel)/255)
		}
		pixels = pixels[len(x):]
		values, err := population.Forward(0, x)
		if err != nil {
			return nil, err
		}
		outputs := values[p.Output]
		for _, v := range outputs {
			if !finite(float64(v)) {
				return nil, fmt.Errorf("the outputs of the network are not finite: found %v", v)
			}
		}
		if graph.Loss(m.Loss) == graph.CrossEntropy {
			for row := 0; row < len(outputs); row += classes {
				softmax(outputs[row : row+classes])
			}
		}
		probabilities = append(probabilities, outputs...)
	}
	return probabilities, nil
}

// softmax replaces logits by probabilities. It sums in float64, and its largest
// exponent is 0, so that nothing overflows.
func softmax(z []float32) {
	top, sum := float64(slices.Max(z)), 0.
	for _, v := range z {
		sum += math.Exp(float64(v) - top)
	}
	for j, v := range z {
		z[j] = float32(math.Exp(float64(v)-top) / sum)
	}
}
