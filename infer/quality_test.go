package infer

import (
	"context"
	"errors"
	"math"
	"slices"
	"strings"
	"testing"

	"vanilla/dataset"
	"vanilla/graph"
	"vanilla/kernels"
	"vanilla/kernels/cpu"
	"vanilla/kernels/ref"
	"vanilla/model"
)

// noisy are images of 2 x 3 pixels in three classes.
func noisy(n int) *dataset.Images {
	set := &dataset.Images{Rows: 2, Cols: 3, Classes: 3}
	for i := range n {
		set.Labels = append(set.Labels, byte(i%3))
		for p := range 6 {
			set.Pixels = append(set.Pixels, byte(37*i+91*p+i*p*p))
		}
	}
	return set
}

// A graph of one's own, with and without softmax: what is counted is what the
// definition of the network says, image by image, on every executor, in chunks or not.
func TestQualityOfOwnGraph(t *testing.T) {
	for _, quadratic := range []bool{false, true} {
		network, m := own(t, quadratic)
		// A unit that is always 1, and one that is always -1.
		for i := range 6 {
			m.Params[0].Data[2*6+i], m.Params[0].Data[4*6+i] = 0, 0
		}
		m.Params[1].Data[2], m.Params[1].Data[4] = 30, -30
		set := noisy(1300) // more than are run at once
		right, top2, sure := 0, 0, 0.
		for i, label := range set.Labels {
			x := make([]float32, 6)
			for p, v := range set.Image(i) {
				x[p] = float32(v) / 255
			}
			_, a := run(m, x, quadratic)
			before := 0
			for _, v := range a[2] {
				if v > a[2][label] {
					before++
				}
			}
			if before == 0 {
				right++
			}
			if before < 2 {
				top2++
			}
			sure += slices.Max(a[2]) / float64(set.Len())
		}
		for _, exec := range []kernels.Executor{cpu.New(), ref.New()} {
			n, err := Open(exec, m, network)
			if err != nil {
				t.Fatal(err)
			}
			q, err := n.Quality(t.Context(), set)
			if err != nil {
				t.Fatal(err)
			}
			if q.N != 1300 || math.Abs(q.Accuracy*1300-float64(right)) > 1e-9 || math.Abs(q.Top2*1300-float64(top2)) > 1e-9 || q.Softmax == quadratic {
				t.Errorf("%s, quadratic %v: %v and %v of 1300, want %d and %d", exec.Name(), quadratic, q.Accuracy*1300, q.Top2*1300, right, top2)
			}
			if math.Abs(q.Calibration.Confidence-sure) > 1e-5 {
				t.Errorf("%s, quadratic %v: %v sure, want %v", exec.Name(), quadratic, q.Calibration.Confidence, sure)
			}
			if len(q.Hidden) != 2 || !slices.Equal(q.Hidden[0].Dead, []int{2, 4}) || q.Hidden[0].Units != 5 || len(q.Hidden[1].Dead) != 0 {
				t.Errorf("%s, quadratic %v: hidden layers %+v, want the units 2 and 4 of the first dead", exec.Name(), quadratic, q.Hidden)
			}
			if err := n.Close(); err != nil {
				t.Fatal(err)
			}
		}
	}
}

// In a chain of relu units those are dead whose sums are below zero for all images.
func TestQualityOfChain(t *testing.T) {
	arch, err := graph.NamedArch([]int{6, 4, 2}, nil, "relu", "cross-entropy")
	if err != nil {
		t.Fatal(err)
	}
	network, err := graph.New(arch)
	if err != nil {
		t.Fatal(err)
	}
	m := &model.Model{Arch: "6-4-2", Activation: "relu", Loss: "cross-entropy"}
	for _, q := range network.Program.Params {
		v := network.Program.Value(q.Value)
		p := model.Tensor{Name: v.Name, Shape: v.Shape.At(0), Data: make([]float32, v.Shape.Len(0))}
		for i := range p.Data {
			p.Data[i] = float32(i%3) - 0.8
		}
		if q.Bias {
			p.Shape = p.Shape[1:]
			p.Data[0] = -50
		}
		m.Params = append(m.Params, p)
	}
	n, err := Open(cpu.New(), m, nil)
	if err != nil {
		t.Fatal(err)
	}
	defer n.Close()
	set := noisy(40)
	if _, err := n.Quality(t.Context(), set); err == nil || !strings.Contains(err.Error(), "3 classes, the network takes 6 and knows 2") {
		t.Errorf("of images of an unknown class: %v", err)
	}
	for i := range set.Labels {
		set.Labels[i] %= 2
	}
	set.Classes = 2
	q, err := n.Quality(t.Context(), set)
	if err != nil {
		t.Fatal(err)
	}
	if len(q.Hidden) != 1 || q.Hidden[0].Name != "h1" || !slices.Equal(q.Hidden[0].Dead, []int{0}) {
		t.Errorf("hidden layers %+v, want unit 0 of h1 dead", q.Hidden)
	}
	stopped, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := n.Quality(stopped, set); !errors.Is(err, context.Canceled) {
		t.Errorf("stopped: %v", err)
	}
	if _, err := n.Quality(t.Context(), &dataset.Images{Rows: 2, Cols: 3, Classes: 2}); err == nil {
		t.Error("no images were measured")
	}
}
