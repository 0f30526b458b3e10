// Package bench times executors on the same work, interleaved: every round
// runs each of them once, so that what the machine does meanwhile falls on all
// alike. What is reported are medians with quartiles, and ratios of medians
// within one run. A time counts only if the work was right: before the clock
// starts every executor is compared with the reference, and afterwards all
// losses must agree.
package bench

import (
	"context"
	"fmt"
	"math"
	"runtime"
	"sort"
	"time"

	"vanilla/bench/handrolled"
	"vanilla/kernels"
	"vanilla/kernels/ref"
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
	// Cores is how many the executors may use.
	Cores int
	// Evaluate, if true, is the work: running the networks forward over the
	// training images once, in place of Steps.
	Evaluate bool
	// Peers do the same work elsewhere, an epoch a round.
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
	// MemoryMB is how much the live heap grew by the population, 10⁶ bytes. Of
	// a peer it is the whole process's peak.
	MemoryMB float64 `json:"memory_mb"`
	// Loss is the mean of the first round's batches, over the networks; in an
	// evaluation, the fraction of images that are taken for something else.
	Loss     float64 `json:"loss"`
	Version  string  `json:"version"`
	Revision string  `json:"revision"`
	Date     string  `json:"date"`
	Machine  Machine `json:"machine"`
}

// LossTolerance is the largest relative difference allowed between executors'
// mean losses over the first round. They start equal and differ by rounding,
// which grows along an epoch; a wrong gradient is far outside.
const LossTolerance = 2e-3

// runner trains on, c.Steps steps each time, and returns the mean loss.
type runner interface {
	name() string
	networks() int
	round(ctx context.Context) (float64, error)
	memoryMB() float64
	// tolerance is the largest relative difference allowed between its first
	// loss and that of the others.
	tolerance() float64
	close() error
}

// Run times the executors on a case, and the baseline if it has Widths.
// progress is called before each timed round.
func Run(ctx context.Context, c Case, executors []kernels.Executor, rounds int, progress func(executor string, round int)) ([]Result, error) {
	if rounds < 1 {
		return nil, fmt.Errorf("rounds %d: want 1 or more", rounds)
	}
	defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(c.Cores))
	var runners []runner
	defer func() {
		for _, r := range runners {
			r.close()
		}
	}()
	if c.Widths != nil {
		runners = append(runners, newBaseline(c))
	}
	for _, e := range executors {
		if err := Check(ctx, e, c); err != nil {
			return nil, err
		}
		r, err := newTrained(ctx, c, e)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", e.Name(), err)
		}
		runners = append(runners, r)
	}
	for _, p := range c.Peers {
		r, err := p.start(ctx, c)
		if err != nil {
			return nil, err
		}
		runners = append(runners, r)
	}

	seconds := make([][]float64, len(runners))
	losses := make([]float64, len(runners))
	epochs := 1.0
	if !c.Evaluate {
		epochs = float64(c.Steps) / float64(c.Variants[0].StepsPerEpoch(c.Data.Train.Len()))
	}
	for round := range rounds {
		for i := range runners {
			// The order rotates, so that nobody always runs after the same one.
			k := (i + round) % len(runners)
			progress(runners[k].name(), round)
			if len(c.Peers) > 0 {
				time.Sleep(settle)
			}
			start := time.Now()
			loss, err := runners[k].round(ctx)
			if err != nil {
				return nil, fmt.Errorf("%s: %w", runners[k].name(), err)
			}
			seconds[k] = append(seconds[k], time.Since(start).Seconds()/epochs/float64(runners[k].networks()))
			if round == 0 {
				losses[k] = loss
			}
		}
	}
	for k, loss := range losses {
		if runners[k].networks() != runners[0].networks() && runners[k].tolerance() == LossTolerance {
			continue // the baseline trains one network of many
		}
		if d := math.Abs(loss - losses[0]); !(d <= runners[k].tolerance()*math.Abs(losses[0])) {
			return nil, fmt.Errorf("%s: the first round's loss is %.6g, that of %s is %.6g: its times do not count",
				runners[k].name(), loss, runners[0].name(), losses[0])
		}
	}

	flops := 0.0 // of one network and epoch, on average
	for _, v := range c.Variants {
		perExample := v.Program.FLOPs()
		if c.Evaluate {
			perExample = v.Program.ForwardFLOPs()
		}
		flops += float64(perExample) * float64(c.Data.Train.Len()) / float64(len(c.Variants))
	}
	results := make([]Result, len(runners))
	for k, r := range runners {
		low, median, high := Quartiles(seconds[k])
		cores := c.Cores
		if r.name() == Handrolled {
			cores = 1
		}
		results[k] = Result{
			Suite: c.Suite, Case: c.Name, Executor: r.name(), Networks: r.networks(), Cores: cores,
			Batch: c.Variants[0].Batch, Steps: c.Steps,
			N: rounds, Samples: seconds[k], Median: median, LowerQuartile: low, UpperQuartile: high,
			GFLOPS: flops / median / 1e9, MemoryMB: r.memoryMB(), Loss: losses[k],
			Revision: Revision(), Date: time.Now().UTC().Format(time.DateOnly), Machine: ThisMachine(),
		}
		if c.Widths != nil {
			_, baseline, _ := Quartiles(seconds[0])
			results[k].Ratio = baseline / median
		}
	}
	return results, nil
}

