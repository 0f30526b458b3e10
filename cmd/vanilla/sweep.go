package main

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"math"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"text/tabwriter"
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
	"vanilla/train/sweep/report"
)

// sweepFlags are the flags of the command sweep.
type sweepFlags struct {
	spec sweep.Spec
	executorFlags
	base, file, shard string // --recipe, --spec, --shard
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
	if s.resume && len(fields) == 0 {
		return s.remember(ctx, flags)
	}
	return s.build(ctx, fields)
}

// remember takes the sweep that --out holds as it is: a sweep that is gone on with
// needs no flags again.
func (s *sweepFlags) remember(ctx context.Context, flags *pflag.FlagSet) error {
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
	from, err := baseSpec(ctx, name)
	if err != nil {
		return err
	}
	spec.Recipe = from.Recipe
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
		for field, text := range defaultFields() {
			defaults[field] = text
		}
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
	case grid && points:
		return &train.SettingError{Field: "grid", Value: true, Problem: "--points " + fields["points"] + " draws some points: want one or the other"}
	case !grid && !points && defaults["points"] == "":
		return usagef("want --points with how many points of the space to draw, or --grid for all: the space is your own, %s, in place of the default one", spaceText(spec.Space))
	}
	for field, text := range fields {
		defaults[field] = text
	}
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
	o.DataSettings = s.data.settings()
	o.Revision, o.Repair, o.AllowMixed = revision(), s.repair, s.allowMixed
	return o, nil
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
		return s.estimate(ctx, stdout)
	}
	exec, err := s.open()
	if err != nil {
		return err
	}
	defer closing(exec, &err)
	data, err := s.data.load(ctx, nil)
	if err != nil {
		return err
	}
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
	fmt.Fprintf(stderr, "sweeping over %s with %s: %s\n", data.Name, exec.Name(), exec.Device())
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

// warnStuckVariants says in one line how many networks have not learned by the last
// rung that they reached.
func warnStuckVariants(w io.Writer, d *sweep.Directory) {
	n := 0
	counts := map[train.Stuck]int{}
	for _, v := range d.Variants() {
		if s := v.Last().Stuck; s != nil {
			n++
			for _, how := range s {
				counts[how]++
			}
		}
	}
	if n == 0 {
		return
	}
	var parts []string
	for _, how := range slices.Sorted(maps.Keys(counts)) {
		parts = append(parts, fmt.Sprintf("%s %s", words.Thousands(counts[how]), how))
	}
	fmt.Fprintf(w, "%s of %s stuck (%s): \"stuck\" in records.jsonl says which\n", words.Thousands(n), networksAre(len(d.Variants()), n), list(parts))
}

// tell says what --repair did.
func tell(w io.Writer, dir string, r sweep.Repairs) {
	if len(r.Lines) > 0 {
		fmt.Fprintf(w, "records.jsonl: dropped %s: what they were of is trained again\n", numbered("line", r.Lines))
	}
	if len(r.Environments) > 0 {
		fmt.Fprintf(w, "environment.jsonl: dropped %s\n", numbered("line", r.Environments))
	}
	for _, v := range r.Again {
		fmt.Fprintf(w, "trained again: %s variant %s, %s, seed %d\n", v.Stage, v.ID, v.Arch, v.Seed)
	}
	switch {
	case r.Dropped != "":
		fmt.Fprintf(w, "%s has what was dropped\n", r.Dropped)
	case len(r.Environments) == 0:
		fmt.Fprintf(w, "%s: found nothing to repair among its records and models\n", dir)
	}
}

// numbered is "line 3", or "lines 3, 5 and 8".
func numbered(what string, numbers []int) string {
	var words []string
	for _, n := range numbers {
		words = append(words, strconv.Itoa(n))
	}
	switch n := len(words); n {
	case 1:
		return what + " " + words[0]
	default:
		return what + "s " + strings.Join(words[:n-1], ", ") + " and " + words[n-1]
	}
}

// spaceText is a space as flags.
func spaceText(space map[string]string) string {
	var parts []string
	for _, field := range sweep.SpaceFields() {
		if text, ok := space[field]; ok {
			parts = append(parts, flagOf(field)+" "+text)
		}
	}
	if len(parts) == 0 {
		return "one recipe"
	}
	return strings.Join(parts, " ")
}

