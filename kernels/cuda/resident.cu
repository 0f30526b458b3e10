// Resident kernels: chains of dense layers of up to 16 units, trained on tensor cores in one launch after another, a block for
// each network; resident32.cu has those for up to 32 units. resident.cuh says how. A kernel for each optimizer's number of arrays, precision, and whether batches have
// more than 32 examples; depth, widths, activations, loss, batch and rates are data.
//
// Every sum has an order of its own, as in the generic kernel: results depend on the network alone.
#include "resident_block.cuh"

// kernel_rows copies images to rows of a multiple of 16 bytes, filled up with zeros, as often as there are places that a shift
// of up to so many pixels moves them to: down -shift, right -shift first, then the next to the right. What enters is zero.
extern "C" __global__ void __launch_bounds__(256) kernel_rows(const uint8_t *from, uint8_t *to, long long examples, long long features, long long cols, long long shift) {
  const long long row_bytes = (features + 15) / 16 * 16, side = 2 * shift + 1, total = side * side * examples * row_bytes;
  for (long long i = blockIdx.x * 256ll + threadIdx.x; i < total; i += gridDim.x * 256ll) {
    const long long move = i / row_bytes / examples, example = i / row_bytes % examples, pixel = i % row_bytes;
    uint8_t v = 0;
    if (shift == 0) {
      if (pixel < features) v = from[example * features + pixel];
    } else if (pixel < features) {
      const long long y = pixel / cols - (move / side - shift), x = pixel % cols - (move % side - shift);
      if (y >= 0 && y < features / cols && x >= 0 && x < cols) v = from[example * features + y * cols + x];
    }
    to[i] = v;
  }
}

// What follows is launched with Class::THREADS threads and Layout::bytes of the deepest chain as dynamic shared memory.
extern "C" __global__ void __launch_bounds__(256, 2) kernel_resident_bf16_0(const Launch *launch) { RESIDENT(16, 0, 1, false); }
extern "C" __global__ void __launch_bounds__(256, 1) kernel_resident_bf16_1(const Launch *launch) { RESIDENT(16, 1, 1, false); }
extern "C" __global__ void __launch_bounds__(256, 1) kernel_resident_bf16_2(const Launch *launch) { RESIDENT(16, 2, 1, false); }
extern "C" __global__ void __launch_bounds__(256, 1) kernel_resident_bf16_0_parts(const Launch *launch) { RESIDENT(16, 0, 1, true); }
extern "C" __global__ void __launch_bounds__(256, 1) kernel_resident_bf16_1_parts(const Launch *launch) { RESIDENT(16, 1, 1, true); }
extern "C" __global__ void __launch_bounds__(256, 1) kernel_resident_bf16_2_parts(const Launch *launch) { RESIDENT(16, 2, 1, true); }
extern "C" __global__ void __launch_bounds__(256, 1) kernel_resident_fp32_0(const Launch *launch) { RESIDENT(16, 0, 3, false); }
extern "C" __global__ void __launch_bounds__(256, 1) kernel_resident_fp32_1(const Launch *launch) { RESIDENT(16, 1, 3, false); }
extern "C" __global__ void __launch_bounds__(256, 1) kernel_resident_fp32_2(const Launch *launch) { RESIDENT(16, 2, 3, false); }
extern "C" __global__ void __launch_bounds__(256, 1) kernel_resident_fp32_0_parts(const Launch *launch) { RESIDENT(16, 0, 3, true); }
extern "C" __global__ void __launch_bounds__(256, 1) kernel_resident_fp32_1_parts(const Launch *launch) { RESIDENT(16, 1, 3, true); }
extern "C" __global__ void __launch_bounds__(256, 1) kernel_resident_fp32_2_parts(const Launch *launch) { RESIDENT(16, 2, 3, true); }
