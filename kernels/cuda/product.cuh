// Matrix products over a network's values: dense layers and their gradients, and those of tensor operations.
//
// An element of a product is a sum that one thread adds up in ascending order of its terms, each a fused multiply-add.
// Sums of LONG_SUM or more terms are split evenly among the block's warps and the parts added in the warps' order. So a
// result depends on the shapes alone: not on where values live, on the launch, or on the device.
#pragma once
#include "optimizer.cuh"

constexpr int LONG_SUM = 128;

// Products of at most so many elements, with sums of so few terms, are computed element by element: a tile would be one
// warp's work.
constexpr int SMALL_RESULT = 4 * THREADS, SMALL_SUM = 64;

// One factor of a product: element (outer, inner), where inner numbers the terms of the sums.
struct Factor {
  Elements elements;
  int outer_stride, inner_stride; // in elements: a value has fewer than 2^31
  int outer;                      // extent
};

// rows_factor: the value's rows are the outer index.
__device__ inline Factor thread_rows_factor(const Block &block, const Operand &v) {
  return {thread_elements(block, v), v.cols, 1, thread_rows(block, v)};
}

// cols_factor: the value's columns are the outer index.
__device__ inline Factor thread_cols_factor(const Block &block, const Operand &v) {
  return {thread_elements(block, v), 1, v.cols, v.cols};
}

// How a factor is staged: four elements at a time along one index, with one load if they lie beside each other and aligned.
struct Staging { bool along_inner, vectors; };

__device__ inline Staging thread_staging(const Factor &f, int terms) {
  const bool along_inner = f.inner_stride == 1;
  const bool aligned = f.elements.bytes ? reinterpret_cast<uintptr_t>(f.elements.bytes) % 4 == 0 : reinterpret_cast<uintptr_t>(f.elements.numbers) % 16 == 0;
  const bool fours = along_inner ? terms % 4 == 0 && f.outer_stride % 4 == 0 : f.outer % 4 == 0 && f.inner_stride % 4 == 0;
  return {along_inner, aligned && fours && (along_inner || f.outer_stride == 1)};
}

// Four is where four elements of a tile of SIZE x TILE_INNER are that a lane stages, its i-th.
struct Four { int outer, inner; };

template <int SIZE> __device__ inline Four thread_four(bool along_inner, int i) {
  const int e = thread_lane() + WARP * i;
  return along_inner ? Four{e / (TILE_INNER / 4), e % (TILE_INNER / 4) * 4} : Four{e % (SIZE / 4) * 4, e / (SIZE / 4)};
}

// warp_fetch loads SIZE x TILE_INNER elements of a factor; what lies outside of it is zero. All loads are under way before the
// first is used.
template <int SIZE>
__device__ inline void warp_fetch(float4 (&to)[SIZE / 8], const Factor &f, Staging how, int outer, int inner, int inner_end) {
  if (how.vectors) {
#pragma unroll
    for (int i = 0; i < SIZE / 8; i++) {
      const Four at = thread_four<SIZE>(how.along_inner, i);
      const int from = (outer + at.outer) * f.outer_stride + (inner + at.inner) * f.inner_stride;
      to[i] = make_float4(0, 0, 0, 0);
      if (outer + at.outer < f.outer && inner + at.inner < inner_end)
        to[i] = *reinterpret_cast<const float4 *>(f.elements.numbers + from);
    }
    return;
  }
#pragma unroll
  for (int i = 0; i < SIZE / 8; i++) {
    const Four at = thread_four<SIZE>(how.along_inner, i);
    float v[4];
#pragma unroll
    for (int j = 0; j < 4; j++) {
      const int o = outer + at.outer + (how.along_inner ? 0 : j), k = inner + at.inner + (how.along_inner ? j : 0);
      v[j] = 0;
      if (o < f.outer && k < inner_end) v[j] = thread_element(f.elements, o * f.outer_stride + k * f.inner_stride);
    }
    to[i] = make_float4(v[0], v[1], v[2], v[3]);
  }
}

// warp_fetch_bytes is warp_fetch for vectors of bytes. They stay so until warp_put_bytes writes them.
template <int SIZE>
__device__ inline void warp_fetch_bytes(float4 (&to)[SIZE / 8], const Factor &f, Staging how, int outer, int inner, int inner_end) {
#pragma unroll
  for (int i = 0; i < SIZE / 8; i++) {
    const Four at = thread_four<SIZE>(how.along_inner, i);
    const int from = (outer + at.outer) * f.outer_stride + (inner + at.inner) * f.inner_stride;
    to[i].x = 0;
    if (outer + at.outer < f.outer && inner + at.inner < inner_end)
      to[i].x = __uint_as_float(*reinterpret_cast<const uint32_t *>(f.elements.bytes + from));
  }
}

