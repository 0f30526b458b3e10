package kernels

import (
	"fmt"
	"math"
	"slices"
	"strings"

	"vanilla/internal/words"
)

// SettingError is a setting that cannot be.
type SettingError struct {
	Field   string // what recipes call it: "weight_decay"
	Value   any
	Problem string // what would be right; other fields are quoted there
	Err     error  // in place of a problem, what kept a value from being used that can be
}

// valueShown is how much of a value an error repeats, in bytes.
const valueShown = 60

func (e *SettingError) Error() string {
	value := fmt.Sprint(e.Value)
	if value == "" || strings.ContainsFunc(value, func(r rune) bool { return r <= ' ' || r == 0x7f }) {
		value = fmt.Sprintf("%q", value)
	}
	if len(value) > valueShown {
		value = strings.ToValidUTF8(value[:valueShown], "") + "…"
	}
	problem := e.Problem
	if e.Err != nil {
		problem = e.Err.Error()
	}
	if e.Value == true { // nobody writes that
		return fmt.Sprintf("%s: %s", e.Field, problem)
	}
	return fmt.Sprintf("%s %s: %s", e.Field, value, problem)
}

func (e *SettingError) Unwrap() error { return e.Err }

// CheckName reports a value that is none of the names.
func CheckName(field, value string, names []string) error {
	if slices.Contains(names, value) {
		return nil
	}
	return &SettingError{Field: field, Value: value, Problem: "want " + words.Or(names)}
}

// firstError is the first of several checks that fails.
func firstError(errs ...error) error {
	for _, err := range errs {
		if err != nil {
			return err
		}
	}
	return nil
}

// checkThat reports a value unless it is right.
func checkThat(right bool, field string, value any, problem string) error {
	if right {
		return nil
	}
	return &SettingError{Field: field, Value: value, Problem: problem}
}

// isFinite is whether a number is one to float32.
func isFinite(v float64) bool { return !math.IsNaN(v) && !math.IsInf(float64(float32(v)), 0) }
