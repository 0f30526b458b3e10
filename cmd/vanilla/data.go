package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"text/tabwriter"

	"github.com/spf13/cobra"

	"vanilla/dataset"
	"vanilla/internal/store"
	"vanilla/internal/words"
	"vanilla/train"
	"vanilla/viz"
)

// dataFlags are the flags of the command data.
type dataFlags struct {
	source     dataSource
	out, sheet string
	dark, json bool
}

func dataCommand() *cobra.Command {
	var d dataFlags
	c := &cobra.Command{
		Use:   "data DATA",
		Short: "Show what is in a data set, or write it as IDX",
		Long: `Data says what is in a data set: how many images each class has, which values pixels
have, which images there are twice, and what may not be as it should. --sheet draws the
first images of each class. -o writes the set as IDX, prepared by the other flags, into a
directory that holds no other data; a set without test images wants --test then. Training
on that directory needs none of the flags again. Of pictures, and of images that flags
changed, it has a file vanilla-prepared.json, by which a network knows what predict has to
do to a picture.

DATA is what --data takes in other commands: mnist, which is built in, one .csv or .npz
file, or a directory, of

  IDX       train-images-idx3-ubyte, train-labels-idx1-ubyte, t10k-images-idx3-ubyte and
            t10k-labels-idx1-ubyte, plain or .gz; test in place of t10k, a dot in place
            of a dash, and names with something in front, as EMNIST's and QMNIST's: of
            several sets in a directory, one is DIR/emnist-letters
  pictures  a folder for each class, perhaps within folders called train and test;
            ` + dataset.Formats() + `, in colour or grey
  .csv      an image on each line, its label first or last; one or two files, of which
            one has test in its name
  .npz      arrays x_train, y_train, x_test, y_test or train_images, train_labels, …

Targets may be soft: rows of probabilities in place of labels, which add up to 1, give or
take 0.0001. In a .npz file y is an array of a row for each image, in IDX the labels are a
matrix of floats (element type 0d), as -o writes them into train-labels-idx2-float, and a
.csv file has columns that its first line calls label:cat, label:dog, …

classes.txt beside them has the classes' names, one on a line; EMNIST's mapping is read.
Otherwise classes are called by their labels, or as their folders are. Colours become
grey. Where there are no test images, --test 0.1 takes a tenth of each class, always the
same ones. A model remembers all this: eval, predict and viz do to images what was done
to those that the network was trained on, and not again what -o did before it wrote them.`,
		Example: `  vanilla data mnist
  vanilla data few --sheet few.png
  vanilla data few --size 14 -o small
  vanilla data few --json`,
		Args: func(c *cobra.Command, args []string) error {
			if len(args) != 1 {
				return fmt.Errorf("want one data set, as in %s mnist", c.CommandPath())
			}
			return nil
		},
		RunE: func(c *cobra.Command, args []string) error {
			d.source.name = args[0]
			d.source.of(c)
			if d.sheet == "" {
				if err := refuse(c.Flags(), "it is for --sheet: want that too", among("dark")); err != nil {
					return err
				}
			}
			return d.run(c.Context(), c.OutOrStdout())
		},
	}
	c.Flags().SortFlags = false
	d.source.howTo(c.Flags())
	c.Flags().StringVarP(&d.out, "out", "o", "", "where to write the set as IDX files, a `directory` without other data; where the set has no test images, with --test")
	c.Flags().StringVar(&d.sheet, "sheet", "", "where to draw the first images of each class, a `file` whose name ends in .png or .svg")
	c.Flags().BoolVar(&d.dark, "dark", false, "draw on near-black, for slides")
	c.Flags().BoolVar(&d.json, "json", false, "print what is in it as one JSON object")
	return c
}

func (d *dataFlags) run(ctx context.Context, stdout io.Writer) error {
	if d.sheet != "" {
		if drawingOf(d.sheet) == "" {
			return &train.SettingError{Field: "sheet", Value: d.sheet, Problem: "want the name of a file that ends in .png or .svg"}
		}
		if err := writable("--sheet", d.sheet); err != nil {
			return err
		}
	}
	outputs := []output{{"--sheet", d.sheet}}
	if d.out != "" {
		outputs = append(outputs, output{"--out", filepath.Join(d.out, dataset.FirstFile)})
	}
	if err := keepApart([]string{d.source.name}, outputs...); err != nil {
		return err
	}
	if info, err := os.Stat(d.out); d.out != "" && err == nil && !info.IsDir() {
		return &train.SettingError{Field: "out", Value: d.out, Problem: "found a file: want the name of a directory"}
	}
	set, err := d.source.load(ctx, nil)
	if untested := errors.Is(err, dataset.ErrNoTest); untested && d.out == "" {
		// What is in it can be said without a test set.
		if set, err = d.source.untested(ctx); err == nil {
			set.Notes = append(set.Notes, "there are no test images: training on it wants \"test\" 0.1, which takes a tenth of each class")
		}
	}
	if err != nil {
		return err
	}
	summary, err := set.Summarize(ctx)
	if err != nil {
		return err
	}
	if d.sheet != "" {
		theme := viz.Light
		if d.dark {
			theme = viz.Dark
		}
		err := store.Replace(d.sheet, func(w io.Writer) error {
			return viz.Write(ctx, w, viz.NewSheet(set.Name, set.Train), drawingOf(d.sheet), theme)
		})
		if err != nil {
			return err
		}
	}
	if d.out != "" {
		if err := set.Write(d.out); err != nil {
			return err
		}
	}
	for i, note := range summary.Notes {
		summary.Notes[i] = fieldsToFlags(d.source.flags, nil, note)
	}
	if d.json {
		return writeJSON(stdout, summary)
	}
	return d.print(stdout, summary, set)
}

