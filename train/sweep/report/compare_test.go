package report

import (
	"math"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"vanilla/train"
)

// Student's own data, of 1908: hours of sleep that two drugs add, of ten patients. R's t.test gives the numbers.
var (
	sleepA = []float64{0.7, -1.6, -0.2, -1.2, -0.1, 3.4, 3.7, 0.8, 0, 2}
	sleepB = []float64{1.9, 0.8, 1.1, 0.1, -0.1, 4.4, 5.5, 1.6, 4.6, 3.4}
)

func near(a, b, tolerance float64) bool { return math.Abs(a-b) <= tolerance }

func TestMeans(t *testing.T) {
	differences := make([]float64, len(sleepA))
	for i := range sleepA {
		differences[i] = sleepB[i] - sleepA[i]
	}
	for _, c := range []struct {
		name            string
		found           *TestOfMeans
		lower, upper, p float64
	}{
		{"paired", paired(differences), 0.7001142, 2.4598858, 0.002833},
		{"Welch", welch(sleepA, sleepB), -0.2054832, 3.3654832, 0.07939},
	} {
		f := c.found
		if !near(f.Difference, 1.58, 1e-9) || !near(f.Lower, c.lower, 1e-6) || !near(f.Upper, c.upper, 1e-6) || !near(f.P, c.p, 1e-5) {
			t.Errorf("%s: found %+v", c.name, f)
		}
	}
	// R's power.t.test(delta = 1, sd = s, power = 0.8) says 9.94 pairs and 16.71 of each sample for s = 1, 33.4 and 63.8
	// for s = 2. The approximation errs by one where there are few.
	for _, c := range []struct {
		sd, samples float64
		want        int
	}{{1, 1, 10}, {1, 2, 17}, {2, 1, 34}, {2, 2, 64}} {
		if n := seedsNeeded(1, c.sd, c.samples); n < c.want-1 || n > c.want+1 {
			t.Errorf("sd %v, %v samples: found %d, want %d", c.sd, c.samples, n, c.want)
		}
	}
	if n := seedsNeeded(0, 1, 1); n != 0 {
		t.Errorf("no difference: found %d", n)
	}
	if r := paired([]float64{0.5, 0.5, 0.5}); !r.Settled() || r.P != 0 || r.Lower != 0.5 {
		t.Errorf("equal differences: found %+v", r)
	}
	if r := welch([]float64{1, 1}, []float64{1, 1}); r.Settled() || r.P != 1 {
		t.Errorf("no difference at all: found %+v", r)
	}
}

func compared(name string, seeds []uint64, accuracy func(seed uint64) float64) Side {
	s := Side{Name: name, Recipe: train.Default(), Data: digits, Arithmetics: []string{"x"}, Test: map[Seeds]float64{}, Validation: map[Seeds]float64{}}
	for _, seed := range seeds {
		s.Test[Seeds{seed, seed}] = accuracy(seed)
	}
	return s
}

// Of simulated comparisons whose truth is known, intervals hold it in about 95 of 100, and no difference is called one in
// about 5; a deviation that both sides share by their seeds does not count.
func TestCompareSimulated(t *testing.T) {
	const simulated, truth = 400, 0.002
	seeds := []uint64{1, 2, 3, 4, 5, 6, 7, 8}
	for _, c := range []struct {
		name   string
		paired bool
	}{{"pairs", true}, {"other seeds", false}} {
		random := rand.New(rand.NewPCG(13, 14))
		held, called := 0, 0
		for range simulated {
			shared := map[uint64]float64{}
			side := func(mean float64, seeds []uint64) Side {
				return compared("a", seeds, func(seed uint64) float64 {
					if _, ok := shared[seed]; !ok {
						shared[seed] = 0.01 * random.NormFloat64()
					}
					return mean + shared[seed] + 0.001*random.NormFloat64()
				})
			}
			others := seeds
			if !c.paired {
				others = []uint64{11, 12, 13, 14, 15, 16, 17, 18}
			}
			a := side(0.9, seeds)
			for mean, count := range map[float64]func(*TestOfMeans){
				0.9 + truth: func(r *TestOfMeans) { held += btoi(r.Lower <= truth && truth <= r.Upper) },
				0.9:         func(r *TestOfMeans) { called += btoi(r.Settled()) },
			} {
				found, err := Compare(a, side(mean, others))
				if err != nil || found.Paired != c.paired {
					t.Fatalf("%+v, %v", found, err)
				}
				if width := found.Result.Upper - found.Result.Lower; c.paired && width > 0.005 {
					t.Fatalf("the deviation that the sides share counts: interval of %v", width)
				}
				count(found.Result)
			}
		}
		if share := float64(held) / simulated; share < 0.91 || share > 0.98 {
			t.Errorf("%s: intervals hold the truth in %.3f of simulated comparisons", c.name, share)
		}
		if share := float64(called) / simulated; share < 0.02 || share > 0.09 {
			t.Errorf("%s: no difference is called one in %.3f", c.name, share)
		}
	}
}

