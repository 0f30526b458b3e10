// Package sweep trains all variants of a space and finds the best of them.
//
// A [Spec] says which points there are (a point is a recipe), how long each is
// trained, and how many go on. [NewPlan] makes the points of it, always the same
// ones. A plan's points fall into brackets, and that is all of the structure
// there is: successive halving selects among the points of one bracket, a shard
// is some of the brackets, and what is in memory belongs to the few brackets in
// flight. So a sweep's parts on several machines are the parts that one machine
// would have trained, one after another.
//
// [Run] trains a plan and keeps what it finds in a directory, see [Open], which
// survives being killed at any moment. [Merge] joins the directories of shards.
package sweep

import (
	"fmt"
	"maps"
	"reflect"
	"slices"
	"strings"

	"vanilla/internal/words"
	"vanilla/kernels"
	"vanilla/train"
)

// Spec is what a sweep is a function of, besides its data and the executor.
type Spec struct {
	// Recipe holds what is the same everywhere. Its Validation is the fraction of
	// the training images that selects; its Epochs are where training ends, the
	// last rung if there are several.
	Recipe train.Recipe `json:"recipe"`
	// Space gives fields of recipes, or layers and hidden, their values as they are
	// written, see [ParseValues].
	Space map[string]string `json:"space"`
	// Points is how many are drawn at random; with 0, all points of the grid are
	// taken.
	Points int `json:"points"`
	// Sampler is how points are drawn: "" is RandomSampler.
	Sampler string `json:"sampler,omitempty"`
	// Seed determines what is drawn.
	Seed uint64 `json:"seed"`
	// Seeds is how often each point is trained, with the weight seeds 1, 2, ….
	Seeds int `json:"seeds"`
	// MaxParameters, if not 0, leaves out larger networks.
	MaxParameters int `json:"max_parameters,omitempty"`
	// Halving lists the epochs after which variants are compared, ascending, the
	// last ones where training ends. From rung to rung a bracket keeps a share of
	// its points such that each rung's epochs times its points are about the same.
	// With none, all points are trained to the end.
	Halving []int `json:"halving,omitempty"`
	// Brackets is in how many groups the points fall, 0 for one of every 64, or of
	// every 16 if the sampler learns from one to the next.
	Brackets int `json:"brackets,omitempty"`
	// Finalists is how many of the best points are trained again, with FinalSeeds
	// seeds each, and tested.
	Finalists  int `json:"finalists"`
	FinalSeeds int `json:"final_seeds"`
}

// Bounds beyond which a sweep is a mistake.
const (
	maxVariants = 10_000_000
	maxSeeds    = 10_000
	maxLayers   = 64
	maxRungs    = 64
)

// Rungs are the epochs after which variants are compared; the last one is where
// training ends.
func (s *Spec) Rungs() []int {
	if len(s.Halving) > 0 {
		return s.Halving
	}
	return []int{s.Recipe.Epochs}
}

