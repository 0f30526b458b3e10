package main

import (
	"bytes"
	"encoding/csv"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"vanilla/model/zoo"
	"vanilla/train"
	"vanilla/train/sweep/report"
)

// shellWords splits a command line as a shell does, as far as single quotes go.
func shellWords(line string) []string {
	var found []string
	for i, part := range strings.Split(line, "'") {
		if i%2 == 1 {
			found = append(found, part)
		} else {
			found = append(found, strings.Fields(part)...)
		}
	}
	return found
}

// Many seeds are trained as one is, each network to the bytes that it has alone.
// A run that has not learned says so in one line, and in its record; the recipes and the
// networks that are built in have learned.
func TestStuck(t *testing.T) {
	t.Chdir(t.TempDir())
	dead := []string{"train", "--epochs", "1", "--activation", "relu", "--init", "he", "--lr", "3", "--json"}
	stdout, stderr, code := vanilla(t, dead...)
	var r trainReport
	if err := json.Unmarshal([]byte(stdout), &r); err != nil {
		t.Fatal(err)
	}
	if code != done || !slices.Equal(r.Stuck, []train.Stuck{train.StuckLoss, train.StuckAccuracy, train.StuckDead}) ||
		strings.Count(stderr, "stuck") != 1 || !strings.Contains(stderr, "the network is stuck: its test loss at the end is 2.30") || !strings.Contains(stderr, " of 16 units of layer 3 are dead; another --init") {
		t.Errorf("exit code %d, %q: %s", code, r.Stuck, stderr)
	}
	_, stderr, _ = vanilla(t, append(dead, "--seeds", "2", "-o", "two.safetensors")...)
	if strings.Count(stderr, "stuck") != 1 || !strings.Contains(stderr, "2 of 2 networks are stuck (seeds 1, 2): of the first, its test loss at the end is") ||
		strings.Count(string(read(t, "two.jsonl")), `"stuck":["loss at chance",`) != 2 {
		t.Errorf("two networks: %s", stderr)
	}
	stdout, stderr, code = vanilla(t, "sweep", "--activation", "relu", "--init", "he", "--lr", "0.1,3", "--grid", "--epochs", "1", "--finalists", "2", "--final-seeds", "1", "-o", "s", "--json")
	if code != done || !strings.Contains(stderr, "2 of 4 networks are stuck (2 accuracy at chance, 1 dead units, 2 loss at chance): \"stuck\" in records.jsonl says which\n") ||
		strings.Count(stdout, `"stuck":[`) != 2 {
		t.Errorf("a sweep: exit code %d, %s%s", code, stderr, stdout)
	}
	for _, name := range train.Recipes() {
		if _, stderr, _ := vanilla(t, "train", "--recipe", name, "--epochs", "2", "-o", name+"-2.safetensors"); strings.Contains(stderr, "stuck") {
			t.Errorf("the recipe %s: %s", name, stderr)
		}
	}
	for _, name := range zoo.Names() {
		if e := evaluated(t, name); train.StuckUnits(e.Hidden) != nil || e.TestAccuracy < 0.9 {
			t.Errorf("the network %s has %+v", name, e.Hidden)
		}
	}
}

