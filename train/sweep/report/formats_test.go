package report

import (
	"bytes"
	"context"
	"encoding/csv"
	"encoding/json"
	"fmt"
	"math"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/parquet-go/parquet-go"

	"vanilla/train"
	"vanilla/train/sweep"
	"vanilla/viz"
)

func TestSummary(t *testing.T) {
	for name, r := range sweeps(t) {
		text, err := json.Marshal(r.Summary())
		if err != nil {
			t.Fatal(err)
		}
		var s struct {
			Planned, Done, Diverged int
			Variants                []map[string]any
		}
		if err := json.Unmarshal(text, &s); err != nil {
			t.Fatal(err)
		}
		variants := 0
		for _, v := range s.Variants {
			for _, key := range []string{"id", "point", "stage", "arch", "parameters", "seed", "activation", "lr", "status", "rung", "epoch", "validation_accuracy", "test_accuracy", "diverged", "rank"} {
				if _, ok := v[key]; !ok {
					t.Fatalf("%s: a variant has no %s: %v", name, key, v)
				}
			}
			if (v["status"] == "done" || v["status"] == "stopped" || v["status"] == "diverged") != (v["status"] != "unfinished") {
				t.Errorf("%s: status %v", name, v["status"])
			}
			if v["status"] != "unfinished" {
				variants++
			}
			if (v["validation_accuracy"] == nil) != (v["diverged"] == true) || v["stage"] == "search" && v["test_accuracy"] != nil {
				t.Errorf("%s: found %v", name, v)
			}
		}
		if s.Done+s.Diverged != variants || s.Planned < variants {
			t.Errorf("%s: %d planned, %d done, %d diverged, but %d of the variants have ended", name, s.Planned, s.Done, s.Diverged, variants)
		}
		if bytes.Contains(text, []byte("seconds")) || bytes.Contains(text, []byte("2026")) {
			t.Errorf("%s: there is a time inside", name)
		}
	}
}

func TestParquet(t *testing.T) {
	for name, r := range sweeps(t) {
		var b bytes.Buffer
		if err := r.WriteParquet(&b); err != nil {
			t.Fatal(err)
		}
		rows, err := parquet.Read[Row](bytes.NewReader(b.Bytes()), int64(b.Len()))
		if err != nil {
			t.Fatal(err)
		}
		if len(rows) != len(r.Records) {
			t.Fatalf("%s: %d rows, want %d", name, len(rows), len(r.Records))
		}
		for i, row := range rows {
			want := r.Records[i]
			same := func(a, b *float64) bool { return a == nil && b == nil || a != nil && b != nil && *a == *b }
			if row.ID != want.ID || row.Stage != string(want.Stage) || row.Seed != want.Seed || row.Arch != want.Arch || row.LR != want.LR || row.Epoch != int32(want.Epoch) ||
				int(row.Layers) != len(row.Hidden) || row.Parameters != int64(want.Parameters) || row.Diverged != want.Diverged || row.Seconds != want.Seconds ||
				!row.Time.Equal(want.Time.Truncate(time.Millisecond)) || !same(row.ValidationAccuracy, want.ValidationAccuracy) || !same(row.TestAccuracy, want.TestAccuracy) {
				t.Fatalf("%s: row %d is %+v, want %+v", name, i, row, want)
			}
			if (row.TrainLoss == nil) != want.Diverged || len(row.Losses) != len(want.Losses) || row.Diverged != math.IsNaN(row.Losses[0]) {
				t.Fatalf("%s: row %d has losses %v, want %v", name, i, row.Losses, want.Losses)
			}
		}
	}
}

