// kernels/augment.go, kernels/noiseimages.go and kernels/warp, bit for bit: what happens to the examples of a training step.
// A warp makes an image, each lane its pixels one after the other.
#pragma once
#include "block.cuh"

constexpr uint32_t STREAM_WARP = 2, STREAM_NOISE = 4;

// What happens to one image, see kernels.change.
struct Change {
  int stroke;
  int u, ux, uy, v, vx, vy; // positions, in 65536ths of a pixel
  uint32_t windows;         // where in the field displacements begin, a byte each: across x and y, down x and y
};

constexpr int ONE_BITS = 24, SINE_TERMS = 10;

// thread_sine is sine and cosine in integers.
__device__ inline void thread_sine(int64_t x, int64_t *sin, int64_t *cos) {
  const int64_t one = 1 << ONE_BITS, square = x * x >> ONE_BITS;
  int64_t s = one, c = one;
#pragma unroll
  for (int64_t n = 2 * SINE_TERMS; n > 0; n -= 2) {
    s = one - ((square * s >> ONE_BITS) * ((int64_t(1) << 32) / (n * (n + 1))) >> 32);
    c = one - ((square * c >> ONE_BITS) * ((int64_t(1) << 32) / (n * (n - 1))) >> 32);
  }
  *sin = x * s >> ONE_BITS;
  *cos = c;
}

// thread_within is uniform between -limit and limit.
__device__ inline int64_t thread_within(uint32_t word, int64_t limit) { return int64_t(int32_t(word)) * limit >> 31; }

// thread_change is kernels.Amounts.changeOf.
__device__ inline Change thread_change(const Job &job, uint32_t epoch, uint32_t example) {
  const uint64_t position = uint64_t(epoch) << 32 | example;
  const Random a = thread_draw(job.order_seed, STREAM_SHIFT, position), b = thread_draw(job.order_seed, STREAM_WARP, position);
  int down, right;
  thread_shift(job.order_seed, epoch, example, job.shift, &down, &right);
  int64_t sin, cos;
  thread_sine(thread_within(b.word[0], job.angle), &sin, &cos);
  const int64_t unit = 1 << 16, shear = thread_within(b.word[1], job.shear);
  const int64_t wide = (int64_t(1) << 32) / (unit + thread_within(a.word[2], job.scale));
  const int64_t high = (int64_t(1) << 32) / (unit + thread_within(a.word[3], job.scale));
  const int64_t ux = (cos + (shear * sin >> 16)) * wide >> ONE_BITS, uy = (sin - (shear * cos >> 16)) * wide >> ONE_BITS;
  const int64_t vx = -sin * high >> ONE_BITS, vy = cos * high >> ONE_BITS;
  const int64_t mid_x = int64_t(job.image_cols - 1) << 15, mid_y = int64_t(job.image_rows - 1) << 15;
  const int64_t from_x = mid_x + right * unit, from_y = mid_y + down * unit, rounding = 1 << 9;
  return {int(thread_within(b.word[2], job.stroke)),
          int(mid_x - ((ux * from_x + uy * from_y) >> 16) + rounding), int(ux), int(uy),
          int(mid_y - ((vx * from_x + vy * from_y) >> 16) + rounding), int(vx), int(vy), b.word[3]};
}

__device__ inline int thread_image_pixel(const Job &job, const uint8_t *from, int y, int x) {
  return y >= 0 && y < job.image_rows && x >= 0 && x < job.image_cols ? from[y * job.image_cols + x] : 0;
}

// thread_stroked is a pixel of the image with thicker strokes, or thinner ones.
__device__ inline int thread_stroked(const Job &job, const uint8_t *from, int y, int x, int stroke) {
  const int p = thread_image_pixel(job, from, y, x);
  if (stroke == 0 || y < 0 || y >= job.image_rows || x < 0 || x >= job.image_cols) return p;
  const int left = thread_image_pixel(job, from, y, x - 1), right = thread_image_pixel(job, from, y, x + 1);
  const int above = thread_image_pixel(job, from, y - 1, x), below = thread_image_pixel(job, from, y + 1, x);
  if (stroke > 0) return p + (((max(max(max(p, left), max(right, above)), below) - p) * stroke + 128) >> 8);
  return p - (((p - min(min(min(p, left), min(right, above)), below)) * -stroke + 128) >> 8);
}

// thread_displacement is what a field moves a position by.
__device__ inline int thread_displacement(const Job &job, uint32_t window_x, uint32_t window_y, int y, int x) {
  const int16_t *field = reinterpret_cast<const int16_t *>(job.field);
  const int value = field[int64_t(window_y + y) * job.field_stride + window_x + x];
  return ((value * job.gain + (1 << 14)) >> 15) * 256;
}

