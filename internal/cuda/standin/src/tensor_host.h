// The instructions of tensor.cuh on the CPU: what PTX says of mma, ldmatrix, stmatrix, movmatrix, cp.async and named
// barriers. Fragments are exchanged between fibers; nothing here orders memory but the barriers.
//
// ldmatrix and stmatrix touch the 16 bytes at the address that a lane gives, whoever receives or gives them: no lane can
// know which of them the hardware moves for itself, so a row that other lanes wrote needs __syncwarp.
#pragma once
#include "cuda_host.h"

inline void warp_barrier_sync(int id, int threads) { ch::named_sync(id, threads); }
inline void warp_barrier_arrive(int id, int threads) { ch::named_arrive(id, threads); }

inline unsigned thread_pack(float low, float high) {
  auto round = [](float v) -> unsigned {
    const unsigned u = __float_as_uint(v);
    return v != v ? 0x7fff : (u + 0x7fff + (u >> 16 & 1)) >> 16;
  };
  return round(low) | round(high) << 16;
}

// warp_mma: products are exact; the sum of 16 is rounded once, then added. (Hardware rounds it otherwise.)
struct MmaFragments { unsigned a[4], b[2]; };
typedef unsigned Pairs __attribute__((vector_size(16))); // of bf16, one of each of four lanes
typedef float Floats __attribute__((vector_size(16)));
typedef double Doubles __attribute__((vector_size(32)));

// Terms are a row or a column of 16, in the order that suits vectors: low halves and high ones apart.
struct Terms {
  Doubles low[2], high[2];
  UNWATCHED __attribute__((always_inline)) Terms(Pairs first, Pairs second) : low{half(first << 16), half(second << 16)}, high{half(first & 0xffff0000u), half(second & 0xffff0000u)} {}
  UNWATCHED __attribute__((always_inline)) static Doubles half(Pairs bits) { return __builtin_convertvector((Floats)bits, Doubles); }
  UNWATCHED __attribute__((always_inline)) float product(const Terms &other) const {
    const Doubles sum = low[0] * other.low[0] + high[0] * other.high[0] + low[1] * other.low[1] + high[1] * other.high[1];
    return (float)(sum[0] + sum[1] + sum[2] + sum[3]);
  }
};

UNWATCHED inline void warp_mma(float (&c)[4], const unsigned (&a)[4], unsigned b0, unsigned b1) {
  auto lanes = ch::exchange(~0u, MmaFragments{{a[0], a[1], a[2], a[3]}, {b0, b1}});
  const unsigned l = ch::lane(), g = l >> 2, t = l & 3;
  auto fragments = [&](unsigned of) UNWATCHED __attribute__((always_inline)) { return reinterpret_cast<const MmaFragments *>(lanes[of]); };
  auto row = [&](unsigned r) UNWATCHED __attribute__((always_inline)) {
    const MmaFragments *f[4] = {fragments(4 * g), fragments(4 * g + 1), fragments(4 * g + 2), fragments(4 * g + 3)};
    return Terms(Pairs{f[0]->a[r], f[1]->a[r], f[2]->a[r], f[3]->a[r]}, Pairs{f[0]->a[r + 2], f[1]->a[r + 2], f[2]->a[r + 2], f[3]->a[r + 2]});
  };
  auto column = [&](unsigned n) UNWATCHED __attribute__((always_inline)) {
    const unsigned from = 4 * (2 * t + n);
    const MmaFragments *f[4] = {fragments(from), fragments(from + 1), fragments(from + 2), fragments(from + 3)};
    return Terms(Pairs{f[0]->b[0], f[1]->b[0], f[2]->b[0], f[3]->b[0]}, Pairs{f[0]->b[1], f[1]->b[1], f[2]->b[1], f[3]->b[1]});
  };
  const Terms rows[2] = {row(0), row(1)}, columns[2] = {column(0), column(1)};
  c[0] += rows[0].product(columns[0]);
  c[1] += rows[0].product(columns[1]);
  c[2] += rows[1].product(columns[0]);
  c[3] += rows[1].product(columns[1]);
}

UNWATCHED __attribute__((noinline)) inline void warp_load(unsigned (&to)[4], const void *from, bool transposed) {
  race::read(from, 16, __builtin_return_address(0));
  auto lanes = ch::exchange(~0u, from);
  const unsigned l = ch::lane(), g = l >> 2, t = l & 3;
  for (int m = 0; m < 4; m++) {
    auto element = [&](int row, int col) UNWATCHED -> unsigned { return ch::published<const uint16_t *>(lanes, m * 8 + row)[col]; };
    to[m] = transposed ? element(2 * t, g) | element(2 * t + 1, g) << 16 : element(g, 2 * t) | element(g, 2 * t + 1) << 16;
  }
}
inline void warp_load_matrices(unsigned (&to)[4], const void *from) { warp_load(to, from, false); }
inline void warp_load_transposed(unsigned (&to)[4], const void *from) { warp_load(to, from, true); }

UNWATCHED __attribute__((noinline)) inline void warp_store_matrices(void *to, const unsigned (&from)[4], unsigned char *, int) {
  struct Row { unsigned pairs[4]; };
  race::write(to, 16, __builtin_return_address(0));
  auto lanes = ch::exchange(~0u, Row{{from[0], from[1], from[2], from[3]}});
  const unsigned l = ch::lane();
  for (int t = 0; t < 4; t++) ((unsigned *)to)[t] = ch::published<Row>(lanes, 4 * (l & 7) + t).pairs[l >> 3];
  ch::exchange(~0u, 0); // before a lane publishes something else
}

UNWATCHED inline unsigned warp_transpose(unsigned v) {
  auto lanes = ch::exchange(~0u, v);
  const unsigned l = ch::lane(), g = l >> 2, t = l & 3;
  auto element = [&](int row, int col) UNWATCHED { return ch::published<unsigned>(lanes, row * 4 + col / 2) >> 16 * (col & 1) & 0xffff; };
  return element(2 * t, g) | element(2 * t + 1, g) << 16;
}

inline void thread_copy_async(void *to, const void *from) { ch::copy(to, from, 16); }
inline void thread_copy_commit() { ch::commit(); }
inline void thread_copy_wait() { ch::wait_copies(0); }
template <int LATER> inline void thread_copy_wait_but() { ch::wait_copies(LATER); }

inline unsigned thread_multiply_pairs(unsigned a, unsigned b) {
  return thread_pack(__uint_as_float(a << 16) * __uint_as_float(b << 16), __uint_as_float(a & 0xffff0000u) * __uint_as_float(b & 0xffff0000u));
}
inline float4 thread_load_far(const float4 *from) { return *from; }
inline void thread_store_far(float4 *to, float4 v) { *to = v; }
inline int thread_opaque(int v) { return v; }
inline int thread_uniform(int v) { return v; }
inline float thread_tanh_fast(float x) { return tanhf(x); }
inline float thread_reciprocal(float x) { return 1 / x; }
inline float thread_exp2(float x) { return exp2f(x); }
inline float thread_log2(float x) { return log2f(x); }
inline float thread_root(float x) { return sqrtf(x); }