func TestCompare(t *testing.T) {
	seeds := []uint64{1, 2, 3, 4}
	same := func(uint64) float64 { return 0.9 }
	a := compared("a", seeds, func(seed uint64) float64 { return 0.9 + float64(seed)/100 })
	b := compared("b", seeds[1:], func(seed uint64) float64 { return 0.91 + float64(seed)/100 })
	b.Recipe.LR, b.Recipe.Optimizer = 0.001, "adam"
	b.Arithmetics = []string{"y"}
	b.Diverged = []Seeds{{1, 1}}
	c, err := Compare(a, b)
	if err != nil {
		t.Fatal(err)
	}
	if !c.Paired || c.Pairs != 3 || !near(c.Result.Difference, 0.01, 1e-12) || len(c.Changes) != 2 || c.Changes[0].Setting != "optimizer" || c.B.Diverged != 1 {
		t.Errorf("found %+v", c)
	}
	// 92.5 and 94 % of 10,000 images.
	if s := c.Sampling; s.Images != 10_000 || !near(s.A, 0.002634, 1e-6) || !near(s.B, 0.002375, 1e-6) || !near(s.Most, 0.003671, 1e-6) {
		t.Errorf("the images' part: found %+v of %v and %v", s, c.A.Accuracy, c.B.Accuracy)
	}
	notes := strings.Join(c.Notes, "\n")
	for _, want := range []string{"b diverged with 1 seed", "different arithmetic: x; y", "1 network has no partner of equal seed and order, and is left out"} {
		if !strings.Contains(notes, want) {
			t.Errorf("no %q in %s", want, notes)
		}
	}
	if c, err := Compare(compared("a", seeds[:1], same), compared("b", seeds[:1], same)); err != nil || c.Result != nil {
		t.Errorf("one seed each: found %+v, %v", c, err)
	}
	other := compared("b", seeds, same)
	other.Data.TestPixels++
	if _, err := Compare(a, other); err == nil || !strings.Contains(err.Error(), "different data") {
		t.Errorf("found %v", err)
	}
	search := Side{Name: "s", Recipe: train.Default(), Data: digits, Validation: map[Seeds]float64{{1, 1}: 0.5}}
	if _, err := Compare(a, search); err == nil || !strings.Contains(err.Error(), "no accuracies on the same images") {
		t.Errorf("found %v", err)
	}
	held := search
	held.Recipe.Validation = 0.2
	if _, err := Compare(search, held); err == nil || !strings.Contains(err.Error(), "want the same images for both") {
		t.Errorf("found %v", err)
	}
}

func TestOutcomes(t *testing.T) {
	x := 0.9
	good := train.Outcome{Recipe: train.Default(), Data: digits, Seed: 1, OrderSeed: 1, TestAccuracy: &x, Arithmetic: "x"}
	other, again, stopped, further := good, good, good, good
	further.Seed, further.From = 2, &train.Start{SHA256: "abc", Network: "784-16-16-10 sigmoid", Outputs: 10}
	other.Seed, other.Recipe.LR = 2, 3
	stopped.Seed, stopped.Interrupted = 2, true
	for _, c := range []struct {
		want     string
		outcomes []train.Outcome
	}{
		{"found none", nil},
		{"line 2: expected the recipe", []train.Outcome{good, other}},
		{"line 2: expected what the first line says that training started from, none, found 784-16-16-10 sigmoid", []train.Outcome{good, further}},
		{"line 2: found seed 1 with order seed 1 again", []train.Outcome{good, again}},
		{"line 2: the network of seed 2 is not trained to the end", []train.Outcome{good, stopped}},
	} {
		if _, err := Outcomes("a", c.outcomes); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("found %v, want %s", err, c.want)
		}
	}
}

// Weights that training started from are a change like another.
func TestChangedStart(t *testing.T) {
	outcomes := func(name string, from *train.Start) Side {
		x := 0.9
		o := train.Outcome{Recipe: train.Default(), Data: digits, From: from, Seed: 1, OrderSeed: 1, TestAccuracy: &x, Arithmetic: "x"}
		s, err := Outcomes(name, []train.Outcome{o})
		if err != nil {
			t.Fatal(err)
		}
		return s
	}
	old := func(sum string) *train.Start {
		return &train.Start{SHA256: sum, Network: "784-16-16-10 sigmoid", Outputs: 10}
	}
	for _, c := range []struct {
		a, b *train.Start
		want []Change
	}{
		{nil, nil, nil},
		{old("abc"), old("abc"), nil},
		{nil, old("abc"), []Change{{"from", nil, "the weights of 784-16-16-10 sigmoid of SHA-256 abc…"}}},
		{old("abc"), old("def"), []Change{{"from", "the weights of 784-16-16-10 sigmoid of SHA-256 abc…", "the weights of 784-16-16-10 sigmoid of SHA-256 def…"}}},
	} {
		found, err := Compare(outcomes("a", c.a), outcomes("b", c.b))
		if err != nil || !slices.Equal(found.Changes, c.want) {
			t.Errorf("found %+v (%v), want %+v", found.Changes, err, c.want)
		}
	}
}

// A setting that a side does not have is none, and not zero; no block is none and not nothing.
func TestChangesOfAbsence(t *testing.T) {
	a, b := compared("a", []uint64{1, 2}, func(uint64) float64 { return 0.9 }), compared("b", []uint64{1, 2}, func(uint64) float64 { return 0.9 })
	a.Recipe.Optimizer, a.Recipe.Momentum = "sgd", 0
	b.Recipe.Optimizer, b.Recipe.Momentum, b.Recipe.Block = "momentum", 0.9, "residual"
	c, err := Compare(a, b)
	if err != nil {
		t.Fatal(err)
	}
	found := map[string]Change{}
	for _, change := range c.Changes {
		found[change.Setting] = change
	}
	for _, want := range []Change{{"momentum", nil, 0.9}, {"block", "none", "residual"}, {"optimizer", "sgd", "momentum"}} {
		if found[want.Setting] != want {
			t.Errorf("found %+v, want %+v", found[want.Setting], want)
		}
	}
	b.Recipe = a.Recipe
	b.Recipe.Momentum = 0.5 // which sgd does not have
	if c, err = Compare(a, b); err != nil || len(c.Changes) != 0 {
		t.Errorf("found %+v (%v), want no change", c.Changes, err)
	}
}
