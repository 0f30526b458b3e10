package sweep

import (
	"compress/gzip"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"reflect"
	"regexp"
	"strings"
	"testing"
	"time"

	"vanilla/dataset"
	"vanilla/internal/claim"
	"vanilla/internal/store"
	"vanilla/internal/stripes"
	"vanilla/kernels"
	"vanilla/kernels/cpu"
	"vanilla/model"
	"vanilla/train"
)

// rows is data that differ little from noise.
func rows() *dataset.Dataset { return stripes.New("rows", 200, 60, 200, 50) }

// tiny is a sweep over rows: three rungs, six brackets, finals, and learning rates
// of which some diverge.
func tiny(change func(*Spec)) Spec {
	s := Spec{Recipe: train.Default(), Seed: 1, Seeds: 2, Points: 40, Halving: []int{1, 2, 5}, Brackets: 6, Finalists: 3, FinalSeeds: 2,
		Space: map[string]string{"layers": "1..2", "hidden": "2..8", "lr": "0.1,1,1e30", "activation": "relu,sigmoid", "optimizer": "sgd,nesterov"}}
	s.Recipe.Arch, s.Recipe.Batch, s.Recipe.Validation, s.Recipe.WeightDecay = "16-4-3", 8, 0.2, 1e8
	s.Space["weight_decay"] = "0,1e8" // which lets a network of learning rate 1e30 diverge
	if change != nil {
		change(&s)
	}
	return s
}

// sweep runs a spec to its end.
func sweep(t *testing.T, dir string, spec Spec, options Options) *Directory {
	t.Helper()
	d, err := Run(t.Context(), cpu.New(), rows(), dir, spec, options)
	if err != nil {
		t.Fatal(err)
	}
	return d
}

// same compares what two directories hold, but for times.
func same(t *testing.T, a, b *Directory) {
	t.Helper()
	clean := func(d *Directory) []Record {
		records := append([]Record(nil), d.Records...)
		for i := range records {
			records[i].Seconds, records[i].Time = 0, time.Time{}
		}
		return records
	}
	x, _ := json.Marshal(clean(a)) // a loss may be NaN
	y, _ := json.Marshal(clean(b))
	if string(x) != string(y) {
		t.Errorf("%s holds %d records, %s %d, and they are not the same", a.Path, len(a.Records), b.Path, len(b.Records))
	}
	if !reflect.DeepEqual(a.Counts(), b.Counts()) || !reflect.DeepEqual(a.Finalists(), b.Finalists()) {
		t.Errorf("%s and %s do not agree: %+v, %+v", a.Path, b.Path, a.Counts(), b.Counts())
	}
	for _, v := range a.Variants() {
		if v.Stage != Final || v.Status != Done {
			continue
		}
		x, err := os.ReadFile(a.ModelFile(v.ID))
		y, err2 := os.ReadFile(b.ModelFile(v.ID))
		if err != nil || err2 != nil || string(x) != string(y) {
			t.Errorf("the models of %s: %v, %v, or not the same", v.ID, err, err2)
		}
	}
}

