// The warps that own the first layer.
//
// A tile is 16 units by 16 pixels of the weights, in two accumulators of 8 columns. Their columns are permuted so that a
// lane's four bytes of a row are its operands: column 2t + b of half h is pixel 4t + 2b + h. One ldmatrix of bytes, taken for
// bf16, so gives the left operands of the forward product (pixels of rows g, g + 8, g + 16, g + 24), and the same address
// transposed the right operands of the gradient (rows 2t, 2t + 1 of pixels 2g, 2g + 1).
#pragma once
#include "resident.cuh"

// A lane's part of an array of the first layer: [tile][half][i] is unit g + 8(i / 2), pixel 4t + 2(i % 2) + half.
typedef float FirstLayer[TILES][2][4];

// A byte b as bf16 is b * 2^-133, subnormal or in the first binade with the same step; times 2^127 it is b / 64.
__device__ inline unsigned thread_even_bytes(unsigned v) { return thread_multiply_pairs(v & 0x00ff00ffu, 0x7f007f00u); }
__device__ inline unsigned thread_odd_bytes(unsigned v) { return thread_multiply_pairs(__byte_perm(v, 0, 0x4341), 0x7f007f00u); }

// thread_split writes two numbers as a sum of TERMS pairs, the largest first.
template <int TERMS> __device__ inline void thread_split(unsigned (&to)[TERMS], float low, float high) {
#pragma unroll
  for (int i = 0; i < TERMS; i++) {
    to[i] = thread_pack(low, high);
    if (i + 1 < TERMS) {
      low -= __uint_as_float(to[i] << 16);
      high -= __uint_as_float(to[i] & 0xffff0000u);
    }
  }
}

// warp_first_layer calls f(tile, half, i, index) for the lane's elements that exist.
template <class C, class F> __device__ inline void warp_first_layer(const Layer &layer, F f) {
  const int lane = thread_opaque(thread_lane()); // places are found again when the weights leave, and not kept meanwhile
  const int tile0 = thread_slice<C>() * TILES, unit0 = 16 * thread_group<C>();
#pragma unroll
  for (int k = 0; k < TILES; k++)
#pragma unroll
    for (int h = 0; h < 2; h++)
#pragma unroll
      for (int i = 0; i < 4; i++) {
        const int unit = unit0 + lane / 4 + 8 * (i / 2), pixel = 16 * (tile0 + k) + 4 * (lane % 4) + 2 * (i % 2) + h;
        if (unit < layer.out && pixel < layer.in) f(k, h, i, int64_t(unit) * layer.in + pixel);
      }
}

template <class C> __device__ inline void warp_load_first(FirstLayer &w, const Layer &layer, const float *from) {
#pragma unroll
  for (int k = 0; k < TILES; k++)
#pragma unroll
    for (int h = 0; h < 2; h++)
#pragma unroll
      for (int i = 0; i < 4; i++) w[k][h][i] = 0;
  warp_first_layer<C>(layer, [&](int k, int h, int i, int64_t at) { w[k][h][i] = from[at]; });
}

template <class C> __device__ inline void warp_save_first(const FirstLayer &w, const Layer &layer, float *to) {
  warp_first_layer<C>(layer, [&](int k, int h, int i, int64_t at) { to[at] = w[k][h][i]; });
}

// warp_fetch begins to copy a part's bytes: 28 lanes take seven 16-byte pieces of four rows at a time. A lane's rows, eight
// or, where groups share them, four, are neighbours, so that four offsets are a load.
template <class C> __device__ inline void warp_fetch(const Notes &notes, unsigned char *stage, int part, int slice, int group) {
  constexpr int COUNT = 8 / C::GROUPS;
  const int lane = thread_lane(), piece = slice * TILES + lane % TILES, row = COUNT * (4 * group + lane / TILES);
  if (lane < 4 * TILES && 16 * piece < notes.row_bytes) {
    const uint4 *offsets = reinterpret_cast<const uint4 *>(notes.offset[part & 1] + row);
    unsigned char *to = stage + row * Layout<C>::ROW + 16 * piece;
    const unsigned char *from = reinterpret_cast<const unsigned char *>(notes.job.pixels) + 16 * piece;
#pragma unroll
    for (int j = 0; j < COUNT; j += 4) {
      const uint4 q = offsets[j / 4];
      const uint32_t offset[4] = {q.x, q.y, q.z, q.w};
#pragma unroll
      for (int i = 0; i < 4; i++) thread_copy_async(to + (j + i) * Layout<C>::ROW, from + offset[i]);
    }
  }
  thread_copy_commit();
}

