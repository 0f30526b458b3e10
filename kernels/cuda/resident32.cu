// Resident kernels for chains of dense layers of up to 32 units: resident.cu's, with twice the warps. Launched with
// Class::THREADS threads, Layout::bytes of the deepest chain as dynamic shared memory, and, for each block, work for the arrays
// of the first layer that are FAR.
#include "resident_block.cuh"

extern "C" __global__ void __launch_bounds__(512, 1) kernel_resident32_bf16_0(const Launch *launch) { RESIDENT(32, 0, 1, false); }
extern "C" __global__ void __launch_bounds__(512, 1) kernel_resident32_bf16_1(const Launch *launch) { RESIDENT(32, 1, 1, false); }
extern "C" __global__ void __launch_bounds__(512, 1) kernel_resident32_bf16_2(const Launch *launch) { RESIDENT(32, 2, 1, false); }
extern "C" __global__ void __launch_bounds__(512, 1) kernel_resident32_bf16_0_parts(const Launch *launch) { RESIDENT(32, 0, 1, true); }
extern "C" __global__ void __launch_bounds__(512, 1) kernel_resident32_bf16_1_parts(const Launch *launch) { RESIDENT(32, 1, 1, true); }
extern "C" __global__ void __launch_bounds__(512, 1) kernel_resident32_bf16_2_parts(const Launch *launch) { RESIDENT(32, 2, 1, true); }
extern "C" __global__ void __launch_bounds__(512, 1) kernel_resident32_fp32_0(const Launch *launch) { RESIDENT(32, 0, 3, false); }
extern "C" __global__ void __launch_bounds__(512, 1) kernel_resident32_fp32_1(const Launch *launch) { RESIDENT(32, 1, 3, false); }
extern "C" __global__ void __launch_bounds__(512, 1) kernel_resident32_fp32_2(const Launch *launch) { RESIDENT(32, 2, 3, false); }
extern "C" __global__ void __launch_bounds__(512, 1) kernel_resident32_fp32_0_parts(const Launch *launch) { RESIDENT(32, 0, 3, true); }
extern "C" __global__ void __launch_bounds__(512, 1) kernel_resident32_fp32_1_parts(const Launch *launch) { RESIDENT(32, 1, 3, true); }
extern "C" __global__ void __launch_bounds__(512, 1) kernel_resident32_fp32_2_parts(const Launch *launch) { RESIDENT(32, 2, 3, true); }
