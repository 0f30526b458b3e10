//go:build gpu && !cpu && linux && amd64 && cgo

package cuda

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"vanilla/graph"
	"vanilla/graph/ir"
	"vanilla/internal/conformance"
	"vanilla/internal/cuda/driver"
	"vanilla/internal/store"
	"vanilla/kernels"
)

// careful opens an executor as users have it: classes are tried before they are
// used, and what comes of it is kept in a directory.
func careful(t *testing.T, precision, dir string) *executor {
	t.Helper()
	e := newPrecise(t, precision).(*executor)
	e.trusting, e.proofDir = false, dir
	return e
}

func TestProofProgram(t *testing.T) {
	for _, units := range []int{narrowUnits, wideUnits, 72} {
		p := proofProgram(units, units)
		if err := p.Verify(); err != nil {
			t.Fatal(err)
		}
		if _, err := matchChain(p); err != nil {
			t.Error(err)
		}
	}
}

// Every class agrees with the generic kernel within the tolerance of its precision.
func TestProofs(t *testing.T) {
	for _, precision := range []string{FP32, BF16} {
		e := careful(t, precision, "")
		if got := e.Arithmetic(); strings.Contains(got, "generic") {
			t.Errorf("%s: %s; %s", precision, got, e.Device())
		}
		if want := len(classes(precision)); len(e.proofs) != want {
			t.Errorf("%s: %d classes were tried, want %d", precision, len(e.proofs), want)
		}
	}
}

// A class that differs is not used: its networks train by a streaming kernel, and if
// that differs too, by the generic one. The arithmetic says so, and so does the
// device's name.
func TestRefusedClass(t *testing.T) {
	p := chain(t, ir.Sigmoid, graph.CrossEntropy, 784, 16, 10)
	sgd := kernels.Optimizer{Name: "sgd"}
	dir := t.TempDir()
	e := careful(t, BF16, dir)
	lines, err := e.Explain(p, sgd)
	if text := strings.Join(lines, "\n"); err != nil || !strings.Contains(text, "class resident_bf16_0") {
		t.Fatalf("%s, %v", text, err)
	}
	resident, streaming := class{units: narrowUnits, precision: BF16}, class{precision: BF16, stream: true}
	if kept := keptProof(t, dir, resident); kept.Failure != "" {
		t.Fatalf("%+v", kept)
	}

	keptProof(t, dir, resident, func(p *proof) { p.Failure = "it differs" })
	e = careful(t, BF16, dir)
	if got := e.Arithmetic(); !strings.HasSuffix(got, ", without resident_bf16_0") {
		t.Errorf("the arithmetic is %q", got)
	}
	if got := e.Device(); !strings.HasSuffix(got, "; a streaming kernel in its place: on device 0 it differs") {
		t.Errorf("the device is %q", got)
	}
	lines, err = e.Explain(p, sgd)
	if text := strings.Join(lines, "\n"); err != nil || !strings.Contains(text, "class stream_bf16_0") || !strings.HasSuffix(text, "no resident one, because on device 0 it differs") {
		t.Errorf("%s, %v", text, err)
	}
	v := conformance.Variant(p, 32)
	v.Optimizer = sgd
	q := prepare(t, e, conformance.Data(p, 40), v)
	if err := q.Advance(t.Context(), []int{2}, nil); err != nil || q.(*population).nets[0].class != streaming {
		t.Errorf("its class is %s, %v", q.(*population).nets[0].class, err)
	}
	if err := q.Close(); err != nil {
		t.Error(err)
	}

	keptProof(t, dir, streaming, func(p *proof) { p.Failure = "it is another one" })
	e = careful(t, BF16, dir)
	if got := e.Arithmetic(); !strings.HasSuffix(got, ", without resident_bf16_0, stream_bf16_0") {
		t.Errorf("the arithmetic is %q", got)
	}
	if got := e.Device(); !strings.HasSuffix(got, "; the generic kernel in its place: on device 0 it differs; the generic kernel in its place: on device 0 it is another one") {
		t.Errorf("the device is %q", got)
	}
	lines, err = e.Explain(p, sgd)
	if text := strings.Join(lines, "\n"); err != nil || !strings.HasPrefix(text, "the generic kernel, because on device 0 it is another one") {
		t.Errorf("%s, %v", text, err)
	}
	c, _, why, err := e.classOf(wanted{program: p, optimizer: sgd, batch: 32, examples: 100})
	if !c.generic() || why == nil || err != nil {
		t.Errorf("its class is %s, %v, %v", c, why, err)
	}

	keptProof(t, dir, resident, func(p *proof) { p.Image = "another" })
	if why, err := careful(t, BF16, dir).refused(resident); why != nil || err != nil {
		t.Errorf("with another image's proof it is refused: %v, %v", why, err)
	}
}