func TestRun(t *testing.T) {
	dir := t.TempDir()
	d := sweep(t, dir, tiny(nil), Options{Version: "test"})
	c := d.Counts()
	if c.Planned != 40*2+3*2 || c.Done+c.Diverged != c.Planned || c.Diverged < 10 || c.Done < 20 {
		t.Fatalf("found %+v", c)
	}
	statuses := map[Status]int{}
	for _, v := range d.Variants() {
		statuses[v.Status]++
		last := v.Last()
		epochs := 0
		for _, r := range v.Records {
			epochs += len(r.Losses)
		}
		if epochs != last.Epoch || last.Diverged != (last.ValidationAccuracy == nil) {
			t.Errorf("found %+v", last)
		}
		if (last.TestAccuracy != nil) != (v.Stage == Final && v.Status == Done) {
			t.Errorf("%s variant %s has a test accuracy: %v", v.Stage, v.ID, last.TestAccuracy != nil)
		}
	}
	if statuses[Unfinished] != 0 || statuses[Stopped] == 0 || statuses[Done] == 0 {
		t.Errorf("found %v", statuses)
	}
	finalists := d.Finalists()
	if len(finalists) != 3 || finalists[0].N != 2 || finalists[0].TestMean < 0.6 || finalists[0].ValidationMean < finalists[2].ValidationMean {
		t.Errorf("found %+v", finalists)
	}
	if left, err := os.ReadDir(filepath.Join(dir, statesDir)); err != nil || len(left) != 0 {
		t.Errorf("%d states are left, err %v", len(left), err)
	}
	if len(d.Environments) != 1 || d.Environments[0].Executor != "cpu" {
		t.Errorf("found %+v", d.Environments)
	}
	// The models are those of the records, and what train makes of the same recipe.
	for _, v := range d.Variants() {
		if v.Stage != Final || v.Status != Done {
			continue
		}
		m, err := model.Read(d.ModelFile(v.ID))
		if err != nil || m.TestAccuracy != *v.Last().TestAccuracy || m.Arch != v.Arch {
			t.Fatalf("found %+v, %v", m, err)
		}
		results, err := train.Run(t.Context(), cpu.New(), rows(),
			[]train.Spec{{Recipe: v.Recipe, Seed: v.Seed, OrderSeed: v.OrderSeed}}, train.Options{Version: "test"})
		if err != nil {
			t.Fatal(err)
		}
		file := filepath.Join(t.TempDir(), "trained")
		if err := results[0].Model.Write(file); err != nil {
			t.Fatal(err)
		}
		trained, err := os.ReadFile(file)
		found, err2 := os.ReadFile(d.ModelFile(v.ID))
		if err != nil || err2 != nil || string(trained) != string(found) {
			t.Errorf("train makes another network of %s: %v, %v", v.ID, err, err2)
		}
		if a := results[0].Validation.Accuracy(); a != *v.Last().ValidationAccuracy {
			t.Errorf("accuracy %v on the held-out images, train finds %v", *v.Last().ValidationAccuracy, a)
		}
	}
	// Without resume the directory is another's; with it, there is nothing to do.
	_, err := Run(t.Context(), cpu.New(), rows(), dir, tiny(nil), Options{Version: "test"})
	var setting *train.SettingError
	if !errors.As(err, &setting) || !strings.Contains(err.Error(), "holds a sweep: want \"resume\"") {
		t.Errorf("found %v", err)
	}
	same(t, d, sweep(t, dir, tiny(nil), Options{Version: "test", Resume: true}))
	_, err = Run(t.Context(), cpu.New(), rows(), dir, tiny(func(s *Spec) { s.Seeds = 3 }), Options{Version: "test", Resume: true})
	if want := "holds another sweep: \"seeds\" was 2, is 3"; !errors.As(err, &setting) || !strings.Contains(err.Error(), want) {
		t.Errorf("found %v, want %s", err, want)
	}
}

// What is selected is what has the best accuracy of its bracket, and no more than
// its quota.
func TestSelection(t *testing.T) {
	d := sweep(t, t.TempDir(), tiny(nil), Options{})
	at := map[int][]float64{} // accuracies by point, of rung 0
	next := map[int]bool{}
	for _, r := range d.Records {
		if r.Stage == Search && r.Rung == 0 {
			if r.Diverged {
				at[r.Index] = []float64{-1, -1, -1}
			} else {
				at[r.Index] = append(at[r.Index], *r.ValidationAccuracy)
			}
		}
		next[r.Index] = next[r.Index] || r.Stage == Search && r.Rung == 1
	}
	for b, points := range d.Plan.Brackets {
		kept, worst, best := 0, 2.0, -1.0
		for _, point := range points {
			mean := (at[point][0] + at[point][1]) / 2
			if next[point] {
				kept++
				worst = min(worst, mean)
			} else {
				best = max(best, mean)
			}
		}
		if kept == 0 || kept > d.Plan.Quota(b, 1) || worst < best || worst < 0 {
			t.Errorf("bracket %d of %d keeps %d, the worst of %v, and leaves one of %v", b, len(points), kept, worst, best)
		}
	}
}

