package cpu_test

import (
	"context"
	"fmt"
	"testing"
	"time"

	"vanilla/graph"
	"vanilla/graph/ir"
	"vanilla/internal/conformance"
	"vanilla/kernels"
	"vanilla/kernels/cpu"
)

// BenchmarkTensors trains 784-128-64-10 at batch 32, relu, plain and with what makes
// it no chain of layers. The networks take turns, an epoch each of a small set, so
// that ratios hold on a machine whose speed changes: ns/op is of all of them, the
// metrics are each one's share relative to the plain one. A gated layer has twice
// the weights of a plain one: beside it stands the plain chain that has as many,
// 784-256-64-10.
func BenchmarkTensors(b *testing.B) {
	base := graph.Arch{Widths: []int{784, 128, 64, 10}, Activation: ir.ReLU, Loss: graph.CrossEntropy}
	kinds := []struct {
		name   string
		change func(a *graph.Arch)
	}{
		{"plain", func(*graph.Arch) {}},
		{"plain-256", func(a *graph.Arch) { a.Widths = []int{784, 256, 64, 10} }},
		{"dropout", func(a *graph.Arch) { a.Dropout = 0.5 }},
		{"gated", func(a *graph.Arch) { a.Block = graph.Gated }},
		{"layer-norm", func(a *graph.Arch) { a.LayerNorm = true }},
		{"label-smoothing", func(a *graph.Arch) { a.LabelSmoothing = 0.1 }},
	}
	var pops []kernels.Population
	var steps int
	for _, k := range kinds {
		a := base
		k.change(&a)
		n, err := graph.New(a)
		if err != nil {
			b.Fatal(err)
		}
		data := conformance.Data(n.Program, 1)
		data.Train = repeated(data.Train, 30)
		v := conformance.Variant(n, 32)
		steps = v.StepsPerEpoch(data.Train.Len())
		v.Epochs = 1e6
		pop, err := cpu.New().Prepare(data, []kernels.Variant{v})
		if err != nil {
			b.Fatal(err)
		}
		defer pop.Close()
		pops = append(pops, pop)
	}
	spent := make([]float64, len(pops))
	at := 0
	for b.Loop() {
		at += steps
		for i, pop := range pops {
			spent[i] += seconds(func() {
				if err := pop.Advance(context.Background(), []int{at}, nil); err != nil {
					b.Fatal(err)
				}
			})
		}
	}
	for i, k := range kinds {
		b.ReportMetric(1e6*spent[i]/float64(at), fmt.Sprintf("µs/%s-step", k.name))
		b.ReportMetric(spent[i]/spent[0], fmt.Sprintf("%s/plain", k.name))
		if k.name == "gated" {
			b.ReportMetric(spent[i]/spent[1], "gated/plain-256")
		}
	}
}

func repeated(e kernels.Examples, times int) kernels.Examples {
	out := kernels.Examples{Features: e.Features}
	for range times {
		out.Pixels, out.Labels = append(out.Pixels, e.Pixels...), append(out.Labels, e.Labels...)
	}
	return out
}

func seconds(f func()) float64 {
	begin := time.Now()
	f()
	return time.Since(begin).Seconds()
}
