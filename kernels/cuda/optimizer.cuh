// kernels.Update: the optimizers, with the same roundings.
#pragma once
#include "block.cuh"

// thread_array is where an array of the network's state lives while it trains.
__device__ inline float *thread_array(const Block &block, const Array &a) {
  return a.space == SPACE_SHARED ? block.shared + a.offset : reinterpret_cast<float *>(block.job.state) + a.offset;
}

// thread_update updates one element w with gradient g. slot0 and slot1 are its velocity, or its running means.
__device__ inline void thread_update(const Job &job, const Scalars &now, float decay, float shrink, float g, float &w,
                                     float *slot0, float *slot1) {
  switch (job.optimizer) {
  case OPTIMIZER_SGD:
    w = __fsub_rn(w, __fmul_rn(now.step_size, __fadd_rn(g, __fmul_rn(decay, w))));
    break;
  case OPTIMIZER_MOMENTUM:
  case OPTIMIZER_NESTEROV: {
    float d = __fadd_rn(g, __fmul_rn(decay, w));
    const float velocity = __fadd_rn(__fmul_rn(job.keep, *slot0), d);
    *slot0 = velocity;
    d = job.optimizer == OPTIMIZER_NESTEROV ? __fadd_rn(d, __fmul_rn(job.keep, velocity)) : velocity;
    w = __fsub_rn(w, __fmul_rn(now.step_size, d));
    break;
  }
  case OPTIMIZER_ADAM: {
    w = __fmul_rn(w, shrink);
    const float d = __fadd_rn(g, __fmul_rn(decay, w));
    const float mean = __fadd_rn(__fmul_rn(job.beta1, *slot0), __fmul_rn(job.rest1, d));
    const float square = __fadd_rn(__fmul_rn(job.beta2, *slot1), __fmul_rn(job.rest2, __fmul_rn(d, d)));
    *slot0 = mean;
    *slot1 = square;
    const float below = __fadd_rn(__fdiv_rn(__fsqrt_rn(square), now.root), job.epsilon);
    w = __fsub_rn(w, __fdiv_rn(__fmul_rn(now.rate, mean), below));
    break;
  }
  }
}

// block_update updates all parameters with their gradients. A barrier must come before they are read.
__device__ inline void block_update(Block &block, const Scalars &now) {
  const Job &job = block.job;
  const Plan &plan = block.plan;
  const Param *params = reinterpret_cast<const Param *>(block.launch.params) + plan.param;
  const Array *arrays = reinterpret_cast<const Array *>(block.launch.arrays) + plan.array;
  for (int p = 0; p < plan.params; p++) {
    const float *gradient = thread_address(block, params[p].gradient);
    float *w = thread_array(block, arrays[p]);
    float *slot0 = plan.arrays > plan.params ? thread_array(block, arrays[plan.params + p]) : nullptr;
    float *slot1 = plan.arrays > 2 * plan.params ? thread_array(block, arrays[2 * plan.params + p]) : nullptr;
    const float decay = params[p].bias ? 0.0f : job.decay, shrink = params[p].bias ? 1.0f : now.shrink;
    for (int i = thread_index(); i < arrays[p].length; i += THREADS)
      thread_update(job, now, decay, shrink, gradient[i], w[i], slot0 + i, slot1 + i);
  }
}
