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

// shown is a program whose parameter G of zeros has g for a gradient, and so becomes
// -g in a step of size 1: what the lines compute from parameters A and B.
func shown(t *testing.T, a, b, g []int, lines ...string) *ir.Program {
	t.Helper()
	shape := func(extents []int) string {
		var all []ir.Extent
		for _, n := range extents {
			all = append(all, ir.Fixed(n))
		}
		return ir.Tensor(all...).String()
	}
	text := []string{`program "shown"`, "input x[B,2]", "target y[B,2]", "param A" + shape(a) + " grad dA", "param B" + shape(b) + " grad dB",
		"param G" + shape(g) + " grad g", "forward", "out[B,2] = map mul x y", "loss = reduce sum out axes=0,1", "gradients",
		"dA" + shape(a) + " = map sub A A", "dB" + shape(b) + " = map sub B B"}
	for _, line := range lines {
		text = append(text, strings.ReplaceAll(line, "g =", "g"+shape(g)+" ="))
	}
	text = append(text, "output out", "loss loss")
	p, err := ir.Parse(strings.Join(text, "\n"))
	if err != nil {
		t.Fatalf("%v\n%s", err, strings.Join(text, "\n"))
	}
	return p
}

// computed is what G is after so many steps on an executor.
func computed(t *testing.T, e kernels.Executor, p *ir.Program, steps int, a, b []float32) []float32 {
	t.Helper()
	v := conformance.Variant(p, 4)
	v.Optimizer, v.Schedule = kernels.Optimizer{Name: "sgd"}, kernels.Schedule{StepSize: 1, Name: "constant"}
	q, err := e.Prepare(conformance.Data(p, 5), []kernels.Variant{v})
	if err != nil {
		t.Fatal(err)
	}
	defer q.Close()
	s := v.InitialState()
	copy(s.Params[0], a)
	copy(s.Params[1], b)
	clear(s.Params[2])
	if err := q.Restore(0, s); err != nil {
		t.Fatal(err)
	}
	if err := q.Advance(t.Context(), []int{steps}, nil); err != nil {
		t.Fatal(err)
	}
	return states(t, q, 1)[0].Params[2]
}

// numbers are so many of both signs, whole ones among them.
func numbers(n int, seed uint64) []float32 {
	all := make([]float32, n)
	noise := kernels.NewNoise(&ir.Op{Code: ir.Random, Fn: ir.FnGauss, Draw: [2]float64{0, 2}}, 0, seed)
	noise.Fill(all, 0)
	for i := 0; i < n; i += 5 {
		all[i] = float32(math.Round(float64(all[i])))
	}
	return all
}

func equalBits(a, b float32) bool {
	return math.Float32bits(a) == math.Float32bits(b) || a == 0 && b == 0 || a != a && b != b
}

// Every function of maps is what package ir defines, for numbers that are none too.
func TestFunctions(t *testing.T) {
	e := newExecutor(t)
	inf := float32(math.Inf(1))
	a := append(numbers(300, 1), 0, inf, -inf, float32(math.NaN()), 1, -1, 80, -80, 1e-30)
	b := append(numbers(300, 2), 0, 1, inf, 2, float32(math.NaN()), -inf, 0.5, 3, 1e30)
	n := []int{len(a)}
	for _, f := range ir.MapFunctions() {
		line, define := fmt.Sprintf("g = map %s A", f), func(i int) float64 { return f.Unary()(float64(a[i])) }
		if f.Binary() != nil {
			line, define = line+" B", func(i int) float64 { return f.Binary()(float64(a[i]), float64(b[i])) }
		}
		got := computed(t, e, shown(t, n, n, n, line), 1, a, b)
		for i := range a {
			want := -float32(define(i))
			if d := math.Abs(float64(got[i] - want)); !equalBits(got[i], want) && !(d <= 4e-6*math.Abs(float64(want))+1e-37) {
				t.Errorf("%s(%g, %g) is %g, want %g", f, a[i], b[i], -got[i], -want)
			}
		}
	}
}

