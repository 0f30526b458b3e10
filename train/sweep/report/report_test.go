package report

import (
	"bytes"
	"cmp"
	"encoding/json"
	"flag"
	"math"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"vanilla/train"
	"vanilla/train/sweep"
)

var update = flag.Bool("update", false, "write the golden files anew")

// digits are the sizes of MNIST.
var digits = train.Fingerprint{Train: 60000, Test: 10000, Rows: 28, Columns: 28, Classes: 10}

// halving is a spec of a search in rungs.
func halving(points int) sweep.Spec {
	s := sweep.Spec{Recipe: train.Default(), Points: points, Seed: 1, Seeds: 1, Halving: []int{1, 3, 9}, Finalists: 3, FinalSeeds: 5,
		Space: map[string]string{"layers": "1..3", "hidden": "8..128", "activation": "relu,sigmoid,tanh", "lr": "0.03..3"}}
	s.Recipe.Validation = 0.1
	return s
}

// study is a spec of a grid without rungs.
func study() sweep.Spec {
	s := sweep.Spec{Recipe: train.Default(), Seed: 1, Seeds: 5, Space: map[string]string{"layers": "2", "hidden": "4,16,64", "init": "scaled,he"}}
	s.Recipe.Validation, s.Recipe.Epochs = 0.1, 4
	return s
}

// outcome is a made-up accuracy: it rises with parameters and epochs, and depends on the activation and a little on the
// seed. Learning rates above 2 diverge.
func outcome(v sweep.Identity, epochs int) (accuracy float64, diverged bool) {
	e := 0.3 * math.Pow(float64(v.Parameters)/5000, -0.3) * math.Pow(float64(epochs), -0.4)
	switch v.Activation {
	case "relu":
		e *= 0.8
	case "tanh":
		e *= 0.9
	}
	if v.Init == "he" {
		e *= 1.1
	}
	e *= 1 + 0.15*math.Abs(math.Log(v.LR/0.5)) + 0.04*math.Sin(float64(v.Seed)*7+float64(v.Index)*3)
	return math.Round(7e3*(1-e)) / 7e3, v.LR > 2
}

