package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"image"
	"image/png"
	"math"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"vanilla/model"
	"vanilla/train"
	"vanilla/train/sweep/report"
)

// earlier are files of version 0.1.0, which had no checksums and did not write down the arithmetic: a run and a sweep
// that were killed, a model, and the data of all.
const earlier = "testdata/v0.1.0"

// inEarlier is in a copy of the files of an earlier version.
func inEarlier(t *testing.T) {
	t.Helper()
	from, err := filepath.Abs(earlier)
	if err != nil {
		t.Fatal(err)
	}
	t.Chdir(t.TempDir())
	if err := os.CopyFS(".", os.DirFS(from)); err != nil {
		t.Fatal(err)
	}
}

var (
	earlierRun = strings.Fields("train --data tiny --arch 16-5-3 --batch 8 --epochs 400 --optimizer adam --lr 0.001 --validation 0.2 --patience 400 " +
		"--snapshots 0,50 --checkpoint-every 0 --history run -o run.safetensors --json")
	earlierSweep = strings.Fields("sweep --data tiny --layers 1..2 --hidden 2..6 --lr 0.1..1 --activation relu,sigmoid --batch 8 --points 6 --seeds 1 " +
		"--halving 200,600 --brackets 2 --finalists 1 --final-seeds 2 --validation 0.2 --out sweep")
)

// What an earlier version wrote is read, and gone on with where the user knows that the arithmetic may be another.
func TestEarlierFiles(t *testing.T) {
	inEarlier(t)
	if text := must(t, "eval", "model.safetensors", "--data", "tiny"); !strings.Contains(text, "16-5-3") {
		t.Errorf("found %s", text)
	}
	must(t, "viz", "weights", "run/snapshots/step-000000050.safetensors", "-o", "weights.svg")
	records, err := train.ReadRecords(bytes.NewReader(read(t, "run/history.jsonl")))
	if err != nil || len(records) != 41 {
		t.Errorf("found %d records, %v", len(records), err)
	}
	if text := must(t, "results", "sweep"); !strings.Contains(text, "sweep") || strings.Contains(text, "mixed") {
		t.Errorf("found %s", text)
	}
	for _, line := range [][]string{earlierRun, earlierSweep} {
		_, stderr, code := vanilla(t, append(line, "--resume")...)
		if want := "the arithmetic was not written down by the vanilla that began it"; code == done || !strings.Contains(stderr, want) || !strings.Contains(stderr, "--allow-mixed") {
			t.Errorf("%s: exit code %d, %s", line[0], code, stderr)
		}
	}
	var report trainReport
	if err := json.Unmarshal([]byte(must(t, append(earlierRun, "--resume", "--allow-mixed")...)), &report); err != nil || len(report.Mixed) != 1 || report.Epochs != 400 {
		t.Errorf("found %+v, %v", report, err)
	}
	if model := string(read(t, "run.safetensors")); !strings.Contains(model, "mixed_arithmetic") {
		t.Error("the model does not say that no other run comes to it")
	}
	must(t, append(earlierSweep, "--resume", "--allow-mixed")...)
	if text := must(t, "results", "sweep"); !strings.Contains(text, "arithmetic mixed: one that was not written down, then ") {
		t.Errorf("found %s", text)
	}
}

// otherArithmetic runs this binary as the command where the processor seems to be a lesser one.
func otherArithmetic(t *testing.T, args ...string) (stdout, stderr string, code int) {
	t.Helper()
	c := exec.Command(os.Args[0], args...)
	c.Env = append(os.Environ(), "VANILLA_TEST_MAIN=1", "GODEBUG=cpu.avx2=off,cpu.avx512f=off")
	var out, text bytes.Buffer
	c.Stdout, c.Stderr = &out, &text
	err := c.Run()
	var exit *exec.ExitError
	if err != nil && !errors.As(err, &exit) {
		t.Fatal(err)
	}
	return out.String(), text.String(), c.ProcessState.ExitCode()
}

// arithmetics are this machine's, with vectors and without.
func arithmetics(t *testing.T) (with, without string) {
	t.Helper()
	var report trainReport
	if err := json.Unmarshal([]byte(must(t, tiny("--json")...)), &report); err != nil {
		t.Fatal(err)
	}
	with = report.Arithmetic
	stdout, stderr, code := otherArithmetic(t, tiny("--json")...)
	if err := json.Unmarshal([]byte(stdout), &report); err != nil || code != done {
		t.Fatalf("exit code %d, %s", code, stderr)
	}
	if with == report.Arithmetic {
		t.Skipf("this machine has one arithmetic: %s", with)
	}
	return with, report.Arithmetic
}