// Every field of records is a column, so every setting of recipes is, with its value.
func TestColumns(t *testing.T) {
	for _, f := range reflect.VisibleFields(reflect.TypeFor[sweep.Record]()) {
		name, _, _ := strings.Cut(f.Tag.Get("json"), ",")
		if name == "arithmetic" {
			name = "precision" // which it says
		}
		if !f.Anonymous && !slices.Contains(columns, name) {
			t.Errorf("%s, %q in JSON, has no column", f.Name, name)
		}
	}
	spec := study()
	r := &spec.Recipe
	r.Shift, r.Rotate, r.Scale, r.Shear, r.Stroke, r.Elastic, r.ElasticSigma, r.NoiseShare = 1, 5, 0.1, 0.2, 0.3, 6, 3, 0.05
	r.Block, r.Norm, r.Dropout, r.InputDropout, r.LabelSmoothing, r.Warmup = "gated", "layer", 0.1, 0.2, 0.3, 1
	found := open(t, simulate(t, spec, outcome, nil))
	var b bytes.Buffer
	if err := found.WriteCSV(&b); err != nil {
		t.Fatal(err)
	}
	lines, err := csv.NewReader(&b).ReadAll()
	if err != nil || len(lines) != len(found.Records)+1 {
		t.Fatalf("found %d lines for %d records, err %v", len(lines), len(found.Records), err)
	}
	for n, record := range found.Records {
		for i, name := range lines[0] {
			if want := record.Get(name); want != nil && record.Has(name) && lines[n+1][i] != fmt.Sprint(want) {
				t.Fatalf("record %d has %s %v, its line %s", n, name, want, lines[n+1][i])
			}
		}
	}
}

// A setting that a point does not have is none, and not zero: in its name, in what
// dimensions do, in heat maps and in Parquet files.
func TestAbsentSettings(t *testing.T) {
	spec := sweep.Spec{Recipe: train.Default(), Points: 200, Seed: 1, Seeds: 1, Space: map[string]string{"optimizer": "adam,nesterov", "momentum": "0.5,0.9",
		"schedule": "cosine,step", "step_epochs": "1,2", "gamma": "0.1,0.5", "arch": "784-10,784-16-10", "activation": "relu,tanh", "lr": "0.001..0.1"}}
	spec.Recipe.Validation, spec.Recipe.Epochs = 0.1, 4
	r := open(t, simulate(t, spec, outcome, nil))
	kinds := map[string]int{}
	for i := range r.Points {
		p := &r.Points[i]
		for _, c := range []struct {
			field string
			has   bool
		}{
			{"momentum ", p.Recipe.Optimizer == "nesterov"}, {"step-epochs ", p.Recipe.Schedule == "step"}, {"gamma ", p.Recipe.Schedule == "step"},
			{p.Recipe.Activation, p.Recipe.Arch != "784-10"},
		} {
			if strings.Contains(p.Settings, c.field) != c.has {
				t.Errorf("%s %s %s is called %q", p.Recipe.Arch, p.Recipe.Optimizer, p.Recipe.Schedule, p.Settings)
			}
			if !c.has {
				kinds[c.field]++
			}
		}
	}
	if len(kinds) != 5 {
		t.Errorf("of all settings %v are absent somewhere", kinds)
	}
	for _, d := range r.Dimensions {
		var values []string
		n := 0
		for _, l := range d.Levels {
			values = append(values, l.Value)
			n += l.N + l.Diverged
		}
		want := map[string][]string{"momentum": {"none", "0.5", "0.9"}, "step-epochs": {"none", "1", "2"}, "gamma": {"none", "0.1", "0.5"}, "activation": {"none", "relu", "tanh"}}[d.Name]
		if want != nil && !slices.Equal(values, want) || n != len(r.Points) {
			t.Errorf("%s has the levels %q of %d points, want %q of %d", d.Name, values, n, want, len(r.Points))
		}
	}
	h, err := r.Heat("momentum", "gamma")
	if err != nil || !slices.Equal(h.RowOf, []string{"0.5", "0.9"}) || !slices.Equal(h.ColumnOf, []string{"0.1", "0.5"}) {
		t.Errorf("the heat map is of %v and %v, err %v", h.RowOf, h.ColumnOf, err)
	}
	for i := range r.Variants {
		v := &r.Variants[i]
		w := r.row(v, &v.Records[0])
		if (w.Momentum != nil) != (w.Optimizer == "nesterov") || (w.StepEpochs != nil) != (w.Schedule == "step") || (w.Gamma != nil) != (w.Schedule == "step") {
			t.Fatalf("%s %s has momentum %v, step epochs %v, gamma %v", w.Optimizer, w.Schedule, w.Momentum, w.StepEpochs, w.Gamma)
		}
	}
}

