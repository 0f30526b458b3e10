//go:build gpu && !cpu && linux && amd64 && cgo

package cuda

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"

	"vanilla/internal/cuda/driver"
	"vanilla/kernels"
)

// evaluationWork bounds a job that evaluates, if it can have fewer examples: some 0.3 s of
// a block of an H100, by the model.
const evaluationWork = 1 << 33

// chunkOf is how many examples of a network a job evaluates.
func chunkOf(v *kernels.Variant) int {
	most := evaluationChunk
	for most > 1 && float64(most)*float64(v.Program().ForwardFLOPs()) > evaluationWork {
		most /= 2
	}
	return v.EvaluationBatch(most)
}

// evaluationBytes bounds the states that a launch that evaluates copies to the device.
const evaluationBytes = 64 << 20

// request is a call of Evaluate. It waits for a launch, which has as many chunks of it
// as there is room for beside those of others, and then for the next one.
type request struct {
	ctx      context.Context
	network  *network
	split    kernels.Split
	examples kernels.Examples
	next     int // the first example that has not been evaluated
	score    kernels.Score
	err      error
	done     chan struct{} // closed when the score, or the error, is final
}

func newRequest(ctx context.Context, n *network, split kernels.Split, e kernels.Examples) *request {
	n.draw()
	return &request{ctx: ctx, network: n, split: split, examples: e, score: kernels.Score{N: e.Len()}, done: make(chan struct{})}
}

func (r *request) end(err error) {
	r.err = err
	close(r.done)
}

// ended says whether nothing is left of a request. One whose context is done ends with
// the cause.
func (r *request) ended() bool {
	switch {
	case r.next == r.examples.Len():
		r.end(nil)
	case r.ctx.Err() != nil:
		r.end(context.Cause(r.ctx))
	default:
		return false
	}
	return true
}

// result is what came of a request that is done.
func (r *request) result() (kernels.Score, error) {
	if r.err != nil {
		return kernels.Score{}, r.err
	}
	for i, label := range r.examples.Labels {
		if r.score.Classes[i] == label {
			r.score.Correct++
		}
	}
	return r.score, nil
}

// requests are those that wait for a worker, the oldest first.
type requests struct {
	mutex   sync.Mutex
	waiting []*request
}

func (q *requests) add(r *request) {
	q.mutex.Lock()
	defer q.mutex.Unlock()
	q.waiting = append(q.waiting, r)
}

// take returns the oldest of those that wait, a share of 1/workers.
func (q *requests) take(workers int) []*request {
	q.mutex.Lock()
	defer q.mutex.Unlock()
	n := (len(q.waiting) + workers - 1) / workers
	taken := slices.Clone(q.waiting[:n])
	q.waiting = slices.Delete(q.waiting, 0, n)
	return taken
}

// put gives back those that were taken and have not ended, before all others.
func (q *requests) put(left []*request) {
	q.mutex.Lock()
	defer q.mutex.Unlock()
	q.waiting = slices.Concat(slices.DeleteFunc(left, (*request).ended), q.waiting)
}

// remove takes a request back. It is false if a worker has it.
func (q *requests) remove(r *request) bool {
	q.mutex.Lock()
	defer q.mutex.Unlock()
	i := slices.Index(q.waiting, r)
	if i >= 0 {
		q.waiting = slices.Delete(q.waiting, i, i+1)
	}
	return i >= 0
}

// Evaluate divides the split into chunks, which are jobs of one launch or several. Calls
// at the same time share launches: the one that gets a worker has it launch chunks of
// all that wait, itself perhaps among them.
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
	r := newRequest(ctx, n, split, e)
	p.requests.add(r)
	cancelled := ctx.Done()
	for {
		select {
		case <-r.done:
			score, err := r.result()
			if err != nil && ctx.Err() == nil {
				err = fmt.Errorf("variant %d: %w", i, err)
			}
			return score, err
		case <-cancelled:
			if p.requests.remove(r) {
				return kernels.Score{}, context.Cause(ctx)
			}
			cancelled = nil // the worker that has it ends it behind its launch
		case w := <-p.free:
			p.requests.put(w.evaluate(p.requests.take(len(p.workers))))
			p.free <- w
		}
	}
}

// part is the chunks of a request in a launch.
type part struct {
	*request
	plan     *plan
	chunk    int
	to       int  // the first of the request's examples that is in no chunk
	onDevice bool // the state
}

// evaluate runs one launch for requests, with as much of the first ones as a launch may
// have, and returns those that are left. A score does not depend on what else is in its
// launches.
func (w *worker) evaluate(all []*request) (left []*request) {
	all = slices.DeleteFunc(all, (*request).ended)
	if len(all) == 0 {
		return nil
	}
	l := &evaluation{}
	parts, rest, err := w.compose(l, all)
	if err == nil && len(parts) > 0 {
		err = w.launch(l, parts)
	}
	if errors.Is(err, driver.ErrOutOfMemory) && len(parts) > 1 {
		w.together, err = len(parts)/2, nil
	}
	for _, p := range parts {
		if err != nil {
			p.end(w.fail(err))
		} else {
			left = append(left, p.request)
		}
	}
	return append(left, rest...)
}

