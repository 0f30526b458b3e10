package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"math"
	"slices"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"vanilla/graph"
	"vanilla/internal/store"
	"vanilla/internal/words"
	"vanilla/kernels"
	"vanilla/model"
	"vanilla/train"
)

// trainFlags are the flags of the command train.
type trainFlags struct {
	train.Spec
	executorFlags
	seeds              int               // --seeds
	base               string            // --recipe
	from               string            // --from
	known              *model.Model      // that --from names
	knownRecipe        train.Recipe      // that it was trained with, without an Arch if it does not say
	like               *model.Model      // that --recipe names, without --from: data are read as its own were
	started            *train.Start      // whose weights the network of --recipe began with, if any
	given              map[string]bool   // the fields that flags change
	settings           map[string]string // the flags that were given, without dashes, for the run's checkpoint
	data               dataSource
	out, dot           string
	history            string
	snapshots          string
	checkpointSeconds  float64
	resume, allowMixed bool
	explain, json      bool
	printRecipe        bool
}

func trainCommand() *cobra.Command {
	t := trainFlags{Spec: train.Spec{Recipe: train.Default()}}
	c := &cobra.Command{
		Use:   "train",
		Short: "Train a network, evaluate it, and save it",
		Long: `Train trains a network on labelled images, evaluates it on the test images, and saves it.

The flags of the groups Network, Training, Images and Validation make a recipe. --recipe names
one to start from, which they change: default, lesson (as the lesson's network is
trained), or a YAML file with the same fields, as --print-recipe prints it:

  base: lesson         # or default, which is the default
  epochs: 20
  weight_decay: 1e-4

An optimizer other than the recipe's comes with its own --lr, --momentum and
--weight-decay, which are PyTorch's defaults: 0.001 for adam and adamw, and a decay of
0.01 for adamw. For sgd, momentum and nesterov, where PyTorch has none, --lr is 1, 0.1
and 0.1, and --momentum 0.9.

The train loss is the mean over the images of the last epoch, each measured in the
batch that trained it, so while the network was still learning.

--from starts from a network's weights in place of random ones: for more epochs, on
other data, or on data with more classes, whose outputs begin as usual. Without
--recipe that network's own recipe is taken; its classes keep their outputs, and data
are read as its own were. The model says whose weights it started from. With --seeds,
all networks start from them and differ in the order of images.

A network with --block or --norm is no chain of layers: its file holds its program,
which eval, predict, viz and export to .onnx run. Serve and export to .json and .html
take chains alone, with any activations.

Ctrl-C stops it after the current step; the network as it stands is evaluated and
saved. A network whose loss is no longer finite has diverged and is not saved. The
exit code is 1 in both cases. A network that was trained to its end and has not learned
is saved, and a line says that it is stuck: its test loss stays at that of guessing or
is far above it, its accuracy is chance's, or half the units of a layer are dead. Layer
1 is the inputs.
With --history a run can be continued where it was stopped, however it was: --history
DIR --resume is enough, because the directory knows the other flags. It ends with the
same bytes.`,
		Example: `  vanilla train
  vanilla train --arch 784-32-32-10 --activation relu --lr 0.1 --epochs 10 -o relu.safetensors
  vanilla train --recipe lesson --seed 2 --json
  vanilla train --seeds 10 -o default.safetensors
  vanilla train --optimizer adam --validation 0.1 --patience 5
  vanilla train --history run --snapshots log,epochs
  vanilla train --history run --resume
  vanilla train --recipe model.safetensors --epochs 80 -o longer.safetensors
  vanilla train --recipe lesson --lr 0.5 --print-recipe
  vanilla train --from model.safetensors --epochs 5 --lr 0.1 -o further.safetensors
  vanilla train --explain --dot network.dot`,
		Args: noArguments,
		RunE: func(c *cobra.Command, _ []string) error {
			t.data.of(c)
			if err := t.resolve(c.Context(), c.Flags()); err != nil {
				return err
			}
			return t.run(c.Context(), c.OutOrStdout(), c.ErrOrStderr())
		},
	}
	groups := recipeFlags(&t.Recipe)

	seeds := group("Seeds")
	seeds.Uint64Var(&t.Seed, "seed", 1, "seed `number` of the initial weights")
	seeds.IntVar(&t.seeds, "seeds", 1, "how many networks to train, a `number`, with this seed and those that follow; -o m.safetensors then writes m-1.safetensors, …, and m.jsonl with a JSON object for each, which vanilla results --compare reads")
	seeds.Uint64Var(&t.OrderSeed, "order-seed", 0, "seed `number` of the order of the images and of their shifts (default: the seed)")

	where := group("Data and hardware")
	t.data.addTo(where, "mnist", dataUsage)
	t.executorFlags.trainingTo(where)

	keep := group("History")
	keep.StringVar(&t.history, "history", "", "where to keep the run's course, a `directory`: history.jsonl has a JSON object for each epoch, snapshots the network on its way, checkpoint.safetensors everything needed to continue")
	keep.StringVar(&t.snapshots, "snapshots", "log", "when to keep the network, in `steps`: log (0, 1, 2, 5, 10, 20, … and the last), epochs, numbers, or several of them joined by commas, or none")
	keep.Float64Var(&t.checkpointSeconds, "checkpoint-every", 1, "time from checkpoint to checkpoint in `seconds`, at the end of an epoch; 0 is at the end of each")
	keep.BoolVar(&t.resume, "resume", false, "continue from the checkpoint in --history, if there is one")
	keep.BoolVar(&t.allowMixed, "allow-mixed", false, "resume even if the run was started in other arithmetic, on another executor or kind of processor; no single machine can then repeat the result, and it says so")

	output := group("Output")
	output.StringVarP(&t.out, "out", "o", "model.safetensors", "where to save the network, a `file`")
	output.BoolVar(&t.json, "json", false, "print the result as one JSON object")
	output.BoolVar(&t.printRecipe, "print-recipe", false, "print the recipe in YAML, and do not train")
	output.BoolVar(&t.explain, "explain", false, "print the program and how it came about, and do not train")
	output.StringVar(&t.dot, "dot", "", "where to write the graph for Graphviz, a `file`, and do not train")
	output.BoolP("help", "h", false, "help for train")

	base := baseFlag(&t.base)
	base.StringVar(&t.from, "from", "", "network whose weights training starts from, a `model`: its recipe is the default, and the data may have more classes, whose outputs are added; the optimizer and the schedule begin anew")

	setFlagGroups(c, append([]*pflag.FlagSet{base}, append(groups, seeds, where, keep, output)...))
	return c
}

