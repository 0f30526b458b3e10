package train

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"math"
	"runtime"
	"slices"
	"time"

	"vanilla/dataset"
	"vanilla/graph"
	"vanilla/kernels"
	"vanilla/model"
)

// loop trains a population in rounds. In a round every network goes on to its
// next stop: its end or, where something is to be done on the way, the next end
// of an epoch or step of a snapshot.
type loop struct {
	options    Options
	data       *dataset.Dataset
	population kernels.Population
	variants   []variant
	validated  bool // there are held-out images
	exec       kernels.Executor
	arithmetic string   // the executor's
	mixed      []string // see saved
	history    *history // nil if none is kept

	seconds float64   // that training took before the current round
	started time.Time // the current round
	// pending are the records of the round. After an interruption in the middle of
	// a round they wait for the others', so that their order is always the same.
	pending []Record
}

// variant is one of the population, and how far its training is.
type variant struct {
	spec Spec
	kernels.Variant
	// perEpoch and total count steps.
	perEpoch, total int
	// stopping is false if nothing is to be done before the end, snapshots the
	// steps of snapshots but for those of all epochs.
	stopping  bool
	snapshots []int

	progress
	best [][]float32 // the parameters after the epoch Best, if the recipe has patience
}

// progress is where a network stands. Checkpoints keep it.
type progress struct {
	Step      int
	TrainLoss Loss // of the last completed epoch
	Diverged  bool
	// Best is the epoch with the highest accuracy on the held-out images, the
	// first one among equals, if the recipe has patience.
	Best *bestEpoch `json:",omitempty"`
}

type bestEpoch struct {
	Epoch, Step int
	Accuracy    float64
}

// newLoop checks everything, prepares the population, and begins or continues
// its history.
func newLoop(exec kernels.Executor, data *dataset.Dataset, specs []Spec, options Options) (*loop, error) {
	l := &loop{options: options, data: data, exec: exec, arithmetic: exec.Arithmetic(), variants: make([]variant, len(specs))}
	variants := make([]kernels.Variant, len(specs))
	var set kernels.Data
	var built graph.Cache
	err := fitMemory(specs)
	if err != nil {
		return nil, err
	}
	starts := map[int]kernels.State{} // of the networks that start from others' weights
	for i, s := range specs {
		if err := s.check(data); err != nil {
			return nil, err
		}
		r := &s.Recipe
		if i == 0 {
			set = HoldOut(data, r.Validation)
			l.validated = r.Validation > 0
		} else if first := specs[0].Recipe.Validation; r.Validation != first {
			return nil, wrong("validation", r.Validation, fmt.Sprintf(
				"the networks of a population are validated on the same images: want %v for network %d as for the first", first, i))
		}
		network := s.Network
		if network == nil {
			if network, err = r.Build(&built); err != nil {
				return nil, err
			}
		} else {
			r.Arch, r.Activation, r.Loss = "", "", ""
		}
		variants[i] = s.Variant(network)
		if s.From = s.From.of(network.Program.Classes()); s.From != nil {
			if starts[i], err = s.From.state(variants[i]); err != nil {
				return nil, err
			}
		}
		v := variant{spec: s, Variant: variants[i], perEpoch: variants[i].StepsPerEpoch(set.Train.Len())}
		v.total = v.perEpoch * r.Epochs
		v.TrainLoss = Loss(math.NaN())
		v.stopping = l.validated || options.History != ""
		if options.History != "" {
			for _, step := range options.Snapshots.Steps {
				if step < 0 || step > v.total {
					return nil, wrong("snapshots", step, fmt.Sprintf("training has steps 0 to %d", v.total))
				}
			}
			v.snapshots = options.Snapshots.within(v.total)
		}
		l.variants[i] = v
	}
	if l.population, err = exec.Prepare(set, variants); err != nil {
		return nil, err
	}
	for i, start := range starts {
		if err := l.population.Restore(i, start); err != nil {
			return nil, errors.Join(err, l.close())
		}
	}
	if options.History != "" {
		if err := l.openHistory(exec); err != nil {
			return nil, errors.Join(err, l.close())
		}
	}
	return l, nil
}

