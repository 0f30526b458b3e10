// Command lenet trains LeCun's convolutional network, written in Gorgonia, on MNIST,
// saves it and draws its filters:
//
//	go run ./examples/lenet
//
// It takes half a minute on one core. The network is one more graph: everything
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

	. "gorgonia.org/gorgonia"
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
	e := NewGraph()
	g := &graph.Graph{
		Expr: e,
		X:    NewMatrix(e, tensor.Float32, WithShape(batch, 784), WithName("x")),
		Y:    NewMatrix(e, tensor.Float32, WithShape(batch, 10), WithName("y")),
	}
	relu := func(z *Node) *Node {
		return Must(HadamardProd(z, Must(Gt(z, NewConstant(float32(0)), true))))
	}
	convolved := func(image *Node, name string, filters, pad int) *Node {
		f := NewTensor(e, tensor.Float32, 4, WithShape(filters, image.Shape()[1], 5, 5), WithName("F"+name))
		c := NewTensor(e, tensor.Float32, 4, WithShape(1, filters, 1, 1), WithName("c"+name))
		g.Params = append(g.Params, f, c)
		z := Must(Conv2d(image, f, tensor.Shape{5, 5}, []int{pad, pad}, []int{1, 1}, []int{1, 1}))
		h := relu(Must(BroadcastAdd(z, c, nil, []byte{0, 2, 3})))
		return Must(MaxPool2D(h, tensor.Shape{2, 2}, []int{0, 0}, []int{2, 2}))
	}
	dense := func(h *Node, name string, units int) *Node {
		w := NewMatrix(e, tensor.Float32, WithShape(h.Shape()[1], units), WithName("W"+name))
		b := NewVector(e, tensor.Float32, WithShape(units), WithName("b"+name))
		g.Params = append(g.Params, w, b)
		return Must(BroadcastAdd(Must(Mul(h, w)), b, nil, []byte{0}))
	}
	h := convolved(Must(Reshape(g.X, tensor.Shape{batch, 1, 28, 28})), "1", 6, 2) // [batch, 6, 14, 14]
	h = convolved(h, "2", 16, 0)                                                  // [batch, 16, 5, 5]
	h = relu(dense(Must(Reshape(h, tensor.Shape{batch, 400})), "3", 120))
	g.Output = dense(relu(dense(h, "4", 84)), "5", 10)
	likelihood := Must(Sum(Must(HadamardProd(g.Y, Must(LogSoftMax(g.Output)))), 1))
	g.Loss = Must(Neg(Must(Mean(likelihood))))
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
	fmt.Printf("trained on %s: %d epochs in %.1f s\n", executor.Device(), r.Epochs, time.Since(begin).Seconds())
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
