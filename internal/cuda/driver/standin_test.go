//go:build gpu && !cpu && linux && amd64 && cgo

package driver

import (
	"context"
	"debug/elf"
	"errors"
	"math"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"vanilla/internal/cuda/standin"
)

// needStandIn skips tests of what only the stand-in does on demand.
func needStandIn(t *testing.T) {
	t.Helper()
	if standin.RequireGPU() {
		t.Skip("needs the stand-in")
	}
}

// The binary must start where there is no libcuda.so.1: it may not need it.
func TestNeedsNoLibrary(t *testing.T) {
	f, err := elf.Open("/proc/self/exe")
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	libraries, err := f.ImportedLibraries()
	if err != nil {
		t.Fatal(err)
	}
	for _, l := range libraries {
		if strings.Contains(l, "cuda") {
			t.Errorf("the binary needs %s to start", l)
		}
	}
}

// Every function of the driver that the binary calls is one of CUDA 12.0's.
func TestFunctionsOf525(t *testing.T) {
	names, err := os.ReadFile("testdata/cuda-12.0.txt")
	if err != nil {
		t.Fatal(err)
	}
	there := strings.Fields(string(names))
	text, err := os.ReadFile("functions.h")
	if err != nil {
		t.Fatal(err)
	}
	called := regexp.MustCompile(`(?m)^FUNCTION\((\w+)\)$`).FindAllStringSubmatch(string(text), -1)
	if len(called) < 100 || len(there) < 400 {
		t.Fatalf("%d functions are called, CUDA 12.0 has %d", len(called), len(there))
	}
	for _, m := range called {
		if !slices.Contains(there, m[1]) {
			t.Errorf("CUDA 12.0 has no %s", m[1])
		}
	}
}

// A process can open one library, so each of these is the test again in another process.
func TestUnavailable(t *testing.T) {
	needStandIn(t)
	if os.Getenv("VANILLA_TEST_UNAVAILABLE") != "" {
		err := Available()
		if !errors.Is(err, ErrUnavailable) {
			t.Fatalf("available: %v", err)
		}
		if _, err := Devices(); !errors.Is(err, ErrUnavailable) {
			t.Errorf("devices: %v", err)
		}
		if _, err := Open(0); !errors.Is(err, ErrUnavailable) {
			t.Errorf("opened: %v", err)
		}
		t.Log(err)
		return
	}
	for _, c := range []struct{ set, want string }{
		{LibraryVariable + "=/nowhere/libcuda.so.1", "no NVIDIA driver: /nowhere/libcuda.so.1 not found"},
		{LibraryVariable + "=/proc/self/exe", "no NVIDIA driver: /proc/self/exe: "},
		{LibraryVariable + "=libm.so.6", "no NVIDIA driver: "},
		{"VANILLA_STANDIN_INIT=100", "no CUDA device: the NVIDIA driver found none"},
		{"VANILLA_STANDIN_INIT=803", "the NVIDIA driver does not start: cuInit: CUDA_ERROR_SYSTEM_DRIVER_MISMATCH (803)"},
		{"VANILLA_STANDIN_DEVICES=0", "no CUDA device: the NVIDIA driver found none"},
		{"VANILLA_STANDIN_DRIVER=11080", "the NVIDIA driver is too old: it supports CUDA 11.8, this binary needs 12.0 (driver 525 or newer)"},
	} {
		test := exec.Command(os.Args[0], "-test.run=^TestUnavailable$", "-test.v")
		test.Env = append(os.Environ(), "VANILLA_TEST_UNAVAILABLE=1", c.set)
		if out, err := test.CombinedOutput(); err != nil || !strings.Contains(string(out), c.want) {
			t.Errorf("%s: %v; want %q:\n%s", c.set, err, c.want, out)
		}
	}
}

