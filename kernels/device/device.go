// Package device opens executors by name.
package device

import (
	"fmt"
	"regexp"

	"vanilla/graph"
	"vanilla/graph/ir"
	"vanilla/kernels"
	"vanilla/kernels/cpu"
	"vanilla/kernels/ref"
	"vanilla/kernels/tape"
)

// The names of executors. Fast is the device's own: package cpu on a CPU.
const (
	Fast = "fast"
	Tape = "tape"
	Ref  = "ref"
)

// NameError is a name that this binary has no device or executor for.
type NameError struct {
	Flag    string // where the name is from, "--device"
	Name    string
	Problem string // what would be right
}

func (e *NameError) Error() string { return fmt.Sprintf("%s %.60q: %s", e.Flag, e.Name, e.Problem) }

// Open returns the named executor for the named device: "auto", "cpu", "cuda"
// or "cuda:N", where auto is the best device of this machine that this binary
// can use. networks gives the graph behind each program that will be run; only
// the executor tape asks for it. It fails with a *NameError if there is no such
// name, or if the binary was built without the device: nothing else is opened in
// its place.
func Open(device, executor string, networks func(*ir.Program) *graph.Network) (kernels.Executor, error) {
	if err := check(device); err != nil {
		return nil, err
	}
	switch executor {
	case Fast:
		return cpu.New(), nil
	case Tape:
		return tape.New(networks), nil
	case Ref:
		return ref.New(), nil
	}
	return nil, &NameError{"--executor", executor, fmt.Sprintf("want %s, %s or %s", Fast, Tape, Ref)}
}

// Explain says how the executor that Open returns for the same names runs a
// program, a line for each step of the plan. It fails as Open does,
// and if the executor cannot run the program.
func Explain(device, executor string, p *ir.Program, o kernels.Optimizer) ([]string, error) {
	if _, err := Open(device, executor, nil); err != nil {
		return nil, err
	}
	switch executor {
	case Tape:
		return []string{"Gorgonia's TapeMachine runs the graph itself, node by node; the program is not used"}, nil
	case Ref:
		return []string{"every operation as it is listed, one after the other"}, nil
	}
	return cpu.Explain(p, o)
}

var cudaName = regexp.MustCompile(`^cuda(:[0-9]+)?$`)

func check(device string) error {
	switch {
	case device == "auto" || device == "cpu":
		return nil
	case cudaName.MatchString(device):
		return &NameError{"--device", device, "this binary was built without CUDA: want --device cpu"}
	}
	return &NameError{"--device", device, "want auto, cpu, cuda or cuda:N"}
}
