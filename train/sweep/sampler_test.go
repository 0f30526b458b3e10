package sweep

import (
	"bytes"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"reflect"
	"runtime"
	"strconv"
	"strings"
	"testing"

	"vanilla/internal/sample"
	"vanilla/kernels/cpu"
	"vanilla/train"
)

// trial plays a sweep whose results are known: of gives what a point has reached at a
// rung. It counts network-epochs up to the end of the rung at which one has reached
// the target, 0 if none does.
func trial(t *testing.T, spec Spec, target float64, of func(p *Point, rung int) float64) (epochs int, best float64) {
	t.Helper()
	p, err := NewPlan(t.Context(), spec, digits)
	if err != nil {
		t.Fatal(err)
	}
	b, err := newBoard(t.Context(), p, Shard{}, nil)
	if err != nil {
		t.Fatal(err)
	}
	trained, reached := 0, 0
	for bracket := range p.Brackets {
		if bracket > 0 && spec.learns() {
			if extended, err := p.extend(t.Context(), b); err != nil || !extended {
				t.Fatalf("bracket %d is not drawn: %v", bracket, err)
			}
		}
		before := 0
		for rung, until := range spec.Rungs() {
			points, known := b.selected(bracket, rung)
			if !known {
				t.Fatalf("bracket %d, rung %d is not known", bracket, rung)
			}
			trained += len(points) * (until - before)
			before = until
			for _, i := range points {
				r := recorded(p, Search, i, 1, rung)
				accuracy := of(&p.Points[i], rung)
				loss := train.Loss(1 - accuracy)
				r.ValidationAccuracy, r.ValidationLoss = &accuracy, &loss
				if err := b.add(r); err != nil {
					t.Fatal(err)
				}
				best = max(best, accuracy)
			}
			if reached == 0 && best >= target {
				reached = trained
			}
		}
	}
	return reached, best
}

// noise is a standard normal number that belongs to a point and a rung.
func noise(p *Point, rung int) float64 {
	seed, _ := strconv.ParseUint(p.ID, 16, 64)
	r := newRandom(seed, uint64(rung))
	return math.Sqrt(-2*math.Log(1-r.float())) * math.Cos(2*math.Pi*r.float())
}

// digitsLike is what networks of the default space reach after 1, 4 and 16 epochs, by a
// fit of the 1,000 networks of studies/default: quadratic in the widths and the learning
// rate, with their residuals as noise.
func digitsLike(p *Point, rung int) float64 {
	fits := [3][17]float64{
		{-2.534, -0.244, 0.043, -0.051, -0.041, -0.001, -0.017, 0.008, 0.032, 0.031, -0.162, 0.077, 0.147, 0.001, 0.056, -0.006, 0},
		{-3.058, -0.299, 0.037, 0.012, -0.049, 0.008, 0.07, -0.016, 0.011, 0.057, -0.081, 0.14, -0.047, -0.02, 0.071, 0.126, 0.025},
		{-2.501, -0.046, -0.041, -0.206, -0.019, 0.003, 0.049, 0.036, -0.029, -0.033, -0.254, -0.011, 0.062, 0.008, 0.036, 0.087, 0.34},
	}
	deviations := [3]float64{0.247, 0.173, 0.062}
	widths := strings.Split(p.Recipe.Arch, "-")
	hidden := widths[1 : len(widths)-1]
	l := func(i int) float64 {
		if i >= len(hidden) {
			return 0
		}
		w, _ := strconv.Atoi(hidden[i])
		return math.Log2(float64(w) / 32)
	}
	is := func(b bool) float64 {
		if b {
			return 1
		}
		return 0
	}
	lr, relu, deep := math.Log(p.Recipe.LR/0.1), is(p.Recipe.Activation == "relu"), is(len(hidden) > 1)
	x := [17]float64{1, l(0), l(0) * l(0), deep, l(1), l(1) * l(1), is(len(hidden) > 2), l(2), l(2) * l(2), relu, lr, lr * lr, relu * lr,
		math.Log10(p.Recipe.WeightDecay) + 5, relu * deep, deep * lr, 0}
	logit := 0.
	for k := range rung + 1 {
		before := logit
		logit = deviations[k] * noise(p, k)
		x[16] = before
		for i, v := range x {
			logit += fits[k][i] * v
		}
	}
	return 1 / (1 + math.Exp(logit))
}

