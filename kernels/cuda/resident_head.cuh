// The head: the warp that owns all but the first layer's weights.
#pragma once
#include "resident_pixels.cuh"

typedef float Matrix[2][2][4]; // 32 x 16, in the accumulators' layout

// each calls f(m, h, i, row below 8g, column) for a lane's elements. The loops are unrolled: a matrix is in registers.
#define EACH_ELEMENT        \
  _Pragma("unroll")         \
  for (int m = 0; m < 2; m++) \
    _Pragma("unroll")       \
    for (int h = 0; h < 2; h++) \
      _Pragma("unroll")     \
      for (int i = 0; i < 4; i++)

// Operand is a matrix as left operand: sums of TERMS pairs.
template <int TERMS> struct Operand32 { unsigned term[TERMS][2][4]; };

template <int TERMS> __device__ inline void thread_operand(Operand32<TERMS> &to, const Matrix &z) {
#pragma unroll
  for (int m = 0; m < 2; m++)
#pragma unroll
    for (int h = 0; h < 2; h++)
#pragma unroll
      for (int r = 0; r < 2; r++) {
        unsigned pairs[TERMS];
        thread_split<TERMS>(pairs, z[m][h][2 * r], z[m][h][2 * r + 1]);
#pragma unroll
        for (int t = 0; t < TERMS; t++) to.term[t][m][2 * h + r] = pairs[t];
      }
}

// warp_store_operand writes it to shared memory, row-major, TERMS matrices.
template <class C> __device__ inline void warp_store_operand(unsigned char *tile, const Operand32<C::TERMS> &a) {
  using L = Layout<C>;
  const int lane = thread_lane();
#pragma unroll
  for (int t = 0; t < C::TERMS; t++)
#pragma unroll
    for (int m = 0; m < 2; m++) {
      unsigned char *half = tile + t * L::TILE + 2 * 16 * m * L::TILE_ROW;
      warp_store_matrices(half + 2 * (lane % 16 * L::TILE_ROW + 8 * (lane / 16)), a.term[t][m], half, 2 * L::TILE_ROW);
    }
}

// warp_load_tile loads a 32 x 16 matrix transposed: the left operand of a gradient (16 x 32), and, as pairs 0, 2 and 1, 3 of
// each, the right one.
template <class C> __device__ inline void warp_load_tile(unsigned (&to)[C::TERMS][2][4], const unsigned char *tile) {
  using L = Layout<C>;
  const int lane = thread_lane();
#pragma unroll
  for (int t = 0; t < C::TERMS; t++)
#pragma unroll
    for (int m = 0; m < 2; m++)
      warp_load_transposed(to[t][m], tile + t * L::TILE + 2 * ((16 * m + lane % 8 + 8 * (lane / 16)) * L::TILE_ROW + 8 * (lane / 8 % 2)));
}

// warp_product adds a·b to z; b is 16 x 16, packed. Terms whose product is below the rounding of float32 are left out.
template <int TERMS> __device__ inline void warp_product(Matrix &z, const Operand32<TERMS> &a, const uint4 *packed) {
#pragma unroll
  for (int j = TERMS - 1; j >= 0; j--) {
    const uint4 b = packed[j * WARP];
#pragma unroll
    for (int i = TERMS - 1 - j; i >= 0; i--)
#pragma unroll
      for (int m = 0; m < 2; m++) {
        warp_mma(z[m][0], a.term[i][m], b.x, b.y);
        warp_mma(z[m][1], a.term[i][m], b.z, b.w);
      }
  }
}

// warp_pack writes 16 x 16 weights in the accumulators' layout, w[h][i] = W[g + 8(i / 2)][8h + 2t + i % 2], as right operand of
// the forward product and of the way back.
template <int TERMS> __device__ inline void warp_pack(uint4 *packed, const float (&w)[2][4]) {
  unsigned forward[TERMS][4], back[TERMS][4];
#pragma unroll
  for (int j = 0; j < 2; j++)
#pragma unroll
    for (int h = 0; h < 2; h++) {
      unsigned pairs[TERMS];
      thread_split<TERMS>(pairs, w[h][2 * j], w[h][2 * j + 1]);
#pragma unroll
      for (int t = 0; t < TERMS; t++) {
        forward[t][2 * j + h] = pairs[t];
        back[t][2 * h + j] = warp_transpose(pairs[t]);
      }
    }
#pragma unroll
  for (int t = 0; t < TERMS; t++) {
    packed[t * WARP] = uint4{forward[t][0], forward[t][1], forward[t][2], forward[t][3]};
    packed[(TERMS + t) * WARP] = uint4{back[t][0], back[t][1], back[t][2], back[t][3]};
  }
}