// warp_warp is warp.Warper.Warp.
__device__ inline void warp_warp(const Job &job, uint8_t *to, const uint8_t *from, uint32_t epoch, uint32_t example) {
  const Change c = thread_change(job, epoch, example);
  const int rows = job.image_rows, cols = job.image_cols, unit = 1 << 16;
#pragma unroll 1
  for (int i = thread_lane(); i < rows * cols; i += WARP) {
    const int y = i / cols, x = i % cols;
    int u = c.u + x * c.ux + y * c.uy, v = c.v + x * c.vx + y * c.vy;
    if (job.field) {
      u += thread_displacement(job, c.windows & 255, c.windows >> 8 & 255, y, x);
      v += thread_displacement(job, c.windows >> 16 & 255, c.windows >> 24, y, x);
    }
    u = min(max(u, -unit), cols * unit);
    v = min(max(v, -unit), rows * unit);
    const int at_x = u >> 16, at_y = v >> 16, fx = u >> 10 & 63, fy = v >> 10 & 63;
    const int top = (64 - fx) * thread_stroked(job, from, at_y, at_x, c.stroke) + fx * thread_stroked(job, from, at_y, at_x + 1, c.stroke);
    const int bottom = (64 - fx) * thread_stroked(job, from, at_y + 1, at_x, c.stroke) + fx * thread_stroked(job, from, at_y + 1, at_x + 1, c.stroke);
    to[i] = uint8_t(((64 - fy) * top + fy * bottom + (1 << 11)) >> 12);
  }
}

// The kinds of images that show nothing.
enum NoiseKind : uint32_t { NOISE_UNIFORM = 0, NOISE_SHUFFLED, NOISE_GAUSSIAN, NOISE_BLANK, NOISE_KINDS };

// thread_noise_word is word i of what an image is made of.
__device__ inline uint32_t thread_noise_word(const Job &job, uint32_t epoch, uint32_t position, int i) {
  return thread_philox(job.order_seed, position, epoch, STREAM_NOISE, uint32_t(1 + i / 4)).word[i % 4];
}

// warp_noise is kernels.noiseImages.draw: it makes an image that shows nothing, if there is one at the position.
__device__ inline bool warp_noise(const Job &job, uint8_t *to, const uint8_t *from, int features, uint32_t epoch, uint32_t position) {
  const Random first = thread_philox(job.order_seed, position, epoch, STREAM_NOISE, 0);
  if (first.word[0] >= job.noise_threshold) return false;
  const uint32_t kind = uint32_t(uint64_t(first.word[1]) * NOISE_KINDS >> 32);
#pragma unroll 1
  for (int i = thread_lane(); i < features; i += WARP) {
    switch (kind) {
    case NOISE_UNIFORM: to[i] = uint8_t(thread_noise_word(job, epoch, position, i / 4) >> (i % 4 * 8)); break;
    case NOISE_SHUFFLED: to[i] = from[i]; break;
    case NOISE_GAUSSIAN:
      to[i] = reinterpret_cast<const uint8_t *>(job.gaussian)[thread_noise_word(job, epoch, position, i / 2) >> (i % 2 * 16) & 0xffff];
      break;
    default: to[i] = uint8_t(first.word[2] >> 24);
    }
  }
  if (kind == NOISE_SHUFFLED) {
    __syncwarp(); // before pixels change places
    if (thread_lane() == 0) {
#pragma unroll 1
      for (int i = features - 1; i > 0; i--) {
        const int k = int(uint64_t(thread_noise_word(job, epoch, position, features - 1 - i)) * uint64_t(i + 1) >> 32);
        const uint8_t p = to[i];
        to[i] = to[k];
        to[k] = p;
      }
    }
  }
  return true;
}

// warp_copy copies an example's bytes to a row of the batch: many loads are under way before the first is stored.
__device__ inline void warp_copy(uint8_t *to, const uint8_t *from, int features) {
  constexpr int AHEAD = 7; // words of a lane: 784 bytes in one go
  const int lane = thread_lane(), words = features % 4 == 0 ? features / 4 : 0; // then all rows are aligned to words
#pragma unroll 1
  for (int i = lane; i < words; i += AHEAD * WARP) {
    uint32_t v[AHEAD];
#pragma unroll
    for (int k = 0; k < AHEAD; k++) v[k] = i + k * WARP < words ? reinterpret_cast<const uint32_t *>(from)[i + k * WARP] : 0;
#pragma unroll
    for (int k = 0; k < AHEAD; k++)
      if (i + k * WARP < words) reinterpret_cast<uint32_t *>(to)[i + k * WARP] = v[k];
  }
#pragma unroll 4
  for (int i = 4 * words + lane; i < features; i += WARP) to[i] = from[i];
}

// warp_copy_moved copies an image, moved down and to the right; what enters is zero.
__device__ inline void warp_copy_moved(uint8_t *to, const uint8_t *from, int rows, int cols, int down, int right) {
  for (int i = thread_lane(); i < rows * cols; i += WARP) {
    const int y = i / cols - down, x = i % cols - right;
    to[i] = y >= 0 && y < rows && x >= 0 && x < cols ? from[y * cols + x] : 0;
  }
}

// warp_image makes what a network sees of an example that stands at a position of an epoch, and says whether that shows nothing.
__device__ inline bool warp_image(const Job &job, uint8_t *to, const uint8_t *pixels, int features, int epoch, int position, uint32_t example) {
  if (job.noise_threshold && warp_noise(job, to, pixels, features, epoch, position)) return true;
  if (job.warps) {
    warp_warp(job, to, pixels, epoch, example);
  } else if (job.shift == 0) {
    warp_copy(to, pixels, features);
  } else {
    int down, right;
    thread_shift(job.order_seed, epoch, example, job.shift, &down, &right);
    warp_copy_moved(to, pixels, job.image_rows, job.image_cols, down, right);
  }
  return false;
}