// defaultLike is the default space.
func defaultLike(sampler string, points, brackets int, seed uint64) Spec {
	return small(func(s *Spec) {
		s.Space = map[string]string{"layers": "1..3", "hidden": "8..128", "activation": "relu,silu", "init": "he",
			"lr": "0.03..0.3", "weight_decay": "1e-6..1e-4", "shift": "1"}
		s.Points, s.Brackets, s.Halving, s.Seed, s.Sampler = points, brackets, []int{1, 4, 16}, seed, sampler
	})
}

// On what is like the default space, the sampler needs at most 0.7 of the network-epochs
// that random points need, and on known functions it comes nearer to their best points.
func TestSamplerLearns(t *testing.T) {
	if testing.Short() {
		t.Skip("plays many sweeps")
	}
	median := map[string]float64{}
	for _, sampler := range Samplers() {
		var all []float64
		for seed := range uint64(20) {
			epochs, _ := trial(t, defaultLike(sampler, 192, 24, seed+1), 0.985, digitsLike)
			if epochs == 0 {
				epochs = math.MaxInt32
			}
			all = append(all, float64(epochs))
		}
		_, median[sampler], _ = sample.Quartiles(all)
	}
	if median[TPESampler] > 0.7*median[RandomSampler] {
		t.Errorf("like digits: the median of 20 sweeps needs %v network-epochs, of random ones %v", median[TPESampler], median[RandomSampler])
	}

	bowl := func(p *Point, _ int) float64 { // best at a learning rate of 0.1 and a decay of 1e-5
		x, y := math.Log10(p.Recipe.LR/0.1), math.Log10(p.Recipe.WeightDecay/1e-5)
		return 1 / (1 + x*x + y*y/4)
	}
	choice := func(p *Point, _ int) float64 { // each activation has a learning rate of its own
		best := map[string]float64{"relu": 0.05, "silu": 0.2}[p.Recipe.Activation]
		x := math.Log10(p.Recipe.LR / best)
		height := map[string]float64{"relu": 0.8, "silu": 0.9}[p.Recipe.Activation]
		return height / (1 + 20*x*x)
	}
	deep := func(p *Point, _ int) float64 { // the third layer is best at 20 units, and networks without one are bad
		widths := strings.Split(p.Recipe.Arch, "-")
		if len(widths) != 5 {
			return 0.5
		}
		w, _ := strconv.Atoi(widths[3])
		x := math.Log2(float64(w) / 20)
		return 0.6 + 0.4/(1+x*x)
	}
	for name, of := range map[string]func(*Point, int) float64{"bowl": bowl, "choice": choice, "third layer": deep} {
		best := map[string]float64{}
		for _, sampler := range Samplers() {
			var all []float64
			for seed := range uint64(11) {
				spec := small(func(s *Spec) {
					s.Space = map[string]string{"layers": "1..3", "hidden": "4..128", "activation": "relu,silu", "lr": "0.003..3", "weight_decay": "1e-7..1e-3"}
					s.Points, s.Brackets, s.Seed, s.Sampler = 64, 8, seed+1, sampler
				})
				_, reached := trial(t, spec, 2, of)
				all = append(all, 1-reached)
			}
			_, best[sampler], _ = sample.Quartiles(all)
		}
		if !(best[TPESampler] < best[RandomSampler]) {
			t.Errorf("%s: the best point is %.4f from 1 in the median, with random ones %.4f", name, best[TPESampler], best[RandomSampler])
		}
	}
}

// Values are found where they were drawn from.
func TestLocate(t *testing.T) {
	for _, c := range []struct{ field, text string }{{"lr", "0.01..1"}, {"lr", "0.1..0.9:linear"}, {"hidden", "8..128"}, {"hidden", "8..128:log:6"},
		{"layers", "1..3"}, {"activation", "relu,silu"}, {"batch", "16,32..64"}, {"weight_decay", "0,1e-6..1e-4"}, {"hidden", "1..4"}} {
		v, err := ParseValues(c.field, c.text)
		if err != nil {
			t.Fatal(err)
		}
		a := dimension{field: c.field, values: &v}
		r := newRandom(1, 1)
		for range 200 {
			text := v.draw(r)
			s := a.spot(text)
			if s.item < 0 || s.u < 0 || s.u >= 1+1e-12 {
				t.Fatalf("%s %s: %s stands at %+v", c.field, c.text, text, s)
			}
			it := &v.items[s.item]
			if !it.ranged {
				continue
			}
			if again := it.part(min(s.u, 1-1e-12), v.whole()); again != text {
				t.Errorf("%s %s: %s stands at %v, where %s is", c.field, c.text, text, s.u, again)
			}
		}
	}
}

