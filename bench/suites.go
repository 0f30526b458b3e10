package bench

import (
	"fmt"
	"runtime"
	"slices"
	"strings"

	"vanilla/dataset"
	"vanilla/graph"
	"vanilla/kernels"
	"vanilla/model"
	"vanilla/train"
)

// SuiteNames lists the suites of [Cases].
func SuiteNames() []string {
	var names []string
	for _, s := range suites {
		names = append(names, s.name)
	}
	return names
}

// Options change what a suite runs. The zero value of each means the suite's
// own.
type Options struct {
	Arch     string // suite step
	Batches  []int  // suite step
	Networks []int  // suites population and peers: sizes
	Rounds   int    // horizon of the schedule, at least as many epochs as are run
	Examples int    // training images used, the first ones
	Peers    []Peer // suite peers
	// OnGPUs is whether all executors run on GPUs, which train a population's round
	// of a CPU in a millisecond: suites population and peers have longer ones.
	OnGPUs bool
}

// OnGPUs is whether the executor of this name runs on GPUs.
func OnGPUs(executor string) bool { return executor == "cuda" || strings.HasPrefix(executor, "cuda-") }

// A round is half an epoch, and less for larger populations, so that it is
// roundEpochs for all networks together at most.
const (
	partOfEpoch = 2
	roundEpochs = 32
)

// gpuEpochs is how many epochs each of n networks trains in a round on GPUs.
func gpuEpochs(n int) int { return min(n, 32, max(1, 16384/n)) }

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
//     all, beside other frameworks; where those run on a GPU, populations of 512
//     and 4,096.
//
// Where all runs on GPUs, a round of the suites population and peers is up to 32 epochs
// of each network, 16,384 of all together.
func Cases(suite string, data *dataset.Dataset, o Options) ([]Case, error) {
	m := maker{suite: suite, data: data, set: train.Data(data), options: o, recipe: train.Default()}
	if e := &m.set.Train; o.Examples > 0 && o.Examples < e.Len() {
		e.Pixels, e.Labels = e.Pixels[:o.Examples*e.Features], e.Labels[:o.Examples]
	}
	m.set.Validation, m.set.Test = kernels.Examples{}, kernels.Examples{}
	m.recipe.Schedule = "constant"
	m.recipe.LR = 0.1 // the lesson's widths learn, and no width diverges
	for _, s := range suites {
		if s.name == suite {
			err := s.make(&m)
			return m.cases, err
		}
	}
	return nil, &train.SettingError{Field: "suite", Value: suite, Problem: "want " + strings.Join(SuiteNames(), ", ") + " or to-accuracy"}
}

// suites are all, see [Cases].
var suites = []struct {
	name string
	make func(*maker) error
}{
	{"step", (*maker).steps},
	{"population", (*maker).populations},
	{"wide", (*maker).wide},
	{"eval", (*maker).forward},
	{"peers", (*maker).peers},
	{"repeat", (*maker).repeat},
}

// maker makes a suite's cases.
type maker struct {
	suite    string
	data     *dataset.Dataset
	set      kernels.Data
	options  Options
	recipe   train.Recipe // that cases begin with
	networks graph.Cache
	cases    []Case
}

// add makes a case of networks with these recipes, whose seeds are 1, 2, ….
func (m *maker) add(name string, cores int, recipes ...train.Recipe) (*Case, error) {
	c := Case{Suite: m.suite, Name: name, Data: m.set, Cores: cores}
	epochs := 1 // of a round, at most
	if m.options.OnGPUs {
		epochs = gpuEpochs(len(recipes))
	}
	for i, r := range recipes {
		r.Epochs = max(m.options.Rounds*epochs+1, 2)
		if err := r.Check(); err != nil {
			return nil, err
		}
		if err := r.Fits(m.data); err != nil {
			return nil, err
		}
		network, err := r.Build(&m.networks)
		if err != nil {
			return nil, err
		}
		c.Variants = append(c.Variants, train.Spec{Recipe: r, Seed: uint64(i + 1), OrderSeed: uint64(i + 1)}.Variant(network))
	}
	perEpoch := c.Variants[0].StepsPerEpoch(m.set.Train.Len())
	c.Steps = max(1, perEpoch*roundEpochs/max(roundEpochs*partOfEpoch, len(recipes)))
	var err error
	if c.Widths, err = model.Widths(recipes[0].Arch); err != nil {
		return nil, err
	}
	m.cases = append(m.cases, c)
	return &m.cases[len(m.cases)-1], nil
}

