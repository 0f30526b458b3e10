//go:build gpu && !cpu && linux && amd64 && cgo

package cuda

import (
	"context"
	"errors"

	"vanilla/internal/cuda/driver"
)

// forwardBytes bounds the values that a launch of forward computes.
const forwardBytes = 64 << 20

// forward computes chunks of rows, whose values stay in the jobs' own buffers until
// they are copied out.
func (w *worker) forward(ctx context.Context, n *network, x []float32) (values [][]float32, err error) {
	p := n.variant.Program()
	rows, chunk := len(x)/p.Features(), chunkOf(&n.variant)
	rest := rows % chunk
	whole := (rows - rest) * p.Features()
	if rest == 0 || whole == 0 {
		return w.forwardIn(ctx, n, x, min(chunk, rows))
	}
	// What is left over is a plan of its own: another batch's values lie elsewhere.
	if values, err = w.forwardIn(ctx, n, x[:whole], chunk); err != nil {
		return nil, err
	}
	last, err := w.forwardIn(ctx, n, x[whole:], rest)
	if err != nil {
		return nil, err
	}
	for id := range values {
		values[id] = append(values[id], last[id]...)
	}
	return values, nil
}

// forwardIn is forward in whole chunks.
func (w *worker) forwardIn(ctx context.Context, n *network, x []float32, chunk int) (values [][]float32, err error) {
	p := n.variant.Program()
	rows := len(x) / p.Features()
	made, err := w.plans.of(planKey{program: p, kind: forwardJob, batch: chunk}) // none of it in shared memory
	if err != nil {
		return nil, err
	}
	if err := w.place(made); err != nil {
		return nil, err
	}
	if err := w.put(&w.state, driver.Bytes(n.numbers[:p.Parameters()])); err != nil {
		return nil, err
	}
	l := &evaluation{sharedFloats: made.sharedFloats} // jobs have buffers of their own
	values = make([][]float32, len(p.Values))
	for _, v := range made.kept {
		values[v.id] = make([]float32, rows*v.cols)
	}
	stride := 4 * int(made.workFloats)
	most := max(1, forwardBytes/max(1, stride))
	var input, work buffer
	defer func() { err = errors.Join(err, w.empty(&input), w.empty(&work)) }()
	for from := 0; from < rows; from += most * chunk {
		if ctx.Err() != nil {
			return nil, context.Cause(ctx)
		}
		to := min(rows, from+most*chunk)
		l.jobs = l.jobs[:0]
		chunks := (to - from + chunk - 1) / chunk
		if err := w.put(&input, driver.Bytes(x[from*p.Features():to*p.Features()])); err != nil {
			return nil, err
		}
		if err := w.fit(&work, chunks*stride); err != nil {
			return nil, err
		}
		for k := range chunks {
			l.jobs = append(l.jobs, packedJob{
				Kind: forwardJob, State: uint64(w.state.at), Plan: w.placed.index[made], Pixels: uint64(input.at) + uint64(4*k*chunk*p.Features()),
				Work: uint64(work.at) + uint64(k*stride), Examples: int32(min(chunk, to-from-k*chunk)),
			})
		}
		if err := w.run(l); err != nil {
			return nil, err
		}
		computed := make([]float32, chunks*stride/4)
		if err := w.context.CopyOut(driver.Bytes(computed), work.at); err != nil {
			return nil, err
		}
		for k, j := range l.jobs {
			for _, v := range made.kept {
				at := k*stride/4 + int(v.offset)
				copy(values[v.id][(from+k*chunk)*v.cols:], computed[at:at+int(j.Examples)*v.cols])
			}
		}
	}
	return values, nil
}
