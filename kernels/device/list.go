package device

import (
	"context"
	"fmt"
	"runtime"
	"strings"
	"time"

	features "golang.org/x/sys/cpu"

	"vanilla/internal/cuda/driver"
	"vanilla/kernels/cpu"
	"vanilla/kernels/cuda"
)

// Info is a device, or a kind of device that there is none of.
type Info struct {
	Name        string // as Open takes it
	Description string
}

// Devices lists what there is for Open, and why there is no GPU if there is none.
func Devices() []Info {
	processor := []string{cpu.New().Device(), runtime.GOARCH}
	if sets := instructionSets(); sets != nil {
		processor = append(processor, strings.Join(sets, " "))
	}
	return append([]Info{{"cpu", strings.Join(processor, ", ")}}, gpus()...)
}

func gpus() []Info {
	all, err := driver.Devices()
	if err != nil {
		return []Info{{"cuda", "none: " + err.Error()}}
	}
	var infos []Info
	for _, d := range all {
		infos = append(infos, Info{fmt.Sprintf("cuda:%d", d.Index), d.String()})
	}
	return append(infos, Info{"auto", fmt.Sprintf("GPUs where they take less than half of the CPU's time, by a model that an H200 takes up to 1.5 times as long as: %.3g GFLOP/s for a core, %.1f s to start, %.3f GHz for a multiprocessor",
		cpuFlops(instructionSets())/1e9, gpuStart, cuda.ModelledClock/1e9)})
}

// instructionSets are those of the processor that matter to dense layers.
func instructionSets() []string {
	var sets []string
	for _, s := range []struct {
		name string
		has  bool
	}{
		{"AVX", features.X86.HasAVX},
		{"AVX2", features.X86.HasAVX2},
		{"FMA", features.X86.HasFMA},
		{"AVX-512", features.X86.HasAVX512F},
		{"NEON", features.ARM64.HasASIMD},
		{"SVE", features.ARM64.HasSVE},
	} {
		if s.has {
			sets = append(sets, s.name)
		}
	}
	return sets
}

// Processor is the CPU's name, and the instruction sets of it that matter here.
func Processor() (name string, sets []string) { return cpu.Processor(), instructionSets() }

// Ceilings is what cuda.Ceilings measures: what each GPU does at most, so many times.
func Ceilings(ctx context.Context, samples int) ([]cuda.Ceiling, error) {
	return cuda.Ceilings(ctx, samples)
}

// Ceiling is what cpu.Ceiling measures: how many float32 operations so many of
// the CPU's cores do in a second at most, in 10⁹. It takes about d.
func Ceiling(cores int, d time.Duration) float64 { return cpu.Ceiling(cores, d) }
