//go:build gpu && !cpu && linux && amd64 && cgo

package driver

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"sync"
	"time"
	"unsafe"

	"gorgonia.org/cu"
)

// Built is whether this binary was built with CUDA: -tags gpu, on linux/amd64, with cgo.
const Built = true

// Available says why this process can use no GPU, or nil if it can. The error is
// ErrUnavailable.
func Available() error { return opened() }

// Devices lists the GPUs. It fails as Available does.
func Devices() ([]Device, error) {
	if err := Available(); err != nil {
		return nil, err
	}
	n, err := cu.NumDevices()
	if err != nil {
		return nil, wrap("count the devices", err)
	}
	devices := make([]Device, n)
	for i := range devices {
		if devices[i], err = describe(i); err != nil {
			return nil, err
		}
	}
	return devices, nil
}

func describe(index int) (Device, error) {
	d := Device{Index: index, Driver: cu.Version(), StandIn: standIn()}
	handle, err := cu.GetDevice(index)
	if err != nil {
		return d, wrap(fmt.Sprintf("find device %d", index), err)
	}
	if d.Name, err = handle.Name(); err != nil {
		return d, wrap(fmt.Sprintf("name of device %d", index), err)
	}
	bytes, err := handle.TotalMem()
	if err != nil {
		return d, wrap(fmt.Sprintf("memory of device %d", index), err)
	}
	d.MemoryBytes = int(bytes)
	for _, a := range []struct {
		to   *int
		what cu.DeviceAttribute
	}{
		{&d.Major, cu.ComputeCapabilityMajor},
		{&d.Minor, cu.ComputeCapabilityMinor},
		{&d.SMs, cu.MultiprocessorCount},
		{&d.SharedPerBlock, sharedOptIn},
		{&d.SharedPerSM, cu.MaxSharedMemoryPerMultiprocessor},
		{&d.SharedReserved, sharedReserved},
	} {
		if *a.to, err = handle.Attribute(a.what); err != nil {
			return d, wrap(fmt.Sprintf("attribute %d of device %d", a.what, index), err)
		}
	}
	return d, nil
}

// Context is a device in use. Its calls may come from any goroutine; they run one
// after the other on one OS thread, because a CUDA context belongs to threads.
type Context struct {
	device Device
	handle cu.CUContext
	calls  chan func()
	closed chan struct{}
	close  func() error
}

// Open makes a context on the device with that index. It takes a few hundred
// MiB of the device's memory. It fails as Available does, and if there is no such
// device.
func Open(index int) (*Context, error) {
	devices, err := Devices()
	if err != nil {
		return nil, err
	}
	if index < 0 || index >= len(devices) {
		return nil, fmt.Errorf("no CUDA device %d: there are %d, from 0", index, len(devices))
	}
	c := &Context{device: devices[index], calls: make(chan func()), closed: make(chan struct{})}
	go func() {
		runtime.LockOSThread() // for good: the thread ends with the goroutine
		for {
			select {
			case call := <-c.calls:
				call()
			case <-c.closed:
				return
			}
		}
	}()
	c.close = sync.OnceValue(func() error {
		defer close(c.closed)
		return c.do("close "+c.device.Name, func() error { return c.handle.Destroy() })
	})
	err = c.do("open "+c.device.Name, func() (err error) {
		c.handle, err = cu.Device(index).MakeContext(cu.SchedBlockingSync)
		return err
	})
	if err != nil {
		close(c.closed)
		return nil, err
	}
	return c, nil
}

// errClosed is the error of every call after Close.
var errClosed = errors.New("the context is closed")

// do runs a call on the context's thread.
func (c *Context) do(doing string, call func() error) error {
	var err error
	done := make(chan struct{})
	run := func() {
		defer close(done)
		err = call()
	}
	select {
	case c.calls <- run:
		<-done
	case <-c.closed:
		return fmt.Errorf("%s: %w", doing, errClosed)
	}
	var known *Error
	if errors.As(err, &known) {
		return err
	}
	return wrap(doing, err)
}

// Device is the device that the context is on.
func (c *Context) Device() Device { return c.device }

// Close frees all that the context holds: memory, modules, launches under way. Only
// the first call does something; all return its error. Other calls fail afterwards.
func (c *Context) Close() error { return c.close() }

// Alloc reserves device memory, aligned to 256 bytes, with anything in it. It
// fails with ErrOutOfMemory if there is not enough.
func (c *Context) Alloc(bytes int) (Pointer, error) {
	var p cu.DevicePtr
	err := c.do(fmt.Sprintf("allocate %d bytes", bytes), func() (err error) {
		p, err = cu.MemAlloc(int64(bytes))
		return err
	})
	return Pointer(p), err
}

// Free gives memory of Alloc back, after the launches before it have ended.
func (c *Context) Free(p Pointer) error {
	return c.do("free memory", func() error { return cu.MemFree(cu.DevicePtr(p)) })
}

// CopyIn copies src to the device, after the launches before it.
func (c *Context) CopyIn(dst Pointer, src []byte) error {
	if len(src) == 0 {
		return nil
	}
	return c.do(fmt.Sprintf("copy %d bytes to the device", len(src)), func() error {
		return cu.MemcpyHtoD(cu.DevicePtr(dst), unsafe.Pointer(&src[0]), int64(len(src)))
	})
}