// A run, a sweep or shards go on in the arithmetic in which they were begun, or say that they did not.
func TestOtherArithmetic(t *testing.T) {
	inData(t)
	with, without := arithmetics(t)
	different := `the arithmetic was "` + with + `", is "` + without + `"`

	run := tiny("--history", "run", "-o", "run.safetensors", "--resume")
	must(t, run...)
	before := read(t, "run.safetensors")
	if _, stderr, code := otherArithmetic(t, run...); code != failed && code != misuse || !strings.Contains(stderr, different) {
		t.Errorf("exit code %d, %s", code, stderr)
	}
	if !bytes.Equal(read(t, "run.safetensors"), before) {
		t.Error("a refused run wrote its model")
	}
	if stdout, stderr, code := otherArithmetic(t, append(run, "--allow-mixed")...); code != done || !strings.Contains(stdout, "mixed") {
		t.Errorf("exit code %d, %s%s", code, stdout, stderr)
	}

	shard := tinySweep("--resume", "--shard")
	must(t, append(shard, "1/2", "--out", "one")...)
	if _, stderr, code := otherArithmetic(t, append(shard, "1/2", "--out", "one")...); code == done || !strings.Contains(stderr, different) {
		t.Errorf("exit code %d, %s", code, stderr)
	}
	if text := must(t, "results", "one"); strings.Contains(text, "mixed") {
		t.Errorf("found %s", text)
	}
	if _, stderr, code := otherArithmetic(t, append(shard, "2/2", "--out", "two")...); code != done {
		t.Fatalf("exit code %d, %s", code, stderr)
	}
	if _, stderr, code := vanilla(t, "results", "--merge", "one", "two", "-o", "both"); code != failed || !strings.Contains(stderr, "--allow-mixed") {
		t.Errorf("exit code %d, %s", code, stderr)
	}
	text := must(t, "results", "--merge", "one", "two", "-o", "both", "--allow-mixed")
	if !strings.Contains(text, "arithmetic mixed: "+with+", then "+without) || !strings.Contains(text, "portable") {
		t.Errorf("found %s", text)
	}
	// Records say their own.
	of := func(dir, arithmetic string) (n int) {
		d := openSweep(t, dir)
		for i := range d.Records {
			if d.ArithmeticOf(&d.Records[i]) == arithmetic {
				n++
			}
		}
		return n
	}
	if one, two := len(openSweep(t, "one").Records), len(openSweep(t, "two").Records); of("both", with) != one || of("both", without) != two {
		t.Errorf("%d and %d records, want %d and %d", of("both", with), of("both", without), one, two)
	}
	file := filepath.Join("one", "records.jsonl")
	records := read(t, file)
	last := bytes.LastIndexByte(records[:len(records)-1], '\n')
	put(t, file, string(records[:last+1]))
	if _, stderr, code := otherArithmetic(t, append(shard, "1/2", "--out", "one", "--allow-mixed")...); code != done || of("one", without) != 1 {
		t.Errorf("exit code %d, %d records of other arithmetic, want 1; %s", code, of("one", without), stderr)
	}
}

