package sweep

import (
	"bytes"
	"encoding/json"
	"strings"
	"testing"

	"vanilla/train"
)

// recorded is a record of the plan.
func recorded(p *Plan, stage Stage, point int, seed uint64, rung int) Record {
	accuracy, loss := 0.5, train.Loss(1)
	r := Record{Identity: p.Identity(point, stage, seed), Rung: rung, Epoch: p.Rungs(point)[rung], Losses: []train.Loss{1},
		TrainLoss: 1, ValidationLoss: &loss, ValidationAccuracy: &accuracy}
	if stage == Final && rung == len(p.Rungs(point))-1 {
		r.TestLoss, r.TestAccuracy = &loss, &accuracy
	}
	return r
}

// Whatever records say, reading them fails or gives a board that can be asked everything.
func FuzzReadRecords(f *testing.F) {
	p := plan(f, func(s *Spec) {
		s.Space, s.Halving, s.Finalists, s.FinalSeeds = map[string]string{"hidden": "4,8"}, []int{1, 2}, 1, 1
	})
	lines := func(records ...Record) []byte {
		text, err := encode(records)
		if err != nil {
			f.Fatal(err)
		}
		return text
	}
	whole := []Record{recorded(p, Search, 0, 1, 0), recorded(p, Search, 1, 1, 0), recorded(p, Search, 0, 1, 1), recorded(p, Final, 0, 2, 0), recorded(p, Final, 0, 2, 1)}
	wild := recorded(p, Search, 1, 1, 0)
	wild.Diverged, wild.ValidationAccuracy, wild.ValidationLoss = true, nil, nil
	f.Add(lines(whole...))
	f.Add(lines(wild))
	f.Add(lines(whole...)[:700])
	f.Add([]byte("{}\n"))
	f.Add([]byte("null\n[]\n"))
	f.Fuzz(func(t *testing.T, text []byte) {
		records, size, err := ReadRecords(bytes.NewReader(text))
		if err != nil {
			if !strings.HasPrefix(err.Error(), "line ") {
				t.Errorf("the error names no line: %v", err)
			}
			return
		}
		if int(size) > len(text) || int(size) < len(text) && bytes.IndexByte(text[size:], '\n') >= 0 {
			t.Errorf("of %d bytes, %d were read", len(text), size)
		}
		b, err := newBoard(t.Context(), p, Shard{}, records)
		if err != nil {
			return
		}
		if c := b.counts(); c.Done+c.Diverged > c.Planned {
			t.Errorf("found %+v of %s", c, text)
		}
		b.finals()
	})
}

// Records that cannot be are refused, each with what is wrong.
func TestImpossibleRecords(t *testing.T) {
	p := plan(t, func(s *Spec) {
		s.Space, s.Halving, s.Finalists, s.FinalSeeds = map[string]string{"hidden": "4,8"}, []int{1, 2}, 1, 1
	})
	test := 0.5
	for want, records := range map[string][]Record{
		"at rung 2, want 0 to 1": {recorded(p, Search, 0, 1, 0), recorded(p, Search, 0, 1, 1), func() Record {
			r := recorded(p, Search, 0, 1, 1)
			r.Rung = 2
			return r
		}()},
		"but it diverged before": {func() Record {
			r := recorded(p, Search, 0, 1, 0)
			r.Diverged = true
			return r
		}(), recorded(p, Search, 0, 1, 1)},
		"with the test accuracy 0.5: want one": {func() Record {
			r := recorded(p, Search, 0, 1, 0)
			r.TestAccuracy = &test
			return r
		}()},
		"with the test accuracy null: want one": {recorded(p, Final, 0, 2, 0), func() Record {
			r := recorded(p, Final, 0, 2, 1)
			r.TestAccuracy = nil
			return r
		}()},
		"not in the plan": {func() Record {
			r := recorded(p, Search, 0, 1, 0)
			r.Index = -1
			return r
		}()},
	} {
		if _, err := newBoard(t.Context(), p, Shard{}, records); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("found %v, want %s", err, want)
		}
	}
	// A negative accuracy is one line's.
	r := recorded(p, Search, 0, 1, 0)
	*r.ValidationAccuracy = -1
	good, _ := json.Marshal(recorded(p, Search, 1, 1, 0))
	bad, _ := json.Marshal(r)
	if _, _, err := ReadRecords(bytes.NewReader(bytes.Join([][]byte{good, bad, nil}, []byte("\n")))); err == nil || !strings.HasPrefix(err.Error(), "line 2: ") {
		t.Errorf("found %v", err)
	}
}
