// Command compile compiles the kernels of kernels/cuda into internal/cuda/image
// (make kernels). With -check it compiles them elsewhere and fails unless
// everything comes out byte for byte as it is committed (make check-kernels). With
// -lines it compiles one source for an H100 with the table of its lines, which the
// model of the kernels' time reads (make model).
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
	"runtime"
	"slices"
	"strings"
	"sync"
	"text/tabwriter"

	"vanilla/internal/cuda/image"
)

// How machine code is made. Drivers before 580 know no code of CUDA 13's assembler
// (ELF ABI 8). So CUDA 13's compiler makes PTX, which CUDA 12.8's assembler makes
// machine code of: of ABI 7 for architectures that driver 525 knows, and of the
// first ABI that there was for Blackwell, which driver 570 knows.
var (
	compilerFlags  = []string{"-O3", "-std=c++17", "-Werror", "all-warnings"}
	assemblerFlags = []string{"-O3", "-v"}
)

// target is an architecture with machine code of its own.
type target struct {
	arch string // of the GPU
	from string // of the PTX
	// small: a multiprocessor has 100 KB of shared memory, in which one block of a
	// resident kernel fits. These need not leave registers for a second one.
	small bool
}

// targets are Turing, Ampere in data centers and in desktops, Ada, Hopper, and
// Blackwell in data centers and in desktops.
var targets = []target{
	{"75", "75", false}, {"80", "80", false}, {"86", "80", true}, {"89", "80", true}, {"90", "90", false},
	{"100", "90", false}, {"120", "90", true},
}

// newest is the PTX in the image, which the drivers of newer GPUs compile.
const newest = "90"

var (
	compilersVersion = regexp.MustCompile(`(?m)^\.version 9\.0$`)
	unknownHint      = regexp.MustCompile(`(?m)^\s*\.pragma "used_bytes_mask [^"]*";\n`)
	twoBlocks        = regexp.MustCompile(`(?m)^(\.visible \.entry kernel_resident_\w+\([^)]*\)\n\.maxntid [^\n]*\n)\.minnctapersm 2\n`)
)

// adapt makes PTX that CUDA 12.8's assembler reads: of its own version, and without
// hints that it does not know.
func adapt(ptx []byte) ([]byte, error) {
	if n := len(compilersVersion.FindAll(ptx, -1)); n != 1 {
		return nil, fmt.Errorf("the PTX names version 9.0 %d times, want once", n)
	}
	ptx = compilersVersion.ReplaceAll(ptx, []byte(".version 8.7"))
	return unknownHint.ReplaceAll(ptx, nil), nil
}

func main() {
	nvcc := flag.String("nvcc", ".cache/cuda/nvidia/cu13/bin/nvcc", "the CUDA `compiler`")
	ptxas := flag.String("ptxas", ".cache/cuda/nvidia/cuda_nvcc/bin/ptxas", "the `assembler` of CUDA 12.8")
	dir := flag.String("dir", "kernels/cuda", "`directory` of the .cu files")
	to := flag.String("to", "internal/cuda/image", "`directory` of the results")
	check := flag.Bool("check", false, "compare with what is there instead of replacing it")
	lines := flag.String("lines", "", "compile only this `source` of -dir, for sm_90 and with the table of its lines, to the file that -to names")
	flag.Parse()
	if *lines != "" {
		if err := withLines(tools{*nvcc, *ptxas}, filepath.Join(*dir, *lines), *to); err != nil {
			fmt.Fprintln(os.Stderr, "compile:", err)
			os.Exit(1)
		}
		return
	}
	if err := run(*nvcc, *ptxas, *dir, *to, *check); err != nil {
		fmt.Fprintln(os.Stderr, "compile:", err)
		os.Exit(1)
	}
}

