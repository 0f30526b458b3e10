package bench

import (
	"bytes"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"vanilla/train"
)

var update = flag.Bool("update", false, "write the page of results and the README's figures anew")

// The page of results, its pictures and the README's figures are what the files
// of results say. make results, which is this test with -update, writes them.
func TestPage(t *testing.T) {
	const dir, readme = "results", "../README.md"
	page, err := newPage(dir, "../recipes")
	if err != nil {
		t.Fatal(err)
	}
	if *update {
		if err := page.write(dir, readme); err != nil {
			t.Fatal(err)
		}
	}
	read := func(path string) string {
		text, err := os.ReadFile(path)
		if err != nil {
			t.Fatalf("%v: make results writes it", err)
		}
		return string(text)
	}
	if read(filepath.Join(dir, "README.md")) != page.Text {
		t.Errorf("the page of results is stale: make results writes it anew")
	}
	for file, picture := range page.Pictures {
		if !bytes.Equal([]byte(read(filepath.Join(dir, file))), picture) {
			t.Errorf("%s is stale: make results draws it anew", file)
		}
	}
	drawn, err := filepath.Glob(filepath.Join(dir, "*.svg"))
	if err != nil || len(drawn) != len(page.Pictures) {
		t.Errorf("%d pictures, want %d: make results removes the others, %v", len(drawn), len(page.Pictures), err)
	}
	now := read(readme)
	filled, err := fill(now, page.Blocks)
	if err != nil {
		t.Fatal(err)
	}
	if filled != now {
		t.Errorf("the README's figures are stale: make results writes them anew")
	}
	// What vanilla train prints is the default recipe's first seed.
	files, err := ReadFiles(dir)
	if err != nil {
		t.Fatal(err)
	}
	f, _ := accuracyFile(files)
	k := slices.IndexFunc(f.Accuracies, func(a Accuracy) bool { return a.Recipe == train.Default() && a.Seed == 1 })
	if k < 0 {
		t.Fatalf("%s has no seed 1 of the default recipe", f.Name)
	}
	first := f.Accuracies[k]
	for _, line := range []string{fmt.Sprintf("train loss     %.4f\n", first.TrainLoss), fmt.Sprintf("test accuracy  %.2f %% (", 100*first.TestAccuracy)} {
		if !strings.Contains(now, line) {
			t.Errorf("the README's first run has no %q, which it has in %s", line, f.Name)
		}
	}
}

