package kernels

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"slices"
	"sync"
	"sync/atomic"

	"vanilla/graph/ir"
)

// Inference is a network with given parameters that runs forward. It may be
// used concurrently, but for Close. When a context is done, a call returns its
// cause.
type Inference interface {
	// Outputs runs images [n, features], bytes that networks see as byte / 255,
	// and returns the program's outputs [n, classes] row-major.
	Outputs(ctx context.Context, pixels []byte) ([]float32, error)
	// Evaluate scores the network on examples.
	Evaluate(ctx context.Context, e Examples) (Score, error)
	// Forward runs x [n, features] row-major (pixels are 0..1) and returns the
	// values that the forward operations compute, indexed by ir.ID: [n, width]
	// row-major for values that exist once per example, nil for the others and
	// for x. A value that the executor does not compute by itself, because it is
	// fused away or depends on a label, is nil too; the output is there.
	Forward(ctx context.Context, x []float32) ([][]float32, error)
	// Close releases what it holds. It must not be used afterwards.
	Close() error
}

// Runner runs one network forward on the host, one call at a time. It is what an
// executor that runs in this process implements; [NewInference] drives runners.
type Runner interface {
	// Outputs runs forward over examples and returns the program's outputs [n,
	// classes], and its loss with all the examples as one batch.
	Outputs(e Examples) (outputs []float32, loss float64, err error)
	// Forward is Inference.Forward, in memory that is the caller's.
	Forward(x []float32) ([][]float32, error)
	// SetParams copies in what State holds. It is called before anything else.
	// Slots are nil where the network is not to be trained.
	SetParams(params, slots [][]float32) error
	Close() error
}

// NewInference checks the parameters and runs the source's program with them on
// runners: one for each core that has something to do. What comes of an example
// depends on no number of cores, and on no other example but those of its batch
// where the program makes it so. batch is Executor.Infer's.
func NewInference(source Source, params [][]float32, batch int, newRunner func(Source) (Runner, error)) (Inference, error) {
	p, err := CheckInference(source, params, batch)
	if err != nil {
		return nil, err
	}
	chunk := Variant{Source: source, Batch: batch}.EvaluationBatch(chunkOf(p))
	n := &inference{chunk: chunk, program: p, newRunner: func() (Runner, error) { return newRunner(source) }, params: clone(params)}
	r, err := n.take() // whether the program runs at all
	if err != nil {
		return nil, err
	}
	n.idle = append(n.idle, r)
	return n, nil
}

// CheckInference is the source's program, if Executor.Infer may run it.
func CheckInference(source Source, params [][]float32, batch int) (*ir.Program, error) {
	p, err := CheckSource(source, params)
	if err != nil {
		return nil, err
	}
	if batch < 0 {
		return nil, fmt.Errorf("batch size %d", batch)
	}
	if batch == 0 && p.Coupled() {
		return nil, fmt.Errorf("what program %q makes of an example depends on the rest of the batch, and the batch size that it was trained in is not known", p.Name)
	}
	return p, nil
}

// CheckSource is the source's program, if it is well formed and the parameters
// are its own.
func CheckSource(source Source, params [][]float32) (*ir.Program, error) {
	p := (Variant{Source: source}).Program()
	if p == nil {
		return nil, errors.New("no program")
	}
	if err := p.Verify(); err != nil {
		return nil, err
	}
	return p, checkParams(p, params)
}

const (
	// A runner is given so many examples at once at most, and fewer where these are
	// more work than a second or two for any executor: a call ends no sooner after
	// its context is done.
	largestChunk = 1000
	chunkFLOPs   = 1 << 30
)

// chunkOf is how many examples of a program a runner is given at once.
func chunkOf(p *ir.Program) int {
	return max(1, min(largestChunk, chunkFLOPs/max(1, p.ForwardFLOPs())))
}

type inference struct {
	chunk     int
	program   *ir.Program
	newRunner func() (Runner, error)
	params    [][]float32

	mu   sync.Mutex
	idle []Runner
}

// take returns an idle runner, or a new one.
func (n *inference) take() (Runner, error) {
	n.mu.Lock()
	if last := len(n.idle) - 1; last >= 0 {
		r := n.idle[last]
		n.idle = n.idle[:last]
		n.mu.Unlock()
		return r, nil
	}
	n.mu.Unlock()
	r, err := n.newRunner()
	if err != nil {
		return nil, err
	}
	if err := r.SetParams(n.params, nil); err != nil {
		return nil, errors.Join(err, r.Close())
	}
	return r, nil
}

func (n *inference) put(r Runner) {
	n.mu.Lock()
	n.idle = append(n.idle, r)
	n.mu.Unlock()
}

