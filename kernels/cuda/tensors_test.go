//go:build gpu && !cpu && linux && amd64 && cgo

package cuda

import (
	"fmt"
	"math"
	"strings"
	"testing"

	"vanilla/graph/ir"
	"vanilla/internal/conformance"
	"vanilla/kernels"
	"vanilla/kernels/ref"
)

func equalBits(a, b float32) bool {
	return math.Float32bits(a) == math.Float32bits(b) || a == 0 && b == 0 || a != a && b != b
}

// Every function of maps is what package ir defines, for numbers that are none too.
func TestFunctions(t *testing.T) {
	e := newExecutor(t)
	inf := float32(math.Inf(1))
	a := append(conformance.Numbers(300, 1), 0, inf, -inf, float32(math.NaN()), 1, -1, 80, -80, 1e-30)
	b := append(conformance.Numbers(300, 2), 0, 1, inf, 2, float32(math.NaN()), -inf, 0.5, 3, 1e30)
	n := []int{len(a)}
	for _, f := range ir.MapFunctions() {
		line, define := fmt.Sprintf("g = map %s A", f), func(i int) float64 { return f.Unary()(float64(a[i])) }
		if f.Binary() != nil {
			line, define = line+" B", func(i int) float64 { return f.Binary()(float64(a[i]), float64(b[i])) }
		}
		got := conformance.Computed(t, e, conformance.Shown(t, n, n, n, line), 1, a, b)
		for i := range a {
			want := -float32(define(i))
			if d := math.Abs(float64(got[i] - want)); !equalBits(got[i], want) && !(d <= 4e-6*math.Abs(float64(want))+1e-37) {
				t.Errorf("%s(%g, %g) is %g, want %g", f, a[i], b[i], -got[i], -want)
			}
		}
	}
}

// What a byte means is exactly a division by 255.
func TestPixels(t *testing.T) {
	p, err := ir.Parse(`program "pixels"
input x[B,256]
target y[B,2]
param G[256] grad g
forward
part[B,2] = slice x axes=1 ints=0,2,1
out[B,2] = map mul part y
loss = reduce sum out axes=0,1
gradients
g[256] = reduce max x axes=0
output out
loss loss`)
	if err != nil {
		t.Fatal(err)
	}
	v := conformance.Variant(p, 1)
	v.Optimizer, v.Schedule = kernels.Optimizer{Name: "sgd"}, kernels.Schedule{LR: 1, Name: "constant"}
	data := kernels.Data{Train: kernels.Examples{Pixels: make([]byte, 256), Labels: []byte{0}, Features: 256}, Classes: 2}
	for i := range data.Train.Pixels {
		data.Train.Pixels[i] = byte(i)
	}
	q := prepare(t, newExecutor(t), data, v)
	if err := q.Restore(0, kernels.State{Params: [][]float32{make([]float32, 256)}}); err != nil {
		t.Fatal(err)
	}
	if err := q.Advance(t.Context(), []int{1}, nil); err != nil {
		t.Fatal(err)
	}
	for i, got := range states(t, q, 1)[0].Params[0] {
		if want := float32(i) / 255; -got != want {
			t.Errorf("pixel %d is %g, want %g", i, -got, want)
		}
	}
}

// Random numbers are those of kernels.Noise, bit for bit, at every step.
func TestRandom(t *testing.T) {
	e := newExecutor(t)
	for _, line := range []string{"keep draw=0.7,0", "uniform draw=-0.25,3", "gauss draw=0.5,2"} {
		p := conformance.Shown(t, []int{2}, []int{2}, []int{1003}, "g = random "+line)
		got, want := conformance.Computed(t, e, p, 3, nil, nil), conformance.Computed(t, ref.New(), p, 3, nil, nil)
		for i := range want {
			if !equalBits(got[i], want[i]) {
				t.Errorf("%s: element %d is %g, want %g", line, i, got[i], want[i])
				break
			}
		}
		if want[0] == want[1] && want[1] == want[2] {
			t.Errorf("%s: the reference draws nothing", line)
		}
	}
}

