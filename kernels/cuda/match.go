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
	residentPixels = 784
)

func (c class) terms() int {
	if c.precision == BF16 {
		return 1
	}
	return 3
}

// factors says what products are made of.
func (c class) factors() string {
	if c.precision == FP32 {
		return "factors of products are sums of three bfloat16 numbers"
	}
	return "factors of products are rounded to bfloat16"
}

// Of a lane's part of a first layer's array, and what that is in bytes for a warp.
const (
	laneBytes  = 16 * 32
	arrayBytes = 7 * 7 * 2 * laneBytes // of the seven warps of a group
)

// sharedBytes is the dynamic shared memory of a block: Layout::bytes.
func (c class) sharedBytes(depth int) int {
	const (
		pixels = 2048
		stage  = partRows * residentPixels
	)
	groups, row := c.units/narrowUnits, c.units+8
	bytes := pixels + 2*stage + groups*7*4*laneBytes + 2*partRows*(c.units+4)*4
	states := 1 + c.slots
	if c.parts {
		states++
		if c.units == narrowUnits {
			bytes += arrayBytes
		}
	}
	tile, packed := c.terms()*partRows*row*2, c.terms()*c.units*row*2
	layer := tile + states*groups*laneBytes
	return bytes + depth*layer + (depth-1)*(tile+2*groups*groups*states*laneBytes+packed)
}

// workFloats is how much global memory a block works in: for the first layer's arrays
// that are FAR.
func (c class) workFloats() int64 {
	if c.units == narrowUnits {
		return 0
	}
	arrays := c.slots
	if c.parts {
		arrays++
	}
	return int64(arrays * c.units / narrowUnits * arrayBytes / 4)
}

// wanted is what decides on a network's class.
type wanted struct {
	program   *ir.Program
	optimizer kernels.Optimizer
	batch     int
	shift     int
	examples  int
	changed   bool // images are more than moved, some show nothing, or targets are no labels
}

// wantedBy is what a variant wants of a class for training on examples.
func wantedBy(v *kernels.Variant, e kernels.Examples) wanted {
	return wanted{v.Program(), v.Optimizer, v.Batch, v.Shift, e.Len(), moreThanMoved(v) || e.Targets != nil}
}

// form is what a class makes of a network, nothing if it is generic.
type form struct {
	chain  *packedChain // of a resident class
	stream *streamPlan  // of a streaming one
	why    error        // of a streaming one: why it is not resident
}

// tensorCores fails on a device that has none for bfloat16.
func tensorCores(d driver.Device) error {
	if d.Major < 8 {
		return fmt.Errorf("the device has compute capability %d.%d, tensor cores take bfloat16 from 8.0 on", d.Major, d.Minor)
	}
	return nil
}

// rowBytes is the length of an example that resident kernels read.
func rowBytes(features int) int { return (features + 15) / 16 * 16 }

// copies is how often the data is on the device for shifts of up to so many
// pixels: once for each place that an image can be moved to.
func copies(shift int) int { return (2*shift + 1) * (2*shift + 1) }

// residentOf is a network's resident class and its chain. The error says why it has
// none.
func residentOf(w wanted, precision string, d driver.Device) (class, *packedChain, error) {
	if err := tensorCores(d); err != nil {
		return class{}, nil, err
	}
	if w.changed {
		return class{}, nil, fmt.Errorf("its images are more than moved, some show nothing, or its targets are no labels")
	}
	chain, err := matchChain(w.program)
	if err != nil {
		return class{}, nil, err
	}
	if n := w.program.Features(); n > residentPixels {
		return class{}, nil, fmt.Errorf("it has %d inputs, at most %d fit", n, residentPixels)
	}
	units := narrowUnits
	for i, l := range chain.Layers[:chain.Depth] {
		if l.Out > wideUnits {
			return class{}, nil, fmt.Errorf("layer %d has %d units, at most %d fit", i+1, l.Out, wideUnits)
		}
		if l.Out > narrowUnits {
			units = wideUnits
		}
	}
	c := class{units: units, precision: precision, slots: w.optimizer.Slots(), parts: min(w.batch, w.examples) > partRows}
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
	lines := []string{
		fmt.Sprintf("a block of %d threads trains the network on tensor cores: class %s, %s, %d bytes of shared memory",
			c.threads(), c, c.factors(), c.sharedBytes(int(chain.Depth))),
	}
	if floats := c.workFloats(); floats > 0 {
		lines = append(lines, fmt.Sprintf("what %s keeps of the first layer is in global memory, %d bytes for a block", o.Name, 4*floats))
	}
	for i, l := range chain.Layers[:chain.Depth] {
		where := fmt.Sprintf("shared memory, by the last %d warps", c.units/narrowUnits)
		if i == 0 {
			where = fmt.Sprintf("registers, by the first %d warps", 7*c.units/narrowUnits)
		}
		lines = append(lines, fmt.Sprintf("layer %d, %d to %d, %s: weights in %s", i+1, l.In, l.Out, ir.Activation(l.Activation), where))
	}
	return append(lines,
		fmt.Sprintf("%s updates %d parameters where their gradients are summed", o.Name, len(p.Params)),
		"a streaming kernel trains it instead on images that are changed by more than shifts, with images of noise, or with targets other than labels")
}

func (c class) resident() bool { return !c.generic() && !c.stream }

// threads is how many a block of the class's kernel has.
func (c class) threads() int { return blockThreads * max(1, c.units/narrowUnits) }
