package main

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"vanilla/dataset"
	"vanilla/graph"
	"vanilla/internal/store"
	"vanilla/internal/words"
	"vanilla/kernels"
	"vanilla/kernels/device"
	"vanilla/model"
	"vanilla/model/zoo"
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
other data, or on data with more classes, whose outputs begin as usual. Its recipe is
the default, its classes keep their outputs, and data are read as its own were. The
model says whose weights it started from. With --seeds, all networks start from them
and differ in the order of images.

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
	f.StringVar(base, "recipe", "default", "recipe that the following flags change, by `name`: default, lesson, a YAML file, or a model, whose recipe and seeds it has")
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
		settings, err := train.ReadSettings(t.history)
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
	spec := train.Spec{Seed: 1, OrderSeed: 1}
	var err error
	if slices.Contains(train.Recipes(), name) {
		spec.Recipe, err = train.NamedRecipe(name)
		return spec, err
	}
	want := words.Or(append(train.Recipes(), "a YAML file", "a model"))
	if name == "" {
		return spec, &train.SettingError{Field: "recipe", Value: name, Problem: "want " + want}
	}
	read, err := await(ctx, func() (train.Spec, error) {
		if !model.Is(name) {
			recipe, err := train.ReadRecipe(name)
			return train.Spec{Recipe: recipe, Seed: 1, OrderSeed: 1}, err
		}
		m, err := model.Read(name)
		if err != nil {
			return spec, fmt.Errorf("--recipe %w", err)
		}
		read, err := train.SpecOf(m)
		if err != nil {
			return spec, fmt.Errorf("--recipe %s: %w", name, err)
		}
		return read, nil
	})
	var path *fs.PathError
	if errors.As(err, &path) {
		return spec, fmt.Errorf("--recipe %s: want %s: %w", name, want, store.Cause(err))
	}
	return read, err
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

