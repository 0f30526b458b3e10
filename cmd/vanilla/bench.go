package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"vanilla/bench"
	"vanilla/dataset"
	"vanilla/internal/store"
	"vanilla/internal/words"
	"vanilla/kernels"
	"vanilla/kernels/device"
	"vanilla/train"
)

// benchFlags are the flags of the command bench.
type benchFlags struct {
	suite     string
	options   bench.Options
	executors []string
	rounds    int
	most      int // see bench.Bench
	data      string
	json      bool
	plot      string
	compare   bool
	against   string
	serve     string
	repeat    string
	python    string
	peers     string
	on        string
	results   string
	budget    time.Duration
	recipes   string
	reproduce string
	flags     *pflag.FlagSet // of the command, once it runs
}

// benchExecutors are what --executors can list, by what device.Open calls it.
var benchExecutors = map[string]string{"cpu": device.Fast, onGPUs: device.Fast, onGPUs + "-bf16": device.Fast, "tape": device.Tape, "ref": device.Ref, bench.Handrolled: ""}

// onGPUs is the executor whose device is not the CPU. With -PRECISION after it, its
// products are of that precision, else of kernels.DefaultPrecision, whatever GPUs train in
// where nothing is asked for.
const onGPUs = "cuda"

// openMeasured opens what --executors calls by a name. It refuses what is no device.
func openMeasured(name string) (exec kernels.Executor, err error) {
	if err = measurable(name); err != nil {
		return nil, err
	}
	precision := kernels.DefaultPrecision
	if _, other, ok := strings.Cut(name, "-"); ok {
		precision = other
	}
	exec, err = openExecutor(placeOf(name), benchExecutors[name], precision)
	return exec, ofExecutors(name, err)
}

// measurable refuses what is no device.
func measurable(name string) error {
	return ofExecutors(name, device.Measurable(placeOf(name), benchExecutors[name]))
}

// placeOf is the device of what --executors calls by a name.
func placeOf(name string) string {
	if bench.OnGPUs(name) {
		return onGPUs
	}
	return "cpu"
}

// ofExecutors says of a setting's problem that it is one of --executors.
func ofExecutors(name string, err error) error {
	var no *train.SettingError
	if errors.As(err, &no) {
		return &train.SettingError{Field: "executors", Value: name, Problem: no.Problem}
	}
	return err
}

// suiteNames are all suites.
func suiteNames() []string {
	return append(bench.SuiteNames(), bench.CompletionsSuite, bench.AccuracySuite, bench.CeilingsSuite)
}

