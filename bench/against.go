package bench

import (
	"context"
	"fmt"
	"io"
	"math"
	"slices"
	"text/tabwriter"
	"time"

	"gonum.org/v1/gonum/stat/distuv"

	"vanilla/internal/sample"
	"vanilla/kernels/device"
)

// Two builds of the command are compared by turns within rounds. Each round has a
// process of each, new ones, so that where a process happens to stand in memory
// is a difference between rounds, which the interval knows of. Work of one core is
// done on one, the same for both, and its time is the processor's.
const (
	// turns of each build in a round. What counts is the ratio of neighbouring turns,
	// and of these the median one, so that an interruption counts for nothing.
	turns = 9
	// turnTime is how long a turn takes at least: long beside the time in which
	// caches are filled anew.
	turnTime = 20 * time.Millisecond
	// AgainstEpochs is how many epochs a case must last.
	AgainstEpochs = 64
	// againstTail is how many steps the reference trains at most where it does not train
	// all: each build's network has weights of its own to go on from, in every comparison.
	againstTail = 1000
	// Wanted is how far a comparison's interval reaches to either side, at most, if
	// more rounds can do that.
	Wanted = 0.01
)

// Which of the two builds a result is of.
const (
	This    = "this"
	Against = "against"
)

// Pair are two builds' results for a case, round by round.
type Pair struct{ Against, This Result }

// Against times two builds on a case, in Rounds rounds, or until the interval is as narrow
// as is wanted, in Most. What both come to is compared with the reference in the last one.
func (b *Bench) Against(ctx context.Context, c Case, against, this Build) (Pair, error) {
	var pair Pair
	c.Peers, c.Widths = nil, nil
	c, err := paced(ctx, c, this)
	if err != nil {
		return pair, err
	}
	check := b.reference.plan(c, 1)
	check.tail = min(check.tail, againstTail)
	perTurn := float64(len(c.Variants)) // epochs
	if !c.Evaluate {
		perTurn *= c.epochs() / turns
	}
	pair = Pair{c.result(against, Against), c.result(this, This)}
	var ceilings []float64
	for last := false; !last; {
		round := len(pair.This.Samples)
		last = b.enough(pair.This.Ratios)
		ceilings = append(ceilings, device.Ceiling(c.Cores, ceilingTime))
		err := b.pairRound(ctx, c, []Build{against, this}, round, check, last, func(runners []runner, took [][]float64) error {
			ratios := make([]float64, turns)
			for slice := range ratios {
				ratios[slice] = took[1][slice] / took[0][slice]
			}
			_, ratio, _ := sample.Quartiles(ratios)
			pair.This.Ratios = append(pair.This.Ratios, ratio)
			for k, r := range []*Result{&pair.Against, &pair.This} {
				_, median, _ := sample.Quartiles(took[k])
				r.Samples, r.Clock = append(r.Samples, median/perTurn), runners[k].(*built).clock
			}
			if !last {
				return nil
			}
			b.Progress("ref", -1)
			return pair.finish(ctx, c, runners, check, ceilings)
		})
		if err != nil {
			return pair, err
		}
	}
	return pair, nil
}

// enough is whether one round more will do after those of so many ratios.
func (b *Bench) enough(ratios []float64) bool {
	if done := len(ratios) + 1; done < b.Rounds {
		return false
	} else if done >= b.Most {
		return true
	}
	_, low, high := middle(logarithms(ratios, nil))
	return high-low <= 2*Wanted
}

// pairRound starts builds, lets them take their turns and hands over what these
// took while the processes are there.
func (b *Bench) pairRound(ctx context.Context, c Case, builds []Build, round int, check *check, last bool, done func([]runner, [][]float64) error) (err error) {
	var runners []runner
	defer func() {
		for _, r := range runners {
			if failed := r.close(); err == nil {
				err = failed
			}
		}
	}()
	clock := ProcessorTime
	for _, build := range builds {
		r, err := build.start(ctx, c)
		if err != nil {
			return err
		}
		runners = append(runners, r)
		if r.hello.Clock != clock {
			clock = ""
		}
	}
	for _, r := range runners {
		r.(*built).clock = clock
	}
	// Each turn follows one of the other build's: it would find its own data in the
	// caches after one of its own, and take 5 % less time. Rounds differ in who begins.
	took, err := b.round(ctx, c, runners, round, func(int) int { return round }, check, last)
	if err != nil {
		return err
	}
	return done(runners, took)
}

// paced is the case in turns that last turnTime, by what a build takes.
func paced(ctx context.Context, c Case, build Build) (Case, error) {
	c.Slices = turns
	if c.Evaluate {
		return c, nil
	}
	r, err := build.start(ctx, c)
	if err != nil {
		return c, err
	}
	defer r.close()
	r.clock = r.hello.Clock
	steps, most := max(1, c.Steps/turns), AgainstEpochs*c.Variants[0].StepsPerEpoch(c.Data.Train.Len())/turns
	for steps = min(steps, most); ; steps = min(2*steps, most) {
		took, err := r.advance(ctx, steps)
		if err != nil {
			return c, fmt.Errorf("%s: %w", build.Name, err)
		}
		if took >= turnTime || steps == most {
			break
		}
		// More than the case's epochs, in the end: the process is thrown away.
	}
	c.Steps = turns * steps
	return c, nil
}

