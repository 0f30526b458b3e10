//go:build gpu && !cpu && linux && amd64 && cgo

package driver

/*
#cgo LDFLAGS: -L${SRCDIR}/link -Wl,--as-needed -ldl
#include <cuda.h>
#include <stdlib.h>
#include "forward.h"

static CUresult load(CUmodule *module, const void *image, char *log, unsigned bytes) {
	CUjit_option options[] = {CU_JIT_ERROR_LOG_BUFFER, CU_JIT_ERROR_LOG_BUFFER_SIZE_BYTES};
	void *values[] = {log, (void *)(size_t)bytes};
	return cuModuleLoadDataEx(module, image, 2, options, values);
}
*/
import "C"

import (
	"fmt"
	"os"
	"reflect"
	"strings"
	"sync"
	"unsafe"

	"gorgonia.org/cu"
)

// The calls and constants that gorgonia.org/cu lacks.

const (
	// sharedOptIn is what a block can have of shared memory if its kernel asks.
	sharedOptIn = cu.DeviceAttribute(C.CU_DEVICE_ATTRIBUTE_MAX_SHARED_MEMORY_PER_BLOCK_OPTIN)
	// sharedReserved is what CUDA keeps for itself of each block's.
	sharedReserved = cu.DeviceAttribute(C.CU_DEVICE_ATTRIBUTE_RESERVED_SHARED_MEMORY_PER_BLOCK)
)

// cu hides the handles of functions and modules, each in a struct of one
// pointer. The build fails here if that changes.
var (
	_ = [1]struct{}{}[unsafe.Sizeof(cu.Function{})-unsafe.Sizeof(C.CUfunction(nil))]
	_ = [1]struct{}{}[unsafe.Sizeof(cu.Module{})-unsafe.Sizeof(C.CUmodule(nil))]
)

// setMaxDynamicShared raises the dynamic shared memory that launches of f may ask for.
func setMaxDynamicShared(f cu.Function, bytes int) error {
	handle := *(*C.CUfunction)(unsafe.Pointer(&f))
	return failed("allow shared memory", int(C.cuFuncSetAttribute(handle, C.CU_FUNC_ATTRIBUTE_MAX_DYNAMIC_SHARED_SIZE_BYTES, C.int(bytes))))
}

// loadModule loads a fatbin, cubin or PTX. The compiler's own words are in the error.
func loadModule(image []byte) (cu.Module, error) {
	const logBytes = 16 << 10
	log := (*C.char)(C.calloc(1, logBytes))
	defer C.free(unsafe.Pointer(log))
	data := C.CBytes(append(image[:len(image):len(image)], 0)) // PTX is a C string
	defer C.free(data)
	var module C.CUmodule
	err := failed("load the kernels", int(C.load(&module, data, log, logBytes)))
	if words := strings.TrimSpace(C.GoString(log)); err != nil && words != "" {
		err = fmt.Errorf("%w\n%s", err, words)
	}
	return *(*cu.Module)(unsafe.Pointer(&module)), err
}

// allocHost reserves page-locked memory.
func allocHost(bytes int) (p unsafe.Pointer, err error) {
	err = failed("allocate the host's memory", int(C.cuMemHostAlloc(&p, C.size_t(bytes), 0)))
	return p, err
}

// failed is nil for CUDA_SUCCESS and an *Error for any other CUresult.
func failed(doing string, code int) error {
	if code == 0 {
		return nil
	}
	e := &Error{Doing: doing, Code: code, Name: "an error without a name", Text: "the driver does not know this number"}
	var s *C.char
	if C.cuGetErrorName(C.CUresult(code), &s) == 0 && s != nil {
		e.Name = C.GoString(s)
	}
	s = nil
	if C.cuGetErrorString(C.CUresult(code), &s) == 0 && s != nil {
		e.Text = C.GoString(s)
	}
	return e
}

// wrap turns an error of cu, an int of a type that cu does not export, into an *Error.
func wrap(doing string, err error) error {
	if err == nil {
		return nil
	}
	if v := reflect.ValueOf(err); v.Kind() == reflect.Int {
		return failed(doing, int(v.Int()))
	}
	return fmt.Errorf("%s: %w", doing, err)
}

// standIn is whether the opened library says that it is the stand-in.
func standIn() bool { return C.forward_standin() != 0 }

// minimum is the CUDA version that a driver must support, driver 525's: the first
// that has all that this binary calls, and knows the binary interface of the kernels'
// code (ELF ABI version 7).
const minimum = 12000

// opened is the outcome of opening the driver's library. A process has one
// driver, which can be opened once.
var opened = sync.OnceValue(func() error {
	path := os.Getenv(LibraryVariable)
	if path == "" {
		path = "libcuda.so.1"
	}
	name := C.CString(path)
	defer C.free(unsafe.Pointer(name))
	var problem *C.char
	code := int(C.forward_open(name, &problem))
	switch {
	case code == codeNoDevice:
		return unavailable("no CUDA device: the NVIDIA driver found none")
	case code > 0:
		return unavailable("the NVIDIA driver does not start: " + failed("cuInit", code).Error())
	case code < 0:
		words := C.GoString(problem)
		if strings.Contains(words, path+": cannot open shared object file: No such file") {
			words = path + " not found"
		}
		return unavailable("no NVIDIA driver: " + words)
	}
	if v := cu.Version(); v < minimum {
		return unavailable(fmt.Sprintf("the NVIDIA driver is too old: it supports CUDA %s, this binary needs %s (driver 525 or newer)", version(v), version(minimum)))
	}
	if n, err := cu.NumDevices(); err != nil {
		return unavailable("the NVIDIA driver does not work: " + wrap("count the devices", err).Error())
	} else if n == 0 {
		return unavailable("no CUDA device: the NVIDIA driver found none")
	}
	return nil
})
