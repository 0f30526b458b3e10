// Package kernels defines what executors do: train populations of networks.
//
// A [Variant] is a network with its hyper-parameters. A [Population] is a set
// of variants that train on one data set, each at its own pace, and may differ
// in everything; a single network is a population of one. An [Inference] is a
// network that was trained. An [Executor] prepares both for its hardware:
// package ref is the definition, tape runs Gorgonia's own machine, cpu is the
// fast one. Package device opens them by name.
//
// What all executors share is here, once: the random numbers of initial
// weights and sample order, the optimizers, the step-size schedules, and the
// loop that drives executors on the host.
package kernels

import (
	"context"
	"fmt"
	"math"

	"vanilla/graph/ir"
)

// Executor prepares networks for the hardware it drives. Whoever opens one closes it.
type Executor interface {
	// Name is "cpu", "tape", "ref" or "cuda".
	Name() string
	// Device is the hardware in words.
	Device() string
	// Arithmetic names what the bits of a result depend on beside the program,
	// the hyper-parameters, the data and the seed: kind of routines, version of
	// the arithmetic, architecture. Where executors of one name agree in it, equal
	// runs give equal bits, and one goes on from the other's state as if there
	// had been one. The number in it changes when a program's results do.
	Arithmetic() string
	// Prepare checks the variants against the data and sets up their initial
	// states. It fails if a program does not fit the data, a hyper-parameter
	// is out of range, or the executor cannot run a program; the error names
	// the variant.
	Prepare(data Data, variants []Variant) (Population, error)
	// Infer makes a network ready to run forward with these parameters, as
	// State.Params has them. It copies them. batch is the batch size that it was
	// trained in, and 0 if that is not known: it is evaluated in such batches where
	// a population would be (Variant.EvaluationBatch). It fails if the parameters are
	// not the program's, if the executor cannot run the program, and if examples
	// depend on each other in it (ir.Program.Coupled) and batch is 0.
	Infer(source Source, params [][]float32, batch int) (Inference, error)
	// Explain says how the executor trains a network, a line for each step of its
	// plan. It fails if the executor cannot run the program.
	Explain(source Source, o Optimizer) ([]string, error)
	// Close gives back what the executor holds: the memory of devices.
	// Populations and inferences must be closed before.
	Close() error
}

// Population is a set of networks in training. Evaluate, State and Restore may be called concurrently for different variants, but not while
// Advance runs.
type Population interface {
	// Advance trains every variant i up to step until[i], in no lock-step, and
	// calls report after each epoch of each variant and when one diverges. Calls
	// to report do not overlap. A variant that diverged stays where it is.
	// When ctx is done, Advance returns its cause (context.Cause) between two
	// steps; every variant's state is then valid and training may go on.
	Advance(ctx context.Context, until []int, report func(Report)) error
	// Evaluate runs variant i forward over one split of the data.
	Evaluate(ctx context.Context, i int, split Split) (Score, error)
	// State copies out all that training variant i needs to go on from here.
	State(i int) (State, error)
	// Restore makes variant i go on from a state of the same program and
	// optimizer. It copies s.
	Restore(i int, s State) error
	// Close releases what the population holds. It must not be used afterwards.
	Close() error
}

// Report is news of one variant.
type Report struct {
	Variant int
	// Step counts the steps completed, Epoch the epochs.
	Step, Epoch int
	// Loss is the mean over the epoch's examples, each measured in the batch that
	// trained it.
	Loss float64
	// Diverged is true if Loss is not finite: the variant has been stopped.
	Diverged bool
}

// Split names a part of the data.
type Split int

const (
	Train Split = iota
	Validation
	Test
)

func (s Split) String() string { return [...]string{"train", "validation", "test"}[s] }

// Examples are labelled inputs. Pixels stay bytes; networks see byte / 255.
type Examples struct {
	Pixels   []byte // [N, features] row-major
	Labels   []byte // [N], each below the number of classes
	Features int
	// Targets are what outputs are to be, [N, classes] row-major, each row
	// probabilities whose sum is one; nil if they are the labels with certainty. A
	// label is then what an output is counted as right by.
	Targets []float32
}

// Target is the target of an example by class.
func (e Examples) Target(i, class, classes int) float32 {
	if e.Targets != nil {
		return e.Targets[i*classes+class]
	}
	if int(e.Labels[i]) == class {
		return 1
	}
	return 0
}

// AppendTarget appends an example's row of targets.
func (e Examples) AppendTarget(to []float32, i, classes int) []float32 {
	for c := range classes {
		to = append(to, e.Target(i, c, classes))
	}
	return to
}

// checkTargets reports what targets cannot be.
func (e Examples) checkTargets(classes int) error {
	if e.Targets == nil {
		return nil
	}
	if len(e.Targets) != e.Len()*classes {
		return fmt.Errorf("%d targets for %d examples of %d classes", len(e.Targets), e.Len(), classes)
	}
	for i := range e.Len() {
		sum := 0.0
		for _, t := range e.Targets[i*classes : (i+1)*classes] {
			if !(t >= 0 && t <= 1) {
				return fmt.Errorf("target %g of example %d, want 0 to 1", t, i)
			}
			sum += float64(t)
		}
		if math.Abs(sum-1) > targetTolerance {
			return fmt.Errorf("the targets of example %d add up to %g, want 1", i, sum)
		}
	}
	return nil
}

