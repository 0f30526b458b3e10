package warp

import (
	"bytes"
	"fmt"
	"math"
	"math/rand/v2"
	"testing"
)

var still = Map{UX: Unit, VY: Unit}

// picture is an image with zeros and edges, as digits are.
func picture(random *rand.Rand, rows, cols int) []byte {
	image := make([]byte, rows*cols)
	for i := range image {
		switch random.IntN(4) {
		case 0:
			image[i] = byte(random.IntN(256))
		case 1:
			image[i] = 255
		}
	}
	return image
}

// sizes are extents on both sides of what fits registers and strides.
var sizes = [][2]int{{1, 1}, {1, 9}, {5, 3}, {8, 8}, {28, 28}, {28, 30}, {7, 31}, {33, 32}, {12, 62}, {9, 63}, {64, 64}, {3, 512}, {512, 2}}

// An image is itself when nothing happens, and moves by whole pixels as it should.
func TestMoved(t *testing.T) {
	random := rand.New(rand.NewPCG(1, 1))
	for _, s := range sizes {
		rows, cols := s[0], s[1]
		from := picture(random, rows, cols)
		for _, r := range available() {
			w := newWarper(rows, cols, r)
			for _, by := range [][2]int{{0, 0}, {1, 0}, {0, -1}, {-2, 3}, {rows, 0}, {0, -2 * cols}} {
				m := still
				m.V, m.U = -int32(by[0])*Unit, -int32(by[1])*Unit
				got, want := make([]byte, rows*cols), make([]byte, rows*cols)
				for y := range rows {
					for x := range cols {
						if fromY, fromX := y-by[0], x-by[1]; fromY >= 0 && fromY < rows && fromX >= 0 && fromX < cols {
							want[y*cols+x] = from[fromY*cols+fromX]
						}
					}
				}
				if w.Warp(got, from, 0, m, nil); !bytes.Equal(got, want) {
					t.Fatalf("%s: %dx%d moved by %v is not what it should be", r.name, rows, cols, by)
				}
			}
		}
	}
}

// All sets compute the same bytes, whatever the image, the map, the stroke and the
// field, write nothing where they may not, and read nothing that is not theirs.
func TestAgree(t *testing.T) {
	random := rand.New(rand.NewPCG(2, 2))
	for _, s := range sizes {
		rows, cols := s[0], s[1]
		const fieldStride = 600
		f := &Field{Stride: fieldStride}
		for range rows*fieldStride + 8 {
			f.DX, f.DY = append(f.DX, int16(random.Uint32())), append(f.DY, int16(random.Uint32()))
		}
		for trial := range 40 {
			from := picture(random, rows, cols)
			factor := func() int32 { return int32((random.Float64()*2 - 1) * MaxScale / 2) }
			offset := func() int32 { return int32((random.Float64()*2 - 1) * MaxOffset) }
			m := Map{offset(), factor(), factor(), offset(), factor(), factor()}
			if trial%2 == 0 { // within the image
				near := func() int32 { return int32(random.IntN(Unit/2)) - Unit/4 }
				m = Map{near(), Unit + near(), near(), near(), near(), Unit + near()}
			}
			stroke := random.IntN(2*FullStroke+1) - FullStroke
			bent := f
			if f.Gain = int16(random.Uint32() >> 17); trial%3 == 0 {
				bent = nil
			}
			want := make([]byte, rows*cols)
			newWarper(rows, cols, &portable).Warp(want, from, stroke, m, bent)
			for _, r := range available() {
				w := newWarper(rows, cols, r)
				tight := make([]byte, rows*cols)
				w.Warp(tight[:rows*cols:rows*cols], from[:rows*cols:rows*cols], stroke, m, bent)
				loose := bytes.Repeat([]byte{7}, 32+rows*cols+64)
				w.Warp(loose[32:32+rows*cols], append(bytes.Clone(from), bytes.Repeat([]byte{200}, 64)...)[:rows*cols], stroke, m, bent)
				if !bytes.Equal(tight, want) || !bytes.Equal(loose[32:32+rows*cols], want) {
					t.Fatalf("%s: %dx%d pixels, trial %d: other bytes than portable", r.name, rows, cols, trial)
				}
				if bytes.Count(loose[:32], []byte{7}) != 32 || bytes.Count(loose[64+rows*cols:], []byte{7}) != 32 {
					t.Fatalf("%s: %dx%d pixels: wrote where it may not", r.name, rows, cols)
				}
			}
		}
	}
}

