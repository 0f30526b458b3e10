// What blocks do with the layers of a chain, and what they begin a job with.
#pragma once
#include "stream_batch.cuh"
#include "stream_product.cuh"

// thread_gather adds up what the warps that share a tile have made of rows 16 m.
__device__ inline void thread_gather(const Stream &s, Square &z, int m, int first, int splits) {
  thread_load_square(z, thread_sums(s, first) + 2 * m * WARP);
#pragma unroll 1
  for (int c = 1; c < splits; c++) {
    Square more;
    thread_load_square(more, thread_sums(s, first + c) + 2 * m * WARP);
#pragma unroll
    for (int h = 0; h < 2; h++)
#pragma unroll
      for (int i = 0; i < 4; i++) z[h][i] += more[h][i];
  }
}

// warp_outputs makes outputs and slopes of a layer's sums, for the tile of rows at, number m of its group, and units u.
template <class C> __device__ __noinline__ void warp_outputs(const Stream &s, int l, int at, int m, int u, int first, int splits) {
  const StreamLayer &layer = thread_layer(s, l);
  const int g = thread_lane() / 4, column = 16 * u + 2 * (thread_lane() % 4);
  Square z, slope;
  thread_gather(s, z, m, first, splits);
  const float *biases = thread_address(s, layer.biases) + column;
  const float scale = l ? 1.0f : PIXEL_SCALE;
#pragma unroll
  for (int h = 0; h < 2; h++) {
    const float2 bias = *reinterpret_cast<const float2 *>(biases + 8 * h);
#pragma unroll
    for (int i = 0; i < 4; i++) z[h][i] = z[h][i] * scale + (i % 2 ? bias.y : bias.x);
  }
  const bool top = l == s.plan.depth - 1;
  if (!top || s.plan.loss == LOSS_QUADRATIC) {
    thread_activate_square<C::TERMS>(layer.activation, z, slope);
    thread_store_floats(reinterpret_cast<float4 *>(thread_deltas<C>(s, layer, at, u)), slope);
  }
  if (top) {
    float *row = thread_logits(s, 16 * at + g) + column;
#pragma unroll
    for (int h = 0; h < 2; h++)
#pragma unroll
      for (int i = 0; i < 2; i++) *reinterpret_cast<float2 *>(row + 8 * i * s.plan.logits_row + 8 * h) = float2{z[h][2 * i], z[h][2 * i + 1]};
    return;
  }
#pragma unroll
  for (int h = 0; h < 2; h++)
#pragma unroll
    for (int i = 0; i < 4; i++)
      if (column + 8 * h + i % 2 >= layer.out) z[h][i] = 0; // f(0) of units that there are not
  thread_store_square<C::TERMS>(thread_outputs<C>(s, layer, at, u), z);
}

// warp_store_deltas writes deltas of a layer, those of the first one the other way round: nothing else is made of them.
template <class C> __device__ inline void warp_store_deltas(const Stream &s, int l, int at, int u, const Square &z) {
  uint4 *to = thread_deltas<C>(s, thread_layer(s, l), at, u);
  thread_store_square<C::TERMS>(to, z);
  if (l) return;
#pragma unroll
  for (int t = 0; t < C::TERMS; t++) to[t * WARP] = warp_transposed(to[t * WARP]);
}

// warp_deltas makes deltas of a layer of the sums that came back to its outputs.
template <class C> __device__ __noinline__ void warp_deltas(const Stream &s, int l, int at, int m, int u, int first, int splits) {
  Square z, slope;
  thread_gather(s, z, m, first, splits);
  thread_load_square(slope, reinterpret_cast<const float4 *>(thread_deltas<C>(s, thread_layer(s, l), at, u)));
#pragma unroll
  for (int h = 0; h < 2; h++)
#pragma unroll
    for (int i = 0; i < 4; i++) z[h][i] *= slope[h][i];
  warp_store_deltas<C>(s, l, at, u, z);
}

// block_top makes the last layer's deltas of the loss's gradient.
template <class C> __device__ inline void block_top(const Stream &s, int groups) {
  const int l = s.plan.depth - 1, g = thread_lane() / 4;
  const StreamLayer &layer = thread_layer(s, l);
  const int units = thread_tiles(layer.out);
#pragma unroll 1
  for (int n = thread_warp(); n < 2 * groups * units; n += WARPS) {
    const int at = n / units, u = n % units, column = 16 * u + 2 * (thread_lane() % 4);
    const float *row = thread_logits(s, 16 * at + g) + column;
    Square z;
#pragma unroll
    for (int h = 0; h < 2; h++)
#pragma unroll
      for (int i = 0; i < 4; i++) z[h][i] = column + 8 * h + i % 2 < layer.out ? row[8 * (i / 2) * s.plan.logits_row + 8 * h + i % 2] : 0.0f;
    if (s.plan.loss == LOSS_QUADRATIC) {
      Square slope;
      thread_load_square(slope, reinterpret_cast<const float4 *>(thread_deltas<C>(s, layer, at, u)));
#pragma unroll
      for (int h = 0; h < 2; h++)
#pragma unroll
        for (int i = 0; i < 4; i++) z[h][i] *= slope[h][i];
    }
    warp_store_deltas<C>(s, l, at, u, z);
  }
}

