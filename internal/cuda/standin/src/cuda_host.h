// Compiles CUDA C++ kernels for the CPU, for tests: the parts of the language
// that kernels use, by g++'s means.
//
// A block runs on one OS thread, and each of its CUDA threads is a fiber with a
// stack of its own. A fiber runs until it waits: at __syncthreads, or at an
// operation of its warp. Then the next one runs, in an order that can be set
// (ch::Order): a barrier that is missing shows in forward or in reverse order
// because one thread runs far ahead of another. Blocks of a grid run on several
// OS threads at once.
//
// What it notices, and ends the launch for: an address where nothing is mapped, an
// index outside of an array, a misaligned access, an assertion, __trap, a division
// by zero, threads at different barriers, a barrier that not all reach. A block's
// shared memory begins as NaNs. What it cannot see: races between blocks, bank
// conflicts, the time that anything takes. Races between threads of a block are seen
// by the build with the race checker, in any order of threads (race.h).
//
// Kernels ask for dynamic shared memory with DYNAMIC_SHARED (see cuda.cuh), and
// masks of warp operations must name every thread of the warp that has not
// returned.
#pragma once
#include <algorithm>
#include <atomic>
#include <cmath>
#include <csetjmp>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <functional>
#include <memory>
#include <tuple>
#include <utility>
#include <vector>

#include "race.h" // what a build for the race checker says of threads and their order

// ---- types -----------------------------------------------------------------

struct uint3 { unsigned x, y, z; };
struct dim3 {
  unsigned x, y, z;
  dim3(unsigned x = 1, unsigned y = 1, unsigned z = 1) : x(x), y(y), z(z) {}
};
struct alignas(8) float2 { float x, y; };
struct alignas(16) float4 { float x, y, z, w; };
struct alignas(8) uint2 { unsigned x, y; };
struct alignas(16) uint4 { unsigned x, y, z, w; };
struct alignas(8) int2 { int x, y; };
struct alignas(16) int4 { int x, y, z, w; };
struct alignas(4) uchar4 { unsigned char x, y, z, w; };
inline float2 make_float2(float x, float y) { return {x, y}; }
inline float4 make_float4(float x, float y, float z, float w) { return {x, y, z, w}; }
inline uint2 make_uint2(unsigned x, unsigned y) { return {x, y}; }
inline uint4 make_uint4(unsigned x, unsigned y, unsigned z, unsigned w) { return {x, y, z, w}; }
inline int2 make_int2(int x, int y) { return {x, y}; }
inline int4 make_int4(int x, int y, int z, int w) { return {x, y, z, w}; }

#define __global__
#define __device__
#define __host__
#define __forceinline__ inline __attribute__((always_inline))
#define __noinline__ __attribute__((noinline))
#define __launch_bounds__(...)
#define __align__(n) alignas(n)
#define __constant__ static const
#ifdef CUDA_RACE // one OS thread: see fill_static_shared_memory
#define __shared__ static __attribute__((section("cuda_shared")))
#else
#define __shared__ static thread_local
#endif
#define __restrict__ __restrict

// ---- fibers, warps, blocks ---------------------------------------------------

