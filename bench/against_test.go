package bench

import (
	"context"
	"encoding/json"
	"fmt"
	"math"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"vanilla/kernels"
	"vanilla/kernels/cpu"
	"vanilla/kernels/ref"
)

// serveVariable makes the test's binary a build that serves the test's case, or
// does something else.
const serveVariable = "VANILLA_TEST_SERVE"

func TestMain(m *testing.M) {
	if how := os.Getenv(serveVariable); how != "" {
		t := &testing.T{}
		c := testCase(t, 2)
		c.Evaluate = strings.HasPrefix(os.Args[1], "evaluate")
		e := map[string]kernels.Executor{"wrong": wrong{ref.New(), new(int), 1, 1}}[how]
		if e == nil {
			e = cpu.New()
		}
		if err := Serve(context.Background(), c, e, "1.2.3", os.Stdin, os.Stdout); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		os.Exit(0)
	}
	os.Exit(m.Run())
}

// testBuild is the test's binary as a build.
func testBuild(t *testing.T, how string) Build {
	if how == "" {
		how = "right"
	}
	t.Setenv(serveVariable, how)
	return Build{Name: "this build", Binary: os.Args[0], Args: []string{"train"}, Executor: "cpu"}
}

func TestAgainst(t *testing.T) {
	this := testBuild(t, "")
	other := this
	other.Name = "the other"
	for _, evaluate := range []bool{false, true} {
		c := testCase(t, 2)
		if c.Evaluate = evaluate; evaluate {
			this.Args, other.Args = []string{"evaluate"}, []string{"evaluate"}
		}
		var sequence []string
		b := Bench{Rounds: 3, Progress: func(name string, round int) { sequence = append(sequence, fmt.Sprint(name, " ", round)) }}
		p, err := b.Against(t.Context(), c, other, this)
		if err != nil {
			t.Fatal(err)
		}
		if got := strings.Join(sequence, ", "); got != "the other 0, this build 0, this build 1, the other 1, the other 2, this build 2, ref -1" {
			t.Errorf("evaluate %t: ran %s", evaluate, got)
		}
		for want, r := range map[string]Result{This: p.This, Against: p.Against} {
			if r.Build != want || r.N != 3 || len(r.Samples) != 3 || !(r.Median > 0) || r.Networks != 2 || r.Verified != 2 || r.Version != "1.2.3" || r.Device == "" || !(r.MemoryMB > 0) || !(r.Ceiling > 0) || r.OfCeiling != r.GFLOPS/r.Ceiling {
				t.Errorf("evaluate %t: %+v", evaluate, r)
			}
		}
		if p.This.Loss != p.Against.Loss || math.Abs(p.This.Loss-p.This.ReferenceLoss) > lossTolerance*p.This.ReferenceLoss {
			t.Errorf("evaluate %t: losses %v and %v, the reference's %v", evaluate, p.This.Loss, p.Against.Loss, p.This.ReferenceLoss)
		}
		if !evaluate && p.This.Steps%turns != 0 {
			t.Errorf("%d steps in %d turns", p.This.Steps, turns)
		}
	}
}

// A build that trains something else, and what is no build at all.
func TestAgainstWrong(t *testing.T) {
	b := Bench{Rounds: 2, Progress: func(string, int) {}}
	for how, want := range map[string]string{
		"wrong": "its times do not count",
	} {
		this := testBuild(t, how)
		if _, err := b.Against(t.Context(), testCase(t, 2), this, this); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v", how, err)
		}
	}
	this := testBuild(t, "")
	for binary, want := range map[string]string{
		"true":  `other: want a build of vanilla that knows the case "small": it does not answer`,
		"echo":  `other: want a build of vanilla that knows the case "small": it does not answer`,
		"none ": "other: ",
	} {
		other := Build{Name: "other", Binary: binary}
		if _, err := b.Against(t.Context(), testCase(t, 2), other, this); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v", binary, err)
		}
	}
}

// What is asked of a build in other words is refused.
func TestServeRefuses(t *testing.T) {
	for _, ask := range []string{"advance", "advance x", "advance -1", "weights 1", "stop 1"} {
		var out strings.Builder
		err := Serve(t.Context(), testCase(t, 1), cpu.New(), "1.2.3", strings.NewReader("weights 0\n"+ask+"\n"), &out)
		if err == nil || !strings.Contains(err.Error(), fmt.Sprintf("%q: want advance STEPS or weights NETWORK", ask)) {
			t.Errorf("%s: %v", ask, err)
		}
		if lines := strings.Split(out.String(), "\n"); len(lines) != 3 {
			t.Errorf("%s: answers %q", ask, lines)
		}
	}
}

