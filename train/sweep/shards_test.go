package sweep

import (
	"fmt"
	"path/filepath"
	"strings"
	"testing"
)

// Shards that are merged and finished are the sweep that was not divided.
func TestMerge(t *testing.T) {
	whole := sweep(t, t.TempDir(), tiny(nil), Options{})
	var dirs []string
	for i := range 4 {
		dir := filepath.Join(t.TempDir(), "shard")
		sweep(t, dir, tiny(nil), Options{Shard: Shard{i + 1, 4}})
		dirs = append(dirs, dir)
	}
	out := filepath.Join(t.TempDir(), "merged")
	d, err := Merge(t.Context(), out, false, dirs[2], dirs[0], dirs[3], dirs[1])
	if err != nil {
		t.Fatal(err)
	}
	if c := d.Counts(); c.Planned != 86 || c.Done+c.Diverged != 80 {
		t.Errorf("found %+v", c)
	}
	same(t, sweep(t, out, tiny(nil), Options{Resume: true}), whole)
	if _, err := Merge(t.Context(), filepath.Join(t.TempDir(), "merged"), false, dirs[:3]...); err == nil || !strings.Contains(err.Error(), "4/4") {
		t.Errorf("three of four shards: found %v", err)
	}
}

func FuzzParseValues(f *testing.F) {
	for _, seed := range []string{"relu,silu", "1..3", "0.1..1:log:5", "-1..1:linear", "1e308..1e309", "..", "0..9007199254740993", "8..128:log:2:3", "1,,2", "NaN..Inf"} {
		f.Add("hidden", seed)
		f.Add("lr", seed)
	}
	f.Fuzz(func(t *testing.T, field, text string) {
		v, err := ParseValues(field, text)
		if err != nil {
			return
		}
		r := newRandom(1, 2)
		for range 4 {
			if drawn := v.draw(r); drawn == "" || strings.ContainsAny(drawn, ",:") && !strings.ContainsAny(text, ":") {
				t.Errorf("%s %q draws %q", field, text, drawn)
			}
		}
		for i := range v.items {
			if it := &v.items[i]; it.ranged && !(it.lo < it.hi) {
				t.Errorf("%s %q is the range %v to %v", field, text, it.lo, it.hi)
			}
		}
	})
}

func FuzzParseFields(f *testing.F) {
	for _, seed := range []string{"", "points: 3", "hidden: [8, 16..32]\nlr: 1e-3", "points: [[1]]", "a: b", "points: 1\npoints: 2", "- x", "---\n---", "grid: true # yes", "hidden: {a: 1}"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		fields, err := ParseFields([]byte(text), "fuzzed", []string{"points", "grid"})
		if err != nil {
			return
		}
		s := small(func(s *Spec) {
			for field, value := range fields {
				if field != "points" && field != "grid" {
					s.Space[field] = value
				}
			}
			s.Points = 3
		})
		if p, err := NewPlan(t.Context(), s, digits); err == nil && len(p.Points) != 3 {
			t.Errorf("%q makes %d points", text, len(p.Points))
		}
	})
}

// BenchmarkPlan plans 100,000 variants.
func BenchmarkPlan(b *testing.B) {
	for _, kind := range []string{"points", "grid"} {
		b.Run("kind="+kind, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				p := plan(b, func(s *Spec) {
					if kind == "points" {
						s.Space, s.Points, s.Halving = map[string]string{"layers": "1..3", "hidden": "8..128", "lr": "0.01..1"}, 100_000, []int{1, 3, 9}
					} else {
						s.Space = map[string]string{"layers": "2", "hidden": "8..107", "lr": "0.01..1:10"}
					}
				})
				if len(p.Points) != 100_000 {
					b.Fatal(len(p.Points))
				}
			}
		})
	}
}

func ExampleParseShard() {
	s, err := ParseShard("0/8")
	fmt.Println(s.Part, err)
	// Output: 0 shard 0/8: want the part's number, from 1, and how many parts there are, as in 1/8
}