namespace ch {

// Order is the order in which the threads of a block that can run do.
enum class Order { forward, reverse, shuffled };

// Codes of launches that ended before their end; from cuda.h.
enum Code { ok = 0, illegal_address = 700, assertion = 710, misaligned_or_trap = 715, failed = 719 };

// A lane publishes this much at most: an mma's fragments.
constexpr int slot_words = 3;

// A Copy is a cp.async: its bytes arrive when its thread waits for its group, no earlier.
struct Copy {
  void *to;
  const void *from;
  size_t bytes;
  unsigned group;
};

struct Fiber {
  void *stack_pointer;
  uint3 thread;
  unsigned index; // in the block
  bool done;
  void *watched; // what the race checker calls it
  void *copier;  // and what makes its asynchronous copies
  unsigned groups; // committed
  std::vector<Copy> copies;
  unsigned counted[16]; // behind the phase of each named barrier that counted this thread last
};

struct Barrier {
  std::vector<Fiber *> waiting;
  unsigned arrived = 0; // who are counted and do not wait
  int line = 0; // in the source, of those who wait
  // What the race checker orders by: a thread may reach the barrier again while others
  // have not left it, but not twice.
  char *order = nullptr; // two bytes, the block's own
  unsigned phase = 0;
};

// Warp holds what lanes publish, in two buffers so that one barrier is enough.
struct Warp {
  Barrier barrier;
  unsigned alive; // a bit for each lane that has not returned
  unsigned parity[32];
  uint64_t slot[2][32][slot_words];
};

struct Block {
  std::vector<Fiber> fibers;
  std::vector<Warp> warps;
  Barrier barrier, named[16];
  int votes[2]; // __syncthreads_or and its like: the sum, and the last one's
  std::vector<Fiber *> ready;
  size_t next = 0; // in ready
  unsigned live = 0;
  unsigned releases = 0;
  uint3 index;
  dim3 size, grid;
  char *dynamic = nullptr;
  Order order = Order::forward;
  const char *kernel = "";
  const std::function<void()> *body = nullptr;
  Fiber scheduler;
  sigjmp_buf abandon;
};

// What runs on this OS thread. Both are null outside of kernels.
extern __thread Block *block;
extern __thread Fiber *fiber;

// fail says on stderr where the kernel failed, and abandons the launch.
[[noreturn]] void fail(Code code, const char *format, ...) __attribute__((format(printf, 2, 3)));

// wait puts the current thread into the barrier. The last of need threads lets all go.
// Unless it orders, accesses before it and after it may still be a race: CUDA's shuffles and votes exchange values and are
// no memory barrier.
void wait(Barrier &barrier, unsigned need, int line, const char *what, bool orders = true);

inline unsigned lane() { return fiber->index & 31; }
inline Warp &warp() { return block->warps[fiber->index >> 5]; }

inline void sync_block(int line) { wait(block->barrier, block->live, line, "__syncthreads"); }

UNWATCHED inline int vote_block(int line, int vote, int kind) { // 0: count, 1: any, 2: all
  Block *b = block;
  b->votes[0] += vote != 0;
  unsigned asked = b->live;
  sync_block(line);
  int count = b->votes[0];
  sync_block(line);
  b->votes[0] = 0;
  sync_block(line);
  return kind == 0 ? count : kind == 1 ? count > 0 : count == (int)asked;
}

// exchange publishes v, waits for the warp, and returns what every lane published.
template <class T> UNWATCHED inline const uint64_t (*exchange(unsigned mask, const T &v, bool orders = race::shuffles_order))[slot_words] {
  static_assert(sizeof(T) <= 8 * slot_words, "a lane publishes no more");
  Warp &w = warp();
  if (~mask & w.alive) fail(failed, "a warp operation's mask %08x leaves out threads of the warp, %08x", mask, w.alive);
  unsigned l = lane(), parity = w.parity[l]++ & 1;
  memcpy(w.slot[parity][l], &v, sizeof v);
  wait(w.barrier, __builtin_popcount(w.alive), 0, "a warp operation", orders);
  return w.slot[parity];
}
template <class T> UNWATCHED inline T published(const uint64_t (*slots)[slot_words], unsigned l) {
  T v;
  memcpy(&v, slots[l & 31], sizeof v);
  return v;
}
UNWATCHED inline unsigned ballot(unsigned mask, bool v) {
  unsigned asked = warp().alive, bits = 0;
  auto slots = exchange(mask, v);
  for (unsigned l = 0; l < 32; l++)
    if (asked >> l & 1 && published<bool>(slots, l)) bits |= 1u << l;
  return bits;
}

// Named barriers: bar.arrive counts the current thread, which goes on; bar.sync waits for need threads, those that arrived
// included.
void named_arrive(unsigned id, unsigned need);
void named_sync(unsigned id, unsigned need);

// Asynchronous copies, and the groups that a thread commits them in.
void copy(void *to, const void *from, size_t bytes);
void commit();
void wait_copies(unsigned but); // for all groups but the last so many

// rounded keeps the compiler from fusing a product into a sum.
inline float rounded(float v) { asm("" : "+x"(v)); return v; }
inline double rounded(double v) { asm("" : "+x"(v)); return v; }

// A Kernel is a __global__ function by its name. bind copies the arguments.
struct Kernel {
  const char *name;
  std::function<void()> (*bind)(void **arguments);
};
template <class... A, size_t... I> std::function<void()> bound(void (*kernel)(A...), void **p, std::index_sequence<I...>) {
  std::tuple<std::decay_t<A>...> arguments(*(std::decay_t<A> *)p[I]...);
  return [=] { std::apply(kernel, arguments); };
}
template <class... A> std::function<void()> bound(void (*kernel)(A...), void **p) {
  return bound(kernel, p, std::index_sequence_for<A...>());
}
#define CUDA_HOST_KERNEL(name) {#name, [](void **p) { return ch::bound(name, p); }}

// Launch is how run runs a grid.
struct Launch {
  const char *kernel;
  dim3 grid, block;
  size_t dynamic_bytes;
  Order order;
  unsigned os_threads;
};

// run runs every block of a grid, and returns how it ended.
Code run(const Launch &launch, const std::function<void()> &body);

} // namespace ch