// warp_order draws the examples of the next part. Its writes and warp_lookup's are seen by the next call after a barrier: there is
// one in each.
__device__ inline void warp_order(Notes &notes, int part) {
  const Cursor c = notes.ahead;
  const Job &job = notes.job;
  const int lane = thread_opaque(thread_lane()); // what follows is computed here
  if (part >= notes.parts) return;
  const Cursor next = thread_next(job, c);
  notes.example[part & 1][lane] = thread_order_at(notes.keys, job.examples, c.from + (c.from + lane < c.end ? lane : 0)); //@ trip=2
  __syncwarp(); // before keys and cursor change
  if (next.epoch != c.epoch && lane < ORDER_ROUNDS / 4)
    thread_order_keys(notes.keys, job.order_seed, c.epoch + 1, lane); //@ cold
  if (lane == 0) notes.ahead = next;
}

// warp_lookup finds where the images of the next part are, their labels, and the numbers of its step: the loads come first.
__device__ inline void warp_lookup(Notes &notes, int part) {
  const Cursor c = notes.cursor;
  const Job &job = notes.job;
  const int lane = thread_opaque(thread_lane()); // what follows is computed here
  if (part >= notes.parts) return;
  const uint32_t example = notes.example[part & 1][lane];
  Scalars now = (reinterpret_cast<const Scalars *>(notes.launch.scalars) + job.scalars)[c.step];
  const int label = reinterpret_cast<const uint8_t *>(job.labels)[example];
  uint32_t row = example;
  if (job.shift) { // the image, moved, is in another copy of the data
    int down, right; //@ cold
    thread_shift(job.order_seed, c.epoch, example, job.shift, &down, &right); //@ cold
    row += uint32_t(job.examples) * uint32_t((down + job.shift) * (2 * job.shift + 1) + right + job.shift); //@ cold
  }
  notes.offset[part & 1][lane] = row * uint32_t(notes.row_bytes);
  const Cursor next = thread_next(job, c);
  if (job.optimizer == OPTIMIZER_SGD) now.shrink = 1 - now.lr * job.decay;
  if (job.optimizer == OPTIMIZER_ADAM)
    now.root = 1 / now.root; //@ cold=sgd
  const int flags = (c.from == c.begin ? FIRST : 0) | (c.from + ROWS >= c.end ? LAST : 0);
  const Part found = {now, min(ROWS, c.end - c.from), notes.chain.scale / float(c.end - c.begin), flags, c.step};
  notes.label[part & 3][lane] = label;
  __syncwarp(); // before the cursor changes
  if (lane == 0) {
    notes.part[part & 3] = found;
    notes.cursor = next;
  }
}

// thread_row_loss is an example's loss, from its outputs, COLUMNS at most, which are logits for the cross-entropy.
template <int COLUMNS> __device__ inline float thread_row_loss(const Chain &chain, const float *row, int label) {
  float v[COLUMNS], sum = 0;
#pragma unroll
  for (int c = 0; c < COLUMNS; c += 4) {
    const float4 q = *reinterpret_cast<const float4 *>(row + c);
    v[c] = q.x;
    v[c + 1] = q.y;
    v[c + 2] = q.z;
    v[c + 3] = q.w;
  }
  if (chain.loss == LOSS_CROSS_ENTROPY) {
    float best = v[0];
#pragma unroll
    for (int c = 1; c < COLUMNS; c++) best = fmaxf(best, v[c]);
    const float shift = best * LOG2E;
#pragma unroll
    for (int c = 0; c < COLUMNS; c++) sum += thread_exp2(v[c] * LOG2E - shift);
    return best + thread_log2(sum) * LN2 - row[label];
  }
  const int out = chain.layers[chain.depth - 1].out; //@ cold
#pragma unroll
  for (int c = 0; c < COLUMNS; c++) {
    const float e = v[c] - (c == label ? 1.0f : 0.0f); //@ cold
    sum += c < out ? e * e : 0.0f;                     //@ cold
  }
  return sum; //@ cold
}

