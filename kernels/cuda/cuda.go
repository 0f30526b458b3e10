// Package cuda trains populations on NVIDIA GPUs.
//
// One kernel, network.cu, runs every program: a block of threads trains a network
// by interpreting its program ([makePlan] gives its values places), and takes the
// next network from a queue when it is done. Nothing is compiled for an
// architecture. Training goes in launches of about half a second, two of which are
// under way (launch.go). States stay on the device (wave.go), and behind each launch
// a copy of them comes to the host, so that a device that fails takes at most one
// finished launch with it. What a launch needs of schedules, and the sums of epochs'
// losses, are computed on the device (course.cu).
//
// Chains of dense layers are trained by other kernels, on tensor cores: resident.cu
// keeps weights in registers, stream.cu lets them pass through shared memory. Steps
// that would keep a block for long are spread over blocks, by network.cu and by
// stream_spread.cu. A network's class says by which it is trained ([class]).
//
// The bits of a result depend on the network and the model of the device: not on
// how many networks train beside it, where its training is interrupted, or how
// many devices share the population.
//
// The tag gpu, on linux/amd64 with cgo, is what builds this in; otherwise [New]
// fails. Tests without a GPU run the same Go code and the same kernel on the CPU,
// through the driver's stand-in.
package cuda

// ModelledClock is the clock of the device that the model of the kernels' time is of,
// an H100.
const ModelledClock = 1.755e9

// blockThreads is THREADS of block.cuh.
const blockThreads = 256
