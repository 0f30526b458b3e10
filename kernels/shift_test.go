package kernels

import (
	"bytes"
	"math"
	"testing"
)

func TestShift(t *testing.T) {
	from := []byte{
		1, 2, 3, 4,
		5, 6, 7, 8,
		9, 10, 11, 12,
	}
	for _, c := range []struct {
		down, right int
		want        []byte
	}{
		{0, 0, from},
		{1, 0, []byte{0, 0, 0, 0, 1, 2, 3, 4, 5, 6, 7, 8}},
		{-2, 0, []byte{9, 10, 11, 12, 0, 0, 0, 0, 0, 0, 0, 0}},
		{0, 1, []byte{0, 1, 2, 3, 0, 5, 6, 7, 0, 9, 10, 11}},
		{0, -3, []byte{4, 0, 0, 0, 8, 0, 0, 0, 12, 0, 0, 0}},
		{1, -1, []byte{0, 0, 0, 0, 2, 3, 4, 0, 6, 7, 8, 0}},
		{-1, 2, []byte{0, 0, 5, 6, 0, 0, 9, 10, 0, 0, 0, 0}},
	} {
		to := bytes.Repeat([]byte{99}, len(from))
		shift(to, from, 4, c.down, c.right)
		if !bytes.Equal(to, c.want) {
			t.Errorf("%d down, %d right: %v, want %v", c.down, c.right, to, c.want)
		}
	}
}

// Every shift of images of many extents, one pixel after the other.
func TestShifts(t *testing.T) {
	for rows := 1; rows <= 5; rows++ {
		for cols := 1; cols <= 9; cols++ {
			from := make([]byte, rows*cols)
			for i := range from {
				from[i] = byte(i + 1)
			}
			for down := 1 - rows; down < rows; down++ {
				for right := 1 - cols; right < cols; right++ {
					want, got := make([]byte, len(from)), bytes.Repeat([]byte{99}, len(from))
					for y := max(0, down); y < min(rows, rows+down); y++ {
						for x := max(0, right); x < min(cols, cols+right); x++ {
							want[y*cols+x] = from[(y-down)*cols+x-right]
						}
					}
					if shift(got, from, cols, down, right); !bytes.Equal(got, want) {
						t.Fatalf("%d x %d pixels, %d down, %d right: %v, want %v", rows, cols, down, right, got, want)
					}
				}
			}
		}
	}
}

// Every shift within the limit is as likely as any other, and examples,
// epochs and seeds differ.
func TestShiftOf(t *testing.T) {
	const limit, draws = 2, 25000
	count := map[[2]int]int{}
	for i := range draws {
		down, right := ShiftOf(7, i%10, i/10, limit)
		count[[2]int{down, right}]++
	}
	const cells = (2*limit + 1) * (2*limit + 1)
	chi2 := 0.0
	for down := -limit; down <= limit; down++ {
		for right := -limit; right <= limit; right++ {
			d := float64(count[[2]int{down, right}]) - draws/cells
			chi2 += d * d / (draws / cells)
		}
	}
	// Chi-squared with 24 degrees of freedom: mean 24, deviation √48.
	if len(count) != cells || math.Abs(chi2-(cells-1)) > 5*math.Sqrt(2*(cells-1)) {
		t.Errorf("%d kinds of shift, chi-squared %.1f, want %d and about %d", len(count), chi2, cells, cells-1)
	}
	same := 0
	for i := range 1000 {
		a, b := ShiftOf(1, 0, i, 100)
		c, d := ShiftOf(2, 0, i, 100)
		e, f := ShiftOf(1, 1, i, 100)
		if a == c && b == d || a == e && b == f {
			same++
		}
	}
	if same > 5 { // of 1000, each equal with probability 2/40401
		t.Errorf("%d of 1000 shifts do not depend on seed and epoch", same)
	}
}

// The host hands a machine the shifted examples of each batch, as ShiftOf says.
func TestAdvanceShifts(t *testing.T) {
	s := &stable{}
	train := Examples{Features: 4}
	for i := range trained {
		train.Pixels = append(train.Pixels, byte(i+1), 100, 150, 200)
		train.Labels = append(train.Labels, byte(i%2))
	}
	v := variant(t)
	v.Source, v.Shift, v.OrderSeed = network4x2(t), 1, 0 // a fake machine is told its number by OrderSeed
	p, err := NewHost(Data{Train: train, Classes: 2, Rows: 2, Cols: 2}, []Variant{v}, s.newMachine)
	if err != nil {
		t.Fatal(err)
	}
	advance(t, p, 2*perEpoch)
	if len(s.calls) != 2*perEpoch {
		t.Fatalf("%d steps, want %d", len(s.calls), 2*perEpoch)
	}
	for k, c := range s.calls {
		epoch := k / perEpoch
		order := NewOrder(0, epoch, trained)
		for i, got := range c.rows {
			example := order.At(k%perEpoch*v.Batch + i)
			down, right := ShiftOf(0, epoch, example, 1)
			image := make([]byte, 4)
			shift(image, train.Row(example), 2, down, right)
			if want := int32(train.Labels[example])<<8 | int32(image[0]); got != want {
				t.Errorf("step %d, example %d: label and pixel %#x, want %#x", k, example, got, want)
			}
		}
	}
}

// BenchmarkShifts makes the shifted images of a batch.
func BenchmarkShifts(b *testing.B) {
	const batch, side = 32, 28
	d := &Data{Train: Examples{Pixels: make([]byte, batch*side*side), Labels: make([]byte, batch), Features: side * side}, Rows: side, Cols: side}
	v, rows := &Variant{Shift: 1}, make([]int32, batch)
	for i := range rows {
		rows[i] = int32(i)
	}
	var s shifter
	epoch := 0
	for b.Loop() {
		s.batch(d, v, epoch, rows)
		epoch++
	}
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/batch, "ns/example")
}
