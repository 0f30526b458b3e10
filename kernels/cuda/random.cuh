// kernels/random.go, kernels/order.go and kernels.ShiftOf, bit for bit: draws, which example stands where in an epoch, and how far
// its image is moved.
#pragma once
#include <cstdint>

struct Random { uint32_t word[4]; };

constexpr uint32_t STREAM_ORDER = 0, STREAM_SHIFT = 1;

// thread_philox is Philox4x32-10 of a counter of four words.
__device__ inline Random thread_philox(uint64_t seed, uint32_t a, uint32_t b, uint32_t c, uint32_t d) {
  uint32_t key0 = uint32_t(seed), key1 = uint32_t(seed >> 32);
  for (int round = 0; round < 10; round++) {
    uint64_t p = uint64_t(0xD2511F53u) * a, q = uint64_t(0xCD9E8D57u) * c;
    a = uint32_t(q >> 32) ^ b ^ key0;
    c = uint32_t(p >> 32) ^ d ^ key1;
    b = uint32_t(q);
    d = uint32_t(p);
    key0 += 0x9E3779B9u;
    key1 += 0xBB67AE85u;
  }
  return {{a, b, c, d}};
}

// thread_draw is kernels.draw: of a position in a stream of a seed.
__device__ inline Random thread_draw(uint64_t seed, uint32_t stream, uint64_t position) {
  return thread_philox(seed, uint32_t(position), uint32_t(position >> 32), stream, 0);
}

constexpr int ORDER_ROUNDS = 8, ORDER_BITS = 8;

// thread_order_keys computes round keys 4·part .. 4·part + 3 of an epoch's order, part = 0 or 1.
__device__ inline void thread_order_keys(uint32_t *keys, uint64_t seed, uint32_t epoch, int part) {
  Random r = thread_draw(seed, STREAM_ORDER, uint64_t(epoch) << 8 | uint64_t(4 * part));
  for (int i = 0; i < 4; i++) keys[4 * part + i] = r.word[i];
}

__device__ inline uint32_t thread_mix(uint32_t x) {
  x ^= x >> 16;
  x *= 0x7feb352du;
  x ^= x >> 15;
  x *= 0x846ca68bu;
  x ^= x >> 16;
  return x;
}

// thread_order_at is Order.At: the example at a position below n of the epoch with these round keys.
__device__ inline uint32_t thread_order_at(const uint32_t *keys, uint32_t n, uint32_t position) {
  const uint32_t bits = max(ORDER_BITS, 32 - __clz(int(n - 1)));
  uint32_t low = (bits + 1) / 2, mask_left = (1u << bits / 2) - 1, mask_right = (1u << low) - 1;
  uint32_t v = position;
  do {
    uint32_t left = v >> low, right = v & mask_right;
    for (int i = 0; i < ORDER_ROUNDS; i += 2) {
      left ^= thread_mix(right + keys[i]) & mask_left;
      right ^= thread_mix(left + keys[i + 1]) & mask_right;
    }
    v = left << low | right;
  } while (v >= n);
  return v;
}

// thread_shift is ShiftOf: how far an example's image is moved in an epoch, down and to the right.
__device__ inline void thread_shift(uint64_t seed, uint32_t epoch, uint32_t example, int limit, int *down, int *right) {
  Random r = thread_draw(seed, STREAM_SHIFT, uint64_t(epoch) << 32 | example);
  uint64_t places = uint64_t(2 * limit + 1);
  *down = int(r.word[0] * places >> 32) - limit;
  *right = int(r.word[1] * places >> 32) - limit;
}
