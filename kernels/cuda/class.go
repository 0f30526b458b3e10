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

// class is a kernel that trains networks: a resident one, a streaming one, or the
// generic kernel, which is the zero class; the last two also spread over blocks. It
// follows from the network and the device alone.
type class struct {
	units     int    // of a resident one: the most that a layer may have, 16 or 32
	precision string // "" for the generic kernel
	slots     int
	parts     bool // of a resident one: batches of more than one part
	stream    bool
	spread    bool // over blocks, which share every step
}

func (c class) generic() bool { return c.precision == "" }

// kernel is the name of the class's kernel.
func (c class) kernel() string {
	name := "kernel_network"
	switch {
	case c.stream:
		name = fmt.Sprintf("kernel_stream_%s_%d", c.precision, c.slots)
	case c.units > 0:
		name = fmt.Sprintf("kernel_%s_%s_%d", c.image(), c.precision, c.slots)
	}
	if c.parts {
		name += "_parts"
	}
	if c.spread {
		name += "_spread"
	}
	return name
}

// image is the name of the compiled file that the kernel is in.
func (c class) image() string {
	switch {
	case c.generic():
		return "network"
	case c.stream && c.spread:
		return "stream_spread"
	case c.stream:
		return "stream"
	case c.units > narrowUnits:
		return "resident32"
	}
	return "resident"
}

func (c class) String() string {
	if c == (class{}) {
		return "generic"
	}
	return c.kernel()[len("kernel_"):]
}

// residentClasses are all resident classes of a precision.
func residentClasses(precision string) []class {
	var all []class
	for _, units := range []int{narrowUnits, wideUnits} {
		for slots := range 3 {
			c := class{units: units, precision: precision, slots: slots}
			all = append(all, c)
			c.parts = true
			all = append(all, c)
		}
	}
	return all
}

// classes are all of a precision but the generic one.
func classes(precision string) []class {
	all := residentClasses(precision)
	for slots := range 3 {
		c := class{precision: precision, slots: slots, stream: true}
		all = append(all, c)
		c.spread = true
		all = append(all, c)
	}
	return all
}
