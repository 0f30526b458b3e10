package sweep

import (
	"context"
	"errors"
	"fmt"
	"os"
	"runtime"
	"slices"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"

	"vanilla/dataset"
	"vanilla/graph"
	"vanilla/internal/claim"
	"vanilla/internal/store"
	"vanilla/kernels"
	"vanilla/model"
	"vanilla/train"
)

// Options are how a sweep is run. Results do not depend on them, but that a
// shard has only its part.
type Options struct {
	Version, Revision string // of the program
	Shard             Shard
	// Resume goes on with the sweep that the directory holds, or begins one.
	Resume bool
	// DataPath and DataSettings are kept in the header.
	DataPath     string
	DataSettings map[string]string
	// Repair drops what is damaged, or what is missing, and trains it again. Told,
	// if not nil, is called with what that is.
	Repair bool
	Told   func(Repairs)
	// AllowMixed lets a sweep be resumed on an executor whose results have other
	// bits than those of the one it was begun on: what the directory then holds is
	// neither's, see [Directory.Arithmetics].
	AllowMixed bool
	// CheckpointEvery is after how long variants that are still in training are
	// kept, and so what a killed process loses at most: 0 for 20 seconds.
	CheckpointEvery time.Duration
	// Memory is about how many bytes the networks in training take at once: 0 for
	// one GiB. There is always one for each core.
	Memory int64
	// Observe, if not nil, gets each record once it is on the disk. Progress, if
	// not nil, is told how far the sweep is, every half second or so and at the
	// end. Neither is called while it runs, but both may be at the same time.
	Observe  func(Record)
	Progress func(Progress)
}

// Progress is how far a sweep is.
type Progress struct {
	Counts
	// NetworkEpochs are those that this process has trained, Seconds for how long
	// it has. The rate is the one over the other.
	NetworkEpochs int
	Seconds       float64
	// Left is an estimate of the seconds to the end, NaN before there is one.
	Left float64
	// Best are the best variants so far, best first, by the accuracy on the
	// held-out images after the last rung that they reached: those that came
	// furthest first.
	Best []Record
}

// leaders is how many of the best a Progress shows.
const leaders = 5

// The defaults of Options.
const (
	defaultCheckpoint = 20 * time.Second
	defaultMemory     = 1 << 30
)

// progressEvery is the time from Progress to Progress.
const progressEvery = 500 * time.Millisecond

// sweeper trains a plan. It goes in waves: a population of variants that are
// ready is prepared, set to where they stand, trained until all have reached
// their next rung or it is time for a checkpoint, scored, and closed. What is
// to be trained next is a function of the records alone; how waves are cut is
// not, and changes no result.
type sweeper struct {
	options  Options
	exec     kernels.Executor
	networks graph.Cache
	// arithmetic is the header's, in which the sweep was begun.
	arithmetic string
	images     *dataset.Images
	data       kernels.Data
	plan       *Plan
	board      *board
	journal    *journal
	states     map[key]saved

	width int     // how many variants a wave has
	spent float64 // seconds of training before this process
	began time.Time

	epochs    int     // network-epochs trained
	flops     float64 // that they took
	counts    Counts
	best      []Record
	left      float64 // flops to the end from refreshed, which counts as flops does
	refreshed float64
	shownAt   time.Time
}

