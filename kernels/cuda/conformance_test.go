//go:build gpu && !cpu && linux && amd64 && cgo

package cuda

import (
	"errors"
	"testing"

	"vanilla/kernels"
	"vanilla/kernels/conformance"
	"vanilla/kernels/cuda/driver"
	"vanilla/kernels/cuda/standin"
)

// newExecutor opens devices: the stand-in's, or GPUs if they are required.
func newExecutor(t *testing.T, devices ...int) kernels.Executor {
	t.Helper()
	e, err := New(devices...)
	if err != nil {
		t.Fatal(err)
	}
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

func TestPyTorch(t *testing.T) { conformance.PyTorch(t, newExecutor(t)) }
