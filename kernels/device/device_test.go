package device

import (
	"errors"
	"regexp"
	"runtime"
	"strings"
	"testing"

	"vanilla/graph"
	"vanilla/graph/ir"
	"vanilla/kernels"
)

func TestOpen(t *testing.T) {
	for _, c := range []struct{ device, executor, want string }{
		{"auto", "fast", "cpu"},
		{"cpu", "fast", "cpu"},
		{"cpu", "tape", "tape"},
		{"auto", "ref", "ref"},
	} {
		exec, err := Open(c.device, c.executor, func(*ir.Program) *graph.Network { return nil })
		if err != nil || exec.Name() != c.want || exec.Device() == "" {
			t.Errorf("%s, %s: %v, err %v; want %s", c.device, c.executor, exec, err, c.want)
		}
	}
	for _, c := range []struct{ device, executor, flag, problem string }{
		{"cuda", "fast", "--device", "this binary was built without CUDA: want --device cpu"},
		{"cuda:3", "ref", "--device", "this binary was built without CUDA: want --device cpu"},
		{"cuda:x", "fast", "--device", "want auto, cpu, cuda or cuda:N"},
		{"CPU", "fast", "--device", "want auto, cpu, cuda or cuda:N"},
		{"", "fast", "--device", "want auto, cpu, cuda or cuda:N"},
		{"cpu", "cpu", "--executor", "want fast, tape or ref"},
		{"cpu", "", "--executor", "want fast, tape or ref"},
	} {
		exec, err := Open(c.device, c.executor, nil)
		var name *NameError
		if exec != nil || !errors.As(err, &name) || name.Flag != c.flag || name.Problem != c.problem {
			t.Errorf("%s, %s: %v, err %v; want %s %s", c.device, c.executor, exec, err, c.flag, c.problem)
		} else if !strings.Contains(err.Error(), c.flag) || !strings.Contains(err.Error(), c.problem) {
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
		lines, err := Explain("cpu", executor, network.Program, kernels.Optimizer{Name: "sgd"})
		if err != nil || !strings.Contains(strings.Join(lines, "\n"), want) {
			t.Errorf("%s: %q, err %v; want %q", executor, lines, err, want)
		}
	}
	if _, err := Explain("cuda", Fast, network.Program, kernels.Optimizer{Name: "sgd"}); err == nil {
		t.Error("cuda: no error")
	}
}

func TestDevices(t *testing.T) {
	devices := Devices()
	if len(devices) != 2 || devices[0].Name != "cpu" || devices[1].Name != "cuda" {
		t.Fatalf("found %v", devices)
	}
	if !regexp.MustCompile(`\d cores?, ` + runtime.GOARCH).MatchString(devices[0].Description) {
		t.Errorf("the CPU is %q", devices[0].Description)
	}
	if _, err := Open(devices[0].Name, Fast, nil); err != nil {
		t.Errorf("a device that is listed cannot be opened: %v", err)
	}
}
