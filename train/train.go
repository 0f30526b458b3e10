// Package train is the training loop: it turns recipes and data into trained
// and evaluated networks, on whichever executor it is given.
package train

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"runtime"
	"sync"
	"sync/atomic"
	"time"

	"vanilla/graph/ir"
	"vanilla/kernels"
	"vanilla/mnist"
	"vanilla/model"
)

// Spec is one network to train.
type Spec struct {
	Recipe Recipe
	// Seed determines the initial weights, OrderSeed the order of examples.
	Seed, OrderSeed uint64
}

// Result is what came of one Spec.
type Result struct {
	Spec       Spec
	Parameters int
	// Model is the network as training left it, but for its Version. It is nil
	// if the network diverged, or was interrupted before its first step.
	Model *model.Model
	// TrainLoss is the mean over the last completed epoch's batches, as they
	// were trained. It is not finite if the network diverged, and NaN if no
	// epoch was completed.
	TrainLoss float64
	// Test is the score on the test images where there is a Model.
	Test kernels.Score
	// Epochs are the completed ones. EpochsTrained counts the part of an epoch
	// too that an interruption or a divergence left.
	Epochs        int
	EpochsTrained float64
	// Diverged networks were stopped because their loss was no longer finite.
	Diverged bool
	// Interrupted networks were stopped because the context was done.
	Interrupted bool
	// Seconds is the time that training took, the whole population's.
	// Evaluation is not in it.
	Seconds float64
}

// Run trains a population, evaluates it on the test images, and returns one
// Result for each Spec. The executor must have been opened with networks.Of.
// observe, if not nil, gets news of each epoch; calls do not overlap.
//
// When ctx is done, training stops after the current step and what has been
// trained is evaluated and returned. Run fails with a *SettingError if a recipe
// cannot be or does not fit the data, and if the executor fails.
func Run(ctx context.Context, exec kernels.Executor, networks *Networks, data *mnist.Dataset, specs []Spec, observe func(kernels.Report)) ([]Result, error) {
	results := make([]Result, len(specs))
	variants := make([]kernels.Variant, len(specs))
	until := make([]int, len(specs))
	for i, s := range specs {
		if err := s.Recipe.Check(); err != nil {
			return nil, err
		}
		if err := s.Recipe.Fits(data); err != nil {
			return nil, err
		}
		network, err := networks.Build(s.Recipe.Arch, s.Recipe.Activation, s.Recipe.Loss)
		if err != nil {
			return nil, err
		}
		variants[i] = s.Variant(network.Program)
		until[i] = s.Recipe.Epochs * variants[i].StepsPerEpoch(data.Train.Len())
		results[i] = Result{Spec: s, Parameters: network.Program.Parameters(), TrainLoss: math.NaN()}
	}
	population, err := exec.Prepare(Data(data), variants)
	if err != nil {
		return nil, err
	}
	defer population.Close()

	start := time.Now()
	err = population.Advance(ctx, until, func(r kernels.Report) {
		results[r.Variant].TrainLoss = r.Loss
		if observe != nil {
			observe(r)
		}
	})
	seconds := time.Since(start).Seconds()
	if err != nil && !(ctx.Err() != nil && errors.Is(err, context.Cause(ctx))) {
		return nil, err
	}

	// Evaluation goes on after an interruption: it is what keeps the work.
	ctx = context.WithoutCancel(ctx)
	err = onAllCores(len(specs), func(i int) error {
		state, err := population.State(i)
		if err != nil {
			return err
		}
		r := &results[i]
		r.Seconds = seconds
		perEpoch := variants[i].StepsPerEpoch(data.Train.Len())
		r.Epochs, r.EpochsTrained = state.Step/perEpoch, float64(state.Step)/float64(perEpoch)
		r.Diverged = state.Diverged
		r.Interrupted = state.Step < until[i] && !state.Diverged
		if r.Diverged || state.Step == 0 {
			return nil
		}
		if r.Test, err = population.Evaluate(ctx, i, kernels.Test); err != nil {
			return err
		}
		// The last step may have been the one too far.
		if r.Diverged = !finite(r.Test.Loss); r.Diverged {
			r.Test = kernels.Score{}
			return nil
		}
		r.Model, err = r.model(variants[i].Program, state, data)
		return err
	})
	if err != nil {
		return nil, err
	}
	return results, nil
}

