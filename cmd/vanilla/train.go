package main

import (
	"bytes"
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"math"
	"os"
	"path/filepath"
	"strconv"
	"text/tabwriter"

	"github.com/spf13/cobra"

	"vanilla/graph"
	"vanilla/kernels"
	"vanilla/mnist"
	"vanilla/train"
)

// trainFlags are the flags of the command train.
type trainFlags struct {
	train.Spec
	placement
	data, out, dot string
	explain, json  bool
}

func trainCommand() *cobra.Command {
	t := trainFlags{Spec: train.Spec{Recipe: train.Default()}}
	c := &cobra.Command{
		Use:   "train",
		Short: "Train a network, evaluate it, and save it",
		Long: `Train trains a network on labelled images, evaluates it on the test images, and saves it.

Ctrl-C stops it after the current step; the network as it stands is evaluated and
saved. A network whose loss is no longer finite has diverged and is not saved. The
exit code is 1 in both cases.

--explain and --dot show the network instead of training it.`,
		Example: `  vanilla train
  vanilla train --arch 784-32-32-10 --activation relu --lr 0.1 --epochs 10 -o relu.safetensors
  vanilla train --seed 2 --json
  vanilla train --explain --dot network.dot`,
		Args: noArguments,
		RunE: func(c *cobra.Command, _ []string) error {
			if !c.Flags().Changed("order-seed") {
				t.OrderSeed = t.Seed
			}
			return t.run(c.Context(), c.OutOrStdout(), c.ErrOrStderr())
		},
	}
	f, r := c.Flags(), &t.Recipe
	f.SortFlags = false
	f.StringVar(&r.Arch, "arch", r.Arch, "`widths` of the layers: pixels, hidden layers, classes")
	f.StringVar(&r.Activation, "activation", r.Activation, "`name` of the hidden layers' activation: "+list(activationNames()))
	f.StringVar(&r.Loss, "loss", r.Loss, "`name` of the loss: cross-entropy (of the softmax) or quadratic (of sigmoid outputs)")
	f.StringVar(&r.Optimizer, "optimizer", r.Optimizer, "`name` of the optimizer: "+list(kernels.OptimizerNames()))
	f.Float64Var(&r.LR, "lr", r.LR, "step `size`, the largest one")
	f.Float64Var(&r.WeightDecay, "weight-decay", r.WeightDecay, "`factor` times which weights (not biases) are added to their gradients")
	f.StringVar(&r.Schedule, "schedule", r.Schedule, "`name` of the step size's course over the epochs: "+list(kernels.ScheduleNames()))
	f.IntVar(&r.Batch, "batch", r.Batch, "`images` in a step")
	f.IntVar(&r.Epochs, "epochs", r.Epochs, "`times` that each image is trained on")
	f.StringVar(&r.Init, "init", r.Init, "`name` of the initial weights' distribution: lesson (deviation 1) or scaled (1/√inputs)")
	f.Uint64Var(&t.Seed, "seed", 1, "`number` that determines the initial weights")
	f.Uint64Var(&t.OrderSeed, "order-seed", 0, "`number` that determines the order of images (default: the seed)")
	t.placement.flags(c)
	f.StringVar(&t.data, "data", "mnist", "mnist, which is built in, or a `directory` with four IDX files, plain or .gz")
	f.StringVarP(&t.out, "out", "o", "model.safetensors", "`file` to save the network in")
	f.BoolVar(&t.explain, "explain", false, "print the program and how it came about, and do not train")
	f.StringVar(&t.dot, "dot", "", "`file` to write the graph to for Graphviz, and do not train")
	f.BoolVar(&t.json, "json", false, "print the result as one JSON object")
	return c
}

