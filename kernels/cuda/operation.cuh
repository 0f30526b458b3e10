// The operations of graph/ir, each computed by a block. kernels/ref defines them.
#pragma once
#include "activation.cuh"
#include "product.cuh"

// block_elements computes a result element by element.
template <class F> __device__ inline void block_elements(Block &block, const Op &op, F f) {
  float *out = thread_address(block, op.out);
  const int64_t length = int64_t(thread_rows(block, op.out)) * op.out.cols;
  const float *first = thread_address(block, op.args[0]), *second = thread_address(block, op.args[1]);
#pragma unroll 1 // f is long
  for (int64_t i = thread_index(); i < length; i += THREADS)
    out[i] = f(thread_element(block, op.args[0], first, i),
               op.args[1].space == SPACE_NONE ? 0.0f : thread_element(block, op.args[1], second, i));
}

// A row of logits: its largest and the sum of e to the power of what they lie below it.
struct Softmax { float top, sum; };

__device__ inline Softmax thread_softmax(const Block &block, const Operand &z, const float *address, int row) {
  Softmax s = {-INFINITY, 0};
  for (int j = 0; j < z.cols; j++) s.top = fmaxf(s.top, thread_element(block, z, address, int64_t(row) * z.cols + j));
  for (int j = 0; j < z.cols; j++) s.sum += expf(thread_element(block, z, address, int64_t(row) * z.cols + j) - s.top);
  return s;
}

// block_loss: l = s/B times the sum of the rows' losses. A thread computes a row.
__device__ inline void block_loss(Block &block, const Op &op) {
  const Operand &z = op.args[0];
  const float *address = thread_address(block, z);
  float sum = 0;
#pragma unroll 1
  for (int row = thread_index(); row < block.count; row += THREADS) {
    const int label = thread_labels(block)[row];
    if (op.code == CODE_XENT) {
      const Softmax s = thread_softmax(block, z, address, row);
      // In this order large logits do not swallow a small loss.
      sum += logf(s.sum) - (thread_element(block, z, address, int64_t(row) * z.cols + label) - s.top);
    } else {
      float squares = 0;
      for (int j = 0; j < z.cols; j++) {
        const float d = thread_element(block, z, address, int64_t(row) * z.cols + j) - (j == label ? 1.0f : 0.0f);
        squares += d * d;
      }
      sum += squares;
    }
  }
  sum = block_sum(block, sum);
  if (thread_index() == 0) *thread_address(block, op.out) = op.scale / float(block.count) * sum;
}

// block_dloss: s/B times the gradient of the rows' losses.
__device__ inline void block_dloss(Block &block, const Op &op) {
  const Operand &z = op.args[0];
  const float *address = thread_address(block, z);
  float *out = thread_address(block, op.out);
  const float scale = op.scale / float(block.count);
#pragma unroll 1
  for (int row = thread_index(); row < block.count; row += THREADS) {
    const int label = thread_labels(block)[row];
    Softmax s = {0, 1};
    if (op.code == CODE_DXENT) s = thread_softmax(block, z, address, row);
    for (int j = 0; j < z.cols; j++) {
      const float v = thread_element(block, z, address, int64_t(row) * z.cols + j), y = j == label ? 1.0f : 0.0f;
      out[int64_t(row) * z.cols + j] = scale * (op.code == CODE_DXENT ? expf(v - s.top) / s.sum - y : 2.0f * (v - y));
    }
  }
}

// block_l2: l = l0 + s/2 times the sum of w².
__device__ inline void block_l2(Block &block, const Op &op) {
  const Operand &w = op.args[1];
  const float *address = thread_address(block, w);
  const int64_t length = int64_t(thread_rows(block, w)) * w.cols;
  float sum = 0;
  for (int64_t i = thread_index(); i < length; i += THREADS) sum += address[i] * address[i];
  sum = block_sum(block, sum);
  if (thread_index() == 0) *thread_address(block, op.out) = *thread_address(block, op.args[0]) + op.scale / 2 * sum;
}

// block_dbias: db = the sum of dz's rows. A warp adds up every eighth row of 32 columns, then the parts are added.
__device__ inline void block_dbias(Block &block, const Op &op) {
  const Operand &dz = op.args[0];
  const float *address = thread_address(block, dz);
  float *out = thread_address(block, op.out);
  for (int col = 0; col < dz.cols; col += WARP) {
    const int c = col + thread_lane();
    float sum = 0;
    if (c < dz.cols)
      for (int row = thread_warp(); row < block.count; row += WARPS)
        sum += thread_element(block, dz, address, int64_t(row) * dz.cols + c);
    block.stage[thread_warp()][thread_lane()] = sum;
    __syncthreads();
    if (thread_warp() == 0 && c < dz.cols) {
      for (int w = 1; w < WARPS; w++) sum += block.stage[w][thread_lane()];
      out[c] = sum;
    }
    __syncthreads();
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
  }
  __syncthreads();
}
