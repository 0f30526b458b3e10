// Command compile compiles the kernels of kernels/cuda into internal/cuda/image
// (make kernels). With -check it compiles them elsewhere and fails unless
// everything comes out byte for byte as it is committed (make check-kernels).
package main

import (
	"bytes"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"
	"text/tabwriter"

	"vanilla/internal/cuda/image"
)

// flags compile for Turing, for Ampere and Ada, and for Hopper; and to PTX, which
// the drivers of newer GPUs compile.
var flags = []string{
	"-fatbin", "-O3", "-std=c++17", "-Werror", "all-warnings", "-Xptxas", "-v",
	"-gencode", "arch=compute_75,code=sm_75",
	"-gencode", "arch=compute_80,code=sm_80",
	"-gencode", "arch=compute_90a,code=sm_90a",
	"-gencode", "arch=compute_90,code=compute_90",
}

func main() {
	nvcc := flag.String("nvcc", ".cache/cuda/nvidia/cu13/bin/nvcc", "the CUDA `compiler`")
	dir := flag.String("dir", "kernels/cuda", "`directory` of the .cu files")
	to := flag.String("to", "internal/cuda/image", "`directory` of the results")
	check := flag.Bool("check", false, "compare with what is there instead of replacing it")
	flag.Parse()
	if err := run(*nvcc, *dir, *to, *check); err != nil {
		fmt.Fprintln(os.Stderr, "compile:", err)
		os.Exit(1)
	}
}

func run(nvcc, dir, to string, check bool) error {
	nvcc, err := filepath.Abs(nvcc)
	if err != nil {
		return err
	}
	scratch, err := os.MkdirTemp("", "kernels")
	if err != nil {
		return err
	}
	defer os.RemoveAll(scratch)
	made, err := compile(nvcc, dir, scratch)
	if err != nil {
		return err
	}
	if check {
		return compare(made, to)
	}
	old, err := filepath.Glob(filepath.Join(to, "*.fatbin"))
	if err != nil {
		return err
	}
	for _, file := range old {
		if err := os.Remove(file); err != nil {
			return err
		}
	}
	for name, content := range made {
		if err := os.WriteFile(filepath.Join(to, name), content, 0o644); err != nil {
			return err
		}
	}
	return nil
}

// compile returns the files that belong into the image directory, by name.
func compile(nvcc, dir, scratch string) (map[string][]byte, error) {
	version, err := exec.Command(nvcc, "--version").Output()
	if err != nil {
		return nil, fmt.Errorf("%s: %w (make cuda installs it)", nvcc, err)
	}
	lines := strings.Split(strings.TrimSpace(string(version)), "\n")
	hash, err := image.Hash(dir)
	if err != nil {
		return nil, err
	}
	stamp := image.Stamp{
		Compiler: "nvcc " + strings.TrimPrefix(lines[len(lines)-1], "Build "),
		Flags:    strings.Join(flags, " "),
		Sources:  hash,
		Images:   map[string]string{},
	}
	names, err := image.Kernels(dir)
	if err != nil {
		return nil, err
	}
	words, errs := make([]string, len(names)), make([]error, len(names))
	var wait sync.WaitGroup
	for i, name := range names {
		wait.Go(func() {
			c := exec.Command(nvcc, append(flags, "-o", filepath.Join(scratch, name+".fatbin"), name+".cu")...)
			c.Dir = dir
			out, err := c.CombinedOutput()
			if err != nil {
				errs[i] = fmt.Errorf("nvcc %s.cu: %w\n%s", name, err, out)
			}
			words[i] = string(out)
		})
	}
	wait.Wait()
	if err := errors.Join(errs...); err != nil {
		return nil, err
	}
	made := map[string][]byte{}
	var rows []usage
	for i, name := range names {
		file := name + ".fatbin"
		if made[file], err = os.ReadFile(filepath.Join(scratch, file)); err != nil {
			return nil, err
		}
		if stamp.Images[file], err = image.HashFile(filepath.Join(scratch, file)); err != nil {
			return nil, err
		}
		used, err := usages(words[i])
		if err != nil {
			return nil, fmt.Errorf("%s.cu: %w", name, err)
		}
		rows = append(rows, used...)
	}
	made[image.StampFile] = []byte(stamp.String())
	made[image.ResourcesFile] = table(rows)
	return made, nil
}