// Run trains what is left of a plan in the directory dir, which is made if need
// be, and returns what the directory then holds.
//
// When ctx is done, the variants in training are kept where they stand, and Run
// returns ctx's cause beside the directory. It fails with a *train.SettingError
// if the spec cannot be, or if the directory holds another sweep, and then says
// in what it differs.
func Run(ctx context.Context, exec kernels.Executor, data *dataset.Dataset, dir string, spec Spec, options Options) (d *Directory, err error) {
	plan, err := NewPlan(ctx, spec, train.FingerprintOf(data))
	if err != nil {
		return nil, err
	}
	if err := options.Shard.check(plan); err != nil {
		return nil, err
	}
	if err := plan.fitsTraining(plan.Points); err != nil {
		return nil, err
	}
	header := Header{Version: options.Version, Executor: exec.Name(), Arithmetic: exec.Arithmetic(), DataName: data.Name, DataPath: options.DataPath, DataSettings: options.DataSettings, Data: plan.Data, Shard: options.Shard, Spec: spec}
	own, err := claim.Directory("out", dir, store.Sweep)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, own.Close()) }()
	if d, err = begin(ctx, own, dir, header, plan, options); err != nil {
		return nil, err
	}
	if err := note(own, dir, exec, options); err != nil {
		return nil, err
	}
	s := &sweeper{options: options, exec: exec, images: data.Train, plan: plan, board: d.board, arithmetic: d.Arithmetic, width: max(firstWidth, exec.Width())}
	if s.options.CheckpointEvery == 0 {
		s.options.CheckpointEvery = defaultCheckpoint
	}
	if s.options.Memory == 0 {
		s.options.Memory = defaultMemory
	}
	for _, r := range d.Records {
		s.spent = max(s.spent, r.Seconds)
	}
	if s.journal, s.states, err = openJournal(own, d.size, options.Observe); err != nil {
		return nil, err
	}
	s.data = train.HoldOut(data, spec.Recipe.Validation)
	trainingErr := s.run(ctx)
	if err := s.journal.close(); err != nil {
		return nil, err
	}
	if trainingErr != nil && ctx.Err() == nil {
		return nil, trainingErr
	}
	if d, err = openPlanned(context.WithoutCancel(ctx), dir, plan); err != nil {
		return nil, err
	}
	return d, trainingErr
}

// begin writes the header, or compares it with that of the sweep that is there,
// and opens the directory, whose plan is known.
func begin(ctx context.Context, own *store.Dir, dir string, header Header, plan *Plan, options Options) (*Directory, error) {
	exists := func(name string) bool {
		_, err := os.Stat(own.Path(name))
		return err == nil
	}
	if !exists(specFile) {
		if info, err := os.Stat(own.Path(recordsFile)); err == nil && info.Size() > 0 {
			return nil, &train.SettingError{Field: "out", Value: dir, Problem: fmt.Sprintf("found %s, but no %s: want another directory", recordsFile, specFile)}
		}
		if err := writeHeader(own, header); err != nil {
			return nil, err
		}
		return openPlanned(ctx, dir, plan)
	}
	if exists(compressedFile) {
		return nil, &train.SettingError{Field: "out", Value: dir, Problem: "holds a sweep that has ended, its records compressed: want another directory"}
	}
	if !options.Resume {
		return nil, &train.SettingError{Field: "out", Value: dir, Problem: "holds a sweep: want \"resume\" to go on with it, or another directory"}
	}
	was, err := ReadHeader(dir)
	if errors.Is(err, store.ErrDamaged) && options.Repair {
		was, err = header, nil // what the records say must fit it
		if err := writeHeader(own, header); err != nil {
			return nil, err
		}
	}
	if err != nil {
		return nil, withRepair(err)
	}
	if differences := header.Differences(&was); differences != "" {
		return nil, &train.SettingError{Field: "resume", Value: dir, Problem: "holds another sweep: " + differences}
	}
	if different := header.DifferentArithmetic(&was); different != "" && !options.AllowMixed {
		return nil, &train.SettingError{Field: "resume", Value: dir, Problem: "holds a sweep that would end in other bytes here: " + different +
			": \"allow_mixed\" goes on with it nevertheless"}
	}
	if err := own.RemoveUnfinished(specFile, recordsFile, environmentFile); err != nil {
		return nil, err
	}
	if options.Repair {
		repairs, err := repair(ctx, own, plan)
		if err != nil {
			return nil, err
		}
		if options.Told != nil {
			options.Told(repairs)
		}
	}
	d, err := openPlanned(ctx, dir, plan)
	if err != nil {
		return nil, err
	}
	return d, d.checkModels()
}

// note adds this process to the environments.
func note(own *store.Dir, dir string, exec kernels.Executor, options Options) error {
	host, _ := os.Hostname()
	line, err := store.AppendLine(nil, Environment{Version: options.Version, Revision: options.Revision, Go: runtime.Version(),
		System: runtime.GOOS + "/" + runtime.GOARCH, Host: host, Cores: runtime.GOMAXPROCS(0),
		Executor: exec.Name(), Device: exec.Device(), Arithmetic: exec.Arithmetic(), Started: time.Now().UTC().Truncate(time.Second)})
	if err != nil {
		return err
	}
	// A killed process may have left a part of a line.
	_, size, err := readEnvironments(dir)
	if err != nil {
		return err
	}
	f, err := own.OpenLines(environmentFile)
	if err != nil {
		return err
	}
	err = f.Truncate(size)
	if err == nil {
		_, err = f.WriteAt(line, size)
	}
	return errors.Join(err, f.Sync(), f.Close())
}

