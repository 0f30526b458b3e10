//go:build gpu && !cpu && linux && amd64 && cgo

package cuda

import (
	"errors"
	"testing"

	"vanilla/graph/ir"
	"vanilla/internal/conformance"
	"vanilla/internal/cuda/driver"
	"vanilla/internal/cuda/standin"
	"vanilla/kernels"
)

// newExecutor opens devices, the stand-in's, or GPUs if they are required, for
// the generic kernel alone.
func newExecutor(t *testing.T, devices ...int) kernels.Executor {
	t.Helper()
	e := newPrecise(t, FP32, devices...)
	e.(*executor).generic = true
	return e
}

// newPrecise opens them for all kernels, which are used without having been tried.
func newPrecise(t *testing.T, precision string, devices ...int) kernels.Executor {
	t.Helper()
	e, err := New(precision, devices...)
	if err != nil {
		t.Fatal(err)
	}
	e.(*executor).trusting = true
	t.Cleanup(func() {
		if err := e.Close(); err != nil && !errors.Is(err, driver.ErrDeviceLost) && !t.Failed() {
			t.Error(err)
		}
	})
	if standIn(e) == standin.RequireGPU() {
		t.Fatalf("the device is %s; a GPU is required: %v", e.Device(), standin.RequireGPU())
	}
	return e
}

func standIn(e kernels.Executor) bool { return e.(*executor).gpus[0].device.StandIn }

func TestConformance(t *testing.T) {
	conformance.Run(t, newExecutor(t))
}

// Programs of tensor operations.
func TestTensors(t *testing.T) {
	conformance.RunTensors(t, newExecutor(t), func(*ir.Program) bool { return false })
}

func TestPyTorch(t *testing.T) { conformance.PyTorch(t, newExecutor(t), 0) }

// Resident kernels in fp32 are held to what the generic one is.
func TestResidentConformance(t *testing.T) {
	conformance.Run(t, newPrecise(t, FP32))
}

func TestResidentPyTorch(t *testing.T) { conformance.PyTorch(t, newPrecise(t, FP32), sumRounding) }

// sumRounding is by how much the tensor cores may leave a sum of 784 terms too small
// in size: it is 49 of 16 terms, one after the other, each of which cuts off what lies
// below a float32's last bit. (An H200's do so, the stand-in's round.)
const sumRounding = 49 * 0x1p-23
