package graph_test

import (
	"fmt"
	"strings"

	"gorgonia.org/gorgonia"
	"gorgonia.org/tensor"

	"vanilla/graph"
	"vanilla/graph/ir"
)

// A chain of layers becomes a Gorgonia graph, and the graph a program.
func ExampleNew() {
	network, err := graph.New(graph.Arch{Widths: []int{784, 16, 16, 10}, Activation: ir.Sigmoid, Loss: graph.CrossEntropy})
	if err != nil {
		fmt.Println(err)
		return
	}
	p := network.Program
	fmt.Printf("%d parameters in %d arrays, %d operations\n", p.Parameters(), len(p.Params), len(p.Ops))
	// Output:
	// 13002 parameters in 6 arrays, 17 operations
}

// residual is a network that no list of widths describes: its second hidden
// layer is added to its first. Gorgonia's functions return errors; a Builder may
// panic with them.
func residual(batch int) (*graph.Graph, error) {
	e := gorgonia.NewGraph()
	matrix := func(name string, rows, cols int) *gorgonia.Node {
		return gorgonia.NewMatrix(e, tensor.Float32, gorgonia.WithShape(rows, cols), gorgonia.WithName(name))
	}
	g := &graph.Graph{Expr: e, X: matrix("x", batch, 16), Y: matrix("y", batch, 3)}
	dense := func(x *gorgonia.Node, name string, in, out int) *gorgonia.Node {
		w := matrix("W"+name, in, out)
		b := gorgonia.NewVector(e, tensor.Float32, gorgonia.WithShape(out), gorgonia.WithName("b"+name))
		g.Params = append(g.Params, w, b)
		return gorgonia.Must(gorgonia.BroadcastAdd(gorgonia.Must(gorgonia.Mul(x, w)), b, nil, []byte{0}))
	}
	first := gorgonia.Must(gorgonia.Tanh(dense(g.X, "1", 16, 5)))
	second := gorgonia.Must(gorgonia.Tanh(dense(first, "2", 5, 5)))
	g.Output = dense(gorgonia.Must(gorgonia.Add(first, second)), "3", 5, 3)

	logProb := gorgonia.Must(gorgonia.LogSoftMax(g.Output))
	likelihood := gorgonia.Must(gorgonia.Sum(gorgonia.Must(gorgonia.HadamardProd(g.Y, logProb)), 1))
	g.Loss = gorgonia.Must(gorgonia.Neg(gorgonia.Must(gorgonia.Mean(likelihood))))
	return g, nil
}

// A graph that is provably one of layers, whatever it looks like, becomes a program
// of layer operations.
func ExampleLower() {
	network, err := graph.Lower("residual", residual)
	if err != nil {
		fmt.Println(err)
		return
	}
	p := network.Program
	for i, op := range p.Ops[:p.Forward] {
		fmt.Printf("%d  %s = %s\n", i, p.Value(op.Out).Name, op.Code)
	}
	// Output:
	// 0  z1 = dense
	// 1  h1 = act
	// 2  z2 = dense
	// 3  h2 = act
	// 4  s = add
	// 5  z3 = dense
	// 6  loss = xent
}

// What is no such network stays a program of tensor operations: slower, but
// exactly the graph.
func ExampleNetwork_Unfused() {
	network, err := graph.Lower("squared", func(batch int) (*graph.Graph, error) {
		g, err := residual(batch)
		if err == nil {
			g.Loss = gorgonia.Must(gorgonia.Square(g.Loss))
		}
		return g, err
	})
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println(network.Unfused())
	// Output:
	// the loss is no softmax cross-entropy of add25 and no quadratic cost, averaged over the batch (plus c/2·Σp² of parameters)
}

// WriteDOT draws the graph with its gradients for Graphviz.
func ExampleNetwork_WriteDOT() {
	network, err := graph.New(graph.Arch{Widths: []int{4, 3, 2}, Activation: ir.ReLU, Loss: graph.Quadratic})
	if err != nil {
		fmt.Println(err)
		return
	}
	var drawing strings.Builder
	if err := network.WriteDOT(&drawing); err != nil {
		fmt.Println(err)
		return
	}
	// A box for each operation of the program.
	for line := range strings.Lines(drawing.String()) {
		if _, label, found := strings.Cut(line, "\t\tlabel="); found {
			label, _, _ = strings.Cut(label, ";")
			fmt.Println(label)
		}
	}
	// Output:
	// "0 z1 = dense"
	// "1 h1 = act"
	// "2 z2 = dense"
	// "3 h2 = act"
	// "4 loss = quad"
	// "5 dh2 = dquad"
	// "6 dz2 = dact"
	// "7 db2 = dbias"
	// "8 dW2 = dweight"
	// "9 dh1 = dinput"
	// "10 dz1 = dact"
	// "11 db1 = dbias"
	// "12 dW1 = dweight"
}
