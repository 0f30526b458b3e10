package train_test

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"path/filepath"

	"vanilla/dataset"
	"vanilla/graph"
	"vanilla/graph/ir"
	"vanilla/infer"
	"vanilla/kernels/cpu"
	"vanilla/mnist"
	"vanilla/model"
	"vanilla/train"
)

// few is MNIST with 2,000 training images, so that the examples are fast.
func few() *dataset.Dataset {
	data, err := mnist.Embedded()
	if err != nil {
		panic(err) // the executable is damaged
	}
	const n = 2000
	data.Train.Pixels = data.Train.Pixels[:n*data.Train.Features()]
	data.Train.Labels = data.Train.Labels[:n]
	return data
}

// A study: networks of different architectures, trained as one population, each
// on a core of its own; then saved, read again, and evaluated.
func Example() {
	data := few()
	var specs []train.Spec
	for _, arch := range []string{"784-10", "784-16-16-10", "784-40-10"} {
		recipe := train.Default()
		recipe.Arch, recipe.Epochs = arch, 10
		specs = append(specs, train.Spec{Recipe: recipe, Seed: 1, OrderSeed: 1})
	}
	executor := cpu.New()
	defer executor.Close()
	results, err := train.Run(context.Background(), executor, data, specs, train.Options{})
	if err != nil {
		fmt.Println(err)
		return
	}
	for _, r := range results {
		fmt.Printf("%-13s%6d parameters, %d epochs, %.0f %% right\n", r.Spec.Recipe.Arch, r.Parameters, r.Epochs, 100*r.Test.Accuracy())
	}

	dir, err := os.MkdirTemp("", "study")
	if err != nil {
		fmt.Println(err)
		return
	}
	defer os.RemoveAll(dir)
	path := filepath.Join(dir, "wide.safetensors")
	if err := results[2].Model.Write(path); err != nil {
		fmt.Println(err)
		return
	}
	wide, err := model.Read(path)
	if err != nil {
		fmt.Println(err)
		return
	}
	network, err := infer.Open(executor, wide, nil)
	if err != nil {
		fmt.Println(err)
		return
	}
	defer network.Close()
	score, err := network.Evaluate(context.Background(), data.Test)
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Printf("read again: %.0f %% of %d right\n", 100*score.Accuracy(), score.N)
	// Output:
	// 784-10         7850 parameters, 10 epochs, 88 % right
	// 784-16-16-10  13002 parameters, 10 epochs, 86 % right
	// 784-40-10     31810 parameters, 10 epochs, 90 % right
	// read again: 90 % of 10000 right
}

// Held-out images say when to stop, and the history keeps what happened.
func ExampleRun_history() {
	dir, err := os.MkdirTemp("", "history")
	if err != nil {
		fmt.Println(err)
		return
	}
	defer os.RemoveAll(dir)
	recipe := train.Default()
	recipe.Epochs, recipe.Validation, recipe.Patience = 30, 0.2, 3
	spec := train.Spec{Recipe: recipe, Seed: 1, OrderSeed: 1}
	results, err := train.Run(context.Background(), cpu.New(), few(), []train.Spec{spec},
		train.Options{History: dir, Resume: true, Snapshots: train.Snapshots{Log: true}})
	if err != nil {
		fmt.Println(err)
		return
	}
	lines, err := os.ReadFile(filepath.Join(dir, "history.jsonl"))
	if err != nil {
		fmt.Println(err)
		return
	}
	records, err := train.ReadRecords(bytes.NewReader(lines))
	if err != nil {
		fmt.Println(err)
		return
	}
	first, best := records[0], records[results[0].BestEpoch-1]
	fmt.Printf("epoch %d ended with step %d at a learning rate of %.4f\n", first.Epoch, first.Step, first.LR)
	fmt.Printf("the best one had %.0f %% of the held-out images right\n", 100*best.Accuracy)
	fmt.Printf("the network that is kept has %.0f %%: %d epochs more were no better\n", 100*results[0].Validation.Accuracy(), len(records)-best.Epoch)
	files, err := os.ReadDir(dir)
	if err != nil {
		fmt.Println(err)
		return
	}
	for _, f := range files {
		fmt.Println(f.Name())
	}
	// Output:
	// epoch 1 ended with step 50 at a learning rate of 0.9974
	// the best one had 88 % of the held-out images right
	// the network that is kept has 88 %: 3 epochs more were no better
	// checkpoint.safetensors
	// history.jsonl
	// lock
	// snapshots
}

// A recipe file names what is different from a built-in recipe.
func ExampleParseRecipe() {
	recipe, err := train.ParseRecipe([]byte("base: lesson\noptimizer: adam\nepochs: 5\n"), "mine.yaml")
	fmt.Println(recipe.Loss, recipe.Optimizer, recipe.LR, recipe.Epochs, err)

	_, err = train.ParseRecipe([]byte("optimiser: adam\n"), "mine.yaml")
	fmt.Println(err)
	// Output:
	// quadratic adam 0.001 5 <nil>
	// recipe mine.yaml:1: unknown recipe field "optimiser": did you mean optimizer?
}

// Networks that no recipe describes train from their own graphs.
func ExampleSpec_network() {
	network, err := graph.New(graph.Arch{Widths: []int{784, 20, 10}, Activation: ir.Tanh, Loss: graph.CrossEntropy}) // or graph.Lower
	if err != nil {
		fmt.Println(err)
		return
	}
	recipe := train.Default()
	recipe.LR, recipe.Epochs = 0.2, 5
	specs := []train.Spec{{Recipe: recipe, Seed: 1, OrderSeed: 1, Network: network}}
	results, err := train.Run(context.Background(), cpu.New(), few(), specs, train.Options{})
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Printf("%v, %.0f %% right\n", results[0].Model.Names(), 100*results[0].Test.Accuracy())
	// Output:
	// [W1 b1 W2 b2], 87 % right
}
