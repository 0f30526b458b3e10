package kernels

import (
	"context"
	"testing"

	"vanilla/graph/ir"
)

// repeating is an inference whose hidden units leave what the image's first pixels are.
type repeating struct {
	Inference
	hidden          ir.ID
	features, units int
	calls           []int // how many images each had
}

func (n *repeating) Forward(_ context.Context, x []float32) ([][]float32, error) {
	values := make([][]float32, n.hidden+1)
	for from := 0; from < len(x); from += n.features {
		values[n.hidden] = append(values[n.hidden], x[from:from+n.units]...)
	}
	n.calls = append(n.calls, len(x)/n.features)
	return values, nil
}

// Images are run until all units vary, and as many as there are if one does not, in whole
// batches.
func TestRanges(t *testing.T) {
	p := network3x2(t, 2)
	var hidden ir.ID
	for _, op := range p.Ops[:p.Forward] {
		if op.Code == ir.Act && op.Out != p.Output {
			hidden = op.Out
		}
	}
	const count = 2500
	for _, c := range []struct {
		name   string
		varies [2]int // the first image in which a unit leaves something else; count for none
		batch  int
		run    int
	}{
		{"both at once", [2]int{1, 2}, 0, 64},
		{"both at once, in batches", [2]int{1, 2}, 7, 63},
		{"both at once, in large batches", [2]int{1, 2}, 100, 100},
		{"one later", [2]int{1, 65}, 0, 1064},
		{"one later, in batches", [2]int{1300, 2}, 7, 63 + 2*994},
		{"one at the end", [2]int{1, count - 1}, 7, count},
		{"one never, the other at the end", [2]int{count, 0}, 0, count},
	} {
		pixels := make([]byte, 3*count)
		for u, at := range c.varies {
			for i := at; i < count; i++ {
				pixels[3*i+u] = 255
			}
		}
		if c.varies[1] == 0 { // up to the last one
			pixels[3*(count-1)+1] = 0
		}
		n := &repeating{hidden: hidden, features: 3, units: 2}
		ranges, err := Ranges(t.Context(), n, p, c.batch, pixels, 0.5)
		if err != nil {
			t.Fatal(err)
		}
		run := 0
		for k, images := range n.calls {
			if run += images; c.batch > 0 && images%c.batch != 0 && (k < len(n.calls)-1 || run < count) {
				t.Errorf("%s: %d images at once are no whole batches", c.name, images)
			}
		}
		if run != c.run {
			t.Errorf("%s: %d images were run, want %d", c.name, run, c.run)
		}
		if len(ranges) != 1 || ranges[0].Layer != 2 || len(ranges[0].Low) != 2 {
			t.Fatalf("%s: ranges %+v, want those of layer 2's units", c.name, ranges)
		}
		for u, at := range c.varies {
			if got := ranges[0].High[u] - ranges[0].Low[u]; (got == 1) != (at < count) {
				t.Errorf("%s: the range of unit %d is %v", c.name, u, got)
			}
		}
	}
}