// Evaluate scores a trained network on the data's test images. The executor
// must have been opened with networks.Of. The data may have fewer classes than
// the network has outputs. It fails if m is not a chain of layers that package
// graph can build, and if the images are not of its size.
func Evaluate(ctx context.Context, exec kernels.Executor, networks *Networks, data *mnist.Dataset, m *model.Model) (kernels.Score, error) {
	network, err := networks.Build(m.Arch, m.Activation, m.Loss)
	if err != nil {
		return kernels.Score{}, err
	}
	// How the network was trained does not matter to its evaluation.
	variant := Spec{Recipe: Default()}.Variant(network.Program)
	set := Data(data)
	set.Classes = max(set.Classes, network.Program.Classes())
	population, err := exec.Prepare(set, []kernels.Variant{variant})
	if err != nil {
		return kernels.Score{}, err
	}
	defer population.Close()
	state := variant.InitialState()
	state.Params = state.Params[:0]
	for _, p := range m.Params {
		state.Params = append(state.Params, p.Data)
	}
	if err := population.Restore(0, state); err != nil {
		return kernels.Score{}, err
	}
	return population.Evaluate(ctx, 0, kernels.Test)
}

// Variant is the spec as executors take it, on the recipe's program.
func (s Spec) Variant(p *ir.Program) kernels.Variant {
	r := s.Recipe
	return kernels.Variant{
		Program:   p,
		Optimizer: r.optimizer(),
		Rate:      r.rate(),
		Batch:     r.Batch,
		Epochs:    r.Epochs,
		Init:      kernels.Init(r.Init),
		Seed:      s.Seed,
		OrderSeed: s.OrderSeed,
	}
}

// account is the recipe as a model file keeps it: with what else a repetition
// of the run must know.
type account struct {
	Recipe
	// OrderSeed is there if it is not the seed.
	OrderSeed *uint64 `json:"order_seed,omitempty"`
	// StoppedAt is the number of steps trained if the run was interrupted.
	StoppedAt int `json:"stopped_at,omitempty"`
}

// model is the network in the given state, with weights [out, in] and biases
// [out].
func (r *Result) model(p *ir.Program, state kernels.State, data *mnist.Dataset) (*model.Model, error) {
	a := account{Recipe: r.Spec.Recipe}
	if r.Spec.OrderSeed != r.Spec.Seed {
		a.OrderSeed = &r.Spec.OrderSeed
	}
	if r.Interrupted {
		a.StoppedAt = state.Step
	}
	recipe, err := json.Marshal(a)
	if err != nil {
		return nil, err
	}
	m := &model.Model{
		Arch:         a.Arch,
		Activation:   a.Activation,
		Loss:         a.Loss,
		ImageRows:    data.Train.Rows,
		ImageCols:    data.Train.Cols,
		Seed:         r.Spec.Seed,
		TestAccuracy: r.Test.Accuracy(),
		Recipe:       recipe,
	}
	for i, q := range p.Params {
		value := p.Value(q.Value)
		shape := []int{value.Shape.Rows, value.Shape.Cols}
		if q.Bias {
			shape = shape[1:]
		}
		m.Params = append(m.Params, model.Tensor{Name: value.Name, Shape: shape, Data: state.Params[i]})
	}
	return m, nil
}

func finite(x float64) bool { return !math.IsNaN(x) && !math.IsInf(x, 0) }

// Data is a data set as executors take it, not a copy.
func Data(data *mnist.Dataset) kernels.Data {
	split := func(s *mnist.Images) kernels.Examples {
		return kernels.Examples{Pixels: s.Pixels, Labels: s.Labels, Features: s.Features()}
	}
	return kernels.Data{Train: split(data.Train), Test: split(data.Test), Classes: data.Train.Classes}
}

// onAllCores calls do for 0 to n-1, on all cores at once, and returns the first
// of the errors. It goes on after an error: the rest is no less wanted.
func onAllCores(n int, do func(i int) error) error {
	errs := make([]error, n)
	var next atomic.Int64
	var workers sync.WaitGroup
	for range min(runtime.GOMAXPROCS(0), n) {
		workers.Go(func() {
			for i := int(next.Add(1)) - 1; i < n; i = int(next.Add(1)) - 1 {
				errs[i] = do(i)
			}
		})
	}
	workers.Wait()
	for i, err := range errs {
		if err != nil {
			return fmt.Errorf("evaluating network %d: %w", i, err)
		}
	}
	return nil
}