// print is the summary for people.
func (d *dataFlags) print(w io.Writer, s *dataset.Summary, set *dataset.Dataset) error {
	var b strings.Builder
	tested := ""
	if s.Test > 0 {
		tested = fmt.Sprintf(" and %s test images", words.Thousands(s.Test))
	}
	fmt.Fprintf(&b, "%s: %s, %s%s of %dx%d pixels in %s\n\n", words.OneLine(s.Name), s.Form, words.Plural(s.Train, "training image"), tested, s.Rows, s.Cols, plural(len(s.Classes), "class", "classes"))
	rows := tabwriter.NewWriter(&b, 0, 0, 2, ' ', 0)
	fmt.Fprintf(rows, "class\ttraining\ttest\n")
	for c, class := range s.Classes {
		name := class.Name
		if set.Train.Names != nil {
			name = fmt.Sprintf("%d %s", c, name)
		}
		fmt.Fprintf(rows, "%s\t%s\t%s\n", name, words.Thousands(class.Train), words.Thousands(class.Test))
	}
	rows.Flush()
	b.WriteByte('\n')
	rows = tabwriter.NewWriter(&b, 0, 0, 2, ' ', 0)
	fmt.Fprintf(rows, "pixels\t%d to %d, %s of them are %d\n", s.Least, s.Largest, percent(s.BackgroundShare), s.Background)
	if s.Sure > 0 {
		fmt.Fprintf(rows, "targets\tprobabilities, of which the largest of an image is %.3g on average: it counts for that class\n", s.Sure)
	}
	for b := s.Prepared.Before; b != nil; b = b.Before {
		fmt.Fprintf(rows, "before\t%s, then written as IDX\n", preparedAs(*b))
	}
	if what := preparedAs(s.Prepared); what != "" {
		fmt.Fprintf(rows, "prepared\t%s\n", what)
	}
	fmt.Fprintf(rows, "blank\t%s\n", words.Plural(s.Blank, "image"))
	fmt.Fprintf(rows, "repeated\t%s\n", equal(s.Repeated, "training image", "an earlier one"))
	if s.Test > 0 {
		fmt.Fprintf(rows, "shared\t%s", equal(s.Shared, "test image", "a training image"))
		if s.Contrary > 0 {
			fmt.Fprintf(rows, ", %s with another label there", words.Thousands(s.Contrary))
		}
		fmt.Fprintln(rows)
	}
	for _, note := range s.Notes {
		fmt.Fprintf(rows, "note\t%s\n", words.OneLine(note))
	}
	for _, written := range []string{d.sheet, d.out} {
		if written != "" {
			fmt.Fprintf(rows, "written\t%s\n", words.OneLine(written))
		}
	}
	rows.Flush()
	if d.out != "" && s.Test > 0 {
		fmt.Fprintf(&b, "\ntrain on it: %s\n", commandLine("train", "--data", filepath.Clean(d.out)))
	}
	_, err := io.WriteString(w, b.String())
	return err
}

// equal says how many images there are already.
func equal(n int, image, to string) string {
	switch n {
	case 0:
		return "no " + image
	case 1:
		return "1 " + image + " is equal to " + to
	}
	return words.Plural(n, image) + " are equal to " + to
}

// plural is words.Plural of a noun with another plural.
func plural(n int, one, more string) string {
	if n == 1 {
		return "1 " + one
	}
	return words.Thousands(n) + " " + more
}

// preparedAs says what was done to images.
func preparedAs(p dataset.Preparation) string {
	var parts []string
	for _, part := range []struct {
		is   bool
		text string
	}{
		{p.Grey, "colours became grey"},
		{p.Range != (dataset.Range{}), fmt.Sprintf("%g became black, %g white", p.Range.Black, p.Range.White)},
		{p.Invert, "inverted"},
		{p.Transpose, "transposed"},
		{p.Size != (dataset.Size{}), "scaled to " + p.Size.String()},
		{p.Test > 0, fmt.Sprintf("%g of each class held back for testing", p.Test)},
	} {
		if part.is {
			parts = append(parts, part.text)
		}
	}
	return strings.Join(parts, ", ")
}
