// The generic kernel: a block trains a network by interpreting its program. It runs every program of graph/ir, at any
// depth, widths and batch size, on any device from compute capability 7.5 on, and is what faster kernels are compared with.
//
// A launch holds any mix of jobs. Blocks take them from a queue, costliest first, so that nothing is compiled or arranged
// for an architecture and short jobs fill in behind long ones. A network's results depend on the network alone: every sum
// has an order of its own that neither the grid, the neighbours, the slicing of its steps nor the place of its values
// changes.
//
// Built by nvcc into the image that package driver loads; the same source, compiled for the CPU, runs in tests.
#include "cuda.cuh"
#include "augment.cuh"
#include "operation.cuh"

// block_batch fetches the examples of a training step, or the job's in an evaluation. A warp fetches one at a time.
__device__ __noinline__ void block_batch(Block &block, int step) {
  const Job &job = block.job;
  int epoch = 0, from = job.from, count = job.examples;
  if (job.kind == JOB_TRAIN) {
    const int per_epoch = (job.examples - 1) / job.batch + 1;
    epoch = step / per_epoch;
    from = step % per_epoch * job.batch;
    count = min(job.batch, job.examples - from);
  }
  if (thread_index() == 0) {
    thread_examples(block, count);
    block.step = step;
    if (job.kind == JOB_TRAIN) {
      block.now = reinterpret_cast<const Scalars *>(block.launch.scalars)[job.scalars + step - job.step];
      if (block.epoch != epoch) {
        block.epoch = epoch;
        for (int part = 0; part < ORDER_ROUNDS / 4; part++) thread_order_keys(block.keys, job.order_seed, epoch, part);
      }
    }
  }
  __syncthreads();
  const int features = block.plan.features;
  uint8_t *batch = reinterpret_cast<uint8_t *>(thread_address(block, block.plan.input));
  uint32_t examples = 0; // a lane has that of the warp's row of its number
#pragma unroll 1
  for (int i = thread_warp(), n = 0; i < count; i += WARPS, n++) {
    if (n % WARP == 0) {
      const int mine = i + thread_lane() * WARPS;
      examples = from + mine;
      if (job.kind == JOB_TRAIN && mine < count) examples = thread_order_at(block.keys, job.examples, examples);
    }
    const uint32_t example = __shfl_sync(~0u, examples, n % WARP);
    uint8_t *to = batch + int64_t(i) * features;
    const uint8_t *pixels = reinterpret_cast<const uint8_t *>(job.pixels) + int64_t(example) * features;
    int label = reinterpret_cast<const uint8_t *>(job.labels)[example];
    if (job.targets) label = thread_soft_label(example);
    if (warp_image(job, to, pixels, features, epoch, from + i, example)) label = EVEN_LABEL;
    if (thread_lane() == 0) thread_labels(block)[i] = label;
  }
  __syncthreads();
}

__device__ __noinline__ void block_program(Block &block) {
#pragma unroll 1
  for (int i = 0; i < block.ops_count; i++) block_operation(block, block.ops[i]);
}

// block_train takes the job's steps. A network whose loss is not finite has taken its last one.
__device__ inline void block_train(Block &block) {
  const Job &job = block.job;
  float *losses = reinterpret_cast<float *>(block.launch.losses) + job.losses;
  if (thread_index() == 0) block.stop = 0;
  int done = 0;
  while (done < job.steps) {
    block_batch(block, job.step + done);
    block_program(block);
    block_update(block);
    if (thread_index() == 0) {
      const float loss = *thread_address(block, block.plan.loss);
      losses[done] = loss;
      block.stop = !isfinite(loss);
    }
    __syncthreads();
    done++;
    if (block.stop) break;
  }
  if (thread_index() == 0) reinterpret_cast<Result *>(block.launch.results)[block.taken] = {done, block.stop};
}

