package main

import (
	"context"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"vanilla/internal/store"
	"vanilla/internal/words"
	"vanilla/model"
	"vanilla/train"
	"vanilla/train/sweep"
	"vanilla/train/sweep/report"
	"vanilla/viz"
)

// resultsFlags are the flags of the command results.
type resultsFlags struct {
	top     int
	heat    []string
	json    bool
	parquet string
	csv     string
	html    string
	follow  bool
	figures string
	format  string
	dark    bool
	save    int
	merge   bool
	compare bool
	mixed   bool
	out     string
}

// The names of figures' files.
const (
	tradeoffFigure  = "accuracy-parameters"
	marginalsFigure = "dimensions"
	heatFigure      = "heat"
	rungsFigure     = "learning"
)

func resultsCommand() *cobra.Command {
	var r resultsFlags
	c := &cobra.Command{
		Use:   "results DIR",
		Short: "Show what a sweep found, or compare two recipes",
		Long: `Results reads the directory of a sweep, which may still be running, and shows its
answer: the best points, the Pareto fronts of accuracy against parameters, and what each
dimension of the space does by itself and two do together, as shares of the variance with
95 % intervals. Points are ranked by accuracy on held-out training images; the test
images are only reported, of finalists.

--json prints every network; --parquet writes every record, a row for each network and
rung. --html writes one page that needs nothing else, and with --follow writes it anew
while the sweep runs. --figures draws the same as pictures:
` + list([]string{tradeoffFigure, marginalsFigure, heatFigure}) + ` and ` + rungsFigure + `.

--compare shows the difference of two, trained with the same seeds, with its interval,
and how many seeds would settle it. It trains nothing.

--merge joins the directories of shards to one in --out, after checking that they are
parts of one sweep, all there, none twice, and then shows its results.`,
		Example: `  vanilla results widths
  vanilla results widths --json
  vanilla results widths --html report.html --figures figures --heat h1,h2
  vanilla results widths --html report.html --follow
  vanilla results widths --parquet widths.parquet
  vanilla results widths --save-best 3 -o best
  vanilla results --compare sgd.jsonl adam.jsonl
  vanilla results --compare widths#1 widths#2
  vanilla results --merge part-1 part-2 -o joined`,
		Args: func(c *cobra.Command, args []string) error {
			switch {
			case len(args) == 0 && r.merge:
				return fmt.Errorf("want the directories of shards, as in %s --merge part-1 part-2 -o joined", c.CommandPath())
			case len(args) == 0:
				return fmt.Errorf("want the directory of a sweep, as in %s widths", c.CommandPath())
			case r.compare && len(args) != 2:
				return fmt.Errorf("found %d: want two to compare, as in %s --compare a.jsonl b.jsonl", len(args), c.CommandPath())
			case len(args) > 1 && !r.merge && !r.compare:
				return fmt.Errorf("found %d directories: want one, or --merge to join shards", len(args))
			}
			return nil
		},
		RunE: func(c *cobra.Command, args []string) error {
			if err := r.check(); err != nil {
				return err
			}
			if err := r.useless(c.Flags()); err != nil {
				return err
			}
			return r.run(c.Context(), args, c.OutOrStdout(), c.ErrOrStderr())
		},
	}
	show, files, shards := group("What is shown"), group("Files"), group("Shards")
	show.IntVar(&r.top, "top", 10, "length of the leaderboard and of the front, in `points`")
	show.BoolVar(&r.compare, "compare", false, "compare two: files of records that train --seeds wrote, sweeps (their best points), or points of sweeps as DIR#RANK or DIR#ID")
	show.BoolVar(&r.json, "json", false, "print the results as one JSON object")
	files.StringVar(&r.html, "html", "", "report as a page, into this `file`")
	files.BoolVar(&r.follow, "follow", false, "with --html, write the page anew while the sweep runs, until it has ended; an open page reads itself again")
	files.StringVar(&r.figures, "figures", "", "figures, into this `directory`")
	files.StringVar(&r.format, "format", string(viz.PNG), "figures' format, by `name`: png or svg")
	files.BoolVar(&r.dark, "dark", false, "draw on near-black, for slides")
	files.StringSliceVar(&r.heat, "heat", nil, "two `dimensions` of the heat map, rows first (default: those of the largest effects)")
	files.StringVar(&r.parquet, "parquet", "", "all records as Parquet, for pandas and DuckDB, into this `file`")
	files.StringVar(&r.csv, "csv", "", "all records as comma-separated values, for spreadsheets, into this `file`")
	files.IntVar(&r.save, "save-best", 0, "how many of the best finalists to save as models in --out, a `number`")
	files.StringVarP(&r.out, "out", "o", "", "where to save models (default: the current directory) and what --merge joins, a `directory`")
	shards.BoolVar(&r.merge, "merge", false, "join the directories of shards to one in --out")
	shards.BoolVar(&r.mixed, "allow-mixed", false, "join shards too that were trained in different arithmetic, on other executors or kinds of processors: results then say so")
	shards.BoolP("help", "h", false, "help for results")

	setFlagGroups(c, []*pflag.FlagSet{show, files, shards})
	return c
}