// chunks calls do for all parts of count examples, on all cores.
func (n *inference) chunks(ctx context.Context, count int, do func(r Runner, from, to int) error) error {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	var next atomic.Int64
	work := func() {
		r, err := n.take()
		if err != nil {
			cancel(err)
			return
		}
		defer n.put(r)
		for ctx.Err() == nil {
			to := int(next.Add(int64(n.chunk)))
			from := to - n.chunk
			if from >= count {
				return
			}
			if err := do(r, from, min(to, count)); err != nil {
				cancel(err)
			}
		}
	}
	var others sync.WaitGroup
	for range min(runtime.GOMAXPROCS(0), (count+n.chunk-1)/n.chunk) - 1 {
		others.Go(work)
	}
	work()
	others.Wait()
	return context.Cause(ctx)
}

// rows is how many inputs there are in so many numbers.
func rows(p *ir.Program, numbers int, what string) (int, error) {
	f := p.Features()
	if numbers == 0 || numbers%f != 0 {
		return 0, fmt.Errorf("input of %d %s, want rows of %d", numbers, what, f)
	}
	return numbers / f, nil
}

func (n *inference) Outputs(ctx context.Context, pixels []byte) ([]float32, error) {
	count, err := rows(n.program, len(pixels), "pixels")
	if err != nil {
		return nil, err
	}
	features, classes := n.program.Features(), n.program.Classes()
	outputs := make([]float32, count*classes)
	labels := make([]byte, min(count, n.chunk)) // of which outputs are no function
	err = n.chunks(ctx, count, func(r Runner, from, to int) error {
		chunk, _, err := r.Outputs(Examples{Pixels: pixels[from*features : to*features], Labels: labels[:to-from], Features: features})
		copy(outputs[from*classes:], chunk)
		return err
	})
	if err != nil {
		return nil, err
	}
	return outputs, nil
}

func (n *inference) Evaluate(ctx context.Context, e Examples) (Score, error) {
	if err := CheckExamples(n.program, e); err != nil {
		return Score{}, err
	}
	score := Score{N: e.Len(), Classes: make([]byte, e.Len())}
	parts := make([]Score, (e.Len()+n.chunk-1)/n.chunk)
	err := n.chunks(ctx, e.Len(), func(r Runner, from, to int) error {
		part := Examples{Pixels: e.Pixels[from*e.Features : to*e.Features], Labels: e.Labels[from:to], Features: e.Features}
		if e.Targets != nil {
			part.Targets = e.Targets[from*n.program.Classes() : to*n.program.Classes()]
		}
		outputs, loss, err := r.Outputs(part)
		if err == nil {
			parts[from/n.chunk] = scoreOf(outputs, loss, part.Labels, n.program.Classes())
		}
		return err
	})
	if err != nil {
		return Score{}, err
	}
	for i, part := range parts {
		// A part's loss is a mean; parts weigh by their size. Penalties on
		// parameters are the same in each and keep their weight of one.
		score.Loss += part.Loss * float64(part.N) / float64(score.N)
		score.Correct += part.Correct
		copy(score.Classes[i*n.chunk:], part.Classes)
	}
	return score, nil
}

// CheckExamples reports what keeps a program from being evaluated on examples.
func CheckExamples(p *ir.Program, e Examples) error {
	if e.Len() == 0 {
		return errors.New("there are no examples")
	}
	if e.Features != p.Features() || len(e.Pixels) != e.Len()*e.Features {
		return fmt.Errorf("%d examples of %d features in %d pixels, the network takes %d inputs",
			e.Len(), e.Features, len(e.Pixels), p.Features())
	}
	if err := e.checkTargets(p.Classes()); err != nil {
		return err
	}
	for i, l := range e.Labels {
		if int(l) >= p.Classes() {
			return fmt.Errorf("label %d of example %d, the network has %d outputs", l, i, p.Classes())
		}
	}
	return nil
}

// scoreOf is what outputs [n, classes] and labels make.
func scoreOf(outputs []float32, loss float64, labels []byte, classes int) Score {
	s := Score{N: len(labels), Loss: loss, Classes: make([]byte, len(labels))}
	for i, label := range labels {
		s.Classes[i] = byte(Argmax(outputs[i*classes : (i+1)*classes]))
		if s.Classes[i] == label {
			s.Correct++
		}
	}
	return s
}

func (n *inference) Forward(ctx context.Context, x []float32) ([][]float32, error) {
	p := n.program
	count, err := rows(p, len(x), "numbers")
	if err != nil {
		return nil, err
	}
	parts := make([][][]float32, (count+n.chunk-1)/n.chunk)
	err = n.chunks(ctx, count, func(r Runner, from, to int) (err error) {
		parts[from/n.chunk], err = r.Forward(x[from*p.Features() : to*p.Features()])
		return err
	})
	if err != nil {
		return nil, err
	}
	if len(parts) == 1 {
		return parts[0], nil
	}
	values := make([][]float32, len(p.Values))
	for id := range values {
		var all [][]float32
		for _, part := range parts {
			all = append(all, part[id])
		}
		values[id] = slices.Concat(all...)
	}
	return values, nil
}

func (n *inference) Close() error {
	var errs []error
	for _, r := range n.idle {
		errs = append(errs, r.Close())
	}
	n.idle = nil
	return errors.Join(errs...)
}
