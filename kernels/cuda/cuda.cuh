// What every .cu file includes first: the words that differ between nvcc and the
// CPU, where standin/src/cuda_host.h defines them.
#pragma once
#ifdef __CUDACC__
#include <cassert>
#include <cstdint>

// Declares T *name, the block's dynamic shared memory, aligned to 16 bytes. Once per
// kernel.
#define DYNAMIC_SHARED(T, name)                          \
  extern __shared__ __align__(16) unsigned char dynamic_shared_[]; \
  T *name = reinterpret_cast<T *>(dynamic_shared_)
#endif