// task is a variant that is ready to be trained up to its next rung.
type task struct {
	key
	rung, epochs int
	bytes        int64

	network *graph.Network
	variant kernels.Variant
	until   int // step
	from    int // the step at which the wave finds it
	losses  []train.Loss
	last    kernels.Report // of a variant that diverged
}

// firstWidth is how many variants the first wave has, or as many as keep the executor
// busy, if those are more. Later ones have twice as many until waves take half the
// time of a checkpoint. After one that was cut they have as many as it got to, but no
// fewer than leastWidth a core, so that cores end together.
const (
	firstWidth = 64
	leastWidth = 4
)

func (s *sweeper) run(ctx context.Context) error {
	s.began = time.Now()
	var left entry // by a process that was killed before it removed it
	s.release(&left)
	if err := s.journal.keep(left); err != nil {
		return err
	}
	s.refresh()
	for {
		tasks := s.next()
		if ctx.Err() != nil {
			break
		}
		if len(tasks) == 0 {
			// Points that depend on those before them are drawn when these are over.
			extended, err := s.plan.extend(ctx, s.board)
			if ctx.Err() == nil && err != nil {
				return err
			}
			if !extended {
				break
			}
			continue
		}
		if err := s.wave(ctx, tasks); err != nil {
			return err
		}
		s.refresh()
	}
	s.show(true)
	return context.Cause(ctx)
}

// next lists the variants of the next wave: those that are ready, bracket by
// bracket, and in the end the finals.
func (s *sweeper) next() []task {
	var tasks []task
	var bytes int64
	full := false
	add := func(stage Stage, points []int, rung int) {
		for _, point := range points {
			for _, seed := range s.plan.Seeds(stage) {
				at := key{stage, point, seed}
				records := s.board.records[at]
				n := len(records)
				if stage == Search && n != rung || n > 0 && records[n-1].Diverged || n == len(s.plan.Rungs(point)) {
					continue
				}
				t := task{key: at, rung: n, epochs: s.plan.Rungs(point)[n], bytes: machineBytes(&s.plan.Points[point])}
				if full = len(tasks) >= s.width || bytes+t.bytes > s.options.Memory && len(tasks) >= runtime.GOMAXPROCS(0); full {
					return
				}
				bytes += t.bytes
				tasks = append(tasks, t)
			}
		}
	}
	for _, bracket := range s.board.shard.brackets(s.plan) {
		for rung := range s.plan.Spec.Rungs() {
			points, known := s.board.selected(bracket, rung)
			if !known {
				break
			}
			if add(Search, points, rung); full {
				return tasks
			}
		}
	}
	if len(tasks) == 0 && s.board.shard.whole() {
		points, _ := s.board.finalists()
		add(Final, points, 0)
	}
	return tasks
}

// machineBytes is about what a network in training takes: parameters, their
// gradients and the optimizer's arrays, and what a batch computes.
func machineBytes(p *Point) int64 {
	widths, _ := model.Widths(p.Recipe.Arch)
	units := 0
	for _, w := range widths {
		units += w
	}
	return 64<<10 + 16*int64(p.Parameters) + 16*int64(p.Recipe.Batch)*int64(units)
}

// flops is what an example costs in training, products only, as
// [ir.Program.FLOPs] counts them.
func flops(arch string) float64 {
	widths, _ := model.Widths(arch)
	n := 0
	for i := range len(widths) - 1 {
		each := 6 // forward, the weights' gradients, the inputs' gradients
		if i == 0 {
			each = 4
		}
		n += each * widths[i] * widths[i+1]
	}
	return float64(n)
}

// errCheckpoint ends a wave because it is time to keep what there is.
var errCheckpoint = errors.New("time for a checkpoint")

