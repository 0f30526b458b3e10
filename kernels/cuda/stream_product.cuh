// Products with weights that are streamed.
#pragma once
#include "stream.cuh"

// Tiles is a list of tiles that a warp goes through: some of their arrays are copied to the warp's ring in shared memory, so many
// tiles ahead as it has slots. A lane reads what it has copied itself, so nothing but its own waiting orders it.
struct Tiles {
  float4 *first, *near; // the lane's, of the first tile, if it is in global memory, or in shared memory
  int64_t step;   // float4 from one to the next
  int count, kept; // kept: of them, the first ones, that are in shared memory
  int fours;      // float4 to copy of each, for a lane
  float4 *ring;   // the lane's
  int slot;       // float4 from one slot to the next
  int slots, fill, take; // of the ring: how many, which is filled next, and which is read

  // The tiles of a layer from number from on, so many from one to the next.
  __device__ Tiles(const Stream &s, const StreamLayer &layer, int from, int step, int count, int arrays)
      : step(int64_t(step) * s.plan.arrays * TILE_FOURS), count(count), kept(from < layer.kept ? (layer.kept - from + step - 1) / step : 0), fours(2 * arrays),
        slot(s.plan.arrays * TILE_FOURS), slots(s.plan.slots), fill(0), take(0) {
    first = reinterpret_cast<float4 *>(s.work + layer.tiles) + int64_t(from - layer.kept) * slot + thread_lane();
    near = reinterpret_cast<float4 *>(s.shared + layer.kept_tiles) + from * slot + thread_lane();
    ring = reinterpret_cast<float4 *>(reinterpret_cast<unsigned char *>(s.shared) + s.plan.ring) + thread_warp() * slots * slot + thread_lane();
    for (int n = 0; n < slots - 1; n++) begin(n);
  }
  __device__ void begin(int n) {
    if (n >= kept && n < count) {
      const float4 *from = first + n * step;
      float4 *to = ring + fill * slot;
#pragma unroll 2
      for (int i = 0; i < fours; i++) thread_copy_async(to + i * WARP, from + i * WARP);
    }
    thread_copy_commit();
    fill = fill + 1 == slots ? 0 : fill + 1;
  }
  // next begins to copy the tile that is slots - 1 ahead and returns tile n, which has arrived or was always there.
  __device__ const float4 *next(int n) {
    begin(n + slots - 1);
    switch (slots) {
    case 4: thread_copy_wait_but<3>(); break;
    case 3: thread_copy_wait_but<2>(); break;
    case 2: thread_copy_wait_but<1>(); break;
    default: thread_copy_wait();
    }
    const float4 *arrived = n < kept ? near + n * step : ring + take * slot;
    take = take + 1 == slots ? 0 : take + 1;
    return arrived;
  }
  __device__ float4 *at(int n) const { return (n < kept ? near : first) + n * step; }
};

__device__ inline void thread_load_square(Square &z, const float4 *from) {
#pragma unroll
  for (int h = 0; h < 2; h++) {
    const float4 v = from[h * WARP];
    z[h][0] = v.x, z[h][1] = v.y, z[h][2] = v.z, z[h][3] = v.w;
  }
}
__device__ inline void thread_store_floats(float4 *to, const Square &z) {
#pragma unroll
  for (int h = 0; h < 2; h++) to[h * WARP] = float4{z[h][0], z[h][1], z[h][2], z[h][3]};
}

