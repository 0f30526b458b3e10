package main

import (
	"context"
	"fmt"
	"io"
	"slices"
	"strconv"

	"github.com/spf13/cobra"

	"vanilla/dataset"
	"vanilla/infer"
	"vanilla/infer/quality"
	"vanilla/model"
	"vanilla/train"
)

// evalFlags are the flags of the command eval.
type evalFlags struct {
	executorFlags
	source
	chosen
	data dataSource
	json bool
}

func evalCommand() *cobra.Command {
	var e evalFlags
	c := &cobra.Command{
		Use:   "eval MODEL",
		Short: "Evaluate a saved network on the test images",
		Long: `Eval runs a saved network on the test images and shows how many it gets right, which it
takes for which, how sure it is, and which hidden units do nothing.

Recall is, of the images of a class, the part that is taken for it; precision, of the
images that are taken for a class, the part that is of it. Confidence is the probability
that the network gives its guess. Among the images of which it is 90 % sure, nine in ten
should be right: the expected calibration error is how far accuracy and confidence lie
apart, in 15 bins of confidence, in the mean over images. By chance a network that knows
exactly how sure it may be has one too, of the size printed beside it. The outputs of the
quadratic loss do not sum to 1: each is an estimate of one class's probability alone, and
the largest is taken for the confidence.

A hidden unit is dead if what leaves it is the same for every image, to a thousandth.
--label and --guess list mistakes; vanilla viz mistakes draws them.

MODEL is default or lesson, which are built in, or a safetensors file: one that vanilla
wrote, or a state_dict of dense layers with --activation and --loss. A network with
parameters that are not finite is refused.`,
		Example: `  vanilla eval model.safetensors
  vanilla eval default --json
  vanilla eval default --label 4 --guess 9
  vanilla eval lesson --executor ref
  vanilla eval state_dict.safetensors --activation relu --loss cross-entropy`,
		Args: modelArgument,
		RunE: func(c *cobra.Command, args []string) error {
			e.data.of(c)
			return e.run(c.Context(), args[0], c.OutOrStdout())
		},
	}
	c.Flags().SortFlags = false
	e.executorFlags.flags(c)
	e.source.flags(c)
	e.chosen.flags(c, "list the mistakes")
	e.data.addTo(c.Flags(), "mnist", dataUsage)
	c.Flags().BoolVar(&e.json, "json", false, "print the result as one JSON object")
	return c
}

func (e *evalFlags) run(ctx context.Context, path string, stdout io.Writer) (err error) {
	e.data.ahead()
	exec, err := e.executorFlags.open()
	if err != nil {
		return err
	}
	defer closing(exec, &err)
	m, err := e.source.open(path)
	if err != nil {
		return err
	}
	data, err := e.data.load(ctx, m)
	if err != nil {
		return err
	}
	if err := fits(data, e.data.name, m, path); err != nil {
		return err
	}
	network, err := infer.Open(exec, m, nil)
	if err != nil {
		return fmt.Errorf("%s: %w", path, err)
	}
	defer closing(network, &err)
	names := classNames(m, data.Test)
	label, guess, err := e.chosen.classes(network.Classes(), names)
	if err != nil {
		return err
	}
	q, err := network.Quality(ctx, data.Test)
	if err != nil {
		return fmt.Errorf("%s: %w", path, err)
	}
	r := evalReportOf(q, names)
	if !e.chosen.any() {
		mistakes := q.Chosen(label, guess)
		r.Mistakes = &mistakes
	}
	if e.json {
		return writeJSON(stdout, r)
	}
	if err := printScore(stdout, q, names, path, m, data.Name); err != nil {
		return err
	}
	if r.Mistakes != nil {
		if err := printMistakes(stdout, *r.Mistakes, names, mistakesText(label, guess, names)); err != nil {
			return err
		}
	}
	if batch := network.Batch(); batch > 0 {
		_, err = fmt.Fprintf(stdout, "\nWhat it makes of an image depends on the rest of its batch: evaluated in batches of %d, as in training.\n", batch)
	}
	return err
}

// fits reports data that a network does not take. The data may have fewer
// classes than the network knows.
func fits(data *dataset.Dataset, name string, m *model.Model, path string) error {
	inputs, classes, err := m.Extent()
	if err != nil {
		return err
	}
	set := data.Test
	problem := ""
	switch {
	case set.Features() != inputs:
		problem = fmt.Sprintf("found images of %d pixels: %s (%s) takes %d", set.Features(), path, m.Title(), inputs)
	case set.Classes > classes:
		problem = fmt.Sprintf("found images of %s: %s (%s) knows %d classes, and none called %s", plural(set.Classes, "class", "classes"), path, m.Title(), classes, unknownClasses(set, classes))
	default:
		return nil
	}
	return &train.SettingError{Field: "data", Value: name, Problem: problem}
}

