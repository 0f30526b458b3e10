package report

import (
	"math"
	"testing"
)

func TestEstimate(t *testing.T) {
	if estimate(nil) != nil {
		t.Error("nothing has an estimate")
	}
	if e := estimate([]float64{0.5}); e.Mean != 0.5 || e.SD != nil || e.Interval != nil || e.N != 1 {
		t.Errorf("of one seed: %+v", e)
	}
	// The quantile of Student's t with 4 degrees of freedom at 0.975 is 2.776445.
	e := estimate([]float64{0.91, 0.92, 0.93, 0.94, 0.95})
	sd := math.Sqrt(0.001 / 4)
	if math.Abs(e.Mean-0.93) > 1e-12 || math.Abs(*e.SD-sd) > 1e-12 || math.Abs(*e.Interval-2.776445*sd/math.Sqrt(5)) > 1e-7 || e.N != 5 {
		t.Errorf("found %v, sd %v, interval %v", e.Mean, *e.SD, *e.Interval)
	}
	for text, e := range map[string]*Estimate{"-": nil, "50.00": estimate([]float64{0.5}), "93.00 ± 1.58": e} {
		if e.String() != text {
			t.Errorf("found %s, want %s", e, text)
		}
	}
}

// Ranges hold about as many values each, every value is in one, and they are in order.
func TestCut(t *testing.T) {
	var values []levelValue
	for i := range 1000 {
		values = append(values, levelValue{number: float64(i * i % 769)})
	}
	values = append(values, absent, absent)
	levels, index := cut(values, true, 8, 5)
	if len(levels) != 6 || levels[0].Value != "none" {
		t.Fatalf("found %+v", levels)
	}
	counts := make([]int, len(levels))
	for i, v := range values {
		l := levels[index[i]]
		counts[index[i]]++
		if v.number < l.low || v.number > l.high {
			t.Errorf("%v is in %s", v, l.Value)
		}
	}
	for i := range levels[1:] {
		if counts[i+1] < 190 || counts[i+1] > 210 || i > 0 && levels[i+1].low <= levels[i].high {
			t.Errorf("%s after %s holds %d of 1,000", levels[i+1].Value, levels[i].Value, counts[i+1])
		}
	}
	for _, c := range []struct {
		numbers []float64
		want    int
	}{{[]float64{1, 2, 3}, 3}, {[]float64{1, 1, 1, 1, 1, 1, 1, 1, 1, 2, 3, 4, 5, 6, 7, 8, 9}, 4}, {[]float64{1, 2, 3, 4, 5, 6, 7, 8, 9, 9, 9, 9, 9, 9, 9, 9, 9, 9}, 3}} {
		values = nil
		for _, v := range c.numbers {
			values = append(values, levelValue{number: v})
		}
		if levels, _ := cut(values, true, 8, 5); len(levels) != c.want {
			t.Errorf("%v: found %+v, want %d", c.numbers, levels, c.want)
		}
	}
}
