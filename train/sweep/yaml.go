package sweep

import (
	"fmt"
	"slices"
	"strconv"
	"strings"

	"vanilla/internal/mapping"
	"vanilla/internal/store"
	"vanilla/internal/words"
	"vanilla/train"
)

// Set sets the fields that are not of the space: those of Spec by their
// names in JSON, and validation. Others are left alone.
func (s *Spec) Set(fields map[string]string) error {
	whole := map[string]*int{"points": &s.Points, "seeds": &s.Seeds, "max_parameters": &s.MaxParameters,
		"brackets": &s.Brackets, "finalists": &s.Finalists, "final_seeds": &s.FinalSeeds}
	for field, text := range fields {
		fail := func(want string) error {
			return &train.SettingError{Field: field, Value: text, Problem: want}
		}
		if to, ok := whole[field]; ok {
			n, err := strconv.Atoi(text)
			if err != nil {
				return fail("want a whole number")
			}
			if field == "points" && n < 1 {
				return fail(fmt.Sprintf("want 1 to %d, or \"grid\"", maxVariants))
			}
			*to = n
		}
		switch field {
		case "seed":
			n, err := strconv.ParseUint(text, 10, 64)
			if err != nil {
				return fail("want a whole number from 0 to 18446744073709551615")
			}
			s.Seed = n
		case "sampler":
			if !slices.Contains(Samplers(), text) {
				return fail("want " + strings.Join(Samplers(), " or "))
			}
			if s.Sampler = text; text == RandomSampler {
				s.Sampler = "" // as headers of earlier versions have it
			}
		case "validation":
			if err := s.Recipe.Set(field, text); err != nil {
				return fail("want a fraction above 0, below 1")
			}
		case "halving":
			s.Halving = nil
			if text == "none" {
				continue
			}
			for part := range strings.SplitSeq(text, ",") {
				n, err := strconv.Atoi(strings.TrimSpace(part))
				if err != nil {
					return fail("want numbers of epochs joined by commas, as in 1,3,9,27, or none")
				}
				s.Halving = append(s.Halving, n)
			}
		case "grid":
			if text != "true" && text != "false" {
				return fail("want true or false")
			}
		}
	}
	return nil
}

// ReadFields reads a spec's fields from a YAML file, as [ParseFields] does.
func ReadFields(path string, others []string) (map[string]string, error) {
	data, err := mapping.Read(path)
	if err != nil {
		return nil, &train.SettingError{Field: "spec", Value: path, Err: fmt.Errorf("want a YAML file: %w", store.Cause(err))}
	}
	return ParseFields(data, path, others)
}

// ParseFields reads YAML, a mapping of a space's fields and others to
// values as flags have them, or to lists of them:
//
//	hidden: 8..128
//	activation: [relu, silu]
//	points: 1000
//
// It fails with a *train.SettingError that names the file and the line.
func ParseFields(data []byte, name string, others []string) (map[string]string, error) {
	fail := func(line int, problem string) (map[string]string, error) {
		return nil, &train.SettingError{Field: "spec", Value: mapping.At(name, line), Problem: problem}
	}
	entries, err := mapping.Parse(data, "spec", name, "points: 1000")
	if err != nil {
		return nil, err
	}
	found := map[string]string{}
	known := slices.Concat(SpaceFields(), others)
	for _, e := range entries {
		field, line := e.Name, e.Line
		if !slices.Contains(known, field) {
			return fail(line, words.Unknown("sweep field", field, known))
		}
		values, ok := e.Values()
		if !ok {
			return fail(line, fmt.Sprintf("found %s %.60q: want a value or a list of values", field, e.Text()))
		}
		found[field] = strings.Join(values, ",")
	}
	return found, nil
}