// baseFlag is --recipe, which comes before all that change it.
func baseFlag(base *string) *pflag.FlagSet {
	f := group("Recipe")
	f.StringVar(base, "recipe", "default", "recipe that the following flags change, by `name`: default, lesson, a YAML file, or a model, whose recipe and seeds it has (data are read as the model's were)")
	return f
}

// recipeFlags are the flags that make a recipe, by groups. Their values, and for
// now their defaults, are r's.
func recipeFlags(r *train.Recipe) []*pflag.FlagSet {
	network := group("Network")
	network.StringVar(&r.Arch, "arch", r.Arch, "layer `widths`: inputs, hidden layers, outputs; if not given, inputs and outputs follow the data; hidden layers may have their own activation, as in 784-32relu-16tanh-10")
	network.StringVar(&r.Activation, "activation", r.Activation, "hidden layers' activation `function`: "+list(graph.ActivationNames()))
	network.StringVar(&r.Loss, "loss", r.Loss, "loss `function`: "+explained(graph.Losses(), func(k graph.LossKind) (string, string) { return string(k.Name), k.Help }))
	network.StringVar(&r.Block, "block", r.Block, "hidden layers' `form`: none, residual or gated; residual adds the layer's input to its output where both are equally wide, gated multiplies the output by a gate that has its own weights")
	network.StringVar(&r.Norm, "norm", r.Norm, "normalization before each hidden activation, of this `kind`: none or layer")
	network.StringVar(&r.Init, "init", r.Init, "initial weight `distribution`, normal with standard deviation: "+explained(kernels.Inits(), func(k kernels.InitKind) (string, string) { return string(k.Name), k.Help }))

	training := group("Training")
	training.StringVar(&r.Optimizer, "optimizer", r.Optimizer, "optimizer, by `name`, each with a default learning rate of its own: "+optimizerDefaults())
	training.Float64Var(&r.LR, "lr", r.LR, "peak learning `rate`; if not given, another optimizer than the recipe's brings its own")
	training.Float64Var(&r.Momentum, "momentum", r.Momentum, "velocity `fraction` kept from step to step, below 1; momentum and nesterov only (default for them: 0.9)")
	training.Float64Var(&r.WeightDecay, "weight-decay", r.WeightDecay, "decay `coefficient` of the weights; biases do not decay")
	training.StringVar(&r.Schedule, "schedule", r.Schedule, "learning rate `schedule`: "+explained(kernels.Schedules(), func(k kernels.ScheduleKind) (string, string) { return k.Name, k.Help }))
	training.IntVar(&r.StepEpochs, "step-epochs", r.StepEpochs, "number of `epochs` between multiplications by --gamma; step schedule only (default for it: a third of --epochs)")
	training.Float64Var(&r.Gamma, "gamma", r.Gamma, "step schedule's `factor`, at most 1 (default for it: 0.1)")
	training.Float64Var(&r.Warmup, "warmup", r.Warmup, "number of `epochs`, or a fraction of one, of linear warm-up before the schedule begins")
	training.IntVar(&r.Batch, "batch", r.Batch, "batch `size`")
	training.IntVar(&r.Epochs, "epochs", r.Epochs, "training length, a `number` of passes over the training images")
	training.Float64Var(&r.Dropout, "dropout", r.Dropout, "chance that a training step drops a hidden unit, a `probability`")
	training.Float64Var(&r.InputDropout, "input-dropout", r.InputDropout, "chance that a training step drops an input, a `probability`")
	training.Float64Var(&r.LabelSmoothing, "label-smoothing", r.LabelSmoothing, "part of each target that is spread evenly over all classes, a `share`; cross-entropy only")

	validation := group("Validation")
	validation.Float64Var(&r.Validation, "validation", r.Validation, "part of the training images to hold out, a `fraction`, and evaluate after each epoch; the same ones in all runs")
	validation.IntVar(&r.Patience, "patience", r.Patience, "stop after this many `epochs` without a higher validation accuracy and keep the best epoch's network; 0 trains to the end")
	return []*pflag.FlagSet{network, training, imageFlags(r), validation}
}

