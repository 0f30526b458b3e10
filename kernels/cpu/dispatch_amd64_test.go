//go:build amd64 && !purego

package cpu

import (
	"reflect"
	"runtime"
	"slices"
	"testing"

	x86 "golang.org/x/sys/cpu"
)

// TestDispatch: each set is chosen where the processor has what it needs, and
// not where one thing is missing.
func TestDispatch(t *testing.T) {
	has := x86.X86
	defer func() { x86.X86 = has }()
	all := func() {
		x := &x86.X86
		x.HasAVX2, x.HasFMA, x.HasBMI1, x.HasPOPCNT = true, true, true, true
		x.HasAVX512F, x.HasAVX512DQ, x.HasAVX512BW, x.HasAVX512VL = true, true, true, true
	}
	for _, c := range []struct {
		without func()
		want    []*routines
	}{
		{func() {}, []*routines{&avx512, &avx2, &portable}},
		{func() { x86.X86.HasAVX512F = false }, []*routines{&avx2, &portable}},
		{func() { x86.X86.HasAVX512DQ = false }, []*routines{&avx2, &portable}},
		{func() { x86.X86.HasAVX512BW = false }, []*routines{&avx2, &portable}},
		{func() { x86.X86.HasAVX512VL = false }, []*routines{&avx2, &portable}},
		{func() { x86.X86.HasFMA = false }, []*routines{&portable}},
		{func() { x86.X86.HasBMI1 = false }, []*routines{&portable}},
		{func() { x86.X86.HasPOPCNT = false }, []*routines{&portable}},
		{func() { x86.X86.HasAVX2 = false }, []*routines{&portable}},
	} {
		all()
		c.without()
		if got := available(); !slices.Equal(got, c.want) {
			t.Errorf("%d sets, want %d, the first being %s", len(got), len(c.want), c.want[0].name)
		}
	}
}

// TestRoutines: no set lacks a routine, whether this processor runs it or not.
func TestRoutines(t *testing.T) {
	for _, set := range []*routines{&avx512, &avx2, &portable} {
		for field, v := range reflect.ValueOf(*set).Fields() {
			if v.IsZero() {
				t.Errorf("%s has no %s", set.name, field.Name)
			}
		}
	}
}

// TestDenormals: kernels are not slowed down by numbers that are denormal, in
// assembly nor in Go, and leave the thread as it was.
func TestDenormals(t *testing.T) {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	for _, r := range available() {
		if r == &portable {
			continue
		}
		w, small := []float32{1e-20, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1}, []float32{1e-20, 1e-20}
		m := &machine{routines: r}
		m.run([]func(){
			func() { r.scale(w, 1e-20) },
			func() { small[0] *= small[1] },
		})
		if w[0] != 0 || small[0] != 0 {
			t.Errorf("%s: 1e-20 · 1e-20 is %v, in Go %v, want 0", r.name, w[0], small[0])
		}
		if small[1]*small[1] == 0 {
			t.Errorf("%s: 1e-20 · 1e-20 is 0 afterwards", r.name)
		}
	}
}
