// Package bench times executors on the same work, interleaved: every round runs
// each of them once, in slices that take turns, so that what the machine does
// meanwhile falls on all alike. What is reported are medians with quartiles, and
// ratios within one run. A time counts only if the work was right: before the
// clock starts every executor is compared with the reference on the first
// steps, and when it has stopped, what each one's networks have come to is
// compared with the same networks trained by the reference.
package bench

import (
	"context"
	"fmt"
	"runtime"
	"time"

	"golang.org/x/sync/errgroup"

	"vanilla/internal/sample"
	"vanilla/kernels"
	"vanilla/kernels/device"
)

// Handrolled is the name of the baseline: bench/handrolled, the program that a
// student of the lesson writes.
const Handrolled = "handrolled"

// Case is one piece of work: some steps of training for each network of a
// population, again in every round.
type Case struct {
	Suite, Name string
	Variants    []kernels.Variant
	Data        kernels.Data
	// Steps is how far every variant trains in one round.
	Steps int
	// Slices is the number of turns that a round's steps are taken in; zero
	// means one.
	Slices int
	// Cores is how many the executors may use.
	Cores int
	// Evaluate, if true, is the work: running the networks forward over the
	// training images once, in place of Steps.
	Evaluate bool
	// Peers do the same work elsewhere: Steps are whole epochs.
	Peers []Peer
	// Widths, if not nil, are those of the baseline's network, which trains as
	// the first variant does.
	Widths []int
}

// Result is the time that one executor took for a case.
type Result struct {
	Suite    string `json:"suite"`
	Case     string `json:"case"`
	Executor string `json:"executor"`
	// Device is the hardware that the executor says it runs on.
	Device   string `json:"device,omitempty"`
	Networks int    `json:"networks"`
	Cores    int    `json:"cores"`
	Batch    int    `json:"batch"` // of the first network
	Steps    int    `json:"steps"` // of each network in a round
	// Samples are seconds per network and epoch, one of each of N rounds:
	// shuffling and gathering included, evaluation not.
	N             int       `json:"n"`
	Samples       []float64 `json:"samples"`
	Median        float64   `json:"seconds_per_epoch"`
	LowerQuartile float64   `json:"lower_quartile"`
	UpperQuartile float64   `json:"upper_quartile"`
	// Ratio is the baseline's median over this one: how many times faster.
	// Zero if the baseline was not run.
	Ratio float64 `json:"times_handrolled"`
	// GFLOPS counts the products that a dense computation needs, in 10⁹ a
	// second. (An executor that skips zeros does less.)
	GFLOPS float64 `json:"dense_gflops"`
	// Ceiling is what so many cores do at most, multiply-adds of float32 on
	// registers alone, in 10⁹ operations a second: the median of measurements
	// between the rounds. Zero where the work was not done by this machine's
	// processor.
	Ceiling float64 `json:"ceiling_gflops"`
	// OfCeiling is GFLOPS over Ceiling. Zeros that are skipped count as if they
	// were multiplied, so it may pass 1.
	OfCeiling float64 `json:"of_ceiling"`
	// MemoryMB is the peak of what the executor needs, 10⁶ bytes; MemoryOf says
	// of what.
	MemoryMB float64 `json:"memory_mb"`
	MemoryOf string  `json:"memory_of,omitempty"`
	// Loss is the mean loss over LossExamples training images when the timed
	// steps were done, computed by the reference for Verified of the networks;
	// ReferenceLoss is that of the networks that the reference trained. In an
	// evaluation both are the fraction of images that are taken for something
	// else.
	Loss          float64 `json:"loss"`
	ReferenceLoss float64 `json:"reference_loss,omitempty"`
	Verified      int     `json:"verified,omitempty"`
	// Failed is why a peer has no times: it is missing, failed, or has learned
	// something else. The rest of the case goes on without it.
	Failed string `json:"failed,omitempty"`
	// Versions are those of what a peer is made of.
	Versions map[string]string `json:"versions,omitempty"`
	Version  string            `json:"version"`
	Revision string            `json:"revision"`
	Date     string            `json:"date"`
	Machine  Machine           `json:"machine"`
	// Run tells apart the runs of the suite repeat: 1, 2, slowed, and of a build
	// against itself.
	Run string `json:"run,omitempty"`
	// Build is which of two builds it is that took turns: this, against. Clock is
	// ProcessorTime if their times are that, and Ratios are this build's times over the
	// other's, of each round the median over its turns.
	Build  string    `json:"build,omitempty"`
	Clock  string    `json:"clock,omitempty"`
	Ratios []float64 `json:"ratios,omitempty"`
}