// targetTolerance is how far the sum of a row of targets may be from one: float32
// and decimal numbers of six digits are not exact.
const targetTolerance = 1e-4

// Len is the number of examples.
func (e Examples) Len() int { return len(e.Labels) }

// Row is example i's pixels, not a copy.
func (e Examples) Row(i int) []byte { return e.Pixels[i*e.Features : (i+1)*e.Features] }

// Data is what a population trains on and is evaluated with.
type Data struct {
	Train, Validation, Test Examples
	Classes                 int
	// Rows and Cols are the images' extent; zero if the inputs are no images.
	Rows, Cols int
}

// Split returns one part of the data. Validation and test may be empty.
func (d *Data) Split(s Split) Examples {
	return [...]Examples{d.Train, d.Validation, d.Test}[s]
}

// maxClasses is how many classes a label's byte can tell apart.
const maxClasses = 256

// Check reports what is inconsistent in the data: lengths, labels out of range.
func (d *Data) Check() error {
	if d.Train.Len() == 0 {
		return fmt.Errorf("the training set is empty")
	}
	if d.Classes < 1 || d.Classes > maxClasses {
		return fmt.Errorf("%d classes, want 1 to %d", d.Classes, maxClasses)
	}
	if size := d.Rows * d.Cols; size != 0 && size != d.Train.Features {
		return fmt.Errorf("images of %d x %d pixels, but %d features", d.Rows, d.Cols, d.Train.Features)
	}
	for s := Train; s <= Test; s++ {
		e := d.Split(s)
		if len(e.Pixels) != e.Len()*e.Features {
			return fmt.Errorf("%s: %d pixels for %d examples of %d features", s, len(e.Pixels), e.Len(), e.Features)
		}
		if e.Len() > 0 && e.Features != d.Train.Features {
			return fmt.Errorf("%s: %d features, the training set has %d", s, e.Features, d.Train.Features)
		}
		if err := e.checkTargets(d.Classes); err != nil {
			return fmt.Errorf("%s: %w", s, err)
		}
		for i, l := range e.Labels {
			if int(l) >= d.Classes {
				return fmt.Errorf("%s: label %d of example %d, want below %d", s, l, i, d.Classes)
			}
		}
	}
	return nil
}

// Score is the result of evaluating a network on a split.
type Score struct {
	N, Correct int
	// Loss is the program's loss with the whole split as one batch.
	Loss float64
	// Classes are the predicted classes [N]: the index of the largest output,
	// the first one among equals.
	Classes []byte
}

// Accuracy is the fraction of correct predictions, 0..1.
func (s Score) Accuracy() float64 { return float64(s.Correct) / float64(max(s.N, 1)) }

// State is a variant's training state at one step.
type State struct {
	Step   int
	Params [][]float32 // in the program's order, weights [out, in] row-major
	Slots  [][]float32 // the optimizer's own arrays, see Optimizer.Slots
	// LossSum adds up the mean losses of the current epoch's batches so far, each
	// by its Variant.Share, so that Variant.EpochLoss is the mean over examples.
	LossSum  float64
	Diverged bool
}

// Clone is a deep copy.
func (s State) Clone() State {
	s.Params, s.Slots = clone(s.Params), clone(s.Slots)
	return s
}

func clone(a [][]float32) [][]float32 {
	out := make([][]float32, len(a))
	for i := range a {
		out[i] = append([]float32(nil), a[i]...)
	}
	return out
}

// Argmax is the index of the largest element, the first one among equals.
// NaN is never the largest.
func Argmax[T float32 | float64](row []T) int {
	best := 0
	for j, v := range row {
		if v > row[best] || row[best] != row[best] && v == v {
			best = j
		}
	}
	return best
}

// Check compares the state's shapes with what a variant needs.
func (s State) Check(v Variant) error {
	p := v.Program()
	if err := checkParams(p, s.Params); err != nil {
		return err
	}
	if want := len(p.Params) * v.Optimizer.Slots(); len(s.Slots) != want {
		return fmt.Errorf("state holds %d optimizer arrays, %s needs %d", len(s.Slots), v.Optimizer.Name, want)
	}
	for i, q := range p.Params {
		for k := range v.Optimizer.Slots() {
			if err := checkParam(p.Value(q.Value), s.Slots[k*len(p.Params)+i]); err != nil {
				return err
			}
		}
	}
	if s.Step < 0 {
		return fmt.Errorf("state is at step %d", s.Step)
	}
	return nil
}

// checkParams compares parameters with a program's.
func checkParams(p *ir.Program, params [][]float32) error {
	if len(params) != len(p.Params) {
		return fmt.Errorf("state holds %d parameters, the program has %d", len(params), len(p.Params))
	}
	for i, q := range p.Params {
		if err := checkParam(p.Value(q.Value), params[i]); err != nil {
			return err
		}
	}
	return nil
}

func checkParam(v ir.Value, a []float32) error {
	if len(a) != v.Shape.Len(0) {
		return fmt.Errorf("state of %s%v holds %d numbers", v.Name, v.Shape, len(a))
	}
	return nil
}