func benchCommand() *cobra.Command {
	var b benchFlags
	c := &cobra.Command{
		Use:   "bench",
		Short: "Time executors on the same work, side by side",
		Long: `Bench times executors on the same work in interleaved rounds, beside the network
that a student of the lesson writes by hand (handrolled). A time counts only if the
networks have come to the same loss, after the timed steps, as the networks that the
reference trains.

Suites: step is one network on one core, at several batch sizes. population
is 1 to 4,096 networks on all cores, of one shape and of eight. wide is one network on
one core, up to 12 million weights. eval is one network forward over all training
images. peers is one network and 64, beside other frameworks, on a GPU 512 and 4,096;
one that is missing or fails is a row that says why. to-accuracy runs
"vanilla train" from a cold process on one core, a seed a round, and then trains a
population until each network reaches 95 %. repeat runs the same work several times,
and once slowed by a tenth, and holds the differences against their intervals.
accuracy trains each recipe from several seeds, and with --reproduce holds what some of
them come to against what was recorded. ceilings is what devices do at most:
of cpu multiply-adds in registers; of cuda L2, shared memory and tensor cores.

--compare reads two files that --json wrote and says what changed, with 95 % intervals.
Where both have handrolled, times are taken relative to it, round by round. The
intervals allow for what runs of this machine differ by as wholes, by the newest file of
the suite repeat that --repeat has.

--against runs another build of vanilla, of the commit before for example, by turns with
this one: each round starts a process of both, whose turns alternate, until the change is
known to within a per cent. Of work on one core both run on the same one, and what counts
is processor time, so that other work on the machine disturbs little. Suites step,
population, wide and eval; one executor.

--budget begins no case that might outlast it, if it takes as long as the longest before,
and says which those are. The first case always runs, however long it takes. Suites step,
population, wide, eval, peers and repeat have cases.

--results keeps what --json prints in DIR/SUITE-MACHINE-DATE.jsonl, from a binary that
was built from a commit. What is there already, of the same commit, is not run again.`,
		Example: `  vanilla bench
  vanilla bench --executors handrolled,cpu --batch 32 --rounds 15
  vanilla bench --suite population --networks 1,64 --json
  vanilla bench --executors cpu --plot bench.png
  vanilla bench --batch 32 --against ../before/vanilla`,
		Args: func(c *cobra.Command, args []string) error {
			if b.compare && len(args) != 2 {
				return fmt.Errorf("--compare: want two files, as in %s --compare before.json after.json", c.CommandPath())
			}
			if !b.compare {
				return noArguments(c, args)
			}
			return nil
		},
		RunE: func(c *cobra.Command, args []string) error {
			b.flags = c.Flags()
			if b.compare {
				if err := refuse(b.flags, "--compare reads two files and measures nothing: want it alone, or with --repeat", besides("compare", "repeat")); err != nil {
					return err
				}
				return compareResults(c.OutOrStdout(), args[0], args[1], b.repeat)
			}
			if c.Flags().Changed("rounds") && b.rounds < 1 {
				return &train.SettingError{Field: "rounds", Value: b.rounds, Problem: "want 1 or more"}
			}
			if b.serve != "" {
				return b.serveCase(c.Context(), c.InOrStdin(), c.OutOrStdout())
			}
			return b.run(c.Context(), c.OutOrStdout(), c.ErrOrStderr())
		},
	}
	c.Flags().SortFlags = false
	c.Flags().StringVar(&b.suite, "suite", "step", "what to measure, by `name`: "+strings.Join(suiteNames(), ", "))
	c.Flags().StringSliceVar(&b.executors, "executors", nil, "what to time, by `names`: handrolled, tape, cpu, cuda (all GPUs), cuda-bf16 (with --precision bf16), ref (default: the first three; of populations and wide networks cpu, with handrolled)")
	c.Flags().StringVar(&b.options.Arch, "arch", "", "layer `widths`, suites step and repeat (default \"784-16-16-10\")")
	c.Flags().IntSliceVar(&b.options.Batches, "batch", nil, "batch `sizes`, suite step (default 10,32,128,1024)")
	c.Flags().IntSliceVar(&b.options.Networks, "networks", nil, "population `sizes`, suites population (default 1,4,16,64,256,1024,4096) and peers (default 1,64, on a GPU 1,512,4096)")
	c.Flags().IntVar(&b.rounds, "rounds", 0, "rounds, a `number`, each of which times everything once (default 7, of populations and wide networks 5, of peers 3, of repeat and with --against 15, and up to 60 for an interval of ±1 %; seeds of to-accuracy 10, of accuracy 20, to --reproduce 2)")
	c.Flags().IntVar(&b.options.Examples, "examples", 0, "training `images`, the first ones, suites of cases (default: all)")
	c.Flags().StringVar(&b.data, "data", "mnist", dataUsage)
	c.Flags().BoolVar(&b.json, "json", false, "print each result as one JSON object on a line of its own")
	c.Flags().StringVar(&b.plot, "plot", "", "where to draw the results, a `file`: .png, .svg or .pdf")
	c.Flags().StringVar(&b.python, "peers", "", "run other frameworks with this `python`: implies the suite peers, see bench/peers")
	c.Flags().StringVar(&b.peers, "peers-dir", "bench/peers", "where the scripts are that run them, a `directory`")
	c.Flags().StringVar(&b.on, "peers-device", "cpu", "where they run, on this `device`: "+strings.Join(bench.PeerDevices(), " or "))
	c.Flags().StringVar(&b.recipes, "recipes", "recipes", "recipes beside the built-in ones, from this `directory`, suite accuracy")
	c.Flags().StringVar(&b.reproduce, "reproduce", "", "train the accuracies in this `directory` of results again, from as many seeds as --rounds says: fail where a number is another one")
	c.Flags().StringVar(&b.results, "results", "", "where to keep the results, a `directory`")
	c.Flags().DurationVar(&b.budget, "budget", 0, "begin no more cases, after the first, once so much `time` is used up, as in 9m (default: no end)")
	c.Flags().BoolVar(&b.compare, "compare", false, "compare two files that --json wrote")
	c.Flags().StringVar(&b.against, "against", "", "other build of vanilla to take turns with, a `binary`")
	c.Flags().StringVar(&b.repeat, "repeat", filepath.Join("bench", "results"), "where this machine's file of the suite repeat is, a `directory`")
	c.Flags().StringVar(&b.serve, "serve", "", "train this `case` by turns, as asked on standard input: what --against runs")
	c.Flags().MarkHidden("serve")
	return c
}

