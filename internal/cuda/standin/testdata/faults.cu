// Kernels with one mistake each, which the stand-in must notice, and the ways in
// which it notices. standin_test.go launches them with one block of 64 threads.
#include "../../../../kernels/cuda/cuda.cuh"

extern "C" __global__ void far_outside(float *x, long long n) { x[n + threadIdx.x] = 1; }

extern "C" __global__ void just_outside(float *x, long long n) {
  if (threadIdx.x == 0) x[n] = 1;
}

extern "C" __global__ void before_beginning(float *x, long long) {
  if (threadIdx.x == 0) x[-1] = 1;
}

extern "C" __global__ void null_pointer(float *, long long) { *(volatile float *)nullptr = 1; }

extern "C" __global__ void index_outside(float *x, long long n) {
  __shared__ float few[16];
  few[threadIdx.x + n - n] = 1; // 64 threads
  x[0] = few[0];
}

extern "C" __global__ void misaligned(float *x, long long) { *reinterpret_cast<double *>(x + 1 + 2 * threadIdx.x) = 1; }

extern "C" __global__ void behind_shared(float *x, long long) {
  DYNAMIC_SHARED(float, shared);
  shared[threadIdx.x + 1024] = 1; // the launch has 64 floats
  x[0] = shared[threadIdx.x];
}

extern "C" __global__ void different_barriers(float *, long long) {
  if (threadIdx.x < 16) {
    __syncthreads();
  } else {
    __syncthreads();
  }
}

extern "C" __global__ void never_met(float *, long long) {
  if (threadIdx.x < 16)
    __syncwarp();
  else
    __syncthreads();
}

extern "C" __global__ void partial_mask(float *x, long long) {
  if (threadIdx.x < 16) x[threadIdx.x] = __shfl_xor_sync(0xffffu, x[threadIdx.x], 1);
}

extern "C" __global__ void asserts(float *, long long n) { assert(n < 0); }

extern "C" __global__ void traps(float *, long long n) {
  if (n > 0) __trap();
}

// The next ones end well, with wrong numbers in x: a barrier is missing, or a value.

extern "C" __global__ void ahead(float *x, long long) {
  DYNAMIC_SHARED(float, shared);
  shared[threadIdx.x] = threadIdx.x;
  x[threadIdx.x] = shared[threadIdx.x ^ 63]; // wrong in any order
}

extern "C" __global__ void behind(float *x, long long) {
  DYNAMIC_SHARED(float, shared);
  shared[threadIdx.x] = threadIdx.x;
  x[threadIdx.x] = shared[threadIdx.x == 0 ? 0 : threadIdx.x - 1]; // right in forward order
}

extern "C" __global__ void unset_dynamic(float *x, long long) {
  DYNAMIC_SHARED(float, shared);
  x[threadIdx.x] = shared[threadIdx.x];
}

extern "C" __global__ void unset_static(float *x, long long n) {
  __shared__ float shared[64];
  if (n < 0) shared[threadIdx.x] = 1;
  x[threadIdx.x] = shared[threadIdx.x];
}

// And these are right.

extern "C" __global__ void returned_early(float *x, long long) {
  if (threadIdx.x >= 40) return; // barriers and warps go on without it
  DYNAMIC_SHARED(float, shared);
  shared[threadIdx.x] = threadIdx.x;
  __syncthreads();
  float v = shared[39 - threadIdx.x];
  x[threadIdx.x] = __shfl_up_sync(__activemask(), v, 1);
}

extern "C" __global__ void votes(float *x, long long) {
  const int thread = threadIdx.x;
  const int count = __syncthreads_count(thread % 3 == 0), any = __syncthreads_or(thread == 63), all = __syncthreads_and(thread != 63);
  const unsigned ballot = __ballot_sync(~0u, thread % 2 == 0);
  x[thread] = count + 100 * any + 1000 * all + (ballot == 0x55555555 ? 10000 : 0);
}
