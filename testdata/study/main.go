// Command study is what a user of the packages writes in a module of his own.
package main

import (
	"context"
	"fmt"
	"os"

	"vanilla/graph"
	"vanilla/graph/ir"
	"vanilla/kernels/device"
	"vanilla/mnist"
	"vanilla/model"
	"vanilla/train"
)

func main() {
	if err := study(os.Args[1]); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

// study trains two networks on a few images and evaluates one from its file.
func study(file string) error {
	data, err := mnist.Embedded()
	if err != nil {
		return err
	}
	data.Train.Labels = data.Train.Labels[:1000]
	data.Train.Pixels = data.Train.Pixels[:1000*data.Train.Features()]

	networks := new(train.Networks)
	executor, err := device.Open("auto", device.Fast, networks.Of)
	if err != nil {
		return err
	}
	own, err := graph.New(graph.Arch{Widths: []int{784, 12, 10}, Activation: ir.ReLU, Loss: graph.CrossEntropy})
	if err != nil {
		return err
	}
	recipe := train.Default()
	recipe.LR, recipe.Epochs = 0.1, 10
	specs := []train.Spec{{Recipe: recipe, Seed: 1, OrderSeed: 1}, {Recipe: recipe, Seed: 1, OrderSeed: 1, Network: own}}
	results, err := train.Run(context.Background(), executor, networks, data, specs, train.Options{})
	if err != nil {
		return err
	}
	if err := results[0].Model.Write(file); err != nil {
		return err
	}
	m, err := model.Read(file)
	if err != nil {
		return err
	}
	score, err := train.Evaluate(context.Background(), executor, networks, data, m)
	if err != nil {
		return err
	}
	fmt.Println(len(results), m.Arch, score.N, score.Correct == results[0].Test.Correct, results[1].Test.Accuracy() > 0.5)
	return nil
}
