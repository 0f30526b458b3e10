package device

import (
	"fmt"
	"runtime"
	"strings"

	"golang.org/x/sys/cpu"
)

// Info is a kind of device, whether there is one or not.
type Info struct {
	Name        string // as Open takes it
	Description string
}

// Devices lists what there is for Open.
func Devices() []Info {
	cores := fmt.Sprintf("%d cores", runtime.NumCPU())
	if runtime.NumCPU() == 1 {
		cores = "1 core"
	}
	if n := runtime.GOMAXPROCS(0); n != runtime.NumCPU() {
		cores += fmt.Sprintf(", %d in use", n)
	}
	description := []string{runtime.GOARCH, cores}
	if sets := instructionSets(); sets != nil {
		description = append(description, "with "+strings.Join(sets, " "))
	}
	return []Info{
		{"cpu", strings.Join(description, ", ")},
		{"cuda", "not in this binary: it was built without CUDA"},
	}
}

// instructionSets are those that matter to dense layers.
func instructionSets() []string {
	var sets []string
	for _, s := range []struct {
		name string
		has  bool
	}{
		{"AVX", cpu.X86.HasAVX},
		{"AVX2", cpu.X86.HasAVX2},
		{"FMA", cpu.X86.HasFMA},
		{"AVX-512", cpu.X86.HasAVX512F},
		{"NEON", cpu.ARM64.HasASIMD},
		{"SVE", cpu.ARM64.HasSVE},
	} {
		if s.has {
			sets = append(sets, s.name)
		}
	}
	return sets
}