// The density is one: over all of the space it comes to 1. And it is that of what is
// drawn from it.
func TestDensity(t *testing.T) {
	p := plan(t, func(s *Spec) {
		s.Space = map[string]string{"layers": "1..2", "hidden": "4..64", "lr": "0.01..1", "activation": "relu,silu,tanh", "weight_decay": "0,1e-6..1e-4"}
		s.Points, s.Sampler, s.Brackets = 40, TPESampler, 2
	})
	b, err := newBoard(t.Context(), p, Shard{}, nil)
	if err != nil {
		t.Fatal(err)
	}
	for _, i := range p.Brackets[0] {
		r := recorded(p, Search, i, 1, 0)
		accuracy := 1 / (1 + math.Abs(math.Log(p.Points[i].Recipe.LR/0.1)))
		r.ValidationAccuracy = &accuracy
		if err := b.add(r); err != nil {
			t.Fatal(err)
		}
	}
	m := p.newTPE(b, 1<<32)
	if len(m.good.points) != 4 || len(m.bad.points) != 16 {
		t.Fatalf("%d good points and %d bad ones", len(m.good.points), len(m.bad.points))
	}
	r := newRandom(3, 4)
	choose := func(centre vector) vector {
		chosen, err := p.choose(func(field string, layer int) string { return m.value(r, centre, field, layer) })
		if err != nil {
			t.Fatal(err)
		}
		return m.locate(chosen)
	}
	// The mean of the density over points that are drawn evenly is 1; whole numbers and
	// three digits are coarse, and the mean of 40,000 is known to a few per cent.
	const n = 40_000
	sum := 0.
	for range n {
		v := choose(nil)
		sum += m.good.density(m, v) / even(m, v) / n
	}
	if math.Abs(sum-1) > 0.08 {
		t.Errorf("the density comes to %v over the space", sum)
	}
	// Of what is drawn from it, the mean of 1 over the density is the size of the space.
	reverse := 0.
	for range n {
		v := choose(m.centre(r))
		reverse += even(m, v) / m.good.density(m, v) / n
	}
	if math.Abs(reverse-1) > 0.08 {
		t.Errorf("what is drawn has another density: found %v, want 1", reverse)
	}
}

// even is the density of the whole space.
func even(m *tpe, v vector) float64 {
	return (&mixture{}).density(m, v)
}

// What is drawn depends on no process: a plan that is grown from records has the points
// of the one that was trained. Whatever is lost is trained again.
func TestLearnedPlan(t *testing.T) {
	spec := tiny(func(s *Spec) { s.Sampler = TPESampler })
	dir := t.TempDir()
	whole := sweep(t, dir, spec, Options{})
	if c := whole.Counts(); c.Planned != 40*2+3*2 || c.Done+c.Diverged != c.Planned {
		t.Fatalf("found %+v", c)
	}
	again, err := Open(t.Context(), dir)
	if err != nil {
		t.Fatal(err)
	}
	if len(again.Plan.Points) != 40 || !reflect.DeepEqual(again.Plan.Points, whole.Plan.Points) || again.Plan.Size() != 40 {
		t.Errorf("read again, the plan has %d points, want those 40 that were trained", len(again.Plan.Points))
	}
	for _, n := range []int{1, 30, len(whole.Records) - 1} { // lines of the first bracket, of the middle, of the finals
		text, err := os.ReadFile(filepath.Join(dir, recordsFile))
		if err != nil {
			t.Fatal(err)
		}
		lines := bytes.SplitAfter(text, []byte("\n"))
		lines[n] = append([]byte("x"), lines[n]...)
		damaged := t.TempDir()
		if err := os.CopyFS(damaged, os.DirFS(dir)); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(damaged, recordsFile), bytes.Join(lines, nil), 0o644); err != nil {
			t.Fatal(err)
		}
		same(t, sweep(t, damaged, spec, Options{Resume: true, Repair: true}), whole)
	}
}

