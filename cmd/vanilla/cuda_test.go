//go:build gpu && !cpu && linux && amd64 && cgo

package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"sync"
	"testing"

	"vanilla/internal/cuda/driver"
	"vanilla/internal/cuda/standin"
	"vanilla/kernels"
	"vanilla/kernels/cpu"
	"vanilla/train"
)

// command runs this binary as the command, with environment variables set.
func command(t *testing.T, environment []string, args ...string) (stdout, stderr string, code int) {
	t.Helper()
	c := exec.CommandContext(t.Context(), os.Args[0], args...)
	c.Env = append(append(os.Environ(), "VANILLA_TEST_MAIN=1"), environment...)
	var out, err bytes.Buffer
	c.Stdout, c.Stderr = &out, &err
	var exit *exec.ExitError
	if e := c.Run(); e != nil && !errors.As(e, &exit) {
		t.Fatal(e)
	}
	return out.String(), err.String(), c.ProcessState.ExitCode()
}

// proofs is where the commands of all tests keep what came of trying classes: each is
// tried once.
var proofs = sync.OnceValues(func() (string, error) {
	dir, err := os.MkdirTemp("", "proofs")
	atEnd = func() { os.RemoveAll(dir) }
	return dir, err
})

// standIn sets the environment in which the CPU stands in for a GPU.
func standIn(t *testing.T) {
	t.Helper()
	if standin.RequireGPU() {
		t.Skip("needs the stand-in")
	}
	library, err := standin.Build("")
	if err != nil {
		t.Fatal(err)
	}
	dir, err := proofs()
	if err != nil {
		t.Fatal(err)
	}
	t.Setenv(driver.LibraryVariable, library)
	t.Setenv("VANILLA_STANDIN_PROOFS", dir)
}

// Without a driver the binary starts, says why there is no GPU, trains on the CPU
// if it may, and does not if it may not.
func TestWithoutGPU(t *testing.T) {
	inData(t)
	nowhere := []string{driver.LibraryVariable + "=/nowhere/libcuda.so.1"}
	const why = "no NVIDIA driver: /nowhere/libcuda.so.1 not found"
	stdout, stderr, code := command(t, nowhere, "devices")
	if code != done || !strings.Contains(stdout, "\ncuda  none: "+why+"\n") {
		t.Errorf("devices: exit code %d, printed %s%s", code, stdout, stderr)
	}
	stdout, stderr, code = command(t, nowhere, tiny("--json")...)
	var trained trainReport
	if err := json.Unmarshal([]byte(stdout), &trained); err != nil || code != done || trained.Executor != "cpu" {
		t.Errorf("auto: exit code %d, executor %q, err %v: %s", code, trained.Executor, err, stderr)
	}
	if !strings.Contains(stderr, "no GPU: "+why+"; training on the CPU\n") {
		t.Errorf("auto: on stderr %s", stderr)
	}
	_, stderr, code = command(t, nowhere, tiny("--device", "cuda")...)
	if code != misuse || !strings.Contains(stderr, "--device cuda: "+why+": want cpu\n") {
		t.Errorf("cuda: exit code %d, on stderr %s", code, stderr)
	}
	_, stderr, code = command(t, nowhere, "bench", "--executors", "cuda")
	if code != misuse || !strings.Contains(stderr, "--executors cuda: "+why+"\n") {
		t.Errorf("bench: exit code %d, on stderr %s", code, stderr)
	}
}

