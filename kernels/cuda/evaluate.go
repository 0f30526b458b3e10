//go:build gpu && !cpu && linux && amd64 && cgo

package cuda

import (
	"context"
	"errors"
	"fmt"

	"vanilla/internal/cuda/driver"
	"vanilla/kernels"
)

// forwardBytes bounds the values that a launch of forward computes.
const forwardBytes = 64 << 20

// Evaluate divides the split into chunks, which are jobs of one or several
// launches.
func (p *population) Evaluate(ctx context.Context, i int, split kernels.Split) (kernels.Score, error) {
	if err := ctx.Err(); err != nil {
		return kernels.Score{}, err
	}
	n, err := p.network(i)
	if err != nil {
		return kernels.Score{}, err
	}
	e := p.data.Split(split)
	if e.Len() == 0 {
		return kernels.Score{}, fmt.Errorf("the data has no %s examples", split)
	}
	w := <-p.free
	defer func() { p.free <- w }()
	score, err := w.evaluate(ctx, n, e, split)
	if err != nil && ctx.Err() == nil {
		err = fmt.Errorf("variant %d: %w", i, w.fail(err))
	}
	return score, err
}

func (w *worker) evaluate(ctx context.Context, n *network, e kernels.Examples, split kernels.Split) (kernels.Score, error) {
	chunk := n.variant.EvaluationBatch(evaluationChunk)
	l, state, _, err := w.prepare(n, planKey{kind: evaluateJob, batch: chunk, rest: e.Len() % chunk, sharedFloats: w.sharedFloats})
	if err != nil {
		return kernels.Score{}, err
	}
	grid, err := w.grid(w.kernel, class{}, l.sharedFloats)
	if err != nil {
		return kernels.Score{}, err
	}
	v := &n.variant
	work := float64(chunk)*float64(v.Program().ForwardFLOPs()) + opWork*float64(v.Program().Forward)
	score := kernels.Score{N: e.Len()}
	for from := 0; from < e.Len(); { // a launch of chunks is no longer than the first one of training
		if ctx.Err() != nil {
			return kernels.Score{}, context.Cause(ctx)
		}
		l.jobs = l.jobs[:0]
		first := from
		for chunks := grid * max(1, int(firstWork/work)); from < e.Len() && len(l.jobs) < chunks; from += chunk {
			data := &w.splits[split]
			l.jobs = append(l.jobs, packedJob{
				Kind: evaluateJob, State: uint64(state), Pixels: uint64(data.pixels.at), Labels: uint64(data.labels.at),
				Targets: data.targetsOf(e), From: int32(from), Examples: int32(min(chunk, e.Len()-from)),
				Losses: int64(len(l.jobs)), Classes: int64(from - first),
			})
		}
		l.losses, l.classes = make([]float32, len(l.jobs)), make([]byte, min(from, e.Len())-first)
		if err := w.run(l); err != nil {
			return kernels.Score{}, err
		}
		// A chunk's loss is a mean; chunks weigh by their size. Penalties on
		// parameters are the same in each and keep their weight of one.
		for k, j := range l.jobs {
			score.Loss += float64(l.losses[k]) * float64(j.Examples) / float64(e.Len())
		}
		score.Classes = append(score.Classes, l.classes...)
	}
	for i, label := range e.Labels {
		if score.Classes[i] == label {
			score.Correct++
		}
	}
	return score, nil
}

// prepare copies a network's parameters, unless they are on the device, and such a plan
// for it there, and says where its state is.
func (w *worker) prepare(n *network, k planKey) (*evaluation, driver.Pointer, *plan, error) {
	k.program = n.variant.Program()
	made, err := w.plans.of(k)
	if err != nil {
		return nil, 0, nil, err
	}
	l := evaluation{sharedFloats: made.sharedFloats, workFloats: made.workFloats}
	var program program
	program.add(made)
	if err := w.upload(&w.program, &program, &l.program); err != nil {
		return nil, 0, nil, err
	}
	if v := n.wave; v != nil && v.worker == w {
		return &l, v.training.state.at + driver.Pointer(4*v.offsetOf(n)), made, nil
	}
	n.draw()
	if err := w.put(&w.state, driver.Bytes(n.numbers[:n.variant.Program().Parameters()])); err != nil {
		return nil, 0, nil, err
	}
	return &l, w.state.at, made, nil
}

// forward computes chunks of rows, whose values stay in the jobs' own buffers until
// they are copied out.
func (w *worker) forward(ctx context.Context, n *network, x []float32) (values [][]float32, err error) {
	p := n.variant.Program()
	rows, chunk := len(x)/p.Features(), n.variant.EvaluationBatch(evaluationChunk)
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
	l, state, made, err := w.prepare(n, planKey{kind: forwardJob, batch: chunk}) // none of it in shared memory
	if err != nil {
		return nil, err
	}
	l.workFloats = 0 // jobs have buffers of their own
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
				Kind: forwardJob, State: uint64(state), Pixels: uint64(input.at) + uint64(4*k*chunk*p.Features()),
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
