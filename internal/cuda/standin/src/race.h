// What the scheduler of cuda_host.cpp and the functions of cuda_host.h tell the race checker, clocks.cpp: which CUDA thread
// runs, and what orders the accesses of one before those of another. Without CUDA_RACE it is nothing. Kernels are compiled
// with -fsanitize=thread, which puts a call before every access; cuda_host.cpp and the checker are not.
#pragma once
#include <cstddef>

#ifdef CUDA_RACE
#define UNWATCHED __attribute__((no_sanitize("thread")))
#else
#define UNWATCHED
#endif

namespace race {

#ifdef CUDA_RACE

constexpr bool watching = true;

// CUDA's shuffles, votes, mma and ldmatrix make the lanes of a warp meet, but promise nothing about memory; __syncwarp
// does. Compile with CUDA_RACE_SHUFFLES_ORDER=1 to see what only that distinction reports.
#ifndef CUDA_RACE_SHUFFLES_ORDER
#define CUDA_RACE_SHUFFLES_ORDER 0
#endif
constexpr bool shuffles_order = CUDA_RACE_SHUFFLES_ORDER;

// Atomics of CUDA are relaxed: they race with plain accesses and order nothing.
constexpr int atomic_order = __ATOMIC_RELAXED;

void *here();                             // the host, before it runs a block
void *new_thread(unsigned block, unsigned index); // a CUDA thread, or behind the last, the copier of one
void end_thread(void *thread);
void become(void *thread);                // it runs from now on; this orders nothing
void release(void *order);                // what the running thread did so far is before what follows an acquire
void acquire(void *order);
void fence();                             // __threadfence
void ignore(bool);                        // from true to false the running thread's accesses are not the kernel's
void forget(void *memory, size_t bytes);  // memory is new; its contents are lost
unsigned long reports();                  // races found so far
// The running thread's accesses that no compiler sees, at an instruction.
void read(const void *, size_t bytes, void *instruction);
void write(void *, size_t bytes, void *instruction);

#else

constexpr bool watching = false, shuffles_order = true;
constexpr int atomic_order = __ATOMIC_SEQ_CST;
inline void *here() { return nullptr; }
inline void *new_thread(unsigned, unsigned) { return nullptr; }
inline void end_thread(void *) {}
inline void become(void *) {}
inline void release(void *) {}
inline void acquire(void *) {}
inline void fence() { __atomic_thread_fence(__ATOMIC_SEQ_CST); }
inline void ignore(bool) {}
inline void forget(void *, size_t) {}
inline unsigned long reports() { return 0; }
inline void read(const void *, size_t, void *) {}
inline void write(void *, size_t, void *) {}

#endif

} // namespace race
