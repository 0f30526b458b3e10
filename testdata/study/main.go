// Command study is what a user of the packages writes in a module of their own.
package main

import (
	"context"
	"errors"
	"fmt"
	"os"

	"gorgonia.org/gorgonia"
	"gorgonia.org/tensor"

	"vanilla/graph"
	"vanilla/infer"
	"vanilla/kernels"
	"vanilla/kernels/device"
	"vanilla/mnist"
	"vanilla/model"
	"vanilla/train"
	"vanilla/viz"
)

func main() {
	if err := study(os.Args[1], os.Args[2]); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

// residual is a network that no list of widths describes: its second hidden
// layer is added to its first.
func residual(batch int) (*graph.Graph, error) {
	e := gorgonia.NewGraph()
	matrix := func(name string, rows, cols int) *gorgonia.Node {
		return gorgonia.NewMatrix(e, tensor.Float32, gorgonia.WithShape(rows, cols), gorgonia.WithName(name))
	}
	g := &graph.Graph{Expr: e, X: matrix("x", batch, 784), Y: matrix("y", batch, 10)}
	dense := func(x *gorgonia.Node, name string, in, out int) *gorgonia.Node {
		w := matrix("W"+name, in, out)
		b := gorgonia.NewVector(e, tensor.Float32, gorgonia.WithShape(out), gorgonia.WithName("b"+name))
		g.Params = append(g.Params, w, b)
		return gorgonia.Must(gorgonia.BroadcastAdd(gorgonia.Must(gorgonia.Mul(x, w)), b, nil, []byte{0}))
	}
	first := gorgonia.Must(gorgonia.Tanh(dense(g.X, "1", 784, 12)))
	second := gorgonia.Must(gorgonia.Tanh(dense(first, "2", 12, 12)))
	g.Output = dense(gorgonia.Must(gorgonia.Add(first, second)), "3", 12, 10)
	likelihood := gorgonia.Must(gorgonia.HadamardProd(g.Y, gorgonia.Must(gorgonia.LogSoftMax(g.Output))))
	g.Loss = gorgonia.Must(gorgonia.Neg(gorgonia.Must(gorgonia.Mean(gorgonia.Must(gorgonia.Sum(likelihood, 1))))))
	return g, nil
}

// study trains a chain of layers and a network of its own, on an executor, on a
// few images. The chain is evaluated from its file, the other one as it is; then
// it is asked, and drawn.
func study(executor, file string) (err error) {
	data, err := mnist.Embedded()
	if err != nil {
		return err
	}
	data.Train.Labels = data.Train.Labels[:1000]
	data.Train.Pixels = data.Train.Pixels[:1000*data.Train.Features()]

	exec, err := device.Open("cpu", executor)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, exec.Close()) }()
	own, err := graph.Lower("residual", residual)
	if err != nil {
		return err
	}
	recipe := train.Default()
	recipe.Activation, recipe.LR, recipe.Epochs = "relu", 0.1, 10
	specs := []train.Spec{{Recipe: recipe, Seed: 1, OrderSeed: 1}, {Recipe: recipe, Seed: 1, OrderSeed: 1, Network: own}}
	ctx := context.Background()
	results, err := train.Run(ctx, exec, data, specs, train.Options{})
	if err != nil {
		return err
	}
	if err := results[0].Model.Write(file); err != nil {
		return err
	}
	chain, err := model.Read(file)
	if err != nil {
		return err
	}
	for i, m := range []*model.Model{chain, results[1].Model} {
		network, err := infer.Open(exec, m, specs[i].Network)
		if err != nil {
			return err
		}
		score, err := network.Evaluate(ctx, data.Test)
		if err != nil {
			return err
		}
		p, err := network.Probabilities(ctx, data.Test.Image(0))
		if err != nil {
			return err
		}
		view, err := network.View("mine")
		if err != nil {
			return err
		}
		weights, err := viz.NewWeights(ctx, view, 28, 28, viz.SharedScale)
		if err != nil {
			return err
		}
		f, err := os.Create(fmt.Sprintf("%s.%d.svg", file, i))
		if err != nil {
			return err
		}
		if err := errors.Join(viz.Write(ctx, f, weights, viz.SVG, viz.Light), f.Close(), network.Close()); err != nil {
			return err
		}
		fmt.Printf("%q: %d images, as many right as in training: %t, above 20 %%: %t; the first is a %d\n", m.Arch, score.N,
			score.Correct == results[i].Test.Correct, score.Accuracy() > 0.2, kernels.Argmax(p))
	}
	return nil
}
