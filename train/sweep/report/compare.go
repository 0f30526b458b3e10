package report

import (
	"errors"
	"fmt"
	"maps"
	"math"
	"slices"
	"strings"

	"gonum.org/v1/gonum/stat"
	"gonum.org/v1/gonum/stat/distuv"

	"vanilla/internal/sample"
	"vanilla/internal/words"
	"vanilla/train"
	"vanilla/train/sweep"
)

// Seeds identify a network of a recipe: equal ones begin from the same numbers and see the images in the same order.
type Seeds struct{ Seed, OrderSeed uint64 }

// Side is one of two things that are compared: a recipe that was trained with several seeds.
type Side struct {
	Name        string // what the user calls it
	Recipe      train.Recipe
	From        *train.Start // whose weights training started from, nil for random ones
	Data        train.Fingerprint
	Arithmetics []string
	// Test and Validation are accuracies on the test images and on those held out, of the networks that have them.
	// Diverged are those that have none because they diverged.
	Test, Validation map[Seeds]float64
	Diverged         []Seeds
}

// Comparison is what two sides' seeds say of the difference of their accuracies.
type Comparison struct {
	// Measure is "test images" or "held-out images".
	Measure string       `json:"measure"`
	A       ComparedSide `json:"a"`
	B       ComparedSide `json:"b"`
	Changes []Change     `json:"changes"` // of the recipe and of the weights that training started from, from A to B
	Notes   []string     `json:"notes,omitempty"`
	Paired  bool         `json:"paired"` // the seeds are the same, and differences are taken seed by seed
	Pairs   int          `json:"pairs,omitempty"`
	Result  *TestOfMeans `json:"result"` // nil if there are too few seeds
	// Sampling is what the interval is not about: the images.
	Sampling *Sampling `json:"sampling"`
}

// Sampling says how much a choice of other images, as many and of the same kind, would move accuracies: standard errors. All
// seeds are measured on the same images, so their deviation does not hold it.
type Sampling struct {
	Images int     `json:"images"`
	A      float64 `json:"a"`
	B      float64 `json:"b"`
	// Most is what it would move the difference by, at most: as much if the two err on different images, and less the more
	// they err on the same ones.
	Most float64 `json:"difference_at_most"`
}

func samplingOf(a, b float64, n int) *Sampling {
	errors, d := math.Min(1, 2-a-b), a-b
	return &Sampling{n, sample.ShareSE(a, n), sample.ShareSE(b, n), math.Sqrt(math.Max(0, errors-d*d) / float64(max(1, n)))}
}

// ComparedSide is a side in a comparison.
type ComparedSide struct {
	Name     string    `json:"name"`
	Accuracy *Estimate `json:"accuracy"`
	Diverged int       `json:"diverged"`
}

// Change is a setting in which recipes differ. A side that does not have it has nil: sgd has no momentum, which is not a
// momentum of 0. A block or norm that is not there is "none".
type Change struct {
	Setting string `json:"setting"`
	A       any    `json:"a"`
	B       any    `json:"b"`
}

// TestOfMeans is a t-test of the difference B - A of mean accuracies: of pairs, or Welch's of independent samples.
type TestOfMeans struct {
	Difference float64 `json:"difference"` // B - A, a fraction
	Lower      float64 `json:"lower95"`
	Upper      float64 `json:"upper95"`
	P          float64 `json:"p"` // two-sided
	// Needed is how many seeds of each would show a true difference of this size, at 5 %, in four of five comparisons:
	// 0 if no number would, because there is none.
	Needed int `json:"seeds_needed"`
}

// Settled is whether the interval leaves out 0.
func (t *TestOfMeans) Settled() bool { return t.Lower > 0 || t.Upper < 0 }

