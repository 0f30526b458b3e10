package train

import (
	"context"
	"path/filepath"
	"strconv"
	"testing"
	"time"

	"vanilla/kernels"
	"vanilla/kernels/cpu"
	"vanilla/mnist"
)

// timed counts the time that a run spends in its executor. It is for one
// network: calls must not overlap.
type timed struct {
	kernels.Executor
	spent *time.Duration
}

type timedPopulation struct {
	kernels.Population
	timed
}

func (t timed) since(start time.Time) { *t.spent += time.Since(start) }

func (t timed) Prepare(data kernels.Data, variants []kernels.Variant) (kernels.Population, error) {
	defer t.since(time.Now())
	p, err := t.Executor.Prepare(data, variants)
	return timedPopulation{p, t}, err
}

func (t timedPopulation) Advance(ctx context.Context, until []int, report func(kernels.Report)) error {
	defer t.since(time.Now())
	return t.Population.Advance(ctx, until, report)
}

func (t timedPopulation) Evaluate(ctx context.Context, i int, s kernels.Split) (kernels.Score, error) {
	defer t.since(time.Now())
	return t.Population.Evaluate(ctx, i, s)
}

// BenchmarkRun trains one network with the default recipe on MNIST. %executor is
// the share of the time that is spent in the executor, training and evaluating;
// %training is that of training alone.
func BenchmarkRun(b *testing.B) {
	data, err := mnist.Embedded()
	if err != nil {
		b.Fatal(err)
	}
	for _, c := range []struct {
		name       string
		history    bool
		validation float64
	}{{"history=false/validation=0", false, 0}, {"history=true/validation=0", true, 0}, {"history=true/validation=0.1", true, 0.1}} {
		b.Run(c.name, func(b *testing.B) {
			spec := seeded(Default(), 1)
			spec.Recipe.Validation = c.validation
			options := Options{CheckpointEvery: time.Second, Observe: func(Record) {}}
			options.Snapshots.Log = true
			var inside time.Duration
			var training float64
			dir := b.TempDir()
			for i := 0; b.Loop(); i++ {
				if c.history {
					options.History = filepath.Join(dir, strconv.Itoa(i))
				}
				results, err := Run(b.Context(), timed{cpu.New(), &inside}, data, []Spec{spec}, options)
				if err != nil {
					b.Fatal(err)
				}
				training += results[0].Seconds
			}
			b.ReportMetric(100*inside.Seconds()/b.Elapsed().Seconds(), "%executor")
			b.ReportMetric(100*training/b.Elapsed().Seconds(), "%training")
		})
	}
}
