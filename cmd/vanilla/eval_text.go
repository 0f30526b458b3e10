package main

import (
	"bytes"
	"fmt"
	"io"
	"strconv"
	"strings"
	"text/tabwriter"

	"vanilla/dataset"
	"vanilla/infer/quality"
	"vanilla/internal/words"
	"vanilla/model"
)

// mostColumns is up to how many classes the confusion matrix is printed.
const mostColumns = 30

// printScore is the result of eval for people.
func printScore(w io.Writer, q *quality.Quality, names []string, path string, m *model.Model, data string) error {
	var b bytes.Buffer
	fmt.Fprintf(&b, "%s: %s\n", words.OneLine(path), m.Title())
	fmt.Fprintf(&b, "%s of %s test images of %s are right, %s are wrong: %s; in %s the label has one of the two largest outputs\n\n",
		words.Thousands(q.N-len(q.Mistakes)), words.Thousands(q.N), words.OneLine(data), words.Thousands(len(q.Mistakes)), percent(q.Accuracy), percent(q.Top2))
	printClasses(&b, q, names)
	rows := tabwriter.NewWriter(&b, 0, 0, 2, ' ', 0)
	fmt.Fprintln(rows)
	if pairs := q.Pairs(5); len(pairs) > 0 {
		var often []string
		for _, p := range pairs {
			often = append(often, fmt.Sprintf("%s as %s (%s)", dataset.ClassName(names, p.Label), dataset.ClassName(names, p.Guess), words.Thousands(p.N)))
		}
		fmt.Fprintf(rows, "most often\t%s\n", list(often))
	}
	fmt.Fprintf(rows, "hidden units\t%s\n", hiddenText(q.Hidden))
	printConfidence(rows, q)
	rows.Flush()
	_, err := w.Write(b.Bytes())
	return err
}

// printClasses is the confusion matrix, a row for each label and a column for each
// prediction, with dots for zeros, beside the classes' recall and precision. Of many
// classes there is no matrix.
func printClasses(w io.Writer, q *quality.Quality, names []string) {
	matrix := len(q.Confusion) <= mostColumns
	rows := tabwriter.NewWriter(w, 0, 0, 2, ' ', tabwriter.AlignRight)
	fmt.Fprint(rows, "label\t")
	if matrix {
		for c := range q.Confusion {
			fmt.Fprintf(rows, "as %s\t", columnName(names, c))
		}
	} else {
		fmt.Fprint(rows, "images\tright\t")
	}
	fmt.Fprint(rows, "recall\tprecision\t\n")
	for label, row := range q.Confusion {
		fmt.Fprintf(rows, "%s\t", columnName(names, label))
		cells := row
		if !matrix {
			cells = []int{sum(row), row[label]}
		}
		for _, n := range cells {
			cell := "."
			if n > 0 {
				cell = strconv.Itoa(n)
			}
			fmt.Fprintf(rows, "%s\t", cell)
		}
		fmt.Fprintf(rows, "%s\t%s\t\n", optional(q.Recall[label]), optional(q.Precision[label]))
	}
	rows.Flush()
	if !matrix {
		fmt.Fprintf(w, "\n--json has the confusion matrix of all %d classes.\n", len(q.Confusion))
	}
}

// optional is a fraction in per cent, "-" if there is none.
func optional(f *float64) string {
	if f == nil {
		return "-"
	}
	return fmt.Sprintf("%.1f %%", 100**f)
}

// hiddenText says which hidden units are dead.
func hiddenText(layers []quality.Layer) string {
	dead, units := quality.Dead(layers)
	switch {
	case len(layers) == 0:
		return "none with an activation"
	case dead == 0:
		return words.Thousands(units) + ", none dead"
	}
	var each []string
	for _, l := range layers {
		if n := len(l.Dead); n > 0 {
			each = append(each, fmt.Sprintf("%d of %d in %s (%s)", n, l.Units, l.Title(), someOf(l.Dead)))
		}
	}
	return fmt.Sprintf("%s, %s dead: %s", words.Thousands(units), words.Thousands(dead), strings.Join(each, ", "))
}

// someOf lists up to eight numbers.
func someOf(values []int) string {
	const most = 8
	var texts []string
	for _, v := range values[:min(most, len(values))] {
		texts = append(texts, strconv.Itoa(v))
	}
	if len(values) > most {
		texts = append(texts, "…")
	}
	return strings.Join(texts, " ")
}

// printConfidence says how sure the network is, and whether it may be.
func printConfidence(w io.Writer, q *quality.Quality) {
	c := q.Calibration
	if c == nil {
		fmt.Fprint(w, "confidence\tunknown: its outputs are not from 0 to 1, and do not say how sure it is\n")
		return
	}
	too := "less than it gets right"
	if c.Confidence > q.Accuracy {
		too = "more than it gets right"
	}
	fmt.Fprintf(w, "confidence\t%s in the mean, %s; expected calibration error %s, %s by chance\n", percent(c.Confidence), too, percent(c.Error), percent(c.ByChance))
	fmt.Fprintf(w, "\t%s of the images have %.0f %% or more; %s of them are wrong", percent(c.Sure), 100*quality.SureAt, words.Thousands(c.SureWrong))
	if c.SureMistakes != nil {
		fmt.Fprintf(w, ", %s of all mistakes", percent(*c.SureMistakes))
	}
	fmt.Fprintln(w)
	if !q.Softmax {
		fmt.Fprint(w, "\tit is the largest output, which is an estimate by itself: outputs do not sum to 1\n")
	}
	fmt.Fprintln(w)
	fmt.Fprint(w, "confidence\timages  sure      right\n")
	for _, b := range c.Bins {
		if b.N > 0 {
			fmt.Fprintf(w, "%3.0f to %3.0f %%\t%6s  %7s  %7s\n", 100*b.From, 100*b.To, words.Thousands(b.N), optional(&b.Confidence), optional(&b.Accuracy))
		}
	}
}

// printMistakes lists mistakes that were asked for.
func printMistakes(w io.Writer, mistakes []quality.Mistake, names []string, which string) error {
	var b bytes.Buffer
	fmt.Fprintf(&b, "\n%s %s\n", words.Thousands(len(mistakes)), which)
	if len(mistakes) > 0 {
		fmt.Fprintln(&b)
	}
	rows := tabwriter.NewWriter(&b, 0, 0, 2, ' ', tabwriter.AlignRight)
	if len(mistakes) > 0 {
		fmt.Fprint(rows, "image\tlabel\tas\tconfidence\tsecond\t\n")
	}
	for _, m := range mistakes {
		second := "other"
		if m.Second {
			second = "label"
		}
		confidence := "-"
		if m.Confidence != nil {
			confidence = percent(*m.Confidence)
		}
		fmt.Fprintf(rows, "%d\t%s\t%s\t%s\t%s\t\n", m.Index, columnName(names, m.Label), columnName(names, m.Guess), confidence, second)
	}
	rows.Flush()
	_, err := w.Write(b.Bytes())
	return err
}
