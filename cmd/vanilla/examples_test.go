package main

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/spf13/cobra"
)

// commands lists c and all commands below.
func commands(c *cobra.Command) []*cobra.Command {
	if !c.HasParent() { // the others' would be theirs alone
		c.InitDefaultHelpCmd()
	}
	all := []*cobra.Command{c}
	for _, c := range c.Commands() {
		all = append(all, commands(c)...)
	}
	return all
}

// The examples that help texts show work, each once and on few images. Training stops
// after an epoch, and sweeps before they begin.
func TestExamples(t *testing.T) {
	studies, err := filepath.Abs("../../studies")
	if err != nil {
		t.Fatal(err)
	}
	t.Chdir(t.TempDir())
	if err := os.CopyFS("studies", os.DirFS(studies)); err != nil {
		t.Fatal(err)
	}
	writeFew(t, "few", 1000)
	must(t, "train", "--epochs", "1", "--data", "few") // model.safetensors, which examples name
	exampleFiles(t)
	for _, name := range []string{"sgd", "adam"} { // records of seeds
		must(t, "train", "--epochs", "1", "--data", "few", "--optimizer", name, "--seeds", "2", "-o", name+".safetensors")
	}
	exampleSweeps(t)
	exampleBuild(t)
	shown := map[string]bool{}
	for _, c := range commands(rootCommand()) {
		examples := strings.SplitSeq(strings.TrimSpace(c.Example), "\n")
		for line := range examples {
			line, file, redirected := strings.Cut(line, " > ")
			words := strings.Fields(line)
			if len(words) == 0 || words[0] != "vanilla" || redirected && file == "" {
				t.Fatalf("%s: the example %q is no command line", c.CommandPath(), line)
			}
			if line = strings.Join(words, " "); shown[line] {
				continue
			}
			shown[line] = true
			t.Run(strings.TrimPrefix(line, "vanilla "), func(t *testing.T) { example(t, words[1:]) })
		}
	}
}

// exampleBuild makes this binary the build that bench --against is shown with.
func exampleBuild(t *testing.T) {
	t.Helper()
	t.Setenv("VANILLA_TEST_MAIN", "1")
	if err := os.Mkdir("../before", 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink(os.Args[0], "../before/vanilla"); err != nil {
		t.Skipf("no symbolic links here: %v", err)
	}
}

// example runs an example's command line.
func example(t *testing.T, args []string) {
	if !slices.Contains(args, "--help") {
		switch args[0] {
		case "train":
			args = append(args, "--epochs", "1", "--data", "few")
		case "bench":
			args = append(args, "--rounds", "1", "--examples", "160")
			if slices.Contains(args, "--networks") { // each is compared with the definition
				args = append(args, "--networks", "1,2")
			}
		case "eval", "viz":
			args = append(args, "--data", "few")
		case "sweep":
			args = append(args, "--dry-run")
		case "serve":
			serveOnce(t, slices.DeleteFunc(args, func(a string) bool { return a == "--open" })...)
			return
		}
	}
	if stdout := must(t, args...); stdout == "" {
		t.Error("it printed nothing")
	}
}
