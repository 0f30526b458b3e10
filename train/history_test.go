package train

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"math"
	"math/rand/v2"
	"os"
	"path/filepath"
	"reflect"
	"regexp"
	"runtime"
	"strings"
	"testing"
	"time"

	"vanilla/dataset"
	"vanilla/graph"
	"vanilla/graph/ir"
	"vanilla/internal/claim"
	"vanilla/internal/store"
	"vanilla/kernels"
	"vanilla/kernels/cpu"
	"vanilla/kernels/ref"
	"vanilla/model"
)

// mixed is a population whose variants differ in all that checkpoints and rounds
// depend on. One diverges, one loses patience.
func mixed() []Spec {
	first := small()
	first.Validation = 0.2
	adam := first
	adam.Optimizer, adam.LR, adam.WeightDecay, adam.Batch, adam.Shift = "adamw", 0.01, 0.01, 7, 1
	patient := first
	patient.Optimizer, patient.Momentum, patient.LR, patient.Epochs, patient.Patience = "nesterov", 0.9, 0.05, 60, 4
	wild := first
	wild.Activation, wild.LR, wild.WeightDecay, wild.Epochs = "relu", 1e30, 1e8, 3
	return []Spec{seeded(first, 1), seeded(adam, 2), seeded(patient, 3), seeded(wild, 4)}
}

// contents are what a directory holds, by the files' names: models as they are,
// records but for their seconds, and neither checkpoint nor lock, which have seconds and a process inside.
func contents(t *testing.T, dir string) map[string]string {
	t.Helper()
	files := map[string]string{}
	err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() || d.Name() == checkpointFile || d.Name() == "lock" {
			return err
		}
		data, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		name, err := filepath.Rel(dir, path)
		if d.Name() == recordsFile {
			data = fmt.Append(nil, timeless(data))
		}
		files[name] = string(data)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return files
}

// timeless are the lines of records, without the times and the checksums, which cover them.
func timeless(data []byte) []string {
	return strings.Split(string(secondsField.ReplaceAll(data, nil)), "\n")
}

var secondsField = regexp.MustCompile(`"seconds":[^,]*,|,"crc32c":"[0-9a-f]{8}"`)

func sameFiles(t *testing.T, found, want map[string]string) {
	t.Helper()
	for name := range want {
		if _, ok := found[name]; !ok {
			t.Errorf("no file %s", name)
		} else if found[name] != want[name] {
			t.Errorf("%s differs: found\n%.500q\nwant\n%.500q", name, found[name], want[name])
		}
	}
	for name := range found {
		if _, ok := want[name]; !ok {
			t.Errorf("a file %s too many", name)
		}
	}
}

// sameResults compares all but the times.
func sameResults(t *testing.T, found, want []Result) {
	t.Helper()
	for i := range want {
		a, b := found[i], want[i]
		a.Seconds, b.Seconds = 0, 0
		if b.Diverged { // NaN is never equal
			a.TrainLoss, b.TrainLoss = 0, 0
		}
		if !reflect.DeepEqual(a, b) {
			t.Errorf("network %d: found %+v, want %+v", i, a, b)
		}
	}
}