// imageFlags are those that change images, or what stands in their place.
func imageFlags(r *train.Recipe) *pflag.FlagSet {
	images := group("Images")
	images.IntVar(&r.Shift, "shift", r.Shift, "largest random translation in `pixels`, along both axes, drawn again each epoch, as are the following")
	images.Float64Var(&r.Rotate, "rotate", r.Rotate, "largest rotation about the middle in `degrees`, either way")
	images.Float64Var(&r.Scale, "scale", r.Scale, "largest `share` by which images are stretched or shrunk, along each axis by itself")
	images.Float64Var(&r.Shear, "shear", r.Shear, "largest slant: a row moves sideways by this `share` of its distance from the middle one")
	images.Float64Var(&r.Stroke, "stroke", r.Stroke, "by how many `pixels`, at most 1, each side of a stroke moves out or in")
	images.Float64Var(&r.Elastic, "elastic", r.Elastic, "elastic bending: pixels move by up to so many `pixels` before that is averaged with --elastic-sigma; 34 is Simard's")
	images.Float64Var(&r.ElasticSigma, "elastic-sigma", r.ElasticSigma, "standard deviation in `pixels` of the Gaussian that elastic bending is averaged with (default with --elastic: 4)")
	images.Float64Var(&r.NoiseShare, "noise-share", r.NoiseShare, "part of each batch that is images of noise, a `share`, of which the network is to be unsure: all classes are equally likely")
	return images
}

// resolve puts the recipe together: the one that --recipe names, changed by the
// flags that were given.
func (t *trainFlags) resolve(ctx context.Context, flags *pflag.FlagSet) error {
	if flags.Changed("recipe") {
		if err := oneMeaning(t.base, train.Recipes(), "recipe"); err != nil {
			return fmt.Errorf("--recipe %w", err)
		}
	}
	if err := t.remember(flags); err != nil {
		return err
	}
	from, err := t.baseSpec(ctx, flags)
	if err != nil {
		return err
	}
	base := from.Recipe
	t.started = from.From
	r := base
	t.given = map[string]bool{}
	for _, own := range recipeFlags(&r) {
		own.VisitAll(func(f *pflag.Flag) {
			if set := flags.Lookup(f.Name); set.Changed {
				err = errors.Join(err, f.Value.Set(set.Value.String()))
				t.given[fieldOf(f)] = true
			}
		})
	}
	r.Follow(base, func(field string) bool { return t.given[field] })
	t.Recipe = r
	switch {
	case flags.Changed("order-seed"):
	case flags.Changed("seed"):
		t.OrderSeed = t.Seed
	default:
		t.Seed, t.OrderSeed = from.Seed, from.OrderSeed
	}
	if t.history == "" {
		for _, name := range []string{"snapshots", "checkpoint-every", "resume", "allow-mixed"} {
			if f := flags.Lookup(name); f.Changed {
				err = errors.Join(err, &train.SettingError{Field: fieldOf(f), Value: typed(f), Problem: "want --history with the run's directory too"})
			}
		}
	}
	if err == nil && !t.resume {
		err = refuse(flags, "it only applies to a run that is resumed: want --resume too", among("allow-mixed"))
	}
	return err
}

