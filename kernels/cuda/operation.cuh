// The operations of graph/ir, each computed by a block. kernels/ref defines them.
#pragma once
#include "activation.cuh"
#include "map.cuh"
#include "noise.cuh"
#include "reduce.cuh"
#include "window.cuh"

// block_elements computes a result element by element.
template <class F> __device__ inline void block_elements(Block &block, const Op &op, F f) {
  float *out = thread_address(block, op.out);
  const int64_t length = int64_t(thread_rows(block, op.out)) * op.out.cols;
  const Elements first = thread_elements(block, op.args[0]), second = thread_elements(block, op.args[1]);
  const bool two = op.args[1].space != SPACE_NONE;
  const auto load = [&](int64_t i) {
    if (i >= length) return make_float2(0, 0);
    return make_float2(thread_element(first, i), two ? thread_element(second, i) : 0.0f);
  };
  const int stride = thread_stride(block);
  float2 next = load(thread_first(block));
#pragma unroll 1 // f is long
  for (int64_t i = thread_first(block); i < length; i += stride) {
    const float2 v = next;
    next = load(i + stride); // under way while f runs
    out[i] = f(v.x, v.y);
  }
}

// A row of logits: its largest and the sum of e to the power of what they lie below it.
struct Softmax { float top, sum; };

__device__ inline Softmax thread_softmax(const Elements &z, int64_t row, int cols) {
  constexpr int AHEAD = 8; // elements that are loaded before they are used
  Softmax s = {-INFINITY, 0};
#pragma unroll 1
  for (int from = 0; from < cols; from += AHEAD) {
    float v[AHEAD];
#pragma unroll
    for (int j = 0; j < AHEAD; j++) v[j] = from + j < cols ? thread_element(z, row + from + j) : -INFINITY;
#pragma unroll
    for (int j = 0; j < AHEAD; j++) s.top = fmaxf(s.top, v[j]);
  }
#pragma unroll 1
  for (int from = 0; from < cols; from += AHEAD) {
    float v[AHEAD];
#pragma unroll
    for (int j = 0; j < AHEAD; j++) v[j] = from + j < cols ? thread_element(z, row + from + j) : -INFINITY;
#pragma unroll
    for (int j = 0; j < AHEAD; j++)
      if (from + j < cols) s.sum += expf(v[j] - s.top);
  }
  return s;
}

// block_loss: l = s/B times the sum of the examples' losses. A thread computes an example's, of the first block.
__device__ __noinline__ void block_loss(Block &block, const Op &op) {
  if (block.number) return;
  const Elements z = thread_elements(block, op.args[0]);
  const int cols = op.args[0].cols;
  float sum = 0;
#pragma unroll 1
  for (int i = thread_index(); i < block.count; i += THREADS) {
    const int label = thread_labels(block)[i];
    const int64_t row = int64_t(i) * cols;
    if (op.code == CODE_XENT) {
      const Softmax s = thread_softmax(z, row, cols);
      // In this order large logits do not swallow a small loss.
      if (label >= 0) {
        sum += logf(s.sum) - (thread_element(z, row + label) - s.top);
        continue;
      }
      float inner = 0;
      for (int j = 0; j < cols; j++) {
        const float y = thread_target(block, label, j, cols);
        if (y != 0) inner += y * (thread_element(z, row + j) - s.top); // infinite logits are no part of it otherwise
      }
      sum += logf(s.sum) - inner;
    } else {
      float squares = 0;
      for (int j = 0; j < cols; j++) {
        const float d = thread_element(z, row + j) - thread_target(block, label, j, cols);
        squares += d * d;
      }
      sum += squares;
    }
  }
  sum = block_sum(block, sum);
  if (thread_index() == 0) *thread_address(block, op.out) = op.scale / float(block.count) * sum;
}

// block_dloss: s/B times the gradient of the examples' losses.
__device__ __noinline__ void block_dloss(Block &block, const Op &op) {
  const Elements z = thread_elements(block, op.args[0]);
  const int cols = op.args[0].cols;
  float *out = thread_address(block, op.out);
  const float scale = op.scale / float(block.count);
#pragma unroll 1
  for (int i = thread_first(block); i < block.count; i += thread_stride(block)) {
    const int label = thread_labels(block)[i];
    const int64_t row = int64_t(i) * cols;
    Softmax s = {0, 1};
    if (op.code == CODE_DXENT) s = thread_softmax(z, row, cols);
    for (int j = 0; j < cols; j++) {
      const float v = thread_element(z, row + j), y = thread_target(block, label, j, cols);
      out[row + j] = scale * (op.code == CODE_DXENT ? expf(v - s.top) / s.sum - y : 2.0f * (v - y));
    }
  }
}

