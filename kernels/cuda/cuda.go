// Package cuda trains populations on NVIDIA GPUs.
//
// One kernel, network.cu, runs every program: a block of threads trains a network
// by interpreting its program ([makePlan] gives its values places), and takes the
// next network from a queue when it is done. Nothing is compiled for an
// architecture. Training goes in launches of about half a second; after each of
// them the states of the networks come back to the host, so that a device that
// fails takes nothing finished with it.
//
// The bits of a result depend on the network and the model of the device: not on
// how many networks train beside it, where its training is interrupted, or how
// many devices share the population.
//
// The tag gpu, on linux/amd64 with cgo, is what builds this in; otherwise [New]
// fails. Tests without a GPU run the same Go code and the same kernel on the CPU,
// through the driver's stand-in.
package cuda

// blockThreads is THREADS of block.cuh.
const blockThreads = 256
