package bench

import (
	"bytes"
	"encoding/json"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"vanilla/internal/sample"
	"vanilla/kernels/cpu"
	"vanilla/kernels/ref"
	"vanilla/train"
)

// What is recorded is trained again and comes to the same numbers; what does not, is
// of another arithmetic, or was never recorded, is named.
func TestReproduce(t *testing.T) {
	data := few(t)
	recipe := train.Default()
	recipe.Epochs = 3
	recipes := []NamedRecipe{{Name: "small", Recipe: recipe}}
	recorded, err := Accuracies(t.Context(), cpu.New(), data, recipe, 3)
	if err != nil {
		t.Fatal(err)
	}
	if a := recorded[0]; a.Rise <= 0 || a.Rise >= 1 || a.TrainLoss <= 0 || a.TestAccuracy < 0.5 || a.Arithmetic != cpu.New().Arithmetic() {
		t.Errorf("found %+v: in three epochs each loss is below the one before", a)
	}
	dir := t.TempDir()
	record := func(change func(all []Accuracy)) {
		t.Helper()
		all := append([]Accuracy(nil), recorded...)
		change(all)
		var lines bytes.Buffer
		for _, a := range all {
			line, err := json.Marshal(a)
			if err != nil {
				t.Fatal(err)
			}
			lines.Write(append(line, '\n'))
		}
		if err := os.WriteFile(filepath.Join(dir, "accuracy-here-2026-01-01.jsonl"), lines.Bytes(), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	var lacking []string
	again := func() (same int, err error) {
		lacking = nil
		err = Reproduce(t.Context(), cpu.New(), data, dir, recipes, 2, func(NamedRecipe, Accuracy) { same++ }, func(r NamedRecipe) { lacking = append(lacking, r.Name) })
		return same, err
	}

	record(func([]Accuracy) {})
	if same, err := again(); err != nil || same != 2 {
		t.Errorf("%d are the same again, err %v", same, err)
	}
	for want, change := range map[string]func([]Accuracy){
		"from seed 2 has test accuracy":                   func(all []Accuracy) { all[1].TestAccuracy += 1e-4 },
		"from seed 1 has test accuracy":                   func(all []Accuracy) { all[0].TrainLoss *= 1 + 1e-12 },
		"has 1 accuracies of small from the seeds 1 to 2": func(all []Accuracy) { all[0].Seed = 7 },
		"holds no accuracies of cpu in the arithmetic ":   func(all []Accuracy) { all[0].Arithmetic = "another" },
	} {
		record(change)
		if _, err := again(); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("found %v, want %q", err, want)
		}
	}
	// A recipe that only another arithmetic has records of is named, and no error.
	other := recipe
	other.Epochs = 4
	recipes = append(recipes, NamedRecipe{Name: "other", Recipe: other})
	record(func(all []Accuracy) {
		for i := range all {
			all[i].Recipe, all[i].Arithmetic = other, "another"
		}
	})
	if err := os.Rename(filepath.Join(dir, "accuracy-here-2026-01-01.jsonl"), filepath.Join(dir, "accuracy-there-2026-01-01.jsonl")); err != nil {
		t.Fatal(err)
	}
	record(func([]Accuracy) {})
	if same, err := again(); err != nil || same != 2 || !slices.Equal(lacking, []string{"other"}) {
		t.Errorf("%d are the same again, %v lack records, err %v", same, lacking, err)
	}
	if err := Reproduce(t.Context(), ref.New(), data, dir, recipes, 2, nil, nil); err == nil || !strings.Contains(err.Error(), "no accuracies of ref") {
		t.Errorf("another executor: %v", err)
	}
}

// What the committed records say of the recipes: every seed converges, no epoch's
// loss is above twice that of the one before, and seeds agree.
func TestRecordedRecipes(t *testing.T) {
	files, err := ReadFiles("results")
	if err != nil {
		t.Fatal(err)
	}
	named, err := NamedRecipes("../recipes")
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range newest(files, AccuracySuite) {
		for _, r := range named {
			accuracies := accuraciesOf(f, r.Recipe)
			if len(accuracies) == 0 && strings.Contains(f.Machine, "portable") {
				continue // portable Go may lack a recipe, which takes it minutes
			}
			if len(accuracies) < 20 {
				t.Errorf("%s has %d seeds of %s, want 20: make accuracy", f.Name, len(accuracies), r.Name)
			}
			if _, sd := sample.MeanSD(accuracies); r.File != "" && !(sd <= 0.002) {
				t.Errorf("%s: the accuracies of %s deviate by %.2f percentage points, want 0.2 at most", f.Name, r.Name, 100*sd)
			}
		}
		for _, a := range f.Accuracies {
			if a.Diverged || a.Rise > 2 {
				t.Errorf("%s: seed %d of %s diverged %v, and its loss rises up to %.2f times", f.Name, a.Seed, inWords(a.Recipe), a.Diverged, a.Rise)
			}
		}
	}
}