// warp_put writes what warp_fetch loaded to stage[inner][outer] with rows of STRIDE floats.
template <int SIZE, int STRIDE> __device__ inline void thread_put(float *stage, const float4 &v, bool along_inner, int i) {
  const Four at = thread_four<SIZE>(along_inner, i);
  float *to = stage + at.inner * STRIDE + at.outer;
  if (along_inner) {
    to[0] = v.x, to[STRIDE] = v.y, to[2 * STRIDE] = v.z, to[3 * STRIDE] = v.w;
  } else {
    *reinterpret_cast<float4 *>(to) = v;
  }
}

template <int SIZE, int STRIDE> __device__ inline void warp_put(float *stage, const float4 (&from)[SIZE / 8], bool along_inner) {
#pragma unroll
  for (int i = 0; i < SIZE / 8; i++) thread_put<SIZE, STRIDE>(stage, from[i], along_inner, i);
}

template <int SIZE, int STRIDE> __device__ inline void warp_put_bytes(float *stage, const float4 (&from)[SIZE / 8], bool along_inner) {
#pragma unroll
  for (int i = 0; i < SIZE / 8; i++) {
    const uint32_t word = __float_as_uint(from[i].x);
    thread_put<SIZE, STRIDE>(stage, make_float4(thread_pixel(word, 0), thread_pixel(word, 1), thread_pixel(word, 2), thread_pixel(word, 3)), along_inner, i);
  }
}

// warp_tile adds up terms inner .. inner_end - 1 of the tile of a·bᵀ at (row, col). A lane holds rows 4·(lane/4) + i and
// columns 4·(lane%4) + j of it in sum[i][j]. While a stage is used, the next is on its way.
__device__ inline void warp_tile(Block &block, float (&sum)[4][4], const Factor &a, const Factor &b, int row, int col,
                                 int inner, int inner_end) {
  const Staging how_a = thread_staging(a, inner_end); // parts are of whole fours, if the whole is
  Staging how_b = thread_staging(b, inner_end);
  how_b.vectors = how_b.vectors && !b.elements.bytes; // x is mostly on the left
  const bool bytes = a.elements.bytes && how_a.vectors;
  float *stage_a = block.stage[thread_warp()], *stage_b = stage_a + TILE_INNER * STAGE_ROWS;
  const float *lane_a = stage_a + thread_lane() / 4 * 4, *lane_b = stage_b + thread_lane() % 4 * 4;
#pragma unroll
  for (int i = 0; i < 4; i++)
#pragma unroll
    for (int j = 0; j < 4; j++) sum[i][j] = 0;
  if (inner >= inner_end) return;
  float4 next_a[TILE_ROWS / 8], next_b[TILE_COLS / 8];
  const auto fetch = [&](int from) {
    if (bytes) warp_fetch_bytes<TILE_ROWS>(next_a, a, how_a, row, from, inner_end);
    else warp_fetch<TILE_ROWS>(next_a, a, how_a, row, from, inner_end);
    warp_fetch<TILE_COLS>(next_b, b, how_b, col, from, inner_end);
  };
  fetch(inner);
#pragma unroll 1
  for (; inner < inner_end; inner += TILE_INNER) {
    __syncwarp(); // before the stage is filled again
    if (bytes) warp_put_bytes<TILE_ROWS, STAGE_ROWS>(stage_a, next_a, how_a.along_inner);
    else warp_put<TILE_ROWS, STAGE_ROWS>(stage_a, next_a, how_a.along_inner);
    warp_put<TILE_COLS, STAGE_COLS>(stage_b, next_b, how_b.along_inner);
    __syncwarp();
    if (inner + TILE_INNER < inner_end) fetch(inner + TILE_INNER);
#pragma unroll
    for (int k = 0; k < TILE_INNER; k++) {
      const float4 va = *reinterpret_cast<const float4 *>(lane_a + k * STAGE_ROWS);
      const float4 vb = *reinterpret_cast<const float4 *>(lane_b + k * STAGE_COLS);
      const float x[4] = {va.x, va.y, va.z, va.w}, y[4] = {vb.x, vb.y, vb.z, vb.w};
#pragma unroll
      for (int i = 0; i < 4; i++)
#pragma unroll
        for (int j = 0; j < 4; j++) sum[i][j] = fmaf(x[i], y[j], sum[i][j]);
    }
  }
}

