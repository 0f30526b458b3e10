package cpu

import (
	"fmt"
	"math"
	"slices"
	"testing"
)

// TestMoveRows: rows go where the moves say, with zeros in lanes that are not in
// use, and are added up in any order.
func TestMoveRows(t *testing.T) {
	each(t, func(t *testing.T, r *routines) {
		for count := range 14 {
			offset := offsets[count%len(offsets)]
			var moves []move
			for i := range count {
				moves = append(moves, move{int32(i * 7 % 50), int32((count - i) * lanes)})
			}
			from := newGuarded(50+lanes, offset, mixed)
			used := usedLanes(count + 1)
			got := newGuarded((count+1)*lanes, offset, random)
			want := slices.Clone(got.data)
			r.moveRows(got.data, from.data, moves, used)
			moveRows(want, from.data, moves, used)
			same(t, "moved rows", got.data, want, 0, 0)

			period := max(1, count/2)
			moves = moves[:count/period*period]
			sums := newGuarded(50+lanes, offset, random)
			want = slices.Clone(sums.data)
			r.addRows(sums.data, got.data, moves, period)
			addRows(want, got.data, moves, period)
			same(t, "added rows", sums.data, want, 0, 0)
			if !got.intact() || !sums.intact() || !from.intact() {
				t.Fatalf("%d moves: guards are overwritten", count)
			}
		}
	})
}

func TestPixels(t *testing.T) {
	each(t, func(t *testing.T, r *routines) {
		bytes := make([]byte, 17*lanes)
		for i := range bytes {
			bytes[i] = byte(i)
		}
		for n := range 260 {
			got := newGuarded(n, offsets[n%len(offsets)], random)
			want := slices.Clone(got.data)
			r.pixels(got.data, bytes)
			pixels(want, bytes)
			same(t, "pixels", got.data, want, 0, 0)
			if !got.intact() {
				t.Fatalf("%d pixels: guards are overwritten", n)
			}
		}
	})
}

// TestPools: of every even width, with ties, with what is not a number, and written
// no further than a vector beyond the end.
func TestPools(t *testing.T) {
	each(t, func(t *testing.T, r *routines) {
		for width := 2; width <= 70; width += 2 {
			for _, rows := range []int{1, 2, 5} {
				offset := offsets[width%len(offsets)]
				ties := func(i int) float32 { return float32(math.Round(float64(4 * random(i)))) }
				in, d := newGuarded(2*rows*width+lanes, offset, ties), newGuarded(rows*width/2+lanes, offset, random)
				got, want := newGuarded(rows*width/2+lanes, offset, random), make([]float32, rows*width/2)
				what := fmt.Sprintf("%d rows of width %d", rows, width)
				maxPool2(want, in.data, rows, width)
				r.maxPool2(got.data, in.data, rows, width)
				same(t, what, got.data[:len(want)], want, 0, 0)
				for _, least := range []float32{0, float32(math.NaN())} {
					grad, right := newGuarded(2*rows*width+lanes, offset, random), make([]float32, 2*rows*width)
					maxPoolGrad2(right, in.data, d.data, rows, width, least)
					r.maxPoolGrad2(grad.data, in.data, d.data, rows, width, least)
					same(t, what+", gradient", grad.data[:len(right)], right, 0, 0)
					if !grad.intact() {
						t.Fatalf("%s: guards are overwritten", what)
					}
				}
				in.data[2*rows*width-1] = float32(math.NaN())
				r.maxPool2(got.data, in.data, rows, width)
				if last := got.data[len(want)-1]; last == last {
					t.Errorf("%s: the largest of numbers and none is %v", what, last)
				}
				if !got.intact() {
					t.Fatalf("%s: guards are overwritten", what)
				}
			}
		}
	})
}
