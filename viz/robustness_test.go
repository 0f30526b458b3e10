package viz

import (
	"bytes"
	"math"
	"slices"
	"testing"

	"vanilla/dataset"
	"vanilla/model"
)

func TestRobustness(t *testing.T) {
	for _, n := range []*chain{bars(true), shallow()} {
		set := images(40)
		r := made[*Robustness](t)(NewRobustness(t.Context(), n, set, picture(t, 1)))
		accuracy := func(c change) float64 {
			right := 0.
			redraw := c(side, side)
			for i, label := range set.Labels {
				image := make([]byte, side*side)
				redraw(image, set.Image(i))
				if guess, _ := n.Classify(t.Context(), image); guess[0] == label {
					right++
				}
			}
			return right / float64(set.Len())
		}
		guesses, _ := n.Classify(t.Context(), set.Pixels)
		right := 0.
		for i, g := range guesses {
			if g == set.Labels[i] {
				right++
			}
		}
		if found := r.Shifts[r.Shift][r.Shift]; found != right/40 {
			t.Errorf("%s: unmoved images have accuracy %v, want %v", n.name, found, right/40)
		}
		// Row by how far down, column by how far right.
		if found, want := r.Shifts[r.Shift+2][r.Shift-1], accuracy(moved(-1, 2)); found != want {
			t.Errorf("%s: two down, one left: accuracy %v, want %v", n.name, found, want)
		}
		for k, s := range r.Sweeps {
			for i, amount := range s.Amounts {
				if want := accuracy(sweeps(set.Rows, set.Cols)[k].change(amount)); s.Accuracy[i] != want {
					t.Errorf("%s: %s %v: accuracy %v, want %v", n.name, s.Name, amount, s.Accuracy[i], want)
				}
			}
		}
		for _, trial := range r.Trials {
			wrong := slices.IndexFunc(trial.Guesses, func(g int) bool { return g != r.Example.Label })
			if trial.Fails != wrong {
				t.Errorf("%s: %s fails at step %d, guesses are %v of a %d", n.name, trial.Name, trial.Fails, trial.Guesses, r.Example.Label)
			}
		}
		unknown := picture(t, 1)
		unknown.Label = -1
		r = made[*Robustness](t)(NewRobustness(t.Context(), n, set, unknown))
		if fails := r.Trials[0].Fails; fails == 0 || fails > 0 && r.Trials[0].Guesses[fails] == r.Trials[0].Guesses[0] {
			t.Errorf("%s: without a label it fails at %d, guesses are %v", n.name, fails, r.Trials[0].Guesses)
		}
	}
}

