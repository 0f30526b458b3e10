package device

import (
	"fmt"
	"runtime"
	"slices"

	"vanilla/internal/cuda/driver"
	"vanilla/kernels"
	"vanilla/kernels/cuda"
)

// What auto reckons with. None of it is measured when it decides: a run that is
// resumed, and a plan of one, decide alike.
const (
	// costExamples is how many examples an epoch is taken to have: MNIST's.
	costExamples = 60_000
	// gpuStart is about what it takes to open a GPU, load kernels and copy the data: a
	// process that trains one network for two epochs on an H200 takes 0.46 s.
	gpuStart = 0.5
	// leastGain is how many times as fast as the CPU the GPUs must be by the model to be
	// chosen: an H200 takes up to 1.5 times as long as that (bench/NOTES-cuda.md).
	leastGain = 2
)

// cpuFlops are the operations a second of one core in training, products as
// ir.Program.FLOPs counts them, skipped zeros included: 22, 26 and 259 ms for an epoch
// of 784-16-16-10 in bench/NOTES-cpu.md.
func cpuFlops(sets []string) float64 {
	switch {
	case slices.Contains(sets, "AVX-512"):
		return 144e9
	case slices.Contains(sets, "AVX2"):
		return 122e9
	}
	return 12e9
}

// modelling is an executor of GPUs that knows what its steps are expected to take.
type modelling interface {
	Cycles(v kernels.Variant) (alone, shared float64, err error)
}

// cost is how many seconds a training is expected to take.
type cost struct{ cpu, gpu float64 }

// cheaper is whether the CPU is expected to do it as well.
func (c cost) cheaper() bool { return c.cpu < leastGain*c.gpu }

func (c cost) String() string {
	return fmt.Sprintf("expected, not measured: %.2g s on the CPU, %.2g s on GPUs, which train what takes them less than half of the CPU's time", c.cpu, c.gpu)
}

// costOf is the cost of training variants, on so many cores and multiprocessors.
func costOf(variants []kernels.Variant, m modelling, flops float64, cores, sms int) (cost, error) {
	var c cost
	var longest, total float64
	for _, v := range variants {
		c.cpu += float64(v.Epochs) * costExamples * float64(v.Program().FLOPs()) / flops
		alone, shared, err := m.Cycles(v)
		if err != nil {
			return c, err
		}
		steps := float64(v.Epochs * v.StepsPerEpoch(costExamples))
		longest, total = max(longest, steps*alone), total+steps*shared
	}
	c.cpu /= float64(max(1, min(cores, len(variants))))
	c.gpu = gpuStart + max(longest, total/float64(max(1, sms)))/cuda.ModelledClock
	return c, nil
}

// cost is that of variants on this machine. Where the GPUs' executor has no model it
// is zero, and false.
func (a *auto) cost(variants []kernels.Variant) (cost, bool, error) {
	m, ok := a.Executor.(modelling)
	if !ok {
		return cost{}, false, nil
	}
	devices, err := driver.Devices()
	if err != nil {
		return cost{}, false, err
	}
	sms := 0
	for _, d := range devices {
		sms += d.SMs
	}
	c, err := costOf(variants, m, cpuFlops(instructionSets()), runtime.GOMAXPROCS(0), sms)
	return c, true, err
}

// Estimate says what auto expects of the CPU and of the GPUs for networks that both
// can train, nothing where there is no choice.
func Estimate(exec kernels.Executor, variants []kernels.Variant) (string, error) {
	a, ok := exec.(*auto)
	if !ok {
		return "", nil
	}
	if _, refused, _ := a.split(variants); refused != nil {
		return "", nil
	}
	c, known, err := a.cost(variants)
	if !known || err != nil {
		return "", err
	}
	return c.String(), nil
}
