// Windows over images, for convolution and pooling: Tensor's extent is that of the windows, b, oh, ow, ch, kh, kw. Images are
// b, ch, height, width, columns b, oh, ow, ch·kh·kw, and pooled ones b, ch, oh, ow. A thread computes an element of the result, so that
// sums have the order in which their terms stand in the operand.
#pragma once
#include "product.cuh"

struct Windows {
  int batch, oh, ow, channels, kh, kw, height, width, pad_y, pad_x, step_y, step_x, wide_y, wide_x;
};

__device__ inline Windows thread_windows(const Tensor &t) {
  return {t.extent[0], t.extent[1], t.extent[2], t.extent[3], t.extent[4], t.extent[5], t.geometry[0],
          t.geometry[1], t.geometry[2], t.geometry[3], t.geometry[4], t.geometry[5], t.geometry[6], t.geometry[7]};
}

// thread_operand are the elements of a whole operand, the k-th.
__device__ inline Elements thread_operand(const Block &block, const Tensor &t, int k) {
  const View &v = reinterpret_cast<const View *>(block.launch.views)[t.view + k];
  return thread_elements(block, v.space, v.offset);
}
__device__ inline float *thread_result(const Block &block, const Tensor &t) {
  const View &v = reinterpret_cast<const View *>(block.launch.views)[t.view];
  return thread_address(block, v.space, v.offset);
}

__device__ __noinline__ void block_im2col(Block &block, const Tensor &t) {
  const Windows w = thread_windows(t);
  const Elements image = thread_operand(block, t, 1);
  float *out = thread_result(block, t);
#pragma unroll 4
  for (int i = thread_first(block); i < t.length; i += thread_stride(block)) {
    int rest = i;
    const int kx = rest % w.kw; rest /= w.kw;
    const int ky = rest % w.kh; rest /= w.kh;
    const int channel = rest % w.channels; rest /= w.channels;
    const int ox = rest % w.ow; rest /= w.ow;
    const int oy = rest % w.oh, example = rest / w.oh;
    const int y = oy * w.step_y - w.pad_y + ky * w.wide_y, x = ox * w.step_x - w.pad_x + kx * w.wide_x;
    float v = 0;
    if (y >= 0 && x >= 0 && y < w.height && x < w.width)
      v = thread_element(image, (int64_t(example * w.channels + channel) * w.height + y) * w.width + x);
    out[i] = v;
  }
}

// A pixel's coordinates.
struct Pixel { int plane, y, x; };

__device__ inline Pixel thread_pixel(const Windows &w, int i) { return {i / w.width / w.height, i / w.width % w.height, i % w.width}; }

// thread_window is which window holds a pixel at offset k, -1 if none does.
__device__ inline int thread_window(int at, int pad, int k, int wide, int step, int windows) {
  const int from = at + pad - k * wide;
  return from >= 0 && from % step == 0 && from / step < windows ? from / step : -1;
}

__device__ __noinline__ void block_col2im(Block &block, const Tensor &t) {
  const Windows w = thread_windows(t);
  const Elements columns = thread_operand(block, t, 1);
  float *out = thread_result(block, t);
#pragma unroll 1
  for (int i = thread_first(block); i < t.length; i += thread_stride(block)) {
    const Pixel p = thread_pixel(w, i);
    const int example = p.plane / w.channels, channel = p.plane % w.channels;
    float sum = 0;
    for (int ky = w.kh - 1; ky >= 0; ky--) { // windows in ascending order
      const int oy = thread_window(p.y, w.pad_y, ky, w.wide_y, w.step_y, w.oh);
      for (int kx = w.kw - 1; kx >= 0 && oy >= 0; kx--) {
        const int ox = thread_window(p.x, w.pad_x, kx, w.wide_x, w.step_x, w.ow);
        if (ox < 0) continue;
        const int64_t row = (int64_t(example) * w.oh + oy) * w.ow + ox;
        sum = __fadd_rn(sum, thread_element(columns, ((row * w.channels + channel) * w.kh + ky) * w.kw + kx));
      }
    }
    out[i] = sum;
  }
}

// thread_largest is the first largest pixel of a window of a plane, by its index in the image.
__device__ inline int64_t thread_largest(const Windows &w, const Elements &image, int plane, int oy, int ox, float *largest) {
  int64_t best = -1;
  for (int ky = 0; ky < w.kh; ky++)
    for (int kx = 0; kx < w.kw; kx++) {
      const int y = oy * w.step_y - w.pad_y + ky, x = ox * w.step_x - w.pad_x + kx;
      if (y < 0 || x < 0 || y >= w.height || x >= w.width) continue;
      const int64_t at = (int64_t(plane) * w.height + y) * w.width + x;
      const float v = thread_element(image, at);
      if (best < 0 || v > *largest || (v != v && *largest == *largest)) best = at, *largest = v;
    }
  return best;
}

__device__ __noinline__ void block_maxpool(Block &block, const Tensor &t) {
  const Windows w = thread_windows(t);
  const Elements image = thread_operand(block, t, 1);
  float *out = thread_result(block, t);
#pragma unroll 1
  for (int i = thread_first(block); i < t.length; i += thread_stride(block)) {
    float largest = 0;
    thread_largest(w, image, i / w.ow / w.oh, i / w.ow % w.oh, i % w.ow, &largest);
    out[i] = largest;
  }
}

__device__ __noinline__ void block_maxpoolgrad(Block &block, const Tensor &t) {
  const Windows w = thread_windows(t);
  const Elements image = thread_operand(block, t, 1), gradient = thread_operand(block, t, 2);
  float *out = thread_result(block, t);
#pragma unroll 1
  for (int i = thread_first(block); i < t.length; i += thread_stride(block)) {
    const Pixel p = thread_pixel(w, i);
    float sum = 0;
    for (int ky = w.kh - 1; ky >= 0; ky--) {
      const int oy = thread_window(p.y, w.pad_y, ky, 1, w.step_y, w.oh);
      for (int kx = w.kw - 1; kx >= 0 && oy >= 0; kx--) {
        const int ox = thread_window(p.x, w.pad_x, kx, 1, w.step_x, w.ow);
        float largest = 0;
        if (ox >= 0 && thread_largest(w, image, p.plane, oy, ox, &largest) == i)
          sum = __fadd_rn(sum, thread_element(gradient, (int64_t(p.plane) * w.oh + oy) * w.ow + ox));
      }
    }
    out[i] = sum;
  }
}
