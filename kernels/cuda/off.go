//go:build !gpu || cpu || !linux || !amd64 || !cgo

package cuda

import (
	"context"

	"vanilla/internal/cuda/driver"
	"vanilla/kernels"
)

// New fails: this binary was built without CUDA.
func New(precision string, devices ...int) (kernels.Executor, error) { return nil, driver.Available() }

// Ceilings fails as New does.
func Ceilings(context.Context, int) ([]Ceiling, error) { return nil, driver.Available() }