// A gradient may be a view of a parameter: of what it is before the step.
func TestSharedGradients(t *testing.T) {
	p, err := ir.Parse(`program "shared"
input x[B,2]
target y[B,2]
param A[40] grad dA
param B[2] grad dB
param G[40] grad g
forward
out[B,2] = map mul x y
loss = reduce sum out axes=0,1
gradients
dA[40] = const value=1
dB[2] = map sub B B
g[40] = reshape A
output out
loss loss`)
	if err != nil {
		t.Fatal(err)
	}
	e := newExecutor(t)
	got, want := conformance.Computed(t, e, p, 3, conformance.Numbers(40, 1), nil), conformance.Computed(t, ref.New(), p, 3, conformance.Numbers(40, 1), nil)
	for i := range want {
		if got[i] != want[i] {
			t.Fatalf("number %d is %g, want %g", i, got[i], want[i])
		}
	}
}

// Each tensor operation on operands of every kind: parameters, values, and views of
// them. Sums may be added in another order than the reference's where exact is false.
func TestTensorOperations(t *testing.T) {
	e := newExecutor(t)
	var long []string // many values that wait for each other
	for i := range 12 {
		long = append(long, fmt.Sprintf("u%d[60] = map add A B", i), fmt.Sprintf("v%d[60] = map mul u%d A", i, i))
	}
	long = append(long, "w0[60] = map add v0 v1")
	for i := 2; i < 12; i++ {
		long = append(long, fmt.Sprintf("w%d[60] = map sub w%d v%d", i-1, i-2, i))
	}
	var waiting [2][]string // as many as there are slots, and more
	for k, n := range []int{mapSlots - 1, mapSlots + 2} {
		for i := range n {
			f := []string{"square A", "neg B", "abs A", "sign B", "max A B", "ceil B", "floor A", "add A B", "sub B A"}[i]
			waiting[k] = append(waiting[k], fmt.Sprintf("u%d[60] = map %s", i, f))
		}
		waiting[k] = append(waiting[k], "w0[60] = map sub u0 u1")
		for i := 2; i < n; i++ {
			waiting[k] = append(waiting[k], fmt.Sprintf("w%d[60] = map sub u%d w%d", i-1, i, i-2))
		}
		waiting[k] = append(waiting[k], fmt.Sprintf("g = map mul w%d w0", n-2))
	}
	for _, c := range append(conformance.TensorOperations(), []conformance.TensorOperation{
		{Name: "many maps", A: []int{1, 60}, B: []int{1, 60}, G: []int{1, 60}, Exact: true, Lines: append(long, "g = map add w10 u3")},
		{Name: "values that wait", A: []int{1, 60}, B: []int{1, 60}, G: []int{1, 60}, Exact: true, Lines: waiting[0]},
		{Name: "values that wait for slots", A: []int{1, 60}, B: []int{1, 60}, G: []int{1, 60}, Exact: true, Lines: waiting[1]},
	}...) {
		p := conformance.Shown(t, c.A, c.B, c.G, c.Lines...)
		for _, nan := range []bool{false, true} {
			a, b := conformance.Numbers(ir.Elements(c.A), 3), conformance.Numbers(ir.Elements(c.B), 4)
			if strings.Contains(c.Name, "pool") { // with equals in a window
				for i := range a {
					a[i] = float32(math.Round(float64(a[i])))
				}
			}
			if nan { // it spreads as the reference has it
				a[len(a)/2], a[1] = float32(math.NaN()), float32(math.Inf(-1))
			}
			got, want := conformance.Computed(t, e, p, 1, a, b), conformance.Computed(t, ref.New(), p, 1, a, b)
			for i := range want {
				tolerance := conformance.TensorTolerance * (1 + math.Abs(float64(want[i])))
				if c.Exact && strings.Contains(fmt.Sprint(c.Lines), "exp") {
					tolerance = 1e-6 * math.Abs(float64(want[i])) // not exactly the reference's function
				} else if c.Exact {
					tolerance = 0
				}
				if d := math.Abs(float64(got[i] - want[i])); !equalBits(got[i], want[i]) && !(d <= tolerance) {
					t.Errorf("%s: element %d is %g, want %g", c.Name, i, -got[i], -want[i])
					break
				}
			}
		}
	}
}
