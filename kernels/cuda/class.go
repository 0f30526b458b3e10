package cuda

import "fmt"

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
	name := fmt.Sprintf("kernel_resident_%s_%d", c.precision, c.slots)
	if c.parts {
		name += "_parts"
	}
	return name
}

func (c class) String() string {
	if !c.resident() {
		return "generic"
	}
	return c.kernel()[len("kernel_"):]
}
