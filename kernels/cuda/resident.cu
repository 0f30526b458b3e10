// Resident kernels: chains of dense layers of up to 16 units, trained on tensor cores in one launch after another, a block for
// each network. resident.cuh says how. A kernel for each optimizer's number of arrays, precision, and whether batches have
// more than 32 examples; depth, widths, activations, loss, batch and rates are data.
//
// Every sum has an order of its own, as in the generic kernel: results depend on the network alone.
#include "resident_head.cuh"

// block_begin reads the job that the block has taken.
template <class C> __device__ inline void block_begin(Notes &notes, unsigned char *shared) {
  using L = Layout<C>;
  const int thread = thread_index();
  if (thread == 0) {
    const Job &job = notes.job = reinterpret_cast<const Job *>(notes.launch.jobs)[notes.taken];
    notes.chain = reinterpret_cast<const Chain *>(notes.launch.plans)[job.plan];
    const int per_epoch = (job.examples - 1) / job.batch + 1, epoch = job.step / per_epoch, begin = job.step % per_epoch * job.batch;
    notes.cursor = {0, epoch, begin, min(begin + job.batch, job.examples), begin};
    const int ends = (job.step + job.steps) / per_epoch - epoch; // epochs that end in the job, with a batch of their own size
    const int last = job.examples - (per_epoch - 1) * job.batch;
    notes.parts = (job.steps - ends) * ((job.batch + ROWS - 1) / ROWS) + ends * ((last + ROWS - 1) / ROWS);
    notes.row_bytes = (notes.chain.layers[0].in + 15) / 16 * 16;
    notes.stop[0] = notes.stop[1] = 0;
    for (int i = 0; i < ORDER_ROUNDS / 4; i++) thread_order_keys(notes.keys, job.order_seed, epoch, i);
  }
  for (int i = thread; i < 2 * L::STAGE / 4; i += RESIDENT_THREADS) reinterpret_cast<unsigned *>(shared + L::PIXELS)[i] = 0; // pixels beyond the input
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
    if (thread_warp() == HEAD) warp_head<C>(notes, shared);
    else warp_pixels<C>(notes, shared);
    __syncthreads();
    if (thread_index() == 0) reinterpret_cast<Result *>(notes.launch.results)[notes.taken] = {notes.reached, notes.diverged};
  }
}

// Devices before 8.0 have no bf16, and never get here.
#if !defined(__CUDA_ARCH__) || __CUDA_ARCH__ >= 800
#define RESIDENT(slots, terms, parts)         \
  DYNAMIC_SHARED(unsigned char, shared);      \
  block_resident<Class<slots, terms, parts>>(launch, shared)
#else
#define RESIDENT(slots, terms, parts)
#endif

// kernel_rows copies images to rows of a multiple of 16 bytes, filled up with zeros, as often as there are places that a shift
// of up to so many pixels moves them to: down -shift, right -shift first, then the next to the right. What enters is zero.
extern "C" __global__ void __launch_bounds__(256) kernel_rows(const uint8_t *from, uint8_t *to, long long examples, long long features, long long cols, long long shift) {
  const long long row_bytes = (features + 15) / 16 * 16, side = 2 * shift + 1, total = side * side * examples * row_bytes;
  for (long long i = blockIdx.x * 256ll + threadIdx.x; i < total; i += gridDim.x * 256ll) {
    const long long place = i / row_bytes / examples, example = i / row_bytes % examples, pixel = i % row_bytes;
    uint8_t v = 0;
    if (shift == 0) {
      if (pixel < features) v = from[example * features + pixel];
    } else if (pixel < features) {
      const long long y = pixel / cols - (place / side - shift), x = pixel % cols - (place % side - shift);
      if (y >= 0 && y < features / cols && x >= 0 && x < cols) v = from[example * features + y * cols + x];
    }
    to[i] = v;
  }
}

// What follows is launched with RESIDENT_THREADS threads and Layout::bytes of the deepest chain as dynamic shared memory.
extern "C" __global__ void __launch_bounds__(256, 2) kernel_resident_bf16_0(const Launch *launch) { RESIDENT(0, 1, false); }
extern "C" __global__ void __launch_bounds__(256, 1) kernel_resident_bf16_1(const Launch *launch) { RESIDENT(1, 1, false); }
extern "C" __global__ void __launch_bounds__(256, 1) kernel_resident_bf16_2(const Launch *launch) { RESIDENT(2, 1, false); }
extern "C" __global__ void __launch_bounds__(256, 1) kernel_resident_bf16_0_parts(const Launch *launch) { RESIDENT(0, 1, true); }
extern "C" __global__ void __launch_bounds__(256, 1) kernel_resident_bf16_1_parts(const Launch *launch) { RESIDENT(1, 1, true); }
extern "C" __global__ void __launch_bounds__(256, 1) kernel_resident_bf16_2_parts(const Launch *launch) { RESIDENT(2, 1, true); }
extern "C" __global__ void __launch_bounds__(256, 1) kernel_resident_fp32_0(const Launch *launch) { RESIDENT(0, 3, false); }
extern "C" __global__ void __launch_bounds__(256, 1) kernel_resident_fp32_1(const Launch *launch) { RESIDENT(1, 3, false); }
extern "C" __global__ void __launch_bounds__(256, 1) kernel_resident_fp32_2(const Launch *launch) { RESIDENT(2, 3, false); }
extern "C" __global__ void __launch_bounds__(256, 1) kernel_resident_fp32_0_parts(const Launch *launch) { RESIDENT(0, 3, true); }
extern "C" __global__ void __launch_bounds__(256, 1) kernel_resident_fp32_1_parts(const Launch *launch) { RESIDENT(1, 3, true); }
extern "C" __global__ void __launch_bounds__(256, 1) kernel_resident_fp32_2_parts(const Launch *launch) { RESIDENT(2, 3, true); }
