//go:build gpu && !cpu && linux && amd64 && cgo

package standin_test

import (
	"errors"
	"fmt"
	"math"
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"vanilla/internal/cuda/driver"
	"vanilla/internal/cuda/standin"
)

// TestMain builds the stand-in with the kernels of testdata.
func TestMain(m *testing.M) {
	if standin.RequireGPU() {
		fmt.Println("skipped: this is about the stand-in")
		return
	}
	if err := prepare(); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	os.Exit(m.Run())
}

func prepare() error {
	kernels, err := filepath.Abs("testdata")
	if err != nil {
		return err
	}
	library, err := standin.Build(kernels)
	if err != nil {
		return err
	}
	if image, err = compile(); err != nil {
		return err
	}
	return os.Setenv(driver.LibraryVariable, library)
}

const threads = 64

// image is the kernels' compiled code, for devices of compute capability 9.0.
var image []byte

func compile() ([]byte, error) {
	dir, err := os.MkdirTemp("", "faults")
	if err != nil {
		return nil, err
	}
	defer os.RemoveAll(dir)
	file := filepath.Join(dir, "faults.fatbin")
	out, err := exec.Command("../../../.cache/cuda/nvidia/cu13/bin/nvcc", "-fatbin", "-std=c++17", "-gencode", "arch=compute_90,code=sm_90",
		"-diag-suppress", "128", "-o", file, "testdata/faults.cu").CombinedOutput()
	if err != nil {
		return nil, fmt.Errorf("nvcc: %v\n%s", err, out)
	}
	return os.ReadFile(file)
}

// launch runs one block of a kernel on n zeros, and returns what they became.
func launch(t *testing.T, kernel string, n int) ([]float32, error) {
	t.Helper()
	c, err := driver.Open(0)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	module, err := c.Load(image)
	if err != nil {
		t.Fatal(err)
	}
	f, err := module.Function(kernel)
	if err != nil {
		t.Fatal(err)
	}
	p, err := c.Alloc(4 * n)
	if err != nil {
		t.Fatal(err)
	}
	if err := c.Clear(p, 4*n); err != nil {
		t.Fatal(err)
	}
	if err := c.Launch(f, 1, threads, 4*threads, uint64(p), uint64(n)); err != nil {
		t.Fatal(err)
	}
	if err := c.Synchronize(); err != nil {
		return nil, err
	}
	x := make([]float32, n)
	return x, c.CopyOut(driver.Bytes(x), p)
}

// Drivers of CUDA 12 load no code of CUDA 13's assembler, which the image here is
// of.
func TestOldDriver(t *testing.T) {
	t.Setenv("VANILLA_STANDIN_DRIVER", "12080")
	c, err := driver.Open(0)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	var failed *driver.Error
	if _, err := c.Load(image); !errors.As(err, &failed) || failed.Code != 209 {
		t.Errorf("loaded: %v, want CUDA_ERROR_NO_BINARY_FOR_GPU", err)
	}
}

// Each mistake ends the launch, as on a GPU, and loses the context.
func TestFaults(t *testing.T) {
	for _, c := range []struct {
		kernel string
		code   int
	}{
		{"far_outside", 700},
		{"just_outside", 700},
		{"before_beginning", 700},
		{"null_pointer", 715},
		{"index_outside", 715},
		{"misaligned", 715},
		{"behind_shared", 700},
		{"different_barriers", 719},
		{"never_met", 719},
		{"partial_mask", 719},
		{"asserts", 710},
		{"traps", 715},
	} {
		// 65 numbers leave a rest of the allocation's 256-byte units unused, 64 do not.
		n := 64
		if c.kernel == "just_outside" {
			n = 65
		}
		_, err := launch(t, c.kernel, n)
		var failed *driver.Error
		if !errors.As(err, &failed) || failed.Code != c.code || !errors.Is(err, driver.ErrDeviceLost) {
			t.Errorf("%s: %v, want CUresult %d, a lost device", c.kernel, err, c.code)
		}
	}
}

// A barrier that is missing shows in one order of the threads or the other.
func TestMissingBarriers(t *testing.T) {
	for _, c := range []struct {
		kernel string
		want   func(i int) int
		shows  map[string]bool // in which orders
	}{
		{"ahead", func(i int) int { return i ^ 63 }, map[string]bool{"forward": true, "reverse": true, "shuffled": true}},
		{"behind", func(i int) int { return max(0, i-1) }, map[string]bool{"forward": false, "reverse": true, "shuffled": true}},
	} {
		for order, shows := range c.shows {
			t.Setenv("VANILLA_STANDIN_ORDER", order)
			x, err := launch(t, c.kernel, threads)
			if err != nil {
				t.Fatal(err)
			}
			wrong := false
			for i, v := range x {
				wrong = wrong || v != float32(c.want(i))
			}
			if wrong != shows {
				t.Errorf("%s in order %s: wrong numbers: %v, want %v: %v", c.kernel, order, wrong, shows, x)
			}
		}
	}
}

// Shared memory that nobody has set is not a number.
func TestUnset(t *testing.T) {
	for _, kernel := range []string{"unset_dynamic", "unset_static"} {
		x, err := launch(t, kernel, threads)
		if err != nil {
			t.Fatal(err)
		}
		for i, v := range x {
			if !math.IsNaN(float64(v)) {
				t.Errorf("%s: number %d is %v, want NaN", kernel, i, v)
			}
		}
	}
}

func TestThreadsThatReturned(t *testing.T) {
	x, err := launch(t, "returned_early", threads)
	if err != nil {
		t.Fatal(err)
	}
	for i, v := range x {
		want := float32(0)
		if i < 40 {
			want = float32(39 - max(i-1, i&^31))
		}
		if v != want {
			t.Errorf("thread %d has %v, want %v", i, v, want)
		}
	}
}

func TestVotes(t *testing.T) {
	for _, order := range []string{"forward", "reverse", "shuffled"} {
		t.Setenv("VANILLA_STANDIN_ORDER", order)
		x, err := launch(t, "votes", threads)
		if err != nil {
			t.Fatal(err)
		}
		for i, v := range x {
			if v != 22+100+10000 {
				t.Errorf("order %s: thread %d has %v, want 10122", order, i, v)
			}
		}
	}
}
