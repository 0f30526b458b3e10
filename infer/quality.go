package infer

import (
	"context"
	"errors"
	"fmt"

	"vanilla/dataset"
	"vanilla/infer/quality"
	"vanilla/kernels"
)

// Quality measures the network on labelled images, of which there is at least one
// and which may be of fewer classes than it has outputs. It fails if they are not of
// its size, and if an output is not finite. When ctx is done it returns its cause.
func (n *Network) Quality(ctx context.Context, images *dataset.Images) (*quality.Quality, error) {
	if images.Len() == 0 {
		return nil, errors.New("there are no images")
	}
	if images.Features() != n.Inputs() || images.Classes > n.Classes() {
		return nil, fmt.Errorf("images of %d pixels in %d classes, the network takes %d and knows %d",
			images.Features(), images.Classes, n.Inputs(), n.Classes())
	}
	outputs, err := n.finiteOutputs(ctx, images.Pixels)
	if err != nil {
		return nil, err
	}
	q := quality.Of(outputs, images.Labels, n.Classes(), n.Softmax())
	ranges, err := kernels.Ranges(ctx, n.inference, n.program, n.batch, images.Pixels, quality.DeadRange)
	for _, r := range ranges {
		q.Hidden = append(q.Hidden, quality.NewLayer(r.Name, r.Layer, r.Low, r.High))
	}
	return q, err
}
