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

// The examples of a batch: so many, from a place in an epoch's order on.
struct Batch { int epoch, from, count; };

// thread_batch is that of a training step, or the job's in an evaluation.
__device__ inline Batch thread_batch(const Job &job, int step) {
  int epoch = 0, from = job.from, count = job.examples;
  if (job.kind == JOB_TRAIN) {
    const int per_epoch = (job.examples - 1) / job.batch + 1;
    epoch = step / per_epoch;
    from = step % per_epoch * job.batch;
    count = min(job.batch, job.examples - from);
  }
  return {epoch, from, count};
}

// thread_step makes a step the running one. A barrier must come before anything of it is used.
__device__ inline void thread_step(Block &block, int step, int count) {
  thread_examples(block, count);
  block.step = step;
  if (block.job.kind == JOB_TRAIN) block.now = reinterpret_cast<const Scalars *>(block.launch.scalars)[block.job.scalars + step - block.job.step];
}

// block_batch fetches the examples of a training step, or the job's in an evaluation. A warp fetches one at a time.
__device__ __noinline__ void block_batch(Block &block, int step) {
  const Job &job = block.job;
  const Batch running = thread_batch(job, step);
  const int epoch = running.epoch, from = running.from, count = running.count;
  if (thread_index() == 0) {
    thread_step(block, step, count);
    if (job.kind == JOB_TRAIN && block.epoch != epoch) {
      block.epoch = epoch;
      for (int part = 0; part < ORDER_ROUNDS / 4; part++) thread_order_keys(block.keys, job.order_seed, epoch, part);
    }
  }
  __syncthreads();
  const int features = block.plan.features, warps = block.blocks * WARPS;
  uint8_t *batch = reinterpret_cast<uint8_t *>(thread_address(block, block.plan.input));
  uint32_t examples = 0; // a lane has that of the warp's row of its number
#pragma unroll 1
  for (int i = block.number * WARPS + thread_warp(), n = 0; i < count; i += warps, n++) {
    if (n % WARP == 0) {
      const int mine = i + thread_lane() * warps;
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

// thread_job looks up the job of that number, for one of so many blocks that share it. work: the place of its values among
// the launch's, unless the job has its own.
__device__ inline void thread_job(Block &block, int taken, int number, int blocks, int work) {
  block.taken = taken;
  block.number = number;
  block.blocks = blocks;
  block.job = reinterpret_cast<const Job *>(block.launch.jobs)[taken];
  block.plan = reinterpret_cast<const Plan *>(block.launch.plans)[block.job.plan];
  block.work = block.job.work ? reinterpret_cast<float *>(block.job.work) : reinterpret_cast<float *>(block.launch.work) + work * block.launch.work_stride;
  block.params = block.plan.code ? reinterpret_cast<const Param *>(thread_code(block) + block.plan.ops)
                                 : reinterpret_cast<const Param *>(block.launch.params) + block.plan.param;
  block.epoch = -1;
  thread_examples(block, block.job.examples);
}

// block_job runs the job that the block has taken.
__device__ inline void block_job(Block &block) {
  if (thread_index() == 0) thread_job(block, block.taken, 0, 1, int(blockIdx.x));
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

// kernel_network_spread does a part of a training step with all blocks of the launch, which share what is to be done: so a step
// that would keep a block busy for long is a sequence of short launches. Each sum is added up by whoever has it as
// kernel_network's block adds it up, so that results have its bits on any number of blocks. The plan has everything in global
// memory. The steps of a network that has diverged do nothing.
//
//   job     the number of a training job
//   phase   of the step, which must come in their order; PHASE_UPDATE is needed if the plan has updates
//   number  of the operation, PHASE_OPERATION
//   step    of the network, as in Job
extern "C" __global__ void __launch_bounds__(THREADS, 2) kernel_network_spread(const Launch *launch, int job, int phase, int number, int step) {
  __shared__ Block block;
  Result &result = reinterpret_cast<Result *>(launch->results)[job];
  if (result.diverged) return;
  if (thread_index() == 0) {
    block.launch = *launch;
    block.shared = nullptr;
    thread_job(block, job, int(blockIdx.x), int(gridDim.x), 0);
    thread_step(block, step, thread_batch(block.job, step).count);
  }
  __syncthreads();
  switch (phase) {
  case PHASE_BATCH: block_batch(block, step); break;
  case PHASE_OPERATION: block_operation(block, block.ops[number]); break;
  case PHASE_UPDATE: block_update(block); break;
  case PHASE_END:
    if (thread_first(block) == 0) {
      const float loss = *thread_address(block, block.plan.loss);
      reinterpret_cast<float *>(block.launch.losses)[block.job.losses + step - block.job.step] = loss;
      result = {step - block.job.step + 1, !isfinite(loss)};
    }
  }
}
