// What the threads of a block share, and how they reach the values of the network that they train.
//
// Names say who acts: kernel_ is a launch, block_ all threads of a block (they must all call it), warp_ the 32 threads of
// a warp, thread_ one thread by itself.
#pragma once
#include "format.cuh"
#include "random.cuh"

constexpr int WARP = 32, WARPS = 8, THREADS = WARP * WARPS;

// A product is computed in tiles of its result, TILE_ROWS x TILE_COLS by one warp, TILE_INNER terms of the sums at a time.
// The factors are staged with the inner index first. A row's padding keeps it aligned to 16 bytes and spreads columns over
// the banks of shared memory.
constexpr int TILE_ROWS = 32, TILE_COLS = 16, TILE_INNER = 16;
constexpr int STAGE_ROWS = TILE_ROWS + 4, STAGE_COLS = TILE_COLS + 4;
constexpr int STAGE = TILE_INNER * (STAGE_ROWS + STAGE_COLS);
static_assert(STAGE >= TILE_ROWS * TILE_COLS, "a warp's stage also holds its part of a sum");

// Block lives in static shared memory.
struct Block {
  alignas(16) float stage[WARPS][STAGE]; // each warp's own
  float part[WARPS];                     // of a sum over the block
  uint32_t keys[ORDER_ROUNDS];           // of the running epoch's order
  Launch launch;
  Job job;
  Plan plan;
  const Op *ops;        // of the running batch
  const Param *params;
  Scalars now;          // of the running step
  int32_t epoch;        // that keys are of
  float *work, *shared; // the beginnings of SPACE_WORK and SPACE_SHARED
  int32_t number, blocks; // of the blocks that share the network's operations: which this one is, and how many
  int32_t taken;        // the job's number
  int32_t count;        // examples in the running batch
  int32_t ops_count;
  int32_t step;         // the running one
  int32_t stop;         // the network has diverged
};

__device__ inline int thread_index() { return int(threadIdx.x); }
__device__ inline int thread_lane() { return int(threadIdx.x) % WARP; }
__device__ inline int thread_warp() { return int(threadIdx.x) / WARP; }

// What is dealt to threads is dealt to those of all blocks that share the network: a thread takes what has the number
// thread_first, and from there on every thread_stride-th.
__device__ inline int thread_first(const Block &block) { return block.number * THREADS + thread_index(); }
__device__ inline int thread_stride(const Block &block) { return block.blocks * THREADS; }

// thread_address is where a place of a space is. x and y have no address.
__device__ inline float *thread_address(const Block &block, int space, int64_t offset) {
  switch (space) {
  case SPACE_STATE: return reinterpret_cast<float *>(block.job.state) + offset;
  case SPACE_WORK: return block.work + offset;
  case SPACE_SHARED: return block.shared + offset;
  case SPACE_NUMBERS: return reinterpret_cast<float *>(block.launch.numbers) + offset;
  }
  return nullptr;
}

// thread_address is where an operand's first element lives.
__device__ inline float *thread_address(const Block &block, const Operand &v) { return thread_address(block, v.space, v.offset); }

// thread_code is where a plan's operations lie in shared memory; its params are behind them.
__device__ inline Op *thread_code(const Block &block) { return reinterpret_cast<Op *>(block.shared + block.plan.code_offset); }

// thread_examples says that the running batch has so many examples. A barrier must come before it is used.
__device__ inline void thread_examples(Block &block, int count) {
  const bool rest = count != block.plan.batch;
  block.count = count;
  const Op *ops = reinterpret_cast<const Op *>(block.launch.ops);
  block.ops = rest ? ops + block.plan.rest : block.plan.code ? thread_code(block) : ops + block.plan.op;
  block.ops_count = rest ? block.plan.rests : block.plan.ops;
}

// thread_rows is an operand's number of rows in the running batch.
__device__ inline int thread_rows(const Block &block, const Operand &v) {
  return v.rows == ROWS_BATCH ? block.count : v.rows;
}

// A label that is no class stands for a target: EVEN_LABEL for the one in which all classes are equally likely,
// thread_soft_label for an example's own.
constexpr int EVEN_LABEL = -1;
__device__ inline int thread_soft_label(uint32_t example) { return -2 - int(example); }

// thread_target is what an output of so many is to be for an example of that label.
__device__ inline float thread_target(const Block &block, int label, int output, int outputs) {
  if (label >= 0) return output == label ? 1.0f : 0.0f;
  if (label == EVEN_LABEL) return 1.0f / float(outputs);
  return reinterpret_cast<const float *>(block.job.targets)[int64_t(-2 - label) * outputs + output];
}

// thread_labels are the classes of the batch's examples, or what stands for their targets.
__device__ inline int *thread_labels(const Block &block) {
  return reinterpret_cast<int *>(thread_address(block, block.plan.labels));
}

// The elements of an operand that is read, in row-major order: numbers, or the bytes of x.
struct Elements {
  const float *numbers;
  const uint8_t *bytes;
};

__device__ inline Elements thread_elements(const Block &block, int space, int64_t offset) {
  if (space != SPACE_INPUT) return {thread_address(block, space, offset), nullptr};
  if (block.job.kind == JOB_FORWARD) return {reinterpret_cast<const float *>(block.job.pixels) + offset, nullptr};
  return {nullptr, reinterpret_cast<const uint8_t *>(thread_address(block, block.plan.input)) + offset};
}

__device__ inline Elements thread_elements(const Block &block, const Operand &v) { return thread_elements(block, v.space, v.offset); }

// thread_pixel is what a byte of a word means, byte / 255, rounded as a division is: the quotient by the reciprocal, and its
// remainder once more.
__device__ inline float thread_pixel(uint32_t word, int byte) {
  const float v = __fsub_rn(__uint_as_float(__byte_perm(word, 0x4b000000u, 0x7650u | byte)), 8388608.0f); // 2^23 + byte, exactly
  const float q = __fmul_rn(v, 1.0f / 255.0f);
  return __fmaf_rn(__fmaf_rn(-q, 255.0f, v), 1.0f / 255.0f, q);
}

__device__ inline float thread_element(const Elements &e, int64_t i) { return e.bytes ? thread_pixel(e.bytes[i], 0) : e.numbers[i]; }

// block_sum adds up one number per thread, in an order that depends on nothing, and returns the sum to all of them. A barrier
// must come before it is called again.
__device__ inline float block_sum(Block &block, float v) {
  for (int distance = WARP / 2; distance > 0; distance /= 2) v += __shfl_xor_sync(~0u, v, distance);
  if (thread_lane() == 0) block.part[thread_warp()] = v;
  __syncthreads();
  float sum = 0;
  for (int w = 0; w < WARPS; w++) sum += block.part[w];
  return sum;
}