func TestHistory(t *testing.T) {
	data := striped(100, 30)
	dir := filepath.Join(t.TempDir(), "a", "b")
	var observed []Record
	options := Options{History: dir, Snapshots: Snapshots{Log: true, Steps: []int{3}}, Version: "1.2.3",
		Observe: func(r Record) { observed = append(observed, r) }}
	results, err := Run(t.Context(), cpu.New(), data, mixed(), options)
	if err != nil {
		t.Fatal(err)
	}
	f, err := os.Open(filepath.Join(dir, recordsFile))
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	records, err := ReadRecords(f)
	if err != nil {
		t.Fatal(err)
	}
	if len(records) != len(observed) {
		t.Fatalf("%d records, %d were observed", len(records), len(observed))
	}
	var last [4]Record
	for i, r := range records {
		o, m := observed[i], mixed()[r.Variant]
		if o.Diverged {
			o.TrainLoss, r.TrainLoss = 0, 0
		}
		if !reflect.DeepEqual(r, o) {
			t.Errorf("record %d is %+v, observed was %+v", i, r, o)
		}
		if r.Arch != "16-5-3" || r.Seed != m.Seed || r.OrderSeed != m.OrderSeed || r.Seconds <= 0 || r.LR <= 0 {
			t.Errorf("record %d is %+v", i, r)
		}
		if !r.Diverged && (r.Epoch != last[r.Variant].Epoch+1 || r.Step%r.Epoch != 0 || r.Validation == nil || r.TrainLoss <= 0) {
			t.Errorf("record %d is %+v", i, r)
		}
		last[r.Variant] = r
	}
	for i, r := range results {
		if last[i].Epoch != r.Epochs || last[i].Diverged != r.Diverged {
			t.Errorf("network %d: %d epochs, its last record is %+v", i, r.Epochs, last[i])
		}
	}
	if !results[3].Diverged || last[3].Validation != nil {
		t.Errorf("the diverging network: %+v, %+v", results[3], last[3])
	}
	// Without patience, what is validated last is what is kept.
	if got := results[0].Validation.Accuracy(); got != last[0].Accuracy || results[0].Validation.N != 20 {
		t.Errorf("validation accuracy %v of %d images, the last record says %v", got, results[0].Validation.N, last[0].Accuracy)
	}

	for name, want := range map[string]int{"network-00000/step-000000000": 0, "network-00000/step-000000003": 3,
		"network-00000/step-000000020": 20, "network-00000/step-000000060": 60, "network-00001/step-000000072": 72} {
		m, err := model.Read(filepath.Join(dir, snapshotsDir, name+".safetensors"))
		if err != nil {
			t.Error(err)
			continue
		}
		whole := m.Arch == "16-5-3" && m.Version == "1.2.3" && !strings.Contains(string(m.Recipe), "stopped_at")
		if final := want == 60 || want == 72; final != whole || want == 60 && m.TestAccuracy < 0.9 {
			t.Errorf("%s: recipe %s, accuracy %v", name, m.Recipe, m.TestAccuracy)
		}
	}
	end, err := os.ReadFile(filepath.Join(dir, snapshotsDir, "network-00000/step-000000060.safetensors"))
	if err != nil || !bytes.Equal(end, encode(t, results[0])) {
		t.Errorf("the last snapshot is not the model, err %v", err)
	}

	// A complete run is resumed at its end.
	before := contents(t, dir)
	options.Resume, options.Observe = true, func(r Record) { t.Errorf("observed %+v", r) }
	again, err := Run(t.Context(), cpu.New(), data, mixed(), options)
	if err != nil {
		t.Fatal(err)
	}
	sameResults(t, again, results)
	sameFiles(t, contents(t, dir), before)
}

// A network that runs without validation and history comes to the same end with
// them, whatever else is in the population.
func TestHistoryChangesNothing(t *testing.T) {
	data := striped(100, 30)
	for _, exec := range []kernels.Executor{cpu.New(), ref.New()} {
		specs := mixed()
		for i := range specs {
			specs[i].Recipe.Validation, specs[i].Recipe.Patience = 0, 0
		}
		plain := run(t, exec, data, specs...)
		kept, err := Run(t.Context(), exec, data, specs, Options{History: t.TempDir(), Snapshots: Snapshots{Epochs: true}})
		if err != nil {
			t.Fatal(err)
		}
		sameResults(t, kept, plain)
	}
}

// Equal runs write equal files, on any number of cores.
func TestSameBytes(t *testing.T) {
	data := striped(100, 30)
	var files map[string]string
	var results []Result
	for _, cores := range []int{2, 2, 1} {
		defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(cores))
		options := Options{History: t.TempDir(), Snapshots: Snapshots{Log: true}}
		found, err := Run(t.Context(), cpu.New(), data, mixed(), options)
		if err != nil {
			t.Fatal(err)
		}
		if files == nil {
			files, results = contents(t, options.History), found
		}
		sameResults(t, found, results)
		sameFiles(t, contents(t, options.History), files)
	}
}