// compose chooses the chunks of a launch, whose blocks have no more to do than in the
// first launch of training. rest are the requests of which it has none. One that has no
// plan ends here.
func (w *worker) compose(l *evaluation, all []*request) (parts []part, rest []*request, err error) {
	grid, chunks, bytes, work := 0, 0, 0, 0.0
	for k, r := range all {
		v := &r.network.variant
		p := part{request: r, chunk: chunkOf(v), to: r.next}
		p.plan, err = w.plans.of(planKey{kind: evaluateJob, program: v.Program(), batch: p.chunk, rest: r.examples.Len() % p.chunk, sharedFloats: w.sharedFloats})
		if err != nil {
			r.end(w.fail(err))
			continue
		}
		if grid == 0 || p.plan.sharedFloats > l.sharedFloats {
			l.sharedFloats = p.plan.sharedFloats
			if grid, err = w.grid(w.kernel, class{}, l.sharedFloats); err != nil {
				return append(parts, p), all[k+1:], err
			}
		}
		if p.onDevice = r.network.wave != nil && r.network.wave.worker == w; !p.onDevice {
			bytes += 4 * v.Program().Parameters()
		}
		each := float64(p.chunk)*float64(v.Program().ForwardFLOPs()) + opWork*float64(v.Program().Forward)
		for p.to < r.examples.Len() && (chunks < grid || work+each <= float64(grid)*firstWork) {
			p.to += p.chunk
			chunks, work = chunks+1, work+each
		}
		if p.to == r.next || len(parts) > 0 && (bytes > evaluationBytes || len(parts) == w.together) {
			return parts, all[k:], nil
		}
		l.workFloats = max(l.workFloats, p.plan.workFloats)
		parts = append(parts, p)
	}
	return parts, nil, nil
}

// launch evaluates the parts of requests, and adds what comes of them to their scores.
func (w *worker) launch(l *evaluation, parts []part) error {
	plans := make([]*plan, len(parts))
	for k, p := range parts {
		plans[k] = p.plan
	}
	if err := w.place(plans...); err != nil {
		return err
	}
	addresses, err := w.bring(parts)
	if err != nil {
		return err
	}
	classes := 0
	for k, p := range parts {
		data := &w.splits[p.split]
		for from := p.next; from < p.to; from += p.chunk {
			l.jobs = append(l.jobs, packedJob{
				Kind: evaluateJob, Plan: w.placed.index[p.plan], State: uint64(addresses[k]), Pixels: uint64(data.pixels.at), Labels: uint64(data.labels.at),
				Targets: data.targetsOf(p.examples), From: int32(from), Examples: int32(min(p.chunk, p.examples.Len()-from)),
				Losses: int64(len(l.jobs)), Classes: int64(classes),
			})
			classes += int(l.jobs[len(l.jobs)-1].Examples)
		}
	}
	l.losses, l.classes = make([]float32, len(l.jobs)), make([]byte, classes)
	if err := w.run(l); err != nil {
		return err
	}
	w.counts.evaluations++
	jobs := l.jobs
	for _, p := range parts {
		n := p.examples.Len()
		// A chunk's loss is a mean; chunks weigh by their size. Penalties on
		// parameters are the same in each and keep their weight of one.
		for ; p.next < p.to; p.next += p.chunk {
			j := &jobs[0]
			p.score.Loss += float64(l.losses[j.Losses]) * float64(j.Examples) / float64(n)
			p.score.Classes = append(p.score.Classes, l.classes[j.Classes:j.Classes+int64(j.Examples)]...)
			jobs = jobs[1:]
		}
		p.next = min(p.next, n)
	}
	return nil
}

// bring copies the parameters of networks to the device that are not there, and says
// where each part's are.
func (w *worker) bring(parts []part) ([]driver.Pointer, error) {
	floats := 0
	for _, p := range parts {
		if !p.onDevice {
			floats += p.network.variant.Program().Parameters()
		}
	}
	if err := w.fit(&w.state, 4*floats); err != nil {
		return nil, err
	}
	addresses, at := make([]driver.Pointer, len(parts)), w.state.at
	for k, p := range parts {
		n := p.network
		if p.onDevice {
			addresses[k] = n.wave.training.state.at + driver.Pointer(4*n.wave.variants[n.index].offset)
			continue
		}
		params := driver.Bytes(n.numbers[:n.variant.Program().Parameters()])
		if err := w.context.CopyIn(at, params); err != nil {
			return nil, err
		}
		w.counts.bytesIn += len(params)
		addresses[k] = at
		at += driver.Pointer(len(params))
	}
	return addresses, nil
}
