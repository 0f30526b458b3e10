// Package samples holds graphs that users of Gorgonia write: the committed set
// by which the lowering is measured. Each has a kind, so that the README can say
// how many of a kind run and how many become fast programs, and a list of the
// calls that wrote it, which PyTorch repeats: testdata/pytorch.json.gz holds the
// gradients that it finds in float64 (make samples).
package samples

import (
	"iter"
	"testing"

	"gorgonia.org/tensor"

	"vanilla/graph"
)

// The extents of all samples: inputs of 12 numbers, 4 classes.
const (
	Features = 12
	Classes  = 4
)

// Sample is one graph.
type Sample struct {
	Kind, Name string
	// Refused is what the lowering says of a graph that it must not accept, or
	// empty.
	Refused string
	// Plain is true if the graph must become a fast program, and Wrong if it
	// looks like one and must not.
	Plain, Wrong bool
	write        func(p *pen)
}

// Build returns a builder of the graph in float32 or float64.
func (s Sample) Build(dtype tensor.Dtype) graph.Builder {
	return func(batch int) (*graph.Graph, error) {
		p := newPen(dtype, batch, Features, Classes)
		s.write(p)
		return p.g, nil
	}
}

// Lowered are the samples that are not refused, and what they are lowered to. The test
// ends if one is not.
func Lowered(t testing.TB, dtype tensor.Dtype) iter.Seq2[Sample, *graph.Network] {
	return func(yield func(Sample, *graph.Network) bool) {
		for _, s := range All() {
			if s.Refused != "" {
				continue
			}
			n, err := graph.Lower(s.Name, s.Build(dtype))
			if err != nil {
				t.Fatal(err)
			}
			if !yield(s, n) {
				return
			}
		}
	}
}

// Trace is what PyTorch needs to repeat a graph.
type Trace struct {
	Name         string
	Batch        int
	Steps        []Step
	Params       []int
	Output, Loss int
}

// Trace lists the calls that write the graph at a batch size. It fails if
// Gorgonia cannot build it.
func (s Sample) Trace(batch int) (t Trace, err error) {
	var p *pen
	_, err = graph.Builder(func(batch int) (*graph.Graph, error) {
		p = newPen(tensor.Float64, batch, Features, Classes)
		s.write(p)
		return p.g, nil
	}).Differentiate(batch)
	if err != nil {
		return t, err
	}
	return Trace{s.Name, batch, p.steps, p.params, p.output, p.loss}, nil
}

// All lists the samples, kind by kind.
func All() []Sample {
	var all []Sample
	for _, k := range []struct {
		kind    string
		samples []Sample
	}{
		{"plain chains", chains()},
		{"residual connections", residuals()},
		{"activations of sums, leaky and composed ones", activations()},
		{"gates", gates()},
		{"dropout and noise", random()},
		{"label smoothing and other losses", losses()},
		{"penalties", penalties()},
		{"layer norm and batch norm", norms()},
		{"tied and frozen weights", ties()},
		{"concatenation, slices and views", views()},
		{"convolution and pooling", convolutions()},
		{"attention and recurrence", attention()},
		{"softmax written by hand", softmaxes()},
		{"other functions", functions()},
		{"look like a plain chain and are none", wrong()},
		{"what must be refused", refused()},
	} {
		for _, s := range k.samples {
			s.Kind = k.kind
			all = append(all, s)
		}
	}
	return all
}

// LeNet is a builder of LeCun's network with rectifiers and the largest of each pool,
// on square images: two convolutions of 5 x 5, each with a pool of 2 x 2, then dense
// layers of 120 and 84 units (LeCun et al., Proc. IEEE 86, 1998). The side is 28, or
// another number for which pools leave nothing over: a multiple of 4.
func LeNet(side int) graph.Builder {
	return func(batch int) (*graph.Graph, error) {
		p := newPen(tensor.Float32, batch, side*side, 10)
		h := p.convolved(p.reshape(p.x, -1, 1, side, side), "1", 6, 5, 2)
		h = p.convolved(h, "2", 16, 5, 0)
		h = p.relu(p.dense(p.reshape(h, -1, 16*(side/4-2)*(side/4-2)), "3", 120))
		p.xent(p.dense(p.relu(p.dense(h, "4", 84)), "5", 10))
		return p.g, nil
	}
}