// thread_offset is the offset of a view's element.
__device__ inline int64_t thread_offset(const View &v, uint32_t i) {
  int64_t at = v.offset;
  for (int k = v.axes - 1; k > 0; k--) {
    const uint32_t rest = i / uint32_t(v.extent[k]);
    at += int64_t(i - rest * uint32_t(v.extent[k])) * v.stride[k];
    i = rest;
  }
  return v.axes > 0 ? at + int64_t(i) * v.stride[0] : at;
}

// Product is a·bᵀ, with a's outer index as rows, b's as columns, and sums of so many terms. Element (row, col) goes to
// out[row·row_stride + col·col_stride], plus bias[col] if there is a bias; or is a gradient that updates the parameter there.
struct Product {
  Factor a, b;
  int terms;
  float *out;
  int row_stride, col_stride;
  const float *bias;
  const Param *param; // that is updated
  int products;       // of matrices that lie beside each other
  const View *views;  // of several: where the result, a and b of each are
};

// thread_turn makes of several products the one of that number.
__device__ inline void thread_turn(const Block &block, Product &p, int i) {
  p.out = thread_address(block, p.views[0].space, thread_offset(p.views[0], i));
  p.a.elements = thread_elements(block, p.views[1].space, thread_offset(p.views[1], i));
  p.b.elements = thread_elements(block, p.views[2].space, thread_offset(p.views[2], i));
}

// thread_product is what a dense layer or one of its gradients computes.
__device__ inline Product thread_product(const Block &block, const Op &op) {
  const Operand &first = op.args[0], &second = op.args[1];
  float *out = thread_address(block, op.out);
  switch (op.code) {
  case CODE_DENSE: // z = a·wᵀ + b
    return {thread_rows_factor(block, first), thread_rows_factor(block, second), first.cols,
            out, op.out.cols, 1, thread_address(block, op.args[2]), nullptr, 1, nullptr};
  case CODE_DINPUT: // da = dz·w
    return {thread_rows_factor(block, first), thread_cols_factor(block, second), first.cols,
            out, op.out.cols, 1, nullptr, nullptr, 1, nullptr};
  default: // dw = dzᵀ·a, transposed: inputs are mostly more than units, and a tile has more rows
    return {thread_cols_factor(block, second), thread_cols_factor(block, first), thread_rows(block, first),
            out, 1, op.out.cols, nullptr, op.param < 0 ? nullptr : block.params + op.param, 1, nullptr};
  }
}

// thread_take is where a product's element goes.
__device__ inline void thread_take(const Product &p, const Update &update, int row, int col, float v) {
  if (row >= p.a.outer || col >= p.b.outer) return;
  if (p.bias) v = __fadd_rn(v, p.bias[col]);
  const int at = row * p.row_stride + col * p.col_stride;
  if (p.param) thread_update(update, at, v);
  else p.out[at] = v;
}

// thread_fours: the result is there four elements at a time, and so is what it updates.
__device__ inline bool thread_fours(const Product &p, const Update &update) {
  const bool along_rows = p.row_stride == 1;
  if (!along_rows && p.col_stride != 1) return false;
  if (along_rows ? p.a.outer % 4 || p.col_stride % 4 : p.b.outer % 4 || p.row_stride % 4) return false;
  return p.param ? update.fours : reinterpret_cast<uintptr_t>(p.out) % 16 == 0;
}

// warp_take is where a tile's elements go, four at a time if the result has them beside each other.
__device__ inline void warp_take(const Block &block, const Product &p, int row, int col, const float (&sum)[4][4]) {
  Update update;
  if (p.param) update = thread_updates(block, *p.param);
  row += thread_lane() / 4 * 4;
  col += thread_lane() % 4 * 4;
  if (!thread_fours(p, update)) {
#pragma unroll
    for (int i = 0; i < 4; i++)
#pragma unroll
      for (int j = 0; j < 4; j++) thread_take(p, update, row + i, col + j, sum[i][j]);
    return;
  }
  const bool along_rows = p.row_stride == 1;
#pragma unroll
  for (int k = 0; k < 4; k++) { // columns or rows
    const int r = along_rows ? row : row + k, c = along_rows ? col + k : col;
    if (r >= p.a.outer || c >= p.b.outer) continue;
    float4 v = along_rows ? make_float4(sum[0][k], sum[1][k], sum[2][k], sum[3][k]) : make_float4(sum[k][0], sum[k][1], sum[k][2], sum[k][3]);
    if (p.bias) {
      const int step = along_rows ? 0 : 1;
      v = make_float4(__fadd_rn(v.x, p.bias[c]), __fadd_rn(v.y, p.bias[c + step]), __fadd_rn(v.z, p.bias[c + 2 * step]), __fadd_rn(v.w, p.bias[c + 3 * step]));
    }
    const int at = r * p.row_stride + c * p.col_stride;
    if (p.param) thread_update(update, at, v);
    else *reinterpret_cast<float4 *>(p.out + at) = v;
  }
}