// warp_loss computes the loss of a part, and of its batch if it is the last of it: then it says whether to go on.
template <class C> __device__ inline void warp_loss(Notes &notes, const unsigned char *shared, int part) {
  const int lane = thread_opaque(thread_lane());
  const Part &p = notes.part[part & 3];
  const float *row = reinterpret_cast<const float *>(shared + Layout<C>::LOGITS) + ((part & 1) * ROWS + lane) * Layout<C>::LOGITS_ROW;
  float loss = 0;
  if (lane < p.count) {
    const Chain &chain = notes.chain;
    const int label = notes.label[part & 3][lane];
    if (C::GROUPS > 1 && chain.layers[chain.depth - 1].out > 16)
      loss = thread_row_loss<C::UNITS>(chain, row, label); //@ cold
    else
      loss = thread_row_loss<16>(chain, row, label);
  }
  if (C::PARTS && !(p.flags & FIRST)) loss += notes.loss[lane];
  if (C::PARTS) notes.loss[lane] = loss;
  if (!(p.flags & LAST)) return;
  for (int distance = WARP / 2; distance > 0; distance /= 2) loss += __shfl_xor_sync(~0u, loss, distance);
  loss *= p.share; //@ hot
  if (lane == 0) {
    reinterpret_cast<float *>(notes.launch.losses)[notes.job.losses + p.step] = loss;
    notes.reached = p.step + 1;
    notes.diverged = !isfinite(loss);
    notes.stop[(part + 1) & 1] = !isfinite(loss); // a ring: slow warps read the last part's
  }
}

// First is what a pixel warp needs for a turn.
template <class C> struct First {
  FirstLayer w, slots[C::FAR ? 1 : C::SLOTS + 1];
  float4 *gradient; // the lane's, if batches have parts
  float4 *far;      // the lane's part of the optimizer's arrays where they are FAR; the gradient is behind them
};

// thread_move_far loads the optimizer's arrays of tile k, or stores them.
template <class C, bool OUT> __device__ inline void thread_move_far(First<C> &first, int k, float (&far)[2][2][4]) {
#pragma unroll
  for (int s = 0; s < C::SLOTS; s++)
#pragma unroll
    for (int h = 0; h < 2; h++) {
      float4 *at = first.far + s * Layout<C>::FAR_ARRAY + (2 * k + h) * WARP;
      if constexpr (OUT) {
        thread_store_far(at, float4{far[s][h][0], far[s][h][1], far[s][h][2], far[s][h][3]});
      } else {
        const float4 v = thread_load_far(at);
        far[s][h][0] = v.x, far[s][h][1] = v.y, far[s][h][2] = v.z, far[s][h][3] = v.w;
      }
    }
}

