package cpu

import (
	"math"
	"testing"

	"vanilla/graph/ir"
)

// Bounds of activations and slopes: ulps·2⁻²⁴·scale + tiny·(1+|z|), the second
// term for a sigmoid that is cut to zero, by itself or in a product with z. The
// exponential is off by about one unit in the last place (2 ulps), and each of
// the few operations around it by half of one. scale is |f(z)|, but where a
// slope is a difference of terms, the size of the terms, which is 1. The argument
// of GELUTanh is itself rounded, which an exponential magnifies by its size.
const ulps = 12

func TestActivations(t *testing.T) {
	var z []float32
	for v := float32(-110); v <= 110; v += 0.0137 {
		z = append(z, v)
	}
	for v := float32(1e-30); v < 10; v *= 1.7 {
		z = append(z, v, -v)
	}
	z = append(z, make([]float32, padded(len(z)+1)-len(z))...)
	ones := make([]float32, len(z))
	for i := range ones {
		ones[i] = 1
	}
	h, slopes, fromOutput := make([]float32, len(z)), make([]float32, len(z)), make([]float32, len(z))
	eachSet(t, func(t *testing.T, r *routines) { testActivations(t, r, z, h, ones, slopes, fromOutput) })
}

func testActivations(t *testing.T, r *routines, z, h, ones, slopes, fromOutput []float32) {
	for _, f := range ir.Activations() {
		r.activate(f, h, z)
		r.backward(f, false, slopes, ones, z)
		r.backward(f, slopeFromOutput(f), fromOutput, ones, h)
		for i, v := range z {
			x := float64(v)
			conditioned, definition := 1.0, 0.0
			if f == ir.GELUTanh {
				definition = 0x1p-52 * math.Abs(x) // 1 + tanh in float64, for tanh near −1
				conditioned = 1 + 2*0.7978845608028654*(math.Abs(x)+0.044715*math.Abs(x*x*x))
			}
			value := f.Value(x)
			scale := math.Abs(value) * conditioned
			if bound := ulps*0x1p-24*scale + tiny*(1+math.Abs(x)) + definition; !(math.Abs(float64(h[i])-value) <= bound) {
				t.Fatalf("%s(%v) = %v, want %v", f, v, h[i], value)
			}
			slope := f.Slope(x)
			bound := ulps*0x1p-24*max(1, math.Abs(slope)) + tiny*(1+math.Abs(x))
			if !(math.Abs(float64(slopes[i])-slope) <= bound) {
				t.Fatalf("%s′(%v) = %v, want %v", f, v, slopes[i], slope)
			}
			if slopeFromOutput(f) && !(math.Abs(float64(fromOutput[i])-slope) <= bound) {
				t.Fatalf("%s′(%v) = %v from the output, want %v", f, v, fromOutput[i], slope)
			}
		}
	}
}

// TestActivationsOfNoNumbers: what is infinite, almost, or not a number goes
// through activations and slopes as it does by their definition.
func TestActivationsOfNoNumbers(t *testing.T) {
	eachSet(t, func(t *testing.T, r *routines) {
		inf := float32(math.Inf(1))
		z, h, slopes, ones := make([]float32, lanes), make([]float32, lanes), make([]float32, lanes), make([]float32, lanes)
		copy(z, []float32{inf, -inf, float32(math.NaN()), 3e38, -3e38, 1e19, -1e19})
		for i := range ones {
			ones[i] = 1
		}
		agree := func(got float32, want float64) bool {
			return float64(got) == want || got != got && want != want || math.Abs(float64(got)-want) <= ulps*ulp*math.Abs(want)+tiny
		}
		for _, f := range ir.Activations() {
			r.activate(f, h, z)
			r.backward(f, false, slopes, ones, z)
			for i, v := range z {
				if want := f.Value(float64(v)); !agree(h[i], want) {
					t.Errorf("%s(%v) = %v, want %v", f, v, h[i], want)
				}
				if want := f.Slope(float64(v)); !agree(slopes[i], want) {
					t.Errorf("%s′(%v) = %v, want %v", f, v, slopes[i], want)
				}
			}
		}
	})
}

func TestExp32(t *testing.T) {
	for x := float32(-86.6); x < 88.7; x += 0.00173 {
		want := math.Exp(float64(x))
		// Two units of 2⁻²⁴: the last rounding, and what came before it.
		if got := float64(exp32(x)); math.Abs(got-want) > 2*0x1p-24*want {
			t.Fatalf("exp32(%v) = %v, want %v: off by %.2f·2⁻²⁴", x, got, want, math.Abs(got-want)/want*0x1p24)
		}
	}
	inf := float32(math.Inf(1))
	for _, c := range [][2]float32{{0, 1}, {-86.7, 0}, {-1e30, 0}, {-inf, 0}, {88.8, inf}, {inf, inf}} {
		if got := exp32(c[0]); got != c[1] {
			t.Errorf("exp32(%v) = %v, want %v", c[0], got, c[1])
		}
	}
	if nan := exp32(float32(math.NaN())); nan == nan {
		t.Errorf("exp32(NaN) = %v", nan)
	}
}

// TestFlush: gradients are zero or larger than tiny, whatever comes in.
func TestFlush(t *testing.T) {
	for _, f := range ir.Activations() {
		d := []float32{1e-31, -1e-31, 1e-44}
		if backward(f, false, d, d, []float32{1, 1, 1}); d[0] != 0 || d[1] != 0 || d[2] != 0 {
			t.Errorf("%s passes on %v", f, d)
		}
	}
	t3 := make([]float32, 3*lanes)
	t3[lanes], t3[2*lanes] = -80, -75
	if softmax(t3, []float32{0}, []byte{0}, 0, 3, 1); t3[lanes] != 0 || t3[2*lanes] != 0 {
		t.Errorf("the softmax's gradient holds %v and %v", t3[lanes], t3[2*lanes])
	}
}
