// A kernel that uses what the other kernels stand on (many blocks, dynamic and
// static shared memory, barriers, shuffles, atomics) and has a result that the
// host can compute. The tests of package driver launch it; it is the first thing
// to run on a new GPU.
#include "cuda.cuh"

// selftest adds up n numbers: sum[0] becomes their sum, most[0] their maximum, and
// x[i] is replaced by the sum of its block's part up to and including x[i].
//
// Blocks take parts of blockDim.x numbers from the queue next[0] until there are
// no more, so any grid does. It needs 4 bytes of dynamic shared memory per thread.
extern "C" __global__ void __launch_bounds__(256) selftest(unsigned *x, long long n, unsigned *next, unsigned long long *sum, unsigned *most) {
  DYNAMIC_SHARED(unsigned, scan);
  __shared__ unsigned part;
  __shared__ unsigned warps_most[32];
  const unsigned thread = threadIdx.x, threads = blockDim.x;
  for (;;) {
    if (thread == 0) part = atomicAdd(next, 1u);
    __syncthreads();
    const long long first = (long long)part * threads;
    if (first >= n) return;
    const long long i = first + thread;
    const unsigned value = i < n ? x[i] : 0;

    unsigned largest = value;
    for (int offset = 16; offset > 0; offset /= 2) {
      const unsigned other = __shfl_xor_sync(~0u, largest, offset);
      largest = other > largest ? other : largest;
    }
    if (thread % 32 == 0) warps_most[thread / 32] = largest;

    scan[thread] = value;
    __syncthreads();
    for (unsigned distance = 1; distance < threads; distance *= 2) {
      const unsigned before = thread >= distance ? scan[thread - distance] : 0;
      __syncthreads();
      scan[thread] += before;
      __syncthreads();
    }
    if (i < n) x[i] = scan[thread];
    if (thread == threads - 1) atomicAdd(sum, (unsigned long long)scan[thread]);
    if (thread < threads / 32) atomicMax(most, warps_most[thread]);
  }
}