__device__ inline void thread_spread(Matrix &z, const float4 &bias) {
  const float b[4] = {bias.x, bias.y, bias.z, bias.w};
  EACH_ELEMENT z[m][h][i] = b[2 * h + i % 2];
}

// warp_activate_all replaces z by f(z), and gives the slopes.
template <int TERMS, int ACTIVATION> __device__ inline void warp_activate_all(Matrix &z, Matrix &slope) {
  EACH_ELEMENT thread_activate_fast<TERMS == 1, ACTIVATION>(z[m][h][i], slope[m][h][i]);
}

template <int TERMS> __device__ inline void warp_activate(int activation, Matrix &z, Matrix &slope) {
  switch (activation) {
  case ACT_SIGMOID: return warp_activate_all<TERMS, ACT_SIGMOID>(z, slope); //@ hot cold=relu
  case ACT_TANH: return warp_activate_all<TERMS, ACT_TANH>(z, slope); //@ cold
  case ACT_RELU: return warp_activate_all<TERMS, ACT_RELU>(z, slope); //@ hot cold=sigmoid
  case ACT_RECTIFY: return warp_activate_all<TERMS, ACT_RECTIFY>(z, slope); //@ cold
  case ACT_LEAKY_RELU: return warp_activate_all<TERMS, ACT_LEAKY_RELU>(z, slope); //@ cold
  case ACT_SOFTPLUS: return warp_activate_all<TERMS, ACT_SOFTPLUS>(z, slope); //@ cold
  case ACT_SILU: return warp_activate_all<TERMS, ACT_SILU>(z, slope); //@ cold
  case ACT_GELU_TANH: return warp_activate_all<TERMS, ACT_GELU_TANH>(z, slope); //@ cold
  case ACT_SOFTSIGN: return warp_activate_all<TERMS, ACT_SOFTSIGN>(z, slope); //@ cold
  }
  warp_activate_all<TERMS, ACT_IDENTITY>(z, slope); //@ cold
}

// warp_loss_deltas replaces the last layer's z by its deltas, and leaves the outputs for warp_loss. A row of a matrix is in four
// lanes; label and share are of the lane's four rows, the share 0 of rows that are no examples.
template <int TERMS> __device__ inline void warp_loss_deltas(const Chain &chain, Matrix &z, const int (&label)[4], const float (&share)[4], float *outputs, int row_floats) {
  const int t = thread_lane() % 4;
  Matrix slope;
  const bool quadratic = chain.loss == LOSS_QUADRATIC;
  if (quadratic)
    warp_activate<TERMS>(chain.layers[chain.depth - 1].activation, z, slope); //@ cold
#pragma unroll
  for (int r = 0; r < 4; r++)
#pragma unroll
    for (int h = 0; h < 2; h++)
      *reinterpret_cast<float2 *>(outputs + 8 * r * row_floats + 8 * h) = float2{z[r / 2][h][2 * (r % 2)], z[r / 2][h][2 * (r % 2) + 1]};
  if (quadratic) {
    const int out = chain.layers[chain.depth - 1].out; //@ cold
    EACH_ELEMENT {
      const int column = 8 * h + 2 * t + i % 2, r = 2 * m + i / 2;                //@ cold
      const float error = z[m][h][i] - (column == label[r] ? 1.0f : 0.0f);        //@ cold
      z[m][h][i] = column < out ? 2 * share[r] * error * slope[m][h][i] : 0.0f; //@ cold
    }
    return; //@ cold
  }
  float best[4], sum[4];
#pragma unroll
  for (int r = 0; r < 4; r++) {
    const float(&a)[2][4] = z[r / 2];
    const int o = 2 * (r % 2);
    best[r] = fmaxf(fmaxf(a[0][o], a[0][o + 1]), fmaxf(a[1][o], a[1][o + 1]));
  }
#pragma unroll
  for (int distance = 1; distance < 4; distance *= 2)
#pragma unroll
    for (int r = 0; r < 4; r++) best[r] = fmaxf(best[r], __shfl_xor_sync(~0u, best[r], distance));
#pragma unroll
  for (int r = 0; r < 4; r++) {
    float(&a)[2][4] = z[r / 2];
    const int o = 2 * (r % 2);
    const float shift = best[r] * LOG2E;
#pragma unroll
    for (int h = 0; h < 2; h++)
#pragma unroll
      for (int i = o; i < o + 2; i++) a[h][i] = thread_exp2(a[h][i] * LOG2E - shift);
    sum[r] = (a[0][o] + a[0][o + 1]) + (a[1][o] + a[1][o + 1]);
  }
#pragma unroll
  for (int distance = 1; distance < 4; distance *= 2)
#pragma unroll
    for (int r = 0; r < 4; r++) sum[r] += __shfl_xor_sync(~0u, sum[r], distance);
  float scale[4];
#pragma unroll
  for (int r = 0; r < 4; r++) scale[r] = share[r] * thread_reciprocal(sum[r]);
  EACH_ELEMENT {
    const int r = 2 * m + i / 2;
    z[m][h][i] = z[m][h][i] * scale[r] - (8 * h + 2 * t + i % 2 == label[r] ? share[r] : 0.0f);
  }
}

