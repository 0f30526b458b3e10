//go:build gpu && !cpu && linux && amd64

// Defines every cu* function that gorgonia.org/cu and this package call as a
// jump through a slot, and fills the slots when the driver's library is opened.
// So the binary does not need libcuda.so.1 to start, and a process that never
// asks for a GPU never pays for the driver's start.

#include "forward.h"

#include <dlfcn.h>
#include <stddef.h>

enum { CUDA_ERROR_NOT_FOUND = 500 };

static int missing(void) { return CUDA_ERROR_NOT_FOUND; }

// A slot for each function, and the function that jumps through it. The names
// are hidden: nothing outside the binary can take them for libcuda's.
#define FUNCTION(name) \
	__attribute__((visibility("hidden"))) void *forward_##name = (void *)missing; \
	__asm__(".text\n.globl " #name "\n.hidden " #name "\n.type " #name ",@function\n" #name ":\n" \
		"\tendbr64\n\tjmp *forward_" #name "(%rip)\n.size " #name ",.-" #name "\n");
#include "functions.h"
#undef FUNCTION

// gorgonia.org/cu calls cuInit from an init() and exits the process if it fails.
// So this one succeeds, and forward_open calls the driver's.
int cuInit(unsigned flags) {
	(void)flags;
	return 0;
}

static void *library;

int forward_open(const char *path, const char **problem) {
	library = dlopen(path, RTLD_NOW | RTLD_LOCAL);
	if (!library) {
		*problem = dlerror();
		return -1;
	}
	int (*init)(unsigned) = (int (*)(unsigned))dlsym(library, "cuInit");
	if (!init) {
		*problem = dlerror();
		return -1;
	}
	void *f;
#define FUNCTION(name) \
	if ((f = dlsym(library, #name))) forward_##name = f;
#include "functions.h"
#undef FUNCTION
	return init(0);
}

int forward_standin(void) { return library && dlsym(library, "vanilla_standin") != NULL; }
