//go:build gpu && !cpu && linux && amd64 && cgo

package cuda

import (
	"fmt"
	"slices"
	"unsafe"

	"vanilla/graph/ir"
	"vanilla/internal/cuda/driver"
	"vanilla/kernels"
)

// What stream.cuh says.
const (
	streamNotes  = 4096
	streamGroups = 4 // of partRows examples, in a part at most
	streamWarps  = 8
	tileBytes    = 16 * 16 * 4
	blockBytes   = 16 * 16 * 2 // of 16 x 16 numbers in an operand's order, for each of their terms

	streamLayerBytes = int(unsafe.Sizeof(packedStreamLayer{}))
)

// streamSlots is how many tiles a warp has under way at most, by the optimizer's arrays:
// some 3 KB in the first two cases, 6 in the last.
var streamSlots = [...]int32{4, 3, 2}

// streamPlan is a chain of dense layers with memory for everything: what a streaming
// kernel reads of a network, and what it needs for it.
type streamPlan struct {
	head        packedStreamPlan // without the index of the first layer
	layers      []packedStreamLayer
	sharedBytes int
	workFloats  int64
}

// tiles is how many tiles of 16 hold so many.
func tiles(n int32) int { return (int(n) + 15) / 16 }

// products is how many products of tiles of weights with parts of partRows examples a batch
// is, in each direction.
func (d *dense) products(batch int) float64 {
	n := 0
	for _, l := range d.layers {
		n += tiles(l.In) * tiles(l.Out)
	}
	return parts(batch) * float64(n)
}

// planStream gives everything its memory. A part of a batch has as many rows as a batch,
// up to 128, or fewer where the pixels of so many do not fit into shared memory. There
// the matrices of a part go, smallest first, and the rest to global memory. Sums depend
// on the rows of a part alone. It fails if not even the pixels of 32 rows fit.
func planStream(d *dense, c class, batch, shared int) (*streamPlan, error) {
	s := &streamPlan{}
	h := &s.head
	h.Parameters, h.Depth, h.Loss, h.Scale = d.parameters, int32(len(d.layers)), d.loss, d.scale
	top := d.layers[len(d.layers)-1]
	h.RowBytes, h.LogitsRow = int32(16*(tiles(d.layers[0].In)|1)), int32(16*tiles(top.Out)+4)

	most := (batch + partRows - 1) / partRows
	if s.sharedBytes = h.fit(most, c, shared); s.sharedBytes > shared {
		return nil, fmt.Errorf("the pixels of %d examples and what goes with them take %d bytes of shared memory, a block has %d", partRows, s.sharedBytes, shared)
	}
	if most == 1 && h.Buffers == 2 {
		h.Fused = 1
	}
	if c.spread {
		s.assignSpread()
		s.assignLayers(d, c, streamWarps*spreadBlocks, 0)
	} else {
		s.assignLayers(d, c, streamWarps, shared)
	}
	return s, nil
}

// fit chooses how many rows a part has, as many as fit for batches of most times 32, how
// many buffers there are for pixels and how many tiles a warp has under way, and assigns
// them memory. It returns the bytes that this takes, of the least that can be chosen if
// not even that fits.
func (h *packedStreamPlan) fit(most int, c class, shared int) int {
	var bytes int
	for groups := min(most, streamGroups); groups > 0; groups-- {
		h.Groups, h.Arrays = int32(groups), int32(1+c.slots)
		if groups < most {
			h.Arrays++ // the gradient of the parts before
		}
		for h.Buffers = 2; h.Buffers > 0; h.Buffers-- {
			for h.Slots = streamSlots[c.slots]; h.Slots > 0; h.Slots-- {
				if bytes = h.assign(c); bytes <= shared {
					return bytes
				}
			}
		}
	}
	return bytes
}

// assign finds room in shared memory for what must be there and returns how many bytes
// that takes.
func (h *packedStreamPlan) assign(c class) int {
	at := streamNotes
	take := func(to *int32, bytes int) {
		*to = int32(at)
		at += (bytes + 15) &^ 15
	}
	rows := int(h.Groups) * partRows
	take(&h.Layers, int(h.Depth)*streamLayerBytes)
	take(&h.Ring, streamWarps*int(h.Slots)*int(h.Arrays)*tileBytes)
	take(&h.Sums, streamWarps*2*tileBytes)
	take(&h.Stage, int(h.Buffers)*rows*int(h.RowBytes))
	if c.spread {
		at = max(at, h.keptEnd(c))
	} else {
		h.Logits = packedLocation{Offset: int64(at / 4), Space: sharedSpace}
		at += rows * int(h.LogitsRow) * 4
	}
	return at
}