// warp_apply puts the products of deltas and pixels of tile k into the weights.
template <class C>
__device__ inline void warp_apply(First<C> &first, int k, const unsigned (&delta)[C::TERMS][2][4], const unsigned (&pixels)[2][4], const Rates &rates, int flags) {
  if constexpr (C::ADDS) { // halves alternate: of two products side by side the second would wait for the first
#pragma unroll
    for (int h = 0; h < 2; h++)
#pragma unroll
      for (int i = 0; i < 4; i++) first.w[k][h][i] *= rates.shrink;
#pragma unroll
    for (int term = C::TERMS - 1; term >= 0; term--)
#pragma unroll
      for (int m = 0; m < 2; m++)
#pragma unroll
        for (int h = 0; h < 2; h++) warp_mma(first.w[k][h], delta[term][m], pixels[h][2 * m], pixels[h][2 * m + 1]);
  } else {
    float g[2][4] = {}, far[2][2][4];
    if (C::FAR && (!C::PARTS || flags & LAST)) thread_move_far<C, false>(first, k, far); // before the products whose sums they wait for
    if (C::PARTS && !(flags & FIRST))
#pragma unroll
      for (int h = 0; h < 2; h++) {
        const float4 *at = first.gradient + (2 * k + h) * WARP;
        const float4 v = C::FAR ? thread_load_far(at) : *at;
        g[h][0] = v.x, g[h][1] = v.y, g[h][2] = v.z, g[h][3] = v.w;
      }
#pragma unroll
    for (int term = C::TERMS - 1; term >= 0; term--)
#pragma unroll
      for (int m = 0; m < 2; m++)
#pragma unroll
        for (int h = 0; h < 2; h++) warp_mma(g[h], delta[term][m], pixels[h][2 * m], pixels[h][2 * m + 1]);
    if (C::PARTS && !(flags & LAST)) {
#pragma unroll
      for (int h = 0; h < 2; h++) {
        float4 *at = first.gradient + (2 * k + h) * WARP;
        const float4 v = {g[h][0], g[h][1], g[h][2], g[h][3]};
        if constexpr (C::FAR) thread_store_far(at, v);
        else *at = v;
      }
      return;
    }
    float none = 0;
#pragma unroll
    for (int h = 0; h < 2; h++)
#pragma unroll
      for (int i = 0; i < 4; i++)
        if constexpr (C::FAR) thread_step<C, false>(rates, g[h][i], first.w[k][h][i], far[0][h][i], far[1][h][i]);
        else
          thread_step<C, false>(rates, g[h][i], first.w[k][h][i], C::SLOTS > 0 ? first.slots[0][k][h][i] : none, C::SLOTS > 1 ? first.slots[C::SLOTS - 1][k][h][i] : none);
    if constexpr (C::FAR) thread_move_far<C, true>(first, k, far);
  }
}

