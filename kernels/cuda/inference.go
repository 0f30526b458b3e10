//go:build gpu && !cpu && linux && amd64 && cgo

package cuda

import (
	"context"
	"fmt"
	"slices"
	"sync"

	"vanilla/kernels"
)

// inferenceRows is how many images go to the device at once.
const inferenceRows = 1 << 16

// inference is a network on the first device.
type inference struct {
	mu      sync.Mutex
	network network
	worker  *worker
}

func (e *executor) Infer(source kernels.Source, params [][]float32, batch int) (kernels.Inference, error) {
	p, err := kernels.CheckInference(source, params, batch)
	if err != nil {
		return nil, err
	}
	if err := Refuses(p, batch); err != nil {
		return nil, err
	}
	return &inference{
		network: network{variant: kernels.Variant{Source: source, Batch: batch}, numbers: slices.Concat(params...)},
		worker:  &worker{gpu: e.gpus[0], plans: plans{}},
	}, nil
}

func (n *inference) Evaluate(ctx context.Context, e kernels.Examples) (kernels.Score, error) {
	if err := kernels.CheckExamples(n.network.variant.Program(), e); err != nil {
		return kernels.Score{}, err
	}
	n.mu.Lock()
	defer n.mu.Unlock()
	if err := n.worker.loadSplit(kernels.Test, e); err != nil {
		return kernels.Score{}, n.worker.fail(err)
	}
	r := newRequest(ctx, &n.network, kernels.Test, e)
	for left := []*request{r}; len(left) > 0; {
		left = n.worker.evaluate(left)
	}
	return r.result()
}

func (n *inference) Outputs(ctx context.Context, pixels []byte) ([]float32, error) {
	p := n.network.variant.Program()
	f := p.Features()
	if len(pixels) == 0 || len(pixels)%f != 0 {
		return nil, fmt.Errorf("input of %d pixels, want rows of %d", len(pixels), f)
	}
	outputs := make([]float32, 0, len(pixels)/f*p.Classes())
	chunk := chunkOf(&n.network.variant)
	most := (inferenceRows + chunk - 1) / chunk * chunk * f
	x := make([]float32, 0, min(len(pixels), most))
	for len(pixels) > 0 {
		x = x[:0]
		for _, pixel := range pixels[:min(len(pixels), most)] {
			x = append(x, float32(pixel)/255)
		}
		pixels = pixels[len(x):]
		values, err := n.Forward(ctx, x)
		if err != nil {
			return nil, err
		}
		outputs = append(outputs, values[p.Output]...)
	}
	return outputs, nil
}

func (n *inference) Forward(ctx context.Context, x []float32) ([][]float32, error) {
	if f := n.network.variant.Program().Features(); len(x) == 0 || len(x)%f != 0 {
		return nil, fmt.Errorf("input of %d numbers, want rows of %d", len(x), f)
	}
	n.mu.Lock()
	defer n.mu.Unlock()
	values, err := n.worker.forward(ctx, &n.network, x)
	if err != nil && ctx.Err() == nil {
		err = n.worker.fail(err)
	}
	return values, err
}

func (n *inference) Close() error { return n.worker.close() }
