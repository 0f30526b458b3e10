// What the warps of a resident block share.
//
// A resident block trains a chain of narrow dense layers on tensor cores. Its first warps own the first layer, seven for
// every 16 units, each TILES x 16 of the pixels: their weights stay in the accumulators of mma.sync for the whole launch. The
// last warps, a head for every 16 units, do the rest: they add up the partial sums of the first layer, run the other layers,
// the loss and the way back, and publish the first layer's deltas. Two named barriers a batch order them (BARRIER_SUMS,
// BARRIER_DELTAS); what the heads need not do, idle pixel warps do: warp 0 draws the examples three batches ahead, warp 1
// computes the loss one batch late, warp 2 looks up two batches ahead what is known of the examples.
//
// Batches are taken in parts of ROWS examples, which the heads share. A head works on matrices of 32 x 16 or 16 x 32 in the
// accumulators' layout: element [m][n][i] of lane 4g + t is its row 16m + g + 8(i / 2), column 8n + 2t + i % 2. That layout is
// also the left operand's, so nothing between two layers leaves the registers; what must be kept, a lane keeps in shared
// memory of its own.
//
// Numbers enter products as sums of TERMS bf16 numbers: one (precision bf16), or three (fp32: all 24 bits, so that a product
// is exact but for the terms that are left out, each 2^-24 of it at most). A pixel is exact in one: byte b is b / 64,
// and PIXEL_SCALE is put into the sums.
#pragma once
#include "activation_fast.cuh"
#include "block.cuh"

constexpr int ROWS = 32;
constexpr int TILES = 7, GROUP_WARPS = 7, ORDER_WARP = 0, LOSS_WARP = 1, LOOKUP_WARP = 2;
constexpr int MAX_PIXELS = 16 * TILES * GROUP_WARPS;
constexpr float PIXEL_SCALE = 64.0f / 255.0f;

enum : int { BARRIER_BLOCK = 1, BARRIER_SUMS, BARRIER_DELTAS };

// Class is what a kernel is compiled for. UNITS: 16 or 32, the most that a layer has. SLOTS: arrays that the optimizer keeps,
// 0 for sgd, 1 for momentum and nesterov, 2 for adam and adamw. TERMS: of a number. PARTS: batches may have more than ROWS
// examples; gradients are then added up.
template <int UNITS_, int SLOTS_, int TERMS_, bool PARTS_> struct Class {
  static constexpr int UNITS = UNITS_, SLOTS = SLOTS_, TERMS = TERMS_;
  static constexpr bool PARTS = PARTS_;
  // Deltas of the first layer carry the step size, and products are added to its weights.
  static constexpr bool ADDS = SLOTS == 0 && !PARTS;

  static constexpr int GROUPS = UNITS / 16; // of GROUP_WARPS pixel warps, and a head for each
  static constexpr int PIXEL_WARPS = GROUPS * GROUP_WARPS, THREADS = WARP * (PIXEL_WARPS + GROUPS);
  static constexpr int M = 2 / GROUPS, N = 2 * GROUPS; // tiles of 16 rows and of 8 columns of a head's matrices
  // The first layer's arrays but the weights: in registers and shared memory, or FAR, in global memory.
  static constexpr bool FAR = GROUPS > 1;
  // The weights are updated before the next sums are begun: with four warps for a scheduler, registers are scarcer than
  // independent instructions.
  static constexpr bool APART = GROUPS > 1 && !(ADDS && TERMS == 1);
};

// block_meet is __syncthreads for warps that are at different places of the program.
template <class C> __device__ inline void block_meet() { warp_barrier_sync(BARRIER_BLOCK, C::THREADS); }

// Which of the pixel warps a warp is, which group it is of, and which of that; which head a head is. Two heads are the oldest
// warps of their schedulers, which so prefer them.
template <class C> __device__ inline int thread_pixel_warp() { return C::GROUPS == 1 ? thread_warp() : thread_warp() - C::GROUPS; }
template <class C> __device__ inline int thread_group() { return C::GROUPS == 1 ? 0 : thread_pixel_warp<C>() / GROUP_WARPS; }
template <class C> __device__ inline int thread_slice() { return C::GROUPS == 1 ? thread_warp() : thread_pixel_warp<C>() % GROUP_WARPS; }
template <class C> __device__ inline int thread_head() { return C::GROUPS == 1 ? 0 : thread_warp(); }
template <class C> __device__ inline bool thread_is_head() { return C::GROUPS == 1 ? thread_warp() == C::PIXEL_WARPS : thread_warp() < C::GROUPS; }

// Part is what the head and the pixel warps are told of a part of a batch.
enum : int32_t { FIRST = 1, LAST = 2 }; // part of its batch

struct Part {
  Scalars now;    // root: its reciprocal
  int32_t count;  // examples
  float share;    // the loss's scale / examples of the batch
  int32_t flags;
  int32_t step;   // of the job
};

// Cursor walks an epoch.
struct Cursor {
  int32_t step;             // of the job
  int32_t epoch;
  int32_t begin, end, from; // positions in the epoch: the batch's, the part's first
};

// thread_next is the cursor of the next part.
__device__ inline Cursor thread_next(const Job &job, const Cursor &c) {
  const int to = min(c.from + ROWS, c.end);
  const bool last = to == c.end, ends = last && to == job.examples;
  Cursor next = {c.step + last, c.epoch + ends, c.begin, c.end, to};
  if (last) next.begin = next.from = ends ? 0 : to;
  if (last) next.end = min(next.begin + job.batch, job.examples);
  return next;
}