func TestPatience(t *testing.T) {
	data := striped(100, 30)
	spec := mixed()[2]
	var accuracy []float64
	results, err := Run(t.Context(), cpu.New(), data, []Spec{spec}, Options{Observe: func(r Record) {
		accuracy = append(accuracy, r.Accuracy)
	}})
	if err != nil {
		t.Fatal(err)
	}
	r := results[0]
	best := 0
	for i, a := range accuracy {
		if a > accuracy[best] {
			best = i
		}
	}
	if r.BestEpoch != best+1 || r.Epochs != best+1+spec.Recipe.Patience || len(accuracy) != r.Epochs || r.Epochs == spec.Recipe.Epochs {
		t.Fatalf("accuracies %v: %d epochs, the best %d", accuracy, r.Epochs, r.BestEpoch)
	}
	if r.Validation.Accuracy() != accuracy[best] || r.Interrupted {
		t.Errorf("the result is %+v", r)
	}
	// What is kept is the network after the best epoch.
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	impatient := spec
	impatient.Recipe.Patience = 0
	stopped, err := Run(ctx, cpu.New(), data, []Spec{impatient}, Options{Observe: func(o Record) {
		if o.Epoch == r.BestEpoch {
			cancel()
		}
	}})
	if err != nil {
		t.Fatal(err)
	}
	if !reflect.DeepEqual(stopped[0].Model.Params, r.Model.Params) || stopped[0].Epochs != r.BestEpoch {
		t.Errorf("the network kept is not the one after epoch %d", r.BestEpoch)
	}
}

func TestPopulationSharesValidation(t *testing.T) {
	a, b := seeded(small(), 1), seeded(small(), 2)
	b.Recipe.Validation = 0.1
	_, err := Run(t.Context(), cpu.New(), striped(30, 3), []Spec{a, b}, Options{})
	var setting *SettingError
	if !errors.As(err, &setting) || setting.Field != "validation" {
		t.Errorf("found %v", err)
	}
}

// stopAt is an executor that cancels a run in the middle, with some networks
// ahead of others.
type stopAt struct {
	kernels.Executor
	steps  *int // that all networks may still train
	cancel context.CancelFunc
}

func (s stopAt) Prepare(data kernels.Data, variants []kernels.Variant) (kernels.Population, error) {
	p, err := s.Executor.Prepare(data, variants)
	return stopAtPopulation{p, s}, err
}

type stopAtPopulation struct {
	kernels.Population
	stopAt
}

// Advance goes on network by network and cancels when the steps are used up.
func (s stopAtPopulation) Advance(ctx context.Context, until []int, report func(kernels.Report)) error {
	now := make([]int, len(until))
	for i := range until {
		state, err := s.State(i)
		if err != nil {
			return err
		}
		now[i] = state.Step
	}
	for i := range until {
		target := min(until[i], now[i]+*s.steps)
		*s.steps -= max(0, target-now[i])
		now[i] = target
		if err := s.Population.Advance(ctx, now, report); err != nil {
			return err
		}
		if target < until[i] {
			s.cancel()
			return context.Cause(ctx)
		}
	}
	return nil
}

// A run that is interrupted after any number of steps and resumed, again and
// again, ends as if it had not been: in the same files and results.
func TestResume(t *testing.T) {
	data := striped(100, 30)
	options := Options{Snapshots: Snapshots{Log: true, Steps: []int{17}}}
	for _, exec := range []kernels.Executor{cpu.New(), ref.New()} {
		options.History, options.Resume = t.TempDir(), false
		want, err := Run(t.Context(), exec, data, mixed(), options)
		if err != nil {
			t.Fatal(err)
		}
		files := contents(t, options.History)
		random := rand.New(rand.NewPCG(3, 4))
		for trial := range 6 {
			options.History, options.Resume = filepath.Join(t.TempDir(), "run"), true
			// The checkpoints that no interruption forces make no difference.
			options.CheckpointEvery = []time.Duration{0, time.Hour}[trial%2]
			for attempt := 0; ; attempt++ {
				ctx, cancel := context.WithCancel(t.Context())
				steps := random.IntN(200)
				found, err := Run(ctx, stopAt{exec, &steps, cancel}, data, mixed(), options)
				done := ctx.Err() == nil
				cancel()
				if err != nil {
					t.Fatal(err)
				}
				if !done {
					continue
				}
				if attempt == 0 {
					t.Fatal("the run was never interrupted")
				}
				sameResults(t, found, want)
				sameFiles(t, contents(t, options.History), files)
				break
			}
		}
	}
}

