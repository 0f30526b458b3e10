package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"math"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"vanilla/dataset"
	"vanilla/internal/words"
	"vanilla/kernels"
	"vanilla/kernels/device"
	"vanilla/model"
	"vanilla/train"
	"vanilla/train/sweep"
)

// sweepFlags are the flags of the command sweep.
type sweepFlags struct {
	spec sweep.Spec
	executorFlags
	base, file, shard string       // --recipe, --spec, --shard
	like              *model.Model // that --recipe names: data are read as its own were
	likeName          string
	data              dataSource
	out               string
	resume, repair    bool
	allowMixed        bool
	dryRun, json      bool
	checkpointSeconds float64
	memoryGiB         float64
	ownSpace          bool // and not the default one
}

func sweepCommand() *cobra.Command {
	var s sweepFlags
	c := &cobra.Command{
		Use:   "sweep",
		Short: "Train the networks of a whole space, and find the best",
		Long: `Sweep trains networks that differ in everything a recipe has, on all cores at once, and
finds the best of them.

The flags of the group Space take values joined by commas, and ranges. --layers 1..3
--hidden 8..128 --activation relu,silu is networks of one to three hidden layers of 8
to 128 units each. Ranges of hidden, lr, weight_decay and batch are even on a
logarithmic axis; 8..128:linear is even itself, and 4..128:log:6 is six values.
--points draws so many points of the space at random, --grid takes all. --spec reads
the same fields from a YAML file, which flags override.

Where no flag of the group Space is given, nor --recipe, --grid or --spec with a space,
the space is --layers 1..3 --hidden 8..128 --activation relu,silu --init he
--lr 0.03..0.3 --weight-decay 1e-6..1e-4 --shift 1, with --points 1000 --halving 1,4,16.
A flag of that group does not change this space, but begins one of your own: it has
the dimensions that you name and no others, and all else is as in --recipe. It wants
--points or --grid. What the space is, is said before training and by --dry-run.

Each optimizer has a learning rate of its own (see --optimizer): --optimizer sgd,adam
without --lr compares each with its own, and rows say so.

--sampler tpe learns: after each bracket of 16 points it draws the next one where the
best of those so far lie (a multivariate tree-structured Parzen estimator), and so needs
fewer network-epochs than random points, which are the default. It cannot be divided into
shards, since each bracket depends on all before it, and small brackets keep few cores
busy.

With --halving 1,3,9,27, all points are trained for one epoch, about the best third of
them up to three, and so on. Learning rates follow the schedule of all 27 from the
beginning. What is compared is the accuracy on held-out training images, among the
points of one bracket. The best points are trained again with seeds they have not
seen; these finalists alone are scored on the test images, once.

The directory has a line of JSON for each network and rung in records.jsonl, and the
finalists' models. Ctrl-C keeps what is done and exits with 1; the same command with
--resume goes on, however the process ended. --shard 1/8 is an eighth of the brackets,
for several machines: vanilla results --merge joins their directories, and --resume on
what it wrote trains the finalists.`,
		Example: `  vanilla sweep --out sweep
  vanilla sweep --layers 1..3 --hidden 8..64 --points 200 --halving 1,3,9 --out small
  vanilla sweep --layers 2 --hidden 4,8,16 --grid --seeds 5 --epochs 10 --out widths
  vanilla sweep --lr 0.03..1 --weight-decay 0,1e-5..1e-3 --points 50 --epochs 5 --dry-run
  vanilla sweep --spec studies/widths.yaml --out widths
  vanilla sweep --out widths --resume
  vanilla sweep --sampler tpe --out learned
  vanilla sweep --shard 1/8 --out shard1`,
		Args: noArguments,
		RunE: func(c *cobra.Command, _ []string) error {
			s.data.of(c)
			if from := c.Flags().Lookup("from"); from.Changed {
				return &train.SettingError{Field: "from", Value: from.Value, Problem: "a sweep's networks differ in their layers, and start from random weights: vanilla train --from starts one recipe, with --seeds several networks, from a network's"}
			}
			if err := s.resolve(c.Context(), c.Flags()); err != nil {
				return err
			}
			return s.run(c.Context(), c.OutOrStdout(), c.ErrOrStderr())
		},
	}
	groups := append(sweepGroups(), baseFlag(&s.base))
	groups[0].StringVar(&s.file, "spec", "", "YAML `file` with fields named as these flags, which override those in it")

	where := group("Data and hardware")
	s.data.addTo(where, "mnist", dataUsage)
	s.executorFlags.trainingTo(where)
	where.Float64Var(&s.memoryGiB, "memory", 1, "approximate memory of the networks in training at once, in `GiB`")
	where.StringVar(&s.shard, "shard", "1/1", "which `part` of the plan to train, from 1, and how many parts there are")

	output := group("Output")
	output.StringVarP(&s.out, "out", "o", "", "where to keep the sweep, a `directory`")
	output.BoolVar(&s.resume, "resume", false, "go on with the sweep in the directory, if there is one")
	output.BoolVar(&s.repair, "repair", false, "with --resume, drop records and models that are damaged or lost, and train them again")
	output.BoolVar(&s.allowMixed, "allow-mixed", false, "resume too where the sweep was begun in other arithmetic, on another executor or kind of processor: results then say so")
	output.Float64Var(&s.checkpointSeconds, "checkpoint-every", 20, "training that a killed process loses at most, in `seconds`")
	output.BoolVar(&s.dryRun, "dry-run", false, "print what the sweep is and costs, and do not train")
	output.BoolVar(&s.json, "json", false, "print each record as one JSON object on a line of its own; with --dry-run, the plan")
	output.BoolP("help", "h", false, "help for sweep")

	setFlagGroups(c, append(groups, where, output))
	c.Flags().String("from", "", "refused: see vanilla train")
	c.Flags().Lookup("from").Hidden = true
	return c
}

