package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"

	"vanilla/dataset"
	"vanilla/graph"
	"vanilla/internal/words"
	"vanilla/kernels"
	"vanilla/kernels/device"
	"vanilla/model/zoo"
	"vanilla/train"
)

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
	t.data.ahead()
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
		fmt.Fprintf(stderr, "recipe: %s began with the weights of %s, as --from does, and this run with random ones\n", words.OneLine(t.base), t.started)
	}
	t.adapt(data)
	t.noteFrom(stderr)
	if err := t.Recipe.Fits(data); err != nil {
		return err
	}
	exec, err := device.For(opened, func() ([]kernels.Variant, error) {
		network, err := t.Recipe.Build(new(graph.Cache))
		return t.variants(network), err
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
		fmt.Fprintf(stderr, "training %s%s on %s with %s: %s\n", t.Recipe.Arch, from, words.OneLine(data.Name), exec.Name(), exec.Device())
		for _, file := range replaced {
			fmt.Fprintf(stderr, "replaces %s\n", words.OneLine(file))
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
