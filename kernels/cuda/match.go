//go:build gpu && !cpu && linux && amd64 && cgo

package cuda

import (
	"fmt"

	"vanilla/graph/ir"
	"vanilla/internal/cuda/driver"
	"vanilla/kernels"
)

// What resident.cuh says.
const (
	partRows       = 32 // examples
	residentUnits  = 16
	residentPixels = 784
)

func (c class) terms() int {
	if c.precision == BF16 {
		return 1
	}
	return 3
}

// sharedBytes is the dynamic shared memory of a block: Layout::bytes.
func (c class) sharedBytes(depth int) int {
	const (
		pixels = 2048
		stage  = partRows * residentPixels
		lanes  = 16 * 32
		tile   = partRows * 24 * 2
	)
	bytes := pixels + 2*stage + 7*4*lanes + 2*partRows*20*4
	states := 1 + c.slots
	if c.parts {
		bytes += 7 * 7 * 2 * lanes
		states++
	}
	layer := c.terms()*tile + states*lanes + 4*lanes + c.terms()*tile + 2*states*lanes + 2*c.terms()*lanes
	return bytes + depth*layer
}

// wanted is what decides on a network's class.
type wanted struct {
	program   *ir.Program
	optimizer kernels.Optimizer
	batch     int
	shift     int
	examples  int
}

// rowBytes is the length of an example that resident kernels read.
func rowBytes(features int) int { return (features + 15) / 16 * 16 }

// copies is how often the data is on the device for shifts of up to so many
// pixels: once for each place that an image can be moved to.
func copies(shift int) int { return (2*shift + 1) * (2*shift + 1) }

// classOf is a network's class and, unless that is generic, its chain. The error
// says why it is generic.
func classOf(w wanted, precision string, d driver.Device) (class, *packedChain, error) {
	if d.Major < 8 {
		return class{}, nil, fmt.Errorf("the device has compute capability %d.%d, tensor cores take bfloat16 from 8.0 on", d.Major, d.Minor)
	}
	chain, err := matchChain(w.program)
	if err != nil {
		return class{}, nil, err
	}
	if n := w.program.Features(); n > residentPixels {
		return class{}, nil, fmt.Errorf("it has %d inputs, at most %d fit", n, residentPixels)
	}
	for i, l := range chain.Layers[:chain.Depth] {
		if l.Out > residentUnits {
			return class{}, nil, fmt.Errorf("layer %d has %d units, at most %d fit", i+1, l.Out, residentUnits)
		}
	}
	c := class{precision, w.optimizer.Slots(), min(w.batch, w.examples) > partRows}
	if need := c.sharedBytes(int(chain.Depth)); need > d.SharedPerBlock {
		return class{}, nil, fmt.Errorf("it needs %d bytes of shared memory, a block has %d", need, d.SharedPerBlock)
	}
	data := copies(w.shift) * w.examples * rowBytes(w.program.Features())
	if w.shift > 0 && data > d.MemoryBytes/8 || int64(data) > 1<<32-1 {
		return class{}, nil, fmt.Errorf("the images in all places that they are moved to take %d bytes", data)
	}
	return c, chain, nil
}

// residentLines describes what a resident kernel makes of a program.
func residentLines(p *ir.Program, o kernels.Optimizer, c class, chain *packedChain) []string {
	terms := "factors of products are rounded to bfloat16"
	if c.precision == FP32 {
		terms = "factors of products are sums of three bfloat16 numbers"
	}
	lines := []string{
		fmt.Sprintf("a block of %d threads trains the network on tensor cores: class %s, %s, %d bytes of shared memory",
			blockThreads, c, terms, c.sharedBytes(int(chain.Depth))),
	}
	for i, l := range chain.Layers[:chain.Depth] {
		where := "shared memory, by the head warp"
		if i == 0 {
			where = "registers, by seven warps"
		}
		lines = append(lines, fmt.Sprintf("layer %d, %d to %d, %s: weights in %s", i+1, l.In, l.Out, ir.Activation(l.Activation), where))
	}
	return append(lines,
		fmt.Sprintf("%s updates %d parameters where their gradients are summed", o.Name, len(p.Params)),
		"the generic kernel trains it instead on images that are changed by more than shifts, with images of noise, or with targets other than labels")
}
