package main

import (
	"strings"
	"testing"

	"vanilla/train"
	"vanilla/train/sweep/report"
)

// The command that trains a finalist again names what its bytes depend on.
func TestAgainNamesTheExecutor(t *testing.T) {
	for _, c := range []struct{ executor, arithmetic, want string }{
		{"cpu", "x86 vectors 3, Go on amd64", " --device cpu"}, // auto takes a GPU where there is one
		{"ref", "reference 1, Go on amd64", " --executor ref"},
		{"cuda", "cuda 4, fp32, stand-in", " --device cuda"},
		{"cuda", "cuda 4, bf16, compute capability 9.0", " --device cuda --precision bf16"},
	} {
		got := again(report.Rerun{Recipe: train.Default(), Seed: 3, Seeds: 1, Executor: c.executor, Arithmetic: c.arithmetic, Out: "m.safetensors"})
		if want := "--seed 3" + c.want + " -o m.safetensors"; !strings.HasSuffix(got, want) {
			t.Errorf("%s, %s: %s, want %s at the end", c.executor, c.arithmetic, got, want)
		}
	}
}
