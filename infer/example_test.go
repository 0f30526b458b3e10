package infer_test

import (
	"context"
	"fmt"

	"vanilla/infer"
	"vanilla/kernels/cpu"
	"vanilla/mnist"
	"vanilla/model/zoo"
)

// A network is opened on an executor, and then evaluated, asked, and looked into.
func Example() {
	data, err := mnist.Embedded()
	if err != nil {
		fmt.Println(err)
		return
	}
	trained, err := zoo.Open(zoo.Default)
	if err != nil {
		fmt.Println(err)
		return
	}
	executor := cpu.New()
	defer executor.Close()
	network, err := infer.Open(executor, trained, nil)
	if err != nil {
		fmt.Println(err)
		return
	}
	defer network.Close()

	ctx := context.Background()
	score, err := network.Evaluate(ctx, data.Test)
	if err != nil {
		fmt.Println(err)
		return
	}
	p, err := network.Probabilities(ctx, data.Test.Image(0))
	if err != nil {
		fmt.Println(err)
		return
	}
	view, err := network.View("default")
	if err != nil {
		fmt.Println(err)
		return
	}
	_, a, err := view.Activate(ctx, make([]float32, 784))
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Printf("%.0f %% are right; the first is a 7 with %.2f; black lights %d units of layer 2\n", 100*score.Accuracy(), p[7], len(a[0]))
	// Output:
	// 96 % are right; the first is a 7 with 1.00; black lights 16 units of layer 2
}
