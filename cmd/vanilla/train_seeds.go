package main

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"math"
	"path/filepath"
	"slices"
	"strings"
	"text/tabwriter"

	"golang.org/x/sync/errgroup"
	"gonum.org/v1/gonum/stat"

	"vanilla/dataset"
	"vanilla/graph"
	"vanilla/internal/sample"
	"vanilla/internal/words"
	"vanilla/kernels"
	"vanilla/train"
)

// maxSeeds is how many networks --seeds trains, at most.
const maxSeeds = 1000

// modelWriters is how many networks are written at once: each waits until its file is on
// the disk, which takes as long for one as for several.
const modelWriters = 16

// checkSeeds reports --seeds that cannot be.
func (t *trainFlags) checkSeeds() error {
	if t.seeds < 1 || t.seeds > maxSeeds {
		return &train.SettingError{Field: "seeds", Value: t.seeds, Problem: fmt.Sprintf("want 1 to %d", maxSeeds)}
	}
	if t.Seed > math.MaxUint64-uint64(t.seeds-1) {
		return &train.SettingError{Field: "seed", Value: t.Seed, Problem: fmt.Sprintf("there are no %d seeds from there on", t.seeds)}
	}
	return nil
}

// specs are the networks to train: one, or one for each of --seeds.
func (t *trainFlags) specs() []train.Spec {
	specs := make([]train.Spec, t.seeds)
	for i := range specs {
		specs[i] = t.Spec
		specs[i].Seed += uint64(i)
		if t.OrderSeed == t.Seed { // it follows the seed
			specs[i].OrderSeed = specs[i].Seed
		}
	}
	return specs
}

// variants are those of all seeds: what a device is chosen for.
func (t *trainFlags) variants(network *graph.Network) []kernels.Variant {
	var all []kernels.Variant
	for _, s := range t.specs() {
		all = append(all, s.Variant(network))
	}
	return all
}

// modelFile is what the network of a seed is saved in.
func (t *trainFlags) modelFile(seed uint64) string {
	if t.seeds == 1 {
		return t.out
	}
	extension := filepath.Ext(t.out)
	return fmt.Sprintf("%s-%d%s", strings.TrimSuffix(t.out, extension), seed, extension)
}

// recordsFile has a line for each network of several seeds.
func (t *trainFlags) recordsFile() string {
	return strings.TrimSuffix(t.out, filepath.Ext(t.out)) + ".jsonl"
}

// outputs are the files that the command writes.
func (t *trainFlags) outputs() []output {
	if t.seeds == 1 {
		return []output{{"--out", t.out}}
	}
	files := []output{{"--out", t.recordsFile()}}
	for i := range t.seeds {
		files = append(files, output{"--out", t.modelFile(t.Seed + uint64(i))})
	}
	return files
}

// spread is what several seeds say of an accuracy.
type spread struct {
	Mean   *float64 `json:"mean"`
	SD     *float64 `json:"sd"` // over seeds, with n-1; null for one
	Median *float64 `json:"median"`
	Min    *float64 `json:"min"`
	Max    *float64 `json:"max"`
	N      int      `json:"n"`
}

func spreadOf(values []float64) spread {
	if len(values) == 0 {
		return spread{}
	}
	sorted := slices.Sorted(slices.Values(values))
	n := len(sorted)
	mean, sd := stat.MeanStdDev(sorted, nil)
	median := (sorted[(n-1)/2] + sorted[n/2]) / 2
	return spread{&mean, finite(sd), &median, &sorted[0], &sorted[n-1], n}
}

// text is the spread in per cent.
func (s spread) text() string {
	if s.N == 0 {
		return "none"
	}
	text := fmt.Sprintf("%.2f", 100**s.Mean)
	if s.SD != nil {
		text += fmt.Sprintf(" ± %.2f", 100**s.SD)
	}
	return text + fmt.Sprintf(" %%, median %.2f, %.2f to %.2f; n = %d", 100**s.Median, 100**s.Min, 100**s.Max, s.N)
}

// seedsReport is what --json prints of several seeds.
type seedsReport struct {
	Arch               string          `json:"arch"`
	Parameters         int             `json:"parameters"`
	Recipe             train.Recipe    `json:"recipe"`
	TrainSeconds       float64         `json:"train_seconds"`
	TestAccuracy       spread          `json:"test_accuracy"`
	ValidationAccuracy *spread         `json:"validation_accuracy,omitempty"`
	Diverged           int             `json:"diverged"`
	Records            string          `json:"records"`
	Networks           []train.Outcome `json:"networks"`
}

