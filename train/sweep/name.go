package sweep

import (
	"fmt"
	"slices"
	"strings"

	"vanilla/internal/words"
	"vanilla/kernels"
	"vanilla/train"
)

// Choices are the recipe's fields in which points may differ, but for the
// architecture: those of the space that can have several values, and those that
// follow from them, as the learning rate follows from the optimizer. They are in the
// order of [SpaceFields].
func (s *Spec) Choices() []string {
	differ := map[string]bool{}
	for field, text := range s.Space {
		if v, err := ParseValues(field, text); err == nil && (len(v.items) > 1 || v.items[0].ranged) {
			differ[field] = true
		}
	}
	for _, field := range s.following() {
		differ[field] = true
	}
	return slices.DeleteFunc(SpaceFields(), func(field string) bool {
		return !differ[field] || slices.Contains([]string{"arch", "layers", "hidden"}, field)
	})
}

// followers are the fields that may follow from others, see [train.Recipe.Follow].
var followers = map[string][]string{"optimizer": {"lr", "weight_decay", "momentum"}, "schedule": {"step_epochs", "gamma"}}

// following lists the fields that are not of the space, and differ because others
// do.
func (s *Spec) following() []string {
	var found []string
	for _, leader := range []string{"optimizer", "schedule"} {
		followed := s.Followed(leader)
		for _, field := range followers[leader] {
			for _, f := range followed {
				if valueOf(&f, field) != valueOf(&followed[0], field) {
					found = append(found, field)
					break
				}
			}
		}
	}
	return found
}

// Followed are the recipes that follow from each value of a field of the space,
// optimizer or schedule, if it has several.
func (s *Spec) Followed(leader string) []train.Recipe {
	v, err := ParseValues(leader, s.Space[leader])
	if err != nil || len(v.items) < 2 {
		return nil
	}
	var recipes []train.Recipe
	for _, it := range v.items {
		if r, err := s.recipe(map[string]string{leader: it.text}); err == nil {
			recipes = append(recipes, r)
		}
	}
	return recipes
}

// Follows says what else a recipe has because of a field of the space, "" if
// nothing differs but for the field: "lr 0.001, weight-decay 0" of the optimizer.
func (s *Spec) Follows(r *train.Recipe, field string) string {
	if followers[field] == nil {
		return ""
	}
	var parts []string
	for _, other := range s.following() {
		if slices.Contains(followers[field], other) && r.Has(other) {
			parts = append(parts, setting(r, other))
		}
	}
	return strings.Join(parts, ", ")
}

// recipe is the spec's with the chosen values, all but those of the architecture.
func (s *Spec) recipe(chosen map[string]string) (train.Recipe, error) {
	base := &s.Recipe
	r := *base
	for field, text := range chosen {
		if field == "layers" || field == "hidden" {
			continue
		}
		if err := r.Set(field, text); err != nil {
			return r, &train.SettingError{Field: field, Value: text, Problem: err.Error()}
		}
	}
	if rungs := s.Halving; len(rungs) > 0 {
		r.Epochs = rungs[len(rungs)-1]
	}
	r.Follow(*base, func(field string) bool {
		_, given := chosen[field]
		_, swept := s.Space[field]
		return given || swept
	})
	// What does not belong to the optimizer or the schedule that was chosen is not
	// there.
	if !(kernels.Optimizer{Name: r.Optimizer}).Rule().HasVelocity() {
		r.Momentum = 0
	}
	if !(kernels.Schedule{Name: r.Schedule}).Kind().Stepped {
		r.StepEpochs, r.Gamma = 0, 0
	}
	return r, nil
}

// Name tells a point from the others: its architecture, and what else
// it was given of the choices.
func (s *Spec) Name(r *train.Recipe) string {
	return strings.TrimSpace(r.Arch + " " + Settings(r, s.Choices()))
}

// Settings are the values of fields, but for those that a recipe does not have:
// "relu lr 0.1".
func Settings(r *train.Recipe, choices []string) string {
	var parts []string
	for _, field := range choices {
		if r.Has(field) {
			parts = append(parts, setting(r, field))
		}
	}
	return strings.Join(parts, " ")
}

// setting is a value with its field, if it does not speak for itself.
func setting(r *train.Recipe, field string) string {
	switch v := r.Get(field).(type) {
	case string:
		if v == "" {
			return "no " + words.Dashed(field)
		}
		if field == "norm" { // whose name says little
			return v + " " + field
		}
		return v
	case float64:
		return words.Dashed(field) + " " + words.Decimal(v, -1)
	default:
		return fmt.Sprintf("%s %v", words.Dashed(field), v)
	}
}

// valueOf is a setting to compare, nil where a recipe does not have it.
func valueOf(r *train.Recipe, field string) any {
	if !r.Has(field) {
		return nil
	}
	return r.Get(field)
}

// HeldOut is the number of images that points are compared on.
func (p *Plan) HeldOut() int { return p.Data.Train - p.trained() }