// Notes is the fixed beginning of a block's shared memory. Rings are as long as the warps that write and read them can be
// apart: examples are written three parts ahead and read two ahead; offsets are written then and read by slow warps one ahead;
// labels and parts are read one part late, too.
struct Notes {
  Job job;
  Chain chain;
  Launch launch;
  Cursor ahead, cursor; // of the part to draw, of the one to look up
  int32_t parts;  // in the job
  int32_t row_bytes; // of an example
  int32_t taken;
  int32_t reached, diverged; // the result
  int32_t stop[2];
  uint32_t keys[ORDER_ROUNDS];
  uint32_t example[2][ROWS];
  alignas(16) uint32_t offset[2][ROWS];
  alignas(16) Part part[4];
  int32_t label[4][ROWS];
  float loss[ROWS];
};

// Rates are the numbers of an update.
struct Rates {
  float lr, rate, root, shrink, decay, keep, plain, ahead, beta1, beta2, rest1, rest2, epsilon;
};

template <class C> __device__ inline Rates thread_rates(const Notes &notes, const Part &part) {
  const Job &job = notes.job;
  const bool nesterov = job.optimizer == OPTIMIZER_NESTEROV;
  return {part.now.lr, part.now.rate, part.now.root, part.now.shrink, job.decay, job.keep,
          nesterov ? 1.0f : 0.0f, nesterov ? job.keep : 1.0f, job.beta1, job.beta2, job.rest1, job.rest2, job.epsilon};
}

// thread_step is kernels.Update of one weight, or of a bias, which does not decay.
template <class C, bool BIAS> __device__ inline void thread_step(const Rates &r, float g, float &w, float &slot0, float &slot1) {
  if constexpr (C::SLOTS == 0) {
    if constexpr (!BIAS) w *= r.shrink;
    w -= r.lr * g;
  }
  if constexpr (C::SLOTS == 1) {
    if constexpr (!BIAS) g += r.decay * w;
    slot0 = r.keep * slot0 + g;
    w -= r.lr * (r.plain * g + r.ahead * slot0);
  }
  if constexpr (C::SLOTS == 2) {
    if constexpr (!BIAS) {
      w *= r.shrink;
      g += r.decay * w;
    }
    slot0 = r.beta1 * slot0 + r.rest1 * g;
    slot1 = r.beta2 * slot1 + r.rest2 * (g * g);
    w -= r.rate * slot0 * thread_reciprocal(thread_root(slot1) * r.root + r.epsilon);
  }
}

// Layout is where things lie in a block's dynamic shared memory, in bytes. What depends on the depth comes last, a layer's
// things together.
template <class C> struct Layout {
  static constexpr int ROW = 16 * (TILES * GROUP_WARPS | 1); // of bytes: odd in units of 16, so that eight rows meet all banks
  static constexpr int STAGE = ROWS * ROW;
  static constexpr int TILE_ROW = C::UNITS + 8, TILE = ROWS * TILE_ROW * 2; // halves in a row of a matrix of bf16: the same
  static constexpr int LOGITS_ROW = C::UNITS + 4;                           // floats
  static constexpr int LANES = 16 * WARP;                                   // a float4 for each lane

  static constexpr int PIXELS = 2048;
  static_assert(sizeof(Notes) <= PIXELS, "the notes come first");
  // The partial sums, those of each head's rows together. A head has read them when it keeps the slopes of its rows there.
  static constexpr int SUMS = PIXELS + 2 * STAGE;
  static constexpr int HEAD_SUMS = GROUP_WARPS * 4 * LANES;
  static_assert(MAX_LAYERS - 1 <= GROUP_WARPS, "slopes take the place of sums");
  static constexpr int LOGITS = SUMS + C::GROUPS * HEAD_SUMS;
  static constexpr int GRADIENT = LOGITS + 2 * ROWS * LOGITS_ROW * 4; // of the first layer, if batches have parts and it is not FAR
  static constexpr int LAYERS = GRADIENT + (C::PARTS && !C::FAR ? C::PIXEL_WARPS * TILES * 2 * LANES : 0);

  // Of a layer: deltas; bias, then the optimizer's arrays for it, and its gradient if batches have parts.
  static constexpr int DELTA = 0;
  static constexpr int BIAS = DELTA + C::TERMS * TILE;
  static constexpr int STATES = 1 + C::SLOTS + (C::PARTS ? 1 : 0);
  // Of a layer but the last: outputs; the weights of the layer above with their arrays, and as bf16, a row for each unit.
  static constexpr int OUTPUT = BIAS + STATES * C::GROUPS * LANES;
  static constexpr int WEIGHT = OUTPUT + C::TERMS * TILE;
  static constexpr int PACKED = WEIGHT + 2 * C::GROUPS * C::GROUPS * STATES * LANES;
  static constexpr int PACKED_TERM = C::UNITS * TILE_ROW * 2;
  static constexpr int LAYER = PACKED + C::TERMS * PACKED_TERM;
  static constexpr int bytes(int depth) { return LAYERS + (depth - 1) * LAYER + OUTPUT; }

  // Of the first layer's arrays that are FAR, in a block's part of the launch's work.
  static constexpr int FAR_ARRAY = C::PIXEL_WARPS * TILES * 2 * WARP; // float4
};
