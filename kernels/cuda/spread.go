//go:build gpu && !cpu && linux && amd64 && cgo

package cuda

import (
	"fmt"
	"iter"
	"slices"

	"vanilla/graph/ir"
	"vanilla/kernels"
)

// limits are from what size on steps are spread over blocks. The network and the batch
// decide alone.
type limits struct {
	work     float64 // of a step of the generic kernel, as workOf counts it
	products float64 // of a step of a streaming kernel: tiles of weights with parts of partRows examples
}

// spreadLimits are those of users' networks: far more than what the launches of a step's
// phases take, and far less than the second that no launch may take. The generic kernel's
// is some 70 ms of one block, by the model of an H100; a streaming kernel's, 4 million
// weights with a batch of 32, 4 ms in bf16 and 10 ms in fp32. Spread, that takes a
// twentieth of it or less: less for all networks, too, if they are fewer than some 70 on
// 132 multiprocessors.
var spreadLimits = limits{work: 1 << 31, products: 1 << 14}

// spreadBlocks is how many blocks share a phase of a step at most: about as many as run
// at a time on the largest devices. It is the same on all of them.
const spreadBlocks = 256

// What a launch of a spread kernel does: format.cuh's Phase.
const (
	batchPhase = iota
	operationPhase
	updatePhase
	endPhase
)

// phase is a launch for a network whose steps are spread over blocks. Whatever the
// number of blocks, results have the same bits.
type phase struct {
	code, number int32
	blocks       int
	sharedBytes  int     // of each
	cycles       float64 // of the busiest block, by the model
}

// sequence is the phases of a job. One of the generic kernel consists of steps, and is
// told which: it has neither begin nor end, and a step is one turn. One of a streaming
// kernel consists of parts of batches, counted from 0 in the job.
type sequence struct {
	begin []phase
	step  []phase // of a whole batch, or of each of its parts
	rest  []phase // of what an epoch leaves over
	end   []phase
	// parts and restParts are how many parts there are of a batch, and of what is left
	// over; 0 for the generic kernel.
	parts, restParts int
}

// spreadOver is the blocks that share what is dealt to so many.
func spreadOver(n int) int { return max(1, min(n, spreadBlocks)) }

// sequenceOf is the sequence of a plan that has everything in global memory.
func sequenceOf(l *plan) *sequence {
	first := len(l.ops) - l.rests
	s := &sequence{step: l.phases(l.ops[:first], l.key.batch)}
	s.rest = s.step
	if l.rests > 0 {
		s.rest = l.phases(l.ops[first:], l.key.rest)
	}
	return s
}

func (l *plan) phases(ops []packedOp, batch int) []phase {
	all := []phase{{code: batchPhase, blocks: spreadOver((batch + streamWarps - 1) / streamWarps)}}
	for i, op := range ops {
		blocks, work := l.shares(op, batch)
		p := phase{code: operationPhase, number: int32(i), blocks: blocks, cycles: genericAlone * work / float64(blocks)}
		all = append(all, p)
	}
	if l.head.Updates > 0 {
		most := 0
		for _, q := range l.params[:l.head.Updates] {
			most = max(most, int(q.Length))
		}
		all = append(all, phase{code: updatePhase, blocks: spreadOver((most + blockThreads - 1) / blockThreads)})
	}
	return append(all, phase{code: endPhase, blocks: 1})
}

// A product is dealt in tiles of so many rows and columns.
const tileRows, tileCols = 32, 16

// stageFloats is block.cuh's STAGE, the columns of which a block adds up the rows.
const stageFloats = 16 * (tileRows + 4 + tileCols + 4)