func (l *loop) close() error {
	err := l.population.Close()
	if l.history != nil {
		err = errors.Join(err, l.history.close())
	}
	return err
}

// epochs is how many every network has trained.
func (l *loop) epochs() int {
	least := math.MaxInt
	for i := range l.variants {
		least = min(least, l.variants[i].Step/l.variants[i].perEpoch)
	}
	return least
}

// done says whether the network is to be trained no further.
func (v *variant) done() bool {
	patience := v.spec.Recipe.Patience
	return v.Step >= v.total || v.Diverged ||
		v.Best != nil && v.Step/v.perEpoch-v.Best.Epoch >= patience
}

// round counts the network's stops up to where it stands, and nextStop is the
// step of the next one.
func (v *variant) round() (stops int) {
	if !v.stopping {
		return 0
	}
	stops = v.Step / v.perEpoch
	for _, step := range v.snapshots {
		if step > v.Step {
			break
		}
		if step%v.perEpoch != 0 {
			stops++
		}
	}
	return stops
}

func (v *variant) nextStop() int {
	if !v.stopping {
		return v.total
	}
	next := (v.Step/v.perEpoch + 1) * v.perEpoch
	if i, _ := slices.BinarySearch(v.snapshots, v.Step+1); i < len(v.snapshots) {
		next = min(next, v.snapshots[i])
	}
	return next
}

// next says up to which step each network is trained in the next round. Who was
// ahead when the last one was interrupted, waits.
func (l *loop) next() (until []int, more bool) {
	first := math.MaxInt
	for i := range l.variants {
		if v := &l.variants[i]; !v.done() {
			first, more = min(first, v.round()), true
		}
	}
	until = make([]int, len(l.variants))
	for i := range l.variants {
		v := &l.variants[i]
		until[i] = v.Step
		if !v.done() && v.round() == first {
			until[i] = v.nextStop()
		}
	}
	return until, more
}

// train trains all networks to their ends, or until ctx is done.
func (l *loop) train(ctx context.Context) error {
	for ctx.Err() == nil {
		until, more := l.next()
		if !more {
			return nil
		}
		known := len(l.pending)
		leg, end := l.leg(ctx, until)
		l.started = time.Now()
		err := l.population.Advance(leg, until, l.report)
		l.seconds += time.Since(l.started).Seconds()
		end()
		if err != nil && !(leg.Err() != nil && errors.Is(err, context.Cause(leg))) {
			return err
		}
		if err := l.finishRound(context.WithoutCancel(ctx), until, known, err != nil); err != nil {
			return err
		}
	}
	return l.checkpoint(true)
}

// report makes a record of an epoch. It is called while the networks train.
func (l *loop) report(r kernels.Report) {
	v := &l.variants[r.Variant]
	v.TrainLoss, v.Diverged = Loss(r.Loss), r.Diverged
	if r.Diverged {
		v.Step = r.Step
	}
	record := Record{
		Variant:   r.Variant,
		Arch:      v.spec.Recipe.Arch,
		Seed:      v.spec.Seed,
		OrderSeed: v.spec.OrderSeed,
		Epoch:     r.Epoch,
		Step:      r.Step,
		TrainLoss: v.TrainLoss,
		LR:        float64(v.Variant.Schedule.At(r.Step-1, v.perEpoch, v.Variant.Epochs)),
		Seconds:   l.seconds + time.Since(l.started).Seconds(),
		Diverged:  r.Diverged,
	}
	if v.stopping {
		l.pending = append(l.pending, record)
	} else {
		l.observe(record)
	}
}

func (l *loop) observe(r Record) {
	if l.options.Observe != nil {
		l.options.Observe(r)
	}
}

