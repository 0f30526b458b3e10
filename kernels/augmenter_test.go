package kernels

import (
	"bytes"
	"hash/crc32"
	"math"
	"strings"
	"testing"

	"vanilla/kernels/warp"
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

// Augmented images are the same bytes everywhere, on every executor and with every
// instruction set: this digest is that of all of them.
func TestAugmentedBytes(t *testing.T) {
	d, rows := strokes(200, 28)
	for _, c := range []struct {
		name string
		a    Augment
		want uint32
	}{
		{"shift", Augment{Shift: 2}, 0x9cf5d1d9},
		{"shift, rotation, scale", Augment{Shift: 1, Rotate: 15, Scale: 0.15}, 0x5353b6},
		{"stroke", Augment{Stroke: 0.5}, 0xcdef238},
		{"elastic", Augment{Elastic: 34, ElasticSigma: 4}, 0x315449d},
		{"all", everything, 0x9bd86116},
	} {
		digest := uint32(0)
		for epoch := range 3 {
			e, err := Augmented(d, Variant{Augment: c.a, OrderSeed: 9}, epoch, 0, rows)
			if err != nil {
				t.Fatal(err)
			}
			digest = crc32.Update(digest, crc32.IEEETable, e.Pixels)
		}
		if digest != c.want {
			t.Errorf("%s: digest %#x, want %#x", c.name, digest, c.want)
		}
	}
}

// everything is an Augment in which nothing is zero.
var everything = Augment{Shift: 2, Rotate: 12, Scale: 0.2, Shear: 0.15, Stroke: 0.5, Elastic: 38, ElasticSigma: 6}

// strokes is a set of square images with a bar each, and the numbers of all.
func strokes(n, side int) (d Data, rows []int32) {
	d = Data{Train: Examples{Features: side * side}, Classes: 2, Rows: side, Cols: side}
	for i := range n {
		image := make([]byte, side*side)
		for y := side / 4; y < side*3/4; y++ {
			for x := range 3 {
				image[y*side+side/3+i%(side/3)+x] = byte(255 - 60*x + i%50)
			}
		}
		d.Train.Pixels = append(d.Train.Pixels, image...)
		d.Train.Labels = append(d.Train.Labels, byte(i%2))
		rows = append(rows, int32(i))
	}
	return d, rows
}

// What happens to an image does not depend on the batch it is in, and does on seed,
// epoch and example.
func TestAugmentedIsAFunction(t *testing.T) {
	d, rows := strokes(50, 28)
	of := func(seed uint64, epoch int, rows []int32) Examples {
		e, err := Augmented(d, Variant{Augment: everything, OrderSeed: seed}, epoch, 0, rows)
		if err != nil {
			t.Fatal(err)
		}
		return e
	}
	all := of(1, 3, rows)
	for i := range rows {
		if one := of(1, 3, rows[i:i+1]); !bytes.Equal(one.Pixels, all.Row(i)) {
			t.Fatalf("image %d differs with its batch", i)
		}
	}
	for name, other := range map[string]Examples{"seed": of(2, 3, rows), "epoch": of(1, 4, rows)} {
		for i := range rows {
			if bytes.Equal(other.Row(i), all.Row(i)) {
				t.Errorf("image %d does not depend on the %s", i, name)
			}
		}
	}
	if bytes.Equal(all.Row(0), all.Row(len(rows)-1)) {
		t.Error("two images are the same")
	}
}

// A batch has noise where it should, as much of each kind as of the others, and the
// even target there; the rest is as without.
func TestNoiseShare(t *testing.T) {
	d, rows := strokes(2000, 12)
	v := Variant{NoiseShare: 0.25, OrderSeed: 5}
	a := newAugmenter(&d, &v, &shared{})
	e := a.batch(1, 300, rows)
	if err := e.checkTargets(2); err != nil {
		t.Fatal(err)
	}
	noisy, blank := 0, 0
	for i := range rows {
		same := bytes.Equal(e.Row(i), d.Train.Row(i))
		even := e.Targets[2*i] == 0.5
		if even {
			noisy++
			if bytes.Count(e.Row(i), e.Row(i)[:1]) == len(e.Row(i)) {
				blank++
			}
		} else if e.Targets[2*i+i%2] != 1 {
			t.Fatalf("example %d: targets %v", i, e.Targets[2*i:2*i+2])
		}
		if same == even {
			t.Fatalf("example %d is noise: %v, and its target even: %v", i, !same, even)
		}
	}
	// Binomial: deviation √(2000·0.25·0.75) = 19, and of the blanks √(500·0.25·0.75) = 10.
	if noisy < 400 || noisy > 600 || blank < 75 || blank > 175 {
		t.Errorf("%d of 2000 are noise and %d blank, want about 500 and 125", noisy, blank)
	}
	// One position alone gives what the batch gives.
	one := a.batch(1, 307, rows[7:8])
	if second := newAugmenter(&d, &v, &shared{}).batch(1, 300, rows); !bytes.Equal(one.Row(0), second.Row(7)) {
		t.Error("noise depends on the batch")
	}
	digest := crc32.ChecksumIEEE(newAugmenter(&d, &v, &shared{}).batch(1, 300, rows).Pixels)
	if want := uint32(0x7f0c07c7); digest != want {
		t.Errorf("digest %#x, want %#x", digest, want)
	}
}

// The sine in integers is the sine.
func TestSine(t *testing.T) {
	for degrees := -180; degrees <= 180; degrees++ {
		x := float64(degrees) * math.Pi / 180
		sin, cos := sine(int64(math.Round(x * one)))
		if math.Abs(float64(sin)/one-math.Sin(x)) > 2e-6 || math.Abs(float64(cos)/one-math.Cos(x)) > 2e-6 {
			t.Errorf("%d degrees: %g, %g, want %g, %g", degrees, float64(sin)/one, float64(cos)/one, math.Sin(x), math.Cos(x))
		}
	}
}

// The middle of an image stays where it is however it is turned, and scales and
// turns are as large as they may be, and no larger.
func TestChangeOf(t *testing.T) {
	const rows, cols = 28, 20
	r := Augment{Rotate: 30, Scale: 0.25, Shear: 0.2, Stroke: 0.5}.Amounts(nil)
	var least, most struct{ turn, high, stroke float64 }
	for i := range 4000 {
		c := r.changeOf(3, i%7, i, rows, cols)
		m := c.affine
		u := float64(m.U) + float64(m.UX)*(cols-1)/2 + float64(m.UY)*(rows-1)/2
		v := float64(m.V) + float64(m.VX)*(cols-1)/2 + float64(m.VY)*(rows-1)/2
		if math.Abs(u/warp.Unit-(cols-1)/2.) > 0.01 || math.Abs(v/warp.Unit-(rows-1)/2.) > 0.01 {
			t.Fatalf("the middle is read at %g, %g", u/warp.Unit, v/warp.Unit)
		}
		turn := math.Atan2(-float64(m.VX), float64(m.VY)) * 180 / math.Pi
		high := warp.Unit / math.Hypot(float64(m.VX), float64(m.VY))
		least.turn, most.turn = min(least.turn, turn), max(most.turn, turn)
		least.high, most.high = min(least.high, high-1), max(most.high, high-1)
		least.stroke, most.stroke = min(least.stroke, float64(c.stroke)/256), max(most.stroke, float64(c.stroke)/256)
	}
	for _, x := range []struct {
		name             string
		least, most, far float64
	}{{"turn", least.turn, most.turn, 30}, {"height", least.high, most.high, 0.25}, {"stroke", least.stroke, most.stroke, 0.5}} {
		if x.least < -x.far*1.01 || x.least > -x.far*0.99 || x.most > x.far*1.01 || x.most < x.far*0.98 {
			t.Errorf("%s from %g to %g, want -%g to %[4]g", x.name, x.least, x.most, x.far)
		}
	}
}

// Elastic displacements have the deviation that averages of uniform noise with a
// Gaussian have, and fit in 16 bits at the limits of their ranges.
func TestField(t *testing.T) {
	for _, sigma := range []float64{leastSigma, 2, 4, 8, maxSigma} {
		f := NewField(sigma, 28, 28)
		sum, squares := 0.0, 0.0
		for y := range fieldSide {
			for x := range fieldSide {
				v := float64(f.Values[y*f.Stride+x]) / (1 << 15) * f.peak
				sum += v
				squares += v * v
			}
		}
		const n = fieldSide * fieldSide
		deviation := math.Sqrt(squares/n - sum/n*sum/n)
		// Of uniform noise 1/√3, of averages that times the root of the sum of the squared
		// weights, which are products of those along the axes. The field has some (256/2σ√π)²
		// independent values.
		weights, squared := 0.0, 0.0
		for k := -math.Ceil(3 * sigma); k <= 3*sigma+1; k++ {
			w := math.Exp(-k * k / (2 * sigma * sigma))
			weights, squared = weights+w, squared+w*w
		}
		want := 1 / math.Sqrt(3) * squared / (weights * weights)
		allowed := 0.02 + 3*(2*sigma*math.Sqrt(math.Pi))/fieldSide/math.Sqrt2
		if math.Abs(deviation/want-1) > allowed {
			t.Errorf("σ %g: deviation %.4f, want %.4f within %.0f %%", sigma, deviation, want, 100*allowed)
		}
		if gain := maxElastic * sigma * f.peak * 256; gain > math.MaxInt16 {
			t.Errorf("σ %g: the largest gain is %.0f", sigma, gain)
		}
		if a, b := f.Values[5*f.Stride+fieldSide+3], f.Values[5*f.Stride+3]; a != b {
			t.Errorf("σ %g: the field does not go on where it begins", sigma)
		}
	}
}

func TestAugmentCheck(t *testing.T) {
	for _, c := range []struct {
		a    Augment
		want string
	}{
		{everything, ""},
		{Augment{Rotate: -1}, "rotate -1: want 0 to 180 degrees"},
		{Augment{Scale: math.NaN()}, "scale NaN: want 0 to 0.75"},
		{Augment{Shear: 1.5}, "shear 1.5: want 0 to 1"},
		{Augment{Stroke: 2}, "stroke 2: want 0 to 1 pixels"},
		{Augment{Elastic: -3, ElasticSigma: 4}, "elastic -3: want zero or more pixels"},
		{Augment{Elastic: 34}, "elastic_sigma 0: want 0.5 to 32 pixels"},
		{Augment{ElasticSigma: 4}, "elastic_sigma 4: want \"elastic\" too"},
		{Augment{Elastic: 401, ElasticSigma: 4}, "elastic 401: want at most 100 times \"elastic_sigma\", which is 4"},
		{Augment{Elastic: math.Inf(1), ElasticSigma: 4}, "elastic +Inf: want at most"},
	} {
		err := c.a.Check()
		if c.want == "" && err != nil || c.want != "" && (err == nil || !strings.HasPrefix(err.Error(), c.want)) {
			t.Errorf("%+v: %v, want %q", c.a, err, c.want)
		}
	}
	if err := everything.Fits(0, 0); err == nil {
		t.Error("inputs that are no images can be turned")
	}
	if err := (Augment{Scale: 0.1}).Fits(28, 600); err == nil || !strings.Contains(err.Error(), "at most 512") {
		t.Errorf("images of 600 columns: %v", err)
	}
}

// BenchmarkAugment makes the images of a batch.
func BenchmarkAugment(b *testing.B) {
	const batch = 32
	d, rows := strokes(6000, 28)
	for _, c := range []struct {
		name string
		v    Variant
	}{
		{"shift", Variant{Augment: Augment{Shift: 1}}},
		{"shift+rotate+scale", Variant{Augment: Augment{Shift: 1, Rotate: 15, Scale: 0.15}}},
		{"all", Variant{Augment: everything}},
		{"noise", Variant{NoiseShare: 0.1}},
	} {
		b.Run(c.name, func(b *testing.B) {
			a := newAugmenter(&d, &c.v, &shared{})
			i := 0
			for b.Loop() {
				a.batch(i, 0, rows[i%100*batch:][:batch])
				i++
			}
			b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/batch, "ns/example")
		})
	}
}