// check reports the first flag that cannot be, and fills in defaults.
func (b *benchFlags) check() error {
	if err := b.imply(); err != nil {
		return err
	}
	if b.suite == "peers" && b.python == "" {
		return &train.SettingError{Field: "suite", Value: b.suite, Problem: "it needs --peers, a Python with other frameworks (make peers installs one)"}
	}
	if !slices.Contains(suiteNames(), b.suite) {
		return &train.SettingError{Field: "suite", Value: b.suite, Problem: "want one of " + strings.Join(suiteNames(), ", ")}
	}
	if err := b.ofSuite(); err != nil {
		return err
	}
	if b.rounds == 0 {
		b.rounds = 7
		switch b.suite {
		case bench.CompletionsSuite:
			b.rounds = 10
		case bench.AccuracySuite:
			b.rounds = 20
			if b.reproduce != "" {
				b.rounds = 2
			}
		case "population", "wide":
			b.rounds = 5
		case "peers":
			b.rounds = 3
		case "repeat":
			b.rounds = againstRounds
		}
		if b.against != "" {
			b.rounds = againstRounds
		}
		if b.against != "" || b.suite == "repeat" {
			b.most = mostAgainst
		}
	}
	if !slices.Contains(bench.PeerDevices(), b.on) {
		return &train.SettingError{Field: "peers_device", Value: b.on, Problem: "want " + strings.Join(bench.PeerDevices(), " or ")}
	}
	if len(b.executors) == 0 {
		b.executors = []string{bench.Handrolled, "tape", "cpu"}
		if b.suite == "population" || b.suite == "wide" || b.suite == "repeat" {
			b.executors = []string{bench.Handrolled, "cpu"}
		}
		if b.against != "" || b.apart() {
			b.executors = []string{"cpu"}
		}
	}
	if b.suite == bench.CeilingsSuite {
		for _, name := range b.executors {
			if name != "cpu" && name != onGPUs {
				return &train.SettingError{Field: "executors", Value: name, Problem: "the suite ceilings has cpu and cuda"}
			}
		}
	}
	if b.trains() && slices.Contains(b.executors, bench.Handrolled) {
		return &train.SettingError{Field: "executors", Value: bench.Handrolled, Problem: "the suite " + b.suite + " does not train it"}
	}
	for i, name := range b.executors {
		if _, ok := benchExecutors[name]; !ok {
			return &train.SettingError{Field: "executors", Value: name, Problem: "want handrolled, tape, cpu, cuda, cuda-bf16 or ref"}
		}
		if bench.OnGPUs(name) {
			if err := device.NoGPU(); err != nil {
				return &train.SettingError{Field: "executors", Value: name, Problem: err.Error()}
			}
		}
		if slices.Contains(b.executors[:i], name) {
			return &train.SettingError{Field: "executors", Value: name, Problem: "want each once"}
		}
	}
	if b.against != "" {
		if err := b.checkAgainst(); err != nil {
			return err
		}
	}
	switch {
	case b.budget < 0:
		return &train.SettingError{Field: "budget", Value: b.budget, Problem: "want a time like 9m, or 0 for no end"}
	case b.budget > 0 && (b.apart() || b.against != "" || b.results != ""):
		return &train.SettingError{Field: "budget", Value: b.budget, Problem: "want it with one of the suites " + list(bench.SuiteNames()) + ", without --against and without --results, which keeps whole suites"}
	}
	if b.options.Examples < 0 {
		return &train.SettingError{Field: "examples", Value: b.options.Examples, Problem: "want 1 or more, or 0 for all"}
	}
	if ext := plotExtension(b.plot); b.plot != "" && !slices.Contains([]string{"png", "svg", "pdf"}, ext) {
		return &train.SettingError{Field: "plot", Value: b.plot, Problem: "want a file that ends in .png, .svg or .pdf"}
	}
	if b.plot != "" && b.apart() {
		return &train.SettingError{Field: "plot", Value: b.plot, Problem: "the suite " + b.suite + " is not drawn"}
	}
	if b.plot != "" { // better now than after minutes
		if err := writable("--plot", b.plot); err != nil {
			return err
		}
	}
	b.options.Rounds = b.rounds
	b.options.OnGPUs = !slices.ContainsFunc(b.executors, func(name string) bool { return !bench.OnGPUs(name) })
	return nil
}