// warp_sums adds up products of rows and tiles of weights: outputs of the layer below with a tile of units, or, BACK, deltas of
// the layer with a tile of its inputs.
//
//   left            the lane's first block of the first 16 rows
//   left_step, _16  uint4 from one block to the next that is used, and to that of the next 16 rows
//   sums            the lane's: the blocks of 16 rows one after the other, two float4 each
template <class C, bool BACK> __device__ inline void warp_sums(Tiles tiles, const uint4 *left, int left_step, int left_16, float4 *sums) {
  constexpr int TERMS = C::TERMS;
  float z[2][2][4] = {};
#pragma unroll 1
  for (int n = 0; n < tiles.count; n++) {
    Square w;
    thread_load_square(w, tiles.next(n));
    unsigned right[2][2][TERMS]; // columns 0-7 or 8-15 of the product, half of the terms of the sum
#pragma unroll
    for (int h = 0; h < 2; h++)
#pragma unroll
      for (int j = 0; j < 2; j++) {
        unsigned pairs[TERMS];
        thread_split<TERMS>(pairs, w[h][2 * j], w[h][2 * j + 1]);
#pragma unroll
        for (int t = 0; t < TERMS; t++) {
          if constexpr (BACK) right[h][j][t] = warp_transpose(pairs[t]);
          else right[j][h][t] = pairs[t];
        }
      }
    unsigned rows[2][TERMS][4];
#pragma unroll
    for (int m = 0; m < 2; m++)
#pragma unroll
      for (int t = 0; t < TERMS; t++) {
        const uint4 v = left[m * left_16 + t * WARP];
        rows[m][t][0] = v.x, rows[m][t][1] = v.y, rows[m][t][2] = v.z, rows[m][t][3] = v.w;
      }
    left += left_step;
#pragma unroll
    for (int j = TERMS - 1; j >= 0; j--)
#pragma unroll
      for (int i = TERMS - 1 - j; i >= 0; i--)
#pragma unroll
        for (int m = 0; m < 2; m++)
#pragma unroll
          for (int h = 0; h < 2; h++) warp_mma(z[m][h], rows[m][i], right[h][0][j], right[h][1][j]);
  }
#pragma unroll
  for (int m = 0; m < 2; m++) thread_store_floats(sums + 2 * m * WARP, z[m]);
}

// thread_update_square updates the weights of a tile with their gradient, or adds up the gradient of a batch's parts: w holds
// what the weights are then.
template <class C> __device__ inline void thread_update_square(Square &w, const Square &g, float4 *to, const float4 *from, const Rates &rates, int flags, float scale) {
  constexpr int GRADIENT = (1 + C::SLOTS) * TILE_FOURS;
  Square sum;
#pragma unroll
  for (int h = 0; h < 2; h++)
#pragma unroll
    for (int i = 0; i < 4; i++) sum[h][i] = g[h][i] * scale;
  if (!(flags & FIRST)) {
    Square before;
    thread_load_square(before, from + GRADIENT);
#pragma unroll
    for (int h = 0; h < 2; h++)
#pragma unroll
      for (int i = 0; i < 4; i++) sum[h][i] += before[h][i];
  }
  if (!(flags & LAST)) return thread_store_floats(to + GRADIENT, sum);
  Square slot[C::SLOTS + 1] = {};
#pragma unroll
  for (int k = 0; k < C::SLOTS; k++) thread_load_square(slot[k], from + (1 + k) * TILE_FOURS);
#pragma unroll
  for (int h = 0; h < 2; h++)
#pragma unroll
    for (int i = 0; i < 4; i++) thread_step<C, false>(rates, sum[h][i], w[h][i], slot[0][h][i], slot[C::SLOTS > 1 ? 1 : 0][h][i]);
  thread_store_floats(to, w);
#pragma unroll
  for (int k = 0; k < C::SLOTS; k++) thread_store_floats(to + (1 + k) * TILE_FOURS, slot[k]);
}

// thread_arrays is how many of a tile's arrays an update reads.
template <class C> __device__ inline int thread_arrays(int flags) { return 1 + C::SLOTS + (flags & FIRST ? 0 : 1); }

// thread_kept is the lane's part of the deltas that a warp keeps, the other way round, while it updates tiles of the same units:
// blocks of 16 rows one after the other. They lie where sums and pixels are in other phases.
template <class C> __device__ inline uint4 *thread_kept(const Stream &s) {
  return reinterpret_cast<uint4 *>(reinterpret_cast<unsigned char *>(s.shared) + s.plan.sums) + thread_warp() * 2 * s.plan.groups * C::OUTPUT + thread_lane();
}