// spaceLines say what is swept: the space, what it begins at, and what else differs
// because of it, each a name and a text.
func (s *sweepFlags) spaceLines() [][2]string {
	lines := [][2]string{{"space", spaceText(s.spec.Space)}}
	if s.ownSpace {
		lines = append(lines, [2]string{"else", "as in the recipe: " + s.unswept() + " (a space of your own: the default one is not searched)"})
	}
	for _, field := range []string{"optimizer", "schedule"} {
		var parts []string
		for _, r := range s.spec.Followed(field) {
			if also := s.spec.Follows(&r, field); also != "" {
				parts = append(parts, fmt.Sprintf("%v with %s", r.Get(field), also))
			}
		}
		if parts != nil {
			lines = append(lines, [2]string{field, strings.Join(parts, "; ") + ": what no flag says is each one's own"})
		}
	}
	return lines
}

// unswept says what all points have of the recipe. Widths of inputs and outputs are the data's, and not the recipe's.
func (s *sweepFlags) unswept() string {
	r := &s.spec.Recipe
	given := func(field string) bool { _, ok := s.spec.Space[field]; return ok }
	var parts []string
	if widths, own, err := model.ParseArch(r.Arch); err == nil && !given("arch") && !(given("layers") && given("hidden")) {
		hidden := widths[1 : len(widths)-1]
		switch {
		case given("hidden"):
			parts = append(parts, words.Plural(len(hidden), "hidden layer"))
		case len(hidden) == 0:
			parts = append(parts, "no hidden layers")
		case given("layers"):
			parts = append(parts, "layers as wide as in "+model.JoinArch(hidden, nil))
		case own != nil:
			own = own[1 : len(own)-1]
			parts = append(parts, "hidden layers "+model.JoinArch(hidden, own))
		default:
			parts = append(parts, "hidden layers of "+model.JoinArch(hidden, nil)+" units")
		}
	}
	choices := s.spec.Choices()
	for _, field := range []string{"activation", "block", "norm", "dropout", "input_dropout", "label_smoothing", "optimizer", "lr", "weight_decay", "batch"} {
		usual := slices.Contains([]string{"block", "norm", "dropout", "input_dropout", "label_smoothing"}, field) && r.Get(field) == new(train.Recipe).Get(field)
		if given(field) || slices.Contains(choices, field) || usual {
			continue
		}
		if text := sweep.Settings(r, []string{field}); text != "" {
			parts = append(parts, text)
		}
	}
	return strings.Join(parts, ", ")
}

// print is the answer for people.
func (s *sweepFlags) print(w io.Writer, d *sweep.Directory) error {
	var b strings.Builder
	c := d.Counts()
	fmt.Fprintf(&b, "%s variants, of which %s diverged\n", words.Thousands(c.Planned), words.Thousands(c.Diverged))
	finalists := d.Finalists()
	rows := tabwriter.NewWriter(&b, 0, 0, 2, ' ', 0)
	for i, f := range finalists {
		if i == 0 {
			fmt.Fprintf(rows, "\nfinalist\theld-out images\ttest images\t\n")
		}
		fmt.Fprintf(rows, "%s\t%s ± %.2f\t%s ± %.2f\tn = %d\n", d.Spec.Name(&f.Point.Recipe),
			percent(f.ValidationMean), 100*f.ValidationSD, percent(f.TestMean), 100*f.TestSD, f.N)
	}
	rows.Flush()
	if len(finalists) > 0 && finalists[0].N > 0 {
		fmt.Fprintf(&b, "± is over seeds; %s\n", report.Images(finalists[0].TestMean, d.Data.Test, "test"))
	}
	if commands := newReport(d).Again(); len(commands) > 0 {
		fmt.Fprintf(&b, "\nthe finalists again, each network to the same bytes:\n")
		for _, c := range commands {
			fmt.Fprintf(&b, "  %s\n", c.Command)
		}
	}
	fmt.Fprintf(&b, "\nsee what it found: %s\n", commandLine("results", s.out))
	_, err := io.WriteString(w, b.String())
	return err
}

// leaderboard shows how far a sweep is: a few lines that are drawn anew on a
// terminal, a line now and then elsewhere, of JSON if the command prints JSON.
type leaderboard struct {
	w        io.Writer
	spec     *sweep.Spec
	json     bool
	terminal bool
	head     []string // lines that come first, once training has begun
	lines    int      // on the terminal
	shown    time.Time
	last     *sweep.Progress
}

// linesEvery is the time between two lines where there is no terminal.
const linesEvery = 10 * time.Second

