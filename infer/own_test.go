package infer

import (
	"math"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"gorgonia.org/gorgonia"
	"gorgonia.org/tensor"

	"vanilla/dataset"
	"vanilla/graph"
	"vanilla/graph/ir"
	"vanilla/kernels"
	"vanilla/kernels/cpu"
	"vanilla/kernels/ref"
	"vanilla/kernels/tape"
	"vanilla/model"
	"vanilla/viz"
)

var _ viz.Network = (*View)(nil)

// residual is 6-5-5-3 whose second hidden layer is added to its first, without
// a bias in the last layer.
func residual(quadratic bool) graph.Builder {
	return func(batch int) (*graph.Graph, error) {
		e := gorgonia.NewGraph()
		matrix := func(name string, rows, cols int) *gorgonia.Node {
			return gorgonia.NewMatrix(e, tensor.Float32, gorgonia.WithShape(rows, cols), gorgonia.WithName(name))
		}
		g := &graph.Graph{Expr: e, X: matrix("x", batch, 6), Y: matrix("y", batch, 3)}
		weigh := func(x *gorgonia.Node, name string, in, out int) *gorgonia.Node {
			w := matrix(name, in, out)
			g.Params = append(g.Params, w)
			return gorgonia.Must(gorgonia.Mul(x, w))
		}
		dense := func(x *gorgonia.Node, name string, in, out int) *gorgonia.Node {
			z := weigh(x, "W"+name, in, out)
			b := gorgonia.NewVector(e, tensor.Float32, gorgonia.WithShape(out), gorgonia.WithName("b"+name))
			g.Params = append(g.Params, b)
			return gorgonia.Must(gorgonia.BroadcastAdd(z, b, nil, []byte{0}))
		}
		first := gorgonia.Must(gorgonia.Tanh(dense(g.X, "1", 6, 5)))
		second := gorgonia.Must(gorgonia.Sigmoid(dense(first, "2", 5, 5)))
		last := weigh(gorgonia.Must(gorgonia.Add(second, first)), "W3", 5, 3)
		if quadratic {
			g.Output = gorgonia.Must(gorgonia.Sigmoid(last))
			squares := gorgonia.Must(gorgonia.Square(gorgonia.Must(gorgonia.Sub(g.Output, g.Y))))
			g.Loss = gorgonia.Must(gorgonia.Mean(gorgonia.Must(gorgonia.Sum(squares, 1))))
			return g, nil
		}
		g.Output = last
		likelihood := gorgonia.Must(gorgonia.HadamardProd(g.Y, gorgonia.Must(gorgonia.LogSoftMax(last))))
		g.Loss = gorgonia.Must(gorgonia.Neg(gorgonia.Must(gorgonia.Mean(gorgonia.Must(gorgonia.Sum(likelihood, 1))))))
		return g, nil
	}
}

// own is a network of its own with random parameters.
func own(t *testing.T, quadratic bool) (*graph.Network, *model.Model) {
	t.Helper()
	network, err := graph.Lower("residual", residual(quadratic))
	if err != nil {
		t.Fatal(err)
	}
	random := rand.New(rand.NewPCG(5, 6))
	m := &model.Model{}
	for _, q := range network.Program.Params {
		v := network.Program.Value(q.Value)
		p := model.Tensor{Name: v.Name, Shape: []int{v.Shape.Rows, v.Shape.Cols}, Data: make([]float32, v.Shape.Len(0))}
		for j := range p.Data {
			p.Data[j] = float32(random.NormFloat64())
		}
		m.Params = append(m.Params, p)
	}
	return network, m
}

// run is the definition of residual, in float64: what enters its layers, what
// leaves them, and the probabilities.
func run(m *model.Model, x []float32, quadratic bool) (z, a [3][]float64) {
	dense := func(w, b []float32, x []float64, out int) []float64 {
		z := make([]float64, out)
		for i := range z {
			if b != nil {
				z[i] = float64(b[i])
			}
			for j, v := range x {
				z[i] += float64(w[i*len(x)+j]) * v
			}
		}
		return z
	}
	each := func(z []float64, f func(float64) float64) []float64 {
		out := slices.Clone(z)
		for i := range out {
			out[i] = f(out[i])
		}
		return out
	}
	p := func(i int) []float32 { return m.Params[i].Data }
	z[0] = dense(p(0), p(1), wide(x), 5)
	a[0] = each(z[0], math.Tanh)
	z[1] = dense(p(2), p(3), a[0], 5)
	a[1] = each(z[1], ir.Sigmoid.Value)
	sum := slices.Clone(a[0])
	for i, v := range a[1] {
		sum[i] += v
	}
	z[2] = dense(p(4), nil, sum, 3)
	if quadratic {
		a[2] = each(z[2], ir.Sigmoid.Value)
	} else {
		a[2] = slices.Clone(z[2])
		softmax(a[2])
	}
	return z, a
}

func same(t *testing.T, what string, got []float32, want []float64) {
	t.Helper()
	if len(got) != len(want) {
		t.Fatalf("%s: %d numbers, want %d", what, len(got), len(want))
	}
	for i := range want {
		if !(math.Abs(float64(got[i])-want[i]) <= predictionTolerance) {
			t.Errorf("%s: number %d is %v, want %v", what, i, got[i], want[i])
		}
	}
}