// pair is a comparison of a build with one that takes change times as long, on a
// machine whose speed drifts, and where a pair as a whole is off by some deviation.
func pair(change, noise, deviation float64, rounds int, random *rand.Rand) Pair {
	drift := make([]float64, rounds)
	for i := range drift {
		drift[i] = 1 + random.Float64()/2
	}
	change *= math.Exp(deviation * random.NormFloat64())
	p := Pair{timed("cpu", 1, noise, rounds, drift, random), timed("cpu", change, noise, rounds, drift, random)}
	p.Against.Build, p.This.Build = Against, This
	return p
}

// Of comparisons of a build with itself about one in twenty is called a change,
// and a change of two per cent is found, where rounds scatter by one; whether or
// not pairs differ as wholes.
func TestPairChange(t *testing.T) {
	random := rand.New(rand.NewPCG(3, 4))
	const comparisons = 500
	for _, deviation := range []float64{0, 0.004} {
		spread := Spread{Pair: Deviation{deviation, 1000}}
		same, slower := 0, 0
		for range comparisons {
			if pair(1, 0.01, deviation, 15, random).Change(spread).Changed() {
				same++
			}
			if pair(1.02, 0.01, deviation, 15, random).Change(spread).Low > 1 {
				slower++
			}
		}
		if same < 10 || same > 42 { // binomial: mean 25, deviation 5
			t.Errorf("deviation %v: %d of %d comparisons of a build with itself were called a change, want about 25", deviation, same, comparisons)
		}
		if slower < comparisons*9/10 {
			t.Errorf("deviation %v: a slowdown of 2 %% was found in %d of %d comparisons", deviation, slower, comparisons)
		}
	}
	if c := pair(1, 0.01, 0, 1, random).Change(Spread{}); c.Changed() {
		t.Errorf("a single round says that it changed: %+v", c)
	}
}

// A machine's spread is what was put in, from the newest of its files.
func TestSpread(t *testing.T) {
	random := rand.New(rand.NewPCG(5, 6))
	for _, deviation := range []float64{0, 0.03} {
		const runs = 400
		var results []Result
		for n := range runs {
			run := fmt.Sprint(n)
			for _, r := range aRun(0.03*math.Exp((deviation-assumedDeviation)*random.NormFloat64()), random) {
				r.Run = run
				results = append(results, r)
			}
			p := pair(1, 0.01, deviation, 15, random)
			p.Against.Run, p.This.Run = "itself "+run, "itself "+run
			results = append(results, p.Against, p.This)
		}
		s := NewSpread(results)
		if len(s.Pairs) != runs || math.Abs(s.Pair.Sigma-deviation) > 0.003 || s.Pair.Freedom != runs {
			t.Errorf("%d pairs, deviation %v, want %v", len(s.Pairs), s.Pair.Sigma, deviation)
		}
		// A run's own deviation, and what was put in beside it.
		if want := math.Hypot(assumedDeviation, deviation-assumedDeviation); math.Abs(s.Run.Sigma-want) > 0.004 || s.Run.Freedom != runs-1 {
			t.Errorf("a run's deviation %v, want %v", s.Run.Sigma, want)
		}
	}

	dir := t.TempDir()
	for name, change := range map[string]float64{"2026-11-25": 1.01, "2026-11-26": 1.02} {
		var lines strings.Builder
		for n := range 2 {
			p := pair(change, 0, 0, 5, random)
			for _, r := range []Result{p.Against, p.This} {
				r.Suite, r.Run = "repeat", fmt.Sprint(n)
				line, err := json.Marshal(r)
				if err != nil {
					t.Fatal(err)
				}
				lines.Write(append(line, '\n'))
			}
		}
		file := filepath.Join(dir, "repeat-"+ThisMachine().Slug()+"-"+name+".jsonl")
		if err := os.WriteFile(file, []byte(lines.String()), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	s, err := ReadSpread(dir, ThisMachine())
	if err != nil || filepath.Base(s.File) != "repeat-"+ThisMachine().Slug()+"-2026-11-26.jsonl" || math.Abs(s.Pair.Sigma-math.Log(1.02)) > 1e-9 {
		t.Errorf("%+v, %v", s, err)
	}
	if got := s.Itself(); !strings.Contains(got, "-2026-11-26.jsonl)") || !strings.Contains(got, "differences of up to 2.00 %, 2 of 2 within") {
		t.Error(got)
	}
	other := ThisMachine()
	other.CPU = "another"
	if s, err := ReadSpread(dir, other); err != nil || s.File != "" || !strings.Contains(s.Itself(), "is not known") {
		t.Errorf("%+v, %v", s, err)
	}
}

func TestWritePairs(t *testing.T) {
	random := rand.New(rand.NewPCG(7, 8))
	p := pair(1.05, 0.005, 0, 15, random)
	p.Against.Median, p.This.Median, p.This.N = 0.01, 0.0105, 15
	var text strings.Builder
	if err := WritePairs(&text, []Pair{p}, "old/vanilla", Spread{}); err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"against: old/vanilla, ", "median of 15 rounds", "slower", "10.5", "is not known"} {
		if !strings.Contains(text.String(), want) {
			t.Errorf("no %q in\n%s", want, text.String())
		}
	}
}
