//go:build gpu && !cpu && linux && amd64 && cgo

package device

import (
	"errors"
	"os"
	"os/exec"
	"strings"
	"testing"

	"vanilla/graph"
	"vanilla/graph/ir"
	"vanilla/internal/cuda/driver"
	"vanilla/internal/cuda/standin"
	"vanilla/kernels"
)

func TestMain(m *testing.M) { standin.Main(m) }

func TestOpenCUDA(t *testing.T) {
	exec, err := Open("cuda:0", Fast)
	if err != nil {
		t.Fatal(err)
	}
	defer exec.Close()
	if exec.Name() != "cuda" {
		t.Errorf("cuda:0 is %s", exec.Name())
	}
	if standin.RequireGPU() == strings.Contains(exec.Device(), "not a GPU") {
		t.Errorf("cuda:0 is on %s; a GPU is required: %v", exec.Device(), standin.RequireGPU())
	}
	for _, executor := range []string{Ref, Tape} {
		exec, err := Open("cuda", executor)
		var name *kernels.SettingError
		if exec != nil || !errors.As(err, &name) || name.Field != "executor" || !strings.Contains(name.Problem, "it runs on the CPU") {
			t.Errorf("cuda, %s: %v, err %v; want an error in --executor", executor, exec, err)
		}
	}
	for _, executor := range []string{Ref, Tape} {
		if exec, err := Open("auto", executor); err != nil || exec.Name() != executor {
			t.Errorf("auto, %s: %v, err %v", executor, exec, err)
		}
	}
}

// Where no precision is asked for, GPUs train in bf16 and the CPU in float32, also what
// auto has it train in the GPUs' place. There is no such place if bf16 is asked for.
// Precisions are told apart by their arithmetic.
func TestPrecisionOnGPUs(t *testing.T) {
	t.Setenv("VANILLA_STANDIN_PROOFS", t.TempDir())
	arithmetics := map[string]string{}
	for _, c := range []struct {
		device, precision, want string
		beside                  bool // the CPU beside the GPUs
	}{
		{"cuda:0", "", "bf16", false},
		{"cuda:0", "bf16", "bf16", false},
		{"cuda:0", "fp32", "fp32", false},
		{"cuda", "", "bf16", false},
		{"auto", "", "bf16", true},
		{"auto", "fp32", "fp32", true},
		{"auto", "bf16", "bf16", false},
	} {
		exec, err := OpenPrecise(c.device, Fast, c.precision)
		if err != nil {
			t.Fatal(err)
		}
		a, beside := exec.(*auto)
		arithmetic := exec.Arithmetic()
		if was, ok := arithmetics[c.want]; ok && was != arithmetic {
			t.Errorf("%s in %q is %s, want %s", c.device, c.precision, arithmetic, was)
		}
		arithmetics[c.want] = arithmetic
		if got := kernels.Precision(arithmetic); exec.Name() != "cuda" || got != c.want || beside != c.beside {
			t.Errorf("%s in %q is %s in %s, the CPU beside it: %t; want cuda in %s, %t", c.device, c.precision, exec.Name(), got, beside, c.want, c.beside)
		}
		if beside && kernels.Precision(a.cpu.Arithmetic()) != "fp32" {
			t.Errorf("%s in %q: the CPU is %s", c.device, c.precision, a.cpu.Arithmetic())
		}
		if err := exec.Close(); err != nil {
			t.Error(err)
		}
	}
	for _, executor := range []string{Ref, Tape} {
		exec, err := Open("auto", executor)
		if err != nil || kernels.Precision(exec.Arithmetic()) != "fp32" {
			t.Errorf("%s: %v, err %v; want fp32", executor, exec, err)
		}
	}
}

func TestExplainCUDA(t *testing.T) {
	network, err := graph.New(graph.Arch{Widths: []int{5, 4, 3}, Activation: ir.Tanh, Loss: graph.CrossEntropy})
	if err != nil {
		t.Fatal(err)
	}
	exec, err := Open("cuda:0", Fast)
	if err != nil {
		t.Fatal(err)
	}
	defer exec.Close()
	lines, err := exec.Explain(network, kernels.Optimizer{Name: "sgd"})
	if err != nil || len(lines) == 0 {
		t.Errorf("explained with %q, err %v", lines, err)
	}
}

// cuda is all GPUs, cuda:N one of them.
func TestSeveralGPUs(t *testing.T) {
	if standin.RequireGPU() {
		t.Skip("needs the stand-in, which can be several devices")
	}
	t.Setenv("VANILLA_STANDIN_DEVICES", "3")
	if devices := Devices(); len(devices) != 5 || devices[3].Name != "cuda:2" || devices[4].Name != "auto" {
		t.Errorf("found %v", devices)
	}
	for _, c := range []struct{ device, want string }{
		{"cuda", "3 devices, the first one stand-in"},
		{"auto", "3 devices, the first one stand-in"},
		{"cuda:2", "stand-in"},
	} {
		exec, err := Open(c.device, Fast)
		if err != nil {
			t.Fatal(err)
		}
		if !strings.HasPrefix(exec.Device(), c.want) {
			t.Errorf("%s is %s, want %s", c.device, exec.Device(), c.want)
		}
		if err := exec.Close(); err != nil {
			t.Error(err)
		}
	}
	_, err := Open("cuda:3", Fast)
	if err == nil || !strings.Contains(err.Error(), "the last GPU of this machine is cuda:2") {
		t.Errorf("cuda:3: %v", err)
	}
}

// No benchmark takes the stand-in for a device.
func TestMeasurable(t *testing.T) {
	err := Measurable("cuda:0", Fast)
	if standin.RequireGPU() {
		if err != nil {
			t.Error(err)
		}
		return
	}
	var name *kernels.SettingError
	if !errors.As(err, &name) || !strings.Contains(name.Problem, "no device to measure") {
		t.Errorf("the stand-in is measurable: %v", err)
	}
	if err := Measurable("cpu", Fast); err != nil {
		t.Errorf("cpu: %v", err)
	}
}

// A machine without a driver: this test again, in a process that finds none.
func TestWithoutDriver(t *testing.T) {
	if os.Getenv("VANILLA_TEST_NO_DRIVER") == "" {
		c := exec.Command(os.Args[0], "-test.run=^(TestWithoutDriver|TestOpen|TestAuto|TestDevices|TestExplain)$", "-test.v")
		c.Env = append(os.Environ(), "VANILLA_TEST_NO_DRIVER=1", driver.LibraryVariable+"=/nowhere/libcuda.so.1")
		if out, err := c.CombinedOutput(); err != nil {
			t.Errorf("%v\n%s", err, out)
		}
		return
	}
	_, err := Open("cuda", Fast)
	if err == nil || err.Error() != `device cuda: no NVIDIA driver: /nowhere/libcuda.so.1 not found: want cpu` {
		t.Errorf("cuda: %v", err)
	}
	exec, err := Open("auto", Fast)
	if err != nil || exec.Name() != "cpu" {
		t.Errorf("auto: %v, err %v", exec, err)
	}
	if err := NoGPU(); err == nil || err.Error() != "no NVIDIA driver: /nowhere/libcuda.so.1 not found" {
		t.Errorf("there is no GPU because %v", err)
	}
}