// The command on a GPU, for which the CPU stands in: it says so in every place.
func TestStandIn(t *testing.T) {
	inData(t)
	standIn(t)
	const name = "stand-in for CUDA on the CPU, not a GPU"
	if stdout, stderr, code := command(t, nil, "devices"); code != done || !strings.Contains(stdout, "\ncuda:0  "+name) {
		t.Errorf("devices: exit code %d, printed %s%s", code, stdout, stderr)
	}
	accuracy := map[string]float64{}
	for _, device := range []string{"cpu", "cuda", "cuda:0", "auto"} {
		stdout, stderr, code := command(t, nil, tiny("--json", "--device", device, "--out", strings.ReplaceAll(device, ":", "")+".safetensors")...)
		var trained trainReport
		if err := json.Unmarshal([]byte(stdout), &trained); err != nil || code != done || trained.TestAccuracy == nil {
			t.Fatalf("%s: exit code %d, err %v: %s", device, code, err, stderr)
		}
		if onGPU := strings.HasPrefix(device, "cuda"); onGPU != (trained.Executor == "cuda") || onGPU != strings.HasPrefix(trained.Device, name) {
			t.Errorf("%s: trained by %s on %s", device, trained.Executor, trained.Device)
		}
		// A network so small is the CPU's, even where there is a GPU.
		if told := strings.Contains(stderr, "the CPU trains the network: expected, not measured: "); told != (device == "auto") {
			t.Errorf("%s: on stderr %s", device, stderr)
		}
		accuracy[device] = *trained.TestAccuracy
	}
	for device, a := range accuracy {
		if a != accuracy["cpu"] {
			t.Errorf("%s: accuracy %v, on the CPU %v", device, a, accuracy["cpu"])
		}
	}
	for _, c := range []struct {
		args []string
		want string
	}{
		{tiny("--device", "cuda:1"), "--device cuda:1: the last GPU of this machine is cuda:0"},
		{tiny("--device", "cuda", "--executor", "ref"), "--executor ref: it runs on the CPU: want the device cpu, or the executor fast"},
		{[]string{"bench", "--executors", "cpu,cuda"}, "--executors cuda: " + name},
	} {
		if _, stderr, code := command(t, nil, c.args...); code != misuse || !strings.Contains(stderr, c.want) {
			t.Errorf("%v: exit code %d, on stderr %s; want %s", c.args, code, stderr, c.want)
		}
	}
	for _, args := range [][]string{
		{"eval", "cuda.safetensors", "--data", "tiny", "--device", "cuda"},
		tiny("--device", "cuda", "--explain"),
	} {
		if stdout, stderr, code := command(t, nil, args...); code != done || stdout == "" {
			t.Errorf("%v: exit code %d, printed %s%s", args, code, stdout, stderr)
		}
	}
}

// What auto expects is explained, with what it chose.
func TestAutoOnStandIn(t *testing.T) {
	inData(t)
	standIn(t)
	for epochs, want := range map[string]string{"1": "executor cpu: ", "1000000": "executor cuda: "} {
		stdout, stderr, code := command(t, nil, tiny("--device", "auto", "--batch", "1000", "--arch", "784-16-10", "--epochs", epochs, "--explain")...)
		if code != done || !strings.Contains(stdout, want) || !strings.Contains(stdout, "expected, not measured: ") {
			t.Errorf("%s epochs: exit code %d, printed %s%s; want %q", epochs, code, stdout, stderr, want)
		}
	}
	if stdout, _, _ := command(t, nil, "devices"); !strings.Contains(stdout, "\nauto    GPUs where they take less than half of the CPU's time") {
		t.Errorf("devices: %s", stdout)
	}
}

// Programs of tensor operations train on a GPU, and make of images what the CPU makes.
func TestTensorsOnStandIn(t *testing.T) {
	inData(t)
	standIn(t)
	flags := []string{"--dropout", "0.2", "--norm", "layer", "--device"}
	stdout, stderr, code := command(t, nil, tiny(append(flags, "cuda", "--json")...)...)
	var trained trainReport
	if err := json.Unmarshal([]byte(stdout), &trained); err != nil || code != done || trained.Executor != "cuda" {
		t.Errorf("exit code %d, executor %q, err %v: %s", code, trained.Executor, err, stderr)
	}
	var scores []string
	for _, device := range []string{"cuda", "cpu"} {
		stdout, stderr, code := command(t, nil, "eval", "model.safetensors", "--data", "tiny", "--device", device)
		if code != done || stdout == "" {
			t.Errorf("%s: exit code %d, printed %s%s", device, code, stdout, stderr)
		}
		scores = append(scores, strings.Split(stdout, "\n")[0])
	}
	if scores[0] != scores[1] {
		t.Errorf("evaluated as %q", scores)
	}
	if stdout, stderr, code := command(t, nil, tiny(append(flags, "cuda", "--explain")...)...); code != done || !strings.Contains(stdout, "executor cuda: ") || !strings.Contains(stdout, "one pass over") {
		t.Errorf("explained: exit code %d, printed %s%s", code, stdout, stderr)
	}
}

// A GPU that fails is an error, and no model.
func TestLostGPU(t *testing.T) {
	inData(t)
	standIn(t)
	// No class is trusted either, which is not to be kept for others.
	fails := []string{"VANILLA_STANDIN_FAIL=launch:1:700", "VANILLA_STANDIN_PROOFS=" + t.TempDir()}
	_, stderr, code := command(t, fails, tiny("--device", "cuda")...)
	if code != failed || !strings.Contains(stderr, "CUDA_ERROR_ILLEGAL_ADDRESS") {
		t.Errorf("exit code %d, on stderr %s", code, stderr)
	}
	if _, err := os.Stat("model.safetensors"); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("there is a model: %v", err)
	}
}