func newLeaderboard(w io.Writer, spec *sweep.Spec, json bool) *leaderboard {
	l := &leaderboard{w: w, spec: spec, json: json}
	if f := terminal(w); f != nil {
		l.w, l.terminal = f, true
	}
	return l
}

func (l *leaderboard) show(p sweep.Progress) {
	l.last = &p
	for _, line := range l.head {
		fmt.Fprintln(l.w, line)
	}
	l.head = nil
	if l.terminal {
		l.draw(p)
	} else if time.Since(l.shown) >= linesEvery {
		l.shown, l.last = time.Now(), nil
		l.line(p)
	}
}

// progressLine is a line of JSON. Numbers that are not known yet are null.
type progressLine struct {
	Planned          int      `json:"planned"`
	Done             int      `json:"done"`
	Diverged         int      `json:"diverged"`
	NetworkEpochs    int      `json:"network_epochs"`
	PerSecond        *float64 `json:"network_epochs_per_second"`
	Seconds          float64  `json:"seconds"`
	SecondsLeft      *float64 `json:"seconds_left"`
	BestArch         string   `json:"best_arch,omitempty"`
	BestEpoch        int      `json:"best_epoch,omitempty"`
	BestValidation   *float64 `json:"best_validation_accuracy,omitempty"`
	BestTestAccuracy *float64 `json:"best_test_accuracy,omitempty"`
}

func (l *leaderboard) line(p sweep.Progress) {
	if !l.json {
		line := l.far(p)
		if len(p.Best) > 0 {
			line += "; best " + l.row(&p.Best[0])
		}
		fmt.Fprintln(l.w, line)
		return
	}
	line := progressLine{Planned: p.Planned, Done: p.Done, Diverged: p.Diverged, NetworkEpochs: p.NetworkEpochs,
		PerSecond: finite(float64(p.NetworkEpochs) / p.Seconds), Seconds: p.Seconds, SecondsLeft: finite(p.Left)}
	if len(p.Best) > 0 {
		r := p.Best[0]
		line.BestArch, line.BestEpoch, line.BestValidation, line.BestTestAccuracy = r.Arch, r.Epoch, r.ValidationAccuracy, r.TestAccuracy
	}
	text, err := json.Marshal(line)
	if err == nil {
		fmt.Fprintf(l.w, "%s\n", text)
	}
}

// far says how far the sweep is.
func (l *leaderboard) far(p sweep.Progress) string {
	left := "?"
	if !math.IsNaN(p.Left) {
		left = time.Duration(p.Left * float64(time.Second)).Round(time.Second).String()
	}
	return fmt.Sprintf("%s of %s variants, %s diverged  %.1f network-epochs/s  %s, %s left", words.Thousands(p.Done+p.Diverged), words.Thousands(p.Planned),
		words.Thousands(p.Diverged), float64(p.NetworkEpochs)/p.Seconds, time.Duration(p.Seconds*float64(time.Second)).Round(time.Second), left)
}

// row is a network with all that tells it from the others.
func (l *leaderboard) row(r *sweep.Record) string {
	text := fmt.Sprintf("%s after %s  %s", percent(*r.ValidationAccuracy), words.Plural(r.Epoch, "epoch"), l.spec.Name(&r.Recipe))
	if r.Stage == sweep.Final || l.spec.Seeds > 1 {
		text += fmt.Sprintf(", seed %d", r.Seed)
	}
	return text
}

func (l *leaderboard) draw(p sweep.Progress) {
	var b strings.Builder
	l.erase(&b)
	fmt.Fprintln(&b, l.far(p))
	for i := range p.Best {
		fmt.Fprintf(&b, "  %s\n", l.row(&p.Best[i]))
	}
	l.lines = 1 + len(p.Best)
	io.WriteString(l.w, b.String())
}

// erase goes back to the first line that was drawn and clears what follows.
func (l *leaderboard) erase(w io.Writer) {
	if l.lines > 0 {
		fmt.Fprintf(w, "\x1b[%dA\x1b[J", l.lines)
		l.lines = 0
	}
}

// finish clears the board away, or writes the last line.
func (l *leaderboard) finish() {
	if l.terminal {
		l.erase(l.w)
	} else if l.last != nil {
		l.line(*l.last)
	}
}

// planReport is what --dry-run --json prints.
type planReport struct {
	sweep.Cost
	Devices []deviceReport `json:"devices"`
}