func (t *trainFlags) run(ctx context.Context, stdout, stderr io.Writer) (err error) {
	if err := t.Recipe.Check(); err != nil {
		return t.blame(err)
	}
	options, err := t.options()
	if err != nil {
		return err
	}
	if t.explain || t.printRecipe || t.dot != "" {
		if t.data.name != "mnist" || t.data.settings() != nil {
			data, err := t.read(ctx)
			if err != nil {
				return err
			}
			t.adapt(data)
		}
		return t.show(stdout)
	}
	opened, err := t.open()
	if err != nil {
		return err
	}
	defer closing(opened, &err)
	t.note(opened, stderr)
	// Better now than when there is something to lose.
	if err := t.checkSeeds(); err != nil {
		return err
	}
	if err := t.checkOut(); err != nil {
		return err
	}
	data, err := t.read(ctx)
	if ctx.Err() != nil {
		return errBeforeStart
	} else if err != nil {
		return err
	}
	noteData(stderr, t.data.flags, data)
	if t.started != nil && t.From == nil {
		fmt.Fprintf(stderr, "recipe: %s began with the weights of %s, as --from does, and this run with random ones\n", t.base, t.started)
	}
	t.adapt(data)
	if err := t.Recipe.Fits(data); err != nil {
		return err
	}
	exec, err := device.For(opened, func() ([]kernels.Variant, error) {
		network, err := t.Recipe.Build(new(graph.Cache))
		return []kernels.Variant{t.Spec.Variant(network)}, err
	})
	if err != nil {
		return err
	}
	var replaced []string
	for _, o := range t.outputs() {
		if _, err := os.Stat(o.path); err == nil {
			replaced = append(replaced, o.path)
		}
	}
	var progress *progress
	options.Start = func(epochs int) {
		from := ""
		if epochs > 0 {
			from = fmt.Sprintf(" from epoch %d", epochs)
		}
		fmt.Fprintf(stderr, "training %s%s on %s with %s: %s\n", t.Recipe.Arch, from, data.Name, exec.Name(), exec.Device())
		for _, file := range replaced {
			fmt.Fprintf(stderr, "replaces %s\n", file)
		}
		progress = newProgress(stderr, t.Recipe.Epochs)
	}
	// Of several networks, the first one's progress is shown.
	options.Observe = func(r train.Record) {
		if r.Variant == 0 {
			progress.report(r)
		}
	}
	results, err := train.Run(ctx, exec, data, t.specs(), options)
	progress.finish()
	if err != nil {
		return err
	}
	warnStuck(stderr, results)
	if t.seeds > 1 {
		return t.saveSeeds(stdout, results, exec, data)
	}
	r := results[0]

	var saved *string // the file, if there is one
	failure := t.outcome(r)
	if r.Model != nil {
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

// adapt gives the network the inputs and outputs that the data need, if no flag
// says what it has.
func (t *trainFlags) adapt(data *dataset.Dataset) {
	if !t.given["arch"] {
		t.Recipe = t.Recipe.For(data)
	}
}

var errBeforeStart = errors.New("interrupted before the first step: nothing was saved")

// inputs are the files that the command reads, and the directories of such.
func (t *trainFlags) inputs() []string { return []string{t.base, t.from, t.data.name} }

// checkOut fails if the network could not be saved, or should not under that name.
func (t *trainFlags) checkOut() error {
	if slices.Contains(zoo.Names(), t.out) {
		return &train.SettingError{Field: "out", Value: t.out, Problem: fmt.Sprintf(
			"it is the name of a network that is built in: want another, as in %s.safetensors, or .%c%s", t.out, filepath.Separator, t.out)}
	}
	outputs := t.outputs()
	for _, o := range outputs {
		if err := writable(o.flag, o.path); err != nil {
			return err
		}
	}
	if t.history != "" {
		outputs = append(outputs, output{"--history", filepath.Join(t.history, "history.jsonl")})
	}
	for _, o := range outputs {
		if err := keepApart(t.inputs(), o); err != nil {
			return err
		}
	}
	return nil
}

// warnStuck says in one line which networks have not learned, and how the first one.
func warnStuck(w io.Writer, results []train.Result) {
	var seeds []string
	text := ""
	for i := range results {
		if t := results[i].StuckText(); t != "" {
			text = cmp.Or(text, t)
			seeds = append(seeds, fmt.Sprint(results[i].Spec.Seed))
		}
	}
	const advice = "another --init, --lr or --activation may help"
	switch {
	case seeds == nil:
	case len(results) == 1:
		fmt.Fprintf(w, "the network is stuck: %s; %s\n", text, advice)
	default:
		which, of := "seeds "+list(seeds), "of the first, "
		if len(seeds) == 1 {
			which, of = "seed "+seeds[0], ""
		}
		fmt.Fprintf(w, "%d of %s stuck (%s): %s%s; %s\n", len(seeds), networksAre(len(results), len(seeds)), which, of, text, advice)
	}
}

// networksAre is "24 networks is", of which one is, or "24 networks are".
func networksAre(all, of int) string {
	if of == 1 {
		return words.Plural(all, "network") + " is"
	}
	return words.Plural(all, "network") + " are"
}

// outcome is what kept the run from its end, or nil.
func (t *trainFlags) outcome(r train.Result) error {
	var again string
	if t.history != "" {
		again = "; --resume continues from there"
	}
	switch {
	case r.Diverged:
		what := "the loss is"
		if finite(r.TrainLoss) != nil {
			what = "outputs or weights are"
		}
		return fmt.Errorf("diverged in epoch %d of %d: %s no longer finite; nothing was saved; a smaller --lr may help",
			min(r.Epochs+1, r.Spec.Recipe.Epochs), r.Spec.Recipe.Epochs, what)
	case r.Interrupted && r.Model == nil:
		return errBeforeStart
	case r.Interrupted:
		kept := "as it stands"
		if r.BestEpoch > 0 {
			kept = "of the best epoch so far"
		}
		return fmt.Errorf("interrupted after %d of %d epochs: %s holds the network %s%s", r.Epochs, r.Spec.Recipe.Epochs, t.out, kept, again)
	}
	return nil
}

// plan says which executor would train a network, and how.
func (t *trainFlags) plan(network *graph.Network) (lines []string, err error) {
	opened, err := t.open()
	if err != nil {
		return nil, err
	}
	defer closing(opened, &err)
	variant := t.Spec.Variant(network)
	exec, err := device.For(opened, func() ([]kernels.Variant, error) { return []kernels.Variant{variant}, nil })
	if err != nil {
		return nil, err
	}
	if lines, err = exec.Explain(network, variant.Optimizer); err != nil {
		return nil, err
	}
	first := []string{fmt.Sprintf("executor %s: %s", exec.Name(), exec.Device())}
	if text, err := device.Estimate(opened, []kernels.Variant{variant}); err != nil {
		return nil, err
	} else if text != "" {
		first = append(first, text)
	}
	return append(first, lines...), nil
}

// show is --print-recipe, --explain and --dot.
func (t *trainFlags) show(stdout io.Writer) error {
	if t.json {
		return usagef("--json: there is no result to print with --print-recipe, --explain or --dot: want one or the other")
	}
	r := t.Recipe
	network, err := r.Build(new(graph.Cache))
	if err != nil {
		return err
	}
	var explanation bytes.Buffer
	if t.printRecipe {
		recipe, err := r.YAML()
		if err != nil {
			return err
		}
		explanation.Write(recipe)
	}
	if t.explain {
		plan, err := t.plan(network)
		if err != nil {
			return err
		}
		fmt.Fprintf(&explanation, "%s\n%s\n", network.Explain(), plan[0])
		for _, line := range plan[1:] {
			fmt.Fprintf(&explanation, "    %s\n", line)
		}
	}
	if t.dot != "" {
		if err := keepApart(t.inputs(), output{"--dot", t.dot}); err != nil {
			return err
		}
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
	return saveFile("--dot", path, dot.Bytes())
}

// trainReport is what --json prints. Numbers that a run does not have are null.
type trainReport struct {
	Arch       string `json:"arch"`
	Parameters int    `json:"parameters"`
	Device     string `json:"device"`
	Executor   string `json:"executor"`
	Precision  string `json:"precision"`
	Arithmetic string `json:"arithmetic"`
	// Mixed are other arithmetics in which the run was gone on with, see
	// --allow-mixed: no other run comes to this result.
	Mixed           []string     `json:"mixed_arithmetic,omitempty"`
	Recipe          train.Recipe `json:"recipe"`
	From            *train.Start `json:"from,omitempty"`
	Seed            uint64       `json:"seed"`
	Epochs          int          `json:"epochs"`
	TrainSeconds    float64      `json:"train_seconds"`
	SecondsPerEpoch *float64     `json:"seconds_per_epoch"`
	TrainLoss       *float64     `json:"train_loss"`
	TestAccuracy    *float64     `json:"test_accuracy"`
	Diverged        bool         `json:"diverged"`
	Model           *string      `json:"model"`
	// Stuck says how the network has not learned.
	Stuck []train.Stuck `json:"stuck,omitempty"`
	// ValidationAccuracy is there if images were held out, BestEpoch if the recipe
	// has patience.
	ValidationAccuracy *float64 `json:"validation_accuracy,omitempty"`
	BestEpoch          int      `json:"best_epoch,omitempty"`
}

func (t *trainFlags) printJSON(w io.Writer, r train.Result, exec kernels.Executor, saved *string) error {
	report := trainReport{
		Arch:            t.Recipe.Arch,
		Parameters:      r.Parameters,
		Device:          exec.Device(),
		Executor:        exec.Name(),
		Precision:       t.precision,
		Arithmetic:      exec.Arithmetic(),
		Mixed:           r.Mixed,
		Recipe:          t.Recipe,
		From:            r.Spec.From,
		Seed:            t.Seed,
		Epochs:          r.Epochs,
		TrainSeconds:    r.Seconds,
		SecondsPerEpoch: secondsPerEpoch(r),
		TrainLoss:       finite(r.TrainLoss),
		Diverged:        r.Diverged,
		Model:           saved,
		BestEpoch:       r.BestEpoch,
		Stuck:           r.Stuck,
	}
	if r.Model != nil {
		report.TestAccuracy = finite(r.Test.Accuracy())
	}
	if r.Validation.N > 0 {
		report.ValidationAccuracy = finite(r.Validation.Accuracy())
	}
	return writeJSON(w, report)
}

// print is the result for people.
func (t *trainFlags) print(w io.Writer, r train.Result, exec kernels.Executor, data *dataset.Dataset, saved *string) error {
	var b bytes.Buffer
	rows := tabwriter.NewWriter(&b, 0, 0, 2, ' ', 0)
	row := func(name, format string, args ...any) {
		fmt.Fprintf(rows, "%s\t"+format+"\n", append([]any{name}, args...)...)
	}
	row("network", "%s, %s parameters", t.Recipe.Network(), words.Thousands(r.Parameters))
	images := words.Thousands(data.Train.Len())
	if n := r.Validation.N; n > 0 {
		images = fmt.Sprintf("%s + %s held-out", words.Thousands(data.Train.Len()-n), words.Thousands(n))
	}
	if from := r.Spec.From; from != nil {
		added := ""
		if from.Added > 0 {
			added = ", with " + words.Plural(from.Added, "output") + " more"
		}
		row("from", "the weights of %s, %s%s", t.from, from.Network, added)
	}
	row("data", "%s, %s training images", data.Name, images)
	row("executor", "%s: %s", exec.Name(), exec.Device())
	if len(r.Mixed) > 0 {
		row("mixed", "started in one arithmetic, continued in another (%s): no single run reproduces this network", list(r.Mixed))
	}
	epochs := strconv.Itoa(r.Epochs)
	if r.Epochs < t.Recipe.Epochs {
		epochs += " of " + strconv.Itoa(t.Recipe.Epochs)
	}
	if each := secondsPerEpoch(r); each != nil {
		row("epochs", "%s in %.1f s, %.3f s each", epochs, r.Seconds, *each)
	} else {
		row("epochs", "%s", epochs)
	}
	if r.BestEpoch > 0 {
		row("kept", "epoch %d, the best on the held-out images", r.BestEpoch)
	}
	if r.Epochs > 0 || r.Diverged {
		row("train loss", "%.4f", r.TrainLoss)
	}
	if r.Validation.N > 0 {
		row("validation", "%s (%s of %s)", percent(r.Validation.Accuracy()), words.Thousands(r.Validation.Correct), words.Thousands(r.Validation.N))
	}
	if r.Model != nil {
		row("test accuracy", "%s (%s of %s)", percent(r.Test.Accuracy()), words.Thousands(r.Test.Correct), words.Thousands(r.Test.N))
	}
	if saved != nil {
		row("saved in", "%s", *saved)
	}
	rows.Flush()
	if saved != nil {
		next := []string{"eval", *saved}
		if t.data.name != "mnist" {
			next = append(next, "--data", t.data.name)
		}
		fmt.Fprintf(&b, "\nsee where it errs: %s\n", commandLine(next...))
	}
	_, err := w.Write(b.Bytes())
	return err
}

// await is what do returns, or the cause of ctx as soon as that is done: for what opens and reads files, which may be
// pipes without a writer. What do does then is no longer wanted.
func await[T any](ctx context.Context, do func() (T, error)) (T, error) {
	type result struct {
		value T
		err   error
	}
	done := make(chan result, 1)
	go func() {
		value, err := do()
		done <- result{value, err}
	}()
	select {
	case r := <-done:
		return r.value, r.err
	case <-ctx.Done():
		var none T
		return none, context.Cause(ctx)
	}
}

// secondsPerEpoch is nil before the end of the first epoch: a few steps do not tell.
func secondsPerEpoch(r train.Result) *float64 {
	if r.Epochs == 0 {
		return nil
	}
	return finite(r.Seconds / r.EpochsTrained)
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
