// Streaming kernels: chains of dense layers of any widths, trained on tensor cores with weights that pass through shared memory,
// a block for each network. stream.cuh says how. A kernel for each optimizer's number of arrays and precision; depth, widths,
// activations, loss, batch and rates are data.
//
// Every sum has an order of its own, as in the generic kernel: results depend on the network and on the device's shared memory
// alone.
#include "cuda.cuh"
#include "stream_layers.cuh"

// block_part trains on a part of a batch, whose pixels are there and, if the plan is fused, its first layer's outputs, and fetches the
// next one. It returns whether there is one.
template <class C> __device__ inline bool block_part(Stream &s, int part) {
  const StreamPlan &plan = s.plan;
  const int slot = part & 1, top = plan.depth - 1, groups = (s.part[slot].count + ROWS - 1) / ROWS, flags = s.part[slot].flags;
  const Rates rates = thread_rates(s.job, s.part[slot]); //@ step
  const bool two = plan.buffers == 2;
  if (thread_warp() == WARPS - 1)
    warp_part(s, part + 1); //@ region=order
  if (!plan.fused)
    block_first<C, false, true>(s, part, part, groups, rates, flags); //@ region=forward_first
  __syncthreads(); // the next part is known
  const bool more = part + 1 < s.parts;
  if (two && more)
    block_fetch(s, part + 1); //@ region=fetch
#pragma unroll 1
  for (int l = 1; l <= top; l++) {
    block_forward<C>(s, l, groups); //@ region=forward
    __syncthreads(); // its outputs are known
  }
  block_loss(s, slot, groups); //@ region=loss
  __syncthreads(); // the loss's gradient is known
  block_top<C>(s, groups); //@ region=loss
  if (thread_warp() == 0)
    warp_total(s, slot, groups); //@ region=loss
  __syncthreads(); // the last layer's deltas are known
#pragma unroll 1
  for (int l = top; l > 0; l--) {
    block_back<C>(s, l, groups); //@ region=back
    __syncthreads(); // the deltas below are known
  }
#pragma unroll 1
  for (int l = top; l >= 0; l--) {
    if (l)
      warp_update<C>(s, l, groups, rates, flags); //@ region=update
    warp_update_biases<C>(s, l, groups, rates, flags); //@ region=biases
  }
  const bool on = more && !s.diverged;
  if (two) thread_copy_wait();
  __syncthreads(); // the next part's pixels are there, and biases for it
  if (plan.fused && on)
    block_first<C, true, true>(s, part, part + 1, groups, rates, flags); //@ region=fused
  else
    block_first<C, true, false>(s, part, part, groups, rates, flags); //@ region=update_first
  __syncthreads(); // all that the next part begins with is known
  if (!two && on) {
    block_fetch(s, part + 1);
    thread_copy_wait();
    __syncthreads(); // its pixels are there
  }
  return on;
}

// block_job runs the job that the block has taken.
template <class C> __device__ inline void block_job(Stream &s, const Launch *launch) {
  if (thread_index() == 0) thread_job(s, launch, int(blockIdx.x));
  __syncthreads();
  block_layers(s);
  block_clear(s);
  if (thread_warp() == 0) warp_part(s, 0);
  __syncthreads(); // layers and the first part are known
  block_state<C, false>(s);
  block_fetch(s, 0);
  thread_copy_wait();
  __syncthreads(); // pixels and weights are there
  if (s.plan.fused)
    block_first<C, false, true>(s, 0, 0, 1, Rates{}, FIRST | LAST);
  for (int part = 0; block_part<C>(s, part); part++) {}
  block_state<C, true>(s);
  if (thread_index() == 0) reinterpret_cast<Result *>(s.launch.results)[s.taken] = {s.reached, s.diverged};
}

// block_stream runs a launch's jobs, as kernel_network does.
template <class C> __device__ inline void block_stream(const Launch *launch, unsigned char *shared) {
  Stream &s = *reinterpret_cast<Stream *>(shared);
  if (thread_index() == 0) s.shared = reinterpret_cast<float *>(shared);
  while (true) {
    if (thread_index() == 0) s.taken = int(atomicAdd(reinterpret_cast<unsigned *>(launch->queue), 1u));
    __syncthreads();
    if (s.taken >= launch->jobs_count) return;
    block_job<C>(s, launch);
  }
}

// Devices before 8.0 have no bf16, and never get here.
#if !defined(__CUDA_ARCH__) || __CUDA_ARCH__ >= 800
#define STREAM(slots, terms)             \
  DYNAMIC_SHARED(unsigned char, shared); \
  block_stream<Streamed<slots, terms>>(launch, shared)
#else
#define STREAM(slots, terms)
#endif

// Launch with THREADS threads, and what the largest plan needs as dynamic shared memory and as work of each block.
extern "C" __global__ void __launch_bounds__(256, 1) kernel_stream_bf16_0(const Launch *launch) { STREAM(0, 1); }
extern "C" __global__ void __launch_bounds__(256, 1) kernel_stream_bf16_1(const Launch *launch) { STREAM(1, 1); }
extern "C" __global__ void __launch_bounds__(256, 1) kernel_stream_bf16_2(const Launch *launch) { STREAM(2, 1); }
extern "C" __global__ void __launch_bounds__(256, 1) kernel_stream_fp32_0(const Launch *launch) { STREAM(0, 3); }
extern "C" __global__ void __launch_bounds__(256, 1) kernel_stream_fp32_1(const Launch *launch) { STREAM(1, 3); }
extern "C" __global__ void __launch_bounds__(256, 1) kernel_stream_fp32_2(const Launch *launch) { STREAM(2, 3); }
