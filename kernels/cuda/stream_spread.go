//go:build gpu && !cpu && linux && amd64 && cgo

package cuda

// What a launch of a spread streaming kernel does: format.cuh's StreamPhase.
const (
	streamBegin = iota
	streamIn
	streamFirst
	streamForward
	streamLoss
	streamBack
	streamUpdate
	streamUpdateFirst
	streamOut
)

// assignSpread finds memory for what the blocks of a spread network share besides its
// matrices, at the beginning of its work: what they know of it, the logits, and the pixels
// of two parts.
func (s *streamPlan) assignSpread() {
	h := &s.head
	rows := int64(h.Groups) * partRows
	s.workFloats = streamNotes / 4
	h.Logits = packedLocation{Offset: s.workFloats, Space: workSpace}
	s.workFloats += rows * int64(h.LogitsRow)
	h.Pixels = packedLocation{Offset: s.workFloats, Space: workSpace}
	s.workFloats += 2 * rows * int64(h.RowBytes) / 4
}

// keptEnd is where the deltas end that warps keep in an update, from where sums are on.
func (h *packedStreamPlan) keptEnd(c class) int {
	return int(h.Sums) + streamWarps*2*int(h.Groups)*c.terms()*blockBytes
}

// sequence is the phases of a spread network that is trained in batches of so many of a
// set of examples, where a block takes so many cycles for a tile of weights and partRows
// examples.
func (s *streamPlan) sequence(c class, batch, examples int, cycles float64) *sequence {
	h := &s.head
	groups, rows := int(h.Groups), int(h.Groups)*partRows
	inParts := func(n int) int { return (n + rows - 1) / rows }
	q := &sequence{parts: inParts(batch), restParts: inParts((examples-1)%batch + 1)}

	// dealt is a phase in which so many warps go through so many tiles of layers.
	dealt := func(code int32, number, warps, tiles int) phase {
		blocks := spreadOver((warps + streamWarps - 1) / streamWarps)
		return phase{code: code, number: int32(number), blocks: blocks, sharedBytes: int(h.Stage), cycles: cycles * float64(groups*tiles) / float64(blocks)}
	}
	withPixels := func(p phase) phase {
		p.sharedBytes = s.sharedBytes
		return p
	}
	alone := func(code int32) phase { return withPixels(phase{code: code, blocks: 1}) }

	count := func(l *packedStreamLayer) int { return tiles(l.In) * tiles(l.Out) }
	first, later := &s.layers[0], s.layers[1:]
	most, rest := tiles(first.Out), 0 // of the layers but the first: the largest one's tiles, and all
	for l := range later {
		n := count(&later[l])
		most, rest = max(most, n), rest+n
	}
	all := rest + count(first)
	state := max(most, count(first))
	forward := withPixels(dealt(streamFirst, 0, groups*tiles(first.Out)*int(first.Splits), count(first)))

	q.begin = []phase{alone(streamBegin), dealt(streamIn, 0, state, all)}
	if h.Fused == 1 {
		q.begin = append(q.begin, forward)
	} else {
		q.step = append(q.step, forward)
	}
	for i := range later {
		l := &later[i]
		q.step = append(q.step, dealt(streamForward, i+1, groups*tiles(l.Out)*int(l.Splits), count(l)))
	}
	q.step = append(q.step, alone(streamLoss))
	for i := range later {
		top := len(later) - i
		l := &s.layers[top]
		q.step = append(q.step, dealt(streamBack, top, groups*tiles(l.In)*int(l.BackSplits), count(l)))
	}
	update := dealt(streamUpdate, 0, most, rest)
	update.sharedBytes = max(update.sharedBytes, h.keptEnd(c))
	q.step = append(q.step, update, withPixels(dealt(streamUpdateFirst, 0, tiles(first.Out)*int(first.Splits), count(first))))
	q.rest = q.step
	q.end = []phase{dealt(streamOut, 0, state, all)}
	return q
}