// result is what is known of one before it is timed.
func (c *Case) result(b Build, which string) Result {
	return Result{
		Suite: c.Suite, Case: c.Name, Executor: b.Executor, Build: which, Networks: len(c.Variants), Cores: c.Cores,
		Batch: c.Variants[0].Batch, Steps: c.Steps, Date: time.Now().UTC().Format(time.DateOnly), Machine: ThisMachine(),
	}
}

// finish completes the results with what the last round's processes came to.
func (p *Pair) finish(ctx context.Context, c Case, runners []runner, check *check, ceilings []float64) error {
	for k, r := range []*Result{&p.Against, &p.This} {
		verdict, err := check.verify(ctx, runners[k])
		if err != nil {
			return err
		}
		r.Loss, r.ReferenceLoss, r.Verified = verdict.loss, verdict.reference, verdict.networks
		r.N = len(r.Samples)
		r.LowerQuartile, r.Median, r.UpperQuartile = sample.Quartiles(r.Samples)
		r.GFLOPS = c.flops() / r.Median / 1e9
		r.Device, _ = runners[k].device()
		r.MemoryMB, r.MemoryOf = runners[k].memory()
		hello := runners[k].(*built).hello
		r.Version, r.Revision = hello.Version, hello.Revision
		if runners[k].onProcessor() {
			_, r.Ceiling, _ = sample.Quartiles(ceilings)
			r.OfCeiling = r.GFLOPS / r.Ceiling
		}
	}
	return nil
}

// Change is how this build's time differs from the other's: the median of their ratio
// over the rounds, with its interval, widened by what the comparison of a build with
// itself differs by beyond that.
func (p Pair) Change(s Spread) Change {
	c := Change{Before: p.Against, After: p.This}
	median, low, high := middle(p.logarithms())
	wider := s.Pair.half()
	c.Ratio, c.Low, c.High = math.Exp(median), math.Exp(median-math.Hypot(median-low, wider)), math.Exp(median+math.Hypot(high-median, wider))
	return c
}

// logarithms are those of the rounds' ratios. Files of before have but times.
func (p Pair) logarithms() []float64 {
	if len(p.This.Ratios) > 0 {
		return logarithms(p.This.Ratios, nil)
	}
	return logarithms(p.This.Samples, p.Against.Samples)
}

// middle is the median and its 95 % interval, which assumes nothing of the distribution:
// it reaches from the one to the other order statistic that so many tosses of a coin
// would leave outside (Conover, Practical Nonparametric Statistics, 3.2). Of fewer than
// six values it is infinite.
func middle(values []float64) (median, low, high float64) {
	sorted := slices.Sorted(slices.Values(values))
	_, median, _ = sample.Quartiles(sorted)
	tosses := distuv.Binomial{N: float64(len(sorted)), P: 0.5}
	outside := 0 // on either side
	for tosses.CDF(float64(outside)) <= 0.025 {
		outside++
	}
	if outside == 0 {
		return median, math.Inf(-1), math.Inf(1)
	}
	return median, sorted[outside-1], sorted[len(sorted)-outside]
}

// studentsT is how many standard errors reach to the ends of a 95 % interval.
func studentsT(freedom float64) float64 {
	if math.IsInf(freedom, 1) {
		return distuv.UnitNormal.Quantile(0.975)
	}
	return distuv.StudentsT{Mu: 0, Sigma: 1, Nu: freedom}.Quantile(0.975)
}

// WritePairs prints how two builds differ, a row for each case, and what this
// machine finds when a build runs against itself.
func WritePairs(w io.Writer, pairs []Pair, against string, s Spread) error {
	if len(pairs) == 0 {
		return nil
	}
	a, b := pairs[0].Against, pairs[0].This
	fmt.Fprintf(w, "%s\nagainst: %s, version %s, revision %s, %s\nthis:    version %s, revision %s, %s\n",
		b.Machine.CPU, against, a.Version, a.Revision, a.Device, b.Version, b.Revision, b.Device)
	of := ""
	if b.Clock != "" {
		of = " of " + b.Clock
	}
	fmt.Fprintf(w, "milliseconds%s per network and epoch, medians of rounds of both in turns\n\n", of)
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	fmt.Fprintln(t, "case\texecutor\trounds\tagainst\tthis\tchange\t95 % interval\t")
	for _, p := range pairs {
		c := p.Change(s)
		fmt.Fprintf(t, "%s\t%s\t%d\t%.4g\t%.4g\t%+.1f %%\t%s\t%s\n", p.This.Case, p.This.Executor, p.This.N,
			1e3*p.Against.Median, 1e3*p.This.Median, 100*(c.Ratio-1), c.interval(), c.verdict())
	}
	if err := t.Flush(); err != nil {
		return err
	}
	_, err := fmt.Fprintf(w, "\n%s\n", s.Itself())
	return err
}
