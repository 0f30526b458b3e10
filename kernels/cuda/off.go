//go:build !gpu || cpu || !linux || !amd64 || !cgo

package cuda

import (
	"vanilla/kernels"
	"vanilla/internal/cuda/driver"
)

// New fails: this binary was built without CUDA.
func New(precision string, devices ...int) (kernels.Executor, error) { return nil, driver.Available() }
