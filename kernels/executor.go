package kernels

import (
	"context"
	"strings"
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
	// Width is how many small networks keep its hardware busy: as many are worth being
	// in a population, and in calls of Population.Evaluate at a time.
	Width() int
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

// DefaultPrecision is that of executors whose Arithmetic names no other, and of records and
// files that name none.
const DefaultPrecision = "fp32"

// Precision is what products are computed in by the executor of an Arithmetic: a part of that name.
func Precision(arithmetic string) string {
	for part := range strings.SplitSeq(arithmetic, ", ") {
		if part == "bf16" {
			return part
		}
	}
	return DefaultPrecision
}

// ArithmeticOf is that in which a population of the executor trains variant i: the
// executor's, unless others train some of its variants, which the population then says.
func ArithmeticOf(exec Executor, p Population, i int) string {
	if divided, ok := p.(interface{ ArithmeticOf(i int) string }); ok {
		return divided.ArithmeticOf(i)
	}
	return exec.Arithmetic()
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
