package train

import (
	"bytes"
	"fmt"
	"io"

	"vanilla/dataset"
	"vanilla/internal/store"
	"vanilla/kernels"
)

// Outcome is what came of one network of a population that differs in seeds: a
// line of the records that vanilla train --seeds writes. Outcomes of equal runs
// are equal but for Seconds and Device.
type Outcome struct {
	Version    string      `json:"version"`
	Executor   string      `json:"executor"`
	Arithmetic string      `json:"arithmetic"`
	Mixed      []string    `json:"mixed_arithmetic,omitempty"` // see Result
	Device     string      `json:"device"`
	DataName   string      `json:"data_name"`
	Data       Fingerprint `json:"data"`
	Recipe     Recipe      `json:"recipe"`
	From       *Start      `json:"from,omitempty"` // see Spec
	Parameters int         `json:"parameters"`
	Seed       uint64      `json:"seed"`
	OrderSeed  uint64      `json:"order_seed"`
	// Epochs are the completed ones, BestEpoch the one that was kept, if the recipe
	// has patience.
	Epochs    int  `json:"epochs"`
	BestEpoch int  `json:"best_epoch,omitempty"`
	TrainLoss Loss `json:"train_loss"`
	// Nil where the network has no such score: it diverged, was interrupted before
	// its first step, or no images were held out.
	ValidationLoss     *Loss    `json:"validation_loss"`
	ValidationAccuracy *float64 `json:"validation_accuracy"`
	TestLoss           *Loss    `json:"test_loss"`
	TestAccuracy       *float64 `json:"test_accuracy"`
	Diverged           bool     `json:"diverged"`
	Interrupted        bool     `json:"interrupted"`
	// Stuck says how the network has not learned.
	Stuck []Stuck `json:"stuck,omitempty"`
	// Seconds is what training the whole population took.
	Seconds float64 `json:"seconds"`
	// Model is the file that the network was saved in.
	Model string `json:"model,omitempty"`
}

// OutcomeOf is a result as a record.
func OutcomeOf(r Result, exec kernels.Executor, data *dataset.Dataset, fingerprint Fingerprint, version string) Outcome {
	o := Outcome{
		Version: version, Executor: exec.Name(), Arithmetic: exec.Arithmetic(), Mixed: r.Mixed, Device: exec.Device(),
		DataName: data.Name, Data: fingerprint,
		Recipe: r.Spec.Recipe, From: r.Spec.From, Parameters: r.Parameters, Seed: r.Spec.Seed, OrderSeed: r.Spec.OrderSeed,
		Epochs: r.Epochs, BestEpoch: r.BestEpoch, TrainLoss: Loss(r.TrainLoss),
		Diverged: r.Diverged, Interrupted: r.Interrupted, Stuck: r.Stuck, Seconds: r.Seconds,
	}
	score := func(s kernels.Score) (*Loss, *float64) {
		if s.N == 0 || r.Model == nil {
			return nil, nil
		}
		loss, accuracy := Loss(s.Loss), s.Accuracy()
		return &loss, &accuracy
	}
	o.ValidationLoss, o.ValidationAccuracy = score(r.Validation)
	o.TestLoss, o.TestAccuracy = score(r.Test)
	return o
}

// AppendOutcomes appends records as lines, with checksums.
func AppendOutcomes(lines []byte, outcomes []Outcome) ([]byte, error) {
	for i := range outcomes {
		var err error
		if lines, err = store.AppendLine(lines, &outcomes[i]); err != nil {
			return nil, err
		}
	}
	return lines, nil
}

// ReadOutcomes reads what AppendOutcomes wrote. It fails if a line is damaged or
// is no such record, and names it.
func ReadOutcomes(r io.Reader) ([]Outcome, error) {
	data, err := io.ReadAll(r)
	if err != nil {
		return nil, err
	}
	var outcomes []Outcome
	for line := range bytes.Lines(data) {
		var o Outcome
		err := store.DecodeLine(line, &o)
		if err == nil && o.Recipe.Arch == "" {
			err = fmt.Errorf("found one without a recipe")
		}
		if err != nil {
			return nil, fmt.Errorf("line %d: expected the record of a network of several seeds: %w", len(outcomes)+1, err)
		}
		outcomes = append(outcomes, o)
	}
	return outcomes, nil
}
