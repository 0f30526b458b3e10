package train

import (
	"fmt"
	"slices"
	"strings"

	"vanilla/graph"
	"vanilla/graph/ir"
	"vanilla/kernels"
	"vanilla/mnist"
	"vanilla/model"
)

// Recipe is all that determines a training run besides its seeds, its data and
// the executor. Fields are called what the command's flags are called.
type Recipe struct {
	Arch        string  `json:"arch"`       // "784-16-16-10": inputs, hidden layers, outputs
	Activation  string  `json:"activation"` // of the hidden layers
	Loss        string  `json:"loss"`
	Optimizer   string  `json:"optimizer"`
	LR          float64 `json:"lr"` // the largest step size
	WeightDecay float64 `json:"weight_decay"`
	Schedule    string  `json:"schedule"` // of the step size
	Batch       int     `json:"batch"`    // examples per step
	Epochs      int     `json:"epochs"`
	Init        string  `json:"init"` // of the weights
}

// Default is the lesson's network with a recipe that takes it to 96 % on MNIST.
func Default() Recipe {
	return Recipe{
		Arch:        "784-16-16-10",
		Activation:  ir.Sigmoid.String(),
		Loss:        string(graph.CrossEntropy),
		Optimizer:   "sgd",
		LR:          1,
		WeightDecay: 1e-4,
		Schedule:    "cosine",
		Batch:       32,
		Epochs:      40,
		Init:        string(kernels.Scaled),
	}
}

// SettingError is a setting that cannot be.
type SettingError struct {
	Flag    string // as it is written, "--lr"
	Value   any
	Problem string // what would be right
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
	return fmt.Sprintf("%s %s: %s", e.Flag, value, e.Problem)
}

// maxEpochs keeps the number of steps far inside an int.
const maxEpochs = 1_000_000

// Check reports the first setting that cannot be, as a *SettingError.
func (r Recipe) Check() error {
	if _, err := model.Widths(r.Arch); err != nil {
		return &SettingError{"--arch", r.Arch, fmt.Sprintf(
			"want whole numbers from 1 to %d joined by dashes, inputs first, outputs last, as in %s", model.MaxWidth, Default().Arch)}
	}
	var activations []string
	for _, a := range graph.Activations() {
		activations = append(activations, a.String())
	}
	for _, choice := range []struct {
		flag, value string
		names       []string
	}{
		{"--activation", r.Activation, activations},
		{"--loss", r.Loss, []string{string(graph.CrossEntropy), string(graph.Quadratic)}},
		{"--optimizer", r.Optimizer, kernels.OptimizerNames()},
		{"--schedule", r.Schedule, kernels.ScheduleNames()},
		{"--init", r.Init, kernels.InitNames()},
	} {
		if !slices.Contains(choice.names, choice.value) {
			return &SettingError{choice.flag, choice.value, "want " + or(choice.names)}
		}
	}
	if a, err := archOf(r.Arch, r.Activation, r.Loss); err != nil {
		return err
	} else if err := a.Check(); err != nil {
		return &SettingError{"--arch", r.Arch, err.Error()}
	}
	switch {
	case r.rate().Check() != nil:
		return &SettingError{"--lr", r.LR, "want a positive number"}
	case r.optimizer().Check() != nil:
		return &SettingError{"--weight-decay", r.WeightDecay, "want zero or a positive number"}
	case r.Batch < 1:
		return &SettingError{"--batch", r.Batch, "want 1 or more examples"}
	case r.Epochs < 1 || r.Epochs > maxEpochs:
		return &SettingError{"--epochs", r.Epochs, fmt.Sprintf("want 1 to %d", maxEpochs)}
	}
	return nil
}

// Fits reports the first setting of a checked recipe that does not fit the
// data, as a *SettingError.
func (r Recipe) Fits(data *mnist.Dataset) error {
	set := data.Train
	widths, err := model.Widths(r.Arch)
	if err != nil {
		return err
	}
	last := len(widths) - 1
	var problems []string
	if n := set.Features(); widths[0] != n {
		problems = append(problems, fmt.Sprintf("the images have %dx%d = %d pixels, so the first width must be %d",
			set.Rows, set.Cols, n, n))
		widths[0] = n
	}
	if n := set.Classes; widths[last] != n {
		problems = append(problems, fmt.Sprintf("the data has %d classes, so the last width must be %d", n, n))
		widths[last] = n
	}
	if problems != nil {
		return &SettingError{"--arch", r.Arch, fmt.Sprintf("%s (%s)", strings.Join(problems, ", and "), joinWidths(widths))}
	}
	if n := set.Len(); r.Batch > n {
		return &SettingError{"--batch", r.Batch, fmt.Sprintf("the data has %d training images, so at most %d fit in a batch", n, n)}
	}
	return nil
}

func (r Recipe) rate() kernels.Rate { return kernels.Rate{StepSize: r.LR, Schedule: r.Schedule} }

func (r Recipe) optimizer() kernels.Optimizer {
	return kernels.Optimizer{Name: r.Optimizer, WeightDecay: r.WeightDecay}
}

func joinWidths(widths []int) string {
	parts := make([]string, len(widths))
	for i, w := range widths {
		parts[i] = fmt.Sprint(w)
	}
	return strings.Join(parts, "-")
}

// or joins names as in "a, b or c".
func or(names []string) string {
	last := len(names) - 1
	if last == 0 {
		return names[0]
	}
	return strings.Join(names[:last], ", ") + " or " + names[last]
}