// warp_turn updates the weights with this part's pixels (UPDATE) and computes the next part's sums (FORWARD), tile by tile, sums
// one tile behind: two independent streams fill each other's gaps, and there is no branch in them. Tiles beyond the input are
// zero.
//
//   now, next  the lane's row of the parts' bytes, at the warp's pixels
//   deltas     of the warp's units: matrices of bf16, TERMS of them
//   sums       the lane's part of the warp's sums of the first head
template <class C, bool UPDATE, bool FORWARD>
__device__ inline void warp_turn(First<C> &first, const unsigned char *now, const unsigned char *next, const unsigned char *deltas, float4 *sums, const Rates &rates, int flags) {
  using L = Layout<C>;
  unsigned delta[C::TERMS][2][4], bytes[4], ahead[4];
  constexpr int BEHIND = UPDATE && FORWARD ? 1 : 0;
  float z[2][2][4] = {};
  if constexpr (UPDATE) {
    warp_load_transposed(bytes, now);
    const int lane = thread_lane();
#pragma unroll
    for (int term = 0; term < C::TERMS; term++)
#pragma unroll
      for (int m = 0; m < 2; m++)
        warp_load_transposed(delta[term][m], deltas + term * L::TILE + 2 * ((16 * m + lane % 8 + 8 * (lane / 16)) * L::TILE_ROW + 8 * (lane / 8 % 2)));
  }
  if constexpr (FORWARD) warp_load_matrices(ahead, next);
#pragma unroll
  for (int step = 0; step < TILES + BEHIND; step++) {
    const int k = step - BEHIND; // of the sums
    const bool update = UPDATE && step < TILES, forward = FORWARD && k >= 0;
    unsigned bytes_after[4], ahead_after[4];
    if (update && step + 1 < TILES) warp_load_transposed(bytes_after, now + 16 * (step + 1));
    if (forward && k + 1 < TILES) warp_load_matrices(ahead_after, next + 16 * (k + 1));
    if constexpr (BEHIND > 0) __syncwarp(); // else the assembler loads them when they are needed
    if (update) {
      unsigned pixels[2][4];
#pragma unroll
      for (int r = 0; r < 4; r++) {
        pixels[0][r] = thread_even_bytes(bytes[r]);
        pixels[1][r] = thread_odd_bytes(bytes[r]);
      }
      warp_apply<C>(first, step, delta, pixels, rates, flags);
    }
    if (forward) {
      unsigned a[2][4], w[2][2][C::TERMS]; // w: units 0-7 or 8-15, half
#pragma unroll
      for (int r = 0; r < 4; r++) {
        a[r / 2][r % 2] = thread_even_bytes(ahead[r]);
        a[r / 2][2 + r % 2] = thread_odd_bytes(ahead[r]);
      }
#pragma unroll
      for (int u = 0; u < 2; u++)
#pragma unroll
        for (int h = 0; h < 2; h++) thread_split<C::TERMS>(w[u][h], first.w[k][h][2 * u], first.w[k][h][2 * u + 1]);
#pragma unroll
      for (int term = C::TERMS - 1; term >= 0; term--)
#pragma unroll
        for (int m = 0; m < 2; m++)
#pragma unroll
          for (int u = 0; u < 2; u++) warp_mma(z[m][u], a[m], w[u][0][term], w[u][1][term]);
    }
#pragma unroll
    for (int r = 0; r < 4; r++) {
      if (update && step + 1 < TILES) bytes[r] = bytes_after[r];
      if (forward && k + 1 < TILES) ahead[r] = ahead_after[r];
    }
  }
  if constexpr (FORWARD)
#pragma unroll
    for (int m = 0; m < 2; m++)
#pragma unroll
      for (int u = 0; u < 2; u++) sums[(m / C::M * GROUP_WARPS * 4 + m % C::M * C::N + u) * WARP] = float4{z[m][u][0], z[m][u][1], z[m][u][2], z[m][u][3]};
}

// warp_first copies what the pixel warps keep from the network's state, or to it. Arrays that are FAR pass through the
// registers of the weights, which come last, and leave first.
template <class C, bool OUT> __device__ inline void warp_first(First<C> &first, const Notes &notes) {
  const Layer &layer = notes.chain.layers[0];
  float *state = reinterpret_cast<float *>(notes.job.state) + layer.weight;
#pragma unroll
  for (int i = 0; i <= C::SLOTS; i++) {
    const int s = OUT ? i : C::SLOTS - i;
    FirstLayer &array = s && !C::FAR ? first.slots[s ? s - 1 : 0] : first.w;
    float *from = state + s * notes.chain.parameters;
    float4 *far = first.far + (s ? s - 1 : 0) * Layout<C>::FAR_ARRAY;
    if (OUT && C::FAR && s)
#pragma unroll
      for (int k = 0; k < 2 * TILES; k++) {
        const float4 v = thread_load_far(far + k * WARP);
        float(&w)[4] = array[k / 2][k % 2];
        w[0] = v.x, w[1] = v.y, w[2] = v.z, w[3] = v.w;
      }
    if constexpr (OUT) warp_save_first<C>(array, layer, from);
    else warp_load_first<C>(array, layer, from);
    if (!OUT && C::FAR && s)
#pragma unroll
      for (int k = 0; k < 2 * TILES; k++) {
        const float(&w)[4] = array[k / 2][k % 2];
        thread_store_far(far + k * WARP, float4{w[0], w[1], w[2], w[3]});
      }
  }
}

// thread_far is the lane's part of the block's FAR arrays.
template <class C> __device__ inline float4 *thread_far(const Notes &notes) {
  float *work = reinterpret_cast<float *>(notes.launch.work) + int64_t(blockIdx.x) * notes.launch.work_stride;
  return reinterpret_cast<float4 *>(work) + thread_pixel_warp<C>() * TILES * 2 * WARP + thread_lane();
}

