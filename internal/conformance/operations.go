package conformance

import (
	"fmt"
	"math"
	"strings"
	"testing"

	"vanilla/graph/ir"
	"vanilla/kernels"
	"vanilla/kernels/ref"
)

// Shown is a program whose parameter G of zeros has g for a gradient, and so becomes
// -g in a step of size 1: what the lines compute from parameters A and B.
func Shown(t *testing.T, a, b, g []int, lines ...string) *ir.Program {
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

// Computed is what G is after so many steps on an executor.
func Computed(t *testing.T, e kernels.Executor, p *ir.Program, steps int, a, b []float32) []float32 {
	t.Helper()
	v := Variant(p, 4)
	v.Optimizer, v.Schedule = kernels.Optimizer{Name: "sgd"}, kernels.Schedule{LR: 1, Name: "constant"}
	s := v.InitialState()
	copy(s.Params[0], a)
	copy(s.Params[1], b)
	clear(s.Params[2])
	after, err := stepped(e, Data(p, 5), v, s, steps)
	if err != nil {
		t.Fatal(err)
	}
	return after.Params[2]
}

// Numbers are so many of both signs, whole ones among them.
func Numbers(n int, seed uint64) []float32 {
	all := make([]float32, n)
	noise := kernels.NewNoise(&ir.Op{Code: ir.Random, Fn: ir.FnGauss, Draw: [2]float64{0, 2}}, 0, seed)
	noise.Fill(all, 0)
	for i := 0; i < n; i += 5 {
		all[i] = float32(math.Round(float64(all[i])))
	}
	return all
}

// TensorOperation is one tensor operation by itself, or with views around it: lines
// that compute g of those extents from parameters A and B.
type TensorOperation struct {
	Name    string
	A, B, G []int
	// Exact says that there is one order of its sums, if any.
	Exact bool
	Lines []string
}

// TensorOperations are each tensor operation on operands of every kind: parameters,
// values, and views of them; and each function of maps.
func TensorOperations() []TensorOperation {
	return []TensorOperation{
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
	}
}

// Operations holds an executor to the reference on each tensor operation, and each
// function of maps, by itself. Where there are numbers that are none they spread as the
// reference has it.
func Operations(t *testing.T, exec kernels.Executor) {
	all := TensorOperations()
	for _, f := range ir.MapFunctions() {
		line := "g = map " + string(f) + " A"
		if f.Binary() != nil {
			line += " B"
		}
		for _, extents := range [][]int{{1, 300}, {5, 4, 3}, {}} {
			all = append(all, TensorOperation{Name: fmt.Sprintf("%s of %v", f, extents), A: extents, B: extents, G: extents, Lines: []string{line}})
		}
	}
	for _, c := range all {
		p := Shown(t, c.A, c.B, c.G, c.Lines...)
		a, b := Numbers(ir.Elements(c.A), 3), Numbers(ir.Elements(c.B), 4)
		in, allowed := derive(p, func(in *ref.Interpreter[float64], _ func() float64) {
			for i, values := range [][]float32{a, b, make([]float32, ir.Elements(c.G))} {
				for j, v := range values {
					in.Values[p.Params[i].Value][j] = float64(v)
				}
			}
			in.Run(make([]float64, 4*p.Features()), make([]byte, 4))
		})
		got, want := Computed(t, exec, p, 1, a, b), in.Values[p.Params[2].Grad]
		for i := range want {
			g, w := -float64(got[i]), float64(float32(want[i]))
			if d := math.Abs(g - w); g != w && !(g != g && w != w) && !(d <= allowed.grads[2]+2*unit*math.Abs(w)) {
				t.Errorf("%s: element %d is %g, want %g (difference %.2g, allowed %.2g)", c.Name, i, g, w, d, allowed.grads[2])
				break
			}
		}
		a[len(a)/2] = float32(math.NaN())
		got, single := Computed(t, exec, p, 1, a, b), Computed(t, ref.New(), p, 1, a, b)
		for i := range single {
			if (got[i] != got[i]) != (single[i] != single[i]) {
				t.Errorf("%s of what is not a number: element %d is %g, want %g", c.Name, i, -got[i], -single[i])
				break
			}
		}
	}
}
