// The head: the warp that owns all but the first layer's weights.
#pragma once
#include "resident_pixels.cuh"

// Matrix is a head's 16M x 8N numbers, in the accumulators' layout.
template <class C> using Matrix = float[C::M][C::N][4];

// each calls f(m, n, i, row below 8g, column) for a lane's elements. The loops are unrolled: a matrix is in registers.
#define EACH_ELEMENT             \
  _Pragma("unroll")              \
  for (int m = 0; m < C::M; m++) \
    _Pragma("unroll")            \
    for (int n = 0; n < C::N; n++) \
      _Pragma("unroll")          \
      for (int i = 0; i < 4; i++)

// Operand is a matrix as left operand: sums of TERMS pairs, for every 16 columns.
template <class C> struct Operand32 { unsigned term[C::TERMS][C::M][C::GROUPS][4]; };

template <class C> __device__ inline void thread_operand(Operand32<C> &to, const Matrix<C> &z) {
#pragma unroll
  for (int m = 0; m < C::M; m++)
#pragma unroll
    for (int n = 0; n < C::N; n++)
#pragma unroll
      for (int r = 0; r < 2; r++) {
        unsigned pairs[C::TERMS];
        thread_split<C::TERMS>(pairs, z[m][n][2 * r], z[m][n][2 * r + 1]);
#pragma unroll
        for (int t = 0; t < C::TERMS; t++) to.term[t][m][n / 2][2 * (n % 2) + r] = pairs[t];
      }
}

// warp_store_operand writes the head's rows of a matrix of all ROWS to shared memory, row-major, TERMS matrices.
template <class C> __device__ inline void warp_store_operand(unsigned char *tile, const Operand32<C> &a) {
  using L = Layout<C>;
  const int lane = thread_lane();
#pragma unroll
  for (int t = 0; t < C::TERMS; t++)
#pragma unroll
    for (int m = 0; m < C::M; m++)
#pragma unroll
      for (int k = 0; k < C::GROUPS; k++) {
        unsigned char *part = tile + t * L::TILE + 2 * (16 * (C::M * thread_head<C>() + m) * L::TILE_ROW + 16 * k);
        warp_store_matrices(part + 2 * (lane % 16 * L::TILE_ROW + 8 * (lane / 16)), a.term[t][m][k], part, 2 * L::TILE_ROW);
      }
}

// warp_load_tile loads 16 columns of a matrix of all ROWS transposed: the left operand of a gradient (16 x 32), and, as pairs 0,
// 2 and 1, 3 of each, the right one.
template <class C> __device__ inline void warp_load_tile(unsigned (&to)[C::TERMS][2][4], const unsigned char *tile, int column) {
  using L = Layout<C>;
  const int lane = thread_lane();
#pragma unroll
  for (int t = 0; t < C::TERMS; t++)
#pragma unroll
    for (int m = 0; m < 2; m++)
      warp_load_transposed(to[t][m], tile + t * L::TILE + 2 * ((16 * m + lane % 8 + 8 * (lane / 16)) * L::TILE_ROW + column + 8 * (lane / 8 % 2)));
}

// warp_load_packed loads term j of a layer's packed weights, 16 columns of a, the k-th ones, by 16 of the product, the n-th ones.
template <class C, bool BACK> __device__ inline void warp_load_packed(unsigned (&to)[4], const unsigned char *packed, int j, int k, int n) {
  using L = Layout<C>;
  const int lane = thread_lane(), row = BACK ? lane % 16 : lane % 8 + 8 * (lane / 16), column = BACK ? 8 * (lane / 16) : 8 * (lane / 8 % 2);
  const unsigned char *from = packed + j * L::PACKED_TERM + 2 * (row * L::TILE_ROW + column);
  if constexpr (BACK) warp_load_transposed(to, from + 2 * 16 * (k * L::TILE_ROW + n));
  else warp_load_matrices(to, from + 2 * 16 * (n * L::TILE_ROW + k));
}

