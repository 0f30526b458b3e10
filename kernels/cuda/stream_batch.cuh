// The parts of batches: which examples they hold, their pixels, what the loss makes of their outputs.
#pragma once
#include "stream.cuh"

// warp_part decides on the examples of the next part.
__device__ inline void warp_part(Stream &s, int part) {
  if (part >= s.parts) return;
  const Cursor c = s.cursor;
  const Job &job = s.job;
  const int lane = thread_lane(), slot = part & 1, rows = s.plan.groups * ROWS, count = min(rows, c.end - c.from);
#pragma unroll 1
  for (int row = lane; row < rows; row += WARP) {
    const uint32_t example = thread_order_at(s.keys, job.examples, c.from + (row < count ? row : 0));
    s.example[slot][row] = example;
    s.label[slot][row] = job.targets ? thread_soft_label(example) : int(reinterpret_cast<const uint8_t *>(job.labels)[example]);
  }
  const bool last = c.from + count == c.end, ends = last && c.end == job.examples;
  __syncwarp(); // before keys and the cursor change
  if (ends && lane < ORDER_ROUNDS / 4) thread_order_keys(s.keys, job.order_seed, c.epoch + 1, lane);
  if (lane == 0) {
    Scalars now = (reinterpret_cast<const Scalars *>(s.launch.scalars) + job.scalars)[c.step];
    if (job.optimizer == OPTIMIZER_SGD) now.shrink = 1 - now.lr * job.decay;
    if (job.optimizer == OPTIMIZER_ADAM) now.root = 1 / now.root;
    s.part[slot] = {now, count, s.plan.scale / float(c.end - c.begin), (c.from == c.begin ? FIRST : 0) | (last ? LAST : 0), c.step};
    s.epoch[slot] = c.epoch;
    s.from[slot] = c.from;
    Cursor next = {c.step + last, c.epoch + ends, c.begin, c.end, c.from + count};
    if (last) {
      next.begin = next.from = ends ? 0 : c.end;
      next.end = min(next.begin + job.batch, job.examples);
    }
    s.cursor = next;
  }
}

// block_fetch begins to copy a part's pixels to their stage. They are there when all threads have waited for their copies and
// met.
__device__ inline void block_fetch(Stream &s, int part) {
  const Job &job = s.job;
  const int slot = part & 1, features = thread_layer(s, 0).in, count = s.part[slot].count, row_bytes = s.plan.row_bytes;
  unsigned char *stage = thread_stage(s, part);
  const uint8_t *pixels = reinterpret_cast<const uint8_t *>(job.pixels);
  if (features % 16 == 0 && !job.shift && !job.warps && !job.noise_threshold) {
    const int pieces = features / 16;
#pragma unroll 4
    for (int i = thread_index(); i < count * pieces; i += THREADS) {
      const int row = i / pieces, at = 16 * (i % pieces);
      thread_copy_async(stage + row * row_bytes + at, pixels + int64_t(s.example[slot][row]) * features + at);
    }
  } else {
#pragma unroll 1
    for (int row = thread_warp(); row < count; row += WARPS) {
      const uint32_t example = s.example[slot][row];
      const bool noise = warp_image(job, stage + row * row_bytes, pixels + int64_t(example) * features, features, s.epoch[slot], s.from[slot] + row, example);
      if (noise && thread_lane() == 0) s.label[slot][row] = EVEN_LABEL;
    }
  }
  thread_copy_commit();
}

// thread_activate_square replaces z by f(z), and gives the slopes.
template <int TERMS, int ACTIVATION> __device__ inline void thread_activate_all(Square &z, Square &slope) {
#pragma unroll
  for (int h = 0; h < 2; h++)
#pragma unroll
    for (int i = 0; i < 4; i++) thread_activate_fast<TERMS == 1, ACTIVATION>(z[h][i], slope[h][i]);
}
template <int TERMS> __device__ inline void thread_activate_square(int activation, Square &z, Square &slope) {
  switch (activation) {
  case ACT_SIGMOID: return thread_activate_all<TERMS, ACT_SIGMOID>(z, slope);
  case ACT_TANH: return thread_activate_all<TERMS, ACT_TANH>(z, slope);
  case ACT_RELU: return thread_activate_all<TERMS, ACT_RELU>(z, slope);
  case ACT_RECTIFY: return thread_activate_all<TERMS, ACT_RECTIFY>(z, slope);
  case ACT_LEAKY_RELU: return thread_activate_all<TERMS, ACT_LEAKY_RELU>(z, slope);
  case ACT_SOFTPLUS: return thread_activate_all<TERMS, ACT_SOFTPLUS>(z, slope);
  case ACT_SILU: return thread_activate_all<TERMS, ACT_SILU>(z, slope);
  case ACT_GELU_TANH: return thread_activate_all<TERMS, ACT_GELU_TANH>(z, slope);
  case ACT_SOFTSIGN: return thread_activate_all<TERMS, ACT_SOFTSIGN>(z, slope);
  }
  thread_activate_all<TERMS, ACT_IDENTITY>(z, slope);
}