// simulate writes the directory of a sweep that ends as outcome says: the records that pass keep.
func simulate(t testing.TB, spec sweep.Spec, outcome func(sweep.Identity, int) (float64, bool), keep func(sweep.Record) bool) string {
	t.Helper()
	dir := t.TempDir()
	plan, err := sweep.NewPlan(t.Context(), spec, digits)
	if err != nil {
		t.Fatal(err)
	}
	write := func(name string, lines ...any) {
		var b bytes.Buffer
		for _, line := range lines {
			text, err := json.Marshal(line)
			if err != nil {
				t.Fatal(err)
			}
			b.Write(append(text, '\n'))
		}
		if err := os.WriteFile(filepath.Join(dir, name), b.Bytes(), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	var records []any
	seconds := 0.
	add := func(stage sweep.Stage, point int, seed uint64, rung int) (float64, bool) {
		id := plan.Identity(point, stage, seed)
		rungs := plan.Rungs(point)
		epochs, before := rungs[rung], 0
		if rung > 0 {
			before = rungs[rung-1]
		}
		accuracy, diverged := outcome(id, epochs)
		seconds++
		r := sweep.Record{Identity: id, Rung: rung, Epoch: epochs, Step: epochs * 1688, TrainLoss: train.Loss(3 * (1 - accuracy)), Diverged: diverged,
			Seconds: seconds, Time: time.Date(2026, 1, 2, 3, 4, 5, 6e6, time.UTC)}
		for e := before; e < epochs; e++ {
			r.Losses = append(r.Losses, train.Loss(3*(1-accuracy)*math.Pow(float64(epochs)/float64(e+1), 0.4)))
		}
		if diverged {
			r.TrainLoss, r.Losses[0] = train.Loss(math.NaN()), train.Loss(math.NaN())
		} else {
			loss := r.TrainLoss
			r.ValidationLoss, r.ValidationAccuracy = &loss, &accuracy
			if stage == sweep.Final && rung == len(rungs)-1 {
				test := accuracy - 0.001
				r.TestLoss, r.TestAccuracy = &loss, &test
			}
		}
		if keep == nil || keep(r) {
			records = append(records, r)
		}
		return accuracy, diverged
	}
	type scored struct {
		point    int
		accuracy float64
	}
	var last []scored
	for b, points := range plan.Brackets {
		rungs := len(plan.Rungs(points[0]))
		for rung := range rungs {
			var scores []scored
			for _, point := range points {
				mean, failed := 0., false
				for _, seed := range plan.Seeds(sweep.Search) {
					a, diverged := add(sweep.Search, point, seed, rung)
					mean += a / float64(spec.Seeds)
					failed = failed || diverged
				}
				if !failed {
					scores = append(scores, scored{point, mean})
				}
			}
			slices.SortFunc(scores, func(a, b scored) int {
				return cmp.Or(cmp.Compare(b.accuracy, a.accuracy), cmp.Compare(a.point, b.point))
			})
			if rung == rungs-1 {
				last = append(last, scores...)
				break
			}
			points = nil
			for _, s := range scores[:min(len(scores), plan.Quota(b, rung+1))] {
				points = append(points, s.point)
			}
		}
	}
	slices.SortFunc(last, func(a, b scored) int {
		return cmp.Or(cmp.Compare(b.accuracy, a.accuracy), cmp.Compare(a.point, b.point))
	})
	for _, s := range last[:min(len(last), spec.Finalists)] {
		for _, seed := range plan.Seeds(sweep.Final) {
			for rung := range plan.Rungs(s.point) {
				if _, diverged := add(sweep.Final, s.point, seed, rung); diverged {
					break
				}
			}
		}
	}
	write("spec.json", sweep.Header{Version: "test", Executor: "cpu", DataName: "mnist", Data: digits, Spec: spec})
	write("records.jsonl", records...)
	write("environment.jsonl", sweep.Environment{Version: "test", Device: "a processor, 2 cores", Cores: 2})
	return dir
}

func open(t testing.TB, dir string) *Report {
	t.Helper()
	d, err := sweep.Open(t.Context(), dir)
	if err != nil {
		t.Fatal(err)
	}
	return New(d)
}

// sweeps are of all kinds.
func sweeps(t testing.TB) map[string]*Report {
	n := 0
	one := study()
	one.Space, one.Seeds = map[string]string{}, 1
	wild := halving(8)
	return map[string]*Report{
		"halving":    open(t, simulate(t, halving(150), outcome, nil)),
		"study":      open(t, simulate(t, study(), outcome, nil)),
		"one":        open(t, simulate(t, one, outcome, nil)),
		"unfinished": open(t, simulate(t, halving(150), outcome, func(sweep.Record) bool { n++; return n <= 100 })),
		"diverged": open(t, simulate(t, wild, func(v sweep.Identity, epochs int) (float64, bool) {
			return 0, true
		}, nil)),
		"nothing": open(t, simulate(t, halving(8), outcome, func(sweep.Record) bool { return false })),
	}
}

var path = regexp.MustCompile(`(?m)^(sweep +).*`)

func TestText(t *testing.T) {
	for name, r := range sweeps(t) {
		var b bytes.Buffer
		if err := r.WriteText(&b, 10); err != nil {
			t.Fatal(err)
		}
		got := path.ReplaceAllString(b.String(), "${1}(directory)")
		file := filepath.Join("testdata", name+".golden")
		if *update {
			if err := os.WriteFile(file, []byte(got), 0o644); err != nil {
				t.Fatal(err)
			}
		}
		want, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		if got != string(want) {
			t.Errorf("%s: go test -update writes it anew\nfound\n%s\nwant\n%s", file, got, want)
		}
		for i, line := range strings.Split(got, "\n") {
			if strings.HasSuffix(line, " ") && !strings.Contains(line, "median") {
				t.Errorf("%s, line %d ends with a space", name, i+1)
			}
		}
	}
}

// A finalist's curve is of its own seeds at every rung, and of those alone that were trained to the end: the search's, which
// chose it because they were lucky, are not in it. What was no finalist has the search's.
func TestCurvesAreOfOneKindOfSeed(t *testing.T) {
	spec := halving(60)
	r := open(t, simulate(t, spec, func(v sweep.Identity, epochs int) (float64, bool) {
		a, diverged := outcome(v, epochs)
		if v.Seed == 1 { // the search's
			return a, diverged
		}
		return a - 0.1 - 0.001*float64(v.Seed), diverged || v.Seed == 6 && epochs == 9
	}, nil))
	f := r.Rungs()
	if len(f.Finalists) != 3 || !strings.Contains(f.Lines, "new seeds, the same at every rung") {
		t.Fatalf("found %d finalists: %s", len(f.Finalists), f.Lines)
	}
	for i, l := range f.Finalists {
		p := r.Finalists()[i]
		for k, s := range l.Steps {
			var want []float64
			for _, v := range r.Variants {
				if v.Index == p.Index && v.Stage == sweep.Final && v.Seed < 6 {
					want = append(want, *v.Records[k].ValidationAccuracy)
				}
			}
			if e := estimate(want); e.N != 4 || s.N != 4 || s.Accuracy != e.Mean || s.SD == nil || *s.SD != *e.SD {
				t.Errorf("%s after %d epochs: found %+v, want %s of %d seeds", l.Name, s.Epochs, s, e, e.N)
			}
		}
		if len(l.Losses) != 9 || len(l.LossSD) != 9 {
			t.Errorf("%s has %d losses with %d deviations", l.Name, len(l.Losses), len(l.LossSD))
		}
	}
	for _, l := range f.Others {
		for _, s := range l.Steps {
			if s.N != 1 {
				t.Errorf("%s, no finalist, has a curve of %d seeds", l.Name, s.N)
			}
		}
	}
	if _, text := writePage(t, r); strings.Count(text, "<polygon") != 6 {
		t.Errorf("%d shades, want one for each finalist's accuracies and losses", strings.Count(text, "<polygon"))
	}
}

// Fronts compare what was trained equally long, of the same seeds: a point that went on is on the front of the shorter
// training by what it had reached then, and one that was stopped is on no front of the longer one.
func TestFrontsAreOfEqualEpochs(t *testing.T) {
	for name, r := range sweeps(t) {
		for _, f := range r.Fronts {
			reached := map[string]float64{}
			for _, v := range r.Variants {
				for _, record := range v.Records {
					if v.Stage == sweep.Search && !record.Diverged && record.Epoch == f.Epochs {
						reached[v.Point] += *record.ValidationAccuracy / float64(r.Spec.Seeds)
					}
				}
			}
			if f.Of != len(reached) {
				t.Errorf("%s, %d epochs: the front is of %d points, want %d", name, f.Epochs, f.Of, len(reached))
			}
			on := map[string]bool{}
			for _, p := range f.Points {
				on[p.ID] = true
				if !near(p.Accuracy.Mean, reached[p.ID], 1e-12) {
					t.Errorf("%s, %d epochs: %s is on the front with %v, it reached %v", name, f.Epochs, p.Name(), p.Accuracy.Mean, reached[p.ID])
				}
			}
			for i := range r.Points {
				p := &r.Points[i]
				a, compared := reached[p.ID]
				beaten := false
				for k := range r.Points {
					q := &r.Points[k]
					b, ok := reached[q.ID]
					beaten = beaten || ok && q != p && q.Parameters <= p.Parameters && (b > a+1e-12 || b > a-1e-12 && on[q.ID])
				}
				if want := compared && !beaten; want != on[p.ID] {
					t.Errorf("%s, %d epochs: %s with %v is on the front: %v, want %v", name, f.Epochs, p.Name(), a, on[p.ID], want)
				}
			}
		}
	}
	if r := open(t, simulate(t, halving(150), outcome, nil)); len(r.Fronts) != 3 || r.Fronts[0].Epochs != 9 || r.Fronts[2].Of <= r.Fronts[1].Of {
		t.Errorf("found the fronts %+v", r.Fronts)
	}
}

// No two points have one name: what the space lets differ is in it, and what follows from that.
func TestNamesDiffer(t *testing.T) {
	for name, r := range sweeps(t) {
		seen := map[string]bool{}
		for i := range r.Points {
			if n := r.Points[i].Name(); seen[n] {
				t.Errorf("%s: two points are called %s", name, n)
			}
			seen[r.Points[i].Name()] = true
		}
	}
}

// Who follows a sweep that is not there hears what was expected.
func TestFollowNothing(t *testing.T) {
	err := Follow(filepath.Join(t.TempDir(), "nothere"), nil).Read(t.Context())
	if err == nil || !strings.Contains(err.Error(), "nothere: expected the directory of a sweep: ") {
		t.Errorf("found %v", err)
	}
}