// Figures come from the files: other files, other figures.
func TestPageFollowsFiles(t *testing.T) {
	dir := t.TempDir()
	write := func(name string, lines ...string) {
		t.Helper()
		if err := os.WriteFile(filepath.Join(dir, name), []byte(strings.Join(lines, "\n")), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	line := func(suite, work, executor, cpu, date string, seconds string) string {
		return `{"suite":"` + suite + `","case":"` + work + `","executor":"` + executor + `","networks":1,"cores":1,"batch":32,"n":1,"samples":[` + seconds +
			`],"seconds_per_epoch":` + seconds + `,"times_handrolled":40,"date":"` + date + `","revision":"abc","machine":{"cpu":"` + cpu + `","features":["AVX2"]}}`
	}
	write("step-a-2026-01-01.jsonl", line("step", "batch 32", "cpu", "Old CPU", "2026-01-01", "0.7654"))
	write("step-b-2026-01-02.jsonl", line("step", "batch 32", "cpu", "New CPU", "2026-01-02", "0.1234"), line("population", "equal shapes, 1 network", "cpu", "New CPU", "2026-01-02", "0.2222"))
	write("step-b-2026-01-01.jsonl", line("step", "batch 32", "cpu", "New CPU", "2026-01-01", "0.5555"))
	write("peers-b-2026-01-02.jsonl", line("peers", "1 network, 1 core", "cpu", "New CPU", "2026-01-02", "0.02"), line("peers", "1 network, 1 core", "jax-scan", "New CPU", "2026-01-02", "0.1"))
	page, err := newPage(dir, "../recipes")
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"| batch 32 | **cpu** | 123 | 765 |", "### New CPU, AVX2", "revision abc", "Older: [New CPU, AVX2, 2026-01-01](step-b-2026-01-01.jsonl)"} {
		if !strings.Contains(page.Text, want) {
			t.Errorf("no %q in\n%s", want, page.Text)
		}
	}
	if strings.Index(page.Text, "### New CPU") > strings.Index(page.Text, "### Old CPU") {
		t.Error("the newest machine is not the first")
	}
	for _, want := range []string{"| **`cpu`** | **123** (×40) |", "| **`cpu`** on Old CPU, AVX2 | **765** (×40) |", "| JAX `scan` | 100 (×5) |", "bench/results/step-b-2026-01-02-dark.svg", "bench/results/population-step-b-2026-01-02-light.svg"} {
		if !strings.Contains(page.Blocks["speed"], want) {
			t.Errorf("no %q in\n%s", want, page.Blocks["speed"])
		}
	}
	if page.Blocks["accuracy"] != "" || len(page.Pictures) != 6 {
		t.Errorf("accuracies %q, %d pictures", page.Blocks["accuracy"], len(page.Pictures))
	}
	write("hello.jsonl", "{}")
	if _, err := newPage(dir, "../recipes"); err == nil || !strings.Contains(err.Error(), "want a name like step-MACHINE-") {
		t.Error(err)
	}
}

// What gpu-bench leaves is read as it is: a file of several suites, in which a peer
// has failed, and one of ceilings.
func TestPageOfGPU(t *testing.T) {
	dir := t.TempDir()
	const row = `{"suite":"%s","case":"512 networks, 16 cores","executor":"%s","device":"a GPU","networks":512,"cores":16,"batch":32,%s"date":"2026-01-03","revision":"abc","machine":{"cpu":"A CPU"}}`
	const timed = `"n":2,"samples":[0.001,0.001],"seconds_per_epoch":0.001,`
	lines := []string{
		fmt.Sprintf(row, "peers", "cuda", timed),
		fmt.Sprintf(row, "peers", "jax-vmap-own", `"failed":"not ready: EOF: out of\nmemory",`),
		fmt.Sprintf(row, "population", "cuda", timed),
	}
	ceiling := `{"suite":"ceilings","what":"L2, read","executor":"cuda","device":"a GPU","unit":"GB/s","n":3,"samples":[5000,5100,5200],"median":5100,"lower_quartile":5050,"upper_quartile":5150,` +
		`"date":"2026-01-03","revision":"abc","machine":{"cpu":"A CPU"}}`
	for name, text := range map[string]string{"cuda-2026-01-03-1200.jsonl": strings.Join(lines, "\n"), "ceilings-cuda-2026-01-03-1200.jsonl": ceiling} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	processor := strings.ReplaceAll(fmt.Sprintf(row, "peers", "cpu", `"n":2,"samples":[0.02,0.02],"seconds_per_epoch":0.02,`), "a GPU", "A CPU")
	if err := os.WriteFile(filepath.Join(dir, "peers-a-cpu-2026-01-02.jsonl"), []byte(strings.ReplaceAll(processor, "01-03", "01-02")), 0o644); err != nil {
		t.Fatal(err)
	}
	page, err := newPage(dir, "../recipes")
	if err != nil {
		t.Fatal(err)
	}
	// A machine with a GPU is one of its own, and comes behind the processors.
	speed := page.Blocks["speed"]
	if own, gpu := strings.Index(speed, "| **vanilla**, `cpu` | **20** |"), strings.Index(speed, "The same on a GPU"); own < 0 || gpu < own || !strings.Contains(speed[gpu:], "a GPU, 2026-01-03):") || !strings.Contains(speed[gpu:], "| **vanilla**, `cuda` | **1** |") {
		t.Errorf("the processor's table is at %d, the GPU's at %d of\n%s", own, gpu, speed)
	}
	for _, want := range []string{
		"### a GPU and A CPU", "### A CPU",
		"| 512 networks, 16 cores | **cuda** | 16 | **1** |", "|  | jax-vmap-own | 16 | failed |",
		"512 networks, 16 cores, jax-vmap-own failed: not ready: EOF: out of memory\n",
		"## Ceilings", "2026-01-03 · revision abc", "| a GPU | L2, read | **5100** | 5050–5150 | GB/s |",
	} {
		if !strings.Contains(page.Text, want) {
			t.Errorf("no %q in\n%s", want, page.Text)
		}
	}
}

func TestFill(t *testing.T) {
	const page = "a\n<!-- results:x -->\nold\n<!-- /results -->\nb\n"
	got, err := fill(page, map[string]string{"x": "new\n"})
	if want := "a\n<!-- results:x -->\n\nnew\n\n<!-- /results -->\nb\n"; err != nil || got != want {
		t.Errorf("%q, %v", got, err)
	}
	if again, err := fill(got, map[string]string{"x": "new"}); err != nil || again != got {
		t.Errorf("%q, %v", again, err)
	}
	if _, err := fill(page, map[string]string{"y": ""}); err == nil || !strings.Contains(err.Error(), "<!-- results:y -->") {
		t.Error(err)
	}
}