// unkept are flags that a run does not keep for whoever resumes it.
var unkept = []string{"history", "resume", "allow-mixed", "json", "print-recipe", "explain", "dot", "help"}

// begins says whether flags were given that make a run, and not only say where it is
// kept and what is printed of it.
func begins(flags *pflag.FlagSet) (found bool) {
	flags.Visit(func(f *pflag.Flag) { found = found || f.Name != "out" && !slices.Contains(unkept, f.Name) })
	return found
}

// remember sets the flags that the run in --history was begun with, but for those
// that are given now, if it is to be resumed; and it keeps those of this one.
func (t *trainFlags) remember(flags *pflag.FlagSet) (err error) {
	if t.resume && t.history != "" {
		settings, arithmetic, err := train.ReadSettings(t.history)
		switch {
		case errors.Is(err, fs.ErrNotExist) && !begins(flags):
			return &train.SettingError{Field: "resume", Value: t.history, Problem: "found no run there: want the directory of one, or the flags of a run to begin"}
		case err != nil && !errors.Is(err, fs.ErrNotExist):
			return err
		}
		for _, name := range slices.Sorted(maps.Keys(settings)) {
			if f := flags.Lookup(name); f == nil {
				return fmt.Errorf("--resume %s: the run was begun with --%s, which this vanilla does not know", t.history, name)
			} else if f.Changed {
				continue
			}
			if err := flags.Set(name, settings[name]); err != nil {
				return fmt.Errorf("--resume %s: the run was begun with --%s %s: %w", t.history, name, settings[name], err)
			}
		}
		if err == nil {
			t.goOn(flags, arithmetic)
		}
	}
	t.settings = map[string]string{}
	flags.Visit(func(f *pflag.Flag) {
		if !slices.Contains(unkept, f.Name) {
			t.settings[f.Name] = f.Value.String()
		}
	})
	return nil
}

// baseSpec is what --recipe names: a recipe, and seeds, which are 1 if it is no
// model's.
func baseSpec(ctx context.Context, name string) (train.Spec, error) {
	spec, _, err := baseOf(ctx, name)
	return spec, err
}

// baseOf is baseSpec, and the model if it is one.
func baseOf(ctx context.Context, name string) (train.Spec, *model.Model, error) {
	type base struct {
		spec  train.Spec
		model *model.Model
	}
	of := func(r train.Recipe, err error) (base, error) {
		return base{spec: train.Spec{Recipe: r, Seed: 1, OrderSeed: 1}}, err
	}
	if slices.Contains(train.Recipes(), name) {
		b, err := of(train.NamedRecipe(name))
		return b.spec, nil, err
	}
	want := words.Or(append(train.Recipes(), "a YAML file", "a model"))
	if name == "" {
		return train.Spec{}, nil, &train.SettingError{Field: "recipe", Value: name, Problem: "want " + want}
	}
	b, err := await(ctx, func() (base, error) {
		if !model.Is(name) {
			return of(train.ReadRecipe(name))
		}
		m, err := model.Read(name)
		if err != nil {
			return base{}, fmt.Errorf("--recipe %w", err)
		}
		spec, err := train.SpecOf(m)
		if err != nil {
			return base{}, fmt.Errorf("--recipe %s: %w", name, err)
		}
		return base{spec, m}, nil
	})
	var path *fs.PathError
	if errors.As(err, &path) {
		err = fmt.Errorf("--recipe %s: want %s: %w", name, want, store.Cause(err))
	}
	return b.spec, b.model, err
}

// blame names the recipe's file before an error about a setting that is from
// there.
func (t *trainFlags) blame(err error) error {
	var setting *train.SettingError
	if errors.As(err, &setting) && !t.given[setting.Field] && !slices.Contains(train.Recipes(), t.base) {
		return fmt.Errorf("%s: %w", t.base, err)
	}
	return err
}

// options are what the flags say besides the recipe.
func (t *trainFlags) options() (o train.Options, err error) {
	if o.Snapshots, err = train.ParseSnapshots(t.snapshots); err != nil {
		return o, &train.SettingError{Field: "snapshots", Value: t.snapshots, Problem: err.Error()}
	}
	every := t.checkpointSeconds * float64(time.Second)
	if !(every >= 0 && every < math.MaxInt64) {
		return o, &train.SettingError{Field: "checkpoint_every", Value: t.checkpointSeconds, Problem: "want zero or more seconds"}
	}
	o.CheckpointEvery = time.Duration(every)
	o.History, o.Resume, o.AllowMixed, o.Version, o.Settings = t.history, t.resume, t.allowMixed, version, t.settings
	return o, nil
}
