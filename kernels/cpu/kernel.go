package cpu

import (
	"fmt"
	"strings"

	"vanilla/graph/ir"
)

// kernel is one entry of a plan.
type kernel interface {
	// bind is the kernel for one machine, whose buffers are there and stay where
	// they are: the function runs over the machine's batch. It looks up what does
	// not change from step to step beforehand, for small layers take no longer
	// than that.
	bind(m *machine) func()
	// reads and writes are the values whose buffers the kernel uses. A kernel
	// that reads x's records does not read x, and parameters that an update
	// changes are not among what it writes: updates come last.
	reads() []ir.ID
	writes() []ir.ID
	// line describes the kernel with the program's names.
	line(p *ir.Program) string
}

// none stands where a kernel has no such operand.
const none ir.ID = -1

func to(p *ir.Program, k kernel) string {
	var names []string
	for _, id := range k.writes() {
		names = append(names, p.Value(id).Name)
	}
	return " -> " + strings.Join(names, " ")
}

func source(p *ir.Program, id ir.ID, sparse bool) string {
	if sparse {
		return "sparse " + p.Value(id).Name
	}
	return p.Value(id).Name
}

func slope(p *ir.Program, f ir.Activation, at ir.ID) string {
	return fmt.Sprintf("dact %s at %s", f, p.Value(at).Name)
}
