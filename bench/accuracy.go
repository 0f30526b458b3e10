package bench

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strconv"
	"time"
)

// Completion is one run of the whole command from a cold process: starting,
// loading the data, training all epochs, evaluating, saving.
type Completion struct {
	Seed         uint64  `json:"seed"`
	TestAccuracy float64 `json:"test_accuracy"`
	Seconds      float64 `json:"seconds"`     // on the clock
	CPUSeconds   float64 `json:"cpu_seconds"` // of all cores, system time included
}

// Completions is the result of the suite to-accuracy.
type Completions struct {
	Suite string `json:"suite"`
	Cores int    `json:"cores"`
	N     int    `json:"n"`
	// Medians over the seeds.
	TestAccuracy float64      `json:"test_accuracy"`
	Seconds      float64      `json:"seconds"`
	CPUSeconds   float64      `json:"cpu_seconds"`
	Runs         []Completion `json:"runs"`
	Version      string       `json:"version"`
	Revision     string       `json:"revision"`
	Date         string       `json:"date"`
	Machine      Machine      `json:"machine"`
}

// Complete runs `binary train` with the default recipe once for each seed from
// 1 to seeds, each in a process of its own that may use one core.
func Complete(ctx context.Context, binary string, seeds int, progress func(Completion)) (Completions, error) {
	all := Completions{Suite: "to-accuracy", Cores: 1, N: seeds, Revision: Revision(), Date: time.Now().UTC().Format(time.DateOnly), Machine: ThisMachine()}
	dir, err := os.MkdirTemp("", "vanilla")
	if err != nil {
		return all, err
	}
	defer os.RemoveAll(dir)
	var accuracies, seconds, cpu []float64
	for seed := uint64(1); seed <= uint64(seeds); seed++ {
		c := exec.CommandContext(ctx, binary, "train", "--json", "--seed", strconv.FormatUint(seed, 10), "-o", filepath.Join(dir, "model.safetensors"))
		c.Env = append(os.Environ(), "GOMAXPROCS=1")
		var out, errs bytes.Buffer
		c.Stdout, c.Stderr = &out, &errs
		start := time.Now()
		if err := c.Run(); err != nil {
			return all, fmt.Errorf("seed %d: %w: %s", seed, err, bytes.TrimSpace(errs.Bytes()))
		}
		run := Completion{Seed: seed, Seconds: time.Since(start).Seconds(),
			CPUSeconds: (c.ProcessState.UserTime() + c.ProcessState.SystemTime()).Seconds()}
		if err := json.Unmarshal(out.Bytes(), &run); err != nil {
			return all, fmt.Errorf("seed %d: %w", seed, err)
		}
		all.Runs = append(all.Runs, run)
		accuracies, seconds, cpu = append(accuracies, run.TestAccuracy), append(seconds, run.Seconds), append(cpu, run.CPUSeconds)
		progress(run)
	}
	_, all.TestAccuracy, _ = Quartiles(accuracies)
	_, all.Seconds, _ = Quartiles(seconds)
	_, all.CPUSeconds, _ = Quartiles(cpu)
	return all, nil
}

// String is a table of the runs, a row each, and the medians.
func (c Completions) String() string {
	var b bytes.Buffer
	fmt.Fprintf(&b, "%s, %d of %d cores, %s\n", c.Machine.CPU, c.Cores, runtime.NumCPU(), c.Machine.Go)
	fmt.Fprintf(&b, "the default recipe from a cold process: start, train, evaluate, save\n\n")
	fmt.Fprintf(&b, "  seed  test accuracy  seconds  CPU seconds\n")
	for _, r := range c.Runs {
		fmt.Fprintf(&b, "%6d  %11.2f %%  %7.3f  %11.3f\n", r.Seed, 100*r.TestAccuracy, r.Seconds, r.CPUSeconds)
	}
	fmt.Fprintf(&b, "median  %11.2f %%  %7.3f  %11.3f\n", 100*c.TestAccuracy, c.Seconds, c.CPUSeconds)
	return b.String()
}