// Figures show the numbers of the report.
func TestFigures(t *testing.T) {
	r := open(t, simulate(t, study(), outcome, nil))
	h, err := r.Heat("h1", "h2")
	if err != nil {
		t.Fatal(err)
	}
	if !slices.Equal(h.RowOf, []string{"4", "16", "64"}) || !slices.Equal(h.ColumnOf, h.RowOf) || h.Marked != 4 {
		t.Fatalf("found rows %v, columns %v, the mark at %d", h.RowOf, h.ColumnOf, h.Marked)
	}
	// Cell 16, 64 has the two points that differ in init, of five seeds each.
	var want []float64
	for _, record := range r.Records {
		if record.Arch == "784-16-64-10" {
			want = append(want, *record.ValidationAccuracy)
		}
	}
	if e, c := estimate(want), h.Cells[5]; c.N != 10 || c.N != e.N || c.Mean != e.Mean || *c.SD != *e.SD {
		t.Errorf("found %+v, want %+v", c, e)
	}
	if h, err = r.Heat("init", "h1"); err != nil || !slices.Equal(h.RowOf, []string{"he", "scaled"}) || h.Marked != -1 || h.Cells[0].N != 15 {
		t.Errorf("found %+v: %v", h, err)
	}
	for _, c := range []struct{ rows, columns, want string }{
		{"h1", "h3", "unknown dimension \"h3\": did you mean h1 or h2?"},
		{"lr", "h1", "unknown dimension \"lr\": want one of h1, h2, init, parameters"},
		{"h1", "h1", "found h1 twice: want two dimensions"},
	} {
		if _, err := r.Heat(c.rows, c.columns); err == nil || err.Error() != c.want {
			t.Errorf("%s, %s: found %v, want %s", c.rows, c.columns, err, c.want)
		}
	}
	for name, r := range sweeps(t) {
		figures := []viz.Figure{r.Tradeoff(), r.Rungs(), r.Marginals()}
		if rows, columns, ok := r.HeatDefault(); ok {
			h, err := r.Heat(rows, columns)
			if err != nil {
				t.Fatal(err)
			}
			figures = append(figures, h)
		}
		for _, f := range figures {
			var b bytes.Buffer
			if err := viz.Write(t.Context(), &b, f, viz.SVG, viz.Light); err != nil || b.Len() == 0 {
				t.Errorf("%s: %T: %v", name, f, err)
			}
		}
	}
}

// Of a finalist's networks, the one that is best on held-out images is its model.
func TestBestModels(t *testing.T) {
	r := open(t, simulate(t, halving(150), outcome, nil))
	best, err := r.BestModels(2)
	if err != nil {
		t.Fatal(err)
	}
	for i, v := range best {
		if v.Point != r.Points[i].ID || v.Stage != sweep.Final {
			t.Errorf("model %d is of point %s, want %s", i+1, v.Point, r.Points[i].ID)
		}
		for k := range r.Variants {
			if o := &r.Variants[k]; o.Point == v.Point && o.Stage == sweep.Final && *o.Last().ValidationAccuracy > *v.Last().ValidationAccuracy {
				t.Errorf("model %d is of seed %d, seed %d is better", i+1, v.Seed, o.Seed)
			}
		}
	}
	for _, c := range []struct {
		name, want string
		n          int
	}{
		{"halving", "there are 3 finalists: want at most as many", 4},
		{"study", "the sweep has no finalists, whose networks alone are kept: want one with finalists", 1},
		{"unfinished", "no finalist is trained yet: want a sweep that has ended (resume goes on)", 1},
	} {
		if _, err := sweeps(t)[c.name].BestModels(c.n); err == nil || err.Error() != c.want {
			t.Errorf("%s: found %v, want %s", c.name, err, c.want)
		}
	}
}

// 100,000 variants: opening the directory, and all that results can write.
func BenchmarkReport(b *testing.B) {
	dir := simulate(b, halving(100_000), outcome, nil)
	b.Run("variants=100000/open", func(b *testing.B) {
		for b.Loop() {
			open(b, dir)
		}
	})
	r := open(b, dir)
	for name, write := range map[string]func(*bytes.Buffer) error{
		"text":    func(w *bytes.Buffer) error { return r.WriteText(w, 10) },
		"json":    func(w *bytes.Buffer) error { return json.NewEncoder(w).Encode(r.Summary()) },
		"parquet": func(w *bytes.Buffer) error { return r.WriteParquet(w) },
		"html":    func(w *bytes.Buffer) error { return r.WriteHTML(w, "h1", "h2") },
		"png": func(w *bytes.Buffer) error {
			return viz.Write(context.Background(), w, r.Tradeoff(), viz.PNG, viz.Light)
		},
	} {
		b.Run("variants=100000/"+name, func(b *testing.B) {
			for b.Loop() {
				var w bytes.Buffer
				if err := write(&w); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