func run(nvcc, ptxas, dir, to string, check bool) error {
	scratch, err := os.MkdirTemp("", "kernels")
	if err != nil {
		return err
	}
	defer os.RemoveAll(scratch)
	made, err := compile(tools{nvcc, ptxas}, dir, scratch)
	if err != nil {
		return err
	}
	if check {
		return compare(made, to)
	}
	old, err := filepath.Glob(filepath.Join(to, "*"+image.Packed))
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

// tools are the paths of the compiler, beside which is what packs fatbins, and of the
// assembler.
type tools struct{ nvcc, ptxas string }

func (t tools) fatbinary() string { return filepath.Join(filepath.Dir(t.nvcc), "fatbinary") }

// version is the last line of what a tool says of itself.
func version(tool string) (string, error) {
	text, err := exec.Command(tool, "--version").Output()
	if err != nil {
		return "", fmt.Errorf("%s: %w (make cuda installs it)", tool, err)
	}
	lines := strings.Split(strings.TrimSpace(string(text)), "\n")
	return strings.TrimPrefix(lines[len(lines)-1], "Build "), nil
}

// say runs a tool and returns its words.
func say(tool string, args ...string) (string, error) {
	out, err := exec.Command(tool, args...).CombinedOutput()
	if err != nil {
		return "", fmt.Errorf("%s %s: %w\n%s", filepath.Base(tool), strings.Join(args, " "), err, out)
	}
	return string(out), nil
}

// each calls f for all numbers below n, as many at a time as there are cores.
func each(n int, f func(i int) error) error {
	errs := make([]error, n)
	free := make(chan struct{}, runtime.GOMAXPROCS(0))
	var wait sync.WaitGroup
	for i := range n {
		wait.Go(func() {
			free <- struct{}{}
			errs[i] = f(i)
			<-free
		})
	}
	wait.Wait()
	return errors.Join(errs...)
}

// toPTX compiles a source.
func (t tools) toPTX(source, arch, to string, more ...string) error {
	if _, err := say(t.nvcc, slices.Concat(compilerFlags, more, []string{"-ptx", "-arch=compute_" + arch, "-o", to, source})...); err != nil {
		return err
	}
	text, err := os.ReadFile(to)
	if err == nil {
		text, err = adapt(text)
	}
	if err != nil {
		return fmt.Errorf("%s: %w", source, err)
	}
	return os.WriteFile(to, text, 0o644)
}

// assemble makes machine code of PTX, and returns what the assembler says of it.
func (t tools) assemble(ptx string, g target, to string, more ...string) (string, error) {
	if g.small {
		text, err := os.ReadFile(ptx)
		if err != nil {
			return "", err
		}
		ptx = to + ".ptx"
		if err := os.WriteFile(ptx, twoBlocks.ReplaceAll(text, []byte("$1")), 0o644); err != nil {
			return "", err
		}
	}
	return say(t.ptxas, slices.Concat(assemblerFlags, more, []string{"-arch=sm_" + g.arch, "-o", to, ptx})...)
}

// withLines writes a source's code for an H100 as it is in the image, but with the
// table of its lines.
func withLines(t tools, source, to string) error {
	const more = "-lineinfo"
	ptx := to + ".ptx"
	if err := t.toPTX(source, "90", ptx, more); err != nil {
		return err
	}
	defer os.Remove(ptx)
	_, err := t.assemble(ptx, target{arch: "90"}, to, more)
	return err
}

// compile returns the files that belong into the image directory, by name.
func compile(t tools, dir, scratch string) (map[string][]byte, error) {
	var versions []string
	for _, tool := range []string{t.nvcc, t.ptxas} {
		v, err := version(tool)
		if err != nil {
			return nil, err
		}
		versions = append(versions, filepath.Base(tool)+" "+v)
	}
	hash, err := image.Hash(dir)
	if err != nil {
		return nil, err
	}
	names, err := image.Kernels(dir)
	if err != nil {
		return nil, err
	}
	ptx := func(name, arch string) string { return filepath.Join(scratch, name+"."+arch+".ptx") }
	cubin := func(name, arch string) string { return filepath.Join(scratch, name+"."+arch+".cubin") }

	var sources []string // of PTX
	for _, g := range targets {
		if !slices.Contains(sources, g.from) {
			sources = append(sources, g.from)
		}
	}
	err = each(len(names)*len(sources), func(i int) error {
		name, arch := names[i/len(sources)], sources[i%len(sources)]
		return t.toPTX(filepath.Join(dir, name+".cu"), arch, ptx(name, arch))
	})
	if err != nil {
		return nil, err
	}
	words := make([]string, len(names)*len(targets))
	err = each(len(words), func(i int) (err error) {
		name, g := names[i/len(targets)], targets[i%len(targets)]
		words[i], err = t.assemble(ptx(name, g.from), g, cubin(name, g.arch))
		return err
	})
	if err != nil {
		return nil, err
	}
	made := map[string][]byte{}
	var rows []usage
	stamp := image.Stamp{Compiler: strings.Join(versions, ", "), Flags: describe(), Sources: hash, Images: map[string]string{}}
	for i, name := range names {
		var args []string
		for k, g := range targets {
			args = append(args, fmt.Sprintf("--image3=kind=elf,sm=%s,file=%s", g.arch, cubin(name, g.arch)))
			used, err := usages(words[i*len(targets)+k])
			if err != nil {
				return nil, fmt.Errorf("%s.cu: %w", name, err)
			}
			rows = append(rows, used...)
		}
		args = append(args, fmt.Sprintf("--image3=kind=ptx,sm=%s,file=%s", newest, ptx(name, newest)))
		fatbin := filepath.Join(scratch, name+".fatbin")
		if _, err := say(t.fatbinary(), slices.Concat([]string{"-64", "--compress=false", "--create=" + fatbin}, args)...); err != nil {
			return nil, err
		}
		code, err := os.ReadFile(fatbin)
		if err != nil {
			return nil, err
		}
		stamp.Images[name+".fatbin"] = image.HashBytes(code)
		if made[name+image.Packed], err = image.Pack(code); err != nil {
			return nil, err
		}
	}
	made[image.StampFile] = []byte(stamp.String())
	made[image.ResourcesFile] = table(rows)
	return made, nil
}

// describe says how everything is compiled, for the stamp.
func describe() string {
	text := strings.Join(compilerFlags, " ") + "; " + strings.Join(assemblerFlags, " ") + ";"
	for _, g := range targets {
		text += " sm_" + g.arch
	}
	return text + "; PTX compute_" + newest
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

// compare fails unless dir holds the same files with the same bytes, packed ones as
// they are unpacked: how well they are packed depends on the packer's version.
func compare(made map[string][]byte, dir string) error {
	var differ []string
	for name, content := range made {
		there, err := os.ReadFile(filepath.Join(dir, name))
		if err != nil && !errors.Is(err, os.ErrNotExist) {
			return err
		}
		if err == nil && strings.HasSuffix(name, image.Packed) {
			there, err = image.Unpack(there)
			if err != nil {
				return fmt.Errorf("%s: %w", name, err)
			}
			if content, err = image.Unpack(content); err != nil {
				return err
			}
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
	files, err := filepath.Glob(filepath.Join(dir, "*"+image.Packed))
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