// thread_goal is what an output is to be for an example of that label, see block.cuh.
__device__ inline float thread_goal(const Job &job, int label, int output, int outputs) {
  if (label >= 0) return output == label ? 1.0f : 0.0f;
  if (label == EVEN_LABEL) return 1.0f / float(outputs);
  return reinterpret_cast<const float *>(job.targets)[int64_t(-2 - label) * outputs + output];
}

template <class F> __device__ inline float thread_eighth(float v, F f) { // over the eight threads of a row
#pragma unroll
  for (int distance = 4; distance > 0; distance /= 2) v = f(v, __shfl_xor_sync(~0u, v, distance));
  return v;
}

// block_loss replaces outputs, which are logits for the cross-entropy, by the gradient of the loss, and keeps each row's loss.
// Eight threads have a row. Rows that are no examples get zeros.
__device__ inline void block_loss(Stream &s, int slot, int groups) {
  const Part &part = s.part[slot];
  const int outputs = thread_layer(s, s.plan.depth - 1).out, first = thread_index() % 8;
  const auto plus = [](float a, float b) { return a + b; };
#pragma unroll 1
  for (int row = thread_index() / 8; row < groups * ROWS; row += THREADS / 8) {
    float *z = thread_logits(s, row);
    const int label = s.label[slot][row];
    const float share = row < part.count ? part.share : 0.0f;
    float loss = 0;
    if (s.plan.loss == LOSS_CROSS_ENTROPY) {
      float top = -INFINITY, sum = 0, inner = 0;
      for (int c = first; c < outputs; c += 8) top = fmaxf(top, z[c]);
      top = thread_eighth(top, [](float a, float b) { return fmaxf(a, b); });
      for (int c = first; c < outputs; c += 8) {
        const float goal = thread_goal(s.job, label, c, outputs);
        sum += expf(z[c] - top);
        if (goal != 0) inner += goal * (z[c] - top); // infinite logits are no part of it otherwise
      }
      sum = thread_eighth(sum, plus);
      inner = thread_eighth(inner, plus);
      loss = logf(sum) - inner;
      for (int c = first; c < outputs; c += 8)
        z[c] = share == 0 ? 0.0f : share * (expf(z[c] - top) / sum - thread_goal(s.job, label, c, outputs));
    } else {
      for (int c = first; c < outputs; c += 8) {
        const float error = z[c] - thread_goal(s.job, label, c, outputs);
        loss += error * error;
        z[c] = share == 0 ? 0.0f : 2 * share * error;
      }
      loss = thread_eighth(loss, plus);
    }
    if (first == 0) s.loss[row] = row < part.count ? loss : 0.0f;
  }
}

// warp_total adds up the rows' losses and, behind the last part of a batch, says whether to go on.
__device__ inline void warp_total(Stream &s, int slot, int groups) {
  const Part &part = s.part[slot];
  float sum = 0;
  for (int group = 0; group < groups; group++) sum += s.loss[group * ROWS + thread_lane()];
  for (int distance = WARP / 2; distance > 0; distance /= 2) sum += __shfl_xor_sync(~0u, sum, distance);
  if (thread_lane()) return;
  if (!(part.flags & FIRST)) sum += s.sum;
  s.sum = sum;
  if (!(part.flags & LAST)) return;
  const float loss = sum * part.share;
  reinterpret_cast<float *>(s.launch.losses)[s.job.losses + part.step] = loss;
  s.reached = part.step + 1;
  s.diverged = !isfinite(loss);
}
