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

// What the generic kernel takes for a unit of stepWork, by the model: 122,000 cycles
// for a step of 784-16-16-10 at batch 32 in a block alone, and 69,000 of a
// multiprocessor that runs two, which is the table's row.
const genericAlone, genericShared = 0.057, 0.032

// Cycles is what a step of a variant is expected to take on a device: of a block that
// is alone on a multiprocessor, and of a multiprocessor that runs as many as fit. It
// is a model's number, which no device has confirmed, and has nothing in it for
// changes of images.
func (e *executor) Cycles(v kernels.Variant) (alone, shared float64, err error) {
	c, _, _, err := e.classOf(wanted{v.Program(), v.Optimizer, v.Batch, v.Shift, v.Batch, moreThanMoved(&v)})
	if err != nil {
		return 0, 0, err
	}
	if !c.resident() {
		work := stepWork(&v, v.Batch)
		return genericAlone * work, genericShared * work, nil
	}
	blocks, cycles, err := modelledPart(c.kernel())
	if err != nil {
		return 0, 0, err
	}
	n := parts(v.Batch)
	return n * blocks * cycles, n * cycles, nil
}

// parts is how many parts of partRows examples a batch is taken in.
func parts(batch int) float64 { return float64((batch + partRows - 1) / partRows) }

// modelledPart reads the model's table: how many blocks of a resident kernel a
// multiprocessor runs, and what it takes for a part of one's step.
func modelledPart(kernel string) (blocks, cycles float64, err error) {
	for line := range strings.Lines(modelled) {
		f := strings.Fields(line)
		if len(f) < 7 || f[0] != kernel {
			continue
		}
		batch, err := strconv.Atoi(f[3])
		if err == nil {
			blocks, err = strconv.ParseFloat(f[4], 64)
		}
		if err == nil {
			cycles, err = strconv.ParseFloat(f[6], 64)
		}
		return blocks, cycles / parts(batch), err
	}
	return 0, 0, fmt.Errorf("the model has no %s", kernel)
}