// shares is by how many blocks an operation is shared, and how many floating-point
// operations its products have.
func (l *plan) shares(op packedOp, batch int) (blocks int, work float64) {
	extent := func(o packedOperand) (rows, cols int) {
		if rows = int(o.Rows); rows == int(ir.Batch) {
			rows = batch
		}
		return rows, int(o.Cols)
	}
	pieces := func(n, size int) int { return (n + size - 1) / size }
	rows, cols := extent(op.Out)
	left, terms := extent(op.Args[0])
	switch ir.Code(op.Code) {
	case ir.Dense, ir.DInput:
		return spreadOver(pieces(rows, tileRows) * pieces(cols, tileCols)), 2 * float64(rows) * float64(cols) * float64(terms)
	case ir.DWeight: // its result is computed the other way round
		return spreadOver(pieces(cols, tileRows) * pieces(rows, tileCols)), 2 * float64(rows) * float64(cols) * float64(left)
	case ir.Xent, ir.Quad, ir.L2:
		return 1, 0
	case ir.DXent, ir.DQuad:
		return spreadOver(pieces(batch, blockThreads)), 0
	case ir.DBias:
		return spreadOver(pieces(cols, stageFloats)), 0
	case ir.Act, ir.Add, ir.DAct:
		return spreadOver(pieces(rows*cols, blockThreads)), 0
	}
	t := l.tensors[op.Tensor]
	if ir.Code(op.Code) == ir.MatMul { // Length counts products of extent[0] x extent[1]
		m, n := int(t.Geometry[0]), int(t.Geometry[1])
		return spreadOver(int(t.Length) * pieces(m, tileRows) * pieces(n, tileCols)), 2 * float64(t.Length) * float64(m) * float64(n) * float64(t.Inner)
	}
	if ir.Code(op.Code) == ir.Reduce { // a sum may be a warp's or a block's
		return spreadOver(int(t.Length)), 0
	}
	return spreadOver(pieces(int(t.Length), blockThreads)), 0
}

// all is the launches of a job of so many steps from one on, each with the step or the
// part that it is of.
func (s *sequence) all(from, steps, perEpoch int) iter.Seq2[phase, int] {
	return func(yield func(phase, int) bool) {
		at := from
		if s.parts > 0 {
			at = 0
		}
		each := func(phases []phase) bool {
			return !slices.ContainsFunc(phases, func(p phase) bool { return !yield(p, at) })
		}
		if !each(s.begin) {
			return
		}
		for step := from; step < from+steps; step++ {
			phases, parts := s.step, s.parts
			if (step+1)%perEpoch == 0 {
				phases, parts = s.rest, s.restParts
			}
			for range max(1, parts) {
				if !each(phases) {
					return
				}
				at++
			}
		}
		each(s.end)
	}
}

// launchCycles is what a launch takes on the device beside what its blocks do, some
// 2.5 µs: assumed, after published measurements of launches in a row.
const launchCycles = 4400

// cycles is what a step is expected to take on a device that has the blocks' number of
// multiprocessors or more.
func (s *sequence) cycles() float64 {
	var sum float64
	for _, p := range s.step {
		sum += launchCycles + p.cycles
	}
	return sum * float64(max(1, s.parts))
}

// most is how many blocks share the phase that most do.
func (s *sequence) most() int {
	n := 0
	for _, p := range s.step {
		n = max(n, p.blocks)
	}
	return n
}

// line says how a network is spread.
func (s *sequence) line() string {
	return fmt.Sprintf("its steps are spread over up to %d blocks, with the bits of one: a step is a sequence of %d launches, and takes %.2g ms by a model that no device has confirmed",
		s.most(), len(s.step)*max(1, s.parts), 1e3*s.cycles()/ModelledClock)
}

// spreadPlanKey is the key of a plan for training whose steps are spread: nothing of it
// is in a block's shared memory.
func spreadPlanKey(p *ir.Program, o kernels.Optimizer, batch, examples int) planKey {
	return planKey{p, trainJob, batch, o.Slots(), 0, examples % batch}
}

// explainSpread is explain for a network that is spread.
func explainSpread(p *ir.Program, o kernels.Optimizer) ([]string, error) {
	l, err := makePlan(spreadPlanKey(p, o, explainedBatch, explainedBatch))
	if err != nil {
		return nil, err
	}
	return append([]string{sequenceOf(l).line()}, l.explained(o)...), nil
}
