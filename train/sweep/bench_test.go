package sweep

import (
	"testing"
	"time"

	"vanilla/graph"
	"vanilla/kernels"
	"vanilla/kernels/cpu"
	"vanilla/mnist"
	"vanilla/train"
)

// BenchmarkSweep runs a sweep, from the spec to the last record, and the same
// networks as one population, which is timed as the population suite of package
// bench does: training alone. %ofbench is the rate of the one over the other's.
func BenchmarkSweep(b *testing.B) {
	data, err := mnist.Embedded()
	if err != nil {
		b.Fatal(err)
	}
	spec := small(func(s *Spec) {
		s.Space, s.Points = map[string]string{"layers": "1..3", "hidden": "8..128", "activation": "relu,silu", "lr": "0.03..0.3"}, 64
		s.Recipe.Epochs = 4
	})
	p, err := NewPlan(b.Context(), spec, train.FingerprintOf(data))
	if err != nil {
		b.Fatal(err)
	}
	set := train.HoldOut(data, spec.Recipe.Validation)
	networks := new(graph.Cache)
	var variants []kernels.Variant
	var warm, until []int
	for _, point := range p.Points {
		r := point.Recipe
		network, err := r.Build(networks)
		if err != nil {
			b.Fatal(err)
		}
		v := train.Spec{Recipe: r, Seed: 1, OrderSeed: 1}.Variant(network.Program)
		variants = append(variants, v)
		warm = append(warm, 1)
		until = append(until, 1+r.Epochs*v.StepsPerEpoch(set.Train.Len()))
	}
	var alone, whole time.Duration
	for b.Loop() {
		start := time.Now()
		if _, err := Run(b.Context(), cpu.New(), data, b.TempDir(), spec, Options{}); err != nil {
			b.Fatal(err)
		}
		whole += time.Since(start)

		population, err := cpu.New().Prepare(set, variants)
		if err != nil {
			b.Fatal(err)
		}
		if err := population.Advance(b.Context(), warm, nil); err != nil {
			b.Fatal(err)
		}
		start = time.Now()
		if err := population.Advance(b.Context(), until, nil); err != nil {
			b.Fatal(err)
		}
		alone += time.Since(start)
		if err := population.Close(); err != nil {
			b.Fatal(err)
		}
	}
	epochs := float64(len(variants)*spec.Recipe.Epochs) * float64(b.N)
	b.ReportMetric(epochs/whole.Seconds(), "network-epochs/s")
	b.ReportMetric(epochs/alone.Seconds(), "bench-network-epochs/s")
	b.ReportMetric(100*alone.Seconds()/whole.Seconds(), "%ofbench")
}
