package main

import (
	"bytes"
	"encoding/json"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/parquet-go/parquet-go"

	"vanilla/kernels/cpu"
	"vanilla/model"
	"vanilla/train"
	"vanilla/train/sweep"
	"vanilla/train/sweep/report"
)

// tinySpec is a sweep of the data set tiny, with learning rates of which some diverge.
func tinySpec() sweep.Spec {
	s := sweep.Spec{Recipe: train.Default(), Points: 24, Seed: 1, Seeds: 1, Halving: []int{1, 2, 4}, Brackets: 2, Finalists: 3, FinalSeeds: 2,
		Space: map[string]string{"layers": "1..2", "hidden": "4..32", "activation": "relu,sigmoid", "lr": "0.1..3,1e30"}}
	s.Recipe.Arch, s.Recipe.Batch, s.Recipe.Validation = "16-5-3", 8, 0.2
	return s
}

// runSweep runs a sweep of the data set tiny in the directory dir, or a shard.
func runSweep(t *testing.T, dir string, shard sweep.Shard) {
	t.Helper()
	data, err := (&dataSource{name: "tiny"}).load(t.Context(), nil)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := sweep.Run(t.Context(), cpu.New(), data, dir, tinySpec(), sweep.Options{Version: version, Shard: shard}); err != nil {
		t.Fatal(err)
	}
}

// exampleSweeps are the directories that the examples of results name.
func exampleSweeps(t *testing.T) {
	t.Helper()
	writeData(t, "tiny", 4)
	runSweep(t, "widths", sweep.Shard{})
	runSweep(t, "part-1", sweep.Shard{Part: 1, Of: 2})
	runSweep(t, "part-2", sweep.Shard{Part: 2, Of: 2})
}

func TestResults(t *testing.T) {
	inData(t)
	runSweep(t, "sweep", sweep.Shard{})
	text := must(t, "results", "sweep", "--top", "4")
	for _, part := range []string{"Leaderboard", "Pareto front", "What each dimension does", "planned    30 networks", "and 20 more", "Effects on validation accuracy", "2 seeds that the search has not seen"} {
		if !strings.Contains(text, part) {
			t.Errorf("no %q in %s", part, text)
		}
	}
	stdout := must(t, "results", "sweep", "--json")
	if strings.Count(stdout, "\n") != 1 || !slices.Equal(keys(t, stdout), []string{"planned", "done", "diverged", "arithmetics", "effects", "validation_images_error", "test_images_error", "variants"}) {
		t.Errorf("want one line with planned, done, diverged and variants, found %.300s", stdout)
	}
	var found report.Summary
	if err := json.Unmarshal([]byte(stdout), &found); err != nil {
		t.Fatal(err)
	}
	if found.Planned != 30 || found.Done+found.Diverged != 30 || len(found.Variants) != 30 || found.Diverged == 0 {
		t.Errorf("%d planned, %d done, %d diverged, %d variants", found.Planned, found.Done, found.Diverged, len(found.Variants))
	}

	// Files beside the text, or beside the object, which stands alone.
	stdout, stderr, code := vanilla(t, "results", "sweep", "--json", "--parquet", "all.parquet", "--html", "report.html", "--figures", "figures", "--format", "svg", "--heat", "activation,lr")
	if code != done || strings.Count(stdout, "\n") != 1 || strings.Count(stderr, "saved in") != 6 {
		t.Fatalf("exit code %d, %d lines, stderr %s", code, strings.Count(stdout, "\n"), stderr)
	}
	rows, err := parquet.ReadFile[report.Row]("all.parquet")
	if err != nil || len(rows) < 30 {
		t.Errorf("the Parquet file has %d rows: %v", len(rows), err)
	}
	if page := string(read(t, "report.html")); !strings.Contains(page, "activation and lr") || !strings.HasSuffix(page, "</html>\n") {
		t.Error("the page has no heat map of activation and lr, or no end")
	}
	for _, name := range []string{tradeoffFigure, marginalsFigure, heatFigure, rungsFigure} {
		if !bytes.Contains(read(t, filepath.Join("figures", name+".svg")), []byte("<svg")) {
			t.Errorf("%s is no SVG", name)
		}
	}

	// Everything else opens the best.
	text = must(t, "results", "sweep", "--save-best", "2", "-o", "best")
	if strings.Count(text, "saved in best") != 2 {
		t.Errorf("found %s", text)
	}
	for _, path := range []string{"best/best-1.safetensors", "best/best-2.safetensors"} {
		m, err := model.Read(path)
		if err != nil {
			t.Fatal(err)
		}
		var evaluated evalReport
		if err := json.Unmarshal([]byte(must(t, "eval", path, "--data", "tiny", "--json")), &evaluated); err != nil {
			t.Fatal(err)
		}
		known := false
		for _, v := range found.Variants {
			known = known || v.Stage == sweep.Final && v.Seed == m.Seed && v.Arch == m.Arch && v.TestAccuracy != nil && *v.TestAccuracy == evaluated.TestAccuracy && m.TestAccuracy == evaluated.TestAccuracy
		}
		if !known {
			t.Errorf("%s, seed %d, gets %v of the test images, which no final variant does", path, m.Seed, evaluated.TestAccuracy)
		}
		must(t, "export", path, "-o", "best.onnx")
		must(t, "viz", "weights", path, "-o", "weights.png")
	}
}