// Pixels are what bilinear interpolation in float64 gives, but for the rounding of
// places to 64ths.
func TestInterpolation(t *testing.T) {
	random := rand.New(rand.NewPCG(3, 3))
	const rows, cols = 28, 28
	from := make([]byte, rows*cols)
	for i := range from { // smooth: a 64th of a pixel is little
		from[i] = byte(127 + 100*math.Sin(float64(i%cols)/5)*math.Cos(float64(i/cols)/4))
	}
	pixel := func(x, y int) float64 {
		if x < 0 || y < 0 || x >= cols || y >= rows {
			return 0
		}
		return float64(from[y*cols+x])
	}
	angle := 0.3
	c, s := math.Cos(angle)*1.1, math.Sin(angle)*1.1
	m := Map{U: 4 * Unit, UX: int32(c * Unit), UY: int32(s * Unit), V: 2 * Unit, VX: int32(-s * Unit), VY: int32(c * Unit)}
	m.V = 9 * Unit
	f := &Field{Stride: cols + 8, Gain: 12345}
	for range (rows + 1) * f.Stride {
		f.DX, f.DY = append(f.DX, int16(random.Uint32()>>3)), append(f.DY, int16(random.Uint32()>>3))
	}
	got := make([]byte, rows*cols)
	New(rows, cols).Warp(got, from, 0, m, f)
	worst := 0.0
	for y := range rows {
		for x := range cols {
			at := y*f.Stride + x
			u := (float64(m.U)+float64(x)*float64(m.UX)+float64(y)*float64(m.UY))/Unit + float64(f.DX[at])*float64(f.Gain)/(1<<15)/256
			v := (float64(m.V)+float64(x)*float64(m.VX)+float64(y)*float64(m.VY))/Unit + float64(f.DY[at])*float64(f.Gain)/(1<<15)/256
			if u < 1 || v < 1 || u > cols-2 || v > rows-2 {
				continue // the edge is steep
			}
			fx, fy := u-math.Floor(u), v-math.Floor(v)
			x0, y0 := int(math.Floor(u)), int(math.Floor(v))
			want := (1-fy)*((1-fx)*pixel(x0, y0)+fx*pixel(x0+1, y0)) + fy*((1-fx)*pixel(x0, y0+1)+fx*pixel(x0+1, y0+1))
			worst = max(worst, math.Abs(want-float64(got[y*cols+x])))
		}
	}
	// Neighbours differ by at most 25, of which a place is wrong by up to a 64th each
	// way, and results are rounded.
	if worst > 2*25./64+0.5 {
		t.Errorf("a pixel is wrong by %.2f", worst)
	}
}

// A stroke a pixel wide becomes three, half a pixel on each side half of that, and
// what is thin goes.
func TestStroke(t *testing.T) {
	const side = 7
	from := make([]byte, side*side)
	for y := range side {
		from[y*side+3] = 200
	}
	for _, r := range available() {
		for _, c := range []struct {
			stroke int
			want   [side]byte
		}{
			{FullStroke, [side]byte{0, 0, 200, 200, 200, 0, 0}},
			{FullStroke / 2, [side]byte{0, 0, 100, 200, 100, 0, 0}},
			{-FullStroke / 4, [side]byte{0, 0, 0, 150, 0, 0, 0}},
			{-FullStroke, [side]byte{}},
		} {
			got := make([]byte, side*side)
			newWarper(side, side, r).Warp(got, from, c.stroke, still, nil)
			if row := [side]byte(got[3*side:]); row != c.want {
				t.Errorf("%s, stroke %d: %v, want %v", r.name, c.stroke, row, c.want)
			}
		}
	}
}

// BenchmarkWarp warps an image of MNIST's extent.
func BenchmarkWarp(b *testing.B) {
	random := rand.New(rand.NewPCG(4, 4))
	const side, count = 28, 64
	from := picture(random, count*side, side)
	f := &Field{DX: make([]int16, 300*300), DY: make([]int16, 300*300), Stride: 292, Gain: 5000}
	m := Map{U: 3 * Unit, UX: 60000, UY: 10000, V: -2 * Unit, VX: -10000, VY: 70000}
	for _, r := range available() {
		for _, c := range []struct {
			name   string
			stroke int
			field  *Field
		}{{"affine", 0, nil}, {"affine+stroke", 100, nil}, {"all", 100, f}} {
			b.Run(fmt.Sprintf("set=%s/warp=%s", r.name, c.name), func(b *testing.B) {
				w, to := newWarper(side, side, r), make([]byte, side*side, side*side+32)
				i := 0
				for b.Loop() {
					w.Warp(to, from[i%(count-1)*side*side:][:side*side], c.stroke, m, c.field)
					i++
				}
			})
		}
	}
}
