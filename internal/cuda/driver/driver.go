// Package driver is the part of the CUDA driver that training needs: devices,
// memory, compiled kernels, launches. It stands on gorgonia.org/cu and adds the
// calls that cu lacks.
//
// A binary with the tag gpu starts on any machine: it opens libcuda.so.1 when
// [Available], [Devices] or [Open] first ask for it, and not before.
// VANILLA_LIBCUDA, if it is set, names another library to open; that is how tests
// open the stand-in of package standin, which runs kernels on the CPU and says so
// (Device.StandIn). In binaries without the tag, every function here says that
// there is no CUDA in them.
//
// How a launch goes: [Open] a device, [Context.Load] an image, [Module.Function] a
// kernel; [Context.Alloc] and [Context.CopyIn] its data; [Context.Launch], which
// returns at once; [Context.Wait] or [Context.Done] for its end;
// [Context.CopyOut] the result. A kernel's own failure shows at the first call
// after it that waits.
package driver

import (
	"errors"
	"fmt"
	"unsafe"
)

// LibraryVariable is the environment variable that names the library to open
// in place of the NVIDIA driver.
const LibraryVariable = "VANILLA_LIBCUDA"

// Device is a GPU as its driver describes it.
type Device struct {
	Index int
	Name  string
	// Major and Minor are the compute capability: 9 and 0 for an H100.
	Major, Minor   int
	SMs            int // multiprocessors
	MemoryBytes    int
	SharedPerBlock int // bytes, with the opt-in of Function.AllowShared
	SharedPerSM    int // bytes
	SharedReserved int // bytes that CUDA takes of a multiprocessor's for each block, beside the block's own
	// Driver is the version of CUDA that the driver supports: 13000 for 13.0.
	Driver int
	// StandIn is true if this is no GPU but the CPU in its place, in tests.
	StandIn bool
}

func (d Device) String() string {
	return fmt.Sprintf("%s, compute capability %d.%d, %d SMs, %.1f GiB, CUDA %s",
		d.Name, d.Major, d.Minor, d.SMs, float64(d.MemoryBytes)/(1<<30), version(d.Driver))
}

// version spells CUDA's number of a version.
func version(v int) string { return fmt.Sprintf("%d.%d", v/1000, v%1000/10) }

// Pointer is an address in a device's memory.
type Pointer uint64

// Error is a driver call that failed.
type Error struct {
	Doing string // what was being done
	Code  int    // CUresult
	Name  string // "CUDA_ERROR_OUT_OF_MEMORY"
	Text  string // the driver's own words
}

func (e *Error) Error() string {
	return fmt.Sprintf("%s: %s (%d): %s", e.Doing, e.Name, e.Code, e.Text)
}

// What callers tell apart, with errors.Is.
var (
	// ErrOutOfMemory is device memory that is not to be had. Nothing is damaged.
	ErrOutOfMemory = errors.New("out of device memory")
	// ErrDeviceLost is a context that can do no more: a kernel failed in it, or
	// the device itself did. What was on the device is lost.
	ErrDeviceLost = errors.New("the device or its context is lost")
	// ErrUnavailable is a machine or binary without CUDA.
	ErrUnavailable = errors.New("CUDA is not available")
)

// The CUresults that are told apart, from cuda.h.
const (
	codeOutOfMemory = 2
	codeNoDevice    = 100
)

// lost are the CUresults after which cuda.h says that the process, or the
// context, must be abandoned, and those of a device that is gone.
var lost = [...]int{
	4,   // DEINITIALIZED
	46,  // DEVICE_UNAVAILABLE
	101, // INVALID_DEVICE
	201, // INVALID_CONTEXT
	214, // ECC_UNCORRECTABLE
	220, // NVLINK_UNCORRECTABLE
	226, // CONTAINED
	700, // ILLEGAL_ADDRESS
	702, // LAUNCH_TIMEOUT
	709, // CONTEXT_IS_DESTROYED
	710, // ASSERT
	714, // HARDWARE_STACK_ERROR
	715, // ILLEGAL_INSTRUCTION
	716, // MISALIGNED_ADDRESS
	717, // INVALID_ADDRESS_SPACE
	718, // INVALID_PC
	719, // LAUNCH_FAILED
	721, // TENSOR_MEMORY_LEAK
	999, // UNKNOWN
}

// Is makes errors.Is tell out of memory and a lost device.
func (e *Error) Is(target error) bool {
	switch target {
	case ErrOutOfMemory:
		return e.Code == codeOutOfMemory
	case ErrDeviceLost:
		for _, code := range lost {
			if e.Code == code {
				return true
			}
		}
	}
	return false
}

// unavailable is the error of Available: its words, and ErrUnavailable.
type unavailable string

func (u unavailable) Error() string { return string(u) }

func (u unavailable) Is(target error) bool { return target == ErrUnavailable }

// Bytes is the memory of s, not a copy: what CopyIn and CopyOut take. T must hold
// no pointers.
func Bytes[T any](s []T) []byte {
	if len(s) == 0 {
		return nil
	}
	return unsafe.Slice((*byte)(unsafe.Pointer(&s[0])), len(s)*int(unsafe.Sizeof(s[0])))
}

// Of is the reverse of Bytes: b's memory as numbers, as many as fit. It must be
// aligned to them.
func Of[T any](b []byte) []T {
	var one T
	if len(b) < int(unsafe.Sizeof(one)) {
		return nil
	}
	return unsafe.Slice((*T)(unsafe.Pointer(&b[0])), len(b)/int(unsafe.Sizeof(one)))
}
