package sample

import "testing"

func TestQuartiles(t *testing.T) {
	// As numpy.percentile gives them.
	for _, c := range []struct{ values, want []float64 }{
		{[]float64{7}, []float64{7, 7, 7}},
		{[]float64{2, 1}, []float64{1.25, 1.5, 1.75}},
		{[]float64{1, 2, 3, 4}, []float64{1.75, 2.5, 3.25}},
		{[]float64{10, 2, 3, 4, 1}, []float64{2, 3, 4}},
	} {
		if a, b, d := Quartiles(c.values); a != c.want[0] || b != c.want[1] || d != c.want[2] {
			t.Errorf("%v: found %v %v %v, want %v", c.values, a, b, d, c.want)
		}
	}
	if values := []float64{2, 1}; true {
		if Quartiles(values); values[0] != 2 {
			t.Error("the sample is sorted in place")
		}
	}
}

func TestMeanSD(t *testing.T) {
	for _, c := range []struct {
		values   []float64
		mean, sd float64
	}{{nil, 0, 0}, {[]float64{3}, 3, 0}, {[]float64{1, 3}, 2, 1.4142135623730951}, {[]float64{2, 4, 6}, 4, 2}} {
		if mean, sd := MeanSD(c.values); mean != c.mean || sd != c.sd {
			t.Errorf("%v: found %v ± %v, want %v ± %v", c.values, mean, sd, c.mean, c.sd)
		}
	}
}