// The comparison with the reference takes checkSteps steps, of batches that are
// as large as the case's unless the reference would take longer than
// checkFLOPs.
const (
	checkSteps = 3
	checkFLOPs = 5e8
	// checkTolerance is for the losses of the first steps: rounding in sums of
	// up to some thousand terms.
	checkTolerance = 5e-4
)

// Check compares an executor with the reference on the first steps of each
// different program in a case.
func Check(ctx context.Context, e kernels.Executor, c Case) error {
	seen := map[string]bool{}
	for _, v := range c.Variants {
		if seen[v.Program.Name] {
			continue
		}
		seen[v.Program.Name] = true
		v.Batch = max(1, min(v.Batch, int(checkFLOPs/checkSteps/float64(v.Program.FLOPs()))))
		steps := min(checkSteps, v.StepsPerEpoch(c.Data.Train.Len())-1)
		if steps < 1 {
			continue
		}
		got, err := lossOf(ctx, e, v, c.Data, steps)
		if err != nil {
			return fmt.Errorf("%s: %w", e.Name(), err)
		}
		want, err := lossOf(ctx, ref.New(), v, c.Data, steps)
		if err != nil {
			return err
		}
		if d := math.Abs(got - want); !(d <= checkTolerance*math.Abs(want)) {
			return fmt.Errorf("%s: after %d steps of %s the mean loss is %.6g, the reference's %.6g: its times do not count",
				e.Name(), steps, v.Program.Name, got, want)
		}
	}
	return nil
}

// lossOf is the mean loss of the first steps, fewer than an epoch.
func lossOf(ctx context.Context, e kernels.Executor, v kernels.Variant, data kernels.Data, steps int) (float64, error) {
	pop, err := e.Prepare(data, []kernels.Variant{v})
	if err != nil {
		return 0, err
	}
	defer pop.Close()
	if err := pop.Advance(ctx, []int{steps}, nil); err != nil {
		return 0, err
	}
	s, err := pop.State(0)
	return s.LossSum / float64(steps), err
}

// Quartiles are the lower quartile, median and upper quartile of a sample,
// interpolated linearly.
func Quartiles(sample []float64) (low, median, high float64) {
	s := append([]float64(nil), sample...)
	sort.Float64s(s)
	at := func(q float64) float64 {
		x := q * float64(len(s)-1)
		i := int(x)
		return s[i] + (x-float64(i))*(s[min(i+1, len(s)-1)]-s[i])
	}
	return at(0.25), at(0.5), at(0.75)
}

// trained runs an executor.
type trained struct {
	c        Case
	executor kernels.Executor
	pop      kernels.Population
	step     int
	grown    float64
}

