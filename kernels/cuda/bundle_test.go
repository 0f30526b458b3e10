package cuda

import (
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// bundle is a bundle whose command is a script that notes how it is called, and a
// folder beside it to call from.
func bundle(t *testing.T, devices string) (script, caller, calls string) {
	t.Helper()
	if _, err := exec.LookPath("bash"); err != nil {
		t.Skip("no bash")
	}
	dir, err := filepath.EvalSymlinks(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	text := source(t, "bundle/gpu-bench")
	script, caller, calls = filepath.Join(dir, "bundle", "gpu-bench"), filepath.Join(dir, "caller"), filepath.Join(dir, "calls")
	for path, text := range map[string]string{
		script: text,
		filepath.Join(dir, "bundle", "bin", "vanilla-gpu"): `#!/bin/sh
case $1 in
devices) printf '` + devices + `'; exit;;
version) echo 0; exit;;
esac
echo "in $PWD: $*" >>` + calls + `
echo "row of $3"
[ "$3" != "$FAILS" ]
`,
		filepath.Join(caller, "venv", "python"): "#!/bin/sh\n",
	} {
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(text), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	return script, caller, calls
}

// gpu-bench is called from any directory, whose names it takes; a suite that fails
// does not end it; --quick has an end.
func TestGPUBench(t *testing.T) {
	const gpu = `cpu  some\ncuda:0  a GPU\n`
	for _, c := range []struct {
		name, devices, args, environment string
		want                             []string // calls, with BUNDLE and CALLER for the folders
		files                            string   // of results, below CALLER
		says                             string
		fails                            bool
	}{
		{name: "all", devices: gpu, args: "--rounds 3 --peers venv/python", files: "results", want: []string{
			"--suite ceilings --executors cuda,cpu --json",
			"--suite step --executors cuda,cuda-bf16,cpu --rounds 3 --json",
			"--suite population --executors cuda,cuda-bf16 --rounds 3 --json --networks 1,16,64,512,4096",
			"--suite wide --executors cuda,cuda-bf16,cpu --rounds 3 --json",
			"--suite eval --executors cuda,cpu --rounds 3 --json",
			"--suite peers --executors cuda,cuda-bf16 --rounds 3 --json --peers CALLER/venv/python --peers-device cuda"}},
		{name: "absolute", devices: gpu, args: "--out CALLER/deep/er --peers CALLER/venv/python --examples 100 peers", files: "deep/er", want: []string{
			"--suite peers --executors cuda,cuda-bf16 --examples 100 --json --peers CALLER/venv/python --peers-device cuda"}},
		{name: "a suite that fails", devices: gpu, args: "--out there step eval", environment: "FAILS=step", files: "there", fails: true, says: "gpu-bench: failed: step", want: []string{
			"--suite step --executors cuda,cuda-bf16,cpu --json", "--suite eval --executors cuda,cpu --json"}},
		{name: "quick", devices: gpu, args: "--quick --peers venv/python", files: "results", want: []string{
			"--suite ceilings --executors cuda,cpu --json",
			"--suite population --executors cuda,cuda-bf16 --rounds 2 --json --networks 512,4096 --budget LEFT",
			"--suite step --executors cuda,cuda-bf16,cpu --rounds 2 --json --batch 32 --budget LEFT",
			"--suite peers --executors cuda,cuda-bf16 --rounds 2 --json --peers CALLER/venv/python --peers-device cuda --networks 512,4096 --budget LEFT"}},
		{name: "quick without time", devices: gpu, args: "--quick", environment: "GPU_BENCH_SECONDS=40", files: "results",
			says: "NOT RUN: the suite ceilings, for which no time is left\nNOT RUN: the suite population, for which no time is left\nNOT RUN: the suite step"},
		{name: "no GPU", devices: `cpu  some\ncuda  none: no driver\n`, fails: true, says: "gpu-bench: no GPU: no driver"},
		{name: "stand-in", devices: `cpu  some\ncuda:0  not a GPU\n`, fails: true, says: "gpu-bench: this is the stand-in"},
		{name: "no Python", devices: gpu, args: "--peers venv/python3", fails: true, says: "gpu-bench: --peers CALLER/venv/python3: no such program"},
		{name: "no value", devices: gpu, args: "--out", fails: true, says: "gpu-bench: --out: want a value"},
		{name: "no option", devices: gpu, args: "--fast", fails: true, says: "gpu-bench: --fast: want --out"},
	} {
		t.Run(c.name, func(t *testing.T) {
			script, caller, calls := bundle(t, c.devices)
			here := strings.NewReplacer("CALLER", caller, "BUNDLE", filepath.Dir(script))
			command := exec.Command(filepath.Join("..", "bundle", "gpu-bench"), strings.Fields(here.Replace(c.args))...)
			command.Dir = caller
			command.Env = append(os.Environ(), "FAILS=none", c.environment)
			said, err := command.CombinedOutput()
			if (err != nil) != c.fails || !strings.Contains(string(said), here.Replace(c.says)) {
				t.Errorf("%v, %s", err, said)
			}
			text, _ := os.ReadFile(calls)
			got := regexp.MustCompile(`--budget (\d+)s`).ReplaceAllString(string(text), "--budget LEFT")
			want := ""
			for _, w := range c.want {
				want += here.Replace("in BUNDLE: bench "+w) + "\n"
			}
			if got != want {
				t.Errorf("called\n%swant\n%s", got, want)
			}
			found, err := filepath.Glob(filepath.Join(caller, c.files, "*.jsonl"))
			if err != nil {
				t.Fatal(err)
			}
			rows := ""
			for _, file := range found {
				rows += source(t, file)
			}
			for _, w := range c.want {
				if suite := strings.Fields(w)[1]; !strings.Contains(rows, "row of "+suite+"\n") {
					t.Errorf("no row of %s in %v", suite, found)
				}
			}
			if outside, _ := filepath.Glob(filepath.Join(filepath.Dir(script), "results")); outside != nil || len(c.want) == 0 && len(found) > 0 {
				t.Errorf("%v and %v were written", outside, found)
			}
		})
	}
}
