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
  SPACE_NUMBERS = 6, // numbers that stand in programs
};

// The codes of graph/ir, by number.
enum Code : int32_t {
  CODE_DENSE = 1, CODE_ACT, CODE_ADD, CODE_XENT, CODE_DXENT, CODE_QUAD, CODE_DQUAD, CODE_L2, CODE_DINPUT, CODE_DWEIGHT,
  CODE_DBIAS, CODE_DACT,
  // Constants and views are operands here: no operation has their codes.
  CODE_CONST, CODE_MAP, CODE_MATMUL, CODE_REDUCE, CODE_RESHAPE, CODE_TRANSPOSE, CODE_REPEAT, CODE_SLICE, CODE_UNSLICE, CODE_CONCAT,
  CODE_RANDOM, CODE_IM2COL, CODE_COL2IM, CODE_MAXPOOL, CODE_MAXPOOLGRAD,
};

// What a map computes, and a reduction: ir.MapFunctions in their order.
enum Function : int32_t {
  FN_COPY = 0, FN_ABS, FN_SIGN, FN_CEIL, FN_FLOOR, FN_SIN, FN_COS, FN_EXP, FN_LN, FN_LOG1P, FN_EXPM1, FN_NEG, FN_SQUARE, FN_CUBE, FN_SQRT,
  FN_INV, FN_TANH, FN_SIGMOID, FN_SOFTPLUS, FN_ADD, FN_SUB, FN_MUL, FN_DIV, FN_POW, FN_MAX, FN_MIN, FN_GT, FN_GE, FN_LT, FN_LE, FN_EQ,
  FN_NE, FN_SUM,
};

enum Distribution : int32_t { RANDOM_UNIFORM = 0, RANDOM_GAUSS, RANDOM_KEEP };

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
  int32_t tensor; // a tensor operation: the number of its Tensor, and no operands
  int32_t param;  // a gradient that updates its parameter at once, and is not stored: the parameter's number; -1: none
  int32_t unused;
};

// The elements of a value in an order of their own: element i is at offset + the sum of its coordinates times their
// strides, where the coordinates are i's digits to the base of the extents. No axes: one element for every i.
constexpr int MAX_AXES = 6;

struct View {
  int64_t offset; // as in Operand
  int32_t space, axes;
  int32_t extent[MAX_AXES], stride[MAX_AXES];
};

// What a tensor operation computes, at one batch size.
struct Tensor {
  double number[2];  // CODE_RANDOM: of the distribution
  int32_t length;    // elements of the result; of CODE_MATMUL: products
  int32_t inner;     // CODE_REDUCE: elements that become one
  int32_t view;      // the first of its views: the result's (but for CODE_MAP), then the operands'
  int32_t instruction, instructions; // CODE_MAP
  int32_t function;  // CODE_REDUCE: FN_SUM or FN_MAX; CODE_RANDOM: the distribution
  int32_t stream;    // CODE_RANDOM: of the seed
  int32_t unused;
  int32_t extent[6]; // windows: b, oh, ow, ch, kh, kw
  int32_t geometry[8]; // windows: height, width, padding, stride, dilation; CODE_MATMUL: see block_matmul
};

// Where a map's instruction finds an operand.
enum SourceKind : int32_t { SOURCE_NUMBER = 0, SOURCE_SLOT, SOURCE_VIEW, SOURCE_LABEL };

struct Source {
  int32_t kind;
  int32_t index; // the slot; the view; SOURCE_LABEL: classes, for the element of one-hot rows
  float number;
};

// An instruction of a map, for each element: slot and, if store is not -1, that view get function(a, b).
struct Instruction {
  int32_t function, slot, store;
  Source a, b;
};

// An array of a network's state: a parameter, or one of the optimizer's arrays for it.
struct Array {
  int64_t state;  // where it lives between launches, in floats from the beginning of the network's state
  int64_t offset; // where it lives while the network trains: as in Operand
  int32_t space;
  int32_t length; // in floats
};

// Where an array lives while the network trains: as in Operand.
struct Location {
  int64_t offset;
  int32_t space, unused;
};

// A parameter's update.
struct Param {
  Location gradient, weights, slot0, slot1; // the last two where the optimizer has them
  int32_t length;
  int32_t bias; // 1: decay leaves it alone
};