// finishRound does what is to be done between two rounds. Of the pending
// records the first ones are known from before the round.
func (l *loop) finishRound(ctx context.Context, until []int, known int, interrupted bool) error {
	complete := true
	var arrived []int
	for i := range l.variants {
		v := &l.variants[i]
		before := v.Step
		switch {
		case v.Diverged:
			continue
		case interrupted:
			state, err := l.population.State(i)
			if err != nil {
				return err
			}
			v.Step = state.Step
		default:
			v.Step = until[i]
		}
		if v.Step < until[i] {
			complete = false
		} else if v.Step > before {
			arrived = append(arrived, i)
		}
	}
	if l.validated {
		err := each(l.exec.Width(), len(l.pending)-known, func(i int) error { return l.validate(ctx, &l.pending[known+i]) })
		if err != nil {
			return err
		}
	}
	if err := l.snapshot(ctx, arrived); err != nil {
		return err
	}
	if complete {
		if err := l.publish(); err != nil {
			return err
		}
	}
	_, more := l.next()
	return l.checkpoint(!more)
}

// validate completes a record, and keeps the parameters if none were better.
// Patience begins anew only where the accuracy rises.
func (l *loop) validate(ctx context.Context, r *Record) error {
	if r.Diverged {
		return nil
	}
	score, err := l.population.Evaluate(ctx, r.Variant, kernels.Validation)
	if err != nil {
		return fmt.Errorf("evaluating network %d: %w", r.Variant, err)
	}
	r.Validation = &Validation{Loss: Loss(score.Loss), Accuracy: score.Accuracy()}
	v := &l.variants[r.Variant]
	if v.spec.Recipe.Patience == 0 || v.Best != nil && score.Accuracy() <= v.Best.Accuracy {
		return nil
	}
	state, err := l.population.State(r.Variant)
	v.Best, v.best = &bestEpoch{r.Epoch, r.Step, score.Accuracy()}, state.Params
	return err
}

// publish shows the records of a complete round and adds them to the history.
func (l *loop) publish() error {
	slices.SortFunc(l.pending, func(a, b Record) int { return cmp.Compare(a.Variant, b.Variant) })
	for _, r := range l.pending {
		if l.history != nil {
			if err := l.history.add(r); err != nil {
				return err
			}
		}
		l.observe(r)
	}
	l.pending = l.pending[:0]
	return nil
}

// snapshot writes the networks among the given ones that are at the step of a
// snapshot.
func (l *loop) snapshot(ctx context.Context, variants []int) error {
	if l.history == nil {
		return nil
	}
	variants = slices.DeleteFunc(variants, func(i int) bool { return !l.hasSnapshot(&l.variants[i], l.variants[i].Step) })
	accuracies := make([]float64, len(variants))
	err := each(l.exec.Width(), len(variants), func(k int) error {
		score, err := l.population.Evaluate(ctx, variants[k], kernels.Test)
		if err != nil {
			return fmt.Errorf("evaluating network %d: %w", variants[k], err)
		}
		accuracies[k] = score.Accuracy()
		return nil
	})
	if err != nil {
		return err
	}
	return each(runtime.GOMAXPROCS(0), len(variants), func(k int) error {
		i := variants[k]
		v := &l.variants[i]
		state, err := l.population.State(i)
		if err != nil {
			return err
		}
		trained, err := l.model(v, state.Params, v.Step, accuracies[k])
		if err != nil {
			return err
		}
		return l.history.write(l.snapshotFile(i, v.Step), trained)
	})
}

// hasSnapshot says whether a network is kept as it is after a step.
func (l *loop) hasSnapshot(v *variant, step int) bool {
	_, wanted := slices.BinarySearch(v.snapshots, step)
	return wanted || l.options.Snapshots.Epochs && step%v.perEpoch == 0
}

// snapshotFile is the name of network i's snapshot in the history's directory.
func (l *loop) snapshotFile(i, step int) string {
	dir := snapshotsDir
	if len(l.variants) > 1 {
		dir += fmt.Sprintf("/network-%05d", i)
	}
	return fmt.Sprintf("%s/step-%09d.safetensors", dir, step)
}

// checkSnapshots fails if a snapshot that network i has written is damaged: it
// would not be written again. One that is not there was taken away by somebody.
func (l *loop) checkSnapshots(v *variant, i int) error {
	for step := 0; step <= v.Step; step++ {
		if !l.hasSnapshot(v, step) {
			continue
		}
		path := l.history.dir.Path(l.snapshotFile(i, step))
		if _, err := model.Read(path); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return fmt.Errorf("%w: the run does not come by there again: remove the file to go on without it", err)
		}
	}
	return nil
}