func (t *trainFlags) run(ctx context.Context, stdout, stderr io.Writer) error {
	if err := t.Recipe.Check(); err != nil {
		return err
	}
	var networks train.Networks
	if t.explain || t.dot != "" {
		return t.show(&networks, stdout)
	}
	exec, err := t.open(&networks)
	if err != nil {
		return err
	}
	// Better now than when there is something to lose.
	if err := writable(t.out); err != nil {
		return err
	}
	data, err := load(t.data)
	if err != nil {
		return err
	}
	if err := t.Recipe.Fits(data); err != nil {
		return err
	}
	fmt.Fprintf(stderr, "training %s on %s with %s: %s\n", t.Recipe.Arch, data.Name, exec.Name(), exec.Device())
	progress := newProgress(stderr, t.Recipe.Epochs)
	results, err := train.Run(ctx, exec, &networks, data, []train.Spec{t.Spec}, progress.report)
	progress.finish()
	if err != nil {
		return err
	}
	r := results[0]

	var saved *string // the file, if there is one
	failure := outcome(r, t.out)
	if r.Model != nil {
		r.Model.Version = version
		if err := r.Model.Write(t.out); err != nil {
			failure = err
		} else {
			saved = &t.out
		}
	}
	if t.json {
		err = t.printJSON(stdout, r, exec, saved)
	} else {
		err = t.print(stdout, r, exec, data, saved)
	}
	if failure != nil {
		return failure
	}
	return err
}

// outcome is what kept the run from its end, or nil.
func outcome(r train.Result, out string) error {
	switch {
	case r.Diverged:
		return fmt.Errorf("diverged in epoch %d of %d: the loss is no longer finite; nothing was saved; a smaller --lr may help",
			r.Epochs+1, r.Spec.Recipe.Epochs)
	case r.Interrupted && r.Model == nil:
		return errors.New("interrupted before the first step: nothing was saved")
	case r.Interrupted:
		return fmt.Errorf("interrupted after %d of %d epochs: %s holds the network as it stands", r.Epochs, r.Spec.Recipe.Epochs, out)
	}
	return nil
}

// show is --explain and --dot.
func (t *trainFlags) show(networks *train.Networks, stdout io.Writer) error {
	if t.json {
		return usagef("--json: there is no result to print with --explain or --dot: want one or the other")
	}
	r := t.Recipe
	network, err := networks.Build(r.Arch, r.Activation, r.Loss)
	if err != nil {
		return err
	}
	var explanation bytes.Buffer
	if t.explain {
		plan, err := t.plan(networks, network.Program, kernels.Optimizer{Name: r.Optimizer, WeightDecay: r.WeightDecay})
		if err != nil {
			return err
		}
		fmt.Fprintf(&explanation, "%s\nexecutor %s, device %s:\n", network.Explain(), t.executor, t.device)
		for _, line := range plan {
			fmt.Fprintf(&explanation, "    %s\n", line)
		}
	}
	if t.dot != "" {
		if err := writeDOT(network, t.dot); err != nil {
			return err
		}
	}
	_, err = stdout.Write(explanation.Bytes())
	return err
}

func writeDOT(network *graph.Network, path string) error {
	var dot bytes.Buffer
	if err := network.WriteDOT(&dot); err != nil {
		return err
	}
	if err := os.WriteFile(path, dot.Bytes(), 0o644); err != nil {
		return fmt.Errorf("--dot %s: %w", path, reason(err))
	}
	return nil
}

// trainReport is what --json prints. Numbers that a run does not have are null.
type trainReport struct {
	Arch            string       `json:"arch"`
	Parameters      int          `json:"parameters"`
	Device          string       `json:"device"`
	Executor        string       `json:"executor"`
	Precision       string       `json:"precision"`
	Recipe          train.Recipe `json:"recipe"`
	Seed            uint64       `json:"seed"`
	Epochs          int          `json:"epochs"`
	TrainSeconds    float64      `json:"train_seconds"`
	SecondsPerEpoch *float64     `json:"seconds_per_epoch"`
	TrainLoss       *float64     `json:"train_loss"`
	TestAccuracy    *float64     `json:"test_accuracy"`
	Diverged        bool         `json:"diverged"`
	Model           *string      `json:"model"`
}

func (t *trainFlags) printJSON(w io.Writer, r train.Result, exec kernels.Executor, saved *string) error {
	report := trainReport{
		Arch:            t.Recipe.Arch,
		Parameters:      r.Parameters,
		Device:          exec.Device(),
		Executor:        exec.Name(),
		Precision:       "fp32",
		Recipe:          t.Recipe,
		Seed:            t.Seed,
		Epochs:          r.Epochs,
		TrainSeconds:    r.Seconds,
		SecondsPerEpoch: finite(r.Seconds / r.EpochsTrained),
		TrainLoss:       finite(r.TrainLoss),
		Diverged:        r.Diverged,
		Model:           saved,
	}
	if r.Model != nil {
		report.TestAccuracy = finite(r.Test.Accuracy())
	}
	return writeJSON(w, report)
}