// assignLayers finds memory for the layers' weights, in global memory, and for their
// biases and matrices, of which so many bytes in all may be shared memory. What is left of
// them keeps tiles: of the last layers first, which are read and written more often in a
// step. So many warps share the work.
func (s *streamPlan) assignLayers(d *dense, c class, warps, shared int) {
	h := &s.head
	type room struct {
		to     *packedLocation
		floats int64
	}
	var rooms []room
	s.layers = make([]packedStreamLayer, len(d.layers))
	blocks := 2 * int64(h.Groups) // of 16 rows
	for i, l := range d.layers {
		in, out := tiles(l.In), tiles(l.Out)
		s.layers[i] = packedStreamLayer{
			Weight: l.Weight, Bias: l.Bias, In: l.In, Out: l.Out, Activation: l.Activation,
			Splits: streamSplits(int(h.Groups)*out, in, warps), BackSplits: streamSplits(int(h.Groups)*in, out, warps),
		}
		term := int64(c.terms()) * 32 * 4 // floats of a block of 16 x 16 numbers
		rooms = append(rooms,
			room{&s.layers[i].Biases, int64(h.Arrays) * 16 * int64(out)},
			room{&s.layers[i].Deltas, blocks * int64(out) * max(term, tileBytes/4)})
		if i < len(d.layers)-1 {
			rooms = append(rooms, room{&s.layers[i].Outputs, blocks * int64(out) * term})
		}
	}
	slices.SortStableFunc(rooms, func(a, b room) int { return int(a.floats - b.floats) })
	for _, r := range rooms {
		if s.sharedBytes+int(4*r.floats) <= shared {
			*r.to = packedLocation{Offset: int64(s.sharedBytes / 4), Space: sharedSpace}
			s.sharedBytes += int(4 * r.floats)
		} else {
			*r.to = packedLocation{Offset: s.workFloats, Space: workSpace}
			s.workFloats += r.floats
		}
	}
	tile := int(h.Arrays) * tileBytes
	for i := len(s.layers) - 1; i >= 0; i-- {
		l := &s.layers[i]
		all := tiles(l.In) * tiles(l.Out)
		kept := max(0, min(all, (shared-s.sharedBytes)/tile))
		l.Kept, l.KeptTiles, l.Tiles = int32(kept), int64(s.sharedBytes/4), s.workFloats
		s.sharedBytes += kept * tile
		s.workFloats += int64(all-kept) * int64(tile/4)
	}
}

// streamSplits is by how many warps the sums of each of so many tiles, of so many terms,
// are shared, of so many in all, so that the busiest one has least to do. Warps that
// share sums are of one block and meet twice, which takes about as long as three terms.
func streamSplits(count, terms, warps int) int32 {
	best, least := 1, 0
	for splits := 1; splits <= streamWarps; splits *= 2 {
		rounds := (count*splits + warps - 1) / warps
		work := rounds * ((terms + splits - 1) / splits)
		if splits > 1 {
			work += 3 * rounds
		}
		if splits == 1 || work < least {
			best, least = splits, work
		}
	}
	return int32(best)
}

// streamOf is the class and the plan of a network that a streaming kernel trains. The
// error says why none does.
func streamOf(w wanted, precision string, most limits, d driver.Device) (class, *streamPlan, error) {
	if err := tensorCores(d); err != nil {
		return class{}, nil, err
	}
	chain, err := matchDense(w.program)
	if err != nil {
		return class{}, nil, err
	}
	c := class{precision: precision, slots: w.optimizer.Slots(), stream: true}
	batch := min(w.batch, w.examples)
	c.spread = chain.products(batch) >= most.products
	s, err := planStream(chain, c, batch, d.SharedPerBlock)
	if err != nil {
		return class{}, nil, err
	}
	return c, s, nil
}

// lines describes what a streaming kernel makes of a program.
func (s *streamPlan) lines(p *ir.Program, o kernels.Optimizer, c class) ([]string, error) {
	h := &s.head
	who := fmt.Sprintf("a block of %d threads trains", blockThreads)
	if c.spread {
		who = fmt.Sprintf("blocks of %d threads train", blockThreads)
	}
	lines := []string{
		fmt.Sprintf("%s the network on tensor cores: class %s, %s, %d bytes of shared memory, %d of global memory for weights and what does not fit",
			who, c, c.factors(), s.sharedBytes, 4*s.workFloats),
	}
	if c.spread {
		q, err := modelledSpread(c, s, explainedBatch)
		if err != nil {
			return nil, err
		}
		lines = append(lines, q.line())
	}
	for i, l := range s.layers {
		text := fmt.Sprintf("layer %d, %d to %d, %s: ", i+1, l.In, l.Out, ir.Activation(l.Activation))
		all := tiles(l.In) * tiles(l.Out)
		if l.Kept > 0 {
			text += fmt.Sprintf("%d tiles of weights stay in shared memory, ", l.Kept)
		}
		text += fmt.Sprintf("%d pass through it", all-int(l.Kept))
		switch {
		case all == int(l.Kept):
		case i == 0 && h.Fused == 1:
			text += " once a step: its update runs the next batch forward"
		case i == 0:
			text += " twice a step"
		default:
			text += " three times a step"
		}
		for _, m := range []struct {
			name     string
			location packedLocation
		}{{"outputs", l.Outputs}, {"deltas", l.Deltas}} {
			if m.location.Space == workSpace {
				text += fmt.Sprintf(", %s are in global memory", m.name)
			}
		}
		lines = append(lines, text)
	}
	return append(lines, fmt.Sprintf("%s updates %d parameters where their gradients are summed", o.Name, len(p.Params))), nil
}