// Packed is a layer's packed weights, 16 x 16, for the way forward or back, where a layer has no more. They are loaded before the
// numbers are there that they are multiplied with.
template <class C> struct Packed {
  unsigned term[C::TERMS][4];

  template <bool BACK> __device__ void load(const unsigned char *packed) {
    static_assert(C::GROUPS == 1, "another head packs weights, too");
#pragma unroll
    for (int j = C::TERMS - 1; j >= 0; j--) warp_load_packed<C, BACK>(term[j], packed, j, 0, 0);
  }

  // add adds a times the weights to z: see warp_product_columns.
  __device__ void add(Matrix<C> &z, const Operand32<C> &a) const {
#pragma unroll
    for (int j = C::TERMS - 1; j >= 0; j--)
#pragma unroll
      for (int i = C::TERMS - 1 - j; i >= 0; i--)
#pragma unroll
        for (int m = 0; m < C::M; m++) {
          warp_mma(z[m][0], a.term[i][m][0], term[j][0], term[j][1]);
          warp_mma(z[m][1], a.term[i][m][0], term[j][2], term[j][3]);
        }
  }
};

// warp_product_columns adds a·b to 16 columns of z, the n-th ones, where b is a layer's packed weights, transposed for the way
// forward and as they are for the way BACK; K times 16 columns of a are there. Terms whose product is below the rounding of
// float32 are left out. Sums over different columns of a are independent until the end.
template <class C, bool BACK, int K> __device__ inline void warp_product_columns(Matrix<C> &z, const Operand32<C> &a, const unsigned char *packed, int n) {
  float more[K][C::M][2][4] = {};
#pragma unroll
  for (int j = C::TERMS - 1; j >= 0; j--) {
    unsigned b[K][4];
#pragma unroll
    for (int k = 0; k < K; k++) warp_load_packed<C, BACK>(b[k], packed, j, k, n);
#pragma unroll
    for (int i = C::TERMS - 1 - j; i >= 0; i--)
#pragma unroll
      for (int m = 0; m < C::M; m++)
#pragma unroll
        for (int k = 0; k < K; k++) {
          warp_mma(k ? more[k][m][0] : z[m][2 * n], a.term[i][m][k], b[k][0], b[k][1]);
          warp_mma(k ? more[k][m][1] : z[m][2 * n + 1], a.term[i][m][k], b[k][2], b[k][3]);
        }
  }
#pragma unroll
  for (int k = 1; k < K; k++)
#pragma unroll
    for (int m = 0; m < C::M; m++)
#pragma unroll
      for (int h = 0; h < 2; h++)
#pragma unroll
        for (int i = 0; i < 4; i++) z[m][2 * n + h][i] += more[k][m][h][i];
}

// warp_forward adds a layer's inputs times its weights to z, warp_back its deltas times them, for as many columns as there are.
// Where no layer has more than 16 units, Packed is used.
template <class C> __device__ inline void warp_forward(Matrix<C> &z, const Operand32<C> &a, const unsigned char *packed, const Layer &layer) {
  if (layer.in > 16) {
    warp_product_columns<C, false, 2>(z, a, packed, 0); //@ hot
    if (layer.out > 16)
      warp_product_columns<C, false, 2>(z, a, packed, 1); //@ cold
  } else {
    warp_product_columns<C, false, 1>(z, a, packed, 0); //@ cold
    if (layer.out > 16)
      warp_product_columns<C, false, 1>(z, a, packed, 1); //@ cold
  }
}

template <class C> __device__ inline void warp_back(Matrix<C> &z, const Operand32<C> &a, const unsigned char *packed, const Layer &layer) {
  if (layer.out > 16) {
    warp_product_columns<C, true, 2>(z, a, packed, 0); //@ cold
    if (layer.in > 16)
      warp_product_columns<C, true, 2>(z, a, packed, 1); //@ cold
  } else {
    warp_product_columns<C, true, 1>(z, a, packed, 0); //@ hot
    if (layer.in > 16)
      warp_product_columns<C, true, 1>(z, a, packed, 1); //@ hot
  }
}

