//go:build gpu && !cpu && linux && amd64 && cgo

package cuda

import (
	_ "embed"
	"fmt"
	"strconv"
	"strings"

	"vanilla/kernels"
)

//go:embed model/cycles.txt
var modelled string

// What the generic kernel takes for a unit of stepWork: 170,000 cycles for a step of
// 784-16-16-10 at batch 32 in a block alone, and 110,000 of a multiprocessor that
// runs two. Counted from its machine code by hand: bench/NOTES-cuda.md.
const genericAlone, genericShared = 0.079, 0.051

// Cycles is what a step of a variant is expected to take on a device: of a block that
// is alone on a multiprocessor, and of a multiprocessor that runs as many as fit. It
// is a model's number, which no device has confirmed, and has nothing in it for
// changes of images.
func (e *executor) Cycles(v kernels.Variant) (alone, shared float64, err error) {
	c, _, why, err := e.classOf(wanted{v.Program(), v.Optimizer, v.Batch, v.Shift, v.Batch})
	if err != nil {
		return 0, 0, err
	}
	if why != nil || onlyGeneric(&v) {
		work := stepWork(&v, v.Batch)
		return genericAlone * work, genericShared * work, nil
	}
	blocks, cycles, err := modelledCycles(c.kernel())
	if err != nil {
		return 0, 0, err
	}
	parts := float64((v.Batch + partRows - 1) / partRows)
	return parts * blocks * cycles, parts * cycles, nil
}

// modelledCycles reads the model's table: how many blocks of a kernel a multiprocessor
// runs, and what it takes for a step of one of them.
func modelledCycles(kernel string) (blocks, cycles float64, err error) {
	for line := range strings.Lines(modelled) {
		f := strings.Fields(line)
		if len(f) < 4 || f[0] != kernel {
			continue
		}
		if blocks, err = strconv.ParseFloat(f[1], 64); err == nil {
			cycles, err = strconv.ParseFloat(f[3], 64)
		}
		return blocks, cycles, err
	}
	return 0, 0, fmt.Errorf("the model has no %s", kernel)
}