// What a killed run may leave besides its checkpoint does not matter.
func TestResumeAfterKill(t *testing.T) {
	data := striped(100, 30)
	options := Options{History: t.TempDir(), Resume: true, Snapshots: Snapshots{Log: true}}
	want, err := Run(t.Context(), cpu.New(), data, mixed(), options)
	if err != nil {
		t.Fatal(err)
	}
	files := contents(t, options.History)

	options.History = t.TempDir()
	ctx, cancel := context.WithCancel(t.Context())
	steps := 100
	if _, err := Run(ctx, stopAt{cpu.New(), &steps, cancel}, data, mixed(), options); err != nil {
		t.Fatal(err)
	}
	f, err := os.OpenFile(filepath.Join(options.History, recordsFile), os.O_APPEND|os.O_WRONLY, 0)
	if err != nil {
		t.Fatal(err)
	}
	_, err = f.WriteString(`{"variant":0,"epoch":99}` + "\n" + `{"variant":1,"ep`)
	if err := errors.Join(err, f.Close()); err != nil {
		t.Fatal(err)
	}
	// What was being written is gone in the end, and others' files of that shape are not.
	foreign := []string{".vanilla-0123456789abcdef.tmp", "snapshots/network-00000/.vanilla-00.tmp", "mine/.vanilla-checkpoint.safetensors.tmp"}
	for _, name := range foreign {
		files[name] = "half"
	}
	if err := os.Mkdir(filepath.Join(options.History, "mine"), 0o700); err != nil {
		t.Fatal(err)
	}
	last := ""
	for name := range files {
		if strings.HasPrefix(name, "snapshots/network-00000/step-") {
			last = max(last, filepath.Base(name))
		}
	}
	for _, name := range append(foreign, ".vanilla-checkpoint.safetensors.tmp", "snapshots/network-00000/.vanilla-"+last+".tmp") {
		if err := os.WriteFile(filepath.Join(options.History, name), []byte("half"), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	found, err := Run(t.Context(), cpu.New(), data, mixed(), options)
	if err != nil {
		t.Fatal(err)
	}
	sameResults(t, found, want)
	sameFiles(t, contents(t, options.History), files)
}

func TestResumeRefuses(t *testing.T) {
	data := striped(100, 30)
	dir := t.TempDir()
	start := func(exec kernels.Executor, data *dataset.Dataset, specs []Spec, o Options) error {
		_, err := Run(t.Context(), exec, data, specs, o)
		return err
	}
	specs := func(change func(*Spec)) []Spec {
		s := seeded(small(), 1)
		change(&s)
		return []Spec{s}
	}
	same := specs(func(*Spec) {})
	options := Options{History: dir, Version: "1"}
	if err := start(cpu.New(), data, same, options); err != nil {
		t.Fatal(err)
	}
	want := "history " + dir + ": holds a run: want \"resume\" to go on with it, or another directory"
	if err := start(cpu.New(), data, same, options); err == nil || err.Error() != want {
		t.Errorf("without Resume: %v", err)
	}
	options.Resume = true
	before := contents(t, dir)
	changed := func(change func(*Options)) Options {
		o := options
		change(&o)
		return o
	}
	other := striped(100, 30)
	other.Test.Pixels[3]++
	for _, c := range []struct {
		err  error
		want string
	}{
		{start(cpu.New(), data, specs(func(s *Spec) { s.Seed = 2 }), options), "\"seed\" was 1, is 2"},
		{start(cpu.New(), data, specs(func(s *Spec) { s.OrderSeed = 2 }), options), "\"order_seed\" was 1, is 2"},
		{start(cpu.New(), data, specs(func(s *Spec) { s.Recipe.Epochs, s.Recipe.WeightDecay = 7, 0 }), options),
			"\"weight_decay\" was 0.0001, is 0; \"epochs\" was 6, is 7"},
		{start(cpu.New(), data, specs(func(s *Spec) { s.Recipe.Arch = "16-6-3" }), options), "\"arch\" was 16-5-3, is 16-6-3"},
		{start(cpu.New(), data, append(same, same...), options), "the number of networks was 1, is 2"},
		{start(cpu.New(), striped(99, 30), same, options), "\"data\" was 100 + 30 images of 4x4 in 3 classes, is 99 + 30 images of 4x4 in 3 classes"},
		{start(cpu.New(), other, same, options), "\"data\" has other images, labels or names, or was prepared otherwise"},
		{start(cpu.New(), data, same, changed(func(o *Options) { o.Version = "2" })), "the version was 1, is 2"},
		{start(cpu.New(), data, same, changed(func(o *Options) { o.Snapshots.Log = true })), "\"snapshots\" was none, is log"},
	} {
		var setting *SettingError
		if want := "resume " + dir + ": holds another run: " + c.want; !errors.As(c.err, &setting) || c.err.Error() != want {
			t.Errorf("found %v, want %s", c.err, want)
		}
	}
	err := start(ref.New(), data, same, options)
	var setting *SettingError
	if want := "holds a run that would end in other bytes here: \"executor\" was cpu, is ref: \"allow_mixed\""; !errors.As(err, &setting) || !strings.Contains(err.Error(), want) {
		t.Errorf("found %v, want %s", err, want)
	}
	sameFiles(t, contents(t, dir), before)
	if err := start(cpu.New(), data, same, options); err != nil {
		t.Errorf("the same run: %v", err)
	}
}

// A directory that is damaged, or cannot be, is refused.
func TestBadHistory(t *testing.T) {
	data := striped(30, 3)
	for _, c := range []struct {
		name, want string
		damage     func(dir string) error
	}{
		{"checkpoint cut", "not a checkpoint that vanilla wrote", func(dir string) error { return os.Truncate(filepath.Join(dir, checkpointFile), 100) }},
		{"another safetensors file", "not a checkpoint that vanilla wrote", func(dir string) error {
			m := model.Model{Recipe: []byte("{}"), Params: []model.Tensor{{Name: "w", Shape: []int{1}, Data: []float32{1}}}}
			text, err := m.Encode()
			if err != nil {
				return err
			}
			return os.WriteFile(filepath.Join(dir, checkpointFile), text, 0o644)
		}},
		{"records cut", "expected the", func(dir string) error { return os.Truncate(filepath.Join(dir, recordsFile), 10) }},
		{"no checkpoint", "no checkpoint.safetensors to continue from", func(dir string) error { return os.Remove(filepath.Join(dir, checkpointFile)) }},
	} {
		t.Run(c.name, func(t *testing.T) {
			options := Options{History: t.TempDir(), Resume: true}
			if _, err := Run(t.Context(), cpu.New(), data, []Spec{seeded(small(), 1)}, options); err != nil {
				t.Fatal(err)
			}
			if err := c.damage(options.History); err != nil {
				t.Fatal(err)
			}
			_, err := Run(t.Context(), cpu.New(), data, []Spec{seeded(small(), 1)}, options)
			if err == nil || !strings.Contains(err.Error(), c.want) {
				t.Errorf("found %v, want %q", err, c.want)
			}
		})
	}
	file := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	_, err := Run(t.Context(), cpu.New(), data, []Spec{seeded(small(), 1)}, Options{History: file})
	if err == nil || !strings.HasPrefix(err.Error(), "history "+file+": want a directory") {
		t.Errorf("a file: %v", err)
	}
	_, err = Run(t.Context(), cpu.New(), data, []Spec{seeded(small(), 1)}, Options{History: t.TempDir(), Snapshots: Snapshots{Steps: []int{25}}})
	if err == nil || err.Error() != "snapshots 25: training has steps 0 to 24" {
		t.Errorf("a snapshot after the end: %v", err)
	}
}

// The rule for checkpoints: not before their time, and no more than a share of
// the time.
// A directory is one process's at a time, and the one that comes second is told whose.
func TestHistoryClaimed(t *testing.T) {
	dir := t.TempDir()
	lock, err := claim.Directory("history", dir, store.History)
	if err != nil {
		t.Fatal(err)
	}
	again := func() error {
		_, err := Run(t.Context(), cpu.New(), striped(100, 30), []Spec{seeded(small(), 1)}, Options{History: dir})
		return err
	}
	if err := again(); err == nil || !strings.Contains(err.Error(), fmt.Sprintf("history %s: process %d on ", dir, os.Getpid())) {
		t.Errorf("found %v", err)
	}
	// What an older vanilla has locked has no name in it.
	if err := os.Truncate(filepath.Join(dir, "lock"), 0); err != nil {
		t.Fatal(err)
	}
	if err := again(); err == nil || !strings.Contains(err.Error(), "another process works on it") {
		t.Errorf("found %v", err)
	}
	if err := lock.Close(); err != nil {
		t.Fatal(err)
	}
	if err := again(); err != nil {
		t.Error(err)
	}
}

func TestCheckpointDue(t *testing.T) {
	now := time.Now()
	for _, c := range []struct {
		every, cost, ago time.Duration
		want             bool
	}{
		{0, time.Hour, 0, true},
		{time.Hour, 0, time.Minute, false},
		{time.Second, 0, time.Minute, true},
		{time.Second, 6 * time.Second, time.Minute, false},
		{time.Second, time.Second, time.Minute, true},
	} {
		h := history{last: now.Add(-c.ago), cost: c.cost}
		if h.due(c.every) != c.want {
			t.Errorf("%+v: due is %v", c, !c.want)
		}
	}
}

func TestSnapshots(t *testing.T) {
	for _, c := range []struct {
		text  string
		total int
		want  []int
	}{
		{"none", 100, nil},
		{"log", 1, []int{0, 1}},
		{"log", 10, []int{0, 1, 2, 5, 10}},
		{"log", 33, []int{0, 1, 2, 5, 10, 20, 33}},
		{"log,33,7,7", 33, []int{0, 1, 2, 5, 7, 10, 20, 33}},
		{"epochs", 33, nil},
		{"3,epochs,1", 33, []int{1, 3}},
	} {
		s, err := ParseSnapshots(c.text)
		if err != nil {
			t.Fatal(err)
		}
		if found := s.within(c.total); fmt.Sprint(found) != fmt.Sprint(c.want) {
			t.Errorf("%s of %d: found %v, want %v", c.text, c.total, found, c.want)
		}
		if again, err := ParseSnapshots(s.String()); err != nil || !reflect.DeepEqual(again, s) {
			t.Errorf("%s became %q", c.text, s)
		}
	}
	for _, bad := range []string{"", "logs", "1,,2", "-1", "1.5", "none,log"} {
		if _, err := ParseSnapshots(bad); err == nil || !strings.Contains(err.Error(), "want none, or log") {
			t.Errorf("%q: %v", bad, err)
		}
	}
}

func TestReadRecords(t *testing.T) {
	text := `{"variant":1,"train_loss":null,"diverged":true}` + "\n" + `{"epoch":2,"train_loss":0.5,"validation_loss":1,"validation_accuracy":0.25}` + "\n" + `{"epo`
	records, err := ReadRecords(strings.NewReader(text))
	if err != nil || len(records) != 2 {
		t.Fatalf("found %+v, err %v", records, err)
	}
	if a := records[0]; !math.IsNaN(float64(a.TrainLoss)) || a.Variant != 1 || a.Validation != nil {
		t.Errorf("the first is %+v", a)
	}
	if b := records[1]; b.TrainLoss != 0.5 || b.Validation == nil || b.Validation.Loss != 1 || b.Accuracy != 0.25 {
		t.Errorf("the second is %+v", b)
	}
	if _, err := ReadRecords(strings.NewReader("{}\nnonsense\n")); err == nil || !strings.Contains(err.Error(), "line 2: expected a record") {
		t.Errorf("nonsense: %v", err)
	}
}

// A graph that is no chain of layers trains, is saved and resumed like any.
func TestOwnNetwork(t *testing.T) {
	network, err := graph.New(graph.Arch{Widths: []int{16, 5, 3}, Activation: ir.Sigmoid, Loss: graph.CrossEntropy})
	if err != nil {
		t.Fatal(err)
	}
	data := striped(60, 30)
	own := seeded(small(), 1)
	own.Network = network
	own.Recipe.Arch = "whatever"
	options := Options{History: t.TempDir(), Resume: true}
	for range 2 {
		results, err := Run(t.Context(), cpu.New(), data, []Spec{own}, options)
		if err != nil {
			t.Fatal(err)
		}
		m, chain := results[0].Model, run(t, cpu.New(), data, seeded(small(), 1))[0].Model
		if !reflect.DeepEqual(m.Params, chain.Params) || m.Arch != "" || m.TestAccuracy != chain.TestAccuracy {
			t.Errorf("the network is %+v, as a chain %+v", m, chain)
		}
	}
}