// Shards joined are the whole.
func TestResultsMerge(t *testing.T) {
	inData(t)
	runSweep(t, "whole", sweep.Shard{})
	runSweep(t, "one", sweep.Shard{Part: 1, Of: 2})
	runSweep(t, "two", sweep.Shard{Part: 2, Of: 2})
	for dir, change := range map[string]func(name string, text []byte) []byte{
		"half": func(name string, text []byte) []byte {
			if name == "records.jsonl" {
				return text[:bytes.IndexByte(text, '\n')+1]
			}
			return text
		},
		"other": func(name string, text []byte) []byte {
			if name == "records.jsonl" {
				return nil
			}
			return bytes.Replace(unsealed(text), []byte(`"seed": 1`), []byte(`"seed": 2`), 1)
		},
	} {
		if err := os.Mkdir(dir, 0o755); err != nil {
			t.Fatal(err)
		}
		for _, name := range []string{"spec.json", "records.jsonl"} {
			if err := os.WriteFile(filepath.Join(dir, name), change(name, read(t, filepath.Join("two", name))), 0o644); err != nil {
				t.Fatal(err)
			}
		}
	}
	for _, c := range []struct {
		args []string
		want string
	}{
		{[]string{"one"}, "expected all 2 shards, missing: 2/2"},
		{[]string{"one", "one"}, "one and one: expected each shard once, found 1/2 twice"},
		{[]string{"one", "two", "whole"}, "whole: expected a shard, found a whole sweep"},
		{[]string{"one", "half"}, "half: expected all"},
		{[]string{"one", "other"}, "other: expected a shard of the sweep of one, found another: \"seed\" was 1, is 2"},
		{[]string{"one", "nowhere"}, "nowhere: expected the directory of a sweep"},
	} {
		stdout, stderr, code := vanilla(t, append([]string{"results", "-o", "out", "--merge"}, c.args...)...)
		if code == done || stdout != "" || !strings.Contains(stderr, c.want) {
			t.Errorf("merging %v: exit code %d, %s, want %s", c.args, code, stderr, c.want)
		}
		if _, err := os.Stat("out"); err == nil {
			t.Fatalf("merging %v wrote something", c.args)
		}
	}
	if text := must(t, "results", "--merge", "two", "one", "-o", "out"); !strings.Contains(text, "done       ") || !strings.Contains(text, "6 to go") {
		t.Errorf("the finals are not to go: %s", text)
	}
	if _, stderr, code := vanilla(t, "results", "--merge", "two", "one", "-o", "out"); code != failed || !strings.Contains(stderr, "out: expected an empty directory") {
		t.Errorf("exit code %d, %s", code, stderr)
	}
	data, err := (&dataSource{name: "tiny"}).load(t.Context(), nil)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := sweep.Run(t.Context(), cpu.New(), data, "out", tinySpec(), sweep.Options{Version: version, Resume: true}); err != nil {
		t.Fatal(err)
	}
	if got, want := must(t, "results", "out", "--json"), must(t, "results", "whole", "--json"); got != want {
		t.Errorf("found %.2000s\nwant %.2000s", got, want)
	}
}

// unsealed is text without checksums, as versions before them wrote it.
func unsealed(text []byte) []byte {
	return regexp.MustCompile(`,\s*"crc32c": ?"[0-9a-f]{8}"`).ReplaceAll(text, nil)
}

