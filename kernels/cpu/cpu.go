// Package cpu is the fast executor for the host's processor.
//
// A program is compiled into a plan: a list of kernels that each run over the
// whole batch in float32. What the compiler finds in the program it fuses (a
// dense layer with its activation, the loss with its gradient, a gradient with
// its update); what it does not find runs by one kernel per operation, so every
// program that ir accepts trains. [Explain] shows the list.
//
// The first layer reads the data's bytes and touches only those that are not
// zero, which are a fifth of MNIST's.
package cpu

import (
	"bufio"
	"fmt"
	"os"
	"runtime"
	"strings"

	"vanilla/kernels"
)

// New is the executor.
func New() kernels.Executor { return executor{} }

type executor struct{}

func (executor) Name() string { return "cpu" }

// Device is the processor's model and the number of logical cores in use.
func (executor) Device() string {
	cores := runtime.GOMAXPROCS(0)
	plural := "s"
	if cores == 1 {
		plural = ""
	}
	return fmt.Sprintf("%s, %d core%s", processor("/proc/cpuinfo"), cores, plural)
}

// processor is the model that Linux reports, or the architecture elsewhere.
func processor(cpuinfo string) string {
	f, err := os.Open(cpuinfo)
	if err != nil {
		return runtime.GOARCH
	}
	defer f.Close()
	for lines := bufio.NewScanner(f); lines.Scan(); {
		key, value, _ := strings.Cut(lines.Text(), ":")
		if strings.TrimSpace(key) == "model name" {
			return strings.TrimSpace(value)
		}
	}
	return runtime.GOARCH
}

// Prepare makes a population whose machines share one encoding of the data,
// made when the first machine needs it.
func (executor) Prepare(data kernels.Data, variants []kernels.Variant) (kernels.Population, error) {
	shared := newDataset(data)
	return kernels.NewHost(data, variants, func(v kernels.Variant, _ *kernels.Data) (kernels.Machine, error) {
		return newMachine(v, shared)
	})
}
