package conformance

import (
	"fmt"

	"gorgonia.org/gorgonia"
	"gorgonia.org/tensor"

	"vanilla/graph"
	"vanilla/graph/ir"
)

// Networks are the graphs that executors are held to: every activation and
// loss, widths of one, widths that are no multiple of a vector, shallow and
// deep chains, and graphs written by hand.
func Networks() ([]*graph.Network, error) {
	var all []*graph.Network
	for _, a := range []graph.Arch{
		{Widths: []int{784, 10}, Activation: ir.Sigmoid, Loss: graph.CrossEntropy},
		{Widths: []int{784, 16, 16, 10}, Activation: ir.Sigmoid, Loss: graph.CrossEntropy},
		{Widths: []int{784, 16, 16, 10}, Activation: ir.Sigmoid, Loss: graph.Quadratic},
		{Widths: []int{784, 32, 32, 32, 32, 10}, Activation: ir.Tanh, Loss: graph.CrossEntropy},
		{Widths: []int{784, 17, 10}, Activation: ir.ReLU, Loss: graph.CrossEntropy},
		{Widths: []int{64, 5, 3}, Activation: ir.ReLU, Loss: graph.Quadratic},
		{Widths: []int{64, 5, 3}, Activation: ir.LeakyReLU, Loss: graph.CrossEntropy},
		{Widths: []int{12, 1, 1, 4}, Activation: ir.Tanh, Loss: graph.CrossEntropy},
		{Widths: []int{1, 3, 2}, Activation: ir.Softplus, Loss: graph.Quadratic},
		{Widths: []int{20, 7, 17, 5}, Activation: ir.SiLU, Loss: graph.CrossEntropy},
		{Widths: []int{20, 33, 6}, Activation: ir.GELUTanh, Loss: graph.CrossEntropy},
		{Widths: []int{20, 100, 4}, Activation: ir.Softsign, Loss: graph.Quadratic},
		{Widths: []int{30, 8, 8, 8, 8, 8, 3}, Activation: ir.Identity, Loss: graph.CrossEntropy},
	} {
		n, err := graph.New(a)
		if err != nil {
			return nil, err
		}
		all = append(all, n)
	}
	for _, h := range []struct {
		name  string
		build graph.Builder
	}{
		{"by hand: skip connection", skip},
		{"by hand: two branches from the input", branches},
		{"by hand: penalties, weights [out, in], rectify, no bias", penalties},
	} {
		n, err := graph.Lower(h.name, h.build)
		if err != nil {
			return nil, err
		}
		all = append(all, n)
	}
	return all, nil
}

// pen writes graphs, panicking where Gorgonia returns an error:
// graph.Builder's callers recover.
type pen struct{ g *graph.Graph }

func newPen(batch, features, classes int) pen {
	e := gorgonia.NewGraph()
	return pen{&graph.Graph{
		Expr: e,
		X:    gorgonia.NewMatrix(e, tensor.Float32, gorgonia.WithShape(batch, features), gorgonia.WithName("x")),
		Y:    gorgonia.NewMatrix(e, tensor.Float32, gorgonia.WithShape(batch, classes), gorgonia.WithName("y")),
	}}
}

func (p pen) weight(name string, rows, cols int) *gorgonia.Node {
	w := gorgonia.NewMatrix(p.g.Expr, tensor.Float32, gorgonia.WithShape(rows, cols), gorgonia.WithName(name))
	p.g.Params = append(p.g.Params, w)
	return w
}

func (p pen) bias(n *gorgonia.Node, name string) *gorgonia.Node {
	b := gorgonia.NewVector(p.g.Expr, tensor.Float32, gorgonia.WithShape(n.Shape()[1]), gorgonia.WithName(name))
	p.g.Params = append(p.g.Params, b)
	return gorgonia.Must(gorgonia.BroadcastAdd(n, b, nil, []byte{0}))
}

func (p pen) dense(a *gorgonia.Node, layer, out int) *gorgonia.Node {
	w := p.weight(fmt.Sprintf("W%d", layer), a.Shape()[1], out)
	return p.bias(gorgonia.Must(gorgonia.Mul(a, w)), fmt.Sprintf("b%d", layer))
}

func (p pen) crossEntropy(z *gorgonia.Node) *gorgonia.Node {
	p.g.Output = z
	rows := gorgonia.Must(gorgonia.Sum(gorgonia.Must(gorgonia.HadamardProd(p.g.Y, gorgonia.Must(gorgonia.LogSoftMax(z)))), 1))
	return gorgonia.Must(gorgonia.Neg(gorgonia.Must(gorgonia.Mean(rows))))
}

// skip adds the first hidden layer to the second.
func skip(batch int) (*graph.Graph, error) {
	p := newPen(batch, 40, 5)
	h1 := gorgonia.Must(gorgonia.Sigmoid(p.dense(p.g.X, 1, 9)))
	h2 := gorgonia.Must(gorgonia.Tanh(p.dense(h1, 2, 9)))
	h3 := gorgonia.Must(gorgonia.Tanh(p.dense(gorgonia.Must(gorgonia.Add(h2, h1)), 3, 9)))
	sum := gorgonia.Must(gorgonia.Add(h3, gorgonia.Must(gorgonia.Add(h2, h1))))
	p.g.Loss = p.crossEntropy(p.dense(sum, 4, 5))
	return p.g, nil
}

// branches adds what two layers make of the input, and a third one's logits.
func branches(batch int) (*graph.Graph, error) {
	p := newPen(batch, 40, 6)
	z := gorgonia.Must(gorgonia.Add(p.dense(p.g.X, 1, 8), p.dense(p.g.X, 2, 8)))
	h := gorgonia.Must(gorgonia.Softplus(z))
	logits := gorgonia.Must(gorgonia.Add(p.dense(h, 3, 6), p.dense(p.g.X, 4, 6)))
	p.g.Loss = p.crossEntropy(logits)
	return p.g, nil
}

// penalties writes decay into the loss, keeps its weights as [out, in], uses
// Gorgonia's own Rectify and leaves out a bias.
func penalties(batch int) (*graph.Graph, error) {
	p := newPen(batch, 40, 4)
	w1, w2 := p.weight("W1", 11, 40), p.weight("W2", 4, 11)
	z1 := p.bias(gorgonia.Must(gorgonia.Mul(p.g.X, gorgonia.Must(gorgonia.Transpose(w1)))), "b1")
	h1 := gorgonia.Must(gorgonia.Rectify(z1))
	loss := p.crossEntropy(gorgonia.Must(gorgonia.Mul(h1, gorgonia.Must(gorgonia.Transpose(w2)))))
	for i, w := range []*gorgonia.Node{w1, w2} {
		squares := gorgonia.Must(gorgonia.Sum(gorgonia.Must(gorgonia.Square(w))))
		factor := gorgonia.NewConstant(float32(0.02) * float32(i+1))
		loss = gorgonia.Must(gorgonia.Add(loss, gorgonia.Must(gorgonia.Mul(factor, squares))))
	}
	p.g.Loss = loss
	return p.g, nil
}
