// kernels/noise.go, bit for bit: the random numbers of programs.
#pragma once
#include "block.cuh"

template <class... C> __device__ inline double thread_poly(double x, double c, C... higher) {
  if constexpr (sizeof...(higher) == 0) return c;
  else return __dadd_rn(__dmul_rn(thread_poly(x, higher...), x), c);
}

// thread_logarithm is logarithm of kernels/random.go.
__device__ inline double thread_logarithm(double x) {
  const long long bits = __double_as_longlong(x);
  int e = int(bits >> 52) - 1022;
  double m = __longlong_as_double((bits & 0xfffffffffffffll) | 1022ll << 52);
  if (m < 1.41421356237309504880168872420969807856967187537694 / 2) m *= 2, e--;
  const double t = __ddiv_rn(m - 1, m + 1), s = __dmul_rn(t, t);
  const double series = thread_poly(s, 1., 1. / 3, 1. / 5, 1. / 7, 1. / 9, 1. / 11, 1. / 13, 1. / 15, 1. / 17, 1. / 19, 1. / 21, 1. / 23,
                                    1. / 25, 1. / 27);
  return __dadd_rn(__dmul_rn(double(e), 0.693147180559945309417232121458176568075500134360255254120680009), __dmul_rn(2 * t, series));
}

// thread_quantile is quantile of kernels/random.go.
__device__ inline double thread_quantile(double p) {
  const double q = __dsub_rn(p, 0.5);
  if (fabs(q) <= 0.425) {
    const double r = __dsub_rn(0.180625, __dmul_rn(q, q));
    return __dmul_rn(q, __ddiv_rn(
        thread_poly(r, 3.3871328727963666080, 1.3314166789178437745e2, 1.9715909503065514427e3, 1.3731693765509461125e4,
                    4.5921953931549871457e4, 6.7265770927008700853e4, 3.3430575583588128105e4, 2.5090809287301226727e3),
        thread_poly(r, 1., 4.2313330701600911252e1, 6.8718700749205790830e2, 5.3941960214247511077e3, 2.1213794301586595867e4,
                    3.9307895800092710610e4, 2.8729085735721942674e4, 5.2264952788528545610e3)));
  }
  const double tail = fmin(p, __dsub_rn(1, p));
  double r = __dsqrt_rn(-thread_logarithm(tail)), x;
  if (r <= 5) {
    r = __dsub_rn(r, 1.6);
    x = __ddiv_rn(
        thread_poly(r, 1.42343711074968357734, 4.63033784615654529590, 5.76949722146069140550, 3.64784832476320460504,
                    1.27045825245236838258, 2.41780725177450611770e-1, 2.27238449892691845833e-2, 7.74545014278341407640e-4),
        thread_poly(r, 1., 2.05319162663775882187, 1.67638483018380384940, 6.89767334985100004550e-1,
                    1.48103976427480074590e-1, 1.51986665636164571966e-2, 5.47593808499534494600e-4, 1.05075007164441684324e-9));
  } else {
    r = __dsub_rn(r, 5);
    x = __ddiv_rn(
        thread_poly(r, 6.65790464350110377720, 5.46378491116411436990, 1.78482653991729133580, 2.96560571828504891230e-1,
                    2.65321895265761230930e-2, 1.24266094738807843860e-3, 2.71155556874348757815e-5, 2.01033439929228813265e-7),
        thread_poly(r, 1., 5.99832206555887937690e-1, 1.36929880922735805310e-1, 1.48753612908506148525e-2,
                    7.86869131145613259100e-4, 1.84631831751005468180e-5, 1.42151175831644588870e-7, 2.04426310338993978564e-15));
  }
  return q < 0 ? -x : x;
}

// thread_bits is philox64: two numbers of 64 bits.
__device__ inline void thread_bits(uint64_t c0, uint64_t c1, uint64_t key, uint64_t (&bits)[2]) {
  for (int round = 0; round < 6; round++) {
    const uint64_t high = __umul64hi(0xD2B74407B1CE6E93u, c0), low = 0xD2B74407B1CE6E93u * c0;
    c0 = high ^ key ^ c1;
    c1 = low;
    key += 0x9E3779B97F4A7C15u;
  }
  bits[0] = c0;
  bits[1] = c1;
}

// block_random draws the numbers of the running step.
__device__ __noinline__ void block_random(Block &block, const Tensor &t) {
  const View &result = reinterpret_cast<const View *>(block.launch.views)[t.view];
  float *out = thread_address(block, result.space, result.offset);
  const uint64_t step = uint64_t(uint32_t(block.step)) << 32, seed = block.job.seed;
  if (t.function == RANDOM_KEEP) {
    const uint32_t below = uint32_t(t.number[0] * 65536 + 0.5);
    const float kept = float(__ddiv_rn(1, t.number[0]));
#pragma unroll 1
    for (int i = 8 * thread_first(block); i < t.length; i += 8 * thread_stride(block)) {
      uint64_t bits[2];
      thread_bits(step | uint32_t(i / 8), uint32_t(t.stream), seed, bits);
#pragma unroll
      for (int k = 0; k < 8; k++)
        if (i + k < t.length) out[i + k] = uint32_t(bits[k / 4] >> k % 4 * 16 & 0xffff) < below ? kept : 0.0f;
    }
    return;
  }
#pragma unroll 1
  for (int i = 4 * thread_first(block); i < t.length; i += 4 * thread_stride(block)) {
    const Random r = thread_draw(seed, t.stream, step | uint32_t(i / 4));
#pragma unroll 1
    for (int k = 0; k < 4 && i + k < t.length; k++) {
      const uint32_t word = k == 0 ? r.word[0] : k == 1 ? r.word[1] : k == 2 ? r.word[2] : r.word[3];
      double u = (double(word) + 0.5) * 0x1p-32;
      if (t.function == RANDOM_GAUSS) u = thread_quantile(u);
      out[i + k] = float(__dadd_rn(t.number[0], __dmul_rn(t.number[1], u)));
    }
  }
}