func TestSeeds(t *testing.T) {
	inData(t)
	text := must(t, tiny("--seed", "3", "--seeds", "4", "--validation", "0.2", "-o", "many.safetensors")...)
	for _, part := range []string{"4 of 16-5-3 sigmoid", "seeds 3 to 6", "median", "n = 4", "± is over seeds", "many-3.safetensors to", "many.jsonl"} {
		if !strings.Contains(text, part) {
			t.Errorf("no %q in %s", part, text)
		}
	}
	for seed := 3; seed < 7; seed++ {
		must(t, tiny("--seed", fmt.Sprint(seed), "--validation", "0.2", "-o", "one.safetensors")...)
		sameBytes(t, fmt.Sprintf("many-%d.safetensors", seed), "one.safetensors")
	}
	outcomes, err := train.ReadOutcomes(bytes.NewReader(read(t, "many.jsonl")))
	if err != nil || len(outcomes) != 4 {
		t.Fatalf("found %d, %v", len(outcomes), err)
	}
	var sum float64
	for i, o := range outcomes {
		if o.Seed != uint64(3+i) || o.OrderSeed != o.Seed || o.TestAccuracy == nil || o.ValidationAccuracy == nil || o.Arithmetic == "" || !strings.HasSuffix(o.Model, fmt.Sprintf("many-%d.safetensors", o.Seed)) {
			t.Errorf("found %+v", o)
		}
		sum += *o.TestAccuracy
	}
	var found seedsReport
	if err := json.Unmarshal([]byte(must(t, tiny("--seed", "3", "--seeds", "4", "--validation", "0.2", "-o", "json.safetensors", "--json")...)), &found); err != nil {
		t.Fatal(err)
	}
	if s := found.TestAccuracy; s.N != 4 || *s.Mean != sum/4 || s.SD == nil || *s.Min > *s.Median || *s.Max < *s.Median || len(found.Networks) != 4 {
		t.Errorf("found %+v", found)
	}
	// An order of its own is one for all.
	must(t, tiny("--seeds", "2", "--order-seed", "9", "-o", "order.safetensors")...)
	must(t, tiny("--seed", "2", "--order-seed", "9", "-o", "one.safetensors")...)
	sameBytes(t, "order-2.safetensors", "one.safetensors")
	// A flipped bit in the records is found.
	records := read(t, "many.jsonl")
	records[len(records)/2] ^= 4
	if err := os.WriteFile("flipped.jsonl", records, 0o644); err != nil {
		t.Fatal(err)
	}
	if _, stderr, code := vanilla(t, "results", "--compare", "many.jsonl", "flipped.jsonl"); code != failed || !strings.Contains(stderr, "flipped.jsonl: line ") {
		t.Errorf("exit code %d, %s", code, stderr)
	}
	// What diverged is not saved, and said.
	stdout, stderr, code := vanilla(t, tiny("--seeds", "3", "--activation", "relu", "--lr", "1e30", "--weight-decay", "1e8", "-o", "wild.safetensors")...)
	if strings.Contains(stdout, "saved in") {
		t.Errorf("of networks that all diverged: %s", stdout)
	}
	some := []train.Outcome{{Model: "a"}, {}, {Model: "c"}}
	if text := savedText(some); text != "a, c" || savedText(some[:1]) != "a to a" {
		t.Errorf("saved in %s", text)
	}
	if code != failed || !strings.Contains(stderr, "3 of 3 networks diverged and were not saved: seeds 1, 2, 3") {
		t.Errorf("exit code %d, %s", code, stderr)
	}
	if files, _ := filepath.Glob("wild-*"); len(files) > 0 {
		t.Errorf("found %q", files)
	}
	for _, c := range []struct{ flag, value string }{{"--seeds", "0"}, {"--seeds", "1001"}} {
		if _, stderr, code := vanilla(t, tiny(c.flag, c.value)...); code != misuse || !strings.Contains(stderr, "want 1 to 1000") {
			t.Errorf("exit code %d, %s", code, stderr)
		}
	}
	if _, stderr, code := vanilla(t, tiny("--seed", "18446744073709551615", "--seeds", "2")...); code != misuse || !strings.Contains(stderr, "there are no 2 seeds") {
		t.Errorf("exit code %d, %s", code, stderr)
	}
}