// Head is the lane's place in the block's shared memory.
template <class C> struct HeadState {
  using L = Layout<C>;
  unsigned char *shared;
  __device__ unsigned char *layer(int l) const { return shared + L::LAYERS + l * L::LAYER; }
  __device__ float4 *floats(int l, int what) const { return reinterpret_cast<float4 *>(layer(l) + what) + thread_lane(); }
  __device__ uint4 *packed(int l) const { return reinterpret_cast<uint4 *>(layer(l) + L::PACKED) + thread_lane(); }
};

// Kept is four numbers of a lane and what belongs to them, in shared memory stride float4 apart: the optimizer's arrays, their
// gradient if batches have parts.
template <class C> struct Kept {
  float4 *at;
  int stride;
  float4 w, slot0, slot1, sum;

  // The loads come before the products whose sums they wait for.
  __device__ void load(float4 *from, int apart) {
    at = from, stride = apart;
    w = at[0];
    if constexpr (C::SLOTS > 0) slot0 = at[stride];
    if constexpr (C::SLOTS > 1) slot1 = at[2 * stride];
    if constexpr (C::PARTS) sum = at[(1 + C::SLOTS) * stride];
  }

  // step updates the numbers with a gradient, and says whether they changed: at the end of a batch.
  template <bool BIAS> __device__ bool step(float4 g, const Rates &rates, int flags) {
    if constexpr (C::PARTS) {
      if (!(flags & FIRST)) g = float4{g.x + sum.x, g.y + sum.y, g.z + sum.z, g.w + sum.w};
      if (!(flags & LAST)) {
        at[(1 + C::SLOTS) * stride] = g;
        return false;
      }
    }
    thread_step<C, BIAS>(rates, g.x, w.x, slot0.x, slot1.x);
    thread_step<C, BIAS>(rates, g.y, w.y, slot0.y, slot1.y);
    thread_step<C, BIAS>(rates, g.z, w.z, slot0.z, slot1.z);
    thread_step<C, BIAS>(rates, g.w, w.w, slot0.w, slot1.w);
    if constexpr (C::SLOTS > 0) at[stride] = slot0;
    if constexpr (C::SLOTS > 1) at[2 * stride] = slot1;
    return true;
  }
};

// A bias that no output has: it never wins and gets no probability.
__device__ inline float4 thread_mask_outputs(const Layer &layer, float4 bias) {
  const int column = 2 * (thread_lane() % 4);
  const float none = __int_as_float(0xff800000);
  return float4{column < layer.out ? bias.x : none, column + 1 < layer.out ? bias.y : none,
                column + 8 < layer.out ? bias.z : none, column + 9 < layer.out ? bias.w : none};
}

