//go:build unix

package main

import (
	"bytes"
	"errors"
	"os"
	"os/exec"
	"strings"
	"testing"

	"golang.org/x/sys/cpu"
)

// What holds a process to AVX2, whatever the processor has besides.
const heldToAVX2 = "cpu.avx512f=off"

// needAVX2 skips a test where portable Go is all there is.
func needAVX2(t *testing.T) {
	if !cpu.X86.HasAVX2 {
		t.Skip("no AVX2")
	}
}

// The same seed gives the same file with AVX2 and with AVX-512: whole runs of the
// command, each held to a set of instructions by GODEBUG.
func TestFileOfEverySet(t *testing.T) {
	needAVX2(t)
	t.Chdir(t.TempDir())
	for name, line := range map[string]string{
		"default": "train --epochs 1",
		"lesson":  "train --recipe lesson --epochs 1",
		"shift":   "train --epochs 1 --shift 1 --activation softplus --arch 784-24-10",
		"adam":    "train --epochs 1 --optimizer adam --lr 0.001 --activation gelu-tanh --arch 784-8-40-10",
	} {
		file := func(out, debug string) []byte {
			c := exec.CommandContext(t.Context(), os.Args[0], append(strings.Fields(line), "-o", out)...)
			c.Env = append(os.Environ(), "VANILLA_TEST_MAIN=1", "GODEBUG="+debug)
			if text, err := c.CombinedOutput(); err != nil {
				t.Fatalf("%s with GODEBUG=%q: %v\n%s", line, debug, err, text)
			}
			return read(t, out)
		}
		if !bytes.Equal(file(name+"-widest.safetensors", ""), file(name+"-avx2.safetensors", heldToAVX2)) {
			t.Errorf("%s: another file with GODEBUG=%s", line, heldToAVX2)
		}
	}
}

// A run that one set of instructions began and another went on with ends in the
// bytes of a run of one set.
func TestResumeWithAnotherSet(t *testing.T) {
	needAVX2(t)
	t.Chdir(t.TempDir())
	line := strings.Fields("train --arch 784-8-10 --epochs 4 --checkpoint-every 0 --history run --resume -o resumed.safetensors")
	c, _ := start(t, "epoch ", line...)
	if err := c.Process.Signal(os.Interrupt); err != nil && !errors.Is(err, os.ErrProcessDone) {
		t.Fatal(err)
	}
	c.Wait() // it may have ended before
	c = exec.CommandContext(t.Context(), os.Args[0], line...)
	c.Env = append(os.Environ(), "VANILLA_TEST_MAIN=1", "GODEBUG="+heldToAVX2)
	if text, err := c.CombinedOutput(); err != nil {
		t.Fatalf("resuming: %v\n%s", err, text)
	}
	must(t, "train", "--arch", "784-8-10", "--epochs", "4", "-o", "whole.safetensors")
	sameBytes(t, "resumed.safetensors", "whole.safetensors")
}
