// Streaming kernels whose blocks share a network: a step that would keep one block for long is a sequence of short launches, one
// for each of its phases, with as many blocks as there is work for. Tiles of weights are dealt to the warps of all blocks. A sum is
// added up by warps of one, in an order of its own, so that results have the same bits on any number of blocks: those of stream.cu,
// where as many warps share each sum.
//
// The launches are ordered by the stream that they are in: no block waits for another. What one leaves to the next is in the
// launch's work: what blocks know of the job, logits, the pixels of two parts, tiles and matrices. Shared memory holds pixels, sums
// and tiles under way.
#include "cuda.cuh"
#include "stream_layers.cuh"

__device__ inline uint4 *thread_notes(const Launch &launch) { return reinterpret_cast<uint4 *>(launch.work); }
__device__ inline uint4 *thread_pixels(const Stream &s, int part) {
  return reinterpret_cast<uint4 *>(thread_address(s, s.plan.pixels)) + (part & 1) * s.plan.groups * ROWS * s.plan.row_bytes / 16;
}

// What blocks know is all of Stream behind its first member, which is of a block: so many uint4.
constexpr int KNOWN = offsetof(Stream, job) / sizeof(uint4), KNOWN_END = sizeof(Stream) / sizeof(uint4);

// block_keep keeps what a block knows of the network.
__device__ inline void block_keep(const Stream &s) {
  const uint4 *known = reinterpret_cast<const uint4 *>(&s);
  for (int i = KNOWN + thread_index(); i < KNOWN_END; i += THREADS) thread_notes(s.launch)[i] = known[i];
}

// block_stage copies a part's pixels from the network's work to their place in shared memory, or back.
template <bool BACK> __device__ inline void block_stage(const Stream &s, int part) {
  uint4 *kept = thread_pixels(s, part), *stage = reinterpret_cast<uint4 *>(thread_stage(s, part));
#pragma unroll 4
  for (int i = thread_index(); i < s.plan.groups * ROWS * s.plan.row_bytes / 16; i += THREADS) {
    if constexpr (BACK) kept[i] = stage[i];
    else stage[i] = kept[i];
  }
}

// block_next decides on a part, if there is one, fetches its pixels, and keeps all that is known.
__device__ inline void block_next(Stream &s, int part) {
  block_clear(s);
  if (thread_warp() == 0) warp_part(s, part);
  __syncthreads(); // the part is known, and its pixels' place is clear
  if (part < s.parts) {
    block_fetch(s, part);
    thread_copy_wait();
    __syncthreads(); // they are there
    block_stage<true>(s, part);
  }
  block_keep(s);
}

// block_begin begins a job.
__device__ inline void block_begin(Stream &s, const Launch *launch, int job) {
  if (thread_index() == 0) {
    s.taken = job;
    thread_job(s, launch, 0);
  }
  __syncthreads(); // the job is known
  block_layers(s);
  block_next(s, 0);
}

// block_phase does the block's share of a phase of a part. number is a layer's.
template <class C> __device__ inline void block_phase(Stream &s, int phase, int number, int part) {
  const int slot = part & 1, top = s.plan.depth - 1, groups = (s.part[slot].count + ROWS - 1) / ROWS, flags = s.part[slot].flags;
  const Rates rates = thread_rates(s.job, s.part[slot]);
  const bool fused = s.plan.fused && part + 1 < s.parts;
  switch (phase) {
  case STREAM_IN: block_state<C, false>(s); break;
  case STREAM_FIRST:
    block_stage<false>(s, part);
    __syncthreads(); // pixels are there
    block_first<C, false, true>(s, part, part, groups, rates, flags);
    break;
  case STREAM_FORWARD: block_forward<C>(s, number, groups); break;
  case STREAM_LOSS:
    block_loss(s, slot, groups);
    __syncthreads(); // what the loss leaves is known
    block_top<C>(s, groups);
    if (thread_warp() == 0) warp_total(s, slot, groups);
    if (thread_index() == 0) s.parts = s.diverged ? part + 1 : s.parts;
    __syncthreads(); // whether to go on is known
    block_next(s, part + 1);
    break;
  case STREAM_BACK: block_back<C>(s, number, groups); break;
  case STREAM_UPDATE:
#pragma unroll 1
    for (int l = top; l >= 0; l--) {
      if (l) warp_update<C>(s, l, groups, rates, flags);
      warp_update_biases<C>(s, l, groups, rates, flags);
    }
    break;
  case STREAM_UPDATE_FIRST:
    block_stage<false>(s, part);
    if (fused) block_stage<false>(s, part + 1);
    __syncthreads(); // both parts' pixels are there
    if (fused) block_first<C, true, true>(s, part, part + 1, groups, rates, flags);
    else block_first<C, true, false>(s, part, part, groups, rates, flags);
    break;
  case STREAM_OUT:
    block_state<C, true>(s);
    if (blockIdx.x == 0 && thread_index() == 0) reinterpret_cast<Result *>(s.launch.results)[s.taken] = {s.reached, s.diverged};
    break;
  }
}

template <class C> __device__ inline void block_spread(const Launch *launch, int job, int phase, int number, int part, unsigned char *shared) {
  Stream &s = *reinterpret_cast<Stream *>(shared);
  if (thread_index() == 0) s.shared = reinterpret_cast<float *>(shared);
  if (phase == STREAM_BEGIN) return block_begin(s, launch, job);
  uint4 *known = reinterpret_cast<uint4 *>(shared);
  for (int i = KNOWN + thread_index(); i < KNOWN_END; i += THREADS) known[i] = thread_notes(*launch)[i];
  __syncthreads(); // what is known of the network is there
  if (part >= s.parts && phase != STREAM_OUT) return; // it has diverged
  block_layers(s);
  __syncthreads(); // layers are there
  block_phase<C>(s, phase, number, part);
}

#if !defined(__CUDA_ARCH__) || __CUDA_ARCH__ >= 800
#define SPREAD(slots, terms)             \
  DYNAMIC_SHARED(unsigned char, shared); \
  block_spread<Streamed<slots, terms, true>>(launch, job, phase, number, part, shared)
#else
#define SPREAD(slots, terms)
#endif

// Launch with THREADS threads, the dynamic shared memory of the plan, and its work as the launch's. STREAM_BEGIN and STREAM_LOSS
// are phases of one block, the others of any number.
//
//   job     the number of a training job
//   phase   in the order of format.cuh's StreamPhase
//   number  of the layer, STREAM_FORWARD and STREAM_BACK
//   part    counted from 0 in the job
extern "C" __global__ void __launch_bounds__(256, 2) kernel_stream_bf16_0_spread(const Launch *launch, int job, int phase, int number, int part) { SPREAD(0, 1); }
extern "C" __global__ void __launch_bounds__(256, 2) kernel_stream_bf16_1_spread(const Launch *launch, int job, int phase, int number, int part) { SPREAD(1, 1); }
extern "C" __global__ void __launch_bounds__(256, 2) kernel_stream_bf16_2_spread(const Launch *launch, int job, int phase, int number, int part) { SPREAD(2, 1); }
extern "C" __global__ void __launch_bounds__(256, 2) kernel_stream_fp32_0_spread(const Launch *launch, int job, int phase, int number, int part) { SPREAD(0, 3); }
extern "C" __global__ void __launch_bounds__(256, 2) kernel_stream_fp32_1_spread(const Launch *launch, int job, int phase, int number, int part) { SPREAD(1, 3); }
extern "C" __global__ void __launch_bounds__(256, 2) kernel_stream_fp32_2_spread(const Launch *launch, int job, int phase, int number, int part) { SPREAD(2, 3); }
