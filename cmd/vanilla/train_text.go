package main

import (
	"bytes"
	"fmt"
	"io"
	"strconv"
	"text/tabwriter"

	"vanilla/dataset"
	"vanilla/internal/words"
	"vanilla/kernels"
	"vanilla/train"
)

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
		Precision:       kernels.Precision(exec.Arithmetic()),
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
		printRow(rows, name, format, args...)
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

// secondsPerEpoch is nil before the end of the first epoch: a few steps do not tell.
func secondsPerEpoch(r train.Result) *float64 {
	if r.Epochs == 0 {
		return nil
	}
	return finite(r.Seconds / r.EpochsTrained)
}
