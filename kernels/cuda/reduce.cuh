// Reductions of tensor operations: sums, and what is largest.
#pragma once
#include "product.cuh"

// From so many elements on, a warp adds up; and a block where there are fewer sums than warps.
constexpr int WARP_SUM = 32, BLOCK_SUM = 1024;

// thread_combine: what is not a number stays so.
__device__ inline float thread_combine(int function, float a, float b) {
  return function == FN_SUM ? __fadd_rn(a, b) : b > a || b != b ? b : a;
}

__device__ inline float warp_combine(int function, float v) {
  for (int distance = WARP / 2; distance > 0; distance /= 2)
    v = thread_combine(function, v, __shfl_xor_sync(~0u, v, distance));
  return v;
}

// block_reduce: an order that follows from the extents alone. Lanes take every so manieth element, in ascending order.
__device__ __noinline__ void block_reduce(Block &block, const Tensor &t) {
  const View *views = reinterpret_cast<const View *>(block.launch.views) + t.view;
  const View &result = views[0], &kept = views[1], &over = views[2];
  float *out = thread_address(block, result.space, result.offset);
  const Elements in = thread_elements(block, kept.space, 0);
  const bool whole = t.inner >= BLOCK_SUM && t.length < WARPS, warps = !whole && t.inner >= WARP_SUM;
  const int parts = whole ? THREADS : warps ? WARP : 1; // threads of a sum
  const int part = thread_index() % parts;
#pragma unroll 1
  for (int i = thread_first(block) / parts; i < t.length; i += thread_stride(block) / parts) {
    const int64_t from = thread_offset(kept, i);
    float v = t.function == FN_SUM ? 0.0f : -INFINITY;
#pragma unroll 4
    for (int k = part; k < t.inner; k += parts) v = thread_combine(t.function, v, thread_element(in, from + thread_offset(over, k)));
    if (parts > 1) v = warp_combine(t.function, v);
    if (whole) {
      if (thread_lane() == 0) block.part[thread_warp()] = v;
      __syncthreads();
      v = block.part[0];
      for (int w = 1; w < WARPS; w++) v = thread_combine(t.function, v, block.part[w]);
      __syncthreads(); // before parts are written again
    }
    if (part == 0) out[i] = v;
  }
}