// block_small computes a small product, a thread some elements of it: neighbouring threads neighbouring elements.
__device__ inline void block_small(const Block &block, const Product &p) {
  constexpr int AHEAD = 8; // terms that are loaded before they are added
  const bool along_rows = p.row_stride == 1;
  const int extent = along_rows ? p.a.outer : p.b.outer, elements = p.a.outer * p.b.outer, terms = p.terms;
  const int stride_a = p.a.inner_stride, stride_b = p.b.inner_stride;
  Update update;
  if (p.param) update = thread_updates(block, *p.param);
#pragma unroll 1
  for (int e = thread_first(block); e < elements; e += thread_stride(block)) {
    const int n = e / extent, m = e - n * extent, row = along_rows ? m : n, col = along_rows ? n : m;
    const float *a = p.a.elements.numbers + row * p.a.outer_stride, *b = p.b.elements.numbers + col * p.b.outer_stride;
    float sum = 0;
    int left = terms;
#pragma unroll 1
    for (; left >= AHEAD; left -= AHEAD) {
      float x[AHEAD], y[AHEAD];
#pragma unroll
      for (int k = 0; k < AHEAD; k++) x[k] = a[k * stride_a], y[k] = b[k * stride_b];
#pragma unroll
      for (int k = 0; k < AHEAD; k++) sum = fmaf(x[k], y[k], sum);
      a += AHEAD * stride_a, b += AHEAD * stride_b;
    }
#pragma unroll 1
    for (; left > 0; left--, a += stride_a, b += stride_b) sum = fmaf(*a, *b, sum);
    thread_take(p, update, row, col, sum);
  }
}

// block_product computes a product. Where sums are short, each warp takes its own tiles; where they are long, all warps
// take one tile after the other, each a part of its sums.
// Tiles are dealt to all blocks that share the network.
__device__ __noinline__ void block_product(Block &block, Product p) {
  const bool parts = p.terms >= LONG_SUM;
  if (p.products == 1 && p.terms <= SMALL_SUM && int64_t(p.a.outer) * p.b.outer <= SMALL_RESULT && !p.a.elements.bytes && !p.b.elements.bytes) {
    block_small(block, p);
    return;
  }
  const int tile_cols = (p.b.outer + TILE_COLS - 1) / TILE_COLS, tiles = (p.a.outer + TILE_ROWS - 1) / TILE_ROWS * tile_cols;
  const int warp = thread_warp(), lane = thread_lane();
  const int part = parts ? (p.terms + WARPS * TILE_INNER - 1) / (WARPS * TILE_INNER) * TILE_INNER : p.terms;
  const int inner = parts ? min(p.terms, warp * part) : 0, inner_end = min(p.terms, inner + part);

  const int stride = parts ? block.blocks : block.blocks * WARPS;
#pragma unroll 1
  for (int n = parts ? block.number : block.number * WARPS + warp; n < p.products * tiles; n += stride) {
    if (p.products > 1) thread_turn(block, p, n / tiles);
    const int tile = n % tiles, row = tile / tile_cols * TILE_ROWS, col = tile % tile_cols * TILE_COLS;
    float sum[4][4];
    warp_tile(block, sum, p.a, p.b, row, col, inner, inner_end);
    if (!parts) {
      warp_take(block, p, row, col, sum);
      continue;
    }
    __syncwarp(); // before the stage holds the sums
#pragma unroll
    for (int i = 0; i < 4; i++)
      *reinterpret_cast<float4 *>(&block.stage[warp][(lane / 4 * 4 + i) * TILE_COLS + lane % 4 * 4]) = make_float4(sum[i][0], sum[i][1], sum[i][2], sum[i][3]);
    __syncthreads();
    Update update;
    if (p.param) update = thread_updates(block, *p.param);
#pragma unroll
    for (int e = thread_index(); e < TILE_ROWS * TILE_COLS; e += THREADS) {
      float total = block.stage[0][e];
#pragma unroll
      for (int w = 1; w < WARPS; w++) total = __fadd_rn(total, block.stage[w][e]);
      thread_take(p, update, row + e / TILE_COLS, col + e % TILE_COLS, total);
    }
    if (n + stride < p.products * tiles) __syncthreads(); // before stages are filled again
  }
}
