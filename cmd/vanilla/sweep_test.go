package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/parquet-go/parquet-go"

	"vanilla/kernels/device"
	"vanilla/train"
	"vanilla/train/sweep"
)

// tinySweep are the flags of a sweep over the data of inData: two rungs, four
// brackets and finals.
func tinySweep(more ...string) []string {
	return append(strings.Fields("sweep --data tiny --layers 1..2 --hidden 2..6 --lr 0.1..1 --activation relu,sigmoid --batch 8 "+
		"--points 24 --seeds 2 --halving 2,6 --brackets 4 --finalists 2 --final-seeds 3 --validation 0.2"), more...)
}

func openSweep(t *testing.T, dir string) *sweep.Directory {
	t.Helper()
	d, err := sweep.Open(t.Context(), dir)
	if err != nil {
		t.Fatal(err)
	}
	return d
}

// sameSweep compares what two directories hold, but for times.
func sameSweep(t *testing.T, found, want string) {
	t.Helper()
	var texts [2]string
	for i, dir := range []string{found, want} {
		d := openSweep(t, dir)
		for k := range d.Records {
			d.Records[k].Seconds, d.Records[k].Time = 0, time.Time{}
		}
		text, err := json.Marshal(d.Records)
		if err != nil {
			t.Fatal(err)
		}
		texts[i] = string(text)
	}
	if texts[0] != texts[1] {
		t.Errorf("%s is not %s", found, want)
	}
	models, err := filepath.Glob(filepath.Join(want, "models", "*"))
	if err != nil || len(models) == 0 {
		t.Fatalf("%s holds %d models, err %v", want, len(models), err)
	}
	for _, file := range models {
		if !bytes.Equal(read(t, file), read(t, filepath.Join(found, "models", filepath.Base(file)))) {
			t.Errorf("%s is not the same in %s", file, found)
		}
	}
}

func TestSweep(t *testing.T) {
	inData(t)
	text, stderr, code := vanilla(t, tinySweep("--out", "text")...)
	if code != done {
		t.Fatalf("exit code %d: %s", code, stderr)
	}
	for _, part := range []string{"54 variants", "finalist", "n = 3", " test images are a sample too", "results text"} {
		if !strings.Contains(text, part) {
			t.Errorf("no %q in %s", part, text)
		}
	}
	// Where there is no terminal, progress is lines for people, and each network is told from the others.
	for _, part := range []string{"space: --layers 1..2 --hidden 2..6 --activation relu,sigmoid --lr 0.1..1 --batch 8\n", "else: as in the recipe: ", "the default one is not searched",
		"54 of 54 variants, 0 diverged", "; best ", " after 6 epochs  16-"} {
		if !strings.Contains(stderr, part) {
			t.Errorf("no %q in %s", part, stderr)
		}
	}
	if strings.Contains(stderr, "{") || !regexp.MustCompile(`(?m)^54 of 54 variants.*; best .*16-.*(relu|sigmoid) lr 0\.\d+, seed \d$`).MatchString(stderr) {
		t.Errorf("progress is %s", stderr)
	}
	stdout, stderr, code := vanilla(t, tinySweep("--out", "json", "--json")...)
	if code != done {
		t.Fatalf("exit code %d: %s", code, stderr)
	}
	records, size, err := sweep.ReadRecords(strings.NewReader(stdout))
	if err != nil || size != int64(len(stdout)) {
		t.Fatalf("%d of %d bytes are records: %v", size, len(stdout), err)
	}
	if d := openSweep(t, "json"); len(records) != len(d.Records) || d.Counts().Planned != 54 {
		t.Errorf("printed %d records, the directory has %d; %+v", len(records), len(d.Records), d.Counts())
	}
	lines := regexp.MustCompile(`(?m)^{.*}$`).FindAllString(stderr, -1)
	var last progressLine
	if err := json.Unmarshal([]byte(lines[len(lines)-1]), &last); err != nil || last.Done != 54 || last.NetworkEpochs == 0 || last.BestTestAccuracy == nil {
		t.Errorf("the last line is %q, err %v", lines[len(lines)-1], err)
	}
	sameSweep(t, "json", "text")
	// The finalists' models are models.
	models, err := filepath.Glob("text/models/*.safetensors")
	if err != nil || len(models) != 6 {
		t.Fatalf("%d models, err %v", len(models), err)
	}
	must(t, "eval", models[0], "--data", "tiny")
}

