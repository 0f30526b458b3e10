// Package device opens executors by name.
package device

import (
	"cmp"
	"errors"
	"fmt"
	"regexp"
	"strconv"
	"strings"

	"vanilla/internal/cuda/driver"
	"vanilla/kernels"
	"vanilla/kernels/cpu"
	"vanilla/kernels/cuda"
	"vanilla/kernels/ref"
	"vanilla/kernels/tape"
)

// The names of executors. Fast is the device's own: package cpu on a CPU, cuda on
// GPUs. The others run on the CPU.
const (
	Fast = "fast"
	Tape = "tape"
	Ref  = "ref"
)

// Open returns the named executor for the named device: "auto", "cpu", "cuda",
// which is all GPUs together, or "cuda:N", which is one of them. auto is the best
// device of this machine that this binary can use: the GPUs if there are any, and
// beside them the CPU for programs that they cannot run, which [For] and [Tell] say.
// GPUs train in bf16, see [OpenPrecise].
// It fails with a *kernels.SettingError if there is no such name, if the binary or
// the machine has no such device, or if the executor does not run on it: nothing
// else is opened in its place. Whoever opens an executor closes it.
func Open(device, executor string) (kernels.Executor, error) {
	return OpenPrecise(device, executor, "")
}

// Precisions are what networks can be trained in: on GPUs alone is there another than
// float32.
func Precisions() []string { return []string{cuda.FP32, cuda.BF16} }

// PrecisionOnGPUs is what GPUs train in where no precision is asked for. It is for new
// runs alone: what names none, a record or a file, is of kernels.DefaultPrecision.
const PrecisionOnGPUs = cuda.BF16

// OpenPrecise is Open for training in one of Precisions, or in the device's own if it is
// "": PrecisionOnGPUs on GPUs, and float32 on the CPU. auto does not replace GPUs by
// the CPU if bf16 is asked for. It also fails with a *kernels.SettingError if there is
// no such precision, or if the executor does not have it.
func OpenPrecise(device, executor, precision string) (kernels.Executor, error) {
	if precision != "" {
		if err := kernels.CheckName("precision", precision, Precisions()); err != nil {
			return nil, err
		}
	}
	gpus, err := choose(device, executor)
	switch {
	case err != nil:
		return nil, err
	case gpus == nil && precision == cuda.BF16:
		return nil, &kernels.SettingError{Field: "precision", Value: precision, Problem: "only GPUs have it: want the device cuda, or the precision " + cuda.FP32}
	}
	switch {
	case gpus != nil && device == "auto" && precision != cuda.BF16:
		exec, err := cuda.New(cmp.Or(precision, PrecisionOnGPUs), gpus...)
		if err != nil {
			return nil, err
		}
		return &auto{Executor: exec, cpu: cpu.New(), refuses: cuda.Refuses}, nil
	case gpus != nil:
		return cuda.New(cmp.Or(precision, PrecisionOnGPUs), gpus...)
	case executor == Tape:
		return tape.New(), nil
	case executor == Ref:
		return ref.New(), nil
	}
	return cpu.New(), nil
}

// Measurable fails, as Open does, for what stands in for a device: a benchmark of
// it would say nothing.
func Measurable(device, executor string) error {
	gpus, err := choose(device, executor)
	if err != nil || gpus == nil {
		return err
	}
	all, err := driver.Devices()
	if err == nil && all[gpus[0]].StandIn {
		err = &kernels.SettingError{Field: "device", Value: device, Problem: all[gpus[0]].String() + ": it is no device to measure"}
	}
	return err
}

var cudaName = regexp.MustCompile(`^cuda(:[0-9]+)?$`)

// choose returns the GPUs that two names mean, nil for the CPU.
func choose(device, executor string) ([]int, error) {
	named := cudaName.MatchString(device)
	switch {
	case !named && device != "auto" && device != "cpu":
		return nil, &kernels.SettingError{Field: "device", Value: device, Problem: "want auto, cpu, cuda or cuda:N"}
	case executor != Fast && executor != Tape && executor != Ref:
		return nil, &kernels.SettingError{Field: "executor", Value: executor, Problem: fmt.Sprintf("want %s, %s or %s", Fast, Tape, Ref)}
	case device == "cpu" || device == "auto" && executor != Fast:
		return nil, nil
	}
	all, err := driver.Devices()
	switch {
	case errors.Is(err, driver.ErrUnavailable) && named:
		return nil, &kernels.SettingError{Field: "device", Value: device, Problem: err.Error() + ": want cpu"}
	case errors.Is(err, driver.ErrUnavailable):
		return nil, nil
	case err != nil:
		return nil, err
	case executor != Fast:
		return nil, &kernels.SettingError{Field: "executor", Value: executor, Problem: "it runs on the CPU: want the device cpu, or the executor " + Fast}
	}
	if _, digits, one := strings.Cut(device, ":"); one {
		n, err := strconv.Atoi(digits)
		if err != nil || n >= len(all) {
			return nil, &kernels.SettingError{Field: "device", Value: device, Problem: fmt.Sprintf("the last GPU of this machine is cuda:%d", len(all)-1)}
		}
		return []int{n}, nil
	}
	indices := make([]int, len(all))
	for i := range indices {
		indices[i] = i
	}
	return indices, nil
}

// ForGPUs is whether this binary was built to use GPUs.
const ForGPUs = driver.Built

// NoGPU says why this process has no GPU to use, or nil if it has one. It is what
// auto passes over in silence.
func NoGPU() error { return driver.Available() }