// Damage is an error that names file and line; a line that is being written is none.
func TestResultsDamaged(t *testing.T) {
	inData(t)
	runSweep(t, "sweep", sweep.Shard{})
	records := read(t, "sweep/records.jsonl")
	lines := bytes.SplitAfter(records, []byte("\n"))
	write := func(parts ...[]byte) {
		if err := os.WriteFile("sweep/records.jsonl", bytes.Join(parts, nil), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	write(records[:len(records)-9])
	if text := must(t, "results", "sweep"); !strings.Contains(text, "1 to go") {
		t.Errorf("a torn last line: found %s", text)
	}
	for _, c := range []struct {
		name, want string
		parts      [][]byte
	}{
		{"torn within", "sweep/records.jsonl: line 2: expected a record of a variant", [][]byte{lines[0], lines[1][:40], []byte("\n"), lines[2]}},
		{"no object", "sweep/records.jsonl: line 1: expected a record of a variant", [][]byte{[]byte("[1]\n")}},
		{"no id", "sweep/records.jsonl: line 1: expected a record of a variant", [][]byte{[]byte("{}\n")}},
		{"not a fraction", "sweep/records.jsonl: line 1: expected a record of a variant", [][]byte{regexp.MustCompile(`"validation_accuracy":[0-9.]+`).ReplaceAll(lines[0], []byte(`"validation_accuracy":7`))}},
		{"twice", "each rung once", [][]byte{records, lines[0]}},
		{"another seed", "which is not in the plan", [][]byte{bytes.Replace(unsealed(lines[0]), []byte(`"seed":1`), []byte(`"seed":7`), 1)}},
		{"another point", "which is not in the plan", [][]byte{regexp.MustCompile(`"index":[0-9]+`).ReplaceAll(unsealed(lines[0]), []byte(`"index":-3`))}},
		{"bytes", "sweep/records.jsonl: line 1: expected a record of a variant", [][]byte{{0, 1, 2, '\n'}}},
	} {
		write(c.parts...)
		stdout, stderr, code := vanilla(t, "results", "sweep")
		if code != failed || stdout != "" || !strings.Contains(stderr, c.want) || strings.Count(stderr, "\n") != 1 {
			t.Errorf("%s: exit code %d, %s, want %s", c.name, code, stderr, c.want)
		}
	}
	write(records)
	spec := read(t, "sweep/spec.json")
	for _, text := range [][]byte{nil, []byte("{}"), spec[:len(spec)/2], bytes.Replace(spec, []byte(`"points"`), []byte(`"pionts"`), 1)} {
		if err := os.WriteFile("sweep/spec.json", text, 0o644); err != nil {
			t.Fatal(err)
		}
		if stdout, stderr, code := vanilla(t, "results", "sweep"); code != failed || stdout != "" || !strings.Contains(stderr, "sweep/spec.json: ") {
			t.Errorf("spec %.40q: exit code %d, %s", text, code, stderr)
		}
	}
}

func TestResultsWrongInput(t *testing.T) {
	inData(t)
	runSweep(t, "sweep", sweep.Shard{})
	for _, c := range []struct {
		args []string
		want string
	}{
		{nil, "want the directory of a sweep, as in vanilla results widths"},
		{[]string{"sweep", "sweep"}, "found 2 directories: want one, or --merge to join shards"},
		{[]string{"--merge"}, "want the directories of shards"},
		{[]string{"--merge", "sweep"}, "--merge: want --out"},
		{[]string{"sweep", "--top", "0"}, "--top 0: want 1 or more"},
		{[]string{"sweep", "--heat", "h1"}, "--heat h1: want two dimensions, as in h1,h2"},
		{[]string{"sweep", "--html", "x", "--heat", "h1,hidden"}, `--heat h1,hidden: unknown dimension "hidden"`},
		{[]string{"sweep", "--html", "x", "--heat", "actvation,lr"}, "did you mean activation?"},
		{[]string{"sweep", "--format", "gif"}, "--format gif: want png or svg"},
		{[]string{"sweep", "--save-best", "-1"}, "--save-best -1: want 1 or more"},
		{[]string{"sweep", "--save-best", "4"}, "--save-best 4: there are 3 finalists: want at most as many"},
		{[]string{"sweep", "-o", "x"}, "--out x: it is for --save-best and --merge"},
		{[]string{"sweep", "--htm", "x"}, "did you mean --html?"},
	} {
		stdout, stderr, code := vanilla(t, append([]string{"results"}, c.args...)...)
		if code != misuse || stdout != "" || !strings.Contains(stderr, c.want) || strings.Count(stderr, "\n") != 1 {
			t.Errorf("%v: exit code %d, %s%s, want %s", c.args, code, stdout, stderr, c.want)
		}
	}
	if _, stderr, code := vanilla(t, "results", "tiny"); code != failed || !strings.Contains(stderr, "tiny: expected the directory of a sweep, which has a spec.json: ") {
		t.Errorf("exit code %d, %s", code, stderr)
	}
}
