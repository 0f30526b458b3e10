// Package bench times executors on the same work, interleaved: every round
// runs each of them once, so that what the machine does meanwhile falls on all
// alike. What is reported are medians with quartiles, and ratios of medians
// within one run. A time counts only if the work was right: all executors must
// end an epoch with the same loss.
package bench

import (
	"context"
	"fmt"
	"math"
	"sort"
	"time"

	"vanilla/bench/handrolled"
	"vanilla/kernels"
)

// Handrolled is the name of the baseline: bench/handrolled, the program that a
// student of the lesson writes.
const Handrolled = "handrolled"

// Case is one piece of work: an epoch of one network.
type Case struct {
	Suite   string
	Variant kernels.Variant
	Widths  []int // of the chain, for the baseline
	Data    kernels.Data
}

// Result is the time that one executor took for a case.
type Result struct {
	Suite    string `json:"suite"`
	Executor string `json:"executor"`
	Program  string `json:"program"`
	Batch    int    `json:"batch"`
	Examples int    `json:"examples"`
	// N is the number of rounds. Seconds per epoch: median and quartiles.
	N             int     `json:"n"`
	Median        float64 `json:"seconds_per_epoch"`
	LowerQuartile float64 `json:"lower_quartile"`
	UpperQuartile float64 `json:"upper_quartile"`
	// Ratio is the baseline's median over this one: how many times faster.
	// Zero if the baseline was not run.
	Ratio float64 `json:"times_handrolled"`
	// GFLOPS counts the products that a dense computation needs, in 10⁹ a
	// second. (An executor that skips zeros does less.)
	GFLOPS float64 `json:"dense_gflops"`
	// Loss is the mean over the first timed epoch.
	Loss     float64 `json:"loss"`
	Version  string  `json:"version"`
	Revision string  `json:"revision"`
	Date     string  `json:"date"`
	Machine  Machine `json:"machine"`
}

// LossTolerance is the largest relative difference allowed between executors'
// mean losses over the first timed epoch. They start equal and differ by
// rounding, which grows along an epoch; a wrong gradient is far outside.
const LossTolerance = 2e-3

// runner trains one more epoch each time and returns its mean loss.
type runner interface {
	name() string
	epoch(ctx context.Context) (float64, error)
}

// Run times the executors on a case, and the baseline if handrolledToo.
// progress is called before each timed epoch.
func Run(ctx context.Context, c Case, executors []kernels.Executor, handrolledToo bool, rounds int, progress func(executor string, round int)) ([]Result, error) {
	if rounds < 1 {
		return nil, fmt.Errorf("rounds %d: want 1 or more", rounds)
	}
	var runners []runner
	if handrolledToo {
		runners = append(runners, newBaseline(c))
	}
	for _, e := range executors {
		pop, err := e.Prepare(c.Data, []kernels.Variant{c.Variant})
		if err != nil {
			return nil, fmt.Errorf("%s: %w", e.Name(), err)
		}
		defer pop.Close()
		// One step before the clock starts: machines are built when they are
		// first needed.
		if err := pop.Advance(ctx, []int{1}, nil); err != nil {
			return nil, fmt.Errorf("%s: %w", e.Name(), err)
		}
		if err := pop.Restore(0, c.Variant.InitialState()); err != nil {
			return nil, fmt.Errorf("%s: %w", e.Name(), err)
		}
		runners = append(runners, &trained{executor: e, pop: pop, perEpoch: c.Variant.StepsPerEpoch(c.Data.Train.Len())})
	}

	seconds := make([][]float64, len(runners))
	losses := make([]float64, len(runners))
	for round := range rounds {
		for i := range runners {
			// The order rotates, so that nobody always runs after the same one.
			k := (i + round) % len(runners)
			progress(runners[k].name(), round)
			start := time.Now()
			loss, err := runners[k].epoch(ctx)
			if err != nil {
				return nil, fmt.Errorf("%s: %w", runners[k].name(), err)
			}
			seconds[k] = append(seconds[k], time.Since(start).Seconds())
			if round == 0 {
				losses[k] = loss
			}
		}
	}
	for k, loss := range losses {
		if d := math.Abs(loss - losses[0]); !(d <= LossTolerance*math.Abs(losses[0])) {
			return nil, fmt.Errorf("%s: the first epoch's loss is %.6g, that of %s is %.6g: its times do not count",
				runners[k].name(), loss, runners[0].name(), losses[0])
		}
	}

	results := make([]Result, len(runners))
	for k, r := range runners {
		low, median, high := quartiles(seconds[k])
		n := c.Data.Train.Len()
		results[k] = Result{
			Suite: c.Suite, Executor: r.name(), Program: c.Variant.Program.Name, Batch: c.Variant.Batch, Examples: n,
			N: rounds, Median: median, LowerQuartile: low, UpperQuartile: high,
			GFLOPS: float64(c.Variant.Program.FLOPs()) * float64(n) / median / 1e9,
			Loss:   losses[k], Revision: Revision(), Date: time.Now().UTC().Format(time.DateOnly), Machine: ThisMachine(),
		}
		if handrolledToo {
			_, baseline, _ := quartiles(seconds[0])
			results[k].Ratio = baseline / median
		}
	}
	return results, nil
}

// quartiles are the lower quartile, median and upper quartile of a sample,
// interpolated linearly.
func quartiles(sample []float64) (low, median, high float64) {
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
	executor kernels.Executor
	pop      kernels.Population
	epochs   int
	perEpoch int
}

func (t *trained) name() string { return t.executor.Name() }

func (t *trained) epoch(ctx context.Context) (loss float64, err error) {
	t.epochs++
	err = t.pop.Advance(ctx, []int{t.epochs * t.perEpoch}, func(r kernels.Report) { loss = r.Loss })
	return loss, err
}

// baseline runs the network written by hand on the same weights and order.
type baseline struct {
	c      Case
	net    *handrolled.Network
	epochs int
}

func newBaseline(c Case) *baseline {
	b := &baseline{c: c, net: handrolled.New(c.Widths)}
	start := c.Variant.InitialState()
	for l := range b.net.Weights {
		copy(b.net.Weights[l], start.Params[2*l])
		copy(b.net.Biases[l], start.Params[2*l+1])
	}
	return b
}

func (b *baseline) name() string { return Handrolled }

func (b *baseline) epoch(ctx context.Context) (float64, error) {
	if err := ctx.Err(); err != nil {
		return 0, err
	}
	v, e := b.c.Variant, b.c.Data.Train
	perEpoch := v.StepsPerEpoch(e.Len())
	order := make([]int, e.Len())
	shuffled := kernels.NewOrder(v.OrderSeed, b.epochs, e.Len())
	for i := range order {
		order[i] = shuffled.At(i)
	}
	first := b.epochs * perEpoch
	loss := b.net.Epoch(e.Pixels, e.Labels, order, v.Batch, func(step int) float32 {
		return v.Rate.At(first+step, perEpoch, v.Epochs)
	}, float32(v.Optimizer.WeightDecay))
	b.epochs++
	return loss, nil
}
