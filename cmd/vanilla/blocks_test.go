package main

import (
	"path/filepath"
	"strings"
	"testing"
)

// Networks with blocks, norms and activations of their own are evaluated, asked, drawn and exported; what takes chains
// alone says so, and which commands take any network.
func TestNetworksOfAnyForm(t *testing.T) {
	inData(t)
	for _, c := range []struct {
		flags, name string
		chain       bool
	}{
		{"--arch 16-5relu-4tanh-3", "16-5relu-4tanh-3", true},
		{"--arch 16-5-4tanh-3 --dropout 0.1 --input-dropout 0.1 --label-smoothing 0.1", "16-5-4tanh-3 sigmoid", true},
		{"--arch 16-5-5-3 --block residual --norm layer --dropout 0.1", "16-5-5-3 sigmoid cross-entropy residual layer-norm dropout 0.1", false},
		{"--block gated --loss quadratic", "16-5-3 sigmoid quadratic gated", false},
	} {
		must(t, tiny(append(strings.Fields(c.flags), "-o", "m.safetensors")...)...)
		if got := must(t, "eval", "m.safetensors", "--data", "tiny"); !strings.HasPrefix(got, "m.safetensors: "+c.name+"\n") {
			t.Errorf("%s: eval begins with %.120q", c.flags, got)
		}
		must(t, "predict", "m.safetensors", "--data", "tiny", "--json")
		for _, figure := range []string{"weights", "activations", "morph", "dream"} {
			line := []string{"viz", figure, "m.safetensors", "--json"}
			if figure == "morph" {
				line = append(line, "--from", "0", "--to", "1")
			}
			if figure != "weights" {
				line = append(line, "--data", "tiny")
			}
			must(t, line...)
		}
		for _, extension := range []string{".onnx", ".npz", ".json", ".html"} {
			_, stderr, code := vanilla(t, "export", "m.safetensors", "-o", "m"+extension)
			if takes := c.chain || extension == ".onnx" || extension == ".npz"; takes != (code == done) {
				t.Errorf("%s: export to %s: exit code %d, %s", c.flags, extension, code, stderr)
			} else if !takes && !strings.Contains(stderr, "m.safetensors: the network is not a chain of layers") {
				t.Errorf("%s: export to %s: %s", c.flags, extension, stderr)
			}
		}
	}
	// A model's recipe trains the same network again.
	must(t, "train", "--data", "tiny", "--recipe", "m.safetensors", "-o", "again.safetensors")
	if string(read(t, "m.safetensors")) != string(read(t, "again.safetensors")) {
		t.Error("the recipe of a gated network trains another one")
	}
}

// What is not there cannot be resumed, and binary files are no recipes.
func TestNothingToResume(t *testing.T) {
	inData(t)
	must(t, tiny("-o", "m.safetensors")...)
	must(t, "export", "m.safetensors", "-o", "m.onnx")
	for _, c := range []struct {
		args []string
		want string
	}{
		{[]string{"train", "--history", "missing", "--resume"}, "--resume missing: found no run there"},
		{[]string{"train", "--history", "missing", "--resume", "-o", "x.safetensors", "--json"}, "--resume missing: found no run there"},
		{[]string{"sweep", "--out", "missing", "--resume"}, "--resume missing: found no sweep there"},
		{[]string{"train", "--recipe", "m.onnx"}, "--recipe m.onnx:1: found a file that is no text"},
		{[]string{"sweep", "--activation", "foo"}, "--activation foo: want identity, "},
		{[]string{"sweep", "--block", "none,foo", "--grid"}, `--block none,foo: found "foo": want none, residual or gated`},
		{[]string{"train", "--block", "residual", "--arch", "784-16-10"}, "--block residual: 784-16-10 has no two neighbouring hidden layers of one width"},
	} {
		if _, stderr, code := vanilla(t, c.args...); code != misuse || !strings.Contains(stderr, c.want) {
			t.Errorf("%q: exit code %d, %s; want %s", c.args, code, stderr, c.want)
		}
	}
	if left, _ := filepath.Glob("missing"); left != nil {
		t.Error("a directory was left behind")
	}
	if got, want := must(t, "--version"), must(t, "version"); got != want || !strings.HasPrefix(got, "vanilla ") {
		t.Errorf("--version prints %q, the command %q", got, want)
	}
}
