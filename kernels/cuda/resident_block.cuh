// What a resident block does for a launch.
#pragma once
#include "resident_head.cuh"

// block_begin reads the job that the block has taken.
template <class C> __device__ inline void block_begin(Notes &notes, unsigned char *shared) {
  using L = Layout<C>;
  const int thread = thread_index();
  if (thread == 0) {
    const Job &job = notes.job = reinterpret_cast<const Job *>(notes.launch.jobs)[notes.taken];
    notes.chain = reinterpret_cast<const Chain *>(notes.launch.plans)[job.plan];
    const int per_epoch = (job.examples - 1) / job.batch + 1, epoch = job.step / per_epoch, begin = job.step % per_epoch * job.batch;
    notes.ahead = notes.cursor = {0, epoch, begin, min(begin + job.batch, job.examples), begin};
    const int ends = (job.step + job.steps) / per_epoch - epoch; // epochs that end in the job, with a batch of their own size
    const int last = job.examples - (per_epoch - 1) * job.batch;
    notes.parts = (job.steps - ends) * ((job.batch + ROWS - 1) / ROWS) + ends * ((last + ROWS - 1) / ROWS);
    notes.row_bytes = (notes.chain.layers[0].in + 15) / 16 * 16;
    notes.stop[0] = notes.stop[1] = 0;
    for (int i = 0; i < ORDER_ROUNDS / 4; i++) thread_order_keys(notes.keys, job.order_seed, epoch, i);
  }
  for (int i = thread; i < 2 * L::STAGE / 4; i += C::THREADS) reinterpret_cast<unsigned *>(shared + L::PIXELS)[i] = 0; // pixels beyond the input
  __syncthreads();
}

// block_resident runs a launch's jobs, as kernel_network does.
template <class C> __device__ inline void block_resident(const Launch *launch, unsigned char *shared) {
  Notes &notes = *reinterpret_cast<Notes *>(shared);
  if (thread_index() == 0) notes.launch = *launch;
  while (true) {
    if (thread_index() == 0) notes.taken = int(atomicAdd(reinterpret_cast<unsigned *>(launch->queue), 1u));
    __syncthreads();
    if (notes.taken >= notes.launch.jobs_count) return;
    block_begin<C>(notes, shared);
    if (thread_is_head<C>()) warp_head<C>(notes, shared);
    else warp_pixels<C>(notes, shared);
    __syncthreads();
    if (thread_index() == 0) reinterpret_cast<Result *>(notes.launch.results)[notes.taken] = {notes.reached, notes.diverged};
  }
}

// Devices before 8.0 have no bf16, and never get here.
#if !defined(__CUDA_ARCH__) || __CUDA_ARCH__ >= 800
#define RESIDENT(units, slots, terms, parts)         \
  DYNAMIC_SHARED(unsigned char, shared);      \
  block_resident<Class<units, slots, terms, parts>>(launch, shared)
#else
#define RESIDENT(units, slots, terms, parts)
#endif
