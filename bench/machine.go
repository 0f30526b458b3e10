package bench

import (
	"regexp"
	"runtime"
	"runtime/debug"
	"strings"

	"vanilla/kernels/device"
)

// Machine is where a result was measured. Results of different machines are
// not to be compared.
type Machine struct {
	CPU      string   `json:"cpu"`
	Features []string `json:"features"` // instruction sets that matter here
	Cores    int      `json:"cores"`    // GOMAXPROCS
	OS       string   `json:"os"`
	Arch     string   `json:"arch"`
	Go       string   `json:"go"`
}

// ThisMachine describes the machine that the process runs on.
func ThisMachine() Machine {
	m := Machine{Cores: runtime.GOMAXPROCS(0), OS: runtime.GOOS, Arch: runtime.GOARCH, Go: runtime.Version()}
	m.CPU, m.Features = device.Processor()
	return m
}

var notInNames = regexp.MustCompile(`[^a-z0-9]+`)

// Slug names the machine in files' names: amd-epyc-avx2.
func (m Machine) Slug() string {
	name := regexp.MustCompile(`\(\w+\)|(?i:processor|cpu @ [0-9.]+ghz|[0-9]+-core)`).ReplaceAllString(m.CPU, " ")
	return strings.Trim(notInNames.ReplaceAllString(strings.ToLower(name+" "+m.widest()), "-"), "-")
}

// String is the machine in short: AMD EPYC, AVX2.
func (m Machine) String() string {
	return short(m.CPU) + ", " + strings.Replace(m.widest(), "AVX512", "AVX-512", 1)
}

// short leaves out of a processor's name what says nothing.
func short(name string) string {
	return strings.Join(strings.Fields(regexp.MustCompile(`\(\w+\)| Processor\b`).ReplaceAllString(name, "")), " ")
}

// widest is the widest of the machine's vectors, AVX2 or the like.
func (m Machine) widest() string {
	for _, set := range []struct{ found, name string }{{"avx512", "AVX512"}, {"avx2", "AVX2"}, {"sve", "SVE"}, {"neon", "NEON"}} {
		for _, f := range m.Features {
			if strings.HasPrefix(notInNames.ReplaceAllString(strings.ToLower(f), ""), set.found) {
				return set.name
			}
		}
	}
	return m.Arch
}

// Revision is the commit that the binary was built from, with "+" if the tree
// had changes, or "unknown" if Go did not record it.
func Revision() string {
	info, ok := debug.ReadBuildInfo()
	if !ok {
		return "unknown"
	}
	revision, changed := "unknown", ""
	for _, s := range info.Settings {
		switch s.Key {
		case "vcs.revision":
			revision = s.Value[:min(12, len(s.Value))]
		case "vcs.modified":
			if s.Value == "true" {
				changed = "+"
			}
		}
	}
	return revision + changed
}
