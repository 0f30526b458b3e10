//go:build gpu && !cpu && linux && amd64 && cgo

package driver

import (
	"context"
	"testing"

	"vanilla/internal/cuda/image"
	"vanilla/internal/cuda/standin"
)

// open opens the first device: the stand-in's, or a GPU if one is required.
func open(t *testing.T) *Context {
	t.Helper()
	c, err := Open(0)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	if c.Device().StandIn == standin.RequireGPU() {
		t.Fatalf("the device is %s; a GPU is required: %v", c.Device(), standin.RequireGPU())
	}
	return c
}

// selftest is what a launch of the kernel selftest works on, and its expected result.
type selftest struct {
	f                  *Function
	x, next, sum, most Pointer
	numbers            []uint32
}

func fatbin(t *testing.T) []byte {
	t.Helper()
	code, err := image.Load("selftest")
	if err != nil {
		t.Fatal(err)
	}
	return code
}

func load(t *testing.T, c *Context, n int) *selftest {
	t.Helper()
	module, err := c.Load(fatbin(t))
	if err != nil {
		t.Fatal(err)
	}
	s := &selftest{numbers: make([]uint32, n)}
	if s.f, err = module.Function("selftest"); err != nil {
		t.Fatal(err)
	}
	for i := range s.numbers {
		s.numbers[i] = uint32(i) * 2654435761 >> 12
	}
	for _, a := range []struct {
		p     *Pointer
		bytes int
	}{{&s.x, 4 * n}, {&s.next, 4}, {&s.sum, 8}, {&s.most, 4}} {
		if *a.p, err = c.Alloc(a.bytes); err != nil {
			t.Fatal(err)
		}
		if err := c.Clear(*a.p, a.bytes); err != nil {
			t.Fatal(err)
		}
	}
	if err := c.CopyIn(s.x, Bytes(s.numbers)); err != nil {
		t.Fatal(err)
	}
	return s
}

func (s *selftest) launch(c *Context, grid, block int) error {
	return c.Launch(s.f, grid, block, 4*block, uint64(s.x), uint64(len(s.numbers)), uint64(s.next), uint64(s.sum), uint64(s.most))
}

// check compares what a launch with such blocks left with the same sums in Go.
func (s *selftest) check(t *testing.T, c *Context, block int) {
	t.Helper()
	got := make([]uint32, len(s.numbers))
	sum, most := make([]uint64, 1), make([]uint32, 1)
	for _, a := range []struct {
		to   []byte
		from Pointer
	}{{Bytes(got), s.x}, {Bytes(sum), s.sum}, {Bytes(most), s.most}} {
		if err := c.CopyOut(a.to, a.from); err != nil {
			t.Fatal(err)
		}
	}
	var want, total uint64
	var largest uint32
	for i, v := range s.numbers {
		if i%block == 0 {
			want = 0
		}
		want += uint64(v)
		total += uint64(v)
		largest = max(largest, v)
		if got[i] != uint32(want) {
			t.Fatalf("block of %d: number %d is %d, want %d", block, i, got[i], want)
		}
	}
	if sum[0] != total || most[0] != largest {
		t.Errorf("block of %d: sum %d, want %d; maximum %d, want %d", block, sum[0], total, most[0], largest)
	}
}

func TestLaunch(t *testing.T) {
	for _, block := range []int{32, 96, 256} {
		for _, grid := range []int{1, 7, 64} {
			for _, n := range []int{1, 31, 256, 5000} {
				c := open(t)
				s := load(t, c, n)
				if err := s.launch(c, grid, block); err != nil {
					t.Fatal(err)
				}
				if err := c.Wait(context.Background()); err != nil {
					t.Fatal(err)
				}
				s.check(t, c, block)
				if err := c.Close(); err != nil {
					t.Fatal(err)
				}
			}
		}
	}
}