// warp_update updates a layer: its bias with the sums of its deltas, which are a product with ones, and its weights.
template <class C> __device__ inline void warp_update(const HeadState<C> &head, const Chain &chain, int l, const Rates &rates, int flags) {
  using L = Layout<C>;
  Kept<C> bias, weights[2];
  bias.load(head.floats(l, L::BIAS), WARP);
  unsigned delta[C::TERMS][2][4], below[C::TERMS][2][4];
  warp_load_tile<C>(delta, head.layer(l) + L::DELTA); //@ trip=3
  if (l) {
    for (int h = 0; h < 2; h++) weights[h].load(head.floats(l, L::WEIGHT) + h * WARP, 2 * WARP); //@ hot
    warp_load_tile<C>(below, head.layer(l - 1) + L::OUTPUT);                                   //@ hot
  }
  const unsigned one = 0x3f803f80u, ones[4] = {one, one, one, one};
  float b[2][4] = {};
#pragma unroll
  for (int t = C::TERMS - 1; t >= 0; t--)
#pragma unroll
    for (int m = 0; m < 2; m++) {
      warp_mma(b[0], ones, delta[t][m][0], delta[t][m][2]);
      warp_mma(b[1], ones, delta[t][m][1], delta[t][m][3]);
    }
  // The first layer's deltas are scaled for products with pixels, and carry the step size if they are added.
  const float scale = l ? 1.0f : C::ADDS ? -1 / PIXEL_SCALE : 1 / PIXEL_SCALE;
  Rates bias_rates = rates;
  if (C::ADDS && l == 0) bias_rates.step_size = 1;
  if (bias.template step<true>(float4{b[0][0] * scale, b[0][1] * scale, b[1][0] * scale, b[1][1] * scale}, bias_rates, flags))
    bias.at[0] = l == chain.depth - 1 ? thread_mask_outputs(chain.layers[l], bias.w) : bias.w;
  if (l == 0) return;
  float w[2][4] = {};
#pragma unroll
  for (int j = C::TERMS - 1; j >= 0; j--)
#pragma unroll
    for (int i = C::TERMS - 1 - j; i >= 0; i--)
#pragma unroll
      for (int m = 0; m < 2; m++) {
        warp_mma(w[0], delta[i][m], below[j][m][0], below[j][m][2]); //@ hot
        warp_mma(w[1], delta[i][m], below[j][m][1], below[j][m][3]);
      }
  bool changed = false;
#pragma unroll
  for (int h = 0; h < 2; h++) {
    changed = weights[h].template step<false>(float4{w[h][0], w[h][1], w[h][2], w[h][3]}, rates, flags);
    const float4 v = weights[h].w;
    if (changed) weights[h].at[0] = v;
    w[h][0] = v.x, w[h][1] = v.y, w[h][2] = v.z, w[h][3] = v.w;
  }
  if (changed) warp_pack<C::TERMS>(head.packed(l), w);
}

// warp_part runs a part of a batch: from the first layer's sums to its deltas.
template <class C> __device__ inline void warp_part(const HeadState<C> &head, const Notes &notes, int part) {
  using L = Layout<C>;
  const Chain &chain = notes.chain;
  const int lane = thread_lane(), top = chain.depth - 1;
  int label[4];
  float share[4];
#pragma unroll
  for (int r = 0; r < 4; r++) {
    const int row = 8 * r + lane / 4;
    label[r] = notes.label[part & 3][row];
    share[r] = row < notes.part[part & 3].count ? notes.part[part & 3].share : 0.0f;
  }
  const float first_scale = C::ADDS ? -PIXEL_SCALE * notes.part[part & 3].now.step_size : PIXEL_SCALE;

  warp_barrier_sync(BARRIER_SUMS, RESIDENT_THREADS); //@ step only=head region=sum
  Matrix z, slope;
  const float4 *sums = reinterpret_cast<const float4 *>(head.shared + L::SUMS) + lane;
#pragma unroll
  for (int w = 0; w < PIXEL_WARPS; w++)
#pragma unroll
    for (int m = 0; m < 2; m++)
#pragma unroll
      for (int h = 0; h < 2; h++) {
        const float4 v = sums[(4 * w + 2 * m + h) * WARP]; //@ region=sum
        const float s[4] = {v.x, v.y, v.z, v.w};
#pragma unroll
        for (int i = 0; i < 4; i++) z[m][h][i] = w ? z[m][h][i] + s[i] : s[i];
      }
  const float4 first_bias = *head.floats(0, L::BIAS);
  const float bias[4] = {first_bias.x, first_bias.y, first_bias.z, first_bias.w};
  EACH_ELEMENT z[m][h][i] = z[m][h][i] * PIXEL_SCALE + bias[2 * h + i % 2];

  Operand32<C::TERMS> a;
#pragma unroll 1
  for (int l = 0; l < top; l++) {
    const Layer &layer = chain.layers[l];
    warp_activate<C::TERMS>(layer.activation, z, slope); //@ region=activation trip=2
    if (layer.out < UNITS)                               // f(0) of units that there are not
      EACH_ELEMENT if (8 * h + 2 * (lane % 4) + i % 2 >= layer.out) z[m][h][i] = 0; //@ cold
    float4 *slopes = head.floats(l, L::SLOPE);
#pragma unroll
    for (int m = 0; m < 2; m++)
#pragma unroll
      for (int h = 0; h < 2; h++) slopes[(2 * m + h) * WARP] = float4{slope[m][h][0], slope[m][h][1], slope[m][h][2], slope[m][h][3]};
    thread_operand<C::TERMS>(a, z);
    warp_store_operand<C>(head.layer(l) + L::OUTPUT, a);
    thread_spread(z, *head.floats(l + 1, L::BIAS));   //@ region=forward
    warp_product<C::TERMS>(z, a, head.packed(l + 1)); //@ region=forward trip=2
  }
  float *outputs = reinterpret_cast<float *>(head.shared + L::LOGITS) + ((part & 1) * ROWS + lane / 4) * L::LOGITS_ROW + 2 * (lane % 4);
  warp_loss_deltas<C::TERMS>(chain, z, label, share, outputs, L::LOGITS_ROW); //@ region=loss
#pragma unroll 1
  for (int l = top; l > 0; l--) {
    thread_operand<C::TERMS>(a, z);
    warp_store_operand<C>(head.layer(l) + L::DELTA, a);
    EACH_ELEMENT z[m][h][i] = 0;
    warp_product<C::TERMS>(z, a, head.packed(l) + C::TERMS * WARP); //@ region=back trip=2
    const float4 *slopes = head.floats(l - 1, L::SLOPE);
#pragma unroll
    for (int m = 0; m < 2; m++)
#pragma unroll
      for (int h = 0; h < 2; h++) {
        const float4 s = slopes[(2 * m + h) * WARP];
        z[m][h][0] *= s.x, z[m][h][1] *= s.y, z[m][h][2] *= s.z, z[m][h][3] *= s.w;
      }
  }
  EACH_ELEMENT z[m][h][i] *= first_scale;
  thread_operand<C::TERMS>(a, z);
  warp_store_operand<C>(head.layer(0) + L::DELTA, a);
  warp_barrier_sync(BARRIER_DELTAS, RESIDENT_THREADS); //@ region=back
}