// usage is what a kernel takes of a multiprocessor, as ptxas says.
type usage struct {
	kernel, arch                              string
	registers, stack, stores, loads, sharedBy string
}

var (
	entry     = regexp.MustCompile(`Compiling entry function '(\w+)' for '(\w+)'`)
	spills    = regexp.MustCompile(`(\d+) bytes stack frame, (\d+) bytes spill stores, (\d+) bytes spill loads`)
	registers = regexp.MustCompile(`Used (\d+) registers`)
	shared    = regexp.MustCompile(`(\d+) bytes smem`)
)

// usages reads what ptxas -v prints: for each kernel and architecture three lines.
func usages(words string) ([]usage, error) {
	var found []usage
	var u usage
	for line := range strings.Lines(words) {
		if m := entry.FindStringSubmatch(line); m != nil {
			u = usage{kernel: m[1], arch: m[2], sharedBy: "0"}
		}
		if m := spills.FindStringSubmatch(line); m != nil {
			u.stack, u.stores, u.loads = m[1], m[2], m[3]
		}
		if m := registers.FindStringSubmatch(line); m != nil && u.kernel != "" {
			u.registers = m[1]
			if m := shared.FindStringSubmatch(line); m != nil {
				u.sharedBy = m[1]
			}
			if u.stack == "" {
				return nil, fmt.Errorf("ptxas does not say how much %s spills", u.kernel)
			}
			found = append(found, u)
			u = usage{}
		}
	}
	if found == nil {
		return nil, errors.New("ptxas mentions no kernel")
	}
	return found, nil
}

// table is the text of the resources file.
func table(rows []usage) []byte {
	slices.SortFunc(rows, func(a, b usage) int {
		return strings.Compare(a.kernel+" "+a.arch, b.kernel+" "+b.arch)
	})
	var b bytes.Buffer
	b.WriteString("# What kernels take, from ptxas: registers and bytes of stack and spills for each\n# thread, bytes of static shared memory for each block.\n")
	w := tabwriter.NewWriter(&b, 0, 0, 2, ' ', 0)
	fmt.Fprintln(w, "kernel\tarch\tregisters\tstack\tspill_stores\tspill_loads\tstatic_shared")
	for _, r := range rows {
		fmt.Fprintf(w, "%s\t%s\t%s\t%s\t%s\t%s\t%s\n", r.kernel, r.arch, r.registers, r.stack, r.stores, r.loads, r.sharedBy)
	}
	w.Flush()
	return b.Bytes()
}

// compare fails unless dir holds the same files with the same bytes.
func compare(made map[string][]byte, dir string) error {
	var differ []string
	for name, content := range made {
		there, err := os.ReadFile(filepath.Join(dir, name))
		if err != nil && !errors.Is(err, os.ErrNotExist) {
			return err
		}
		switch {
		case err != nil:
			differ = append(differ, name+": missing")
		case !bytes.Equal(there, content) && strings.HasSuffix(name, ".txt"):
			differ = append(differ, fmt.Sprintf("%s: there is\n%swant\n%s", name, there, content))
		case !bytes.Equal(there, content):
			differ = append(differ, name+": other bytes")
		}
	}
	files, err := filepath.Glob(filepath.Join(dir, "*.fatbin"))
	if err != nil {
		return err
	}
	for _, file := range files {
		if made[filepath.Base(file)] == nil {
			differ = append(differ, filepath.Base(file)+": no .cu file")
		}
	}
	if differ == nil {
		return nil
	}
	slices.Sort(differ)
	return fmt.Errorf("%s is not what the sources compile to (make kernels):\n%s", dir, strings.Join(differ, "\n"))
}
