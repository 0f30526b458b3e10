package cpu

import (
	"context"
	"fmt"
	"testing"

	"vanilla/graph"
	"vanilla/graph/ir"
	"vanilla/kernels"
	"vanilla/mnist"
)

// BenchmarkEpoch trains whole epochs of MNIST, the order's shuffling included.
func BenchmarkEpoch(b *testing.B) {
	data := digits(b)
	for _, widths := range [][]int{{784, 16, 16, 10}, {784, 128, 64, 10}} {
		p := network(b, graph.Arch{Widths: widths, Activation: ir.Sigmoid, Loss: graph.CrossEntropy})
		for _, batch := range []int{10, 32, 128} {
			b.Run(fmt.Sprintf("arch=%s/batch=%d", arch(widths), batch), func(b *testing.B) {
				population, err := New().Prepare(data, []kernels.Variant{{
					Program: p, Optimizer: kernels.Optimizer{Name: "sgd", WeightDecay: 1e-4},
					Rate: kernels.Rate{StepSize: 1, Schedule: "constant"}, Batch: batch, Epochs: 40,
					Init: kernels.Scaled, Seed: 1, OrderSeed: 1,
				}})
				if err != nil {
					b.Fatal(err)
				}
				defer population.Close()
				steps := (data.Train.Len() + batch - 1) / batch
				until := 1 // the first step encodes the data
				advance := func() {
					if err := population.Advance(context.Background(), []int{until}, nil); err != nil {
						b.Fatal(err)
					}
				}
				advance()
				for b.Loop() {
					until += steps
					advance()
				}
			})
		}
	}
}

func arch(widths []int) string {
	s := ""
	for i, w := range widths {
		if i > 0 {
			s += "-"
		}
		s += fmt.Sprint(w)
	}
	return s
}

func network(tb testing.TB, a graph.Arch) *ir.Program {
	n, err := graph.New(a)
	if err != nil {
		tb.Fatal(err)
	}
	return n.Program
}

func digits(tb testing.TB) kernels.Data {
	d, err := mnist.Embedded()
	if err != nil {
		tb.Fatal(err)
	}
	return kernels.Data{Train: examples(d.Train), Test: examples(d.Test), Classes: d.Train.Classes}
}

func examples(m *mnist.Images) kernels.Examples {
	return kernels.Examples{Pixels: m.Pixels, Labels: m.Labels, Features: m.Rows * m.Cols}
}

// BenchmarkDensity is a step over records and over dense rows, by the fraction
// of pixels that are not zero. sparseDensity is where they meet.
func BenchmarkDensity(b *testing.B) {
	p := network(b, graph.Arch{Widths: []int{784, 16, 16, 10}, Activation: ir.Sigmoid, Loss: graph.CrossEntropy})
	for _, density := range []float64{0.2, 0.5, 0.75, 0.85, 1} {
		for _, sparse := range []bool{true, false} {
			b.Run(fmt.Sprintf("density=%v/sparse=%v", density, sparse), func(b *testing.B) {
				d := newDataset(data(784, 10, 3200, density))
				d.density = func() float64 {
					if sparse {
						return 0
					}
					return 1
				}
				m := prepare(b, variant(p, 32, 0), d)
				order := numbers(3200)
				at := 0
				for b.Loop() {
					if _, err := m.Step(order[at:at+32], 0.01, 0); err != nil {
						b.Fatal(err)
					}
					at = (at + 32) % len(order)
				}
			})
		}
	}
}
