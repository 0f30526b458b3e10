package cpu

import (
	"context"
	"fmt"
	"slices"
	"testing"
	"time"

	"vanilla/dataset"
	"vanilla/graph"
	"vanilla/graph/ir"
	"vanilla/kernels"
	"vanilla/mnist"
)

// BenchmarkEpoch trains whole epochs of MNIST, the order's shuffling included.
// Beside the wall-clock mean it reports the processor time of the fastest epoch
// and of the median one.
func BenchmarkEpoch(b *testing.B) {
	data := digits(b)
	for _, set := range available() {
		for _, widths := range [][]int{{784, 8, 8, 10}, {784, 16, 16, 10}, {784, 24, 24, 10}, {784, 32, 16, 10}, {784, 64, 16, 10}, {784, 128, 64, 10}} {
			p := programOf(b, graph.Arch{Widths: widths, Activation: ir.Sigmoid, Loss: graph.CrossEntropy})
			for _, batch := range []int{10, 32, 128, 1000} {
				b.Run(fmt.Sprintf("set=%s/arch=%s/batch=%d", set.name, arch(widths), batch), func(b *testing.B) {
					benchmarkEpoch(b, data, set, p, batch, 0, kernels.Optimizer{Name: "sgd", WeightDecay: 1e-4}, 1)
				})
			}
		}
	}
}

// BenchmarkShift is BenchmarkEpoch without random shifts and with them.
func BenchmarkShift(b *testing.B) {
	data := digits(b)
	p := programOf(b, graph.Arch{Widths: []int{784, 16, 16, 10}, Activation: ir.Sigmoid, Loss: graph.CrossEntropy})
	for _, set := range available() {
		for _, shift := range []int{0, 1} {
			b.Run(fmt.Sprintf("set=%s/shift=%d", set.name, shift), func(b *testing.B) {
				benchmarkEpoch(b, data, set, p, 32, shift, kernels.Optimizer{Name: "sgd", WeightDecay: 1e-4}, 1)
			})
		}
	}
}

// BenchmarkOptimizers and BenchmarkActivations are BenchmarkEpoch of each.
func BenchmarkOptimizers(b *testing.B) {
	data := digits(b)
	for _, set := range available() {
		for _, widths := range [][]int{{784, 16, 16, 10}, {784, 128, 64, 10}} {
			p := programOf(b, graph.Arch{Widths: widths, Activation: ir.Sigmoid, Loss: graph.CrossEntropy})
			for _, name := range kernels.OptimizerNames() {
				o, err := kernels.NewOptimizer(name)
				if err != nil {
					b.Fatal(err)
				}
				o.WeightDecay = 1e-4
				b.Run(fmt.Sprintf("set=%s/arch=%s/optimizer=%s", set.name, arch(widths), name), func(b *testing.B) {
					benchmarkEpoch(b, data, set, p, 32, 0, o, 0.001)
				})
			}
		}
	}
}

func BenchmarkActivations(b *testing.B) {
	data := digits(b)
	for _, set := range available() {
		for _, f := range ir.Activations() {
			p := chain(b, f, ir.Xent, 784, 128, 64, 10)
			b.Run(fmt.Sprintf("set=%s/activation=%s", set.name, f), func(b *testing.B) {
				benchmarkEpoch(b, data, set, p, 32, 0, kernels.Optimizer{Name: "sgd", WeightDecay: 1e-4}, 0.01)
			})
		}
	}
}

// narrowed is the executor on a processor that has no wider set than the given one.
func narrowed(set *routines) executor {
	sets := available()
	return newExecutor(sets[slices.Index(sets, set):])
}

func benchmarkEpoch(b *testing.B, data kernels.Data, set *routines, p *ir.Program, batch, shift int, o kernels.Optimizer, lr float64) {
	population, err := narrowed(set).Prepare(data, []kernels.Variant{{
		Source: p, Optimizer: o,
		Schedule: kernels.Schedule{LR: lr, Name: "constant"}, Batch: batch, Epochs: 40, Augment: kernels.Augment{Shift: shift},
		Init: kernels.Scaled, Seed: 1, OrderSeed: 1,
	}})
	if err != nil {
		b.Fatal(err)
	}
	defer population.Close()
	steps := (data.Train.Len() + batch - 1) / batch
	until := 1 // the first step encodes the data
	advance := func() time.Duration {
		before := processorTime()
		if err := population.Advance(context.Background(), []int{until}, nil); err != nil {
			b.Fatal(err)
		}
		return processorTime() - before
	}
	advance()
	var times []time.Duration
	for b.Loop() {
		until += steps
		times = append(times, advance())
	}
	slices.Sort(times)
	b.ReportMetric(float64(times[0])/1e6, "min-cpu-ms/epoch")
	b.ReportMetric(float64(times[len(times)/2])/1e6, "median-cpu-ms/epoch")
}