// defaultSpace and defaultFields are the sweep that is run if nothing is said:
// 1,000 networks of one to three hidden layers.
func defaultSpace() map[string]string {
	return map[string]string{"layers": "1..3", "hidden": "8..128", "activation": "relu,silu", "init": "he",
		"lr": "0.03..0.3", "weight_decay": "1e-6..1e-4", "shift": "1"}
}

func defaultFields() map[string]string {
	return map[string]string{"points": "1000", "halving": "1,4,16", "finalists": "4", "final_seeds": "5", "validation": "0.1"}
}

// specFields are the fields of a sweep that are not of its space.
func specFields() []string {
	return []string{"points", "grid", "sampler", "seed", "seeds", "max_parameters", "halving", "brackets", "finalists", "final_seeds", "validation", "recipe"}
}

// optimizerDefaults says with which learning rate each optimizer begins.
func optimizerDefaults() string {
	var parts []string
	for _, k := range kernels.Optimizers() {
		parts = append(parts, fmt.Sprintf("%s %g", k.Name, k.LR))
	}
	return list(parts)
}

// sweepGroups are the flags that make a spec. All are text, as they are in a
// file, and read in one place.
func sweepGroups() []*pflag.FlagSet {
	space := group("Space")
	text := func(f *pflag.FlagSet, name, usage string) { f.String(name, "", usage) }
	text(space, "arch", "layer `widths`, several lists of them joined by commas, instead of --layers and --hidden")
	text(space, "layers", "how many hidden layers, `numbers`")
	text(space, "hidden", "width of each hidden layer, in `units`")
	for _, f := range recipeFlags(new(train.Recipe)) {
		f.VisitAll(func(f *pflag.Flag) {
			if f.Name != "arch" && f.Name != "validation" && f.Name != "patience" {
				space.String(f.Name, "", f.Usage)
			}
		})
	}
	plan := group("Plan")
	text(plan, "points", "how many points of the space to draw, a `number`")
	plan.Bool("grid", false, "take all points of the space")
	text(plan, "sampler", "how points are drawn, by `name`: random, or tpe, which draws each bracket where the good points of those before it lie, and has one for every 16 points (default random)")
	text(plan, "seed", "seed `number` of the points that are drawn (default 1)")
	text(plan, "seeds", "seeds to train each point with, a `number`: 1, 2, … (default 1)")
	text(plan, "max-parameters", "largest `number` of weights and biases of a network; larger ones are left out")
	text(plan, "halving", "when points are compared, after so many `epochs`, joined by commas; none is to train all to the end, for --epochs")
	text(plan, "brackets", "how many `groups` points are compared in, and which a shard has whole (default: one for every 64 points)")
	text(plan, "finalists", "how many of the best points to train again and test, a `number` (default 4)")
	text(plan, "final-seeds", "new seeds to train each finalist with, a `number` (default 5)")
	text(plan, "validation", "part of the training images to hold out and compare on, a `fraction` (default 0.1)")
	return []*pflag.FlagSet{space, plan}
}