// warp_pack writes 16 x 16 weights in the accumulators' layout, w[h][i] = W[g + 8(i / 2)][8h + 2t + i % 2], to their place among
// the layer's packed ones.
template <class C> __device__ inline void warp_pack(unsigned char *packed, int row, int column, const float (&w)[2][4]) {
  using L = Layout<C>;
  const int lane = thread_lane();
  unsigned pairs[4][C::TERMS];
#pragma unroll
  for (int h = 0; h < 2; h++)
#pragma unroll
    for (int j = 0; j < 2; j++) thread_split<C::TERMS>(pairs[2 * h + j], w[h][2 * j], w[h][2 * j + 1]);
#pragma unroll
  for (int t = 0; t < C::TERMS; t++) {
    unsigned char *tile = packed + t * L::PACKED_TERM + 2 * (row * L::TILE_ROW + column);
    const unsigned four[4] = {pairs[0][t], pairs[1][t], pairs[2][t], pairs[3][t]};
    warp_store_matrices(tile + 2 * (lane % 16 * L::TILE_ROW + 8 * (lane / 16)), four, tile, 2 * L::TILE_ROW);
  }
}

// thread_spread begins sums with biases, a float4 for every 16 columns.
template <class C> __device__ inline void thread_spread(Matrix<C> &z, const float4 (&bias)[C::GROUPS]) {
#pragma unroll
  for (int k = 0; k < C::GROUPS; k++) {
    const float4 v = bias[k];
    const float b[4] = {v.x, v.y, v.z, v.w};
#pragma unroll
    for (int m = 0; m < C::M; m++)
#pragma unroll
      for (int h = 0; h < 2; h++)
#pragma unroll
        for (int i = 0; i < 4; i++) z[m][2 * k + h][i] = b[2 * h + i % 2];
  }
}

// warp_activate_all replaces z by f(z), and gives the slopes.
template <class C, int ACTIVATION> __device__ inline void warp_activate_all(Matrix<C> &z, Matrix<C> &slope) {
  EACH_ELEMENT thread_activate_fast<C::TERMS == 1, ACTIVATION>(z[m][n][i], slope[m][n][i]);
}

template <class C> __device__ inline void warp_activate(int activation, Matrix<C> &z, Matrix<C> &slope) {
  if (activation == ACT_SIGMOID) // is found first
    return warp_activate_all<C, ACT_SIGMOID>(z, slope); //@ hot cold=relu
  switch (activation) {
  case ACT_TANH: return warp_activate_all<C, ACT_TANH>(z, slope); //@ cold
  case ACT_RELU: return warp_activate_all<C, ACT_RELU>(z, slope); //@ hot cold=sigmoid
  case ACT_RECTIFY: return warp_activate_all<C, ACT_RECTIFY>(z, slope); //@ cold
  case ACT_LEAKY_RELU: return warp_activate_all<C, ACT_LEAKY_RELU>(z, slope); //@ cold
  case ACT_SOFTPLUS: return warp_activate_all<C, ACT_SOFTPLUS>(z, slope); //@ cold
  case ACT_SILU: return warp_activate_all<C, ACT_SILU>(z, slope); //@ cold
  case ACT_GELU_TANH: return warp_activate_all<C, ACT_GELU_TANH>(z, slope); //@ cold
  case ACT_SOFTSIGN: return warp_activate_all<C, ACT_SOFTSIGN>(z, slope); //@ cold
  }
  warp_activate_all<C, ACT_IDENTITY>(z, slope); //@ cold
}