// imply sets the suite that other flags imply, and reports the first flag that does not go with them.
func (b *benchFlags) imply() error {
	for _, implied := range []struct {
		is          bool
		flag, suite string
	}{{b.python != "", "--peers", "peers"}, {b.reproduce != "", "--reproduce", bench.AccuracySuite}} {
		if !implied.is {
			continue
		}
		if b.flags.Changed("suite") && b.suite != implied.suite {
			return &train.SettingError{Field: "suite", Value: b.suite, Problem: implied.flag + " is for the suite " + implied.suite + ": want one or the other"}
		}
		b.suite = implied.suite
	}
	if b.reproduce != "" {
		if err := refuse(b.flags, "--reproduce holds results against what was recorded, and keeps and prints none: want one or the other", among("results", "json")); err != nil {
			return err
		}
	}
	if b.reproduce != "" {
		if _, err := bench.ReadFiles(b.reproduce); err != nil {
			return &train.SettingError{Field: "reproduce", Value: b.reproduce, Problem: fmt.Sprintf("want a directory of results, as bench --suite accuracy --results keeps them; records of vanilla train --seeds are made again by that command, and held against them by vanilla results --compare: %v", err)}
		}
	}
	if b.against == "" && b.serve == "" {
		return refuse(b.flags, "want it with --compare or --against, whose intervals it widens", among("repeat"))
	}
	return nil
}

// ofSuite reports the first flag that has no effect on the suite.
func (b *benchFlags) ofSuite() error {
	for _, f := range []struct {
		name   string
		suites []string
	}{
		{"arch", []string{"step", "repeat"}},
		{"batch", []string{"step"}},
		{"networks", []string{"population", "peers"}},
		{"examples", bench.SuiteNames()},
		{"data", append(bench.SuiteNames(), bench.AccuracySuite)},
		{"peers-dir", []string{"peers"}},
		{"peers-device", []string{"peers"}},
		{"recipes", []string{bench.AccuracySuite}},
	} {
		if flag := b.flags.Lookup(f.name); flag.Changed && !slices.Contains(f.suites, b.suite) {
			return &train.SettingError{Field: fieldOf(flag), Value: strings.Trim(flag.Value.String(), "[]"), Problem: fmt.Sprintf("the suite %s has no use for it: it is for %s", b.suite, list(f.suites))}
		}
	}
	return nil
}

// trains is whether the suite is of whole trainings.
func (b *benchFlags) trains() bool {
	return b.suite == bench.CompletionsSuite || b.suite == bench.AccuracySuite
}

// apart is whether the suite is none of cases.
func (b *benchFlags) apart() bool { return b.trains() || b.suite == bench.CeilingsSuite }

func plotExtension(file string) string {
	if i := strings.LastIndexByte(file, '.'); i >= 0 {
		return file[i+1:]
	}
	return ""
}

func (b *benchFlags) run(ctx context.Context, stdout, stderr io.Writer) error {
	if err := b.check(); err != nil {
		return err
	}
	switch {
	case b.against != "":
		return b.measureAgainst(ctx, stdout, stderr)
	case b.results == "":
		return b.measure(ctx, stdout, stderr)
	}
	revision := bench.Revision()
	if revision == "unknown" || strings.HasSuffix(revision, "+") {
		return &train.SettingError{Field: "results", Value: b.results, Problem: "want a binary that was built from a commit without changes; this one's is " + revision}
	}
	b.json = true
	file := filepath.Join(b.results, bench.FileName(b.suite))
	if bench.HasRevision(file, revision) {
		fmt.Fprintf(stderr, "%s has the results of %s\n", words.OneLine(file), revision)
		return nil
	}
	return store.Replace(file, func(w io.Writer) error { return b.measure(ctx, w, stderr) })
}

