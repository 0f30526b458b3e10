// Package standin builds the library that stands in for the NVIDIA driver in
// tests: src/libcuda.cpp, in which kernels run on the CPU. Tests of what is above
// package driver so run everywhere: the same Go code, the same .cu files.
//
// The library is never opened by accident: only VANILLA_LIBCUDA names it, and
// it calls itself what it is. src/libcuda.cpp lists the variables that set what it
// stands in for.
package standin

import (
	"bytes"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"runtime"
	"strings"
	"sync"
)

// flags compile kernels like a GPU's compiler, which fuses products into sums; a
// wrong index, alignment or overflow is a signal that ends the launch.
var flags = []string{
	"-std=c++17", "-O2", "-fPIC", "-pthread", "-Wall", "-Wextra", "-Werror", "-Wno-unknown-pragmas",
	"-mavx2", "-mfma", "-mtls-dialect=gnu2", "-ffp-contract=fast", "-fno-strict-aliasing",
	"-fsanitize=alignment,bounds-strict,shift,integer-divide-by-zero,signed-integer-overflow,null", "-fsanitize-undefined-trap-on-error",
}

// Options are what Build can do differently.
type Options struct {
	// Kernels is the directory of the .cu files; "" means those of kernels/cuda.
	Kernels string
	// Headers is the directory of cuda.h; "" means the pinned compiler's.
	Headers string
}

// Build compiles the library into dir, with the kernels of all .cu files, and
// returns its path: the value for VANILLA_LIBCUDA. It takes g++ several seconds,
// and fails with the compiler's words.
func Build(dir string, o Options) (string, error) {
	here, err := here()
	if err != nil {
		return "", err
	}
	if o.Kernels == "" {
		o.Kernels = filepath.Dir(here)
	}
	if o.Headers == "" {
		o.Headers = filepath.Join(here, "../../../.cache/cuda/nvidia/cuda_runtime/include")
	}
	if _, err := os.Stat(filepath.Join(o.Headers, "cuda.h")); err != nil {
		return "", fmt.Errorf("the stand-in needs cuda.h, which make cuda installs: %w", err)
	}
	sources, err := filepath.Glob(filepath.Join(o.Kernels, "*.cu"))
	if err != nil {
		return "", err
	}
	units := []string{filepath.Join(here, "src/cuda_host.cpp"), filepath.Join(here, "src/libcuda.cpp")}
	var arrays []string
	for i, source := range sources {
		array := fmt.Sprintf("kernels_%d", i)
		text, err := unit(source, array)
		if err != nil {
			return "", err
		}
		file := filepath.Join(dir, array+".cpp")
		if err := os.WriteFile(file, text, 0o644); err != nil {
			return "", err
		}
		units, arrays = append(units, file), append(arrays, array)
	}
	file := filepath.Join(dir, "kernels.cpp")
	if err := os.WriteFile(file, list(arrays), 0o644); err != nil {
		return "", err
	}
	return link(dir, append(units, file), "-I"+filepath.Join(here, "src"), "-I"+o.Kernels, "-isystem", o.Headers)
}

// link compiles the files, as many at a time as there are cores, and links them.
func link(dir string, units []string, include ...string) (string, error) {
	objects, errs := make([]string, len(units)), make([]error, len(units))
	var wait sync.WaitGroup
	free := make(chan struct{}, runtime.GOMAXPROCS(0))
	for i, unit := range units {
		objects[i] = filepath.Join(dir, strings.TrimSuffix(filepath.Base(unit), ".cpp")+".o")
		wait.Go(func() {
			free <- struct{}{}
			errs[i] = compile(append(include, "-c", "-o", objects[i], unit)...)
			<-free
		})
	}
	wait.Wait()
	for _, err := range errs {
		if err != nil {
			return "", err
		}
	}
	library := filepath.Join(dir, "libcuda-standin.so")
	return library, compile(append([]string{"-shared", "-o", library}, objects...)...)
}

func compile(args ...string) error {
	out, err := exec.Command("g++", append(flags, args...)...).CombinedOutput()
	if err != nil {
		return fmt.Errorf("g++: %w\n%s", err, out)
	}
	return nil
}

// kernel matches the definition of a kernel, which may be found by its name.
var kernel = regexp.MustCompile(`extern\s+"C"\s+__global__\s+void\s+(?:__launch_bounds__\s*\([^)]*\)\s*)?(\w+)\s*\(`)

// unit is the C++ file that compiles a .cu file and lists its kernels in an array.
func unit(source, array string) ([]byte, error) {
	text, err := os.ReadFile(source)
	if err != nil {
		return nil, err
	}
	var b bytes.Buffer
	fmt.Fprintf(&b, "#include \"cuda_host.h\"\n#include %q\n", source)
	fmt.Fprintf(&b, "extern const ch::Kernel %s[];\nconst ch::Kernel %s[] = {\n", array, array)
	for _, m := range kernel.FindAllSubmatch(text, -1) {
		fmt.Fprintf(&b, "    CUDA_HOST_KERNEL(%s),\n", m[1])
	}
	b.WriteString("    {nullptr, nullptr},\n};\n")
	return b.Bytes(), nil
}

// list is the C++ file that lists the arrays.
func list(arrays []string) []byte {
	var b bytes.Buffer
	b.WriteString("#include \"cuda_host.h\"\nextern const ch::Kernel *const standin_kernels[];\n")
	for _, a := range arrays {
		fmt.Fprintf(&b, "extern const ch::Kernel %s[];\n", a)
	}
	b.WriteString("const ch::Kernel *const standin_kernels[] = {\n")
	for _, a := range arrays {
		fmt.Fprintf(&b, "    %s,\n", a)
	}
	b.WriteString("    nullptr,\n};\n")
	return b.Bytes()
}

// here is the directory of this package's sources.
func here() (string, error) {
	_, file, _, ok := runtime.Caller(0)
	if !ok || !filepath.IsAbs(file) {
		return "", fmt.Errorf("the sources of the stand-in are not known: build without -trimpath")
	}
	return filepath.Dir(file), nil
}
