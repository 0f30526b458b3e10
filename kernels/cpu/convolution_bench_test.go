package cpu_test

import (
	"context"
	"testing"
	"time"

	"vanilla/graph"
	"vanilla/graph/samples"
	"vanilla/kernels"
	"vanilla/kernels/cpu"
	"vanilla/mnist"
)

// BenchmarkLeNet trains LeNet on MNIST at batch 32, on one core. Its products are a
// third or more of what the processor's multiply-adds on registers alone come to.
func BenchmarkLeNet(b *testing.B) {
	images, err := mnist.Embedded()
	if err != nil {
		b.Fatal(err)
	}
	n, err := graph.Lower("lenet", samples.LeNet(28))
	if err != nil {
		b.Fatal(err)
	}
	const batch, steps = 32, 100
	train := kernels.Examples{Pixels: images.Train.Pixels, Labels: images.Train.Labels, Features: 784}
	v := kernels.Variant{Source: n, Optimizer: kernels.Optimizer{Name: "sgd"}, Schedule: kernels.Schedule{LR: 0.05, Name: "constant"},
		Batch: batch, Epochs: 1e5, Init: kernels.He, Seed: 1, OrderSeed: 1}
	pop, err := cpu.New().Prepare(kernels.Data{Train: train, Classes: 10, Rows: 28, Cols: 28}, []kernels.Variant{v})
	if err != nil {
		b.Fatal(err)
	}
	defer pop.Close()
	flops := float64(n.Program.FLOPs() * batch * steps)
	least, at := 1e9, 0
	ceiling := 0.0
	for b.Loop() {
		at += steps
		took := seconds(func() {
			if err := pop.Advance(context.Background(), []int{at}, nil); err != nil {
				b.Fatal(err)
			}
		})
		least = min(least, took)
		ceiling = max(ceiling, cpu.Ceiling(1, 10*time.Millisecond))
	}
	b.ReportMetric(least/steps/batch*60000, "s/epoch")
	b.ReportMetric(flops/least/1e9, "GFLOP/s")
	b.ReportMetric(flops/least/1e9/ceiling, "of-ceiling")
}
