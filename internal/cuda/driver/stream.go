//go:build gpu && !cpu && linux && amd64 && cgo

package driver

import (
	"fmt"
	"iter"
	"unsafe"

	"gorgonia.org/cu"
)

// Stream is work on a device that is done in the order in which it is given, while
// the host goes on. What a Context does without a stream waits for all streams and
// is done before what they are given later. Streams and events
// must be closed.
type Stream struct {
	context *Context
	handle  cu.Stream
}

// Stream makes a stream.
func (c *Context) Stream() (*Stream, error) {
	s := &Stream{context: c}
	err := c.do("make a stream", func() (err error) {
		s.handle, err = cu.MakeStream(cu.DefaultStream)
		return err
	})
	if err != nil {
		return nil, err
	}
	return s, nil
}

// Close closes the stream, once it has done what it was given.
func (s *Stream) Close() error {
	return s.context.do("close a stream", func() error { return s.handle.Destroy() })
}

// Close closes the event.
func (e *Event) Close() error {
	return e.context.do("close an event", func() error { return cu.DestroyEvent(&e.handle) })
}

// Event is a place in a stream.
type Event struct {
	context *Context
	handle  cu.Event
}

// Event makes an event, which is at no place yet: to wait for it is no wait.
func (c *Context) Event() (*Event, error) {
	e := &Event{context: c}
	err := c.do("make an event", func() (err error) {
		e.handle, err = cu.MakeEvent(cu.BlockingSyncEvent | cu.DisableTiming)
		return err
	})
	if err != nil {
		return nil, err
	}
	return e, nil
}

// Record puts e behind what the stream was given so far.
func (s *Stream) Record(e *Event) error {
	return s.context.do("record an event", func() error { return e.handle.Record(s.handle) })
}

// After makes the stream wait for e before it does what it is given from now on.
func (s *Stream) After(e *Event) error {
	return s.context.do("wait for an event", func() error { return s.handle.Wait(e.handle, 0) })
}

// Wait waits until the stream has got to e. Its error is that of anything that
// failed in the context.
func (e *Event) Wait() error {
	return e.context.do("run a kernel", func() error { return e.handle.Synchronize() })
}

// Launch is Context.Launch in the stream.
func (s *Stream) Launch(f *Function, grid, block, sharedBytes int, args ...uint64) error {
	return s.context.launch(s.handle, f, grid, block, sharedBytes, args)
}

// Start is a launch of a sequence.
type Start struct {
	Grid, SharedBytes int
	Args              []uint64
}

// Sequence is Launch for each of them, one behind the other: what many short launches take
// least of the host's time with. It waits where the driver keeps no more launches.
func (s *Stream) Sequence(f *Function, block int, launches iter.Seq[Start]) error {
	return s.context.do("launch "+f.Name, func() error {
		for l := range launches {
			if err := f.start(s.handle, l.Grid, block, l.SharedBytes, l.Args); err != nil {
				return err
			}
		}
		return nil
	})
}

// CopyIn copies from memory of AllocHost, which must not change before it is done.
func (s *Stream) CopyIn(dst Pointer, src []byte) error {
	if len(src) == 0 {
		return nil
	}
	return s.context.do(fmt.Sprintf("copy %d bytes to the device", len(src)), func() error {
		return cu.MemcpyHtoDAsync(cu.DevicePtr(dst), unsafe.Pointer(&src[0]), int64(len(src)), s.handle)
	})
}

// CopyOut copies to memory of AllocHost, which must not be read before it is done.
func (s *Stream) CopyOut(dst []byte, src Pointer) error {
	if len(dst) == 0 {
		return nil
	}
	return s.context.do(fmt.Sprintf("copy %d bytes from the device", len(dst)), func() error {
		return cu.MemcpyDtoHAsync(unsafe.Pointer(&dst[0]), cu.DevicePtr(src), int64(len(dst)), s.handle)
	})
}

// Copy copies from one place of the device to another.
func (s *Stream) Copy(dst, src Pointer, bytes int) error {
	if bytes == 0 {
		return nil
	}
	return s.context.do(fmt.Sprintf("copy %d bytes on the device", bytes), func() error {
		return cu.MemcpyDtoDAsync(cu.DevicePtr(dst), cu.DevicePtr(src), int64(bytes), s.handle)
	})
}

// Clear is Context.Clear in the stream.
func (s *Stream) Clear(p Pointer, bytes int) error {
	if bytes == 0 {
		return nil
	}
	return s.context.do(fmt.Sprintf("clear %d bytes", bytes), func() error {
		return cu.MemsetD8Async(cu.DevicePtr(p), 0, int64(bytes), s.handle)
	})
}

// AllocHost reserves memory of the host that devices copy from and to by
// themselves. It is no memory of Go's: after FreeHost, or Close, it must not be
// touched. It fails with ErrOutOfMemory if there is not enough.
func (c *Context) AllocHost(bytes int) ([]byte, error) {
	var p unsafe.Pointer
	err := c.do(fmt.Sprintf("allocate %d bytes of the host's memory", bytes), func() (err error) {
		p, err = allocHost(bytes)
		return err
	})
	if err != nil {
		return nil, err
	}
	return unsafe.Slice((*byte)(p), bytes), nil
}

// FreeHost gives memory of AllocHost back, after all that streams have to do.
func (c *Context) FreeHost(memory []byte) error {
	return c.do("free the host's memory", func() error {
		if err := cu.Synchronize(); err != nil {
			return err
		}
		return cu.MemFreeHost(unsafe.Pointer(&memory[0]))
	})
}