// tinyOptimizers compare two optimizers, each with its own learning rate.
func tinyOptimizers(more ...string) []string {
	return append(strings.Fields("sweep --data tiny --arch 16-4-3 --optimizer sgd,adam --batch 8 --grid --seeds 2 --epochs 3 --finalists 1 --final-seeds 2 --validation 0.2"), more...)
}

// Rows tell what was swept, and what follows from it.
func TestSweepNames(t *testing.T) {
	inData(t)
	text, stderr, code := vanilla(t, tinyOptimizers("--out", "optimizers")...)
	if code != done {
		t.Fatalf("exit code %d: %s", code, stderr)
	}
	text += stderr + must(t, "results", "optimizers")
	if n := len(regexp.MustCompile(`(sgd lr 1 weight-decay 0.0001|adam lr 0.001 weight-decay 0)`).FindAllString(text, -1)); n < 5 {
		t.Errorf("%d rows say which optimizer and learning rate they are of:\n%s", n, text)
	}
	if !strings.Contains(text, "adam (lr 0.001, weight-decay 0)") {
		t.Errorf("the optimizers' levels do not say their learning rates:\n%s", text)
	}
}

// A file has the same fields as the flags, which override it.
func TestSweepSpec(t *testing.T) {
	inData(t)
	spec := `# as tinySweep has it
layers: 1..2
hidden: 2..6
lr: [0.1..1]
activation: [relu, sigmoid]
batch: 8
points: 9
seeds: 2
halving: [2, 6]
brackets: 4
finalists: 2
final_seeds: 3
validation: 0.2
`
	if err := os.WriteFile("spec.yaml", []byte(spec), 0o644); err != nil {
		t.Fatal(err)
	}
	must(t, "sweep", "--data", "tiny", "--spec", "spec.yaml", "--points", "24", "--out", "file")
	must(t, tinySweep("--out", "flags")...)
	sameSweep(t, "file", "flags")
	if a, b := openSweep(t, "file"), openSweep(t, "flags"); a.Differences(&b.Header) != "" {
		t.Error(a.Differences(&b.Header))
	}
}

func TestSweepDryRun(t *testing.T) {
	inData(t)
	var report planReport
	if err := json.Unmarshal([]byte(must(t, tinySweep("--dry-run", "--json")...)), &report); err != nil {
		t.Fatal(err)
	}
	// A third of 6 points in each of 4 brackets go on.
	if report.Points != 24 || report.Variants != 54 || report.NetworkEpochs != 2*24*2+2*8*4+6*6 || report.FLOP <= 0 || report.MemoryBytes <= 0 ||
		len(report.Devices) == 0 || report.Devices[0].Device != "cpu" || report.Devices[0].Seconds <= 0 {
		t.Errorf("found %+v", report)
	}
	must(t, tinySweep("--dry-run", "--sampler", "tpe")...)
	text := must(t, tinySweep("--dry-run")...)
	for _, part := range []string{"space ", "24 in 4 brackets", "54, 6 of them finals", "FLOP", "MB", "on cpu: ", "measurement"} {
		if !strings.Contains(text, part) {
			t.Errorf("no %q in %s", part, text)
		}
	}
	if d := report.Devices[0]; d.Least > d.Seconds || d.Seconds > d.Most || d.Measured < 1 || d.Largest < d.Seconds || report.MostFLOP <= report.FLOP {
		t.Errorf("from %v to %v s by %d measurements, about %v", d.Least, d.Most, d.Measured, d.Seconds)
	}
	// Another optimizer brings another learning rate, which is said.
	text = must(t, tinyOptimizers("--dry-run")...)
	if !strings.Contains(text, "sgd with lr 1, weight-decay 0.0001; adam with lr 0.001, weight-decay 0: what no flag says is each one's own") {
		t.Errorf("the learning rates are not in %s", text)
	}
	// The default sweep.
	if err := json.Unmarshal([]byte(must(t, "sweep", "--dry-run", "--json")), &report); err != nil || report.Points != 1000 || report.Finals != 20 {
		t.Errorf("found %+v, %v", report, err)
	}
}

