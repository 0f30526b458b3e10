package main

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"vanilla/bench"
	"vanilla/kernels/device"
)

// Results come from a commit, or are not kept.
func TestBenchResultsNeedCommit(t *testing.T) {
	dir := t.TempDir()
	_, stderr, code := vanilla(t, "bench", "--results", dir)
	if code != 2 || !strings.Contains(stderr, "--results "+dir+": want a binary that was built from a commit") {
		t.Errorf("exit status %d, %q", code, stderr)
	}
	if files, _ := os.ReadDir(dir); len(files) > 0 {
		t.Errorf("%d files were written", len(files))
	}
}

// Without GPUs there is no executor cuda, and the command says so.
func TestBenchWithoutGPU(t *testing.T) {
	if device.NoGPU() == nil {
		t.Skip("this machine has a GPU")
	}
	_, stderr, code := vanilla(t, "bench", "--executors", "cuda")
	if code != 2 || !strings.HasPrefix(stderr, "vanilla bench: --executors cuda: ") {
		t.Errorf("exit status %d, %q", code, stderr)
	}
}

func TestBenchWrongInput(t *testing.T) {
	for want, flags := range map[string][]string{
		"--rounds 0: want 1 or more":                                     {"--rounds", "0"},
		"--plot " + filepath.Join("nowhere", "x.png") + ": cannot write": {"--plot", filepath.Join("nowhere", "x.png")},
	} {
		_, stderr, code := vanilla(t, append([]string{"bench", "--examples", "100"}, flags...)...)
		if code == done || !strings.HasPrefix(stderr, "vanilla bench: "+want) {
			t.Errorf("exit code %d, %s; want %s", code, stderr, want)
		}
	}
}

// What a budget is too small for is named, and not run; the rest is.
func TestBenchBudget(t *testing.T) {
	line := []string{"bench", "--executors", "cpu", "--batch", "8,16", "--arch", "784-5-10", "--examples", "160", "--rounds", "1", "--json"}
	stdout, stderr, code := vanilla(t, append(line, "--budget", "1ns")...)
	if code != done || !strings.Contains(stdout, `"case":"784-5-10, batch 8"`) || strings.Contains(stdout, "batch 16") ||
		!strings.Contains(stderr, "NOT RUN: 784-5-10, batch 16, for which too little of 1ns is left\n") {
		t.Errorf("exit status %d, %q, %q; want the first case alone", code, stdout, stderr)
	}
	if results, err := bench.ReadResults(strings.NewReader(must(t, append(line, "--budget", "1h")...)), "budget"); err != nil || len(results) != 2 {
		t.Errorf("%+v, %v", results, err)
	}
	for want, flags := range map[string][]string{
		"--budget -1s: want a time like 9m": {"--budget", "-1s"},
		"--budget 1m0s: want it with one of the suites step, population, wide, eval, peers, repeat,": {"--budget", "1m", "--suite", "to-accuracy"},
		"--budget 5: want a time like 90s or 9m\n":                                                   {"--budget", "5"},
		"--budget nan: want a time like 90s or 9m\n":                                                 {"--budget", "nan"},
		"--batch nan: want whole numbers, separated by commas\n":                                     {"--batch", "nan"},
		"--arch 1-1: the suite ceilings has no use for it: it is for step":                           {"--arch", "1-1", "--suite", "ceilings"},
		"--batch 10,20: the suite eval has no use for it":                                            {"--batch", "10,20", "--suite", "eval"},
		"--networks 4: the suite step has no use for it":                                             {"--networks", "4"},
		"--data pets: the suite ceilings has no use for it":                                          {"--data", "pets", "--suite", "ceilings"},
	} {
		if _, stderr, code := vanilla(t, append([]string{"bench"}, flags...)...); code != 2 || !strings.HasPrefix(stderr, "vanilla bench: "+want) {
			t.Errorf("exit status %d, %q; want %q", code, stderr, want)
		}
	}
}

