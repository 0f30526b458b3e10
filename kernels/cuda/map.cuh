// Maps: tensor operations element by element. A pass over the elements runs a list of instructions for each of them, so that
// what lies between the instructions needs no memory.
#pragma once
#include "activation.cuh"
#include "product.cuh"

// A thread takes so many elements at a time; its slots for them lie in its warp's stage.
constexpr int MAP_ELEMENTS = 4, MAP_SLOTS = STAGE / (WARP * MAP_ELEMENTS);
static_assert(MAP_SLOTS == 7, "group.go");

// thread_function is what takes so long that it does not matter that it is called.
__device__ __noinline__ float thread_function(int function, float a, float b) {
  switch (function) {
  case FN_SIN: return sinf(a);
  case FN_COS: return cosf(a);
  case FN_EXP: return expf(a);
  case FN_LN: return logf(a);
  case FN_LOG1P: return log1pf(a);
  case FN_EXPM1: return expm1f(a);
  case FN_SQRT: return __fsqrt_rn(a);
  case FN_INV: return __fdiv_rn(1.0f, a);
  case FN_TANH: return tanhf(a);
  case FN_SIGMOID: return thread_sigmoid(a);
  case FN_SOFTPLUS: return thread_activate(ACT_SOFTPLUS, a);
  case FN_DIV: return __fdiv_rn(a, b);
  case FN_POW: return powf(a, b);
  }
  return NAN; // no function that pack.go packs
}

template <class F> __device__ inline void thread_each(float (&v)[MAP_ELEMENTS], F f) {
#pragma unroll
  for (int k = 0; k < MAP_ELEMENTS; k++) v[k] = f(k);
}

// thread_apply computes v = function(v, w).
__device__ inline void thread_apply(int function, float (&v)[MAP_ELEMENTS], const float (&w)[MAP_ELEMENTS]) {
  switch (function) {
  case FN_COPY: break;
  case FN_ABS: thread_each(v, [&](int k) { return fabsf(v[k]); }); break;
  case FN_SIGN: thread_each(v, [&](int k) { return float(v[k] > 0) - float(v[k] < 0); }); break;
  case FN_CEIL: thread_each(v, [&](int k) { return ceilf(v[k]); }); break;
  case FN_FLOOR: thread_each(v, [&](int k) { return floorf(v[k]); }); break;
  case FN_NEG: thread_each(v, [&](int k) { return -v[k]; }); break;
  case FN_SQUARE: thread_each(v, [&](int k) { return __fmul_rn(v[k], v[k]); }); break;
  case FN_CUBE: thread_each(v, [&](int k) { return __fmul_rn(__fmul_rn(v[k], v[k]), v[k]); }); break;
  case FN_ADD: thread_each(v, [&](int k) { return __fadd_rn(v[k], w[k]); }); break;
  case FN_SUB: thread_each(v, [&](int k) { return __fsub_rn(v[k], w[k]); }); break;
  case FN_MUL: thread_each(v, [&](int k) { return __fmul_rn(v[k], w[k]); }); break;
  // Unlike fmaxf and fminf, what is not a number stays so.
  case FN_MAX: thread_each(v, [&](int k) { return v[k] != v[k] ? v[k] : w[k] != w[k] ? w[k] : fmaxf(v[k], w[k]); }); break;
  case FN_MIN: thread_each(v, [&](int k) { return v[k] != v[k] ? v[k] : w[k] != w[k] ? w[k] : fminf(v[k], w[k]); }); break;
  case FN_GT: thread_each(v, [&](int k) { return float(v[k] > w[k]); }); break;
  case FN_GE: thread_each(v, [&](int k) { return float(v[k] >= w[k]); }); break;
  case FN_LT: thread_each(v, [&](int k) { return float(v[k] < w[k]); }); break;
  case FN_LE: thread_each(v, [&](int k) { return float(v[k] <= w[k]); }); break;
  case FN_EQ: thread_each(v, [&](int k) { return float(v[k] == w[k]); }); break;
  case FN_NE: thread_each(v, [&](int k) { return float(v[k] != w[k]); }); break;
  default: thread_each(v, [&](int k) { return thread_function(function, v[k], w[k]); });
  }
}

// thread_source loads a thread's elements first, first + WARP, ... of an operand; what lies beyond the length is zero.
__device__ inline void thread_source(const Block &block, const Source &s, const View *views, const float4 *slots, int first,
                                     int length, float (&v)[MAP_ELEMENTS]) {
  switch (s.kind) {
  case SOURCE_NUMBER: thread_each(v, [&](int) { return s.number; }); break;
  case SOURCE_SLOT: {
    const float4 four = slots[s.index * WARP];
    v[0] = four.x, v[1] = four.y, v[2] = four.z, v[3] = four.w;
    break;
  }
  case SOURCE_VIEW: {
    const View &view = views[s.index];
    const Elements e = thread_elements(block, view.space, 0);
    thread_each(v, [&](int k) {
      const int i = first + k * WARP;
      return i < length ? thread_element(e, thread_offset(view, i)) : 0.0f;
    });
    break;
  }
  case SOURCE_LABEL: {
    const int *labels = thread_labels(block);
    thread_each(v, [&](int k) {
      const int i = first + k * WARP;
      return i < length ? thread_target(block, labels[i / s.index], i % s.index, s.index) : 0.0f;
    });
    break;
  }
  }
}

// block_map runs a map's instructions for all elements.
__device__ __noinline__ void block_map(Block &block, const Tensor &t) {
  const View *views = reinterpret_cast<const View *>(block.launch.views) + t.view;
  const Instruction *code = reinterpret_cast<const Instruction *>(block.launch.instructions) + t.instruction;
  float4 *slots = reinterpret_cast<float4 *>(block.stage[thread_warp()]) + thread_lane();
  const int stride = thread_stride(block) * MAP_ELEMENTS;
  for (int first = (block.number * WARPS + thread_warp()) * WARP * MAP_ELEMENTS + thread_lane(); first < t.length; first += stride) {
#pragma unroll 1
    for (int n = 0; n < t.instructions; n++) {
      const Instruction in = code[n];
      float v[MAP_ELEMENTS], w[MAP_ELEMENTS];
      thread_source(block, in.a, views, slots, first, t.length, v);
      thread_source(block, in.b, views, slots, first, t.length, w);
      thread_apply(in.function, v, w);
      slots[in.slot * WARP] = make_float4(v[0], v[1], v[2], v[3]);
      if (in.store < 0) continue;
      const View &view = views[in.store];
      float *to = thread_address(block, view.space, 0);
#pragma unroll
      for (int k = 0; k < MAP_ELEMENTS; k++)
        if (first + k * WARP < t.length) to[thread_offset(view, first + k * WARP)] = v[k];
    }
  }
}