// Interrupted, it keeps what is done and says how to go on.
func TestSweepInterrupted(t *testing.T) {
	inData(t)
	line := tinySweep("--halving", "100,800", "--out", "run") // dozens of records, one after the other
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	records, stderr := &cancelling{text: "{", cancel: cancel}, new(bytes.Buffer) // once it has a record
	code := run(ctx, slices.Concat(line, []string{"--json"}), nil, records, stderr)
	if code != failed || !strings.Contains(stderr.String(), "vanilla sweep: interrupted after ") || !strings.Contains(stderr.String(), "--resume continues from there") {
		t.Fatalf("exit code %d, %s", code, stderr)
	}
	must(t, append(line, "--resume")...)
	line[len(line)-1] = "whole"
	must(t, line...)
	sameSweep(t, "run", "whole")
}

// A sweep whose process is killed at random moments, and resumed each time, is in
// the end what one that was never killed is, each variant and rung once.
func TestKillSweep(t *testing.T) {
	want := kills(t, 8)
	inData(t)
	// Two shapes, so that little of a short life goes into building graphs.
	line := strings.Fields("sweep --data tiny --arch 16-4-3,16-3-4-3 --lr 0.1..1 --activation relu --batch 8 --points 24 --seeds 2 " +
		"--halving 80,240 --brackets 4 --finalists 2 --final-seeds 3 --validation 0.2 --checkpoint-every 0.02")
	// How long a process lives is drawn from what it takes to the end, here and now.
	begin := time.Now()
	if !trainFor(t, time.Hour, append(line, "--out", "whole")) {
		t.Fatal("the whole sweep did not end")
	}
	longest := time.Since(begin)
	lives := lives{rand.New(rand.NewPCG(7, 8)), longest}
	killed, midway := 0, 0
	for turn := 0; killed < want || midway < want/3; turn++ {
		run := "run" + strconv.Itoa(turn)
		for ended := false; !ended; {
			resume := append(line, "--out", run, "--resume")
			if killed >= want && midway >= want/3 {
				trainFor(t, time.Hour, resume) // to the end
				break
			}
			if ended = trainFor(t, lives.next(), resume); !ended {
				killed++
			}
			info, err := os.Stat(filepath.Join(run, "records.jsonl"))
			began := err == nil && info.Size() > 0
			if began && !ended {
				midway++
			}
			lives.learn(ended, began)
		}
		sameSweep(t, run, "whole")
		if left, err := os.ReadDir(filepath.Join(run, "states")); err != nil || len(left) > 0 {
			t.Errorf("%d states are left, err %v", len(left), err)
		}
		if t.Failed() {
			t.Fatalf("after %d kills", killed)
		}
	}
	t.Logf("%d kills, %d of them after the first record", killed, midway)
}

// A sweep that is killed at any moment, and of whose files then any bit is
// flipped, ends as one that never was, or is refused; --repair then makes it end
// so.
func TestFlipSweep(t *testing.T) {
	want := kills(t, 10)
	inData(t)
	line := strings.Fields("sweep --data tiny --arch 16-4-3,16-3-4-3 --lr 0.1..1 --activation relu --batch 8 --points 8 --seeds 2 " +
		"--halving 80,240 --brackets 2 --finalists 2 --final-seeds 3 --validation 0.2 --checkpoint-every 0.02")
	begin := time.Now()
	if !trainFor(t, time.Hour, append(line, "--out", "whole")) {
		t.Fatal("the whole sweep did not end")
	}
	longest := int64(time.Since(begin))
	random := rand.New(rand.NewPCG(11, 12))
	refused, equal := 0, 0
	for killed := 0; killed < want; {
		// Some end before they are killed: a bit of what they hold is as good.
		ended := trainFor(t, time.Duration(random.Int64N(longest)), append(line, "--out", "run", "--resume"))
		file, bit, flipped := flipOne(t, random, "run", "damaged")
		if !flipped {
			continue
		}
		killed++
		resume := append(line, "--out", "damaged", "--resume")
		_, refusal := runFor(t, time.Hour, resume)
		if refusal != "" {
			refused++
			if !strings.Contains(refusal, "exit status 1: ") || !strings.Contains(refusal, filepath.Base(file)) || !strings.Contains(refusal, "--repair") {
				t.Errorf("the refusal does not name the file and what to do: %s", refusal)
			}
			trainFor(t, time.Hour, append(resume, "--repair"))
		} else {
			equal++
		}
		sameSweep(t, "damaged", "whole")
		if t.Failed() {
			t.Fatalf("after %d kills: bit %d of %s was flipped: %s", killed, bit, file, refusal)
		}
		if ended {
			os.RemoveAll("run")
		}
	}
	t.Logf("%d kills with a bit flipped: %d ended the same, %d were refused and repaired", want, equal, refused)
	if refused == 0 {
		t.Error("none was refused")
	}
}