// print is the result for people.
func (t *trainFlags) print(w io.Writer, r train.Result, exec kernels.Executor, data *mnist.Dataset, saved *string) error {
	var b bytes.Buffer
	rows := tabwriter.NewWriter(&b, 0, 0, 2, ' ', 0)
	row := func(name, format string, args ...any) {
		fmt.Fprintf(rows, "%s\t"+format+"\n", append([]any{name}, args...)...)
	}
	row("network", "%s %s, %s parameters", t.Recipe.Arch, t.Recipe.Activation, thousands(r.Parameters))
	row("data", "%s, %s training images", data.Name, thousands(data.Train.Len()))
	row("executor", "%s: %s", exec.Name(), exec.Device())
	epochs := strconv.Itoa(r.Epochs)
	if r.Epochs < t.Recipe.Epochs {
		epochs += " of " + strconv.Itoa(t.Recipe.Epochs)
	}
	if each := finite(r.Seconds / r.EpochsTrained); each != nil {
		row("epochs", "%s in %.1f s, %.3f s each", epochs, r.Seconds, *each)
	} else {
		row("epochs", "%s", epochs)
	}
	if r.Epochs > 0 || r.Diverged {
		row("train loss", "%.4f", r.TrainLoss)
	}
	if r.Model != nil {
		row("test accuracy", "%s (%s of %s)", percent(r.Test.Accuracy()), thousands(r.Test.Correct), thousands(r.Test.N))
	}
	if saved != nil {
		row("saved in", "%s", *saved)
	}
	rows.Flush()
	if saved != nil {
		next := []string{"eval", *saved}
		if t.data != "mnist" {
			next = append(next, "--data", t.data)
		}
		fmt.Fprintf(&b, "\nsee where it errs: %s\n", commandLine(next...))
	}
	_, err := w.Write(b.Bytes())
	return err
}

// writable fails if a file could not be written at path. It leaves nothing
// behind.
func writable(path string) error {
	info, err := os.Stat(path)
	switch {
	case path == "":
		return usagef(`--out "": want the name of a file`)
	case err == nil && info.IsDir():
		return fmt.Errorf("--out %s: found a directory: want the name of a file", path)
	case err == nil && !info.Mode().IsRegular():
		return fmt.Errorf("--out %s: found a device or pipe: want the name of a file", path)
	}
	// Files are written beside the old one and take its place.
	dir := filepath.Dir(path)
	probe := filepath.Join(dir, ".vanilla-"+rand.Text()+".tmp")
	f, err := os.OpenFile(probe, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return fmt.Errorf("--out %s: cannot write to the directory %s: %w", path, dir, reason(err))
	}
	return errors.Join(f.Close(), os.Remove(probe))
}

// load opens the data set that --data names.
func load(name string) (*mnist.Dataset, error) {
	if name == "mnist" {
		return mnist.Embedded()
	}
	if name == "" {
		return nil, usagef(`--data "": want mnist or a directory`)
	}
	if info, err := os.Stat(name); err != nil {
		return nil, fmt.Errorf("--data %s: want mnist or a directory: %w", name, reason(err))
	} else if !info.IsDir() {
		return nil, fmt.Errorf("--data %s: want mnist or a directory: found a file", name)
	}
	return mnist.Open(name)
}

// reason drops what the os package puts before an error: the line names the
// file already.
func reason(err error) error {
	var path *fs.PathError
	if errors.As(err, &path) {
		return path.Err
	}
	return err
}

func activationNames() []string {
	var names []string
	for _, a := range graph.Activations() {
		names = append(names, a.String())
	}
	return names
}

func finite(x float64) *float64 {
	if math.IsNaN(x) || math.IsInf(x, 0) {
		return nil
	}
	return &x
}

func writeJSON(w io.Writer, v any) error {
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	if err := e.Encode(v); err != nil {
		return err
	}
	_, err := w.Write(b.Bytes())
	return err
}
