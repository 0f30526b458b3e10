package kernels

import (
	"context"

	"vanilla/graph/ir"
)

// Range is between what values each unit of an activation lay over some images.
type Range struct {
	Name      string // of the value in the program
	Low, High []float32
}

// rangeChunk is how many images at once give their activations, which all lie in
// memory.
const rangeChunk = 1000

// Ranges runs images [n, features], bytes that the network sees as byte / 255, and
// returns the range of each of the program's activations but its output, in the
// program's order. batch is Executor.Infer's. When ctx is done it returns its cause.
func Ranges(ctx context.Context, n Inference, p *ir.Program, batch int, pixels []byte) ([]Range, error) {
	var ranges []Range
	var ids []ir.ID
	for _, op := range p.Ops[:p.Forward] {
		if op.Code == ir.Act && op.Out != p.Output && p.Value(op.Out).Shape.Rows == ir.Batch {
			units := p.Value(op.Out).Shape.Cols
			ranges = append(ranges, Range{p.Value(op.Out).Name, make([]float32, units), make([]float32, units)})
			ids = append(ids, op.Out)
		}
	}
	if ids == nil {
		return nil, nil
	}
	// What depends on the rest of a batch is computed in whole ones.
	chunk := rangeChunk
	if batch > 0 {
		chunk = max(1, chunk/batch) * batch
	}
	f := p.Features()
	x := make([]float32, 0, min(chunk*f, len(pixels)))
	for from := 0; from < len(pixels); from += chunk * f {
		x = x[:0]
		for _, v := range pixels[from:min(from+chunk*f, len(pixels))] {
			x = append(x, float32(v)/255)
		}
		values, err := n.Forward(ctx, x)
		if err != nil {
			return nil, err
		}
		for k, id := range ids {
			ranges[k].extend(values[id], from == 0)
		}
	}
	return ranges, nil
}

// extend takes in values [n, units], the first ones or more.
func (r *Range) extend(values []float32, first bool) {
	units := len(r.Low)
	for i := 0; i < len(values); i += units {
		for u, v := range values[i : i+units] {
			if first && i == 0 {
				r.Low[u], r.High[u] = v, v
			}
			r.Low[u], r.High[u] = min(r.Low[u], v), max(r.High[u], v)
		}
	}
}