// Compare compares two sides by their accuracies on the test images, or where one has none, on the held-out images. It
// fails if they are not of the same data, or the same images are not held out.
func Compare(a, b Side) (*Comparison, error) {
	if a.Data != b.Data {
		return nil, fmt.Errorf("%s and %s were trained on different data: nothing can be said of their difference", a.Name, b.Name)
	}
	c := &Comparison{Measure: "test images"}
	x, y, n := a.Test, b.Test, a.Data.Test
	if len(x) == 0 || len(y) == 0 {
		c.Measure = "held-out images"
		x, y, n = a.Validation, b.Validation, int(math.Round(a.Recipe.Validation*float64(a.Data.Train)))
		switch {
		case len(x) == 0 || len(y) == 0:
			return nil, fmt.Errorf("%s and %s have no accuracies on the same images: want the test images' or the held-out images' of both", a.Name, b.Name)
		case a.Recipe.Validation != b.Recipe.Validation:
			return nil, fmt.Errorf("%s holds out %v of the training images, %s %v: want the same images for both", a.Name, a.Recipe.Validation, b.Name, b.Recipe.Validation)
		}
	}
	c.A = ComparedSide{a.Name, estimate(inOrder(x)), len(a.Diverged)}
	c.B = ComparedSide{b.Name, estimate(inOrder(y)), len(b.Diverged)}
	if c.A.Accuracy != nil && c.B.Accuracy != nil {
		c.Sampling = samplingOf(c.A.Accuracy.Mean, c.B.Accuracy.Mean, n)
	}
	for _, field := range train.Fields() {
		if before, after := setting(&a.Recipe, field), setting(&b.Recipe, field); before != after {
			c.Changes = append(c.Changes, Change{field, before, after})
		}
	}
	if !a.From.Same(b.From) {
		c.Changes = append(c.Changes, Change{"from", start(a.From), start(b.From)})
	}
	for _, side := range []Side{a, b} {
		if n := len(side.Diverged); n > 0 {
			c.Notes = append(c.Notes, fmt.Sprintf("%s diverged with %s, which count in nothing but this note", side.Name, words.Plural(n, "seed")))
		}
	}
	all := slices.Compact(slices.Sorted(slices.Values(append(slices.Clone(a.Arithmetics), b.Arithmetics...))))
	if len(all) > 1 {
		c.Notes = append(c.Notes, "the networks were trained in different arithmetic: "+strings.Join(all, "; "))
	}
	var differences []float64
	for _, s := range sortedSeeds(x) {
		if other, ok := y[s]; ok {
			differences = append(differences, other-x[s])
		}
	}
	switch {
	case len(differences) >= 2:
		c.Paired, c.Pairs = true, len(differences)
		c.Result = paired(differences)
		if left := len(x) + len(y) - 2*len(differences); left > 0 {
			have, are := "have", "are"
			if left == 1 {
				have, are = "has", "is"
			}
			c.Notes = append(c.Notes, fmt.Sprintf("%s %s no partner of equal seed and order, and %s left out of the difference", words.Plural(left, "network"), have, are))
		}
	case len(x) >= 2 && len(y) >= 2:
		c.Result = welch(inOrder(x), inOrder(y))
	}
	return c, nil
}

// setting is a value of a recipe as a [Change] has it.
func setting(r *train.Recipe, field string) any {
	if !r.Has(field) {
		return nil
	}
	if v := r.Get(field); v != "" {
		return v
	}
	return "none"
}

// start is what training started from as a [Change] has it.
func start(from *train.Start) any {
	if from == nil {
		return nil
	}
	return "the weights of " + from.String()
}

func sortedSeeds(values map[Seeds]float64) []Seeds {
	return slices.SortedFunc(maps.Keys(values), func(a, b Seeds) int {
		switch {
		case a.Seed != b.Seed:
			return btoi(a.Seed > b.Seed) - btoi(a.Seed < b.Seed)
		}
		return btoi(a.OrderSeed > b.OrderSeed) - btoi(a.OrderSeed < b.OrderSeed)
	})
}

// inOrder are the values in the order of the seeds, so that sums are always the same.
func inOrder(values map[Seeds]float64) []float64 {
	var sorted []float64
	for _, s := range sortedSeeds(values) {
		sorted = append(sorted, values[s])
	}
	return sorted
}

// paired is Student's t-test of two or more differences.
func paired(differences []float64) *TestOfMeans {
	n := float64(len(differences))
	mean, sd := stat.MeanStdDev(differences, nil)
	t := tTest(mean, sd/math.Sqrt(n), n-1)
	t.Needed = seedsNeeded(mean, sd, 1)
	return t
}

// welch is the t-test of two independent samples of two or more that need not have one variance (Welch, 1947).
func welch(a, b []float64) *TestOfMeans {
	meanA, sdA := stat.MeanStdDev(a, nil)
	meanB, sdB := stat.MeanStdDev(b, nil)
	va, vb := sdA*sdA/float64(len(a)), sdB*sdB/float64(len(b))
	freedom := math.Inf(1)
	if va+vb > 0 {
		freedom = (va + vb) * (va + vb) / (va*va/float64(len(a)-1) + vb*vb/float64(len(b)-1))
	}
	t := tTest(meanB-meanA, math.Sqrt(va+vb), freedom)
	t.Needed = seedsNeeded(meanB-meanA, math.Sqrt((sdA*sdA+sdB*sdB)/2), 2)
	return t
}

// tTest is that of a difference with its standard error.
func tTest(difference, deviation, freedom float64) *TestOfMeans {
	if deviation == 0 { // all differences are the same
		p := 0.
		if difference == 0 {
			p = 1
		}
		return &TestOfMeans{Difference: difference, Lower: difference, Upper: difference, P: p}
	}
	d := distuv.StudentsT{Sigma: 1, Nu: freedom}
	if math.IsInf(freedom, 1) {
		d.Nu = 1e9
	}
	half := d.Quantile((1+confidence)/2) * deviation
	return &TestOfMeans{Difference: difference, Lower: difference - half, Upper: difference + half,
		P: 2 * d.Survival(math.Abs(difference)/deviation)}
}