// block_evaluate computes one loss and a class for each example: kernels.Argmax of its outputs.
__device__ __noinline__ void block_evaluate(Block &block) {
  const Job &job = block.job;
  block_batch(block, 0);
  block_program(block);
  const Operand &output = block.plan.output;
  const float *address = thread_address(block, output);
  uint8_t *classes = reinterpret_cast<uint8_t *>(block.launch.classes) + job.classes;
  for (int i = thread_index(); i < block.count; i += THREADS) {
    const float *row = address + int64_t(i) * output.cols;
    int best = 0;
    for (int j = 1; j < output.cols; j++)
      if (row[j] > row[best] || (row[best] != row[best] && row[j] == row[j])) best = j;
    classes[i] = uint8_t(best);
  }
  if (thread_index() == 0) reinterpret_cast<float *>(block.launch.losses)[job.losses] = *thread_address(block, block.plan.loss);
}

// block_state copies the arrays that live in shared memory while the network runs, in or out. A barrier must come before
// they are used: a batch is fetched with two.
__device__ inline void block_state(Block &block, bool out) {
  const Array *arrays = reinterpret_cast<const Array *>(block.launch.arrays) + block.plan.array;
  for (int a = 0; a < block.plan.arrays; a++) {
    if (arrays[a].space != SPACE_SHARED) continue;
    float *state = reinterpret_cast<float *>(block.job.state) + arrays[a].state, *shared = block.shared + arrays[a].offset;
    for (int i = thread_index(); i < arrays[a].length; i += THREADS) {
      if (out) state[i] = shared[i];
      else shared[i] = state[i];
    }
  }
}

// block_code copies the plan's operations and params to shared memory. A barrier must come before they are used.
__device__ inline void block_code(Block &block) {
  const Plan &plan = block.plan;
  const uint32_t *ops = reinterpret_cast<const uint32_t *>(reinterpret_cast<const Op *>(block.launch.ops) + plan.op);
  const uint32_t *params = reinterpret_cast<const uint32_t *>(reinterpret_cast<const Param *>(block.launch.params) + plan.param);
  uint32_t *to = reinterpret_cast<uint32_t *>(thread_code(block));
  const int words = plan.ops * int(sizeof(Op) / 4), more = plan.params * int(sizeof(Param) / 4);
  for (int i = thread_index(); i < words + more; i += THREADS) to[i] = i < words ? ops[i] : params[i - words];
}

// block_job runs the job that the block has taken.
__device__ inline void block_job(Block &block) {
  if (thread_index() == 0) {
    block.job = reinterpret_cast<const Job *>(block.launch.jobs)[block.taken];
    block.plan = reinterpret_cast<const Plan *>(block.launch.plans)[block.job.plan];
    block.work = block.job.work ? reinterpret_cast<float *>(block.job.work)
                                : reinterpret_cast<float *>(block.launch.work) + blockIdx.x * block.launch.work_stride;
    block.params = block.plan.code ? reinterpret_cast<const Param *>(thread_code(block) + block.plan.ops)
                                   : reinterpret_cast<const Param *>(block.launch.params) + block.plan.param;
    block.epoch = -1;
    thread_examples(block, block.job.examples);
  }
  __syncthreads();
  if (block.plan.code) block_code(block);
  block_state(block, false);
  switch (block.job.kind) {
  case JOB_TRAIN:
    block_train(block);
    block_state(block, true);
    break;
  case JOB_EVALUATE: block_evaluate(block); break;
  case JOB_FORWARD: block_program(block); break; // nothing of it is in shared memory
  }
}

// kernel_network runs a launch's jobs. Launch it with THREADS threads per block, any number of blocks, and the dynamic
// shared memory that the largest plan needs. Two blocks share a multiprocessor: one computes while the other waits.
//
//   launch  the jobs and everything that they refer to
extern "C" __global__ void __launch_bounds__(THREADS, 2) kernel_network(const Launch *launch) {
  __shared__ Block block;
  DYNAMIC_SHARED(float, arena);
  if (thread_index() == 0) {
    block.launch = *launch;
    block.shared = arena;
  }
  while (true) {
    if (thread_index() == 0) block.taken = int(atomicAdd(reinterpret_cast<unsigned *>(launch->queue), 1u));
    __syncthreads();
    if (block.taken >= block.launch.jobs_count) return;
    block_job(block);
  }
}