// Records, sweeps and points of them are compared, and nothing is trained.
func TestResultsCompare(t *testing.T) {
	inData(t)
	must(t, tiny("--seeds", "5", "-o", "a.safetensors")...)
	must(t, tiny("--seeds", "5", "--optimizer", "adam", "-o", "b.safetensors")...)
	must(t, tinySweep("--out", "sweep")...)
	text := must(t, "results", "--compare", "a.jsonl", "b.jsonl")
	for _, part := range []string{"optimizer sgd → adam", "lr 1 → 0.001", "t-test of 5 pairs of equal seeds and orders", ", p "} {
		if !strings.Contains(text, part) {
			t.Errorf("no %q in %s", part, text)
		}
	}
	if text := must(t, "results", "--compare", "a.jsonl", "a.jsonl"); !strings.Contains(text, "no setting of the recipe changes") || !strings.Contains(text, "+0.00 points") {
		t.Errorf("found %s", text)
	}
	var found report.Comparison
	if err := json.Unmarshal([]byte(must(t, "results", "--compare", "sweep#1", "sweep#2", "--json")), &found); err != nil || found.Measure != "test images" || found.Pairs != 3 {
		t.Errorf("found %+v, %v", found, err)
	}
	if text := must(t, "results", "--compare", "sweep", "a.jsonl"); !strings.Contains(text, "points of the test images") {
		t.Errorf("found %s", text)
	}
	for _, c := range []struct {
		want string
		args []string
	}{
		{"want two to compare", []string{"a.jsonl"}},
		{"nowhere.jsonl: want a file of records", []string{"a.jsonl", "nowhere.jsonl"}},
		{"expected a point of the sweep, a rank from 1 to 24 or an ID", []string{"a.jsonl", "sweep#99"}},
		{"was not trained to the end", []string{"sweep#1", "sweep#24"}},
		{"want it alone", []string{"a.jsonl", "b.jsonl", "--html", "x.html"}},
		{"line 1: expected the record of a network of several seeds", []string{"a.jsonl", "sweep/records.jsonl"}},
	} {
		if stdout, stderr, code := vanilla(t, append([]string{"results", "--compare"}, c.args...)...); code == done || stdout != "" || !strings.Contains(stderr, c.want) {
			t.Errorf("%q: exit code %d, %s%s, want %s", c.args, code, stdout, stderr, c.want)
		}
	}
}

// The commands beside finalists train them again, to the same bytes.
func TestAgain(t *testing.T) {
	inData(t)
	// Settings that follow others, and some that do not.
	must(t, tinySweep("--optimizer", "adam,nesterov", "--lr", "0.01..0.1", "--schedule", "constant,step", "--shift", "0,1", "--final-seeds", "2", "--out", "sweep")...)
	text := must(t, "results", "sweep")
	d := openSweep(t, "sweep")
	again := newReport(d).Again()
	if len(again) != 2 {
		t.Fatalf("found %+v", again)
	}
	models := 0
	for _, a := range again {
		if !strings.Contains(text, a.Command+"\n") {
			t.Errorf("no %q in %s", a.Command, text)
		}
		must(t, shellWords(a.Command)[1:]...)
	}
	ranks := map[string]int{}
	for i, p := range report.New(d).Points {
		ranks[p.ID] = i + 1
	}
	for _, v := range d.Variants() {
		if v.Stage != "final" {
			continue
		}
		models++
		sameBytes(t, fmt.Sprintf("finalist-%d-%d.safetensors", ranks[v.Point], v.Seed), d.ModelFile(v.ID))
	}
	if models != 4 {
		t.Errorf("compared %d models", models)
	}
	var found report.Summary
	if err := json.Unmarshal([]byte(must(t, "results", "sweep", "--json")), &found); err != nil {
		t.Fatal(err)
	}
	for _, v := range found.Variants {
		if (v.Command != "") != (v.Stage == "final") {
			t.Errorf("%s variant %s has the command %q", v.Stage, v.ID, v.Command)
		} else if v.Command != "" {
			must(t, shellWords(v.Command)[1:]...)
			sameBytes(t, v.ID+".safetensors", d.ModelFile(v.ID))
		}
	}
}

// A model is a recipe too, with its seeds.
func TestRecipeOfModel(t *testing.T) {
	inData(t)
	must(t, tiny("--optimizer", "momentum", "--schedule", "step", "--validation", "0.2", "--seed", "5", "--order-seed", "6", "-o", "first.safetensors")...)
	must(t, "train", "--data", "tiny", "--recipe", "first.safetensors", "-o", "again.safetensors")
	sameBytes(t, "again.safetensors", "first.safetensors")
	must(t, tiny("--optimizer", "momentum", "--schedule", "step", "--validation", "0.2", "--seed", "7", "--lr", "0.05", "-o", "other.safetensors")...)
	must(t, "train", "--data", "tiny", "--recipe", "first.safetensors", "--seed", "7", "--lr", "0.05", "-o", "changed.safetensors")
	sameBytes(t, "changed.safetensors", "other.safetensors")
	if err := os.WriteFile("broken.safetensors", read(t, "first.safetensors")[:300], 0o644); err != nil {
		t.Fatal(err)
	}
	for name, want := range map[string]string{"nowhere.safetensors": "default, lesson, a YAML file or a model", "tiny/train-labels-idx1-ubyte": "tiny/train-labels-idx1-ubyte"} {
		if _, stderr, code := vanilla(t, "train", "--recipe", name); code == done || !strings.Contains(stderr, want) {
			t.Errorf("exit code %d, %s", code, stderr)
		}
	}
}

