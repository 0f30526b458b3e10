package main

import (
	"context"
	"fmt"
	"io"
	"os"
	"os/exec"
	"slices"
	"strconv"
	"strings"
	"time"

	"vanilla/bench"
	"vanilla/train"
)

// againstRounds is how many rounds two builds are compared in at least, mostAgainst how
// many in the hope of a narrower interval, where --rounds says nothing.
const (
	againstRounds = 15
	mostAgainst   = 4 * againstRounds
)

// againstSuites are those of cases that two builds can take turns at.
var againstSuites = []string{"step", "population", "wide", "eval"}

// checkAgainst reports what does not go with --against.
func (b *benchFlags) checkAgainst() error {
	refuse := func(field string, value any, problem string) error {
		return &train.SettingError{Field: field, Value: value, Problem: problem}
	}
	switch {
	case !slices.Contains(againstSuites, b.suite):
		return refuse("suite", b.suite, "with --against, want one of "+strings.Join(againstSuites, ", "))
	case len(b.executors) != 1 || b.executors[0] == bench.Handrolled:
		return refuse("executors", strings.Join(b.executors, ","), "with --against, want one of tape, cpu, cuda, cuda-bf16, ref")
	case b.plot != "":
		return refuse("plot", b.plot, "with --against nothing is drawn")
	case b.results != "":
		return refuse("results", b.results, "it keeps suites; with --against, want --json")
	}
	if _, err := exec.LookPath(b.against); err != nil {
		return refuse("against", b.against, "want a binary of vanilla: "+err.Error())
	}
	return nil
}

// build is a binary that serves the suite with an executor.
func (b *benchFlags) build(name, binary, executor string) bench.Build {
	args := []string{"bench", "--suite", b.suite, "--executors", executor, "--data", b.data, "--examples", strconv.Itoa(b.options.Examples)}
	if b.options.Arch != "" {
		args = append(args, "--arch", b.options.Arch)
	}
	for flag, values := range map[string][]int{"--batch": b.options.Batches, "--networks": b.options.Networks} {
		for _, v := range values {
			args = append(args, flag, strconv.Itoa(v))
		}
	}
	return bench.Build{Name: name, Binary: binary, Args: append(args, "--serve"), Executor: executor}
}

// self is this binary, as a build that serves.
func (b *benchFlags) self(executor string) (bench.Build, error) {
	binary, err := os.Executable()
	return b.build("this build", binary, executor), err
}

// measureAgainst compares this build with another one.
func (b *benchFlags) measureAgainst(ctx context.Context, stdout, stderr io.Writer) error {
	cases, err := b.cases(ctx)
	if err != nil {
		return err
	}
	this, err := b.self(b.executors[0])
	if err != nil {
		return err
	}
	other := b.build(b.against, b.against, b.executors[0])
	spread, err := bench.ReadSpread(b.repeat, bench.ThisMachine())
	if err != nil {
		return err
	}
	harness := bench.Bench{Rounds: b.rounds, Most: b.most}
	start := time.Now()
	var pairs []bench.Pair
	for _, c := range cases {
		harness.Progress = b.progress(start, c.Name, stderr)
		p, err := harness.Against(ctx, c, other, this)
		if err != nil {
			return err
		}
		if b.json {
			for _, r := range []bench.Result{p.Against, p.This} {
				if err := writeJSON(stdout, r); err != nil {
					return err
				}
			}
		}
		pairs = append(pairs, p)
	}
	if b.json {
		return nil
	}
	return bench.WritePairs(stdout, pairs, b.against, spread)
}

// cases are the suite's, as both ends of --against make them.
func (b *benchFlags) cases(ctx context.Context) ([]bench.Case, error) {
	data, err := (&dataSource{name: b.data}).load(ctx, nil)
	if err != nil {
		return nil, err
	}
	o := b.options
	o.Rounds = bench.AgainstEpochs
	return bench.Cases(b.suite, data, o)
}

// serveCase is what the other end of --against runs.
func (b *benchFlags) serveCase(ctx context.Context, stdin io.Reader, stdout io.Writer) (err error) {
	if err := b.check(); err != nil {
		return err
	}
	cases, err := b.cases(ctx)
	if err != nil {
		return err
	}
	i := slices.IndexFunc(cases, func(c bench.Case) bool { return c.Name == b.serve })
	if i < 0 {
		return &train.SettingError{Field: "serve", Value: b.serve, Problem: fmt.Sprintf("the suite %s has no such case", b.suite)}
	}
	e, err := openMeasured(b.executors[0])
	if err != nil {
		return err
	}
	defer closing(e, &err)
	return bench.Serve(ctx, cases[i], e, version, stdin, stdout)
}
