package cuda

import "fmt"

// How many units layers may have in classes.
const narrowUnits, wideUnits = 16, 32

// Precisions of what is trained on tensor cores. Parameters, sums and the
// optimizer are float32 in both.
const (
	// FP32 writes each factor of a product as a sum of three bfloat16 numbers, each
	// the rounding of what those before it leave: at most 1, 2⁻⁸ and 2⁻¹⁶ of it, and
	// together all of its 24 bits. Of the nine products of two factors' terms six are
	// taken; those that are left out are at most 2·2⁻²⁴ + 2⁻³² of the product, two of
	// float32's roundings.
	FP32 = "fp32"
	// BF16 rounds factors to bfloat16.
	BF16 = "bf16"
)

// class is a kernel that trains networks: a resident one, or the generic kernel,
// which is the zero class. It follows from the program, the batch, the optimizer,
// the shift and the device alone.
type class struct {
	units     int    // the most that a layer may have: 16, or 32
	precision string // "" for the generic kernel
	slots     int
	parts     bool // batches of more than one part
}

func (c class) resident() bool { return c.precision != "" }

// kernel is the name of the class's kernel.
func (c class) kernel() string {
	if !c.resident() {
		return "kernel_network"
	}
	name := fmt.Sprintf("kernel_%s_%s_%d", c.image(), c.precision, c.slots)
	if c.parts {
		name += "_parts"
	}
	return name
}

// image is the name of the compiled file that the kernel is in.
func (c class) image() string {
	switch {
	case !c.resident():
		return "network"
	case c.units > narrowUnits:
		return "resident32"
	}
	return "resident"
}

// threads is how many a block of the class's kernel has.
func (c class) threads() int { return blockThreads * max(1, c.units/narrowUnits) }

// residentClasses are all classes of a precision that are not generic.
func residentClasses(precision string) []class {
	var all []class
	for _, units := range []int{narrowUnits, wideUnits} {
		for slots := range 3 {
			all = append(all, class{units, precision, slots, false}, class{units, precision, slots, true})
		}
	}
	return all
}

func (c class) String() string {
	if !c.resident() {
		return "generic"
	}
	return c.kernel()[len("kernel_"):]
}
