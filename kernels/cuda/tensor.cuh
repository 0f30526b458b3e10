// Instructions of compute capability 8.0 that C++ has no words for: tensor cores, copies that run beside the thread,
// barriers for some of a block's warps, and the approximations of the special function unit. PTX ISA, by the names in the
// asm; standin/src/tensor_host.h says the same for the CPU.
//
// A pair is two bf16 numbers in 32 bits, the first one in the low half. Matrices of 8 x 8 numbers lie in a warp's registers
// as PTX has them: lane 4g + t holds columns 2t and 2t + 1 of row g.
#pragma once
#include "cuda.cuh"

#ifdef __CUDACC__
__device__ inline uint32_t thread_shared(const void *p) { return uint32_t(__cvta_generic_to_shared(p)); }

// thread_pack rounds two numbers to the nearest bf16.
__device__ inline unsigned thread_pack(float low, float high) {
  unsigned pair;
  asm("cvt.rn.bf16x2.f32 %0, %1, %2;" : "=r"(pair) : "f"(high), "f"(low));
  return pair;
}

// warp_mma adds a·b to c: 16 x 16 by 16 x 8, bf16, sums in float32. Row g + 8i of a lane's c is in c[2i], c[2i + 1], columns
// 2t and 2t + 1. Volatile: independent products keep the order in which they are written.
__device__ inline void warp_mma(float (&c)[4], const unsigned (&a)[4], unsigned b0, unsigned b1) {
  asm volatile("mma.sync.aligned.m16n8k16.row.col.f32.bf16.bf16.f32 {%0,%1,%2,%3}, {%4,%5,%6,%7}, {%8,%9}, {%0,%1,%2,%3};"
               : "+f"(c[0]), "+f"(c[1]), "+f"(c[2]), "+f"(c[3])
               : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "r"(b0), "r"(b1));
}

// warp_load_matrices loads four matrices; lane 8m + r gives the address of row r of matrix m, 16 bytes in shared memory.
__device__ inline void warp_load_matrices(unsigned (&to)[4], const void *from) {
  asm volatile("ldmatrix.sync.aligned.m8n8.x4.shared.b16 {%0,%1,%2,%3}, [%4];"
               : "=r"(to[0]), "=r"(to[1]), "=r"(to[2]), "=r"(to[3]) : "r"(thread_shared(from)) : "memory");
}
__device__ inline void warp_load_transposed(unsigned (&to)[4], const void *from) {
  asm volatile("ldmatrix.sync.aligned.m8n8.x4.trans.shared.b16 {%0,%1,%2,%3}, [%4];"
               : "=r"(to[0]), "=r"(to[1]), "=r"(to[2]), "=r"(to[3]) : "r"(thread_shared(from)) : "memory");
}

// warp_store_matrices is the reverse of warp_load_matrices. base is where the first matrix is, two and two beside and below
// each other as a left operand has them, in rows of so many bytes: devices before 9.0 store a pair at a time.
__device__ inline void warp_store_matrices(void *to, const unsigned (&from)[4], unsigned char *base, int row) {
#if __CUDA_ARCH__ >= 900
  asm volatile("stmatrix.sync.aligned.m8n8.x4.shared.b16 [%0], {%1,%2,%3,%4};"
               ::"r"(thread_shared(to)), "r"(from[0]), "r"(from[1]), "r"(from[2]), "r"(from[3]) : "memory");
#else
  const int lane = threadIdx.x % 32;
#pragma unroll
  for (int m = 0; m < 4; m++) *reinterpret_cast<unsigned *>(base + (lane / 4 + 8 * (m % 2)) * row + 4 * (lane % 4) + 16 * (m / 2)) = from[m];
#endif
}

// warp_transpose transposes a matrix in registers.
__device__ inline unsigned warp_transpose(unsigned v) {
  unsigned transposed;
  asm volatile("movmatrix.sync.aligned.m8n8.trans.b16 %0, %1;" : "=r"(transposed) : "r"(v));
  return transposed;
}