// ProcessorTime is how long a processor has worked, whatever else it did meanwhile: of work
// on one core. Other times are those that passed.
const ProcessorTime = "processor time"

// Bench runs cases.
type Bench struct {
	Rounds int
	// Most, if it is more than Rounds, is how many rounds two builds are given whose
	// interval is wider than Wanted.
	Most int
	// Settle is a pause before each turn beside peers.
	Settle time.Duration
	// Progress is called before each timed round of each executor, and with
	// round -1 before the reference trains.
	Progress func(executor string, round int)
	// Budget, if not nil, limits how long a peer is waited for.
	Budget *Budget

	reference reference
}

// ceilingTime is how long the machine's ceiling is measured in every round.
const ceilingTime = 3 * time.Millisecond

// Run times the executors on a case, and the baseline if it has Widths.
func (b *Bench) Run(ctx context.Context, c Case, executors []kernels.Executor) ([]Result, error) {
	if b.Rounds < 1 {
		return nil, fmt.Errorf("rounds %d: want 1 or more", b.Rounds)
	}
	defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(c.Cores))
	runners, err := b.start(ctx, c, executors)
	defer func() {
		for _, r := range runners {
			r.close()
		}
	}()
	if err != nil {
		return nil, err
	}
	check := b.reference.plan(c, b.Rounds)
	took, err := b.measure(ctx, c, runners, check)
	if err != nil {
		return nil, err
	}
	b.Progress("ref", -1)
	results := make([]Result, len(runners))
	for k, r := range runners {
		var v verdict
		err := survived(ctx, r, func() (err error) {
			v, err = check.verify(ctx, r)
			return err
		})
		if err != nil {
			return nil, err
		}
		results[k] = b.result(c, r, took, k, v)
	}
	return results, nil
}

// survived lets a runner do something, unless it has failed before. If a peer fails,
// that is no error: its result will say why. What else fails ends the case.
func survived(ctx context.Context, r runner, do func() error) error {
	p, peer := r.(*process)
	if peer && p.failed != nil {
		return nil
	}
	err := do()
	if err == nil || !peer || ctx.Err() != nil {
		return err
	}
	p.failed = err
	return nil
}

// failure is why a runner has no times, nothing if it has.
func failure(r runner) string {
	if p, peer := r.(*process); peer && p.failed != nil {
		return p.failed.Error()
	}
	return ""
}

// start makes a case's runners: the baseline if it has one, executors, which must
// come to what the reference comes to, and peers. After an error too, they are to
// be closed.
func (b *Bench) start(ctx context.Context, c Case, executors []kernels.Executor) (runners []runner, err error) {
	if c.Widths != nil {
		runners = append(runners, newBaseline(c))
	}
	for _, e := range executors {
		if err := Check(ctx, e, c); err != nil {
			return runners, err
		}
		r, err := newTrained(ctx, c, e)
		if err != nil {
			return runners, fmt.Errorf("%s: %w", e.Name(), err)
		}
		runners = append(runners, r)
	}
	var starting errgroup.Group // they import and compile for long
	if len(c.Peers) > 0 && c.Peers[0].Device == "cpu" {
		starting.SetLimit(1) // on the few cores that they are timed on
	}
	for _, p := range c.Peers {
		b.Progress("starting "+p.Name, 0)
		r := &process{peer: p, c: c, patience: b.Budget.patience()}
		runners = append(runners, r)
		starting.Go(func() error { return survived(ctx, r, func() error { return r.start(ctx) }) })
	}
	return runners, starting.Wait()
}

// timing is what rounds took.
type timing struct {
	seconds  [][]float64       // per network and epoch, by runner
	ceilings map[int][]float64 // by cores
}

