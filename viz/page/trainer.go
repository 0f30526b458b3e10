package page

import (
	"context"
	"errors"
	"fmt"
	"math"
	"sync"
	"time"

	"vanilla/dataset"
	"vanilla/kernels"
	"vanilla/model"
	"vanilla/train"
)

// Trainer is what a server trains networks with.
type Trainer struct {
	Executor kernels.Executor
	Data     *dataset.Dataset
	Version  string // of the program, for model files
}

// How a run is watched. Looks are as often as movement needs to be seen; evaluations take at most a fortieth of the time.
const (
	lookEvery       = 120 * time.Millisecond
	evaluationShare = 40
)

// What may be trained at once, so that nobody takes the machine's memory by a request.
const (
	maxNetworks   = 8
	maxParameters = 8_000_000
	maxActive     = 64_000_000 // values of all layers for a batch
)

// status is what a run is doing.
type status string

const (
	idle    status = "idle" // there is no run
	running status = "running"
	paused  status = "paused"
	ended   status = "ended" // trained to the end, or stopped
	failed  status = "failed"
)

// busyError says that somebody's networks are being trained.
type busyError struct{}

func (busyError) Error() string {
	return "networks are being trained already: stop them first, or wait"
}

// trainer trains one population at a time, and tells who listens how it goes.
type trainer struct {
	Trainer
	// abandoned is how long a run goes on that nobody listens to.
	abandoned time.Duration

	mu        sync.Mutex
	changed   chan struct{} // closed, and replaced, when what follows changes
	run       *run          // nil before the first one
	runs      int
	listeners int
	leaving   *time.Timer // ends a run that is abandoned
}

// run is one population's training. The trainer's mutex guards it.
type run struct {
	number   int
	stop     context.CancelFunc
	done     chan struct{}
	status   status
	problem  string // why it failed
	steps    int    // to be done although it is paused
	wake     chan struct{}
	looks    int // so many were published
	variants []variant
}

// variant is one network of a run.
type variant struct {
	spec             train.Spec
	step, total      int
	perEpoch         int
	diverged         bool
	losses           []point // mean of each epoch
	accuracies       []point // on the test images
	accuracy         float64 // the last that was measured
	params           [][]float32
	model            *model.Model // nil while it is trained
	evaluated        time.Time
	evaluationTime   time.Duration
	evaluatedAtSteps int
}

// point is of a curve: epochs, and what was measured after them.
type point [2]float64

// curvePoints is how many points a curve has before they move apart.
const curvePoints = 500

// extend adds a point to a curve, unless it is so near to the last one that nobody would see it.
func extend(curve []point, epochs, value float64) []point {
	if n := len(curve); n > 0 && epochs-curve[n-1][0] < epochs/curvePoints {
		return curve
	}
	return append(curve, point{epochs, value})
}

func newTrainer(t Trainer) *trainer {
	return &trainer{Trainer: t, abandoned: 30 * time.Second, changed: make(chan struct{})}
}

// tell wakes all who wait for a change. The mutex must be held.
func (t *trainer) tell() {
	close(t.changed)
	t.changed = make(chan struct{})
}

// check reports the first thing that cannot be trained here.
func (t *trainer) check(specs []train.Spec) error {
	if len(specs) == 0 || len(specs) > maxNetworks {
		return fmt.Errorf("expected 1 to %d networks, found %d", maxNetworks, len(specs))
	}
	parameters, active := 0., 0.
	for i, s := range specs {
		err := s.Recipe.Check()
		if err == nil {
			err = s.Recipe.Fits(t.Data)
		}
		if err == nil && s.Recipe.Validation != specs[0].Recipe.Validation {
			err = &train.SettingError{Field: "validation", Value: s.Recipe.Validation, Problem: "networks that are trained together hold out the same images"}
		}
		if err != nil {
			return fmt.Errorf("network %d: %w", i+1, err)
		}
		widths, err := model.Widths(s.Recipe.Arch)
		if err != nil {
			return err
		}
		for k := 1; k < len(widths); k++ {
			parameters += float64(widths[k]) * float64(widths[k-1]+1)
			active += float64(widths[k]) * float64(s.Recipe.Batch)
		}
	}
	if parameters > maxParameters || active > maxActive {
		return fmt.Errorf("expected networks of at most %d parameters, and %d values for a batch, together; found %.0f and %.0f: vanilla train has no such limits", maxParameters, maxActive, parameters, active)
	}
	return nil
}