// Check reports the first setting that cannot be, as a *train.SettingError.
// Whether points of the space can be is for [NewPlan] to say.
func (s *Spec) Check() error {
	fail := func(field string, value any, problem string) error {
		return &train.SettingError{Field: field, Value: value, Problem: problem}
	}
	for _, field := range slices.Sorted(maps.Keys(s.Space)) {
		if !slices.Contains(SpaceFields(), field) {
			return fail(field, s.Space[field], words.Unknown("space key", field, SpaceFields()))
		}
		if _, err := ParseValues(field, s.Space[field]); err != nil {
			return err
		}
	}
	_, arch := s.Space["arch"]
	for _, field := range []string{"layers", "hidden"} {
		if text, ok := s.Space[field]; ok && arch {
			return fail(field, text, "the architectures are listed by \"arch\" already: want one or the other")
		}
	}
	if text, ok := s.Space["epochs"]; ok && len(s.Halving) > 0 {
		return fail("epochs", text, fmt.Sprintf("\"halving\" %s says how long variants are trained: want one or the other", joinInts(s.Halving)))
	}
	rising := true
	for i, epochs := range s.Halving {
		rising = rising && epochs >= 1 && (i == 0 || epochs > s.Halving[i-1])
	}
	switch {
	case s.Points < 0 || s.Points > maxVariants:
		return fail("points", s.Points, fmt.Sprintf("want 1 to %d, or \"grid\"", maxVariants))
	case s.Sampler != "" && !slices.Contains(Samplers(), s.Sampler):
		return fail("sampler", s.Sampler, "want "+words.Or(Samplers()))
	case s.learns() && s.Points == 0:
		return fail("sampler", s.Sampler, "a grid takes all points, and none is drawn: want \"points\"")
	case s.Seeds < 1 || s.Seeds > maxSeeds:
		return fail("seeds", s.Seeds, fmt.Sprintf("want 1 to %d", maxSeeds))
	case s.MaxParameters < 0:
		return fail("max_parameters", s.MaxParameters, "want 1 or more, or 0 for any")
	case !rising || len(s.Halving) > maxRungs || len(s.Halving) > 0 && s.Halving[len(s.Halving)-1] > kernels.MaxEpochs:
		return fail("halving", joinInts(s.Halving), fmt.Sprintf("want epochs that rise, at most %d of them, as in 1,3,9,27", maxRungs))
	case s.Brackets < 0:
		return fail("brackets", s.Brackets, "want 1 or more, or 0 for one of every 64 points, with the sampler tpe of every 16")
	case s.Finalists < 0 || s.Finalists > maxVariants:
		return fail("finalists", s.Finalists, fmt.Sprintf("want 0 to %d", maxVariants))
	case s.Finalists > 0 && (s.FinalSeeds < 1 || s.FinalSeeds > maxSeeds):
		return fail("final_seeds", s.FinalSeeds, fmt.Sprintf("want 1 to %d", maxSeeds))
	case !(s.Recipe.Validation > 0 && s.Recipe.Validation < 1):
		return fail("validation", s.Recipe.Validation, "variants are compared on held-out images: want a fraction above 0, below 1")
	case s.Recipe.Patience != 0:
		return fail("patience", s.Recipe.Patience, "a sweep trains to the end of each rung: want 0")
	}
	return nil
}

// Differences says in what s differs from the spec that was, as it is to be
// shown in a line, or "" if in nothing.
func (s *Spec) Differences(was *Spec) string {
	var found []string
	add := func(name string, was, is any) {
		if !reflect.DeepEqual(was, is) {
			found = append(found, fmt.Sprintf("%q was %v, is %v", name, was, is))
		}
	}
	shown := func(space map[string]string, field string) string {
		if text, ok := space[field]; ok {
			return text
		}
		return "not given"
	}
	for _, field := range SpaceFields() {
		add(field, shown(was.Space, field), shown(s.Space, field))
	}
	for _, field := range train.Fields() {
		_, ours := s.Space[field]
		if _, theirs := was.Space[field]; !ours && !theirs {
			add(field, was.Recipe.Get(field), s.Recipe.Get(field))
		}
	}
	add("points", was.Points, s.Points)
	add("sampler", was.sampler(), s.sampler())
	add("seed", was.Seed, s.Seed)
	add("seeds", was.Seeds, s.Seeds)
	add("max_parameters", was.MaxParameters, s.MaxParameters)
	add("halving", joinInts(was.Halving), joinInts(s.Halving))
	add("brackets", was.Brackets, s.Brackets)
	add("finalists", was.Finalists, s.Finalists)
	add("final_seeds", was.FinalSeeds, s.FinalSeeds)
	return strings.Join(found, "; ")
}

func joinInts(values []int) string {
	return strings.ReplaceAll(strings.Trim(fmt.Sprint(values), "[]"), " ", ",")
}