func newTrained(ctx context.Context, c Case, e kernels.Executor) (*trained, error) {
	before := liveHeap()
	pop, err := e.Prepare(c.Data, c.Variants)
	if err != nil {
		return nil, err
	}
	t := &trained{c: c, executor: e, pop: pop}
	// One step before the clock starts: machines are built and the data is
	// arranged when they are first needed. Then back to the start.
	if err := pop.Advance(ctx, t.until(1), nil); err == nil {
		for i, v := range c.Variants {
			if err = pop.Restore(i, v.InitialState()); err != nil {
				break
			}
		}
	}
	if err != nil {
		pop.Close()
		return nil, err
	}
	t.grown = liveHeap() - before
	return t, nil
}

// liveHeap is the size of the live heap in 10⁶ bytes.
func liveHeap() float64 {
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return float64(m.HeapAlloc) / 1e6
}

func (t *trained) until(step int) []int {
	until := make([]int, len(t.c.Variants))
	for i := range until {
		until[i] = step
	}
	return until
}

func (t *trained) name() string       { return t.executor.Name() }
func (t *trained) networks() int      { return len(t.c.Variants) }
func (t *trained) memoryMB() float64  { return t.grown }
func (t *trained) tolerance() float64 { return LossTolerance }
func (t *trained) close() error       { return t.pop.Close() }

func (t *trained) round(ctx context.Context) (float64, error) {
	if t.c.Evaluate {
		wrong := 0.0
		for i := range t.c.Variants {
			score, err := t.pop.Evaluate(ctx, i, kernels.Train)
			if err != nil {
				return 0, err
			}
			wrong += (1 - score.Accuracy()) / float64(len(t.c.Variants))
		}
		return wrong, nil
	}
	first := t.step == 0
	t.step += t.c.Steps
	sums := make([]float64, len(t.c.Variants))
	err := t.pop.Advance(ctx, t.until(t.step), func(r kernels.Report) {
		perEpoch := t.c.Variants[r.Variant].StepsPerEpoch(t.c.Data.Train.Len())
		sums[r.Variant] += r.Loss * float64(perEpoch)
	})
	if err != nil || !first {
		return 0, err
	}
	mean := 0.0
	for i := range sums { // what the reports do not hold yet is in the state
		s, err := t.pop.State(i)
		if err != nil {
			return 0, err
		}
		mean += (sums[i] + s.LossSum) / float64(t.c.Steps) / float64(len(sums))
	}
	return mean, nil
}

// baseline runs the network written by hand on the first variant's weights and
// order.
type baseline struct {
	c    Case
	net  *handrolled.Network
	step int
}

func newBaseline(c Case) *baseline {
	b := &baseline{c: c, net: handrolled.New(c.Widths)}
	start := c.Variants[0].InitialState()
	for l := range b.net.Weights {
		copy(b.net.Weights[l], start.Params[2*l])
		copy(b.net.Biases[l], start.Params[2*l+1])
	}
	return b
}

func (b *baseline) name() string       { return Handrolled }
func (b *baseline) networks() int      { return 1 }
func (b *baseline) memoryMB() float64  { return 0 }
func (b *baseline) tolerance() float64 { return LossTolerance }
func (b *baseline) close() error       { return nil }

func (b *baseline) round(ctx context.Context) (float64, error) {
	if err := ctx.Err(); err != nil {
		return 0, err
	}
	v, e := b.c.Variants[0], b.c.Data.Train
	if b.c.Evaluate {
		return 1 - b.net.Accuracy(e.Pixels, e.Labels), nil
	}
	perEpoch := v.StepsPerEpoch(e.Len())
	sum := 0.0
	var order []int
	for end := b.step + b.c.Steps; b.step < end; b.step++ {
		epoch, k := b.step/perEpoch, b.step%perEpoch
		if order == nil || k == 0 {
			shuffled := kernels.NewOrder(v.OrderSeed, epoch, e.Len())
			order = make([]int, e.Len())
			for i := range order {
				order[i] = shuffled.At(i)
			}
		}
		batch := order[k*v.Batch : min((k+1)*v.Batch, len(order))]
		sum += float64(b.net.Step(e.Pixels, e.Labels, batch, v.Rate.At(b.step, perEpoch, v.Epochs), float32(v.Optimizer.WeightDecay)))
	}
	return sum / float64(b.c.Steps), nil
}
