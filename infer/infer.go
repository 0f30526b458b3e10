// Package infer asks trained networks: what they make of images, how many of a
// set they get right, and what goes on inside.
//
//	network, err := infer.Open(cpu.New(), trained, nil)
//	defer network.Close()
//	probabilities, err := network.Probabilities(ctx, pixels)
//
// A network needs nothing but its parameters and what they belong to: a chain of
// layers follows from the model itself, and a graph of one's own is given as
// package graph lowered it.
package infer

import (
	"context"
	"fmt"
	"math"
	"slices"

	"vanilla/dataset"
	"vanilla/graph"
	"vanilla/graph/ir"
	"vanilla/internal/memory"
	"vanilla/kernels"
	"vanilla/model"
)

// Network is a trained network on an executor. It may be used concurrently, but
// for Close.
type Network struct {
	program   *ir.Program
	arch      string      // widths, or the program's name
	params    [][]float32 // the model's own, in the program's order
	names     []string    // of the classes, nil if they have none
	batch     int         // that it was trained in, 0 if the model does not say
	inference kernels.Inference
}

// Open makes a trained network ready on an executor. own is what its graph was
// lowered to, and nil for a chain of layers and where the model holds the program
// itself. Parameters may be any numbers. It
// fails if there is no graph to be had, or if the parameters are not the graph's.
func Open(exec kernels.Executor, m *model.Model, own *graph.Network) (*Network, error) {
	var values uint64
	for _, q := range m.Params {
		values += uint64(len(q.Data))
	}
	// The executor's copy and its own layout of it, or what the graph is tried with.
	if err := memory.Check("running "+m.Arch, 8*values); err != nil {
		return nil, err
	}
	var source kernels.Source = own
	switch {
	case own != nil:
	case m.Arch == "":
		p, err := m.ParseProgram()
		if err != nil {
			return nil, err
		}
		source = p
	default:
		network, err := chain(m)
		if err != nil {
			return nil, err
		}
		source = network
	}
	n := &Network{program: source.Lowered(), arch: m.Arch, batch: m.Batch(), names: m.Classes}
	if own != nil || m.Arch == "" {
		n.arch = n.program.Name
	}
	if err := memory.Check("running "+m.Title()+" in its batches", 4*uint64(n.batch)*width(n.program)); err != nil {
		return nil, err
	}
	for i, q := range m.Params {
		if own != nil && i < len(n.program.Params) {
			if name := n.program.Value(n.program.Params[i].Value).Name; q.Name != name {
				return nil, fmt.Errorf("parameter %d of the model is %.60q, that of the graph %q", i, q.Name, name)
			}
		}
		n.params = append(n.params, q.Data)
	}
	var err error
	if n.inference, err = exec.Infer(source, n.params, n.batch); err != nil {
		return nil, err
	}
	return n, nil
}

// width is about how many numbers a program that is run in its own batches computes
// for an example, and 0 for others.
func width(p *ir.Program) uint64 {
	if p.Layers() {
		return 0
	}
	numbers := p.Features()
	for _, op := range p.Ops[:p.Forward] {
		if s := p.Value(op.Out).Shape; s.Rows == ir.Batch {
			numbers += s.Cols
		}
	}
	return uint64(numbers)
}

// Batch is the batch size of an evaluation where what the network makes of an image
// depends on the rest of its batch, as batch norm does: that of its training. It is
// 0 for all others.
func (n *Network) Batch() int {
	if !n.program.Coupled() {
		return 0
	}
	return n.batch
}

// chain builds the network that a model's architecture describes.
func chain(m *model.Model) (*graph.Network, error) {
	widths, activations, err := model.ParseArch(m.Arch)
	if err != nil {
		return nil, err
	}
	arch, err := graph.NamedArch(widths, activations, m.Activation, m.Loss)
	if err != nil {
		return nil, err
	}
	return graph.New(arch)
}

// Close gives back what the network holds of the executor.
func (n *Network) Close() error { return n.inference.Close() }

// Inputs is the number of pixels that the network sees, Classes that of its
// outputs.
func (n *Network) Inputs() int  { return n.program.Features() }
func (n *Network) Classes() int { return n.program.Classes() }

// Evaluate scores the network on labelled images. They may be of fewer classes
// than it has outputs. It fails if they are not of its size. When ctx is done it
// returns its cause.
func (n *Network) Evaluate(ctx context.Context, images *dataset.Images) (kernels.Score, error) {
	e := kernels.Examples{Pixels: images.Pixels, Labels: images.Labels, Features: images.Features()}
	if images.Classes == n.Classes() {
		e.Targets = images.Targets
	}
	return n.inference.Evaluate(ctx, e)
}

// Softmax is whether the network's probabilities are the softmax of its outputs,
// and not the outputs as they are.
func (n *Network) Softmax() bool { return n.program.Softmax() }

// Probabilities runs the network on images [n, inputs], bytes that it sees as
// byte / 255, and returns what it makes of each: [n, classes] row-major. After
// training with cross-entropy that is the softmax of the outputs; after training
// with the quadratic cost it is the sigmoid outputs as they are, each from 0 to 1,
// which need not sum to 1.
//
// It fails if the pixels do not make up whole images, and if an output is not
// finite. When ctx is done it returns its cause.
func (n *Network) Probabilities(ctx context.Context, pixels []byte) ([]float32, error) {
	outputs, err := n.finiteOutputs(ctx, pixels)
	if err != nil {
		return nil, err
	}
	if n.Softmax() {
		for i := 0; i < len(outputs); i += n.Classes() {
			softmax(outputs[i : i+n.Classes()])
		}
	}
	return outputs, nil
}

// Classify is the class of each image: the one with the largest output, the first
// of several.
func (n *Network) Classify(ctx context.Context, pixels []byte) ([]byte, error) {
	outputs, err := n.outputs(ctx, pixels)
	if err != nil {
		return nil, err
	}
	classes := make([]byte, len(outputs)/n.Classes())
	for i := range classes {
		classes[i] = byte(kernels.Argmax(outputs[i*n.Classes() : (i+1)*n.Classes()]))
	}
	return classes, nil
}

func (n *Network) outputs(ctx context.Context, pixels []byte) ([]float32, error) {
	if len(pixels) == 0 || len(pixels)%n.Inputs() != 0 {
		return nil, fmt.Errorf("%d pixels: want one or more images of %d", len(pixels), n.Inputs())
	}
	return n.inference.Outputs(ctx, pixels)
}

// finiteOutputs fails if an output is not finite.
func (n *Network) finiteOutputs(ctx context.Context, pixels []byte) ([]float32, error) {
	outputs, err := n.outputs(ctx, pixels)
	if err != nil {
		return nil, err
	}
	for _, v := range outputs {
		if v-v != 0 {
			return nil, fmt.Errorf("the outputs of the network are not finite: found %v", v)
		}
	}
	return outputs, nil
}

// softmax replaces logits by probabilities. It computes in float64, and its
// largest exponent is 0, so that nothing overflows.
func softmax[T float32 | float64](z []T) {
	top, sum := float64(slices.Max(z)), 0.
	for _, v := range z {
		sum += math.Exp(float64(v) - top)
	}
	for j, v := range z {
		z[j] = T(math.Exp(float64(v)-top) / sum)
	}
}
