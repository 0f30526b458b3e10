// What the warps of a streaming block share.
//
// A streaming block trains a chain of dense layers of any widths on tensor cores. Its weights lie in the block's part of the
// launch's work, in global memory that L2 holds: float32, cut into tiles of 16 units x 16 inputs, units first, each with the
// optimizer's arrays behind it and every lane's elements together. The block's warps stream them through shared memory, several
// tiles ahead, and update them where their gradients are summed. Tiles that shared memory has room for stay there, layer.kept of
// each. What a batch leaves behind, outputs, slopes and deltas, lies in shared memory as far as it goes and in the block's
// work beyond.
//
// Batches are taken in parts of up to plan.groups x ROWS examples. Matrices of a part are cut into blocks of 16 rows x 16
// columns, in the layout of the left operand of mma.sync: lane 4g + t has rows g, g + 8 of columns 2t, 2t + 1, then the same of
// columns 2t + 8, 2t + 9. Numbers are sums of TERMS bf16 numbers, a uint4 of a lane for each term. What is an operand the other
// way round is transposed in registers.
//
// A batch of up to ROWS examples has its first layer's weights loaded once: their update with a batch's pixels is followed by
// the next batch's sums, tile by tile, as in resident kernels (plan.fused).
#pragma once
#include "augment.cuh"
#include "resident_pixels.cuh"

constexpr int STREAM_NOTES = 4096, STREAM_MAX_ROWS = 128;
constexpr int TILE_FOURS = 2 * WARP; // float4 of a tile's array

// Streamed is what a kernel is compiled for. SLOTS: arrays that the optimizer keeps. TERMS: of a number. SPREAD: whether all
// blocks of a launch share a network, or each has one.
template <int SLOTS_, int TERMS_, bool SPREAD_ = false> struct Streamed {
  static constexpr int SLOTS = SLOTS_, TERMS = TERMS_;
  static constexpr bool SPREAD = SPREAD_;
  static constexpr int OUTPUT = TERMS * WARP;                            // uint4 of a block of outputs
  static constexpr int DELTA = TERMS * WARP > TILE_FOURS ? TERMS * WARP : TILE_FOURS; // of one of deltas, where slopes were before
};

// Stream is the fixed beginning of a block's shared memory.
struct alignas(16) Stream {
  float *shared; // the beginning of SPACE_SHARED
  alignas(16) Job job;
  StreamPlan plan;
  Launch launch;
  Cursor cursor;
  float *work;   // the beginning of SPACE_WORK
  float *logits; // of a part
  int32_t parts;        // in the job
  int32_t taken;
  int32_t reached, diverged; // the result
  float sum;            // of the losses of a batch's parts
  uint32_t keys[ORDER_ROUNDS];
  Part part[2];
  int32_t epoch[2], from[2]; // of the parts
  uint32_t example[2][STREAM_MAX_ROWS];
  int32_t label[2][STREAM_MAX_ROWS]; // as in block.cuh
  float loss[STREAM_MAX_ROWS];
};
static_assert(sizeof(Stream) <= STREAM_NOTES, "the layers come behind it");

__device__ inline const StreamLayer &thread_layer(const Stream &s, int l) {
  return reinterpret_cast<const StreamLayer *>(reinterpret_cast<const unsigned char *>(s.shared) + s.plan.layers)[l];
}
__device__ inline float *thread_address(const Stream &s, const Location &p) { return (p.space == SPACE_SHARED ? s.shared : s.work) + p.offset; }
__device__ inline float4 *thread_sums(const Stream &s, int warp) {
  return reinterpret_cast<float4 *>(reinterpret_cast<unsigned char *>(s.shared) + s.plan.sums) + warp * 4 * WARP + thread_lane();
}
__device__ inline float *thread_logits(const Stream &s, int row) { return s.logits + row * s.plan.logits_row; }
__device__ inline unsigned char *thread_stage(const Stream &s, int part) {
  const int rows = s.plan.groups * ROWS;
  return reinterpret_cast<unsigned char *>(s.shared) + s.plan.stage + (s.plan.buffers == 2 ? part & 1 : 0) * rows * s.plan.row_bytes;
}

// Of the blocks that share a network: which this one is, and how many.
template <class C> __device__ inline int thread_block() { return C::SPREAD ? int(blockIdx.x) : 0; }
template <class C> __device__ inline int thread_blocks() { return C::SPREAD ? int(gridDim.x) : 1; }

__device__ inline int thread_tiles(int n) { return (n + 15) / 16; }

// The lane's part of a block of outputs or deltas of a layer: rows 16 m, units 16 u.
template <class C> __device__ inline uint4 *thread_outputs(const Stream &s, const StreamLayer &layer, int m, int u) {
  return reinterpret_cast<uint4 *>(thread_address(s, layer.outputs)) + (m * thread_tiles(layer.out) + u) * C::OUTPUT + thread_lane();
}
template <class C> __device__ inline uint4 *thread_deltas(const Stream &s, const StreamLayer &layer, int m, int u) {
  return reinterpret_cast<uint4 *>(thread_address(s, layer.deltas)) + (m * thread_tiles(layer.out) + u) * C::DELTA + thread_lane();
}

// A 16 x 16 matrix in the accumulators' layout: [h][i] is row g + 8 (i / 2), column 8h + 2t + i % 2.
typedef float Square[2][4];

// thread_store_square writes a matrix as sums of TERMS pairs.
template <int TERMS> __device__ inline void thread_store_square(uint4 *to, const Square &z) {
  unsigned pairs[4][TERMS];
#pragma unroll
  for (int r = 0; r < 4; r++) thread_split<TERMS>(pairs[r], z[r / 2][2 * (r % 2)], z[r / 2][2 * (r % 2) + 1]);
#pragma unroll
  for (int t = 0; t < TERMS; t++) to[t * WARP] = uint4{pairs[0][t], pairs[1][t], pairs[2][t], pairs[3][t]};
}

// warp_transposed is the same matrix the other way round: as left operand a gradient's deltas, as right operand, in the order
// x, z and y, w, what it multiplies them with.
__device__ inline uint4 warp_transposed(uint4 v) {
  return uint4{warp_transpose(v.x), warp_transpose(v.z), warp_transpose(v.y), warp_transpose(v.w)};
}

__device__ inline Rates thread_rates(const Job &job, const Part &part) {
  const bool nesterov = job.optimizer == OPTIMIZER_NESTEROV;
  return {part.now.lr, part.now.rate, part.now.root, part.now.shrink, job.decay, job.keep,
          nesterov ? 1.0f : 0.0f, nesterov ? job.keep : 1.0f, job.beta1, job.beta2, job.rest1, job.rest2, job.epsilon};
}
