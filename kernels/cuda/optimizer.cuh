// kernels.Update: the optimizers, with the same roundings.
#pragma once
#include "block.cuh"

// What an update of a parameter needs, in registers.
struct Update {
  float *weights, *slot0, *slot1; // slots: the velocity, or the running means
  int32_t optimizer;
  bool fours; // the arrays are aligned to four elements
  float decay, keep, beta1, beta2, rest1, rest2, epsilon;
  Scalars now; // shrink: of this parameter
};

__device__ inline float *thread_address(const Block &block, const Location &p) { return thread_address(block, p.space, p.offset); }

__device__ inline Update thread_updates(const Block &block, const Param &p) {
  const Job &job = block.job;
  Update u = {thread_address(block, p.weights), thread_address(block, p.slot0), thread_address(block, p.slot1), job.optimizer, false,
              p.bias ? 0.0f : job.decay, job.keep, job.beta1, job.beta2, job.rest1, job.rest2, job.epsilon, block.now};
  if (p.bias) u.now.shrink = 1;
  u.fours = (reinterpret_cast<uintptr_t>(u.weights) | reinterpret_cast<uintptr_t>(u.slot0) | reinterpret_cast<uintptr_t>(u.slot1)) % 16 == 0;
  return u;
}

// thread_updated updates one element w with gradient g.
__device__ inline void thread_updated(const Update &u, float g, float &w, float &slot0, float &slot1) {
  switch (u.optimizer) {
  case OPTIMIZER_SGD:
    w = __fsub_rn(w, __fmul_rn(u.now.lr, __fadd_rn(g, __fmul_rn(u.decay, w))));
    break;
  case OPTIMIZER_MOMENTUM:
  case OPTIMIZER_NESTEROV: {
    float d = __fadd_rn(g, __fmul_rn(u.decay, w));
    const float velocity = __fadd_rn(__fmul_rn(u.keep, slot0), d);
    slot0 = velocity;
    d = u.optimizer == OPTIMIZER_NESTEROV ? __fadd_rn(d, __fmul_rn(u.keep, velocity)) : velocity;
    w = __fsub_rn(w, __fmul_rn(u.now.lr, d));
    break;
  }
  case OPTIMIZER_ADAM: {
    w = __fmul_rn(w, u.now.shrink);
    const float d = __fadd_rn(g, __fmul_rn(u.decay, w));
    const float mean = __fadd_rn(__fmul_rn(u.beta1, slot0), __fmul_rn(u.rest1, d));
    const float square = __fadd_rn(__fmul_rn(u.beta2, slot1), __fmul_rn(u.rest2, __fmul_rn(d, d)));
    slot0 = mean;
    slot1 = square;
    const float below = __fadd_rn(__fdiv_rn(__fsqrt_rn(square), u.now.root), u.epsilon);
    w = __fsub_rn(w, __fdiv_rn(__fmul_rn(u.now.rate, mean), below));
    break;
  }
  }
}

__device__ inline void thread_update(const Update &u, int64_t i, float g) {
  float w = u.weights[i], slot0 = u.slot0 ? u.slot0[i] : 0.0f, slot1 = u.slot1 ? u.slot1[i] : 0.0f;
  thread_updated(u, g, w, slot0, slot1);
  u.weights[i] = w;
  if (u.slot0) u.slot0[i] = slot0;
  if (u.slot1) u.slot1[i] = slot1;
}

__device__ inline float4 thread_four_of(const float *from, int64_t i) {
  return from ? *reinterpret_cast<const float4 *>(from + i) : make_float4(0, 0, 0, 0);
}

// thread_update updates elements i .. i + 3.
__device__ inline void thread_update(const Update &u, int64_t i, const float4 &g) {
  float4 w = thread_four_of(u.weights, i), slot0 = thread_four_of(u.slot0, i), slot1 = thread_four_of(u.slot1, i);
  thread_updated(u, g.x, w.x, slot0.x, slot1.x);
  thread_updated(u, g.y, w.y, slot0.y, slot1.y);
  thread_updated(u, g.z, w.z, slot0.z, slot1.z);
  thread_updated(u, g.w, w.w, slot0.w, slot1.w);
  *reinterpret_cast<float4 *>(u.weights + i) = w;
  if (u.slot0) *reinterpret_cast<float4 *>(u.slot0 + i) = slot0;
  if (u.slot1) *reinterpret_cast<float4 *>(u.slot1 + i) = slot1;
}

// block_update updates the parameters whose gradients are stored. A barrier must come before they are read.
__device__ __noinline__ void block_update(Block &block) {
#pragma unroll 1
  for (int p = 0; p < block.plan.updates; p++) {
    const Param &param = block.params[p];
    const Update u = thread_updates(block, param);
    const float *gradient = thread_address(block, param.gradient);
#pragma unroll 1
    for (int i = thread_first(block); i < param.length; i += thread_stride(block)) thread_update(u, i, gradient[i]);
  }
}
