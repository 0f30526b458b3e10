package device

import (
	"errors"
	"fmt"
	"regexp"
	"runtime"
	"strings"
	"testing"

	"vanilla/graph"
	"vanilla/graph/ir"
	"vanilla/internal/cuda/driver"
	"vanilla/kernels"
)

func TestOpen(t *testing.T) {
	for _, c := range []struct{ device, executor, want string }{
		{"cpu", "fast", "cpu"},
		{"cpu", "tape", "tape"},
		{"auto", "ref", "ref"},
	} {
		exec, err := Open(c.device, c.executor)
		if err != nil || exec.Name() != c.want || exec.Device() == "" {
			t.Errorf("%s, %s: %v, err %v; want %s", c.device, c.executor, exec, err, c.want)
		}
	}
	for _, c := range []struct{ device, executor, field, problem string }{
		{"cuda:99", "fast", "device", noGPU()},
		{"cuda:x", "fast", "device", "want auto, cpu, cuda or cuda:N"},
		{"CPU", "fast", "device", "want auto, cpu, cuda or cuda:N"},
		{"", "fast", "device", "want auto, cpu, cuda or cuda:N"},
		{"cpu", "cpu", "executor", "want fast, tape or ref"},
		{"cpu", "", "executor", "want fast, tape or ref"},
	} {
		exec, err := Open(c.device, c.executor)
		var name *kernels.SettingError
		if exec != nil || !errors.As(err, &name) || name.Field != c.field || name.Problem != c.problem {
			t.Errorf("%s, %s: %v, err %v; want %s %s", c.device, c.executor, exec, err, c.field, c.problem)
		} else if !strings.Contains(err.Error(), c.field) || !strings.Contains(err.Error(), c.problem) {
			t.Errorf("the error says %v", err)
		}
	}
}

func TestExplain(t *testing.T) {
	network, err := graph.New(graph.Arch{Widths: []int{5, 4, 3}, Activation: ir.Tanh, Loss: graph.CrossEntropy})
	if err != nil {
		t.Fatal(err)
	}
	for executor, want := range map[string]string{Fast: "dense", Tape: "TapeMachine", Ref: "every operation"} {
		exec, err := Open("cpu", executor)
		if err != nil {
			t.Fatal(err)
		}
		lines, err := exec.Explain(network, kernels.Optimizer{Name: "sgd"})
		if err != nil || !strings.Contains(strings.Join(lines, "\n"), want) {
			t.Errorf("%s: %q, err %v; want %q", executor, lines, err, want)
		}
	}
}

// noGPU is why this machine has no hundred GPUs.
func noGPU() string {
	all, err := driver.Devices()
	if err != nil {
		return err.Error() + ": want cpu"
	}
	return fmt.Sprintf("the last GPU of this machine is cuda:%d", len(all)-1)
}

func TestDevices(t *testing.T) {
	devices := Devices()
	if len(devices) < 2 || devices[0].Name != "cpu" {
		t.Fatalf("found %v", devices)
	}
	if !regexp.MustCompile(`\d cores?, ` + runtime.GOARCH).MatchString(devices[0].Description) {
		t.Errorf("the CPU is %q", devices[0].Description)
	}
	if err := driver.Available(); err != nil && (devices[1] != Info{"cuda", "none: " + err.Error()}) {
		t.Errorf("without a GPU: %v", devices[1])
	}
	for _, d := range devices {
		if d.Name == "cuda" {
			continue
		}
		exec, err := Open(d.Name, Fast)
		if err != nil {
			t.Fatalf("a device that is listed cannot be opened: %v", err)
		}
		if err := exec.Close(); err != nil {
			t.Error(err)
		}
	}
}

// auto is the GPU if there is one, and the CPU otherwise; then NoGPU says why.
func TestAuto(t *testing.T) {
	exec, err := Open("auto", Fast)
	if err != nil {
		t.Fatal(err)
	}
	want := "cpu"
	if driver.Available() == nil {
		want = "cuda"
	}
	if exec.Name() != want {
		t.Errorf("auto is %s, want %s", exec.Name(), want)
	}
	if err := exec.Close(); err != nil {
		t.Error(err)
	}
	if err := NoGPU(); (err != nil) != (want == "cpu") || err == nil && !ForGPUs {
		t.Errorf("there is no GPU because %v; auto is %s", err, want)
	}
}

// No executor that runs on the CPU has another precision than float32.
func TestPrecision(t *testing.T) {
	for _, executor := range []string{Fast, Tape, Ref} {
		for _, precision := range []string{"", "fp32"} {
			exec, err := OpenPrecise("cpu", executor, precision)
			if err != nil {
				t.Fatal(err)
			}
			if got := kernels.Precision(exec.Arithmetic()); got != "fp32" {
				t.Errorf("%s in %q is of precision %s, want fp32", executor, precision, got)
			}
			if err := exec.Close(); err != nil {
				t.Error(err)
			}
		}
		for precision, problem := range map[string]string{
			"bf16": "only GPUs have it: want the device cuda, or the precision fp32",
			"fp64": "want fp32 or bf16",
		} {
			_, err := OpenPrecise("cpu", executor, precision)
			var name *kernels.SettingError
			if !errors.As(err, &name) || name.Field != "precision" || name.Problem != problem {
				t.Errorf("%s in %q: %v", executor, precision, err)
			}
		}
	}
}
