package kernels

import (
	"fmt"
	"math"
	"slices"
)

// Schedule is the learning rate over a training run.
type Schedule struct {
	// Name is that of a [ScheduleKind].
	Name string
	// LR is the peak.
	LR float64
	// StepEpochs and Gamma are for the schedule step.
	StepEpochs int
	Gamma      float64
	// Warmup is the number of epochs, or the part of one, over which the learning
	// rate first rises linearly to LR. The schedule begins after them.
	Warmup float64
}

// ScheduleKind is what there is to know of all schedules of a name.
type ScheduleKind struct {
	Name string
	Help string // what it does, in a few words
	// Stepped schedules have StepEpochs and Gamma.
	Stepped bool
	// factor is that of step t, counted from the end of the warm-up, of total.
	factor func(s Schedule, t, total, perEpoch int) float64
	// hold is for how many steps it stays the same.
	hold func(s Schedule, perEpoch int) int
}

var schedules = [...]ScheduleKind{
	{"constant", "the peak throughout", false, func(Schedule, int, int, int) float64 { return 1 },
		func(Schedule, int) int { return math.MaxInt32 }},
	// Loshchilov and Hutter, arXiv:1608.03983.
	{"cosine", "down to zero along half a cosine", false, func(_ Schedule, t, total, _ int) float64 {
		return 0.5 * (1 + math.Cos(math.Pi*float64(min(t, total))/float64(total)))
	}, func(Schedule, int) int { return 1 }},
	{"step", "multiplied by gamma every few epochs", true, func(s Schedule, t, _, perEpoch int) float64 {
		return math.Pow(s.Gamma, float64(t/(s.StepEpochs*perEpoch)))
	}, func(s Schedule, perEpoch int) int { return s.StepEpochs * perEpoch }},
}

// Schedules lists the schedules.
func Schedules() []ScheduleKind { return slices.Clone(schedules[:]) }

// ScheduleNames lists the schedules' names.
func ScheduleNames() []string {
	var names []string
	for i := range schedules {
		names = append(names, schedules[i].Name)
	}
	return names
}

// Kind is what there is to know of the schedule, the zero value if there is none
// of its name.
func (s Schedule) Kind() ScheduleKind {
	if k := s.kind(); k != nil {
		return *k
	}
	return ScheduleKind{}
}

// kind is Kind, nil if there is none.
func (s Schedule) kind() *ScheduleKind {
	for i := range schedules {
		if schedules[i].Name == s.Name {
			return &schedules[i]
		}
	}
	return nil
}

// At is the learning rate of step t >= 0 of a run of the given length. A schedule
// that is over stays where it ended.
func (s Schedule) At(t, stepsPerEpoch, epochs int) float32 {
	warmup := s.WarmupSteps(stepsPerEpoch)
	if t < warmup {
		return float32(s.LR * float64(t+1) / float64(warmup))
	}
	return float32(s.LR * s.Factor(t-warmup, stepsPerEpoch, epochs))
}

// WarmupSteps is for how many steps the learning rate rises at first.
func (s Schedule) WarmupSteps(stepsPerEpoch int) int {
	return int(math.Round(s.Warmup * float64(stepsPerEpoch)))
}

// Factor is what LR is multiplied by in step t >= 0, counted from the end of
// the warm-up. It does not depend on LR.
func (s Schedule) Factor(t, stepsPerEpoch, epochs int) float64 {
	return s.kind().factor(s, t, epochs*stepsPerEpoch-s.WarmupSteps(stepsPerEpoch), stepsPerEpoch)
}

// Hold is a number of steps, at most 2^31 - 1, in each stretch of which, from the
// end of the warm-up on, Factor stays the same.
func (s Schedule) Hold(stepsPerEpoch int) int {
	return min(math.MaxInt32, s.kind().hold(s, stepsPerEpoch))
}

// MaxEpochs keeps the number of steps far inside an int.
const MaxEpochs = 1_000_000

// Check reports the first setting that cannot be in a run of so many epochs, as a
// *SettingError.
func (s Schedule) Check(epochs int) error {
	if err := CheckName("schedule", s.Name, ScheduleNames()); err != nil {
		return err
	}
	err := firstError(
		checkThat(float32(s.LR) > 0 && isFinite(s.LR), "lr", s.LR, "want a positive number"),
		checkThat(s.Warmup >= 0 && s.Warmup < float64(epochs), "warmup", s.Warmup, fmt.Sprintf(`want zero or more epochs, fewer than "epochs" %d; "warmup" 0 is none`, epochs)))
	if s.Kind().Stepped {
		return firstError(err,
			checkThat(s.StepEpochs >= 1, "step_epochs", s.StepEpochs, "want 1 or more"),
			checkThat(s.Gamma > 0 && s.Gamma <= 1, "gamma", s.Gamma, "want a number above 0, at most 1"))
	}
	return firstError(err,
		checkThat(s.StepEpochs == 0, "step_epochs", s.StepEpochs, "only the schedule step has it"),
		checkThat(s.Gamma == 0, "gamma", s.Gamma, "only the schedule step has it"))
}