// wave trains tasks to their rungs, or for as long as a checkpoint may wait, and
// keeps what came of it.
func (s *sweeper) wave(ctx context.Context, tasks []task) error {
	population, err := s.prepare(tasks)
	if err != nil {
		return err
	}
	defer population.Close()
	timed, cancel := context.WithTimeoutCause(ctx, s.options.CheckpointEvery, errCheckpoint)
	var ahead sync.WaitGroup
	ahead.Go(func() { s.buildAhead(timed, tasks) })

	start := time.Now()
	until := make([]int, len(tasks))
	for i := range tasks {
		until[i] = tasks[i].until
	}
	err = population.Advance(timed, until, func(r kernels.Report) {
		t := &tasks[r.Variant]
		if r.Diverged {
			t.last = r
		} else {
			t.losses = append(t.losses, train.Loss(r.Loss))
			s.epochs++
			s.flops += flops(s.plan.Points[t.point].Recipe.Arch) * float64(s.data.Train.Len())
		}
		s.show(false)
	})
	cut, took := err != nil, time.Since(start)
	if cut && (timed.Err() == nil || !errors.Is(err, context.Cause(timed))) {
		cancel()
		ahead.Wait()
		return err
	}
	cancel()
	ahead.Wait()
	// What was trained is scored and kept, even after an interruption.
	e, touched, err := s.collect(context.WithoutCancel(ctx), population, tasks)
	if err != nil {
		return err
	}
	switch {
	case cut:
		s.width = max(leastWidth*runtime.GOMAXPROCS(0), touched)
	case took < s.options.CheckpointEvery/2 && len(tasks) == s.width:
		s.width *= 2
	}
	for i := range e.records {
		if err := s.board.add(e.records[i]); err != nil {
			return err
		}
	}
	s.release(&e)
	return s.journal.keep(e)
}

// prepare makes the population of a wave.
func (s *sweeper) prepare(tasks []task) (kernels.Population, error) {
	variants := make([]kernels.Variant, len(tasks))
	for i := range tasks {
		t := &tasks[i]
		r := s.plan.Points[t.point].Recipe
		network, err := r.Build(&s.networks)
		if err != nil {
			return nil, err
		}
		t.network = network
		t.variant = train.Spec{Recipe: r, Seed: t.seed, OrderSeed: t.seed}.Variant(network)
		t.until = t.epochs * t.variant.StepsPerEpoch(s.data.Train.Len())
		variants[i] = t.variant
	}
	population, err := s.exec.Prepare(s.data, variants)
	if err != nil {
		return nil, err
	}
	var group errgroup.Group
	group.SetLimit(runtime.GOMAXPROCS(0))
	for i := range tasks {
		if kept, ok := s.states[tasks[i].key]; ok && kept.state.Step <= tasks[i].until {
			tasks[i].from, tasks[i].losses = kept.state.Step, slices.Clone(kept.losses)
			group.Go(func() error { return population.Restore(i, kept.state) })
		}
	}
	if err := group.Wait(); err != nil {
		return nil, errors.Join(err, population.Close())
	}
	return population, nil
}

// buildAhead builds the programs of variants that are likely to be in the next
// wave, so that no core waits for them, and forgets those of no use.
func (s *sweeper) buildAhead(ctx context.Context, tasks []task) {
	wanted := map[*graph.Network]bool{}
	highest := 0
	for i := range tasks {
		wanted[tasks[i].network] = true
		highest = max(highest, s.plan.Points[tasks[i].point].Bracket)
	}
	want := func(point int) {
		r := &s.plan.Points[point].Recipe
		if network, err := r.Build(&s.networks); err == nil {
			wanted[network] = true
		}
	}
	n := 0
	for _, bracket := range s.board.shard.brackets(s.plan) {
		if tasks[0].stage == Final || bracket < s.plan.Points[tasks[0].point].Bracket || !s.plan.drawn(bracket) {
			continue
		}
		for _, point := range s.plan.Brackets[bracket] {
			if n >= 2*len(tasks) || ctx.Err() != nil {
				break
			}
			if len(s.board.records[key{Search, point, 1}]) == 0 {
				n++
				want(point)
			}
		}
	}
	s.networks.Keep(wanted)
}