// A second process on a directory is refused.
func TestSweepLock(t *testing.T) {
	inData(t)
	line := tinySweep("--halving", "200000,600000", "--out", "run") // minutes
	c := exec.CommandContext(t.Context(), os.Args[0], line...)
	c.Env = append(os.Environ(), "VANILLA_TEST_MAIN=1")
	stderr := &firstWrite{seen: make(chan struct{})}
	c.Stderr = stderr
	if err := c.Start(); err != nil {
		t.Fatal(err)
	}
	defer func() {
		c.Process.Kill()
		c.Wait()
	}()
	<-stderr.seen
	for { // until the directory is its own, and no longer than tests may take
		if _, err := os.Stat("run/environment.jsonl"); err == nil {
			break
		}
		time.Sleep(10 * time.Millisecond)
	}
	if _, stderr, code := vanilla(t, append(line, "--resume")...); code != failed || !strings.Contains(stderr, fmt.Sprintf("--out run: process %d on ", c.Process.Pid)) {
		t.Errorf("exit code %d, %s", code, stderr)
	}
}

func TestSweepWrongInput(t *testing.T) {
	inData(t)
	must(t, tinySweep("--out", "run")...)
	for name, text := range map[string]string{"typo.yaml": "points: 3\nhiden: 8\n", "list.yaml": "- 1\n", "file": "x"} {
		if err := os.WriteFile(name, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	before := listing(t)
	sweeping := func(more ...string) []string { return append([]string{"sweep", "--data", "tiny"}, more...) }
	for _, c := range []struct {
		args []string
		code int
		want string
	}{
		{tinySweep(), misuse, "want --out with a directory"},
		{tinySweep("--out", "run"), misuse, "--out run: holds a sweep: want --resume"},
		{tinySweep("--out", "run", "--resume", "--seeds", "3"), misuse, "--resume run: holds another sweep: --seeds was 2, is 3"},
		{tinySweep("--out", "run", "--resume", "--lr", "0.1..2", "--points", "25"), misuse, "--lr was 0.1..1, is 0.1..2; --points was 24, is 25"},
		{tinySweep("--out", "run", "--resume", "--shard", "1/2"), misuse, "--shard was 1/1, is 1/2"},
		{tinySweep("--out", "run", "--resume", "--executor", "ref"), misuse, "--executor was cpu, is ref"},
		{tinySweep("--out", "file"), misuse, "--out file: want a directory"},
		{tinySweep("--out", "new", "--shard", "0/2"), misuse, "--shard 0/2: want the part's number, from 1"},
		{tinySweep("--out", "new", "--shard", "1/5"), misuse, "--shard 1/5: the plan has 4 brackets"},
		{tinySweep("--out", "new", "--grid"), misuse, "--grid: --points 24 draws some points: want one or the other"},
		{tinySweep("--out", "new", "--sampler", "best"), misuse, "--sampler best: want random or tpe"},
		{tinySweep("--out", "new", "--sampler", "tpe", "--shard", "1/2"), misuse, "--shard 1/2: the sampler tpe draws each bracket from the results of all before it"},
		{tinySweep("--out", "run", "--resume", "--sampler", "tpe"), misuse, "--sampler was random, is tpe"},
		{[]string{"sweep", "--grid", "--lr", "0.1,0.2", "--sampler", "tpe", "--out", "new"}, misuse, "--sampler tpe: --grid takes all points, and none is drawn"},
		{tinySweep("--out", "new", "--points", "0"), misuse, "--points 0: want 1 to 10000000, or --grid"},
		{tinySweep("--out", "new", "--points", "many"), misuse, "--points many: want a whole number"},
		{tinySweep("--out", "new", "--halving", "6,2"), misuse, "--halving 6,2: want epochs that rise"},
		{tinySweep("--out", "new", "--halving", "a"), misuse, "--halving a: want numbers of epochs joined by commas"},
		{tinySweep("--out", "new", "--epochs", "3"), misuse, "--epochs 3: --halving 2,6 says how long"},
		{tinySweep("--out", "new", "--hidden", "6..2"), misuse, "--hidden 6..2: want the smaller number first"},
		{tinySweep("--out", "new", "--activation", "rulu"), misuse, "--activation rulu: want identity"},
		{tinySweep("--out", "new", "--max-parameters", "5"), misuse, "--max-parameters 5: all networks of the space are larger"},
		{tinySweep("--out", "new", "--validation", "0"), misuse, "--validation 0: points are compared on held-out images"},
		{tinySweep("--out", "new", "--batch", "81"), misuse, "at most 80 fit in a batch"},
		{tinySweep("--out", "new", "--checkpoint-every", "0"), misuse, "--checkpoint-every 0: want 0.001 seconds or more"},
		{tinySweep("--out", "new", "--memory", "0"), misuse, "--memory 0: want a positive number of GiB"},
		{tinySweep("--out", "new", "--hiden", "3"), misuse, "unknown flag: --hiden: did you mean --hidden?"},
		{tinySweep("--out", "new", "--device", "tpu"), misuse, "--device tpu: want auto"},
		{sweeping("--out", "new", "--lr", "0.1..1"), misuse, "want --points with how many points of the space to draw, or --grid"},
		{sweeping("--out", "new", "--arch", "784-10", "--grid", "--epochs", "1"), misuse, "so the first width must be 16"},
		{sweeping("--out", "new", "--arch", "16-3", "--layers", "1", "--grid"), misuse, "want one or the other"},
		{sweeping("--out", "new", "--spec", "typo.yaml"), misuse, `--spec typo.yaml:2: unknown sweep field "hiden": did you mean hidden?`},
		{sweeping("--out", "new", "--spec", "list.yaml"), misuse, "--spec list.yaml:1: want lines like"},
		{sweeping("--out", "new", "--spec", "nowhere"), failed, "--spec nowhere: want a YAML file"},
		{sweeping("--out", "new", "surplus"), misuse, `unexpected argument "surplus"`},
	} {
		stdout, stderr, code := vanilla(t, c.args...)
		if code != c.code || !strings.Contains(stderr, c.want) || strings.Count(stderr, "\n") > 2 || stdout != "" {
			t.Errorf("%q: exit code %d, want %d; %swant %s; printed %q", c.args, code, c.code, stderr, c.want, stdout)
		}
	}
	if after := listing(t); !slices.Equal(after, before) {
		t.Errorf("wrong input left %q, there was %q", after, before)
	}
}

// rows are the schema and the rows of a Parquet file.
func rows(t *testing.T, path string) []string {
	t.Helper()
	data := read(t, path)
	file, err := parquet.OpenFile(bytes.NewReader(data), int64(len(data)))
	if err != nil {
		t.Fatal(err)
	}
	found := []string{file.Schema().String()}
	reader := parquet.NewReader(file)
	defer reader.Close()
	for buffer := make([]parquet.Row, 100); ; {
		n, err := reader.ReadRows(buffer)
		for _, row := range buffer[:n] {
			found = append(found, fmt.Sprintf("%+v", row))
		}
		if err == io.EOF {
			return found
		} else if err != nil {
			t.Fatal(err)
		}
	}
}

// The commands of the studies' page that begin with vanilla results make the files beside it, from the records of the
// sweeps; go test -update, as in make studies, makes them anew.
func TestStudyResults(t *testing.T) {
	if testing.Short() {
		t.Skip("draws many figures")
	}
	studies, err := filepath.Abs(filepath.Join("..", "..", "studies"))
	if err != nil {
		t.Fatal(err)
	}
	t.Chdir(t.TempDir())
	if err := os.CopyFS(".", os.DirFS(studies)); err != nil {
		t.Fatal(err)
	}
	if err := os.RemoveAll("figures"); err != nil {
		t.Fatal(err)
	}
	var made []string
	for line := range strings.Lines(string(read(t, "README.md"))) {
		words := strings.Fields(line)
		if len(words) < 3 || words[0] != "vanilla" || words[1] != "results" {
			continue
		}
		for i, word := range words {
			if word == "--html" || word == "--parquet" {
				made = append(made, words[i+1])
				if err := os.Remove(words[i+1]); err != nil && !*update {
					t.Error(err)
				}
			}
		}
		must(t, words[1:]...)
	}
	if len(made) != 4 {
		t.Errorf("the page's commands make %q, want a page and three Parquet files", made)
	}
	for _, file := range made {
		committed := filepath.Join(studies, file)
		if *update {
			writeFile(t, committed, read(t, file))
		} else if filepath.Ext(file) == ".html" && runtime.GOARCH != "amd64" {
			continue // processors that multiply and add at once round otherwise
		} else if filepath.Ext(file) == ".parquet" {
			// How values are encoded depends on the processor's instruction set, the values do not.
			if !slices.Equal(rows(t, file), rows(t, committed)) {
				t.Errorf("%s does not hold what its command makes; make studies makes it anew", file)
			}
		} else if !bytes.Equal(read(t, file), read(t, committed)) {
			t.Errorf("%s is not what its command makes; make studies makes it anew", file)
		}
	}
	pictures, err := filepath.Glob(filepath.Join(studies, "figures", "*.png"))
	if err != nil || len(pictures) == 0 {
		t.Fatalf("%d pictures, err %v", len(pictures), err)
	}
	for _, picture := range pictures {
		study, figure, _ := strings.Cut(filepath.Base(picture), "-")
		drawn := readPNG(t, filepath.Join(study+"-figures", figure))
		if *update {
			writePNG(t, picture, paletted(drawn, 256)) // a heat map's scale has many
		} else if d := distance(readPNG(t, picture), drawn); d > galleryLevels {
			t.Errorf("%s: found %.2f levels from what its command draws, want at most %v; make studies draws it anew", filepath.Base(picture), d, galleryLevels)
		}
	}
}

// The studies that come with the project can be planned.
func TestStudies(t *testing.T) {
	files, err := filepath.Glob("../../studies/*.yaml")
	if err != nil || len(files) == 0 {
		t.Fatalf("%d studies, err %v", len(files), err)
	}
	for _, file := range files {
		if text := must(t, "sweep", "--spec", file, "--dry-run"); strings.Contains(text, "as in the recipe:  ") {
			t.Errorf("%s: what is not swept is not said:\n%s", file, text)
		}
	}
}

// The help says the space that is searched where no flag says one.
func TestSweepHelpSaysDefaults(t *testing.T) {
	help := strings.Join(strings.Fields(must(t, "sweep", "--help")), " ")
	for word, value := range defaultSpace() {
		if want := " --" + strings.ReplaceAll(word, "_", "-") + " " + value; !strings.Contains(help, want) {
			t.Errorf("no %q", want)
		}
	}
	fields := defaultFields()
	for _, want := range []string{"--points " + fields["points"] + " --halving " + fields["halving"], "train again and test, a number (default " + fields["finalists"] + ")",
		"train each finalist with, a number (default " + fields["final_seeds"] + ")", "hold out and compare on, a fraction (default " + fields["validation"] + ")"} {
		if !strings.Contains(help, want) {
			t.Errorf("no %q", want)
		}
	}
}

// What is said of the recipe is what all points have: neither what the space sets nor the inputs, which are the data's.
func TestUnswept(t *testing.T) {
	for _, c := range []struct {
		space map[string]string
		want  string
	}{
		{map[string]string{"layers": "1..2", "hidden": "4..8"}, "sigmoid, sgd, lr 1, weight-decay 0.0001, batch 32"},
		{map[string]string{"lr": "0.1,0.2"}, "hidden layers of 16-16 units, sigmoid, sgd, weight-decay 0.0001, batch 32"},
		{map[string]string{"hidden": "4,8", "optimizer": "sgd,adam"}, "2 hidden layers, sigmoid, batch 32"},
		{map[string]string{"layers": "0..2", "activation": "relu,tanh", "batch": "8"}, "layers as wide as in 16-16, sgd, lr 1, weight-decay 0.0001"},
	} {
		s := sweepFlags{spec: sweep.Spec{Recipe: train.Default(), Space: c.space}}
		if found := s.unswept(); found != c.want {
			t.Errorf("%v: found %s, want %s", c.space, found, c.want)
		}
	}
}

// The CPU is among the devices that a sweep is reckoned for, unless a precision is asked
// for that it does not have.
func TestEstimatedDevices(t *testing.T) {
	for precision, want := range map[string]bool{"": true, "fp32": true, "bf16": false} {
		s := sweepFlags{executorFlags: executorFlags{"auto", device.Fast, precision}}
		if got := slices.ContainsFunc(s.devices(), func(e executorFlags) bool { return e.device == "cpu" }); got != want {
			t.Errorf("in %q the CPU is there: %t, want %t", precision, got, want)
		}
	}
}