// power is the share of comparisons in which a true difference is to be found.
const power = 0.8

// mostNeeded is where counting ends.
const mostNeeded = 1_000_000

// seedsNeeded is how many seeds of each side a t-test at 5 % finds a difference with, in a share of power: of pairs whose
// differences have this deviation (samples = 1), or of two samples that have it (2). The non-central t distribution is
// taken for a shifted one, which errs by less than a seed above ten.
func seedsNeeded(difference, sd float64, samples float64) int {
	if difference == 0 {
		return 0
	}
	// With a normal distribution in place of t it would be a little less.
	z := distuv.UnitNormal.Quantile((1+confidence)/2) + distuv.UnitNormal.Quantile(power)
	least := samples * math.Pow(z*sd/difference, 2)
	if !(least < mostNeeded) {
		return mostNeeded
	}
	for n := max(2, int(least)); ; n++ {
		t := distuv.StudentsT{Sigma: 1, Nu: samples * float64(n-1)}
		if math.Abs(difference)/(sd*math.Sqrt(samples/float64(n))) >= t.Quantile((1+confidence)/2)+t.Quantile(power) {
			return n
		}
	}
}

// Outcomes makes a side of the records of vanilla train --seeds, which must be of one recipe.
func Outcomes(name string, outcomes []train.Outcome) (Side, error) {
	if len(outcomes) == 0 {
		return Side{}, errors.New("expected records of networks, found none")
	}
	first := outcomes[0]
	s := Side{Name: name, Recipe: first.Recipe, From: first.From, Data: first.Data, Test: map[Seeds]float64{}, Validation: map[Seeds]float64{}}
	seen := map[Seeds]bool{}
	for i, o := range outcomes {
		at := Seeds{o.Seed, o.OrderSeed}
		switch {
		case o.Recipe != first.Recipe || o.Data != first.Data:
			return Side{}, fmt.Errorf("line %d: expected the recipe and the data of the first line, found others", i+1)
		case !o.From.Same(first.From):
			return Side{}, fmt.Errorf("line %d: expected what the first line says that training started from, %s, found %s", i+1, first.From, o.From)
		case seen[at]:
			return Side{}, fmt.Errorf("line %d: found seed %d with order seed %d again", i+1, o.Seed, o.OrderSeed)
		case o.Interrupted:
			return Side{}, fmt.Errorf("line %d: the network of seed %d is not trained to the end", i+1, o.Seed)
		}
		seen[at] = true
		s.add(at, o.Diverged, o.ValidationAccuracy, o.TestAccuracy)
		for _, a := range append([]string{o.Arithmetic}, o.Mixed...) {
			if !slices.Contains(s.Arithmetics, a) {
				s.Arithmetics = append(s.Arithmetics, a)
			}
		}
	}
	return s, nil
}

func (s *Side) add(at Seeds, diverged bool, validation, test *float64) {
	if diverged {
		s.Diverged = append(s.Diverged, at)
		return
	}
	if validation != nil {
		s.Validation[at] = *validation
	}
	if test != nil {
		s.Test[at] = *test
	}
}

// Side makes a side of a point of the sweep: of its finals, or if it was no finalist, of what the search trained to the
// end. which is a rank, "1" for the best, or a point's ID.
func (r *Report) Side(name, which string) (Side, error) {
	at := -1
	for i := range r.Points {
		if fmt.Sprint(i+1) == which || r.Points[i].ID == which {
			at = i
			break
		}
	}
	if at < 0 {
		return Side{}, fmt.Errorf("expected a point of the sweep, a rank from 1 to %d or an ID, found %q", len(r.Points), which)
	}
	p := &r.Points[at]
	s := Side{Name: name, Recipe: p.Recipe, Data: r.Data, Arithmetics: r.Arithmetics(), Test: map[Seeds]float64{}, Validation: map[Seeds]float64{}}
	last := len(r.Plan.Rungs(p.Index)) - 1
	finals := slices.ContainsFunc(r.Variants, func(v sweep.Variant) bool { return v.Index == p.Index && v.Stage == sweep.Final })
	for i := range r.Variants {
		v := &r.Variants[i]
		if v.Index != p.Index || finals != (v.Stage == sweep.Final) {
			continue
		}
		record := v.Last()
		if record.Rung == last || record.Diverged {
			s.add(Seeds{v.Seed, v.OrderSeed}, record.Diverged, record.ValidationAccuracy, record.TestAccuracy)
		}
	}
	if len(s.Validation)+len(s.Diverged) == 0 {
		return Side{}, fmt.Errorf("point %s was not trained to the end: others of its bracket were better, or the sweep has not ended", which)
	}
	return s, nil
}