// warp_state copies what the head keeps between the network's state and shared memory.
template <class C, bool OUT> __device__ inline void warp_state(const HeadState<C> &head, const Notes &notes) {
  using L = Layout<C>;
  const Chain &chain = notes.chain;
  const int lane = thread_lane(), g = lane / 4, t = lane % 4;
  for (int l = 0; l < chain.depth; l++) {
    const Layer &layer = chain.layers[l];
    for (int s = 0; s <= C::SLOTS; s++) {
      float *state = reinterpret_cast<float *>(notes.job.state) + s * chain.parameters;
      float *bias = reinterpret_cast<float *>(head.floats(l, L::BIAS) + s * WARP);
      for (int i = 0; i < 4; i++) {
        const int column = 8 * (i / 2) + 2 * t + i % 2;
        if constexpr (OUT) {
          if (g == 0 && column < layer.out) state[layer.bias + column] = bias[i];
        } else {
          bias[i] = column < layer.out ? state[layer.bias + column] : 0.0f;
        }
      }
      if (!OUT && s == 0 && l == chain.depth - 1) *head.floats(l, L::BIAS) = thread_mask_outputs(layer, *head.floats(l, L::BIAS));
      if (l == 0) continue;
      float w[2][4] = {};
      for (int h = 0; h < 2; h++) {
        float *kept = reinterpret_cast<float *>(head.floats(l, L::WEIGHT) + (2 * s + h) * WARP);
        for (int i = 0; i < 4; i++) {
          const int row = g + 8 * (i / 2), column = 8 * h + 2 * t + i % 2;
          const bool there = row < layer.out && column < layer.in;
          if constexpr (OUT) {
            if (there) state[layer.weight + row * layer.in + column] = kept[i];
          } else {
            kept[i] = w[h][i] = there ? state[layer.weight + row * layer.in + column] : 0.0f;
          }
        }
      }
      if (!OUT && s == 0) warp_pack<C::TERMS>(head.packed(l), w);
    }
  }
}

// warp_head is what the head does for a job.
template <class C> __device__ inline void warp_head(Notes &notes, unsigned char *shared) {
  const HeadState<C> head = {shared};
  warp_state<C, false>(head, notes);
  block_meet(); // the first two parts are known
  block_meet();
  const int parts = notes.parts;
  for (int part = 0; part < parts; part++) {
    warp_part<C>(head, notes, part);
    if (notes.stop[part & 1])
      break; //@ cold
    const Part &p = notes.part[part & 3];
    const Rates rates = thread_rates<C>(notes, p);
    const int flags = C::PARTS ? p.flags : FIRST | LAST;
#pragma unroll 1
    for (int l = 0; l < notes.chain.depth; l++)
      warp_update<C>(head, notes.chain, l, rates, flags); //@ region=update
  }
  warp_state<C, true>(head, notes);
}