// A program with a location for each of its values. Networks that differ only in numbers share one.
struct Plan {
  Operand input;  // room for the batch's bytes, a row per example; not for JOB_FORWARD
  Operand labels; // room for the batch's labels, integers; not for JOB_FORWARD
  Operand output, loss;
  int32_t op, ops;       // its operations: the first and how many
  int32_t array, arrays; // params arrays with the parameters, then params for each of the optimizer's slots
  int32_t param, params; // those that are updated when the operations have run come first
  int32_t features;
  int32_t batch;       // examples for which the operations are
  int32_t rest, rests; // those for any other number of examples: the first and how many
  int32_t updates;     // parameters that are updated when the operations have run
  int32_t code;        // 1: in shared memory, at code_offset, there is room for op .. op + ops and all params
  int64_t code_offset; // in floats
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
  uint64_t seed;       // of random numbers in the program
  uint64_t targets;    // address of the split's targets, a row of floats per example; 0: they are the labels
  uint64_t field;      // JOB_TRAIN: address of the field of elastic displacements; 0: there are none
  uint64_t gaussian;   // JOB_TRAIN: address of the pixels of Gaussian noise by 16 bits
  uint64_t noise_threshold; // JOB_TRAIN: what 32 random bits are below where an image of noise stands
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
  // JOB_TRAIN: what else happens to images, see kernels.Amounts.
  int32_t warps; // 1: anything does
  int32_t angle, scale, shear, stroke, gain;
  int32_t field_stride; // numbers in a row of the field
  int32_t unused;
};

// What depends on the step alone. course.cu computes it, in float64 where kernels.Update does.
struct Scalars {
  float lr;
  float rate;   // Adam: the learning rate, corrected for what is missing in the mean of gradients
  float root;   // Adam: the root of what is not missing in the mean of their squares
  float shrink; // what AdamW multiplies weights by
};

// The launches that a spread network's step is made of. PHASE_OPERATION is one for each.
enum Phase : int32_t { PHASE_BATCH = 0, PHASE_OPERATION, PHASE_UPDATE, PHASE_END };

// And those of a job that a streaming kernel spreads. It begins with STREAM_BEGIN, STREAM_IN and, if the plan is fused,
// STREAM_FIRST of part 0. Each part is STREAM_FIRST, unless the plan is fused; STREAM_FORWARD of the layers but the first, from
// below; STREAM_LOSS; STREAM_BACK of the same layers, from above; STREAM_UPDATE; STREAM_UPDATE_FIRST. It ends with STREAM_OUT.
enum StreamPhase : int32_t {
  STREAM_BEGIN = 0, STREAM_IN, STREAM_FIRST, STREAM_FORWARD, STREAM_LOSS, STREAM_BACK, STREAM_UPDATE, STREAM_UPDATE_FIRST, STREAM_OUT,
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

// A chain as streaming kernels see it: what Launch's plans are for them, and its ops the layers.
struct StreamLayer {
  int64_t weight, bias;              // in floats from the beginning of the network's state
  int64_t tiles;                     // where the weights are while the network trains, in floats from the beginning of the block's work
  int64_t kept_tiles;                // where the first ones are, in floats from the beginning of the block's shared memory
  Location biases, outputs, deltas;  // where these are: SPACE_WORK or SPACE_SHARED
  int32_t in, out;
  int32_t activation;
  int32_t splits, back_splits;       // warps that share a tile's sums, forward and on the way back: 1, 2, 4 or 8
  int32_t kept;                      // tiles in shared memory
};

struct StreamPlan {
  int64_t parameters;   // floats of the parameters, and of each array of the optimizer's
  Location logits;      // of a part
  Location pixels;      // of two parts, if the network is spread
  int32_t layer, depth; // its layers: the first and how many
  int32_t loss;
  float scale;          // of the loss
  int32_t groups;       // of 32 rows: a part of a batch has that many at most
  int32_t buffers;      // for the pixels of parts: 1, or 2
  int32_t row_bytes;    // from a row's pixels to the next one's, an odd multiple of 16
  int32_t arrays;       // of a tile: the weights, the optimizer's arrays, the gradient if batches have several parts
  int32_t fused;        // 1: the first layer's update runs the next batch forward
  // Where things are, in bytes from the beginning of the block's shared memory.
  int32_t layers, stage, ring, sums;
  int32_t logits_row;   // floats
  int32_t slots;        // of a warp's ring: tiles under way, 1 to 4
  int32_t unused;
};

// A launch: jobs in the order in which blocks take them, and what they refer to by index.
struct Launch {
  uint64_t plans, ops, arrays, params, jobs, scalars; // addresses
  uint64_t results, losses, classes;                  // addresses of what the kernel writes
  uint64_t queue;                                     // address of the counter of jobs taken, zero at the start
  uint64_t tensors, views, instructions, numbers;     // addresses
  uint64_t work;                                      // address of the blocks' SPACE_WORK
  int64_t work_stride;                                // floats in each
  int32_t jobs_count;
  int32_t unused;
};

static_assert(sizeof(Operand) == 24 && sizeof(Op) == 120 && sizeof(Array) == 24 && sizeof(Param) == 72 && sizeof(Location) == 16, "format.go");
static_assert(sizeof(Plan) == 152 && sizeof(Job) == 208 && sizeof(Scalars) == 16 && sizeof(Result) == 8, "format.go");
static_assert(sizeof(Launch) == 136 && sizeof(Layer) == 32 && sizeof(Chain) == 280, "format.go");
static_assert(sizeof(StreamLayer) == 104 && sizeof(StreamPlan) == 104, "format.go");
static_assert(sizeof(View) == 64 && sizeof(Tensor) == 104 && sizeof(Source) == 12 && sizeof(Instruction) == 36, "format.go");
