//go:build unix

package main

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/goccy/go-yaml"

	"vanilla/train/sweep"
)

const clusterFiles = "../../examples/cluster"

// inCluster is inData with this binary in the path as vanilla, and a function that
// runs a command there. It returns the directory of the cluster's files too.
func inCluster(t *testing.T) (files string, command func(env []string, args ...string)) {
	t.Helper()
	files, err := filepath.Abs(clusterFiles)
	if err != nil {
		t.Fatal(err)
	}
	itself, err := filepath.Abs(os.Args[0])
	if err != nil {
		t.Fatal(err)
	}
	inData(t)
	dir, err := os.Getwd()
	if err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink(itself, "vanilla"); err != nil {
		t.Fatal(err)
	}
	return files, func(env []string, args ...string) {
		t.Helper()
		c := exec.CommandContext(t.Context(), args[0], args[1:]...)
		c.Env = append(append(os.Environ(), "VANILLA_TEST_MAIN=1", "PATH="+dir+":"+os.Getenv("PATH")), env...)
		if out, err := c.CombinedOutput(); err != nil {
			t.Fatalf("%q: %v: %s", args, err, out)
		}
	}
}

// finish joins shards, trains the finalists and compares the result with one
// run's.
func finish(t *testing.T, shards int, dir string) {
	t.Helper()
	var dirs []string
	for i := range shards {
		dirs = append(dirs, filepath.Join(dir, fmt.Sprint("shard-", i+1)))
	}
	all := filepath.Join(dir, "all")
	if _, err := sweep.Merge(t.Context(), all, false, dirs...); err != nil {
		t.Fatal(err)
	}
	must(t, tinySweep("--out", all, "--resume")...)
	must(t, tinySweep("--out", "whole")...)
	sameSweep(t, all, "whole")
}

// The container's command of the Kubernetes job, with the variables that its pods
// have.
func TestKubernetesJob(t *testing.T) {
	text, err := os.ReadFile(filepath.Join(clusterFiles, "kubernetes.yaml"))
	if err != nil {
		t.Fatal(err)
	}
	var job struct {
		Kind string
		Spec struct {
			CompletionMode string `yaml:"completionMode"`
			Completions    int
			Template       struct {
				Spec struct {
					Containers []struct {
						Command []string
						Env     []struct{ Name, Value string }
					}
				}
			}
		}
	}
	if err := yaml.Unmarshal(text, &job); err != nil {
		t.Fatal(err)
	}
	if job.Kind != "Job" || job.Spec.CompletionMode != "Indexed" || len(job.Spec.Template.Spec.Containers) != 1 {
		t.Fatalf("found %+v", job)
	}
	container := job.Spec.Template.Spec.Containers[0]
	env := map[string]string{}
	for _, e := range container.Env {
		env[e.Name] = e.Value
	}
	if env["SHARDS"] != fmt.Sprint(job.Spec.Completions) || env["SWEEP"] == "" || env["SWEEP_FLAGS"] == "" {
		t.Errorf("%d completions with %v", job.Spec.Completions, env)
	}
	_, command := inCluster(t)
	flags := strings.Join(tinySweep()[1:], " ")
	for index := range 3 {
		command([]string{fmt.Sprint("JOB_COMPLETION_INDEX=", index), "SHARDS=3", "SWEEP=found", "SWEEP_FLAGS=" + flags}, container.Command...)
	}
	finish(t, 3, "found")
}

// The array job of Slurm, with the variables that its tasks have.
func TestSlurmVariables(t *testing.T) {
	files, command := inCluster(t)
	for task := range 3 {
		command([]string{fmt.Sprint("SLURM_ARRAY_TASK_ID=", task+1), "SLURM_ARRAY_TASK_COUNT=3", "SWEEP=found"},
			append([]string{filepath.Join(files, "slurm-sweep.sh")}, tinySweep()[1:]...)...)
	}
	finish(t, 3, "found")
}

// The same in a Slurm cluster that consists of this machine: make slurm.
func TestSlurm(t *testing.T) {
	if os.Getenv("VANILLA_SLURM") == "" {
		t.Skip("runs Slurm's daemons: make slurm")
	}
	files, command := inCluster(t)
	flags := strings.Join(tinySweep()[1:], " ")
	script := fmt.Sprintf(`set -eu
id=$(sbatch --parsable --array=1-3 --output=shard-%%a.log '%[1]s/slurm-sweep.sh' %[2]s)
sbatch --wait --dependency=afterok:$id --output=finish.log '%[1]s/slurm-finish.sh' %[2]s || { cat *.log; exit 1; }
`, files, flags)
	command([]string{"SWEEP=found"}, filepath.Join(files, "with-slurm.sh"), "sh", "-c", script)
	must(t, tinySweep("--out", "whole")...)
	sameSweep(t, "found/all", "whole")
	for i := range 3 {
		d, err := sweep.Open(t.Context(), fmt.Sprint("found/shard-", i+1))
		if err != nil || d.Shard != (sweep.Shard{Part: i + 1, Of: 3}) {
			t.Errorf("shard %d: found %v, %v", i+1, d, err)
		}
	}
}
