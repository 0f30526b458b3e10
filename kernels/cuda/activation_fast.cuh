// The activations of activation.cuh and their slopes with the approximations of the special function unit, for resident kernels.
#pragma once
#include "activation.cuh"
#include "tensor.cuh"

// COARSE: tanh with an absolute error of 2^-11, half a rounding of bf16; otherwise all errors are some 2^-22, absolute or relative.
constexpr float LOG2E = 1.4426950408889634f, LN2 = 0.6931471805599453f;

template <bool COARSE> __device__ inline float thread_sigmoid_fast(float z) {
  if constexpr (COARSE) return 0.5f + 0.5f * thread_tanh_fast(0.5f * z);
  return thread_reciprocal(1.0f + thread_exp2(-LOG2E * z));
}

template <bool COARSE> __device__ inline float thread_tanh_or_fast(float z) {
  if constexpr (COARSE) return thread_tanh_fast(z);
  return 2.0f * thread_sigmoid_fast<false>(2.0f * z) - 1.0f;
}

// thread_activate_fast replaces z by f(z), and gives f'(z).
template <bool COARSE, int ACTIVATION> __device__ inline void thread_activate_fast(float &z, float &slope) {
  if constexpr (ACTIVATION == ACT_SIGMOID) {
    z = thread_sigmoid_fast<COARSE>(z);
    slope = z - z * z;
  } else if constexpr (ACTIVATION == ACT_TANH) {
    z = thread_tanh_or_fast<COARSE>(z);
    slope = 1.0f - z * z;
  } else if constexpr (ACTIVATION == ACT_RELU || ACTIVATION == ACT_RECTIFY) {
    slope = (ACTIVATION == ACT_RELU ? z > 0 : z >= 0) ? 1.0f : 0.0f;
    z = z > 0 || z != z ? z : 0.0f;
  } else if constexpr (ACTIVATION == ACT_LEAKY_RELU) {
    slope = z > 0 ? 1.0f : LEAK;
    z = z * slope;
  } else if constexpr (ACTIVATION == ACT_SOFTPLUS) {
    const float e = thread_exp2(-LOG2E * fabsf(z)), r = thread_reciprocal(1.0f + e);
    slope = z > 0 ? r : e * r;
    z = fmaxf(z, 0.0f) + LN2 * thread_log2(1.0f + e);
  } else if constexpr (ACTIVATION == ACT_SILU) {
    const float s = thread_sigmoid_fast<COARSE>(z);
    slope = s * (1.0f + z * (1.0f - s));
    z = z * s;
  } else if constexpr (ACTIVATION == ACT_GELU_TANH) {
    const float t = thread_tanh_or_fast<COARSE>(GELU0 * (z + GELU1 * z * z * z));
    slope = 0.5f * (1.0f + t) + 0.5f * z * (1.0f - t * t) * GELU0 * (1.0f + 3.0f * GELU1 * z * z);
    z = 0.5f * z * (1.0f + t);
  } else if constexpr (ACTIVATION == ACT_SOFTSIGN) {
    const float r = thread_reciprocal(1.0f + fabsf(z));
    slope = r * r;
    z = z * r;
  } else {
    slope = 1.0f;
  }
}
