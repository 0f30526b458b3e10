package main

import (
	"bytes"
	"os"
	"regexp"
	"slices"
	"testing"

	"vanilla/infer/quality"
	"vanilla/model"
)

var (
	measured = regexp.MustCompile(`[0-9.]+ s\b|loss +[0-9.]+`)
	hardware = regexp.MustCompile(`(executor +cpu: ).*|(with cpu: ).*`)
	itself   = regexp.MustCompile(`(errs: ).* eval`)
)

// What people see, but for what depends on the machine.
func TestSummary(t *testing.T) {
	dir, err := os.Getwd()
	if err != nil {
		t.Fatal(err)
	}
	inData(t)
	stdout, stderr, code := vanilla(t, tiny("--epochs", "50")...)
	if code != done {
		t.Fatal(stderr)
	}
	t.Chdir(dir)
	text := measured.ReplaceAllStringFunc(stderr+stdout, func(s string) string { return regexp.MustCompile("[0-9]").ReplaceAllString(s, "0") })
	text = hardware.ReplaceAllString(text, "$1$2(hardware)")
	golden(t, "summary", itself.ReplaceAllString(text, "$1(this program) eval"))
}

func TestPrintScore(t *testing.T) {
	outputs := []float32{
		4, 0, 0, 3, 0, 0, 2, 0, 0, 9, 0, 0, // 0, right
		0, 2, 1, 1, 3, 0, // 1, right
		5, 4, 0, 0, 1, 2, // 1, taken for 0 and 2
	}
	q := quality.Of(outputs, []byte{0, 0, 0, 0, 1, 1, 1, 1}, 3, true)
	q.Hidden = []quality.Layer{{Name: "h1", Units: 5, Dead: []int{0, 3}}}
	var b bytes.Buffer
	m := &model.Model{Arch: "16-5-3", Activation: "relu"}
	if err := printScore(&b, q, nil, "m.safetensors", m, "tiny"); err != nil {
		t.Fatal(err)
	}
	if err := printMistakes(&b, q.Chosen(1, -1), []string{"zero", "one", "two"}, mistakesText(1, -1, []string{"zero", "one", "two"})); err != nil {
		t.Fatal(err)
	}
	// The quadratic loss's outputs, and such as say nothing of confidence.
	small := slices.Clone(outputs)
	for i := range small {
		small[i] /= 10
	}
	for _, outputs := range [][]float32{small, outputs} {
		b.WriteByte('\n')
		if err := printScore(&b, quality.Of(outputs, []byte{0, 0, 0, 0, 1, 1, 1, 1}, 3, false), []string{"zero", "one", "a long word for two"}, "m.safetensors", m, "tiny"); err != nil {
			t.Fatal(err)
		}
	}
	golden(t, "score", b.String())
}

// Mistakes are asked for by the names of classes, or by numbers where none is called so,
// and named as the tables name them.
func TestMistakesText(t *testing.T) {
	for _, c := range []struct {
		asked chosen
		names []string
		want  string
	}{
		{chosen{label: "1"}, []string{"cat", "dog", "owl"}, "images of dog that are taken for something else"},
		{chosen{label: "dog", guess: "0"}, []string{"cat", "dog", "owl"}, "images of dog that are taken for cat"},
		{chosen{guess: "1"}, []string{"1", "2", "3"}, "images that are taken for 1"},
		{chosen{label: "1", guess: "2"}, nil, "images of 1 that are taken for 2"},
	} {
		label, guess, err := c.asked.classes(3, c.names)
		if err != nil {
			t.Fatal(err)
		}
		if got := mistakesText(label, guess, c.names); got != c.want {
			t.Errorf("found %q, want %q", got, c.want)
		}
	}
	if label, _, _ := (&chosen{label: "1"}).classes(3, []string{"1", "2", "3"}); label != 0 {
		t.Errorf("the class called 1 is found at %d, want 0", label)
	}
}
