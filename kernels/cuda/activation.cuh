// The activations of graph/ir and their slopes, in float32.
#pragma once
#include "cuda.cuh"
#include "format.cuh"

__device__ inline float thread_sigmoid(float z) { return 1.0f / (1.0f + expf(-z)); }

constexpr float LEAK = 0.01f;
constexpr float GELU0 = 0.7978845608028654f; // sqrt(2/pi)
constexpr float GELU1 = 0.044715f;

// thread_activate is f(z).
__device__ inline float thread_activate(int activation, float z) {
  switch (activation) {
  case ACT_IDENTITY: return z;
  case ACT_SIGMOID: return thread_sigmoid(z);
  case ACT_TANH: return tanhf(z);
  case ACT_RELU:
  case ACT_RECTIFY: return z > 0 || z != z ? z : 0.0f;
  case ACT_LEAKY_RELU: return z > 0 ? z : LEAK * z;
  case ACT_SOFTPLUS: return fmaxf(z, 0.0f) + log1pf(expf(-fabsf(z)));
  case ACT_SILU: return z * thread_sigmoid(z);
  case ACT_GELU_TANH: return 0.5f * z * (1.0f + tanhf(GELU0 * (z + GELU1 * z * z * z)));
  case ACT_SOFTSIGN: return z / (1.0f + fabsf(z));
  }
  return NAN; // not a program that pack.go packs
}

// thread_slope is f'(z).
__device__ inline float thread_slope(int activation, float z) {
  switch (activation) {
  case ACT_IDENTITY: return 1.0f;
  case ACT_SIGMOID: {
    float s = thread_sigmoid(z);
    return s * (1.0f - s);
  }
  case ACT_TANH: {
    float t = tanhf(z);
    return 1.0f - t * t;
  }
  case ACT_RELU: return z > 0 ? 1.0f : 0.0f;
  case ACT_RECTIFY: return z >= 0 ? 1.0f : 0.0f;
  case ACT_LEAKY_RELU: return z > 0 ? 1.0f : LEAK;
  case ACT_SOFTPLUS: return thread_sigmoid(z);
  case ACT_SILU: {
    float s = thread_sigmoid(z);
    return s * (1.0f + z * (1.0f - s));
  }
  case ACT_GELU_TANH: {
    float t = tanhf(GELU0 * (z + GELU1 * z * z * z));
    return 0.5f * (1.0f + t) + 0.5f * z * (1.0f - t * t) * GELU0 * (1.0f + 3.0f * GELU1 * z * z);
  }
  case ACT_SOFTSIGN: {
    float d = 1.0f + fabsf(z);
    return 1.0f / (d * d);
  }
  }
  return NAN;
}