// A run and a sweep that are gone on with need no flags again.
func TestResumeWithoutFlags(t *testing.T) {
	inData(t)
	line := tiny("--epochs", "150", "--optimizer", "adam", "--validation", "0.2", "--seed", "4", "--snapshots", "0,epochs", "--seeds", "2", "-o", "kept.safetensors")
	must(t, append(line, "--history", "run")...)
	want := map[string][]byte{}
	for _, name := range []string{"kept-4.safetensors", "kept-5.safetensors"} {
		want[name] = read(t, name)
		if err := os.Remove(name); err != nil {
			t.Fatal(err)
		}
	}
	must(t, "train", "--history", "run", "--resume")
	for name, text := range want {
		if !bytes.Equal(read(t, name), text) {
			t.Errorf("%s is another", name)
		}
	}
	// What is given anew counts, and must be as it was.
	must(t, "train", "--history", "run", "--resume", "-o", "elsewhere.safetensors")
	if !bytes.Equal(read(t, "elsewhere-4.safetensors"), want["kept-4.safetensors"]) {
		t.Error("elsewhere is another")
	}
	if _, stderr, code := vanilla(t, "train", "--history", "run", "--resume", "--lr", "0.5"); code == done || !strings.Contains(stderr, "--lr of network 0 was 0.001, is 0.5") {
		t.Errorf("exit code %d, %s", code, stderr)
	}

	must(t, tinySweep("--shard", "2/2", "--out", "sweep")...)
	must(t, tinySweep("--out", "whole")...)
	for _, dir := range []string{"sweep", "whole"} {
		records := read(t, dir+"/records.jsonl")
		lines := bytes.SplitAfter(records, []byte("\n"))
		if err := os.WriteFile(dir+"/records.jsonl", bytes.Join(lines[:len(lines)/2], nil), 0o644); err != nil {
			t.Fatal(err)
		}
		must(t, "sweep", "--out", dir, "--resume")
		found := bytes.SplitAfter(read(t, dir+"/records.jsonl"), []byte("\n"))
		if len(found) != len(lines) {
			t.Errorf("%s has %d records, had %d", dir, len(found), len(lines))
		}
	}
	must(t, tinySweep("--out", "again")...)
	sameSweep(t, "whole", "again")
}

// CSV has what Parquet has.
func TestResultsCSV(t *testing.T) {
	inData(t)
	must(t, tinySweep("--out", "sweep")...)
	must(t, "results", "sweep", "--csv", "records.csv")
	lines, err := csv.NewReader(bytes.NewReader(read(t, "records.csv"))).ReadAll()
	d := openSweep(t, "sweep")
	if err != nil || len(lines) != 1+len(d.Records) {
		t.Fatalf("found %d lines, %v", len(lines), err)
	}
	column := func(name string) int { return slices.Index(lines[0], name) }
	for i, r := range d.Records {
		line := lines[1+i]
		if line[column("id")] != r.ID || line[column("lr")] != fmt.Sprint(r.LR) || line[column("arch")] != r.Arch || line[column("rung")] != fmt.Sprint(r.Rung) ||
			(line[column("test_accuracy")] == "") != (r.TestAccuracy == nil) {
			t.Errorf("found %q, want %+v", line, r)
		}
	}
}

func TestNetworksAre(t *testing.T) {
	for want, n := range map[string][2]int{"24 networks is": {24, 1}, "1 network is": {1, 1}, "24 networks are": {24, 2}} {
		if found := networksAre(n[0], n[1]); found != want {
			t.Errorf("%v: found %q, want %q", n, found, want)
		}
	}
}