// measure runs the suite and prints results.
func (b *benchFlags) measure(ctx context.Context, stdout, stderr io.Writer) (err error) {
	start := time.Now()
	data, err := (&dataSource{name: b.data}).load(ctx, nil)
	if err != nil {
		return err
	}
	if b.suite == bench.CeilingsSuite {
		return b.ceilings(ctx, stdout)
	}
	var executors []kernels.Executor
	for _, name := range b.executors {
		if name == bench.Handrolled {
			continue
		}
		exec, failure := openMeasured(name)
		if failure != nil {
			return failure
		}
		defer closing(exec, &err)
		executors = append(executors, exec)
	}
	switch b.suite {
	case bench.CompletionsSuite:
		return b.complete(ctx, executors, data, stdout, stderr)
	case bench.AccuracySuite:
		return b.accuracies(ctx, executors, data, stdout, stderr)
	}
	if b.python != "" {
		if b.options.Peers, err = bench.LoadPeers(b.peers, b.python, b.on); err != nil {
			return err
		}
	}
	cases, err := bench.Cases(b.suite, data, b.options)
	if err != nil {
		return err
	}
	var all []bench.Result
	harness := bench.Bench{Rounds: b.rounds, Most: b.most, Settle: bench.Settle}
	if b.budget > 0 {
		harness.Budget = &bench.Budget{Limit: b.budget, Elapsed: func() time.Duration { return time.Since(start) }}
	}
	for _, c := range cases {
		if !harness.Budget.Begin() {
			fmt.Fprintf(stderr, "NOT RUN: %s, for which too little of %v is left\n", c.Name, b.budget)
			continue
		}
		if !slices.Contains(b.executors, bench.Handrolled) {
			c.Widths = nil
		}
		harness.Progress = b.progress(start, c.Name, stderr)
		results, err := b.runCase(ctx, &harness, c, executors, stderr)
		if err != nil {
			return err
		}
		for i := range results {
			results[i].Version = version
			if b.json {
				if err := writeJSON(stdout, results[i]); err != nil {
					return err
				}
			}
		}
		all = append(all, results...)
	}
	if b.plot != "" {
		if err := bench.Plot(all, b.plot); err != nil {
			return err
		}
		fmt.Fprintf(stderr, "drawn to %s\n", words.OneLine(b.plot))
	}
	if b.json {
		return nil
	}
	if b.suite == "repeat" {
		for _, e := range executors {
			if _, err := fmt.Fprintf(stdout, "%s: %s\n", e.Name(), bench.NewRepeatability(all, e.Name())); err != nil {
				return err
			}
		}
		return nil
	}
	return bench.WriteTable(stdout, all)
}

// progress says where a case is.
func (b *benchFlags) progress(start time.Time, name string, stderr io.Writer) func(executor string, round int) {
	return func(executor string, round int) {
		at := fmt.Sprintf("round %d of %d: %s", round+1, b.rounds, executor)
		if round >= b.rounds {
			at = fmt.Sprintf("round %d, until the interval is ±%g %%, of at most %d: %s", round+1, 100*bench.Wanted, b.most, executor)
		}
		if round < 0 {
			at = "compared with " + executor
		}
		fmt.Fprintf(stderr, "%5.0f s  %s, %s\n", time.Since(start).Seconds(), name, at)
	}
}

// runCase runs a case as its suite does.
func (b *benchFlags) runCase(ctx context.Context, harness *bench.Bench, c bench.Case, executors []kernels.Executor, stderr io.Writer) ([]bench.Result, error) {
	switch {
	case b.suite == "repeat":
		if len(executors) != 1 {
			return nil, &train.SettingError{Field: "executors", Value: strings.Join(b.executors, ","), Problem: "the suite repeat takes one, and handrolled"}
		}
		self, err := b.self(executors[0].Name())
		if err != nil {
			return nil, err
		}
		return harness.Repeat(ctx, c, executors[0], self, func(run string) { fmt.Fprintf(stderr, "run %s\n", run) })
	case b.suite == "peers" && len(c.Variants) > 1: // the tape would take a minute a round
		executors = slices.DeleteFunc(slices.Clone(executors), func(e kernels.Executor) bool { return e.Name() == device.Tape })
	}
	return harness.Run(ctx, c, executors)
}

