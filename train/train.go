// Package train is the training loop: it turns recipes and data into trained
// and evaluated networks, on whichever executor it is given.
//
// A study goes from recipes to results:
//
//	data, err := mnist.Embedded()
//	recipe := train.Default()
//	recipe.Arch = "784-32-10"
//	specs := []train.Spec{{Recipe: recipe, Seed: 1}, {Recipe: recipe, Seed: 2}}
//	results, err := train.Run(ctx, cpu.New(), data, specs, train.Options{})
//	fmt.Println(results[0].Test.Accuracy())
//	err = results[0].Model.Write("first.safetensors")
//
// A run is a pure function of its specs, its data and the executor: the same
// bits come out on any number of cores, in one piece or in many (see
// Options.Resume), alone or in a population.
package train

import (
	"context"
	"encoding/json"
	"fmt"
	"math"
	"runtime"
	"sync"
	"sync/atomic"
	"time"

	"vanilla/dataset"
	"vanilla/graph"
	"vanilla/graph/ir"
	"vanilla/infer/quality"
	"vanilla/kernels"
	"vanilla/model"
)

// Spec is one network to train.
type Spec struct {
	Recipe Recipe
	// Seed determines the initial weights, OrderSeed the order of examples.
	Seed, OrderSeed uint64
	// From, if not nil, is whose weights training starts from. Seed then only
	// determines what they do not.
	From *Start `json:",omitempty"`
	// Network, if not nil, is what to train in place of a chain of layers: any
	// graph that [graph.Lower] accepts. The recipe's Arch, Activation and Loss are
	// not used then, and empty in what comes of the run.
	Network *graph.Network `json:"-"`
}

// Options are what a run does besides training. The zero value is nothing.
type Options struct {
	// Start, if not nil, is called when all has been checked and prepared, with
	// the number of epochs that every network has trained: 0 but for a run that
	// is resumed.
	Start func(epochs int)
	// Observe, if not nil, gets the record of each epoch. Calls do not overlap.
	Observe func(Record)
	// Watch, if not nil, is called before the first step and then whenever the time
	// or the steps have passed that it asked for; the networks stand still meanwhile.
	// The results are the same bits, whatever its pace.
	Watch func(View) Pace
	// Version is that of the program, for model files and checkpoints.
	Version string

	// History, if not empty, is the directory that keeps the run's course. It is
	// made if need be, and belongs to one run:
	//
	//	history.jsonl           a Record of each epoch of each network
	//	checkpoint.safetensors  all that the run needs to go on from there
	//	snapshots/step-000000020.safetensors
	//	                        the network after 20 steps, for the steps that
	//	                        Snapshots names; in a population of several,
	//	                        snapshots/network-00003/…
	//	lock                    locked while a process works on the run
	//
	// Epochs then end together: no network begins its next one before all have
	// ended theirs. The same holds for runs with held-out images.
	History   string
	Snapshots Snapshots
	// CheckpointEvery is the least time between two checkpoints. They are written
	// at the end of an epoch, and take no more than a twentieth of the time,
	// whatever they cost. With 0 there is one at the end of each epoch. There is
	// always one at the end, and after an interruption.
	CheckpointEvery time.Duration
	// Resume makes the run that History holds go on from its checkpoint. The end
	// is bit for bit that of a run that was never stopped, whenever and however
	// it was stopped. Run fails with a *SettingError if it is a run of other
	// specs, data, snapshots or version, or of an executor whose results have other
	// bits, and says which. If History
	// holds no run yet, one begins.
	Resume bool
	// AllowMixed lets a run be resumed on an executor whose results have other
	// bits than those of the one it was begun on. The end is then neither's, and
	// Result.Mixed and the model file say so.
	AllowMixed bool
	// Settings are kept with the run's checkpoint, for whoever resumes it: see
	// [ReadSettings].
	Settings map[string]string
}

// Result is what came of one Spec.
type Result struct {
	Spec       Spec
	Parameters int
	// Model is the network as training left it or, if its recipe has patience, as
	// it was after its best epoch. It is nil if the network diverged, or was
	// interrupted before its first step.
	Model *model.Model
	// TrainLoss is the mean over the images of the last completed epoch, each
	// measured in the batch that trained it. It is not finite if the network diverged, and NaN if no
	// epoch was completed.
	TrainLoss float64
	// Test is the score on the test images where there is a Model, Validation
	// that on the held-out images where there are any.
	Test, Validation kernels.Score
	// Epochs are the completed ones. EpochsTrained counts the part of an epoch
	// too that an interruption or a divergence left.
	Epochs        int
	EpochsTrained float64
	// BestEpoch is the one that Model is of if the recipe has patience, and
	// otherwise 0.
	BestEpoch int
	// Diverged networks were stopped because their loss was no longer finite, or ended
	// with parameters that are not.
	Diverged bool
	// Mixed are the arithmetics in which the run was resumed, other than the one
	// in which it was begun, see Options.AllowMixed.
	Mixed []string
	// Hidden are the hidden layers' activations with their dead units, on the test
	// images; Stuck says how a network that was trained to its end has not learned.
	Hidden []quality.Layer
	Stuck  []Stuck
	// Interrupted networks were stopped because the context was done.
	Interrupted bool
	// Seconds is the time that training took, the whole population's, before it
	// was resumed too. Evaluation is not in it.
	Seconds float64
}

