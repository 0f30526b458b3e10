// What the warps of a resident block share.
//
// A resident block trains a chain of narrow dense layers on tensor cores and touches global memory for pixels alone. Its
// first PIXEL_WARPS warps own the first layer, each TILES x 16 of the pixels: their weights stay in the accumulators of
// mma.sync for the whole launch. The last warp, the head, does the rest: it adds up the partial sums of the first layer,
// runs the other layers, the loss and the way back, and publishes the first layer's deltas. Two named barriers a batch
// order them (BARRIER_SUMS, BARRIER_DELTAS); what the head need not do, idle pixel warps do: warp 0 draws the examples two
// batches ahead, warp 1 computes the loss one batch late.
//
// Batches are taken in parts of ROWS examples. The head works on 32 x 16 matrices in the accumulators' layout: element
// [m][h][i] of lane 4g + t is row 16m + g + 8(i / 2), column 8h + 2t + i % 2. That layout is also the left operand's, so
// nothing between two layers leaves the registers; what must be kept, a lane keeps in shared memory of its own.
//
// Numbers enter products as sums of TERMS bf16 numbers: one (precision bf16), or three (fp32: all 24 bits, so that a product
// is exact but for the terms that are left out, each 2^-24 of it at most). A pixel is exact in one: byte b is b / 64,
// and PIXEL_SCALE is put into the sums.
#pragma once
#include "activation_fast.cuh"
#include "block.cuh"

constexpr int ROWS = 32, UNITS = 16;
constexpr int PIXEL_WARPS = 7, TILES = 7, HEAD = PIXEL_WARPS, ORDER_WARP = 0, LOSS_WARP = 1;
constexpr int RESIDENT_THREADS = WARP * (PIXEL_WARPS + 1);
constexpr int MAX_PIXELS = 16 * TILES * PIXEL_WARPS;
constexpr float PIXEL_SCALE = 64.0f / 255.0f;

enum : int { BARRIER_BLOCK = 1, BARRIER_SUMS, BARRIER_DELTAS };

// block_meet is __syncthreads for warps that are at different places of the program.
__device__ inline void block_meet() { warp_barrier_sync(BARRIER_BLOCK, RESIDENT_THREADS); }

// Class is what a kernel is compiled for. SLOTS: arrays that the optimizer keeps, 0 for sgd, 1 for momentum and nesterov, 2
// for adam and adamw. TERMS: of a number. PARTS: batches may have more than ROWS examples; gradients are then added up.
template <int SLOTS_, int TERMS_, bool PARTS_> struct Class {
  static constexpr int SLOTS = SLOTS_, TERMS = TERMS_;
  static constexpr bool PARTS = PARTS_;
  // Deltas of the first layer carry the step size, and products are added to its weights.
  static constexpr bool ADDS = SLOTS == 0 && !PARTS;
};

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

// Notes is the fixed beginning of a block's shared memory. Rings are as long as the warps that write and read them can be
// apart: offsets are written two parts ahead and read by slow warps one ahead; labels and parts are read one part late, too.
struct Notes {
  Job job;
  Chain chain;
  Launch launch;
  Cursor cursor;
  int32_t parts;  // in the job
  int32_t row_bytes; // of an example
  int32_t taken;
  int32_t reached, diverged; // the result
  int32_t stop[2];
  uint32_t keys[ORDER_ROUNDS];
  alignas(16) uint32_t offset[2][ROWS];
  alignas(16) Part part[4];
  int32_t label[4][ROWS];
  float loss[ROWS];
};

// Rates are the numbers of an update.
struct Rates {
  float step_size, rate, root, shrink, decay, keep, plain, ahead, beta1, beta2, rest1, rest2, epsilon;
};

template <class C> __device__ inline Rates thread_rates(const Notes &notes, const Part &part) {
  const Job &job = notes.job;
  const bool nesterov = job.optimizer == OPTIMIZER_NESTEROV;
  return {part.now.step_size, part.now.rate, part.now.root, part.now.shrink, job.decay, job.keep,
          nesterov ? 1.0f : 0.0f, nesterov ? job.keep : 1.0f, job.beta1, job.beta2, job.rest1, job.rest2, job.epsilon};
}

// thread_step is kernels.Update of one weight, or of a bias, which does not decay.
template <class C, bool BIAS> __device__ inline void thread_step(const Rates &r, float g, float &w, float &slot0, float &slot1) {
  if constexpr (C::SLOTS == 0) {
    if constexpr (!BIAS) w *= r.shrink;
    w -= r.step_size * g;
  }
  if constexpr (C::SLOTS == 1) {
    if constexpr (!BIAS) g += r.decay * w;
    slot0 = r.keep * slot0 + g;
    w -= r.step_size * (r.plain * g + r.ahead * slot0);
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
  static constexpr int ROW = 16 * (TILES * PIXEL_WARPS | 1); // of bytes: odd in units of 16, so that eight rows meet all banks
  static constexpr int STAGE = ROWS * ROW;
  static constexpr int TILE_ROW = 24, TILE = ROWS * TILE_ROW * 2; // halves in a row of a 32 x 16 matrix of bf16: the same
  static constexpr int LOGITS_ROW = 20;                           // floats
  static constexpr int LANES = 16 * WARP;                         // a float4 for each lane

  static constexpr int PIXELS = 2048;
  static_assert(sizeof(Notes) <= PIXELS, "the notes come first");
  static constexpr int SUMS = PIXELS + 2 * STAGE;
  static constexpr int LOGITS = SUMS + PIXEL_WARPS * 4 * LANES;
  static constexpr int GRADIENT = LOGITS + 2 * ROWS * LOGITS_ROW * 4; // of the first layer, if batches have parts
  static constexpr int LAYERS = GRADIENT + (C::PARTS ? PIXEL_WARPS * TILES * 2 * LANES : 0);

  // Of a layer: deltas; bias, then the optimizer's arrays for it, and its gradient if batches have parts.
  static constexpr int DELTA = 0;
  static constexpr int BIAS = DELTA + C::TERMS * TILE;
  static constexpr int STATES = 1 + C::SLOTS + (C::PARTS ? 1 : 0);
  static constexpr int SLOPE = BIAS + STATES * LANES; // of a layer but the last: slopes, outputs
  static constexpr int OUTPUT = SLOPE + 4 * LANES;
  static constexpr int WEIGHT = OUTPUT + C::TERMS * TILE; // of a layer but the first: as of the bias, two float4 each; packed
  static constexpr int PACKED = WEIGHT + 2 * STATES * LANES;
  static constexpr int LAYER = PACKED + 2 * C::TERMS * LANES;
  // The first layer's weights are elsewhere, and the last one has no slopes and outputs: they share a place.
  static constexpr int bytes(int depth) { return LAYERS + depth * LAYER; }
};