func TestDevices(t *testing.T) {
	needStandIn(t)
	for _, c := range []struct {
		capability       string
		major, minor     int
		shared, reserved int
	}{
		{"7.5", 7, 5, 65536, 0}, {"8.0", 8, 0, 166912, 1024}, {"8.6", 8, 6, 101376, 1024}, {"8.9", 8, 9, 101376, 1024},
		{"9.0", 9, 0, 232448, 1024}, {"10.0", 10, 0, 232448, 1024}, {"12.0", 12, 0, 101376, 1024},
	} {
		t.Setenv("VANILLA_STANDIN_CAPABILITY", c.capability)
		t.Setenv("VANILLA_STANDIN_DEVICES", "2")
		devices, err := Devices()
		if err != nil || len(devices) != 2 {
			t.Fatalf("%v, err %v", devices, err)
		}
		d := devices[1]
		if d.Index != 1 || d.Major != c.major || d.Minor != c.minor || d.SharedPerBlock != c.shared || d.SharedPerSM != c.shared+c.reserved || d.SharedReserved != c.reserved ||
			d.SMs < 1 || d.MemoryBytes != 1<<30 || d.Driver != 13000 || !d.StandIn || !strings.Contains(d.Name, "not a GPU") {
			t.Errorf("found %+v", d)
		}
		if want := "stand-in for CUDA on the CPU, not a GPU, compute capability " + c.capability + ", 4 SMs, 1.0 GiB, CUDA 13.0"; d.String() != want {
			t.Errorf("%q, want %q", d, want)
		}
		// The image has code for each.
		ctx, err := Open(1)
		if err != nil {
			t.Fatal(err)
		}
		s := load(t, ctx, 1000)
		if s.f.Registers < 8 || s.f.MaxThreads != 256 || s.f.StaticShared != 144 || s.f.LocalBytes != 0 || s.f.Architecture != 10*c.major+c.minor {
			t.Errorf("%s: %+v", c.capability, s.f)
		}
		// What CUDA keeps for itself is no part of what a block can have.
		most := c.shared - s.f.StaticShared
		if err := s.f.AllowShared(most); err != nil {
			t.Error(err)
		}
		if err := s.f.AllowShared(most + 1); err == nil {
			t.Errorf("%s: a block gets more than %d bytes", c.capability, c.shared)
		}
		if err := s.launch(ctx, 3, 64); err != nil {
			t.Error(err)
		}
		s.check(t, ctx, 64)
		ctx.Close()
	}
	for _, index := range []int{-1, 2} {
		if c, err := Open(index); err == nil || !strings.Contains(err.Error(), "there are 2, from 0") {
			t.Errorf("device %d: %v, err %v", index, c, err)
		}
	}
}

func TestMemory(t *testing.T) {
	c := open(t)
	before, total, err := c.MemInfo()
	if err != nil || before > total || total > c.Device().MemoryBytes {
		t.Fatalf("%d of %d bytes free, err %v", before, total, err)
	}
	const n = 100_000
	p, err := c.Alloc(4 * n)
	if err != nil || p%256 != 0 {
		t.Fatalf("allocated at %#x, err %v", p, err)
	}
	want, got := make([]float32, n), make([]float32, n)
	for i := range want {
		want[i] = float32(i)
	}
	if err := errors.Join(c.CopyIn(p, Bytes(want)), c.CopyOut(Bytes(got), p)); err != nil || !slices.Equal(got, want) {
		t.Errorf("copied in and out: err %v", err)
	}
	if err := errors.Join(c.CopyIn(p+4, Bytes(want[:1])), c.CopyOut(Bytes(got[:3]), p)); err != nil || !slices.Equal(got[:3], []float32{0, 0, 2}) {
		t.Errorf("copied into the middle: %v, err %v", got[:3], err)
	}
	if err := errors.Join(c.Clear(p, 4*n), c.CopyOut(Bytes(got), p)); err != nil || slices.Max(got) != 0 {
		t.Errorf("cleared: %v, err %v", slices.Max(got), err)
	}
	if err := errors.Join(c.CopyIn(p, nil), c.CopyOut(nil, p), c.Clear(p, 0)); err != nil {
		t.Errorf("nothing: %v", err)
	}
	if err := c.Free(p); err != nil {
		t.Error(err)
	}
}

func TestMemoryOfStandIn(t *testing.T) {
	needStandIn(t)
	t.Setenv("VANILLA_STANDIN_MEMORY", "1000000")
	c := open(t)
	var all []Pointer
	for {
		p, err := c.Alloc(100_000)
		if err != nil {
			if !errors.Is(err, ErrOutOfMemory) || errors.Is(err, ErrDeviceLost) || !strings.HasPrefix(err.Error(), "allocate 100000 bytes: CUDA_ERROR_OUT_OF_MEMORY (2): out of memory") {
				t.Errorf("out of memory: %v", err)
			}
			break
		}
		all = append(all, p)
	}
	if free, total, err := c.MemInfo(); len(all) != 9 || total != 1_000_000 || free >= 100_096 || err != nil {
		t.Errorf("%d allocations; %d of %d bytes free, err %v", len(all), free, total, err)
	}
	x := make([]float32, 25_000)
	if err := c.CopyOut(Bytes(x), all[0]); err != nil || slices.ContainsFunc(x, func(v float32) bool { return !math.IsNaN(float64(v)) }) {
		t.Errorf("new memory holds numbers; err %v", err)
	}
	// Copies stay within an allocation.
	for _, err := range []error{
		c.CopyIn(all[0]+4, Bytes(x)), c.CopyOut(Bytes(x), all[0]+4), c.Clear(all[0]+4, 100_000), c.CopyIn(0, Bytes(x)), c.Free(all[0] + 4),
	} {
		var e *Error
		if !errors.As(err, &e) || e.Name != "CUDA_ERROR_INVALID_VALUE" {
			t.Errorf("outside of an allocation: %v", err)
		}
	}
	for _, p := range all {
		if err := c.Free(p); err != nil {
			t.Error(err)
		}
	}
	if free, total, err := c.MemInfo(); free != total || err != nil {
		t.Errorf("all is freed: %d of %d bytes free, err %v", free, total, err)
	}
}

