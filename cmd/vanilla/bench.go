package main

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"slices"
	"time"

	"github.com/spf13/cobra"

	"vanilla/bench"
	"vanilla/kernels"
	"vanilla/kernels/device"
	"vanilla/model"
	"vanilla/train"
)

// benchFlags are the flags of the command bench.
type benchFlags struct {
	suite     string
	arch      string
	executors []string
	batches   []int
	rounds    int
	examples  int
	data      string
	json      bool
}

// benchExecutors are what --executors can list, by what device.Open calls it.
var benchExecutors = map[string]string{"cpu": device.Fast, "tape": device.Tape, "ref": device.Ref, bench.Handrolled: ""}

func benchCommand() *cobra.Command {
	var b benchFlags
	c := &cobra.Command{
		Use:   "bench",
		Short: "Time executors on the same work, side by side",
		Long: `Bench times executors on the same work in interleaved rounds, beside the network
that a student of the lesson writes by hand (handrolled). A time counts only if all
end the epoch with the same loss.

The suite step is one network on one core, an epoch at several batch sizes.`,
		Example: `  vanilla bench
  vanilla bench --executors handrolled,cpu --batch 32 --rounds 15
  vanilla bench --executors cpu --json`,
		Args: noArguments,
		RunE: func(c *cobra.Command, _ []string) error {
			return b.run(c.Context(), c.OutOrStdout(), c.ErrOrStderr())
		},
	}
	c.Flags().SortFlags = false
	c.Flags().StringVar(&b.suite, "suite", "step", "`name` of the work: step")
	c.Flags().StringVar(&b.arch, "arch", train.Default().Arch, "`widths` of the layers")
	c.Flags().StringSliceVar(&b.executors, "executors", []string{bench.Handrolled, "tape", "cpu"}, "`names` of what to time: handrolled, tape, cpu, ref")
	c.Flags().IntSliceVar(&b.batches, "batch", []int{10, 32, 128}, "`images` in a step, one row of results each")
	c.Flags().IntVar(&b.rounds, "rounds", 5, "`times` that each is timed")
	c.Flags().IntVar(&b.examples, "examples", 0, "training `images` in an epoch, the first ones (default: all)")
	c.Flags().StringVar(&b.data, "data", "mnist", "mnist, which is built in, or a `directory` with four IDX files, plain or .gz")
	c.Flags().BoolVar(&b.json, "json", false, "print each result as one JSON object on a line of its own")
	return c
}

// check reports the first flag that cannot be.
func (b *benchFlags) check() error {
	if b.suite != "step" {
		return &train.SettingError{Flag: "--suite", Value: b.suite, Problem: "want step"}
	}
	if len(b.executors) == 0 {
		return &train.SettingError{Flag: "--executors", Value: "", Problem: "want one or more of handrolled, tape, cpu, ref"}
	}
	for i, name := range b.executors {
		if _, ok := benchExecutors[name]; !ok {
			return &train.SettingError{Flag: "--executors", Value: name, Problem: "want handrolled, tape, cpu or ref"}
		}
		if slices.Contains(b.executors[:i], name) {
			return &train.SettingError{Flag: "--executors", Value: name, Problem: "want each once"}
		}
	}
	if len(b.batches) == 0 {
		return &train.SettingError{Flag: "--batch", Value: "", Problem: "want one or more whole numbers"}
	}
	if b.rounds < 1 {
		return &train.SettingError{Flag: "--rounds", Value: b.rounds, Problem: "want 1 or more"}
	}
	if b.examples < 0 {
		return &train.SettingError{Flag: "--examples", Value: b.examples, Problem: "want 1 or more, or 0 for all"}
	}
	return nil
}

func (b *benchFlags) run(ctx context.Context, stdout, stderr io.Writer) error {
	if err := b.check(); err != nil {
		return err
	}
	data, err := load(b.data)
	if err != nil {
		return err
	}
	var networks train.Networks
	var all []bench.Result
	for _, batch := range b.batches {
		recipe := train.Default()
		recipe.Arch, recipe.Batch, recipe.Schedule = b.arch, batch, "constant"
		recipe.LR = 0.1 // the lesson's widths learn, and no width diverges
		recipe.Epochs = b.rounds
		if err := recipe.Fits(data); err != nil {
			return err
		}
		c, err := b.benchCase(&networks, recipe, train.Data(data))
		if err != nil {
			return err
		}
		var executors []kernels.Executor
		for _, name := range b.executors {
			if name == bench.Handrolled {
				continue
			}
			exec, err := device.Open("cpu", benchExecutors[name], networks.Of)
			if err != nil {
				return err
			}
			executors = append(executors, exec)
		}
		start := time.Now()
		results, err := bench.Run(ctx, c, executors, slices.Contains(b.executors, bench.Handrolled), b.rounds, func(executor string, round int) {
			fmt.Fprintf(stderr, "batch %d, round %d of %d, %s (%.0f s so far)\n", batch, round+1, b.rounds, executor, time.Since(start).Seconds())
		})
		if err != nil {
			return err
		}
		for i := range results {
			results[i].Version = version
		}
		all = append(all, results...)
	}
	if !b.json {
		return bench.WriteTable(stdout, all)
	}
	for _, r := range all {
		line, err := json.Marshal(r)
		if err != nil {
			return err
		}
		if _, err := fmt.Fprintln(stdout, string(line)); err != nil {
			return err
		}
	}
	return nil
}

// benchCase is one epoch of a recipe.
func (b *benchFlags) benchCase(networks *train.Networks, r train.Recipe, data kernels.Data) (bench.Case, error) {
	network, err := networks.Build(r.Arch, r.Activation, r.Loss)
	if err != nil {
		return bench.Case{}, err
	}
	widths, err := model.Widths(r.Arch)
	if err != nil {
		return bench.Case{}, err
	}
	if e := &data.Train; b.examples > 0 && b.examples < e.Len() {
		e.Pixels, e.Labels = e.Pixels[:b.examples*e.Features], e.Labels[:b.examples]
	}
	return bench.Case{
		Suite: b.suite, Widths: widths, Data: data,
		Variant: train.Spec{Recipe: r, Seed: 1, OrderSeed: 1}.Variant(network.Program),
	}, nil
}