// collect scores the variants that reached their rung, and copies out where
// those stand that were trained. touched counts them.
func (s *sweeper) collect(ctx context.Context, population kernels.Population, tasks []task) (e entry, touched int, err error) {
	e = entry{models: map[string]*model.Model{}, states: map[key]saved{}}
	records := make([]*Record, len(tasks))
	states := make([]kernels.State, len(tasks))
	models := make([]*model.Model, len(tasks))
	var group errgroup.Group
	group.SetLimit(s.exec.Width())
	for i := range tasks {
		group.Go(func() (err error) {
			if states[i], err = population.State(i); err != nil {
				return err
			}
			if states[i].Diverged || states[i].Step == tasks[i].until {
				records[i], models[i], err = s.score(ctx, population, i, &tasks[i], states[i])
			}
			return err
		})
	}
	if err := group.Wait(); err != nil {
		return e, 0, err
	}
	group.SetLimit(runtime.GOMAXPROCS(0)) // an inference has memory of its own on the device
	for i, m := range models {
		if m == nil {
			continue
		}
		group.Go(func() error {
			// What cannot be looked into is no less good.
			if layers, err := train.HiddenOf(ctx, s.exec, tasks[i].variant, states[i].Params, s.data.Test.Pixels); err == nil {
				records[i].Stuck = append(records[i].Stuck, train.StuckUnits(layers)...)
			}
			return nil
		})
	}
	if err := group.Wait(); err != nil {
		return e, 0, err
	}
	seconds, now := s.spent+time.Since(s.began).Seconds(), time.Now().UTC().Truncate(time.Second)
	for i := range tasks {
		t := &tasks[i]
		if states[i].Step > t.from || records[i] != nil {
			touched++
		}
		if r := records[i]; r != nil {
			r.Seconds, r.Time = seconds, now
			e.records = append(e.records, *r)
			if m := models[i]; m != nil {
				e.models[r.ID] = m
			}
			if r.Diverged || r.Rung == len(s.plan.Rungs(t.point))-1 {
				delete(s.states, t.key)
				e.over = append(e.over, t.key)
				continue
			}
		}
		if states[i].Step > t.from {
			kept := saved{states[i], t.losses}
			s.states[t.key] = kept
			e.states[t.key] = kept
		}
	}
	return e, touched, nil
}

// score makes the record of a variant that reached its rung or diverged, and the
// model of one that reached the end of the finals.
func (s *sweeper) score(ctx context.Context, population kernels.Population, i int, t *task, state kernels.State) (*Record, *model.Model, error) {
	perEpoch := t.variant.StepsPerEpoch(s.data.Train.Len())
	r := &Record{
		Identity: s.plan.Identity(t.point, t.stage, t.seed),
		Rung:     t.rung,
		Epoch:    state.Step / perEpoch,
		Step:     state.Step,
		Diverged: state.Diverged,
	}
	arithmetic := kernels.ArithmeticOf(s.exec, population, i)
	if arithmetic != s.arithmetic {
		r.Arithmetic = arithmetic
	}
	from := 0
	if t.rung > 0 {
		from = s.plan.Rungs(t.point)[t.rung-1]
	}
	r.Losses = slices.Clone(t.losses[from:])
	diverged := func() (*Record, *model.Model, error) {
		r.Diverged, r.TrainLoss = true, train.Loss(t.last.Loss)
		r.ValidationLoss, r.ValidationAccuracy, r.TestLoss, r.TestAccuracy, r.Stuck = nil, nil, nil, nil, nil
		return r, nil, nil
	}
	if r.Diverged {
		return diverged()
	}
	r.TrainLoss = t.losses[len(t.losses)-1]
	evaluate := func(split kernels.Split, loss **train.Loss, accuracy **float64) (ok bool, err error) {
		score, err := population.Evaluate(ctx, i, split)
		if err != nil {
			return false, err
		}
		l, a := train.Loss(score.Loss), score.Accuracy()
		*loss, *accuracy = &l, &a
		if split == kernels.Validation {
			r.Stuck = train.ChanceOf(s.data.Validation.Labels, s.data.Classes, r.Recipe, false).Of(score)
		}
		return l-l == 0 && state.Finite(), nil
	}
	// The last step may have been the one too far.
	if ok, err := evaluate(kernels.Validation, &r.ValidationLoss, &r.ValidationAccuracy); err != nil || !ok {
		if err == nil {
			return diverged()
		}
		return nil, nil, err
	}
	if t.stage == Search || t.rung < len(s.plan.Rungs(t.point))-1 {
		return r, nil, nil
	}
	if ok, err := evaluate(kernels.Test, &r.TestLoss, &r.TestAccuracy); err != nil || !ok {
		if err == nil {
			return diverged()
		}
		return nil, nil, err
	}
	spec := train.Spec{Recipe: r.Recipe, Seed: t.seed, OrderSeed: t.seed}
	m, err := spec.Model(t.variant.Program(), state.Params, arithmetic, *r.TestAccuracy, s.images, s.options.Version)
	return r, m, err
}

// release drops the states of variants that were not selected.
func (s *sweeper) release(e *entry) {
	for at := range s.states {
		if s.board.status(at) != Unfinished {
			delete(s.states, at)
			delete(e.states, at)
			e.over = append(e.over, at)
		}
	}
}
