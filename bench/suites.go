package bench

import (
	"fmt"
	"runtime"
	"slices"
	"strings"

	"vanilla/graph"
	"vanilla/kernels"
	"vanilla/mnist"
	"vanilla/model"
	"vanilla/train"
)

// SuiteNames lists the suites of [Cases].
func SuiteNames() []string { return []string{"step", "population", "wide", "eval", "peers", "repeat"} }

// Options change what a suite runs. The zero value of each means the suite's
// own.
type Options struct {
	Arch     string // suite step
	Batches  []int  // suite step
	Networks []int  // suite population: sizes
	Rounds   int    // horizon of the schedule, at least as many epochs as are run
	Examples int    // training images used, the first ones
	Peers    []Peer // suite peers
}

// A round is half an epoch, and less for larger populations, so that it is
// roundEpochs for all networks together at most.
const (
	partOfEpoch = 2
	roundEpochs = 32
)

// Cases are the pieces of work of a suite on a data set:
//
//   - step: one network on one core at several batch sizes;
//   - population: 1 to 4,096 networks on all cores, all of one shape (equal) or
//     of eight (mixed), with their own sample orders;
//   - wide: one network on one core, from 784-100-10 to the 12 million weights
//     of Ciresan, Meier, Gambardella and Schmidhuber (arXiv:1003.0358), a few
//     steps of 256 examples;
//   - eval: one network on one core, forward over the training images;
//   - repeat: one network on one core at batch 32, for [Bench.Repeat];
//   - peers: one network of batch 32 and a population of 64, on one core and on
//     all, beside other frameworks.
func Cases(suite string, data *mnist.Dataset, o Options) ([]Case, error) {
	set := train.Data(data)
	if e := &set.Train; o.Examples > 0 && o.Examples < e.Len() {
		e.Pixels, e.Labels = e.Pixels[:o.Examples*e.Features], e.Labels[:o.Examples]
	}
	set.Validation, set.Test = kernels.Examples{}, kernels.Examples{}

	var networks graph.Cache
	build := func(name string, cores int, recipes ...train.Recipe) (Case, error) {
		c := Case{Suite: suite, Name: name, Data: set, Cores: cores}
		for i, r := range recipes {
			r.Epochs = max(o.Rounds+1, 2)
			if err := r.Check(); err != nil {
				return c, err
			}
			if err := r.Fits(data); err != nil {
				return c, err
			}
			network, err := r.Build(&networks)
			if err != nil {
				return c, err
			}
			c.Variants = append(c.Variants, train.Spec{Recipe: r, Seed: uint64(i + 1), OrderSeed: uint64(i + 1)}.Variant(network))
		}
		perEpoch := c.Variants[0].StepsPerEpoch(set.Train.Len())
		c.Steps = max(1, perEpoch*roundEpochs/max(roundEpochs*partOfEpoch, len(recipes)))
		var err error
		c.Widths, err = model.Widths(recipes[0].Arch)
		return c, err
	}
	recipe := train.Default()
	recipe.Schedule = "constant"
	recipe.LR = 0.1 // the lesson's widths learn, and no width diverges
	var cases []Case
	add := func(c Case, err error) error {
		cases = append(cases, c)
		return err
	}

	switch suite {
	case "step", "repeat":
		if suite == "repeat" {
			o.Batches = []int{32}
		}
		if o.Arch != "" {
			recipe.Arch = o.Arch
		}
		for _, batch := range or(o.Batches, []int{10, 32, 128, 1024}) {
			recipe.Batch = batch
			c, err := build(fmt.Sprintf("%s, batch %d", recipe.Arch, batch), 1, recipe)
			c.Slices = 8
			if err := add(c, err); err != nil {
				return nil, err
			}
		}

	case "population":
		cores := runtime.GOMAXPROCS(0)
		for _, n := range or(o.Networks, []int{1, 4, 16, 64, 256, 1024, 4096}) {
			if n < 1 {
				return nil, &train.SettingError{Field: "networks", Value: n, Problem: "want 1 or more"}
			}
			for _, kind := range []string{"equal", "mixed"} {
				recipes := slices.Repeat([]train.Recipe{recipe}, n)
				if kind == "mixed" {
					if n == 1 {
						continue
					}
					for i := range recipes {
						recipes[i].Arch = mixedShapes[i%len(mixedShapes)]
					}
				}
				c, err := build(fmt.Sprintf("%s shapes, %s", kind, plural(n, "network")), cores, recipes...)
				c.Slices = 4
				if err := add(c, err); err != nil {
					return nil, err
				}
			}
		}

	case "wide":
		recipe.Batch, recipe.LR, recipe.WeightDecay = 256, 0.01, 0
		recipe.Activation = "tanh"
		recipe.Init = "xavier"
		for _, arch := range []string{"784-100-10", "784-300-100-10", "784-800-800-10", "784-2500-2000-1500-1000-500-10"} {
			recipe.Arch = arch
			c, err := build(arch+", batch 256", 1, recipe)
			if err != nil {
				return nil, err
			}
			c.Widths = nil // the baseline's units are sigmoid
			c.Slices = 4
			const roundFLOPs = 2e11
			perStep := float64(c.Variants[0].Program().FLOPs()) * float64(recipe.Batch)
			c.Steps = max(2, min(c.Steps, int(roundFLOPs/perStep)))
			cases = append(cases, c)
		}

	case "peers":
		for cores := 1; cores <= runtime.GOMAXPROCS(0); cores++ {
			if cores > 1 && cores < runtime.GOMAXPROCS(0) {
				continue // one, and all
			}
			for _, n := range []int{1, peerPopulation} {
				c, err := build(fmt.Sprintf("%s, %s", plural(n, "network"), plural(cores, "core")), cores, slices.Repeat([]train.Recipe{recipe}, n)...)
				if err != nil {
					return nil, err
				}
				for _, p := range o.Peers {
					if max(1, p.Population) == n {
						c.Peers = append(c.Peers, p)
					}
				}
				c.Steps = c.Variants[0].StepsPerEpoch(set.Train.Len())
				if n > 1 {
					c.Widths = nil
				}
				cases = append(cases, c)
			}
		}

	case "eval":
		c, err := build(recipe.Arch+", forward", 1, recipe)
		if err != nil {
			return nil, err
		}
		c.Evaluate = true
		cases = append(cases, c)

	default:
		return nil, &train.SettingError{Field: "suite", Value: suite, Problem: "want " + strings.Join(SuiteNames(), ", ") + " or to-accuracy"}
	}
	return cases, nil
}

// peerPopulation is the population that peers train.
const peerPopulation = 64

func plural(n int, what string) string {
	if n == 1 {
		return "1 " + what
	}
	return fmt.Sprintf("%d %ss", n, what)
}

// mixedShapes differ in depth and widths around the lesson's.
var mixedShapes = []string{
	"784-16-16-10", "784-8-10", "784-32-10", "784-12-24-10", "784-20-10-10-10", "784-24-16-10", "784-10", "784-16-16-16-16-10",
}

func or[T any](given, otherwise []T) []T {
	if len(given) > 0 {
		return given
	}
	return otherwise
}