// warp_pixels is what a pixel warp does for a job.
template <class C> __device__ inline void warp_pixels(Notes &notes, unsigned char *shared) {
  using L = Layout<C>;
  const int warp = thread_uniform(thread_pixel_warp<C>()), lane = thread_lane(), slice = warp % GROUP_WARPS, group = warp / GROUP_WARPS;
  First<C> first;
  if constexpr (C::FAR) first.far = thread_far<C>(notes);
  if constexpr (!C::FAR) first.gradient = reinterpret_cast<float4 *>(shared + L::GRADIENT) + warp * TILES * 2 * WARP + lane;
  warp_first<C, false>(first, notes);

  unsigned char *stage = shared + L::PIXELS;
  const unsigned char *rows = stage + lane * L::ROW + 16 * TILES * slice;
  float4 *sums = reinterpret_cast<float4 *>(shared + L::SUMS) + (4 * slice + 2 * group) * WARP + lane;
  const unsigned char *deltas = shared + L::LAYERS + L::DELTA + 2 * 16 * group;
  if (warp == ORDER_WARP) {
    for (int part = 0; part < 2; part++) {
      warp_order(notes, part);
      warp_lookup(notes, part);
    }
    warp_order(notes, 2);
  }
  block_meet<C>(); // the first two parts are known
  warp_fetch<C>(notes, stage, 0, slice, group);
  thread_copy_wait();
  block_meet<C>(); // all have read the first offsets, which warp_lookup overwrites
  warp_turn<C, false, true>(first, rows, rows, deltas, sums, Rates{}, 0);
  int side = 0, part = 0; // where the running part's bytes are
  while (true) { // registers are for weights: what can be read again is not kept
    const int other = L::STAGE - side;
    if constexpr (C::GROUPS == 1) {
      warp_barrier_arrive(BARRIER_SUMS, C::THREADS); //@ step only=pixels region=wait
      __syncwarp(); // all lanes have read the bytes that are overwritten: ldmatrix orders no memory
    } else {
      warp_barrier_sync(BARRIER_SUMS, C::THREADS); //@ step only=pixels region=wait
    }
    const bool more = part + 1 < notes.parts;
    if (more)
      warp_fetch<C>(notes, stage + other, part + 1, slice, group); //@ hot region=fetch
    if (warp == ORDER_WARP)
      warp_order(notes, part + 3); //@ hot only=order region=order
    if (warp == LOOKUP_WARP)
      warp_lookup(notes, part + 2); //@ hot only=lookup region=lookup
    if (warp == LOSS_WARP && part)
      warp_loss<C>(notes, shared, part - 1); //@ only=loss region=loss
    thread_copy_wait();
    warp_barrier_sync(BARRIER_DELTAS, C::THREADS); //@ region=wait
    if (notes.stop[part & 1])
      break; //@ cold
    const Part &p = notes.part[part & 3];
    const Rates rates = thread_rates<C>(notes, p);
    const int flags = C::PARTS ? p.flags : FIRST | LAST;
    if constexpr (C::FAR) first.far = thread_far<C>(notes), first.gradient = first.far + C::SLOTS * L::FAR_ARRAY;
    if (!more) {
      warp_turn<C, true, false>(first, rows + side, rows + other, deltas, sums, rates, flags); //@ cold
      if (warp == LOSS_WARP)
        warp_loss<C>(notes, shared, part); //@ cold
      break; //@ cold
    }
    if constexpr (C::APART) {
      warp_turn<C, true, false>(first, rows + side, rows + other, deltas, sums, rates, flags); //@ hot region=turn
      warp_turn<C, false, true>(first, rows + side, rows + other, deltas, sums, rates, flags); //@ hot region=turn
    } else {
      warp_turn<C, true, true>(first, rows + side, rows + other, deltas, sums, rates, flags); //@ hot region=turn
    }
    side = other;
    part++;
  }
  if constexpr (C::FAR) first.far = thread_far<C>(notes);
  warp_first<C, true>(first, notes);
}
