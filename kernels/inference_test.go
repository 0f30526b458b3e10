package kernels

import (
	"context"
	"errors"
	"runtime"
	"slices"
	"sync/atomic"
	"testing"

	"vanilla/graph/ir"
)

// However wide a network is, a runner is given no more than chunkFLOPs at once, or one example.
func TestChunks(t *testing.T) {
	p := *variant(t).Program()
	if got := chunkOf(&p); got != largestChunk {
		t.Errorf("a small network's chunk is %d, want %d", got, largestChunk)
	}
	for _, width := range []int{1 << 8, 1 << 12, 1 << 14, 1 << 20} {
		wide := p
		wide.Values = slices.Clone(p.Values)
		for i := range wide.Values {
			if s := &wide.Values[i].Shape; s.Rows != ir.Batch {
				s.Rows, s.Cols = width, width
			} else {
				s.Cols = width
			}
		}
		chunk := chunkOf(&wide)
		if chunk < 1 || chunk > largestChunk || chunk > 1 && chunk*wide.ForwardFLOPs() > chunkFLOPs {
			t.Errorf("width %d: a chunk of %d examples, %d FLOP", width, chunk, chunk*wide.ForwardFLOPs())
		}
	}
}

// signalling is a runner that ends its callers' context in its third call, and counts the calls that begin after that.
// Later calls wait until it has, however late it is.
type signalling struct {
	fake
	cancel context.CancelFunc
	ctx    context.Context
	calls  *atomic.Int64
	after  *atomic.Int64
}

func (r *signalling) Outputs(e Examples) ([]float32, float64, error) {
	if r.ctx.Err() != nil {
		r.after.Add(1)
	}
	if n := r.calls.Add(1); n == 3 {
		r.cancel()
	} else if n > 3 {
		<-r.ctx.Done()
	}
	return r.fake.Outputs(e)
}

// After the signal, an inference begins at most one more chunk on each core: one that had looked before.
func TestInferenceEndsWithItsContext(t *testing.T) {
	p := variant(t).Program()
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	var calls, after atomic.Int64
	s := new(stable)
	n := &inference{chunk: 1, program: p, newRunner: func() (Runner, error) {
		return &signalling{fake: fake{stable: s}, cancel: cancel, ctx: ctx, calls: &calls, after: &after}, nil
	}}
	const count = 100_000
	_, err := n.Outputs(ctx, make([]byte, count*p.Features()))
	if !errors.Is(err, context.Canceled) {
		t.Errorf("error %v", err)
	}
	if cores := int64(runtime.GOMAXPROCS(0)); after.Load() > cores || calls.Load() > 3+2*cores {
		t.Errorf("%d calls, %d after the signal", calls.Load(), after.Load())
	}
}