// block_sums deals sums to the warps: of each of count tiles, for each group of 32 rows, as many warps as splits add up a part.
// work(group, tile, part) leaves it with the warp's sums, finish(group, tile, m, first) takes those of the warps from first on,
// for 16 rows. Tiles are dealt to all blocks that share the network.
template <class C, class W, class F> __device__ inline void block_sums(int groups, int count, int splits, W work, F finish) {
  const int warp = thread_warp(), c = warp % splits, first = thread_block<C>() * (WARPS / splits);
#pragma unroll 1
  for (int from = first; from < groups * count; from += thread_blocks<C>() * (WARPS / splits)) {
    const int item = from + warp / splits, group = item / count, tile = item % count;
    if (splits > 1 && from > first) __syncthreads(); // before sums are overwritten
    if (item < groups * count) work(group, tile, c);
    if (splits > 1) __syncthreads();
    if (item < groups * count)
#pragma unroll 1
      for (int m = c; m < 2; m += splits) finish(group, tile, m, warp - c);
  }
}

// thread_share is how many of n things the one who has number c of so many gets, when they are dealt.
__device__ inline int thread_share(int n, int c, int of) { return (n - c + of - 1) / of; }

// block_first goes through the first layer: it updates it with a part's pixels, and runs the part of number next forward.
template <class C, bool UPDATE, bool FORWARD> __device__ inline void block_first(const Stream &s, int part, int next, int groups, const Rates &rates, int flags) {
  const StreamLayer &layer = thread_layer(s, 0);
  const int inputs = thread_tiles(layer.in), units = thread_tiles(layer.out), splits = layer.splits;
  const auto turn = [&](int group, int u, int c) {
    const Tiles tiles(s, layer, c * units + u, splits * units, thread_share(inputs, c, splits), UPDATE ? thread_arrays<C>(flags) : 1);
    const auto pixels = [&](int part, int group) {
      return Pixels{thread_stage(s, part) + (group * ROWS + thread_lane()) * s.plan.row_bytes + 16 * c, 16 * splits};
    };
    warp_turn<C, UPDATE, FORWARD>(s, tiles, pixels(part, 0), pixels(next, group), thread_deltas<C>(s, layer, 0, u), units * C::DELTA, thread_sums(s, thread_warp()), groups, rates, flags);
  };
  if constexpr (FORWARD) {
    block_sums<C>(UPDATE ? 1 : groups, units, splits, turn, [&](int group, int u, int m, int first) { warp_outputs<C>(s, 0, 2 * group + m, m, u, first, splits); });
  } else {
#pragma unroll 1
    for (int n = thread_block<C>() * WARPS + thread_warp(); n < units * splits; n += thread_blocks<C>() * WARPS) turn(0, n / splits, n % splits);
  }
}

// block_forward runs a layer but the first.
template <class C> __device__ inline void block_forward(const Stream &s, int l, int groups) {
  const StreamLayer &layer = thread_layer(s, l), &below = thread_layer(s, l - 1);
  const int inputs = thread_tiles(layer.in), units = thread_tiles(layer.out), splits = layer.splits;
  block_sums<C>(
      groups, units, splits,
      [&](int group, int u, int c) {
        const Tiles tiles(s, layer, c * units + u, splits * units, thread_share(inputs, c, splits), 1);
        warp_sums<C, false>(tiles, thread_outputs<C>(s, below, 2 * group, c), splits * C::OUTPUT, inputs * C::OUTPUT, thread_sums(s, thread_warp()));
      },
      [&](int group, int u, int m, int first) { warp_outputs<C>(s, l, 2 * group + m, m, u, first, splits); });
}

// block_back makes the deltas of the layer below.
template <class C> __device__ inline void block_back(const Stream &s, int l, int groups) {
  const StreamLayer &layer = thread_layer(s, l);
  const int inputs = thread_tiles(layer.in), units = thread_tiles(layer.out), splits = layer.back_splits;
  block_sums<C>(
      groups, inputs, splits,
      [&](int group, int k, int c) {
        const Tiles tiles(s, layer, k * units + c, splits, thread_share(units, c, splits), 1);
        warp_sums<C, true>(tiles, thread_deltas<C>(s, layer, 2 * group, c), splits * C::DELTA, units * C::DELTA, thread_sums(s, thread_warp()));
      },
      [&](int group, int k, int m, int first) { warp_deltas<C>(s, l - 1, 2 * group + m, m, k, first, splits); });
}

