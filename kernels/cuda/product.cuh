// Matrix products over a network's values: dense layers and their gradients, and those of tensor operations.
//
// An element of a product is a sum that one thread adds up in ascending order of its terms, each a fused multiply-add.
// Sums of LONG_SUM or more terms are split evenly among the block's warps and the parts added in the warps' order. So a
// result depends on the shapes alone: not on where values live, on the launch, or on the device.
#pragma once
#include "block.cuh"

constexpr int LONG_SUM = 128;

// One factor of a product: element (outer, inner), where inner numbers the terms of the sums.
struct Factor {
  Elements elements;
  int64_t outer_stride, inner_stride; // in elements; one of them is 1
  int outer;                          // extent
};

// rows_factor: the value's rows are the outer index.
__device__ inline Factor thread_rows_factor(const Block &block, const Operand &v) {
  return {thread_elements(block, v), v.cols, 1, thread_rows(block, v)};
}

// cols_factor: the value's columns are the outer index.
__device__ inline Factor thread_cols_factor(const Block &block, const Operand &v) {
  return {thread_elements(block, v), 1, v.cols, v.cols};
}

// warp_stage copies SIZE x TILE_INNER elements of a factor to stage[inner][outer] with rows of STRIDE floats; what lies
// outside of the factor is zero. Neighbouring lanes read neighbouring addresses.
template <int SIZE, int STRIDE>
__device__ inline void warp_stage(const Block &block, float *stage, const Factor &f, int outer, int inner, int inner_end) {
  const bool along_inner = f.inner_stride == 1;
#pragma unroll 4
  for (int e = thread_lane(); e < SIZE * TILE_INNER; e += WARP) {
    const int o = along_inner ? e / TILE_INNER : e % SIZE, k = along_inner ? e % TILE_INNER : e / SIZE;
    float v = 0;
    if (outer + o < f.outer && inner + k < inner_end)
      v = thread_element(block, f.elements, (outer + o) * f.outer_stride + (inner + k) * f.inner_stride);
    stage[k * STRIDE + o] = v;
  }
}

// warp_tile adds up terms inner .. inner_end - 1 of the tile of a·bᵀ at (row, col). A lane holds rows 4·(lane/4) + i and
// columns 4·(lane%4) + j of it in sum[i][j].
__device__ inline void warp_tile(Block &block, float (&sum)[4][4], const Factor &a, const Factor &b, int row, int col,
                                 int inner, int inner_end) {
  float *stage_a = block.stage[thread_warp()], *stage_b = stage_a + TILE_INNER * STAGE_ROWS;
  for (int i = 0; i < 4; i++)
    for (int j = 0; j < 4; j++) sum[i][j] = 0;
  for (; inner < inner_end; inner += TILE_INNER) {
    warp_stage<TILE_ROWS, STAGE_ROWS>(block, stage_a, a, row, inner, inner_end);
    warp_stage<TILE_COLS, STAGE_COLS>(block, stage_b, b, col, inner, inner_end);
    __syncwarp();
    const float *lane_a = stage_a + thread_lane() / 4 * 4, *lane_b = stage_b + thread_lane() % 4 * 4;
#pragma unroll 4
    for (int k = 0; k < TILE_INNER; k++) {
      const float4 va = *reinterpret_cast<const float4 *>(lane_a + k * STAGE_ROWS);
      const float4 vb = *reinterpret_cast<const float4 *>(lane_b + k * STAGE_COLS);
      const float x[4] = {va.x, va.y, va.z, va.w}, y[4] = {vb.x, vb.y, vb.z, vb.w};
      for (int i = 0; i < 4; i++)
        for (int j = 0; j < 4; j++) sum[i][j] = fmaf(x[i], y[j], sum[i][j]);
    }
    __syncwarp(); // before the stage is filled again
  }
}

// thread_place is the place of a view's element.
__device__ inline int64_t thread_place(const View &v, uint32_t i) {
  int64_t at = v.offset;
  for (int k = v.axes - 1; k > 0; k--) {
    const uint32_t rest = i / uint32_t(v.extent[k]);
    at += int64_t(i - rest * uint32_t(v.extent[k])) * v.stride[k];
    i = rest;
  }
  return v.axes > 0 ? at + int64_t(i) * v.stride[0] : at;
}