// deviceReport is what the plan takes on a device: by the median of the
// measurements of its speed, and by the fastest and the slowest of them.
type deviceReport struct {
	Device   string  `json:"device"`
	Name     string  `json:"name"`
	Seconds  float64 `json:"seconds"`
	Least    float64 `json:"seconds_least"`
	Most     float64 `json:"seconds_most"`
	Largest  float64 `json:"seconds_if_largest"` // if the costliest points go on
	Measured int     `json:"measurements"`
}

// devices are where the sweep could run: for auto, every device that has the
// precision.
func (s *sweepFlags) devices() []executorFlags {
	if s.device != "auto" {
		return []executorFlags{s.executorFlags}
	}
	var all []executorFlags
	for _, d := range device.Devices() {
		if d.Name == "cpu" && s.precision != device.Precisions()[0] {
			continue
		}
		all = append(all, executorFlags{d.Name, s.executor, s.precision})
	}
	return all
}

// estimate is --dry-run.
func (s *sweepFlags) estimate(ctx context.Context, stdout io.Writer) error {
	options, err := s.options()
	if err != nil {
		return err
	}
	data, err := s.data.load(ctx, nil)
	if err != nil {
		return err
	}
	plan, err := sweep.NewPlan(ctx, s.spec, train.FingerprintOf(data))
	if err != nil {
		return err
	}
	if err := plan.Check(options.Shard); err != nil {
		return err
	}
	report := planReport{}
	if report.Cost, err = plan.Cost(options.Shard, options.Memory); err != nil {
		return err
	}
	if report.Devices, err = s.speeds(ctx, plan, data, report.Cost); err != nil {
		return err
	}
	if s.json {
		return writeJSON(stdout, report)
	}
	var b strings.Builder
	rows := tabwriter.NewWriter(&b, 0, 0, 2, ' ', 0)
	for _, line := range s.spaceLines() {
		fmt.Fprintf(rows, "%s\t%s\n", line[0], line[1])
	}
	fmt.Fprintf(rows, "points\t%s in %s\n", words.Thousands(report.Points), words.Plural(report.Brackets, "bracket"))
	if text := plan.LeftOutText(); text != "" {
		fmt.Fprintf(rows, "left out\t%s\n", text)
	}
	fmt.Fprintf(rows, "variants\t%s, %s of them finals\n", words.Thousands(report.Variants), words.Thousands(report.Finals))
	fmt.Fprintf(rows, "training\t%s network-epochs, %.3g FLOP\n", words.Thousands(int(report.NetworkEpochs)), report.FLOP)
	fmt.Fprintf(rows, "memory\t%.0f MB of networks at once, at most\n", float64(report.MemoryBytes)/1e6)
	for _, d := range report.Devices {
		second := func(seconds float64) time.Duration {
			return time.Duration(seconds * float64(time.Second)).Round(time.Second)
		}
		largest := ""
		if d.Largest > 1.1*d.Seconds {
			largest = fmt.Sprintf("; about %v if the largest networks are kept", second(d.Largest))
		}
		fmt.Fprintf(rows, "time\tabout %v on %s: %s (%v to %v by %s)%s\n", second(d.Seconds), d.Device, d.Name, second(d.Least), second(d.Most), words.Plural(d.Measured, "measurement"), largest)
	}
	rows.Flush()
	_, err = io.WriteString(stdout, b.String())
	return err
}

// speeds measures the devices in turns, and says how long each takes for so much
// work.
func (s *sweepFlags) speeds(ctx context.Context, plan *sweep.Plan, data *dataset.Dataset, cost sweep.Cost) (found []deviceReport, err error) {
	var meters []*sweep.Speedometer
	for _, where := range s.devices() {
		exec, failure := where.open()
		if failure != nil && s.device == "auto" {
			continue // this binary or machine has none
		} else if failure != nil {
			return nil, failure
		}
		defer closing(exec, &err)
		meter, failure := plan.NewSpeedometer(ctx, exec, data)
		if failure != nil {
			return nil, failure
		}
		defer closing(meter, &err)
		meters = append(meters, meter)
		found = append(found, deviceReport{Device: where.device, Name: exec.Device()})
	}
	for more := true; more; {
		more = false
		for i, meter := range meters {
			left, err := meter.Round(ctx)
			if err != nil {
				return nil, err
			}
			found[i].Measured++
			more = more || left
		}
	}
	for i, meter := range meters {
		slowest, median, fastest := meter.Speed()
		found[i].Seconds, found[i].Least, found[i].Most, found[i].Largest = cost.FLOP/median, cost.FLOP/fastest, cost.FLOP/slowest, cost.MostFLOP/median
	}
	return found, nil
}