// evalReport is what --json prints.
type evalReport struct {
	TestAccuracy float64 `json:"test_accuracy"`
	Errors       int     `json:"errors"`
	// Confusion counts images: [label][prediction].
	Confusion [][]int `json:"confusion"`
	// PerClass is the accuracy on the images of each label, null if there are
	// none: Recall under the name that it had first.
	PerClass []*float64 `json:"per_class"`
	// Classes are what the classes are called, if not by their numbers.
	Classes     []string             `json:"classes,omitempty"`
	Top2        float64              `json:"top2_accuracy"`
	Precision   []*float64           `json:"precision"`
	Recall      []*float64           `json:"recall"`
	Softmax     bool                 `json:"softmax"`
	Calibration *quality.Calibration `json:"calibration"`
	Hidden      []quality.Layer      `json:"hidden"`
	// Mistakes are those that --label and --guess ask for.
	Mistakes *[]quality.Mistake `json:"mistakes,omitempty"`
}

func evalReportOf(q *quality.Quality, names []string) evalReport {
	return evalReport{TestAccuracy: q.Accuracy, Errors: len(q.Mistakes), Confusion: q.Confusion, PerClass: q.Recall, Classes: names, Top2: q.Top2,
		Precision: q.Precision, Recall: q.Recall, Softmax: q.Softmax, Calibration: q.Calibration, Hidden: q.Hidden}
}

func sum(row []int) (n int) {
	for _, v := range row {
		n += v
	}
	return n
}

// classNames are what the classes are called: as the model says, or the data if it does not; nil if by their numbers.
func classNames(m *model.Model, set *dataset.Images) []string {
	if _, classes, err := m.Extent(); m.Classes != nil || err != nil || len(set.Names) != classes {
		return m.Classes
	}
	return set.Names
}

// longestName is how much of a class's name a table's column shows, in characters.
const longestName = 12

// columnName is what a class is called in a table.
func columnName(names []string, class int) string {
	name := []rune(dataset.ClassName(names, class))
	if len(name) > longestName {
		name = append(name[:longestName-1], '…')
	}
	return string(name)
}

// chosen is which mistakes --label and --guess ask for, by number or name; "" is any.
type chosen struct{ label, guess string }

// flags adds them to a command.
func (m *chosen) flags(c *cobra.Command, what string) {
	c.Flags().StringVar(&m.label, "label", "", what+" whose label is this `class`, by its name or, where none is called so, its number from 0 (default: any)")
	c.Flags().StringVar(&m.guess, "guess", "", what+" that the network takes for this `class`, by name or number too (default: any)")
}

func (m *chosen) any() bool { return m.label == "" && m.guess == "" }

// classes are the numbers, -1 for any. It fails if the network does not know such a
// class, and if the guess would be right.
func (m *chosen) classes(n int, names []string) (label, guess int, err error) {
	number := func(field, text string) (int, error) {
		if text == "" {
			return -1, nil
		}
		if c := slices.Index(names, text); c >= 0 {
			return c, nil
		}
		c, err := strconv.Atoi(text)
		if err != nil || c < 0 || c >= n {
			want := fmt.Sprintf("want 0 to %d", n-1)
			if names != nil {
				want += ", or the name of a class, as in " + names[0]
			}
			return 0, &train.SettingError{Field: field, Value: text, Problem: want}
		}
		return c, nil
	}
	if label, err = number("label", m.label); err != nil {
		return 0, 0, err
	}
	if guess, err = number("guess", m.guess); err != nil {
		return 0, 0, err
	}
	if label >= 0 && label == guess {
		err = &train.SettingError{Field: "guess", Value: m.guess, Problem: "--label is the same, which is no mistake: want another class"}
	}
	return label, guess, err
}

// mistakesText is what was asked for, in words: "images of 4 that are taken for 9". A
// class of -1 is any.
func mistakesText(label, guess int, names []string) string {
	text, as := "images", "something else"
	if label >= 0 {
		text += " of " + dataset.ClassName(names, label)
	}
	if guess >= 0 {
		as = dataset.ClassName(names, guess)
	}
	return text + " that are taken for " + as
}
