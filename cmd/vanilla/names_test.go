package main

import (
	"errors"
	"fmt"
	"runtime"
	"strings"
	"testing"

	"vanilla/train"
)

// What a name holds is printed on the line that it is on, whichever command prints it.
func TestNamesStayOnOneLine(t *testing.T) {
	if runtime.GOOS == "windows" {
		t.Skip("file names have no control characters")
	}
	t.Chdir(t.TempDir())
	const odd, shown = "a\nFORGED\tb", `a\u000aFORGED\u0009b`
	writeData(t, odd, 4)
	args := func(line string, more ...string) []string { return append(strings.Fields(line), more...) }
	model, records, out := odd+".safetensors", odd+"-s.jsonl", odd+"-sweep"
	space := "--layers 1 --hidden 2,3 --batch 8 --epochs 1 --grid --seeds 1 --finalists 0 --validation 0.2"
	for _, c := range []struct {
		args []string
		says int // how often it prints a name
	}{
		{args("train --arch 16-5-3 --batch 8 --epochs 1 --data", odd, "-o", model), 3},
		{args("train --arch 16-5-3 --batch 8 --epochs 1 --data", odd, "-o", model), 4},
		{args("train --arch 16-5-3 --batch 8 --epochs 1 --seeds 2 --data", odd, "-o", odd+"-s.safetensors"), 3},
		{args("eval --data", odd, model), 2},
		{args("eval --data nowhere", model), 0},
		{args("eval --data", odd, "no"+model), 1},
		{args("eval --data", odd+"/nothing", model), 1},
		{args("predict --data", odd, "--limit", "1", model), 0},
		{args("predict", model, odd, odd+"/nothing"), 2},
		{args("viz weights", model, "-o", odd+".svg"), 2},
		{args("export -o", odd+".npz", model), 2},
		{args("data", odd), 1},
		{args("sweep "+space+" --data", odd, "--out", out), 1},
		{args("sweep "+space+" --data", odd, "--out", out), 1},
		{args("results --csv", odd+".csv", out), 3},
		{args("results --html", odd+".html", "--follow", out), 1},
		{args("results --compare", records, records), 2},
		{args("results --compare", records, odd), 1},
	} {
		stdout, stderr, _ := vanilla(t, c.args...)
		for line := range strings.Lines(stdout + stderr) {
			if strings.HasPrefix(line, "FORGED") || strings.Contains(line, "a; FORGED") || strings.Contains(line, "FORGED\t") {
				t.Errorf("%q prints %q", c.args, line)
			}
		}
		if found := strings.Count(stdout+stderr, shown); found < c.says {
			t.Errorf("%q prints %q %d times, want %d\n%s%s", c.args, shown, found, c.says, stdout, stderr)
		}
	}
}

// Errors that were joined are separated; what is in them stays.
func TestJoinedErrorsWithNames(t *testing.T) {
	bad := &train.SettingError{Field: "out", Value: "x", Problem: "want a file"}
	err := fmt.Errorf("it: %w", errors.Join(errors.New("one\nname"), fmt.Errorf("two: %w", bad), errors.New("three")))
	if got, want := inWords(err), `it: one\u000aname; two: --out x: want a file; three`; got != want {
		t.Errorf("found %q, want %q", got, want)
	}
}
