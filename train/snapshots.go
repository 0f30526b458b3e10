package train

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
)

// Snapshots says after which steps a run keeps its parameters. The zero value
// keeps none.
type Snapshots struct {
	// Log is after steps 0 (the initial parameters), 1, 2, 5, 10, 20, 50, … and
	// the last one: evenly spaced where curves of training have a logarithmic axis.
	Log bool
	// Epochs is before the first epoch and after each one.
	Epochs bool
	// Steps are single ones.
	Steps []int
}

// ParseSnapshots reads "log", "epochs", "none", numbers of steps, or several of
// them joined by commas.
func ParseSnapshots(text string) (s Snapshots, err error) {
	if text == "none" {
		return s, nil
	}
	for word := range strings.SplitSeq(text, ",") {
		switch word {
		case "log":
			s.Log = true
		case "epochs":
			s.Epochs = true
		default:
			step, err := strconv.Atoi(word)
			if err != nil || step < 0 {
				return Snapshots{}, fmt.Errorf("found %.60q: want none, or log, epochs and numbers of steps joined by commas, as in log,300", word)
			}
			s.Steps = append(s.Steps, step)
		}
	}
	return s, nil
}

// String is s as ParseSnapshots reads it.
func (s Snapshots) String() string {
	var words []string
	if s.Log {
		words = append(words, "log")
	}
	if s.Epochs {
		words = append(words, "epochs")
	}
	for _, step := range s.Steps {
		words = append(words, strconv.Itoa(step))
	}
	if words == nil {
		return "none"
	}
	return strings.Join(words, ",")
}

// within lists the steps in a run of the given length, ascending, but for those
// that Epochs adds.
func (s Snapshots) within(total int) []int {
	steps := slices.Clone(s.Steps)
	if s.Log {
		steps = append(steps, 0, total)
		for power := 1; power <= total; power *= 10 {
			steps = append(steps, power, 2*power, 5*power)
		}
	}
	slices.Sort(steps)
	steps = slices.Compact(steps)
	beyond, _ := slices.BinarySearch(steps, total+1)
	return steps[:beyond]
}