// What a launch may ask for.
func TestLaunchLimits(t *testing.T) {
	c := open(t)
	s := load(t, c, 100)
	if err := c.Launch(s.f, 1, 64, 60<<10); err == nil {
		t.Error("60 KiB of shared memory were launched without asking")
	}
	most := c.Device().SharedPerBlock - s.f.StaticShared
	if err := s.f.AllowShared(most + 1); err == nil {
		t.Error("more shared memory was allowed than there is")
	}
	if err := s.f.AllowShared(most); err != nil {
		t.Error(err)
	}
	if err := c.Launch(s.f, 1, 64, most, uint64(s.x), 100, uint64(s.next), uint64(s.sum), uint64(s.most)); err != nil {
		t.Error(err)
	}
	s.check(t, c, 64)
	if err := c.Launch(s.f, 1, 512, 2048, uint64(s.x), 100, uint64(s.next), uint64(s.sum), uint64(s.most)); err == nil {
		t.Error("more threads were launched than __launch_bounds__ allows")
	}
	if err := c.Launch(s.f, 0, 64, 0); err == nil {
		t.Error("no blocks were launched")
	}
	if n, err := s.f.BlocksPerSM(256, 1024); n < 1 || err != nil {
		t.Errorf("%d blocks on a multiprocessor, err %v", n, err)
	}
	if n, err := s.f.BlocksPerSM(256, most); n != 1 || err != nil {
		t.Errorf("%d blocks with all shared memory on a multiprocessor, err %v", n, err)
	}
}

func TestModule(t *testing.T) {
	c := open(t)
	s := load(t, c, 1)
	if s.f.Name != "selftest" {
		t.Errorf("found %+v", s.f)
	}
	if _, err := c.Load([]byte("no image at all, and no PTX")); err == nil || !strings.HasPrefix(err.Error(), "load the kernels: CUDA_ERROR_") {
		t.Errorf("no image: %v", err)
	}
	if _, err := c.Load([]byte(".version 7.0\n.target sm_75\n.address_size 64\nnonsense;\n")); err == nil || !strings.Contains(err.Error(), "\n") {
		t.Errorf("PTX that does not compile: %v; want the compiler's words on a second line", err)
	}
	code := fatbin(t)
	module, err := c.Load(code)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := module.Function("nonsense"); err == nil || !strings.HasPrefix(err.Error(), "find the kernel nonsense: CUDA_ERROR_NOT_FOUND (500)") {
		t.Errorf("no such kernel: %v", err)
	}
}

// Launches return at once. Done does not wait, Wait ends with its context while the
// launch goes on, and copies wait for it.
func TestWait(t *testing.T) {
	needStandIn(t)
	hold := filepath.Join(t.TempDir(), "hold")
	if err := os.WriteFile(hold, nil, 0o644); err != nil {
		t.Fatal(err)
	}
	t.Setenv("VANILLA_STANDIN_HOLD", hold)
	t.Setenv("VANILLA_STANDIN_DELAY", "50")
	c := open(t)
	s := load(t, c, 1000)
	if err := s.launch(c, 4, 128); err != nil {
		t.Fatal(err)
	}
	if done, err := c.Done(); done || err != nil {
		t.Errorf("done at once: %v, err %v", done, err)
	}
	stop := errors.New("enough")
	ctx, cancel := context.WithCancelCause(context.Background())
	time.AfterFunc(10*time.Millisecond, func() { cancel(stop) })
	if err := c.Wait(ctx); err != stop {
		t.Errorf("waited until it was cancelled: %v", err)
	}
	if done, err := c.Done(); done || err != nil {
		t.Errorf("done while the launch goes on: %v, err %v", done, err)
	}
	if err := os.Remove(hold); err != nil {
		t.Fatal(err)
	}
	if err := c.Wait(context.Background()); err != nil {
		t.Errorf("waited to the end: %v", err)
	}
	if done, err := c.Done(); !done || err != nil {
		t.Errorf("done in the end: %v, err %v", done, err)
	}
	s.check(t, c, 128)

	s = load(t, c, 1000)
	if err := s.launch(c, 4, 128); err != nil {
		t.Fatal(err)
	}
	s.check(t, c, 128) // copies wait
}