// resolve puts the spec together: the file's fields, overridden by the flags that
// were given, or else the default sweep's.
func (s *sweepFlags) resolve(ctx context.Context, flags *pflag.FlagSet) error {
	fields := map[string]string{}
	if s.file != "" {
		var err error
		if fields, err = await(ctx, func() (map[string]string, error) { return sweep.ReadFields(s.file, specFields()) }); err != nil {
			return err
		}
	}
	for _, g := range sweepGroups() {
		g.VisitAll(func(f *pflag.Flag) {
			if set := flags.Lookup(f.Name); set.Changed {
				fields[strings.ReplaceAll(f.Name, "-", "_")] = set.Value.String()
			}
		})
	}
	if flags.Changed("recipe") {
		fields["recipe"] = s.base
	}
	if s.resume {
		// What keeps a header from being read is said by who needs it.
		if header, err := sweep.ReadHeader(s.out); err == nil {
			s.goOn(flags, header.Arithmetic)
		}
	}
	if s.resume && len(fields) == 0 {
		return s.remember(flags)
	}
	return s.build(ctx, fields)
}

// remember takes the sweep that --out holds as it is: a sweep that is gone on with
// needs no flags again.
func (s *sweepFlags) remember(flags *pflag.FlagSet) error {
	header, err := sweep.ReadHeader(s.out)
	if errors.Is(err, fs.ErrNotExist) {
		return &train.SettingError{Field: "resume", Value: s.out, Problem: "found no sweep there: want the directory of one, or the flags of a sweep to begin"}
	} else if err != nil {
		return fmt.Errorf("--resume: %w: --repair, with the flags that the sweep was started with, resumes it", err)
	}
	s.spec = header.Spec
	kept := map[string]string{"data": cmp.Or(header.DataPath, "mnist"), "shard": header.Shard.String()}
	if header.Executor == device.Tape || header.Executor == device.Ref { // others are --device's
		kept["executor"] = header.Executor
	}
	maps.Copy(kept, header.DataSettings)
	for name, value := range kept {
		if !flags.Changed(name) {
			if err := flags.Set(name, value); err != nil {
				return err
			}
		}
	}
	return nil
}

// build makes the spec of fields. What the space does not say is as in the default
// sweep only where no field of a space is given at all.
func (s *sweepFlags) build(ctx context.Context, fields map[string]string) error {
	spec := sweep.Spec{Space: map[string]string{}, Seed: 1, Seeds: 1}
	name, given := fields["recipe"]
	if !given {
		name = "default"
	} else if err := oneMeaning(name, train.Recipes(), "recipe"); err != nil {
		return fmt.Errorf("--recipe %w", err)
	}
	from, like, err := baseOf(ctx, name)
	if err != nil {
		return err
	}
	spec.Recipe, s.like, s.likeName = from.Recipe, like, name
	for field, text := range fields {
		if !slices.Contains(specFields(), field) {
			spec.Space[field] = text
		}
	}
	defaults := map[string]string{"finalists": "4", "final_seeds": "5", "validation": "0.1"}
	_, halving := fields["halving"]
	_, epochs := fields["epochs"]
	_, points := fields["points"]
	grid := fields["grid"] == "true"
	if len(spec.Space) == 0 && !given && !grid {
		maps.Copy(defaults, defaultFields())
		spec.Space = defaultSpace()
	} else {
		s.ownSpace = true
	}
	if halving || epochs {
		delete(defaults, "halving")
	}
	for _, field := range slices.Sorted(maps.Keys(spec.Space)) {
		if !slices.Contains(sweep.SpaceFields(), field) {
			continue // which the spec says
		}
		if _, err := sweep.ParseValues(field, spec.Space[field]); err != nil {
			return err
		}
	}
	switch {
	case grid && fields["sampler"] != "" && fields["sampler"] != sweep.RandomSampler:
		return &train.SettingError{Field: "sampler", Value: fields["sampler"], Problem: "--grid takes all points, and none is drawn: want one or the other"}
	case grid && fields["seed"] != "":
		return &train.SettingError{Field: "seed", Value: fields["seed"], Problem: "it is of the points that are drawn, and --grid takes all: want one or the other; --seeds says from how many seeds each is trained"}
	case grid && points:
		return &train.SettingError{Field: "grid", Value: true, Problem: "--points " + fields["points"] + " draws some points: want one or the other"}
	case !grid && !points && defaults["points"] == "":
		return usagef("want --points with how many points of the space to draw, or --grid for all: the space is your own, %s, in place of the default one", spaceText(spec.Space))
	}
	maps.Copy(defaults, fields)
	if err := spec.Set(defaults); err != nil {
		return err
	}
	if spec.Recipe.Validation == 0 {
		return &train.SettingError{Field: "validation", Value: 0, Problem: "points are compared on held-out images: want a fraction above 0, below 1"}
	}
	s.spec = spec
	return nil
}