// Changes by nothing change nothing, and others what they should.
func TestChanges(t *testing.T) {
	const rows, cols = 5, 7
	from := make([]byte, rows*cols)
	for i := range from {
		from[i] = byte(i*37 + 11)
	}
	apply := func(c change, from []byte) []byte {
		to := bytes.Repeat([]byte{99}, len(from)) // what was there before does not matter
		c(rows, cols)(to, from)
		return to
	}
	for name, c := range map[string]change{"moved": moved(0, 0), "scaled": scaled(1), "turned": turned(0), "thickened": thickened(0), "a full turn": turned(360)} {
		if to := apply(c, from); !bytes.Equal(to, from) {
			t.Errorf("%s by nothing: found %v, want %v", name, to, from)
		}
	}
	for _, shift := range [][2]int{{1, 0}, {-2, 1}, {3, -4}, {0, 4}, {-6, 0}} {
		to := apply(moved(shift[0], shift[1]), from)
		for i, v := range to {
			y, x, want := i/cols-shift[1], i%cols-shift[0], byte(0)
			if y >= 0 && x >= 0 && y < rows && x < cols {
				want = from[y*cols+x]
			}
			if v != want {
				t.Errorf("moved by %v: pixel %d is %d, want %d", shift, i, v, want)
			}
		}
	}
	// A half turn puts the first pixel last.
	half := apply(turned(180), from)
	slices.Reverse(half)
	if !bytes.Equal(half, from) {
		t.Errorf("half a turn: found %v", half)
	}
	dot := make([]byte, rows*cols)
	dot[2*cols+3] = 200
	centre := func(to []byte) (y, x float64) {
		sum := 0.
		for i, v := range to {
			y, x, sum = y+float64(v)*float64(i/cols), x+float64(v)*float64(i%cols), sum+float64(v)
		}
		return y / sum, x / sum
	}
	right := make([]byte, rows*cols)
	right[2*cols+4] = 200 // right of the middle turns down
	if y, x := centre(apply(turned(90), right)); math.Abs(y-3) > 1e-9 || math.Abs(x-3) > 1e-9 {
		t.Errorf("a quarter turn puts the pixel at %v, %v", y, x)
	}
	// One pixel wider on each side is a cross with faint corners, half a pixel a faint cross.
	for amount, want := range map[float64][3]byte{0.5: {200, 100, uint8(math.Round(200 * (1.5 - math.Sqrt2)))}, 1: {200, 200, uint8(math.Round(200 * (2 - math.Sqrt2)))}} {
		to := apply(thickened(amount), dot)
		if found := [3]byte{to[2*cols+3], to[2*cols+4], to[3*cols+4]}; found != want {
			t.Errorf("thicker by %v: centre, side and corner are %v, want %v", amount, found, want)
		}
	}
	// Thinning takes away what stands alone, and leaves the inside of what is thick.
	full := bytes.Repeat([]byte{200}, rows*cols)
	if to := apply(thickened(-1), dot); slices.Max(to) != 0 {
		t.Errorf("a dot thinned is %v", to)
	}
	if to := apply(thickened(-1), full); to[0] != 0 || to[2*cols+3] != 200 {
		t.Errorf("a full image thinned is %v", to)
	}
}

// Small images are moved and thickened by as much of their side as large ones, and noise has few low frequencies in them too.
func TestSmallImages(t *testing.T) {
	for _, c := range []struct {
		rows, cols, shift int
		widest            float64 // stroke
		trials            int     // shifts of the example
	}{{28, 28, 5, 2, 8}, {64, 32, 5, 2, 8}, {14, 28, 3, 1, 8}, {8, 8, 2, 0.57, 5}, {3, 8, 2, 0.21, 5}, {2, 2, 1, 0.14, 3}, {1, 1, 0, 0.07, 3}} {
		strokes := sweeps(c.rows, c.cols)[2].amounts
		if widest := slices.Max(strokes); shiftOf(c.rows, c.cols) != c.shift || widest != c.widest || slices.Index(strokes, 0) != 3 {
			t.Errorf("%dx%d: shifts by up to %d pixels and strokes wider by %v, want %d and up to %v", c.rows, c.cols, shiftOf(c.rows, c.cols), strokes, c.shift, c.widest)
		}
		n := &chain{name: "few", layers: []model.Layer{layer(c.rows*c.cols, 2, 3, 0.5)}, softmax: true}
		set := &dataset.Images{Pixels: make([]byte, c.rows*c.cols), Labels: []byte{0}, Rows: c.rows, Cols: c.cols, Classes: 2}
		r := made[*Robustness](t)(NewRobustness(t.Context(), n, set, Picture{Pixels: set.Pixels, Label: 0}))
		if len(r.Trials[0].Amounts) != c.trials {
			t.Errorf("%dx%d: the example is moved by %v", c.rows, c.cols, r.Trials[0].Amounts)
		}
	}
	for side, want := range map[int]int{7: 1, 8: 1, 14: 2, 28: 4, 64: 4} {
		if found := (&Blobs{Rows: side, Cols: side}).lowest(); found != want {
			t.Errorf("%d pixels: %d periods are low frequencies, want %d", side, found, want)
		}
	}
}