// keptProof is what is kept of a class, and keeps it as the changes make it.
func keptProof(t *testing.T, dir string, c class, changes ...func(*proof)) proof {
	t.Helper()
	files, err := filepath.Glob(filepath.Join(dir, "*.json"))
	if err != nil {
		t.Fatal(err)
	}
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		var kept proof
		if err := store.DecodeObject(text, &kept); err != nil {
			t.Fatal(err)
		}
		if kept.Class != c.String() {
			continue
		}
		for _, change := range changes {
			change(&kept)
			if text, err = store.EncodeObject(kept); err == nil {
				err = os.WriteFile(file, text, 0o644)
			}
			if err != nil {
				t.Fatal(err)
			}
		}
		return kept
	}
	t.Fatalf("no proof of %s is kept in %q", c, files)
	return proof{}
}

// Classes are tried in one context, until one fails there: the next one has a new one.
func TestTrialsShareContext(t *testing.T) {
	onlyStandIn(t)
	d := careful(t, FP32, "").gpus[0].device
	var shared trials
	defer shared.close()
	try := func(slots int) (*gpu, proof) {
		t.Helper()
		p, err := prove(&shared, d, class{units: narrowUnits, precision: FP32, slots: slots}, "")
		if err != nil {
			t.Fatal(err)
		}
		return shared.gpus[d.Index], p
	}
	first, p := try(0)
	second, q := try(1)
	if p.Failure != "" || q.Failure != "" || first == nil || second != first {
		t.Errorf("the first two came to %q and %q, in one context: %v", p.Failure, q.Failure, first == second)
	}
	shared.close()
	t.Setenv("VANILLA_STANDIN_FAIL", "launch:1:719")
	if g, p := try(0); g != nil || !strings.Contains(p.Failure, "failed when it was tried") {
		t.Errorf("a class that breaks its context came to %q, and the context is kept: %v", p.Failure, g != nil)
	}
	t.Setenv("VANILLA_STANDIN_FAIL", "")
	if g, p := try(1); g == nil || p.Failure != "" {
		t.Errorf("the next one came to %q", p.Failure)
	}
}

// A class that breaks the device when it is tried takes nothing with it: the trial
// has a context of its own.
func TestBrokenTrial(t *testing.T) {
	onlyStandIn(t)
	e := careful(t, FP32, "")
	t.Setenv("VANILLA_STANDIN_FAIL", "launch:1:719")
	why, err := e.refused(class{units: narrowUnits, precision: FP32})
	if err != nil || why == nil || !strings.Contains(why.Error(), "failed when it was tried") {
		t.Errorf("%v, %v", why, err)
	}
	t.Setenv("VANILLA_STANDIN_FAIL", "alloc:1:2")
	if _, err := e.refused(class{units: narrowUnits, precision: FP32, slots: 1}); err == nil || !strings.Contains(err.Error(), "out of memory") {
		t.Errorf("without memory for a trial: %v", err)
	}
	t.Setenv("XDG_CACHE_HOME", t.TempDir())
	if d := e.gpus[0].device; driverVersion(d) == "" || proofDirectory(d) != "" || proofDirectory(driver.Device{}) == "" {
		t.Errorf("the driver is %q, proofs are in %q", driverVersion(d), proofDirectory(d))
	}
}
