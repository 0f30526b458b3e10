package train

import (
	"bytes"
	"context"
	"slices"
	"testing"
	"time"

	"vanilla/kernels/cpu"
)

// Whoever watches, and how often, the networks that come of a run are the same, and
// so are its records.
func TestWatch(t *testing.T) {
	data := striped(100, 30)
	recipe := small()
	other := small()
	other.Arch, other.Batch, other.Shift = "16-9-3", 5, 1
	patient := small()
	patient.Validation, patient.Patience, patient.Epochs = 0.2, 2, 12
	for name, specs := range map[string][]Spec{
		"two":     {seeded(recipe, 1), seeded(other, 2)},
		"patient": {seeded(patient, 1), seeded(patient, 2)},
	} {
		watched := func(watch func(View) Pace, history string) (models [][]byte, records []Record) {
			results, err := Run(t.Context(), cpu.New(), data, specs, Options{Watch: watch, History: history,
				Observe: func(r Record) {
					r.Seconds = 0
					records = append(records, r)
				}})
			if err != nil {
				t.Fatal(err)
			}
			for _, r := range results {
				models = append(models, encode(t, r))
			}
			slices.SortStableFunc(records, func(a, b Record) int { return a.Variant - b.Variant })
			return models, records
		}
		plain, plainRecords := watched(nil, "")
		for pace, next := range map[string]func(n int) Pace{
			"each step":    func(int) Pace { return Pace{Steps: 1} },
			"seven steps":  func(int) Pace { return Pace{Steps: 7} },
			"microseconds": func(n int) Pace { return Pace{Time: time.Duration(200+50*n) * time.Microsecond} },
			"once":         func(int) Pace { return Pace{} },
		} {
			for _, history := range []string{"", t.TempDir()} {
				looks := 0
				models, records := watched(func(v View) Pace {
					looks++
					for i := range specs {
						params, err := v.Params(i)
						if err != nil {
							t.Fatal(err)
						}
						clear(params[0]) // which are the caller's
					}
					return next(looks)
				}, history)
				for i := range models {
					if !bytes.Equal(models[i], plain[i]) {
						t.Errorf("%s, watched after %s: network %d is another", name, pace, i)
					}
				}
				if len(records) != len(plainRecords) {
					t.Errorf("%s, watched after %s: %d records, want %d", name, pace, len(records), len(plainRecords))
				}
				for i := range min(len(records), len(plainRecords)) {
					a, b := records[i], plainRecords[i]
					if a.Variant != b.Variant || a.Step != b.Step || a.TrainLoss != b.TrainLoss || (a.Validation == nil) != (b.Validation == nil) ||
						a.Validation != nil && *a.Validation != *b.Validation {
						t.Errorf("%s, watched after %s: found record %+v, want %+v", name, pace, a, b)
					}
				}
				if pace == "each step" && looks < 40 {
					t.Errorf("%s: %d looks", name, looks)
				}
			}
		}
	}
}

// What is seen of a run that stands still is that run: where it is, and what it has become.
func TestView(t *testing.T) {
	data, spec := striped(100, 30), seeded(small(), 1)
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	var seen []int
	results, err := Run(ctx, cpu.New(), data, []Spec{spec}, Options{Watch: func(v View) Pace {
		step, total, perEpoch := v.Step(0)
		if seen = append(seen, step); total != 6*13 || perEpoch != 13 || v.Diverged(0) {
			t.Errorf("found %d steps, %d an epoch", total, perEpoch)
		}
		if step < 21 {
			return Pace{Steps: 3}
		}
		params, err := v.Params(0)
		if err != nil {
			t.Fatal(err)
		}
		score, err := v.Test(0)
		if err != nil {
			t.Fatal(err)
		}
		m, err := v.Model(0, params, score.Accuracy())
		if err != nil {
			t.Fatal(err)
		}
		cancel() // what comes of the run is then what was seen
		<-v.Done()
		t.Cleanup(func() {
			if got, err := m.Encode(); err != nil || !bytes.Contains(got, []byte(`stopped_at\":21`)) {
				t.Errorf("the model is %.300q: %v", got, err)
			}
		})
		return Pace{}
	}})
	if err != nil {
		t.Fatal(err)
	}
	if want := []int{0, 3, 6, 9, 12, 15, 18, 21}; !slices.Equal(seen, want) {
		t.Errorf("looked after steps %v, want %v", seen, want)
	}
	if r := results[0]; !r.Interrupted || r.EpochsTrained != 21./13 {
		t.Errorf("found %+v", r)
	}
}