// warp_loss_deltas replaces the last layer's z by its deltas, and leaves the outputs for warp_loss. A row of a matrix is in four
// lanes; label and share are of the lane's rows, the share 0 of rows that are no examples. There are 8N outputs at most.
template <class C, int N> __device__ inline void warp_loss_deltas(const Chain &chain, bool quadratic, Matrix<C> &z, const int (&label)[2 * C::M], const float (&share)[2 * C::M], float *outputs) {
  constexpr int R = 2 * C::M;
  const int t = thread_lane() % 4;
  Matrix<C> slope;
  EACH_ELEMENT if (n >= N) z[m][n][i] = 0; // where there are no outputs
  if (quadratic)
    warp_activate<C>(chain.layers[chain.depth - 1].activation, z, slope); //@ cold
#pragma unroll
  for (int r = 0; r < R; r++)
#pragma unroll
    for (int n = 0; n < N; n++)
      *reinterpret_cast<float2 *>(outputs + 8 * r * Layout<C>::LOGITS_ROW + 8 * n) = float2{z[r / 2][n][2 * (r % 2)], z[r / 2][n][2 * (r % 2) + 1]};
  if (quadratic) {
    const int out = chain.layers[chain.depth - 1].out; //@ cold
    EACH_ELEMENT {
      const int column = 8 * n + 2 * t + i % 2, r = 2 * m + i / 2;                //@ cold
      const float error = z[m][n][i] - (column == label[r] ? 1.0f : 0.0f);        //@ cold
      z[m][n][i] = column < out ? 2 * share[r] * error * slope[m][n][i] : 0.0f; //@ cold
    }
    return; //@ cold
  }
  float best[R], sum[R];
#pragma unroll
  for (int r = 0; r < R; r++) {
    const float(&a)[C::N][4] = z[r / 2];
    const int o = 2 * (r % 2);
    best[r] = fmaxf(a[0][o], a[0][o + 1]);
#pragma unroll
    for (int n = 1; n < N; n++) best[r] = fmaxf(best[r], fmaxf(a[n][o], a[n][o + 1]));
  }
#pragma unroll
  for (int distance = 1; distance < 4; distance *= 2)
#pragma unroll
    for (int r = 0; r < R; r++) best[r] = fmaxf(best[r], __shfl_xor_sync(~0u, best[r], distance));
#pragma unroll
  for (int r = 0; r < R; r++) {
    float(&a)[C::N][4] = z[r / 2];
    const int o = 2 * (r % 2);
    const float shift = best[r] * LOG2E;
#pragma unroll
    for (int n = 0; n < N; n++)
#pragma unroll
      for (int i = o; i < o + 2; i++) a[n][i] = thread_exp2(a[n][i] * LOG2E - shift);
    sum[r] = a[0][o] + a[0][o + 1];
#pragma unroll
    for (int n = 1; n < N; n++) sum[r] += a[n][o] + a[n][o + 1];
  }
#pragma unroll
  for (int distance = 1; distance < 4; distance *= 2)
#pragma unroll
    for (int r = 0; r < R; r++) sum[r] += __shfl_xor_sync(~0u, sum[r], distance);
  float scale[R];
#pragma unroll
  for (int r = 0; r < R; r++) scale[r] = share[r] * thread_reciprocal(sum[r]);
  EACH_ELEMENT if (n < N) {
    const int r = 2 * m + i / 2;
    z[m][n][i] = z[m][n][i] * scale[r] - (8 * n + 2 * t + i % 2 == label[r] ? share[r] : 0.0f);
  }
}

