//go:build gpu && !cpu && linux && amd64 && cgo

package driver

import (
	"errors"
	"slices"
	"testing"
)

// streams opens a context with two streams and an event.
func streams(t *testing.T) (c *Context, a, b *Stream, e *Event) {
	t.Helper()
	c = open(t)
	var errs [3]error
	a, errs[0] = c.Stream()
	b, errs[1] = c.Stream()
	e, errs[2] = c.Event()
	if err := errors.Join(errs[:]...); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := errors.Join(a.Close(), b.Close(), e.Close()); err != nil && !errors.Is(err, errClosed) && !errors.Is(err, ErrDeviceLost) {
			t.Error(err)
		}
	})
	return c, a, b, e
}

func host(t *testing.T, c *Context, numbers int) []uint32 {
	t.Helper()
	memory, err := c.AllocHost(4 * numbers)
	if err != nil {
		t.Fatal(err)
	}
	return Of[uint32](memory)
}

// Work goes from one stream to another over an event: in by one, across the device
// and out by the other.
func TestStreams(t *testing.T) {
	if testing.Short() {
		t.Skip("copies are late on purpose")
	}
	t.Setenv("VANILLA_STANDIN_LATE", "in:5,copy:5,clear:5")
	c, a, b, e := streams(t)
	const n = 1000
	in, out := host(t, c, n), host(t, c, n)
	for i := range in {
		in[i] = uint32(i * i)
	}
	want := slices.Clone(in)
	from, err := c.Alloc(4 * n)
	if err != nil {
		t.Fatal(err)
	}
	to, err := c.Alloc(4 * n)
	if err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(
		a.CopyIn(from, Bytes(in)), a.Copy(to, from, 4*n), a.Clear(to, 40), a.Record(e),
		b.After(e), b.CopyOut(Bytes(out), to), b.Record(e), e.Wait(),
	); err != nil {
		t.Fatal(err)
	}
	clear(want[:10])
	if !slices.Equal(out, want) {
		t.Error("the second stream did not wait for the first")
	}
	// What has no stream comes after what streams were given, and before what they
	// are given later.
	if err := errors.Join(a.Clear(from, 4*n), b.Clear(to, 4*n), c.CopyOut(Bytes(want), from)); err != nil {
		t.Fatal(err)
	}
	if slices.Max(want) != 0 {
		t.Error("a copy without a stream did not wait for streams")
	}
	if err := errors.Join(c.CopyIn(from, Bytes(out)), a.CopyOut(Bytes(in), from), c.Synchronize()); err != nil || !slices.Equal(in, out) {
		t.Errorf("a stream did not wait for a copy without one: %v", err)
	}
	if err := errors.Join(c.FreeHost(Bytes(in)), c.FreeHost(Bytes(out))); err != nil {
		t.Error(err)
	}
	if err := errors.Join(a.CopyIn(from, nil), a.CopyOut(nil, from), a.Copy(to, from, 0), a.Clear(to, 0)); err != nil {
		t.Errorf("copies of nothing: %v", err)
	}
}

// A kernel in a stream runs after what came before it there.
func TestLaunchInStream(t *testing.T) {
	c, a, _, e := streams(t)
	s := load(t, c, 1000)
	if err := errors.Join(a.Launch(s.f, 4, 128, 4*128, uint64(s.x), 1000, uint64(s.next), uint64(s.sum), uint64(s.most)), a.Record(e), e.Wait()); err != nil {
		t.Fatal(err)
	}
	s.check(t, c, 128)
}

// The stand-in's streams copy from and to page-locked memory alone, which a GPU
// would only do slowly, and from what is allocated.
func TestStreamRefuses(t *testing.T) {
	needStandIn(t)
	c, a, _, _ := streams(t)
	p, err := c.Alloc(40)
	if err != nil {
		t.Fatal(err)
	}
	locked, mine := Bytes(host(t, c, 100)), make([]byte, 40)
	for _, err := range []error{
		a.CopyIn(p, mine), a.CopyOut(mine, p), a.CopyIn(p, locked[:41]), a.CopyOut(locked[:41], p), a.Copy(p, p+4, 40), a.Clear(p, 41), c.FreeHost(mine),
	} {
		var known *Error
		if !errors.As(err, &known) || known.Name != "CUDA_ERROR_INVALID_VALUE" {
			t.Errorf("%v, want an invalid value", err)
		}
	}
}

// What fails in a stream shows when its event is waited for, and loses the context.
func TestStreamFails(t *testing.T) {
	needStandIn(t)
	t.Setenv("VANILLA_STANDIN_FAIL", "out:2:719,host:2:2")
	c, a, b, e := streams(t)
	locked := Bytes(host(t, c, 10))
	if _, err := c.AllocHost(40); !errors.Is(err, ErrOutOfMemory) {
		t.Errorf("the second page-locked memory: %v", err)
	}
	p, err := c.Alloc(40)
	if err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(a.Clear(p, 40), a.CopyOut(locked, p), a.CopyOut(locked, p)); err != nil {
		t.Errorf("before the stream gets there: %v", err)
	}
	if err := errors.Join(a.Record(e), e.Wait()); !errors.Is(err, ErrDeviceLost) {
		t.Errorf("waited: %v", err)
	}
	if err := b.Clear(p, 40); !errors.Is(err, ErrDeviceLost) {
		t.Errorf("another stream goes on: %v", err)
	}
}