// check reports the first flag that cannot be.
func (r *resultsFlags) check() error {
	switch {
	case r.top < 1:
		return &train.SettingError{Field: "top", Value: r.top, Problem: "want 1 or more"}
	case len(r.heat) != 0 && len(r.heat) != 2:
		return &train.SettingError{Field: "heat", Value: strings.Join(r.heat, ","), Problem: "want two dimensions, as in h1,h2"}
	case r.format != string(viz.PNG) && r.format != string(viz.SVG):
		return &train.SettingError{Field: "format", Value: r.format, Problem: "want png or svg"}
	case r.save < 0:
		return &train.SettingError{Field: "save_best", Value: r.save, Problem: "want 1 or more"}
	case r.follow && r.html == "":
		return usagef("--follow: it writes the page of --html: want --html FILE --follow")
	case r.merge && r.out == "":
		return usagef("--merge: want --out, the directory to join the shards in")
	case r.mixed && !r.merge:
		return usagef("--allow-mixed: it is for --merge")
	case r.merge && r.save > 0:
		return usagef("--merge and --save-best: both write to --out: want one after the other")
	case r.out != "" && !r.merge && r.save == 0:
		return &train.SettingError{Field: "out", Value: r.out, Problem: "it is for --save-best and --merge: want one of them, or --figures, --html or --parquet"}
	}
	return nil
}

// useless reports the first flag that has no effect beside the others.
func (r *resultsFlags) useless(flags *pflag.FlagSet) error {
	for _, c := range []struct {
		is      bool
		problem string
		useless func(string) bool
	}{
		{r.compare, "--compare prints a comparison, and writes no files: want it alone, or with --json", besides("compare", "json")},
		{r.follow, "--follow writes the page of --html, and nothing else: want --html FILE --follow", besides("html", "follow")},
		{r.json, "--json prints all points: want one or the other", among("top")},
		{r.figures == "", "it is for --figures: want that too", among("format", "dark")},
		{r.figures == "" && r.html == "", "it is for --figures and --html: want one of them too", among("heat")},
	} {
		if c.is {
			if err := refuse(flags, c.problem, c.useless); err != nil {
				return err
			}
		}
	}
	return nil
}

func (r *resultsFlags) run(ctx context.Context, args []string, stdout, stderr io.Writer) error {
	// Better now than when something has been written.
	for _, o := range []output{{"--parquet", r.parquet}, {"--csv", r.csv}, {"--html", r.html}} {
		if o.path == "" {
			continue
		}
		if err := writable(o.flag, o.path); err != nil {
			return err
		}
	}
	if err := keepApart(nil, output{"--parquet", r.parquet}, output{"--csv", r.csv}, output{"--html", r.html}); err != nil {
		return err
	}
	if r.compare {
		return r.compareSides(ctx, args, stdout)
	}
	if r.follow {
		return r.followSweep(ctx, args[0], stdout)
	}
	var d *sweep.Directory
	var err error
	if r.merge {
		d, err = sweep.Merge(ctx, r.out, r.mixed, args...)
	} else {
		d, err = sweep.Open(ctx, args[0])
	}
	if err != nil {
		return err
	}
	found := newReport(d)
	rows, columns, err := r.dimensions(found)
	if err != nil {
		return err
	}
	var best []*sweep.Variant
	if r.save > 0 {
		if best, err = found.BestModels(r.save); err != nil {
			return &train.SettingError{Field: "save_best", Value: r.save, Problem: err.Error()}
		}
	}
	if !r.json {
		if err := found.WriteText(stdout, r.top); err != nil {
			return err
		}
	} else if err := writeJSON(stdout, found.Summary()); err != nil {
		return err
	}
	written, err := r.write(ctx, found, rows, columns, best)
	// What was written is a result too, but for programs the object stands alone.
	said := stdout
	if r.json {
		said = stderr
	} else if len(written) > 0 {
		fmt.Fprintln(said)
	}
	for _, line := range written {
		fmt.Fprintln(said, words.OneLine(line))
	}
	return err
}

