package ir_test

import (
	"math"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"vanilla/graph/ir"
)

// ulp is the distance of 1 to the next float64.
const ulp = 0x1p-52

// difference is a central difference of f at z, and how far it may be from the
// slope: h²/6 of the largest third derivative, and the rounding of two values
// that are each good to 4 ulp, divided by 2h.
func difference(f func(float64) float64, z, third float64) (slope, tolerance float64) {
	const h = 0x1p-17 // about ∛ulp, which balances the two errors
	up, down := f(z+h), f(z-h)
	size := math.Max(1, math.Max(math.Abs(up), math.Abs(down)))
	return (up - down) / (2 * h), h*h/6*third + 4*ulp*size/h
}

func TestSlopeIsDerivative(t *testing.T) {
	// Softsign has the largest third derivative, 6 beside 0.
	const third = 6
	for _, a := range ir.Activations() {
		for k := -256; k < 256; k++ {
			z := (float64(k) + 0.5) / 32 // -8 to 8, past the corners at 0
			want, tolerance := difference(a.Value, z, third)
			if got := a.Slope(z); !(math.Abs(got-want) <= tolerance) {
				t.Errorf("%s: slope %.12g at %g, the values' difference says %.12g ± %.1g", a, got, z, want, tolerance)
			}
		}
	}
}

// TestActivationValues compares with closed forms in e. GELU's slope is a
// number from 30-digit arithmetic.
func TestActivationValues(t *testing.T) {
	const (
		e         = math.E
		sigmoid1  = e / (1 + e)
		tolerance = 4 * ulp
	)
	tanh1 := (e*e - 1) / (e*e + 1)
	gelu := func(z float64) float64 {
		u := math.Exp(2 * math.Sqrt(2/math.Pi) * (z + 0.044715*z*z*z))
		return z * u / (u + 1) // (1 + tanh v)/2 = e²ᵛ/(e²ᵛ + 1)
	}
	if got := gelu(1); math.Abs(got-0.841192) > 5e-7 {
		t.Fatalf("the closed form of GELU gives %g at 1, want 0.841192", got)
	}
	for _, c := range []struct {
		a                   ir.Activation
		minus, zero, plus   float64 // values at -1, 0, 1
		slopeZero, slopeTop float64 // slopes at 0 and at 1
	}{
		{ir.Identity, -1, 0, 1, 1, 1},
		{ir.Sigmoid, 1 - sigmoid1, 0.5, sigmoid1, 0.25, sigmoid1 * (1 - sigmoid1)},
		{ir.Tanh, -tanh1, 0, tanh1, 1, 1 - tanh1*tanh1},
		{ir.ReLU, 0, 0, 1, 0, 1},
		{ir.LeakyReLU, -0.01, 0, 1, 0.01, 1},
		{ir.Softplus, math.Log(1 + 1/e), math.Ln2, math.Log(1 + e), 0.5, sigmoid1},
		{ir.SiLU, sigmoid1 - 1, 0, sigmoid1, 0.5, sigmoid1 * (2 - sigmoid1)},
		{ir.GELUTanh, gelu(-1), 0, gelu(1), 0.5, 1.0829640838457826},
		{ir.Softsign, -0.5, 0, 0.5, 1, 0.25},
		{ir.Rectify, 0, 0, 1, 1, 1},
	} {
		for _, at := range []struct {
			what      string
			got, want float64
		}{
			{"f(-1)", c.a.Value(-1), c.minus}, {"f(0)", c.a.Value(0), c.zero}, {"f(1)", c.a.Value(1), c.plus},
			{"f′(0)", c.a.Slope(0), c.slopeZero}, {"f′(1)", c.a.Slope(1), c.slopeTop},
		} {
			if !(math.Abs(at.got-at.want) <= tolerance) {
				t.Errorf("%s: %s is %.17g, want %.17g", c.a, at.what, at.got, at.want)
			}
		}
	}
}

func TestActivationExtremes(t *testing.T) {
	for _, a := range ir.Activations() {
		for _, z := range []float64{1000, math.MaxFloat32} {
			for _, z := range []float64{z, -z} {
				if v, s := a.Value(z), a.Slope(z); math.IsNaN(v) || math.IsInf(v, 0) || math.IsNaN(s) || math.Abs(s) > 1 {
					t.Errorf("%s: value %g and slope %g at %g", a, v, s, z)
				}
			}
		}
		if v := a.Value(math.NaN()); !math.IsNaN(v) {
			t.Errorf("%s: value %g of NaN: a network that diverged would look sound", a, v)
		}
	}
}

