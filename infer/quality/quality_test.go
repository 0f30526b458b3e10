package quality

import (
	"encoding/json"
	"math"
	"os"
	"slices"
	"testing"
)

func near(a, b float64) bool { return math.Abs(a-b) <= 1e-12 }

// value is what a pointer points to, NaN for nil.
func value(p *float64) float64 {
	if p == nil {
		return math.NaN()
	}
	return *p
}

// Six examples of three classes, counted by hand.
func TestByHand(t *testing.T) {
	outputs := []float32{
		0.9, 0.1, 0.0, // a 0, right
		0.2, 0.7, 0.6, // a 1, right
		0.3, 0.4, 0.1, // a 0, taken for 1; second
		0.95, 0.5, 0.2, // a 1, taken for 0; second
		0.5, 0.5, 0.4, // a 1: the first of equals is 0
		0.6, 0.2, 0.6, // a 0, the first of equals: right
	}
	labels := []byte{0, 1, 0, 1, 1, 0}
	q := Of(outputs, labels, 3, false)
	if q.N != 6 || !near(q.Accuracy, 3./6) || !near(q.Top2, 1) {
		t.Errorf("found %d examples, %v right, %v among two", q.N, q.Accuracy, q.Top2)
	}
	if want := [][]int{{2, 1, 0}, {2, 1, 0}, {0, 0, 0}}; !slices.EqualFunc(q.Confusion, want, slices.Equal) {
		t.Errorf("confusion %v, want %v", q.Confusion, want)
	}
	if !near(value(q.Precision[0]), 2./4) || !near(value(q.Precision[1]), 1./2) || q.Precision[2] != nil {
		t.Errorf("precision %v %v %v", value(q.Precision[0]), value(q.Precision[1]), value(q.Precision[2]))
	}
	if !near(value(q.Recall[0]), 2./3) || !near(value(q.Recall[1]), 1./3) || q.Recall[2] != nil {
		t.Errorf("recall %v %v %v", value(q.Recall[0]), value(q.Recall[1]), value(q.Recall[2]))
	}
	// Bins of 1/15: 0.9 is in (13/15, 14/15], 0.7 in (10/15, 11/15],
	// 0.95 in the last and 0.5 in (7/15, 8/15]. 0.4 and 0.6 are bounds, 6/15 and 9/15, of
	// which float32's neighbours are a little larger.
	c := q.Calibration
	for k, want := range map[int]Bin{13: {N: 1, Accuracy: 1}, 10: {N: 1, Accuracy: 1}, 6: {N: 1}, 14: {N: 1}, 7: {N: 1}, 9: {N: 1, Accuracy: 1}} {
		if b := c.Bins[k]; b.N != want.N || b.Accuracy != want.Accuracy {
			t.Errorf("bin %d: found %+v, want %+v", k, b, want)
		}
	}
	wide := func(v float32) float64 { return float64(v) }
	if want := (0.1 + 0.3 + 0.4 + 0.95 + 0.5 + 0.4) / 6; math.Abs(c.Error-want) > 1e-7 {
		t.Errorf("calibration error %v, want %v", c.Error, want)
	}
	// One example of chance p lies p(1-p) + (1-p)p from p in the mean.
	chance := 0.
	for _, p := range []float64{wide(0.9), wide(0.7), wide(0.4), wide(0.95), 0.5, wide(0.6)} {
		chance += 2 * p * (1 - p) / 6
	}
	if !near(c.ByChance, chance) {
		t.Errorf("by chance %v, want %v", c.ByChance, chance)
	}
	// float32's 0.9 is below 0.9.
	if !near(c.Sure, 1./6) || c.SureWrong != 1 || !near(value(c.SureMistakes), 1./3) {
		t.Errorf("sure %v, %d wrong, %v of the mistakes", c.Sure, c.SureWrong, value(c.SureMistakes))
	}
	if pairs := q.Pairs(5); !slices.Equal(pairs, []Pair{{1, 0, 2}, {0, 1, 1}}) {
		t.Errorf("pairs %v", pairs)
	}
	var chosen []int
	for _, m := range q.Chosen(1, 0) {
		chosen = append(chosen, m.Index)
	}
	if !slices.Equal(chosen, []int{3, 4}) { // the most confident first
		t.Errorf("the 1s that are taken for 0 are %v, want 3 and 4", chosen)
	}
	if n := len(q.Chosen(-1, -1)); n != 3 || len(q.Chosen(0, -1)) != 1 || len(q.Chosen(-1, 1)) != 1 {
		t.Errorf("%d mistakes in all", n)
	}
}

// Outputs that are neither logits nor from 0 to 1 do not say how sure a network is.
func TestWithoutConfidence(t *testing.T) {
	q := Of([]float32{1.5, 0, -0.2, 0.3}, []byte{0, 0}, 2, false)
	if q.Calibration != nil || !near(q.Accuracy, 0.5) || len(q.Mistakes) != 1 || q.Mistakes[0].Confidence != nil {
		t.Errorf("found %+v", q)
	}
	if n := len(q.Chosen(-1, -1)); n != 1 {
		t.Errorf("%d mistakes, want 1", n)
	}
	// Logits do.
	if q := Of([]float32{1.5, 0, -0.2, 0.3}, []byte{0, 0}, 2, true); q.Calibration == nil || !near(q.Calibration.Confidence, (1/(1+math.Exp(-1.5))+1/(1+math.Exp(float64(float32(-0.2))-float64(float32(0.3)))))/2) {
		t.Errorf("found %+v", q.Calibration)
	}
}