// followEvery is the time between two looks at a sweep that runs.
const followEvery = 2 * time.Second

// followSweep writes the page of a sweep, and again when there are new records, until the sweep has ended.
func (r *resultsFlags) followSweep(ctx context.Context, dir string, stdout io.Writer) error {
	f := report.Follow(dir, again)
	for written := 0; ; {
		if err := f.Read(ctx); err != nil {
			return err
		}
		if f.Version > written {
			written = f.Version
			err := store.Replace(r.html, func(w io.Writer) error {
				_, err := w.Write(f.Page)
				return err
			})
			if err != nil {
				return err
			}
			fmt.Fprintf(stdout, "%s: %s of %s\n", words.OneLine(r.html), words.Thousands(f.Report.Done+f.Report.Diverged), words.Plural(f.Report.Planned, "network"))
		}
		if f.Report.Ended() {
			return nil
		}
		select {
		case <-ctx.Done():
			return context.Cause(ctx)
		case <-time.After(followEvery):
		}
	}
}

// dimensions are those of the heat map: what --heat names, or a default, or none.
func (r *resultsFlags) dimensions(found *report.Report) (rows, columns string, err error) {
	if len(r.heat) == 0 {
		rows, columns, _ = found.HeatDefault()
		return rows, columns, nil
	}
	if _, err := found.Heat(r.heat[0], r.heat[1]); err != nil {
		return "", "", &train.SettingError{Field: "heat", Value: strings.Join(r.heat, ","), Problem: err.Error()}
	}
	return r.heat[0], r.heat[1], nil
}

// write writes the files that flags ask for, and says which.
func (r *resultsFlags) write(ctx context.Context, found *report.Report, rows, columns string, best []*sweep.Variant) (written []string, err error) {
	save := func(what, path string, write func(io.Writer) error) error {
		if err := store.Replace(path, write); err != nil {
			return err
		}
		written = append(written, what+" saved in "+path)
		return nil
	}
	if r.parquet != "" {
		if err := save("records", r.parquet, found.WriteParquet); err != nil {
			return written, err
		}
	}
	if r.csv != "" {
		if err := save("records", r.csv, found.WriteCSV); err != nil {
			return written, err
		}
	}
	if r.html != "" {
		if err := save("report", r.html, func(w io.Writer) error { return found.WriteHTML(w, rows, columns) }); err != nil {
			return written, err
		}
	}
	if r.figures != "" {
		if err := os.MkdirAll(r.figures, 0o755); err != nil {
			return written, err
		}
		figures, err := figuresOf(found, rows, columns)
		if err != nil {
			return written, err
		}
		theme := viz.Light
		if r.dark {
			theme = viz.Dark
		}
		for _, f := range figures {
			path := filepath.Join(r.figures, f.name+"."+r.format)
			if err := save("figure", path, func(w io.Writer) error { return viz.Write(ctx, w, f.Figure, viz.Format(r.format), theme) }); err != nil {
				return written, err
			}
		}
	}
	if len(best) == 0 {
		return written, nil
	}
	if r.out != "" {
		if err := os.MkdirAll(r.out, 0o755); err != nil {
			return written, err
		}
	}
	for i, v := range best {
		m, err := model.Read(found.ModelFile(v.ID))
		if err != nil {
			return written, err
		}
		path := filepath.Join(r.out, fmt.Sprintf("best-%d.safetensors", i+1))
		if err := m.Write(path); err != nil {
			return written, err
		}
		written = append(written, fmt.Sprintf("%s, seed %d (%s of the held-out, %s of the test images) saved in %s", v.Arch, v.Seed,
			percent(*v.Last().ValidationAccuracy), percent(m.TestAccuracy), path))
	}
	return written, nil
}

type namedFigure struct {
	name string
	viz.Figure
}

// figuresOf are the figures that there is something to draw of.
func figuresOf(found *report.Report, rows, columns string) ([]namedFigure, error) {
	if !slices.ContainsFunc(found.Points, func(p report.Point) bool { return p.Validation() != nil }) {
		return nil, fmt.Errorf("%s: found no network with an accuracy: there is nothing to draw", found.Path)
	}
	figures := []namedFigure{{tradeoffFigure, found.Tradeoff()}, {rungsFigure, found.Rungs()}}
	if len(found.Dimensions) > 0 {
		figures = append(figures, namedFigure{marginalsFigure, found.Marginals()})
	}
	if rows != "" {
		h, err := found.Heat(rows, columns)
		if err != nil {
			return nil, err
		}
		figures = append(figures, namedFigure{heatFigure, h})
	}
	return figures, nil
}
