// What a device does at most, as far as the other kernels depend on it: how fast its L2 and its multiprocessors' shared memory
// are read, and how fast its tensor cores multiply. The model's constants stand or fall with these numbers. What each thread has
// read or computed has a result that the host knows (ceilings.go), so that a rate is never that of work left out.
#include "tensor.cuh"

constexpr int THREADS = 256, AHEAD = 8; // loads, or products, that a thread has under way

#ifdef __CUDACC__
// Volatile: the same words are loaded again and again.
__device__ inline uint4 thread_load_l2(const uint4 *from) { // not from the first-level cache
  uint4 v;
  asm volatile("ld.global.cg.v4.u32 {%0,%1,%2,%3}, [%4];" : "=r"(v.x), "=r"(v.y), "=r"(v.z), "=r"(v.w) : "l"(from));
  return v;
}
__device__ inline uint4 thread_load_shared(const uint4 *from) {
  uint4 v;
  asm volatile("ld.volatile.shared.v4.u32 {%0,%1,%2,%3}, [%4];"
               : "=r"(v.x), "=r"(v.y), "=r"(v.z), "=r"(v.w) : "r"(uint32_t(__cvta_generic_to_shared(from))));
  return v;
}
#else
inline uint4 thread_load_l2(const uint4 *from) { return *from; }
inline uint4 thread_load_shared(const uint4 *from) { return *from; }
#endif

// thread_passes reads words thread, thread + THREADS, ... below words, a multiple of AHEAD * THREADS, so many times, beginning
// with a place of the block's own. It returns the sum of their numbers.
template <class F> __device__ inline uint32_t thread_passes(const uint4 *from, int words, long long passes, F load) {
  const int thread = threadIdx.x;
  uint32_t sum = 0;
  int at = blockIdx.x * AHEAD * THREADS % words;
#pragma unroll 1
  for (long long n = passes * (words / (AHEAD * THREADS)); n > 0; n--) {
    uint4 v[AHEAD];
#pragma unroll
    for (int k = 0; k < AHEAD; k++) v[k] = load(from + at + k * THREADS + thread);
#pragma unroll
    for (int k = 0; k < AHEAD; k++) sum += v[k].x + v[k].y + v[k].z + v[k].w;
    at = at + AHEAD * THREADS < words ? at + AHEAD * THREADS : 0;
  }
  return sum;
}

// kernel_ceiling_l2: every block reads all words, so many times.
extern "C" __global__ void __launch_bounds__(THREADS) kernel_ceiling_l2(const uint4 *from, long long words, long long passes, uint32_t *sums) {
  sums[blockIdx.x * THREADS + threadIdx.x] = thread_passes(from, int(words), passes, thread_load_l2);
}

// kernel_ceiling_shared: the same with a copy of the words in dynamic shared memory.
extern "C" __global__ void __launch_bounds__(THREADS) kernel_ceiling_shared(const uint4 *from, long long words, long long passes, uint32_t *sums) {
  DYNAMIC_SHARED(uint4, copy);
  for (int i = threadIdx.x; i < words; i += THREADS) copy[(i + 1) % int(words)] = from[i]; // so that a thread reads another one's
  __syncthreads();
  sums[blockIdx.x * THREADS + threadIdx.x] = thread_passes(copy, int(words), passes, thread_load_shared);
}

// kernel_ceiling_tensor: so many times, a warp starts from zero and adds PRODUCTS times each of AHEAD products of 16 x 16 and
// 16 x 8 bf16 numbers, of which element (row, col) is 16 (row + 1) (col + 1 + 8 n) for the n-th: float32 holds the sums
// exactly. A thread's result is a hash of its elements.
extern "C" __global__ void __launch_bounds__(THREADS) kernel_ceiling_tensor(long long passes, uint32_t *sums) {
#if !defined(__CUDA_ARCH__) || __CUDA_ARCH__ >= 800
  constexpr int PRODUCTS = 1024;
  const int group = threadIdx.x % 32 / 4;
  const unsigned low = thread_pack(float(group + 1), float(group + 1)), high = thread_pack(float(group + 9), float(group + 9));
  const unsigned a[4] = {low, high, low, high}; // rows group and group + 8
  unsigned b[AHEAD];                            // column group
#pragma unroll
  for (int n = 0; n < AHEAD; n++) b[n] = thread_pack(float(group + 1 + 8 * n), float(group + 1 + 8 * n));
  uint32_t hash = 0;
#pragma unroll 1
  for (long long pass = 0; pass < passes; pass++) {
    float c[AHEAD][4] = {};
#pragma unroll 1
    for (int i = 0; i < PRODUCTS; i++) {
#pragma unroll
      for (int n = 0; n < AHEAD; n++) warp_mma(c[n], a, b[n], b[n]);
    }
#pragma unroll
    for (int n = 0; n < AHEAD; n++)
#pragma unroll
      for (int i = 0; i < 4; i++) hash = hash * 31 + uint32_t(c[n][i]);
  }
  sums[blockIdx.x * THREADS + threadIdx.x] = hash;
#endif
}
