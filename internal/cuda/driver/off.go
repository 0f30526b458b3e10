//go:build !gpu || cpu || !linux || !amd64 || !cgo

package driver

// off is why this binary has no CUDA.
const off = unavailable("this binary was built without CUDA")

// Built is whether this binary was built with CUDA: -tags gpu, on linux/amd64, with cgo.
const Built = false

// Available says why this process can use no GPU: it was built without CUDA.
func Available() error { return off }

// Devices fails as Available does.
func Devices() ([]Device, error) { return nil, off }
