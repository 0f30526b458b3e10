package main

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"strconv"
	"text/tabwriter"

	"github.com/spf13/cobra"

	"vanilla/infer"
	"vanilla/internal/words"
	"vanilla/kernels"
	"vanilla/mnist"
	"vanilla/model"
	"vanilla/train"
)

// evalFlags are the flags of the command eval.
type evalFlags struct {
	placement
	source
	data string
	json bool
}

func evalCommand() *cobra.Command {
	var e evalFlags
	c := &cobra.Command{
		Use:   "eval MODEL",
		Short: "Evaluate a saved network on the test images",
		Long: `Eval runs a saved network on the test images and shows how many it gets right, and which it takes for which.

MODEL is default or lesson, which are built in, or a safetensors file: one that vanilla
wrote, or a state_dict of dense layers with --activation and --loss. A network with
parameters that are not finite is refused.`,
		Example: `  vanilla eval model.safetensors
  vanilla eval default --json
  vanilla eval lesson --executor ref
  vanilla eval state_dict.safetensors --activation relu --loss cross-entropy`,
		Args: modelArgument,
		RunE: func(c *cobra.Command, args []string) error { return e.run(c.Context(), args[0], c.OutOrStdout()) },
	}
	c.Flags().SortFlags = false
	e.placement.flags(c)
	e.source.flags(c)
	c.Flags().StringVar(&e.data, "data", "mnist", "mnist, which is built in, or a `directory` with four IDX files, plain or .gz")
	c.Flags().BoolVar(&e.json, "json", false, "print the result as one JSON object")
	return c
}

func (e *evalFlags) run(ctx context.Context, path string, stdout io.Writer) (err error) {
	exec, err := e.placement.open()
	if err != nil {
		return err
	}
	defer closing(exec, &err)
	m, err := e.source.open(path)
	if err != nil {
		return err
	}
	data, err := load(ctx, e.data)
	if err != nil {
		return err
	}
	if err := fits(data, e.data, m, path); err != nil {
		return err
	}
	network, err := infer.Open(exec, m, nil)
	if err != nil {
		return fmt.Errorf("%s: %w", path, err)
	}
	defer closing(network, &err)
	if err := finiteOutputs(ctx, path, network, data.Test.Pixels); err != nil {
		return err
	}
	score, err := network.Evaluate(ctx, data.Test)
	if err != nil {
		return fmt.Errorf("%s: %w", path, err)
	}
	r := evalReportOf(score, data.Test, network.Classes())
	if e.json {
		return writeJSON(stdout, r)
	}
	if err := printScore(stdout, r, path, m, data.Name); err != nil {
		return err
	}
	if batch := network.Batch(); batch > 0 {
		_, err = fmt.Fprintf(stdout, "\nWhat it makes of an image depends on the rest of its batch: evaluated in batches of %d, as in training.\n", batch)
	}
	return err
}

// fits reports data that a network does not take. The data may have fewer
// classes than the network knows.
func fits(data *mnist.Dataset, name string, m *model.Model, path string) error {
	inputs, classes, err := m.Extent()
	if err != nil {
		return err
	}
	if set := data.Test; set.Features() != inputs || set.Classes > classes {
		return &train.SettingError{Field: "data", Value: name, Problem: fmt.Sprintf(
			"found images of %d pixels in %d classes: %s (%s) takes %d pixels and knows %d classes",
			set.Features(), set.Classes, path, m.Arch, inputs, classes)}
	}
	return nil
}

// evalReport is what --json prints.
type evalReport struct {
	TestAccuracy float64 `json:"test_accuracy"`
	Errors       int     `json:"errors"`
	// Confusion counts images: [label][prediction].
	Confusion [][]int `json:"confusion"`
	// PerClass is the accuracy on the images of each label, null if there are
	// none.
	PerClass []*float64 `json:"per_class"`
}

func evalReportOf(score kernels.Score, set *mnist.Images, classes int) evalReport {
	r := evalReport{
		TestAccuracy: score.Accuracy(),
		Errors:       score.N - score.Correct,
		Confusion:    make([][]int, classes),
		PerClass:     make([]*float64, classes),
	}
	for c := range r.Confusion {
		r.Confusion[c] = make([]int, classes)
	}
	for i, predicted := range score.Classes {
		r.Confusion[set.Labels[i]][predicted]++
	}
	for c, row := range r.Confusion {
		r.PerClass[c] = finite(float64(row[c]) / float64(sum(row)))
	}
	return r
}

func sum(row []int) (n int) {
	for _, v := range row {
		n += v
	}
	return n
}

// printScore is the result for people: the confusion matrix has a row for each
// label and a column for each prediction, with dots for zeros.
func printScore(w io.Writer, r evalReport, path string, m *model.Model, data string) error {
	n := 0
	for _, row := range r.Confusion {
		n += sum(row)
	}
	var b bytes.Buffer
	fmt.Fprintf(&b, "%s: %s\n", path, m.Title())
	fmt.Fprintf(&b, "%s of %s test images of %s are right, %s are wrong: %s\n\n",
		words.Thousands(n-r.Errors), words.Thousands(n), data, words.Thousands(r.Errors), percent(r.TestAccuracy))

	rows := tabwriter.NewWriter(&b, 0, 0, 2, ' ', tabwriter.AlignRight)
	fmt.Fprint(rows, "label\t")
	for c := range r.Confusion {
		fmt.Fprintf(rows, "as %d\t", c)
	}
	fmt.Fprint(rows, "right\t\n")
	for label, row := range r.Confusion {
		fmt.Fprintf(rows, "%d\t", label)
		for _, n := range row {
			cell := "."
			if n > 0 {
				cell = strconv.Itoa(n)
			}
			fmt.Fprintf(rows, "%s\t", cell)
		}
		right := "-"
		if p := r.PerClass[label]; p != nil {
			right = fmt.Sprintf("%.1f %%", 100**p)
		}
		fmt.Fprintf(rows, "%s\t\n", right)
	}
	rows.Flush()
	_, err := w.Write(b.Bytes())
	return err
}