// Run trains a population, evaluates it on the test images, and returns one
// Result for each Spec. All recipes must hold out the same fraction of the training
// images.
//
// When ctx is done, training stops after the current step and what has been
// trained is evaluated and returned. Run fails with a *SettingError if a recipe
// cannot be or does not fit the data, and if the executor fails or the history
// cannot be written.
func Run(ctx context.Context, exec kernels.Executor, data *dataset.Dataset, specs []Spec, options Options) ([]Result, error) {
	if len(specs) == 0 {
		return nil, nil
	}
	l, err := newLoop(exec, data, specs, options)
	if err != nil {
		return nil, err
	}
	defer l.close()
	if options.Start != nil {
		options.Start(l.epochs())
	}
	if err := l.train(ctx); err != nil {
		return nil, err
	}
	// Evaluation goes on after an interruption: it is what keeps the work.
	return l.results(context.WithoutCancel(ctx))
}

// check reports the first thing about the spec that cannot be, or does not fit
// the data.
func (s Spec) check(data *dataset.Dataset) error {
	if s.Network == nil {
		if err := s.Recipe.Check(); err != nil {
			return err
		}
		return s.Recipe.Fits(data)
	}
	if err := s.Recipe.checkTraining(); err != nil {
		return err
	}
	return s.Recipe.trainingFits(extentOf(data.Train))
}

// Variant is the spec as executors take it. The source is the spec's own network
// or the recipe's, see [Recipe.Build].
func (s Spec) Variant(source kernels.Source) kernels.Variant {
	r := s.Recipe
	return kernels.Variant{
		Source:     source,
		Optimizer:  r.optimizer(),
		Schedule:   r.schedule(),
		Batch:      r.Batch,
		Epochs:     r.Epochs,
		Init:       kernels.Init(r.Init),
		Augment:    r.augment(),
		NoiseShare: r.NoiseShare,
		Seed:       s.Seed,
		OrderSeed:  s.OrderSeed,
	}
}

// account is the recipe as a model file keeps it: with what else a repetition
// of the run must know.
type account struct {
	Recipe
	// OrderSeed is there if it is not the seed.
	OrderSeed *uint64 `json:"order_seed,omitempty"`
	// From is whose weights training started from, if not from random ones.
	From *Start `json:"from,omitempty"`
	// StoppedAt is the number of steps after which the parameters are these, if
	// the run was to have more.
	StoppedAt *int `json:"stopped_at,omitempty"`
	// Precision is there if it is not the default: kernels.Precision.
	Precision string `json:"precision,omitempty"`
	// Mixed are the arithmetics in which the run was gone on with after it was
	// begun in another: no repetition comes to these parameters.
	Mixed []string `json:"mixed_arithmetic,omitempty"`
}

// model is the network as it is after so many steps, see [Spec.Model].
func (l *loop) model(v *variant, params [][]float32, step int, accuracy float64) (*model.Model, error) {
	a := account{Recipe: v.spec.Recipe, Precision: otherPrecision(l.arithmetic), Mixed: l.mixed}
	if step != v.total {
		a.StoppedAt = &step
	}
	return v.spec.model(a, v.Variant.Program(), params, accuracy, l.data.Train, l.options.Version)
}

// otherPrecision is an arithmetic's precision, "" for the default.
func otherPrecision(arithmetic string) string {
	if p := kernels.Precision(arithmetic); p != kernels.DefaultPrecision {
		return p
	}
	return ""
}

// Model is the trained network of a spec with its program's parameters, weights
// [out, in] and biases [out], in the arithmetic of its executor, and its accuracy on
// the test images.
func (s *Spec) Model(p *ir.Program, params [][]float32, arithmetic string, accuracy float64, images *dataset.Images, version string) (*model.Model, error) {
	return s.model(account{Recipe: s.Recipe, Precision: otherPrecision(arithmetic)}, p, params, accuracy, images, version)
}

