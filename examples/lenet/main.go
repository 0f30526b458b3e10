// Command lenet trains LeCun's convolutional network, written in Gorgonia, on MNIST,
// saves it and draws its filters:
//
//	go run ./examples/lenet
//
// It takes about half a minute and comes to 99 %. The network is one more graph: everything
// vanilla does with a model it does with this one too, as in
//
//	vanilla eval lenet.safetensors
package main

import (
	"context"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"time"

	G "gorgonia.org/gorgonia"
	"gorgonia.org/tensor"

	"vanilla/graph"
	"vanilla/kernels/device"
	"vanilla/mnist"
	"vanilla/train"
	"vanilla/viz"
)

// lenet is two convolutions of 5 x 5 with pools of 2 x 2, and three dense layers
// (LeCun et al., Gradient-based learning applied to document recognition, Proc. IEEE
// 86, 1998), with rectifiers and the largest of each pool.
func lenet(batch int) (*graph.Graph, error) {
	e := G.NewGraph()
	g := &graph.Graph{
		Expr: e,
		X:    G.NewMatrix(e, tensor.Float32, G.WithShape(batch, 784), G.WithName("x")),
		Y:    G.NewMatrix(e, tensor.Float32, G.WithShape(batch, 10), G.WithName("y")),
	}
	relu := func(z *G.Node) *G.Node {
		return G.Must(G.HadamardProd(z, G.Must(G.Gt(z, G.NewConstant(float32(0)), true))))
	}
	convolved := func(image *G.Node, name string, filters, pad int) *G.Node {
		f := G.NewTensor(e, tensor.Float32, 4, G.WithShape(filters, image.Shape()[1], 5, 5), G.WithName("F"+name))
		c := G.NewTensor(e, tensor.Float32, 4, G.WithShape(1, filters, 1, 1), G.WithName("c"+name))
		g.Params = append(g.Params, f, c)
		z := G.Must(G.Conv2d(image, f, tensor.Shape{5, 5}, []int{pad, pad}, []int{1, 1}, []int{1, 1}))
		h := relu(G.Must(G.BroadcastAdd(z, c, nil, []byte{0, 2, 3})))
		return G.Must(G.MaxPool2D(h, tensor.Shape{2, 2}, []int{0, 0}, []int{2, 2}))
	}
	dense := func(h *G.Node, name string, units int) *G.Node {
		w := G.NewMatrix(e, tensor.Float32, G.WithShape(h.Shape()[1], units), G.WithName("W"+name))
		b := G.NewVector(e, tensor.Float32, G.WithShape(units), G.WithName("b"+name))
		g.Params = append(g.Params, w, b)
		return G.Must(G.BroadcastAdd(G.Must(G.Mul(h, w)), b, nil, []byte{0}))
	}
	h := convolved(G.Must(G.Reshape(g.X, tensor.Shape{batch, 1, 28, 28})), "1", 6, 2) // [batch, 6, 14, 14]
	h = convolved(h, "2", 16, 0)                                                      // [batch, 16, 5, 5]
	h = relu(dense(G.Must(G.Reshape(h, tensor.Shape{batch, 400})), "3", 120))
	g.Output = dense(relu(dense(h, "4", 84)), "5", 10)
	likelihood := G.Must(G.Sum(G.Must(G.HadamardProd(g.Y, G.Must(G.LogSoftMax(g.Output)))), 1))
	g.Loss = G.Must(G.Neg(G.Must(G.Mean(likelihood))))
	return g, nil
}

// recipe is how it trains.
func recipe() train.Recipe {
	r := train.Default()
	r.Optimizer, r.LR, r.Schedule, r.Init, r.WeightDecay = "adam", 0.002, "cosine", "he", 0
	r.Batch, r.Epochs = 64, 12
	return r
}

func main() {
	r := recipe()
	flag.IntVar(&r.Epochs, "epochs", r.Epochs, "how many times all images are trained on")
	seed := flag.Uint64("seed", 1, "of the initial weights and the order of the images")
	where := flag.String("device", "auto", "where it trains: auto, cpu, cuda")
	out := flag.String("o", "lenet.safetensors", "the model file")
	filters := flag.String("filters", "filters.png", "the picture of its filters")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	if err := run(ctx, r, *seed, *where, *out, *filters); err != nil {
		fmt.Fprintln(os.Stderr, "lenet:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, r train.Recipe, seed uint64, where, out, filters string) error {
	data, err := mnist.Embedded()
	if err != nil {
		return err
	}
	network, err := graph.Lower("lenet", lenet)
	if err != nil {
		return err
	}
	executor, err := device.Open(where, device.Fast)
	if err != nil {
		return err
	}
	defer executor.Close()
	begin := time.Now()
	results, err := train.Run(ctx, executor, data, []train.Spec{{Recipe: r, Seed: seed, OrderSeed: seed, Network: network}}, train.Options{})
	if err != nil {
		return err
	}
	test := results[0].Test
	fmt.Printf("trained on %s in %.1f s, epochs: %d\n", executor.Device(), time.Since(begin).Seconds(), r.Epochs)
	fmt.Printf("test accuracy %.2f %% (%d of %d)\n", 100*float64(test.Correct)/float64(test.N), test.Correct, test.N)
	if err := results[0].Model.Write(out); err != nil {
		return err
	}
	figure, err := viz.NewFilters(results[0].Model, "lenet")
	if err != nil {
		return err
	}
	file, err := os.Create(filters)
	if err != nil {
		return err
	}
	defer file.Close()
	if err := viz.Write(ctx, file, figure, viz.PNG, viz.Light); err != nil {
		return err
	}
	fmt.Printf("saved in %s, its filters in %s\n", out, filters)
	return file.Close()
}