// Variants that diverge change nothing for the others.
func TestDivergenceIsolated(t *testing.T) {
	grid := func(values string) Spec {
		return tiny(func(s *Spec) {
			s.Space = map[string]string{"lr": values, "hidden": "4,8", "weight_decay": "0,1e8"}
			s.Points, s.Halving, s.Brackets, s.Finalists = 0, nil, 1, 0
			s.Recipe.Epochs = 3
		})
	}
	healthy := sweep(t, t.TempDir(), grid("0.1,0.01"), Options{})
	mixed := sweep(t, t.TempDir(), grid("0.1,0.01,1e30"), Options{})
	found := map[string]Record{}
	diverged := 0
	for _, r := range mixed.Records {
		found[r.ID] = r
		if r.Diverged {
			diverged++
		}
	}
	compared := 0
	for _, r := range healthy.Records {
		if r.Diverged {
			continue
		}
		compared++
		other := found[r.ID]
		if other.ValidationLoss == nil || *other.ValidationLoss != *r.ValidationLoss || !reflect.DeepEqual(other.Losses, r.Losses) {
			t.Errorf("%s: found %+v, want %+v", r.ID, other, r)
		}
	}
	if diverged == 0 || compared < 8 {
		t.Errorf("%d diverged, %d were compared", diverged, compared)
	}
}

// impatient is an executor whose runs are interrupted after some epochs.
type impatient struct {
	kernels.Executor
	after  int
	cancel context.CancelFunc
}

type impatientPopulation struct {
	kernels.Population
	e *impatient
}

func (e *impatient) Prepare(data kernels.Data, variants []kernels.Variant) (kernels.Population, error) {
	p, err := e.Executor.Prepare(data, variants)
	return impatientPopulation{p, e}, err
}

func (p impatientPopulation) Advance(ctx context.Context, until []int, report func(kernels.Report)) error {
	return p.Population.Advance(ctx, until, func(r kernels.Report) {
		report(r)
		if p.e.after--; p.e.after == 0 {
			p.e.cancel()
		}
	})
}

// A sweep that is interrupted again and again, with checkpoints in between, ends
// as one that is not. Each interruption keeps what was trained.
func TestInterrupted(t *testing.T) {
	for _, sampler := range Samplers() {
		t.Run(sampler, func(t *testing.T) { testInterrupted(t, tiny(func(s *Spec) { s.Sampler = sampler })) })
	}
}

func testInterrupted(t *testing.T, spec Spec) {
	whole := sweep(t, t.TempDir(), spec, Options{})
	dir := t.TempDir()
	random := rand.New(rand.NewPCG(3, 4))
	var d *Directory
	err := errors.New("not yet")
	records := 0
	for turns := 0; err != nil; turns++ {
		ctx, cancel := context.WithCancel(t.Context())
		exec := &impatient{cpu.New(), 1 + random.IntN(40), cancel}
		d, err = Run(ctx, exec, rows(), dir, spec,
			Options{Resume: true, CheckpointEvery: time.Duration(1 + random.IntN(int(5*time.Millisecond)))})
		cancel()
		if err != nil && !errors.Is(err, context.Canceled) || d == nil || turns > 1000 {
			t.Fatalf("turn %d: %v", turns, err)
		}
		if len(d.Records) < records {
			t.Fatalf("%d records after %d", len(d.Records), records)
		}
		records = len(d.Records)
	}
	same(t, d, whole)
	if n := len(d.Environments); n < 5 {
		t.Errorf("only %d processes", n)
	}
}

