package main

import (
	"fmt"
	"strings"

	"vanilla/kernels"
	"vanilla/kernels/device"
	"vanilla/train/sweep"
	"vanilla/train/sweep/report"
)

// again is the command that trains networks of a sweep again, for a POSIX shell in the directory in which the sweep was
// begun.
func again(r report.Rerun) string {
	args := []string{"vanilla", "train"}
	for _, s := range r.Recipe.Settings() {
		args = append(args, flagOf(s.Field), s.Value)
	}
	args = append(args, "--seed", fmt.Sprint(r.Seed))
	if r.Seeds > 1 {
		args = append(args, "--seeds", fmt.Sprint(r.Seeds))
	}
	if r.DataPath != "" {
		args = append(args, "--data", r.DataPath)
	}
	args = append(args, settingArguments(r.DataSettings)...)
	switch r.Executor {
	case "cpu": // auto takes a GPU if there is one
		args = append(args, "--device", "cpu")
	case "cuda":
		// The precision is named even where GPUs train in it unasked.
		args = append(args, "--device", "cuda", "--precision", kernels.Precision(r.Arithmetic))
	case device.Ref, device.Tape: // which are no device's
		args = append(args, "--executor", r.Executor)
	}
	args = append(args, "-o", r.Out)
	for i, a := range args {
		if a == "" || strings.ContainsAny(a, " \t\n'\"$&|;<>()*?[]#~`\\!{}") {
			args[i] = "'" + strings.ReplaceAll(a, "'", `'\''`) + "'"
		}
	}
	return strings.Join(args, " ")
}

// newReport is a sweep's report, which says how to train its finalists again.
func newReport(d *sweep.Directory) *report.Report {
	r := report.New(d)
	r.Command = again
	return r
}
