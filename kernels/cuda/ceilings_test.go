//go:build gpu && !cpu && linux && amd64 && cgo

package cuda

import (
	"errors"
	"testing"

	"vanilla/internal/cuda/driver"
)

func openDevice(t *testing.T) *driver.Context {
	t.Helper()
	c, err := driver.Open(0)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	return c
}

func ceilingOf(t *testing.T, name string) *ceilingWork {
	t.Helper()
	w, err := newCeilingWork(openDevice(t), name)
	if err != nil {
		t.Fatal(err)
	}
	return w
}

// Every thread of the kernels reads and multiplies what it is said to, neither more
// nor less. Rates are those of devices: here is none.
func TestCeilings(t *testing.T) {
	for _, name := range []string{"l2", "shared", "tensor"} {
		t.Run(name, func(t *testing.T) {
			w := ceilingOf(t, name)
			if w == nil {
				t.Skip("this device has no such unit")
			}
			if w.grid < w.context.Device().SMs || !(w.once > 0) {
				t.Errorf("%d blocks, %g of work", w.grid, w.once)
			}
			w.grid = 2
			for _, passes := range []int{1, 2} {
				if err := errors.Join(w.do(t.Context(), passes), w.check(passes)); err != nil {
					t.Errorf("%d passes: %v", passes, err)
				}
			}
			if w.check(1) == nil || w.check(3) == nil {
				t.Error("nobody notices how many passes there were")
			}
		})
	}
}