func (s *Spec) model(a account, p *ir.Program, params [][]float32, accuracy float64, images *dataset.Images, version string) (*model.Model, error) {
	a.From = s.From
	if s.OrderSeed != s.Seed {
		a.OrderSeed = &s.OrderSeed
	}
	recipe, err := json.Marshal(a)
	if err != nil {
		return nil, err
	}
	arch, err := a.arch()
	chain := s.Network == nil && err == nil && arch.Chain()
	trained := &model.Model{
		Arch:         model.JoinArch(arch.Widths, arch.OwnActivations()),
		Activation:   a.Activation,
		Loss:         a.Loss,
		ImageRows:    images.Rows,
		ImageCols:    images.Cols,
		Classes:      images.Names,
		Seed:         s.Seed,
		TestAccuracy: accuracy,
		Recipe:       recipe,
		Version:      version,
	}
	if images.Prepared != (dataset.Preparation{}) {
		if trained.Data, err = json.Marshal(images.Prepared); err != nil {
			return nil, err
		}
	}
	if !chain {
		trained.Arch, trained.Program = "", p.String()
	}
	for i, q := range p.Params {
		value := p.Value(q.Value)
		shape := value.Shape.At(0)
		if q.Bias && len(shape) == 2 { // a row
			shape = shape[1:]
		}
		trained.Params = append(trained.Params, model.Tensor{Name: value.Name, Shape: shape, Data: params[i]})
	}
	return trained, nil
}

// results evaluates the networks as they stand.
func (l *loop) results(ctx context.Context) ([]Result, error) {
	results := make([]Result, len(l.variants))
	err := each(l.exec.Width(), len(results), func(i int) (err error) {
		if results[i], err = l.result(ctx, i); err != nil {
			err = fmt.Errorf("evaluating network %d: %w", i, err)
		}
		return err
	})
	if err != nil {
		return nil, err
	}
	return results, each(runtime.GOMAXPROCS(0), len(results), func(i int) error {
		l.diagnose(ctx, &results[i], l.variants[i].Variant)
		return nil
	})
}

// diagnose says how a network is stuck. A network that cannot be looked into has no
// hidden layers, and its result is no less good.
func (l *loop) diagnose(ctx context.Context, r *Result, v kernels.Variant) {
	if r.Model == nil || r.Interrupted || r.Epochs == 0 {
		return
	}
	test := l.data.Test
	r.Stuck = ChanceOf(test.Labels, test.Classes, r.Spec.Recipe, r.Spec.Network != nil).Of(r.Test)
	var params [][]float32
	for _, p := range r.Model.Params {
		params = append(params, p.Data)
	}
	if layers, err := HiddenOf(ctx, l.exec, v, params, test.Pixels); err == nil {
		r.Hidden = layers
		r.Stuck = append(r.Stuck, StuckUnits(layers)...)
	}
}

func (l *loop) result(ctx context.Context, i int) (Result, error) {
	v := &l.variants[i]
	r := Result{
		Spec:          v.spec,
		Parameters:    v.Variant.Program().Parameters(),
		TrainLoss:     float64(v.TrainLoss),
		Epochs:        v.Step / v.perEpoch,
		EpochsTrained: float64(v.Step) / float64(v.perEpoch),
		Diverged:      v.Diverged,
		Interrupted:   !v.done(),
		Seconds:       l.seconds,
		Mixed:         l.mixed,
	}
	if r.Epochs == 0 && !r.Diverged {
		r.TrainLoss = math.NaN()
	}
	if r.Diverged || v.Step == 0 {
		return r, nil
	}
	state, err := l.population.State(i)
	if err != nil {
		return r, err
	}
	if v.best != nil {
		r.BestEpoch = v.Best.Epoch
		state.Step, state.Params = v.Best.Step, v.best
		if err := l.population.Restore(i, state); err != nil {
			return r, err
		}
	}
	if r.Test, err = l.population.Evaluate(ctx, i, kernels.Test); err != nil {
		return r, err
	}
	// The last step may have been the one too far. Weights of pixels that are always zero
	// reach no output, whatever they are.
	if r.Diverged = !finite(r.Test.Loss) || !state.Finite(); r.Diverged {
		r.Test, r.Interrupted = kernels.Score{}, false
		return r, nil
	}
	if l.validated {
		if r.Validation, err = l.population.Evaluate(ctx, i, kernels.Validation); err != nil {
			return r, err
		}
	}
	r.Model, err = l.model(v, state.Params, state.Step, r.Test.Accuracy())
	return r, err
}

// each calls do for 0 to n-1, so many at a time, and returns the first of the errors. It
// goes on after an error: the rest is no less wanted.
func each(atATime, n int, do func(i int) error) error {
	errs := make([]error, n)
	var next atomic.Int64
	var workers sync.WaitGroup
	for range min(atATime, n) {
		workers.Go(func() {
			for i := int(next.Add(1)) - 1; i < n; i = int(next.Add(1)) - 1 {
				errs[i] = do(i)
			}
		})
	}
	workers.Wait()
	for _, err := range errs {
		if err != nil {
			return err
		}
	}
	return nil
}