// BenchmarkWide trains wide networks, among them the largest of Cireşan et al.,
// "Deep, big, simple neural nets", Neural Computation 22 (2010), and reports
// floating-point operations per second of processor time, zero pixels counted
// as if they were multiplied.
func BenchmarkWide(b *testing.B) {
	const steps, batch = 4, 256
	data := digits(b)
	for _, set := range available() {
		for _, widths := range [][]int{{784, 100, 10}, {784, 800, 800, 10}, {784, 2500, 2000, 1500, 1000, 500, 10}} {
			p := programOf(b, graph.Arch{Widths: widths, Activation: ir.Tanh, Loss: graph.CrossEntropy})
			b.Run(fmt.Sprintf("set=%s/arch=%s/batch=%d", set.name, arch(widths), batch), func(b *testing.B) {
				v := kernels.Variant{
					Source: p, Optimizer: kernels.Optimizer{Name: "sgd"}, Schedule: kernels.Schedule{LR: 0.01, Name: "constant"},
					Batch: batch, Epochs: 1, Init: kernels.Scaled, Seed: 1, OrderSeed: 1,
				}
				m := prepare(b, v, data, set)
				var times []time.Duration
				for b.Loop() {
					before := processorTime()
					for i := range steps {
						if _, err := m.Step(numbers((i + 1) * batch)[i*batch:], nil, 0.01, i); err != nil {
							b.Fatal(err)
						}
					}
					times = append(times, processorTime()-before)
				}
				slices.Sort(times)
				work := float64(p.FLOPs()) * steps * batch
				b.ReportMetric(work/float64(times[0]), "max-GFLOP/cpu-s")
				b.ReportMetric(work/float64(times[len(times)/2]), "median-GFLOP/cpu-s")
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

func programOf(tb testing.TB, a graph.Arch) *ir.Program {
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
	return kernels.Data{Train: examples(d.Train), Test: examples(d.Test), Classes: d.Train.Classes, Rows: d.Train.Rows, Cols: d.Train.Cols}
}

func examples(m *dataset.Images) kernels.Examples {
	return kernels.Examples{Pixels: m.Pixels, Labels: m.Labels, Features: m.Rows * m.Cols}
}

// BenchmarkEncode makes the records of a batch, as every step on shifted images
// does.
func BenchmarkEncode(b *testing.B) {
	const batch = 32
	data := digits(b)
	for _, set := range available() {
		b.Run(fmt.Sprintf("set=%s/batch=%d", set.name, batch), func(b *testing.B) {
			d, in, fastest := encodeData(data, set), new(input), time.Duration(1<<62)
			for b.Loop() { // all batches once
				before, e := processorTime(), data.Train
				for from := 0; from < e.Len(); from += batch {
					in.Examples = kernels.Examples{Pixels: e.Pixels[from*e.Features:][:batch*e.Features], Labels: e.Labels[from:][:batch], Features: e.Features}
					d.write(in, nil)
				}
				fastest = min(fastest, processorTime()-before)
			}
			b.ReportMetric(float64(fastest)/float64(data.Train.Len()), "min-cpu-ns/example")
		})
	}
}

// BenchmarkLoad is what a run does with the training set at its beginning.
func BenchmarkLoad(b *testing.B) {
	data := digits(b)
	for _, set := range available() {
		b.Run("set="+set.name, func(b *testing.B) {
			var times []time.Duration
			for b.Loop() {
				before := processorTime()
				d := encodeData(data, set)
				d.encode(&d.splits[kernels.Train])
				times = append(times, processorTime()-before)
			}
			b.ReportMetric(float64(times[0])/1e6, "first-cpu-ms")
			b.ReportMetric(float64(slices.Min(times))/1e6, "min-cpu-ms")
		})
	}
}

// BenchmarkDensity is a step with all columns hot and with all cold, by the
// fraction of pixels that are not zero. hotDensity is where they meet.
func BenchmarkDensity(b *testing.B) {
	p := programOf(b, graph.Arch{Widths: []int{784, 16, 16, 10}, Activation: ir.Sigmoid, Loss: graph.CrossEntropy})
	for _, set := range available() {
		for _, density := range []float64{0.2, 0.3, 0.4, 0.5, 0.75, 1} {
			for _, hot := range []bool{true, false} {
				b.Run(fmt.Sprintf("set=%s/density=%v/hot=%v", set.name, density, hot), func(b *testing.B) {
					r := *set
					r.hotDensity = 2
					if hot {
						r.hotDensity = 0
					}
					m := prepare(b, variant(p, 32, 0), data(784, 10, 32000, density), &r)
					order := numbers(32000)
					fastest := time.Duration(1 << 62)
					for b.Loop() { // an epoch
						before := processorTime()
						for at := 0; at < len(order); at += 32 {
							if _, err := m.Step(order[at:at+32], nil, 0.01, 0); err != nil {
								b.Fatal(err)
							}
						}
						fastest = min(fastest, processorTime()-before)
					}
					b.ReportMetric(float64(fastest)/1e3*32/float64(len(order)), "min-cpu-µs/step")
				})
			}
		}
	}
}

// BenchmarkProducts is the two products alone, on blocks that fit the caches.
func BenchmarkProducts(b *testing.B) {
	const n, depth = 96, 256
	for _, r := range available() {
		report := func(b *testing.B, panels int, run func()) {
			fastest := time.Duration(1 << 62)
			for b.Loop() {
				before := time.Now()
				for range 20 {
					run()
				}
				fastest = min(fastest, time.Since(before))
			}
			b.ReportMetric(20*2*n*depth*lanes*float64(panels)/float64(fastest), "max-GFLOP/s")
		}
		a, w := make([]float32, n*depth), make([]float32, 3*depth*lanes)
		z, zeros := make([]float32, 3*n*lanes), make([]float32, 3*lanes)
		b.Run("set="+r.name+"/routine=multiply", func(b *testing.B) {
			report(b, r.multiplyPanels, func() {
				r.multiply(z, zeros, a, w, n, n, depth, r.multiplyPanels, 0, lanes, depth*lanes)
			})
		})
		b.Run("set="+r.name+"/routine=accumulate", func(b *testing.B) {
			report(b, r.accumulatePanels, func() {
				r.accumulate(w, a, z, n, n, depth, r.accumulatePanels, depth*lanes, 1, 1)
			})
		})
	}
}