// warp_update updates tiles of a layer but the first: tile n of the warp is its number first + n step, units first. Where a
// network is spread, its matrices are in global memory: a warp has tiles of the same units, if there are enough warps, and keeps
// their deltas.
template <class C> __device__ inline void warp_update(const Stream &s, int l, int groups, const Rates &rates, int flags) {
  constexpr int TERMS = C::TERMS;
  const StreamLayer &layer = thread_layer(s, l), &below = thread_layer(s, l - 1);
  const int inputs = thread_tiles(layer.in), units = thread_tiles(layer.out);
  const int first = thread_block<C>() * WARPS + thread_warp(), warps = thread_blocks<C>() * WARPS;
  const int step = C::SPREAD && units < warps ? warps / units * units : warps;
  Tiles tiles(s, layer, first, step, first < step ? max(0, inputs * units - first + step - 1) / step : 0, thread_arrays<C>(flags));
  uint4 *kept = thread_kept<C>(s);
  const int more_units = step % units, more_inputs = step / units;
#pragma unroll 1
  for (int n = 0, u = first % units, k = first / units; n < tiles.count; n++, u += more_units, k += more_inputs) {
    if (u >= units) u -= units, k++;
    const float4 *from = tiles.next(n);
    if (C::SPREAD && (n == 0 || more_units))
#pragma unroll 1
      for (int m = 0; m < 2 * groups; m++)
#pragma unroll
        for (int t = 0; t < TERMS; t++) kept[m * C::OUTPUT + t * WARP] = warp_transposed(thread_deltas<C>(s, layer, m, u)[t * WARP]);
    Square g = {};
#pragma unroll 1
    for (int m = 0; m < 2 * groups; m++) {
      unsigned delta[TERMS][4];
      uint4 output[TERMS];
#pragma unroll
      for (int t = 0; t < TERMS; t++) {
        const uint4 d = C::SPREAD ? kept[m * C::OUTPUT + t * WARP] : warp_transposed(thread_deltas<C>(s, layer, m, u)[t * WARP]);
        delta[t][0] = d.x, delta[t][1] = d.y, delta[t][2] = d.z, delta[t][3] = d.w;
        output[t] = warp_transposed(thread_outputs<C>(s, below, m, k)[t * WARP]);
      }
#pragma unroll
      for (int j = TERMS - 1; j >= 0; j--)
#pragma unroll
        for (int i = TERMS - 1 - j; i >= 0; i--) {
          warp_mma(g[0], delta[i], output[j].x, output[j].z);
          warp_mma(g[1], delta[i], output[j].y, output[j].w);
        }
    }
    Square w;
    thread_load_square(w, from);
    thread_update_square<C>(w, g, tiles.at(n), from, rates, flags, 1.0f);
  }
}

// warp_update_biases updates biases of a layer with the sums of its deltas, which are a product with ones.
template <class C> __device__ inline void warp_update_biases(const Stream &s, int l, int groups, const Rates &rates, int flags) {
  const StreamLayer &layer = thread_layer(s, l);
  const int units = thread_tiles(layer.out), g = thread_lane() / 4;
  float *array = thread_address(s, layer.biases);
#pragma unroll 1
  for (int u = thread_block<C>() * WARPS + thread_warp(); u < units; u += thread_blocks<C>() * WARPS) {
    float sum[4] = {};
#pragma unroll 1
    for (int m = 0; m < 2 * groups; m++)
#pragma unroll
      for (int t = C::TERMS - 1; t >= 0; t--) {
        uint4 d = thread_deltas<C>(s, layer, m, u)[t * WARP];
        if (l) d = warp_transposed(d); // those of the first layer are already
        const unsigned delta[4] = {d.x, d.y, d.z, d.w}, one = 0x3f803f80u;
        warp_mma(sum, delta, one, one);
      }
    if (thread_lane() % 4) continue;
#pragma unroll
    for (int i = 0; i < 2; i++) {
      float *at = array + 16 * u + g + 8 * i, gradient = sum[2 * i], none = 0;
      const int next = 16 * units;
      float &kept = at[(1 + C::SLOTS) * next];
      if (!(flags & FIRST)) gradient += kept;
      if (!(flags & LAST)) {
        kept = gradient;
        continue;
      }
      float w = at[0], slot0 = C::SLOTS > 0 ? at[next] : none, slot1 = C::SLOTS > 1 ? at[2 * next] : none;
      thread_step<C, true>(rates, gradient, w, slot0, slot1);
      at[0] = w;
      if (C::SLOTS > 0) at[next] = slot0;
      if (C::SLOTS > 1) at[2 * next] = slot1;
    }
  }
}