// Random numbers are those of kernels.Noise, bit for bit, at every step.
func TestRandom(t *testing.T) {
	e := newExecutor(t)
	for _, line := range []string{"keep draw=0.7,0", "uniform draw=-0.25,3", "gauss draw=0.5,2"} {
		p := shown(t, []int{2}, []int{2}, []int{1003}, "g = random "+line)
		got, want := computed(t, e, p, 3, nil, nil), computed(t, ref.New(), p, 3, nil, nil)
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
	got, want := computed(t, e, p, 3, numbers(40, 1), nil), computed(t, ref.New(), p, 3, numbers(40, 1), nil)
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
	for _, c := range []struct {
		name    string
		a, b, g []int
		exact   bool
		lines   []string
	}{
		{"many maps", []int{1, 60}, []int{1, 60}, []int{1, 60}, true, append(long, "g = map add w10 u3")},
		{"values that wait", []int{1, 60}, []int{1, 60}, []int{1, 60}, true, waiting[0]},
		{"values that wait for slots", []int{1, 60}, []int{1, 60}, []int{1, 60}, true, waiting[1]},
		{"number", []int{2}, []int{2}, []int{7, 3}, true, []string{"g = const value=2|3B|8/B"}},
		{"numbers", []int{2}, []int{2}, []int{1, 3}, true, []string{"g = const data=1,2.5,-3"}},
		{"one element for all", []int{5, 300}, []int{}, []int{5, 300}, true, []string{"g = map div A B"}},
		{"reshaped transpose", []int{6, 35}, []int{2}, []int{5, 7, 6}, true, []string{"t[35,6] = transpose A axes=1,0", "g = reshape t"}},
		{"reshape of what is transposed", []int{6, 35}, []int{2}, []int{10, 21}, true, []string{"t[35,6] = transpose A axes=1,0", "g = reshape t"}},
		{"transposed map", []int{3, 4, 5}, []int{2}, []int{5, 3, 4}, true, []string{"m(3,4,5) = map exp A", "t(5,3,4) = transpose m axes=2,0,1", "g = map square t"}},
		{"reshaped map", []int{3, 20}, []int{2}, []int{3, 4, 5}, true, []string{"m[3,20] = map square A", "r(3,4,5) = reshape m", "g = map add r r"}},
		{"repeat", []int{6, 1}, []int{1, 7}, []int{6, 7}, true, []string{"p[6,7] = repeat A axes=1", "q[6,7] = repeat B axes=0", "g = map sub p q"}},
		{"slice", []int{9, 30}, []int{2}, []int{9, 7}, true, []string{"g = slice A axes=1 ints=2,28,4"}},
		{"slice of a repeated slice", []int{9, 1}, []int{2}, []int{3, 4}, true, []string{"r[9,8] = repeat A axes=1", "s[3,8] = slice r axes=0 ints=1,9,3", "g = slice s axes=1 ints=0,8,2"}},
		{"unslice", []int{3, 30}, []int{2}, []int{10, 30}, true, []string{"g = unslice A axes=0 ints=1,10,4"}},
		{"concat", []int{4, 30}, []int{4, 9}, []int{4, 69}, true, []string{"m[4,30] = map neg A", "g = concat A B m axes=1"}},
		{"concat of repeated", []int{1, 30}, []int{2, 30}, []int{5, 30}, true, []string{"r[3,30] = repeat A axes=0", "g = concat r B axes=0"}},
		{"matmul", []int{40, 13}, []int{13, 20}, []int{40, 20}, false, []string{"g = matmul A B"}},
		{"matmul of transposed", []int{13, 20}, []int{40, 13}, []int{20, 40}, false, []string{"g = matmul A B transposed=a transposed=b"}},
		{"matmul of views", []int{13, 20}, []int{1, 13}, []int{20, 18}, false, []string{"t[20,13] = transpose A axes=1,0", "r[18,13] = repeat B axes=0", "g = matmul t r transposed=b"}},
		{"long matmul", []int{5, 300}, []int{300, 7}, []int{5, 7}, false, []string{"g = matmul A B"}},
		{"several matmuls", []int{2, 3, 5, 7}, []int{2, 3, 7, 4}, []int{2, 3, 5, 4}, false, []string{"g = matmul A B"}},
		{"several wide matmuls", []int{3, 2, 5, 7}, []int{2, 3, 40, 7}, []int{2, 3, 5, 40}, false, []string{"t(2,3,5,7) = transpose A axes=1,0,2,3", "g = matmul t B transposed=b"}},
		{"several long matmuls", []int{3, 5, 150}, []int{3, 150, 7}, []int{3, 5, 7}, false, []string{"g = matmul A B"}},
		{"sum of columns", []int{40, 9}, []int{2}, []int{1, 9}, false, []string{"g = reduce sum A axes=0"}},
		{"sum of rows", []int{9, 20}, []int{2}, []int{9, 1}, true, []string{"g = reduce sum A axes=1"}},
		{"sum of the outer axes", []int{3, 20, 30}, []int{2}, []int{1, 20, 1}, false, []string{"g = reduce sum A axes=2,0"}},
		{"long sum", []int{3, 1500}, []int{2}, []int{3, 1}, false, []string{"g = reduce sum A axes=1"}},
		{"many long sums", []int{20, 1500}, []int{2}, []int{20, 1}, false, []string{"g = reduce sum A axes=1"}},
		{"sum of a transpose", []int{50, 6}, []int{2}, []int{1, 50}, true, []string{"t[6,50] = transpose A axes=1,0", "g = reduce sum t axes=0"}},
		{"largest of rows", []int{9, 20}, []int{2}, []int{9, 1}, true, []string{"g = reduce max A axes=1"}},
		{"largest of columns", []int{200, 5}, []int{2}, []int{1, 5}, true, []string{"g = reduce max A axes=0"}},
		{"largest of many", []int{2, 2000}, []int{2}, []int{2, 1}, true, []string{"g = reduce max A axes=1"}},
		{"im2col", []int{2, 3, 8, 9}, []int{2}, []int{2, 4, 4, 18}, true, []string{"g = im2col A ints=3,2,1,0,2,2,1,1"}},
		{"im2col with dilation", []int{2, 3, 8, 9}, []int{2}, []int{2, 8, 8, 18}, true, []string{"g = im2col A ints=3,2,2,1,1,1,2,3"}},
		{"im2col of a view", []int{3, 2, 8, 9}, []int{2}, []int{2, 6, 7, 27}, true, []string{"t(2,3,8,9) = transpose A axes=1,0,2,3", "g = im2col t ints=3,3,0,0,1,1,1,1"}},
		{"col2im", []int{2, 4, 4, 18}, []int{2}, []int{2, 3, 8, 9}, true, []string{"g = col2im A ints=3,2,1,0,2,2,1,1"}},
		{"col2im with dilation", []int{2, 8, 8, 18}, []int{2}, []int{2, 3, 8, 9}, true, []string{"g = col2im A ints=3,2,2,1,1,1,2,3"}},
		{"maxpool", []int{2, 3, 8, 9}, []int{2}, []int{2, 3, 4, 4}, true, []string{"g = maxpool A ints=2,2,0,0,2,2"}},
		{"maxpool with padding", []int{2, 3, 8, 9}, []int{2}, []int{2, 3, 4, 5}, true, []string{"g = maxpool A ints=3,3,1,1,2,2"}},
		{"maxpoolgrad", []int{2, 3, 8, 9}, []int{2, 3, 4, 4}, []int{2, 3, 8, 9}, true, []string{"g = maxpoolgrad A B ints=2,2,0,0,2,2"}},
		{"maxpoolgrad of windows that overlap", []int{2, 3, 8, 9}, []int{2, 3, 4, 5}, []int{2, 3, 8, 9}, true, []string{"g = maxpoolgrad A B ints=3,3,1,1,2,2"}},
	} {
		p := shown(t, c.a, c.b, c.g, c.lines...)
		for _, nan := range []bool{false, true} {
			a, b := numbers(lengthOf(c.a), 3), numbers(lengthOf(c.b), 4)
			if strings.Contains(c.name, "pool") { // with equals in a window
				for i := range a {
					a[i] = float32(math.Round(float64(a[i])))
				}
			}
			if nan { // it spreads as the reference has it
				a[len(a)/2], a[1] = float32(math.NaN()), float32(math.Inf(-1))
			}
			got, want := computed(t, e, p, 1, a, b), computed(t, ref.New(), p, 1, a, b)
			for i := range want {
				tolerance := conformance.TensorTolerance * (1 + math.Abs(float64(want[i])))
				if c.exact && strings.Contains(fmt.Sprint(c.lines), "exp") {
					tolerance = 1e-6 * math.Abs(float64(want[i])) // not exactly the reference's function
				} else if c.exact {
					tolerance = 0
				}
				if d := math.Abs(float64(got[i] - want[i])); !equalBits(got[i], want[i]) && !(d <= tolerance) {
					t.Errorf("%s: element %d is %g, want %g", c.name, i, -got[i], -want[i])
					break
				}
			}
		}
	}
}