// Ctrl-C ends training on a GPU before its end, keeps what there is, and --resume
// ends with the bytes of a run without it. That no launch begins after it is tested
// in package cuda.
func TestCtrlCAndResumeOnStandIn(t *testing.T) {
	inData(t)
	standIn(t)
	// Behind its first epoch there are hundreds of steps, which take the stand-in some
	// milliseconds each. A run that came to its end before it heard of the signal is
	// followed by a longer one.
	var long []string
	for epochs, ended := 40, true; ended; epochs *= 4 {
		long = []string{"--device", "cuda", "--history", fmt.Sprint("run", epochs), "--epochs", fmt.Sprint(epochs)}
		c, _ := start(t, "epoch ", tiny(append(long, "--out", "a.safetensors")...)...)
		if err := c.Process.Signal(os.Interrupt); err != nil && !errors.Is(err, os.ErrProcessDone) {
			t.Fatal(err)
		}
		var exit *exec.ExitError
		err := c.Wait()
		if ended = err == nil; !ended && (!errors.As(err, &exit) || exit.ExitCode() != failed) {
			t.Fatalf("found %v, want exit code %d", err, failed)
		}
	}
	if _, stderr, code := command(t, nil, tiny(append(long, "--out", "a.safetensors", "--resume")...)...); code != done {
		t.Fatalf("resumed: exit code %d: %s", code, stderr)
	}
	long[3] = "whole"
	if _, stderr, code := command(t, nil, tiny(append(long, "--out", "b.safetensors")...)...); code != done {
		t.Fatalf("without a break: exit code %d: %s", code, stderr)
	}
	a, errA := os.ReadFile("a.safetensors")
	b, errB := os.ReadFile("b.safetensors")
	if err := errors.Join(errA, errB); err != nil || !bytes.Equal(a, b) {
		t.Errorf("resumed, the model is another one; err %v", err)
	}
}

// begun is an executor that says it is another, as what earlier runs were begun on.
type begun struct {
	kernels.Executor
	arithmetic string
}

func (b begun) Name() string       { return "cuda" }
func (b begun) Arithmetic() string { return b.arithmetic }