// Pixels is where a warp finds a part's bytes: the lane's row of the first 32, at the first tile.
struct Pixels {
  const unsigned char *row;
  int step; // bytes from a tile to the next that the warp uses
};

__device__ inline void thread_pixel_pairs(unsigned (&even)[4], unsigned (&odd)[4], const unsigned (&bytes)[4]) {
#pragma unroll
  for (int r = 0; r < 4; r++) {
    even[r] = thread_even_bytes(bytes[r]);
    odd[r] = thread_odd_bytes(bytes[r]);
  }
}

// warp_turn goes through tiles of the first layer: it updates them with a part's pixels (UPDATE) and adds up the products of
// the weights, as they are then, with 32 rows of pixels (FORWARD). Both are asked for only if parts have 32 rows.
//
// A tile's inputs are permuted as in resident_pixels.cuh: element [h][i] is unit g + 8 (i / 2), pixel 4t + 2 (i % 2) + h.
//
//   now, next  the part's pixels for the update, and those that go forward
//   deltas     the lane's blocks of deltas for the tile of units, delta_16 uint4 apart
//   sums       as in warp_sums
//   groups     of 32 rows that the update has
template <class C, bool UPDATE, bool FORWARD>
__device__ inline void warp_turn(const Stream &s, Tiles tiles, Pixels now, Pixels next, const uint4 *deltas, int delta_16, float4 *sums, int groups, const Rates &rates, int flags) {
  constexpr int TERMS = C::TERMS;
  unsigned delta[2][TERMS][4];
  const auto load_deltas = [&](int group) {
#pragma unroll
    for (int m = 0; m < 2; m++)
#pragma unroll
      for (int t = 0; t < TERMS; t++) {
        const uint4 v = deltas[(2 * group + m) * delta_16 + t * WARP];
        delta[m][t][0] = v.x, delta[m][t][1] = v.y, delta[m][t][2] = v.z, delta[m][t][3] = v.w;
      }
  };
  if constexpr (UPDATE && FORWARD) load_deltas(0);
  float z[2][2][4] = {};
#pragma unroll 1
  for (int n = 0; n < tiles.count; n++) {
    unsigned pixels[2][4], bytes[4]; // pixels: even, odd
    Square w;
    const float4 *from = tiles.next(n);
    thread_load_square(w, from);
    if constexpr (UPDATE) {
      Square g = {};
      const auto add = [&](int group) {
        warp_load_transposed(bytes, now.row + group * ROWS * s.plan.row_bytes);
        thread_pixel_pairs(pixels[0], pixels[1], bytes);
#pragma unroll
        for (int t = TERMS - 1; t >= 0; t--)
#pragma unroll
          for (int m = 0; m < 2; m++)
#pragma unroll
            for (int h = 0; h < 2; h++) warp_mma(g[h], delta[m][t], pixels[h][2 * m], pixels[h][2 * m + 1]);
      };
      if constexpr (FORWARD) add(0);
      else
#pragma unroll 1
        for (int group = 0; group < groups; group++) {
          load_deltas(group);
          add(group);
        }
      now.row += now.step;
      thread_update_square<C>(w, g, tiles.at(n), from, rates, flags, PIXEL_SCALE);
    }
    if constexpr (FORWARD) {
      warp_load_matrices(bytes, next.row);
      next.row += next.step;
      thread_pixel_pairs(pixels[0], pixels[1], bytes);
      unsigned right[2][2][TERMS]; // units 0-7 or 8-15, half
#pragma unroll
      for (int u = 0; u < 2; u++)
#pragma unroll
        for (int h = 0; h < 2; h++) thread_split<TERMS>(right[u][h], w[h][2 * u], w[h][2 * u + 1]);
#pragma unroll
      for (int m = 0; m < 2; m++) {
        const unsigned left[4] = {pixels[0][2 * m], pixels[0][2 * m + 1], pixels[1][2 * m], pixels[1][2 * m + 1]};
#pragma unroll
        for (int t = TERMS - 1; t >= 0; t--)
#pragma unroll
          for (int u = 0; u < 2; u++) warp_mma(z[m][u], left, right[u][0][t], right[u][1][t]);
      }
    }
  }
  if constexpr (FORWARD)
#pragma unroll
    for (int m = 0; m < 2; m++) thread_store_floats(sums + 2 * m * WARP, z[m]);
}
