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

const (
	// rangeChunk is how many images at once give their activations, which all lie in
	// memory.
	rangeChunk = 1000
	// firstChunk is how many do first: enough to see that most units vary.
	firstChunk = 64
)

// Ranges runs images [n, features], bytes that the network sees as byte / 255, and
// returns the range of each of the program's activations but its output, in the
// program's order, as far as Inference.Forward gives them. batch is Executor.Infer's.
// More images only widen ranges: when those of all units are wider than enough, no more
// are run, a few dozen for most networks. Those that are not wider are of all images. When ctx is done it returns its cause.
func Ranges(ctx context.Context, n Inference, p *ir.Program, batch int, pixels []byte, enough float32) ([]Range, error) {
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
	whole := func(images int) int { return max(1, images/max(1, batch)) * max(1, batch) * p.Features() }
	var x []float32
	for next := whole(firstChunk); len(pixels) > 0; next = whole(rangeChunk) {
		chunk := pixels[:min(next, len(pixels))]
		pixels = pixels[len(chunk):]
		x = slices.Grow(x[:0], len(chunk))
		for _, v := range chunk {
			x = append(x, float32(v)/255)
		}
		values, err := n.Forward(ctx, x)
		if err != nil {
			return nil, err
		}
		for k, id := range ids {
			ranges[k].extend(values[id], p.Value(id).Shape.Cols)
		}
		if !slices.ContainsFunc(ranges, func(r Range) bool { return r.within(enough) }) {
			break
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

// within is true if a unit's range is no wider than that. Numbers that are none are apart.
func (r *Range) within(width float32) bool {
	for u := range r.Low {
		if r.High[u]-r.Low[u] <= width {
			return true
		}
	}
	return false
}