// measure times all rounds.
func (b *Bench) measure(ctx context.Context, c Case, runners []runner, check *check) (*timing, error) {
	t := &timing{make([][]float64, len(runners)), map[int][]float64{}}
	for round := range b.Rounds {
		for _, cores := range []int{1, c.Cores} {
			t.ceilings[cores] = append(t.ceilings[cores], device.Ceiling(cores, ceilingTime))
		}
		// The order rotates, so that nobody always runs after the same one.
		took, err := b.round(ctx, c, runners, round, func(slice int) int { return round + slice }, check, round == b.Rounds-1)
		if err != nil {
			return nil, err
		}
		for k := range runners {
			if failure(runners[k]) != "" {
				continue
			}
			total := 0.0
			for _, s := range took[k] {
				total += s
			}
			t.seconds[k] = append(t.seconds[k], total/c.epochs()/float64(runners[k].networks()))
		}
	}
	return t, nil
}

// result is what is known of runner k in the end.
func (b *Bench) result(c Case, r runner, t *timing, k int, v verdict) Result {
	cores := c.Cores
	if r.name() == Handrolled {
		cores = 1
	}
	result := Result{
		Suite: c.Suite, Case: c.Name, Executor: r.name(), Networks: r.networks(), Cores: cores,
		Batch: c.Variants[0].Batch, Steps: c.Steps,
		Revision: Revision(), Date: time.Now().UTC().Format(time.DateOnly), Machine: ThisMachine(),
	}
	result.Device, result.Versions = r.device()
	if result.Failed = failure(r); result.Failed != "" {
		return result
	}
	low, median, high := sample.Quartiles(t.seconds[k])
	result.N, result.Samples, result.Median, result.LowerQuartile, result.UpperQuartile = b.Rounds, t.seconds[k], median, low, high
	result.GFLOPS = c.flops() / median / 1e9
	result.Loss, result.ReferenceLoss, result.Verified = v.loss, v.reference, v.networks
	result.MemoryMB, result.MemoryOf = r.memory()
	if r.onProcessor() {
		_, result.Ceiling, _ = sample.Quartiles(t.ceilings[cores])
		result.OfCeiling = result.GFLOPS / result.Ceiling
	}
	if c.Widths != nil {
		_, baseline, _ := sample.Quartiles(t.seconds[0])
		result.Ratio = baseline / median
	}
	return result
}

// flops is what a dense computation of one network and epoch takes, on average.
func (c *Case) flops() float64 {
	flops := 0.0
	for _, v := range c.Variants {
		perExample := v.Program().FLOPs()
		if c.Evaluate {
			perExample = v.Program().ForwardFLOPs()
		}
		flops += float64(perExample) * float64(c.Data.Train.Len()) / float64(len(c.Variants))
	}
	return flops
}

// epochs is how many epochs a round is.
func (c *Case) epochs() float64 {
	if c.Evaluate {
		return 1
	}
	return float64(c.Steps) / float64(c.Variants[0].StepsPerEpoch(c.Data.Train.Len()))
}

// round lets runners take the turns of a round, and returns the seconds that
// each turn of each took. first is which of them begins a slice, but for multiples of
// their number. In the last round, where the check wants to begin within it, it is told
// where the networks are.
func (b *Bench) round(ctx context.Context, c Case, runners []runner, round int, first func(slice int) int, check *check, last bool) (took [][]float64, err error) {
	took = make([][]float64, len(runners))
	slices := max(1, c.Slices)
	for slice := range slices {
		steps := c.Steps*(slice+1)/slices - c.Steps*slice/slices
		for i := range runners {
			k := (i + first(slice)) % len(runners)
			r := runners[k]
			if failure(r) != "" {
				continue
			}
			if slice == 0 {
				b.Progress(r.name(), round)
			}
			if len(c.Peers) > 0 {
				time.Sleep(b.Settle)
			}
			runtime.GC() // nobody pays for what another one left
			parts := []int{steps}
			if last && slice == slices-1 && check.tail > 0 {
				parts = []int{steps - check.tail, check.tail}
			}
			turn := time.Duration(0)
			for at, part := range parts {
				err := survived(ctx, r, func() error {
					if at == 1 {
						if err := check.mark(r); err != nil {
							return err
						}
					}
					t, err := r.advance(ctx, part)
					turn += t
					return err
				})
				if err != nil {
					return nil, fmt.Errorf("%s: %w", r.name(), err)
				}
			}
			took[k] = append(took[k], turn.Seconds())
		}
	}
	return took, nil
}
