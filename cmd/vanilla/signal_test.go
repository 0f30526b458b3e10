//go:build unix

package main

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"testing"
	"time"
)

// start runs this binary as the command and returns when it has written a line
// that contains text to standard error. What it writes later is thrown away.
func start(t *testing.T, text string, args ...string) (c *exec.Cmd, stdout *strings.Builder) {
	t.Helper()
	c = exec.CommandContext(t.Context(), os.Args[0], args...)
	c.Env = append(os.Environ(), "VANILLA_TEST_MAIN=1")
	stdout = new(strings.Builder)
	c.Stdout = stdout
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	c.Stderr = w
	if err := c.Start(); err != nil {
		t.Fatal(err)
	}
	w.Close()
	lines := bufio.NewScanner(r)
	for lines.Scan() {
		if strings.Contains(lines.Text(), text) {
			go func() {
				defer r.Close()
				for lines.Scan() {
				}
			}()
			return c, stdout
		}
	}
	t.Fatalf("vanilla %q ended before it wrote %q: %v", args, text, c.Wait())
	return nil, nil
}

func TestCtrlC(t *testing.T) {
	inData(t)
	c, stdout := start(t, "epoch ", tiny("--executor", "ref", "--epochs", "1000000", "--json")...) // minutes
	if err := c.Process.Signal(os.Interrupt); err != nil {
		t.Fatal(err)
	}
	var exit *exec.ExitError
	if err := c.Wait(); !errors.As(err, &exit) || exit.ExitCode() != failed {
		t.Fatalf("found %v, want exit code %d", err, failed)
	}
	var trained trainReport
	if err := json.Unmarshal([]byte(stdout.String()), &trained); err != nil || trained.Model == nil || trained.Epochs < 1 {
		t.Errorf("printed %q, err %v", stdout, err)
	}
	must(t, "eval", "model.safetensors", "--data", "tiny")
}

// Two processes do not write one history.
func TestHistoryInUse(t *testing.T) {
	inData(t)
	line := tiny("--epochs", "1000000", "--history", "run", "--checkpoint-every", "0")
	c, _ := start(t, "epoch ", line...)
	want := fmt.Sprintf("--history run: process %d on ", c.Process.Pid)
	if _, stderr, code := vanilla(t, append(line, "--resume")...); code != failed || !strings.Contains(stderr, want) {
		t.Errorf("exit code %d, %s; want %q", code, stderr, want)
	}
	if err := c.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	c.Wait()
	if _, stderr, code := vanilla(t, tiny("--history", "run")...); code != misuse || !strings.Contains(stderr, "holds a run") {
		t.Errorf("once that is killed: exit code %d, %s", code, stderr)
	}
}

// A second Ctrl-C does not wait for the step to end.
func TestSecondCtrlC(t *testing.T) {
	if testing.Short() {
		t.Skip("runs a process with the built-in data")
	}
	t.Chdir(t.TempDir())
	// A signal that comes before the step ends the run in good order, as it should; the
	// next one may then come to a process that has ended. On a busy machine that step
	// begins later, and the signals wait for longer.
	for wait := 200 * time.Millisecond; wait < time.Minute; wait *= 2 {
		signals, status := interrupt(t, wait)
		switch {
		case status.Signaled() && status.Signal() == syscall.SIGINT && signals >= 2:
			return
		case status.Exited() && status.ExitStatus() == failed && signals >= 1:
			t.Logf("after %v no step had begun, or the second of %d signals was not heard", wait, signals)
		default:
			t.Fatalf("after %d signals: %v, want two signals and an end by the second", signals, status)
		}
	}
	t.Error("no second signal ended a step")
}

// interrupt trains a network whose steps take the definition about a minute, sends
// SIGINT again and again, and returns how often and how the process ended. Were
// the second signal not heard, it would end by itself and not by a signal.
func interrupt(t *testing.T, wait time.Duration) (signals int, status syscall.WaitStatus) {
	t.Helper()
	c, _ := start(t, "training ", "train", "--executor", "ref", "--arch", "784-512-10", "--batch", "20000")
	ended := make(chan error, 1)
	go func() { ended <- c.Wait() }()
	for ; ; signals++ {
		select {
		case <-ended:
			return signals, c.ProcessState.Sys().(syscall.WaitStatus)
		case <-time.After(wait):
			if err := c.Process.Signal(os.Interrupt); err != nil && !errors.Is(err, os.ErrProcessDone) {
				t.Fatal(err)
			}
		}
	}
}
