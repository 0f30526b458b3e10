package main

import (
	"fmt"
	"io"
	"maps"
	"slices"
	"strconv"
	"strings"
	"text/tabwriter"

	"vanilla/internal/words"
	"vanilla/model"
	"vanilla/train"
	"vanilla/train/sweep"
	"vanilla/train/sweep/report"
)

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
		fmt.Fprintf(w, "%s has what was dropped\n", words.OneLine(r.Dropped))
	case len(r.Environments) == 0:
		fmt.Fprintf(w, "%s: found nothing to repair among its records and models\n", words.OneLine(dir))
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
		others := "as in the recipe"
		if unswept := s.unswept(); unswept != "" {
			others += ": " + unswept
		}
		lines = append(lines, [2]string{"else", others + " (a space of your own: the default one is not searched)"})
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