// start begins to train, or stands still before the first step. It fails with a busyError while a run goes on.
func (t *trainer) start(ctx context.Context, specs []train.Spec, still bool) error {
	if err := t.check(specs); err != nil {
		return err
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.busy() {
		return busyError{}
	}
	ctx, cancel := context.WithCancel(ctx)
	t.runs++
	r := &run{number: t.runs, stop: cancel, done: make(chan struct{}), status: running, wake: make(chan struct{}, 1), variants: make([]variant, len(specs))}
	if still {
		r.status = paused
	}
	for i, s := range specs {
		r.variants[i].spec = s
	}
	t.run = r
	t.watchLeaving()
	t.tell()
	go func() {
		defer close(r.done)
		defer cancel()
		results, err := train.Run(ctx, t.Executor, t.Data, specs, train.Options{
			Version: t.Version,
			Watch:   func(v train.View) train.Pace { return t.look(r, v) },
			Observe: func(record train.Record) { t.observe(r, record) },
		})
		t.finish(r, results, err)
	}()
	return nil
}

// busy says whether a run goes on. The mutex must be held.
func (t *trainer) busy() bool {
	return t.run != nil && (t.run.status == running || t.run.status == paused)
}

// observe notes an epoch's loss. It is called while the networks train.
func (t *trainer) observe(r *run, record train.Record) {
	t.mu.Lock()
	defer t.mu.Unlock()
	m := &r.variants[record.Variant]
	if loss := float64(record.TrainLoss); !record.Diverged && !math.IsNaN(loss) && !math.IsInf(loss, 0) {
		m.losses = extend(m.losses, float64(record.Epoch), loss)
	}
}

// look notes how the networks stand, waits if the run is paused, and says when to look again.
func (t *trainer) look(r *run, v train.View) train.Pace {
	t.note(r, v)
	for {
		t.mu.Lock()
		status, steps := r.status, r.steps
		r.steps = 0
		t.mu.Unlock()
		switch {
		case status != paused:
			return train.Pace{Time: lookEvery}
		case steps > 0:
			return train.Pace{Steps: steps}
		}
		select {
		case <-v.Done():
			return train.Pace{}
		case <-r.wake:
		}
	}
}

// note copies what is seen of a run. Test accuracies take time, so there are fewer of them than looks.
func (t *trainer) note(r *run, v train.View) {
	t.mu.Lock()
	still := r.status == paused
	t.mu.Unlock()
	for i := range r.variants {
		m := &r.variants[i] // whose own fields only this goroutine changes
		step, total, perEpoch := v.Step(i)
		params, err := v.Params(i)
		if err != nil {
			continue // the run fails of it
		}
		var accuracy *float64
		if now := time.Now(); still && m.evaluatedAtSteps != step || m.evaluated.IsZero() || now.Sub(m.evaluated) > evaluationShare*m.evaluationTime*time.Duration(len(r.variants)) {
			if score, err := v.Test(i); err == nil {
				a := score.Accuracy()
				accuracy = &a
				m.evaluated, m.evaluatedAtSteps = time.Now(), step
				// The first one prepares what the others need not, and any may wait for a core.
				if took := time.Since(now); m.evaluationTime == 0 || took < m.evaluationTime {
					m.evaluationTime = took
				}
			}
		}
		t.mu.Lock()
		m.step, m.total, m.perEpoch, m.diverged, m.params = step, total, perEpoch, v.Diverged(i), params
		if accuracy != nil {
			m.accuracies = extend(m.accuracies, float64(step)/float64(perEpoch), *accuracy)
		}
		m.model = nil
		if accuracy != nil {
			m.accuracy = *accuracy
		}
		if still && m.evaluatedAtSteps == step && !m.diverged {
			// Errors are those of recipes that JSON cannot hold: there are none.
			m.model, _ = v.Model(i, params, m.accuracy)
		}
		t.mu.Unlock()
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	r.looks++
	t.tell()
}

// finish notes what came of a run.
func (t *trainer) finish(r *run, results []train.Result, err error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	defer t.tell()
	r.looks++
	if err != nil {
		r.status, r.problem = failed, err.Error()
		return
	}
	r.status = ended
	for i, result := range results {
		m := &r.variants[i]
		m.diverged = result.Diverged
		if m.model = result.Model; m.model == nil {
			continue
		}
		m.params = nil
		for _, p := range m.model.Params {
			m.params = append(m.params, p.Data)
		}
		if m.perEpoch > 0 {
			m.step = int(math.Round(result.EpochsTrained * float64(m.perEpoch)))
		}
		m.accuracy = result.Test.Accuracy()
		m.accuracies = append(m.accuracies, point{result.EpochsTrained, m.accuracy})
	}
}

// errNoRun says that there is nothing to act on.
var errNoRun = errors.New("nothing is being trained")

// pause makes the run stand still, step lets it do so many steps while it does, and resume lets it go on.
func (t *trainer) pause() error         { return t.set(paused, 0) }
func (t *trainer) step(steps int) error { return t.set(paused, steps) }
func (t *trainer) resume() error        { return t.set(running, 0) }

func (t *trainer) set(s status, steps int) error {
	t.mu.Lock()
	defer t.mu.Unlock()
	if !t.busy() {
		return errNoRun
	}
	t.run.status, t.run.steps = s, t.run.steps+steps
	select {
	case t.run.wake <- struct{}{}:
	default:
	}
	t.tell()
	return nil
}

// stop ends the run, whose networks are kept as they are, and waits for it.
func (t *trainer) stop() error {
	t.mu.Lock()
	r := t.run
	busy := t.busy()
	t.mu.Unlock()
	if r == nil || !busy {
		return errNoRun
	}
	r.stop()
	<-r.done
	return nil
}

// close ends the run, if there is one.
func (t *trainer) close() {
	t.stop() // which fails if there is none
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.leaving != nil {
		t.leaving.Stop()
	}
}

// listen counts somebody who follows the run, until leave is called.
func (t *trainer) listen() (leave func()) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.listeners++
	t.watchLeaving()
	return func() {
		t.mu.Lock()
		defer t.mu.Unlock()
		t.listeners--
		t.watchLeaving()
	}
}

// watchLeaving ends a run that nobody has followed for a while: whoever began it has closed the page. The mutex must be
// held.
func (t *trainer) watchLeaving() {
	if t.leaving != nil {
		t.leaving.Stop()
		t.leaving = nil
	}
	if t.listeners > 0 || !t.busy() {
		return
	}
	r := t.run
	t.leaving = time.AfterFunc(t.abandoned, r.stop)
}