// CopyOut fills dst from the device, after the launches before it.
func (c *Context) CopyOut(dst []byte, src Pointer) error {
	if len(dst) == 0 {
		return nil
	}
	return c.do(fmt.Sprintf("copy %d bytes from the device", len(dst)), func() error {
		return cu.MemcpyDtoH(unsafe.Pointer(&dst[0]), cu.DevicePtr(src), int64(len(dst)))
	})
}

// Clear sets device memory to zeros, after the launches before it.
func (c *Context) Clear(p Pointer, bytes int) error {
	if bytes == 0 {
		return nil
	}
	return c.do(fmt.Sprintf("clear %d bytes", bytes), func() error {
		return cu.MemsetD8(cu.DevicePtr(p), 0, int64(bytes))
	})
}

// MemInfo is the device memory that is free and that there is, in bytes.
func (c *Context) MemInfo() (free, total int, err error) {
	err = c.do("ask for free memory", func() error {
		f, t, err := cu.MemInfo()
		free, total = int(f), int(t)
		return err
	})
	return free, total, err
}

// Module is compiled code on a device.
type Module struct {
	context *Context
	handle  cu.Module
}

// Load loads a fatbin, cubin or PTX. If the driver has to compile PTX and cannot,
// its compiler's words are in the error.
func (c *Context) Load(image []byte) (*Module, error) {
	m := &Module{context: c}
	err := c.do("load the kernels", func() (err error) {
		m.handle, err = loadModule(image)
		return err
	})
	if err != nil {
		return nil, err
	}
	return m, nil
}

// Function is a kernel in a module.
type Function struct {
	Name         string
	Architecture int // that its code was compiled for: 86 for compute capability 8.6
	Registers    int // per thread
	LocalBytes   int // per thread: what did not fit the registers
	StaticShared int // bytes per block
	MaxThreads   int // per block, from its registers and __launch_bounds__

	context *Context
	handle  cu.Function
}

// Function finds a kernel by its name.
func (m *Module) Function(name string) (*Function, error) {
	f := &Function{Name: name, context: m.context}
	err := m.context.do("find the kernel "+name, func() (err error) {
		if f.handle, err = m.handle.Function(name); err != nil {
			return err
		}
		for _, a := range []struct {
			to   *int
			what cu.FunctionAttribute
		}{
			{&f.Architecture, cu.BinaryVersion},
			{&f.Registers, cu.NumRegs},
			{&f.LocalBytes, cu.LocalSizeBytes},
			{&f.StaticShared, cu.SharedSizeBytes},
			{&f.MaxThreads, cu.FnMaxThreadsPerBlock},
		} {
			if *a.to, err = f.handle.Attribute(a.what); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	return f, nil
}

// AllowShared lets launches of f ask for that much dynamic shared memory. Without
// it the limit is 48 KiB; with it, Device.SharedPerBlock less f.StaticShared.
func (f *Function) AllowShared(bytes int) error {
	return f.context.do(fmt.Sprintf("allow %s %d bytes of shared memory", f.Name, bytes), func() error {
		return setMaxDynamicShared(f.handle, bytes)
	})
}

// BlocksPerSM is how many blocks of f one multiprocessor runs at a time.
func (f *Function) BlocksPerSM(block, sharedBytes int) (int, error) {
	var n int
	err := f.context.do("occupancy of "+f.Name, func() (err error) {
		n, err = f.handle.MaxActiveBlocksPerMultiProcessor(block, int64(sharedBytes))
		return err
	})
	return n, err
}

// Launch starts grid blocks of block threads each, with sharedBytes of dynamic
// shared memory, and returns without waiting for their end. Launches run in
// order. Each argument is the 8 bytes of a kernel's parameter: a Pointer, an int64,
// or the low bytes of something smaller (math.Float32bits for a float).
func (c *Context) Launch(f *Function, grid, block, sharedBytes int, args ...uint64) error {
	return c.launch(cu.NoStream, f, grid, block, sharedBytes, args)
}

func (c *Context) launch(stream cu.Stream, f *Function, grid, block, sharedBytes int, args []uint64) error {
	return c.do("launch "+f.Name, func() error { return f.start(stream, grid, block, sharedBytes, args) })
}

// start starts a launch, on the context's thread.
func (f *Function) start(stream cu.Stream, grid, block, sharedBytes int, args []uint64) error {
	pointers := make([]unsafe.Pointer, len(args))
	for i := range args {
		pointers[i] = unsafe.Pointer(&args[i]) // cu reads 8 bytes behind each
	}
	return f.handle.Launch(grid, 1, 1, block, 1, 1, sharedBytes, stream, pointers)
}

// Done is whether everything launched so far has ended. It does not wait. Its
// error is that of a launch that failed.
func (c *Context) Done() (bool, error) {
	done := false
	err := c.do("run a kernel", func() error {
		err := cu.NoStream.Query()
		if err == error(cu.NotReady) {
			return nil
		}
		done = true
		return err
	})
	return done, err
}

// Wait waits until everything launched so far has ended, or ctx is done: then it
// returns ctx's cause, and the launches go on. It asks the device, at first every
// 20 microseconds, then every millisecond.
func (c *Context) Wait(ctx context.Context) error {
	for pause := 20 * time.Microsecond; ; pause = min(2*pause, time.Millisecond) {
		if done, err := c.Done(); done || err != nil {
			return err
		}
		timer := time.NewTimer(pause)
		select {
		case <-timer.C:
		case <-ctx.Done():
			timer.Stop()
			return context.Cause(ctx)
		}
	}
}

// Synchronize waits until everything launched so far has ended.
func (c *Context) Synchronize() error {
	return c.do("run a kernel", func() error { return cu.Synchronize() })
}