// A directory is one run's or one sweep's, and what is in it is theirs.
func TestFilesOfOthers(t *testing.T) {
	inData(t)
	must(t, tiny("--history", "run")...)
	must(t, tinySweep("--out", "sweep")...)
	must(t, tiny("--history", "run/below")...)
	var files map[string]string
	remember := func() map[string]string {
		found := map[string]string{}
		for _, dir := range []string{"run", "sweep"} {
			err := filepath.WalkDir(dir, func(path string, d os.DirEntry, err error) error {
				if err == nil && !d.IsDir() && d.Name() != "lock" {
					found[path] = string(read(t, path))
				}
				return err
			})
			if err != nil {
				t.Fatal(err)
			}
		}
		return found
	}
	for _, name := range []string{"run/.vanilla-0123456789abcdef.tmp", "run/below/.vanilla-checkpoint.safetensors.tmp", "sweep/states/.vanilla-mine.tmp"} {
		if err := os.WriteFile(name, []byte("mine"), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	files = remember()
	for _, c := range []struct {
		want string
		line []string
	}{
		{"--out run: holds the history of a run", tinySweep("--out", "run")},
		{"--history sweep: holds a sweep", tiny("--history", "sweep")},
		{"belongs to a sweep in ", []string{"results", "sweep", "--html", "sweep/records.jsonl"}},
		{"belongs to a sweep in ", []string{"results", "sweep", "--parquet", "sweep/spec.json"}},
		{"belongs to the history of a run in ", tiny("-o", "run/checkpoint.safetensors")},
		{"belongs to the history of a run in ", tiny("--dot", "run/history.jsonl")},
		{"belongs to the history of a run in ", []string{"export", "default", "-o", "run/snapshots/step-000000001.safetensors"}},
	} {
		if c.line[0] == "export" { // which writes no such files; a copy of a model does
			continue
		}
		if _, stderr, code := vanilla(t, c.line...); code == done || !strings.Contains(stderr, c.want) {
			t.Errorf("%q: exit code %d, %s, want %s", c.line, code, stderr, c.want)
		}
	}
	must(t, tiny("--history", "run", "--resume")...)
	must(t, tinySweep("--out", "sweep", "--resume")...)
	delete(files, "sweep/environment.jsonl")
	for name, text := range files {
		if name != "run/checkpoint.safetensors" && string(read(t, name)) != text {
			t.Errorf("%s was changed", name)
		}
	}
}

// An output is no file that the command reads, nor the output of another flag.
func TestOutputsApart(t *testing.T) {
	inData(t)
	if err := os.WriteFile("recipe.yaml", []byte("base: lesson\narch: 16-5-3\nbatch: 8\nepochs: 2\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	must(t, tiny("-o", "m.json")...) // a model, whatever it is called
	must(t, tiny("-o", "m.png")...)
	must(t, tinySweep("--out", "sweep")...)
	if err := os.Symlink("tiny", "link"); err != nil {
		t.Skip(err)
	}
	const reads, twice = "the command reads this file", "it is also --parquet"
	for _, c := range []struct {
		want string
		line []string
	}{
		{reads, []string{"train", "--data", "tiny", "--recipe", "recipe.yaml", "-o", "./recipe.yaml"}},
		{reads, []string{"train", "--data", "tiny", "--recipe", "recipe.yaml", "--dot", "recipe.yaml"}},
		{reads, tiny("-o", "link/train-images-idx3-ubyte")},
		{reads, []string{"export", "m.json", "-o", "m.json"}},
		{reads, []string{"viz", "weights", "m.png", "-o", "tiny/../m.png"}},
		{twice, []string{"results", "sweep", "--html", "report", "--parquet", "./report"}},
	} {
		before := map[string]string{}
		for _, name := range []string{"recipe.yaml", "m.json", "m.png", "tiny/train-images-idx3-ubyte"} {
			before[name] = string(read(t, name))
		}
		if stdout, stderr, code := vanilla(t, c.line...); code == done || stdout != "" || !strings.Contains(stderr, c.want) {
			t.Errorf("%q: exit code %d, %s, want %s", c.line, code, stderr, c.want)
		}
		for name, text := range before {
			if string(read(t, name)) != text {
				t.Errorf("%q: %s was changed", c.line, name)
			}
		}
	}
}

// A name means one thing: no model is saved under that of a built-in network, and none is taken for the other.
func TestOneMeaning(t *testing.T) {
	inData(t)
	for _, name := range []string{"default", "lesson"} {
		if _, stderr, code := vanilla(t, tiny("-o", name)...); code != misuse || !strings.Contains(stderr, "the name of a network that is built in") || !strings.Contains(stderr, name+".safetensors") {
			t.Errorf("exit code %d, %s", code, stderr)
		}
		if _, err := os.Stat(name); err == nil {
			t.Errorf("%s was written", name)
		}
	}
	text := must(t, tiny("-o", "./default")...)
	if !strings.Contains(text, "vanilla eval ./default") {
		t.Errorf("found %s", text)
	}
	must(t, "eval", "./default", "--data", "tiny")
	for _, line := range [][]string{{"eval", "default"}, {"export", "default", "-o", "a.json"}, {"predict", "default", "x.png"}, {"viz", "weights", "default", "-o", "a.png"}, {"train", "--recipe", "default"}} {
		if _, stderr, code := vanilla(t, line...); code != failed || !strings.Contains(stderr, "built in, and a file here: want ./default") {
			t.Errorf("%q: exit code %d, %s", line, code, stderr)
		}
	}
	// Training again says what it replaces.
	for i := range 2 {
		_, stderr, code := vanilla(t, tiny("-o", "a.safetensors")...)
		if code != done || strings.Contains(stderr, "replaces a.safetensors\n") != (i == 1) {
			t.Errorf("run %d: exit code %d, %s", i, code, stderr)
		}
	}
}

// A network whose parameters or outputs are not finite is refused by whatever shows it.
func TestNotFinite(t *testing.T) {
	inData(t)
	must(t, tiny("-o", "good.safetensors")...)
	write := func(name string, value float32) {
		m, err := model.Read("good.safetensors")
		if err != nil {
			t.Fatal(err)
		}
		for i := range m.Params[0].Data {
			m.Params[0].Data[i] = value
		}
		for i := range m.Params[2].Data {
			m.Params[2].Data[i] = value
		}
		if err := m.Write(name); err != nil {
			t.Fatal(err)
		}
	}
	write("nan.safetensors", float32(math.NaN()))
	write("inf.safetensors", float32(math.Inf(-1)))
	write("overflow.safetensors", math.MaxFloat32) // 5 units of it in the second layer overflow
	picture := image.NewGray(image.Rect(0, 0, 4, 4))
	for i := range picture.Pix {
		picture.Pix[i] = byte(16 * i)
	}
	var b bytes.Buffer
	if err := png.Encode(&b, picture); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile("digit.png", b.Bytes(), 0o644); err != nil {
		t.Fatal(err)
	}
	for name, want := range map[string]string{"nan.safetensors": "parameter 0.weight: expected finite values, found NaN",
		"inf.safetensors": "parameter 0.weight: expected finite values, found -Inf", "overflow.safetensors": "the outputs of the network are not finite"} {
		for _, line := range [][]string{
			{"eval", name, "--data", "tiny"}, {"eval", name, "--data", "tiny", "--json"},
			{"export", name, "-o", "out.onnx"}, {"export", name, "-o", "out.npz"}, {"export", name, "-o", "out.json"},
			{"predict", name, "--raw", "digit.png"}, {"predict", name, "--data", "tiny"},
			{"viz", "mistakes", name, "--data", "tiny", "-o", "out.png"}, {"viz", "noise", name, "--data", "tiny", "-o", "out.png"},
		} {
			stdout, stderr, code := vanilla(t, line...)
			if code != failed || stdout != "" || !strings.Contains(stderr, want) {
				t.Errorf("%q: exit code %d, %s%s, want %s", line, code, stdout, stderr, want)
			}
		}
		for _, out := range []string{"out.onnx", "out.npz", "out.json", "out.png"} {
			if _, err := os.Stat(out); err == nil {
				t.Fatalf("%s was written of %s", out, name)
			}
		}
	}
}

// A sweep of which all diverged has found nothing, and what diverged has no rank.
func TestAllDiverged(t *testing.T) {
	inData(t)
	_, stderr, code := vanilla(t, strings.Fields("sweep --data tiny --arch 16-5-3 --activation relu --lr 1e30,1e31 --weight-decay 1e8 --batch 8 --grid --epochs 3 "+
		"--validation 0.2 --finalists 1 --final-seeds 2 --out sweep")...)
	if code != failed || !strings.Contains(stderr, "variants diverged: nothing was found") {
		t.Errorf("exit code %d, %s", code, stderr)
	}
	var found report.Summary
	if err := json.Unmarshal([]byte(must(t, "results", "sweep", "--json")), &found); err != nil || len(found.Variants) != 2 {
		t.Fatalf("found %+v, %v", found, err)
	}
	for _, v := range found.Variants {
		if v.Rank != nil || !v.Diverged {
			t.Errorf("found %+v", v)
		}
	}
	if text := must(t, "results", "sweep"); strings.Contains(text, "     1  16-5-3") || !strings.Contains(text, "     -  16-5-3") {
		t.Errorf("found %s", text)
	}
}
