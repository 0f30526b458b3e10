package train

import (
	"fmt"

	"vanilla/internal/memory"
	"vanilla/model"
)

// Bytes is about what training one network takes of the host's memory: its
// parameters, their gradients and the optimizer's arrays, what a batch computes,
// and the copies of the parameters on the way to a file (a state, a model, the
// bytes). 0 if the architecture cannot be.
func (r Recipe) Bytes() uint64 {
	widths, err := model.Widths(r.Arch)
	if err != nil {
		return 0
	}
	const floatBytes, copies = 4, 4
	floats := uint64(2+r.optimizer().Slots()+copies) * r.parameters()
	for _, width := range widths {
		floats += 4 * uint64(r.Batch) * uint64(width)
	}
	return floatBytes * floats
}

// fitMemory fails if the networks of a population cannot all be in training at
// once, or if one could not be saved: the process would end in the middle of it.
// Graphs of the caller's own are in memory as it is.
func fitMemory(specs []Spec) error {
	var bytes uint64
	for _, s := range specs {
		if s.Network == nil {
			bytes += s.Recipe.Bytes()
		}
	}
	what := fmt.Sprintf("training %d networks", len(specs))
	if len(specs) == 1 {
		what = "training " + specs[0].Recipe.Arch
	}
	return memory.Check(what, bytes)
}