// A network that no list of widths describes is evaluated, asked and looked into
// like any, on every executor.
func TestOwnNetwork(t *testing.T) {
	random := rand.New(rand.NewPCG(3, 4))
	images := &dataset.Images{Rows: 2, Cols: 3, Classes: 3}
	for range 50 {
		for range 6 {
			images.Pixels = append(images.Pixels, byte(random.IntN(256)))
		}
		images.Labels = append(images.Labels, byte(random.IntN(3)))
	}
	for _, quadratic := range []bool{false, true} {
		lowered, m := own(t, quadratic)
		for _, exec := range []kernels.Executor{cpu.New(), tape.New(), ref.New()} {
			network, err := Open(exec, m, lowered)
			if err != nil {
				t.Fatal(err)
			}
			p, err := network.Probabilities(t.Context(), images.Pixels)
			if err != nil {
				t.Fatal(err)
			}
			classes, err := network.Classify(t.Context(), images.Pixels)
			if err != nil {
				t.Fatal(err)
			}
			right := 0
			for i, label := range images.Labels {
				x := make([]float32, 6)
				for j, v := range images.Image(i) {
					x[j] = float32(v) / 255
				}
				_, a := run(m, x, quadratic)
				same(t, exec.Name(), p[3*i:3*i+3], a[2])
				if classes[i] == label {
					right++
				}
				if want := kernels.Argmax(p[3*i : 3*i+3]); int(classes[i]) != want {
					t.Errorf("%s: image %d is of class %d, want %d", exec.Name(), i, classes[i], want)
				}
			}
			if score, err := network.Evaluate(t.Context(), images); err != nil || score.Correct != right || score.N != 50 {
				t.Errorf("%s: %d of %d right, %v, want %d of 50", exec.Name(), score.Correct, score.N, err, right)
			}
			if err := network.Close(); err != nil {
				t.Error(err)
			}
		}
	}
}

// A view shows the layers of a network of one's own, what enters and leaves them,
// and the slopes of what enters the last one.
func TestView(t *testing.T) {
	x := []float32{0, 0.25, 1, 0.5, 0.125, 0.75}
	dz := []float32{1, -2, 0.5}
	for _, quadratic := range []bool{false, true} {
		lowered, m := own(t, quadratic)
		network, err := Open(ref.New(), m, lowered)
		if err != nil {
			t.Fatal(err)
		}
		defer network.Close()
		view, err := network.View("mine")
		if err != nil {
			t.Fatal(err)
		}
		if view.Name() != "mine" || view.Softmax() == quadratic || len(view.Layers()) != 3 {
			t.Errorf("the view is %q, softmax %t, of %d layers", view.Name(), view.Softmax(), len(view.Layers()))
		}
		for k, want := range []model.Layer{{In: 6, Out: 5, Weight: m.Params[0].Data, Bias: m.Params[1].Data},
			{In: 5, Out: 5, Weight: m.Params[2].Data, Bias: m.Params[3].Data}, {In: 5, Out: 3, Weight: m.Params[4].Data, Bias: make([]float32, 3)}} {
			if l := view.Layers()[k]; l.In != want.In || l.Out != want.Out || !slices.Equal(l.Weight, want.Weight) || !slices.Equal(l.Bias, want.Bias) {
				t.Errorf("layer %d is %+v, want %+v", k, l, want)
			}
		}
		z, a, err := view.Activate(t.Context(), x)
		if err != nil {
			t.Fatal(err)
		}
		wantZ, wantA := run(m, x, quadratic)
		for k := range 3 {
			same(t, "what enters", z[k], wantZ[k])
			same(t, "what leaves", a[k], wantA[k])
		}
		slope, err := view.InputGradient(t.Context(), x, dz)
		if err != nil {
			t.Fatal(err)
		}
		const step = 1.0 / 1024
		want := make([]float64, len(x))
		for i := range x {
			for _, sign := range []float32{1, -1} {
				moved := slices.Clone(x)
				moved[i] += sign * step
				z, _ := run(m, moved, quadratic)
				for j, d := range dz {
					want[i] += float64(sign) * float64(d) * z[2][j] / (2 * step)
				}
			}
		}
		same(t, "slope", slope, want)
		if _, _, err := view.Activate(t.Context(), x[:5]); err == nil || !strings.Contains(err.Error(), "mine: an image of 5 pixels, the network sees 6") {
			t.Errorf("an image of 5 pixels: %v", err)
		}
	}
}

func TestOpenErrors(t *testing.T) {
	lowered, m := own(t, false)
	renamed, short := *m, *m
	renamed.Params = slices.Clone(m.Params)
	renamed.Params[2].Name = "W9"
	short.Params = m.Params[:4]
	for want, open := range map[string]func() (*Network, error){
		"only what built its graph can run it":                     func() (*Network, error) { return Open(ref.New(), m, nil) },
		`parameter 2 of the model is "W9", that of the graph "W2"`: func() (*Network, error) { return Open(ref.New(), &renamed, lowered) },
		"holds 4 parameters, the program has 5":                    func() (*Network, error) { return Open(ref.New(), &short, lowered) },
	} {
		if n, err := open(); n != nil || err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("opened %v, %v, want %s", n, err, want)
		}
	}
}