// A kernel that fails loses its context, and no other.
func TestDeviceLost(t *testing.T) {
	needStandIn(t)
	other := open(t)
	t.Setenv("VANILLA_STANDIN_FAIL", "launch:2:700")
	c := open(t)
	s := load(t, c, 1000)
	if err := s.launch(c, 4, 128); err != nil {
		t.Fatal(err)
	}
	s.check(t, c, 128)
	if err := s.launch(c, 4, 128); err != nil {
		t.Fatalf("the launch itself succeeds: %v", err)
	}
	err := c.Wait(context.Background())
	if !errors.Is(err, ErrDeviceLost) || errors.Is(err, ErrOutOfMemory) || err.Error() != "run a kernel: CUDA_ERROR_ILLEGAL_ADDRESS (700): an illegal memory access was encountered (stand-in for CUDA on the CPU)" {
		t.Errorf("waited: %v", err)
	}
	_, allocErr := c.Alloc(100)
	for _, err := range []error{allocErr, c.Clear(s.x, 4), c.Synchronize(), s.launch(c, 1, 32), c.Close()} {
		if !errors.Is(err, ErrDeviceLost) {
			t.Errorf("after it: %v, want a lost device", err)
		}
	}
	s = load(t, other, 1000)
	if err := s.launch(other, 4, 128); err != nil {
		t.Fatal(err)
	}
	s.check(t, other, 128)
}

func TestFailures(t *testing.T) {
	needStandIn(t)
	t.Setenv("VANILLA_STANDIN_DEVICES", "2")
	t.Setenv("VANILLA_STANDIN_FAIL", "alloc:2:2,in:2:46,launch:1:701:0")
	for device := range 2 {
		c, err := Open(device)
		if err != nil {
			t.Fatal(err)
		}
		p, err := c.Alloc(1000)
		if err != nil {
			t.Error(err)
		}
		if _, err := c.Alloc(1000); !errors.Is(err, ErrOutOfMemory) {
			t.Errorf("the second allocation: %v", err)
		}
		if _, err := c.Alloc(1000); err != nil {
			t.Errorf("the third allocation: %v", err)
		}
		module, err := c.Load(fatbin(t))
		if err != nil {
			t.Fatal(err)
		}
		f, err := module.Function("selftest")
		if err != nil {
			t.Fatal(err)
		}
		zero := uint64(p)
		err = errors.Join(c.Clear(p, 1000), c.Launch(f, 1, 32, 128, zero, 0, zero, zero, zero), c.Synchronize())
		var e *Error
		if failed := errors.As(err, &e) && e.Code == 701; failed != (device == 0) {
			t.Errorf("device %d: launched: %v", device, err)
		}
		if err := c.CopyIn(p, make([]byte, 10)); err != nil {
			t.Errorf("the first copy: %v", err)
		}
		if err := c.CopyIn(p, make([]byte, 10)); !errors.Is(err, ErrDeviceLost) {
			t.Errorf("the second copy: %v", err)
		}
		c.Close()
	}
}

func TestClosed(t *testing.T) {
	c := open(t)
	p, err := c.Alloc(10)
	if err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(c.Close(), c.Close()); err != nil {
		t.Error(err)
	}
	if err := c.CopyIn(p, make([]byte, 10)); !errors.Is(err, errClosed) {
		t.Errorf("copied after Close: %v", err)
	}
}

// Calls may come from any goroutine, to several contexts at once.
func TestGoroutines(t *testing.T) {
	contexts := []*Context{open(t), open(t)}
	var wait sync.WaitGroup
	for i := range 16 {
		c := contexts[i%2]
		wait.Go(func() {
			want, got := make([]uint64, 1000), make([]uint64, 1000)
			for k := range want {
				want[k] = uint64(i*k + 1)
			}
			p, err := c.Alloc(8000)
			if err := errors.Join(err, c.CopyIn(p, Bytes(want)), c.CopyOut(Bytes(got), p), c.Free(p)); err != nil || !slices.Equal(got, want) {
				t.Errorf("goroutine %d: copied, err %v", i, err)
			}
		})
	}
	wait.Wait()
}