// A GPU trains in bf16 where nothing is asked for. The precision is in the model, the
// history and the results, and part of a run's, a sweep's and a shard's identity: what
// was begun in fp32 goes on in it.
func TestPrecisionOnStandIn(t *testing.T) {
	inData(t)
	standIn(t)
	run := func(want int, args ...string) (string, string) {
		t.Helper()
		stdout, stderr, code := command(t, nil, args...)
		if code != want {
			t.Fatalf("%v: exit code %d, want %d: %s%s", args, code, want, stdout, stderr)
		}
		return stdout, stderr
	}
	trained := func(precision string, args ...string) (report trainReport) {
		t.Helper()
		stdout, _ := run(done, append(args, "--json")...)
		err := json.Unmarshal([]byte(stdout), &report)
		if err != nil || report.Precision != precision || !strings.Contains(report.Arithmetic, ", "+precision+", ") {
			t.Errorf("%v: want %s: %s, %v", args, precision, stdout, err)
		}
		return report
	}
	gpu := []string{"--device", "cuda"}
	const different = `, bf16, stand-in", is "cuda `
	one := tiny(append(gpu, "--history", "run", "--out", "one.safetensors")...)
	trained("bf16", one...)
	arithmetic := trained("fp32", tiny(append(gpu, "--out", "fp32.safetensors", "--precision", "fp32")...)...).Arithmetic
	for file, want := range map[string]bool{"one.safetensors": true, "fp32.safetensors": false} {
		if text, err := os.ReadFile(file); err != nil || bytes.Contains(text, []byte(`\"precision\":\"bf16\"`)) != want {
			t.Errorf("%s is said to be of bf16: %t, want %t; %v", file, !want, want, err)
		}
	}
	trained("bf16", append(one, "--resume")...)
	// What a model was trained in is part of its recipe.
	for _, precision := range []string{"bf16", "fp32"} {
		file := map[string]string{"bf16": "one", "fp32": "fp32"}[precision] + ".safetensors"
		trained(precision, append([]string{"train", "--recipe", file, "--data", "tiny", "--out", "again.safetensors"}, gpu...)...)
		if !bytes.Equal(read(t, file), read(t, "again.safetensors")) {
			t.Errorf("%s trained again by its recipe has other bytes", file)
		}
	}
	if _, stderr, code := command(t, nil, append(one, "--resume", "--precision", "fp32")...); code == done || !strings.Contains(stderr, different) {
		t.Errorf("resumed in fp32: exit code %d, %s", code, stderr)
	}
	if stdout, _ := run(done, tiny(append(gpu, "--explain")...)...); !strings.Contains(stdout, "bf16") {
		t.Errorf("explained without the precision: %s", stdout)
	}

	// A run that was begun when fp32 was what GPUs trained in unasked: no flag said so.
	data, err := (&dataSource{name: "tiny"}).load(t.Context(), nil)
	if err != nil {
		t.Fatal(err)
	}
	early := train.Spec{Recipe: train.Default(), Seed: 1, OrderSeed: 1}
	early.Recipe.Arch, early.Recipe.Batch, early.Recipe.Epochs = "16-5-3", 8, 6
	_, err = train.Run(t.Context(), begun{cpu.New(), arithmetic}, data, []train.Spec{early}, train.Options{
		History: "early", Version: version, Settings: map[string]string{"data": "tiny", "arch": "16-5-3", "batch": "8", "epochs": "6", "snapshots": "none", "device": "cuda"}})
	if err != nil {
		t.Fatal(err)
	}
	trained("fp32", "train", "--history", "early", "--resume")
	if _, stderr, code := command(t, nil, "train", "--history", "early", "--resume", "--precision", "bf16"); code == done || !strings.Contains(stderr, `, is "cuda `) {
		t.Errorf("a run in fp32 resumed in bf16: exit code %d, %s", code, stderr)
	}

	space := strings.Fields("sweep --data tiny --hidden 2..4 --lr 0.1..1 --batch 8 --points 4 --seeds 1 --halving 1,2 --brackets 2 --finalists 1 --final-seeds 1 --validation 0.2")
	run(done, append(space, "--device", "auto", "--out", "sweep")...)
	run(done, append(space, "--out", "sweep", "--resume")...)
	run(done, "sweep", "--out", "sweep", "--resume", "--device", "cuda")
	space = append(space, gpu...)
	if _, stderr, code := command(t, nil, append(space, "--out", "sweep", "--resume", "--precision", "fp32")...); code == done || !strings.Contains(stderr, different) {
		t.Errorf("a sweep resumed in fp32: exit code %d, %s", code, stderr)
	}
	text, _ := run(done, "results", "sweep")
	run(done, "results", "sweep", "--csv", "sweep.csv")
	table := string(read(t, "sweep.csv"))
	if !strings.Contains(text, "precision") || !strings.Contains(table, ",precision,") || !strings.Contains(table, ",bf16,") || strings.Contains(table, ",fp32,") {
		t.Errorf("results without the precision:\n%s\n%s", text, table)
	}
	run(done, append(space, "--shard", "1/2", "--out", "first")...)
	run(done, append(space, "--precision", "fp32", "--shard", "2/2", "--out", "second")...)
	// Which leaves the same behind as a sweep that was begun in fp32 unasked.
	run(done, "sweep", "--out", "second", "--resume")
	run(done, append(space, "--shard", "2/2", "--out", "second", "--resume")...)
	if _, stderr, code := command(t, nil, append(space, "--shard", "2/2", "--out", "second", "--resume", "--precision", "bf16")...); code == done || !strings.Contains(stderr, `, is "cuda `) {
		t.Errorf("a sweep in fp32 resumed in bf16: exit code %d, %s", code, stderr)
	}
	if _, stderr, code := command(t, nil, "results", "--merge", "first", "second", "-o", "both"); code == done || !strings.Contains(stderr, "bf16") {
		t.Errorf("shards of two precisions are joined: exit code %d, %s", code, stderr)
	}
	run(done, "results", "--merge", "first", "second", "-o", "both", "--allow-mixed", "--csv", "both.csv")
	table = string(read(t, "both.csv"))
	if !strings.Contains(table, ",bf16,") || !strings.Contains(table, ",fp32,") || strings.Contains(table, "bf16+fp32") {
		t.Errorf("records of shards of two precisions do not say their own:\n%s", table)
	}
}
