package kernels

import "vanilla/graph/ir"

// Source is where a network's program comes from: a graph that was lowered, as
// package graph makes it, or the program alone. Executors run the program; only
// tape, which runs graphs, looks for one.
type Source interface {
	// Lowered is the program, the same one every time.
	Lowered() *ir.Program
}