// ceilings is the suite of that name.
func (b *benchFlags) ceilings(ctx context.Context, stdout io.Writer) error {
	for _, name := range b.executors {
		if name == onGPUs {
			if err := measurable(name); err != nil {
				return err
			}
		}
		all, err := bench.Ceilings(ctx, name, b.rounds)
		if err != nil {
			return err
		}
		for i := range all {
			all[i].Version = version
			if b.json {
				if err := writeJSON(stdout, all[i]); err != nil {
					return err
				}
			}
		}
		if b.json {
			continue
		}
		if err := bench.WriteCeilings(stdout, all); err != nil {
			return err
		}
	}
	return nil
}

// goal is the accuracy that populations are trained to.
const goal = 0.95

// complete is the suite to-accuracy.
func (b *benchFlags) complete(ctx context.Context, executors []kernels.Executor, data *dataset.Dataset, stdout, stderr io.Writer) error {
	binary, err := os.Executable()
	if err != nil {
		return err
	}
	all, err := bench.Complete(ctx, binary, b.rounds, func(c bench.Completion) {
		fmt.Fprintf(stderr, "seed %d: %.2f %% in %.2f s\n", c.Seed, 100*c.TestAccuracy, c.Seconds)
	})
	if err != nil {
		return err
	}
	all.Version = version
	for i, e := range executors { // a record each; the first has the runs
		fmt.Fprintf(stderr, "%s: a population to %.0f %%\n", e.Name(), 100*goal)
		reached, err := bench.Reach(ctx, e, data, goal, goalRounds)
		if err != nil {
			return err
		}
		if i > 0 {
			all.Runs = nil
		}
		all.Goal = &reached
		if b.json {
			err = writeJSON(stdout, all)
		} else {
			_, err = io.WriteString(stdout, all.String())
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// accuracies is the suite accuracy.
func (b *benchFlags) accuracies(ctx context.Context, executors []kernels.Executor, data *dataset.Dataset, stdout, stderr io.Writer) error {
	recipes, err := bench.NamedRecipes(b.recipes)
	if err != nil {
		return err
	}
	if b.reproduce != "" {
		held := map[string]bool{}
		for _, e := range executors {
			err := bench.Reproduce(ctx, e, data, b.reproduce, recipes, b.rounds, func(r bench.NamedRecipe, a bench.Accuracy) {
				held[r.Name] = true
				fmt.Fprintf(stderr, "%s, %s, seed %d: %.2f %%, as recorded\n", a.Executor, r.Name, a.Seed, 100*a.TestAccuracy)
			}, func(r bench.NamedRecipe) {
				fmt.Fprintf(stderr, "NOT RUN: %s has records in other arithmetics than %s of %s\n", r.Name, e.Arithmetic(), e.Name())
			})
			if err != nil {
				return err
			}
		}
		_, err := fmt.Fprintf(stdout, "%d recipes come to what %s says of them\n", len(held), b.reproduce)
		return err
	}
	for _, e := range executors {
		for _, r := range recipes {
			fmt.Fprintf(stderr, "%s: %s\n", e.Name(), r.Name)
			all, err := bench.Accuracies(ctx, e, data, r.Recipe, b.rounds)
			if err != nil {
				return err
			}
			for _, a := range all {
				a.Version = version
				if b.json {
					err = writeJSON(stdout, a)
				} else {
					_, err = fmt.Fprintf(stdout, "%s, %s, seed %d: %.2f %%\n", a.Executor, r.Name, a.Seed, 100*a.TestAccuracy)
				}
				if err != nil {
					return err
				}
			}
		}
	}
	return nil
}

// goalRounds is how often a population is trained to the goal.
const goalRounds = 3

// compareResults prints what changed between two files of results.
func compareResults(w io.Writer, before, after, repeat string) error {
	var results [2][]bench.Result
	for i, file := range []string{before, after} {
		f, err := os.Open(file)
		if err != nil {
			return err
		}
		results[i], err = bench.ReadResults(f, file)
		f.Close()
		if err != nil {
			return err
		}
	}
	spread, err := bench.ReadSpread(repeat, results[1][0].Machine)
	if err != nil {
		return err
	}
	return bench.WriteChanges(w, bench.Compare(results[0], results[1], spread), spread)
}
