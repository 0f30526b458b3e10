package cpu

import (
	"fmt"
	"math"
	"slices"
	"testing"
)

// ways an operand moves through panels: each element its own, a number for each
// row, a row for all, one number.
func ways(rows, panels int) []struct{ row, next, length int } {
	return []struct{ row, next, length int }{
		{rowBytes, 0, rows * panels * lanes},
		{rowBytes, -rows * rowBytes, rows * lanes},
		{0, rowBytes, panels * lanes},
		{0, 0, lanes},
	}
}

// mixed draws numbers some of which are special.
func mixed(i int) float32 {
	if i%3 == 0 {
		return special[(i*7)%len(special)]
	}
	return 20 * random(i)
}

// TestMaps: routines of maps against the portable ones, whose results they have to
// the bit but where they round once where the portable ones round twice.
func TestMaps(t *testing.T) {
	each(t, func(t *testing.T, r *routines) {
		for name, f := range map[string][2]map1{
			"neg": {r.maps.neg, portableMaps.neg}, "abs": {r.maps.abs, portableMaps.abs}, "sqrt": {r.maps.sqrt, portableMaps.sqrt},
			"inv": {r.maps.inv, portableMaps.inv}, "exp": {r.maps.exp, portableMaps.exp},
		} {
			for vectors := range 40 {
				offset := offsets[vectors%len(offsets)]
				a, got := newGuarded(vectors*lanes, offset, mixed), newGuarded(vectors*lanes, offset, random)
				if vectors == 39 && name == "exp" {
					a = newGuarded(vectors*lanes, offset, func(i int) float32 { return 89 * random(i) })
				}
				want := make([]float32, vectors*lanes)
				f[0](got.data, a.data)
				f[1](want, a.data)
				relative, absolute := 0.0, 0.0
				if name == "exp" {
					relative, absolute = 4*0x1p-24, tiny
				}
				same(t, name, got.data, want, absolute, relative)
				if !got.intact() {
					t.Fatalf("%s: guards are overwritten", name)
				}
			}
		}
		for name, f := range map[string][2]map2{
			"add": {r.maps.add, portableMaps.add}, "sub": {r.maps.sub, portableMaps.sub}, "mul": {r.maps.mul, portableMaps.mul}, "div": {r.maps.div, portableMaps.div},
			"gt": {r.maps.gt, portableMaps.gt}, "ge": {r.maps.ge, portableMaps.ge}, "lt": {r.maps.lt, portableMaps.lt}, "le": {r.maps.le, portableMaps.le},
		} {
			eachPanels(func(rows, panels int) {
				for _, x := range ways(rows, panels) {
					for _, y := range ways(rows, panels) {
						offset := offsets[(rows+panels)%len(offsets)]
						a, b := newGuarded(x.length, offset, mixed), newGuarded(y.length, offset, func(i int) float32 { return mixed(i + rows) })
						got, want := newGuarded(rows*panels*lanes, offset, random), make([]float32, rows*panels*lanes)
						f[0](got.data, a.data, b.data, rows, panels, x.row, x.next, y.row, y.next)
						f[1](want, a.data, b.data, rows, panels, x.row, x.next, y.row, y.next)
						same(t, fmt.Sprintf("%s, %d rows, %d panels, %v %v", name, rows, panels, x, y), got.data, want, 0, 0)
						if !got.intact() {
							t.Fatalf("%s: guards are overwritten", name)
						}
					}
				}
			})
		}
		for name, f := range map[string]map3{"mul-add": r.maps.mulAdd, "mul-sub": r.maps.mulSub} {
			eachPanels(func(rows, panels int) {
				all := ways(rows, panels)
				for k := range 64 {
					x, y, z := all[k%4], all[k/4%4], all[k/16]
					offset := offsets[(rows+panels)%len(offsets)]
					a, b, c := newGuarded(x.length, offset, random), newGuarded(y.length, offset, random), newGuarded(z.length, offset, random)
					a.data[0] = notFinite[k%len(notFinite)]
					got, want := newGuarded(rows*panels*lanes, offset, random), make([]float32, rows*panels*lanes)
					f(got.data, a.data, b.data, c.data, rows, panels, x.row, x.next, y.row, y.next, z.row, z.next)
					onRows(want, rows, panels, []steps{{a.data, x.row, x.next}, {b.data, y.row, y.next}, {c.data, z.row, z.next}}, func(out *[lanes]float32, in []*[lanes]float32) {
						for i := range out {
							p := float64(in[0][i]) * float64(in[1][i])
							if name == "mul-sub" {
								p = -p
							}
							out[i] = float32(float64(in[2][i]) + p)
						}
					})
					same(t, name, got.data, want, 2*ulp, 0) // products and sums below 2, rounded once or twice
					if !got.intact() {
						t.Fatalf("%s: guards are overwritten", name)
					}
				}
			})
		}
	})
}

func eachPanels(test func(rows, panels int)) {
	for rows := 1; rows <= 5; rows++ {
		for panels := 1; panels <= 3; panels++ {
			test(rows, panels)
		}
	}
	test(33, 1)
}

// TestRowSums: to the bit as defined, whatever stands in lanes that are not in use.
func TestRowSums(t *testing.T) {
	each(t, func(t *testing.T, r *routines) {
		for _, cols := range []int{1, 2, 15, 16, 17, 33, 64, 129} {
			for _, rows := range []int{1, 2, 3, 32} {
				offset := offsets[(rows+cols)%len(offsets)]
				a := newGuarded(rows*padded(cols), offset, random)
				if cols%3 == 0 {
					a.data[(rows-1)*lanes] = notFinite[rows%len(notFinite)]
				}
				for i := range rows {
					row := a.data[((panels(cols)-1)*rows+i)*lanes:][:lanes]
					for l := (cols-1)%lanes + 1; l < lanes; l++ {
						row[l] = float32(math.NaN())
					}
				}
				got, want := newGuarded(rows*lanes, offset, random), make([]float32, rows*lanes)
				before := slices.Clone(a.data)
				r.rowSums(got.data, a.data, usedLanes(cols), rows, panels(cols))
				rowSums(want, a.data, usedLanes(cols), rows, panels(cols))
				same(t, fmt.Sprintf("%d rows of %d columns", rows, cols), got.data, want, 0, 0)
				same(t, "what is summed", a.data, before, 0, 0)
				for i := range rows {
					sum := 0.0
					for c := range cols {
						sum += float64(a.data[(c/lanes*rows+i)*lanes+c%lanes])
					}
					same(t, "sum", got.data[i*lanes:i*lanes+1], []float32{float32(sum)}, float64(cols)*float64(cols)*ulp, 0)
				}
				if !got.intact() || !a.intact() {
					t.Fatalf("%d rows of %d columns: guards are overwritten", rows, cols)
				}
			}
		}
	})
}