// block_l2: l = l0 + s/2 times the sum of w², by the first block.
__device__ __noinline__ void block_l2(Block &block, const Op &op) {
  if (block.number) return;
  const Operand &w = op.args[1];
  const float *address = thread_address(block, w);
  const int64_t length = int64_t(thread_rows(block, w)) * w.cols;
  float sum = 0;
  for (int64_t i = thread_index(); i < length; i += THREADS) sum += address[i] * address[i];
  sum = block_sum(block, sum);
  if (thread_index() == 0) *thread_address(block, op.out) = *thread_address(block, op.args[0]) + op.scale / 2 * sum;
}

// block_dbias: db = the sum of dz's rows. A warp adds up every eighth row, then the parts are added.
__device__ __noinline__ void block_dbias(Block &block, const Op &op) {
  const Elements dz = thread_elements(block, op.args[0]);
  const int cols = op.args[0].cols, warp = thread_warp();
  float *out = thread_address(block, op.out);
  Update update;
  if (op.param >= 0) update = thread_updates(block, block.params[op.param]);
#pragma unroll 1
  for (int from = block.number * STAGE; from < cols; from += block.blocks * STAGE) {
    if (from > block.number * STAGE) __syncthreads(); // before stages are filled again
    const int to = min(cols, from + STAGE);
    for (int col = from + thread_lane(); col < to; col += WARP) {
      constexpr int AHEAD = 4; // rows that are loaded before they are added
      float sum = 0;
#pragma unroll 1
      for (int i = warp; i < block.count; i += AHEAD * WARPS) {
        float v[AHEAD];
#pragma unroll
        for (int k = 0; k < AHEAD; k++) v[k] = i + k * WARPS < block.count ? thread_element(dz, int64_t(i + k * WARPS) * cols + col) : 0.0f;
#pragma unroll
        for (int k = 0; k < AHEAD; k++)
          if (i + k * WARPS < block.count) sum += v[k];
      }
      block.stage[warp][col - from] = sum;
    }
    __syncthreads();
    for (int col = from + thread_index(); col < to; col += THREADS) {
      float sum = block.stage[0][col - from];
#pragma unroll
      for (int w = 1; w < WARPS; w++) sum += block.stage[w][col - from];
      if (op.param >= 0) thread_update(update, col, sum);
      else out[col] = sum;
    }
  }
}

// block_matmul: products of matrices with strides. geometry holds rows and columns of each, then the strides of the result's
// rows and columns, of a's rows and terms, and of b's columns and terms.
__device__ __noinline__ void block_matmul(Block &block, const Tensor &t) {
  const View *views = reinterpret_cast<const View *>(block.launch.views) + t.view;
  const bool several = t.length > 1; // then views hold the offsets too
  const Elements a = thread_elements(block, views[1].space, several ? 0 : views[1].offset);
  const Elements b = thread_elements(block, views[2].space, several ? 0 : views[2].offset);
  block_product(block, {{a, t.geometry[4], t.geometry[5], t.geometry[0]}, {b, t.geometry[6], t.geometry[7], t.geometry[1]}, t.inner,
                        thread_address(block, views[0].space, several ? 0 : views[0].offset), t.geometry[2], t.geometry[3], nullptr, nullptr, t.length, views});
}

__device__ inline void block_tensor(Block &block, const Op &op) {
  const Tensor &t = reinterpret_cast<const Tensor *>(block.launch.tensors)[op.tensor];
  switch (op.code) {
  case CODE_MAP: block_map(block, t); break;
  case CODE_MATMUL: block_matmul(block, t); break;
  case CODE_REDUCE: block_reduce(block, t); break;
  case CODE_RANDOM: block_random(block, t); break;
  case CODE_IM2COL: block_im2col(block, t); break;
  case CODE_COL2IM: block_col2im(block, t); break;
  case CODE_MAXPOOL: block_maxpool(block, t); break;
  case CODE_MAXPOOLGRAD: block_maxpoolgrad(block, t); break;
  }
}

// block_operation computes one operation. Its result is there for all threads when it returns.
__device__ inline void block_operation(Block &block, const Op &op) {
  const int activation = op.activation;
  const float scale = op.scale;
  switch (op.code) {
  case CODE_DENSE:
  case CODE_DINPUT:
  case CODE_DWEIGHT: block_product(block, thread_product(block, op)); break;
  case CODE_ACT: block_elements(block, op, [=](float z, float) { return thread_activate(activation, z); }); break;
  case CODE_ADD: block_elements(block, op, [=](float a, float b) { return __fadd_rn(a, __fmul_rn(scale, b)); }); break;
  case CODE_XENT:
  case CODE_QUAD: block_loss(block, op); break;
  case CODE_DXENT:
  case CODE_DQUAD: block_dloss(block, op); break;
  case CODE_L2: block_l2(block, op); break;
  case CODE_DBIAS: block_dbias(block, op); break;
  case CODE_DACT: block_elements(block, op, [=](float dh, float z) { return dh * thread_slope(activation, z); }); break;
  default: block_tensor(block, op);
  }
  __syncthreads();
}
