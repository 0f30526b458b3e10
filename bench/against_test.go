package bench

import (
	"context"
	"encoding/json"
	"fmt"
	"math"
	"math/rand/v2"
	"os"
	"path/filepath"
	"regexp"
	"slices"
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
		if how == "old" { // it does not report the processor's time
			c.Cores = 2
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
		if len(p.This.Ratios) != 3 || p.This.Clock != p.Against.Clock {
			t.Errorf("evaluate %t: ratios %v, clocks %q and %q", evaluate, p.This.Ratios, p.Against.Clock, p.This.Clock)
		}
		if !evaluate && p.This.Steps%turns != 0 {
			t.Errorf("%d steps in %d turns", p.This.Steps, turns)
		}
	}
}

// Rounds go on until the interval is as narrow as is wanted, as far as they may.
func TestEnough(t *testing.T) {
	alike, apart := make([]float64, 40), make([]float64, 40)
	for i := range alike {
		alike[i], apart[i] = 1+float64(i%3)*0.004, 1+float64(i%3)*0.04
	}
	for _, c := range []struct {
		rounds, most int
		ratios       []float64
		want         bool
	}{
		{1, 0, nil, true}, {15, 0, alike[:13], false}, {15, 0, apart[:14], true}, {15, 30, alike[:13], false}, {15, 30, alike[:14], true},
		{15, 30, apart[:14], false}, {15, 30, apart[:28], false}, {15, 30, apart[:29], true}, {3, 30, alike[:3], false},
	} {
		b := Bench{Rounds: c.rounds, Most: c.most}
		if got := b.enough(c.ratios); got != c.want {
			t.Errorf("%d to %d rounds, after %d: one more is enough: %t, want %t", c.rounds, c.most, len(c.ratios), got, c.want)
		}
	}
}

// The interval of a median is that of the tables of the binomial distribution, and one
// value that is far off moves nothing.
func TestMiddle(t *testing.T) {
	values := make([]float64, 15)
	for i := range values {
		values[i] = float64((i * 7) % 15)
	}
	for range 2 {
		if median, low, high := middle(values); median != 7 || low != 3 || high != 11 {
			t.Errorf("%v: %v in %v to %v, want 7 in 3 to 11", values, median, low, high)
		}
		values[slices.Index(values, slices.Max(values))] = 1e6
	}
	if _, low, high := middle(values[:5]); !math.IsInf(low, -1) || !math.IsInf(high, 1) {
		t.Errorf("of five values: %v to %v", low, high)
	}
	if _, low, high := middle([]float64{6, 5, 4, 3, 2, 1}); low != 1 || high != 6 {
		t.Errorf("of six values: %v to %v", low, high)
	}
}

// On one core a build reports the time of the processor, and is on one core where the
// system lets it. A build that does not know makes both report the time that passed.
func TestOneCore(t *testing.T) {
	this := testBuild(t, "")
	c := testCase(t, 1)
	c.Cores = 1
	r, err := this.start(t.Context(), c)
	if err != nil {
		t.Fatal(err)
	}
	defer r.close()
	one := func(process string) bool { // whether it may run on one core only
		status, _ := os.ReadFile("/proc/" + process + "/status")
		return regexp.MustCompile(`(?m)^Cpus_allowed_list:\s*\d+$`).Match(status)
	}
	var allowed bool
	if err := onOneCore(func() error { allowed = one("thread-self"); return nil }); err != nil {
		t.Fatal(err)
	}
	if allowed && !one(fmt.Sprint(r.cmd.Process.Pid)) {
		t.Error("a build that trains on one core may run on several")
	}
	known := r.hello.Clock
	if known != "" {
		r.clock = known
		if took, err := r.advance(t.Context(), 200); err != nil || took <= 0 {
			t.Errorf("200 steps took %v of the processor, %v", took, err)
		}
	}
	b := Bench{Rounds: 1, Progress: func(string, int) {}}
	for how, want := range map[string]string{"right": known, "old": ""} {
		p, err := b.Against(t.Context(), c, testBuild(t, how), testBuild(t, how))
		if err != nil || p.This.Clock != want || p.Against.Clock != want {
			t.Errorf("%s: clocks %q and %q, want %q: %v", how, p.Against.Clock, p.This.Clock, want, err)
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

// Of comparisons of a build with itself at most one in twenty or so is called a change,
// and a change of two per cent is mostly found, where rounds scatter by one; whether or
// not pairs differ as wholes, and in some rounds something else ran too.
func TestPairChange(t *testing.T) {
	random := rand.New(rand.NewPCG(3, 4))
	const comparisons = 500
	for _, c := range []struct {
		deviation float64
		disturbed int // rounds, of either build
	}{{0, 0}, {0.004, 0}, {0, 1}} {
		spread := Spread{Pair: Deviation{c.deviation, 1000}}
		compared := func(change float64) Change {
			p := pair(change, 0.01, c.deviation, 15, random)
			for i := range c.disturbed {
				p.This.Samples[i] *= 1.5
				p.Against.Samples[c.disturbed+i] *= 1.2
			}
			return p.Change(spread)
		}
		same, slower := 0, 0
		for range comparisons {
			if compared(1).Changed() {
				same++
			}
			if compared(1.02).Low > 1 {
				slower++
			}
		}
		if same < 3 || same > 42 { // binomial: mean 25 at most, deviation 5
			t.Errorf("%+v: %d of %d comparisons of a build with itself were called a change, want at most about 25", c, same, comparisons)
		}
		if slower < comparisons*8/10 {
			t.Errorf("%+v: a slowdown of 2 %% was found in %d of %d comparisons", c, slower, comparisons)
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
			p := pair(change, 0, 0, 6, random)
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
	for _, want := range []string{"against: old/vanilla, ", "medians of rounds", "slower", "10.5", "is not known"} {
		if !strings.Contains(text.String(), want) {
			t.Errorf("no %q in\n%s", want, text.String())
		}
	}
}