// ---- the built-in variables and functions ------------------------------------

#define threadIdx (ch::fiber->thread)
#define blockIdx (ch::block->index)
#define blockDim (ch::block->size)
#define gridDim (ch::block->grid)
static const int warpSize = 32;

#define DYNAMIC_SHARED(T, name) T *name = reinterpret_cast<T *>(ch::block->dynamic)

#define __syncthreads() ch::sync_block(__LINE__)
#define __syncthreads_count(v) ch::vote_block(__LINE__, v, 0)
#define __syncthreads_or(v) ch::vote_block(__LINE__, v, 1)
#define __syncthreads_and(v) ch::vote_block(__LINE__, v, 2)
inline void __syncwarp(unsigned mask = ~0u) { ch::exchange(mask, 0, true); }
inline void __threadfence() { race::fence(); }
inline void __threadfence_block() { __threadfence(); }
inline void __threadfence_system() { __threadfence(); }
inline void __nanosleep(unsigned) {}
#define __trap() ch::fail(ch::misaligned_or_trap, "__trap, line %d", __LINE__)
#undef assert
#define assert(e) ((e) ? (void)0 : ch::fail(ch::assertion, "assertion %s, line %d", #e, __LINE__))

template <class T> T __shfl_sync(unsigned mask, T v, int source, int width = 32) {
  unsigned l = ch::lane();
  return ch::published<T>(ch::exchange(mask, v), (l & ~(width - 1)) | (source & (width - 1)));
}
template <class T> T __shfl_xor_sync(unsigned mask, T v, int bits, int width = 32) {
  unsigned l = ch::lane(), source = l ^ bits;
  auto slots = ch::exchange(mask, v);
  return ch::published<T>(slots, (source & ~(width - 1)) <= (l & ~(width - 1)) ? source : l);
}
template <class T> T __shfl_down_sync(unsigned mask, T v, unsigned delta, int width = 32) {
  unsigned l = ch::lane();
  return ch::published<T>(ch::exchange(mask, v), (l & (width - 1)) + delta < (unsigned)width ? l + delta : l);
}
template <class T> T __shfl_up_sync(unsigned mask, T v, unsigned delta, int width = 32) {
  unsigned l = ch::lane();
  return ch::published<T>(ch::exchange(mask, v), (l & (width - 1)) >= delta ? l - delta : l);
}
inline unsigned __activemask() { return ch::warp().alive; }
inline unsigned __ballot_sync(unsigned mask, bool v) { return ch::ballot(mask, v); }
inline int __any_sync(unsigned mask, bool v) { return ch::ballot(mask, v) != 0; }
inline int __all_sync(unsigned mask, bool v) { return ch::ballot(mask, !v) == 0; }

// Atomics: blocks run on several OS threads.
template <class T> T atomicAdd(T *p, T v) {
  if constexpr (std::is_integral_v<T>) {
    return __atomic_fetch_add(p, v, race::atomic_order);
  } else {
    T old, sum;
    __atomic_load(p, &old, race::atomic_order);
    do sum = old + v;
    while (!__atomic_compare_exchange(p, &old, &sum, false, race::atomic_order, race::atomic_order));
    return old;
  }
}
template <class T> T atomicSub(T *p, T v) { return __atomic_fetch_sub(p, v, race::atomic_order); }
template <class T> T atomicOr(T *p, T v) { return __atomic_fetch_or(p, v, race::atomic_order); }
template <class T> T atomicAnd(T *p, T v) { return __atomic_fetch_and(p, v, race::atomic_order); }
template <class T> T atomicExch(T *p, T v) {
  T old;
  __atomic_exchange(p, &v, &old, race::atomic_order);
  return old;
}
template <class T> T atomicCAS(T *p, T compare, T v) {
  __atomic_compare_exchange(p, &compare, &v, false, race::atomic_order, race::atomic_order);
  return compare;
}
template <class T> T atomicMax(T *p, T v) {
  T old;
  __atomic_load(p, &old, race::atomic_order);
  while (old < v && !__atomic_compare_exchange(p, &old, &v, false, race::atomic_order, race::atomic_order)) {}
  return old;
}
template <class T> T atomicMin(T *p, T v) {
  T old;
  __atomic_load(p, &old, race::atomic_order);
  while (v < old && !__atomic_compare_exchange(p, &old, &v, false, race::atomic_order, race::atomic_order)) {}
  return old;
}