// Product is a·bᵀ, with a's outer index as rows, b's as columns, and sums of so many terms. Element (row, col) goes to
// out[row·row_stride + col·col_stride], plus bias[col] if there is a bias.
struct Product {
  Factor a, b;
  int terms;
  float *out;
  int64_t row_stride, col_stride;
  const float *bias;
  int products;      // of matrices that lie beside each other
  const View *views; // of several: where the result, a and b of each are
};

// thread_of is one of several products.
__device__ inline Product thread_of(Product p, int i) {
  if (p.products == 1) return p;
  p.out += thread_place(p.views[0], i);
  const int64_t a = thread_place(p.views[1], i), b = thread_place(p.views[2], i);
  p.a.elements = thread_from(p.a.elements, a);
  p.b.elements = thread_from(p.b.elements, b);
  return p;
}

__device__ inline void thread_put(const Product &p, int row, int col, float v) {
  if (row >= p.a.outer || col >= p.b.outer) return;
  if (p.bias) v = __fadd_rn(v, p.bias[col]);
  p.out[row * p.row_stride + col * p.col_stride] = v;
}

// thread_product is what a dense layer or one of its gradients computes.
__device__ inline Product thread_product(const Block &block, const Op &op) {
  const Operand &first = op.args[0], &second = op.args[1];
  float *out = thread_address(block, op.out);
  switch (op.code) {
  case CODE_DENSE: // z = a·wᵀ + b
    return {thread_rows_factor(block, first), thread_rows_factor(block, second), first.cols,
            out, op.out.cols, 1, thread_address(block, op.args[2]), 1, nullptr};
  case CODE_DINPUT: // da = dz·w
    return {thread_rows_factor(block, first), thread_cols_factor(block, second), first.cols,
            out, op.out.cols, 1, nullptr, 1, nullptr};
  default: // dw = dzᵀ·a, transposed: inputs are mostly more than units, and a tile has more rows
    return {thread_cols_factor(block, second), thread_cols_factor(block, first), thread_rows(block, first),
            out, 1, op.out.cols, nullptr, 1, nullptr};
  }
}

// block_product computes a product. Where sums are short, each warp takes its own tiles; where they are long, all warps
// take one tile after the other, each a part of its sums.
__device__ inline void block_product(Block &block, const Product &all) {
  const int tile_cols = (all.b.outer + TILE_COLS - 1) / TILE_COLS, tiles = (all.a.outer + TILE_ROWS - 1) / TILE_ROWS * tile_cols;
  const int warp = thread_warp(), lane = thread_lane();
  const bool parts = all.terms >= LONG_SUM;
  const int part = parts ? (all.terms + WARPS * TILE_INNER - 1) / (WARPS * TILE_INNER) * TILE_INNER : all.terms;
  const int inner = parts ? min(all.terms, warp * part) : 0, inner_end = min(all.terms, inner + part);

  for (int n = parts ? 0 : warp; n < all.products * tiles; n += parts ? 1 : WARPS) {
    const Product p = thread_of(all, n / tiles);
    const int tile = n % tiles, row = tile / tile_cols * TILE_ROWS, col = tile % tile_cols * TILE_COLS;
    float sum[4][4];
    warp_tile(block, sum, p.a, p.b, row, col, inner, inner_end);
    for (int i = 0; i < 4; i++)
      for (int j = 0; j < 4; j++) {
        const int r = lane / 4 * 4 + i, c = lane % 4 * 4 + j;
        if (parts) block.stage[warp][r * TILE_COLS + c] = sum[i][j];
        else thread_put(p, row + r, col + c, sum[i][j]);
      }
    if (!parts) continue;
    __syncthreads();
    for (int e = thread_index(); e < TILE_ROWS * TILE_COLS; e += THREADS) {
      float total = block.stage[0][e];
      for (int w = 1; w < WARPS; w++) total = __fadd_rn(total, block.stage[w][e]);
      thread_put(p, row + e / TILE_COLS, col + e % TILE_COLS, total);
    }
    __syncthreads(); // before stages are filled again
  }
}
