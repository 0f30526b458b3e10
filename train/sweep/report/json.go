package report

import (
	"vanilla/internal/sample"
	"vanilla/train"
	"vanilla/train/sweep"
)

// Summary is the report as one JSON object. Equal sweeps have equal ones: there are no times inside.
type Summary struct {
	Planned  int `json:"planned"`
	LeftOut  int `json:"left_out,omitempty"` // see [sweep.Plan]
	Done     int `json:"done"`
	Diverged int `json:"diverged"`
	// Arithmetics are those in which the networks were trained: if there are several, no other sweep comes to these
	// results. "" is one that an earlier version did not write down.
	Arithmetics []string `json:"arithmetics"`
	// Effects are those of dimensions, and of pairs of them, on what points had reached after the first rung.
	Effects []EffectEntry `json:"effects"`
	// These are what is uncertain in all accuracies besides the seeds, because images are a sample: standard errors of
	// the best point's accuracies, fractions, nil while there is none.
	ValidationImagesError *float64       `json:"validation_images_error"`
	TestImagesError       *float64       `json:"test_images_error"`
	Variants              []VariantEntry `json:"variants"` // in the order of the plan, those with a record
}

// EffectEntry is an effect of a dimension, or of two together beyond what each does.
type EffectEntry struct {
	Dimensions []string `json:"dimensions"`
	*Effect             // nil if there are too few points
}

// VariantEntry is what is known of one network.
type VariantEntry struct {
	sweep.Identity
	Status sweep.Status `json:"status"`
	// Rung is the last one with a record, Epoch the epochs trained by then.
	Rung      int        `json:"rung"`
	Epoch     int        `json:"epoch"`
	TrainLoss train.Loss `json:"train_loss"`
	// Scores are null where there are none.
	ValidationLoss     *train.Loss `json:"validation_loss"`
	ValidationAccuracy *float64    `json:"validation_accuracy"`
	TestLoss           *train.Loss `json:"test_loss"`
	TestAccuracy       *float64    `json:"test_accuracy"`
	Diverged           bool        `json:"diverged"`
	// Rank is that of the variant's point, from 1, and Front whether that is on the Pareto front of those that were trained as
	// long. What diverged has no
	// rank.
	Rank  *int `json:"rank"`
	Front bool `json:"front"`
	// Command trains a finalist's network again, to the same bytes.
	Command string `json:"command,omitempty"`
}

// Summary is what --json prints.
func (r *Report) Summary() Summary {
	s := Summary{Planned: r.Planned, LeftOut: r.Plan.LeftOut, Done: r.Done, Diverged: r.Diverged, Arithmetics: r.Arithmetics(), Effects: []EffectEntry{}, Variants: make([]VariantEntry, 0, len(r.Variants))}
	for _, d := range r.Dimensions {
		if !d.Follows {
			s.Effects = append(s.Effects, EffectEntry{[]string{d.Name}, d.Effect})
		}
	}
	for _, x := range r.Interactions {
		s.Effects = append(s.Effects, EffectEntry{[]string{x.A, x.B}, &x.Effect})
	}
	if len(r.Points) > 0 {
		standardError := func(e *Estimate, n int) *float64 {
			if e == nil {
				return nil
			}
			v := sample.ShareSE(e.Mean, n)
			return &v
		}
		s.ValidationImagesError, s.TestImagesError = standardError(r.Points[0].Validation(), r.heldOut()), standardError(r.Points[0].Test, r.Data.Test)
	}
	rank := make(map[int]int, len(r.Points))
	for i := range r.Points {
		rank[r.Points[i].Index] = i
	}
	for i := range r.Variants {
		v := &r.Variants[i]
		last := v.Last()
		at := rank[v.Index]
		var own *int
		if rank := at + 1; !last.Diverged && r.Points[at].Validation() != nil {
			own = &rank
		}
		command := ""
		if v.Stage == sweep.Final && v.Status == sweep.Done && len(s.Arithmetics) == 1 && r.Command != nil {
			command = r.Command(r.rerun(v.Recipe, v.Seed, 1, v.ID+".safetensors"))
		}
		s.Variants = append(s.Variants, VariantEntry{
			Identity: v.Identity, Status: v.Status, Rung: last.Rung, Epoch: last.Epoch, TrainLoss: last.TrainLoss,
			ValidationLoss: last.ValidationLoss, ValidationAccuracy: last.ValidationAccuracy,
			TestLoss: last.TestLoss, TestAccuracy: last.TestAccuracy, Diverged: last.Diverged,
			Rank: own, Front: r.Points[at].Front, Command: command,
		})
	}
	return s
}