// block_state copies what a block keeps of the network's state in another order, or back.
template <class C, bool OUT> __device__ __noinline__ void block_state(const Stream &s) {
  const int lane = thread_lane(), g = lane / 4, t = lane % 4;
#pragma unroll 1
  for (int l = 0; l < s.plan.depth; l++) {
    const StreamLayer &layer = thread_layer(s, l);
    const int inputs = thread_tiles(layer.in), units = thread_tiles(layer.out);
#pragma unroll 1
    for (int k = 0; k <= C::SLOTS; k++) {
      float *state = reinterpret_cast<float *>(s.job.state) + k * s.plan.parameters;
      float *biases = thread_address(s, layer.biases) + k * 16 * units;
      for (int unit = thread_block<C>() * THREADS + thread_index(); unit < 16 * units; unit += thread_blocks<C>() * THREADS) {
        if constexpr (!OUT) biases[unit] = unit < layer.out ? state[layer.bias + unit] : 0.0f;
        else if (unit < layer.out) state[layer.bias + unit] = biases[unit];
      }
#pragma unroll 1
      for (int tile = thread_block<C>() * WARPS + thread_warp(); tile < inputs * units; tile += thread_blocks<C>() * WARPS) {
        float *kept = (tile < layer.kept ? s.shared + layer.kept_tiles : s.work + layer.tiles - int64_t(layer.kept) * s.plan.arrays * 4 * TILE_FOURS) +
                      (int64_t(tile) * s.plan.arrays + k) * 4 * TILE_FOURS + 4 * lane;
#pragma unroll
        for (int h = 0; h < 2; h++)
#pragma unroll
          for (int i = 0; i < 4; i++) {
            const int unit = tile % units * 16 + g + 8 * (i / 2), in = tile / units * 16 + (l ? 8 * h + 2 * t + i % 2 : 4 * t + 2 * (i % 2) + h);
            const bool there = unit < layer.out && in < layer.in;
            float &v = kept[4 * WARP * h + i], *at = state + layer.weight + int64_t(unit) * layer.in + in;
            if constexpr (!OUT) v = there ? *at : 0.0f;
            else if (there) *at = v;
          }
      }
    }
  }
}

// thread_job begins the job of number s.taken, work being the place of its SPACE_WORK among the launch's.
__device__ inline void thread_job(Stream &s, const Launch *launch, int work) {
  s.launch = *launch;
  const Job &job = s.job = reinterpret_cast<const Job *>(s.launch.jobs)[s.taken];
  const StreamPlan &plan = s.plan = reinterpret_cast<const StreamPlan *>(s.launch.plans)[job.plan];
  const int per_epoch = (job.examples - 1) / job.batch + 1, epoch = job.step / per_epoch, begin = job.step % per_epoch * job.batch, rows = plan.groups * ROWS;
  s.work = reinterpret_cast<float *>(s.launch.work) + work * s.launch.work_stride;
  s.logits = thread_address(s, plan.logits);
  s.cursor = {0, epoch, begin, min(begin + job.batch, job.examples), begin};
  const int ends = (job.step + job.steps) / per_epoch - epoch; // epochs that end in the job, with a batch of their own size
  const int last = job.examples - (per_epoch - 1) * job.batch;
  s.parts = (job.steps - ends) * ((job.batch + rows - 1) / rows) + ends * ((last + rows - 1) / rows);
  s.diverged = 0;
  for (int i = 0; i < ORDER_ROUNDS / 4; i++) thread_order_keys(s.keys, job.order_seed, epoch, i);
}

// block_layers copies the layers to shared memory.
__device__ inline void block_layers(Stream &s) {
  const int *layers = reinterpret_cast<const int *>(reinterpret_cast<const StreamLayer *>(s.launch.ops) + s.plan.layer);
  int *here = reinterpret_cast<int *>(reinterpret_cast<unsigned char *>(s.shared) + s.plan.layers);
  for (int i = thread_index(); i < s.plan.depth * int(sizeof(StreamLayer) / 4); i += THREADS) here[i] = layers[i];
}

// block_clear clears the pixels' places: there may be bytes beyond the input.
__device__ inline void block_clear(Stream &s) {
  uint4 *stage = reinterpret_cast<uint4 *>(reinterpret_cast<unsigned char *>(s.shared) + s.plan.stage);
  for (int i = thread_index(); i < s.plan.buffers * s.plan.groups * ROWS * s.plan.row_bytes / 16; i += THREADS) stage[i] = uint4{};
}