// thread_copy_async copies 16 bytes from global to shared memory. They are there for this thread once it has waited.
__device__ inline void thread_copy_async(void *to, const void *from) {
  asm volatile("cp.async.cg.shared.global [%0], [%1], 16;" ::"r"(thread_shared(to)), "l"(from) : "memory");
}
__device__ inline void thread_copy_commit() { asm volatile("cp.async.commit_group;" ::: "memory"); }
__device__ inline void thread_copy_wait() { asm volatile("cp.async.wait_group 0;" ::: "memory"); }

// thread_copy_wait_but waits for all groups that the thread has committed but the last so many.
template <int LATER> __device__ inline void thread_copy_wait_but() { asm volatile("cp.async.wait_group %0;" ::"n"(LATER) : "memory"); }
// Global memory, past the first-level cache and in the order in which they are written: what is loaded early takes registers.
__device__ inline float4 thread_load_far(const float4 *from) {
  float4 v;
  asm volatile("ld.volatile.global.v4.f32 {%0,%1,%2,%3}, [%4];" : "=f"(v.x), "=f"(v.y), "=f"(v.z), "=f"(v.w) : "l"(__cvta_generic_to_global(from)) : "memory");
  return v;
}
__device__ inline void thread_store_far(float4 *to, float4 v) {
  asm volatile("st.volatile.global.v4.f32 [%0], {%1,%2,%3,%4};" ::"l"(__cvta_generic_to_global(to)), "f"(v.x), "f"(v.y), "f"(v.z), "f"(v.w) : "memory");
}

// A barrier for so many threads, whole warps: those that sync wait for those that sync or arrive.
__device__ inline void warp_barrier_sync(int id, int threads) { asm volatile("bar.sync %0, %1;" ::"r"(id), "r"(threads) : "memory"); }
__device__ inline void warp_barrier_arrive(int id, int threads) { asm volatile("bar.arrive %0, %1;" ::"r"(id), "r"(threads) : "memory"); }

// thread_multiply_pairs keeps subnormal numbers. (fma: a multiplication of pairs exists from 9.0 on.)
__device__ inline unsigned thread_multiply_pairs(unsigned a, unsigned b) {
  unsigned product;
  asm("fma.rn.bf16x2 %0, %1, %2, %3;" : "=r"(product) : "r"(a), "r"(b), "r"(0x80008000u));
  return product;
}

// thread_opaque hides from the compiler what v is, so that what depends on it is computed where it is used and takes no
// register meanwhile.
__device__ inline int thread_opaque(int v) {
  asm volatile("" : "+r"(v));
  return v;
}

// thread_uniform is v, which is the same in all lanes of a warp: the compiler sees that it is, so that v and what depends on it
// take no lane's registers.
__device__ inline int thread_uniform(int v) { return __shfl_sync(~0u, v, 0); }

__device__ inline float thread_tanh_fast(float x) { // absolute error 2^-11
  float y;
  asm("tanh.approx.f32 %0, %1;" : "=f"(y) : "f"(x));
  return y;
}
__device__ inline float thread_reciprocal(float x) { // 1 ulp
  float y;
  asm("rcp.approx.ftz.f32 %0, %1;" : "=f"(y) : "f"(x));
  return y;
}
__device__ inline float thread_exp2(float x) { // relative error 2^-22
  float y;
  asm("ex2.approx.ftz.f32 %0, %1;" : "=f"(y) : "f"(x));
  return y;
}
__device__ inline float thread_log2(float x) { // error 2^-22, absolute near 1 and relative elsewhere
  float y;
  asm("lg2.approx.ftz.f32 %0, %1;" : "=f"(y) : "f"(x));
  return y;
}
__device__ inline float thread_root(float x) { // relative error 2^-22
  float y;
  asm("sqrt.approx.ftz.f32 %0, %1;" : "=f"(y) : "f"(x));
  return y;
}
#else
#include "tensor_host.h"
#endif