// options are the flags as train/sweep takes them.
func (s *sweepFlags) options() (o sweep.Options, err error) {
	if o.Shard, err = sweep.ParseShard(s.shard); err != nil {
		return o, err
	}
	if o.Shard.Of == 1 {
		o.Shard = sweep.Shard{}
	}
	every := s.checkpointSeconds * float64(time.Second)
	if !(every >= 1e6 && every < math.MaxInt64) {
		return o, &train.SettingError{Field: "checkpoint_every", Value: s.checkpointSeconds, Problem: "want 0.001 seconds or more"}
	}
	memory := s.memoryGiB * (1 << 30)
	if !(memory >= 1 && memory < math.MaxInt64) {
		return o, &train.SettingError{Field: "memory", Value: s.memoryGiB, Problem: "want a positive number of GiB"}
	}
	o.CheckpointEvery, o.Memory, o.Resume, o.Version = time.Duration(every), int64(memory), s.resume, version
	if s.data.name != "mnist" {
		o.DataPath = s.data.name
	}
	o.Revision, o.Repair, o.AllowMixed = revision(), s.repair, s.allowMixed
	return o, nil
}

// read loads the data, and says what may be odd about them. How the directory says that they are read, and the commands
// that train finalists again, is by flags, without the model.
func (s *sweepFlags) read(ctx context.Context, stderr io.Writer) (*dataset.Dataset, error) {
	data, err := s.data.loadLike(ctx, s.like, s.likeName)
	if err == nil && s.like != nil {
		err = s.data.keep(ctx, data)
	}
	if err == nil {
		noteData(stderr, s.data.flags, data)
	}
	return data, err
}

func (s *sweepFlags) run(ctx context.Context, stdout, stderr io.Writer) (err error) {
	options, err := s.options()
	if err != nil {
		return err
	}
	for _, f := range []struct {
		name string
		set  bool
	}{{"repair", s.repair}, {"allow_mixed", s.allowMixed}} {
		if f.set && !s.resume {
			return &train.SettingError{Field: f.name, Value: true, Problem: "it only applies to a sweep that is resumed: want --resume too"}
		}
	}
	if s.out == "" && !s.dryRun {
		return usagef("want --out with a directory for what is found")
	}
	if s.out != "" {
		if err := keepApart([]string{s.data.name}, output{"--out", filepath.Join(s.out, "sweep.jsonl")}); err != nil {
			return err
		}
	}
	if s.dryRun {
		return s.estimate(ctx, stdout, stderr)
	}
	s.data.ahead()
	exec, err := s.open()
	if err != nil {
		return err
	}
	defer closing(exec, &err)
	data, err := s.read(ctx, stderr)
	if err != nil {
		return err
	}
	options.DataSettings = s.data.settings()
	var failed error // of writing to stdout
	if s.json {
		options.Observe = func(r sweep.Record) {
			if err := writeJSON(stdout, r); err != nil {
				failed = err
			}
		}
	}
	options.Told = func(r sweep.Repairs) { tell(stderr, s.out, r) }
	board := newLeaderboard(stderr, &s.spec, s.json)
	options.Progress = board.show
	s.note(exec, stderr)
	if !s.json {
		for _, line := range s.spaceLines() {
			board.head = append(board.head, line[0]+": "+line[1])
		}
	}
	fmt.Fprintf(stderr, "sweeping over %s with %s: %s\n", words.OneLine(data.Name), exec.Name(), exec.Device())
	d, err := sweep.Run(ctx, exec, data, s.out, s.spec, options)
	board.finish()
	if d == nil {
		return err
	}
	counts := d.Counts()
	warnStuckVariants(stderr, d)
	if err != nil {
		return fmt.Errorf("interrupted after %d of %d variants: %s holds them; --resume continues from there", counts.Done+counts.Diverged, counts.Planned, s.out)
	}
	if failed != nil {
		return failed
	}
	if !s.json {
		err = s.print(stdout, d)
	}
	if counts.Planned > 0 && counts.Diverged == counts.Planned {
		return fmt.Errorf("all %s variants diverged: nothing was found; smaller learning rates (--lr) may help", words.Thousands(counts.Planned))
	}
	return err
}
