package kernels

import (
	"context"
	"slices"

	"vanilla/graph/ir"
)

// Range is between what values each unit of an activation lay over some images.
type Range struct {
	Name string // of the value in the program
	// Layer is the network's dense layer whose units these are: 2 for the first one,
	// as layer 1 is the inputs. 0 if they are no dense layer's.
	Layer     int
	Low, High []float32
}

// rangeChunk is how many images at once give their activations, which all lie in
// memory.
const rangeChunk = 1000

// Ranges runs images [n, features], bytes that the network sees as byte / 255, and
// returns the range of each of the program's activations but its output, in the
// program's order, as far as Inference.Forward gives them. batch is Executor.Infer's. When ctx is done it returns its cause.
func Ranges(ctx context.Context, n Inference, p *ir.Program, batch int, pixels []byte) ([]Range, error) {
	var ranges []Range
	layers := layersOf(p)
	var ids []ir.ID
	for _, op := range p.Ops[:p.Forward] {
		if op.Code == ir.Act && op.Out != p.Output && p.Value(op.Out).Shape.Rows == ir.Batch {
			ranges = append(ranges, Range{Name: p.Value(op.Out).Name, Layer: layers[op.Out]})
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
			ranges[k].extend(values[id], p.Value(id).Shape.Cols)
		}
	}
	return slices.DeleteFunc(ranges, func(r Range) bool { return r.Low == nil }), nil
}

// layersOf are by ir.ID the layers whose sums values per unit come from, 0 without one.
func layersOf(p *ir.Program) []int {
	of := make([]int, len(p.Values))
	for k, op := range p.DenseLayers() {
		of[op.Out] = k + 2
	}
	for _, op := range p.Ops[:p.Forward] {
		for _, a := range op.Args {
			if of[op.Out] == 0 && op.Code != ir.Dense && p.Value(a).Shape == p.Value(op.Out).Shape {
				of[op.Out] = of[a]
			}
		}
	}
	return of
}

// extend takes in values [n, units], which may be none.
func (r *Range) extend(values []float32, units int) {
	for row := range slices.Chunk(values, units) {
		if r.Low == nil {
			r.Low, r.High = slices.Clone(row), slices.Clone(row)
		}
		for u, v := range row {
			r.Low[u], r.High[u] = min(r.Low[u], v), max(r.High[u], v)
		}
	}
}
