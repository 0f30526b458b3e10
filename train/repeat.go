package train

import (
	"encoding/json"
	"errors"
	"fmt"

	"vanilla/kernels"
	"vanilla/model"
)

// Setting is a field of a recipe and its value, as it is written.
type Setting struct{ Field, Value string }

// Settings are what makes the default recipe into r, field by field: what
// follows from them, see [Recipe.Follow], is not among them. The architecture
// always is.
func (r Recipe) Settings() []Setting {
	base := Default()
	given := map[string]bool{"arch": true}
	for {
		// What these fields make of the default.
		made := base
		for _, field := range fieldNames() {
			if given[field] {
				fieldsOf(&made)[field].Set(fieldsOf(&r)[field])
			}
		}
		made.Follow(base, func(field string) bool { return given[field] })
		if made == r {
			break
		}
		for _, field := range fieldNames() {
			if made.Get(field) != r.Get(field) {
				given[field] = true
			}
		}
	}
	var settings []Setting
	for _, field := range fieldNames() {
		if given[field] {
			settings = append(settings, Setting{field, fmt.Sprint(r.Get(field))})
		}
	}
	return settings
}

// SpecOf is what the network of a model was trained with: its recipe and seeds,
// to train it again. If it started from another network's weights, From says from
// whose, but does not have them. It fails if the model does not say.
func SpecOf(m *model.Model) (Spec, error) {
	var a account
	if err := json.Unmarshal(m.Recipe, &a); err != nil {
		return Spec{}, fmt.Errorf("the model's recipe cannot be read: %w", err)
	}
	if a.Recipe.Arch == "" {
		return Spec{}, errors.New("the model does not say how it was trained: that of a network whose graph is written in Go, or of other programs, holds no recipe")
	}
	spec := Spec{Recipe: a.Recipe, Seed: m.Seed, OrderSeed: m.Seed, From: a.From}
	if a.OrderSeed != nil {
		spec.OrderSeed = *a.OrderSeed
	}
	return spec, nil
}

// PrecisionOf is what a network of a model was trained in, see [kernels.Precision]: it is
// part of what a repetition needs.
func PrecisionOf(m *model.Model) string {
	var a account
	if json.Unmarshal(m.Recipe, &a) != nil || a.Precision == "" {
		return kernels.DefaultPrecision
	}
	return a.Precision
}

// ReadSettings are what the run in a history's directory was begun with, see
// [Options.Settings], and the arithmetic in which, "" if an earlier version did not
// write it down. It fails with an error that wraps [fs.ErrNotExist] if there
// is no run.
func ReadSettings(dir string) (settings map[string]string, arithmetic string, err error) {
	s, err := readCheckpoint(checkpointPath(dir))
	return s.Settings, s.Run.Arithmetic, err
}