// The sampler's comparison in studies: what its table says is what its records say.
func TestSamplerStudy(t *testing.T) {
	if runtime.GOARCH != "amd64" {
		t.Skip("where products and sums are rounded once, plans that are learned may be others")
	}
	page, err := os.ReadFile(filepath.Join("..", "..", "studies", "README.md"))
	if err != nil {
		t.Fatal(err)
	}
	median := map[string]float64{}
	for _, sampler := range Samplers() {
		var all []float64
		var texts []string
		for seed := 1; seed <= 10; seed++ {
			d, err := Open(t.Context(), filepath.Join("..", "..", "studies", "sampler", fmt.Sprintf("%s-%d", sampler, seed)))
			if err != nil {
				t.Fatal(err)
			}
			if d.Spec.sampler() != sampler || d.Spec.Seed != uint64(seed) || d.Plan.Size() != 96 {
				t.Fatalf("%s holds another sweep: %+v", d.Path, d.Spec)
			}
			epochs, reached := epochsTo(d, 0.985)
			text := strconv.Itoa(epochs)
			if !reached {
				text, epochs = fmt.Sprintf("not in %d", epochs), math.MaxInt32
			}
			all, texts = append(all, float64(epochs)), append(texts, text)
		}
		_, median[sampler], _ = sample.Quartiles(all)
		line := fmt.Sprintf("| %s | %s | %.0f |", sampler, strings.Join(texts, ", "), median[sampler])
		t.Log(line)
		if !strings.Contains(string(page), line+"\n") {
			t.Errorf("the records say %s, the page does not", line)
		}
	}
	if text := fmt.Sprintf("needs %.2f times as many", median[TPESampler]/median[RandomSampler]); !strings.Contains(string(page), text) {
		t.Errorf("the records say that it %s, the page does not", text)
	}
}

// epochsTo counts network-epochs, bracket by bracket, up to the end of the rung at which
// a network has reached an accuracy on the held-out images, or of all.
func epochsTo(d *Directory, accuracy float64) (epochs int, reached bool) {
	for bracket := range d.Plan.Brackets {
		before := 0
		for rung, until := range d.Spec.Rungs() {
			points, known := d.board.selected(bracket, rung)
			if !known {
				return epochs, false
			}
			epochs += len(points) * (until - before)
			before = until
			for _, point := range points {
				if s, ok, known := d.board.score(Search, point, rung); ok && known && s.accuracy >= accuracy {
					reached = true
				}
			}
			if reached {
				return epochs, true
			}
		}
	}
	return epochs, false
}

// What cannot be is refused, and says why.
func TestSamplerRefused(t *testing.T) {
	learning := tiny(func(s *Spec) { s.Sampler = TPESampler })
	for want, err := range map[string]error{
		"a grid takes all points":                              second(NewPlan(t.Context(), tiny(func(s *Spec) { s.Sampler, s.Points, s.Space = TPESampler, 0, map[string]string{"lr": "0.1,0.2"} }), digits)),
		"want random or tpe":                                   second(NewPlan(t.Context(), tiny(func(s *Spec) { s.Sampler = "grid" }), digits)),
		"draws each bracket from the results of all before it": second(Run(t.Context(), cpu.New(), rows(), t.TempDir(), learning, Options{Shard: Shard{1, 2}})),
		"there are 40 points: want at most as many brackets":   second(NewPlan(t.Context(), tiny(func(s *Spec) { s.Sampler, s.Brackets = TPESampler, 41 }), digits)),
	} {
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("found %v, want %q", err, want)
		}
	}
	dir := t.TempDir()
	sweep(t, dir, learning, Options{})
	if _, err := Run(t.Context(), cpu.New(), rows(), dir, tiny(nil), Options{Resume: true}); err == nil || !strings.Contains(err.Error(), `"sampler" was tpe, is random`) {
		t.Errorf("another sampler: found %v", err)
	}
	var s Spec
	if err := s.Set(map[string]string{"sampler": "tpe"}); err != nil || s.Sampler != TPESampler {
		t.Errorf("set to %q: %v", s.Sampler, err)
	}
	if err := s.Set(map[string]string{"sampler": "random"}); err != nil || s.Sampler != "" {
		t.Errorf("set to %q: %v", s.Sampler, err)
	}
	if err := s.Set(map[string]string{"sampler": "best"}); err == nil {
		t.Error("an unknown sampler is set")
	}
}

func second[A any](_ A, err error) error { return err }
