// What the host hands to the kernel. pack.go writes exactly these structures; both sides check their sizes.
//
// All numbers are little-endian. 64-bit members come first, so that no compiler puts padding between members.
#pragma once
#include <cstdint>

// Where a value lives. A value's address is its space's beginning plus its offset, counted in floats.
enum Space : int32_t {
  SPACE_NONE = 0,   // no operand
  SPACE_INPUT = 1,  // x: the plan's input, or the floats given to JOB_FORWARD
  SPACE_TARGET = 2, // y: the plan's labels
  SPACE_STATE = 3,  // the network's parameters and optimizer state, in global memory
  SPACE_WORK = 4,   // the block's room in global memory, or the job's own
  SPACE_SHARED = 5, // the block's shared memory
};

// The codes of graph/ir, by number.
enum Code : int32_t {
  CODE_DENSE = 1, CODE_ACT, CODE_ADD, CODE_XENT, CODE_DXENT, CODE_QUAD, CODE_DQUAD, CODE_L2, CODE_DINPUT, CODE_DWEIGHT,
  CODE_DBIAS, CODE_DACT,
};

enum Activation : int32_t {
  ACT_IDENTITY = 1, ACT_SIGMOID, ACT_TANH, ACT_RELU, ACT_LEAKY_RELU, ACT_SOFTPLUS, ACT_SILU, ACT_GELU_TANH, ACT_SOFTSIGN,
  ACT_RECTIFY,
};

enum OptimizerKind : int32_t { OPTIMIZER_SGD = 0, OPTIMIZER_MOMENTUM, OPTIMIZER_NESTEROV, OPTIMIZER_ADAM };

// A value as an operation sees it, row-major.
struct Operand {
  int64_t offset; // in floats, from the beginning of the space
  int32_t space;
  int32_t rows; // ROWS_BATCH: one for each example of the batch
  int32_t cols;
  int32_t unused;
};
constexpr int32_t ROWS_BATCH = -1;

// An operation of a program: what graph/ir's Code says.
struct Op {
  Operand out, args[3]; // the third is a dense layer's bias, SPACE_NONE if there is none
  int32_t code, activation;
  float scale;
  int32_t unused;
};

// An array of a network's state: a parameter, or one of the optimizer's arrays for it.
struct Array {
  int64_t state;  // where it lives between launches, in floats from the beginning of the network's state
  int64_t offset; // where it lives while the network trains: as in Operand
  int32_t space;
  int32_t length; // in floats
};

// A parameter's update.
struct Param {
  Operand gradient;
  int32_t bias; // 1: decay leaves it alone
  int32_t unused;
};

// A program with a place for each of its values. Networks that differ only in numbers share one.
struct Plan {
  Operand input;  // room for the batch's bytes, a row per example; not for JOB_FORWARD
  Operand labels; // room for the batch's labels, integers; not for JOB_FORWARD
  Operand output, loss;
  int32_t op, ops;       // its operations: the first and how many
  int32_t array, arrays; // params arrays with the parameters, then params for each of the optimizer's slots
  int32_t param, params;
  int32_t features, unused;
};

enum JobKind : int32_t {
  JOB_TRAIN = 0,    // steps of training
  JOB_EVALUATE = 1, // forward over examples from, from + 1, ... of a split: one loss, and a class for each
  JOB_FORWARD = 2,  // forward over given inputs: the values stay in the job's own work space
};

// What a block does for one network in a launch.
struct Job {
  uint64_t state;      // address of the network's parameters, then the optimizer's arrays
  uint64_t pixels;     // address of the split's bytes, a row per example; of the inputs as floats for JOB_FORWARD
  uint64_t labels;     // address of the split's labels, a byte each
  uint64_t work;       // address of the job's own SPACE_WORK, 0: the block's
  uint64_t order_seed;
  int64_t scalars;     // JOB_TRAIN: index of the first step's Scalars
  int64_t losses;      // index of the first step's loss, or of the one loss
  int64_t classes;     // JOB_EVALUATE: index of the first example's class
  int32_t kind, plan;
  int32_t examples;    // JOB_TRAIN: in the training set; otherwise: in this job
  int32_t batch;       // JOB_TRAIN: examples in a step
  int32_t step, steps; // JOB_TRAIN: the first step, counted from 0, and how many
  int32_t from;        // JOB_EVALUATE: the first example
  int32_t shift;       // images move by up to so many pixels
  int32_t image_cols, image_rows; // their extent if they do
  int32_t optimizer;
  float decay, keep;   // weight decay; the share of its velocity that momentum keeps
  float beta1, beta2;  // the shares that Adam keeps of its running means
  float rest1, rest2;  // 1 - beta
  float epsilon;
};

// What depends on the step alone. The host computes it, in float64 where kernels.Update does.
struct Scalars {
  float step_size;
  float rate;   // Adam: the step size, corrected for what is missing in the mean of gradients
  float root;   // Adam: the root of what is not missing in the mean of their squares
  float shrink; // what AdamW multiplies weights by
};

// How far a job came.
struct Result {
  int32_t steps;    // completed
  int32_t diverged; // 1: the last one's loss is not finite
};

// A chain of dense layers, as resident kernels see it: what Launch's plans are for them.
constexpr int MAX_LAYERS = 8;

struct Layer {
  int64_t weight, bias; // in floats from the beginning of the network's state
  int32_t in, out;
  int32_t activation; // of the outputs; of the last layer: what the quadratic loss compares
  int32_t unused;
};

enum Loss : int32_t { LOSS_CROSS_ENTROPY = 0, LOSS_QUADRATIC };

struct Chain {
  Layer layers[MAX_LAYERS];
  int64_t parameters; // floats of the parameters, and of each array of the optimizer's
  int32_t depth;      // layers
  int32_t loss;
  float scale; // of the loss
  int32_t unused;
};

// A launch: jobs in the order in which blocks take them, and what they refer to by index.
struct Launch {
  uint64_t plans, ops, arrays, params, jobs, scalars; // addresses
  uint64_t results, losses, classes;                  // addresses of what the kernel writes
  uint64_t queue;                                     // address of the counter of jobs taken, zero at the start
  uint64_t work;                                      // address of the blocks' SPACE_WORK
  int64_t work_stride;                                // floats in each
  int32_t jobs_count;
  int32_t unused;
};

static_assert(sizeof(Operand) == 24 && sizeof(Op) == 112 && sizeof(Array) == 24 && sizeof(Param) == 32, "pack.go");
static_assert(sizeof(Plan) == 128 && sizeof(Job) == 136 && sizeof(Scalars) == 16 && sizeof(Result) == 8, "pack.go");
static_assert(sizeof(Launch) == 104 && sizeof(Layer) == 32 && sizeof(Chain) == 280, "pack.go");