func (m *maker) steps() error {
	r := m.recipe
	if m.options.Arch != "" {
		r.Arch = m.options.Arch
	}
	for _, batch := range or(m.options.Batches, []int{10, 32, 128, 1024}) {
		r.Batch = batch
		c, err := m.add(fmt.Sprintf("%s, batch %d", r.Arch, batch), 1, r)
		if err != nil {
			return err
		}
		c.Slices = 8
	}
	return nil
}

func (m *maker) repeat() error {
	m.options.Batches = []int{32}
	return m.steps()
}

func (m *maker) populations() error {
	for _, n := range or(m.options.Networks, []int{1, 4, 16, 64, 256, 1024, 4096}) {
		if n < 1 {
			return networksProblem(n)
		}
		equal := slices.Repeat([]train.Recipe{m.recipe}, n)
		mixed := slices.Clone(equal)
		for i := range mixed {
			mixed[i].Arch = mixedShapes[i%len(mixedShapes)]
		}
		for _, kind := range []struct {
			name    string
			recipes []train.Recipe
		}{{"equal", equal}, {"mixed", mixed}} {
			if n == 1 && kind.name == "mixed" {
				continue
			}
			c, err := m.add(fmt.Sprintf("%s shapes, %s", kind.name, plural(n, "network")), runtime.GOMAXPROCS(0), kind.recipes...)
			if err != nil {
				return err
			}
			if m.options.OnGPUs {
				c.Steps = gpuEpochs(n) * c.Variants[0].StepsPerEpoch(m.set.Train.Len())
				continue
			}
			c.Steps = max(c.Steps, visitSteps)
			c.Slices = max(1, min(4, c.Steps/visitSteps))
		}
	}
	return nil
}

// visitSteps is how many steps a network of a population trains at least before the next one's turn: in training and in
// sweeps it is an epoch. With a few, what is measured is how states come and go.
const visitSteps = 64

func (m *maker) wide() error {
	r := m.recipe
	r.Batch, r.LR, r.WeightDecay = 256, 0.01, 0
	r.Activation = "tanh"
	r.Init = string(kernels.Xavier)
	for _, arch := range []string{"784-100-10", "784-300-100-10", "784-800-800-10", "784-2500-2000-1500-1000-500-10"} {
		r.Arch = arch
		c, err := m.add(arch+", batch 256", 1, r)
		if err != nil {
			return err
		}
		c.Widths = nil // the baseline's units are sigmoid
		c.Slices = 4
		const roundFLOPs = 2e11
		perStep := float64(c.Variants[0].Program().FLOPs()) * float64(r.Batch)
		c.Steps = max(2, min(c.Steps, int(roundFLOPs/perStep)))
	}
	return nil
}

func (m *maker) peers() error {
	cores, sizes := coresAlike(), []int{1, 64}
	if slices.ContainsFunc(m.options.Peers, func(p Peer) bool { return p.Device == "cuda" }) {
		cores, sizes = cores[len(cores)-1:], []int{1, 512, 4096} // the cores only feed the GPU
	}
	for _, cores := range cores {
		for _, n := range or(m.options.Networks, sizes) {
			if n < 1 {
				return networksProblem(n)
			}
			c, err := m.add(fmt.Sprintf("%s, %s", plural(n, "network"), plural(cores, "core")), cores, slices.Repeat([]train.Recipe{m.recipe}, n)...)
			if err != nil {
				return err
			}
			for _, p := range m.options.Peers {
				if (p.Population > 1) == (n > 1) {
					c.Peers = append(c.Peers, p)
				}
			}
			c.Steps = c.Variants[0].StepsPerEpoch(m.set.Train.Len())
			if m.options.OnGPUs {
				c.Steps *= gpuEpochs(n)
			}
			if n > 1 {
				c.Widths = nil
			}
		}
	}
	return nil
}

func networksProblem(n int) error {
	return &train.SettingError{Field: "networks", Value: n, Problem: "want 1 or more"}
}

func (m *maker) forward() error {
	c, err := m.add(m.recipe.Arch+", forward", 1, m.recipe)
	if err == nil {
		c.Evaluate = true
	}
	return err
}

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
