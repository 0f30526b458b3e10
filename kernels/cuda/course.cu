// What a launch of training has before and behind it: the numbers of every step's update, from its schedule, and the sums of its
// epochs' losses. The host so neither computes nor copies anything for a single step. Numbers are the host's, bit by bit:
// everything here is rounded as kernels.Schedule.At, kernels.Update and the sum of kernels.State.LossSum are.
#include "cuda.cuh"
#include "format.cuh"

// What a training job's steps have to do with each other. The job of the same number has the rest.
struct Course {
  double peak;         // the largest learning rate
  double beta1, beta2; // Adam's
  double share;        // of an epoch's last, maybe short batch in the sum of losses: examples by those of a full one
  int64_t factors;     // index of what multiplies peak in the first steps after the warm-up; it may lie before the table
  int64_t sums;        // index of the sum of the epoch that the job begins in
  int64_t carried;     // index of what that epoch's losses add up to before the job, and of what is left behind it
  int32_t warmup;      // steps
  int32_t hold;        // for how many steps a factor stays
  int32_t per_epoch;   // steps
  float shrinking;     // of weights, by AdamW, at a learning rate of 1
};
static_assert(sizeof(Course) == 72, "course.go");

// thread_power is x to the n, 0 <= x < 1, n > 0, rounded as Go's math.Pow is for whole exponents: by squares whose exponents
// are kept apart.
__device__ inline double thread_power(double x, int n) {
  double result = 1, square;
  int exponent = 0, square_exponent;
  square = frexp(x, &square_exponent);
  for (; n; n >>= 1) {
    if (square_exponent < -4096) return 0;
    if (n & 1) {
      result = __dmul_rn(result, square);
      exponent += square_exponent;
    }
    square = __dmul_rn(square, square);
    square_exponent *= 2;
    if (square < 0.5) {
      square = __dadd_rn(square, square);
      square_exponent--;
    }
  }
  return ldexp(result, exponent);
}

// thread_lr is kernels.Schedule.At.
__device__ inline float thread_lr(const Course &c, const double *factors, int step) {
  if (step < c.warmup) return __double2float_rn(__ddiv_rn(__dmul_rn(c.peak, double(step + 1)), double(c.warmup)));
  return __double2float_rn(__dmul_rn(c.peak, factors[c.factors + (step - c.warmup) / c.hold]));
}

// kernel_scalars writes the numbers of the update of every step of a launch's training jobs. A block takes one job after
// another: any grid and any number of threads will do.
extern "C" __global__ void __launch_bounds__(256) kernel_scalars(const Launch *launch, const Course *courses, const double *factors) {
  for (int j = int(blockIdx.x); j < launch->jobs_count; j += int(gridDim.x)) {
    const Job &job = reinterpret_cast<const Job *>(launch->jobs)[j];
    const Course c = courses[j];
    Scalars *scalars = reinterpret_cast<Scalars *>(launch->scalars) + job.scalars;
    for (int i = int(threadIdx.x); i < job.steps; i += int(blockDim.x)) {
      const int step = job.step + i;
      const float lr = thread_lr(c, factors, step);
      Scalars now = {lr, 0, 0, __fsub_rn(1.0f, __fmul_rn(lr, c.shrinking))};
      if (job.optimizer == OPTIMIZER_ADAM) {
        const double share1 = __dsub_rn(1.0, thread_power(c.beta1, step + 1)), share2 = __dsub_rn(1.0, thread_power(c.beta2, step + 1));
        now.rate = __double2float_rn(__ddiv_rn(double(lr), share1));
        now.root = __double2float_rn(__dsqrt_rn(share2));
      }
      scalars[i] = now;
    }
  }
}

// kernel_epochs adds up the losses of a launch's training jobs, a thread those of one, in the order of the steps: a sum for each
// epoch that the job took steps of, then what an epoch that is not over has so far.
//
//   carried  what each network's running epoch adds up to: before the launch, then after it
//   sums     of the epochs; what is not reached stays
extern "C" __global__ void __launch_bounds__(32) kernel_epochs(const Launch *launch, const Course *courses, double *carried, double *sums) {
  const int j = int(blockIdx.x * blockDim.x + threadIdx.x);
  if (j >= launch->jobs_count) return;
  const Job &job = reinterpret_cast<const Job *>(launch->jobs)[j];
  const Course c = courses[j];
  const float *losses = reinterpret_cast<const float *>(launch->losses) + job.losses;
  const int steps = reinterpret_cast<const Result *>(launch->results)[j].steps;
  double sum = carried[c.carried];
  int at = job.step % c.per_epoch;
  int64_t epoch = c.sums;
  for (int i = 0; i < steps; i++) {
    const double loss = losses[i];
    at++;
    sum = __dadd_rn(sum, at == c.per_epoch ? __dmul_rn(loss, c.share) : loss);
    if (at < c.per_epoch) continue;
    sums[epoch++] = sum;
    sum = 0;
    at = 0;
  }
  sums[epoch] = sum;
  carried[c.carried] = sum;
}