// HeadState is the lane's place in the block's shared memory.
template <class C> struct HeadState {
  using L = Layout<C>;
  unsigned char *shared;
  __device__ unsigned char *layer(int l) const { return shared + L::LAYERS + l * L::LAYER; }
  __device__ float4 *floats(unsigned char *at) const { return reinterpret_cast<float4 *>(at) + thread_lane(); }
  // Numbers for all columns of a layer, a float4 for every 16.
  __device__ float4 *bias(int l) const { return floats(layer(l) + L::BIAS); }
  // The head's rows: of the sums, and of the slopes of a layer but the last.
  __device__ float4 *sums() const { return floats(shared + L::SUMS + thread_head<C>() * L::HEAD_SUMS); }
  __device__ float4 *slopes(int l) const { return sums() + l * 4 * WARP; }
  // Weights of a layer but the first: of the head's units and 16 of those below, two float4, the arrays behind each other.
  static constexpr int WEIGHTS_STRIDE = 2 * C::GROUPS * C::GROUPS * WARP;
  __device__ float4 *weights(int l, int tile) const { return floats(layer(l - 1) + L::WEIGHT) + 2 * (C::GROUPS * thread_head<C>() + tile) * WARP; }
  __device__ unsigned char *packed(int l) const { return layer(l - 1) + L::PACKED; }
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
template <class C> __device__ inline float4 thread_mask_outputs(const Layer &layer, float4 bias) {
  const int column = 16 * thread_head<C>() + 2 * (thread_lane() % 4);
  const float none = __int_as_float(0xff800000);
  return float4{column < layer.out ? bias.x : none, column + 1 < layer.out ? bias.y : none,
                column + 8 < layer.out ? bias.z : none, column + 9 < layer.out ? bias.w : none};
}

// warp_gradient is the gradient of the weights between the head's 16 units of a layer and 16 below.
template <class C> __device__ inline void warp_gradient(float (&w)[2][4], const unsigned (&delta)[C::TERMS][2][4], const unsigned (&below)[C::TERMS][2][4]) {
#pragma unroll
  for (int h = 0; h < 2; h++)
#pragma unroll
    for (int i = 0; i < 4; i++) w[h][i] = 0;
#pragma unroll
  for (int j = C::TERMS - 1; j >= 0; j--)
#pragma unroll
    for (int i = C::TERMS - 1 - j; i >= 0; i--)
#pragma unroll
      for (int m = 0; m < 2; m++) {
        warp_mma(w[0], delta[i][m], below[j][m][0], below[j][m][2]);
        warp_mma(w[1], delta[i][m], below[j][m][1], below[j][m][3]);
      }
}

// warp_update_weights updates these weights with their gradient w, and packs them.
template <class C> __device__ inline void warp_update_weights(const HeadState<C> &head, int l, int tile, Kept<C> (&weights)[2], float (&w)[2][4], const Rates &rates, int flags) {
  bool changed = false;
#pragma unroll
  for (int h = 0; h < 2; h++) {
    changed = weights[h].template step<false>(float4{w[h][0], w[h][1], w[h][2], w[h][3]}, rates, flags);
    const float4 v = weights[h].w;
    if (changed) weights[h].at[0] = v;
    w[h][0] = v.x, w[h][1] = v.y, w[h][2] = v.z, w[h][3] = v.w;
  }
  if (changed) warp_pack<C>(head.packed(l), 16 * thread_head<C>(), 16 * tile, w);
}

// warp_update updates what is the head's of a layer: the biases of 16 units with the sums of their deltas, which are a product
// with ones, and their weights. BOTTOM: of the first layer, whose weights are the pixel warps'. There is no branch between
// products: where one ends, the assembler waits for them.
template <class C, bool BOTTOM> __device__ inline void warp_update(const HeadState<C> &head, const Chain &chain, int l, int top, const Rates &rates, int flags) {
  using L = Layout<C>;
  Kept<C> bias, weights[2];
  bias.load(head.bias(l) + thread_head<C>() * WARP, C::GROUPS * WARP);
  unsigned delta[C::TERMS][2][4], below[C::TERMS][2][4];
  warp_load_tile<C>(delta, head.layer(l) + L::DELTA, 16 * thread_head<C>());
  const auto load = [&](int tile) {
#pragma unroll
    for (int h = 0; h < 2; h++) weights[h].load(head.weights(l, tile) + h * WARP, head.WEIGHTS_STRIDE);
    warp_load_tile<C>(below, head.layer(l - 1) + L::OUTPUT, 16 * tile);
  };
  float w[2][4];
  if constexpr (!BOTTOM) {
    load(0);
    warp_gradient<C>(w, delta, below);
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
  const float scale = !BOTTOM ? 1.0f : C::ADDS ? -1 / PIXEL_SCALE : 1 / PIXEL_SCALE;
  Rates bias_rates = rates;
  if (C::ADDS && BOTTOM) bias_rates.lr = 1;
  if (bias.template step<true>(float4{b[0][0] * scale, b[0][1] * scale, b[1][0] * scale, b[1][1] * scale}, bias_rates, flags))
    bias.at[0] = l == top ? thread_mask_outputs<C>(chain.layers[l], bias.w) : bias.w;
  if constexpr (BOTTOM) return;
  warp_update_weights<C>(head, l, 0, weights, w, rates, flags);
  if (C::GROUPS > 1 && chain.layers[l].in > 16) {
    load(1);                                                      //@ cold
    warp_gradient<C>(w, delta, below);                            //@ cold
    warp_update_weights<C>(head, l, 1, weights, w, rates, flags); //@ cold
  }
}

// warp_part runs a part of a batch: from the first layer's sums to its deltas, of the head's rows.
template <class C> __device__ inline void warp_part(const HeadState<C> &head, const Notes &notes, int part) {
  using L = Layout<C>;
  const Chain &chain = notes.chain;
  const int lane = thread_lane(), top = chain.depth - 1, row0 = 16 * C::M * thread_head<C>() + lane / 4;
  int label[2 * C::M];
  float share[2 * C::M];
#pragma unroll
  for (int r = 0; r < 2 * C::M; r++) {
    const int row = row0 + 8 * r;
    label[r] = notes.label[part & 3][row];
    share[r] = row < notes.part[part & 3].count ? notes.part[part & 3].share : 0.0f;
  }
  const float first_scale = C::ADDS ? -PIXEL_SCALE * notes.part[part & 3].now.lr : PIXEL_SCALE;

  const bool quadratic = chain.loss == LOSS_QUADRATIC;
  int activation = chain.layers[0].activation, out = chain.layers[0].out; // of the layer that comes next

  warp_barrier_sync(BARRIER_SUMS, C::THREADS); //@ step only=head region=sum
  Matrix<C> z, slope;
  const float4 *sums = head.sums();
#pragma unroll
  for (int w = 0; w < GROUP_WARPS; w++)
#pragma unroll
    for (int m = 0; m < C::M; m++)
#pragma unroll
      for (int n = 0; n < C::N; n++) {
        const float4 v = sums[(4 * w + C::N * m + n) * WARP]; //@ region=sum
        const float s[4] = {v.x, v.y, v.z, v.w};
#pragma unroll
        for (int i = 0; i < 4; i++) z[m][n][i] = w ? z[m][n][i] + s[i] : s[i];
      }
#pragma unroll
  for (int k = 0; k < C::GROUPS; k++) {
    const float4 first_bias = head.bias(0)[k * WARP];
    const float bias[4] = {first_bias.x, first_bias.y, first_bias.z, first_bias.w};
#pragma unroll
    for (int m = 0; m < C::M; m++)
#pragma unroll
      for (int h = 0; h < 2; h++)
#pragma unroll
        for (int i = 0; i < 4; i++) z[m][2 * k + h][i] = z[m][2 * k + h][i] * PIXEL_SCALE + bias[2 * h + i % 2];
  }

  Operand32<C> a;
#pragma unroll 1
  for (int l = 0; l < top; l++) {
    const int now = activation, units = out;
    activation = chain.layers[l + 1].activation, out = chain.layers[l + 1].out;
    float4 bias[C::GROUPS];
    Packed<C> weights;
    if constexpr (C::GROUPS == 1) {
      bias[0] = *head.bias(l + 1);
      weights.template load<false>(head.packed(l + 1));
    }
    warp_activate<C>(now, z, slope); //@ region=activation trip=2
    if (units < C::UNITS)            // f(0) of units that there are not
      EACH_ELEMENT if (8 * n + 2 * (lane % 4) + i % 2 >= units) z[m][n][i] = 0; //@ cold
    float4 *slopes = head.slopes(l);
#pragma unroll
    for (int m = 0; m < C::M; m++)
#pragma unroll
      for (int n = 0; n < C::N; n++) slopes[(C::N * m + n) * WARP] = float4{slope[m][n][0], slope[m][n][1], slope[m][n][2], slope[m][n][3]};
    thread_operand<C>(a, z);
    warp_store_operand<C>(head.layer(l) + L::OUTPUT, a);
    if constexpr (C::GROUPS > 1)
#pragma unroll
      for (int k = 0; k < C::GROUPS; k++) bias[k] = head.bias(l + 1)[k * WARP];
    thread_spread<C>(z, bias); //@ region=forward
    if constexpr (C::GROUPS == 1) weights.add(z, a); //@ region=forward trip=2
    else warp_forward<C>(z, a, head.packed(l + 1), chain.layers[l + 1]); //@ region=forward trip=2
  }
  Packed<C> weights;
  if constexpr (C::GROUPS == 1) weights.template load<true>(top ? head.packed(top) : head.layer(0)); // one layer needs none
  float *outputs = reinterpret_cast<float *>(head.shared + L::LOGITS) + ((part & 1) * ROWS + row0) * L::LOGITS_ROW + 2 * (lane % 4);
  if constexpr (C::GROUPS == 1)
    warp_loss_deltas<C, 2>(chain, quadratic, z, label, share, outputs); //@ region=loss
  else if (chain.layers[top].out > 16)
    warp_loss_deltas<C, C::N>(chain, quadratic, z, label, share, outputs); //@ cold
  else
    warp_loss_deltas<C, 2>(chain, quadratic, z, label, share, outputs); //@ region=loss hot
#pragma unroll 1
  for (int l = top; l > 0; l--) {
    thread_operand<C>(a, z);
    warp_store_operand<C>(head.layer(l) + L::DELTA, a);
    EACH_ELEMENT z[m][n][i] = 0;
    if constexpr (C::GROUPS == 1) {
      weights.add(z, a); //@ region=back trip=2
      weights.template load<true>(head.packed(max(l - 1, 1)));
    } else {
      warp_back<C>(z, a, head.packed(l), chain.layers[l]); //@ region=back trip=2
    }
    const float4 *slopes = head.slopes(l - 1);
#pragma unroll
    for (int m = 0; m < C::M; m++)
#pragma unroll
      for (int n = 0; n < C::N; n++) {
        const float4 s = slopes[(C::N * m + n) * WARP];
        z[m][n][0] *= s.x, z[m][n][1] *= s.y, z[m][n][2] *= s.z, z[m][n][3] *= s.w;
      }
  }
  EACH_ELEMENT z[m][n][i] *= first_scale;
  thread_operand<C>(a, z);
  warp_store_operand<C>(head.layer(0) + L::DELTA, a);
  warp_barrier_sync(BARRIER_DELTAS, C::THREADS); //@ region=back
}

// warp_state copies what the head keeps between the network's state and shared memory.
template <class C, bool OUT> __device__ inline void warp_state(const HeadState<C> &head, const Notes &notes) {
  const Chain &chain = notes.chain;
  const int lane = thread_lane(), g = lane / 4, t = lane % 4, unit = 16 * thread_head<C>();
  for (int l = 0; l < chain.depth; l++) {
    const Layer &layer = chain.layers[l];
    for (int s = 0; s <= C::SLOTS; s++) {
      float *state = reinterpret_cast<float *>(notes.job.state) + s * chain.parameters;
      float4 *biases = head.bias(l) + (C::GROUPS * s + thread_head<C>()) * WARP;
      float *bias = reinterpret_cast<float *>(biases);
      for (int i = 0; i < 4; i++) {
        const int column = unit + 8 * (i / 2) + 2 * t + i % 2;
        if constexpr (OUT) {
          if (g == 0 && column < layer.out) state[layer.bias + column] = bias[i];
        } else {
          bias[i] = column < layer.out ? state[layer.bias + column] : 0.0f;
        }
      }
      if (!OUT && s == 0 && l == chain.depth - 1) *biases = thread_mask_outputs<C>(layer, *biases);
      for (int tile = 0; l && tile < C::GROUPS; tile++) {
        float w[2][4] = {};
        for (int h = 0; h < 2; h++) {
          float *kept = reinterpret_cast<float *>(head.weights(l, tile) + s * head.WEIGHTS_STRIDE + h * WARP);
          for (int i = 0; i < 4; i++) {
            const int row = unit + g + 8 * (i / 2), column = 16 * tile + 8 * h + 2 * t + i % 2;
            const bool there = row < layer.out && column < layer.in;
            if constexpr (OUT) {
              if (there) state[layer.weight + row * layer.in + column] = kept[i];
            } else {
              kept[i] = w[h][i] = there ? state[layer.weight + row * layer.in + column] : 0.0f;
            }
          }
        }
        if (!OUT && s == 0) warp_pack<C>(head.packed(l), unit, 16 * tile, w);
      }
    }
  }
}

// warp_head is what a head does for a job.
template <class C> __device__ inline void warp_head(Notes &notes, unsigned char *shared) {
  const HeadState<C> head = {shared};
  warp_state<C, false>(head, notes);
  block_meet<C>(); // the first two parts are known
  block_meet<C>();
  const int parts = notes.parts, depth = notes.chain.depth;
  for (int part = 0; part < parts; part++) {
    warp_part<C>(head, notes, part);
    if (notes.stop[part & 1])
      break; //@ cold
    const Part &p = notes.part[part & 3];
    const Rates rates = thread_rates<C>(notes, p);
    const int flags = C::PARTS ? p.flags : FIRST | LAST;
    if (C::GROUPS == 1 || 16 * thread_head<C>() < notes.chain.layers[0].out)
      warp_update<C, true>(head, notes.chain, 0, depth - 1, rates, flags); //@ region=update
#pragma unroll 1
    for (int l = 1; l < depth; l++)
      if (C::GROUPS == 1 || 16 * thread_head<C>() < notes.chain.layers[l].out)
        warp_update<C, false>(head, notes.chain, l, depth - 1, rates, flags); //@ region=update trip=2
  }
  warp_state<C, true>(head, notes);
}