// Arithmetic that is rounded where it is written.
inline float __fadd_rn(float a, float b) { return ch::rounded(a + b); }
inline float __fsub_rn(float a, float b) { return ch::rounded(a - b); }
inline float __fmul_rn(float a, float b) { return ch::rounded(a * b); }
inline float __fdiv_rn(float a, float b) { return ch::rounded(a / b); }
inline float __fsqrt_rn(float a) { return ch::rounded(sqrtf(a)); }
inline float __frcp_rn(float a) { return ch::rounded(1 / a); }
inline float __fmaf_rn(float a, float b, float c) { return fmaf(a, b, c); }
inline double __dadd_rn(double a, double b) { return ch::rounded(a + b); }
inline double __dsub_rn(double a, double b) { return ch::rounded(a - b); }
inline double __dmul_rn(double a, double b) { return ch::rounded(a * b); }
inline double __ddiv_rn(double a, double b) { return ch::rounded(a / b); }
inline double __dsqrt_rn(double a) { return ch::rounded(sqrt(a)); }
inline double __fma_rn(double a, double b, double c) { return fma(a, b, c); }

// The fast approximations of a GPU are the functions themselves here.
inline float __expf(float x) { return expf(x); }
inline float __logf(float x) { return logf(x); }
inline float __fdividef(float a, float b) { return a / b; }
inline float rsqrtf(float x) { return 1 / sqrtf(x); }
inline float __frsqrt_rn(float x) { return 1 / sqrtf(x); }
inline float __saturatef(float x) { return x > 0 ? x < 1 ? x : 1 : 0; }
using std::isfinite;
using std::isinf;
using std::isnan;
using std::max;
using std::min;

// Bits and conversions.
inline float __uint_as_float(unsigned v) { float f; memcpy(&f, &v, 4); return f; }
inline float __int_as_float(int v) { float f; memcpy(&f, &v, 4); return f; }
inline unsigned __float_as_uint(float v) { unsigned u; memcpy(&u, &v, 4); return u; }
inline int __float_as_int(float v) { int i; memcpy(&i, &v, 4); return i; }
inline double __longlong_as_double(long long v) { double d; memcpy(&d, &v, 8); return d; }
inline long long __double_as_longlong(double v) { long long l; memcpy(&l, &v, 8); return l; }
inline unsigned __umulhi(unsigned a, unsigned b) { return (uint64_t)a * b >> 32; }
inline uint64_t __umul64hi(uint64_t a, uint64_t b) { return (unsigned __int128)a * b >> 64; }
inline int __mulhi(int a, int b) { return (int64_t)a * b >> 32; }
inline int __popc(unsigned v) { return __builtin_popcount(v); }
inline int __popcll(uint64_t v) { return __builtin_popcountll(v); }
inline int __clz(int v) { return v ? __builtin_clz(v) : 32; }
inline int __clzll(long long v) { return v ? __builtin_clzll(v) : 64; }
inline int __ffs(int v) { return __builtin_ffs(v); }
inline float __uint2float_rn(unsigned v) { return v; }
inline float __int2float_rn(int v) { return v; }
inline double __uint2double_rn(unsigned v) { return v; }
inline float __double2float_rn(double v) { return v; }
inline int __float2int_rn(float v) { return lrintf(v); }
template <class T> T __ldg(const T *p) { return *p; }
inline unsigned __byte_perm(unsigned a, unsigned b, unsigned selector) {
  uint64_t bytes = a | (uint64_t)b << 32;
  unsigned r = 0;
  for (int i = 0; i < 4; i++) r |= (unsigned)(bytes >> 8 * (selector >> 4 * i & 7) & 255) << 8 * i;
  return r;
}