// The test's binary against itself.
func TestBenchAgainst(t *testing.T) {
	t.Setenv("VANILLA_TEST_MAIN", "1")
	line := []string{"bench", "--batch", "8,16", "--arch", "784-5-10", "--examples", "160", "--rounds", "2", "--against", os.Args[0]}
	text := must(t, line...)
	for _, want := range []string{"against: " + os.Args[0] + ", version " + version, "784-5-10, batch 8", "784-5-10, batch 16", "A build against itself"} {
		if want == "A build against itself" && !strings.Contains(text, want) {
			want = "What a build against itself comes to on this machine is not known"
		}
		if !strings.Contains(text, want) {
			t.Errorf("no %q in\n%s", want, text)
		}
	}
	results, err := bench.ReadResults(strings.NewReader(must(t, append(line, "--json")...)), "against")
	if err != nil || len(results) != 4 {
		t.Fatalf("%d results, %v", len(results), err)
	}
	for i, r := range results {
		if want := []string{bench.Against, bench.This}[i%2]; r.Build != want || r.Verified != 1 || r.N != 2 || r.Device == "" {
			t.Errorf("%+v, want the build %q", r, want)
		}
	}
	for want, flags := range map[string][]string{
		"--suite repeat: with --against, want one of step, population, wide, eval":            {"--suite", "repeat"},
		"--executors cpu,ref: with --against, want one of tape, cpu, cuda, cuda-bf16, ref":    {"--executors", "cpu,ref"},
		"--executors handrolled: with --against, want one of tape, cpu, cuda, cuda-bf16, ref": {"--executors", "handrolled"},
		"--plot x.png: with --against nothing is drawn":                                       {"--plot", "x.png"},
		"--results x: it keeps suites; with --against, want --json":                           {"--results", "x"},
		"--against " + filepath.Join("no", "such") + ": want a binary of vanilla: ":           {"--against", filepath.Join("no", "such")},
		`true: want a build of vanilla that knows the case "784-4-10, batch 10": it does`:     {"--against", "true"},
	} {
		_, stderr, code := vanilla(t, append([]string{"bench", "--arch", "784-4-10", "--examples", "100", "--against", os.Args[0]}, flags...)...)
		if code == done || !strings.HasPrefix(stderr, "vanilla bench: "+want) {
			t.Errorf("exit code %d, %s; want %s", code, stderr, want)
		}
	}
	if _, stderr, code := vanilla(t, "bench", "--serve", "no such case"); code != 2 || !strings.Contains(stderr, `--serve "no such case": the suite step has no such case`) {
		t.Errorf("exit code %d, %s", code, stderr)
	}
}

func TestBenchSuites(t *testing.T) {
	t.Setenv("VANILLA_TEST_MAIN", "1") // repeat runs this binary against itself
	for suite, flags := range map[string][]string{
		"eval":       nil,
		"population": {"--networks", "1,2"},
	} {
		args := append([]string{"bench", "--suite", suite, "--rounds", "2", "--examples", "160", "--json"}, flags...)
		results, err := bench.ReadResults(strings.NewReader(must(t, args...)), suite)
		if err != nil {
			t.Fatal(err)
		}
		for _, r := range results {
			if r.Verified < 1 || r.Device == "" || !(r.Ceiling > 0) || r.Version != version || r.Suite != suite {
				t.Errorf("%+v", r)
			}
		}
	}
	if got := must(t, "bench", "--suite", "repeat", "--arch", "784-4-10", "--rounds", "2", "--examples", "160"); !strings.HasPrefix(got, "cpu: Of 6 pairs of equal runs ") {
		t.Error(got)
	}
	text := must(t, "bench", "--suite", "ceilings", "--rounds", "2", "--json")
	var c bench.Ceiling
	if err := json.Unmarshal([]byte(text[:strings.Index(text, "\n")]), &c); err != nil || c.Suite != "ceilings" || c.Executor != "cpu" || c.N != 2 || len(c.Samples) != 2 ||
		!(c.LowerQuartile <= c.Median && c.Median <= c.UpperQuartile && c.Median > 0) || c.Unit != "GFLOP/s" || c.Cores != 1 || c.Version != version || c.Device == "" {
		t.Errorf("%s: %+v, %v", text, c, err)
	}
	ceilings := filepath.Join(t.TempDir(), "c.json")
	if err := os.WriteFile(ceilings, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
	if _, stderr, code := vanilla(t, "bench", "--compare", ceilings, ceilings); code != failed || !strings.Contains(stderr, "c.json, line 1: the suite ceilings is not compared") {
		t.Errorf("exit status %d, %q", code, stderr)
	}
	if _, stderr, code := vanilla(t, "bench", "--suite", "ceilings", "--executors", "tape"); code != 2 || !strings.Contains(stderr, "--executors tape: the suite ceilings has cpu and cuda") {
		t.Errorf("exit status %d, %q", code, stderr)
	}
	var a bench.Accuracy
	recipes := filepath.Join(t.TempDir(), "none")
	if _, stderr, code := vanilla(t, "bench", "--suite", "speed"); code != 2 || !strings.Contains(stderr, "want one of step, population, wide, eval, peers, repeat, to-accuracy, accuracy, ceilings") {
		t.Errorf("exit status %d, %q", code, stderr)
	}
	if testing.Short() {
		return
	}
	first, _, _ := strings.Cut(must(t, "bench", "--suite", "accuracy", "--rounds", "1", "--recipes", recipes, "--json"), "\n")
	if err := json.Unmarshal([]byte(first), &a); err != nil || a.TestAccuracy < 0.95 || a.Seed != 1 || a.Version != version {
		t.Errorf("%+v, %v", a, err)
	}
}
