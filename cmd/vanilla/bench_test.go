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

func TestBenchSuites(t *testing.T) {
	for suite, flags := range map[string][]string{
		"eval":       nil,
		"population": {"--networks", "1,8"},
		"repeat":     nil,
	} {
		args := append([]string{"bench", "--suite", suite, "--rounds", "2", "--examples", "160"}, flags...)
		results, err := bench.ReadResults(strings.NewReader(must(t, append(args, "--json")...)), suite)
		if err != nil {
			t.Fatal(err)
		}
		for _, r := range results {
			if r.Verified < 1 || r.Device == "" || !(r.Ceiling > 0) || r.Version != version || r.Suite != suite {
				t.Errorf("%+v", r)
			}
		}
	}
	if got := must(t, "bench", "--suite", "repeat", "--rounds", "2", "--examples", "160"); !strings.HasPrefix(got, "cpu: Of 6 pairs of equal runs ") {
		t.Error(got)
	}
	var a bench.Accuracy
	recipes := filepath.Join(t.TempDir(), "none")
	if _, stderr, code := vanilla(t, "bench", "--suite", "speed"); code != 2 || !strings.Contains(stderr, "want one of step, population, wide, eval, peers, repeat, to-accuracy, accuracy") {
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
