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
	"crypto/sha256"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"runtime"
	"slices"
	"strings"
	"sync"
	"time"
)

// flags compile kernels like a GPU's compiler, which fuses products into sums; a
// wrong index, alignment or overflow is a signal that ends the launch.
var flags = []string{
	"-std=c++17", "-O2", "-fPIC", "-pthread", "-Wall", "-Wextra", "-Werror", "-Wno-unknown-pragmas",
	"-mavx2", "-mfma", "-mtls-dialect=gnu2", "-ffp-contract=fast", "-fno-strict-aliasing",
	"-fsanitize=alignment,bounds-strict,shift,integer-divide-by-zero,signed-integer-overflow,null", "-fsanitize-undefined-trap-on-error",
}

// Races is whether Build's library reports accesses of two threads that nothing
// orders, so that the launch fails: VANILLA_STANDIN_RACE is 1.
func Races() bool { return os.Getenv("VANILLA_STANDIN_RACE") == "1" }

// Build returns the path of the library: the value for VANILLA_LIBCUDA. It has the
// kernels of all .cu files in a directory, "" for kernels/cuda. Compiling takes g++ several seconds; .cache/standin
// keeps the result for the next who asks with the same sources. It fails with the
// compiler's words.
func Build(kernels string) (string, error) { return buildLibrary(kernels, Races()) }

// BuildRaces is Build with the race checker.
func BuildRaces(kernels string) (string, error) { return buildLibrary(kernels, true) }

func buildLibrary(kernels string, races bool) (string, error) {
	here, err := here()
	if err != nil {
		return "", err
	}
	root := filepath.Join(here, "../../..")
	ours := filepath.Join(root, "kernels/cuda")
	if kernels == "" {
		kernels = ours
	}
	cache := filepath.Join(root, ".cache")
	headers := filepath.Join(cache, "cuda/nvidia/cuda_runtime/include")
	if _, err := os.Stat(filepath.Join(headers, "cuda.h")); err != nil {
		return "", fmt.Errorf("the stand-in needs cuda.h, which make cuda installs: %w", err)
	}
	key, err := key(races, filepath.Join(here, "*.go"), filepath.Join(here, "src/*"), filepath.Join(kernels, "*.cu"), filepath.Join(kernels, "*.cuh"),
		filepath.Join(ours, "requirements.txt"))
	if err != nil {
		return "", err
	}
	name := filepath.Base(kernels)
	if races {
		name += "-races"
	}
	library := filepath.Join(cache, "standin", name+"-"+key+".so")
	now := time.Now()
	if err := os.Chtimes(library, now, now); err == nil { // nobody prunes what is in use
		return library, nil
	}
	if err := os.MkdirAll(filepath.Dir(library), 0o755); err != nil {
		return "", err
	}
	prune(filepath.Dir(library))
	dir, err := os.MkdirTemp(filepath.Dir(library), "build")
	if err != nil {
		return "", err
	}
	defer os.RemoveAll(dir)
	built, err := build(dir, here, kernels, headers, races)
	if err != nil {
		return "", err
	}
	return library, os.Rename(built, library)
}

// key is a hash of what the library is made of: the compiler, its flags, and the
// files that the patterns match.
func key(races bool, patterns ...string) (string, error) {
	version, err := exec.Command("g++", "--version").Output()
	if err != nil {
		return "", fmt.Errorf("the stand-in needs g++: %w", err)
	}
	h := sha256.New()
	fmt.Fprintln(h, string(version), flags, races)
	for _, pattern := range patterns {
		files, err := filepath.Glob(pattern)
		if err != nil {
			return "", err
		}
		for _, file := range files {
			text, err := os.ReadFile(file)
			if err != nil {
				return "", err
			}
			fmt.Fprintf(h, "%s %d\n%s", filepath.Base(file), len(text), text)
		}
	}
	return fmt.Sprintf("%x", h.Sum(nil)[:12]), nil
}

// prune removes libraries that nobody has asked for, and what is left of builds, for more than a day.
func prune(dir string) {
	entries, _ := os.ReadDir(dir)
	for _, e := range entries {
		if info, err := e.Info(); err == nil && time.Since(info.ModTime()) > 24*time.Hour {
			os.RemoveAll(filepath.Join(dir, e.Name()))
		}
	}
}

// build compiles the library into dir.
func build(dir, here, kernels, headers string, races bool) (string, error) {
	sources, err := filepath.Glob(filepath.Join(kernels, "*.cu"))
	if err != nil {
		return "", err
	}
	units := []string{filepath.Join(here, "src/cuda_host.cpp"), filepath.Join(here, "src/libcuda.cpp")}
	if races {
		units = append(units, filepath.Join(here, "src/clocks.cpp"))
	}
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
	return link(dir, append(units, file), races, "-I"+filepath.Join(here, "src"), "-I"+kernels, "-isystem", headers)
}

// link compiles the files, as many at a time as there are cores, and links them.
func link(dir string, units []string, races bool, include ...string) (string, error) {
	objects, errs := make([]string, len(units)), make([]error, len(units))
	var wait sync.WaitGroup
	free := make(chan struct{}, runtime.GOMAXPROCS(0))
	for i, unit := range units {
		objects[i] = filepath.Join(dir, strings.TrimSuffix(filepath.Base(unit), ".cpp")+".o")
		wait.Go(func() {
			free <- struct{}{}
			args := slices.Concat(include, []string{"-c", "-o", objects[i], unit})
			if races {
				args = append(args, "-DCUDA_RACE", "-g")
				if strings.HasPrefix(filepath.Base(unit), "kernels") {
					args = append(args, "-fsanitize=thread", "-O1")
				}
			}
			errs[i] = compile(args...)
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