// saveSeeds saves the networks of several seeds and their records, and prints
// what came of them. It fails if any did not come to its end.
func (t *trainFlags) saveSeeds(stdout io.Writer, results []train.Result, exec kernels.Executor, data *dataset.Dataset) error {
	fingerprint := train.FingerprintOf(data)
	outcomes := make([]train.Outcome, len(results))
	failures := make([]error, len(results))
	var writing errgroup.Group
	writing.SetLimit(modelWriters)
	for i, r := range results {
		outcomes[i] = train.OutcomeOf(r, exec, data, fingerprint, version)
		if r.Model == nil {
			continue
		}
		writing.Go(func() error {
			file := t.modelFile(r.Spec.Seed)
			if failures[i] = r.Model.Write(file); failures[i] == nil {
				outcomes[i].Model = file
			}
			return nil // the others are no less wanted
		})
	}
	_ = writing.Wait()
	lines, err := train.AppendOutcomes(nil, outcomes)
	if err == nil {
		err = saveFile("--out", t.recordsFile(), lines)
	}
	failures = append(failures, err, failureOf(outcomes))
	if t.json {
		err = writeJSON(stdout, t.seedsReport(outcomes))
	} else {
		err = t.printSeeds(stdout, outcomes, data)
	}
	return errors.Join(append(failures, err)...)
}

// failureOf is what kept networks from their ends, or nil.
func failureOf(outcomes []train.Outcome) error {
	var diverged, interrupted []string
	for _, o := range outcomes {
		if o.Diverged {
			diverged = append(diverged, fmt.Sprint(o.Seed))
		} else if o.Interrupted {
			interrupted = append(interrupted, fmt.Sprint(o.Seed))
		}
	}
	switch {
	case interrupted != nil:
		return fmt.Errorf("interrupted: %d of %d networks are not trained to the end", len(interrupted), len(outcomes))
	case diverged != nil:
		return fmt.Errorf("%d of %d networks diverged and were not saved: seeds %s; a smaller --lr may help", len(diverged), len(outcomes), strings.Join(diverged, ", "))
	}
	return nil
}

func (t *trainFlags) seedsReport(outcomes []train.Outcome) seedsReport {
	test, validation := accuracies(outcomes)
	r := seedsReport{Arch: t.Recipe.Arch, Parameters: outcomes[0].Parameters, Recipe: t.Recipe, TrainSeconds: outcomes[0].Seconds,
		TestAccuracy: spreadOf(test), Records: t.recordsFile(), Networks: outcomes}
	if t.Recipe.Validation > 0 {
		s := spreadOf(validation)
		r.ValidationAccuracy = &s
	}
	for _, o := range outcomes {
		if o.Diverged {
			r.Diverged++
		}
	}
	return r
}

// accuracies are those that there are.
func accuracies(outcomes []train.Outcome) (test, validation []float64) {
	for _, o := range outcomes {
		if o.TestAccuracy != nil {
			test = append(test, *o.TestAccuracy)
		}
		if o.ValidationAccuracy != nil {
			validation = append(validation, *o.ValidationAccuracy)
		}
	}
	return test, validation
}

// savedText says which files hold networks, "" if none does.
func savedText(outcomes []train.Outcome) string {
	var files []string
	for _, o := range outcomes {
		if o.Model != "" {
			files = append(files, o.Model)
		}
	}
	switch n := len(files); {
	case n == 0:
		return ""
	case n == len(outcomes):
		return files[0] + " to " + files[n-1]
	case n <= 5:
		return list(files)
	default:
		return fmt.Sprintf("%d files from %s to %s", n, files[0], files[n-1])
	}
}

// printSeeds is the result for people.
func (t *trainFlags) printSeeds(w io.Writer, outcomes []train.Outcome, data *dataset.Dataset) error {
	r := t.seedsReport(outcomes)
	var b bytes.Buffer
	rows := tabwriter.NewWriter(&b, 0, 0, 2, ' ', 0)
	row := func(name, format string, args ...any) {
		printRow(rows, name, format, args...)
	}
	first, last := outcomes[0], outcomes[len(outcomes)-1]
	row("networks", "%d of %s %s, %s parameters, seeds %d to %d", len(outcomes), t.Recipe.Arch, t.Recipe.Activation, words.Thousands(r.Parameters), first.Seed, last.Seed)
	if t.From != nil {
		row("from", "the weights of %s, %s", t.from, t.From.Network)
	}
	row("data", "%s, %s training images", data.Name, words.Thousands(data.Train.Len()))
	row("executor", "%s: %s", first.Executor, first.Device)
	row("epochs", "%d each, all in %.1f s", t.Recipe.Epochs, r.TrainSeconds)
	if r.ValidationAccuracy != nil {
		row("validation", "%s", r.ValidationAccuracy.text())
	}
	row("test accuracy", "%s", r.TestAccuracy.text())
	if s := r.TestAccuracy; s.N > 0 {
		sampling := sample.ShareSE(*s.Mean, data.Test.Len())
		row("", "± is over seeds; other %s test images would move all of them by about ± %.2f", words.Thousands(data.Test.Len()), 100*sampling)
	}
	if r.Diverged > 0 {
		row("diverged", "%d", r.Diverged)
	}
	if text := savedText(outcomes); text != "" {
		row("saved in", "%s", text)
	}
	row("records", "%s", t.recordsFile())
	rows.Flush()
	fmt.Fprintf(&b, "\ncompare with others: %s\n", commandLine("results", "--compare", t.recordsFile(), "OTHER.jsonl"))
	_, err := w.Write(b.Bytes())
	return err
}