// The deviation by de Moivre's formula is the sum over all outcomes.
func TestDeviation(t *testing.T) {
	for _, n := range []int{1, 2, 3, 7, 40} {
		for _, p := range []float64{0.01, 0.3, 0.5, 0.97} {
			want, chance := 0., math.Pow(1-p, float64(n))
			for k := 0; k <= n; k++ {
				want += chance * math.Abs(float64(k)/float64(n)-p)
				chance *= float64(n-k) / float64(k+1) * p / (1 - p)
			}
			if got := deviation(n, p); math.Abs(got-want) > 1e-10 {
				t.Errorf("n = %d, p = %v: found %v, want %v", n, p, got, want)
			}
		}
	}
	if deviation(5, 0) != 0 || deviation(5, 1) != 0 {
		t.Error("what is certain deviates")
	}
}

// Wilson's intervals: the roots of (p − q)² = z² q(1 − q)/n.
func TestInterval(t *testing.T) {
	for _, c := range []struct {
		n            int
		p, low, high float64
	}{{10, 0.5, 0.236593, 0.763407}, {20, 0.95, 0.763869, 0.991119}, {5, 1, 0.565518, 1}, {3, 0, 0, 0.561497}} {
		if low, high := (Bin{N: c.n, Accuracy: c.p}).Interval(); math.Abs(low-c.low) > 1e-6 || math.Abs(high-c.high) > 1e-6 {
			t.Errorf("%v of %d: %v to %v, want %v to %v", c.p, c.n, low, high, c.low, c.high)
		}
	}
}

func TestDeadUnits(t *testing.T) {
	l := NewLayer("h1", 2, []float32{0, 0, 0.5, -1}, []float32{0, 2, 0.5005, -0.9})
	if l.Units != 4 || !slices.Equal(l.Dead, []int{0, 2}) || l.Title() != "layer 2" || (Layer{Name: "relu9"}).Title() != "relu9" {
		t.Errorf("found %+v", l)
	}
	if dead, units := Dead([]Layer{l, l}); dead != 4 || units != 8 {
		t.Errorf("%d of %d are dead, want 4 of 8", dead, units)
	}
}

// scikit-learn's numbers, which testdata/scikit_learn.py wrote.
func TestAgainstScikitLearn(t *testing.T) {
	text, err := os.ReadFile("testdata/scikit_learn.json")
	if err != nil {
		t.Fatal(err)
	}
	var data struct {
		Cases []struct {
			Name                  string
			Classes               int
			Softmax               bool
			Outputs               []float32
			Labels                []int
			Accuracy, Top2, Error float64
			Confusion             [][]int
			Precision, Recall     []float64
			Counts                []int
			BinAccuracy           []float64 `json:"bin_accuracy"`
			BinConfidence         []float64 `json:"bin_confidence"`
		}
	}
	if err := json.Unmarshal(text, &data); err != nil {
		t.Fatal(err)
	}
	if len(data.Cases) == 0 {
		t.Fatal("no cases")
	}
	for _, c := range data.Cases {
		var labels []byte
		for _, l := range c.Labels {
			labels = append(labels, byte(l))
		}
		q := Of(c.Outputs, labels, c.Classes, c.Softmax)
		if !near(q.Accuracy, c.Accuracy) || !near(q.Top2, c.Top2) || !slices.EqualFunc(q.Confusion, c.Confusion, slices.Equal) {
			t.Errorf("%s: accuracy %v, top 2 %v, %v; want %v, %v, %v", c.Name, q.Accuracy, q.Top2, q.Confusion, c.Accuracy, c.Top2, c.Confusion)
		}
		for k := range c.Classes {
			// What has no value is 0 there.
			p, r := value(q.Precision[k]), value(q.Recall[k])
			if !near(p, c.Precision[k]) && !(math.IsNaN(p) && c.Precision[k] == 0) || !near(r, c.Recall[k]) && !(math.IsNaN(r) && c.Recall[k] == 0) {
				t.Errorf("%s: class %d has precision %v and recall %v, want %v and %v", c.Name, k, p, r, c.Precision[k], c.Recall[k])
			}
		}
		full := 0
		for k, b := range q.Calibration.Bins {
			if b.N != c.Counts[k] {
				t.Errorf("%s: bin %d has %d examples, want %d", c.Name, k, b.N, c.Counts[k])
			}
			if b.N == 0 {
				continue
			}
			if !near(b.Accuracy, c.BinAccuracy[full]) || !near(b.Confidence, c.BinConfidence[full]) {
				t.Errorf("%s: bin %d has accuracy %v at %v, want %v at %v", c.Name, k, b.Accuracy, b.Confidence, c.BinAccuracy[full], c.BinConfidence[full])
			}
			full++
		}
		if full != len(c.BinAccuracy) || !near(q.Calibration.Error, c.Error) {
			t.Errorf("%s: expected calibration error %v in %d bins, want %v in %d", c.Name, q.Calibration.Error, full, c.Error, len(c.BinAccuracy))
		}
	}
}
