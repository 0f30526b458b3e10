package report

import (
	"fmt"

	"vanilla/train"
	"vanilla/train/sweep"
)

// Rerun is what trains networks of the sweep again: a recipe with the seed and so many in all, on the data and the
// executor of the sweep, to be saved under a name. If the sweep's arithmetic is this machine's, the bytes are the same.
type Rerun struct {
	Recipe   train.Recipe
	Seed     uint64
	Seeds    int
	DataPath string // "" for what is built in
	// DataSettings are how the data were read, as the sweep was told.
	DataSettings map[string]string
	Executor     string
	// Arithmetic is the executor's, "" in sweeps of versions that did not write it down.
	Arithmetic string
	Out        string
}

// rerun is of so many seeds from one on.
func (r *Report) rerun(recipe train.Recipe, seed uint64, seeds int, out string) Rerun {
	return Rerun{recipe, seed, seeds, r.DataPath, r.DataSettings, r.Executor, r.Arithmetic, out}
}

// Again is how to train a finalist's networks again.
type Again struct {
	Rank    int
	Name    string
	Command string
}

// Again lists the finalists' commands, best first, if [Report.Command] is known. There are none for a sweep of mixed
// arithmetic, to which no command comes again.
func (r *Report) Again() []Again {
	if r.Command == nil || len(r.Arithmetics()) > 1 {
		return nil
	}
	first := r.Plan.Seeds(sweep.Final)
	var commands []Again
	for i := range r.Points {
		if p := &r.Points[i]; p.Final != nil {
			run := r.rerun(p.Recipe, first[0], len(first), fmt.Sprintf("finalist-%d.safetensors", i+1))
			commands = append(commands, Again{i + 1, p.Name(), r.Command(run)})
		}
	}
	return commands
}

// againHeading says what the commands promise: earlier versions did not write down which arithmetic the bytes are of.
func (r *Report) againHeading() string {
	if r.Arithmetic == "" {
		return "The finalists again"
	}
	return "The finalists again, each network to the same bytes"
}
