package cpu

import "vanilla/kernels"

// Executors are the executor with each instruction set that the processor has,
// by name.
func Executors() map[string]kernels.Executor {
	all := map[string]kernels.Executor{}
	for _, r := range available() {
		all[r.name] = only(r)
	}
	return all
}