func TestActivationNames(t *testing.T) {
	seen := map[string]bool{}
	for _, a := range ir.Activations() {
		name := a.String()
		if name == "" || seen[name] || !a.Known() {
			t.Errorf("activation %d is called %q", a, name)
		}
		seen[name] = true
		if got, err := ir.ParseActivation(name); err != nil || got != a {
			t.Errorf("%q is parsed as %v, %v", name, got, err)
		}
	}
	if len(seen) != 10 {
		t.Errorf("%d activations, want 10", len(seen))
	}
	for _, name := range []string{"", "Sigmoid", "sigmoid ", "swish"} {
		got, err := ir.ParseActivation(name)
		if err == nil {
			t.Errorf("%q is parsed as %v", name, got)
			continue
		}
		for known := range seen {
			if !strings.Contains(err.Error(), known) {
				t.Errorf("the error does not name %s: %v", known, err)
			}
		}
	}
	for _, a := range []ir.Activation{0, ir.Rectify + 1} {
		if a.Known() || a.String() != "unknown activation" {
			t.Errorf("activation %d is known as %q", a, a)
		}
		for what, f := range map[string]func(float64) float64{"value": a.Value, "slope": a.Slope} {
			func() {
				defer func() {
					if recover() == nil {
						t.Errorf("activation %d has a %s", a, what)
					}
				}()
				f(1)
			}()
		}
	}
}

type row func(z []float64, label int, dz []float64) float64

func TestLossRowsAreDerivatives(t *testing.T) {
	// Third derivatives: those of log Σ eᶻ are third central moments of an
	// indicator, below 1; a square has none.
	const third = 1
	random := rand.New(rand.NewPCG(1, 2))
	for name, f := range map[string]row{"cross-entropy": ir.CrossEntropyRow, "quadratic": ir.QuadraticRow} {
		for _, width := range []int{1, 2, 3, 10} {
			for range 20 {
				z, label := make([]float64, width), random.IntN(width)
				for j := range z {
					z[j] = 3 * random.NormFloat64()
				}
				dz, scratch := make([]float64, width), make([]float64, width)
				f(z, label, dz)
				for j := range z {
					want, tolerance := difference(func(v float64) float64 {
						at := slices.Clone(z)
						at[j] = v
						return f(at, label, scratch)
					}, z[j], third)
					if !(math.Abs(dz[j]-want) <= tolerance) {
						t.Errorf("%s of %v, label %d: gradient %.12g in %d, differences say %.12g ± %.1g", name, z, label, dz[j], j, want, tolerance)
					}
				}
			}
		}
	}
}

func TestLossRowsInPlace(t *testing.T) {
	for name, f := range map[string]row{"cross-entropy": ir.CrossEntropyRow, "quadratic": ir.QuadraticRow} {
		z := []float64{0.5, -1, 3, 2}
		dz := make([]float64, len(z))
		loss := f(z, 2, dz)
		if !slices.Equal(z, []float64{0.5, -1, 3, 2}) {
			t.Errorf("%s changes its input to %v", name, z)
		}
		if got := f(z, 2, z); got != loss || !slices.Equal(z, dz) {
			t.Errorf("%s in place: %g, %v; apart: %g, %v", name, got, z, loss, dz)
		}
	}
}

func TestCrossEntropyRow(t *testing.T) {
	const big = 1e4
	for _, c := range []struct {
		z     []float64
		label int
		loss  float64
		dz    []float64
	}{
		{[]float64{0, 0}, 0, math.Ln2, []float64{-0.5, 0.5}},
		{[]float64{0, math.Log(3)}, 1, math.Log(4. / 3), []float64{0.25, -0.25}},
		{[]float64{7}, 0, 0, []float64{0}},
		{[]float64{big, 0, -big}, 0, 0, []float64{0, 0, 0}},
		{[]float64{big, 0, -big}, 1, big, []float64{1, -1, 0}},
		{[]float64{big, 0, -big}, 2, 2 * big, []float64{1, 0, -1}},
		{[]float64{-big, -big}, 1, math.Ln2, []float64{0.5, -0.5}},
		{[]float64{big, big - 30}, 0, math.Log1p(math.Exp(-30)), []float64{-math.Exp(-30), math.Exp(-30)}},
	} {
		dz := make([]float64, len(c.z))
		loss := ir.CrossEntropyRow(c.z, c.label, dz)
		// Two roundings of numbers up to 2: a probability, a logarithm. None of
		// the size of the logits.
		if !(math.Abs(loss-c.loss) <= 2*ulp) {
			t.Errorf("%v, label %d: loss %.17g, want %.17g", c.z, c.label, loss, c.loss)
		}
		for j := range dz {
			if !(math.Abs(dz[j]-c.dz[j]) <= 2*ulp) {
				t.Errorf("%v, label %d: gradient %v, want %v", c.z, c.label, dz, c.dz)
				break
			}
		}
	}
}

func TestQuadraticRow(t *testing.T) {
	da := make([]float64, 3)
	loss := ir.QuadraticRow([]float64{0.5, 0.25, -1}, 1, da)
	if want := 0.25 + 0.5625 + 1; loss != want {
		t.Errorf("loss %g, want %g", loss, want)
	}
	if want := []float64{1, -1.5, -2}; !slices.Equal(da, want) {
		t.Errorf("gradient %v, want %v", da, want)
	}
}