// What is torn or lost is trained again.
func TestLostFiles(t *testing.T) {
	whole := sweep(t, t.TempDir(), tiny(nil), Options{})
	dir := t.TempDir()
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	if _, err := Run(ctx, &impatient{cpu.New(), 150, cancel}, rows(), dir, tiny(nil), Options{}); !errors.Is(err, context.Canceled) {
		t.Fatal(err)
	}
	segments, err := filepath.Glob(filepath.Join(dir, statesDir, "*.safetensors"))
	if err != nil || len(segments) == 0 {
		t.Fatalf("%d segments, err %v", len(segments), err)
	}
	for i, file := range segments {
		if i%2 == 0 {
			err = os.WriteFile(file, []byte("torn"), 0o644)
		} else {
			err = os.Remove(file)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	f, err := os.OpenFile(filepath.Join(dir, recordsFile), os.O_APPEND|os.O_WRONLY, 0)
	if err != nil {
		t.Fatal(err)
	}
	f.WriteString(`{"id":"torn","ep`)
	f.Close()
	same(t, sweep(t, dir, tiny(nil), Options{Resume: true}), whole)
}

func TestLock(t *testing.T) {
	dir := t.TempDir()
	lock, err := claim.Directory("out", dir, store.Sweep)
	if err != nil {
		t.Fatal(err)
	}
	_, err = Run(t.Context(), cpu.New(), rows(), dir, tiny(nil), Options{})
	if err == nil || !strings.Contains(err.Error(), fmt.Sprintf("process %d on ", os.Getpid())) {
		t.Errorf("found %v", err)
	}
	if err := lock.Close(); err != nil {
		t.Fatal(err)
	}
	sweep(t, dir, tiny(nil), Options{})
}

// unsealed are lines as versions before checksums wrote them.
func unsealed(lines string) string { return checksum.ReplaceAllString(lines, "") }

var checksum = regexp.MustCompile(`,"crc32c":"[0-9a-f]{8}"`)

// Records that do not belong to the plan are refused.
func TestForeignRecords(t *testing.T) {
	dir := t.TempDir()
	sweep(t, dir, tiny(nil), Options{})
	path := filepath.Join(dir, recordsFile)
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	lines := strings.SplitAfter(string(text), "\n")
	for _, c := range []struct{ text, want string }{
		{string(text) + lines[0], "each rung once"},
		{strings.Replace(string(text), `"lr":0.1,`, `"lr":0.2,`, 1), "damaged: its checksum says"},
		{strings.Replace(unsealed(string(text)), `"lr":0.1,`, `"lr":0.2,`, 1), "which is not in the plan"},
		{"{}\n", "line 1: expected a record"},
		{"x\n", "line 1: expected a record"},
	} {
		if err := os.WriteFile(path, []byte(c.text), 0o644); err != nil {
			t.Fatal(err)
		}
		if _, err := Open(t.Context(), dir); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("found %v, want %s", err, c.want)
		}
	}
}

// A sweep that has ended is read with compressed records too.
func TestCompressed(t *testing.T) {
	dir := t.TempDir()
	d := sweep(t, dir, tiny(nil), Options{})
	path := filepath.Join(dir, recordsFile)
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	f, err := os.Create(path + ".gz")
	if err != nil {
		t.Fatal(err)
	}
	z := gzip.NewWriter(f)
	z.Write(text)
	if err := errors.Join(z.Close(), f.Close(), os.Remove(path)); err != nil {
		t.Fatal(err)
	}
	again, err := Open(t.Context(), dir)
	if err != nil {
		t.Fatal(err)
	}
	same(t, again, d)
	_, err = Run(t.Context(), cpu.New(), rows(), dir, tiny(nil), Options{Resume: true})
	if err == nil || !strings.Contains(err.Error(), "its records compressed: want another directory") {
		t.Errorf("found %v", err)
	}
}

// wide is an executor that takes so many networks to keep busy, and counts populations.
type wide struct {
	kernels.Executor
	width, populations int
}

func (e *wide) Width() int { return e.width }

func (e *wide) Prepare(data kernels.Data, variants []kernels.Variant) (kernels.Population, error) {
	e.populations++
	return e.Executor.Prepare(data, variants)
}

// A wave has as many networks as keep the executor busy, and the results are those of
// waves of others.
func TestWidth(t *testing.T) {
	var want *Directory
	waves := 0
	for _, width := range []int{1, 1000} {
		e := &wide{Executor: cpu.New(), width: width}
		d, err := Run(t.Context(), e, rows(), t.TempDir(), tiny(nil), Options{Version: "test"})
		if err != nil {
			t.Fatal(err)
		}
		if want == nil {
			want, waves = d, e.populations
			continue
		}
		if e.populations >= waves {
			t.Errorf("%d waves of up to %d networks, %d of fewer", e.populations, width, waves)
		}
		same(t, d, want)
	}
}
